//! Buckets of another S3: moto's server, directly and through a proxy that does everything wrong that a server can do
//! (fault test 13 of `reliability.md`).

mod faults;
mod proxy;
mod server;
mod work;
