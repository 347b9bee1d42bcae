//! A build's record as a job for its runner.

use std::path::{Path, PathBuf};

use kiln_buildspec::SecretReference;
use kiln_model::{
    ComputeType,
    arn::Home,
    build_secret::BuildSecret,
    codebuild::{
        ArtifactsType, CacheMode, CacheType, EnvironmentVariable, EnvironmentVariableType, ProjectArtifacts,
        ProjectSource, SourceType,
    },
    git_location::GitLocation,
    location::BuildspecForm,
};
use kiln_runner::{
    docker, git,
    job::{
        ArtifactSettings, BuildspecSource, GitSource, JOB_VERSION, Job, Keep, Packaging, PullRequests, ServerAccess,
        ServiceSettings, ServiceSource, Source, TraceOf,
    },
};

use crate::{artifact, config::Config, document::Document};

/// What was read for a build before its runner starts.
#[derive(Debug, Default)]
pub(crate) struct Staged {
    /// Archive of the primary source.
    pub(crate) primary: Option<PathBuf>,
    /// Archives of secondary ones, by identifier.
    pub(crate) secondary: Vec<(String, PathBuf)>,
    /// Text and name of a buildspec that is an object.
    pub(crate) buildspec: Option<(String, String)>,
}

/// The compute type whose limits a build gets. Others than the general ones are refused when it is started.
pub(crate) fn compute(document: &Document) -> ComputeType {
    document.build.environment.compute_type.as_str().parse().unwrap_or(ComputeType::Small)
}

/// Makes the job. `build_dir` is where the runner works.
pub(crate) fn job(
    config: &Config,
    document: &Document,
    build_dir: &Path,
    staged: &Staged,
    server: ServerAccess,
) -> Option<Job> {
    let build = &document.build;
    let id: kiln_model::BuildId = build.id.parse().ok()?;
    let identifiers: Vec<&str> =
        build.secondary_sources.iter().filter_map(|s| s.source_identifier.as_deref()).collect();
    let secondary_sources = identifiers
        .iter()
        .filter_map(|id| {
            let path = staged.secondary.iter().find(|(other, _)| other == id).map(|(_, path)| path.clone());
            let source = build.secondary_sources.iter().find(|s| s.source_identifier.as_deref() == Some(*id));
            let versions = build.secondary_source_versions.iter();
            let version = versions.into_iter().find(|v| v.source_identifier == *id).map(|v| v.source_version.as_str());
            Some(((*id).to_owned(), service_source(config, document, source?, version, path)))
        })
        .collect();
    let given = Variables::of(&build.environment.environment_variables);
    let service = ServiceSettings {
        variables: variables(config, document),
        source: service_source(
            config,
            document,
            &build.source,
            build.source_version.as_deref(),
            staged.primary.clone(),
        ),
        secondary_sources,
        artifact: settings(&document.artifacts),
        secondary_artifacts: document
            .secondary_artifacts
            .iter()
            .filter_map(|a| Some((a.artifact_identifier.clone()?, settings(a)?)))
            .collect(),
        cache_namespace: cache_namespace(document),
        cache_in_bucket: build.cache.r#type == CacheType::S3,
        server: Some(server),
        secret_variables: given.secret,
        trace: document.traced.map(|traced| TraceOf { parent: traced.parent }),
    };
    Some(Job {
        version: JOB_VERSION,
        id,
        number: build.build_number.and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
        initiator: build.initiator.clone().unwrap_or_default(),
        region: config.home.region.clone(),
        account: config.home.account.clone(),
        submitted_ns: u64::try_from(document.lifecycle.submitted_ms).unwrap_or(0).saturating_mul(1_000_000),
        data: config.data.clone(),
        artifacts: build_dir.join("artifacts"),
        reports: build_dir.join("reports"),
        cache: keeps_cache(document).then(|| config.caches()),
        docker_layers: keeps_layers(document)
            .then(|| docker::store(&config.data, &build.project_name, &document.cache)),
        source: Source::of_service(build_dir, identifiers),
        buildspec: buildspec(&build.source, staged),
        image: build.environment.image.clone(),
        engine: config.engine.clone(),
        compute: compute(document),
        network: config.network,
        network_allow: config.network_allow.clone(),
        privileged: build.environment.privileged_mode == Some(true),
        variables: given.plain,
        timeout_secs: u64::try_from(build.timeout_in_minutes.unwrap_or(60)).unwrap_or(60) * 60,
        keep: if config.keep_budget > 0 { Keep::OnFailure } else { Keep::Never },
        resume: None,
        packaging: Packaging::Zip,
        source_date_epoch: None,
        max_log_bytes: config.max_log_bytes,
        service: Some(service),
    })
}

/// Where a source comes from. `staged`: what was staged for it: an archive, or a git repository of this service.
fn service_source(
    config: &Config,
    document: &Document,
    source: &ProjectSource,
    version: Option<&str>,
    staged: Option<PathBuf>,
) -> ServiceSource {
    let local = match staged {
        Some(path) if source.r#type == SourceType::S3 => return ServiceSource::Zip { path },
        staged => staged,
    };
    // What is no URL of a repository was refused at the start.
    let location = GitLocation::parse(source.location.as_deref().unwrap_or_default());
    let Some(location) = location.ok().filter(|_| source.r#type.is_git()) else { return ServiceSource::Empty };
    let project = &document.build.project_name;
    let url = location.to_string();
    ServiceSource::Git(GitSource {
        base: location.base(),
        directory: location.directory(),
        version: version.filter(|version| !version.is_empty()).map(str::to_owned),
        // More than 25 is all of it (`api.md` 2.4).
        depth: source
            .git_clone_depth
            .and_then(|depth| u32::try_from(depth).ok())
            .filter(|depth| *depth <= 25)
            .unwrap_or(0),
        submodules: source.git_submodules_config.as_ref().is_some_and(|config| config.fetch_submodules),
        insecure_ssl: source.insecure_ssl == Some(true),
        pull_requests: match source.r#type {
            SourceType::Github | SourceType::GithubEnterprise => PullRequests::Pulls,
            SourceType::Gitlab | SourceType::GitlabSelfManaged => PullRequests::MergeRequests,
            _ => PullRequests::None,
        },
        mirror: (local.is_none() && has_local_mode(document, CacheMode::Source))
            .then(|| git::mirror(&config.data, project, &document.cache, &url)),
        local,
        url,
    })
}

/// Variables of the project and of the start.
#[derive(Debug, Default)]
struct Variables {
    plain: Vec<(String, String)>,
    /// Those that name a parameter or a secret.
    secret: Vec<(String, BuildSecret)>,
}

impl Variables {
    /// Of a name that stands twice the last one counts.
    fn of(all: &[EnvironmentVariable]) -> Self {
        let mut variables = Self::default();
        for EnvironmentVariable { name, value, r#type } in all {
            variables.plain.retain(|(other, _)| other != name);
            variables.secret.retain(|(other, _)| other != name);
            let secret = match r#type.unwrap_or_default() {
                EnvironmentVariableType::Plaintext => {
                    variables.plain.push((name.clone(), value.clone()));
                    continue;
                }
                EnvironmentVariableType::ParameterStore => BuildSecret::Parameter { name: value.clone() },
                // What cannot name a secret names none: the build is told so.
                EnvironmentVariableType::SecretsManager => value.parse().map_or_else(
                    |_| BuildSecret::Secret {
                        id: value.clone(),
                        json_key: None,
                        version_stage: None,
                        version_id: None,
                    },
                    |reference: SecretReference| reference.into(),
                ),
            };
            variables.secret.push((name.clone(), secret));
        }
        variables
    }
}

fn buildspec(source: &ProjectSource, staged: &Staged) -> BuildspecSource {
    if let Some((text, name)) = &staged.buildspec {
        return BuildspecSource::Inline { text: text.clone(), name: name.clone() };
    }
    match BuildspecForm::of(source.buildspec.as_deref()) {
        BuildspecForm::Inline(text) => {
            BuildspecSource::Inline { text: text.to_owned(), name: "buildspec.yml".to_owned() }
        }
        BuildspecForm::Path(path) | BuildspecForm::Object(path) => BuildspecSource::InSource(path.to_owned()),
        BuildspecForm::Default => BuildspecSource::Default,
    }
}

fn settings(artifacts: &ProjectArtifacts) -> Option<ArtifactSettings> {
    (artifacts.r#type == ArtifactsType::S3).then(|| ArtifactSettings {
        packaging: if artifact::is_zip(artifacts) { Packaging::Zip } else { Packaging::None },
        override_name: artifacts.override_artifact_name == Some(true),
    })
}

/// A cache of its own paths.
fn keeps_cache(document: &Document) -> bool {
    document.build.cache.r#type == CacheType::S3 || has_local_mode(document, CacheMode::Custom)
}

/// What a Docker daemon in the build keeps. Without privileged mode there is none (`buildspec.md` 10.5).
fn keeps_layers(document: &Document) -> bool {
    document.build.environment.privileged_mode == Some(true) && has_local_mode(document, CacheMode::DockerLayers)
}

fn has_local_mode(document: &Document, mode: CacheMode) -> bool {
    let cache = &document.build.cache;
    cache.r#type == CacheType::Local && cache.modes.as_ref().is_some_and(|modes| modes.contains(&mode))
}

/// Which builds share a cache: those of one project, or, in a bucket, of all projects that name the same location.
pub(crate) fn cache_namespace(document: &Document) -> String {
    match (document.build.cache.r#type, &document.build.cache.location) {
        (CacheType::S3, Some(location)) => {
            let namespace = document.build.cache.cache_namespace.as_deref().unwrap_or_default();
            format!("s3:{location}:{namespace}:{}", document.cache.rsplit(':').next().unwrap_or_default())
        }
        _ => document.cache.clone(),
    }
}

/// What the service knows better than a local run (`buildspec.md` 7.1).
fn variables(config: &Config, document: &Document) -> Vec<(String, Option<String>)> {
    let build = &document.build;
    let home: &Home = &config.home;
    let version = |id: &str| {
        let versions = build.secondary_source_versions.iter();
        versions.into_iter().find(|v| v.source_identifier == id).map(|v| v.source_version.clone()).unwrap_or_default()
    };
    let mut variables = vec![
        ("CODEBUILD_BUILD_ARN".to_owned(), Some(build.arn.clone())),
        ("CODEBUILD_BUILD_URL".to_owned(), Some(format!("{}/-/builds/{}", config.console_url, build.id))),
        (
            "CODEBUILD_KMS_KEY_ID".to_owned(),
            Some(build.encryption_key.clone().unwrap_or_else(|| home.default_key_arn())),
        ),
        ("CODEBUILD_LOCAL_BUILD".to_owned(), None),
        ("CODEBUILD_LOG_PATH".to_owned(), Some(document.log_stream())),
        ("CODEBUILD_SOURCE_REPO_URL".to_owned(), Some(repository(&build.source))),
        ("CODEBUILD_SOURCE_VERSION".to_owned(), Some(build.source_version.clone().unwrap_or_default())),
    ];
    if let Some(alias) = &document.public_alias {
        let url = crate::public::build_url(&config.console_url, alias, document.uuid());
        variables.push(("CODEBUILD_PUBLIC_BUILD_URL".to_owned(), Some(url)));
    }
    let triggered = document.triggered.iter().flat_map(|triggered| &triggered.variables);
    variables.extend(triggered.map(|(name, value)| (name.clone(), Some(value.clone()))));
    for source in &build.secondary_sources {
        let Some(id) = source.source_identifier.as_deref() else { continue };
        variables.push((format!("CODEBUILD_SOURCE_REPO_URL_{id}"), Some(repository(source))));
        variables.push((format!("CODEBUILD_SOURCE_VERSION_{id}"), Some(version(id))));
    }
    variables
}

fn repository(source: &ProjectSource) -> String {
    let location = source.location.clone().unwrap_or_default();
    match source.r#type {
        SourceType::S3 if !location.starts_with("arn:") => format!("s3://{location}"),
        _ => location,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_variable_of_a_name_counts() {
        let variable = |name: &str, value: &str, kind| EnvironmentVariable {
            name: name.to_owned(),
            value: value.to_owned(),
            r#type: kind,
        };
        let found = Variables::of(&[
            variable("A", "plain", None),
            variable("B", "/b", Some(EnvironmentVariableType::ParameterStore)),
            variable("A", "id:key:AWSPREVIOUS", Some(EnvironmentVariableType::SecretsManager)),
            variable("B", "plain", Some(EnvironmentVariableType::Plaintext)),
            variable("C", "a:b:c:d:e", Some(EnvironmentVariableType::SecretsManager)),
        ]);
        assert_eq!(found.plain, [("B".to_owned(), "plain".to_owned())]);
        let secret = |id: &str, key: Option<&str>, stage: Option<&str>| BuildSecret::Secret {
            id: id.to_owned(),
            json_key: key.map(str::to_owned),
            version_stage: stage.map(str::to_owned),
            version_id: None,
        };
        assert_eq!(
            found.secret,
            [
                ("A".to_owned(), secret("id", Some("key"), Some("AWSPREVIOUS"))),
                ("C".to_owned(), secret("a:b:c:d:e", None, None)),
            ]
        );
    }
}
