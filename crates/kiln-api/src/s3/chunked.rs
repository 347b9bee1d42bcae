//! Bodies in chunks (`aws-chunked`): framing, signatures, trailer (`security.md` 1.2).
//!
//! ```text
//! 10000;chunk-signature=<64 hex digits> CRLF  data CRLF  …  0;chunk-signature=… CRLF  name:value CRLF  … CRLF
//! ```
//!
//! Data is passed on as it comes and hashed on the way; whoever stores it must treat an error as "nothing came".

use bytes::{Buf, Bytes, BytesMut};
use kiln_iam::sigv4::{ChunkVerifier, PayloadHasher};
use kiln_model::s3::{S3Code, S3Error};

/// Largest chunk that carries a signature: what it holds is passed on before the signature is known to be right.
const MAX_SIGNED_CHUNK: u64 = 16 << 20;

/// Most chunks of one body: 5 GiB in pieces of 8 KiB, which is S3's smallest, are 655,360.
const MAX_CHUNKS: u32 = 1_000_000;

/// Longest line of framing.
const MAX_LINE: usize = 512;

/// Most lines behind the chunks.
const MAX_TRAILER_LINES: usize = 4;

/// The name of the line with the trailer's signature.
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";

/// Reads the framing of one body.
pub(super) struct Decoder {
    state: State,
    /// Bytes of a line that is not complete.
    line: BytesMut,
    verifier: Option<ChunkVerifier>,
    hasher: PayloadHasher,
    /// Signature of the chunk that is being read.
    signature: [u8; 32],
    chunks: u32,
    /// Bytes of data so far, and how many were announced.
    decoded: u64,
    announced: u64,
    /// The header that the request says comes behind the chunks.
    expected_trailer: Option<String>,
    trailer: Vec<(String, String)>,
    trailer_signature: Option<[u8; 32]>,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    ChunkHead,
    Data {
        left: u64,
    },
    /// The end of line behind the data.
    DataEnd,
    /// Lines behind the last chunk, up to an empty one.
    Trailer,
    End,
}

impl Decoder {
    /// `verifier`: of chunks with signatures. `expected_trailer`: the name in `x-amz-trailer`, in lower case, for forms that
    /// have a trailer. `announced`: `x-amz-decoded-content-length`.
    pub(super) fn new(verifier: Option<ChunkVerifier>, expected_trailer: Option<String>, announced: u64) -> Self {
        Self {
            state: State::ChunkHead,
            line: BytesMut::new(),
            verifier,
            hasher: PayloadHasher::new(),
            signature: [0; 32],
            chunks: 0,
            decoded: 0,
            announced,
            expected_trailer,
            trailer: Vec::new(),
            trailer_signature: None,
        }
    }

    /// Reads on until there is data. `None`: all of `bytes` was read.
    pub(super) fn next(&mut self, bytes: &mut Bytes) -> Result<Option<Bytes>, S3Error> {
        while !bytes.is_empty() {
            match self.state {
                State::Data { left } => {
                    let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    let data = bytes.split_to(length);
                    let left = left - length as u64;
                    self.state = if left == 0 { State::DataEnd } else { State::Data { left } };
                    if self.verifier.is_some() {
                        self.hasher.update(&data);
                    }
                    return Ok(Some(data));
                }
                State::End => return Err(malformed("there are bytes behind its end")),
                State::ChunkHead | State::DataEnd | State::Trailer => {
                    if let Some(line) = self.take_line(bytes)? {
                        self.line_is(&line)?;
                    }
                }
            }
        }
        Ok(None)
    }

    /// The body has ended: whether it was complete. Gives the value of the trailer that was announced.
    pub(super) fn finish(&mut self) -> Result<Option<String>, S3Error> {
        if self.state != State::End {
            return Err(S3Error::new(
                S3Code::IncompleteBody,
                format!(
                    "The body in chunks ended after {} of {} bytes, before its last chunk",
                    self.decoded, self.announced
                ),
            ));
        }
        Ok(self.trailer.first().map(|(_, value)| value.clone()))
    }

    /// Reads a body that is at hand.
    pub(super) fn decode_whole(mut self, mut bytes: Bytes) -> Result<Bytes, S3Error> {
        let mut data = BytesMut::with_capacity(bytes.len());
        while let Some(more) = self.next(&mut bytes)? {
            data.extend_from_slice(&more);
        }
        self.finish()?;
        Ok(data.freeze())
    }

    /// A line without its end; `None` when it is not complete.
    fn take_line(&mut self, bytes: &mut Bytes) -> Result<Option<String>, S3Error> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(bytes.len(), |end| end + 1);
        if self.line.len() + length > MAX_LINE {
            return Err(malformed("a line of its framing is too long"));
        }
        self.line.extend_from_slice(&bytes[..length]);
        bytes.advance(length);
        if end.is_none() {
            return Ok(None);
        }
        let line = self.line.split();
        let line =
            line.strip_suffix(b"\r\n").ok_or_else(|| malformed("a line of its framing does not end with CRLF"))?;
        let line = std::str::from_utf8(line).ok().filter(|line| line.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        line.map(|line| Some(line.to_owned())).ok_or_else(|| malformed("a line of its framing is not ASCII text"))
    }

    fn line_is(&mut self, line: &str) -> Result<(), S3Error> {
        match self.state {
            State::ChunkHead => self.chunk_head(line),
            State::DataEnd if line.is_empty() => {
                self.end_chunk()?;
                self.state = State::ChunkHead;
                Ok(())
            }
            State::DataEnd => Err(malformed("a chunk is longer than its head says")),
            State::Trailer if line.is_empty() => {
                self.end_trailer()?;
                self.state = State::End;
                Ok(())
            }
            State::Trailer => self.trailer_line(line),
            State::Data { .. } | State::End => Ok(()),
        }
    }

    fn chunk_head(&mut self, line: &str) -> Result<(), S3Error> {
        self.chunks += 1;
        if self.chunks > MAX_CHUNKS {
            return Err(malformed("it has too many chunks"));
        }
        let (size, signature) = match line.split_once(";chunk-signature=") {
            Some((size, signature)) => (size, Some(signature)),
            None => (line, None),
        };
        let is_hex = !size.is_empty() && size.len() <= 16 && size.bytes().all(|digit| digit.is_ascii_hexdigit());
        let size = u64::from_str_radix(size, 16).ok().filter(|_| is_hex);
        let size = size.ok_or_else(|| malformed("the head of a chunk has no size"))?;
        match (&self.verifier, signature) {
            (Some(_), Some(signature)) => self.signature = signature_of(signature)?,
            (None, None) => {}
            (Some(_), None) => return Err(malformed("a chunk has no signature")),
            (None, Some(_)) => return Err(malformed("a chunk has a signature, which was not announced")),
        }
        if self.verifier.is_some() && size > MAX_SIGNED_CHUNK {
            let text = format!("A chunk has {size} bytes; with signatures, at most {MAX_SIGNED_CHUNK} are taken");
            return Err(S3Error::bad_request(text));
        }
        self.decoded = self.decoded.saturating_add(size);
        if self.decoded > self.announced {
            return Err(S3Error::new(
                S3Code::IncompleteBody,
                format!("The body has more bytes than the {} of x-amz-decoded-content-length", self.announced),
            ));
        }
        if size > 0 {
            self.state = State::Data { left: size };
            return Ok(());
        }
        if self.decoded != self.announced {
            return Err(S3Error::new(
                S3Code::IncompleteBody,
                format!(
                    "The body has {} bytes, x-amz-decoded-content-length announced {}",
                    self.decoded, self.announced
                ),
            ));
        }
        self.end_chunk()?;
        self.state = State::Trailer;
        Ok(())
    }

    /// The chunk is complete: whether it is the one that was signed.
    fn end_chunk(&mut self) -> Result<(), S3Error> {
        let Some(verifier) = &mut self.verifier else { return Ok(()) };
        let hash = std::mem::take(&mut self.hasher).finish();
        verifier.chunk(hash, self.signature).map_err(|_| wrong_signature("a chunk"))
    }

    fn trailer_line(&mut self, line: &str) -> Result<(), S3Error> {
        let (name, value) = line.split_once(':').ok_or_else(|| trailer_error("a line has no colon"))?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        if self.trailer_signature.is_some() {
            return Err(trailer_error("there is a line behind its signature"));
        }
        if name == TRAILER_SIGNATURE && self.verifier.is_some() {
            self.trailer_signature = Some(signature_of(value)?);
            return Ok(());
        }
        if Some(&name) != self.expected_trailer.as_ref() || !self.trailer.is_empty() {
            return Err(trailer_error("it has a line that the header 'x-amz-trailer' does not announce"));
        }
        if self.trailer.len() == MAX_TRAILER_LINES {
            return Err(trailer_error("it has too many lines"));
        }
        self.trailer.push((name, value.to_owned()));
        Ok(())
    }

    fn end_trailer(&mut self) -> Result<(), S3Error> {
        let Some(expected) = &self.expected_trailer else { return Ok(()) };
        if self.trailer.is_empty() {
            return Err(trailer_error(&format!("'{expected}', which 'x-amz-trailer' announces, is not there")));
        }
        let Some(verifier) = &mut self.verifier else { return Ok(()) };
        let signature = self.trailer_signature.ok_or_else(|| trailer_error("it is not signed"))?;
        let lines: String = self.trailer.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        verifier.trailer(&lines, signature).map_err(|_| wrong_signature("the trailer"))
    }
}

fn signature_of(text: &str) -> Result<[u8; 32], S3Error> {
    let mut signature = [0; 32];
    hex::decode_to_slice(text, &mut signature).map_err(|_| malformed("a signature is not 64 hexadecimal digits"))?;
    Ok(signature)
}

fn malformed(what: &str) -> S3Error {
    S3Error::new(S3Code::InvalidRequest, format!("The body in chunks is malformed: {what}"))
}

fn trailer_error(what: &str) -> S3Error {
    S3Error::new(S3Code::MalformedTrailer, format!("The trailer of the request is malformed: {what}"))
}

fn wrong_signature(of: &str) -> S3Error {
    S3Error::new(
        S3Code::SignatureDoesNotMatch,
        format!(
            "The signature of {of} of the body is not the one that was calculated. Check your key and signing method."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a body without signatures decodes to, in pieces of that size.
    fn decode(
        body: &str,
        piece: usize,
        announced: u64,
        trailer: Option<&str>,
    ) -> Result<(Vec<u8>, Option<String>), S3Code> {
        let mut decoder = Decoder::new(None, trailer.map(str::to_owned), announced);
        let mut data = Vec::new();
        for piece in body.as_bytes().chunks(piece) {
            let mut piece = Bytes::copy_from_slice(piece);
            while let Some(more) = decoder.next(&mut piece).map_err(|error| error.code)? {
                data.extend_from_slice(&more);
            }
        }
        let value = decoder.finish().map_err(|error| error.code)?;
        Ok((data, value))
    }

    const CRC: Option<&str> = Some("x-amz-checksum-crc32");

    #[test]
    fn any_cut_gives_the_same() {
        let body = "3\r\nabc\r\nB\r\nde\r\nfghijkl\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
        for piece in 1..=body.len() {
            let (data, value) = decode(body, piece, 14, CRC).unwrap();
            assert_eq!((data.as_slice(), value.as_deref()), (&b"abcde\r\nfghijkl"[..], Some("AAAAAA==")), "{piece}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        const END: &str = "0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
        let with_end = |head: &str| format!("{head}{END}");
        for (body, code) in [
            (with_end("2\r\nabc\r\n"), S3Code::InvalidRequest),
            (with_end("4\r\nabc\r\n"), S3Code::IncompleteBody),
            (with_end("3\nabc\r\n"), S3Code::InvalidRequest),
            (with_end("\r\nabc\r\n"), S3Code::InvalidRequest),
            (with_end("+3\r\nabc\r\n"), S3Code::InvalidRequest),
            (with_end("11111111111111111\r\nabc\r\n"), S3Code::InvalidRequest),
            (with_end("3;chunk-signature=00\r\nabc\r\n"), S3Code::InvalidRequest),
            (with_end(&"0".repeat(600)), S3Code::InvalidRequest),
            (with_end("2\r\nab\r\n"), S3Code::IncompleteBody),
            (with_end("4\r\nabcd\r\n"), S3Code::IncompleteBody),
            (with_end("FFFFFFFFFFFFFFFF\r\n"), S3Code::IncompleteBody),
            (String::new(), S3Code::IncompleteBody),
            ("3\r\nabc\r\n".to_owned(), S3Code::IncompleteBody),
            ("3\r\nabc\r\n0\r\nx-amz-checksum-crc32:A\r\n".to_owned(), S3Code::IncompleteBody),
            ("3\r\nabc\r\n0\r\n\r\n".to_owned(), S3Code::MalformedTrailer),
            ("3\r\nabc\r\n0\r\nx-amz-checksum-sha1:A\r\n\r\n".to_owned(), S3Code::MalformedTrailer),
            ("3\r\nabc\r\n0\r\nnothing\r\n\r\n".to_owned(), S3Code::MalformedTrailer),
            (
                "3\r\nabc\r\n0\r\nx-amz-checksum-crc32:A\r\nx-amz-checksum-crc32:B\r\n\r\n".to_owned(),
                S3Code::MalformedTrailer,
            ),
            (format!("3\r\nabc\r\n{END}x"), S3Code::InvalidRequest),
        ] {
            for piece in [1, 7, body.len().max(1)] {
                assert_eq!(decode(&body, piece, 3, CRC).map(drop), Err(code), "{body:?}");
            }
        }
    }

    #[test]
    fn nothing_may_be_all_there_is() {
        assert_eq!(decode("0\r\n\r\n", 2, 0, None).unwrap(), (Vec::new(), None));
    }
}
