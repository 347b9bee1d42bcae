//! Usage, `kiln lint`, `kiln logs`, `kiln version`.

use std::{fs, process::Output};

use crate::{
    fake::{Step, fails, line, started, succeeds},
    support::{Place, open},
};

fn kiln(place: &Place, args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = place.kiln(&[], args).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn usage_errors_have_status_2_and_say_what_to_do() {
    let place = Place::new();
    for (args, says) in [
        (&["run", "/does/not/exist"][..], "No such file"),
        (&["run", "buildspec.yml"], "not a directory"),
        (&["run", "--no-such-option"], "--help"),
        (&["run", "--network", "vpc"], "private"),
        (&["run", "--engine", "docker"], "not in this version"),
        (&["run", "-e", "1 2=3"], "' '"),
        (&["run", "--env-file", "nowhere"], "nowhere"),
        (&["run", "--buildspec", "nowhere.yml"], "neither here nor in"),
        (&["nothing"], "--help"),
        (&["logs", "zzzz"], "not a build"),
        (&["logs", "abcd"], "no build"),
    ] {
        let (code, _, stderr) = kiln(&place, args);
        assert!(code == 2 && stderr.contains(says), "{args:?}: {code} {stderr}");
    }
    assert!(place.names("builds").is_empty() && place.names("runs").is_empty(), "nothing was begun");
    let output = place.kiln(&[], &["run"]).env("KILN_KEEP_BUDGET", "much").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn version_and_help_are_on_standard_output() {
    let place = Place::new();
    let version = format!("kiln {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(kiln(&place, &["version"]), (0, version.clone(), String::new()));
    assert_eq!(kiln(&place, &["--version"]), (0, version, String::new()));
    let (code, help, _) = kiln(&place, &["--help"]);
    assert!(code == 0 && help.contains("KILN_KEEP_BUDGET") && !help.contains("\n  runner"), "{help}");
}

#[test]
fn the_environment_file_and_the_options_reach_the_job() {
    let place = Place::new();
    fs::write(place.project().join("vars"), "# c\nA=\"1\"\n\nB=two\n").unwrap();
    assert_eq!(place.run(&succeeds(""), &["--env-file", "vars", "-e", "B=3", ".", "--network", "none"]).code(), 0);
    let pair = |n: &str, v: &str| (n.to_owned(), v.to_owned());
    assert_eq!(place.job().variables, [pair("A", "\"1\""), pair("B", "two"), pair("B", "3")]);
    assert_eq!(place.job().source.dir, place.project());
    assert_eq!(place.job().data, place.data());
}

#[test]
fn lint_has_the_statuses_of_the_contract() {
    let place = Place::new();
    let lint = |text: Option<&str>, args: &[&str]| {
        match text {
            Some(text) => fs::write(place.project().join("buildspec.yml"), text).unwrap(),
            None => fs::remove_file(place.project().join("buildspec.yml")).unwrap(),
        }
        kiln(&place, &[&["lint"], args].concat())
    };
    let good = "version: 0.2\nphases:\n  build:\n    commands:\n      - make\n";
    assert_eq!(lint(Some(good), &[]).0, 0);
    let (code, stdout, _) = lint(Some("version: 0.2\nphases:\n  build:\n    commands:\n      - echo a: b\n"), &[]);
    assert!(code == 1 && stdout.contains("buildspec.yml:5"), "{stdout}");
    let (code, stdout, _) = lint(Some("version: 0.2\nphases:\n  biuld: {}\n"), &["--format", "json"]);
    assert_eq!(code, 1);
    let report: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert!(report["summary"]["errors"].as_u64().unwrap() > 0);
    let (code, stdout, _) = lint(Some(good), &["--format", "sarif", "buildspec.yml"]);
    assert!(code == 0 && serde_json::from_str::<serde_json::Value>(&stdout).is_ok());
    assert_eq!(lint(Some(good), &["--format", "xml"]).0, 2);
    let (code, _, stderr) = lint(None, &[]);
    assert!(code == 2 && stderr.contains("kiln lint FILE"), "{stderr}");
    let (code, stdout, _) = kiln(&place, &["lint", "--schema"]);
    assert!(code == 0 && serde_json::from_str::<serde_json::Value>(&stdout).is_ok());
}

#[test]
fn logs_prints_the_log_again_and_follows_a_build_that_runs() {
    let place = Place::new();
    let run = place.run(&fails(), &[]);
    let id = place.last();
    assert_eq!(kiln(&place, &["logs", &id]).1, run.stdout());
    assert_eq!(kiln(&place, &["logs", &id, "--follow"]).1, run.stdout());
    let json = kiln(&place, &["logs", &id, "--json"]).1;
    assert!(json.lines().last().unwrap().contains("\"build_ended\""));

    let gate = place.gate("gate");
    let steps = [vec![started(), line("begun"), Step::Gate(gate.clone())], succeeds("later\n")].concat();
    let running = place.kiln(&steps, &["run"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    // The job is there before the script begins; the journal a moment later.
    let id = loop {
        let ids = place.names("builds");
        if let Some(id) = ids.iter().find(|b| place.data().join("builds").join(b).join("journal").exists() && **b != id)
        {
            break id.clone();
        }
        std::thread::yield_now();
    };
    let follower = place.kiln(&[], &["logs", "-f", &id]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    open(&gate);
    let (shown, followed) = (running.wait_with_output().unwrap(), follower.wait_with_output().unwrap());
    assert_eq!(String::from_utf8_lossy(&shown.stdout), String::from_utf8_lossy(&followed.stdout));
    assert!(String::from_utf8_lossy(&shown.stdout).contains("later"));
}

#[test]
fn logs_shows_the_lines_that_are_searched_for() {
    let place = Place::new();
    let text = "\x1b[1;31mError\x1b[0m: no such file\na\r\nb\nc\nd\ne\nerror: the end";
    assert_eq!(place.run(&succeeds(text), &[]).code(), 0);
    let id = place.last();
    let log = kiln(&place, &["logs", &id]).1;
    let at = |wanted: &str| log.split('\n').position(|line| line == wanted).unwrap() + 1;
    let (b, d, end) = (at("b"), at("d"), at("error: the end"));
    let search = |args: &[&str]| kiln(&place, &[&["logs", &id], args].concat());

    assert_eq!(search(&["--search", "d", "--regex"]).0, 0);
    assert_eq!(search(&["--search", "^[bd]$", "--regex"]), (0, format!("{b}:b\n{d}:d\n"), String::new()));
    assert_eq!(search(&["--search", "^A$", "--regex", "-i"]).1, format!("{}:a\r\n", b - 1));
    // Lines around, each once; what is between two pieces is marked.
    let around = format!("{}-a\r\n{b}:b\n{}-c\n{d}:d\n{}-e\n", b - 1, b + 1, d + 1);
    assert_eq!(search(&["--search", "^[bd]$", "--regex", "-C", "1"]).1, around);
    let apart = search(&["--search", "^(b|error.*)$", "--regex", "-C1"]).1;
    assert!(
        apart.starts_with(&format!("{}-a\r\n{b}:b\n{}-c\n--\n{}-e\n{end}:error", b - 1, b + 1, end - 1)),
        "{apart}"
    );
    // As people read it, over what a terminal would take for a colour.
    let (code, found, _) = search(&["--search", "error: ", "--ignore-case"]);
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!((code, lines.len()), (0, 2), "{found}");
    assert_eq!(lines[0], format!("{}:\x1b[1;31mError\x1b[0m: no such file", b - 2));
    assert_eq!(search(&["--search", "not there"]), (1, String::new(), String::new()));
    assert_eq!(search(&["--search", "^[bd]$"]).0, 1, "a text is no pattern");
    for (args, says) in [
        (&["--search", "(", "--regex"][..], "regular expression"),
        (&["--search", ""], "no text"),
        (&["--search", "a", "--follow"], "--follow"),
        (&["--regex"], "--search"),
    ] {
        let (code, _, stderr) = search(args);
        assert!(code == 2 && stderr.contains(says), "{args:?}: {code} {stderr}");
    }
}
