//! Names for builds: a relay to the host's resolvers.
//!
//! It listens inside the build's network namespace and asks from the host's, so that a build needs no way to the
//! resolvers, which are often at a private address or on the host's loopback. Answers are not filtered: a name that
//! stands for a private address, from the start or on a second look (DNS rebinding), leads the build to an address that
//! the firewall refuses.
//!
//! A build may send anything as fast as it likes. One thread serves all its datagrams; at most [`MAX_PENDING`] queries
//! wait for resolvers at a time, and [`QUERIES_A_SECOND`] are taken; the rest waits, and is dropped, in the
//! socket's buffer.

mod message;
pub(crate) mod resolvers;

use std::{
    io::{self, ErrorKind},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags},
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType},
};

use self::{
    message::{Code, Unfit},
    resolvers::Resolvers,
};
use super::netns::{self, Service, Stop, Wake};

/// Port of both transports.
pub(crate) const PORT: u16 = 53;
/// Queries of one build that wait for resolvers.
const MAX_PENDING: usize = 256;
/// Queries of one build that are taken in a second, in the long run and at once.
const QUERIES_A_SECOND: u32 = 1000;
/// How long one resolver has for an answer. The C library's clients ask again after 5 s: the second resolver is to be
/// heard before that.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// How often the list of resolvers is gone through.
const ROUNDS: usize = 2;
/// TCP connections of one build.
const MAX_CONNECTIONS: usize = 16;
/// How long a TCP connection may be silent (RFC 7766 6.2.3).
const IDLE: Duration = Duration::from_secs(10);
/// The longest message.
const MAX_MESSAGE: usize = 65_535;

/// Starts the relay on sockets that were made inside the build's network namespace.
///
/// # Errors
/// A thread could not be started.
pub(crate) fn relay(udp: UdpSocket, tcp: TcpListener, resolvers: Resolvers) -> io::Result<[Service; 2]> {
    udp.set_nonblocking(true)?;
    let resolvers = Arc::new(resolvers);
    let theirs = Arc::clone(&resolvers);
    let datagrams = Service::start("kiln-names", move |stop| Datagrams::new(udp, &theirs).run(stop))?;
    let streams = netns::serve_on(tcp, MAX_CONNECTIONS, move |stream, stop| {
        // Whatever ends the connection, its close is all that the build needs to know.
        serve_stream(&stream, &resolvers, stop).ok();
    })?;
    Ok([datagrams, streams])
}

/// The servers to ask in turn.
fn turns(resolvers: &Resolvers) -> std::vec::IntoIter<SocketAddr> {
    let servers = resolvers.in_order();
    let count = servers.len() * ROUNDS;
    servers.into_iter().cycle().take(count).collect::<Vec<_>>().into_iter()
}

/// A query that a resolver has been asked.
struct Pending {
    client: SocketAddr,
    query: Vec<u8>,
    /// Connected to the resolver: only its datagrams arrive, and its refusals.
    socket: UdpSocket,
    server: SocketAddr,
    turns: std::vec::IntoIter<SocketAddr>,
    deadline: Instant,
}

impl Pending {
    /// Asks the next resolver that can be asked; `None` when there is none.
    fn ask(client: SocketAddr, query: Vec<u8>, mut turns: std::vec::IntoIter<SocketAddr>) -> Result<Self, Vec<u8>> {
        while let Some(server) = turns.next() {
            if let Ok(socket) = ask(server, &query) {
                return Ok(Self { client, query, socket, server, turns, deadline: Instant::now() + PATIENCE });
            }
        }
        Err(query)
    }
}

/// A new socket, so a new port, for each query: an answer is as hard to forge as for the host's own programs.
fn ask(server: SocketAddr, query: &[u8]) -> io::Result<UdpSocket> {
    let socket = match server {
        SocketAddr::V4(_) => UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)),
    }?;
    socket.set_nonblocking(true)?;
    socket.connect(server)?;
    socket.send(query)?;
    Ok(socket)
}

struct Datagrams<'a> {
    socket: UdpSocket,
    resolvers: &'a Resolvers,
    pending: Vec<Pending>,
    budget: Budget,
    buffer: Vec<u8>,
}

impl<'a> Datagrams<'a> {
    fn new(socket: UdpSocket, resolvers: &'a Resolvers) -> Self {
        Self {
            socket,
            resolvers,
            pending: Vec::new(),
            budget: Budget::new(Instant::now()),
            buffer: vec![0; MAX_MESSAGE],
        }
    }

    fn run(mut self, stop: &Stop) {
        loop {
            let now = Instant::now();
            let room = self.pending.len() < MAX_PENDING;
            let listening = room && self.budget.left(now);
            let refill = (room && !listening).then(|| self.budget.refill(now));
            let deadline = self.pending.iter().map(|p| p.deadline).chain(refill).min();
            let ready = {
                let listen = if listening { PollFlags::IN } else { PollFlags::empty() };
                let mut fds = vec![PollFd::new(stop, PollFlags::IN), PollFd::new(&self.socket, listen)];
                fds.extend(self.pending.iter().map(|p| PollFd::new(&p.socket, PollFlags::IN)));
                if netns::poll(&mut fds, deadline).is_err() {
                    return;
                }
                fds.iter().map(|fd| !fd.revents().is_empty()).collect::<Vec<_>>()
            };
            if ready.first() == Some(&true) {
                return;
            }
            self.hear(ready.get(2..).unwrap_or_default());
            if listening && ready.get(1) == Some(&true) {
                self.take();
            }
        }
    }

    /// Takes queries of the build.
    fn take(&mut self) {
        let now = Instant::now();
        while self.pending.len() < MAX_PENDING && self.budget.spend(now) {
            let (length, client) = match self.socket.recv_from(&mut self.buffer) {
                Ok(received) => received,
                // Errors of earlier answers show here; each is reported once.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => continue,
                Err(_) => return,
            };
            let query = self.buffer.get(..length).unwrap_or_default();
            match message::check_query(query) {
                Ok(_) => {
                    let query = query.to_vec();
                    self.go_on(client, query, turns(self.resolvers));
                }
                Err(Unfit::Answer(code)) => self.refuse(client, query, code),
                Err(Unfit::Ignore) => {}
            }
        }
    }

    /// Hears resolvers; `ready` says which of the pending queries have news.
    fn hear(&mut self, ready: &[bool]) {
        let now = Instant::now();
        let mut news = ready.iter().copied();
        for mut pending in std::mem::take(&mut self.pending) {
            let news = news.next().unwrap_or(false);
            let mut next = now >= pending.deadline;
            let mut done = false;
            while news && !done && !next {
                match pending.socket.recv(&mut self.buffer) {
                    Ok(length) => {
                        let answer = self.buffer.get(..length).unwrap_or_default();
                        // What does not fit is not for us; the right answer may still come.
                        if message::answers(&pending.query, answer) {
                            self.resolvers.answered(pending.server);
                            // An answer that the build cannot take is the build's loss.
                            self.socket.send_to(answer, pending.client).ok();
                            done = true;
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(_) => next = true,
                }
            }
            if done {
                continue;
            }
            if next {
                let turns = std::mem::take(&mut pending.turns);
                self.go_on(pending.client, pending.query, turns);
            } else {
                self.pending.push(pending);
            }
        }
    }

    fn go_on(&mut self, client: SocketAddr, query: Vec<u8>, turns: std::vec::IntoIter<SocketAddr>) {
        match Pending::ask(client, query, turns) {
            Ok(pending) => self.pending.push(pending),
            Err(query) => self.refuse(client, &query, Code::ServerFailure),
        }
    }

    fn refuse(&self, client: SocketAddr, query: &[u8], code: Code) {
        if let Some(answer) = message::error_answer(query, code) {
            self.socket.send_to(&answer, client).ok(); // as above
        }
    }
}

/// A token bucket.
struct Budget {
    tokens: u32,
    since: Instant,
}

impl Budget {
    const EACH: Duration = Duration::from_micros(1_000_000 / QUERIES_A_SECOND as u64);

    fn new(now: Instant) -> Self {
        Self { tokens: QUERIES_A_SECOND, since: now }
    }

    fn left(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.since);
        let earned = u32::try_from(passed.as_micros() / Self::EACH.as_micros()).unwrap_or(u32::MAX);
        if earned > 0 {
            self.tokens = self.tokens.saturating_add(earned).min(QUERIES_A_SECOND);
            self.since = now;
        }
        self.tokens > 0
    }

    fn spend(&mut self, now: Instant) -> bool {
        let left = self.left(now);
        self.tokens = self.tokens.saturating_sub(1);
        left
    }

    /// When to look again. Not at the next token, or a build that floods would wake the relay for each.
    fn refill(&self, now: Instant) -> Instant {
        now + Self::EACH * (QUERIES_A_SECOND / 50)
    }
}

/// Serves one TCP connection of the build (RFC 7766): messages with their length before them, one after another.
fn serve_stream(stream: &TcpStream, resolvers: &Resolvers, stop: &Stop) -> io::Result<()> {
    let mut query = Vec::new();
    loop {
        let deadline = Instant::now() + IDLE;
        let mut length = [0; 2];
        netns::read_exact(stream, &mut length, stop, deadline)?;
        query.resize(usize::from(u16::from_be_bytes(length)), 0);
        netns::read_exact(stream, &mut query, stop, deadline)?;
        let (answer, go_on) = match message::check_query(&query) {
            Ok(_) => match ask_stream(&query, resolvers, stop) {
                Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
                Ok(answer) => (Some(answer), true),
                Err(_) => (message::error_answer(&query, Code::ServerFailure), true),
            },
            Err(Unfit::Answer(code)) => (message::error_answer(&query, code), false),
            Err(Unfit::Ignore) => (None, false),
        };
        let Some(answer) = answer else { return Ok(()) };
        write_message(stream, &answer, stop, Instant::now() + IDLE)?;
        if !go_on {
            return Ok(());
        }
    }
}

/// Asks the resolvers in turn by TCP.
fn ask_stream(query: &[u8], resolvers: &Resolvers, stop: &Stop) -> io::Result<Vec<u8>> {
    let mut last = ErrorKind::NotConnected.into();
    for server in resolvers.in_order() {
        match ask_one_stream(server, query, stop) {
            Ok(answer) => {
                resolvers.answered(server);
                return Ok(answer);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn ask_one_stream(server: SocketAddr, query: &[u8], stop: &Stop) -> io::Result<Vec<u8>> {
    let deadline = Instant::now() + PATIENCE * 2;
    let stream = connect(server, stop, deadline)?;
    write_message(&stream, query, stop, deadline)?;
    let mut length = [0; 2];
    netns::read_exact(&stream, &mut length, stop, deadline)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    netns::read_exact(&stream, &mut answer, stop, deadline)?;
    if message::answers(query, &answer) { Ok(answer) } else { Err(ErrorKind::InvalidData.into()) }
}

/// Connects without blocking for longer than until `deadline`, or past the end of the service.
fn connect(server: SocketAddr, stop: &Stop, deadline: Instant) -> io::Result<TcpStream> {
    let family = if server.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket: OwnedFd = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, &server) {
        Ok(()) => {}
        Err(Errno::INPROGRESS) => match stop.wait(socket.as_fd(), PollFlags::OUT, Some(deadline))? {
            Wake::Ready => rustix::net::sockopt::socket_error(&socket)??,
            Wake::Timeout => return Err(ErrorKind::TimedOut.into()),
            Wake::Stopped => return Err(ErrorKind::Interrupted.into()),
        },
        Err(errno) => return Err(errno.into()),
    }
    Ok(socket.into())
}

fn write_message(stream: &TcpStream, message: &[u8], stop: &Stop, deadline: Instant) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| ErrorKind::InvalidData)?;
    let mut framed = Vec::with_capacity(message.len() + 2);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(message);
    netns::write_all(stream, &framed, stop, deadline)
}
