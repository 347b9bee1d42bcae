//! Putting parameters: new ones, and new versions.

use kiln_model::{
    ApiError, ErrorCode,
    service::Context,
    ssm::{ParameterTier, ParameterType, PutParameterRequest, PutParameterResult},
};
use kiln_store::{
    Tx,
    metadata::{ParameterRecord, ParameterVersionRecord},
};
use regex::RegexBuilder;

use super::{
    document::{Document, VersionDocument},
    error,
    get::with_purpose,
    invalid,
    name::{arn, check},
    tags,
};
use crate::{
    core::Inner,
    kms,
    records::{Refused, keys_failed},
    runners::Runners,
};

/// Parameters of an account (AWS's quota for both tiers).
const MOST_PARAMETERS: i64 = 110_000;
/// Versions of a parameter (AWS's quota).
const MOST_VERSIONS: usize = 100;
/// Bytes of a value.
const STANDARD: usize = 4096;
const ADVANCED: usize = 8192;
/// Kinds of texts that are known.
const DATA_TYPES: [&str; 3] = ["text", "aws:ec2:image", "aws:ssm:integration"];

/// Row of a value that Kiln's own key seals.
pub(super) fn row(name: &str, version: i64) -> String {
    format!("{name}:{version}")
}

/// What Kiln's own key seals values for.
pub(super) const PURPOSE: &str = "parameter_versions.sealed";

fn check_pattern(pattern: Option<&str>, value: &str) -> Result<(), ApiError> {
    let Some(pattern) = pattern.filter(|pattern| !pattern.is_empty()) else { return Ok(()) };
    let regex = RegexBuilder::new(pattern).size_limit(1 << 20).build().map_err(|e| {
        // The last line says what is wrong, those before show where.
        let why = e.to_string();
        let why = why.lines().last().unwrap_or_default().trim().to_owned();
        error(
            ErrorCode::InvalidAllowedPattern,
            format!("The regular expression in AllowedPattern cannot be used: {why}"),
        )
    })?;
    if regex.is_match(value) {
        return Ok(());
    }
    let message = format!("Parameter value, cannot be validated against allowedPattern: {pattern}");
    Err(error(ErrorCode::ParameterPatternMismatch, message))
}

/// The tier that a value gets: the one that is asked for, if it may.
fn tier(asked: Option<ParameterTier>, before: Option<ParameterTier>, value: &str) -> Result<ParameterTier, ApiError> {
    let asked = asked.or(before).unwrap_or(ParameterTier::Standard);
    let tier = match asked {
        ParameterTier::IntelligentTiering => {
            let needs_more = value.len() > STANDARD || before == Some(ParameterTier::Advanced);
            if needs_more { ParameterTier::Advanced } else { ParameterTier::Standard }
        }
        other => other,
    };
    if tier == ParameterTier::Standard && before == Some(ParameterTier::Advanced) {
        return Err(invalid(
            "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the \
             advanced-parameter tier to the standard-parameter tier. If necessary, you can delete the advanced parameter \
             and recreate it as a standard parameter.",
        ));
    }
    match tier {
        ParameterTier::Standard if value.len() > STANDARD => Err(invalid(
            "Standard tier parameters support a maximum parameter value of 4096 characters. To create a larger parameter \
             value, upgrade the parameter to use the advanced-parameter tier. For more information, see \
             https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html",
        )),
        _ if value.len() > ADVANCED => {
            Err(invalid("Advanced tier parameters support a maximum parameter value of 8192 characters."))
        }
        tier => Ok(tier),
    }
}

/// The version before, if there is one.
type Before = Option<(ParameterRecord, VersionDocument)>;

/// The type of the value.
fn kind(asked: Option<ParameterType>, before: &Before) -> Result<ParameterType, ApiError> {
    match (asked, before) {
        (None, None) => Err(invalid("A parameter type is required when you create a parameter.")),
        (Some(kind), None) => Ok(kind),
        (None, Some((_, before))) => Ok(before.kind),
        (Some(kind), Some((record, before))) if kind != before.kind => {
            let message = format!(
                "Parameter Store does not support changing a parameter type in a hierarchy: {} is a {}. You must create a \
                 new, unique parameter.",
                record.name,
                before.kind.as_str()
            );
            Err(error(ErrorCode::HierarchyTypeMismatch, message))
        }
        (Some(kind), Some(_)) => Ok(kind),
    }
}

fn check_request(input: &PutParameterRequest) -> Result<(), ApiError> {
    check(&input.name)?;
    if input.value.expose().is_empty() {
        return Err(invalid(
            "1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have length \
             greater than or equal to 1.",
        ));
    }
    if input.overwrite == Some(true) && input.tags.as_ref().is_some_and(|tags| !tags.is_empty()) {
        return Err(invalid(
            "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove \
             overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or \
             RemoveTagsFromResource.",
        ));
    }
    if input.policies.as_deref().is_some_and(|text| !text.is_empty() && text.trim() != "[]" && text.trim() != "{}") {
        let message = "policies of parameters are not available in this version of Kiln: leave Policies out";
        return Err(error(ErrorCode::InvalidPolicyType, message));
    }
    if let Some(kind) = input.data_type.as_deref().filter(|kind| !kind.is_empty() && !DATA_TYPES.contains(kind)) {
        return Err(invalid(format!(
            "The following data type is not supported: {kind} (Data type names are all lowercase.)"
        )));
    }
    Ok(())
}

fn already_exists() -> ApiError {
    error(
        ErrorCode::ParameterAlreadyExists,
        "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
    )
}

pub(super) async fn put_parameter<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: PutParameterRequest,
) -> Result<PutParameterResult, ApiError> {
    check_request(&input)?;
    let name = input.name.clone();
    let before: Before = inner.look(|view| {
        let Some(record) = view.parameter(&name)? else { return Ok(None) };
        let Some(version) = view.parameter_version(&name, record.newest)? else { return Ok(None) };
        Ok(Some((record, VersionDocument::of(&version)?)))
    })?;
    if before.is_some() && input.overwrite != Some(true) {
        return Err(already_exists());
    }
    let kind = kind(input.r#type, &before)?;
    if kind != ParameterType::SecureString && input.key_id.is_some() {
        return Err(invalid("KeyId is required for SecureString type parameter only."));
    }
    let value = input.value.expose();
    let tier = tier(input.tier, before.as_ref().map(|(_, version)| version.tier), value)?;
    let mut version = VersionDocument::new(kind, tier, context.caller.arn.clone());
    let kept = before.as_ref().map(|(_, version)| version);
    version.description = input.description.clone().or_else(|| kept.and_then(|kept| kept.description.clone()));
    let pattern = input.allowed_pattern.clone().or_else(|| kept.and_then(|kept| kept.allowed_pattern.clone()));
    check_pattern(pattern.as_deref(), value)?;
    version.allowed_pattern = pattern.filter(|pattern| !pattern.is_empty());
    if let Some(kind) = input.data_type.clone().filter(|kind| !kind.is_empty()) {
        version.data_type = kind;
    }
    let number = before.as_ref().map_or(0, |(record, _)| record.newest) + 1;
    let sealed = if kind == ParameterType::SecureString {
        let named = input.key_id.clone().unwrap_or_else(|| "alias/aws/ssm".to_owned());
        let key = kms::key_for(inner, Some(&named), kms::PARAMETER_STORE).await.map_err(|e| key_failed(&e))?;
        version.key = Some(named);
        let arn = arn(&inner.config.home, &name);
        with_purpose(&arn, number, |purpose| {
            inner.seal_for(context, "Encrypt", &key, purpose, value.as_bytes()).map_err(|e| key_failed(&e))
        })?
    } else {
        inner.keys.seal_small(PURPOSE, &row(&name, number), value.as_bytes()).map_err(|e| keys_failed(&e))?
    };
    let mut new_tags = Document::new();
    tags::put(&mut new_tags, input.tags.clone().unwrap_or_default())?;
    let record = ParameterVersionRecord {
        name: name.clone(),
        version: number,
        created_ms: inner.now(),
        sealed,
        doc: version.to_json().map_err(Refused::from)?,
    };
    inner.transact(move |tx| store(tx, &record, new_tags)).await?;
    Ok(PutParameterResult { version: Some(number), tier: Some(tier) })
}

/// Stores a version that was made when there were so many as its number says.
fn store(tx: &mut Tx<'_>, version: &ParameterVersionRecord, tags: Document) -> Result<(), Refused> {
    let found = tx.parameter(&version.name)?;
    let newest = found.as_ref().map_or(0, |found| found.newest);
    if newest != version.version - 1 {
        // Somebody else put one at the same moment.
        return Err(match version.version {
            1 => already_exists(),
            _ => error(
                ErrorCode::TooManyUpdates,
                "There are concurrent updates for a resource that supports one update at a time.",
            ),
        }
        .into());
    }
    if found.is_none() && !version.name.trim_start_matches('/').contains('/') {
        // Permissions are on ARNs: no two parameters may have one.
        let twin = match version.name.strip_prefix('/') {
            Some(plain) => plain.to_owned(),
            None => format!("/{}", version.name),
        };
        if tx.parameter(&twin)?.is_some() {
            return Err(
                invalid(format!("The parameter {twin} is there already, which would have the same ARN.")).into()
            );
        }
    }
    let document = match &found {
        Some(found) => Document::of(found)?,
        None if tx.parameter_count()? >= MOST_PARAMETERS => {
            let message = format!("there are {MOST_PARAMETERS} parameters already");
            return Err(error(ErrorCode::ParameterLimitExceeded, message).into());
        }
        None => tags,
    };
    let record = ParameterRecord { name: version.name.clone(), newest: version.version, doc: document.to_json()? };
    tx.put_parameter(&record)?;
    tx.insert_parameter_version(version)?;
    let versions = tx.parameter_versions(&version.name, 0, MOST_VERSIONS + 1)?;
    if let Some(oldest) = versions.first().filter(|_| versions.len() > MOST_VERSIONS) {
        if !document.labels_of(oldest.version).is_empty() {
            let message = format!(
                "You attempted to create a new version of {} by calling the PutParameter API with the overwrite flag. \
                 Version {}, the oldest version, can't be deleted because it has a label associated with it. Move the \
                 label to another version of the parameter, and try again.",
                version.name, oldest.version
            );
            return Err(error(ErrorCode::ParameterMaxVersionLimitExceeded, message).into());
        }
        tx.delete_parameter_version(&version.name, oldest.version)?;
    }
    Ok(())
}

/// A failure of KMS as Parameter Store tells it.
pub(super) fn key_failed(failure: &ApiError) -> ApiError {
    match failure.code {
        ErrorCode::InternalFailure | ErrorCode::Throttling | ErrorCode::ServiceUnavailable => failure.clone(),
        ErrorCode::AccessDenied => {
            ApiError::access_denied(format!("{} (Service: Kms, Status Code: 400)", failure.message))
        }
        code => error(
            ErrorCode::InvalidKeyId,
            format!("{} (Service: Kms, Status Code: 400, Error Code: {code})", failure.message),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_go_up_only() {
        use ParameterTier::{Advanced, IntelligentTiering, Standard};
        let (small, large, huge) = ("x", "x".repeat(4097), "x".repeat(8193));
        for (asked, before, value, expected) in [
            (None, None, small, Some(Standard)),
            (None, Some(Advanced), small, Some(Advanced)),
            (Some(IntelligentTiering), None, small, Some(Standard)),
            (Some(IntelligentTiering), None, &large, Some(Advanced)),
            (Some(IntelligentTiering), Some(Advanced), small, Some(Advanced)),
            (Some(Standard), Some(Advanced), small, None),
            (None, None, &large, None),
            (Some(Advanced), Some(Standard), &large, Some(Advanced)),
            (Some(Advanced), None, &huge, None),
            (Some(IntelligentTiering), None, &huge, None),
        ] {
            let found = tier(asked, before, value);
            assert_eq!(found.as_ref().ok().copied(), expected, "{asked:?} {before:?} {}: {found:?}", value.len());
        }
    }

    #[test]
    fn patterns_are_matched_and_bounded() {
        check_pattern(None, "x").unwrap();
        check_pattern(Some("^[0-9]+$"), "12").unwrap();
        let code = |pattern: &str, value: &str| check_pattern(Some(pattern), value).unwrap_err().code;
        assert_eq!(code("^[0-9]+$", "1x"), ErrorCode::ParameterPatternMismatch);
        for bad in ["(", "(?=x)", r"(\d{1000}){1000}"] {
            assert_eq!(code(bad, "x"), ErrorCode::InvalidAllowedPattern, "{bad}");
        }
        let said = check_pattern(Some("^a$"), "the-value").unwrap_err().message;
        assert!(!said.contains("the-value"), "{said}");
    }
}
