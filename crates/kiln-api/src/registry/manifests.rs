//! Manifests, and lists of names.

use std::sync::Arc;

use http::{HeaderName, Response, StatusCode, header};
use kiln_model::{
    registry::{Digest, MOST_MANIFEST, NewManifest, RegistryCode, RegistryError},
    service,
};
use serde_json::json;

use super::{Asked, answer, target::Call};
use crate::{
    authenticate::Keys,
    authorise::Authorizer,
    body::{Answer, Streamed as Body},
    server::Server,
};

/// Names of a page when nothing else is said, and at most.
const PAGE: usize = 1000;

/// The index that lists of what is about an image are.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// How many names a client wants.
fn most(asked: &Asked<'_>) -> Result<usize, RegistryError> {
    let Some(text) = asked.query("n") else { return Ok(PAGE) };
    let number = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<usize>().ok()).flatten();
    let number = number.ok_or_else(|| {
        RegistryError::new(RegistryCode::Unsupported, "n is the number of names that a page may have").with_status(400)
    })?;
    Ok(number.min(PAGE))
}

/// Says where the next page is.
fn link(response: &mut Response<Answer>, target: &str) {
    answer::set(response, header::LINK, format!("<{target}>; rel=\"next\""));
}

impl<S: service::Service, K: Keys, A: Authorizer> Server<S, K, A> {
    /// Calls what is about manifests and names.
    pub(super) async fn manifests(
        self: &Arc<Self>,
        asked: &Asked<'_>,
        call: Call,
        body: &mut Body,
    ) -> Result<Response<Answer>, RegistryError> {
        let (service, context) = (&self.service, asked.context);
        match call {
            Call::Manifest { repository, reference, is_head } => {
                let manifest = service.manifest(context, &repository, &reference).await?;
                let length = manifest.bytes.len().to_string();
                let mut response =
                    Response::new(if is_head { Answer::default() } else { Answer::whole(manifest.bytes) });
                answer::set(&mut response, header::CONTENT_LENGTH, length);
                answer::set(&mut response, header::CONTENT_TYPE, &manifest.media_type);
                answer::set(&mut response, header::ETAG, format!("\"{}\"", manifest.digest));
                answer::set(&mut response, answer::DIGEST, &manifest.digest);
                Ok(response)
            }
            Call::PutManifest { repository, reference } => {
                let too_large = || {
                    let message = format!("a manifest has at most {MOST_MANIFEST} bytes");
                    RegistryError::new(RegistryCode::SizeInvalid, message).with_status(413)
                };
                if asked.length.is_some_and(|length| length > MOST_MANIFEST as u64) {
                    return Err(too_large());
                }
                let bytes = body.whole(MOST_MANIFEST).await.map_err(|e| {
                    RegistryError::new(RegistryCode::SizeInvalid, format!("the manifest did not arrive whole: {e}"))
                })?;
                let kind = asked.parts.headers.get(header::CONTENT_TYPE);
                let media_type = kind.and_then(|kind| kind.to_str().ok()).map(str::to_owned);
                let manifest = NewManifest {
                    repository: repository.clone(),
                    reference,
                    media_type,
                    bytes: bytes.ok_or_else(too_large)?,
                };
                let pushed = service.put_manifest(context, manifest).await?;
                let mut response = answer::empty(StatusCode::CREATED);
                answer::set(&mut response, header::LOCATION, format!("/v2/{repository}/manifests/{}", pushed.digest));
                answer::set(&mut response, answer::DIGEST, &pushed.digest);
                if let Some(subject) = pushed.subject {
                    answer::set(&mut response, HeaderName::from_static("oci-subject"), subject);
                }
                Ok(response)
            }
            Call::DeleteManifest { repository, reference } => {
                service.delete_manifest(context, &repository, &reference).await?;
                Ok(answer::empty(StatusCode::ACCEPTED))
            }
            Call::Tags { repository } => {
                let most = most(asked)?;
                let last = asked.query("last");
                let page = service.image_tags(context, &repository, last.as_deref(), most).await?;
                let mut response = answer::json(&json!({ "name": repository, "tags": page.names }));
                if let Some(last) = page.names.last().filter(|_| page.has_more) {
                    link(&mut response, &format!("/v2/{repository}/tags/list?n={most}&last={last}"));
                }
                Ok(response)
            }
            Call::Catalog => {
                let most = most(asked)?;
                let last = asked.query("last");
                let page = service.catalog(context, last.as_deref(), most).await?;
                let mut response = answer::json(&json!({ "repositories": page.names }));
                if let Some(last) = page.names.last().filter(|_| page.has_more) {
                    link(&mut response, &format!("/v2/_catalog?n={most}&last={last}"));
                }
                Ok(response)
            }
            Call::Referrers { repository, subject } => self.referrers(asked, repository, subject).await,
            _ => Err(RegistryError::new(RegistryCode::Unsupported, "this is not about manifests")),
        }
    }

    async fn referrers(
        &self,
        asked: &Asked<'_>,
        repository: String,
        subject: Digest,
    ) -> Result<Response<Answer>, RegistryError> {
        let kind = asked.query("artifactType").filter(|kind| !kind.is_empty());
        let last = asked.query("last");
        let service = &self.service;
        let page =
            service.image_referrers(asked.context, &repository, &subject, kind.as_deref(), last.as_deref()).await?;
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": page.manifests });
        let mut response = answer::json(&index);
        answer::set(&mut response, header::CONTENT_TYPE, INDEX);
        let mut next = page.next.map(|next| format!("/v2/{repository}/referrers/{subject}?last={next}"));
        if let Some(kind) = kind {
            answer::set(&mut response, HeaderName::from_static("oci-filters-applied"), "artifactType");
            if let Some(next) = &mut next {
                let escaped: String = kind.bytes().map(|b| format!("%{b:02X}")).collect();
                next.push_str("&artifactType=");
                next.push_str(&escaped);
            }
        }
        if let Some(next) = next {
            link(&mut response, &next);
        }
        Ok(response)
    }
}
