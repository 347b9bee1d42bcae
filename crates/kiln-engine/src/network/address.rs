//! IPv4 networks and sets of them.

use std::{fmt, net::Ipv4Addr, str::FromStr};

/// An IPv4 network, such as `10.0.0.0/8`. A bare address is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ipv4Network {
    first: u32,
    prefix: u8,
}

/// Why a text is no [`Ipv4Network`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ipv4NetworkError {
    /// Neither an address nor a network.
    #[error("{0:?} is not an IPv4 network: write an address and a prefix length, as in 10.0.0.0/8 or 10.0.0.5/32")]
    Form(String),
    /// Bits after the prefix are set.
    #[error("{text} has bits set after its prefix: write {meant} for the whole network, or a longer prefix")]
    HostBits {
        /// As given.
        text: String,
        /// The network around it.
        meant: Ipv4Network,
    },
}

impl Ipv4Network {
    /// The network of `prefix` bits around `address`; `None` if `prefix` is over 32.
    #[must_use]
    pub fn around(address: Ipv4Addr, prefix: u8) -> Option<Self> {
        (prefix <= 32).then(|| Self { first: u32::from(address) & mask(prefix), prefix })
    }

    /// As [`Self::around`], for constants.
    pub(crate) const fn constant(address: [u8; 4], prefix: u8) -> Self {
        Self { first: u32::from_be_bytes(address) & mask(prefix), prefix }
    }

    /// First address.
    #[must_use]
    pub fn first(self) -> Ipv4Addr {
        Ipv4Addr::from(self.first)
    }

    /// Last address.
    #[must_use]
    pub fn last(self) -> Ipv4Addr {
        Ipv4Addr::from(self.first | !mask(self.prefix))
    }

    /// Length of the prefix in bits.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The prefix as a mask.
    pub(crate) fn mask(self) -> [u8; 4] {
        mask(self.prefix).to_be_bytes()
    }

    /// Whether `address` is in it.
    #[must_use]
    pub fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address) & mask(self.prefix) == self.first
    }
}

const fn mask(prefix: u8) -> u32 {
    match prefix {
        0 => 0,
        32.. => u32::MAX,
        bits => u32::MAX << (32 - bits),
    }
}

impl fmt::Display for Ipv4Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first(), self.prefix)
    }
}

impl FromStr for Ipv4Network {
    type Err = Ipv4NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, prefix.parse().ok()),
            None => (text, Some(32)),
        };
        let network = address
            .parse()
            .ok()
            .zip(prefix)
            .and_then(|(address, prefix)| Self::around(address, prefix).map(|network| (address, network)));
        match network {
            None => Err(Ipv4NetworkError::Form(text.to_owned())),
            Some((address, network)) if network.first() != address => {
                Err(Ipv4NetworkError::HostBits { text: text.to_owned(), meant: network })
            }
            Some((_, network)) => Ok(network),
        }
    }
}

/// The addresses of `networks` as [`merge`] gives them.
pub(crate) fn ranges(networks: &[Ipv4Network]) -> Vec<(u32, u32)> {
    merge(networks.iter().map(|network| (u32::from(network.first()), u32::from(network.last()))))
}

/// Ranges (first, last) with the same addresses that are sorted and neither overlap nor touch: what an nf_tables
/// interval set takes.
pub(crate) fn merge(ranges: impl Iterator<Item = (u32, u32)>) -> Vec<(u32, u32)> {
    let mut sorted: Vec<_> = ranges.collect();
    sorted.sort_unstable();
    let mut merged: Vec<(u32, u32)> = Vec::with_capacity(sorted.len());
    for (first, last) in sorted {
        match merged.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = (*end).max(last),
            _ => merged.push((first, last)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn networks_are_read_and_shown() {
        for text in ["10.0.0.0/8", "0.0.0.0/0", "255.255.255.255/32"] {
            assert_eq!(text.parse::<Ipv4Network>().map(|n| n.to_string()).as_deref(), Ok(text));
        }
        assert_eq!("10.0.0.5".parse::<Ipv4Network>().map(|n| n.to_string()).as_deref(), Ok("10.0.0.5/32"));
        for text in ["", "/", "10.0.0.0/33", "10.0.0/8", "fd00::/8", "10.0.0.0/", "10.0.0.0/8/8", " 10.0.0.0/8"] {
            assert_eq!(text.parse::<Ipv4Network>(), Err(Ipv4NetworkError::Form(text.to_owned())));
        }
        let wrong = "10.1.2.3/8".parse::<Ipv4Network>().unwrap_err();
        assert!(wrong.to_string().contains("write 10.0.0.0/8"), "{wrong}");
    }

    proptest! {
        #[test]
        fn ranges_hold_the_same_addresses_and_never_touch(
            parts in proptest::collection::vec((any::<u32>(), 0u8..=32), 0..12),
            probe in any::<u32>(),
        ) {
            let networks: Vec<_> =
                parts.iter().filter_map(|(a, p)| Ipv4Network::around(Ipv4Addr::from(*a), *p)).collect();
            let ranges = ranges(&networks);
            prop_assert!(ranges.windows(2).all(|w| u64::from(w[0].1) + 1 < u64::from(w[1].0)));
            for probe in networks.iter().flat_map(|n| [u32::from(n.first()), u32::from(n.last())]).chain([probe]) {
                let inside = ranges.iter().any(|(first, last)| (*first..=*last).contains(&probe));
                prop_assert_eq!(inside, networks.iter().any(|n| n.contains(Ipv4Addr::from(probe))));
            }
        }
    }
}
