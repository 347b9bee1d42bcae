//! Images that are taken from within this process.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kiln_engine::image::{Contents, Digest, Image, ImageError, Platform, Reference};
use serde_json::json;

use crate::support::*;

/// Contents by their digests, and how often one was opened.
struct Memory {
    root: Vec<u8>,
    blobs: HashMap<Digest, Vec<u8>>,
    opened: AtomicUsize,
}

impl Memory {
    fn new(images: &[&TestImage]) -> Self {
        let mut blobs = HashMap::new();
        for image in images {
            for bytes in image.blobs.iter().chain([&image.config, &image.manifest]) {
                blobs.insert(Digest::of(bytes), bytes.clone());
            }
        }
        Self { root: images[0].manifest.clone(), blobs, opened: AtomicUsize::new(0) }
    }

    fn opened(&self) -> usize {
        self.opened.swap(0, Ordering::SeqCst)
    }
}

impl Contents for Memory {
    fn open(&self, digest: Option<&Digest>) -> io::Result<Box<dyn Read + Send>> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        let bytes = match digest {
            None => Some(&self.root),
            Some(digest) => self.blobs.get(digest),
        };
        let bytes = bytes.ok_or_else(|| io::Error::other("it is not there"))?;
        Ok(Box::new(io::Cursor::new(bytes.clone())))
    }
}

fn take(at: &TestStore, name: &str, memory: &Memory) -> Result<Image, ImageError> {
    at.store.take(&Reference::parse(name).unwrap(), memory, &operation(&NEVER))
}

#[test]
fn an_image_is_unpacked_once_and_follows_its_name() {
    let at = TestStore::new();
    let image = TestImage::new(&two_layers(), gzip);
    let memory = Memory::new(&[&image]);
    let taken = take(&at, "127.0.0.1:5456/app:1", &memory).unwrap();
    assert_eq!((taken.digest, taken.layers.len()), (image.digest(), 2));
    assert_eq!(read(&taken.layers[1], "etc/new"), "new");
    assert_eq!(read(&taken.layers[1], "bin/bash"), "shell");
    at.assert_tidy();
    assert_eq!(at.names("blobs/sha256").len(), 2, "documents alone");
    assert_eq!(memory.opened(), 4);
    take(&at, "127.0.0.1:5456/app:1", &memory).unwrap();
    assert_eq!(memory.opened(), 1, "the manifest says that all is here");
    // Another name for the same layers.
    take(&at, "127.0.0.1:5456/app:2", &memory).unwrap();
    assert_eq!(memory.opened(), 1);
    // The name means another image now, of whose layers one is here.
    let next = TestImage::new(&[two_layers()[0].clone(), Layer::new().file("etc/next", b"next")], gzip).oci();
    let memory = Memory::new(&[&next]);
    let taken = take(&at, "127.0.0.1:5456/app:1", &memory).unwrap();
    assert_eq!(read(&taken.layers[1], "etc/next"), "next");
    assert_eq!(memory.opened(), 3);
    assert_eq!(at.store.resolve("127.0.0.1:5456/app:1").unwrap().unwrap().digest, next.digest());
    assert_eq!(at.store.resolve("127.0.0.1:5456/app:2").unwrap().unwrap().digest, image.digest());
    // Somebody removed it: it comes back.
    at.store.remove("127.0.0.1:5456/app:1").unwrap();
    assert_eq!(take(&at, "127.0.0.1:5456/app:1", &memory).unwrap().digest, next.digest());
}

#[test]
fn this_machines_image_is_taken_from_an_index() {
    let at = TestStore::new();
    let ours = TestImage::new(&two_layers(), zstd).oci();
    let other = TestImage::new(&[Layer::new().file("other", b"")], gzip).oci();
    let host = Platform::host();
    let entry = |image: &TestImage, architecture: &str| {
        json!({ "mediaType": image.media_type(), "digest": image.digest(), "size": image.manifest.len(),
            "platform": { "os": "linux", "architecture": architecture } })
    };
    let mut memory = Memory::new(&[&ours, &other]);
    let index = |architecture: &str| {
        json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [entry(&other, "s390x-none"), entry(&ours, architecture)] })
        .to_string()
        .into_bytes()
    };
    memory.root = index(&host.architecture);
    assert_eq!(take(&at, "registry.test/app", &memory).unwrap().digest, ours.digest());
    memory.root = index("none-either");
    let error = take(&at, "registry.test/app", &memory).unwrap_err();
    assert!(matches!(error, ImageError::Platform { .. }), "{error}");
}

#[test]
fn what_is_damaged_or_gone_is_told_and_leaves_nothing() {
    let image = TestImage::new(&two_layers(), gzip);
    let whole = Memory::new(&[&image]);
    for (part, word) in [(&image.config, "configuration"), (&image.blobs[0], "layer"), (&image.blobs[1], "layer")] {
        let at = TestStore::new();
        let mut damaged = Memory::new(&[&image]);
        let mut bytes = part.clone();
        *bytes.last_mut().unwrap() ^= 1;
        damaged.blobs.insert(Digest::of(part), bytes);
        let error = take(&at, "registry.test/app:1", &damaged).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
        damaged.blobs.remove(&Digest::of(part));
        let error = take(&at, "registry.test/app:1", &damaged).unwrap_err().to_string();
        assert!(error.contains("it is not there") && error.contains("registry.test"), "{error}");
        assert!(at.store.resolve("registry.test/app:1").unwrap().is_none());
        at.assert_tidy();
        take(&at, "registry.test/app:1", &whole).unwrap();
    }
    // A manifest that is not what the reference says.
    let at = TestStore::new();
    let name = format!("registry.test/app@{}", Digest::of(b"another"));
    let error = take(&at, &name, &whole).unwrap_err();
    assert!(matches!(error, ImageError::Digest { .. }), "{error}");
    let stop = AtomicBool::new(true);
    let reference = Reference::parse("registry.test/app:1").unwrap();
    let error = at.store.take(&reference, &whole, &operation(&stop)).unwrap_err();
    assert!(matches!(error, ImageError::Cancelled), "{error}");
    at.assert_tidy();
}
