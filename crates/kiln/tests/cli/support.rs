//! Starting `kiln` with the fake runner.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use kiln_runner::job::Job;
use tempfile::TempDir;

use crate::fake::{SCRIPT, Step};

/// A data directory and a project.
pub(crate) struct Place {
    root: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let place = Self { root };
        fs::create_dir(place.project()).unwrap();
        fs::write(place.project().join("buildspec.yml"), "version: 0.2\nphases: {}\n").unwrap();
        fs::create_dir(place.data()).unwrap();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.path("project")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// `kiln` in the project, with a clean environment; the fake runner plays `steps`.
    pub(crate) fn kiln(&self, steps: &[Step], args: &[&str]) -> Command {
        // Signals that whoever started the tests ignores would stay ignored: `nohup make test &`.
        let mut command = Command::new("env");
        self.environment(&mut command, steps);
        command.args(["--default-signal=HUP,INT", env!("CARGO_BIN_EXE_kiln")]).args(args);
        command
    }

    pub(crate) fn environment(&self, command: &mut Command, steps: &[Step]) {
        let script = tempfile::Builder::new().suffix(".json").tempfile_in(self.root.path()).unwrap();
        serde_json::to_writer(&script, steps).unwrap();
        let (_, script) = script.keep().unwrap();
        command
            .current_dir(self.project())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.root.path())
            .env("KILN_DATA", self.data())
            .env("KILN_RUNNER", std::env::current_exe().unwrap())
            .env(SCRIPT, script)
            .stdin(Stdio::null());
    }

    pub(crate) fn run(&self, steps: &[Step], args: &[&str]) -> Run {
        Run(self.kiln(steps, &[&["run"], args].concat()).output().unwrap())
    }

    /// The job of the last build.
    pub(crate) fn job(&self) -> Job {
        serde_json::from_slice(&fs::read(self.data().join("last-job.json")).unwrap()).unwrap()
    }

    /// The id of the last build.
    pub(crate) fn last(&self) -> String {
        self.job().id.uuid().to_owned()
    }

    /// Names in a directory of the data directory, without hidden ones.
    pub(crate) fn names(&self, dir: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.data().join(dir))
            .map(|entries| entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect())
            .unwrap_or_default();
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        names
    }

    /// Text with everything replaced that is different each time.
    pub(crate) fn plain(&self, text: &str) -> String {
        let id = self.last();
        text.replace(&id, "ID")
            .replace(id.split('-').next().unwrap(), "SHORT")
            .replace(self.root.path().canonicalize().unwrap().to_str().unwrap(), "ROOT")
    }

    /// Makes a FIFO that a step can wait at.
    pub(crate) fn gate(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
        path
    }
}

/// What a run of `kiln` gave.
pub(crate) struct Run(pub(crate) Output);

impl Run {
    pub(crate) fn code(&self) -> i32 {
        self.0.status.code().unwrap_or_else(|| panic!("{}: {}", self.0.status, self.stderr()))
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }
}

/// Opens a gate: waits until the step has come to it, and lets it go on.
pub(crate) fn open(gate: &Path) {
    drop(fs::OpenOptions::new().write(true).open(gate).unwrap());
}

/// Kills what a failed test would leave behind.
pub(crate) struct Reaped(pub(crate) Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Compares with a golden file; `KILN_TEST_BLESS=1` writes it.
#[track_caller]
pub(crate) fn golden(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/golden").join(name);
    if std::env::var_os("KILN_TEST_BLESS").is_some() {
        fs::write(&path, text).unwrap();
        return;
    }
    let want = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, want, "{} (KILN_TEST_BLESS=1 accepts the new text)", path.display());
}
