//! Names: what a build asks, what resolvers answer, and what neither may do to the relay.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::PathBuf,
    thread,
};

use kiln_engine::{
    NetworkMode,
    network::{NetworkConfig, NetworkHandle, NetworkPlan, SERVICE_ADDRESS},
};

use crate::world::{LONG, Ns, World};

const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(SERVICE_ADDRESS), 53);

/// A query of class IN for `name`.
fn query(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend([kind.to_be_bytes(), [0, 1]].concat());
    message
}

/// An answer to `query` with `padding` bytes after the question.
fn answer(query: &[u8], padding: usize) -> Vec<u8> {
    let mut message = query.to_vec();
    message[2] |= 0x80;
    message.resize(query.len() + padding, 0xee);
    message
}

/// A resolver in `ns` that answers by the first label of the name.
fn resolve(ns: &Ns, address: Ipv4Addr) {
    let udp = ns.udp((address, 53));
    udp.set_read_timeout(None).unwrap();
    let tcp = ns.run(|| TcpListener::bind((address, 53)).unwrap());
    thread::spawn(move || {
        let mut buffer = [0; 65_535];
        loop {
            let (length, client) = udp.recv_from(&mut buffer).unwrap();
            let query = &buffer[..length];
            let reply = |message: &[u8]| assert_eq!(udp.send_to(message, client).unwrap(), message.len());
            match &query[13..13 + usize::from(query[12])] {
                b"silent" => {}
                b"big" => reply(&answer(query, 60_000)),
                b"cut" => {
                    let mut message = answer(query, 0);
                    message[2] |= 0x02; // truncated
                    reply(&message);
                }
                b"forged" => {
                    let mut message = answer(query, 4);
                    message[0] ^= 1; // another number
                    reply(&message);
                    let mut message = answer(query, 4);
                    message[13] ^= 1; // another name
                    reply(&message);
                    reply(query); // no answer at all
                    reply(&[]);
                    reply(&answer(query, 1));
                }
                _ => reply(&answer(query, 16)),
            }
        }
    });
    thread::spawn(move || {
        for stream in tcp.incoming() {
            let mut stream = stream.unwrap();
            let query = read_message(&mut stream).unwrap();
            match &query[13..13 + usize::from(query[12])] {
                b"silent" => drop(stream.read(&mut [0])),
                b"short" => stream.write_all(&[0, 100, 1, 2, 3]).unwrap(),
                b"cut" => write_message(&mut stream, &answer(&query, 65_000)).unwrap(),
                _ => write_message(&mut stream, &answer(&query, 16)).unwrap(),
            }
        }
    });
}

fn read_message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message)?;
    Ok(message)
}

fn write_message(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    stream.write_all(&u16::try_from(message.len()).unwrap().to_be_bytes())?;
    stream.write_all(message)
}

struct Names {
    world: World,
    build: Ns,
    handle: NetworkHandle,
    config: NetworkConfig,
    _dir: tempfile::TempDir,
}

impl Names {
    /// A build on a host whose resolv.conf names `resolvers`.
    fn new(resolvers: &[Ipv4Addr]) -> Option<Self> {
        let world = World::new()?;
        let dir = tempfile::tempdir().unwrap();
        let resolv_conf: PathBuf = dir.path().join("resolv.conf");
        let lines: String = resolvers.iter().map(|address| format!("nameserver {address}\n")).collect();
        std::fs::write(&resolv_conf, lines).unwrap();
        let config = NetworkConfig { resolv_conf, ..NetworkConfig::default() };
        let build = Ns::new();
        let handle = world.attach(NetworkMode::Private, "a", &build, &config);
        Some(Self { world, build, handle, config, _dir: dir })
    }

    /// A client's socket in the build.
    fn client(&self) -> UdpSocket {
        let client = self.build.udp((Ipv4Addr::UNSPECIFIED, 0));
        client.connect(SERVER).unwrap();
        client
    }

    fn ask(&self, query: &[u8]) -> Vec<u8> {
        let client = self.client();
        client.send(query).unwrap();
        receive(&client)
    }

    fn stream(&self) -> TcpStream {
        let stream = self.build.run(|| TcpStream::connect(SERVER).unwrap());
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    }

    fn ask_stream(&self, query: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = self.stream();
        write_message(&mut stream, query)?;
        read_message(&mut stream)
    }
}

fn receive(client: &UdpSocket) -> Vec<u8> {
    let mut buffer = vec![0; 65_535];
    let length = client.recv(&mut buffer).expect("an answer");
    buffer.truncate(length);
    buffer
}

/// The answer code of a message.
fn code(message: &[u8]) -> u8 {
    assert_ne!(message[2] & 0x80, 0, "an answer");
    message[3] & 0x0f
}

const FIRST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 53);
const SECOND: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 54);
/// Nobody listens there.
const DEAD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 99);

#[test]
fn answers_of_the_hosts_resolvers_reach_the_build_whole() {
    let Some(names) = Names::new(&[FIRST]) else { return };
    resolve(&names.world.host, FIRST);
    let plan = NetworkPlan::new(NetworkMode::Private, false, &names.config);
    assert_eq!(plan.resolv_conf(&names.config), "nameserver 169.254.170.2\n");
    for (name, padding) in [("a.example", 16), ("big.example", 60_000)] {
        let query = query(0x1234, name, 1);
        assert_eq!(names.ask(&query), answer(&query, padding), "{name}");
    }
    let query = query(7, "cut.example", 16);
    assert_ne!(names.ask(&query)[2] & 0x02, 0, "the client is told to come back by TCP");
    assert_eq!(names.ask_stream(&query).unwrap(), answer(&query, 65_000));
    // Several on one connection.
    let mut stream = names.stream();
    for id in 0..5 {
        let query = self::query(id, "a.example", 1);
        write_message(&mut stream, &query).unwrap();
        assert_eq!(read_message(&mut stream).unwrap(), answer(&query, 16));
    }
}

#[test]
fn forged_answers_are_passed_over() {
    let Some(names) = Names::new(&[FIRST]) else { return };
    resolve(&names.world.host, FIRST);
    let query = query(0x4321, "forged.example", 1);
    assert_eq!(names.ask(&query), answer(&query, 1));
}

#[test]
fn the_next_resolver_is_asked_when_one_is_dead_or_silent() {
    let Some(names) = Names::new(&[DEAD, FIRST, SECOND]) else { return };
    resolve(&names.world.host, FIRST);
    let silent = names.world.host.udp((SECOND, 53));
    let plain = query(1, "a.example", 1);
    assert_eq!(names.ask(&plain), answer(&plain, 16));
    assert_eq!(names.ask_stream(&plain).unwrap(), answer(&plain, 16));
    silent.set_nonblocking(true).unwrap();
    assert_eq!(silent.recv(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock, "in the order of the file");

    std::fs::write(&names.config.resolv_conf, format!("nameserver {SECOND}\nnameserver {FIRST}\n")).unwrap();
    assert_eq!(names.ask(&plain), answer(&plain, 16));
    assert!(silent.recv(&mut [0; 100]).is_ok(), "the file was read again, and its first resolver asked first");
}

#[test]
fn without_resolvers_the_build_is_told() {
    let Some(names) = Names::new(&[DEAD]) else { return };
    let query = query(1, "a.example", 1);
    assert_eq!(code(&names.ask(&query)), 2);
    assert_eq!(code(&names.ask_stream(&query).unwrap()), 2);
}

#[test]
fn what_is_no_plain_query_goes_no_further() {
    let Some(names) = Names::new(&[FIRST]) else { return };
    let resolver = names.world.host.udp((FIRST, 53));
    let plain = query(9, "a.example", 1);
    let mut update = plain.clone();
    update[2] = 0x28;
    let mut several = plain.clone();
    several[5] = 200;
    let transfer = query(9, "example", 252);
    for (message, expected) in [(update, 4), (several, 1), (transfer.clone(), 5), (plain[..20].to_vec(), 1)] {
        assert_eq!(code(&names.ask(&message)), expected);
    }
    let mut stream = names.stream();
    write_message(&mut stream, &transfer).unwrap();
    assert_eq!(code(&read_message(&mut stream).unwrap()), 5);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0, "and the connection ends");
    resolver.set_nonblocking(true).unwrap();
    assert_eq!(resolver.recv(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn a_hostile_build_does_not_stop_the_relay() {
    let Some(names) = Names::new(&[FIRST]) else { return };
    resolve(&names.world.host, FIRST);
    let client = names.client();
    client.set_nonblocking(true).unwrap();
    let silent = query(2, "silent.example", 1);
    for n in 0..20_000usize {
        // Answers, queries that stay open, and things that are neither.
        let message = match n % 3 {
            0 => answer(&silent, 3),
            1 => silent.clone(),
            _ => vec![0; n % 40],
        };
        client.send(&message).ok();
    }
    // More connections than there are places, each with half a message.
    let streams: Vec<_> = (0..40)
        .map(|_| {
            let mut stream = names.stream();
            stream.write_all(&[0xff, 0xff, 1]).ok();
            stream
        })
        .collect();
    // The first are kept, the others closed at once.
    assert_eq!(streams.last().unwrap().read(&mut [0]).map_err(|error| error.kind()).unwrap_or(0), 0);
    drop(streams);
    // As a client does: ask again if no answer comes.
    let plain = query(1, "a.example", 1);
    let client = names.client();
    client.set_read_timeout(Some(std::time::Duration::from_millis(500))).unwrap();
    let answered = (0..60).any(|_| {
        client.send(&plain).unwrap();
        client.recv(&mut [0; 500]).is_ok()
    });
    assert!(answered);
    assert!((0..60).any(|_| names.ask_stream(&plain).is_ok()));
    // Ends although queries and connections are open.
    let mut open = names.stream();
    write_message(&mut open, &silent).unwrap();
    drop(names.handle);
    assert!(!matches!(open.read(&mut [0]), Ok(1..)));
}
