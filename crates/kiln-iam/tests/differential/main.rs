//! Fault test 24: Kiln's decisions and those of an independent engine, over random policies and requests.
//!
//! The oracle runs as a process of its own, is installed when the test runs (`scripts/aws-clients oracle`), and nothing
//! of it is part of Kiln. The test fails when Kiln allows what the oracle denies, and when Kiln denies what the oracle
//! allows for a reason that is not listed in [`differences`]. 2,000 cases; 100,000 with `KILN_SOAK=1`. `KILN_SEED`
//! chooses others than those of every day.

#![allow(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

mod case;
mod differences;
mod generate;
mod words;

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, BufWriter, Write},
    path::Path,
    process::{Command, Stdio},
};

use kiln_iam::policy::{Decision, Reason};
use serde::Deserialize;

use crate::case::Case;

/// What the oracle answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    overall_result: Option<String>,
    errors: Option<serde_json::Value>,
    /// Condition keys that it says the action does not have.
    ignored: Vec<String>,
}

/// Where the oracle is; says why the test is skipped where it cannot be had.
fn oracle() -> Option<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/aws-clients");
    let output = Command::new(script).arg("oracle").output().unwrap();
    assert!(output.status.success(), "scripts/aws-clients: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let place = text.trim_end().strip_prefix("oracle ").unwrap();
    match place.strip_prefix("skipped: ") {
        None => Some(place.to_owned()),
        Some(why) => {
            println!("skipped: {why}");
            None
        }
    }
}

/// Has the oracle judge the cases.
fn judged(directory: &str, cases: &[Case]) -> Vec<Answer> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential/oracle.mjs");
    let mut child =
        Command::new("node").arg(script).arg(directory).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut input, output) = (BufWriter::new(child.stdin.take().unwrap()), child.stdout.take().unwrap());
    let answers = std::thread::scope(|scope| {
        scope.spawn(move || {
            for case in cases {
                writeln!(input, "{}", case.for_oracle()).unwrap();
            }
        });
        BufReader::new(output)
            .lines()
            .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
            .collect::<Vec<Answer>>()
    });
    assert!(child.wait().unwrap().success());
    assert_eq!(answers.len(), cases.len());
    answers
}

#[test]
fn decisions_are_those_of_the_oracle() {
    let Some(directory) = oracle() else { return };
    let soak = std::env::var_os("KILN_SOAK").is_some_and(|value| value == "1");
    let seed = std::env::var("KILN_SEED").ok().map_or(24, |seed| seed.parse().unwrap());
    let wanted = if soak { 100_000 } else { 2_000 };
    let mut generator = generate::Generator::new(seed);
    let (mut refused, mut agreed) = (0, BTreeMap::<&str, usize>::new());
    let mut explained = BTreeMap::<&str, usize>::new();
    let mut failures = Vec::new();
    let mut left = wanted;
    while left > 0 {
        let cases: Vec<Case> = (0..left.min(5_000)).map(|_| generator.case()).collect();
        left -= cases.len();
        for (case, answer) in cases.iter().zip(judged(&directory, &cases)) {
            let Some(theirs) = answer.overall_result.as_deref() else {
                refused += 1;
                assert!(refused * 100 < wanted, "the oracle refuses too many, at last: {:?}\n{case}", answer.errors);
                continue;
            };
            let case = case.without(&answer.ignored);
            let ours = case.decide();
            match (ours.is_allowed(), theirs == "Allowed") {
                (true, false) => {
                    failures.push(format!("Kiln allows, {ours:?}, what the oracle denies, {theirs}:\n{case}"));
                }
                (false, true) => match differences::reason(&case, &ours) {
                    Some(reason) => *explained.entry(reason).or_default() += 1,
                    None => failures.push(format!("Kiln denies, {ours:?}, what the oracle allows:\n{case}")),
                },
                (..) => *agreed.entry(outcome(&ours)).or_default() += 1,
            }
        }
    }
    println!(
        "{wanted} cases of seed {seed}; {refused} the oracle refused; agreed: {agreed:?}; denied by Kiln alone: {explained:?}"
    );
    let shown = failures.iter().take(3).map(String::as_str).collect::<Vec<_>>().join("\n\n");
    assert!(failures.is_empty(), "{} differences that are not listed:\n{shown}", failures.len());
    // A generator whose cases all end the same way would prove nothing.
    for outcome in ["allowed", "denied", "missing"] {
        assert!(agreed.get(outcome).is_some_and(|count| count * 20 > wanted), "too few are {outcome}: {agreed:?}");
    }
}

fn outcome(decision: &Decision) -> &'static str {
    match decision.reason {
        Reason::Allowed | Reason::Root => "allowed",
        Reason::Denied(_) => "denied",
        Reason::Missing(_) | Reason::Unreadable => "missing",
    }
}
