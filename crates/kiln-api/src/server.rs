//! Connections: accepting them, what runs on them, and ending them.

use std::{convert::Infallible, future::Future, io, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use kiln_model::{
    ApiError,
    audit::AuditTrail,
    service::{RunningBuilds, Service},
};
use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{Semaphore, mpsc, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use uuid::Uuid;

use crate::{
    authenticate::{Keys, Refusals},
    authorise::Authorizer,
    body::{Answer, Budget},
    calls::Calls,
    config::{Config, State},
    connection::{
        Peer,
        pulse::{Admitted, Busy, Register},
        stream::{Carrier, Timed},
        tls,
    },
    fault::Fault,
    framing,
    pipeline::Arrival,
    rates::Throttle,
    replay::Replays,
    route, runners,
};

/// What the front end is in front of.
pub struct Api<S, K, A> {
    /// The service.
    pub service: Arc<S>,
    /// Its access keys.
    pub keys: Arc<K>,
    /// Who may do what.
    pub authorizer: A,
    /// Where calls are kept.
    pub trail: Arc<dyn AuditTrail>,
}

/// Where clients connect.
#[derive(Debug)]
pub enum Listener {
    /// An address and port.
    Tcp(TcpListener),
    /// A socket in the file system, for what runs on this machine.
    Unix(UnixListener),
    /// A socket in the file system, for the runners of builds.
    Runners(UnixListener),
}

/// One server at work.
pub(crate) struct Server<S, K, A> {
    pub(crate) service: Arc<S>,
    pub(crate) keys: Arc<K>,
    pub(crate) authorizer: A,
    pub(crate) trail: Arc<dyn AuditTrail>,
    pub(crate) config: Config,
    pub(crate) stopping: watch::Receiver<bool>,
    pub(crate) requests: Semaphore,
    pub(crate) bodies: Budget,
    pub(crate) replays: Replays,
    pub(crate) refusals: Refusals,
    pub(crate) calls: Calls,
    pub(crate) throttle: Throttle,
    /// Connections that builds may have at the same time, all together: they leave some for others.
    of_builds: Semaphore,
    register: Arc<Register>,
}

/// Held by everything that a stopping server waits for.
type Alive = mpsc::Sender<Infallible>;

/// A pause after a failed `accept`: descriptors ran out, most likely, and come back when requests end.
const BREATH: Duration = Duration::from_millis(100);

/// A connection that is made already is there to be accepted within this time.
const MOMENT: Duration = Duration::from_millis(10);

/// What a client is told for whom there is no room. Written without reading its request.
const NO_ROOM: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: 58\r\n\
    Connection: close\r\n\r\n{\"__type\":\"ThrottlingException\",\"message\":\"Rate exceeded\"}";

/// Serves until `shutdown` resolves. Then ends live streams, and waits for requests that are handled, at most
/// [`crate::Limits::drain`]; who asks for something meanwhile is told that the server is stopping, in the way of the service
/// that is asked. Connections without a request are closed after [`crate::Limits::linger`], the listeners last.
pub async fn serve<S: Service, K: Keys, A: Authorizer>(
    listeners: Vec<Listener>,
    config: Config,
    api: Api<S, K, A>,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopping) = watch::channel(false);
    let (close, closing) = watch::channel(false);
    let (alive, mut ended) = mpsc::channel(1);
    let (late, mut late_ended) = mpsc::channel(1);
    let Api { service, keys, authorizer, trail } = api;
    let (readiness, drain) = (config.readiness.clone(), config.limits.drain);
    let server = Arc::new(Server {
        service,
        keys,
        authorizer,
        trail,
        requests: Semaphore::new(config.limits.requests.min(Semaphore::MAX_PERMITS)),
        bodies: Budget::new(config.limits.all_bodies_bytes),
        replays: Replays::default(),
        refusals: Refusals::new(),
        calls: Calls::default(),
        throttle: Throttle::new(config.limits.rates),
        of_builds: Semaphore::new((config.limits.connections / 2).max(1)),
        register: Arc::default(),
        config,
        stopping,
    });
    let mut acceptors = JoinSet::new();
    for listener in listeners {
        let accepting = Accepting { alive: Some(alive.clone()), late: late.clone(), closing: closing.clone() };
        acceptors.spawn(Arc::clone(&server).accept(listener, accepting));
    }
    drop((server, alive, late));

    shutdown.await;
    readiness.set(State::Stopping);
    stop.send_replace(true);
    if timeout(drain, ended.recv()).await.is_err() {
        tracing::warn!("requests were still handled {} seconds after the server was told to stop", drain.as_secs());
    }
    close.send_replace(true);
    acceptors.join_all().await;
    // Who came after the end was told is answered at once, or says nothing.
    timeout(drain, late_ended.recv()).await.ok();
}

/// What somebody who accepts connections holds.
struct Accepting {
    /// For connections that the end of the server waits for.
    alive: Option<Alive>,
    /// For those that come when the server is stopping.
    late: Alive,
    /// All that was accepted has ended.
    closing: watch::Receiver<bool>,
}

impl<S: Service, K: Keys, A: Authorizer> Server<S, K, A> {
    async fn accept(self: Arc<Self>, listener: Listener, mut accepting: Accepting) {
        let mut stopping = self.stopping.clone();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stopping.wait_for(|stopping| *stopping), if accepting.alive.is_some() => {
                    accepting.alive = None;
                    if matches!(listener, Listener::Runners(_)) {
                        // They wait for the next server.
                        return;
                    }
                    continue;
                }
                _ = accepting.closing.wait_for(|closing| *closing) => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok(socket) => self.begin(socket, accepting.alive.as_ref().unwrap_or(&accepting.late)),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(BREATH).await;
                }
            }
        }
        // Whoever has connected by now would see a reset.
        while let Ok(Ok(socket)) = timeout(MOMENT, listener.accept()).await {
            self.begin(socket, &accepting.late);
        }
    }

    fn begin(self: &Arc<Self>, socket: Socket, alive: &Alive) {
        match self.register.admit(&self.config.limits) {
            Some(admitted) => {
                tokio::spawn(Arc::clone(self).connection(socket, admitted, alive.clone()));
            }
            None => socket.turn_away(),
        }
    }

    /// One connection from its first byte to its end.
    async fn connection(self: Arc<Self>, socket: Socket, admitted: Admitted, alive: Alive) {
        let mut stopping = self.stopping.clone();
        let linger = self.config.limits.linger;
        // Not at once: a request that is on its way would be lost.
        let is_over = async move {
            stopping.wait_for(|stopping| *stopping).await.ok();
            sleep(linger).await;
        };
        let mut is_over = std::pin::pin!(is_over);
        let _one_of_builds = match &socket {
            // Its runner tries again.
            Socket::Runner(_) => match self.of_builds.try_acquire() {
                Ok(permit) => Some(permit),
                Err(_) => return,
            },
            Socket::Tcp(_) | Socket::Unix(_) => None,
        };
        let opened = tokio::select! {
            biased;
            opened = socket.open(&self.config, &self.service) => opened,
            () = admitted.pulse.is_cut() => return,
            () = is_over.as_mut() => return,
        };
        let (carrier, peer) = match opened {
            Ok(Some(opened)) => opened,
            Ok(None) => return,
            Err(error) => return tracing::debug!(%error, "a connection was given up before its first request"),
        };
        let limits = &self.config.limits;
        let stream = Timed::new(carrier, Arc::clone(&admitted.pulse), limits.stalled_write);
        let mut http = http1::Builder::new();
        // `Timed` cuts the slow ones: it knows the first byte of a head from an idle connection.
        http.header_read_timeout(None);
        http.max_header_size(limits.head_bytes)
            .max_headers(limits.headers)
            .max_buf_size(2 * limits.head_bytes.max(8192));
        let service = service_fn(|request| {
            let busy = admitted.pulse.busy();
            Arc::clone(&self).detached(request, peer, busy, alive.clone())
        });
        let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
        let mut is_draining = false;
        loop {
            tokio::select! {
                // What has come in is looked at before it is decided that nothing has.
                biased;
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        tracing::debug!(peer = peer.name(), error = describe(&error), "a connection broke off");
                    }
                    return;
                }
                () = admitted.pulse.is_cut() => {
                    return tracing::debug!(peer = peer.name(), "an idle connection gave way");
                }
                () = is_over.as_mut(), if !is_draining => {
                    is_draining = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }

    /// Handles a request in a task of its own: hyper drops what handles a request when its client hangs up, and a change
    /// that has begun must end. A panic ends the task and nothing else.
    async fn detached(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: Peer,
        busy: Busy,
        alive: Alive,
    ) -> Result<Response<Answer>, Infallible> {
        let request_id = Uuid::new_v4().to_string();
        let bucket = framing::bucket_of(request.headers(), &peer, &self.config.domains);
        let route = route::find(&request, bucket.as_deref());
        let arrival =
            Arrival { request, route: route.clone(), request_id: request_id.clone(), peer, busy: busy.clone() };
        let server = Arc::clone(&self);
        let handled = tokio::spawn(async move {
            let response = server.answer(arrival).await;
            drop(alive);
            response
        });
        Ok(match handled.await {
            Ok(response) => response,
            Err(error) => {
                tracing::error!(request_id, error = panic_text(error), "a request was not handled to its end");
                let fault = Fault::Api(ApiError::internal(format!(
                    "Kiln failed at this request; its log says more about {request_id}"
                )));
                self.finish(fault.written(&route, &request_id), route.style(), &request_id).map(|body| body.keep(busy))
            }
        })
    }
}

fn panic_text(error: tokio::task::JoinError) -> String {
    match error.try_into_panic() {
        Ok(payload) => {
            let payload = AssertUnwindSafe(payload);
            let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
            text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
        }
        Err(error) => error.to_string(),
    }
}

/// An error with its causes: hyper's own text says only what it was doing.
fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl Listener {
    async fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, _)| Socket::Tcp(stream)),
            Self::Unix(listener) => listener.accept().await.map(|(stream, _)| Socket::Unix(stream)),
            Self::Runners(listener) => listener.accept().await.map(|(stream, _)| Socket::Runner(stream)),
        }
    }
}

/// An accepted connection.
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
    Runner(UnixStream),
}

impl Socket {
    /// Finds out who is there and which protocol they speak. `None`: what they wanted is done.
    async fn open<S: RunningBuilds>(self, config: &Config, service: &Arc<S>) -> io::Result<Option<(Carrier, Peer)>> {
        match self {
            Self::Tcp(stream) => {
                stream.set_nodelay(true)?;
                let (address, local) = (stream.peer_addr()?, stream.local_addr()?.ip());
                let carrier = tls::accept(stream, config).await?;
                let is_tls = matches!(carrier, Carrier::Tls(_));
                let peer = Peer { address: Some(address), local: Some(local), is_tls, is_build: false };
                Ok(Some((carrier, peer)))
            }
            Self::Unix(stream) => Ok(Some((Carrier::Unix(stream), Peer::on_this_machine(false)))),
            Self::Runner(stream) => {
                let stream = runners::receive(stream, service, &config.limits).await?;
                Ok(stream.map(|stream| (Carrier::Unix(stream), Peer::on_this_machine(true))))
            }
        }
    }

    /// Says that there is no room, if that can be said at once.
    fn turn_away(self) {
        tracing::warn!("too many connections, and all are busy: one more was turned away");
        let said = match self {
            Self::Tcp(stream) => stream.try_write(NO_ROOM),
            Self::Unix(stream) => stream.try_write(NO_ROOM),
            // Its runner tries again.
            Self::Runner(_) => return,
        };
        if let Err(error) = said {
            tracing::debug!(%error, "the client was not told");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_without_room_is_well_formed() {
        let text = std::str::from_utf8(NO_ROOM).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{}", body.len());
        let error: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(error["__type"], "ThrottlingException");
    }
}
