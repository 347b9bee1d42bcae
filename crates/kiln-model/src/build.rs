//! Build identity, phases and statuses (`buildspec.md` 4.1 to 4.3).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A phase of a build, in the order in which phases happen (`buildspec.md` 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PhaseType {
    /// Request accepted.
    Submitted,
    /// Waiting for capacity.
    Queued,
    /// The environment is prepared.
    Provisioning,
    /// Source fetched, buildspec parsed, variables resolved, runtimes selected, cache restored.
    DownloadSource,
    /// The `install` commands.
    Install,
    /// The `pre_build` commands.
    PreBuild,
    /// The `build` commands.
    Build,
    /// The `post_build` commands; the cache is saved at its end.
    PostBuild,
    /// Artifacts and reports.
    UploadArtifacts,
    /// Tear-down, last log flush.
    Finalizing,
    /// End marker.
    Completed,
}

impl PhaseType {
    /// The phases that run commands of the buildspec, in order.
    pub const COMMAND_PHASES: [Self; 4] = [Self::Install, Self::PreBuild, Self::Build, Self::PostBuild];

    /// AWS's name of the phase, e.g. `PRE_BUILD`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::Queued => "QUEUED",
            Self::Provisioning => "PROVISIONING",
            Self::DownloadSource => "DOWNLOAD_SOURCE",
            Self::Install => "INSTALL",
            Self::PreBuild => "PRE_BUILD",
            Self::Build => "BUILD",
            Self::PostBuild => "POST_BUILD",
            Self::UploadArtifacts => "UPLOAD_ARTIFACTS",
            Self::Finalizing => "FINALIZING",
            Self::Completed => "COMPLETED",
        }
    }
}

impl fmt::Display for PhaseType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Status of a build or of a phase (`buildspec.md` 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BuildStatus {
    /// Everything went well.
    Succeeded,
    /// The user's part failed.
    Failed,
    /// The service itself failed.
    Fault,
    /// The build's time limit was reached.
    TimedOut,
    /// Not ended yet.
    InProgress,
    /// Stopped on request.
    Stopped,
}

impl BuildStatus {
    /// AWS's name of the status, e.g. `TIMED_OUT`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Fault => "FAULT",
            Self::TimedOut => "TIMED_OUT",
            Self::InProgress => "IN_PROGRESS",
            Self::Stopped => "STOPPED",
        }
    }

    /// True for every status but [`BuildStatus::InProgress`]: terminal statuses never change (`reliability.md` I2).
    #[must_use]
    pub fn is_terminal(self) -> bool {
        self != Self::InProgress
    }
}

impl fmt::Display for BuildStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a phase ended as it did; both empty when it succeeded (`buildspec.md` 4.1, section 6).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseContext {
    /// E.g. `COMMAND_EXECUTION_ERROR`, `YAML_FILE_ERROR`, `CLIENT_ERROR`.
    #[serde(rename = "statusCode")]
    pub status_code: String,
    /// Text for the person who reads it.
    pub message: String,
}

impl PhaseContext {
    /// A context with a status code and a message.
    #[must_use]
    pub fn new(status_code: &str, message: impl Into<String>) -> Self {
        Self { status_code: status_code.to_owned(), message: message.into() }
    }
}

/// `<project>:<uuid>` (`buildspec.md` 4.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct BuildId {
    project: String,
    uuid: String,
}

impl BuildId {
    /// Puts an id together from its parts.
    ///
    /// # Errors
    /// When the project is empty or contains a character that ids cannot hold, or `uuid` is not one in lower case.
    pub fn new(project: &str, uuid: &str) -> Result<Self, ParseBuildIdError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let uuid_ok = uuid.len() == 36
            && uuid.bytes().enumerate().all(|(i, b)| match i {
                8 | 13 | 18 | 23 => b == b'-',
                _ => b.is_ascii_digit() || (b'a'..=b'f').contains(&b),
            });
        if project.is_empty() || project.len() > 255 || !project.chars().all(plain) || !uuid_ok {
            return Err(ParseBuildIdError(format!("{project}:{uuid}")));
        }
        Ok(Self { project: project.to_owned(), uuid: uuid.to_owned() })
    }

    /// The project's name; `local` for `kiln run`.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.project
    }

    /// The part that is unique to the build; names its directories and cgroups.
    #[must_use]
    pub fn uuid(&self) -> &str {
        &self.uuid
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.project, self.uuid)
    }
}

/// The text is not a build id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a build id: expected <project>:<uuid>")]
pub struct ParseBuildIdError(String);

impl FromStr for BuildId {
    type Err = ParseBuildIdError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (project, uuid) = s.split_once(':').ok_or_else(|| ParseBuildIdError(s.to_owned()))?;
        Self::new(project, uuid)
    }
}

impl TryFrom<String> for BuildId {
    type Error = ParseBuildIdError;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<BuildId> for String {
    fn from(id: BuildId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_ids_round_trip_and_refuse_paths() {
        let text = "local:0f0e0d0c-1111-4222-8333-444455556666";
        assert_eq!(text.parse::<BuildId>().unwrap().to_string(), text);
        for bad in [
            "local",
            "local:",
            ":0f0e0d0c-1111-4222-8333-444455556666",
            "../x:0f0e0d0c-1111-4222-8333-444455556666",
            "local:../../../../../../../../../../etc/pass",
            "local:0F0E0D0C-1111-4222-8333-444455556666",
        ] {
            assert!(bad.parse::<BuildId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_those_that_serde_writes() {
        for phase in [PhaseType::DownloadSource, PhaseType::PreBuild, PhaseType::UploadArtifacts] {
            assert_eq!(serde_json::to_string(&phase).unwrap(), format!("\"{phase}\""));
        }
        assert_eq!(serde_json::to_string(&BuildStatus::TimedOut).unwrap(), "\"TIMED_OUT\"");
    }
}
