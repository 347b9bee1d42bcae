//! JUnit XML, as dozens of tools write it: Ant, Surefire, Gradle, pytest, jest, go-junit-report, gtest, PHPUnit, mocha, …

use kiln_model::{TestStatus, TestSummary};

use super::{
    MAX_NAME, ReportProblem,
    cases::{Case, Cases, SEARCHED},
    nanoseconds,
    xml::Xml,
};

/// What a suite's attributes, or its cases, add up to.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    tests: u64,
    failures: u64,
    errors: u64,
    skipped: u64,
    duration_ns: u64,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.tests = self.tests.saturating_add(other.tests);
        self.failures = self.failures.saturating_add(other.failures);
        self.errors = self.errors.saturating_add(other.errors);
        self.skipped = self.skipped.saturating_add(other.skipped);
        self.duration_ns = self.duration_ns.saturating_add(other.duration_ns);
    }

    fn of_case(status: TestStatus, duration_ns: u64) -> Self {
        Self {
            tests: 1,
            failures: u64::from(status == TestStatus::Failed),
            errors: u64::from(status == TestStatus::Error),
            skipped: u64::from(status == TestStatus::Skipped),
            duration_ns,
        }
    }
}

pub(super) fn read(xml: &mut Xml<'_>, cases: &mut Cases) -> Result<(), ReportProblem> {
    xml.root(&["testsuites", "testsuite"])?;
    let counts = if xml.name() == "testsuite" {
        suite(xml, cases)?
    } else {
        // Its own attributes are sums that many tools get wrong; the service takes the suites' (`buildspec.md` 11.2).
        let mut counts = Counts::default();
        while xml.child()?.is_some() {
            match xml.name() {
                "testsuite" => counts.add(suite(xml, cases)?),
                "testcase" => counts.add(case(xml, cases, "", None)?),
                _ => xml.skip()?,
            }
        }
        counts
    };
    let failed = counts.failures.saturating_add(counts.errors).saturating_add(counts.skipped);
    *cases.summary() = TestSummary {
        total: counts.tests,
        succeeded: counts.tests.saturating_sub(failed),
        failed: counts.failures,
        error: counts.errors,
        skipped: counts.skipped,
        unknown: 0,
        duration_in_nano_seconds: counts.duration_ns,
    };
    Ok(())
}

/// Reads a suite and the suites in it. Its counts come from its attributes, as for the service, so that cases which a
/// tool leaves out of the file are counted; from its cases when it has no attribute `tests`.
fn suite(xml: &mut Xml<'_>, cases: &mut Cases) -> Result<Counts, ReportProblem> {
    let name = xml.text_attribute("name", MAX_NAME);
    let file = xml.attribute("file").map(|_| xml.text_attribute("file", MAX_NAME));
    let stated = stated(xml, &name)?;
    let mut own = Counts::default();
    let mut inner = Counts::default();
    while xml.child()?.is_some() {
        match xml.name() {
            "testsuite" => inner.add(suite(xml, cases)?),
            "testcase" => own.add(case(xml, cases, &name, file.as_deref())?),
            _ => xml.skip()?,
        }
    }
    let Some(mut counts) = stated else {
        own.add(inner);
        return Ok(own);
    };
    // Most tools let a suite's attributes include the suites in it (PHPUnit, node), some do not; either may be off by what
    // they do not count (jest: tests still to be written).
    let all = own.tests.saturating_add(inner.tests);
    let without_inner = counts.tests.abs_diff(own.tests) < counts.tests.abs_diff(all);
    let measured = own.duration_ns.saturating_add(inner.duration_ns);
    if without_inner {
        counts.add(inner);
    }
    if measured > 0 {
        counts.duration_ns = measured;
    }
    Ok(counts)
}

/// The counts in a suite's attributes; `None` when it has no `tests`.
fn stated(xml: &Xml<'_>, name: &str) -> Result<Option<Counts>, ReportProblem> {
    let (tests, failures, errors) = (xml.count("tests")?, xml.count("failures")?, xml.count("errors")?);
    // pytest before 5 wrote `skips`, nose `skip`.
    let skipped = match ["skipped", "skips", "skip"].iter().find(|a| xml.attribute(a).is_some()) {
        Some(attribute) => xml.count(attribute)?,
        None => 0,
    };
    let passed = tests.checked_sub(failures).and_then(|n| n.checked_sub(errors)).and_then(|n| n.checked_sub(skipped));
    if xml.attribute("tests").is_none() {
        return Ok(None);
    }
    let Some(passed) = passed else {
        return Err(ReportProblem::Negative { suite: name.to_owned(), tests, failures, errors, skipped });
    };
    // gtest counts tests that are switched off among `tests`, but not among `skipped`.
    let disabled = xml.attribute("disabled").and_then(|v| v.trim().parse().ok()).unwrap_or(0).min(passed);
    let duration_ns = nanoseconds(xml.attribute("time").unwrap_or_default());
    Ok(Some(Counts { tests, failures, errors, skipped: skipped + disabled, duration_ns }))
}

fn case(xml: &mut Xml<'_>, cases: &mut Cases, suite: &str, suite_file: Option<&str>) -> Result<Counts, ReportProblem> {
    let duration_ns = nanoseconds(xml.attribute("time").unwrap_or_default());
    let mut case = Case {
        prefix: xml.text_attribute("classname", MAX_NAME),
        name: xml.text_attribute("name", MAX_NAME),
        suite: suite.to_owned(),
        duration_ns,
        file: xml.attribute("file").map(|_| xml.text_attribute("file", MAX_NAME)),
        line: line(xml),
        ..Case::default()
    };
    // gtest's `status="notrun"`, and tools that have no child element for it.
    let words = ["status", "result"].map(|a| xml.attribute(a).unwrap_or_default().to_ascii_lowercase());
    let mut status = TestStatus::Succeeded;
    for word in &words {
        status = match word.as_str() {
            "notrun" | "skipped" | "disabled" | "ignored" | "suppressed" => TestStatus::Skipped,
            "failed" | "fail" | "failure" => TestStatus::Failed,
            "error" => TestStatus::Error,
            _ => continue,
        };
    }
    while xml.child()?.is_some() {
        // `rerunFailure`, `flakyFailure` and the like (Surefire) tell of other attempts; the last one counts, and it has an
        // element of its own.
        let found = match xml.name() {
            "failure" => TestStatus::Failed,
            "error" => TestStatus::Error,
            "skipped" | "ignored" => TestStatus::Skipped,
            _ => {
                xml.skip()?;
                continue;
            }
        };
        let rank = |s: TestStatus| match s {
            TestStatus::Error => 3,
            TestStatus::Failed => 2,
            TestStatus::Skipped => 1,
            _ => 0,
        };
        let first = case.message.is_empty() && case.details.is_empty();
        if rank(found) > rank(status) || first {
            status = if rank(found) > rank(status) { found } else { status };
            let message = xml.text_attribute("message", SEARCHED);
            case.file = case.file.or_else(|| xml.attribute("file").map(|_| xml.text_attribute("file", MAX_NAME)));
            case.line = case.line.or_else(|| line(xml));
            let text = xml.content(SEARCHED)?;
            case.message = join(&message, &text);
            case.details = text;
        } else {
            xml.skip()?;
        }
    }
    if case.file.is_none() && suite_file.is_some() {
        case.file = suite_file.map(str::to_owned);
    }
    case.status = Some(status);
    cases.add(case);
    Ok(Counts::of_case(status, duration_ns))
}

fn line(xml: &Xml<'_>) -> Option<u32> {
    xml.attribute("line").and_then(|l| l.trim().parse().ok())
}

/// Message and text of a failure as one: most texts begin with the message, or hold it.
pub(super) fn join(message: &str, text: &str) -> String {
    let (message, text) = (message.trim(), text.trim());
    if text.is_empty() || message.contains(text) {
        message.to_owned()
    } else if message.is_empty() || text.contains(message) {
        text.to_owned()
    } else {
        format!("{message}\n{text}")
    }
}
