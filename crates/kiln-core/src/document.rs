//! What is stored of a build, and how the API shows it.

use kiln_model::{
    BuildStatus, PhaseContext, PhaseType, Timestamp,
    arn::Home,
    codebuild::{
        AutoRetryConfig, Build, BuildArtifacts, BuildPhase, ExportedEnvironmentVariable, LogsConfigStatusType,
        LogsLocation, ProjectArtifacts,
    },
};
use kiln_runner::clock::BootTime;
use serde::{Deserialize, Serialize};

use crate::{
    lifecycle::{Lifecycle, Millis, Phase},
    traces::Traced,
};

/// Version of the stored form. A newer one is refused; an older one is read by this program's defaults.
pub const VERSION: u32 = 1;

/// A build's record: what was asked for, frozen when it was accepted, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// [`VERSION`].
    pub version: u32,
    /// The effective settings, as the API shows them; what follows from the other members is filled in by [`Self::show`].
    pub build: Build,
    /// The effective artifact settings, of which the API shows but a part.
    pub artifacts: ProjectArtifacts,
    /// The same of secondary artifacts.
    pub secondary_artifacts: Vec<ProjectArtifacts>,
    /// Name of the cache; builds with the same one share it.
    pub cache: String,
    /// Further tries after a failure.
    pub auto_retry_limit: i32,
    /// Which try this is, from 0.
    pub auto_retry_number: i32,
    /// Uuid of the build that is tried again by this one.
    pub previous_try: Option<String>,
    /// Uuid of the build that tries this one again.
    pub next_try: Option<String>,
    /// Its life.
    pub lifecycle: Lifecycle,
    /// Its place in a trace; `None`: nobody collects traces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traced: Option<Traced>,
    /// When it was accepted, by a clock that nobody sets: how long it waits is told by this one.
    #[serde(default)]
    pub accepted: Option<BootTime>,
    /// `publicProjectAlias` of its project, if its builds were public when it was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_alias: Option<String>,
    /// Artifacts at their place.
    pub stored: Vec<StoredArtifact>,
    /// Values of exported variables, at the end.
    pub exported: Vec<(String, String)>,
    /// Bytes on disk of the kept file system; `None`: not kept.
    pub kept_bytes: Option<u64>,
    /// Bytes of the journal when it was over.
    pub journal_bytes: u64,
    /// What a webhook started it for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub triggered: Option<Triggered>,
    /// Id of the build that stopped it, as it is of something newer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<String>,
}

/// What a build was started for by a webhook.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Triggered {
    /// Kiln's id of the delivery.
    pub delivery: String,
    /// The ref or pull request.
    pub subject: Option<String>,
    /// The commit, where the delivery names it.
    pub commit: Option<String>,
    /// Variables that the build gets (`api.md` 3.4).
    pub variables: Vec<(String, String)>,
    /// Whether the provider is told what becomes of it, whatever the project says: not of one that is tried again by hand.
    pub reports: bool,
}

/// An artifact that is complete at its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredArtifact {
    /// `None` for the primary one.
    pub identifier: Option<String>,
    /// Bucket.
    pub bucket: String,
    /// The bucket is another S3's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub external: bool,
    /// Key of the ZIP; for a tree of files the prefix before their relative paths.
    pub key: String,
    /// A ZIP, or a tree of files.
    pub zip: bool,
    /// Files in it.
    pub files: u64,
    /// Size of the ZIP, or the sum of the files, bytes.
    pub bytes: u64,
    /// SHA-256 of the ZIP, hex.
    pub sha256: Option<String>,
    /// MD5 of the ZIP, hex.
    pub md5: Option<String>,
}

/// A record that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Not JSON of this form.
    #[error("the record of build {uuid} cannot be read: {source}")]
    Malformed {
        /// Build.
        uuid: String,
        /// Why.
        source: serde_json::Error,
    },
    /// Written by a newer Kiln.
    #[error("the record of build {uuid} has version {version}; this kiln reads up to {VERSION}")]
    Newer {
        /// Build.
        uuid: String,
        /// Its version.
        version: u32,
    },
}

impl Document {
    /// Reads a stored record.
    ///
    /// # Errors
    /// [`DocumentError`].
    pub fn parse(uuid: &str, text: &str) -> Result<Self, DocumentError> {
        let document: Self =
            serde_json::from_str(text).map_err(|source| DocumentError::Malformed { uuid: uuid.to_owned(), source })?;
        if document.version > VERSION {
            return Err(DocumentError::Newer { uuid: uuid.to_owned(), version: document.version });
        }
        Ok(document)
    }

    /// The stored form.
    ///
    /// # Panics
    /// Never: every member can be written as JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The same build once more, from the same settings: accepted now, under another id, not yet numbered.
    #[must_use]
    pub fn again(&self, home: &Home, uuid: &str, at: Millis) -> Self {
        let mut again = self.clone();
        again.build.id = format!("{}:{uuid}", self.build.project_name);
        again.build.arn = home.arn("codebuild", &format!("build/{}", again.build.id));
        again.build.build_number = None;
        again.build.resolved_source_version = None;
        Self {
            auto_retry_number: 0,
            previous_try: None,
            next_try: None,
            lifecycle: Lifecycle::accepted(at),
            accepted: None,
            stored: Vec::new(),
            exported: Vec::new(),
            kept_bytes: None,
            journal_bytes: 0,
            superseded_by: None,
            ..again
        }
    }

    /// The part of the id after the colon.
    #[must_use]
    pub fn uuid(&self) -> &str {
        self.build.id.rsplit_once(':').map_or("", |(_, uuid)| uuid)
    }

    /// The build as the API shows it (`api.md` 2.5). `console`: where people look at builds, e.g. `http://127.0.0.1:5456`.
    #[must_use]
    pub fn show(&self, home: &Home, console: &str) -> Build {
        let life = &self.lifecycle;
        let mut build = self.build.clone();
        build.phases = life.phases.iter().map(|phase| show_phase(phase, self.superseded_by.as_deref())).collect();
        build.current_phase = Some(life.current_phase());
        build.build_status = Some(life.status);
        build.build_complete = life.status.is_terminal();
        build.start_time = Some(Timestamp::from_millis(life.submitted_ms));
        build.end_time = life.ended_ms.map(Timestamp::from_millis);
        let begun = life.phases.iter().any(|p| p.phase >= PhaseType::Provisioning && p.phase < PhaseType::Completed);
        build.logs = Some(self.logs(home, console, begun));
        build.artifacts = self.show_artifact(None, &self.artifacts);
        build.secondary_artifacts =
            self.secondary_artifacts.iter().map(|a| self.show_artifact(a.artifact_identifier.as_deref(), a)).collect();
        if life.status.is_terminal() && !self.exported.is_empty() {
            let exported = self.exported.iter().map(|(name, value)| ExportedEnvironmentVariable {
                name: Some(name.clone()),
                value: Some(value.clone()),
            });
            build.exported_environment_variables = Some(exported.collect());
        }
        if self.auto_retry_limit > 0 || self.previous_try.is_some() {
            let arn = |uuid: &String| home.arn("codebuild", &format!("build/{}:{uuid}", self.build.project_name));
            build.auto_retry_config = Some(AutoRetryConfig {
                auto_retry_limit: Some(self.auto_retry_limit),
                auto_retry_number: Some(self.auto_retry_number),
                next_auto_retry: self.next_try.as_ref().map(arn),
                previous_auto_retry: self.previous_try.as_ref().map(arn),
            });
        }
        build
    }

    fn show_artifact(&self, identifier: Option<&str>, settings: &ProjectArtifacts) -> BuildArtifacts {
        let stored = self.stored.iter().find(|s| s.identifier.as_deref() == identifier);
        let location = match stored {
            Some(stored) => format!("arn:aws:s3:::{}/{}", stored.bucket, stored.key),
            None => crate::artifact::planned_location(settings, &self.build.project_name, self.uuid())
                .map_or_else(String::new, |(bucket, key)| format!("arn:aws:s3:::{bucket}/{key}")),
        };
        BuildArtifacts {
            location: Some(location),
            sha256sum: Some(stored.and_then(|s| s.sha256.clone()).unwrap_or_default()),
            md5sum: Some(stored.and_then(|s| s.md5.clone()).unwrap_or_default()),
            override_artifact_name: settings.override_artifact_name,
            encryption_disabled: settings.encryption_disabled,
            artifact_identifier: settings.artifact_identifier.clone(),
            bucket_owner_access: settings.bucket_owner_access,
        }
    }

    /// Name of the log group.
    #[must_use]
    pub fn log_group(&self) -> String {
        let configured = self.build.logs.as_ref().and_then(|l| l.cloud_watch_logs.as_ref()?.group_name.clone());
        configured.unwrap_or_else(|| format!("/aws/codebuild/{}", self.build.project_name))
    }

    /// Name of the log stream.
    #[must_use]
    pub fn log_stream(&self) -> String {
        let prefix = self.build.logs.as_ref().and_then(|l| l.cloud_watch_logs.as_ref()?.stream_name.clone());
        match prefix.filter(|p| !p.is_empty()) {
            Some(prefix) => format!("{prefix}/{}", self.uuid()),
            None => self.uuid().to_owned(),
        }
    }

    fn logs(&self, home: &Home, console: &str, begun: bool) -> LogsLocation {
        let mut logs = self.build.logs.clone().unwrap_or_default();
        let enabled = |status: Option<LogsConfigStatusType>| status == Some(LogsConfigStatusType::Enabled);
        if let Some((bucket, key)) = crate::log_object::location(self) {
            logs.s3_deep_link = Some(format!("{console}/{bucket}/{key}"));
            logs.s3_logs_arn = Some(format!("arn:aws:s3:::{bucket}/{key}"));
        }
        if !enabled(logs.cloud_watch_logs.as_ref().map(|c| c.status)) {
            return logs;
        }
        let link = |group: &str, stream: &str| {
            format!("{console}/-/builds/{}#logEvent:group={group};stream={stream}", self.build.id)
        };
        if begun {
            let (group, stream) = (self.log_group(), self.log_stream());
            logs.deep_link = Some(link(&group, &stream));
            logs.cloud_watch_logs_arn = Some(home.log_stream_arn(&group, &stream));
            logs.group_name = Some(group);
            logs.stream_name = Some(stream);
        } else {
            logs.deep_link = Some(link("null", "null"));
            logs.cloud_watch_logs_arn = Some(home.log_stream_arn("null", "null"));
        }
        logs
    }
}

fn show_phase(phase: &Phase, superseded_by: Option<&str>) -> BuildPhase {
    let start = Timestamp::from_millis(phase.start_ms);
    let end = phase.end_ms.map(Timestamp::from_millis);
    let stopped_by = superseded_by.filter(|_| phase.status == Some(BuildStatus::Stopped));
    let superseded = stopped_by.map(|newer| {
        PhaseContext::new("SUPERSEDED", format!("The build was stopped, as build {newer} is of something newer"))
    });
    let context = superseded.or_else(|| phase.context.clone());
    BuildPhase {
        phase_type: Some(phase.phase),
        phase_status: phase.status.map(Into::into),
        start_time: Some(start),
        end_time: end,
        duration_in_seconds: end.map(|end| end.seconds_since(start)),
        contexts: context.map(|context| vec![context]),
    }
}

/// True when a build that ended so is tried again (`buildspec.md` 4.5): after every failure, not after a stop.
#[must_use]
pub fn is_retried(status: BuildStatus) -> bool {
    matches!(status, BuildStatus::Failed | BuildStatus::Fault | BuildStatus::TimedOut)
}
