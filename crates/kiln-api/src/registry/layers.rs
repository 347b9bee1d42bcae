//! Layers: fetched, and uploaded.

use std::sync::Arc;

use http::{HeaderMap, Response, StatusCode, header};
use kiln_model::{
    registry::{Append, Digest, LayerUploadId, RegistryCode, RegistryError},
    s3::ByteRange,
    service,
};

use super::{
    Asked, answer,
    target::{Call, Step},
};
use crate::{
    authenticate::Keys,
    authorise::Authorizer,
    body::{Answer, Streamed as Body},
    server::Server,
};

/// Where an upload is gone on with.
fn at_upload(status: StatusCode, upload: &LayerUploadId, uploaded: u64) -> Response<Answer> {
    let mut response = answer::empty(status);
    // Relative: what the client calls this server is its own affair.
    answer::set(&mut response, header::LOCATION, format!("/v2/{}/blobs/uploads/{}", upload.repository, upload.id));
    answer::set(&mut response, header::HeaderName::from_static("docker-upload-uuid"), &upload.id);
    answer::set_range(&mut response, uploaded);
    response
}

/// Where a layer is.
fn at_layer(repository: &str, digest: &Digest) -> Response<Answer> {
    let mut response = answer::empty(StatusCode::CREATED);
    answer::set(&mut response, header::LOCATION, format!("/v2/{repository}/blobs/{digest}"));
    answer::set(&mut response, answer::DIGEST, digest.as_str());
    response
}

/// Which bytes a body is, as `Content-Range: first-last` says; the specification has no unit before it.
fn append(headers: &HeaderMap, length: Option<u64>) -> Result<Append, RegistryError> {
    let Some(range) = headers.get(header::CONTENT_RANGE) else { return Ok(Append { start: None, length }) };
    let read = || {
        let text = range.to_str().ok()?.trim();
        let text = text.strip_prefix("bytes ").unwrap_or(text);
        let text = text.split('/').next()?;
        let (first, last) = text.split_once('-')?;
        let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
        let (first, last) = (number(first)?, number(last)?);
        let count = last.checked_sub(first)?.checked_add(1)?;
        Some((first, count))
    };
    let wrong = |message: &str| RegistryError::new(RegistryCode::BlobUploadInvalid, message);
    let (first, count) = read().ok_or_else(|| wrong("Content-Range must say first-last, both included"))?;
    if length.is_some_and(|length| length != count) {
        return Err(RegistryError::new(
            RegistryCode::SizeInvalid,
            "Content-Range and Content-Length contradict each other",
        ));
    }
    Ok(Append { start: Some(first), length: Some(count) })
}

/// `Range: bytes=first-last`; `None` for what is none, or several: all is answered then.
fn wanted(headers: &HeaderMap) -> Option<ByteRange> {
    let text = headers.get(header::RANGE)?.to_str().ok()?.strip_prefix("bytes=")?;
    let (first, last) = text.split_once('-')?;
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    match (first, last) {
        ("", last) => Some(ByteRange::Suffix(number(last)?)),
        (first, "") => Some(ByteRange::From { first: number(first)?, last: None }),
        (first, last) => Some(ByteRange::From { first: number(first)?, last: Some(number(last)?) }),
    }
}

impl<S: service::Service, K: Keys, A: Authorizer> Server<S, K, A> {
    /// Calls what is about layers.
    pub(super) async fn layers(
        self: &Arc<Self>,
        asked: &Asked<'_>,
        call: Call,
        body: &mut Body,
    ) -> Result<Response<Answer>, RegistryError> {
        match call {
            Call::Layer { repository, digest, is_head: true } => {
                let size = self.service.layer_size(asked.context, &repository, &digest).await?;
                let mut response = answer::empty(StatusCode::OK);
                answer::set(&mut response, header::CONTENT_LENGTH, size.to_string());
                Ok(described(response, &digest))
            }
            Call::Layer { repository, digest, .. } => {
                let range = wanted(&asked.parts.headers);
                let content = self.service.layer(asked.context, &repository, &digest, range).await?;
                let (first, end) = content.range;
                let mut response =
                    Response::new(Answer::pieces(content.body, Some(end - first), self.stopping.clone()));
                if range.is_some() {
                    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                    let shown = format!("bytes {first}-{}/{}", end.saturating_sub(1), content.size);
                    answer::set(&mut response, header::CONTENT_RANGE, shown);
                }
                answer::set(&mut response, header::CONTENT_LENGTH, (end - first).to_string());
                Ok(described(response, &digest))
            }
            Call::Begin { repository, mount, whole } => self.begin_upload(asked, repository, mount, whole, body).await,
            Call::Upload { upload, step } => self.upload(asked, upload, step, body).await,
            _ => Err(RegistryError::new(RegistryCode::Unsupported, "this is not about layers")),
        }
    }

    async fn begin_upload(
        &self,
        asked: &Asked<'_>,
        repository: String,
        mount: Option<(Digest, String)>,
        whole: Option<Digest>,
        body: &mut Body,
    ) -> Result<Response<Answer>, RegistryError> {
        let (service, context) = (&self.service, asked.context);
        if let Some((digest, from)) = mount {
            // Whoever may not read it there has to send it: that it is there is not said.
            let may = self.permit("ecr:GetDownloadUrlForLayer", Some(&from), context).is_ok();
            if may && service.mount_layer(context, &repository, &digest, &from).await? {
                return Ok(at_layer(&repository, &digest));
            }
        }
        let id = service.begin_layer(context, &repository).await?;
        let upload = LayerUploadId { repository, id };
        let Some(digest) = whole else { return Ok(at_upload(StatusCode::ACCEPTED, &upload, 0)) };
        let append = Append { start: Some(0), length: asked.length };
        let stored = match service.append_layer(context, &upload, append, body.take()).await {
            Ok(_) => service.complete_layer(context, &upload, &digest).await,
            Err(error) => Err(error),
        };
        if let Err(mut error) = stored {
            // Nobody knows this upload: it cannot be gone on with. It may be gone already.
            error.uploaded = None;
            if let Err(e) = service.cancel_layer(context, &upload).await
                && e.code != RegistryCode::BlobUploadUnknown
            {
                tracing::warn!(error = %e, "an upload that failed stays until its time is over");
            }
            return Err(error);
        }
        Ok(at_layer(&upload.repository, &digest))
    }

    async fn upload(
        &self,
        asked: &Asked<'_>,
        upload: LayerUploadId,
        step: Step,
        body: &mut Body,
    ) -> Result<Response<Answer>, RegistryError> {
        let (service, context, headers) = (&self.service, asked.context, &asked.parts.headers);
        match step {
            Step::State => {
                let uploaded = service.layer_uploaded(context, &upload).await?;
                Ok(at_upload(StatusCode::NO_CONTENT, &upload, uploaded))
            }
            Step::Append => {
                let append = append(headers, asked.length)?;
                let uploaded = service.append_layer(context, &upload, append, body.take()).await?;
                Ok(at_upload(StatusCode::ACCEPTED, &upload, uploaded))
            }
            Step::Complete(digest) => {
                if asked.length != Some(0) {
                    let append = append(headers, asked.length)?;
                    service.append_layer(context, &upload, append, body.take()).await?;
                }
                service.complete_layer(context, &upload, &digest).await?;
                Ok(at_layer(&upload.repository, &digest))
            }
            Step::Cancel => {
                service.cancel_layer(context, &upload).await?;
                Ok(answer::empty(StatusCode::NO_CONTENT))
            }
        }
    }
}

fn described(mut response: Response<Answer>, digest: &Digest) -> Response<Answer> {
    answer::set(&mut response, header::CONTENT_TYPE, "application/octet-stream");
    answer::set(&mut response, header::ACCEPT_RANGES, "bytes");
    answer::set(&mut response, header::ETAG, format!("\"{digest}\""));
    answer::set(&mut response, answer::DIGEST, digest.as_str());
    response
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn ranges_of_uploads_have_no_unit() {
        let read = |text: &'static str, length| {
            let headers = HeaderMap::from_iter([(header::CONTENT_RANGE, HeaderValue::from_static(text))]);
            append(&headers, length)
        };
        assert_eq!(read("0-9", Some(10)).unwrap(), Append { start: Some(0), length: Some(10) });
        assert_eq!(read("bytes 10-19/*", None).unwrap(), Append { start: Some(10), length: Some(10) });
        for bad in ["", "-", "5-4", "a-b", "0-", "+0-9", "0-18446744073709551615", "-9"] {
            assert!(read(bad, None).is_err(), "{bad}");
        }
        assert_eq!(read("0-9", Some(9)).unwrap_err().code, RegistryCode::SizeInvalid);
        assert_eq!(append(&HeaderMap::new(), Some(3)).unwrap(), Append { start: None, length: Some(3) });
    }

    #[test]
    fn ranges_of_layers() {
        let read =
            |text: &'static str| wanted(&HeaderMap::from_iter([(header::RANGE, HeaderValue::from_static(text))]));
        assert_eq!(read("bytes=5-9"), Some(ByteRange::From { first: 5, last: Some(9) }));
        assert_eq!(read("bytes=5-"), Some(ByteRange::From { first: 5, last: None }));
        assert_eq!(read("bytes=-5"), Some(ByteRange::Suffix(5)));
        for other in ["bytes=1-2,4-5", "lines=1-2", "bytes=a-b", "bytes=-", "5-9"] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
