//! A request with its policies, as Kiln and as the oracle take it.

use std::{collections::BTreeMap, fmt};

use kiln_iam::policy::{Context, Decision, Kind, Policies, Policy, Principal, Request, ResourceRule, evaluate};
use serde_json::{Value, json};

/// One case.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) principal: Principal,
    pub(crate) action: String,
    pub(crate) resource: String,
    pub(crate) account: String,
    /// A text, or a list of texts for keys that may have several values.
    pub(crate) context: BTreeMap<String, Value>,
    pub(crate) identity: Vec<Value>,
    pub(crate) boundary: Option<Value>,
    pub(crate) session: Option<Value>,
    pub(crate) resource_policy: Option<(Kind, Value)>,
}

impl Case {
    fn principal_for_oracle(&self) -> Value {
        match &self.principal {
            Principal::Anonymous => json!({ "type": "Anonymous" }),
            Principal::Root { account } => json!(format!("arn:aws:iam::{account}:root")),
            Principal::User { arn, .. } | Principal::Session { arn, .. } | Principal::FederatedUser { arn, .. } => {
                json!(arn)
            }
            Principal::Service { name } => json!(name),
            Principal::WebIdentity { provider } => json!(provider),
        }
    }

    /// The document that the oracle reads.
    pub(crate) fn for_oracle(&self) -> Value {
        let named = |policies: &[Value]| -> Vec<Value> {
            policies
                .iter()
                .enumerate()
                .map(|(at, policy)| json!({ "name": format!("p{at}"), "policy": policy }))
                .collect()
        };
        // It takes root for a user like any other.
        let everything =
            json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Action": "*", "Resource": "*" } });
        let is_root = matches!(self.principal, Principal::Root { .. });
        let identity = if is_root { vec![everything] } else { self.identity.clone() };
        let mut simulation = json!({
            "request": {
                "principal": self.principal_for_oracle(),
                "action": self.action,
                "resource": { "resource": self.resource, "accountId": self.account },
                "contextVariables": self.context,
            },
            "identityPolicies": named(&identity),
            "serviceControlPolicies": [],
            "resourceControlPolicies": [],
        });
        if let Some(boundary) = &self.boundary {
            simulation["permissionBoundaryPolicies"] = json!(named(std::slice::from_ref(boundary)));
        }
        if let Some(session) = &self.session {
            simulation["sessionPolicy"] = session.clone();
        }
        if let Some((_, policy)) = &self.resource_policy {
            simulation["resourcePolicy"] = policy.clone();
        }
        simulation
    }

    /// The same without condition keys that the oracle leaves out.
    pub(crate) fn without(&self, ignored: &[String]) -> Self {
        let mut case = self.clone();
        case.context.retain(|name, _| !ignored.iter().any(|ignored| ignored.eq_ignore_ascii_case(name)));
        case
    }

    /// Kiln's decision.
    pub(crate) fn decide(&self) -> Decision {
        let mut context = Context::new();
        for (name, value) in &self.context {
            match value {
                Value::Array(values) => context.set_many(name, values.iter().map(|value| value.as_str().unwrap())),
                value => context.set(name, value.as_str().unwrap()),
            }
        }
        let parse = |kind: Kind, policy: &Value| match Policy::parse(kind, &policy.to_string()) {
            Ok(policy) => policy,
            Err(error) => panic!("{error}\n{self}"),
        };
        let identity: Vec<Policy> = self.identity.iter().map(|policy| parse(Kind::RoleInline, policy)).collect();
        let boundary = self.boundary.as_ref().map(|policy| parse(Kind::Managed, policy));
        let session = self.session.as_ref().map(|policy| parse(Kind::Session, policy));
        let resource = self.resource_policy.as_ref().map(|(kind, policy)| parse(*kind, policy));
        let rule = match self.resource_policy {
            Some((Kind::Trust, _)) => ResourceRule::Trust,
            Some((Kind::Key, _)) => ResourceRule::Key,
            _ => ResourceRule::Sufficient,
        };
        let identity: Vec<&Policy> = identity.iter().collect();
        let session: Option<Vec<&Policy>> = session.as_ref().map(|policy| vec![policy]);
        evaluate(
            &Request {
                principal: &self.principal,
                action: &self.action,
                resource: &self.resource,
                account: &self.account,
                context: &context,
            },
            &Policies {
                identity: &identity,
                boundary: boundary.as_ref(),
                session: session.as_deref(),
                resource: resource.as_ref(),
                rule,
            },
        )
    }

    /// The statements of all its policies.
    pub(crate) fn statements(&self) -> impl Iterator<Item = &Value> {
        let policies = self
            .identity
            .iter()
            .chain(&self.boundary)
            .chain(&self.session)
            .chain(self.resource_policy.iter().map(|(_, policy)| policy));
        policies.flat_map(|policy| policy["Statement"].as_array().unwrap())
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.for_oracle())
    }
}
