"""Moves one large object of so many MiB in the way that the first argument says; nothing of it is kept in memory here either.

put: one request, with the checksum behind the body; parts: the transfer manager's parts; get: the whole of it; copy: by the
server, in parts. What comes back is compared by its hash.
"""

import hashlib
import io
import sys

import boto3
from boto3.s3.transfer import TransferConfig

MIB = 1 << 20
BUCKET = "large-objects"


class Made(io.RawIOBase):
    """A file of `size` bytes of which every 8 are different, made when they are read."""

    def __init__(self, size):
        self.size, self.at = size, 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self.at

    def seek(self, offset, whence=io.SEEK_SET):
        self.at = offset + (0, self.at, self.size)[whence]
        return self.at

    def readinto(self, buffer):
        n = min(len(buffer), self.size - self.at)
        first = self.at // 8
        words = b"".join(w.to_bytes(8, "little") for w in range(first, (self.at + n + 7) // 8 + 1))
        start = self.at - first * 8
        buffer[:n] = words[start : start + n]
        self.at += n
        return n


def sha256(read):
    digest = hashlib.sha256()
    while chunk := read(MIB):
        digest.update(chunk)
    return digest.hexdigest()


how, size = sys.argv[1], int(sys.argv[2]) * MIB
s3 = boto3.client("s3")
if how == "put":
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="put", Body=io.BufferedReader(Made(size), MIB), ContentLength=size)
elif how == "parts":
    config = TransferConfig(multipart_chunksize=16 * MIB, max_concurrency=4)
    s3.upload_fileobj(io.BufferedReader(Made(size), MIB), BUCKET, "parts", Config=config)
elif how == "copy":
    config = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=16 * MIB)
    s3.copy({"Bucket": BUCKET, "Key": "parts"}, BUCKET, "copy", Config=config)
elif how == "get":
    wanted = sha256(Made(size).read)
    for key in ("put", "parts", "copy"):
        got = sha256(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read)
        assert got == wanted, f"{key} came back changed"
