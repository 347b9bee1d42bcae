//! Policies of secrets. They are checked, kept and answered here; who may do what is decided with them in [`crate::iam`].

use kiln_iam::policy::{self, Kind, Policies, Policy, PolicyError, Principal};
use kiln_model::{
    ApiError, ErrorCode,
    arn::Home,
    secretsmanager::{
        DeleteResourcePolicyRequest, DeleteResourcePolicyResponse, GetResourcePolicyRequest, GetResourcePolicyResponse,
        PutResourcePolicyRequest, PutResourcePolicyResponse, ValidateResourcePolicyRequest,
        ValidateResourcePolicyResponse, ValidationErrorsEntry,
    },
    service::Context,
};

use super::{
    error,
    find::{arn, check_live, edit, find_live},
};
use crate::{core::Inner, runners::Runners};

fn parsed(text: &str) -> Result<Policy, ApiError> {
    Policy::parse(Kind::Secret, text).map_err(|e| match e {
        PolicyError::TooLong { .. } => error(ErrorCode::InvalidParameter, e.to_string()),
        e => error(ErrorCode::MalformedPolicyDocument, e.to_string()),
    })
}

/// Whether it lets anybody read a secret, without any condition.
fn is_public(policy: &Policy, home: &Home) -> bool {
    let context = policy::Context::new();
    let request = policy::Request {
        principal: &Principal::Anonymous,
        action: "secretsmanager:GetSecretValue",
        resource: &arn(home, "x-AbCdEf"),
        account: &home.account,
        context: &context,
    };
    policy::evaluate(&request, &Policies { resource: Some(policy), ..Policies::default() }).is_allowed()
}

pub(super) async fn put_resource_policy<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: PutResourcePolicyRequest,
) -> Result<PutResourcePolicyResponse, ApiError> {
    let policy = parsed(&input.resource_policy)?;
    if input.block_public_policy == Some(true) && is_public(&policy, &inner.config.home) {
        let message =
            "The resource policy grants access to everyone: name whom it means, or leave BlockPublicPolicy out.";
        return Err(error(ErrorCode::PublicPolicy, message));
    }
    let (id, name) = edit(inner, input.secret_id, move |_, record, document| {
        check_live(record)?;
        document.policy = Some(input.resource_policy);
        Ok((record.id.clone(), record.name.clone()))
    })
    .await?;
    Ok(PutResourcePolicyResponse { arn: Some(arn(&inner.config.home, &id)), name: Some(name), policy_name: None })
}

pub(super) async fn get_resource_policy<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: GetResourcePolicyRequest,
) -> Result<GetResourcePolicyResponse, ApiError> {
    let home = &inner.config.home;
    let (record, document) = inner.look(|view| find_live(view, home, &input.secret_id))?;
    Ok(GetResourcePolicyResponse {
        arn: Some(arn(home, &record.id)),
        name: Some(record.name),
        resource_policy: document.policy,
        policy_name: None,
    })
}

pub(super) async fn delete_resource_policy<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: DeleteResourcePolicyRequest,
) -> Result<DeleteResourcePolicyResponse, ApiError> {
    let (id, name) = edit(inner, input.secret_id, |_, record, document| {
        check_live(record)?;
        document.policy = None;
        Ok((record.id.clone(), record.name.clone()))
    })
    .await?;
    Ok(DeleteResourcePolicyResponse { arn: Some(arn(&inner.config.home, &id)), name: Some(name), policy_name: None })
}

pub(super) async fn validate_resource_policy<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: ValidateResourcePolicyRequest,
) -> Result<ValidateResourcePolicyResponse, ApiError> {
    let home = &inner.config.home;
    if let Some(secret) = &input.secret_id {
        inner.look(|view| find_live(view, home, secret))?;
    }
    let policy = parsed(&input.resource_policy)?;
    let public = is_public(&policy, home).then(|| ValidationErrorsEntry {
        check_name: Some("PUBLIC_POLICY".to_owned()),
        error_message: Some("The resource policy grants access to everyone.".to_owned()),
    });
    Ok(ValidateResourcePolicyResponse {
        policy_validation_passed: Some(public.is_none()),
        validation_errors: Some(public.into_iter().collect()),
    })
}
