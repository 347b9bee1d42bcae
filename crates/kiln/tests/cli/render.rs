//! What is printed, compared with golden files.

use std::collections::BTreeMap;

use kiln_model::{BuildStatus, Counter, PhaseType, ReportFormat, ReportKind, TestCase, TestStatus, TestSummary};
use kiln_wire::{
    agent::{CommandExit, Holder},
    event::{Artifact, CacheAction, CommandEnded, Event, Report},
};

use crate::{
    fake::{Step, begin, command, ended, event, fails, line, phase, phase_ended, started},
    support::{Place, golden},
};

/// A build in which everything happens.
fn everything() -> Vec<Step> {
    let mut steps = vec![started(), event(Event::Notice { text: "a notice".to_owned() })];
    steps.push(phase(PhaseType::DownloadSource));
    steps.push(event(Event::Cache {
        action: CacheAction::Restored,
        files: 1204,
        bytes: 34 << 20,
        new_bytes: 0,
        detail: "key deps-1".to_owned(),
    }));
    steps.push(phase_ended(PhaseType::DownloadSource, BuildStatus::Succeeded, 12));
    steps.extend([phase(PhaseType::Build), line("Entering phase BUILD")]);
    steps.extend(command(1, "mvn -q package", "compiling\n", 0, 31_200));
    steps.extend(command(2, "mvn test\necho done", "tests run\n", 0, 4_500));
    steps.extend(command(3, "true", "", 0, 3));
    steps.push(phase_ended(PhaseType::Build, BuildStatus::Succeeded, 35_800));
    steps.push(event(Event::Report(Report {
        name: "unit-tests".to_owned(),
        format: ReportFormat::JunitXml,
        kind: ReportKind::Test,
        status: BuildStatus::Failed,
        files: 3,
        tests: Some(TestSummary { total: 44, succeeded: 41, failed: 1, error: 1, skipped: 1, ..Default::default() }),
        failures: [
            ("adds", TestStatus::Failed, Some("src/FooTest.java")),
            ("\x1b]0;x\x07opens", TestStatus::Error, None),
        ]
        .map(|(name, status, file)| TestCase {
            prefix: "com.acme.FooTest".to_owned(),
            name: name.to_owned(),
            test_suite_name: String::new(),
            status,
            duration_in_nano_seconds: 1,
            message: "expected 4\nbut was 5".to_owned(),
            file: file.map(str::to_owned),
            line: file.map(|_| 12),
            test_raw_data_path: "TEST-Foo.xml".to_owned(),
        })
        .to_vec(),
        lines: None,
        branches: None,
    })));
    steps.push(event(Event::Report(Report {
        name: "coverage".to_owned(),
        format: ReportFormat::JacocoXml,
        kind: ReportKind::CodeCoverage,
        status: BuildStatus::Succeeded,
        files: 1,
        tests: None,
        failures: Vec::new(),
        lines: Some(Counter { covered: 812, missed: 188 }),
        branches: Some(Counter { covered: 2, missed: 1 }),
    })));
    for (identifier, path, bytes) in [(None, "/out/app.zip", 3_500_000), (Some("docs"), "/out/docs.zip", 900)] {
        steps.push(event(Event::Artifact(Artifact {
            identifier: identifier.map(str::to_owned),
            name: None,
            prefix: None,
            path: path.to_owned(),
            packaging: "ZIP".to_owned(),
            files: 12,
            bytes,
            sha256: None,
            md5: None,
        })));
    }
    steps.push(event(Event::Exported { variables: BTreeMap::from([("V".to_owned(), "1".to_owned())]) }));
    steps.push(event(Event::Cache {
        action: CacheAction::Saved,
        files: 1300,
        bytes: 35 << 20,
        new_bytes: 1 << 20,
        detail: String::new(),
    }));
    steps.push(event(Event::Truncated { bytes: 5 << 20, lines: 77_000 }));
    steps.push(ended(BuildStatus::Succeeded, None, false));
    steps
}

#[test]
fn summary_of_a_success() {
    let place = Place::new();
    let run = place.run(&everything(), &[]);
    assert_eq!(run.code(), 0);
    golden("success.txt", &place.plain(&run.stderr()));
}

#[test]
fn summary_of_a_failure() {
    let place = Place::new();
    let run = place.run(&fails(), &["."]);
    golden("failure.txt", &place.plain(&run.stderr()));
}

#[test]
fn a_chosen_data_directory_is_part_of_the_hints() {
    let place = Place::new();
    let data = place.path("da ta");
    let run = place.run(&fails(), &["--data", data.to_str().unwrap()]);
    assert!(run.stderr().contains(&format!("kiln --data '{}' debug", data.display())), "{}", run.stderr());
}

fn fails_with(exit: CommandExit, oom_kills: u64, pids_refused: u64, holders: Vec<Holder>) -> Vec<Step> {
    let mut steps = vec![started(), phase(PhaseType::Build)];
    steps.extend(begin(1, "./run"));
    let long: String = (1..=40).map(|n| format!("line {n}\x1b[31m\r50%\rline {n} done\x1b[0m\n")).collect();
    steps.push(Step::Output(1, long.into_bytes()));
    let ended_ = CommandEnded {
        command: 1,
        exit,
        duration_ms: 5,
        cpu_ms: 5,
        memory_peak_bytes: None,
        read_bytes: 0,
        written_bytes: 0,
        oom_kills,
        pids_refused,
        holders,
    };
    steps.push(event(Event::CommandEnded(ended_)));
    steps.push(ended(BuildStatus::Failed, Some((PhaseType::Build, "COMMAND_EXECUTION_ERROR", Some(1))), false));
    steps
}

#[test]
fn hints_by_how_a_command_ended() {
    let place = Place::new();
    for (exit, oom, pids, says) in [
        (CommandExit::Code(127), 0, 0, "did not find a program of that name"),
        (CommandExit::Code(126), 0, 0, "not executable"),
        (CommandExit::Code(139), 0, 0, "139: a program was killed by SIGSEGV"),
        (CommandExit::Signal(9), 0, 0, "shell was killed by SIGKILL"),
        (CommandExit::Code(137), 2, 0, "killed 2 processes at the limit of 4 GiB (peak 89 MiB)"),
        (CommandExit::Code(1), 0, 3, "limit of processes was reached (3 forks refused)"),
    ] {
        let run = place.run(&fails_with(exit, oom, pids, Vec::new()), &[]);
        assert!(run.stderr().contains(says), "{says}: {}", run.stderr());
        let shown: Vec<String> =
            run.stderr().lines().filter_map(|l| l.strip_prefix("  ┊ ").map(str::to_owned)).collect();
        assert_eq!(shown, (21..=40).map(|n| format!("line {n} done")).collect::<Vec<_>>());
    }
    let holder = Holder { pid: 42, command: "sleep\x1b[2J 1000".to_owned() };
    let run = place.run(&fails_with(CommandExit::Code(1), 0, 0, vec![holder]), &[]);
    assert!(run.stderr().contains("in the background: sleep [2J 1000 (pid 42)"), "{}", run.stderr());
}

#[test]
fn a_build_that_ends_inside_a_command_says_in_which() {
    let place = Place::new();
    let steps = |status, number| {
        let mut steps = vec![started(), phase(PhaseType::Build)];
        steps.extend(begin(3, "sleep 1000"));
        steps.push(Step::Output(3, b"waiting\n".to_vec()));
        steps.push(ended(status, Some((PhaseType::Build, "CODE", number)), false));
        steps
    };
    for (status, number, says) in [
        (BuildStatus::TimedOut, None, "The time limit was reached during command 3 of BUILD"),
        (BuildStatus::Stopped, None, "The build ended during command 3 of BUILD"),
        (BuildStatus::Failed, Some(3), "Command 3 of BUILD failed"),
    ] {
        let said = place.run(&steps(status, number), &[]).stderr();
        assert!(said.contains(says) && said.contains("┊ waiting") && said.contains("buildspec.yml:13"), "{said}");
    }
}

#[test]
fn folded_log() {
    let place = Place::new();
    let mut steps = vec![started(), phase(PhaseType::Build), line("Entering phase BUILD")];
    steps.extend(command(1, "make", &"compiling\n".repeat(1204), 0, 12_300));
    steps.extend(command(2, "true", "", 0, 3));
    steps.extend(command(3, "printf x", "x", 0, 3));
    steps.extend(begin(4, "make test"));
    steps.push(Step::Output(4, b"one\n".to_vec()));
    steps.push(Step::Output(1, b"from the background\n".to_vec()));
    steps.push(Step::Output(4, b"two\n".to_vec()));
    steps.extend(command(4, "make test", "three", 2, 20).split_off(2));
    steps.push(ended(BuildStatus::Failed, Some((PhaseType::Build, "X", Some(4))), false));
    let run = place.run(&steps, &["--fold"]);
    golden("folded.txt", &run.stdout());
}

#[test]
fn folded_log_of_a_build_that_is_stopped_shows_what_ran() {
    let place = Place::new();
    let mut steps = vec![started(), phase(PhaseType::Build)];
    steps.extend(begin(1, "sleep 1000"));
    steps.push(Step::Output(1, b"so far\n".to_vec()));
    steps.push(ended(BuildStatus::Stopped, Some((PhaseType::Build, "", None)), false));
    assert!(place.run(&steps, &["--fold"]).stdout().ends_with("so far\n"));
}

#[test]
fn json_events() {
    let place = Place::new();
    let mut steps = everything();
    steps.insert(6, Step::Output(7, b"caf\xe9\nno end".to_vec()));
    let run = place.run(&steps, &["--json"]);
    assert_eq!((run.code(), run.stderr()), (0, String::new()));
    for line in run.stdout().lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(value["time"].is_string() && value["type"].is_string(), "{line}");
    }
    golden("events.jsonl", &run.stdout());
}
