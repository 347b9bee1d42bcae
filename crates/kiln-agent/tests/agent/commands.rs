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
