//! The bytes of a connection: plain, encrypted or local, with the time limits on them.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    time::{Duration, Instant, Sleep, sleep_until},
};
use tokio_rustls::server::TlsStream;

use super::pulse::Pulse;

/// What carries the bytes.
pub(crate) enum Carrier {
    /// Plain TCP.
    Tcp(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<TcpStream>>),
    /// A socket of this machine.
    Unix(UnixStream),
}

macro_rules! each_carrier {
    ($self:ident, $inner:ident => $body:expr) => {
        match $self.get_mut() {
            Carrier::Tcp($inner) => $body,
            Carrier::Tls($inner) => $body,
            Carrier::Unix($inner) => $body,
        }
    };
}

impl AsyncRead for Carrier {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each_carrier!(self, inner => Pin::new(inner).poll_read(cx, buffer))
    }
}

impl AsyncWrite for Carrier {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        each_carrier!(self, inner => Pin::new(inner).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each_carrier!(self, inner => Pin::new(inner).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each_carrier!(self, inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each_carrier!(self, inner => Pin::new(inner).poll_shutdown(cx))
    }
}

/// A carrier that fails when the client idles, sends its head too slowly, or does not read.
pub(crate) struct Timed {
    carrier: Carrier,
    pulse: Arc<Pulse>,
    stalled_write: Duration,
    read_alarm: Alarm,
    write_alarm: Alarm,
    write_deadline: Option<Instant>,
}

impl Timed {
    pub(crate) fn new(carrier: Carrier, pulse: Arc<Pulse>, stalled_write: Duration) -> Self {
        let [read_alarm, write_alarm] = [Alarm(None), Alarm(None)];
        Self { carrier, pulse, stalled_write, read_alarm, write_alarm, write_deadline: None }
    }

    /// Passes the result of a write on; one that has been pending for too long becomes an error.
    fn watch_write<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.write_deadline = None;
            return result;
        }
        let deadline = *self.write_deadline.get_or_insert_with(|| Instant::now() + self.stalled_write);
        ready!(self.write_alarm.poll(cx, deadline));
        Poll::Ready(Err(timed_out("the client does not read its answer")))
    }
}

/// A timer that is made when it is first needed: most connections never wait.
struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(cx)
    }
}

fn timed_out(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, text)
}

impl AsyncRead for Timed {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut this.carrier).poll_read(cx, buffer) {
            if buffer.filled().len() > before {
                this.pulse.received();
            }
            // A head that arrives byte by byte never lets the read below become pending for long.
            return match this.pulse.deadline() {
                Some(deadline) if deadline <= Instant::now() => {
                    Poll::Ready(Err(timed_out("the head comes too slowly")))
                }
                _ => Poll::Ready(result),
            };
        }
        this.pulse.wake_when_idle(cx.waker());
        let Some(deadline) = this.pulse.deadline() else { return Poll::Pending };
        ready!(this.read_alarm.poll(cx, deadline));
        Poll::Ready(Err(timed_out("no request in time")))
    }
}

impl AsyncWrite for Timed {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.carrier).poll_write(cx, bytes);
        this.watch_write(cx, result)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.carrier).poll_write_vectored(cx, slices);
        this.watch_write(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.carrier.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.carrier).poll_flush(cx);
        this.watch_write(cx, result)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.carrier).poll_shutdown(cx);
        this.watch_write(cx, result)
    }
}
