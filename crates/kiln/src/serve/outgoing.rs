//! Calls to providers of repositories (`security.md` 5.7). Projects name servers: none may make Kiln reach what only this
//! machine, or its neighbours, can.
//!
//! A name is looked up once, each address that it has is checked, and it is these addresses that are connected to. No
//! redirects, no proxy, bounded time and answers.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use kiln_core::providers::outgoing::{Answer, Call, CallError, MOST_ANSWER, Method, Outgoing};
use kiln_engine::network::Ipv4Network;
use ureq::{
    Agent,
    config::Config,
    http::{Request, Uri},
    tls::{PemItem, RootCerts, TlsConfig, parse_pem},
    unversioned::{
        resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver},
        transport::{DefaultConnector, NextTimeout},
    },
};

use crate::client::trust;

/// A whole call may take so long.
const PATIENCE: Duration = Duration::from_secs(15);
/// Until the connection is there.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest pause that a server may ask for.
const LONGEST_PAUSE: u64 = 60 * 60;

/// What may be called beside the internet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Allowed {
    /// Hosts, in lower case, wherever they are, also over plain HTTP.
    pub(crate) hosts: Vec<String>,
    /// Networks.
    pub(crate) networks: Vec<Ipv4Network>,
}

impl Allowed {
    /// Reads an item of `providers.allow`.
    pub(crate) fn checked(text: &str) -> Result<String, String> {
        let is_network = text.contains('/');
        let fits = if is_network {
            text.parse::<Ipv4Network>().map(drop).map_err(|e| e.to_string())
        } else {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
            if !text.is_empty() && text.chars().all(is_plain) { Ok(()) } else { Err(format!("'{text}' is no host")) }
        };
        fits.map(|()| text.to_ascii_lowercase())
    }

    /// Takes what [`Self::checked`] let pass.
    pub(crate) fn of(items: &[String]) -> Self {
        let mut allowed = Self::default();
        for item in items {
            match item.parse::<Ipv4Network>() {
                Ok(network) if item.contains('/') => allowed.networks.push(network),
                _ => allowed.hosts.push(item.clone()),
            }
        }
        allowed
    }

    fn has_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host))
    }

    fn has_address(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => self.networks.iter().any(|network| network.contains(address)),
            IpAddr::V6(_) => false,
        }
    }
}

/// Certificates of authorities: the machine's own list, else the well-known ones.
pub(super) fn root_certs() -> anyhow::Result<RootCerts> {
    let Some(path) = trust::of_machine() else { return Ok(RootCerts::WebPki) };
    let pem = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let certificates = parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    Ok(RootCerts::Specific(Arc::new(certificates.collect())))
}

/// The client.
#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    allowed: Allowed,
}

impl Client {
    /// For what the operator lets it reach.
    pub(super) fn new(allowed: Allowed) -> anyhow::Result<Self> {
        let config = Agent::config_builder()
            .tls_config(TlsConfig::builder().root_certs(root_certs()?).build())
            .user_agent(concat!("kiln/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_global(Some(PATIENCE))
            .timeout_connect(Some(CONNECT))
            .max_idle_connections_per_host(2)
            .build();
        let resolver = Careful { inner: DefaultResolver::default(), allowed: allowed.clone() };
        Ok(Self { agent: Agent::with_parts(config, DefaultConnector::default(), resolver), allowed })
    }
}

/// The host of an address as configuration names it: without brackets.
fn host_of(uri: &Uri) -> Option<&str> {
    uri.host().map(|host| host.trim_matches(['[', ']'])).filter(|host| !host.is_empty())
}

impl Outgoing for Client {
    fn call(&self, call: &Call) -> Result<Answer, CallError> {
        let forbidden = |why: &str| CallError::Forbidden(format!("{} is not called: {why}", call.url));
        let uri: Uri = call.url.parse().map_err(|_| forbidden("it is no address"))?;
        let host = host_of(&uri).ok_or_else(|| forbidden("it names no host"))?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(forbidden("it has a user in it"));
        }
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if self.allowed.has_host(host) => {}
            Some("http") => return Err(forbidden("it is plain HTTP; providers.allow may name its host")),
            _ => return Err(forbidden("it is neither https nor http")),
        }
        let mut request = Request::builder().method(call.method.as_str()).uri(&call.url);
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let failed = |e: ureq::Error| match e {
            ureq::Error::HostNotFound => CallError::Failed(format!("{host} is not found")),
            ureq::Error::Io(e) if e.kind() == std::io::ErrorKind::PermissionDenied => forbidden(&e.to_string()),
            e => CallError::Failed(format!("{} {}: {e}", call.method.as_str(), call.url)),
        };
        let has_body = !matches!(call.method, Method::Get | Method::Delete);
        let sent = if has_body {
            let request = request.body(call.body.as_deref().unwrap_or_default());
            self.agent.run(request.map_err(|_| forbidden("its headers are none"))?)
        } else {
            self.agent.run(request.body(()).map_err(|_| forbidden("its headers are none"))?)
        };
        let mut answer = sent.map_err(failed)?;
        let number = |name: &str| answer.headers().get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
        let pause = number("retry-after").or_else(|| {
            // GitHub's way to say that one has asked too often.
            (number("x-ratelimit-remaining") == Some(0) && !answer.status().is_success()).then_some(60)
        });
        let retry_after = pause.map(|seconds| Duration::from_secs(seconds.min(LONGEST_PAUSE)));
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(MOST_ANSWER).read_to_vec().map_err(failed)?;
        Ok(Answer { status, body, retry_after })
    }
}

/// Looks names up, and lets no address pass that is not the internet's.
#[derive(Debug)]
struct Careful {
    inner: DefaultResolver,
    allowed: Allowed,
}

impl Resolver for Careful {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        let host = host_of(uri).unwrap_or_default();
        if self.allowed.has_host(host) {
            return Ok(found);
        }
        // One that is wrong makes all of them suspicious.
        for address in found.iter() {
            let is_of_internet = is_public(address.ip()) && !is_own(address.ip());
            if !is_of_internet && !self.allowed.has_address(address.ip()) {
                let why = format!(
                    "{host} is at {}, which is not on the internet; providers.allow may name the host or its network",
                    address.ip()
                );
                return Err(ureq::Error::Io(std::io::Error::new(std::io::ErrorKind::PermissionDenied, why)));
            }
        }
        Ok(found)
    }
}

/// Whether an address is one of this machine's.
fn is_own(address: IpAddr) -> bool {
    UdpSocket::bind(SocketAddr::new(address, 0)).is_ok()
}

/// Whether an address is on the internet (RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || matches!((a, b, c), (0 | 224.., ..) | (100, 64..=127, _) | (192, 0, 0) | (192, 88, 99) | (198, 18 | 19, _)))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let is_global = a & 0xe000 == 0x2000;
    // Teredo and documentation, 6to4, which leads to whatever IPv4 address is in it; NAT64 is not global.
    let leads_elsewhere = (a == 0x2001 && (b < 0x200 || b == 0x0db8)) || a == 0x2002 || (a == 0x3fff && b < 0x1000);
    is_global && !leads_elsewhere
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Write as _},
        net::TcpListener,
        thread,
    };

    use super::*;

    fn get(client: &Client, url: &str) -> Result<Answer, CallError> {
        client.call(&Call { method: Method::Get, url: url.to_owned(), headers: Vec::new(), body: None })
    }

    #[test]
    fn addresses_of_the_internet_are_told_from_others() {
        for text in ["1.1.1.1", "140.82.121.3", "2606:4700::1", "172.32.0.1", "100.128.0.1", "::ffff:8.8.8.8"] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "127.0.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "fc00::1",
            "fe80::1",
            "ff02::1",
            "100::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        assert!(is_own(Ipv4Addr::LOCALHOST.into()));
    }

    #[test]
    fn nothing_of_this_machine_is_called_however_it_is_written() {
        let client = Client::new(Allowed::default()).unwrap();
        for host in [
            "127.0.0.1",
            "127.1",
            "0",
            "2130706433",
            "0177.0.0.1",
            "localhost",
            "localhost.",
            "[::1]",
            "[::ffff:127.0.0.1]",
        ] {
            let told = get(&client, &format!("https://{host}:1/x")).unwrap_err();
            // What the machine does not take for an address at all is not called either.
            assert!(
                matches!(told, CallError::Forbidden(_))
                    || ["not found", "failed to lookup address"].iter().any(|why| told.to_string().contains(why)),
                "{host}: {told}"
            );
        }
        for url in
            ["http://example.com/", "ftp://example.com/", "https://good@127.0.0.1/", "file:///etc/passwd", "", "//x"]
        {
            let told = get(&client, url).unwrap_err();
            assert!(matches!(told, CallError::Forbidden(_)), "{url}: {told}");
        }
    }

    /// Answers every connection with the same.
    fn serve(answer: String) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let answer = answer.clone();
                thread::spawn(move || {
                    let mut line = String::new();
                    BufReader::new(&stream).read_line(&mut line).ok();
                    stream.write_all(answer.as_bytes()).ok();
                });
            }
        });
        at
    }

    #[test]
    fn what_is_allowed_is_called_without_following_redirects() {
        let at = serve(
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/secret\r\nretry-after: 7\r\ncontent-length: 2\r\n\
             connection: close\r\n\r\nhi"
                .to_owned(),
        );
        let client = Client::new(Allowed::of(&["127.0.0.1".to_owned()])).unwrap();
        let answer = get(&client, &format!("http://{at}/x")).unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (302, b"hi".as_slice()));
        assert_eq!(answer.retry_after, Some(Duration::from_secs(7)));
        // A network lets nobody speak plain HTTP.
        let client = Client::new(Allowed::of(&["127.0.0.0/8".to_owned()])).unwrap();
        assert!(matches!(get(&client, &format!("http://{at}/x")), Err(CallError::Forbidden(_))));
        assert!(matches!(get(&client, &format!("https://{at}/x")), Err(CallError::Failed(_))), "no TLS there");
    }

    #[test]
    fn answers_are_bounded() {
        let most = usize::try_from(MOST_ANSWER).unwrap();
        let at = serve(format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", "x".repeat(most + 10)));
        let client = Client::new(Allowed::of(&["127.0.0.1".to_owned()])).unwrap();
        assert!(matches!(get(&client, &format!("http://{at}/x")), Err(CallError::Failed(_))));
    }

    #[test]
    fn items_are_hosts_or_networks() {
        for good in ["10.0.0.0/8", "git.example", "127.0.0.1", "::1", "GIT"] {
            assert_eq!(Allowed::checked(good).as_deref(), Ok(good.to_ascii_lowercase().as_str()));
        }
        for bad in ["", "10.0.0.1/8", "https://x", "a b", "10.0.0.0/33", "x/y"] {
            assert!(Allowed::checked(bad).is_err(), "{bad}");
        }
        let allowed = Allowed::of(&["10.0.0.0/8".to_owned(), "git.example".to_owned()]);
        assert!(allowed.has_host("Git.Example") && !allowed.has_host("git.example.evil"));
        assert!(allowed.has_address("::ffff:10.1.1.1".parse().unwrap()));
    }
}
