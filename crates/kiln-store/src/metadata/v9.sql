-- The registry of images. A repository's settings are in its document.
CREATE TABLE repositories (
    name        TEXT    NOT NULL PRIMARY KEY,
    created_ms  INTEGER NOT NULL,
    doc         TEXT    NOT NULL,
    sum         INTEGER NOT NULL
) STRICT;

-- Layers that are being uploaded: `size` bytes in `pieces` pieces are stored so far.
CREATE TABLE layer_uploads (
    id          TEXT    NOT NULL PRIMARY KEY,
    repository  TEXT    NOT NULL REFERENCES repositories (name),
    touched_ms  INTEGER NOT NULL,
    size        INTEGER NOT NULL,
    pieces      INTEGER NOT NULL,
    sealed_with TEXT    NOT NULL,
    sum         INTEGER NOT NULL
) STRICT;
CREATE INDEX layer_uploads_by_repository ON layer_uploads (repository, id);
CREATE INDEX layer_uploads_by_time ON layer_uploads (touched_ms, id);

-- Bytes of layers, configurations and manifests: once for each key that they are sealed with, however many repositories
-- have them. The id is that of the upload that brought them, whose pieces stay where they are.
CREATE TABLE contents (
    id          TEXT    NOT NULL PRIMARY KEY,
    digest      TEXT    NOT NULL,
    sealed_with TEXT    NOT NULL,
    size        INTEGER NOT NULL,
    sum         INTEGER NOT NULL,
    UNIQUE (digest, sealed_with)
) STRICT;

-- Pieces of uploads and contents, in their order; `digest` is of the piece alone.
CREATE TABLE content_pieces (
    content     TEXT    NOT NULL,
    number      INTEGER NOT NULL,
    blob        TEXT    NOT NULL,
    size        INTEGER NOT NULL,
    digest      TEXT    NOT NULL,
    sum         INTEGER NOT NULL,
    PRIMARY KEY (content, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX content_pieces_by_blob ON content_pieces (blob);

-- Which contents a repository has. One that no image of the repository needs goes some time after it was touched.
CREATE TABLE repository_contents (
    repository  TEXT    NOT NULL REFERENCES repositories (name),
    digest      TEXT    NOT NULL,
    content     TEXT    NOT NULL REFERENCES contents (id),
    touched_ms  INTEGER NOT NULL,
    sum         INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX repository_contents_by_content ON repository_contents (content);

-- Images by the digests of their manifests, which are contents. `subject`: the image that it is about.
CREATE TABLE images (
    repository  TEXT    NOT NULL REFERENCES repositories (name),
    digest      TEXT    NOT NULL,
    subject     TEXT,
    size        INTEGER NOT NULL,
    pushed_ms   INTEGER NOT NULL,
    pulled_ms   INTEGER,
    doc         TEXT    NOT NULL,
    sum         INTEGER NOT NULL,
    PRIMARY KEY (repository, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX images_by_subject ON images (repository, subject, digest) WHERE subject IS NOT NULL;

CREATE TABLE image_tags (
    repository  TEXT    NOT NULL REFERENCES repositories (name),
    tag         TEXT    NOT NULL,
    digest      TEXT    NOT NULL,
    sum         INTEGER NOT NULL,
    PRIMARY KEY (repository, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX image_tags_by_image ON image_tags (repository, digest, tag);

-- What an image needs: layers and its configuration, or the images of an index.
CREATE TABLE image_parts (
    repository  TEXT    NOT NULL REFERENCES repositories (name),
    part        TEXT    NOT NULL,
    image       TEXT    NOT NULL,
    sum         INTEGER NOT NULL,
    PRIMARY KEY (repository, part, image)
) STRICT, WITHOUT ROWID;
CREATE INDEX image_parts_by_image ON image_parts (repository, image);
