//! Objects, as S3 has them.

use std::future::Future;

use super::{ByteSource, Context};
use crate::s3::{
    Bucket, BucketSetting, CompleteUploadInput, CopyObjectInput, CopyOutput, CopyPartInput, CreateUploadInput,
    DeleteObjectInput, DeletedObject, GetObjectInput, ListObjectsInput, ListObjectsOutput, ListPartsInput,
    ListPartsOutput, ListUploadsInput, ListUploadsOutput, ListVersionsInput, ListVersionsOutput, Object,
    ObjectAttributes, ObjectRef, PutObjectInput, S3Error, StoredObject, StoredPart, Tag, Upload, UploadId,
    UploadPartInput,
};

/// Buckets and objects in terms of the domain: a protocol's front end maps its calls to these. Who may call what is
/// decided before.
///
/// What was answered with success is on the disk. Bytes are taken and given as they come, in constant memory; nothing of
/// an object or part is visible before all of it has come and fulfils its checksums and conditions.
pub trait Objects: Send + Sync + 'static {
    /// How bytes come from the service.
    type Content: ByteSource;

    /// Makes a bucket. One that is there already and belongs to the caller is no error in `us-east-1`; elsewhere
    /// `BucketAlreadyOwnedByYou`.
    fn create_bucket(&self, context: &Context, bucket: &str) -> impl Future<Output = Result<(), S3Error>> + Send;

    /// Deletes an empty bucket; `BucketNotEmpty` otherwise. Uploads that are not completed are no content.
    fn delete_bucket(&self, context: &Context, bucket: &str) -> impl Future<Output = Result<(), S3Error>> + Send;

    /// A bucket with its settings; `NoSuchBucket`.
    fn bucket(&self, context: &Context, bucket: &str) -> impl Future<Output = Result<Bucket, S3Error>> + Send;

    /// All buckets, by name.
    fn list_buckets(&self, context: &Context) -> impl Future<Output = Result<Vec<Bucket>, S3Error>> + Send;

    /// Changes a setting of a bucket.
    fn set_bucket(
        &self,
        context: &Context,
        bucket: &str,
        setting: BucketSetting,
    ) -> impl Future<Output = Result<(), S3Error>> + Send;

    /// Puts an object.
    fn put_object(
        &self,
        context: &Context,
        input: PutObjectInput,
        body: impl ByteSource,
    ) -> impl Future<Output = Result<StoredObject, S3Error>> + Send;

    /// Reads an object. `NoSuchKey`, `NoSuchVersion`; `MethodNotAllowed` for the version of a delete marker; `NotModified`
    /// and `PreconditionFailed` as the conditions say; `InvalidRange`.
    fn get_object(
        &self,
        context: &Context,
        input: GetObjectInput,
    ) -> impl Future<Output = Result<Object<Self::Content>, S3Error>> + Send;

    /// As [`Self::get_object`], without the bytes.
    fn head_object(
        &self,
        context: &Context,
        input: GetObjectInput,
    ) -> impl Future<Output = Result<Object<()>, S3Error>> + Send;

    /// What is known about an object and about its parts, from behind `part_marker`.
    fn object_attributes(
        &self,
        context: &Context,
        object: ObjectRef,
        part_marker: u32,
        max_parts: usize,
    ) -> impl Future<Output = Result<ObjectAttributes, S3Error>> + Send;

    /// Copies an object within the store.
    fn copy_object(
        &self,
        context: &Context,
        input: CopyObjectInput,
    ) -> impl Future<Output = Result<CopyOutput, S3Error>> + Send;

    /// Deletes an object or a version; no error if it is not there.
    fn delete_object(
        &self,
        context: &Context,
        input: DeleteObjectInput,
    ) -> impl Future<Output = Result<DeletedObject, S3Error>> + Send;

    /// Deletes many of one bucket: one result for each, in their order.
    fn delete_objects(
        &self,
        context: &Context,
        bucket: &str,
        objects: Vec<DeleteObjectInput>,
    ) -> impl Future<Output = Result<Vec<Result<DeletedObject, S3Error>>, S3Error>> + Send;

    /// Lists objects.
    fn list_objects(
        &self,
        context: &Context,
        input: ListObjectsInput,
    ) -> impl Future<Output = Result<ListObjectsOutput, S3Error>> + Send;

    /// Lists versions.
    fn list_versions(
        &self,
        context: &Context,
        input: ListVersionsInput,
    ) -> impl Future<Output = Result<ListVersionsOutput, S3Error>> + Send;

    /// The tags of an object, with the version that has them.
    fn object_tags(
        &self,
        context: &Context,
        object: ObjectRef,
    ) -> impl Future<Output = Result<(Vec<Tag>, Option<String>), S3Error>> + Send;

    /// Replaces the tags of an object; returns the version that has them now.
    fn set_object_tags(
        &self,
        context: &Context,
        object: ObjectRef,
        tags: Vec<Tag>,
    ) -> impl Future<Output = Result<Option<String>, S3Error>> + Send;

    /// Begins an upload in parts.
    fn create_upload(
        &self,
        context: &Context,
        input: CreateUploadInput,
    ) -> impl Future<Output = Result<Upload, S3Error>> + Send;

    /// Puts a part.
    fn upload_part(
        &self,
        context: &Context,
        input: UploadPartInput,
        body: impl ByteSource,
    ) -> impl Future<Output = Result<StoredPart, S3Error>> + Send;

    /// Copies a part from an object.
    fn copy_part(
        &self,
        context: &Context,
        input: CopyPartInput,
    ) -> impl Future<Output = Result<StoredPart, S3Error>> + Send;

    /// Makes the object of an upload. The same call again, after it has succeeded, succeeds again as long as the object is
    /// the newest.
    fn complete_upload(
        &self,
        context: &Context,
        input: CompleteUploadInput,
    ) -> impl Future<Output = Result<StoredObject, S3Error>> + Send;

    /// Gives an upload up; its parts go.
    fn abort_upload(&self, context: &Context, upload: UploadId) -> impl Future<Output = Result<(), S3Error>> + Send;

    /// Lists the parts of an upload.
    fn list_parts(
        &self,
        context: &Context,
        input: ListPartsInput,
    ) -> impl Future<Output = Result<ListPartsOutput, S3Error>> + Send;

    /// Lists uploads that are not completed.
    fn list_uploads(
        &self,
        context: &Context,
        input: ListUploadsInput,
    ) -> impl Future<Output = Result<ListUploadsOutput, S3Error>> + Send;
}
