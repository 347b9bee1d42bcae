//! The front end over real sockets, in front of a small service that the tests control.

#![allow(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

mod audit;
mod authentication;
mod client;
mod fake;
mod git;
mod handlers;
mod identities;
mod images;
mod limits;
mod malformed;
mod objects;
mod pages;
mod runners;
mod s3;
mod shutdown;
mod streams;
mod tls;
mod trail;
mod webhooks;
mod world;
