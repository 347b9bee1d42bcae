//! Cucumber's JSON, as cucumber-js (up to 7.3.2, `buildspec.md` 11.2), cucumber-jvm, cucumber-ruby, behave and godog write it.

use std::{fmt, io::Read};

use kiln_model::TestStatus;
use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer},
};

use super::{
    ReportProblem,
    cases::{Case, Cases, SEARCHED},
    cut,
    json::{self, each, text},
};

pub(super) fn read(input: &mut dyn Read, cases: &mut Cases) -> Result<(), ReportProblem> {
    json::read(input, Features(cases))
}

struct Features<'c>(&'c mut Cases);

impl<'de> DeserializeSeed<'de> for Features<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        each(deserializer, |feature: Feature| {
            let mut scenarios = feature.elements.cases;
            scenarios.for_each(|case| {
                // The feature's own members may stand behind its scenarios.
                case.prefix = cut(&feature.name, super::MAX_NAME);
                case.test_suite_name.clone_from(&case.prefix);
                if !feature.uri.is_empty() {
                    case.file = Some(cut(&feature.uri, super::MAX_NAME));
                }
            });
            self.0.absorb_own(scenarios);
        })
    }
}

#[derive(Deserialize)]
struct Feature {
    #[serde(default, deserialize_with = "text")]
    name: String,
    #[serde(default, deserialize_with = "text")]
    uri: String,
    #[serde(default, deserialize_with = "elements")]
    elements: Elements,
}

struct Elements {
    cases: Cases,
    /// Outcome of the background steps before the next scenario.
    background: Outcome,
}

impl Default for Elements {
    fn default() -> Self {
        Self { cases: Cases::new(""), background: Outcome::default() }
    }
}

fn elements<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Elements, D::Error> {
    let mut elements = Elements::default();
    each(deserializer, |element: Element| elements.add(element))?;
    Ok(elements)
}

impl Elements {
    fn add(&mut self, element: Element) {
        let mut outcome = std::mem::take(&mut self.background);
        for part in [element.before, element.steps, element.after] {
            outcome.join(part);
        }
        if element.kind == "background" {
            self.background = outcome;
            return;
        }
        self.cases.add(Case {
            name: element.name,
            status: Some(outcome.status()),
            duration_ns: outcome.duration_ns,
            details: outcome.message.clone(),
            message: outcome.message,
            line: element.line,
            ..Case::default()
        });
    }
}

#[derive(Deserialize)]
struct Element {
    #[serde(default, deserialize_with = "text")]
    name: String,
    #[serde(default, rename = "type", deserialize_with = "text")]
    kind: String,
    #[serde(default)]
    line: Option<u32>,
    #[serde(default, deserialize_with = "steps")]
    before: Outcome,
    #[serde(default, deserialize_with = "steps")]
    steps: Outcome,
    #[serde(default, deserialize_with = "steps")]
    after: Outcome,
}

/// What the steps of a scenario come to.
#[derive(Debug, Default)]
struct Outcome {
    passed: u64,
    skipped: u64,
    failed: u64,
    /// Undefined and ambiguous steps, which could not run.
    broken: u64,
    other: u64,
    duration_ns: u64,
    message: String,
}

impl Outcome {
    fn join(&mut self, other: Self) {
        self.passed += other.passed;
        self.skipped += other.skipped;
        self.failed += other.failed;
        self.broken += other.broken;
        self.other += other.other;
        self.duration_ns = self.duration_ns.saturating_add(other.duration_ns);
        if self.message.is_empty() {
            self.message = other.message;
        }
    }

    fn status(&self) -> TestStatus {
        match self {
            o if o.failed > 0 => TestStatus::Failed,
            o if o.broken > 0 => TestStatus::Error,
            o if o.skipped > 0 => TestStatus::Skipped,
            o if o.passed > 0 && o.other == 0 => TestStatus::Succeeded,
            _ => TestStatus::Unknown,
        }
    }
}

fn steps<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Outcome, D::Error> {
    let mut outcome = Outcome::default();
    each(deserializer, |step: Step| {
        let result = step.result.unwrap_or_default();
        let mut message = cut(&result.error_message, SEARCHED);
        match result.status.as_str() {
            "passed" => outcome.passed += 1,
            "skipped" | "pending" | "untested" => outcome.skipped += 1,
            "failed" => outcome.failed += 1,
            status @ ("undefined" | "ambiguous") => {
                outcome.broken += 1;
                if message.is_empty() {
                    message = format!("{status} step: {}{}", step.keyword, step.name);
                }
            }
            _ => outcome.other += 1,
        }
        if outcome.message.is_empty() && !message.is_empty() {
            outcome.message = message;
        }
        outcome.duration_ns = outcome.duration_ns.saturating_add(result.duration.0);
    })?;
    Ok(outcome)
}

#[derive(Deserialize)]
struct Step {
    #[serde(default, deserialize_with = "text")]
    keyword: String,
    #[serde(default, deserialize_with = "text")]
    name: String,
    #[serde(default)]
    result: Option<StepResult>,
}

#[derive(Default, Deserialize)]
struct StepResult {
    #[serde(default, deserialize_with = "text")]
    status: String,
    #[serde(default)]
    duration: Duration,
    #[serde(default, deserialize_with = "message")]
    error_message: String,
}

/// behave writes a list of lines.
fn message<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Message;

    impl<'de> serde::de::Visitor<'de> for Message {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text or a list of lines")
        }

        fn visit_str<E>(self, text: &str) -> Result<String, E> {
            Ok(cut(text, SEARCHED))
        }

        fn visit_unit<E>(self) -> Result<String, E> {
            Ok(String::new())
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut array: A) -> Result<String, A::Error> {
            let mut joined = String::new();
            while let Some(line) = array.next_element::<String>()? {
                if joined.len() < SEARCHED {
                    if !joined.is_empty() {
                        joined.push('\n');
                    }
                    joined.push_str(&cut(&line, SEARCHED));
                }
            }
            Ok(joined)
        }
    }

    deserializer.deserialize_any(Message)
}

/// Nanoseconds as a whole number; seconds with a fraction (behave).
#[derive(Debug, Default, Clone, Copy)]
struct Duration(u64);

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Option::<serde_json::Number>::deserialize(deserializer)?;
        let nanoseconds = number.and_then(|n| n.as_u64().or_else(|| n.as_f64().map(super::from_seconds)));
        Ok(Self(nanoseconds.unwrap_or(0)))
    }
}
