//! `kiln image`: bringing images in, making curated ones, listing and removing them.

mod build;
mod progress;

use std::{
    io::{IsTerminal as _, Read as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::AtomicBool,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::{Args, Subcommand, ValueEnum};
use kiln_engine::image::{
    Credentials, DockerConfig, Image, ImageError, ImageStore, ImageSummary, ImportFormat, ImportOptions, ImportSource,
    Limits, Operation, Progress, PruneScope, PullOptions, Reference,
};
use serde_json::json;

use crate::{
    app::App,
    exit::{UsageError, usage},
    terminal::{
        output::print,
        table::{ago, aligned},
        text::{bytes, count, fit, one_line},
    },
};
use progress::Display;

/// Longest password that is read.
const MAX_PASSWORD: u64 = 64 * 1024;

/// What `kiln image` is told.
#[derive(Debug, Args)]
pub(crate) struct ImageArgs {
    #[command(subcommand)]
    command: ImageCommand,
}

#[derive(Debug, Subcommand)]
enum ImageCommand {
    /// Fetch an image from a registry
    Pull(PullArgs),
    /// Take in an image from a file: `docker save`, an OCI layout, or a root file system as a tar archive
    Import(ImportArgs),
    /// Make curated images: for a language, ready to use
    Build(build::BuildArgs),
    /// List the images
    Ls {
        /// Print JSON, one image a line
        #[arg(long)]
        json: bool,
    },
    /// Remove images
    Rm {
        /// Names or ids as `kiln image ls` shows them
        #[arg(value_name = "IMAGE", required = true)]
        images: Vec<String>,
    },
    /// Remove what no image needs: old layers, interrupted downloads
    Prune {
        /// Also remove every image that no build is using
        #[arg(long)]
        all: bool,
    },
}

#[derive(Debug, Args)]
struct PullArgs {
    /// The image, e.g. debian:12 or registry.example.com/team/app@sha256:…
    #[arg(value_name = "REFERENCE")]
    reference: String,

    /// User name for the registry [default: what `docker login` stored]
    #[arg(long, value_name = "NAME", requires = "password_stdin")]
    username: Option<String>,

    /// Read the password (or access token) for the registry from standard input
    #[arg(long, requires = "username")]
    password_stdin: bool,

    /// Accept plain HTTP and certificates that cannot be verified
    #[arg(long)]
    insecure: bool,

    /// Print no progress
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, Args)]
struct ImportArgs {
    /// The file, compressed with gzip or zstd or not at all, or the directory of an OCI layout; `-` for standard input
    #[arg(value_name = "PATH")]
    path: PathBuf,

    /// Name of the image [default: the one in the archive; a root file system has none]
    #[arg(long, value_name = "REFERENCE")]
    name: Option<String>,

    /// What the file is
    #[arg(long, value_enum, default_value_t = Format::Auto)]
    format: Format,

    /// Print no progress
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Told by its content
    Auto,
    /// `docker save`, or an OCI layout
    Image,
    /// A root file system
    Rootfs,
}

/// Does what is asked.
pub(crate) fn run(args: &ImageArgs, app: &App) -> anyhow::Result<ExitCode> {
    let directory = app.data.join("images");
    let adds = matches!(args.command, ImageCommand::Pull(_) | ImageCommand::Import(_) | ImageCommand::Build(_));
    // Looking must not make a directory where none was.
    if !adds && !directory.try_exists()? {
        if let ImageCommand::Rm { images } = &args.command {
            usage!("there is no image `{}`: {} does not exist", images.join(" "), directory.display());
        }
        eprintln!("There are no images in {}.", directory.display());
        return Ok(ExitCode::SUCCESS);
    }
    let store = ImageStore::open(directory).map_err(explained)?;
    match &args.command {
        ImageCommand::Pull(args) => pull(args, app, &store)?,
        ImageCommand::Import(args) => import(args, app, &store)?,
        ImageCommand::Build(args) => return build::run(args, app, &store),
        ImageCommand::Ls { json: true } => {
            let list = store.list().map_err(explained)?;
            print(list.iter().map(|image| format!("{}\n", as_json(image))).collect::<String>().as_bytes())?;
        }
        ImageCommand::Ls { json: false } => {
            let list = store.list().map_err(explained)?;
            if list.is_empty() {
                eprintln!("There are no images. `kiln image build`, `pull` or `import` brings one.");
            } else {
                print(table(&list, app.clock.wall_ns()).as_bytes())?;
            }
        }
        ImageCommand::Rm { images } => {
            for image in images {
                let removed = store.remove(image).map_err(explained)?;
                print(format!("Removed {}, {} freed.\n", removed.reference, bytes(removed.bytes)).as_bytes())?;
            }
        }
        ImageCommand::Prune { all } => {
            let scope = if *all { PruneScope::UnusedImages } else { PruneScope::Unreferenced };
            let waiting = || eprintln!("Waiting until the images that are being brought in are complete…");
            let pruned = store.prune(scope, waiting).map_err(explained)?;
            let mut text: String =
                pruned.images.iter().map(|image| format!("Removed {}.\n", familiar(image))).collect();
            let layers = count(u64::try_from(pruned.layers).unwrap_or(u64::MAX), "layer");
            text.push_str(&format!("Removed {layers} and downloads, {} freed.\n", bytes(pruned.bytes)));
            print(text.as_bytes())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn pull(args: &PullArgs, app: &App, store: &ImageStore) -> anyhow::Result<()> {
    let reference = Reference::parse(&args.reference).map_err(explained)?;
    let credentials = match &args.username {
        Some(username) => Some(Credentials::Password { username: username.clone(), password: password()? }),
        None => stored_credentials(&reference, app)?,
    };
    let options = PullOptions { credentials, insecure: args.insecure, ..PullOptions::default() };
    let display = Display::new(&reference.familiar(), app.streams, args.quiet);
    let result = with_operation(app, &display, |operation| store.pull(&reference, &options, operation));
    display.end();
    print(said(&[result.map_err(explained)?]).as_bytes())?;
    Ok(())
}

fn import(args: &ImportArgs, app: &App, store: &ImageStore) -> anyhow::Result<()> {
    let name = args.name.as_deref().map(Reference::parse).transpose().map_err(explained)?;
    let format = match args.format {
        Format::Auto => ImportFormat::Auto,
        Format::Image => ImportFormat::Image,
        Format::Rootfs => ImportFormat::RootFs,
    };
    let source = if args.path == Path::new("-") {
        if std::io::stdin().is_terminal() {
            usage!("standard input is a terminal: redirect an archive to it");
        }
        ImportSource::Stream(Box::new(std::io::stdin()))
    } else {
        ImportSource::Path(args.path.clone())
    };
    let options = ImportOptions { name, format, platform: None };
    let display = Display::new(&args.path.display().to_string(), app.streams, args.quiet);
    let result = with_operation(app, &display, |operation| store.import(source, &options, operation));
    display.end();
    print(said(&result.map_err(explained)?).as_bytes())?;
    Ok(())
}

/// Ctrl-C needs no care: what is half done is swept by the next command, and downloads go on where they stopped.
fn with_operation<T>(app: &App, display: &Display, work: impl FnOnce(&Operation<'_>) -> T) -> T {
    let progress = |event: Progress<'_>| display.event(&event);
    let now = SystemTime::checked_add(&UNIX_EPOCH, Duration::from_nanos(app.clock.wall_ns())).unwrap_or(UNIX_EPOCH);
    work(&Operation { now, cancel: &AtomicBool::new(false), progress: &progress, limits: Limits::default() })
}

fn password() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().take(MAX_PASSWORD).read_to_string(&mut text)?;
    let password = text.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        usage!("there is no password on standard input");
    }
    Ok(password.to_owned())
}

/// What `docker login` stored.
fn stored_credentials(reference: &Reference, app: &App) -> anyhow::Result<Option<Credentials>> {
    let directory =
        app.environment.docker_config.clone().or_else(|| Some(app.environment.home.as_ref()?.join(".docker")));
    match directory {
        Some(directory) => Ok(DockerConfig::load(&directory)?.credentials(reference)?),
        None => Ok(None),
    }
}

/// What the user can put right is bad usage.
fn explained(error: ImageError) -> anyhow::Error {
    match error {
        ImageError::Reference { .. }
        | ImageError::NotFound { .. }
        | ImageError::Unnamed { .. }
        | ImageError::InUse { .. } => UsageError(error.to_string()).into(),
        other => other.into(),
    }
}

fn said(images: &[Image]) -> String {
    images.iter().map(|image| format!("{}  {}  {}\n", image.familiar(), image.digest, bytes(image.size))).collect()
}

fn familiar(reference: &str) -> String {
    Reference::parse(reference).map_or_else(|_| one_line(reference), |reference| reference.familiar())
}

fn added_ns(image: &ImageSummary) -> u64 {
    image.added.duration_since(UNIX_EPOCH).ok().and_then(|d| u64::try_from(d.as_nanos()).ok()).unwrap_or(0)
}

fn as_json(image: &ImageSummary) -> serde_json::Value {
    json!({
        "reference": image.reference,
        "digest": image.digest,
        "id": image.id,
        "architecture": image.architecture,
        "bytes": image.size,
        "addedNs": added_ns(image),
        "imported": image.imported,
        "inUse": image.in_use,
        "unpacked": image.unpacked,
    })
}

/// One line for each image, beneath a heading. Architectures come from images: nothing in them reaches the terminal as
/// more than text.
fn table(images: &[ImageSummary], now_ns: u64) -> String {
    let mut rows = vec![["IMAGE", "ID", "ARCH", "SIZE", "ADDED", "STATE"].map(str::to_owned)];
    for image in images {
        let state = match (image.unpacked, image.in_use) {
            (false, _) => "not for this user",
            (true, true) => "in use",
            (true, false) => "",
        };
        let age = i64::try_from(now_ns.saturating_sub(added_ns(image))).unwrap_or(i64::MAX);
        rows.push([
            familiar(&image.reference),
            image.id.short(),
            fit(&one_line(&image.architecture), 12).into_owned(),
            bytes(image.size),
            ago(age),
            state.to_owned(),
        ]);
    }
    aligned(&rows, &[3])
}

#[cfg(test)]
mod tests {
    use kiln_engine::image::Digest;

    use super::*;

    fn image(reference: &str, in_use: bool) -> ImageSummary {
        ImageSummary {
            reference: reference.to_owned(),
            digest: Digest::of(b"manifest"),
            id: Digest::of(b""),
            architecture: "amd64\u{1b}[2J".to_owned(),
            size: 5 << 20,
            imported: false,
            added: UNIX_EPOCH + Duration::from_secs(60),
            in_use,
            unpacked: true,
        }
    }

    #[test]
    fn the_table_shows_text_alone() {
        let list = [image("docker.io/library/debian:12", false), image("example.test/app:1", true)];
        assert_eq!(
            table(&list, 7_260_000_000_000),
            "IMAGE               ID            ARCH        SIZE  ADDED    STATE\n\
             debian:12           e3b0c44298fc  amd64 [2J  5 MiB  2 h ago\n\
             example.test/app:1  e3b0c44298fc  amd64 [2J  5 MiB  2 h ago  in use\n"
        );
    }

    #[test]
    fn json_is_complete() {
        let json = as_json(&image("example.test/app:1", true));
        assert_eq!(json["reference"], "example.test/app:1");
        assert_eq!(json["digest"], Digest::of(b"manifest").to_string());
        assert_eq!((json["bytes"].as_u64(), json["addedNs"].as_u64()), (Some(5 << 20), Some(60_000_000_000)));
        assert_eq!((json["inUse"].as_bool(), json["imported"].as_bool()), (Some(true), Some(false)));
    }
}
