//! `/-/metrics`: what Prometheus and others of its kind read, in its text format 0.0.4 or as OpenMetrics 1.0.
//!
//! No name of a project, a user or a bucket is in it, and every label has a bounded number of values.

use std::{fmt::Write as _, net::IpAddr};

use http::{HeaderMap, header};
use kiln_model::figures::{BuildFigures, Distribution};

use crate::{
    calls::Counted,
    config::{MachineFigures, Scraping, State},
    connection::Peer,
};

/// Whether somebody may read the figures: with the token, or, where there is none, from this machine. Whoever comes by way of
/// a proxy is not from this machine, and a build never is.
pub(super) fn is_let_in(peer: &Peer, headers: &HeaderMap, scraping: &Scraping) -> bool {
    match scraping {
        Scraping::Anybody => true,
        Scraping::Token(token) => {
            let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
            given.and_then(|value| value.strip_prefix("Bearer ")).is_some_and(|given| token.is(given))
        }
        Scraping::ThisMachine => {
            let is_forwarded = ["x-forwarded-for", "forwarded", "via"].iter().any(|name| headers.contains_key(*name));
            let address = peer.address.map(|address| address.ip().to_canonical());
            !peer.is_build && !is_forwarded && address.is_some_and(|address: IpAddr| address.is_loopback())
        }
    }
}

/// Whether the reader wants OpenMetrics.
pub(super) fn is_open(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("application/openmetrics-text"))
}

/// The content type of an answer.
pub(super) fn content_type(is_open: bool) -> &'static str {
    if is_open {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4; charset=utf-8"
    }
}

struct Page {
    text: String,
    is_open: bool,
}

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // OpenMetrics names the family of a counter without the suffix of its samples.
        let family = if self.is_open { name.strip_suffix("_total").unwrap_or(name) } else { name };
        self.text.push_str(&format!("# HELP {family} {help}\n# TYPE {family} {kind}\n"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.text.push_str(name);
        for (at, (label, value)) in labels.iter().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let begin = if at == 0 { '{' } else { ',' };
            // Writing to a text cannot fail.
            write!(self.text, "{begin}{label}=\"{value}\"").ok();
        }
        let end = if labels.is_empty() { "" } else { "}" };
        writeln!(self.text, "{end} {value}").ok();
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }

    fn counter(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, "counter", help);
        self.sample(name, &[], value);
    }

    fn distribution(&mut self, name: &str, labels: &[(&str, &str)], of: &Distribution) {
        let bucket = format!("{name}_bucket");
        for (bound, count) in &of.up_to {
            // OpenMetrics wants whole bounds with a decimal.
            let bound = format!("{bound:?}");
            self.sample(&bucket, &[labels, &[("le", bound.as_str())]].concat(), *count as f64);
        }
        self.sample(&bucket, &[labels, &[("le", "+Inf")]].concat(), of.count as f64);
        self.sample(&format!("{name}_sum"), labels, of.sum);
        self.sample(&format!("{name}_count"), labels, of.count as f64);
    }
}

/// The page.
pub(super) fn text(
    is_open: bool,
    state: State,
    builds: &BuildFigures,
    calls: &Counted,
    machine: Option<&MachineFigures>,
) -> String {
    let mut page = Page { text: String::new(), is_open };
    page.family("kiln_build_info", "gauge", "Version of the server; always 1.");
    page.sample("kiln_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    page.gauge(
        "kiln_ready",
        "Whether the service works: 0 while it starts or stops.",
        f64::from(u8::from(state == State::Ready)),
    );

    page.gauge("kiln_builds_queued", "Builds that wait for their turn.", builds.queued as f64);
    page.gauge("kiln_builds_running", "Builds that run.", builds.running as f64);
    page.gauge("kiln_builds_running_limit", "Builds that may run at the same time.", builds.most_running as f64);
    let help = "Memory that is promised to running builds.";
    page.gauge("kiln_builds_memory_promised_bytes", help, builds.promised_bytes as f64);
    let help = "Memory that may be promised to builds together.";
    page.gauge("kiln_builds_memory_limit_bytes", help, builds.memory_bytes as f64);
    page.family("kiln_builds_ended_total", "counter", "Builds that ended since the server started, by how.");
    for (status, count) in &builds.ended {
        page.sample("kiln_builds_ended_total", &[("status", status.as_str())], *count as f64);
    }
    page.family("kiln_build_queue_seconds", "histogram", "How long builds that ended had waited for their turn.");
    page.distribution("kiln_build_queue_seconds", &[], &builds.waited);
    page.family(
        "kiln_build_duration_seconds",
        "histogram",
        "How long builds that ended took from their acceptance on.",
    );
    page.distribution("kiln_build_duration_seconds", &[], &builds.took);

    page.family("kiln_api_requests_total", "counter", "Calls of the API, by service, operation and code of the error.");
    for ((service, operation, code), count) in &calls.counts {
        let labels = [("service", service.as_str()), ("operation", operation), ("code", code)];
        page.sample("kiln_api_requests_total", &labels, *count as f64);
    }
    page.family("kiln_api_request_seconds", "histogram", "Time from a call's head to that of its answer.");
    for ((service, operation), times) in &calls.times {
        page.distribution("kiln_api_request_seconds", &[("service", service), ("operation", operation)], times);
    }
    let help = "Calls that were refused because their caller makes too many, by kind.";
    page.family("kiln_api_throttled_total", "counter", help);
    for (kind, count) in &calls.throttled {
        page.sample("kiln_api_throttled_total", &[("kind", kind)], *count as f64);
    }
    page.counter(
        "kiln_api_received_bytes_total",
        "Bytes of bodies that were announced to the server.",
        calls.received as f64,
    );
    page.counter("kiln_api_sent_bytes_total", "Bytes of bodies that the server announced.", calls.sent as f64);

    if let Some(machine) = machine {
        of_machine(&mut page, machine);
    }
    if is_open {
        page.text.push_str("# EOF\n");
    }
    page.text
}

fn of_machine(page: &mut Page, machine: &MachineFigures) {
    page.counter("process_cpu_seconds_total", "Processor time of the server itself.", machine.cpu_seconds);
    for (name, help, value) in [
        ("process_resident_memory_bytes", "Memory that the server itself has in use.", machine.resident_bytes),
        ("process_virtual_memory_bytes", "Address space of the server itself.", machine.virtual_bytes),
        ("process_open_fds", "Files that the server itself has open.", machine.open_files),
        ("process_max_fds", "Files that it may have open.", machine.most_files),
        ("process_start_time_seconds", "When it started, seconds since 1970.", machine.started),
        ("kiln_database_bytes", "Size of the database with its log.", machine.database_bytes),
        ("kiln_disk_size_bytes", "Size of the file system that has the data directory.", machine.disk_bytes),
        ("kiln_disk_free_bytes", "What is free there.", machine.disk_free_bytes),
    ] {
        page.gauge(name, help, value);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use kiln_model::{BuildStatus, figures::Histogram};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    fn peer(address: &str, is_build: bool) -> Peer {
        Peer { address: Some(address.parse().unwrap()), local: None, is_tls: false, is_build }
    }

    #[test]
    fn only_this_machine_or_the_token_is_let_in() {
        let home = peer("127.0.0.1:5", false);
        let none = headers(&[]);
        let here = |peer: &Peer, headers: &HeaderMap| is_let_in(peer, headers, &Scraping::ThisMachine);
        assert!(
            here(&home, &none)
                && here(&peer("[::1]:5", false), &none)
                && here(&peer("[::ffff:127.0.0.1]:5", false), &none)
        );
        assert!(!here(&peer("192.0.2.1:5", false), &none), "another machine");
        assert!(!here(&peer("127.0.0.1:5", true), &none), "a build");
        assert!(!here(&Peer::on_this_machine(true), &none), "a build");
        for header in ["x-forwarded-for", "forwarded", "via"] {
            assert!(!here(&home, &headers(&[(header, "192.0.2.1")])), "by way of a proxy");
        }
        let token = Scraping::Token("s3cret".into());
        let with = |value| is_let_in(&peer("192.0.2.1:5", false), &headers(&[("authorization", value)]), &token);
        assert!(with("Bearer s3cret"));
        for wrong in ["Bearer s3cre", "Bearer s3cret ", "Bearer ", "s3cret", "Basic s3cret", ""] {
            assert!(!with(wrong), "{wrong:?}");
        }
        assert!(!is_let_in(&home, &none, &token), "this machine neither");
        assert!(is_let_in(&peer("192.0.2.1:5", false), &none, &Scraping::Anybody));
        assert!(!format!("{token:?}").contains("s3cret"));
    }

    #[test]
    fn the_page_is_in_the_format_that_is_asked_for() {
        let histogram = Histogram::new(&[0.5, 1.0]);
        histogram.observe(0.75);
        let builds = BuildFigures {
            queued: 2,
            ended: vec![(BuildStatus::Succeeded, 1)],
            took: histogram.read(),
            ..BuildFigures::default()
        };
        let calls = crate::calls::Calls::default();
        calls.count("s3", Some("a\"b\\c\nd"), None, std::time::Duration::ZERO);
        let calls = Counted { throttled: vec![("read", 3)], ..calls.read() };
        let plain = text(false, State::Ready, &builds, &calls, None);
        for line in [
            "# TYPE kiln_builds_ended_total counter",
            "kiln_builds_ended_total{status=\"SUCCEEDED\"} 1",
            "kiln_builds_queued 2",
            "kiln_build_duration_seconds_bucket{le=\"0.5\"} 0",
            "kiln_build_duration_seconds_bucket{le=\"1.0\"} 1",
            "kiln_build_duration_seconds_bucket{le=\"+Inf\"} 1",
            "kiln_build_duration_seconds_sum 0.75",
            "kiln_api_throttled_total{kind=\"read\"} 3",
            "kiln_api_requests_total{service=\"s3\",operation=\"a\\\"b\\\\c\\nd\",code=\"OK\"} 1",
        ] {
            assert!(plain.lines().any(|known| known == line), "{line} in {plain}");
        }
        let open = text(true, State::Ready, &builds, &calls, None);
        assert!(open.ends_with("# EOF\n") && open.contains("# TYPE kiln_builds_ended counter\n"));
        assert!(open.contains("kiln_builds_ended_total{status"));
        assert!(!plain.contains("EOF"));
        assert!(is_open(&headers(&[("accept", "application/openmetrics-text;version=1.0.0,*/*;q=0.1")])));
        assert!(!is_open(&headers(&[("accept", "text/plain")])));
    }
}
