//! Lists: of objects, versions and uploads.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use kiln_iam::sigv4::percent_encode;
use kiln_model::{
    s3::{ListObjectsInput, ListUploadsInput, ListVersionsInput, ListedObject, S3Error},
    service::Service,
};
use s3s::{S3Response, dto};

use super::{
    buckets::{canonical_id, owner},
    call::Call,
    convert::{algorithm_of, count, etag, limit, signed, timestamp},
};
use crate::{authenticate::Keys, authorise::Authorizer};

type Answered<T> = Result<S3Response<T>, S3Error>;

/// Most entries of a page.
const MOST: usize = 1000;

/// How names are written: XML has no form for some characters, so clients ask for escapes.
#[derive(Clone, Copy)]
struct Names {
    escaped: bool,
}

impl Names {
    fn wanted(encoding: Option<&dto::EncodingType>) -> Result<Self, S3Error> {
        match encoding.map(dto::EncodingType::as_str) {
            None => Ok(Self { escaped: false }),
            Some("url") => Ok(Self { escaped: true }),
            Some(_) => Err(S3Error::invalid("Invalid Encoding Method specified in Request")),
        }
    }

    fn write(self, name: &str) -> String {
        if !self.escaped {
            return name.to_owned();
        }
        let mut escaped = Vec::with_capacity(name.len());
        percent_encode(&mut escaped, name.as_bytes(), true);
        String::from_utf8_lossy(&escaped).into_owned()
    }

    fn write_some(self, name: Option<String>) -> Option<String> {
        name.map(|name| self.write(&name))
    }

    fn encoding(self) -> Option<dto::EncodingType> {
        self.escaped.then(|| dto::EncodingType::from_static(dto::EncodingType::URL))
    }

    fn prefixes(self, prefixes: Vec<String>) -> Option<dto::CommonPrefixList> {
        let prefix = |prefix: String| dto::CommonPrefix { prefix: Some(self.write(&prefix)) };
        (!prefixes.is_empty()).then(|| prefixes.into_iter().map(prefix).collect())
    }
}

fn checksum_of(object: &ListedObject) -> (Option<dto::ChecksumAlgorithmList>, Option<dto::ChecksumType>) {
    let checksum = object.checksum;
    (
        checksum.map(|(algorithm, _)| vec![algorithm_of(algorithm)]),
        checksum.map(|(_, kind)| dto::ChecksumType::from(kind.as_str().to_owned())),
    )
}

fn object_out(object: ListedObject, names: Names, owner: Option<dto::Owner>) -> dto::Object {
    let (checksum_algorithm, checksum_type) = checksum_of(&object);
    dto::Object {
        checksum_algorithm,
        checksum_type,
        e_tag: Some(etag(&object.etag)),
        key: Some(names.write(&object.key)),
        last_modified: Some(timestamp(&object.last_modified)),
        owner,
        restore_status: None,
        size: Some(signed(object.size)),
        storage_class: Some(dto::ObjectStorageClass::from_static(dto::ObjectStorageClass::STANDARD)),
    }
}

fn not_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

pub(super) async fn objects<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::ListObjectsInput,
) -> Answered<dto::ListObjectsOutput> {
    let names = Names::wanted(input.encoding_type.as_ref())?;
    let most = limit(input.max_keys, MOST, "max-keys")?;
    let delimiter = not_empty(input.delimiter);
    let prefix = input.prefix.unwrap_or_default();
    let list = ListObjectsInput {
        bucket: input.bucket.clone(),
        prefix: prefix.clone(),
        delimiter: delimiter.clone(),
        after: not_empty(input.marker.clone()),
        limit: most,
    };
    let page = call.service().list_objects(&call.context, list).await?;
    let owner = owner(call);
    Ok(S3Response::new(dto::ListObjectsOutput {
        common_prefixes: names.prefixes(page.common_prefixes),
        contents: Some(page.objects.into_iter().map(|each| object_out(each, names, Some(owner.clone()))).collect()),
        delimiter: names.write_some(delimiter.clone()),
        encoding_type: names.encoding(),
        is_truncated: Some(page.next.is_some()),
        marker: Some(names.write(&input.marker.unwrap_or_default())),
        max_keys: Some(count(most as u64)),
        name: Some(input.bucket),
        // Without a delimiter clients go on behind the last key.
        next_marker: names.write_some(page.next.filter(|_| delimiter.is_some())),
        prefix: Some(names.write(&prefix)),
        ..dto::ListObjectsOutput::default()
    }))
}

/// Where a list goes on, as a text that clients do not look into.
fn token(key: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(key)
}

fn key_of(token: &str) -> Result<String, S3Error> {
    let key = BASE64_URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    key.filter(|key| !key.is_empty()).ok_or_else(|| S3Error::invalid("The continuation token provided is incorrect"))
}

pub(super) async fn objects_v2<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::ListObjectsV2Input,
) -> Answered<dto::ListObjectsV2Output> {
    let names = Names::wanted(input.encoding_type.as_ref())?;
    let most = limit(input.max_keys, MOST, "max-keys")?;
    let delimiter = not_empty(input.delimiter);
    let prefix = input.prefix.unwrap_or_default();
    let after = match &input.continuation_token {
        Some(token) => Some(key_of(token)?),
        None => not_empty(input.start_after.clone()),
    };
    let list = ListObjectsInput {
        bucket: input.bucket.clone(),
        prefix: prefix.clone(),
        delimiter: delimiter.clone(),
        after,
        limit: most,
    };
    let page = call.service().list_objects(&call.context, list).await?;
    let owner = input.fetch_owner.unwrap_or(false).then(|| owner(call));
    let entries = page.objects.len() + page.common_prefixes.len();
    Ok(S3Response::new(dto::ListObjectsV2Output {
        common_prefixes: names.prefixes(page.common_prefixes),
        contents: Some(page.objects.into_iter().map(|each| object_out(each, names, owner.clone())).collect()),
        continuation_token: input.continuation_token,
        delimiter: names.write_some(delimiter),
        encoding_type: names.encoding(),
        is_truncated: Some(page.next.is_some()),
        key_count: Some(count(entries as u64)),
        max_keys: Some(count(most as u64)),
        name: Some(input.bucket),
        next_continuation_token: page.next.as_deref().map(token),
        prefix: Some(names.write(&prefix)),
        start_after: names.write_some(input.start_after),
        ..dto::ListObjectsV2Output::default()
    }))
}

pub(super) async fn versions<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::ListObjectVersionsInput,
) -> Answered<dto::ListObjectVersionsOutput> {
    let names = Names::wanted(input.encoding_type.as_ref())?;
    let most = limit(input.max_keys, MOST, "max-keys")?;
    let delimiter = not_empty(input.delimiter);
    let prefix = input.prefix.unwrap_or_default();
    let (key_marker, version_marker) = (not_empty(input.key_marker), not_empty(input.version_id_marker));
    if version_marker.is_some() && key_marker.is_none() {
        return Err(S3Error::invalid("A version-id marker cannot be specified without a key marker."));
    }
    let list = ListVersionsInput {
        bucket: input.bucket.clone(),
        prefix: prefix.clone(),
        delimiter: delimiter.clone(),
        key_marker: key_marker.clone(),
        version_id_marker: version_marker.clone(),
        limit: most,
    };
    let page = call.service().list_versions(&call.context, list).await?;
    let owner = owner(call);
    let (mut versions, mut markers) = (Vec::new(), Vec::new());
    for version in page.versions {
        let (is_latest, version_id) = (Some(version.is_latest), Some(version.version_id));
        let object = version.object;
        let last_modified = Some(timestamp(&object.last_modified));
        let key = Some(names.write(&object.key));
        if version.delete_marker {
            let owner = Some(owner.clone());
            markers.push(dto::DeleteMarkerEntry { is_latest, key, last_modified, owner, version_id });
        } else {
            let (checksum_algorithm, checksum_type) = checksum_of(&object);
            versions.push(dto::ObjectVersion {
                checksum_algorithm,
                checksum_type,
                e_tag: Some(etag(&object.etag)),
                is_latest,
                key,
                last_modified,
                owner: Some(owner.clone()),
                restore_status: None,
                size: Some(signed(object.size)),
                storage_class: Some(dto::ObjectVersionStorageClass::from_static(
                    dto::ObjectVersionStorageClass::STANDARD,
                )),
                version_id,
            });
        }
    }
    let is_truncated = Some(page.next.is_some());
    let (next_key, next_version) = page.next.map_or((None, None), |(key, version)| (Some(key), version));
    Ok(S3Response::new(dto::ListObjectVersionsOutput {
        common_prefixes: names.prefixes(page.common_prefixes),
        delete_markers: (!markers.is_empty()).then_some(markers),
        delimiter: names.write_some(delimiter),
        encoding_type: names.encoding(),
        is_truncated,
        key_marker: Some(names.write(&key_marker.unwrap_or_default())),
        max_keys: Some(count(most as u64)),
        name: Some(input.bucket),
        next_key_marker: names.write_some(next_key),
        next_version_id_marker: next_version,
        prefix: Some(names.write(&prefix)),
        version_id_marker: Some(version_marker.unwrap_or_default()),
        versions: (!versions.is_empty()).then_some(versions),
        ..dto::ListObjectVersionsOutput::default()
    }))
}

pub(super) async fn uploads<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::ListMultipartUploadsInput,
) -> Answered<dto::ListMultipartUploadsOutput> {
    let names = Names::wanted(input.encoding_type.as_ref())?;
    let most = limit(input.max_uploads, MOST, "max-uploads")?;
    let delimiter = not_empty(input.delimiter);
    let prefix = input.prefix.unwrap_or_default();
    let key_marker = not_empty(input.key_marker);
    // S3 ignores it without a key.
    let upload_marker = not_empty(input.upload_id_marker).filter(|_| key_marker.is_some());
    let list = ListUploadsInput {
        bucket: input.bucket.clone(),
        prefix: prefix.clone(),
        delimiter: delimiter.clone(),
        key_marker: key_marker.clone(),
        upload_id_marker: upload_marker.clone(),
        limit: most,
    };
    let page = call.service().list_uploads(&call.context, list).await?;
    let initiator =
        dto::Initiator { display_name: Some(call.context.caller.account.clone()), id: Some(canonical_id(call)) };
    let upload = |upload: kiln_model::s3::ListedUpload| dto::MultipartUpload {
        checksum_algorithm: upload.checksum.map(|(algorithm, _)| algorithm_of(algorithm)),
        checksum_type: upload.checksum.map(|(_, kind)| dto::ChecksumType::from(kind.as_str().to_owned())),
        initiated: Some(timestamp(&upload.initiated)),
        initiator: Some(initiator.clone()),
        key: Some(names.write(&upload.key)),
        owner: Some(owner(call)),
        storage_class: Some(dto::StorageClass::from_static(dto::StorageClass::STANDARD)),
        upload_id: Some(upload.upload_id),
    };
    let uploads: Vec<_> = page.uploads.into_iter().map(upload).collect();
    let is_truncated = Some(page.next.is_some());
    let (next_key, next_upload) = page.next.map_or((None, None), |(key, upload)| (Some(key), Some(upload)));
    Ok(S3Response::new(dto::ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        common_prefixes: names.prefixes(page.common_prefixes),
        delimiter: names.write_some(delimiter),
        encoding_type: names.encoding(),
        is_truncated,
        key_marker: Some(names.write(&key_marker.unwrap_or_default())),
        max_uploads: Some(count(most as u64)),
        next_key_marker: names.write_some(next_key),
        next_upload_id_marker: next_upload,
        prefix: Some(names.write(&prefix)),
        upload_id_marker: Some(upload_marker.unwrap_or_default()),
        uploads: Some(uploads),
        ..dto::ListMultipartUploadsOutput::default()
    }))
}
