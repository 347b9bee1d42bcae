//! The conversation with the agent while everything else is watched: the lifeline, the time limit, the container's
//! life, its resource use.
//!
//! One thread, one `poll`. The agent is not trusted (a build that is root may speak in its place): an answer that was
//! not asked for ends the build.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use kiln_engine::{Exit, Sandbox, Usage};
use kiln_wire::{
    agent::{self, Entry, FileEnd, FromAgent, ToAgent, kind},
    event::{Event, Sample},
    frame::{self, Frame, FrameBuffer},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType},
};

use crate::{
    clock::Clock,
    directory::DirectoryError,
    job::Control,
    journal::{Journal, WriteError},
    zip::ZipError,
};

/// Between TERM and KILL when a build is stopped or out of time (`security.md` 4.3).
pub(crate) const GRACE: Duration = Duration::from_secs(10);
/// How long the agent has to answer after that.
const AFTER_GRACE: Duration = Duration::from_secs(3);
/// Between the end of the agent's connection and its own.
const DYING: Duration = Duration::from_millis(500);
/// Between two resource samples.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);
/// How much is read from a socket at once.
const READ: usize = 256 * 1024;

/// Why the build cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Halt {
    /// Stopped on request.
    #[error("stopped on request")]
    Stopped,
    /// Whoever started the build killed it, or is gone.
    #[error("killed on request")]
    Killed,
    /// The time limit was reached.
    #[error("the build's time limit was reached")]
    TimedOut,
    /// PID 1 of the container is gone.
    #[error("the build container ended unexpectedly: {}", describe_exit(.0))]
    Died(Exit),
    /// The agent does not keep to the protocol.
    #[error("the agent in the build container broke the protocol: {0}")]
    Protocol(String),
    /// The journal cannot be written.
    #[error(transparent)]
    Journal(#[from] WriteError),
    /// A socket failed.
    #[error("connection to the agent: {0}")]
    Socket(#[from] io::Error),
    /// The store of artifacts, reports or cache failed.
    #[error("{0}")]
    Sink(String),
    /// The host has no room for what the build made, or its disk fails: no fault of the build's.
    #[error("{0}")]
    Host(String),
}

impl Halt {
    /// The store refused what the build made. That the host's disk is full or fails is no fault of the build's.
    fn unstored(message: String, cause: Option<&io::Error>) -> Self {
        use io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let is_the_hosts = |e: &io::Error| {
            matches!(e.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem)
                || Errno::from_io_error(e) == Some(Errno::IO)
        };
        if cause.is_some_and(is_the_hosts) { Self::Host(message) } else { Self::Sink(message) }
    }
}

impl From<ZipError> for Halt {
    fn from(error: ZipError) -> Self {
        let cause = if let ZipError::Write { source, .. } = &error { Some(source) } else { None };
        Self::unstored(error.to_string(), cause)
    }
}

impl From<DirectoryError> for Halt {
    fn from(error: DirectoryError) -> Self {
        let cause = if let DirectoryError::Write { source, .. } = &error { Some(source) } else { None };
        Self::unstored(error.to_string(), cause)
    }
}

fn describe_exit(exit: &Exit) -> String {
    match exit {
        Exit::Code(code) => format!("its first process ended with status {code}"),
        Exit::Signal(signal) => format!("its first process was killed by signal {signal}"),
    }
}

/// What flows beside a request.
pub(crate) trait Transfer {
    /// An entry of a listing.
    ///
    /// # Errors
    /// What ends the build.
    fn entry(&mut self, _entry: Entry) -> Result<(), Halt> {
        Err(Halt::Protocol("an entry that was not asked for".to_owned()))
    }
}

/// A request with nothing beside it.
#[derive(Debug)]
pub(crate) struct NoTransfer;

impl Transfer for NoTransfer {}

/// The two sockets of a container that is about to start: the runner's ends and the agent's.
#[derive(Debug)]
pub(crate) struct Sockets {
    control: OwnedFd,
    data: OwnedFd,
}

impl Sockets {
    /// Makes the pairs; returns the runner's ends, and the agent's in the order of their descriptors.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn pair() -> io::Result<(Self, Vec<OwnedFd>)> {
        let pair = || {
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
                .map_err(io::Error::from)
        };
        let (control, agent_control) = pair()?;
        let (data, agent_data) = pair()?;
        for socket in [&control, &data, &agent_control, &agent_data] {
            // Best effort: larger buffers mean fewer wake-ups (`spikes.md` 2.3).
            rustix::net::sockopt::set_socket_send_buffer_size(socket, 1 << 20).ok();
        }
        Ok((Self { control, data }, vec![agent_control, agent_data]))
    }
}

/// Who may end the build.
#[derive(Debug)]
pub(crate) struct Limits {
    /// The lifeline: [`Control`] bytes; end of file means that the starter is gone.
    pub(crate) lifeline: Option<OwnedFd>,
    /// Monotonic time at which the build is out of time.
    pub(crate) deadline: Duration,
}

/// A running container and the conversation with its agent.
#[derive(Debug)]
pub(crate) struct Session {
    /// The container.
    pub(crate) sandbox: Sandbox,
    /// The journal.
    pub(crate) journal: Journal,
    /// The clock.
    pub(crate) clock: Clock,
    sockets: Sockets,
    frames: FrameBuffer,
    data_frames: FrameBuffer,
    limits: Limits,
    next_id: u32,
    next_sample: Duration,
    /// Why the running command is being ended, and when patience ends.
    ending: Option<(Halt, Duration)>,
}

impl Session {
    /// Takes over a container that was started with the agent's ends of `sockets`.
    #[must_use]
    pub(crate) fn new(sandbox: Sandbox, sockets: Sockets, journal: Journal, clock: Clock, limits: Limits) -> Self {
        let next_sample = clock.monotonic() + SAMPLE_EVERY;
        Self {
            sandbox,
            journal,
            clock,
            sockets,
            frames: FrameBuffer::new(),
            data_frames: FrameBuffer::new(),
            limits,
            next_id: 1,
            next_sample,
            ending: None,
        }
    }

    /// Gives the parts back once the conversation is over.
    #[must_use]
    pub(crate) fn into_parts(self) -> (Sandbox, Journal) {
        (self.sandbox, self.journal)
    }

    /// The container's resource use now.
    pub(crate) fn usage(&self) -> Usage {
        self.sandbox.usage()
    }

    /// Waits for the agent's first message.
    ///
    /// # Errors
    /// [`Halt`].
    pub(crate) fn ready(&mut self) -> Result<Option<String>, Halt> {
        match self.wait_for(None, &mut NoTransfer)? {
            FromAgent::Ready { protocol: agent::PROTOCOL, runtimes } => Ok(runtimes),
            other => Err(Halt::Protocol(format!("first message {other:?}"))),
        }
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// [`Halt`].
    pub(crate) fn request(&mut self, make: impl FnOnce(u32) -> ToAgent) -> Result<FromAgent, Halt> {
        self.request_with(make, &mut NoTransfer)
    }

    /// Sends a request, moves what flows beside it, and waits for its answer.
    ///
    /// # Errors
    /// [`Halt`].
    pub(crate) fn request_with(
        &mut self,
        make: impl FnOnce(u32) -> ToAgent,
        transfer: &mut dyn Transfer,
    ) -> Result<FromAgent, Halt> {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1).max(1);
        let message = make(id);
        self.send(&message)?;
        self.wait_for(Some(id), transfer)
    }

    /// The id that the next request gets: a command's number in output records.
    #[must_use]
    pub(crate) fn next_request(&self) -> u32 {
        self.next_id
    }

    /// Checks the lifeline and the time limit without waiting; between commands.
    ///
    /// # Errors
    /// [`Halt`].
    pub(crate) fn check(&mut self) -> Result<(), Halt> {
        if let Some(lifeline) = &self.limits.lifeline {
            let mut fds = [PollFd::new(lifeline, PollFlags::IN)];
            if matches!(poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })), Ok(n) if n > 0) {
                self.read_lifeline()?;
            }
        }
        if let Some((halt, _)) = self.ending.take() {
            return Err(halt);
        }
        if self.clock.monotonic() >= self.limits.deadline {
            return Err(Halt::TimedOut);
        }
        Ok(())
    }

    fn send(&mut self, message: &ToAgent) -> Result<(), Halt> {
        let mut bytes = Vec::new();
        agent::encode(kind::MESSAGE, message, &mut bytes).map_err(|e| Halt::Sink(e.to_string()))?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            match rustix::net::send(&self.sockets.control, rest, SendFlags::NOSIGNAL) {
                Ok(n) => rest = rest.get(n..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(_) => return Err(self.death()),
            }
        }
        Ok(())
    }

    /// Asks the agent to end what runs; the running request's answer follows.
    fn interrupt(&mut self, halt: Halt) -> Result<(), Halt> {
        if self.ending.is_some() {
            return Ok(());
        }
        let grace_ms = u32::try_from(GRACE.as_millis()).unwrap_or(u32::MAX);
        self.ending = Some((halt, self.clock.monotonic() + GRACE + AFTER_GRACE));
        self.send(&ToAgent::Interrupt { grace_ms })
    }

    fn wait_for(&mut self, id: Option<u32>, transfer: &mut dyn Transfer) -> Result<FromAgent, Halt> {
        loop {
            if let Some(message) = self.take_frames(id, transfer)? {
                return self.ended(message);
            }
            self.poll_once(&[])?;
        }
    }

    /// Asks for files of the last listing; they arrive on the returned stream.
    ///
    /// # Errors
    /// [`Halt`].
    pub(crate) fn send_files(&mut self, ranges: Vec<(u32, u32)>) -> Result<FileStream<'_>, Halt> {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1).max(1);
        self.send(&ToAgent::Send { id, ranges })?;
        Ok(FileStream {
            session: self,
            id,
            answered: false,
            ended: false,
            chunk: Vec::new(),
            at: 0,
            state: State::Between,
        })
    }

    /// Begins to put files into the container.
    ///
    /// # Errors
    /// [`Halt`].
    pub(crate) fn receive_files(&mut self) -> Result<FileSink<'_>, Halt> {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1).max(1);
        self.send(&ToAgent::Receive { id })?;
        Ok(FileSink { session: self, id, out: Vec::new(), answer: None })
    }

    /// Puts the payload of the next frame of the data socket into `payload`, waiting for it while everything else is
    /// watched; returns its kind.
    fn next_data(&mut self, id: u32, answered: &mut bool, payload: &mut Vec<u8>) -> Result<u8, Halt> {
        loop {
            if let Some((halt, _)) = self.ending.take() {
                return Err(halt);
            }
            if let Some(frame) = self.data_frames.next_frame().map_err(|e| Halt::Protocol(e.to_string()))? {
                payload.clear();
                payload.extend_from_slice(frame.payload);
                return Ok(frame.kind);
            }
            if !*answered {
                match self.take_frames(Some(id), &mut NoTransfer)? {
                    Some(FromAgent::Done { .. }) => *answered = true,
                    Some(FromAgent::Failed { message, .. }) => return Err(Halt::Sink(message)),
                    Some(other) => return Err(Halt::Protocol(format!("{other:?} in answer to Send"))),
                    None => {}
                }
            }
            self.poll_once(&[])?;
        }
    }

    /// The answer, unless the build is being ended meanwhile.
    fn ended(&mut self, message: FromAgent) -> Result<FromAgent, Halt> {
        match self.ending.take() {
            Some((halt, _)) => Err(halt),
            None => Ok(message),
        }
    }

    /// Handles whole frames of the control socket up to the answer.
    fn take_frames(&mut self, id: Option<u32>, transfer: &mut dyn Transfer) -> Result<Option<FromAgent>, Halt> {
        let protocol = |e: &dyn std::fmt::Display| Halt::Protocol(e.to_string());
        while let Some(frame) = self.frames.next_frame().map_err(|e| protocol(&e))? {
            match frame.kind {
                kind::OUTPUT => {
                    let (command, bytes) = agent::decode_output(&frame).map_err(|e| protocol(&e))?;
                    // Output of the running command or of one before it (background processes).
                    if command == 0 || command >= self.next_id {
                        return Err(Halt::Protocol(format!("output of command {command}, which was never started")));
                    }
                    self.journal.output(command, bytes)?;
                }
                kind::ENTRY => transfer.entry(agent::decode(&frame).map_err(|e| protocol(&e))?)?,
                kind::MESSAGE => {
                    let message: FromAgent = agent::decode(&frame).map_err(|e| protocol(&e))?;
                    if message.id() != id {
                        return Err(Halt::Protocol(format!("answer to request {:?} instead of {id:?}", message.id())));
                    }
                    return Ok(Some(message));
                }
                other => return Err(Halt::Protocol(format!("frame of kind {other}"))),
            }
        }
        Ok(None)
    }

    /// Waits until something happens and handles it. Returns how much of `out` went to the data socket.
    fn poll_once(&mut self, out: &[u8]) -> Result<usize, Halt> {
        let now = self.clock.monotonic();
        if let Some((_, patience)) = &self.ending
            && now >= *patience
            && let Some((halt, _)) = self.ending.take()
        {
            return Err(halt);
        }
        if now >= self.limits.deadline {
            self.interrupt(Halt::TimedOut)?;
        }
        if now >= self.next_sample {
            self.sample(now)?;
        }
        let mut wake = self.next_sample;
        wake = wake.min(self.ending.as_ref().map_or(self.limits.deadline, |(_, patience)| *patience));
        let timeout = Timespec::try_from(wake.saturating_sub(now)).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });

        let data_events = if out.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
        let pidfd = self.sandbox.init_pidfd();
        let mut fds = vec![
            PollFd::new(&self.sockets.control, PollFlags::IN),
            PollFd::new(&self.sockets.data, data_events),
            PollFd::from_borrowed_fd(pidfd, PollFlags::IN),
        ];
        if let Some(lifeline) = &self.limits.lifeline {
            fds.push(PollFd::new(lifeline, PollFlags::IN));
        }
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(Halt::Socket(e.into())),
        }
        let ready: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
        let is = |at: usize, flags: PollFlags| ready.get(at).is_some_and(|r| r.intersects(flags));
        let readable = PollFlags::IN | PollFlags::HUP | PollFlags::ERR;

        if is(3, readable) {
            self.read_lifeline()?;
        }
        let mut alive = true;
        if is(0, readable) {
            alive &= receive(self.sockets.control.as_fd(), &mut self.frames)?;
        }
        if is(1, readable) {
            alive &= receive(self.sockets.data.as_fd(), &mut self.data_frames)?;
        }
        let mut written = 0;
        if is(1, PollFlags::OUT) {
            match rustix::net::send(&self.sockets.data, out, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(n) => written = n,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => alive = false,
            }
        }
        // What the agent sent before it died is read first.
        if !alive || (is(2, readable) && !is(0, PollFlags::IN)) {
            return Err(self.death());
        }
        Ok(written)
    }

    fn sample(&mut self, now: Duration) -> Result<(), Halt> {
        self.next_sample = now + SAMPLE_EVERY;
        let usage = self.usage();
        self.journal.event(&Event::Sample(Sample {
            cpu_ns: usage.cpu_ns,
            memory_bytes: usage.memory_bytes,
            memory_peak_bytes: usage.memory_peak_bytes,
            pids: usage.pids,
            read_bytes: usage.read_bytes,
            written_bytes: usage.written_bytes,
        }))?;
        Ok(())
    }

    fn read_lifeline(&mut self) -> Result<(), Halt> {
        let Some(lifeline) = &self.limits.lifeline else { return Ok(()) };
        let mut bytes = [0u8; 16];
        let n = match rustix::io::read(lifeline, &mut bytes) {
            Ok(n) => n,
            Err(Errno::INTR | Errno::AGAIN) => return Ok(()),
            Err(_) => 0,
        };
        if n == 0 {
            return Err(Halt::Killed);
        }
        for &byte in bytes.get(..n).unwrap_or_default() {
            match Control::from_byte(byte) {
                Some(Control::Kill) => return Err(Halt::Killed),
                Some(Control::Stop) => self.interrupt(Halt::Stopped)?,
                None => {}
            }
        }
        Ok(())
    }

    /// The agent's end of a socket is closed, or PID 1 is gone.
    fn death(&mut self) -> Halt {
        if let Some((halt, _)) = self.ending.take() {
            return halt;
        }
        // How it ended by itself says more than that it was killed. A closed socket without a death means that the
        // agent gave up; nothing in the container is of use then.
        if let Ok(Some(exit)) = self.sandbox.wait(Some(DYING)) {
            return Halt::Died(exit);
        }
        self.sandbox.kill();
        match self.sandbox.wait(Some(AFTER_GRACE)) {
            Ok(Some(exit)) => Halt::Died(exit),
            Ok(None) => Halt::Protocol("the agent closed its connection and does not end".to_owned()),
            Err(e) => Halt::Protocol(format!("the agent closed its connection: {e}")),
        }
    }
}

/// Files that arrive from the container, one after the other. Call [`Self::next_file`], read the content with
/// [`io::Read`], repeat; a content that is not read to its end is skipped.
#[derive(Debug)]
pub(crate) struct FileStream<'s> {
    session: &'s mut Session,
    id: u32,
    answered: bool,
    ended: bool,
    chunk: Vec<u8>,
    at: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    Between,
    InFile,
    Broken(Option<Halt>),
}

impl FileStream<'_> {
    /// The next file, link or directory; `None` when all have arrived.
    ///
    /// # Errors
    /// [`Halt`].
    pub(crate) fn next_file(&mut self) -> Result<Option<Entry>, Halt> {
        // The rest of a file that nobody wanted; its end may be an error of the file, which does not matter then.
        let mut skipped = [0u8; 8192];
        while matches!(self.state, State::InFile) {
            if matches!(io::Read::read(self, &mut skipped), Ok(0) | Err(_)) {
                break;
            }
        }
        if let State::Broken(halt) = &mut self.state {
            return Err(halt.take().unwrap_or(Halt::Protocol("the file stream broke off".to_owned())));
        }
        if self.ended {
            return Ok(None);
        }
        match self.session.next_data(self.id, &mut self.answered, &mut self.chunk)? {
            kind::ENTRY => {
                let entry = agent::decode(&Frame { kind: kind::ENTRY, payload: &self.chunk })
                    .map_err(|e| Halt::Protocol(e.to_string()))?;
                self.chunk.clear();
                self.at = 0;
                self.state = State::InFile;
                Ok(Some(entry))
            }
            kind::TRANSFER_END => {
                self.ended = true;
                if !self.answered {
                    match self.session.wait_for(Some(self.id), &mut NoTransfer)? {
                        FromAgent::Done { .. } => self.answered = true,
                        other => return Err(Halt::Protocol(format!("{other:?} after the end of a transfer"))),
                    }
                }
                Ok(None)
            }
            other => Err(Halt::Protocol(format!("data frame of kind {other} between files"))),
        }
    }

    /// What ended the build while a content was read, when that is why reading failed.
    pub(crate) fn take_halt(&mut self) -> Option<Halt> {
        match &mut self.state {
            State::Broken(halt) => halt.take(),
            _ => None,
        }
    }
}

impl io::Read for FileStream<'_> {
    /// Reads the content of the current file. An error of that file alone (it vanished, it is not readable) is an
    /// error too; the stream goes on with the next file.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if !matches!(self.state, State::InFile) || out.is_empty() {
            return Ok(0);
        }
        while self.at == self.chunk.len() {
            self.at = 0;
            match self.session.next_data(self.id, &mut self.answered, &mut self.chunk) {
                Ok(kind::CONTENT) => {}
                Ok(kind::FILE_END) => {
                    let end: Result<FileEnd, _> = agent::decode(&Frame { kind: kind::FILE_END, payload: &self.chunk });
                    self.chunk.clear();
                    self.state = State::Between;
                    return match end {
                        Ok(FileEnd { error: None }) => Ok(0),
                        Ok(FileEnd { error: Some(message) }) => Err(io::Error::other(message)),
                        Err(e) => {
                            self.state = State::Broken(Some(Halt::Protocol(e.to_string())));
                            Err(io::Error::other("the agent broke the protocol"))
                        }
                    };
                }
                Ok(other) => {
                    self.state = State::Broken(Some(Halt::Protocol(format!("data frame of kind {other} in a file"))));
                    return Err(io::Error::other("the agent broke the protocol"));
                }
                Err(halt) => {
                    let message = halt.to_string();
                    self.state = State::Broken(Some(halt));
                    return Err(io::Error::other(message));
                }
            }
        }
        let n = out.len().min(self.chunk.len() - self.at);
        out[..n].copy_from_slice(&self.chunk[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

/// Files on their way into the container: [`Self::entry`], contents, [`Self::end_of_file`], repeat, [`Self::finish`].
#[derive(Debug)]
pub(crate) struct FileSink<'s> {
    session: &'s mut Session,
    id: u32,
    out: Vec<u8>,
    answer: Option<FromAgent>,
}

impl FileSink<'_> {
    /// What is buffered before the socket is asked to take it.
    const BUFFER: usize = 512 * 1024;

    /// The next file, link or directory, with its absolute path.
    ///
    /// # Errors
    /// [`Halt`].
    pub(crate) fn entry(&mut self, entry: &Entry) -> Result<(), Halt> {
        agent::encode(kind::ENTRY, entry, &mut self.out).map_err(|e| Halt::Sink(e.to_string()))?;
        self.drain(Self::BUFFER)
    }

    /// The next bytes of the file.
    ///
    /// # Errors
    /// [`Halt`].
    pub(crate) fn content(&mut self, bytes: &[u8]) -> Result<(), Halt> {
        for piece in bytes.chunks(1 << 20) {
            frame::encode(kind::CONTENT, piece, &mut self.out);
            self.drain(Self::BUFFER)?;
        }
        Ok(())
    }

    /// The file is complete.
    ///
    /// # Errors
    /// [`Halt`].
    pub(crate) fn end_of_file(&mut self) -> Result<(), Halt> {
        agent::encode(kind::FILE_END, &FileEnd { error: None }, &mut self.out)
            .map_err(|e| Halt::Sink(e.to_string()))?;
        self.drain(Self::BUFFER)
    }

    /// The file will not become complete; the agent throws away what it has of it.
    ///
    /// # Errors
    /// [`Halt`].
    pub(crate) fn broken_file(&mut self, why: &str) -> Result<(), Halt> {
        agent::encode(kind::FILE_END, &FileEnd { error: Some(why.to_owned()) }, &mut self.out)
            .map_err(|e| Halt::Sink(e.to_string()))?;
        self.drain(Self::BUFFER)
    }

    /// That was the last one; returns the agent's answer.
    ///
    /// # Errors
    /// [`Halt`].
    pub(crate) fn finish(mut self) -> Result<FromAgent, Halt> {
        frame::encode(kind::TRANSFER_END, &[], &mut self.out);
        self.drain(0)?;
        match self.answer.take() {
            Some(answer) => Ok(answer),
            None => self.session.wait_for(Some(self.id), &mut NoTransfer),
        }
    }

    /// Sends until at most `left` bytes are buffered. Once the agent has answered it reads no more.
    fn drain(&mut self, left: usize) -> Result<(), Halt> {
        let mut sent = 0;
        while self.out.len() - sent > left && self.answer.is_none() {
            if let Some((halt, _)) = self.session.ending.take() {
                return Err(halt);
            }
            self.answer = self.session.take_frames(Some(self.id), &mut NoTransfer)?;
            if self.answer.is_none() {
                sent += self.session.poll_once(self.out.get(sent..).unwrap_or_default())?;
            }
        }
        if self.answer.is_some() {
            self.out.clear();
        } else {
            self.out.drain(..sent);
        }
        Ok(())
    }
}

/// Reads what is there. False: the other end is closed.
fn receive(socket: BorrowedFd<'_>, frames: &mut FrameBuffer) -> Result<bool, Halt> {
    match rustix::net::recv(socket, frames.space(READ), RecvFlags::DONTWAIT) {
        Ok((_, 0)) => Ok(false),
        Ok((_, n)) => {
            frames.commit(n);
            Ok(true)
        }
        Err(Errno::AGAIN | Errno::INTR) => Ok(true),
        Err(Errno::CONNRESET) => Ok(false),
        Err(e) => Err(Halt::Socket(e.into())),
    }
}
