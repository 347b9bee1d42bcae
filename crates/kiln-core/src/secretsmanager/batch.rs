//! Values for which the front end cannot ask: several at once, each with a permission of its own, and those that builds
//! name.

use kiln_iam::policy::{ResourceRule, is_arn};
use kiln_model::{
    ApiError, ErrorCode,
    secretsmanager::{
        APIErrorType, BatchGetSecretValueRequest, BatchGetSecretValueResponse, GetSecretValueRequest,
        GetSecretValueResponse, SecretValueEntry,
    },
    service::Context,
};

use super::{
    error,
    find::asked_arn,
    list::{matching, next, start},
    values::get_secret_value,
};
use crate::{
    core::Inner,
    iam::{Asked, KeyValue, surroundings},
    runners::Runners,
};

pub(super) async fn batch_get_secret_value<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: BatchGetSecretValueRequest,
) -> Result<BatchGetSecretValueResponse, ApiError> {
    let invalid = |message: &str| error(ErrorCode::InvalidParameter, message);
    let (names, next_token) = match (input.secret_id_list, input.filters) {
        (Some(names), None) => {
            if input.max_results.is_some() || input.next_token.is_some() {
                return Err(invalid(
                    "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided.",
                ));
            }
            (names, None)
        }
        (None, Some(filters)) => {
            permit(inner, context, "secretsmanager:ListSecrets", None)?;
            let list = format!("values {filters:?}");
            let from: Option<String> = start(&list, input.next_token.as_deref())?;
            let found = inner.look(|view| Ok(matching(view, &filters, false)??))?;
            let behind = found.into_iter().map(|(record, _)| record);
            let behind = behind.filter(|record| from.as_ref().is_none_or(|from| record.name > *from));
            next(&list, behind.map(|record| (record.name.clone(), record.name)).collect(), input.max_results, 20)
        }
        _ => return Err(invalid("Either 'SecretIdList' or 'Filters' must be provided, but not both.")),
    };
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    for name in names {
        match one(inner, context, &name).await {
            Ok(value) => values.push(value),
            Err(ApiError { code, message }) => errors.push(APIErrorType {
                secret_id: Some(name),
                error_code: Some(code.as_str().to_owned()),
                message: Some(message),
            }),
        }
    }
    Ok(BatchGetSecretValueResponse { secret_values: Some(values), next_token, errors: Some(errors) })
}

/// Whether the caller may do that.
fn permit<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    action: &str,
    request: Option<&GetSecretValueRequest>,
) -> Result<(), ApiError> {
    let home = &inner.config.home;
    let resource = request.map(|request| asked_arn(home, &request.secret_id));
    let mut keys: Vec<KeyValue> = surroundings(context).collect();
    if let Some(GetSecretValueRequest { secret_id, version_id, version_stage }) = request {
        keys.push(KeyValue::one("secretsmanager:SecretId", secret_id));
        keys.extend(version_id.as_ref().map(|id| KeyValue::one("secretsmanager:VersionId", id)));
        keys.extend(version_stage.as_ref().map(|stage| KeyValue::one("secretsmanager:VersionStage", stage)));
    }
    // What is no ARN at all names nothing.
    let resource = resource.filter(|text| is_arn(text));
    let asked = Asked {
        action,
        resource: resource.as_deref(),
        account: &home.account,
        keys: &keys,
        resource_policy: None,
        rule: ResourceRule::Sufficient,
        bound: None,
        stands_in: None,
    };
    inner.decide(Some(&context.caller), &asked, &context.rulings)
}

/// A value that a build names, read on behalf of its role.
///
/// # Errors
/// As the build would get it from the API.
pub(crate) async fn of_build<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    request: GetSecretValueRequest,
) -> Result<GetSecretValueResponse, ApiError> {
    permit(inner, context, "secretsmanager:GetSecretValue", Some(&request))?;
    get_secret_value(inner, context, request).await
}

async fn one<R: Runners>(inner: &Inner<R>, context: &Context, name: &str) -> Result<SecretValueEntry, ApiError> {
    let request = GetSecretValueRequest { secret_id: name.to_owned(), ..Default::default() };
    let value = of_build(inner, context, request).await?;
    Ok(SecretValueEntry {
        arn: value.arn,
        name: value.name,
        version_id: value.version_id,
        secret_binary: value.secret_binary,
        secret_string: value.secret_string,
        version_stages: value.version_stages,
        created_date: value.created_date,
    })
}
