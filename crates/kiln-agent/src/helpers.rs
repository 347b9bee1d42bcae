//! The helper commands that builds call (`buildspec.md` 2.1, 10.3, 12.1), by the name that the binary is called with.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read, Write},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::Path,
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

use kiln_wire::{
    PathBytes,
    agent::{Entry, Links, List},
};
use sha2::{Digest, Sha256};

use crate::{list::ListTask, state::quote};

mod tests_run;

/// Names that the binary is called by.
pub(crate) const NAMES: &[&str] = &[
    "codebuild-breakpoint",
    "codebuild-glob-search",
    "codebuild-hash-files",
    "codebuild-resume",
    "codebuild-tests-run",
];

/// Most files that a helper works on.
const MAX_FILES: u32 = 5_000_000;

/// Runs a helper; `None` when the name is not one's.
pub(crate) fn run(name: &str, arguments: Vec<OsString>) -> Option<ExitCode> {
    let arguments: Vec<String> = arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let result = match name {
        // A build is only held by its breakpoints when it was started for debugging.
        "codebuild-breakpoint" | "codebuild-resume" => Ok(ExitCode::SUCCESS),
        "codebuild-glob-search" => glob_search(&arguments),
        "codebuild-hash-files" => hash_files(&arguments),
        "codebuild-tests-run" => tests_run::run(&arguments),
        _ => return None,
    };
    Some(result.unwrap_or_else(|error| {
        eprintln!("{name}: {error}");
        ExitCode::from(if error.usage { 2 } else { 1 })
    }))
}

/// Why a helper cannot do its work.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
struct HelperError {
    message: String,
    /// It was called wrongly.
    usage: bool,
}

impl HelperError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), usage: false }
    }

    fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), usage: true }
    }
}

impl From<io::Error> for HelperError {
    fn from(error: io::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// Copies standard input to standard output.
pub(crate) fn copy() -> ExitCode {
    match io::copy(&mut io::stdin().lock(), &mut io::stdout().lock()) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kiln-agent: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The files that patterns match, below the working directory, sorted.
fn find(patterns: &[String]) -> Result<Vec<Entry>, HelperError> {
    if patterns.is_empty() {
        return Err(HelperError::usage("name at least one glob pattern, e.g. '**/package-lock.json'"));
    }
    let here = std::env::current_dir()?;
    let request = List {
        id: 0,
        root: PathBytes(here.as_os_str().as_bytes().to_vec()),
        base: ".".into(),
        patterns: patterns.to_vec(),
        exclude: Vec::new(),
        discard_paths: false,
        links: Links::Follow,
        directories: false,
        max_entries: MAX_FILES,
        budget_ms: None,
    };
    let home = std::env::var("HOME").unwrap_or_else(|_| "/root".into());
    let (listing, notes) =
        ListTask::new(request, &home, Instant::now()).and_then(ListTask::finish).map_err(HelperError::new)?;
    for note in notes {
        eprintln!("{note}");
    }
    Ok((0..listing.len()).filter_map(|index| listing.entry(index)).collect())
}

/// How a file is named to the user: relative when it is below the working directory.
fn shown(entry: &Entry) -> &[u8] {
    let here = std::env::current_dir().unwrap_or_default();
    let below = entry.absolute.0.strip_prefix(here.as_os_str().as_bytes()).and_then(|rest| rest.strip_prefix(b"/"));
    below.unwrap_or(&entry.absolute.0)
}

fn glob_search(patterns: &[String]) -> Result<ExitCode, HelperError> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for entry in find(patterns)? {
        out.write_all(shown(&entry))?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Prints one SHA-256 for all files: of the SHA-256 of each file's contents, in the order of their paths.
fn hash_files(patterns: &[String]) -> Result<ExitCode, HelperError> {
    let entries = find(patterns)?;
    if entries.is_empty() {
        return Err(HelperError::new(format!("no file matches {}", patterns.join(" "))));
    }
    let mut all = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    for entry in &entries {
        let path = OsString::from_vec(entry.absolute.0.clone());
        let problem = |error: io::Error| HelperError::new(format!("{}: {error}", Path::new(&path).display()));
        let mut file = File::open(&path).map_err(problem)?;
        let mut one = Sha256::new();
        loop {
            let read = file.read(&mut buffer).map_err(problem)?;
            if read == 0 {
                break;
            }
            one.update(buffer.get(..read).unwrap_or_default());
        }
        all.update(one.finalize());
    }
    let digest: String = all.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(io::stdout(), "{digest}")?;
    Ok(ExitCode::SUCCESS)
}

/// A shell command with its input from nowhere.
fn shell(text: &[u8]) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(OsStr::from_bytes(text)).stdin(Stdio::null());
    command
}

/// Words that a shell reads as these names; plain ones stay as they are.
fn words(names: &[Vec<u8>]) -> Vec<u8> {
    let mut text = Vec::new();
    for name in names {
        text.push(b' ');
        if name.iter().all(|b| b.is_ascii_alphanumeric() || b"/._-+@%:,=".contains(b)) {
            text.extend_from_slice(name);
        } else {
            quote(name, &mut text);
        }
    }
    text
}
