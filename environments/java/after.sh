# Java's store of certificates notes when each was added. That is the time of this build: it becomes the image's.
python3 - /etc/ssl/certs/java/cacerts <<'END'
import hashlib, os, struct, sys

path = sys.argv[1]
with open(path, "rb") as file:
    data = bytearray(file.read())
magic, version, count = struct.unpack(">III", data[:12])
assert (magic, version) == (0xFEEDFEED, 2), "no Java key store"
milliseconds = struct.pack(">Q", int(os.environ["SOURCE_DATE_EPOCH"]) * 1000)
at = 12
for _ in range(count):
    (tag,) = struct.unpack(">I", data[at : at + 4])
    assert tag == 2, "an entry that is no certificate"
    at += 4
    at += 2 + struct.unpack(">H", data[at : at + 2])[0]  # its name
    data[at : at + 8] = milliseconds
    at += 8
    at += 2 + struct.unpack(">H", data[at : at + 2])[0]  # its type
    at += 4 + struct.unpack(">I", data[at : at + 4])[0]  # itself
assert at == len(data) - 20, "something follows the entries"
# The store's own check: of the password that Debian gives it, a fixed text, and all of the above.
data[at:] = hashlib.sha1("changeit".encode("utf-16-be") + b"Mighty Aphrodite" + data[:at]).digest()
with open(path, "wb") as file:
    file.write(data)
END
