//! The index of a build's commands: where in the log each one's output is, how it ended, how long it took.

use kiln_check::Accepted;
use serde_json::{Value, json};

use crate::{
    client::{Client, id, project},
    server::{Server, not_root, rounds, wait_for},
};

fn commands(client: &Client, build: &Accepted) -> Vec<Value> {
    let mut described = client.kiln("DescribeBuild", &json!({ "id": id(build), "maxSamples": 0 })).unwrap();
    serde_json::from_value(described["commands"].take()).unwrap()
}

/// What the log has where a command's output is said to be.
fn output<'a>(log: &'a [String], command: &Value) -> Option<&'a [String]> {
    let line = |name: &str| usize::try_from(command[name].as_u64()?).ok();
    let (first, last) = (line("firstLine")?, line("lastLine")?);
    Some(&log[first - 1..last])
}

/// Text, output and end of each command, and whether it stands in a `finally` block.
fn shown(log: &[String], commands: &[Value]) -> Vec<(String, Option<String>, Value, bool)> {
    commands
        .iter()
        .map(|command| {
            let text = command["text"].as_str().unwrap().to_owned();
            let output = output(log, command).map(|lines| lines.join("|"));
            (text, output, command["exitCode"].clone(), command["finally"] == true)
        })
        .collect()
}

/// A buildspec with these phases, each with its commands and those of its `finally` block.
fn phases(of: &[(&str, &[&str], &[&str])]) -> String {
    let list =
        |commands: &[&str]| commands.iter().map(|command| format!("      - {}\n", json!(command))).collect::<String>();
    let phases = of.iter().map(|(name, commands, last)| {
        let last = if last.is_empty() { String::new() } else { format!("    finally:\n{}", list(last)) };
        format!("  {name}:\n    commands:\n{}{last}", list(commands))
    });
    format!("version: 0.2\nphases:\n{}", phases.collect::<String>())
}

#[test]
fn each_commands_output_is_where_it_is_said_to_be() {
    if not_root() {
        return;
    }
    let mut server = Server::with(&[("KILN_NETWORK_MODE", "none")]);
    let client = server.client();
    let spec = phases(&[
        ("install", &["printf 'no end'", "true", "echo a; echo b >&2"], &["printf 'x\\n\\ny'"]),
        (
            "build",
            &["seq 3", "printf 'part'; sleep 0.2; printf 'ed\\nlast'; exit 3", "echo never"],
            &["echo cleaned", "exit 7"],
        ),
        ("post_build", &["echo after"], &[]),
    ]);
    client.call("CreateProject", &project("index", &spec)).unwrap();
    let build = client.start_build("index");
    let ended = client.finished(&build);
    assert_eq!(ended["buildStatus"], "FAILED", "{ended}");
    let (log, commands) = (client.log(&build), commands(&client, &build));
    let expected = [
        ("printf 'no end'", Some("no end"), json!(0), false),
        ("true", None, json!(0), false),
        ("echo a; echo b >&2", Some("a|b"), json!(0), false),
        ("printf 'x\\n\\ny'", Some("x||y"), json!(0), true),
        ("seq 3", Some("1|2|3"), json!(0), false),
        ("printf 'part'; sleep 0.2; printf 'ed\\nlast'; exit 3", Some("parted|last"), json!(3), false),
        ("echo cleaned", Some("cleaned"), json!(0), true),
        ("exit 7", None, json!(7), true),
        ("echo after", Some("after"), json!(0), false),
    ];
    let expected = expected.map(|(text, output, exit, last)| (text.to_owned(), output.map(str::to_owned), exit, last));
    assert_eq!(shown(&log, &commands), expected, "{log:#?}");
    let slept = commands[5]["durationInMilliseconds"].as_u64().unwrap();
    assert!((200..60_000).contains(&slept), "{slept}");
    assert!(commands.iter().all(|command| command["durationInMilliseconds"].is_u64()), "{commands:#?}");
    server.check(&[build]);
}

#[test]
fn a_restarted_server_knows_the_commands_of_a_build_that_runs() {
    if not_root() {
        return;
    }
    let mut server = Server::with(&[("KILN_NETWORK_MODE", "none")]);
    let client = server.client();
    let spec = phases(&[("build", &["seq 2000", "printf 'no end'; sleep 600"], &["echo cleaned"])]);
    client.call("CreateProject", &project("runs", &spec)).unwrap();
    let build = client.start_build("runs");
    let running = || {
        wait_for("the second command's output", || {
            let commands = commands(&client, &build);
            (commands.get(1)?["firstLine"].is_u64()).then_some(commands)
        })
    };
    let before = running();
    assert_eq!((&before[0]["exitCode"], &before[1]["exitCode"]), (&json!(0), &Value::Null), "{before:#?}");
    assert!(before[1]["durationInMilliseconds"].is_null(), "it runs");
    assert_eq!(before[0]["lastLine"].as_u64().unwrap() - before[0]["firstLine"].as_u64().unwrap(), 1999);
    for killed in [true, false] {
        if killed {
            assert!(server.kill());
        } else {
            server.stop();
        }
        server.run();
        assert_eq!(running(), before);
    }
    client.call("StopBuild", &json!({ "id": id(&build) })).unwrap();
    client.finished(&build);
    let (log, commands) = (client.log(&build), commands(&client, &build));
    assert_eq!(commands[0], before[0]);
    let stopped = &commands[1];
    assert_eq!(output(&log, stopped).unwrap(), ["no end"], "{log:#?}");
    assert!(stopped["exitCode"].is_null() && stopped["durationInMilliseconds"].is_u64(), "{stopped}");
    server.check(&[build]);
}

#[test]
fn many_commands_are_each_in_the_index() {
    if not_root() {
        return;
    }
    let count = rounds(200, 2000);
    let mut server = Server::with(&[("KILN_NETWORK_MODE", "none")]);
    let client = server.client();
    let texts: Vec<String> = (0..count).map(|n| format!("echo {n}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    client.call("CreateProject", &project("many", &phases(&[("build", &texts, &[])]))).unwrap();
    let build = client.start_build("many");
    let ended = client.finished(&build);
    assert_eq!(ended["buildStatus"], "SUCCEEDED", "{ended}");
    let (log, commands) = (client.log(&build), commands(&client, &build));
    assert_eq!(commands.len(), count);
    for (n, command) in commands.iter().enumerate() {
        assert_eq!(output(&log, command), Some([n.to_string()].as_slice()), "{command}");
        assert_eq!(command["exitCode"], 0, "{command}");
    }
    server.check(&[build]);
}
