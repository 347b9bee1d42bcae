//! The summary at the end of a build.

use std::fmt::Write as _;

use kiln_model::{BuildStatus, Counter, PhaseType, TestStatus};
use kiln_wire::{
    agent::{CommandExit, signal_name},
    event::{Artifact, CacheAction, CommandStarted, Report, Section},
};

use super::{
    filter::plain_text,
    style::{Painter, Style},
    summary::{Cache, Failure, Summary},
    text,
};
use crate::runs;

/// Lines of output that are shown of a command that failed.
const TAIL_LINES: usize = 20;
/// Lines of its text.
const TEXT_LINES: usize = 8;
/// Failed tests that are shown of a report.
const TESTS: usize = 10;
/// Things of one kind that are shown.
const MANY: usize = 20;

/// What became of the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Disk {
    /// Kept; bytes on disk.
    Kept(u64),
    /// It should have been kept, but is larger than the budget; bytes.
    OverBudget(u64),
    /// Gone, as was to be expected.
    Gone,
}

/// What the summary needs to know beside what happened in the build.
#[derive(Debug)]
pub(crate) struct About<'a> {
    /// The uuid.
    pub(crate) id: &'a str,
    pub(crate) number: u64,
    /// What messages call the buildspec.
    pub(crate) buildspec: &'a str,
    pub(crate) disk: Disk,
    /// How kiln has to be called to find this build again: `kiln`, `kiln --data DIR`.
    pub(crate) kiln: &'a str,
    /// What `kiln run` was given as DIR; empty for none.
    pub(crate) dir: &'a str,
    /// The buildspec's file as `kiln lint` takes it; empty when there is none.
    pub(crate) lint: &'a str,
    pub(crate) columns: usize,
    pub(crate) painter: Painter,
}

/// Writes the summary of a build that ended.
pub(crate) fn summary(summary: &Summary, about: &About<'_>) -> String {
    let mut show = Show { out: String::new(), about, summary };
    show.headline();
    show.phases();
    show.slowest();
    show.reports();
    show.artifacts();
    show.cache();
    show.log_limit();
    show.failure();
    show.next();
    show.out
}

struct Show<'a> {
    out: String,
    about: &'a About<'a>,
    summary: &'a Summary,
}

impl Show<'_> {
    fn line(&mut self, style: Style, text: &str) {
        let text = self.about.painter.paint(style, text);
        self.out.push_str(&text);
        self.out.push('\n');
    }

    fn title(&mut self, text: &str) {
        self.out.push('\n');
        self.line(Style::Bold, text);
    }

    fn headline(&mut self) {
        let Some(ended) = &self.summary.ended else { return };
        let style = if ended.status == BuildStatus::Succeeded { Style::Good } else { Style::Bad };
        let mut head = self.about.painter.paint(style, ended.status.as_str());
        if let (Some(phase), true) = (ended.phase, ended.status != BuildStatus::Succeeded) {
            write!(head, " in {phase}").ok(); // writing to a string does not fail
        }
        let limit = self.summary.started.as_ref().and_then(|s| s.memory_limit_bytes);
        let limit = limit.map(|l| format!(" of {}", text::bytes(l))).unwrap_or_default();
        let mut figures = vec![
            format!("build {} ({})", self.about.number, runs::short(self.about.id)),
            text::duration(ended.duration_ms),
            format!("CPU {}", text::duration(ended.cpu_ms)),
            format!("peak memory {}{limit}", text::bytes(ended.memory_peak_bytes)),
        ];
        for (what, bytes) in [("read", ended.read_bytes), ("wrote", ended.written_bytes)] {
            if bytes > 0 {
                figures.push(format!("{what} {}", text::bytes(bytes)));
            }
        }
        let figures = self.about.painter.paint(Style::Dim, &figures.join(" · "));
        self.out.push('\n');
        self.out.push_str(&format!("{head}  {figures}\n"));
    }

    fn phases(&mut self) {
        if self.summary.phases.is_empty() {
            return;
        }
        self.out.push('\n');
        for phase in &self.summary.phases {
            let style = match phase.status {
                BuildStatus::Succeeded => Style::Plain,
                _ => Style::Bad,
            };
            let name = format!("{:<16}", phase.phase);
            let status = self.about.painter.paint(style, &format!("{:<9}", phase.status));
            self.out.push_str(&format!("  {name}  {status}  {:>10}\n", text::duration(phase.duration_ms)));
        }
    }

    fn slowest(&mut self) {
        // A list of all there is tells nothing new.
        if self.summary.commands < 2 {
            return;
        }
        let slow: Vec<_> = self.summary.slowest.iter().filter(|(ms, _)| *ms >= 100).collect();
        if slow.is_empty() {
            return;
        }
        self.title("Slowest commands");
        for (ms, command) in slow {
            let place = place(command);
            let room = self.about.columns.saturating_sub(33).max(20);
            let what = text::one_line(&command.text);
            let line = format!("  {:>10}  {place:<16}  {}", text::duration(*ms), text::fit(&what, room));
            self.line(Style::Plain, &line);
        }
    }

    fn reports(&mut self) {
        if self.summary.reports.is_empty() {
            return;
        }
        self.title("Reports");
        let summary = self.summary;
        for report in summary.reports.iter().take(MANY) {
            self.report(report);
        }
        self.more(summary.reports.len());
    }

    fn report(&mut self, report: &Report) {
        let ok = report.status == BuildStatus::Succeeded;
        let mut figures: Vec<String> = Vec::new();
        if let Some(tests) = &report.tests {
            figures.push(format!("{} passed", tests.succeeded));
            let rest = [
                (tests.failed, "failed"),
                (tests.error, "broken"),
                (tests.skipped, "skipped"),
                (tests.unknown, "unknown"),
            ];
            figures.extend(rest.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
        }
        let covered = |what: &str, counter: Option<Counter>| {
            let counter = counter.filter(|c| c.covered > 0 || c.missed > 0)?;
            Some(format!(
                "{what} {:.2} % ({} of {})",
                counter.percentage(),
                counter.covered,
                counter.covered.saturating_add(counter.missed)
            ))
        };
        figures.extend(covered("lines", report.lines));
        figures.extend(covered("branches", report.branches));
        let mark = self.about.painter.paint(if ok { Style::Good } else { Style::Bad }, if ok { "✓" } else { "✗" });
        let name = text::one_line(&report.name);
        self.out.push_str(&format!(
            "  {mark} {name}: {}  ({}, {})\n",
            figures.join(", "),
            report.format,
            text::count(report.files, "file")
        ));
        for case in report.failures.iter().take(TESTS) {
            let name = [case.prefix.as_str(), case.name.as_str()];
            let name: Vec<String> = name.iter().filter(|n| !n.is_empty()).map(|n| text::one_line(n)).collect();
            let word = if case.status == TestStatus::Error { "broken" } else { "failed" };
            let place = case.file.as_deref().unwrap_or(&case.test_raw_data_path);
            let mut place = text::one_line(place);
            if let (Some(_), Some(line)) = (&case.file, case.line) {
                write!(place, ":{line}").ok(); // writing to a string does not fail
            }
            let place = self.about.painter.paint(Style::Dim, &place);
            let name = self.about.painter.paint(Style::Bad, &name.join(" "));
            self.out.push_str(&format!("      {name} {word}  {place}\n"));
            let message = text::one_line(&case.message);
            if !message.is_empty() {
                let message = text::fit(&message, self.about.columns.saturating_sub(9).max(40)).into_owned();
                self.line(Style::Plain, &format!("        {message}"));
            }
        }
        let failed = report.tests.as_ref().map_or(0, |t| t.failed.saturating_add(t.error));
        let shown = report.failures.len().min(TESTS) as u64;
        if failed > shown {
            self.line(Style::Dim, &format!("      and {} more", failed - shown));
        }
    }

    fn more(&mut self, total: usize) {
        if let Some(more) = total.checked_sub(MANY).filter(|n| *n > 0) {
            self.line(Style::Dim, &format!("  and {more} more"));
        }
    }

    fn artifacts(&mut self) {
        if self.summary.artifacts.is_empty() {
            return;
        }
        self.title("Artifacts");
        let summary = self.summary;
        for Artifact { identifier, path, files, bytes, .. } in summary.artifacts.iter().take(MANY) {
            let which = identifier.as_ref().map(|id| format!(", {}", text::one_line(id))).unwrap_or_default();
            let figures = format!("{}, {}{which}", text::bytes(*bytes), text::count(*files, "file"));
            let figures = self.about.painter.paint(Style::Dim, &format!("({figures})"));
            self.out.push_str(&format!("  {}  {figures}\n", text::one_line(path)));
        }
        self.more(summary.artifacts.len());
    }

    fn cache(&mut self) {
        let said: Vec<String> = self.summary.caches.iter().map(cache_line).collect();
        if said.is_empty() {
            return;
        }
        let bad = self.summary.caches.iter().any(|c| c.action == CacheAction::Problem);
        self.title("Cache");
        for line in said {
            self.line(if bad { Style::Warn } else { Style::Plain }, &format!("  {line}"));
        }
    }

    fn log_limit(&mut self) {
        if let Some((bytes, lines)) = self.summary.truncated {
            let left = format!("{} ({})", text::bytes(bytes), text::count(lines, "line"));
            self.line(Style::Warn, &format!("\nThe log reached its limit: {left} of output are not in it."));
        }
    }

    fn failure(&mut self) {
        let Some(ended) = &self.summary.ended else { return };
        if ended.status == BuildStatus::Succeeded {
            return;
        }
        match (self.summary.failure(), self.summary.interrupted()) {
            (Some(failure), _) => self.failed_command(failure),
            (None, Some((command, tail))) => {
                let what = describe(command);
                let head = match ended.status {
                    BuildStatus::TimedOut => format!("The time limit was reached during {what}"),
                    _ if ended.failed_command == Some(command.command) => format!("{} failed", capital(&what)),
                    _ => format!("The build ended during {what}"),
                };
                self.title(&head);
                self.command_text(command);
                self.tail(tail);
            }
            _ => {}
        }
        if let Some(context) = ended.context.as_ref().filter(|c| !c.message.is_empty())
            && self.summary.failure().is_none()
        {
            self.out.push('\n');
            let message = plain_text(context.message.as_bytes());
            let code = text::one_line(&context.status_code);
            self.line(Style::Bad, &format!("{code}: {}", message.trim_end()));
        }
        for leftover in &ended.leftovers {
            self.line(Style::Warn, &format!("left behind: {}", text::one_line(leftover)));
        }
    }

    fn failed_command(&mut self, failure: &Failure) {
        let Failure { started, ended, .. } = failure;
        let mut how = format!("{} failed: {}", capital(&describe(started)), exit(ended.exit));
        if started.attempt > 1 {
            write!(how, ", try {}", started.attempt).ok(); // writing to a string does not fail
        }
        self.out.push('\n');
        self.line(Style::Bad, &how);
        self.command_text(started);
        self.tail(&failure.tail);
        for hint in self.hints(failure) {
            self.line(Style::Warn, &format!("  → {hint}"));
        }
    }

    /// The command's text with the lines of the buildspec.
    fn command_text(&mut self, command: &CommandStarted) {
        let text = plain_text(command.text.as_bytes());
        let lines: Vec<&str> = text.trim_end().lines().collect();
        if command.line > 0 {
            self.line(Style::Dim, &format!("  {}:{}", text::one_line(self.about.buildspec), command.line));
        }
        for line in lines.iter().take(TEXT_LINES) {
            self.line(Style::Plain, &format!("  │ {}", line.trim_end()));
        }
        if lines.len() > TEXT_LINES {
            self.line(Style::Dim, &format!("  │ … {} more", text::count((lines.len() - TEXT_LINES) as u64, "line")));
        }
    }

    fn tail(&mut self, tail: &[u8]) {
        let text = plain_text(tail);
        let lines: Vec<&str> = text.trim_end().lines().map(last_seen).collect();
        let first = lines.len().saturating_sub(TAIL_LINES);
        let Some(last) = lines.get(first..).filter(|l| l.iter().any(|l| !l.is_empty())) else { return };
        self.line(Style::Dim, if first > 0 { "  its last lines:" } else { "  its output:" });
        let room = self.about.columns.saturating_sub(5).max(75) * 3;
        for line in last {
            let line = text::fit(line.trim_end(), room).into_owned();
            self.line(Style::Plain, &format!("  ┊ {line}"));
        }
    }

    fn hints(&self, failure: &Failure) -> Vec<String> {
        let Failure { started, ended, .. } = failure;
        let mut hints = Vec::new();
        let memory = self.summary.started.as_ref().and_then(|s| s.memory_limit_bytes);
        if ended.oom_kills > 0 {
            let peak = self.summary.ended.as_ref().map_or(0, |e| e.memory_peak_bytes);
            let limit = memory.map_or_else(|| "its limit".to_owned(), text::bytes);
            hints.push(format!(
                "out of memory: the kernel killed {} at the limit of {limit} (peak {}). Give it more with --compute, e.g. \
                 `--compute {}`",
                if ended.oom_kills == 1 { "a process".to_owned() } else { format!("{} processes", ended.oom_kills) },
                text::bytes(peak),
                self.next_compute()
            ));
        }
        if ended.pids_refused > 0 {
            hints.push(format!(
                "the limit of processes was reached ({} refused)",
                text::count(ended.pids_refused, "fork")
            ));
        }
        match ended.exit {
            CommandExit::Code(127) => {
                let image = self.summary.started.as_ref().map_or("the image", |s| s.image.as_str());
                let image = if image == "host" {
                    "this machine (image `host`)".to_owned()
                } else {
                    format!("image {}", text::one_line(image))
                };
                hints.push(format!(
                    "127: the shell did not find a program of that name. Is it installed on {image}, and in PATH?"
                ));
            }
            CommandExit::Code(126) => {
                hints.push(
                    "126: the file was found, but is not executable (chmod +x), or not for this machine".to_owned(),
                );
            }
            CommandExit::Code(code) if code > 128 && code < 128 + 65 && ended.oom_kills == 0 => {
                hints.push(format!("{code}: a program was killed by {}", signal(code - 128)));
            }
            CommandExit::Signal(number) if ended.oom_kills == 0 => {
                hints.push(format!("the command's shell was killed by {}", signal(number)));
            }
            _ => {}
        }
        if !ended.holders.is_empty() {
            let what: Vec<String> = ended
                .holders
                .iter()
                .take(3)
                .map(|h| format!("{} (pid {})", text::fit(&text::one_line(&h.command), 40), h.pid))
                .collect();
            hints.push(format!("still running in the background: {}", what.join(", ")));
        }
        match started.section {
            Section::Commands => {}
            Section::Finally => hints.push("this command stands under `finally`".to_owned()),
            Section::Runtimes => {
                hints.push("this command is the image's own, for what `runtime-versions` asks for".to_owned());
            }
        }
        hints
    }

    fn next_compute(&self) -> String {
        use kiln_model::ComputeType;
        let now = self.summary.started.as_ref().map(|s| s.compute);
        let at = now.and_then(|now| ComputeType::ALL.iter().position(|c| *c == now)).unwrap_or(0);
        let next = ComputeType::ALL.get(at + 1).unwrap_or(&ComputeType::XXLarge);
        next.as_str().trim_start_matches("BUILD_GENERAL1_").to_ascii_lowercase()
    }

    /// What to try next.
    fn next(&mut self) {
        let Some(ended) = &self.summary.ended else { return };
        let About { id, kiln, dir, lint, disk, .. } = self.about;
        let id = runs::short(id);
        match disk {
            Disk::Kept(bytes) => {
                let mut tries = Vec::new();
                if crate::exit::buildspec_is_to_blame(ended) && !lint.is_empty() {
                    tries.push((
                        format!("kiln lint {lint}"),
                        "every problem of the buildspec, and what to do".to_owned(),
                    ));
                }
                tries.push((format!("{kiln} debug {id}"), "a shell in this build's file system".to_owned()));
                if ended.status != BuildStatus::Succeeded
                    && let Some(phase) = ended.phase.filter(|p| resumable(*p))
                {
                    let run =
                        [*kiln, "run", *dir].iter().filter(|w| !w.is_empty()).copied().collect::<Vec<_>>().join(" ");
                    tries.push((format!("{run} --resume"), format!("go on from {phase}")));
                    if let Some(failure) = self.summary.failure().filter(|f| {
                        f.started.phase == phase && f.started.section == Section::Commands && f.started.index > 0
                    }) {
                        let number = failure.started.index + 1;
                        tries.push((
                            format!("{run} --resume --from-command {number}"),
                            "go on from the command that failed".to_owned(),
                        ));
                    }
                }
                self.title("Try");
                let width = tries.iter().map(|(command, _)| text::width(command)).max().unwrap_or(0);
                for (command, why) in tries {
                    let pad = " ".repeat(width.saturating_sub(text::width(&command)));
                    let why = self.about.painter.paint(Style::Dim, &why);
                    self.out.push_str(&format!("  {command}{pad}   {why}\n"));
                }
                self.line(Style::Dim, &format!("  (the file system takes {})", text::bytes(*bytes)));
            }
            Disk::OverBudget(bytes) => {
                let line = format!(
                    "\nThe file system was not kept: it takes {}, more than the budget for kept ones (KILN_KEEP_BUDGET).",
                    text::bytes(*bytes)
                );
                self.line(Style::Warn, &line);
            }
            Disk::Gone => {}
        }
    }
}

/// Phases that `--resume` can begin with.
pub(crate) fn resumable(phase: PhaseType) -> bool {
    PhaseType::COMMAND_PHASES.contains(&phase) || phase == PhaseType::UploadArtifacts
}

/// `BUILD 3`, `BUILD finally 1`.
fn place(command: &CommandStarted) -> String {
    let section = match command.section {
        Section::Commands => "",
        Section::Finally => "finally ",
        Section::Runtimes => "runtimes ",
    };
    format!("{} {section}{}", command.phase, command.index + 1)
}

/// `command 3 of BUILD`.
fn describe(command: &CommandStarted) -> String {
    let section = match command.section {
        Section::Commands => "",
        Section::Finally => "`finally` of ",
        Section::Runtimes => "the image's runtimes in ",
    };
    format!("command {} of {section}{}", command.index + 1, command.phase)
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn exit(exit: CommandExit) -> String {
    match exit {
        CommandExit::Code(code) => format!("exit status {code}"),
        CommandExit::Signal(number) => format!("killed by {}", signal_name(number)),
    }
}

/// A signal's name, and what it usually means.
fn signal(number: i32) -> String {
    let name = signal_name(number);
    let meaning = match name.as_str() {
        "SIGKILL" => "it was killed from outside",
        "SIGSEGV" | "SIGBUS" => "it accessed memory that is not its own",
        "SIGABRT" => "it gave up by itself, e.g. after a failed assertion",
        "SIGILL" => "it holds instructions that this CPU does not have",
        "SIGFPE" => "an arithmetic error, e.g. a division by zero",
        "SIGTERM" => "it was asked to end",
        "SIGPIPE" => "it wrote to a pipe that nobody reads",
        "SIGSYS" => "it made a system call that is not allowed in a build",
        _ => return name,
    };
    format!("{name}: {meaning}")
}

fn cache_line(cache: &Cache) -> String {
    let Cache { action, files, bytes, new_bytes, detail } = cache;
    let what = format!("{}, {}", text::count(*files, "file"), text::bytes(*bytes));
    let mut line = match action {
        CacheAction::Restored => format!("restored: {what}"),
        CacheAction::Missed => "nothing to restore".to_owned(),
        CacheAction::Saved => format!("saved: {what}, {} of them new", text::bytes(*new_bytes)),
        CacheAction::Unchanged => "unchanged, nothing to save".to_owned(),
        CacheAction::Problem => "problem".to_owned(),
    };
    let detail = text::one_line(detail);
    if !detail.is_empty() {
        line.push_str(&format!(" ({detail})"));
    }
    line
}

/// Of a line with carriage returns, what a terminal would show at last.
fn last_seen(line: &str) -> &str {
    let line = line.trim_end_matches('\r');
    line.rsplit('\r').next().unwrap_or(line)
}
