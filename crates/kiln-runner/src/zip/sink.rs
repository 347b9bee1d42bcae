//! The thread that writes the archive: headers, data and directory in order, checksums along the way.

use std::{
    fs::File,
    io::{self, BufWriter, Seek, SeekFrom, Write},
};

use md5::Md5;
use sha2::{Digest, Sha256};

use super::{
    deflate::{BLOCK, END, Packed},
    format::{ANNOUNCE_ZIP64, Description, Extent, Method, U32_LIMIT, put_end},
};
use crate::entry::printable;

/// Data of an entry that is kept until its end is seen, so that the header can say everything and data that does not
/// shrink can be stored; larger entries stream, with their sizes behind the data.
const GATHER: u64 = BLOCK as u64;

/// Directory bytes that are kept in memory: about 2.5 million entries with short names.
const DIRECTORY_LIMIT: usize = 256 << 20;

/// What an archive is given, in order: blocks as they come (`B` is [`super::deflate::Block`]) or compressed
/// ([`Packed`]), and marks among them.
#[derive(Debug)]
pub(super) enum Step<B> {
    Mark(Mark),
    Block(B),
}

/// Marks among the blocks.
#[derive(Debug)]
pub(super) enum Mark {
    /// An entry begins; its blocks follow, the last one marked as such.
    Begin(Description),
    /// The entry under way ends where it is, although its last block was not marked as the last.
    End,
    /// The entry under way is dropped.
    Abort,
    /// The entry before is dropped: another of the same name follows.
    Replace,
}

/// What went wrong in the sink.
#[derive(Debug, thiserror::Error)]
pub(super) enum SinkError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("'{0}' grew past 4 GiB while it was read")]
    Grew(String),
    #[error("the archive has more entries than its directory can hold in {} MiB", DIRECTORY_LIMIT >> 20)]
    Directory,
}

/// Where an entry begins: enough to go back to it.
#[derive(Debug, Clone)]
struct Checkpoint {
    offset: u64,
    directory: usize,
    entries: u64,
    md5: Md5,
    sha256: Sha256,
}

/// An entry whose end was not seen.
#[derive(Debug)]
struct Current {
    description: Description,
    start: Checkpoint,
    gathered: Vec<Packed>,
    /// Header and earlier blocks are written.
    streaming: bool,
    crc: crc32fast::Hasher,
    size: u64,
    compressed: u64,
}

/// The finished archive's figures.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) size: u64,
    pub(super) entries: u64,
    pub(super) md5: [u8; 16],
    pub(super) sha256: [u8; 32],
}

/// State of the writing thread.
#[derive(Debug)]
pub(super) struct Sink {
    file: BufWriter<File>,
    at: Checkpoint,
    /// Central directory so far.
    directory: Vec<u8>,
    current: Option<Current>,
    previous: Option<Checkpoint>,
    header: Vec<u8>,
}

impl Sink {
    pub(super) fn new(file: File) -> Self {
        Self {
            file: BufWriter::with_capacity(1 << 18, file),
            at: Checkpoint { offset: 0, directory: 0, entries: 0, md5: Md5::new(), sha256: Sha256::new() },
            directory: Vec::new(),
            current: None,
            previous: None,
            header: Vec::new(),
        }
    }

    pub(super) fn step(&mut self, step: Step<Packed>) -> Result<(), SinkError> {
        match step {
            Step::Mark(Mark::Begin(description)) => {
                self.current = Some(Current {
                    description,
                    start: self.checkpoint(),
                    gathered: Vec::new(),
                    streaming: false,
                    crc: crc32fast::Hasher::new(),
                    size: 0,
                    compressed: 0,
                });
                Ok(())
            }
            Step::Mark(Mark::End) => self.end(false),
            Step::Mark(Mark::Abort) => match self.current.take() {
                Some(current) => self.go_back(current.start),
                None => Ok(()),
            },
            Step::Mark(Mark::Replace) => match self.previous.take() {
                Some(start) => self.go_back(start),
                None => Ok(()),
            },
            Step::Block(packed) => self.block(packed),
        }
    }

    /// Writes the directory and the end records.
    pub(super) fn finish(mut self) -> Result<(File, Written), SinkError> {
        let offset = self.at.offset;
        let directory = std::mem::take(&mut self.directory);
        let mut end = Vec::new();
        put_end(self.at.entries, directory.len() as u64, offset, &mut end);
        self.write(&directory)?;
        self.write(&end)?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let Checkpoint { offset, entries, md5, sha256, .. } = self.at;
        let written = Written { size: offset, entries, md5: md5.finalize().into(), sha256: sha256.finalize().into() };
        Ok((file, written))
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint { directory: self.directory.len(), ..self.at.clone() }
    }

    fn go_back(&mut self, to: Checkpoint) -> Result<(), SinkError> {
        self.current = None;
        self.previous = None;
        if to.offset != self.at.offset {
            self.file.flush()?;
            self.file.get_ref().set_len(to.offset)?;
            self.file.seek(SeekFrom::Start(to.offset))?;
        }
        self.directory.truncate(to.directory);
        self.at = to;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError> {
        self.file.write_all(bytes)?;
        self.at.md5.update(bytes);
        self.at.sha256.update(bytes);
        self.at.offset = self.at.offset.saturating_add(bytes.len() as u64);
        Ok(())
    }

    fn block(&mut self, packed: Packed) -> Result<(), SinkError> {
        let Some(current) = &mut self.current else { return Ok(()) };
        current.crc.combine(&packed.crc);
        current.size = current.size.saturating_add(packed.size);
        // Without a stream it cannot become smaller, and is stored.
        let compressed = if packed.deflated.is_empty() { packed.size } else { packed.deflated.len() as u64 };
        current.compressed = current.compressed.saturating_add(compressed);
        if !current.description.zip64 && (current.size >= U32_LIMIT || current.compressed >= U32_LIMIT) {
            return Err(SinkError::Grew(printable(&current.description.name)));
        }
        let last = packed.last;
        current.gathered.push(packed);
        if current.size > GATHER {
            self.stream()?;
        }
        if last { self.end(true) } else { Ok(()) }
    }

    /// Writes what was gathered of an entry whose end is not in sight.
    fn stream(&mut self) -> Result<(), SinkError> {
        let Some(current) = &mut self.current else { return Ok(()) };
        let gathered = std::mem::take(&mut current.gathered);
        if !current.streaming {
            current.streaming = true;
            let unknown = Extent { method: Method::Deflate, crc: 0, compressed: 0, size: 0, descriptor: true };
            self.header.clear();
            current.description.put_local(&unknown, &mut self.header);
            let header = std::mem::take(&mut self.header);
            self.write(&header)?;
            self.header = header;
        }
        for packed in gathered {
            self.write(&packed.deflated)?;
        }
        Ok(())
    }

    /// Ends the entry under way. `closed`: its deflate stream has its end.
    fn end(&mut self, closed: bool) -> Result<(), SinkError> {
        let Some(mut current) = self.current.take() else { return Ok(()) };
        if !closed && current.size > 0 {
            current.compressed = current.compressed.saturating_add(END.len() as u64);
        }
        let mut header = std::mem::take(&mut self.header);
        header.clear();
        let stored = !current.streaming && current.compressed >= current.size;
        let extent = Extent {
            method: if stored { Method::Store } else { Method::Deflate },
            crc: current.crc.finalize(),
            compressed: if stored { current.size } else { current.compressed },
            size: current.size,
            descriptor: current.streaming,
        };
        if !current.streaming {
            current.description.put_local(&extent, &mut header);
            self.write(&header)?;
        }
        for packed in &current.gathered {
            self.write(if stored { &packed.raw } else { &packed.deflated })?;
        }
        if !closed && !stored {
            self.write(&END)?;
        }
        if current.streaming {
            header.clear();
            current.description.put_descriptor(&extent, &mut header);
            self.write(&header)?;
        }
        self.header = header;
        current.description.put_central(&extent, current.start.offset, &mut self.directory);
        if self.directory.len() > DIRECTORY_LIMIT {
            return Err(SinkError::Directory);
        }
        self.at.entries = self.at.entries.saturating_add(1);
        self.previous = Some(current.start);
        Ok(())
    }
}

/// True when an entry announced with `size` bytes gets ZIP64 sizes.
pub(super) fn needs_zip64(size: u64) -> bool {
    size >= ANNOUNCE_ZIP64
}
