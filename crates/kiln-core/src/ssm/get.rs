//! Reading parameters.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kiln_iam::policy::ResourceRule;
use kiln_model::{
    ApiError, ErrorCode, Secret, Timestamp,
    service::Context,
    ssm::{
        GetParameterRequest, GetParameterResult, GetParametersByPathRequest, GetParametersByPathResult,
        GetParametersRequest, GetParametersResult, Parameter, ParameterType,
    },
};
use kiln_store::{
    View,
    metadata::{ParameterRecord, ParameterVersionRecord},
};

use super::{
    document::{Document, VersionDocument},
    error,
    filter::{BY_PATH, Filters},
    list::{end, pages, start},
    name::{Asked, arn, not_found},
    put::{PURPOSE, key_failed, row},
};
use crate::{
    core::Inner,
    iam::{self, KeyValue, surroundings},
    kms::{self, Purpose},
    records::{Refused, keys_failed},
    runners::Runners,
};

/// What a version is sealed for.
pub(super) fn with_purpose<T>(arn: &str, version: i64, work: impl FnOnce(Purpose<'_>) -> T) -> T {
    let version = version.to_string();
    work(Purpose { service: kms::PARAMETER_STORE, context: &[("PARAMETER_ARN", arn), ("kiln:version", &version)] })
}

/// The value of a version: that of a `SecureString` is opened only where the caller asks for it, and is what is stored
/// otherwise.
pub(super) fn value<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    record: &ParameterVersionRecord,
    document: &VersionDocument,
    is_opened: bool,
) -> Result<Secret, ApiError> {
    let bytes = match (document.kind, is_opened) {
        (ParameterType::SecureString, false) => return Ok(Secret::new(STANDARD.encode(&record.sealed))),
        (ParameterType::SecureString, true) => {
            let arn = arn(&inner.config.home, &record.name);
            with_purpose(&arn, record.version, |purpose| {
                inner.open_for(context, purpose, &record.sealed).map_err(|e| key_failed(&e))
            })?
        }
        (ParameterType::String | ParameterType::StringList, _) => inner
            .keys
            .open_small(PURPOSE, &row(&record.name, record.version), &record.sealed)
            .map_err(|e| keys_failed(&e))?,
    };
    let text = std::str::from_utf8(&bytes).map_err(|e| ApiError::internal(e.to_string()))?;
    Ok(Secret::new(text.to_owned()))
}

/// A version that a selector names, the newest one without.
fn selected(
    view: &View<'_>,
    record: &ParameterRecord,
    selector: Option<&str>,
) -> Result<ParameterVersionRecord, Refused> {
    let name = &record.name;
    let missing = |what: &str, which: &str| {
        let message =
            format!("Systems Manager could not find {what} {which} of {name}. Verify the {what} and try again.");
        error(ErrorCode::ParameterVersionNotFound, message)
    };
    let number = match selector {
        None => record.newest,
        Some(text) => match text.parse() {
            Ok(number) => number,
            Err(_) => *Document::of(record)?.labels.get(text).ok_or_else(|| missing("label", text))?,
        },
    };
    Ok(view.parameter_version(name, number)?.ok_or_else(|| missing("version", &number.to_string()))?)
}

/// The parameter that a text asks for.
///
/// # Errors
/// `ParameterNotFound`, `ParameterVersionNotFound`; those of the key.
fn parameter<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    text: &str,
    is_opened: bool,
) -> Result<Parameter, ApiError> {
    let asked = Asked::parse(&inner.config.home, text);
    let version = inner.look(|view| {
        let record = asked.find(view)?.ok_or_else(|| not_found(text))?;
        selected(view, &record, asked.selector.as_deref())
    })?;
    shown(inner, context, &version, asked.selector, is_opened)
}

/// A version as answers show it.
fn shown<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    record: &ParameterVersionRecord,
    selector: Option<String>,
    is_opened: bool,
) -> Result<Parameter, ApiError> {
    let document = VersionDocument::of(record).map_err(Refused::from)?;
    Ok(Parameter {
        value: Some(value(inner, context, record, &document, is_opened)?),
        name: Some(record.name.clone()),
        r#type: Some(document.kind),
        version: Some(record.version),
        selector: selector.map(|selector| format!(":{selector}")),
        last_modified_date: Some(Timestamp::from_millis(record.created_ms)),
        arn: Some(arn(&inner.config.home, &record.name)),
        data_type: Some(document.data_type),
    })
}

pub(super) async fn get_parameter<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: GetParameterRequest,
) -> Result<GetParameterResult, ApiError> {
    let is_opened = input.with_decryption == Some(true);
    Ok(GetParameterResult { parameter: Some(parameter(inner, context, &input.name, is_opened)?) })
}

/// A parameter that a build names, read on behalf of its role as `GetParameters` reads it.
///
/// # Errors
/// As the build would get it from the API.
pub(crate) fn of_build<R: Runners>(inner: &Inner<R>, context: &Context, text: &str) -> Result<Secret, ApiError> {
    let home = &inner.config.home;
    let arn = Asked::parse(home, text).arn(home);
    let keys: Vec<KeyValue> = surroundings(context).collect();
    let asked = iam::Asked {
        action: "ssm:GetParameters",
        resource: Some(arn.as_str()),
        account: &home.account,
        keys: &keys,
        resource_policy: None,
        rule: ResourceRule::Sufficient,
        bound: None,
        stands_in: None,
    };
    inner.decide(Some(&context.caller), &asked, &context.rulings)?;
    Ok(parameter(inner, context, text, true)?.value.unwrap_or_default())
}

pub(super) async fn get_parameters<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: GetParametersRequest,
) -> Result<GetParametersResult, ApiError> {
    let is_opened = input.with_decryption == Some(true);
    let (mut parameters, mut unknown) = (Vec::new(), Vec::new());
    for name in input.names {
        match parameter(inner, context, &name, is_opened) {
            Ok(parameter) => parameters.push(parameter),
            Err(e) if matches!(e.code, ErrorCode::ParameterNotFound | ErrorCode::ParameterVersionNotFound) => {
                unknown.push(name);
            }
            Err(e) => return Err(e),
        }
    }
    Ok(GetParametersResult { parameters: Some(parameters), invalid_parameters: Some(unknown) })
}

/// Whether a name lies at or below a path.
pub(super) fn is_below(name: &str, path: &str, is_recursive: bool) -> bool {
    let rest = match path {
        // Names without any slash lie at the root too.
        "/" => name.trim_start_matches('/'),
        path => match name.strip_prefix(path.trim_end_matches('/')).and_then(|rest| rest.strip_prefix('/')) {
            Some(rest) => rest,
            None => return false,
        },
    };
    is_recursive || !rest.contains('/')
}

/// The beginning that all names below a path have.
pub(super) fn prefix(path: &str) -> String {
    if path == "/" { String::new() } else { format!("{}/", path.trim_end_matches('/')) }
}

pub(super) async fn get_parameters_by_path<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: GetParametersByPathRequest,
) -> Result<GetParametersByPathResult, ApiError> {
    super::filter::check_path(&input.path)?;
    let is_recursive = input.recursive == Some(true);
    let filters = Filters::parse(input.parameter_filters, &BY_PATH)?;
    let list = format!("path {} {is_recursive} {filters:?}", input.path);
    let after: Option<String> = start(&list, input.next_token.as_deref())?;
    let most = input.max_results.and_then(|most| usize::try_from(most).ok()).unwrap_or(10);
    let mut found = inner.look(|view| {
        pages(view, &prefix(&input.path), after, most + 1, |record| {
            if !is_below(&record.name, &input.path, is_recursive) {
                return Ok(None);
            }
            let document = Document::of(&record)?;
            // A label chooses the version that has it.
            let number = filters.label(&document).unwrap_or(Some(record.newest));
            let Some(version) =
                number.map(|number| view.parameter_version(&record.name, number)).transpose()?.flatten()
            else {
                return Ok(None);
            };
            let own = VersionDocument::of(&version)?;
            Ok(filters.fulfilled(&record.name, &own, &document).then_some(version))
        })
    })?;
    let next_token = end(&list, &mut found, most, |version| &version.name);
    let is_opened = input.with_decryption == Some(true);
    let parameters =
        found.iter().map(|version| shown(inner, context, version, None, is_opened)).collect::<Result<_, _>>()?;
    Ok(GetParametersByPathResult { parameters: Some(parameters), next_token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_hold_their_children_and_with_recursion_everything_below() {
        for (name, path, direct, below) in [
            ("/a/b", "/a", true, true),
            ("/a/b", "/a/", true, true),
            ("/a/b/c", "/a", false, true),
            ("/ab", "/a", false, false),
            ("/a", "/a", false, false),
            ("a", "/", true, true),
            ("/a", "/", true, true),
            ("/a/b", "/", false, true),
        ] {
            assert_eq!((is_below(name, path, false), is_below(name, path, true)), (direct, below), "{name} {path}");
        }
    }
}
