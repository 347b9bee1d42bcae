//! What happened in a build, collected from its journal: commands with their lines in the log, resource samples,
//! artifacts, reports. Pure; the same journal gives the same timeline, so a restarted server collects it anew.

use kiln_model::{
    PhaseType, Timestamp,
    kiln::{BuildResources, CommandDetail, ReportDetail, ResourceSample},
};
use kiln_wire::{
    agent::{CommandExit, signal_name},
    event::{Artifact, Event, Section},
    journal::{Body, Record},
};
use serde::{Deserialize, Serialize};

/// Version of the stored form.
const VERSION: u32 = 1;
/// Samples that are kept; when there are more, every second one goes, so that a long build costs no more memory.
const MOST_SAMPLES: usize = 4096;
/// Commands that are kept in detail. A buildspec that loops through retries may have more.
const MOST_COMMANDS: usize = 10_000;

/// See the module.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    version: u32,
    /// Commands in the order in which they began.
    pub commands: Vec<CommandDetail>,
    /// Commands that have begun.
    #[serde(default)]
    pub total_commands: u64,
    /// What the whole build used, once it is over.
    #[serde(default)]
    pub resources: Option<BuildResources>,
    /// Resource use, oldest first.
    pub samples: Vec<ResourceSample>,
    /// Artifacts as the runner left them.
    pub artifacts: Vec<Artifact>,
    /// Reports.
    pub reports: Vec<ReportDetail>,
    /// What the reader should know about the environment.
    pub notices: Vec<String>,
    /// Values of exported variables.
    pub exported: Vec<(String, String)>,
    /// Whole lines of the log so far.
    pub lines: u64,
    /// The log does not end with the end of a line.
    pub open_line: bool,
    /// One of so many samples is kept.
    every: u32,
    skipped: u32,
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            version: VERSION,
            commands: Vec::new(),
            total_commands: 0,
            resources: None,
            samples: Vec::new(),
            artifacts: Vec::new(),
            reports: Vec::new(),
            notices: Vec::new(),
            exported: Vec::new(),
            lines: 0,
            open_line: false,
            every: 1,
            skipped: 0,
        }
    }
}

impl Timeline {
    /// The next record of the journal.
    pub fn record(&mut self, record: &Record<'_>) {
        match &record.body {
            Body::Output { command, bytes } => self.text(bytes, Some(*command)),
            Body::Service(bytes) => self.text(bytes, None),
            Body::Event(event) => self.event(millis(record.time_ns), event),
        }
    }

    /// Lines of the log so far, a last one without its end included.
    #[must_use]
    pub fn total_lines(&self) -> u64 {
        self.lines + u64::from(self.open_line)
    }

    fn text(&mut self, bytes: &[u8], command: Option<u32>) {
        let Some(last) = bytes.last() else { return };
        let first_line = self.lines + 1;
        self.lines += memchr::memchr_iter(b'\n', bytes).count() as u64;
        self.open_line = *last != b'\n';
        if let Some(number) = command
            && let Some(command) = self.command(number)
        {
            command.first_line.get_or_insert(first_line);
            let last_line = self.total_lines();
            if let Some(command) = self.command(number) {
                command.last_line = Some(last_line);
            }
        }
    }

    fn command(&mut self, number: u32) -> Option<&mut CommandDetail> {
        // Output belongs to the command that runs, which is the last.
        self.commands.last_mut().filter(|c| c.number == number)
    }

    fn event(&mut self, at: i64, event: &Event) {
        match event {
            Event::CommandStarted(started) => {
                self.total_commands += 1;
                if self.commands.len() >= MOST_COMMANDS {
                    return;
                }
                self.commands.push(CommandDetail {
                    number: started.command,
                    phase_type: Some(started.phase),
                    finally: started.section == Section::Finally,
                    attempt: started.attempt,
                    text: started.text.clone(),
                    buildspec_line: (started.line > 0).then_some(started.line),
                    start_time: Some(Timestamp::from_millis(at)),
                    ..CommandDetail::default()
                });
            }
            Event::CommandEnded(ended) => {
                if let Some(command) = self.command(ended.command) {
                    command.duration_in_milliseconds = Some(ended.duration_ms);
                    command.cpu_milliseconds = Some(ended.cpu_ms);
                    command.memory_peak_bytes = ended.memory_peak_bytes;
                    command.read_bytes = Some(ended.read_bytes);
                    command.written_bytes = Some(ended.written_bytes);
                    command.memory_limit_reached = ended.oom_kills > 0;
                    match ended.exit {
                        CommandExit::Code(code) => command.exit_code = Some(code),
                        CommandExit::Signal(signal) => command.signal = Some(signal_name(signal)),
                    }
                }
            }
            // One that did not end by itself was stopped with its phase, or could not be run.
            Event::PhaseEnded { phase, .. } => {
                if let Some(command) = self.commands.last_mut()
                    && command.phase_type == Some(*phase)
                    && command.duration_in_milliseconds.is_none()
                {
                    let began = command.start_time.map_or(at, Timestamp::millis);
                    command.duration_in_milliseconds = Some(at.saturating_sub(began).max(0).unsigned_abs());
                }
            }
            Event::BuildEnded(ended) => {
                self.resources = Some(BuildResources {
                    cpu_milliseconds: ended.cpu_ms,
                    memory_peak_bytes: ended.memory_peak_bytes,
                    read_bytes: ended.read_bytes,
                    written_bytes: ended.written_bytes,
                });
            }
            Event::Sample(sample) => {
                self.skipped += 1;
                if self.skipped < self.every {
                    return;
                }
                self.skipped = 0;
                self.samples.push(ResourceSample {
                    time: Timestamp::from_millis(at),
                    cpu_milliseconds: sample.cpu_ns / 1_000_000,
                    memory_bytes: sample.memory_bytes,
                    memory_peak_bytes: sample.memory_peak_bytes,
                    processes: sample.pids,
                    read_bytes: sample.read_bytes,
                    written_bytes: sample.written_bytes,
                });
                if self.samples.len() > MOST_SAMPLES {
                    let mut keep = false;
                    self.samples.retain(|_| {
                        keep = !keep;
                        keep
                    });
                    self.every = self.every.saturating_mul(2);
                }
            }
            Event::Artifact(artifact) => self.artifacts.push(artifact.clone()),
            Event::Report(report) => self.reports.push(ReportDetail {
                name: report.name.clone(),
                format: report.format,
                kind: report.kind,
                status: report.status,
                files: report.files,
                tests: report.tests.clone(),
                lines: report.lines,
                branches: report.branches,
            }),
            Event::Notice { text } => self.notices.push(text.clone()),
            Event::Exported { variables } => {
                self.exported = variables.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
            }
            _ => {}
        }
    }

    /// The last command of a phase that did not succeed.
    #[must_use]
    pub fn failed_command(&self, phase: PhaseType) -> Option<&CommandDetail> {
        self.commands.iter().rev().find(|c| c.phase_type == Some(phase) && c.exit_code != Some(0))
    }
}

/// Nanoseconds of a journal as milliseconds of the API.
pub(crate) fn millis(ns: u64) -> i64 {
    i64::try_from(ns / 1_000_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use kiln_wire::event::{CommandEnded, CommandStarted, Sample};

    use super::*;

    fn started(command: u32) -> Event {
        Event::CommandStarted(CommandStarted {
            command,
            phase: PhaseType::Build,
            section: Section::Commands,
            index: 0,
            line: 7,
            text: "make".to_owned(),
            attempt: 1,
        })
    }

    fn feed(timeline: &mut Timeline, body: Body<'_>) {
        timeline.record(&Record { seq: 0, time_ns: 5_000_000_000, body });
    }

    #[test]
    fn commands_know_their_lines() {
        let mut t = Timeline::default();
        feed(&mut t, Body::Service(b"[Container] one\n[Container] two\n"));
        feed(&mut t, Body::Event(Box::new(started(3))));
        feed(&mut t, Body::Output { command: 3, bytes: b"a\nb" });
        assert_eq!((t.lines, t.total_lines()), (3, 4));
        feed(&mut t, Body::Output { command: 3, bytes: b"c\n" });
        feed(
            &mut t,
            Body::Event(Box::new(Event::CommandEnded(CommandEnded {
                command: 3,
                exit: CommandExit::Code(2),
                duration_ms: 12,
                cpu_ms: 3,
                memory_peak_bytes: Some(77),
                read_bytes: 5,
                written_bytes: 6,
                oom_kills: 0,
                pids_refused: 0,
                holders: vec![],
            }))),
        );
        let command = &t.commands[0];
        assert_eq!((command.first_line, command.last_line), (Some(3), Some(4)));
        assert_eq!((command.exit_code, command.duration_in_milliseconds), (Some(2), Some(12)));
        assert_eq!(
            (command.memory_peak_bytes, command.read_bytes, command.written_bytes),
            (Some(77), Some(5), Some(6))
        );
        assert_eq!(t.failed_command(PhaseType::Build).map(|c| c.number), Some(3));
    }

    fn ended(phase: PhaseType) -> Event {
        Event::PhaseEnded { phase, status: kiln_model::BuildStatus::Stopped, context: None, duration_ms: 1 }
    }

    #[test]
    fn lines_belong_to_the_command_that_printed_them() {
        let mut t = Timeline::default();
        feed(&mut t, Body::Service(b"[Container] Running command true\n"));
        feed(&mut t, Body::Event(Box::new(started(1))));
        // The service ends each command's output, and may have to end its last line.
        feed(&mut t, Body::Service(b"\n[Container] Running command printf a\n"));
        feed(&mut t, Body::Event(Box::new(started(2))));
        feed(&mut t, Body::Output { command: 2, bytes: b"a" });
        assert_eq!((t.commands[1].first_line, t.commands[1].last_line), (Some(4), Some(4)));
        feed(&mut t, Body::Service(b"\n\n[Container] Running command sleep 9\n"));
        feed(&mut t, Body::Event(Box::new(started(3))));
        // What an earlier command left running in the background is nobody's.
        feed(&mut t, Body::Output { command: 2, bytes: b"late\n" });
        feed(&mut t, Body::Output { command: 3, bytes: b"x\ny\n" });
        let places: Vec<_> = t.commands.iter().map(|c| (c.number, c.first_line, c.last_line)).collect();
        assert_eq!(places, [(1, None, None), (2, Some(4), Some(4)), (3, Some(8), Some(9))]);
        assert_eq!(t.commands[2].duration_in_milliseconds, None);
        // Stopped: it has a duration and no exit.
        let at = Record { seq: 0, time_ns: 8_000_000_000, body: Body::Event(Box::new(ended(PhaseType::Build))) };
        t.record(&at);
        let stopped = &t.commands[2];
        assert_eq!((stopped.duration_in_milliseconds, stopped.exit_code, &stopped.signal), (Some(3000), None, &None));
    }

    #[test]
    fn of_very_many_commands_the_first_are_kept_and_all_are_counted() {
        let mut t = Timeline::default();
        for number in 1..=10_005 {
            feed(&mut t, Body::Event(Box::new(started(number))));
            feed(&mut t, Body::Output { command: number, bytes: b"line\n" });
        }
        assert_eq!((t.commands.len(), t.total_commands), (10_000, 10_005));
        let last = t.commands.last().unwrap();
        assert_eq!((last.first_line, last.last_line), (Some(10_000), Some(10_000)));
    }

    #[test]
    fn samples_are_thinned_and_span_the_whole_build() {
        let mut t = Timeline::default();
        for n in 0..100_000u64 {
            let sample = Sample {
                cpu_ns: n * 1_000_000,
                memory_bytes: 0,
                memory_peak_bytes: 0,
                pids: 1,
                read_bytes: 0,
                written_bytes: 0,
            };
            feed(&mut t, Body::Event(Box::new(Event::Sample(sample))));
        }
        assert!(t.samples.len() <= MOST_SAMPLES && t.samples.len() > MOST_SAMPLES / 4);
        assert!(t.samples[0].cpu_milliseconds < 100);
        assert!(t.samples.last().unwrap().cpu_milliseconds > 99_000);
        assert!(t.samples.windows(2).all(|w| w[0].cpu_milliseconds < w[1].cpu_milliseconds));
    }
}
