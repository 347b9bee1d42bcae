//! Runners of builds, who connect over a Unix socket ([`kiln_wire::server`]): the endpoint of the builds' credentials, the
//! API as builds reach it, the secrets that builds name, the credentials of their sources, and their caches.

use std::{convert::Infallible, future::Future, io, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use kiln_model::{
    ApiError, BuildId, ErrorCode,
    build_cache::BuildCache,
    build_source::BuildSource,
    service::{CredentialsRequest, RoleCredentials, RunningBuilds},
};
use kiln_wire::{
    agent,
    frame::Frame,
    server::{Hello, MAX_HELLO, MAX_SECRETS, PROTOCOL, Refused, SecretsRequest, Wants, announced, kind},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::{Duration, timeout},
};

use crate::{config::Limits, query::iso_date};

/// Largest request for secrets.
const MAX_REQUEST: usize = 1 << 20;
/// So long an exchange may take that is not one with the API, beyond the time for a head.
const EXCHANGE: Duration = Duration::from_secs(30);
/// So long a cache may be on its way from or to its bucket.
const CACHE: Duration = Duration::from_secs(3600);
/// Bytes of a request for credentials.
const CREDENTIALS_HEAD: usize = 16 * 1024;

/// A connection of a runner, from its hello on. `Some`: a connection to the API follows on it; everything else is over
/// when this returns.
///
/// # Errors
/// What ended it early; for the log.
pub(crate) async fn receive<S: RunningBuilds>(
    mut stream: UnixStream,
    service: &Arc<S>,
    limits: &Limits,
) -> io::Result<Option<UnixStream>> {
    let hello: Hello = timeout(limits.head, read(&mut stream, kind::HELLO, MAX_HELLO)).await??;
    let build = match known(service.as_ref(), &hello) {
        Ok(build) => build,
        Err(message) => {
            tracing::warn!(build.uuid = hello.build.get(..36), "a runner was not let in: {message}");
            write(&mut stream, kind::REFUSED, &Refused { message }).await?;
            return Ok(None);
        }
    };
    write(&mut stream, kind::WELCOME, &json!({})).await?;
    match hello.wants {
        Wants::Api => return Ok(Some(stream)),
        Wants::Credentials { shared } => {
            timeout(limits.head + EXCHANGE, credentials(stream, service, build, shared)).await?;
        }
        Wants::Secrets => timeout(limits.head + EXCHANGE, secrets(&mut stream, service.as_ref(), &build)).await??,
        Wants::Source => timeout(limits.head + EXCHANGE, source(&mut stream, service.as_ref(), &build)).await??,
        Wants::Cache => timeout(CACHE, cache(&mut stream, service.as_ref(), &build)).await??,
    }
    Ok(None)
}

/// Whose runner it is, or why it is nobody's.
fn known(service: &impl RunningBuilds, hello: &Hello) -> Result<BuildId, String> {
    if hello.version != PROTOCOL {
        return Err(format!("it speaks version {} of the protocol; this server speaks {PROTOCOL}", hello.version));
    }
    // The same for a wrong token and for a build that is over: nothing is to be learnt here.
    service
        .running_build(&hello.build, &hello.token)
        .ok_or_else(|| "no build runs that has this id and this token".to_owned())
}

async fn read<T: DeserializeOwned>(stream: &mut UnixStream, kind: u8, most: usize) -> io::Result<T> {
    let bad = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let length = announced(head, most).ok_or_else(|| bad(format!("a frame of more than {most} bytes")))?;
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await?;
    match bytes.split_first() {
        Some((found, payload)) if *found == kind => {
            agent::decode(&Frame { kind, payload }).map_err(|error| bad(error.to_string()))
        }
        found => Err(bad(format!("a frame of kind {:?} in place of {kind}", found.map(|(kind, _)| kind)))),
    }
}

async fn write(stream: &mut UnixStream, kind: u8, message: &impl Serialize) -> io::Result<()> {
    let mut bytes = Vec::new();
    agent::encode(kind, message, &mut bytes).map_err(io::Error::other)?;
    stream.write_all(&bytes).await
}

async fn secrets(stream: &mut UnixStream, service: &impl RunningBuilds, build: &BuildId) -> io::Result<()> {
    let SecretsRequest { secrets } = read(stream, kind::SECRETS, MAX_REQUEST).await?;
    if secrets.len() > MAX_SECRETS {
        let text = format!("{} secrets are asked for; a build may name {MAX_SECRETS}", secrets.len());
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    for answer in service.build_secrets(build, secrets).await {
        write(stream, kind::SECRET, &answer).await?;
    }
    Ok(())
}

async fn source(stream: &mut UnixStream, service: &impl RunningBuilds, build: &BuildId) -> io::Result<()> {
    let wanted: BuildSource = read(stream, kind::SOURCE, MAX_REQUEST).await?;
    write(stream, kind::SOURCE_ANSWER, &service.build_source(build, wanted).await).await
}

async fn cache(stream: &mut UnixStream, service: &impl RunningBuilds, build: &BuildId) -> io::Result<()> {
    let asked: BuildCache = read(stream, kind::CACHE, MAX_REQUEST).await?;
    write(stream, kind::CACHE_ANSWER, &service.build_cache(build, asked).await).await
}

/// Answers one request for credentials.
async fn credentials<S: RunningBuilds>(stream: UnixStream, service: &Arc<S>, build: BuildId, is_shared: bool) {
    let mut http = http1::Builder::new();
    http.keep_alive(false).header_read_timeout(None).max_buf_size(CREDENTIALS_HEAD);
    let answer = service_fn(|request: Request<Incoming>| {
        let (service, build) = (Arc::clone(service), build.clone());
        async move { Ok::<_, Infallible>(answered(credentials_for(service.as_ref(), &build, is_shared, &request).await)) }
    });
    if let Err(error) = http.serve_connection(TokioIo::new(stream), answer).await {
        tracing::debug!(%error, "a connection to the credentials endpoint broke off");
    }
}

fn credentials_for<'a>(
    service: &'a impl RunningBuilds,
    build: &'a BuildId,
    is_shared: bool,
    request: &'a Request<Incoming>,
) -> impl Future<Output = Result<RoleCredentials, ApiError>> + Send + 'a {
    let headers = request.headers();
    // What somebody in the build forwards for strangers.
    let is_forwarded = ["x-forwarded-for", "forwarded", "via"].into_iter().any(|name| headers.contains_key(name));
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    async move {
        if request.method() != Method::GET {
            return Err(ApiError::invalid_input("credentials are asked for with GET"));
        }
        if is_forwarded {
            return Err(ApiError::access_denied("requests that were forwarded get no credentials"));
        }
        let request = CredentialsRequest { path: request.uri().path(), authorization, is_shared };
        service.role_credentials(build, request).await
    }
}

fn answered(result: Result<RoleCredentials, ApiError>) -> Response<Full<Bytes>> {
    let (status, body) = match result {
        Ok(made) => {
            let body = json!({
                "AccessKeyId": made.access_key_id,
                "SecretAccessKey": made.secret.expose(),
                "Token": made.token.expose(),
                "Expiration": iso_date(made.expires),
                "RoleArn": made.role_arn,
            });
            (StatusCode::OK, body)
        }
        Err(ApiError { code, message, .. }) => {
            let status = match code {
                ErrorCode::AccessDenied | ErrorCode::ExpiredToken => StatusCode::FORBIDDEN,
                code => StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            };
            (status, json!({ "code": code.as_str(), "message": message }))
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
