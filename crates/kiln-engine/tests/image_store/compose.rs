//! Images composed of a layer that was made here.

use std::collections::BTreeMap;

use kiln_engine::image::{Composition, Image, ImageError, ImportOptions, ImportSource, Reference};

use crate::support::*;

fn composition(name: &str, parent: Option<&Image>) -> Composition {
    Composition {
        name: Reference::parse(name).unwrap(),
        parent: parent.cloned(),
        env: vec!["PATH=/bin".to_owned(), "A=b".to_owned()],
        entrypoint: Vec::new(),
        labels: BTreeMap::from([("made.of".to_owned(), "tests".to_owned())]),
        created: "2026-01-02T03:04:05Z".to_owned(),
    }
}

fn compose(at: &TestStore, composition: &Composition, layer: &Layer) -> Result<Image, ImageError> {
    let file = at.dir.path().join("layer.tar");
    std::fs::write(&file, layer.tar()).unwrap();
    at.store.compose(composition, &file, &operation(&NEVER))
}

/// A layer that deletes and replaces, over one that it needs to be looked at for it.
fn two(at: &TestStore) -> (Image, Image) {
    let [below, above] = two_layers().try_into().map_err(|_| "two layers").unwrap();
    let base = compose(at, &composition("base:1", None), &below).unwrap();
    let top = compose(at, &composition("top:1", Some(&base)), &above).unwrap();
    (base, top)
}

#[test]
fn a_layer_lies_over_its_parents_and_shares_them() {
    let at = TestStore::new();
    let (base, top) = two(&at);
    at.assert_tidy();
    assert_eq!(top.layers.len(), 2);
    assert_eq!(top.layers[0], base.layers[0], "the parent's layer is on disk once");
    assert_eq!(read(&top.layers[1], "etc/new"), "new");
    assert_eq!(read(&top.layers[1], "bin/bash"), "shell", "a link to a file of the parent");
    assert_eq!(top.config.env, ["PATH=/bin", "A=b"]);
    assert_eq!(top.config.labels["made.of"], "tests");
    assert_eq!(top.config.created.as_deref(), Some("2026-01-02T03:04:05Z"));
    assert!(top.size > base.size);
    // The parent's name may go; what lies on its layer keeps it.
    at.store.remove("base:1").unwrap();
    let found = at.store.resolve("top:1").unwrap().unwrap();
    assert_eq!((found.digest, found.layers), (top.digest, top.layers));
}

#[test]
fn equal_layers_make_equal_images_in_any_store() {
    let (one, other) = (TestStore::new(), TestStore::new());
    let ((base, top), (base_2, top_2)) = (two(&one), two(&other));
    assert_eq!((base.digest, top.digest), (base_2.digest, top_2.digest));
    let renamed = compose(&one, &composition("again:1", Some(&base)), &two_layers()[1]).unwrap();
    assert_eq!((renamed.digest, renamed.id), (top.digest, top.id), "a name is no content");
    let changed = Composition { env: vec!["A=c".to_owned()], ..composition("changed:1", Some(&base)) };
    assert_ne!(compose(&one, &changed, &two_layers()[1]).unwrap().digest, top.digest);
    let entered = Composition { entrypoint: vec!["/init".to_owned()], ..composition("entered:1", Some(&base)) };
    let entered = compose(&one, &entered, &two_layers()[1]).unwrap();
    assert_ne!(entered.digest, top.digest);
    assert_eq!((entered.config.entrypoint, top.config.entrypoint), (vec!["/init".to_owned()], Vec::new()));
}

#[test]
fn it_lies_over_an_imported_image_too() {
    let at = TestStore::new();
    let options = ImportOptions { name: Some(Reference::parse("rootfs:1").unwrap()), ..ImportOptions::default() };
    let source = ImportSource::Stream(Box::new(std::io::Cursor::new(two_layers()[0].tar())));
    let parent = at.store.import(source, &options, &operation(&NEVER)).unwrap().remove(0);
    let top = compose(&at, &composition("top:1", Some(&parent)), &two_layers()[1]).unwrap();
    assert_eq!(top.layers.len(), 2);
}

#[test]
fn a_layer_that_cannot_be_read_leaves_nothing() {
    let at = TestStore::new();
    let file = at.dir.path().join("layer.tar");
    std::fs::write(&file, b"no archive at all, and long enough to be looked at".repeat(40)).unwrap();
    at.store.compose(&composition("x:1", None), &file, &operation(&NEVER)).unwrap_err();
    let gone = at.store.compose(&composition("x:1", None), &at.dir.path().join("gone"), &operation(&NEVER));
    assert!(gone.unwrap_err().to_string().contains("gone"));
    assert!(at.store.resolve("x:1").unwrap().is_none());
    at.assert_tidy();
    assert!(at.layers().is_empty());
}
