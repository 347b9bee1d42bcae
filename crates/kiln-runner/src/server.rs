//! The way from a runner to the server: a Unix socket, on which a server that is just being started anew is waited for
//! ([`kiln_wire::server`]).

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
    time::{Duration, Instant},
};

use kiln_model::{
    build_cache::{BuildCache, BuildCacheAnswer},
    build_secret::{BuildSecret, BuildSecretAnswer},
    build_source::{BuildSource, BuildSourceAnswer},
};
use kiln_wire::{
    agent,
    frame::{Frame, MAX_FRAME},
    server::{Hello, PROTOCOL, Refused, SecretsRequest, Wants, announced, kind},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{CWD, Mode, OFlags, openat},
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType},
};

use crate::job::ServerAccess;

/// How long a server that does not answer is waited for: it is started anew, or upgraded.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);
/// How long the server has to answer a hello, and to write on.
const ANSWER: Duration = Duration::from_secs(20);
/// How long it has for the first secret: it may have to ask its disk for many.
const SECRETS: Duration = Duration::from_secs(40);
/// How long it has for a cache, which may be large and come from far away.
const CACHE: Duration = Duration::from_secs(3600);
/// How often whoever waits is asked whether it is still worth it.
const LOOK: Duration = Duration::from_millis(200);

/// The server cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// It was not there in time.
    #[error("the server could not be reached in {} seconds: {source}", PATIENCE.as_secs())]
    Away {
        /// The last try's end.
        source: io::Error,
    },
    /// It does not know this build (any more), or speaks another version.
    #[error("the server refused: {0}")]
    Refused(String),
    /// Whoever asked does not want to wait any longer.
    #[error("given up")]
    GivenUp,
}

/// Calls `use_it` with the address of a socket, also where its path is longer than the 107 bytes that an address holds.
///
/// # Errors
/// When the directory cannot be opened; what `use_it` returns.
pub fn with_address<T>(path: &Path, use_it: impl FnOnce(&SocketAddrUnix) -> rustix::io::Result<T>) -> io::Result<T> {
    match SocketAddrUnix::new(path) {
        Ok(address) => Ok(use_it(&address)?),
        Err(Errno::NAMETOOLONG) => {
            let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(Errno::NAMETOOLONG.into());
            };
            let directory = openat(CWD, directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            use std::os::fd::AsRawFd as _;
            let short = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
            Ok(use_it(&SocketAddrUnix::new(short)?)?)
        }
        Err(error) => Err(error.into()),
    }
}

/// Connects to a server's socket. The connection does not block.
///
/// # Errors
/// Nobody listens there, or there is no room for one more.
pub fn connect(path: &Path) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    with_address(path, |address| rustix::net::connect(&socket, address))?;
    Ok(socket)
}

/// Waits for a descriptor until `deadline`; `go_on` is asked from time to time.
fn wait(socket: &OwnedFd, events: PollFlags, deadline: Instant, go_on: &mut dyn FnMut() -> bool) -> io::Result<()> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let timeout = Timespec::try_from(left.min(LOOK)).map_err(io::Error::other)?;
        match poll(&mut [PollFd::from_borrowed_fd(socket.as_fd(), events)], Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        if !go_on() {
            return Err(io::ErrorKind::Interrupted.into());
        }
    }
}

fn send(socket: &OwnedFd, mut bytes: &[u8], go_on: &mut dyn FnMut() -> bool) -> io::Result<()> {
    let deadline = Instant::now() + ANSWER;
    while !bytes.is_empty() {
        match rustix::net::send(socket, bytes, SendFlags::NOSIGNAL) {
            Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
            Err(Errno::AGAIN) => wait(socket, PollFlags::OUT, deadline, go_on)?,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Reads the next frame, and nothing of what follows it: that may be an answer to somebody in the build.
fn next_frame<T>(
    socket: &OwnedFd,
    patience: Duration,
    go_on: &mut dyn FnMut() -> bool,
    take: impl Fn(&Frame<'_>) -> io::Result<T>,
) -> io::Result<T> {
    let deadline = Instant::now() + patience;
    let mut head = [0; 4];
    receive(socket, &mut head, deadline, go_on)?;
    let length = announced(head, MAX_FRAME).ok_or_else(|| io::Error::other("a frame of no length that is allowed"))?;
    let mut bytes = vec![0; length];
    receive(socket, &mut bytes, deadline, go_on)?;
    match bytes.split_first() {
        Some((kind, payload)) => take(&Frame { kind: *kind, payload }),
        None => Err(io::Error::other("an empty frame")),
    }
}

/// Fills `buffer`.
fn receive(
    socket: &OwnedFd,
    mut buffer: &mut [u8],
    deadline: Instant,
    go_on: &mut dyn FnMut() -> bool,
) -> io::Result<()> {
    while !buffer.is_empty() {
        match rustix::net::recv(socket, &mut *buffer, RecvFlags::empty()) {
            Ok((0, _)) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok((read, _)) => buffer = buffer.split_at_mut(read).1,
            Err(Errno::AGAIN) => wait(socket, PollFlags::IN, deadline, go_on)?,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// What a server answers to a hello.
enum Answer {
    Welcome,
    Refused(String),
}

fn answer(frame: &Frame<'_>) -> io::Result<Answer> {
    match frame.kind {
        kind::WELCOME => Ok(Answer::Welcome),
        kind::REFUSED => {
            let Refused { message } = agent::decode(frame).map_err(io::Error::other)?;
            Ok(Answer::Refused(message))
        }
        other => Err(io::Error::other(format!("a frame of kind {other} in answer to a hello"))),
    }
}

impl ServerAccess {
    /// A connection for what `wants` says, on which the server has welcomed the build. It does not block. A server that is
    /// not there, or ends before it answers, is waited for, as long as `go_on` says so.
    ///
    /// # Errors
    /// [`ServerError`].
    pub(crate) fn open(
        &self,
        build: &str,
        wants: Wants,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<OwnedFd, ServerError> {
        let hello = Hello { version: PROTOCOL, build: build.to_owned(), token: self.token.0.clone(), wants };
        let mut bytes = Vec::new();
        agent::encode(kind::HELLO, &hello, &mut bytes).map_err(|e| ServerError::Refused(e.to_string()))?;
        until_there(go_on, |go_on| {
            let socket = connect(&self.socket)?;
            send(&socket, &bytes, go_on)?;
            match next_frame(&socket, ANSWER, go_on, answer)? {
                Answer::Welcome => Ok(Ok(socket)),
                Answer::Refused(message) => Ok(Err(ServerError::Refused(message))),
            }
        })
    }

    /// Asks for the parameters and secrets that a build names: one answer for each, in order. Nothing is lost when the
    /// server ends meanwhile: the next one is asked for all of them.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn secrets(
        &self,
        build: &str,
        wanted: &[BuildSecret],
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<BuildSecretAnswer>, ServerError> {
        let mut request = Vec::new();
        agent::encode(kind::SECRETS, &SecretsRequest { secrets: wanted.to_vec() }, &mut request)
            .map_err(|e| ServerError::Refused(e.to_string()))?;
        until_there(go_on, |go_on| {
            let socket = match self.open(build, Wants::Secrets, go_on) {
                Ok(socket) => socket,
                Err(error) => return Ok(Err(error)),
            };
            send(&socket, &request, go_on)?;
            let mut answers = Vec::with_capacity(wanted.len());
            while answers.len() < wanted.len() {
                let taken = next_frame(&socket, SECRETS, go_on, |frame| match frame.kind {
                    kind::SECRET => agent::decode(frame).map_err(io::Error::other),
                    other => {
                        Err(io::Error::other(format!("a frame of kind {other} in answer to a request for secrets")))
                    }
                })?;
                answers.push(taken);
            }
            Ok(Ok(answers))
        })
    }
}

impl ServerAccess {
    /// Asks for a cache in a bucket, or to keep one there. Nothing is lost when the server ends meanwhile: the next one is asked.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn cache(
        &self,
        build: &str,
        asked: &BuildCache,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<BuildCacheAnswer, ServerError> {
        let mut request = Vec::new();
        agent::encode(kind::CACHE, asked, &mut request).map_err(|e| ServerError::Refused(e.to_string()))?;
        until_there(go_on, |go_on| {
            let socket = match self.open(build, Wants::Cache, go_on) {
                Ok(socket) => socket,
                Err(error) => return Ok(Err(error)),
            };
            send(&socket, &request, go_on)?;
            next_frame(&socket, CACHE, go_on, |frame| match frame.kind {
                kind::CACHE_ANSWER => agent::decode(frame).map_err(io::Error::other),
                other => Err(io::Error::other(format!("a frame of kind {other} in answer to a request for a cache"))),
            })
            .map(Ok)
        })
    }
}

impl ServerAccess {
    /// Asks by what the build shows itself to the server of a source.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn source(
        &self,
        build: &str,
        wanted: &BuildSource,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<BuildSourceAnswer, ServerError> {
        let mut request = Vec::new();
        agent::encode(kind::SOURCE, wanted, &mut request).map_err(|e| ServerError::Refused(e.to_string()))?;
        until_there(go_on, |go_on| {
            let socket = match self.open(build, Wants::Source, go_on) {
                Ok(socket) => socket,
                Err(error) => return Ok(Err(error)),
            };
            send(&socket, &request, go_on)?;
            next_frame(&socket, SECRETS, go_on, |frame| match frame.kind {
                kind::SOURCE_ANSWER => agent::decode(frame).map_err(io::Error::other),
                other => Err(io::Error::other(format!("a frame of kind {other} in answer to a request for a source"))),
            })
            .map(Ok)
        })
    }
}

/// Tries until it works, the server has been away for [`PATIENCE`], or `go_on` does not want to.
fn until_there<T>(
    go_on: &mut dyn FnMut() -> bool,
    mut attempt: impl FnMut(&mut dyn FnMut() -> bool) -> io::Result<Result<T, ServerError>>,
) -> Result<T, ServerError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt(go_on) {
            Ok(done) => return done,
            Err(_) if !go_on() => return Err(ServerError::GivenUp),
            Err(source) if Instant::now() >= deadline => return Err(ServerError::Away { source }),
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        os::unix::net::{UnixListener, UnixStream},
        thread,
    };

    use kiln_model::build_secret::HiddenText;

    use super::*;

    fn access(directory: &Path) -> ServerAccess {
        ServerAccess {
            socket: directory.join("s"),
            token: HiddenText("right".to_owned()),
            credentials_path: "/v2/credentials/x".to_owned(),
            authorization: HiddenText("a".to_owned()),
        }
    }

    /// Takes a frame off a connection.
    fn take<T: serde::de::DeserializeOwned>(stream: &mut UnixStream) -> T {
        let mut head = [0; 4];
        stream.read_exact(&mut head).unwrap();
        let mut bytes = vec![0; u32::from_le_bytes(head) as usize];
        stream.read_exact(&mut bytes).unwrap();
        serde_json::from_slice(&bytes[1..]).unwrap()
    }

    fn put(stream: &mut UnixStream, kind: u8, message: &impl serde::Serialize) {
        let mut bytes = Vec::new();
        agent::encode(kind, message, &mut bytes).unwrap();
        stream.write_all(&bytes).unwrap();
    }

    #[test]
    fn a_server_that_ends_at_any_moment_is_asked_again() {
        let directory = tempfile::tempdir().unwrap();
        let access = access(directory.path());
        let path = access.socket.clone();
        let server = thread::spawn(move || {
            for round in 0..4 {
                std::fs::remove_file(&path).ok();
                let listener = UnixListener::bind(&path).unwrap();
                let (mut stream, _) = listener.accept().unwrap();
                // What may be waiting behind it ends with this server.
                drop(listener);
                if round == 0 {
                    continue;
                }
                let hello: Hello = take(&mut stream);
                assert_eq!((hello.token.as_str(), hello.wants), ("right", Wants::Secrets));
                if round == 1 {
                    continue;
                }
                put(&mut stream, kind::WELCOME, &serde_json::json!({}));
                let request: SecretsRequest = take(&mut stream);
                let answer = |n: usize| BuildSecretAnswer::Refused { code: "C".to_owned(), message: n.to_string() };
                let told = if round == 2 { 1 } else { request.secrets.len() };
                (0..told).for_each(|n| put(&mut stream, kind::SECRET, &answer(n)));
            }
        });
        let wanted: Vec<_> = (0..3).map(|n| BuildSecret::Parameter { name: format!("/p/{n}") }).collect();
        let answers = access.secrets("u", &wanted, &mut || true).unwrap();
        server.join().unwrap();
        let messages: Vec<_> = answers
            .iter()
            .map(|answer| match answer {
                BuildSecretAnswer::Refused { message, .. } => message.as_str(),
                BuildSecretAnswer::Value { .. } => "a value",
            })
            .collect();
        assert_eq!(messages, ["0", "1", "2"]);
    }

    #[test]
    fn what_is_refused_is_not_tried_again() {
        let directory = tempfile::tempdir().unwrap();
        let access = access(directory.path());
        let listener = UnixListener::bind(&access.socket).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _: Hello = take(&mut stream);
            put(&mut stream, kind::REFUSED, &Refused { message: "no such build".to_owned() });
        });
        let error = access.open("u", Wants::Api, &mut || true).unwrap_err();
        assert_eq!(error.to_string(), "the server refused: no such build");
        server.join().unwrap();
        let error = access.open("u", Wants::Api, &mut || false).unwrap_err();
        assert!(matches!(error, ServerError::GivenUp), "{error}");
    }
}
