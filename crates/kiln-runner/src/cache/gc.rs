//! What is stored, and removing what is not used.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{
    CacheError, CacheStore, at,
    manifest::{Header, Identity, ManifestError, PREFIX, PackId, decode_header, header_len},
};

/// What a cache is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheKind {
    /// Paths that a buildspec names.
    Files,
    /// What a Docker daemon in builds keeps.
    DockerLayers,
    /// A repository that sources are fetched from.
    Source,
}

/// A stored cache, as `kiln cache ls` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheInfo {
    /// What it is of.
    pub kind: CacheKind,
    /// Names it on the command line: hexadecimal, unique in the store.
    pub id: String,
    /// Project or cache namespace.
    pub namespace: String,
    /// `cache/paths`.
    pub paths: Vec<String>,
    /// `cache/key`, if it has one.
    pub key: Option<String>,
    /// When it was saved, nanoseconds since the epoch.
    pub created_ns: i64,
    /// When it was last restored or saved, nanoseconds since the epoch.
    pub used_ns: i64,
    /// Files, links and directories.
    pub entries: u64,
    /// Bytes of content.
    pub bytes: u64,
    /// Bytes on disk of the packs that it uses, some of which other caches may use as well.
    pub stored_bytes: u64,
}

/// What [`CacheStore::prune`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PruneStats {
    /// Caches removed.
    pub removed: u64,
    /// Bytes on disk before.
    pub before: u64,
    /// Bytes on disk after.
    pub after: u64,
}

/// A manifest on disk.
struct OnDisk {
    path: PathBuf,
    header: Header,
    used_ns: i64,
    size: u64,
}

impl CacheStore {
    /// All caches, the one used last first.
    ///
    /// # Errors
    ///
    /// [`CacheError::Io`].
    pub fn list(&self) -> Result<Vec<CacheInfo>, CacheError> {
        let _shared = self.lock(false)?;
        let sizes = self.pack_sizes()?;
        let (mut all, _) = self.on_disk(false)?;
        all.sort_by_key(|m| std::cmp::Reverse(m.used_ns));
        Ok(all
            .into_iter()
            .map(|m| CacheInfo {
                kind: CacheKind::Files,
                id: short_id(&m.path),
                stored_bytes: m.size + m.header.packs.iter().filter_map(|p| sizes.get(p)).sum::<u64>(),
                namespace: m.header.identity.namespace,
                paths: m.header.identity.paths,
                key: m.header.key,
                created_ns: m.header.created_ns,
                used_ns: m.used_ns,
                entries: m.header.entries,
                bytes: m.header.bytes,
            })
            .collect())
    }

    /// Removes the caches whose [`CacheInfo::id`] is in `ids`, and what only they used. Returns what was done.
    ///
    /// # Errors
    ///
    /// [`CacheError::Io`].
    pub fn remove(&self, ids: &[String]) -> Result<PruneStats, CacheError> {
        self.sweep(|all, _| all.iter().filter(|m| ids.contains(&short_id(&m.path))).map(|m| m.path.clone()).collect())
    }

    /// Removes caches until the store takes at most `budget` bytes, those first that were not used for longest; also
    /// packs that no cache uses, and what killed saves left behind more than a day ago (only where the file system has no
    /// nameless files). Waits for the moment in which other processes open or name a cache, not for their builds.
    ///
    /// # Errors
    ///
    /// [`CacheError::Io`].
    pub fn prune(&self, budget: u64, now_ns: i64) -> Result<PruneStats, CacheError> {
        const DAY: i64 = 86_400;
        for item in fs::read_dir(&self.packs).map_err(at(&self.packs))? {
            let path = item.map_err(at(&self.packs))?.path();
            if path.extension().is_some_and(|e| e == "partial")
                && let Some(metadata) = present(fs::symlink_metadata(&path)).map_err(at(&path))?
                && metadata.mtime() < now_ns.div_euclid(1_000_000_000).saturating_sub(DAY)
            {
                remove_file(&path)?;
            }
        }
        self.sweep(|all, sizes| {
            let mut by_age: Vec<&OnDisk> = all.iter().collect();
            by_age.sort_by_key(|m| m.used_ns);
            let mut users: HashMap<PackId, usize> = HashMap::new();
            for pack in all.iter().flat_map(|m| &m.header.packs) {
                *users.entry(*pack).or_default() += 1;
            }
            let mut total: u64 = users.keys().filter_map(|p| sizes.get(p)).sum();
            total += all.iter().map(|m| m.size).sum::<u64>();
            let mut doomed = HashSet::new();
            for manifest in by_age {
                if total <= budget {
                    break;
                }
                doomed.insert(manifest.path.clone());
                total = total.saturating_sub(manifest.size);
                for pack in &manifest.header.packs {
                    if let Some(count) = users.get_mut(pack) {
                        *count -= 1;
                        if *count == 0 {
                            total = total.saturating_sub(sizes.get(pack).copied().unwrap_or(0));
                        }
                    }
                }
            }
            doomed
        })
    }

    /// Removes the manifests that `choose` names and those that are damaged, then every pack that none of the others
    /// uses. What other processes remove meanwhile is as good.
    fn sweep(
        &self,
        choose: impl FnOnce(&[OnDisk], &HashMap<PackId, u64>) -> HashSet<PathBuf>,
    ) -> Result<PruneStats, CacheError> {
        let _exclusive = self.lock(true)?;
        let sizes = self.pack_sizes()?;
        let (all, foreign) = self.on_disk(true)?;
        let mut stats = PruneStats {
            removed: 0,
            before: sizes.values().sum::<u64>() + all.iter().map(|m| m.size).sum::<u64>(),
            after: 0,
        };
        stats.after = stats.before;
        let doomed = choose(&all, &sizes);
        let mut used: HashSet<&PackId> = HashSet::new();
        for manifest in &all {
            if doomed.contains(&manifest.path) {
                remove_file(&manifest.path)?;
                // The identity's directory, when this was its last cache.
                manifest.path.parent().map(fs::remove_dir);
                stats.removed += 1;
                stats.after -= manifest.size;
            } else {
                used.extend(&manifest.header.packs);
            }
        }
        if foreign {
            return Ok(stats); // nobody can tell which packs those need
        }
        for (id, size) in sizes {
            if !used.contains(&id) {
                remove_file(&self.packs.join(hex::encode(id)))?;
                stats.after -= size;
            }
        }
        Ok(stats)
    }

    fn pack_sizes(&self) -> Result<HashMap<PackId, u64>, CacheError> {
        let ids = self.pack_ids()?;
        let mut sizes = HashMap::with_capacity(ids.len());
        for id in ids {
            let path = self.packs.join(hex::encode(id));
            if let Some(metadata) = present(fs::metadata(&path)).map_err(at(&path))? {
                sizes.insert(id, metadata.size());
            }
        }
        Ok(sizes)
    }

    /// All manifests that can be read, and whether there are some of another version. Damaged ones are removed when
    /// `clean` says so: under the exclusive lock nobody is writing one.
    fn on_disk(&self, clean: bool) -> Result<(Vec<OnDisk>, bool), CacheError> {
        let mut all = Vec::new();
        let mut foreign = false;
        for directory in fs::read_dir(&self.manifests).map_err(at(&self.manifests))? {
            let directory = directory.map_err(at(&self.manifests))?.path();
            let Some(list) = present(fs::read_dir(&directory)).map_err(at(&directory))? else { continue };
            for item in list {
                let path = item.map_err(at(&directory))?.path();
                let Some(header) = present(read_header(&path)).map_err(at(&path))? else { continue };
                match header {
                    Ok(header) => {
                        let Some(metadata) = present(fs::metadata(&path)).map_err(at(&path))? else { continue };
                        let used_ns =
                            metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
                        all.push(OnDisk { used_ns, size: metadata.size(), path, header });
                    }
                    Err(ManifestError::Version(_)) => foreign = true,
                    Err(ManifestError::Malformed(_)) if clean => remove_file(&path)?,
                    Err(ManifestError::Malformed(_)) => {}
                }
            }
        }
        Ok((all, foreign))
    }

    /// The headers of an identity's caches. One that cannot be read is left out.
    pub(super) fn headers_of(&self, identity: &Identity) -> Result<Vec<(PathBuf, Header)>, CacheError> {
        let directory = self.identity_dir(identity);
        let Some(list) = present(fs::read_dir(&directory)).map_err(at(&directory))? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for item in list {
            let path = item.map_err(at(&directory))?.path();
            if let Some(Ok(header)) = present(read_header(&path)).map_err(at(&path))? {
                found.push((path, header));
            }
        }
        Ok(found)
    }
}

/// `None` for what is not there (any more).
fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn remove_file(path: &Path) -> Result<(), CacheError> {
    present(fs::remove_file(path)).map(drop).map_err(at(path))
}

/// Reads a manifest's header alone.
fn read_header(path: &Path) -> io::Result<Result<Header, ManifestError>> {
    let mut file = File::open(path)?;
    let mut bytes = Vec::new();
    file.by_ref().take(PREFIX as u64).read_to_end(&mut bytes)?;
    let len = match header_len(&bytes) {
        Ok(len) => len,
        Err(e) => return Ok(Err(e)),
    };
    file.take(len.saturating_sub(bytes.len()) as u64).read_to_end(&mut bytes)?;
    Ok(decode_header(&bytes).map(|(header, _, _)| header))
}

/// 12 hexadecimal digits of a hash of identity and key.
fn short_id(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let identity = path.parent().and_then(Path::file_name).unwrap_or_default().as_encoded_bytes();
    let hash = blake3::hash(&[identity, b"/", name].concat()).to_hex();
    hash.as_str().chars().take(12).collect()
}
