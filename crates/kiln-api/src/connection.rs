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
}

impl Peer {
    /// True when nobody can read along: TLS, or nothing leaves the machine.
    pub(crate) fn is_private(&self) -> bool {
        self.is_tls || self.address.is_none_or(|address| address.ip().is_loopback())
    }

    /// The address, for logs.
    pub(crate) fn name(&self) -> String {
        self.address.map_or_else(|| "unix socket".to_owned(), |address| address.to_string())
    }
}
