//! What a build of the service reaches by way of its runner: the credentials of its role and the API (DESIGN decision 8).
//!
//! Listeners stand in the build's own network and are served from here. Bytes go to and fro between them and the server's
//! socket; what they say is the server's business. A server that is just being started anew is waited for: a request to
//! the API that had reached the old one is lost, as on any network, and SDKs send it again; one for credentials, which
//! changes nothing, is sent again from here.

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream},
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    time::{Duration, Instant},
};

use kiln_engine::{
    NetworkMode, Sandbox,
    network::{Service, Stop, Wake, serve_in_netns, serve_on},
};
use kiln_wire::server::{ADDRESS, API_PORT, CREDENTIALS_PORT, Wants};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{RecvFlags, SendFlags, Shutdown},
};

use crate::job::ServerAccess;

/// Connections of one build to the API at the same time.
const API_CONNECTIONS: usize = 64;
/// The same to the credentials endpoint.
const CREDENTIALS_CONNECTIONS: usize = 8;
/// Bytes that are under way in each direction of a connection.
const BUFFER: usize = 16 * 1024;
/// A connection on which nothing is said at first, for so long, is closed; later ones are the server's to close.
const SILENCE: Duration = Duration::from_secs(75);
/// A connection on which nothing moves for so long is closed, whatever the server thinks.
const IDLE: Duration = Duration::from_secs(60 * 60);
/// So long the build has to take the rest of an answer.
const REST: Duration = Duration::from_secs(60);
/// How often a request for credentials is sent again.
const REPLAYS: usize = 5;

/// The listeners of one build. Dropping it ends them; that must come before the build's network is to go.
#[derive(Debug)]
pub(crate) struct Relay {
    /// Held for what they do.
    _services: [Service; 2],
    variables: Vec<(String, String)>,
    secret: Option<String>,
}

impl Relay {
    /// Listens for the build in the sandbox: at [`ADDRESS`] in its own network; on loopback, at ports that are free and
    /// for those alone who know the build's token, where it shares the machine's.
    ///
    /// # Errors
    /// The sandbox's network cannot be entered, or the addresses not be used there.
    pub(crate) fn start(access: &ServerAccess, build: &str, sandbox: &Sandbox) -> io::Result<Self> {
        if sandbox.network().is_none_or(|network| network.mode() == NetworkMode::Host) {
            return Self::shared(access, build);
        }
        let at = |port, limit, wants| {
            let address = SocketAddrV4::new(ADDRESS, port);
            serve_in_netns(sandbox.netns(), address, limit, handler(access, build, wants))
        };
        let credentials = at(CREDENTIALS_PORT, CREDENTIALS_CONNECTIONS, Wants::Credentials { shared: false })?;
        let api = at(API_PORT, API_CONNECTIONS, Wants::Api)?;
        let variables = [
            ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", access.credentials_path.clone()),
            (ENDPOINT, format!("http://{ADDRESS}:{API_PORT}")),
        ];
        Ok(Self { _services: [credentials, api], variables: owned(variables), secret: None })
    }

    fn shared(access: &ServerAccess, build: &str) -> io::Result<Self> {
        let listen = || -> io::Result<(TcpListener, String)> {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.set_nonblocking(true)?;
            let url = format!("http://{}", listener.local_addr()?);
            Ok((listener, url))
        };
        let ((credentials, credentials_url), (api, api_url)) = (listen()?, listen()?);
        let wants = Wants::Credentials { shared: true };
        let credentials = serve_on(credentials, CREDENTIALS_CONNECTIONS, handler(access, build, wants))?;
        let api = serve_on(api, API_CONNECTIONS, handler(access, build, Wants::Api))?;
        let token = access.authorization.0.clone();
        let variables = [
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{credentials_url}{}", access.credentials_path)),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", token.clone()),
            (ENDPOINT, api_url),
        ];
        Ok(Self { _services: [credentials, api], variables: owned(variables), secret: Some(token) })
    }

    /// Variables by which AWS's clients in the build find what is here.
    pub(crate) fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    /// What the log must not show, because others could use it while the build runs.
    pub(crate) fn secret(&self) -> Option<&str> {
        self.secret.as_deref()
    }
}

/// The variable that leads AWS's clients to Kiln.
pub(crate) const ENDPOINT: &str = "AWS_ENDPOINT_URL";

fn owned<const N: usize>(variables: [(&str, String); N]) -> Vec<(String, String)> {
    variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What becomes of a connection.
fn handler(access: &ServerAccess, build: &str, wants: Wants) -> impl Fn(TcpStream, &Stop) + Send + Sync + 'static {
    let (access, build): (Arc<ServerAccess>, Arc<str>) = (Arc::new(access.clone()), build.into());
    move |client, stop| {
        // Its close is all that the build needs to know.
        relay(&client, &access, &build, wants, stop).ok();
    }
}

fn relay(client: &TcpStream, access: &ServerAccess, build: &str, wants: Wants, stop: &Stop) -> io::Result<()> {
    // Who only connects takes nothing of the server.
    if stop.wait(client.as_fd(), PollFlags::IN, Some(Instant::now() + SILENCE))? != Wake::Ready {
        return Ok(());
    }
    let is_repeatable = matches!(wants, Wants::Credentials { .. });
    let mut said = Vec::new();
    for _ in 0..=REPLAYS {
        let mut go_on = || !is_raised(stop);
        let server = access.open(build, wants, &mut go_on).map_err(io::Error::other)?;
        let mut exchange = Exchange::new(client.as_fd(), server.as_fd(), &said, is_repeatable);
        match exchange.run(stop) {
            Err(_) | Ok(()) if exchange.may_be_repeated() => said = exchange.said,
            result => return result,
        }
    }
    Ok(())
}

fn is_raised(stop: &Stop) -> bool {
    let mut fds = [PollFd::new(stop, PollFlags::IN)];
    matches!(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(1..))
}

/// Bytes on their way in one direction.
#[derive(Default)]
struct Pipe {
    bytes: Vec<u8>,
    /// The end was read.
    is_ended: bool,
    /// The end was passed on.
    is_closed: bool,
}

/// One connection of a build, and the one to the server that it is joined to.
struct Exchange<'a> {
    client: BorrowedFd<'a>,
    server: BorrowedFd<'a>,
    request: Pipe,
    answer: Pipe,
    /// What the client said, while it may have to be said again.
    said: Vec<u8>,
    is_repeatable: bool,
    /// Something of an answer came.
    is_answered: bool,
    /// The client hung up.
    is_abandoned: bool,
}

impl<'a> Exchange<'a> {
    fn new(client: BorrowedFd<'a>, server: BorrowedFd<'a>, said: &[u8], is_repeatable: bool) -> Self {
        let request = Pipe { bytes: said.to_vec(), ..Pipe::default() };
        let said = said.to_vec();
        let answer = Pipe::default();
        Self { client, server, request, answer, said, is_repeatable, is_answered: false, is_abandoned: false }
    }

    /// Whether the server went without a word about a request that is known whole.
    fn may_be_repeated(&self) -> bool {
        self.is_repeatable && !self.is_answered && !self.is_abandoned
    }

    /// Until either side has nothing more to say.
    fn run(&mut self, stop: &Stop) -> io::Result<()> {
        loop {
            if self.answer.is_ended && self.answer.bytes.is_empty() {
                return Ok(());
            }
            let mut from_client = PollFlags::empty();
            from_client.set(PollFlags::IN, !self.request.is_ended && self.request.bytes.len() < BUFFER);
            from_client.set(PollFlags::OUT, !self.answer.bytes.is_empty());
            let mut from_server = PollFlags::empty();
            from_server.set(PollFlags::IN, !self.answer.is_ended && self.answer.bytes.len() < BUFFER);
            from_server.set(PollFlags::OUT, !self.request.bytes.is_empty() && !self.answer.is_ended);
            let patience = if self.answer.is_ended { REST } else { IDLE };
            let timeout = Timespec::try_from(patience).map_err(io::Error::other)?;
            let mut fds = [
                PollFd::new(stop, PollFlags::IN),
                PollFd::from_borrowed_fd(self.client, from_client),
                PollFd::from_borrowed_fd(self.server, from_server),
            ];
            // A server that has hung up would be reported over and over, while nothing is wanted of it.
            let watched = if from_server.is_empty() { 2 } else { 3 };
            match poll(fds.get_mut(..watched).unwrap_or_default(), Some(&timeout)) {
                Ok(0) => {
                    self.is_abandoned = true;
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let [stopped, client, server] = fds.map(|fd| fd.revents());
            // Gone in both directions: nobody waits for an answer.
            let is_gone = client.intersects(PollFlags::ERR | PollFlags::HUP);
            if is_gone || !stopped.is_empty() {
                self.is_abandoned = true;
                return Ok(());
            }
            if client.contains(PollFlags::IN) && self.hear_client().is_err() {
                self.is_abandoned = true;
                return Ok(());
            }
            if server.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                let before = self.answer.bytes.len();
                receive(self.server, &mut self.answer)?;
                self.is_answered |= self.answer.bytes.len() > before;
            }
            send(self.client, &mut self.answer)?;
            self.tell_server();
        }
    }

    /// Reads what the client says, when there is room.
    fn hear_client(&mut self) -> io::Result<()> {
        let before = self.request.bytes.len();
        receive(self.client, &mut self.request)?;
        if self.is_repeatable {
            self.said.extend_from_slice(self.request.bytes.get(before..).unwrap_or_default());
            // Too much to be kept: it is none of those that are to be said again.
            self.is_repeatable = self.said.len() <= BUFFER;
        }
        Ok(())
    }

    /// Passes on what the client said, and its end.
    fn tell_server(&mut self) {
        if send(self.server, &mut self.request).is_err() {
            // It takes no more, and may have answered all the same.
            self.request.bytes.clear();
            self.request.is_ended = true;
            self.request.is_closed = true;
        }
        if self.request.is_ended && self.request.bytes.is_empty() && !self.request.is_closed {
            self.request.is_closed = true;
            // One that is gone needs not be told.
            rustix::net::shutdown(self.server, Shutdown::Write).ok();
        }
    }
}

/// Reads what is there, as far as there is room.
fn receive(from: impl AsFd, pipe: &mut Pipe) -> io::Result<()> {
    let before = pipe.bytes.len();
    pipe.bytes.resize(BUFFER.max(before), 0);
    let result = rustix::net::recv(from, pipe.bytes.get_mut(before..).unwrap_or_default(), RecvFlags::DONTWAIT);
    pipe.bytes.truncate(before + result.as_ref().map_or(0, |(read, _)| *read));
    match result {
        Ok((0, _)) => pipe.is_ended = true,
        Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Writes what is taken without waiting.
fn send(to: impl AsFd, pipe: &mut Pipe) -> io::Result<()> {
    if pipe.bytes.is_empty() {
        return Ok(());
    }
    match rustix::net::send(to, &pipe.bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
        Ok(sent) => drop(pipe.bytes.drain(..sent)),
        Err(Errno::AGAIN | Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
