//! PAX extended headers: `length key=value\n` records.

use super::sparse::{Sparse, SparseError};

/// Most extended attributes of one entry, and the longest value (the kernel's own limit).
const MAX_XATTRS: usize = 64;
const MAX_XATTR_VALUE: usize = 65_536;

/// What the records before an entry say about it.
#[derive(Debug, Default)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<(i64, u32)>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) sparse: Option<SparseKeys>,
}

/// GNU's `GNU.sparse.*` keys, in any of their three versions.
#[derive(Debug, Default)]
pub(super) struct SparseKeys {
    pub(super) name: Option<Vec<u8>>,
    pub(super) real_size: u64,
    /// Version 1.0: the map stands before the data.
    pub(super) map_in_data: bool,
    /// Versions 0.0 and 0.1.
    numbers: Vec<u64>,
}

impl SparseKeys {
    /// The map of versions 0.0 and 0.1.
    pub(super) fn into_map(self) -> Result<Sparse, SparseError> {
        Sparse::from_numbers(self.real_size, &self.numbers)
    }
}

impl Pax {
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self, String> {
        let mut pax = Self::default();
        while !bytes.is_empty() {
            // Some writers pad the header with NULs.
            if bytes.iter().all(|b| *b == 0) {
                break;
            }
            let (key, value, rest) = record(bytes).ok_or("a PAX header is malformed")?;
            bytes = rest;
            pax.apply(key, value).map_err(|problem| format!("PAX record `{}`: {problem}", key.escape_ascii()))?;
        }
        Ok(pax)
    }

    fn apply(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        match key {
            b"path" => self.path = some(value),
            b"linkpath" => self.link = some(value),
            b"size" => self.size = number(value)?,
            b"uid" => self.uid = number(value)?,
            b"gid" => self.gid = number(value)?,
            b"mtime" => self.mtime = if value.is_empty() { None } else { Some(time(value).ok_or("not a time")?) },
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    if self.xattrs.len() >= MAX_XATTRS {
                        return Err("more than 64 extended attributes");
                    }
                    if name.is_empty() || name.len() > 255 || name.contains(&0) || value.len() > MAX_XATTR_VALUE {
                        return Err("an extended attribute that no file can have");
                    }
                    self.xattrs.push((name.to_vec(), value.to_vec()));
                } else if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
                    self.sparse(key, value)?;
                }
                // Other keys (atime, ctime, uname, comments, LIBARCHIVE.*, charset) change nothing that is kept.
            }
        }
        Ok(())
    }

    fn sparse(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let sparse = self.sparse.get_or_insert_default();
        let mut push = |n| {
            if sparse.numbers.len() >= 2 * super::sparse::MAX_SEGMENTS {
                return Err("the sparse map is too long");
            }
            sparse.numbers.push(n);
            Ok(())
        };
        match key {
            b"name" => sparse.name = some(value),
            b"realsize" | b"size" => sparse.real_size = required(value)?,
            b"major" => sparse.map_in_data = required(value)? == 1,
            b"offset" | b"numbytes" => push(required(value)?)?,
            b"map" => {
                for part in value.split(|b| *b == b',').filter(|part| !part.is_empty()) {
                    push(required(part)?)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Splits off the first record: key, value, and what follows.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(21).position(|b| *b == b' ')?;
    let length = usize::try_from(decimal(bytes.get(..space)?)?).ok()?;
    let record = bytes.get(space + 1..length)?;
    let record = record.strip_suffix(b"\n")?;
    let equals = record.iter().position(|b| *b == b'=')?;
    Some((record.get(..equals)?, record.get(equals + 1..)?, bytes.get(length..)?))
}

/// An empty value takes an earlier record back.
fn some(value: &[u8]) -> Option<Vec<u8>> {
    (!value.is_empty()).then(|| value.to_vec())
}

fn number(value: &[u8]) -> Result<Option<u64>, &'static str> {
    if value.is_empty() { Ok(None) } else { required(value).map(Some) }
}

fn required(value: &[u8]) -> Result<u64, &'static str> {
    decimal(value).ok_or("not a number")
}

/// A decimal number without sign.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, b| match b {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(b - b'0')),
        _ => None,
    })
}

/// `[-]seconds[.fraction]`, rounded down.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut parts = text.splitn(2, |b| *b == b'.');
    let seconds = i64::try_from(decimal(parts.next()?)?).ok()?;
    let mut nanos = 0u32;
    if let Some(fraction) = parts.next() {
        if !fraction.iter().all(u8::is_ascii_digit) {
            return None;
        }
        for digit in fraction.iter().chain(std::iter::repeat(&b'0')).take(9) {
            nanos = nanos * 10 + u32::from(digit - b'0');
        }
    }
    match (negative, nanos) {
        (false, _) => Some((seconds, nanos)),
        (true, 0) => Some((-seconds, 0)),
        (true, _) => Some((-seconds - 1, 1_000_000_000 - nanos)),
    }
}
