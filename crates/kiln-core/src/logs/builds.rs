//! The log streams of builds: they come into being when a build is given to a runner, and say what they have when it is
//! over, in the transactions that say so of the build.

use kiln_model::codebuild::LogsConfigStatusType;
use kiln_store::{
    StoreError, Tx, View,
    logs::{LogError, LogReader, Logs},
    metadata::{BuildState, LogGroupRecord, LogStreamRecord},
};

use super::document::Document as GroupDocument;
use crate::{core::Inner, document::Document, lifecycle::Millis, runners::Runners, timeline::millis};

/// Whether the log of the build is a stream of CloudWatch Logs (`logsConfig`). If it is not, it is there for the Kiln API
/// alone.
pub(crate) fn is_enabled(document: &Document) -> bool {
    let logs = document.build.logs.as_ref().and_then(|logs| logs.cloud_watch_logs.as_ref());
    logs.is_none_or(|logs| logs.status == LogsConfigStatusType::Enabled)
}

/// What a build's log has.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Closed {
    events: i64,
    /// Times of the first and of the last line.
    times: Option<(Millis, Millis)>,
    stored: i64,
}

/// What the log of a build has by now; nothing where there is none.
pub(crate) fn closed(logs: &Logs, document: &Document) -> Closed {
    of_log(logs, &document.log_group(), &document.log_stream(), false)
}

/// The same of a log by the names of its stream. `open`: it may still grow, and its last line with it.
pub(super) fn of_log(logs: &Logs, group: &str, stream: &str, open: bool) -> Closed {
    let found = match logs.reader(group, stream) {
        Ok(log) => sums(&log, open),
        Err(LogError::NotFound { .. }) => Ok(Closed::default()),
        Err(e) => Err(e),
    };
    or_nothing(found, group, stream)
}

/// Nothing of a log that cannot be read, which the operator is told.
fn or_nothing(found: Result<Closed, LogError>, group: &str, stream: &str) -> Closed {
    found.unwrap_or_else(|e| {
        tracing::error!(group, stream, error = %e, "a log cannot be read");
        Closed::default()
    })
}

fn sums(log: &LogReader, open: bool) -> Result<Closed, LogError> {
    let stats = log.stats();
    let whole = |line: &kiln_store::logs::Line| line.complete || !open;
    let first = log.lines(0, 1)?.into_iter().find(whole);
    // The last line may lack its newline, and is not one yet then.
    let last = log.tail(2)?.into_iter().rfind(whole);
    Ok(Closed {
        events: last.as_ref().map_or(0, |line| i64::try_from(line.number + 1).unwrap_or(i64::MAX)),
        times: first.zip(last).map(|(first, last)| (millis(first.time_ns), millis(last.time_ns))),
        stored: i64::try_from(stats.stored).unwrap_or(i64::MAX),
    })
}

impl Closed {
    /// Time of the first line.
    pub(super) fn begin(self) -> Option<Millis> {
        self.times.map(|(first, _)| first)
    }

    /// Says it of a stream.
    pub(super) fn fill(self, stream: &mut LogStreamRecord) {
        let (first_ms, last_ms) = self.times.unwrap_or((stream.created_ms, stream.created_ms));
        stream.events = self.events;
        stream.first_ms = first_ms;
        stream.last_ms = last_ms;
        stream.ingested_ms = last_ms;
        stream.stored = self.stored;
    }
}

/// Makes a group where there is none.
pub(super) fn ensure_group(tx: &mut Tx<'_>, name: &str, at: Millis) -> Result<(), StoreError> {
    if tx.log_group(name)?.is_some() {
        return Ok(());
    }
    let doc = GroupDocument::new().to_json()?;
    tx.put_log_group(&LogGroupRecord { name: name.to_owned(), created_ms: at, stored: 0, doc })
}

/// The record of a build's stream, as it is before anything is known of it.
pub(super) fn fresh(group: String, name: String, build: Option<String>, at: Millis) -> LogStreamRecord {
    LogStreamRecord {
        group,
        name,
        created_ms: at,
        build,
        open: false,
        events: 0,
        first_ms: at,
        last_ms: at,
        ingested_ms: at,
        stored: 0,
    }
}

/// A build is given to a runner: its group and stream come into being.
pub(crate) fn open(tx: &mut Tx<'_>, document: &Document, at: Millis) -> Result<(), StoreError> {
    if !is_enabled(document) {
        return Ok(());
    }
    let (group, name) = (document.log_group(), document.log_stream());
    ensure_group(tx, &group, at)?;
    let mut stream = match tx.log_stream(&group, &name)? {
        // It was given to a runner before, who never began.
        Some(stream) => stream,
        None => fresh(group, name, Some(document.uuid().to_owned()), at),
    };
    stream.open = true;
    tx.put_log_stream(&stream)
}

/// A build is over: its stream has what it has.
pub(crate) fn close(tx: &mut Tx<'_>, document: &Document, closed: Closed) -> Result<(), StoreError> {
    if !is_enabled(document) {
        return Ok(());
    }
    let (group, name) = (document.log_group(), document.log_stream());
    let mut stream = match tx.log_stream(&group, &name)? {
        Some(stream) => stream,
        // It never got its turn, and so no log.
        None if closed.stored == 0 => return Ok(()),
        // A Kiln that knew no streams gave it to its runner.
        None => {
            let at = document.lifecycle.submitted_ms;
            ensure_group(tx, &group, at)?;
            fresh(group, name, Some(document.uuid().to_owned()), at)
        }
    };
    stream.open = false;
    closed.fill(&mut stream);
    tx.put_log_stream(&stream)
}

/// A stream with what its log has by now, where its build still runs.
pub(super) fn now_of<R: Runners>(inner: &Inner<R>, mut stream: LogStreamRecord) -> LogStreamRecord {
    if !stream.open {
        return stream;
    }
    let live = stream.build.as_deref().and_then(|uuid| inner.live.get(uuid));
    let closed = match live {
        Some(live) => {
            let log = inner.build_log(&live.document());
            let found = log.and_then(|log| log.map_or(Ok(Closed::default()), |log| sums(&log, true)));
            or_nothing(found, &stream.group, &stream.name)
        }
        None => of_log(&inner.logs, &stream.group, &stream.name, true),
    };
    closed.fill(&mut stream);
    stream
}

/// Whether a stream is the log of a build that runs.
pub(super) fn runs(view: &View<'_>, stream: &LogStreamRecord) -> Result<bool, StoreError> {
    let Some(uuid) = stream.build.as_ref().filter(|_| stream.open) else { return Ok(false) };
    Ok(view.build(uuid)?.is_some_and(|build| build.state == BuildState::Running))
}

/// Whether one of the streams of a group is.
pub(super) fn is_running(view: &View<'_>, group: &str) -> Result<bool, StoreError> {
    for stream in view.open_log_streams()?.into_iter().filter(|stream| stream.group == group) {
        if runs(view, &stream)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Streams of builds that do not run, though a server that died said they did, are closed. Done at the start.
pub(super) fn settle<R: Runners>(inner: &Inner<R>) -> Result<(), StoreError> {
    let mut stale = Vec::new();
    for mut stream in inner.metadata.read(|view| view.open_log_streams())? {
        if inner.metadata.read(|view| runs(view, &stream))? {
            continue;
        }
        stream.open = false;
        of_log(&inner.logs, &stream.group, &stream.name, false).fill(&mut stream);
        stale.push(stream);
    }
    if stale.is_empty() {
        return Ok(());
    }
    inner.metadata.write_blocking(move |tx| stale.iter().try_for_each(|stream| tx.put_log_stream(stream)))
}
