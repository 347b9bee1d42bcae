//! The registry's rules: what may be pushed, what is shared, what goes and when.

mod access;
mod builds;
mod layers;

use std::{collections::BTreeSet, io, time::Duration};

use kiln_core::Core;
use kiln_model::{
    ApiError, ErrorCode,
    ecr::*,
    registry::{Append, Digest, LayerUploadId, NewManifest, PushedManifest, Reference, RegistryCode, RegistryError},
    s3::ByteRange,
    service::{ByteSource, Ecr as _, Images as _},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    fake::FakeRunners,
    place::{Place, context},
};

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

type Server = Core<FakeRunners>;

/// Pieces of a body; one without bytes is where it breaks off.
struct Pieces(Vec<Vec<u8>>);

impl ByteSource for Pieces {
    async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        if self.0.is_empty() {
            return None;
        }
        let piece = self.0.remove(0);
        Some(if piece.is_empty() { Err(io::Error::other("cut")) } else { Ok(piece) })
    }
}

fn digest_of(bytes: &[u8]) -> Digest {
    Digest::of(&Sha256::digest(bytes).into())
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, ApiError>, code: ErrorCode, text: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code, code, "{error}");
    assert!(error.message.contains(text), "{error}");
}

#[track_caller]
fn declined<T: std::fmt::Debug>(result: Result<T, RegistryError>, code: RegistryCode, status: u16) -> RegistryError {
    let error = result.unwrap_err();
    assert_eq!((error.code, error.status), (code, status), "{error}");
    error
}

async fn create(core: &Server, input: CreateRepositoryRequest) -> Result<Repository, ApiError> {
    core.create_repository(&context(), input).await.map(|answer| answer.repository.unwrap())
}

fn named(name: &str) -> CreateRepositoryRequest {
    CreateRepositoryRequest { repository_name: name.to_owned(), ..Default::default() }
}

async fn begin(core: &Server, repository: &str) -> LayerUploadId {
    let id = core.begin_layer(&context(), repository).await.unwrap();
    LayerUploadId { repository: repository.to_owned(), id }
}

async fn append(core: &Server, upload: &LayerUploadId, start: u64, pieces: &[&[u8]]) -> Result<u64, RegistryError> {
    let append = Append { start: Some(start), length: None };
    let body = Pieces(pieces.iter().map(|piece| piece.to_vec()).collect());
    core.append_layer(&context(), upload, append, body).await
}

/// Pushes a layer; its digest.
async fn layer(core: &Server, repository: &str, bytes: &[u8]) -> Digest {
    let upload = begin(core, repository).await;
    append(core, &upload, 0, &[bytes]).await.unwrap();
    let digest = digest_of(bytes);
    core.complete_layer(&context(), &upload, &digest).await.unwrap();
    digest
}

async fn read(
    core: &Server,
    repository: &str,
    digest: &Digest,
    range: Option<ByteRange>,
) -> Result<Vec<u8>, RegistryError> {
    let mut content = core.layer(&context(), repository, digest, range).await?;
    let mut bytes = Vec::new();
    while let Some(piece) = content.body.next().await {
        bytes.extend(piece.unwrap());
    }
    assert_eq!(bytes.len() as u64, content.range.1 - content.range.0);
    Ok(bytes)
}

fn descriptor(digest: &Digest, size: usize) -> Value {
    json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest.as_str(), "size": size })
}

/// The manifest of an image of one layer, which is its configuration as well.
fn manifest(layer: &Digest, size: usize, more: &Value) -> Vec<u8> {
    let mut manifest = json!({
        "schemaVersion": 2, "mediaType": OCI, "config": descriptor(layer, size), "layers": [descriptor(layer, size)],
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        manifest[name] = value.clone();
    }
    manifest.to_string().into_bytes()
}

async fn put(
    core: &Server,
    repository: &str,
    reference: &str,
    bytes: Vec<u8>,
) -> Result<PushedManifest, RegistryError> {
    let reference = Reference::parse(reference).unwrap();
    let new = NewManifest { repository: repository.to_owned(), reference, media_type: None, bytes };
    core.put_manifest(&context(), new).await
}

/// Pushes an image with a layer of its own.
async fn push(core: &Server, repository: &str, tag: &str, bytes: &[u8]) -> String {
    let digest = layer(core, repository, bytes).await;
    put(core, repository, tag, manifest(&digest, bytes.len(), &json!({}))).await.unwrap().digest
}

/// `digest` or `digest tag` of each image, in order.
async fn listed(core: &Server, repository: &str) -> BTreeSet<(String, String)> {
    let input = ListImagesRequest { repository_name: repository.to_owned(), ..Default::default() };
    let ids = core.list_images(&context(), input).await.unwrap().image_ids.unwrap();
    ids.into_iter().map(|id| (id.image_digest.unwrap(), id.image_tag.unwrap_or_default())).collect()
}

fn ids(all: &[(Option<&str>, Option<&str>)]) -> Vec<ImageIdentifier> {
    let own = |text: &Option<&str>| text.map(str::to_owned);
    all.iter().map(|(digest, tag)| ImageIdentifier { image_digest: own(digest), image_tag: own(tag) }).collect()
}

fn blobs(place: &Place) -> usize {
    let entries = std::fs::read_dir(place.data().join("blobs")).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().file_name().len() == 32).count()
}

#[tokio::test]
async fn repositories_have_aws_s_words() {
    let place = Place::new();
    let core = place.serve();
    let made = create(&core, named("team/app")).await.unwrap();
    assert_eq!(made.repository_arn.unwrap(), "arn:aws:ecr:us-east-1:000000000000:repository/team/app");
    assert_eq!(made.repository_uri.unwrap(), "127.0.0.1:5456/team/app");
    assert_eq!(made.image_tag_mutability, Some(ImageTagMutability::Mutable));
    refused(
        create(&core, named("team/app")).await,
        ErrorCode::RepositoryAlreadyExists,
        "The repository with name 'team/app' already exists in the registry with id '000000000000'",
    );
    let missing = DescribeRepositoriesRequest { repository_names: Some(vec!["no".to_owned()]), ..Default::default() };
    refused(
        core.describe_repositories(&context(), missing).await,
        ErrorCode::RepositoryNotFound,
        "The repository with name 'no' does not exist in the registry with id '000000000000'",
    );
    let other = DescribeImagesRequest {
        registry_id: Some("111122223333".to_owned()),
        repository_name: "team/app".to_owned(),
        ..Default::default()
    };
    refused(core.describe_images(&context(), other).await, ErrorCode::RepositoryNotFound, "'111122223333'");
    for name in ["b2", "c3", "d4"] {
        create(&core, named(name)).await.unwrap();
    }
    let mut names = Vec::new();
    let mut token = None;
    loop {
        let input = DescribeRepositoriesRequest { max_results: Some(3), next_token: token, ..Default::default() };
        let page = core.describe_repositories(&context(), input).await.unwrap();
        names.extend(page.repositories.unwrap().into_iter().map(|one| one.repository_name.unwrap()));
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(names, ["b2", "c3", "d4", "team/app"]);
    let bad = DescribeRepositoriesRequest { next_token: Some("x".to_owned()), ..Default::default() };
    refused(core.describe_repositories(&context(), bad).await, ErrorCode::InvalidParameter, "nextToken");

    push(&core, "b2", "t", b"layer").await;
    let delete = |force| DeleteRepositoryRequest { repository_name: "b2".to_owned(), force, ..Default::default() };
    refused(
        core.delete_repository(&context(), delete(None)).await,
        ErrorCode::RepositoryNotEmpty,
        "cannot be deleted because it still contains images",
    );
    core.delete_repository(&context(), delete(Some(true))).await.unwrap();
    assert_eq!(blobs(&place), 0);
    place.checked(core);
}

#[tokio::test]
async fn an_image_is_refused_without_all_that_it_names() {
    let place = Place::new();
    let core = place.serve();
    create(&core, named("ab")).await.unwrap();
    let missing = digest_of(b"layer");
    let image = manifest(&missing, 5, &json!({}));
    let error = declined(put(&core, "ab", "t", image.clone()).await, RegistryCode::ManifestBlobUnknown, 404);
    assert!(error.message.contains(missing.as_str()), "{error}");
    declined(put(&core, "no", "t", image.clone()).await, RegistryCode::NameUnknown, 404);
    layer(&core, "ab", b"layer").await;
    let wrong = manifest(&missing, 6, &json!({}));
    declined(put(&core, "ab", "t", wrong).await, RegistryCode::ManifestInvalid, 400);
    declined(put(&core, "ab", "t", b"{}".to_vec()).await, RegistryCode::ManifestInvalid, 400);
    declined(put(&core, "ab", missing.as_str(), image.clone()).await, RegistryCode::DigestInvalid, 400);
    let pushed = put(&core, "ab", digest_of(&image).as_str(), image.clone()).await.unwrap();
    let index = |digest: &str| {
        json!({ "schemaVersion": 2, "mediaType": INDEX,
            "manifests": [{ "mediaType": OCI, "digest": digest, "size": image.len() }] })
        .to_string()
        .into_bytes()
    };
    declined(put(&core, "ab", "all", index(missing.as_str())).await, RegistryCode::ManifestBlobUnknown, 404);
    let all = put(&core, "ab", "all", index(&pushed.digest)).await.unwrap().digest;
    let found = core.manifest(&context(), "ab", &Reference::Tag("all".to_owned())).await.unwrap();
    assert_eq!((found.media_type.as_str(), found.bytes), (INDEX, index(&pushed.digest)));
    // The image stays as long as the index.
    let reference = Reference::parse(&pushed.digest).unwrap();
    declined(core.delete_manifest(&context(), "ab", &reference).await, RegistryCode::Denied, 409);
    core.delete_manifest(&context(), "ab", &Reference::Tag("all".to_owned())).await.unwrap();
    let gone = core.delete_manifest(&context(), "ab", &Reference::Tag("all".to_owned())).await;
    declined(gone, RegistryCode::ManifestUnknown, 404);
    core.delete_manifest(&context(), "ab", &Reference::parse(&all).unwrap()).await.unwrap();
    core.delete_manifest(&context(), "ab", &reference).await.unwrap();
    declined(core.manifest(&context(), "ab", &reference).await, RegistryCode::ManifestUnknown, 404);
    place.checked(core);
}

#[tokio::test]
async fn tags_move_unless_they_are_immutable() {
    let place = Place::new();
    let core = place.serve();
    create(&core, named("ab")).await.unwrap();
    let one = push(&core, "ab", "t", b"one").await;
    let two = push(&core, "ab", "t", b"two").await;
    let expected = BTreeSet::from([(one.clone(), String::new()), (two.clone(), "t".to_owned())]);
    assert_eq!(listed(&core, "ab").await, expected);
    let set = |mutability, filter: Option<&str>| PutImageTagMutabilityRequest {
        registry_id: None,
        repository_name: "ab".to_owned(),
        image_tag_mutability: mutability,
        image_tag_mutability_exclusion_filters: filter.map(|filter| {
            let filter_type = ImageTagMutabilityExclusionFilterType::Wildcard;
            vec![ImageTagMutabilityExclusionFilter { filter_type, filter: filter.to_owned() }]
        }),
    };
    core.put_image_tag_mutability(&context(), set(ImageTagMutability::Immutable, None)).await.unwrap();
    let digest = layer(&core, "ab", b"three").await;
    let three = || manifest(&digest, 5, &json!({}));
    let error = declined(put(&core, "ab", "t", three()).await, RegistryCode::TagInvalid, 400);
    assert_eq!(
        error.message,
        "The image tag 't' already exists in the 'ab' repository and cannot be overwritten because the tag is immutable."
    );
    assert_eq!(listed(&core, "ab").await, expected, "nothing of it was stored");
    put(&core, "ab", "new", three()).await.unwrap();
    core.put_image_tag_mutability(&context(), set(ImageTagMutability::ImmutableWithExclusion, Some("t*")))
        .await
        .unwrap();
    put(&core, "ab", "t", three()).await.unwrap();
    declined(
        put(&core, "ab", "new", manifest(&digest, 5, &json!({ "annotations": { "a": "b" } }))).await,
        RegistryCode::TagInvalid,
        400,
    );
    let both = core.put_image_tag_mutability(&context(), set(ImageTagMutability::Mutable, Some("t*"))).await;
    refused(both, ErrorCode::InvalidParameter, "not allowed");
    place.checked(core);
}

#[tokio::test]
async fn images_are_put_read_and_deleted_with_ecr_s_errors() {
    let place = Place::new();
    let core = place.serve();
    create(&core, named("ab")).await.unwrap();
    let digest = layer(&core, "ab", b"layer").await;
    let text = String::from_utf8(manifest(&digest, 5, &json!({}))).unwrap();
    let input = |tag: Option<&str>, manifest: &str| PutImageRequest {
        repository_name: "ab".to_owned(),
        image_manifest: manifest.to_owned(),
        image_tag: tag.map(str::to_owned),
        ..Default::default()
    };
    let put = |input| async { core.put_image(&context(), input).await.map(|answer| answer.image.unwrap()) };
    let image = put(input(Some("v1"), &text)).await.unwrap();
    let own = image.image_id.unwrap().image_digest.unwrap();
    assert_eq!(own, digest_of(text.as_bytes()).as_str());
    put(input(Some("v2"), &text)).await.unwrap();
    refused(put(input(Some("v1"), &text)).await, ErrorCode::ImageAlreadyExists, "already exists");
    refused(put(input(None, &text)).await, ErrorCode::ImageAlreadyExists, "already exists");
    refused(put(input(Some("a/b"), &text)).await, ErrorCode::InvalidParameter, "imageTag");
    refused(put(input(None, "{}")).await, ErrorCode::InvalidParameter, "ImageManifest");
    let other = String::from_utf8(manifest(&digest_of(b"no"), 2, &json!({}))).unwrap();
    refused(put(input(None, &other)).await, ErrorCode::LayersNotFound, "do not exist");
    let wrong = PutImageRequest { image_digest: Some(digest.to_string()), ..input(None, &text) };
    refused(put(wrong).await, ErrorCode::ImageDigestDoesNotMatch, &own);

    let get = BatchGetImageRequest {
        repository_name: "ab".to_owned(),
        image_ids: ids(&[
            (None, Some("v1")),
            (Some(&own), None),
            (None, Some("no")),
            (None, None),
            (Some("sha256:x"), None),
            (Some(&own), Some("no")),
            (Some(digest.as_str()), Some("v1")),
        ]),
        ..Default::default()
    };
    let answer = core.batch_get_image(&context(), get).await.unwrap();
    let images = answer.images.unwrap();
    assert_eq!(
        images.iter().map(|image| image.image_manifest.clone().unwrap()).collect::<Vec<_>>(),
        [text.clone(), text]
    );
    let codes: Vec<_> = answer.failures.unwrap().into_iter().map(|failure| failure.failure_code.unwrap()).collect();
    assert_eq!(
        codes,
        [
            ImageFailureCode::ImageNotFound,
            ImageFailureCode::MissingDigestAndTag,
            ImageFailureCode::InvalidImageDigest,
            ImageFailureCode::ImageNotFound,
            ImageFailureCode::ImageTagDoesNotMatchDigest,
        ]
    );
    let describe =
        |ids| DescribeImagesRequest { repository_name: "ab".to_owned(), image_ids: Some(ids), ..Default::default() };
    let details = core.describe_images(&context(), describe(ids(&[(None, Some("v2"))]))).await.unwrap();
    let detail = details.image_details.unwrap().remove(0);
    assert_eq!(detail.image_tags.unwrap(), ["v1", "v2"]);
    assert_eq!(detail.image_manifest_media_type.as_deref(), Some(OCI));
    assert!(detail.last_recorded_pull_time.is_some());
    refused(
        core.describe_images(&context(), describe(ids(&[(None, Some("no"))]))).await,
        ErrorCode::ImageNotFound,
        "The image with imageId {imageDigest:null, imageTag:'no'} does not exist within the repository with name 'ab' in \
         the registry with id '000000000000'",
    );
    let delete =
        |all| BatchDeleteImageRequest { repository_name: "ab".to_owned(), image_ids: all, ..Default::default() };
    core.batch_delete_image(&context(), delete(ids(&[(None, Some("v1"))]))).await.unwrap();
    assert_eq!(listed(&core, "ab").await, BTreeSet::from([(own.clone(), "v2".to_owned())]), "the tag alone");
    let gone =
        core.batch_delete_image(&context(), delete(ids(&[(None, Some("v2")), (None, Some("no"))]))).await.unwrap();
    assert_eq!((gone.image_ids.unwrap().len(), gone.failures.unwrap().len()), (1, 1));
    assert!(listed(&core, "ab").await.is_empty(), "with its last tag");
    place.checked(core);
}

#[tokio::test]
async fn lists_have_pages() {
    let place = Place::new();
    let core = place.serve();
    create(&core, named("ab")).await.unwrap();
    let mut expected = BTreeSet::new();
    for n in 0..5u8 {
        let digest = push(&core, "ab", &format!("t{n}"), &[n]).await;
        expected.insert((digest.clone(), format!("t{n}")));
        if n == 2 {
            let found = core.manifest(&context(), "ab", &Reference::parse(&digest).unwrap()).await.unwrap();
            for more in ["x", "y", "z"] {
                put(&core, "ab", more, found.bytes.clone()).await.unwrap();
                expected.insert((digest.clone(), more.to_owned()));
            }
        }
    }
    for most in [1, 2, 3, 7, 100] {
        let (mut found, mut token, mut pages) = (Vec::new(), None, 0);
        loop {
            let input = ListImagesRequest {
                repository_name: "ab".to_owned(),
                max_results: Some(most),
                next_token: token,
                ..Default::default()
            };
            let page = core.list_images(&context(), input).await.unwrap();
            found.extend(
                page.image_ids.unwrap().into_iter().map(|id| (id.image_digest.unwrap(), id.image_tag.unwrap())),
            );
            token = page.next_token;
            pages += 1;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(found.len(), 8, "nothing twice");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
        assert_eq!(pages, 8usize.div_ceil(most as usize));
    }
    let tags = core.image_tags(&context(), "ab", Some("t3"), 2).await.unwrap();
    assert_eq!((tags.names, tags.has_more), (vec!["t4".to_owned(), "x".to_owned()], true));
    let untagged = ListImagesRequest {
        repository_name: "ab".to_owned(),
        filter: Some(ListImagesFilter { tag_status: Some(TagStatus::Untagged), image_status: None }),
        ..Default::default()
    };
    assert_eq!(core.list_images(&context(), untagged).await.unwrap().image_ids.unwrap(), []);
    place.checked(core);
}

#[tokio::test]
async fn what_is_about_an_image_is_found_by_it() {
    let place = Place::new();
    let core = place.serve();
    create(&core, named("ab")).await.unwrap();
    let image = push(&core, "ab", "t", b"image").await;
    let digest = layer(&core, "ab", b"sbom").await;
    let about = json!({
        "artifactType": "application/spdx+json", "annotations": { "by": "me" },
        "subject": { "mediaType": OCI, "digest": image, "size": 1 },
    });
    let bytes = manifest(&digest, 4, &about);
    let pushed = put(&core, "ab", digest_of(&bytes).as_str(), bytes.clone()).await.unwrap();
    assert_eq!(pushed.subject.as_ref(), Some(&image));
    let subject = Digest::parse(&image).unwrap();
    let ask = |kind: Option<&'static str>| {
        let (core, subject) = (&core, subject.clone());
        async move { core.image_referrers(&context(), "ab", &subject, kind, None).await.unwrap().manifests }
    };
    let expected = [json!({
        "mediaType": OCI, "digest": pushed.digest, "size": bytes.len(), "artifactType": "application/spdx+json",
        "annotations": { "by": "me" },
    })];
    assert_eq!(ask(None).await, expected);
    assert_eq!(ask(Some("application/spdx+json")).await, expected);
    assert_eq!(ask(Some("other")).await, Vec::<Value>::new());
    let unknown = core.image_referrers(&context(), "ab", &digest_of(b"no"), None, None).await.unwrap();
    assert!(unknown.manifests.is_empty(), "what is not there may have some");
    place.checked(core);
}

#[tokio::test]
async fn a_lifecycle_policy_is_applied_by_the_clock() {
    let place = Place::new();
    let core = place.serve();
    create(&core, named("ab")).await.unwrap();
    let mut digests = Vec::new();
    for (n, tag) in ["prod-1", "dev-1", "dev-2", "dev-3"].into_iter().enumerate() {
        digests.push(push(&core, "ab", tag, &[u8::try_from(n).unwrap()]).await);
        place.advance(DAY);
    }
    let policy = json!({ "rules": [
        { "rulePriority": 1, "description": "what runs stays", "action": { "type": "expire" },
          "selection": { "tagStatus": "tagged", "tagPrefixList": ["prod-"], "countType": "imageCountMoreThan", "countNumber": 5 } },
        { "rulePriority": 2, "action": { "type": "expire" },
          "selection": { "tagStatus": "any", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 2 } },
    ]})
    .to_string();
    let name = || "ab".to_owned();
    let get = GetLifecyclePolicyRequest { repository_name: name(), registry_id: None };
    refused(core.get_lifecycle_policy(&context(), get.clone()).await, ErrorCode::LifecyclePolicyNotFound, "'ab'");
    let start = StartLifecyclePolicyPreviewRequest {
        repository_name: name(),
        lifecycle_policy_text: Some(policy.clone()),
        registry_id: None,
    };
    let preview = || GetLifecyclePolicyPreviewRequest { repository_name: name(), ..Default::default() };
    refused(
        core.get_lifecycle_policy_preview(&context(), preview()).await,
        ErrorCode::LifecyclePolicyPreviewNotFound,
        "'ab'",
    );
    core.start_lifecycle_policy_preview(&context(), start).await.unwrap();
    let shown = core.get_lifecycle_policy_preview(&context(), preview()).await.unwrap();
    let results = shown.preview_results.unwrap();
    assert_eq!(results.len(), 1);
    assert_eq!((results[0].image_digest.as_ref(), results[0].applied_rule_priority), (Some(&digests[1]), Some(2)));
    assert_eq!(listed(&core, "ab").await.len(), 4, "a preview deletes nothing");
    let put =
        PutLifecyclePolicyRequest { repository_name: name(), lifecycle_policy_text: policy.clone(), registry_id: None };
    core.put_lifecycle_policy(&context(), put.clone()).await.unwrap();
    core.look_after_images().unwrap();
    let left: BTreeSet<_> = listed(&core, "ab").await.into_iter().map(|(_, tag)| tag).collect();
    assert_eq!(left, ["prod-1", "dev-2", "dev-3"].map(str::to_owned).into());
    place.advance(DAY * 5);
    core.look_after_images().unwrap();
    let left: BTreeSet<_> = listed(&core, "ab").await.into_iter().map(|(_, tag)| tag).collect();
    assert_eq!(left, BTreeSet::from(["prod-1".to_owned()]));
    let answer = core.get_lifecycle_policy(&context(), get).await.unwrap();
    assert_eq!(answer.lifecycle_policy_text, Some(policy));
    assert!(answer.last_evaluated_at.is_some());
    let bad = PutLifecyclePolicyRequest { lifecycle_policy_text: format!("{{}}{}", " ".repeat(100)), ..put };
    refused(core.put_lifecycle_policy(&context(), bad).await, ErrorCode::InvalidParameter, "LifecyclePolicyText");
    place.checked(core);
}
