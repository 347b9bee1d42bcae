//! Sandboxes end completely, apart from each other, whatever is killed (fault tests 5, 16, 34).

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use kiln_engine::{Exit, delete_disk, leftovers, sweep};
use rustix::process::{Pid, Signal};

use crate::{
    BOTH, Case, NATIVE,
    fixture::{self, Fixture, Kind},
};

pub(crate) const CASES: &[Case] = &[
    Case { name: "two_sandboxes_see_nothing_of_each_other", kinds: BOTH, run: apart },
    Case { name: "a_tree_that_refuses_to_die_dies", kinds: BOTH, run: stubborn },
    Case { name: "a_kept_disk_is_opened_again", kinds: BOTH, run: kept },
    Case { name: "a_dropped_sandbox_is_destroyed", kinds: BOTH, run: dropped },
    Case { name: "a_killed_owner_leaves_nothing_after_a_sweep", kinds: BOTH, run: killed_owner },
    Case { name: "a_kept_disk_survives_its_killed_owner", kinds: BOTH, run: killed_keeper },
    Case { name: "a_sweep_leaves_running_sandboxes_alone_and_costs_little", kinds: NATIVE, run: harmless_sweep },
    Case { name: "forty_starts_at_once_all_succeed", kinds: BOTH, run: parallel },
];

fn apart(fixture: &Fixture) {
    let script = "echo mine > /tmp/mark; echo mine > /dev/shm/mark; echo ready; read line; ls /tmp /dev/shm | grep -c mark; \
                  test -e /tmp/other && echo saw; ls /proc | grep -c '^[0-9]'; ipcs -m | grep -c 0x";
    let start = |extra: &str| {
        let (read, write) = std::io::pipe().unwrap();
        let mut spec = fixture.spec(&format!("{extra}; {script}"));
        spec.process.stdio[0] = Some(read.into());
        let running = fixture.start(spec).unwrap();
        running.expect("ready");
        (running, write)
    };
    let (one, mut go_one) = start("echo > /tmp/other; ipcmk -M 100 >/dev/null");
    let (two, mut go_two) = start("true");
    // Their ids differ on the host.
    let uid_map = |running: &fixture::Running| {
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", {
            use std::os::fd::AsRawFd as _;
            running.sandbox.init_pidfd().as_raw_fd()
        }));
        let info = info.unwrap();
        let pid = info.lines().find_map(|line| line.strip_prefix("Pid:")).unwrap().trim().to_owned();
        std::fs::read_to_string(format!("/proc/{pid}/uid_map")).unwrap()
    };
    assert_ne!(uid_map(&one), uid_map(&two));
    go_one.write_all(b"\n").unwrap();
    go_two.write_all(b"\n").unwrap();
    drop((go_one, go_two));
    let one = one.finish(&fixture.disks()).stdout;
    let two = two.finish(&fixture.disks()).stdout;
    let counts = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(counts(&one)[..2], ["2", "saw"], "{one}");
    assert_eq!(counts(&two)[0], "2", "{two}");
    assert!(!two.contains("saw"), "{two}");
    // The shell, ls, grep: nothing else is in its /proc.
    assert!(counts(&two)[1].parse::<u32>().unwrap() <= 3, "{two}");
    assert_eq!(counts(&two).last().unwrap(), "0", "shared memory of the other: {two}");
}

fn stubborn(fixture: &Fixture) {
    let script = "trap '' TERM INT HUP; for i in 1 2 3; do (trap '' TERM; setsid sh -c 'trap \"\" TERM HUP; \
                  (while :; do sleep 0.1; done) & while :; do sleep 0.1; done' &) & done; \
                  (while :; do (sleep 0.01 &); done) & echo ready; while :; do sleep 1; done";
    let mut running = fixture.start(fixture.spec(script)).unwrap();
    running.expect("ready");
    running.sandbox.signal(Signal::TERM).unwrap();
    assert_eq!(running.sandbox.wait(Some(Duration::from_millis(300))).unwrap(), None, "it ignores TERM");
    let begin = Instant::now();
    running.sandbox.kill();
    assert_eq!(running.wait(), Exit::Signal(9));
    running.finish(&fixture.disks());
    assert!(begin.elapsed() < Duration::from_secs(5), "it took {:?}", begin.elapsed());
}

fn kept(fixture: &Fixture) {
    let source = fixture.path().join("source");
    std::fs::create_dir_all(&source).unwrap();
    std::fs::write(source.join("f"), "original\n").unwrap();
    let mut first = fixture.spec("echo 1 > /root/kept; echo 1 >> /src/f; rm -f /usr/bin/env; chown 5:6 /root/kept");
    let disk = first.disk.clone();
    let volume =
        kiln_engine::Volume { source: source.clone(), target: "/src".into(), access: kiln_engine::Access::CopyOnWrite };
    first.volumes.push(volume.clone());
    let mut running = fixture.start(first).unwrap();
    assert_eq!(running.wait(), Exit::Code(0));
    assert_eq!(running.sandbox.destroy(true).unwrap(), Vec::<String>::new());
    assert!(disk.dir.exists());

    // Again and again, with another id; it stays although no one asks to keep it.
    for round in 2..4 {
        let mut again = fixture.spec(&format!(
            "cat /root/kept /src/f; stat -c %u:%g /root/kept; test -e /usr/bin/env || echo gone; echo {round} >> /root/kept"
        ));
        again.disk = disk.clone();
        again.volumes.push(volume.clone());
        let output = fixture.run(again).ok();
        let numbers: String = (1..round).map(|n| format!("{n}\n")).collect();
        assert_eq!(output, format!("{numbers}original\n1\n5:6\ngone\n"));
    }
    // A failed start does not take it away.
    let mut broken = fixture.spec("");
    broken.disk = disk.clone();
    broken.process.argv = vec![fixture::cstring("/no/such/program")];
    assert!(fixture.start(broken).is_err());
    assert!(disk.dir.exists());
    sweep(&[&fixture.disks()]);
    assert!(disk.dir.exists(), "a sweep leaves kept disks alone");
    delete_disk(&disk.dir).unwrap();
    assert!(!disk.dir.exists());
    assert_eq!(std::fs::read_to_string(source.join("f")).unwrap(), "original\n");
}

fn dropped(fixture: &Fixture) {
    let running = fixture.start(fixture.spec("sleep 1000")).unwrap();
    let id = running.id.clone();
    assert_ne!(leftovers(&id, &[&fixture.disks()]), Vec::<String>::new(), "the checker sees a running sandbox");
    drop(running);
    assert_eq!(leftovers(&id, &[&fixture.disks()]), Vec::<String>::new());
}

/// A process that owns a sandbox with the id `id` and waits to be killed. `keep`: its disk is to survive.
pub(crate) fn owner(kind: &str, dir: &str, id: &str) -> ExitCode {
    let (id, keep) = id.strip_prefix("keep:").map_or((id, false), |id| (id, true));
    let script = "echo data > /root/data; (setsid sleep 1000 &); echo ready; exec sleep 1000";
    let mut spec = fixture::spec(id, Path::new(dir), script);
    spec.process.stdio[1] = Some(rustix::io::dup(std::io::stdout()).unwrap());
    let mut sandbox = Kind::named(kind).engine().start(spec).unwrap();
    if keep {
        sandbox.keep_disk().unwrap();
    }
    println!("kept");
    loop {
        // Only a signal ends it.
        let _forever = sandbox.wait(None);
    }
}

fn start_owner(fixture: &Fixture, id: &str) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--owner", fixture.kind.name()])
        .arg(fixture.disks())
        .arg(id)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // One from it, one from the sandbox.
    let mut lines: Vec<String> =
        BufReader::new(child.stdout.take().unwrap()).lines().take(2).map(Result::unwrap).collect();
    lines.sort();
    assert_eq!(lines, ["kept", "ready"]);
    child
}

fn kill(child: &mut Child) {
    rustix::process::kill_process(Pid::from_child(child), Signal::KILL).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

/// Sweeps; answers what concerns `id`. Other processes' sandboxes are swept with it.
fn sweep_of(fixture: &Fixture, id: &str) -> Vec<kiln_engine::Leftover> {
    let mut found = sweep(&[&fixture.disks()]);
    found.retain(|leftover| leftover.what.contains(id));
    found
}

fn killed_owner(fixture: &Fixture) {
    let rounds = if std::env::var_os("KILN_SOAK").is_some() { 20 } else { 2 };
    for _ in 0..rounds {
        let id = fixture.id();
        let mut owner = start_owner(fixture, &id);
        kill(&mut owner);
        assert_ne!(leftovers(&id, &[&fixture.disks()]), Vec::<String>::new(), "something must be left to sweep");
        let swept = sweep_of(fixture, &id);
        assert!(swept.iter().all(|leftover| leftover.removed.is_ok()), "{swept:?}");
        // Another process's sweep may have been faster, and be at it still.
        for _ in 0..500 {
            if leftovers(&id, &[&fixture.disks()]).is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(leftovers(&id, &[&fixture.disks()]), Vec::<String>::new());
        assert_eq!(sweep_of(fixture, &id), Vec::new());
    }
}

fn killed_keeper(fixture: &Fixture) {
    let id = fixture.id();
    let mut owner = start_owner(fixture, &format!("keep:{id}"));
    kill(&mut owner);
    sweep_of(fixture, &id);
    assert_eq!(leftovers(&id, &[&fixture.disks()]), Vec::<String>::new());
    let mut again = fixture.spec("cat /root/data");
    again.disk.dir = fixture.disks().join(&id);
    assert_eq!(fixture.run(again).ok(), "data\n");
    delete_disk(&fixture.disks().join(&id)).unwrap();
}

fn harmless_sweep(fixture: &Fixture) {
    let running = fixture.start(fixture.spec("echo ready; exec sleep 1000")).unwrap();
    running.expect("ready");
    assert_eq!(sweep_of(fixture, &running.id), Vec::new());
    assert!(leftovers(&running.id, &[]).iter().any(|left| left.starts_with("process")));
    let begin = Instant::now();
    for _ in 0..20 {
        sweep(&[&fixture.disks()]);
    }
    println!("a sweep of nothing takes {:?}", begin.elapsed() / 20);
    running.sandbox.kill();
    running.finish(&fixture.disks());
}

/// A process that runs one whole sandbox.
pub(crate) fn one(kind: &str, dir: &str, id: &str) -> ExitCode {
    let spec = fixture::spec(id, Path::new(dir), "exit 5");
    let mut sandbox = Kind::named(kind).engine().start(spec).unwrap();
    let exit = loop {
        if let Some(exit) = sandbox.wait(None).unwrap() {
            break exit;
        }
    };
    let left = sandbox.destroy(false).unwrap();
    if exit == Exit::Code(5) && left.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parallel(fixture: &Fixture) {
    let rounds = if std::env::var_os("KILN_SOAK").is_some() { 20 } else { 2 };
    // One before, so that the template and the list of /usr are there.
    fixture.sh("true").ok();
    for round in 0..rounds {
        let start = |_| {
            let id = fixture.id();
            let log = tempfile::tempfile().unwrap();
            let child = Command::new(std::env::current_exe().unwrap())
                .args(["--one", fixture.kind.name()])
                .arg(fixture.disks())
                .arg(&id)
                .stdin(Stdio::null())
                .stderr(log.try_clone().unwrap())
                .spawn();
            (id, child.unwrap(), log)
        };
        let all: Vec<_> = (0..40).map(start).collect();
        for (id, mut child, mut log) in all {
            let status = child.wait().unwrap();
            let mut text = String::new();
            std::io::Seek::rewind(&mut log).unwrap();
            std::io::Read::read_to_string(&mut log, &mut text).unwrap();
            assert!(status.success(), "round {round}, {id}: {status}: {text}");
            assert_eq!(leftovers(&id, &[&fixture.disks()]), Vec::<String>::new());
        }
    }
}
