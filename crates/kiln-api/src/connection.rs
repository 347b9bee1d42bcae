//! Connections: what they are made of, who they are with, and when they are cut.

pub(crate) mod pulse;
pub(crate) mod stream;
pub(crate) mod tls;

use std::net::{IpAddr, SocketAddr};

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    /// Its address; `None` over a Unix socket.
    pub(crate) address: Option<SocketAddr>,
    /// Our address as the client sees it; `None` over a Unix socket.
    pub(crate) local: Option<IpAddr>,
    /// Whether the connection is encrypted.
    pub(crate) is_tls: bool,
    /// Somebody in a build, by way of its runner.
    pub(crate) is_build: bool,
}

impl Peer {
    /// Over a Unix socket.
    pub(crate) fn on_this_machine(is_build: bool) -> Self {
        Self { address: None, local: None, is_tls: false, is_build }
    }

    /// True when nobody can read along: TLS, or nothing leaves the machine.
    pub(crate) fn is_private(&self) -> bool {
        self.is_tls || self.address.is_none_or(|address| address.ip().is_loopback())
    }

    /// The address, for logs.
    pub(crate) fn name(&self) -> String {
        let local = if self.is_build { "a build" } else { "unix socket" };
        self.address.map_or_else(|| local.to_owned(), |address| address.to_string())
    }
}
