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

#[test]
fn what_callers_encrypt_opens_with_the_same_context_only() {
    let dir = tempfile::tempdir().unwrap();
    let keys = open(dir.path()).unwrap();
    wait(keys.rotate("k", 1)).unwrap();
    let context = Context::new().with("a", "b").with("c", "d");
    let (sealed, version) = keys.encrypt("k", &context, b"plain").unwrap();
    assert_eq!(version, 1);
    let open = |bytes: &[u8], context: &Context| {
        let sealed = Sealed::parse(bytes)?;
        keys.decrypt(sealed, context).ok().map(|plain| plain.to_vec())
    };
    let parsed = Sealed::parse(&sealed).unwrap();
    assert_eq!((parsed.key, parsed.version), ("k", 1));
    assert_eq!(open(&sealed, &context).unwrap(), b"plain");
    for other in [
        Context::new(),
        Context::new().with("a", "b"),
        Context::new().with("a", "b").with("c", "D"),
        Context::new().with("a", "b").with("c", "d").with("e", ""),
        Context::new().with("ab", "").with("c", "d"),
    ] {
        assert_eq!(open(&sealed, &other), None);
    }
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert_eq!(open(&changed, &context), None, "byte {at}");
        assert_eq!(open(&sealed[..at], &context), None, "cut at {at}");
    }
    assert_eq!(open(&[sealed.as_slice(), b"x"].concat(), &context), None);
    // Kiln's own data keys and secrets are no ciphertexts of callers, whoever gets at their bytes.
    let own = keys.new_data_key("k", &context).unwrap();
    assert_eq!(open(&own.wrapped, &context), None);
    assert!(keys.data_key(&sealed, &context).is_err());
    let secret = keys.seal_small("p", "r", b"secret").unwrap();
    assert_eq!(open(&secret, &Context::new().with("row", "r")), None);
    assert_eq!(Keys::material_id("k", 1).len(), 64);
    assert_ne!(Keys::material_id("k", 1), Keys::material_id("k", 2));
}

#[test]
fn all_versions_of_a_key_change_together() {
    let dir = tempfile::tempdir().unwrap();
    let keys = open(dir.path()).unwrap();
    let context = Context::new();
    wait(keys.rotate("k", 1)).unwrap();
    let (old, _) = keys.encrypt("k", &context, b"old").unwrap();
    wait(keys.rotate("k", 2)).unwrap();
    let (new, _) = keys.encrypt("k", &context, b"new").unwrap();
    let decrypt = |keys: &Keys, bytes: &[u8]| keys.decrypt(Sealed::parse(bytes).unwrap(), &context).map(|p| p.to_vec());
    let set = |keys: &Keys, state| keys.change_blocking::<(), KeyError, _>("k", Change::State(state), |_| Ok(()));
    assert_eq!(set(&keys, KeyVersionState::Disabled).unwrap(), ((), 2));
    for sealed in [&old, &new] {
        assert!(matches!(decrypt(&keys, sealed), Err(KeyError::Disabled { .. })));
    }
    set(&keys, KeyVersionState::Enabled).unwrap();
    assert_eq!(decrypt(&keys, &old).unwrap(), b"old");
    set(&keys, KeyVersionState::Destroyed).unwrap();
    drop(keys);
    let keys = open(dir.path()).unwrap();
    for sealed in [&old, &new] {
        assert!(matches!(decrypt(&keys, sealed), Err(KeyError::Destroyed { .. })));
    }
    // Nothing of a destroyed key comes back.
    set(&keys, KeyVersionState::Enabled).unwrap();
    assert!(matches!(decrypt(&keys, &old), Err(KeyError::Destroyed { .. })));
    let versions = keys.shared.metadata.read(|view| view.key_versions("k")).unwrap();
    assert!(versions.iter().all(|v| v.wrapped.is_empty() && v.state == KeyVersionState::Destroyed));
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
