//! Taking files and putting them at their places.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use kiln_wire::{
    PathBytes,
    agent::{Entry, EntryKind, FileEnd, FromAgent, decode, kind},
    frame::{Frame, FrameBuffer},
};
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, Timespec, Timestamps},
    io::Errno,
    net::RecvFlags,
};

/// Read from the socket at once.
const READ: usize = 1 << 20;
/// Problems that are told.
const MAX_PROBLEMS: usize = 20;
/// Directories whose times are set once everything is in them.
const MAX_DIRECTORIES: usize = 200_000;

/// A `Receive` at work.
#[derive(Debug)]
pub(crate) struct Receive {
    id: u32,
    current: Option<Incoming>,
    directories: BTreeMap<Vec<u8>, Entry>,
    number: u64,
    files: u64,
    problems: Vec<String>,
    failed: u64,
}

/// An entry whose end has not come yet.
#[derive(Debug)]
struct Incoming {
    entry: Entry,
    /// Where its bytes go; an error leaves out the rest of it.
    place: Result<Place, String>,
}

#[derive(Debug)]
enum Place {
    /// A file under another name, in its directory.
    File { directory: OwnedFd, temporary: String, file: File },
    /// Nothing to write.
    Other,
}

impl Receive {
    /// Begins.
    pub(crate) fn new(id: u32) -> Self {
        Self { id, current: None, directories: BTreeMap::new(), number: 0, files: 0, problems: Vec::new(), failed: 0 }
    }

    /// Reads what is there; the answer when the transfer ended.
    ///
    /// # Errors
    /// The stream is not one of this protocol, or ended in the middle.
    pub(crate) fn step(
        &mut self,
        socket: BorrowedFd<'_>,
        inbox: &mut FrameBuffer,
    ) -> Result<Option<FromAgent>, String> {
        match rustix::net::recv(socket, inbox.space(READ), RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Err("the data socket was closed in the middle of a transfer".into()),
            Ok((read, _)) => inbox.commit(read),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error.to_string()),
        }
        while let Some(frame) = inbox.next_frame().map_err(|error| error.to_string())? {
            if self.frame(&frame)? {
                self.set_directories();
                return Ok(Some(FromAgent::Received {
                    id: self.id,
                    files: self.files,
                    problems: std::mem::take(&mut self.problems),
                    failed: self.failed,
                }));
            }
        }
        Ok(None)
    }

    /// Takes a frame; true at the end of the transfer.
    fn frame(&mut self, frame: &Frame<'_>) -> Result<bool, String> {
        let malformed = |error: kiln_wire::agent::DecodeError| error.to_string();
        match (frame.kind, self.current.as_mut()) {
            (kind::ENTRY, None) => {
                let entry: Entry = decode(frame).map_err(malformed)?;
                self.number += 1;
                let place = begin(&entry, self.number);
                self.current = Some(Incoming { entry, place });
            }
            (kind::CONTENT, Some(incoming)) => {
                let written = match &mut incoming.place {
                    Ok(Place::File { file, .. }) => file.write_all(frame.payload),
                    Ok(Place::Other) => return Err("contents of what is not a file".into()),
                    Err(_) => Ok(()),
                };
                if let Err(error) = written {
                    let place = std::mem::replace(&mut incoming.place, Err(error.to_string()));
                    abandon(place);
                }
            }
            (kind::FILE_END, Some(_)) => {
                let end: FileEnd = decode(frame).map_err(malformed)?;
                if let Some(incoming) = self.current.take() {
                    self.end(incoming, end);
                }
            }
            (kind::TRANSFER_END, None) => return Ok(true),
            (kind, _) => return Err(format!("unexpected frame of kind {kind} on the data socket")),
        }
        Ok(false)
    }

    fn end(&mut self, incoming: Incoming, end: FileEnd) {
        let Incoming { entry, place } = incoming;
        let result = match (place, end.error) {
            (place, Some(error)) => {
                abandon(place);
                Err(error)
            }
            (Err(error), None) => Err(error),
            (Ok(Place::File { directory, temporary, file }), None) => {
                let result = finish(&directory, &temporary, &file, &entry);
                if result.is_err() {
                    // It was never visible under its own name; what cannot be removed either is the disk's problem.
                    rustix::fs::unlinkat(&directory, &temporary, AtFlags::empty()).unwrap_or_default();
                }
                result.map_err(|error| error.to_string())
            }
            (Ok(Place::Other), None) => Ok(()),
        };
        match result {
            Ok(()) => {
                if !matches!(entry.kind, EntryKind::Directory) {
                    self.files += 1;
                } else if self.directories.len() < MAX_DIRECTORIES {
                    self.directories.insert(entry.path.0.clone(), entry);
                }
            }
            Err(error) => {
                self.failed += 1;
                if self.problems.len() < MAX_PROBLEMS {
                    self.problems.push(format!("{}: {error}", String::from_utf8_lossy(&entry.path.0)));
                }
            }
        }
    }

    /// Modes and times of directories, the deepest first: now nothing is put into them any more.
    fn set_directories(&mut self) {
        for (path, entry) in std::mem::take(&mut self.directories).into_iter().rev() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let set = rustix::fs::openat(CWD, path.as_slice(), flags, Mode::empty()).and_then(|directory| {
                rustix::fs::fchmod(&directory, Mode::from_raw_mode(entry.mode & 0o7777))?;
                rustix::fs::futimens(&directory, &times(entry.mtime_ns))
            });
            if let Err(error) = set {
                self.failed += 1;
                if self.problems.len() < MAX_PROBLEMS {
                    self.problems.push(format!("{}: {error}", String::from_utf8_lossy(&path)));
                }
            }
        }
    }
}

/// Makes the directories above an entry, and the place for its bytes.
fn begin(entry: &Entry, number: u64) -> Result<Place, String> {
    let PathBytes(path) = &entry.path;
    if path.first() != Some(&b'/') || path.contains(&0) {
        return Err("not an absolute path".into());
    }
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    let message = |error: io::Error| error.to_string();
    if matches!(entry.kind, EntryKind::Directory) {
        return std::fs::create_dir_all(path).map(|()| Place::Other).map_err(message);
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err("not the path of a file".into());
    };
    std::fs::create_dir_all(parent).map_err(message)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let error = |error: Errno| error.to_string();
    let directory = rustix::fs::openat(CWD, parent, flags, Mode::empty()).map_err(error)?;
    let temporary = format!(".kiln-{}-{number}.part", rustix::process::getpid().as_raw_nonzero());
    match rustix::fs::unlinkat(&directory, &temporary, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(problem) => return Err(problem.to_string()),
    }
    match &entry.kind {
        EntryKind::Symlink { target } => {
            rustix::fs::symlinkat(target.0.as_slice(), &directory, &temporary).map_err(error)?;
            let times = times(entry.mtime_ns);
            let result = rustix::fs::utimensat(&directory, &temporary, &times, AtFlags::SYMLINK_NOFOLLOW)
                .and_then(|()| rustix::fs::renameat(&directory, &temporary, &directory, name));
            if result.is_err() {
                rustix::fs::unlinkat(&directory, &temporary, AtFlags::empty()).unwrap_or_default();
            }
            result.map(|()| Place::Other).map_err(error)
        }
        EntryKind::File | EntryKind::Directory => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = rustix::fs::openat(&directory, &temporary, flags, Mode::from_raw_mode(0o600)).map_err(error)?;
            Ok(Place::File { directory, temporary, file: file.into() })
        }
    }
}

/// Gives a file its mode, time and name.
fn finish(directory: &OwnedFd, temporary: &str, file: &File, entry: &Entry) -> Result<(), Errno> {
    rustix::fs::fchmod(file, Mode::from_raw_mode(entry.mode & 0o7777))?;
    rustix::fs::futimens(file, &times(entry.mtime_ns))?;
    let name = entry.path.0.rsplit(|b| *b == b'/').next().unwrap_or_default();
    rustix::fs::renameat(directory.as_fd(), temporary, directory.as_fd(), name)
}

fn abandon(place: Result<Place, String>) {
    if let Ok(Place::File { directory, temporary, .. }) = place {
        rustix::fs::unlinkat(&directory, &temporary, AtFlags::empty()).unwrap_or_default();
    }
}

fn times(mtime_ns: i64) -> Timestamps {
    let time = Timespec { tv_sec: mtime_ns.div_euclid(1_000_000_000), tv_nsec: mtime_ns.rem_euclid(1_000_000_000) };
    Timestamps { last_access: time, last_modification: time }
}
