//! Buckets and their settings.

use serde::{Deserialize, Serialize};

use super::{LifecycleRule, S3Code, S3Error, Tag};
use crate::{Timestamp, enumeration::enumeration};

enumeration! {
    /// Whether a bucket keeps the versions of its objects.
    Versioning {
        /// New versions have ids of their own.
        Enabled = "Enabled",
        /// New ones are the `null` version; those with ids of their own stay.
        Suspended = "Suspended",
    }
}

enumeration! {
    /// Who owns what others put into a bucket. There is one account here: it is only kept.
    ObjectOwnership {
        /// ACLs mean nothing.
        BucketOwnerEnforced = "BucketOwnerEnforced",
        /// The bucket's owner, when the ACL says so.
        BucketOwnerPreferred = "BucketOwnerPreferred",
        /// Who wrote it.
        ObjectWriter = "ObjectWriter",
    }
}

/// How objects are sealed whose writer does not say it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultEncryption {
    /// Sealed with a KMS key (`aws:kms`); otherwise S3's own (`AES256`).
    pub kms: bool,
    /// The key: id, ARN or alias, as it was given; `None` is `alias/aws/s3`.
    pub key: Option<String>,
    /// `BucketKeyEnabled`, which changes nothing here.
    pub bucket_key: bool,
}

/// What a bucket lets nobody allow to the public.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "that is what it consists of")]
pub struct PublicAccessBlock {
    /// `BlockPublicAcls`.
    pub block_public_acls: bool,
    /// `IgnorePublicAcls`.
    pub ignore_public_acls: bool,
    /// `BlockPublicPolicy`.
    pub block_public_policy: bool,
    /// `RestrictPublicBuckets`.
    pub restrict_public_buckets: bool,
}

/// A rule for requests from pages of other origins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorsRule {
    /// `ID`.
    pub id: Option<String>,
    /// `AllowedHeader`.
    pub allowed_headers: Vec<String>,
    /// `AllowedMethod`: GET, PUT, POST, DELETE, HEAD.
    pub allowed_methods: Vec<String>,
    /// `AllowedOrigin`.
    pub allowed_origins: Vec<String>,
    /// `ExposeHeader`.
    pub expose_headers: Vec<String>,
    /// `MaxAgeSeconds`.
    pub max_age_seconds: Option<i32>,
}

/// Everything that is set about a bucket. `None`: never set, or deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BucketSettings {
    /// Versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub versioning: Option<Versioning>,
    /// Default encryption. S3 shows `AES256` for buckets that never had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption: Option<DefaultEncryption>,
    /// Lifecycle rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Vec<LifecycleRule>>,
    /// Tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<Tag>>,
    /// The policy's JSON, as it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Public access block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_access_block: Option<PublicAccessBlock>,
    /// Ownership controls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ownership: Option<ObjectOwnership>,
    /// CORS rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<Vec<CorsRule>>,
}

impl BucketSettings {
    /// The lifecycle rules.
    ///
    /// # Errors
    /// [`S3Code::NoSuchLifecycleConfiguration`].
    pub fn lifecycle(&self) -> Result<&[LifecycleRule], S3Error> {
        let missing =
            || S3Error::new(S3Code::NoSuchLifecycleConfiguration, "The lifecycle configuration does not exist");
        self.lifecycle.as_deref().ok_or_else(missing)
    }

    /// The tags.
    ///
    /// # Errors
    /// [`S3Code::NoSuchTagSet`].
    pub fn tags(&self) -> Result<&[Tag], S3Error> {
        self.tags.as_deref().ok_or_else(|| S3Error::new(S3Code::NoSuchTagSet, "The TagSet does not exist"))
    }

    /// The policy.
    ///
    /// # Errors
    /// [`S3Code::NoSuchBucketPolicy`].
    pub fn policy(&self) -> Result<&str, S3Error> {
        let missing = || S3Error::new(S3Code::NoSuchBucketPolicy, "The bucket policy does not exist");
        self.policy.as_deref().ok_or_else(missing)
    }

    /// The public access block.
    ///
    /// # Errors
    /// [`S3Code::NoSuchPublicAccessBlock`].
    pub fn public_access_block(&self) -> Result<PublicAccessBlock, S3Error> {
        let missing =
            || S3Error::new(S3Code::NoSuchPublicAccessBlock, "The public access block configuration was not found");
        self.public_access_block.ok_or_else(missing)
    }

    /// The ownership controls.
    ///
    /// # Errors
    /// [`S3Code::OwnershipControlsNotFound`].
    pub fn ownership(&self) -> Result<ObjectOwnership, S3Error> {
        let missing =
            || S3Error::new(S3Code::OwnershipControlsNotFound, "The bucket ownership controls were not found");
        self.ownership.ok_or_else(missing)
    }

    /// The CORS rules.
    ///
    /// # Errors
    /// [`S3Code::NoSuchCorsConfiguration`].
    pub fn cors(&self) -> Result<&[CorsRule], S3Error> {
        let missing = || S3Error::new(S3Code::NoSuchCorsConfiguration, "The CORS configuration does not exist");
        self.cors.as_deref().ok_or_else(missing)
    }
}

/// A setting of a bucket, to be put in place of what it was; `None` deletes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BucketSetting {
    /// Versions; they cannot be deleted.
    Versioning(Versioning),
    /// Default encryption.
    Encryption(Option<DefaultEncryption>),
    /// Lifecycle rules.
    Lifecycle(Option<Vec<LifecycleRule>>),
    /// Tags.
    Tags(Option<Vec<Tag>>),
    /// The policy's JSON.
    Policy(Option<String>),
    /// Public access block.
    PublicAccessBlock(Option<PublicAccessBlock>),
    /// Ownership controls.
    Ownership(Option<ObjectOwnership>),
    /// CORS rules.
    Cors(Option<Vec<CorsRule>>),
}

/// A bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Creation.
    pub created: Timestamp,
    /// Its settings.
    pub settings: BucketSettings,
}
