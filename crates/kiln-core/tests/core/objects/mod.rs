//! Buckets and objects through the trait that the front end uses.

mod buckets;
mod crashes;
mod expiry;
mod model;

mod multipart;
mod reading;
mod versions;

use std::{collections::VecDeque, io};

use kiln_core::Core;
use kiln_model::{
    s3::{
        GetObjectInput, NewObject, Object, ObjectRef, PutObjectInput, ReadConditions, S3Code, S3Error, StoredObject,
        WriteConditions,
    },
    service::{ByteSource, Objects as _},
};

use crate::{
    fake::FakeRunners,
    place::{Place, context},
};

pub(crate) type Service = Core<FakeRunners>;

/// Bytes that come in pieces; the last may be an error.
pub(crate) struct Body(VecDeque<io::Result<Vec<u8>>>);

impl Body {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        // Pieces of odd sizes, so that no boundary is a piece's by chance.
        Self(bytes.chunks(70_001).map(|piece| Ok(piece.to_vec())).collect())
    }

    pub(crate) fn broken(bytes: &[u8]) -> Self {
        let mut body = Self::of(bytes);
        body.0.push_back(Err(io::ErrorKind::ConnectionReset.into()));
        body
    }
}

impl ByteSource for Body {
    async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        self.0.pop_front()
    }
}

pub(crate) fn input(bucket: &str, key: &str) -> PutObjectInput {
    PutObjectInput {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        object: NewObject::default(),
        content_length: None,
        content_md5: None,
        content_sha256: None,
        checksum: None,
        conditions: WriteConditions::default(),
    }
}

pub(crate) async fn put(core: &Service, bucket: &str, key: &str, bytes: &[u8]) -> StoredObject {
    core.put_object(&context(), input(bucket, key), Body::of(bytes)).await.unwrap()
}

pub(crate) fn whole(object: ObjectRef) -> GetObjectInput {
    GetObjectInput { object, conditions: ReadConditions::default(), range: None, part_number: None }
}

pub(crate) async fn collect(mut body: impl ByteSource) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(piece) = body.next().await {
        bytes.extend(piece?);
    }
    Ok(bytes)
}

pub(crate) async fn read(core: &Service, input: GetObjectInput) -> Result<(Object<()>, Vec<u8>), S3Error> {
    let Object { info, range, partial, body } = core.get_object(&context(), input).await?;
    let bytes = collect(body).await.unwrap();
    let object = Object { info, range, partial, body: () };
    assert_eq!(bytes.len() as u64, object.content_length());
    Ok((object, bytes))
}

pub(crate) async fn get(core: &Service, bucket: &str, key: &str) -> Result<Vec<u8>, S3Error> {
    read(core, whole(ObjectRef::newest(bucket, key))).await.map(|(_, bytes)| bytes)
}

pub(crate) fn code<T>(result: Result<T, S3Error>) -> S3Code {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error.code,
    }
}

/// Blobs that lie in the data directory.
pub(crate) fn blobs(place: &Place) -> usize {
    let entries = std::fs::read_dir(place.data().join("blobs")).unwrap();
    entries.filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_file()).count()
}

/// A server with a bucket.
pub(crate) async fn with_bucket(place: &Place) -> Service {
    let core = place.serve();
    core.create_bucket(&context(), "bucket").await.unwrap();
    core
}
