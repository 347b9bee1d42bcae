//! What builds left behind whose `kiln run` and runner are dead.

use std::{fs, path::Path};

use anyhow::Context as _;
use kiln_model::BuildStatus;
use kiln_runner::job::{JOURNAL_FILE, Job, RUNNER_LOG};
use kiln_wire::{
    event::{BuildEnded, Event},
    journal::{Body, Decoder},
};
use rustix::fs::FlockOperation;

use super::{BuildDir, Record, Runs};

impl Runs {
    /// Closes the books on every build that ended without its `kiln run`: the journal is kept with a record of how far
    /// it got, everything else of it is removed. Those of the service are left to the server. Returns their ids. Costs
    /// one directory listing when there is nothing.
    pub(crate) fn sweep(&self) -> anyhow::Result<Vec<String>> {
        let mut swept = Vec::new();
        for uuid in self.builds.names().context("cannot list the builds")? {
            if self.builds.of_service(&uuid) || self.in_use(&uuid) {
                continue;
            }
            let build = {
                // Not while a build is made: it is not locked yet.
                let _no_creation = self.builds.creation_lock(FlockOperation::LockExclusive)?;
                if self.builds.of_service(&uuid) { None } else { self.lock(&uuid)? }
            };
            let Some(build) = build else { continue };
            let kept = Record::read(&self.run_dir(&uuid)).is_ok_and(|r| r.kept_bytes.is_some());
            if kept && self.has_disk(&uuid) {
                continue;
            }
            build.clear()?;
            self.close(build)?;
            swept.push(uuid);
        }
        Ok(swept)
    }

    fn close(&self, build: BuildDir) -> anyhow::Result<()> {
        let run = self.run_dir(build.uuid());
        let journal = build.path().join(JOURNAL_FILE);
        if Record::read(&run).is_err()
            && let Ok(job) = Job::read(build.path())
        {
            crate::data::ensure(&run, 0o700).with_context(|| format!("cannot create {}", run.display()))?;
            let mut record = Record::new(build.uuid(), job.number, &job.source.dir, &job.image, job.submitted_ns);
            let end = last_word(&journal);
            record.ended_ns = end.time_ns.max(record.started_ns);
            record.gone = Some("its `kiln run` was killed".to_owned());
            if let Some(ended) = end.ended {
                record.status = ended.status;
                record.phase = ended.phase;
            } else {
                // Nobody was there to say how it ends; the runner stops a build whose starter is gone.
                record.status = BuildStatus::Stopped;
            }
            record.write(&run)?;
        }
        build.keep_papers(&run)?;
        build.remove()
    }
}

impl BuildDir {
    /// Moves the journal, and the runner's own messages if there are any, to the directory of what stays.
    pub(crate) fn keep_papers(&self, run: &Path) -> anyhow::Result<()> {
        for name in [JOURNAL_FILE, RUNNER_LOG] {
            let from = self.path().join(name);
            match fs::metadata(&from) {
                Ok(meta) if meta.len() > 0 => {
                    fs::rename(&from, run.join(name))
                        .with_context(|| format!("cannot move {} to {}", from.display(), run.display()))?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The end of a journal.
#[derive(Default)]
struct LastWord {
    time_ns: u64,
    ended: Option<BuildEnded>,
}

/// Reads a journal to its end, or to where it is torn.
fn last_word(journal: &Path) -> LastWord {
    let mut word = LastWord::default();
    let Ok(mut file) = fs::File::open(journal) else { return word };
    let mut decoder = Decoder::new();
    let mut buffer = vec![0; 256 * 1024];
    while let Ok(n) = std::io::Read::read(&mut file, &mut buffer) {
        let Some(bytes) = buffer.get(..n).filter(|b| !b.is_empty()) else { break };
        decoder.push(bytes);
        while let Ok(Some(record)) = decoder.next_record() {
            word.time_ns = record.time_ns;
            if let Body::Event(event) = record.body
                && let Event::BuildEnded(ended) = *event
            {
                word.ended = Some(ended);
            }
        }
    }
    word
}
