//! `kiln audit`: who called what, and whether the records of it are as they were written.

use std::{io::Write as _, path::Path, process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use kiln_model::{
    Timestamp,
    kiln::{
        AuditEvent, AuditProblem, LookupEventsInput, LookupEventsOutput, MOST_EVENTS, VerifyAuditLogInput,
        VerifyAuditLogOutput,
    },
};
use kiln_store::{AuditLog, DataLock, Keys, LockError, Metadata, audit::Wanted};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    app::App,
    client::{Client, Operation, access::Listen},
    exit::{self, usage},
    terminal::{table::aligned, text},
};

/// Records that are shown where nobody says how many.
const SHOWN: u64 = 50;

/// What `kiln audit` is told.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    command: Option<AuditCommand>,

    #[command(flatten)]
    show: ShowArgs,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Check that no record was changed, removed or put in; says the first one that is not as it was written
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
struct ShowArgs {
    /// From that time on: 30m, 12h, 7d ago, or a time such as 2026-11-26T17:00:00Z
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,

    /// Up to that time
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,

    /// Calls of that user (name or ARN), role (name or ARN) or session (ROLE/SESSION)
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// Calls of that operation, e.g. StartBuild
    #[arg(long, value_name = "OPERATION")]
    event: Option<String>,

    /// Calls about that resource
    #[arg(long, value_name = "ARN")]
    resource: Option<String>,

    /// Calls that were signed with that access key
    #[arg(long, value_name = "ID")]
    access_key: Option<String>,

    /// Only calls that were refused
    #[arg(long)]
    refused: bool,

    /// Only calls that could change something
    #[arg(long)]
    changes: bool,

    /// Records to show, the newest first; 0: all
    #[arg(long, short = 'n', default_value_t = SHOWN)]
    limit: u64,

    /// Print the records as JSON, one a line (docs/audit.md)
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    listen: Listen,
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// An end of the log that this command printed before: the log must still have that record
    #[arg(long, value_name = "NUMBER:CHAIN")]
    expect: Option<String>,

    #[command(flatten)]
    listen: Listen,
}

/// Runs `kiln audit …`.
pub(crate) fn run(args: &AuditArgs, app: &App) -> anyhow::Result<ExitCode> {
    match &args.command {
        Some(AuditCommand::Verify(args)) => verify(args, app),
        None => show(&args.show, app),
    }
}

fn show(args: &ShowArgs, app: &App) -> anyhow::Result<ExitCode> {
    let now_ms = i64::try_from(app.clock.wall_ns() / 1_000_000).unwrap_or(i64::MAX);
    let time = |option: &str, text: &Option<String>| -> anyhow::Result<Option<Timestamp>> {
        match text.as_deref().map(|text| when(text, now_ms)) {
            Some(None) => usage!(
                "--{option} {}: write 30m, 12h, 7d, or 2026-11-26T17:00:00Z",
                text.as_deref().unwrap_or_default()
            ),
            Some(Some(time)) => Ok(Some(time)),
            None => Ok(None),
        }
    };
    let mut input = LookupEventsInput {
        start_time: time("since", &args.since)?,
        end_time: time("until", &args.until)?,
        user_name: args.user.clone(),
        event_name: args.event.clone(),
        resource: args.resource.clone(),
        access_key_id: args.access_key.clone(),
        refused: args.refused.then_some(true),
        read_only: args.changes.then_some(false),
        ..LookupEventsInput::default()
    };
    let client = Client::at(app, &args.listen)?;
    let mut left = if args.limit == 0 { u64::MAX } else { args.limit };
    let mut rows = vec![["TIME", "WHO", "FROM", "CALL", "RESOURCE", "RESULT"].map(str::to_owned)];
    let mut out = std::io::stdout().lock();
    while left > 0 {
        input.max_results = Some(u32::try_from(left).unwrap_or(u32::MAX).min(MOST_EVENTS));
        let page: LookupEventsOutput = client.call(Operation::Kiln("LookupEvents"), &input)?;
        left = left.saturating_sub(page.events.len() as u64);
        for event in &page.events {
            if args.json {
                serde_json::to_writer(&mut out, event).context("cannot write the records")?;
                out.write_all(b"\n").context("cannot write the records")?;
            } else {
                rows.push(row(event));
            }
        }
        input.next_token = page.next_token;
        if input.next_token.is_none() {
            break;
        }
    }
    if !args.json {
        out.write_all(aligned(&rows, &[]).as_bytes()).context("cannot write the records")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A time: ago, or as it stands in records.
fn when(text: &str, now_ms: i64) -> Option<Timestamp> {
    const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3_600), ('d', 86_400)];
    for (unit, seconds) in UNITS {
        if let Some(number) = text.strip_suffix(unit)
            && let Ok(number) = number.parse::<u64>()
        {
            let ago = Duration::from_secs(number.checked_mul(seconds)?).as_millis();
            return Some(Timestamp::from_millis(now_ms.saturating_sub(i64::try_from(ago).ok()?)));
        }
    }
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some(Timestamp::from_millis(i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()?))
}

fn row(event: &AuditEvent) -> [String; 6] {
    let who = event.user_identity.as_ref();
    let local = |arn: &str| arn.splitn(6, ':').nth(5).unwrap_or(arn).to_owned();
    let name = who.map(|who| match (&who.arn, &who.access_key_id) {
        (Some(arn), _) => local(arn).trim_start_matches("assumed-role/").trim_start_matches("user/").to_owned(),
        (None, Some(key)) => format!("? {key}"),
        (None, None) => "?".to_owned(),
    });
    let service = event.event_source.split('.').next().unwrap_or_default();
    let resources = match event.resources.as_slice() {
        [] => String::new(),
        [one] => local(&one.arn),
        [first, rest @ ..] => format!("{} and {} more", local(&first.arn), rest.len()),
    };
    let result = match (&event.error_code, &event.service_event_details) {
        (Some(code), _) => code.clone(),
        (None, Some(details)) => details.to_string(),
        (None, None) => "ok".to_owned(),
    };
    let seconds = event.event_time.get(..19).unwrap_or(&event.event_time).replace('T', " ");
    let cells = [
        seconds,
        name.unwrap_or_else(|| "kiln".to_owned()),
        event.source_ip_address.clone().unwrap_or_default(),
        format!("{service}:{}", event.event_name),
        resources,
        result,
    ];
    // Names, and what clients say of themselves, come from outside.
    cells.map(|cell| text::one_line(&cell))
}

fn verify(args: &VerifyArgs, app: &App) -> anyhow::Result<ExitCode> {
    let wanted = match args.expect.as_deref().map(str::parse::<Wanted>) {
        Some(Err(what)) => usage!("--expect: {what}"),
        Some(Ok(wanted)) => Some(wanted),
        None => None,
    };
    let found = match verify_here(&app.data, wanted.as_ref())? {
        Some(found) => found,
        None => {
            let input = VerifyAuditLogInput { expected: args.expect.clone() };
            Client::at(app, &args.listen)?.call(Operation::Kiln("VerifyAuditLog"), &input)?
        }
    };
    let VerifyAuditLogOutput { records, first, last, end, problem } = found;
    let Some(problem) = problem else {
        println!("{} as written, {first} to {last}", text::count(records, "record"));
        println!("end {end}");
        return Ok(ExitCode::SUCCESS);
    };
    let file = problem.file.map(|file| format!(" ({file})")).unwrap_or_default();
    eprintln!("kiln: record {}: {}{file}", problem.sequence, problem.what);
    eprintln!("kiln: {} before it as written", text::count(records, "record"));
    Ok(ExitCode::from(exit::FAILED))
}

/// Reads the log of a data directory that no service uses; `None`: one does, or it is not on this machine.
fn verify_here(data: &Path, wanted: Option<&Wanted>) -> anyhow::Result<Option<VerifyAuditLogOutput>> {
    if !data.join(kiln_store::metadata::DATABASE).exists() {
        return Ok(None);
    }
    let _lock = match DataLock::take(data) {
        Ok(lock) => lock,
        Err(LockError::Taken { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let metadata = Metadata::open(data)?;
    let keys = Keys::open(&data.join("keys"), &metadata, 0).context("the encryption keys cannot be used")?;
    let Some(found) = AuditLog::verify_closed(data, &keys, wanted)? else {
        usage!("there is no audit log in {}", data.display())
    };
    Ok(Some(VerifyAuditLogOutput {
        records: found.records,
        first: found.first,
        last: found.last,
        end: format!("{}:{}", found.last, found.chain),
        problem: found.problem.map(|problem| AuditProblem {
            sequence: problem.sequence,
            file: problem.file.map(|path| path.display().to_string()),
            what: problem.what,
        }),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_ago_or_exact() {
        let at = |text: &str| when(text, 100_000_000).map(Timestamp::millis);
        assert_eq!(at("30m"), Some(100_000_000 - 1_800_000));
        assert_eq!(at("1d"), Some(100_000_000 - 86_400_000));
        assert_eq!(at("1970-01-01T00:00:01.5Z"), Some(1_500));
        for wrong in ["", "m", "-1m", "tomorrow", "1w", "99999999999999999999d", "18446744073709551615d"] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_row_obeys_nobody() {
        let event = AuditEvent {
            event_time: "2026-11-26T12:31:55.000Z".to_owned(),
            event_source: "codebuild.amazonaws.com".to_owned(),
            event_name: "Start\u{1b}[31mBuild".to_owned(),
            ..AuditEvent::default()
        };
        let row = row(&event);
        assert_eq!(row[0], "2026-11-26 12:31:55");
        assert!(row.iter().all(|cell| !cell.contains('\u{1b}')), "{row:?}");
    }
}
