//! Kept file systems: `--resume`, the budget.

use std::{fs, io::Write as _, process::Stdio};

use kiln_model::{BuildStatus, PhaseType};
use kiln_runner::job::{Keep, Resume};

use crate::{
    fake::{Step, ended, fails, started, succeeds},
    support::Place,
};

#[test]
fn resume_goes_on_with_the_file_system_of_the_last_failure() {
    let place = Place::new();
    assert_eq!(place.run(&fails(), &["-e", "A=1"]).code(), 1);
    let first = place.job();
    assert_eq!(place.names("builds"), [first.id.uuid()]);
    // A later success does not hide the failure.
    assert_eq!(place.run(&succeeds(""), &[]).code(), 0);

    let mut steps = vec![started(), Step::Disk("by the second\n".to_owned())];
    steps.push(ended(BuildStatus::Failed, Some((PhaseType::Build, "COMMAND_EXECUTION_ERROR", None)), true));
    let run = place.run(&steps, &["--resume", "--from-command", "2"]);
    assert_eq!(run.code(), 1, "{}", run.stderr());
    let second = place.job();
    assert_eq!(second.resume, Some(Resume { of: first.id.clone(), phase: PhaseType::Build, command: 1 }));
    assert_eq!((second.number, second.variables), (3, first.variables));
    assert_eq!(place.names("builds"), [second.id.uuid()]);
    let disk = place.data().join("builds").join(second.id.uuid()).join("disk/file");
    assert_eq!(fs::read_to_string(disk).unwrap(), "made by the build\nby the second\n");

    let again = place.run(&succeeds(""), &["--resume", first.id.uuid()]);
    assert_eq!(again.code(), 2);
    assert!(again.stderr().contains("went on with it"), "{}", again.stderr());
    assert_eq!(place.run(&succeeds(""), &["--resume"]).code(), 0);
    assert_eq!(place.names("builds"), Vec::<String>::new());
}

#[test]
fn resume_says_why_it_cannot() {
    let place = Place::new();
    let refused = |args: &[&str], says: &str| {
        let run = place.run(&succeeds(""), &[&["--resume"], args].concat());
        assert_eq!(run.code(), 2, "{}", run.stderr());
        assert!(run.stderr().contains(says), "{}", run.stderr());
    };
    refused(&[], "no failed build");
    refused(&["beef"], "no build 'beef'");
    assert_eq!(place.run(&succeeds(""), &[]).code(), 0);
    refused(&[&place.last()], "succeeded");
    let early =
        [started(), ended(BuildStatus::Failed, Some((PhaseType::DownloadSource, "YAML_FILE_ERROR", None)), false)];
    assert_eq!(place.run(&early, &[]).code(), 2);
    refused(&[], "before its first command");
    let lost = [started(), ended(BuildStatus::Failed, Some((PhaseType::Build, "X", None)), false)];
    assert_eq!(place.run(&lost, &[]).code(), 1);
    refused(&[], "was not kept");
    assert_eq!(place.run(&fails(), &[]).code(), 1);
    refused(&["--image", "other"], "--image is not what build");
    let last = place.last();
    let lock = fs::File::open(place.data().join("builds").join(&last).join("lock")).unwrap();
    lock.lock().unwrap();
    refused(&[], "in use");
    drop(lock);
    assert_eq!(place.names("builds"), [last], "nothing was taken away");
}

#[test]
fn a_file_system_that_could_not_go_on_stays() {
    let place = Place::new();
    assert_eq!(place.run(&fails(), &[]).code(), 1);
    let first = place.last();
    let output = place.kiln(&[], &["run", "--resume"]).env("KILN_RUNNER", "/does/not/exist").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(place.names("builds"), [first]);
    assert_eq!(place.run(&succeeds(""), &["--resume"]).code(), 0);
}

#[test]
fn kept_file_systems_stay_within_the_budget() {
    let place = Place::new();
    let fail = |budget: &str| {
        let mut command = place.kiln(&fails(), &["run"]);
        let output = command.env("KILN_KEEP_BUDGET", budget).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    fail("1M");
    let first = place.last();
    let second = fail("5000"); // each takes one block
    assert!(second.contains(&format!("build {} (4 KiB) was dropped", &first[..8])), "{second}");
    assert_eq!(place.names("builds"), [place.last()]);
    assert!(fail("1000").contains("The file system was not kept: it takes 4 KiB"));
    assert_eq!(place.names("builds").len(), 0);
    fail("0");
    assert_eq!(place.job().keep, Keep::Never);
    let refused = place.run(&succeeds(""), &["--resume", &first]);
    assert!(refused.stderr().contains("disk budget"), "{}", refused.stderr());
}

#[test]
fn debug_takes_commands_from_a_pipe_and_has_the_status_of_the_shell() {
    let place = Place::new();
    assert_eq!(place.run(&fails(), &[]).code(), 1);
    let id = place.last();
    let debug = |args: &[&str], input: &str| {
        let mut command = place.kiln(&[], &[&["debug"], args].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let output = debug(&[], "cat file; echo more >> file\nexit 5\n");
    assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("made by the build\n"));
    // Where the input ends, the shell ends.
    let output = debug(&[&id[..6]], "cat file\n");
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("more\n"));
    assert_eq!(place.run(&succeeds(""), &["--resume"]).code(), 0);
    let output = debug(&[], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("went on with it"));
}

#[test]
fn debug_says_why_it_cannot() {
    let place = Place::new();
    let refused = |args: &[&str], says: &str| {
        let output = place.kiln(&[], &[&["debug"], args].concat()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && stderr.contains(says), "{stderr}");
    };
    refused(&[], "no failed build");
    assert_eq!(place.run(&succeeds(""), &[]).code(), 0);
    refused(&[], "no failed build");
    refused(&[&place.last()], "was not kept");
}
