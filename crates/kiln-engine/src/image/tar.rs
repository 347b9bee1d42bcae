//! A streaming reader of tar archives: ustar, star, GNU (long names, sparse files) and PAX (all keys that image layers
//! use, sparse files 0.0, 0.1 and 1.0).
//!
//! Archives are hostile. Nothing here allocates by a size that the archive claims without a bound: extension headers,
//! names and sparse maps are limited, and numbers are checked. (The `tar` crate reads extension headers of any size into
//! memory, which a few kilobytes of zstd can make gigabytes.)

mod header;
mod pax;
mod sparse;

use std::io::{self, Read};

pub(crate) use header::EntryKind;
pub(crate) use sparse::Sparse;

use header::{BLOCK, Header, HeaderType};
use pax::Pax;

/// Longest name and link target: what Linux takes, less the final NUL.
const MAX_NAME: u64 = 4095;
/// Longest PAX header: 64 extended attributes of 64 KiB would be more, but files have one or two.
const MAX_PAX: u64 = 1024 * 1024;
/// Most extension headers before one entry.
const MAX_EXTENSIONS: u32 = 16;

/// What is wrong with an archive.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TarError {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Breaks the format; `at` is the offset of the header in the uncompressed archive.
    #[error("{problem} (at byte {at} of the uncompressed archive)")]
    Malformed { problem: String, at: u64 },
}

/// One member. Its data follows in the reader.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Name as written, any bytes but NUL.
    pub(crate) path: Vec<u8>,
    /// Target of a hard or symbolic link.
    pub(crate) link: Vec<u8>,
    pub(crate) kind: EntryKind,
    /// Permission bits, with setuid, setgid and sticky.
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    /// Modification time: seconds since 1970 and nanoseconds.
    pub(crate) mtime: (i64, u32),
    /// Extended attributes, as PAX `SCHILY.xattr.*` records carry them.
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Bytes of data that follow in the archive.
    pub(crate) size: u64,
    /// For a sparse file, where the data goes.
    pub(crate) sparse: Option<Sparse>,
    /// Offset of the data in the archive.
    pub(crate) data_at: u64,
}

/// Something to read an archive from, which may know a quicker way over unwanted data than reading it.
pub(crate) trait Source: Read {
    /// Skips `n` bytes; an error if there are fewer.
    fn skip(&mut self, n: u64) -> io::Result<()>;
}

/// A source that can only be read.
pub(crate) struct Stream<R>(pub(crate) R);

impl<R: Read> Read for Stream<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl<R: Read> Source for Stream<R> {
    fn skip(&mut self, n: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.0.by_ref().take(n), &mut io::sink())?;
        if skipped == n { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

/// Reads the members of an archive one after the other.
pub(crate) struct TarReader<S> {
    source: S,
    /// Offset of the next byte.
    at: u64,
    /// Data of the current entry that was not read yet.
    left: u64,
    /// Padding after it.
    padding: u64,
    done: bool,
}

impl<S: Source> TarReader<S> {
    pub(crate) fn new(source: S) -> Self {
        Self { source, at: 0, left: 0, padding: 0, done: false }
    }

    /// The next entry, or `None` at the end of the archive. What was not read of the entry before is skipped.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, TarError> {
        if self.done {
            return Ok(None);
        }
        let mut pax = Pax::default();
        let mut long_name = None;
        let mut long_link = None;
        for _ in 0..=MAX_EXTENSIONS {
            self.finish_entry()?;
            let header_at = self.at;
            let Some(header) = self.read_header()? else {
                self.done = true;
                return Ok(None);
            };
            let malformed = |problem: String| TarError::Malformed { problem, at: header_at };
            match header.kind {
                HeaderType::PaxNext => {
                    let bytes = self.extension(&header, MAX_PAX, header_at)?;
                    pax = Pax::parse(&bytes).map_err(malformed)?;
                }
                // Global headers hold comments (git's commit id). Go's reader, docker's, does not apply them either.
                HeaderType::PaxGlobal => drop(self.extension(&header, MAX_PAX, header_at)?),
                HeaderType::GnuLongName => long_name = Some(self.long_name(&header, header_at)?),
                HeaderType::GnuLongLink => long_link = Some(self.long_name(&header, header_at)?),
                HeaderType::Entry(kind) => {
                    return self.entry(header, kind, pax, long_name, long_link, header_at).map(Some);
                }
            }
        }
        Err(TarError::Malformed { problem: "too many extension headers in a row".to_owned(), at: self.at })
    }

    fn entry(
        &mut self,
        header: Header,
        kind: EntryKind,
        mut pax: Pax,
        long_name: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
        header_at: u64,
    ) -> Result<Entry, TarError> {
        let malformed = |problem: &str| TarError::Malformed { problem: problem.to_owned(), at: header_at };
        let mut path = pax.path.take().or(long_name).unwrap_or(header.path);
        let link = pax.link.take().or(long_link).unwrap_or(header.link);
        if path.len() as u64 > MAX_NAME || link.len() as u64 > MAX_NAME {
            return Err(malformed("a name is longer than 4,095 bytes"));
        }
        // Links and directories have no data, whatever the size field says; POSIX lets a hard link carry data, and
        // then says so in the size, which Go ignores as well.
        let stored = if kind.has_data() { pax.size.unwrap_or(header.size) } else { 0 };
        self.left = stored;
        self.padding = stored.wrapping_neg() % BLOCK as u64;
        let mut sparse = None;
        if kind == EntryKind::File {
            if let Some(map) = header.gnu_sparse {
                let map = sparse::old_gnu(map, |block| self.raw_block(block)).map_err(|e| e.into_tar(header_at))?;
                sparse = Some(map);
            } else if let Some(keys) = pax.sparse.take() {
                if let Some(name) = &keys.name {
                    path.clone_from(name);
                }
                let map = if keys.map_in_data {
                    let segments = sparse::read_map(self).map_err(|e| e.into_tar(header_at))?;
                    sparse::Sparse::checked(keys.real_size, segments)
                } else {
                    keys.into_map()
                };
                sparse = Some(map.map_err(|e| e.into_tar(header_at))?);
            }
        }
        if sparse.as_ref().is_some_and(|map| map.stored() != self.left) {
            return Err(malformed("a sparse file's map does not match its data"));
        }
        if path.contains(&0) || link.contains(&0) {
            return Err(malformed("a name holds a NUL byte"));
        }
        let kind = if kind == EntryKind::File && header.v7 && path.ends_with(b"/") { EntryKind::Dir } else { kind };
        Ok(Entry {
            path,
            link,
            kind,
            mode: header.mode,
            uid: pax.uid.unwrap_or(header.uid),
            gid: pax.gid.unwrap_or(header.gid),
            mtime: pax.mtime.unwrap_or((header.mtime, 0)),
            xattrs: pax.xattrs,
            size: self.left,
            sparse,
            data_at: self.at,
        })
    }

    /// Reads data of the current entry; 0 at its end. An archive that ends before is an error.
    pub(crate) fn read_data(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left).unwrap_or(usize::MAX).min(buf.len());
        let Some(buf) = buf.get_mut(..want).filter(|b| !b.is_empty()) else { return Ok(0) };
        let n = loop {
            match self.source.read(buf) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= n as u64;
        self.at += n as u64;
        Ok(n)
    }

    /// Gives the source back, for what stands behind the archive.
    pub(crate) fn into_source(self) -> S {
        self.source
    }

    fn finish_entry(&mut self) -> Result<(), TarError> {
        let rest = self
            .left
            .checked_add(self.padding)
            .ok_or_else(|| TarError::Malformed { problem: "an entry's size is impossible".to_owned(), at: self.at })?;
        if rest > 0 {
            self.source.skip(rest)?;
            self.at = self.at.saturating_add(rest);
            (self.left, self.padding) = (0, 0);
        }
        Ok(())
    }

    /// The next header, `None` at the end: a zero block or the end of input on a block's edge.
    fn read_header(&mut self) -> Result<Option<Header>, TarError> {
        let at = self.at;
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|r| !r.is_empty()) {
            match self.source.read(rest) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e.into()),
            }
        }
        self.at = self.at.saturating_add(BLOCK as u64);
        if block.iter().all(|b| *b == 0) {
            return Ok(None);
        }
        Header::parse(&block).map(Some).map_err(|problem| TarError::Malformed { problem, at })
    }

    /// Reads one block beside the entry's data (continuations of old GNU sparse maps stand between header and data).
    fn raw_block(&mut self, block: &mut [u8; BLOCK]) -> io::Result<()> {
        self.source.read_exact(block)?;
        self.at = self.at.saturating_add(BLOCK as u64);
        Ok(())
    }

    /// The data of an extension header, whole.
    fn extension(&mut self, header: &Header, max: u64, at: u64) -> Result<Vec<u8>, TarError> {
        if header.size > max {
            return Err(TarError::Malformed {
                problem: format!("an extension header of {} bytes (at most {max} are accepted)", header.size),
                at,
            });
        }
        let mut bytes = vec![0; usize::try_from(header.size).unwrap_or(0)];
        self.source.read_exact(&mut bytes)?;
        self.at = self.at.saturating_add(header.size);
        self.padding = header.size.wrapping_neg() % BLOCK as u64;
        Ok(bytes)
    }

    fn long_name(&mut self, header: &Header, at: u64) -> Result<Vec<u8>, TarError> {
        let mut name = self.extension(header, MAX_NAME + 1, at)?;
        if let Some(end) = name.iter().position(|b| *b == 0) {
            name.truncate(end);
        }
        Ok(name)
    }
}

impl<S: Source> Read for TarReader<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_data(buf)
    }
}

#[cfg(test)]
mod tests;
