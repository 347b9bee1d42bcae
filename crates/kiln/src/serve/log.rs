//! What the service writes of itself: one line for each thing that happens, on standard error.

use std::io;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

use super::config::Log;

/// Begins to write. Requests have a line each at level `debug`, or if the configuration says so; no line has a secret, a
/// signature or a body.
pub(crate) fn start(log: &Log) -> anyhow::Result<()> {
    let filter: EnvFilter = log.level.parse().context("log.level")?;
    // S3's decoder tells of every request that is refused, as an error, and of whole bodies; the front end does in its place.
    let mut filter = filter.add_directive("s3s=off".parse().context("the filter for s3s")?);
    if log.requests {
        let all = format!("{}=debug", kiln_api::REQUESTS);
        filter = filter.add_directive(all.parse().context("the filter for requests")?);
    }
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false);
    let started = if log.json { builder.json().try_init() } else { builder.with_target(false).try_init() };
    started.map_err(|e| anyhow::anyhow!("cannot write a log: {e}"))
}
