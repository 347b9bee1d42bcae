//! `kiln doctor`: what this machine can and cannot do, and why.

mod usage;

use std::{
    io::Write as _,
    process::ExitCode,
    time::{Duration, SystemTime},
};

use kiln_engine::{
    doctor::{Check, Examination, Report, Status},
    network::NetworkConfig,
};

use self::usage::Usage;
use crate::{app::App, runs::Runs, terminal::text};

/// Options of `kiln doctor`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = HELP)]
pub(crate) struct DoctorArgs {
    /// Remove what builds left whose runner was killed
    #[arg(long)]
    fix: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

const HELP: &str = "Every check does the thing itself and removes what it made. Exit status: 0 when builds can run, 1 when \
                    they cannot.\n\nWith --json: {\"version\": 1, \"ok\": BOOL, \"checks\": [{\"id\": NAME, \"title\": TEXT, \
                    \"status\": \"ok\" | \"warning\" | \"problem\", \"found\": TEXT, \"fix\": TEXT or null}], \"disk\": {\"parts\": […], \"buckets\": […]}}. Names of checks \
                    do not change between versions; new ones may be added.";

/// Runs the checks and prints what they found.
pub(crate) fn run(args: &DoctorArgs, app: &App) -> anyhow::Result<ExitCode> {
    let examination = Examination {
        data: app.data.clone(),
        now: SystemTime::UNIX_EPOCH + Duration::from_nanos(app.clock.wall_ns()),
        fix: args.fix,
        network: NetworkConfig::default(),
    };
    if args.fix {
        // What is left of local builds beside what an engine leaves: their directories, a record of how far they got.
        Runs::new(app.data.clone()).sweep()?;
    }
    let report = examination.run();
    let usage = Usage::of(&app.data);
    let shown = if args.json {
        let mut json = serde_json::to_value(&report)?;
        if let Some(object) = json.as_object_mut() {
            object.insert("disk".to_owned(), serde_json::to_value(&usage)?);
        }
        serde_json::to_string_pretty(&json)? + "\n"
    } else {
        table(&report, &Marks::of(app.environment.utf8)) + &usage.lines()
    };
    std::io::stdout().write_all(shown.as_bytes())?;
    Ok(ExitCode::from(u8::from(!report.ok)))
}

/// How a status is marked.
struct Marks {
    ok: &'static str,
    problem: &'static str,
    arrow: &'static str,
}

impl Marks {
    /// `utf8`: what the terminal shows.
    fn of(utf8: bool) -> Self {
        if utf8 {
            Self { ok: "✓", problem: "✗", arrow: "→" }
        } else {
            Self { ok: "+", problem: "x", arrow: "->" }
        }
    }

    fn mark(&self, status: Status) -> &'static str {
        match status {
            Status::Ok => self.ok,
            Status::Warning => "!",
            Status::Problem => self.problem,
        }
    }
}

fn table(report: &Report, marks: &Marks) -> String {
    let width = report.checks.iter().map(|check| text::width(check.title)).max().unwrap_or(0);
    let mut lines = String::new();
    for check in &report.checks {
        let Check { title, status, found, fix, .. } = check;
        let pad = " ".repeat(width.saturating_sub(text::width(title)));
        // Some of it was said by other programs.
        lines += &format!("{} {title}{pad}  {}\n", marks.mark(*status), text::one_line(found));
        if let Some(fix) = fix {
            lines += &format!("  {}  {} {fix}\n", " ".repeat(width), marks.arrow);
        }
    }
    let count = |status| report.checks.iter().filter(|check| check.status == status).count() as u64;
    let (problems, warnings) = (count(Status::Problem), count(Status::Warning));
    lines += &match (problems, warnings) {
        (0, 0) => "\nBuilds can run on this machine.\n".to_owned(),
        (0, _) => format!("\nBuilds can run on this machine; {}.\n", text::count(warnings, "warning")),
        _ => format!("\nBuilds cannot run on this machine: {}.\n", text::count(problems, "problem")),
    };
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(status: Status) -> Report {
        let check = |id, title, status, fix: Option<&str>| Check {
            id,
            title,
            status,
            found: "found\nso".to_owned(),
            fix: fix.map(str::to_owned),
        };
        let checks = vec![check("a", "a", Status::Ok, None), check("bc", "bc", status, Some("do this"))];
        Report { version: 1, ok: status != Status::Problem, checks }
    }

    #[test]
    fn the_table_is_aligned_and_ends_with_a_sentence() {
        let shown = table(&report(Status::Problem), &Marks::of(true));
        assert_eq!(
            shown,
            "✓ a   found so\n✗ bc  found so\n      → do this\n\nBuilds cannot run on this machine: 1 problem.\n"
        );
        let shown = table(&report(Status::Warning), &Marks::of(false));
        assert_eq!(
            shown,
            "+ a   found so\n! bc  found so\n      -> do this\n\nBuilds can run on this machine; 1 warning.\n"
        );
    }
}
