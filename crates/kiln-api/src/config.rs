//! What an operator decides about the front end.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use kiln_iam::sigv4::sha256;
use kiln_model::Timestamp;

use crate::{connection::tls::Tls, rates::Rates};

/// Tells the time; the front end reads no clock of its own.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Settings of the front end.
#[derive(Clone)]
pub struct Config {
    /// The account that all resources are of, twelve digits.
    pub account: String,
    /// The one region that requests are signed for. STS takes `us-east-1` as well.
    pub region: String,
    /// Host names and addresses that clients may call this server by, beside the address that they connected to and
    /// `localhost`: `kiln.example`, `169.254.170.2`. Names in front of them (`bucket.kiln.example`) are known too.
    pub domains: Vec<String>,
    /// Certificate and key; the port takes TLS then, beside plain HTTP.
    pub tls: Option<Tls>,
    /// What the server can bear.
    pub limits: Limits,
    /// What `/-/health` and `/-/ready` say.
    pub readiness: Readiness,
    /// The time.
    pub clock: Clock,
    /// Who may read `/-/metrics`.
    pub scraping: Scraping,
    /// The files of the web console; none when the binary was built without it.
    pub console: &'static [ConsoleFile],
    /// What the process and the machine come to; reads it anew each time.
    pub machine: Option<Arc<dyn Fn() -> MachineFigures + Send + Sync>>,
}

impl Config {
    /// The defaults, for a region.
    #[must_use]
    pub fn new(region: impl Into<String>, clock: Clock) -> Self {
        Self {
            account: "000000000000".to_owned(),
            region: region.into(),
            domains: Vec::new(),
            tls: None,
            limits: Limits::default(),
            readiness: Readiness::default(),
            clock,
            scraping: Scraping::default(),
            console: &[],
            machine: None,
        }
    }
}

/// A file of the web console.
#[derive(Debug, Clone, Copy)]
pub struct ConsoleFile {
    /// Below `/-/`: `index.html`, `assets/…`.
    pub path: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// Its bytes, as gzip has them.
    pub gzip: &'static [u8],
}

/// Who may read `/-/metrics`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Scraping {
    /// Whoever is on this machine, and in no build.
    #[default]
    ThisMachine,
    /// Whoever has a token, from wherever.
    Token(ScrapeToken),
    /// Anybody.
    Anybody,
}

/// A token of those who read `/-/metrics`. Its hash alone is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct ScrapeToken([u8; 32]);

impl From<&str> for ScrapeToken {
    fn from(token: &str) -> Self {
        Self(sha256(token.as_bytes()))
    }
}

impl fmt::Debug for ScrapeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScrapeToken")
    }
}

impl ScrapeToken {
    /// Whether a text is the token. How long that takes tells nothing of it: hashes are compared.
    pub(crate) fn is(&self, given: &str) -> bool {
        *self == Self::from(given)
    }
}

/// What the server's process and its machine come to.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct MachineFigures {
    /// Processor time of the process, seconds.
    pub cpu_seconds: f64,
    /// Memory that it has in use, bytes.
    pub resident_bytes: f64,
    /// Its address space, bytes.
    pub virtual_bytes: f64,
    /// Files that it has open.
    pub open_files: f64,
    /// Files that it may have open.
    pub most_files: f64,
    /// When it started, seconds since the epoch.
    pub started: f64,
    /// Size of the database with its log, bytes.
    pub database_bytes: f64,
    /// Size of the file system of the data directory, bytes.
    pub disk_bytes: f64,
    /// What is free there, bytes.
    pub disk_free_bytes: f64,
}

/// What the server can bear. Whoever asks for more gets a typed error, or is cut.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at the same time; for one more, the one that has idled longest is closed.
    pub connections: usize,
    /// Authenticated requests that are handled at the same time; one more gets `ThrottlingException`.
    pub requests: usize,
    /// How often somebody may call.
    pub rates: Rates,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Header lines of a request.
    pub headers: usize,
    /// Bytes of the body of a JSON or query operation.
    pub body_bytes: usize,
    /// Bytes of all such bodies together; a body that does not fit gets `ThrottlingException`.
    pub all_bodies_bytes: usize,
    /// Bytes of an uploaded archive.
    pub upload_bytes: u64,
    /// A connection without a request is closed after this time.
    pub idle: Duration,
    /// A request's head must arrive within this time from its first byte on; so must a TLS handshake.
    pub head: Duration,
    /// A body may take this long, and a second more for each [`Self::body_bytes_per_second`] that arrived.
    pub body: Duration,
    /// Slowest body that is waited for.
    pub body_bytes_per_second: u32,
    /// A client that does not read its answer for this time is cut.
    pub stalled_write: Duration,
    /// So long a stopping server waits for requests to end.
    pub drain: Duration,
    /// So long it keeps connections without a request, whose next request may be on its way: it is answered.
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            requests: 512,
            rates: Rates::default(),
            head_bytes: 32 * 1024,
            headers: 100,
            body_bytes: 1024 * 1024,
            all_bodies_bytes: 128 * 1024 * 1024,
            upload_bytes: 5 * 1024 * 1024 * 1024,
            idle: Duration::from_secs(75),
            head: Duration::from_secs(10),
            body: Duration::from_secs(20),
            body_bytes_per_second: 4096,
            stalled_write: Duration::from_secs(60),
            drain: Duration::from_secs(30),
            linger: Duration::from_millis(500),
        }
    }
}

/// How far the service is, for `/-/health` and `/-/ready`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It recovers what it finds; requests are answered all the same.
    Starting,
    /// It works.
    Ready,
    /// It ends what it has begun.
    Stopping,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Stopping => "stopping",
        }
    }
}

/// The state, shared between the one who knows it and the front end.
#[derive(Clone)]
pub struct Readiness(Arc<AtomicU8>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(AtomicU8::new(State::Starting as u8)))
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Readiness").field(&self.get()).finish()
    }
}

impl Readiness {
    /// Says how far the service is.
    pub fn set(&self, state: State) {
        self.0.store(state as u8, Ordering::Release);
    }

    /// How far it is.
    #[must_use]
    pub fn get(&self) -> State {
        match self.0.load(Ordering::Acquire) {
            state if state == State::Starting as u8 => State::Starting,
            state if state == State::Ready as u8 => State::Ready,
            _ => State::Stopping,
        }
    }
}
