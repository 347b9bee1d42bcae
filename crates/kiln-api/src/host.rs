//! Whether a request means this server.
//!
//! A page of a stranger, whose name was rebound to this machine's address, sends its own name in `Host`; nothing else
//! tells it from a neighbour. So a host is known only if it is the address that the client connected to, `localhost`, a
//! configured domain, or one of these behind `<bucket>.`, `stream-` or `streaming-` (DESIGN section 5).

use std::net::IpAddr;

use kiln_wire::server::ADDRESS;

/// What builds call this server, who reach it over a Unix socket.
const IN_BUILDS: IpAddr = IpAddr::V4(ADDRESS);

/// What a host says that is a name of this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Known {
    /// The server.
    Server,
    /// A bucket of it.
    Bucket(String),
}

/// Whether `host` (with or without port) is a name of this server. `local` is the address that the client connected to,
/// `None` over a Unix socket.
pub(crate) fn known(host: &str, local: Option<IpAddr>, domains: &[String]) -> Option<Known> {
    let name = name_of(host)?;
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    // AWS's SDKs prepend these to the host of some operations of Logs, even to an address (`api.md` 1.4).
    let bare = ["stream-", "streaming-"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(&name);
    let is_local = |address: IpAddr| {
        // IPv4 clients of a socket for both families have mapped addresses.
        let address = address.to_canonical();
        match local.map(|local| local.to_canonical()) {
            Some(local) => local == address,
            None => address.is_loopback() || address == IN_BUILDS,
        }
    };
    if bare.parse().is_ok_and(is_local) {
        return Some(Known::Server);
    }
    let local = local.map_or(IN_BUILDS, |local| local.to_canonical()).to_string();
    let own = domains.iter().map(String::as_str).chain(["localhost", local.as_str()]);
    let own: Vec<String> = own.map(str::to_ascii_lowercase).collect();
    if own.iter().any(|own| bare == own) {
        return Some(Known::Server);
    }
    // The longest name that fits: `a.b.example` is a bucket of `b.example` rather than of `example`.
    let buckets = own.iter().filter_map(|own| name.strip_suffix(own.as_str())?.strip_suffix('.'));
    let bucket = buckets.filter(|bucket| !bucket.is_empty()).min_by_key(|bucket| bucket.len());
    bucket.map(|bucket| Known::Bucket(bucket.to_owned()))
}

/// The name or address of `name:port`, `1.2.3.4:port` or `[::1]:port`; `None` when it is neither.
fn name_of(host: &str) -> Option<&str> {
    let is_port = |text: &str| {
        text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.bytes().all(|digit| digit.is_ascii_digit()))
    };
    if let Some(rest) = host.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        return is_port(port).then_some(address);
    }
    let (name, port) = host.split_at(host.find(':').unwrap_or(host.len()));
    (is_port(port) && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(host: &str) -> Option<Known> {
        let domains = ["kiln.example", "s3.kiln.example", "169.254.170.2"].map(str::to_owned);
        known(host, Some([10, 1, 2, 3].into()), &domains)
    }

    #[test]
    fn names_of_buckets() {
        for (host, bucket) in [
            ("bucket.kiln.example", Some("bucket")),
            ("Bucket.S3.kiln.example:5456", Some("bucket")),
            ("my.bucket.localhost:5456", Some("my.bucket")),
            ("stream-1.localhost", Some("stream-1")),
            ("s3.kiln.example", None),
            ("stream-kiln.example", None),
            ("localhost", None),
        ] {
            let expected = bucket.map_or(Known::Server, |bucket| Known::Bucket(bucket.to_owned()));
            assert_eq!(found(host), Some(expected), "{host}");
        }
    }

    #[test]
    fn own_names() {
        for host in [
            "10.1.2.3",
            "10.1.2.3:5456",
            "localhost:5456",
            "LOCALHOST",
            "kiln.example",
            "Kiln.Example.:443",
            "169.254.170.2:5456",
            "bucket.kiln.example",
            "my.bucket.localhost:5456",
            "stream-kiln.example",
            "streaming-10.1.2.3:5456",
            "stream-localhost",
        ] {
            assert!(found(host).is_some(), "{host}");
        }
    }

    #[test]
    fn names_of_others() {
        for host in [
            "",
            ":5456",
            "evil.example",
            "evil.example:5456",
            "10.1.2.4",
            "127.0.0.1",
            "kiln.example.evil",
            "notkiln.example",
            ".kiln.example",
            "user@kiln.example",
            "kiln.example:80@evil",
            "kiln.example/x",
            "[::1]",
            "[kiln.example",
            "0.0.0.0",
        ] {
            assert_eq!(found(host), None, "{host}");
        }
    }

    #[test]
    fn addresses_of_both_families() {
        let is_ours = |host: &str, local, domains: &[String]| known(host, local, domains).is_some();
        let mapped: IpAddr = "::ffff:127.0.0.1".parse().unwrap();
        assert!(is_ours("127.0.0.1:5456", Some(mapped), &[]));
        assert!(is_ours("[::1]:5456", Some("::1".parse().unwrap()), &[]));
        assert!(!is_ours("[::2]:5456", Some("::1".parse().unwrap()), &[]));
        assert!(is_ours("127.0.0.1", None, &[]), "over a Unix socket");
        assert!(is_ours("169.254.170.2:5456", None, &[]), "out of a build");
        assert!(is_ours("stream-169.254.170.2", None, &[]), "out of a build");
        assert!(!is_ours("10.1.2.3", None, &[]));
        assert!(!is_ours("169.254.170.2", Some([10, 1, 2, 3].into()), &[]));
        let bucket = known("b.169.254.170.2:5456", None, &[]);
        assert_eq!(bucket, Some(Known::Bucket("b".to_owned())));
    }
}
