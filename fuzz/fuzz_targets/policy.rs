//! Any bytes as a policy: no panic, bounded time, and what is read decides something; an added denial denies.
#![no_main]

use kiln_iam::policy::{Context, Kind, Policies, Policy, Principal, Request, ResourceRule, evaluate};
use libfuzzer_sys::fuzz_target;

const DENY: &str = r#"{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}"#;

fuzz_target!(|input: (&str, &str, &str)| {
    let (text, value, resource) = input;
    let deny = Policy::parse(Kind::Managed, DENY).expect("a policy");
    let mut context = Context::new();
    context.set("aws:username", value);
    context.set_many("aws:TagKeys", value.split(' '));
    let account = "000000000000".to_owned();
    let principal = Principal::User { arn: format!("arn:aws:iam::{account}:user/x"), account };
    for kind in [Kind::Managed, Kind::Trust, Kind::Session, Kind::Bucket, Kind::Key, Kind::Project] {
        let Ok(policy) = Policy::parse(kind, text) else { continue };
        let is_of_resource = policy.principals().next().is_some();
        for resource in ["*", "arn:aws:s3:::b/k", resource] {
            let request =
                Request { principal: &principal, action: "s3:GetObject", resource, account: "000000000000", context: &context };
            let identity = [&policy, &deny];
            let policies = Policies {
                identity: if is_of_resource { &[] } else { &identity[..1] },
                resource: is_of_resource.then_some(&policy),
                rule: ResourceRule::Sufficient,
                ..Policies::default()
            };
            let _ = evaluate(&request, &policies);
            let denied = Policies { identity: if is_of_resource { &identity[1..] } else { &identity }, ..policies };
            assert!(!evaluate(&request, &denied).is_allowed());
        }
    }
});
