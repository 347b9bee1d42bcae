use std::fs;

use rustix::process::Signal;

use crate::support::{Place, mode};

#[test]
fn the_first_start_makes_what_is_needed_and_shows_the_key_once() {
    let place = Place::new();
    let server = place.serve(&[]);
    let key: serde_json::Value =
        serde_json::from_slice(&fs::read(place.data().join("keys/root-access-key")).unwrap()).unwrap();
    let (id, secret) = (key["access_key_id"].as_str().unwrap(), key["secret_access_key"].as_str().unwrap());
    assert!(id.starts_with("AKIA") && id.len() == 20, "{id}");
    assert_eq!(secret.len(), 40);
    assert!(server.said.contains(id) && server.said.contains(secret), "{}", server.said);
    for (name, wanted) in [
        ("keys", 0o700),
        ("keys/root-access-key", 0o600),
        ("keys/root.key", 0o600),
        ("kiln.db", 0o600),
        ("kiln.seq", 0o600),
        ("logs", 0o700),
        ("blobs", 0o700),
        ("", 0o711),
    ] {
        assert_eq!(mode(&place.data().join(name)), wanted, "{name}");
    }
    assert_eq!(mode(&place.data().join("kiln.db-wal")), 0o600);
    server.signal(Signal::TERM);
    let (code, rest) = server.end();
    assert_eq!(code, Some(0), "{rest}");

    let again = place.serve(&[]);
    assert!(!again.said.contains(secret) && !again.said.contains(id), "{}", again.said);
    let after = fs::read(place.data().join("keys/root-access-key")).unwrap();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&after).unwrap(), key);
}

#[test]
fn a_data_directory_has_one_server_and_a_second_says_which() {
    let place = Place::new();
    let server = place.serve(&[]);
    let second = place.run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.code(), 2);
    assert!(second.stderr().contains("is in use by"), "{}", second.stderr());
    assert!(second.stderr().contains(&format!("process {}", server.id())), "{}", second.stderr());
}

#[test]
fn mistakes_of_the_configuration_are_told_all_at_once() {
    let place = Place::new();
    fs::create_dir(place.data()).unwrap();
    fs::write(place.data().join("kiln.toml"), "listen = \"here\"\n[capacity]\nmax_bulds = 3\n").unwrap();
    let refused = place.kiln(&["serve"]).env("KILN_REGION", "Mars!").output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let text = String::from_utf8(refused.stderr).unwrap();
    for part in [
        "the configuration has 3 mistakes:",
        "data/kiln.toml:1: listen: 'here'",
        "data/kiln.toml:3: there is no key 'capacity.max_bulds'; did you mean 'capacity.max_builds'?",
        "KILN_REGION: region: 'Mars!'",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!place.data().join("kiln.db").exists(), "nothing was begun");
    let missing = place.run(&["serve", "--config", "/not/there.toml"]);
    assert!(missing.stderr().contains("/not/there.toml"), "{}", missing.stderr());
    assert_eq!(missing.code(), 2);
}

#[test]
fn account_and_region_stay_those_of_the_first_start() {
    let place = Place::new();
    let server = place.serve(&[]);
    server.signal(Signal::INT);
    assert_eq!(server.end().0, Some(0));
    let other = place.kiln(&["serve", "--listen", "127.0.0.1:0"]).env("KILN_REGION", "eu-west-1").output().unwrap();
    let text = String::from_utf8(other.stderr).unwrap();
    assert_eq!(other.status.code(), Some(2), "{text}");
    assert!(text.contains("region us-east-1, not eu-west-1"), "{text}");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let place = Place::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = place.run(&["serve", "--listen", &address]);
    assert_eq!(refused.code(), 3);
    assert!(refused.stderr().contains(&address) && refused.stderr().contains("--listen"), "{}", refused.stderr());
}
