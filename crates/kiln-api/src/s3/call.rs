//! One request of S3, between the decoder and the service.

use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, HeaderValue};
use kiln_model::{
    ApiError, ErrorCode,
    s3::{Bucket, ExpectedChecksum, S3Code, S3Error},
    service::{Context, Service},
};
use s3s::{
    S3Request, S3Response, S3Result,
    access::{S3Access, S3AccessContext},
    auth::{S3Auth, SecretKey},
    dto, s3_error,
};

use super::{
    access::{Need, needs},
    buckets, lists, objects,
    payload::Payload,
    uploads,
};
use crate::{
    audit::Trail,
    authenticate::Keys,
    authorise::{Authorizer, Question},
    body::Answer,
    server::Server,
};

/// What a request brought along that the decoder has no place for, and what its answer is beside what the decoder
/// writes: bytes never go through it.
pub(super) struct Call<S, K, A> {
    pub(super) server: Arc<Server<S, K, A>>,
    /// Who sent it. The caller of a request that nobody signed has no ARN.
    pub(super) context: Context,
    /// What is kept of it.
    pub(super) trail: Arc<Trail>,
    /// Its method is one of those that change something.
    pub(super) changes: bool,
    /// Nobody signed it.
    pub(super) is_anonymous: bool,
    /// Condition keys of all of its permissions.
    pub(super) keys: Vec<(&'static str, String)>,
    /// Headers as they came.
    pub(super) headers: HeaderMap,
    /// Query as it came.
    pub(super) query: Option<String>,
    /// `http://` or `https://` and the host that the client calls this server by.
    pub(super) origin: String,
    /// An object's bytes, until they are taken.
    pub(super) payload: Mutex<Option<Payload>>,
    /// How many there are.
    pub(super) length: Option<u64>,
    /// Their checksum.
    pub(super) checksum: Option<ExpectedChecksum>,
    /// Why it is not fulfilled.
    pub(super) fault: Mutex<Option<S3Error>>,
    /// The bytes that go back.
    pub(super) answer: Mutex<Option<Answer>>,
}

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn put<T>(slot: &Mutex<Option<T>>, value: T) {
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
}

impl<S: Service, K: Keys, A: Authorizer> Call<S, K, A> {
    /// The service, which the operations ask.
    pub(super) fn service(&self) -> &S {
        self.server.service.as_ref()
    }

    /// The bytes that the request brought.
    pub(super) fn take_payload(&self) -> Result<Payload, S3Error> {
        take(&self.payload).ok_or_else(|| S3Error::internal("the body of this request was not kept for its operation"))
    }

    pub(super) fn take_fault(&self) -> Option<S3Error> {
        take(&self.fault)
    }

    pub(super) fn take_answer(&self) -> Option<Answer> {
        take(&self.answer)
    }

    /// Keeps bytes for the answer.
    pub(super) fn answer_with(&self, answer: Answer) {
        put(&self.answer, answer);
    }

    /// What clients call this server by, with the protocol.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// What the decoder is told. It writes errors without the request's id and resource, so ours stay here.
    fn tell<T>(&self, result: Result<S3Response<T>, S3Error>) -> S3Result<S3Response<T>> {
        result.map_err(|error| self.refuse(error))
    }

    fn refuse(&self, error: S3Error) -> s3s::S3Error {
        put(&self.fault, error);
        s3_error!(InternalError)
    }

    /// The bucket, if there is one of that name: its policy says who may do what.
    async fn bucket_of(&self, bucket: &str) -> Result<Option<Bucket>, S3Error> {
        match self.service().bucket(&self.context, bucket).await {
            Ok(bucket) => Ok(Some(bucket)),
            Err(error) if error.code == S3Code::NoSuchBucket => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the caller may.
    pub(super) async fn permit(&self, need: &Need<'_>) -> Result<(), S3Error> {
        let bucket = match need.bucket {
            Some(bucket) => self.bucket_of(bucket).await?,
            None => None,
        };
        let settings = bucket.map(|bucket| bucket.settings).unwrap_or_default();
        if self.is_anonymous && settings.public_access_block.is_some_and(|block| block.restrict_public_buckets) {
            return Err(S3Error::new(S3Code::AccessDenied, "Access Denied"));
        }
        let policy = settings.policy;
        let keys: Vec<_> = self.keys.iter().chain(&need.keys).cloned().collect();
        let (resource, tags) = (need.arn(), need.tag_keys());
        let question = Question {
            action: need.action,
            resource: resource.as_deref(),
            bucket_policy: policy.as_deref(),
            account: &self.context.caller.account,
            is_management: need.is_management(),
            keys: &keys,
            input: &tags,
        };
        let caller = (!self.is_anonymous).then_some(&self.context.caller);
        let denied = |error: ApiError| S3Error::new(S3Code::AccessDenied, error.message);
        self.server.authorizer.authorise(caller, &question, &self.context.rulings).map_err(denied)
    }

    /// The bucket must be the one that the client means.
    fn check_owner(&self) -> Result<(), S3Error> {
        for name in ["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"] {
            if self.headers.get(name).is_some_and(|owner| owner.as_bytes() != self.context.caller.account.as_bytes()) {
                return Err(S3Error::new(S3Code::AccessDenied, "Access Denied"));
            }
        }
        Ok(())
    }
}

/// An error that is not S3's own, as S3 would say it.
fn from_api(error: ApiError) -> S3Error {
    let code = match error.code {
        ErrorCode::Throttling | ErrorCode::ServiceUnavailable => S3Code::SlowDown,
        _ => S3Code::InternalError,
    };
    S3Error::new(code, error.message)
}

/// Whether a request may be decoded any further.
pub(super) struct Gate<S, K, A>(pub(super) Arc<Call<S, K, A>>);

#[async_trait::async_trait]
impl<S: Service, K: Keys, A: Authorizer> S3Access for Gate<S, K, A> {
    async fn check(&self, request: &mut S3AccessContext<'_>) -> S3Result<()> {
        let call = &self.0;
        call.trail.named(request.s3_op().name());
        let needs = needs(request.s3_op().name(), request.s3_path(), call.query.as_deref(), &call.headers);
        let needs = needs.map_err(|error| call.refuse(error))?;
        for need in needs {
            call.permit(&need).await.map_err(|error| call.refuse(error))?;
        }
        call.check_owner().map_err(|error| call.refuse(error))?;
        if call.changes {
            call.trail.may_change().map_err(|error| call.refuse(from_api(error)))?;
        }
        Ok(())
    }
}

/// Requests come without signatures: these were verified. The decoder asks [`Gate`] only if there is something like this.
pub(super) struct NoSecrets;

#[async_trait::async_trait]
impl S3Auth for NoSecrets {
    async fn get_secret_key(&self, _: &str) -> S3Result<SecretKey> {
        Err(s3_error!(AccessDenied))
    }
}

/// The operations, as the decoder calls them.
pub(super) struct Front<S, K, A>(pub(super) Arc<Call<S, K, A>>);

/// Each operation is a function of a request and its decoded input.
macro_rules! operations {
    ($($method:ident $input:ident $output:ident $function:path,)+) => {
        #[async_trait::async_trait]
        impl<S: Service, K: Keys, A: Authorizer> s3s::S3 for Front<S, K, A> {
            $(async fn $method(&self, request: S3Request<dto::$input>) -> S3Result<S3Response<dto::$output>> {
                self.0.tell($function(&self.0, request.input).await)
            })+
        }

        /// The names of all of them.
        #[cfg(test)]
        pub(super) fn names() -> impl Iterator<Item = &'static str> {
            [$(stringify!($input)),+].into_iter().map(|input| input.strip_suffix("Input").unwrap_or(input))
        }
    };
}

operations! {
    list_buckets ListBucketsInput ListBucketsOutput buckets::list,
    create_bucket CreateBucketInput CreateBucketOutput buckets::create,
    delete_bucket DeleteBucketInput DeleteBucketOutput buckets::delete,
    head_bucket HeadBucketInput HeadBucketOutput buckets::head,
    get_bucket_location GetBucketLocationInput GetBucketLocationOutput buckets::location,
    get_bucket_versioning GetBucketVersioningInput GetBucketVersioningOutput buckets::versioning,
    put_bucket_versioning PutBucketVersioningInput PutBucketVersioningOutput buckets::set_versioning,
    get_bucket_encryption GetBucketEncryptionInput GetBucketEncryptionOutput buckets::encryption,
    put_bucket_encryption PutBucketEncryptionInput PutBucketEncryptionOutput buckets::set_encryption,
    delete_bucket_encryption DeleteBucketEncryptionInput DeleteBucketEncryptionOutput buckets::delete_encryption,
    get_bucket_tagging GetBucketTaggingInput GetBucketTaggingOutput buckets::tagging,
    put_bucket_tagging PutBucketTaggingInput PutBucketTaggingOutput buckets::set_tagging,
    delete_bucket_tagging DeleteBucketTaggingInput DeleteBucketTaggingOutput buckets::delete_tagging,
    get_bucket_policy GetBucketPolicyInput GetBucketPolicyOutput buckets::policy,
    put_bucket_policy PutBucketPolicyInput PutBucketPolicyOutput buckets::set_policy,
    delete_bucket_policy DeleteBucketPolicyInput DeleteBucketPolicyOutput buckets::delete_policy,
    get_public_access_block GetPublicAccessBlockInput GetPublicAccessBlockOutput buckets::access_block,
    put_public_access_block PutPublicAccessBlockInput PutPublicAccessBlockOutput buckets::set_access_block,
    delete_public_access_block DeletePublicAccessBlockInput DeletePublicAccessBlockOutput buckets::delete_access_block,
    get_bucket_ownership_controls GetBucketOwnershipControlsInput GetBucketOwnershipControlsOutput buckets::ownership,
    put_bucket_ownership_controls PutBucketOwnershipControlsInput PutBucketOwnershipControlsOutput buckets::set_ownership,
    delete_bucket_ownership_controls DeleteBucketOwnershipControlsInput DeleteBucketOwnershipControlsOutput
        buckets::delete_ownership,
    get_bucket_lifecycle_configuration GetBucketLifecycleConfigurationInput GetBucketLifecycleConfigurationOutput
        super::rules::lifecycle,
    put_bucket_lifecycle_configuration PutBucketLifecycleConfigurationInput PutBucketLifecycleConfigurationOutput
        super::rules::set_lifecycle,
    delete_bucket_lifecycle DeleteBucketLifecycleInput DeleteBucketLifecycleOutput super::rules::delete_lifecycle,
    get_bucket_cors GetBucketCorsInput GetBucketCorsOutput super::rules::cors,
    put_bucket_cors PutBucketCorsInput PutBucketCorsOutput super::rules::set_cors,
    delete_bucket_cors DeleteBucketCorsInput DeleteBucketCorsOutput super::rules::delete_cors,
    get_bucket_acl GetBucketAclInput GetBucketAclOutput super::fixed::bucket_acl,
    put_bucket_acl PutBucketAclInput PutBucketAclOutput super::fixed::set_bucket_acl,
    get_object_acl GetObjectAclInput GetObjectAclOutput super::fixed::object_acl,
    put_object_acl PutObjectAclInput PutObjectAclOutput super::fixed::set_object_acl,
    get_bucket_accelerate_configuration GetBucketAccelerateConfigurationInput GetBucketAccelerateConfigurationOutput
        super::fixed::acceleration,
    get_bucket_logging GetBucketLoggingInput GetBucketLoggingOutput super::fixed::logging,
    get_bucket_notification_configuration GetBucketNotificationConfigurationInput
        GetBucketNotificationConfigurationOutput super::fixed::notification,
    get_bucket_replication GetBucketReplicationInput GetBucketReplicationOutput super::fixed::replication,
    get_bucket_request_payment GetBucketRequestPaymentInput GetBucketRequestPaymentOutput super::fixed::request_payment,
    get_bucket_website GetBucketWebsiteInput GetBucketWebsiteOutput super::fixed::website,
    get_object_lock_configuration GetObjectLockConfigurationInput GetObjectLockConfigurationOutput
        super::fixed::object_lock,
    put_object PutObjectInput PutObjectOutput objects::put,
    get_object GetObjectInput GetObjectOutput objects::get,
    head_object HeadObjectInput HeadObjectOutput objects::head,
    copy_object CopyObjectInput CopyObjectOutput objects::copy,
    delete_object DeleteObjectInput DeleteObjectOutput objects::delete,
    delete_objects DeleteObjectsInput DeleteObjectsOutput objects::delete_many,
    get_object_attributes GetObjectAttributesInput GetObjectAttributesOutput objects::attributes,
    get_object_tagging GetObjectTaggingInput GetObjectTaggingOutput objects::tagging,
    put_object_tagging PutObjectTaggingInput PutObjectTaggingOutput objects::set_tagging,
    delete_object_tagging DeleteObjectTaggingInput DeleteObjectTaggingOutput objects::delete_tagging,
    create_multipart_upload CreateMultipartUploadInput CreateMultipartUploadOutput uploads::create,
    upload_part UploadPartInput UploadPartOutput uploads::put_part,
    upload_part_copy UploadPartCopyInput UploadPartCopyOutput uploads::copy_part,
    complete_multipart_upload CompleteMultipartUploadInput CompleteMultipartUploadOutput uploads::complete,
    abort_multipart_upload AbortMultipartUploadInput AbortMultipartUploadOutput uploads::abort,
    list_parts ListPartsInput ListPartsOutput uploads::list_parts,
    list_multipart_uploads ListMultipartUploadsInput ListMultipartUploadsOutput lists::uploads,
    list_objects ListObjectsInput ListObjectsOutput lists::objects,
    list_objects_v2 ListObjectsV2Input ListObjectsV2Output lists::objects_v2,
    list_object_versions ListObjectVersionsInput ListObjectVersionsOutput lists::versions,
}

/// An answer with a header that the decoder's shape has no member for.
pub(super) fn with_header<T>(output: T, name: &'static str, value: &str) -> S3Response<T> {
    let mut response = S3Response::new(output);
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers.insert(name, value);
    }
    response
}
