//! Random cases.

use std::collections::BTreeMap;

use fastrand::Rng;
use kiln_iam::policy::{Kind, Principal};
use serde_json::{Map, Value, json};

use crate::{
    case::Case,
    words::{ACCOUNT, ACTIONS, KEYS_WITH_TYPES, OTHER, Type, principals, values},
};

pub(crate) struct Generator {
    random: Rng,
}

/// What a case's policies are made to meet, more or less.
struct Subject<'a> {
    principal: &'a Principal,
    action: &'a str,
    resource: &'a str,
    context: &'a BTreeMap<String, Value>,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Rng::with_seed(seed) }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.u32(0..100) < percent
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        self.random.choice(from).unwrap().clone()
    }

    pub(crate) fn case(&mut self) -> Case {
        let (action, resources, policy_kind) = self.pick(&ACTIONS);
        let resource = self.pick(resources);
        let principal = match self.random.u32(0..100) {
            0..4 if policy_kind.is_some() => Principal::Anonymous,
            4..8 if policy_kind.is_some() => Principal::Service { name: "codebuild.amazonaws.com".to_owned() },
            8..25 => self.pick(&principals(OTHER)),
            _ => self.pick(&principals(ACCOUNT)),
        };
        let context = self.context(&principal);
        let subject = Subject { principal: &principal, action, resource, context: &context };
        let has_account = principal.account().is_some();
        let is_root = matches!(principal, Principal::Root { .. });
        let is_session = matches!(principal, Principal::Session { .. } | Principal::FederatedUser { .. });
        let identity = match has_account && !is_root {
            true => (0..self.random.usize(0..4)).map(|_| self.policy(&subject, None)).collect(),
            false => Vec::new(),
        };
        let boundary = (has_account && !is_root && self.chance(25)).then(|| self.policy(&subject, None));
        let session = (is_session && self.chance(50)).then(|| self.policy(&subject, None));
        let has_policy = |kind: Kind| matches!(kind, Kind::Trust | Kind::Key);
        let resource_policy = policy_kind
            .filter(|kind| has_policy(*kind) || self.chance(45))
            .map(|kind| (kind, self.policy(&subject, Some(kind))));
        Case {
            action: action.to_owned(),
            resource: resource.to_owned(),
            account: ACCOUNT.to_owned(),
            identity,
            boundary,
            session,
            resource_policy,
            context,
            principal,
        }
    }

    fn context(&mut self, principal: &Principal) -> BTreeMap<String, Value> {
        let mut context = BTreeMap::new();
        for (name, kind) in KEYS_WITH_TYPES {
            if !self.chance(55) {
                continue;
            }
            let value = match kind {
                Type::Texts => json!((0..self.random.usize(1..4)).map(|_| self.pick(values(kind))).collect::<Vec<_>>()),
                _ => json!(self.pick(values(kind))),
            };
            context.insert(name.to_owned(), value);
        }
        // A key that only users have.
        if !matches!(principal, Principal::User { .. }) {
            context.remove("aws:username");
        }
        context
    }

    fn policy(&mut self, subject: &Subject<'_>, kind: Option<Kind>) -> Value {
        let is_old = self.chance(8);
        let statements: Vec<Value> =
            (0..self.random.usize(1..4)).map(|_| self.statement(subject, kind, !is_old)).collect();
        json!({ "Version": if is_old { "2008-10-17" } else { "2012-10-17" }, "Statement": statements })
    }

    fn statement(&mut self, subject: &Subject<'_>, kind: Option<Kind>, has_variables: bool) -> Value {
        let allows = self.chance(80);
        let mut statement = Map::new();
        statement.insert("Effect".to_owned(), json!(if allows { "Allow" } else { "Deny" }));
        let name = if kind != Some(Kind::Trust) && self.chance(12) { "NotAction" } else { "Action" };
        let action = self.listed(|this| this.action(subject, kind));
        statement.insert(name.to_owned(), action);
        if kind != Some(Kind::Trust) {
            let name = if self.chance(12) { "NotResource" } else { "Resource" };
            let resource = self.listed(|this| this.resource(subject, has_variables));
            statement.insert(name.to_owned(), resource);
        }
        if kind.is_some() {
            let is_negated = !allows && kind != Some(Kind::Trust) && self.chance(15);
            let name = if is_negated { "NotPrincipal" } else { "Principal" };
            statement.insert(name.to_owned(), self.principal(subject, is_negated));
        }
        if self.chance(45) {
            statement.insert("Condition".to_owned(), self.conditions(subject, has_variables));
        }
        Value::Object(statement)
    }

    /// One text, or a list of some.
    fn listed(&mut self, mut one: impl FnMut(&mut Self) -> String) -> Value {
        match self.random.u32(0..3) {
            0 => json!((0..self.random.usize(1..4)).map(|_| one(self)).collect::<Vec<_>>()),
            _ => json!(one(self)),
        }
    }

    fn action(&mut self, subject: &Subject<'_>, kind: Option<Kind>) -> String {
        let (service, name) = subject.action.split_once(':').unwrap();
        let action = match self.random.u32(0..10) {
            0 if kind.is_none() => "*".to_owned(),
            1 | 2 => format!("{service}:*"),
            3 => format!("{service}:{}", self.starred(name)),
            4 => format!("{}:{}", service.to_uppercase(), name.to_lowercase()),
            5 if kind.is_none() => self.pick(&ACTIONS).0.to_owned(),
            6 => format!("{service}:{}x", &name[..name.len() - 1]),
            _ => subject.action.to_owned(),
        };
        // A trust policy has but few actions.
        if kind == Some(Kind::Trust) && !action.to_ascii_lowercase().ends_with("assumerole") {
            return "sts:TagSession".to_owned();
        }
        action
    }

    /// With a wildcard instead of some of its characters.
    fn starred(&mut self, text: &str) -> String {
        let mut characters: Vec<char> = text.chars().collect();
        if characters.is_empty() {
            return "*".to_owned();
        }
        let from = self.random.usize(0..characters.len());
        if self.chance(30) {
            characters[from] = '?';
        } else {
            let to = self.random.usize(from..=characters.len());
            characters.splice(from..to, ['*']);
        }
        characters.into_iter().collect()
    }

    fn resource(&mut self, subject: &Subject<'_>, has_variables: bool) -> String {
        if subject.resource == "*" || self.chance(20) {
            return self
                .pick(&["*", "*", "arn:aws:codebuild:us-east-1:000000000000:project/demo", "arn:aws:s3:::store/*"])
                .to_owned();
        }
        let mut parts: Vec<String> = subject.resource.splitn(6, ':').map(str::to_owned).collect();
        match self.random.u32(0..10) {
            0 | 1 => parts[5] = self.starred(&parts[5].clone()),
            2 => {
                let at = self.random.usize(1..5);
                parts[at] = "*".to_owned();
            }
            3 if has_variables => {
                let variable = self.variable();
                let name = parts[5].clone();
                parts[5] = match name.rsplit_once('/') {
                    Some((before, _)) => format!("{before}/{variable}"),
                    None => variable,
                };
            }
            4 => parts[5].push('x'),
            5 => parts[5] = parts[5].to_uppercase(),
            6 => parts[5] = "*".to_owned(),
            _ => {}
        }
        parts.join(":")
    }

    fn variable(&mut self) -> String {
        match self.random.u32(0..8) {
            0 => "${aws:PrincipalTag/team, 'demo'}".to_owned(),
            1 => "${aws:TagKeys}".to_owned(),
            2 => "${*}".to_owned(),
            3 => "${?}emo".to_owned(),
            4 => "${aws:USERNAME}".to_owned(),
            5 => "${aws:ResourceTag/env}*".to_owned(),
            6 => "${aws:PrincipalTag/none}".to_owned(),
            _ => "${aws:PrincipalTag/team}".to_owned(),
        }
    }

    fn principal(&mut self, subject: &Subject<'_>, is_negated: bool) -> Value {
        let account = subject.principal.account().unwrap_or(ACCOUNT).to_owned();
        let mut own = match subject.principal {
            Principal::User { arn, .. } => vec![arn.clone()],
            Principal::Session { arn, role, .. } => vec![arn.clone(), role.clone()],
            Principal::FederatedUser { arn, .. } => vec![arn.clone()],
            _ => Vec::new(),
        };
        own.push(format!("arn:aws:iam::{account}:root"));
        if is_negated && self.chance(70) {
            return json!({ "AWS": own });
        }
        match self.random.u32(0..12) {
            0 => json!("*"),
            1 => json!({ "AWS": "*" }),
            2 => json!({ "AWS": account }),
            3 => json!({ "AWS": [format!("arn:aws:iam::{OTHER}:root"), format!("arn:aws:iam::{ACCOUNT}:user/bob")] }),
            4 => json!({ "Service": "codebuild.amazonaws.com" }),
            5 => json!({ "Service": ["events.amazonaws.com"], "AWS": own }),
            6 => json!({ "AWS": format!("arn:aws:iam::{account}:user/alice") }),
            _ => json!({ "AWS": self.pick(&own) }),
        }
    }

    fn conditions(&mut self, subject: &Subject<'_>, has_variables: bool) -> Value {
        let mut all = Map::new();
        for _ in 0..self.random.usize(1..4) {
            let (key, kind) = self.pick(&KEYS_WITH_TYPES);
            let operator = self.operator(kind);
            let wanted = subject.context.get(key);
            let is_list = operator != "Null" && self.chance(35);
            let count = if is_list { self.random.usize(1..4) } else { 1 };
            let values: Vec<Value> = (0..count).map(|_| self.value(&operator, kind, wanted, has_variables)).collect();
            let values = if is_list { json!(values) } else { values[0].clone() };
            let key = if self.chance(20) { key.to_uppercase() } else { key.to_owned() };
            let keys = all.entry(operator).or_insert_with(|| json!({}));
            // The same key in other letters is the same key: that is a mistake, not a case.
            if !keys.as_object().unwrap().keys().any(|known| known.eq_ignore_ascii_case(&key)) {
                keys[key] = values;
            }
        }
        Value::Object(all)
    }

    fn operator(&mut self, kind: Type) -> String {
        const TEXT: &[&str] = &[
            "StringEquals",
            "StringNotEquals",
            "StringEqualsIgnoreCase",
            "StringNotEqualsIgnoreCase",
            "StringLike",
            "StringNotLike",
        ];
        const SIX: [&str; 6] =
            ["Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"];
        if self.chance(10) {
            return "Null".to_owned();
        }
        let plain = match kind {
            Type::Text | Type::Texts => self.pick(TEXT).to_owned(),
            Type::Number => format!("Numeric{}", self.pick(&SIX)),
            Type::Date => format!("Date{}", self.pick(&SIX)),
            Type::Bool => "Bool".to_owned(),
            Type::Address => self.pick(&["IpAddress", "NotIpAddress"]).to_owned(),
            Type::Arn => self.pick(&["ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike", "StringLike"]).to_owned(),
        };
        let qualifier = match kind {
            Type::Texts => self.pick(&["", "ForAllValues:", "ForAnyValue:", "ForAnyValue:"]),
            _ => self.pick(&["", "", "", "", "ForAllValues:", "ForAnyValue:"]),
        };
        let if_exists = if self.chance(20) { "IfExists" } else { "" };
        format!("{qualifier}{plain}{if_exists}")
    }

    fn value(&mut self, operator: &str, kind: Type, wanted: Option<&Value>, has_variables: bool) -> Value {
        if operator == "Null" {
            return self.pick(&[json!("true"), json!("false"), json!(true), json!(false)]);
        }
        let wanted = match wanted {
            Some(Value::Array(values)) => Some(self.pick(values)),
            other => other.cloned(),
        };
        let near = match wanted {
            Some(Value::String(text)) if self.chance(60) => text,
            _ => self.pick(values(kind)).to_owned(),
        };
        match kind {
            Type::Text | Type::Texts if has_variables && self.chance(12) => {
                // What is compared as it stands needs no escape, and the oracle knows none there.
                let variable = self.variable();
                let is_escape = variable.starts_with("${*}") || variable.starts_with("${?}");
                json!(if is_escape && !operator.contains("Like") { near } else { variable })
            }
            Type::Text | Type::Texts if self.chance(25) => json!(self.starred(&near)),
            Type::Number if self.chance(30) => serde_json::from_str(&near).unwrap(),
            Type::Bool if self.chance(30) => json!(near == "true"),
            Type::Address if self.chance(50) => match near.contains(':') {
                true => json!(format!("{near}/{}", self.pick(&["32", "16", "127", "0"]))),
                false => json!(format!("{near}/{}", self.pick(&["8", "24", "31", "1"]))),
            },
            Type::Arn if self.chance(40) => {
                let mut parts: Vec<String> = near.splitn(6, ':').map(str::to_owned).collect();
                let at = self.random.usize(1..6);
                parts[at] = self.starred(&parts[at].clone());
                json!(parts.join(":"))
            }
            _ => json!(near),
        }
    }
}
