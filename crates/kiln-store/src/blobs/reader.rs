//! Reads a blob.

use std::{
    io::{self, Read},
    ops::Range,
    path::PathBuf,
    sync::Arc,
};

use aws_lc_rs::digest;

use super::{
    MAGIC, PLAIN_END, PRELUDE, TRAILER, VERSION, content_context,
    error::{BlobError, io as io_error},
    place::{Place, Source},
};
use crate::{
    chunked::{self, CHUNK, Chunks, TAG},
    keys::{Context, KeyError, Keys},
};

/// An open blob. Streams are independent of each other and of this reader; memory for each is about 256 KiB, or
/// 4 MiB where blobs are in a bucket.
#[derive(Debug)]
pub struct BlobReader {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    source: Source,
    /// Where the content begins.
    start: u64,
    /// Length of the content in plain.
    size: u64,
    form: Form,
}

enum Form {
    /// With the digest of the whole content.
    Plain([u8; 32]),
    Sealed(Chunks),
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("path", &self.path).field("size", &self.size).finish_non_exhaustive()
    }
}

impl BlobReader {
    pub(super) fn open(place: &Place, id: &str, keys: &Keys, context: &Context) -> Result<Self, BlobError> {
        let path = place.name(id);
        let refused = |what| BlobError::Refused { path: path.clone(), what };
        let failed = |e: io::Error| match e.kind() {
            io::ErrorKind::UnexpectedEof => refused("it is cut"),
            _ => io_error("read", &path, e),
        };
        let source = place.open(id)?;
        let length = source.length().map_err(failed)?;
        let mut prelude = [0; PRELUDE];
        source.read_exact_at(&mut prelude, 0).map_err(failed)?;
        let Some([version, kind, low, high]) = prelude.strip_prefix(&MAGIC) else {
            return Err(refused("its first bytes are not a blob's"));
        };
        if *version != VERSION {
            return Err(refused("it has an unknown version"));
        }
        let data_key = usize::from(u16::from_le_bytes([*low, *high]));
        let inner = match kind {
            0 if data_key == 0 => {
                Self::open_plain(source, length).map_err(failed)?.ok_or_else(|| refused("its end is not a blob's"))
            }
            1 => {
                let mut wrapped = vec![0; data_key];
                source.read_exact_at(&mut wrapped, PRELUDE as u64).map_err(failed)?;
                let key = keys.data_key(&wrapped, context).map_err(|e| match e {
                    KeyError::Refused(_) => refused("its key does not open for this object"),
                    e => e.into(),
                })?;
                let mut header = [0; chunked::HEADER];
                source.read_exact_at(&mut header, (PRELUDE + data_key) as u64).map_err(failed)?;
                let chunks = Chunks::open(&key, &content_context(id), &header)
                    .map_err(|_| refused("its key does not open its content"))?;
                let start = (PRELUDE + data_key + chunked::HEADER) as u64;
                let size =
                    length.checked_sub(start).and_then(chunked::plain_length).ok_or_else(|| refused("it is cut"))?;
                Ok((source, start, size, Form::Sealed(chunks)))
            }
            _ => Err(refused("it is of an unknown kind")),
        };
        let (source, start, size, form) = inner?;
        let inner = Inner { path: path.clone(), source, start, size, form };
        // The last chunk says that nothing is missing.
        if let Form::Sealed(chunks) = &inner.form {
            let last = size / CHUNK as u64;
            inner.read_chunks(chunks, last, 1, &mut Vec::new()).map_err(|e| match e.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => refused("its end was changed"),
                _ => io_error("read", &path, e),
            })?;
        }
        Ok(Self { inner: Arc::new(inner) })
    }

    fn open_plain(source: Source, length: u64) -> io::Result<Option<(Source, u64, u64, Form)>> {
        let Some(size) = length.checked_sub((PRELUDE + TRAILER) as u64) else { return Ok(None) };
        let mut trailer = [0; TRAILER];
        source.read_exact_at(&mut trailer, PRELUDE as u64 + size)?;
        let Some((stored, rest)) = trailer.split_first_chunk::<8>() else { return Ok(None) };
        let Some((sha256, end)) = rest.split_first_chunk::<32>() else { return Ok(None) };
        let whole = u64::from_le_bytes(*stored) == size && *end == PLAIN_END;
        Ok(whole.then_some((source, PRELUDE as u64, size, Form::Plain(*sha256))))
    }

    /// Length of the content.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.inner.size
    }

    /// The whole content. Of a plain blob, its digest is compared at the end: the last read fails when it differs.
    #[must_use]
    pub fn stream(&self) -> BlobStream {
        let sum = match self.inner.form {
            Form::Plain(_) => Some(digest::Context::new(&digest::SHA256)),
            Form::Sealed(_) => None,
        };
        BlobStream { sum, ..self.range(0..self.size()) }
    }

    /// A part of the content, cut at its end. Parts of plain blobs are not checked.
    #[must_use]
    pub fn range(&self, range: Range<u64>) -> BlobStream {
        let end = range.end.min(self.size());
        let at = range.start.min(end);
        BlobStream { inner: Arc::clone(&self.inner), at, end, buffer: Vec::new(), read: 0, sum: None }
    }
}

impl Inner {
    /// Reads and opens `count` chunks from number `first` on, as far as there are any, into `plain`.
    fn read_chunks(&self, chunks: &Chunks, first: u64, count: u64, plain: &mut Vec<u8>) -> io::Result<()> {
        let last = self.size / CHUNK as u64;
        let end = (first + count).min(last + 1);
        plain.clear();
        if first >= end {
            return Ok(());
        }
        let sealed_of = |from: u64, to: u64| {
            let whole = (to.min(last) - from.min(last)) * (CHUNK + TAG) as u64;
            let short = if to > last { self.size % CHUNK as u64 + TAG as u64 } else { 0 };
            usize::try_from(whole + short).map_err(io::Error::other)
        };
        let mut sealed = vec![0; sealed_of(first, end)?];
        self.source.read_exact_at(&mut sealed, self.start + first * (CHUNK + TAG) as u64)?;
        for (number, chunk) in (first..end).zip(sealed.chunks_mut(CHUNK + TAG)) {
            let opened = chunks.open_chunk(number, chunk).map_err(|_| self.changed("its content was changed"))?;
            plain.extend_from_slice(opened);
        }
        Ok(())
    }

    fn changed(&self, what: &'static str) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, BlobError::Refused { path: self.path.clone(), what })
    }
}

/// Content of a blob. A read fails with [`io::ErrorKind::InvalidData`] and a [`BlobError::Refused`] inside where the blob
/// was changed; what it gave before is what was stored.
pub struct BlobStream {
    inner: Arc<Inner>,
    /// Place in the content of what is read next from the file.
    at: u64,
    end: u64,
    buffer: Vec<u8>,
    read: usize,
    sum: Option<digest::Context>,
}

impl std::fmt::Debug for BlobStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobStream").field("inner", &self.inner).field("at", &self.at).finish_non_exhaustive()
    }
}

impl BlobStream {
    /// Bytes that are still to come.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.end - self.at + (self.buffer.len() - self.read) as u64
    }

    fn fill(&mut self) -> io::Result<()> {
        self.read = 0;
        self.buffer.clear();
        let block = self.inner.source.window();
        let length = |n: u64| usize::try_from(n).map_err(io::Error::other);
        match &self.inner.form {
            Form::Plain(_) => {
                self.buffer.resize(length((self.end - self.at).min(block))?, 0);
                self.inner.source.read_exact_at(&mut self.buffer, self.inner.start + self.at)?;
                if let Some(sum) = &mut self.sum {
                    sum.update(&self.buffer);
                }
                self.at += self.buffer.len() as u64;
            }
            Form::Sealed(chunks) => {
                let first = self.at / CHUNK as u64;
                let count = ((self.end - 1) / CHUNK as u64 - first + 1).min(block / CHUNK as u64);
                self.inner.read_chunks(chunks, first, count, &mut self.buffer)?;
                let from = first * CHUNK as u64;
                self.buffer.truncate(length((self.end - from).min(self.buffer.len() as u64))?);
                self.read = length(self.at - from)?;
                self.at = from + self.buffer.len() as u64;
            }
        }
        Ok(())
    }
}

impl Read for BlobStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.buffer.len() {
            if self.at == self.end {
                if let (Some(sum), Form::Plain(expected)) = (self.sum.take(), &self.inner.form)
                    && sum.finish().as_ref() != expected
                {
                    return Err(self.inner.changed("its checksum differs"));
                }
                return Ok(0);
            }
            self.fill()?;
        }
        let n = (&self.buffer[self.read..]).read(buffer)?;
        self.read += n;
        Ok(n)
    }
}
