//! When schedules are due: `rate(…)` and `cron(…)` of EventBridge, in UTC. Pure functions of times.

mod cron;
mod fired;

use std::fmt;

pub(super) use self::fired::Fired;

use self::cron::Cron;

const MINUTE_MS: i64 = 60_000;

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Schedule {
    /// Every so many milliseconds, from when the rule was made.
    Rate(i64),
    /// At minutes of the calendar.
    Cron(Box<Cron>),
}

/// Why an expression is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Invalid(String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn invalid(why: impl Into<String>) -> Invalid {
    Invalid(why.into())
}

impl Schedule {
    /// Reads `rate(5 minutes)` or `cron(0 12 * * ? *)`.
    pub(super) fn parse(text: &str) -> Result<Self, Invalid> {
        let inside = |name: &str| text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        if let Some(rate) = inside("rate") {
            return parse_rate(rate);
        }
        match inside("cron") {
            Some(fields) => Ok(Self::Cron(Box::new(Cron::parse(fields)?))),
            None => {
                Err(invalid("expected rate(VALUE UNIT) or cron(MINUTES HOURS DAY-OF-MONTH MONTH DAY-OF-WEEK YEAR)"))
            }
        }
    }

    /// The first time after `after` at which it is due; `anchor`: when the rule was made. Milliseconds since the epoch.
    /// `None`: never again.
    pub(super) fn next_after(&self, after: i64, anchor: i64) -> Option<i64> {
        match self {
            Self::Rate(every) => {
                let rounds = after.checked_sub(anchor)?.div_euclid(*every).checked_add(1)?;
                anchor.checked_add(rounds.checked_mul(*every)?)
            }
            Self::Cron(cron) => cron.next_after(after),
        }
    }
}

fn parse_rate(text: &str) -> Result<Schedule, Invalid> {
    let (number, unit) =
        text.split_once(' ').ok_or_else(|| invalid("rate needs a number and a unit, with a blank between them"))?;
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    let value = number.parse::<i64>().ok().filter(|value| is_number && *value > 0);
    let value = value.ok_or_else(|| invalid(format!("'{number}' is no positive number")))?;
    let unit_ms = match (unit, value) {
        ("minute", 1) | ("minutes", 2..) => MINUTE_MS,
        ("hour", 1) | ("hours", 2..) => 60 * MINUTE_MS,
        ("day", 1) | ("days", 2..) => 24 * 60 * MINUTE_MS,
        ("minute" | "hour" | "day", _) => return Err(invalid(format!("of several it is '{unit}s'"))),
        ("minutes" | "hours" | "days", _) => {
            return Err(invalid(format!("of one it is '{}'", unit.trim_end_matches('s'))));
        }
        _ => return Err(invalid(format!("'{unit}' is no unit; there are minutes, hours and days"))),
    };
    let every = value.checked_mul(unit_ms).filter(|every| *every <= 100 * 366 * 24 * 60 * MINUTE_MS);
    Ok(Schedule::Rate(every.ok_or_else(|| invalid("that is longer than a century"))?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rates_have_units_in_the_right_number() {
        for (text, minutes) in [
            ("rate(1 minute)", 1),
            ("rate(5 minutes)", 5),
            ("rate(1 hour)", 60),
            ("rate(12 hours)", 720),
            ("rate(1 day)", 1440),
            ("rate(7 days)", 10_080),
        ] {
            assert_eq!(Schedule::parse(text), Ok(Schedule::Rate(minutes * MINUTE_MS)), "{text}");
        }
        for text in [
            "",
            "rate",
            "rate()",
            "rate(5)",
            "rate(0 minutes)",
            "rate(1 minutes)",
            "rate(5 minute)",
            "rate(-1 minute)",
            "rate(+1 minute)",
            "rate(1.5 hours)",
            "rate(1  minute)",
            "rate( 1 minute)",
            "rate(1 week)",
            "rate(1 minute",
            "Rate(1 minute)",
            "rate(99999999999999999999 days)",
            "rate(9999999999999 days)",
            " rate(1 minute)",
            "at(2026-01-01T00:00:00)",
        ] {
            assert!(Schedule::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_count_from_when_the_rule_was_made() {
        let every = Schedule::parse("rate(5 minutes)").unwrap();
        let anchor = 1_000;
        assert_eq!(every.next_after(anchor, anchor), Some(301_000));
        assert_eq!(every.next_after(300_999, anchor), Some(301_000));
        assert_eq!(every.next_after(301_000, anchor), Some(601_000));
        assert_eq!(every.next_after(-300_000, anchor), Some(-299_000), "a clock that was set back");
        assert_eq!(every.next_after(i64::MAX, anchor), None);
    }

    proptest! {
        #[test]
        fn nothing_panics_and_time_goes_forward(text in "(cron|rate)\\([ 0-9A-Za-z*/?,#LW-]{0,40}\\)", after in any::<i64>(), anchor in any::<i64>()) {
            if let Ok(schedule) = Schedule::parse(&text)
                && let Some(next) = schedule.next_after(after, anchor)
            {
                prop_assert!(next > after);
            }
        }
    }
}
