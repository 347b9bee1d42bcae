//! The body of a request as it arrives: of images and of git.

use std::io;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use kiln_model::service::ByteSource;
use tokio::time::timeout_at;

use super::Pace;

/// So many bytes of a body are read after a request was refused, so that the client gets to read why.
const MOST_DRAINED: u64 = 8 << 20;

/// A body, in bounded time.
pub(crate) struct Body {
    incoming: Option<Incoming>,
    pace: Pace,
    received: u64,
}

impl Body {
    pub(crate) fn new(incoming: Incoming, pace: Pace) -> Self {
        Self { incoming: Some(incoming), pace, received: 0 }
    }

    /// The body, for whoever stores it.
    pub(crate) fn take(&mut self) -> Self {
        Self { incoming: self.incoming.take(), pace: self.pace, received: self.received }
    }

    /// All of it, if it has at most so many bytes.
    pub(crate) async fn whole(&mut self, most: usize) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        while let Some(piece) = self.next().await {
            let piece = piece?;
            if bytes.len() + piece.len() > most {
                return Ok(None);
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Some(bytes))
    }

    /// Reads what a client still sends, within bounds.
    pub(crate) async fn drain(&mut self) {
        let end = self.received + MOST_DRAINED;
        while self.received < end && matches!(self.next().await, Some(Ok(_))) {}
    }
}

impl ByteSource for Body {
    async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        loop {
            let incoming = self.incoming.as_mut()?;
            let frame = match timeout_at(self.pace.deadline(self.received), incoming.frame()).await {
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "it came too slowly")),
                Ok(None) => {
                    self.incoming = None;
                    return None;
                }
                Ok(Some(frame)) => frame.map_err(|e| io::Error::new(io::ErrorKind::UnexpectedEof, e.to_string())),
            };
            match frame {
                Ok(frame) => {
                    let Ok(data) = frame.into_data() else { continue };
                    if !data.is_empty() {
                        self.received += data.len() as u64;
                        return Some(Ok(data.into()));
                    }
                }
                Err(e) => {
                    self.incoming = None;
                    return Some(Err(e));
                }
            }
        }
    }
}
