//! Objects: put, get, head, copy, delete, tags, attributes.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::HeaderMap;
use kiln_model::{
    s3::{
        Checksum, ContentHeaders, CopyObjectInput, CopySource, DeleteObjectInput, EtagCondition, GetObjectInput,
        MAX_PART_SIZE, NewObject, OBJECT_TAGS, Object, ObjectInfo, ObjectRef, PutObjectInput, ReadConditions, S3Code,
        S3Error, WriteConditions, check_tags,
    },
    service::Service,
};
use s3s::{S3Response, dto};

use super::{
    access::Need,
    call::{Call, with_header},
    convert::{
        TAGGING, check_acl, condition, content_encoding, count, encryption, etag, kind_of, limit, metadata,
        part_number, put_checksum, put_checksum_and_kind, put_encryption, range, signed, tags, tags_in, tags_out, text,
        time_of, timestamp, wanted_algorithm,
    },
};
use crate::{authenticate::Keys, authorise::Authorizer, body::Answer};

type Answered<T> = Result<S3Response<T>, S3Error>;

/// Most objects that are deleted at once.
const MOST_DELETED: usize = 1000;

/// What headers say about a new object.
pub(super) fn new_object(headers: &HeaderMap, user_metadata: Option<dto::Metadata>) -> Result<NewObject, S3Error> {
    check_acl(headers)?;
    if headers.keys().any(|name| name.as_str().starts_with("x-amz-object-lock-")) {
        return Err(S3Error::not_implemented("S3's object lock"));
    }
    let get = |name: &str| text(headers, name).map(|text| text.map(str::to_owned));
    let tags = tags(text(headers, TAGGING)?)?;
    check_tags(&tags, OBJECT_TAGS)?;
    Ok(NewObject {
        headers: ContentHeaders {
            content_type: get("content-type")?,
            content_encoding: content_encoding(headers)?,
            content_language: get("content-language")?,
            content_disposition: utf8(headers, "content-disposition")?,
            cache_control: get("cache-control")?,
            expires: get("expires")?,
            website_redirect: get("x-amz-website-redirect-location")?,
        },
        metadata: metadata(user_metadata),
        tags,
        encryption: encryption(headers)?,
        storage_class: get("x-amz-storage-class")?,
    })
}

/// A header whose text may be UTF-8: names of files are.
fn utf8(headers: &HeaderMap, name: &str) -> Result<Option<String>, S3Error> {
    let value = headers.get(name).map(|value| std::str::from_utf8(value.as_bytes()));
    value
        .transpose()
        .map(|text| text.map(str::to_owned))
        .map_err(|_| S3Error::invalid(format!("'{name}' is not UTF-8")))
}

/// `Content-MD5`.
pub(super) fn content_md5(headers: &HeaderMap) -> Result<Option<[u8; 16]>, S3Error> {
    let Some(text) = text(headers, "content-md5")? else { return Ok(None) };
    let invalid = || S3Error::new(S3Code::InvalidDigest, "The Content-MD5 you specified was invalid.");
    let bytes = BASE64_STANDARD.decode(text).map_err(|_| invalid())?;
    bytes.try_into().map(Some).map_err(|_| invalid())
}

/// How many bytes come; at most so many as an object or part may have.
pub(super) fn length<S: Service, K: Keys, A: Authorizer>(call: &Call<S, K, A>) -> Result<u64, S3Error> {
    let length = call.length.ok_or_else(|| {
        S3Error::new(S3Code::MissingContentLength, "You must provide the Content-Length HTTP header.")
    })?;
    let most = call.server.config.limits.upload_bytes.min(MAX_PART_SIZE);
    if length > most {
        let text = format!("Your proposed upload has {length} bytes, which exceeds the maximum allowed size of {most}");
        return Err(S3Error::new(S3Code::EntityTooLarge, text));
    }
    Ok(length)
}

pub(super) async fn put<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::PutObjectInput,
) -> Answered<dto::PutObjectOutput> {
    if input.write_offset_bytes.is_some() {
        return Err(S3Error::not_implemented("Appending to an object"));
    }
    let put = PutObjectInput {
        bucket: input.bucket,
        key: input.key,
        object: new_object(&call.headers, input.metadata)?,
        content_length: Some(length(call)?),
        content_md5: content_md5(&call.headers)?,
        content_sha256: None,
        checksum: call.checksum.clone(),
        conditions: WriteConditions {
            if_match: condition(input.if_match),
            if_none_match: condition(input.if_none_match),
        },
    };
    let stored = call.service().put_object(&call.context, put, call.take_payload()?).await?;
    let mut output = dto::PutObjectOutput {
        e_tag: Some(etag(&stored.etag)),
        version_id: stored.version_id,
        ..dto::PutObjectOutput::default()
    };
    put_encryption!(output, &stored.encryption);
    put_checksum_and_kind!(output, &stored.checksum);
    Ok(S3Response::new(output))
}

/// Fills what answers to GET and HEAD have in common.
macro_rules! describe {
    ($output:expr, $object:expr, $with_checksum:expr) => {{
        let (info, (first, end)) = (&$object.info, $object.range);
        $output.accept_ranges = Some("bytes".to_owned());
        $output.cache_control = info.headers.cache_control.clone();
        $output.content_disposition = info.headers.content_disposition.clone();
        $output.content_encoding = info.headers.content_encoding.clone();
        $output.content_language = info.headers.content_language.clone();
        $output.content_length = Some(signed($object.content_length()));
        $output.content_range =
            $object.partial.then(|| format!("bytes {first}-{}/{}", end.saturating_sub(1), info.size));
        $output.content_type =
            Some(info.headers.content_type.clone().unwrap_or_else(|| "binary/octet-stream".to_owned()));
        $output.e_tag = Some(etag(&info.etag));
        $output.last_modified = Some(timestamp(&info.last_modified));
        $output.metadata = (!info.metadata.is_empty()).then(|| info.metadata.clone().into_iter().collect());
        $output.version_id = info.version_id.clone();
        $output.website_redirect_location = info.headers.website_redirect.clone();
        put_encryption!($output, &info.encryption);
        if $with_checksum {
            put_checksum_and_kind!($output, &info.checksum);
        }
    }};
}

/// Headers of an object that the decoder would change, or has no place for.
fn more_headers<T>(output: T, info: &ObjectInfo) -> S3Response<T> {
    let mut response = match &info.headers.expires {
        Some(expires) => with_header(output, "expires", expires),
        None => S3Response::new(output),
    };
    if let Some((at, rule)) = &info.expires
        && let Some(date) = crate::pipeline::http_date(crate::authenticate::time_of(*at))
        && let Ok(date) = date.to_str()
        && let Ok(value) = http::HeaderValue::try_from(format!("expiry-date=\"{date}\", rule-id=\"{rule}\""))
    {
        response.headers.insert("x-amz-expiration", value);
    }
    if info.tag_count > 0 {
        response.headers.insert("x-amz-tagging-count", http::HeaderValue::from(info.tag_count));
    }
    response
}

/// Part 1 of an object that was put at once is all of it; others are asked for as they are.
fn read_input(
    object: ObjectRef,
    conditions: ReadConditions,
    wanted: Option<dto::Range>,
    part: Option<i32>,
) -> Result<GetObjectInput, S3Error> {
    if wanted.is_some() && part.is_some() {
        return Err(S3Error::bad_request("Cannot specify both Range header and partNumber query parameter"));
    }
    Ok(GetObjectInput { object, conditions, range: wanted.map(range), part_number: part.map(part_number).transpose()? })
}

fn wants_checksum(mode: Option<&dto::ChecksumMode>) -> bool {
    mode.is_some_and(|mode| mode.as_str().eq_ignore_ascii_case("ENABLED"))
}

/// Only those who sign may choose the headers of an answer.
fn check_overrides<S: Service, K: Keys, A: Authorizer>(call: &Call<S, K, A>) -> Result<(), S3Error> {
    let query = call.query.as_deref().unwrap_or_default();
    if call.is_anonymous && query.split('&').any(|pair| pair.starts_with("response-")) {
        return Err(S3Error::bad_request(
            "Request specific response headers cannot be used for anonymous GET requests.",
        ));
    }
    Ok(())
}

pub(super) async fn get<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::GetObjectInput,
) -> Answered<dto::GetObjectOutput> {
    check_overrides(call)?;
    let conditions = ReadConditions {
        if_match: condition(input.if_match),
        if_none_match: condition(input.if_none_match),
        if_modified_since: input.if_modified_since.map(time_of),
        if_unmodified_since: input.if_unmodified_since.map(time_of),
    };
    let is_part = input.part_number.is_some();
    let object = ObjectRef { bucket: input.bucket, key: input.key, version_id: input.version_id };
    let read = read_input(object, conditions, input.range, input.part_number)?;
    let object = call.service().get_object(&call.context, read).await?;
    let mut output = dto::GetObjectOutput::default();
    let is_whole = !object.partial || is_part;
    describe!(output, object, wants_checksum(input.checksum_mode.as_ref()) && is_whole);
    output.parts_count = object.info.parts.filter(|_| is_part).map(|parts| count(parts.into()));
    let length = object.content_length();
    let response = more_headers(output, &object.info);
    call.answer_with(Answer::pieces(object.body, Some(length), call.server.stopping.clone()));
    Ok(response)
}

pub(super) async fn head<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::HeadObjectInput,
) -> Answered<dto::HeadObjectOutput> {
    check_overrides(call)?;
    let conditions = ReadConditions {
        if_match: condition(input.if_match),
        if_none_match: condition(input.if_none_match),
        if_modified_since: input.if_modified_since.map(time_of),
        if_unmodified_since: input.if_unmodified_since.map(time_of),
    };
    let is_part = input.part_number.is_some();
    let object = ObjectRef { bucket: input.bucket, key: input.key, version_id: input.version_id };
    let read = read_input(object, conditions, input.range, input.part_number)?;
    let object: Object<()> = call.service().head_object(&call.context, read).await?;
    let mut output = dto::HeadObjectOutput::default();
    let is_whole = !object.partial || is_part;
    describe!(output, object, wants_checksum(input.checksum_mode.as_ref()) && is_whole);
    output.parts_count = object.info.parts.filter(|_| is_part).map(|parts| count(parts.into()));
    output.cache_control = input.response_cache_control.or(output.cache_control);
    output.content_disposition = input.response_content_disposition.or(output.content_disposition);
    output.content_encoding = input.response_content_encoding.or(output.content_encoding);
    output.content_language = input.response_content_language.or(output.content_language);
    output.content_type = input.response_content_type.or(output.content_type);
    let mut response = more_headers(output, &object.info);
    if object.partial {
        response.status = Some(http::StatusCode::PARTIAL_CONTENT);
    }
    Ok(response)
}

/// The object that a copy comes from, if the caller may read it.
pub(super) async fn source<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    source: dto::CopySource,
    conditions: ReadConditions,
) -> Result<CopySource, S3Error> {
    let dto::CopySource::Bucket { bucket, key, version_id } = source else {
        return Err(S3Error::not_implemented("Copying through an access point"));
    };
    if call.headers.keys().any(|name| name.as_str().starts_with("x-amz-copy-source-server-side-encryption-customer-")) {
        return Err(S3Error::not_implemented("Encryption with keys of the client (SSE-C)"));
    }
    let object = ObjectRef { bucket: bucket.into(), key: key.into(), version_id: version_id.map(Into::into) };
    let version_id = object.version_id.as_deref();
    let action = if version_id.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
    call.permit(&Need::object(action, &object.bucket, &object.key, version_id)).await?;
    Ok(CopySource { object, conditions })
}

pub(super) async fn copy<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::CopyObjectInput,
) -> Answered<dto::CopyObjectOutput> {
    let conditions = ReadConditions {
        if_match: condition(input.copy_source_if_match),
        if_none_match: condition(input.copy_source_if_none_match),
        if_modified_since: input.copy_source_if_modified_since.map(time_of),
        if_unmodified_since: input.copy_source_if_unmodified_since.map(time_of),
    };
    let replaces = |directive: Option<&str>, name: &str| match directive {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(_) => Err(S3Error::invalid(format!("Unknown {name} directive."))),
    };
    let replace_metadata = replaces(input.metadata_directive.as_ref().map(dto::MetadataDirective::as_str), "metadata")?;
    let replace_tags = replaces(input.tagging_directive.as_ref().map(dto::TaggingDirective::as_str), "tagging")?;
    let source = source(call, input.copy_source, conditions).await?;
    let copied = CopyObjectInput {
        source,
        bucket: input.bucket,
        key: input.key,
        replace_metadata,
        replace_tags,
        object: new_object(&call.headers, input.metadata)?,
        checksum: wanted_algorithm(&call.headers)?,
        conditions: WriteConditions {
            if_match: header_condition(&call.headers, "if-match")?,
            if_none_match: header_condition(&call.headers, "if-none-match")?,
        },
    };
    let copied = call.service().copy_object(&call.context, copied).await?;
    let mut result = dto::CopyObjectResult {
        e_tag: Some(etag(&copied.object.etag)),
        last_modified: Some(timestamp(&copied.object.last_modified)),
        ..dto::CopyObjectResult::default()
    };
    put_checksum_and_kind!(result, &copied.object.checksum);
    let mut output = dto::CopyObjectOutput {
        copy_object_result: Some(result),
        copy_source_version_id: copied.source_version_id,
        version_id: copied.object.version_id,
        ..dto::CopyObjectOutput::default()
    };
    put_encryption!(output, &copied.object.encryption);
    Ok(S3Response::new(output))
}

/// A condition that the decoder has no member for.
fn header_condition(headers: &HeaderMap, name: &str) -> Result<Option<EtagCondition>, S3Error> {
    Ok(text(headers, name)?.map(|text| match text {
        "*" => EtagCondition::Any,
        etag => EtagCondition::Etag(etag.trim_start_matches("W/").trim_matches('"').to_owned()),
    }))
}

pub(super) async fn delete<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::DeleteObjectInput,
) -> Answered<dto::DeleteObjectOutput> {
    if input.if_match_last_modified_time.is_some() || input.if_match_size.is_some() {
        return Err(S3Error::not_implemented("Deleting by time or size"));
    }
    let object = ObjectRef { bucket: input.bucket, key: input.key, version_id: input.version_id };
    let deleted = DeleteObjectInput { object, if_match: condition(input.if_match) };
    let deleted = call.service().delete_object(&call.context, deleted).await?;
    Ok(S3Response::new(dto::DeleteObjectOutput {
        delete_marker: deleted.delete_marker.then_some(true),
        version_id: deleted.version_id,
        ..dto::DeleteObjectOutput::default()
    }))
}

pub(super) async fn delete_many<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::DeleteObjectsInput,
) -> Answered<dto::DeleteObjectsOutput> {
    let dto::DeleteObjectsInput { bucket, delete, .. } = input;
    if delete.objects.is_empty() || delete.objects.len() > MOST_DELETED {
        let text = format!("from 1 to {MOST_DELETED} objects are deleted at once, not {}", delete.objects.len());
        return Err(super::buckets::malformed(&text));
    }
    let quiet = delete.quiet.unwrap_or(false);
    let (mut deleted, mut errors, mut wanted) = (Vec::new(), Vec::new(), Vec::new());
    for object in delete.objects {
        let dto::ObjectIdentifier { e_tag, key, version_id, last_modified_time, size } = object;
        let action = if version_id.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
        let permitted = call.permit(&Need::object(action, &bucket, &key, version_id.as_deref())).await;
        let permitted = match permitted {
            Ok(()) if last_modified_time.is_some() || size.is_some() => {
                Err(S3Error::not_implemented("Deleting by time or size"))
            }
            other => other,
        };
        match permitted {
            Ok(()) => wanted.push(DeleteObjectInput {
                object: ObjectRef { bucket: bucket.clone(), key, version_id },
                if_match: e_tag.map(|etag| EtagCondition::Etag(etag.into_value())),
            }),
            Err(error) => errors.push(refused(error, key, version_id)),
        }
    }
    // All are refused: the service is not asked whether there is such a bucket.
    let results = if wanted.is_empty() {
        Vec::new()
    } else {
        call.service().delete_objects(&call.context, &bucket, wanted.clone()).await?
    };
    for (input, result) in wanted.into_iter().zip(results) {
        let ObjectRef { key, version_id, .. } = input.object;
        match result {
            Err(error) => errors.push(refused(error, key, version_id)),
            Ok(_) if quiet => {}
            Ok(done) => deleted.push(dto::DeletedObject {
                delete_marker: done.delete_marker.then_some(true),
                delete_marker_version_id: done.version_id.filter(|_| done.delete_marker),
                key: Some(key),
                version_id,
            }),
        }
    }
    let output = dto::DeleteObjectsOutput {
        deleted: (!deleted.is_empty()).then_some(deleted),
        errors: (!errors.is_empty()).then_some(errors),
        ..dto::DeleteObjectsOutput::default()
    };
    Ok(S3Response::new(output))
}

fn refused(error: S3Error, key: String, version_id: Option<String>) -> dto::Error {
    dto::Error { code: Some(error.code.as_str().to_owned()), key: Some(key), message: Some(error.message), version_id }
}

pub(super) async fn attributes<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::GetObjectAttributesInput,
) -> Answered<dto::GetObjectAttributesOutput> {
    const MOST_PARTS: usize = 1000;
    let names: Vec<String> = input
        .object_attributes
        .iter()
        .flat_map(|list| list.as_str().split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>())
        .collect();
    let known = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(S3Error::invalid(format!(
            "Invalid attribute name specified: '{}'",
            unknown.chars().take(64).collect::<String>()
        )));
    }
    let wants = |name: &str| names.iter().any(|each| each == name);
    let marker = u32::try_from(input.part_number_marker.unwrap_or(0)).unwrap_or(0);
    let most = limit(input.max_parts, MOST_PARTS, "max-parts")?;
    let object = ObjectRef { bucket: input.bucket, key: input.key, version_id: input.version_id };
    let found = call.service().object_attributes(&call.context, object, marker, most).await?;
    let checksum = |checksum: &Checksum| {
        let mut output = dto::Checksum { checksum_type: Some(kind_of(checksum)), ..dto::Checksum::default() };
        put_checksum!(output, Some(checksum));
        output
    };
    let parts = found.info.parts.filter(|_| wants("ObjectParts")).map(|total| dto::GetObjectAttributesParts {
        is_truncated: Some(found.truncated),
        max_parts: Some(count(most as u64)),
        next_part_number_marker: found.parts.last().map(|part| count(part.number.into())),
        part_number_marker: Some(count(marker.into())),
        // S3 names the parts only of objects whose parts have checksums.
        parts: found.parts.iter().any(|part| part.checksum.is_some()).then(|| {
            let part = |part: &kiln_model::s3::ObjectPart| {
                let mut output = dto::ObjectPart {
                    part_number: Some(count(part.number.into())),
                    size: Some(signed(part.size)),
                    ..dto::ObjectPart::default()
                };
                put_checksum!(output, &part.checksum);
                output
            };
            found.parts.iter().map(part).collect()
        }),
        total_parts_count: Some(count(total.into())),
    });
    Ok(S3Response::new(dto::GetObjectAttributesOutput {
        checksum: found.info.checksum.as_ref().filter(|_| wants("Checksum")).map(checksum),
        e_tag: wants("ETag").then(|| etag(&found.info.etag)),
        last_modified: Some(timestamp(&found.info.last_modified)),
        object_parts: parts,
        object_size: wants("ObjectSize").then_some(signed(found.info.size)),
        storage_class: wants("StorageClass").then(|| dto::StorageClass::from_static(dto::StorageClass::STANDARD)),
        version_id: found.info.version_id,
        ..dto::GetObjectAttributesOutput::default()
    }))
}

pub(super) async fn tagging<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::GetObjectTaggingInput,
) -> Answered<dto::GetObjectTaggingOutput> {
    let object = ObjectRef { bucket: input.bucket, key: input.key, version_id: input.version_id };
    let (tags, version_id) = call.service().object_tags(&call.context, object).await?;
    Ok(S3Response::new(dto::GetObjectTaggingOutput { tag_set: tags_out(&tags), version_id }))
}

pub(super) async fn set_tagging<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::PutObjectTaggingInput,
) -> Answered<dto::PutObjectTaggingOutput> {
    let tags = tags_in(input.tagging.tag_set);
    check_tags(&tags, OBJECT_TAGS)?;
    let (action, version_id) = match &input.version_id {
        None => ("s3:PutObjectTagging", None),
        Some(version) => ("s3:PutObjectVersionTagging", Some(version.as_str())),
    };
    let need = Need::object(action, &input.bucket, &input.key, version_id);
    call.permit(&Need { tags: tags.clone(), ..need }).await?;
    let object = ObjectRef { bucket: input.bucket, key: input.key, version_id: input.version_id };
    let version_id = call.service().set_object_tags(&call.context, object, tags).await?;
    Ok(S3Response::new(dto::PutObjectTaggingOutput { version_id }))
}

pub(super) async fn delete_tagging<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::DeleteObjectTaggingInput,
) -> Answered<dto::DeleteObjectTaggingOutput> {
    let object = ObjectRef { bucket: input.bucket, key: input.key, version_id: input.version_id };
    let version_id = call.service().set_object_tags(&call.context, object, Vec::new()).await?;
    Ok(S3Response::new(dto::DeleteObjectTaggingOutput { version_id }))
}
