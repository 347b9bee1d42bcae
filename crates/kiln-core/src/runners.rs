//! What the core asks of whoever starts runners.
//!
//! A runner is a process of its own, which outlives the server (DESIGN decision 2). Everything that is known of it lies in
//! the build's directory: its job, its journal, a lock that it holds until it ends. So an implementation needs no
//! memory: after a restart it answers the same.

use std::{
    fmt,
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
};

use kiln_runner::job::{Control, Job};

/// Called with a build's uuid whenever something may have happened to it: its journal grew, its runner ended. May be
/// called too often, from any thread, and must not block.
pub type Nudge = Arc<dyn Fn(&str) + Send + Sync>;

/// A runner could not be started, or what it left not be removed.
#[derive(Debug)]
pub struct RunnersError {
    /// The sentence for the build's record: what was tried, where, and what the system said.
    pub message: String,
    /// True when the disk is full: the build may be tried again later.
    pub disk_full: bool,
}

impl fmt::Display for RunnersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for RunnersError {}

/// A shell on a terminal, for somebody far away. Methods may be called from several threads.
pub trait Shell: Send + Sync {
    /// Waits for output; 0 bytes: there will be no more.
    ///
    /// # Errors
    /// When the terminal cannot be read.
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Passes input on; waits while the terminal takes none.
    ///
    /// # Errors
    /// When the shell is gone.
    fn write(&self, bytes: &[u8]) -> io::Result<()>;

    /// Says that there will be no more input.
    ///
    /// # Errors
    /// When the shell is gone.
    fn end_input(&self) -> io::Result<()>;

    /// Gives the terminal a size.
    fn resize(&self, rows: u16, columns: u16);

    /// Ends the shell, should it still be there.
    fn kill(&self);

    /// Waits until its container is gone; the shell's exit status, or why there is none.
    ///
    /// # Errors
    /// A sentence.
    fn wait(&self) -> Result<u8, String>;
}

/// An image of the registry, for whoever makes containers of it. Read from several threads.
pub trait RegistryImage: Sync {
    /// What builds call it.
    fn reference(&self) -> &str;

    /// The bytes that have a digest (`sha256:…`), or, without one, the manifest or index that [`Self::reference`] means.
    ///
    /// # Errors
    /// When they are not there (any more), or cannot be read.
    fn open(&self, digest: Option<&str>) -> io::Result<Box<dyn Read + Send>>;

    /// Whether nobody waits for it any more.
    fn is_given_up(&self) -> bool;
}

/// Starts runners and looks after their directories; named by the build's uuid.
pub trait Runners: Send + Sync + 'static {
    /// Has an image of the registry ready for builds that name it, as it is there now. `now_ms`: milliseconds since the epoch.
    ///
    /// # Errors
    /// [`RunnersError`]: it is damaged, for another machine, or there is no room for it; or it was given up.
    fn take_image(&self, image: &dyn RegistryImage, now_ms: i64) -> Result<(), RunnersError>;

    /// Makes the directory of a build that has none, writes its job into it and starts its runner. When it fails nothing
    /// of it stays.
    ///
    /// # Errors
    /// [`RunnersError`].
    fn start(&self, job: &Job) -> Result<(), RunnersError>;

    /// The build's directory, whether or not it is there.
    fn dir(&self, uuid: &str) -> PathBuf;

    /// Builds of the service that have a directory: running, ended and not closed yet, or with a kept file system.
    ///
    /// # Errors
    /// When the directory of them all cannot be read.
    fn known(&self) -> io::Result<Vec<String>>;

    /// True while the build's runner, or somebody with a shell in its file system, lives.
    fn alive(&self, uuid: &str) -> bool;

    /// Passes a request to the build's runner. One that has just ended needs not be told.
    fn tell(&self, uuid: &str, control: Control);

    /// Removes from the machine what a runner left that was killed: cgroups, network, mounts, disk.
    ///
    /// # Errors
    /// [`RunnersError`] with everything that stays.
    fn clear(&self, uuid: &str) -> Result<(), RunnersError>;

    /// Closes the books on a build whose end is committed: removes its directory; with `keep` all but its file system and
    /// job, which `kiln debug` needs. Succeeds when there is nothing. Returns the bytes on disk of what is kept.
    ///
    /// # Errors
    /// [`RunnersError`].
    fn close(&self, uuid: &str, keep: bool) -> Result<Option<u64>, RunnersError>;

    /// Opens a shell in the kept file system of a build, on a terminal of its own. One at a time.
    ///
    /// # Errors
    /// [`RunnersError`]: it is not there any more, or in use.
    fn shell(&self, uuid: &str) -> Result<Arc<dyn Shell>, RunnersError>;

    /// From now on calls `nudge` for builds that are started or [`Self::watch`]ed.
    fn on_change(&self, nudge: Nudge);

    /// Whether what is told to `nudge` is still looked for.
    fn is_watching(&self) -> bool;

    /// Watches a build that an earlier server started.
    ///
    /// # Errors
    /// When its directory cannot be watched; then it is looked at from time to time only.
    fn watch(&self, uuid: &str) -> io::Result<()>;
}
