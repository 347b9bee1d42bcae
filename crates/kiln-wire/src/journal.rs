//! The journal: everything that a build printed and everything that happened in it, in order.
//!
//! The runner is its only writer (DESIGN decision 3); followers (terminal, server) read it while it grows. Layout:
//! [`MAGIC`], one version byte, three zero bytes; then records:
//!
//! ```text
//! length u32 LE   of everything after this field
//! crc    u32 LE   CRC-32 of everything after this field
//! seq    u64 LE   0, 1, 2, … without a gap
//! time   u64 LE   nanoseconds since the epoch; never goes back
//! kind   u8       1 output · 2 service line · 3 event
//! payload         output: command number u32 LE, then bytes
//!                 service: bytes, whole lines with their `[Container]` prefix
//!                 event: JSON of [`crate::event::Event`]
//! ```
//!
//! The log that people see is the concatenation of output and service payloads. A torn last record (the machine
//! stopped) is waited for, and ends the journal when its writer is gone. Anything else that is not a record is
//! [`JournalError::Damaged`] with its offset.

use crate::event::Event;

/// First bytes of a journal.
pub const MAGIC: [u8; 4] = *b"KILJ";
/// Version of the layout.
pub const VERSION: u8 = 1;
/// Length of the file header.
pub const FILE_HEADER: usize = 8;
/// Bytes of a record before its payload.
pub const RECORD_HEADER: usize = 25;
/// Longest payload; a longer one is refused before anything is allocated for it.
pub const MAX_PAYLOAD: usize = 4 << 20;

const KIND_OUTPUT: u8 = 1;
const KIND_SERVICE: u8 = 2;
const KIND_EVENT: u8 = 3;

/// The file header that a writer starts with.
#[must_use]
pub fn file_header() -> [u8; FILE_HEADER] {
    let [a, b, c, d] = MAGIC;
    [a, b, c, d, VERSION, 0, 0, 0]
}

/// What a record holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Body<'a> {
    /// Output of a command, masked, as bytes: lines may be cut anywhere.
    Output {
        /// The command's number.
        command: u32,
        /// Bytes.
        bytes: &'a [u8],
    },
    /// Lines of the service itself.
    Service(&'a [u8]),
    /// Something that happened.
    Event(Box<Event>),
}

/// One record.
#[derive(Debug, Clone, PartialEq)]
pub struct Record<'a> {
    /// Sequence number.
    pub seq: u64,
    /// Nanoseconds since the epoch.
    pub time_ns: u64,
    /// Content.
    pub body: Body<'a>,
}

/// One record whose checksum, number and kind are right, without a look into an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawRecord<'a> {
    /// Sequence number.
    pub seq: u64,
    /// Nanoseconds since the epoch.
    pub time_ns: u64,
    /// What it adds to the log that people see; empty for an event.
    pub text: &'a [u8],
    /// The whole record as it stands in the file.
    pub bytes: &'a [u8],
    kind: u8,
    payload: &'a [u8],
}

/// A journal that cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Not a journal, or one of another version.
    #[error("not a journal of version {VERSION}")]
    Header,
    /// A record that is not one.
    #[error("journal is damaged at byte {offset}: {what}")]
    Damaged {
        /// Offset of the record from the start of the journal.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A payload that is longer than [`MAX_PAYLOAD`].
    #[error("record of {0} bytes is too long for the journal")]
    TooLong(usize),
    /// An event that cannot be written.
    #[error("event cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

/// Numbers records and writes them into a buffer; the caller appends the buffer to the file.
#[derive(Debug, Default)]
pub struct Encoder {
    next_seq: u64,
    last_time_ns: u64,
}

impl Encoder {
    /// For a new journal.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends output of a command to `out`.
    ///
    /// # Errors
    /// When it is longer than [`MAX_PAYLOAD`].
    pub fn output(&mut self, time_ns: u64, command: u32, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), JournalError> {
        self.record(time_ns, KIND_OUTPUT, &command.to_le_bytes(), bytes, out)
    }

    /// Appends lines of the service to `out`.
    ///
    /// # Errors
    /// When they are longer than [`MAX_PAYLOAD`].
    pub fn service(&mut self, time_ns: u64, lines: &[u8], out: &mut Vec<u8>) -> Result<(), JournalError> {
        self.record(time_ns, KIND_SERVICE, &[], lines, out)
    }

    /// Appends an event to `out`.
    ///
    /// # Errors
    /// When it is longer than [`MAX_PAYLOAD`].
    pub fn event(&mut self, time_ns: u64, event: &Event, out: &mut Vec<u8>) -> Result<(), JournalError> {
        let json = serde_json::to_vec(event)?;
        self.record(time_ns, KIND_EVENT, &[], &json, out)
    }

    fn record(
        &mut self,
        time_ns: u64,
        kind: u8,
        prefix: &[u8],
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), JournalError> {
        let payload_len = prefix.len() + payload.len();
        if payload_len > MAX_PAYLOAD {
            return Err(JournalError::TooLong(payload_len));
        }
        // A wall clock may jump back; the journal's times do not.
        self.last_time_ns = self.last_time_ns.max(time_ns);
        let length = u32::try_from(RECORD_HEADER - 4 + payload_len).map_err(|_| JournalError::TooLong(payload_len))?;
        out.reserve(RECORD_HEADER + payload_len);
        out.extend_from_slice(&length.to_le_bytes());
        let crc_at = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.next_seq.to_le_bytes());
        out.extend_from_slice(&self.last_time_ns.to_le_bytes());
        out.push(kind);
        out.extend_from_slice(prefix);
        out.extend_from_slice(payload);
        let crc = crc32fast::hash(&out[crc_at + 4..]);
        out[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
        self.next_seq += 1;
        Ok(())
    }
}

/// A place in a journal, from which records are read where they lie.
#[derive(Debug, Clone, Default)]
pub struct Cursor {
    start: usize,
    offset: u64,
    next_seq: u64,
    header_seen: bool,
}

impl Cursor {
    /// For bytes that begin at `offset` of the journal, where record `next_seq` begins. Offset 0 is the start of the file.
    #[must_use]
    pub fn at(offset: u64, next_seq: u64) -> Self {
        Self { start: 0, offset, next_seq, header_seen: offset > 0 }
    }

    /// How many of the bytes are read: those of whole records, and the file's header.
    #[must_use]
    pub fn position(&self) -> usize {
        self.start
    }

    /// The next whole record of these bytes, which are the same in each call but that more may follow; `None` when more are
    /// needed. Events are not parsed.
    ///
    /// # Errors
    /// [`JournalError`] when the bytes are not a journal's; reading cannot go on.
    pub fn next_raw<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<RawRecord<'a>>, JournalError> {
        if !self.header_seen {
            let Some(header) = bytes.get(..FILE_HEADER) else { return Ok(None) };
            if header != file_header() {
                return Err(JournalError::Header);
            }
            self.start = FILE_HEADER;
            self.offset = FILE_HEADER as u64;
            self.header_seen = true;
        }
        let offset = self.offset;
        let damaged = |what: String| JournalError::Damaged { offset, what };
        let waiting = bytes.get(self.start..).unwrap_or_default();
        let Some((length, rest)) = waiting.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if !(RECORD_HEADER - 4..=RECORD_HEADER - 4 + MAX_PAYLOAD).contains(&length) {
            return Err(damaged(format!("length {length}")));
        }
        let Some(record) = rest.get(..length) else { return Ok(None) };
        let (Some((crc, checked)), Some((_, after_crc))) =
            (record.split_first_chunk::<4>(), record.split_at_checked(4))
        else {
            return Err(damaged("short record".to_owned()));
        };
        if crc32fast::hash(checked) != u32::from_le_bytes(*crc) {
            return Err(damaged("checksum differs".to_owned()));
        }
        let (Some((seq, rest)), true) = (after_crc.split_first_chunk::<8>(), after_crc.len() > 16) else {
            return Err(damaged("short record".to_owned()));
        };
        let Some((time, rest)) = rest.split_first_chunk::<8>() else {
            return Err(damaged("short record".to_owned()));
        };
        let Some((kind, payload)) = rest.split_first() else { return Err(damaged("short record".to_owned())) };
        let seq = u64::from_le_bytes(*seq);
        if seq != self.next_seq {
            return Err(damaged(format!("record {seq} where {} was expected", self.next_seq)));
        }
        let text = match *kind {
            KIND_OUTPUT => payload.get(4..).ok_or_else(|| damaged("output without a command number".to_owned()))?,
            KIND_SERVICE => payload,
            KIND_EVENT => &[],
            other => return Err(damaged(format!("kind {other}"))),
        };
        let time_ns = u64::from_le_bytes(*time);
        self.start += 4 + length;
        self.offset += 4 + length as u64;
        self.next_seq += 1;
        Ok(Some(RawRecord { seq, time_ns, text, bytes: &waiting[..4 + length], kind: *kind, payload }))
    }
}

/// Reads a journal from bytes that arrive in pieces.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    cursor: Cursor,
}

impl Decoder {
    /// For the start of a journal.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// For the rest of a journal: the next bytes are those at `offset`, where record `next_seq` begins (what
    /// [`Self::offset`] and [`Self::next_seq`] said). Offset 0 is the start of the file.
    #[must_use]
    pub fn at(offset: u64, next_seq: u64) -> Self {
        Self { bytes: Vec::new(), cursor: Cursor::at(offset, next_seq) }
    }

    /// Appends bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        let start = self.cursor.start;
        if start > 0 && (start == self.bytes.len() || start >= 1 << 20) {
            self.bytes.drain(..start);
            self.cursor.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Offset of the next record: where a follower resumes.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.cursor.offset
    }

    /// Number of the next record.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.cursor.next_seq
    }

    /// Bytes that wait for the rest of their record; more than 0 at the end of a journal whose writer is gone means
    /// that its last record is torn.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.bytes.len() - self.cursor.start
    }

    /// The next whole record, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`JournalError`] when the bytes are not a journal's; reading cannot go on.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, JournalError> {
        let offset = self.offset().max(FILE_HEADER as u64);
        let Some(raw) = self.next_raw()? else { return Ok(None) };
        let body = match (raw.kind, raw.payload.split_first_chunk::<4>()) {
            (KIND_EVENT, _) => Body::Event(Box::new(
                serde_json::from_slice(raw.payload)
                    .map_err(|e| JournalError::Damaged { offset, what: e.to_string() })?,
            )),
            (KIND_OUTPUT, Some((command, bytes))) => Body::Output { command: u32::from_le_bytes(*command), bytes },
            _ => Body::Service(raw.payload),
        };
        Ok(Some(Record { seq: raw.seq, time_ns: raw.time_ns, body }))
    }

    /// As [`Self::next_record`], without parsing events: for copying a journal.
    ///
    /// # Errors
    /// [`JournalError`] when the bytes are not a journal's; reading cannot go on.
    pub fn next_raw(&mut self) -> Result<Option<RawRecord<'_>>, JournalError> {
        self.cursor.next_raw(&self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::Event;

    fn journal(chunks: &[Vec<u8>]) -> Vec<u8> {
        let mut encoder = Encoder::new();
        let mut bytes = file_header().to_vec();
        for (i, chunk) in chunks.iter().enumerate() {
            let time = 1_000 + i as u64;
            match i % 3 {
                0 => encoder.output(time, 7, chunk, &mut bytes),
                1 => encoder.service(time, chunk, &mut bytes),
                _ => {
                    let text = String::from_utf8_lossy(chunk).into_owned();
                    encoder.event(time, &Event::Notice { text }, &mut bytes)
                }
            }
            .unwrap();
        }
        bytes
    }

    fn read(bytes: &[u8], cut: usize) -> (Vec<u64>, Result<usize, JournalError>) {
        let mut decoder = Decoder::new();
        let mut seqs = Vec::new();
        for piece in bytes.chunks(cut.max(1)) {
            decoder.push(piece);
            loop {
                match decoder.next_record() {
                    Ok(Some(record)) => seqs.push(record.seq),
                    Ok(None) => break,
                    Err(e) => return (seqs, Err(e)),
                }
            }
        }
        (seqs, Ok(decoder.pending()))
    }

    proptest! {
        #[test]
        fn records_survive_any_cut(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..30),
            cut in 1usize..500,
        ) {
            let bytes = journal(&chunks);
            let (seqs, end) = read(&bytes, cut);
            prop_assert_eq!(seqs, (0..chunks.len() as u64).collect::<Vec<_>>());
            prop_assert_eq!(end.unwrap(), 0);
        }

        #[test]
        fn reading_resumes_at_any_record(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20),
        ) {
            let bytes = journal(&chunks);
            let mut whole = Decoder::new();
            whole.push(&bytes);
            let mut copy = file_header().to_vec();
            loop {
                let (offset, seq) = (whole.offset(), whole.next_seq());
                let mut rest = Decoder::at(offset, seq);
                rest.push(&bytes[usize::try_from(offset).unwrap()..]);
                let expected = whole.next_raw().unwrap().map(|r| (r.seq, r.bytes.to_vec()));
                prop_assert_eq!(rest.next_record().unwrap().map(|r| r.seq), expected.as_ref().map(|(seq, _)| *seq));
                match expected {
                    Some((_, bytes)) => copy.extend(bytes),
                    None => break,
                }
            }
            prop_assert_eq!(copy, bytes);
        }

        #[test]
        fn a_torn_end_loses_only_the_torn_record(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..10),
            torn in 1usize..20,
        ) {
            let bytes = journal(&chunks);
            let (seqs, end) = read(&bytes[..bytes.len() - torn], 4096);
            prop_assert_eq!(seqs.len(), chunks.len() - 1);
            prop_assert!(end.unwrap() > 0);
        }

        #[test]
        fn a_flipped_bit_is_found(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..6),
            at in any::<prop::sample::Index>(),
            bit in 0u8..8,
        ) {
            let mut bytes = journal(&chunks);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            let (seqs, end) = read(&bytes, 4096);
            // A flipped length bit may also make the rest look like a record that is not complete yet.
            prop_assert!(seqs.len() < chunks.len() && (end.is_err() || end.unwrap() > 0));
        }

        #[test]
        fn any_bytes_are_an_error_or_wait(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let mut with_header = file_header().to_vec();
            with_header.extend(&bytes);
            // A whole record takes at least its header, so garbage cannot pass for more records than that.
            for garbage in [with_header, bytes] {
                let (seqs, _) = read(&garbage, 100);
                prop_assert!(seqs.len() * RECORD_HEADER <= garbage.len());
            }
        }
    }

    #[test]
    fn times_never_go_back() {
        let mut encoder = Encoder::new();
        let mut bytes = file_header().to_vec();
        encoder.service(500, b"a\n", &mut bytes).unwrap();
        encoder.service(300, b"b\n", &mut bytes).unwrap();
        let mut decoder = Decoder::new();
        decoder.push(&bytes);
        assert_eq!(decoder.next_record().unwrap().unwrap().time_ns, 500);
        assert_eq!(decoder.next_record().unwrap().unwrap().time_ns, 500);
    }
}
