//! Keys as material of the Key Management Service: what they encrypt for its callers, and changes of all versions at once.

use aws_lc_rs::digest::{SHA256, digest};
use zeroize::Zeroizing;

use super::{Context, KeyError, Keys, MAX_KEY_ID, Version, envelope, parse};
use crate::{
    StoreError, Tx, chunked,
    metadata::{self, KeyVersionState},
};

/// Purpose of what callers have encrypted: it never opens as a data key or a secret of Kiln's own, nor they as this.
const CALLERS: &str = "kms";

/// What to do with the versions of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Make a new version, which seals from then on; the first one of a key that is not there.
    NewVersion {
        /// Time of its creation.
        now_ms: i64,
    },
    /// Enable, disable or destroy all versions.
    State(KeyVersionState),
}

/// Something that a caller has encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed<'a> {
    /// Name of the key that it says.
    pub key: &'a str,
    /// Version of the key that it says.
    pub version: i64,
    bytes: &'a [u8],
}

impl<'a> Sealed<'a> {
    /// Reads what it says of itself, of which nothing is proved yet; `None` for what was not encrypted here.
    #[must_use]
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (key, version, _) = parse(bytes)?;
        Some(Self { key, version, bytes })
    }
}

impl Keys {
    /// Changes the versions of a key, and whatever `work` changes, in one transaction. `work` comes first; its error
    /// leaves everything as it was. Returns what it returned, and the number of the key's newest version.
    ///
    /// The caller drives the future to its end: the versions in memory change after the commit.
    ///
    /// # Errors
    /// Those of `work`; [`KeyError::BadId`] for what cannot be the name of a key; or when it cannot be stored.
    pub async fn change<T, E, F>(&self, key: &str, change: Change, work: F) -> Result<(T, i64), E>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + From<KeyError> + Send + 'static,
    {
        let _ordered = self.shared.changes.lock().await;
        let name = key.to_owned();
        match change {
            Change::NewVersion { now_ms } => {
                if key.is_empty() || key.len() > MAX_KEY_ID {
                    return Err(KeyError::BadId(name).into());
                }
                let number = self.highest(key) + 1;
                let (record, version) = self.new_version(key, number, now_ms)?;
                let work = move |tx: &mut Tx<'_>| {
                    let value = work(tx)?;
                    tx.put_key_version(&record)?;
                    Ok::<_, E>(value)
                };
                let value = self.shared.metadata.transact(work).await?;
                self.keep(key, number, version);
                Ok((value, number))
            }
            Change::State(state) => {
                let work = move |tx: &mut Tx<'_>| {
                    let value = work(tx)?;
                    for mut record in tx.key_versions(&name)? {
                        if record.state == KeyVersionState::Destroyed {
                            continue;
                        }
                        record.state = state;
                        if state == KeyVersionState::Destroyed {
                            record.wrapped.clear();
                        }
                        tx.put_key_version(&record)?;
                    }
                    Ok::<_, E>(value)
                };
                let value = self.shared.metadata.transact(work).await?;
                let newest = self.highest(key);
                for number in 1..=newest {
                    if let Ok(found) = self.version(key, number)
                        && found.state != KeyVersionState::Destroyed
                    {
                        let material = if state == KeyVersionState::Destroyed { None } else { found.key };
                        self.keep(key, number, Version { key: material, state });
                    }
                }
                Ok((value, newest))
            }
        }
    }

    /// As [`Self::change`], for callers without an executor: waits on this thread.
    ///
    /// # Errors
    /// As [`Self::change`].
    pub fn change_blocking<T, E, F>(&self, key: &str, change: Change, work: F) -> Result<(T, i64), E>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + From<KeyError> + Send + 'static,
    {
        metadata::wait(self.change(key, change, work))
    }

    /// Encrypts something small for a caller, with the newest version of a key; what comes out names both. Returns it with
    /// the version.
    ///
    /// # Errors
    /// [`KeyError::NotFound`], [`KeyError::Disabled`], [`KeyError::Destroyed`].
    pub fn encrypt(&self, key: &str, context: &Context, plain: &[u8]) -> Result<(Vec<u8>, i64), KeyError> {
        let (version, material) = self.newest(key)?;
        let mut sealed = envelope(key, version)?;
        sealed.append(&mut chunked::seal(&material, &super::canonical(CALLERS, key, version, context), plain)?);
        Ok((sealed, version))
    }

    /// Opens what [`Self::encrypt`] gave for the same context. The result is wiped when it is dropped.
    ///
    /// # Errors
    /// [`KeyError::Refused`] for changed bytes and for another context; [`KeyError::NotFound`], [`KeyError::Disabled`],
    /// [`KeyError::Destroyed`].
    pub fn decrypt(&self, sealed: Sealed<'_>, context: &Context) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        self.open_sealed(CALLERS, context, sealed.bytes)
    }

    /// What a version of a key is called where callers see versions: 64 digits that say nothing of its bytes.
    #[must_use]
    pub fn material_id(key: &str, version: i64) -> String {
        let id = digest(&SHA256, format!("kiln key material 1 {key} {version}").as_bytes());
        id.as_ref()
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .filter_map(|d| char::from_digit(d.into(), 16))
            .collect()
    }

    /// Random bytes.
    ///
    /// # Errors
    /// When the operating system gives none.
    pub fn random(length: usize) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let mut bytes = Zeroizing::new(vec![0; length]);
        aws_lc_rs::rand::fill(&mut bytes).map_err(|_| KeyError::Library)?;
        Ok(bytes)
    }
}
