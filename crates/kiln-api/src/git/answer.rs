//! Answers to git.

use http::{HeaderValue, Response, StatusCode, header};
use kiln_model::{
    ApiError, ErrorCode,
    service::{ByteSource, GitService},
};
use tokio::sync::watch;

use super::{Begun, target::Part};
use crate::body::Answer;

/// Why a request is not fulfilled.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// For logs.
    pub(super) code: String,
    /// For the person who called git, which shows it.
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &str, message: &str) -> Self {
        Self { status, code: code.to_owned(), message: message.to_owned() }
    }

    /// The request does not say who sent it; git comes again with a password.
    pub(super) fn challenge() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "MissingAuthenticationTokenException", "sign in")
    }

    /// Nobody knows who sent it. As at AWS: git does not ask for another password then.
    pub(super) fn unknown(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "UnrecognizedClientException", message)
    }

    /// Whether it is the first answer to every client.
    pub(super) fn is_challenge(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED
    }

    pub(super) fn written(self) -> Response<Answer> {
        let mut response = Response::new(Answer::whole(format!("{}\n", self.message)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"CodeCommit\""));
        }
        if !self.is_challenge() {
            // What the client still sends of a large push is not read.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        finished(response)
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        let status = match error.code {
            ErrorCode::AccessDenied => StatusCode::FORBIDDEN,
            ErrorCode::RepositoryDoesNotExist => StatusCode::NOT_FOUND,
            ErrorCode::Throttling => StatusCode::TOO_MANY_REQUESTS,
            code => StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        };
        Self { status, code: error.code.as_str().to_owned(), message: error.message }
    }
}

/// What git answers.
pub(super) fn output(
    part: Part,
    version: u8,
    output: impl ByteSource,
    stopping: watch::Receiver<bool>,
) -> Response<Answer> {
    let (service, kind) = match part {
        Part::References(service) => (service, "advertisement"),
        Part::Serve(service) => (service, "result"),
    };
    let is_told = matches!(part, Part::References(_)) && (version < 2 || service == GitService::ReceivePack);
    let first = is_told.then(|| {
        let line = format!("# service={}\n", service.name());
        format!("{:04x}{line}0000", line.len() + 4).into_bytes()
    });
    let mut response = Response::new(Answer::pieces(Begun { first, rest: output }, None, stopping));
    let kind = format!("application/x-{}-{kind}", service.name());
    if let Ok(kind) = HeaderValue::try_from(kind) {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    finished(response)
}

/// Adds what every answer has: nobody keeps it, and no browser takes it for a page.
fn finished(mut response: Response<Answer>) -> Response<Answer> {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, max-age=0, must-revalidate"));
    headers.insert(header::EXPIRES, HeaderValue::from_static("Fri, 01 Jan 1980 00:00:00 GMT"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
