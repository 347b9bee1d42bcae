//! What the front end asks of the service: the traits between `kiln-api` and `kiln-core`, one module for each protocol.
//!
//! Inputs that arrive here fulfil the constraints of their shapes ([`crate::decode`]); rules between members are the
//! service's ([`crate::project`], [`crate::effective`]).

mod builds;
mod cloudwatch;
mod codebuild;
mod codecommit;
mod ecr;
mod events;
mod iam;
mod kiln;
mod kms;
mod logs;
mod public;
mod registry;
mod s3;
mod secrets_manager;
mod ssm;

use std::{future::Future, io, sync::Arc};

use crate::{BuildId, Timestamp, arn::Home, audit::Rulings, trace::Traceparent};

pub use self::{
    builds::{CredentialsRequest, RoleCredentials, RunningBuilds},
    cloudwatch::CloudWatch,
    codebuild::CodeBuild,
    codecommit::{CodeCommit, GitCall, GitHost, GitService},
    ecr::Ecr,
    events::Events,
    iam::Iam,
    kiln::{ArtifactContent, DebugConnection, Delivered, DeliveryRefusal, KilnService, WebhookRequest},
    kms::Kms,
    logs::{LiveTail, LiveTailEvent, Logs},
    public::PublicBuilds,
    registry::Images,
    s3::Objects,
    secrets_manager::SecretsManager,
    ssm::Ssm,
};

/// Who sent an authenticated request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Account, twelve digits.
    pub account: String,
    /// E.g. `arn:aws:iam::000000000000:root` or `…:user/alice`.
    pub arn: String,
    /// What builds show as `initiator` (`buildspec.md` 4.3): `root`, `alice`.
    pub name: String,
    /// Access key that signed.
    pub access_key_id: String,
    /// `AIDA…` of a user, `AROA…:<session>` of a role's session, the account of its root: never another's.
    pub user_id: String,
    /// The session that the key is of; `None` for a key that lasts.
    pub session: Option<Session>,
}

/// What is known of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// When it began.
    pub issued: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
    /// The policies that limit it; `None` if it was made without.
    pub policies: Option<Vec<String>>,
    /// The build that acts in it, by its role.
    pub build: Option<BuildId>,
}

/// What surrounds a request.
#[derive(Debug, Clone)]
pub struct Context {
    /// Who sent it.
    pub caller: Caller,
    /// Region that it was signed for, which is Kiln's own.
    pub region: String,
    /// Its id, a UUID; stands in the answer and in logs.
    pub request_id: String,
    /// What its sender calls this server: `http://127.0.0.1:5456`. Empty for what the service does by itself.
    pub origin: String,
    /// Condition keys of its connection and head, for decisions that the service makes itself.
    pub surroundings: Arc<[(&'static str, String)]>,
    /// What was decided about it, for the audit log.
    pub rulings: Rulings,
    /// The span of which the call is a part, where its sender says so (W3C Trace Context).
    pub traceparent: Option<Traceparent>,
}

impl Context {
    /// Account and region that the request's resources are in.
    #[must_use]
    pub fn home(&self) -> Home {
        Home { region: self.region.clone(), account: self.caller.account.clone() }
    }
}

/// Bytes that come over time, in pieces; an error ends them.
pub trait ByteSource: Send + 'static {
    /// The next piece, not empty; `None` at the end. Nothing is lost when the future is dropped before it is ready.
    fn next(&mut self) -> impl Future<Output = Option<io::Result<Vec<u8>>>> + Send;
}

/// Where bytes go to. Dropping it tells the other side that there will be no more.
pub trait ByteSink: Send + 'static {
    /// Hands over a piece; waits while the other side is busy. An error: the other side is gone.
    fn send(&mut self, bytes: Vec<u8>) -> impl Future<Output = io::Result<()>> + Send;
}

/// Everything that a front end needs of the service.
pub trait Service:
    CloudWatch
    + CodeBuild
    + CodeCommit
    + Ecr
    + Events
    + GitHost
    + Iam
    + Images
    + KilnService
    + Kms
    + Logs
    + Objects
    + PublicBuilds
    + RunningBuilds
    + SecretsManager
    + Ssm
{
}

impl<S> Service for S where
    S: CloudWatch
        + CodeBuild
        + CodeCommit
        + Ecr
        + Events
        + GitHost
        + Iam
        + Images
        + KilnService
        + Kms
        + Logs
        + Objects
        + PublicBuilds
        + RunningBuilds
        + SecretsManager
        + Ssm
{
}
