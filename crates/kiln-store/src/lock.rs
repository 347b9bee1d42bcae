//! One server per data directory.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

/// Name of the lock's file in the data directory.
const NAME: &str = "lock";

/// A process that was just killed holds its lock until the kernel has taken it apart, and a process that it was about to
/// start holds it until it executes its own program: both are over in a moment.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// Held while a server (or `kiln restore`) uses a data directory; the kernel releases it when the process ends, however
/// it ends.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
}

/// The data directory cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{} is in use by {holder}: stop that first, or choose another directory with --data", .directory.display())]
    Taken {
        /// The data directory.
        directory: PathBuf,
        /// Who holds it, as far as it said so.
        holder: String,
    },
    /// The lock's file cannot be opened.
    #[error("cannot lock {}", .path.display())]
    Io {
        /// The lock's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl DataLock {
    /// Takes `directory`, which must exist; waits no longer than a second for it.
    ///
    /// # Errors
    /// [`LockError::Taken`] while another process has it.
    pub fn take(directory: &Path) -> Result<Self, LockError> {
        let begun = Instant::now();
        loop {
            match Self::try_take(directory) {
                Err(LockError::Taken { .. }) if begun.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
                result => return result,
            }
        }
    }

    fn try_take(directory: &Path) -> Result<Self, LockError> {
        let path = directory.join(NAME);
        let failed = |source: io::Error| LockError::Io { path: path.clone(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match rustix::io::retry_on_intr(|| flock(&file, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                // Only decoration of the message: whoever just takes the lock may not have written it yet.
                (&mut file).take(64).read_to_string(&mut holder).ok();
                let holder = match holder.trim() {
                    "" => "another Kiln process".to_owned(),
                    pid => format!("another Kiln process ({pid})"),
                };
                return Err(LockError::Taken { directory: directory.to_owned(), holder });
            }
            Err(e) => return Err(failed(e.into())),
        }
        // On a full disk the lock holds all the same, it only does not say by whom.
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "process {}", std::process::id()))
            .ok();
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_holder() {
        let dir = tempfile::tempdir().unwrap();
        let lock = DataLock::take(dir.path()).unwrap();
        let refused = DataLock::take(dir.path()).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        assert!(refused.contains("--data"), "{refused}");
        drop(lock);
        DataLock::take(dir.path()).unwrap();
    }
}
