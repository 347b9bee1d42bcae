//! Git's own server side, with its bytes streamed.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, flock},
    process::Signal,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{
    CALLS, GitError, Repos,
    command::{Git, end},
};

/// Clones and pushes that git serves at a time.
const MOST_RUNNING: usize = 32;
/// How long one waits for its turn.
const TURN: Duration = Duration::from_secs(30);
/// How long one may take.
const LONGEST: Duration = Duration::from_secs(3600);
/// Bytes that are read of git at once.
const PIECE: usize = 64 * 1024;
/// Pieces that wait for a slow client, or for git, before their sender has to wait too.
const AHEAD: usize = 4;
/// Bytes of what git says when it fails.
const MOST_TOLD: u64 = 4096;

/// What runs at a time.
#[derive(Debug)]
pub(super) struct Slots(Arc<Semaphore>);

impl Default for Slots {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_RUNNING)))
    }
}

/// One of git's services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Tells the references for a clone or fetch.
    AdvertiseUpload,
    /// Tells the references for a push.
    AdvertiseReceive,
    /// Negotiates, and sends objects.
    Upload,
    /// Takes objects, and changes references.
    Receive,
}

/// Git at work for a client. Whoever drops it before it is over ends it.
#[derive(Debug)]
pub struct GitProcess {
    input: Option<mpsc::Sender<Vec<u8>>>,
    output: mpsc::Receiver<Vec<u8>>,
    over: Option<oneshot::Receiver<Result<(), GitError>>>,
    running: Arc<Running>,
    watch: JoinHandle<()>,
}

impl GitProcess {
    /// The way to git's standard input; dropping it ends that. An error of sending means that git reads no more.
    pub fn take_input(&mut self) -> Option<mpsc::Sender<Vec<u8>>> {
        self.input.take()
    }

    /// The next bytes of its output; `None` at the end. Nothing is lost when the future is dropped before it is ready.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        self.output.recv().await
    }

    /// How it ended; called after the end of its output.
    ///
    /// # Errors
    /// [`GitError::Failed`] with what it said.
    pub async fn ended(&mut self) -> Result<(), GitError> {
        let unknown = || GitError::Failed { command: self.running.name.to_owned(), message: String::new() };
        match self.over.take() {
            Some(over) => over.await.unwrap_or_else(|_| Err(unknown())),
            None => Err(unknown()),
        }
    }
}

impl Drop for GitProcess {
    fn drop(&mut self) {
        self.watch.abort();
        self.running.end();
    }
}

#[derive(Debug)]
struct Running {
    name: &'static str,
    /// `None` when it is over.
    child: Mutex<Option<Child>>,
}

impl Running {
    /// Ends it, unless it is over. A push removes what it has stored so far when it is asked to end.
    fn end(&self) {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(child) = child.as_ref() {
            end(child, Signal::TERM);
        }
    }
}

impl Repos {
    /// Has git serve a client. `version` is the protocol's.
    ///
    /// # Errors
    /// [`GitError::Full`] after a while, or when git or the disk fails.
    pub async fn serve(&self, id: &str, service: Service, version: u8) -> Result<GitProcess, GitError> {
        let slot = timeout(TURN, Arc::clone(&self.running.0).acquire_owned()).await;
        let slot = slot.ok().and_then(Result::ok).ok_or(GitError::Full)?;
        let path = self.path(id);
        let (name, arguments): (&'static str, &[&str]) = match service {
            Service::AdvertiseUpload => ("upload-pack", &["--stateless-rpc", "--strict", "--http-backend-info-refs"]),
            Service::AdvertiseReceive => ("receive-pack", &["--stateless-rpc", "--http-backend-info-refs"]),
            Service::Upload => ("upload-pack", &["--stateless-rpc", "--strict"]),
            Service::Receive => ("receive-pack", &["--stateless-rpc"]),
        };
        let mut git = Git::within(&path).args([name]);
        for argument in arguments {
            git = git.args([argument]);
        }
        if version > 0 {
            git = git.env("GIT_PROTOCOL", format!("version={version}"));
        }
        let (told, at) = errors_file(&path.join(CALLS))?;
        let child = git.arg(path.as_os_str()).start(Stdio::from(told));
        let child = child.inspect_err(|_| drop(fs::remove_file(&at)))?;
        Ok(follow(child, name, at, slot))
    }
}

/// A file for what git says. It is locked for as long as git runs, whoever started it.
fn errors_file(calls: &Path) -> Result<(File, PathBuf), GitError> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    // One that was brought back from a backup has none.
    fs::create_dir_all(calls).map_err(|e| GitError::io("make", calls, &e))?;
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = calls.join(format!("{}-{number}", std::process::id()));
        match File::create_new(&path) {
            Ok(file) => {
                flock(&file, FlockOperation::LockExclusive).map_err(|e| GitError::io("lock", &path, &e.into()))?;
                return Ok((file, path));
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(GitError::io("make", &path, &e)),
        }
    }
}

fn follow(mut child: Child, name: &'static str, told: PathBuf, slot: OwnedSemaphorePermit) -> GitProcess {
    let (input, mut to_write) = mpsc::channel::<Vec<u8>>(AHEAD);
    let (to_read, output) = mpsc::channel(AHEAD);
    let (ended, over) = oneshot::channel();
    let (stdin, mut stdout) = (child.stdin.take(), child.stdout.take());
    let running = Arc::new(Running { name, child: Mutex::new(Some(child)) });
    thread::spawn(move || {
        let Some(mut stdin) = stdin else { return };
        while let Some(bytes) = to_write.blocking_recv() {
            if stdin.write_all(&bytes).is_err() {
                break;
            }
        }
    });
    let of_thread = Arc::clone(&running);
    thread::spawn(move || {
        let _slot = slot;
        let mut buffer = vec![0; PIECE];
        let mut is_wanted = true;
        while let Some(length) = stdout.as_mut().and_then(|stdout| stdout.read(&mut buffer).ok()).filter(|n| *n > 0) {
            let piece = buffer.get(..length).unwrap_or_default().to_vec();
            if is_wanted && to_read.blocking_send(piece).is_err() {
                is_wanted = false;
                of_thread.end();
            }
        }
        let status = loop {
            let mut child = of_thread.child.lock().unwrap_or_else(PoisonError::into_inner);
            match child.as_mut().map(Child::try_wait) {
                Some(Ok(None)) => {}
                Some(Ok(status)) => {
                    *child = None;
                    break status;
                }
                _ => break None,
            }
            drop(child);
            thread::sleep(Duration::from_millis(1));
        };
        let mut message = String::new();
        if !status.is_some_and(|status| status.success()) {
            File::open(&told).map(|file| file.take(MOST_TOLD).read_to_string(&mut message)).ok();
        }
        fs::remove_file(&told).ok();
        let result = match status {
            Some(status) if status.success() => Ok(()),
            _ => Err(GitError::Failed { command: name.to_owned(), message: message.trim().to_owned() }),
        };
        ended.send(result).ok();
    });
    let watched = Arc::downgrade(&running);
    let watch = tokio::spawn(async move {
        sleep(LONGEST).await;
        if let Some(running) = watched.upgrade() {
            running.end();
        }
    });
    GitProcess { input: Some(input), output, over: Some(over), running, watch }
}
