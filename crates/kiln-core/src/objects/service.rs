//! The operations of S3, each one's use case.

use kiln_model::{
    s3::*,
    service::{ByteSource, Context, Objects},
};

use super::{buckets, commit, copy, list, multipart, read, remove, tags};
use crate::{bytes::Bytes, core::Core, runners::Runners};

impl<R: Runners> Objects for Core<R> {
    type Content = Bytes;

    async fn create_bucket(&self, context: &Context, bucket: &str) -> Result<(), S3Error> {
        buckets::create(&self.inner, context, bucket).await
    }

    async fn delete_bucket(&self, _: &Context, bucket: &str) -> Result<(), S3Error> {
        buckets::delete(&self.inner, bucket).await
    }

    async fn bucket(&self, _: &Context, bucket: &str) -> Result<Bucket, S3Error> {
        buckets::find(&self.inner, bucket)
    }

    async fn list_buckets(&self, _: &Context) -> Result<Vec<Bucket>, S3Error> {
        buckets::list(&self.inner)
    }

    async fn set_bucket(&self, _: &Context, bucket: &str, setting: BucketSetting) -> Result<(), S3Error> {
        buckets::set(&self.inner, bucket, setting).await
    }

    async fn put_object(
        &self,
        context: &Context,
        input: PutObjectInput,
        body: impl ByteSource,
    ) -> Result<StoredObject, S3Error> {
        commit::put_object(&self.inner, context, input, body).await
    }

    async fn get_object(&self, context: &Context, input: GetObjectInput) -> Result<Object<Bytes>, S3Error> {
        read::get_object(&self.inner, context, input).await
    }

    async fn head_object(&self, _: &Context, input: GetObjectInput) -> Result<Object<()>, S3Error> {
        read::head_object(&self.inner, &input)
    }

    async fn object_attributes(
        &self,
        _: &Context,
        object: ObjectRef,
        part_marker: u32,
        max_parts: usize,
    ) -> Result<ObjectAttributes, S3Error> {
        read::attributes(&self.inner, &object, part_marker, max_parts)
    }

    async fn copy_object(&self, context: &Context, input: CopyObjectInput) -> Result<CopyOutput, S3Error> {
        copy::copy_object(&self.inner, context, input).await
    }

    async fn delete_object(&self, _: &Context, input: DeleteObjectInput) -> Result<DeletedObject, S3Error> {
        remove::delete_object(&self.inner, input).await
    }

    async fn delete_objects(
        &self,
        _: &Context,
        bucket: &str,
        objects: Vec<DeleteObjectInput>,
    ) -> Result<Vec<Result<DeletedObject, S3Error>>, S3Error> {
        remove::delete_objects(&self.inner, bucket, objects).await
    }

    async fn list_objects(&self, _: &Context, input: ListObjectsInput) -> Result<ListObjectsOutput, S3Error> {
        list::objects(&self.inner, input).await
    }

    async fn list_versions(&self, _: &Context, input: ListVersionsInput) -> Result<ListVersionsOutput, S3Error> {
        list::versions(&self.inner, input).await
    }

    async fn object_tags(&self, _: &Context, object: ObjectRef) -> Result<(Vec<Tag>, Option<String>), S3Error> {
        tags::get(&self.inner, &object)
    }

    async fn set_object_tags(&self, _: &Context, object: ObjectRef, tags: Vec<Tag>) -> Result<Option<String>, S3Error> {
        tags::set(&self.inner, object, tags).await
    }

    async fn create_upload(&self, context: &Context, input: CreateUploadInput) -> Result<Upload, S3Error> {
        multipart::create(&self.inner, context, input).await
    }

    async fn upload_part(
        &self,
        _: &Context,
        input: UploadPartInput,
        body: impl ByteSource,
    ) -> Result<StoredPart, S3Error> {
        multipart::upload_part(&self.inner, input, body).await
    }

    async fn copy_part(&self, context: &Context, input: CopyPartInput) -> Result<StoredPart, S3Error> {
        multipart::copy_part(&self.inner, context, input).await
    }

    async fn complete_upload(&self, _: &Context, input: CompleteUploadInput) -> Result<StoredObject, S3Error> {
        multipart::complete(&self.inner, input).await
    }

    async fn abort_upload(&self, _: &Context, upload: UploadId) -> Result<(), S3Error> {
        multipart::abort(&self.inner, upload).await
    }

    async fn list_parts(&self, _: &Context, input: ListPartsInput) -> Result<ListPartsOutput, S3Error> {
        multipart::list_parts(&self.inner, &input)
    }

    async fn list_uploads(&self, _: &Context, input: ListUploadsInput) -> Result<ListUploadsOutput, S3Error> {
        list::uploads(&self.inner, input).await
    }
}
