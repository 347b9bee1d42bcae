//! What a build really is asked for: its project's settings with the overrides of StartBuild (`api.md` 2.5).

use serde::{Deserialize, Serialize};

use crate::{
    ApiError,
    arn::Home,
    codebuild::{
        ArtifactsType, Build, CloudWatchLogsConfig, DebugSession, EnvironmentVariable, EnvironmentVariableType,
        LogsConfig, LogsConfigStatusType, LogsLocation, Project, ProjectArtifacts, ProjectEnvironment, ProjectSource,
        SourceType, StartBuildInput,
    },
    project,
    rules::{self, Settings, filled},
};

/// The settings of a build, frozen when it is accepted. RetryBuild uses those of the old build.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EffectiveBuild {
    /// The build's members that are settings; those that identify it and tell what became of it are empty. Of `logs` the
    /// configuration is there.
    pub build: Build,
    /// Where its output goes, of which `build` shows but a part.
    pub artifacts: ProjectArtifacts,
    /// Where its further outputs go.
    pub secondary_artifacts: Vec<ProjectArtifacts>,
    /// Further tries after a failure.
    pub auto_retry_limit: i32,
}

/// The project's settings with the overrides. Empty texts are no overrides (`integrations.md` 1.5).
///
/// # Errors
/// `InvalidInputException` when overrides are missing or do not fit.
pub fn effective(project: &Project, input: StartBuildInput, home: &Home) -> Result<EffectiveBuild, ApiError> {
    let name = &project.name;
    if project.artifacts.r#type == ArtifactsType::CodePipeline && input.artifacts_override.is_none() {
        return Err(ApiError::invalid_input("ArtifactsOverride must be set when using artifacts type CodePipelines"));
    }
    if project.source.r#type == SourceType::CodePipeline && input.source_type_override.is_none() {
        return Err(ApiError::invalid_input("SourceTypeOverride must be set when using source type CodePipeline"));
    }
    let auto_retry_limit =
        project::auto_retry_limit(input.auto_retry_limit_override)?.or(project.auto_retry_limit).unwrap_or(0);
    let environment = environment(&project.environment, &input);
    let source = source(&project.source, &input);
    let source_version = match filled(input.source_version.as_deref()) {
        Some(version) => Some(version.to_owned()),
        // The project's version belongs to the project's source.
        None if !exchangeable(project.source.r#type, source.r#type) => None,
        None => project.source_version.clone(),
    };
    let artifacts = match input.artifacts_override {
        Some(artifacts) => {
            rules::artifacts(&artifacts)?;
            project::artifacts(artifacts, name)
        }
        None => project.artifacts.clone(),
    };
    let secondary_artifacts = match input.secondary_artifacts_override {
        Some(list) => project::list_of_artifacts(list, name)?,
        None => project.secondary_artifacts.clone(),
    };
    let secondary_sources = match input.secondary_sources_override {
        Some(list) => list.into_iter().map(project::source).collect(),
        None => project.secondary_sources.clone(),
    };
    let logs = input.logs_config_override.or_else(|| project.logs_config.clone());
    let build = Build {
        project_name: name.clone(),
        source_version,
        source,
        secondary_sources,
        secondary_source_versions: input
            .secondary_sources_version_override
            .unwrap_or_else(|| project.secondary_source_versions.clone()),
        cache: input.cache_override.map_or_else(|| project.cache.clone(), project::cache),
        environment,
        service_role: Some(input.service_role_override.unwrap_or_else(|| project.service_role.clone())),
        logs: Some(log_settings(logs.as_ref())),
        timeout_in_minutes: Some(input.timeout_in_minutes_override.unwrap_or(project.timeout_in_minutes)),
        queued_timeout_in_minutes: Some(
            input.queued_timeout_in_minutes_override.unwrap_or(project.queued_timeout_in_minutes),
        ),
        vpc_config: project.vpc_config.clone(),
        encryption_key: Some(input.encryption_key_override.unwrap_or_else(|| project.encryption_key.clone())),
        file_system_locations: project.file_system_locations.clone(),
        debug_session: input
            .debug_session_enabled
            .filter(|enabled| *enabled)
            .map(|_| DebugSession { session_enabled: Some(true), session_target: None }),
        ..Build::default()
    };
    rules::check(
        &Settings {
            source: &build.source,
            source_version: build.source_version.as_deref(),
            secondary_sources: &build.secondary_sources,
            secondary_source_versions: &build.secondary_source_versions,
            artifacts: &artifacts,
            secondary_artifacts: &secondary_artifacts,
            cache: &build.cache,
            environment: &build.environment,
            service_role: build.service_role.as_deref().unwrap_or_default(),
            vpc_config: build.vpc_config.as_ref(),
            logs_config: logs.as_ref(),
            file_system_locations: build.file_system_locations.as_deref().unwrap_or_default(),
        },
        home,
    )?;
    Ok(EffectiveBuild { build, artifacts, secondary_artifacts, auto_retry_limit })
}

fn source(project: &ProjectSource, input: &StartBuildInput) -> ProjectSource {
    let mut source = project.clone();
    if let Some(kind) = input.source_type_override.filter(|kind| *kind != project.r#type) {
        source.r#type = kind;
        // What the project says of its source does not hold for one of another kind.
        source.auth = None;
        source.report_build_status = None;
        source.build_status_config = None;
        if !exchangeable(project.r#type, kind) {
            source.location = None;
        }
    }
    let replace = |member: &mut Option<String>, new: &Option<String>| {
        if let Some(text) = filled(new.as_deref()) {
            *member = Some(text.to_owned());
        }
    };
    replace(&mut source.location, &input.source_location_override);
    replace(&mut source.buildspec, &input.buildspec_override);
    source.auth = input.source_auth_override.clone().or(source.auth);
    source.git_clone_depth = input.git_clone_depth_override.or(source.git_clone_depth);
    source.git_submodules_config = input.git_submodules_config_override.clone().or(source.git_submodules_config);
    source.insecure_ssl = input.insecure_ssl_override.or(source.insecure_ssl);
    source.report_build_status = input.report_build_status_override.or(source.report_build_status);
    source.build_status_config = input.build_status_config_override.clone().or(source.build_status_config);
    project::source(source)
}

/// True when location and version of a source of one kind can be those of the other: repositories are as good for one
/// provider as for another.
fn exchangeable(one: SourceType, other: SourceType) -> bool {
    one == other || (one.is_git() && other.is_git())
}

fn environment(project: &ProjectEnvironment, input: &StartBuildInput) -> ProjectEnvironment {
    let mut environment = project.clone();
    environment.r#type = input.environment_type_override.unwrap_or(environment.r#type);
    if let Some(image) = &input.image_override {
        environment.image.clone_from(image);
    }
    environment.compute_type = input.compute_type_override.unwrap_or(environment.compute_type);
    if let Some(certificate) = filled(input.certificate_override.as_deref()) {
        environment.certificate = Some(certificate.to_owned());
    }
    environment.privileged_mode = input.privileged_mode_override.or(environment.privileged_mode);
    environment.registry_credential = input.registry_credential_override.clone().or(environment.registry_credential);
    environment.image_pull_credentials_type =
        input.image_pull_credentials_type_override.or(environment.image_pull_credentials_type);
    environment.fleet = input.fleet_override.clone().or(environment.fleet);
    environment.host_kernel = input.host_kernel_override.or(environment.host_kernel);
    for variable in input.environment_variables_override.iter().flatten() {
        override_variable(&mut environment.environment_variables, variable);
    }
    project::environment(environment)
}

/// The same name replaces value and type, a new one is added (`buildspec.md` 1.5).
fn override_variable(variables: &mut Vec<EnvironmentVariable>, new: &EnvironmentVariable) {
    let kind = new.r#type.unwrap_or(EnvironmentVariableType::Plaintext);
    let new = EnvironmentVariable { r#type: Some(kind), ..new.clone() };
    let mut same = variables.iter_mut().filter(|variable| variable.name == new.name).peekable();
    if same.peek().is_some() {
        same.for_each(|variable| *variable = new.clone());
    } else {
        variables.push(new);
    }
}

/// The effective configuration, as builds echo it: CloudWatch Logs on and S3 off unless it says otherwise
/// (`buildspec.md` 4.6).
fn log_settings(config: Option<&LogsConfig>) -> LogsLocation {
    let mut cloud_watch = config.and_then(|config| config.cloud_watch_logs.clone()).unwrap_or_else(|| {
        CloudWatchLogsConfig { status: LogsConfigStatusType::Enabled, ..CloudWatchLogsConfig::default() }
    });
    cloud_watch.group_name = cloud_watch.group_name.filter(|text| !text.is_empty());
    cloud_watch.stream_name = cloud_watch.stream_name.filter(|text| !text.is_empty());
    let mut s3 = config.and_then(|config| config.s3_logs.clone()).unwrap_or_default();
    s3.location = s3.location.filter(|text| !text.is_empty());
    s3.encryption_disabled.get_or_insert(false);
    LogsLocation { cloud_watch_logs: Some(cloud_watch), s3_logs: Some(s3), ..LogsLocation::default() }
}
