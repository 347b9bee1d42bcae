//! Keys: a root key in a file wraps versions of keys in the database, which wrap data keys and small secrets
//! (`security.md` 3.2).
//!
//! ```text
//! keys/root.key, 0600            wraps
//! versions of a key (database)   wrap
//! a data key per blob            encrypts the blob            secrets in rows: sealed by a version directly
//! ```
//!
//! Everything is sealed by the construction of module `chunked`: a random salt of 24 bytes makes a key for each item, so
//! that no version ever comes near a limit of nonces, and the context (purpose, key, version, and what the caller says
//! the item is) is bound to it. What is sealed for one row or object does not open for another.
//!
//! Sealed form: version byte 1, length of the key's id, the id, version u32 LE, then the sealed message.

mod material;
mod root;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use zeroize::Zeroizing;

pub use self::material::{Change, Sealed};
use self::root::Roots;
use crate::{
    Metadata, StoreError,
    chunked::{self, KEY, Key},
    metadata::{KeyVersionRecord, KeyVersionState},
};

/// The key of objects for which none is named: what AWS shows as `alias/aws/s3`.
pub const DEFAULT_KEY: &str = "aws/s3";
/// The key of secrets in rows.
const SECRETS_KEY: &str = "kiln/secrets";
/// Longest id of a key.
const MAX_KEY_ID: usize = 200;
/// First byte of what is sealed.
const FORM: u8 = 1;

/// A key that cannot be used, or something that it does not open.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The root key is gone, and there are things that it sealed.
    #[error(
        "{} is missing: without it nothing that Kiln has sealed can be opened; bring it back from a backup with 'kiln restore'",
        .path.display()
    )]
    RootMissing {
        /// Its file.
        path: PathBuf,
    },
    /// The root key's file is not one.
    #[error("{} is damaged: {what}; bring it back from a backup with 'kiln restore'", .path.display())]
    RootDamaged {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Others than the owner may read the root key.
    #[error("{} may be read by others (mode {mode:o}): make it private with 'chmod 600'", .path.display())]
    RootOpen {
        /// Its file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A key version was wrapped by another root key.
    #[error("version {version} of key {key} was wrapped by another root key than the one in {}", .path.display())]
    OtherRoot {
        /// The key.
        key: String,
        /// Its version.
        version: i64,
        /// The root key's file.
        path: PathBuf,
    },
    /// No such key, or not this version of it.
    #[error("there is no key {0}")]
    NotFound(String),
    /// The version may not be used.
    #[error("version {version} of key {key} is disabled: enable it to open what it sealed")]
    Disabled {
        /// The key.
        key: String,
        /// Its version.
        version: i64,
    },
    /// The version is gone for good.
    #[error("version {version} of key {key} was destroyed: what it sealed cannot be opened any more")]
    Destroyed {
        /// The key.
        key: String,
        /// Its version.
        version: i64,
    },
    /// Changed bytes, or sealed for something else.
    #[error("{0} is damaged, or was sealed for something else")]
    Refused(String),
    /// The id cannot be a key's.
    #[error("'{0}' cannot be the id of a key")]
    BadId(String),
    /// The operating system gave no random numbers, or the library failed.
    #[error("the encryption library failed")]
    Library,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The root key's file cannot be used.
    #[error("cannot {doing} {}", .path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<std::io::Error>,
    },
}

impl From<chunked::Refused> for KeyError {
    fn from(_: chunked::Refused) -> Self {
        Self::Library
    }
}

/// What a sealed thing is: pairs of names and values, the same when sealing and when opening.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context(BTreeMap<String, String>);

impl Context {
    /// Without any pair.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more pair, or another value for a name.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// The pairs, by name.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// A key for one blob, and its sealed form that is stored beside the blob.
pub(crate) struct DataKey {
    pub(crate) key: Key,
    pub(crate) wrapped: Vec<u8>,
}

/// The keys of a data directory. Cheap to clone.
#[derive(Clone)]
pub struct Keys {
    shared: Arc<Shared>,
}

struct Shared {
    metadata: Metadata,
    roots: RwLock<Roots>,
    versions: RwLock<BTreeMap<(String, i64), Version>>,
    /// Held from before a change is stored until it is in `versions`: they change in the same order.
    changes: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Version {
    /// `None` once destroyed.
    key: Option<Arc<Key>>,
    state: KeyVersionState,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

impl Keys {
    /// Opens the keys of a data directory: `directory` is its `keys/`. Makes the root key, and the keys that Kiln itself
    /// needs, when nothing was sealed yet.
    ///
    /// # Errors
    /// [`KeyError`]; a root key that is missing or another one is refused, never replaced.
    pub fn open(directory: &Path, metadata: &Metadata, now_ms: i64) -> Result<Self, KeyError> {
        let stored = metadata.read(|view| view.all_key_versions())?;
        let roots = Roots::open(directory, stored.is_empty())?;
        let mut versions = BTreeMap::new();
        for record in stored {
            let key = match record.state {
                KeyVersionState::Destroyed => None,
                KeyVersionState::Enabled | KeyVersionState::Disabled => Some(Arc::new(roots.unwrap(&record)?)),
            };
            versions.insert((record.key, record.version), Version { key, state: record.state });
        }
        let shared = Shared {
            metadata: metadata.clone(),
            roots: RwLock::new(roots),
            versions: RwLock::new(versions),
            changes: tokio::sync::Mutex::default(),
        };
        let keys = Self { shared: Arc::new(shared) };
        let mut made = Vec::new();
        for key in [DEFAULT_KEY, SECRETS_KEY] {
            // A key whose versions are all disabled stays so.
            if keys.highest(key) == 0 {
                let (record, version) = keys.new_version(key, 1, now_ms)?;
                keys.keep(key, 1, version);
                made.push(record);
            }
        }
        if !made.is_empty() {
            keys.shared
                .metadata
                .write_blocking(move |tx| made.iter().try_for_each(|record| tx.put_key_version(record)))?;
        }
        Ok(keys)
    }

    /// Makes a new version of a key, which seals from then on; a new key when there was none. Returns the version.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn rotate(&self, key: &str, now_ms: i64) -> Result<i64, KeyError> {
        self.change(key, Change::NewVersion { now_ms }, |_| Ok(())).await.map(|((), number)| number)
    }

    /// Enables or disables a version of a key, or destroys it, which cannot be taken back.
    ///
    /// # Errors
    /// [`KeyError::NotFound`], [`KeyError::Destroyed`], or when it cannot be stored.
    pub async fn set_state(&self, key: &str, version: i64, state: KeyVersionState) -> Result<(), KeyError> {
        let _ordered = self.shared.changes.lock().await;
        let found = self.version(key, version)?;
        if found.state == KeyVersionState::Destroyed {
            return Err(KeyError::Destroyed { key: key.to_owned(), version });
        }
        let id = key.to_owned();
        self.shared
            .metadata
            .write(move |tx| {
                let mut record = tx
                    .key_versions(&id)?
                    .into_iter()
                    .find(|v| v.version == version)
                    .ok_or_else(|| StoreError::NotFound(format!("version {version} of key {id}")))?;
                record.state = state;
                if state == KeyVersionState::Destroyed {
                    record.wrapped.clear();
                }
                tx.put_key_version(&record)
            })
            .await?;
        let material = if state == KeyVersionState::Destroyed { None } else { found.key };
        self.keep(key, version, Version { key: material, state });
        Ok(())
    }

    /// Replaces the root key and wraps all versions anew. Until that is done both root keys are in the file, so that it
    /// may be interrupted at any moment, and be repeated. Backups need the root key of their time.
    ///
    /// # Errors
    /// When the file or the database cannot be written.
    pub async fn rotate_root(&self) -> Result<(), KeyError> {
        let _ordered = self.shared.changes.lock().await;
        let roots = self.shared.roots.read().unwrap_or_else(PoisonError::into_inner).with_new()?;
        roots.write()?;
        let (roots, records) = (Arc::new(roots), self.shared.metadata.read(|view| view.all_key_versions())?);
        let wrapping = Arc::clone(&roots);
        let mut wrapped = Vec::new();
        for mut record in records {
            if record.state != KeyVersionState::Destroyed {
                let key = wrapping.unwrap(&record)?;
                record.wrapped = wrapping.wrap(&record.key, record.version, &key)?;
                wrapped.push(record);
            }
        }
        self.shared
            .metadata
            .write(move |tx| {
                for record in &wrapped {
                    let current = tx.key_versions(&record.key)?;
                    // Destroyed or disabled meanwhile: that stays.
                    let Some(now) = current.into_iter().find(|v| v.version == record.version) else { continue };
                    if now.state != KeyVersionState::Destroyed {
                        tx.put_key_version(&KeyVersionRecord { state: now.state, ..record.clone() })?;
                    }
                }
                Ok(())
            })
            .await?;
        let only = roots.newest_only();
        only.write()?;
        *self.shared.roots.write().unwrap_or_else(PoisonError::into_inner) = only;
        Ok(())
    }

    /// Seals a small secret for a row: `purpose` is table and column, `id` the row. What comes out is stored as it is.
    ///
    /// # Errors
    /// When the key that seals secrets is disabled.
    pub fn seal_small(&self, purpose: &str, id: &str, plain: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.seal(SECRETS_KEY, purpose, &row(id), plain)
    }

    /// Opens what [`Self::seal_small`] sealed for the same purpose and row. The result is wiped when it is dropped.
    ///
    /// # Errors
    /// [`KeyError::Refused`] for anything else; [`KeyError::Disabled`] and [`KeyError::Destroyed`].
    pub fn open_small(&self, purpose: &str, id: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.open_sealed(purpose, &row(id), sealed).map_err(|e| match e {
            KeyError::Refused(_) => KeyError::Refused(format!("{purpose} of {id}")),
            e => e,
        })
    }

    /// A new data key, sealed by the newest version of `key`.
    pub(crate) fn new_data_key(&self, key: &str, context: &Context) -> Result<DataKey, KeyError> {
        let data = random_key()?;
        let wrapped = self.seal(key, DATA_KEY, context, data.as_slice())?;
        Ok(DataKey { key: data, wrapped })
    }

    /// Opens a data key.
    pub(crate) fn data_key(&self, wrapped: &[u8], context: &Context) -> Result<Key, KeyError> {
        let opened = self.open_sealed(DATA_KEY, context, wrapped)?;
        key_from(&opened).ok_or_else(|| KeyError::Refused("the data key".to_owned()))
    }

    fn seal(&self, key: &str, purpose: &str, context: &Context, plain: &[u8]) -> Result<Vec<u8>, KeyError> {
        let (number, material) = self.newest(key)?;
        let mut sealed = envelope(key, number)?;
        let context = canonical(purpose, key, number, context);
        sealed.append(&mut chunked::seal(&material, &context, plain)?);
        Ok(sealed)
    }

    fn open_sealed(&self, purpose: &str, context: &Context, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let refused = || KeyError::Refused("what was sealed".to_owned());
        let (key, number, message) = parse(sealed).ok_or_else(refused)?;
        let version = self.version(key, number)?;
        let material = usable(key, number, &version)?;
        chunked::open(material, &canonical(purpose, key, number, context), message).map_err(|_| refused())
    }

    fn version(&self, key: &str, version: i64) -> Result<Version, KeyError> {
        let versions = self.shared.versions.read().unwrap_or_else(PoisonError::into_inner);
        let found = versions.get(&(key.to_owned(), version)).cloned();
        found.ok_or_else(|| KeyError::NotFound(format!("{key} version {version}")))
    }

    /// The version of a key that seals.
    fn newest(&self, key: &str) -> Result<(i64, Arc<Key>), KeyError> {
        let number = self.highest(key);
        if number == 0 {
            return Err(KeyError::NotFound(key.to_owned()));
        }
        let version = self.version(key, number)?;
        usable(key, number, &version).cloned().map(|material| (number, material))
    }

    fn highest(&self, key: &str) -> i64 {
        let versions = self.shared.versions.read().unwrap_or_else(PoisonError::into_inner);
        let range = (key.to_owned(), i64::MIN)..=(key.to_owned(), i64::MAX);
        versions.range(range).next_back().map_or(0, |((_, number), _)| *number)
    }

    fn keep(&self, key: &str, number: i64, version: Version) {
        let mut versions = self.shared.versions.write().unwrap_or_else(PoisonError::into_inner);
        versions.insert((key.to_owned(), number), version);
    }

    fn new_version(&self, key: &str, number: i64, now_ms: i64) -> Result<(KeyVersionRecord, Version), KeyError> {
        let material = random_key()?;
        let wrapped = self.shared.roots.read().unwrap_or_else(PoisonError::into_inner).wrap(key, number, &material)?;
        let state = KeyVersionState::Enabled;
        let record = KeyVersionRecord { key: key.to_owned(), version: number, wrapped, state, created_ms: now_ms };
        Ok((record, Version { key: Some(Arc::new(material)), state }))
    }
}

/// Purpose of data keys of blobs.
const DATA_KEY: &str = "data key";

fn usable<'a>(key: &str, version: i64, found: &'a Version) -> Result<&'a Arc<Key>, KeyError> {
    match (found.state, &found.key) {
        (KeyVersionState::Enabled, Some(material)) => Ok(material),
        (KeyVersionState::Disabled, _) => Err(KeyError::Disabled { key: key.to_owned(), version }),
        _ => Err(KeyError::Destroyed { key: key.to_owned(), version }),
    }
}

fn row(id: &str) -> Context {
    Context::new().with("row", id)
}

fn random_key() -> Result<Key, KeyError> {
    let mut key = Key::new([0; KEY]);
    aws_lc_rs::rand::fill(key.as_mut_slice()).map_err(|_| KeyError::Library)?;
    Ok(key)
}

fn key_from(bytes: &[u8]) -> Option<Key> {
    <[u8; KEY]>::try_from(bytes).ok().map(Key::new)
}

/// One encoding for each context: every text with its length.
fn canonical(purpose: &str, key: &str, version: i64, context: &Context) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut text = |text: &str| {
        bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    };
    text(purpose);
    text(key);
    text(&version.to_string());
    for (name, value) in context.pairs() {
        text(name);
        text(value);
    }
    bytes
}

fn envelope(key: &str, version: i64) -> Result<Vec<u8>, KeyError> {
    let (Ok(length), Ok(version)) = (u8::try_from(key.len()), u32::try_from(version)) else {
        return Err(KeyError::BadId(key.to_owned()));
    };
    let mut bytes = vec![FORM, length];
    bytes.extend_from_slice(key.as_bytes());
    bytes.extend_from_slice(&version.to_le_bytes());
    Ok(bytes)
}

fn parse(sealed: &[u8]) -> Option<(&str, i64, &[u8])> {
    let (length, rest) = sealed.strip_prefix(&[FORM])?.split_first()?;
    let (key, rest) = rest.split_at_checked(usize::from(*length))?;
    let (version, message) = rest.split_first_chunk::<4>()?;
    Some((std::str::from_utf8(key).ok()?, i64::from(u32::from_le_bytes(*version)), message))
}
