use std::{
    io::Read,
    sync::atomic::{AtomicBool, Ordering},
};

use kiln_wire::journal::{Encoder, file_header};

use super::*;
use crate::{
    Blobs, Context, DataLock, Logs, Sealing,
    keys::DEFAULT_KEY,
    metadata::{BucketRecord, ObjectRecord},
    remote::{Patience, RemoteBucket, RemoteEncryption, RemoteSettings},
};

struct World {
    dir: tempfile::TempDir,
    metadata: Metadata,
    keys: Keys,
    blobs: Blobs,
    logs: Logs,
}

impl World {
    fn open(dir: tempfile::TempDir) -> Self {
        let data = dir.path().join("data");
        make_directory(&data).unwrap();
        let metadata = Metadata::open(&data).unwrap();
        let keys = Keys::open(&data.join("keys"), &metadata, 1).unwrap();
        let blobs = Blobs::open(&data.join("blobs"), keys.clone()).unwrap();
        let logs = Logs::open(&data.join("logs")).unwrap();
        Self { dir, metadata, keys, blobs, logs }
    }

    fn new() -> Self {
        let world = Self::open(tempfile::tempdir().unwrap());
        let bucket = BucketRecord { name: "b".to_owned(), created_ms: 1, doc: "{}".to_owned() };
        world.metadata.write_blocking(move |tx| tx.insert_bucket(&bucket)).unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn put(&self, key: &str, bytes: &[u8]) -> Option<String> {
        let context = Context::new().with("key", key);
        let info = self.blobs.store(&mut &*bytes, Sealing::Key(DEFAULT_KEY), &context).unwrap();
        let object = ObjectRecord {
            bucket: "b".to_owned(),
            key: key.to_owned(),
            version: "null".to_owned(),
            blob: Some(info.id),
            upload: None,
            size: i64::try_from(info.size).unwrap(),
            etag: String::new(),
            sha256: info.sha256.to_vec(),
            created_ms: 1,
            doc: "{}".to_owned(),
        };
        self.metadata.write_blocking(move |tx| tx.put_object(&object)).unwrap().and_then(|o| o.blob)
    }

    fn get(&self, key: &str) -> Vec<u8> {
        let object = self.metadata.read(|view| view.object("b", key)).unwrap().unwrap();
        let reader = self.blobs.reader(&object.blob.unwrap(), &Context::new().with("key", key)).unwrap();
        let mut bytes = Vec::new();
        reader.stream().read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn log(&self, text: &str) {
        let mut journal = file_header().to_vec();
        Encoder::new().service(1, text.as_bytes(), &mut journal).unwrap();
        let mut writer = self.logs.writer("g", "s").unwrap();
        writer.append(&journal).unwrap();
        writer.finish().unwrap();
    }
}

#[test]
fn a_backup_brings_everything_back() {
    let world = World::new();
    world.put("k", b"one");
    world.log("hello\n");
    let secret = world.keys.seal_small("p", "i", b"s3cr3t").unwrap();
    let target = world.path("backup");
    let made = backup(&world.path("data"), &target).unwrap();
    assert_eq!(made.sequence, world.metadata.sequence().unwrap());
    assert!(matches!(backup(&world.path("data"), &target), Err(BackupError::Exists { .. })));

    // What comes after it is gone, and kept aside.
    world.put("k", b"two");
    let in_use = DataLock::take(&world.path("data")).unwrap();
    assert!(matches!(restore(&target, &world.path("data")), Err(BackupError::Lock(_))));
    drop(in_use);
    let World { dir, metadata, .. } = world;
    drop(metadata);
    let restored = restore(&target, &dir.path().join("data")).unwrap();
    assert_eq!(restored.backup, made);
    assert!(restored.replaced.unwrap().join("kiln.db").is_file());
    let world = World::open(dir);
    assert_eq!(world.get("k"), b"one");
    assert_eq!(world.keys.open_small("p", "i", &secret).unwrap().as_slice(), b"s3cr3t");
    assert_eq!(world.logs.reader("g", "s").unwrap().lines(0, 9).unwrap()[0].bytes, b"hello");
    // Into an empty directory too.
    let other = world.path("other");
    assert_eq!(restore(&target, &other).unwrap().replaced, None);
    assert_eq!(Metadata::open(&other).unwrap().sequence().unwrap(), made.sequence);
}

#[test]
fn a_backup_under_load_is_one_moment() {
    let world = World::new();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Two objects always change together, and their old blobs go.
            for round in 0u32.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                for key in ["x", "y"] {
                    if let Some(old) = world.put(key, &round.to_le_bytes()) {
                        world.blobs.remove(&old).unwrap();
                    }
                }
            }
        });
        for n in 0..3 {
            let target = world.path(&format!("backup{n}"));
            backup(&world.path("data"), &target).unwrap();
            let into = tempfile::tempdir_in(world.dir.path()).unwrap();
            restore(&target, &into.path().join("data")).unwrap();
            let copy = World::open(into);
            let round = |key: &str| match copy.metadata.read(|view| view.object("b", key)).unwrap() {
                Some(_) => i64::from(u32::from_le_bytes(copy.get(key).try_into().unwrap())),
                None => -1,
            };
            let (x, y) = (round("x"), round("y"));
            assert!(x == y || x == y + 1, "x {x}, y {y}");
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn an_incomplete_or_damaged_backup_touches_nothing() {
    let world = World::new();
    world.put("k", b"one");
    let target = world.path("backup");
    backup(&world.path("data"), &target).unwrap();
    let into = world.path("into");
    let manifest = fs::read(target.join(MANIFEST)).unwrap();
    fs::remove_file(target.join(MANIFEST)).unwrap();
    assert!(matches!(restore(&target, &into), Err(BackupError::Incomplete { .. })));
    fs::write(target.join(MANIFEST), &manifest).unwrap();
    let blob = fs::read_dir(target.join("blobs")).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(&blob).unwrap();
    fs::remove_file(&blob).unwrap();
    assert!(matches!(restore(&target, &into), Err(BackupError::Incomplete { what, .. }) if what.contains("blob")));
    fs::write(&blob, bytes).unwrap();
    let root = fs::read(target.join("keys/root.key")).unwrap();
    fs::remove_file(target.join("keys/root.key")).unwrap();
    assert!(matches!(restore(&target, &into), Err(BackupError::Keys(KeyError::RootMissing { .. }))));
    fs::write(target.join("keys/root.key"), root).unwrap();
    let refused = restore(&target, &into).unwrap_err();
    assert!(matches!(refused, BackupError::Keys(KeyError::RootOpen { .. })), "{refused}");
    assert!(!into.join("kiln.db").exists());
}

#[test]
fn blobs_of_another_directory_are_saved_too() {
    let mut world = World::new();
    let other = world.path("other");
    world.blobs = Blobs::open_directory(&world.path("data/blobs"), &other, world.keys.clone()).unwrap();
    world.put("k", b"one");
    backup(&world.path("data"), &world.path("backup")).unwrap();
    let World { dir, metadata, .. } = world;
    drop(metadata);
    restore(&dir.path().join("backup"), &dir.path().join("data")).unwrap();
    assert_eq!(World::open(dir).get("k"), b"one");
}

#[test]
fn blobs_of_a_bucket_stay_there() {
    let mut world = World::new();
    let root = world.path("data/blobs");
    let settings = RemoteSettings {
        bucket: "kept".to_owned(),
        prefix: String::new(),
        endpoint: Some("http://127.0.0.1:1".to_owned()),
        region: "us-east-1".to_owned(),
        credentials: Some(("k".to_owned(), "s".to_owned().into())),
        path_style: true,
        encryption: RemoteEncryption::Bucket,
        patience: Patience::default(),
    };
    let bucket = RemoteBucket::new(settings, Blobs::partial(&root)).unwrap();
    world.put("k", b"one");
    let keys = world.keys.clone();
    assert!(Blobs::open_bucket(&root, bucket.clone(), keys.clone()).is_err(), "its blobs are not there");
    let blob = world.metadata.read(|view| view.object("b", "k")).unwrap().unwrap().blob.unwrap();
    world.blobs.remove(&blob).unwrap();
    world.blobs = Blobs::open_bucket(&root, bucket, keys.clone()).unwrap();
    let made = backup(&world.path("data"), &world.path("backup")).unwrap();
    assert_eq!(made.bucket.as_deref(), Some("s3://kept/ at http://127.0.0.1:1"));
    let World { dir, metadata, .. } = world;
    drop(metadata);
    restore(&dir.path().join("backup"), &dir.path().join("data")).unwrap();
    let refused = Blobs::open(&dir.path().join("data/blobs"), keys).unwrap_err().to_string();
    assert!(refused.contains("s3://kept/"), "{refused}");
}

#[test]
fn git_repositories_come_back_as_they_were() {
    use crate::{metadata::GitRepositoryRecord, repos::CommitText};

    let world = World::new();
    let id = "0f0e0d0c-1111-4222-8333-444455556666";
    let repos = Repos::new(&world.path("data/repos"));
    repos.create(id).unwrap();
    let record = GitRepositoryRecord {
        id: id.to_owned(),
        name: "demo".to_owned(),
        created_ms: 1,
        modified_ms: 1,
        doc: "{}".to_owned(),
    };
    world.metadata.write_blocking(move |tx| tx.insert_git_repository(&record)).unwrap();
    // One without a record is not in it.
    repos.create("1f0e0d0c-1111-4222-8333-444455556666").unwrap();
    let person = repos::Person { name: "a".to_owned(), email: "a@b".to_owned(), date: "1 +0000".to_owned() };
    let tree = repos.put_tree(id, None, &[]).unwrap();
    let commit = repos.put_commit(id, &tree, &[], &CommitText { person: &person, message: "m" }).unwrap();
    let update = kiln_model::git::RefUpdate { name: "refs/heads/a/b/c/d".to_owned(), old: None, new: Some(commit) };
    repos.update(id, &[update]).unwrap();
    let made = backup(&world.path("data"), &world.path("backup")).unwrap();
    assert!(made.files > 3, "{made:?}");
    let references = repos.references(id).unwrap();
    let World { dir, metadata, .. } = world;
    drop(metadata);
    repos.remove(id).unwrap();
    restore(&dir.path().join("backup"), &dir.path().join("data")).unwrap();
    assert_eq!(repos.references(id).unwrap(), references);
    assert_eq!(fs::read_dir(dir.path().join("data/repos")).unwrap().count(), 1);

    fs::remove_dir_all(dir.path().join("backup/repos").join(format!("{id}.git"))).unwrap();
    let refused = restore(&dir.path().join("backup"), &dir.path().join("other")).unwrap_err();
    assert!(matches!(refused, BackupError::Incomplete { .. }), "{refused}");
}
