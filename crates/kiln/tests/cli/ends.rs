//! How a run ends: exit statuses, what stays, what is said when the runner dies.

use std::fs;

use kiln_model::{BuildStatus, PhaseType};

use crate::{
    fake::{Step, ended, fails, line, started, succeeds},
    support::Place,
};

#[test]
fn exit_statuses_are_those_of_the_contract() {
    use BuildStatus::{Failed, Fault, Stopped, Succeeded, TimedOut};
    let place = Place::new();
    for (status, failed, code) in [
        (Succeeded, None, 0),
        (Failed, Some((PhaseType::Build, "COMMAND_EXECUTION_ERROR", None)), 1),
        (Failed, Some((PhaseType::DownloadSource, "YAML_FILE_ERROR", None)), 2),
        (Fault, Some((PhaseType::Provisioning, "INTERNAL", None)), 3),
        (TimedOut, Some((PhaseType::Build, "BUILD_TIMED_OUT", None)), 124),
        (Stopped, Some((PhaseType::Build, "", None)), 130),
    ] {
        let run = place.run(&[started(), ended(status, failed, false)], &[]);
        assert_eq!(run.code(), code, "{status}: {}", run.stderr());
    }
}

#[test]
fn the_log_is_on_standard_output_byte_for_byte_and_nothing_else() {
    let place = Place::new();
    let mut steps = vec![started(), line("Entering phase BUILD")];
    steps.push(Step::Output(1, b"\x1b[31mred\x1b]0;title\x07 \xff\xfe no end".to_vec()));
    steps.push(Step::Service("\n\n".to_owned()));
    steps.push(ended(BuildStatus::Succeeded, None, false));
    let run = place.run(&steps, &[]);
    let want: &[u8] =
        b"[Container] 2026/01/15 10:00:00.100001 Entering phase BUILD\n\x1b[31mred\x1b]0;title\x07 \xff\xfe no end\n\n";
    assert_eq!(run.0.stdout.escape_ascii().to_string(), want.escape_ascii().to_string());
    assert!(run.stderr().contains("SUCCEEDED"));
    let quiet = place.run(&steps, &["--quiet"]);
    assert_eq!((quiet.stdout(), quiet.code()), (String::new(), 0));
}

#[test]
fn a_flood_arrives_whole_and_in_order() {
    let place = Place::new();
    let text: String = (0..2000).map(|n| format!("{n}\n")).collect();
    let mut steps = vec![started(), Step::Flood(1, text.clone(), 2000)];
    steps.push(ended(BuildStatus::Succeeded, None, false));
    let run = place.run(&steps, &[]);
    assert_eq!(run.0.stdout.len(), text.len() * 2000);
    assert!(run.0.stdout.chunks(text.len()).all(|chunk| chunk == text.as_bytes()));
}

#[test]
fn what_stays_of_a_run_is_its_log_and_record() {
    let place = Place::new();
    assert_eq!(place.run(&succeeds("hello\n"), &[]).code(), 0);
    assert_eq!(place.names("builds"), Vec::<String>::new());
    let id = place.last();
    assert_eq!(place.names("runs"), std::slice::from_ref(&id));
    let run = place.data().join("runs").join(&id);
    let record: serde_json::Value = serde_json::from_slice(&fs::read(run.join("run.json")).unwrap()).unwrap();
    assert_eq!((&record["status"], &record["number"]), (&"SUCCEEDED".into(), &1.into()));
    assert!(run.join("journal").is_file());
    let logs = place.kiln(&[], &["logs", &id[..8]]).output().unwrap();
    assert!(String::from_utf8(logs.stdout).unwrap().contains("hello\n"));
    assert_eq!(place.run(&succeeds(""), &[]).code(), 0);
    assert_eq!(place.job().number, 2);
}

#[test]
fn ten_runs_stay() {
    let place = Place::new();
    for _ in 0..12 {
        assert_eq!(place.run(&[started(), ended(BuildStatus::Succeeded, None, false)], &[]).code(), 0);
    }
    assert_eq!(place.names("runs").len(), 10);
    assert_eq!(place.job().number, 12);
}

#[test]
fn a_process_that_dies_is_told_of_and_leaves_nothing() {
    for (step, says) in [(Step::Die, "was killed by SIGKILL"), (Step::Exit(7), "ended with status 7")] {
        let place = Place::new();
        let run = place.run(&[started(), line("begun"), Step::Stderr("the cause".to_owned()), step], &[]);
        assert_eq!(run.code(), 3);
        assert!(run.stdout().ends_with("begun\n"));
        let stderr = run.stderr();
        assert!(stderr.contains(says) && stderr.contains("  the cause\n") && stderr.contains("kiln logs"), "{stderr}");
        assert_eq!(place.names("builds"), Vec::<String>::new());
        assert!(place.data().join("runs").join(place.last()).join("runner.log").is_file());
    }
}

#[test]
fn a_process_that_cannot_be_started_is_told_of_and_leaves_nothing() {
    let place = Place::new();
    let output = place.kiln(&[], &["run"]).env("KILN_RUNNER", "/does/not/exist").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/does/not/exist"));
    assert_eq!((place.names("builds").len(), place.names("runs").len()), (0, 0));
}

#[test]
fn a_damaged_journal_ends_the_build() {
    let place = Place::new();
    let run = place.run(&[started(), line("begun"), Step::Damage, Step::Await('k')], &[]);
    assert_eq!(run.code(), 3);
    assert!(run.stderr().contains("damaged"), "{}", run.stderr());
}

#[test]
fn a_data_directory_that_cannot_be_written_is_told_of() {
    let place = Place::new();
    let output = place.kiln(&[], &["run", "--data", "/dev/null/x"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("/dev/null/x") && stderr.contains("--data"), "{stderr}");
}

#[test]
fn a_dead_build_is_cleaned_up_by_the_next_run() {
    let place = Place::new();
    let gate = place.gate("gate");
    let mut child = place.kiln(&[started(), line("begun"), Step::Gate(gate.clone())], &["run"]).spawn().unwrap();
    crate::support::open(&gate);
    // The runner goes on to its end when `kiln run` is killed; nobody is left to keep its log.
    child.kill().unwrap();
    child.wait().unwrap();
    let first = place.last();
    loop {
        // The fake runner ends by itself a moment later; until then the build is alive.
        assert_eq!(place.run(&fails(), &[]).code(), 1);
        if !place.names("builds").contains(&first) {
            break;
        }
    }
    assert!(place.data().join("runs").join(&first).join("journal").is_file());
}
