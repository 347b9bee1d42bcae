use std::path::Path;

use rusqlite::{Connection, params};

use super::{records::*, *};
use crate::{
    Metadata,
    metadata::{
        DATABASE, schema,
        sequence::{Reached, SequenceFile},
    },
};

/// Version of the tables before there was a registry.
const BEFORE: i64 = 8;

fn repository(name: &str) -> RepositoryRecord {
    RepositoryRecord { name: name.to_owned(), created_ms: 5, doc: "{}".to_owned() }
}

fn upload(id: &str, repository: &str, size: i64, pieces: i64) -> LayerUploadRecord {
    LayerUploadRecord {
        id: id.to_owned(),
        repository: repository.to_owned(),
        touched_ms: 7,
        size,
        pieces,
        sealed_with: "key".to_owned(),
    }
}

fn piece(content: &str, number: i64, size: i64) -> PieceRecord {
    let blob = format!("{content}-{number}");
    PieceRecord { content: content.to_owned(), number, blob, size, digest: "sha256:0".to_owned() }
}

fn content(id: &str, digest: &str, size: i64) -> ContentRecord {
    ContentRecord { id: id.to_owned(), digest: digest.to_owned(), sealed_with: "key".to_owned(), size }
}

fn link(repository: &str, digest: &str, content: &str, touched_ms: i64) -> RepositoryContentRecord {
    RepositoryContentRecord {
        repository: repository.to_owned(),
        digest: digest.to_owned(),
        content: content.to_owned(),
        touched_ms,
    }
}

fn image(repository: &str, digest: &str) -> ImageRecord {
    ImageRecord {
        repository: repository.to_owned(),
        digest: digest.to_owned(),
        subject: None,
        size: 3,
        pushed_ms: 9,
        pulled_ms: None,
        doc: "{}".to_owned(),
    }
}

/// Two repositories that share a layer of two pieces; one has an image that needs it.
fn filled(dir: &Path) -> Metadata {
    let store = Metadata::open(dir).unwrap();
    store
        .write_blocking(|tx| {
            for name in ["a", "b"] {
                tx.insert_repository(&repository(name))?;
            }
            tx.insert_layer_upload(&upload("u", "a", 0, 0))?;
            tx.append_piece(&upload("u", "a", 2, 1), &piece("u", 1, 2))?;
            tx.append_piece(&upload("u", "a", 3, 2), &piece("u", 2, 1))?;
            tx.end_layer_upload("u")?;
            tx.insert_content(&content("u", "layer", 3))?;
            tx.put_repository_content(&link("a", "layer", "u", 10))?;
            tx.put_repository_content(&link("b", "layer", "u", 10))?;
            tx.insert_whole_content(&content("m", "manifest", 8), "m-1")?;
            tx.put_repository_content(&link("a", "manifest", "m", 10))?;
            tx.insert_image(&image("a", "manifest"), &["layer".to_owned()])?;
            let tag = ImageTagRecord { repository: "a".to_owned(), tag: "t".to_owned(), digest: "manifest".to_owned() };
            tx.put_image_tag(&tag)
        })
        .unwrap();
    store
}

fn problems(dir: &Path) -> Vec<String> {
    let db = Connection::open(dir.join(DATABASE)).unwrap();
    super::super::check::check(&View::new(&db, dir)).unwrap()
}

#[test]
fn a_database_from_before_keeps_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(DATABASE);
    let mut db = Connection::open(&path).unwrap();
    schema::migrate(&mut db, BEFORE).unwrap();
    let reached = Reached { store: [7; 16], seq: 41 };
    db.execute("INSERT INTO store (one, id, seq) VALUES (1, ?1, 41)", params![reached.store]).unwrap();
    Tx::new(&db, &path).put_setting("a", "b").unwrap();
    drop(db);
    SequenceFile::replace(dir.path(), reached).unwrap();
    let store = Metadata::open(dir.path()).unwrap();
    assert_eq!(store.read(|v| v.setting("a")).unwrap().as_deref(), Some("b"));
    store.write_blocking(|tx| tx.insert_repository(&repository("r"))).unwrap();
    assert_eq!(store.read(|v| v.repository("r")).unwrap(), Some(repository("r")));
}

#[test]
fn bytes_go_with_the_last_repository_that_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    assert_eq!(problems(dir.path()), Vec::<String>::new());
    let used = |blob: &str| store.read(|v| v.is_blob_used(blob)).unwrap();
    assert!(used("u-1") && used("u-2") && used("m-1") && !used("u-3"));
    let mut blobs = Vec::new();
    store.read(|v| v.each_blob(|blob| blobs.push(blob.to_owned()))).unwrap();
    assert_eq!(blobs, ["m-1", "u-1", "u-2"]);

    let gone = store.write_blocking(|tx| tx.delete_repository("a")).unwrap();
    assert_eq!(gone, ["m-1"], "the other repository has the layer");
    assert_eq!(problems(dir.path()), Vec::<String>::new());
    let gone = store.write_blocking(|tx| tx.delete_repository("b")).unwrap();
    assert_eq!(gone, ["u-1", "u-2"]);
    assert_eq!(store.read(|v| v.repository_count()).unwrap(), 0);
    assert_eq!(problems(dir.path()), Vec::<String>::new());
}

#[test]
fn only_what_no_image_needs_may_be_collected() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    let loose = |before| store.read(|v| v.contents_not_needed(before, 10)).unwrap();
    assert_eq!(loose(10), Vec::new(), "touched too lately");
    assert_eq!(loose(11), [link("b", "layer", "u", 10)]);
    store
        .write_blocking(|tx| {
            tx.touch_parts_of_image("a", "manifest", 50)?;
            tx.delete_image("a", "manifest")
        })
        .unwrap();
    assert_eq!(loose(11), [link("b", "layer", "u", 10)]);
    let all = [link("a", "layer", "u", 50), link("a", "manifest", "m", 50), link("b", "layer", "u", 10)];
    assert_eq!(loose(51), all);
    let mut gone = Vec::new();
    for link in all {
        gone.extend(store.write_blocking(move |tx| tx.delete_repository_content(&link)).unwrap());
    }
    assert_eq!(gone, ["m-1", "u-1", "u-2"]);
    assert_eq!(problems(dir.path()), Vec::<String>::new());
}

#[test]
fn an_upload_that_is_given_up_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path());
    store
        .write_blocking(|tx| {
            tx.insert_layer_upload(&upload("w", "b", 0, 0))?;
            tx.append_piece(&upload("w", "b", 4, 1), &piece("w", 1, 4))
        })
        .unwrap();
    assert_eq!(store.read(|v| v.layer_uploads_before(8, 9)).unwrap(), [upload("w", "b", 4, 1)]);
    assert_eq!(store.read(|v| v.layer_uploads_before(7, 9)).unwrap(), []);
    let gone = store.write_blocking(|tx| tx.delete_layer_upload("w")).unwrap();
    assert_eq!(gone, ["w-1"]);
    assert_eq!(
        store.write_blocking(|tx| tx.delete_layer_upload("u")).unwrap(),
        Vec::<String>::new(),
        "it is a content"
    );
    let late = store.write_blocking(|tx| tx.append_piece(&upload("w", "b", 8, 2), &piece("w", 2, 4)));
    assert!(matches!(late, Err(StoreError::NotFound(_))), "{late:?}");
    assert_eq!(problems(dir.path()), Vec::<String>::new());
}

#[test]
fn damage_is_found() {
    for (sql, expected) in [
        ("UPDATE repositories SET doc = '{ }' WHERE name = 'a'", "repository a is not what was stored"),
        ("UPDATE contents SET size = 4 WHERE id = 'u'", "content u is not what was stored"),
        ("UPDATE content_pieces SET blob = 'x' WHERE content = 'm'", "piece 1 of content m is not what was stored"),
        ("UPDATE repository_contents SET content = 'm' WHERE repository = 'b'", "layer of repository b is not"),
        ("UPDATE images SET size = 4", "image manifest of repository a is not"),
        ("UPDATE image_tags SET digest = 'layer'", "tag t of repository a is not"),
        (
            "DELETE FROM repository_contents WHERE repository = 'a' AND digest = 'layer'",
            "what an image needs is not there",
        ),
        ("DELETE FROM content_pieces WHERE content = 'u' AND number = 2", "the pieces of content u have another size"),
        ("DELETE FROM images", "a tag is on no image"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        drop(filled(dir.path()));
        let db = Connection::open(dir.path().join(DATABASE)).unwrap();
        db.execute("PRAGMA foreign_keys = OFF", []).unwrap();
        db.execute(sql, []).unwrap();
        drop(db);
        let found = problems(dir.path());
        assert!(found.iter().any(|line| line.contains(expected)), "{sql}: {found:?}");
    }
}
