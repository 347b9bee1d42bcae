//! Sources of builds: what clients upload, and archives that wait for runners. And the way back: artifacts for clients.

use std::{
    fs,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    sync::Arc,
};

use kiln_model::{
    ApiError, ErrorCode,
    codebuild::{ProjectSource, SourceType},
    kiln::{GetBuildArtifactInput, UploadSourceInput, UploadSourceOutput},
    location::S3Location,
    s3::{S3Code, S3Error},
    service::{ArtifactContent, ByteSource},
};
use kiln_runner::{
    entry::{Entry, EntryKind},
    zip::{ZipOptions, ZipWriter},
};
use kiln_store::metadata::ObjectRecord;
use uuid::Uuid;

use crate::{
    bytes::{Bytes, Content},
    core::Inner,
    document::{Document, StoredArtifact},
    job::Archives,
    kms, objects,
    records::refuse,
    runners::Runners,
    supervise::Failure,
};

/// Where uploaded working trees lie in the default bucket.
pub(crate) const UPLOADS: &str = "kiln/sources";
/// Objects that are looked through at once.
const PAGE: usize = 1000;

/// Puts the archives of a build's S3 sources where its runner reads them.
pub(crate) fn stage<R: Runners>(inner: &Inner<R>, document: &Document) -> Result<Archives, Failure> {
    let build = &document.build;
    let uuid = document.uuid();
    let mut archives = Archives::default();
    if build.source.r#type == SourceType::S3 {
        archives.primary = Some(stage_one(inner, &build.source, &format!("{uuid}-source.zip"))?);
    }
    for (n, source) in build.secondary_sources.iter().enumerate() {
        if source.r#type == SourceType::S3
            && let Some(identifier) = &source.source_identifier
        {
            let path = stage_one(inner, source, &format!("{uuid}-source-{n}.zip"))?;
            archives.secondary.push((identifier.clone(), path));
        }
    }
    Ok(archives)
}

fn stage_one<R: Runners>(inner: &Inner<R>, source: &ProjectSource, name: &str) -> Result<PathBuf, Failure> {
    let text = source.location.as_deref().unwrap_or_default();
    let missing = || Failure::source(format!("NoSuchKey: there is no object {text} for the source"));
    let location = S3Location::parse(text).ok_or_else(missing)?;
    let found = inner.metadata.read(|view| view.object(&location.bucket, &location.key));
    let object = found.map_err(|e| Failure::fault(e.to_string()))?.ok_or_else(missing)?;
    let path = inner.config.staging().join(name);
    let copy = || -> io::Result<()> {
        let mut from = objects::open_object(&inner.metadata, &inner.blobs, &object)?;
        let mut options = fs::OpenOptions::new();
        let mut to = options.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        io::copy(&mut from, &mut to).map(drop)
    };
    copy().map_err(|e| Failure::fault(format!("The source {text} cannot be put in place: {e}")))?;
    Ok(path)
}

/// Removes what [`stage`] put in place.
pub(crate) fn unstage<R: Runners>(inner: &Inner<R>, uuid: &str) {
    let Ok(entries) = fs::read_dir(inner.config.staging()) else { return };
    for entry in entries.filter_map(Result::ok) {
        if entry.file_name().to_string_lossy().starts_with(uuid)
            && let Err(e) = fs::remove_file(entry.path())
        {
            tracing::warn!(path = %entry.path().display(), error = %e, "a source's archive cannot be removed");
        }
    }
}

/// Keeps an uploaded archive as an object of the default bucket.
pub(crate) async fn upload<R: Runners>(
    inner: &Arc<Inner<R>>,
    input: UploadSourceInput,
    body: impl ByteSource,
) -> Result<UploadSourceOutput, ApiError> {
    let (bucket, key) = (inner.config.default_bucket.clone(), format!("{UPLOADS}/{}.zip", Uuid::new_v4()));
    let sha256 =
        match &input.sha256 {
            Some(text) => Some(parse_sha256(text).ok_or_else(|| {
                ApiError::invalid_input("the SHA-256 that was announced is not 64 hexadecimal digits")
            })?),
            None => None,
        };
    let object = objects::store_upload(inner, &bucket, &key, input.content_length, sha256, body).await;
    let object = object.map_err(|e| refused(&e))?;
    Ok(UploadSourceOutput {
        location: format!("{bucket}/{key}"),
        version_id: None,
        sha256: objects::hex(&object.sha256),
        bytes: object.size.unsigned_abs(),
    })
}

fn parse_sha256(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes().as_chunks::<2>().0;
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.iter().map(byte).collect::<Option<Vec<u8>>>()?.try_into().ok().filter(|_| text.len() == 64)
}

/// An error of the store of objects as clients of the Kiln API are told it.
fn refused(error: &S3Error) -> ApiError {
    match error.code {
        // Clients try again (`integrations.md` 1.7).
        S3Code::SlowDown => ApiError::new(ErrorCode::Throttling, error.message.clone()),
        S3Code::ServiceUnavailable => ApiError::unavailable(error.message.clone()),
        code if code.http_status() < 500 => {
            ApiError::invalid_input(format!("the archive is refused: {}", error.message))
        }
        _ => ApiError::internal(format!("the archive cannot be kept: {}", error.message)),
    }
}

/// An artifact for a client.
pub(crate) fn artifact<R: Runners>(
    inner: &Inner<R>,
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
        let file = zip(inner, document, stored).map_err(|e| ApiError::internal(format!("{}: {e}", stored.key)))?;
        let length = file.metadata().ok().map(|m| m.len());
        let body = Bytes::Content(Content::new(file));
        return Ok(ArtifactContent { file_name: format!("{name}.zip"), content_length: length, body });
    };
    let found = inner.metadata.read(|view| view.object(&stored.bucket, &key)).map_err(|e| refuse(&e))?;
    let Some(object) = found else {
        return Err(ApiError::not_found(format!("there is no object {}/{key}", stored.bucket)));
    };
    let content = objects::open_object(&inner.metadata, &inner.blobs, &object)
        .map_err(|e| kms::refused(inner, &e).unwrap_or_else(|| ApiError::internal(format!("{key}: {e}"))))?;
    Ok(ArtifactContent {
        file_name: file_name(&key),
        content_length: Some(object.size.unsigned_abs()),
        body: Bytes::Content(Content::new(content)),
    })
}

fn join(prefix: &str, path: &str) -> String {
    if prefix.is_empty() { path.to_owned() } else { format!("{prefix}/{path}") }
}

/// All files of an artifact that is a tree, as a ZIP that goes away with its handle.
fn zip<R: Runners>(inner: &Inner<R>, document: &Document, stored: &StoredArtifact) -> io::Result<fs::File> {
    let path = inner.config.staging().join(format!("{}-download-{}.zip", document.uuid(), Uuid::new_v4()));
    let mut zip = ZipWriter::create(&path, ZipOptions::default()).map_err(io::Error::other)?;
    let prefix = if stored.key.is_empty() { String::new() } else { format!("{}/", stored.key) };
    let mut after: Option<String> = None;
    loop {
        let page = inner.metadata.read(|view| view.objects(&stored.bucket, &prefix, after.as_deref(), PAGE));
        let page: Vec<ObjectRecord> = page.map_err(io::Error::other)?;
        for object in &page {
            let name = object.key.strip_prefix(&prefix).unwrap_or(&object.key);
            let entry = Entry {
                path: name.as_bytes(),
                kind: EntryKind::File,
                mode: 0o644,
                size: object.size.unsigned_abs(),
                mtime_ns: object.created_ms.saturating_mul(1_000_000),
            };
            let mut content = objects::open_object(&inner.metadata, &inner.blobs, object)?;
            zip.entry(&entry, &mut content.by_ref()).map_err(io::Error::other)?;
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.key.clone()),
            _ => break,
        }
    }
    zip.finish().map_err(io::Error::other)?;
    let file = fs::File::open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}
