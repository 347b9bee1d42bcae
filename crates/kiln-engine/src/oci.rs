//! Sandboxes through an OCI runtime binary such as `runc`: the alternative to the native launcher, and the oracle that
//! it is compared with. Registration, ids, build disk, file system, limits and network are made by the same code;
//! namespaces, kernel file systems, masks, filter and capabilities are the runtime's, from a standard bundle.

mod config;

use std::{
    ffi::CString,
    io,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::{
    mount::MoveMountFlags,
    process::{Pid, PidfdFlags},
};

use crate::{
    cgroup::Cgroup,
    error::{Context as _, EngineError},
    ids::{self, IdMap, reap},
    mounts::Mounter,
    native::rootfs,
    network::{self, NetworkConfig},
    prepare::{FirstProcess, Ids, Prepared},
    sandbox::{Parts, Sandbox},
    spec::SandboxSpec,
    sys::process::{self as sys, Child, fork_into},
};

/// Where runtimes keep their state for Kiln, and where root file systems are assembled.
const STATE: &str = "/run/kiln/oci";

/// An OCI runtime binary.
#[derive(Debug, Clone)]
pub struct OciEngine {
    /// Absolute path of the program, which takes `runc`'s arguments.
    pub runtime: PathBuf,
    /// What the operator says about builds' networks.
    pub network: NetworkConfig,
}

/// A container that a runtime knows of.
#[derive(Debug)]
pub(crate) struct Container {
    runtime: PathBuf,
    id: String,
}

impl Container {
    /// Lets the runtime forget it, and takes its root file system away.
    pub(crate) fn delete(self) -> Result<(), EngineError> {
        delete(&self.runtime, &self.id)
    }
}

/// Directory of a sandbox's root file system and bundle. `None` for an id that cannot be one.
pub(crate) fn state_dir(id: &str) -> Option<PathBuf> {
    (!id.is_empty() && !id.contains(['/', '.'])).then(|| Path::new(STATE).join(format!("{id}.bundle")))
}

/// Deletes the container `id`, which may be running, incomplete or unknown.
pub(crate) fn delete(runtime: &Path, id: &str) -> Result<(), EngineError> {
    let output = command(runtime).args(["delete", "--force", id]).output();
    let output = output.context(|| format!("run {}", runtime.display()))?;
    if !output.status.success() && Path::new(STATE).join(id).exists() {
        return Err(refusal(runtime, "delete the container", &String::from_utf8_lossy(&output.stderr)));
    }
    let Some(dir) = state_dir(id) else { return Ok(()) };
    let rootfs = dir.join("rootfs");
    // Mounted only in the namespace of the process that started it.
    while rustix::mount::unmount(&rootfs, rustix::mount::UnmountFlags::DETACH | rustix::mount::UnmountFlags::NOFOLLOW)
        .is_ok()
    {}
    match std::fs::remove_dir(&rootfs).and_then(|()| std::fs::remove_dir_all(&dir)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let _gone = std::fs::remove_dir_all(&dir);
            Ok(())
        }
        other => other.context(|| format!("remove {}", dir.display())),
    }
}

fn command(runtime: &Path) -> Command {
    let mut command = Command::new(runtime);
    command.args(["--root", STATE]).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn refusal(runtime: &Path, what: &str, why: &str) -> EngineError {
    EngineError::Host {
        what: format!("{what} with {}", runtime.display()),
        source: io::Error::other(why.trim().to_owned()),
    }
}

impl OciEngine {
    /// Starts a sandbox; see [`Engine::start`](crate::Engine::start).
    pub(crate) fn start(&self, spec: SandboxSpec) -> Result<Sandbox, EngineError> {
        if !rustix::process::geteuid().is_root() {
            return Err(EngineError::Spec(format!(
                "{} is used by root only; the native engine works without root",
                self.runtime.display()
            )));
        }
        // What fails on the way is taken back when this is dropped.
        let mut parts = Parts::default();
        let mut prepared = Prepared::new(&spec, &self.network, Some(self.runtime.clone()), &mut parts)?;
        let Ids::Range(base) = prepared.ids else { return Err(EngineError::Spec("root has a range of ids".into())) };
        // The container's first process outlives the command that creates it, and becomes this process's child.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).context(|| "become a subreaper")?;
        let cgroup = Cgroup::create(&prepared.cgroups, &spec.id, &spec.limits, spec.privileged, &mut prepared.notices)?;
        let cgroup = parts.cgroup.insert(cgroup);
        if spec.privileged {
            cgroup.delegate(base, base)?;
        }
        let disk = prepared.open_disk(&spec.disk)?;
        let disk_root = parts.disk.insert(disk).root.clone();
        parts.container = Some(Container { runtime: self.runtime.clone(), id: spec.id.clone() });
        let store = prepared.open_store().map(|store| parts.store.insert(store).directory());
        let bundle = self.assemble(&spec, &mut prepared, base, &disk_root, store.as_deref())?;

        let process = FirstProcess::new(spec.process, &prepared.env)?;
        let facts = config::Facts {
            id: &spec.id,
            hostname: &spec.hostname,
            privileged: spec.privileged,
            own_network: prepared.network.own_namespace(),
            base,
            process: &process,
        };
        let json = serde_json::to_vec(&config::config(&facts)?).map_err(io::Error::from);
        let path = bundle.join("config.json");
        json.and_then(|json| std::fs::write(&path, json)).context(|| format!("write {}", path.display()))?;
        let pid = self.create(&spec.id, &bundle, process.fds)?;
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).context(|| "watch the container")?;
        parts.init = Some(Child { pid, pidfd: pidfd.try_clone().context(|| "duplicate a descriptor")? });

        let netns = format!("/proc/{}/ns/net", pid.as_raw_nonzero());
        let netns: OwnedFd = std::fs::File::open(&netns).context(|| format!("open {netns}"))?.into();
        let network = network::attach(&prepared.network, &spec.id, netns.as_fd(), pid, &self.network);
        let network = network.map_err(|error| EngineError::Busy(error.to_string()))?;
        prepared.notices.extend(network.notices().iter().cloned());
        parts.network = Some(network);
        let started = command(&self.runtime).args(["start", &spec.id]).output();
        let started = started.context(|| format!("run {}", self.runtime.display()))?;
        if !started.status.success() {
            return Err(refusal(&self.runtime, "start the container", &String::from_utf8_lossy(&started.stderr)));
        }
        Ok(Sandbox { parts, pidfd, netns, notices: prepared.notices, env: prepared.env })
    }

    /// Mounts the root file system where the runtime finds it; answers the bundle's directory.
    fn assemble(
        &self,
        spec: &SandboxSpec,
        prepared: &mut Prepared,
        base: u32,
        disk: &Path,
        store: Option<&Path>,
    ) -> Result<PathBuf, EngineError> {
        let Some(bundle) = state_dir(&spec.id) else { return Err(EngineError::Spec("the id is no name".into())) };
        let rootfs = bundle.join("rootfs");
        std::fs::create_dir_all(&rootfs).context(|| format!("create {}", rootfs.display()))?;
        // The container's root, who is not the host's, must get through; what is there to read is its own.
        for dir in [Path::new("/run/kiln"), Path::new(STATE), &bundle] {
            rustix::fs::chmod(dir, rustix::fs::Mode::from(0o711))
                .context(|| format!("set the mode of {}", dir.display()))?;
        }
        let userns = ids::user_namespace(&IdMap::all(base), &IdMap::all(base))?;
        let mut mounter = Mounter::root(userns, base, disk, spec.disk.dir.join("lower"));
        let root = mounter.mount(&prepared.layout.root)?;
        let mounts = mounter.points(&prepared.layout, store)?;
        prepared.notices.extend(mounter.finish()?);
        rustix::mount::move_mount(root.as_fd(), "", rustix::fs::CWD, &rootfs, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            .context(|| format!("mount {}", rootfs.display()))?;
        // As the container's root, so that what is created belongs to it.
        sys::with_file_ids(base, || rootfs::assemble(root.as_fd(), &prepared.layout, &mut mounts.into_iter()))?;
        rootfs::check_kernel_directories(root.as_fd())?;
        Ok(bundle)
    }

    /// Lets the runtime create the container; answers its first process, which waits to be started.
    fn create(&self, id: &str, bundle: &Path, fds: Vec<OwnedFd>) -> Result<Pid, EngineError> {
        let pid_file = bundle.join("pid");
        let log = bundle.join("log");
        let more = fds.len().saturating_sub(3).to_string();
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let args = [
            text(&self.runtime),
            "--root".into(),
            STATE.into(),
            "--log".into(),
            text(&log),
            "--log-format".into(),
            "json".into(),
            "create".into(),
            "--bundle".into(),
            text(bundle),
            "--pid-file".into(),
            text(&pid_file),
            "--preserve-fds".into(),
            more,
            id.to_owned(),
        ];
        let args: Result<Vec<CString>, _> = args.into_iter().map(CString::new).collect();
        let args = args.map_err(|_| EngineError::Spec("a path contains a zero byte".into()))?;
        let env: Vec<CString> = match std::env::var("PATH").map(|path| CString::new(format!("PATH={path}"))) {
            Ok(Ok(path)) => vec![path],
            _ => Vec::new(),
        };
        let mut fds = Some(fds);
        let child = fork_into(0, None, || {
            let Some(program) = args.first() else { return 70 };
            sys::reset_signals();
            match fds.take().map(sys::place_all) {
                Some(Ok(())) => {
                    let _reported_by_status = sys::execve(program, &args, &env);
                    71
                }
                _ => 70,
            }
        })
        .context(|| format!("run {}", self.runtime.display()))?;
        drop(fds);
        let code = reap(&child.pidfd).context(|| format!("wait for {}", self.runtime.display()))?;
        let pid =
            std::fs::read_to_string(&pid_file).ok().and_then(|pid| pid.trim().parse().ok()).and_then(Pid::from_raw);
        match (code, pid) {
            (Some(0), Some(pid)) => Ok(pid),
            (Some(71), _) => Err(refusal(&self.runtime, "create the container", "the program cannot be executed")),
            _ => Err(refusal(&self.runtime, "create the container", &last_error(&log))),
        }
    }
}

/// The last message of a runtime's log.
fn last_error(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let message =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?.get("msg")?.as_str().map(str::to_owned);
    text.lines().filter_map(message).next_back().unwrap_or_else(|| "it did not say why".into())
}

/// Whether `runtime` is one that can be used, for `kiln doctor`: its version line.
///
/// # Errors
/// When it cannot be run.
pub fn runtime_version(runtime: &Path) -> Result<String, EngineError> {
    let output = Command::new(runtime).arg("--version").stdin(Stdio::null()).output();
    let output = output.context(|| format!("run {}", runtime.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
