//! Hands the traces of builds over to a collector (OTLP over HTTP).
//!
//! What is to be sent lies in files until the collector has taken it: a server that is killed, or a collector that is away, loses
//! nothing, and no build ever waits for either.

use std::{
    collections::VecDeque,
    fmt, fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use anyhow::Context as _;
use kiln_api::otlp;
use kiln_core::traces::TraceSink;
use kiln_model::{
    arn::Home,
    trace::{Span, Value},
};
use ureq::{Agent, http::StatusCode, tls::TlsConfig};

use super::outgoing;

/// Name of the directory of what is not sent yet, in the data directory.
const DIRECTORY: &str = "traces";
/// What names of files there end with.
const SUFFIX: &str = ".otlp";
/// Builds that wait to be sent, at most; then the oldest give way.
const MOST: usize = 1000;
/// A collector that does not answer for so long is away.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pauses after a failure: the first, and the longest; each is twice the one before.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// Where traces go.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Collector {
    /// The whole address.
    pub(crate) url: String,
    /// Headers that it wants; their values are often secrets.
    pub(crate) headers: Vec<(String, String)>,
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Collector").field("url", &self.url).field("headers", &names).finish()
    }
}

impl Collector {
    /// The address of traces at an endpoint (OpenTelemetry, "OTLP Exporter": the signal's path is appended).
    pub(crate) fn traces_of(endpoint: &str) -> Result<String, String> {
        checked(endpoint).map(|endpoint| format!("{}/v1/traces", endpoint.trim_end_matches('/')))
    }

    /// What OpenTelemetry's own variables say.
    pub(crate) fn of_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let set = |name: &'static str| variable(name).filter(|value| !value.is_empty()).map(|value| (name, value));
        let told = |name: &str, why: String| format!("{name}: {why}");
        let url = match (set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), set("OTEL_EXPORTER_OTLP_ENDPOINT")) {
            (Some((name, url)), _) => checked(&url).map(str::to_owned).map_err(|why| told(name, why))?,
            (None, Some((name, endpoint))) => Self::traces_of(&endpoint).map_err(|why| told(name, why))?,
            (None, None) => return Ok(None),
        };
        let mut headers: Vec<(String, String)> = Vec::new();
        for (name, list) in
            [set("OTEL_EXPORTER_OTLP_HEADERS"), set("OTEL_EXPORTER_OTLP_TRACES_HEADERS")].into_iter().flatten()
        {
            for item in list.split(',').filter(|item| !item.trim().is_empty()) {
                let (key, value) = header(item).map_err(|why| told(name, why))?;
                headers.retain(|(other, _)| *other != key);
                headers.push((key, value));
            }
        }
        Ok(Some(Self { url, headers }))
    }
}

fn checked(url: &str) -> Result<&str, String> {
    let parsed: Option<http::Uri> = url.parse().ok();
    let is_one = parsed.is_some_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    if is_one { Ok(url) } else { Err(format!("'{url}' is not an endpoint, e.g. http://localhost:4318")) }
}

/// A header as `name=value`, the value percent-encoded (OpenTelemetry, `OTEL_EXPORTER_OTLP_HEADERS`).
pub(crate) fn header(text: &str) -> Result<(String, String), String> {
    // The text itself is not told: it may be the secret.
    let wrong = || "is no NAME=VALUE that a header may have".to_owned();
    let (name, value) = text.split_once('=').ok_or_else(wrong)?;
    let (name, value) = (name.trim().to_ascii_lowercase(), decoded(value.trim()).ok_or_else(wrong)?);
    let is_header = http::HeaderName::try_from(&name).is_ok() && http::HeaderValue::try_from(&value).is_ok();
    if is_header { Ok((name, value)) } else { Err(wrong()) }
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'%', [_, _, after @ ..]) => {
                let digits = std::str::from_utf8(tail.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = after;
            }
            (b'%', _) => return None,
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// Begins to send, if somebody collects.
pub(super) fn start(
    collector: Option<&Collector>,
    data: &Path,
    home: &Home,
) -> anyhow::Result<Option<Arc<dyn TraceSink>>> {
    let Some(collector) = collector else { return Ok(None) };
    let directory = data.join(DIRECTORY);
    crate::data::ensure(&directory, 0o700).with_context(|| format!("cannot make {}", directory.display()))?;
    let resource = vec![
        ("service.name", Value::from("kiln")),
        ("service.version", env!("CARGO_PKG_VERSION").into()),
        ("cloud.account.id", home.account.as_str().into()),
        ("cloud.region", home.region.as_str().into()),
    ];
    let outbox = Arc::new(Outbox { directory, resource, queue: Mutex::default(), work: Condvar::new() });
    let sender = Sender { outbox: Arc::clone(&outbox), agent: agent(&collector.url)?, collector: collector.clone() };
    // It ends with the process: what is not sent then is the next server's to send.
    thread::Builder::new()
        .name("kiln-traces".to_owned())
        .spawn(move || sender.run())
        .context("cannot start a thread")?;
    Ok(Some(outbox))
}

fn agent(url: &str) -> anyhow::Result<Agent> {
    let mut config = Agent::config_builder()
        .tls_config(TlsConfig::builder().root_certs(outgoing::root_certs()?).build())
        .user_agent(concat!("kiln/", env!("CARGO_PKG_VERSION")))
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(PATIENCE));
    let host = url.parse::<http::Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
    if host == "localhost" || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: IpAddr| ip.is_loopback()) {
        config = config.proxy(None);
    }
    Ok(config.build().new_agent())
}

/// What is kept and not sent yet.
#[derive(Debug)]
struct Outbox {
    directory: PathBuf,
    resource: Vec<(&'static str, Value)>,
    /// Builds to be sent, oldest first.
    queue: Mutex<VecDeque<String>>,
    work: Condvar,
}

impl Outbox {
    fn path(&self, uuid: &str) -> PathBuf {
        self.directory.join(format!("{uuid}{SUFFIX}"))
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a build to send; it stays the first.
    fn next(&self) -> String {
        let mut queue = self.queue();
        loop {
            if let Some(first) = queue.front() {
                return first.clone();
            }
            queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl TraceSink for Outbox {
    fn keep(&self, uuid: &str, spans: &[Span]) {
        let (path, partial) = (self.path(uuid), self.directory.join(format!("{uuid}.partial")));
        let bytes = otlp::request(&self.resource, spans);
        if let Err(e) = fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, &path)) {
            tracing::warn!(build.uuid = %uuid, error = %e, "the trace of a build cannot be kept, and will be missing");
            fs::remove_file(&partial).ok();
        }
    }

    fn send(&self, uuid: &str) {
        if !self.path(uuid).exists() {
            return;
        }
        let mut queue = self.queue();
        if queue.len() >= MOST
            && let Some(oldest) = queue.pop_front()
        {
            self.forget(&oldest);
            tracing::warn!(build.uuid = %oldest, "more than {MOST} traces wait to be sent: the oldest is given up");
        }
        queue.push_back(uuid.to_owned());
        self.work.notify_one();
    }

    fn kept(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.directory) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter_map(|name| name.strip_suffix(SUFFIX).map(str::to_owned)).collect()
    }

    fn forget(&self, uuid: &str) {
        match fs::remove_file(self.path(uuid)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(build.uuid = %uuid, error = %e, "a trace that is not needed any more cannot be removed");
            }
            _ => {}
        }
    }
}

/// What became of an attempt.
enum Attempt {
    Taken,
    /// The collector does not want it, now or ever.
    Refused(String),
    /// It may want it later.
    Later(String),
}

struct Sender {
    outbox: Arc<Outbox>,
    agent: Agent,
    collector: Collector,
}

impl Sender {
    fn run(&self) {
        let [first, longest] = PAUSES;
        let (mut pause, mut is_away) = (first, false);
        loop {
            let uuid = self.outbox.next();
            match self.attempt(&uuid) {
                Attempt::Later(why) => {
                    if !is_away {
                        let url = &self.collector.url;
                        tracing::warn!(
                            error = why,
                            "traces wait: {url} does not take them; it is tried again until it does"
                        );
                    }
                    is_away = true;
                    thread::sleep(pause);
                    pause = (2 * pause).min(longest);
                    continue;
                }
                Attempt::Refused(why) => {
                    tracing::warn!(build.uuid = %uuid, error = why, "the trace of a build was refused");
                }
                Attempt::Taken if is_away => tracing::info!("{} takes traces again", self.collector.url),
                Attempt::Taken => {}
            }
            (pause, is_away) = (first, false);
            self.outbox.forget(&uuid);
            self.outbox.queue().retain(|other| *other != uuid);
        }
    }

    fn attempt(&self, uuid: &str) -> Attempt {
        let bytes = match fs::read(self.outbox.path(uuid)) {
            Ok(bytes) => bytes,
            // It gave way to newer ones.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Attempt::Taken,
            Err(e) => return Attempt::Refused(e.to_string()),
        };
        let mut request = self.agent.post(&self.collector.url).header("content-type", otlp::CONTENT_TYPE);
        for (name, value) in &self.collector.headers {
            request = request.header(name, value);
        }
        match request.send(bytes.as_slice()) {
            Ok(answer) if answer.status().is_success() => Attempt::Taken,
            Ok(answer) => {
                let why = format!("HTTP status {}", answer.status());
                // OTLP, "Failures": these may be tried again, and no others.
                let is_passing = matches!(
                    answer.status(),
                    StatusCode::TOO_MANY_REQUESTS
                        | StatusCode::BAD_GATEWAY
                        | StatusCode::SERVICE_UNAVAILABLE
                        | StatusCode::GATEWAY_TIMEOUT
                );
                if is_passing { Attempt::Later(why) } else { Attempt::Refused(why) }
            }
            Err(e) => Attempt::Later(e.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use kiln_model::trace::{BuildTrace, Kind, Outcome, Part};

    use super::*;

    #[test]
    fn opentelemetrys_own_variables_are_read() {
        let read = |set: &[(&str, &str)]| {
            let set: Vec<(String, String)> = set.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            Collector::of_variables(move |name| {
                set.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
            })
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), Ok(None));
        let general = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c.example/base/");
        let collector = read(&[general]).unwrap().unwrap();
        assert_eq!((collector.url.as_str(), collector.headers.len()), ("https://c.example/base/v1/traces", 0));
        let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20x%2C, a=1,");
        let own =
            [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t:1/x"), ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=2")];
        let collector = read(&[general, headers, own[0], own[1]]).unwrap().unwrap();
        assert_eq!(collector.url, "http://t:1/x");
        assert_eq!(
            collector.headers,
            [("authorization".to_owned(), "Bearer x,".to_owned()), ("a".to_owned(), "2".to_owned())]
        );
        for wrong in ["no", "=x", "a b=c", "a=%", "a=%zz", "a=%00"] {
            let told = read(&[general, ("OTEL_EXPORTER_OTLP_HEADERS", wrong)]).unwrap_err();
            assert_eq!(told, "OTEL_EXPORTER_OTLP_HEADERS: is no NAME=VALUE that a header may have", "{wrong}");
        }
        assert!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318")]).unwrap_err().contains("is not an endpoint"));
    }

    #[test]
    fn what_waits_is_bounded_and_outlives_the_server() {
        let directory = tempfile::tempdir().unwrap();
        let outbox = || Outbox {
            directory: directory.path().to_owned(),
            resource: Vec::new(),
            queue: Mutex::default(),
            work: Condvar::new(),
        };
        let first = outbox();
        let id = BuildTrace::new("7", None).unwrap().span(Part::Build);
        let (name, attributes, outcome) = ("BUILD x".to_owned(), Vec::new(), Outcome::Unset);
        let spans = [Span { id, parent: None, kind: Kind::Server, name, start_ns: 1, end_ns: 2, attributes, outcome }];
        for n in 0..MOST + 3 {
            first.keep(&n.to_string(), &spans);
            first.send(&n.to_string());
        }
        first.send("of which nothing is kept");
        assert_eq!(first.queue().len(), MOST);
        assert_eq!(first.next(), "3");
        first.keep("5", &spans);
        let next = outbox();
        let mut kept = next.kept();
        kept.sort();
        assert_eq!((kept.len(), kept.contains(&"2".to_owned())), (MOST, false));
        next.forget("5");
        next.forget("5");
        assert_eq!(next.kept().len(), MOST - 1);
    }
}
