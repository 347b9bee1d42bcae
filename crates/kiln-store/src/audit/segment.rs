//! Files of the log: their names, their lines, and how they are listed, read and compressed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    ops::ControlFlow,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::{
    chain::{self, Chain, LENGTH},
    error::{AuditError, io as io_error},
    head::Place,
};

/// First word of a file.
const FORM: &str = "kiln-audit 1";
const PLAIN: &str = ".log";
const COMPRESSED: &str = ".log.zst";
/// Records say much the same: the fastest levels shrink them to a tenth already.
const LEVEL: i32 = 3;
/// Characters of a chain, and the blank behind it.
const HEAD_OF_LINE: usize = 2 * LENGTH + 1;

/// A file of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    /// Sequence number of its first record.
    pub(super) first: u64,
    /// When it was begun, milliseconds since the epoch.
    pub(super) time_ms: i64,
    pub(super) path: PathBuf,
    pub(super) is_compressed: bool,
}

impl Segment {
    fn parse(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let (stem, is_compressed) = match (name.strip_suffix(COMPRESSED), name.strip_suffix(PLAIN)) {
            (Some(stem), _) => (stem, true),
            (None, Some(stem)) => (stem, false),
            (None, None) => return None,
        };
        let (first, time) = stem.split_once('-')?;
        let (first, time_ms) = (first.parse().ok()?, time.parse().ok()?);
        Some(Self { first, time_ms, path, is_compressed })
    }

    /// Makes a file that continues at a place, and syncs it. Gives its header as well.
    pub(super) fn create(directory: &Path, at: &Place, time_ms: i64) -> Result<(Self, File, Vec<u8>), AuditError> {
        let first = at.sequence + 1;
        let path = directory.join(format!("{first:020}-{time_ms:013}{PLAIN}"));
        let header = format!("{FORM} {first} {time_ms} {}", chain::to_text(&at.chain)).into_bytes();
        let write = || {
            // One of that name has no record yet: or it would not be the next one's.
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            file.write_all(&[header.as_slice(), b"\n"].concat())?;
            file.sync_all()?;
            File::open(directory)?.sync_all()?;
            Ok(file)
        };
        let file = write().map_err(|e| io_error("write", &path, e))?;
        Ok((Self { first, time_ms, path, is_compressed: false }, file, header))
    }

    /// All bytes of it, as they were written.
    pub(super) fn read(&self) -> Result<Vec<u8>, AuditError> {
        let bytes = match fs::read(&self.path) {
            // It was compressed in this moment.
            Err(e) if e.kind() == io::ErrorKind::NotFound && !self.is_compressed => {
                let path = self.path.with_extension("log.zst");
                return Self { path, is_compressed: true, ..self.clone() }.read();
            }
            read => read.map_err(|e| io_error("read", &self.path, e))?,
        };
        if !self.is_compressed {
            return Ok(bytes);
        }
        zstd::stream::decode_all(bytes.as_slice())
            .map_err(|e| AuditError::Damaged { path: self.path.clone(), what: e.to_string() })
    }

    /// Puts the compressed file in the place of the plain one.
    pub(super) fn compress(&self) -> Result<(), AuditError> {
        let path = self.path.with_extension("log.zst");
        let partial = self.path.with_extension("partial");
        let failed = |doing, path: &Path| {
            let path = path.to_owned();
            move |e| io_error(doing, &path, e)
        };
        let bytes = fs::read(&self.path).map_err(failed("read", &self.path))?;
        let bytes = zstd::bulk::compress(&bytes, LEVEL).map_err(failed("compress", &self.path))?;
        let write = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&partial, &path)?;
            File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
        };
        write().inspect_err(|_| drop(fs::remove_file(&partial))).map_err(failed("write", &path))?;
        fs::remove_file(&self.path).map_err(failed("remove", &self.path))
    }
}

/// The files of a log, in order. Of one that is there twice, as it was compressed when the machine stopped, the compressed
/// one.
pub(super) fn list(directory: &Path) -> Result<Vec<Segment>, AuditError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(io_error("read", directory, e)),
    };
    let mut segments = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| io_error("read", directory, e))?;
        segments.extend(Segment::parse(entry.path()));
    }
    segments.sort_by_key(|segment| (segment.first, !segment.is_compressed));
    segments.dedup_by_key(|segment| segment.first);
    Ok(segments)
}

/// What the first line of a file says: the first sequence number, and the chain that it continues.
pub(super) fn header(line: &[u8]) -> Option<Place> {
    let text = std::str::from_utf8(line).ok()?.strip_prefix(FORM)?.strip_prefix(' ')?;
    let mut words = text.split(' ');
    let first: u64 = words.next()?.parse().ok()?;
    let _time: i64 = words.next()?.parse().ok()?;
    let chain = chain::from_text(words.next()?.as_bytes())?;
    (words.next().is_none() && first > 0).then(|| Place { sequence: first - 1, chain })
}

/// The parts of a line with a record.
pub(super) fn record(line: &[u8]) -> Option<(Chain, &[u8])> {
    let (head, record) = line.split_at_checked(HEAD_OF_LINE)?;
    let (text, [b' ']) = head.split_at_checked(2 * LENGTH)? else { return None };
    Some((chain::from_text(text)?, record))
}

/// The line of a record.
pub(super) fn line(chain: &Chain, record: &[u8], to: &mut Vec<u8>) {
    to.extend_from_slice(chain::to_text(chain).as_bytes());
    to.push(b' ');
    // No record has one; a line must be one line whatever is in it.
    to.extend(record.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }));
    to.push(b'\n');
}

/// Lines that are whole.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"))
}

/// See [`super::AuditLog::newest_first`].
pub(super) fn newest_first(
    directory: &Path,
    before: Option<u64>,
    from_ms: Option<i64>,
    visit: &mut impl FnMut(u64, &[u8]) -> ControlFlow<()>,
) -> Result<(), AuditError> {
    let before = before.unwrap_or(u64::MAX);
    let segments = list(directory)?;
    for segment in segments.iter().rev().filter(|segment| segment.first < before) {
        let bytes = segment.read()?;
        let records: Vec<(u64, &[u8])> = (segment.first..).zip(lines(&bytes).skip(1)).collect();
        for (sequence, line) in records.into_iter().rev() {
            if sequence >= before {
                continue;
            }
            let (_, record) = record(line).ok_or_else(|| AuditError::Damaged {
                path: segment.path.clone(),
                what: format!("its record {sequence} is none"),
            })?;
            if visit(sequence, record).is_break() {
                return Ok(());
            }
        }
        // Everything in the files before this one is older than it.
        if from_ms.is_some_and(|from| segment.time_ms < from) {
            return Ok(());
        }
    }
    Ok(())
}
