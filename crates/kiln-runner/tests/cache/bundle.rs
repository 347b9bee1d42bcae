//! Caches as files in a bucket: what comes back is what was saved, and nothing else is taken.

use kiln_runner::cache::Bundle;

use super::*;

fn bundle(store: &CacheStore, key: Option<&str>) -> Vec<u8> {
    let mut bytes = Vec::new();
    assert!(store.export(&identity(), key, &mut bytes).unwrap());
    bytes
}

fn import(store: &CacheStore, key: Option<&str>, bytes: &[u8]) -> Result<(), CacheError> {
    let opened = Bundle::open(bytes).map_err(|e| CacheError::Damaged { reason: e.to_string() })?;
    store.import(&identity(), key, opened, 9)
}

#[test]
fn a_cache_moves_to_another_store_through_its_bundle() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (here, there_store) = (CacheStore::open(here.path()).unwrap(), CacheStore::open(there.path()).unwrap());
    let tree = sample();
    saved(&save(&here, Some("k"), &tree, None, 5).0);
    let bytes = bundle(&here, Some("k"));
    assert!(here.has(&identity(), Some("k"), &Bundle::open(&*bytes).unwrap()).unwrap());
    assert!(!there_store.has(&identity(), Some("k"), &Bundle::open(&*bytes).unwrap()).unwrap());
    import(&there_store, Some("k"), &bytes).unwrap();
    assert!(there_store.has(&identity(), Some("k"), &Bundle::open(&*bytes).unwrap()).unwrap());
    let hit = there_store.open_key(&identity(), Some("k"), true, 1).unwrap().hit.unwrap();
    assert_eq!(restore(&hit).unwrap(), tree);

    // What changes between two bundles is all that is written.
    let before = on_disk(&there.path().join("packs"));
    import(&there_store, Some("k"), &bytes).unwrap();
    assert_eq!(on_disk(&there.path().join("packs")), before);

    there_store.forget(&identity(), Some("k")).unwrap();
    there_store.forget(&identity(), Some("k")).unwrap();
    assert!(there_store.open_key(&identity(), Some("k"), true, 1).unwrap().hit.is_none());
    assert!(!there_store.export(&identity(), Some("k"), &mut Vec::new()).unwrap());
    there_store.prune(u64::MAX, 1).unwrap();
    assert!(packs(there.path()).is_empty());
}

#[test]
fn a_newer_bundle_takes_the_place_of_what_is_there() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (here, there) = (CacheStore::open(here.path()).unwrap(), CacheStore::open(there.path()).unwrap());
    saved(&save(&here, None, &tree([("f", file("one"))]), None, 5).0);
    let old = bundle(&here, None);
    import(&there, None, &old).unwrap();
    let two = tree([("f", file("two"))]);
    saved(&save(&here, None, &two, None, 6).0);
    let new = bundle(&here, None);
    assert!(!there.has(&identity(), None, &Bundle::open(&*new).unwrap()).unwrap());
    import(&there, None, &new).unwrap();
    let hit = there.open_key(&identity(), None, true, 1).unwrap().hit.unwrap();
    assert_eq!(restore(&hit).unwrap(), two);
}

#[test]
fn the_cache_of_something_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = CacheStore::open(dir.path()).unwrap();
    saved(&save(&store, Some("a"), &tree([("f", file("one"))]), None, 5).0);
    let bytes = bundle(&store, Some("a"));
    for key in [None, Some("b")] {
        assert!(matches!(import(&store, key, &bytes), Err(CacheError::Damaged { .. })));
    }
    let other = Identity { namespace: "another project".into(), ..identity() };
    let refused = store.import(&other, Some("a"), Bundle::open(&*bytes).unwrap(), 9);
    assert!(matches!(refused, Err(CacheError::Damaged { .. })));
    assert!(store.open_key(&other, Some("a"), true, 1).unwrap().hit.is_none());
}

#[test]
fn no_damage_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let store = CacheStore::open(dir.path()).unwrap();
    saved(&save(&store, None, &tree([("f", file("text ".repeat(50))), ("g", file(noise(3, 300)))]), None, 5).0);
    let good = bundle(&store, None);
    let imported = |bytes: &[u8]| {
        let dir = tempfile::tempdir().unwrap();
        let store = CacheStore::open(dir.path()).unwrap();
        let result = import(&store, None, bytes);
        if result.is_err() {
            assert!(on_disk(dir.path()).keys().all(|path| path.ends_with("lock")), "something stayed");
        }
        (result, store, dir)
    };
    for cut in 0..good.len() {
        assert!(imported(&good[..cut]).0.is_err(), "cut at {cut}");
    }
    let mut lost = 0;
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 0x20;
        let (result, store, _dir) = imported(&bytes);
        match result {
            Err(e) => assert!(matches!(e, CacheError::Damaged { .. } | CacheError::Limit { .. }), "byte {at}: {e}"),
            // The bundle's own hash covers the manifest, the manifest its packs; what is left says nothing.
            Ok(()) => {
                lost += 1;
                let hit = store.open_key(&identity(), None, true, 1).unwrap().hit.unwrap();
                assert!(restore(&hit).unwrap().contains_key(&b"g"[..]));
            }
        }
    }
    assert_eq!(lost, 0, "every byte is checked");
}

#[test]
fn a_length_that_lies_takes_neither_memory_nor_disk() {
    let dir = tempfile::tempdir().unwrap();
    let store = CacheStore::open(dir.path()).unwrap();
    let start = |length: u64| {
        let mut bytes = b"\x01kiln cache bundle\n".to_vec();
        bytes.extend([7; 32]);
        bytes.extend(length.to_le_bytes());
        bytes
    };
    for length in [0, 1, 600 << 20, u64::MAX] {
        assert!(matches!(import(&store, None, &start(length)), Err(CacheError::Damaged { .. })), "{length}");
    }
    for other in [&b""[..], b"\x02kiln cache bundle\n", b"PK\x03\x04", &[0; 4096]] {
        assert!(import(&store, None, other).is_err());
    }
}
