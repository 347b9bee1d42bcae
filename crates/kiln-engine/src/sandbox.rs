//! A running sandbox, and its complete removal.

use std::{
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Signal, WaitId, WaitIdOptions},
};

use crate::{
    cgroup::Cgroup,
    container_store::ContainerStore,
    disk::OpenDisk,
    error::{Context as _, EngineError},
    ids::IdRange,
    layout::disk_name,
    network::NetworkHandle,
    oci,
    registry::Entry,
    spec::{EnvPair, Exit, Usage},
    sys::process::Child,
};

/// How long a killed sandbox may take to disappear before it counts as left over.
const DEATH: Duration = Duration::from_secs(10);

/// The host's side of a sandbox. What is dropped without [`Parts::destroy`] is destroyed too.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    pub(crate) init: Option<Child>,
    pub(crate) exit: Option<Exit>,
    pub(crate) cgroup: Option<Cgroup>,
    pub(crate) disk: Option<OpenDisk>,
    pub(crate) store: Option<ContainerStore>,
    /// A container of an OCI runtime, which has state of its own.
    pub(crate) container: Option<oci::Container>,
    pub(crate) network: Option<NetworkHandle>,
    pub(crate) range: Option<IdRange>,
    pub(crate) entry: Option<Entry>,
}

impl Parts {
    fn kill(&self) {
        if let (Some(init), None) = (&self.init, &self.exit) {
            // Dead already is as good.
            let _dead = rustix::process::pidfd_send_signal(&init.pidfd, Signal::KILL);
        }
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
    }

    fn wait(&mut self, timeout: Option<Duration>) -> Result<Option<Exit>, EngineError> {
        if self.exit.is_some() {
            return Ok(self.exit);
        }
        let Some(init) = &self.init else { return Ok(None) };
        let mut ready = [PollFd::new(&init.pidfd, PollFlags::IN)];
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match poll(&mut ready, timeout.as_ref()) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(None),
            other => other.context(|| "watch the sandbox")?,
        };
        let status = rustix::process::waitid(WaitId::PidFd(init.pidfd.as_fd()), WaitIdOptions::EXITED)
            .context(|| "learn how the sandbox ended")?;
        self.exit = status.map(|status| match (status.exit_status(), status.terminating_signal()) {
            (_, Some(signal)) => Exit::Signal(signal),
            (code, None) => Exit::Code(code.unwrap_or(0)),
        });
        Ok(self.exit)
    }

    /// Removes everything; a disk only if neither `keep` nor its own mark says otherwise. Answers what is left over.
    pub(crate) fn destroy(&mut self, keep: bool) -> Result<Vec<String>, EngineError> {
        let mut left = Vec::new();
        self.kill();
        if self.init.is_some() && self.exit.is_none() {
            let mut waited = Ok(None);
            // A signal to this process may interrupt the first waits.
            for _ in 0..100 {
                waited = self.wait(Some(DEATH / 100));
                if !matches!(waited, Ok(None)) {
                    break;
                }
            }
            if waited?.is_none() {
                let pid = self.init.as_ref().map_or(0, |init| init.pid.as_raw_nonzero().get());
                left.push(format!("process {pid} does not die"));
            }
        }
        self.init = None;
        if let Some(container) = self.container.take() {
            container.delete()?;
        }
        // Its threads end with it, so that this process may fork again.
        self.network = None;
        if let Some(mut cgroup) = self.cgroup.take() {
            let remaining = cgroup.remove();
            left.extend(remaining.iter().map(|path| format!("cgroup {}", path.display())));
        }
        if let Some(mut disk) = self.disk.take() {
            if keep {
                disk.keep()?;
            }
            if let Some(trash) = disk.close()? {
                let path = trash.path().to_path_buf();
                if let Err(error) = trash.delete() {
                    left.push(format!("directory {} ({error})", path.display()));
                }
            }
        }
        if let Some(store) = self.store.take()
            && let Err(error) = store.close()
        {
            left.push(error.to_string());
        }
        self.range = None;
        // An entry whose sandbox is not wholly gone stays, for the next sweep.
        match self.entry.take() {
            Some(entry) if left.is_empty() => entry.remove()?,
            _ => {}
        }
        Ok(left)
    }

    /// After a failed start: a disk that was there before must survive.
    pub(crate) fn abandon(&mut self) {
        let keep = self.disk.as_ref().is_some_and(|disk| disk.reopened);
        // The start's own error is the one that is reported; what is left is found by the next sweep.
        let _swept_later = self.destroy(keep);
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if self.entry.is_some() || self.disk.is_some() || self.init.is_some() {
            self.abandon();
        }
    }
}

/// A running sandbox. Dropping it destroys it.
#[derive(Debug)]
pub struct Sandbox {
    pub(crate) parts: Parts,
    pub(crate) pidfd: OwnedFd,
    pub(crate) netns: OwnedFd,
    pub(crate) notices: Vec<String>,
    pub(crate) env: Vec<EnvPair>,
}

impl Sandbox {
    /// Becomes readable when PID 1 has ended.
    pub fn init_pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// The sandbox's network namespace (the host's in [`NetworkMode::Host`](crate::NetworkMode::Host)).
    pub fn netns(&self) -> BorrowedFd<'_> {
        self.netns.as_fd()
    }

    /// The sandbox's network as it is on this machine.
    pub fn network(&self) -> Option<&NetworkHandle> {
        self.parts.network.as_ref()
    }

    /// Where the directory of an [`Access::Scratch`](crate::Access::Scratch) volume with this target is on the host, for this
    /// process and its children; what is in it belongs to the sandbox's ids, and may change at any moment.
    pub fn scratch(&self, target: &Path) -> Option<PathBuf> {
        let dir = self.parts.disk.as_ref()?.root.join(disk_name(target));
        dir.is_dir().then_some(dir)
    }

    /// What is not enforced here, one sentence each.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Variables that the image's tools need, for processes that do not inherit the first one's environment (which has
    /// them where [`Process::env`](crate::Process::env) does not set them).
    pub fn env(&self) -> &[EnvPair] {
        &self.env
    }

    /// Resource use so far. Cheap, and right also after PID 1 has ended.
    pub fn usage(&self) -> Usage {
        self.parts.cgroup.as_ref().map(Cgroup::usage).unwrap_or_default()
    }

    /// Sends a signal to PID 1. One that has ended is no error.
    ///
    /// # Errors
    /// The kernel's.
    pub fn signal(&self, signal: Signal) -> Result<(), EngineError> {
        match rustix::process::pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error).context(|| "send a signal to the sandbox"),
        }
    }

    /// Kills every process in the sandbox; [`Sandbox::wait`] then answers soon.
    pub fn kill(&self) {
        self.parts.kill();
    }

    /// How PID 1 ended, if it has.
    ///
    /// # Errors
    /// The kernel's.
    pub fn try_wait(&mut self) -> Result<Option<Exit>, EngineError> {
        self.parts.wait(Some(Duration::ZERO))
    }

    /// Waits for the end of PID 1, at most for `timeout`. `None` also when a signal to this process interrupted.
    ///
    /// # Errors
    /// The kernel's.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<Option<Exit>, EngineError> {
        self.parts.wait(timeout)
    }

    /// Lets the disk survive from now on, even if this process is killed, as `destroy(true)` would.
    ///
    /// # Errors
    /// When the mark cannot be written.
    pub fn keep_disk(&mut self) -> Result<(), EngineError> {
        match &mut self.parts.disk {
            Some(disk) => disk.keep(),
            None => Ok(()),
        }
    }

    /// Whether what a container engine inside keeps is passed on to later sandboxes.
    pub fn has_container_store(&self) -> bool {
        self.parts.store.is_some()
    }

    /// Passes nothing on: what is in the store is deleted at the end.
    pub fn forget_container_store(&mut self) {
        if let Some(store) = &mut self.parts.store {
            store.forget();
        }
    }

    /// Kills what still runs and removes everything of the sandbox from the machine; with `keep`, and if
    /// [`Sandbox::keep_disk`] was called for this disk in any of its lives, its disk stays and can be opened again.
    /// Answers what could not be removed; the next [`sweep`](crate::sweep()) tries again.
    ///
    /// # Errors
    /// When the machine refuses a step; what is left is swept later.
    pub fn destroy(mut self, keep: bool) -> Result<Vec<String>, EngineError> {
        self.parts.destroy(keep)
    }
}
