//! A statement of a policy.

use std::collections::BTreeSet;

use super::{
    action::{ActionName, ActionPattern},
    condition::{self, Condition},
    context::Context,
    error::{PolicyError, quoted},
    evaluate::Effect,
    explain::{WhyNot, values_of},
    json::Json,
    kind::Kind,
    principal::{self, Principal, PrincipalMatch, Standing},
    resource::{ResourcePattern, Target, Use},
    variable::variables_in,
};

/// A statement, ready to be asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Statement {
    pub(super) sid: Option<String>,
    pub(super) effect: Effect,
    /// `None` where the policy's kind has none.
    pub(super) principal: Option<PrincipalMatch>,
    actions: Listed<ActionPattern>,
    /// `None` where the policy's kind has none.
    pub(super) resources: Option<Listed<ResourcePattern>>,
    conditions: Vec<Condition>,
}

/// A list, or all that is not in it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Listed<T> {
    pub(super) items: Vec<T>,
    is_negated: bool,
}

impl<T> Listed<T> {
    fn contains(&self, matches: impl FnMut(&T) -> bool) -> bool {
        self.items.iter().any(matches) != self.is_negated
    }
}

/// What statements are asked about.
pub(super) struct Question<'a> {
    pub(super) principal: &'a Principal,
    /// The principal has a permissions boundary.
    pub(super) is_bounded: bool,
    pub(super) action: ActionName,
    pub(super) target: Target<'a>,
    pub(super) context: &'a Context,
}

impl Statement {
    pub(super) fn parse(value: &Json, kind: Kind, has_variables: bool, place: &str) -> Result<Self, PolicyError> {
        let Json::Object(members) = value else {
            return Err(PolicyError::syntax(place, format!("expected an object, not {}", value.kind())));
        };
        let elements = Elements { members, place };
        elements.check_names(kind)?;
        let effect = match elements.get("Effect") {
            Some(Json::Text(effect)) if effect == "Allow" => Effect::Allow,
            Some(Json::Text(effect)) if effect == "Deny" => Effect::Deny,
            Some(_) => return Err(PolicyError::syntax(format!("{place}.Effect"), "expected \"Allow\" or \"Deny\"")),
            None => return Err(PolicyError::new("Missing required field Effect.", place, "a statement has an Effect")),
        };
        let conditions = match elements.get("Condition") {
            Some(value) => condition::parse(value, has_variables, &format!("{place}.Condition"))?,
            None => Vec::new(),
        };
        Ok(Self {
            sid: elements.sid(kind)?,
            effect,
            principal: elements.principal(kind, effect)?,
            actions: elements.actions(kind)?,
            resources: elements.resources(kind, has_variables)?,
            conditions,
        })
    }

    /// The services whose actions it may speak of; `None`: any.
    pub(super) fn services(&self) -> Option<BTreeSet<&str>> {
        if self.actions.is_negated {
            return None;
        }
        self.actions.items.iter().map(ActionPattern::service).collect()
    }

    /// Whether its resources are those of the question; always, where the policy's kind has none.
    fn is_about(&self, question: &Question<'_>) -> bool {
        self.resources.as_ref().is_none_or(|resources| {
            let use_of = match (self.effect, resources.is_negated) {
                (Effect::Allow, false) => Use::Allow,
                (Effect::Allow, true) => Use::AllowAllBut,
                (Effect::Deny, false) => Use::Deny,
                (Effect::Deny, true) => Use::DenyAllBut,
            };
            resources.contains(|resource| resource.matches(question.context, &question.target, use_of))
        })
    }

    /// The first reason why it does not apply; `None`: it does.
    pub(super) fn why_not(&self, question: &Question<'_>) -> Option<WhyNot> {
        if !self.actions.contains(|action| action.matches(&question.action)) {
            return Some(WhyNot::Action);
        }
        if !self.is_about(question) {
            return Some(WhyNot::Resource);
        }
        if let Some(condition) = Condition::first_that_fails(&self.conditions, self.effect, question.context) {
            return Some(WhyNot::Condition {
                operator: condition.operator_name(),
                key: condition.key().text().to_owned(),
                values: values_of(question.context, condition.key()),
            });
        }
        self.standings(question).is_empty().then_some(WhyNot::Principal)
    }

    /// The condition keys that it looks at, in lower case.
    pub(super) fn context_keys(&self) -> impl Iterator<Item = String> {
        let resources = self.resources.iter().flat_map(|list| &list.items);
        let variables = resources.flat_map(|resource| variables_in(&resource.text));
        self.conditions.iter().flat_map(Condition::keys).chain(variables)
    }

    /// How the statement speaks of the question, when it does; identity policies speak of everybody who has them.
    pub(super) fn standings(&self, question: &Question<'_>) -> Vec<Standing> {
        // In the order of what they cost: a resource with variables is put together anew for each question.
        let speaks = self.actions.contains(|action| action.matches(&question.action))
            && Condition::all_hold(&self.conditions, self.effect, question.context)
            && self.is_about(question);
        if !speaks {
            return Vec::new();
        }
        match &self.principal {
            None => vec![Standing::Own],
            Some(principal) => principal.standings(question.principal, question.is_bounded).collect(),
        }
    }
}

/// The members of a statement.
struct Elements<'a> {
    members: &'a [(String, Json)],
    place: &'a str,
}

impl Elements<'_> {
    fn get(&self, name: &str) -> Option<&Json> {
        self.members.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    fn check_names(&self, kind: Kind) -> Result<(), PolicyError> {
        for (name, _) in self.members {
            let place = format!("{}.{}", self.place, quoted(name));
            match name.as_str() {
                "Sid" | "Effect" | "Action" | "NotAction" | "Condition" => {}
                "Principal" | "NotPrincipal" if kind.has_principal() => {}
                "Principal" | "NotPrincipal" => {
                    return Err(PolicyError::new(
                        "Policy document should not specify a principal.",
                        place,
                        "the policy is about those who have it",
                    ));
                }
                "Resource" | "NotResource" if kind.has_resource() => {}
                "Resource" | "NotResource" => {
                    return Err(PolicyError::new(
                        format!("Has prohibited field {name}"),
                        place,
                        "the policy is about what it is part of",
                    ));
                }
                _ => {
                    return Err(PolicyError::syntax(
                        place,
                        "no statement has such an element (their names are case-sensitive)",
                    ));
                }
            }
        }
        Ok(())
    }

    /// The one of two elements that is there.
    fn either(&self, plain: &str, negated: &str, missing: &str) -> Result<(&Json, bool, String), PolicyError> {
        match (self.get(plain), self.get(negated)) {
            (Some(value), None) => Ok((value, false, format!("{}.{plain}", self.place))),
            (None, Some(value)) => Ok((value, true, format!("{}.{negated}", self.place))),
            (None, None) => Err(PolicyError::new(missing, self.place, format!("a statement has {plain} or {negated}"))),
            (Some(_), Some(_)) => {
                Err(PolicyError::syntax(self.place, format!("a statement has either {plain} or {negated}")))
            }
        }
    }

    fn sid(&self, kind: Kind) -> Result<Option<String>, PolicyError> {
        let place = || format!("{}.Sid", self.place);
        match self.get("Sid") {
            None => Ok(None),
            Some(Json::Text(sid)) if kind.has_principal() || sid.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                Ok((!sid.is_empty()).then(|| sid.clone()))
            }
            Some(Json::Text(_)) => Err(PolicyError::new(
                "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression \
                 [0-9A-Za-z]*",
                place(),
                "it has other characters",
            )),
            Some(other) => Err(PolicyError::syntax(place(), format!("expected a text, not {}", other.kind()))),
        }
    }

    fn principal(&self, kind: Kind, effect: Effect) -> Result<Option<PrincipalMatch>, PolicyError> {
        if !kind.has_principal() {
            return Ok(None);
        }
        let (value, is_negated, place) =
            self.either("Principal", "NotPrincipal", "Missing required field Principal")?;
        if is_negated && (effect == Effect::Allow || kind == Kind::Trust) {
            return Err(PolicyError::new(
                "Invalid policy syntax.",
                place,
                "NotPrincipal with Allow would allow everybody who is not named, nobody at all included: name those \
                 whom you mean in Principal",
            ));
        }
        Ok(Some(PrincipalMatch { entries: principal::parse(value, &place)?, is_negated }))
    }

    fn actions(&self, kind: Kind) -> Result<Listed<ActionPattern>, PolicyError> {
        let missing = "Policy statement must contain actions.";
        let (value, is_negated, place) = self.either("Action", "NotAction", missing)?;
        let mut items = Vec::new();
        for (text, place) in texts(value, &place, missing)? {
            let action = ActionPattern::parse(text, &place)?;
            check_service(kind, &action, is_negated, &place)?;
            items.push(action);
        }
        Ok(Listed { items, is_negated })
    }

    fn resources(&self, kind: Kind, has_variables: bool) -> Result<Option<Listed<ResourcePattern>>, PolicyError> {
        if !kind.has_resource() {
            return Ok(None);
        }
        let missing = "Policy statement must contain resources.";
        let (value, is_negated, place) = self.either("Resource", "NotResource", missing)?;
        let items = texts(value, &place, missing)?
            .into_iter()
            .map(|(text, place)| ResourcePattern::parse(text, has_variables, &place))
            .collect::<Result<_, _>>()?;
        Ok(Some(Listed { items, is_negated }))
    }
}

/// A policy of a resource speaks of its service's actions only.
fn check_service(kind: Kind, action: &ActionPattern, is_negated: bool, place: &str) -> Result<(), PolicyError> {
    let (expected, sentence) = match kind {
        Kind::Trust => ("sts", "AssumeRole policy may only specify STS AssumeRole actions."),
        Kind::Bucket => ("s3", "Policy has invalid action"),
        Kind::Project => ("codebuild", "Policy has invalid action"),
        Kind::Secret => ("secretsmanager", "Policy has invalid action"),
        Kind::Repository => ("ecr", "Policy has invalid action"),
        _ => return Ok(()),
    };
    let is_own = action.service().map_or(kind != Kind::Trust, |service| service == expected);
    if is_own && !(is_negated && kind == Kind::Trust) {
        return Ok(());
    }
    Err(PolicyError::new(sentence, place, format!("expected actions of {expected}")))
}

/// The texts of an element, with their places.
fn texts<'a>(value: &'a Json, place: &str, missing: &str) -> Result<Vec<(&'a str, String)>, PolicyError> {
    let is_list = matches!(value, Json::List(_));
    let mut texts = Vec::new();
    for (at, item) in value.items().iter().enumerate() {
        let place = if is_list { format!("{place}[{at}]") } else { place.to_owned() };
        match item {
            Json::Text(text) => texts.push((text.as_str(), place)),
            other => return Err(PolicyError::syntax(place, format!("expected a text, not {}", other.kind()))),
        }
    }
    if texts.is_empty() { Err(PolicyError::new(missing, place, "the list is empty")) } else { Ok(texts) }
}
