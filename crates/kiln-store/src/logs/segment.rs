//! The form of segments.
//!
//! ```text
//! magic         "KILS"
//! version       u8 = 1
//! kind          u8        0 plain · 1 zstd · 2 end mark, which has no content and says where the log ends
//!               2 zero bytes
//! raw           u32 LE    length of the content
//! stored        u32 LE    length as it is stored, behind this header
//! records       u32 LE
//! lines         u32 LE    newlines in its text (that of output and service records)
//! text          u32 LE    bytes of its text
//! content_crc   u32 LE    CRC-32 of what is stored
//! offset        u64 LE    where its content begins in the journal
//! seq           u64 LE    number of its first record
//! lines_before  u64 LE    newlines in the text before
//! text_before   u64 LE    bytes of the text before
//! first_ns      u64 LE    time of its first record, nanoseconds since the epoch
//! last_ns       u64 LE    time of its last one
//! header_crc    u32 LE    CRC-32 of everything before it
//! ```

use kiln_wire::journal::{FILE_HEADER, MAX_PAYLOAD, RECORD_HEADER};
use zstd::bulk::Decompressor;

use super::SEGMENT_BYTES;

/// Length of a header.
pub(super) const HEADER: usize = 84;
/// Longest content: a segment that is nearly full, and the longest record.
pub(super) const MAX_RAW: usize = SEGMENT_BYTES + RECORD_HEADER + MAX_PAYLOAD + FILE_HEADER;

const MAGIC: [u8; 4] = *b"KILS";
const VERSION: u8 = 1;

/// How content is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// As it is, because it does not become shorter.
    Plain,
    /// One zstd frame.
    Zstd,
    /// Nothing follows.
    End,
}

/// A header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) raw: u32,
    pub(super) stored: u32,
    pub(super) records: u32,
    pub(super) lines: u32,
    pub(super) text: u32,
    pub(super) content_crc: u32,
    pub(super) offset: u64,
    pub(super) seq: u64,
    pub(super) lines_before: u64,
    pub(super) text_before: u64,
    pub(super) first_ns: u64,
    pub(super) last_ns: u64,
}

/// Reads numbers one behind the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn u32(&mut self) -> Option<u32> {
        let (bytes, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*bytes))
    }

    fn u64(&mut self) -> Option<u64> {
        let (bytes, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*bytes))
    }
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend_from_slice(&MAGIC);
        let kind = match self.kind {
            Kind::Plain => 0,
            Kind::Zstd => 1,
            Kind::End => 2,
        };
        bytes.extend_from_slice(&[VERSION, kind, 0, 0]);
        for value in [self.raw, self.stored, self.records, self.lines, self.text, self.content_crc] {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        for value in [self.offset, self.seq, self.lines_before, self.text_before, self.first_ns, self.last_ns] {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        let mut header = [0; HEADER];
        header[..HEADER - 4].copy_from_slice(&bytes);
        header[HEADER - 4..].copy_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        header
    }

    /// `None` when these bytes are no header.
    pub(super) fn decode(bytes: &[u8; HEADER]) -> Option<Self> {
        let (checked, crc) = bytes.split_at(HEADER - 4);
        if crc32fast::hash(checked).to_le_bytes() != *crc {
            return None;
        }
        let rest = checked.strip_prefix(&MAGIC)?.strip_prefix(&[VERSION])?;
        let (kind, rest) = rest.split_first()?;
        let kind = match kind {
            0 => Kind::Plain,
            1 => Kind::Zstd,
            2 => Kind::End,
            _ => return None,
        };
        let mut fields = Fields(rest.strip_prefix(&[0, 0])?);
        let header = Self {
            kind,
            raw: fields.u32()?,
            stored: fields.u32()?,
            records: fields.u32()?,
            lines: fields.u32()?,
            text: fields.u32()?,
            content_crc: fields.u32()?,
            offset: fields.u64()?,
            seq: fields.u64()?,
            lines_before: fields.u64()?,
            text_before: fields.u64()?,
            first_ns: fields.u64()?,
            last_ns: fields.u64()?,
        };
        header.is_possible().then_some(header)
    }

    /// A checksum proves no honesty: lengths are bounded before anything is allocated for them.
    fn is_possible(&self) -> bool {
        let (raw, stored) = (self.raw as usize, self.stored as usize);
        let content = match self.kind {
            Kind::Plain => raw == stored && raw > 0,
            Kind::Zstd => stored < raw && stored > 0,
            Kind::End => raw == 0 && stored == 0 && self.records == 0 && self.lines == 0 && self.text == 0,
        };
        content
            && raw <= MAX_RAW
            && self.text <= self.raw
            && self.lines <= self.text
            && self.records <= self.raw
            && self.offset.checked_add(u64::from(self.raw)).is_some()
            && self.seq.checked_add(u64::from(self.records)).is_some()
            && self.lines_before.checked_add(u64::from(self.lines)).is_some()
            && self.text_before.checked_add(u64::from(self.text)).is_some()
    }

    /// Where the next segment must begin.
    pub(super) fn end(&self) -> (u64, u64, u64, u64) {
        (
            self.offset + u64::from(self.raw),
            self.seq + u64::from(self.records),
            self.lines_before + u64::from(self.lines),
            self.text_before + u64::from(self.text),
        )
    }

    /// Whether this segment goes on where `before` ends (at the start of the journal when there is none).
    pub(super) fn follows(&self, before: Option<&Self>) -> bool {
        let here = (self.offset, self.seq, self.lines_before, self.text_before);
        match before {
            None => here == (0, 0, 0, 0),
            Some(before) => before.kind != Kind::End && here == before.end() && self.first_ns >= before.last_ns,
        }
    }

    /// The content of what is stored behind this header, into `content`.
    pub(super) fn content(
        &self,
        stored: &[u8],
        decompressor: &mut Decompressor<'_>,
        content: &mut Vec<u8>,
    ) -> Result<(), String> {
        if crc32fast::hash(stored) != self.content_crc {
            return Err("its checksum differs".to_owned());
        }
        content.clear();
        match self.kind {
            Kind::Plain | Kind::End => content.extend_from_slice(stored),
            Kind::Zstd => {
                // Its capacity bounds what is written into it; the length is bounded by the header.
                content.reserve(self.raw as usize);
                decompressor.decompress_to_buffer(stored, content).map_err(|e| e.to_string())?;
            }
        }
        if content.len() != self.raw as usize {
            return Err(format!("it has {} bytes of content instead of {}", content.len(), self.raw));
        }
        Ok(())
    }
}
