//! The caches that are kept on this machine, for people to look at and to remove.

use std::sync::Arc;

use kiln_model::{
    ApiError, Timestamp,
    kiln::{CacheDetail, DeleteCachesOutput, ListCachesOutput},
};
use kiln_runner::cache::{CacheError, CacheInfo, CacheKind, HostCaches};

use crate::{config::Config, core::Inner, runners::Runners};

/// All of them.
pub(crate) async fn list<R: Runners>(inner: &Arc<Inner<R>>) -> Result<ListCachesOutput, ApiError> {
    let account = inner.config.home.account.clone();
    let caches = work(inner, |caches| caches.list()).await?;
    Ok(ListCachesOutput { caches: caches.into_iter().map(|cache| shown(cache, &account)).collect() })
}

/// Removes some.
pub(crate) async fn delete<R: Runners>(
    inner: &Arc<Inner<R>>,
    mut ids: Vec<String>,
) -> Result<DeleteCachesOutput, ApiError> {
    ids.sort();
    ids.dedup();
    let done = work(inner, move |caches| {
        let known = caches.list()?;
        let (found, not_found): (Vec<_>, Vec<_>) = ids.into_iter().partition(|id| known.iter().any(|c| c.id == *id));
        let removed = caches.remove(&found)?;
        let deleted = found.into_iter().filter(|id| !removed.in_use.contains(id)).collect();
        let freed_bytes = removed.stats.before.saturating_sub(removed.stats.after);
        Ok(DeleteCachesOutput { deleted, not_found, in_use: removed.in_use, freed_bytes })
    });
    done.await
}

/// Works on them, on a thread for blocking work.
async fn work<R: Runners, T: Send + 'static>(
    inner: &Arc<Inner<R>>,
    work: impl FnOnce(&HostCaches) -> Result<T, CacheError> + Send + 'static,
) -> Result<T, ApiError> {
    let inner = Arc::clone(inner);
    let failed = |e: &dyn std::fmt::Display| {
        tracing::error!(error = %e, "the caches cannot be looked after");
        ApiError::internal(format!("the caches cannot be looked after: {e}"))
    };
    let done = tokio::task::spawn_blocking(move || work(&open(&inner.config)?));
    done.await.map_err(|e| failed(&e))?.map_err(|e| failed(&e))
}

fn open(config: &Config) -> Result<HostCaches, CacheError> {
    HostCaches::open(&config.caches(), Some(config.data.clone()))
}

fn shown(cache: CacheInfo, account: &str) -> CacheDetail {
    let time = |ns: i64| Timestamp::from_millis(ns / 1_000_000);
    CacheDetail {
        project_name: project_of(&cache.namespace, account, cache.kind),
        id: cache.id,
        namespace: cache.namespace,
        paths: match cache.kind {
            CacheKind::DockerLayers => vec!["docker layers".to_owned()],
            CacheKind::Files | CacheKind::Source => cache.paths,
        },
        key: cache.key,
        created: time(cache.created_ns),
        last_used: time(cache.used_ns),
        entries: cache.entries,
        bytes: cache.bytes,
        stored_bytes: cache.stored_bytes,
    }
}

/// The project whose name is in a namespace ([`crate::job::cache_namespace`]): `ACCOUNT:NAME:CREATED:GENERATION`; Docker's
/// layers and mirrors have its name alone.
fn project_of(namespace: &str, account: &str, kind: CacheKind) -> Option<String> {
    if kind != CacheKind::Files {
        return Some(namespace.to_owned());
    }
    let mut parts = namespace.split(':');
    match (parts.next(), parts.next(), parts.count()) {
        (Some(first), Some(name), 2) if first == account => Some(name.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_tell_the_project() {
        let project = |namespace: &str, kind| project_of(namespace, "000000000000", kind);
        assert_eq!(project("000000000000:shop:1795696315442:0", CacheKind::Files).as_deref(), Some("shop"));
        assert_eq!(project("shop", CacheKind::DockerLayers).as_deref(), Some("shop"));
        for other in ["s3:bucket/caches::0", "shop", "000000000000:shop", "111111111111:shop:1:0", "/home/me/shop"] {
            assert_eq!(project(other, CacheKind::Files), None, "{other}");
        }
    }
}
