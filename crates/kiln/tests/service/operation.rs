//! What those who operate the service rely on: readiness, an end in good order, limits of calls, a line for each request.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::Stdio,
};

use serde_json::{Value, json};

use crate::{
    clients::{client, command, run, script},
    server::{Server, wait_for},
};

/// Status and body of a page.
fn page(server: &Server, target: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(server.address()).unwrap();
    write!(socket, "GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[test]
fn a_server_says_that_builds_can_be_sent_to_it() {
    let mut server = Server::start();
    let (status, body) = page(&server, "/-/ready");
    let checks = json!({ "database": "ok", "scheduler": "ok", "runners": "ok", "disk": "ok" });
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), json!({ "status": "ready", "checks": checks }));
    assert_eq!(status, 200);
    server.check(&[]);
}

#[test]
fn a_server_that_ends_answers_every_call_rightly_or_with_an_error_that_is_tried_again() {
    let Some(python) = client("python") else { return };
    let mut server = Server::start();
    let mut calling = command(&server, &python.join("bin/python"));
    let mut calling = calling.arg(script("drain.py")).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(calling.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "calling\n");
    server.stop();
    let status = calling.wait().unwrap();
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert!(status.success(), "{rest}");
    server.run();
    server.check(&[]);
}

#[test]
fn boto3_finishes_a_burst_above_the_limits() {
    let Some(python) = client("python") else { return };
    let limits = [("KILN_LIMITS_READS_PER_SECOND", "5"), ("KILN_LIMITS_CHANGES_PER_SECOND", "5")];
    let mut server = Server::with(&limits);
    run(command(&server, &python.join("bin/python")).arg(script("burst.py")).arg("60"));
    let (_, figures) = page(&server, "/-/metrics");
    let throttled = |kind: &str| {
        let name = format!("kiln_api_throttled_total{{kind=\"{kind}\"}} ");
        figures.lines().find_map(|line| line.strip_prefix(&name)?.parse::<u64>().ok()).unwrap()
    };
    assert!(throttled("read") + throttled("change") > 0, "{figures}");
    server.check(&[]);
}

#[test]
fn each_request_has_a_line_with_the_id_that_its_client_knows_and_without_secrets() {
    let mut server = Server::with(&[("KILN_LOG_REQUESTS", "true"), ("KILN_LOG_FORMAT", "json")]);
    let api = server.client();
    api.call("ListProjects", &json!({})).unwrap();
    api.refused("BatchGetBuilds", &json!({}));
    let signature = "0123456789abcdef".repeat(4);
    let link = format!(
        "/bucket/key?versionId=7&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDX%2F20261126%2Fus-east-1%2Fs3%2F\
         aws4_request&X-Amz-Date=20261126T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature={signature}"
    );
    let (_, refused) = page(&server, &link);
    let request_id = refused.split_once("<RequestId>").unwrap().1.split('<').next().unwrap();
    let lines = wait_for("the lines", || {
        let log = server.log();
        let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let lines: Vec<Value> = lines.into_iter().filter(|line| line["target"] == "kiln_api::requests").collect();
        lines.iter().any(|line| line["fields"]["request_id"] == request_id).then_some(lines)
    });
    let find = |operation: &str| {
        let found = lines.iter().find(|line| line["fields"]["operation"] == operation);
        &found.unwrap_or_else(|| panic!("no {operation} in {lines:?}"))["fields"]
    };
    let listed = find("ListProjects");
    assert_eq!(
        (&listed["service"], &listed["status"], &listed["method"]),
        (&json!("codebuild"), &json!(200), &json!("POST"))
    );
    assert!(listed["access_key_id"].as_str().unwrap().starts_with("AKIA"), "{listed}");
    assert!(listed["duration_ms"].as_f64().unwrap() > 0.0 && listed["sent_bytes"].as_u64().unwrap() > 10, "{listed}");
    assert_eq!(listed["received_bytes"], 2);
    let wrong = find("BatchGetBuilds");
    assert_eq!((&wrong["status"], &wrong["code"]), (&json!(400), &json!("InvalidInputException")));
    let linked = lines.iter().find(|line| line["fields"]["request_id"] == request_id).unwrap();
    let path = linked["fields"]["path"].as_str().unwrap();
    assert!(path.starts_with("/bucket/key?versionId=7&") && path.contains("X-Amz-Signature=…"), "{path}");
    assert!(linked["fields"]["code"].is_string(), "{linked}");
    assert!(!server.log().contains(&signature));
    server.check(&[]);
}
