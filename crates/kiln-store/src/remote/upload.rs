//! Stores a file as an object of another S3.

use std::{
    borrow::Cow,
    collections::VecDeque,
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::PathBuf,
    sync::mpsc,
    time::Instant,
};

use object_store::{
    Attribute, Extensions, ObjectStore as _, ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload,
    PutResult,
    client::HttpError,
    multipart::{MultipartStore as _, PartId},
    path::Path,
};
use serde::{Deserialize, Serialize};

use super::{Patience, RemoteBucket, RemoteError, error, start, wait};

/// Smallest part; larger files go in parts. S3 allows 10,000 of them.
const PART: u64 = 8 << 20;
const MOST_PARTS: u64 = 10_000;
/// Parts under way at the same time, all in memory.
const AT_ONCE: usize = 4;
/// Ending of a note's name.
const NOTE: &str = "upload";

/// What is said about an object, beside its bytes.
#[derive(Debug, Clone, Default)]
pub struct Attributes {
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// User metadata: names without `x-amz-meta-`, and values.
    pub metadata: Vec<(String, String)>,
}

/// What the server said of an object that it has stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// ETag, with its quotes.
    pub etag: Option<String>,
    /// Version, where the bucket has versions.
    pub version: Option<String>,
}

/// An upload in parts that is not over, as it is noted.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    version: u32,
    bucket: String,
    /// With the bucket's prefix.
    path: String,
    upload: String,
}

impl RemoteBucket {
    /// Stores a file; there is nothing, or what was there before, until it is complete. Parts that had arrived of an
    /// upload that failed are given back.
    ///
    /// # Errors
    /// When the file cannot be read, or the server cannot be asked or refuses.
    pub fn put(&self, key: &str, file: &File, attributes: &Attributes) -> Result<Stored, RemoteError> {
        let path = self.path(key)?;
        let local = |doing| move |e: io::Error| self.local(doing, key, e);
        let size = file.metadata().map_err(local("read"))?.len();
        let attributes = given(attributes);
        let stored = if size <= PART {
            let bytes = piece(file, 0, size).map_err(local("read"))?;
            let (store, path) = (self.store.clone(), path.clone());
            let options = PutOptions { attributes, ..PutOptions::default() };
            wait(async move { store.put_opts(&path, bytes, options).await })?
                .map_err(|e| error::of("store", self.place(key), e))?
        } else {
            self.put_parts(
                key,
                &path,
                file,
                size,
                PutMultipartOptions { attributes, ..PutMultipartOptions::default() },
            )?
        };
        self.verify(key, &path, size, &stored)?;
        Ok(Stored { etag: stored.e_tag, version: stored.version })
    }

    fn put_parts(
        &self,
        key: &str,
        path: &Path,
        file: &File,
        size: u64,
        options: PutMultipartOptions,
    ) -> Result<PutResult, RemoteError> {
        let upload = self.again(key, || {
            let (store, to, options) = (self.store.clone(), path.clone(), options.clone());
            wait(async move { store.create_multipart_opts(&to, options).await })
        })?;
        let note = self.note(path, &upload).map_err(|e| self.local("note", key, e));
        let stored = note.and_then(|note| {
            let parts = self.parts(key, path, file, size, &upload)?;
            let stored = self.complete(key, path, &upload, &parts)?;
            fs::remove_file(note).ok(); // what stays is found to be over at the next start
            Ok(stored)
        });
        if stored.is_err() {
            // A note stays where even this fails.
            self.abort(path, &upload).ok();
        }
        stored
    }

    /// Makes an object of the parts.
    fn complete(&self, key: &str, path: &Path, upload: &str, parts: &[PartId]) -> Result<PutResult, RemoteError> {
        let mut attempts = 0;
        self.again(key, || {
            let (store, to) = (self.store.clone(), path.clone());
            let (id, parts) = (upload.to_owned(), parts.to_vec());
            attempts += 1;
            let is_first = attempts == 1;
            wait(async move {
                match store.complete_multipart(&to, &id, parts).await {
                    // An attempt that was not answered has completed it: nothing else ends an upload.
                    Err(object_store::Error::NotFound { .. }) if !is_first => {
                        let there = store.head(&to).await?;
                        Ok(PutResult { e_tag: there.e_tag, version: there.version, extensions: Extensions::default() })
                    }
                    answer => answer,
                }
            })
        })
    }

    /// Asks again where an answer was cut: the library does so only where there was none.
    fn again<T>(
        &self,
        key: &str,
        mut ask: impl FnMut() -> Result<object_store::Result<T>, RemoteError>,
    ) -> Result<T, RemoteError> {
        let Patience { retries, request, .. } = self.settings.patience;
        let (began, mut left) = (Instant::now(), retries);
        loop {
            match ask()? {
                Ok(answer) => return Ok(answer),
                Err(object_store::Error::Generic { source, .. })
                    if left > 0 && began.elapsed() < request && is_cut(source.as_ref()) =>
                {
                    left -= 1;
                }
                Err(e) => return Err(error::of("store", self.place(key), e)),
            }
        }
    }

    /// Sends the parts, some at a time.
    fn parts(&self, key: &str, path: &Path, file: &File, size: u64, upload: &str) -> Result<Vec<PartId>, RemoteError> {
        let length = PART.max(size.div_ceil(MOST_PARTS));
        let mut parts = Vec::new();
        let mut under_way: VecDeque<mpsc::Receiver<object_store::Result<PartId>>> = VecDeque::new();
        let mut end = |oldest: mpsc::Receiver<object_store::Result<PartId>>| {
            let part = oldest.recv().map_err(|_| RemoteError::Interrupted)?;
            parts.push(part.map_err(|e| error::of("store", self.place(key), e))?);
            Ok::<_, RemoteError>(())
        };
        for (index, at) in (0..size).step_by(usize::try_from(length).unwrap_or(usize::MAX)).enumerate() {
            if under_way.len() == AT_ONCE
                && let Some(oldest) = under_way.pop_front()
            {
                end(oldest)?;
            }
            let bytes = piece(file, at, length.min(size - at)).map_err(|e| self.local("read", key, e))?;
            let (store, path, upload) = (self.store.clone(), path.clone(), upload.to_owned());
            under_way.push_back(start(async move { store.put_part(&path, &upload, index, bytes).await })?);
        }
        under_way.into_iter().try_for_each(end)?;
        Ok(parts)
    }

    /// A server may say that it stored something and have stored something else.
    fn verify(&self, key: &str, path: &Path, size: u64, stored: &PutResult) -> Result<(), RemoteError> {
        let (store, path) = (self.store.clone(), path.clone());
        let there =
            wait(async move { store.head(&path).await })?.map_err(|e| error::of("check", self.place(key), e))?;
        let wrong = |what| Err(RemoteError::Wrong { place: self.place(key), what });
        if there.size != size {
            return wrong(format!("{} bytes back, where {size} were stored", there.size));
        }
        match (&stored.e_tag, &there.e_tag) {
            (Some(said), Some(found)) if said != found => {
                wrong(format!("the ETag {found} back, where it had said {said} for what was stored"))
            }
            _ => Ok(()),
        }
    }

    /// Gives back what arrived of an upload that a crash cut off. Where that cannot be done now, its note stays for the next
    /// start.
    pub fn abort_unfinished(&self, note: &std::path::Path) {
        let over = match read(note).as_ref().map(|note| (Path::parse(&note.path), &note.upload)) {
            Some((Ok(to), upload)) => matches!(self.abort(&to, upload), Ok(()) | Err(RemoteError::NotFound { .. })),
            _ => true,
        };
        if over {
            fs::remove_file(note).ok(); // as above
        }
    }

    fn abort(&self, path: &Path, upload: &str) -> Result<(), RemoteError> {
        let (store, to, id) = (self.store.clone(), path.clone(), upload.to_owned());
        wait(async move { store.abort_multipart(&to, &id).await })?
            .map_err(|e| error::of("give up", self.place(path.as_ref()), e))?;
        Ok(())
    }

    /// Notes an upload, durably.
    fn note(&self, path: &Path, upload: &str) -> io::Result<PathBuf> {
        let bucket = self.settings.bucket.clone();
        let note = Note { version: 1, bucket, path: path.as_ref().to_owned(), upload: upload.to_owned() };
        let mut random = [0; 16];
        aws_lc_rs::rand::fill(&mut random).map_err(io::Error::other)?;
        let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let at = self.notes.join(format!("{name}.{NOTE}"));
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&at)?;
        file.write_all(&serde_json::to_vec(&note)?)?;
        file.sync_all()?;
        File::open(&self.notes)?.sync_all()?;
        Ok(at)
    }

    fn local(&self, doing: &'static str, key: &str, error: io::Error) -> RemoteError {
        RemoteError::Local { doing, place: self.place(key), source: error.into() }
    }
}

/// The uploads that are noted in a directory: after a crash, those that it cut off. Each with its bucket.
///
/// # Errors
/// When the directory cannot be read.
pub fn noted(directory: &std::path::Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut noted = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if is_note(&path) {
            match read(&path) {
                Some(note) => noted.push((note.bucket, path)),
                // Not whole: the crash came before the first part.
                None => fs::remove_file(&path)?,
            }
        }
    }
    Ok(noted)
}

/// Whether a file is a note of an upload.
pub(crate) fn is_note(path: &std::path::Path) -> bool {
    path.extension().is_some_and(|extension| extension == NOTE)
}

fn read(note: &std::path::Path) -> Option<Note> {
    serde_json::from_slice(&fs::read(note).ok()?).ok()
}

/// Whether there was no whole answer, of whatever kind.
fn is_cut(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|cause| cause.is::<HttpError>())
}

fn given(attributes: &Attributes) -> object_store::Attributes {
    let mut given = object_store::Attributes::new();
    if let Some(kind) = &attributes.content_type {
        given.insert(Attribute::ContentType, kind.clone().into());
    }
    for (name, value) in &attributes.metadata {
        given.insert(Attribute::Metadata(Cow::Owned(name.clone())), value.clone().into());
    }
    given
}

fn piece(file: &File, at: u64, length: u64) -> io::Result<PutPayload> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes.into())
}
