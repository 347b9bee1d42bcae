//! Reads an object of another S3.

use std::{
    io::{self, Read},
    ops::Range,
    sync::Arc,
};

use bytes::Bytes;
use object_store::{Attribute, GetOptions, GetRange, ObjectStore as _};

use super::{RemoteBucket, RemoteError, error, wait};

/// Read with the first request, so that small objects take no second one.
const HEAD: u64 = 64 << 10;
/// Read with one request by a stream.
const WINDOW: u64 = 4 << 20;

/// One version of an object, as it was when it was opened: reads fail when it is replaced meanwhile.
#[derive(Debug, Clone)]
pub struct RemoteObject {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bucket: RemoteBucket,
    key: String,
    size: u64,
    etag: Option<String>,
    version: Option<String>,
    metadata: Vec<(String, String)>,
    head: Bytes,
}

impl RemoteBucket {
    /// Opens an object, in its newest version or a certain one.
    ///
    /// # Errors
    /// [`RemoteError::NotFound`], [`RemoteError::Denied`], and others when the server cannot be asked.
    pub fn open(&self, key: &str, version: Option<&str>) -> Result<RemoteObject, RemoteError> {
        let ask = |options: GetOptions| {
            let (store, path) = (self.store.clone(), self.path(key)?);
            wait(async move {
                let found = store.get_opts(&path, options).await?;
                let (meta, attributes, range) = (found.meta.clone(), found.attributes.clone(), found.range.clone());
                let bytes = if range.is_empty() { Bytes::new() } else { found.bytes().await? };
                Ok((meta, attributes, bytes))
            })
        };
        let version = version.map(ToOwned::to_owned);
        let first = GetRange::Bounded(0..HEAD);
        let answer = match ask(GetOptions { range: Some(first), version: version.clone(), ..GetOptions::default() })? {
            // An empty object has no first byte.
            Err(object_store::Error::Generic { store, source }) => {
                match ask(GetOptions { head: true, version: version.clone(), ..GetOptions::default() })? {
                    Ok((meta, attributes, _)) if meta.size == 0 => Ok((meta, attributes, Bytes::new())),
                    _ => Err(object_store::Error::Generic { store, source }),
                }
            }
            answer => answer,
        };
        let (meta, attributes, head) = answer.map_err(|e| error::of("read", self.place(key), e))?;
        if head.len() as u64 != meta.size.min(HEAD) {
            let what = format!("{} bytes of the first {}", head.len(), meta.size.min(HEAD));
            return Err(RemoteError::Wrong { place: self.place(key), what });
        }
        let metadata = attributes.iter().filter_map(|(name, value)| match name {
            Attribute::Metadata(name) => Some((name.clone().into_owned(), value.as_ref().to_owned())),
            _ => None,
        });
        let inner = Inner {
            bucket: self.clone(),
            key: key.to_owned(),
            size: meta.size,
            etag: meta.e_tag,
            // Asked for again, so that all requests are for the same.
            version: version.or(meta.version),
            metadata: metadata.collect(),
            head,
        };
        Ok(RemoteObject { inner: Arc::new(inner) })
    }
}

impl RemoteObject {
    /// Length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.inner.size
    }

    /// Its ETag, with its quotes.
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.inner.etag.as_deref()
    }

    /// Its version, where the bucket has versions.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.inner.version.as_deref()
    }

    /// The metadata that users gave it.
    #[must_use]
    pub fn metadata(&self) -> &[(String, String)] {
        &self.inner.metadata
    }

    /// A part of it.
    ///
    /// # Errors
    /// [`RemoteError::Replaced`], and others when the server cannot be asked or gives something else.
    pub fn read(&self, range: Range<u64>) -> Result<Bytes, RemoteError> {
        let inner = &self.inner;
        let place = || inner.bucket.place(&inner.key);
        let range = range.start.min(inner.size)..range.end.min(inner.size);
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let within = |at: u64| usize::try_from(at).ok().filter(|at| *at <= inner.head.len());
        if let (Some(start), Some(end)) = (within(range.start), within(range.end)) {
            return Ok(inner.head.slice(start..end));
        }
        let (store, path) = (inner.bucket.store.clone(), inner.bucket.path(&inner.key)?);
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            version: inner.version.clone(),
            if_match: inner.etag.clone(),
            ..GetOptions::default()
        };
        let bytes = wait(async move { store.get_opts(&path, options).await?.bytes().await })?
            .map_err(|e| error::of("read", place(), e))?;
        if bytes.len() as u64 != range.end - range.start {
            let what = format!("{} bytes, where {} were asked for", bytes.len(), range.end - range.start);
            return Err(RemoteError::Wrong { place: place(), what });
        }
        Ok(bytes)
    }

    /// All of it, from the beginning.
    #[must_use]
    pub fn stream(&self) -> RemoteStream {
        RemoteStream { object: self.clone(), at: 0, window: Bytes::new() }
    }
}

/// An object's bytes, in order; a window of 4 MiB of them in memory.
#[derive(Debug)]
pub struct RemoteStream {
    object: RemoteObject,
    at: u64,
    window: Bytes,
}

impl Read for RemoteStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.window.is_empty() {
            self.window = self.object.read(self.at..self.at + WINDOW).map_err(io::Error::other)?;
            self.at += self.window.len() as u64;
        }
        let n = self.window.len().min(buffer.len());
        buffer[..n].copy_from_slice(&self.window.split_to(n));
        Ok(n)
    }
}
