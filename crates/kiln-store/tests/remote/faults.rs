//! A server that does not: fault test 13.

use std::{io::Read as _, time::Duration};

use kiln_store::{
    Blobs, Context, Keys, Metadata, RemoteError, Sealing,
    keys::DEFAULT_KEY,
    remote::{Attributes, Patience, RemoteBucket},
};

use super::{
    proxy::{Fault, Plan, Proxy},
    server::Moto,
    work::{content, file},
};

/// Faults that the next attempt makes good.
const PASSING: [Fault; 4] =
    [Fault::Busy { retry_after: false }, Fault::Busy { retry_after: true }, Fault::NoAnswer, Fault::Cut];

fn read(bucket: &RemoteBucket) -> Result<Vec<u8>, String> {
    let object = bucket.open("k", None).map_err(|e| e.to_string())?;
    let mut bytes = Vec::new();
    object.stream().read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    Ok(bytes)
}

#[test]
fn a_fault_that_passes_is_not_noticed() {
    let Some(moto) = Moto::start() else { return };
    let proxy = Proxy::start(moto.address);
    let bucket = moto.bucket(proxy.address);
    let requests =
        [("PUT", ""), ("POST", "uploads"), ("PUT", "partNumber=2"), ("POST", "uploadId"), ("HEAD", ""), ("GET", "")];
    for (method, target) in requests {
        for fault in PASSING {
            if fault == Fault::Cut && matches!(method, "HEAD" | "PUT") {
                continue; // their answers have no body
            }
            // One PUT has no part; the others need several.
            let bytes = content(if target.is_empty() && method == "PUT" { 300_000 } else { 9 << 20 });
            proxy.plan(Plan { method, target, fault, times: 2 });
            bucket.put("k", &file(&moto, &bytes), &Attributes::default()).unwrap();
            let back = read(&bucket).unwrap();
            assert!(back == bytes, "{method} {target} {fault:?}");
            assert_eq!(proxy.left(), 0, "{method} {target} {fault:?}");
        }
    }
    // Of an upload whose beginning was not answered nobody knows the id: S3's own rules remove it.
    let unanswered = 2 * PASSING.iter().filter(|fault| matches!(fault, Fault::NoAnswer | Fault::Cut)).count();
    assert_eq!(moto.uploads().len(), unanswered);
}

#[test]
fn a_fault_that_lasts_is_told_and_leaves_nothing() {
    let Some(moto) = Moto::start() else { return };
    let proxy = Proxy::start(moto.address);
    let bucket = moto.bucket(proxy.address);
    let store = |length: usize| bucket.put("k", &file(&moto, &content(length)), &Attributes::default());
    for (method, target, length) in [("PUT", "", 1000), ("PUT", "partNumber=2", 9 << 20), ("POST", "uploadId", 9 << 20)]
    {
        proxy.plan(Plan { method, target, fault: Fault::Busy { retry_after: false }, times: 100 });
        let error = store(length).unwrap_err().to_string();
        assert!(error.contains("s3://bkt/some/where/k") && error.contains("503"), "{error}");
        assert_eq!(100 - proxy.left(), 4, "one attempt and three more");
        assert_eq!(moto.uploads(), [""; 0], "{method} {target}");
        assert!(moto.ask("HEAD", "/bkt/some/where/k", b"").starts_with("HTTP/1.1 404"), "{method} {target}");
    }
    proxy.plan(Plan { method: "HEAD", target: "", fault: Fault::OtherEtag, times: 1 });
    let error = store(1000).unwrap_err();
    assert!(matches!(error, RemoteError::Wrong { .. }), "{error}");
    proxy.plan(Plan { method: "PUT", target: "", fault: Fault::OtherEtag, times: 1 });
    let error = store(1000).unwrap_err();
    assert!(matches!(error, RemoteError::Wrong { .. }), "{error}");
}

#[test]
fn a_short_answer_is_no_answer() {
    let Some(moto) = Moto::start() else { return };
    let proxy = Proxy::start(moto.address);
    let bucket = moto.bucket(proxy.address);
    let bytes = content(300_000);
    bucket.put("k", &file(&moto, &bytes), &Attributes::default()).unwrap();
    for skipped in 0..2 {
        let object = bucket.open("k", None).unwrap();
        proxy.plan(Plan { method: "GET", target: "", fault: Fault::Short, times: 1 });
        // The first bytes of an object, and those behind them.
        let error =
            if skipped == 0 { bucket.open("k", None).map(drop) } else { object.read(70_000..200_000).map(drop) };
        let error = error.unwrap_err();
        assert!(matches!(error, RemoteError::Wrong { .. }), "{error}");
    }
    assert!(read(&bucket).unwrap() == bytes);
}

#[test]
fn a_changed_byte_of_a_blob_is_noticed() {
    let Some(moto) = Moto::start() else { return };
    let proxy = Proxy::start(moto.address);
    let metadata = Metadata::open(moto.dir.path()).unwrap();
    let keys = Keys::open(&moto.dir.path().join("keys"), &metadata, 1).unwrap();
    let blobs = Blobs::open_bucket(&moto.dir.path().join("blobs"), moto.bucket(proxy.address), keys).unwrap();
    let (context, bytes) = (Context::new().with("key", "k"), content(300_000));
    let id = blobs.store(&mut bytes.as_slice(), Sealing::Key(DEFAULT_KEY), &context).unwrap().id;
    let mut read = Vec::new();
    let reader = blobs.reader(&id, &context).unwrap();
    proxy.plan(Plan { method: "GET", target: "", fault: Fault::Flip, times: 1 });
    let error = reader.stream().read_to_end(&mut read).unwrap_err();
    assert_eq!((error.kind(), proxy.left()), (std::io::ErrorKind::InvalidData, 0), "{error}");
    assert!(bytes.starts_with(&read));
    reader.stream().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
fn a_server_that_hangs_is_given_up() {
    let Some(moto) = Moto::start() else { return };
    let proxy = Proxy::start(moto.address);
    let patient = moto.bucket(proxy.address);
    let bytes = content(300_000);
    patient.put("k", &file(&moto, &bytes), &Attributes::default()).unwrap();
    let bucket = patient.with_patience(Patience {
        retries: 2,
        attempt: Duration::from_millis(500),
        request: Duration::from_secs(60),
        pause: Duration::from_millis(5),
    });
    let bucket = bucket.unwrap();
    proxy.plan(Plan { method: "GET", target: "", fault: Fault::Hang, times: 100 });
    let error = read(&bucket).unwrap_err();
    assert!(error.contains("s3://bkt/some/where/k"), "{error}");
    proxy.plan(Plan { method: "GET", target: "", fault: Fault::Hang, times: 1 });
    // A machine that is busy may need more than one attempt for what does not hang, too.
    assert!(read(&patient).unwrap() == bytes);
}
