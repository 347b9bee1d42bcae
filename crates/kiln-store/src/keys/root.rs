//! The file with the root key.
//!
//! Text, so that it can be kept on paper: a first line `kiln root key 1`, then a line `<id> <key>` in hexadecimal for each
//! root key, the newest first. There is more than one only while the root key is being replaced.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use zeroize::Zeroizing;

use super::{Context, KeyError, canonical, key_from, random_key};
use crate::{
    atomic,
    chunked::{self, Key},
    metadata::KeyVersionRecord,
};

const NAME: &str = "root.key";
const FIRST_LINE: &str = "kiln root key 1";
const MAX_BYTES: u64 = 4096;
const PURPOSE: &str = "key version";

/// The root keys.
pub(super) struct Roots {
    path: PathBuf,
    /// The newest first; never empty.
    keys: Vec<(String, Arc<Key>)>,
}

impl Roots {
    /// Reads the file; makes it when it is missing and `may_make`.
    pub(super) fn open(directory: &Path, may_make: bool) -> Result<Self, KeyError> {
        let path = directory.join(NAME);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound && may_make => {
                fs::DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(directory)
                    .map_err(|e| failed("make", directory, e))?;
                let roots = Self { path, keys: vec![new_root()?] };
                roots.write()?;
                return Ok(roots);
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(KeyError::RootMissing { path }),
            Err(e) => return Err(failed("open", &path, e)),
        };
        let mode = file.metadata().map_err(|e| failed("read", &path, e))?.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyError::RootOpen { path, mode });
        }
        let mut text = Zeroizing::new(String::new());
        (&mut file).take(MAX_BYTES).read_to_string(&mut text).map_err(|e| failed("read", &path, e))?;
        match parse(&text) {
            Ok(keys) => Ok(Self { path, keys }),
            Err(what) => Err(KeyError::RootDamaged { path, what }),
        }
    }

    /// Writes the file, whole or not at all; synced when it returns.
    pub(super) fn write(&self) -> Result<(), KeyError> {
        let mut text = Zeroizing::new(format!("{FIRST_LINE}\n"));
        for (id, key) in &self.keys {
            text.push_str(id);
            text.push(' ');
            push_hex(&mut text, key.as_slice());
            text.push('\n');
        }
        atomic::write(&self.path, text.as_bytes()).map_err(|e| failed("write", &self.path, e))
    }

    /// With a new root key in front.
    pub(super) fn with_new(&self) -> Result<Self, KeyError> {
        let mut keys = vec![new_root()?];
        keys.extend(self.keys.iter().cloned());
        Ok(Self { path: self.path.clone(), keys })
    }

    /// With the newest root key only.
    pub(super) fn newest_only(&self) -> Self {
        Self { path: self.path.clone(), keys: self.keys.iter().take(1).cloned().collect() }
    }

    /// Wraps a version of a key with the newest root key: the root key's id, then the sealed message.
    pub(super) fn wrap(&self, key: &str, version: i64, material: &Key) -> Result<Vec<u8>, KeyError> {
        let (id, root) = self.keys.first().ok_or(KeyError::Library)?;
        let mut wrapped = id.as_bytes().to_vec();
        wrapped.append(&mut chunked::seal(root, &context(id, key, version), material.as_slice())?);
        Ok(wrapped)
    }

    /// Unwraps a version of a key.
    pub(super) fn unwrap(&self, record: &KeyVersionRecord) -> Result<Key, KeyError> {
        let found =
            self.keys.iter().find_map(|(id, root)| Some((id, root, record.wrapped.strip_prefix(id.as_bytes())?)));
        let Some((id, root, message)) = found else {
            return Err(KeyError::OtherRoot {
                key: record.key.clone(),
                version: record.version,
                path: self.path.clone(),
            });
        };
        let opened = chunked::open(root, &context(id, &record.key, record.version), message);
        opened
            .ok()
            .and_then(|bytes| key_from(&bytes))
            .ok_or_else(|| KeyError::Refused(format!("version {} of key {}", record.version, record.key)))
    }
}

fn context(root: &str, key: &str, version: i64) -> Vec<u8> {
    canonical(PURPOSE, key, version, &Context::new().with("root", root))
}

fn new_root() -> Result<(String, Arc<Key>), KeyError> {
    let mut id = [0; 8];
    aws_lc_rs::rand::fill(&mut id).map_err(|_| KeyError::Library)?;
    let mut text = String::new();
    push_hex(&mut text, &id);
    Ok((text, Arc::new(random_key()?)))
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for half in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(half), 16));
        }
    }
}

fn from_hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let bytes: Option<Vec<u8>> = pairs.iter().map(|[a, b]| Some(digit(*a)? << 4 | digit(*b)?)).collect();
    bytes.map(Zeroizing::new)
}

fn parse(text: &str) -> Result<Vec<(String, Arc<Key>)>, String> {
    let mut lines = text.lines();
    if lines.next() != Some(FIRST_LINE) {
        return Err(format!("its first line is not '{FIRST_LINE}'"));
    }
    let mut keys = Vec::new();
    for (line, number) in lines.zip(2..) {
        let bad = || format!("line {number} is not an id of 16 and a key of 64 hexadecimal digits");
        let (id, key) = line.split_once(' ').ok_or_else(bad)?;
        let key = from_hex(key).and_then(|bytes| key_from(&bytes)).ok_or_else(bad)?;
        if id.len() != 16 || from_hex(id).is_none() {
            return Err(bad());
        }
        keys.push((id.to_owned(), Arc::new(key)));
    }
    if keys.is_empty() { Err("it has no key".to_owned()) } else { Ok(keys) }
}

fn failed(doing: &'static str, path: &Path, source: io::Error) -> KeyError {
    KeyError::Io { doing, path: path.to_owned(), source: Arc::new(source) }
}
