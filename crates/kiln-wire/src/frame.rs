//! Length-prefixed frames: `length u32 LE · kind u8 · payload`. `length` counts kind and payload.

/// Largest frame, kind included. A peer that announces more is refused before anything is allocated for it.
pub const MAX_FRAME: usize = 4 << 20;

/// Bytes before the payload.
pub const HEADER: usize = 5;

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What the payload is; see [`crate::agent::kind`].
    pub kind: u8,
    /// The payload.
    pub payload: &'a [u8],
}

/// The peer does not speak this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A length of 0, or beyond [`MAX_FRAME`].
    #[error("frame of {0} bytes: a frame holds 1 to {MAX_FRAME}")]
    Length(u32),
}

/// Appends a frame to `out`.
///
/// # Panics
/// When the payload does not fit into [`MAX_FRAME`]: callers cut their data into pieces.
pub fn encode(kind: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&header(kind, payload.len()));
    out.extend_from_slice(payload);
}

/// The header of a frame whose payload the caller writes itself, e.g. with `writev`.
///
/// # Panics
/// When the payload does not fit into [`MAX_FRAME`].
#[must_use]
pub fn header(kind: u8, payload_len: usize) -> [u8; HEADER] {
    assert!(payload_len < MAX_FRAME, "payload of {payload_len} bytes does not fit into a frame");
    let length = u32::try_from(payload_len + 1).unwrap_or(u32::MAX);
    let [a, b, c, d] = length.to_le_bytes();
    [a, b, c, d, kind]
}

/// Collects bytes from a stream and gives out whole frames.
#[derive(Debug, Default)]
pub struct FrameBuffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl FrameBuffer {
    /// An empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Room for at least `at_least` bytes of the stream; follow with [`Self::commit`].
    pub fn space(&mut self, at_least: usize) -> &mut [u8] {
        if self.start > 0 && (self.start == self.end || self.bytes.len() - self.end < at_least) {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.bytes.len() - self.end < at_least {
            self.bytes.resize(self.end + at_least, 0);
        }
        &mut self.bytes[self.end..]
    }

    /// Says that the first `read` bytes of [`Self::space`] were filled.
    ///
    /// # Panics
    /// When `read` is more than the space that was there.
    pub fn commit(&mut self, read: usize) {
        assert!(read <= self.bytes.len() - self.end, "committed more than there was space for");
        self.end += read;
    }

    /// Appends bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.space(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.commit(bytes.len());
    }

    /// The next whole frame, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`FrameError`] when the stream is not one of frames; the connection is of no use any more.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        let available = &self.bytes[self.start..self.end];
        let Some((head, rest)) = available.split_first_chunk::<4>() else { return Ok(None) };
        let announced = u32::from_le_bytes(*head);
        let length = announced as usize;
        if length == 0 || length > MAX_FRAME {
            return Err(FrameError::Length(announced));
        }
        if rest.len() < length {
            return Ok(None);
        }
        let at = self.start + 4;
        self.start = at + length;
        Ok(Some(Frame { kind: self.bytes[at], payload: &self.bytes[at + 1..at + length] }))
    }

    /// Bytes that wait for the rest of their frame.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.end - self.start
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn frames_survive_any_cut(
            frames in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..300)), 0..20),
            cuts in prop::collection::vec(1usize..400, 1..40),
        ) {
            let mut stream = Vec::new();
            for (kind, payload) in &frames {
                encode(*kind, payload, &mut stream);
            }
            let mut buffer = FrameBuffer::new();
            let mut seen = Vec::new();
            let mut rest = stream.as_slice();
            let mut cuts = cuts.iter().cycle();
            while !rest.is_empty() {
                let n = (*cuts.next().unwrap()).min(rest.len());
                buffer.push(&rest[..n]);
                rest = &rest[n..];
                while let Some(f) = buffer.next_frame().unwrap() {
                    seen.push((f.kind, f.payload.to_vec()));
                }
            }
            prop_assert_eq!(seen, frames);
            prop_assert_eq!(buffer.pending(), 0);
        }

        #[test]
        fn any_bytes_are_refused_or_wait(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let mut buffer = FrameBuffer::new();
            buffer.push(&bytes);
            while let Ok(Some(_)) = buffer.next_frame() {}
            prop_assert!(buffer.pending() <= bytes.len());
        }
    }

    #[test]
    fn lengths_out_of_bounds_are_refused() {
        for announced in [0u32, u32::try_from(MAX_FRAME).unwrap() + 1, u32::MAX] {
            let mut buffer = FrameBuffer::new();
            buffer.push(&announced.to_le_bytes());
            assert_eq!(buffer.next_frame(), Err(FrameError::Length(announced)));
        }
    }
}
