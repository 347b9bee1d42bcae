"""Puts an object together from the files that are named, one part each; prints a link to it.

    s3_parts.py BUCKET KEY KMS_KEY FILE...
"""

import sys

import boto3
from botocore.config import Config

bucket, key, kms, *files = sys.argv[1:]
s3 = boto3.client("s3", config=Config(signature_version="s3v4"))
s3.create_bucket(Bucket=bucket)
to = {"Bucket": bucket, "Key": key}
upload = s3.create_multipart_upload(**to, ServerSideEncryption="aws:kms", SSEKMSKeyId=kms)["UploadId"]
parts = []
for number, name in enumerate(files, 1):
    with open(name, "rb") as file:
        etag = s3.upload_part(**to, UploadId=upload, PartNumber=number, Body=file)["ETag"]
    parts.append({"PartNumber": number, "ETag": etag})
s3.complete_multipart_upload(**to, UploadId=upload, MultipartUpload={"Parts": parts})
print(s3.generate_presigned_url("get_object", Params=to, ExpiresIn=3600))
