//! What is recorded of a build when it is accepted: the project's settings with the overrides, frozen.

use kiln_model::{
    ApiError, BuildId,
    codebuild::{Project, StartBuildInput},
    effective::{EffectiveBuild, effective},
    refusal::{Abilities, refused},
};

use crate::{
    config::Config,
    document::{Document, VERSION},
    lifecycle::{Lifecycle, Millis},
};

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
        stored: Vec::new(),
        exported: Vec::new(),
        kept_bytes: None,
        journal_bytes: 0,
    })
}
