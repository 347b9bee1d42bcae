"""Opens an object as Kiln's documents describe it, without a line of Kiln's: root key file, database, blob.

open_blob.py DATA BUCKET KEY; writes the content to standard output. Uses Python's `cryptography` alone.
"""

import hashlib
import pathlib
import sqlite3
import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

LABEL = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0"
CHUNK, TAG = 16384, 16


def open_message(key, context, message):
    """C2SP chunked encryption, AES-256-GCM with SHA-512."""
    salt, commitment, body = message[:24], message[24:56], message[56:]
    expand = HKDFExpand(algorithm=hashes.SHA512(), length=32 + 12 + 32, info=LABEL + salt + context)
    derived = expand.derive(key)
    assert derived[44:] == commitment, "another key or context"
    base, plain = int.from_bytes(derived[32:44], "big"), b""
    chunks = [body[at : at + CHUNK + TAG] for at in range(0, len(body), CHUNK + TAG)]
    if len(body) % (CHUNK + TAG) == 0:
        raise ValueError("the last chunk is missing")
    for number, chunk in enumerate(chunks):
        nonce = (base ^ number).to_bytes(12, "big")
        plain += AESGCM(derived[:32]).decrypt(nonce, chunk, None)
    return plain


def text(value):
    return len(value.encode()).to_bytes(8, "little") + value.encode()


def context_of(purpose, key, version, pairs):
    encoded = text(purpose) + text(key) + text(str(version))
    for name, value in sorted(pairs.items(), key=lambda pair: pair[0].encode()):
        encoded += text(name) + text(value)
    return encoded


def sealed(message):
    """Version byte, length of the key's name, the name, its version, a message."""
    assert message[0] == 1, "an unknown form"
    end = 2 + message[1]
    return message[2:end].decode(), int.from_bytes(message[end : end + 4], "little"), message[end + 4 :]


def main(data, bucket, key):
    data = pathlib.Path(data)
    first, *lines = (data / "keys/root.key").read_text().splitlines()
    assert first == "kiln root key 1", first
    roots = {line.split()[0]: bytes.fromhex(line.split()[1]) for line in lines}
    database = sqlite3.connect(f"file:{data / 'kiln.db'}?mode=ro", uri=True)
    (blob,) = database.execute("SELECT blob FROM objects WHERE bucket = ? AND key = ?", (bucket, key)).fetchone()
    content = (data / "blobs" / blob).read_bytes()
    assert content[:6] == b"KILB\x01\x01", content[:6]
    length = int.from_bytes(content[6:8], "little")
    name, version, message = sealed(content[8 : 8 + length])
    (wrapped,) = database.execute("SELECT wrapped FROM key_versions WHERE key = ? AND version = ?", (name, version)).fetchone()
    root = wrapped[:16].decode()
    material = open_message(roots[root], context_of("key version", name, version, {"root": root}), wrapped[16:])
    what = {"aws:s3:arn": f"arn:aws:s3:::{bucket}/{key}"}
    data_key = open_message(material, context_of("data key", name, version, what), message)
    plain = open_message(data_key, f"kiln blob 1 {blob}".encode(), content[8 + length :])
    sys.stdout.buffer.write(plain)
    print(hashlib.sha256(plain).hexdigest(), name, version, file=sys.stderr)


main(*sys.argv[1:])
