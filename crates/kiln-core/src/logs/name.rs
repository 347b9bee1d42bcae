//! Names and ARNs of log groups, and the groups and streams that they mean.

use kiln_model::{ApiError, ErrorCode, arn::Home};
use kiln_store::{
    StoreError, View,
    metadata::{LogGroupRecord, LogStreamRecord},
};

use super::{document::Document, error, invalid};
use crate::{iam::Resource, records::Refused};

/// The answer where there is no such group, in AWS's words.
pub(super) fn no_group() -> ApiError {
    error(ErrorCode::ResourceNotFound, "The specified log group does not exist.")
}

/// The same for a stream.
pub(super) fn no_stream() -> ApiError {
    error(ErrorCode::ResourceNotFound, "The specified log stream does not exist.")
}

/// The answer where the state of a group or stream does not allow a change now; clients try it again.
pub(super) fn aborted(what: &str) -> ApiError {
    error(ErrorCode::OperationAborted, format!("{what}; try again when the build has ended"))
}

/// ARN of a group.
pub(super) fn arn(home: &Home, group: &str) -> String {
    home.arn("logs", &format!("log-group:{group}"))
}

/// The name in a name or ARN of a group.
///
/// # Errors
/// `ResourceNotFoundException` for a group of another account or region.
pub(super) fn group_of<'a>(home: &Home, identifier: &'a str) -> Result<&'a str, ApiError> {
    let name = match identifier.strip_prefix(&arn(home, "")) {
        Some(name) => name,
        None if identifier.starts_with("arn:") => return Err(no_group()),
        None => identifier,
    };
    Ok(name.strip_suffix(":*").unwrap_or(name))
}

/// The one group that is named, by name or by identifier.
///
/// # Errors
/// `InvalidParameterException` when both are, or none.
pub(super) fn named(home: &Home, name: Option<String>, identifier: Option<String>) -> Result<String, ApiError> {
    match (name, identifier) {
        (Some(name), None) => Ok(name),
        (None, Some(identifier)) => group_of(home, &identifier).map(str::to_owned),
        (Some(_), Some(_)) => Err(invalid("LogGroupName and LogGroupIdentifier cannot be specified at the same time.")),
        (None, None) => Err(invalid("Either LogGroupName or LogGroupIdentifier must be specified.")),
    }
}

/// A group that is there.
pub(super) fn find_group(view: &View<'_>, name: &str) -> Result<(LogGroupRecord, Document), Refused> {
    let record = view.log_group(name)?.ok_or_else(no_group)?;
    let document = Document::of(&record)?;
    Ok((record, document))
}

/// A stream that is there.
pub(super) fn find_stream(view: &View<'_>, group: &str, name: &str) -> Result<LogStreamRecord, Refused> {
    match view.log_stream(group, name)? {
        Some(stream) => Ok(stream),
        None => {
            view.log_group(group)?.ok_or_else(no_group)?;
            Err(no_stream().into())
        }
    }
}

/// What policies are asked about, `NAME[:log-stream:STREAM]`: with the tags of the group.
pub(crate) fn resource(view: &View<'_>, local: &str, mut found: Resource) -> Result<Resource, StoreError> {
    let name = local.split_once(':').map_or(local, |(name, _)| name);
    if let Some(record) = view.log_group(name)? {
        found.tags = Document::of(&record)?.tags.into_iter().collect();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_named_by_name_or_arn() {
        let home = Home { region: "us-east-1".to_owned(), account: "000000000000".to_owned() };
        let head = "arn:aws:logs:us-east-1:000000000000:log-group:";
        for text in ["/a/b".to_owned(), format!("{head}/a/b"), format!("{head}/a/b:*")] {
            assert_eq!(named(&home, None, Some(text)), Ok("/a/b".to_owned()));
        }
        let elsewhere = "arn:aws:logs:eu-west-1:000000000000:log-group:a".to_owned();
        assert_eq!(named(&home, None, Some(elsewhere)), Err(no_group()));
        for (name, identifier) in [(None, None), (Some("a".to_owned()), Some("a".to_owned()))] {
            assert_eq!(named(&home, name, identifier).unwrap_err().code, ErrorCode::InvalidParameter);
        }
    }
}
