//! The published vectors of Project Wycheproof (`testdata/README.md`) for the primitives that Kiln uses, against the
//! library that computes them. Those of the construction above them are in module `chunked`.

#![allow(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    constant_time::verify_slices_are_equal,
    hkdf::{HKDF_SHA512, KeyType, Salt},
    hmac,
};
use serde_json::Value;

/// Calls with each group and test of a file; returns how many tests there are.
fn for_each(text: &str, mut check: impl FnMut(&Value, &Value)) -> usize {
    let vectors: Value = serde_json::from_str(text).unwrap();
    let mut seen = 0;
    for group in vectors["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            check(group, test);
            seen += 1;
        }
    }
    assert_eq!(vectors["numberOfTests"], seen);
    seen
}

fn bytes(test: &Value, name: &str) -> Vec<u8> {
    hex::decode(test[name].as_str().unwrap()).unwrap()
}

#[test]
fn aes_256_gcm() {
    let (mut used, mut refused) = (0, 0);
    let seen = for_each(include_str!("../testdata/aes_gcm_test.json"), |group, test| {
        // Kiln's keys have 256 bits and its nonces 96; the library knows no other nonces.
        if group["keySize"] != 256 {
            return;
        }
        let Ok(nonce) = Nonce::try_assume_unique_for_key(&bytes(test, "iv")) else {
            assert_ne!(group["ivSize"], 96);
            return;
        };
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &bytes(test, "key")).unwrap());
        let aad = bytes(test, "aad");
        let mut sealed = [bytes(test, "ct"), bytes(test, "tag")].concat();
        match key.open_in_place(nonce, Aad::from(&aad), &mut sealed) {
            Ok(plain) => {
                assert_eq!(test["result"], "valid", "{test}");
                assert_eq!(plain, bytes(test, "msg"), "{test}");
                let nonce = Nonce::try_assume_unique_for_key(&bytes(test, "iv")).unwrap();
                let mut again = bytes(test, "msg");
                key.seal_in_place_append_tag(nonce, Aad::from(&aad), &mut again).unwrap();
                assert_eq!(again, [bytes(test, "ct"), bytes(test, "tag")].concat(), "{test}");
            }
            Err(_) => {
                assert_eq!(test["result"], "invalid", "{test}");
                refused += 1;
            }
        }
        used += 1;
    });
    assert_eq!((seen, used), (316, 66));
    assert!(refused > 0);
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[test]
fn hkdf_sha_512() {
    let seen = for_each(include_str!("../testdata/hkdf_sha512_test.json"), |_, test| {
        let size = usize::try_from(test["size"].as_u64().unwrap()).unwrap();
        let info = bytes(test, "info");
        let key = Salt::new(HKDF_SHA512, &bytes(test, "salt")).extract(&bytes(test, "ikm"));
        match key.expand(&[&info], Length(size)) {
            Ok(derived) => {
                let mut output = vec![0; size];
                derived.fill(&mut output).unwrap();
                assert_eq!((&test["result"], output), (&Value::from("valid"), bytes(test, "okm")), "{test}");
            }
            Err(_) => assert_eq!(test["result"], "invalid", "{test}"),
        }
    });
    assert_eq!(seen, 83);
}

#[test]
fn hmac_sha_256() {
    let seen = for_each(include_str!("../testdata/hmac_sha256_test.json"), |group, test| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes(test, "key"));
        let tag = hmac::sign(&key, &bytes(test, "msg"));
        // Half of the vectors have shortened tags.
        let length = usize::try_from(group["tagSize"].as_u64().unwrap()).unwrap() / 8;
        let same = verify_slices_are_equal(&tag.as_ref()[..length], &bytes(test, "tag")).is_ok();
        assert_eq!(same, test["result"] == "valid", "{test}");
    });
    assert_eq!(seen, 174);
}
