//! What was heard of a branch, a tag or a pull request before: deliveries come twice, late, and in another order than
//! things happened in (`reliability.md` test 21).

use serde::{Deserialize, Serialize};

use super::event::{Event, EventKind};

/// Events that are remembered of one ref, to tell what went on from them; at most.
const MOST: usize = 64;
/// Deliveries of what happened before come within this time, milliseconds; what comes later is taken for what it says.
const LATE: i64 = 10 * 60 * 1000;

/// An event that was heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Heard {
    kind: EventKind,
    before: Option<String>,
    after: Option<String>,
    at_ms: Option<i64>,
    build: Option<String>,
}

/// What is kept of an event for as long as its delivery.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Once {
    /// Uuid of the build that it started.
    pub build: Option<String>,
}

/// By what the same event is known under another id of a delivery; `None`: events of its kind are told apart by that alone.
#[must_use]
pub fn key(event: &Event) -> Option<String> {
    let is_of_change = event.kind == EventKind::Push || event.kind.is_pull_request();
    let subject = event.subject().filter(|_| is_of_change && !event.is_deletion)?;
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    let after = event.after.clone().or_else(|| event.commit.clone());
    let at = event.at_ms.map(|at| at.to_string());
    let parts = [event.kind.as_str().to_owned(), subject, part(&event.before), part(&after), part(&at)];
    Some(format!("heard {}", super::hooks::hash(&parts.join("\n"))))
}

/// A pull request's event that waits for its approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaiting {
    /// Kiln's id of the delivery that brought it.
    pub delivery: String,
    /// The event.
    pub event: Event,
}

/// What is known of a ref.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Known {
    /// What the newest event moved it to.
    head: Option<String>,
    /// What that event moved it from.
    before_head: Option<String>,
    /// When that happened, where the provider tells.
    at_ms: Option<i64>,
    /// When that was heard.
    heard_ms: i64,
    is_deleted: bool,
    heard: Vec<Heard>,
    /// What waits for an approval.
    pub awaiting: Option<Awaiting>,
}

/// How an event is related to what was heard before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// It is the newest.
    Newest,
    /// It was heard before, and perhaps built; the build's uuid.
    Again(Option<String>),
    /// Something newer was heard already.
    Late,
    /// Its ref was removed since.
    Gone,
    /// It removes its ref.
    Removal,
}

impl Known {
    /// Where an event belongs. `again`: it was heard before, by its [`key`], and perhaps built. `now`: milliseconds since
    /// the epoch.
    #[must_use]
    pub fn place(&self, event: &Event, again: Option<Once>, now: i64) -> Place {
        if event.kind == EventKind::Push {
            return self.place_of_push(event, again, now);
        }
        if let Some(once) = again {
            return Place::Again(once.build);
        }
        if !event.kind.is_pull_request() {
            return Place::Newest;
        }
        // Some providers tell of changed titles and labels as they do of new commits.
        if event.kind == EventKind::PullRequestUpdated && event.commit.is_some() && self.head == event.commit {
            let built = self.heard.iter().rev().find(|heard| heard.after == event.commit);
            return Place::Again(built.and_then(|heard| heard.build.clone()));
        }
        match (event.at_ms, self.at_ms) {
            (Some(at), Some(newest)) if at < newest => Place::Late,
            _ => Place::Newest,
        }
    }

    fn place_of_push(&self, event: &Event, again: Option<Once>, now: i64) -> Place {
        if event.is_deletion {
            return Place::Removal;
        }
        let is_recent = now.saturating_sub(self.heard_ms) < LATE;
        // A ref may be moved back and forth: without a time, it is the same push unless it fits what is there now.
        if let Some(once) = again.filter(|_| event.at_ms.is_some() || self.head.is_none() || self.head != event.before)
        {
            return Place::Again(once.build);
        }
        if self.is_deleted {
            // Nothing is pushed onto what is not there: whatever has a commit before it happened before the removal.
            let seems_older = event.before.is_some() || event.after == self.before_head;
            let is_older = match (event.at_ms, self.at_ms) {
                (Some(at), Some(removed)) if at != removed => at < removed,
                (Some(_), Some(_)) => seems_older,
                _ => seems_older && is_recent,
            };
            return if is_older { Place::Gone } else { Place::Newest };
        }
        let is_late = match (event.at_ms, self.at_ms) {
            (Some(at), Some(newest)) if at != newest => at < newest,
            _ => {
                let went_on = self.heard.iter().any(|heard| heard.before.is_some() && heard.before == event.after);
                went_on && self.head != event.before
            }
        };
        if is_late { Place::Late } else { Place::Newest }
    }

    /// Notes an event of which [`Self::place`] said where it belongs, and the build that it started.
    pub fn note(&mut self, event: &Event, place: &Place, build: Option<&str>, now: i64) {
        match place {
            Place::Again(_) | Place::Gone => return,
            Place::Removal => {
                let is_late = match (event.at_ms, self.at_ms) {
                    (Some(at), Some(newest)) if at != newest => at < newest,
                    // It went on since, or was made anew: what is removed was there before.
                    _ => {
                        let was_there = self.heard.iter().any(|heard| heard.after == event.before);
                        self.head.is_some() && self.head != event.before && was_there
                    }
                };
                if is_late {
                    return;
                }
                self.is_deleted = true;
                self.head = None;
                self.before_head.clone_from(&event.before);
                self.at_ms = event.at_ms;
                self.heard_ms = now;
                self.awaiting = None;
                return;
            }
            Place::Newest => {
                self.is_deleted = false;
                self.head = event.after.clone().or_else(|| event.commit.clone());
                self.before_head.clone_from(&event.before);
                self.at_ms = event.at_ms.or(self.at_ms);
                self.heard_ms = now;
                // What waits is of another commit now.
                self.awaiting = None;
            }
            Place::Late => {}
        }
        if self.heard.len() >= MOST {
            self.heard.remove(0);
        }
        self.heard.push(Heard {
            kind: event.kind,
            before: event.before.clone(),
            after: event.after.clone().or_else(|| event.commit.clone()),
            at_ms: event.at_ms,
            build: build.map(str::to_owned),
        });
    }

    /// Notes the build of what waited for an approval.
    pub fn approved(&mut self, build: &str) {
        let Some(awaiting) = self.awaiting.take() else { return };
        let commit = &awaiting.event.commit;
        if let Some(heard) = self.heard.iter_mut().rev().find(|heard| heard.after == *commit) {
            heard.build = Some(build.to_owned());
        }
    }

    /// Builds that were started for it, the newest last.
    pub fn builds(&self) -> impl Iterator<Item = &str> {
        self.heard.iter().filter_map(|heard| heard.build.as_deref())
    }
}
