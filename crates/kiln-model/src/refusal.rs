//! What a build may be asked for and Kiln cannot honour yet. It is stored and returned with the project; only a start is
//! refused, and names the member.

use crate::{
    ApiError,
    codebuild::{
        ArtifactsType, Build, ComputeType, EnvironmentType, HostKernel, ProjectEnvironment, ProjectSource,
        SourceAuthType, SourceType,
    },
    effective::EffectiveBuild,
    git_location::{GitLocation, GitScheme},
    location::S3Location,
    rules::filled,
};

/// What this machine and this configuration can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// The machine has 64-bit ARM processors, and x86-64 ones otherwise.
    pub arm: bool,
    /// Projects may name the image `host` (DESIGN decision 5).
    pub host_image: bool,
}

/// Why a start is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The member, e.g. `vpcConfig`, `environment.fleet`.
    pub field: String,
    /// Why, a clause; what to do instead where there is something.
    pub reason: String,
}

impl Refusal {
    fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::invalid_input(format!("Kiln cannot start a build with this {}: {}", refusal.field, refusal.reason))
    }
}

/// What of a build cannot be honoured; the first thing, if there is one.
#[must_use]
pub fn refused(effective: &EffectiveBuild, abilities: Abilities) -> Option<Refusal> {
    let build = &effective.build;
    environment(&build.environment, abilities)
        .or_else(|| network(build))
        .or_else(|| source("source", &build.source))
        .or_else(|| {
            build.secondary_sources.iter().find_map(|secondary| {
                let identifier = secondary.source_identifier.as_deref().unwrap_or_default();
                source(&format!("secondarySources.{identifier}"), secondary)
            })
        })
        .or_else(|| {
            (effective.artifacts.r#type == ArtifactsType::CodePipeline)
                .then(|| Refusal::new("artifacts.type", "CODEPIPELINE artifacts need a pipeline that starts the build"))
        })
        .or_else(|| {
            build.debug_session.as_ref().and_then(|session| session.session_enabled).filter(|enabled| *enabled).map(|_| {
                Refusal::new(
                    "debugSessionEnabled",
                    "builds do not pause at breakpoints; `kiln debug` opens a shell in the file system of a failed build",
                )
            })
        })
}

fn environment(environment: &ProjectEnvironment, abilities: Abilities) -> Option<Refusal> {
    let fleet = environment.fleet.as_ref().and_then(|fleet| filled(fleet.fleet_arn.as_deref()));
    if fleet.is_some() {
        return Some(Refusal::new("environment.fleet", "there are no fleets; every build runs on this machine"));
    }
    let kind = environment.r#type;
    if kind != EnvironmentType::Linux && !(kind == EnvironmentType::Arm && abilities.arm) {
        return Some(Refusal::new(
            "environment.type",
            format!("{kind} does not run on this machine; use LINUX_CONTAINER"),
        ));
    }
    let compute = environment.compute_type;
    if compute.linux().is_none() {
        return Some(Refusal::new(
            "environment.computeType",
            format!("{compute} is not for containers; use {} or a larger one", ComputeType::Small),
        ));
    }
    if environment.docker_server.is_some() {
        return Some(Refusal::new(
            "environment.dockerServer",
            "there are no docker servers; privilegedMode lets a build run its own docker",
        ));
    }
    if environment.registry_credential.is_some() {
        return Some(Refusal::new(
            "environment.registryCredential",
            "there are no secrets to read it from; import the image with `kiln image pull` or `kiln image import`",
        ));
    }
    if filled(environment.certificate.as_deref()).is_some() {
        return Some(Refusal::new(
            "environment.certificate",
            "certificates are not read from buckets in this version of Kiln; put it into the image or the source",
        ));
    }
    if environment.host_kernel.is_some_and(|kernel| kernel != HostKernel::Latest) {
        return Some(Refusal::new("environment.hostKernel", "builds run on the kernel of this machine"));
    }
    if environment.image == "host" && !abilities.host_image {
        return Some(Refusal::new(
            "environment.image",
            "the image `host` shows this machine's own tools, which is only for a service that nobody else can reach",
        ));
    }
    None
}

fn network(build: &Build) -> Option<Refusal> {
    if build.vpc_config.is_some() {
        return Some(Refusal::new("vpcConfig", "there are no VPCs to join"));
    }
    build.file_system_locations.as_ref().filter(|list| !list.is_empty())?;
    Some(Refusal::new("fileSystemLocations", "network file systems are not mounted"))
}

fn source(field: &str, source: &ProjectSource) -> Option<Refusal> {
    match source.r#type {
        SourceType::NoSource => None,
        SourceType::S3 => {
            let place = source.location.as_deref().and_then(S3Location::parse);
            match place {
                Some(place) if !place.key.is_empty() => None,
                _ => Some(Refusal::new(
                    format!("{field}.location"),
                    "it should be bucket/key of a ZIP file, bucket/folder/, or the ARN of one of these",
                )),
            }
        }
        SourceType::CodePipeline => {
            Some(Refusal::new(format!("{field}.type"), "a CODEPIPELINE source needs a pipeline that starts the build"))
        }
        SourceType::CodeCommit => GitLocation::parse(source.location.as_deref().unwrap_or_default())
            .err()
            .map(|e| Refusal::new(format!("{field}.location"), e.to_string())),
        SourceType::Github
        | SourceType::GithubEnterprise
        | SourceType::Gitlab
        | SourceType::GitlabSelfManaged
        | SourceType::Bitbucket => git(field, source),
    }
}

fn git(field: &str, source: &ProjectSource) -> Option<Refusal> {
    let location = match GitLocation::parse(source.location.as_deref().unwrap_or_default()) {
        Ok(location) => location,
        Err(e) => return Some(Refusal::new(format!("{field}.location"), e.to_string())),
    };
    if location.scheme == GitScheme::Ssh
        && source.auth.as_ref().is_none_or(|auth| auth.r#type != SourceAuthType::SecretsManager)
    {
        return Some(Refusal::new(
            format!("{field}.auth"),
            "an ssh:// URL needs auth of type SECRETS_MANAGER, whose secret has the private key and the server's host keys",
        ));
    }
    let auth = source.auth.as_ref().filter(|auth| auth.r#type != SourceAuthType::OAuth)?;
    if auth.r#type == SourceAuthType::CodeConnections {
        return Some(Refusal::new(
            format!("{field}.auth"),
            "there are no connections; use SECRETS_MANAGER, or import a token with ImportSourceCredentials",
        ));
    }
    auth.resource.as_deref().is_none_or(str::is_empty).then(|| {
        Refusal::new(format!("{field}.auth"), "auth of type SECRETS_MANAGER needs a resource, the ARN of the secret")
    })
}
