//! Layers, as ECR's own clients store and fetch them.

use std::sync::Arc;

use kiln_model::{
    ApiError, ErrorCode,
    ecr::{
        BatchCheckLayerAvailabilityRequest, BatchCheckLayerAvailabilityResponse, CompleteLayerUploadRequest,
        CompleteLayerUploadResponse, GetDownloadUrlForLayerRequest, GetDownloadUrlForLayerResponse,
        InitiateLayerUploadRequest, InitiateLayerUploadResponse, Layer, LayerAvailability, LayerFailure,
        LayerFailureCode, UploadLayerPartRequest, UploadLayerPartResponse,
    },
    registry::{Append, Digest, LayerUploadId, RegistryCode},
    service::Context,
};

use super::{
    content::Whole,
    error::{error, no_layer},
    find::find,
    token,
    uploads::{self, Completed},
};
use crate::{core::Inner, runners::Runners};

/// What ECR tells its clients to send at once.
const PART_SIZE: i64 = 20 << 20;
/// Smallest part that is not the last.
const MIN_PART: i64 = 5 << 20;
/// What every layer is taken for that no manifest says more of.
const LAYER_TYPE: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

pub(super) async fn batch_check_layer_availability<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: BatchCheckLayerAvailabilityRequest,
) -> Result<BatchCheckLayerAvailabilityResponse, ApiError> {
    let home = &inner.config.home;
    let (mut layers, mut failures) = (Vec::new(), Vec::new());
    inner.look(|view| {
        let (record, _) = find(view, home, input.registry_id.as_deref(), &input.repository_name)?;
        for digest in &input.layer_digests {
            if Digest::parse(digest).is_none() {
                let (code, reason) = match digest.is_empty() {
                    true => (LayerFailureCode::MissingLayerDigest, "The layer digest is missing"),
                    false => (
                        LayerFailureCode::InvalidLayerDigest,
                        "Invalid layer digest: it should satisfy the regex 'sha256:[a-f0-9]{64}'",
                    ),
                };
                failures.push(LayerFailure {
                    layer_digest: Some(digest.clone()),
                    failure_code: Some(code),
                    failure_reason: Some(reason.to_owned()),
                });
                continue;
            }
            let link = view.repository_content(&record.name, digest)?;
            let content = link.map(|link| view.content(&link.content)).transpose()?.flatten();
            layers.push(Layer {
                layer_digest: Some(digest.clone()),
                layer_availability: Some(match content {
                    Some(_) => LayerAvailability::Available,
                    None => LayerAvailability::Unavailable,
                }),
                media_type: content.is_some().then(|| LAYER_TYPE.to_owned()),
                layer_size: content.map(|content| content.size),
            });
        }
        Ok(())
    })?;
    uploads::keep(inner, &input.repository_name, &input.layer_digests).await?;
    Ok(BatchCheckLayerAvailabilityResponse { layers: Some(layers), failures: Some(failures) })
}

pub(super) async fn get_download_url_for_layer<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: GetDownloadUrlForLayerRequest,
) -> Result<GetDownloadUrlForLayerResponse, ApiError> {
    let home = &inner.config.home;
    let name = input.repository_name;
    let not_found = || no_layer(&input.layer_digest, &name, &home.account);
    let is_there = inner.look(|view| {
        find(view, home, input.registry_id.as_deref(), &name)?;
        Ok(view.repository_content(&name, &input.layer_digest)?.is_some())
    })?;
    let digest = Digest::parse(&input.layer_digest).filter(|_| is_there).ok_or_else(not_found)?;
    let token = token::link(inner, &name, &digest)?;
    Ok(GetDownloadUrlForLayerResponse {
        download_url: Some(format!("{}/v2/{name}/blobs/{digest}?kiln-link={token}", context.origin)),
        layer_digest: Some(digest.into()),
    })
}

pub(super) async fn initiate_layer_upload<R: Runners>(
    inner: &Inner<R>,
    _: &Context,
    input: InitiateLayerUploadRequest,
) -> Result<InitiateLayerUploadResponse, ApiError> {
    let id = uploads::begin(inner, input.registry_id, input.repository_name).await?;
    Ok(InitiateLayerUploadResponse { upload_id: Some(id), part_size: Some(PART_SIZE) })
}

/// Names an upload, of a repository that is there.
fn upload<R: Runners>(
    inner: &Inner<R>,
    registry: Option<&str>,
    repository: &str,
    id: String,
) -> Result<LayerUploadId, ApiError> {
    let home = &inner.config.home;
    inner.look(|view| find(view, home, registry, repository).map(drop))?;
    Ok(LayerUploadId { repository: repository.to_owned(), id: id.to_ascii_lowercase() })
}

pub(super) async fn upload_layer_part<R: Runners>(
    inner: &Arc<Inner<R>>,
    _: &Context,
    input: UploadLayerPartRequest,
) -> Result<UploadLayerPartResponse, ApiError> {
    let upload = upload(inner, input.registry_id.as_deref(), &input.repository_name, input.upload_id)?;
    let bytes = input.layer_part_blob.0;
    let refused = |problem: &str| {
        let message = format!(
            "The layer part size is not valid, or the first byte specified is not consecutive to the last byte of a \
             previous layer part upload: {problem}"
        );
        error(ErrorCode::InvalidLayerPart, message)
    };
    let first = u64::try_from(input.part_first_byte).unwrap_or_default();
    let length = input.part_last_byte - input.part_first_byte + 1;
    if bytes.is_empty() || i64::try_from(bytes.len()).ok() != Some(length) {
        return Err(refused(&format!("{length} bytes were announced, {} came", bytes.len())));
    }
    let append = Append { start: Some(first), length: u64::try_from(length).ok() };
    let size = uploads::append(inner, &upload, append, Whole(Some(bytes))).await.map_err(|e| match e.code {
        RegistryCode::BlobUploadInvalid | RegistryCode::SizeInvalid => refused(&e.message),
        RegistryCode::BlobUploadUnknown => error(ErrorCode::UploadNotFound, e.message),
        _ if e.status == 503 => ApiError::unavailable(e.message),
        _ => ApiError::internal(e.message),
    })?;
    Ok(UploadLayerPartResponse {
        registry_id: Some(inner.config.home.account.clone()),
        repository_name: Some(upload.repository),
        upload_id: Some(upload.id),
        last_byte_received: i64::try_from(size).ok().map(|size| size - 1),
    })
}

pub(super) async fn complete_layer_upload<R: Runners>(
    inner: &Arc<Inner<R>>,
    _: &Context,
    input: CompleteLayerUploadRequest,
) -> Result<CompleteLayerUploadResponse, ApiError> {
    let upload = upload(inner, input.registry_id.as_deref(), &input.repository_name, input.upload_id)?;
    let differs = |more: &str| {
        let message = format!(
            "The layer digest calculation performed by Amazon ECR upon receipt of the image layer does not match the digest \
             specified.{more}"
        );
        error(ErrorCode::InvalidLayer, message)
    };
    let named: Vec<Digest> = input.layer_digests.iter().filter_map(|text| Digest::parse(text)).collect();
    let [digest] = named.as_slice() else { return Err(differs(" Name one digest of sha256.")) };
    let sizes = uploads::piece_sizes(inner, &upload)?;
    if sizes.is_empty() {
        return Err(error(ErrorCode::EmptyUpload, "The specified layer upload does not contain any layer parts."));
    }
    if sizes.iter().rev().skip(1).any(|size| *size < MIN_PART) {
        let message = "Layer parts must be at least 5 MiB in size.";
        return Err(error(ErrorCode::LayerPartTooSmall, message));
    }
    match uploads::complete(inner, &upload, digest).await? {
        Completed::Stored => {}
        Completed::WasThere => {
            let message = format!(
                "Layer with digest '{digest}' already exists in the repository with name '{}' in the registry with id \
                 '{}'",
                upload.repository, inner.config.home.account
            );
            return Err(error(ErrorCode::LayerAlreadyExists, message));
        }
        Completed::Differs(computed) => return Err(differs(&format!(" It is {computed}."))),
    }
    Ok(CompleteLayerUploadResponse {
        registry_id: Some(inner.config.home.account.clone()),
        repository_name: Some(upload.repository),
        upload_id: Some(upload.id),
        layer_digest: Some(digest.to_string()),
    })
}
