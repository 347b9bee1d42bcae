//! Fault tests of `reliability.md` that concern one build: 2, 5, 9 (c), 14 to 17, 25, 26, 34. 27 stands in the engine's suite.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::Stdio,
};

use kiln_model::{BuildStatus, PhaseType};
use rustix::process::{Pid, Signal, kill_process};

use crate::project::{Project, not_root};

fn rounds(quick: u32, long: u32) -> u32 {
    if std::env::var_os("KILN_SOAK").is_some() { long } else { quick }
}

/// Processes whose command line contains all of these.
fn processes(words: &[&str]) -> Vec<i32> {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(Result::ok)
        .filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            words.iter().all(|w| command.contains(w))
        })
        .collect()
}

/// Waits (without a clock) until a file is there; the build makes it.
fn wait_for_line(log: &mut impl BufRead, line: &str) {
    let mut text = String::new();
    loop {
        text.clear();
        assert!(log.read_line(&mut text).unwrap() > 0, "the log ended before '{line}'");
        if text.trim_end() == line {
            return;
        }
    }
}

const BUSY: &str =
    "version: 0.2\nphases:\n  build:\n    commands:\n      - (setsid sleep 1000 &) ; echo ready; sleep 1000\n";

#[test]
fn killing_kiln_run_leaves_nothing() {
    for _ in 0..rounds(3, 20) {
        let project = Project::new(BUSY);
        let mut child = project.start(&[]);
        let mut log = BufReader::new(child.stdout.take().unwrap());
        wait_for_line(&mut log, "ready");
        let runners = processes(&["runner", project.data().to_str().unwrap()]);
        assert_eq!(runners.len(), 1);
        child.kill().unwrap();
        child.wait().unwrap();
        wait_until_gone(&runners);
        // The next command finds and removes what the dead one owned.
        project.kiln(&["doctor", "--fix"]).output().unwrap();
        project.check();
    }
}

#[test]
fn killing_the_runner_is_a_fault_and_leaves_nothing() {
    for _ in 0..rounds(2, 20) {
        let project = Project::new(BUSY);
        let mut child = project.start(&[]);
        let mut log = BufReader::new(child.stdout.take().unwrap());
        wait_for_line(&mut log, "ready");
        for pid in processes(&["runner", project.data().to_str().unwrap()]) {
            kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        }
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        project.kiln(&["doctor", "--fix"]).output().unwrap();
        project.check();
    }
}

#[test]
fn killing_the_containers_first_process_is_a_fault() {
    if not_root() {
        return;
    }
    let project = Project::new(BUSY);
    let mut child = project.start(&[]);
    let mut log = BufReader::new(child.stdout.take().unwrap());
    wait_for_line(&mut log, "ready");
    let runner = processes(&["runner", project.data().to_str().unwrap()])[0];
    let children = fs::read_to_string(format!("/proc/{runner}/task/{runner}/children")).unwrap();
    let init = children.split_whitespace().next().unwrap().parse().unwrap();
    kill_process(Pid::from_raw(init).unwrap(), Signal::KILL).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let outcome = project.outcome(&output);
    let end = outcome.end();
    assert_eq!(end.status, BuildStatus::Fault);
    assert!(end.context.unwrap().message.contains("killed by signal 9"));
    project.check();
}

/// Waits until these processes have ended.
fn wait_until_gone(pids: &[i32]) {
    let running = |pid: &i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        status.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    };
    while pids.iter().any(running) {
        std::thread::yield_now();
    }
}

#[test]
fn every_crash_point_leaves_nothing_behind() {
    for point in kiln_runner::crash::POINTS {
        let project =
            Project::new("version: 0.2\nphases:\n  build:\n    commands: [\"echo x > f\"]\nartifacts:\n  files: [f]\n");
        let output = project.run_command(&[]).env("KILN_CRASH_POINT", point).output().unwrap();
        let status = output.status.code();
        if point == "ended" {
            // The build's end is in the journal: its result stands.
            assert_eq!(status, Some(0), "{point}: {output:?}");
        } else {
            assert_eq!(status, Some(3), "{point} was not reached: {output:?}");
        }
        project.kiln(&["doctor", "--fix"]).output().unwrap();
        project.check();
    }
}

#[test]
fn a_full_build_disk_is_the_users_failure() {
    if not_root() {
        return;
    }
    // Sparse files do not count; real blocks do. The disk of the small type is 64 GB: the fallocate is refused at once.
    let outcome = Project::commands(&["fallocate -l 70G /big || { echo refused; exit 1; }"]).run(&[]).expect(1);
    outcome.expect_line("refused").expect_text("No space left on device");
    assert_eq!(outcome.end().status, BuildStatus::Failed);
}

#[test]
fn stubborn_processes_are_gone_after_the_build() {
    let project = Project::commands(&[
        "for i in 1 2 3 4 5; do (trap '' TERM INT HUP; setsid sh -c 'trap \"\" TERM; while :; do sleep 100; done' &) ; done > /dev/null 2>&1; echo forked",
    ]);
    project.run(&[]).expect(0).expect_line("forked");
}

#[test]
fn many_and_strange_files_do_not_stop_the_end() {
    let count = rounds(20_000, 1_000_000);
    let project = Project::new(&format!(
        "version: 0.2\nphases:\n  build:\n    commands:\n      - mkdir m && cd m && seq 1 {count} | xargs touch && cd ..\n      - truncate -s 1T sparse\n      - d=deep; for i in $(seq 60); do mkdir -p $d; cd $d; d=$(printf 'x%.0s' $(seq 100)); done; touch bottom; cd \"$CODEBUILD_SRC_DIR\"\n      - \"bash -c 'for i in $(seq 1 255); do [ $i = 47 ] || touch \\\"b-$(printf \\\\\\\\x$(printf %x $i))\\\" 2>/dev/null; done'\"\n      - mkfifo pipe\nartifacts:\n  files: ['b-*', pipe, 'deep/**/*']\n"
    ));
    let outcome = project.run(&[]);
    assert!(outcome.status <= 1, "{}\n{}", outcome.log, outcome.summary);
    assert_eq!(outcome.end().phase.unwrap_or(PhaseType::UploadArtifacts), PhaseType::UploadArtifacts);
}

#[test]
fn yaml_bombs_fail_in_download_source() {
    let mut laughs = "version: 0.2\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for i in 1..12 {
        let previous = format!("*a{},", i - 1).repeat(10);
        laughs.push_str(&format!("a{i}: &a{i} [{previous}]\n"));
    }
    laughs.push_str("phases:\n  build:\n    commands: *a11\n");
    for bomb in [laughs, "[".repeat(200_000), format!("version: 0.2\n{}: x\n", "k".repeat(1 << 20))] {
        let outcome = Project::new(&bomb).run(&[]).expect(2);
        let end = outcome.end();
        assert_eq!((end.status, end.phase), (BuildStatus::Failed, Some(PhaseType::DownloadSource)));
        assert_eq!(end.context.unwrap().status_code, "YAML_FILE_ERROR");
    }
}

#[test]
fn buildspec_beneath_the_source() {
    let project = Project::empty();
    std::os::unix::fs::symlink("/etc/shadow", project.source().join("buildspec.yml")).unwrap();
    let outcome = project.run(&[]).expect(2);
    assert!(!outcome.log.contains("root:"), "{}", outcome.log);
    outcome.expect_text("leads out of the source directory");
}

#[test]
fn forty_builds_at_once_leave_nothing() {
    for _ in 0..rounds(1, 20) {
        let project = Project::commands(&["true"]);
        let runs: Vec<_> = (0..40)
            .map(|_| project.run_command(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
            .collect();
        for child in runs {
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        }
        project.check();
    }
}
