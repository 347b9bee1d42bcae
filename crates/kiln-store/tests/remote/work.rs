//! A server that does what it should.

use std::{
    fs,
    io::Read as _,
    time::{Duration, Instant},
};

use kiln_store::{Blobs, Context, Keys, Metadata, RemoteError, Sealing, keys::DEFAULT_KEY, remote::Attributes};

use super::server::Moto;

pub(crate) fn content(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((i * 31 + i / 257) % 256).unwrap()).collect()
}

pub(crate) fn file(moto: &Moto, bytes: &[u8]) -> fs::File {
    let path = moto.dir.path().join("file");
    fs::write(&path, bytes).unwrap();
    fs::File::open(path).unwrap()
}

#[test]
fn objects_come_back_as_they_were_stored() {
    let Some(moto) = Moto::start() else { return };
    let bucket = moto.bucket(moto.address);
    let attributes = Attributes {
        content_type: Some("application/zip".to_owned()),
        metadata: vec![("codebuild-buildarn".to_owned(), "arn:x".to_owned())],
    };
    // Nothing, less than one request, more than one request, several parts.
    for length in [0, 1, 65_536, 65_537, 5 << 20, (8 << 20) + 1, 20 << 20] {
        let bytes = content(length);
        bucket.put("a/o b", &file(&moto, &bytes), &attributes).unwrap();
        let object = bucket.open("a/o b", None).unwrap();
        assert_eq!(object.size(), length as u64);
        assert_eq!(object.metadata(), attributes.metadata);
        let mut read = Vec::new();
        object.stream().read_to_end(&mut read).unwrap();
        assert!(read == bytes, "{length} bytes");
        let (from, to) = (length / 3, length / 2);
        assert_eq!(object.read(from as u64..to as u64).unwrap(), bytes[from..to]);
    }
    moto.ask("PUT", "/bkt/some/where/folder/", b"");
    let mut found = Vec::new();
    bucket.each("", |object| found.push((object.key, object.size))).unwrap();
    assert_eq!(found, [("a/o b".to_owned(), 20 << 20)]);
    bucket.remove("a/o b").unwrap();
    bucket.remove("a/o b").unwrap();
    assert!(matches!(bucket.open("a/o b", None).unwrap_err(), RemoteError::NotFound { .. }));
    assert!(matches!(bucket.open("a//b", None).unwrap_err(), RemoteError::Key { .. }));
    assert_eq!(moto.uploads(), [""; 0]);
}

#[test]
fn a_version_can_be_read_after_it_was_replaced() {
    let Some(moto) = Moto::start() else { return };
    let xml = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    assert!(moto.ask("PUT", "/bkt?versioning", xml).starts_with("HTTP/1.1 200"));
    let bucket = moto.bucket(moto.address);
    let first = bucket.put("k", &file(&moto, b"one"), &Attributes::default()).unwrap();
    let open = bucket.open("k", None).unwrap();
    bucket.put("k", &file(&moto, &content(100_000)), &Attributes::default()).unwrap();
    let version = first.version.unwrap();
    let object = bucket.open("k", Some(&version)).unwrap();
    assert_eq!((object.version(), object.read(0..9).unwrap().as_ref()), (Some(version.as_str()), b"one".as_slice()));
    assert_eq!(open.read(0..3).unwrap().as_ref(), b"one");
}

#[test]
fn what_is_replaced_while_it_is_read_is_not_mixed() {
    let Some(moto) = Moto::start() else { return };
    let bucket = moto.bucket(moto.address);
    bucket.put("k", &file(&moto, &content(200_000)), &Attributes::default()).unwrap();
    let object = bucket.open("k", None).unwrap();
    bucket.put("k", &file(&moto, &content(200_001)), &Attributes::default()).unwrap();
    let error = object.read(100_000..200_000).unwrap_err();
    assert!(matches!(error, RemoteError::Replaced { .. }), "{error}");
}

#[test]
fn blobs_can_be_kept_in_a_bucket() {
    let Some(moto) = Moto::start() else { return };
    let metadata = Metadata::open(moto.dir.path()).unwrap();
    let keys = Keys::open(&moto.dir.path().join("keys"), &metadata, 1).unwrap();
    let root = moto.dir.path().join("blobs");
    // A crash cut an upload off; its parts would stay for ever.
    let begun = moto.ask("POST", "/bkt/some/where/x?uploads", b"");
    let upload = begun.split("<UploadId>").nth(1).unwrap().split_once('<').unwrap().0.to_owned();
    assert_eq!(moto.uploads(), [upload.as_str()]);
    let note = serde_json::json!({ "version": 1, "bucket": "bkt", "path": "some/where/x", "upload": upload });
    let notes = Blobs::partial(&root);
    fs::create_dir_all(&notes).unwrap();
    fs::write(notes.join("0.upload"), note.to_string()).unwrap();
    fs::write(notes.join("1.upload"), "{").unwrap();

    let blobs = Blobs::open_bucket(&root, moto.bucket(moto.address), keys).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !moto.uploads().is_empty() {
        assert!(Instant::now() < deadline, "the upload that was noted is not given back");
        std::thread::yield_now();
    }
    let context = Context::new().with("key", "k");
    for sealing in [Sealing::Key(DEFAULT_KEY), Sealing::Plain] {
        for length in [0, 1000, 9 << 20] {
            let bytes = content(length);
            let info = blobs.store(&mut bytes.as_slice(), sealing, &context).unwrap();
            let reader = blobs.reader(&info.id, &context).unwrap();
            let mut read = Vec::new();
            reader.stream().read_to_end(&mut read).unwrap();
            assert!(read == bytes, "{length} bytes, {sealing:?}");
            read.clear();
            reader.range(length as u64 / 2..length as u64).read_to_end(&mut read).unwrap();
            assert!(read == bytes[length / 2..], "{length} bytes, {sealing:?}");
            let mut all = Vec::new();
            blobs.each(|id| all.push(id.to_owned())).unwrap();
            assert_eq!(all, [info.id.as_str()]);

            let key = format!("/bkt/some/where/{}", info.id);
            let stored = moto.bucket(moto.address).open(&info.id, None).unwrap();
            let mut changed = stored.read(0..stored.size()).unwrap().to_vec();
            let last = changed.len() - 1;
            changed[last] ^= 1;
            moto.ask("PUT", &key, &changed);
            assert!(blobs.reader(&info.id, &context).is_err(), "{length} bytes, {sealing:?}");
            assert!(blobs.remove(&info.id).unwrap());
            assert!(blobs.reader(&info.id, &context).is_err());
        }
    }
    assert_eq!(fs::read_dir(root.join("partial")).unwrap().count(), 0);
}
