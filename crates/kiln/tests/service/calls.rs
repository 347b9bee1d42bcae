//! A live server is killed at its n-th system call that changes a file, or such a call fails: fault tests 1 and 10 of
//! `reliability.md`. Calls are counted in each thread by itself. The same for the store alone, with more of the calls:
//! `kiln-store`, tests `faults`.

use std::os::unix::process::ExitStatusExt as _;

use crate::{
    crashes::scenario_survives,
    server::{Server, has_strace, not_root, rounds},
};

const SYNCS: &str = "fsync,fdatasync";
const WRITES: &str = "pwrite64,write";
const NAMES: &str = "rename,renameat,renameat2,unlink,unlinkat,ftruncate,mkdir,mkdirat";
/// After this many calls of one thread the scenario is over.
const END: usize = 2000;

/// Lets the server run under a tracer that is not its parent and leaves its runners alone.
fn inject(server: &mut Server, calls: &str, what: &str) {
    inject_at(server, &[], calls, what);
}

/// The same for the calls alone that `only` lets through.
fn inject_at(server: &mut Server, only: &[&str], calls: &str, what: &str) {
    let (trace, inject) = (format!("trace={calls}"), format!("inject={calls}:{what}"));
    let quiet = ["-D", "-f", "-qq", "-b", "execve", "-o", "/dev/null"];
    server.wrap(&[&["strace"], &quiet[..], only, &["-e", &trace, "-e", &inject]].concat());
}

#[test]
fn a_server_that_is_killed_at_any_call_goes_on() {
    if not_root() || !has_strace() {
        return;
    }
    let mut killed = 0;
    for (calls, quick) in [(SYNCS, &[2, 9][..]), (WRITES, &[30, 60]), (NAMES, &[1, 2])] {
        for n in rounds(quick.to_vec(), (1..END).collect()) {
            let what = format!("call {n} of {calls}");
            let ended = scenario_survives(
                &what,
                |server| inject(server, calls, &format!("signal=SIGKILL:when={n}")),
                |server| server.wrap(&[]),
            );
            let Some((status, said)) = ended else { break };
            assert_eq!(status.signal(), Some(9), "{what}: the server ended with {status}: {said}");
            killed += 1;
        }
    }
    println!("killed at {killed} calls");
    assert!(killed >= 4, "killed {killed} times");
}

#[test]
fn a_server_whose_disk_fails_ends_and_says_so() {
    if not_root() || !has_strace() {
        return;
    }
    let mut ended = 0;
    for (calls, lasting, quick) in [(SYNCS, "", &[4][..]), (SYNCS, "+", &[8]), ("pwrite64", "+", &[40])] {
        for n in rounds(quick.to_vec(), (1..END).collect()) {
            let what = format!("call {n}{lasting} of {calls}");
            let outcome = scenario_survives(
                &what,
                |server| inject(server, calls, &format!("error=EIO:when={n}{lasting}")),
                |server| server.wrap(&[]),
            );
            // A log's or an object's call that failed once is made again; a store that failed has to end.
            let Some((status, said)) = outcome else { if lasting.is_empty() && n < 10 { continue } else { break } };
            assert!(status.code().is_some_and(|code| code != 0), "{what}: {status}: {said}");
            let says = ["disk failed", "Input/output error", "disk I/O error", "os error 5"];
            assert!(says.iter().any(|words| said.contains(words)), "{what}: {said}");
            ended += 1;
        }
    }
    println!("ended {ended} times");
    assert!(ended >= 2, "ended {ended} times");
}

/// Nothing may be changed without the audit log: a server that went on without it would refuse its users for ever.
#[test]
fn a_server_whose_audit_log_cannot_be_synced_ends_and_says_so() {
    if not_root() || !has_strace() {
        return;
    }
    for n in rounds(vec![3], (1..=5).collect()) {
        let what = format!("sync {n} of the audit log");
        let outcome = scenario_survives(
            &what,
            |server| {
                let files = std::fs::read_dir(server.data().join("audit")).unwrap();
                let log =
                    files.map(|file| file.unwrap().path()).find(|path| path.extension().is_some_and(|e| e == "log"));
                let log = log.expect("the audit log goes on in the file that it has").display().to_string();
                inject_at(server, &["-P", &log], SYNCS, &format!("error=EIO:when={n}"));
            },
            |server| server.wrap(&[]),
        );
        let (status, said) = outcome.unwrap_or_else(|| panic!("{what}: the server went on"));
        assert!(status.code().is_some_and(|code| code != 0), "{what}: {status}: {said}");
        assert!(said.contains("the audit log"), "{what}: {said}");
        let told = said.matches("calls that change something are refused").count();
        assert!(told <= 1, "{what}: told {told} times: {said}");
    }
}
