//! `kiln backup` and `kiln restore`: a data directory, saved while it is in use, and brought back.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use kiln_store::{DataLock, Metadata, backup};

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
    #[arg(required_unless_present = "accept_loss")]
    from: Option<PathBuf>,

    /// There is no backup: go on with the database as it is, without the changes that it has lost
    #[arg(long, conflicts_with = "from")]
    accept_loss: bool,
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
    if let Some(bucket) = saved.bucket {
        eprintln!("kiln: the bytes of objects are in {bucket}, and not in the backup");
    }
    Ok(ExitCode::SUCCESS)
}

/// Brings a backup back; no server may run on the data directory.
pub(crate) fn restore(args: &RestoreArgs, app: &App) -> anyhow::Result<ExitCode> {
    let Some(from) = &args.from else { return accept_loss(app) };
    let restored = backup::restore(from, &app.data)?;
    eprintln!("kiln: brought {} back into {}", from.display(), app.data.display());
    if let Some(before) = restored.replaced {
        eprintln!("kiln: what was there is in {}", before.display());
    }
    Ok(ExitCode::SUCCESS)
}

fn accept_loss(app: &App) -> anyhow::Result<ExitCode> {
    let _lock = DataLock::take(&app.data)?;
    let sequence = Metadata::accept_loss(&app.data)?;
    eprintln!("kiln: {} is taken as it is, up to change {sequence}; what came after is lost", app.data.display());
    Ok(ExitCode::SUCCESS)
}
