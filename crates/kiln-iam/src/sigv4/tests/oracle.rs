//! What the AWS SDK's signer signs verifies, and what Kiln's signer signs is the same.

use proptest::prelude::*;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::client::{ACCESS_KEY_ID, REGION, Sent, now, permanent_key, temporary_key};
use crate::sigv4::{Credentials, ToSign, query::encode, sha256, sign};

fn escaped(text: &str) -> String {
    let mut output = Vec::new();
    encode(&mut output, text.as_bytes(), false);
    String::from_utf8(output).unwrap()
}

fn any_request() -> impl Strategy<Value = Sent> {
    // No slash in a segment: in S3 an escaped one and a plain one are the same key, which the SDK's signer does not know.
    let path = prop::collection::vec("[ -.0-~ä☃]{0,8}", 0..4);
    let query = prop::collection::vec(("[ -~ä☃]{1,6}", "[ -~ä☃]{0,6}"), 0..4);
    let headers = prop::collection::vec(("X-[A-Za-z]{1,8}", "[ -~]{0,20}"), 0..4);
    (any::<bool>(), path, query, headers, prop::collection::vec(any::<u8>(), 0..40)).prop_map(
        |(is_s3, path, query, headers, body)| {
            let mut sent = if is_s3 { Sent::s3() } else { Sent::codebuild() };
            sent.path = format!("/{}", path.iter().map(|part| escaped(part)).collect::<Vec<_>>().join("/"));
            let pairs: Vec<_> =
                query.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
            sent.query = (!pairs.is_empty()).then(|| pairs.join("&"));
            for (name, value) in headers {
                sent.add(&name, &value);
            }
            sent.body = body;
            sent
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_the_sdk_signs_verifies(sent in any_request(), is_temporary: bool, is_link: bool) {
        let key = if is_temporary { temporary_key() } else { permanent_key() };
        let sent = if is_link { sent.presigned(&key, now(), 60) } else { sent.signed(&key, now()) };
        prop_assert_eq!(sent.verify(Some(&key), now()), Ok(()));
    }

    #[test]
    fn what_we_sign_verifies(sent in any_request(), is_temporary: bool) {
        let key = if is_temporary { temporary_key() } else { permanent_key() };
        let mut sent = sent;
        for (name, value) in sign_it(&sent, &key, now()) {
            sent.set(name, &value);
        }
        prop_assert_eq!(sent.verify(Some(&key), now()), Ok(()));
    }
}

fn sign_it(sent: &Sent, key: &crate::sigv4::Key, at: OffsetDateTime) -> Vec<(&'static str, String)> {
    let credentials = Credentials {
        access_key_id: ACCESS_KEY_ID.to_owned(),
        secret: key.secret.clone(),
        session_token: key.session.as_ref().map(|session| Zeroizing::new(session.token.to_string())),
    };
    let headers: Vec<(&str, &str)> =
        sent.headers.iter().map(|(name, value)| (name.as_str(), std::str::from_utf8(value).unwrap())).collect();
    let request = ToSign {
        method: &sent.method,
        path: &sent.path,
        query: sent.query.as_deref(),
        headers: &headers,
        body: sha256(&sent.body),
    };
    sign(&credentials, REGION, sent.service, &request, at)
}

#[test]
fn signs_as_the_sdk_does() {
    let mut sent = Sent::codebuild();
    sent.set("x-amz-content-sha256", &hex::encode(sha256(&sent.body)));
    let key = temporary_key();
    let by_sdk = sent.clone().signed(&key, now());
    sent.headers.retain(|(name, _)| name != "x-amz-content-sha256");
    let by_us = sign_it(&sent, &key, now());
    let (_, authorization) = by_us.iter().find(|(name, _)| *name == "authorization").unwrap();
    assert_eq!(authorization, by_sdk.get("authorization"));
}
