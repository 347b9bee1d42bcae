//! What is carried from command to command: variables and the working directory (`buildspec.md` 2.2).
//!
//! Each command is a process of its own. Its script loads the variables from `env.sh`, and at its end writes them back
//! with the shell's `export -p`. In between they are parsed and held here, so that a file that a build damaged cannot
//! end more than the state of one command, a shell may read what another one wrote, and what no script can set again
//! (bash's read-only variables) does not come back as an error message.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{self, Read, Write},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use kiln_wire::agent::STATE_DIR;
use rustix::{
    fs::{CWD, Mode, OFlags},
    io::Errno,
};

use crate::sys::Credentials;

mod export;

/// Largest state file that is read back.
const MAX_STATE: usize = 16 << 20;

/// Variables that bash refuses to set, or that belong to one process.
const NOT_CARRIED: &[&[u8]] = &[b"BASHOPTS", b"BASH_VERSINFO", b"EUID", b"PPID", b"SHELLOPTS", b"UID", b"_"];

/// Variables by name; any bytes but NUL.
pub(crate) type Variables = BTreeMap<Vec<u8>, Vec<u8>>;

/// The carried state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Variables that a shell can carry.
    variables: Variables,
    /// Variables with names that no shell can set: given to each process.
    foreign: Variables,
    /// Working directory, absolute.
    directory: PathBuf,
}

/// True for a name that a shell can assign to.
pub(crate) fn is_shell_name(name: &[u8]) -> bool {
    let (Some(first), true) = (name.first(), name.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')) else {
        return false;
    };
    !first.is_ascii_digit()
}

impl State {
    /// The state before the first command.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, ..Self::default() }
    }

    /// Sets a variable. A name that no process can have (empty, or with `=` or NUL) is passed over.
    pub(crate) fn set(&mut self, name: &[u8], value: &[u8]) {
        // A value ends at a NUL, as it would in any environment.
        let value = value.split(|b| *b == 0).next().unwrap_or_default().to_vec();
        if is_shell_name(name) {
            self.variables.insert(name.to_vec(), value);
        } else if !name.is_empty() && !name.contains(&b'=') && !name.contains(&0) {
            self.foreign.insert(name.to_vec(), value);
        }
    }

    /// A variable's value.
    pub(crate) fn get(&self, name: &[u8]) -> Option<&[u8]> {
        if name == b"PWD" {
            return Some(self.directory.as_os_str().as_bytes());
        }
        self.variables.get(name).or_else(|| self.foreign.get(name)).map(Vec::as_slice)
    }

    /// Values of the variables whose names begin so.
    pub(crate) fn values_of<'a>(&'a self, prefix: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.variables.iter().filter(move |(name, _)| name.starts_with(prefix)).map(|(_, value)| value.as_slice())
    }

    /// Working directory of the next command.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// What a process is started with: the variables that `env.sh` cannot hold.
    pub(crate) fn process_environment(&self) -> Vec<(OsString, OsString)> {
        let text = |bytes: &Vec<u8>| OsString::from_vec(bytes.clone());
        self.foreign.iter().map(|(name, value)| (text(name), text(value))).collect()
    }

    /// Every variable, for a process that loads no `env.sh`.
    pub(crate) fn whole_environment(&self) -> Vec<(OsString, OsString)> {
        let text = |bytes: &Vec<u8>| OsString::from_vec(bytes.clone());
        self.foreign.iter().chain(&self.variables).map(|(name, value)| (text(name), text(value))).collect()
    }

    /// Writes the state where a shell finds it. `owner` may change the files: the shell writes them back.
    ///
    /// # Errors
    /// When a file cannot be made.
    pub(crate) fn write(&self, place: &Place, owner: Option<&Credentials>) -> io::Result<()> {
        let mut text = Vec::with_capacity(4096);
        // PWD is set by the `cd` of the script, to where it really is.
        for (name, value) in self.variables.iter().filter(|(name, _)| name.as_slice() != b"PWD") {
            text.extend_from_slice(b"export ");
            text.extend_from_slice(name);
            text.push(b'=');
            quote(value, &mut text);
            text.push(b'\n');
        }
        write_new(&place.environment, &text, 0o600, owner)?;
        let mut directory = self.directory.as_os_str().as_bytes().to_vec();
        directory.push(b'\n');
        write_new(&place.directory, &directory, 0o600, owner)
    }

    /// Takes over what a command left behind.
    ///
    /// # Errors
    /// Why the files are of no use; the state is then as before.
    pub(crate) fn read(&mut self, place: &Place) -> Result<(), StateError> {
        let damaged = |path: &Path, problem: String| StateError { path: path.to_path_buf(), problem };
        let text = read_bounded(&place.environment, MAX_STATE)
            .map_err(|error| damaged(&place.environment, error.to_string()))?;
        let mut variables = export::parse(&text)
            .map_err(|error| damaged(&place.environment, format!("line {}: {}", error.line, error.problem)))?;
        variables.retain(|name, _| !NOT_CARRIED.contains(&name.as_slice()));
        let mut directory =
            read_bounded(&place.directory, MAX_STATE).map_err(|error| damaged(&place.directory, error.to_string()))?;
        if directory.last() == Some(&b'\n') {
            directory.pop();
        }
        if directory.first() != Some(&b'/') || directory.contains(&0) {
            return Err(damaged(&place.directory, "not an absolute path".into()));
        }
        self.variables = variables;
        self.directory = PathBuf::from(OsString::from_vec(directory));
        Ok(())
    }
}

/// A state file cannot be used.
#[derive(Debug)]
pub(crate) struct StateError {
    /// Which file.
    pub(crate) path: PathBuf,
    /// What is wrong with it.
    pub(crate) problem: String,
}

/// The two files of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Variables, as shell commands.
    pub(crate) environment: PathBuf,
    /// Working directory, one line.
    pub(crate) directory: PathBuf,
}

impl Place {
    /// The state that the next command starts from.
    pub(crate) fn current() -> Self {
        let base = Path::new(STATE_DIR);
        Self { environment: base.join("env.sh"), directory: base.join("dir.txt") }
    }

    /// A saved state; `None` when the name is not one (`[a-z_]+`, at most 64).
    pub(crate) fn saved(name: &str) -> Option<Self> {
        if name.is_empty() || name.len() > 64 || !name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            return None;
        }
        let base = Path::new(STATE_DIR);
        Some(Self { environment: base.join(format!("env-{name}.sh")), directory: base.join(format!("dir-{name}.txt")) })
    }
}

/// Appends a word that a shell reads as exactly these bytes.
pub(crate) fn quote(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'\'');
    for &byte in value {
        if byte == b'\'' {
            out.extend_from_slice(b"'\\''");
        } else {
            out.push(byte);
        }
    }
    out.push(b'\'');
}

/// Writes a file that was not there before, whatever a build put at its place.
///
/// # Errors
/// When the place cannot be freed (a directory) or the file not be written.
pub(crate) fn write_new(path: &Path, bytes: &[u8], mode: u32, owner: Option<&Credentials>) -> io::Result<()> {
    match rustix::fs::unlink(path) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = std::fs::File::from(rustix::fs::openat(CWD, path, flags, Mode::from_raw_mode(mode))?);
    if let Some(owner) = owner {
        rustix::fs::fchown(&file, Some(owner.uid), Some(owner.gid))?;
    }
    file.write_all(bytes)
}

/// Reads a regular file of at most `limit` bytes, and never waits for a FIFO or a device.
///
/// # Errors
/// When it cannot be opened, is something else, or is larger.
pub(crate) fn read_bounded(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    read_opened(rustix::fs::openat(CWD, path, flags, Mode::empty())?.into(), limit)
}

/// As [`read_bounded`], of an open file.
pub(crate) fn read_opened(file: std::fs::File, limit: usize) -> io::Result<Vec<u8>> {
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(io::Error::other(format!("larger than {limit} bytes")));
    }
    Ok(bytes)
}
