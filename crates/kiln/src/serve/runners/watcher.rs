//! Learns what happens to the service's builds: one thread, which sleeps until something does.

use std::{
    collections::{BTreeSet, HashMap},
    fmt, io,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    process::Child,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock},
    thread::{self, JoinHandle},
    time::Duration,
};

use kiln_core::runners::Nudge;
use kiln_runner::job::JOURNAL_FILE;
use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, EventData, EventFlags},
    fs::inotify::{self, ReadFlags, Reader, WatchFlags},
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};

use crate::builds::{Builds, LOCK};

/// The inotify instance among what epoll reports; children are reported by their process id, which is never 0.
const INOTIFY: u64 = 0;
/// How long the kernel may take from telling that a lock's file is closed to letting go of the lock, and how often that
/// is looked at. Microseconds, usually; a lock that is held for longer is somebody else's.
const LETTING_GO: Duration = Duration::from_millis(100);
const LOOK: Duration = Duration::from_millis(1);

/// See the module.
pub(super) struct Watcher {
    builds: Builds,
    epoll: OwnedFd,
    inotify: OwnedFd,
    state: Mutex<State>,
    nudge: RwLock<Option<Nudge>>,
    /// The thread.
    thread: OnceLock<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    /// Builds by the watch on their directory.
    watches: HashMap<i32, String>,
    /// Runners that are our children, by process id.
    children: HashMap<u64, Runner>,
}

#[derive(Debug)]
struct Runner {
    uuid: String,
    child: Child,
    /// Becomes readable when it has ended; the kernel takes it out of the epoll instance when it is closed.
    _pidfd: OwnedFd,
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("builds", &self.builds).finish_non_exhaustive()
    }
}

impl Watcher {
    /// Starts the thread. It ends with the process.
    pub(super) fn start(builds: Builds) -> io::Result<Arc<Self>> {
        let inotify = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &inotify, EventData::new_u64(INOTIFY), EventFlags::IN)?;
        let watcher = Arc::new(Self {
            builds,
            epoll,
            inotify,
            state: Mutex::default(),
            nudge: RwLock::default(),
            thread: OnceLock::new(),
        });
        let at_work = Arc::clone(&watcher);
        let thread = thread::Builder::new().name("runners".to_owned()).spawn(move || at_work.work())?;
        watcher.thread.get_or_init(|| thread);
        Ok(watcher)
    }

    /// Whether the thread is at work.
    pub(super) fn is_at_work(&self) -> bool {
        self.thread.get().is_some_and(|thread| !thread.is_finished())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn on_change(&self, nudge: Nudge) {
        *self.nudge.write().unwrap_or_else(PoisonError::into_inner) = Some(nudge);
    }

    /// Says that something may have happened to a build.
    pub(super) fn nudge(&self, uuid: &str) {
        if let Some(nudge) = self.nudge.read().unwrap_or_else(PoisonError::into_inner).as_ref() {
            nudge(uuid);
        }
    }

    /// From now on tells when the journal of a build grows, and when its lock is let go.
    pub(super) fn watch(&self, uuid: &str) -> io::Result<()> {
        // The files of the directory, not the directory alone: the journal is made later, by the runner.
        let flags = WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE | WatchFlags::ONLYDIR;
        let mut state = self.state(); // held, so that no event comes before its build is known
        let watch = inotify::add_watch(&self.inotify, self.builds.dir(uuid), flags)?;
        state.watches.insert(watch, uuid.to_owned());
        Ok(())
    }

    /// The directory of a build is about to change for the last time.
    pub(super) fn forget(&self, uuid: &str) {
        let mut state = self.state();
        let watches: Vec<i32> = state.watches.iter().filter(|(_, of)| *of == uuid).map(|(watch, _)| *watch).collect();
        for watch in watches {
            state.watches.remove(&watch);
            // It goes by itself when the directory does.
            inotify::remove_watch(&self.inotify, watch).ok();
        }
    }

    /// Waits for the end of a runner that we started, so that no zombie stays, and tells it. A runner that cannot be
    /// waited for is killed.
    pub(super) fn adopt(&self, uuid: &str, mut child: Child) -> io::Result<()> {
        let pid = child.id();
        let watched = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or(Errno::SRCH)
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
        let pidfd = match watched {
            Ok(pidfd) => pidfd,
            Err(e) => {
                child.kill()?;
                child.wait()?;
                return Err(e.into());
            }
        };
        let mut state = self.state();
        if let Err(e) = epoll::add(&self.epoll, &pidfd, EventData::new_u64(u64::from(pid)), EventFlags::IN) {
            child.kill()?;
            child.wait()?;
            return Err(e.into());
        }
        state.children.insert(u64::from(pid), Runner { uuid: uuid.to_owned(), child, _pidfd: pidfd });
        Ok(())
    }

    fn work(&self) {
        let mut events = Vec::with_capacity(256);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                // Nothing that this thread does can fail so.
                Err(_) => return,
            }
            let mut changed = BTreeSet::new();
            for event in &events {
                match event.data.u64() {
                    INOTIFY => self.read_changes(&mut changed),
                    pid => changed.extend(self.reap(pid)),
                }
            }
            for uuid in changed {
                self.nudge(&uuid);
            }
        }
    }

    /// Takes what inotify says; builds to which something happened come into `changed`.
    fn read_changes(&self, changed: &mut BTreeSet<String>) {
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        while let Ok(event) = reader.next() {
            let mut state = self.state();
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                changed.extend(state.watches.values().cloned());
            }
            if event.events().contains(ReadFlags::IGNORED) {
                state.watches.remove(&event.wd());
            }
            let Some(uuid) = state.watches.get(&event.wd()).cloned() else { continue };
            drop(state);
            let file = event.file_name().map(|name| name.to_bytes()).unwrap_or_default();
            if file == JOURNAL_FILE.as_bytes() {
                changed.insert(uuid);
            } else if file == LOCK.as_bytes() && event.events().contains(ReadFlags::CLOSE_WRITE) {
                self.await_release(&uuid);
                changed.insert(uuid);
            }
        }
    }

    /// The file of a lock was closed. The kernel tells so a moment before it lets go of the lock; who is nudged must not
    /// find it still held.
    fn await_release(&self, uuid: &str) {
        let mut waited = Duration::ZERO;
        while self.builds.in_use(uuid) && waited < LETTING_GO {
            thread::sleep(LOOK);
            waited += LOOK;
        }
    }

    /// Takes the end of a child; returns its build.
    fn reap(&self, pid: u64) -> Option<String> {
        let Runner { uuid, mut child, _pidfd } = self.state().children.remove(&pid)?;
        // It has ended: this does not wait.
        child.wait().ok();
        Some(uuid)
    }
}
