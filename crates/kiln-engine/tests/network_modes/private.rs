//! What a build reaches.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, Ipv6Addr, UdpSocket},
    thread,
    time::Instant,
};

use kiln_engine::{NetworkMode, network::NetworkConfig};

use crate::world::{GATEWAY, HOST, HOST_PRIVATE, INTRANET, LONG, METADATA, MIRROR, Ns, PORT, SERVER, World, hear};

#[test]
fn private_reaches_the_internet_and_nothing_else() {
    let Some(world) = World::new() else { return };
    let (build, handle) = world.private("a");
    let (other, other_handle) = world.private("b");
    other.serve();
    world.host.connect(other_handle.address().unwrap()).unwrap_err(); // only answers get into a build

    build.connect(SERVER).expect("the internet");
    let gateway_of_build = Ipv4Addr::from(u32::from(handle.address().unwrap()) - 1);
    for (what, address) in [
        ("the host's address on the way out", HOST),
        ("another address of the host", HOST_PRIVATE),
        ("the host's end of the build's own link", gateway_of_build),
        ("the host's end of another build's link", Ipv4Addr::from(u32::from(other_handle.address().unwrap()) - 1)),
        ("another build", other_handle.address().unwrap()),
        ("the host's neighbour", GATEWAY),
        ("a private network", MIRROR),
        ("the metadata service", METADATA),
        ("the build's own loopback, where nothing listens", Ipv4Addr::LOCALHOST),
    ] {
        let error = build.connect(address).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{what}: refused at once, not timed out: {error}");
    }
    let v6 = build.connect(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)).unwrap_err();
    assert_eq!(v6.kind(), ErrorKind::NetworkUnreachable);

    // Datagrams: refused with a message that programs see.
    let heard_by_host = world.host.udp((Ipv4Addr::UNSPECIFIED, PORT));
    let socket = build.udp((Ipv4Addr::UNSPECIFIED, 0));
    socket.connect((HOST, PORT)).unwrap();
    socket.send(b"x").unwrap();
    assert_eq!(socket.recv(&mut [0]).unwrap_err().kind(), ErrorKind::HostUnreachable);
    heard_by_host.set_nonblocking(true).unwrap();
    assert_eq!(heard_by_host.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn none_has_a_loopback_and_host_shares_everything() {
    let Some(world) = World::new() else { return };
    let build = Ns::new();
    let handle = world.attach(NetworkMode::None, "a", &build, &NetworkConfig::default());
    assert_eq!((handle.mode(), handle.interface()), (NetworkMode::None, None));
    build.serve();
    build.connect(Ipv4Addr::LOCALHOST).expect("own loopback");
    build.connect(Ipv6Addr::LOCALHOST).expect("own loopback");
    for address in [SERVER, HOST, METADATA] {
        assert_eq!(build.connect(address).unwrap_err().kind(), ErrorKind::NetworkUnreachable);
    }
    let before = world.host.sh("ip -o link; nft list ruleset");
    let handle = world.attach(NetworkMode::Host, "b", &world.host, &NetworkConfig::default());
    assert_eq!(handle.mode(), NetworkMode::Host);
    drop(handle);
    assert_eq!(world.host.sh("ip -o link; nft list ruleset"), before, "host mode changes nothing");
}

#[test]
fn the_operator_opens_and_closes_addresses_for_each_build_apart() {
    let Some(world) = World::new() else { return };
    let mirror = NetworkConfig {
        allow: vec![format!("{MIRROR}/32").parse().unwrap(), format!("{HOST}/32").parse().unwrap()],
        deny: vec![format!("{SERVER}/32").parse().unwrap()],
        ..NetworkConfig::default()
    };
    let build = Ns::new();
    let handle = world.attach(NetworkMode::Private, "mirror", &build, &mirror);
    let (plain, _plain_handle) = world.private("plain");
    build.connect(MIRROR).expect("allowed");
    assert_eq!(build.connect(INTRANET).unwrap_err().kind(), ErrorKind::ConnectionRefused, "only what is named");
    assert_eq!(build.connect(SERVER).unwrap_err().kind(), ErrorKind::ConnectionRefused, "denied");
    assert_eq!(build.connect(HOST).unwrap_err().kind(), ErrorKind::ConnectionRefused, "the host never opens");
    assert_eq!(plain.connect(MIRROR).unwrap_err().kind(), ErrorKind::ConnectionRefused, "not for others");
    plain.connect(SERVER).expect("not denied to others");
    drop(handle);
}

#[test]
fn a_build_cannot_pose_as_another() {
    let Some(world) = World::new() else { return };
    let (build, handle) = world.private("a");
    let (_other, other_handle) = world.private("b");
    let server = world.internet.udp((SERVER, PORT));
    let own = handle.address().unwrap();
    // What a privileged build can do in its namespace.
    let forged =
        [other_handle.address().unwrap(), HOST, Ipv4Addr::new(198, 51, 100, 99), Ipv4Addr::from(u32::from(own) - 1)];
    for address in forged {
        build.sh(&format!("ip address add {address}/32 dev eth0"));
        build.run(|| UdpSocket::bind((address, 0)).unwrap().send_to(b"forged", (SERVER, PORT)).unwrap());
    }
    // Packets of one link arrive in their order: had one of the forged passed, it would be heard first.
    build.run(|| UdpSocket::bind((own, 0)).unwrap().send_to(b"true", (SERVER, PORT)).unwrap());
    let mut buffer = [0; 10];
    let (length, from) = server.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..length], from.ip()), (&b"true"[..], HOST.into()), "masked by the host's address");
}

#[test]
fn ipv6_does_not_leave_a_build() {
    let Some(world) = World::new() else { return };
    let (build, handle) = world.private("a");
    let interface = handle.interface().unwrap();
    assert_eq!(build.sh("ip -6 -o address show dev eth0"), "", "no address of its own");
    assert_eq!(world.host.sh(&format!("ip -6 -o address show dev {interface}")), "");
    // A privileged build, and a host that takes part: still nothing passes.
    world
        .host
        .sh(&format!("ip address add fe80::1/64 dev {interface} nodad; sysctl -qw net.ipv6.conf.all.forwarding=1"));
    build.sh(&format!(
        "ip address add fe80::2/64 dev eth0 nodad
         ip address add fd00:ec2::99/128 dev eth0 nodad
         ip neighbour replace fe80::1 lladdr {} dev eth0 nud permanent
         ip -6 route add default via fe80::1 dev eth0",
        link_address(&world.host, interface)
    ));
    let host = world.host.udp((Ipv6Addr::UNSPECIFIED, PORT + 1));
    let metadata = world.internet.udp((Ipv6Addr::UNSPECIFIED, PORT + 1));
    let scope: u32 = build.sh("cat /proc/net/igmp6 | awk '$2 == \"eth0\" {print $1; exit}'").trim().parse().unwrap();
    build.run(|| {
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
        let link_local = std::net::SocketAddrV6::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1), PORT + 1, 0, scope);
        socket.send_to(b"link-local", link_local).unwrap();
        let metadata = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
        socket.send_to(b"metadata", (metadata, PORT + 1)).unwrap();
    });
    // The way is the same for what may pass: when that has arrived, the others would have.
    let server = world.internet.udp((SERVER, PORT));
    build.run(|| UdpSocket::bind((handle.address().unwrap(), 0)).unwrap().send_to(b"true", (SERVER, PORT)).unwrap());
    assert_eq!(hear(&server), "true");
    for socket in [host, metadata] {
        socket.set_nonblocking(true).unwrap();
        assert_eq!(socket.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    }
}

fn link_address(ns: &Ns, interface: &str) -> String {
    ns.sh(&format!("ip -o link show dev {interface} | sed 's/.*ether \\([^ ]*\\).*/\\1/'")).trim().to_owned()
}

#[test]
fn addresses_that_the_host_redirects_stay_closed() {
    let Some(world) = World::new() else { return };
    // What a container engine does to publish a port: the host's public address means a private one.
    world.host.sh(&format!(
        "nft add table ip published
         nft add chain ip published prerouting '{{ type nat hook prerouting priority dstnat; }}'
         nft add rule ip published prerouting ip daddr {{ {HOST}, 198.51.100.7 }} tcp dport {PORT} dnat to {SERVER}"
    ));
    let (build, _handle) = world.private("a");
    for address in [HOST, Ipv4Addr::new(198, 51, 100, 7)] {
        assert_eq!(build.connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused, "{address}");
    }
    build.connect(SERVER).expect("directly");
}

#[test]
fn a_build_has_only_so_many_connections() {
    let Some(world) = World::new() else { return };
    let (build, _handle) = world.private("a");
    let (other, _other_handle) = world.private("b");
    let server = world.internet.udp((SERVER, PORT));
    build.run(|| {
        let connect = |n: u16| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 20_000 + n)).unwrap();
            socket.set_read_timeout(Some(LONG)).unwrap();
            socket.connect((SERVER, PORT)).unwrap();
            socket.send(b"x").unwrap();
            socket
        };
        for n in 0..4096 {
            connect(n);
            assert_eq!(hear(&server), "x", "connection {n}");
        }
        assert_eq!(connect(4096).recv(&mut [0]).unwrap_err().kind(), ErrorKind::HostUnreachable);
    });
    other.connect(SERVER).expect("another build has its own count");
}

#[test]
fn forty_builds_attach_at_once() {
    let Some(world) = World::new() else { return };
    let names = || world.host.sh("ip -o link | grep -c ' kiln1-' || true").trim().to_owned();
    let addresses = thread::scope(|scope| {
        let started: Vec<_> = (0..40)
            .map(|n| {
                let world = &world;
                scope.spawn(move || {
                    let (build, handle) = world.private(&format!("build-{n}"));
                    build.connect(SERVER).expect("the internet");
                    (build, handle)
                })
            })
            .collect();
        let builds: Vec<_> = started.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(names(), "40");
        let mut addresses: Vec<_> = builds.iter().map(|(_, handle)| handle.address().unwrap()).collect();
        for (_, handle) in builds {
            drop(handle);
        }
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    });
    assert_eq!(addresses.len(), 40, "each has its own address");
    let start = Instant::now();
    while names() != "0" {
        assert!(start.elapsed() < LONG, "the kernel removes them with their namespaces");
    }
}
