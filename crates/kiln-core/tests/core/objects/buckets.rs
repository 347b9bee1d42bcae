//! Buckets and their settings.

use kiln_model::{
    s3::{BucketSetting, DefaultEncryption, Encryption, ObjectRef, S3Code, Tag, Versioning},
    service::{Context, Objects as _},
};

use super::{code, get, put, read, whole, with_bucket};
use crate::place::{Place, context};

#[tokio::test]
async fn buckets_are_made_once_and_deleted_when_empty() {
    let place = Place::new();
    let core = with_bucket(&place).await;
    core.create_bucket(&context(), "bucket").await.unwrap();
    let elsewhere = Context { region: "eu-west-1".to_owned(), ..context() };
    assert_eq!(code(core.create_bucket(&elsewhere, "bucket").await), S3Code::BucketAlreadyOwnedByYou);
    assert_eq!(code(core.create_bucket(&context(), "Bad_Name").await), S3Code::InvalidBucketName);
    put(&core, "bucket", "a", b"x").await;
    assert_eq!(code(core.delete_bucket(&context(), "bucket").await), S3Code::BucketNotEmpty);
    let input = kiln_model::s3::DeleteObjectInput { object: ObjectRef::newest("bucket", "a"), if_match: None };
    core.delete_object(&context(), input).await.unwrap();
    core.delete_bucket(&context(), "bucket").await.unwrap();
    assert_eq!(code(core.delete_bucket(&context(), "bucket").await), S3Code::NoSuchBucket);
    assert_eq!(code(core.bucket(&context(), "bucket").await), S3Code::NoSuchBucket);
    assert_eq!(code(get(&core, "bucket", "a").await), S3Code::NoSuchBucket);
    assert!(core.list_buckets(&context()).await.unwrap().is_empty());
    place.checked(core);
}

#[tokio::test]
async fn settings_stay_over_a_restart() {
    let place = Place::new();
    let core = with_bucket(&place).await;
    let tags = vec![Tag { key: "team".to_owned(), value: "a".to_owned() }];
    let policy = r#"{"Version":"2012-10-17","Statement":[]}"#.to_owned();
    for setting in [
        BucketSetting::Versioning(Versioning::Enabled),
        BucketSetting::Tags(Some(tags.clone())),
        BucketSetting::Policy(Some(policy.clone())),
    ] {
        core.set_bucket(&context(), "bucket", setting).await.unwrap();
    }
    core.stop();
    drop(core);
    let core = place.serve();
    let bucket = core.bucket(&context(), "bucket").await.unwrap();
    assert_eq!(bucket.settings.versioning, Some(Versioning::Enabled));
    assert_eq!(bucket.settings.tags().unwrap(), tags);
    assert_eq!(bucket.settings.policy().unwrap(), policy);
    assert_eq!(bucket.settings.lifecycle().unwrap_err().code, S3Code::NoSuchLifecycleConfiguration);
    core.set_bucket(&context(), "bucket", BucketSetting::Policy(None)).await.unwrap();
    let bucket = core.bucket(&context(), "bucket").await.unwrap();
    assert_eq!(bucket.settings.policy().unwrap_err().code, S3Code::NoSuchBucketPolicy);
    let missing = core.set_bucket(&context(), "other", BucketSetting::Tags(None)).await;
    assert_eq!(code(missing), S3Code::NoSuchBucket);
    place.checked(core);
}

#[tokio::test]
async fn objects_are_sealed_as_their_bucket_says() {
    let place = Place::new();
    let core = with_bucket(&place).await;
    put(&core, "bucket", "before", b"1").await;
    let default = DefaultEncryption { kms: true, key: None, bucket_key: true };
    core.set_bucket(&context(), "bucket", BucketSetting::Encryption(Some(default))).await.unwrap();
    let stored = put(&core, "bucket", "after", b"2").await;
    assert!(matches!(&stored.encryption, Encryption::Kms { key_arn, bucket_key: true } if key_arn.contains(":key/")));
    let (before, bytes) = read(&core, whole(ObjectRef::newest("bucket", "before"))).await.unwrap();
    assert_eq!((before.info.encryption, bytes.as_slice()), (Encryption::Aes256, b"1".as_slice()));
    let unknown = DefaultEncryption { kms: true, key: Some("alias/none".to_owned()), bucket_key: false };
    let refused = core.set_bucket(&context(), "bucket", BucketSetting::Encryption(Some(unknown))).await;
    assert_eq!(code(refused), S3Code::KmsNotFound);
    place.checked(core);
}
