//! Bodies that git has compressed: those of fetches with many commits to compare.

use std::{io, io::Write as _};

use flate2::write::GzDecoder;
use kiln_model::service::ByteSource;

/// Bytes that are unpacked at once: at most a thousand times as many come of them.
const STEP: usize = 4096;

/// Bytes that may come of a body; more is no list of commits.
const MOST: usize = 256 << 20;

/// A body as it is when it is unpacked.
pub(super) struct Unpacked<S> {
    source: S,
    decoder: Option<GzDecoder<Vec<u8>>>,
    /// What has arrived and is not unpacked yet.
    waiting: Vec<u8>,
    at: usize,
    produced: usize,
    is_over: bool,
}

impl<S> Unpacked<S> {
    /// A body that is not compressed.
    pub(super) fn plain(source: S) -> Self {
        Self { source, decoder: None, waiting: Vec::new(), at: 0, produced: 0, is_over: false }
    }

    /// A body that is.
    pub(super) fn gzip(source: S) -> Self {
        Self { decoder: Some(GzDecoder::new(Vec::new())), ..Self::plain(source) }
    }
}

impl<S: ByteSource> ByteSource for Unpacked<S> {
    async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        if self.decoder.is_none() {
            return self.source.next().await;
        }
        while !self.is_over {
            if self.at == self.waiting.len() {
                match self.source.next().await {
                    Some(Ok(piece)) => {
                        self.waiting = piece;
                        self.at = 0;
                    }
                    Some(Err(e)) => {
                        self.is_over = true;
                        return Some(Err(e));
                    }
                    None => self.is_over = true,
                }
            }
            let unpacked = self.step();
            match unpacked {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Some(Ok(bytes)),
                Err(e) => {
                    self.is_over = true;
                    return Some(Err(e));
                }
            }
        }
        None
    }
}

impl<S> Unpacked<S> {
    /// Unpacks some of what has arrived, or at its end what is left.
    fn step(&mut self) -> io::Result<Vec<u8>> {
        let Some(decoder) = &mut self.decoder else { return Ok(Vec::new()) };
        if self.is_over {
            decoder.try_finish()?;
        } else {
            let end = (self.at + STEP).min(self.waiting.len());
            let part = self.waiting.get(self.at..end).unwrap_or_default();
            let taken = decoder.write(part)?;
            if taken == 0 && !part.is_empty() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "there is something behind the compressed body",
                ));
            }
            self.at += taken;
        }
        let bytes = std::mem::take(decoder.get_mut());
        self.produced += bytes.len();
        if self.produced > MOST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the body is too large when it is unpacked"));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    struct Pieces(VecDeque<Vec<u8>>);

    impl ByteSource for Pieces {
        async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
            self.0.pop_front().map(Ok)
        }
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    async fn all(bytes: &[u8], piece: usize) -> io::Result<Vec<u8>> {
        let mut unpacked = Unpacked::gzip(Pieces(bytes.chunks(piece).map(<[u8]>::to_vec).collect()));
        let mut found = Vec::new();
        while let Some(piece) = unpacked.next().await {
            found.extend(piece?);
        }
        Ok(found)
    }

    #[tokio::test]
    async fn what_was_packed_comes_back() {
        let text: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
        let bytes = packed(&text);
        for piece in [1000, 65_536, 10_000_000] {
            assert_eq!(all(&bytes, piece).await.unwrap(), text);
        }
        assert!(all(&packed(b""), 3).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn damaged_and_cut_bodies_are_errors() {
        let bytes = packed(&b"0032want 0123456789\n".repeat(1000));
        assert!(all(bytes.get(..bytes.len() / 2).unwrap(), 100).await.is_err());
        assert!(all(b"not compressed", 100).await.is_err());
        assert!(all(&[bytes.as_slice(), b"more"].concat(), 1 << 20).await.is_err());
    }

    #[tokio::test]
    async fn bombs_end_early() {
        let error = all(&packed(&vec![0; MOST + (64 << 20)]), 1 << 20).await.unwrap_err();
        assert!(error.to_string().contains("too large"), "{error}");
    }
}
