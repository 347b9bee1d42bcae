//! Settings that are the same for every bucket here: clients read them, and some write them back.

use kiln_model::{
    s3::{ObjectRef, S3Code, S3Error},
    service::Service,
};
use s3s::{S3Response, dto};

use super::{
    buckets::{canonical_id, owner},
    call::Call,
    convert::{acl_not_supported, check_acl},
};
use crate::{authenticate::Keys, authorise::Authorizer};

type Answered<T> = Result<S3Response<T>, S3Error>;

async fn exists<S: Service, K: Keys, A: Authorizer>(call: &Call<S, K, A>, bucket: &str) -> Result<(), S3Error> {
    call.service().bucket(&call.context, bucket).await.map(drop)
}

async fn object_exists<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    bucket: &str,
    key: &str,
    version_id: Option<String>,
) -> Result<(), S3Error> {
    let object = ObjectRef { bucket: bucket.to_owned(), key: key.to_owned(), version_id };
    call.service().object_tags(&call.context, object).await.map(drop)
}

/// The owner may do everything, and nobody else is named.
fn grants<S: Service, K: Keys, A: Authorizer>(call: &Call<S, K, A>) -> dto::Grants {
    let grantee = dto::Grantee {
        display_name: None,
        email_address: None,
        id: Some(canonical_id(call)),
        type_: dto::Type::from_static(dto::Type::CANONICAL_USER),
        uri: None,
    };
    let permission = dto::Permission::from_static(dto::Permission::FULL_CONTROL);
    vec![dto::Grant { grantee: Some(grantee), permission: Some(permission) }]
}

/// A list of grants is accepted when it is the one that is there anyway.
fn check_grants<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    policy: Option<dto::AccessControlPolicy>,
) -> Result<(), S3Error> {
    check_acl(&call.headers)?;
    let Some(policy) = policy else { return Ok(()) };
    let id = canonical_id(call);
    let is_owner = |grant: &dto::Grant| {
        grant.grantee.as_ref().is_some_and(|grantee| grantee.id.as_deref() == Some(&id))
            && grant.permission.as_ref().is_some_and(|permission| permission.as_str() == "FULL_CONTROL")
    };
    if policy.grants.unwrap_or_default().iter().all(is_owner) { Ok(()) } else { Err(acl_not_supported()) }
}

pub(super) async fn bucket_acl<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::GetBucketAclInput,
) -> Answered<dto::GetBucketAclOutput> {
    exists(call, &input.bucket).await?;
    Ok(S3Response::new(dto::GetBucketAclOutput { grants: Some(grants(call)), owner: Some(owner(call)) }))
}

pub(super) async fn set_bucket_acl<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::PutBucketAclInput,
) -> Answered<dto::PutBucketAclOutput> {
    exists(call, &input.bucket).await?;
    check_grants(call, input.access_control_policy)?;
    Ok(S3Response::new(dto::PutBucketAclOutput::default()))
}

pub(super) async fn object_acl<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::GetObjectAclInput,
) -> Answered<dto::GetObjectAclOutput> {
    object_exists(call, &input.bucket, &input.key, input.version_id).await?;
    let (grants, owner) = (Some(grants(call)), Some(owner(call)));
    Ok(S3Response::new(dto::GetObjectAclOutput { grants, owner, request_charged: None }))
}

pub(super) async fn set_object_acl<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::PutObjectAclInput,
) -> Answered<dto::PutObjectAclOutput> {
    object_exists(call, &input.bucket, &input.key, input.version_id).await?;
    check_grants(call, input.access_control_policy)?;
    Ok(S3Response::new(dto::PutObjectAclOutput::default()))
}

pub(super) async fn acceleration<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::GetBucketAccelerateConfigurationInput,
) -> Answered<dto::GetBucketAccelerateConfigurationOutput> {
    exists(call, &input.bucket).await?;
    Ok(S3Response::new(dto::GetBucketAccelerateConfigurationOutput::default()))
}

pub(super) async fn logging<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::GetBucketLoggingInput,
) -> Answered<dto::GetBucketLoggingOutput> {
    exists(call, &input.bucket).await?;
    Ok(S3Response::new(dto::GetBucketLoggingOutput::default()))
}

pub(super) async fn notification<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::GetBucketNotificationConfigurationInput,
) -> Answered<dto::GetBucketNotificationConfigurationOutput> {
    exists(call, &input.bucket).await?;
    Ok(S3Response::new(dto::GetBucketNotificationConfigurationOutput::default()))
}

pub(super) async fn request_payment<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::GetBucketRequestPaymentInput,
) -> Answered<dto::GetBucketRequestPaymentOutput> {
    exists(call, &input.bucket).await?;
    let payer = Some(dto::Payer::from_static(dto::Payer::BUCKET_OWNER));
    Ok(S3Response::new(dto::GetBucketRequestPaymentOutput { payer }))
}

pub(super) async fn replication<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::GetBucketReplicationInput,
) -> Answered<dto::GetBucketReplicationOutput> {
    exists(call, &input.bucket).await?;
    Err(S3Error::new(S3Code::ReplicationConfigurationNotFound, "The replication configuration was not found"))
}

pub(super) async fn website<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::GetBucketWebsiteInput,
) -> Answered<dto::GetBucketWebsiteOutput> {
    exists(call, &input.bucket).await?;
    let text = "The specified bucket does not have a website configuration";
    Err(S3Error::new(S3Code::NoSuchWebsiteConfiguration, text))
}

pub(super) async fn object_lock<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::GetObjectLockConfigurationInput,
) -> Answered<dto::GetObjectLockConfigurationOutput> {
    exists(call, &input.bucket).await?;
    let text = "Object Lock configuration does not exist for this bucket";
    Err(S3Error::new(S3Code::ObjectLockConfigurationNotFound, text))
}
