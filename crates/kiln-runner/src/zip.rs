//! Artifact archives: a ZIP is written while its files arrive, compressed on every core (`buildspec.md` section 9).
//!
//! ```text
//! caller: entry + content ─→ blocks, in batches ─→ workers: CRC-32, deflate ─→ sink: headers, data, MD5 + SHA-256
//! ```
//!
//! The archive appears under its name when [`ZipWriter::finish`] returns, complete and synced; before, and after a
//! crash, nothing is there (`reliability.md` I6). Names, modes and links are a hostile build's, see [`crate::entry`].

mod deflate;
mod format;
mod sink;

use std::{
    fs::File,
    io::{self, Read},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
};

use self::{
    deflate::{BLOCK, Block, Packed, Worker},
    format::{Description, Stamp},
    sink::{Mark, Sink, SinkError, Step},
};
use crate::{
    atomic::{AtomicFile, Taken, split_target},
    entry::{BadPath, Entry, EntryKind, OutputLimits, check_path, printable, stays_inside},
    pipeline::Pipeline,
};

/// The first moment that a ZIP can name, 1980-01-01T00:00:00Z: the time of every entry of a reproducible archive when
/// `SOURCE_DATE_EPOCH` gives none.
pub const ZIP_EPOCH: i64 = 315_532_800;

/// Which times the entries get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZipTimes {
    /// Each file's own modification time.
    Files,
    /// This one (seconds since the epoch) for all, in DOS fields alone: the same files give the same bytes.
    Fixed(i64),
}

/// How an archive is written.
#[derive(Debug, Clone, Copy)]
pub struct ZipOptions {
    /// Compression threads.
    pub threads: NonZeroUsize,
    /// Times.
    pub times: ZipTimes,
    /// Bounds.
    pub limits: OutputLimits,
}

impl Default for ZipOptions {
    /// As many threads as cores, at most 16; files' own times.
    fn default() -> Self {
        let threads = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            threads: threads.min(NonZeroUsize::new(16).unwrap_or(NonZeroUsize::MIN)),
            times: ZipTimes::Files,
            limits: OutputLimits::default(),
        }
    }
}

/// Why an archive, or one entry of it, could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ZipError {
    /// The entry was left out: its content broke off. The archive can go on without it.
    #[error("'{path}' was not archived: {source}")]
    Content {
        /// The entry.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// An entry has a name that no archive should hold.
    #[error("the artifact path '{path}' {why}")]
    Path {
        /// The entry.
        path: String,
        /// Why.
        why: BadPath,
    },
    /// Entries have to come sorted by the bytes of their paths.
    #[error("artifact '{path}' came after '{before}': the list of files is not sorted")]
    Order {
        /// The entry.
        path: String,
        /// The one before.
        before: String,
    },
    /// There is more to archive than allowed.
    #[error("the artifact is larger than allowed: more than {limit} {what}")]
    Limit {
        /// The limit.
        limit: u64,
        /// Of what.
        what: &'static str,
    },
    /// The archive cannot hold what was given.
    #[error("cannot write the archive {}: {reason}", target.display())]
    Archive {
        /// The archive.
        target: PathBuf,
        /// Why.
        reason: String,
    },
    /// The host refused: disk full, no permission, …
    #[error("cannot write the archive {}: {source}", target.display())]
    Write {
        /// The archive.
        target: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A finished archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZipSummary {
    /// Bytes of the archive.
    pub size: u64,
    /// Entries.
    pub entries: u64,
    /// MD5 of the archive (`md5sum` of the build record, in hex there).
    pub md5: [u8; 16],
    /// SHA-256 of the archive (`sha256sum`).
    pub sha256: [u8; 32],
    /// What was done differently from what was asked, for the build's log: at most [`MAX_NOTES`] lines.
    pub notes: Vec<String>,
}

/// Notes that are kept; more are counted in one last line.
pub const MAX_NOTES: usize = 100;

/// Content of this size, or this many small files, go through the pipeline together: passing on a file of a few
/// kilobytes takes longer than compressing it.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_STEPS: usize = 512;

type Batch<B> = Vec<Step<B>>;

/// Writes one archive.
#[derive(Debug)]
pub struct ZipWriter {
    target: PathBuf,
    file: Option<AtomicFile>,
    pipeline: Pipeline<Batch<Block>, Batch<Packed>, Sink, SinkError>,
    batch: Batch<Block>,
    batch_bytes: usize,
    options: ZipOptions,
    previous: Option<Vec<u8>>,
    entries: u64,
    bytes: u64,
    notes: Notes,
}

impl ZipWriter {
    /// Begins an archive that will appear as `target`, replacing what is there. Its directory must exist.
    ///
    /// # Errors
    ///
    /// [`ZipError::Write`] when no file can be made in the target's directory.
    pub fn create(target: &Path, options: ZipOptions) -> Result<Self, ZipError> {
        let begin = || -> io::Result<(AtomicFile, File)> {
            let (directory, _) = split_target(target)?;
            let file = AtomicFile::create(&directory)?;
            let writable = file.try_clone()?;
            Ok((file, writable))
        };
        let (file, writable) = begin().map_err(|source| ZipError::Write { target: target.to_owned(), source })?;
        let pipeline = Pipeline::start(
            options.threads,
            options.threads.saturating_add(2),
            || {
                let mut worker = Worker::new();
                move |batch: Batch<Block>| {
                    let pack = |step| match step {
                        Step::Mark(mark) => Step::Mark(mark),
                        Step::Block(block) => Step::Block(worker.pack(block)),
                    };
                    batch.into_iter().map(pack).collect()
                }
            },
            Sink::new(writable),
            |sink: &mut Sink, batch: Batch<Packed>| batch.into_iter().try_for_each(|step| sink.step(step)),
        );
        Ok(Self {
            target: target.to_owned(),
            file: Some(file),
            pipeline,
            batch: Vec::new(),
            batch_bytes: 0,
            options,
            previous: None,
            entries: 0,
            bytes: 0,
            notes: Notes::default(),
        })
    }

    /// Adds an entry with its content (`io::empty()` for anything but a file).
    ///
    /// Entries come sorted by the bytes of their paths. Of two with the same path (`discard-paths`) the later one
    /// counts, with a note. Links that could leave the archive are left out with a note, directories are passed over:
    /// an artifact holds files (`buildspec.md` 1.10).
    ///
    /// # Errors
    ///
    /// After [`ZipError::Content`] the entry is not in the archive and the next one may follow; every other error ends
    /// the archive.
    pub fn entry(&mut self, entry: &Entry<'_>, content: &mut dyn Read) -> Result<(), ZipError> {
        check_path(entry.path).map_err(|why| ZipError::Path { path: printable(entry.path), why })?;
        let kind_bits = match entry.kind {
            EntryKind::Directory => return Ok(()),
            EntryKind::File => 0o100_000 | (entry.mode & 0o777),
            EntryKind::Symlink { target } if stays_inside(entry.path, target) => 0o120_777,
            EntryKind::Symlink { target } => {
                self.notes.add(format!(
                    "left out '{}': the link points outside of the artifact, to '{}'",
                    printable(entry.path),
                    printable(target)
                ));
                return Ok(());
            }
        };
        self.admit(entry)?;
        let stamp = match self.options.times {
            ZipTimes::Files => Stamp::new(entry.mtime_ns.div_euclid(1_000_000_000), true),
            ZipTimes::Fixed(seconds) => Stamp::new(seconds, false),
        };
        let description = Description {
            name: entry.path.to_vec(),
            unix_mode: kind_bits,
            stamp,
            zip64: sink::needs_zip64(entry.size),
        };
        self.mark(Mark::Begin(description))?;
        match entry.kind {
            EntryKind::Symlink { mut target } => self.content(entry, &mut target),
            _ => self.content(entry, content),
        }
    }

    /// Writes the directory, syncs, and gives the archive its name.
    ///
    /// # Errors
    ///
    /// [`ZipError::Write`] and [`ZipError::Archive`]; nothing is left behind then.
    pub fn finish(mut self) -> Result<ZipSummary, ZipError> {
        self.flush()?;
        let sink = match self.pipeline.finish() {
            Some(Ok(sink)) => sink,
            Some(Err(e)) => return Err(self.failed(e)),
            None => return Err(self.ended()),
        };
        let (file, written) = sink.finish().map_err(|e| self.failed(e))?;
        drop(file);
        let named = match self.file.take() {
            Some(file) => split_target(&self.target).and_then(|(_, name)| file.persist(name, Taken::Replace).map(drop)),
            None => Err(io::ErrorKind::NotFound.into()),
        };
        named.map_err(|source| ZipError::Write { target: self.target.clone(), source })?;
        Ok(ZipSummary {
            size: written.size,
            entries: written.entries,
            md5: written.md5,
            sha256: written.sha256,
            notes: self.notes.into_lines(),
        })
    }

    /// Checks order and number, and makes way for an entry of a name that was given before.
    fn admit(&mut self, entry: &Entry<'_>) -> Result<(), ZipError> {
        match self.previous.as_deref() {
            Some(before) if before > entry.path => {
                return Err(ZipError::Order { path: printable(entry.path), before: printable(before) });
            }
            Some(before) if before == entry.path => {
                self.notes.add(format!("'{}' was given more than once: the last one counts", printable(entry.path)));
                self.mark(Mark::Replace)?;
            }
            _ => {}
        }
        self.previous = Some(entry.path.to_vec());
        self.entries = self.entries.saturating_add(1);
        let limit = self.options.limits.entries;
        if self.entries > limit { Err(ZipError::Limit { limit, what: "files" }) } else { Ok(()) }
    }

    /// Cuts content into blocks.
    fn content(&mut self, entry: &Entry<'_>, content: &mut dyn Read) -> Result<(), ZipError> {
        let mut first = true;
        let mut expected = usize::try_from(entry.size).unwrap_or(BLOCK).min(BLOCK);
        loop {
            // One byte more than announced: an unchanged file shows its end without another block.
            let mut data = Vec::with_capacity(expected.saturating_add(1).min(BLOCK));
            let read = Read::take(&mut *content, BLOCK as u64).read_to_end(&mut data);
            if let Err(source) = read {
                self.mark(Mark::Abort)?;
                // The one before is not the previous entry of this name any more.
                return Err(ZipError::Content { path: printable(entry.path), source });
            }
            self.bytes = self.bytes.saturating_add(data.len() as u64);
            let limit = self.options.limits.bytes;
            if self.bytes > limit {
                return Err(ZipError::Limit { limit, what: "bytes" });
            }
            let last = data.len() < BLOCK;
            if last && data.is_empty() && !first {
                return self.mark(Mark::End);
            }
            expected = BLOCK;
            self.batch_bytes = self.batch_bytes.saturating_add(data.len());
            self.give(Step::Block(Block { data, first, last }))?;
            if last {
                return Ok(());
            }
            first = false;
        }
    }

    fn mark(&mut self, mark: Mark) -> Result<(), ZipError> {
        self.give(Step::Mark(mark))
    }

    fn give(&mut self, step: Step<Block>) -> Result<(), ZipError> {
        self.batch.push(step);
        if self.batch_bytes >= BATCH_BYTES || self.batch.len() >= BATCH_STEPS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), ZipError> {
        self.batch_bytes = 0;
        match self.pipeline.job(std::mem::take(&mut self.batch)) {
            Ok(()) => Ok(()),
            Err(_) => Err(self.sink_error()),
        }
    }

    fn sink_error(&mut self) -> ZipError {
        match self.pipeline.finish() {
            Some(Err(e)) => self.failed(e),
            _ => self.ended(),
        }
    }

    fn failed(&self, error: SinkError) -> ZipError {
        let target = self.target.clone();
        match error {
            SinkError::Io(source) => ZipError::Write { target, source },
            other => ZipError::Archive { target, reason: other.to_string() },
        }
    }

    fn ended(&self) -> ZipError {
        ZipError::Archive { target: self.target.clone(), reason: "writing it has failed before".to_owned() }
    }
}

/// Lines for the log, bounded: the build decides how many there would be.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    lines: Vec<String>,
    more: u64,
}

impl Notes {
    pub(crate) fn add(&mut self, line: String) {
        if self.lines.len() < MAX_NOTES - 1 { self.lines.push(line) } else { self.more = self.more.saturating_add(1) }
    }

    pub(crate) fn into_lines(mut self) -> Vec<String> {
        if self.more > 0 {
            self.lines.push(format!("… and {} more like these", self.more));
        }
        self.lines
    }
}
