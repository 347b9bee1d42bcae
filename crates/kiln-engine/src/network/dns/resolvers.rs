//! The host's resolvers, as `resolv.conf(5)` names them.

use std::{
    fs,
    io::Read,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

const PORT: u16 = 53;
/// The C library's own limit (MAXNS).
const MAX_SERVERS: usize = 3;
/// No resolv.conf is longer.
const MAX_BYTES: u64 = 64 * 1024;

/// The resolvers that a resolv.conf names, read again when the file changes: a laptop may move to another network
/// during a build.
#[derive(Debug)]
pub(crate) struct Resolvers {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    stamp: Option<(u64, i64, i64, u64)>,
    servers: Vec<SocketAddr>,
    /// The one that answered last.
    preferred: usize,
}

impl Resolvers {
    /// Those of the file at `path`.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), state: Mutex::default() }
    }

    /// The resolvers in the order to ask them, at least one.
    pub(super) fn in_order(&self) -> Vec<SocketAddr> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = fs::metadata(&self.path).ok().map(|m| (m.ino(), m.mtime(), m.mtime_nsec(), m.size()));
        if state.servers.is_empty() || state.stamp != stamp {
            *state = State { stamp, servers: self.read(), preferred: 0 };
        }
        let mut servers = state.servers.clone();
        let preferred = state.preferred.min(servers.len().saturating_sub(1));
        servers.rotate_left(preferred);
        servers
    }

    /// Notes that `server` answered.
    pub(super) fn answered(&self, server: SocketAddr) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = state.servers.iter().position(|s| *s == server) {
            state.preferred = index;
        }
    }

    fn read(&self) -> Vec<SocketAddr> {
        let mut text = Vec::new();
        if let Ok(file) = fs::File::open(&self.path) {
            // What cannot be read is as if it were not there, as for the C library.
            file.take(MAX_BYTES).read_to_end(&mut text).ok();
        }
        let mut servers = parse(&String::from_utf8_lossy(&text));
        if servers.is_empty() {
            servers.push((Ipv4Addr::LOCALHOST, PORT).into());
        }
        servers
    }
}

fn parse(text: &str) -> Vec<SocketAddr> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            (words.next() == Some("nameserver")).then(|| words.next())?
        })
        .filter_map(address)
        .take(MAX_SERVERS)
        .collect()
}

/// An address, for link-local ones with the interface: `fe80::1%eth0`.
fn address(word: &str) -> Option<SocketAddr> {
    if let Some((address, zone)) = word.split_once('%') {
        let scope = zone.parse().ok().or_else(|| {
            let socket = rustix::net::socket(rustix::net::AddressFamily::INET6, rustix::net::SocketType::DGRAM, None);
            rustix::net::netdevice::name_to_index(socket.ok()?, zone).ok()
        })?;
        return Some(SocketAddrV6::new(address.parse().ok()?, PORT, 0, scope).into());
    }
    word.parse::<IpAddr>().ok().map(|address| (address, PORT).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nameservers_are_read_as_the_c_library_reads_them() {
        let text = "# nameserver 192.0.2.9\nsearch example.org\n nameserver\t192.0.2.1 # first\nnameserver nonsense\n\
                    nameservers 192.0.2.8\nnameserver 2001:db8::1\nnameserver fe80::1%7\nnameserver 192.0.2.3\n";
        let shown: Vec<_> = parse(text).iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["192.0.2.1:53", "[2001:db8::1]:53", "[fe80::1%7]:53"]);
    }

    #[test]
    fn a_changed_file_is_read_again_and_the_last_answer_decides_the_order() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("resolv.conf");
        let resolvers = Resolvers::new(&path);
        let shown = || resolvers.in_order().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(shown(), ["127.0.0.1:53"]);
        fs::write(&path, "nameserver 192.0.2.1\nnameserver 192.0.2.2\n").unwrap();
        assert_eq!(shown(), ["192.0.2.1:53", "192.0.2.2:53"]);
        resolvers.answered("192.0.2.2:53".parse().unwrap());
        assert_eq!(shown(), ["192.0.2.2:53", "192.0.2.1:53"]);
        fs::write(&path, "nameserver 192.0.2.3\n").unwrap();
        assert_eq!(shown(), ["192.0.2.3:53"]);
    }
}
