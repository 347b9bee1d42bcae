//! The conversation with the agent while everything else is watched: the lifeline, the time limit, the container's
//! life, its resource use.
//!
//! One thread, one `poll`. The agent is not trusted (a build that is root may speak in its place): an answer that was
//! not asked for ends the build.

mod files;
mod halt;

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use kiln_engine::{Sandbox, Usage};
use kiln_wire::{
    agent::{self, Entry, FromAgent, ToAgent, kind},
    event::{Event, Sample},
    frame::FrameBuffer,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType},
};

pub(crate) use self::{files::FileStream, halt::Halt};
use crate::{clock::Clock, job::Control, journal::Journal};

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
