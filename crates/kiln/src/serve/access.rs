//! Who may do what: the front end's questions, put to the core.

use kiln_api::{Authorizer, BucketPolicies, Question};
use kiln_core::{
    Core,
    iam::{Asked, KeyValue},
    runners::Runners,
};
use kiln_iam::policy::{Kind, ResourceRule};
use kiln_model::{ApiError, audit::Rulings, service::Caller};

/// Decides by the policies of callers and resources.
#[derive(Clone)]
pub(crate) struct Access<R>(pub(crate) Core<R>);

impl<R: Runners> Authorizer for Access<R> {
    fn authorise(&self, caller: Option<&Caller>, question: &Question<'_>, rulings: &Rulings) -> Result<(), ApiError> {
        // Or nobody could repair a bucket whose policy denies everybody.
        let is_repair = question.is_management && BucketPolicies::decide(caller, question).is_ok();
        let policy = question.bucket_policy.filter(|_| !is_repair);
        let asked = Asked {
            action: question.action,
            resource: question.resource,
            account: question.account,
            keys: &keys(question),
            resource_policy: policy.map(|policy| (Kind::Bucket, policy)),
            rule: ResourceRule::Sufficient,
            bound: None,
            stands_in: None,
        };
        self.0.authorise(caller, &asked, rulings)
    }
}

/// The condition keys, those of several values as one.
fn keys(question: &Question<'_>) -> Vec<KeyValue> {
    let fixed = question.keys.iter().map(|(name, value)| (*name, value.as_str()));
    KeyValue::grouped(fixed.chain(question.input.iter().map(|(name, value)| (name.as_str(), value.as_str()))))
}
