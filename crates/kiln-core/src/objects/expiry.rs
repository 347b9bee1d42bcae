//! Lifecycle rules at work: what a bucket's rules say is over goes, in small transactions, beside everything else.

use kiln_model::{
    Timestamp,
    s3::{BucketSettings, Expiration, LifecycleRule, ObjectRef, Tag},
};
use kiln_store::{
    StoreError,
    metadata::{ListQuery, ListedVersionRecord, ObjectRecord, UploadRecord},
};

use super::{
    commit::object_doc,
    document,
    error::Refusal,
    remove::{delete, give_up},
};
use crate::{core::Inner, crash, lifecycle::Millis, runners::Runners};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Versions that are looked at, and deleted, at once.
const BATCH: usize = 500;

/// So many days after `from`, at the midnight (UTC) that follows.
fn after_days(from: Millis, days: i32) -> Millis {
    let at = from.saturating_add(i64::from(days).saturating_mul(DAY_MS));
    at.div_euclid(DAY_MS).saturating_add(1).saturating_mul(DAY_MS)
}

/// Whether a rule is about an object.
fn covers(rule: &LifecycleRule, object: &ObjectRecord, tags: &[Tag]) -> bool {
    rule.enabled
        && object.key.starts_with(rule.prefix.as_deref().unwrap_or_default())
        && rule.tags.iter().all(|tag| tags.contains(tag))
        && rule.larger_than.is_none_or(|size| object.size > size)
        && rule.smaller_than.is_none_or(|size| object.size < size)
}

/// When the newest version of an object expires by a rule.
fn expiry(rule: &LifecycleRule, object: &ObjectRecord) -> Option<Millis> {
    match rule.expiration? {
        Expiration::Days(days) => Some(after_days(object.created_ms, days)),
        Expiration::Date(date) => Some(date.millis()),
        Expiration::DeleteMarkers => None,
    }
}

/// When an object expires, and by which rule: the first that is due.
pub(super) fn expires(settings: &BucketSettings, object: &ObjectRecord, tags: &[Tag]) -> Option<(Timestamp, String)> {
    let rules = settings.lifecycle.as_deref().unwrap_or_default();
    let due = rules.iter().filter(|rule| covers(rule, object, tags));
    let due = due.filter_map(|rule| Some((expiry(rule, object)?, rule.id.clone()))).min()?;
    Some((Timestamp::from_millis(due.0), due.1))
}

/// What is known of the key whose versions pass by, newest first.
#[derive(Default)]
struct Key {
    name: String,
    /// Versions that were seen, delete markers too.
    seen: usize,
    /// When the version before (the next newer one) came.
    newer_at: Millis,
    /// The newest one is a delete marker, and older ones were not seen.
    lone_marker: Option<ObjectRecord>,
}

/// What is to be done with a version.
enum Fate {
    Stays,
    /// The newest: where there are versions, a delete marker comes in front.
    Expires,
    /// Goes for good.
    Goes,
}

impl Key {
    fn fate(
        &mut self,
        rules: &[LifecycleRule],
        version: &ListedVersionRecord,
        now: Millis,
    ) -> Result<Fate, StoreError> {
        let object = &version.object;
        let tags = object_doc(object)?.tags;
        let mut covering = rules.iter().filter(|rule| covers(rule, object, &tags));
        let noncurrent = self.seen;
        let newer_at = self.newer_at;
        self.seen += 1;
        self.newer_at = object.created_ms;
        if version.newest {
            if object.is_delete_marker() {
                return Ok(Fate::Stays); // decided when it is known whether older ones follow
            }
            let over = covering.any(|rule| expiry(rule, object).is_some_and(|at| at <= now));
            return Ok(if over { Fate::Expires } else { Fate::Stays });
        }
        let over = covering.any(|rule| {
            rule.noncurrent.is_some_and(|rule| {
                // The first noncurrent one is number 1.
                let kept = usize::try_from(rule.keep.unwrap_or(0)).unwrap_or(0);
                noncurrent > kept && after_days(newer_at, rule.days) <= now
            })
        });
        Ok(if over { Fate::Goes } else { Fate::Stays })
    }
}

/// Whether a delete marker goes behind which nothing is left.
fn marker_goes(rules: &[LifecycleRule], marker: &ObjectRecord, now: Millis) -> bool {
    rules.iter().filter(|rule| covers(rule, marker, &[])).any(|rule| match rule.expiration {
        Some(Expiration::DeleteMarkers) => true,
        // As S3 has it: an expiration by age also takes markers that are older than that.
        Some(_) => expiry(rule, marker).is_some_and(|at| at <= now),
        None => false,
    })
}

/// One round through all buckets; returns how much went.
pub(crate) fn sweep<R: Runners>(inner: &Inner<R>) -> Result<usize, StoreError> {
    let mut count = 0;
    for bucket in inner.metadata.read(|view| view.buckets())? {
        let settings = document::settings(&bucket)?;
        let rules = settings.lifecycle.as_deref().unwrap_or_default();
        if rules.iter().any(|rule| rule.expiration.is_some() || rule.noncurrent.is_some()) {
            count += sweep_versions(inner, &bucket.name, rules)?;
        }
        count += sweep_uploads(inner, &bucket.name, rules)?;
        if inner.is_stopping() {
            break;
        }
    }
    Ok(count)
}

fn sweep_versions<R: Runners>(inner: &Inner<R>, bucket: &str, rules: &[LifecycleRule]) -> Result<usize, StoreError> {
    let now = inner.now();
    let (mut count, mut key) = (0, Key::default());
    let query = ListQuery { bucket, prefix: "", delimiter: None, limit: BATCH };
    let mut page = inner.metadata.read(|view| view.list_versions(query, None, None))?;
    loop {
        // Read before anything of this page goes, which is where it begins.
        let next = match page.items.last().filter(|_| page.truncated) {
            Some(last) => {
                let (key, version) = (Some(last.object.key.as_str()), Some(last.object.version.as_str()));
                Some(inner.metadata.read(|view| view.list_versions(query, key, version))?)
            }
            None => None,
        };
        let mut doomed: Vec<(ObjectRecord, bool)> = Vec::new();
        for version in page.items {
            if version.newest || version.object.key != key.name {
                doomed.extend(key.lone_marker.take().map(|marker| (marker, true)));
                key = Key { name: version.object.key.clone(), ..Key::default() };
                if version.object.is_delete_marker() && marker_goes(rules, &version.object, now) {
                    key.lone_marker = Some(version.object.clone());
                }
            } else {
                key.lone_marker = None;
            }
            match key.fate(rules, &version, now)? {
                Fate::Stays => {}
                Fate::Expires => doomed.push((version.object, false)),
                Fate::Goes => doomed.push((version.object, true)),
            }
        }
        if next.is_none() {
            doomed.extend(key.lone_marker.take().map(|marker| (marker, true)));
        }
        count += remove(inner, bucket, doomed, now)?;
        match next {
            Some(next) if !inner.is_stopping() => page = next,
            _ => return Ok(count),
        }
    }
}

/// Deletes what is over, unless it was changed since it was looked at.
fn remove<R: Runners>(
    inner: &Inner<R>,
    bucket: &str,
    doomed: Vec<(ObjectRecord, bool)>,
    now: Millis,
) -> Result<usize, StoreError> {
    if doomed.is_empty() {
        return Ok(0);
    }
    let count = doomed.len();
    let bucket = bucket.to_owned();
    let blobs = inner.metadata.write_blocking(move |tx| {
        let Some(record) = tx.bucket(&bucket)? else { return Ok(Vec::new()) };
        let (settings, mut blobs) = (document::settings(&record)?, Vec::new());
        for (object, for_good) in doomed {
            if tx.object_version(&object.bucket, &object.key, &object.version)?.as_ref() != Some(&object) {
                continue;
            }
            let newest = tx.object(&object.bucket, &object.key)?;
            if !for_good && newest.as_ref() != Some(&object) {
                continue;
            }
            let version_id = for_good.then_some(object.version);
            let input = kiln_model::s3::DeleteObjectInput {
                object: ObjectRef { bucket: object.bucket, key: object.key, version_id },
                if_match: None,
            };
            match delete(tx, &settings, &input, now, &mut blobs) {
                Ok(_) | Err(Refusal::Client(_)) => {}
                Err(Refusal::Store(e)) => return Err(e),
            }
        }
        Ok(blobs)
    })?;
    crash::point("objects_expired");
    give_up(inner, &blobs);
    Ok(count)
}

fn sweep_uploads<R: Runners>(inner: &Inner<R>, bucket: &str, rules: &[LifecycleRule]) -> Result<usize, StoreError> {
    let now = inner.now();
    let over = |upload: &UploadRecord| {
        let by_rule = rules.iter().filter(|rule| rule.enabled).any(|rule| {
            upload.key.starts_with(rule.prefix.as_deref().unwrap_or_default())
                && rule.abort_uploads_after_days.is_some_and(|days| after_days(upload.created_ms, days) <= now)
        });
        let age = i64::try_from(inner.config.retention.uploads.as_millis()).unwrap_or(i64::MAX);
        by_rule || upload.created_ms < now.saturating_sub(age)
    };
    let query = ListQuery { bucket, prefix: "", delimiter: None, limit: BATCH };
    let mut page = inner.metadata.read(|view| view.list_uploads(query, None, None))?;
    let mut count = 0;
    loop {
        let next = match page.items.last().filter(|_| page.truncated) {
            Some(last) => Some(inner.metadata.read(|view| view.list_uploads(query, Some(&last.key), Some(&last.id)))?),
            None => None,
        };
        for upload in page.items.into_iter().filter(over) {
            let blobs = inner.metadata.write_blocking(move |tx| {
                // Completed meanwhile: its parts are an object's.
                if tx.delete_upload(&upload.id)? { tx.delete_parts(&upload.id) } else { Ok(Vec::new()) }
            })?;
            give_up(inner, &blobs);
            count += 1;
        }
        match next {
            Some(next) if !inner.is_stopping() => page = next,
            _ => return Ok(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_end_at_the_midnight_that_follows() {
        assert_eq!(after_days(0, 1), 2 * DAY_MS);
        assert_eq!(after_days(1, 1), 2 * DAY_MS);
        assert_eq!(after_days(DAY_MS - 1, 1), 2 * DAY_MS);
        assert!(after_days(i64::MAX, i32::MAX) > 0);
    }
}
