//! Labels of versions.

use kiln_model::{
    ApiError, ErrorCode,
    service::Context,
    ssm::{
        LabelParameterVersionRequest, LabelParameterVersionResult, UnlabelParameterVersionRequest,
        UnlabelParameterVersionResult,
    },
};
use kiln_store::{View, metadata::ParameterRecord};

use super::{edit::edit, error};
use crate::{core::Inner, records::Refused, runners::Runners};

/// Labels of a version (AWS's quota).
const MOST_LABELS: usize = 10;

fn is_label(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    !lower.starts_with("aws")
        && !lower.starts_with("ssm")
        && !lower.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

fn check_version(view: &View<'_>, record: &ParameterRecord, version: i64) -> Result<(), Refused> {
    if view.parameter_version(&record.name, version)?.is_some() {
        return Ok(());
    }
    let message = format!(
        "Systems Manager could not find version {version} of {}. Verify the version and try again.",
        record.name
    );
    Err(error(ErrorCode::ParameterVersionNotFound, message).into())
}

pub(super) async fn label_parameter_version<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: LabelParameterVersionRequest,
) -> Result<LabelParameterVersionResult, ApiError> {
    edit(inner, input.name, move |tx, record, document| {
        let version = input.parameter_version.unwrap_or(record.newest);
        check_version(tx, record, version)?;
        let (labels, invalid): (Vec<_>, Vec<_>) = input.labels.into_iter().partition(|label| is_label(label));
        document.labels.extend(labels.into_iter().map(|label| (label, version)));
        if document.labels_of(version).len() > MOST_LABELS {
            let message = format!(
                "A parameter version can have maximum {MOST_LABELS} labels.Move one or more labels to another version and \
                 try again."
            );
            return Err(error(ErrorCode::ParameterVersionLabelLimitExceeded, message).into());
        }
        Ok(LabelParameterVersionResult { invalid_labels: Some(invalid), parameter_version: Some(version) })
    })
    .await
}

pub(super) async fn unlabel_parameter_version<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: UnlabelParameterVersionRequest,
) -> Result<UnlabelParameterVersionResult, ApiError> {
    edit(inner, input.name, move |tx, record, document| {
        let version = input.parameter_version;
        check_version(tx, record, version)?;
        let is_on = |label: &String| document.labels.get(label) == Some(&version);
        let (removed, invalid): (Vec<_>, Vec<_>) = input.labels.into_iter().partition(is_on);
        document.labels.retain(|label, _| !removed.contains(label));
        Ok(UnlabelParameterVersionResult { removed_labels: Some(removed), invalid_labels: Some(invalid) })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::is_label;

    #[test]
    fn labels_are_words() {
        for good in ["prod", "v1.2_3-x", "saws"] {
            assert!(is_label(good), "{good}");
        }
        for bad in ["1st", "awsx", "SSMx", "a b", "a:b", "ä"] {
            assert!(!is_label(bad), "{bad}");
        }
    }
}
