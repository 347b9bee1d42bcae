//! Downloads one layer into a file that outlives interruptions.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use super::super::digest::{Digest, Hasher};
use super::super::error::ImageError;
use super::super::lock::FileLock;
use super::super::manifest::Descriptor;
use super::super::operation::LayerState;
use super::super::registry::{Failure, Registry, read_failure};
use super::Pull;

const CHUNK: usize = 128 * 1024;
/// A try that brings at least this much counts as progress: the count of failures starts anew.
const PROGRESS: u64 = 64 * 1024;
/// But there is an end to it: a server that cuts every connection is not worth more tries than this.
const MAX_TRIES: u32 = 1000;

impl Pull<'_> {
    /// Returns the complete, verified blob, opened at its start.
    pub(super) fn download(&self, registry: &Registry, layer: usize, blob: &Descriptor) -> Result<File, ImageError> {
        let store = self.work.store;
        let path = store.blob_path(&blob.digest);
        let partial = store.partial_path(&blob.digest);
        // Whoever holds this lock is downloading the blob; when it is done the file has its final name, and the lock
        // (which checks that) is one on a new, empty file.
        let lock =
            FileLock::exclusive_unless(&partial, self.work.cancel, || self.work.report(layer, LayerState::Waiting))?;
        if let Some(file) = self.complete(&path, blob)? {
            // The lock made an empty file; nobody else can be using it.
            std::fs::remove_file(&partial).map_err(ImageError::io("remove", &partial))?;
            return Ok(file);
        }
        let file = lock.file().try_clone().map_err(ImageError::io("open", &partial))?;
        let mut file = File::from(file);
        let resumed = self.fetch(registry, layer, blob, &mut file, &partial)?;
        let (mut digest, mut size) = (resumed.digest, resumed.size);
        if digest != blob.digest && resumed.had_older_bytes {
            // What an earlier try left may have been damaged (by a crash, say): once more, from the start.
            file.set_len(0).map_err(ImageError::io("truncate", &partial))?;
            let again = self.fetch(registry, layer, blob, &mut file, &partial)?;
            (digest, size) = (again.digest, again.size);
        }
        if digest != blob.digest || size != blob.size {
            // Useless for resuming.
            std::fs::remove_file(&partial).map_err(ImageError::io("remove", &partial))?;
            return Err(ImageError::Digest {
                what: format!("layer {} from {}", blob.digest, registry.host()),
                expected: blob.digest,
                actual: digest,
            });
        }
        std::fs::rename(&partial, &path).map_err(ImageError::io("rename", &partial))?;
        file.seek(SeekFrom::Start(0)).map_err(ImageError::io("read", &path))?;
        Ok(file)
    }

    /// The blob, if it is here already and intact.
    fn complete(&self, path: &Path, blob: &Descriptor) -> Result<Option<File>, ImageError> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(ImageError::io("open", path)(e)),
        };
        let mut hasher = Hasher::default();
        let size = hasher.update_from(&mut file).map_err(ImageError::io("read", path))?;
        if size == blob.size && hasher.finish() == blob.digest {
            file.seek(SeekFrom::Start(0)).map_err(ImageError::io("read", path))?;
            return Ok(Some(file));
        }
        // Left incomplete by a crash of the machine.
        std::fs::remove_file(path).map_err(ImageError::io("remove", path))?;
        Ok(None)
    }

    /// Brings `file` to the blob's size, going on from what it holds.
    fn fetch(
        &self,
        registry: &Registry,
        layer: usize,
        blob: &Descriptor,
        file: &mut File,
        path: &Path,
    ) -> Result<Fetched, ImageError> {
        let failed = |action| ImageError::io(action, path);
        let mut hasher = Hasher::default();
        file.seek(SeekFrom::Start(0)).map_err(failed("read"))?;
        let mut have = hasher.update_from(file).map_err(failed("read"))?;
        if have > blob.size {
            file.set_len(0).map_err(failed("truncate"))?;
            (hasher, have) = (Hasher::default(), 0);
        }
        let had_older_bytes = have > 0;
        let action = format!("get layer {}", blob.digest.short());
        let mut failures = 0;
        let mut tries = 0;
        self.work.report(layer, LayerState::Downloading(have));
        while have < blob.size {
            let before = have;
            tries += 1;
            let problem = match self.attempt(registry, layer, blob, file, path, &mut hasher, &mut have) {
                Ok(()) => ("the connection closed early".to_owned(), None),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Transient { problem, retry_after }) => (problem, retry_after),
            };
            if have >= blob.size {
                break;
            }
            failures = if have.saturating_sub(before) >= PROGRESS && tries < MAX_TRIES { 1 } else { failures + 1 };
            self.work.report(layer, LayerState::Retrying(&problem.0));
            self.pause(registry.host(), &action, failures, &problem.0, problem.1)?;
        }
        Ok(Fetched { digest: hasher.finish(), size: have, had_older_bytes })
    }

    /// One connection's worth.
    #[expect(clippy::too_many_arguments, reason = "the state of one download, which only `fetch` has")]
    fn attempt(
        &self,
        registry: &Registry,
        layer: usize,
        blob: &Descriptor,
        file: &mut File,
        path: &Path,
        hasher: &mut Hasher,
        have: &mut u64,
    ) -> Result<(), Failure> {
        let (start, mut body) = registry.blob(&blob.digest, *have)?;
        if start != *have {
            // No ranges here: all of it comes again.
            file.set_len(0).map_err(ImageError::io("truncate", path))?;
            (*hasher, *have) = (Hasher::default(), 0);
        }
        file.seek(SeekFrom::Start(*have)).map_err(ImageError::io("write", path))?;
        let mut reader = body.as_reader();
        let mut chunk = vec![0; CHUNK];
        loop {
            if self.work.cancel.is_set() {
                return Err(ImageError::Cancelled.into());
            }
            let n = match reader.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(n) => n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(read_failure(&e)),
            };
            let piece = chunk.get(..n).unwrap_or_default();
            if have.saturating_add(n as u64) > blob.size {
                return Err(Failure::Final(ImageError::document(
                    format!("layer {} from {}", blob.digest, registry.host()),
                    format!("it is longer than the {} bytes that the manifest says", blob.size),
                )));
            }
            file.write_all(piece).map_err(ImageError::io("write", path))?;
            hasher.update(piece);
            *have = have.saturating_add(n as u64);
            self.work.report(layer, LayerState::Downloading(*have));
        }
    }
}

/// A finished download.
struct Fetched {
    digest: Digest,
    size: u64,
    /// Whether it builds on bytes from before.
    had_older_bytes: bool,
}
