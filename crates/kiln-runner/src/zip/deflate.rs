//! Compression of one block, on a worker thread.

use flate2::{Compress, Compression, FlushCompress, Status};
use libdeflater::{CompressionLvl, Compressor};

/// Content is cut into blocks of this size, which are compressed independently: a large file keeps every core busy, and
/// no file of any size needs more memory than a few blocks. The loss of ratio is below one percent.
pub(super) const BLOCK: usize = 4 << 20;

/// For files of one block: libdeflate's level 4 gives the size that zlib-rs' level 5 gives, or less, in 60 % of its time.
const WHOLE: i32 = 4;

/// For the blocks of larger files, as libdeflate cannot go on with a stream: zlib-rs' level 5 gives within one percent
/// of the size of zlib's default 6 in little more than half its time.
const PART: u32 = 5;

/// A piece of a file.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) data: Vec<u8>,
    /// The first of its file, and the last: nothing precedes or follows in the deflate stream.
    pub(super) first: bool,
    pub(super) last: bool,
}

/// A compressed piece of a file.
#[derive(Debug)]
pub(super) struct Packed {
    /// Its length before.
    pub(super) size: u64,
    /// As it was; empty where it is certain that nobody wants it.
    pub(super) raw: Vec<u8>,
    /// As part of a deflate stream; empty where the file is to be stored.
    pub(super) deflated: Vec<u8>,
    pub(super) crc: crc32fast::Hasher,
    pub(super) last: bool,
}

/// Compressors that are used again for every block.
pub(super) struct Worker {
    whole: Compressor,
    part: Compress,
    sample: Compressor,
    scratch: Vec<u8>,
}

impl Worker {
    pub(super) fn new() -> Self {
        let compressor = |level| Compressor::new(CompressionLvl::new(level).unwrap_or_default());
        Self {
            whole: compressor(WHOLE),
            part: Compress::new(Compression::new(PART), false),
            sample: compressor(1),
            scratch: Vec::new(),
        }
    }

    /// Compresses a block into whole bytes of a deflate stream: blocks of a file, put one behind the other, are one
    /// stream, ended by the last block. A file of one block that would not shrink gets none.
    pub(super) fn pack(&mut self, block: Block) -> Packed {
        let Block { data: mut raw, first, last } = block;
        let size = raw.len() as u64;
        let mut crc = crc32fast::Hasher::new();
        crc.update(&raw);
        let mut deflated = Vec::new();
        let shrinks = self.shrinks(&raw);
        if first && last {
            if shrinks && let Some(packed) = shrink(&mut self.whole, &raw, &mut self.scratch) {
                deflated.extend_from_slice(packed);
                raw = Vec::new();
            }
        } else {
            let flush = if last { FlushCompress::Finish } else { FlushCompress::Sync };
            if !shrinks || !run(&mut self.part, &raw, flush, &mut deflated) {
                deflated.clear();
                store(&raw, last, &mut deflated);
            }
        }
        Packed { size, raw, deflated, crc, last }
    }

    /// False for data that looks packed already (archives, images, random bytes), judged by a quick look at two places:
    /// compressing it takes ten times as long as anything else, for nothing.
    fn shrinks(&mut self, data: &[u8]) -> bool {
        const SAMPLE: usize = 16 << 10;
        if data.len() < 4 * SAMPLE {
            return true;
        }
        [0, data.len() / 2].into_iter().filter_map(|at| data.get(at..at.saturating_add(SAMPLE))).any(|sample| {
            shrink(&mut self.sample, sample, &mut self.scratch)
                .is_some_and(|packed| packed.len() < SAMPLE - SAMPLE / 32)
        })
    }
}

/// Compresses `data` into a stream of its own; `None` when that would not be smaller. `room` is used again.
fn shrink<'a>(compressor: &mut Compressor, data: &[u8], room: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    let most = data.len().saturating_sub(1);
    if room.len() < most {
        room.resize(most, 0);
    }
    let packed = compressor.deflate_compress(data, room.get_mut(..most)?).ok()?;
    room.get(..packed)
}

/// False when the compressor gave up; what `out` then holds is of no use.
fn run(compress: &mut Compress, data: &[u8], flush: FlushCompress, out: &mut Vec<u8>) -> bool {
    compress.reset();
    out.reserve(data.len() / 2 + 64);
    loop {
        let taken = usize::try_from(compress.total_in()).unwrap_or(usize::MAX);
        let rest = data.get(taken..).unwrap_or_default();
        let Ok(status) = compress.compress_vec(rest, out, flush) else { return false };
        let room_left = out.len() < out.capacity();
        match status {
            Status::StreamEnd => return true,
            // A flush is complete when it did not use up the room (zlib manual, `deflate`).
            _ if flush == FlushCompress::Sync && room_left => return true,
            _ => out.reserve(data.len() / 4 + 64),
        }
    }
}

/// Stored blocks of the deflate format (RFC 1951 3.2.4).
fn store(data: &[u8], last: bool, out: &mut Vec<u8>) {
    const MOST: usize = 65_535;
    out.reserve(data.len() + (data.len() / MOST + 1) * 5);
    let mut pieces = data.chunks(MOST).peekable();
    while let Some(piece) = pieces.next() {
        out.push(u8::from(last && pieces.peek().is_none()));
        let len = u16::try_from(piece.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(&(!len).to_le_bytes());
        out.extend_from_slice(piece);
    }
}

/// The end of a stream whose blocks were all given as not the last: an empty final block with fixed codes.
pub(super) const END: [u8; 2] = [0x03, 0x00];

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn inflate(stream: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        flate2::read::DeflateDecoder::new(stream).read_to_end(&mut out).unwrap();
        out
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(7);
        std::iter::repeat_with(|| random.u8(..)).take(len).collect()
    }

    #[test]
    fn blocks_put_together_are_one_stream() {
        let mut worker = Worker::new();
        let text = b"all work and no play ".repeat(10_000);
        let blocks = [text.clone(), noise(200_000), text.clone(), noise(100), Vec::new()];
        let mut stream = Vec::new();
        for (i, data) in blocks.iter().enumerate() {
            let block = Block { data: data.clone(), first: i == 0, last: false };
            stream.extend(worker.pack(block).deflated);
        }
        stream.extend(END);
        assert_eq!(inflate(&stream), blocks.concat());
        assert!(stream.len() < 250_000);

        let whole = worker.pack(Block { data: text.clone(), first: true, last: true });
        assert_eq!((inflate(&whole.deflated), whole.raw.len(), whole.size), (text.clone(), 0, text.len() as u64));
        assert_eq!(whole.crc.finalize(), crc32fast::hash(&text));
        for data in [noise(300_000), noise(100), Vec::new()] {
            let whole = worker.pack(Block { data: data.clone(), first: true, last: true });
            assert_eq!((whole.raw, whole.deflated.len()), (data, 0));
        }
    }
}
