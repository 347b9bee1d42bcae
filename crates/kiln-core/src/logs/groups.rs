//! Log groups: making, deleting, listing, and how long their events are kept.

use kiln_model::{
    ApiError, ErrorCode,
    arn::Home,
    logs::{
        CreateLogGroupRequest, DeleteLogGroupRequest, DeleteRetentionPolicyRequest, DescribeLogGroupsRequest,
        DescribeLogGroupsResponse, Empty, LogGroup, LogGroupClass, PutLogGroupDeletionProtectionRequest,
        PutRetentionPolicyRequest,
    },
    service::Context,
};
use kiln_store::metadata::{LogGroupRecord, LogStreamSort};

use super::{
    builds::is_running,
    document::Document,
    error, invalid,
    name::{aborted, arn, find_group, group_of},
    tags,
};
use crate::{
    core::Inner,
    page::{after, token},
    records::Refused,
    runners::Runners,
};

/// The days that a retention may have.
const RETENTIONS: [i32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];
/// Groups or streams of a page where the caller does not say, and at most.
pub(super) const PAGE: usize = 50;
/// Groups that are looked at in one step, and streams that are deleted in one transaction.
const BATCH: usize = 500;

/// Changes the document of a group in one transaction.
pub(super) async fn edit<R, F>(inner: &Inner<R>, group: String, edit: F) -> Result<Empty, ApiError>
where
    R: Runners,
    F: FnOnce(&mut Document) -> Result<(), ApiError> + Send + 'static,
{
    inner
        .transact(move |tx| {
            let (mut record, mut document) = find_group(tx, &group)?;
            edit(&mut document)?;
            record.doc = document.to_json()?;
            tx.put_log_group(&record)?;
            Ok(Empty {})
        })
        .await
}

pub(super) async fn create_log_group<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: CreateLogGroupRequest,
) -> Result<Empty, ApiError> {
    if input.kms_key_id.is_some_and(|key| !key.is_empty()) {
        return Err(invalid("kmsKeyId: keys for log groups are not available in this version of Kiln"));
    }
    if input.log_group_name.starts_with("aws/") {
        return Err(invalid("Log groups starting with AWS/ are reserved for AWS."));
    }
    let mut document = Document::new();
    document.class = input.log_group_class.unwrap_or(LogGroupClass::Standard);
    document.is_protected = input.deletion_protection_enabled.unwrap_or_default();
    tags::put(&mut document, input.tags.unwrap_or_default())?;
    let (name, created_ms) = (input.log_group_name, inner.now());
    inner
        .transact(move |tx| {
            if tx.log_group(&name)?.is_some() {
                return Err(ApiError::already_exists("The specified log group already exists").into());
            }
            tx.put_log_group(&LogGroupRecord { name, created_ms, stored: 0, doc: document.to_json()? })?;
            Ok(Empty {})
        })
        .await
}

pub(super) async fn delete_log_group<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: DeleteLogGroupRequest,
) -> Result<Empty, ApiError> {
    let group = input.log_group_name;
    loop {
        let name = group.clone();
        // A few at a time: the store serves others in between. What was looked at first is looked at again each time.
        let gone = inner
            .transact(move |tx| {
                let (_, document) = find_group(tx, &name)?;
                if document.is_protected {
                    let message = "The specified log group is protected from deletion. Turn the protection off first.";
                    return Err(error(ErrorCode::Validation, message).into());
                }
                if is_running(tx, &name)? {
                    return Err(aborted("A build writes its log into the specified log group").into());
                }
                let streams = tx.log_streams(&name, "", LogStreamSort::Name, None, BATCH)?;
                for stream in &streams {
                    tx.delete_log_stream(&name, &stream.name)?;
                }
                if streams.len() < BATCH {
                    tx.delete_log_group(&name)?;
                }
                Ok(streams)
            })
            .await?;
        super::streams::remove_files(inner, &gone).await;
        if gone.len() < BATCH {
            return Ok(Empty {});
        }
    }
}

pub(super) async fn put_retention_policy<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: PutRetentionPolicyRequest,
) -> Result<Empty, ApiError> {
    let days = input.retention_in_days;
    if !RETENTIONS.contains(&days) {
        let known: Vec<String> = RETENTIONS.iter().map(i32::to_string).collect();
        return Err(invalid(format!(
            "1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: Member must \
             satisfy enum value set: [{}]",
            known.join(", ")
        )));
    }
    edit(inner, input.log_group_name, move |document| {
        document.retention_days = Some(days);
        Ok(())
    })
    .await
}

pub(super) async fn delete_retention_policy<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: DeleteRetentionPolicyRequest,
) -> Result<Empty, ApiError> {
    edit(inner, input.log_group_name, |document| {
        document.retention_days = None;
        Ok(())
    })
    .await
}

pub(super) async fn put_log_group_deletion_protection<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: PutLogGroupDeletionProtectionRequest,
) -> Result<Empty, ApiError> {
    let group = group_of(&inner.config.home, &input.log_group_identifier)?.to_owned();
    edit(inner, group, move |document| {
        document.is_protected = input.deletion_protection_enabled;
        Ok(())
    })
    .await
}

/// A group as lists show it; `short`: as lists by a pattern do.
fn show(home: &Home, record: LogGroupRecord, document: &Document, short: bool) -> LogGroup {
    let arn = arn(home, &record.name);
    let mut group = LogGroup {
        creation_time: Some(record.created_ms),
        arn: Some(format!("{arn}:*")),
        log_group_name: Some(record.name),
        ..LogGroup::default()
    };
    if !short {
        group.log_group_arn = Some(arn);
        group.metric_filter_count = Some(0);
        group.stored_bytes = Some(record.stored);
        group.log_group_class = Some(document.class);
        group.retention_in_days = document.retention_days;
        group.deletion_protection_enabled = Some(document.is_protected);
    }
    group
}

pub(super) async fn describe_log_groups<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: DescribeLogGroupsRequest,
) -> Result<DescribeLogGroupsResponse, ApiError> {
    let home = &inner.config.home;
    let pattern = input.log_group_name_pattern.filter(|pattern| !pattern.is_empty());
    if pattern.is_some() && input.log_group_name_prefix.is_some() {
        return Err(invalid("LogGroupNamePrefix and LogGroupNamePattern are mutually exclusive parameters."));
    }
    if let Some(identifiers) = input.log_group_identifiers {
        if pattern.is_some() || input.log_group_name_prefix.is_some() || input.next_token.is_some() {
            return Err(invalid("LogGroupIdentifiers cannot be specified together with a prefix, pattern or token."));
        }
        let mut names = Vec::new();
        for identifier in &identifiers {
            // Those of other accounts are not there.
            names.extend(group_of(home, identifier).ok());
        }
        names.sort_unstable();
        names.dedup();
        let groups = inner.look(|view| {
            let mut groups = Vec::new();
            for name in names {
                let Some(record) = view.log_group(name)? else { continue };
                let document = Document::of(&record)?;
                groups.push(show(home, record, &document, false));
            }
            Ok(groups)
        })?;
        return Ok(DescribeLogGroupsResponse { log_groups: Some(groups), next_token: None });
    }
    let prefix = input.log_group_name_prefix.unwrap_or_default();
    let most = input.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(PAGE);
    let list = format!("log groups {prefix:?} {pattern:?} {:?}", input.log_group_class);
    let mut begin: Option<String> = after(&list, input.next_token.as_deref()).map_err(|_| invalid_token())?;
    let class = input.log_group_class;
    let mut groups = inner.look(|view| {
        let mut groups = Vec::new();
        loop {
            let page = view.log_groups(&prefix, begin.as_deref(), BATCH)?;
            let Some(last) = page.last() else { return Ok::<_, Refused>(groups) };
            begin = Some(last.name.clone());
            for record in page {
                let document = Document::of(&record)?;
                let is_wanted = pattern.as_ref().is_none_or(|pattern| record.name.contains(pattern))
                    && class.is_none_or(|class| class == document.class);
                if is_wanted {
                    groups.push(show(home, record, &document, pattern.is_some()));
                }
                if groups.len() > most {
                    return Ok(groups);
                }
            }
        }
    })?;
    let has_more = groups.len() > most;
    groups.truncate(most);
    let last = groups.last().filter(|_| has_more).and_then(|group| group.log_group_name.clone());
    Ok(DescribeLogGroupsResponse { next_token: last.and_then(|name| token(&list, name)), log_groups: Some(groups) })
}

/// The answer to a token of another list.
pub(super) fn invalid_token() -> ApiError {
    invalid("The specified nextToken is invalid.")
}
