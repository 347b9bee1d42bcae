//! Gives builds to runners as room allows, ends those that waited too long, and has what is kept for a time only, and
//! keys, looked through.

use std::{sync::Arc, time::Duration};

use crate::{
    core::Inner, kms, lifecycle::Event, queue::Waiting, records, retention, runners::Runners, supervise, traces,
};

/// How long the scheduler sleeps when nothing is due.
pub(crate) const IDLE: Duration = Duration::from_secs(60);

/// Until the service stops.
pub(crate) fn run<R: Runners>(inner: &Arc<Inner<R>>, mut rounds: retention::Rounds) {
    let _running = inner.beat.begin(inner.clock.monotonic());
    while !inner.is_stopping() {
        inner.beat.tick(inner.clock.monotonic());
        if rounds.is_due(inner.now(), inner.clock.monotonic()) {
            let with = Arc::clone(inner);
            inner.spawn("kiln-retention", move || {
                retention::sweep(&with);
                kms::look(&with);
            });
        }
        let (late, next) = {
            let mut queue = inner.queue();
            let now = inner.clock.monotonic();
            let (late, next) = (queue.expire(now), queue.take_next());
            if late.is_empty() && next.is_none() && !inner.is_stopping() {
                let due = queue.next_deadline().map_or(IDLE, |at| at.saturating_sub(now).min(IDLE));
                inner.wait_for_work(queue, due);
                continue;
            }
            (late, next)
        };
        for build in late {
            expire(inner, &build);
        }
        if let Some(build) = next {
            let with = Arc::clone(inner);
            inner.spawn("kiln-build", move || supervise::begin(&with, &build));
        }
    }
}

fn expire<R: Runners>(inner: &Inner<R>, build: &Waiting) {
    let (uuid, at) = (build.uuid.clone(), inner.now());
    let ended = inner.metadata.write_blocking(move |tx| records::step(tx, &uuid, &Event::Expired { at }));
    match ended {
        Ok(ended) => {
            tracing::info!(build.uuid = %build.uuid, "build waited too long and timed out");
            if let Some((document, _)) = ended {
                inner.ended(&document);
                traces::send_unrun(inner, &document);
            }
        }
        Err(e) => {
            tracing::warn!(build.uuid = %build.uuid, error = %e, "a build that waited too long could not be ended yet");
            let again = Waiting { deadline: inner.clock.monotonic() + Duration::from_secs(1), ..build.clone() };
            inner.queue().put_back(again);
        }
    }
}
