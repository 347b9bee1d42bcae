//! Interfaces, addresses and routes of a build (rtnetlink).
//!
//! Each build gets a veth pair and two of the addresses of [`POOL`]. The pool has no register: a slot is taken by
//! creating the interface that is named after it, which the kernel does for one process only, and is free again when
//! the build's network namespace is gone, because the pair goes with it, however the runner ended.

use std::{
    net::Ipv4Addr,
    os::fd::{AsRawFd, BorrowedFd},
};

use rustix::{io::Errno, net::netdevice};

use super::{
    address::Ipv4Network,
    netlink::{CREATE, DUMP, EXCL, Request, Socket, attribute, attributes, text},
};

/// Names of the host's ends begin so. The digit is the version of the firewall rules that they need
/// ([`super::firewall`]).
pub(crate) const PREFIX: &str = "kiln1-";
/// Addresses of builds: half of the range that RFC 2544 sets aside, which no network routes. The other half is left to
/// tools that answer names with made-up addresses of it.
pub(crate) const POOL: Ipv4Network = Ipv4Network::constant([198, 19, 0, 0], 16);
/// Pairs of addresses in [`POOL`].
const SLOTS: u32 = 1 << 15;
/// The build's end.
const GUEST_NAME: &str = "eth0";
/// Address on the build's own loopback that the runner serves from outside: names, role credentials, the API (DESIGN
/// decision 8).
pub const SERVICE_ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 170, 2);

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_SETLINK: u16 = 19;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
const IFLA_AF_SPEC: u16 = 26;
const IFLA_GROUP: u16 = 27;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFLA_INET_CONF: u16 = 1;
const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
const IN6_ADDR_GEN_MODE_NONE: u8 = 1;
const IPV4_DEVCONF_FORWARDING: u16 = 1;
const IPV4_DEVCONF_RP_FILTER: u16 = 8;
const IPV4_DEVCONF_ARP_IGNORE: u16 = 19;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IFF_UP: u32 = 1;
/// A namespace's loopback interface is its first.
const LOOPBACK: u32 = 1;
const SCOPE_HOST: u8 = 254;

/// The host's end of a build's veth pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Veth {
    /// Number of the host's end; the kernel does not use one again.
    pub(crate) index: u32,
    /// Name of the host's end.
    pub(crate) name: String,
    /// The build's gateway.
    pub(crate) host: Ipv4Addr,
    /// The build's address.
    pub(crate) guest: Ipv4Addr,
}

/// An interface of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) mtu: u32,
    /// What its creator noted on it: `kiln:<id>` on ours.
    pub(crate) alias: Option<String>,
}

fn link_header(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&change.to_ne_bytes());
    header
}

fn set_up(index: u32, up: bool) -> Request {
    Request::new(RTM_SETLINK, 0, &link_header(index, if up { IFF_UP } else { 0 }, IFF_UP))
}

fn add_address(index: u32, address: Ipv4Addr, prefix: u8, scope: u8) -> Request {
    let mut header = [AF_INET, prefix, 0, scope, 0, 0, 0, 0];
    header[4..].copy_from_slice(&index.to_ne_bytes());
    let mut request = Request::new(RTM_NEWADDR, CREATE | EXCL, &header);
    request.attribute(IFA_LOCAL, &address.octets());
    request.attribute(IFA_ADDRESS, &address.octets());
    request
}

fn default_route(index: u32, gateway: Ipv4Addr) -> Request {
    // Table main, protocol static, scope universe, type unicast.
    let mut request = Request::new(RTM_NEWROUTE, CREATE | EXCL, &[AF_INET, 0, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0]);
    request.attribute(RTA_GATEWAY, &gateway.octets());
    request.attribute(RTA_OIF, &index.to_ne_bytes());
    request
}

/// No IPv6 address of its own: builds have no IPv6 outside their loopback, and the firewall drops what they send.
fn no_ipv6(index: u32) -> Request {
    let mut request = Request::new(RTM_SETLINK, 0, &link_header(index, 0, 0));
    request.nested(IFLA_AF_SPEC, |r| {
        r.nested(u16::from(AF_INET6), |r| r.attribute(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]));
    });
    request
}

/// Creates the pair, with the other end in `netns`, takes it up on the host's side and notes `id` on it. `group` tells
/// the firewall which policy holds for the interface.
///
/// # Errors
/// The kernel's; `ENOSPC` when all slots are taken.
pub(crate) fn create(
    socket: &mut Socket,
    netns: BorrowedFd<'_>,
    id: &str,
    group: u32,
    mtu: u32,
) -> Result<Veth, Errno> {
    // Builds that start together should not try the same slots.
    let start = id.bytes().fold(0x811c_9dc5_u32, |hash, b| (hash ^ u32::from(b)).wrapping_mul(0x0100_0193));
    let mut missing = 0;
    for attempt in 0..SLOTS {
        let slot = start.wrapping_add(attempt) % SLOTS;
        let veth = Veth::in_slot(slot);
        match socket.transact(&[new_pair(&veth, slot, netns, group, mtu)]) {
            Ok(()) => {
                let index = netdevice::name_to_index(&*socket, &veth.name)?;
                let veth = Veth { index, ..veth };
                return configure_host_end(socket, &veth, id).map(|()| veth).inspect_err(|_| {
                    // The pair is useless; its namespace's end would remove it anyway.
                    delete(socket, index).ok();
                });
            }
            Err(refused) if refused.errno == Errno::EXIST => {
                // Taken, or just freed, or the namespace has an eth0 already: then no slot will do.
                if netdevice::name_to_index(&*socket, &veth.name).is_err() {
                    missing += 1;
                    if missing > 8 {
                        return Err(Errno::EXIST);
                    }
                }
            }
            Err(refused) => return Err(refused.errno),
        }
    }
    Err(Errno::NOSPC)
}

impl Veth {
    fn in_slot(slot: u32) -> Self {
        let host = u32::from(POOL.first()) + slot * 2;
        Self {
            index: 0,
            name: format!("{PREFIX}{slot:04x}"),
            host: Ipv4Addr::from(host),
            guest: Ipv4Addr::from(host + 1),
        }
    }
}

fn new_pair(veth: &Veth, slot: u32, netns: BorrowedFd<'_>, group: u32, mtu: u32) -> Request {
    // Addresses are set, or udev would replace the host's end's at some later moment and break the build's ARP table.
    let [.., high, low] = slot.to_be_bytes();
    let mut request = Request::new(RTM_NEWLINK, CREATE | EXCL, &link_header(0, 0, 0));
    request.string(IFLA_IFNAME, &veth.name);
    request.attribute(IFLA_MTU, &mtu.to_ne_bytes());
    request.attribute(IFLA_GROUP, &group.to_ne_bytes());
    request.attribute(IFLA_ADDRESS, &[0x02, b'k', b'l', 0, high, low]);
    request.nested(IFLA_LINKINFO, |r| {
        r.string(IFLA_INFO_KIND, "veth");
        r.nested(IFLA_INFO_DATA, |r| {
            r.nested(VETH_INFO_PEER, |r| {
                r.raw(&link_header(0, 0, 0));
                r.string(IFLA_IFNAME, GUEST_NAME);
                r.attribute(IFLA_MTU, &mtu.to_ne_bytes());
                r.attribute(IFLA_ADDRESS, &[0x02, b'k', b'l', 1, high, low]);
                r.attribute(IFLA_NET_NS_FD, &netns.as_raw_fd().to_ne_bytes());
            });
        });
    });
    request
}

fn configure_host_end(socket: &mut Socket, veth: &Veth, id: &str) -> Result<(), Errno> {
    // Refused where the kernel has no IPv6: just as well.
    socket.transact(&[no_ipv6(veth.index)]).ok();
    let mut settings = Request::new(RTM_SETLINK, 0, &link_header(veth.index, 0, 0));
    settings.string(IFLA_IFALIAS, &format!("{ALIAS}{id}"));
    settings.nested(IFLA_AF_SPEC, |r| {
        r.nested(u16::from(AF_INET), |r| {
            r.nested(IFLA_INET_CONF, |r| {
                r.attribute(IPV4_DEVCONF_FORWARDING, &1u32.to_ne_bytes());
                r.attribute(IPV4_DEVCONF_RP_FILTER, &1u32.to_ne_bytes());
                // Tell the build the gateway's link address, and not which other addresses this machine has.
                r.attribute(IPV4_DEVCONF_ARP_IGNORE, &1u32.to_ne_bytes());
            });
        });
    });
    socket
        .transact(&[settings, add_address(veth.index, veth.host, 31, 0), set_up(veth.index, true)])
        .map_err(|refused| refused.errno)
}

/// What [`create`] notes on an interface, before the build's id.
const ALIAS: &str = "kiln:";

/// Configures the build's side; to be called in its network namespace. `veth` is absent when the build has only its
/// loopback.
///
/// # Errors
/// The kernel's.
pub(crate) fn configure_guest(veth: Option<&Veth>) -> Result<(), Errno> {
    let mut socket = Socket::route()?;
    let mut requests = vec![set_up(LOOPBACK, true), add_address(LOOPBACK, SERVICE_ADDRESS, 32, SCOPE_HOST)];
    if let Some(veth) = veth {
        let index = netdevice::name_to_index(&socket, GUEST_NAME)?;
        socket.transact(&[no_ipv6(index)]).ok(); // as above
        requests.extend([add_address(index, veth.guest, 31, 0), set_up(index, true), default_route(index, veth.host)]);
    }
    socket.transact(&requests).map_err(|refused| refused.errno)
}

/// Removes an interface; one that is gone already counts as removed.
///
/// # Errors
/// The kernel's.
pub(crate) fn delete(socket: &mut Socket, index: u32) -> Result<(), Errno> {
    match socket.transact(&[Request::new(RTM_DELLINK, 0, &link_header(index, 0, 0))]) {
        Err(refused) if refused.errno != Errno::NODEV => Err(refused.errno),
        _ => Ok(()),
    }
}

/// Takes an interface down, so that nothing passes it.
///
/// # Errors
/// The kernel's.
pub(crate) fn take_down(socket: &mut Socket, index: u32) -> Result<(), Errno> {
    socket.transact(&[set_up(index, false)]).map_err(|refused| refused.errno)
}

/// The interface that packets to `destination` leave by, or `None` if there is no route. Asks the kernel only, sends
/// nothing.
///
/// # Errors
/// The kernel's.
pub(crate) fn route_to(socket: &mut Socket, destination: Ipv4Addr) -> Result<Option<Link>, Errno> {
    let mut request = Request::new(RTM_GETROUTE, 0, &[AF_INET, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    request.attribute(RTA_DST, &destination.octets());
    let answers = match socket.query(&request) {
        Err(Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::ACCESS | Errno::INVAL) => return Ok(None),
        answers => answers?,
    };
    let interface = answers.first().and_then(|body| attribute(body.get(12..)?, RTA_OIF)).and_then(number);
    let Some(index) = interface else { return Ok(None) };
    let answers = socket.query(&Request::new(RTM_GETLINK, 0, &link_header(index, 0, 0)))?;
    Ok(answers.first().and_then(|body| link(body)))
}

/// The networks that this machine's own IPv4 addresses are in, loopback and builds' links excepted: its neighbours.
///
/// # Errors
/// The kernel's.
pub(crate) fn neighbours(socket: &mut Socket) -> Result<Vec<Ipv4Network>, Errno> {
    let answers = socket.query(&Request::new(RTM_GETADDR, DUMP, &[AF_INET, 0, 0, 0, 0, 0, 0, 0]))?;
    Ok(answers
        .iter()
        .filter_map(|body| {
            let prefix = *body.get(1)?;
            let attributes = body.get(8..)?;
            // IFA_ADDRESS is the other end of a point-to-point link, else the same as IFA_LOCAL.
            let address = attribute(attributes, IFA_ADDRESS).or_else(|| attribute(attributes, IFA_LOCAL))?;
            let address = Ipv4Addr::from(*address.first_chunk::<4>()?);
            Ipv4Network::around(address, prefix)
        })
        .filter(|network| {
            let first = network.first();
            // A prefix of 0 would be everything; it says nothing about neighbours.
            network.prefix() > 0 && !first.is_loopback() && !POOL.contains(first)
        })
        .collect())
}

/// The host's ends of builds' pairs, each with the build's id where it is noted already.
///
/// # Errors
/// The kernel's.
pub(crate) fn of_builds(socket: &mut Socket) -> Result<Vec<(Link, Option<String>)>, Errno> {
    Ok(all(socket)?
        .into_iter()
        .filter(|link| link.name.starts_with(PREFIX))
        .map(|link| {
            let id = link.alias.as_deref().and_then(|a| a.strip_prefix(ALIAS)).map(str::to_owned);
            (link, id)
        })
        .collect())
}

/// All interfaces.
///
/// # Errors
/// The kernel's.
fn all(socket: &mut Socket) -> Result<Vec<Link>, Errno> {
    let answers = socket.query(&Request::new(RTM_GETLINK, DUMP, &link_header(0, 0, 0)))?;
    Ok(answers.iter().filter_map(|body| link(body)).collect())
}

fn link(body: &[u8]) -> Option<Link> {
    let index = number(body.get(4..8)?)?;
    let mut link = Link { index, name: String::new(), mtu: 0, alias: None };
    for (kind, value) in attributes(body.get(16..)?) {
        match kind {
            IFLA_IFNAME => link.name = text(value),
            IFLA_MTU => link.mtu = number(value).unwrap_or(0),
            IFLA_IFALIAS => link.alias = Some(text(value)),
            _ => {}
        }
    }
    Some(link)
}

fn number(value: &[u8]) -> Option<u32> {
    value.first_chunk::<4>().map(|b| u32::from_ne_bytes(*b))
}
