//! A client of the service: signed requests, one connection each.
//!
//! Which service, and with which key, is decided by [`access`].

use std::{
    fmt,
    fs::File,
    io,
    os::unix::net::UnixStream,
    pin::Pin,
    sync::Arc,
    task::{Context as Poller, Poll},
    time::Duration,
};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited, combinators::BoxBody};
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    client::conn::http1,
};
use hyper_util::rt::TokioIo;
use kiln_iam::sigv4::{ToSign, sha256, sign};
use kiln_model::{
    kiln::UploadSourceOutput,
    operations::{CODEBUILD_TARGET, KILN_TARGET},
};
use kiln_runner::clock::Clock;
use serde::{Serialize, de::DeserializeOwned};
use time::OffsetDateTime;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    runtime::{Builder, Runtime},
    time::timeout,
};

use crate::app::App;

pub(crate) mod access;
pub(crate) mod trust;

use access::{Access, Listen};

/// Longest answer of an operation that answers JSON.
const MAX_ANSWER: usize = 64 << 20;
/// A service that does not take a connection for this long is not there.
const CONNECT: Duration = Duration::from_secs(10);
/// Bytes of an upload that are read at a time.
const PIECE: usize = 256 * 1024;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum ClientError {
    /// The service refused.
    Refused {
        /// AWS's name of the error.
        code: String,
        /// Its sentence.
        message: String,
    },
    /// There is no service, or it went away.
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// Why.
        why: String,
    },
    /// It answers something else than a Kiln service would.
    Strange(String),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { code, message } => write!(f, "{message} ({code})"),
            Self::Unreachable { url, why } => {
                write!(f, "the service at {url} cannot be reached: {why} (is `kiln serve` running?)")
            }
            Self::Strange(what) => write!(f, "the service gave an answer that is not understood: {what}"),
        }
    }
}

impl std::error::Error for ClientError {}

impl ClientError {
    /// Whether the same request may find an answer later: the service is away, stops, or has too much to do.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { code, .. } => matches!(code.as_str(), "ServiceUnavailable" | "ThrottlingException"),
            Self::Strange(_) => false,
        }
    }
}

/// An operation, by the API that it is of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operation {
    /// CodeBuild's.
    CodeBuild(&'static str),
    /// The Kiln API's.
    Kiln(&'static str),
}

impl Operation {
    fn target(self) -> String {
        match self {
            Self::CodeBuild(name) => format!("{CODEBUILD_TARGET}.{name}"),
            Self::Kiln(name) => format!("{KILN_TARGET}.{name}"),
        }
    }

    fn service(self) -> &'static str {
        match self {
            Self::CodeBuild(_) => "codebuild",
            Self::Kiln(_) => "kiln",
        }
    }
}

/// See the module. Cheap to clone; each clone may be used by another thread.
#[derive(Clone)]
pub(crate) struct Client {
    runtime: Arc<Runtime>,
    pub(crate) access: Arc<Access>,
    tls: Option<tokio_rustls::TlsConnector>,
    clock: Clock,
}

/// Anything that bytes go over.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

type Content = BoxBody<Bytes, io::Error>;

impl Client {
    /// The client of the service that is meant.
    ///
    /// # Errors
    /// When none is known, or its certificate's authorities cannot be read.
    pub(crate) fn new(app: &App) -> anyhow::Result<Self> {
        Self::at(app, &Listen::default())
    }

    /// The same, where `--listen` says.
    ///
    /// # Errors
    /// As [`Self::new`]; what is said is no address.
    pub(crate) fn at(app: &App, listen: &Listen) -> anyhow::Result<Self> {
        let access = listen.of(Access::find(app)?)?;
        let tls = if access.endpoint.tls { Some(trust::connector(app)?) } else { None };
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("kiln-client")
            .enable_all()
            .build()
            .context("cannot start a thread")?;
        Ok(Self { runtime: Arc::new(runtime), access: Arc::new(access), tls, clock: app.clock.clone() })
    }

    /// Calls an operation.
    pub(crate) fn call<O: DeserializeOwned>(
        &self,
        operation: Operation,
        input: &impl Serialize,
    ) -> Result<O, ClientError> {
        self.runtime.block_on(async {
            let body = self.send(operation, input).await?.into_body();
            let bytes = collect(body).await.map_err(|e| self.unreachable(&e))?;
            serde_json::from_slice(&bytes).map_err(|e| ClientError::Strange(e.to_string()))
        })
    }

    /// Calls an operation that answers bytes, and hands them to `each` as they come, until it says false.
    pub(crate) fn stream(
        &self,
        operation: Operation,
        input: &impl Serialize,
        mut each: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), ClientError> {
        self.runtime.block_on(async {
            let mut body = self.send(operation, input).await?.into_body();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|e| self.unreachable(&e))?;
                if let Some(bytes) = frame.data_ref()
                    && !each(bytes)
                {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Calls an operation that answers with a connection of another protocol, and gives its end.
    pub(crate) fn upgrade(&self, operation: Operation, input: &impl Serialize) -> Result<UnixStream, ClientError> {
        let io_error = |e: io::Error| self.unreachable(&e);
        let (ours, theirs) = UnixStream::pair().map_err(io_error)?;
        theirs.set_nonblocking(true).map_err(io_error)?;
        self.runtime.block_on(async {
            let mut between = tokio::net::UnixStream::from_std(theirs).map_err(io_error)?;
            let response = self.send(operation, input).await?;
            let upgraded = hyper::upgrade::on(response).await.map_err(|e| self.unreachable(&e))?;
            tokio::spawn(async move {
                // Either side that ends ends the other.
                tokio::io::copy_bidirectional(&mut between, &mut TokioIo::new(upgraded)).await.ok();
            });
            Ok(ours)
        })
    }

    /// Sends an archive along, for a build to start with.
    pub(crate) fn upload(&self, file: File, length: u64, hash: [u8; 32]) -> Result<UploadSourceOutput, ClientError> {
        self.runtime.block_on(async {
            let body = FileBody { file, left: length, failed: false };
            let response = self.request(Operation::Kiln("UploadSource"), "application/zip", hash, body.boxed()).await?;
            let bytes = collect(response.into_body()).await.map_err(|e| self.unreachable(&e))?;
            serde_json::from_slice(&bytes).map_err(|e| ClientError::Strange(e.to_string()))
        })
    }

    async fn send(&self, operation: Operation, input: &impl Serialize) -> Result<Response<Incoming>, ClientError> {
        let body = serde_json::to_vec(input).map_err(|e| ClientError::Strange(e.to_string()))?;
        let hash = sha256(&body);
        let body = Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed();
        self.request(operation, "application/x-amz-json-1.1", hash, body).await
    }

    async fn request(
        &self,
        operation: Operation,
        kind: &'static str,
        hash: [u8; 32],
        body: Content,
    ) -> Result<Response<Incoming>, ClientError> {
        let (host, target) = (self.access.endpoint.authority(), operation.target());
        let headers = [("host", host.as_str()), ("content-type", kind), ("x-amz-target", target.as_str())];
        let to_sign = ToSign { method: "POST", path: "/", query: None, headers: &headers, body: hash };
        let now = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.clock.wall_ns()))
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let added = sign(&self.access.credentials, &self.access.region, operation.service(), &to_sign, now);
        let mut request = Request::builder().method(Method::POST).uri("/");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        for (name, value) in added {
            request = request.header(name, value);
        }
        if matches!(operation, Operation::Kiln("DebugBuild")) {
            request = request.header(header::CONNECTION, "upgrade").header(header::UPGRADE, "kiln-debug");
        }
        request = request.header(header::USER_AGENT, concat!("kiln/", env!("CARGO_PKG_VERSION")));
        let request = request.body(body).map_err(|e| ClientError::Strange(e.to_string()))?;
        let stream = timeout(CONNECT, self.connect())
            .await
            .map_err(|_| self.unreachable(&io::Error::from(io::ErrorKind::TimedOut)))?
            .map_err(|e| self.unreachable(&e))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|e| self.unreachable(&e))?;
        tokio::spawn(connection.with_upgrades());
        let response = sender.send_request(request).await.map_err(|e| self.unreachable(&e))?;
        if matches!(response.status(), StatusCode::OK | StatusCode::SWITCHING_PROTOCOLS) {
            return Ok(response);
        }
        let status = response.status();
        let bytes = collect(response.into_body()).await.map_err(|e| self.unreachable(&e))?;
        Err(refusal(status, &bytes))
    }

    async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let endpoint = &self.access.endpoint;
        let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(stream)) };
        let name = rustls::pki_types::ServerName::try_from(endpoint.host.clone()).map_err(io::Error::other)?;
        Ok(Box::new(tls.connect(name, stream).await?))
    }

    /// The service is away.
    pub(crate) fn away(&self, why: &str) -> ClientError {
        ClientError::Unreachable { url: self.access.endpoint.url(), why: why.to_owned() }
    }

    fn unreachable(&self, error: &(dyn std::error::Error + 'static)) -> ClientError {
        let causes = std::iter::successors(Some(error), |error| error.source());
        let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
        texts.dedup();
        self.away(&texts.join(": "))
    }
}

async fn collect(body: Incoming) -> io::Result<Bytes> {
    let collected = Limited::new(body, MAX_ANSWER).collect().await.map_err(io::Error::other)?;
    Ok(collected.to_bytes())
}

/// The service's own words for an error.
fn refusal(status: StatusCode, body: &[u8]) -> ClientError {
    #[derive(serde::Deserialize)]
    struct Said {
        #[serde(rename = "__type")]
        code: String,
        #[serde(alias = "Message", default)]
        message: String,
    }
    match serde_json::from_slice::<Said>(body) {
        Ok(said) => {
            let code = said.code.rsplit('#').next().unwrap_or_default().to_owned();
            ClientError::Refused { code, message: said.message }
        }
        Err(_) => ClientError::Strange(format!("HTTP status {status}")),
    }
}

/// A file as the body of a request.
struct FileBody {
    file: File,
    left: u64,
    failed: bool,
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Poller<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 || self.failed {
            return Poll::Ready(None);
        }
        // A local file, on a thread that has nothing else to do.
        let mut piece = vec![0; PIECE];
        let read = rustix::io::retry_on_intr(|| rustix::io::read(&self.file, &mut piece));
        Poll::Ready(Some(match read {
            Ok(0) => {
                self.failed = true;
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            Ok(n) => {
                piece.truncate(n);
                self.left = self.left.saturating_sub(n as u64);
                Ok(Frame::data(Bytes::from(piece)))
            }
            Err(e) => {
                self.failed = true;
                Err(e.into())
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sentences() {
        let refused = refusal(StatusCode::BAD_REQUEST, br#"{"__type":"x#InvalidInputException","message":"Bad name"}"#);
        assert_eq!(refused.to_string(), "Bad name (InvalidInputException)");
        assert!(!refused.is_passing());
        let stopping = br#"{"__type":"ThrottlingException","message":"The server is stopping."}"#;
        assert!(refusal(StatusCode::BAD_REQUEST, stopping).is_passing());
        let strange = refusal(StatusCode::BAD_GATEWAY, b"<html>");
        assert!(strange.to_string().contains("502"), "{strange}");
    }
}
