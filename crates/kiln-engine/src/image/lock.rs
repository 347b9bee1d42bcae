//! Advisory locks between processes (and threads: each lock has its own open file description). The kernel drops a lock
//! when its holder dies, however it dies.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{self, AtFlags, CWD, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::error::ImageError;
use super::operation::Cancel;

/// A held lock. Dropping it lets go, at that moment: a program that another thread is just starting holds copies of all
/// open files until it is executed, and closing ours alone would leave the lock to it until then.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: OwnedFd,
}

impl FileLock {
    /// Waits until nobody else holds the lock.
    pub(crate) fn exclusive(path: &Path) -> Result<Self, ImageError> {
        Self::wait(path, FlockOperation::LockExclusive)
    }

    /// Waits until nobody holds the lock exclusively.
    pub(crate) fn shared(path: &Path) -> Result<Self, ImageError> {
        Self::wait(path, FlockOperation::LockShared)
    }

    /// The exclusive lock, if it is free.
    pub(crate) fn try_exclusive(path: &Path) -> Result<Option<Self>, ImageError> {
        Self::take(path, FlockOperation::NonBlockingLockExclusive)
    }

    /// Waits for the exclusive lock, but not longer than `cancel` allows. `waiting` is called if there is a wait.
    pub(crate) fn exclusive_unless(
        path: &Path,
        cancel: &Cancel<'_>,
        waiting: impl FnOnce(),
    ) -> Result<Self, ImageError> {
        let mut waiting = Some(waiting);
        loop {
            if let Some(lock) = Self::try_exclusive(path)? {
                return Ok(lock);
            }
            if cancel.is_set() {
                return Err(ImageError::Cancelled);
            }
            if let Some(waiting) = waiting.take() {
                waiting();
            }
            // A blocking flock would not notice the flag. The holder downloads or unpacks: this adds nothing to speak of.
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn wait(path: &Path, operation: FlockOperation) -> Result<Self, ImageError> {
        loop {
            if let Some(lock) = Self::take(path, operation)? {
                return Ok(lock);
            }
        }
    }

    fn take(path: &Path, operation: FlockOperation) -> Result<Option<Self>, ImageError> {
        let failed = || ImageError::sys("lock", path);
        loop {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let file = fs::open(path, flags, Mode::RUSR | Mode::WUSR).map_err(failed())?;
            match rustix::io::retry_on_intr(|| fs::flock(&file, operation)) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(e) => return Err(failed()(e)),
            }
            // Whoever held it may have removed or renamed the file meanwhile; then the lock names nothing.
            let held = fs::fstat(&file).map_err(failed())?;
            match fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(named) if (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino) => {
                    return Ok(Some(Self { file }));
                }
                Ok(_) | Err(Errno::NOENT) => {}
                Err(e) => return Err(failed()(e)),
            }
        }
    }

    /// The locked file itself.
    pub(crate) fn file(&self) -> &OwnedFd {
        &self.file
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // It cannot fail on an open file; if it does, closing lets go.
        let _closed_next = fs::flock(&self.file, FlockOperation::Unlock);
    }
}
