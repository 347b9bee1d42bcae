//! The chain that records form, and its key.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::hmac;

use super::error::{AuditError, io as io_error};
use crate::{
    atomic,
    keys::{KeyError, Keys},
};

/// Bytes of a chain value.
pub(super) const LENGTH: usize = 32;
/// What a record proves of all before it.
pub(super) type Chain = [u8; LENGTH];

/// What the first file of all continues.
pub(super) const NOTHING: Chain = [0; LENGTH];

/// The key's file in `keys/`.
const NAME: &str = "audit.key";
/// First byte of the file.
const FORM: u8 = 1;
/// What the key is sealed for.
const PURPOSE: &str = "audit.chain";

/// The key of the chain.
#[derive(Clone)]
pub(super) struct ChainKey(Arc<hmac::Key>);

/// The key's file: the form, whether the log was begun, and the sealed key.
pub(super) struct KeyFile {
    path: PathBuf,
    pub(super) key: ChainKey,
    sealed: Vec<u8>,
    /// There was a log when the file was last written: one that is missing was removed.
    pub(super) is_begun: bool,
}

impl KeyFile {
    /// The key of a log; a new one if there is neither a key nor a log.
    pub(super) fn open(keys_directory: &Path, log: &Path, keys: &Keys) -> Result<Self, AuditError> {
        if let Some(found) = Self::find(keys_directory, log, keys)? {
            return Ok(found);
        }
        let path = keys_directory.join(NAME);
        let failed = |source: KeyError| AuditError::Key { path: path.clone(), source };
        let material = Keys::random(LENGTH).map_err(failed)?;
        let sealed = keys.seal_small(PURPOSE, NAME, &material).map_err(failed)?;
        let file = Self { path, key: ChainKey::new(&material), sealed, is_begun: false };
        file.write()?;
        Ok(file)
    }

    /// The key of a log; `None` when there is neither a key nor a log.
    pub(super) fn find(keys_directory: &Path, log: &Path, keys: &Keys) -> Result<Option<Self>, AuditError> {
        let path = keys_directory.join(NAME);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return if is_empty(log)? {
                    Ok(None)
                } else {
                    Err(AuditError::KeyMissing { key: path, directory: log.to_owned() })
                };
            }
            Err(e) => return Err(io_error("read", &path, e)),
        };
        let failed = |source: KeyError| AuditError::Key { path: path.clone(), source };
        let Some(([FORM, is_begun @ (0 | 1)], sealed)) = bytes.split_first_chunk::<2>() else {
            return Err(failed(KeyError::Refused("the key of the audit log".to_owned())));
        };
        let material = keys.open_small(PURPOSE, NAME, sealed).map_err(failed)?;
        let (key, sealed, is_begun) = (ChainKey::new(&material), sealed.to_vec(), *is_begun == 1);
        Ok(Some(Self { path, key, sealed, is_begun }))
    }

    /// Says that there is a log now.
    pub(super) fn begun(mut self) -> Result<(), AuditError> {
        if self.is_begun {
            return Ok(());
        }
        self.is_begun = true;
        self.write()
    }

    fn write(&self) -> Result<(), AuditError> {
        let bytes = [&[FORM, u8::from(self.is_begun)], self.sealed.as_slice()].concat();
        atomic::write(&self.path, &bytes).map_err(|e| io_error("write", &self.path, e))
    }
}

impl ChainKey {
    pub(super) fn new(material: &[u8]) -> Self {
        Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, material)))
    }

    /// What the header of a file begins.
    pub(super) fn begin(&self, header: &[u8]) -> Chain {
        self.of(&[b"file ", header])
    }

    /// What follows `before` with that record.
    pub(super) fn next(&self, before: &Chain, sequence: u64, record: &[u8]) -> Chain {
        self.of(&[b"record ", before, &sequence.to_le_bytes(), record])
    }

    /// What proves that the content of the head is Kiln's.
    pub(super) fn head(&self, content: &[u8]) -> Chain {
        self.of(&[b"head ", content])
    }

    fn of(&self, parts: &[&[u8]]) -> Chain {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        let mut chain = NOTHING;
        for (to, from) in chain.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        chain
    }
}

fn is_empty(log: &Path) -> Result<bool, AuditError> {
    match fs::read_dir(log) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(e) => Err(io_error("read", log, e)),
    }
}

/// As it stands in files.
pub(super) fn to_text(chain: &Chain) -> String {
    hex::encode(chain)
}

pub(super) fn from_text(text: &[u8]) -> Option<Chain> {
    let mut chain = NOTHING;
    hex::decode_to_slice(text, &mut chain).ok()?;
    Some(chain)
}
