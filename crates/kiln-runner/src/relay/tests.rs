use std::{
    io::{Read as _, Write as _},
    net::Shutdown as Half,
    os::unix::net::{UnixListener, UnixStream},
    thread,
};

use kiln_model::build_secret::HiddenText;
use kiln_wire::{
    agent,
    server::{Hello, kind},
};

use super::*;

/// A server, by what it does with each connection that it has welcomed; the socket is there anew for each.
fn server(path: std::path::PathBuf, each: Vec<fn(&mut UnixStream, Wants)>) -> thread::JoinHandle<()> {
    let mut listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for serve in each {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 4];
            stream.read_exact(&mut head).unwrap();
            let mut bytes = vec![0; u32::from_le_bytes(head) as usize];
            stream.read_exact(&mut bytes).unwrap();
            let hello: Hello = serde_json::from_slice(&bytes[1..]).unwrap();
            let mut welcome = Vec::new();
            agent::encode(kind::WELCOME, &serde_json::json!({}), &mut welcome).unwrap();
            stream.write_all(&welcome).unwrap();
            serve(&mut stream, hello.wants);
            drop(listener);
            drop(stream);
            std::fs::remove_file(&path).unwrap();
            listener = UnixListener::bind(&path).unwrap();
        }
    })
}

/// A relay to that server, on loopback.
struct World {
    relay: Relay,
    server: thread::JoinHandle<()>,
    _directory: tempfile::TempDir,
}

impl World {
    fn new(each: Vec<fn(&mut UnixStream, Wants)>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let access = ServerAccess {
            socket: directory.path().join("s"),
            token: HiddenText("t".to_owned()),
            credentials_path: "/v2/credentials/x".to_owned(),
            authorization: HiddenText("a".to_owned()),
        };
        let server = server(access.socket.clone(), each);
        Self { relay: Relay::shared(&access, "u").unwrap(), server, _directory: directory }
    }

    /// A connection to what a variable names.
    fn connect(&self, variable: &str) -> TcpStream {
        let (_, url) = self.relay.variables().iter().find(|(name, _)| name == variable).unwrap();
        let address = url.strip_prefix("http://").unwrap().split('/').next().unwrap();
        TcpStream::connect(address).unwrap()
    }

    fn credentials(&self) -> TcpStream {
        self.connect("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    }
}

fn to_end(stream: &mut impl std::io::Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is an end as well.
    stream.read_to_end(&mut bytes).ok();
    bytes
}

/// Takes a request of four bytes and goes without a word.
fn goes(stream: &mut UnixStream, _: Wants) {
    let mut request = [0; 4];
    stream.read_exact(&mut request).unwrap();
    assert_eq!(&request, b"ask\n");
}

/// Answers such a request.
fn answers(stream: &mut UnixStream, wants: Wants) {
    goes(stream, wants);
    stream.write_all(format!("{wants:?}").as_bytes()).unwrap();
}

#[test]
fn what_credentials_were_asked_for_with_is_said_again_to_the_next_server() {
    let world = World::new(vec![goes, goes, answers]);
    let mut client = world.credentials();
    client.write_all(b"ask\n").unwrap();
    assert_eq!(to_end(&mut client), b"Credentials { shared: true }");
    world.server.join().unwrap();
}

#[test]
fn a_request_to_the_api_is_never_said_twice() {
    let world = World::new(vec![goes, answers]);
    let mut client = world.connect(ENDPOINT);
    client.write_all(b"ask\n").unwrap();
    assert_eq!(to_end(&mut client), b"");
    // The next one, of the client's own, is answered.
    let mut client = world.connect(ENDPOINT);
    client.write_all(b"ask\n").unwrap();
    assert_eq!(to_end(&mut client), b"Api");
    world.server.join().unwrap();
}

#[test]
fn more_goes_both_ways_than_is_under_way_at_a_time() {
    const MUCH: usize = 3 << 20;
    let echo: fn(&mut UnixStream, Wants) = |stream, _| {
        let bytes = to_end(stream);
        stream.write_all(&bytes).unwrap();
    };
    let world = World::new(vec![echo]);
    let mut client = world.connect(ENDPOINT);
    let bytes: Vec<u8> = (0..MUCH).map(|n| n.to_le_bytes()[n % 2]).collect();
    client.write_all(&bytes).unwrap();
    client.shutdown(Half::Write).unwrap();
    assert!(to_end(&mut client) == bytes);
    world.server.join().unwrap();
}

#[test]
fn an_answer_before_the_end_of_the_request_arrives() {
    let refuse: fn(&mut UnixStream, Wants) = |stream, _| stream.write_all(b"no").unwrap();
    let world = World::new(vec![refuse]);
    let mut client = world.connect(ENDPOINT);
    client.write_all(b"a").unwrap();
    let mut answer = [0; 2];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"no");
    world.server.join().unwrap();
}

#[test]
fn whatever_the_build_does_its_relay_ends_when_it_is_told_to() {
    let directory = tempfile::tempdir().unwrap();
    let access = ServerAccess {
        // There is no server at all.
        socket: directory.path().join("none"),
        token: HiddenText("t".to_owned()),
        credentials_path: "/".to_owned(),
        authorization: HiddenText("a".to_owned()),
    };
    let relay = Relay::shared(&access, "u").unwrap();
    let url = &relay.variables().iter().find(|(name, _)| name == ENDPOINT).unwrap().1;
    let address = url.strip_prefix("http://").unwrap();
    // More than may be connected at a time; some say something, and wait for the server that is away.
    let clients: Vec<TcpStream> = (0..API_CONNECTIONS + 10).map(|_| TcpStream::connect(address).unwrap()).collect();
    for mut client in clients.iter().step_by(2) {
        client.write_all(b"ask\n").ok(); // those beyond the limit are closed
    }
    let mut last = clients.last().unwrap();
    assert_eq!(to_end(&mut last), b"", "beyond the limit");
    drop(relay);
    for mut client in &clients {
        assert_eq!(to_end(&mut client), b"");
    }
}
