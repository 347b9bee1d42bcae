//! Layers, images and stores for tests.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use kiln_engine::image::{Digest, ImageError, ImageStore, LayerForm, Limits, Operation, Progress, unpack_layer};
use serde_json::json;

/// Ids, whiteouts with any attribute: most of what is tested needs root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Says why a test does nothing.
pub(crate) fn skip(reason: &str) {
    println!("skipped: {reason}");
}

/// The form that this user's layers have.
pub(crate) fn form() -> LayerForm {
    LayerForm::detect()
}

/// Builds a layer, entry by entry, with no regard for what is allowed.
#[derive(Clone, Default)]
pub(crate) struct Layer {
    bytes: Vec<u8>,
}

/// One entry, with what differs from a root's plain file.
#[derive(Clone)]
pub(crate) struct Entry<'a> {
    pub(crate) path: &'a str,
    pub(crate) kind: tar::EntryType,
    pub(crate) link: &'a str,
    pub(crate) data: &'a [u8],
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    pub(crate) mtime: u64,
    pub(crate) xattrs: &'a [(&'a str, &'a [u8])],
}

impl Default for Entry<'_> {
    fn default() -> Self {
        Self {
            path: "",
            kind: tar::EntryType::Regular,
            link: "",
            data: b"",
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: 1_000_000_000,
            xattrs: &[],
        }
    }
}

impl Layer {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn entry(mut self, entry: Entry<'_>) -> Self {
        let mut builder = tar::Builder::new(&mut self.bytes);
        if !entry.xattrs.is_empty() {
            let records = entry.xattrs.iter().map(|(name, value)| (format!("SCHILY.xattr.{name}"), *value));
            let records: Vec<(String, &[u8])> = records.collect();
            builder.append_pax_extensions(records.iter().map(|(k, v)| (k.as_str(), *v))).unwrap();
        }
        for (kind, text) in [(b'L', entry.path), (b'K', entry.link)] {
            if text.len() > 100 {
                let mut header = tar::Header::new_gnu();
                header.as_mut_bytes()[..13].copy_from_slice(b"././@LongLink");
                header.set_entry_type(tar::EntryType::new(kind));
                header.set_size(text.len() as u64 + 1);
                header.set_cksum();
                builder.append(&header, [text.as_bytes(), b"\0"].concat().as_slice()).unwrap();
            }
        }
        let mut header = tar::Header::new_gnu();
        // The builder's own setters refuse hostile names.
        let bytes = header.as_mut_bytes();
        let cut = |text: &str| text.as_bytes()[..text.len().min(100)].to_vec();
        bytes[..cut(entry.path).len()].copy_from_slice(&cut(entry.path));
        bytes[157..157 + cut(entry.link).len()].copy_from_slice(&cut(entry.link));
        header.set_entry_type(entry.kind);
        header.set_mode(entry.mode);
        header.set_uid(entry.uid);
        header.set_gid(entry.gid);
        header.set_mtime(entry.mtime);
        header.set_size(entry.data.len() as u64);
        header.set_cksum();
        builder.append(&header, entry.data).unwrap();
        // Without the end mark that `finish` would write: more entries may follow.
        std::mem::forget(builder);
        self
    }

    pub(crate) fn file(self, path: &str, data: &[u8]) -> Self {
        self.entry(Entry { path, data, ..Entry::default() })
    }

    pub(crate) fn dir(self, path: &str) -> Self {
        self.entry(Entry { path, kind: tar::EntryType::Directory, mode: 0o755, ..Entry::default() })
    }

    pub(crate) fn symlink(self, path: &str, link: &str) -> Self {
        self.entry(Entry { path, link, kind: tar::EntryType::Symlink, mode: 0o777, ..Entry::default() })
    }

    pub(crate) fn hard_link(self, path: &str, link: &str) -> Self {
        self.entry(Entry { path, link, kind: tar::EntryType::Link, ..Entry::default() })
    }

    /// The complete archive.
    pub(crate) fn tar(&self) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes.resize(bytes.len() + 1024, 0);
        bytes
    }

    pub(crate) fn gzip(&self) -> Vec<u8> {
        gzip(&self.tar())
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 1).unwrap()
}

/// Bytes that do not compress, always the same.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    bytes
}

/// Unpacks layers one over the other; returns their directories, bottom first.
pub(crate) fn unpack_all(dir: &Path, form: LayerForm, layers: &[Layer]) -> Result<Vec<PathBuf>, ImageError> {
    let mut done: Vec<PathBuf> = Vec::new();
    for (i, layer) in layers.iter().enumerate() {
        let target = dir.join(format!("layer{i}"));
        fs::create_dir(&target).unwrap();
        let lower: Vec<&Path> = done.iter().map(PathBuf::as_path).collect();
        unpack_layer(layer.tar().as_slice(), &target, &lower, form, Limits::default(), &AtomicBool::new(false))?;
        done.push(target);
    }
    Ok(done)
}

/// Unpacks one layer alone.
pub(crate) fn unpack_one(dir: &Path, layer: &Layer) -> Result<PathBuf, ImageError> {
    unpack_all(dir, form(), std::slice::from_ref(layer)).map(|mut layers| layers.remove(0))
}

/// A store in its own directory.
pub(crate) struct TestStore {
    pub(crate) store: ImageStore,
    pub(crate) dir: tempfile::TempDir,
}

impl TestStore {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { store: ImageStore::open(dir.path().join("images")).unwrap(), dir }
    }

    /// Names of what lies in one of the store's directories.
    pub(crate) fn names(&self, dir: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.store.dir().join(dir))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn layers(&self) -> Vec<String> {
        let form = match self.store.form() {
            LayerForm::Host => "layers/host",
            LayerForm::Mapped => "layers/mapped",
            LayerForm::Single => "layers/single",
        };
        self.names(form)
    }

    /// Nothing half-done lies about.
    pub(crate) fn assert_tidy(&self) {
        for dir in ["tmp", "trash"] {
            assert_eq!(self.names(dir), Vec::<String>::new(), "in {dir}");
        }
    }
}

/// An operation without progress or interruption.
pub(crate) fn operation<'a>(cancel: &'a AtomicBool) -> Operation<'a> {
    Operation { now: time(), cancel, progress: &ignore, limits: Limits::default() }
}

fn ignore(_: Progress<'_>) {}

/// A fixed time of day.
pub(crate) fn time() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

pub(crate) static NEVER: AtomicBool = AtomicBool::new(false);

/// A complete image: its documents and layer blobs.
#[derive(Clone)]
pub(crate) struct TestImage {
    pub(crate) manifest: Vec<u8>,
    pub(crate) config: Vec<u8>,
    pub(crate) blobs: Vec<Vec<u8>>,
}

impl TestImage {
    /// Makes an image of layers, each compressed by `compress`.
    pub(crate) fn new(layers: &[Layer], compress: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        let tars: Vec<Vec<u8>> = layers.iter().map(Layer::tar).collect();
        let blobs: Vec<Vec<u8>> = tars.iter().map(|tar| compress(tar)).collect();
        let diff_ids: Vec<Digest> = tars.iter().map(|tar| Digest::of(tar)).collect();
        let config = serde_json::to_vec(&json!({
            "architecture": kiln_engine::image::Platform::host().architecture,
            "os": "linux",
            "created": "2026-01-02T03:04:05Z",
            "config": {
                "Env": ["PATH=/usr/bin:/bin", "A=b"], "User": "1000:1000", "WorkingDir": "/work",
                "Entrypoint": ["/entry"], "Cmd": ["sh"], "Labels": {"x": "y"},
            },
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }))
        .unwrap();
        let mut image = Self { manifest: Vec::new(), config, blobs };
        image.manifest = image.manifest_json(
            "application/vnd.docker.distribution.manifest.v2+json",
            "application/vnd.docker.container.image.v1+json",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
        );
        image
    }

    /// The same with OCI's media types.
    pub(crate) fn oci(mut self) -> Self {
        self.manifest = self.manifest_json(
            "application/vnd.oci.image.manifest.v1+json",
            "application/vnd.oci.image.config.v1+json",
            "application/vnd.oci.image.layer.v1.tar+gzip",
        );
        self
    }

    fn manifest_json(&self, manifest: &str, config: &str, layer: &str) -> Vec<u8> {
        let layers: Vec<_> = self
            .blobs
            .iter()
            .map(|blob| json!({"mediaType": layer, "digest": Digest::of(blob), "size": blob.len()}))
            .collect();
        serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": manifest,
            "config": {"mediaType": config, "digest": Digest::of(&self.config), "size": self.config.len()},
            "layers": layers,
        }))
        .unwrap()
    }

    pub(crate) fn media_type(&self) -> String {
        serde_json::from_slice::<serde_json::Value>(&self.manifest).unwrap()["mediaType"].as_str().unwrap().to_owned()
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }
}

/// A small image with two layers, of which the upper deletes and replaces.
pub(crate) fn two_layers() -> Vec<Layer> {
    vec![
        Layer::new().dir("bin").file("bin/sh", b"shell").dir("etc").file("etc/old", b"old").file("etc/kept", b"kept"),
        Layer::new()
            .dir("etc")
            .file("etc/.wh.old", b"")
            .file("etc/new", b"new")
            .dir("bin")
            .hard_link("bin/bash", "bin/sh"),
    ]
}

/// Everything about a tree that must not change: names, types, modes, owners, link counts, contents.
pub(crate) fn fingerprint(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(path) = todo.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let mut text = format!("{:o} {}:{} {} links", meta.mode(), meta.uid(), meta.gid(), meta.nlink());
        if meta.is_file() {
            text += &format!(" {:?}", fs::read(&path).unwrap());
        } else if meta.is_symlink() {
            text += &format!(" -> {:?}", fs::read_link(&path).unwrap());
        } else if meta.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        all.insert(path, text);
    }
    all
}

/// A directory beside which hostile layers are unpacked, with something worth attacking.
pub(crate) fn canary(dir: &Path) -> PathBuf {
    let canary = dir.join("canary");
    fs::create_dir(&canary).unwrap();
    fs::write(canary.join("secret"), "untouched").unwrap();
    fs::set_permissions(canary.join("secret"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::create_dir(canary.join("dir")).unwrap();
    canary
}

/// Reads a file below a layer.
pub(crate) fn read(root: &Path, path: &str) -> String {
    let mut text = String::new();
    fs::File::open(root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}")).read_to_string(&mut text).unwrap();
    text
}
