//! Buckets and their settings.

use kiln_model::{
    s3::{
        BUCKET_TAGS, BucketSetting, DefaultEncryption, ObjectOwnership, PublicAccessBlock, S3Code, S3Error, Versioning,
        check_tags,
    },
    service::Service,
};
use s3s::{S3Response, dto};

use super::{
    call::{Call, with_header},
    convert::{check_acl, tags_in, tags_out, timestamp},
};
use crate::{authenticate::Keys, authorise::Authorizer};

type Answered<T> = Result<S3Response<T>, S3Error>;

/// An answer that says no more than that it was done.
fn done<T: Default>() -> Answered<T> {
    Ok(S3Response::new(T::default()))
}

/// Everybody's canonical id: there is one account.
pub(super) fn owner<S: Service, K: Keys, A: Authorizer>(call: &Call<S, K, A>) -> dto::Owner {
    dto::Owner { display_name: Some(call.context.caller.account.clone()), id: Some(canonical_id(call)) }
}

/// A canonical user id is 64 hexadecimal digits, and the same for all of an account.
pub(super) fn canonical_id<S: Service, K: Keys, A: Authorizer>(call: &Call<S, K, A>) -> String {
    hex::encode(kiln_iam::sigv4::sha256(call.context.caller.account.as_bytes()))
}

pub(super) async fn list<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::ListBucketsInput,
) -> Answered<dto::ListBucketsOutput> {
    const MOST: usize = 10_000;
    let limit = super::convert::limit(input.max_buckets, MOST, "max-buckets")?;
    let all = call.service().list_buckets(&call.context).await?;
    let prefix = input.prefix.unwrap_or_default();
    let after = input.continuation_token.unwrap_or_default();
    let is_elsewhere = input.bucket_region.is_some_and(|region| region != call.context.region);
    let mut rest = all
        .into_iter()
        .filter(|bucket| !is_elsewhere && bucket.name.starts_with(&prefix) && bucket.name > after)
        .peekable();
    let mut buckets = Vec::new();
    while buckets.len() < limit
        && let Some(bucket) = rest.next()
    {
        buckets.push(dto::Bucket {
            bucket_region: Some(call.context.region.clone()),
            creation_date: Some(timestamp(&bucket.created)),
            name: Some(bucket.name),
        });
    }
    let last = buckets.last().and_then(|bucket: &dto::Bucket| bucket.name.clone());
    Ok(S3Response::new(dto::ListBucketsOutput {
        continuation_token: last.filter(|_| rest.peek().is_some()),
        buckets: Some(buckets),
        owner: Some(owner(call)),
        prefix: Some(prefix).filter(|prefix| !prefix.is_empty()),
    }))
}

pub(super) async fn create<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::CreateBucketInput,
) -> Answered<dto::CreateBucketOutput> {
    check_acl(&call.headers)?;
    if input.object_lock_enabled_for_bucket == Some(true) {
        return Err(S3Error::not_implemented("S3's object lock"));
    }
    let region = &call.context.region;
    let configuration = input.create_bucket_configuration;
    if let Some(constraint) = configuration.and_then(|configuration| configuration.location_constraint)
        && constraint.as_str() != region
    {
        return Err(S3Error::new(
            S3Code::IllegalLocationConstraint,
            format!(
                "The {} location constraint is incompatible for the region specific endpoint this request was sent to: \
                 this is '{region}'",
                constraint.as_str().chars().take(64).collect::<String>()
            ),
        ));
    }
    call.service().create_bucket(&call.context, &input.bucket).await?;
    let ownership = call.headers.get("x-amz-object-ownership").and_then(|value| value.to_str().ok());
    if let Some(ownership) = ownership {
        let ownership = ownership_of(ownership)?;
        call.service().set_bucket(&call.context, &input.bucket, BucketSetting::Ownership(Some(ownership))).await?;
    }
    Ok(S3Response::new(dto::CreateBucketOutput { location: Some(format!("/{}", input.bucket)) }))
}

pub(super) async fn delete<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::DeleteBucketInput,
) -> Answered<dto::DeleteBucketOutput> {
    call.service().delete_bucket(&call.context, &input.bucket).await?;
    done()
}

pub(super) async fn head<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::HeadBucketInput,
) -> Answered<dto::HeadBucketOutput> {
    call.service().bucket(&call.context, &input.bucket).await?;
    let output = dto::HeadBucketOutput { bucket_region: Some(call.context.region.clone()), ..Default::default() };
    Ok(with_header(output, "x-amz-bucket-region", &call.context.region))
}

pub(super) async fn location<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::GetBucketLocationInput,
) -> Answered<dto::GetBucketLocationOutput> {
    call.service().bucket(&call.context, &input.bucket).await?;
    // The oldest region is the one without a name.
    let region = Some(call.context.region.clone()).filter(|region| region != "us-east-1");
    let output = dto::GetBucketLocationOutput { location_constraint: region.map(dto::BucketLocationConstraint::from) };
    Ok(S3Response::new(output))
}

pub(super) async fn versioning<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::GetBucketVersioningInput,
) -> Answered<dto::GetBucketVersioningOutput> {
    let bucket = call.service().bucket(&call.context, &input.bucket).await?;
    let status = bucket.settings.versioning.map(|status| dto::BucketVersioningStatus::from(status.as_str().to_owned()));
    Ok(S3Response::new(dto::GetBucketVersioningOutput { mfa_delete: None, status }))
}

pub(super) async fn set_versioning<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::PutBucketVersioningInput,
) -> Answered<dto::PutBucketVersioningOutput> {
    let configuration = input.versioning_configuration;
    if configuration.mfa_delete.is_some_and(|mfa| mfa.as_str() == "Enabled") {
        return Err(S3Error::not_implemented("S3's deletion with a second factor (MFA delete)"));
    }
    let status = configuration.status;
    let status = status.and_then(|status| Versioning::ALL.iter().find(|each| each.as_str() == status.as_str()));
    let status = status.ok_or_else(|| malformed("the versioning configuration has no Status Enabled or Suspended"))?;
    call.service().set_bucket(&call.context, &input.bucket, BucketSetting::Versioning(*status)).await?;
    done()
}

pub(super) async fn encryption<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::GetBucketEncryptionInput,
) -> Answered<dto::GetBucketEncryptionOutput> {
    let bucket = call.service().bucket(&call.context, &input.bucket).await?;
    // S3 shows its own encryption for buckets that say nothing.
    let default = DefaultEncryption { kms: false, key: None, bucket_key: false };
    let encryption = bucket.settings.encryption.unwrap_or(default);
    let algorithm = if encryption.kms { dto::ServerSideEncryption::AWS_KMS } else { dto::ServerSideEncryption::AES256 };
    let rule = dto::ServerSideEncryptionRule {
        apply_server_side_encryption_by_default: Some(dto::ServerSideEncryptionByDefault {
            kms_master_key_id: encryption.key,
            sse_algorithm: dto::ServerSideEncryption::from_static(algorithm),
        }),
        bucket_key_enabled: Some(encryption.bucket_key),
    };
    let configuration = dto::ServerSideEncryptionConfiguration { rules: vec![rule] };
    let output = dto::GetBucketEncryptionOutput { server_side_encryption_configuration: Some(configuration) };
    Ok(S3Response::new(output))
}

pub(super) async fn set_encryption<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::PutBucketEncryptionInput,
) -> Answered<dto::PutBucketEncryptionOutput> {
    let mut rules = input.server_side_encryption_configuration.rules;
    let (Some(rule), true) = (rules.pop(), rules.is_empty()) else {
        return Err(malformed("the encryption configuration has not exactly one rule"));
    };
    let default = rule.apply_server_side_encryption_by_default;
    let default = default.ok_or_else(|| malformed("the rule has no ApplyServerSideEncryptionByDefault"))?;
    let kms = match default.sse_algorithm.as_str() {
        "AES256" if default.kms_master_key_id.is_none() => false,
        "aws:kms" => true,
        "aws:kms:dsse" => return Err(S3Error::not_implemented("Encryption in two layers (aws:kms:dsse)")),
        _ => return Err(malformed("SSEAlgorithm is aws:kms, or AES256 without a KMSMasterKeyID")),
    };
    let bucket_key = rule.bucket_key_enabled.unwrap_or(false);
    let encryption = DefaultEncryption { kms, key: default.kms_master_key_id, bucket_key };
    call.service().set_bucket(&call.context, &input.bucket, BucketSetting::Encryption(Some(encryption))).await?;
    done()
}

pub(super) async fn delete_encryption<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::DeleteBucketEncryptionInput,
) -> Answered<dto::DeleteBucketEncryptionOutput> {
    call.service().set_bucket(&call.context, &input.bucket, BucketSetting::Encryption(None)).await?;
    done()
}

pub(super) async fn tagging<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::GetBucketTaggingInput,
) -> Answered<dto::GetBucketTaggingOutput> {
    let bucket = call.service().bucket(&call.context, &input.bucket).await?;
    Ok(S3Response::new(dto::GetBucketTaggingOutput { tag_set: tags_out(bucket.settings.tags()?) }))
}

pub(super) async fn set_tagging<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::PutBucketTaggingInput,
) -> Answered<dto::PutBucketTaggingOutput> {
    let tags = tags_in(input.tagging.tag_set);
    check_tags(&tags, BUCKET_TAGS)?;
    call.service().set_bucket(&call.context, &input.bucket, BucketSetting::Tags(Some(tags))).await?;
    done()
}

pub(super) async fn delete_tagging<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::DeleteBucketTaggingInput,
) -> Answered<dto::DeleteBucketTaggingOutput> {
    call.service().set_bucket(&call.context, &input.bucket, BucketSetting::Tags(None)).await?;
    done()
}

pub(super) async fn policy<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::GetBucketPolicyInput,
) -> Answered<dto::GetBucketPolicyOutput> {
    let bucket = call.service().bucket(&call.context, &input.bucket).await?;
    let output = dto::GetBucketPolicyOutput { policy: Some(bucket.settings.policy()?.to_owned()) };
    Ok(with_header(output, "content-type", "application/json"))
}

pub(super) async fn set_policy<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::PutBucketPolicyInput,
) -> Answered<dto::PutBucketPolicyOutput> {
    call.service().set_bucket(&call.context, &input.bucket, BucketSetting::Policy(Some(input.policy))).await?;
    done()
}

pub(super) async fn delete_policy<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::DeleteBucketPolicyInput,
) -> Answered<dto::DeleteBucketPolicyOutput> {
    call.service().set_bucket(&call.context, &input.bucket, BucketSetting::Policy(None)).await?;
    done()
}

pub(super) async fn access_block<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::GetPublicAccessBlockInput,
) -> Answered<dto::GetPublicAccessBlockOutput> {
    let bucket = call.service().bucket(&call.context, &input.bucket).await?;
    let block = bucket.settings.public_access_block()?;
    let configuration = dto::PublicAccessBlockConfiguration {
        block_public_acls: Some(block.block_public_acls),
        block_public_policy: Some(block.block_public_policy),
        ignore_public_acls: Some(block.ignore_public_acls),
        restrict_public_buckets: Some(block.restrict_public_buckets),
    };
    let output = dto::GetPublicAccessBlockOutput { public_access_block_configuration: Some(configuration) };
    Ok(S3Response::new(output))
}

pub(super) async fn set_access_block<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::PutPublicAccessBlockInput,
) -> Answered<dto::PutPublicAccessBlockOutput> {
    let configuration = input.public_access_block_configuration;
    let block = PublicAccessBlock {
        block_public_acls: configuration.block_public_acls.unwrap_or(false),
        ignore_public_acls: configuration.ignore_public_acls.unwrap_or(false),
        block_public_policy: configuration.block_public_policy.unwrap_or(false),
        restrict_public_buckets: configuration.restrict_public_buckets.unwrap_or(false),
    };
    call.service().set_bucket(&call.context, &input.bucket, BucketSetting::PublicAccessBlock(Some(block))).await?;
    done()
}

pub(super) async fn delete_access_block<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::DeletePublicAccessBlockInput,
) -> Answered<dto::DeletePublicAccessBlockOutput> {
    call.service().set_bucket(&call.context, &input.bucket, BucketSetting::PublicAccessBlock(None)).await?;
    done()
}

pub(super) async fn ownership<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::GetBucketOwnershipControlsInput,
) -> Answered<dto::GetBucketOwnershipControlsOutput> {
    let bucket = call.service().bucket(&call.context, &input.bucket).await?;
    let ownership = bucket.settings.ownership()?.as_str().to_owned();
    let rule = dto::OwnershipControlsRule { object_ownership: dto::ObjectOwnership::from(ownership) };
    let controls = dto::OwnershipControls { rules: vec![rule] };
    Ok(S3Response::new(dto::GetBucketOwnershipControlsOutput { ownership_controls: Some(controls) }))
}

pub(super) async fn set_ownership<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::PutBucketOwnershipControlsInput,
) -> Answered<dto::PutBucketOwnershipControlsOutput> {
    let [rule] = input.ownership_controls.rules.as_slice() else {
        return Err(malformed("the ownership controls have not exactly one rule"));
    };
    let ownership = ownership_of(rule.object_ownership.as_str())?;
    call.service().set_bucket(&call.context, &input.bucket, BucketSetting::Ownership(Some(ownership))).await?;
    done()
}

pub(super) async fn delete_ownership<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::DeleteBucketOwnershipControlsInput,
) -> Answered<dto::DeleteBucketOwnershipControlsOutput> {
    call.service().set_bucket(&call.context, &input.bucket, BucketSetting::Ownership(None)).await?;
    done()
}

fn ownership_of(text: &str) -> Result<ObjectOwnership, S3Error> {
    let known = ObjectOwnership::ALL.iter().find(|each| each.as_str() == text);
    known
        .copied()
        .ok_or_else(|| malformed("ObjectOwnership is BucketOwnerEnforced, BucketOwnerPreferred or ObjectWriter"))
}

/// XML that is none of what the operation takes.
pub(super) fn malformed(what: &str) -> S3Error {
    let text = "The XML you provided was not well-formed or did not validate against our published schema";
    S3Error::new(S3Code::MalformedXml, format!("{text}: {what}"))
}
