//! Commands, their state, their output, and how they end.

use std::collections::BTreeMap;

use kiln_wire::agent::{CommandExit, FromAgent, Run, ToAgent};

use crate::container::{Container, PROTOCOL, SOURCE};

/// The shells that builds use, and how their messages name a line of the script.
const SHELLS: [(&str, &str); 3] = [
    ("bash", "/codebuild/output/tmp/script.sh: line 4:"),
    ("dash", "/codebuild/output/tmp/script.sh: 4:"),
    ("/opt/busybox/sh", "/codebuild/output/tmp/script.sh: line 4:"),
];

fn in_each_shell(test: impl Fn(&mut Container, &str)) {
    for (shell, line) in SHELLS {
        if shell.contains("busybox") && !std::path::Path::new("/usr/bin/busybox").exists() {
            eprintln!("skipped for busybox: not installed");
            continue;
        }
        let Some(mut container) = Container::start() else { return };
        container.shell = shell.into();
        eprintln!("shell: {shell}");
        test(&mut container, line);
    }
}

#[test]
fn says_hello_and_runs_a_command() {
    let Some(mut container) = Container::start() else { return };
    assert_eq!(container.ready, Some(FromAgent::Ready { protocol: PROTOCOL, runtimes: None }));
    assert_eq!(container.sh("echo hello; pwd"), format!("hello\n{SOURCE}\n"));
}

#[test]
fn state_is_carried_as_the_reference_says() {
    in_each_shell(|c, line| {
        // Working directory, also across an item that is only cd.
        c.sh("mkdir -p 'sub dir/x'");
        c.sh("cd 'sub dir'");
        assert_eq!(c.sh("pwd"), format!("{SOURCE}/sub dir\n"));
        c.sh("cd x");
        assert_eq!(c.sh("cd - >/dev/null; pwd"), format!("{SOURCE}/sub dir\n"));
        // Exported and plain variables.
        c.sh("export A=1");
        c.sh("B='two words'");
        assert_eq!(c.sh("echo $A $B; env | grep -c '^[AB]='"), "1 two words\n2\n");
        c.sh("unset A");
        assert_eq!(c.sh("echo ${A-unset}"), "unset\n");
        // Not: functions, aliases, options, traps, umask.
        c.sh("f() { :; }; alias g=:; set -e; set -f; umask 077; trap 'echo trapped' USR1");
        let ran = c.run("f");
        assert_eq!(ran.exit, CommandExit::Code(127));
        assert!(ran.text().starts_with(line), "{}", ran.text());
        assert_eq!(c.run("g").exit, CommandExit::Code(127));
        assert_eq!(c.sh("false; echo on; umask; echo s*"), "on\n0022\nsub dir\n".replace("sub dir", "s*"));
        assert_eq!(c.sh("trap"), "");
        // The last exit status is seen by the next command.
        assert_eq!(c.run("(exit 7)").exit, CommandExit::Code(7));
        assert_eq!(c.sh("echo $CODEBUILD_LAST_EXIT"), "7\n");
        assert_eq!(c.sh("echo $CODEBUILD_LAST_EXIT"), "0\n");
        // A command that exits loses its changes, and keeps its status.
        assert_eq!(c.run("LOST=1; cd /; exit 3").exit, CommandExit::Code(3));
        assert_eq!(c.sh("echo ${LOST-lost}; pwd"), format!("lost\n{SOURCE}/sub dir\n"));
        // Only the last line of a block counts.
        assert_eq!(c.run("false\ntrue").exit, CommandExit::Code(0));
        assert_eq!(c.run("set -e\nfalse\ntrue").exit, CommandExit::Code(1));
        // A syntax error.
        assert_eq!(c.run("echo 'unbalanced").exit, CommandExit::Code(2));
        // A backslash at the end, a comment, nothing at all, a here-document.
        assert_eq!(c.sh("echo a \\"), "a\n");
        assert_eq!(c.sh("# only a comment"), "");
        assert_eq!(c.sh(""), "");
        assert_eq!(c.sh("cat <<END\nx $B\nEND"), "x two words\n");
    });
}

#[test]
fn the_environment_is_what_setup_says_and_nothing_else() {
    in_each_shell(|c, _| {
        let values = [
            ("PLAIN", "value"),
            ("SPACES", "  two  words "),
            ("LINES", "a\nb\n\n"),
            ("QUOTES", "it's \"quoted\" `x` $HOME \\ \\n"),
            ("EMPTY", ""),
            ("UNICODE", "grün"),
            ("a.b-c/d", "foreign"),
        ];
        let variables: BTreeMap<String, String> =
            values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        c.set_up(variables, false);
        // Also after a command has carried them through its own `export -p`.
        for _ in 0..2 {
            for (name, value) in values.iter().filter(|(name, _)| !name.contains('.')) {
                assert_eq!(c.sh(&format!("printf '%s|' \"${name}\"")), format!("{value}|"), "{name}");
            }
        }
        assert_eq!(c.sh("printf '%s\\n' ${HOME}"), "/root\n");
        assert!(c.sh("echo $PATH").ends_with(":/codebuild/user/bin\n"));
        // Nothing of the agent's own environment, and only the three descriptors.
        assert_eq!(c.sh("env | grep -c -E '^(CARGO|RUST)' || true"), "0\n");
        assert_eq!(c.sh("cat /proc/self/fd/0; ls /proc/self/fd | tr '\\n' ' '"), "0 1 2 3 ");
        assert_eq!(
            c.sh("grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -d '\\t'"),
            "SigBlk:0000000000000000\nSigIgn:0000000000000000\n"
        );
        // Values that are not UTF-8, set by a command.
        c.sh("X=$(printf 'a\\377b')");
        assert_eq!(c.run("printf %s \"$X\"").output, b"a\xffb");
        // What is read-only in bash does not come back as an error.
        c.sh("set -a; SHELLOPTS_SEEN=1; readonly FIXED=1");
        assert_eq!(c.sh("FIXED=2; echo $FIXED"), "2\n");
    });
    // A name that the shell cannot set is given to each process; bash passes it on.
    let Some(mut c) = Container::start() else { return };
    c.set_up(BTreeMap::from([("a.b".to_owned(), "foreign".to_owned())]), false);
    c.sh("true");
    assert_eq!(c.sh("env | grep ^a.b"), "a.b=foreign\n");
}

#[test]
fn a_directory_that_vanished_is_told_and_the_source_directory_taken() {
    in_each_shell(|c, _| {
        c.sh("mkdir gone && cd gone && rmdir ../gone");
        let ran = c.run("pwd");
        assert_eq!(ran.exit, CommandExit::Code(0));
        assert!(ran.text().contains("gone") && ran.text().ends_with(&format!("{SOURCE}\n")), "{}", ran.text());
        assert_eq!(c.sh("pwd"), format!("{SOURCE}\n"));
        c.sh("mkdir -p \"$(printf 'new\\nline')\" && cd new*");
        assert_eq!(c.sh("pwd"), format!("{SOURCE}/new\nline\n"));
    });
}

#[test]
fn damaged_state_files_cost_one_commands_state() {
    let Some(mut c) = Container::start() else { return };
    c.sh("KEPT=1; cd /tmp");
    for damage in [
        "echo 'reboot' > $E",
        ": > $E; printf \"export A='\" > $E",
        "rm $E; mkfifo $E",
        "rm $E; ln -s /dev/zero $E",
        "rm $E; mkdir $E; rmdir $E",
        "rm $E; head -c 20000000 /dev/zero | tr '\\0' a > $E",
        "echo relative > /codebuild/output/tmp/dir.txt",
    ] {
        let ran = c.run(&format!("LOST=1; E=/codebuild/output/tmp/env.sh; {damage}; exit 0"));
        assert_eq!(ran.exit, CommandExit::Code(0));
        assert!(ran.text().contains("cannot be used"), "{damage}: {}", ran.text());
        assert_eq!(c.sh("echo $KEPT ${LOST-lost}; pwd"), "1 lost\n/tmp\n", "{damage}");
    }
    // A directory at its place stops commands, with the reason; another command cannot even begin.
    c.run("rm /codebuild/output/tmp/env.sh; mkdir /codebuild/output/tmp/env.sh; exit 0");
    let ran = c.run("true");
    assert_eq!(ran.exit, CommandExit::Code(126));
    assert!(ran.text().contains("state cannot be written"), "{}", ran.text());
}

#[test]
fn version_0_1_starts_afresh_each_time() {
    let Some(mut c) = Container::start() else { return };
    c.set_up(BTreeMap::from([("GIVEN".to_owned(), "yes".to_owned())]), false);
    let mut fresh = |text: &str| {
        let id = c.id();
        c.send(&ToAgent::Run(Run { id, text: text.into(), shell: "sh".into(), run_as: None, fresh: true }));
        c.finish(id)
    };
    assert_eq!(fresh("X=1; cd /; exit 4").exit, CommandExit::Code(4));
    let ran = fresh("echo ${X-unset} $GIVEN; pwd");
    assert_eq!(ran.text(), format!("unset yes\n{SOURCE}\n"));
    let ran = fresh("nonsense");
    assert_eq!((ran.exit, ran.text().contains(": 4: nonsense")), (CommandExit::Code(127), true), "{}", ran.text());
}

#[test]
fn missing_shells_and_users_are_explained() {
    let Some(mut c) = Container::start() else { return };
    c.shell = "fish".into();
    let ran = c.run("true");
    assert_eq!(ran.exit, CommandExit::Code(127));
    assert!(ran.text().contains("no shell 'fish'") && ran.text().contains("/bin/sh"), "{}", ran.text());
    c.shell = "/bin/bash".into();
    let ran = c.run_as("codebuild-user", "true");
    assert_eq!(ran.exit, CommandExit::Code(126));
    assert!(ran.text().contains("no user 'codebuild-user'"), "{}", ran.text());
    assert_eq!(c.sh("echo on"), "on\n");
}

#[test]
fn commands_run_as_a_user() {
    in_each_shell(|c, _| {
        c.sh("umask 077; mkdir -p private; echo secret > private/file; printf '#!/bin/sh\\necho ran\\n' > tool; chmod 700 tool");
        c.sh("chmod 700 /codebuild /codebuild/output .; A=root");
        // It may read and run what is there, writes no files of root, and carries its state on.
        let ran = c.run_as(
            "nobody",
            "id -un; id -G; cat private/file; ./tool; echo $A $HOME; B=nobody; cd /tmp; > /dev/stderr",
        );
        assert_eq!(ran.text(), "nobody\n65534\nsecret\nran\nroot /root\n", "{ran:?}");
        assert_eq!(ran.exit, CommandExit::Code(0));
        assert_eq!(c.sh("id -un; echo $B; pwd"), "root\nnobody\n/tmp\n");
        let ran = c.run_as("nobody", "echo x > /codebuild/output/tmp/script.sh");
        assert_ne!(ran.exit, CommandExit::Code(0), "{ran:?}");
        assert_eq!(c.run_as("1234:5678", "id -u; id -g; id -G").text(), "1234\n5678\n5678\n");
        // State files of one user can be replaced for the next.
        assert_eq!(c.run_as("daemon", "echo $B").text(), "nobody\n");
        assert_eq!(c.sh("echo $B"), "nobody\n");
    });
}

#[test]
fn background_processes_do_not_hold_a_command() {
    let Some(mut c) = Container::start() else { return };
    let id = c.begin("mkfifo /tmp/go; (read x < /tmp/go; echo late) & echo started");
    let ran = c.finish(id);
    assert_eq!(ran.text(), "started\n");
    assert_eq!(ran.holders.len(), 1, "{ran:?}");
    assert!(ran.holders[0].command.contains("script.sh"), "{ran:?}");
    // It goes on beside the next command, and its output keeps its number.
    c.late.clear();
    assert_eq!(c.sh("echo > /tmp/go; echo next"), "next\n");
    c.wait_for_output(id, "late\n");
    // A daemon that let go of the output is nobody's holder.
    let ran = c.run(
        "mkfifo /tmp/a /tmp/b; setsid sh -c '(exec >/dev/null 2>&1; echo > /tmp/a; exec sleep 1000) &'
        nohup sh -c 'echo > /tmp/b; exec sleep 1000' >/dev/null 2>&1 & read x < /tmp/a; read x < /tmp/b",
    );
    assert_eq!(ran.holders, []);
    // Double fork, new session: still found by the pipe that it holds; of another user too.
    let ran = c.run("setsid sh -c 'sleep 1001 & until grep -q sleep /proc/$!/comm; do :; done'");
    assert!(ran.holders.len() == 1 && ran.holders[0].command.contains("sleep 1001"), "{ran:?}");
    let ran = c.run_as("nobody", "sleep 1002 & until grep -q sleep /proc/$!/comm; do :; done");
    assert!(ran.holders.len() == 1 && ran.holders[0].command.contains("sleep 1002"), "{ran:?}");
    // Zombies are reaped, whoever their parents were.
    c.run("for i in 1 2 3 4 5 6 7 8 9; do setsid sh -c 'true & exit'; done");
    c.sh("until [ \"$(grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l)\" = 0 ]; do :; done");
}

#[test]
fn many_background_pipes_are_bounded() {
    let Some(mut c) = Container::start() else { return };
    c.shell = "dash".into();
    let first = c.begin("sleep 1000 &");
    c.finish(first);
    for _ in 0..257 {
        let id = c.begin("sleep 1000 &");
        c.finish(id);
    }
    let text = String::from_utf8_lossy(&c.late.remove(&first).unwrap()).into_owned();
    assert!(text.contains("too many background processes"), "{text}");
}

#[test]
fn signals_are_told() {
    in_each_shell(|c, _| {
        assert_eq!(c.run("kill -KILL $$").exit, CommandExit::Signal(9));
        assert_eq!(c.run("kill -TERM $$").exit, CommandExit::Signal(15));
        assert_eq!(c.run("sh -c 'kill -KILL $$'").exit, CommandExit::Code(137));
        // The agent is process 1 and cannot be ended, stopped, read or traced from inside.
        assert_eq!(c.run("kill -KILL 1; kill -TERM 1; kill -STOP 1; echo alive").text(), "alive\n");
        for forbidden in ["readlink /proc/1/fd/3", "cat /proc/1/mem", "cat /proc/1/environ", "cat /proc/1/maps"] {
            let ran = c.run_as("nobody", forbidden);
            assert_ne!(ran.exit, CommandExit::Code(0), "{forbidden}: {ran:?}");
            // Nor by root without the capabilities that would allow it (which builds lack).
            let as_root = "/usr/bin/setpriv --bounding-set -all --inh-caps -all";
            let ran = c.run(&format!("{as_root} {forbidden}"));
            assert_ne!(ran.exit, CommandExit::Code(0), "{forbidden}: {ran:?}");
            let ran = c.run(&format!("{as_root} readlink /proc/self/fd/1"));
            assert_eq!(ran.exit, CommandExit::Code(0), "{}", ran.text());
        }
    });
}

#[test]
fn output_arrives_as_it_is() {
    in_each_shell(|c, _| {
        let cases: [(&str, &[u8]); 5] = [
            ("printf 'no newline'", b"no newline"),
            ("printf '\\377\\376\\0x\\r\\n'", b"\xff\xfe\0x\r\n"),
            ("echo a; echo b >&2; echo c", b"a\nb\nc\n"),
            ("printf '\\033[31mred'", b"\x1b[31mred"),
            ("exec >/dev/null; echo x", b""),
        ];
        for (text, output) in cases {
            assert_eq!(c.run(text).output, output, "{text}");
        }
    });
    let Some(mut c) = Container::start() else { return };
    let ran = c.run("head -c 1000000 /dev/zero | tr '\\0' x; echo; head -c 1000000 /dev/zero | tr '\\0' y");
    assert_eq!(ran.output.len(), 2_000_001);
    assert!(ran.output[..1_000_000].iter().all(|b| *b == b'x') && ran.output[1_000_001..].iter().all(|b| *b == b'y'));
}

#[test]
fn a_flood_arrives_whole_in_order_and_in_flat_memory() {
    let Some(mut c) = Container::start() else { return };
    c.run("seq 1 1000");
    let before = c.memory();
    let ran = c.run("seq 1 2000000");
    let mut expected = Vec::with_capacity(ran.output.len());
    for n in 1..=2_000_000u32 {
        expected.extend_from_slice(n.to_string().as_bytes());
        expected.push(b'\n');
    }
    assert!(ran.output == expected, "{} bytes of {}", ran.output.len(), expected.len());
    let after = c.memory();
    assert!(after.1 < before.1 + 4096, "{before:?} {after:?}");
    // A runner that does not read slows the command down; nothing is lost, and requests are still heard.
    let id = c.begin("seq 1 3000000; seq 1 10");
    c.send(&ToAgent::Get { id: 9999, names: vec!["x".repeat(3_000_000)] });
    let ran = c.finish(id);
    assert!(ran.text().ends_with("3000000\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n"));
    assert_eq!(c.message(), FromAgent::Values { id: 9999, values: BTreeMap::new() });
    let last = c.memory();
    assert!(last.1 < before.1 + 24_576, "{before:?} {last:?}");
}

/// CPU time of the agent in milliseconds.
fn agent_cpu(c: &mut Container) -> u32 {
    c.sh("read -r line < /proc/1/stat; set -- ${line##*) }; echo $((${12} + ${13}))0").trim().parse().unwrap()
}

/// `KILN_TEST_AGENT=… cargo test -p kiln-agent --release -- --ignored --nocapture throughput`
#[test]
#[ignore = "measures, and so wants the machine for itself and an optimised agent"]
fn throughput_into_a_reader_that_discards() {
    let Some(mut c) = Container::start() else { return };
    for text in ["seq 1 20000000", "i=0; while [ $i -lt 1000000 ]; do echo $i; i=$((i+1)); done"] {
        let cpu = agent_cpu(&mut c);
        let started = std::time::Instant::now();
        let id = c.begin(text);
        let (mut bytes, mut lines, mut frames) = (0, 0, 0);
        loop {
            let (kind, payload) = c.frame().unwrap();
            if kind == kiln_wire::agent::kind::MESSAGE {
                break;
            }
            frames += 1;
            bytes += payload.len() - 4;
            lines += memchr::memchr_iter(b'\n', &payload[4..]).count();
        }
        let seconds = started.elapsed().as_secs_f64();
        let cpu = agent_cpu(&mut c) - cpu;
        eprintln!(
            "{text}: {:.1} M lines/s, {:.0} MB/s, agent {cpu} ms CPU, {frames} frames, {lines} lines (command {id})",
            lines as f64 / seconds / 1e6,
            bytes as f64 / seconds / 1e6,
        );
    }
    eprintln!("agent memory now and at most, KiB: {:?}", c.memory());
}

#[test]
fn cpu_time_is_counted_with_children() {
    let Some(mut c) = Container::start() else { return };
    let busy = c.run("sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'");
    assert!(busy.cpu_ms >= 20, "{} ms", busy.cpu_ms);
    assert!(c.run("true").cpu_ms < busy.cpu_ms);
}

#[test]
fn interrupt_ends_everything_but_the_agent() {
    let Some(mut c) = Container::start() else { return };
    // Processes that ignore TERM, in sessions of their own, and a fork storm.
    for text in [
        "echo up; trap '' TERM; while :; do sleep 0.01; done",
        "setsid sh -c \"trap '' TERM; sleep 1000\" & echo up; sleep 1000",
        "f() { f & f & sleep 1000; }; (ulimit -u 400; f) 2>/dev/null & echo up; wait; sleep 1000",
        "echo up; kill -STOP $$",
    ] {
        let id = c.begin(text);
        c.wait_for_output(id, "up");
        c.send(&ToAgent::Interrupt { grace_ms: 50 });
        let ran = c.finish(id);
        assert!(matches!(ran.exit, CommandExit::Signal(9 | 15)), "{text}: {ran:?}");
        assert_eq!(ran.holders, []);
        assert_eq!(c.sh("set -- /proc/[0-9]*; echo $#"), "2\n", "{text}");
    }
    // A command that ends at TERM within the grace keeps its status.
    let id = c.begin("trap 'echo cleaned up; exit 5' TERM; echo up; while :; do sleep 0.01; done");
    c.wait_for_output(id, "up");
    c.send(&ToAgent::Interrupt { grace_ms: 60_000 });
    let ran = c.finish(id);
    assert_eq!(ran.exit, CommandExit::Code(5));
    assert!(ran.text().ends_with("cleaned up\n"));
    // One that was asked for just before does not run at all.
    let run = c.command("echo must not run");
    c.send_together(&[&ToAgent::Run(run.clone()), &ToAgent::Interrupt { grace_ms: 60_000 }]);
    let ran = c.finish(run.id);
    assert!(matches!(ran.exit, CommandExit::Signal(15)), "{ran:?}");
    // Without anything to end it does nothing.
    c.send(&ToAgent::Interrupt { grace_ms: 60_000 });
    assert_eq!(c.sh("echo next"), "next\n");
}

#[test]
fn shutdown_ends_the_agent() {
    let Some(mut c) = Container::start() else { return };
    c.run("setsid sh -c \"trap '' TERM; sleep 1000\" & (trap 'echo bye; exit' TERM; echo ready > /tmp/ready; while :; do sleep 0.01; done) & until [ -s /tmp/ready ]; do :; done");
    c.late.clear();
    c.send(&ToAgent::Shutdown { grace_ms: 300 });
    let mut output = Vec::new();
    while let Some((_, payload)) = c.frame() {
        output.extend_from_slice(&payload[4..]);
    }
    assert!(output.ends_with(b"bye\n"), "{output:?}");
    assert!(c.wait().success());
}

#[test]
fn without_its_runner_the_container_ends() {
    let Some(mut c) = Container::start() else { return };
    c.begin("trap '' TERM; sleep 1000");
    c.control.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(c.wait().code(), Some(1));
}

#[test]
fn garbage_ends_the_agent() {
    use std::io::Write;
    let garbage: [&[u8]; 5] = [
        &[0, 0, 0, 0],
        &[0xff; 64],
        b"\x05\x00\x00\x00\x01null",
        b"\x03\x00\x00\x00\x02xx",
        b"\x13\x00\x00\x00\x01{\"type\":\"nonsense\"}",
    ];
    for bytes in garbage {
        let Some(mut c) = Container::start() else { return };
        c.control.write_all(bytes).unwrap();
        assert_eq!(c.wait().code(), Some(1), "{bytes:?}");
    }
    // On the data socket too, once it is read.
    let Some(mut c) = Container::start() else { return };
    c.data.write_all(&[0xff; 64]).unwrap();
    c.send(&ToAgent::Receive { id: 1 });
    assert_eq!(c.wait().code(), Some(1));
    // A request before the Setup is answered, not more.
    let Some(mut c) = Container::bare() else { return };
    assert!(matches!(c.request(&ToAgent::Set { id: 1, variables: BTreeMap::new() }), FromAgent::Failed { .. }));
    assert_eq!(c.run("true").exit, CommandExit::Code(126));
}
