//! Configuration of the service: `kiln.toml`, variables `KILN_*`, flags; the later wins. Read once at start; all mistakes
//! are told at once.
//!
//! [`keys`] names every key, [`raw`] collects what was said of them and where, this module makes settings of it.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZero,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use kiln_api::{Rates, ScrapeToken, Scraping};
use kiln_core::{config::Retention, external::ExternalS3, providers, queue::Capacity};
use kiln_model::arn::Home;
use kiln_runner::job::{EngineChoice, Network};

use super::{
    outgoing::Allowed,
    telemetry::{self, Collector},
};
use crate::runs::{KEEP_BUDGET, parse_size};

pub(crate) mod keys;
mod raw;
mod storage;
#[cfg(test)]
mod tests;

use raw::{Given, Value};
pub(crate) use raw::{Origin, Raw};
pub(crate) use storage::BlobsIn;

/// Name of the file in the data directory.
pub(crate) const FILE: &str = "kiln.toml";
/// Where the service listens unless told otherwise: k-i-l-n on a phone's keypad.
pub(crate) const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5456);
/// Builds at the same time, for each processor, unless told otherwise.
const BUILDS_PER_CPU: u32 = 4;
/// Builds that may wait unless told otherwise.
const QUEUE_LIMIT: u32 = 20_000;
/// Largest log of a build unless told otherwise, bytes.
const MAX_LOG_BYTES: u64 = 10 << 30;

/// Days for which the record of a build is kept unless told otherwise (`api.md` 10).
const BUILD_DAYS: u32 = 365;
/// Days for which records of the audit log are kept unless told otherwise.
const AUDIT_DAYS: u32 = 90;
/// Days for which a source that was sent along with a build is kept unless told otherwise.
const SOURCE_DAYS: u32 = 30;
/// Days after which an upload in parts is given up that nobody completes, unless told otherwise.
const UPLOAD_DAYS: u32 = 30;

/// Largest rate of calls that may be set; as good as none.
const MOST_PER_SECOND: u32 = 1_000_000;

/// Characters of the token for `/-/metrics`, at least.
const LEAST_TOKEN: usize = 16;

/// What the operator decided.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    pub(crate) home: Home,
    pub(crate) listen: SocketAddr,
    /// Names by which clients call the service, beside `localhost` and its addresses; lower case.
    pub(crate) domains: Vec<String>,
    pub(crate) log: Log,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) capacity: Capacity,
    pub(crate) queue_limit: usize,
    pub(crate) rates: Rates,
    pub(crate) network: Network,
    pub(crate) network_allow: Vec<String>,
    pub(crate) engine: EngineChoice,
    pub(crate) keep_budget: u64,
    pub(crate) retention: Retention,
    pub(crate) max_log_bytes: u64,
    pub(crate) scraping: Scraping,
    /// Where traces of builds go.
    pub(crate) telemetry: Option<Collector>,
    pub(crate) allow_host_image: bool,
    /// What clients of images call the registry, if not what they call the service.
    pub(crate) registry_host: Option<String>,
    pub(crate) blobs: BlobsIn,
    pub(crate) external: Vec<ExternalS3>,
    /// The address by which others reach the service, if it does not follow from the others.
    pub(crate) public_url: Option<String>,
    pub(crate) providers: Providers,
}

/// Providers of repositories.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Providers {
    /// Their APIs, where those are not the public ones.
    pub(crate) github: Option<String>,
    pub(crate) gitlab: Option<String>,
    pub(crate) bitbucket: Option<String>,
    /// Hosts and networks that may be called beside the internet.
    pub(crate) allow: Vec<String>,
}

impl Providers {
    /// For the core.
    pub(crate) fn for_core(&self, public_url: String) -> providers::Settings {
        let mut settings = providers::Settings::new(public_url);
        for (at, own) in [
            (&mut settings.github, &self.github),
            (&mut settings.gitlab, &self.gitlab),
            (&mut settings.bitbucket, &self.bitbucket),
        ] {
            if let Some(own) = own {
                at.clone_from(own);
            }
        }
        settings
    }

    /// What may be called: also the hosts of these addresses, whose operator wrote them down.
    pub(crate) fn allowed(&self) -> Allowed {
        let mut allowed = Allowed::of(&self.allow);
        let own = [&self.github, &self.gitlab, &self.bitbucket].into_iter().flatten();
        allowed.hosts.extend(
            own.filter_map(|url| Some(url.parse::<http::Uri>().ok()?.host()?.trim_matches(['[', ']']).to_owned())),
        );
        allowed
    }
}

/// What the service writes of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Log {
    /// A filter as `tracing` has them: `info`, `info,kiln_api=debug`.
    pub(crate) level: String,
    pub(crate) json: bool,
    /// Whether each request has a line, whatever the level.
    pub(crate) requests: bool,
}

/// Certificate and key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) origin: Origin,
    pub(crate) text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.text)
    }
}

/// Everything that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "the configuration has {count} mistake{}:", if count == 1 { "" } else { "s" })?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// What the machine has, for the defaults.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Machine {
    pub(crate) cpus: u32,
    pub(crate) memory_bytes: u64,
}

impl Machine {
    /// This one.
    pub(crate) fn this() -> Self {
        let info = rustix::system::sysinfo();
        let cpus = thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
            memory_bytes: info.totalram.saturating_mul(u64::from(info.mem_unit)),
        }
    }
}

impl Settings {
    /// Makes settings of what was said. Relative paths are taken from `base`.
    ///
    /// # Errors
    /// All mistakes.
    pub(crate) fn from_raw(mut raw: Raw, base: &Path, machine: Machine) -> Result<Self, Problems> {
        let problems = raw.problems();
        let mut read = Reader { raw, problems };
        let home = Home {
            region: read.text("region", "us-east-1".to_owned(), region),
            account: read.text("account", "000000000000".to_owned(), account),
        };
        let listen = read.text("listen", LISTEN, address);
        let domains = read.list("domains", domain);
        let log = Log {
            level: read.text("log.level", "info".to_owned(), level),
            json: read.text("log.format", false, |text| choice(text, &[("text", false), ("json", true)])),
            requests: read.flag("log.requests").unwrap_or(false),
        };
        let tls = read.tls(base);
        let memory = read.size("capacity.memory", machine.memory_bytes, 1 << 20);
        let factor = read.number("capacity.memory_overcommit", 1.0, overcommit);
        let builds = read.count("capacity.max_builds", machine.cpus.saturating_mul(BUILDS_PER_CPU), 10_000);
        let capacity = Capacity { memory_bytes: overcommitted(memory, factor), builds };
        let queue_limit = read.count("capacity.queue_limit", QUEUE_LIMIT, 1_000_000) as usize;
        let usual = Rates::default();
        let rates = Rates {
            reads: read.count("limits.reads_per_second", usual.reads, MOST_PER_SECOND),
            changes: read.count("limits.changes_per_second", usual.changes, MOST_PER_SECOND),
            strangers: read.count("limits.strangers_per_second", usual.strangers, MOST_PER_SECOND),
            deliveries: read.count("limits.deliveries_per_second", usual.deliveries, MOST_PER_SECOND),
        };
        let networks = [("private", Network::Private), ("host", Network::Host), ("none", Network::None)];
        let network = read.text("network.mode", Network::Private, |text| choice(text, &networks));
        let network_allow = read.list("network.allow", cidr);
        let engine = read.engine();
        let keep_budget = read.size("keep_budget", KEEP_BUDGET, 0);
        let retention = Retention {
            builds: read.days("retention.build_days", BUILD_DAYS),
            sources: read.days("retention.source_days", SOURCE_DAYS),
            uploads: read.days("retention.upload_days", UPLOAD_DAYS),
            audit: read.days("retention.audit_days", AUDIT_DAYS),
        };
        let max_log_bytes = read.size("max_log_bytes", MAX_LOG_BYTES, 1 << 20);
        let scraping = read.scraping();
        let telemetry = read.telemetry();
        // Who reaches loopback has an account on this machine already (DESIGN decision 5).
        let allow_host_image = read.flag("allow_host_image").unwrap_or_else(|| listen.ip().is_loopback());
        let registry_host = read.text("registry.host", None, |text| registry_host(text).map(Some));
        let public_url = read.text("public_url", None, |text| base_url(text).map(Some));
        let providers = Providers {
            github: read.text("providers.github_url", None, |text| base_url(text).map(Some)),
            gitlab: read.text("providers.gitlab_url", None, |text| base_url(text).map(Some)),
            bitbucket: read.text("providers.bitbucket_url", None, |text| base_url(text).map(Some)),
            allow: read.list("providers.allow", Allowed::checked),
        };
        let blobs = read.blobs(base, &home.region);
        let external = read.external(&home.region);
        if !read.problems.is_empty() {
            return Err(Problems(read.problems));
        }
        Ok(Self {
            home,
            listen,
            domains,
            log,
            tls,
            capacity,
            queue_limit,
            rates,
            network,
            network_allow,
            engine,
            keep_budget,
            retention,
            max_log_bytes,
            scraping,
            telemetry,
            allow_host_image,
            registry_host,
            blobs,
            external,
            public_url,
            providers,
        })
    }
}

/// Takes values out of what was said, and collects what is wrong with them.
struct Reader {
    raw: Raw,
    problems: Vec<Problem>,
}

impl Reader {
    /// What was said of a key, in the form that `take` wants; `None`: nothing, or something wrong, which is noted.
    fn get<T>(&mut self, key: &str, take: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        let Given { value, origin } = self.raw.take(key)?;
        match take(&value) {
            Ok(value) => Some(value),
            Err(why) => {
                self.problems.push(Problem { origin, text: format!("{key}: {why}") });
                None
            }
        }
    }

    fn text<T>(&mut self, key: &str, default: T, parse: impl FnOnce(&str) -> Result<T, String>) -> T {
        self.get(key, |value| parse(&value.text()?)).unwrap_or(default)
    }

    fn list(&mut self, key: &str, parse: fn(&str) -> Result<String, String>) -> Vec<String> {
        self.get(key, |value| value.list()?.iter().map(|item| parse(item)).collect()).unwrap_or_default()
    }

    fn flag(&mut self, key: &str) -> Option<bool> {
        self.get(key, |value| match value.text()?.as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(format!("'{other}' is neither true nor false")),
        })
    }

    fn count(&mut self, key: &str, default: u32, most: u32) -> u32 {
        let parse = |text: &str| match text.parse() {
            Ok(n) if (1..=most).contains(&n) => Ok(n),
            _ => Err(format!("'{text}' is not a number from 1 to {most}")),
        };
        self.text(key, default, parse)
    }

    /// At most a hundred years.
    fn days(&mut self, key: &str, default: u32) -> Duration {
        Duration::from_secs(u64::from(self.count(key, default, 36_500)) * 24 * 60 * 60)
    }

    fn number(&mut self, key: &str, default: f64, check: fn(f64) -> Result<f64, String>) -> f64 {
        self.text(key, default, |text| check(text.parse().map_err(|_| format!("'{text}' is not a number"))?))
    }

    /// A number of bytes; `least` unless it is 0 and 0 is allowed.
    fn size(&mut self, key: &str, default: u64, least: u64) -> u64 {
        self.text(key, default, |text| match parse_size(text) {
            Ok(bytes) if bytes >= least => Ok(bytes),
            Ok(_) => Err(format!("'{text}' is too small: at least {least} bytes")),
            Err(e) => Err(e.to_string()),
        })
    }

    fn tls(&mut self, base: &Path) -> Option<TlsFiles> {
        let origin = ["tls.cert", "tls.key"].iter().find_map(|key| self.raw.origin(key));
        let path = |text: &str| if text.is_empty() { Err("is empty".to_owned()) } else { Ok(Some(base.join(text))) };
        let (cert, key) = (self.text("tls.cert", None, path), self.text("tls.key", None, path));
        match (cert, key, origin) {
            (Some(cert), Some(key), _) => Some(TlsFiles { cert, key }),
            (None, None, _) | (_, _, None) => None,
            (cert, _, Some(origin)) => {
                let (has, lacks) = if cert.is_some() { ("cert", "key") } else { ("key", "cert") };
                let text = format!("tls.{has} needs tls.{lacks} beside it");
                self.problems.push(Problem { origin, text });
                None
            }
        }
    }

    fn telemetry(&mut self) -> Option<Collector> {
        let origin = self.raw.origin("telemetry.otlp_headers");
        let url = self.text("telemetry.otlp_endpoint", None, |text| Collector::traces_of(text).map(Some));
        let parse = |value: &Value| -> Result<Vec<(String, String)>, String> {
            value.list()?.iter().map(|header| telemetry::header(header)).collect()
        };
        let headers = self.get("telemetry.otlp_headers", parse);
        match (url, headers, origin) {
            (Some(url), headers, _) => Some(Collector { url, headers: headers.unwrap_or_default() }),
            (None, Some(_), Some(origin)) => {
                let text = "telemetry.otlp_headers: is for telemetry.otlp_endpoint only".to_owned();
                self.problems.push(Problem { origin, text });
                None
            }
            _ => None,
        }
    }

    fn scraping(&mut self) -> Scraping {
        let origin = self.raw.origin("metrics.token");
        let token = self.text("metrics.token", None, |text| match text.len() {
            0..LEAST_TOKEN => Err(format!("has fewer than {LEAST_TOKEN} characters: it could be guessed")),
            _ => Ok(Some(ScrapeToken::from(text))),
        });
        match (token, self.flag("metrics.public"), origin) {
            (Some(_), Some(true), Some(origin)) => {
                let text = "metrics.token: with metrics.public nobody needs one".to_owned();
                self.problems.push(Problem { origin, text });
                Scraping::default()
            }
            (Some(token), ..) => Scraping::Token(token),
            (None, Some(true), _) => Scraping::Anybody,
            _ => Scraping::default(),
        }
    }

    fn engine(&mut self) -> EngineChoice {
        let origin = self.raw.origin("runtime");
        let oci = self.text("engine", false, |text| choice(text, &[("native", false), ("oci", true)]));
        let runtime = self.text("runtime", None, |text| match text {
            "" => Err("is empty".to_owned()),
            text => Ok(Some(PathBuf::from(text))),
        });
        match (oci, runtime, origin) {
            (true, runtime, _) => EngineChoice::Oci { runtime: runtime.unwrap_or_else(|| "runc".into()) },
            (false, Some(_), Some(origin)) => {
                let text = "runtime: is for engine = \"oci\" only".to_owned();
                self.problems.push(Problem { origin, text });
                EngineChoice::Native
            }
            _ => EngineChoice::Native,
        }
    }
}

/// Memory that may be promised where `memory` is there.
fn overcommitted(memory: u64, factor: f64) -> u64 {
    // Exact to a few bytes in 2^53, far below what a build reserves.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "as above"
    )]
    let bytes = (memory as f64 * factor) as u64;
    bytes
}

fn overcommit(factor: f64) -> Result<f64, String> {
    if (1.0..=100.0).contains(&factor) { Ok(factor) } else { Err(format!("{factor} is not a number from 1 to 100")) }
}

fn choice<T: Copy>(text: &str, of: &[(&str, T)]) -> Result<T, String> {
    of.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = of.iter().map(|(name, _)| *name).collect();
        format!("'{text}' is not one of {}", names.join(", "))
    })
}

fn account(text: &str) -> Result<String, String> {
    if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(text.to_owned());
    }
    let hint = if text.len() < 12 { " (in quotes in the file, so that zeros in front stay)" } else { "" };
    Err(format!("'{text}' is not an account id: twelve digits{hint}"))
}

fn region(text: &str) -> Result<String, String> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=32).contains(&text.len()) && text.bytes().all(fits) && !text.starts_with('-') && !text.ends_with('-') {
        return Ok(text.to_owned());
    }
    Err(format!("'{text}' is not a region: lower-case letters, digits and dashes, e.g. us-east-1"))
}

/// An address to listen on: IP address and port.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    let text = text.strip_prefix("localhost:").map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().map_err(|_| format!("'{text}' is not an address with a port, e.g. {LISTEN} or [::1]:5456"))
}

fn domain(text: &str) -> Result<String, String> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.parse::<IpAddr>().is_ok() || text.len() <= 253 && text.split('.').all(label) {
        return Ok(text.to_ascii_lowercase());
    }
    Err(format!("'{text}' is neither a host name nor an address (without port and without '*.')"))
}

/// The address of a server, perhaps with a path, without a slash at its end.
fn base_url(text: &str) -> Result<String, String> {
    let parsed: Option<http::Uri> = text.parse().ok();
    let is_one = parsed.is_some_and(|uri| {
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        matches!(uri.scheme_str(), Some("http" | "https"))
            && !authority.is_empty()
            && !authority.contains('@')
            && uri.query().is_none()
    });
    if is_one && !text.contains('#') {
        return Ok(text.trim_end_matches('/').to_owned());
    }
    Err(format!("'{text}' is no address of a server, e.g. https://kiln.example"))
}

/// A host, with a port or without, that references of images begin with.
fn registry_host(text: &str) -> Result<String, String> {
    let (host, port) = text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let host = domain(host).map_err(|_| format!("'{text}' is no host name or address, with a port or without"))?;
    match port {
        Some(port) if port.parse::<u16>().is_ok_and(|port| port > 0) => Ok(format!("{host}:{port}")),
        Some(port) => Err(format!("'{port}' is no port")),
        None if host == "localhost" || host.contains('.') => Ok(host),
        // Clients would take it for a repository of another registry.
        None => Err(format!("'{text}' needs a point or a port to be told from the name of a repository")),
    }
}

fn cidr(text: &str) -> Result<String, String> {
    let parsed = text.split_once('/').and_then(|(address, bits)| {
        let address: IpAddr = address.parse().ok()?;
        let bits: u32 = bits.parse().ok()?;
        (bits <= if address.is_ipv4() { 32 } else { 128 }).then_some(())
    });
    parsed.map(|()| text.to_owned()).ok_or_else(|| format!("'{text}' is not a range of addresses, e.g. 10.1.0.0/16"))
}

fn level(text: &str) -> Result<String, String> {
    match text.parse::<tracing_subscriber::EnvFilter>() {
        Ok(_) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(format!("'{text}' is no level: error, warn, info, debug or trace")),
    }
}
