//! The objects behind the front end: none.

use kiln_model::{
    s3::*,
    service::{ByteSource, Context, Objects},
};

use crate::fake::{Fake, Source};

fn absent<T>() -> Result<T, S3Error> {
    Err(S3Error::not_implemented("an object store behind this front end"))
}

impl Objects for Fake {
    type Content = Source;

    async fn create_bucket(&self, _: &Context, _: &str) -> Result<(), S3Error> {
        absent()
    }

    async fn delete_bucket(&self, _: &Context, _: &str) -> Result<(), S3Error> {
        absent()
    }

    async fn bucket(&self, _: &Context, _: &str) -> Result<Bucket, S3Error> {
        absent()
    }

    async fn list_buckets(&self, _: &Context) -> Result<Vec<Bucket>, S3Error> {
        absent()
    }

    async fn set_bucket(&self, _: &Context, _: &str, _: BucketSetting) -> Result<(), S3Error> {
        absent()
    }

    async fn put_object(&self, _: &Context, _: PutObjectInput, _: impl ByteSource) -> Result<StoredObject, S3Error> {
        absent()
    }

    async fn get_object(&self, _: &Context, _: GetObjectInput) -> Result<Object<Source>, S3Error> {
        absent()
    }

    async fn head_object(&self, _: &Context, _: GetObjectInput) -> Result<Object<()>, S3Error> {
        absent()
    }

    async fn object_attributes(
        &self,
        _: &Context,
        _: ObjectRef,
        _: u32,
        _: usize,
    ) -> Result<ObjectAttributes, S3Error> {
        absent()
    }

    async fn copy_object(&self, _: &Context, _: CopyObjectInput) -> Result<CopyOutput, S3Error> {
        absent()
    }

    async fn delete_object(&self, _: &Context, _: DeleteObjectInput) -> Result<DeletedObject, S3Error> {
        absent()
    }

    async fn delete_objects(
        &self,
        _: &Context,
        _: &str,
        _: Vec<DeleteObjectInput>,
    ) -> Result<Vec<Result<DeletedObject, S3Error>>, S3Error> {
        absent()
    }

    async fn list_objects(&self, _: &Context, _: ListObjectsInput) -> Result<ListObjectsOutput, S3Error> {
        absent()
    }

    async fn list_versions(&self, _: &Context, _: ListVersionsInput) -> Result<ListVersionsOutput, S3Error> {
        absent()
    }

    async fn object_tags(&self, _: &Context, _: ObjectRef) -> Result<(Vec<Tag>, Option<String>), S3Error> {
        absent()
    }

    async fn set_object_tags(&self, _: &Context, _: ObjectRef, _: Vec<Tag>) -> Result<Option<String>, S3Error> {
        absent()
    }

    async fn create_upload(&self, _: &Context, _: CreateUploadInput) -> Result<Upload, S3Error> {
        absent()
    }

    async fn upload_part(&self, _: &Context, _: UploadPartInput, _: impl ByteSource) -> Result<StoredPart, S3Error> {
        absent()
    }

    async fn copy_part(&self, _: &Context, _: CopyPartInput) -> Result<StoredPart, S3Error> {
        absent()
    }

    async fn complete_upload(&self, _: &Context, _: CompleteUploadInput) -> Result<StoredObject, S3Error> {
        absent()
    }

    async fn abort_upload(&self, _: &Context, _: UploadId) -> Result<(), S3Error> {
        absent()
    }

    async fn list_parts(&self, _: &Context, _: ListPartsInput) -> Result<ListPartsOutput, S3Error> {
        absent()
    }

    async fn list_uploads(&self, _: &Context, _: ListUploadsInput) -> Result<ListUploadsOutput, S3Error> {
        absent()
    }
}
