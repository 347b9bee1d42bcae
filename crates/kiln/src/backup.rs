//! `kiln backup` and `kiln restore`: a data directory, saved while it is in use, and brought back.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use kiln_store::backup;

use crate::{app::App, terminal::text};

/// What `kiln backup` is told.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// Directory to make; it has the encryption keys in it: keep it as you keep the data directory
    target: PathBuf,
}

/// What `kiln restore` is told.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The backup
    from: PathBuf,
}

/// Saves the data directory.
pub(crate) fn run(args: &BackupArgs, app: &App) -> anyhow::Result<ExitCode> {
    let saved = backup::backup(&app.data, &args.target)?;
    eprintln!(
        "kiln: saved {} in {}: {} files, {}, transaction {}",
        app.data.display(),
        args.target.display(),
        saved.files,
        text::bytes(saved.bytes),
        saved.sequence
    );
    Ok(ExitCode::SUCCESS)
}

/// Brings a backup back; no server may run on the data directory.
pub(crate) fn restore(args: &RestoreArgs, app: &App) -> anyhow::Result<ExitCode> {
    let restored = backup::restore(&args.from, &app.data)?;
    eprintln!("kiln: brought {} back into {}", args.from.display(), app.data.display());
    if let Some(before) = restored.replaced {
        eprintln!("kiln: what was there is in {}", before.display());
    }
    Ok(ExitCode::SUCCESS)
}
