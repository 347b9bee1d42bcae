//! The `kiln` binary: configuration, wiring, terminal. What it does is in the libraries.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

mod agent_binary;
mod app;
mod audit;
mod backup;
mod build;
mod builds;
mod cache;
mod client;
mod configure;
mod console;
mod data;
mod debug;
mod doctor;
mod environment;
mod exit;
mod iam;
mod image;
mod lint;
mod logs;
mod papers;
mod run;
mod runner;
mod runs;
mod serve;
mod signals;
mod terminal;
mod tls;
mod webhook;

use app::App;

/// AWS CodeBuild that you run yourself: builds a project in a fresh container, driven by its buildspec.yml.
#[derive(Debug, Parser)]
#[command(name = "kiln", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_long_help = variables())]
struct Cli {
    /// Where Kiln keeps its data [default: /var/lib/kiln for root, else ~/.local/share/kiln]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the buildspec of a directory, in a fresh container
    Run(Box<run::RunArgs>),
    /// Open a shell in the file system of a build that failed
    Debug(debug::DebugArgs),
    /// Check buildspecs: every problem at once, with its line and what to do
    Lint(lint::LintArgs),
    /// Print the log of a build
    Logs(logs::LogsArgs),
    /// Fetch, import, list and remove images
    Image(image::ImageArgs),
    /// List and remove caches
    Cache(cache::CacheArgs),
    /// Run the service: AWS CodeBuild's API, a queue, builds
    Serve(serve::ServeArgs),
    /// Start, stop, repeat and list builds on the service
    Build(build::BuildArgs),
    /// Show who called what on the service, and check the records of it
    Audit(audit::AuditArgs),
    /// Explain what policies say about a call
    Iam(iam::IamArgs),
    /// Explain what the filters of a webhook say of a delivery
    Webhook(webhook::WebhookArgs),
    /// Save the data directory of a service, which may be in use
    Backup(backup::BackupArgs),
    /// Bring a backup back into a new data directory
    Restore(backup::RestoreArgs),
    /// Print a link that signs in to the web console, once
    Console(console::ConsoleArgs),
    /// Print the variables that AWS clients need to use the service: eval "$(kiln env)"
    Env(configure::ConfigureArgs),
    /// Add a profile 'kiln' to the AWS CLI's files
    Configure(configure::ConfigureArgs),
    /// Certificates for the service
    Tls(tls::TlsArgs),
    /// Say what this machine can and cannot do for builds, and why
    Doctor(doctor::DoctorArgs),
    /// Print the version
    Version,
    #[command(hide = true)]
    Runner(runner::RunnerArgs),
    /// Fetches a git source for a runner: not for people
    #[command(hide = true)]
    Fetch,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("kiln: {e:#}");
            ExitCode::from(exit::of_error(&e))
        }
    }
}

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let app = || App::new(cli.data.as_deref());
    match cli.command {
        Command::Run(args) => run::run(*args, &app()?),
        Command::Debug(args) => debug::run(&args, &app()?),
        Command::Lint(args) => lint::run(&args, &app()?),
        Command::Logs(args) => logs::run(&args, &app()?),
        Command::Image(args) => image::run(&args, &app()?),
        Command::Cache(args) => cache::run(&args, &app()?),
        Command::Doctor(args) => doctor::run(&args, &app()?),
        Command::Serve(args) => serve::run(&args, &app()?),
        Command::Build(args) => build::run(&args, &app()?),
        Command::Audit(args) => audit::run(&args, &app()?),
        Command::Iam(args) => iam::run(&args, &app()?),
        Command::Webhook(args) => webhook::run(&args, &app()?),
        Command::Backup(args) => backup::run(&args, &app()?),
        Command::Restore(args) => backup::restore(&args, &app()?),
        Command::Console(args) => console::run(&args, &app()?),
        Command::Env(args) => configure::env(&args, &app()?),
        Command::Configure(args) => configure::run(&args, &app()?),
        Command::Tls(args) => tls::run(&args, &app()?),
        Command::Version => {
            println!("kiln {}", env!("CARGO_PKG_VERSION"));
            Ok(ExitCode::SUCCESS)
        }
        Command::Runner(args) => Ok(runner::run(&args)),
        Command::Fetch => Ok(runner::fetch()),
    }
}

/// The environment variables, for `kiln --help`.
fn variables() -> String {
    let mut text = "Environment variables:\n".to_owned();
    for (name, meaning) in environment::VARIABLES {
        text.push_str(&format!("  {name:<28} {meaning}\n"));
    }
    text
}
