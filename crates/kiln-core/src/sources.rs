//! Sources of builds: what clients upload, and what waits for runners.

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
    kiln::{UploadSourceInput, UploadSourceOutput},
    location::{BuildspecForm, S3Location},
    s3::{S3Code, S3Error},
    service::ByteSource,
};
use uuid::Uuid;

use crate::{
    behalf::Behalf,
    codecommit,
    core::Inner,
    document::Document,
    downloads,
    job::Staged,
    objects,
    places::{self, PlaceError},
    runners::Runners,
    supervise::Failure,
};

/// Where uploaded working trees lie in the default bucket.
pub(crate) const UPLOADS: &str = "kiln/sources";
/// Largest buildspec, bytes.
const MOST_BUILDSPEC: u64 = 1 << 20;

/// Puts the archives of a build's S3 sources, and a buildspec that is an object, where its job takes them from; and finds the
/// git repositories of this service that are sources.
pub(crate) fn stage<R: Runners>(inner: &Inner<R>, document: &Document) -> Result<Staged, Failure> {
    let build = &document.build;
    let uuid = document.uuid();
    let mut staged = Staged::default();
    if build.source.r#type == SourceType::S3 {
        let version = build.source_version.as_deref();
        let name = format!("{uuid}-source.zip");
        staged.primary = Some(stage_one(inner, document, &build.source, version, &name)?);
    }
    if build.source.r#type == SourceType::CodeCommit {
        staged.primary = Some(hosted(inner, document, &build.source)?);
    }
    for (n, source) in build.secondary_sources.iter().enumerate() {
        if source.r#type == SourceType::S3
            && let Some(identifier) = &source.source_identifier
        {
            let versions = build.secondary_source_versions.iter();
            let version = versions.into_iter().find(|v| v.source_identifier == *identifier);
            let version = version.map(|v| v.source_version.as_str());
            let path = stage_one(inner, document, source, version, &format!("{uuid}-source-{n}.zip"))?;
            staged.secondary.push((identifier.clone(), path));
        }
        if source.r#type == SourceType::CodeCommit
            && let Some(identifier) = &source.source_identifier
        {
            staged.secondary.push((identifier.clone(), hosted(inner, document, source)?));
        }
    }
    if let BuildspecForm::Object(arn) = BuildspecForm::of(build.source.buildspec.as_deref()) {
        staged.buildspec = Some(read_buildspec(inner, document, arn)?);
    }
    Ok(staged)
}

/// The git repository of this service that a source is in, for the build's role to pull.
fn hosted<R: Runners>(inner: &Inner<R>, document: &Document, source: &ProjectSource) -> Result<PathBuf, Failure> {
    let location = source.location.as_deref().unwrap_or_default();
    codecommit::repository_for_build(inner, document, location).map_err(|e| match e.code.http_status() {
        500.. => Failure::fault(e.message),
        _ => Failure::source(format!("{}: {}", e.code, e.message)),
    })
}

/// A ZIP file, or a folder (its location ends with a slash) as one (`buildspec.md` 8).
fn stage_one<R: Runners>(
    inner: &Inner<R>,
    document: &Document,
    source: &ProjectSource,
    version: Option<&str>,
    name: &str,
) -> Result<PathBuf, Failure> {
    let text = source.location.as_deref().unwrap_or_default();
    let missing = || Failure::source(format!("NoSuchKey: there is no object {text} for the source"));
    let S3Location { bucket, key } = S3Location::parse(text).ok_or_else(missing)?;
    let path = inner.config.staging().join(name);
    let failed = |e: PlaceError| match e.is_outside() {
        true if matches!(e, PlaceError::Denied(_)) => {
            let which = source.source_identifier.as_deref().unwrap_or("primary");
            Failure::source(format!("{e} for {which} source and source version arn:aws:s3:::{bucket}/{key}"))
        }
        true => Failure::source(format!("Error while downloading the source {text}: {e}")),
        false => Failure::fault(format!("The source {text} cannot be put in place: {e}")),
    };
    if key.ends_with('/') {
        if downloads::zip_folder(inner, Behalf::Build(document), &bucket, &key, &path).map_err(failed)? == 0 {
            return Err(missing());
        }
        return Ok(path);
    }
    let version = version.filter(|version| !version.is_empty());
    let mut from = places::open(inner, Behalf::Build(document), &bucket, &key, version).map_err(failed)?;
    let mut copy = || -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        let mut to = options.write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        io::copy(&mut from.content, &mut to).map(drop)
    };
    copy().map_err(|e| failed(e.into()))?;
    Ok(path)
}

/// A buildspec that is an object: its text, and a name for messages.
fn read_buildspec<R: Runners>(inner: &Inner<R>, document: &Document, arn: &str) -> Result<(String, String), Failure> {
    let failed = |why: &dyn std::fmt::Display| Failure::source(format!("The buildspec {arn} cannot be read: {why}"));
    let S3Location { bucket, key } = S3Location::parse(arn).ok_or_else(|| failed(&"it is no object's ARN"))?;
    let opened = places::open(inner, Behalf::Build(document), &bucket, &key, None).map_err(|e| failed(&e))?;
    let mut text = String::new();
    opened.content.take(MOST_BUILDSPEC + 1).read_to_string(&mut text).map_err(|e| failed(&e))?;
    if text.len() as u64 > MOST_BUILDSPEC {
        return Err(failed(&format!("it is larger than {MOST_BUILDSPEC} bytes")));
    }
    Ok((text, format!("s3://{bucket}/{key}")))
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
