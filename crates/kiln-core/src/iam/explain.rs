//! What policies say about a call, statement by statement (`kiln iam simulate`).

use kiln_iam::policy::{Effect, Kind, Layer, Policies, Reason, Request, ResourceRule, evaluate, explain, is_arn};
use kiln_model::{
    ApiError,
    kiln::{ExplainAccessInput, ExplainAccessOutput, ExplainedStatement},
    service::Caller,
};

use super::{
    access::{Asked, KeyValue, policy_name},
    simulate::decided,
};
use crate::{core::Inner, objects, runners::Runners};

/// Decides, and says of each statement what it has to do with that. `caller` is what a denial calls the caller, and
/// `name` what a policy is called. `None`: the action is none.
pub fn explained(
    request: &Request<'_>,
    policies: &Policies<'_>,
    caller: &str,
    name: impl Fn(Layer, usize) -> Option<String>,
) -> Option<ExplainAccessOutput> {
    let decision = evaluate(request, policies);
    let statements = explain(request, policies).into_iter().map(|one| ExplainedStatement {
        policy_type: one.layer.name().to_owned(),
        policy: name(one.layer, one.policy),
        statement: one.sid.unwrap_or_else(|| (one.statement + 1).to_string()),
        effect: if one.effect == Effect::Allow { "Allow" } else { "Deny" }.to_owned(),
        applies: one.why_not.is_none(),
        why_not: one.why_not.map(|why| why.to_string()),
    });
    (decision.reason != Reason::Unreadable).then(|| ExplainAccessOutput {
        decision: decided(decision.reason).to_owned(),
        message: (!decision.is_allowed()).then(|| decision.denial(caller, request.action, Some(request.resource))),
        resource: request.resource.to_owned(),
        statements: statements.collect(),
    })
}

/// What policies say about a call that somebody would make, with what is stored of the resource.
///
/// # Errors
/// `InvalidInputException` for somebody who is not there, and for what is no action or ARN.
pub(crate) fn explain_access<R: Runners>(
    inner: &Inner<R>,
    input: &ExplainAccessInput,
) -> Result<ExplainAccessOutput, ApiError> {
    let invalid = |what: String| ApiError::invalid_input(what);
    let (principal, action) = (&input.principal, &input.action);
    if let Some(resource) = input.resource.as_deref().filter(|resource| !is_arn(resource)) {
        return Err(invalid(format!("resource: {resource} is no ARN")));
    }
    let service = action.split(':').next().unwrap_or_default();
    if service.eq_ignore_ascii_case("kms") || action.to_lowercase().starts_with("sts:assumerole") {
        let what = "the policies and grants of keys, and whom roles trust, are not explained: \
                    aws iam simulate-principal-policy takes such a policy as --resource-policy";
        return Err(invalid(format!("action: {action}: {what}")));
    }
    let Some(id) = inner.identity_id(principal)? else {
        return Err(invalid(format!("principal: {principal} is not the ARN of a user or role of this account")));
    };
    let caller = inner.simulated_caller(principal, &inner.config.home.account, id);
    let key = |given: &kiln_model::kiln::KeyValues| match given.values.as_slice() {
        [value] => KeyValue::one(given.key.clone(), value.clone()),
        values => KeyValue::many(given.key.clone(), values.to_vec()),
    };
    let keys: Vec<KeyValue> = input.context.iter().map(key).collect();
    let policy = match input.resource.as_deref().and_then(bucket_of) {
        Some(bucket) => objects::policy_of(inner, bucket)?,
        None => None,
    };
    let asked = Asked {
        action,
        resource: input.resource.as_deref(),
        account: &inner.config.home.account,
        keys: &keys,
        resource_policy: policy.as_deref().map(|text| (Kind::Bucket, text)),
        rule: ResourceRule::Sufficient,
        bound: None,
        stands_in: None,
    };
    let output = inner.weighed(Some(&caller), &asked, |request, policies, rights| {
        explained(request, policies, &caller.arn, |layer, at| policy_name(rights, layer, at))
    })?;
    output.ok_or_else(|| invalid(format!("action: {action} is none: expected e.g. codebuild:StartBuild")))
}

/// The bucket that an ARN is of.
fn bucket_of(arn: &str) -> Option<&str> {
    arn.splitn(6, ':').nth(5).filter(|_| arn.contains(":s3:::"))?.split('/').next()
}

impl<R: Runners> Inner<R> {
    /// A user or role with its id, as a caller; of a role: a session.
    pub(super) fn simulated_caller(&self, arn: &str, account: &str, id: String) -> Caller {
        let name = arn.rsplit('/').next().unwrap_or_default().to_owned();
        let (arn, user_id) = if arn.contains(":role/") {
            let session = format!("arn:{}:sts::{account}:assumed-role/{name}/simulated", self.config.home.partition());
            (session, format!("{id}:simulated"))
        } else {
            (arn.to_owned(), id)
        };
        Caller { arn, user_id, account: account.to_owned(), name, access_key_id: String::new(), session: None }
    }
}
