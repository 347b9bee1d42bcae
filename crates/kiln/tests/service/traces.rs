//! Traces of builds, as a receiver gets them that reads OpenTelemetry's own schema.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    client::{buildspec, project},
    clients::{client, script},
    server::{Server, not_root, wait_for},
};

/// A receiver; it says a line of JSON for each request.
struct Receiver {
    child: Child,
    said: BufReader<ChildStdout>,
    port: u16,
}

impl Receiver {
    /// At a port, or at any that is free; refuses the first requests.
    fn start(python: &std::path::Path, port: u16, refused: u32) -> Self {
        let mut command = Command::new(python.join("bin/python"));
        command.arg(script("collector.py")).args([port.to_string(), refused.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        let mut receiver = Self { child, said, port };
        receiver.port = u16::try_from(receiver.next()["port"].as_u64().unwrap()).unwrap();
        receiver
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the receiver said '{line}'"))
    }

    /// Ends it; what it had said that nobody has read.
    fn end(mut self) -> String {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
        let mut rest = String::new();
        self.said.read_to_string(&mut rest).unwrap();
        rest
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn span<'a>(spans: &'a [Value], name: &str) -> &'a Value {
    spans.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("no {name} in {spans:?}"))
}

#[test]
fn a_collector_gets_each_build_as_one_trace_once_though_it_was_away() {
    if not_root() {
        return;
    }
    let Some(python) = client("opentelemetry") else { return };
    let receiver = Receiver::start(&python, 0, 0);
    let port = receiver.port;
    receiver.end();
    // Nobody is there yet.
    let endpoint = format!("http://127.0.0.1:{port}");
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_EXPORTER_OTLP_HEADERS", "x-token=of%20the%20test")];
    let mut server = Server::with(&variables);
    server.secret("of the test");
    let api = server.client();
    let commands = ["echo command $TRACEPARENT", "sh -c 'exit 3'"];
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    api.call("CreateProject", &project("traced", &buildspec(&commands))).unwrap();
    let variable = json!([{ "name": "TRACEPARENT", "value": parent }]);
    let started = api.call("StartBuild", &json!({ "projectName": "traced", "environmentVariablesOverride": variable }));
    let mut builds = vec![crate::client::accepted(&started.unwrap()["build"])];
    assert_eq!(api.finished(&builds[0])["buildStatus"], "FAILED");
    let untouched = json!([{ "name": "TRACEPARENT", "value": "mine" }]);
    let started =
        api.call("StartBuild", &json!({ "projectName": "traced", "environmentVariablesOverride": untouched }));
    builds.push(crate::client::accepted(&started.unwrap()["build"]));
    api.finished(&builds[1]);
    let logs: Vec<String> = builds.iter().map(|build| api.log(build).join("\n")).collect();
    assert!(logs[1].contains("\ncommand mine"), "{}", logs[1]);
    let told = wait_for("a word about the collector", || Some(server.log()).filter(|log| log.contains("traces wait")));
    assert_eq!(told.matches("traces wait").count(), 1, "{told}");
    // What waits is sent by the next server too.
    server.kill();
    let mut receiver = Receiver::start(&python, port, 1);
    server.run();
    assert_eq!(receiver.next()["refused"], 503);
    let (one, other) = (receiver.next(), receiver.next());
    wait_for("nothing to be left", || {
        std::fs::read_dir(server.data().join("traces")).unwrap().next().is_none().then_some(())
    });
    assert_eq!(receiver.end(), "");

    let id = crate::client::id(&builds[0]);
    let [first, second] =
        if one["spans"][0]["attributes"]["cicd.pipeline.run.id"] == id.as_str() { [one, other] } else { [other, one] };
    assert_eq!((&first["headers"]["x-token"], &first["path"]), (&json!("of the test"), &json!("/v1/traces")));
    assert_eq!(first["resource"]["service.name"], "kiln");
    let spans = first["spans"].as_array().unwrap();
    let root = span(spans, "BUILD traced");
    assert_eq!((&root["parent"], &root["kind"], &root["status"]), (&json!("00f067aa0ba902b7"), &json!(2), &json!(2)));
    assert_eq!(root["attributes"]["cicd.pipeline.result"], "failure");
    assert!(spans.iter().all(|span| span["trace"] == "4bf92f3577b34da6a3ce929d0e0e4736"), "{spans:?}");
    let phase = span(spans, "BUILD");
    assert_eq!(
        (&phase["parent"], &phase["attributes"]["error.type"]),
        (&root["id"], &json!("COMMAND_EXECUTION_ERROR"))
    );
    let (said, failed) = (span(spans, commands[0]), span(spans, commands[1]));
    assert_eq!(
        (&said["parent"], &said["attributes"]["process.exit.code"], &said["status"]),
        (&phase["id"], &json!(0), &json!(0))
    );
    assert_eq!((&failed["attributes"]["process.exit.code"], &failed["status"]), (&json!(3), &json!(2)));
    let of_command = format!("\ncommand 00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", said["id"].as_str().unwrap());
    assert!(logs[0].contains(&of_command), "{of_command} is not in {}", logs[0]);
    let within = |inner: &Value, outer: &Value| {
        let time = |span: &Value, name: &str| span[name].as_u64().unwrap();
        time(outer, "start") <= time(inner, "start") && time(inner, "end") <= time(outer, "end") + 1_000_000
    };
    assert!(within(phase, root) && within(said, phase) && within(failed, phase), "{spans:?}");
    let ids: std::collections::BTreeSet<&str> = spans.iter().map(|span| span["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), spans.len());
    let own = second["spans"].as_array().unwrap();
    assert_eq!(span(own, "BUILD traced")["parent"], "");
    assert_ne!(own[0]["trace"], spans[0]["trace"]);
    server.check(&builds);
}
