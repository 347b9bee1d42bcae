//! Objects that builds read and store: in Kiln's own buckets, or directly in those of another S3.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
};

use kiln_model::{
    ApiError, ErrorCode,
    s3::{S3Code, S3Error},
};
use kiln_store::{
    metadata::ObjectRecord,
    remote::{Attributes, RemoteError},
};

use crate::{
    behalf::{self, Behalf},
    core::Inner,
    objects,
    runners::Runners,
};

/// Objects that are looked through at once.
const PAGE: usize = 1000;

/// Why an object cannot be had or stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    /// The build's role does not allow it.
    #[error("AccessDenied: {0} status code: 403")]
    Denied(String),
    /// In Kiln's own store.
    #[error("{}: {}", .0.code, .0.message)]
    Own(#[from] S3Error),
    /// In another S3.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// It cannot be packed or unpacked here.
    #[error("{0}")]
    Local(String),
}

impl From<io::Error> for PlaceError {
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<RemoteError>()) {
            Some(remote) => Self::Remote(remote.clone()),
            None => Self::Local(error.to_string()),
        }
    }
}

impl From<ApiError> for PlaceError {
    fn from(error: ApiError) -> Self {
        match error.code {
            ErrorCode::AccessDenied | ErrorCode::InvalidInput => Self::Denied(error.message),
            _ => Self::Local(error.message),
        }
    }
}

impl PlaceError {
    /// Whether what the project names, or the other server, is the cause, and not Kiln.
    pub(crate) fn is_outside(&self) -> bool {
        match self {
            Self::Denied(_) => true,
            Self::Own(error) => error.code.http_status() < 500,
            Self::Remote(error) => !matches!(error, RemoteError::Local { .. } | RemoteError::Thread(_)),
            Self::Local(_) => false,
        }
    }
}

/// An object that is read from its beginning.
pub(crate) struct Opened {
    pub(crate) size: u64,
    pub(crate) content: Box<dyn Read + Send>,
}

/// Opens an object, in its newest version or a certain one.
pub(crate) fn open<R: Runners>(
    inner: &Inner<R>,
    behalf: Behalf<'_>,
    bucket: &str,
    key: &str,
    version: Option<&str>,
) -> Result<Opened, PlaceError> {
    behalf.check(inner, if version.is_some() { behalf::GET_VERSION } else { behalf::GET }, bucket, key, version)?;
    if let Some(remote) = inner.external.bucket(bucket) {
        let object = remote?.open(key, version)?;
        return Ok(Opened { size: object.size(), content: Box::new(object.stream()) });
    }
    let by = behalf.decrypts_as(inner)?;
    // Without the key the role has no right to the object, whichever of the two it is that does not allow it.
    let denied = |error: S3Error| match error.code {
        S3Code::AccessDenied => PlaceError::Denied(error.message),
        _ => PlaceError::Own(error),
    };
    let (size, reader) = objects::open_version(inner, bucket, key, version, by.as_ref()).map_err(denied)?;
    Ok(Opened { size, content: Box::new(reader) })
}

/// An object of a folder.
pub(crate) struct Member {
    pub(crate) key: String,
    /// When it was stored.
    pub(crate) created_ms: i64,
}

/// All objects whose key begins with `prefix`, by key.
pub(crate) fn each<R: Runners>(
    inner: &Inner<R>,
    behalf: Behalf<'_>,
    bucket: &str,
    prefix: &str,
    mut see: impl FnMut(Member) -> Result<(), PlaceError>,
) -> Result<(), PlaceError> {
    behalf.check(inner, behalf::LIST, bucket, prefix, None)?;
    if let Some(remote) = inner.external.bucket(bucket) {
        let mut found = Vec::new();
        remote?.each(prefix, |object| found.push(Member { key: object.key, created_ms: object.modified_ms }))?;
        found.sort_by(|a, b| a.key.cmp(&b.key));
        return found.into_iter().try_for_each(see);
    }
    let mut after: Option<String> = None;
    loop {
        let page = inner.metadata.read(|view| view.objects(bucket, prefix, after.as_deref(), PAGE));
        let page: Vec<ObjectRecord> = page.map_err(|e| PlaceError::Local(e.to_string()))?;
        after = page.last().filter(|_| page.len() == PAGE).map(|last| last.key.clone());
        for object in page.into_iter().filter(|object| !object.is_delete_marker()) {
            see(Member { key: object.key, created_ms: object.created_ms })?;
        }
        if after.is_none() {
            return Ok(());
        }
    }
}

/// Where and how an object of a build is stored.
pub(crate) struct Target<'a> {
    pub(crate) behalf: Behalf<'a>,
    pub(crate) bucket: &'a str,
    /// How it is sealed in Kiln's own store.
    pub(crate) sealed: objects::Sealed,
    /// Key of the other S3's KMS that encrypts it there; `None`: as the bucket says.
    pub(crate) external_key: Option<&'a str>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// Stores a file. In another S3 it is there when this returns; in Kiln's own, with the record that comes back.
pub(crate) fn store<R: Runners>(
    inner: &Inner<R>,
    target: &Target<'_>,
    key: &str,
    file: &File,
) -> Result<Option<ObjectRecord>, PlaceError> {
    target.behalf.check(inner, behalf::PUT, target.bucket, key, None)?;
    if let Some(remote) = inner.external.bucket_with_key(target.bucket, target.external_key) {
        let metadata = target.metadata.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        remote?.put(key, file, &Attributes { content_type: None, metadata })?;
        return Ok(None);
    }
    let (sealed, metadata) = (target.sealed.clone(), target.metadata.clone());
    Ok(Some(objects::store_file(inner, target.bucket, key, file, sealed, metadata)?))
}

/// Whether a bucket is another S3's.
pub(crate) fn is_external<R: Runners>(inner: &Inner<R>, bucket: &str) -> bool {
    inner.external.bucket(bucket).is_some()
}
