//! Objects in buckets, as S3 has them: shapes, names and their rules, errors (`api.md` 8.6).
//!
//! In terms of the domain: no HTTP, no XML. ETags are without quotes, times are [`crate::Timestamp`]s, names are as clients
//! gave them, after decoding.

mod bucket;
mod checksum;
mod condition;
mod error;
mod lifecycle;
mod list;
mod multipart;
mod name;
mod object;
mod tag;

pub use self::{
    bucket::{
        Bucket, BucketSetting, BucketSettings, CorsRule, DefaultEncryption, ObjectOwnership, PublicAccessBlock,
        Versioning,
    },
    checksum::{Checksum, ChecksumAlgorithm, ChecksumKind, ExpectedChecksum, TrailingChecksum},
    condition::{ByteRange, EtagCondition, NotMet, ReadConditions, WriteConditions},
    error::{S3Code, S3Error},
    lifecycle::{Expiration, LifecycleRule, NoncurrentExpiration},
    list::{
        ListObjectsInput, ListObjectsOutput, ListPartsInput, ListPartsOutput, ListUploadsInput, ListUploadsOutput,
        ListVersionsInput, ListVersionsOutput, ListedObject, ListedPart, ListedUpload, ListedVersion,
    },
    multipart::{
        CompleteUploadInput, CompletedPart, CopyPartInput, CreateUploadInput, MAX_PART_NUMBER, MAX_PART_SIZE,
        MIN_PART_SIZE, StoredPart, Upload, UploadId, UploadPartInput,
    },
    name::{MAX_KEY_BYTES, NULL_VERSION, check_bucket_name, check_key, check_metadata},
    object::{
        ContentHeaders, CopyObjectInput, CopyOutput, CopySource, DeleteObjectInput, DeletedObject, Encryption,
        EncryptionRequest, GetObjectInput, MAX_OBJECT_SIZE, NewObject, Object, ObjectAttributes, ObjectInfo,
        ObjectPart, ObjectRef, PutObjectInput, StoredObject,
    },
    tag::{BUCKET_TAGS, OBJECT_TAGS, Tag, check_tags},
};
