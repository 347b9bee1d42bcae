//! What stays on the host, and what comes back.

use std::{
    io::{BufRead, BufReader},
    net::Ipv4Addr,
    os::fd::AsFd,
    process::{Command, Stdio},
    time::Instant,
};

use kiln_engine::{
    NetworkMode,
    network::{NetworkConfig, NetworkPlan, attach, sweep},
};

use crate::world::{GATEWAY, HOST, LONG, Ns, PORT, SERVER, World, hear};

/// Not a test: what [`a_killed_runner_leaves_nothing_after_a_sweep`] kills.
#[test]
#[ignore = "started by another test"]
fn runner_that_waits() {
    let Ok(netns) = std::env::var("KILN_TEST_NETNS") else { return };
    let netns = std::fs::File::open(netns).unwrap();
    let config = NetworkConfig::default();
    let plan = NetworkPlan::new(NetworkMode::Private, false, &config);
    let handle = attach(&plan, "dead", netns.as_fd(), rustix::process::getpid(), &config).unwrap();
    println!("attached {}", handle.interface().unwrap());
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[test]
fn a_killed_runner_leaves_nothing_after_a_sweep() {
    let Some(world) = World::new() else { return };
    let (_living, living_handle) = world.private("living");
    let build = Ns::new(); // held here, as by a process of the build that is still there
    let mut runner = world.host.run(|| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "upkeep::runner_that_waits", "--ignored", "--nocapture"])
            .env("KILN_TEST_NETNS", build.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    });
    let output = BufReader::new(runner.stdout.take().unwrap());
    let line = output.lines().map(Result::unwrap).find(|line| line.contains("attached ")).expect("a line");
    let interface = line.split_whitespace().next_back().unwrap().to_owned();
    runner.kill().unwrap();
    runner.wait().unwrap();

    let links = || world.host.sh("ip -o link");
    assert!(links().contains(&format!(" {interface}@")), "the build's namespace holds it");
    assert_eq!(world.host.run(|| sweep(|_| true)).unwrap(), Vec::<String>::new());
    assert_eq!(world.host.run(|| sweep(|id| id != "dead")).unwrap(), ["dead"]);
    let links = links();
    assert!(!links.contains(&interface) && links.contains(living_handle.interface().unwrap()), "{links}");
}

#[test]
fn an_interface_goes_with_its_namespace() {
    let Some(world) = World::new() else { return };
    let (build, handle) = world.private("a");
    let interface = handle.interface().unwrap().to_owned();
    std::mem::forget(handle); // a runner that no longer runs, but whose sockets live as long as this process
    drop(build);
    // Those sockets keep the namespace; a runner's end closes them. Here a sweep does the rest.
    assert!(world.host.sh("ip -o link").contains(&interface));
    assert_eq!(world.host.run(|| sweep(|_| false)).unwrap(), ["a"]);
}

#[test]
fn flushed_rules_come_back() {
    let Some(world) = World::new() else { return };
    let (build, _handle) = world.private("a");
    world.host.sh("nft flush ruleset");
    let start = Instant::now();
    let refused = || build.connect(HOST).is_err() && build.connect(SERVER).is_ok();
    while !refused() {
        assert!(start.elapsed() < LONG, "the rules are not restored");
    }
    assert!(world.host.sh("nft list table inet kiln1").contains("iifname @uplinks"), "the guard as well");
    assert!(world.host.sh("nft list set inet kiln1 uplinks").contains("\"up0\""));
}

#[test]
fn the_host_does_not_become_a_router() {
    let Some(world) = World::new() else { return };
    let back = Ns::new();
    world.host.sh(&format!(
        "ip link add back0 type veth peer name eth0 netns {}
         ip address add 172.16.9.1/24 dev back0
         ip link set back0 up",
        back.path()
    ));
    back.sh("ip address add 172.16.9.2/24 dev eth0; ip link set eth0 up; ip route add default via 172.16.9.1");
    world.internet.sh(&format!("ip route add 172.16.9.0/24 via {HOST}"));
    let (_build, handle) = world.private("a");
    assert_eq!(world.host.sh("cat /proc/sys/net/ipv4/ip_forward").trim(), "0");
    assert_eq!(world.host.sh("cat /proc/sys/net/ipv4/conf/up0/forwarding").trim(), "1");

    let target = back.udp((Ipv4Addr::UNSPECIFIED, PORT));
    let stranger = world.internet.udp((GATEWAY, 0));
    stranger.send_to(b"through a machine that is no router", ("172.16.9.2", PORT)).unwrap();
    drop(handle);
    // The operator makes it one: from the next build on, Kiln stands aside.
    world.host.sh("sysctl -qw net.ipv4.ip_forward=1");
    let (_build, _handle) = world.private("b");
    world.internet.udp((GATEWAY, 0)).send_to(b"through a router", ("172.16.9.2", PORT)).unwrap();
    assert_eq!(hear(&target), "through a router");
}

#[test]
fn dockers_rules_let_builds_pass() {
    let Some(world) = World::new() else { return };
    if Command::new("iptables-nft").arg("-V").output().is_err() {
        println!("skipped: iptables is not installed");
        return;
    }
    // What Docker 20.10 leaves behind.
    world.host.sh("iptables-nft -P FORWARD DROP; iptables-nft -N DOCKER-USER; iptables-nft -A DOCKER-USER -j RETURN
         iptables-nft -I FORWARD -j DOCKER-USER");
    let (build, _handle) = world.private("a");
    build.connect(SERVER).expect("Docker's policy does not hold for builds");
    let rules = || world.host.sh("iptables-nft -S DOCKER-USER");
    let before = rules();
    assert_eq!(before.matches("kiln1-+").count(), 2, "{before}");
    let (_second, _second_handle) = world.private("b");
    assert_eq!(rules(), before, "added once");
    assert_eq!(build.connect(HOST).unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_firewall_that_is_in_the_way_is_named() {
    let Some(world) = World::new() else { return };
    if Command::new("iptables-nft").arg("-V").output().is_err() {
        println!("skipped: iptables is not installed");
        return;
    }
    world.host.sh("iptables-nft -P FORWARD DROP");
    let build = Ns::new();
    let handle = world.attach(NetworkMode::Private, "a", &build, &NetworkConfig::default());
    assert!(
        handle.notices().iter().any(|notice| notice.contains("iptables -I FORWARD -i kiln1-+ -j ACCEPT")),
        "{:?}",
        handle.notices()
    );
}

#[test]
fn what_is_not_to_be_had_is_no_network_and_a_reason() {
    let Some(world) = World::new() else { return };
    // The name of the build's interface is taken.
    let build = Ns::new();
    build.sh("ip link add eth0 type veth peer name other");
    let handle = world.attach(NetworkMode::Private, "a", &build, &NetworkConfig::default());
    assert_eq!((handle.mode(), handle.interface()), (NetworkMode::None, None));
    assert!(
        handle.notices().iter().any(|notice| notice.contains("this build has no network")),
        "{:?}",
        handle.notices()
    );
    build.serve();
    build.connect(Ipv4Addr::LOCALHOST).expect("its loopback");
    assert!(build.connect(SERVER).is_err());
    assert!(!world.host.sh("ip -o link").contains("kiln1-"));
}
