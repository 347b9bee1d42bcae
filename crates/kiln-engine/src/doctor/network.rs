//! The network of builds.

use std::{
    fs::{self, File},
    os::fd::AsFd as _,
    path::Path,
    thread,
};

use super::{
    Check, Status,
    child::{Ids, further, in_child, waiting_child},
};
use crate::{
    NetworkMode,
    network::{self, NetworkConfig, NetworkPlan, PrivateWay},
    sys::process::flag,
};

/// Gives a namespace a private network, all in namespaces of their own.
pub(super) fn private(config: &NetworkConfig) -> Check {
    let check = |status, found: String| Check::new("network-private", "private network", status, found);
    match PrivateWay::of_this_process() {
        PrivateWay::Veth => match in_child(flag::NEWNET, &Ids::Own, || try_veth(config)) {
            Ok(_) => check(Status::Ok, "veth and nf_tables work".to_owned()),
            Err(why) => check(Status::Warning, why).fix(
                "a kernel with veth and nf_tables (modules nft_ct, nft_masq, nft_fib_inet, nft_reject_inet, \
                 nft_connlimit), and /proc/sys writable; until then use --network host or none",
            ),
        },
        PrivateWay::Pasta(program) => match in_child(0, &Ids::Own, || try_pasta(&program)) {
            Ok(_) => check(
                Status::Ok,
                "through pasta; long answers to names by TCP take a pasta of 2024 or newer".to_owned(),
            ),
            Err(why) => check(Status::Warning, format!("pasta does not work: {why}"))
                .fix("a newer pasta (package passt), or run as root"),
        },
        PrivateWay::None(why) => check(Status::Warning, format!("builds share this machine's network: {why}")).fix(
            "install pasta (package passt) and let users open /dev/net/tun (`chmod 666 /dev/net/tun`), or run as root; \
                 --network none closes the network",
        ),
    }
}

fn try_veth(config: &NetworkConfig) -> Result<String, String> {
    // The calling process has a new network namespace, which stands for the host's; its thread gets another.
    let build = thread::spawn(|| {
        further(flag::NEWNET)?;
        File::open("/proc/thread-self/ns/net").map_err(|error| error.to_string())
    });
    let build = build.join().map_err(|_| "a thread panicked".to_owned())??;
    let plan = NetworkPlan::new(NetworkMode::Private, false, config);
    let handle = network::attach(&plan, "doctor", build.as_fd(), rustix::process::getpid(), config)
        .map_err(|error| error.to_string())?;
    if handle.mode() == NetworkMode::Private { Ok(String::new()) } else { Err(handle.notices().join("; ")) }
}

fn try_pasta(program: &Path) -> Result<String, String> {
    waiting_child(flag::NEWUSER | flag::NEWNET, &Ids::Single, |pid| {
        network::pasta::start(program, pid).map(|_running| String::new()).map_err(|error| error.to_string())
    })
}

/// What else decides over forwarded packets on this machine; only for those who may look.
pub(super) fn forwarding() -> Option<Check> {
    let check = |status, found: String| Check::new("forwarding", "way out of private networks", status, found);
    let obstacles = network::obstacles()?;
    let everywhere = fs::read_to_string("/proc/sys/net/ipv4/ip_forward").is_ok_and(|text| text.trim() != "0");
    let forwarding = if everywhere {
        "forwarding is on for all interfaces"
    } else {
        "kiln switches forwarding on where builds need it, and for nothing else"
    };
    if obstacles.is_empty() {
        return Some(check(Status::Ok, forwarding.to_owned()));
    }
    let found = obstacles.iter().map(|obstacle| obstacle.found.as_str()).collect::<Vec<_>>().join("; ");
    let fixes = obstacles.iter().map(|obstacle| obstacle.fix.as_str()).collect::<Vec<_>>().join("; ");
    Some(check(Status::Warning, found).fix(fixes))
}
