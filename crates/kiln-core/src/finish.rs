//! Closes the books on a build: its log, its artifacts, its record, its directory, in this order. Until the record is
//! committed nobody sees the end, and everything can be done again from the journal.

use std::{fs, sync::Arc, time::Duration};

use kiln_model::{BuildStatus, PhaseType, kiln::ResourceSample};
use kiln_store::{
    StoreError,
    logs::{LogError, LogWriter},
    metadata::ObjectRecord,
};
use uuid::Uuid;

use crate::{
    adopt,
    core::Inner,
    crash,
    document::{self, Document},
    keep,
    lifecycle::Event,
    live::{Live, Progress},
    log_object, logs, objects, records,
    runners::Runners,
    supervise, traces,
};

/// Name of the file beside a log that holds what was collected from its journal. It may be lost: the journal says the
/// same.
pub(crate) const TIMELINE_FILE: &str = "timeline.json";

/// How long a runner may take from its last word to its end, and how often that is looked at beside being told.
const LETTING_GO: Duration = Duration::from_secs(30);
/// The same when the service stops; the next one clears up what stays. A runner's end unmounts the build's disk, which
/// waits for whatever the machine is writing: seconds, where it writes much.
const LETTING_GO_AT_THE_END: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(100);

/// Ends a build whose runner is gone.
pub(crate) fn finish<R: Runners>(inner: &Arc<Inner<R>>, live: &Live, log: &mut Option<LogWriter>, event: Event) {
    if !finish_log(inner, live, log) {
        return; // the server stops; the next one does it
    }
    crash::point("build_log_finished");
    let mut event = event;
    let (mut document, timeline) = live.with(|known| (known.document.clone(), known.timeline.clone()));
    let mut stored = Vec::new();
    match adopt::adopt(inner, &document, &timeline.artifacts) {
        Ok(adopted) => {
            document.stored = adopted.stored;
            stored = adopted.objects;
        }
        Err(why) => {
            let message = &why.context.message;
            tracing::error!(build.id = %document.build.id, error = %message, "artifacts could not be stored");
            document.lifecycle.blame(PhaseType::UploadArtifacts, why.status, why.context);
            if let Event::Over { status: status @ BuildStatus::Succeeded, .. } = &mut event {
                *status = why.status;
            }
        }
    }
    match log_object::store(inner, &document) {
        Ok(object) => stored.extend(object),
        // The log itself is kept; a build does not fail for its copy.
        Err(e) => tracing::warn!(build.id = %document.build.id, error = %e, "the log is not in its bucket"),
    }
    crash::point("build_artifacts_stored");
    match document.lifecycle.step(&event) {
        Ok((next, _)) => document.lifecycle = next,
        Err(e) => tracing::error!(build.id = %document.build.id, error = %e, "a build cannot end so"),
    }
    document.exported.clone_from(&timeline.exported);
    document.journal_bytes = log.as_ref().map_or(0, |log| log.position().offset);
    let directory = inner.logs.directory(&document.log_group(), &document.log_stream());
    match serde_json::to_vec(&timeline).map(|json| fs::write(directory.join(TIMELINE_FILE), json)) {
        Ok(Ok(())) => {}
        other => tracing::warn!(build.id = %document.build.id, "the timeline could not be kept: {other:?}"),
    }
    if commit_document(inner, live, document, stored) {
        crash::point("build_end_committed");
        close(inner, live);
    }
}

/// Ends a build that got no runner.
pub(crate) fn refuse<R: Runners>(inner: &Arc<Inner<R>>, live: &Live, event: &Event) {
    let mut document = live.document();
    if let Ok((next, _)) = document.lifecycle.step(event) {
        document.lifecycle = next;
    }
    commit_document(inner, live, document, Vec::new());
    crate::sources::unstage(inner, &live.uuid);
}

/// False: the server stops before the disk took it.
fn finish_log<R: Runners>(inner: &Inner<R>, live: &Live, log: &mut Option<LogWriter>) -> bool {
    let Some(log) = log else { return true };
    loop {
        match log.finish() {
            Ok(()) => return true,
            Err(e @ LogError::DiskFull { .. }) => {
                tracing::warn!(build.id = %live.uuid, error = %e, "the end of a build waits for its log");
                if inner.is_stopping() {
                    return false;
                }
                supervise::pause(inner);
            }
            Err(e) => {
                tracing::error!(build.id = %live.uuid, error = %e, "a build's log could not be completed");
                return true;
            }
        }
    }
}

/// Commits until the disk takes it; then everybody may see it. False: the server stops first.
fn commit_document<R: Runners>(
    inner: &Arc<Inner<R>>,
    live: &Live,
    document: Document,
    objects: Vec<ObjectRecord>,
) -> bool {
    let next_uuid = Uuid::new_v4().to_string();
    let samples: Arc<[ResourceSample]> = live.with(|known| known.timeline.samples.as_slice().into());
    let memory = inner.config.capacity.memory_bytes;
    let closed = logs::closed(&inner.logs, &document);
    live.with(|known| traces::keep(inner, &document, &known.timeline));
    loop {
        let (document, objects, samples) = (document.clone(), objects.clone(), Arc::clone(&samples));
        let (next_uuid, at, boot) = (next_uuid.clone(), inner.now(), inner.clock.boot_time());
        let home = inner.config.home.clone();
        let committed = inner.metadata.write_blocking(move |tx| {
            let Some((mut record, old)) = records::find(tx, document.uuid())? else {
                return Ok((document, None, Vec::new()));
            };
            let mut document = document;
            document.lifecycle.stop_requested |= old.lifecycle.stop_requested;
            document.superseded_by = old.superseded_by;
            let again = document.auto_retry_number < document.auto_retry_limit
                && document::is_retried(document.lifecycle.status)
                && !document.lifecycle.stop_requested
                // A project that was deleted meanwhile has no further tries.
                && tx.project(&document.build.project_name)?.is_some();
            let mut next = None;
            if again {
                let mut try_again = document.again(&home, &next_uuid, at);
                try_again.auto_retry_number = document.auto_retry_number + 1;
                try_again.previous_try = Some(document.uuid().to_owned());
                document.next_try = Some(next_uuid);
                next = Some(records::insert(tx, try_again, boot)?);
            }
            let mut replaced = Vec::new();
            for object in &objects {
                replaced.extend(objects::put(tx, object)?);
            }
            records::store_end(tx, &mut record, &document, &samples, memory)?;
            logs::close(tx, &document, closed)?;
            Ok((document, next, replaced))
        });
        match committed {
            Ok((document, next, replaced)) => {
                objects::give_up(inner, &replaced);
                let bytes = document.journal_bytes;
                tracing::info!(build.id = %document.build.id, status = %document.lifecycle.status, "build ended");
                inner.ended(&document);
                traces::send(inner, &document);
                live.with(|known| known.document = document);
                live.announce(Progress { bytes, over: true });
                if let Some(next) = next {
                    inner.enqueue(&next);
                }
                return true;
            }
            Err(e @ StoreError::Stopped(_)) => {
                tracing::error!(build.id = %live.uuid, error = %e, "the end of a build could not be recorded");
                return false;
            }
            Err(e) => {
                tracing::warn!(build.id = %live.uuid, error = %e, "the end of a build waits for the store");
                if inner.is_stopping() {
                    return false;
                }
                supervise::pause(inner);
            }
        }
    }
}

/// Waits until a runner that has said its last word has let go of the directory: that word is in the journal before, and
/// a busy machine lets the runner wait for its turn. `wait` waits at most so long. False: it still holds on.
pub(crate) fn has_let_go<R: Runners>(inner: &Inner<R>, uuid: &str, wait: impl Fn(Duration)) -> bool {
    let began = inner.clock.monotonic();
    while inner.runners.alive(uuid) {
        let limit = if inner.is_stopping() { LETTING_GO_AT_THE_END } else { LETTING_GO };
        if inner.clock.monotonic().saturating_sub(began) >= limit {
            return false;
        }
        wait(LOOK);
    }
    true
}

/// Removes what is left of the build, or keeps its file system.
fn close<R: Runners>(inner: &Arc<Inner<R>>, live: &Live) {
    let (kept, status) = live.with(|k| (k.document.kept_bytes.is_some(), k.document.lifecycle.status));
    if status == BuildStatus::Fault
        && let Err(e) = inner.runners.clear(&live.uuid)
    {
        tracing::warn!(build.id = %live.uuid, error = %e, "a build left something behind");
    }
    crate::sources::unstage(inner, &live.uuid);
    // A runner that takes its time has been waited for; what stays says so.
    has_let_go(inner, &live.uuid, |limit| live.wait(limit));
    match inner.runners.close(&live.uuid, kept) {
        Ok(Some(bytes)) => keep::keep(inner, &live.uuid, bytes),
        Ok(None) if kept => keep::forget(inner, &live.uuid),
        Ok(None) => {}
        Err(e) => tracing::warn!(build.id = %live.uuid, error = %e, "a build's directory stays"),
    }
}
