//! Checking the whole log.

use std::path::{Path, PathBuf};

use super::{
    chain::{self, Chain, ChainKey},
    error::AuditError,
    head::{self, Found, Place},
    segment::{self, Segment},
};

/// The first thing that is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The record that it is about: the first one that is not as it was written, or not there.
    pub sequence: u64,
    /// The file, if it is about one.
    pub file: Option<PathBuf>,
    /// What is wrong.
    pub what: String,
}

/// What checking a log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Records that are as they were written.
    pub records: u64,
    /// Sequence number of the first record that is kept, and of the last one.
    pub first: u64,
    /// See above; smaller than `first` when there is none.
    pub last: u64,
    /// The last record's chain: with `last` what proves the log up to here.
    pub chain: String,
    /// The log was closed in good order.
    pub is_closed: bool,
    /// The first thing that is wrong.
    pub problem: Option<Problem>,
}

/// A place of a log that somebody noted, `sequence:chain`: the log must have that record still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    place: Place,
}

impl std::str::FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (sequence, chain) = text.split_once(':')?;
            Some(Self { place: Place { sequence: sequence.parse().ok()?, chain: chain::from_text(chain.as_bytes())? } })
        };
        parse().ok_or_else(|| {
            format!("'{text}' is not what 'kiln audit verify' prints as the end of the log: <number>:<64 hexadecimal digits>")
        })
    }
}

/// A walk from the first record to the last.
struct Walk<'a> {
    key: &'a ChainKey,
    wanted: Option<&'a Wanted>,
    /// Behind the last record that was found good.
    at: Place,
    /// What the head calls the end, and whether it was passed.
    end: Option<Place>,
    records: u64,
}

/// See [`super::AuditLog::verify`].
pub(super) fn verify(directory: &Path, key: &ChainKey, wanted: Option<&Wanted>) -> Result<Verified, AuditError> {
    // The head first: what is written meanwhile is behind its end.
    let head = head::read(directory, key)?;
    let mut segments = segment::list(directory)?;
    let (begin, end, is_closed) = match &head {
        Found::Head(head) => (head.begin, Some(head.end), head.is_closed),
        Found::Nothing | Found::Damaged => (Place::START, None, false),
    };
    // What is before the beginning was to be removed.
    segments.retain(|segment| segment.first > begin.sequence);
    let mut walk = Walk { key, wanted, at: begin, end, records: 0 };
    let mut problem = match head {
        Found::Head(_) => None,
        Found::Nothing => Some(walk.problem(None, "the head of the log is missing")),
        Found::Damaged => Some(walk.problem(None, "the head of the log was changed")),
    };
    for (at, segment) in segments.iter().enumerate() {
        if problem.is_some() {
            break;
        }
        problem = walk.file(segment, at + 1 == segments.len())?;
    }
    let problem = problem.or_else(|| walk.ended());
    Ok(Verified {
        records: walk.records,
        first: begin.sequence + 1,
        last: walk.at.sequence,
        chain: chain::to_text(&walk.at.chain),
        is_closed,
        problem,
    })
}

impl Walk<'_> {
    fn problem(&self, file: Option<&Segment>, what: impl Into<String>) -> Problem {
        Problem { sequence: self.at.sequence + 1, file: file.map(|segment| segment.path.clone()), what: what.into() }
    }

    /// Checks a file.
    fn file(&mut self, segment: &Segment, is_last: bool) -> Result<Option<Problem>, AuditError> {
        let bytes = match segment.read() {
            Ok(bytes) => bytes,
            Err(AuditError::Damaged { what, .. }) => return Ok(Some(self.problem(Some(segment), what))),
            Err(error) => return Err(error),
        };
        let mut lines = segment::lines(&bytes);
        let Some(header) = lines.next() else {
            // It was about to be begun.
            let is_begun = !is_last || self.end.is_some_and(|end| end.sequence > self.at.sequence);
            return Ok(is_begun.then(|| self.problem(Some(segment), "the file is empty")));
        };
        let Some(continued) = segment::header(header) else {
            return Ok(Some(self.problem(Some(segment), "the first line of the file was changed")));
        };
        if continued.sequence > self.at.sequence {
            let missing = format!("records {} to {} are missing", self.at.sequence + 1, continued.sequence);
            return Ok(Some(self.problem(Some(segment), missing)));
        }
        if continued != self.at || segment.first != continued.sequence + 1 {
            return Ok(Some(self.problem(Some(segment), "the file does not continue the one before")));
        }
        let mut chain = self.key.begin(header);
        if let Some(problem) = self.pass(segment, self.at.chain) {
            return Ok(Some(problem));
        }
        for line in lines {
            let sequence = self.at.sequence + 1;
            let good = segment::record(line).filter(|(said, record)| {
                chain = self.key.next(&chain, sequence, record);
                *said == chain
            });
            if good.is_none() {
                let what = "the record was changed, or one was removed or put in before it";
                return Ok(Some(self.problem(Some(segment), what)));
            }
            self.at = Place { sequence, chain };
            self.records += 1;
            if let Some(problem) = self.pass(segment, chain) {
                return Ok(Some(problem));
            }
        }
        let is_whole = bytes.last() == Some(&b'\n');
        Ok((!is_whole && !is_last).then(|| self.problem(Some(segment), "the end of the file is missing")))
    }

    /// Compares a record with what others say of it.
    fn pass(&mut self, segment: &Segment, chain: Chain) -> Option<Problem> {
        let here = |place: &Place| place.sequence == self.at.sequence;
        let is_other = |place: Place| place.chain != chain;
        if self.end.as_ref().is_some_and(here) && self.end.take().is_some_and(is_other) {
            return Some(self.problem(Some(segment), "the log does not end as its head says"));
        }
        let wanted = self.wanted.map(|wanted| wanted.place).filter(here)?;
        self.wanted = None;
        is_other(wanted).then(|| Problem {
            sequence: wanted.sequence,
            file: Some(segment.path.clone()),
            what: "the record is another one than was noted".to_owned(),
        })
    }

    /// What is missing at the end.
    fn ended(&self) -> Option<Problem> {
        let missing = |place: Place| {
            let (next, last) = (self.at.sequence + 1, place.sequence);
            format!("the end of the log is missing: records {next} to {last} were there")
        };
        if let Some(end) = self.end.filter(|end| end.sequence > self.at.sequence) {
            return Some(self.problem(None, missing(end)));
        }
        let wanted = self.wanted?.place;
        if wanted.sequence > self.at.sequence {
            return Some(self.problem(None, missing(wanted)));
        }
        Some(Problem {
            sequence: wanted.sequence,
            file: None,
            what: "the noted record is no longer kept: it was removed when its time was over".to_owned(),
        })
    }
}
