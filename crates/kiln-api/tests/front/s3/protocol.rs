//! Addresses, permissions, conditions, ranges, lists and errors.

use std::sync::atomic::Ordering;

use super::{every_answer, put, refused, s3, world};
use crate::{
    client::{ALICE, Message, NOW},
    world::World,
};

#[tokio::test]
async fn buckets_are_in_the_path_or_in_the_host() {
    let world = World::with(|config| config.domains = vec!["kiln.example".to_owned()]).await;
    assert_eq!(world.ask(s3("PUT", "/").with("Host", "bucket.kiln.example")).await.status, 200);
    let at = |host: &str, target: &str| s3("GET", target).with("Host", host);
    assert_eq!(world.ask(put("/a//b", "x").with("Host", "bucket.localhost:5456")).await.status, 200);
    for (host, target) in [
        ("localhost", "/bucket/a//b"),
        ("127.0.0.1:5456", "/bucket/a//b"),
        ("bucket.localhost", "/a//b"),
        ("bucket.kiln.example", "/a//b"),
        ("BUCKET.Kiln.Example:80", "/a//b"),
    ] {
        assert_eq!(world.ask(at(host, target)).await.text(), "x", "{host} {target}");
    }
    refused(&world.ask(at("localhost", "/bucket/a/b")).await, 404, "NoSuchKey");
    refused(&world.ask(at("bucket.evil.example", "/a//b")).await, 403, "AccessDenied");
    // What is a page elsewhere is a key here.
    refused(&world.ask(at("bucket.localhost", "/-/health")).await, 404, "NoSuchKey");
    let browser = Message::get("/").with("Host", "bucket.localhost").with("Accept", "text/html");
    refused(&world.send(&browser).await, 403, "AccessDenied");
}

#[tokio::test]
async fn nobody_and_others_may_nothing() {
    let world = world().await;
    world.ask(put("/bucket/a", "x")).await;
    for message in
        [Message::get("/bucket/a"), Message::get("/"), Message::get("/bucket?policy"), Message::get("/missing/a")]
    {
        let reply = world.send(&message).await;
        refused(&reply, 403, "AccessDenied");
        assert!(reply.text().contains("<Message>Access Denied</Message>"), "{}", reply.text());
    }
    let mut upload = put("/bucket/b", "anonymous");
    upload.headers.retain(|(name, _)| name == "Host");
    refused(&world.send(&upload).await, 403, "AccessDenied");
    assert!(!world.service.shelf.lock().unwrap().objects.contains_key("bucket/b"));

    let alice = world.ask(s3("GET", "/bucket/a").by(ALICE)).await;
    refused(&alice, 403, "AccessDenied");
    assert!(
        alice.text().contains(
            "User: arn:aws:iam::000000000000:user/alice is not authorized to perform: s3:GetObject on resource: \
             arn:aws:s3:::bucket/a because no identity-based policy allows the s3:GetObject action"
        ),
        "{}",
        alice.text()
    );
    let chosen = Message::get("/bucket/a?response-content-type=text/html");
    refused(&world.send(&chosen).await, 403, "AccessDenied");
}

#[tokio::test]
async fn policies_of_buckets_decide() {
    let world = world().await;
    world.ask(put("/bucket/public", "x")).await;
    let policy = |statement: &str| {
        put("/bucket?policy", &format!("{{\"Version\": \"2012-10-17\", \"Statement\": [{statement}]}}"))
    };
    let open =
        r#"{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/pub*"}"#;
    assert_eq!(world.ask(policy(open)).await.status, 204);
    let read = world.send(&Message::get("/bucket/public")).await;
    assert_eq!((read.status, read.text().as_str()), (200, "x"));
    every_answer(&read);
    assert_eq!(world.ask(s3("GET", "/bucket/public").by(ALICE)).await.status, 200);
    refused(&world.send(&Message::get("/bucket/private")).await, 403, "AccessDenied");
    refused(&world.send(&Message::get("/bucket/public?response-content-type=text/html")).await, 400, "InvalidRequest");
    let stored = world.ask(s3("GET", "/bucket?policy")).await;
    assert!(stored.text().contains("arn:aws:s3:::bucket/pub*"), "{}", stored.text());

    let closed = r#"{"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"]}"#;
    assert_eq!(world.ask(policy(closed)).await.status, 204);
    for message in [s3("GET", "/bucket/public"), put("/bucket/b", "x"), s3("GET", "/bucket?list-type=2")] {
        let reply = world.ask(message).await;
        refused(&reply, 403, "AccessDenied");
        assert!(reply.text().contains("with an explicit deny in a resource-based policy"), "{}", reply.text());
    }
    assert_eq!(world.ask(policy(open)).await.status, 204, "root can always mend it");
    assert_eq!(world.ask(s3("GET", "/bucket/public")).await.status, 200);
}

#[tokio::test]
async fn each_part_of_a_signature_counts() {
    let world = world().await;
    let other = |change: fn(&mut Message)| {
        let mut message = s3("GET", "/bucket/a");
        change(&mut message);
        message
    };
    refused(&world.ask(other(|m| m.region = "eu-west-1")).await, 400, "AuthorizationHeaderMalformed");
    refused(&world.ask(other(|m| m.access_key_id = "AKIDNOBODY")).await, 403, "InvalidAccessKeyId");
    refused(&world.ask(other(|m| m.token = Some("x"))).await, 400, "InvalidToken");
    let mut changed = s3("GET", "/bucket/a").signed();
    changed.target = "/bucket/b".to_owned();
    refused(&world.send(&changed).await, 403, "SignatureDoesNotMatch");
    world.now.store(NOW + 16 * 60, Ordering::Relaxed);
    refused(&world.ask(s3("GET", "/bucket/a")).await, 403, "RequestTimeTooSkewed");
}

#[tokio::test]
async fn ranges_and_conditions() {
    let world = world().await;
    let stored = world.ask(put("/bucket/a", "0123456789")).await;
    let etag = stored.header("etag").to_owned();
    let get = |name: &str, value: &str| s3("GET", "/bucket/a").with(name, value);

    let part = world.ask(get("Range", "bytes=2-4")).await;
    assert_eq!((part.status, part.text().as_str()), (206, "234"));
    assert_eq!((part.header("content-range"), part.header("content-length")), ("bytes 2-4/10", "3"));
    assert_eq!(world.ask(get("Range", "bytes=-3")).await.text(), "789");
    assert_eq!(world.ask(get("Range", "bytes=7-")).await.text(), "789");
    refused(&world.ask(get("Range", "bytes=10-")).await, 416, "InvalidRange");
    for ignored in ["bytes=0-1,3-4", "lines=0-1"] {
        let whole = world.ask(get("Range", ignored)).await;
        assert_eq!((whole.status, whole.text().as_str()), (200, "0123456789"), "{ignored}");
    }

    assert_eq!(world.ask(get("If-Match", &etag)).await.status, 200);
    assert_eq!(world.ask(get("If-Match", etag.trim_matches('"'))).await.status, 200);
    refused(&world.ask(get("If-Match", "\"other\"")).await, 412, "PreconditionFailed");
    let same = world.ask(get("If-None-Match", &etag)).await;
    assert_eq!((same.status, same.text().as_str(), same.header("etag")), (304, "", etag.as_str()));
    every_answer(&same);
    assert_eq!(world.ask(get("If-Modified-Since", "Thu, 26 Nov 2026 11:00:00 GMT")).await.status, 304);
    let unmodified = get("If-Unmodified-Since", "Thu, 26 Nov 2026 10:00:00 GMT");
    refused(&world.ask(unmodified).await, 412, "PreconditionFailed");
}

#[tokio::test]
async fn heads_have_no_body() {
    let world = world().await;
    world.ask(put("/bucket/a", "0123456789").with("x-amz-meta-a", "b").with("Expires", "whenever")).await;
    let mut connection = world.connect().await;
    connection.send(&s3("HEAD", "/bucket/a").signed().bytes()).await;
    let head = connection.head().await.unwrap();
    assert_eq!((head.status, head.header("content-length")), (200, "10"));
    assert_eq!((head.header("x-amz-meta-a"), head.header("expires")), ("b", "whenever"));
    assert_eq!(head.header("content-type"), "binary/octet-stream");
    assert_eq!(head.header("x-amz-server-side-encryption"), "AES256");
    every_answer(&head);
    // Nothing of a body stands before the next answer.
    for (target, status) in [("/bucket/missing", 404), ("/missing", 404), ("/bucket", 200)] {
        connection.send(&s3("HEAD", target).signed().bytes()).await;
        let head = connection.head().await.unwrap();
        assert_eq!(head.status, status, "{target}");
        every_answer(&head);
    }
}

#[tokio::test]
async fn lists_escape_keys_when_asked() {
    let world = world().await;
    for key in ["a%20%26%3C", "b%C3%A4/%2B", "c%01"] {
        assert_eq!(world.ask(put(&format!("/bucket/{key}"), "x")).await.status, 200);
    }
    let plain = world.ask(s3("GET", "/bucket?list-type=2&max-keys=2")).await.text();
    assert!(plain.contains("<Key>a &amp;&lt;</Key>") && plain.contains("<Key>bä/+</Key>"), "{plain}");
    assert!(plain.contains("<IsTruncated>true</IsTruncated>") && plain.contains("<KeyCount>2</KeyCount>"), "{plain}");
    let (_, rest) = plain.split_once("<NextContinuationToken>").unwrap();
    let token = rest.split_once('<').unwrap().0;
    let next = format!("/bucket?continuation-token={token}&encoding-type=url&list-type=2");
    let next = world.ask(s3("GET", &next)).await.text();
    assert!(next.contains("<Key>c%01</Key>") && next.contains("<EncodingType>url</EncodingType>"), "{next}");
    let first = world.ask(s3("GET", "/bucket?encoding-type=url&max-keys=2")).await.text();
    assert!(first.contains("<Key>a%20%26%3C</Key>") && first.contains("<Key>b%C3%A4/%2B</Key>"), "{first}");
    refused(&world.ask(s3("GET", "/bucket?list-type=2&continuation-token=%21")).await, 400, "InvalidArgument");
    refused(&world.ask(s3("GET", "/bucket?max-keys=-1")).await, 400, "InvalidArgument");
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    let world = world().await;
    for (method, target, status, code) in [
        ("PUT", "/bucket/a?renameObject", 501, "NotImplemented"),
        ("PUT", "/bucket?abac", 501, "NotImplemented"),
        ("GET", "/bucket/a?torrent", 501, "NotImplemented"),
        ("PUT", "/bucket?notification", 400, "MissingRequestBodyError"),
        ("GET", "/bucket?inventory&id=x", 501, "NotImplemented"),
        ("DELETE", "/bucket?acl", 405, "MethodNotAllowed"),
        ("GET", "/bucket?website", 404, "NoSuchWebsiteConfiguration"),
        ("GET", "/bucket?replication", 404, "ReplicationConfigurationNotFoundError"),
        ("GET", "/bucket?object-lock", 404, "ObjectLockConfigurationNotFoundError"),
        ("GET", "/bucket?policy", 404, "NoSuchBucketPolicy"),
        ("GET", "/bucket?tagging", 404, "NoSuchTagSet"),
        ("GET", "/bucket?cors", 404, "NoSuchCORSConfiguration"),
        ("GET", "/bucket?lifecycle", 404, "NoSuchLifecycleConfiguration"),
        ("GET", "/bucket?publicAccessBlock", 404, "NoSuchPublicAccessBlockConfiguration"),
        ("GET", "/bucket?ownershipControls", 404, "OwnershipControlsNotFoundError"),
        ("GET", "/missing?location", 404, "NoSuchBucket"),
        ("GET", "/Not_A_Bucket", 400, "InvalidBucketName"),
        ("PATCH", "/bucket", 501, "NotImplemented"),
    ] {
        eprintln!("{method} {target}");
        refused(&world.ask(s3(method, target)).await, status, code);
    }
    for (target, expected) in [
        ("/bucket?location", "LocationConstraint"),
        ("/bucket?acl", "FULL_CONTROL"),
        ("/bucket?encryption", "AES256"),
        ("/bucket?requestPayment", "BucketOwner"),
        ("/bucket?versioning", "VersioningConfiguration"),
        ("/bucket?accelerate", "AccelerateConfiguration"),
        ("/bucket?logging", "BucketLoggingStatus"),
        ("/bucket?notification", "NotificationConfiguration"),
        ("/", "<Name>bucket</Name>"),
    ] {
        let reply = world.ask(s3("GET", target)).await;
        assert_eq!(reply.status, 200, "{target}: {}", reply.text());
        assert!(reply.text().contains(expected), "{target}: {}", reply.text());
        every_answer(&reply);
    }
}

#[tokio::test]
async fn acls_say_nothing_new() {
    let world = world().await;
    for acl in ["private", "bucket-owner-full-control"] {
        assert_eq!(world.ask(put("/bucket/a", "x").with("x-amz-acl", acl)).await.status, 200, "{acl}");
        assert_eq!(world.ask(s3("PUT", "/bucket?acl").with("x-amz-acl", acl)).await.status, 200, "{acl}");
    }
    for acl in ["public-read", "authenticated-read"] {
        let put = put("/bucket/b", "x").with("x-amz-acl", acl);
        refused(&world.ask(put).await, 400, "AccessControlListNotSupported");
    }
    let grant =
        put("/bucket/b", "x").with("x-amz-grant-read", "uri=\"http://acs.amazonaws.com/groups/global/AllUsers\"");
    refused(&world.ask(grant).await, 400, "AccessControlListNotSupported");
}

#[tokio::test]
async fn the_expected_owner_is_the_account() {
    let world = world().await;
    world.ask(put("/bucket/a", "x")).await;
    let get = |owner: &str| s3("GET", "/bucket/a").with("x-amz-expected-bucket-owner", owner);
    assert_eq!(world.ask(get("000000000000")).await.status, 200);
    refused(&world.ask(get("111122223333")).await, 403, "AccessDenied");
}

#[tokio::test]
async fn many_are_deleted_at_once() {
    let world = world().await;
    world.ask(put("/bucket/a%26b", "x")).await;
    let delete = |body: &str| {
        let mut message = s3("POST", "/bucket?delete");
        message.body = body.as_bytes().to_vec();
        message
    };
    let body = "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Object><Key>a&amp;b</Key></Object></Delete>";
    let reply = world.ask(delete(body)).await;
    assert!(reply.text().contains("<Deleted><Key>a&amp;b</Key></Deleted>"), "{}", reply.text());
    assert!(world.service.shelf.lock().unwrap().objects.is_empty());
    refused(&world.ask(delete(body).with("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")).await, 400, "BadDigest");
    refused(&world.ask(delete("<Delete></Delete>")).await, 400, "MalformedXML");
    refused(
        &world.ask(delete("<Delete><Object><Key><![CDATA[a]]></Key></Object></Delete>")).await,
        400,
        "MalformedXML",
    );
    refused(&world.ask(delete("<Delete>")).await, 400, "MalformedXML");

    // Nobody learns more of each than that they may not.
    let mut nobody = delete(body);
    nobody.headers.retain(|(name, _)| name == "Host");
    let reply = world.send(&nobody).await;
    assert!(reply.text().contains("<Error><Code>AccessDenied</Code><Key>a&amp;b</Key>"), "{}", reply.text());
}
