//! A server that finds its records damaged: fault test 11 of `reliability.md`. Either all that was acknowledged is there,
//! or it refuses to start, names the file and `kiln restore`, and that helps. The same for the store alone, in many more
//! variants: `kiln-store`, test `damage`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use kiln_check::Accepted;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    client::{buildspec, project},
    server::{Server, not_root, rounds, wait_for},
};

const DATABASE: &str = "kiln.db";
const LOG: &str = "kiln.db-wal";
const SEQUENCE: &str = "kiln.seq";
/// All files of the records.
const FILES: [&str; 4] = [DATABASE, LOG, "kiln.db-shm", SEQUENCE];

/// What is done to the files.
#[derive(Debug, Clone, Copy)]
enum Damage {
    /// So many bytes are cut off the write-ahead log.
    Cut(u64),
    /// A bit of this file is turned, at a place from 0 to 1.
    Turn(&'static str, f64),
    /// The shared memory is gone: no damage at all.
    NoSharedMemory,
    /// An older copy of the database lies there.
    Older,
    /// Nothing says how far the records reached.
    NoSequence,
}

fn damage(data: &Path, older: &Path, how: Damage) {
    let remove = |name: &str| fs::remove_file(data.join(name)).ok();
    match how {
        Damage::Cut(bytes) => {
            let file = fs::OpenOptions::new().write(true).open(data.join(LOG)).unwrap();
            let length = file.metadata().unwrap().len();
            file.set_len(length.saturating_sub(bytes)).unwrap();
        }
        Damage::Turn(name, at) => {
            let path = data.join(name);
            let mut bytes = fs::read(&path).unwrap();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a place"
            )]
            let at = (bytes.len() as f64 * at) as usize;
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << (at % 8);
            }
            fs::write(path, bytes).unwrap();
        }
        Damage::NoSharedMemory => drop(remove("kiln.db-shm")),
        Damage::Older => {
            remove(LOG);
            remove("kiln.db-shm");
            fs::copy(older.join(DATABASE), data.join(DATABASE)).unwrap();
        }
        Damage::NoSequence => drop(remove(SEQUENCE)),
    }
}

fn variants() -> Vec<Damage> {
    let mut random = fastrand::Rng::with_seed(11);
    let mut all = vec![Damage::NoSharedMemory, Damage::Older, Damage::NoSequence, Damage::Cut(4096)];
    for _ in 0..rounds(2, 60) {
        all.extend([
            Damage::Cut(random.u64(1..=64 << 10)),
            Damage::Turn(LOG, random.f64()),
            Damage::Turn(DATABASE, random.f64()),
            Damage::Turn(SEQUENCE, random.f64()),
        ]);
    }
    all
}

/// Starts the server on what is there. `None`: it serves; else what it said when it refused.
fn refusal(server: &mut Server) -> Option<String> {
    let before = server.log().len();
    server.launch();
    wait_for("the server to serve or to refuse", || {
        if server.is_ready() {
            return Some(None);
        }
        let status = server.exited()?;
        let said = server.log().split_off(before);
        assert!(status.code().is_some_and(|code| code != 0), "ended with {status}: {said}");
        Some(Some(said))
    })
}

fn copy(files: &[&str], from: &Path, to: &Path) {
    for name in files {
        match fs::copy(from.join(name), to.join(name)) {
            Ok(_) => {}
            Err(_) => drop(fs::remove_file(to.join(name))),
        }
    }
}

fn told(server: &Server, builds: &[Accepted]) -> Vec<Value> {
    let client = server.client();
    builds.iter().map(|build| client.build(build)).collect()
}

#[test]
fn damaged_records_are_refused_or_repaired() {
    if not_root() {
        return;
    }
    let mut server = Server::with(&[("KILN_NETWORK_MODE", "none")]);
    let data = server.data().to_owned();
    let client = server.client();
    client.project("damage", &["echo ran"]);
    let build = || {
        let build = client.start_build("damage");
        client.finished(&build);
        build
    };
    let mut builds = vec![build(), build()];
    let place = TempDir::new().unwrap();
    let backup: PathBuf = place.path().join("backup");
    let saved = server.kiln(&["backup"]).arg(&backup).output().unwrap();
    assert!(saved.status.success(), "{saved:?}");
    let in_backup = told(&server, &builds);
    builds.extend([build(), build()]);
    let acknowledged = told(&server, &builds);
    server.kill();
    let sane = place.path().join("sane");
    fs::create_dir(&sane).unwrap();
    copy(&FILES, &data, &sane);
    assert!(fs::metadata(sane.join(LOG)).unwrap().len() > 4096, "there is a log to be damaged");

    let (mut served, mut refused) = (0, 0);
    for how in variants() {
        copy(&FILES, &sane, &data);
        damage(&data, &backup, how);
        match refusal(&mut server) {
            None => {
                assert_eq!(told(&server, &builds), acknowledged, "{how:?}");
                server.kill();
                served += 1;
            }
            Some(said) => {
                let file = said.contains(DATABASE) || said.contains(SEQUENCE);
                assert!(file && said.contains("kiln restore"), "{how:?}: {said}");
                refused += 1;
            }
        }
    }
    println!("{served} times all was there, {refused} times the server refused");
    assert!(served > 0 && refused > 2);

    // Without a backup: with what is left.
    copy(&FILES, &sane, &data);
    damage(&data, &backup, Damage::Older);
    let said = refusal(&mut server).unwrap();
    assert!(said.contains("kiln restore --accept-loss"), "{said}");
    let accepted = server.kiln(&["restore", "--accept-loss"]).output().unwrap();
    assert!(accepted.status.success(), "{accepted:?}");
    assert!(refusal(&mut server).is_none());
    assert_eq!(told(&server, &builds[..2]), in_backup);
    server.stop();

    // With a backup.
    copy(&FILES, &sane, &data);
    damage(&data, &backup, Damage::Older);
    assert!(refusal(&mut server).is_some());
    let restored = server.kiln(&["restore"]).arg(&backup).output().unwrap();
    assert!(restored.status.success(), "{restored:?}");
    server.run();
    assert_eq!(told(&server, &builds[..2]), in_backup);
    server.check(&builds[..2]);
}

/// A larger database is read whole after the start.
#[test]
fn damage_that_the_start_did_not_see_ends_the_service() {
    let mut server = Server::start();
    let client = server.client();
    for n in 0..10 {
        let mut text = buildspec(&["true"]);
        text.push_str(&format!("# marker {n} {}", "x".repeat(600_000)));
        client.retried("CreateProject", &project(&format!("large-{n}"), &text));
    }
    server.stop();
    let path = server.data().join(DATABASE);
    let mut bytes = fs::read(&path).unwrap();
    assert!(bytes.len() > 4 << 20);
    let at = bytes.windows(9).position(|w| w == b"marker 7 ").unwrap();
    bytes[at] = b'M';
    fs::write(&path, bytes).unwrap();
    server.launch();
    let status = server.wait();
    let said = server.log();
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(said.contains("project large-7") && said.contains("kiln restore"), "{said}");
    assert!(said.contains(&*path.to_string_lossy()), "{said}");
}
