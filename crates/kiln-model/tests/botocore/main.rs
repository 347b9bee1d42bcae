//! Our shapes and constraints are those of the published service models, as the Python package botocore carries them
//! (`scripts/botocore`).

#![allow(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

mod cloudwatch;
mod codebuild;
mod codecommit;
mod ecr;
mod events;
mod kms;
mod logs;
mod model;
mod samples;
mod secrets;
mod secretsmanager;
mod ssm;
