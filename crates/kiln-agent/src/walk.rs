//! Walks a directory tree for the files that patterns match, in steps that each take little time.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    rc::Rc,
};

use kiln_wire::agent::Links;
use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat},
    io::Errno,
};

use crate::glob::{Pattern, States};

/// Directory entries that one step looks at.
const STEP: usize = 512;
/// Longest path below the root of a walk; a ZIP holds names of 65,535 bytes.
const MAX_PATH: usize = 32 << 10;
/// Bytes of a path that are given to the kernel at once; it takes 4,095.
const PATH_PIECE: usize = 3 << 10;
/// Directories entered through or below symbolic links: links may multiply a tree without a cycle.
const MAX_LINKED: usize = 100_000;
/// Most notes, and the longest name in one.
const MAX_NOTES: usize = 20;
const MAX_NAME: usize = 300;

/// What was left out, in sentences.
#[derive(Debug, Default)]
pub(crate) struct Notes(pub(crate) Vec<String>);

impl Notes {
    /// Adds `path: reason`, unless there are enough.
    pub(crate) fn add(&mut self, path: &[u8], reason: &str) {
        if self.0.len() < MAX_NOTES {
            let path = String::from_utf8_lossy(path);
            let cut: String = path.chars().take(MAX_NAME).collect();
            let dots = if cut.len() < path.len() { "…" } else { "" };
            self.0.push(format!("{cut}{dots}: {reason}"));
        }
    }
}

/// What a walk looks for.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// How links are taken.
    pub(crate) links: Links,
    /// For [`Links::KeepInside`]: inside of what.
    pub(crate) base: Vec<u8>,
    /// Directories count too, and one that a pattern names stands for everything in it.
    pub(crate) directories: bool,
    /// Only directories count.
    pub(crate) only_directories: bool,
}

/// Something that a pattern matched.
#[derive(Debug)]
pub(crate) struct Match<'a> {
    /// Absolute path.
    pub(crate) path: &'a [u8],
    /// For each pattern of the walk, whether it matched.
    pub(crate) by: &'a [bool],
    /// What it is; of a link that is followed, what it leads to.
    pub(crate) stat: &'a Stat,
    /// Where it points, of a link that stays one.
    pub(crate) target: Option<Vec<u8>>,
}

/// A walk in progress.
#[derive(Debug)]
pub(crate) struct Walk {
    root: OwnedFd,
    /// Absolute, without a slash at its end.
    root_path: Vec<u8>,
    device: u64,
    patterns: Vec<Rc<Pattern>>,
    options: Options,
    pending: Vec<Directory>,
    current: Option<(Dir, Directory)>,
    linked: usize,
}

/// A directory to look into.
#[derive(Debug)]
struct Directory {
    /// Below the root; empty for the root itself.
    path: Vec<u8>,
    /// For each pattern, how far it has come.
    progress: Vec<Progress>,
    /// The directories that it was reached through, where links are followed.
    ancestors: Option<Rc<Ancestor>>,
    /// A link leads to it, or to a directory above it.
    linked: bool,
}

#[derive(Debug, Clone)]
enum Progress {
    /// What the path so far matched.
    Matching(States),
    /// Everything below matches.
    Everything,
    /// Nothing below can match.
    Nothing,
}

#[derive(Debug)]
struct Ancestor {
    identity: (u64, u64),
    above: Option<Rc<Ancestor>>,
}

impl Drop for Ancestor {
    /// One after the other: a chain of ten thousand must not end one inside the other on the stack.
    fn drop(&mut self) {
        let mut above = self.above.take();
        while let Some(mut ancestor) = above.and_then(Rc::into_inner) {
            above = ancestor.above.take();
        }
    }
}

/// Opens a path of any length. Only whole, existing directories are entered on the way.
///
/// # Errors
/// The kernel's.
pub(crate) fn open_at(base: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut rest = path;
    let mut directory: Option<OwnedFd> = None;
    while rest.len() > PATH_PIECE {
        let cut = rest
            .iter()
            .take(PATH_PIECE)
            .rposition(|byte| *byte == b'/')
            .filter(|cut| *cut > 0)
            .ok_or(Errno::NAMETOOLONG)?;
        let (head, tail) = rest.split_at(cut);
        let from = directory.as_ref().map_or(base, |directory| directory.as_fd());
        let entered =
            rustix::fs::openat(from, head, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        directory = Some(entered);
        rest = tail.get(1..).unwrap_or_default();
    }
    let from = directory.as_ref().map_or(base, |directory| directory.as_fd());
    rustix::fs::openat(from, if rest.is_empty() { b"." } else { rest }, flags, Mode::empty())
}

/// `/dir` + `name`.
pub(crate) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(directory.len() + 1 + name.len());
    path.extend_from_slice(directory);
    if !directory.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

impl Walk {
    /// Starts at a directory, given by its absolute path without a slash at its end (empty: the root directory).
    ///
    /// # Errors
    /// When it cannot be opened as a directory.
    pub(crate) fn new(root_path: Vec<u8>, patterns: Vec<Rc<Pattern>>, options: Options) -> Result<Self, Errno> {
        let absolute: &[u8] = if root_path.is_empty() { b"/" } else { &root_path };
        let root = open_at(CWD, absolute, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let device = rustix::fs::fstat(&root)?.st_dev;
        let progress = patterns.iter().map(|pattern| Progress::Matching(pattern.start())).collect();
        let first = Directory { path: Vec::new(), progress, ancestors: None, linked: false };
        Ok(Self { root, root_path, device, patterns, options, pending: vec![first], current: None, linked: 0 })
    }

    /// Goes on; false when the walk is over.
    pub(crate) fn step(&mut self, notes: &mut Notes, found: &mut dyn FnMut(Match<'_>)) -> bool {
        for _ in 0..STEP {
            let Some((mut directory, at)) = self.current.take() else {
                let Some(next) = self.pending.pop() else { return false };
                self.current = self.enter(next, notes);
                continue;
            };
            match directory.read() {
                Some(Ok(entry)) => {
                    let name = entry.file_name().to_bytes();
                    if name != b"." && name != b".." {
                        self.look_at(&directory, &at, name, entry.file_type(), notes, found);
                    }
                    self.current = Some((directory, at));
                }
                Some(Err(error)) => notes.add(&self.absolute(&at.path), &format!("cannot be listed: {error}")),
                None => {}
            }
        }
        true
    }

    fn absolute(&self, path: &[u8]) -> Vec<u8> {
        let mut absolute = self.root_path.clone();
        absolute.push(b'/');
        absolute.extend_from_slice(path);
        absolute
    }

    fn enter(&mut self, mut next: Directory, notes: &mut Notes) -> Option<(Dir, Directory)> {
        let mut flags = OFlags::RDONLY | OFlags::DIRECTORY;
        if !next.linked && !next.path.is_empty() {
            flags |= OFlags::NOFOLLOW; // a link may have taken the place of the directory
        }
        let opened = open_at(self.root.as_fd(), &next.path, flags).and_then(|fd| Ok((rustix::fs::fstat(&fd)?, fd)));
        let (stat, fd) = match opened {
            Ok(opened) => opened,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return None, // gone, or replaced meanwhile
            Err(error) => {
                notes.add(&self.absolute(&next.path), &format!("cannot be read: {error}"));
                return None;
            }
        };
        if stat.st_dev != self.device && is_virtual(&fd) {
            notes.add(&self.absolute(&next.path), "left out, the kernel makes these files up");
            return None;
        }
        let identity = (stat.st_dev, stat.st_ino);
        if next.linked {
            let mut above = next.ancestors.as_deref();
            while let Some(ancestor) = above {
                if ancestor.identity == identity {
                    notes.add(&self.absolute(&next.path), "a symbolic link leads back to a directory above it");
                    return None;
                }
                above = ancestor.above.as_deref();
            }
            self.linked += 1;
            if self.linked > MAX_LINKED {
                if self.linked == MAX_LINKED + 1 {
                    notes.add(
                        &self.absolute(&next.path),
                        "too many directories behind symbolic links; the rest is left out",
                    );
                }
                return None;
            }
        }
        if self.options.links != Links::Keep {
            next.ancestors = Some(Rc::new(Ancestor { identity, above: next.ancestors.take() }));
        }
        match Dir::new(fd) {
            Ok(directory) => Some((directory, next)),
            Err(error) => {
                notes.add(&self.absolute(&next.path), &format!("cannot be read: {error}"));
                None
            }
        }
    }

    fn look_at(
        &mut self,
        directory: &Dir,
        at: &Directory,
        name: &[u8],
        file_type: FileType,
        notes: &mut Notes,
        found: &mut dyn FnMut(Match<'_>),
    ) {
        let mut by = Vec::with_capacity(self.patterns.len());
        let mut below = Vec::with_capacity(self.patterns.len());
        for (pattern, progress) in self.patterns.iter().zip(&at.progress) {
            let (matched, progress) = match progress {
                Progress::Everything => (true, Progress::Everything),
                Progress::Nothing => (false, Progress::Nothing),
                Progress::Matching(states) => {
                    let states = pattern.advance(states, name);
                    let matched = pattern.is_match(&states);
                    let below = if matched && self.options.directories && pattern.names_one {
                        Progress::Everything
                    } else {
                        Progress::Matching(states)
                    };
                    (matched, below)
                }
            };
            by.push(matched);
            below.push(progress);
        }
        let matched = by.contains(&true);
        if !matched && below.iter().all(|progress| matches!(progress, Progress::Nothing)) {
            return;
        }
        let Ok(fd) = directory.fd() else { return };
        let path = join(&at.path, name);
        let mut stat = None;
        let mut file_type = file_type;
        if matched || matches!(file_type, FileType::Unknown | FileType::Symlink) {
            match rustix::fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(found) => {
                    file_type = FileType::from_raw_mode(found.st_mode);
                    stat = Some(found);
                }
                Err(Errno::NOENT) => return,
                Err(error) => return notes.add(&self.absolute(&path), &error.to_string()),
            }
        }
        let mut linked = at.linked;
        let mut target = None;
        if file_type == FileType::Symlink {
            match self.link(fd, name, &path, at) {
                Link::Stays(text) => target = Some(text),
                Link::Leads(to) => {
                    file_type = FileType::from_raw_mode(to.st_mode);
                    stat = Some(*to);
                    linked = true;
                }
                Link::Nowhere(error) => {
                    if matched && !self.options.only_directories {
                        notes.add(&self.absolute(&path), &format!("a symbolic link that leads nowhere ({error})"));
                    }
                    return;
                }
            }
        }
        let is_directory = file_type == FileType::Directory;
        if !is_directory {
            // `name/` means a directory.
            for (matched, (pattern, progress)) in by.iter_mut().zip(self.patterns.iter().zip(&at.progress)) {
                *matched &= !pattern.only_directory || matches!(progress, Progress::Everything);
            }
        }
        let wanted = by.contains(&true)
            && match file_type {
                FileType::Directory => self.options.directories || self.options.only_directories,
                FileType::RegularFile | FileType::Symlink => !self.options.only_directories,
                _ => {
                    if !self.options.only_directories {
                        let what = kind_name(file_type);
                        notes.add(&self.absolute(&path), &format!("{what}, not a file; left out"));
                    }
                    false
                }
            };
        if let Some(stat) = stat.as_ref().filter(|_| wanted) {
            found(Match { path: &self.absolute(&path), by: &by, stat, target });
        }
        if is_directory {
            self.descend(path, below, at, linked, notes);
        }
    }

    fn descend(&mut self, path: Vec<u8>, below: Vec<Progress>, at: &Directory, linked: bool, notes: &mut Notes) {
        let progress: Vec<Progress> = self
            .patterns
            .iter()
            .zip(below)
            .map(|(pattern, progress)| match progress {
                Progress::Matching(states) => {
                    let states = pattern.advance(&states, b"/");
                    if states.is_dead() { Progress::Nothing } else { Progress::Matching(states) }
                }
                other => other,
            })
            .collect();
        if progress.iter().all(|progress| matches!(progress, Progress::Nothing)) {
            return;
        }
        if path.len() > MAX_PATH {
            return notes.add(&self.absolute(&path), "too deep; what is below is left out");
        }
        self.pending.push(Directory { path, progress, ancestors: at.ancestors.clone(), linked });
    }

    /// What becomes of a link.
    fn link(&self, fd: BorrowedFd<'_>, name: &[u8], path: &[u8], at: &Directory) -> Link {
        if self.options.links != Links::Follow {
            let target = match rustix::fs::readlinkat(fd, name, Vec::new()) {
                Ok(target) => target.into_bytes(),
                Err(error) => return Link::Nowhere(error),
            };
            let directory = self.absolute(&at.path);
            if self.options.links == Links::Keep || points_inside(&self.options.base, &directory, &target) {
                return Link::Stays(target);
            }
        }
        // A link to a link to … is followed by the kernel, which gives up on loops.
        match rustix::fs::statat(fd, name, AtFlags::empty()) {
            Ok(stat) if path.len() <= MAX_PATH => Link::Leads(Box::new(stat)),
            Ok(_) => Link::Nowhere(Errno::NAMETOOLONG),
            Err(error) => Link::Nowhere(error),
        }
    }
}

enum Link {
    /// It is kept: its text.
    Stays(Vec<u8>),
    /// It is followed: what is at its end.
    Leads(Box<Stat>),
    /// It is left out.
    Nowhere(Errno),
}

/// Whether a link in `directory` with this text points into `base`, by the names alone.
fn points_inside(base: &[u8], directory: &[u8], target: &[u8]) -> bool {
    let absolute = if target.first() == Some(&b'/') { target.to_vec() } else { join(directory, target) };
    let mut components: Vec<&[u8]> = Vec::new();
    for component in absolute.split(|b| *b == b'/') {
        match component {
            b"" | b"." => {}
            b".." => drop(components.pop()),
            _ => components.push(component),
        }
    }
    components.starts_with(&base.split(|b| *b == b'/').filter(|c| !c.is_empty()).collect::<Vec<_>>())
}

fn kind_name(file_type: FileType) -> &'static str {
    match file_type {
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "of an unknown kind",
    }
}

/// Whether a file system holds no files of its own: `**/*` from the root must not read `/proc`.
fn is_virtual(fd: &OwnedFd) -> bool {
    const VIRTUAL: [u64; 9] = [
        0x9fa0,      // proc
        0x6265_6572, // sysfs
        0x0027_e0eb, // cgroup
        0x6367_7270, // cgroup2
        0x1cd1,      // devpts
        0x6462_6720, // debugfs
        0x7472_6163, // tracefs
        0x7363_6673, // securityfs
        0xcafe_4a11, // bpf
    ];
    rustix::fs::fstatfs(fd).is_ok_and(|stat| u64::try_from(stat.f_type).is_ok_and(|magic| VIRTUAL.contains(&magic)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_judged_by_where_they_point() {
        let inside =
            |directory: &str, target: &str| points_inside(b"/src/app", directory.as_bytes(), target.as_bytes());
        assert!(inside("/src/app/lib", "x.so.1") && inside("/src/app/lib", "../bin/x") && inside("/x", "/src/app/y"));
        assert!(!inside("/src/app/lib", "../../other") && !inside("/src/app", "/etc/passwd"));
        assert!(!inside("/src/app", "../application/x"));
    }

    #[test]
    fn notes_are_bounded() {
        let mut notes = Notes::default();
        for _ in 0..100 {
            notes.add(&[0xff; 5000], "x");
        }
        assert_eq!(notes.0.len(), MAX_NOTES);
        assert!(notes.0.iter().all(|note| note.chars().count() < MAX_NAME + 10));
    }
}
