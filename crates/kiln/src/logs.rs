//! `kiln logs`: the log of a build again, or while it runs.

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::Args;
use kiln_runner::follow::Follower;
use kiln_wire::{event::Event, journal::Body};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::{
    app::App,
    build,
    client::Client,
    exit::usage,
    runs::Runs,
    terminal::view::{Gone, Show, View},
};

mod search;

/// How often it is looked whether the build still lives when nothing comes.
const LOOK: Duration = Duration::from_secs(1);

/// What `kiln logs` is told.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Id of the build, or the first characters of it; PROJECT:UUID for a build of the service
    build: String,

    /// Go on until the build is over
    #[arg(long, short)]
    follow: bool,

    /// Print events as JSON, one a line (docs/events.md)
    #[arg(long, conflicts_with = "raw")]
    json: bool,

    /// Pass the build's output to a terminal as it is, with every control sequence
    #[arg(long)]
    raw: bool,

    #[command(flatten)]
    search: search::SearchArgs,
}

/// Prints the log of a build.
pub(crate) fn run(args: &LogsArgs, app: &App) -> anyhow::Result<ExitCode> {
    if build::names_service_build(&args.build) {
        if let Some(text) = &args.search.search {
            return search::of_service(&args.search, text, &args.build, args.raw, app);
        }
        let how = build::Follow { json: args.json, raw: args.raw, stops: false, on: args.follow };
        build::follow(&Client::new(app)?, app, &args.build, &how)?;
        return Ok(ExitCode::SUCCESS);
    }
    let runs = Runs::new(app.data.clone());
    let uuid = runs.find(&args.build)?;
    let Some(journal) = runs.journal(&uuid) else {
        usage!("build {} has no log: it ended before its runner began", args.build)
    };
    if let Some(text) = &args.search.search {
        return search::of_journal(&args.search, text, &journal, args.raw, app);
    }
    let show = if args.json { Show::Json } else { Show::Log };
    let mut view = View::new(show, args.raw, args.follow, &journal, app.streams, app.clock.clone());
    let mut follower = Follower::open(&journal)?;
    let mut ended = false;
    loop {
        // Looked at before reading: what a writer wrote that is gone by then is read in any case.
        let alive = runs.in_use(&uuid);
        follower.read(|record| {
            ended = ended || matches!(&record.body, Body::Event(e) if matches!(**e, Event::BuildEnded(_)));
            view.record(&record);
            view.gone().is_none()
        })?;
        view.flush();
        if ended || !alive || !args.follow || view.gone().is_some() {
            break;
        }
        let timeout = view.due_in().map_or(LOOK, |due| due.min(LOOK));
        let timeout = Timespec::try_from(timeout).ok();
        let mut changes: Vec<PollFd<'_>> =
            follower.changes().into_iter().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        match poll(&mut changes, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(e).context("cannot wait for the build"),
        }
    }
    match view.finish() {
        (_, Some(Gone::Failed(e))) => Err(e).context("cannot write the log"),
        _ => Ok(ExitCode::SUCCESS),
    }
}
