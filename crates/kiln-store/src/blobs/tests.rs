use std::{
    fs::OpenOptions,
    io::{Read, Write},
    os::unix::fs::FileExt,
    path::PathBuf,
};

use aws_lc_rs::digest::{SHA256, digest};
use md5::Digest as _;
use proptest::prelude::*;

use super::*;
use crate::{
    Metadata,
    chunked::{CHUNK, TAG},
    keys::DEFAULT_KEY,
};

struct World {
    dir: tempfile::TempDir,
    blobs: Blobs,
}

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let metadata = Metadata::open(dir.path()).unwrap();
    let keys = Keys::open(&dir.path().join("keys"), &metadata, 1).unwrap();
    let blobs = Blobs::open(&dir.path().join("blobs"), keys).unwrap();
    World { dir, blobs }
}

fn context(name: &str) -> Context {
    Context::new().with("build", "b1").with("key", name)
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((i * 7 + i / 251) % 256).unwrap()).collect()
}

impl World {
    fn store(&self, bytes: &[u8], sealing: Sealing<'_>) -> BlobInfo {
        self.blobs.store(&mut &*bytes, sealing, &context("o")).unwrap()
    }

    fn path(&self, id: &str) -> PathBuf {
        self.dir.path().join("blobs").join(id)
    }

    /// What reading gives: bytes before an error, and whether there was one.
    fn read(&self, id: &str) -> (Vec<u8>, Option<String>) {
        let mut bytes = Vec::new();
        let ended = match self.blobs.reader(id, &context("o")) {
            Ok(reader) => reader.stream().read_to_end(&mut bytes).map_err(|e| e.to_string()),
            Err(e) => Err(e.to_string()),
        };
        (bytes, ended.err())
    }
}

const BOTH: [Sealing<'static>; 2] = [Sealing::Key(DEFAULT_KEY), Sealing::Plain];

#[test]
fn blobs_of_every_length_come_back() {
    let world = world();
    for sealing in BOTH {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 16 * CHUNK - 1, 16 * CHUNK, 16 * CHUNK + 1, 40 * CHUNK + 5] {
            let bytes = content(length);
            let info = world.store(&bytes, sealing);
            assert_eq!(info.size, length as u64);
            assert_eq!(info.sha256, digest(&SHA256, &bytes).as_ref());
            assert_eq!(info.md5, <[u8; 16]>::from(md5::Md5::digest(&bytes)));
            assert_eq!(world.read(&info.id), (bytes.clone(), None));
            let reader = world.blobs.reader(&info.id, &context("o")).unwrap();
            assert_eq!(reader.size(), length as u64);
            for (from, to) in [(0, 0), (0, 1), (5, 3), (length / 2, length), (length.saturating_sub(1), length + 9)] {
                let mut part = Vec::new();
                reader.range(from as u64..to as u64).read_to_end(&mut part).unwrap();
                let to = to.min(length);
                assert_eq!(part, bytes[from.min(to)..to], "{from}..{to} of {length}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_range_is_that_part(length in 0usize..80_000, from in 0usize..90_000, to in 0usize..90_000, plain in any::<bool>()) {
        let world = world();
        let bytes = content(length);
        let info = world.store(&bytes, BOTH[usize::from(plain)]);
        let mut stream = world.blobs.reader(&info.id, &context("o")).unwrap().range(from as u64..to as u64);
        let left = stream.left();
        let mut part = Vec::new();
        stream.read_to_end(&mut part).unwrap();
        let end = to.min(length);
        prop_assert_eq!(&part, &bytes[from.min(end)..end]);
        prop_assert_eq!(left, part.len() as u64);
    }

    #[test]
    fn any_bytes_are_no_blob(mut bytes in prop::collection::vec(any::<u8>(), 0..400), begun in any::<bool>(), kind in 0u8..3) {
        let world = world();
        if begun && bytes.len() > 6 {
            bytes[..4].copy_from_slice(&MAGIC);
            bytes[4..6].copy_from_slice(&[VERSION, kind]);
        }
        let id = "0123456789abcdef0123456789abcdef";
        fs::write(world.path(id), &bytes).unwrap();
        prop_assert!(world.blobs.reader(id, &context("o")).is_err());
    }
}

#[test]
fn a_blob_with_any_byte_changed_is_refused() {
    let world = world();
    for sealing in BOTH {
        let bytes = content(200);
        let info = world.store(&bytes, sealing);
        let path = world.path(&info.id);
        let stored = fs::read(&path).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        for (at, byte) in stored.iter().enumerate() {
            file.write_all_at(&[byte ^ 1], at as u64).unwrap();
            let (read, error) = world.read(&info.id);
            assert!(error.is_some(), "byte {at} of {}", stored.len());
            // A plain blob's digest comes at its end, so that what was read before may be wrong.
            assert!(sealing == Sealing::Plain || read.is_empty(), "byte {at}");
            file.write_all_at(&[*byte], at as u64).unwrap();
        }
        assert_eq!(world.read(&info.id), (bytes, None));
    }
}

#[test]
fn a_blob_cut_anywhere_gives_no_byte() {
    let world = world();
    for sealing in BOTH {
        let info = world.store(&content(3 * CHUNK + 100), sealing);
        let path = world.path(&info.id);
        let stored = fs::read(&path).unwrap();
        let body = match sealing {
            Sealing::Key(_) => stored.len() - 3 * (CHUNK + TAG) - 100 - TAG,
            Sealing::Plain => PRELUDE,
        };
        let edges = (0..4).flat_map(|n| (0..3).map(move |d| body + n * (CHUNK + TAG) + d - 1));
        for cut in (0..body.min(stored.len())).chain(edges).chain([stored.len() - 1]) {
            fs::write(&path, &stored[..cut]).unwrap();
            let (read, error) = world.read(&info.id);
            assert!(error.is_some() && read.is_empty(), "cut at {cut} of {}: {error:?}", stored.len());
        }
        // What is added is refused as well, also whole chunks again.
        for more in [&[0][..], &stored[body..body + CHUNK + TAG]] {
            fs::write(&path, [&stored, more].concat()).unwrap();
            let (read, error) = world.read(&info.id);
            assert!(error.is_some() && read.is_empty());
        }
    }
}

#[test]
fn a_change_in_the_middle_gives_only_what_was_stored_before_it() {
    let world = world();
    let bytes = content(40 * CHUNK);
    let info = world.store(&bytes, Sealing::Key(DEFAULT_KEY));
    let path = world.path(&info.id);
    let mut stored = fs::read(&path).unwrap();
    let at = stored.len() / 2;
    stored[at] ^= 0x80;
    fs::write(&path, &stored).unwrap();
    let (read, error) = world.read(&info.id);
    assert!(error.unwrap().contains("kiln restore"));
    assert_eq!(read, bytes[..read.len()]);
    assert!(read.len() < bytes.len() / 2);
}

#[test]
fn swapped_blobs_and_other_contexts_are_refused() {
    let world = world();
    let a = world.store(b"aaaa", Sealing::Key(DEFAULT_KEY));
    let b = world.store(b"bbbb", Sealing::Key(DEFAULT_KEY));
    let refused = world.blobs.reader(&a.id, &context("other")).unwrap_err();
    assert!(matches!(refused, BlobError::Refused { .. }), "{refused}");
    // Even for the same object: an older content must not come back under the name of a newer one.
    let (stored_a, stored_b) = (fs::read(world.path(&a.id)).unwrap(), fs::read(world.path(&b.id)).unwrap());
    fs::write(world.path(&a.id), stored_b).unwrap();
    fs::write(world.path(&b.id), stored_a).unwrap();
    for id in [&a.id, &b.id] {
        assert!(matches!(world.blobs.reader(id, &context("o")), Err(BlobError::Refused { .. })));
    }
}

#[test]
fn an_unfinished_blob_leaves_nothing() {
    let world = world();
    let files = || {
        let root = world.dir.path().join("blobs");
        (fs::read_dir(&root).unwrap().count(), fs::read_dir(root.join(PARTIAL)).unwrap().count())
    };
    let mut writer = world.blobs.create(Sealing::Plain, &context("o")).unwrap();
    writer.write_all(&content(1 << 20)).unwrap();
    assert_eq!(files(), (1, 1));
    assert!(matches!(world.blobs.reader(writer.id(), &context("o")), Err(BlobError::NotFound(_))));
    drop(writer);
    assert_eq!(files(), (1, 0));
    // Its process was killed.
    fs::write(world.dir.path().join("blobs").join(PARTIAL).join("x"), "left").unwrap();
    Blobs::open(&world.dir.path().join("blobs"), world.blobs.keys.clone()).unwrap();
    assert_eq!(files(), (1, 0));
    let info = world.store(b"x", Sealing::Plain);
    let mut ids = Vec::new();
    world.blobs.each(|id| ids.push(id.to_owned())).unwrap();
    assert_eq!(ids, [info.id.as_str()]);
    assert!(world.blobs.remove(&info.id).unwrap());
    assert!(!world.blobs.remove(&info.id).unwrap());
}

#[test]
fn ids_never_leave_the_directory() {
    let world = world();
    for id in ["", "..", "partial", "../kiln.db", "0123456789ABCDEF0123456789ABCDEF", "/etc/passwd"] {
        assert!(matches!(world.blobs.reader(id, &context("o")), Err(BlobError::NotFound(_))));
        assert!(matches!(world.blobs.remove(id), Err(BlobError::NotFound(_))));
    }
}

#[test]
fn blobs_are_looked_for_where_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let metadata = Metadata::open(dir.path()).unwrap();
    let keys = Keys::open(&dir.path().join("keys"), &metadata, 1).unwrap();
    let (root, other, third) = (dir.path().join("blobs"), dir.path().join("other"), dir.path().join("third"));
    let id = {
        let blobs = Blobs::open_directory(&root, &other, keys.clone()).unwrap();
        blobs.store(&mut b"x".as_slice(), Sealing::Plain, &context("o")).unwrap().id
    };
    assert!(other.join(&id).is_file());
    let refused = Blobs::open(&root, keys.clone()).unwrap_err().to_string();
    assert!(refused.contains(other.to_str().unwrap()) && refused.contains("storage.blobs"), "{refused}");
    assert!(matches!(Blobs::open_directory(&root, &third, keys.clone()), Err(BlobError::Elsewhere { .. })));
    Blobs::open_directory(&root, &other, keys.clone()).unwrap().reader(&id, &context("o")).unwrap();

    // What is in the data directory is not forgotten either.
    let here = dir.path().join("here");
    Blobs::open(&here, keys.clone()).unwrap().store(&mut b"x".as_slice(), Sealing::Plain, &context("o")).unwrap();
    assert!(matches!(Blobs::open_directory(&here, &other, keys), Err(BlobError::Elsewhere { .. })));
}
