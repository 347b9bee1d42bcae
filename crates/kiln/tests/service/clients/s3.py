"""What boto3 makes of S3: uploads in parts, pages, links, conditions, checksums, versions, errors."""

import hashlib
import io
import os
import urllib.error
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

s3 = boto3.client("s3", config=Config(signature_version="s3v4"))
BUCKET = "boto3-bucket"


def refused(code, call, **arguments):
    try:
        answer = call(**arguments)
    except ClientError as error:
        said = error.response["Error"]
        assert said["Code"] == code, said
        return error.response
    raise AssertionError(f"{arguments} was accepted: {answer}")


s3.create_bucket(Bucket=BUCKET)
assert BUCKET in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
s3.head_bucket(Bucket=BUCKET)
assert s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] is None
refused("404", s3.head_bucket, Bucket="no-such-bucket")
refused("NoSuchBucket", s3.list_objects_v2, Bucket="no-such-bucket")

# Put and get, with metadata, ranges, conditions.
body = os.urandom(100_000)
put = s3.put_object(Bucket=BUCKET, Key="a b/ä+&.bin", Body=body, ContentType="text/x-clay", Metadata={"word": "clay"})
got = s3.get_object(Bucket=BUCKET, Key="a b/ä+&.bin")
assert got["Body"].read() == body
assert (got["ContentType"], got["Metadata"], got["ETag"]) == ("text/x-clay", {"word": "clay"}, put["ETag"])
assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
part = s3.get_object(Bucket=BUCKET, Key="a b/ä+&.bin", Range="bytes=70000-70009")
assert part["Body"].read() == body[70000:70010] and part["ContentRange"] == "bytes 70000-70009/100000"
refused("InvalidRange", s3.get_object, Bucket=BUCKET, Key="a b/ä+&.bin", Range="bytes=100000-")
assert refused("304", s3.get_object, Bucket=BUCKET, Key="a b/ä+&.bin", IfNoneMatch=put["ETag"])
refused("PreconditionFailed", s3.get_object, Bucket=BUCKET, Key="a b/ä+&.bin", IfMatch='"other"')
refused("PreconditionFailed", s3.put_object, Bucket=BUCKET, Key="a b/ä+&.bin", Body=b"x", IfNoneMatch="*")
s3.put_object(Bucket=BUCKET, Key="a b/ä+&.bin", Body=b"x", IfMatch=put["ETag"])
refused("NoSuchKey", s3.get_object, Bucket=BUCKET, Key="missing")
refused("404", s3.head_object, Bucket=BUCKET, Key="missing")

# Checksums of all kinds, sent in front of the bytes and behind them.
for algorithm in ("CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME"):
    try:
        s3.put_object(Bucket=BUCKET, Key=f"sum/{algorithm}", Body=body, ChecksumAlgorithm=algorithm)
    except Exception as error:
        # Two of them need a library of botocore's that is not installed.
        assert type(error).__name__ == "MissingDependencyException", error
        continue
    head = s3.head_object(Bucket=BUCKET, Key=f"sum/{algorithm}", ChecksumMode="ENABLED")
    assert head[f"Checksum{algorithm}"], head
    s3.put_object(Bucket=BUCKET, Key=f"sum/{algorithm}", Body=io.BytesIO(body), ChecksumAlgorithm=algorithm)
    assert s3.get_object(Bucket=BUCKET, Key=f"sum/{algorithm}")["Body"].read() == body
refused("BadDigest", s3.put_object, Bucket=BUCKET, Key="sum/wrong", Body=body, ChecksumCRC32="AAAAAA==")
refused("404", s3.head_object, Bucket=BUCKET, Key="sum/wrong")

# Uploads in parts.
config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20, max_concurrency=4)
large = os.urandom(12 << 20)
s3.upload_fileobj(io.BytesIO(large), BUCKET, "large", Config=config)
assert s3.get_object(Bucket=BUCKET, Key="large")["Body"].read() == large
assert s3.head_object(Bucket=BUCKET, Key="large")["ETag"].endswith('-3"')
tail = s3.get_object(Bucket=BUCKET, Key="large", Range="bytes=-100")
assert tail["Body"].read() == large[-100:]
fetched = io.BytesIO()
s3.download_fileobj(BUCKET, "large", fetched, Config=config)
assert fetched.getvalue() == large
s3.copy({"Bucket": BUCKET, "Key": "large"}, BUCKET, "copied", Config=config)
assert s3.get_object(Bucket=BUCKET, Key="copied")["Body"].read() == large
uploads = [s3.create_multipart_upload(Bucket=BUCKET, Key=f"up/{n}")["UploadId"] for n in range(5)]
found = []
for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=BUCKET, PaginationConfig={"PageSize": 2}):
    found += [upload["UploadId"] for upload in page.get("Uploads", [])]
assert found == uploads, (found, uploads)
s3.upload_part(Bucket=BUCKET, Key="up/0", UploadId=uploads[0], PartNumber=1, Body=b"part")
assert s3.list_parts(Bucket=BUCKET, Key="up/0", UploadId=uploads[0])["Parts"][0]["Size"] == 4
refused("NoSuchUpload", s3.abort_multipart_upload, Bucket=BUCKET, Key="up/0", UploadId="nonsense")
for n, upload in enumerate(uploads):
    s3.abort_multipart_upload(Bucket=BUCKET, Key=f"up/{n}", UploadId=upload)

# Pages, with keys that XML has no form for.
keys = sorted(f"list/{n:03}\x01 <&>" for n in range(25))
for key in keys:
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"")
found = []
pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="list/", PaginationConfig={"PageSize": 7})
for page in pages:
    found += [each["Key"] for each in page["Contents"]]
assert found == keys, found
prefixes = s3.list_objects_v2(Bucket=BUCKET, Delimiter="/")
assert [each["Prefix"] for each in prefixes["CommonPrefixes"]] == ["a b/", "list/", "sum/"], prefixes

# Versions.
s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
versions = [s3.put_object(Bucket=BUCKET, Key="versioned", Body=str(n).encode())["VersionId"] for n in range(4)]
marker = s3.delete_object(Bucket=BUCKET, Key="versioned")
assert marker["DeleteMarker"]
refused("NoSuchKey", s3.get_object, Bucket=BUCKET, Key="versioned")
assert s3.get_object(Bucket=BUCKET, Key="versioned", VersionId=versions[1])["Body"].read() == b"1"
found, markers = [], []
pages = s3.get_paginator("list_object_versions").paginate(
    Bucket=BUCKET, Prefix="versioned", PaginationConfig={"PageSize": 2}
)
for page in pages:
    found += [each["VersionId"] for each in page.get("Versions", [])]
    markers += [each["VersionId"] for each in page.get("DeleteMarkers", [])]
assert (found, markers) == (versions[::-1], [marker["VersionId"]]), (found, markers)

# Tags, links, deletion of many.
s3.put_object_tagging(Bucket=BUCKET, Key="large", Tagging={"TagSet": [{"Key": "team", "Value": "blue"}]})
assert s3.get_object_tagging(Bucket=BUCKET, Key="large")["TagSet"] == [{"Key": "team", "Value": "blue"}]
get = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "copied"}, ExpiresIn=60)
assert urllib.request.urlopen(get).read() == large
put = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "linked"}, ExpiresIn=60)
urllib.request.urlopen(urllib.request.Request(put, data=b"linked", method="PUT", headers={"Content-Type": ""}))
assert s3.get_object(Bucket=BUCKET, Key="linked")["Body"].read() == b"linked"
old = boto3.client("s3", config=Config(signature_version="s3"))
link = old.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "copied"})
try:
    urllib.request.urlopen(link)
    raise AssertionError("version 2 of signatures was taken")
except urllib.error.HTTPError as error:
    text = error.read().decode()
    assert error.code == 400 and "AWS4-HMAC-SHA256" in text, text
# Said back, these keys would be no XML, here as in AWS.
deleted = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True})
assert "Errors" not in deleted and "Deleted" not in deleted, deleted
deleted = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "copied"}, {"Key": "never <&> there"}]})
assert sorted(each["Key"] for each in deleted["Deleted"]) == ["copied", "never <&> there"], deleted

# Everything goes, and so does the bucket.
refused("BucketNotEmpty", s3.delete_bucket, Bucket=BUCKET)
for page in s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET):
    for each in page.get("Versions", []) + page.get("DeleteMarkers", []):
        s3.delete_object(Bucket=BUCKET, Key=each["Key"], VersionId=each["VersionId"])
s3.delete_bucket(Bucket=BUCKET)
assert BUCKET not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
