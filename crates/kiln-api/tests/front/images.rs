//! Images behind the front end, and what the front end does about them before it asks: who has sent a request, and whether
//! it is one.

use kiln_model::{
    ApiError,
    registry::{
        Append, Digest, LayerContent, LayerUploadId, NamePage, NewManifest, PushedManifest, Reference, ReferrerPage,
        RegistryCode, RegistryError, StoredManifest,
    },
    s3::ByteRange,
    service::{ByteSource, Caller, Context, Images},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    client::Message,
    fake::{Fake, Source},
    world::World,
};

/// The one password that is good.
const PASSWORD: &str = "good";
/// The one upload.
const UPLOAD: &str = "u-1";

fn nothing<T>(code: RegistryCode) -> Result<T, RegistryError> {
    Err(RegistryError::new(code, "not here"))
}

impl Images for Fake {
    type Layer = Source;

    async fn registry_caller(&self, password: &str) -> Result<Option<Caller>, ApiError> {
        let account = "000000000000".to_owned();
        Ok((password == PASSWORD).then(|| Caller {
            arn: format!("arn:aws:iam::{account}:root"),
            name: "root".to_owned(),
            access_key_id: "AKIA".to_owned(),
            user_id: account.clone(),
            session: None,
            account,
        }))
    }

    fn is_layer_link(&self, _: &str, _: &Digest, token: &str) -> bool {
        token == PASSWORD
    }

    async fn layer_size(&self, _: &Context, _: &str, _: &Digest) -> Result<u64, RegistryError> {
        Ok(12)
    }

    async fn layer(
        &self,
        _: &Context,
        _: &str,
        _: &Digest,
        _: Option<ByteRange>,
    ) -> Result<LayerContent<Source>, RegistryError> {
        nothing(RegistryCode::BlobUnknown)
    }

    async fn begin_layer(&self, _: &Context, _: &str) -> Result<String, RegistryError> {
        Ok(UPLOAD.to_owned())
    }

    async fn mount_layer(&self, _: &Context, _: &str, _: &Digest, _: &str) -> Result<bool, RegistryError> {
        Ok(false)
    }

    async fn append_layer(
        &self,
        _: &Context,
        upload: &LayerUploadId,
        append: Append,
        mut body: impl ByteSource,
    ) -> Result<u64, RegistryError> {
        if append.start.is_some_and(|start| start != 0) {
            return Err(RegistryError::out_of_order(0));
        }
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await {
            bytes.extend(piece.map_err(|e| RegistryError::new(RegistryCode::SizeInvalid, e.to_string()))?);
        }
        let size = bytes.len() as u64;
        self.uploads.lock().unwrap().insert(upload.id.clone(), bytes);
        Ok(size)
    }

    async fn layer_uploaded(&self, _: &Context, upload: &LayerUploadId) -> Result<u64, RegistryError> {
        match self.uploads.lock().unwrap().get(&upload.id) {
            Some(bytes) => Ok(bytes.len() as u64),
            None => nothing(RegistryCode::BlobUploadUnknown),
        }
    }

    async fn complete_layer(&self, _: &Context, _: &LayerUploadId, _: &Digest) -> Result<(), RegistryError> {
        Ok(())
    }

    async fn cancel_layer(&self, _: &Context, _: &LayerUploadId) -> Result<(), RegistryError> {
        Ok(())
    }

    async fn manifest(&self, _: &Context, _: &str, _: &Reference) -> Result<StoredManifest, RegistryError> {
        nothing(RegistryCode::ManifestUnknown)
    }

    async fn put_manifest(&self, _: &Context, manifest: NewManifest) -> Result<PushedManifest, RegistryError> {
        let digest = Digest::of(&kiln_iam::sigv4::sha256(&manifest.bytes)).into();
        Ok(PushedManifest { digest, subject: None })
    }

    async fn delete_manifest(&self, _: &Context, _: &str, _: &Reference) -> Result<(), RegistryError> {
        nothing(RegistryCode::ManifestUnknown)
    }

    async fn image_tags(&self, _: &Context, _: &str, _: Option<&str>, most: usize) -> Result<NamePage, RegistryError> {
        let names = ["a", "b", "c"].into_iter().take(most).map(str::to_owned).collect();
        Ok(NamePage { names, has_more: most < 3 })
    }

    async fn catalog(&self, _: &Context, _: Option<&str>, _: usize) -> Result<NamePage, RegistryError> {
        Ok(NamePage::default())
    }

    async fn image_referrers(
        &self,
        _: &Context,
        _: &str,
        _: &Digest,
        _: Option<&str>,
        _: Option<&str>,
    ) -> Result<ReferrerPage, RegistryError> {
        Ok(ReferrerPage::default())
    }
}

fn ask(method: &'static str, target: &str, password: Option<&str>) -> Message {
    let mut message = Message::get(target);
    message.method = method;
    if let Some(password) = password {
        message.set("Authorization", &format!("Basic {}", STANDARD.encode(format!("AWS:{password}"))));
    }
    message
}

fn digest() -> String {
    Digest::of(&[7; 32]).into()
}

fn code(reply: &crate::client::Reply) -> String {
    let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    body["errors"][0]["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn only_who_has_a_password_is_let_in() {
    let world = World::start().await;
    let blob = format!("/v2/ab/blobs/{}", digest());
    for target in ["/v2/", "/v2", "/v2/ab/tags/list", "/v2/no/such/path", "/v2/../x/tags/list", blob.as_str()] {
        for password in [None, Some("bad"), Some("")] {
            let reply = world.send(&ask("GET", target, password)).await;
            assert_eq!((reply.status, code(&reply).as_str()), (401, "UNAUTHORIZED"), "{target}");
            let challenge = reply.header("www-authenticate");
            assert_eq!(challenge, "Basic realm=\"http://localhost/\",service=\"ecr.amazonaws.com\"");
        }
    }
    let mut other = ask("GET", "/v2/", None);
    other.set("Authorization", &format!("Basic {}", STANDARD.encode("root:good")));
    assert_eq!(world.send(&other).await.status, 401, "another user name");
    let reply = world.send(&ask("GET", "/v2/", Some("good"))).await;
    assert_eq!((reply.status, reply.body.as_slice()), (200, b"{}".as_slice()));
    assert_eq!(reply.header("docker-distribution-api-version"), "registry/2.0");
    let mut host = ask("GET", "/v2/", Some("good"));
    host.set("Host", "000000000000.dkr.ecr.us-east-1.localhost");
    assert_eq!(world.send(&host).await.status, 200, "AWS's name of a registry");
    host.set("Host", "000000000000.dkr.ecr.us-east-1.evil.example");
    assert_eq!(world.send(&host).await.status, 400, "of another server");
    world.is_well().await;
}

#[tokio::test]
async fn a_link_is_good_for_reading_a_layer_and_nothing_else() {
    let world = World::start().await;
    let blob = format!("/v2/ab/blobs/{}?kiln-link=", digest());
    assert_eq!(world.send(&ask("GET", &format!("{blob}good"), None)).await.status, 404, "it is let in");
    assert_eq!(world.send(&ask("GET", &format!("{blob}bad"), None)).await.status, 401);
    for (method, target) in [("DELETE", format!("{blob}good")), ("GET", "/v2/ab/tags/list?kiln-link=good".to_owned())] {
        assert_eq!(world.send(&ask(method, &target, None)).await.status, 401, "{method} {target}");
    }
}

#[tokio::test]
async fn what_is_no_request_is_told_so() {
    let world = World::start().await;
    for (method, target, status, expected) in [
        ("GET", "/v2/../x/tags/list".to_owned(), 400, "NAME_INVALID"),
        ("GET", "/v2/A/tags/list".to_owned(), 400, "NAME_INVALID"),
        ("GET", "/v2/ab/blobs/sha256:abc".to_owned(), 400, "DIGEST_INVALID"),
        ("GET", "/v2/ab/what/is/this".to_owned(), 404, "UNSUPPORTED"),
        ("PUT", "/v2/ab/tags/list".to_owned(), 405, "UNSUPPORTED"),
        ("DELETE", format!("/v2/ab/blobs/{}", digest()), 405, "UNSUPPORTED"),
        ("PUT", "/v2/ab/blobs/uploads/u-1".to_owned(), 400, "DIGEST_INVALID"),
        ("GET", "/v2/ab/blobs/uploads/none".to_owned(), 404, "BLOB_UPLOAD_UNKNOWN"),
        ("GET", "/v2/ab/manifests/t".to_owned(), 404, "MANIFEST_UNKNOWN"),
        ("GET", "/v2/ab/tags/list?n=x".to_owned(), 400, "UNSUPPORTED"),
    ] {
        let reply = world.send(&ask(method, &target, Some("good"))).await;
        assert_eq!((reply.status, code(&reply).as_str()), (status, expected), "{method} {target}");
    }
    let reply = world.send(&ask("GET", "/v2/ab/tags/list?n=2", Some("good"))).await;
    assert_eq!(reply.header("link"), "</v2/ab/tags/list?n=2&last=b>; rel=\"next\"");
    world.is_well().await;
}

#[tokio::test]
async fn bytes_are_taken_with_a_length_or_in_chunks() {
    let world = World::start().await;
    let begun = world.send(&ask("POST", "/v2/ab/blobs/uploads/", Some("good"))).await;
    assert_eq!((begun.status, begun.header("range")), (202, "0-0"));
    let at = begun.header("location").to_owned();
    assert_eq!(at, "/v2/ab/blobs/uploads/u-1");
    let mut patch = ask("PATCH", &at, Some("good"));
    patch.body = b"layer".to_vec();
    patch.set("Content-Length", "5");
    let reply = world.send(&patch).await;
    assert_eq!((reply.status, reply.header("range")), (202, "0-4"));
    let mut chunked = ask("PATCH", &at, Some("good"));
    chunked.set("Transfer-Encoding", "chunked");
    chunked.body = b"3\r\nabc\r\n0\r\n\r\n".to_vec();
    assert_eq!(world.send(&chunked).await.header("range"), "0-2");
    assert_eq!(world.service.uploads.lock().unwrap()["u-1"], b"abc");
    let mut elsewhere = patch.clone();
    elsewhere.set("Content-Range", "9-13");
    let reply = world.send(&elsewhere).await;
    assert_eq!((reply.status, code(&reply).as_str()), (416, "BLOB_UPLOAD_INVALID"));
    let mut encoded = patch;
    encoded.set("Content-Encoding", "gzip");
    assert_eq!(world.send(&encoded).await.status, 400);
    let mut complete = ask("PUT", &format!("{at}?digest={}", digest().replace(':', "%3A")), Some("good"));
    complete.set("Content-Length", "0");
    let reply = world.send(&complete).await;
    assert_eq!((reply.status, reply.header("docker-content-digest")), (201, digest().as_str()));
    world.is_well().await;
}

#[tokio::test]
async fn a_manifest_has_an_end() {
    let world = World::start().await;
    let mut put = ask("PUT", "/v2/ab/manifests/t", Some("good"));
    put.set("Content-Type", "application/vnd.oci.image.manifest.v1+json");
    put.body = vec![b' '; kiln_model::registry::MOST_MANIFEST + 1];
    put.set("Content-Length", &put.body.len().to_string());
    let reply = world.send(&put).await;
    assert_eq!((reply.status, code(&reply).as_str()), (413, "SIZE_INVALID"));
    put.body = b"{}".to_vec();
    put.set("Content-Length", "2");
    let reply = world.send(&put).await;
    assert_eq!(reply.status, 201);
    assert!(reply.header("location").starts_with("/v2/ab/manifests/sha256:"));
}

#[tokio::test]
async fn the_audit_log_has_ecrs_names() {
    let world = World::start().await;
    world.send(&ask("POST", "/v2/ab/blobs/uploads/", Some("good"))).await;
    world.send(&ask("GET", "/v2/ab/manifests/t", Some("bad"))).await;
    let calls = world.trail.take();
    let seen: Vec<_> = calls.iter().map(|call| (call.service.as_str(), call.operation.as_str())).collect();
    assert_eq!(seen, [("ecr", "InitiateLayerUpload"), ("ecr", "BatchGetImage")]);
    assert!(calls[0].error.is_empty() && !calls[0].is_read_only && calls[0].is_recorded);
    assert_eq!(calls[0].resources, ["arn:aws:ecr:us-east-1:000000000000:repository/ab"]);
    assert_eq!(calls[0].parameters["repositoryName"], "ab");
    assert_eq!((calls[1].error.as_str(), calls[1].arn.as_str()), ("UNAUTHORIZED", ""));
    assert!(!format!("{calls:?}").contains("good") && !format!("{calls:?}").contains("bad"));
}
