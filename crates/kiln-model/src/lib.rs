//! Shapes and names of AWS CodeBuild and S3, and the API between the service and its front end.
//!
//! Pure data and pure functions: no I/O, no HTTP, no SQL, no clock. Facts: `buildspec.md` sections 4, 11 and 14, `api.md`
//! sections 1 and 2.
//!
//! Without the feature `api` only the names that builds themselves use are here: the agent, which is compiled a second
//! time as a static binary, needs no more.

mod build;
pub mod build_cache;
pub mod build_secret;
pub mod build_source;
mod compute;
mod report;
pub mod trace;

#[cfg(feature = "api")]
pub mod arn;
#[cfg(feature = "api")]
pub mod audit;
#[cfg(feature = "api")]
pub mod cloudwatch;
#[cfg(feature = "api")]
pub mod codebuild;
#[cfg(feature = "api")]
pub mod codecommit;
#[cfg(feature = "api")]
pub mod constraint;
#[cfg(feature = "api")]
pub mod curated;
#[cfg(feature = "api")]
pub mod decode;
#[cfg(feature = "api")]
pub mod ecr;
#[cfg(feature = "api")]
pub mod effective;
#[cfg(feature = "api")]
mod enumeration;
#[cfg(feature = "api")]
mod error;
#[cfg(feature = "api")]
pub mod events;
#[cfg(feature = "api")]
pub mod figures;
#[cfg(feature = "api")]
pub mod git;
#[cfg(feature = "api")]
pub mod git_location;
#[cfg(feature = "api")]
pub mod iam;
#[cfg(feature = "api")]
pub mod kiln;
#[cfg(feature = "api")]
pub mod kms;
#[cfg(feature = "api")]
pub mod location;
#[cfg(feature = "api")]
pub mod logs;
#[cfg(feature = "api")]
pub mod operations;
#[cfg(feature = "api")]
pub mod project;
#[cfg(feature = "api")]
pub mod refusal;
#[cfg(feature = "api")]
pub mod registry;
#[cfg(feature = "api")]
mod rules;
#[cfg(feature = "api")]
pub mod s3;
#[cfg(feature = "api")]
mod secret;
#[cfg(feature = "api")]
pub mod secretsmanager;
#[cfg(feature = "api")]
pub mod service;
#[cfg(feature = "api")]
pub mod ssm;
#[cfg(feature = "api")]
mod timestamp;

#[cfg(feature = "api")]
pub use self::{
    error::{ApiError, ErrorCode},
    secret::Secret,
    timestamp::Timestamp,
};
pub use build::{BuildId, BuildStatus, ParseBuildIdError, PhaseContext, PhaseType};
pub use compute::{ComputeType, UnknownComputeType};
pub use report::{
    Counter, CoverageReport, FileCoverage, ReportFormat, ReportKind, TestCase, TestReport, TestStatus, TestSummary,
    UnknownReportFormat,
};
