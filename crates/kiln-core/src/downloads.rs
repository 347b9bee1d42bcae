//! Artifacts of builds for clients of the Kiln API.

use std::{fs, path::Path};

use kiln_model::{
    ApiError, ErrorCode,
    kiln::GetBuildArtifactInput,
    s3::S3Code,
    service::{ArtifactContent, Context},
};
use kiln_runner::{
    entry::{Entry, EntryKind},
    zip::{ZipError, ZipOptions, ZipWriter},
};
use kiln_store::RemoteError;
use uuid::Uuid;

use crate::{
    behalf::Behalf,
    bytes::{Bytes, Content},
    core::Inner,
    document::{Document, StoredArtifact},
    places::{self, PlaceError},
    runners::Runners,
};

/// An artifact for a client.
pub(crate) fn artifact<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    document: &Document,
    input: &GetBuildArtifactInput,
) -> Result<ArtifactContent<Bytes>, ApiError> {
    read(inner, Behalf::Caller(context), document, input)
}

/// An artifact, as far as it may be read.
pub(crate) fn read<R: Runners>(
    inner: &Inner<R>,
    behalf: Behalf<'_>,
    document: &Document,
    input: &GetBuildArtifactInput,
) -> Result<ArtifactContent<Bytes>, ApiError> {
    let wanted = input.artifact_identifier.as_deref();
    let stored = document.stored.iter().find(|s| s.identifier.as_deref() == wanted).ok_or_else(|| {
        let name = wanted.map_or_else(|| "no primary artifact".to_owned(), |id| format!("no artifact '{id}'"));
        ApiError::not_found(format!("Build {} has {name}", document.build.id))
    })?;
    let file_name = |key: &str| key.rsplit('/').next().unwrap_or(key).to_owned();
    let key = match &input.path {
        Some(path) if !stored.zip => Some(join(&stored.key, path)),
        Some(_) => return Err(ApiError::invalid_input("the artifact is one ZIP file: path is for files of a tree")),
        None => stored.zip.then(|| stored.key.clone()),
    };
    let Some(key) = key else {
        let name = stored.identifier.clone().unwrap_or_else(|| document.build.project_name.clone());
        let file = zip(inner, behalf, document, stored).map_err(|e| refused(&e))?;
        let length = file.metadata().ok().map(|m| m.len());
        let body = Bytes::Content(Content::new(file));
        return Ok(ArtifactContent { file_name: format!("{name}.zip"), content_length: length, body });
    };
    let opened = places::open(inner, behalf, &stored.bucket, &key, None).map_err(|e| refused(&e))?;
    Ok(ArtifactContent {
        file_name: file_name(&key),
        content_length: Some(opened.size),
        body: Bytes::Content(Content::new(opened.content)),
    })
}

/// An artifact that cannot be had, as clients are told it.
fn refused(error: &PlaceError) -> ApiError {
    let text = format!("the artifact cannot be had: {error}");
    match error {
        // The caller may not use the key.
        PlaceError::Denied(_) => ApiError::access_denied(text),
        PlaceError::Own(error) => match error.code {
            S3Code::KmsDisabled => ApiError::new(ErrorCode::Disabled, text),
            S3Code::KmsInvalidState => ApiError::new(ErrorCode::KmsInvalidState, text),
            // Of bytes that were sealed here: they were changed.
            S3Code::KmsNotFound => ApiError::internal(text),
            code if code.http_status() < 500 => ApiError::not_found(text),
            _ => ApiError::internal(text),
        },
        PlaceError::Remote(RemoteError::NotFound { .. }) => ApiError::not_found(text),
        PlaceError::Remote(_) => ApiError::unavailable(text),
        PlaceError::Local(_) => ApiError::internal(text),
    }
}

fn join(prefix: &str, path: &str) -> String {
    if prefix.is_empty() { path.to_owned() } else { format!("{prefix}/{path}") }
}

/// All files of an artifact that is a tree, as a ZIP that goes away with its handle.
fn zip<R: Runners>(
    inner: &Inner<R>,
    behalf: Behalf<'_>,
    document: &Document,
    stored: &StoredArtifact,
) -> Result<fs::File, PlaceError> {
    let path = inner.config.staging().join(format!("{}-download-{}.zip", document.uuid(), Uuid::new_v4()));
    let prefix = if stored.key.is_empty() { String::new() } else { format!("{}/", stored.key) };
    zip_folder(inner, behalf, &stored.bucket, &prefix, &path)?;
    let opened = fs::File::open(&path).and_then(|file| fs::remove_file(&path).map(|()| file));
    opened.map_err(|e| PlaceError::Local(format!("{}: {e}", path.display())))
}

/// All objects whose key begins with `prefix`, as a ZIP with what follows the prefix as names. How many there were.
pub(crate) fn zip_folder<R: Runners>(
    inner: &Inner<R>,
    behalf: Behalf<'_>,
    bucket: &str,
    prefix: &str,
    path: &Path,
) -> Result<u64, PlaceError> {
    let local = |e: ZipError| PlaceError::Local(format!("{}: {e}", path.display()));
    let mut zip = ZipWriter::create(path, ZipOptions::default()).map_err(local)?;
    let mut files = 0;
    places::each(inner, behalf, bucket, prefix, |member| {
        let name = member.key.strip_prefix(prefix).unwrap_or(&member.key);
        // What some clients make for an empty folder is no file.
        if name.is_empty() || name.ends_with('/') {
            return Ok(());
        }
        let mut opened = places::open(inner, behalf, bucket, &member.key, None)?;
        let entry = Entry {
            path: name.as_bytes(),
            kind: EntryKind::File,
            mode: 0o644,
            // Not of the list: it may have been replaced since.
            size: opened.size,
            mtime_ns: member.created_ms.saturating_mul(1_000_000),
        };
        files += 1;
        zip.entry(&entry, &mut opened.content).map_err(local)
    })?;
    zip.finish().map_err(local)?;
    Ok(files)
}
