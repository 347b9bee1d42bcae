//! Images: stored when all that they name is there, read, deleted.

use std::{collections::BTreeMap, sync::Arc};

use kiln_model::{
    ApiError, ErrorCode,
    ecr::{
        BatchDeleteImageRequest, BatchDeleteImageResponse, BatchGetImageRequest, BatchGetImageResponse, Image,
        ImageFailure, ImageFailureCode, ImageIdentifier, PutImageRequest, PutImageResponse,
    },
    registry::{Digest, MOST_MANIFEST, is_tag},
    service::Context,
};
use kiln_store::{
    StoreError, Tx, View,
    metadata::{ContentRecord, ImageRecord, ImageTagRecord, RepositoryContentRecord},
};
use uuid::Uuid;

use super::{
    content::{self, Whole},
    document,
    error::{error, invalid},
    find::find,
    manifest::{self, Manifest},
};
use crate::{
    core::Inner,
    crash,
    lifecycle::Millis,
    objects::remove_blobs,
    records::{Refused, refuse},
    runners::Runners,
};

/// Tags of an image (ECR's quota).
const MOST_TAGS: usize = 1000;
/// A pull is noted when the last one that was noted is older.
const NOTED_EVERY: Millis = 24 * 60 * 60 * 1000;

/// An image that somebody pushes.
#[derive(Debug, Clone)]
pub(super) struct New {
    pub(super) registry: Option<String>,
    pub(super) repository: String,
    pub(super) tag: Option<String>,
    /// The digest that it must have.
    pub(super) digest: Option<Digest>,
    pub(super) media_type: Option<String>,
    pub(super) bytes: Vec<u8>,
    /// Whether it is an error that it is there already.
    pub(super) must_be_new: bool,
}

/// An image that is stored.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) digest: String,
    pub(super) media_type: String,
    pub(super) subject: Option<String>,
}

/// Why a pushed image is not stored, where the protocols have different words for it.
#[derive(Debug)]
pub(super) enum NotStored {
    /// It is no manifest.
    Invalid(String),
    /// Anything else.
    Api(ApiError),
}

impl From<ApiError> for NotStored {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

/// Stores an image and puts a tag on it.
pub(super) async fn put<R: Runners>(inner: &Arc<Inner<R>>, new: New) -> Result<Stored, NotStored> {
    let home = inner.config.home.clone();
    let (_, document) = inner.look(|view| find(view, &home, new.registry.as_deref(), &new.repository))?;
    if new.bytes.len() > MOST_MANIFEST {
        let message = format!("the manifest has {} bytes; at most {MOST_MANIFEST} are taken", new.bytes.len());
        return Err(NotStored::Invalid(message));
    }
    let manifest = manifest::read(&new.bytes, new.media_type.as_deref()).map_err(NotStored::Invalid)?;
    let size = new.bytes.len() as u64;
    let id = Uuid::new_v4().to_string();
    let body = Whole(Some(new.bytes.clone()));
    let taken = content::take(inner, &document.sealed_with, content::context(&id, 1), size, body).await;
    let taken = taken.map_err(|e| ApiError::internal(e.message))?;
    let blob = taken.blob.ok_or_else(|| NotStored::Invalid("the manifest is empty".to_owned()))?;
    let digest = Digest::of(&blob.sha256);
    if let Some(expected) = new.digest.as_ref().filter(|expected| **expected != digest) {
        remove_blobs(inner, vec![blob.id]).await;
        let message = format!("The digest of the manifest is {digest}, not {expected}");
        return Err(error(ErrorCode::ImageDigestDoesNotMatch, message).into());
    }
    crash::point("manifest_stored");
    let content = ContentRecord {
        id,
        digest: digest.clone().into(),
        sealed_with: document.sealed_with,
        size: i64::try_from(size).unwrap_or(i64::MAX),
    };
    let stored = Stored {
        digest: digest.into(),
        media_type: manifest.media_type.clone(),
        subject: manifest.subject.clone().map(Into::into),
    };
    let (now, id) = (inner.now(), blob.id.clone());
    let committed =
        inner.metadata.transact(move |tx| insert(tx, &home, &new, &manifest, &content, &blob.id, now)).await;
    match committed {
        Ok(is_used) => {
            crash::point("image_stored");
            if !is_used {
                remove_blobs(inner, vec![id]).await;
            }
            Ok(stored)
        }
        Err(refused) => {
            // Whether it was committed is not known then: the next start looks.
            if !matches!(refused, Refused::Store(StoreError::Stopped(_))) {
                remove_blobs(inner, vec![id]).await;
            }
            Err(ApiError::from(refused).into())
        }
    }
}

/// Makes the records of an image; whether the blob of its manifest is one of them.
fn insert(
    tx: &mut Tx<'_>,
    home: &kiln_model::arn::Home,
    new: &New,
    manifest: &Manifest,
    content: &ContentRecord,
    blob: &str,
    now: Millis,
) -> Result<bool, Refused> {
    let (repository, document) = find(tx, home, new.registry.as_deref(), &new.repository)?;
    let (name, digest) = (repository.name.as_str(), content.digest.as_str());
    let size = check_parts(tx, home, name, manifest)?;
    let tagged = new.tag.as_deref().map(|tag| Ok::<_, StoreError>((tag, tx.image_tag(name, tag)?))).transpose()?;
    let is_there = tx.image(name, digest)?.is_some();
    let has_tag = tagged.as_ref().is_none_or(|(_, on)| on.as_ref().is_some_and(|on| on.digest == digest));
    if is_there && has_tag && new.must_be_new {
        let message = match &new.tag {
            Some(tag) => format!(
                "Image with digest '{digest}' and tag '{tag}' already exists in the repository with name '{name}' in \
                 registry with id '{}'",
                home.account
            ),
            None => format!(
                "Image with digest '{digest}' already exists in the repository with name '{name}' in registry with id \
                 '{}'",
                home.account
            ),
        };
        return Err(error(ErrorCode::ImageAlreadyExists, message).into());
    }
    if let Some((tag, Some(on))) = &tagged
        && on.digest != digest
        && document.is_fixed(tag)
    {
        let message = format!(
            "The image tag '{tag}' already exists in the '{name}' repository and cannot be overwritten because the tag is \
             immutable."
        );
        return Err(error(ErrorCode::ImageTagAlreadyExists, message).into());
    }
    let mut is_used = false;
    let link = tx.repository_content(name, digest)?;
    let id = match (link, tx.content_of(digest, &content.sealed_with)?) {
        (Some(link), _) => link.content,
        (None, Some(same)) => same.id,
        (None, None) => {
            tx.insert_whole_content(content, blob)?;
            is_used = true;
            content.id.clone()
        }
    };
    let link = RepositoryContentRecord {
        repository: name.to_owned(),
        digest: digest.to_owned(),
        content: id,
        touched_ms: now,
    };
    tx.put_repository_content(&link)?;
    if !is_there {
        let mut image = document::Image::new(
            manifest.media_type.clone(),
            manifest.artifact_type.clone(),
            content.size.unsigned_abs(),
        );
        if manifest.subject.is_some() {
            image.annotations.clone_from(&manifest.annotations);
        }
        let record = ImageRecord {
            repository: name.to_owned(),
            digest: digest.to_owned(),
            subject: manifest.subject.clone().map(Into::into),
            size: i64::try_from(size).unwrap_or(i64::MAX),
            pushed_ms: now,
            pulled_ms: None,
            doc: image.to_json()?,
        };
        let parts = manifest.contents.keys().chain(&manifest.images).map(ToString::to_string);
        tx.insert_image(&record, &parts.collect::<Vec<_>>())?;
    }
    if let Some((tag, on)) = tagged {
        if on.is_none() && tx.tags_of_image(name, digest)?.len() >= MOST_TAGS {
            let message = format!("The image has {MOST_TAGS} tags, which are the most");
            return Err(error(ErrorCode::LimitExceeded, message).into());
        }
        tx.put_image_tag(&ImageTagRecord {
            repository: name.to_owned(),
            tag: tag.to_owned(),
            digest: digest.to_owned(),
        })?;
    }
    Ok(is_used)
}

/// Checks that the repository has all that a manifest names; the size of the image, that of an index being its largest
/// image's.
fn check_parts(
    view: &View<'_>,
    home: &kiln_model::arn::Home,
    repository: &str,
    manifest: &Manifest,
) -> Result<u64, Refused> {
    let mut missing = Vec::new();
    for (digest, size) in &manifest.contents {
        let link = view.repository_content(repository, digest.as_str())?;
        let content = link.map(|link| view.content(&link.content)).transpose()?.flatten();
        match content {
            None => missing.push(digest.as_str()),
            Some(content) if content.size.unsigned_abs() != *size => {
                let problem = format!("{digest} has {} bytes, the manifest says {size}", content.size);
                return Err(invalid("ImageManifest", &problem).into());
            }
            Some(_) => {}
        }
    }
    if !missing.is_empty() {
        let message = format!(
            "Layers with digests '{}' required for pushing image into repository with name '{repository}' in the registry \
             with id '{}' do not exist",
            missing.join(", "),
            home.account
        );
        return Err(error(ErrorCode::LayersNotFound, message).into());
    }
    let mut size = manifest.size;
    for digest in &manifest.images {
        match view.image(repository, digest.as_str())? {
            Some(image) => size = size.max(image.size.unsigned_abs()),
            None => missing.push(digest.as_str()),
        }
    }
    if !missing.is_empty() {
        let message = format!(
            "Images with digests '{}' required for pushing image into repository with name '{repository}' in the registry \
             with id '{}' do not exist",
            missing.join(", "),
            home.account
        );
        return Err(error(ErrorCode::ReferencedImagesNotFound, message).into());
    }
    Ok(size)
}

pub(super) async fn put_image<R: Runners>(
    inner: &Arc<Inner<R>>,
    _: &Context,
    input: PutImageRequest,
) -> Result<PutImageResponse, ApiError> {
    let digest = match &input.image_digest {
        Some(text) => Some(Digest::parse(text).ok_or_else(|| invalid("imageDigest", "Invalid digest"))?),
        None => None,
    };
    if input.image_tag.as_deref().is_some_and(|tag| !is_tag(tag)) {
        return Err(invalid("imageTag", "a tag has 1 to 128 letters, digits, underscores, points and hyphens"));
    }
    let new = New {
        registry: input.registry_id,
        repository: input.repository_name.clone(),
        tag: input.image_tag.clone(),
        digest,
        media_type: input.image_manifest_media_type,
        bytes: input.image_manifest.clone().into_bytes(),
        must_be_new: true,
    };
    let stored = put(inner, new).await.map_err(|not| match not {
        NotStored::Invalid(problem) => invalid("ImageManifest", &problem),
        NotStored::Api(error) => error,
    })?;
    let image = Image {
        registry_id: Some(inner.config.home.account.clone()),
        repository_name: Some(input.repository_name),
        image_id: Some(ImageIdentifier { image_digest: Some(stored.digest), image_tag: input.image_tag }),
        image_manifest: Some(input.image_manifest),
        image_manifest_media_type: Some(stored.media_type),
    };
    Ok(PutImageResponse { image: Some(image) })
}

/// The image that a caller names.
pub(super) fn resolve(
    view: &View<'_>,
    repository: &str,
    id: &ImageIdentifier,
) -> Result<Result<ImageRecord, (ImageFailureCode, &'static str)>, Refused> {
    let failed = |code, reason| Ok(Err((code, reason)));
    let not_found = (ImageFailureCode::ImageNotFound, "Requested image not found");
    let digest = match (&id.image_digest, &id.image_tag) {
        (None, None) => {
            return failed(
                ImageFailureCode::MissingDigestAndTag,
                "Invalid request parameters: both tag and digest cannot be null",
            );
        }
        (Some(digest), _) if Digest::parse(digest).is_none() => {
            return failed(
                ImageFailureCode::InvalidImageDigest,
                "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'",
            );
        }
        (_, Some(tag)) if !is_tag(tag) => {
            return failed(
                ImageFailureCode::InvalidImageTag,
                "Invalid request parameters: image tag should satisfy the regex '[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}'",
            );
        }
        (Some(digest), None) => digest.clone(),
        (named, Some(tag)) => match view.image_tag(repository, tag)? {
            None => return Ok(Err(not_found)),
            Some(on) if named.as_ref().is_some_and(|named| *named != on.digest) => {
                return failed(ImageFailureCode::ImageTagDoesNotMatchDigest, "Requested tag does not match the digest");
            }
            Some(on) => on.digest,
        },
    };
    Ok(view.image(repository, &digest)?.ok_or(not_found))
}

fn failure(id: ImageIdentifier, code: ImageFailureCode, reason: impl Into<String>) -> ImageFailure {
    ImageFailure { image_id: Some(id), failure_code: Some(code), failure_reason: Some(reason.into()) }
}

/// The manifest of an image that was found; none if it was deleted since.
pub(super) async fn read<R: Runners>(inner: &Arc<Inner<R>>, image: &ImageRecord) -> Result<Option<Vec<u8>>, ApiError> {
    let Some(found) = inner.look(|view| content::find(view, &image.repository, &image.digest))? else {
        return Ok(None);
    };
    let bytes = found.read(inner).await?;
    if let Some(noted) = pulled(inner, image) {
        inner.transact(move |tx| Ok(tx.note_pull(&noted)?)).await?;
    }
    Ok(Some(bytes))
}

/// The record of an image that is being pulled, if that is to be noted.
fn pulled<R: Runners>(inner: &Inner<R>, image: &ImageRecord) -> Option<ImageRecord> {
    let now = inner.now();
    let is_due = image.pulled_ms.is_none_or(|pulled| now.saturating_sub(pulled) >= NOTED_EVERY);
    is_due.then(|| ImageRecord { pulled_ms: Some(now), ..image.clone() })
}

/// Notes that an image is pulled, on a thread that may wait for the disk.
pub(super) fn note_pull<R: Runners>(inner: &Inner<R>, image: &ImageRecord) -> Result<(), ApiError> {
    let Some(noted) = pulled(inner, image) else { return Ok(()) };
    inner.metadata.write_blocking(move |tx| tx.note_pull(&noted)).map(drop).map_err(|e| refuse(&e))
}

pub(super) async fn batch_get_image<R: Runners>(
    inner: &Arc<Inner<R>>,
    _: &Context,
    input: BatchGetImageRequest,
) -> Result<BatchGetImageResponse, ApiError> {
    let home = &inner.config.home;
    let registry = input.registry_id.as_deref();
    let repository = inner.look(|view| Ok(find(view, home, registry, &input.repository_name)?.0.name))?;
    let (mut images, mut failures) = (Vec::new(), Vec::new());
    for id in input.image_ids {
        let found = match inner.look(|view| resolve(view, &repository, &id))? {
            Ok(found) => found,
            Err((code, reason)) => {
                failures.push(failure(id, code, reason));
                continue;
            }
        };
        let Some(bytes) = read(inner, &found).await? else {
            failures.push(failure(id, ImageFailureCode::ImageNotFound, "Requested image not found"));
            continue;
        };
        let document = document::Image::of(&found).map_err(|e| refuse(&e))?;
        images.push(Image {
            registry_id: Some(home.account.clone()),
            repository_name: Some(repository.clone()),
            image_id: Some(ImageIdentifier { image_digest: Some(found.digest), image_tag: id.image_tag }),
            image_manifest: Some(String::from_utf8_lossy(&bytes).into_owned()),
            image_manifest_media_type: Some(document.media_type),
        });
    }
    Ok(BatchGetImageResponse { images: Some(images), failures: Some(failures) })
}

/// What deleting an image did.
pub(super) enum Deleted {
    /// These names of it are gone.
    Gone(Vec<ImageIdentifier>),
    /// It stays.
    Stays(ImageFailureCode, String),
}

/// Deletes an image with its tags, or, where a tag alone is named, that tag, and with the last one the image.
pub(super) fn delete(tx: &mut Tx<'_>, repository: &str, id: &ImageIdentifier, now: Millis) -> Result<Deleted, Refused> {
    let image = match resolve(tx, repository, id)? {
        Ok(image) => image,
        Err((code, reason)) => return Ok(Deleted::Stays(code, reason.to_owned())),
    };
    let mut tags = tx.tags_of_image(repository, &image.digest)?;
    let named = |tag: Option<String>| ImageIdentifier { image_digest: Some(image.digest.clone()), image_tag: tag };
    if let (None, Some(tag)) = (&id.image_digest, &id.image_tag) {
        if tags.len() > 1 {
            tx.delete_image_tag(repository, tag)?;
            return Ok(Deleted::Gone(vec![named(Some(tag.clone()))]));
        }
        tags = vec![tag.clone()];
    }
    if tx.is_part_of_image(repository, &image.digest)? {
        // The tag may go all the same: the image is still named by the index.
        if id.image_digest.is_none() {
            for tag in &tags {
                tx.delete_image_tag(repository, tag)?;
            }
            return Ok(Deleted::Gone(tags.into_iter().map(|tag| named(Some(tag))).collect()));
        }
        let reason = format!("Requested image referenced by manifest list: [{}]", image.digest);
        return Ok(Deleted::Stays(ImageFailureCode::ImageReferencedByManifestList, reason));
    }
    tx.touch_parts_of_image(repository, &image.digest, now)?;
    tx.delete_image(repository, &image.digest)?;
    let gone = match tags.is_empty() {
        true => vec![named(None)],
        false => tags.into_iter().map(|tag| named(Some(tag))).collect(),
    };
    Ok(Deleted::Gone(gone))
}

pub(super) async fn batch_delete_image<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: BatchDeleteImageRequest,
) -> Result<BatchDeleteImageResponse, ApiError> {
    let (home, now) = (inner.config.home.clone(), inner.now());
    let (gone, failures) = inner
        .transact(move |tx| {
            let (record, _) = find(tx, &home, input.registry_id.as_deref(), &input.repository_name)?;
            let (mut gone, mut failures) = (BTreeMap::new(), Vec::new());
            for id in input.image_ids {
                match delete(tx, &record.name, &id, now)? {
                    Deleted::Gone(ids) => {
                        gone.extend(ids.into_iter().map(|id| ((id.image_digest.clone(), id.image_tag.clone()), id)));
                    }
                    // By another of its names, in this call.
                    Deleted::Stays(ImageFailureCode::ImageNotFound, _)
                        if gone.keys().any(|(digest, tag)| {
                            (id.image_digest.is_none() || *digest == id.image_digest)
                                && (id.image_tag.is_none() || *tag == id.image_tag)
                        }) => {}
                    Deleted::Stays(code, reason) => failures.push(failure(id, code, reason)),
                }
            }
            Ok((gone, failures))
        })
        .await?;
    crash::point("images_deleted");
    Ok(BatchDeleteImageResponse { image_ids: Some(gone.into_values().collect()), failures: Some(failures) })
}
