//! nf_tables objects as netlink requests (linux/netfilter/nf_tables.h).

use crate::network::netlink::{APPEND, CREATE, EXCL, Request};

/// `NFPROTO_INET`: IPv4 and IPv6 together.
pub(super) const INET: u8 = 1;
/// `NFPROTO_IPV4`.
pub(super) const IPV4: u8 = 2;

const SUBSYSTEM: u16 = 10 << 8;
const NEWTABLE: u16 = SUBSYSTEM;
const NEWCHAIN: u16 = SUBSYSTEM | 3;
const GETCHAIN: u16 = SUBSYSTEM | 4;
const NEWRULE: u16 = SUBSYSTEM | 6;
const GETRULE: u16 = SUBSYSTEM | 7;
const NEWSET: u16 = SUBSYSTEM | 9;
const NEWSETELEM: u16 = SUBSYSTEM | 12;
const GETSETELEM: u16 = SUBSYSTEM | 13;
const DELSETELEM: u16 = SUBSYSTEM | 14;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

// Attributes with the same number in several objects: the table's name and, second or third, the object's own.
const TABLE: u16 = 1;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_POLICY: u16 = 5;
const CHAIN_TYPE: u16 = 7;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const SET_NAME: u16 = 2;
const SET_FLAGS: u16 = 3;
const SET_KEY_TYPE: u16 = 4;
const SET_KEY_LEN: u16 = 5;
const SET_DESC: u16 = 9;
const SET_ID: u16 = 10;
const SET_USERDATA: u16 = 13;
const ELEMENTS: u16 = 3;
const LIST_ELEMENT: u16 = 1;

/// The register that every rule here computes in.
const REGISTER: u32 = 1;
/// `NF_DROP`.
const DROP: i32 = 0;
/// `NF_ACCEPT`.
const ACCEPT: i32 = 1;
/// `NFT_JUMP`.
const JUMP: i32 = -3;
/// `NFT_GOTO`.
const GOTO: i32 = -4;

fn object(kind: u16, flags: u16, family: u8, table: &str) -> Request {
    let mut request = Request::new(kind, flags, &[family, 0, 0, 0]);
    request.string(TABLE, table);
    request
}

/// Wraps `requests` so that the kernel does all or none of them.
pub(super) fn batch(requests: Vec<Request>) -> Vec<Request> {
    let bound = |kind| Request::new(kind, 0, &[0, 0, 0, SUBSYSTEM.to_be_bytes()[0]]);
    let mut all = Vec::with_capacity(requests.len() + 2);
    all.push(bound(BATCH_BEGIN));
    all.extend(requests);
    all.push(bound(BATCH_END));
    all
}

/// A new table; fails if it exists.
pub(super) fn table(name: &str) -> Request {
    object(NEWTABLE, CREATE | EXCL, INET, name)
}

/// A new chain that rules jump to.
pub(super) fn chain(table: &str, name: &str) -> Request {
    let mut request = object(NEWCHAIN, CREATE | EXCL, INET, table);
    request.string(CHAIN_NAME, name);
    request
}

/// Where in a packet's way a base chain stands.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hook {
    Prerouting = 0,
    Input = 1,
    Forward = 2,
    Output = 3,
    Postrouting = 4,
}

/// A new base chain with policy accept.
pub(super) fn base_chain(table: &str, name: &str, kind: &str, hook: Hook, priority: i32) -> Request {
    let mut request = chain(table, name);
    request.nested(CHAIN_HOOK, |r| {
        r.be32(1, hook as u32);
        r.attribute(2, &priority.to_be_bytes());
    });
    request.be32(CHAIN_POLICY, ACCEPT as u32);
    request.string(CHAIN_TYPE, kind);
    request
}

/// Asks for a chain.
pub(super) fn get_chain(family: u8, table: &str, name: &str) -> Request {
    let mut request = object(GETCHAIN, 0, family, table);
    request.string(CHAIN_NAME, name);
    request
}

/// Asks for all chains of all tables.
pub(super) fn get_chains() -> Request {
    Request::new(GETCHAIN, crate::network::netlink::DUMP, &[0, 0, 0, 0])
}

/// Asks for the rules of a chain.
pub(super) fn get_rules(family: u8, table: &str, chain: &str) -> Request {
    let mut request = Request::new(GETRULE, crate::network::netlink::DUMP, &[family, 0, 0, 0]);
    request.string(TABLE, table);
    request.string(RULE_CHAIN, chain);
    request
}

/// What one chain says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ChainInfo {
    pub(super) family: u8,
    pub(super) table: String,
    pub(super) name: String,
    /// Hook number, for base chains.
    pub(super) hook: Option<u32>,
    /// Drops what no rule accepts.
    pub(super) drops: bool,
}

/// Reads an answer to [`get_chain`] or [`get_chains`].
pub(super) fn chain_info(body: &[u8]) -> Option<ChainInfo> {
    use crate::network::netlink::{attribute, text};
    let attributes = body.get(4..)?;
    let number = |value: &[u8]| value.first_chunk::<4>().map(|b| u32::from_be_bytes(*b));
    Some(ChainInfo {
        family: *body.first()?,
        table: text(attribute(attributes, TABLE)?),
        name: text(attribute(attributes, CHAIN_NAME)?),
        hook: attribute(attributes, CHAIN_HOOK).and_then(|hook| attribute(hook, 1)).and_then(number),
        drops: attribute(attributes, CHAIN_POLICY).and_then(number) == Some(DROP as u32),
    })
}

/// What a set holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum SetKind {
    /// Ranges of IPv4 addresses.
    Ranges,
    /// IPv4 addresses that rules add, at most this many.
    Counters(u32),
    /// Interface names.
    Interfaces,
}

/// Length of an interface name in a set.
const INTERFACE_BYTES: usize = 16;

/// A new set. `id` names it within the batch that creates it.
pub(super) fn set(table: &str, name: &str, kind: SetKind, id: u32) -> Request {
    const INTERVAL: u32 = 0x4;
    const EVAL: u32 = 0x20;
    // Type numbers are nft's own, for display.
    const TYPE_IPV4: u32 = 7;
    const TYPE_IFNAME: u32 = 41;
    let (flags, key_type, key_len, size) = match kind {
        SetKind::Ranges => (INTERVAL, TYPE_IPV4, 4, None),
        SetKind::Counters(size) => (EVAL, TYPE_IPV4, 4, Some(size)),
        SetKind::Interfaces => (0, TYPE_IFNAME, INTERFACE_BYTES as u32, None),
    };
    let mut request = object(NEWSET, CREATE | EXCL, INET, table);
    request.string(SET_NAME, name);
    request.be32(SET_FLAGS, flags);
    request.be32(SET_KEY_TYPE, key_type);
    request.be32(SET_KEY_LEN, key_len);
    request.be32(SET_ID, id);
    if let Some(size) = size {
        request.nested(SET_DESC, |r| r.be32(1, size));
    }
    if matches!(kind, SetKind::Interfaces) {
        // Tells nft that the keys are in host order; without it, it shows none.
        let [a, b, c, d] = 1u32.to_ne_bytes();
        request.attribute(SET_USERDATA, &[0, 4, a, b, c, d]);
    }
    request
}

fn elements(kind: u16, flags: u16, table: &str, set: &str, fill: impl FnOnce(&mut Request)) -> Request {
    let mut request = object(kind, flags, INET, table);
    request.string(SET_NAME, set);
    request.nested(ELEMENTS, fill);
    request
}

fn element(r: &mut Request, key: &[u8], flags: u32) {
    r.nested(LIST_ELEMENT, |r| {
        r.nested(1, |r| r.attribute(1, key));
        if flags != 0 {
            r.be32(3, flags);
        }
    });
}

/// Adds `ranges` (first, last) to a set of ranges, in as many requests as needed.
pub(super) fn add_ranges(table: &str, set: &str, ranges: &[(u32, u32)]) -> Vec<Request> {
    const INTERVAL_END: u32 = 1;
    const RANGES_A_REQUEST: usize = 500; // 48 bytes each; an attribute ends at 64 KiB
    let part = |part: &[(u32, u32)]| {
        elements(NEWSETELEM, CREATE, table, set, |r| {
            for (first, last) in part {
                element(r, &first.to_be_bytes(), 0);
                // A range without end reaches to the last address.
                if let Some(end) = last.checked_add(1) {
                    element(r, &end.to_be_bytes(), INTERVAL_END);
                }
            }
        })
    };
    ranges.chunks(RANGES_A_REQUEST).map(part).collect()
}

/// Adds an interface name to a set of them.
pub(super) fn add_interface(table: &str, set: &str, name: &str) -> Request {
    elements(NEWSETELEM, CREATE, table, set, |r| element(r, &interface_key(name), 0))
}

/// Empties a set.
pub(super) fn flush_set(table: &str, set: &str) -> Request {
    let mut request = object(DELSETELEM, 0, INET, table);
    request.string(SET_NAME, set);
    request
}

/// Asks for a set's elements.
pub(super) fn get_elements(table: &str, set: &str) -> Request {
    let mut request = Request::new(GETSETELEM, crate::network::netlink::DUMP, &[INET, 0, 0, 0]);
    request.string(TABLE, table);
    request.string(SET_NAME, set);
    request
}

/// Whether an answer to [`get_elements`] holds any.
pub(super) fn has_elements(body: &[u8]) -> bool {
    use crate::network::netlink::attribute;
    body.get(4..).and_then(|a| attribute(a, ELEMENTS)).is_some_and(|list| !list.is_empty())
}

fn interface_key(name: &str) -> [u8; INTERFACE_BYTES] {
    let mut key = [0; INTERFACE_BYTES];
    for (slot, byte) in key.iter_mut().zip(name.bytes().take(INTERFACE_BYTES - 1)) {
        *slot = byte;
    }
    key
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Is {
    Equal = 0,
    NotEqual = 1,
}

/// Which way a packet comes or goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// Comes in by.
    In,
    /// Goes out by.
    Out,
}

/// Which address of a packet.
#[derive(Debug, Clone, Copy)]
pub(super) enum Address {
    Source,
    Destination,
}

/// A connection's states (`NF_CT_STATE_BIT`).
pub(super) const ESTABLISHED_OR_RELATED: u32 = 2 | 4;
/// A connection's first packet.
pub(super) const NEW: u32 = 8;

/// A rule at the end of `chain`. Its expressions are evaluated from left to right, and it ends where one does not hold.
pub(super) fn rule(table: &str, chain: &str, fill: impl FnOnce(&mut Expressions<'_>)) -> Request {
    let mut request = object(NEWRULE, CREATE | APPEND, INET, table);
    request.string(RULE_CHAIN, chain);
    request.nested(RULE_EXPRESSIONS, |r| fill(&mut Expressions(r)));
    request
}

/// The expressions of a rule.
pub(super) struct Expressions<'a>(&'a mut Request);

impl Expressions<'_> {
    fn push(&mut self, name: &str, fill: impl FnOnce(&mut Request)) -> &mut Self {
        self.0.nested(LIST_ELEMENT, |r| {
            r.string(1, name);
            r.nested(2, fill);
        });
        self
    }

    fn compare(&mut self, is: Is, value: &[u8]) -> &mut Self {
        self.push("cmp", |r| {
            r.be32(1, REGISTER);
            r.be32(2, is as u32);
            r.nested(3, |r| r.attribute(1, value));
        })
    }

    fn meta(&mut self, key: u32) -> &mut Self {
        self.push("meta", |r| {
            r.be32(1, REGISTER);
            r.be32(2, key);
        })
    }

    /// The interface's name begins with `prefix`.
    pub(super) fn interface(&mut self, way: Way, is: Is, prefix: &str) -> &mut Self {
        let key = match way {
            Way::In => 6,
            Way::Out => 7,
        };
        self.meta(key).compare(is, prefix.as_bytes())
    }

    /// The interface's name is in `set`.
    pub(super) fn interface_in(&mut self, set: &str, id: u32) -> &mut Self {
        self.meta(6).lookup(set, id)
    }

    /// The packet came by an interface of `group`.
    pub(super) fn in_group(&mut self, group: u32) -> &mut Self {
        self.meta(21).compare(Is::Equal, &group.to_ne_bytes())
    }

    /// The packet is IPv4, or is not.
    pub(super) fn ipv4(&mut self, is: Is) -> &mut Self {
        self.meta(15).compare(is, &[IPV4])
    }

    /// The packet is TCP.
    pub(super) fn tcp(&mut self) -> &mut Self {
        self.meta(16).compare(Is::Equal, &[6])
    }

    fn load(&mut self, address: Address) -> &mut Self {
        self.push("payload", |r| {
            r.be32(1, REGISTER);
            r.be32(2, 1); // network header
            r.be32(
                3,
                match address {
                    Address::Source => 12,
                    Address::Destination => 16,
                },
            );
            r.be32(4, 4);
        })
    }

    fn mask(&mut self, mask: [u8; 4]) -> &mut Self {
        self.push("bitwise", |r| {
            r.be32(1, REGISTER);
            r.be32(2, REGISTER);
            r.be32(3, 4);
            r.nested(4, |r| r.attribute(1, &mask));
            r.nested(5, |r| r.attribute(1, &[0; 4]));
        })
    }

    fn lookup(&mut self, set: &str, id: u32) -> &mut Self {
        self.push("lookup", |r| {
            r.string(1, set);
            r.be32(2, REGISTER);
            r.be32(4, id);
        })
    }

    /// The address is in `network`, or is not. IPv4 packets only.
    pub(super) fn within(
        &mut self,
        address: Address,
        is: Is,
        network: crate::network::address::Ipv4Network,
    ) -> &mut Self {
        self.load(address).mask(network.mask()).compare(is, &network.first().octets())
    }

    /// The destination is in `set`, created in this batch as `id`. IPv4 packets only.
    pub(super) fn destination_in(&mut self, set: &str, id: u32) -> &mut Self {
        self.load(Address::Destination).lookup(set, id)
    }

    /// The source address is one that would be reached by the interface that the packet came by, or is not.
    pub(super) fn reverse_path(&mut self, is: Is) -> &mut Self {
        const SOURCE: u32 = 1;
        const BY_INTERFACE: u32 = 8;
        const RESULT_INTERFACE: u32 = 1;
        self.push("fib", |r| {
            r.be32(1, REGISTER);
            r.be32(2, RESULT_INTERFACE);
            r.be32(3, SOURCE | BY_INTERFACE);
        });
        // No interface: 0.
        let is = match is {
            Is::Equal => Is::NotEqual,
            Is::NotEqual => Is::Equal,
        };
        self.compare(is, &0u32.to_ne_bytes())
    }

    fn connection(&mut self, key: u32, bits: u32, is: Is) -> &mut Self {
        self.push("ct", |r| {
            r.be32(1, REGISTER);
            r.be32(2, key);
        });
        self.mask(bits.to_ne_bytes());
        let is = match is {
            Is::Equal => Is::NotEqual,
            Is::NotEqual => Is::Equal,
        };
        self.compare(is, &[0; 4])
    }

    /// The connection is in one of `states`, or in none.
    pub(super) fn state(&mut self, is: Is, states: u32) -> &mut Self {
        self.connection(0, states, is)
    }

    /// The connection's destination was translated, or was not.
    pub(super) fn translated(&mut self, is: Is) -> &mut Self {
        const DESTINATION_NAT: u32 = 1 << 5;
        self.connection(2, DESTINATION_NAT, is)
    }

    /// The source address has more than `limit` connections. `set` holds the counts.
    pub(super) fn more_connections_than(&mut self, limit: u32, set: &str, id: u32) -> &mut Self {
        const INVERTED: u32 = 1;
        self.load(Address::Source).push("dynset", |r| {
            r.string(1, set);
            r.be32(2, id);
            r.be32(3, 0); // add
            r.be32(4, REGISTER);
            r.nested(7, |r| {
                r.string(1, "connlimit");
                r.nested(2, |r| {
                    r.be32(1, limit);
                    r.be32(2, INVERTED);
                });
            });
        })
    }

    fn verdict(&mut self, code: i32, chain: Option<&str>) {
        self.push("immediate", |r| {
            r.be32(1, 0); // the verdict register
            r.nested(2, |r| {
                r.nested(2, |r| {
                    r.attribute(1, &code.to_be_bytes());
                    if let Some(chain) = chain {
                        r.string(2, chain);
                    }
                });
            });
        });
    }

    /// Let the packet pass this table.
    pub(super) fn accept(&mut self) {
        self.verdict(ACCEPT, None);
    }

    /// Drop the packet without a word.
    pub(super) fn drop(&mut self) {
        self.verdict(DROP, None);
    }

    /// Go on in `chain` and come back at its end.
    pub(super) fn jump(&mut self, chain: &str) {
        self.verdict(JUMP, Some(chain));
    }

    /// Go on in `chain`.
    pub(super) fn goto(&mut self, chain: &str) {
        self.verdict(GOTO, Some(chain));
    }

    /// Count packets, for people who look.
    pub(super) fn counter(&mut self) -> &mut Self {
        self.push("counter", |_| {})
    }

    /// Refuse with a TCP reset.
    pub(super) fn reject_tcp(&mut self) {
        self.push("reject", |r| r.be32(1, 1));
    }

    /// Refuse with an ICMP message: administratively prohibited.
    pub(super) fn reject(&mut self) {
        self.push("reject", |r| {
            r.be32(1, 2);
            r.attribute(2, &[3]);
        });
    }

    /// Replace the source address by that of the interface that the packet leaves by.
    pub(super) fn masquerade(&mut self) {
        self.push("masq", |_| {});
    }
}
