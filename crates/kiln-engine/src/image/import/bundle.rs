//! The files of an image archive or layout, by name.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::super::error::ImageError;
use super::super::tar::{EntryKind, Source, TarError, TarReader};
use super::super::tree;
use crate::openat2;

/// Most members of an archive: four for each layer of the old format.
const MAX_MEMBERS: usize = 100_000;
/// Old archives link equal layers to each other.
const MAX_LINKS: usize = 8;

/// A set of files.
pub(super) enum Bundle {
    /// A directory.
    Directory { root: OwnedFd, what: String },
    /// A tar archive that can be read anywhere.
    Archive { file: Arc<File>, members: HashMap<Vec<u8>, Member>, what: String },
}

pub(super) enum Member {
    /// Where the data lies in the archive.
    File { at: u64, size: u64 },
    /// The (cleaned) name of another member.
    Link(Vec<u8>),
}

impl Bundle {
    pub(super) fn directory(path: &Path) -> Result<Self, ImageError> {
        let root = rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map_err(ImageError::sys("open", path))?;
        Ok(Self::Directory { root, what: path.display().to_string() })
    }

    /// Reads the table of contents of an uncompressed archive.
    pub(super) fn archive(file: File, what: &str) -> Result<Self, ImageError> {
        let length = file.metadata().map_err(ImageError::io("examine", what))?.len();
        let source = Window { file: Arc::new(file), at: 0, end: length };
        let shared = Arc::clone(&source.file);
        let mut reader = TarReader::new(Buffered(BufReader::with_capacity(8192, source)));
        let mut members = HashMap::new();
        while let Some(entry) = reader.next().map_err(|e| unreadable(what, &e))? {
            let name = clean(&entry.path);
            let member = match entry.kind {
                EntryKind::File if entry.sparse.is_none() => Member::File { at: entry.data_at, size: entry.size },
                EntryKind::HardLink => Member::Link(clean(&entry.link)),
                EntryKind::Symlink => {
                    // Relative to the directory that holds the link.
                    let parent =
                        name.iter().rposition(|b| *b == b'/').and_then(|end| name.get(..end)).unwrap_or_default();
                    Member::Link(clean(&[parent, b"/", &entry.link].concat()))
                }
                _ => continue,
            };
            if members.len() >= MAX_MEMBERS {
                return Err(ImageError::Limit {
                    what: what.to_owned(),
                    problem: "the archive has too many members".to_owned(),
                    limit: MAX_MEMBERS.to_string(),
                });
            }
            // As in a file system, a later member of the same name counts.
            members.insert(name, member);
        }
        Ok(Self::Archive { file: shared, members, what: what.to_owned() })
    }

    /// Whether there is a file of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.open(name).is_ok()
    }

    /// A file's size.
    pub(super) fn size(&self, name: &str) -> Result<u64, ImageError> {
        self.open(name).map(|(_, size)| size)
    }

    /// Reads a small file whole.
    pub(super) fn read(&self, name: &str, max: u64) -> Result<Vec<u8>, ImageError> {
        let (reader, size) = self.open(name)?;
        if size > max {
            return Err(ImageError::Limit {
                what: self.shown(name),
                problem: format!("it has {size} bytes"),
                limit: format!("{max} bytes"),
            });
        }
        let mut bytes = Vec::new();
        reader.take(max).read_to_end(&mut bytes).map_err(ImageError::io("read", self.shown(name)))?;
        Ok(bytes)
    }

    /// Opens a file: what it holds, and its size.
    pub(super) fn open(&self, name: &str) -> Result<(Box<dyn Read + Send>, u64), ImageError> {
        match self {
            Self::Directory { root, .. } => {
                let failed = || ImageError::io("open", self.shown(name));
                // Links may lead around within the layout, but not out of it; a FIFO must not make us wait.
                let file = openat2(
                    root,
                    OsStr::from_bytes(&clean(name.as_bytes())),
                    OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC,
                    Mode::empty(),
                    ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
                )
                .map_err(|e| failed()(e.into()))?;
                let stat = rustix::fs::fstat(&file).map_err(|e| failed()(e.into()))?;
                if tree::file_type(&stat) != rustix::fs::FileType::RegularFile {
                    return Err(ImageError::archive(self.shown(name), "it is no file"));
                }
                Ok((Box::new(File::from(file)), u64::try_from(stat.st_size).unwrap_or(0)))
            }
            Self::Archive { file, members, .. } => {
                let mut path = clean(name.as_bytes());
                for _ in 0..MAX_LINKS {
                    match members.get(&path) {
                        Some(Member::File { at, size }) => {
                            let end = at.saturating_add(*size);
                            return Ok((Box::new(Window { file: Arc::clone(file), at: *at, end }), *size));
                        }
                        Some(Member::Link(target)) => path.clone_from(target),
                        None => break,
                    }
                }
                Err(ImageError::archive(self.shown(name), "it is missing"))
            }
        }
    }

    fn shown(&self, name: &str) -> String {
        let (Self::Directory { what, .. } | Self::Archive { what, .. }) = self;
        format!("{} in {what}", name.chars().take(200).flat_map(char::escape_debug).collect::<String>())
    }
}

/// What is wrong with an archive whose table of contents cannot be read.
pub(super) fn unreadable(what: &str, error: &TarError) -> ImageError {
    match error {
        TarError::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            ImageError::archive(what, "it is cut off, or no tar archive")
        }
        other => ImageError::archive(what, other.to_string()),
    }
}

/// Resolves `.` and `..` in a name by its text, within the archive.
fn clean(name: &[u8]) -> Vec<u8> {
    let mut components: Vec<&[u8]> = Vec::new();
    for component in name.split(|b| *b == b'/') {
        match component {
            b"" | b"." => {}
            b".." => drop(components.pop()),
            other => components.push(other),
        }
    }
    components.join(&b'/')
}

/// A part of a file. Several can be read at once.
struct Window {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Window {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let want = left.min(buf.len());
        let Some(buf) = buf.get_mut(..want) else { return Ok(0) };
        let n = self.file.read_at(buf, self.at)?;
        if n == 0 && want > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.at = self.at.saturating_add(n as u64);
        Ok(n)
    }
}

/// A window read in small pieces, skipping without reading.
struct Buffered(BufReader<Window>);

impl Read for Buffered {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Source for Buffered {
    fn skip(&mut self, n: u64) -> io::Result<()> {
        let buffered = self.0.buffer().len();
        if let Ok(n) = usize::try_from(n)
            && n <= buffered
        {
            io::BufRead::consume(&mut self.0, n);
            return Ok(());
        }
        io::BufRead::consume(&mut self.0, buffered);
        let window = self.0.get_mut();
        let to = window.at.saturating_add(n.saturating_sub(buffered as u64));
        if to > window.end {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        window.at = to;
        Ok(())
    }
}
