//! After a failure: `--resume`, `--from-command`, `kiln debug` (issue item 7).

use std::io::{Read as _, Write as _};

use crate::project::Project;

const SPEC: &str = "version: 0.2\nphases:\n  install:\n    commands:\n      - X=from-install; mkdir -p work; cd work; echo installed >> /var/tmp/count\n  build:\n    commands:\n      - echo first >> first.log; Y=changed\n      - test -f ok\n      - echo \"$X in $(basename $PWD)\"\n";

#[test]
fn a_failed_build_goes_on_from_its_failed_phase() {
    let project = Project::new(SPEC);
    let failed = project.run(&[]).expect(1);
    assert!(failed.end().kept);
    // The same again: the phase starts with the variables and the directory that it had.
    let again = project.run(&["--resume"]).expect(1);
    assert_eq!(
        again.phases()[..3],
        ["PROVISIONING SUCCEEDED", "DOWNLOAD_SOURCE SUCCEEDED", "BUILD FAILED"],
        "earlier phases do not run again"
    );
    // Mended in the buildspec: the file system is as the failed phase left it.
    project.file("buildspec.yml", SPEC.replace("test -f ok", "cat first.log | wc -l; cat /var/tmp/count"));
    let mended = project.run(&["--resume"]).expect(0);
    mended.expect_line("3").expect_line("installed").expect_line("from-install in work");
    mended.expect_text("Its background processes and its temporary file systems (/dev/shm) are gone");
}

#[test]
fn from_command_skips_what_went_well() {
    let project = Project::new(SPEC);
    project.run(&[]).expect(1);
    project.file("buildspec.yml", SPEC.replace("test -f ok", "wc -l < first.log"));
    project.run(&["--resume", "--from-command", "2"]).expect(0).expect_line("1");
}

#[test]
fn without_a_kept_build_resume_says_so() {
    let project = Project::commands(&["true"]);
    project.run(&[]).expect(0);
    let output = project.run_command(&["--resume"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(!String::from_utf8_lossy(&output.stderr).is_empty());
}

#[test]
fn debug_opens_a_shell_where_the_build_failed() {
    let project = Project::new(SPEC);
    let failed = project.run(&[]).expect(1);
    // A terminal of its own: `script` is part of util-linux.
    let kiln = format!("{} debug {}", env!("CARGO_BIN_EXE_kiln"), failed.id);
    let mut child = std::process::Command::new("script")
        .args(["-qec", &kiln, "/dev/null"])
        .env("KILN_DATA", project.data())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // Typed once the shell asks for it, as a person would.
    let mut screen = child.stdout.take().unwrap();
    let (mut text, mut byte) = (Vec::new(), [0u8]);
    while !String::from_utf8_lossy(&text).ends_with("/work# ") {
        assert_eq!(screen.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&text));
        text.push(byte[0]);
    }
    child.stdin.take().unwrap().write_all(b"echo \"[$X] [$(basename $PWD)] [$(cat first.log)]\"; exit 5\n").unwrap();
    screen.read_to_end(&mut text).unwrap();
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("[from-install] [work] [first]"), "{text}");
    assert_eq!(child.wait().unwrap().code(), Some(5), "{text}");
    // Still there afterwards.
    project.run(&["--resume"]).expect(1);
}
