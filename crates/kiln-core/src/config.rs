//! What the operator decides.

use std::{path::PathBuf, time::Duration};

use kiln_model::arn::Home;
use kiln_runner::job::{EngineChoice, Network};

use crate::{external::ExternalS3, providers, queue::Capacity};

/// Settings of the core; the binary reads them from `kiln.toml`, the environment and its flags.
#[derive(Debug, Clone)]
pub struct Config {
    /// Account and region of everything here.
    pub home: Home,
    /// The data directory.
    pub data: PathBuf,
    /// What the machine offers to builds.
    pub capacity: Capacity,
    /// Builds that may wait; StartBuild refuses more.
    pub queue_limit: usize,
    /// Where people look at builds, e.g. `http://127.0.0.1:5456`.
    pub console_url: String,
    /// What clients of images call the registry, if not what they call the service: `registry.example:5000`.
    pub registry_host: Option<String>,
    /// What references of images in the registry may begin with: hosts, with their ports.
    pub registry_names: Vec<String>,
    /// The bucket for sources that are sent along with a build.
    pub default_bucket: String,
    /// Projects may name the image `host` (DESIGN decision 5): only a service that nobody else reaches.
    pub allow_host_image: bool,
    /// Engine of builds.
    pub engine: EngineChoice,
    /// Network of builds.
    pub network: Network,
    /// Private ranges that builds may reach (CIDR).
    pub network_allow: Vec<String>,
    /// Output of one build beyond this many bytes is cut.
    pub max_log_bytes: u64,
    /// Disk space for the file systems of failed builds, bytes; 0: none is kept.
    pub keep_budget: u64,
    /// What is kept for a time only.
    pub retention: Retention,
    /// Buckets of another S3 that builds use.
    pub external: Vec<ExternalS3>,
    /// Providers of repositories.
    pub providers: providers::Settings,
}

/// How long what grows without end is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Records of builds, from their end.
    pub builds: Duration,
    /// Sources that clients sent along with a build, from their arrival.
    pub sources: Duration,
    /// Uploads in parts that nobody completes, from their beginning; a bucket's rules may say less.
    pub uploads: Duration,
    /// Records of the audit log.
    pub audit: Duration,
}

impl Config {
    /// Notes of uploads to another S3 that are not over.
    #[must_use]
    pub fn uploads(&self) -> PathBuf {
        self.data.join("uploads")
    }

    /// Caches of builds.
    #[must_use]
    pub fn caches(&self) -> PathBuf {
        self.data.join("cache")
    }

    /// Archives that running builds read their sources from.
    #[must_use]
    pub fn staging(&self) -> PathBuf {
        self.data.join("staging")
    }
}
