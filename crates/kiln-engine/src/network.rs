//! Network modes of a sandbox (DESIGN decision 8, security.md 4.5).
//!
//! The launcher asks [`NetworkPlan::new`] what the process can do, gives the sandbox a network namespace of its own if
//! [`NetworkPlan::own_namespace`] says so, calls [`attach`] when that namespace exists and before the build's first
//! process runs, and keeps the [`NetworkHandle`] until the build is gone.
//!
//! `private`, as root: a veth pair ([`link`]), rules that are installed once ([`firewall`]), and a relay for names that
//! listens on the build's own loopback ([`dns`]). Without the rights for that: `pasta`, which relays each connection as
//! the user's own ([`pasta`]). What a machine cannot do ends in less network, never in more, except where the caller
//! was told of it first: a plan that falls back to the host's network says so in its notices.

pub mod address;
mod dns;
mod firewall;
mod forwarding;
pub(crate) mod link;
mod netlink;
mod netns;
pub(crate) mod pasta;

use std::{
    io,
    net::{SocketAddrV4, UdpSocket},
    os::fd::BorrowedFd,
    path::PathBuf,
    time::{Duration, Instant},
};

use rustix::{event::PollFlags, io::Errno, process::Pid, thread::CapabilitySet};

pub(crate) use self::firewall::others::Obstacle;
pub(crate) use self::netns::poll;
pub use self::{
    address::{Ipv4Network, Ipv4NetworkError},
    link::SERVICE_ADDRESS,
    netns::{Service, Stop, Wake, serve_in_netns, serve_on},
};
use self::{dns::resolvers::Resolvers, firewall::Policy, link::Veth, netlink::Socket};
use crate::{NetworkMode, Notices};

/// What the operator says about builds' networks. Never a build: a buildspec cannot change it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkConfig {
    /// Networks that `private` builds reach although they are private, such as a company's artifact mirror. This
    /// machine's own addresses stay closed.
    pub allow: Vec<Ipv4Network>,
    /// Networks that `private` builds do not reach although they are public.
    pub deny: Vec<Ipv4Network>,
    /// Where the host's resolvers are read from.
    pub resolv_conf: PathBuf,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self { allow: Vec::new(), deny: Vec::new(), resolv_conf: "/etc/resolv.conf".into() }
    }
}

/// How a sandbox gets the network that was asked for, as far as that can be told before it exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkPlan {
    way: Way,
    notices: Notices,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    Veth,
    Pasta { program: PathBuf, policy: Policy },
    Loopback,
    Host,
}

impl NetworkPlan {
    /// What this process can do about `mode`, for a sandbox that is `privileged` or not.
    #[must_use]
    pub fn new(mode: NetworkMode, privileged: bool, config: &NetworkConfig) -> Self {
        let plain = |way| Self { way, notices: Notices::new() };
        match mode {
            NetworkMode::Host => plain(Way::Host),
            NetworkMode::None => plain(Way::Loopback),
            NetworkMode::Private => Self::private(privileged, config),
        }
    }

    fn private(privileged: bool, config: &NetworkConfig) -> Self {
        let way = match PrivateWay::of_this_process() {
            PrivateWay::Veth => Ok(Way::Veth),
            PrivateWay::Pasta(program) => Socket::route()
                .map_err(|errno| format!("the kernel's interfaces cannot be asked for: {errno}"))
                .and_then(|mut route| policy(&mut route, config))
                .map(|policy| Way::Pasta { program, policy }),
            PrivateWay::None(why) => Err(why),
        };
        match way {
            Ok(way @ Way::Pasta { .. }) if privileged => Self {
                way,
                notices: vec![
                    "this build can lift what keeps it from private networks: it is privileged, and not run by root"
                        .to_owned(),
                ],
            },
            Ok(way) => Self { way, notices: Notices::new() },
            Err(why) => Self {
                way: Way::Host,
                notices: vec![format!(
                    "this build shares this machine's network, its loopback services included: a private network takes \
                     root or pasta, and {why}; --network none closes it"
                )],
            },
        }
    }

    /// To be called by the sandbox's first process, in its namespaces and while it has all rights there. Does what only
    /// that process may when the launcher is not root; otherwise nothing.
    ///
    /// # Errors
    /// The build would not be confined: it must not run.
    pub fn confine(&self) -> Result<(), NetworkError> {
        match &self.way {
            Way::Pasta { policy, .. } => {
                let resolver = Ipv4Network::constant(pasta::RESOLVER.octets(), 32);
                firewall::confine(policy, resolver).map_err(|error| NetworkError::Confine(error.to_string()))
            }
            Way::Veth | Way::Loopback | Way::Host => Ok(()),
        }
    }

    /// Capabilities that a sandbox must not have although it would otherwise: with raw packets it would get around the
    /// rules of [`Self::confine`]. A privileged one gets around them anyhow, which its notice says.
    pub(crate) fn withheld(&self, privileged: bool) -> CapabilitySet {
        match self.way {
            Way::Pasta { .. } if !privileged => CapabilitySet::NET_RAW,
            _ => CapabilitySet::empty(),
        }
    }

    /// Whether the sandbox gets a network namespace of its own.
    #[must_use]
    pub fn own_namespace(&self) -> bool {
        self.way != Way::Host
    }

    /// What differs already from what was asked for, each as a sentence for the person who reads the log.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// What `/etc/resolv.conf` says inside. Should the private network turn out not to be had, nothing answers there.
    #[must_use]
    pub fn resolv_conf(&self, config: &NetworkConfig) -> String {
        match self.way {
            Way::Veth => format!("nameserver {SERVICE_ADDRESS}\n"),
            Way::Pasta { .. } => format!("nameserver {}\n", pasta::RESOLVER),
            Way::Loopback => "# no network\n".to_owned(),
            Way::Host => std::fs::read_to_string(&config.resolv_conf).unwrap_or_default(),
        }
    }
}

/// Why a sandbox has no network as planned.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// Its namespace could not be entered or configured.
    #[error("cannot configure the build's network namespace: {0}")]
    Namespace(#[source] io::Error),
    /// Its rules could not be installed.
    #[error("cannot confine the build's network: {0}; choose --network none or --network host")]
    Confine(String),
    /// A service for it could not be started.
    #[error("cannot serve names to the build: {0}")]
    Service(#[source] io::Error),
    /// The host's interfaces could not be read or removed.
    #[error("cannot {what} network interfaces of builds: {source}")]
    Interfaces {
        /// What was tried.
        what: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

/// The network of one running sandbox. Dropping it ends what serves the sandbox from outside.
///
/// The interface goes with the sandbox's network namespace, when its last process and descriptor are gone: the kernel
/// removes it in the background. To remove it here would keep the caller waiting, 9 ms at best and 26 ms in the median
/// on a busy machine, for the kernel's readers of network tables. Should something hold the namespace, [`sweep`] removes
/// the interface.
#[derive(Debug)]
pub struct NetworkHandle {
    way: Way,
    notices: Notices,
    services: Vec<Service>,
    veth: Option<Veth>,
}

impl NetworkHandle {
    /// What differs from what was asked for, each as a sentence for the person who reads the log.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// What the sandbox's network is now: [`NetworkMode::None`] where [`NetworkMode::Private`] was not to be had.
    #[must_use]
    pub fn mode(&self) -> NetworkMode {
        match self.way {
            Way::Veth | Way::Pasta { .. } => NetworkMode::Private,
            Way::Loopback => NetworkMode::None,
            Way::Host => NetworkMode::Host,
        }
    }

    /// The build's address, if it has one of its own.
    #[must_use]
    pub fn address(&self) -> Option<std::net::Ipv4Addr> {
        self.veth.as_ref().map(|veth| veth.guest)
    }

    /// Name of the host's end of the build's interface.
    #[must_use]
    pub fn interface(&self) -> Option<&str> {
        self.veth.as_ref().map(|veth| veth.name.as_str())
    }
}

impl Drop for NetworkHandle {
    fn drop(&mut self) {
        // All at once, then each is waited for.
        for service in &self.services {
            service.signal();
        }
    }
}

/// Gives the sandbox with this `id` its network; `netns` is the network namespace of its first process `pid`. To be
/// called from the host's namespace, before the build's own program runs. The sandbox's loopback is left as it is if the
/// launcher is not root: its first process can take it up.
///
/// # Errors
/// The sandbox cannot be used. A network that this machine does not have is none: then [`NetworkHandle::mode`] is
/// [`NetworkMode::None`] and a notice says why.
pub fn attach(
    plan: &NetworkPlan,
    id: &str,
    netns: BorrowedFd<'_>,
    pid: Pid,
    config: &NetworkConfig,
) -> Result<NetworkHandle, NetworkError> {
    let mut handle =
        NetworkHandle { way: plan.way.clone(), notices: plan.notices.clone(), services: Vec::new(), veth: None };
    match &plan.way {
        Way::Host => {}
        Way::Loopback if may_configure_networks() => configure_loopback(netns)?,
        Way::Loopback => {}
        Way::Pasta { program, .. } => match pasta::start(program, pid) {
            Ok(service) => handle.services.push(service),
            Err(error) => {
                handle.way = Way::Loopback;
                handle.notices.push(no_network(&format!("pasta failed: {error}")));
            }
        },
        Way::Veth => match outside(id, netns, config) {
            Ok(Outside { veth, rules, notices }) => {
                handle.notices.extend(notices);
                let veth = handle.veth.insert(veth);
                handle.services = services(netns, veth, config)?;
                handle.services.push(keep(rules, veth.index)?);
            }
            Err(why) => {
                handle.way = Way::Loopback;
                handle.notices.push(no_network(&why));
                configure_loopback(netns)?;
            }
        },
    }
    Ok(handle)
}

/// The notice for a build whose private network is not to be had because of `why`.
fn no_network(why: &str) -> String {
    format!(
        "this build has no network: --network private is not to be had on this machine, because {why}; `kiln doctor` \
         shows what is missing, --network host shares this machine's network"
    )
}

/// How this process can give builds a private network.
#[derive(Debug)]
pub(crate) enum PrivateWay {
    /// By interfaces and rules of the host.
    Veth,
    /// By this program.
    Pasta(PathBuf),
    /// Not at all; with the rest of a sentence.
    None(String),
}

impl PrivateWay {
    /// Asks the kernel and looks for programs; tries nothing.
    pub(crate) fn of_this_process() -> Self {
        if may_configure_networks() {
            return Self::Veth;
        }
        pasta::find().map_or_else(Self::None, Self::Pasta)
    }
}

/// What stands between builds' networks and the internet on this machine, as far as it can be seen; `None` for
/// processes that may not look.
pub(crate) fn obstacles() -> Option<Vec<Obstacle>> {
    if !may_configure_networks() {
        return None;
    }
    let (mut route, mut netfilter) = (Socket::route().ok()?, Socket::netfilter().ok()?);
    let mut obstacles = firewall::others::obstacles(&mut netfilter);
    if let Ok(None) = link::route_to(&mut route, forwarding::INTERNET) {
        obstacles.push(Obstacle {
            found: "this machine has no route to the internet (IPv4), so builds have none either".to_owned(),
            fix: "set a default route".to_owned(),
        });
    }
    Some(obstacles)
}

/// Whether this process may make interfaces and enter other processes' network namespaces.
fn may_configure_networks() -> bool {
    let needed = CapabilitySet::NET_ADMIN | CapabilitySet::SYS_ADMIN;
    rustix::thread::capabilities(None).is_ok_and(|sets| sets.effective.contains(needed))
        // Root of a user namespace has them, and yet not over the host's network.
        && Socket::netfilter().is_ok_and(|mut socket| firewall::may_be_asked(&mut socket))
}

/// What builds may reach on this machine as it is now. The error is the rest of a sentence.
fn policy(route: &mut Socket, config: &NetworkConfig) -> Result<Policy, String> {
    let mut denied =
        link::neighbours(route).map_err(|errno| format!("this machine's addresses cannot be read: {errno}"))?;
    denied.extend_from_slice(&config.deny);
    Ok(Policy::new(&config.allow, &denied))
}

fn configure_loopback(netns: BorrowedFd<'_>) -> Result<(), NetworkError> {
    let result = netns::inside(netns, || link::configure_guest(None).map_err(io::Error::from));
    result.and_then(|configured| configured).map_err(NetworkError::Namespace)
}

/// The firewall rules that a build relies on.
struct Rules {
    policy: Policy,
    /// Interfaces that [`firewall::guard_uplink`] was called for.
    guarded: Vec<String>,
}

/// What [`outside`] has set up.
struct Outside {
    veth: Veth,
    rules: Rules,
    notices: Notices,
}

/// The host's side of a private network. The error is the rest of a sentence.
fn outside(id: &str, netns: BorrowedFd<'_>, config: &NetworkConfig) -> Result<Outside, String> {
    let kernel = |what: &'static str| move |errno: Errno| format!("{what}: {errno}");
    let mut route = Socket::route().map_err(kernel("the kernel's interfaces cannot be asked for"))?;
    let mut netfilter = Socket::netfilter().map_err(kernel("the kernel has no firewall (nf_tables)"))?;
    let policy = policy(&mut route, config)?;
    firewall::ensure(&mut netfilter, &policy).map_err(|error| error.to_string())?;
    let forwarding = forwarding::enable(&mut route, &mut netfilter, &config.allow)?;
    let mut notices = forwarding.notices;
    notices.extend(firewall::others::accept_builds(&mut netfilter));
    let veth = link::create(&mut route, netns, id, policy.group(), forwarding.mtu)
        .map_err(kernel("no interface can be made for it (the veth kernel module and CAP_NET_ADMIN are needed)"))?;
    let rules = Rules { policy, guarded: forwarding.guarded };
    Ok(Outside { veth, rules, notices })
}

/// The build's side of a private network.
fn services(netns: BorrowedFd<'_>, veth: &Veth, config: &NetworkConfig) -> Result<Vec<Service>, NetworkError> {
    let address = SocketAddrV4::new(SERVICE_ADDRESS, dns::PORT);
    let sockets = netns::inside(netns, || {
        link::configure_guest(Some(veth))?;
        Ok((UdpSocket::bind(address)?, netns::listen(address)?))
    });
    let (udp, tcp) = sockets.and_then(|made| made).map_err(NetworkError::Namespace)?;
    dns::relay(udp, tcp, Resolvers::new(&config.resolv_conf)).map(Vec::from).map_err(NetworkError::Service)
}

/// Watches over the firewall rules while a build runs: whoever flushes the kernel's rules (restarting a firewall
/// service does) would open the host to its builds.
fn keep(rules: Rules, interface: u32) -> Result<Service, NetworkError> {
    let changes = Socket::netfilter_changes().map_err(|errno| NetworkError::Service(errno.into()))?;
    Service::start("kiln-firewall", move |stop| {
        use std::os::fd::AsFd;
        while stop.wait(changes.as_fd(), PollFlags::IN, None).is_ok_and(|wake| wake == Wake::Ready) {
            changes.drain();
            let restored = Socket::netfilter().map_err(|errno| errno.to_string()).and_then(|mut netfilter| {
                firewall::ensure(&mut netfilter, &rules.policy).map_err(|error| error.to_string())?;
                rules
                    .guarded
                    .iter()
                    .try_for_each(|uplink| firewall::guard_uplink(&mut netfilter, uplink))
                    .map_err(|errno| errno.to_string())
            });
            if restored.is_err() {
                // No rules, no network. Should this fail as well, the interface is gone.
                Socket::route().and_then(|mut route| link::take_down(&mut route, interface)).ok();
                return;
            }
            // Others may change their rules all the time; this often is enough.
            if stop.sleep(Instant::now() + Duration::from_millis(20)) {
                return;
            }
        }
    })
    .map_err(NetworkError::Service)
}

/// The builds that are gone and whose interfaces are there still, with the interfaces' numbers; `alive` tells from an id
/// whether a build is there, and is asked when the interfaces have been listed.
fn dead(socket: &mut Socket, alive: impl Fn(&str) -> bool) -> Result<Vec<(String, u32)>, NetworkError> {
    let links = link::of_builds(socket).map_err(failed("list"))?;
    // Without id: in the middle of its creation, and if its creator died there, gone with it.
    Ok(links.into_iter().filter_map(|(link, id)| Some((id?, link.index))).filter(|(id, _)| !alive(id)).collect())
}

fn failed(what: &'static str) -> impl Fn(Errno) -> NetworkError {
    move |errno| NetworkError::Interfaces { what, source: errno.into() }
}

/// Ids of builds that are gone and whose interfaces are there still; `alive` tells from an id whether a build is there.
///
/// # Errors
/// Interfaces could not be listed.
pub fn left(alive: impl Fn(&str) -> bool) -> Result<Vec<String>, NetworkError> {
    let mut socket = Socket::route().map_err(failed("list"))?;
    Ok(dead(&mut socket, alive)?.into_iter().map(|(id, _)| id).collect())
}

/// Removes the interfaces that [`left`] finds, and answers the same ids. Needs the right to (CAP_NET_ADMIN) only where
/// there is something to remove.
///
/// # Errors
/// Interfaces could not be listed or removed.
pub fn sweep(alive: impl Fn(&str) -> bool) -> Result<Vec<String>, NetworkError> {
    let mut socket = Socket::route().map_err(failed("list"))?;
    let mut removed = Vec::new();
    for (id, index) in dead(&mut socket, alive)? {
        link::delete(&mut socket, index).map_err(failed("remove"))?;
        removed.push(id);
    }
    Ok(removed)
}
