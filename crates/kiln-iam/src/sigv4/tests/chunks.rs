//! Bodies in chunks: the two examples of AWS's documentation of S3.

use time::{OffsetDateTime, macros::datetime};

use crate::{
    AuthError,
    sigv4::{Body, ChunkVerifier, Chunking, Claim, Expected, Key, Payload, Request, SecretKey, sha256},
};

const NOW: OffsetDateTime = datetime!(2013-05-24 00:00:00 UTC);
const EMPTY_END: [&[u8]; 3] = [&[b'a'; 65_536], &[b'a'; 1024], b""];

fn key() -> Key {
    Key { secret: SecretKey::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()), session: None }
}

/// Verifies the head of an upload, as the documentation has it.
fn verifier(payload: &str, more: &[(&str, &str)], signature: &str) -> Result<(Chunking, ChunkVerifier), AuthError> {
    let mut headers = vec![
        ("host", "s3.amazonaws.com"),
        ("content-encoding", "aws-chunked"),
        ("x-amz-content-sha256", payload),
        ("x-amz-date", "20130524T000000Z"),
        ("x-amz-decoded-content-length", "66560"),
        ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
    ];
    headers.extend_from_slice(more);
    headers.sort_unstable();
    let signed = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
         SignedHeaders={signed}, Signature={signature}"
    );
    headers.push(("authorization", &authorization));
    let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let request = Request { method: "PUT", path: "/examplebucket/chunkObject.txt", query: None, headers: &headers };
    let claim = Claim::parse(&request)?;
    claim.check(&request, &Expected { regions: &["us-east-1"], service: "s3" }, NOW)?;
    claim.verify(&request, Some(&key()), NOW, Body::Later)?;
    let Payload::Chunked(chunking) = claim.payload() else { panic!("not in chunks: {:?}", claim.payload()) };
    Ok((chunking, claim.chunk_verifier(&key())))
}

fn bytes(hex_digits: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    hex::decode_to_slice(hex_digits, &mut bytes).unwrap();
    bytes
}

#[test]
fn signed_chunks_are_those_of_the_documentation() {
    const SEED: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
    const SIGNATURES: [&str; 3] = [
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    ];
    let begin = || verifier("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", &[("content-length", "66824")], SEED).unwrap();
    let (chunking, mut verifier) = begin();
    assert!(chunking.is_signed() && !chunking.has_trailer());
    for (data, signature) in EMPTY_END.iter().zip(SIGNATURES) {
        verifier.chunk(sha256(data), bytes(signature)).unwrap();
    }

    // Another byte; a chunk left out; the same one twice.
    let wrong = |result: Result<(), AuthError>| assert_eq!(result, Err(AuthError::WrongSignature));
    wrong(begin().1.chunk(sha256(b"b"), bytes(SIGNATURES[0])));
    wrong(begin().1.chunk(sha256(EMPTY_END[1]), bytes(SIGNATURES[1])));
    let mut twice = begin().1;
    twice.chunk(sha256(EMPTY_END[0]), bytes(SIGNATURES[0])).unwrap();
    wrong(twice.chunk(sha256(EMPTY_END[0]), bytes(SIGNATURES[0])));
}

#[test]
fn a_signed_trailer_is_that_of_the_documentation() {
    const SEED: &str = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
    let head = [("x-amz-trailer", "x-amz-checksum-crc32c")];
    let (chunking, mut verifier) = verifier("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", &head, SEED).unwrap();
    assert!(chunking.is_signed() && chunking.has_trailer());
    for (data, signature) in EMPTY_END.iter().zip([
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    ]) {
        verifier.chunk(sha256(data), bytes(signature)).unwrap();
    }
    let signature = bytes("d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435");
    assert_eq!(verifier.trailer("x-amz-checksum-crc32c:AAAAAA==\n", signature), Err(AuthError::WrongSignature));
    verifier.trailer("x-amz-checksum-crc32c:sOO8/Q==\n", signature).unwrap();
}

#[test]
fn other_streaming_forms_are_not_there() {
    for (announced, code) in [
        ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "NotImplemented"),
        ("STREAMING-UNSIGNED-PAYLOAD", "NotImplemented"),
        ("streaming-unsigned-payload-trailer", "InvalidArgument"),
    ] {
        let error = verifier(announced, &[], &"0".repeat(64)).err().unwrap();
        assert_eq!(error.answer(crate::Style::S3).code, code, "{announced}");
    }
}
