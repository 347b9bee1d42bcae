//! Layers as they come: gzip, zstd or plain, told apart by their first bytes as docker does (media types lie). One
//! thread reads, decompresses and takes digests; the caller unpacks what it hands over.

use std::io::{self, BufRead as _, BufReader, Cursor, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use flate2::bufread::MultiGzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

use super::digest::{Digest, Hasher};
use super::error::ImageError;
use super::limits::Budget;
use super::operation::Cancel;

const CHUNK: usize = 128 * 1024;
/// Chunks on their way from the decompressing thread to the unpacking one.
const CHUNKS_IN_FLIGHT: usize = 8;
/// Memory that a zstd frame may ask for as its window (2^27 bytes, zstd's own default limit).
const ZSTD_WINDOW_LOG: u32 = 27;

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    /// Recognises the first bytes of a stream; the error names a format that is not supported.
    pub(crate) fn detect(start: &[u8]) -> Result<Self, &'static str> {
        match start {
            [0x1f, 0x8b, ..] => Ok(Self::Gzip),
            // A frame, or a skippable frame, with which some writers begin.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', ..] => Err("it is compressed with xz; gzip and zstd are supported"),
            [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', ..] => {
                Err("it is compressed with bzip2; gzip and zstd are supported")
            }
            [b'P', b'K', 3, 4, ..] => Err("it is a ZIP archive; a tar archive is wanted"),
            _ => Ok(Self::None),
        }
    }
}

/// Reads the first bytes of `source`, for detection.
pub(crate) fn peek(source: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(8);
    source.by_ref().take(8).read_to_end(&mut start)?;
    Ok(start)
}

/// Counts, and takes the digest of, what is read through it.
pub(crate) struct Metered<R> {
    inner: R,
    count: u64,
    hasher: Option<Hasher>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.count = self.count.saturating_add(n as u64);
        if let Some(hasher) = &mut self.hasher {
            hasher.update(buf.get(..n).unwrap_or_default());
        }
        Ok(n)
    }
}

type Input<R> = BufReader<io::Chain<Cursor<Vec<u8>>, R>>;

/// A decompressing reader.
pub(crate) enum Decoder<R: Read> {
    Plain(Input<R>),
    Gzip(Box<MultiGzDecoder<Input<R>>>),
    Zstd(ZstdDecoder<'static, Input<R>>),
}

impl<R: Read> Decoder<R> {
    /// Recognises the compression of `source`; the inner error says which format is not supported.
    pub(crate) fn new(mut source: R) -> io::Result<Result<Self, &'static str>> {
        let start = peek(&mut source)?;
        let compression = match Compression::detect(&start) {
            Ok(compression) => compression,
            Err(problem) => return Ok(Err(problem)),
        };
        let input = BufReader::with_capacity(CHUNK, Cursor::new(start).chain(source));
        Ok(Ok(match compression {
            Compression::None => Self::Plain(input),
            Compression::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(input))),
            Compression::Zstd => {
                let mut decoder = ZstdDecoder::with_buffer(input)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Self::Zstd(decoder)
            }
        }))
    }

    pub(crate) fn compression(&self) -> Compression {
        match self {
            Self::Plain(_) => Compression::None,
            Self::Gzip(_) => Compression::Gzip,
            Self::Zstd(_) => Compression::Zstd,
        }
    }

    fn input(&mut self) -> &mut Input<R> {
        match self {
            Self::Plain(input) => input,
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Zstd(decoder) => decoder.get_mut(),
        }
    }

    fn source(&mut self) -> &mut R {
        self.input().get_mut().get_mut().1
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(input) => input.read(buf),
            Self::Gzip(decoder) => decoder.read(buf),
            Self::Zstd(decoder) => decoder.read(buf),
        }
    }
}

/// What the decompressing thread found.
#[derive(Debug)]
pub(crate) struct StreamFacts {
    /// Digest of the decompressed bytes: the layer's diff id.
    pub(crate) diff_id: Digest,
    /// Decompressed size.
    pub(crate) size: u64,
    /// Digest of the bytes as they came, if asked for.
    pub(crate) blob: Option<Digest>,
    /// Their number.
    pub(crate) blob_size: u64,
}

/// How a stream is to be read.
pub(crate) struct StreamOptions<'a> {
    /// Name of the stream in errors.
    pub(crate) what: &'a str,
    pub(crate) budget: &'a Budget,
    pub(crate) cancel: &'a Cancel<'a>,
    /// Whether the digest of the compressed bytes is wanted as well.
    pub(crate) blob_digest: bool,
    /// Told the number of compressed bytes read so far.
    pub(crate) progress: &'a (dyn Fn(u64) + Sync),
}

/// Decompresses `source` on a thread of its own while `consume` reads what comes out. The stream is read to its end
/// (bytes behind the archive count for the digests), unless `consume` fails.
pub(crate) fn with_decompressed<T>(
    source: impl Read + Send,
    options: &StreamOptions<'_>,
    consume: impl FnOnce(&mut ChunkReader) -> Result<T, ImageError>,
) -> Result<(T, StreamFacts), ImageError> {
    std::thread::scope(|scope| {
        let (full_tx, full_rx) = sync_channel(CHUNKS_IN_FLIGHT);
        let (empty_tx, empty_rx) = channel();
        let producer = std::thread::Builder::new()
            .name("image-decompress".to_owned())
            .spawn_scoped(scope, move || produce(source, options, &full_tx, &empty_rx))
            .map_err(ImageError::io("start a thread for", options.what))?;
        let mut reader = ChunkReader { full: full_rx, empty: empty_tx, chunk: Vec::new(), at: 0, ended: false };
        let consumed = consume(&mut reader).and_then(|value| {
            io::copy(&mut reader, &mut io::sink()).map_err(ImageError::io("read", options.what))?;
            Ok(value)
        });
        drop(reader);
        let produced = producer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match (consumed, produced) {
            (Ok(value), Ok(Some(facts))) => Ok((value, facts)),
            // The reader hung up because it failed itself.
            (Err(error), Ok(_)) => Err(error),
            // What went wrong in the stream explains why the reader failed.
            (_, Err(error)) => Err(error),
            (Ok(_), Ok(None)) => Err(ImageError::archive(options.what, "it was not read to its end")),
        }
    })
}

/// Reads, decompresses and hands over. `Ok(None)`: the reader hung up.
fn produce(
    source: impl Read,
    options: &StreamOptions<'_>,
    full: &SyncSender<Vec<u8>>,
    empty: &Receiver<Vec<u8>>,
) -> Result<Option<StreamFacts>, ImageError> {
    let StreamOptions { what, budget, cancel, blob_digest, progress } = options;
    let damaged = |e: io::Error| match e.kind() {
        io::ErrorKind::UnexpectedEof => ImageError::archive(*what, "it ends in the middle of its compressed data"),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::Other => {
            ImageError::archive(*what, format!("its compressed data is damaged ({e})"))
        }
        _ => ImageError::io("read", what)(e),
    };
    let metered = Metered { inner: source, count: 0, hasher: blob_digest.then(Hasher::default) };
    let mut decoder = Decoder::new(metered).map_err(damaged)?.map_err(|problem| ImageError::archive(*what, problem))?;
    let plain = decoder.compression() == Compression::None;
    if plain {
        // Both digests would be the same: take one.
        decoder.source().hasher = None;
    }
    let mut diff = Hasher::default();
    let mut size = 0u64;
    loop {
        if cancel.is_set() {
            return Err(ImageError::Cancelled);
        }
        let mut chunk = empty.try_recv().unwrap_or_default();
        chunk.resize(CHUNK, 0);
        let mut filled = 0;
        while let Some(rest) = chunk.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match decoder.read(rest) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(damaged(e)),
            }
        }
        chunk.truncate(filled);
        diff.update(&chunk);
        size = size.saturating_add(filled as u64);
        let read = decoder.source().count;
        budget.check_stream(what, read, size)?;
        progress(read);
        let last = filled < CHUNK;
        if !chunk.is_empty() && full.send(chunk).is_err() {
            return Ok(None);
        }
        if last {
            break;
        }
    }
    // Anything behind the last frame still counts for the digest of the blob.
    while !decoder.input().fill_buf().map_err(damaged)?.is_empty() {
        let n = decoder.input().buffer().len();
        decoder.input().consume(n);
    }
    // An empty chunk says that nothing is missing; a closed channel alone would not.
    if full.send(Vec::new()).is_err() {
        return Ok(None);
    }
    let diff_id = diff.finish();
    let metered = decoder.source();
    let blob = metered.hasher.take().map(Hasher::finish);
    Ok(Some(StreamFacts {
        diff_id,
        size,
        blob: if plain && *blob_digest { Some(diff_id) } else { blob },
        blob_size: metered.count,
    }))
}

/// The reading end of the decompressing thread.
pub(crate) struct ChunkReader {
    full: Receiver<Vec<u8>>,
    empty: Sender<Vec<u8>>,
    chunk: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Read for ChunkReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.chunk.len() {
            if self.ended {
                return Ok(0);
            }
            let used = std::mem::take(&mut self.chunk);
            if used.capacity() > 0 {
                // The other side may be gone already: then nobody wants it back.
                self.empty.send(used).ok();
            }
            self.at = 0;
            self.chunk = self.full.recv().map_err(|_| io::Error::other("the stream broke off"))?;
            if self.chunk.is_empty() {
                self.ended = true;
                return Ok(0);
            }
        }
        let rest = self.chunk.get(self.at..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        self.at += n;
        Ok(n)
    }
}
