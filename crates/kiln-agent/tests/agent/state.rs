//! Reading, setting, saving and evaluating the carried state.

use std::collections::BTreeMap;

use kiln_wire::agent::{CommandExit, FromAgent, ToAgent};

use crate::container::{Container, SOURCE, paths};

fn map<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn get<const N: usize>(c: &mut Container, names: [&str; N]) -> BTreeMap<String, String> {
    let id = c.id();
    match c.request(&ToAgent::Get { id, names: names.map(str::to_owned).to_vec() }) {
        FromAgent::Values { id: answered, values } if answered == id => values,
        other => panic!("{other:?}"),
    }
}

fn expand<const N: usize>(c: &mut Container, texts: [&str; N]) -> FromAgent {
    let id = c.id();
    let (texts, shell) = (texts.map(str::to_owned).to_vec(), c.shell.clone());
    c.request(&ToAgent::Expand { id, texts, shell, run_as: None })
}

#[test]
fn variables_are_read_and_set() {
    let Some(mut c) = Container::start() else { return };
    c.sh("A=1; export B='two\nlines'; C=$(printf '\\377'); cd /tmp");
    let values = get(&mut c, ["A", "B", "C", "D", "PWD", "HOME"]);
    assert_eq!(values, map([("A", "1"), ("B", "two\nlines"), ("C", "\u{fffd}"), ("PWD", "/tmp"), ("HOME", "/root")]));
    let id = c.id();
    let variables = map([("A", "it's"), ("NEW", "$x `y`"), ("odd.name", "z")]);
    assert_eq!(c.request(&ToAgent::Set { id, variables }), FromAgent::Done { id });
    assert_eq!(c.sh("printf '%s|%s' \"$A\" \"$NEW\""), "it's|$x `y`");
    assert_eq!(get(&mut c, ["odd.name"]), map([("odd.name", "z")]));
    // What a command changes counts from then on.
    c.sh("unset NEW; A=2");
    assert_eq!(get(&mut c, ["A", "NEW"]), map([("A", "2")]));
}

#[test]
fn the_state_is_saved_and_restored() {
    let Some(mut c) = Container::start() else { return };
    let save = |c: &mut Container, name: &str, restore: bool| {
        let id = c.id();
        c.request(&ToAgent::SavePoint { id, name: name.into(), restore })
    };
    c.sh("A=before; cd /tmp");
    assert!(matches!(save(&mut c, "pre_build", false), FromAgent::Done { .. }));
    c.sh("A=after; B=1; cd /");
    assert!(matches!(save(&mut c, "pre_build", true), FromAgent::Done { .. }));
    assert_eq!(c.sh("echo $A ${B-unset}; pwd"), "before unset\n/tmp\n");
    assert!(matches!(save(&mut c, "never", true), FromAgent::Failed { .. }));
    for name in ["", "../x", "UP", "a/b"] {
        assert!(matches!(save(&mut c, name, false), FromAgent::Failed { .. }), "{name}");
    }
    // Another agent finds it in a kept file system.
    c.set_up(map([("ADDED", "yes"), ("A", "given")]), true);
    assert_eq!(c.sh("echo $A $ADDED; pwd"), "given yes\n/tmp\n");
    assert!(matches!(save(&mut c, "pre_build", true), FromAgent::Done { .. }));
    assert_eq!(c.sh("echo $A ${ADDED-unset}"), "before unset\n");
}

#[test]
fn texts_are_evaluated_as_between_double_quotes() {
    for shell in ["bash", "dash", "/opt/busybox/sh"] {
        let Some(mut c) = Container::start() else { return };
        if shell.contains("busybox") && !std::path::Path::new("/usr/bin/busybox").exists() {
            eprintln!("skipped for busybox: not installed");
            continue;
        }
        c.shell = shell.into();
        c.sh("NAME=app; DIR='a b'; touch x.txt; f() { :; }; cd /tmp");
        let cases = [
            ("plain **/* 'text' \"x\" ~ ; & | # !", "plain **/* 'text' \"x\" ~ ; & | # !"),
            ("$NAME-$(echo 1.2)", "app-1.2"),
            ("${NAME}/`echo x`", "app/x"),
            ("$DIR/**/*", "a b/**/*"),
            ("$(echo \"hi  there\" 'you')", "hi  there you"),
            ("say \"$NAME\" 'single $NAME'", "say \"app\" 'single app'"),
            ("\\$NAME \\\\ \\x \\", "$NAME \\ \\x \\"),
            ("$(pwd)", "/tmp"),
            ("${UNSET:-default}", "default"),
            ("$UNSET", ""),
            ("$(false)", ""),
            ("$(exit 3)x", "x"),
            ("two\n$NAME\nlines\n", "two\napp\nlines\n"),
            ("$(echo KILN_END_0)", "KILN_END_0"),
            ("$((1 + 2))", "3"),
            ("", ""),
        ];
        let texts = match expand(&mut c, cases.map(|(text, _)| text)) {
            FromAgent::Expanded { texts, .. } => texts,
            other => panic!("{shell}: {other:?}"),
        };
        assert_eq!(texts, paths(cases.map(|(_, expected)| expected)), "{shell}");
        // Nothing of it is carried on.
        expand(&mut c, ["${NEW:=1}$(cd /; pwd)"]);
        assert_eq!(c.sh("echo ${NEW-unset}; pwd"), "unset\n/tmp\n");
    }
}

#[test]
fn what_cannot_be_evaluated_is_told() {
    let Some(mut c) = Container::start() else { return };
    for (text, why) in [
        ("$(", "unexpected EOF"),
        ("${UNSET?is needed}", "is needed"),
        ("$(head -c 100000 /dev/zero | tr '\\0' x)", "prints more than 64 KiB"),
        ("$(kill -KILL $$)", "signal 9"),
    ] {
        match expand(&mut c, ["fine", text]) {
            FromAgent::Failed { message, .. } => {
                assert!(message.contains(why) && message.contains(text), "{text}: {message}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    // Messages beside a result go to the log, under the request's number.
    assert!(matches!(expand(&mut c, ["$(echo oops >&2)x"]), FromAgent::Expanded { .. }));
    assert_eq!(c.late.values().last().map(Vec::as_slice), Some(&b"oops\n"[..]));
    // A process left behind keeps nothing waiting, and an endless one is ended from outside.
    assert!(matches!(expand(&mut c, ["$(sleep 1000 >/dev/null & echo y)"]), FromAgent::Expanded { .. }));
    let (id, shell) = (c.id(), c.shell.clone());
    c.send(&ToAgent::Expand { id, texts: vec!["$(sleep 1000)".into()], shell, run_as: None });
    c.send(&ToAgent::Interrupt { grace_ms: 50 });
    let answer = c.message();
    assert!(matches!(answer, FromAgent::Failed { .. }), "{answer:?}");
    let values = "x".repeat(60_000);
    assert_eq!(c.run(&format!("A={values}; B={values}; cd {SOURCE}")).exit, CommandExit::Code(0));
    let FromAgent::Expanded { texts, .. } = expand(&mut c, ["$A"]) else { panic!() };
    assert_eq!(texts[0].0.len(), 60_000);
}
