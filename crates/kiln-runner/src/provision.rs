//! PROVISIONING: image, compute type and source become a running container.

use std::{
    ffi::CString,
    fs, io,
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
};

use kiln_engine::{
    Access, Disk, Engine, EngineError, Limits, NetworkMode, Process, RootFs, Sandbox, SandboxSpec, Volume,
    image::{Image, ImageStore, Lease},
    network::NetworkConfig,
};
use kiln_model::{BuildStatus, PhaseContext, PhaseType};
use kiln_wire::{
    agent::AGENT_PATH,
    event::{BuildStarted, Event},
};

use crate::{
    build::millis,
    clock::Clock,
    crash, docker,
    job::{BuildspecSource, DISK_DIR, EngineChoice, Job, Network, ServiceSource},
    journal::{Journal, WriteError},
    layout::{INLINE_BUILDSPEC, Layout},
    relay::Relay,
    session::Sockets,
    text,
};

/// The image that is the machine itself (DESIGN decision 5).
pub const HOST_IMAGE: &str = "host";
/// Processes and threads of one build (`security.md` 4.3).
const MAX_PIDS: u64 = 8192;

/// A container that runs its agent.
#[derive(Debug)]
pub(crate) struct Provisioned {
    /// What the build reaches of the server. Before the sandbox: its network ends without it.
    pub(crate) relay: Option<Relay>,
    pub(crate) sandbox: Sandbox,
    pub(crate) sockets: Sockets,
    pub(crate) image_env: Vec<(String, String)>,
    pub(crate) memory_limit: Option<u64>,
    /// The image is one in which a build finds a Docker daemon.
    pub(crate) starts_docker: bool,
    /// Keeps the image from being pruned while the build runs.
    pub(crate) lease: Option<Lease>,
}

/// There is no container.
#[derive(Debug)]
pub(crate) enum Error {
    Failed { status: BuildStatus, context: PhaseContext },
    Journal(WriteError),
}

impl From<WriteError> for Error {
    fn from(e: WriteError) -> Self {
        Self::Journal(e)
    }
}

fn fault(message: String) -> Error {
    Error::Failed { status: BuildStatus::Fault, context: PhaseContext::new("INTERNAL_ERROR", message) }
}

/// Starts the container; writes the journal's first records.
pub(crate) fn provision(
    job: &Job,
    build_dir: &Path,
    agent: &[u8],
    journal: &mut Journal,
    clock: &Clock,
) -> Result<Provisioned, Error> {
    let memory_limit = job.compute.memory_bytes().min(machine_memory());
    journal.event(&Event::BuildStarted(BuildStarted {
        id: job.id.to_string(),
        image: job.image.clone(),
        engine: engine_name(job).to_owned(),
        compute: job.compute,
        memory_limit_bytes: Some(memory_limit),
        network: job.network.as_str().to_owned(),
        kiln: env!("CARGO_PKG_VERSION").to_owned(),
        resumes: job.resume.as_ref().map(|r| r.of.to_string()),
    }))?;
    let started = clock.monotonic();
    journal.event(&Event::PhaseStarted { phase: PhaseType::Provisioning })?;
    let result = start(job, build_dir, agent, journal, memory_limit);
    let (status, context) = match &result {
        Ok(_) => (BuildStatus::Succeeded, PhaseContext::default()),
        Err(Error::Failed { status, context }) => (*status, context.clone()),
        Err(Error::Journal(_)) => return result,
    };
    if status != BuildStatus::Succeeded {
        journal.phase_complete(PhaseType::Provisioning, status.as_str(), &context)?;
    }
    journal.event(&Event::PhaseEnded {
        phase: PhaseType::Provisioning,
        status,
        context: Some(context),
        duration_ms: millis(clock.monotonic().saturating_sub(started)),
    })?;
    result
}

fn start(
    job: &Job,
    build_dir: &Path,
    agent: &[u8],
    journal: &mut Journal,
    memory_limit: u64,
) -> Result<Provisioned, Error> {
    let (sockets, fds) = Sockets::pair().map_err(|e| fault(format!("sockets for the agent: {e}")))?;
    let prepared = prepare(job, build_dir, agent, memory_limit)?;
    let Prepared { mut spec, mut image_env, starts_docker, lease } = prepared;
    spec.process.fds = fds;
    let sandbox = engine(job)?.start(spec).map_err(|e| engine_failure(job, &e))?;
    crash::point("sandbox_started");

    for (name, value) in sandbox.env() {
        image_env.push((name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()));
    }
    let mut notices = sandbox.notices().to_vec();
    if memory_limit < job.compute.memory_bytes() {
        notices.push(format!(
            "{} asks for {} of memory; this machine has {}",
            job.compute,
            text::bytes(job.compute.memory_bytes()),
            text::bytes(memory_limit)
        ));
    }
    let access = job.service.as_ref().and_then(|service| service.server.as_ref());
    let relay = access.and_then(|access| match Relay::start(access, job.id.uuid(), &sandbox) {
        Ok(relay) => Some(relay),
        Err(e) => {
            notices.push(format!(
                "this build has neither credentials of its role nor a way to Kiln's API: its network cannot be served ({e})"
            ));
            None
        }
    });
    // One line for people, one event each for programs.
    if !notices.is_empty() {
        journal.line(&notices.join("; "))?;
    }
    for text in notices {
        journal.event(&Event::Notice { text })?;
    }
    Ok(Provisioned { relay, sandbox, sockets, image_env, memory_limit: Some(memory_limit), starts_docker, lease })
}

/// A container that is ready to be started, with the agent as its first process.
struct Prepared {
    spec: SandboxSpec,
    image_env: Vec<(String, String)>,
    starts_docker: bool,
    lease: Option<Lease>,
}

fn prepare(job: &Job, build_dir: &Path, agent: &[u8], memory_limit: u64) -> Result<Prepared, Error> {
    let image = if job.image == HOST_IMAGE { None } else { Some(resolve_image(job)?) };
    let starts_docker = image.as_ref().is_some_and(|(image, _)| docker::starts(job, &image.config));
    let (root, image_env, lease) = match image {
        None => (RootFs::Host, Vec::new(), None),
        Some((image, lease)) => (RootFs::Layers(image.layers), pairs(&image.config.env), Some(lease)),
    };
    let agent_file = install_agent(&job.data, agent)
        .map_err(|(path, e)| fault(format!("cannot install the agent at {}: {e}", path.display())))?;
    let volumes = volumes(job, build_dir, agent_file).map_err(|e| fault(e.to_string()))?;
    let env = image_env.iter().filter_map(|(name, value)| CString::new(format!("{name}={value}")).ok()).collect();
    let templates = job.data.join("images/disks");
    let spec = SandboxSpec {
        id: job.id.uuid().to_owned(),
        root,
        container_store: job.docker_layers.as_ref().map(|dir| Disk {
            dir: dir.clone(),
            templates: templates.clone(),
            bytes: job.compute.disk_bytes() / 2,
        }),
        disk: Disk { dir: build_dir.join(DISK_DIR), templates, bytes: job.compute.disk_bytes() },
        volumes,
        process: Process {
            argv: CString::new(AGENT_PATH).into_iter().collect(),
            env,
            cwd: PathBuf::from("/"),
            stdio: [None, None, None],
            fds: Vec::new(),
        },
        limits: Limits { vcpus: Some(job.compute.vcpus()), memory_bytes: Some(memory_limit), pids: Some(MAX_PIDS) },
        network: network_mode(job.network),
        privileged: job.privileged,
        hostname: job.id.uuid().chars().take(12).collect(),
    };
    Ok(Prepared { spec, image_env, starts_docker, lease })
}

/// The engine's name of a network mode.
pub(crate) fn network_mode(network: Network) -> NetworkMode {
    match network {
        Network::Private => NetworkMode::Private,
        Network::Host => NetworkMode::Host,
        Network::None => NetworkMode::None,
    }
}

/// Starts a shell in the kept file system of a build: the agent's shell mode with a terminal, without a conversation.
pub(crate) fn start_shell(
    job: &Job,
    build_dir: &Path,
    agent: &[u8],
    terminal: [OwnedFd; 3],
) -> Result<(Sandbox, Option<Lease>), String> {
    let text = |e: Error| match e {
        Error::Failed { context, .. } => context.message,
        Error::Journal(e) => e.to_string(),
    };
    let memory_limit = job.compute.memory_bytes().min(machine_memory());
    let Prepared { mut spec, lease, .. } = prepare(job, build_dir, agent, memory_limit).map_err(text)?;
    spec.container_store = None; // it is for builds
    spec.process.argv = [AGENT_PATH, "shell"].into_iter().filter_map(|word| CString::new(word).ok()).collect();
    if let Some(term) = std::env::var_os("TERM")
        && let Ok(pair) = CString::new([b"TERM=", term.as_encoded_bytes()].concat())
    {
        spec.process.env.push(pair);
    }
    spec.process.stdio = terminal.map(Some);
    let sandbox = engine(job).map_err(text)?.start(spec).map_err(|e| text(engine_failure(job, &e)))?;
    Ok((sandbox, lease))
}

fn engine(job: &Job) -> Result<Engine, Error> {
    engine_of(&job.engine, &job.network_allow).map_err(fault)
}

/// The engine of builds, with what their networks may reach.
///
/// # Errors
/// What of it this machine does not have.
pub(crate) fn engine_of(choice: &EngineChoice, allow: &[String]) -> Result<Engine, String> {
    let allow = allow
        .iter()
        .map(|text| text.parse().map_err(|e| format!("network '{text}' that builds may reach: {e}")))
        .collect::<Result<_, _>>()?;
    let engine = match choice {
        EngineChoice::Native => Engine::native(),
        EngineChoice::Oci { runtime } => Engine::oci(find_runtime(runtime)?),
    };
    Ok(engine.with_network(NetworkConfig { allow, ..NetworkConfig::default() }))
}

/// The runtime's absolute path: a plain name is looked for in PATH.
fn find_runtime(runtime: &Path) -> Result<PathBuf, String> {
    if runtime.is_absolute() {
        return Ok(runtime.to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(usual)
        .map(|dir| dir.join(runtime))
        .find(|file| file.is_file())
        .ok_or_else(|| format!("the OCI runtime '{}' is not installed (Debian: package runc)", runtime.display()))
}

fn engine_name(job: &Job) -> &'static str {
    match job.engine {
        EngineChoice::Native => "native",
        EngineChoice::Oci { .. } => "oci",
    }
}

fn engine_failure(job: &Job, error: &EngineError) -> Error {
    fault(format!(
        "cannot start a container from image {}: {error}. `kiln doctor` says what this machine can do",
        job.image
    ))
}

/// Kiln's own images are in no registry: whoever has their names there is somebody else.
fn how_to_get(image: &str) -> String {
    match image.strip_prefix("kiln/") {
        Some(name) => format!("Make it with `kiln image build {}`", name.strip_suffix(":1").unwrap_or(name)),
        None if image.starts_with("aws/codebuild/") => {
            let ours = "or name `kiln/standard:1`, which `kiln image build standard` makes";
            format!("Get it with `kiln image pull {image}`, from where AWS publishes it, {ours}")
        }
        None => format!("Get it with `kiln image pull {image}`"),
    }
}

fn resolve_image(job: &Job) -> Result<(Image, Lease), Error> {
    let failed = |message: String| Error::Failed {
        status: BuildStatus::Failed,
        context: PhaseContext::new("BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE", message),
    };
    let prefix = "Unable to pull customer's container image. CannotPullContainerError";
    let store = ImageStore::open(job.data.join("images")).map_err(|e| fault(e.to_string()))?;
    let image = store
        .resolve(&job.image)
        .map_err(|e| failed(format!("{prefix}: {e}")))?
        .ok_or_else(|| failed(format!("{prefix}: '{}' is not here. {}", job.image, how_to_get(&job.image))))?;
    let lease = image.lease().map_err(|e| failed(format!("{prefix}: {e}")))?;
    Ok((image, lease))
}

fn pairs(env: &[String]) -> Vec<(String, String)> {
    env.iter().filter_map(|pair| pair.split_once('=')).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

fn volumes(job: &Job, build_dir: &Path, agent_file: PathBuf) -> io::Result<Vec<Volume>> {
    let layout = Layout::new(job);
    if job.service.is_some() {
        for dir in std::iter::once(&job.source.dir).chain(job.source.secondary.iter().map(|(_, dir)| dir)) {
            fs::create_dir_all(dir)?;
        }
    }
    let service = job.service.as_ref();
    // A repository is fetched to where the build works with it.
    let access_to = |source: Option<&ServiceSource>| match source {
        Some(ServiceSource::Git(_)) => Access::Scratch,
        _ => Access::CopyOnWrite,
    };
    let access = match service {
        _ if job.source.in_place => Access::ReadWrite,
        service => access_to(service.map(|service| &service.source)),
    };
    let mut volumes = vec![
        Volume { source: job.source.dir.clone(), target: PathBuf::from(layout.source_dir()), access },
        Volume { source: agent_file, target: PathBuf::from(AGENT_PATH), access: Access::ReadOnly },
    ];
    for ((id, dir), inside) in job.source.secondary.iter().zip(layout.secondary_dirs()) {
        let source = service.and_then(|service| service.secondary_sources.iter().find(|(other, _)| other == id));
        let access = access_to(source.map(|(_, source)| source));
        volumes.push(Volume { source: dir.clone(), target: PathBuf::from(inside), access });
    }
    if let BuildspecSource::Inline { text, .. } = &job.buildspec {
        let file = build_dir.join("buildspec.yml");
        fs::write(&file, text)?;
        volumes.push(Volume { source: file, target: PathBuf::from(INLINE_BUILDSPEC), access: Access::ReadOnly });
    }
    Ok(volumes)
}

/// Puts the agent's binary where it can be mounted from; it is replaced as a whole when it differs, so that containers
/// of another version of Kiln keep theirs.
fn install_agent(data: &Path, agent: &[u8]) -> Result<PathBuf, (PathBuf, io::Error)> {
    let dir = data.join("agent");
    let file = dir.join("kiln-agent");
    if fs::read(&file).is_ok_and(|installed| installed == agent) {
        return Ok(file);
    }
    let install = || {
        fs::create_dir_all(&dir)?;
        let new = dir.join(format!(".kiln-agent-{}", std::process::id()));
        fs::write(&new, agent)?;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o555))?;
        fs::rename(&new, &file)
    };
    install().map(|()| file.clone()).map_err(|e| (file, e))
}

/// The machine's memory in bytes.
fn machine_memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(u64::from(info.mem_unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_of_kilns_own_is_made_and_not_pulled() {
        assert_eq!(how_to_get("kiln/python:1"), "Make it with `kiln image build python`");
        assert_eq!(how_to_get("kiln/python:2"), "Make it with `kiln image build python:2`");
        assert_eq!(how_to_get("debian:12"), "Get it with `kiln image pull debian:12`");
        assert_eq!(
            how_to_get("aws/codebuild/standard:7.0"),
            "Get it with `kiln image pull aws/codebuild/standard:7.0`, from where AWS publishes it, \
             or name `kiln/standard:1`, which `kiln image build standard` makes"
        );
    }

    #[test]
    fn the_agent_is_installed_once_and_replaced_whole() {
        let data = tempfile::tempdir().unwrap();
        let file = install_agent(data.path(), b"one").unwrap();
        let first = fs::metadata(&file).unwrap().modified().unwrap();
        assert_eq!(install_agent(data.path(), b"one").unwrap(), file);
        assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), first);
        let held = fs::File::open(&file).unwrap();
        install_agent(data.path(), b"two").unwrap();
        assert_eq!(io::read_to_string(held).unwrap(), "one");
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!(fs::read_dir(data.path().join("agent")).unwrap().count(), 1);
    }
}
