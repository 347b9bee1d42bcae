//! What every case needs: an engine, directories, a way to run a shell script in a sandbox.

use std::{
    ffi::CString,
    fs::File,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use kiln_engine::{
    Disk, Engine, EngineError, Exit, Limits, NetworkMode, Process, RootFs, Sandbox, SandboxSpec, Usage, leftovers,
};

pub(crate) const RUNC: &str = "/usr/sbin/runc";

/// An engine to test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Native,
    Runc,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Native => "native",
            Kind::Runc => "runc",
        }
    }

    pub(crate) fn named(name: &str) -> Kind {
        if name == "runc" { Kind::Runc } else { Kind::Native }
    }

    pub(crate) fn engine(self) -> Engine {
        match self {
            Kind::Native => Engine::native(),
            Kind::Runc => Engine::oci(RUNC),
        }
    }

    /// Why this machine cannot run the engine.
    pub(crate) fn unavailable(self) -> Option<String> {
        if !rustix::process::geteuid().is_root() {
            return Some("needs root".into());
        }
        (self == Kind::Runc && !Path::new(RUNC).exists()).then(|| format!("{RUNC} is not installed (Debian: runc)"))
    }
}

/// Directory that all processes of a run share: disk templates and the list of `/usr`.
fn shared() -> PathBuf {
    std::env::temp_dir().join("kiln-engine-test-shared")
}

pub(crate) fn remove_shared() {
    // Another run may be using it; it is made again.
    let _in_use = std::fs::remove_dir_all(shared());
}

/// An engine with directories of its own; checks at its end that nothing is left.
pub(crate) struct Fixture {
    pub(crate) kind: Kind,
    pub(crate) engine: Engine,
    /// Begins the id of each of its sandboxes.
    name: String,
    dir: tempfile::TempDir,
    count: AtomicU32,
}

/// How a script ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) usage: Usage,
    pub(crate) notices: Vec<String>,
}

impl Outcome {
    /// The output of a script that must have succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.exit, Exit::Code(0), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self.stdout
    }
}

/// A sandbox whose output goes to files.
pub(crate) struct Running {
    pub(crate) sandbox: Sandbox,
    pub(crate) id: String,
    out: File,
    err: File,
}

impl Fixture {
    pub(crate) fn new(kind: Kind, case: &str) -> Fixture {
        let dir = tempfile::Builder::new().prefix("kiln-engine-test-").tempdir().unwrap();
        let name: String = case.chars().map(|c| if c == '_' { '-' } else { c }).take(40).collect();
        let name = format!("{name}-{}", std::process::id());
        Fixture { kind, engine: kind.engine(), name, dir, count: AtomicU32::new(0) }
    }

    /// Directory of the fixture.
    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Where disks are.
    pub(crate) fn disks(&self) -> PathBuf {
        self.dir.path().join("disks")
    }

    pub(crate) fn id(&self) -> String {
        format!("{}-{:03}", self.name, self.count.fetch_add(1, Ordering::Relaxed))
    }

    /// A sandbox over the host's image that runs a script.
    pub(crate) fn spec(&self, script: &str) -> SandboxSpec {
        spec(&self.id(), &self.disks(), script)
    }

    /// Starts it with its output going to files.
    pub(crate) fn start(&self, mut spec: SandboxSpec) -> Result<Running, EngineError> {
        let out = tempfile::tempfile().unwrap();
        let err = tempfile::tempfile().unwrap();
        let id = spec.id.clone();
        for (stream, file) in spec.process.stdio.iter_mut().skip(1).zip([&out, &err]) {
            if stream.is_none() {
                *stream = Some(file.try_clone().unwrap().into());
            }
        }
        let sandbox = self.engine.start(spec)?;
        Ok(Running { sandbox, id, out, err })
    }

    /// Runs a whole sandbox and checks that nothing of it is left.
    #[track_caller]
    pub(crate) fn run(&self, spec: SandboxSpec) -> Outcome {
        self.start(spec).unwrap_or_else(|error| panic!("{error}")).finish(&self.disks())
    }

    /// Runs a script.
    #[track_caller]
    pub(crate) fn sh(&self, script: &str) -> Outcome {
        self.run(self.spec(script))
    }
}

impl Running {
    /// Waits for its end, destroys it, and checks that nothing of it is left.
    #[track_caller]
    pub(crate) fn finish(mut self, disks: &Path) -> Outcome {
        let exit = self.wait();
        let usage = self.sandbox.usage();
        let notices = self.sandbox.notices().to_vec();
        assert_eq!(self.sandbox.destroy(false).unwrap(), Vec::<String>::new());
        assert_eq!(leftovers(&self.id, &[disks]), Vec::<String>::new());
        Outcome { exit, stdout: read(&self.out), stderr: read(&self.err), usage, notices }
    }

    pub(crate) fn wait(&mut self) -> Exit {
        loop {
            if let Some(exit) = self.sandbox.wait(None).unwrap() {
                return exit;
            }
        }
    }

    /// Waits until the output contains `text`.
    pub(crate) fn expect(&self, text: &str) {
        for _ in 0..6000 {
            if read(&self.out).contains(text) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("the sandbox never printed {text:?}: {:?} {:?}", read(&self.out), read(&self.err));
    }
}

fn read(file: &File) -> String {
    use std::os::unix::fs::FileExt as _;
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(crate) fn cstring(text: &str) -> CString {
    CString::new(text).unwrap()
}

/// A sandbox over the host's image that runs a script.
pub(crate) fn spec(id: &str, disks: &Path, script: &str) -> SandboxSpec {
    SandboxSpec {
        id: id.into(),
        root: RootFs::Host,
        disk: Disk { dir: disks.join(id), templates: shared(), bytes: 256 << 20 },
        container_store: None,
        volumes: Vec::new(),
        process: Process {
            argv: ["/bin/sh", "-c", script].map(cstring).into(),
            env: vec![cstring("HOME=/root")],
            cwd: "/root".into(),
            stdio: [None::<OwnedFd>, None, None],
            fds: Vec::new(),
        },
        limits: Limits { vcpus: Some(2), memory_bytes: Some(1 << 30), pids: Some(512) },
        network: NetworkMode::None,
        privileged: false,
        hostname: "kiln-test".into(),
    }
}
