//! Test and coverage reports (`buildspec.md` section 11): ten formats, read as streams, into one shape.
//!
//! [`parse`] reads a file of a known format, [`detect()`] guesses the format of an unknown one, [`merge`] puts the files of a
//! group together. Files come from the build and are hostile: sizes, depth and counts are bounded, nothing is expanded
//! or fetched (`security.md` 5.5). Where the service is known to refuse a file (a wrong root element, counts that
//! contradict each other, XML that is broken), so does this, and the phase fails; odd encodings, missing times, unknown
//! elements and forbidden characters are no reason to fail a build (`buildspec.md` section 16).

mod cases;
mod clover;
mod cobertura;
mod coverage;
mod cucumber;
mod decode;
mod detect;
mod jacoco;
mod json;
mod junit;
mod location;
mod nunit;
mod simplecov;
mod testng;
mod trx;
mod xml;

use std::io::{self, Read};

use kiln_model::{CoverageReport, ReportFormat, ReportKind, TestReport};

use self::{cases::Cases, coverage::Files, xml::Xml};
pub use self::{cases::MAX_CASES, coverage::MAX_FILES, detect::detect};

/// Characters kept of a case's name, prefix or suite (`buildspec.md` 11.3).
pub const MAX_NAME: usize = 1_000;
/// Characters kept of a message (`buildspec.md` 11.3).
pub const MAX_MESSAGE: usize = 5_000;

/// What a report file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// Test cases.
    Test(TestReport),
    /// Coverage.
    Coverage(CoverageReport),
}

impl Report {
    /// Which of both.
    #[must_use]
    pub fn kind(&self) -> ReportKind {
        match self {
            Self::Test(_) => ReportKind::Test,
            Self::Coverage(_) => ReportKind::CodeCoverage,
        }
    }
}

/// A report file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct ReportError {
    /// The file, as the build names it.
    pub path: String,
    /// What is wrong.
    pub problem: ReportProblem,
}

/// What is wrong with a report file. Texts are the service's where they are known.
#[derive(Debug, thiserror::Error)]
pub enum ReportProblem {
    /// The root element is another format's (`buildspec.md` 11.2).
    #[error("expected element type <{expected}> but have <{found}>")]
    Root {
        /// Name that the format has.
        expected: &'static str,
        /// Name that is there.
        found: String,
    },
    /// The root element fits, but what is in it is another format's.
    #[error("expected a {expected} report but have a {found} report: set file-format: {found}")]
    OtherFormat {
        /// Format that was asked for.
        expected: ReportFormat,
        /// Format that it is.
        found: ReportFormat,
    },
    /// Nothing is in it.
    #[error("EOF: the file is empty")]
    Empty,
    /// Not well-formed.
    #[error("syntax error on line {line}: {reason}")]
    Syntax {
        /// Line, from 1.
        line: u64,
        /// What the parser says.
        reason: String,
    },
    /// A count is no number.
    #[error("<{element}>: the attribute {attribute}=\"{value}\" is not a number")]
    Attribute {
        /// Element.
        element: String,
        /// Attribute.
        attribute: String,
        /// Its value.
        value: String,
    },
    /// Counts contradict each other (`buildspec.md` 11.2).
    #[error(
        "InvalidInputException: test suite '{suite}' has {tests} tests, but {failures} failures, {errors} errors and {skipped} skipped"
    )]
    Negative {
        /// Suite.
        suite: String,
        /// Attribute `tests`.
        tests: u64,
        /// Attribute `failures`.
        failures: u64,
        /// Attribute `errors`.
        errors: u64,
        /// Attribute `skipped`.
        skipped: u64,
    },
    /// More than is taken.
    #[error("there are more than {limit} {what}")]
    Limit {
        /// Of what.
        what: &'static str,
        /// How many are taken.
        limit: u64,
    },
    /// Larger than is taken.
    #[error("{what} is too large (a report file may have 128 MiB, one text in it 32 MiB)")]
    Large {
        /// What.
        what: String,
    },
    /// The content broke off.
    #[error("it could not be read: {0}")]
    Read(io::Error),
}

/// Reads a report file. `path` is its name for messages and for [`TestCase::test_raw_data_path`].
///
/// [`TestCase::test_raw_data_path`]: kiln_model::TestCase::test_raw_data_path
///
/// # Errors
///
/// [`ReportError`]: the file is not what `format` says. The service fails UPLOAD_ARTIFACTS then (`buildspec.md` 5.10),
/// for files named in the buildspec.
pub fn parse(format: ReportFormat, path: &str, input: &mut dyn Read) -> Result<Report, ReportError> {
    let tests = |read: fn(&mut dyn Read, &mut Cases) -> Result<(), ReportProblem>, input: &mut dyn Read| {
        let mut cases = Cases::new(path);
        read(input, &mut cases).map(|()| Report::Test(cases.finish()))
    };
    let coverage = |read: fn(&mut dyn Read, &mut Files) -> Result<(), ReportProblem>, input: &mut dyn Read| {
        let mut files = Files::default();
        read(input, &mut files).map(|()| Report::Coverage(files.finish()))
    };
    match format {
        ReportFormat::JunitXml => tests(|i, c| junit::read(&mut Xml::new(i), c), input),
        ReportFormat::CucumberJson => tests(cucumber::read, input),
        ReportFormat::NunitXml => tests(|i, c| nunit::read_2(&mut Xml::new(i), c), input),
        ReportFormat::Nunit3Xml => tests(|i, c| nunit::read_3(&mut Xml::new(i), c), input),
        ReportFormat::TestngXml => tests(|i, c| testng::read(&mut Xml::new(i), c), input),
        ReportFormat::VisualStudioTrx => tests(|i, c| trx::read(&mut Xml::new(i), c), input),
        ReportFormat::CloverXml => coverage(|i, f| clover::read(&mut Xml::new(i), f), input),
        ReportFormat::CoberturaXml => coverage(|i, f| cobertura::read(&mut Xml::new(i), f), input),
        ReportFormat::JacocoXml => coverage(|i, f| jacoco::read(&mut Xml::new(i), f), input),
        ReportFormat::SimpleCov => coverage(simplecov::read, input),
    }
    .map_err(|problem| ReportError { path: path.to_owned(), problem })
}

/// Tests and coverage were put into one group, which holds one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a report group holds either tests or coverage, not both")]
pub struct MixedKinds;

/// Puts the reports of several files together: counts and durations are summed, cases kept up to [`MAX_CASES`] with
/// failed ones first, and of a file that several reports cover the best entry (as for shards, `buildspec.md` 11.5).
/// `None` when there are none.
///
/// # Errors
///
/// [`MixedKinds`].
pub fn merge(reports: impl IntoIterator<Item = Report>) -> Result<Option<Report>, MixedKinds> {
    let mut reports = reports.into_iter();
    let Some(first) = reports.next() else { return Ok(None) };
    match first {
        Report::Test(first) => {
            let mut cases = Cases::new("");
            cases.absorb(first);
            for report in reports {
                match report {
                    Report::Test(report) => cases.absorb(report),
                    Report::Coverage(_) => return Err(MixedKinds),
                }
            }
            Ok(Some(Report::Test(cases.finish())))
        }
        Report::Coverage(first) => {
            let mut files = Files::default();
            files.absorb(first);
            for report in reports {
                match report {
                    Report::Coverage(report) => files.absorb(report),
                    Report::Test(_) => return Err(MixedKinds),
                }
            }
            Ok(Some(Report::Coverage(files.finish())))
        }
    }
}

/// The first `most` characters.
fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned(),
        None => text.to_owned(),
    }
}

/// Seconds as reports write them, in nanoseconds; 0 for what is no duration. Some writers group thousands
/// (`1,234.567`), some have a decimal comma (`0,015`).
fn nanoseconds(seconds: &str) -> u64 {
    let text = seconds.trim();
    let plain = match text.split_once(',') {
        None => text.to_owned(),
        Some((whole, part)) if !text.contains('.') && !part.contains(',') && (part.len() != 3 || whole == "0") => {
            format!("{whole}.{part}")
        }
        Some(_) => text.replace(',', ""),
    };
    plain.parse().map_or(0, |s: f64| from_seconds(s))
}

/// Seconds in nanoseconds; 0 for negative ones and what is no number.
fn from_seconds(seconds: f64) -> u64 {
    std::time::Duration::try_from_secs_f64(seconds).map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, ns) in [
            ("0.001", 1_000_000),
            (" 12 ", 12_000_000_000),
            ("1,234.5", 1_234_500_000_000),
            ("1,234", 1_234_000_000_000),
            ("1,234,567.5", 1_234_567_500_000_000),
            ("0,015", 15_000_000),
            ("3,5", 3_500_000_000),
            ("1.5E-4", 150_000),
            ("-1", 0),
            ("NaN", 0),
            ("inf", 0),
            ("1e300", 0),
            ("", 0),
            ("quick", 0),
        ] {
            assert_eq!(nanoseconds(text), ns, "{text}");
        }
    }

    #[test]
    fn cuts_at_characters() {
        assert_eq!(cut("\u{20ac}\u{20ac}\u{20ac}", 2), "\u{20ac}\u{20ac}");
        assert_eq!(cut("ab", 2), "ab");
    }
}
