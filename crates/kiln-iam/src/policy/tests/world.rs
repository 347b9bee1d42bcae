//! Requests and policies as the tests write them.

use serde_json::{Value, json};

use super::super::{Context, Decision, Kind, Policies, Policy, Principal, Request, ResourceRule, evaluate};

pub(super) const ACCOUNT: &str = "000000000000";
pub(super) const OTHER: &str = "111122223333";
pub(super) const PROJECT: &str = "arn:aws:codebuild:us-east-1:000000000000:project/demo";

pub(super) fn alice() -> Principal {
    user(ACCOUNT)
}

pub(super) fn user(account: &str) -> Principal {
    Principal::User { account: account.to_owned(), arn: format!("arn:aws:iam::{account}:user/alice") }
}

pub(super) fn session(account: &str) -> Principal {
    Principal::Session {
        account: account.to_owned(),
        arn: format!("arn:aws:sts::{account}:assumed-role/deploy/s1"),
        role: format!("arn:aws:iam::{account}:role/deploy"),
    }
}

pub(super) fn root(account: &str) -> Principal {
    Principal::Root { account: account.to_owned() }
}

/// A policy of some statements.
#[track_caller]
pub(super) fn policy(kind: Kind, statements: Value) -> Policy {
    Policy::parse(kind, &json!({ "Version": "2012-10-17", "Statement": statements }).to_string()).unwrap()
}

/// `Allow` or `Deny` of an action on a resource.
pub(super) fn statement(effect: &str, action: &str, resource: &str) -> Value {
    json!({ "Effect": effect, "Action": action, "Resource": resource })
}

pub(super) fn allow(action: &str) -> Policy {
    policy(Kind::Managed, statement("Allow", action, "*"))
}

/// A policy of the project, or with another rule of a key.
pub(super) fn allow_for(principal: &Value) -> Policy {
    policy(Kind::Key, json!({ "Effect": "Allow", "Principal": principal, "Action": "codebuild:*", "Resource": "*" }))
}

/// Asks whether the principal may start a build of the project.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) principal: Principal,
    pub(super) action: String,
    pub(super) resource: String,
    pub(super) context: Context,
    pub(super) identity: Vec<Policy>,
    pub(super) boundary: Option<Policy>,
    pub(super) session: Option<Policy>,
    pub(super) resource_policy: Option<Policy>,
    pub(super) rule: ResourceRule,
}

impl Asked {
    pub(super) fn by(principal: Principal) -> Self {
        Self {
            principal,
            action: "codebuild:StartBuild".to_owned(),
            resource: PROJECT.to_owned(),
            context: Context::new(),
            identity: Vec::new(),
            boundary: None,
            session: None,
            resource_policy: None,
            rule: ResourceRule::Sufficient,
        }
    }

    /// With one policy of the identity, of these statements.
    pub(super) fn under(statements: Value) -> Self {
        Self { identity: vec![policy(Kind::Managed, statements)], ..Self::by(alice()) }
    }

    pub(super) fn with(mut self, key: &str, value: &str) -> Self {
        self.context.set(key, value);
        self
    }

    pub(super) fn with_many(mut self, key: &str, values: &[&str]) -> Self {
        self.context.set_many(key, values.iter().copied());
        self
    }

    pub(super) fn decision(&self) -> Decision {
        let identity: Vec<&Policy> = self.identity.iter().collect();
        let session: Option<Vec<&Policy>> = self.session.as_ref().map(|policy| vec![policy]);
        evaluate(
            &Request {
                principal: &self.principal,
                action: &self.action,
                resource: &self.resource,
                account: ACCOUNT,
                context: &self.context,
            },
            &Policies {
                identity: &identity,
                boundary: self.boundary.as_ref(),
                session: session.as_deref(),
                resource: self.resource_policy.as_ref(),
                rule: self.rule,
            },
        )
    }

    pub(super) fn is_allowed(&self) -> bool {
        self.decision().is_allowed()
    }
}
