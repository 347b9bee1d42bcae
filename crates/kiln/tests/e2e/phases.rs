//! Transitions, `on-failure`, `finally`, exit statuses, stop and time-out (`buildspec.md` 1.8, 3, 4.5; DESIGN 5).

use std::io::{BufRead as _, BufReader};

use kiln_model::{BuildStatus, PhaseType};
use kiln_wire::event::Event;
use rustix::process::{Pid, Signal, kill_process};

use crate::project::Project;

#[test]
fn abort_in_build() {
    let project = Project::new(
        "version: 0.2\nphases:\n  build:\n    on-failure: ABORT\n    commands: [\"false\"]\n  post_build:\n    commands: [\"echo never\"]\nartifacts:\n  files: ['**/*']\n",
    );
    let outcome = project.run(&[]).expect(1);
    assert!(!outcome.printed("never"));
    assert_eq!(outcome.phases().last().unwrap(), "FINALIZING SUCCEEDED");
    assert!(!outcome.phases().iter().any(|p| p.starts_with("UPLOAD_ARTIFACTS")));
}

#[test]
fn continue_is_still_failed() {
    let project = Project::new(
        "version: 0.2\nphases:\n  install:\n    on-failure: CONTINUE\n    commands: [\"false\"]\n  build:\n    commands: ['echo went on with $CODEBUILD_BUILD_SUCCEEDING']\n",
    );
    let outcome = project.run(&[]).expect(1);
    outcome.expect_line("went on with 0");
    assert_eq!(outcome.end().status, BuildStatus::Failed);
}

#[test]
fn retry_repeats_the_phase() {
    let project = Project::new(
        "version: 0.2\nphases:\n  build:\n    on-failure: RETRY-2\n    commands:\n      - echo x >> tries\n      - test $(wc -l < tries) -ge 3\n  post_build:\n    commands: ['cat tries | wc -l']\n",
    );
    let outcome = project.run(&[]).expect(0);
    outcome.expect_line("3");
    let attempts: Vec<u32> = outcome
        .events
        .iter()
        .filter_map(|e| match e {
            Event::CommandStarted(c) if c.phase == PhaseType::Build && c.index == 0 => Some(c.attempt),
            _ => None,
        })
        .collect();
    assert_eq!(attempts, [1, 2, 3]);
}

#[test]
fn retry_pattern() {
    let spec = |pattern: &str| {
        format!(
            "version: 0.2\nphases:\n  build:\n    on-failure: {pattern}\n    commands:\n      - echo try\n      - exit 7\n"
        )
    };
    let tries = |pattern: &str| {
        let outcome = Project::new(&spec(pattern)).run(&[]).expect(1);
        outcome.log.lines().filter(|l| *l == "try").count()
    };
    assert_eq!(tries("RETRY-1-exit status 7"), 2);
    assert_eq!(tries("RETRY-1-exit status 8"), 1);
}

#[test]
fn finally_stops_at_first_failure() {
    let project = Project::new(
        "version: 0.2\nphases:\n  build:\n    commands: [\"true\"]\n    finally:\n      - exit 4\n      - echo never\n",
    );
    let outcome = project.run(&[]).expect(1);
    assert!(!outcome.printed("never"));
    assert!(outcome.end().context.unwrap().message.contains("exit status 4"));
}

#[test]
fn first_failure_is_the_cause() {
    let project = Project::new(
        "version: 0.2\nphases:\n  build:\n    commands: [\"exit 5\"]\nartifacts:\n  files: [nothing.jar]\n",
    );
    let outcome = project.run(&[]).expect(1);
    let end = outcome.end();
    assert_eq!(end.phase, Some(PhaseType::Build));
    assert!(end.context.unwrap().message.contains("exit status 5"));
    assert!(outcome.phases().contains(&"UPLOAD_ARTIFACTS FAILED".to_owned()));
}

#[test]
fn version_0_1() {
    let project = Project::new(
        "version: 0.1\nenvironment_variables:\n  plaintext:\n    A: one\nphases:\n  build:\n    commands:\n      - cd /tmp && B=2\n      - 'echo \"a=$A b=$B\"'\n      - test \"$PWD\" = \"$CODEBUILD_SRC_DIR\"\n",
    );
    project.run(&[]).expect(0).expect_line("a=one b=");
}

#[test]
fn exit_statuses() {
    assert_eq!(Project::commands(&["true"]).run(&[]).status, 0);
    assert_eq!(Project::commands(&["exit 9"]).run(&[]).status, 1);
    assert_eq!(Project::new("version: 0.2\nphases: [\n").run(&[]).status, 2);
    let usage = Project::commands(&["true"]).run_command(&["--compute", "enormous"]).output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&usage.stderr).contains("BUILD_GENERAL1_SMALL"));
}

#[test]
fn exit_inside_command() {
    // State is saved after the command: what a command that exits has changed is lost.
    let outcome = Project::commands(&["X=1; exit 0", "echo \"x=$X\"", "kill -9 $$"]).run(&[]).expect(1);
    outcome.expect_line("x=").expect_text("exit status 137");
}

/// Starts a run and returns it once a command has printed `line`.
#[expect(clippy::zombie_processes, reason = "the caller waits; a run without the line fails the test")]
fn run_until(project: &Project, line: &str) -> (std::process::Child, BufReader<std::process::ChildStdout>) {
    let mut child = project.start(&[]);
    let mut log = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while log.read_line(&mut text).unwrap() > 0 {
        if text.lines().last() == Some(line) {
            return (child, log);
        }
    }
    panic!("'{line}' was never printed:\n{text}");
}

fn signal(child: &std::process::Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn checklist_20_stop() {
    let project = Project::new(
        "version: 0.2\nphases:\n  build:\n    commands:\n      - echo ready; exec sleep 1000\n    finally: [\"echo never\"]\n  post_build:\n    commands: [\"echo never\"]\n",
    );
    let (mut child, mut log) = run_until(&project, "ready");
    signal(&child, Signal::INT);
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut log, &mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest}");
    assert!(!rest.lines().any(|l| l == "never"), "{rest}");
    let outcome = project.outcome(&project.kiln(&["--version"]).output().unwrap());
    let end = outcome.end();
    assert_eq!(end.status, BuildStatus::Stopped);
    assert_eq!(outcome.phases().last().unwrap(), "BUILD STOPPED");
    assert_eq!(end.context, None);
    project.check();
}

#[test]
fn a_second_interrupt_kills_what_ignores_the_first() {
    let project = Project::commands(&["trap '' TERM INT HUP\necho ready\nwhile :; do sleep 1; done"]);
    let (mut child, mut log) = run_until(&project, "ready");
    signal(&child, Signal::INT);
    // The first one is acknowledged on standard error before the second is sent.
    let mut notice = String::new();
    let mut messages = BufReader::new(child.stderr.take().unwrap());
    messages.read_line(&mut notice).unwrap();
    assert!(notice.to_lowercase().contains("stopping"), "{notice}");
    signal(&child, Signal::INT);
    std::io::copy(&mut log, &mut std::io::sink()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    project.check();
}

#[test]
fn timeout() {
    // `--timeout` takes minutes: six seconds, long enough to get to the command.
    let project = Project::commands(&["sleep 1000"]);
    let outcome = project.run(&["--timeout", "0.1"]).expect(124);
    let end = outcome.end();
    assert_eq!((end.status, end.phase), (BuildStatus::TimedOut, Some(PhaseType::Build)));
    let context = end.context.unwrap();
    assert_eq!(context.status_code, "BUILD_TIMED_OUT");
    assert_eq!(context.message, "Build has timed out. The limit was 6 seconds.");
    assert_eq!(outcome.phases().last().unwrap(), "FINALIZING SUCCEEDED");
}
