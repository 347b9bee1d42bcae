//! Rules between the members of a project or build, with the texts that AWS answers (`api.md` 2.4).
//!
//! What AWS accepts in acceptance tests of its clients is accepted, even where its documentation says otherwise: images
//! are not looked at, `LOCAL_DOCKER_LAYER_CACHE` does not need privileged mode.

use std::collections::BTreeSet;

use crate::{
    ApiError,
    arn::{Arn, Home},
    codebuild::{
        ArtifactsType, CacheType, ComputeType, EnvironmentVariable, ImagePullCredentialsType, LogsConfig,
        LogsConfigStatusType, ProjectArtifacts, ProjectCache, ProjectEnvironment, ProjectFileSystemLocation,
        ProjectSource, ProjectSourceVersion, SourceType, VpcConfig,
    },
    error::excerpt,
    git_location::{GitLocation, GitLocationError},
    location::{BuildspecForm, S3Location},
};

/// What the rules look at, of a project or of a build.
pub(crate) struct Settings<'a> {
    pub(crate) source: &'a ProjectSource,
    pub(crate) source_version: Option<&'a str>,
    pub(crate) secondary_sources: &'a [ProjectSource],
    pub(crate) secondary_source_versions: &'a [ProjectSourceVersion],
    pub(crate) artifacts: &'a ProjectArtifacts,
    pub(crate) secondary_artifacts: &'a [ProjectArtifacts],
    pub(crate) cache: &'a ProjectCache,
    pub(crate) environment: &'a ProjectEnvironment,
    pub(crate) service_role: &'a str,
    pub(crate) vpc_config: Option<&'a VpcConfig>,
    pub(crate) logs_config: Option<&'a LogsConfig>,
    pub(crate) file_system_locations: &'a [ProjectFileSystemLocation],
}

fn invalid<T>(message: impl Into<String>) -> Result<T, ApiError> {
    Err(ApiError::invalid_input(message))
}

/// The text, unless it is empty: an empty string stands for an absent one in every optional text of a project.
pub(crate) fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

/// Checks all rules; the first that is broken is told.
pub(crate) fn check(settings: &Settings<'_>, home: &Home) -> Result<(), ApiError> {
    service_role(settings.service_role, home)?;
    pipeline(settings)?;
    source(settings.source)?;
    if settings.source.r#type == SourceType::NoSource {
        if !matches!(
            BuildspecForm::of(settings.source.buildspec.as_deref()),
            BuildspecForm::Inline(_) | BuildspecForm::Object(_)
        ) {
            return invalid(
                "Invalid input: source type NO_SOURCE needs a buildspec that is given inline: there is no source that a path could lead into",
            );
        }
        if filled(settings.source_version).is_some() {
            return invalid("Invalid input: source type NO_SOURCE should have null sourceVersion");
        }
    }
    for secondary in settings.secondary_sources {
        source(secondary)?;
    }
    identifiers(
        "secondarySources",
        "sourceIdentifier",
        settings.secondary_sources.iter().map(|s| s.source_identifier.as_deref()),
    )?;
    for version in settings.secondary_source_versions {
        identifier(&version.source_identifier)?;
    }
    artifacts(settings.artifacts)?;
    for secondary in settings.secondary_artifacts {
        artifacts(secondary)?;
    }
    identifiers(
        "secondaryArtifacts",
        "artifactIdentifier",
        settings.secondary_artifacts.iter().map(|a| a.artifact_identifier.as_deref()),
    )?;
    environment(settings.environment)?;
    cache(settings.cache, settings.vpc_config)?;
    vpc(settings.vpc_config, settings.environment)?;
    logs(settings.logs_config)?;
    file_systems(settings.file_system_locations)
}

/// A role is named or given by the ARN of one in this account.
pub(crate) fn service_role(role: &str, home: &Home) -> Result<(), ApiError> {
    const MALFORMED: &str = "Invalid service role";
    let name = |name: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-/".contains(c);
        !name.is_empty() && name.len() <= 576 && name.chars().all(plain) && !name.ends_with('/')
    };
    if !role.starts_with("arn:") {
        return if name(role) { Ok(()) } else { invalid(MALFORMED) };
    }
    let Ok(arn) = role.parse::<Arn>() else { return invalid(MALFORMED) };
    let role_name = arn.resource.strip_prefix("role/").filter(|text| name(text));
    if arn.service != "iam" || arn.partition != home.partition() || role_name.is_none() {
        return invalid(MALFORMED);
    }
    if arn.account != home.account {
        return invalid("Invalid service role: Service role account ID does not match caller's account");
    }
    Ok(())
}

/// CODEPIPELINE is for both or neither, and not for secondary ones.
fn pipeline(settings: &Settings<'_>) -> Result<(), ApiError> {
    let source = settings.source.r#type == SourceType::CodePipeline;
    if source != (settings.artifacts.r#type == ArtifactsType::CodePipeline) {
        return invalid(
            "Invalid input: when using CodePipeline both sourceType, and artifactType must be set to: CODEPIPELINE",
        );
    }
    if settings.secondary_sources.iter().any(|source| source.r#type == SourceType::CodePipeline) {
        return invalid("Invalid input: sourceType CODEPIPELINE is not allowed for secondarySources");
    }
    if settings.secondary_artifacts.iter().any(|artifacts| artifacts.r#type == ArtifactsType::CodePipeline) {
        return invalid("Invalid input: artifactType CODEPIPELINE is not allowed for secondaryArtifacts");
    }
    Ok(())
}

fn source(source: &ProjectSource) -> Result<(), ApiError> {
    let kind = source.r#type;
    let location = filled(source.location.as_deref());
    match kind {
        SourceType::NoSource if location.is_some() => {
            return invalid("Invalid input: source type NO_SOURCE should have null location");
        }
        SourceType::NoSource | SourceType::CodePipeline => {}
        _ if location.is_none() => return invalid("Project source location is required"),
        _ => {}
    }
    // Everybody who may see the project would see it.
    if kind.is_git() && GitLocation::parse(location.unwrap_or_default()) == Err(GitLocationError::Password) {
        return invalid(format!("Invalid source location: {}", GitLocationError::Password));
    }
    if source.report_build_status == Some(true) && !kind.reports_build_status() {
        return invalid(format!("Source type {kind} does not support ReportBuildStatus"));
    }
    Ok(())
}

/// Checks raw artifacts: what the defaults remove is still there.
pub(crate) fn artifacts(artifacts: &ProjectArtifacts) -> Result<(), ApiError> {
    let location = filled(artifacts.location.as_deref());
    match artifacts.r#type {
        ArtifactsType::NoArtifacts => {
            let extra = if location.is_some() {
                "location"
            } else if artifacts.encryption_disabled == Some(true) {
                "encryptionDisabled"
            } else if filled(artifacts.name.as_deref()).is_some() {
                "output name"
            } else {
                return Ok(());
            };
            invalid(format!("Invalid artifacts: artifact type NO_ARTIFACTS should have null {extra}"))
        }
        ArtifactsType::S3 => match location {
            None => invalid("Invalid artifacts: artifact type S3 should have a location, the name of a bucket"),
            Some(text) => match S3Location::parse(text) {
                Some(bucket) if bucket.key.is_empty() => Ok(()),
                _ => invalid(format!(
                    "Invalid artifacts: '{}' is not the name of a bucket; the rest of the place belongs to path and name",
                    excerpt(text)
                )),
            },
        },
        ArtifactsType::CodePipeline => Ok(()),
    }
}

fn identifier(text: &str) -> Result<(), ApiError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.is_empty() || text.len() >= 128 || !text.chars().all(plain) {
        return invalid(
            "Invalid input: identifier must contain only alphanumeric characters and underscores and be less than 128 \
             characters in length",
        );
    }
    Ok(())
}

fn identifiers<'a>(
    list: &str,
    member: &str,
    identifiers: impl Iterator<Item = Option<&'a str>>,
) -> Result<(), ApiError> {
    let mut seen = BTreeSet::new();
    for text in identifiers {
        let Some(text) = filled(text) else {
            return invalid(format!("Invalid input: each of {list} needs a {member}"));
        };
        identifier(text)?;
        if !seen.insert(text) {
            return invalid(format!("Invalid input: {member} '{text}' stands twice in {list}"));
        }
    }
    Ok(())
}

fn environment(environment: &ProjectEnvironment) -> Result<(), ApiError> {
    for variable in &environment.environment_variables {
        self::variable(variable)?;
    }
    let curated = environment.image.starts_with("aws/codebuild/");
    let role = environment.image_pull_credentials_type == Some(ImagePullCredentialsType::ServiceRole);
    if curated && role {
        return invalid(
            "Invalid environment: curated images need imagePullCredentialsType CODEBUILD, not SERVICE_ROLE",
        );
    }
    if environment.registry_credential.is_some() && !role {
        return invalid("Invalid environment: registryCredential needs imagePullCredentialsType SERVICE_ROLE");
    }
    let by_attributes = matches!(environment.compute_type, ComputeType::AttributeBased | ComputeType::CustomInstance);
    if environment.compute_configuration.is_some() && !by_attributes {
        return invalid(format!(
            "Invalid environment: computeConfiguration is for ATTRIBUTE_BASED_COMPUTE and CUSTOM_INSTANCE_TYPE, not {}",
            environment.compute_type
        ));
    }
    if let Some(certificate) = filled(environment.certificate.as_deref()) {
        let location = S3Location::parse(certificate).filter(|location| {
            let name = location.key.to_ascii_lowercase();
            name.ends_with(".pem") || name.ends_with(".zip")
        });
        if location.is_none() {
            return invalid("Invalid environment: certificate should be bucket/key of a .pem or .zip file, or its ARN");
        }
    }
    Ok(())
}

/// A variable must be possible in an environment of Linux.
fn variable(variable: &EnvironmentVariable) -> Result<(), ApiError> {
    if variable.name.contains(['=', '\0']) {
        return invalid(format!(
            "Invalid environment: the name of environment variable '{}' cannot contain '=' or NUL",
            excerpt(&variable.name)
        ));
    }
    if variable.value.contains('\0') {
        return invalid(format!(
            "Invalid environment: the value of environment variable '{}' cannot contain NUL",
            excerpt(&variable.name)
        ));
    }
    Ok(())
}

fn cache(cache: &ProjectCache, vpc: Option<&VpcConfig>) -> Result<(), ApiError> {
    match cache.r#type {
        CacheType::NoCache => Ok(()),
        CacheType::S3 => match filled(cache.location.as_deref()) {
            None => invalid("Invalid cache: cache type S3 should have a location, bucket[/prefix]"),
            Some(text) if S3Location::parse(text).is_none() => {
                invalid(format!("Invalid cache: '{}' is not bucket[/prefix]", excerpt(text)))
            }
            Some(_) => Ok(()),
        },
        CacheType::Local if cache.modes.as_ref().is_none_or(Vec::is_empty) => {
            invalid("Invalid cache: cache type LOCAL should have at least one mode")
        }
        CacheType::Local if vpc.is_some() => invalid("Invalid cache: cache type LOCAL cannot be used with a vpcConfig"),
        CacheType::Local => Ok(()),
    }
}

fn vpc(vpc: Option<&VpcConfig>, environment: &ProjectEnvironment) -> Result<(), ApiError> {
    let Some(vpc) = vpc else { return Ok(()) };
    let some = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    if vpc.vpc_id.is_none() || !some(&vpc.subnets) || !some(&vpc.security_group_ids) {
        return invalid("Invalid vpcConfig: it should have vpcId, at least one subnet and at least one security group");
    }
    let fleet = environment.fleet.as_ref().and_then(|fleet| filled(fleet.fleet_arn.as_deref()));
    if fleet.is_some() {
        return invalid("Invalid vpcConfig: it cannot be used with a fleet");
    }
    Ok(())
}

fn logs(logs: Option<&LogsConfig>) -> Result<(), ApiError> {
    let Some(s3) = logs.and_then(|logs| logs.s3_logs.as_ref()) else { return Ok(()) };
    let location = filled(s3.location.as_deref());
    if s3.status == LogsConfigStatusType::Enabled && location.is_none_or(|text| S3Location::parse(text).is_none()) {
        return invalid("Invalid logsConfig: s3Logs should have a location, bucket[/prefix], when it is ENABLED");
    }
    Ok(())
}

fn file_systems(locations: &[ProjectFileSystemLocation]) -> Result<(), ApiError> {
    identifiers("fileSystemLocations", "identifier", locations.iter().map(|location| location.identifier.as_deref()))
}
