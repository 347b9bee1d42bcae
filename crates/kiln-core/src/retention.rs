//! What is kept for a time only: records of builds, the sources that clients sent along with them, what the lifecycle
//! rules of buckets and the retention of log groups say, and secrets that wait for their deletion. The artifacts of a build
//! stay, as they do when it is deleted (`api.md` 2.5), and so does its log, unless its log group has a retention.

use std::{collections::HashSet, time::Duration};

use kiln_model::{codebuild::SourceType, location::S3Location};
use kiln_store::{StoreError, metadata::BuildState};

use crate::{
    cloudwatch, codecommit, core::Inner, ecr, lifecycle::Millis, logs, objects, records, runners::Runners,
    secretsmanager, sources::UPLOADS, webhook,
};

/// Between two rounds.
const EVERY: Duration = Duration::from_secs(60 * 60);
/// By as much the wall clock may differ from the monotonic one over a round.
const ADJUSTED: Duration = Duration::from_secs(5 * 60);
/// Builds that go, or objects that are looked at, in one transaction.
const BATCH: usize = 200;

/// When it is time for a round. Only a wall clock that went steadily since the last one is believed: of a machine that
/// takes itself to be in another year nothing is thrown away.
#[derive(Debug)]
pub(crate) struct Rounds {
    wall: Millis,
    monotonic: Duration,
}

impl Rounds {
    /// The first one is due in an hour.
    pub(crate) fn new(wall: Millis, monotonic: Duration) -> Self {
        Self { wall, monotonic }
    }

    /// Whether a round is to be made now.
    pub(crate) fn is_due(&mut self, wall: Millis, monotonic: Duration) -> bool {
        let passed = monotonic.saturating_sub(self.monotonic);
        if passed < EVERY {
            return false;
        }
        let seemed = wall.saturating_sub(self.wall);
        *self = Self::new(wall, monotonic);
        let expected = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
        let steady = u128::from(seemed.abs_diff(expected)) <= ADJUSTED.as_millis();
        if !steady {
            tracing::warn!("the clock was set: what has become old is looked at in an hour");
        }
        steady
    }
}

/// Removes what is older than the operator wants it to be.
pub(crate) fn sweep<R: Runners>(inner: &Inner<R>) {
    inner.audit.prune(before(inner, inner.config.retention.audit));
    let rounds = [
        ("builds", builds(inner)),
        ("uploaded sources", sources(inner)),
        ("objects and uploads", objects::sweep(inner)),
        ("secrets", secretsmanager::sweep(inner)),
        ("images and uploads of layers", ecr::sweep(inner)),
        ("values of metrics", cloudwatch::roll_up(inner)),
        ("objects of git repositories", codecommit::sweep(inner)),
        ("events of log streams", logs::sweep(inner)),
        ("deliveries of webhooks", webhook::sweep(inner)),
    ];
    for (what, swept) in rounds {
        match swept {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "{what} were removed, or made coarser, as their time is over"),
            Err(e) => tracing::warn!(error = %e, "old {what} could not be removed; tried again in an hour"),
        }
    }
}

fn before<R: Runners>(inner: &Inner<R>, age: Duration) -> Millis {
    inner.now().saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
}

fn builds<R: Runners>(inner: &Inner<R>) -> Result<usize, StoreError> {
    let before = before(inner, inner.config.retention.builds);
    let mut count = 0;
    while !inner.is_stopping() {
        let old = inner.metadata.read(|view| view.builds_ended_before(before, BATCH))?;
        if old.is_empty() {
            break;
        }
        let uuids: Vec<String> = old.into_iter().map(|key| key.uuid).collect();
        let gone = uuids.clone();
        inner.metadata.write_blocking(move |tx| gone.iter().try_for_each(|uuid| tx.delete_build(uuid).map(drop)))?;
        count += uuids.len();
        for uuid in uuids {
            if let Err(e) = inner.runners.close(&uuid, false) {
                tracing::warn!(build.uuid = %uuid, error = %e, "the file system of an old build stays");
            }
        }
    }
    Ok(count)
}

fn sources<R: Runners>(inner: &Inner<R>) -> Result<usize, StoreError> {
    let before = before(inner, inner.config.retention.sources);
    let used = in_use(inner)?;
    let (bucket, prefix) = (&inner.config.default_bucket, format!("{UPLOADS}/"));
    let (mut after, mut count) = (None::<String>, 0);
    while !inner.is_stopping() {
        let page = inner.metadata.read(|view| view.objects(bucket, &prefix, after.as_deref(), BATCH))?;
        let Some(last) = page.last() else { break };
        after = Some(last.key.clone());
        let old: Vec<_> = page.into_iter().filter(|o| o.created_ms < before && !used.contains(&o.key)).collect();
        if old.is_empty() {
            continue;
        }
        count += old.len();
        let blobs = inner.metadata.write_blocking(move |tx| {
            let mut blobs = Vec::new();
            for object in &old {
                let gone = tx.delete_object(&object.bucket, &object.key, &object.version)?;
                if let Some(gone) = gone {
                    blobs.extend(tx.give_up_bytes(gone)?);
                }
            }
            Ok(blobs)
        })?;
        objects::give_up(inner, &blobs);
    }
    Ok(count)
}

/// Keys in the default bucket that are sources of builds which are not over.
fn in_use<R: Runners>(inner: &Inner<R>) -> Result<HashSet<String>, StoreError> {
    let mut used = HashSet::new();
    for state in [BuildState::Queued, BuildState::Running] {
        for key in inner.metadata.read(|view| view.active_build_ids(state, None, usize::MAX))? {
            let Some((_, document)) = inner.metadata.read(|view| records::find(view, &key.uuid))? else { continue };
            let build = &document.build;
            let sources = std::iter::once(&build.source).chain(&build.secondary_sources);
            let locations = sources.filter(|source| source.r#type == SourceType::S3).filter_map(|source| {
                let location = S3Location::parse(source.location.as_deref()?)?;
                (location.bucket == inner.config.default_bucket).then(|| location.key.to_owned())
            });
            used.extend(locations);
        }
    }
    Ok(used)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_is_not_believed_for_an_hour() {
        const HOUR: i64 = 60 * 60 * 1000;
        let mono = |hours: i64| Duration::from_millis(hours.unsigned_abs() * HOUR.unsigned_abs());
        let mut rounds = Rounds::new(0, mono(0));
        assert!(!rounds.is_due(HOUR / 2, mono(1) / 2));
        assert!(rounds.is_due(HOUR, mono(1)));
        for jump in [12 * 365 * 24 * HOUR, -HOUR, HOUR] {
            let mut rounds = Rounds::new(0, mono(0));
            assert!(!rounds.is_due(HOUR + jump, mono(1)), "{jump}");
            assert!(!rounds.is_due(HOUR + jump, mono(1)));
            assert!(rounds.is_due(2 * HOUR + jump, mono(2)), "{jump}");
        }
    }
}
