//! Test and coverage reports (`buildspec.md` section 11).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// `file-format` of a report (`buildspec.md` 11.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ReportFormat {
    /// JUnit; the default.
    JunitXml,
    /// Cucumber, JSON.
    CucumberJson,
    /// NUnit 2.
    NunitXml,
    /// NUnit 3.
    Nunit3Xml,
    /// TestNG.
    TestngXml,
    /// Visual Studio test results.
    VisualStudioTrx,
    /// Clover coverage.
    CloverXml,
    /// Cobertura coverage.
    CoberturaXml,
    /// JaCoCo coverage.
    JacocoXml,
    /// SimpleCov coverage, JSON.
    SimpleCov,
}

/// What a report holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReportKind {
    /// Test cases.
    Test,
    /// Line and branch coverage.
    CodeCoverage,
}

impl ReportFormat {
    /// Every format.
    pub const ALL: [Self; 10] = [
        Self::JunitXml,
        Self::CucumberJson,
        Self::NunitXml,
        Self::Nunit3Xml,
        Self::TestngXml,
        Self::VisualStudioTrx,
        Self::CloverXml,
        Self::CoberturaXml,
        Self::JacocoXml,
        Self::SimpleCov,
    ];

    /// AWS's name, e.g. `JUNITXML`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JunitXml => "JUNITXML",
            Self::CucumberJson => "CUCUMBERJSON",
            Self::NunitXml => "NUNITXML",
            Self::Nunit3Xml => "NUNIT3XML",
            Self::TestngXml => "TESTNGXML",
            Self::VisualStudioTrx => "VISUALSTUDIOTRX",
            Self::CloverXml => "CLOVERXML",
            Self::CoberturaXml => "COBERTURAXML",
            Self::JacocoXml => "JACOCOXML",
            Self::SimpleCov => "SIMPLECOV",
        }
    }

    /// Tests or coverage.
    #[must_use]
    pub fn kind(self) -> ReportKind {
        match self {
            Self::CloverXml | Self::CoberturaXml | Self::JacocoXml | Self::SimpleCov => ReportKind::CodeCoverage,
            _ => ReportKind::Test,
        }
    }
}

impl fmt::Display for ReportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text names no report format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown report file-format '{0}': use one of JUNITXML, CUCUMBERJSON, NUNITXML, NUNIT3XML, TESTNGXML, VISUALSTUDIOTRX, CLOVERXML, COBERTURAXML, JACOCOXML, SIMPLECOV"
)]
pub struct UnknownReportFormat(String);

impl FromStr for ReportFormat {
    type Err = UnknownReportFormat;

    /// Compares without case: people write `JunitXml` and `CucumberJson` (`buildspecs-in-the-wild.md` 1).
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|f| f.as_str().eq_ignore_ascii_case(s))
            .ok_or_else(|| UnknownReportFormat(s.to_owned()))
    }
}

/// Outcome of one test case (`buildspec.md` 11.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TestStatus {
    /// Passed.
    Succeeded,
    /// An assertion failed.
    Failed,
    /// The test could not run to its end.
    Error,
    /// Not run.
    Skipped,
    /// The report does not say.
    Unknown,
}

impl TestStatus {
    /// AWS's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Error => "ERROR",
            Self::Skipped => "SKIPPED",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// One test case (`TestCase` of the API, `buildspec.md` 11.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestCase {
    /// What stands before the name, e.g. the class; empty when the format has none.
    pub prefix: String,
    /// Name of the case, cut at 1,000 characters.
    pub name: String,
    /// Name of the suite that holds it; empty when there is none.
    pub test_suite_name: String,
    /// Outcome.
    pub status: TestStatus,
    /// Duration in nanoseconds; 0 when the report has none.
    pub duration_in_nano_seconds: u64,
    /// Message of the failure, cut at 5,000 characters.
    pub message: String,
    /// File in which the test stands or failed, as the report writes it, when it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line in that file, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The report file that the case was read from, relative to the report's base directory.
    pub test_raw_data_path: String,
}

/// Counts over a report (`testSummary`, `buildspec.md` 11.3). `total` includes cases beyond the stored limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestSummary {
    /// All cases.
    pub total: u64,
    /// Passed.
    pub succeeded: u64,
    /// Failed assertions.
    pub failed: u64,
    /// Could not run to their end.
    pub error: u64,
    /// Not run.
    pub skipped: u64,
    /// The report does not say.
    pub unknown: u64,
    /// Sum of the cases' durations.
    pub duration_in_nano_seconds: u64,
}

impl TestSummary {
    /// Counts one case.
    pub fn add(&mut self, status: TestStatus, duration_in_nano_seconds: u64) {
        self.total = self.total.saturating_add(1);
        let count = match status {
            TestStatus::Succeeded => &mut self.succeeded,
            TestStatus::Failed => &mut self.failed,
            TestStatus::Error => &mut self.error,
            TestStatus::Skipped => &mut self.skipped,
            TestStatus::Unknown => &mut self.unknown,
        };
        *count = count.saturating_add(1);
        self.duration_in_nano_seconds = self.duration_in_nano_seconds.saturating_add(duration_in_nano_seconds);
    }

    /// True when no case failed or broke: the report's status, never the build's (`buildspec.md` 11.3).
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.failed == 0 && self.error == 0
    }
}

/// A test report: counts over everything, cases up to the stored limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestReport {
    /// Counts.
    pub summary: TestSummary,
    /// Stored cases, failed ones kept first when there are more than the limit.
    pub cases: Vec<TestCase>,
    /// True when cases were left out.
    pub truncated: bool,
}

/// Covered and missed items of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// Items that ran.
    pub covered: u64,
    /// Items that did not run.
    pub missed: u64,
}

impl Counter {
    /// Percentage with two decimals, cut and not rounded, as a sample of the service shows (`buildspec.md` 11.3).
    /// 0 when there is nothing to cover.
    #[must_use]
    pub fn percentage(self) -> f64 {
        let total = u128::from(self.covered) + u128::from(self.missed);
        if total == 0 {
            return 0.0;
        }
        let hundredths = u128::from(self.covered) * 10_000 / total;
        // At most 10,000: exact in an f64.
        f64::from(u32::try_from(hundredths).unwrap_or(10_000)) / 100.0
    }

    /// Adds another counter.
    pub fn add(&mut self, other: Self) {
        self.covered = self.covered.saturating_add(other.covered);
        self.missed = self.missed.saturating_add(other.missed);
    }
}

/// Coverage of one file (`CodeCoverage` of the API).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileCoverage {
    /// Path as the report writes it.
    pub file_path: String,
    /// Lines.
    pub lines: Counter,
    /// Branches.
    pub branches: Counter,
}

/// A coverage report: totals and files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CoverageReport {
    /// Lines over all files.
    pub lines: Counter,
    /// Branches over all files.
    pub branches: Counter,
    /// Files.
    pub files: Vec<FileCoverage>,
    /// True when files were left out.
    pub truncated: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_compare_without_case() {
        assert_eq!("JunitXml".parse::<ReportFormat>().unwrap(), ReportFormat::JunitXml);
        assert_eq!("visualstudiotrx".parse::<ReportFormat>().unwrap(), ReportFormat::VisualStudioTrx);
        for f in ReportFormat::ALL {
            assert_eq!(serde_json::to_string(&f).unwrap(), format!("\"{f}\""));
        }
        assert!("JUNIT".parse::<ReportFormat>().is_err());
    }

    #[test]
    fn percentages_are_cut() {
        assert!((Counter { covered: 10, missed: 1 }.percentage() - 90.9).abs() < 1e-9);
        assert!((Counter { covered: 2, missed: 1 }.percentage() - 66.66).abs() < 1e-9);
        assert!(Counter::default().percentage().abs() < 1e-9);
    }
}
