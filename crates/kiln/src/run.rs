//! `kiln run`: one build, now, in front of the person who asked for it.
//!
//! The build itself happens in a process of its own, the runner; this one writes its job, follows its journal, shows
//! it, and afterwards decides what stays.

use std::{
    fs,
    path::Path,
    process::ExitCode,
    thread::{self, JoinHandle},
};

use anyhow::Context as _;
use kiln_model::{BuildId, BuildStatus};
use kiln_runner::job::{BuildspecSource, DISK_DIR, JOURNAL_FILE, Job, Keep, Resume};
use uuid::Uuid;

use crate::{
    app::App,
    builds::BuildDir,
    exit::{self, usage},
    runs::{self, FailedCommand, Record, Runs},
    terminal::{
        self,
        show::{self, About, Disk},
        style::Painter,
        text,
        view::{Gone, Show, View},
    },
};

mod env_file;
mod options;
pub(crate) mod runner;
mod watch;

pub(crate) use options::RunArgs;
use options::{Checked, Identity};
use runner::Runner;
use watch::Watched;
pub(crate) use watch::died;

/// A failed build whose file system goes on.
struct Old {
    build: BuildDir,
    record: Record,
    job: Job,
    resume: Resume,
}

/// Runs a build.
pub(crate) fn run(mut args: RunArgs, app: &App) -> anyhow::Result<ExitCode> {
    args.settle()?;
    let runs = Runs::new(app.data.clone());
    let old = match &args.resume {
        Some(id) => Some(resume(&runs, &args, id)?),
        None => None,
    };
    let dir = match &old {
        Some(old) if args.dir.is_none() => old.record.dir.clone(),
        _ => args.source_dir()?,
    };
    let checked = args.check(dir, &app.environment)?;
    let budget = app.keep_budget()?;
    sweep(&runs);

    let uuid = Uuid::new_v4().to_string();
    let build = runs.create(&uuid)?;
    match prepare(&args, app, &runs, &build, checked, old, budget) {
        Ok((job, runner)) => follow(&args, app, &runs, build, &job, runner, budget),
        Err(e) => {
            // Nothing ran; what was begun for it goes away again.
            build.remove().ok();
            fs::remove_dir_all(runs.run_dir(&uuid)).ok();
            Err(e)
        }
    }
}

/// Cleans up after builds whose processes are all dead. What cannot be cleaned up is no reason not to build.
fn sweep(runs: &Runs) {
    if let Err(e) = runs.sweep() {
        eprintln!("kiln: warning: an earlier build could not be cleaned up: {e:#} (see `kiln doctor`)");
    }
}

/// Writes the job and starts the runner.
fn prepare(
    args: &RunArgs,
    app: &App,
    runs: &Runs,
    build: &BuildDir,
    checked: Checked,
    old: Option<Old>,
    budget: u64,
) -> anyhow::Result<(Job, Runner)> {
    let id = BuildId::new(runs::PROJECT, build.uuid()).context("a new build's id")?;
    let number = runs.count(&checked.dir, build.uuid())?;
    let identity = Identity { id, number, submitted_ns: app.clock.wall_ns() };
    let Some(Old { build: old_build, job: old_job, resume, .. }) = old else {
        let mut job = args.job(checked, identity, &app.data, &app.environment);
        if budget == 0 {
            job.keep = Keep::Never;
        }
        job.write(build.path())?;
        let runner = Runner::start(build, app.environment.runner.as_deref())?;
        return Ok((job, runner));
    };
    let mut job = args.resumed_job(old_job, checked, identity, &app.environment)?;
    job.resume = Some(resume);
    job.write(build.path())?;
    // From here on nobody else can go on with it; if the runner does not start, it goes back.
    let (from, to) = (old_build.path().join(DISK_DIR), build.path().join(DISK_DIR));
    fs::rename(&from, &to).with_context(|| format!("cannot take over the file system in {}", from.display()))?;
    match Runner::start(build, app.environment.runner.as_deref()) {
        Ok(runner) => {
            let now_in = format!("build {} went on with it", runs::short(build.uuid()));
            runs.drop_disk(old_build, &now_in)?;
            Ok((job, runner))
        }
        Err(e) => {
            fs::rename(&to, &from).ok();
            Err(e)
        }
    }
}

/// Finds the build that `--resume` means, and where it goes on.
fn resume(runs: &Runs, args: &RunArgs, id: &str) -> anyhow::Result<Old> {
    let record = if id.is_empty() {
        let dir = args.source_dir()?;
        let failed = runs.of(&dir)?.into_iter().find(|r| r.status != BuildStatus::Succeeded);
        match failed {
            Some(record) => record,
            None => usage!("--resume: no failed build of {} is known", dir.display()),
        }
    } else {
        runs.record(&runs.find(id)?)?
    };
    let short = record.short().to_owned();
    if record.status == BuildStatus::Succeeded {
        usage!("--resume: build {short} succeeded; there is nothing to go on with");
    }
    let Some(phase) = record.phase.filter(|p| show::resumable(*p)) else {
        let phase = record.phase.map_or_else(String::new, |p| format!(" in {p}"));
        usage!("--resume: build {short} ended{phase}, before its first command: run it anew, without --resume");
    };
    let build = runs.take_kept(&record)?;
    let job = Job::read(build.path())?;
    let resume = Resume { of: job.id.clone(), phase, command: args.from_command.map_or(0, |n| n - 1) };
    Ok(Old { build, record, job, resume })
}

/// Shows the build until it is over; then decides what stays.
fn follow(
    args: &RunArgs,
    app: &App,
    runs: &Runs,
    build: BuildDir,
    job: &Job,
    runner: Runner,
    budget: u64,
) -> anyhow::Result<ExitCode> {
    let journal = build.path().join(JOURNAL_FILE);
    let what = match args {
        RunArgs { json: true, .. } => Show::Json,
        RunArgs { quiet: true, .. } => Show::Nothing,
        RunArgs { fold: true, .. } => Show::Folded,
        _ => Show::Log,
    };
    // Old runs go while the build runs, not while somebody waits for its end.
    let pruning = {
        let (runs, dir) = (runs.clone(), job.source.dir.clone());
        move || runs.prune(&dir)
    };
    let pruning = if runs.has_surplus(&job.source.dir) { Some(thread::spawn(pruning)) } else { None };
    let mut view = View::new(what, args.raw, true, &journal, app.streams, app.clock.clone());
    let watched = watch::watch(runner, &journal, &mut view)?;
    let (summary, gone) = view.finish();
    if let Watched { given_up: Some(pid), .. } = watched {
        eprintln!("kiln: the build's runner (process {pid}) is left to clean up by itself");
        return Ok(ExitCode::from(exit::STOPPED));
    }

    let mut record = Record::new(build.uuid(), job.number, &job.source.dir, &job.image, job.submitted_ns);
    record.ended_ns = app.clock.wall_ns().max(job.submitted_ns);
    let uuid = build.uuid().to_owned();
    let run_dir = runs.run_dir(&uuid);
    let mut status = match &summary.ended {
        Some(ended) => {
            record.status = ended.status;
            record.phase = ended.phase;
            record.failed_command = summary.failure().map(|failure| FailedCommand {
                phase: failure.started.phase,
                section: failure.started.section,
                index: failure.started.index,
                line: failure.started.line,
                text: failure.started.text.clone(),
            });
            exit::of_build(ended)
        }
        // Stopped before the runner had begun: nothing has happened.
        None if watched.stopped && !journal.exists() => {
            record.status = BuildStatus::Stopped;
            exit::STOPPED
        }
        None => {
            eprint!("{}", died(&build, &watch::how_it_died(&watched)));
            eprintln!("kiln: what it had printed until then: {} logs {}", app.command, runs::short(&uuid));
            exit::FAULT
        }
    };
    let bytes = match &summary.ended {
        Some(ended) if ended.kept && runs.has_disk(&uuid) => Some(build.disk_bytes()),
        _ => None,
    };
    record.kept_bytes = bytes;
    record.write(&run_dir)?;
    build.keep_papers(&run_dir)?;
    let mut disk = Disk::Gone;
    let mut notes = Vec::new();
    if let Some(bytes) = bytes {
        disk = Disk::Kept(bytes);
        drop(build); // lets go of its lock: it may be the one that is too large
        for dropped in runs.keep_within(budget)? {
            if dropped.uuid == uuid {
                disk = Disk::OverBudget(dropped.bytes);
            } else {
                notes.push(format!(
                    "kiln: the kept file system of build {} ({}) was dropped to stay within the budget of {}",
                    runs::short(&dropped.uuid),
                    text::bytes(dropped.bytes),
                    text::bytes(budget)
                ));
            }
        }
    } else {
        if summary.ended.is_none() {
            build.clear()?;
        }
        build.remove()?;
    }
    if !args.json && summary.ended.is_some() {
        let dir = args.dir.as_deref().map(Path::to_string_lossy).unwrap_or_default();
        let about = About {
            id: &uuid,
            number: job.number,
            buildspec: buildspec_name(job),
            disk,
            kiln: &app.command,
            dir: &if dir.is_empty() { dir } else { text::quoted(&dir) },
            lint: &args.buildspec_file().map_or_else(String::new, |file| text::quoted(&file).into_owned()),
            columns: terminal::columns(),
            painter: Painter { colour: app.streams.err_colour() },
        };
        eprint!("{}", show::summary(&summary, &about));
    }
    for note in notes {
        eprintln!("{note}");
    }
    if let Some(Gone::Failed(e)) = gone {
        eprintln!("kiln: the log could not be written to standard output: {e}");
        status = exit::FAULT;
    }
    if let Some(Ok(Err(e))) = pruning.map(JoinHandle::join) {
        eprintln!("kiln: warning: old runs could not be removed: {e:#}");
    }
    Ok(ExitCode::from(status))
}

fn buildspec_name(job: &Job) -> &str {
    match &job.buildspec {
        BuildspecSource::Default => "buildspec.yml",
        BuildspecSource::InSource(path) => path,
        BuildspecSource::Inline { name, .. } => name,
    }
}
