//! Tests of the service: a live `kiln serve`, driven by unmodified AWS clients, and killed in the middle of its work.
//! Each ends with the invariant checker.

#![allow(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

mod access;
mod audit;
mod caches;
mod calls;
mod chaos;
mod client;
mod clients;
mod clocks;
mod commands;
mod console;
mod contract;
mod crashes;
mod damage;
mod disks;
mod floods;
mod git;
mod identity;
mod images;
mod journeys;
mod keys;
mod load;
mod logs;
mod malformed;
mod metrics;
mod objects;
mod operation;
mod places;
mod refusals;
mod schedules;
mod search;
mod secrets;
mod server;
mod sources;
mod tails;
mod terraform;
mod traces;
mod webhooks;
