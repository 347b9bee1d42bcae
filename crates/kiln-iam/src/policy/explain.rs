//! Why something is decided, statement by statement; and what of a policy a simulation asks for.

use std::{collections::BTreeSet, fmt};

use super::{
    action::ActionName,
    context::{Context, KeyName, Values},
    document::Policy,
    evaluate::{Effect, Layer, Policies, Request, ResourceRule},
    resource::Target,
    statement::{Question, Statement},
};

/// What a statement has to say of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// Kind of its policy.
    pub layer: Layer,
    /// Which of the policies of that kind, from 0.
    pub policy: usize,
    /// Which of its statements, from 0.
    pub statement: usize,
    /// The statement's `Sid`.
    pub sid: Option<String>,
    /// What it does when it applies.
    pub effect: Effect,
    /// Why it does not apply, the first reason; `None`: it applies.
    pub why_not: Option<WhyNot>,
}

/// Why a statement does not apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyNot {
    /// It is about other actions.
    Action,
    /// It is about other resources.
    Resource,
    /// It names somebody else.
    Principal,
    /// A condition does not hold: its operator and key, and the values that the request has.
    Condition {
        /// E.g. `StringEquals`.
        operator: String,
        /// E.g. `aws:resourcetag/env`, in lower case.
        key: String,
        /// What the request says; none: it does not have the key.
        values: Vec<String>,
    },
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Action => f.write_str("other actions"),
            Self::Resource => f.write_str("other resources"),
            Self::Principal => f.write_str("another principal"),
            Self::Condition { operator, key, values } if values.is_empty() => {
                write!(f, "{operator} {key}: the call does not have it")
            }
            Self::Condition { operator, key, values } => {
                write!(f, "{operator} {key}: the call has {}", values.join(", "))
            }
        }
    }
}

/// Says of every statement whether it applies to a request, and why not. Empty when the request names no action or
/// resource.
#[must_use]
pub fn explain(request: &Request<'_>, policies: &Policies<'_>) -> Vec<Explained> {
    let (Some(action), Some(target)) = (ActionName::new(request.action), Target::new(request.resource)) else {
        return Vec::new();
    };
    let question = Question {
        principal: request.principal,
        is_bounded: policies.boundary.is_some(),
        action,
        target,
        context: request.context,
    };
    let Policies { identity, boundary, session, resource, rule } = *policies;
    let resource_layer = if rule == ResourceRule::Trust { Layer::Trust } else { Layer::Resource };
    let numbered = |layer: Layer, policies: &[&Policy]| -> Vec<Explained> {
        let each = policies.iter().enumerate();
        each.flat_map(|(at, policy)| of_policy(layer, at, policy, &question)).collect()
    };
    let mut all = numbered(Layer::Identity, identity);
    for (layer, policy) in [(resource_layer, resource), (Layer::Boundary, boundary)] {
        all.extend(policy.map(|policy| of_policy(layer, 0, policy, &question)).unwrap_or_default());
    }
    all.extend(numbered(Layer::Session, session.unwrap_or_default()));
    all
}

fn of_policy(layer: Layer, policy_at: usize, policy: &Policy, question: &Question<'_>) -> Vec<Explained> {
    let of = |(at, statement): (usize, &Statement)| Explained {
        layer,
        policy: policy_at,
        statement: at,
        sid: statement.sid.clone(),
        effect: statement.effect,
        why_not: statement.why_not(question),
    };
    policy.statements().iter().enumerate().map(of).collect()
}

impl Policy {
    /// The names of the condition keys that the policy looks at, variables included, in lower case.
    #[must_use]
    pub fn context_keys(&self) -> BTreeSet<String> {
        self.statements().iter().flat_map(Statement::context_keys).collect()
    }
}

/// What a request has under a key.
pub(super) fn values_of(context: &Context, key: &KeyName) -> Vec<String> {
    match context.get(key) {
        None => Vec::new(),
        Some(Values::One(value)) => vec![value.clone()],
        Some(Values::Many(values)) => values.clone(),
    }
}

/// A place in a text: line and column, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// Where the statements of a policy's text begin and end (behind the last character). Only for a text that
/// [`Policy::parse`] takes.
#[must_use]
pub fn places(text: &str) -> Vec<(Place, Place)> {
    let mut scan = Scan { text, at: 0, depth: 0 };
    let mut found = Vec::new();
    // Members of the outermost object; of `Statement` the objects in it, one or a list.
    let mut name = None;
    while let Some(token) = scan.next() {
        match token {
            Token::Text(text) if scan.depth == 1 => name = Some(text),
            Token::Comma if scan.depth == 1 => name = None,
            Token::Open(at)
                if name == Some("Statement") && text.get(at..).is_some_and(|rest| rest.starts_with('{')) =>
            {
                let depth = scan.depth - 1;
                while scan.depth > depth && scan.next().is_some() {}
                found.push((place(text, at), place(text, scan.at)));
            }
            _ => {}
        }
    }
    found
}

fn place(text: &str, at: usize) -> Place {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Place { line, column }
}

/// Walks over the tokens of a JSON text.
struct Scan<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

enum Token<'a> {
    Open(usize),
    Close,
    Text(&'a str),
    Comma,
    Other,
}

impl<'a> Scan<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        let rest = self.text.get(self.at..)?;
        let first = rest.chars().next()?;
        let begin = self.at;
        self.at += first.len_utf8();
        Some(match first {
            '{' | '[' => {
                self.depth += 1;
                Token::Open(begin)
            }
            '}' | ']' => {
                self.depth = self.depth.saturating_sub(1);
                Token::Close
            }
            ',' => Token::Comma,
            '"' => {
                let mut is_escaped = false;
                let end = rest.char_indices().skip(1).find(|(_, letter)| {
                    let ends = *letter == '"' && !is_escaped;
                    is_escaped = *letter == '\\' && !is_escaped;
                    ends
                });
                let end = end.map_or(rest.len(), |(end, _)| end);
                self.at = (begin + end + 1).min(self.text.len());
                Token::Text(rest.get(1..end).unwrap_or_default())
            }
            _ => Token::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Kind, Principal};

    const TEXT: &str = r#"{
  "Version": "2012-10-17",
  "Id": "Statement",
  "Statement": [
    { "Sid": "Own", "Effect": "Allow", "Action": "codebuild:StartBuild",
      "Resource": "arn:aws:codebuild:*:*:project/${aws:username}",
      "Condition": { "StringEquals": { "aws:ResourceTag/Env": ["test", "a\"}"] } } },
    { "Effect": "Deny", "Action": "s3:*", "Resource": "*" }
  ]
}"#;

    #[test]
    fn statements_are_found_in_their_text() {
        let found = places(TEXT);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0], (Place { line: 5, column: 5 }, Place { line: 7, column: 85 }));
        assert_eq!(found[1], (Place { line: 8, column: 5 }, Place { line: 8, column: 60 }));
        let one = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
        assert_eq!(places(one), [(Place { line: 1, column: 37 }, Place { line: 1, column: 83 })]);
        for text in ["", "{", "\"", "{\"Statement\":[{", "\\"] {
            drop(places(text)); // comes to an end
        }
    }

    #[test]
    fn every_statement_says_why_it_does_not_apply() {
        let policy = Policy::parse(Kind::Managed, TEXT).unwrap();
        assert_eq!(policy.context_keys().into_iter().collect::<Vec<_>>(), ["aws:resourcetag/env", "aws:username"]);
        let account = "000000000000".to_owned();
        let principal = Principal::User { arn: format!("arn:aws:iam::{account}:user/alice"), account };
        let ask = |action: &str, resource: &str, env: Option<&str>| {
            let mut context = Context::new();
            context.set("aws:username", "alice");
            if let Some(env) = env {
                context.set("aws:ResourceTag/Env", env);
            }
            let request =
                Request { principal: &principal, action, resource, account: "000000000000", context: &context };
            let policies = Policies { identity: &[&policy], ..Policies::default() };
            explain(&request, &policies).into_iter().map(|one| one.why_not).collect::<Vec<_>>()
        };
        let own = "arn:aws:codebuild:us-east-1:000000000000:project/alice";
        let missing = |values: Vec<String>| WhyNot::Condition {
            operator: "StringEquals".to_owned(),
            key: "aws:resourcetag/env".to_owned(),
            values,
        };
        assert_eq!(ask("codebuild:StartBuild", own, Some("test")), [None, Some(WhyNot::Action)]);
        assert_eq!(ask("codebuild:StartBuild", own, None)[0], Some(missing(Vec::new())));
        assert_eq!(ask("codebuild:StartBuild", own, Some("prod"))[0], Some(missing(vec!["prod".to_owned()])));
        let other = "arn:aws:codebuild:us-east-1:000000000000:project/bob";
        assert_eq!(ask("codebuild:StartBuild", other, Some("test"))[0], Some(WhyNot::Resource));
        assert_eq!(ask("s3:GetObject", "arn:aws:s3:::b/k", None), [Some(WhyNot::Action), None]);
        assert!(ask("nonsense", own, None).is_empty());
    }
}
