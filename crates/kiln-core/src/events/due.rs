//! Schedules whose time has come.

use kiln_model::arn::Home;
use kiln_store::{StoreError, Tx, metadata::EventRuleRecord};
use serde_json::json;

use super::{
    document::{Missed, RuleDocument, rule_arn},
    publish::{Event, fan_out, id_of},
    schedule::{Fired, Schedule},
};
use crate::lifecycle::Millis;

/// By as much a turn may be late, e.g. because the server was being upgraded. What is older is not caught up with, as
/// EventBridge does not: a build at a time for which it was not meant may do harm.
pub(super) const GRACE_MS: Millis = 5 * 60 * 1000;
/// Times that had no turn are counted as far as that.
const MOST_COUNTED: u64 = 10_000;

/// What a schedule does now.
#[derive(Debug, PartialEq, Eq)]
struct Turn {
    /// The time that has its turn.
    fires: Option<Millis>,
    /// The first time that it stands for: those up to it were due within the grace as well.
    from: Option<Millis>,
    missed: u64,
    last_missed: Option<Millis>,
}

/// What is to be done about a schedule that has been due since `due`: the newest time has its turn if it is not too late.
fn turn(due: Millis, now: Millis, fired: &Fired, next: impl Fn(Millis) -> Option<Millis> + Copy) -> Turn {
    let mut turn = Turn { fires: None, from: None, missed: 0, last_missed: None };
    let in_time = now.saturating_sub(GRACE_MS);
    let mut time = Some(due);
    while let Some(at) = time.filter(|at| *at < in_time) {
        if turn.missed == MOST_COUNTED {
            // The rest is as many as there are.
            time = fired.next_after(in_time - 1, next);
            break;
        }
        (turn.missed, turn.last_missed) = (turn.missed + 1, Some(at));
        time = fired.next_after(at, next);
    }
    while let Some(at) = time.filter(|at| *at <= now) {
        if let Some(before) = turn.fires.replace(at) {
            (turn.missed, turn.last_missed) = (turn.missed + 1, Some(before));
        }
        turn.from.get_or_insert(at);
        time = fired.next_after(at, next);
    }
    turn
}

/// The event of a time of a schedule: the same time of the same rule has the same id.
fn event(home: &Home, name: &str, document: &RuleDocument, at: Millis) -> Event {
    Event {
        id: id_of(&[&document.uid, &at.to_string()]),
        time_ms: at,
        source: "aws.events".to_owned(),
        detail_type: "Scheduled Event".to_owned(),
        resources: vec![rule_arn(home, name)],
        detail: json!({}),
    }
}

/// Gives their turns to schedules that are due; whether something is to be started. `went_back`: the clock may have been
/// set back, and what is due next be sooner than it was.
pub(super) fn fire(tx: &mut Tx<'_>, home: &Home, now: Millis, went_back: bool) -> Result<bool, StoreError> {
    let mut has_fired = false;
    for record in tx.scheduled_event_rules()? {
        let is_due = record.due_ms.is_some_and(|due| due <= now);
        if !is_due && !went_back {
            // The rest is due later.
            break;
        }
        has_fired |= look(tx, home, record, now)?;
    }
    Ok(has_fired)
}

fn look(tx: &mut Tx<'_>, home: &Home, record: EventRuleRecord, now: Millis) -> Result<bool, StoreError> {
    let mut document = RuleDocument::of(&record)?;
    let (Some(schedule), Some(due)) = (document.schedule(), record.due_ms) else {
        // It cannot be read (any more): it is due never.
        tx.put_event_rule(&document.record(&record.name, now)?)?;
        return Ok(false);
    };
    let anchor = document.anchor_ms;
    let next = |after: Millis| Schedule::next_after(&schedule, after, anchor);
    let turn = turn(due, now, &document.fired, next);
    if let (missed @ 1.., Some(last_ms)) = (turn.missed, turn.last_missed) {
        let all = document.missed.as_ref().map_or(0, |missed| missed.count).saturating_add(missed);
        document.missed = Some(Missed { count: all, last_ms });
        tracing::warn!(
            rule = %record.name, missed, last_ms,
            "a schedule's times had no turn: the service was down or busy, or its clock was set"
        );
    }
    let mut has_started = false;
    if let (Some(at), Some(from)) = (turn.fires, turn.from) {
        document.fired.note(from, at, |end| next(end) == Some(from));
        let event = event(home, &record.name, &document, at);
        has_started = fan_out(tx, home, &record, &document, &event.json(home), &event)? > 0;
    }
    let again = document.record(&record.name, now)?;
    if again != record {
        tx.put_event_rule(&again)?;
    }
    Ok(has_started)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Millis = 60_000;

    fn every_minute(after: Millis) -> Option<Millis> {
        Some((after.div_euclid(MINUTE) + 1) * MINUTE)
    }

    #[test]
    fn the_newest_time_has_its_turn_unless_it_is_too_late() {
        let fired = Fired::default();
        let of = |due: Millis, now: Millis| turn(due * MINUTE, now * MINUTE, &fired, every_minute);
        assert_eq!(of(3, 3), Turn { fires: Some(3 * MINUTE), from: Some(3 * MINUTE), missed: 0, last_missed: None });
        let late = of(3, 6);
        assert_eq!(
            (late.fires, late.from, late.missed, late.last_missed),
            (Some(6 * MINUTE), Some(3 * MINUTE), 3, Some(5 * MINUTE))
        );
        let later = of(3, 30);
        assert_eq!((later.fires, later.from, later.missed), (Some(30 * MINUTE), Some(25 * MINUTE), 27));
        let hourly = |after: Millis| Some((after.div_euclid(60 * MINUTE) + 1) * 60 * MINUTE);
        let missed = turn(60 * MINUTE, 200 * MINUTE, &fired, hourly);
        assert_eq!(missed, Turn { fires: None, from: None, missed: 3, last_missed: Some(180 * MINUTE) });
        let years = of(3, 10 * 365 * 24 * 60);
        assert!(years.missed >= MOST_COUNTED && years.fires.is_some(), "{years:?}");
        let once = |after: Millis| (after < 5).then_some(5);
        assert_eq!(turn(5, 7, &fired, once).fires, Some(5));
    }
}
