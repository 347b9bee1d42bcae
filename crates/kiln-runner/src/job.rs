//! The job file: everything that a runner needs to know, frozen when the build is accepted.
//!
//! Whoever starts a build (`kiln run`, the server) writes `<build dir>/job.json` and starts `kiln runner <build dir>`.
//! Standard input of the runner is its lifeline: see [`Control`]. Where it is a socket, the runner answers with a byte
//! whenever the journal grew. Of a build of the service it is the FIFO [`CONTROL_FILE`], which the runner itself holds
//! open for writing too: it never sees its end, and so outlives the server, which opens it anew to tell.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use kiln_model::{
    BuildId, ComputeType, PhaseType,
    build_secret::{BuildSecret, HiddenText},
    trace::Traceparent,
};
use serde::{Deserialize, Serialize};

/// Name of the job file in the build's directory.
pub const JOB_FILE: &str = "job.json";
/// Name of the journal in the build's directory.
pub const JOURNAL_FILE: &str = "journal";
/// Name of the file that takes the runner's own error output.
pub const RUNNER_LOG: &str = "runner.log";
/// Name of the directory that holds the build disk.
pub const DISK_DIR: &str = "disk";
/// Name of the lifeline in the directory of a build of the service, which is known by it.
pub const CONTROL_FILE: &str = "control";
/// Below [`Job::artifacts`]: the primary artifact of a build of the service, a ZIP file or a directory.
pub const PRIMARY_ARTIFACT: &str = "primary";
/// Below [`Job::artifacts`]: the directory of its secondary artifacts, each named by its identifier.
pub const SECONDARY_ARTIFACTS: &str = "secondary";
/// Version of the job file.
pub const JOB_VERSION: u32 = 1;

/// Bytes that whoever started the runner may write to its lifeline (the runner's standard input).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Stop the build as StopBuild does: no `finally`, no later phase (`buildspec.md` 4.5).
    Stop,
    /// Kill it without grace.
    Kill,
}

impl Control {
    /// The byte on the lifeline. End of file means that whoever started the build is gone: as [`Control::Kill`], with
    /// nothing kept.
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::Stop => b's',
            Self::Kill => b'k',
        }
    }

    /// The control that a byte stands for.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Stop, Self::Kill].into_iter().find(|c| c.byte() == byte)
    }
}

/// A build, ready to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// [`JOB_VERSION`].
    pub version: u32,
    /// Build id.
    pub id: BuildId,
    /// Build number; `kiln run` counts the runs of a directory.
    pub number: u64,
    /// Who started it.
    pub initiator: String,
    /// AWS region given to the build.
    pub region: String,
    /// AWS account id used in ARNs.
    pub account: String,
    /// When it was accepted, nanoseconds since the epoch.
    pub submitted_ns: u64,
    /// The data directory.
    pub data: PathBuf,
    /// Where finished artifacts go.
    pub artifacts: PathBuf,
    /// Where report summaries and raw report files go.
    pub reports: PathBuf,
    /// Where the cache is kept; `None`: no cache.
    pub cache: Option<PathBuf>,
    /// Where the images of a Docker daemon inside are kept for the next build (`LOCAL_DOCKER_LAYER_CACHE`); `None`: nowhere.
    #[serde(default)]
    pub docker_layers: Option<PathBuf>,
    /// Sources.
    pub source: Source,
    /// Buildspec.
    pub buildspec: BuildspecSource,
    /// Image: `host`, or a reference of the image store.
    pub image: String,
    /// Engine.
    pub engine: EngineChoice,
    /// Compute type.
    pub compute: ComputeType,
    /// Network mode.
    pub network: Network,
    /// Private ranges that builds may reach in [`Network::Private`] (CIDR), set by the operator.
    pub network_allow: Vec<String>,
    /// Privileged mode.
    pub privileged: bool,
    /// Variables given at start: they win over the buildspec's, and answer its `parameter-store` and
    /// `secrets-manager` names (then they are masked). Later ones win.
    pub variables: Vec<(String, String)>,
    /// Time limit of the build in seconds.
    pub timeout_secs: u64,
    /// When the file system is kept.
    pub keep: Keep,
    /// Go on with a kept file system.
    pub resume: Option<Resume>,
    /// How artifacts are packed.
    pub packaging: Packaging,
    /// Fixed time stamps in artifacts, seconds since the epoch (`SOURCE_DATE_EPOCH`).
    pub source_date_epoch: Option<u64>,
    /// The log is cut after this many bytes of output, with a marker.
    pub max_log_bytes: u64,
    /// What a build of the service has beside a local run; `None`: `kiln run`.
    #[serde(default)]
    pub service: Option<ServiceSettings>,
}

/// What a build of the service has beside a local run.
///
/// Its [`Job::source`] is [`Source::of_service`]; its artifacts get fixed names below [`Job::artifacts`]
/// ([`PRIMARY_ARTIFACT`], [`SECONDARY_ARTIFACTS`]), packed as [`ArtifactSettings`] says and not as [`Job::packaging`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSettings {
    /// Variables that take the place of those which a local run sets, by name (`CODEBUILD_SOURCE_REPO_URL`, …); `None`:
    /// not set at all. They stand below the buildspec's and the start's.
    pub variables: Vec<(String, Option<String>)>,
    /// What is put into the primary source directory.
    pub source: ServiceSource,
    /// What is put into the secondary ones, by identifier; the same identifiers as those of [`Job::source`].
    pub secondary_sources: Vec<(String, ServiceSource)>,
    /// The project's primary artifact; `None`: the buildspec's is not uploaded (`NO_ARTIFACTS`).
    pub artifact: Option<ArtifactSettings>,
    /// The project's secondary artifacts, by identifier; others of the buildspec are not uploaded.
    pub secondary_artifacts: Vec<(String, ArtifactSettings)>,
    /// Builds with the same text share a cache: the project, and how often its cache was invalidated.
    #[serde(default)]
    pub cache_namespace: String,
    /// The cache lies in a bucket, of which [`Job::cache`] has copies: the server is asked for it, and to keep it.
    #[serde(default)]
    pub cache_in_bucket: bool,
    /// How the runner reaches the server; `None` in jobs of an older Kiln.
    #[serde(default)]
    pub server: Option<ServerAccess>,
    /// Variables given at start whose values the server has: they win over the buildspec's. No value is ever in a job.
    #[serde(default)]
    pub secret_variables: Vec<(String, BuildSecret)>,
    /// The trace that the build is a part of; `None`: nobody collects traces.
    #[serde(default)]
    pub trace: Option<TraceOf>,
}

/// The trace that a build is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceOf {
    /// The span that started it; `None`: it is a trace of its own.
    pub parent: Option<Traceparent>,
}

/// How the runner of a build speaks to the server while the build runs ([`kiln_wire::server`]), and under which names the
/// build finds what comes of it (`security.md` 5.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerAccess {
    /// The server's Unix socket.
    pub socket: PathBuf,
    /// By this the server knows the runner. The build never sees it.
    pub token: HiddenText,
    /// Path of the credentials endpoint; long and random.
    pub credentials_path: String,
    /// Value of `AWS_CONTAINER_AUTHORIZATION_TOKEN`, where others reach the endpoint's address too.
    pub authorization: HiddenText,
}

/// Where the service takes a source from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceSource {
    /// There is none (`NO_SOURCE`): an empty directory.
    #[default]
    Empty,
    /// A git repository, fetched by the runner into the build's own disk.
    Git(GitSource),
    /// A ZIP archive on the host, complete and not changing while the build runs. It is unpacked inside the container.
    Zip {
        /// Where it is.
        path: PathBuf,
    },
}

/// A git repository as a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitSource {
    /// Its URL, without user or password where that is not a part of it.
    pub url: String,
    /// `https://host[:port]`: credentials are for what is there.
    pub base: String,
    /// Where the checkout is, relative to where sources are: `github.com/owner/name` (`buildspec.md` 2.1).
    pub directory: String,
    /// `sourceVersion`; `None`: the default branch.
    pub version: Option<String>,
    /// Commits of history; 0: all of it.
    pub depth: u32,
    /// Whether submodules are fetched.
    pub submodules: bool,
    /// Whether the server's certificate is not checked.
    pub insecure_ssl: bool,
    /// What `pr/N` stands for.
    pub pull_requests: PullRequests,
    /// A bare repository of this machine that is fetched from, in place of `url`.
    pub local: Option<PathBuf>,
    /// Where what was fetched is kept for the next build (`LOCAL_SOURCE_CACHE`); `None`: nowhere.
    pub mirror: Option<PathBuf>,
}

/// The references of a provider's pull requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PullRequests {
    /// `refs/pull/N/head`: GitHub, Gitea.
    Pulls,
    /// `refs/merge-requests/N/head`: GitLab.
    MergeRequests,
    /// There are none.
    None,
}

/// How an artifact of a project is packed and named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactSettings {
    /// How it is packed.
    pub packaging: Packaging,
    /// The buildspec's `artifacts.name` is evaluated and reported in the artifact's event; otherwise it has no effect
    /// (`overrideArtifactName`).
    pub override_name: bool,
}

/// Where the files come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Primary source directory on the host.
    pub dir: PathBuf,
    /// Secondary sources: identifier, directory.
    pub secondary: Vec<(String, PathBuf)>,
    /// The build writes to the directory itself.
    pub in_place: bool,
}

impl Source {
    /// The sources of a build of the service: directories inside the build's own one, which the runner makes and which
    /// stay empty; the files come into the container as [`ServiceSettings`] says. `identifiers` are those of the secondary
    /// sources.
    #[must_use]
    pub fn of_service<'a>(build_dir: &Path, identifiers: impl IntoIterator<Item = &'a str>) -> Self {
        let sources = build_dir.join("source");
        let secondary = identifiers.into_iter().enumerate();
        Self {
            dir: sources.join("primary"),
            secondary: secondary.map(|(i, id)| (id.to_owned(), sources.join(format!("secondary-{i}")))).collect(),
            in_place: false,
        }
    }
}

/// Where the buildspec comes from (`buildspec.md` 1.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildspecSource {
    /// `buildspec.yml` at the source's root.
    Default,
    /// A path relative to the source's root; never followed out of it.
    InSource(String),
    /// Text, given inline or read by the caller from a file of the caller's own choice.
    Inline {
        /// The text.
        text: String,
        /// What messages call it.
        name: String,
    },
}

/// Which engine runs the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineChoice {
    /// The native launcher.
    Native,
    /// An OCI runtime binary.
    Oci {
        /// Name or path of the binary, e.g. `runc`.
        runtime: PathBuf,
    },
}

/// Network mode (DESIGN decision 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// The internet; nothing of the host or its neighbours.
    Private,
    /// The host's network.
    Host,
    /// Loopback only.
    None,
}

impl Network {
    /// `private`, `host`, `none`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Host => "host",
            Self::None => "none",
        }
    }
}

/// When the build's file system is kept for `kiln debug` and `--resume`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Never.
    Never,
    /// When the build did not succeed.
    OnFailure,
    /// Always (`--keep`).
    Always,
}

/// Go on with a kept file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The build that it comes from.
    pub of: BuildId,
    /// First phase to run.
    pub phase: PhaseType,
    /// First command of that phase to run, index from 0.
    pub command: u32,
}

/// How artifacts are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Packaging {
    /// One ZIP per artifact.
    Zip,
    /// A directory of files.
    None,
}

/// The job file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// Cannot be read or written.
    #[error("job file {path}: {source}")]
    Io {
        /// Path.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// Not a job file.
    #[error("job file {path} is malformed: {source}")]
    Malformed {
        /// Path.
        path: PathBuf,
        /// Cause.
        source: serde_json::Error,
    },
    /// Written by another version.
    #[error("job file {path} has version {version}; this kiln reads version {JOB_VERSION}")]
    Version {
        /// Path.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
}

impl Job {
    /// Writes the job file into the build's directory.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, build_dir: &Path) -> Result<(), JobError> {
        let path = build_dir.join(JOB_FILE);
        let json = serde_json::to_vec(self).map_err(|source| JobError::Malformed { path: path.clone(), source })?;
        fs::write(&path, json).map_err(|source| JobError::Io { path, source })
    }

    /// Reads the job file of a build's directory.
    ///
    /// # Errors
    /// When it is missing, malformed or of another version.
    pub fn read(build_dir: &Path) -> Result<Self, JobError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let path = build_dir.join(JOB_FILE);
        let bytes = fs::read(&path).map_err(|source| JobError::Io { path: path.clone(), source })?;
        let malformed = |source| JobError::Malformed { path: path.clone(), source };
        let Versioned { version } = serde_json::from_slice(&bytes).map_err(malformed)?;
        if version != JOB_VERSION {
            return Err(JobError::Version { path, version });
        }
        serde_json::from_slice(&bytes).map_err(malformed)
    }
}
