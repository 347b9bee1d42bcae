//! Policies of repositories. They are checked, kept and answered here; who may do what is decided with them in
//! [`crate::iam`].

use kiln_iam::policy::{Kind, Policy, ResourceRule};
use kiln_model::{
    ApiError, ErrorCode,
    ecr::{
        DeleteRepositoryPolicyRequest, DeleteRepositoryPolicyResponse, GetRepositoryPolicyRequest,
        GetRepositoryPolicyResponse, SetRepositoryPolicyRequest, SetRepositoryPolicyResponse,
    },
    service::Context,
};

use super::{
    error::{error, invalid},
    find::{arn, edit, find},
};
use crate::{
    core::Inner,
    iam::{Asked, KeyValue, surroundings},
    runners::Runners,
};

fn not_found(name: &str, account: &str) -> ApiError {
    let message = format!(
        "Repository policy does not exist for the repository with name '{name}' in the registry with id '{account}'"
    );
    error(ErrorCode::RepositoryPolicyNotFound, message)
}

/// Whether its caller could set another policy after this one.
fn keeps_way_back<R: Runners>(inner: &Inner<R>, context: &Context, name: &str, policy: &str) -> Result<bool, ApiError> {
    let home = &inner.config.home;
    let keys: Vec<KeyValue> = surroundings(context).collect();
    let decided = inner.decision(
        Some(&context.caller),
        &Asked {
            action: "ecr:SetRepositoryPolicy",
            resource: Some(&arn(home, name)),
            account: &home.account,
            keys: &keys,
            resource_policy: Some((Kind::Repository, policy)),
            rule: ResourceRule::Sufficient,
            bound: None,
            stands_in: None,
        },
    )?;
    Ok(decided.decision.is_allowed())
}

pub(super) async fn set_repository_policy<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: SetRepositoryPolicyRequest,
) -> Result<SetRepositoryPolicyResponse, ApiError> {
    let (name, text) = (input.repository_name, input.policy_text);
    Policy::parse(Kind::Repository, &text)
        .map_err(|e| invalid("PolicyText", &format!("Invalid repository policy provided: {e}")))?;
    if input.force != Some(true) && !keeps_way_back(inner, context, &name, &text)? {
        let problem = "Invalid repository policy provided: it would not let you set another one; use force to set it";
        return Err(invalid("PolicyText", problem));
    }
    let stored = text.clone();
    edit(inner, input.registry_id, name.clone(), move |_, document| {
        document.policy = Some(stored);
        Ok(())
    })
    .await?;
    Ok(SetRepositoryPolicyResponse {
        registry_id: Some(inner.config.home.account.clone()),
        repository_name: Some(name),
        policy_text: Some(text),
    })
}

pub(super) async fn get_repository_policy<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: GetRepositoryPolicyRequest,
) -> Result<GetRepositoryPolicyResponse, ApiError> {
    let home = &inner.config.home;
    let (record, document) =
        inner.look(|view| find(view, home, input.registry_id.as_deref(), &input.repository_name))?;
    let policy = document.policy.ok_or_else(|| not_found(&record.name, &home.account))?;
    Ok(GetRepositoryPolicyResponse {
        registry_id: Some(home.account.clone()),
        repository_name: Some(record.name),
        policy_text: Some(policy),
    })
}

pub(super) async fn delete_repository_policy<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: DeleteRepositoryPolicyRequest,
) -> Result<DeleteRepositoryPolicyResponse, ApiError> {
    let (name, account) = (input.repository_name, inner.config.home.account.clone());
    let (told, of) = (name.clone(), account.clone());
    let policy = edit(inner, input.registry_id, name.clone(), move |_, document| {
        Ok(document.policy.take().ok_or_else(|| not_found(&told, &of))?)
    })
    .await?;
    Ok(DeleteRepositoryPolicyResponse {
        registry_id: Some(account),
        repository_name: Some(name),
        policy_text: Some(policy),
    })
}
