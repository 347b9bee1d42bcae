//! Uploads in parts.

use kiln_model::{
    s3::{
        ByteRange, ChecksumAlgorithm, CompleteUploadInput, CompletedPart, CopyPartInput, CreateUploadInput,
        ListPartsInput, ReadConditions, S3Error, UploadId, UploadPartInput, WriteConditions,
    },
    service::Service,
};
use s3s::{S3Response, dto};

use super::{
    buckets::{canonical_id, malformed, owner},
    call::Call,
    convert::{
        algorithm_of, checksum_kind, condition, count, etag, given_checksum, limit, part_number, put_checksum,
        put_checksum_and_kind, put_encryption, range, signed, time_of, timestamp, wanted_algorithm,
    },
    objects::{content_md5, length, new_object, source},
};
use crate::{authenticate::Keys, authorise::Authorizer};

type Answered<T> = Result<S3Response<T>, S3Error>;

pub(super) async fn create<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::CreateMultipartUploadInput,
) -> Answered<dto::CreateMultipartUploadOutput> {
    let created = CreateUploadInput {
        bucket: input.bucket.clone(),
        key: input.key.clone(),
        object: new_object(&call.headers, input.metadata)?,
        checksum: wanted_algorithm(&call.headers)?,
        checksum_kind: checksum_kind(input.checksum_type.as_ref())?,
    };
    let upload = call.service().create_upload(&call.context, created).await?;
    let mut output = dto::CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        checksum_algorithm: upload.checksum.map(|(algorithm, _)| algorithm_of(algorithm)),
        checksum_type: upload.checksum.map(|(_, kind)| dto::ChecksumType::from(kind.as_str().to_owned())),
        key: Some(input.key),
        upload_id: Some(upload.upload_id),
        ..dto::CreateMultipartUploadOutput::default()
    };
    put_encryption!(output, &upload.encryption);
    Ok(S3Response::new(output))
}

pub(super) async fn put_part<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::UploadPartInput,
) -> Answered<dto::UploadPartOutput> {
    let part = UploadPartInput {
        upload: UploadId { bucket: input.bucket, key: input.key, upload_id: input.upload_id },
        part_number: part_number(input.part_number)?,
        content_length: Some(length(call)?),
        content_md5: content_md5(&call.headers)?,
        content_sha256: None,
        checksum: call.checksum.clone(),
    };
    let stored = call.service().upload_part(&call.context, part, call.take_payload()?).await?;
    let mut output = dto::UploadPartOutput { e_tag: Some(etag(&stored.etag)), ..dto::UploadPartOutput::default() };
    put_encryption!(output, &stored.encryption);
    put_checksum!(output, &stored.checksum);
    Ok(S3Response::new(output))
}

pub(super) async fn copy_part<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::UploadPartCopyInput,
) -> Answered<dto::UploadPartCopyOutput> {
    let conditions = ReadConditions {
        if_match: condition(input.copy_source_if_match),
        if_none_match: condition(input.copy_source_if_none_match),
        if_modified_since: input.copy_source_if_modified_since.map(time_of),
        if_unmodified_since: input.copy_source_if_unmodified_since.map(time_of),
    };
    let wanted = input.copy_source_range.map(|text| match dto::Range::parse(&text).map(range) {
        Ok(wanted @ ByteRange::From { last: Some(_), .. }) => Ok(wanted),
        _ => Err(S3Error::invalid("The x-amz-copy-source-range value must be of the form bytes=first-last")),
    });
    let part = CopyPartInput {
        upload: UploadId { bucket: input.bucket, key: input.key, upload_id: input.upload_id },
        part_number: part_number(input.part_number)?,
        source: source(call, input.copy_source, conditions).await?,
        range: wanted.transpose()?,
    };
    let stored = call.service().copy_part(&call.context, part).await?;
    let mut result = dto::CopyPartResult {
        e_tag: Some(etag(&stored.etag)),
        last_modified: Some(timestamp(&stored.last_modified)),
        ..dto::CopyPartResult::default()
    };
    put_checksum!(result, &stored.checksum);
    let mut output = dto::UploadPartCopyOutput {
        copy_part_result: Some(result),
        copy_source_version_id: stored.source_version_id,
        ..dto::UploadPartCopyOutput::default()
    };
    put_encryption!(output, &stored.encryption);
    Ok(S3Response::new(output))
}

pub(super) async fn complete<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::CompleteMultipartUploadInput,
) -> Answered<dto::CompleteMultipartUploadOutput> {
    let parts = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
    let parts = parts.into_iter().map(completed).collect::<Result<Vec<_>, _>>()?;
    let object_size = input.mpu_object_size.map(u64::try_from).transpose();
    let completed = CompleteUploadInput {
        upload: UploadId { bucket: input.bucket.clone(), key: input.key.clone(), upload_id: input.upload_id },
        parts,
        checksum: given_checksum(&call.headers)?,
        checksum_kind: checksum_kind(input.checksum_type.as_ref())?,
        object_size: object_size.map_err(|_| S3Error::invalid("x-amz-mp-object-size must not be negative"))?,
        conditions: WriteConditions {
            if_match: condition(input.if_match),
            if_none_match: condition(input.if_none_match),
        },
    };
    let stored = call.service().complete_upload(&call.context, completed).await?;
    let mut path = Vec::new();
    kiln_iam::sigv4::percent_encode(&mut path, format!("/{}/{}", input.bucket, input.key).as_bytes(), true);
    let mut output = dto::CompleteMultipartUploadOutput {
        bucket: Some(input.bucket),
        e_tag: Some(etag(&stored.etag)),
        key: Some(input.key),
        location: Some(format!("{}{}", call.origin(), String::from_utf8_lossy(&path))),
        version_id: stored.version_id,
        ..dto::CompleteMultipartUploadOutput::default()
    };
    put_encryption!(output, &stored.encryption);
    put_checksum_and_kind!(output, &stored.checksum);
    Ok(S3Response::new(output))
}

fn completed(part: dto::CompletedPart) -> Result<CompletedPart, S3Error> {
    let number = part.part_number.ok_or_else(|| malformed("a part has no PartNumber"))?;
    let etag = part.e_tag.ok_or_else(|| malformed("a part has no ETag"))?;
    let checksum = [
        (ChecksumAlgorithm::Crc32, part.checksum_crc32),
        (ChecksumAlgorithm::Crc32c, part.checksum_crc32c),
        (ChecksumAlgorithm::Crc64Nvme, part.checksum_crc64nvme),
        (ChecksumAlgorithm::Sha1, part.checksum_sha1),
        (ChecksumAlgorithm::Sha256, part.checksum_sha256),
    ];
    let checksum = checksum.into_iter().find_map(|(algorithm, value)| Some((algorithm, value?)));
    Ok(CompletedPart { part_number: part_number(number)?, etag: etag.into_value(), checksum })
}

pub(super) async fn abort<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::AbortMultipartUploadInput,
) -> Answered<dto::AbortMultipartUploadOutput> {
    let upload = UploadId { bucket: input.bucket, key: input.key, upload_id: input.upload_id };
    call.service().abort_upload(&call.context, upload).await?;
    Ok(S3Response::new(dto::AbortMultipartUploadOutput::default()))
}

pub(super) async fn list_parts<S: Service, K: Keys, A: Authorizer>(
    call: &Call<S, K, A>,
    input: dto::ListPartsInput,
) -> Answered<dto::ListPartsOutput> {
    const MOST: usize = 1000;
    let after = u32::try_from(input.part_number_marker.unwrap_or(0));
    let after = after.map_err(|_| S3Error::invalid("part-number-marker must not be negative"))?;
    let most = limit(input.max_parts, MOST, "max-parts")?;
    let upload = UploadId { bucket: input.bucket.clone(), key: input.key.clone(), upload_id: input.upload_id.clone() };
    let page = call.service().list_parts(&call.context, ListPartsInput { upload, after, limit: most }).await?;
    let part = |part: kiln_model::s3::ListedPart| {
        let mut output = dto::Part {
            e_tag: Some(etag(&part.etag)),
            last_modified: Some(timestamp(&part.last_modified)),
            part_number: Some(count(part.number.into())),
            size: Some(signed(part.size)),
            ..dto::Part::default()
        };
        put_checksum!(output, &part.checksum);
        output
    };
    Ok(S3Response::new(dto::ListPartsOutput {
        bucket: Some(input.bucket),
        checksum_algorithm: page.checksum.map(|(algorithm, _)| algorithm_of(algorithm)),
        checksum_type: page.checksum.map(|(_, kind)| dto::ChecksumType::from(kind.as_str().to_owned())),
        initiator: Some(dto::Initiator {
            display_name: Some(call.context.caller.account.clone()),
            id: Some(canonical_id(call)),
        }),
        is_truncated: Some(page.next.is_some()),
        key: Some(input.key),
        max_parts: Some(count(most as u64)),
        next_part_number_marker: page.next.map(|next| count(next.into())),
        owner: Some(owner(call)),
        part_number_marker: Some(count(after.into())),
        parts: Some(page.parts.into_iter().map(part).collect()),
        storage_class: Some(dto::StorageClass::from_static(dto::StorageClass::STANDARD)),
        upload_id: Some(input.upload_id),
        ..dto::ListPartsOutput::default()
    }))
}
