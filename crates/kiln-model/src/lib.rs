//! Shapes and names of AWS CodeBuild, and the API between the service and its front end.
//!
//! Pure data and pure functions: no I/O, no HTTP, no SQL, no clock. Facts: `buildspec.md` sections 4, 11 and 14, `api.md`
//! sections 1 and 2.

pub mod arn;
mod build;
pub mod codebuild;
mod compute;
pub mod constraint;
pub mod curated;
pub mod decode;
pub mod effective;
mod enumeration;
mod error;
pub mod kiln;
pub mod location;
pub mod operations;
pub mod project;
pub mod refusal;
mod report;
mod rules;
pub mod service;
mod timestamp;

pub use build::{BuildId, BuildStatus, ParseBuildIdError, PhaseContext, PhaseType};
pub use compute::{ComputeType, UnknownComputeType};
pub use error::{ApiError, ErrorCode};
pub use report::{
    Counter, CoverageReport, FileCoverage, ReportFormat, ReportKind, TestCase, TestReport, TestStatus, TestSummary,
    UnknownReportFormat,
};
pub use timestamp::Timestamp;
