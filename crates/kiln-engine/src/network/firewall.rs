//! What builds may reach: one nf_tables table of our own (security.md 4.5).
//!
//! The table is installed once and holds nothing that belongs to one build: its rules know builds' interfaces by the
//! beginning of their names and their policy by the interface's group. So a start costs one question to the kernel,
//! and a build that dies leaves nothing here.
//!
//! Everything from a build that no rule accepts is refused or dropped; rules of other tables still hold (in nf_tables
//! an accept counts for its own table only).

mod nft;
pub(crate) mod others;

use rustix::io::Errno;
use sha2::{Digest, Sha256};

use self::nft::{Address, ESTABLISHED_OR_RELATED, Hook, Is, NEW, SetKind, Way};
use super::{
    address::{Ipv4Network, merge, ranges},
    link::{POOL, PREFIX},
    netlink::{Refused, Request, Socket},
};

/// The table's name. Its rules are never changed in place: another version of the rules takes another name, and
/// another interface prefix, so that builds of an older `kiln` keep theirs.
pub(crate) const TABLE: &str = "kiln1";

/// Connections that one build may have at a time; each costs the host an entry in its connection table.
pub(crate) const MAX_CONNECTIONS: u32 = 4096;

/// What no build reaches, unless the operator allows it: addresses that mean this machine, its neighbours or nothing
/// at all. The machine's own addresses need no entry: packets to them are not forwarded.
pub(crate) const DENIED: [Ipv4Network; 12] = [
    Ipv4Network::constant([0, 0, 0, 0], 8),
    Ipv4Network::constant([10, 0, 0, 0], 8),
    Ipv4Network::constant([100, 64, 0, 0], 10),
    Ipv4Network::constant([127, 0, 0, 0], 8),
    Ipv4Network::constant([168, 63, 129, 16], 32), // one cloud's metadata service, on a public address
    Ipv4Network::constant([169, 254, 0, 0], 16),
    Ipv4Network::constant([172, 16, 0, 0], 12),
    Ipv4Network::constant([192, 0, 0, 0], 24),
    Ipv4Network::constant([192, 168, 0, 0], 16),
    POOL,
    Ipv4Network::constant([224, 0, 0, 0], 4),
    Ipv4Network::constant([240, 0, 0, 0], 4),
];

// Chains.
const FROM_BUILD: &str = "from_build";
const TO_BUILD: &str = "to_build";
const COMMON: &str = "common";
const PERMITTED: &str = "permitted";
const REFUSED: &str = "refused";
// Sets.
const DENY: &str = "deny";
const CONNECTIONS: &str = "connections";
const UPLINKS: &str = "uplinks";

/// What one build may reach beyond, and beside, what holds for all. Equal policies share their rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    allow: Vec<(u32, u32)>,
    deny: Vec<(u32, u32)>,
    group: u32,
}

impl Policy {
    /// `allow` wins over `deny` and over [`DENIED`].
    pub(crate) fn new(allow: &[Ipv4Network], deny: &[Ipv4Network]) -> Self {
        let (allow, deny) = (ranges(allow), ranges(deny));
        let mut hash = Sha256::new();
        for list in [&allow, &deny] {
            hash.update(list.len().to_le_bytes());
            for (first, last) in list {
                hash.update(first.to_le_bytes());
                hash.update(last.to_le_bytes());
            }
        }
        let digest: [u8; 32] = hash.finalize().into();
        let [a, b, c, d, ..] = digest;
        // Group 0 is every other interface's. Tools show groups as signed.
        Self { allow, deny, group: (u32::from_le_bytes([a, b, c, d]) >> 1).max(1) }
    }

    /// The interface group that stands for the policy.
    pub(crate) fn group(&self) -> u32 {
        self.group
    }

    fn name(&self, what: &str) -> String {
        format!("{what}_{:08x}", self.group)
    }
}

/// Makes sure that the rules for `policy` are in force.
///
/// # Errors
/// What the kernel refused, in words.
pub(crate) fn ensure(socket: &mut Socket, policy: &Policy) -> Result<(), FirewallError> {
    // Another process may install the same rules, or remove a table that no build uses, at any moment.
    for _ in 0..8 {
        match socket.query(&nft::get_chain(nft::INET, TABLE, &policy.name("policy"))) {
            Ok(_) => return Ok(()),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(FirewallError::new("ask for its rules", errno)),
        }
        match install(socket, table_requests()) {
            Ok(()) | Err(Refused { errno: Errno::EXIST, .. }) => {}
            Err(refused) => return Err(FirewallError::new("install its rules", refused.errno)),
        }
        match install(socket, policy_requests(policy)) {
            Ok(()) | Err(Refused { errno: Errno::EXIST | Errno::NOENT, .. }) => {}
            Err(refused) => return Err(FirewallError::new("install the rules for allowed addresses", refused.errno)),
        }
    }
    Err(FirewallError::new("keep its rules: something on this machine keeps removing them", Errno::AGAIN))
}

/// Puts the rules for `policy` into the network namespace that the caller is in, for what leaves it; `resolver` stays
/// open. For builds that the host's rules do not see, because another program makes their connections.
///
/// # Errors
/// What the kernel refused, in words.
pub(crate) fn confine(policy: &Policy, resolver: Ipv4Network) -> Result<(), FirewallError> {
    let failed = |errno| FirewallError::new("install rules in the build's own network", errno);
    let mut socket = Socket::netfilter().map_err(failed)?;
    install(&mut socket, confined_requests(policy, resolver)).map_err(|refused| failed(refused.errno))
}

/// Whether the kernel lets this process deal with the network namespace that it is in.
pub(crate) fn may_be_asked(socket: &mut Socket) -> bool {
    // Any question needs CAP_NET_ADMIN there. A kernel without nf_tables answers otherwise, and is told of later.
    !matches!(socket.query(&nft::get_chain(nft::INET, TABLE, FROM_BUILD)), Err(Errno::PERM | Errno::ACCESS))
}

/// Why builds have no firewall.
#[derive(Debug, thiserror::Error)]
#[error("the kernel's firewall (nf_tables) did not let kiln {what}: {errno}{}", self.hint())]
pub(crate) struct FirewallError {
    what: &'static str,
    pub(crate) errno: Errno,
}

impl FirewallError {
    fn new(what: &'static str, errno: Errno) -> Self {
        Self { what, errno }
    }

    fn hint(&self) -> &'static str {
        match self.errno {
            Errno::PERM | Errno::ACCESS => " (CAP_NET_ADMIN is needed)",
            Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT | Errno::OPNOTSUPP | Errno::NOENT | Errno::INVAL => {
                " (are the modules nf_tables, nft_ct, nft_masq, nft_fib_inet, nft_reject_inet and nft_connlimit there?)"
            }
            _ => "",
        }
    }
}

fn install(socket: &mut Socket, requests: Vec<Request>) -> Result<(), Refused> {
    socket.commit(&nft::batch(requests))
}

/// Has the rules drop what strangers would send through this machine by way of `uplink`, which Kiln is about to let
/// forward packets. Without this, a machine that was no router would become one.
///
/// # Errors
/// The kernel's.
pub(crate) fn guard_uplink(socket: &mut Socket, uplink: &str) -> Result<(), Errno> {
    install(socket, vec![nft::add_interface(TABLE, UPLINKS, uplink)]).map_err(|refused| refused.errno)
}

/// Takes [`guard_uplink`] back: the operator has made this machine a router since.
///
/// # Errors
/// The kernel's.
pub(crate) fn release_uplinks(socket: &mut Socket) -> Result<(), Errno> {
    let answers = match socket.query(&nft::get_elements(TABLE, UPLINKS)) {
        Err(Errno::NOENT) => return Ok(()),
        answers => answers?,
    };
    if answers.iter().any(|body| nft::has_elements(body)) {
        install(socket, vec![nft::flush_set(TABLE, UPLINKS)]).map_err(|refused| refused.errno)?;
    }
    Ok(())
}

/// The table and what holds for all builds.
fn table_requests() -> Vec<Request> {
    const DENY_ID: u32 = 1;
    const CONNECTIONS_ID: u32 = 2;
    const UPLINKS_ID: u32 = 3;
    let rule = |chain: &str, fill: &dyn Fn(&mut nft::Expressions<'_>)| nft::rule(TABLE, chain, |e| fill(e));

    let mut requests = vec![
        nft::table(TABLE),
        nft::set(TABLE, DENY, SetKind::Ranges, DENY_ID),
        nft::set(TABLE, CONNECTIONS, SetKind::Counters(65_536), CONNECTIONS_ID),
        nft::set(TABLE, UPLINKS, SetKind::Interfaces, UPLINKS_ID),
    ];
    requests.extend(nft::add_ranges(TABLE, DENY, &ranges(&DENIED)));
    requests.extend([
        // Before connection tracking: what is dropped here leaves no trace.
        nft::base_chain(TABLE, "prerouting", "filter", Hook::Prerouting, -300),
        // A little before everybody's filters, so that a build learns of a refusal whatever they do.
        nft::base_chain(TABLE, "input", "filter", Hook::Input, -10),
        nft::base_chain(TABLE, "forward", "filter", Hook::Forward, -10),
        nft::base_chain(TABLE, "postrouting", "nat", Hook::Postrouting, 100),
    ]);
    requests.extend([FROM_BUILD, TO_BUILD, COMMON, PERMITTED, REFUSED].map(|name| nft::chain(TABLE, name)));
    requests.extend([
        // A build sends IPv4 from its own address, or nothing.
        rule("prerouting", &|e| e.interface(Way::In, Is::NotEqual, PREFIX).accept()),
        rule("prerouting", &|e| e.ipv4(Is::NotEqual).drop()),
        rule("prerouting", &|e| e.within(Address::Source, Is::NotEqual, POOL).drop()),
        rule("prerouting", &|e| e.reverse_path(Is::NotEqual).drop()),
        // Nothing of this machine: all packets to its own addresses come here.
        rule("input", &|e| e.interface(Way::In, Is::Equal, PREFIX).goto(REFUSED)),
        rule("forward", &|e| e.interface(Way::In, Is::Equal, PREFIX).jump(FROM_BUILD)),
        rule("forward", &|e| e.interface(Way::In, Is::Equal, PREFIX).counter().drop()),
        rule("forward", &|e| e.interface(Way::Out, Is::Equal, PREFIX).goto(TO_BUILD)),
        rule("forward", &|e| {
            e.interface_in(UPLINKS, UPLINKS_ID).state(Is::Equal, NEW).translated(Is::NotEqual).counter().drop();
        }),
        // From one build to another. Policies' rules follow; a build without one comes back and is dropped.
        rule(FROM_BUILD, &|e| e.interface(Way::Out, Is::Equal, PREFIX).goto(REFUSED)),
        rule(COMMON, &|e| e.destination_in(DENY, DENY_ID).goto(REFUSED)),
        // Redirected by somebody's rules: a public address of this machine that stands for a private one.
        rule(COMMON, &|e| e.translated(Is::Equal).goto(REFUSED)),
        rule(COMMON, &|e| e.goto(PERMITTED)),
        rule(PERMITTED, &|e| e.state(Is::Equal, ESTABLISHED_OR_RELATED).accept()),
        // Without connection there is no masquerading: the build's address would go out.
        rule(PERMITTED, &|e| e.state(Is::NotEqual, NEW).drop()),
        rule(PERMITTED, &|e| {
            e.more_connections_than(MAX_CONNECTIONS, CONNECTIONS, CONNECTIONS_ID).goto(REFUSED);
        }),
        rule(PERMITTED, &|e| e.accept()),
        // Only answers come in.
        rule(TO_BUILD, &|e| e.state(Is::Equal, ESTABLISHED_OR_RELATED).accept()),
        rule(TO_BUILD, &|e| e.counter().drop()),
        // At once, so that a command fails with a clear error instead of a time-out.
        rule(REFUSED, &|e| e.counter().tcp().reject_tcp()),
        rule(REFUSED, &|e| e.reject()),
        rule("postrouting", &|e| {
            e.ipv4(Is::Equal)
                .within(Address::Source, Is::Equal, POOL)
                .interface(Way::Out, Is::NotEqual, PREFIX)
                .masquerade();
        }),
    ]);
    requests
}

/// The chain of one policy, and what leads to it.
fn policy_requests(policy: &Policy) -> Vec<Request> {
    const ALLOW_ID: u32 = 11;
    const DENY_ID: u32 = 12;
    let chain = policy.name("policy");
    let mut requests = vec![nft::chain(TABLE, &chain)];
    for (set, id, list, target) in [
        (policy.name("allow"), ALLOW_ID, &policy.allow, PERMITTED),
        (policy.name("deny"), DENY_ID, &policy.deny, REFUSED),
    ] {
        if !list.is_empty() {
            requests.push(nft::set(TABLE, &set, SetKind::Ranges, id));
            requests.extend(nft::add_ranges(TABLE, &set, list));
            requests.push(nft::rule(TABLE, &chain, |e| e.destination_in(&set, id).goto(target)));
        }
    }
    requests.push(nft::rule(TABLE, &chain, |e| e.goto(COMMON)));
    requests.push(nft::rule(TABLE, FROM_BUILD, |e| e.in_group(policy.group).goto(&chain)));
    requests
}

fn confined_requests(policy: &Policy, resolver: Ipv4Network) -> Vec<Request> {
    const ALLOW_ID: u32 = 1;
    const DENY_ID: u32 = 2;
    const OUTPUT: &str = "output";
    let mut denied: Vec<_> = DENIED.to_vec();
    denied.retain(|network| *network != POOL);
    let denied = merge(ranges(&denied).into_iter().chain(policy.deny.iter().copied()));
    let rule = |chain: &str, fill: &dyn Fn(&mut nft::Expressions<'_>)| nft::rule(TABLE, chain, |e| fill(e));
    let mut requests = vec![
        nft::table(TABLE),
        nft::chain(TABLE, REFUSED),
        nft::base_chain(TABLE, OUTPUT, "filter", Hook::Output, 0),
        nft::set(TABLE, DENY, SetKind::Ranges, DENY_ID),
    ];
    requests.extend(nft::add_ranges(TABLE, DENY, &denied));
    requests.extend([
        rule(OUTPUT, &|e| e.interface(Way::Out, Is::Equal, "lo\0").accept()),
        rule(OUTPUT, &|e| e.ipv4(Is::NotEqual).goto(REFUSED)),
        rule(OUTPUT, &|e| e.within(Address::Destination, Is::Equal, resolver).accept()),
    ]);
    if !policy.allow.is_empty() {
        requests.push(nft::set(TABLE, "allow", SetKind::Ranges, ALLOW_ID));
        requests.extend(nft::add_ranges(TABLE, "allow", &policy.allow));
        requests.push(rule(OUTPUT, &|e| e.destination_in("allow", ALLOW_ID).accept()));
    }
    requests.extend([
        rule(OUTPUT, &|e| e.destination_in(DENY, DENY_ID).goto(REFUSED)),
        rule(REFUSED, &|e| e.counter().tcp().reject_tcp()),
        rule(REFUSED, &|e| e.reject()),
    ]);
    requests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_do_not_change_without_a_new_name() {
        let mut hash = Sha256::new();
        for request in table_requests() {
            hash.update(request.body());
        }
        let digest: String = hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            (TABLE, PREFIX, digest.as_str()),
            ("kiln1", "kiln1-", "a2842139205f66a3"),
            "running builds rely on the rules under this name: count up the digit in TABLE and PREFIX, then correct this"
        );
    }

    #[test]
    fn equal_policies_share_a_group() {
        let net = |text: &str| text.parse::<Ipv4Network>().unwrap();
        let a = Policy::new(&[net("10.0.0.0/9"), net("10.128.0.0/9")], &[]);
        assert_eq!(a, Policy::new(&[net("10.0.0.0/8")], &[]));
        assert_ne!(a.group(), Policy::new(&[], &[net("10.0.0.0/8")]).group());
    }
}
