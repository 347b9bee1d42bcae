//! What a journal must look like: I1, I3, I5, I6, I9, I10.

use std::{
    collections::{BTreeSet, HashSet},
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use kiln_model::{BuildStatus, PhaseType};
use kiln_wire::{
    event::{Artifact, Event, Section},
    journal::{Body, Decoder},
};
use sha2::{Digest, Sha256};

use crate::Violation;

/// Checks one journal.
pub(crate) fn check(id: &str, path: &Path) -> io::Result<Vec<Violation>> {
    check_from(id, &mut File::open(path)?)
}

/// Checks a journal that is read from somewhere.
pub(crate) fn check_from(id: &str, file: &mut impl Read) -> io::Result<Vec<Violation>> {
    let mut walk = Walk { id, violations: Vec::new(), ..Walk::default() };
    let mut decoder = Decoder::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        decoder.push(buffer.get(..n).unwrap_or_default());
        loop {
            match decoder.next_record() {
                Ok(Some(record)) => walk.record(record.time_ns, &record.body),
                Ok(None) => break,
                Err(e) => {
                    walk.violate("I5", e.to_string());
                    return Ok(walk.violations);
                }
            }
        }
    }
    let torn = decoder.pending() > 0;
    walk.end(torn)?;
    Ok(walk.violations)
}

#[derive(Default)]
struct Walk<'a> {
    id: &'a str,
    violations: Vec<Violation>,
    records: u64,
    last_time: u64,
    running_phase: Option<PhaseType>,
    last_phase: Option<PhaseType>,
    started: BTreeSet<u32>,
    ended: BTreeSet<u32>,
    places: HashSet<(PhaseType, Section, u32, u32)>,
    artifacts: Vec<Artifact>,
    end: Option<BuildStatus>,
    failed_phase: bool,
}

impl Walk<'_> {
    fn violate(&mut self, invariant: &'static str, what: impl Into<String>) {
        self.violations.push(Violation { invariant, build: self.id.to_owned(), what: what.into() });
    }

    fn record(&mut self, time: u64, body: &Body<'_>) {
        if time < self.last_time {
            self.violate("I10", format!("record {} goes back in time", self.records));
        }
        self.last_time = time;
        if self.end.is_some() {
            self.violate("I1", "a record after the end of the build");
        }
        match body {
            Body::Output { command, .. } if !self.started.contains(command) => {
                self.violate("I5", format!("output of command {command}, which was not started"));
            }
            Body::Output { .. } | Body::Service(_) => {}
            Body::Event(event) => self.event(event),
        }
        if self.records == 0 && !matches!(body, Body::Event(e) if matches!(**e, Event::BuildStarted(_))) {
            self.violate("I1", "the journal does not begin with the build's start");
        }
        self.records += 1;
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::PhaseStarted { phase } => {
                if let Some(running) = self.running_phase {
                    self.violate("I3", format!("{phase} started while {running} was running"));
                }
                if self.last_phase.is_some_and(|last| last >= *phase) {
                    self.violate("I3", format!("{phase} started after {:?}", self.last_phase));
                }
                self.running_phase = Some(*phase);
                self.last_phase = Some(*phase);
            }
            Event::PhaseEnded { phase, status, .. } => {
                if self.running_phase != Some(*phase) {
                    self.violate("I3", format!("{phase} ended without being the running phase"));
                }
                if !status.is_terminal() {
                    self.violate("I1", format!("{phase} ended with status {status}"));
                }
                self.failed_phase |= *status != BuildStatus::Succeeded;
                self.running_phase = None;
            }
            Event::CommandStarted(c) => {
                if self.running_phase != Some(c.phase) {
                    self.violate("I3", format!("command {} of {} outside its phase", c.command, c.phase));
                }
                if !self.started.insert(c.command) {
                    self.violate("I3", format!("command {} started twice", c.command));
                }
                if !self.places.insert((c.phase, c.section, c.index, c.attempt)) {
                    self.violate("I3", format!("{} {} ran twice in attempt {}", c.phase, c.index, c.attempt));
                }
            }
            Event::CommandEnded(c) => {
                let first_end = self.ended.insert(c.command);
                if !first_end || !self.started.contains(&c.command) {
                    self.violate("I3", format!("command {} ended without a start, or twice", c.command));
                }
            }
            Event::Artifact(artifact) => self.artifacts.push(artifact.clone()),
            Event::BuildEnded(end) => {
                self.end = Some(end.status);
                if !end.status.is_terminal() {
                    self.violate("I1", format!("the build ended with status {}", end.status));
                }
                if end.status == BuildStatus::Succeeded && self.failed_phase {
                    self.violate("I1", "the build succeeded with a phase that did not");
                }
                for leftover in &end.leftovers {
                    self.violate("I4", leftover.clone());
                }
            }
            _ => {}
        }
    }

    /// A journal without an end is that of a runner that was killed: whoever started it says FAULT. What it holds must
    /// be right all the same.
    fn end(&mut self, torn: bool) -> io::Result<()> {
        if torn && self.end.is_some() {
            self.violate("I5", "bytes after the end of the build");
        }
        if self.end == Some(BuildStatus::Succeeded) {
            for artifact in std::mem::take(&mut self.artifacts) {
                self.artifact(&artifact)?;
            }
        }
        Ok(())
    }

    fn artifact(&mut self, artifact: &Artifact) -> io::Result<()> {
        let path = Path::new(&artifact.path);
        if !path.exists() {
            // Older runs are pruned with their artifacts.
            return Ok(());
        }
        if let Some(expected) = &artifact.sha256 {
            let digest = hex::encode(Sha256::digest(fs::read(path)?));
            if digest != *expected {
                self.violate("I6", format!("{} has SHA-256 {digest}, the record says {expected}", artifact.path));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use kiln_wire::{
        event::{BuildEnded, Event},
        journal::{Encoder, file_header},
    };

    use super::*;

    fn journal(events: &[Event]) -> Vec<Violation> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let mut bytes = file_header().to_vec();
        let mut encoder = Encoder::new();
        for event in events {
            encoder.event(1, event, &mut bytes).unwrap();
        }
        fs::write(&path, bytes).unwrap();
        check("x", &path).unwrap()
    }

    fn started() -> Event {
        Event::BuildStarted(kiln_wire::event::BuildStarted {
            id: "local:x".into(),
            image: "host".into(),
            engine: "native".into(),
            compute: kiln_model::ComputeType::Small,
            memory_limit_bytes: None,
            network: "none".into(),
            kiln: "0".into(),
            resumes: None,
        })
    }

    fn ended(status: BuildStatus) -> Event {
        Event::BuildEnded(BuildEnded {
            status,
            phase: None,
            context: None,
            failed_command: None,
            duration_ms: 0,
            cpu_ms: 0,
            memory_peak_bytes: 0,
            read_bytes: 0,
            written_bytes: 0,
            kept: false,
            leftovers: vec![],
        })
    }

    #[test]
    fn a_proper_journal_passes_and_each_fault_is_found() {
        let phase = PhaseType::Build;
        let phase_ended = |status| Event::PhaseEnded { phase, status, context: None, duration_ms: 0 };
        let good = [
            started(),
            Event::PhaseStarted { phase },
            phase_ended(BuildStatus::Succeeded),
            ended(BuildStatus::Succeeded),
        ];
        assert_eq!(journal(&good), []);
        let invariants = |events: &[Event]| journal(events).iter().map(|v| v.invariant).collect::<Vec<_>>();
        assert_eq!(invariants(&good[1..]), ["I1"], "no start");
        assert_eq!(invariants(&[started(), phase_ended(BuildStatus::Succeeded)]), ["I3"], "an end without a start");
        assert_eq!(
            invariants(&[started(), ended(BuildStatus::Succeeded), ended(BuildStatus::Failed)]),
            ["I1"],
            "two ends"
        );
        assert_eq!(
            invariants(&[
                started(),
                Event::PhaseStarted { phase },
                phase_ended(BuildStatus::Failed),
                ended(BuildStatus::Succeeded)
            ]),
            ["I1"],
            "success with a failed phase"
        );
    }
}
