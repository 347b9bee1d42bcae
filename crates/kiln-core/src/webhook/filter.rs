//! Whether an event builds, and why (`api.md` 3.1). Groups are alternatives; all filters of a group must match.

use kiln_model::{
    ApiError,
    codebuild::{WebhookFilter, WebhookFilterType},
    kiln::{FilterDecision, FilterGroupDecision},
};
use regex::{Regex, RegexBuilder};

use super::event::{Event, EventKind, Files, Told};

/// Characters of a pattern.
const LONGEST: usize = 4096;
/// Bytes that a compiled pattern may have.
const COMPILED: usize = 1 << 20;
/// Filters of a webhook, over all groups.
const MOST: usize = 500;
/// Characters of what was looked at that an explanation shows.
const SHOWN: usize = 300;

/// What events a webhook builds.
#[derive(Debug, Clone, Copy)]
pub enum Rules<'a> {
    /// Those that one of the groups lets pass.
    Groups(&'a [Vec<WebhookFilter>]),
    /// Pushes to, and pull requests from, branches with such a name: `branchFilter`.
    Branch(&'a str),
    /// All pushes, and pull requests that are opened or changed.
    All,
}

impl<'a> Rules<'a> {
    /// Those of a webhook.
    #[must_use]
    pub fn of(groups: Option<&'a [Vec<WebhookFilter>]>, branch: Option<&'a str>) -> Self {
        match (groups.filter(|groups| !groups.is_empty()), branch.filter(|branch| !branch.is_empty())) {
            (Some(groups), _) => Self::Groups(groups),
            (None, Some(branch)) => Self::Branch(branch),
            (None, None) => Self::All,
        }
    }

    /// The groups that say the same.
    fn groups(self) -> Vec<Vec<WebhookFilter>> {
        let filter = |r#type, pattern: &str| WebhookFilter {
            r#type,
            pattern: pattern.to_owned(),
            exclude_matched_pattern: None,
        };
        let usual = "PUSH, PULL_REQUEST_CREATED, PULL_REQUEST_UPDATED, PULL_REQUEST_REOPENED";
        match self {
            Self::Groups(groups) => groups.to_vec(),
            Self::Branch(branch) => vec![vec![
                filter(WebhookFilterType::Event, usual),
                filter(WebhookFilterType::HeadRef, &format!("^refs/heads/(?:{branch})$")),
            ]],
            Self::All => vec![vec![filter(WebhookFilterType::Event, usual)]],
        }
    }
}

/// What of an event the provider has to be asked for before it can be decided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Missing {
    /// Changed files.
    pub files: bool,
    /// Message of the head commit.
    pub message: bool,
}

/// What the filters say.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It builds.
    Pass,
    /// It does not.
    Fail,
    /// It depends on what is missing.
    Ask(Missing),
    /// It depends on what could not be found out; why.
    Unknown(String),
}

/// Checks the filters of a webhook; returns what its owner should know of them.
///
/// # Errors
/// `InvalidInputException`: a group without EVENT, an unknown event, a pattern that is none, that is too large, or that
/// looks around.
pub fn check(groups: &[Vec<WebhookFilter>], branch: Option<&str>) -> Result<Vec<String>, ApiError> {
    if groups.iter().map(Vec::len).sum::<usize>() > MOST {
        return Err(ApiError::invalid_input(format!("Invalid input: a webhook has at most {MOST} filters")));
    }
    let mut warnings = Vec::new();
    for group in groups {
        let events = group.iter().filter(|filter| filter.r#type == WebhookFilterType::Event).count();
        if events != 1 {
            return Err(ApiError::invalid_input(
                "Invalid input: each filter group must have exactly one filter of the type EVENT",
            ));
        }
        for filter in group {
            check_filter(filter, &mut warnings)?;
        }
    }
    if let Some(branch) = branch {
        compile(&format!("^refs/heads/(?:{branch})$")).map_err(|why| refused("branchFilter", branch, &why))?;
    }
    Ok(warnings)
}

fn check_filter(filter: &WebhookFilter, warnings: &mut Vec<String>) -> Result<(), ApiError> {
    let WebhookFilter { r#type: kind, pattern, exclude_matched_pattern } = filter;
    if *kind == WebhookFilterType::Event {
        let mut events = pattern.split(',').map(str::trim);
        return match events.find(|name| EventKind::named(name).is_none()) {
            Some(name) => {
                let known = EventKind::ALL.map(EventKind::as_str).join(", ");
                let name = shortened(name);
                Err(ApiError::invalid_input(format!("Invalid input: '{name}' is not an event: use {known}")))
            }
            None => Ok(()),
        };
    }
    compile(pattern).map_err(|why| refused(kind.as_str(), pattern, &why))?;
    let is_risky = match kind {
        WebhookFilterType::ActorAccountId => !is_anchored(pattern, true),
        WebhookFilterType::HeadRef | WebhookFilterType::BaseRef => !is_anchored(pattern, false),
        _ => false,
    };
    if is_risky && *exclude_matched_pattern != Some(true) {
        warnings.push(format!(
            "The {kind} pattern '{}' matches anywhere in the value: write ^…$ to match all of it",
            shortened(pattern)
        ));
    }
    Ok(())
}

fn refused(what: &str, pattern: &str, why: &str) -> ApiError {
    ApiError::invalid_input(format!("Invalid input: the {what} pattern '{}' {why}", shortened(pattern)))
}

/// A text of a caller's, short enough for a message.
fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.chars().count() > LONGEST {
        return Err(format!("has more than {LONGEST} characters"));
    }
    RegexBuilder::new(pattern).size_limit(COMPILED).dfa_size_limit(COMPILED).build().map_err(|e| match e {
        regex::Error::CompiledTooBig(_) => "is too large: its repetitions multiply".to_owned(),
        e => {
            let text = e.to_string();
            let last = text.lines().rev().find_map(|line| line.strip_prefix("error: ")).unwrap_or("it cannot be read");
            format!("is not a regular expression that Kiln takes: {last}")
        }
    })
}

/// Whether each alternative of a pattern begins with `^`, and ends with `$` where that is wanted.
fn is_anchored(pattern: &str, at_both: bool) -> bool {
    let (mut depth, mut in_class, mut is_escaped) = (0_usize, false, false);
    let mut alternatives = vec![String::new()];
    for c in pattern.chars() {
        let is_literal = is_escaped;
        is_escaped = !is_escaped && c == '\\';
        if !is_literal {
            match c {
                '[' => in_class = true,
                ']' => in_class = false,
                '(' if !in_class => depth += 1,
                ')' if !in_class => depth = depth.saturating_sub(1),
                '|' if !in_class && depth == 0 => {
                    alternatives.push(String::new());
                    continue;
                }
                _ => {}
            }
        }
        if let Some(last) = alternatives.last_mut() {
            last.push(c);
        }
    }
    alternatives.iter().all(|one| {
        let ends = one.ends_with('$') && !one.ends_with("\\$");
        one.starts_with('^') && (ends || !at_both)
    })
}

/// What the rules say of an event, and each filter with its reason.
#[must_use]
pub fn decide(rules: Rules<'_>, event: &Event) -> (Verdict, Vec<FilterGroupDecision>) {
    let mut missing = Missing::default();
    let mut unknown = None;
    let mut passes = false;
    let groups: Vec<FilterGroupDecision> = rules
        .groups()
        .iter()
        .map(|group| {
            let looked: Vec<Looked> = group.iter().map(|filter| look(filter, event)).collect();
            let fails = looked.iter().any(|one| one.decision.matched == Some(false));
            let matched = !group.is_empty() && looked.iter().all(|one| one.decision.matched == Some(true));
            passes |= matched;
            if !fails {
                for one in &looked {
                    missing.files |= one.asks.files;
                    missing.message |= one.asks.message;
                    if one.decision.matched.is_none() && one.asks == Missing::default() {
                        unknown.get_or_insert_with(|| one.decision.reason.clone());
                    }
                }
            }
            FilterGroupDecision { matched, filters: looked.into_iter().map(|one| one.decision).collect() }
        })
        .collect();
    let verdict = match unknown {
        _ if passes => Verdict::Pass,
        _ if missing != Missing::default() => Verdict::Ask(missing),
        Some(why) => Verdict::Unknown(why),
        None => Verdict::Fail,
    };
    (verdict, groups)
}

struct Looked {
    decision: FilterDecision,
    asks: Missing,
}

/// What a filter has to look at.
enum Subject<'a> {
    Text(&'a str),
    Files(&'a Files),
    Ask(Missing),
    Unavailable(&'a str),
    /// The event has no such thing: no pattern matches it, and none is missed by it.
    Nothing,
}

fn subject<'a>(kind: WebhookFilterType, event: &'a Event) -> Subject<'a> {
    let text = |text: Option<&'a str>| text.map_or(Subject::Nothing, Subject::Text);
    let of_change = event.kind == EventKind::Push || event.kind.is_pull_request();
    match kind {
        WebhookFilterType::Event => Subject::Text(event.kind.as_str()),
        WebhookFilterType::ActorAccountId => text(Some(event.actor.id.as_str()).filter(|id| !id.is_empty())),
        WebhookFilterType::HeadRef => text(event.head_ref.as_deref()),
        WebhookFilterType::BaseRef => text(event.base_ref.as_deref()),
        WebhookFilterType::WorkflowName => text(event.workflow.as_deref()),
        WebhookFilterType::TagName => text(event.tag.as_deref()),
        WebhookFilterType::ReleaseName => text(event.release.as_deref()),
        WebhookFilterType::RepositoryName => text(Some(event.repository_name.as_str()).filter(|name| !name.is_empty())),
        WebhookFilterType::OrganizationName => text(event.organization.as_deref()),
        WebhookFilterType::FilePath | WebhookFilterType::CommitMessage if !of_change => Subject::Nothing,
        WebhookFilterType::FilePath => match &event.files {
            Told::Nothing => Subject::Nothing,
            Told::Known(files) => Subject::Files(files),
            Told::Ask => Subject::Ask(Missing { files: true, message: false }),
            Told::Unavailable(why) => Subject::Unavailable(why),
        },
        WebhookFilterType::CommitMessage => match &event.message {
            Told::Nothing => Subject::Nothing,
            Told::Known(message) => Subject::Text(message),
            Told::Ask => Subject::Ask(Missing { files: false, message: true }),
            Told::Unavailable(why) => Subject::Unavailable(why),
        },
    }
}

fn look(filter: &WebhookFilter, event: &Event) -> Looked {
    let excludes = filter.exclude_matched_pattern == Some(true);
    let told = |matched: Option<bool>, value: Option<&str>, reason: String| Looked {
        decision: FilterDecision {
            r#type: filter.r#type,
            pattern: filter.pattern.clone(),
            exclude_matched_pattern: excludes,
            matched,
            value: value.map(|text| text.chars().take(SHOWN).collect()),
            reason,
        },
        asks: Missing::default(),
    };
    let found = |matches: bool, value: &str, what: &str| {
        let does = if matches { "matches" } else { "does not match" };
        let then = match (matches, excludes) {
            (true, true) => ", which it must not",
            (false, true) => ", as it must not",
            _ => "",
        };
        told(Some(matches != excludes), Some(value), format!("{what} {does}{then}"))
    };
    let subject = subject(filter.r#type, event);
    if let (WebhookFilterType::Event, Subject::Text(name)) = (filter.r#type, &subject) {
        let is_listed = filter.pattern.split(',').any(|known| known.trim() == *name);
        return found(is_listed, name, "the event");
    }
    let pattern = match compile(&filter.pattern) {
        Ok(pattern) => pattern,
        Err(why) => return told(Some(false), None, format!("the pattern {why}")),
    };
    match subject {
        Subject::Nothing => told(Some(false), None, format!("{} has no {}", event.kind.as_str(), filter.r#type)),
        Subject::Text(text) => found(pattern.is_match(text), text, "the value"),
        Subject::Files(files) => match files.paths.iter().find(|path| pattern.is_match(path)) {
            Some(path) => found(true, path, "a changed file"),
            // Rather a build too many than one too few.
            None if files.is_cut && !excludes => told(
                Some(true),
                None,
                "no file that was looked at matches, and there are too many to look at all".into(),
            ),
            None => {
                let then = if excludes { ", as it must not be" } else { "" };
                told(Some(excludes), None, format!("none of {} changed files matches{then}", files.paths.len()))
            }
        },
        Subject::Ask(asks) => {
            Looked { asks, ..told(None, None, "the provider has to be asked for what was changed".to_owned()) }
        }
        Subject::Unavailable(why) => told(None, None, format!("what was changed could not be found out: {why}")),
    }
}
