//! `runs/<id>/run.json`: how a run ended.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use kiln_model::{BuildStatus, PhaseType};
use kiln_wire::event::Section;
use serde::{Deserialize, Serialize};

const FILE: &str = "run.json";
const VERSION: u32 = 1;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) version: u32,
    /// The uuid of the build.
    pub(crate) id: String,
    pub(crate) number: u64,
    /// The source directory.
    pub(crate) dir: PathBuf,
    pub(crate) image: String,
    pub(crate) status: BuildStatus,
    /// The phase that decided it, when it did not succeed.
    pub(crate) phase: Option<PhaseType>,
    /// The command that failed, when one did.
    pub(crate) failed_command: Option<FailedCommand>,
    pub(crate) started_ns: u64,
    pub(crate) ended_ns: u64,
    /// Bytes on disk of the kept file system; `None` when it was not kept or is gone.
    pub(crate) kept_bytes: Option<u64>,
    /// Why a file system that was kept is not there any more.
    pub(crate) gone: Option<String>,
}

/// A command that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FailedCommand {
    pub(crate) phase: PhaseType,
    pub(crate) section: Section,
    /// Index in its list, from 0.
    pub(crate) index: u32,
    /// Line in the buildspec; 0 when unknown.
    pub(crate) line: u32,
    pub(crate) text: String,
}

impl Record {
    /// A record with nothing known yet about the end.
    pub(crate) fn new(id: &str, number: u64, dir: &Path, image: &str, started_ns: u64) -> Self {
        Self {
            version: VERSION,
            id: id.to_owned(),
            number,
            dir: dir.to_owned(),
            image: image.to_owned(),
            status: BuildStatus::Fault,
            phase: None,
            failed_command: None,
            started_ns,
            ended_ns: started_ns,
            kept_bytes: None,
            gone: None,
        }
    }

    /// Reads it from the directory of a run.
    pub(crate) fn read(run_dir: &Path) -> io::Result<Self> {
        let record: Self = serde_json::from_slice(&fs::read(run_dir.join(FILE))?)?;
        if record.version != VERSION {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("run.json has version {}; this kiln reads version {VERSION}", record.version),
            ));
        }
        Ok(record)
    }

    /// Writes it into the directory of a run.
    pub(crate) fn write(&self, run_dir: &Path) -> anyhow::Result<()> {
        super::write_json(&run_dir.join(FILE), self)
    }

    /// The first characters of the id, as people type it.
    pub(crate) fn short(&self) -> &str {
        short(&self.id)
    }
}

/// The first characters of an id, as people type it.
pub(crate) fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}
