//! The bytes of an object or part as they arrive: in bounded time, and believed only at their end.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use kiln_iam::sigv4::PayloadHasher;
use kiln_model::{
    s3::{S3Code, S3Error},
    service::ByteSource,
};
use tokio::time::timeout_at;

use super::chunked::Decoder;
use crate::body::Pace;

/// What is known of a body beforehand.
pub(super) enum Form {
    /// As it is; its length was announced (or the operation refuses it), and its hash unless it is `UNSIGNED-PAYLOAD`.
    Plain { length: Option<u64>, sha256: Option<[u8; 32]> },
    /// In chunks.
    Chunked(Box<Decoder>),
}

/// What went wrong with a body, and what came behind it: for whoever answers the request.
#[derive(Clone, Default)]
pub(super) struct Outcome(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    trouble: Option<S3Error>,
    trailer: Option<String>,
}

impl Outcome {
    fn with<T>(&self, act: impl FnOnce(&mut Told) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Why the body was not taken: the source said no more than that it was not.
    pub(super) fn trouble(&self) -> Option<S3Error> {
        self.with(|told| told.trouble.take())
    }

    /// The value of the announced trailer, once the body has ended.
    pub(super) fn trailer(&self) -> Option<String> {
        self.with(|told| told.trailer.clone())
    }
}

/// A body on its way. Its end is `None` only when it is complete and is what was signed: whoever stores it must treat an
/// error as "nothing came".
pub(super) struct Payload {
    body: Incoming,
    pace: Pace,
    form: Form,
    hasher: PayloadHasher,
    received: u64,
    /// Of a body in chunks: received, and not read yet.
    pending: Bytes,
    is_over: bool,
    outcome: Outcome,
}

impl Payload {
    pub(super) fn new(body: Incoming, form: Form, pace: Pace) -> Self {
        Self {
            body,
            pace,
            form,
            hasher: PayloadHasher::new(),
            received: 0,
            pending: Bytes::new(),
            is_over: false,
            outcome: Outcome::default(),
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        self.outcome.clone()
    }

    /// The next bytes from the connection.
    async fn receive(&mut self) -> Result<Option<Bytes>, S3Error> {
        loop {
            let frame = timeout_at(self.pace.deadline(self.received), self.body.frame()).await;
            let frame = frame.map_err(|_| {
                let text =
                    "Your socket connection to the server was not read from or written to within the timeout period";
                S3Error::new(S3Code::RequestTimeout, format!("{text}: {} bytes came in time", self.received))
            })?;
            let Some(frame) = frame else { return Ok(None) };
            let frame = frame.map_err(|error| {
                S3Error::new(
                    S3Code::IncompleteBody,
                    format!("The body broke off after {} bytes: {error}", self.received),
                )
            })?;
            let Ok(data) = frame.into_data() else { continue };
            if !data.is_empty() {
                self.received += data.len() as u64;
                return Ok(Some(data));
            }
        }
    }

    async fn advance(&mut self) -> Result<Option<Bytes>, S3Error> {
        loop {
            if let Form::Chunked(decoder) = &mut self.form
                && let Some(data) = decoder.next(&mut self.pending)?
            {
                return Ok(Some(data));
            }
            let received = self.receive().await?;
            match (&mut self.form, received) {
                (Form::Chunked(_), Some(data)) => self.pending = data,
                (Form::Chunked(decoder), None) => {
                    let value = decoder.finish()?;
                    self.outcome.with(|told| told.trailer = value);
                    return Ok(None);
                }
                (Form::Plain { sha256, .. }, Some(data)) => {
                    if sha256.is_some() {
                        self.hasher.update(&data);
                    }
                    return Ok(Some(data));
                }
                (Form::Plain { length, sha256 }, None) => {
                    if let Some(length) = length.filter(|length| self.received != *length) {
                        let text =
                            "You did not provide the number of bytes specified by the Content-Length HTTP header";
                        let text = format!("{text}: {} of {length} came", self.received);
                        return Err(S3Error::new(S3Code::IncompleteBody, text));
                    }
                    // Nothing secret is compared: the client announced the hash.
                    let hash = std::mem::take(&mut self.hasher).finish();
                    if sha256.is_some_and(|announced| announced != hash) {
                        return Err(wrong_hash());
                    }
                    return Ok(None);
                }
            }
        }
    }
}

/// The body is not the one whose hash was signed.
fn wrong_hash() -> S3Error {
    S3Error::new(
        S3Code::XAmzContentSha256Mismatch,
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
    )
}

impl ByteSource for Payload {
    async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        if self.is_over {
            return None;
        }
        match self.advance().await {
            Ok(Some(data)) => Some(Ok(data.into())),
            Ok(None) => {
                self.is_over = true;
                None
            }
            Err(error) => {
                self.is_over = true;
                let text = error.message.clone();
                self.outcome.with(|told| told.trouble = Some(error));
                Some(Err(io::Error::new(io::ErrorKind::InvalidData, text)))
            }
        }
    }
}
