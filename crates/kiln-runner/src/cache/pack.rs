//! Packs: files of some 64 MiB that hold many chunks, so that 100,000 small files are a handful of files on the host.
//!
//! ```text
//! version 1 │ "kiln pack\n" │ frames … │ index │ length of the index (u32)
//! ```
//!
//! A *chunk* is a file's content, or a MiB of it, and named by its BLAKE3 hash. A *frame* is what is compressed at once:
//! neighbouring small chunks together (twice as small as each alone), or one large chunk. The index says what lies where
//! and holds a CRC-32 of each stored frame, which finds a damaged disk at 10 GB/s, and the hash of each chunk. The pack's
//! name is the hash of its index, and stands in the manifest: nothing in between can be exchanged unnoticed.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    os::unix::fs::FileExt,
    path::Path,
};

use super::{
    codec::{Cursor, Malformed, put_number},
    manifest::PackId,
};
use crate::atomic::{AtomicFile, Taken};

const VERSION: u8 = 1;
const MAGIC: &[u8] = b"kiln pack\n";
/// Largest chunk, and the size from which a frame is closed.
pub(super) const CHUNK: usize = 1 << 20;
/// Largest frame, decompressed: a MiB less one byte of small chunks and one more small chunk.
const MAX_FRAME: u32 = 2 << 20;
/// Largest index that is read: 1.8 million chunks.
const MAX_INDEX: u64 = 64 << 20;
/// Size at which a pack is closed and another begun; a long save closes them later, so that its packs stay few enough
/// to hold open at once.
const PACK: u64 = 64 << 20;
const MANY_PACKS: usize = 64;

/// How a frame is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Raw,
    Zstd,
}

/// One frame of a pack.
#[derive(Debug, Clone, Copy)]
struct FrameAt {
    offset: u64,
    len: u32,
    raw: u32,
    crc: u32,
    coding: Coding,
    first_chunk: u32,
    chunks: u32,
}

/// One chunk of a pack.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChunkAt {
    pub(super) hash: [u8; 32],
    pub(super) frame: u32,
    /// Where it begins in the decompressed frame.
    pub(super) offset: u32,
    pub(super) len: u32,
}

/// Content on its way into a pack.
#[derive(Debug, Default)]
pub(super) struct RawFrame {
    pub(super) data: Vec<u8>,
    /// Number that the saver gave the chunk, hash, length.
    pub(super) chunks: Vec<(u32, [u8; 32], u32)>,
}

/// A compressed frame on its way into a pack.
#[derive(Debug)]
pub(super) struct PackedFrame {
    stored: Vec<u8>,
    raw: u32,
    crc: u32,
    coding: Coding,
    chunks: Vec<(u32, [u8; 32], u32)>,
}

/// Compresses frames; one per worker thread.
pub(super) struct Packer(Option<zstd::bulk::Compressor<'static>>);

impl Packer {
    /// zstd level 1: on source trees within 5 percent of level 2, and fastest of all that compress as well.
    pub(super) fn new() -> Self {
        Self(zstd::bulk::Compressor::new(1).ok())
    }

    pub(super) fn pack(&mut self, frame: RawFrame) -> PackedFrame {
        let raw = u32::try_from(frame.data.len()).unwrap_or(u32::MAX);
        let smaller = self
            .0
            .as_mut()
            .and_then(|c| c.compress(&frame.data).ok())
            .filter(|packed| packed.len() < frame.data.len() - frame.data.len() / 64);
        let (stored, coding) = match smaller {
            Some(packed) => (packed, Coding::Zstd),
            None => (frame.data, Coding::Raw),
        };
        PackedFrame { crc: crc32fast::hash(&stored), stored, raw, coding, chunks: frame.chunks }
    }
}

/// A pack that is not finished.
#[derive(Debug)]
struct OpenPack {
    file: AtomicFile,
    out: BufWriter<File>,
    offset: u64,
    frames: Vec<FrameAt>,
    hashes: Vec<([u8; 32], u32)>,
}

/// A pack that is complete and synced, but has no name yet.
#[derive(Debug)]
pub(super) struct FinishedPack {
    pub(super) id: PackId,
    pub(super) size: u64,
    file: AtomicFile,
}

impl FinishedPack {
    /// A pack from elsewhere, of which every byte is checked: others may build upon it.
    pub(super) fn check(file: AtomicFile, id: PackId) -> Result<Self, PackError> {
        let reader = PackReader::new(file.try_clone()?, &id)?;
        reader.check_all()?;
        Ok(Self { id, size: reader.size, file })
    }

    /// Gives it its name. One of the same name has the same contents.
    pub(super) fn persist(self) -> io::Result<()> {
        self.file.persist(&hex::encode(self.id), Taken::Keep).map(drop)
    }
}

/// Writes the frames of one save into as many packs as it takes.
#[derive(Debug)]
pub(super) struct PackWriter {
    directory: std::path::PathBuf,
    open: Option<OpenPack>,
    pub(super) finished: Vec<FinishedPack>,
    /// Where the chunk lies that the saver gave this number: which of the packs written here, which chunk of it.
    pub(super) placed: Vec<(u32, u32)>,
}

impl PackWriter {
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), open: None, finished: Vec::new(), placed: Vec::new() }
    }

    pub(super) fn add(&mut self, frame: PackedFrame) -> io::Result<()> {
        let pack = u32::try_from(self.finished.len()).map_err(io::Error::other)?;
        let open = match &mut self.open {
            Some(open) => open,
            closed @ None => closed.insert(OpenPack::create(&self.directory)?),
        };
        for (n, &(number, _, _)) in frame.chunks.iter().enumerate() {
            let at = number as usize;
            if self.placed.len() <= at {
                self.placed.resize(at + 1, (0, 0));
            }
            if let Some(slot) = self.placed.get_mut(at) {
                *slot = (pack, u32::try_from(open.hashes.len() + n).map_err(io::Error::other)?);
            }
        }
        open.add(&frame)?;
        let full = PACK << (self.finished.len() / MANY_PACKS).min(10);
        if open.offset >= full || open.hashes.len() >= 1 << 20 { self.close() } else { Ok(()) }
    }

    /// Finishes the pack under way.
    pub(super) fn close(&mut self) -> io::Result<()> {
        if let Some(open) = self.open.take() {
            self.finished.push(open.finish()?);
        }
        Ok(())
    }
}

impl OpenPack {
    fn create(directory: &Path) -> io::Result<Self> {
        let file = AtomicFile::create(directory)?;
        let mut out = BufWriter::with_capacity(1 << 18, file.try_clone()?);
        out.write_all(&[VERSION])?;
        out.write_all(MAGIC)?;
        Ok(Self { file, out, offset: 1 + MAGIC.len() as u64, frames: Vec::new(), hashes: Vec::new() })
    }

    fn add(&mut self, frame: &PackedFrame) -> io::Result<()> {
        self.out.write_all(&frame.stored)?;
        self.frames.push(FrameAt {
            offset: self.offset,
            len: u32::try_from(frame.stored.len()).map_err(io::Error::other)?,
            raw: frame.raw,
            crc: frame.crc,
            coding: frame.coding,
            first_chunk: u32::try_from(self.hashes.len()).map_err(io::Error::other)?,
            chunks: u32::try_from(frame.chunks.len()).map_err(io::Error::other)?,
        });
        self.hashes.extend(frame.chunks.iter().map(|&(_, hash, len)| (hash, len)));
        self.offset = self.offset.saturating_add(frame.stored.len() as u64);
        Ok(())
    }

    fn finish(mut self) -> io::Result<FinishedPack> {
        let mut index = Vec::with_capacity(self.hashes.len() * 36 + self.frames.len() * 16);
        put_number(&mut index, self.frames.len() as u64);
        let mut hashes = self.hashes.iter();
        for frame in &self.frames {
            put_number(&mut index, u64::from(frame.len));
            put_number(&mut index, u64::from(frame.raw));
            index.extend_from_slice(&frame.crc.to_le_bytes());
            index.push(u8::from(frame.coding == Coding::Zstd));
            put_number(&mut index, u64::from(frame.chunks));
            for (hash, len) in hashes.by_ref().take(frame.chunks as usize) {
                index.extend_from_slice(hash);
                put_number(&mut index, u64::from(*len));
            }
        }
        self.out.write_all(&index)?;
        self.out.write_all(&u32::try_from(index.len()).map_err(io::Error::other)?.to_le_bytes())?;
        self.out.flush()?;
        self.out.get_ref().sync_all()?;
        let size = self.offset.saturating_add(index.len() as u64 + 4);
        Ok(FinishedPack { id: *blake3::hash(&index).as_bytes(), size, file: self.file })
    }
}

/// Why a pack, or a part of it, is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum PackError {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl PackError {
    /// True when the pack itself is at fault; false for what passes, such as too many open files.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::Malformed(_) => true,
            Self::Io(e) => {
                matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof)
                    || e.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
            }
        }
    }
}

/// An open pack and its index.
#[derive(Debug)]
pub(super) struct PackReader {
    file: File,
    frames: Vec<FrameAt>,
    pub(super) chunks: Vec<ChunkAt>,
    pub(super) size: u64,
}

impl PackReader {
    /// Opens the pack of that name and checks its index against the name.
    pub(super) fn open(directory: &Path, id: &PackId) -> Result<Self, PackError> {
        Self::new(File::open(directory.join(hex::encode(id)))?, id)
    }

    /// Reads the index of what is said to be the pack of that name.
    pub(super) fn new(file: File, id: &PackId) -> Result<Self, PackError> {
        let size = file.metadata()?.len();
        let start = 1 + MAGIC.len() as u64;
        let mut head = vec![0; 1 + MAGIC.len()];
        file.read_exact_at(&mut head, 0)?;
        if head.split_first() != Some((&VERSION, MAGIC)) {
            return Err(Malformed.into());
        }
        let mut len = [0; 4];
        file.read_exact_at(&mut len, size.checked_sub(4).ok_or(Malformed)?)?;
        let len = u64::from(u32::from_le_bytes(len));
        let index_at = size.checked_sub(4 + len).filter(|&at| at >= start).ok_or(Malformed)?;
        if len > MAX_INDEX {
            return Err(Malformed.into());
        }
        let mut index = vec![0; usize::try_from(len).map_err(|_| Malformed)?];
        file.read_exact_at(&mut index, index_at)?;
        if blake3::hash(&index) != *id {
            return Err(Malformed.into());
        }
        let mut c = Cursor(&index);
        let count = c.count(8)?;
        let mut reader = Self { file, frames: Vec::with_capacity(count), chunks: Vec::new(), size };
        let mut offset = start;
        for number in 0..count {
            let (len, raw) = (c.number32()?, c.number32()?);
            let crc = u32::from_le_bytes(c.array()?);
            let coding = if c.byte()? == 1 { Coding::Zstd } else { Coding::Raw };
            let chunks = c.count(33)?;
            let frame = FrameAt {
                offset,
                len,
                raw,
                crc,
                coding,
                first_chunk: u32::try_from(reader.chunks.len()).map_err(|_| Malformed)?,
                chunks: u32::try_from(chunks).map_err(|_| Malformed)?,
            };
            let mut at = 0u32;
            for _ in 0..chunks {
                let (hash, len) = (c.array()?, c.number32()?);
                let frame = u32::try_from(number).map_err(|_| Malformed)?;
                reader.chunks.push(ChunkAt { hash, frame, offset: at, len });
                at = at.checked_add(len).ok_or(Malformed)?;
            }
            offset = offset.checked_add(u64::from(len)).ok_or(Malformed)?;
            if at != raw || raw > MAX_FRAME || (coding == Coding::Raw && len != raw) || offset > index_at {
                return Err(Malformed.into());
            }
            reader.frames.push(frame);
        }
        c.end()?;
        Ok(reader)
    }

    /// Writes the whole pack as it is stored.
    pub(super) fn copy(&self, to: &mut impl Write) -> io::Result<()> {
        let mut buffer = vec![0; 1 << 18];
        let mut at = 0;
        while at < self.size {
            let n = usize::try_from(self.size - at).map_or(buffer.len(), |rest| rest.min(buffer.len()));
            let piece = buffer.get_mut(..n).unwrap_or_default();
            self.file.read_exact_at(piece, at)?;
            to.write_all(piece)?;
            at += n as u64;
        }
        Ok(())
    }

    /// Reads every frame, and checks every chunk of it.
    pub(super) fn check_all(&self) -> Result<(), PackError> {
        let mut unpacker = Unpacker::new();
        (0u32..).take(self.frames.len()).try_for_each(|frame| self.read(frame, &mut unpacker).map(drop))
    }

    /// Bytes of all chunks.
    pub(super) fn raw_bytes(&self) -> u64 {
        self.frames.iter().map(|f| u64::from(f.raw)).sum()
    }

    /// Reads a frame as it is stored and checks its sum.
    pub(super) fn check(&self, frame: u32) -> Result<Vec<u8>, PackError> {
        let frame = self.frames.get(frame as usize).ok_or(Malformed)?;
        let mut stored = vec![0; frame.len as usize];
        self.file.read_exact_at(&mut stored, frame.offset)?;
        if crc32fast::hash(&stored) == frame.crc { Ok(stored) } else { Err(Malformed.into()) }
    }

    /// Reads a frame's content and checks the hash of every chunk in it.
    pub(super) fn read(&self, number: u32, unpacker: &mut Unpacker) -> Result<Vec<u8>, PackError> {
        let stored = self.check(number)?;
        let frame = self.frames.get(number as usize).ok_or(Malformed)?;
        let data = match frame.coding {
            Coding::Raw => stored,
            Coding::Zstd => unpacker.unpack(&stored, frame.raw as usize)?,
        };
        if data.len() != frame.raw as usize {
            return Err(Malformed.into());
        }
        let first = frame.first_chunk as usize;
        let chunks = self.chunks.get(first..first.saturating_add(frame.chunks as usize)).ok_or(Malformed)?;
        for chunk in chunks {
            let (from, len) = (chunk.offset as usize, chunk.len as usize);
            let content = data.get(from..from.saturating_add(len)).ok_or(Malformed)?;
            if blake3::hash(content) != chunk.hash {
                return Err(Malformed.into());
            }
        }
        Ok(data)
    }
}

/// Decompresses frames; one per worker thread.
pub(super) struct Unpacker(Option<zstd::bulk::Decompressor<'static>>);

impl Unpacker {
    pub(super) fn new() -> Self {
        Self(zstd::bulk::Decompressor::new().ok())
    }

    fn unpack(&mut self, stored: &[u8], raw: usize) -> Result<Vec<u8>, PackError> {
        let unpacker = self.0.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        unpacker.decompress(stored, raw).map_err(|_| Malformed.into())
    }
}
