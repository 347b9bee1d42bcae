//! The log of a build, with what its runner wrote a moment ago: by line, and searched.

use std::{fs::File, io, sync::Arc};

use kiln_model::{
    ApiError, ErrorCode, Timestamp,
    kiln::{
        CountBuildLogInput, CountBuildLogOutput, GetBuildLogInput, GetBuildLogOutput, LogLine, LogMatch, LogStart,
        MOST_MATCHES, SearchBuildLogInput, SearchBuildLogOutput, TextRange,
    },
};
use kiln_runner::job::JOURNAL_FILE;
use kiln_store::logs::{Line, LogError, LogReader, Query, Scope};
use tokio::{
    sync::Semaphore,
    time::{Duration, Instant, timeout_at},
};

use crate::{core::Inner, document::Document, runners::Runners, timeline::millis};

/// Matches of an answer where the caller does not say.
const MATCHES_SHOWN: u32 = 100;

/// Longest wait for a line, in seconds.
const LONGEST_WAIT: u32 = 20;

/// Searches at a time; each takes two threads and some 30 MiB. More of them wait their turn.
static SEARCHES: Semaphore = Semaphore::const_new(2);

impl<R: Runners> Inner<R> {
    /// The log of a build as it is now, by line, time and byte: of a running build every record that its supervisor has
    /// seen, whether or not it is in a segment yet. `None` before there is any. Whoever waits for more follows
    /// [`crate::live::Live::follow`] and asks again.
    pub(crate) fn build_log(&self, document: &Document) -> Result<Option<LogReader>, LogError> {
        let (group, stream) = (document.log_group(), document.log_stream());
        if let Some(live) = self.live.get(document.uuid()) {
            // Opened first: it stays readable although the build ends and its directory goes meanwhile. Where it is gone, or
            // not there yet, the segments have everything that there is.
            let path = self.runners.dir(document.uuid()).join(JOURNAL_FILE);
            match File::open(&path) {
                Ok(journal) => {
                    let end = live.follow().borrow().bytes;
                    return LogReader::open_live(&self.logs.directory(&group, &stream), &journal, end).map(Some);
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(LogError::Io { doing: "open", path, source: Arc::new(e) }),
            }
        }
        match self.logs.reader(&group, &stream) {
            Ok(reader) => Ok(Some(reader)),
            Err(LogError::NotFound { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// The answer where the log of a build that is over was deleted; `None` where it is there, or never was.
pub(crate) fn deleted(document: &Document) -> Option<ApiError> {
    // One that failed before it was given to a runner never had a log.
    let had_one = document.lifecycle.status.is_terminal() && document.journal_bytes > 0;
    had_one.then(|| {
        let text = format!(
            "The log of build {} is not there any more: its log stream {} was deleted, or is older than the retention of \
             log group {} says",
            document.build.id,
            document.log_stream(),
            document.log_group()
        );
        ApiError::new(ErrorCode::ResourceNotFound, text)
    })
}

/// What a client is told when a log cannot be read.
pub(crate) fn refuse(error: &LogError) -> ApiError {
    tracing::error!(error = %error, "a log cannot be read");
    ApiError::internal(error.to_string())
}

/// Works on a build's log on a thread for blocking work; `None` when there is no log yet. The work is told whether the build
/// is over.
async fn with_log<R: Runners, T: Send + 'static>(
    inner: &Arc<Inner<R>>,
    document: Document,
    work: impl FnOnce(&LogReader, bool) -> Result<T, LogError> + Send + 'static,
) -> Result<(Option<T>, bool), ApiError> {
    let inner = Arc::clone(inner);
    let deleted = deleted(&document);
    let done = tokio::task::spawn_blocking(move || {
        // The record is older than the log: if the build was over then, the log is whole.
        let over = document.lifecycle.status.is_terminal();
        let log = inner.build_log(&document)?;
        Ok::<_, LogError>((log.map(|log| work(&log, over)).transpose()?, over))
    });
    let done = done.await.map_err(|e| ApiError::internal(format!("a log could not be read: {e}")))?;
    match (done.map_err(|e| refuse(&e))?, deleted) {
        ((None, _), Some(deleted)) => Err(deleted),
        (done, _) => Ok(done),
    }
}

/// A line of the store as one of the API, which counts from 1.
fn shown(line: Line) -> LogLine {
    LogLine {
        number: line.number + 1,
        time: Timestamp::from_millis(millis(line.time_ns)),
        byte: line.start,
        text: String::from_utf8_lossy(&line.bytes).into_owned(),
    }
}

/// Lines of a log.
pub(crate) async fn read<R: Runners>(
    inner: &Arc<Inner<R>>,
    document: Document,
    input: GetBuildLogInput,
) -> Result<GetBuildLogOutput, ApiError> {
    let start = input.start()?;
    let patience = Duration::from_secs(u64::from(input.wait_seconds.unwrap_or_default().min(LONGEST_WAIT)));
    let (waits, until) = (!patience.is_zero(), Instant::now() + patience);
    let (uuid, project) = (document.uuid().to_owned(), document.build.project_name.clone());
    // Looked at before each read, so that no line comes unseen in between.
    let mut progress = inner.live.get(&uuid).map(|live| live.follow());
    let mut document = document;
    loop {
        if let Some(progress) = &mut progress {
            progress.mark_unchanged();
        }
        let asked = input.clone();
        let read = with_log(inner, document, move |log, over| read_from(log, over, start, &asked));
        let (output, over) = read.await?;
        let output = output.unwrap_or(GetBuildLogOutput { lines: Vec::new(), next_line: 1, complete: over });
        let Some(progress) = progress.as_mut().filter(|_| waits && output.lines.is_empty() && !output.complete) else {
            return Ok(output);
        };
        // An error is the end of the build, which its record says, or of the server.
        match timeout_at(until, progress.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Ok(output),
        }
        let Some(again) = inner.find(&uuid, &project)? else { return Ok(output) };
        document = again;
    }
}

fn read_from(
    log: &LogReader,
    over: bool,
    start: LogStart,
    input: &GetBuildLogInput,
) -> Result<GetBuildLogOutput, LogError> {
    // The log counts its lines from 0, people from 1.
    let most = input.limit() as usize;
    let end = log.stats().lines;
    let first = match start {
        LogStart::Line(from) => from - 1,
        LogStart::Byte(byte) => log.at_byte(byte)?.unwrap_or(end),
        LogStart::Tail(n) => log.tail((n as usize).min(most))?.first().map_or(end, |line| line.number),
        LogStart::Since(time) => log.at_time(nanos(time))?.unwrap_or(end),
    };
    let mut lines = log.lines(first, most)?;
    // One that may still grow is shown when it is whole.
    lines.retain(|line| line.complete || over);
    let wanted = |line: &Line| {
        input.to_line.is_none_or(|to| line.number < to) && input.until.is_none_or(|until| line.time_ns < nanos(until))
    };
    let asked = lines.iter().position(|line| !wanted(line));
    lines.truncate(asked.unwrap_or(lines.len()));
    let next = lines.last().map_or(first, |line| line.number + 1);
    let complete =
        asked.is_some() || input.to_line.is_some_and(|to| next >= to) || (over && log.lines(next, 1)?.is_empty());
    Ok(GetBuildLogOutput { lines: lines.into_iter().map(shown).collect(), next_line: next + 1, complete })
}

fn nanos(time: Timestamp) -> u64 {
    u64::try_from(time.millis()).unwrap_or(0).saturating_mul(1_000_000)
}

/// What is searched for.
fn query(text: Option<&str>, pattern: Option<&str>, ignore_case: Option<bool>) -> Result<Query, ApiError> {
    let ignore_case = ignore_case == Some(true);
    match (text, pattern) {
        (Some(text), None) => Query::text(text, ignore_case),
        (None, Some(pattern)) => Query::pattern(pattern, ignore_case),
        _ => return Err(ApiError::invalid_input("give one of text and pattern")),
    }
    .map_err(|e| ApiError::invalid_input(e.to_string()))
}

/// Waits for its turn, then searches.
async fn in_turn<T>(search: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
    let _turn = SEARCHES.acquire().await.map_err(|e| ApiError::internal(e.to_string()))?;
    search.await
}

/// Lines that are searched for.
pub(crate) async fn search<R: Runners>(
    inner: &Arc<Inner<R>>,
    document: Document,
    input: SearchBuildLogInput,
) -> Result<SearchBuildLogOutput, ApiError> {
    let query = query(input.text.as_deref(), input.pattern.as_deref(), input.ignore_case)?;
    let backward = input.backward == Some(true);
    let max = input.max_matches.unwrap_or(MATCHES_SHOWN).clamp(1, MOST_MATCHES) as usize;
    let (from, to) = (input.from_line.map(|line| line - 1), input.to_line.map(|line| line - 1));
    let (first, last) = if backward {
        (to.unwrap_or(0), from.unwrap_or(u64::MAX))
    } else {
        (from.unwrap_or(0), to.unwrap_or(u64::MAX))
    };
    let search = with_log(inner, document, move |log, over| {
        let found = log.search(&query, Scope { first, last, unfinished: over }, backward, max)?;
        let matches = found.lines.into_iter().map(|line| {
            let line = shown(line);
            let range = |range: std::ops::Range<usize>| TextRange { start: range.start as u64, end: range.end as u64 };
            let ranges = query.ranges(&line.text).into_iter().map(range).collect();
            LogMatch { line, ranges }
        });
        let matches = matches.collect();
        let next_line = if backward { found.next } else { found.next.or_else(|| Some(end_of(log, over, first, last))) };
        let all = backward || over || next_line.is_some_and(|next| next > last);
        Ok(SearchBuildLogOutput {
            matches,
            next_line: next_line.map(|next| next.saturating_add(1)),
            complete: found.next.is_none() && all,
        })
    });
    let (output, over) = in_turn(search).await?;
    let nothing = || SearchBuildLogOutput {
        matches: Vec::new(),
        next_line: (!backward).then_some(first.saturating_add(1)),
        complete: over || backward,
    };
    Ok(output.unwrap_or_else(nothing))
}

/// Counts lines.
pub(crate) async fn count<R: Runners>(
    inner: &Arc<Inner<R>>,
    document: Document,
    input: CountBuildLogInput,
) -> Result<CountBuildLogOutput, ApiError> {
    let query = query(input.text.as_deref(), input.pattern.as_deref(), input.ignore_case)?;
    let first = input.from_line.map_or(0, |line| line - 1);
    let last = input.to_line.map_or(u64::MAX, |line| line - 1);
    let count = with_log(inner, document, move |log, over| {
        let counted = log.count(&query, Scope { first, last, unfinished: over })?;
        let next = counted.next.unwrap_or_else(|| end_of(log, over, first, last));
        Ok(CountBuildLogOutput {
            matched_lines: counted.matched,
            total_lines: counted.total,
            next_line: next.saturating_add(1),
            complete: counted.next.is_none() && (over || next > last),
        })
    });
    let (output, over) = in_turn(count).await?;
    let nothing = CountBuildLogOutput { next_line: first.saturating_add(1), complete: over, ..Default::default() };
    Ok(output.unwrap_or(nothing))
}

/// The line behind those that there are, of those that are wanted.
fn end_of(log: &LogReader, over: bool, first: u64, last: u64) -> u64 {
    let lines = log.stats().lines + u64::from(over && log.open_line());
    lines.min(last.saturating_add(1)).max(first)
}
