//! Caches of type S3 (`buildspec.md` 10.2, 10.3): one object per cache, in Kiln's own buckets or another S3's. The store of
//! caches on this host is a copy of them: what is deleted from the bucket, or expires there, is a miss; what another
//! server stored there is found.
//!
//! ```text
//! <prefix>/<hash of namespace and paths>/current        the cache of builds without a key
//! <prefix>/<hash of namespace and paths>/keys/<key>     the cache of a key; never replaced
//! ```

use std::{collections::BTreeMap, fs, io, os::unix::fs::OpenOptionsExt as _, sync::Arc};

use kiln_model::{
    build_cache::{BuildCache, BuildCacheAnswer},
    codebuild::CacheType,
    location::S3Location,
    s3::{S3Code, check_key},
};
use kiln_runner::cache::{Bundle, CacheError, CacheStore, DEFAULT_BUDGET, Identity};
use kiln_store::{StoreError, remote::RemoteError};
use uuid::Uuid;

use crate::{
    adopt,
    behalf::Behalf,
    core::Inner,
    document::Document,
    job, objects,
    places::{self, PlaceError},
    runners::Runners,
};

/// Why a cache cannot be had or kept, for the build's log. It fails no build.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("{0}")]
    Place(#[from] PlaceError),
    #[error("{0}")]
    Here(#[from] CacheError),
    /// KMS's words, or the role's.
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Own(#[from] StoreError),
}

/// Where the caches of a build with these paths lie.
struct Place<'a> {
    document: &'a Document,
    bucket: String,
    /// Up to the identity, with a slash at its end.
    folder: String,
    identity: Identity,
}

impl<'a> Place<'a> {
    fn of(document: &'a Document, paths: &[String]) -> Option<Self> {
        let cache = &document.build.cache;
        if cache.r#type != CacheType::S3 {
            return None;
        }
        let S3Location { bucket, key } = S3Location::parse(cache.location.as_deref()?)?;
        let identity = Identity { namespace: job::cache_namespace(document), paths: paths.to_vec() };
        let id = identity.id();
        let parts = key.split('/').filter(|part| !part.is_empty()).chain([id.as_str(), ""]);
        let folder = parts.collect::<Vec<_>>().join("/");
        Some(Self { document, bucket, folder, identity })
    }

    fn behalf(&self) -> Behalf<'_> {
        Behalf::Build(self.document)
    }

    fn object(&self, key: Option<&str>) -> String {
        match key {
            None => format!("{}current", self.folder),
            Some(key) => format!("{}{key}", self.keys()),
        }
    }

    fn keys(&self) -> String {
        format!("{}keys/", self.folder)
    }
}

/// Does what a build wants with its cache.
pub(crate) async fn of_build<R: Runners>(
    inner: &Arc<Inner<R>>,
    document: Document,
    asked: BuildCache,
) -> BuildCacheAnswer {
    let inner = Arc::clone(inner);
    let done = tokio::task::spawn_blocking(move || {
        let paths = match &asked {
            BuildCache::Find { paths, .. } | BuildCache::Keep { paths, .. } => paths,
        };
        let Some(place) = Place::of(&document, paths) else {
            return Err(Problem::Refused("the project has no cache in a bucket".to_owned()));
        };
        match asked {
            BuildCache::Find { key, fallback_keys, .. } => find(&inner, &place, key, &fallback_keys),
            BuildCache::Keep { key, .. } => keep(&inner, &place, key.as_deref()),
        }
    });
    let problem = |e: &dyn std::fmt::Display| BuildCacheAnswer::Problem { message: e.to_string() };
    match done.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(e)) => problem(&e),
        Err(e) => {
            tracing::error!(error = %e, "a cache was not looked after");
            problem(&"the server could not look after it")
        }
    }
}

/// Finds the cache that a build restores, and puts it into this host's store.
fn find<R: Runners>(
    inner: &Inner<R>,
    place: &Place<'_>,
    key: Option<String>,
    fallback_keys: &[String],
) -> Result<BuildCacheAnswer, Problem> {
    let store = CacheStore::open(&inner.config.caches())?;
    if fetch(inner, &store, place, key.as_deref())? {
        return Ok(BuildCacheAnswer::Found { key, exact: true });
    }
    if key.is_none() || fallback_keys.is_empty() {
        return Ok(BuildCacheAnswer::Missing);
    }
    let keys = place.keys();
    let mut others = Vec::new();
    places::each(inner, place.behalf(), &place.bucket, &keys, |member| {
        let key = member.key.strip_prefix(&keys).unwrap_or_default().to_owned();
        others.push((member.created_ms, key));
        Ok(())
    })?;
    // The newest first.
    others.sort_by(|a, b| b.cmp(a));
    for prefix in fallback_keys {
        for (_, key) in others.iter().filter(|(_, key)| key.starts_with(prefix.as_str())) {
            if fetch(inner, &store, place, Some(key))? {
                return Ok(BuildCacheAnswer::Found { key: Some(key.clone()), exact: false });
            }
        }
    }
    Ok(BuildCacheAnswer::Missing)
}

/// Makes this host's copy what the bucket has. False: it has none, and nor has the host any more.
fn fetch<R: Runners>(
    inner: &Inner<R>,
    store: &CacheStore,
    place: &Place<'_>,
    key: Option<&str>,
) -> Result<bool, Problem> {
    let object = place.object(key);
    let opened = match places::open(inner, place.behalf(), &place.bucket, &object, None) {
        Ok(opened) => opened,
        Err(e) if is_missing(&e) => {
            store.forget(&place.identity, key)?;
            return Ok(false);
        }
        Err(e) => return Err(e.into()),
    };
    let bundle = match Bundle::open(opened.content) {
        Ok(bundle) => bundle,
        Err(e) if e.kind() == io::ErrorKind::InvalidData => {
            return Err(Problem::Refused(format!("s3://{}/{object}: {e}", place.bucket)));
        }
        Err(e) => return Err(PlaceError::from(e).into()),
    };
    if !store.has(&place.identity, key, &bundle)? {
        let now = inner.now().saturating_mul(1_000_000);
        store.import(&place.identity, key, bundle, now)?;
        store.prune(DEFAULT_BUDGET, now)?;
    }
    Ok(true)
}

fn is_missing(error: &PlaceError) -> bool {
    match error {
        PlaceError::Own(error) => matches!(error.code, S3Code::NoSuchKey | S3Code::NoSuchBucket),
        PlaceError::Remote(error) => matches!(error, RemoteError::NotFound { .. }),
        PlaceError::Local(_) | PlaceError::Denied(_) => false,
    }
}

/// Stores in the bucket what a build saved on this host. There it is complete, or not there.
fn keep<R: Runners>(inner: &Inner<R>, place: &Place<'_>, key: Option<&str>) -> Result<BuildCacheAnswer, Problem> {
    let document = place.document;
    let object = place.object(key);
    check_key(&object).map_err(PlaceError::from)?;
    // Keys are not replaced, also not those of other servers.
    if key.is_some() {
        match places::open(inner, Behalf::Service, &place.bucket, &object, None) {
            Ok(_) => return Ok(BuildCacheAnswer::KeyExists),
            Err(e) if is_missing(&e) => {}
            Err(e) => return Err(e.into()),
        }
    }
    let store = CacheStore::open(&inner.config.caches())?;
    let path = inner.config.staging().join(format!("{}-cache-{}", document.uuid(), Uuid::new_v4()));
    let local = |e: io::Error| Problem::Place(PlaceError::Local(format!("{}: {e}", path.display())));
    // It goes away with its handle.
    let options = || fs::OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
    let mut file = options().and_then(|file| fs::remove_file(&path).map(|()| file)).map_err(local)?;
    if !store.export(&place.identity, key, &mut file)? {
        return Err(CacheError::Vanished.into());
    }
    io::Seek::rewind(&mut file).map_err(local)?;
    let metadata = BTreeMap::from([("codebuild-buildarn".to_owned(), document.build.arn.clone())]);
    let target = adopt::target(inner, document, &place.bucket, false, metadata);
    let target = target.map_err(|e| Problem::Refused(e.to_string()))?;
    let Some(record) = places::store(inner, &target, &object, &file)? else { return Ok(BuildCacheAnswer::Kept) };
    let blob = record.blob.clone();
    let keyed = key.is_some();
    let stored = inner.metadata.write_blocking(move |tx| {
        if keyed && tx.object(&record.bucket, &record.key)?.is_some_and(|there| !there.is_delete_marker()) {
            return Ok(None);
        }
        objects::put(tx, &record).map(Some)
    });
    match stored {
        Ok(Some(replaced)) => {
            objects::give_up(inner, &replaced);
            Ok(BuildCacheAnswer::Kept)
        }
        Ok(None) => {
            objects::give_up(inner, &blob.into_iter().collect::<Vec<_>>());
            Ok(BuildCacheAnswer::KeyExists)
        }
        Err(e) => {
            // One that may be stored after all is found out at the next start.
            if !matches!(e, StoreError::Stopped(_)) {
                objects::give_up(inner, &blob.into_iter().collect::<Vec<_>>());
            }
            Err(e.into())
        }
    }
}
