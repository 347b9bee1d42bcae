//! A shell in a build's file system: the connection changes from HTTP to the protocol of `kiln debug`.

use http::{HeaderValue, Response, StatusCode, header, request::Parts};
use hyper_util::rt::TokioIo;
use kiln_model::{
    ApiError,
    service::{ByteSink, ByteSource, DebugConnection},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Line;
use crate::body::Answer;

/// What the client asks for in `Upgrade`, and gets.
const PROTOCOL: &str = "kiln-debug";

/// Bytes that are read from the client at a time.
const PIECE: usize = 16 * 1024;

/// Checks that the client is ready to leave HTTP.
pub(super) fn check(parts: &Parts) -> Result<(), ApiError> {
    let names = |name: header::HeaderName, wanted: &str| {
        parts
            .headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(wanted)))
    };
    if names(header::CONNECTION, "upgrade") && names(header::UPGRADE, PROTOCOL) {
        return Ok(());
    }
    Err(ApiError::invalid_input(
        "DebugBuild needs a connection of its own: send the headers 'Connection: upgrade' and 'Upgrade: kiln-debug'",
    ))
}

/// Answers `101 Switching Protocols`, and relays bytes both ways from then on.
pub(super) fn switch<B: ByteSource, I: ByteSink>(connection: DebugConnection<B, I>, line: Line) -> Response<Answer> {
    let Line { upgrade, busy, mut stopping } = line;
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => tokio::select! {
                () = relay(TokioIo::new(upgraded), connection) => {}
                _ = stopping.wait_for(|stopping| *stopping) => {}
            },
            Err(error) => tracing::debug!(%error, "a client went away before its shell began"),
        }
        drop(busy);
    });
    let mut response = Response::new(Answer::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static(PROTOCOL));
    response
}

/// Relays until the shell's output ends, or the client is gone.
async fn relay<B: ByteSource, I: ByteSink>(
    client: impl AsyncRead + AsyncWrite,
    DebugConnection { mut output, input }: DebugConnection<B, I>,
) {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let mut input = Some(input);
    let sending = async {
        let mut buffer = vec![0; PIECE];
        loop {
            match from_client.read(&mut buffer).await {
                // The client has said all; what the shell answers still goes to it.
                Ok(0) => {
                    input = None;
                    return true;
                }
                Err(_) => return false,
                Ok(length) => {
                    let Some(sink) = &mut input else { return true };
                    if sink.send(buffer[..length].to_vec()).await.is_err() {
                        return true;
                    }
                }
            }
        }
    };
    let receiving = async {
        while let Some(piece) = output.next().await {
            match piece {
                Ok(bytes) if to_client.write_all(&bytes).await.is_ok() => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::debug!(%error, "a debug session broke off");
                    break;
                }
            }
        }
        // The connection ends either way.
        to_client.shutdown().await.ok();
    };
    tokio::pin!(sending, receiving);
    tokio::select! {
        () = &mut receiving => {}
        client_is_there = &mut sending => if client_is_there { receiving.await },
    }
}
