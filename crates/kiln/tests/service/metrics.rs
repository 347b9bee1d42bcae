//! CloudWatch's metrics, read and written by unmodified clients in each of their protocols, and what builds leave there.

use crate::{
    clients::{client, command, run, script},
    server::{Server, not_root},
};

#[test]
fn boto3_puts_and_reads_metrics_in_every_protocol_and_sees_those_of_builds() {
    if not_root() {
        return;
    }
    let Some(python) = client("python") else { return };
    let mut server = Server::start();
    let api = server.client();
    api.project("good", &["true"]);
    let mut builds = vec![api.start_build("good"), api.start_build("good")];
    builds.push(api.start_build("good"));
    for build in &builds {
        assert_eq!(api.finished(build)["buildStatus"], "SUCCEEDED");
    }
    run(command(&server, &python.join("bin/python")).arg(script("metrics.py")).args(["good", "3", "0"]));
    server.check(&builds);
}

#[test]
fn the_aws_cli_puts_and_reads_a_metric() {
    let Some(python) = client("python") else { return };
    let mut server = Server::start();
    let aws = |args: &[&str]| run(command(&server, &python.join("bin/aws")).arg("cloudwatch").args(args));
    let put = ["put-metric-data", "--namespace", "cli", "--metric-name", "deploys", "--value", "7", "--unit", "Count"];
    aws(&put);
    aws(&put);
    let listed = aws(&["list-metrics", "--namespace", "cli", "--query", "Metrics[].MetricName", "--output", "text"]);
    assert_eq!(listed.trim(), "deploys");
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let (start, end) = ((now - 3600).to_string(), (now + 3600).to_string());
    let range = ["--start-time", &start, "--end-time", &end, "--period", "7200", "--statistics", "Sum"];
    let read = ["get-metric-statistics", "--namespace", "cli", "--metric-name", "deploys"];
    let query = ["--query", "Datapoints[].Sum", "--output", "text"];
    let sum = aws(&[&read[..], &range[..], &query[..]].concat());
    assert_eq!(sum.trim(), "14.0");
    server.check(&[]);
}

#[test]
fn prometheus_own_parsers_read_the_figures_of_a_server() {
    if not_root() {
        return;
    }
    let Some(python) = client("prometheus") else { return };
    let mut server = Server::start();
    let api = server.client();
    api.project("good", &["true"]);
    api.project("bad", &["false"]);
    let builds: Vec<_> = ["good", "bad", "good"].iter().map(|project| api.start_build(project)).collect();
    for build in &builds {
        api.finished(build);
    }
    run(command(&server, &python.join("bin/python")).arg(script("scrape.py")).args(["2", "1"]));
    server.check(&builds);
}
