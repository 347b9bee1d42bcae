//! Fault tests 1, 2, 9, 10 and 20 of `reliability.md` for the store: a process that uses it is killed at every system call
//! that persists something, its syncs and writes fail, its disk is full; afterwards everything that it was told is stored
//! is there.
//!
//! The process is this test program itself, with the test [`child`] only and its orders in the environment.

#![allow(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

mod disk_full;
mod failing;
mod killed;
mod scenario;

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Command, Output},
};

/// What the child is to do.
const ORDER: &str = "KILN_TEST_STORE_ORDER";
/// Its data directory.
const DATA: &str = "KILN_TEST_STORE_DATA";

/// Does what the environment says; nothing in an ordinary run.
#[test]
fn child() {
    let (Ok(order), Ok(data)) = (std::env::var(ORDER), std::env::var(DATA)) else { return };
    let data = Path::new(&data);
    match order.as_str() {
        "scenario" => scenario::run(data),
        "writes" => failing::write_on(data),
        "retries" => failing::retry_when_full(data),
        "many" => failing::write_many(data),
        "log" => failing::finish_log(data),
        "full" => disk_full::fill(data),
        "inodes" => disk_full::use_up_inodes(data),
        "read-only" => disk_full::open_read_only(data),
        "restore" => killed::bring_back(data),
        other => panic!("unknown order {other}"),
    }
}

/// Runs the child, behind `wrapper` (a command and its options).
fn run(wrapper: &[&str], order: &str, data: &Path, environment: &[(&str, &str)]) -> Output {
    let program = std::env::current_exe().unwrap();
    let mut command = match wrapper.split_first() {
        Some((wrapper, options)) => {
            let mut command = Command::new(wrapper);
            command.args(options).arg(&program);
            command
        }
        None => Command::new(&program),
    };
    command
        .args(["child", "--exact", "--nocapture", "--test-threads=1"])
        .env(ORDER, order)
        .env(DATA, data)
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

/// The child's words, one a line, behind the mark that tells them from the test program's own.
fn words(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter_map(|line| line.split_once("> ")).map(|(_, word)| word.to_owned()).collect()
}

/// Says a word to the parent, in one write.
fn say(word: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n> {word}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// A directory in memory where there is one: the system calls are the same, and killing a process loses no page.
fn directory() -> tempfile::TempDir {
    let shm = Path::new("/dev/shm");
    if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() }.unwrap()
}

fn is_soak() -> bool {
    std::env::var_os("KILN_SOAK").is_some()
}

/// Whether processes can be traced here; says so when not.
fn has_strace() -> bool {
    match Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status() {
        Ok(status) if status.success() => true,
        other => {
            println!("skipped: strace is needed to make system calls fail ({other:?})");
            false
        }
    }
}

/// Numbers behind a word, for example of `ack 3`.
fn numbers(words: &[String], word: &str) -> BTreeSet<u64> {
    words.iter().filter_map(|said| said.strip_prefix(word)?.strip_prefix(' ')?.parse().ok()).collect()
}
