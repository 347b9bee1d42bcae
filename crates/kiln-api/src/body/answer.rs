//! What goes back to the client.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use kiln_model::service::ByteSource;
use tokio::sync::{mpsc, watch};

use crate::{connection::pulse::Busy, request_log::RequestLine};

/// Pieces that wait for a slow client, before their source has to wait too.
const PIECES_AHEAD: usize = 4;

/// The body of an answer. The connection counts as busy until it is sent or given up.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    content: Content,
    busy: Option<Busy>,
    /// Learns how much was sent, and that it is over.
    line: Option<RequestLine>,
}

#[derive(Debug, Default)]
enum Content {
    #[default]
    Empty,
    Whole(Bytes),
    Pieces {
        pieces: mpsc::Receiver<io::Result<Vec<u8>>>,
        length: Option<u64>,
    },
}

impl Answer {
    /// Bytes that are at hand.
    pub(crate) fn whole(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let content = if bytes.is_empty() { Content::Empty } else { Content::Whole(bytes) };
        Self { content, busy: None, line: None }
    }

    /// Bytes that come over time. Those without a known length may have no end: when the server stops, they end with an error, so
    /// that nobody takes them for complete.
    ///
    /// The source is dropped as soon as the client is gone.
    pub(crate) fn pieces(source: impl ByteSource, length: Option<u64>, stopping: watch::Receiver<bool>) -> Self {
        match length {
            Some(_) => Self::from(source, length, PIECES_AHEAD),
            None => Self::from(Stopped { source, stopping }, None, PIECES_AHEAD),
        }
    }

    /// Messages that come over time, of a source that ends when the server stops. None waits beside the one that is sent:
    /// the source leaves out what a slow client has no time for.
    pub(crate) fn messages(source: impl ByteSource) -> Self {
        Self::from(source, None, 1)
    }

    fn from(mut source: impl ByteSource, length: Option<u64>, ahead: usize) -> Self {
        let (sender, pieces) = mpsc::channel(ahead);
        tokio::spawn(async move {
            loop {
                let piece = tokio::select! {
                    biased;
                    () = sender.closed() => break,
                    piece = source.next() => piece,
                };
                let Some(piece) = piece else { break };
                let is_last = piece.is_err();
                if sender.send(piece).await.is_err() || is_last {
                    break;
                }
            }
        });
        Self { content: Content::Pieces { pieces, length }, busy: None, line: None }
    }

    /// Has the request's line written when the body is gone.
    pub(crate) fn tell(mut self, line: Option<RequestLine>) -> Self {
        self.line = line;
        self
    }

    /// Keeps the connection busy until the body is gone.
    pub(crate) fn keep(mut self, busy: Busy) -> Self {
        self.busy = Some(busy);
        self
    }
}

/// A source that ends with an error when the server stops.
struct Stopped<S> {
    source: S,
    stopping: watch::Receiver<bool>,
}

impl<S: ByteSource> ByteSource for Stopped<S> {
    async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        tokio::select! {
            biased;
            _ = self.stopping.wait_for(|stopping| *stopping) => {
                Some(Err(io::Error::new(io::ErrorKind::Interrupted, "the server stops")))
            }
            piece = self.source.next() => piece,
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        let frame = match &mut this.content {
            Content::Pieces { pieces, .. } => {
                pieces.poll_recv(cx).map(|piece| piece.map(|piece| piece.map(|bytes| Frame::data(Bytes::from(bytes)))))
            }
            other => match std::mem::take(other) {
                Content::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                _ => Poll::Ready(None),
            },
        };
        if let (Some(line), Poll::Ready(Some(Ok(frame)))) = (&mut this.line, &frame) {
            line.sent(frame.data_ref().map_or(0, Bytes::len) as u64);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Empty)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Pieces { length: Some(length), .. } => SizeHint::with_exact(*length),
            Content::Pieces { length: None, .. } => SizeHint::default(),
        }
    }
}
