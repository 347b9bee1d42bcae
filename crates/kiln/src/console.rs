//! `kiln console`: a link that signs in to the web console.

use std::process::ExitCode;

use clap::Args;
use kiln_model::kiln::{CreateConsoleLinkInput, CreateConsoleLinkOutput};

use crate::{
    app::App,
    client::{Client, Operation, access::Listen},
    exit::usage,
    terminal::output::print,
};

/// What `kiln console` is told.
#[derive(Debug, Args)]
pub(crate) struct ConsoleArgs {
    /// Minutes that whoever opens the link stays signed in, 15 to 720 [default: 60 for the root, 720 for others]
    #[arg(long, value_name = "MINUTES")]
    duration: Option<u32>,

    #[command(flatten)]
    listen: Listen,
}

/// Prints a link. Whoever opens it first, within ten minutes, is signed in as the caller; then it is worth nothing.
pub(crate) fn run(args: &ConsoleArgs, app: &App) -> anyhow::Result<ExitCode> {
    if args.duration.is_some_and(|minutes| !(15..=720).contains(&minutes)) {
        usage!("--duration: from 15 to 720 minutes");
    }
    let client = Client::at(app, &args.listen)?;
    let input = CreateConsoleLinkInput { duration_seconds: args.duration.map(|minutes| i64::from(minutes) * 60) };
    let made: CreateConsoleLinkOutput = client.call(Operation::Kiln("CreateConsoleLink"), &input)?;
    // Browsers keep what stands behind the '#' to themselves: it is in no request line, log or referrer.
    print(format!("{}/-/#link={}\n", client.access.endpoint.url(), made.secret.expose()).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
