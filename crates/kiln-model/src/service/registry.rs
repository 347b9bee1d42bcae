//! Images, as the distribution specification moves them.

use std::future::Future;

use super::{ByteSource, Caller, Context};
use crate::{
    ApiError,
    registry::{
        Append, Digest, LayerContent, LayerUploadId, NamePage, NewManifest, PushedManifest, Reference, ReferrerPage,
        RegistryError, StoredManifest,
    },
    s3::ByteRange,
};

/// Layers and manifests of repositories. Who may call what is decided before.
///
/// What was answered with success is on the disk. Nothing is visible before its digest was verified. Repositories have
/// been made before: nothing is pushed into one that is not there.
pub trait Images: Send + Sync + 'static {
    /// How bytes come from the service.
    type Layer: ByteSource;

    /// Whose a password of the registry is; `None` for what is none, or whose time is over.
    fn registry_caller(&self, password: &str) -> impl Future<Output = Result<Option<Caller>, ApiError>> + Send;

    /// Whether a link to a layer is one that the service gave out, and still good.
    fn is_layer_link(&self, repository: &str, digest: &Digest, token: &str) -> bool;

    /// Size of a layer, bytes; `BLOB_UNKNOWN`.
    fn layer_size(
        &self,
        context: &Context,
        repository: &str,
        digest: &Digest,
    ) -> impl Future<Output = Result<u64, RegistryError>> + Send;

    /// Bytes of a layer; `BLOB_UNKNOWN`, and a status of 416 for a range that it has nothing of.
    fn layer(
        &self,
        context: &Context,
        repository: &str,
        digest: &Digest,
        range: Option<ByteRange>,
    ) -> impl Future<Output = Result<LayerContent<Self::Layer>, RegistryError>> + Send;

    /// Begins the upload of a layer; its id.
    fn begin_layer(
        &self,
        context: &Context,
        repository: &str,
    ) -> impl Future<Output = Result<String, RegistryError>> + Send;

    /// Lets a repository have a layer that another one has; false when that has none, or its bytes are sealed otherwise.
    fn mount_layer(
        &self,
        context: &Context,
        repository: &str,
        digest: &Digest,
        from: &str,
    ) -> impl Future<Output = Result<bool, RegistryError>> + Send;

    /// Appends bytes to an upload; how many it has then. What came of a body that broke off is kept.
    fn append_layer(
        &self,
        context: &Context,
        upload: &LayerUploadId,
        append: Append,
        body: impl ByteSource,
    ) -> impl Future<Output = Result<u64, RegistryError>> + Send;

    /// How many bytes an upload has.
    fn layer_uploaded(
        &self,
        context: &Context,
        upload: &LayerUploadId,
    ) -> impl Future<Output = Result<u64, RegistryError>> + Send;

    /// Completes an upload, whose bytes must have that digest.
    fn complete_layer(
        &self,
        context: &Context,
        upload: &LayerUploadId,
        digest: &Digest,
    ) -> impl Future<Output = Result<(), RegistryError>> + Send;

    /// Gives an upload up.
    fn cancel_layer(
        &self,
        context: &Context,
        upload: &LayerUploadId,
    ) -> impl Future<Output = Result<(), RegistryError>> + Send;

    /// A manifest; `MANIFEST_UNKNOWN`.
    fn manifest(
        &self,
        context: &Context,
        repository: &str,
        reference: &Reference,
    ) -> impl Future<Output = Result<StoredManifest, RegistryError>> + Send;

    /// Stores a manifest; `MANIFEST_BLOB_UNKNOWN` when the repository has not all that it names.
    fn put_manifest(
        &self,
        context: &Context,
        manifest: NewManifest,
    ) -> impl Future<Output = Result<PushedManifest, RegistryError>> + Send;

    /// Deletes an image, or a tag alone.
    fn delete_manifest(
        &self,
        context: &Context,
        repository: &str,
        reference: &Reference,
    ) -> impl Future<Output = Result<(), RegistryError>> + Send;

    /// Tags of a repository in order, from behind `last`.
    fn image_tags(
        &self,
        context: &Context,
        repository: &str,
        last: Option<&str>,
        most: usize,
    ) -> impl Future<Output = Result<NamePage, RegistryError>> + Send;

    /// Repositories by name, from behind `last`.
    fn catalog(
        &self,
        context: &Context,
        last: Option<&str>,
        most: usize,
    ) -> impl Future<Output = Result<NamePage, RegistryError>> + Send;

    /// What is about an image, which need not be there.
    fn image_referrers(
        &self,
        context: &Context,
        repository: &str,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&str>,
    ) -> impl Future<Output = Result<ReferrerPage, RegistryError>> + Send;
}
