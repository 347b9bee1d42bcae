use std::{fs, os::unix::fs::PermissionsExt};

use proptest::prelude::*;

use super::*;

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn open(dir: &Path) -> Result<Keys, KeyError> {
    Keys::open(&dir.join("keys"), &Metadata::open(dir).unwrap(), 7)
}

#[test]
fn secrets_open_only_for_their_row() {
    let dir = tempfile::tempdir().unwrap();
    let keys = open(dir.path()).unwrap();
    let sealed = keys.seal_small("access_keys.sealed", "AKIA1", b"wJalrXUt").unwrap();
    assert!(!sealed.windows(8).any(|w| w == b"wJalrXUt"));
    assert_eq!(keys.open_small("access_keys.sealed", "AKIA1", &sealed).unwrap().as_slice(), b"wJalrXUt");
    for (purpose, id) in [("access_keys.sealed", "AKIA2"), ("source_credentials.sealed", "AKIA1")] {
        let refused = keys.open_small(purpose, id, &sealed);
        assert!(matches!(refused, Err(KeyError::Refused(_))));
    }
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(keys.open_small("access_keys.sealed", "AKIA1", &changed).is_err(), "byte {at}");
        assert!(keys.open_small("access_keys.sealed", "AKIA1", &sealed[..at]).is_err(), "cut at {at}");
    }
    assert_eq!(fs::metadata(dir.path().join("keys/root.key")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(dir.path().join("keys")).unwrap().permissions().mode() & 0o777, 0o700);
    drop(keys);
    // The same keys after opening again.
    let keys = open(dir.path()).unwrap();
    assert_eq!(keys.open_small("access_keys.sealed", "AKIA1", &sealed).unwrap().as_slice(), b"wJalrXUt");
}

#[test]
fn old_versions_open_after_rotation_until_they_are_disabled() {
    let dir = tempfile::tempdir().unwrap();
    let keys = open(dir.path()).unwrap();
    let context = Context::new().with("a", "b");
    let old = keys.new_data_key(DEFAULT_KEY, &context).unwrap();
    assert_eq!(wait(keys.rotate(DEFAULT_KEY, 8)).unwrap(), 2);
    let new = keys.new_data_key(DEFAULT_KEY, &context).unwrap();
    let opens = |keys: &Keys, data: &DataKey| {
        keys.data_key(&data.wrapped, &context).map(|key| assert!(key.as_slice() == data.key.as_slice()))
    };
    opens(&keys, &old).unwrap();
    wait(keys.set_state(DEFAULT_KEY, 1, KeyVersionState::Disabled)).unwrap();
    assert!(matches!(opens(&keys, &old), Err(KeyError::Disabled { version: 1, .. })));
    opens(&keys, &new).unwrap();
    drop(keys);
    let keys = open(dir.path()).unwrap();
    assert!(matches!(opens(&keys, &old), Err(KeyError::Disabled { version: 1, .. })));
    wait(keys.set_state(DEFAULT_KEY, 1, KeyVersionState::Enabled)).unwrap();
    opens(&keys, &old).unwrap();
    // A newest version that is disabled does not seal.
    wait(keys.set_state(DEFAULT_KEY, 2, KeyVersionState::Disabled)).unwrap();
    assert!(matches!(keys.new_data_key(DEFAULT_KEY, &context), Err(KeyError::Disabled { version: 2, .. })));
    wait(keys.set_state(DEFAULT_KEY, 1, KeyVersionState::Destroyed)).unwrap();
    assert!(matches!(opens(&keys, &old), Err(KeyError::Destroyed { version: 1, .. })));
    let back = wait(keys.set_state(DEFAULT_KEY, 1, KeyVersionState::Enabled));
    assert!(matches!(back, Err(KeyError::Destroyed { version: 1, .. })));
    drop(keys);
    assert!(matches!(opens(&open(dir.path()).unwrap(), &old), Err(KeyError::Destroyed { version: 1, .. })));
}

#[test]
fn a_replaced_root_key_opens_everything() {
    let dir = tempfile::tempdir().unwrap();
    let keys = open(dir.path()).unwrap();
    let sealed = keys.seal_small("p", "i", b"wJalrXUt").unwrap();
    let before = fs::read(dir.path().join("keys/root.key")).unwrap();
    wait(keys.rotate_root()).unwrap();
    assert_eq!(keys.open_small("p", "i", &sealed).unwrap().as_slice(), b"wJalrXUt");
    assert_eq!(wait(keys.rotate("new", 9)).unwrap(), 1);
    drop(keys);
    let after = fs::read(dir.path().join("keys/root.key")).unwrap();
    assert_ne!(before, after);
    assert_eq!(open(dir.path()).unwrap().open_small("p", "i", &sealed).unwrap().as_slice(), b"wJalrXUt");
    // Both in the file, as an interrupted change-over leaves it.
    let old = String::from_utf8(before.clone()).unwrap();
    let both = [after, old.lines().nth(1).unwrap().as_bytes().to_vec()].concat();
    fs::write(dir.path().join("keys/root.key"), both).unwrap();
    open(dir.path()).unwrap();
    // The old one alone opens nothing any more.
    fs::write(dir.path().join("keys/root.key"), before).unwrap();
    assert!(matches!(open(dir.path()), Err(KeyError::OtherRoot { .. })));
}

#[test]
fn a_lost_or_open_or_damaged_root_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let path = dir.path().join("keys/root.key");
    let whole = fs::read_to_string(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(open(dir.path()), Err(KeyError::RootOpen { mode: 0o640, .. })));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    for text in ["", "kiln root key 1\n", "kiln root key 2\nx", &whole[..whole.len() - 2], &whole.replace(' ', "")] {
        fs::write(&path, text).unwrap();
        let refused = open(dir.path()).unwrap_err();
        assert!(matches!(refused, KeyError::RootDamaged { .. }), "{refused}");
        assert!(!refused.to_string().contains(&whole[20..60]), "no key in messages");
    }
    fs::remove_file(&path).unwrap();
    let refused = open(dir.path()).unwrap_err();
    assert!(matches!(refused, KeyError::RootMissing { .. }) && refused.to_string().contains("kiln restore"));
    fs::write(&path, whole).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    open(dir.path()).unwrap();
}

proptest! {
    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
        let mut begun = envelope("aws/s3", 1).unwrap();
        begun.extend(&bytes);
        prop_assert_eq!(parse(&begun).map(|(key, version, _)| (key, version)), Some(("aws/s3", 1)));
        prop_assert!(chunked::open(&[1; KEY], b"", &bytes).is_err());
    }

    #[test]
    fn contexts_that_differ_are_encoded_differently(
        a in prop::collection::btree_map("[a-c]{0,3}", "[a-c]{0,3}", 0..4),
        b in prop::collection::btree_map("[a-c]{0,3}", "[a-c]{0,3}", 0..4),
    ) {
        let encoded = |pairs: &BTreeMap<String, String>| canonical("p", "k", 1, &Context(pairs.clone()));
        prop_assert_eq!(a == b, encoded(&a) == encoded(&b));
    }
}
