//! Shapes and names of AWS CodeBuild: phases, statuses, compute types, reports.
//!
//! Pure data: no I/O, no HTTP, no SQL. Facts: `buildspec.md` sections 4, 11 and 14.

mod build;
mod compute;
mod report;

pub use build::{BuildId, BuildStatus, ParseBuildIdError, PhaseContext, PhaseType};
pub use compute::{ComputeType, UnknownComputeType};
pub use report::{
    Counter, CoverageReport, FileCoverage, ReportFormat, ReportKind, TestCase, TestReport, TestStatus, TestSummary,
    UnknownReportFormat,
};
