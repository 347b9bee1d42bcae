//! The objects of S3's operations, as far as they are there.

use kiln_model::{
    s3::*,
    service::{ByteSource, Context, Objects},
};

use crate::{bytes::Bytes, core::Core, runners::Runners};

impl<R: Runners> Objects for Core<R> {
    type Content = Bytes;

    async fn create_bucket(&self, _: &Context, _: &str) -> Result<(), S3Error> {
        Err(S3Error::not_implemented("create_bucket"))
    }

    async fn delete_bucket(&self, _: &Context, _: &str) -> Result<(), S3Error> {
        Err(S3Error::not_implemented("delete_bucket"))
    }

    async fn bucket(&self, _: &Context, _: &str) -> Result<Bucket, S3Error> {
        Err(S3Error::not_implemented("bucket"))
    }

    async fn list_buckets(&self, _: &Context) -> Result<Vec<Bucket>, S3Error> {
        Err(S3Error::not_implemented("list_buckets"))
    }

    async fn set_bucket(&self, _: &Context, _: &str, _: BucketSetting) -> Result<(), S3Error> {
        Err(S3Error::not_implemented("set_bucket"))
    }

    async fn put_object(&self, _: &Context, _: PutObjectInput, _: impl ByteSource) -> Result<StoredObject, S3Error> {
        Err(S3Error::not_implemented("put_object"))
    }

    async fn get_object(&self, _: &Context, _: GetObjectInput) -> Result<Object<Bytes>, S3Error> {
        Err(S3Error::not_implemented("get_object"))
    }

    async fn head_object(&self, _: &Context, _: GetObjectInput) -> Result<Object<()>, S3Error> {
        Err(S3Error::not_implemented("head_object"))
    }

    async fn object_attributes(
        &self,
        _: &Context,
        _: ObjectRef,
        _: u32,
        _: usize,
    ) -> Result<ObjectAttributes, S3Error> {
        Err(S3Error::not_implemented("object_attributes"))
    }

    async fn copy_object(&self, _: &Context, _: CopyObjectInput) -> Result<CopyOutput, S3Error> {
        Err(S3Error::not_implemented("copy_object"))
    }

    async fn delete_object(&self, _: &Context, _: DeleteObjectInput) -> Result<DeletedObject, S3Error> {
        Err(S3Error::not_implemented("delete_object"))
    }

    async fn delete_objects(
        &self,
        _: &Context,
        _: &str,
        _: Vec<DeleteObjectInput>,
    ) -> Result<Vec<Result<DeletedObject, S3Error>>, S3Error> {
        Err(S3Error::not_implemented("delete_objects"))
    }

    async fn list_objects(&self, _: &Context, _: ListObjectsInput) -> Result<ListObjectsOutput, S3Error> {
        Err(S3Error::not_implemented("list_objects"))
    }

    async fn list_versions(&self, _: &Context, _: ListVersionsInput) -> Result<ListVersionsOutput, S3Error> {
        Err(S3Error::not_implemented("list_versions"))
    }

    async fn object_tags(&self, _: &Context, _: ObjectRef) -> Result<(Vec<Tag>, Option<String>), S3Error> {
        Err(S3Error::not_implemented("object_tags"))
    }

    async fn set_object_tags(&self, _: &Context, _: ObjectRef, _: Vec<Tag>) -> Result<Option<String>, S3Error> {
        Err(S3Error::not_implemented("set_object_tags"))
    }

    async fn create_upload(&self, _: &Context, _: CreateUploadInput) -> Result<Upload, S3Error> {
        Err(S3Error::not_implemented("create_upload"))
    }

    async fn upload_part(&self, _: &Context, _: UploadPartInput, _: impl ByteSource) -> Result<StoredPart, S3Error> {
        Err(S3Error::not_implemented("upload_part"))
    }

    async fn copy_part(&self, _: &Context, _: CopyPartInput) -> Result<StoredPart, S3Error> {
        Err(S3Error::not_implemented("copy_part"))
    }

    async fn complete_upload(&self, _: &Context, _: CompleteUploadInput) -> Result<StoredObject, S3Error> {
        Err(S3Error::not_implemented("complete_upload"))
    }

    async fn abort_upload(&self, _: &Context, _: UploadId) -> Result<(), S3Error> {
        Err(S3Error::not_implemented("abort_upload"))
    }

    async fn list_parts(&self, _: &Context, _: ListPartsInput) -> Result<ListPartsOutput, S3Error> {
        Err(S3Error::not_implemented("list_parts"))
    }

    async fn list_uploads(&self, _: &Context, _: ListUploadsInput) -> Result<ListUploadsOutput, S3Error> {
        Err(S3Error::not_implemented("list_uploads"))
    }
}
