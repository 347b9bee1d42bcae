//! Letting the host forward what builds send and receive.
//!
//! Forwarding is switched by interface: on the builds' own and on those that lead to where builds may go. The switch for
//! all interfaces stays as it is, so that a machine that was no router does not become one; what strangers then
//! send through such an interface is dropped ([`super::firewall::guard_uplink`]).

use std::{fs, io, net::Ipv4Addr};

use super::{
    address::Ipv4Network,
    firewall,
    link::{self, Link},
    netlink::Socket,
};
use crate::Notices;

/// Largest packet on a build's link; smaller where the way out takes less.
const MTU: u32 = 1500;
/// Smallest packet that every IPv4 host takes (RFC 791); an uplink that says less is not to be believed.
const MIN_MTU: u32 = 576;
/// An address of the internet, to ask the kernel for the way there. Nothing is sent.
pub(super) const INTERNET: Ipv4Addr = Ipv4Addr::new(1, 1, 1, 1);

/// What [`enable`] found and did.
#[derive(Debug)]
pub(super) struct Forwarding {
    /// Largest packet for the build's link, bytes.
    pub(super) mtu: u32,
    /// Interfaces that Kiln switched on.
    pub(super) guarded: Vec<String>,
    pub(super) notices: Notices,
}

/// Switches forwarding on where it is needed. The error is the rest of a sentence.
pub(super) fn enable(route: &mut Socket, netfilter: &mut Socket, allow: &[Ipv4Network]) -> Result<Forwarding, String> {
    let mut forwarding = Forwarding { mtu: MTU, guarded: Vec::new(), notices: Notices::new() };
    let failed = |what: String| move |error: io::Error| format!("{what}: {error}");
    let everywhere = switched_on("all").map_err(failed("IPv4 forwarding cannot be read".into()))?;
    if everywhere {
        firewall::release_uplinks(netfilter)
            .map_err(|errno| failed("its firewall rules cannot be changed".into())(errno.into()))?;
    }
    for uplink in uplinks(route, allow, &mut forwarding.notices)? {
        forwarding.mtu = forwarding.mtu.min(uplink.mtu.max(MIN_MTU));
        let name = &uplink.name;
        if everywhere || switched_on(name).map_err(failed(format!("IPv4 forwarding of {name} cannot be read")))? {
            continue;
        }
        firewall::guard_uplink(netfilter, name)
            .map_err(|errno| failed("its firewall rules cannot be changed".into())(errno.into()))?;
        fs::write(path(name), "1").map_err(failed(format!("IPv4 forwarding of {name} cannot be switched on")))?;
        forwarding.guarded.push(uplink.name);
    }
    Ok(forwarding)
}

/// The interfaces that lead to where builds may go.
fn uplinks(route: &mut Socket, allow: &[Ipv4Network], notices: &mut Notices) -> Result<Vec<Link>, String> {
    let mut uplinks: Vec<Link> = Vec::new();
    for destination in [INTERNET].into_iter().chain(allow.iter().map(|network| network.last())) {
        match link::route_to(route, destination) {
            Ok(Some(link)) if !uplinks.contains(&link) => uplinks.push(link),
            Ok(Some(_)) => {}
            Ok(None) if destination == INTERNET => {
                notices.push("this machine has no route to the internet (IPv4), so builds have none either".to_owned());
            }
            Ok(None) => {}
            Err(errno) => return Err(format!("this machine's routes cannot be read: {errno}")),
        }
    }
    uplinks.retain(|link| link.name != "lo");
    Ok(uplinks)
}

fn switched_on(interface: &str) -> io::Result<bool> {
    Ok(fs::read_to_string(path(interface))?.trim() != "0")
}

fn path(interface: &str) -> String {
    // Of the calling thread's network namespace.
    format!("/proc/sys/net/ipv4/conf/{interface}/forwarding")
}
