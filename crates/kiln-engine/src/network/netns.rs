//! Sockets inside a build's network namespace that are served from outside (DESIGN decision 8).
//!
//! A socket belongs to the namespace that its thread was in when it was made, whoever uses it later. So the build
//! reaches a service on an address of its own loopback, and no hole in its namespace leads to the host.

use std::{
    io,
    net::{SocketAddrV4, TcpListener, TcpStream},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec},
    io::Errno,
    thread::LinkNameSpaceType,
};

/// Runs `work` on a thread that is in the network namespace `netns`.
///
/// # Errors
/// The namespace could not be entered (it takes CAP_SYS_ADMIN), or the thread not started.
pub(crate) fn inside<T: Send>(netns: BorrowedFd<'_>, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let worker = thread::Builder::new().name("kiln-netns".into()).spawn_scoped(scope, move || {
            rustix::thread::move_into_link_name_space(netns, Some(LinkNameSpaceType::Network))?;
            Ok(work())
        })?;
        worker.join().map_err(|_| io::Error::other("the thread in the build's network namespace panicked"))?
    })
}

/// Tells a service's threads to end.
#[derive(Debug)]
pub struct Stop {
    event: OwnedFd,
}

/// Why [`Stop::wait`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// The descriptor is ready.
    Ready,
    /// The time is over.
    Timeout,
    /// The service is to end.
    Stopped,
}

impl Stop {
    /// # Errors
    /// No descriptor could be made.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { event: rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    /// Ends every wait, now and later.
    pub(crate) fn raise(&self) {
        // It fails only when the counter is full, and then it is readable.
        rustix::io::write(&self.event, &1u64.to_ne_bytes()).ok();
    }

    /// Waits until `fd` is ready for `events`, `deadline` has passed, or the service is to end.
    ///
    /// # Errors
    /// The system's.
    pub fn wait(&self, fd: BorrowedFd<'_>, events: PollFlags, deadline: Option<Instant>) -> io::Result<Wake> {
        let mut fds = [PollFd::new(&self.event, PollFlags::IN), PollFd::from_borrowed_fd(fd, events)];
        poll(&mut fds, deadline)?;
        let [stop, ready] = fds.map(|fd| !fd.revents().is_empty());
        Ok(match (stop, ready) {
            (true, _) => Wake::Stopped,
            (false, true) => Wake::Ready,
            (false, false) => Wake::Timeout,
        })
    }

    /// Waits until `deadline`; true if the service is to end.
    pub(crate) fn sleep(&self, deadline: Instant) -> bool {
        let mut fds = [PollFd::new(&self.event, PollFlags::IN)];
        poll(&mut fds, Some(deadline)).is_err() || !fds[0].revents().is_empty()
    }
}

impl AsFd for Stop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

/// `poll(2)` until `deadline`.
pub(crate) fn poll(fds: &mut [PollFd<'_>], deadline: Option<Instant>) -> io::Result<()> {
    loop {
        let timeout = deadline.map(|at| {
            let left = at.saturating_duration_since(Instant::now());
            Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() }
        });
        match rustix::event::poll(fds, timeout.as_ref()) {
            Err(Errno::INTR) => {}
            result => return result.map(drop).map_err(io::Error::from),
        }
    }
}

/// Reads until `buffer` is full. `stream` does not block.
///
/// # Errors
/// The stream's; `UnexpectedEof` at its end, `TimedOut` at `deadline`, `Interrupted` when the service is to end.
pub(crate) fn read_exact(
    mut stream: &TcpStream,
    mut buffer: &mut [u8],
    stop: &Stop,
    deadline: Instant,
) -> io::Result<()> {
    while !buffer.is_empty() {
        match io::Read::read(&mut stream, buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => buffer = buffer.split_at_mut(count.min(buffer.len())).1,
            Err(error) => blocked(error, stream, PollFlags::IN, stop, deadline)?,
        }
    }
    Ok(())
}

/// Writes all of `bytes`. `stream` does not block.
///
/// # Errors
/// As [`read_exact`].
pub(crate) fn write_all(mut stream: &TcpStream, mut bytes: &[u8], stop: &Stop, deadline: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        match io::Write::write(&mut stream, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(error) => blocked(error, stream, PollFlags::OUT, stop, deadline)?,
        }
    }
    Ok(())
}

fn blocked(error: io::Error, stream: &TcpStream, events: PollFlags, stop: &Stop, deadline: Instant) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::WouldBlock => match stop.wait(stream.as_fd(), events, Some(deadline))? {
            Wake::Ready => Ok(()),
            Wake::Timeout => Err(io::ErrorKind::TimedOut.into()),
            Wake::Stopped => Err(io::ErrorKind::Interrupted.into()),
        },
        io::ErrorKind::Interrupted => Ok(()),
        _ => Err(error),
    }
}

/// Threads that serve a build; they end when this is dropped, without waiting for the build.
#[derive(Debug)]
pub struct Service {
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    /// Runs `work` on a thread of its own; it must return soon after its [`Stop`] says so.
    ///
    /// # Errors
    /// The thread could not be started.
    pub(crate) fn start(name: &str, work: impl FnOnce(&Stop) + Send + 'static) -> io::Result<Self> {
        let stop = Arc::new(Stop::new()?);
        let theirs = Arc::clone(&stop);
        let thread = thread::Builder::new().name(name.into()).spawn(move || work(&theirs))?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Tells the threads to end, without waiting; several services end together so.
    pub(crate) fn signal(&self) {
        self.stop.raise();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.raise();
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed; there is nothing left to save.
            thread.join().ok();
        }
    }
}

/// Listens on `address` inside the network namespace `netns`, an address that the namespace has already, and calls
/// `handler` for each connection, on a thread of its own and at most `limit` at a time; further connections are closed
/// at once. Streams do not block: use [`Stop::wait`], so that the service ends when it is dropped whatever the build
/// does.
///
/// # Errors
/// The namespace could not be entered, the address not be used, or a thread not be started.
pub fn serve_in_netns(
    netns: BorrowedFd<'_>,
    address: SocketAddrV4,
    limit: usize,
    handler: impl Fn(TcpStream, &Stop) + Send + Sync + 'static,
) -> io::Result<Service> {
    let listener = inside(netns, || listen(address))??;
    serve_on(listener, limit, handler)
}

/// A listener on `address` in the calling thread's network namespace.
pub(crate) fn listen(address: SocketAddrV4) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// As [`serve_in_netns`], with a listener that exists and does not block.
///
/// # Errors
/// A thread could not be started.
pub fn serve_on(
    listener: TcpListener,
    limit: usize,
    handler: impl Fn(TcpStream, &Stop) + Send + Sync + 'static,
) -> io::Result<Service> {
    Service::start("kiln-serve", move |stop| {
        let active = AtomicUsize::new(0);
        thread::scope(|scope| {
            while stop.wait(listener.as_fd(), PollFlags::IN, None).is_ok_and(|wake| wake == Wake::Ready) {
                let stream = match listener.accept() {
                    Ok((stream, _)) => stream,
                    // Out of descriptors, or the peer is gone already: the listener stays, but do not spin.
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                        if stop.sleep(Instant::now() + Duration::from_millis(20)) {
                            break;
                        }
                        continue;
                    }
                    Err(_) => continue,
                };
                if active.load(Ordering::Acquire) >= limit || stream.set_nonblocking(true).is_err() {
                    continue;
                }
                active.fetch_add(1, Ordering::AcqRel);
                let (handler, slot) = (&handler, Slot(&active));
                // Without a thread, the stream is closed and the slot free again.
                thread::Builder::new()
                    .name("kiln-serve".into())
                    .spawn_scoped(scope, move || {
                        handler(stream, stop);
                        drop(slot);
                    })
                    .ok();
            }
        });
    })
}

/// One of the connections that a service may have.
struct Slot<'a>(&'a AtomicUsize);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
