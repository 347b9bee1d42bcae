//! Reports in UPLOAD_ARTIFACTS: those that the buildspec names, then those that are found (`buildspec.md` section 11).

use std::{
    collections::BTreeSet,
    fs,
    io::{Cursor, Read},
    path::Path,
};

use kiln_model::{BuildStatus, ReportFormat, TestStatus};
use kiln_wire::{
    agent::{Entry, EntryKind, Links, List},
    event::{self, Event},
};

use crate::{
    build::{Build, Failure, PhaseResult},
    directory::{DirectoryError, DirectoryWriter},
    entry::OutputLimits,
    report::{self, Report},
    session::Halt,
    upload::{Found, MAX_ENTRIES, Search},
};

/// How long auto-discovery searches (`buildspec.md` 11.4).
const DISCOVERY_MS: u32 = 5000;
/// Files that auto-discovery looks into, and how large they may be.
const MAX_DISCOVERED: usize = 1000;
const MAX_DISCOVERED_BYTES: u64 = 32 << 20;
/// A file's start is enough to know its format.
const HEAD: u64 = 4096;
/// Raw report files that are kept for one group.
const RAW_LIMITS: OutputLimits = OutputLimits { entries: 10_000, bytes: 1 << 30 };
/// Failures that an event holds.
const MAX_FAILURES: usize = 50;

/// A group's parsed files.
#[derive(Debug, Default)]
struct Group {
    reports: Vec<Report>,
    files: u64,
}

impl Build<'_> {
    /// The groups of the buildspec. A report that cannot be read fails the phase; tests that failed do not.
    pub(crate) fn reports(&mut self) -> PhaseResult {
        let mut problems = Vec::new();
        for (written, settings) in self.buildspec.reports.clone() {
            let name = match self.expand(std::slice::from_ref(&written)) {
                Ok(mut names) => names.pop().unwrap_or(written),
                Err(Halt::Sink(message)) => {
                    problems.push(format!("{written}: [{message}]"));
                    continue;
                }
                Err(halt) => return Err(halt),
            };
            let format = match settings.file_format.known() {
                Ok(format) => format,
                Err(unknown) => {
                    problems.push(format!("{name}: [unknown report file-format '{unknown}']"));
                    continue;
                }
            };
            let search = Search {
                base: settings.base_directory.as_deref(),
                patterns: &settings.files,
                exclude: &[],
                discard_paths: settings.discard_paths,
                links: Links::Follow,
            };
            self.session.journal.line(&format!("Preparing to copy TEST report {name}"))?;
            let found = match self.search(&search)? {
                Ok(found) => found,
                Err(failure) => {
                    problems.push(format!("{name}: [{}]", failure.context.message));
                    continue;
                }
            };
            if found.entries.is_empty() {
                problems.push(format!("{name}: [no matching report paths found]"));
                continue;
            }
            if let Err(problem) = self.report_group(&self.group_name(&name), format, &found)? {
                problems.push(format!("{name}: [error processing report: [{problem}]]"));
            }
        }
        if problems.is_empty() {
            return Ok(None);
        }
        let message = format!("Error in UPLOAD_ARTIFACTS phase: [{}]", problems.join(", "));
        Ok(Some(Failure::new("CLIENT_ERROR", message)))
    }

    /// `<project>-<name>`; an ARN names its group itself (`buildspec.md` 11.1).
    fn group_name(&self, name: &str) -> String {
        match name.rsplit_once(":report-group/") {
            Some((_, group)) if name.starts_with("arn:") => group.to_owned(),
            _ => format!("{}-{name}", self.job.id.project()),
        }
    }

    /// Reads the files of a group, keeps them beside the run, and tells what they say. The inner error is the first
    /// file that cannot be read.
    fn report_group(&mut self, group: &str, format: ReportFormat, found: &Found) -> Result<Result<(), String>, Halt> {
        let mut parsed = Group::default();
        let mut problem = None;
        let dir = self.job.reports.join(safe_name(group));
        let mut raw = match raw_writer(&dir) {
            Ok(raw) => raw,
            Err(Halt::Sink(message)) => return Ok(Err(message)),
            Err(halt) => return Err(halt),
        };
        let received = self.receive(found, |entry, stream| {
            if !matches!(entry.kind, EntryKind::File) {
                return Ok(true);
            }
            let path = String::from_utf8_lossy(&entry.path.0).into_owned();
            let mut copy = Vec::new();
            let mut tee = Tee { from: stream, copy: &mut copy };
            match report::parse(format, &path, &mut tee) {
                Ok(report) => {
                    parsed.reports.push(report);
                    parsed.files += 1;
                }
                Err(e) => {
                    problem.get_or_insert_with(|| e.to_string());
                }
            }
            match raw.entry(&entry.into(), &mut Cursor::new(copy)) {
                Ok(()) | Err(DirectoryError::Content { .. }) => Ok(true),
                Err(e) => Err(e.into()),
            }
        });
        match received {
            Ok(()) => {}
            Err(Halt::Sink(message)) => return Ok(Err(message)),
            Err(halt) => return Err(halt),
        }
        match raw.finish().map_err(Halt::from) {
            Ok(_) => {}
            Err(Halt::Sink(message)) => return Ok(Err(message)),
            Err(halt) => return Err(halt),
        }
        if let Some(problem) = problem {
            return Ok(Err(problem));
        }
        self.tell(group, format, parsed, &dir).map(Ok)
    }

    fn tell(&mut self, group: &str, format: ReportFormat, parsed: Group, dir: &Path) -> Result<(), Halt> {
        let Group { reports, files } = parsed;
        // Files of one format are of one kind.
        let Ok(Some(merged)) = report::merge(reports) else { return Ok(()) };
        let json = match &merged {
            Report::Test(tests) => serde_json::to_vec_pretty(tests),
            Report::Coverage(coverage) => serde_json::to_vec_pretty(coverage),
        };
        if let Ok(json) = json
            && let Err(e) = fs::write(dir.join("summary.json"), json)
        {
            self.session.journal.line(&format!("Report {group}: {}: {e}", dir.display()))?;
        }
        let kind = merged.kind();
        let (tests, failures, lines, branches) = match merged {
            Report::Test(tests) => {
                let masker = self.session.journal.masker();
                let failures = tests
                    .cases
                    .into_iter()
                    .filter(|case| matches!(case.status, TestStatus::Failed | TestStatus::Error))
                    .take(MAX_FAILURES)
                    .map(|mut case| {
                        case.message = masker.text(&case.message);
                        case.name = masker.text(&case.name);
                        case
                    })
                    .collect();
                (Some(tests.summary), failures, None, None)
            }
            Report::Coverage(coverage) => (None, Vec::new(), Some(coverage.lines), Some(coverage.branches)),
        };
        let success = tests.as_ref().is_none_or(kiln_model::TestSummary::is_success);
        let status = if success { BuildStatus::Succeeded } else { BuildStatus::Failed };
        self.session.journal.event(&Event::Report(event::Report {
            name: group.to_owned(),
            format,
            kind,
            status,
            files,
            tests,
            failures,
            lines,
            branches,
        }))?;
        Ok(())
    }

    /// Looks for report files that the buildspec does not name (`buildspec.md` 11.4). Never fails the build.
    pub(crate) fn discover_reports(&mut self) -> Result<(), Halt> {
        let variable = |build: &Self, name: &str| {
            build.environment.as_ref().and_then(|e| e.variables.get(name)).cloned().unwrap_or_default()
        };
        if variable(self, "CODEBUILD_CONFIG_AUTO_DISCOVER").eq_ignore_ascii_case("false") {
            return Ok(());
        }
        let dir = variable(self, "CODEBUILD_CONFIG_AUTO_DISCOVER_DIR");
        let base = if dir.is_empty() { ".".to_owned() } else { dir };
        let started = self.session.clock.monotonic();
        self.session.journal.line("Set report auto-discover timeout to 5 seconds")?;
        self.session.journal.line(&format!("Expanding base directory path:  {base}"))?;
        self.session.journal.line("Assembling file list")?;
        self.session.journal.line(&format!("Expanding {base}"))?;
        let list = List {
            id: 0,
            root: self.layout.source_dir().into(),
            base: base.clone(),
            // The formats' own endings: other files are not looked into.
            patterns: vec!["**/*.{xml,XML,trx,json}".to_owned()],
            exclude: vec!["**/.git/**/*".to_owned(), ".git/**/*".to_owned()],
            discard_paths: false,
            links: Links::Keep,
            directories: false,
            max_entries: MAX_ENTRIES,
            budget_ms: Some(DISCOVERY_MS),
        };
        // First: files are asked for by their place in the agent's latest list.
        let named = self.named_report_files()?;
        let found = self.list(list)?;
        self.session.journal.line(&format!("Expanding file paths for base directory {base}"))?;
        self.session.journal.line("Assembling file list")?;
        self.session.journal.line("Expanding **/*")?;
        let groups = match found {
            Ok(found) => self.read_discovered(found, &named)?,
            Err(message) => {
                self.session.journal.line(&message)?;
                Vec::new()
            }
        };
        let files: u64 = groups.iter().map(|(_, group)| group.files).sum();
        if files == 0 {
            self.session.journal.line("No matching auto-discover report paths found")?;
        } else {
            self.session.journal.line(&format!("Found {files} file(s)"))?;
        }
        let took = self.session.clock.monotonic().saturating_sub(started);
        self.session
            .journal
            .line(&format!("Report auto-discover file discovery took {:.6} seconds", took.as_secs_f64()))?;
        for (format, group) in groups {
            let name = format!("{}-{format}-AutoDiscovered", self.job.id.project());
            let dir = self.job.reports.join(&name);
            if let Err(e) = fs::create_dir_all(&dir) {
                self.session.journal.line(&format!("Report {name}: {}: {e}", dir.display()))?;
            }
            self.tell(&name, format, group, &dir)?;
        }
        Ok(())
    }

    /// Absolute paths of the files that the buildspec's own groups took.
    fn named_report_files(&mut self) -> Result<BTreeSet<Vec<u8>>, Halt> {
        let mut named = BTreeSet::new();
        for (_, settings) in self.buildspec.reports.clone() {
            let mut texts = vec![settings.base_directory.unwrap_or_else(|| ".".to_owned())];
            texts.extend(settings.files);
            let mut expanded = match self.expand(&texts) {
                Ok(expanded) => expanded,
                Err(Halt::Sink(_)) => continue,
                Err(halt) => return Err(halt),
            };
            let patterns = expanded.split_off(1.min(expanded.len()));
            let list = List {
                id: 0,
                root: self.layout.source_dir().into(),
                base: expanded.pop().unwrap_or_else(|| ".".to_owned()),
                patterns,
                exclude: Vec::new(),
                discard_paths: false,
                links: Links::Keep,
                directories: false,
                max_entries: MAX_ENTRIES,
                budget_ms: None,
            };
            if let Ok(found) = self.list(list)? {
                named.extend(found.entries.into_iter().map(|entry| entry.absolute.0));
            }
        }
        Ok(named)
    }

    fn read_discovered(&mut self, found: Found, named: &BTreeSet<Vec<u8>>) -> Result<Vec<(ReportFormat, Group)>, Halt> {
        let candidate = |entry: &Entry| {
            matches!(entry.kind, EntryKind::File)
                && (1..=MAX_DISCOVERED_BYTES).contains(&entry.size)
                && !named.contains(&entry.absolute.0)
        };
        let ranges: Vec<(u32, u32)> = found
            .entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| candidate(entry))
            .filter_map(|(index, _)| u32::try_from(index).ok())
            .take(MAX_DISCOVERED)
            .map(|index| (index, index.saturating_add(1)))
            .collect();
        let mut groups: Vec<(ReportFormat, Group)> = Vec::new();
        if ranges.is_empty() {
            return Ok(groups);
        }
        let mut stream = self.session.send_files(ranges)?;
        while let Some(entry) = stream.next_file()? {
            let path = String::from_utf8_lossy(&entry.path.0).into_owned();
            let mut head = Vec::new();
            let read = stream.by_ref().take(HEAD).read_to_end(&mut head);
            if let Some(halt) = stream.take_halt() {
                return Err(halt);
            }
            let Some(format) = read.ok().and_then(|_| report::detect(&path, &head)) else { continue };
            let parsed = report::parse(format, &path, &mut head.chain(stream.by_ref().take(MAX_DISCOVERED_BYTES)));
            if let Some(halt) = stream.take_halt() {
                return Err(halt);
            }
            // What looks like a report and is none is nobody's mistake.
            let Ok(report) = parsed else { continue };
            let at = groups.iter().position(|(f, _)| *f == format).unwrap_or_else(|| {
                groups.push((format, Group::default()));
                groups.len() - 1
            });
            if let Some((_, group)) = groups.get_mut(at) {
                group.reports.push(report);
                group.files += 1;
            }
        }
        Ok(groups)
    }
}

/// Where the raw files of a group go.
fn raw_writer(dir: &Path) -> Result<DirectoryWriter, Halt> {
    fs::create_dir_all(dir).map_err(|e| Halt::unstored(format!("cannot make {}: {e}", dir.display()), Some(&e)))?;
    Ok(DirectoryWriter::create(&dir.join("raw"), RAW_LIMITS)?)
}

/// A group's name as a file name: `$VARIABLES` and ARNs may put anything into it.
fn safe_name(group: &str) -> String {
    let name: String =
        group.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).take(128).collect();
    if name.trim_matches('.').is_empty() { "report".to_owned() } else { name }
}

/// Reads from one side and remembers what was read.
struct Tee<'a, R> {
    from: &'a mut R,
    copy: &'a mut Vec<u8>,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let n = self.from.read(out)?;
        self.copy.extend_from_slice(out.get(..n).unwrap_or_default());
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_names_become_plain_file_names() {
        for (group, name) in [
            ("local-unit", "local-unit"),
            ("../../etc", ".._.._etc"),
            ("..", "report"),
            ("", "report"),
            ("a b/c", "a_b_c"),
        ] {
            assert_eq!(safe_name(group), name);
        }
    }
}
