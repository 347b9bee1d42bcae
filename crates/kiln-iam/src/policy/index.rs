//! Which statements of a policy a question has to be put to.

use std::collections::{BTreeMap, BTreeSet};

use super::{evaluate::Effect, statement::Statement};

/// The numbers of a policy's statements by what they do and whose actions they name. Most statements are about other
/// services than the question, and most policies deny nothing: neither is to cost anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    allow: ByService,
    deny: ByService,
}

/// Numbers of statements, each list in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ByService {
    /// Those that may speak of a service's actions, for each that is named.
    named: Vec<(Box<str>, Box<[usize]>)>,
    /// Those that may speak of any other service's.
    others: Box<[usize]>,
}

impl Index {
    pub(super) fn new(statements: &[Statement]) -> Self {
        let of = |effect| ByService::new(statements.iter().enumerate().filter(move |(_, one)| one.effect == effect));
        Self { allow: of(Effect::Allow), deny: of(Effect::Deny) }
    }

    /// The statements with that effect that may speak of actions of that service, in their order.
    pub(super) fn candidates(&self, effect: Effect, service: &str) -> &[usize] {
        let by_service = match effect {
            Effect::Allow => &self.allow,
            Effect::Deny => &self.deny,
        };
        let named = by_service.named.iter().find(|(named, _)| **named == *service);
        named.map_or(&by_service.others, |(_, statements)| statements)
    }
}

impl ByService {
    fn new<'a>(statements: impl Iterator<Item = (usize, &'a Statement)> + Clone) -> Self {
        let services: BTreeSet<&str> = statements.clone().filter_map(|(_, one)| one.services()).flatten().collect();
        let mut named: BTreeMap<&str, Vec<usize>> = services.into_iter().map(|name| (name, Vec::new())).collect();
        let mut others = Vec::new();
        for (at, statement) in statements {
            let services = statement.services();
            named
                .iter_mut()
                .filter(|(name, _)| services.as_ref().is_none_or(|services| services.contains(*name)))
                .for_each(|(_, all)| all.push(at));
            if services.is_none() {
                others.push(at);
            }
        }
        let named = named.into_iter().map(|(name, all)| (Box::from(name), all.into())).collect();
        Self { named, others: others.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Kind, Policy};

    #[test]
    fn statements_are_found_by_effect_and_service() {
        let policy = Policy::parse(
            Kind::Managed,
            r#"{"Version":"2012-10-17","Statement":[
                {"Effect":"Allow","Action":["S3:Get*","codebuild:*"],"Resource":"*"},
                {"Effect":"Deny","NotAction":"s3:*","Resource":"*"},
                {"Effect":"Allow","Action":"s3:PutObject","Resource":"*"},
                {"Effect":"Allow","Action":["*","kms:Decrypt"],"Resource":"*"},
                {"Effect":"Deny","Action":"codebuild:StopBuild","Resource":"*"}
            ]}"#,
        )
        .unwrap();
        let index = Index::new(policy.statements());
        for (effect, service, expected) in [
            (Effect::Allow, "s3", &[0, 2, 3][..]),
            (Effect::Allow, "codebuild", &[0, 3]),
            (Effect::Allow, "logs", &[3]),
            (Effect::Allow, "kms", &[3]),
            (Effect::Deny, "s3", &[1]),
            (Effect::Deny, "codebuild", &[1, 4]),
            (Effect::Deny, "logs", &[1]),
        ] {
            assert_eq!(index.candidates(effect, service), expected, "{effect:?} {service}");
        }
    }
}
