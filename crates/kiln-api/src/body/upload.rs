//! An uploaded body as it arrives, for the service to store.

use std::io;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use kiln_iam::sigv4::PayloadHasher;
use kiln_model::service::ByteSource;
use tokio::time::timeout_at;

use super::read::Pace;

/// A body whose length and hash were signed. Its end is `None` only when both are right: whoever stores it must treat an
/// error as "nothing came".
pub(crate) struct Upload {
    body: Incoming,
    pace: Pace,
    length: u64,
    received: u64,
    sha256: [u8; 32],
    hasher: Option<PayloadHasher>,
}

impl Upload {
    pub(crate) fn new(body: Incoming, length: u64, sha256: [u8; 32], pace: Pace) -> Self {
        Self { body, pace, length, received: 0, sha256, hasher: Some(PayloadHasher::new()) }
    }

    fn end(&mut self) -> Option<io::Result<Vec<u8>>> {
        // After the end, or after an error, there is nothing more.
        let hash = self.hasher.take()?.finish();
        if self.received != self.length {
            let text = format!("the upload ended after {} of {} bytes", self.received, self.length);
            return Some(Err(io::Error::new(io::ErrorKind::UnexpectedEof, text)));
        }
        // Nothing secret is compared: the client announced the hash.
        if hash != self.sha256 {
            let text = "the upload is not what was signed: its SHA-256 is another";
            return Some(Err(io::Error::new(io::ErrorKind::InvalidData, text)));
        }
        None
    }

    fn fail(&mut self, kind: io::ErrorKind, text: String) -> Option<io::Result<Vec<u8>>> {
        self.hasher = None;
        Some(Err(io::Error::new(kind, text)))
    }
}

impl ByteSource for Upload {
    async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        loop {
            let hasher = self.hasher.as_mut()?;
            let frame = match timeout_at(self.pace.deadline(self.received), self.body.frame()).await {
                Err(_) => {
                    let text = format!("the upload came too slowly: {} of {} bytes", self.received, self.length);
                    return self.fail(io::ErrorKind::TimedOut, text);
                }
                Ok(None) => return self.end(),
                Ok(Some(Err(error))) => {
                    return self.fail(io::ErrorKind::UnexpectedEof, format!("the upload broke off: {error}"));
                }
                Ok(Some(Ok(frame))) => frame,
            };
            let Ok(data) = frame.into_data() else { continue };
            if data.is_empty() {
                continue;
            }
            hasher.update(&data);
            self.received += data.len() as u64;
            return Some(Ok(data.into()));
        }
    }
}
