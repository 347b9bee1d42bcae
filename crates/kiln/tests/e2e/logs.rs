//! Output as it comes, complete and in order (issue item 3, `reliability.md` fault test 14, `buildspec.md` 5).

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::Stdio,
};

use sha2::{Digest as _, Sha256};

use crate::project::Project;

/// 20 million lines when the long forms are asked for.
fn lines() -> u64 {
    if std::env::var_os("KILN_SOAK").is_some() { 20_000_000 } else { 2_000_000 }
}

#[test]
fn many_lines_arrive_complete_and_in_order_with_flat_memory() {
    let count = lines();
    let project = Project::commands(&[&format!("seq 1 {count}")]);
    let mut child = project.run_command(&[]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut log = BufReader::with_capacity(1 << 20, child.stdout.take().unwrap());
    let (mut expected, mut line, mut digest) = (1u64, Vec::new(), Sha256::new());
    let mut peak_kib = 0;
    while log.read_until(b'\n', &mut line).unwrap() > 0 {
        if line.first().is_some_and(u8::is_ascii_digit) {
            assert_eq!(String::from_utf8_lossy(&line).trim_end(), expected.to_string());
            expected += 1;
            digest.update(&line);
            if expected.is_multiple_of(500_000) {
                peak_kib = peak_kib.max(resident_kib(child.id()));
            }
        }
        line.clear();
    }
    assert_eq!(expected, count + 1);
    assert!(child.wait().unwrap().success());
    assert!(peak_kib > 0 && peak_kib < 64 * 1024, "kiln run used {peak_kib} KiB");
    project.check();
}

/// Resident memory of a process and its children (the runner) in KiB.
fn resident_kib(pid: u32) -> u64 {
    let rss = |pid: &str| -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
    };
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    rss(&pid.to_string()).max(children.split_whitespace().map(rss).max().unwrap_or(0))
}

#[test]
fn bytes_pass_unchanged() {
    let project = Project::commands(&[
        "printf 'bad \\377\\376 utf8\\nprogress 1\\rprogress 2\\rdone\\n'",
        "head -c 1000000 /dev/zero | tr '\\0' x; echo",
        "printf 'nul \\0 byte\\n'; printf 'no newline at the end'",
    ]);
    let output = project.run_command(&[]).output().unwrap();
    assert!(output.status.success());
    let has = |needle: &[u8]| output.stdout.windows(needle.len()).any(|w| w == needle);
    assert!(has(b"bad \xff\xfe utf8\nprogress 1\rprogress 2\rdone\n"));
    assert!(has(&[b'x'; 1_000_000]));
    assert!(has(b"nul \0 byte\nno newline at the end\n\n[Container]"));
}

#[test]
fn stdout_and_stderr_keep_their_order() {
    let outcome = Project::commands(&["for i in 1 2 3 4 5; do echo out $i; echo err $i >&2; done"]).run(&[]).expect(0);
    let seen: Vec<&str> = outcome.log.lines().filter(|l| l.starts_with("out") || l.starts_with("err")).collect();
    let expected: Vec<String> = (1..=5).flat_map(|i| [format!("out {i}"), format!("err {i}")]).collect();
    assert_eq!(seen, expected);
}

#[test]
fn background_process_reported() {
    let project = Project::commands(&[
        "mkfifo /tmp/go; (cat /tmp/go; echo late) & echo started",
        "echo go > /tmp/go; while ! grep -q done /tmp/end 2>/dev/null; do if ! kill -0 $! 2>/dev/null; then echo done > /tmp/end; fi; done",
    ]);
    let outcome = project.run(&[]).expect(0);
    outcome.expect_line("started").expect_line("late");
    outcome.expect_text("Still running in the background with this command's output open:");
}

#[test]
fn a_live_reader_sees_a_line_before_the_build_ends() {
    let project = Project::commands(&["echo first; read x < /dev/null; sleep 1000"]);
    let mut child = project.start(&[]);
    let mut log = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while line.trim_end() != "first" {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0);
    }
    assert!(child.try_wait().unwrap().is_none());
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
    let mut rest = Vec::new();
    log.read_to_end(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_reader_that_goes_away_stops_the_build() {
    let project = Project::commands(&["yes | head -c 300000000; sleep 1000"]);
    let mut child = project.start(&[]);
    let mut first = [0u8; 100];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert!(!child.wait().unwrap().success());
    project.check();
}

#[test]
fn a_hostile_build_forges_nothing_but_its_own_output() {
    let project = Project::commands(&[
        "echo '[Container] 2026/01/01 00:00:00.000000 Phase complete: BUILD State: SUCCEEDED'",
        "for fd in 3 4 5 6; do (echo x >&$fd) 2>/dev/null && echo wrote to $fd; done; ls -l /proc/1/fd /proc/1/mem 2>&1 | head; (exec 7<>/proc/1/fd/3) 2>/dev/null && echo opened; true",
        "python3 -c \"import ctypes; print('ptrace', ctypes.CDLL(None).ptrace(16, 1, 0, 0))\" || true",
        "false",
    ]);
    let outcome = project.run(&[]).expect(1);
    assert!(!outcome.printed("opened") && !outcome.log.lines().any(|l| l.starts_with("wrote to")), "{}", outcome.log);
    assert!(!outcome.printed("ptrace 0"), "{}", outcome.log);
    assert!(outcome.phases().contains(&"BUILD FAILED".to_owned()));
}

#[test]
fn golden_transcript_of_a_successful_build() {
    let project = Project::new(
        "version: 0.2\nphases:\n  install:\n    commands:\n      - echo hello\n  build:\n    commands:\n      - printf 'a\\nb'\n      - touch app\nartifacts:\n  files: [app]\n",
    );
    let outcome = project.run(&["-e", "CODEBUILD_CONFIG_AUTO_DISCOVER=false", "--network", "none"]).expect(0);
    let source =
        outcome.lines().iter().find_map(|l| l.strip_prefix("[Container] CODEBUILD_SRC_DIR=").map(str::to_owned));
    let source = source.unwrap();
    // Notices about this machine stand before the first line of the service's own.
    let lines = outcome.lines();
    let start = lines.iter().position(|l| l == "[Container] Running on CodeBuild On-demand").unwrap();
    let text = lines[start..].join("\n").replace(&source, "SRC");
    let expected = "\
[Container] Running on CodeBuild On-demand
[Container] Waiting for agent ping
[Container] Waiting for DOWNLOAD_SOURCE
[Container] Phase is DOWNLOAD_SOURCE
[Container] CODEBUILD_SRC_DIR=SRC
[Container] YAML location is SRC/buildspec.yml
[Container] Processing environment variables
[Container] No runtime version selected in buildspec.
[Container] Moving to directory SRC
[Container] Cache is not defined in the buildspec
[Container] Skip cache due to: no paths specified to be cached
[Container] Registering with agent
[Container] Phases found in YAML: 2
[Container]  INSTALL: 1 commands
[Container]  BUILD: 2 commands
[Container] Phase complete: DOWNLOAD_SOURCE State: SUCCEEDED
[Container] Phase context status code:  Message: 
[Container] Entering phase INSTALL
[Container] Running command echo hello
hello

[Container] Phase complete: INSTALL State: SUCCEEDED
[Container] Phase context status code:  Message: 
[Container] Entering phase PRE_BUILD
[Container] Phase complete: PRE_BUILD State: SUCCEEDED
[Container] Phase context status code:  Message: 
[Container] Entering phase BUILD
[Container] Running command printf 'a\\nb'
a
b

[Container] Running command touch app

[Container] Phase complete: BUILD State: SUCCEEDED
[Container] Phase context status code:  Message: 
[Container] Entering phase POST_BUILD
[Container] Phase complete: POST_BUILD State: SUCCEEDED
[Container] Phase context status code:  Message: 
[Container] Expanding base directory path: .
[Container] Assembling file list
[Container] Expanding .
[Container] Expanding file paths for base directory .
[Container] Assembling file list
[Container] Expanding app
[Container] Found 1 file(s)
[Container] Phase complete: UPLOAD_ARTIFACTS State: SUCCEEDED
[Container] Phase context status code:  Message: ";
    assert_eq!(text, expected);
}
