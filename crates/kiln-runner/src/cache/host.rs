//! Everything that builds keep on this host for later ones: caches of buildspecs, the layers of Docker daemons, and mirrors of
//! repositories.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use kiln_engine::container_store::{self, StoreInfo};

use super::{CacheError, CacheInfo, CacheKind, CacheStore, PruneStats, at};
use crate::{
    docker,
    git::{self, MirrorInfo},
};

/// All caches of a host.
#[derive(Debug)]
pub struct HostCaches {
    store: CacheStore,
    /// The data directory; `None`: another store is looked at, beside which there is nothing.
    data: Option<PathBuf>,
}

/// What [`HostCaches::remove`] did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Removed {
    /// In figures.
    pub stats: PruneStats,
    /// Ids of those that are there still, because a build uses them.
    pub in_use: Vec<String>,
}

impl HostCaches {
    /// Opens them; makes the directory of caches where there is none.
    ///
    /// # Errors
    /// [`CacheError::Io`].
    pub fn open(caches: &Path, data: Option<PathBuf>) -> Result<Self, CacheError> {
        Ok(Self { store: CacheStore::open(caches)?, data })
    }

    /// Whether there is something in a data directory besides the store of caches.
    ///
    /// # Errors
    /// [`CacheError::Io`], [`CacheError::Layers`].
    pub fn has_others(data: Option<&Path>) -> Result<bool, CacheError> {
        Ok(!layers(data)?.is_empty() || !mirrors(data)?.is_empty())
    }

    /// Caches of every kind, the one used last first.
    ///
    /// # Errors
    /// [`CacheError::Io`], [`CacheError::Layers`].
    pub fn list(&self) -> Result<Vec<CacheInfo>, CacheError> {
        let mut caches = self.store.list()?;
        let mut add = |kind, name: &str, id: &str, path: String, bytes: u64, used: SystemTime| {
            let used = used.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
            let used_ns = i64::try_from(used).unwrap_or(i64::MAX);
            caches.push(CacheInfo {
                kind,
                id: id.to_owned(),
                namespace: name.to_owned(),
                paths: vec![path],
                key: None,
                created_ns: used_ns,
                used_ns,
                entries: 0,
                bytes,
                stored_bytes: bytes,
            });
        };
        for kept in layers(self.data.as_deref())? {
            if let Some((name, id)) = docker::name_and_id(&kept.dir) {
                let path = container_store::DOCKER_STORE.to_owned();
                add(CacheKind::DockerLayers, name, id, path, kept.bytes, kept.used);
            }
        }
        for mirror in mirrors(self.data.as_deref())? {
            add(CacheKind::Source, &mirror.name, &mirror.id, mirror.url, mirror.bytes, mirror.used);
        }
        caches.sort_by_key(|cache| std::cmp::Reverse(cache.used_ns));
        Ok(caches)
    }

    fn bytes_of_others(&self) -> Result<u64, CacheError> {
        let layers: u64 = layers(self.data.as_deref())?.iter().map(|kept| kept.bytes).sum();
        Ok(layers + mirrors(self.data.as_deref())?.iter().map(|mirror| mirror.bytes).sum::<u64>())
    }

    /// Removes those whose [`CacheInfo::id`] is in `ids`; Docker's layers and mirrors only where no build uses them.
    ///
    /// # Errors
    /// [`CacheError::Io`], [`CacheError::Layers`].
    pub fn remove(&self, ids: &[String]) -> Result<Removed, CacheError> {
        let is_named = |id: &str| ids.iter().any(|named| named == id);
        let before = self.bytes_of_others()?;
        let (mut removed, mut in_use) = (0, Vec::new());
        let mut done = |is_gone: bool, id: &str| if is_gone { removed += 1 } else { in_use.push(id.to_owned()) };
        for kept in layers(self.data.as_deref())? {
            if let Some((_, id)) = docker::name_and_id(&kept.dir).filter(|(_, id)| is_named(id)) {
                done(container_store::remove(&kept.dir)?, id);
            }
        }
        for mirror in mirrors(self.data.as_deref())?.iter().filter(|mirror| is_named(&mirror.id)) {
            done(git::remove(&mirror.dir).map_err(at(&mirror.dir))?, &mirror.id);
        }
        let others = PruneStats { removed, before, after: self.bytes_of_others()? };
        Ok(Removed { stats: sum(self.store.remove(ids)?, others), in_use })
    }

    /// Prunes every kind, each to the same size.
    ///
    /// # Errors
    /// [`CacheError::Io`], [`CacheError::Layers`].
    pub fn prune(&self, budget: u64, now_ns: i64) -> Result<PruneStats, CacheError> {
        let before = self.bytes_of_others()?;
        let mut removed = 0;
        if let Some(data) = &self.data {
            removed += container_store::prune(&docker::stores(data), budget)?;
            removed += git::prune(data, budget).map_err(at(&git::mirrors(data)))?;
        }
        let others = PruneStats { removed, before, after: self.bytes_of_others()? };
        Ok(sum(self.store.prune(budget, now_ns)?, others))
    }
}

/// Layers of Docker daemons.
fn layers(data: Option<&Path>) -> Result<Vec<StoreInfo>, CacheError> {
    Ok(data.map_or(Ok(Vec::new()), |data| container_store::list(&docker::stores(data)))?)
}

/// Mirrors of repositories.
fn mirrors(data: Option<&Path>) -> Result<Vec<MirrorInfo>, CacheError> {
    data.map_or(Ok(Vec::new()), |data| git::list(data).map_err(at(&git::mirrors(data))))
}

fn sum(one: PruneStats, other: PruneStats) -> PruneStats {
    PruneStats {
        removed: one.removed + other.removed,
        before: one.before + other.before,
        after: one.after + other.after,
    }
}
