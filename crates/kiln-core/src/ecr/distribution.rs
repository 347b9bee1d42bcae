//! What the distribution specification asks for.

use kiln_model::{
    ApiError,
    ecr::{ImageFailureCode, ImageIdentifier},
    registry::{
        Append, Digest, LayerContent, LayerUploadId, NamePage, NewManifest, PushedManifest, Reference, ReferrerPage,
        RegistryCode, RegistryError, StoredManifest,
    },
    s3::ByteRange,
    service::{ByteSource, Caller, Context, Images},
};
use kiln_store::metadata::ImageRecord;
use serde_json::{Value, json};

use super::{
    content,
    document::Image,
    error::no_layer,
    find::find,
    images::{self, Deleted, New, NotStored},
    list::referrers,
    repositories, token,
    uploads::{self, Completed},
};
use crate::{
    bytes::Bytes,
    core::{Core, Inner},
    records::Refused,
    runners::Runners,
};

/// Descriptors of a page of what is about an image.
const PAGE: usize = 100;

fn no_manifest(repository: &str, reference: &Reference) -> RegistryError {
    let name = match reference {
        Reference::Tag(tag) => format!("tag '{tag}'"),
        Reference::Digest(digest) => format!("digest '{digest}'"),
    };
    let message = format!("Requested image not found: {name} in the repository '{repository}'");
    RegistryError::new(RegistryCode::ManifestUnknown, message)
}

pub(super) fn named(reference: &Reference) -> ImageIdentifier {
    match reference {
        Reference::Tag(tag) => ImageIdentifier { image_digest: None, image_tag: Some(tag.clone()) },
        Reference::Digest(digest) => ImageIdentifier { image_digest: Some(digest.to_string()), image_tag: None },
    }
}

/// The content under a digest; of a repository that is not there that it is not.
fn layer<R: Runners>(inner: &Inner<R>, repository: &str, digest: &Digest) -> Result<content::Found, RegistryError> {
    let home = &inner.config.home;
    let found = inner.look(|view| {
        find(view, home, None, repository)?;
        content::find(view, repository, digest.as_str())
    })?;
    found.ok_or_else(|| no_layer(digest.as_str(), repository, &home.account).into())
}

impl<R: Runners> Images for Core<R> {
    type Layer = Bytes;

    async fn registry_caller(&self, password: &str) -> Result<Option<Caller>, ApiError> {
        token::caller(&self.inner, password)
    }

    fn is_layer_link(&self, repository: &str, digest: &Digest, token: &str) -> bool {
        token::is_link(&self.inner, repository, digest, token)
    }

    async fn layer_size(&self, _: &Context, repository: &str, digest: &Digest) -> Result<u64, RegistryError> {
        let size = layer(&self.inner, repository, digest)?.size();
        uploads::keep(&self.inner, repository, &[digest.to_string()]).await?;
        Ok(size)
    }

    async fn layer(
        &self,
        _: &Context,
        repository: &str,
        digest: &Digest,
        range: Option<ByteRange>,
    ) -> Result<LayerContent<Bytes>, RegistryError> {
        layer(&self.inner, repository, digest)?.open(&self.inner, range).await
    }

    async fn begin_layer(&self, _: &Context, repository: &str) -> Result<String, RegistryError> {
        Ok(uploads::begin(&self.inner, None, repository.to_owned()).await?)
    }

    async fn mount_layer(
        &self,
        _: &Context,
        repository: &str,
        digest: &Digest,
        from: &str,
    ) -> Result<bool, RegistryError> {
        Ok(uploads::mount(&self.inner, repository.to_owned(), digest.clone(), from.to_owned()).await?)
    }

    async fn append_layer(
        &self,
        _: &Context,
        upload: &LayerUploadId,
        append: Append,
        body: impl ByteSource,
    ) -> Result<u64, RegistryError> {
        uploads::append(&self.inner, upload, append, body).await
    }

    async fn layer_uploaded(&self, _: &Context, upload: &LayerUploadId) -> Result<u64, RegistryError> {
        Ok(uploads::state(&self.inner, upload)?.size.unsigned_abs())
    }

    async fn complete_layer(&self, _: &Context, upload: &LayerUploadId, digest: &Digest) -> Result<(), RegistryError> {
        match uploads::complete(&self.inner, upload, digest).await? {
            Completed::Stored | Completed::WasThere => Ok(()),
            Completed::Differs(computed) => {
                let message = format!("the digest of the bytes is {computed}, not {digest}: they are thrown away");
                Err(RegistryError::new(RegistryCode::DigestInvalid, message))
            }
        }
    }

    async fn cancel_layer(&self, _: &Context, upload: &LayerUploadId) -> Result<(), RegistryError> {
        Ok(uploads::give_up(&self.inner, upload.clone()).await?)
    }

    async fn manifest(
        &self,
        _: &Context,
        repository: &str,
        reference: &Reference,
    ) -> Result<StoredManifest, RegistryError> {
        let (inner, home) = (&self.inner, &self.inner.config.home);
        let found = inner.look(|view| {
            find(view, home, None, repository)?;
            images::resolve(view, repository, &named(reference))
        })?;
        let image = found.map_err(|_| no_manifest(repository, reference))?;
        let document = Image::of(&image).map_err(|e| crate::records::refuse(&e))?;
        let bytes = images::read(inner, &image).await?.ok_or_else(|| no_manifest(repository, reference))?;
        Ok(StoredManifest { digest: image.digest, media_type: document.media_type, bytes })
    }

    async fn put_manifest(&self, _: &Context, manifest: NewManifest) -> Result<PushedManifest, RegistryError> {
        let (tag, digest) = match manifest.reference {
            Reference::Tag(tag) => (Some(tag), None),
            Reference::Digest(digest) => (None, Some(digest)),
        };
        let new = New {
            registry: None,
            repository: manifest.repository,
            tag,
            digest,
            media_type: manifest.media_type,
            bytes: manifest.bytes,
            must_be_new: false,
        };
        let stored = images::put(&self.inner, new).await.map_err(|not| match not {
            NotStored::Invalid(problem) => RegistryError::new(RegistryCode::ManifestInvalid, problem),
            NotStored::Api(error) => match error.code {
                kiln_model::ErrorCode::LayersNotFound => {
                    RegistryError::new(RegistryCode::ManifestBlobUnknown, error.message)
                }
                kiln_model::ErrorCode::InvalidParameter => {
                    RegistryError::new(RegistryCode::ManifestInvalid, error.message)
                }
                _ => error.into(),
            },
        })?;
        Ok(PushedManifest { digest: stored.digest, subject: stored.subject })
    }

    async fn delete_manifest(&self, _: &Context, repository: &str, reference: &Reference) -> Result<(), RegistryError> {
        let (home, now, name) = (self.inner.config.home.clone(), self.inner.now(), repository.to_owned());
        let wanted = reference.clone();
        let deleted = self.inner.transact(move |tx| {
            find(tx, &home, None, &name)?;
            match &wanted {
                // The tag alone, as the specification has it: ECR's own operation takes the image with its last tag.
                Reference::Tag(tag) if tx.delete_image_tag(&name, tag)? => Ok(Deleted::Gone(Vec::new())),
                _ => images::delete(tx, &name, &named(&wanted), now),
            }
        });
        match deleted.await? {
            Deleted::Gone(_) => Ok(()),
            Deleted::Stays(ImageFailureCode::ImageReferencedByManifestList, reason) => {
                Err(RegistryError::new(RegistryCode::Denied, reason).with_status(409))
            }
            Deleted::Stays(..) => Err(no_manifest(repository, reference)),
        }
    }

    async fn image_tags(
        &self,
        _: &Context,
        repository: &str,
        last: Option<&str>,
        most: usize,
    ) -> Result<NamePage, RegistryError> {
        let home = &self.inner.config.home;
        let mut found = self.inner.look(|view| {
            find(view, home, None, repository)?;
            Ok(view.image_tags(repository, last, most.saturating_add(1))?)
        })?;
        let has_more = found.len() > most;
        found.truncate(most);
        Ok(NamePage { names: found.into_iter().map(|tag| tag.tag).collect(), has_more })
    }

    async fn catalog(&self, _: &Context, last: Option<&str>, most: usize) -> Result<NamePage, RegistryError> {
        let mut found = self.inner.look(|view| Ok(view.repositories(last, most.saturating_add(1))?))?;
        let has_more = found.len() > most;
        found.truncate(most);
        Ok(NamePage { names: found.into_iter().map(|repository| repository.name).collect(), has_more })
    }

    async fn image_referrers(
        &self,
        _: &Context,
        repository: &str,
        subject: &Digest,
        artifact_type: Option<&str>,
        after: Option<&str>,
    ) -> Result<ReferrerPage, RegistryError> {
        let inner = &self.inner;
        repositories::check(inner, repository)?;
        let mut found = inner.look(|view| {
            let is_wanted = |kind: &str| artifact_type.is_none_or(|wanted| wanted == kind);
            let after = after.map(str::to_owned);
            Ok::<_, Refused>(referrers(view, repository, subject.as_str(), after, PAGE + 1, is_wanted)?)
        })?;
        let has_more = found.len() > PAGE;
        found.truncate(PAGE);
        let next = found.last().filter(|_| has_more).map(|(image, _)| image.digest.clone());
        Ok(ReferrerPage { manifests: found.into_iter().map(descriptor).collect(), next })
    }
}

fn descriptor((image, document): (ImageRecord, Image)) -> Value {
    let mut descriptor =
        json!({ "mediaType": document.media_type, "digest": image.digest, "size": document.manifest_size });
    if let Some(kind) = document.artifact_type {
        descriptor["artifactType"] = kind.into();
    }
    if !document.annotations.is_empty() {
        descriptor["annotations"] = json!(document.annotations);
    }
    descriptor
}
