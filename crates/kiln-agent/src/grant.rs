//! Read and execute rights on the source tree for the user of `run-as` (`buildspec.md` 1.4).
//!
//! Only what lacks them is changed: on an overlay each change copies the file, and a checkout lacks nothing as a rule.

use std::{
    os::{fd::AsFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};

use crate::{
    sys::Credentials,
    walk::{join, open_at},
};

/// Directory entries that one step looks at.
const STEP: usize = 512;
/// What is deeper is left as it is.
const MAX_PATH: usize = 32 << 10;

/// Rights being given.
#[derive(Debug)]
pub(crate) struct Grant {
    credentials: Credentials,
    pending: Vec<Vec<u8>>,
    current: Option<(Dir, Vec<u8>)>,
}

impl Grant {
    /// Opens the directories above to the user, and begins with the trees.
    pub(crate) fn new(credentials: Credentials, trees: &[PathBuf]) -> Self {
        for above in trees.iter().flat_map(|tree| tree.ancestors().skip(1)) {
            if let Ok(stat) = rustix::fs::stat(above)
                && let Some(mode) = missing(&stat, &credentials, 0o1)
            {
                // Without the right to, the command's own message says what is closed to it.
                rustix::fs::chmod(above, mode).unwrap_or_default();
            }
        }
        let path = |tree: &PathBuf| AsRef::<Path>::as_ref(tree).as_os_str().as_bytes().to_vec();
        Self { credentials, pending: trees.iter().map(path).collect(), current: None }
    }

    /// Goes on; false when done.
    pub(crate) fn step(&mut self) -> bool {
        for _ in 0..STEP {
            let Some((mut directory, path)) = self.current.take() else {
                let Some(path) = self.pending.pop() else { return false };
                let opened = open_at(CWD, &path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW);
                if let Ok(fd) = opened {
                    if let Some(mode) = rustix::fs::fstat(&fd).ok().and_then(|s| missing(&s, &self.credentials, 0o5)) {
                        rustix::fs::fchmod(&fd, mode).unwrap_or_default();
                    }
                    self.current = Dir::new(fd).ok().map(|directory| (directory, path));
                }
                continue;
            };
            let Some(Ok(entry)) = directory.read() else { continue };
            let name = entry.file_name();
            if name != c"." && name != c".." {
                match entry.file_type() {
                    FileType::Directory => self.descend(&path, name.to_bytes()),
                    FileType::Symlink => {}
                    _ => {
                        if let Ok(fd) = directory.fd() {
                            self.file(fd.as_fd(), name, &path);
                        }
                    }
                }
            }
            self.current = Some((directory, path));
        }
        true
    }

    fn descend(&mut self, path: &[u8], name: &[u8]) {
        let path = join(path, name);
        if path.len() <= MAX_PATH {
            self.pending.push(path);
        }
    }

    fn file(&mut self, directory: rustix::fd::BorrowedFd<'_>, name: &std::ffi::CStr, path: &[u8]) {
        let Ok(stat) = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) else { return };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => self.descend(path, name.to_bytes()),
            FileType::RegularFile => {
                let execute = if stat.st_mode & 0o111 == 0 { 0 } else { 1 };
                if let Some(mode) = missing(&stat, &self.credentials, 0o4 | execute) {
                    rustix::fs::chmodat(directory, name, mode, AtFlags::empty()).unwrap_or_default();
                }
            }
            _ => {}
        }
    }
}

/// The mode with which a user has these rights (`r` 4, `x` 1), when it does not have them.
fn missing(stat: &Stat, credentials: &Credentials, rights: u32) -> Option<Mode> {
    let shift = if stat.st_uid == credentials.uid.as_raw() {
        6
    } else if credentials.groups.iter().any(|group| group.as_raw() == stat.st_gid) {
        3
    } else {
        0
    };
    let mode = stat.st_mode & 0o7777;
    let wanted = mode | rights << shift;
    (wanted != mode).then(|| Mode::from_raw_mode(wanted))
}
