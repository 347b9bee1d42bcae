//! A project directory, a data directory of its own, and runs of `kiln` on them.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use kiln_wire::{
    event::{BuildEnded, Event},
    journal::{Body, Decoder},
};
use tempfile::TempDir;

/// A project and the data directory that its runs use.
pub(crate) struct Project {
    source: TempDir,
    data: TempDir,
    secrets: Vec<String>,
}

/// How a run went.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Exit status; negative: the signal that killed it.
    pub(crate) status: i32,
    /// The build's log: standard output.
    pub(crate) log: String,
    /// Standard error.
    pub(crate) summary: String,
    /// Events of the journal.
    pub(crate) events: Vec<Event>,
    /// Build id without the project.
    pub(crate) id: String,
}

impl Project {
    /// A project with this buildspec.
    pub(crate) fn new(buildspec: &str) -> Self {
        let project = Self::empty();
        project.file("buildspec.yml", buildspec);
        project
    }

    /// A project without any file.
    pub(crate) fn empty() -> Self {
        Self { source: TempDir::new().unwrap(), data: TempDir::new().unwrap(), secrets: Vec::new() }
    }

    /// A project whose build phase has these commands.
    pub(crate) fn commands(commands: &[&str]) -> Self {
        let mut buildspec = "version: 0.2\nphases:\n  build:\n    commands:\n".to_owned();
        for command in commands {
            buildspec.push_str("      - |\n");
            for line in command.lines() {
                buildspec.push_str(&format!("        {line}\n"));
            }
        }
        Self::new(&buildspec)
    }

    /// Values that the invariant checker looks for everywhere.
    pub(crate) fn with_secrets(mut self, secrets: &[&str]) -> Self {
        self.secrets = secrets.iter().map(|s| (*s).to_owned()).collect();
        self
    }

    /// Writes a file of the project.
    pub(crate) fn file(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.source.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// The project's directory.
    pub(crate) fn source(&self) -> &Path {
        self.source.path()
    }

    /// The data directory.
    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// `kiln` with this project's data directory.
    pub(crate) fn kiln(&self, args: &[&str]) -> Command {
        // Signals that whoever started the tests ignores would stay ignored: `nohup make test &`.
        let mut command = Command::new("env");
        command
            .args(["--default-signal=HUP,INT", env!("CARGO_BIN_EXE_kiln")])
            .args(args)
            .env("KILN_DATA", self.data())
            .env_remove("KILN_CRASH_POINT")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    /// `kiln run` on the project; not started yet.
    pub(crate) fn run_command(&self, args: &[&str]) -> Command {
        let mut command = self.kiln(&["run"]);
        command.args(args).arg(self.source());
        command
    }

    /// Runs the project and checks the invariants.
    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        let output = self.run_command(args).output().unwrap();
        let outcome = self.outcome(&output);
        self.check();
        outcome
    }

    /// Starts a run whose output can be read while it goes on.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        self.run_command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// What a finished run left.
    pub(crate) fn outcome(&self, output: &Output) -> Outcome {
        let id = self.newest().unwrap_or_default();
        Outcome {
            status: output.status.code().unwrap_or_else(|| -output.status.signal().unwrap_or(0)),
            log: String::from_utf8_lossy(&output.stdout).into_owned(),
            summary: String::from_utf8_lossy(&output.stderr).into_owned(),
            events: self.events(&id),
            id,
        }
    }

    /// The events of a run's journal, wherever it is now.
    pub(crate) fn events(&self, id: &str) -> Vec<Event> {
        let journal = ["runs", "builds"].map(|parent| self.data().join(parent).join(id).join("journal"));
        let Some(bytes) = journal.iter().find_map(|path| fs::read(path).ok()) else { return Vec::new() };
        let mut decoder = Decoder::new();
        decoder.push(&bytes);
        let mut events = Vec::new();
        while let Ok(Some(record)) = decoder.next_record() {
            if let Body::Event(event) = record.body {
                events.push(*event);
            }
        }
        events
    }

    /// Every invariant holds.
    pub(crate) fn check(&self) {
        let violations = kiln_check::check(self.data(), &self.secrets).unwrap();
        assert!(violations.is_empty(), "{}", violations.iter().map(|v| format!("{v}\n")).collect::<String>());
    }

    fn newest(&self) -> Option<String> {
        let runs = fs::read_dir(self.data().join("runs")).ok()?;
        let newest = runs
            .filter_map(Result::ok)
            // Builds are named by their uuid; what begins with a dot is kiln's own.
            .filter(|entry| entry.file_name().len() == 36)
            .max_by_key(|entry| entry.metadata().and_then(|m| m.created()).ok())?;
        Some(newest.file_name().to_string_lossy().into_owned())
    }
}

impl Outcome {
    /// The log without `[Container] <time>`: what every run of the same build prints.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.log
            .lines()
            .map(|line| match line.strip_prefix("[Container] ") {
                // The time is two words of fixed length.
                Some(rest) => format!("[Container] {}", rest.get(27..).unwrap_or_default()),
                None => line.to_owned(),
            })
            .collect()
    }

    /// Fails unless the build ended with this exit status.
    #[track_caller]
    pub(crate) fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, status, "\n{}\n{}", self.log, self.summary);
        self
    }

    /// True when a command printed this line.
    pub(crate) fn printed(&self, line: &str) -> bool {
        self.log.lines().any(|l| l == line)
    }

    /// Fails unless a command printed this line.
    #[track_caller]
    pub(crate) fn expect_line(&self, line: &str) -> &Self {
        assert!(self.printed(line), "no line '{line}' in\n{}\n{}", self.log, self.summary);
        self
    }

    /// Fails unless the log contains this text.
    #[track_caller]
    pub(crate) fn expect_text(&self, text: &str) -> &Self {
        assert!(self.log.contains(text), "no '{text}' in\n{}\n{}", self.log, self.summary);
        self
    }

    /// The build's end.
    #[track_caller]
    pub(crate) fn end(&self) -> BuildEnded {
        match self.events.last() {
            Some(Event::BuildEnded(end)) => end.clone(),
            other => panic!("the journal ends with {other:?}\n{}\n{}", self.log, self.summary),
        }
    }

    /// Phases and their statuses, in order: `BUILD FAILED`.
    pub(crate) fn phases(&self) -> Vec<String> {
        self.events
            .iter()
            .filter_map(|event| match event {
                Event::PhaseEnded { phase, status, .. } => Some(format!("{phase} {status}")),
                _ => None,
            })
            .collect()
    }
}

/// Why root-only tests cannot run here; they say so and pass.
pub(crate) fn not_root() -> bool {
    let skip = !rustix::process::geteuid().is_root();
    if skip {
        eprintln!("skipped: needs root");
    }
    skip
}
