//! `kiln build`: builds on the service.

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use kiln_model::{
    BuildStatus,
    codebuild::{
        BatchGetBuildsInput, BatchGetBuildsOutput, Build, BuildArtifacts, EnvironmentVariable,
        ListBuildsForProjectInput, ListBuildsForProjectOutput, ListBuildsInput, ListBuildsOutput, RetryBuildInput,
        RetryBuildOutput, SourceType, StartBuildInput, StartBuildOutput, StopBuildInput, StopBuildOutput,
    },
    kiln::{DescribeQueueInput, DescribeQueueOutput, GetBuildArtifactInput},
};
use uuid::Uuid;

use crate::{
    app::App,
    client::{Client, Operation},
    exit::usage,
    terminal::{output::print, table, text},
};

mod follow;
mod source;

pub(crate) use follow::{Follow, follow};

/// Builds that `kiln build ls` shows.
const SHOWN: usize = 20;

/// `kiln build`.
#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    #[command(subcommand)]
    command: BuildCommand,
}

#[derive(Debug, Subcommand)]
enum BuildCommand {
    /// Start a build of a project, e.g. of the working tree
    Start(StartArgs),
    /// Stop a build
    Stop(IdArgs),
    /// Start a build again, with its own settings
    Retry(RetryArgs),
    /// List what runs, what waits and why, and the last builds
    Ls(LsArgs),
}

#[derive(Debug, Args)]
struct StartArgs {
    /// Name of the project
    project: String,

    /// Build this directory as it is, in place of the project's source (without .git; links and modes stay)
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,

    /// Send .git along too
    #[arg(long, requires = "source")]
    with_git: bool,

    /// Show the log, and end with the build and its result; Ctrl-C stops the build
    #[arg(long, short)]
    follow: bool,

    /// Set a variable of the build (may be repeated)
    #[arg(short = 'e', value_name = "NAME=VALUE")]
    env: Vec<String>,

    /// A buildspec in place of the project's: a file here
    #[arg(long, value_name = "FILE")]
    buildspec: Option<PathBuf>,

    /// Image in place of the project's
    #[arg(long, value_name = "REF")]
    image: Option<String>,

    /// Version of the project's source: a branch, tag, commit or object version
    #[arg(long, value_name = "VERSION", conflicts_with = "source")]
    source_version: Option<String>,

    /// Put the artifacts of a build that succeeded into this directory
    #[arg(long, value_name = "DIR", requires = "follow")]
    artifacts: Option<PathBuf>,

    /// Print events as JSON, one a line (docs/events.md)
    #[arg(long, requires = "follow")]
    json: bool,
}

#[derive(Debug, Args)]
struct IdArgs {
    /// Id of the build, PROJECT:UUID
    build: String,
}

#[derive(Debug, Args)]
struct RetryArgs {
    /// Id of the build, PROJECT:UUID
    build: String,

    /// Show the log, and end with the build and its result; Ctrl-C stops the build
    #[arg(long, short)]
    follow: bool,
}

#[derive(Debug, Args)]
struct LsArgs {
    /// Only builds of this project
    project: Option<String>,
}

/// True for what names a build of the service: `PROJECT:UUID`, or its ARN.
pub(crate) fn names_service_build(id: &str) -> bool {
    id.contains(':') && !id.starts_with("local:")
}

/// Runs `kiln build …`.
pub(crate) fn run(args: &BuildArgs, app: &App) -> anyhow::Result<ExitCode> {
    let client = Client::new(app)?;
    match &args.command {
        BuildCommand::Start(args) => start(args, &client, app),
        BuildCommand::Stop(args) => {
            let build = stop(&client, &args.build)?;
            println!("{} {}", build.id, build.build_status.unwrap_or(BuildStatus::InProgress));
            Ok(ExitCode::SUCCESS)
        }
        BuildCommand::Retry(args) => {
            let input = RetryBuildInput { id: Some(args.build.clone()), idempotency_token: Some(token()) };
            let output: RetryBuildOutput = client.call(Operation::CodeBuild("RetryBuild"), &input)?;
            started(&client, app, &output.build, args.follow, false, None)
        }
        BuildCommand::Ls(args) => ls(args, &client),
    }
}

/// So that a request that is sent again starts no second build.
fn token() -> String {
    Uuid::new_v4().to_string()
}

/// Stops a build.
pub(crate) fn stop(client: &Client, id: &str) -> anyhow::Result<Build> {
    let output: StopBuildOutput =
        client.call(Operation::CodeBuild("StopBuild"), &StopBuildInput { id: id.to_owned() })?;
    Ok(output.build)
}

fn start(args: &StartArgs, client: &Client, app: &App) -> anyhow::Result<ExitCode> {
    let mut input = StartBuildInput { project_name: args.project.clone(), ..Default::default() };
    let variables: Vec<_> = args.env.iter().map(|text| variable(text)).collect::<anyhow::Result<_>>()?;
    input.environment_variables_override = (!variables.is_empty()).then_some(variables);
    input.image_override = args.image.clone();
    input.source_version = args.source_version.clone();
    input.idempotency_token = Some(token());
    if let Some(path) = &args.buildspec {
        match fs::read_to_string(path) {
            Ok(text) => input.buildspec_override = Some(text),
            Err(e) => usage!("--buildspec {}: {e}", path.display()),
        }
    }
    if let Some(dir) = &args.source {
        let packed = source::pack(dir, args.with_git)?;
        for skipped in &packed.skipped {
            eprintln!("kiln: left out: {skipped}");
        }
        let uploaded = client.upload(packed.file, packed.bytes, packed.sha256)?;
        input.source_type_override = Some(SourceType::S3);
        input.source_location_override = Some(uploaded.location);
        input.source_version = uploaded.version_id;
    }
    let output: StartBuildOutput = client.call(Operation::CodeBuild("StartBuild"), &input)?;
    started(client, app, &output.build, args.follow, args.json, args.artifacts.as_deref())
}

fn variable(text: &str) -> anyhow::Result<EnvironmentVariable> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => {
            Ok(EnvironmentVariable { name: name.to_owned(), value: value.to_owned(), r#type: None })
        }
        _ => usage!("-e {text}: write NAME=VALUE"),
    }
}

fn started(
    client: &Client,
    app: &App,
    build: &Build,
    follow_it: bool,
    json: bool,
    artifacts: Option<&std::path::Path>,
) -> anyhow::Result<ExitCode> {
    if !follow_it {
        println!("{}", build.id);
        eprintln!("kiln: follow it: {} logs -f {}", app.command, build.id);
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("kiln: build {}", build.id);
    let (code, ended) = follow(client, app, &build.id, &Follow { json, stops: true, ..Follow::default() })?;
    if let Some(dir) = artifacts
        && ended.build_status == Some(BuildStatus::Succeeded)
    {
        fetch_artifacts(client, &ended, dir)?;
    }
    Ok(code)
}

/// The artifacts of a build, each as its ZIP file.
fn fetch_artifacts(client: &Client, build: &Build, dir: &std::path::Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let stored = |artifact: &&BuildArtifacts| artifact.location.as_deref().is_some_and(|l| !l.is_empty());
    for artifact in [&build.artifacts].into_iter().chain(&build.secondary_artifacts).filter(stored) {
        let name = artifact.artifact_identifier.as_deref().unwrap_or("artifacts");
        let path = dir.join(format!("{name}.zip"));
        let input = GetBuildArtifactInput {
            id: build.id.clone(),
            artifact_identifier: artifact.artifact_identifier.clone(),
            path: None,
        };
        let write = || format!("cannot write {}", path.display());
        let new = dir.join(format!(".{name}.zip.new"));
        let mut file = fs::File::create(&new).with_context(write)?;
        let mut written: Result<(), std::io::Error> = Ok(());
        let got = client.stream(Operation::Kiln("GetBuildArtifact"), &input, |bytes| {
            written = std::io::Write::write_all(&mut file, bytes);
            written.is_ok()
        });
        let done = got.map_err(anyhow::Error::from).and(written.with_context(write));
        if let Err(e) = done.and_then(|()| fs::rename(&new, &path).with_context(write)) {
            // The half of it is of no use; why it is one says more than that it cannot be removed.
            fs::remove_file(&new).ok();
            return Err(e);
        }
        eprintln!("kiln: {}", path.display());
    }
    Ok(())
}

/// A build as it is now.
pub(crate) fn get(client: &Client, id: &str) -> anyhow::Result<Build> {
    let mut found = get_all(client, vec![id.to_owned()])?;
    match found.pop() {
        Some(build) => Ok(build),
        None => usage!("there is no build {id} on the service at {}", client.access.endpoint.url()),
    }
}

fn get_all(client: &Client, ids: Vec<String>) -> anyhow::Result<Vec<Build>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let output: BatchGetBuildsOutput =
        client.call(Operation::CodeBuild("BatchGetBuilds"), &BatchGetBuildsInput { ids })?;
    Ok(output.builds)
}

fn ls(args: &LsArgs, client: &Client) -> anyhow::Result<ExitCode> {
    let queue: DescribeQueueOutput =
        client.call(Operation::Kiln("DescribeQueue"), &DescribeQueueInput { max_results: Some(100) })?;
    let ids = match &args.project {
        Some(project) => {
            let input = ListBuildsForProjectInput { project_name: project.clone(), ..Default::default() };
            let output: ListBuildsForProjectOutput =
                client.call(Operation::CodeBuild("ListBuildsForProject"), &input)?;
            output.ids
        }
        None => {
            let output: ListBuildsOutput =
                client.call(Operation::CodeBuild("ListBuilds"), &ListBuildsInput::default())?;
            output.ids
        }
    };
    let mut builds = get_all(client, ids.into_iter().take(SHOWN).collect())?;
    builds.sort_by_key(|build| std::cmp::Reverse(build.start_time));
    let mut rows = vec![["BUILD", "NUMBER", "STATUS", "PHASE", "TIME", "WHY IT WAITS"].map(str::to_owned)];
    for build in &builds {
        let why = queue.queued.iter().find(|queued| queued.id == build.id);
        let took = build.start_time.zip(build.end_time).map(|(start, end)| {
            let millis = end.millis().saturating_sub(start.millis()).max(0).unsigned_abs();
            text::duration(millis)
        });
        rows.push([
            build.id.clone(),
            build.build_number.map(|n| n.to_string()).unwrap_or_default(),
            build.build_status.map(|s| s.to_string()).unwrap_or_default(),
            build.current_phase.map(|p| p.to_string()).unwrap_or_default(),
            took.unwrap_or_default(),
            why.map(|queued| queued.queue.reason.clone()).unwrap_or_default(),
        ]);
    }
    let capacity = &queue.capacity;
    let mut out = table::aligned(&rows, &[1, 4]);
    out.push_str(&format!(
        "\n{} of {} builds run, {} wait; {} of {} of memory reserved\n",
        capacity.running_builds,
        capacity.max_builds,
        capacity.queued_builds,
        text::bytes(capacity.reserved_memory_bytes),
        text::bytes(capacity.memory_bytes)
    ));
    print(out.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
