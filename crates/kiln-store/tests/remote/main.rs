//! Buckets of another S3: moto's server, directly and through a proxy that does everything wrong that a server can do
//! (fault test 13 of `reliability.md`).

#![allow(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

mod faults;
mod proxy;
mod server;
mod work;
