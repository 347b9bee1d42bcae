//! Addresses and ranges of addresses.

use std::net::{IpAddr, Ipv6Addr};

/// A range of addresses: `203.0.113.0/24`, `2001:db8::/32`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().ok()?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => all,
            Some(bits) if bits.len() <= 3 && bits.bytes().all(|b| b.is_ascii_digit()) => bits.parse().ok()?,
            Some(_) => return None,
        };
        (bits <= all).then_some(Self { address, bits })
    }

    /// `None`: they are of different versions.
    pub(super) fn contains(self, address: IpAddr) -> Option<bool> {
        let same = |left: u128, right: u128, all: u32| (left ^ right).checked_shr(all - self.bits).unwrap_or(0) == 0;
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                Some(same(network.to_bits().into(), address.to_bits().into(), 32))
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => Some(same(network.to_bits(), address.to_bits(), 128)),
            _ => None,
        }
    }
}

/// Reads a caller's address. A socket that takes both versions shows those of version 4 as `::ffff:a.b.c.d`.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    let address: IpAddr = text.parse().ok()?;
    Some(match address {
        IpAddr::V6(v6) => Ipv6Addr::to_ipv4_mapped(&v6).map_or(address, IpAddr::V4),
        v4 @ IpAddr::V4(_) => v4,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_contain_their_addresses() {
        for (range, inside, outside) in [
            ("10.1.2.3/8", "10.9.9.9", "11.0.0.0"),
            ("203.0.113.7", "203.0.113.7", "203.0.113.8"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::/0", "2001:db8::1", "10.0.0.1"),
            ("10.0.0.0/8", "::ffff:10.0.0.1", "::ffff:11.0.0.1"),
        ] {
            let range = Network::parse(range).unwrap();
            assert_eq!(range.contains(address(inside).unwrap()), Some(true), "{range:?} {inside}");
            assert_ne!(range.contains(address(outside).unwrap()), Some(true), "{range:?} {outside}");
        }
        for wrong in
            ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8/8", "*", "010.0.0.1"]
        {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
    }
}
