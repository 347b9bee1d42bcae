//! The HTTP front end: one request pipeline, AWS JSON 1.1, S3, the Kiln API.
//!
//! A request's way, in the order of the modules:
//!
//! 1. [`server`]: connections are accepted, TLS or plain on the same port, and cut when they idle, crawl or crowd;
//! 2. `pipeline`: one function shows the rest: framing and limits → host → route → authenticate → authorise → decode →
//!    call → answer;
//! 3. `route`: which service and operation a request is for, and so how its errors are written;
//! 4. `authenticate`: who sent it (`kiln-iam`), `authorise`: whether they may;
//!    `audit` goes along and keeps what is found out, whatever becomes of the request;
//! 5. `s3`: requests of S3 leave the pipeline after the route, for their bodies, errors and permissions are of their own
//!    kind; all others go on to
//! 6. `operations`: the service's traits ([`kiln_model::service`]) are called, apart from the connection, so that a client
//!    that hangs up cancels nothing.
//!
//! Beside them `registry`: images under `/v2/`, whose callers have a password; `runners`: what the runners of builds ask for over a Unix socket.
//!
//! Facts: `api.md` section 1, `security.md` section 1, `reliability.md` tests 22 and 23.

mod audit;
mod authenticate;
mod authorise;
mod body;
mod calls;
mod cloudwatch;
mod config;
mod connection;
mod event_stream;
mod fault;
mod form;
mod framing;
mod git;
mod host;
mod operations;
pub mod otlp;
mod pages;
mod pipeline;
mod query;
mod rates;
mod registry;
mod replay;
mod request_log;
mod route;
mod runners;
mod s3;
pub mod server;

pub use authenticate::{Keys, KnownKey};
pub use authorise::{Authorizer, BucketPolicies, Question};
pub use config::{Clock, Config, ConsoleFile, Limits, MachineFigures, Readiness, ScrapeToken, Scraping, State};
pub use connection::tls::{Tls, TlsError};
pub use rates::Rates;
pub use request_log::TARGET as REQUESTS;
pub use server::{Api, Listener, serve};
