//! A sandbox starts what it was told, with exactly what it was given.

use std::{fs::File, io::Write as _, os::fd::OwnedFd};

use kiln_engine::{EngineError, Exit, leftovers};
use rustix::process::Signal;

use crate::{
    BOTH, Case, NATIVE,
    fixture::{Fixture, cstring},
};

pub(crate) const CASES: &[Case] = &[
    Case { name: "exit_codes_and_signals_are_reported", kinds: BOTH, run: exits },
    Case { name: "the_environment_is_what_was_given_and_what_the_image_needs", kinds: BOTH, run: environment },
    Case { name: "the_directory_is_entered_and_made_if_missing", kinds: BOTH, run: directory },
    Case { name: "standard_streams_are_the_given_ones_or_null", kinds: BOTH, run: streams },
    Case { name: "given_descriptors_appear_in_order_and_no_others", kinds: BOTH, run: descriptors },
    Case { name: "the_host_name_and_files_about_names_are_the_sandboxs", kinds: BOTH, run: names },
    Case { name: "a_program_that_cannot_run_is_an_error_and_leaves_nothing", kinds: BOTH, run: no_program },
    Case { name: "a_contradictory_request_is_refused", kinds: NATIVE, run: refused },
    Case { name: "a_terminal_on_standard_input_controls_the_session", kinds: NATIVE, run: terminal },
    Case { name: "processes_are_limited_and_reset_like_dockers", kinds: BOTH, run: process_state },
];

fn exits(fixture: &Fixture) {
    assert_eq!(fixture.sh("exit 0").exit, Exit::Code(0));
    assert_eq!(fixture.sh("exit 7").exit, Exit::Code(7));
    assert_eq!(fixture.sh("exit 255").exit, Exit::Code(255));

    let mut running =
        fixture.start(fixture.spec("trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done")).unwrap();
    running.expect("ready");
    assert_eq!(running.sandbox.try_wait().unwrap(), None);
    running.sandbox.signal(Signal::TERM).unwrap();
    assert_eq!(running.wait(), Exit::Code(9));
    // Once more, on a process that has ended.
    running.sandbox.signal(Signal::TERM).unwrap();
    assert_eq!(running.sandbox.try_wait().unwrap(), Some(Exit::Code(9)));
    running.finish(&fixture.disks());

    let mut running = fixture.start(fixture.spec("echo ready; sleep 1000")).unwrap();
    running.expect("ready");
    running.sandbox.kill();
    assert_eq!(running.wait(), Exit::Signal(9));
    running.finish(&fixture.disks());
}

fn environment(fixture: &Fixture) {
    let mut spec = fixture.spec("env");
    spec.process.argv = ["/usr/bin/env"].map(cstring).into();
    spec.process.env = ["A=1", "B=x y=z", "EMPTY="].map(cstring).into();
    let output = fixture.run(spec).ok();
    let lines: Vec<&str> = output.lines().collect();
    assert!(lines.contains(&"A=1") && lines.contains(&"B=x y=z") && lines.contains(&"EMPTY="), "{output}");
    assert!(lines.iter().any(|line| line.starts_with("PATH=") && line.contains("/usr/bin")), "{output}");
    // Nothing of the caller's own.
    assert!(!lines.iter().any(|line| line.starts_with("CARGO_MANIFEST") || line.starts_with("LANG=")), "{output}");

    let mut spec = fixture.spec("echo $PATH");
    spec.process.env = vec![cstring("PATH=/mine:/bin")];
    assert_eq!(fixture.run(spec).ok(), "/mine:/bin\n", "a given variable wins over the image's");
}

fn directory(fixture: &Fixture) {
    let mut spec = fixture.spec("/bin/pwd; stat -c %u:%g:%a .");
    spec.process.cwd = "/made/for/this".into();
    assert_eq!(fixture.run(spec).ok(), "/made/for/this\n0:0:755\n");
}

fn streams(fixture: &Fixture) {
    let mut input = tempfile::tempfile().unwrap();
    input.write_all(b"line\n").unwrap();
    std::io::Seek::rewind(&mut input).unwrap();
    let mut spec = fixture.spec("cat; echo error >&2");
    spec.process.stdio[0] = Some(input.into());
    let outcome = fixture.run(spec);
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("line\n", "error\n"));
    // Without input there is an end of file, and output may go nowhere.
    let mut spec = fixture.spec("cat; ls -l /proc/self/fd/0 >&2");
    spec.process.stdio[1] = None;
    assert!(fixture.run(spec).stderr.contains("/dev/null"));
}

fn descriptors(fixture: &Fixture) {
    let file = |text: &str| -> OwnedFd {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        file.into()
    };
    // A descriptor of the caller that would be inherited, also at a high number.
    let leaked = File::open("/etc").unwrap();
    let low = rustix::io::dup(&leaked).unwrap();
    let mut spec = fixture.spec("cat <&3; cat <&4; ls /proc/self/fd | tr '\\n' ' '");
    spec.process.fds = vec![file("three "), file("four ")];
    let output = fixture.run(spec).ok();
    // 5 is the one with which ls reads the directory.
    assert_eq!(output, "three four 0 1 2 3 4 5 ");
    assert!(rustix::io::fcntl_getfd(&low).is_ok());

    // Many, so that the numbers of the engine's own descriptors are among those to be given.
    let mut spec = fixture.spec("for n in 3 17 42; do cat /proc/self/fd/$n; done; ls /proc/self/fd | wc -l");
    spec.process.fds = (3..43).map(|n| file(&format!("{n} "))).collect();
    assert_eq!(fixture.run(spec).ok(), "3 17 42 44\n");
}

fn names(fixture: &Fixture) {
    let output = fixture
        .sh("hostname; cat /etc/hostname; getent hosts kiln-test; getent hosts localhost; \
         echo '10.1.2.3 mine' >> /etc/hosts; getent hosts mine; cat /etc/resolv.conf")
        .ok();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(lines[..2], ["kiln-test", "kiln-test"]);
    assert!(output.contains("127.0.1.1") && output.contains("10.1.2.3"), "{output}");
    assert!(!std::fs::read_to_string("/etc/hosts").unwrap().contains("kiln-test"));
}

fn no_program(fixture: &Fixture) {
    let start = |program: &str| {
        let mut spec = fixture.spec("");
        spec.process.argv = vec![cstring(program)];
        let id = spec.id.clone();
        let error = match fixture.start(spec) {
            Ok(_) => panic!("{program} started"),
            Err(error) => error,
        };
        assert_eq!(leftovers(&id, &[&fixture.disks()]), Vec::<String>::new());
        error
    };
    let missing = start("/no/such/program");
    let text = missing.to_string();
    assert!(text.contains("/no/such/program"), "{text}");
    let directory = start("/usr");
    if let EngineError::Exec { path, source } = &directory {
        assert_eq!((path.to_str(), source.raw_os_error()), (Some("/usr"), Some(13)));
        assert!(matches!(missing, EngineError::Exec { source, .. } if source.raw_os_error() == Some(2)));
        assert!(directory.to_string().contains("not an executable file"), "{directory}");
    } else {
        assert_eq!(fixture.kind, crate::fixture::Kind::Runc, "{directory}");
    }
}

fn refused(fixture: &Fixture) {
    let refuse = |change: &dyn Fn(&mut kiln_engine::SandboxSpec), word: &str| {
        let mut spec = fixture.spec("true");
        change(&mut spec);
        match fixture.start(spec).map(|_| ()) {
            Err(error @ EngineError::Spec(_)) => assert!(error.to_string().contains(word), "{error}"),
            other => panic!("{word}: {other:?}"),
        }
    };
    let volume = |target: &str| kiln_engine::Volume {
        source: "/etc".into(),
        target: target.into(),
        access: kiln_engine::Access::ReadOnly,
    };
    refuse(&|spec| spec.id = "../x".into(), "id");
    refuse(&|spec| spec.id = String::new(), "id");
    refuse(&|spec| spec.hostname = "a b".into(), "host name");
    refuse(&|spec| spec.process.argv.clear(), "absolute");
    refuse(&|spec| spec.process.argv = vec![cstring("sh")], "absolute");
    refuse(&|spec| spec.process.cwd = "relative".into(), "absolute");
    refuse(&|spec| spec.volumes.push(volume("/proc/x")), "kernel");
    refuse(&|spec| spec.volumes.push(volume("/")), "mounted");
    refuse(&|spec| spec.volumes.push(volume("/a/../b")), "mounted");
    refuse(&|spec| spec.root = kiln_engine::RootFs::Layers(Vec::new()), "layer");

    // An id is one sandbox at a time.
    let spec = fixture.spec("sleep 1000");
    let id = spec.id.clone();
    let running = fixture.start(spec).unwrap();
    let mut second = fixture.spec("true");
    second.id = id;
    assert!(matches!(fixture.start(second), Err(EngineError::Busy(_))));
    running.sandbox.kill();
    running.finish(&fixture.disks());

    // Other threads would leave their locks behind in the child.
    let thread = std::thread::spawn(|| std::thread::sleep(std::time::Duration::from_secs(3600)));
    let error = fixture.start(fixture.spec("true")).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("one thread"), "{error}");
    drop(thread);
}

fn terminal(fixture: &Fixture) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let mut spec = fixture.spec("test -t 0 && echo on > /dev/tty; ps -o sid=,tpgid= -p $$ >&2");
    spec.process.stdio = [(); 3].map(|()| None);
    spec.process.stdio[0] = Some(slave.try_clone().unwrap().into());
    let outcome = fixture.run(spec);
    drop(slave);
    // Its own session, in the foreground of the terminal.
    assert_eq!(outcome.stderr.split_whitespace().collect::<Vec<_>>(), ["1", "1"], "{outcome:?}");
    let mut bytes = [0; 64];
    let read = rustix::io::read(&master, &mut bytes).unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes[..read]).trim(), "on");
}

fn process_state(fixture: &Fixture) {
    let script = "grep -E '^(Sig(Blk|Ign)|Cap|NoNewPrivs|Seccomp:|Groups)' /proc/self/status; umask; ulimit -c; \
                  ulimit -Sn; cat /proc/self/oom_score_adj";
    let output = fixture.sh(script).ok();
    for expected in [
        "SigBlk:\t0000000000000000",
        "SigIgn:\t0000000000000000",
        "CapInh:\t0000000000000000",
        "CapPrm:\t00000000a80425fb",
        "CapEff:\t00000000a80425fb",
        "CapBnd:\t00000000a80425fb",
        "CapAmb:\t0000000000000000",
        "NoNewPrivs:\t0",
        "Seccomp:\t2",
        "\n0022\n0\n",
        "\n500\n",
    ] {
        assert!(output.contains(expected), "{expected:?} is not in\n{output}");
    }
}
