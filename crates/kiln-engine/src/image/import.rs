//! Imports images from files: `docker save` archives (old and new), OCI layouts (directory or archive), and root file
//! systems as plain archives.

mod bundle;

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::assemble::{LayerSource, LayerSpec, Work};
use super::decompress::{Compression, Decoder, peek};
use super::digest::Digest;
use super::error::ImageError;
use super::layers::{Lower, Stack};
use super::limits::Budget;
use super::manifest::{
    Descriptor, Document, MAX_DOCUMENT, ParsedConfig, Platform, root_fs_config, select, synthetic_manifest,
};
use super::operation::{Cancel, LayerInfo, LayerState, Operation, Progress};
use super::reference::Reference;
use super::store::{Image, ImageStore, LayerFacts, Origin, Record};
use super::tar::{Stream, TarReader};
use bundle::Bundle;

/// Most images of one archive.
const MAX_IMAGES: usize = 256;

/// What to import.
pub enum ImportSource {
    /// A file, or the directory of an OCI layout.
    Path(PathBuf),
    /// A stream, for example standard input.
    Stream(Box<dyn Read + Send>),
}

impl std::fmt::Debug for ImportSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

/// What kind of thing it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImportFormat {
    /// Told by the name of the archive's first entry.
    #[default]
    Auto,
    /// `docker save` or OCI layout.
    Image,
    /// A root file system.
    RootFs,
}

/// How to import it.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// The image's name. A root file system needs one; it replaces the name that an archive of one image gives.
    pub name: Option<Reference>,
    /// What it is.
    pub format: ImportFormat,
    /// For which machine; `None`: this one.
    pub platform: Option<Platform>,
}

/// One image of an archive, ready to be unpacked.
struct Found {
    reference: Reference,
    /// `None`: to be made.
    manifest: Option<Vec<u8>>,
    config: Vec<u8>,
    parsed: ParsedConfig,
    layers: Vec<FoundLayer>,
}

struct FoundLayer {
    /// Its file in the bundle.
    file: String,
    size: u64,
    /// Its digest, if the bundle says.
    digest: Option<Digest>,
}

impl ImageStore {
    /// Imports everything in `source` and unpacks it. Returns the images, of which there may be several.
    ///
    /// # Errors
    /// [`ImageError::Unnamed`] if a name is needed; of the content or of the store; [`ImageError::Cancelled`].
    pub fn import(
        &self,
        source: ImportSource,
        options: &ImportOptions,
        operation: &Operation<'_>,
    ) -> Result<Vec<Image>, ImageError> {
        let _activity = self.begin()?;
        let cancel = Cancel::new(operation.cancel);
        let budget = Budget::new(operation.limits);
        let work = Work { store: self, operation, cancel: &cancel, budget: &budget };
        let what = match &source {
            ImportSource::Path(path) => path.display().to_string(),
            ImportSource::Stream(_) => "standard input".to_owned(),
        };
        let import = Import { work: &work, options, what };
        let references = import.run(source)?;
        let mut images = Vec::with_capacity(references.len());
        for reference in references {
            images.extend(self.resolve(&reference.to_string())?);
        }
        Ok(images)
    }
}

struct Import<'a> {
    work: &'a Work<'a>,
    options: &'a ImportOptions,
    what: String,
}

impl Import<'_> {
    fn run(&self, source: ImportSource) -> Result<Vec<Reference>, ImageError> {
        let path = match source {
            ImportSource::Stream(stream) => return self.stream(stream, 0),
            ImportSource::Path(path) => path,
        };
        let metadata = std::fs::metadata(&path).map_err(ImageError::io("open", &path))?;
        if metadata.is_dir() {
            if self.options.format == ImportFormat::RootFs || !path.join("index.json").is_file() {
                return Err(self.wrong(
                    "it is a directory without the `index.json` of an OCI layout; pack a root file system with `tar` first",
                ));
            }
            return self.bundle(&Bundle::directory(&path)?);
        }
        let mut file = File::open(&path).map_err(ImageError::io("open", &path))?;
        if metadata.is_file() {
            // A plain archive of images is read in place, layer by layer.
            let start = peek(&mut file).map_err(ImageError::io("read", &path))?;
            file.seek(SeekFrom::Start(0)).map_err(ImageError::io("read", &path))?;
            let plain = Compression::detect(&start).map_err(|problem| self.wrong(problem))? == Compression::None;
            if plain && self.is_image(&mut BufReader::new(&file))? {
                return self.bundle(&Bundle::archive(file, &self.what)?);
            }
            file.seek(SeekFrom::Start(0)).map_err(ImageError::io("read", &path))?;
        }
        self.stream(Box::new(file), metadata.len())
    }

    /// Imports what can only be read once.
    fn stream(&self, stream: Box<dyn Read + Send>, size: u64) -> Result<Vec<Reference>, ImageError> {
        let read = || ImageError::io("read", &self.what);
        // What is looked at for detection is kept, and read again afterwards.
        let mut source = Replay { kept: Vec::new(), at: 0, keep: true, inner: stream };
        let image = {
            let mut decoder = Decoder::new(&mut source).map_err(read())?.map_err(|problem| self.wrong(problem))?;
            self.is_image(&mut decoder)?
        };
        source.rewind();
        if !image {
            return self.root_fs(source, size).map(|reference| vec![reference]);
        }
        // The parts of an image come in any order: keep it all in a file, decompressed.
        let spool = self.work.store.spool()?;
        let mut decoder = Decoder::new(source).map_err(read())?.map_err(|problem| self.wrong(problem))?;
        let mut file = spool.try_clone().map_err(ImageError::io("open", &self.what))?;
        let mut chunk = vec![0; 128 * 1024];
        let mut total = 0u64;
        loop {
            if self.work.cancel.is_set() {
                return Err(ImageError::Cancelled);
            }
            let n = match decoder.read(&mut chunk) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(ImageError::archive(&self.what, format!("it cannot be read to its end ({e})"))),
            };
            total = total.saturating_add(n as u64);
            self.work.budget.check_stream(&self.what, total, total)?;
            file.write_all(chunk.get(..n).unwrap_or_default())
                .map_err(ImageError::io("write", self.work.store.dir()))?;
        }
        self.bundle(&Bundle::archive(spool, &self.what)?)
    }

    /// Whether the (decompressed) archive is one of images, judged by its first entry.
    fn is_image(&self, archive: &mut impl Read) -> Result<bool, ImageError> {
        match self.options.format {
            ImportFormat::Image => return Ok(true),
            ImportFormat::RootFs => return Ok(false),
            ImportFormat::Auto => {}
        }
        let mut reader = TarReader::new(Stream(archive));
        loop {
            let entry = reader.next().map_err(|e| bundle::unreadable(&self.what, &e))?;
            let Some(entry) = entry else {
                return Err(self.wrong("it is an empty archive"));
            };
            let path = entry.path.strip_prefix(b"./").unwrap_or(&entry.path);
            let first = path.split(|b| *b == b'/').find(|c| !matches!(*c, b"" | b"."));
            // `./` itself says nothing yet.
            let Some(first) = first else { continue };
            let hex = first.strip_suffix(b".json").or_else(|| first.strip_suffix(b".tar")).unwrap_or(first);
            let by_id = hex.len() == 64 && hex.iter().all(u8::is_ascii_hexdigit);
            let by_name = [&b"blobs"[..], b"index.json", b"manifest.json", b"oci-layout", b"repositories"];
            return Ok(by_id || by_name.contains(&first));
        }
    }

    // Root file systems.

    fn root_fs(&self, source: impl Read + Send, size: u64) -> Result<Reference, ImageError> {
        let reference = self.options.name.clone().ok_or_else(|| ImageError::Unnamed { archive: self.what.clone() })?;
        let store = self.work.store;
        // What it is called is only known when it has been read.
        let info = LayerInfo { digest: Digest::of(b""), size };
        (self.work.operation.progress)(Progress::Layers(&[info]));
        let stack = Stack::new(0);
        let lower = Lower { stack: &stack, count: 0, cancel: self.work.cancel };
        let unpacked = self.work.unpack(&self.what, source, false, &lower, &|read| {
            self.work.report(0, LayerState::Unpacking(read));
        })?;
        if unpacked.tally.entries == 0 {
            return Err(self.wrong("it is an empty archive"));
        }
        let diff_id = unpacked.stream.diff_id;
        let size = unpacked.stream.size;
        let lock = store.lock_layer(&diff_id, self.work.cancel, || self.work.report(0, LayerState::Waiting))?;
        let facts = match store.layer(&diff_id)? {
            Some(facts) => facts,
            None => unpacked.commit(store, &diff_id, None)?,
        };
        drop(lock);
        self.work.report(0, LayerState::Done);
        let platform = self.options.platform.clone().unwrap_or_else(Platform::host);
        let config = root_fs_config(&platform, diff_id);
        let parsed = ParsedConfig::parse(&self.what, &config)?;
        let manifest = synthetic_manifest(&config, &[(diff_id, size)]);
        self.name(&reference, &manifest, &config, &parsed, &[facts])?;
        Ok(reference)
    }

    // Images.

    fn bundle(&self, bundle: &Bundle) -> Result<Vec<Reference>, ImageError> {
        let found = if bundle.has("index.json") && bundle.has("oci-layout") {
            match self.oci(bundle) {
                // Docker writes both kinds of description; the other one has the names if this one has not.
                Err(ImageError::Unnamed { .. }) if bundle.has("manifest.json") => self.docker(bundle)?,
                found => found?,
            }
        } else if bundle.has("manifest.json") {
            self.docker(bundle)?
        } else {
            return Err(
                self.wrong("it has neither the `manifest.json` of `docker save` nor the `index.json` of an OCI layout")
            );
        };
        let mut references = Vec::with_capacity(found.len());
        for image in &found {
            self.image(bundle, image)?;
            references.push(image.reference.clone());
        }
        Ok(references)
    }

    fn image(&self, bundle: &Bundle, image: &Found) -> Result<(), ImageError> {
        let name = image.reference.familiar();
        let infos: Vec<LayerInfo> = image
            .layers
            .iter()
            .zip(&image.parsed.diff_ids)
            .map(|(layer, diff_id)| LayerInfo { digest: layer.digest.unwrap_or(*diff_id), size: layer.size })
            .collect();
        (self.work.operation.progress)(Progress::Layers(&infos));
        let specs: Vec<LayerSpec> = infos
            .iter()
            .zip(image.parsed.chain.iter().zip(&image.parsed.diff_ids))
            .map(|(info, (chain, diff_id))| LayerSpec {
                what: format!("layer {} of `{name}`", info.digest.short()),
                chain: *chain,
                diff_id: *diff_id,
            })
            .collect();
        let fetch = |index: usize| -> Result<LayerSource, ImageError> {
            let layer = image.layers.get(index).ok_or(ImageError::Cancelled)?;
            let (reader, size) = bundle.open(&layer.file)?;
            Ok(LayerSource { reader, check: layer.digest.map(|digest| (digest, size)) })
        };
        let facts = self.work.layers(&specs, &fetch)?;
        let manifest = match &image.manifest {
            Some(bytes) => bytes.clone(),
            None => {
                let layers: Vec<(Digest, u64)> = image
                    .parsed
                    .diff_ids
                    .iter()
                    .zip(&image.layers)
                    .map(|(diff_id, layer)| (*diff_id, layer.size))
                    .collect();
                synthetic_manifest(&image.config, &layers)
            }
        };
        self.name(&image.reference, &manifest, &image.config, &image.parsed, &facts)
    }

    /// Puts an unpacked image into the index.
    fn name(
        &self,
        reference: &Reference,
        manifest: &[u8],
        config: &[u8],
        parsed: &ParsedConfig,
        facts: &[LayerFacts],
    ) -> Result<(), ImageError> {
        self.work.report_notes(facts);
        let store = self.work.store;
        let digest = store.put_document(manifest)?;
        let id = store.put_document(config)?;
        let bytes = facts.iter().fold(0u64, |sum, facts| sum.saturating_add(facts.bytes));
        store.put_record(Record::new(reference, digest, id, parsed, bytes, Origin::Imported, self.work.operation.now)?)
    }

    /// Reads the description that `docker save` writes.
    fn docker(&self, bundle: &Bundle) -> Result<Vec<Found>, ImageError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Item {
            config: String,
            repo_tags: Option<Vec<String>>,
            layers: Vec<String>,
        }
        let what = format!("manifest.json of {}", self.what);
        let items: Vec<Item> = serde_json::from_slice(&bundle.read("manifest.json", MAX_DOCUMENT)?)
            .map_err(|e| ImageError::document(&what, format!("it cannot be read: {e}")))?;
        if items.is_empty() || items.len() > MAX_IMAGES {
            return Err(ImageError::document(
                what,
                format!("it lists {} images; 1 to {MAX_IMAGES} are possible", items.len()),
            ));
        }
        let single = items.len() == 1;
        let mut found = Vec::new();
        for item in items {
            let config = bundle.read(&item.config, MAX_DOCUMENT)?;
            // The configuration's name is its digest.
            let stem = item.config.rsplit('/').next().unwrap_or_default();
            if let Some(expected) = Digest::from_hex(stem.strip_suffix(".json").unwrap_or(stem)) {
                self.check(&item.config, &config, expected)?;
            }
            let parsed = ParsedConfig::parse(&format!("{} of {}", item.config.escape_debug(), self.what), &config)?;
            if parsed.diff_ids.len() != item.layers.len() {
                let problem =
                    format!("it lists {} layers, the configuration {}", item.layers.len(), parsed.diff_ids.len());
                return Err(ImageError::document(what, problem));
            }
            let mut layers = Vec::with_capacity(item.layers.len());
            for file in item.layers {
                let size = bundle.size(&file)?;
                layers.push(FoundLayer { file, size, digest: None });
            }
            let names = item.repo_tags.unwrap_or_default();
            for reference in self.names(&names, single)? {
                let layers = layers.iter().map(|l| FoundLayer { file: l.file.clone(), ..*l }).collect();
                found.push(Found { reference, manifest: None, config: config.clone(), parsed: parsed.clone(), layers });
            }
        }
        Ok(found)
    }

    /// Reads an OCI layout's description.
    fn oci(&self, bundle: &Bundle) -> Result<Vec<Found>, ImageError> {
        let platform = self.options.platform.clone().unwrap_or_else(Platform::host);
        let what = format!("index.json of {}", self.what);
        let Document::Index(index) = Document::parse(&what, &bundle.read("index.json", MAX_DOCUMENT)?)? else {
            return Err(ImageError::document(what, "it is no index"));
        };
        if index.len() > MAX_IMAGES {
            return Err(ImageError::document(what, format!("it lists {} images, more than {MAX_IMAGES}", index.len())));
        }
        // One image for several machines may stand here directly, an entry for each: then all have the same name.
        let mut groups: Vec<(Option<String>, Vec<Descriptor>)> = Vec::new();
        for descriptor in index {
            let name = oci_name(&descriptor);
            match groups.iter_mut().find(|(n, _)| *n == name) {
                Some((_, group)) => group.push(descriptor),
                None => groups.push((name, vec![descriptor])),
            }
        }
        let single = groups.len() == 1;
        let mut found = Vec::new();
        for (name, group) in groups {
            let references = self.names(name.as_slice(), single)?;
            let shown = name.as_deref().unwrap_or("the image");
            let chosen = match group.as_slice() {
                [one] => one.clone(),
                several => select(shown, several, &platform)?,
            };
            let (manifest_bytes, config_descriptor, layers) = self.oci_manifest(bundle, shown, chosen, &platform)?;
            let config = self.oci_blob(bundle, &config_descriptor.digest)?;
            let parsed = ParsedConfig::parse(&format!("configuration of {shown} in {}", self.what), &config)?;
            if parsed.diff_ids.len() != layers.len() {
                let problem =
                    format!("its manifest lists {} layers, its configuration {}", layers.len(), parsed.diff_ids.len());
                return Err(ImageError::document(format!("{shown} in {}", self.what), problem));
            }
            for reference in references {
                let layers = layers
                    .iter()
                    .map(|layer| FoundLayer {
                        file: blob_file(&layer.digest),
                        size: layer.size,
                        digest: Some(layer.digest),
                    })
                    .collect();
                found.push(Found {
                    reference,
                    manifest: Some(manifest_bytes.clone()),
                    config: config.clone(),
                    parsed: parsed.clone(),
                    layers,
                });
            }
        }
        if found.is_empty() {
            return Err(ImageError::document(what, "it lists no images"));
        }
        Ok(found)
    }

    /// Follows an index entry to a manifest, through at most two further indexes.
    fn oci_manifest(
        &self,
        bundle: &Bundle,
        shown: &str,
        mut descriptor: Descriptor,
        platform: &Platform,
    ) -> Result<(Vec<u8>, Descriptor, Vec<Descriptor>), ImageError> {
        for _ in 0..3 {
            let bytes = self.oci_blob(bundle, &descriptor.digest)?;
            match Document::parse(&format!("manifest of {shown} in {}", self.what), &bytes)? {
                Document::Manifest(manifest) => return Ok((bytes, manifest.config, manifest.layers)),
                Document::Index(index) => descriptor = select(shown, &index, platform)?,
            }
        }
        Err(ImageError::document(format!("{shown} in {}", self.what), "its indexes are nested more than two deep"))
    }

    fn oci_blob(&self, bundle: &Bundle, digest: &Digest) -> Result<Vec<u8>, ImageError> {
        let file = blob_file(digest);
        let bytes = bundle.read(&file, MAX_DOCUMENT)?;
        self.check(&file, &bytes, *digest)?;
        Ok(bytes)
    }

    fn check(&self, file: &str, bytes: &[u8], expected: Digest) -> Result<(), ImageError> {
        let actual = Digest::of(bytes);
        if actual == expected {
            return Ok(());
        }
        Err(ImageError::Digest { what: format!("{} in {}", file.escape_debug(), self.what), expected, actual })
    }

    /// The names to give an image: the caller's, else the archive's.
    fn names(&self, given: &[String], single: bool) -> Result<Vec<Reference>, ImageError> {
        match &self.options.name {
            Some(name) if single => Ok(vec![name.clone()]),
            Some(_) => Err(self.wrong("it holds several images, so --name cannot name them; import it without")),
            None if given.is_empty() => Err(ImageError::Unnamed { archive: self.what.clone() }),
            None => given.iter().map(|name| Reference::parse(name)).collect(),
        }
    }

    fn wrong(&self, problem: impl Into<String>) -> ImageError {
        ImageError::archive(&self.what, problem)
    }
}

fn blob_file(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// The full name that an index entry carries. (`org.opencontainers.image.ref.name` is often just a tag: no name.)
fn oci_name(descriptor: &Descriptor) -> Option<String> {
    let annotations = descriptor.annotations.as_ref()?;
    let full = annotations.get("io.containerd.image.name").cloned();
    let name = annotations.get("org.opencontainers.image.ref.name");
    full.or_else(|| name.filter(|name| name.contains([':', '/'])).cloned())
}

/// A reader whose beginning can be read again.
struct Replay<R> {
    kept: Vec<u8>,
    at: usize,
    keep: bool,
    inner: R,
}

impl<R> Replay<R> {
    fn rewind(&mut self) {
        self.at = 0;
        self.keep = false;
    }
}

impl<R: Read> Read for Replay<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let kept = self.kept.get(self.at..).unwrap_or_default();
        if !kept.is_empty() {
            let n = Cursor::new(kept).read(buf)?;
            self.at += n;
            return Ok(n);
        }
        let n = self.inner.read(buf)?;
        if self.keep {
            self.kept.extend_from_slice(buf.get(..n).unwrap_or_default());
            self.at = self.kept.len();
        } else if !self.kept.is_empty() {
            self.kept = Vec::new();
            self.at = 0;
        }
        Ok(n)
    }
}

impl ImageStore {
    /// A file without a name, for what must be read more than once.
    fn spool(&self) -> Result<File, ImageError> {
        use rustix::fs::{Mode, OFlags};
        let path: &Path = self.dir();
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)
            .map(File::from)
            .map_err(ImageError::sys("make a file in", path))
    }
}
