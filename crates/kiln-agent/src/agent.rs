//! The loop: requests in, answers and output out.

use std::{
    collections::VecDeque,
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use kiln_wire::{
    agent::{self as wire, CommandExit, FromAgent, Run, ToAgent, kind},
    frame::FrameBuffer,
};
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    io::Errno,
    net::RecvFlags,
    process::DumpableBehavior,
};

use crate::{
    command::{self, Command, Exit, Tap},
    ending::{Ending, TERM},
    expand::Expansion,
    grant::Grant,
    list::{ListTask, Listing, Step},
    outbox::Outbox,
    setup::{self, Build},
    state::Place,
    sys,
    transfer::{Receive, Send},
};

mod requests;

/// Nothing more is read from commands or files while this much waits for the runner.
const FULL: usize = 256 << 10;
/// Output pipes of ended commands that are kept for their background processes.
const MAX_TAPS: usize = 256;
/// Requests that may wait; the runner sends one at a time.
const MAX_REQUESTS: usize = 64;
/// Read from the control socket at once.
const CONTROL_READ: usize = 64 << 10;
/// How long the runner may take nothing of the last output before the agent goes without.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Why the agent cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fatal {
    /// The container was not started by Kiln, or not rightly.
    #[error("cannot start: {0}")]
    Start(String),
    /// The runner is gone; what runs is ended with the agent.
    #[error("the runner is gone: {0}")]
    Runner(String),
    /// The runner sent what is not this protocol.
    #[error("protocol error: {0}")]
    Protocol(String),
    /// A system call failed that has no reason to.
    #[error("{0}: {1}")]
    System(&'static str, Errno),
}

/// Runs until the runner says [`ToAgent::Shutdown`].
///
/// # Errors
/// [`Fatal`]; with process 1 everything in the container ends.
pub(crate) fn run() -> Result<(), Fatal> {
    let mut agent = Agent::start()?;
    loop {
        if agent.turn()? {
            return Ok(());
        }
    }
}

/// What is being done.
enum Task {
    Idle,
    /// Before a command of a user: rights on the source tree.
    Grant(Grant, Run),
    Command(Command),
    Expand(Expansion),
    List(Box<ListTask>),
    Send(Send),
    Receive(Receive),
}

impl Task {
    /// It can go on without waiting for anything.
    fn is_busy(&self, room: bool) -> bool {
        match self {
            Self::Grant(..) => true,
            Self::List(_) => room,
            Self::Send(send) => send.can_go_on(),
            Self::Expand(expansion) => expansion.can_go_on(),
            Self::Idle | Self::Command(_) | Self::Receive(_) => false,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Expand(expansion) => Some(expansion.deadline),
            Self::Command(command) => command.settles_at,
            _ => None,
        }
    }
}

struct Agent {
    control: OwnedFd,
    data: OwnedFd,
    children: OwnedFd,
    inbox: FrameBuffer,
    /// What came over the data socket.
    arrivals: FrameBuffer,
    outbox: Outbox,
    requests: VecDeque<ToAgent>,
    task: Task,
    taps: Vec<Tap>,
    ending: Option<Ending>,
    /// All is ended, and the agent will: how much was waiting for the runner at what time.
    leaving: Option<(usize, Instant)>,
    build: Option<Build>,
    /// What the last `List` found.
    listing: Listing,
    turns: usize,
}

/// What a turn woke up for.
#[derive(Default)]
struct Wake {
    children: bool,
    control: bool,
    taps: Vec<bool>,
}

impl Agent {
    fn start() -> Result<Self, Fatal> {
        // A build that is root in here must not reach into this process: no ptrace, no /proc/1/fd, no /proc/1/mem.
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .map_err(|error| Fatal::System("prctl(PR_SET_DUMPABLE)", error))?;
        let start = |error: std::io::Error| Fatal::Start(error.to_string());
        let (control, data) = sys::inherited(wire::CONTROL_FD, wire::DATA_FD).map_err(start)?;
        if !sys::is_socket(&control) || !sys::is_socket(&data) {
            return Err(Fatal::Start("descriptors 3 and 4 are not sockets".into()));
        }
        let children = sys::watch_children().map_err(start)?;
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        let mut agent = Self {
            control,
            data,
            children,
            inbox: FrameBuffer::new(),
            arrivals: FrameBuffer::new(),
            outbox: Outbox::default(),
            requests: VecDeque::new(),
            task: Task::Idle,
            taps: Vec::new(),
            ending: None,
            leaving: None,
            build: None,
            listing: Listing::default(),
            turns: 0,
        };
        agent.answer(&FromAgent::Ready { protocol: wire::PROTOCOL, runtimes: setup::runtimes() })?;
        Ok(agent)
    }

    /// One turn of the loop; true when the agent is done.
    fn turn(&mut self) -> Result<bool, Fatal> {
        let wake = self.wait()?;
        let now = Instant::now();
        self.turns = self.turns.wrapping_add(1);
        if wake.children {
            self.reap()?;
        }
        if wake.control {
            self.hear(now)?;
        }
        self.read_output(&wake.taps, now);
        self.advance_ending(now);
        self.advance_task(now)?;
        let free = self.leaving.is_none() && self.ending.is_none() && matches!(self.task, Task::Idle);
        if free && let Some(request) = self.requests.pop_front() {
            self.begin(request)?;
        }
        self.outbox.flush(&self.control).map_err(|error| Fatal::Runner(error.to_string()))?;
        self.forget_taps();
        Ok(self.done(now))
    }

    /// Waits for something to do.
    fn wait(&self) -> Result<Wake, Fatal> {
        let now = Instant::now();
        let mut deadline = self.ending.as_ref().map(Ending::deadline);
        let mut sooner = |at: Instant| deadline = Some(deadline.map_or(at, |deadline| deadline.min(at)));
        let room = self.outbox.pending() < FULL;
        let mut control = PollFlags::IN;
        if self.outbox.pending() > 0 {
            control |= PollFlags::OUT;
        }
        if let Some(at) = self.task.deadline() {
            sooner(at);
        }
        if self.task.is_busy(room) {
            sooner(now);
        }
        let mut fds = Vec::with_capacity(self.taps.len() + 4);
        fds.push(PollFd::new(&self.control, control));
        fds.push(PollFd::new(&self.children, PollFlags::IN));
        let mut polled = Vec::with_capacity(self.taps.len());
        for (index, tap) in self.taps.iter().enumerate().filter(|(_, tap)| room && !tap.ended) {
            match tap.held(now) {
                Some(until) => sooner(until),
                None => {
                    fds.push(PollFd::new(&tap.pipe, PollFlags::IN));
                    polled.push(index);
                }
            }
        }
        match &self.task {
            Task::Expand(expansion) => fds.extend(expansion.descriptors().map(|fd| PollFd::new(fd, PollFlags::IN))),
            Task::Send(send) if send.outbox.pending() > 0 => fds.push(PollFd::new(&self.data, PollFlags::OUT)),
            Task::Receive(_) => fds.push(PollFd::new(&self.data, PollFlags::IN)),
            _ => {}
        }
        if self.leaving.is_some() {
            sooner(now + Duration::from_millis(100));
        }
        if !self.requests.is_empty() && self.ending.is_none() && matches!(self.task, Task::Idle) {
            sooner(now);
        }
        let timeout = deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(now);
            Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() }
        });
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(Fatal::System("poll", error)),
        }
        let mut ready = fds.iter().map(|fd| fd.revents());
        let any = PollFlags::IN | PollFlags::HUP | PollFlags::ERR;
        let mut wake = Wake {
            control: ready.next().is_some_and(|events| events.intersects(any)),
            children: ready.next().is_some_and(|events| events.intersects(any)),
            taps: vec![false; self.taps.len()],
        };
        for (index, events) in polled.into_iter().zip(ready) {
            if let Some(tap) = wake.taps.get_mut(index) {
                *tap = events.intersects(any);
            }
        }
        Ok(wake)
    }

    /// Takes all ended children.
    fn reap(&mut self) -> Result<(), Fatal> {
        let mut notes = [0; 4096];
        loop {
            match rustix::io::read(&self.children, &mut notes) {
                Ok(_) => {}
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(Fatal::System("signalfd", error)),
            }
        }
        while let Some(reaped) = sys::reap() {
            match &mut self.task {
                Task::Command(command) if command.pid == reaped.pid => command.exit = Some(Exit::from(reaped)),
                Task::Expand(expansion) => expansion.reaped(reaped),
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads the control socket.
    fn hear(&mut self, now: Instant) -> Result<(), Fatal> {
        let space = self.inbox.space(CONTROL_READ);
        match rustix::net::recv(&self.control, space, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Err(Fatal::Runner("it closed the control socket".into())),
            Ok((read, _)) => self.inbox.commit(read),
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            Err(error) => return Err(Fatal::Runner(error.to_string())),
        }
        while let Some(frame) = self.inbox.next_frame().map_err(|error| Fatal::Protocol(error.to_string()))? {
            if frame.kind != kind::MESSAGE {
                return Err(Fatal::Protocol(format!("frame of kind {} on the control socket", frame.kind)));
            }
            let message = wire::decode(&frame).map_err(|error| Fatal::Protocol(error.to_string()))?;
            match message {
                ToAgent::Interrupt { grace_ms } => self.end_all(now, grace_ms, false)?,
                ToAgent::Shutdown { grace_ms } => self.end_all(now, grace_ms, true)?,
                _ if self.requests.len() >= MAX_REQUESTS => {
                    return Err(Fatal::Protocol("more requests than answers".into()));
                }
                request => self.requests.push_back(request),
            }
        }
        Ok(())
    }

    fn end_all(&mut self, now: Instant, grace_ms: u32, exit: bool) -> Result<(), Fatal> {
        let grace = Duration::from_millis(grace_ms.into());
        match &mut self.ending {
            Some(ending) => ending.hasten(now, grace, exit),
            None => self.ending = Some(Ending::start(now, grace, exit)),
        }
        // What was asked for and has not begun does not begin.
        if let Task::Grant(_, run) = &self.task {
            let id = run.id;
            self.task = Task::Idle;
            self.refuse_interrupted(id)?;
        }
        for request in std::mem::take(&mut self.requests) {
            match request {
                ToAgent::Run(run) => self.refuse_interrupted(run.id)?,
                ToAgent::Expand { id, .. } => {
                    self.answer(&FromAgent::Failed { id, message: "interrupted before it began".into() })?;
                }
                other => self.requests.push_back(other),
            }
        }
        Ok(())
    }

    fn refuse_interrupted(&mut self, id: u32) -> Result<(), Fatal> {
        self.ended(id, Exit { exit: CommandExit::Signal(TERM), cpu_ms: 0 }, Vec::new())
    }

    fn advance_ending(&mut self, now: Instant) {
        let Some(ending) = &mut self.ending else { return };
        if ending.advance(now) {
            if ending.exit {
                self.leaving = Some((self.outbox.pending(), now));
            }
            self.ending = None;
        }
    }

    /// Moves what commands printed, starting with another one each time so that none is kept waiting.
    fn read_output(&mut self, ready: &[bool], now: Instant) {
        let count = self.taps.len();
        for offset in 0..count {
            let index = (offset + self.turns) % count;
            if self.outbox.pending() >= FULL {
                return;
            }
            if ready.get(index) == Some(&true)
                && let Some(tap) = self.taps.get_mut(index)
            {
                tap.read(now, &mut self.outbox);
            }
        }
    }

    fn advance_task(&mut self, now: Instant) -> Result<(), Fatal> {
        let room = self.outbox.pending() < FULL;
        match std::mem::replace(&mut self.task, Task::Idle) {
            Task::Idle => {}
            Task::Grant(mut grant, run) => {
                if grant.step() {
                    self.task = Task::Grant(grant, run);
                } else {
                    self.begin_granted(run)?;
                }
            }
            Task::Command(command) => self.advance_command(command, now)?,
            Task::Expand(expansion) => self.advance_expansion(expansion, now)?,
            Task::List(list) if !room => self.task = Task::List(list),
            Task::List(mut list) => match list.step(&mut self.outbox) {
                Ok(Step::Goes) => self.task = Task::List(list),
                Ok(Step::Done(message, listing)) => {
                    self.listing = listing;
                    self.answer(&message)?;
                }
                Err(message) => self.answer(&FromAgent::Failed { id: list.id(), message })?,
            },
            Task::Send(mut send) => {
                send.step(&self.listing).map_err(Fatal::Protocol)?;
                send.outbox.flush(&self.data).map_err(|error| Fatal::Runner(error.to_string()))?;
                if send.done() {
                    self.answer(&FromAgent::Done { id: send.id })?;
                } else {
                    self.task = Task::Send(send);
                }
            }
            Task::Receive(mut receive) => {
                match receive.step(self.data.as_fd(), &mut self.arrivals).map_err(Fatal::Protocol)? {
                    Some(answer) => self.answer(&answer)?,
                    None => self.task = Task::Receive(receive),
                }
            }
        }
        Ok(())
    }

    fn advance_expansion(&mut self, mut expansion: Expansion, now: Instant) -> Result<(), Fatal> {
        let Some(build) = &self.build else { return Err(Fatal::Protocol("no Setup came first".into())) };
        let id = expansion.id;
        match expansion.step(build, now) {
            Ok(None) => {
                self.task = Task::Expand(expansion);
                Ok(())
            }
            Ok(Some(texts)) => {
                self.outbox.output_text(id, &String::from_utf8_lossy(&expansion.messages));
                self.answer(&FromAgent::Expanded { id, texts })
            }
            Err(message) => self.answer(&FromAgent::Failed { id, message }),
        }
    }

    fn advance_command(&mut self, mut command: Command, now: Instant) -> Result<(), Fatal> {
        // While everything is being ended the answer waits, so that it does not name what is about to end as holders.
        let Some(exit) = command.exit.filter(|_| self.ending.is_none()) else {
            self.task = Task::Command(command);
            return Ok(());
        };
        let mut holders = Vec::new();
        if let Some(tap) = self.taps.iter_mut().find(|tap| tap.command == command.id) {
            if tap.to_drain.is_none() {
                tap.start_draining();
            }
            while !tap.drained() && self.outbox.pending() < FULL {
                tap.read(Instant::now(), &mut self.outbox);
            }
            if !tap.drained() {
                self.task = Task::Command(command);
                return Ok(());
            }
            if !tap.ended {
                tap.read(now, &mut self.outbox);
            }
            if !tap.ended {
                if now < *command.settles_at.get_or_insert(now + command::SETTLE) {
                    self.task = Task::Command(command);
                    return Ok(());
                }
                holders = command::holders(&tap.pipe, command.credentials.as_ref());
            }
            tap.to_drain = None;
        }
        if !command.fresh {
            self.adopt_state(command.id);
        }
        self.ended(command.id, exit, holders)
    }

    /// Takes over the variables and the directory that a command left.
    fn adopt_state(&mut self, command: u32) {
        let Some(build) = &mut self.build else { return };
        if let Err(error) = build.state.read(&Place::current()) {
            let text = format!(
                "kiln: {} cannot be used ({}): variables and directory stay as they were before this command\n",
                error.path.display(),
                error.problem
            );
            self.outbox.output_text(command, &text);
        }
    }

    fn ended(&mut self, id: u32, exit: Exit, holders: Vec<wire::Holder>) -> Result<(), Fatal> {
        self.answer(&FromAgent::Ended { id, exit: exit.exit, cpu_ms: exit.cpu_ms, holders })
    }

    /// Closes pipes that nobody holds any more, and the oldest when there are too many.
    fn forget_taps(&mut self) {
        self.taps.retain(|tap| !tap.ended);
        if self.taps.len() > MAX_TAPS {
            let tap = self.taps.remove(0);
            let text = "kiln: too many background processes: what this command's print is no longer taken\n";
            self.outbox.output_text(tap.command, text);
        }
    }

    /// True when there is nothing left to say.
    fn done(&mut self, now: Instant) -> bool {
        let Some((waiting, since)) = self.leaving else { return false };
        let pending = self.outbox.pending();
        if pending != waiting {
            self.leaving = Some((pending, now));
        }
        let silent = matches!(self.task, Task::Idle) && self.taps.is_empty() && pending == 0;
        silent || (pending == waiting && now.saturating_duration_since(since) > LAST_WORDS)
    }
}
