//! `kiln lint`: what is wrong with buildspecs, all at once.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use kiln_buildspec::{Diagnostic, Format, MAX_BYTES, Severity};

use crate::{app::App, exit, terminal::output::print};

/// What `kiln lint` is told.
#[derive(Debug, Args)]
pub(crate) struct LintArgs {
    /// Buildspecs; `-` is standard input [default: buildspec.yml]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Form of the result: text, json or sarif
    #[arg(long, value_name = "FORM", default_value = "text", hide_default_value = true)]
    format: Format,

    /// Print the JSON Schema of buildspecs, for editors
    #[arg(long, conflicts_with_all = ["files", "format"])]
    schema: bool,
}

/// A file that was read.
struct Read {
    name: String,
    text: Vec<u8>,
    diagnostics: Vec<Diagnostic>,
}

/// Checks buildspecs. Status 0: no errors, 1: errors, 2: a file cannot be read.
pub(crate) fn run(args: &LintArgs, app: &App) -> anyhow::Result<ExitCode> {
    if args.schema {
        print(kiln_buildspec::schema_text().as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let default = [PathBuf::from("buildspec.yml")];
    let files = if args.files.is_empty() { &default[..] } else { &args.files };
    let mut checked = Vec::new();
    let mut unreadable = false;
    for file in files {
        match read(file) {
            Ok(text) => {
                let diagnostics = kiln_buildspec::lint(&text);
                checked.push(Read { name: name(file), text, diagnostics });
            }
            Err(e) => {
                unreadable = true;
                let hint = if args.files.is_empty() { " (name the file: kiln lint FILE)" } else { "" };
                eprintln!("kiln lint: {}: {e}{hint}", file.display());
            }
        }
    }
    if !checked.is_empty() {
        let checks: Vec<_> =
            checked.iter().map(|r| (r.name.as_str(), r.text.as_slice(), r.diagnostics.as_slice())).collect();
        print(kiln_buildspec::render(args.format, &checks, app.streams.out_colour()).as_bytes())?;
    }
    let errors = checked.iter().flat_map(|r| &r.diagnostics).any(|d| d.severity == Severity::Error);
    Ok(ExitCode::from(match (unreadable, errors) {
        (true, _) => exit::USAGE,
        (false, true) => exit::FAILED,
        (false, false) => exit::SUCCESS,
    }))
}

fn name(file: &Path) -> String {
    if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() }
}

/// Reads a file, but not much more of it than a buildspec may have: what is longer is an error anyway.
fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let most = MAX_BYTES as u64 + 1;
    if file == Path::new("-") {
        io::stdin().lock().take(most).read_to_end(&mut text)?;
    } else {
        File::open(file)?.take(most).read_to_end(&mut text)?;
    }
    Ok(text)
}
