//! Searches the lines of a log.
//!
//! There is no index of words: segments are decompressed by two threads at once and searched whole. A line that several
//! segments share is put together before it is searched.

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use kiln_wire::journal::{Cursor, JournalError};

use super::{
    LINE_BYTES,
    error::LogError,
    query::Query,
    reader::{Line, LogReader, PAGE_BYTES},
    segment::Header,
    stored::{Buffers, Segments},
};

/// Segments that are searched before the matches of the ones before are looked at; a search begins with fewer.
const BATCH: usize = 16;
/// Threads of one search.
const THREADS: usize = 2;
/// Bytes of journal after which a search answers what it has, if it has come to another line.
const SEARCHED_BYTES: u64 = if cfg!(test) { 1 << 20 } else { 1 << 30 };

/// Which lines are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope {
    /// Number of the first line, from 0.
    pub first: u64,
    /// Number of the last line.
    pub last: u64,
    /// Whether a last line without newline counts.
    pub unfinished: bool,
}

/// Lines that were found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// In the order of the search.
    pub lines: Vec<Line>,
    /// Number of the line where the search goes on; `None` when all lines were searched that there are.
    pub next: Option<u64>,
}

/// Lines that were counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Those that are searched for.
    pub matched: u64,
    /// All that were looked at.
    pub total: u64,
    /// Number of the line where counting goes on; `None` when all lines were counted that there are.
    pub next: Option<u64>,
}

/// What a search wants of each segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    /// The first so many lines.
    First(usize),
    /// The last so many lines.
    Last(usize),
    /// How many there are.
    Count,
}

/// A piece of a line.
#[derive(Debug, Default)]
struct Piece {
    /// At most [`LINE_BYTES`], without the newline.
    bytes: Vec<u8>,
    length: u64,
    time_ns: u64,
    /// Whether the newline belongs to it.
    complete: bool,
}

impl Piece {
    fn of(bytes: &[u8], time_ns: u64) -> Self {
        let (text, complete) = bytes.strip_suffix(b"\n").map_or((bytes, false), |text| (text, true));
        let shown = text.get(..LINE_BYTES).unwrap_or(text);
        Self { bytes: shown.to_vec(), length: text.len() as u64, time_ns, complete }
    }

    /// Appends the next piece of the line.
    fn join(&mut self, next: &Self) {
        // What is left out of the first piece is not followed by anything that is shown.
        if self.length == self.bytes.len() as u64 {
            let room = LINE_BYTES - self.bytes.len();
            self.bytes.extend_from_slice(next.bytes.get(..room).unwrap_or(&next.bytes));
        }
        if next.length > 0 || next.complete {
            self.time_ns = next.time_ns;
        }
        self.length += next.length;
        self.complete = next.complete;
    }

    fn is_empty(&self) -> bool {
        self.length == 0 && !self.complete
    }
}

/// What was found in a segment.
#[derive(Debug)]
struct Scanned {
    /// What comes before the end of its first line, and that end; all of it where there is none.
    head: Piece,
    /// Lines that are whole in it, of those that are searched for.
    lines: Vec<Line>,
    matched: u64,
    /// What comes behind the end of its last line.
    tail: Piece,
}

/// The text of a segment, with the times of its pieces.
#[derive(Default)]
struct Text {
    bytes: Vec<u8>,
    /// Bytes of text before it.
    before: u64,
    /// Where each piece ends, and its time.
    pieces: Vec<(usize, u64)>,
}

/// What a thread needs to search segments one after the other.
struct Searcher {
    buffers: Buffers,
    text: Text,
    /// Lines as they are searched.
    shown: String,
}

impl Searcher {
    fn new(segments: &Segments) -> Result<Self, LogError> {
        Ok(Self { buffers: Buffers::new(segments)?, text: Text::default(), shown: String::new() })
    }
}

impl Text {
    fn read(
        &mut self,
        segments: &Segments,
        place: u64,
        header: &Header,
        buffers: &mut Buffers,
    ) -> Result<(), LogError> {
        self.bytes.clear();
        self.pieces.clear();
        self.before = header.text_before;
        segments.read_content(place, header, buffers)?;
        let mut cursor = Cursor::at(header.offset, header.seq);
        let damaged = |e: JournalError| segments.damaged(place, &e.to_string());
        while let Some(record) = cursor.next_raw(&buffers.content).map_err(damaged)? {
            if !record.text.is_empty() {
                self.bytes.extend_from_slice(record.text);
                self.pieces.push((self.bytes.len(), record.time_ns));
            }
        }
        Ok(())
    }

    /// When the byte at `at` was written.
    fn time(&self, at: usize) -> u64 {
        let index = self.pieces.partition_point(|(end, _)| *end <= at);
        self.pieces.get(index).or(self.pieces.last()).map_or(0, |(_, time_ns)| *time_ns)
    }

    fn slice(&self, from: usize, to: usize) -> &[u8] {
        self.bytes.get(from..to).unwrap_or_default()
    }

    fn piece(&self, from: usize, to: usize) -> Piece {
        Piece::of(self.slice(from, to), self.time(to.saturating_sub(1)))
    }
}

impl LogReader {
    /// Searches lines from the first one on, or with `backward` from the last one back: at most `max` are found, and no more
    /// than have about 1 MiB. After about a gigabyte of log a search ends with what it has, and says where to go on. Takes
    /// two threads, and the memory of some 20 segments.
    ///
    /// # Errors
    /// [`LogError::Damaged`]
    pub fn search(&self, query: &Query, scope: Scope, backward: bool, max: usize) -> Result<Found, LogError> {
        let mut found = Found::default();
        let mut bytes = 0;
        let mut see = |line: Line| {
            bytes += line.bytes.len();
            let next = if backward { line.number.checked_sub(1) } else { Some(line.number + 1) };
            found.lines.push(line);
            if found.lines.len() < max && bytes < PAGE_BYTES { None } else { Some(next) }
        };
        let want = if backward { Want::Last(max) } else { Want::First(max) };
        let ended = if backward {
            self.search_back(query, scope, want, &mut see)?
        } else {
            self.search_on(query, scope, want, &mut see)?.0
        };
        let in_scope = |next: &u64| (scope.first..=scope.last).contains(next);
        found.next = ended.filter(in_scope);
        Ok(found)
    }

    /// Counts lines, as [`Self::search`] finds them.
    ///
    /// # Errors
    /// [`LogError::Damaged`]
    pub fn count(&self, query: &Query, scope: Scope) -> Result<Counted, LogError> {
        let mut single = 0;
        let (next, inside) = self.search_on(query, scope, Want::Count, &mut |_| {
            single += 1;
            None
        })?;
        let stats = self.stats();
        let lines = stats.lines + u64::from(scope.unfinished && self.open_line());
        let end = next.unwrap_or_else(|| lines.min(scope.last.saturating_add(1)));
        Ok(Counted { matched: single + inside, total: end.saturating_sub(scope.first), next })
    }

    /// Whether the text does not end with the end of a line.
    #[must_use]
    pub fn open_line(&self) -> bool {
        // A line is one from its first byte on.
        let stats = self.stats();
        stats.text > 0 && matches!(self.at_byte(stats.text - 1), Ok(Some(line)) if line == stats.lines)
    }

    /// Searches towards the end. `see` is given the lines and says where the search is to be gone on if it has enough.
    /// Returns where to go on, and how many lines were counted without being given to `see`.
    fn search_on(
        &self,
        query: &Query,
        scope: Scope,
        want: Want,
        see: &mut impl FnMut(Line) -> Option<Option<u64>>,
    ) -> Result<(Option<u64>, u64), LogError> {
        // Up to the segment that holds the end of the last line.
        let places = &self.segments.places;
        let places = &places[..places.partition_point(|(_, header)| header.lines_before <= scope.last)];
        // From the segment that holds the newline before the first line.
        let mut at = places.partition_point(|(_, header)| header.lines_before < scope.first).saturating_sub(1);
        let mut batch = THREADS;
        let (mut counted, mut searched) = (0, 0);
        let mut searchers = searchers(&self.segments)?;
        let mut open = Piece::default();
        while at < places.len() {
            let indices: Vec<usize> = (at..places.len().min(at + batch)).collect();
            let scans = scan(&self.segments, &mut searchers, &indices, query, scope, want)?;
            for (index, scanned) in scans {
                let Some((_, header)) = places.get(index) else { continue };
                searched += u64::from(header.raw);
                open.join(&scanned.head);
                if !open.complete {
                    continue;
                }
                let line = take_line(&mut open, header.lines_before, header.text_before + scanned.head.length);
                let first = in_scope(line, query, scope).into_iter();
                for line in first.chain(scanned.lines) {
                    if let Some(next) = see(line) {
                        return Ok((next, counted));
                    }
                }
                counted += scanned.matched;
                open = scanned.tail;
            }
            at += indices.len();
            batch = (batch * 2).min(BATCH);
            // Within a line that is longer still, the search would begin with the same line again.
            if let (Some((_, next)), true) = (places.get(at), searched >= SEARCHED_BYTES)
                && next.lines_before > scope.first
            {
                return Ok((Some(next.lines_before), counted));
            }
        }
        let (number, end) = places.last().map_or((0, 0), |(_, header)| (header.end().2, header.end().3));
        if scope.unfinished
            && !open.is_empty()
            && let Some(line) = in_scope(take_line(&mut open, number, end), query, scope)
        {
            see(line);
        }
        Ok((None, counted))
    }

    /// Searches towards the beginning.
    fn search_back(
        &self,
        query: &Query,
        scope: Scope,
        want: Want,
        see: &mut impl FnMut(Line) -> Option<Option<u64>>,
    ) -> Result<Option<u64>, LogError> {
        let places = &self.segments.places;
        // From behind the segment that holds the end of the last line to the one that holds the newline before the first.
        let mut at = places.partition_point(|(_, header)| header.lines_before <= scope.last);
        let bottom = places.partition_point(|(_, header)| header.end().2 < scope.first);
        let mut batch = THREADS;
        let mut searched = 0;
        let mut searchers = searchers(&self.segments)?;
        // The end of a line whose beginning is still to come, and where it ends in the text.
        let (mut open, mut end) = (Piece::default(), places.get(at.wrapping_sub(1)).map_or(0, |(_, h)| h.end().3));
        while at > bottom {
            let indices: Vec<usize> = (at.saturating_sub(batch).max(bottom)..at).collect();
            let scans = scan(&self.segments, &mut searchers, &indices, query, scope, want)?;
            for (index, scanned) in scans.into_iter().rev() {
                let Some((_, header)) = places.get(index) else { continue };
                searched += u64::from(header.raw);
                if !scanned.head.complete {
                    let later = std::mem::replace(&mut open, scanned.head);
                    open.join(&later);
                    continue;
                }
                let mut last = scanned.tail;
                last.join(&open);
                let number = header.end().2;
                if (last.complete || (scope.unfinished && !last.is_empty()))
                    && let Some(line) = in_scope(take_line(&mut last, number, end), query, scope)
                    && let Some(next) = see(line)
                {
                    return Ok(next);
                }
                for line in scanned.lines.into_iter().rev() {
                    if let Some(next) = see(line) {
                        return Ok(next);
                    }
                }
                end = header.text_before + scanned.head.length;
                open = scanned.head;
            }
            at -= indices.len();
            batch = (batch * 2).min(BATCH);
            if let (Some((_, header)), true) = (places.get(at), at > bottom && searched >= SEARCHED_BYTES)
                && header.lines_before < scope.last
            {
                return Ok(Some(header.lines_before));
            }
        }
        let number = places.get(bottom).map_or(0, |(_, header)| header.lines_before);
        if (open.complete || (scope.unfinished && !open.is_empty()))
            && let Some(line) = in_scope(take_line(&mut open, number, end), query, scope)
        {
            see(line);
        }
        Ok(None)
    }
}

/// The line that a piece has become, which ends at byte `end` of the text (before its newline).
fn take_line(piece: &mut Piece, number: u64, end: u64) -> Line {
    let Piece { bytes, length, time_ns, complete } = std::mem::take(piece);
    Line { number, start: end.saturating_sub(length), time_ns, bytes, length, complete }
}

/// The line, if it is in the scope and searched for.
fn in_scope(line: Line, query: &Query, scope: Scope) -> Option<Line> {
    Some(line).filter(|line| (scope.first..=scope.last).contains(&line.number) && query.finds(&line.bytes))
}

/// What the threads of one search need.
fn searchers(segments: &Segments) -> Result<Vec<Searcher>, LogError> {
    let threads = THREADS.min(thread::available_parallelism().map_or(1, usize::from));
    (0..threads).map(|_| Searcher::new(segments)).collect()
}

/// Scans segments with a thread for each searcher; results in their order.
fn scan(
    segments: &Segments,
    searchers: &mut [Searcher],
    indices: &[usize],
    query: &Query,
    scope: Scope,
    want: Want,
) -> Result<Vec<(usize, Scanned)>, LogError> {
    let next = AtomicUsize::new(0);
    let work = |searcher: &mut Searcher| {
        let mut done = Vec::new();
        while let Some(index) = indices.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Some((place, header)) = segments.places.get(*index) {
                done.push((*index, searcher.scan(segments, *place, header, query, scope, want)?));
            }
        }
        Ok::<_, LogError>(done)
    };
    let Some((first, others)) = searchers.split_first_mut() else { return Ok(Vec::new()) };
    let others = others.iter_mut().take(indices.len().saturating_sub(1));
    let mut scans = thread::scope(|threads| {
        let others: Vec<_> = others.map(|searcher| threads.spawn(|| work(searcher))).collect();
        let mut scans = work(first)?;
        for other in others {
            scans.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok::<_, LogError>(scans)
    })?;
    scans.sort_by_key(|(index, _)| *index);
    Ok(scans)
}

impl Searcher {
    fn scan(
        &mut self,
        segments: &Segments,
        place: u64,
        header: &Header,
        query: &Query,
        scope: Scope,
        want: Want,
    ) -> Result<Scanned, LogError> {
        self.text.read(segments, place, header, &mut self.buffers)?;
        let text = &self.text;
        let length = text.bytes.len();
        let Some(first_end) = memchr::memchr(b'\n', &text.bytes).map(|at| at + 1) else {
            return Ok(Scanned { head: text.piece(0, length), lines: Vec::new(), matched: 0, tail: Piece::default() });
        };
        let last_end = memchr::memrchr(b'\n', &text.bytes).map_or(first_end, |at| at + 1);
        // Of the lines that are whole in it, those that are in the scope.
        let number = header.lines_before + 1;
        let from = first_end + lines_length(text.slice(first_end, last_end), scope.first.saturating_sub(number));
        let number = number.max(scope.first);
        let to = match scope.last.saturating_add(1).saturating_sub(number) {
            all if all >= u64::from(header.lines) => last_end,
            wanted => from + lines_length(text.slice(from, last_end), wanted),
        };
        let (indices, matched) = matches(query, text.slice(from, to), want, &mut self.shown);
        Ok(Scanned {
            head: text.piece(0, first_end),
            lines: lines_at(text, from, number, &indices),
            matched,
            tail: text.piece(last_end, length),
        })
    }
}

/// Length of the first `count` of these lines, or of all.
fn lines_length(lines: &[u8], count: u64) -> usize {
    match usize::try_from(count).unwrap_or(usize::MAX).checked_sub(1) {
        None => 0,
        Some(before) => memchr::memchr_iter(b'\n', lines).nth(before).map_or(lines.len(), |at| at + 1),
    }
}

/// Which of these lines are wanted, and how many were counted instead.
fn matches(query: &Query, lines: &[u8], want: Want, shown: &mut String) -> (VecDeque<usize>, u64) {
    let shortened = shortened(lines);
    let lines = shortened.as_deref().unwrap_or(lines);
    let mut indices = VecDeque::new();
    match want {
        Want::Count => return (indices, query.count(lines, shown)),
        Want::First(most) => query.each(lines, shown, |index| {
            indices.push_back(index);
            indices.len() < most
        }),
        Want::Last(most) => query.each(lines, shown, |index| {
            indices.push_back(index);
            if indices.len() > most {
                indices.pop_front();
            }
            true
        }),
    }
    (indices, 0)
}

/// The lines without what is longer than [`LINE_BYTES`]; `None` when there is no such line.
fn shortened(lines: &[u8]) -> Option<Vec<u8>> {
    let mut at = 0;
    // Each step finds the last newline as far as a line may reach.
    while let Some(reach) = lines.get(at..at + LINE_BYTES + 1) {
        match memchr::memrchr(b'\n', reach) {
            Some(newline) => at += newline + 1,
            None => {
                let mut short = Vec::with_capacity(lines.len());
                for line in lines.split_inclusive(|byte| *byte == b'\n') {
                    short.extend_from_slice(line.get(..LINE_BYTES).unwrap_or(line));
                    if line.len() > LINE_BYTES {
                        short.push(b'\n');
                    }
                }
                return Some(short);
            }
        }
    }
    None
}

/// The lines with these indices, of those that begin at `from` with this number.
fn lines_at(text: &Text, from: usize, number: u64, indices: &VecDeque<usize>) -> Vec<Line> {
    let (mut start, mut at) = (from, 0);
    let mut lines = Vec::with_capacity(indices.len());
    for index in indices {
        start += lines_length(text.slice(start, text.bytes.len()), (index - at) as u64);
        at = *index;
        let end = start + lines_length(text.slice(start, text.bytes.len()), 1);
        let mut piece = text.piece(start, end);
        lines.push(take_line(&mut piece, number + at as u64, text.before + end as u64 - 1));
    }
    lines
}
