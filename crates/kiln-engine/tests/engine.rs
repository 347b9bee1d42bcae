//! The engine suite: the same cases on every engine, each in a process of its own, as a runner is (engines need one
//! thread, and a sandbox dies with its process).
//!
//! `cargo test -p kiln-engine --test engine [-- FILTER…]`; with `KILN_SOAK=1` the long forms.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "engine/basics.rs"]
mod basics;
#[path = "engine/denials.rs"]
mod denials;
#[path = "engine/files.rs"]
mod files;
#[path = "engine/fixture.rs"]
mod fixture;
#[path = "engine/lifetime.rs"]
mod lifetime;
#[path = "engine/limits.rs"]
mod limits;
#[path = "engine/rootless.rs"]
mod rootless;
#[path = "engine/stores.rs"]
mod stores;

use std::{
    process::{Command, ExitCode, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use fixture::{Fixture, Kind};

/// A case for each engine that it concerns.
pub(crate) struct Case {
    name: &'static str,
    kinds: &'static [Kind],
    run: fn(&Fixture),
}

pub(crate) const BOTH: &[Kind] = &[Kind::Native, Kind::Runc];
pub(crate) const NATIVE: &[Kind] = &[Kind::Native];

/// Exit status of a case that this machine cannot run.
const SKIPPED: i32 = 77;
/// Longest that a case may take.
const TIME_LIMIT: Duration = Duration::from_secs(300);
/// Cases at a time.
const PARALLEL: usize = 2;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--case", kind, name] => run_case(kind, name),
        ["--owner", kind, dir, id] => lifetime::owner(kind, dir, id),
        ["--one", kind, dir, id] => lifetime::one(kind, dir, id),
        ["--rootless", _, dir] => rootless::as_user(dir),
        _ => run_all(&args),
    }
}

fn cases() -> Vec<Case> {
    [basics::CASES, files::CASES, limits::CASES, lifetime::CASES, rootless::CASES, denials::CASES, stores::CASES]
        .into_iter()
        .flat_map(|cases| cases.iter().map(|case| Case { ..*case }))
        .collect()
}

/// Runs one case in this process.
fn run_case(kind: &str, name: &str) -> ExitCode {
    let kind = Kind::named(kind);
    let case = cases().into_iter().find(|case| case.name == name).expect("no such case");
    if let Some(why) = kind.unavailable() {
        println!("{why}");
        return ExitCode::from(SKIPPED as u8);
    }
    let fixture = Fixture::new(kind, name);
    (case.run)(&fixture);
    drop(fixture);
    ExitCode::SUCCESS
}

/// Leaves a case that this machine cannot run.
pub(crate) fn skip(why: &str) -> ! {
    println!("{why}");
    std::process::exit(SKIPPED)
}

/// Runs all cases whose names contain one of the filters, in processes of their own.
fn run_all(args: &[String]) -> ExitCode {
    let filters: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let mut todo: Vec<(Kind, Case)> = Vec::new();
    for case in cases() {
        for kind in case.kinds {
            let name = format!("{}::{}", kind.name(), case.name);
            if filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str())) {
                todo.push((*kind, Case { ..case }));
            }
        }
    }
    if args.iter().any(|arg| arg == "--list") {
        todo.iter().for_each(|(kind, case)| println!("{}::{}: test", kind.name(), case.name));
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", todo.len());
    todo.reverse();
    let todo = Mutex::new(todo);
    let counts = Mutex::new([0_usize; 3]);
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(|| {
                loop {
                    let Some((kind, case)) = todo.lock().expect("the list of cases").pop() else { break };
                    let (index, word, output) = in_process(kind, case.name);
                    println!("test {}::{} ... {word}", kind.name(), case.name);
                    if !output.is_empty() {
                        println!("{output}");
                    }
                    counts.lock().expect("the counts")[index] += 1;
                }
            });
        }
    });
    fixture::remove_shared();
    let [passed, failed, ignored] = *counts.lock().expect("the counts");
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {passed} passed; {failed} failed; {ignored} ignored; 0 measured; 0 filtered out\n"
    );
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one case in a process of its own; answers the index of its count, a word, and what to show.
fn in_process(kind: Kind, name: &str) -> (usize, String, String) {
    let log = tempfile::NamedTempFile::new().expect("a temporary file");
    let output = || Stdio::from(log.reopen().expect("the log"));
    let mut child = Command::new(std::env::current_exe().expect("this program's path"))
        .args(["--case", kind.name(), name])
        .stdin(Stdio::null())
        .stdout(output())
        .stderr(output())
        .spawn()
        .expect("a process for the case");
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("the case's end") {
            break Some(status);
        }
        if begin.elapsed() > TIME_LIMIT {
            child.kill().expect("a process to kill");
            child.wait().expect("its end");
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let text = std::fs::read_to_string(log.path()).unwrap_or_default();
    match status.map(|status| status.code()) {
        Some(Some(0)) => (0, "ok".into(), String::new()),
        Some(Some(SKIPPED)) => (2, format!("ignored, {}", text.trim()), String::new()),
        Some(code) => (1, "FAILED".into(), format!("{text}\n(status {code:?})")),
        None => (1, "FAILED".into(), format!("{text}\n(no end after {TIME_LIMIT:?})")),
    }
}
