//! Ctrl-C and its like.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Stdio},
};

use kiln_model::{BuildStatus, PhaseType};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    fake::{Step, begin, ended, line, started, succeeds},
    support::{Place, Reaped, open},
};

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn stopped() -> Step {
    ended(BuildStatus::Stopped, Some((PhaseType::Build, "", None)), false)
}

/// Starts a run, and waits until it has shown the line `begun`.
fn begun(place: &Place, steps: Vec<Step>) -> (Reaped, BufReader<std::process::ChildStdout>) {
    let steps = [vec![started(), line("begun")], steps].concat();
    let mut child = place.kiln(&steps, &["run"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    stdout.read_line(&mut first).unwrap();
    assert!(first.ends_with("begun\n"), "{first}");
    (Reaped(child), stdout)
}

fn stderr(child: &mut Child) -> String {
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn an_interrupt_stops_the_build() {
    let place = Place::new();
    let (mut child, _stdout) = begun(&place, vec![Step::Await('s'), stopped()]);
    signal(&child.0, Signal::INT);
    let said = stderr(&mut child.0);
    assert_eq!(child.0.wait().unwrap().code(), Some(130));
    assert!(said.contains("press Ctrl-C again to kill") && said.contains("STOPPED"), "{said}");
}

#[test]
fn a_second_interrupt_kills_it() {
    let place = Place::new();
    let mut steps = vec![Step::Await('s'), line("stopping")];
    steps.extend([Step::Await('k'), stopped()]);
    let (mut child, mut stdout) = begun(&place, steps);
    signal(&child.0, Signal::INT);
    // Only when the first one has arrived: two at once may count as one.
    stdout.read_line(&mut String::new()).unwrap();
    signal(&child.0, Signal::INT);
    let said = stderr(&mut child.0);
    assert_eq!(child.0.wait().unwrap().code(), Some(130));
    assert!(said.contains("killing the build"), "{said}");
}

#[test]
fn a_third_interrupt_leaves_at_once() {
    let place = Place::new();
    let gate = place.gate("gate");
    let steps = vec![
        Step::Await('s'),
        line("stopping"),
        Step::Await('k'),
        line("killing"),
        Step::Gate(gate.clone()),
        stopped(),
    ];
    let (mut child, mut stdout) = begun(&place, steps);
    for _ in 0..2 {
        signal(&child.0, Signal::INT);
        stdout.read_line(&mut String::new()).unwrap();
    }
    signal(&child.0, Signal::INT);
    assert_eq!(child.0.wait().unwrap().code(), Some(130));
    let id = place.last();
    assert_eq!(place.names("builds"), [id], "the one who cleans up is still at work");
    open(&gate);
    assert!(stderr(&mut child.0).contains("left to clean up"));
}

#[test]
fn requests_to_end_stop_the_build() {
    for which in [Signal::TERM, Signal::HUP] {
        let place = Place::new();
        let (mut child, _stdout) = begun(&place, vec![Step::Await('s'), stopped()]);
        signal(&child.0, which);
        assert_eq!(child.0.wait().unwrap().code(), Some(130));
    }
}

#[test]
fn a_reader_that_leaves_stops_the_build_quietly() {
    let place = Place::new();
    let gate = place.gate("gate");
    let steps = vec![Step::Gate(gate.clone()), line("more"), Step::Await('s'), stopped()];
    let (mut child, stdout) = begun(&place, steps);
    drop(stdout);
    open(&gate);
    let said = stderr(&mut child.0);
    assert_eq!(child.0.wait().unwrap().code(), Some(130));
    assert!(!said.contains("rror") && !said.contains("panic"), "{said}");
}

#[test]
fn an_ignored_interrupt_stays_ignored() {
    let place = Place::new();
    let gate = place.gate("gate");
    let steps = [vec![started(), line("begun"), Step::Gate(gate.clone())], begin(1, "true"), succeeds("")].concat();
    let mut shell = std::process::Command::new("sh");
    place.environment(&mut shell, &steps);
    let mut child = shell
        .args(["-c", "trap '' INT HUP; exec \"$0\" run", env!("CARGO_BIN_EXE_kiln")])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut String::new()).unwrap();
    signal(&child, Signal::INT);
    signal(&child, Signal::HUP);
    open(&gate);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(Reaped(child).0.wait().unwrap().code(), Some(0), "{rest}");
}
