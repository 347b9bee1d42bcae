//! What every command needs to know, found out once.

use std::path::{Path, PathBuf};

use kiln_runner::clock::Clock;

use crate::{
    data,
    environment::Environment,
    exit::usage,
    runs,
    terminal::{Streams, text},
};

/// See the module.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) environment: Environment,
    pub(crate) data: PathBuf,
    /// Whether it was named on the command line.
    pub(crate) data_named: bool,
    pub(crate) streams: Streams,
    pub(crate) clock: Clock,
    /// How kiln has to be called to work on the same data: `kiln`, `kiln --data DIR`.
    pub(crate) command: String,
}

impl App {
    /// `data`: the option of that name.
    pub(crate) fn new(data: Option<&Path>) -> anyhow::Result<Self> {
        let environment = Environment::read();
        let directory = data::directory(data, &environment)?;
        let command = match data {
            Some(_) => format!("kiln --data {}", text::quoted(&directory.to_string_lossy())),
            None => "kiln".to_owned(),
        };
        Ok(Self {
            streams: Streams::look(&environment),
            data: directory,
            data_named: data.is_some(),
            clock: Clock::system(),
            environment,
            command,
        })
    }

    /// Disk space for kept file systems, in bytes.
    pub(crate) fn keep_budget(&self) -> anyhow::Result<u64> {
        let Some(text) = &self.environment.keep_budget else { return Ok(runs::KEEP_BUDGET) };
        let Some(text) = text.to_str() else { usage!("KILN_KEEP_BUDGET is not a size") };
        runs::parse_size(text).map_err(|e| e.context("KILN_KEEP_BUDGET"))
    }
}
