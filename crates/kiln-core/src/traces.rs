//! The trace of a build: its spans, made of what is recorded of it when it is over, and where they go.
//!
//! Names of attributes are those of OpenTelemetry's semantic conventions for CI/CD where they have one.

use std::fmt;

use kiln_model::{
    BuildStatus, PhaseType,
    codebuild::EnvironmentVariableType,
    kiln::CommandDetail,
    trace::{BuildTrace, Kind, Outcome, Part, Span, Traceparent, Value},
};
use kiln_store::StoreError;
use serde::{Deserialize, Serialize};

use crate::{
    core::Inner,
    document::Document,
    lifecycle::{Millis, Phase, State},
    records,
    timeline::Timeline,
};

/// The variable by which a build is told which span it is a part of, and tells its commands.
pub(crate) const VARIABLE: &str = "TRACEPARENT";

/// Commands that have a span, at most. A build with more says how many are left out.
const MOST_COMMANDS: usize = 2000;
/// Characters of a command's text in its span's name.
const LONGEST_NAME: usize = 80;
/// Characters of its text in an attribute.
const LONGEST_TEXT: usize = 1000;

/// Takes the spans of builds, and hands them over to whoever collects them.
pub trait TraceSink: fmt::Debug + Send + Sync + 'static {
    /// Keeps the spans of a build whose end is about to be recorded, over a crash too. Those that are kept of it already are
    /// replaced.
    fn keep(&self, uuid: &str, spans: &[Span]);

    /// Hands over what is kept of a build: its end is recorded.
    fn send(&self, uuid: &str);

    /// Builds of which something is kept that nobody has taken yet.
    fn kept(&self) -> Vec<String>;

    /// Gives up what is kept of a build: it has not ended yet, or is gone.
    fn forget(&self, uuid: &str);
}

/// What is stored of a build's place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traced {
    /// What started the build, where that said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Traceparent>,
}

impl Traced {
    /// The place of a build that is being accepted: below the span that its variable `TRACEPARENT` names, else below that of
    /// the call.
    pub(crate) fn of(document: &Document, call: Option<Traceparent>) -> Self {
        let variables = document.build.environment.environment_variables.iter();
        let given = variables.rev().find(|variable| variable.name == VARIABLE).and_then(|variable| {
            let is_plain = variable.r#type.unwrap_or_default() == EnvironmentVariableType::Plaintext;
            variable.value.parse().ok().filter(|_| is_plain)
        });
        Self { parent: given.or(call) }
    }
}

/// Keeps the spans of a build that is over, before that is recorded.
pub(crate) fn keep<R>(inner: &Inner<R>, document: &Document, timeline: &Timeline) {
    if let Some(sink) = inner.traces.as_ref().filter(|_| document.traced.is_some()) {
        let spans = spans(document, timeline);
        if !spans.is_empty() {
            sink.keep(document.uuid(), &spans);
        }
    }
}

/// Hands them over, once it is.
pub(crate) fn send<R>(inner: &Inner<R>, document: &Document) {
    if let Some(sink) = inner.traces.as_ref().filter(|_| document.traced.is_some()) {
        sink.send(document.uuid());
    }
}

/// The same of a build that never had a runner.
pub(crate) fn send_unrun<R>(inner: &Inner<R>, document: &Document) {
    keep(inner, document, &Timeline::default());
    send(inner, document);
}

/// What an earlier server kept: hands over what is of builds that have ended. Others are still followed, and will be kept anew.
///
/// # Errors
/// When the records cannot be read.
pub(crate) fn resume<R>(inner: &Inner<R>) -> Result<(), StoreError> {
    let Some(sink) = &inner.traces else { return Ok(()) };
    for uuid in sink.kept() {
        let found = inner.metadata.read(|view| records::find(view, &uuid))?;
        match found.is_some_and(|(_, document)| document.lifecycle.state == State::Ended) {
            true => sink.send(&uuid),
            false => sink.forget(&uuid),
        }
    }
    Ok(())
}

/// The trace of a build.
pub(crate) fn trace(document: &Document) -> Option<BuildTrace> {
    BuildTrace::new(document.uuid(), document.traced.and_then(|traced| traced.parent))
}

/// The spans of a build that is over. Empty when whoever started it does not record its own.
pub(crate) fn spans(document: &Document, timeline: &Timeline) -> Vec<Span> {
    let Some(trace) = trace(document).filter(|trace| trace.parent().is_none_or(|parent| parent.sampled)) else {
        return Vec::new();
    };
    let life = &document.lifecycle;
    let ended_ms = life.ended_ms.unwrap_or(life.submitted_ms);
    let mut spans = vec![build_span(document, timeline, &trace, ended_ms)];
    let mut phases: Vec<(PhaseType, [u8; 8], Millis)> = Vec::new();
    for (number, phase) in (0..).zip(&life.phases) {
        if phase.phase == PhaseType::Completed {
            continue;
        }
        let span = phase_span(phase, number, &trace, ended_ms);
        phases.push((phase.phase, span.id.span, phase.end_ms.unwrap_or(ended_ms)));
        spans.push(span);
    }
    for command in timeline.commands.iter().take(MOST_COMMANDS) {
        let phase = phases.iter().find(|(phase, ..)| Some(*phase) == command.phase_type);
        let parent = phase.map_or_else(|| trace.span(Part::Build).span, |(_, span, _)| *span);
        let latest = phase.map_or(ended_ms, |(.., end)| *end);
        spans.extend(command_span(command, parent, &trace, latest));
    }
    spans
}

fn build_span(document: &Document, timeline: &Timeline, trace: &BuildTrace, ended_ms: Millis) -> Span {
    let (build, life) = (&document.build, &document.lifecycle);
    let mut attributes: Vec<(&str, Value)> = vec![
        ("cicd.pipeline.name", build.project_name.clone().into()),
        ("cicd.pipeline.run.id", build.id.clone().into()),
        ("cicd.pipeline.action.name", "BUILD".into()),
        ("cicd.pipeline.result", result(life.status).into()),
        ("aws.codebuild.build.arn", build.arn.clone().into()),
        ("aws.codebuild.build.status", life.status.as_str().into()),
        ("aws.codebuild.build.image", build.environment.image.clone().into()),
    ];
    let mut add = |name, value: Option<Value>| attributes.extend(value.map(|value| (name, value)));
    add("aws.codebuild.build.number", build.build_number.map(Value::Int));
    add("aws.codebuild.build.initiator", build.initiator.clone().map(Value::Text));
    add("vcs.ref.head.revision", build.resolved_source_version.clone().map(Value::Text));
    let left_out = timeline.total_commands.saturating_sub(timeline.commands.len().min(MOST_COMMANDS) as u64);
    add("kiln.commands.left_out", (left_out > 0).then(|| Value::Int(left_out.cast_signed())));
    if let Some(used) = &timeline.resources {
        add("kiln.cpu_ms", Some(Value::Int(used.cpu_milliseconds.cast_signed())));
        add("kiln.memory_peak_bytes", Some(Value::Int(used.memory_peak_bytes.cast_signed())));
    }
    let contexts = life.phases.iter().rev().filter_map(|phase| phase.context.as_ref());
    let why = contexts.map(|context| context.message.clone()).find(|message| !message.is_empty());
    if is_failure(life.status) {
        attributes.push(("error.type", result(life.status).into()));
    }
    Span {
        id: trace.span(Part::Build),
        parent: trace.parent().map(|parent| parent.span),
        kind: Kind::Server,
        name: format!("BUILD {}", build.project_name),
        start_ns: nanoseconds(life.submitted_ms),
        end_ns: nanoseconds(ended_ms.max(life.submitted_ms)),
        attributes,
        outcome: outcome(life.status, why),
    }
}

fn phase_span(phase: &Phase, number: u32, trace: &BuildTrace, ended_ms: Millis) -> Span {
    let mut attributes: Vec<(&str, Value)> = vec![("cicd.pipeline.task.name", phase.phase.as_str().into())];
    if let Some(status) = phase.status {
        attributes.push(("cicd.pipeline.task.run.result", result(status).into()));
        attributes.push(("aws.codebuild.phase.status", status.as_str().into()));
        if is_failure(status) {
            let code = phase.context.as_ref().map(|context| context.status_code.clone());
            attributes.push(("error.type", code.unwrap_or_else(|| result(status).to_owned()).into()));
        }
    }
    let why = phase.context.as_ref().map(|context| context.message.clone()).filter(|message| !message.is_empty());
    Span {
        id: trace.span(Part::Phase(number)),
        parent: Some(trace.span(Part::Build).span),
        kind: Kind::Internal,
        name: phase.phase.as_str().to_owned(),
        start_ns: nanoseconds(phase.start_ms),
        end_ns: nanoseconds(phase.end_ms.unwrap_or(ended_ms).max(phase.start_ms)),
        attributes,
        outcome: phase.status.map_or(Outcome::Unset, |status| outcome(status, why)),
    }
}

fn command_span(command: &CommandDetail, parent: [u8; 8], trace: &BuildTrace, latest: Millis) -> Option<Span> {
    let start_ns = nanoseconds(command.start_time?.millis());
    let end_ns = match command.duration_in_milliseconds {
        Some(duration) => start_ns.saturating_add(duration.saturating_mul(1_000_000)),
        None => nanoseconds(latest).max(start_ns),
    };
    let first_line = command.text.lines().next().unwrap_or_default();
    let mut attributes: Vec<(&str, Value)> = vec![
        ("kiln.command.number", i64::from(command.number).into()),
        ("kiln.command.attempt", i64::from(command.attempt).into()),
        ("kiln.command.finally", command.finally.into()),
        ("process.command_line", command.text.chars().take(LONGEST_TEXT).collect::<String>().into()),
    ];
    let mut add = |name, value: Option<Value>| attributes.extend(value.map(|value| (name, value)));
    let number = |number: u64| Value::Int(number.cast_signed());
    add("process.exit.code", command.exit_code.map(|code| Value::Int(code.into())));
    add("kiln.command.signal", command.signal.clone().map(Value::Text));
    add("kiln.buildspec.line", command.buildspec_line.map(|line| Value::Int(line.into())));
    add("kiln.log.first_line", command.first_line.map(number));
    add("kiln.log.last_line", command.last_line.map(number));
    add("kiln.cpu_ms", command.cpu_milliseconds.map(number));
    add("kiln.memory_peak_bytes", command.memory_peak_bytes.map(number));
    let outcome = match (command.exit_code, &command.signal) {
        (Some(0), _) => Outcome::Unset,
        (Some(code), _) => Outcome::Error(format!("exit status {code}")),
        (None, Some(signal)) => Outcome::Error(format!("ended by {signal}")),
        (None, None) => Outcome::Error("it did not end by itself".to_owned()),
    };
    if outcome != Outcome::Unset {
        let kind = match (command.exit_code, &command.signal) {
            (Some(code), _) => code.to_string(),
            (None, Some(signal)) => signal.clone(),
            (None, None) => "stopped".to_owned(),
        };
        attributes.push(("error.type", kind.into()));
    }
    Some(Span {
        id: trace.span(Part::Command(command.number)),
        parent: Some(parent),
        kind: Kind::Internal,
        name: first_line.chars().take(LONGEST_NAME).collect(),
        start_ns,
        end_ns,
        attributes,
        outcome,
    })
}

/// A status in the words of `cicd.pipeline.result`.
fn result(status: BuildStatus) -> &'static str {
    match status {
        BuildStatus::Succeeded => "success",
        BuildStatus::Failed => "failure",
        BuildStatus::Fault => "error",
        BuildStatus::TimedOut => "timeout",
        BuildStatus::Stopped => "cancellation",
        BuildStatus::InProgress => "unfinished",
    }
}

fn is_failure(status: BuildStatus) -> bool {
    matches!(status, BuildStatus::Failed | BuildStatus::Fault | BuildStatus::TimedOut)
}

fn outcome(status: BuildStatus, why: Option<String>) -> Outcome {
    if is_failure(status) { Outcome::Error(why.unwrap_or_else(|| status.to_string())) } else { Outcome::Unset }
}

fn nanoseconds(ms: Millis) -> u64 {
    u64::try_from(ms).unwrap_or(0).saturating_mul(1_000_000)
}
