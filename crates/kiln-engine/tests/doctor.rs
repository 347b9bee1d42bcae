//! `kiln doctor`'s checks, done for real. Without the test harness: they need a process with one thread.

use std::{
    path::Path,
    process::{Command, ExitCode},
    time::{Duration, SystemTime},
};

use kiln_engine::{
    doctor::{Check, Examination, Report, Status},
    network::NetworkConfig,
};

/// Makes this program a part of a test instead.
const ROLE: &str = "KILN_TEST_ROLE";

fn examine(data: &Path, now: SystemTime) -> Report {
    Examination { data: data.to_owned(), now, fix: false, network: NetworkConfig::default() }.run()
}

/// A time that is never in the past of a file of this program, and does not depend on the clock.
fn now() -> SystemTime {
    std::env::current_exe().and_then(std::fs::metadata).and_then(|m| m.modified()).expect("time of this program")
}

fn check<'a>(report: &'a Report, id: &str) -> &'a Check {
    report.checks.iter().find(|check| check.id == id).unwrap_or_else(|| panic!("no check {id}"))
}

fn show(report: &Report) {
    for check in &report.checks {
        println!("  {:?} {}: {} {:?}", check.status, check.id, check.found, check.fix);
    }
}

fn left_over() -> Vec<String> {
    let list = |command: &str| {
        let output = Command::new("sh").args(["-c", command]).output().expect("sh");
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let mine = format!("doctor-{}", std::process::id());
    list(&format!(
        "cat /proc/self/mountinfo | grep {mine}; find /sys/fs/cgroup -name '{mine}'; losetup -a | grep {mine}"
    ))
}

fn a_machine_that_can_run_builds_is_told_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("with:colon/data");
    let report = examine(&data, now());
    show(&report);
    assert!(report.ok, "this machine runs the tests of the engine");
    for id in ["user-namespaces", "seccomp", "overlay", "data-directory", "clock"] {
        assert_ne!(check(&report, id).status, Status::Problem, "{id}");
    }
    assert!(report.checks.iter().all(|check| check.status == Status::Ok || !check.found.is_empty()));
    let entries: Vec<_> = std::fs::read_dir(&data).expect("made").flatten().map(|entry| entry.file_name()).collect();
    assert!(entries.iter().all(|name| !name.to_string_lossy().starts_with("doctor")), "{entries:?}");
    assert_eq!(left_over(), Vec::<String>::new());
    let json = serde_json::to_value(&report).expect("json");
    assert_eq!((json["version"].as_u64(), json["ok"].as_bool()), (Some(1), Some(true)));
    assert_eq!(json["checks"][0]["id"], "kernel");
}

fn a_data_directory_that_cannot_be_written_is_a_problem() {
    let report = examine(Path::new("/proc/kiln"), now());
    let data = check(&report, "data-directory");
    assert!(!report.ok && data.status == Status::Problem && data.fix.is_some(), "{data:?}");
}

fn a_wrong_clock_is_noticed() {
    let dir = tempfile::tempdir().expect("a directory");
    for wrong in [SystemTime::UNIX_EPOCH, now() + Duration::from_secs(100 * 365 * 86_400)] {
        assert_eq!(check(&examine(dir.path(), wrong), "clock").status, Status::Warning);
    }
}

fn leftovers_are_found_and_removed() {
    let dir = tempfile::tempdir().expect("a directory");
    let trash = dir.path().join("builds/.trash-0-dead");
    std::fs::create_dir_all(trash.join("below")).expect("a directory");
    let examination =
        Examination { data: dir.path().to_owned(), now: now(), fix: false, network: NetworkConfig::default() };
    let report = examination.run();
    let found = check(&report, "leftovers");
    assert_eq!(found.status, Status::Warning, "{found:?}");
    assert!(found.found.contains(".trash-0-dead") && trash.exists() && report.ok, "{found:?}");
    let report = Examination { fix: true, ..examination.clone() }.run();
    assert!(check(&report, "leftovers").found.contains("removed: ") && !trash.exists(), "{report:?}");
    assert_eq!(check(&examination.run(), "leftovers").found, "none");
}

fn an_ordinary_user_is_told_what_is_not_enforced() {
    if !rustix::process::geteuid().is_root() {
        println!("  skipped: becoming another user needs root");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("chmod");
    };
    open(dir.path(), 0o777);
    // A copy that every user can reach, wherever this program was built.
    let place = tempfile::tempdir().expect("a directory");
    let program = place.path().join("doctor");
    std::fs::copy(std::env::current_exe().expect("this program"), &program).expect("copy");
    open(place.path(), 0o755);
    open(&program, 0o755);
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"])
        .arg(&program)
        .env(ROLE, dir.path())
        .env_remove("XDG_RUNTIME_DIR")
        .output()
        .expect("setpriv");
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success());
    assert!(text.contains("build-disk: disk limit not enforced: loop devices need root"));
    assert!(text.contains("Ok overlay"), "a user's overlay");
    assert!(text.contains("Ok seccomp"), "a user's filter");
}

fn a_machine_without_user_namespaces_is_told_how_to_get_them() {
    if !rustix::process::geteuid().is_root() {
        println!("  skipped: forbidding user namespaces needs root");
        return;
    }
    // The limit counts below the namespace that sets it, so that it holds for this test alone.
    let script = "echo 0 > /proc/sys/user/max_user_namespaces && exec \"$0\"";
    let dir = tempfile::tempdir().expect("a directory");
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .arg(std::env::current_exe().expect("this program"))
        .env(ROLE, dir.path())
        .output()
        .expect("unshare");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("Problem user-namespaces") && text.contains("sysctl -w user.max_user_namespaces"), "{text}");
    assert!(text.contains("ok: false"), "{text}");
}

fn main() -> ExitCode {
    if let Some(data) = std::env::var_os(ROLE) {
        let report = examine(&Path::new(&data).join("data"), now());
        show(&report);
        println!("ok: {}", report.ok);
        return ExitCode::SUCCESS;
    }
    let tests: [(&str, fn()); 6] = [
        ("a_machine_that_can_run_builds_is_told_so", a_machine_that_can_run_builds_is_told_so),
        ("a_data_directory_that_cannot_be_written_is_a_problem", a_data_directory_that_cannot_be_written_is_a_problem),
        ("a_wrong_clock_is_noticed", a_wrong_clock_is_noticed),
        ("leftovers_are_found_and_removed", leftovers_are_found_and_removed),
        ("an_ordinary_user_is_told_what_is_not_enforced", an_ordinary_user_is_told_what_is_not_enforced),
        (
            "a_machine_without_user_namespaces_is_told_how_to_get_them",
            a_machine_without_user_namespaces_is_told_how_to_get_them,
        ),
    ];
    let filter: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let (mut passed, mut failed) = (0, 0);
    for (name, test) in tests {
        if !filter.is_empty() && !filter.iter().any(|part| name.contains(part)) {
            continue;
        }
        let ok = std::panic::catch_unwind(test).is_ok();
        println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
        *(if ok { &mut passed } else { &mut failed }) += 1;
    }
    println!("{passed} passed, {failed} failed");
    ExitCode::from(u8::from(failed > 0))
}
