//! Projects as the service makes and changes them: defaults, clearing, and the rules between members (`api.md` 2.4).

use crate::{
    ApiError, Timestamp,
    arn::Home,
    codebuild::{
        ArtifactNamespace, ArtifactPackaging, ArtifactsType, CacheType, CreateProjectInput, EnvironmentVariableType,
        ImagePullCredentialsType, Project, ProjectArtifacts, ProjectBadge, ProjectBuildBatchConfig, ProjectCache,
        ProjectEnvironment, ProjectSource, UpdateProjectInput, VpcConfig,
    },
    rules::{self, Settings, filled},
};

/// Minutes that a build may take when its project does not say.
pub const TIMEOUT_IN_MINUTES: i32 = 60;
/// Minutes that a build may wait when its project does not say.
pub const QUEUED_TIMEOUT_IN_MINUTES: i32 = 480;

/// A new project, with the defaults that the service writes into it. `badge.badgeRequestUrl` is left for the caller, who
/// knows the address.
///
/// # Errors
/// `InvalidInputException` when members do not fit together.
pub fn create(input: CreateProjectInput, home: &Home, now: Timestamp) -> Result<Project, ApiError> {
    rules::artifacts(&input.artifacts)?;
    let project = Project {
        arn: home.project_arn(&input.name),
        description: input.description.filter(|text| !text.is_empty()),
        source: source(input.source),
        secondary_sources: input.secondary_sources.unwrap_or_default().into_iter().map(source).collect(),
        source_version: input.source_version.filter(|text| !text.is_empty()),
        secondary_source_versions: input.secondary_source_versions.unwrap_or_default(),
        artifacts: artifacts(input.artifacts, &input.name),
        secondary_artifacts: list_of_artifacts(input.secondary_artifacts.unwrap_or_default(), &input.name)?,
        cache: cache(input.cache.unwrap_or_default()),
        environment: environment(input.environment),
        service_role: input.service_role,
        timeout_in_minutes: input.timeout_in_minutes.unwrap_or(TIMEOUT_IN_MINUTES),
        queued_timeout_in_minutes: input.queued_timeout_in_minutes.unwrap_or(QUEUED_TIMEOUT_IN_MINUTES),
        encryption_key: input.encryption_key.unwrap_or_else(|| home.default_key_arn()),
        tags: input.tags.unwrap_or_default(),
        created: now,
        last_modified: now,
        vpc_config: input.vpc_config.filter(|vpc| *vpc != VpcConfig::default()),
        badge: ProjectBadge { badge_enabled: input.badge_enabled.unwrap_or(false), badge_request_url: None },
        logs_config: input.logs_config,
        file_system_locations: input.file_system_locations.filter(|list| !list.is_empty()),
        build_batch_config: batch_config(input.build_batch_config),
        concurrent_build_limit: concurrent_build_limit(input.concurrent_build_limit)?,
        auto_retry_limit: auto_retry_limit(input.auto_retry_limit)?,
        name: input.name,
        ..Project::default()
    };
    check(&project, home)?;
    Ok(project)
}

/// The project after an update. An absent member leaves things as they are, a present one replaces the whole member;
/// absent `tags`, and the empty forms of the other members, clear (`api.md` 2.4). `badge.badgeRequestUrl` is kept while
/// the badge is on; the caller fills it in when it is missing.
///
/// # Errors
/// `InvalidInputException` when members do not fit together.
pub fn update(project: &Project, input: UpdateProjectInput, home: &Home, now: Timestamp) -> Result<Project, ApiError> {
    let mut project = project.clone();
    let name = project.name.clone();
    if let Some(description) = input.description {
        project.description = Some(description).filter(|text| !text.is_empty());
    }
    if let Some(new) = input.source {
        project.source = source(new);
    }
    if let Some(new) = input.secondary_sources {
        project.secondary_sources = new.into_iter().map(source).collect();
    }
    if let Some(new) = input.source_version {
        project.source_version = Some(new).filter(|text| !text.is_empty());
    }
    if let Some(new) = input.secondary_source_versions {
        project.secondary_source_versions = new;
    }
    if let Some(new) = input.artifacts {
        rules::artifacts(&new)?;
        project.artifacts = artifacts(new, &name);
    }
    if let Some(new) = input.secondary_artifacts {
        project.secondary_artifacts = list_of_artifacts(new, &name)?;
    }
    if let Some(new) = input.cache {
        project.cache = cache(new);
    }
    if let Some(new) = input.environment {
        project.environment = environment(new);
    }
    if let Some(new) = input.service_role {
        project.service_role = new;
    }
    if let Some(new) = input.timeout_in_minutes {
        project.timeout_in_minutes = new;
    }
    if let Some(new) = input.queued_timeout_in_minutes {
        project.queued_timeout_in_minutes = new;
    }
    if let Some(new) = input.encryption_key {
        project.encryption_key = new;
    }
    // Terraform sends all tags with every update, and omits the member when the last one was removed.
    project.tags = input.tags.unwrap_or_default();
    if let Some(new) = input.vpc_config {
        project.vpc_config = Some(new).filter(|vpc| *vpc != VpcConfig::default());
    }
    if let Some(enabled) = input.badge_enabled {
        project.badge.badge_enabled = enabled;
        if !enabled {
            project.badge.badge_request_url = None;
        }
    }
    if let Some(new) = input.logs_config {
        project.logs_config = Some(new);
    }
    if let Some(new) = input.file_system_locations {
        project.file_system_locations = Some(new).filter(|list| !list.is_empty());
    }
    if let Some(new) = input.build_batch_config {
        project.build_batch_config = batch_config(Some(new));
    }
    if let Some(new) = input.concurrent_build_limit {
        project.concurrent_build_limit = concurrent_build_limit(Some(new))?;
    }
    if let Some(new) = input.auto_retry_limit {
        project.auto_retry_limit = auto_retry_limit(Some(new))?;
    }
    project.last_modified = now;
    check(&project, home)?;
    Ok(project)
}

fn check(project: &Project, home: &Home) -> Result<(), ApiError> {
    rules::check(
        &Settings {
            source: &project.source,
            source_version: project.source_version.as_deref(),
            secondary_sources: &project.secondary_sources,
            secondary_source_versions: &project.secondary_source_versions,
            artifacts: &project.artifacts,
            secondary_artifacts: &project.secondary_artifacts,
            cache: &project.cache,
            environment: &project.environment,
            service_role: &project.service_role,
            vpc_config: project.vpc_config.as_ref(),
            logs_config: project.logs_config.as_ref(),
            file_system_locations: project.file_system_locations.as_deref().unwrap_or_default(),
        },
        home,
    )?;
    if let Some(batch) = &project.build_batch_config {
        check_batch_config(batch, home)?;
    }
    Ok(())
}

fn check_batch_config(batch: &ProjectBuildBatchConfig, home: &Home) -> Result<(), ApiError> {
    if let Some(role) = &batch.service_role {
        rules::service_role(role, home)?;
    }
    let builds = batch.restrictions.as_ref().and_then(|restrictions| restrictions.maximum_builds_allowed);
    if builds.is_some_and(|builds| !(1..=100).contains(&builds)) {
        return Err(ApiError::invalid_input("Invalid buildBatchConfig: maximumBuildsAllowed should be 1 to 100"));
    }
    if batch.timeout_in_mins.is_some_and(|minutes| !(5..=2160).contains(&minutes)) {
        return Err(ApiError::invalid_input("Invalid buildBatchConfig: timeoutInMins should be 5 to 2160"));
    }
    Ok(())
}

/// A source with its defaults.
pub(crate) fn source(mut source: ProjectSource) -> ProjectSource {
    source.location = source.location.filter(|text| !text.is_empty());
    source.source_identifier = source.source_identifier.filter(|text| !text.is_empty());
    source.insecure_ssl.get_or_insert(false);
    if source.r#type.is_git() {
        source.report_build_status.get_or_insert(false);
    }
    source
}

/// Artifacts with their defaults.
pub(crate) fn artifacts(artifacts: ProjectArtifacts, project: &str) -> ProjectArtifacts {
    let name = || filled(artifacts.name.as_deref()).unwrap_or(project).to_owned();
    match artifacts.r#type {
        ArtifactsType::NoArtifacts => ProjectArtifacts {
            r#type: ArtifactsType::NoArtifacts,
            override_artifact_name: artifacts.override_artifact_name,
            artifact_identifier: artifacts.artifact_identifier,
            ..ProjectArtifacts::default()
        },
        ArtifactsType::S3 => ProjectArtifacts {
            name: Some(name()),
            namespace_type: artifacts.namespace_type.or(Some(ArtifactNamespace::None)),
            packaging: artifacts.packaging.or(Some(ArtifactPackaging::None)),
            encryption_disabled: artifacts.encryption_disabled.or(Some(false)),
            ..artifacts
        },
        ArtifactsType::CodePipeline => ProjectArtifacts {
            name: Some(name()),
            packaging: artifacts.packaging.or(Some(ArtifactPackaging::None)),
            encryption_disabled: artifacts.encryption_disabled.or(Some(false)),
            ..artifacts
        },
    }
}

/// Secondary artifacts with their defaults.
pub(crate) fn list_of_artifacts(list: Vec<ProjectArtifacts>, project: &str) -> Result<Vec<ProjectArtifacts>, ApiError> {
    list.into_iter()
        .map(|item| {
            rules::artifacts(&item)?;
            Ok(artifacts(item, project))
        })
        .collect()
}

/// A cache with its defaults.
pub(crate) fn cache(cache: ProjectCache) -> ProjectCache {
    if cache.r#type == CacheType::NoCache { ProjectCache::default() } else { cache }
}

/// An environment with its defaults.
pub(crate) fn environment(mut environment: ProjectEnvironment) -> ProjectEnvironment {
    environment.privileged_mode.get_or_insert(false);
    environment.image_pull_credentials_type.get_or_insert(ImagePullCredentialsType::CodeBuild);
    for variable in &mut environment.environment_variables {
        variable.r#type.get_or_insert(EnvironmentVariableType::Plaintext);
    }
    environment
}

fn batch_config(config: Option<ProjectBuildBatchConfig>) -> Option<ProjectBuildBatchConfig> {
    config.filter(|config| *config != ProjectBuildBatchConfig::default())
}

/// -1 stands for no limit.
fn concurrent_build_limit(limit: Option<i32>) -> Result<Option<i32>, ApiError> {
    match limit {
        None | Some(-1) => Ok(None),
        Some(limit) if limit >= 1 => Ok(Some(limit)),
        Some(_) => {
            Err(ApiError::invalid_input("Invalid input: concurrentBuildLimit should be at least 1, or -1 for none"))
        }
    }
}

/// Checks the number of further tries.
pub(crate) fn auto_retry_limit(limit: Option<i32>) -> Result<Option<i32>, ApiError> {
    if limit.is_some_and(|limit| limit < 0) {
        return Err(ApiError::invalid_input("Invalid input: autoRetryLimit should be at least 0"));
    }
    Ok(limit)
}
