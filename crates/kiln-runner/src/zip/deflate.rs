//! Compression of one block, on a worker thread.

use flate2::{Compress, Compression, FlushCompress, Status};

/// Content is cut into blocks of this size, which are compressed independently: one large file keeps every core busy,
/// and no file of any size needs more memory than a few blocks. The loss of ratio is below one percent.
pub(super) const BLOCK: usize = 1 << 20;

/// zlib-rs' level 5 gives within one percent of the size of zlib's default 6 in little more than half its time.
const LEVEL: u32 = 5;

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
    pub(super) raw: Vec<u8>,
    pub(super) deflated: Vec<u8>,
    pub(super) crc: crc32fast::Hasher,
    pub(super) last: bool,
}

/// A compressor that is used again for every block.
pub(super) struct Worker {
    full: Compress,
    sample: Compress,
    scratch: Vec<u8>,
}

impl Worker {
    pub(super) fn new() -> Self {
        Self {
            full: Compress::new(Compression::new(LEVEL), false),
            sample: Compress::new(Compression::fast(), false),
            scratch: Vec::new(),
        }
    }

    /// Compresses a block into whole bytes of a deflate stream: blocks of a file, put one behind the other, are one
    /// stream, ended by the last block.
    pub(super) fn pack(&mut self, block: Block) -> Packed {
        let Block { data, first, last } = block;
        let mut crc = crc32fast::Hasher::new();
        crc.update(&data);
        let mut deflated = Vec::new();
        if first && last && data.is_empty() {
            // Stored: no stream at all.
        } else {
            let flush = if last { FlushCompress::Finish } else { FlushCompress::Sync };
            if !self.shrinks(&data) || !run(&mut self.full, &data, flush, &mut deflated) {
                deflated.clear();
                store(&data, last, &mut deflated);
            }
        }
        Packed { raw: data, deflated, crc, last }
    }

    /// False for data that looks packed already (archives, images, random bytes), judged by a quick look at two places:
    /// compressing it takes ten times as long as anything else, for nothing.
    fn shrinks(&mut self, data: &[u8]) -> bool {
        const SAMPLE: usize = 16 << 10;
        if data.len() < 4 * SAMPLE {
            return true;
        }
        [0, data.len() / 2].into_iter().filter_map(|at| data.get(at..at.saturating_add(SAMPLE))).any(|sample| {
            self.scratch.clear();
            run(&mut self.sample, sample, FlushCompress::Finish, &mut self.scratch)
                && self.scratch.len() < SAMPLE - SAMPLE / 32
        })
    }
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

        for last in [noise(300_000), text] {
            let packed = worker.pack(Block { data: last.clone(), first: true, last: true });
            assert_eq!(inflate(&packed.deflated), last);
            assert_eq!(packed.crc.finalize(), crc32fast::hash(&last));
        }
    }
}
