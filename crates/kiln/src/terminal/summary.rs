//! What is remembered of a build for the summary at its end, in bounded memory.

use std::collections::VecDeque;

use kiln_model::{BuildStatus, PhaseType};
use kiln_wire::{
    agent::CommandExit,
    event::{Artifact, BuildEnded, BuildStarted, CacheAction, CommandEnded, CommandStarted, Event, Report, Sample},
    journal::{Body, Record},
};

/// How many of the slowest commands are listed.
const SLOWEST: usize = 5;
/// How much of a command's output is remembered.
const TAIL: usize = 16 * 1024;
/// How many of each kind of thing are remembered; a build may make far more of them.
const MANY: usize = 200;
/// How many commands that failed are remembered, beside the last one.
const FAILURES: usize = 8;

/// A phase that ended.
#[derive(Debug, Clone)]
pub(super) struct Phase {
    pub(super) phase: PhaseType,
    pub(super) status: BuildStatus,
    pub(super) duration_ms: u64,
}

/// A command that failed.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) started: CommandStarted,
    pub(crate) ended: CommandEnded,
    /// The last of its output.
    pub(super) tail: Vec<u8>,
}

/// What happened to the cache.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    pub(super) action: CacheAction,
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) new_bytes: u64,
    pub(super) detail: String,
}

/// Everything that the summary says.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    pub(crate) started: Option<BuildStarted>,
    pub(crate) ended: Option<BuildEnded>,
    pub(super) phases: Vec<Phase>,
    /// Slowest first.
    pub(super) slowest: Vec<(u64, CommandStarted)>,
    pub(super) commands: u64,
    failures: VecDeque<Failure>,
    pub(super) caches: Vec<Cache>,
    pub(super) artifacts: Vec<Artifact>,
    pub(super) reports: Vec<Report>,
    pub(super) truncated: Option<(u64, u64)>,
    pub(super) sample: Option<Sample>,
    /// Command that runs now.
    current: Option<CommandStarted>,
    /// The last of the output of `tail_of`.
    tail: Vec<u8>,
    tail_of: u32,
    /// Time of the last record.
    pub(crate) last_ns: u64,
}

impl Summary {
    /// Says where artifacts are now: the service has moved them. `place` is asked with their identifiers.
    pub(crate) fn place_artifacts(&mut self, place: impl Fn(Option<&str>) -> Option<String>) {
        for artifact in &mut self.artifacts {
            if let Some(place) = place(artifact.identifier.as_deref()) {
                artifact.path = place;
            }
        }
    }

    /// Takes note of a record.
    pub(super) fn record(&mut self, record: &Record<'_>) {
        self.last_ns = record.time_ns;
        match &record.body {
            Body::Output { command, bytes } => self.output(*command, bytes),
            Body::Service(_) => {}
            Body::Event(event) => self.event(event),
        }
    }

    fn output(&mut self, command: u32, bytes: &[u8]) {
        // What another command prints in the background does not belong to the one that runs.
        if command != self.tail_of {
            return;
        }
        if bytes.len() >= TAIL {
            self.tail.clear();
            self.tail.extend_from_slice(bytes.get(bytes.len() - TAIL..).unwrap_or_default());
            return;
        }
        // Room for several times the tail, so that bytes are moved seldom.
        if self.tail.len() + bytes.len() > 4 * TAIL {
            self.tail.drain(..self.tail.len().saturating_sub(TAIL));
        }
        self.tail.extend_from_slice(bytes);
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::BuildStarted(started) => self.started = Some(started.clone()),
            // Notices are lines of the log as well.
            Event::Notice { .. }
            | Event::PhaseStarted { .. }
            | Event::SourceFetched { .. }
            | Event::Exported { .. } => {}
            Event::PhaseEnded { phase, status, duration_ms, .. } => {
                push(&mut self.phases, &Phase { phase: *phase, status: *status, duration_ms: *duration_ms });
            }
            Event::CommandStarted(command) => {
                self.commands += 1;
                self.tail.clear();
                self.tail_of = command.command;
                self.current = Some(command.clone());
            }
            Event::CommandEnded(ended) => self.command_ended(ended),
            Event::Sample(sample) => self.sample = Some(*sample),
            Event::Cache { action, files, bytes, new_bytes, detail } => push(
                &mut self.caches,
                &Cache { action: *action, files: *files, bytes: *bytes, new_bytes: *new_bytes, detail: detail.clone() },
            ),
            Event::Artifact(artifact) => push(&mut self.artifacts, artifact),
            Event::Report(report) => push(&mut self.reports, report),
            Event::Truncated { bytes, lines } => self.truncated = Some((*bytes, *lines)),
            Event::BuildEnded(ended) => self.ended = Some(ended.clone()),
        }
    }

    fn command_ended(&mut self, ended: &CommandEnded) {
        let Some(started) = self.current.take_if(|c| c.command == ended.command) else { return };
        let at = self.slowest.partition_point(|(ms, _)| *ms >= ended.duration_ms);
        if at < SLOWEST {
            self.slowest.insert(at, (ended.duration_ms, started.clone()));
            self.slowest.truncate(SLOWEST);
        }
        if ended.exit != CommandExit::Code(0) {
            if self.failures.len() > FAILURES {
                self.failures.remove(1); // the first one and the last ones tell most
            }
            let from = self.tail.len().saturating_sub(TAIL);
            let tail = self.tail.get(from..).unwrap_or_default().to_vec();
            self.failures.push_back(Failure { started, ended: ended.clone(), tail });
        }
    }

    /// The command that the build failed with.
    pub(crate) fn failure(&self) -> Option<&Failure> {
        let number = self.ended.as_ref()?.failed_command?;
        self.failures.iter().find(|f| f.ended.command == number)
    }

    /// The command that was running when the build ended, with what it printed last.
    pub(super) fn interrupted(&self) -> Option<(&CommandStarted, &[u8])> {
        let from = self.tail.len().saturating_sub(TAIL);
        Some((self.current.as_ref()?, self.tail.get(from..)?))
    }
}

/// Remembers one more, up to a bound.
fn push<T: Clone>(list: &mut Vec<T>, item: &T) {
    if list.len() < MANY {
        list.push(item.clone());
    }
}

#[cfg(test)]
mod tests {
    use kiln_wire::event::Section;

    use super::*;

    fn start(summary: &mut Summary, command: u32) {
        summary.event(&Event::CommandStarted(CommandStarted {
            command,
            phase: PhaseType::Build,
            section: Section::Commands,
            index: command - 1,
            line: 10 + command,
            text: format!("command {command}"),
            attempt: 1,
        }));
    }

    fn end(summary: &mut Summary, command: u32, exit: CommandExit, duration_ms: u64) {
        summary.event(&Event::CommandEnded(CommandEnded {
            command,
            exit,
            duration_ms,
            cpu_ms: 0,
            memory_peak_bytes: None,
            read_bytes: 0,
            written_bytes: 0,
            oom_kills: 0,
            pids_refused: 0,
            holders: Vec::new(),
        }));
    }

    fn failed_with(summary: &mut Summary, command: u32) {
        summary.event(&Event::BuildEnded(BuildEnded {
            status: BuildStatus::Failed,
            phase: Some(PhaseType::Build),
            context: None,
            failed_command: Some(command),
            duration_ms: 0,
            cpu_ms: 0,
            memory_peak_bytes: 0,
            read_bytes: 0,
            written_bytes: 0,
            kept: false,
            leftovers: Vec::new(),
        }));
    }

    #[test]
    fn the_tail_is_that_of_the_command_that_failed() {
        let mut summary = Summary::default();
        start(&mut summary, 1);
        summary.output(1, b"one\n");
        end(&mut summary, 1, CommandExit::Code(0), 1);
        start(&mut summary, 2);
        summary.output(1, b"from the background\n");
        summary.output(2, b"two\n");
        end(&mut summary, 2, CommandExit::Code(2), 1);
        start(&mut summary, 3);
        summary.output(3, b"three\n");
        end(&mut summary, 3, CommandExit::Code(1), 1);
        failed_with(&mut summary, 2);
        assert_eq!(summary.failure().unwrap().tail, b"two\n");
    }

    #[test]
    fn memory_stays_bounded_whatever_a_build_prints_and_does() {
        let mut summary = Summary::default();
        for command in 1..=1000 {
            start(&mut summary, command);
            for size in [1, 100, TAIL / 2, TAIL, 5 * TAIL] {
                summary.output(command, &vec![b'x'; size]);
            }
            assert!(summary.tail.len() <= 4 * TAIL);
            end(&mut summary, command, CommandExit::Code(1), u64::from(command));
            summary.event(&Event::Artifact(Artifact {
                identifier: None,
                name: None,
                prefix: None,
                path: "/a".to_owned(),
                packaging: "ZIP".to_owned(),
                files: 1,
                bytes: 1,
                sha256: None,
                md5: None,
            }));
        }
        assert!(summary.failures.len() <= FAILURES + 1 && summary.artifacts.len() <= MANY);
        assert_eq!(summary.slowest.iter().map(|(ms, _)| *ms).collect::<Vec<_>>(), [1000, 999, 998, 997, 996]);
        failed_with(&mut summary, 1);
        assert!(summary.failure().is_some(), "the first failure is remembered");
    }

    #[test]
    fn the_end_of_a_long_output_is_remembered() {
        let mut summary = Summary::default();
        start(&mut summary, 1);
        for n in 0..100_000 {
            summary.output(1, format!("line {n}\n").as_bytes());
        }
        end(&mut summary, 1, CommandExit::Code(1), 1);
        failed_with(&mut summary, 1);
        let tail = &summary.failure().unwrap().tail;
        assert!(tail.ends_with(b"line 99998\nline 99999\n") && tail.len() == TAIL);
    }
}
