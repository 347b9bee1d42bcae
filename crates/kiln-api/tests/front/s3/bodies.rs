//! Bodies: plain and in chunks, and everything that can be wrong with them. An object appears only when nothing is.

use kiln_model::s3::ChecksumAlgorithm;
use tokio::time::Duration;

use super::{
    put, refused,
    sign::{Chunked, authorise},
    world,
};
use crate::{client::Message, world::World};

const CRC: Option<(&str, &str)> = Some(("x-amz-checksum-crc32", "AAAAAA=="));

fn stored(world: &World) -> Option<Vec<u8>> {
    world.service.shelf.lock().unwrap().objects.get("bucket/k").cloned()
}

async fn is_refused(message: &Message, status: u16, code: &str) {
    let world = world().await;
    refused(&world.send(message).await, status, code);
    assert_eq!(stored(&world), None, "{code}: nothing may appear");
    world.is_well().await;
}

#[tokio::test]
async fn all_forms_are_read() {
    for (signed, trailer) in [(true, None), (true, CRC), (false, CRC)] {
        let world = world().await;
        let chunked = Chunked::new("/bucket/k", signed, trailer);
        assert_eq!(world.send(&chunked.good()).await.status, 200);
        assert_eq!(stored(&world).unwrap(), chunked.data());
        let shelf = world.service.shelf.lock().unwrap();
        let expected = trailer.map(|(_, value)| (ChecksumAlgorithm::Crc32, Some(value.to_owned())));
        assert_eq!(shelf.checksum, expected, "what comes behind the chunks is given to whoever computes it");
        assert_eq!(shelf.object.as_ref().unwrap().headers.content_encoding, None);
    }
}

#[tokio::test]
async fn a_hash_or_none_may_be_announced() {
    let world = world().await;
    assert_eq!(world.ask(put("/bucket/k", "plain")).await.status, 200);
    assert_eq!(stored(&world).unwrap(), b"plain");
    let mut unsigned = put("/bucket/k", "unsigned");
    authorise(&mut unsigned, "UNSIGNED-PAYLOAD");
    assert_eq!(world.send(&unsigned).await.status, 200);
    assert_eq!(stored(&world).unwrap(), b"unsigned");
    assert_eq!(world.ask(put("/bucket/k", "")).await.status, 200);
    assert_eq!(stored(&world).unwrap(), b"");
}

#[tokio::test]
async fn chunks_may_come_in_https_chunks() {
    let world = world().await;
    let chunked = Chunked::new("/bucket/k", false, CRC);
    let mut message = chunked.good();
    message.headers.push(("Transfer-Encoding".to_owned(), "chunked".to_owned()));
    let (first, second) = message.body.split_at(100);
    let frame = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    message.body = [frame(first), frame(second), b"0\r\n\r\n".to_vec()].concat();
    assert_eq!(world.send(&message).await.status, 200);
    assert_eq!(stored(&world).unwrap(), chunked.data());

    // Plain bytes have a length.
    let mut plain = put("/bucket/k", "");
    authorise(&mut plain, "UNSIGNED-PAYLOAD");
    plain.headers.push(("Transfer-Encoding".to_owned(), "chunked".to_owned()));
    plain.body = b"1\r\nx\r\n0\r\n\r\n".to_vec();
    refused(&world.send(&plain).await, 411, "MissingContentLength");
}

#[tokio::test]
async fn a_changed_chunk_is_refused() {
    let chunked = Chunked::new("/bucket/k", true, CRC);
    const SIGNATURE: (u16, &str) = (403, "SignatureDoesNotMatch");
    type Tamper = fn(&mut Vec<Vec<u8>>);
    let cases: [(&str, Tamper, (u16, &str)); 8] = [
        ("a byte of data", |pieces| pieces[7][69_999] ^= 1, SIGNATURE),
        (
            "a digit of a signature",
            |pieces| {
                let digit = &mut pieces[0][30];
                *digit = if *digit == b'0' { b'1' } else { b'0' };
            },
            SIGNATURE,
        ),
        (
            "two chunks in the other order",
            |pieces| {
                for at in 0..3 {
                    pieces.swap(at, at + 3);
                }
            },
            SIGNATURE,
        ),
        ("a chunk less", |pieces| drop(pieces.drain(3..6)), SIGNATURE),
        ("another trailer", |pieces| pieces[10] = b"x-amz-checksum-crc32:AAAAAB==\r\n".to_vec(), SIGNATURE),
        ("no signature of the trailer", |pieces| drop(pieces.remove(11)), (400, "MalformedTrailerError")),
        ("no trailer", |pieces| drop(pieces.drain(10..12)), (400, "MalformedTrailerError")),
        (
            "another line in the trailer",
            |pieces| pieces.insert(11, b"x-amz-checksum-sha1:x\r\n".to_vec()),
            (400, "MalformedTrailerError"),
        ),
    ];
    for (what, tamper, (status, code)) in cases {
        eprintln!("{what}");
        is_refused(&chunked.message(tamper), status, code).await;
    }
}

#[tokio::test]
async fn a_body_that_ends_early_is_refused() {
    for signed in [true, false] {
        let chunked = Chunked::new("/bucket/k", signed, CRC);
        for left in [1, 9, 11] {
            is_refused(&chunked.message(|pieces| pieces.truncate(left)), 400, "IncompleteBody").await;
        }
    }
    // The connection ends within it.
    let world = world().await;
    let mut message = put("/bucket/k", "0123456789").signed();
    message.set("Content-Length", "20");
    let mut connection = world.connect().await;
    connection.send(&message.bytes()).await;
    tokio::io::AsyncWriteExt::shutdown(&mut connection.stream).await.unwrap();
    connection.closed().await;
    world.service.upload_ended.acquire().await.unwrap().forget();
    assert_eq!(stored(&world), None);
}

#[tokio::test]
async fn a_wrong_length_is_refused() {
    for signed in [true, false] {
        let mut chunked = Chunked::new("/bucket/k", signed, CRC);
        for announced in [chunked.data().len() - 1, chunked.data().len() + 1, 0] {
            chunked.announced = announced;
            is_refused(&chunked.good(), 400, "IncompleteBody").await;
        }
    }
    let mut nothing = Chunked::new("/bucket/k", false, CRC).good();
    nothing.remove("x-amz-decoded-content-length");
    nothing.remove("Authorization");
    authorise(&mut nothing, "STREAMING-UNSIGNED-PAYLOAD-TRAILER");
    is_refused(&nothing, 411, "MissingContentLength").await;
}

#[tokio::test]
async fn forms_and_bodies_must_agree() {
    let signed = Chunked::new("/bucket/k", true, None);
    is_refused(&signed.message(|pieces| pieces[0] = b"2328\r\n".to_vec()), 400, "InvalidRequest").await;
    is_refused(&signed.message(|pieces| pieces[2] = b"x\r\n".to_vec()), 400, "InvalidRequest").await;
    is_refused(&signed.message(|pieces| pieces.push(b"more".to_vec())), 400, "InvalidRequest").await;
    let mut large = signed.clone();
    large.chunks = vec![vec![0; (16 << 20) + 1]];
    large.announced = large.chunks[0].len();
    is_refused(&large.good(), 400, "InvalidRequest").await;

    let mut message = put("/bucket/k", "x");
    authorise(&mut message, "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD");
    is_refused(&message, 501, "NotImplemented").await;
    authorise(&mut message, "nonsense");
    is_refused(&message, 400, "InvalidArgument").await;
}

#[tokio::test]
async fn another_body_than_the_signed_one_is_refused() {
    let mut message = put("/bucket/k", "0123456789").signed();
    message.body[3] = b'x';
    is_refused(&message, 400, "XAmzContentSHA256Mismatch").await;

    // The same for XML, which is read before anything is done.
    let mut message = super::s3("POST", "/bucket?delete");
    message.body = b"<Delete><Object><Key>k</Key></Object></Delete>".to_vec();
    let mut message = message.signed();
    message.body[20] = b'x';
    is_refused(&message, 400, "XAmzContentSHA256Mismatch").await;
}

#[tokio::test]
async fn slow_bodies_are_given_up() {
    let world = World::limited(|limits| limits.body = Duration::from_millis(60)).await;
    assert_eq!(world.ask(super::s3("PUT", "/bucket")).await.status, 200);
    let mut plain = put("/bucket/k", "0123456789").signed();
    plain.set("Content-Length", "10");
    plain.body.truncate(4);
    let chunked = Chunked::new("/bucket/k", true, CRC).message(|pieces| pieces.truncate(1));
    let length = Chunked::new("/bucket/k", true, CRC).good().body.len();
    for mut message in [plain, chunked] {
        if message.body.len() != 4 {
            message.set("Content-Length", &length.to_string());
        }
        let mut connection = world.connect().await;
        connection.send(&message.bytes()).await;
        refused(&connection.reply().await.unwrap(), 400, "RequestTimeout");
        connection.closed().await;
        assert_eq!(stored(&world), None);
    }
}

#[tokio::test]
async fn uploads_have_a_limit() {
    let world = World::limited(|limits| limits.upload_bytes = 10).await;
    world.ask(super::s3("PUT", "/bucket")).await;
    assert_eq!(world.ask(put("/bucket/k", "0123456789")).await.status, 200);
    refused(&world.ask(put("/bucket/l", "0123456789a")).await, 400, "EntityTooLarge");
    refused(&world.send(&Chunked::new("/bucket/l", true, None).good()).await, 400, "EntityTooLarge");
}

#[tokio::test]
async fn clients_that_ask_are_told_to_go_on() {
    let world = world().await;
    let message = put("/bucket/k", "0123456789").signed().with("Expect", "100-continue");
    let mut connection = world.connect().await;
    connection.send(&message.head()).await;
    assert_eq!(connection.head().await.unwrap().status, 100);
    connection.send(&message.body).await;
    assert_eq!(connection.reply().await.unwrap().status, 200);

    // A refusal needs no body.
    let message = put("/missing/k", "0123456789").signed().with("Expect", "100-continue");
    let mut connection = world.connect().await;
    connection.send(&message.head()).await;
    refused(&connection.reply().await.unwrap(), 404, "NoSuchBucket");
}

#[tokio::test]
async fn checksums_in_front_are_passed_on() {
    let world = world().await;
    let message = put("/bucket/k", "x").with("x-amz-checksum-sha256", "abc=");
    assert_eq!(world.ask(message).await.status, 200);
    let checksum = world.service.shelf.lock().unwrap().checksum.clone();
    assert_eq!(checksum, Some((ChecksumAlgorithm::Sha256, Some("abc=".to_owned()))));

    let two = put("/bucket/k", "x").with("x-amz-checksum-sha256", "abc=").with("x-amz-checksum-crc32", "abc=");
    refused(&world.ask(two).await, 400, "InvalidRequest");
    let md5 = put("/bucket/k", "x").with("content-md5", "abc");
    refused(&world.ask(md5).await, 400, "InvalidDigest");
}
