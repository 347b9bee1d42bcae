//! The objects behind the front end: buckets and objects in memory, and nothing of what needs a real store.

use kiln_model::{
    Timestamp,
    s3::*,
    service::{ByteSource, Context, Objects},
};

use std::collections::HashMap;

use tokio::sync::mpsc;

use crate::fake::{Fake, Source};

/// What is there, and what came.
#[derive(Default)]
pub(crate) struct Shelf {
    /// Policies of the buckets.
    pub(crate) buckets: HashMap<String, Option<String>>,
    /// Bytes of `bucket/key`.
    pub(crate) objects: HashMap<String, Vec<u8>>,
    /// The checksum that came in front of the last object, or behind it.
    pub(crate) checksum: Option<(ChecksumAlgorithm, Option<String>)>,
    /// What the last object is.
    pub(crate) object: Option<NewObject>,
}

const MODIFIED: Timestamp = Timestamp::from_millis(1_795_690_000_000);

fn etag_of(bytes: &[u8]) -> String {
    hex::encode(&kiln_iam::sigv4::sha256(bytes)[..16])
}

/// What is known of an object, its bytes, and the range of them that was asked for.
type Found = (ObjectInfo, Vec<u8>, (u64, u64));

impl Fake {
    fn info(&self, input: &GetObjectInput) -> Result<Found, S3Error> {
        let ObjectRef { bucket, key, .. } = &input.object;
        let shelf = self.shelf.lock().unwrap();
        let bytes = shelf.objects.get(&format!("{bucket}/{key}")).cloned();
        let bytes = bytes.ok_or_else(|| S3Error::no_such_key(bucket, key))?;
        let (etag, size) = (etag_of(&bytes), bytes.len() as u64);
        input.conditions.check(&etag, MODIFIED).map_err(|not_met| {
            let code = match not_met {
                NotMet::NotModified => S3Code::NotModified,
                NotMet::Failed(_) => S3Code::PreconditionFailed,
            };
            S3Error { etag: Some(etag.clone()), ..S3Error::new(code, "a condition") }
        })?;
        let range = match input.range {
            Some(range) => range.of(size).ok_or_else(|| S3Error::new(S3Code::InvalidRange, "no such range"))?,
            None => (0, size),
        };
        let object = shelf.object.clone().unwrap_or_default();
        let info = ObjectInfo {
            version_id: None,
            etag,
            size,
            last_modified: MODIFIED,
            headers: object.headers,
            metadata: object.metadata,
            tag_count: 0,
            checksum: None,
            encryption: Encryption::Aes256,
            parts: None,
            expires: None,
        };
        Ok((info, bytes, range))
    }
}

fn absent<T>() -> Result<T, S3Error> {
    Err(S3Error::not_implemented("an object store behind this front end"))
}

impl Objects for Fake {
    type Content = Source;

    async fn create_bucket(&self, _: &Context, bucket: &str) -> Result<(), S3Error> {
        check_bucket_name(bucket)?;
        self.shelf.lock().unwrap().buckets.insert(bucket.to_owned(), None);
        Ok(())
    }

    async fn delete_bucket(&self, _: &Context, _: &str) -> Result<(), S3Error> {
        absent()
    }

    async fn bucket(&self, _: &Context, bucket: &str) -> Result<Bucket, S3Error> {
        let shelf = self.shelf.lock().unwrap();
        let policy = shelf.buckets.get(bucket).ok_or_else(|| S3Error::no_such_bucket(bucket))?.clone();
        let settings = BucketSettings { policy, ..BucketSettings::default() };
        Ok(Bucket { name: bucket.to_owned(), created: MODIFIED, settings })
    }

    async fn list_buckets(&self, _: &Context) -> Result<Vec<Bucket>, S3Error> {
        let mut names: Vec<String> = self.shelf.lock().unwrap().buckets.keys().cloned().collect();
        names.sort();
        let bucket = |name| Bucket { name, created: MODIFIED, settings: BucketSettings::default() };
        Ok(names.into_iter().map(bucket).collect())
    }

    async fn set_bucket(&self, _: &Context, bucket: &str, setting: BucketSetting) -> Result<(), S3Error> {
        let BucketSetting::Policy(policy) = setting else { return absent() };
        *self.shelf.lock().unwrap().buckets.get_mut(bucket).ok_or_else(|| S3Error::no_such_bucket(bucket))? = policy;
        Ok(())
    }

    async fn put_object(
        &self,
        _: &Context,
        input: PutObjectInput,
        mut body: impl ByteSource,
    ) -> Result<StoredObject, S3Error> {
        if !self.shelf.lock().unwrap().buckets.contains_key(&input.bucket) {
            return Err(S3Error::no_such_bucket(&input.bucket));
        }
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await {
            match piece {
                Ok(piece) => bytes.extend(piece),
                Err(_) => {
                    self.upload_ended.add_permits(1);
                    return Err(S3Error::internal("the bytes did not come to their end"));
                }
            }
        }
        let mut shelf = self.shelf.lock().unwrap();
        shelf.checksum = input.checksum.map(|checksum| match checksum {
            ExpectedChecksum::Value(algorithm, value) => (algorithm, Some(value)),
            ExpectedChecksum::Trailing(algorithm, value) => (algorithm, value.value()),
            ExpectedChecksum::Computed(algorithm) => (algorithm, None),
        });
        shelf.object = Some(input.object);
        let stored = StoredObject {
            version_id: None,
            etag: etag_of(&bytes),
            size: bytes.len() as u64,
            last_modified: MODIFIED,
            checksum: None,
            encryption: Encryption::Aes256,
        };
        shelf.objects.insert(format!("{}/{}", input.bucket, input.key), bytes);
        self.upload_ended.add_permits(1);
        Ok(stored)
    }

    async fn get_object(&self, _: &Context, input: GetObjectInput) -> Result<Object<Source>, S3Error> {
        let (info, bytes, range) = self.info(&input)?;
        let (sender, pieces) = mpsc::channel(1);
        let (first, end) = (usize::try_from(range.0).unwrap(), usize::try_from(range.1).unwrap());
        if first < end {
            sender.try_send(Ok(bytes[first..end].to_vec())).unwrap();
        }
        Ok(Object { info, range, partial: input.range.is_some(), body: self.source(pieces) })
    }

    async fn head_object(&self, _: &Context, input: GetObjectInput) -> Result<Object<()>, S3Error> {
        let (info, _, range) = self.info(&input)?;
        Ok(Object { info, range, partial: input.range.is_some(), body: () })
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
        bucket: &str,
        objects: Vec<DeleteObjectInput>,
    ) -> Result<Vec<Result<DeletedObject, S3Error>>, S3Error> {
        let mut shelf = self.shelf.lock().unwrap();
        for each in &objects {
            shelf.objects.remove(&format!("{bucket}/{}", each.object.key));
        }
        Ok(objects.into_iter().map(|_| Ok(DeletedObject::default())).collect())
    }

    async fn list_objects(&self, _: &Context, input: ListObjectsInput) -> Result<ListObjectsOutput, S3Error> {
        let prefix = format!("{}/", input.bucket);
        let shelf = self.shelf.lock().unwrap();
        let after = input.after.unwrap_or_default();
        let mut keys: Vec<&str> = shelf
            .objects
            .keys()
            .filter_map(|key| key.strip_prefix(&prefix))
            .filter(|key| *key > after.as_str())
            .collect();
        keys.sort_unstable();
        let next = (keys.len() > input.limit && input.limit > 0).then(|| keys[input.limit - 1].to_owned());
        keys.truncate(input.limit);
        let object = |key: &str| ListedObject {
            key: key.to_owned(),
            etag: "e".to_owned(),
            size: 1,
            last_modified: MODIFIED,
            checksum: None,
        };
        Ok(ListObjectsOutput { objects: keys.into_iter().map(object).collect(), common_prefixes: Vec::new(), next })
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
