//! What is recorded of a build when it is accepted: the project's settings with the overrides, frozen.
//!
//! Whatever starts a build, a call or a rule, it comes by here.

use kiln_model::{
    ApiError, BuildId, ErrorCode,
    codebuild::{Project, StartBuildInput},
    effective::{EffectiveBuild, effective},
    refusal::{Abilities, refused},
    trace::Traceparent,
};
use kiln_runner::clock::BootTime;
use kiln_store::Tx;

use crate::{
    config::Config,
    core::Inner,
    document::{Document, VERSION},
    lifecycle::{Lifecycle, Millis},
    records::{self, Refused},
    runners::Runners,
    service::projects,
    traces::Traced,
};

/// Refuses builds while the service stops, and beyond the length of the queue.
///
/// # Errors
/// `ThrottlingException`, `AccountLimitExceededException`.
pub(crate) fn check_room<R: Runners>(inner: &Inner<R>) -> Result<(), ApiError> {
    if inner.is_stopping() {
        return Err(ApiError::new(ErrorCode::Throttling, "the server is stopping; try again"));
    }
    let limit = inner.config.queue_limit;
    if inner.queue().waiting() >= limit {
        return Err(ApiError::limit_exceeded(format!("Cannot have more than {limit} builds in queue for the account")));
    }
    Ok(())
}

/// Who starts a build, and with what settings of the service.
#[derive(Debug, Clone)]
pub(crate) struct Starting {
    config: Config,
    initiator: String,
    is_traced: bool,
    call: Option<Traceparent>,
}

impl Starting {
    /// `initiator`: what the build shows as that; `call`: the span of which the start is a part.
    pub(crate) fn new<R: Runners>(inner: &Inner<R>, initiator: String, call: Option<Traceparent>) -> Self {
        Self { config: inner.config.clone(), initiator, is_traced: inner.traces.is_some(), call }
    }

    /// The same for somebody else.
    pub(crate) fn by(&self, initiator: &str) -> Self {
        Self { initiator: initiator.to_owned(), ..self.clone() }
    }

    /// The document of a new build of a project, if the project may have one more.
    ///
    /// # Errors
    /// What a client is told whose build cannot be.
    pub(crate) fn make(
        self,
        tx: &mut Tx<'_>,
        project: &str,
        input: StartBuildInput,
        uuid: &str,
        at: Millis,
    ) -> Result<Document, Refused> {
        let Self { config, initiator, is_traced, call } = self;
        let (project, cache) = projects::stored(tx, &config.home, project)?;
        projects::check_concurrency(tx, &project)?;
        let document = document(&config, &project, input, &initiator, uuid, at)?;
        let traced = is_traced.then(|| Traced::of(&document, call));
        Ok(Document { cache, traced, ..document })
    }

    /// The same, stored.
    ///
    /// # Errors
    /// The same.
    pub(crate) fn insert(
        self,
        tx: &mut Tx<'_>,
        project: &str,
        input: StartBuildInput,
        uuid: &str,
        at: Millis,
        boot: Option<BootTime>,
    ) -> Result<Document, Refused> {
        let document = self.make(tx, project, input, uuid, at)?;
        Ok(records::insert(tx, document, boot)?)
    }
}

/// The document of a new build.
///
/// # Errors
/// What of the request or of the project cannot be honoured; the message names the member.
pub(crate) fn document(
    config: &Config,
    project: &Project,
    input: StartBuildInput,
    initiator: &str,
    uuid: &str,
    at: Millis,
) -> Result<Document, ApiError> {
    let settings = effective(project, input, &config.home)?;
    let abilities = Abilities { arm: cfg!(target_arch = "aarch64"), host_image: config.allow_host_image };
    if let Some(refusal) = refused(&settings, abilities) {
        return Err(refusal.into());
    }
    let EffectiveBuild { mut build, artifacts, secondary_artifacts, auto_retry_limit } = settings;
    let id = BuildId::new(&project.name, uuid).map_err(|e| ApiError::internal(e.to_string()))?;
    build.arn = config.home.build_arn(&id);
    build.id = id.to_string();
    build.project_name.clone_from(&project.name);
    build.initiator = Some(initiator.to_owned());
    Ok(Document {
        version: VERSION,
        build,
        artifacts,
        secondary_artifacts,
        cache: String::new(),
        auto_retry_limit,
        auto_retry_number: 0,
        previous_try: None,
        next_try: None,
        lifecycle: Lifecycle::accepted(at),
        traced: None,
        accepted: None,
        public_alias: projects::public_alias(project),
        stored: Vec::new(),
        exported: Vec::new(),
        kept_bytes: None,
        journal_bytes: 0,
        triggered: None,
        superseded_by: None,
    })
}
