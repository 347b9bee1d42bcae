//! Versions of a parameter.

use kiln_model::{
    ApiError, Timestamp,
    service::Context,
    ssm::{GetParameterHistoryRequest, GetParameterHistoryResult, ParameterHistory},
};

use super::{
    document::VersionDocument,
    get::value,
    list::{end, start},
    name::find,
};
use crate::{core::Inner, records::Refused, runners::Runners};

pub(super) async fn get_parameter_history<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: GetParameterHistoryRequest,
) -> Result<GetParameterHistoryResult, ApiError> {
    let home = &inner.config.home;
    let most = input.max_results.and_then(|most| usize::try_from(most).ok()).unwrap_or(50);
    let list = format!("history {}", input.name);
    let after: i64 = start(&list, input.next_token.as_deref())?.unwrap_or_default();
    let (document, mut versions) = inner.look(|view| {
        let (record, document) = find(view, home, &input.name)?;
        Ok((document, view.parameter_versions(&record.name, after, most + 1)?))
    })?;
    let next_token = end(&list, &mut versions, most, |version| &version.version);
    let is_opened = input.with_decryption == Some(true);
    let mut parameters = Vec::new();
    for version in versions {
        let own = VersionDocument::of(&version).map_err(Refused::from)?;
        parameters.push(ParameterHistory {
            value: Some(value(inner, context, &version, &own, is_opened)?),
            r#type: Some(own.kind),
            key_id: own.key,
            last_modified_date: Some(Timestamp::from_millis(version.created_ms)),
            last_modified_user: Some(own.user),
            description: own.description,
            allowed_pattern: own.allowed_pattern,
            labels: Some(document.labels_of(version.version)),
            tier: Some(own.tier),
            policies: Some(Vec::new()),
            data_type: Some(own.data_type),
            version: Some(version.version),
            name: Some(version.name),
        });
    }
    Ok(GetParameterHistoryResult { parameters: Some(parameters), next_token })
}
