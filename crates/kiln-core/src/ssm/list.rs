//! Lists of parameters, and pages.

use kiln_model::{
    ApiError, ErrorCode, Timestamp,
    service::Context,
    ssm::{DescribeParametersRequest, DescribeParametersResult, ParameterMetadata},
};
use kiln_store::{View, metadata::ParameterRecord};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    document::{Document, VersionDocument},
    error,
    filter::{DESCRIBED, Filters},
    invalid,
    name::arn,
};
use crate::{
    core::Inner,
    page::{after, token},
    records::Refused,
    runners::Runners,
};

/// Parameters that are read at once.
const BATCH: usize = 500;

/// Where a page begins.
///
/// # Errors
/// `InvalidNextToken` for a token of another list.
pub(super) fn start<T: DeserializeOwned>(list: &str, token: Option<&str>) -> Result<Option<T>, ApiError> {
    after(list, token)
        .map_err(|_| error(ErrorCode::InvalidNextToken, "The specified token is not that of a page of this list."))
}

/// Cuts a page to its length; the token of the page behind it.
pub(super) fn end<T, P: Serialize + ?Sized>(
    list: &str,
    found: &mut Vec<T>,
    most: usize,
    place: impl Fn(&T) -> &P,
) -> Option<String> {
    let has_more = found.len() > most;
    found.truncate(most);
    found.last().filter(|_| has_more).and_then(|last| token(list, place(last)))
}

/// What `choose` makes of the parameters whose names begin with `prefix`, at most so many.
pub(super) fn pages<T>(
    view: &View<'_>,
    prefix: &str,
    mut after: Option<String>,
    most: usize,
    mut choose: impl FnMut(ParameterRecord) -> Result<Option<T>, Refused>,
) -> Result<Vec<T>, Refused> {
    let mut found = Vec::new();
    loop {
        let page = view.parameters(prefix, after.as_deref(), BATCH)?;
        let Some(last) = page.last() else { return Ok(found) };
        after = Some(last.name.clone());
        for record in page {
            found.extend(choose(record)?);
            if found.len() >= most {
                return Ok(found);
            }
        }
    }
}

pub(super) async fn describe_parameters<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: DescribeParametersRequest,
) -> Result<DescribeParametersResult, ApiError> {
    let (older, newer) = (input.filters.unwrap_or_default(), input.parameter_filters.unwrap_or_default());
    if !older.is_empty() && !newer.is_empty() {
        return Err(invalid("You can use either Filters or ParameterFilters in a single request."));
    }
    let filters = if older.is_empty() { Filters::parse(Some(newer), &DESCRIBED)? } else { Filters::of_older(older) };
    // Nobody else shares parameters.
    if input.shared == Some(true) {
        return Ok(DescribeParametersResult { parameters: Some(Vec::new()), next_token: None });
    }
    let list = format!("parameters {filters:?}");
    let after: Option<String> = start(&list, input.next_token.as_deref())?;
    let most = input.max_results.and_then(|most| usize::try_from(most).ok()).unwrap_or(50);
    let home = &inner.config.home;
    let mut found = inner.look(|view| {
        pages(view, "", after, most + 1, |record| {
            let document = Document::of(&record)?;
            let Some(version) = view.parameter_version(&record.name, record.newest)? else { return Ok(None) };
            let own = VersionDocument::of(&version)?;
            if !filters.fulfilled(&record.name, &own, &document) {
                return Ok(None);
            }
            let metadata = ParameterMetadata {
                arn: Some(arn(home, &record.name)),
                r#type: Some(own.kind),
                key_id: own.key,
                last_modified_date: Some(Timestamp::from_millis(version.created_ms)),
                last_modified_user: Some(own.user),
                description: own.description,
                allowed_pattern: own.allowed_pattern,
                version: Some(version.version),
                tier: Some(own.tier),
                policies: Some(Vec::new()),
                data_type: Some(own.data_type),
                name: None,
            };
            Ok(Some((record.name, metadata)))
        })
    })?;
    let next_token = end(&list, &mut found, most, |(name, _)| name);
    let parameters =
        found.into_iter().map(|(name, metadata)| ParameterMetadata { name: Some(name), ..metadata }).collect();
    Ok(DescribeParametersResult { parameters: Some(parameters), next_token })
}
