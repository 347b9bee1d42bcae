//! The options of `kiln run`, and the job that they make.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use kiln_model::{BuildId, ComputeType};
use kiln_runner::{
    HOST_IMAGE, docker,
    job::{BuildspecSource, EngineChoice, JOB_VERSION, Job, Keep, Network, Packaging, Source},
};

use super::env_file;
use crate::{
    builds,
    environment::Environment,
    exit::{UsageError, usage},
    runs,
};

/// Longest buildspec that is read from outside the source directory; beyond what any buildspec may be.
const MAX_BUILDSPEC: u64 = 16 << 20;
/// The log of a build is cut here: a build that floods its log must not fill the disk.
const MAX_LOG_BYTES: u64 = 4 << 30;
/// A build's time limit where none is given, in seconds.
const DEFAULT_TIMEOUT: u64 = 60 * 60;
/// Longest time limit, in minutes (`buildspec.md` 4.5).
const MAX_TIMEOUT_MINUTES: f64 = 2160.0;

/// What `kiln run` is told.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Source directory
    #[arg(value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,

    /// Buildspec to use in place of DIR/buildspec.yml
    #[arg(long, short = 'b', value_name = "FILE")]
    buildspec: Option<PathBuf>,

    /// Image: `host` (this machine's own tools), or one of `kiln image ls` [default: host]
    #[arg(long, value_name = "REF")]
    image: Option<String>,

    /// Set a variable; NAME alone takes its value from the environment
    #[arg(long, short, value_name = "NAME=VALUE")]
    env: Vec<String>,

    /// Set the variables of a file of NAME=VALUE lines
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,

    /// Add a source: the build finds it in `$CODEBUILD_SRC_DIR_<ID>`
    #[arg(long, value_name = "ID=DIR")]
    secondary_source: Vec<String>,

    /// Put artifacts there [default: with the run, see `kiln run`'s last lines]
    #[arg(long, value_name = "DIR")]
    artifacts: Option<PathBuf>,

    /// Put reports there [default: with the run]
    #[arg(long, value_name = "DIR")]
    reports: Option<PathBuf>,

    /// How artifacts are packed [default: zip]
    #[arg(long, value_name = "FORM")]
    packaging: Option<PackagingArg>,

    /// Keep the cache there [default: in the data directory, one for each DIR]
    #[arg(long, value_name = "DIR", conflicts_with = "no_cache")]
    cache: Option<PathBuf>,

    /// Neither restore nor save the cache
    #[arg(long)]
    no_cache: bool,

    /// CPU, memory and disk: small, medium, large, xlarge, 2xlarge, or AWS's name [default: small]
    #[arg(long, value_name = "TYPE")]
    compute: Option<ComputeType>,

    /// Give the build all rights in its container, e.g. for a Docker daemon
    #[arg(long)]
    privileged: bool,

    /// What the build reaches: private (the internet, not this machine), host, none [default: private]
    #[arg(long, value_name = "MODE", hide_possible_values = true)]
    network: Option<NetworkArg>,

    /// What starts the container [default: native]
    #[arg(long, value_name = "ENGINE")]
    engine: Option<EngineArg>,

    /// The OCI runtime of `--engine oci` [default: runc]
    #[arg(long, value_name = "PROGRAM")]
    runtime: Option<PathBuf>,

    /// Time limit [default: 60]
    #[arg(long, value_name = "MINUTES")]
    timeout: Option<Timeout>,

    /// Keep the file system for `kiln debug`, also when the build succeeds
    #[arg(long)]
    pub(super) keep: bool,

    /// Go on with the file system of a failed build (DIR's last one, or ID), from the phase that failed
    #[arg(long, value_name = "ID", num_args = 0..=1, default_missing_value = "")]
    pub(super) resume: Option<String>,

    /// With --resume: begin with the failed phase's command N, as the summary numbers it
    #[arg(long, value_name = "N", requires = "resume", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) from_command: Option<u32>,

    /// Let the build write to DIR itself
    #[arg(long)]
    in_place: bool,

    /// Print events as JSON, one a line (docs/events.md), in place of the log
    #[arg(long, conflicts_with_all = ["quiet", "fold", "raw"])]
    pub(super) json: bool,

    /// Print no log, only how the build ended
    #[arg(long, short, conflicts_with = "fold")]
    pub(super) quiet: bool,

    /// Print the output of commands that succeed as one line
    #[arg(long)]
    pub(super) fold: bool,

    /// Pass the build's output to a terminal as it is, with every control sequence
    #[arg(long, conflicts_with = "fold")]
    pub(super) raw: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NetworkArg {
    Private,
    Host,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EngineArg {
    Native,
    Oci,
    #[value(hide = true)]
    Docker,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PackagingArg {
    /// One ZIP file each
    Zip,
    /// A directory of files
    None,
}

/// A time limit in seconds, given in minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Timeout(u64);

impl std::str::FromStr for Timeout {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let minutes: f64 = s.parse().map_err(|_| "not a number of minutes".to_owned())?;
        if !(minutes > 0.0 && minutes <= MAX_TIMEOUT_MINUTES) {
            return Err(format!("a time limit is more than 0 and at most {MAX_TIMEOUT_MINUTES} minutes"));
        }
        // Checked above: small and positive.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 129,600")]
        let seconds = (minutes * 60.0).ceil() as u64;
        Ok(Self(seconds.max(1)))
    }
}

/// What identifies a build.
pub(super) struct Identity {
    pub(super) id: BuildId,
    pub(super) number: u64,
    pub(super) submitted_ns: u64,
}

/// The options, checked: what is left is to give the build an identity.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) dir: PathBuf,
    buildspec: Option<BuildspecSource>,
    variables: Vec<(String, String)>,
    secondary: Vec<(String, PathBuf)>,
    engine: Option<EngineChoice>,
    source_date_epoch: Option<u64>,
    artifacts: Option<PathBuf>,
    reports: Option<PathBuf>,
    cache: Option<PathBuf>,
}

impl RunArgs {
    /// The buildspec's file as seen from here, if there is one.
    pub(super) fn buildspec_file(&self) -> Option<String> {
        let in_source = |file: &Path| self.dir.as_deref().unwrap_or(Path::new("")).join(file);
        let file = match &self.buildspec {
            Some(file) if file.exists() => file.clone(),
            Some(file) => in_source(file),
            None => in_source(Path::new("buildspec.yml")),
        };
        if file.is_file() { file.into_os_string().into_string().ok() } else { None }
    }

    /// `--resume DIR` reads as an id to the parser; a word that is no id is the directory.
    pub(super) fn settle(&mut self) -> anyhow::Result<()> {
        if let Some(word) = self.resume.as_ref().filter(|w| !w.is_empty())
            && !builds::looks_like_id(word.strip_prefix("local:").unwrap_or(word))
        {
            if self.dir.is_some() {
                usage!("--resume {word}: not the id of a build");
            }
            self.dir = Some(PathBuf::from(word));
            self.resume = Some(String::new());
        }
        Ok(())
    }

    /// The source directory.
    pub(super) fn source_dir(&self) -> anyhow::Result<PathBuf> {
        directory(self.dir.as_deref().unwrap_or(Path::new(".")), "the source directory")
    }

    /// Checks everything that can be checked before a build exists. Changes nothing.
    pub(super) fn check(&self, dir: PathBuf, environment: &Environment) -> anyhow::Result<Checked> {
        let buildspec = self.buildspec.as_deref().map(|file| buildspec(file, &dir)).transpose()?;
        let engine = match (self.engine, &self.runtime) {
            (Some(EngineArg::Docker), _) => usage!(
                "--engine docker is not in this version: use the native engine (default), or `--engine oci` with runc"
            ),
            (Some(EngineArg::Oci), runtime) => {
                Some(EngineChoice::Oci { runtime: runtime.clone().unwrap_or_else(|| PathBuf::from("runc")) })
            }
            (_, Some(_)) => usage!("--runtime is for `--engine oci`"),
            (Some(EngineArg::Native), None) => Some(EngineChoice::Native),
            (None, None) => None,
        };
        if self.image.as_ref().is_some_and(|image| image.trim().is_empty()) {
            usage!("--image is empty: give `host` or an image of `kiln image ls`");
        }
        let absolute = |path: &Option<PathBuf>, option: &str| -> anyhow::Result<Option<PathBuf>> {
            let Some(path) = path else { return Ok(None) };
            if path.exists() && !path.is_dir() {
                usage!("{option} {}: not a directory", path.display());
            }
            Ok(Some(std::path::absolute(path).map_err(|e| UsageError(format!("{option}: {e}")))?))
        };
        Ok(Checked {
            buildspec,
            variables: self.variables()?,
            secondary: self.secondary()?,
            engine,
            source_date_epoch: source_date_epoch(environment)?,
            artifacts: absolute(&self.artifacts, "--artifacts")?,
            reports: absolute(&self.reports, "--reports")?,
            cache: absolute(&self.cache, "--cache")?,
            dir,
        })
    }

    /// Variables of the files, then those of `-e`, which win.
    fn variables(&self) -> anyhow::Result<Vec<(String, String)>> {
        let mut variables = Vec::new();
        for file in &self.env_file {
            variables.extend(env_file::read(file)?);
        }
        for text in &self.env {
            let variable = if text.contains('=') {
                env_file::variable(text)
            } else {
                env_file::check_name(text).and_then(|()| match std::env::var(text) {
                    Ok(value) => Ok((text.clone(), value)),
                    Err(_) => Err("expected NAME=VALUE, or the NAME of a variable that is set".to_owned()),
                })
            };
            variables.push(variable.map_err(|what| UsageError(format!("-e {text}: {what}")))?);
        }
        Ok(variables)
    }

    fn secondary(&self) -> anyhow::Result<Vec<(String, PathBuf)>> {
        let mut sources: Vec<(String, PathBuf)> = Vec::new();
        for text in &self.secondary_source {
            let Some((id, dir)) = text.split_once('=') else {
                usage!("--secondary-source {text}: expected ID=DIR");
            };
            // An identifier becomes part of a variable's name.
            if id.is_empty() || id.len() > 127 || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                usage!("--secondary-source {text}: an identifier has 1 to 127 letters, digits and underscores");
            }
            if sources.iter().any(|(other, _)| other == id) {
                usage!("--secondary-source {id}: given twice");
            }
            sources.push((id.to_owned(), directory(Path::new(dir), &format!("secondary source {id}"))?));
        }
        if sources.len() > 12 {
            usage!("a build has at most 12 secondary sources");
        }
        Ok(sources)
    }

    /// The job of a new build.
    pub(super) fn job(&self, checked: Checked, identity: Identity, data: &Path, environment: &Environment) -> Job {
        let run = data.join("runs").join(identity.id.uuid());
        Job {
            version: JOB_VERSION,
            number: identity.number,
            initiator: environment.user.clone().unwrap_or_else(|| "kiln".to_owned()),
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
            submitted_ns: identity.submitted_ns,
            data: data.to_owned(),
            artifacts: checked.artifacts.unwrap_or_else(|| run.join("artifacts")),
            reports: checked.reports.unwrap_or_else(|| run.join("reports")),
            cache: (!self.no_cache).then(|| checked.cache.unwrap_or_else(|| data.join("cache"))),
            docker_layers: self.docker_layers(&checked.dir, data),
            source: Source { dir: checked.dir, secondary: checked.secondary, in_place: self.in_place },
            buildspec: checked.buildspec.unwrap_or(BuildspecSource::Default),
            image: self.image.clone().unwrap_or_else(|| "host".to_owned()),
            engine: checked.engine.unwrap_or(EngineChoice::Native),
            compute: self.compute.unwrap_or(ComputeType::Small),
            network: self.network.map_or(Network::Private, NetworkArg::mode),
            network_allow: Vec::new(),
            privileged: self.privileged,
            variables: checked.variables,
            timeout_secs: self.timeout.map_or(DEFAULT_TIMEOUT, |t| t.0),
            keep: if self.keep { Keep::Always } else { Keep::OnFailure },
            resume: None,
            packaging: self.packaging.map_or(Packaging::Zip, PackagingArg::packaging),
            source_date_epoch: checked.source_date_epoch,
            max_log_bytes: MAX_LOG_BYTES,
            service: None,
            id: identity.id,
        }
    }

    /// Where a Docker daemon inside keeps its images: every source directory has a place of its own. The image `host` has no
    /// daemon, and a disk for them needs root.
    fn docker_layers(&self, source: &Path, data: &Path) -> Option<PathBuf> {
        let has_daemon = self.privileged && self.image.as_deref().is_some_and(|image| image != HOST_IMAGE);
        let name = source.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        (has_daemon && !self.no_cache && rustix::process::geteuid().is_root())
            .then(|| docker::store(data, &name, &source.to_string_lossy()))
    }

    /// The job of a build that goes on with the file system of `old`: what is not given again stays as it was.
    pub(super) fn resumed_job(
        &self,
        old: Job,
        checked: Checked,
        identity: Identity,
        environment: &Environment,
    ) -> anyhow::Result<Job> {
        let mut fixed: Vec<&str> = Vec::new();
        let mut fix = |changed: bool, option: &'static str| {
            if changed {
                fixed.push(option);
            }
        };
        fix(self.dir.is_some() && checked.dir != old.source.dir, "DIR");
        fix(self.image.as_ref().is_some_and(|image| *image != old.image), "--image");
        fix(checked.engine.as_ref().is_some_and(|engine| *engine != old.engine), "--engine");
        fix(!checked.secondary.is_empty() && checked.secondary != old.source.secondary, "--secondary-source");
        fix(self.in_place && !old.source.in_place, "--in-place");
        if !fixed.is_empty() {
            let (was, verb) = (fixed.join(", "), if fixed.len() == 1 { "is" } else { "are" });
            usage!(
                "{was} {verb} not what build {} was started with: its file system cannot go on with that. Start a new \
                 build, without --resume",
                runs::short(old.id.uuid())
            );
        }
        let run = old.data.join("runs").join(identity.id.uuid());
        let cache = checked.cache.or(old.cache).filter(|_| !self.no_cache);
        Ok(Job {
            version: JOB_VERSION,
            number: identity.number,
            initiator: environment.user.clone().unwrap_or(old.initiator),
            region: old.region,
            account: old.account,
            submitted_ns: identity.submitted_ns,
            artifacts: checked.artifacts.unwrap_or_else(|| moved(&old.artifacts, &old.data, &old.id, &run)),
            reports: checked.reports.unwrap_or_else(|| moved(&old.reports, &old.data, &old.id, &run)),
            data: old.data,
            cache,
            docker_layers: old.docker_layers.filter(|_| !self.no_cache),
            source: old.source,
            buildspec: checked.buildspec.unwrap_or(old.buildspec),
            image: old.image,
            engine: old.engine,
            compute: self.compute.unwrap_or(old.compute),
            network: self.network.map_or(old.network, NetworkArg::mode),
            network_allow: old.network_allow,
            privileged: self.privileged || old.privileged,
            variables: old.variables.into_iter().chain(checked.variables).collect(),
            timeout_secs: self.timeout.map_or(old.timeout_secs, |t| t.0),
            keep: if self.keep { Keep::Always } else { Keep::OnFailure },
            resume: None,
            packaging: self.packaging.map_or(old.packaging, PackagingArg::packaging),
            source_date_epoch: checked.source_date_epoch.or(old.source_date_epoch),
            max_log_bytes: old.max_log_bytes,
            service: None,
            id: identity.id,
        })
    }
}

/// A directory that lay with the old run lies with the new one; one that was chosen stays.
fn moved(old: &Path, data: &Path, id: &BuildId, run: &Path) -> PathBuf {
    match old.strip_prefix(data.join("runs").join(id.uuid())) {
        Ok(rest) => run.join(rest),
        Err(_) => old.to_owned(),
    }
}

impl NetworkArg {
    fn mode(self) -> Network {
        match self {
            Self::Private => Network::Private,
            Self::Host => Network::Host,
            Self::None => Network::None,
        }
    }
}

impl PackagingArg {
    fn packaging(self) -> Packaging {
        match self {
            Self::Zip => Packaging::Zip,
            Self::None => Packaging::None,
        }
    }
}

/// Resolves a directory that must exist.
fn directory(path: &Path, what: &str) -> anyhow::Result<PathBuf> {
    let shown = path.display();
    let real = fs::canonicalize(path).map_err(|e| UsageError(format!("{what} '{shown}' cannot be used: {e}")))?;
    if !real.is_dir() {
        usage!("{what} '{shown}' is not a directory");
    }
    Ok(real)
}

/// Where `--buildspec FILE` is. One that lies in the source directory is read there by the runner, which follows no
/// link out of it; another is the caller's own choice and read here.
fn buildspec(file: &Path, dir: &Path) -> anyhow::Result<BuildspecSource> {
    let shown = file.display();
    let here = std::path::absolute(file).map_err(|e| UsageError(format!("--buildspec {shown}: {e}")))?;
    // Not what a link points at, only where the file itself is.
    let parent = here.parent().and_then(|parent| fs::canonicalize(parent).ok());
    let place = parent.zip(here.file_name()).map(|(parent, name)| parent.join(name));
    let in_source = match &place {
        Some(place) if fs::symlink_metadata(place).is_ok() => place.strip_prefix(dir).ok().map(Path::to_owned),
        _ if file.is_relative() && fs::symlink_metadata(dir.join(file)).is_ok() => Some(file.to_owned()),
        _ => usage!("--buildspec {shown}: no such file, neither here nor in {}", dir.display()),
    };
    if let Some(relative) = in_source {
        let plain = relative.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
        let Some(relative) = relative.to_str().filter(|_| plain) else {
            usage!("--buildspec {shown}: the path is not plain UTF-8 text below {}", dir.display());
        };
        return Ok(BuildspecSource::InSource(relative.to_owned()));
    }
    let meta = fs::metadata(&here).map_err(|e| UsageError(format!("--buildspec {shown}: {e}")))?;
    if !meta.is_file() || meta.len() > MAX_BUILDSPEC {
        usage!("--buildspec {shown}: not a file of at most 16 MiB");
    }
    let bytes = fs::read(&here).with_context(|| format!("cannot read {shown}"))?;
    let Ok(text) = String::from_utf8(bytes) else { usage!("--buildspec {shown}: the file is not UTF-8 text") };
    Ok(BuildspecSource::Inline { text, name: shown.to_string() })
}

fn source_date_epoch(environment: &Environment) -> anyhow::Result<Option<u64>> {
    let Some(text) = &environment.source_date_epoch else { return Ok(None) };
    match text.to_str().and_then(|t| t.trim().parse().ok()) {
        Some(seconds) => Ok(Some(seconds)),
        None => usage!("SOURCE_DATE_EPOCH is not a number of seconds: '{}'", text.display()),
    }
}

#[cfg(test)]
mod tests;
