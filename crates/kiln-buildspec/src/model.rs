//! The typed buildspec: what a build runs, free of YAML.
//!
//! Every list and map keeps the order of the file; every scalar keeps the text that was written (`3.10` is not 3.1,
//! `yes` is not `true`). The types serialise, because they travel to the runner inside a job file.

mod batch;
mod on_failure;
mod secret;

use kiln_model::{PhaseType, ReportFormat};
use serde::{Deserialize, Serialize};

pub use batch::{Batch, BatchKind, BatchTask, Fanout, Matrix, MatrixDynamic, MatrixStatic, TaskEnvironment};
pub use on_failure::{OnFailure, OnFailureError};
pub use secret::{SecretReference, SecretReferenceError};

/// A buildspec, checked and typed (`buildspec.md` 1.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buildspec {
    /// `version`: decides among other things whether shell state is carried from command to command.
    pub version: Version,
    /// `run-as` at top level: the user of every phase that names none.
    pub run_as: Option<String>,
    /// `env` (in version 0.1 also `environment_variables`).
    pub env: Env,
    /// `proxy`.
    pub proxy: Proxy,
    /// `batch`; `None` also when the section is broken and the buildspec was read for a single build, which ignores it.
    pub batch: Option<Batch>,
    /// `phases`.
    pub phases: Phases,
    /// `reports`: report group (name, ARN or `$VARIABLE`) and its settings.
    pub reports: Vec<(String, Report)>,
    /// `artifacts`.
    pub artifacts: Option<Artifacts>,
    /// `cache`.
    pub cache: Option<Cache>,
}

/// `version` of a buildspec (`buildspec.md` 1.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Version {
    /// Every command runs in a fresh shell: no directory and no variable is carried over.
    #[serde(rename = "0.1")]
    V0_1,
    /// Working directory and variables are carried from command to command and from phase to phase.
    #[serde(rename = "0.2")]
    V0_2,
}

impl Version {
    /// The number as it is written in a buildspec.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V0_1 => "0.1",
            Self::V0_2 => "0.2",
        }
    }
}

/// `env` (`buildspec.md` 1.4 to 1.7).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Env {
    /// `shell`, as written (`bash`, `/bin/sh`, …). `None`: the image's `sh`.
    pub shell: Option<String>,
    /// `variables`: name and literal text; nothing is expanded in the text.
    pub variables: Vec<(String, String)>,
    /// `parameter-store`: variable and the name of the parameter.
    pub parameter_store: Vec<(String, String)>,
    /// `secrets-manager`: variable and the secret it is read from.
    pub secrets_manager: Vec<(String, SecretReference)>,
    /// `exported-variables`: names that the build's record returns.
    pub exported_variables: Vec<String>,
    /// `git-credential-helper`: git commands of the build get the source provider's credentials.
    pub git_credential_helper: bool,
}

/// `proxy`: what the agent itself sends through the explicit proxy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proxy {
    /// `upload-artifacts`.
    pub upload_artifacts: bool,
    /// `logs`.
    pub logs: bool,
}

/// `phases`. A phase that the buildspec does not mention is `None`; it still is entered, and succeeds at once
/// (`buildspec.md` 3).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phases {
    /// `install`.
    pub install: Option<Phase>,
    /// `pre_build`.
    pub pre_build: Option<Phase>,
    /// `build`.
    pub build: Option<Phase>,
    /// `post_build`.
    pub post_build: Option<Phase>,
}

impl Phases {
    /// The phase of this type, if the buildspec has it; `None` for phases that run no commands.
    #[must_use]
    pub fn get(&self, phase: PhaseType) -> Option<&Phase> {
        match phase {
            PhaseType::Install => self.install.as_ref(),
            PhaseType::PreBuild => self.pre_build.as_ref(),
            PhaseType::Build => self.build.as_ref(),
            PhaseType::PostBuild => self.post_build.as_ref(),
            _ => None,
        }
    }

    /// The phases that the buildspec has, in the order in which they run.
    pub fn iter(&self) -> impl Iterator<Item = (PhaseType, &Phase)> {
        PhaseType::COMMAND_PHASES.into_iter().filter_map(|phase| self.get(phase).map(|p| (phase, p)))
    }
}

/// One phase.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// `run-as` of this phase; beats the one at top level.
    pub run_as: Option<String>,
    /// `on-failure`; `None`: the default transitions of `buildspec.md` 3.
    pub on_failure: Option<OnFailure>,
    /// `runtime-versions` (only `install` has it): runtime and version as written, possibly `latest`, `12.x`, `$VAR`.
    pub runtime_versions: Vec<(String, String)>,
    /// `commands`, each one process.
    pub commands: Vec<Command>,
    /// `finally`: run after the commands, also when one failed.
    pub finally: Vec<Command>,
}

/// One item of `commands` or `finally`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The script. Empty when the item is empty or only a comment, which the service accepts
    /// (`buildspecs-in-the-wild.md` 3.2); it then does nothing and succeeds.
    pub text: String,
    /// 1-based line of the buildspec on which the item's text begins (for a block: the line of its `|`).
    pub line: u32,
}

/// One report group of `reports`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// `files`: globs.
    pub files: Vec<String>,
    /// `file-format`.
    pub file_format: FileFormat,
    /// `base-directory`.
    pub base_directory: Option<String>,
    /// `discard-paths`.
    pub discard_paths: bool,
}

/// `file-format` of a report. Public buildspecs in use name formats beyond the documented ones
/// (`buildspecs-in-the-wild.md` 1: `HTML`, `SARIFZIP`), so an unknown one is no parse error: it fails that report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileFormat {
    /// A documented format; `JUNITXML` when none is written.
    Known(ReportFormat),
    /// Anything else, as written.
    Unknown(String),
}

impl FileFormat {
    /// The format, or the text that names none.
    ///
    /// # Errors
    /// The text as written when it names no known format.
    pub fn known(&self) -> Result<ReportFormat, &str> {
        match self {
            Self::Known(format) => Ok(*format),
            Self::Unknown(text) => Err(text),
        }
    }
}

/// `artifacts`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifacts {
    /// The primary artifact: the keys directly under `artifacts`.
    pub primary: ArtifactSet,
    /// `secondary-artifacts`: identifier and its files.
    pub secondary: Vec<(String, ArtifactSet)>,
}

/// What one artifact is made of (`buildspec.md` 1.10).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactSet {
    /// `files`: globs, relative to the base directory.
    pub files: Vec<String>,
    /// `name`: evaluated by the shell at upload; used only when the project lets the buildspec name its artifact.
    pub name: Option<String>,
    /// `discard-paths`: store every file directly in the root.
    pub discard_paths: bool,
    /// `base-directory`: a directory or a glob of directories.
    pub base_directory: Option<String>,
    /// `exclude-paths`: globs, relative to the base directory.
    pub exclude_paths: Vec<String>,
    /// `enable-symlinks`: keep symbolic links (ZIP packaging only).
    pub enable_symlinks: bool,
    /// `s3-prefix`.
    pub s3_prefix: Option<String>,
}

/// `cache` (`buildspec.md` 10).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    /// `paths`: globs, relative to the source directory or absolute.
    pub paths: Vec<String>,
    /// `key`: evaluated by the shell.
    pub key: Option<String>,
    /// `fallback-keys`: prefixes tried in order when `key` is not found; at most five, meaningless without `key`.
    pub fallback_keys: Vec<String>,
    /// `action`.
    pub action: CacheAction,
}

/// `cache/action`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CacheAction {
    /// Restore before the build and save after it; the default.
    #[default]
    Both,
    /// Only restore.
    Restore,
    /// Only save.
    Save,
}
