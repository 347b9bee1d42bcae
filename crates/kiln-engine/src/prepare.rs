//! What every engine does first: registers the sandbox, takes its ids, decides its file system and network.

use std::{
    ffi::CString,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use crate::{
    cgroup,
    container_store::{self, ContainerStore, DOCKER_STORE, Reserved},
    disk::{self, OpenDisk},
    error::{Context as _, EngineError},
    host_image::HostImage,
    ids::{IdRange, RootlessIds},
    layout::Layout,
    mounts,
    network::{NetworkConfig, NetworkPlan},
    registry::{Record, Registry},
    sandbox::Parts,
    spec::{Disk, EnvPair, Process, RootFs, SandboxSpec},
};

/// The host's ids that a sandbox gets.
#[derive(Debug)]
pub(crate) enum Ids {
    /// A range of the pool; the number is that of the sandbox's root.
    Range(u32),
    /// The calling user's own.
    Rootless(RootlessIds),
}

/// A sandbox that is decided, but of which nothing exists except its registration.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) ids: Ids,
    pub(crate) cgroups: cgroup::Host,
    pub(crate) layout: Layout,
    pub(crate) network: NetworkPlan,
    /// What the image adds to environments.
    pub(crate) env: Vec<EnvPair>,
    pub(crate) notices: Vec<String>,
    /// What a container engine inside may go on with.
    store: Option<Reserved>,
}

impl Prepared {
    /// `runtime`: the OCI runtime that will hold state of the sandbox.
    pub(crate) fn new(
        spec: &SandboxSpec,
        network: &NetworkConfig,
        runtime: Option<PathBuf>,
        parts: &mut Parts,
    ) -> Result<Prepared, EngineError> {
        spec.check()?;
        let root = rustix::process::geteuid().is_root();
        if root {
            mounts::enter_private_namespace()?;
        }
        let registry = Registry::create()?;
        let cgroups = cgroup::Host::detect()?;
        let record = Record {
            version: 1,
            id: spec.id.clone(),
            owner_pid: rustix::process::getpid().as_raw_nonzero().get(),
            disk: spec.disk.dir.clone(),
            cgroups: cgroups.paths(&spec.id),
            runtime,
        };
        parts.entry = Some(registry.enter(&record)?);
        let mut notices = Vec::new();
        let existing = disk::state(&spec.disk.dir)?;
        let mut store = Reserved::of(spec, root, &mut notices)?;
        let ids = if root {
            let range = match (&existing, store.as_ref().and_then(Reserved::base)) {
                (Some(state), _) => IdRange::at(&registry.ids(), state.base)?,
                // What is in the store belongs to these ids.
                (None, Some(base)) => match IdRange::at(&registry.ids(), base) {
                    Err(EngineError::Busy(_)) => IdRange::any(&registry.ids(), &spec.id)?,
                    other => other?,
                },
                (None, None) => IdRange::any(&registry.ids(), &spec.id)?,
            };
            let base = range.base;
            if store.as_ref().and_then(Reserved::base).is_some_and(|owner| owner != base) {
                notices.push(container_store::unused("they belong to user ids that this one cannot have now"));
                store = None;
            }
            parts.range = Some(range);
            Ids::Range(base)
        } else {
            let ids = RootlessIds::find();
            if !ids.many() {
                notices.push(
                    "only root's user id exists inside, so installing packages and run-as may fail: install newuidmap \
                     (Debian: uidmap) and give this user a range in /etc/subuid and /etc/subgid"
                        .into(),
                );
            }
            Ids::Rootless(ids)
        };
        let image = match spec.root {
            RootFs::Host => Some(HostImage::look(&spec.disk.templates)?),
            RootFs::Layers(_) => None,
        };
        let plan = NetworkPlan::new(spec.network, spec.privileged, network);
        let layout = Layout::plan(spec, image.as_ref(), plan.resolv_conf(network))?;
        let env = match image {
            Some(image) => {
                notices.extend(image.notices);
                image.env
            }
            None => Vec::new(),
        };
        Ok(Prepared { ids, cgroups, layout, network: plan, env, notices, store })
    }

    /// Makes or opens what a container engine inside goes on with. Never fails: the sandbox starts without, and a notice says why.
    pub(crate) fn open_store(&mut self) -> Option<ContainerStore> {
        let Ids::Range(base) = self.ids else { return None };
        let store = self.store.take()?;
        if !self.layout.mounts.iter().any(|point| point.target == Path::new(DOCKER_STORE)) {
            self.notices.push(container_store::unused("the image has something of its own there"));
            return None;
        }
        match store.open(base, &mut self.notices) {
            Ok(store) => Some(store),
            Err(error) => {
                self.notices.push(container_store::unused(&error.to_string()));
                None
            }
        }
    }

    /// Makes or opens the build disk.
    pub(crate) fn open_disk(&mut self, disk: &Disk) -> Result<OpenDisk, EngineError> {
        let (base, image) = match self.ids {
            Ids::Range(base) => (base, true),
            Ids::Rootless(_) => (rustix::process::geteuid().as_raw(), false),
        };
        OpenDisk::open(disk, base, image, &mut self.notices)
    }
}

/// The first process, with the image's additions to its environment.
#[derive(Debug)]
pub(crate) struct FirstProcess {
    /// In the order of their numbers, from 0.
    pub(crate) fds: Vec<OwnedFd>,
    pub(crate) argv: Vec<CString>,
    pub(crate) env: Vec<CString>,
    pub(crate) cwd: PathBuf,
}

impl FirstProcess {
    pub(crate) fn new(process: Process, extra: &[EnvPair]) -> Result<FirstProcess, EngineError> {
        use std::os::unix::ffi::OsStrExt as _;
        let mut fds = Vec::new();
        for stream in process.stdio {
            fds.push(match stream {
                Some(fd) => fd,
                None => {
                    let null = std::fs::File::options().read(true).write(true).open("/dev/null");
                    null.context(|| "open /dev/null")?.into()
                }
            });
        }
        fds.extend(process.fds);
        let mut env = process.env;
        for (name, value) in extra {
            let prefix = [name.as_bytes(), b"="].concat();
            if !env.iter().any(|pair| pair.as_bytes().starts_with(&prefix)) {
                let pair = CString::new([prefix.as_slice(), value.as_bytes()].concat());
                env.push(pair.map_err(|_| EngineError::Spec("an environment variable contains a zero byte".into()))?);
            }
        }
        Ok(FirstProcess { fds, argv: process.argv, env, cwd: process.cwd })
    }
}
