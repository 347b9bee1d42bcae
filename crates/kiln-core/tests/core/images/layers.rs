//! Layers: in pieces, shared, thrown away, collected.

use kiln_model::kms::Blob;

use super::*;

#[tokio::test]
async fn a_layer_comes_in_pieces_and_over_a_restart() {
    let place = Place::new();
    let core = place.serve();
    create(&core, named("ab")).await.unwrap();
    let upload = begin(&core, "ab").await;
    assert_eq!(append(&core, &upload, 0, &[b"one ", b"two "]).await.unwrap(), 8);
    // What came of a body that broke off is kept, and counted.
    let broken = declined(append(&core, &upload, 8, &[b"three ", b""]).await, RegistryCode::SizeInvalid, 400);
    assert_eq!(broken.uploaded, Some(14));
    let early = declined(append(&core, &upload, 8, &[b"x"]).await, RegistryCode::BlobUploadInvalid, 416);
    assert_eq!(early.uploaded, Some(14));
    place.checked(core);
    let core = place.serve();
    assert_eq!(core.layer_uploaded(&context(), &upload).await.unwrap(), 14);
    assert_eq!(append(&core, &upload, 14, &[b"four"]).await.unwrap(), 18);
    let bytes = b"one two three four";
    let digest = digest_of(bytes);
    core.complete_layer(&context(), &upload, &digest).await.unwrap();
    declined(core.layer_uploaded(&context(), &upload).await, RegistryCode::BlobUploadUnknown, 404);
    assert_eq!(read(&core, "ab", &digest, None).await.unwrap(), bytes);
    let range = |first, last| Some(ByteRange::From { first, last: Some(last) });
    assert_eq!(read(&core, "ab", &digest, range(6, 9)).await.unwrap(), b"o th", "over the edge of a piece");
    assert_eq!(read(&core, "ab", &digest, Some(ByteRange::Suffix(4))).await.unwrap(), b"four");
    declined(read(&core, "ab", &digest, range(18, 20)).await, RegistryCode::SizeInvalid, 416);
    assert_eq!(core.layer_size(&context(), "ab", &digest).await.unwrap(), 18);
    declined(core.layer_size(&context(), "ab", &digest_of(b"no")).await, RegistryCode::BlobUnknown, 404);
    declined(core.layer_size(&context(), "no", &digest).await, RegistryCode::NameUnknown, 404);
    place.checked(core);
}

#[tokio::test]
async fn bytes_with_another_digest_are_thrown_away() {
    let place = Place::new();
    let core = place.serve();
    create(&core, named("ab")).await.unwrap();
    for pieces in [vec![b"one".as_slice()], vec![b"one", b"two"]] {
        let upload = begin(&core, "ab").await;
        let mut size = 0;
        for piece in pieces {
            size = append(&core, &upload, size, &[piece]).await.unwrap();
        }
        let announced = digest_of(b"other");
        let result = core.complete_layer(&context(), &upload, &announced).await;
        declined(result, RegistryCode::DigestInvalid, 400);
        declined(core.layer_size(&context(), "ab", &announced).await, RegistryCode::BlobUnknown, 404);
        declined(core.layer_uploaded(&context(), &upload).await, RegistryCode::BlobUploadUnknown, 404);
    }
    let empty = begin(&core, "ab").await;
    core.complete_layer(&context(), &empty, &digest_of(b"")).await.unwrap();
    assert_eq!(read(&core, "ab", &digest_of(b""), None).await.unwrap(), b"");
    let other = begin(&core, "ab").await;
    let stolen = LayerUploadId { repository: "cd".to_owned(), id: other.id.clone() };
    declined(core.layer_uploaded(&context(), &stolen).await, RegistryCode::BlobUploadUnknown, 404);
    core.cancel_layer(&context(), &other).await.unwrap();
    assert_eq!(blobs(&place), 0);
    place.checked(core);
}

#[tokio::test]
async fn bytes_are_stored_once_and_go_a_day_after_somebody_wanted_them() {
    let place = Place::new();
    let core = place.serve();
    for name in ["ab", "cd"] {
        create(&core, named(name)).await.unwrap();
    }
    let shared = layer(&core, "ab", b"shared").await;
    assert_eq!(layer(&core, "cd", b"shared").await, shared);
    assert_eq!(blobs(&place), 1);
    let other = layer(&core, "ab", b"other").await;
    assert!(core.mount_layer(&context(), "cd", &other, "ab").await.unwrap());
    assert!(!core.mount_layer(&context(), "cd", &digest_of(b"no"), "ab").await.unwrap());
    assert_eq!((blobs(&place), read(&core, "cd", &other, None).await.unwrap()), (2, b"other".to_vec()));
    let image = put(&core, "ab", "t", manifest(&shared, 6, &json!({}))).await.unwrap();
    assert_eq!(blobs(&place), 3, "the manifest");

    place.advance(DAY / 2);
    // Whoever hears that it is there may push an image that needs it.
    core.layer_size(&context(), "cd", &shared).await.unwrap();
    place.advance(DAY / 2 + Duration::from_secs(1));
    core.look_after_images().unwrap();
    declined(core.layer_size(&context(), "ab", &other).await, RegistryCode::BlobUnknown, 404);
    assert_eq!(blobs(&place), 2);
    assert_eq!(read(&core, "cd", &shared, None).await.unwrap(), b"shared");
    let input = BatchDeleteImageRequest {
        repository_name: "ab".to_owned(),
        image_ids: ids(&[(Some(&image.digest), None)]),
        ..Default::default()
    };
    core.batch_delete_image(&context(), input).await.unwrap();
    core.look_after_images().unwrap();
    assert_eq!(blobs(&place), 2, "somebody may be about to push it again");
    place.advance(DAY + Duration::from_secs(1));
    core.look_after_images().unwrap();
    assert_eq!(blobs(&place), 0);
    place.checked(core);
}

#[tokio::test]
async fn an_upload_that_nobody_goes_on_with_ends() {
    let place = Place::new();
    let core = place.serve();
    create(&core, named("ab")).await.unwrap();
    let (old, new) = (begin(&core, "ab").await, begin(&core, "ab").await);
    for upload in [&old, &new] {
        append(&core, upload, 0, &[b"some"]).await.unwrap();
    }
    place.advance(DAY - Duration::from_secs(1));
    append(&core, &new, 4, &[b" more"]).await.unwrap();
    place.advance(Duration::from_secs(2));
    assert_eq!(core.look_after_images().unwrap(), 1);
    declined(core.layer_uploaded(&context(), &old).await, RegistryCode::BlobUploadUnknown, 404);
    assert_eq!(core.layer_uploaded(&context(), &new).await.unwrap(), 9);
    assert_eq!(blobs(&place), 2);
    place.checked(core);
}

#[tokio::test]
async fn layers_come_in_parts_as_ecr_s_clients_send_them() {
    let place = Place::new();
    let core = place.serve();
    create(&core, named("ab")).await.unwrap();
    let begun = InitiateLayerUploadRequest { repository_name: "ab".to_owned(), registry_id: None };
    let id = core.initiate_layer_upload(&context(), begun.clone()).await.unwrap().upload_id.unwrap();
    let part = |id: &str, first: usize, bytes: &[u8]| UploadLayerPartRequest {
        repository_name: "ab".to_owned(),
        upload_id: id.to_owned(),
        part_first_byte: i64::try_from(first).unwrap(),
        part_last_byte: i64::try_from(first + bytes.len()).unwrap() - 1,
        layer_part_blob: Blob(bytes.to_vec()),
        registry_id: None,
    };
    let complete = |id: &str, digest: &Digest| CompleteLayerUploadRequest {
        repository_name: "ab".to_owned(),
        upload_id: id.to_owned(),
        layer_digests: vec![digest.to_string()],
        registry_id: None,
    };
    let large = vec![7; 5 << 20];
    refused(
        core.complete_layer_upload(&context(), complete(&id, &digest_of(b""))).await,
        ErrorCode::EmptyUpload,
        "does not contain any layer parts",
    );
    let last = core.upload_layer_part(&context(), part(&id, 0, &large)).await.unwrap().last_byte_received;
    assert_eq!(last, Some((5 << 20) - 1));
    refused(
        core.upload_layer_part(&context(), part(&id, 0, b"again")).await,
        ErrorCode::InvalidLayerPart,
        "not consecutive",
    );
    let lying = UploadLayerPartRequest { part_last_byte: 5 << 20, ..part(&id, 5 << 20, b"end") };
    refused(core.upload_layer_part(&context(), lying).await, ErrorCode::InvalidLayerPart, "3 came");
    core.upload_layer_part(&context(), part(&id, 5 << 20, b"end")).await.unwrap();
    let whole = [large.as_slice(), b"end"].concat();
    let digest = digest_of(&whole);
    core.complete_layer_upload(&context(), complete(&id, &digest)).await.unwrap();
    refused(core.complete_layer_upload(&context(), complete(&id, &digest)).await, ErrorCode::UploadNotFound, &id);
    assert_eq!(read(&core, "ab", &digest, None).await.unwrap(), whole);
    let again = core.initiate_layer_upload(&context(), begun).await.unwrap().upload_id.unwrap();
    core.upload_layer_part(&context(), part(&again, 0, &large)).await.unwrap();
    core.upload_layer_part(&context(), part(&again, 5 << 20, b"end")).await.unwrap();
    refused(
        core.complete_layer_upload(&context(), complete(&again, &digest)).await,
        ErrorCode::LayerAlreadyExists,
        "already exists",
    );
    let check = BatchCheckLayerAvailabilityRequest {
        repository_name: "ab".to_owned(),
        layer_digests: vec![digest.to_string(), digest_of(b"no").to_string(), "x".to_owned()],
        registry_id: None,
    };
    let answer = core.batch_check_layer_availability(&context(), check).await.unwrap();
    let found: Vec<_> = answer.layers.unwrap().into_iter().map(|layer| layer.layer_availability.unwrap()).collect();
    assert_eq!(found, [LayerAvailability::Available, LayerAvailability::Unavailable]);
    assert_eq!(answer.failures.unwrap()[0].failure_code, Some(LayerFailureCode::InvalidLayerDigest));
    let link = GetDownloadUrlForLayerRequest {
        repository_name: "ab".to_owned(),
        layer_digest: digest.to_string(),
        registry_id: None,
    };
    let url = core.get_download_url_for_layer(&context(), link.clone()).await.unwrap().download_url.unwrap();
    let (head, token) = url.split_once("?kiln-link=").unwrap();
    assert_eq!(head, format!("http://127.0.0.1:5456/v2/ab/blobs/{digest}"));
    assert!(core.is_layer_link("ab", &digest, token));
    assert!(!core.is_layer_link("cd", &digest, token) && !core.is_layer_link("ab", &digest_of(b""), token));
    place.advance(Duration::from_secs(60 * 60));
    assert!(!core.is_layer_link("ab", &digest, token), "its hour is over");
    let none = GetDownloadUrlForLayerRequest { layer_digest: digest_of(b"no").to_string(), ..link };
    refused(core.get_download_url_for_layer(&context(), none).await, ErrorCode::LayersNotFound, "does not exist");
    place.checked(core);
}
