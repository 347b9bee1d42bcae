//! A server for a test.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use kiln_api::{Api, BucketPolicies, Config, Keys, KnownKey, Limits, Listener, Readiness, State, serve};
use kiln_iam::sigv4::{Key, Session};
use kiln_model::{ApiError, Timestamp, audit::AuditTrail, service::Caller};
use time::OffsetDateTime;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};
use zeroize::Zeroizing;

use crate::{
    client::{ALICE, Connection, Message, NOW, ROOT, Reply, SESSION, TOKEN, secret_of},
    fake::Fake,
    trail::FakeTrail,
};

/// The access keys of the tests.
pub(crate) struct FakeKeys;

impl Keys for FakeKeys {
    async fn lookup(&self, access_key_id: &str, _: Option<&str>) -> Result<Option<KnownKey>, ApiError> {
        let name = match access_key_id {
            ROOT | SESSION => "root",
            ALICE => "user/alice",
            _ => return Ok(None),
        };
        let session = (access_key_id == SESSION).then(|| Session {
            token: Zeroizing::new(TOKEN.to_owned()),
            expires: OffsetDateTime::from_unix_timestamp(NOW + 3600).unwrap(),
        });
        Ok(Some(KnownKey {
            key: Key { secret: secret_of(access_key_id), session },
            caller: Caller {
                account: "000000000000".to_owned(),
                arn: format!("arn:aws:iam::000000000000:{name}"),
                name: name.to_owned(),
                access_key_id: access_key_id.to_owned(),
                user_id: if name == "root" { "000000000000" } else { "AIDAALICE" }.to_owned(),
                session: None,
            },
        }))
    }
}

/// A running server.
pub(crate) struct World {
    pub(crate) service: Arc<Fake>,
    pub(crate) trail: Arc<FakeTrail>,
    pub(crate) address: SocketAddr,
    pub(crate) now: Arc<AtomicI64>,
    pub(crate) readiness: Readiness,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn limited(set: impl FnOnce(&mut Limits)) -> Self {
        Self::with(|config| set(&mut config.limits)).await
    }

    pub(crate) async fn with(set: impl FnOnce(&mut Config)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self::on(Listener::Tcp(listener), address, set)
    }

    pub(crate) fn on(listener: Listener, address: SocketAddr, set: impl FnOnce(&mut Config)) -> Self {
        let now = Arc::new(AtomicI64::new(NOW));
        let clock = Arc::clone(&now);
        let mut config =
            Config::new("us-east-1", Arc::new(move || Timestamp::from_millis(clock.load(Ordering::Relaxed) * 1000)));
        set(&mut config);
        let readiness = config.readiness.clone();
        readiness.set(State::Ready);
        let service = Arc::new(Fake::default());
        let trail = Arc::new(FakeTrail::default());
        let api = Api {
            service: Arc::clone(&service),
            keys: Arc::new(FakeKeys),
            authorizer: BucketPolicies,
            trail: Arc::clone(&trail) as Arc<dyn AuditTrail>,
        };
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(serve(vec![listener], config, api, async {
            stopped.await.ok();
        }));
        Self { service, trail, address, now, readiness, stop: Some(stop), server }
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::over(TcpStream::connect(self.address).await.unwrap())
    }

    /// Sends bytes over a connection of their own.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> Option<Reply> {
        let mut connection = self.connect().await;
        connection.send(bytes).await;
        connection.reply().await
    }

    /// Sends a message as it is.
    pub(crate) async fn send(&self, message: &Message) -> Reply {
        self.raw(&message.bytes()).await.expect("an answer")
    }

    /// Signs and sends a message.
    pub(crate) async fn ask(&self, message: Message) -> Reply {
        self.send(&message.signed()).await
    }

    /// Checks that the server still works.
    pub(crate) async fn is_well(&self) {
        assert_eq!(self.ask(Message::call("ListProjects", "{}")).await.status, 200);
    }

    /// Tells the server to stop.
    pub(crate) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Waits until it has.
    pub(crate) async fn stopped(self) {
        self.server.await.unwrap();
    }
}
