//! `cron(minutes hours day-of-month month day-of-week year)`: AWS's dialect, which is that of Quartz without seconds.
//! Days of the week count from Sunday, which is 1; one of the two fields of days is `?`.

use std::collections::BTreeSet;

use time::{Date, Month, OffsetDateTime, Weekday};

use super::{Invalid, MINUTE_MS, invalid};

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A field of a cron expression.
struct Field {
    name: &'static str,
    first: u16,
    last: u16,
    /// Names of its values, from the first on.
    names: &'static [&'static str],
}

const MINUTE: Field = Field { name: "minutes", first: 0, last: 59, names: &[] };
const HOUR: Field = Field { name: "hours", first: 0, last: 23, names: &[] };
const DAY: Field = Field { name: "day of month", first: 1, last: 31, names: &[] };
const MONTH: Field = Field { name: "month", first: 1, last: 12, names: &MONTHS };
const WEEKDAY: Field = Field { name: "day of week", first: 1, last: 7, names: &DAYS };
const YEAR: Field = Field { name: "year", first: 1970, last: 2199, names: &[] };

/// The values of a field.
type Values = BTreeSet<u16>;

/// Which days of a month.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Days {
    /// By their number.
    OfMonth {
        days: Values,
        /// The last day.
        last: bool,
        /// The last day from Monday to Friday.
        last_weekday: bool,
        /// The days from Monday to Friday that are nearest to these, in the same month.
        nearest_weekdays: Values,
    },
    /// By their weekday, 1 is Sunday.
    OfWeek {
        days: Values,
        /// The last ones of these in the month.
        last: Values,
        /// The n-th one of this in the month.
        nth: Option<(u16, u16)>,
    },
}

/// An expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Cron {
    minutes: Values,
    hours: Values,
    days: Days,
    months: Values,
    years: Values,
}

impl Field {
    fn wrong(&self, text: &str) -> Invalid {
        invalid(format!("'{text}' cannot stand in the field {} ({} to {})", self.name, self.first, self.last))
    }

    /// A value: a number or a name.
    fn value(&self, text: &str) -> Result<u16, Invalid> {
        let named = self.names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let value = match named.and_then(|at| u16::try_from(at).ok()) {
            Some(at) => Some(self.first + at),
            None => {
                Some(text).filter(|text| text.bytes().all(|b| b.is_ascii_digit())).and_then(|text| text.parse().ok())
            }
        };
        value.filter(|value| (self.first..=self.last).contains(value)).ok_or_else(|| self.wrong(text))
    }

    /// Adds what a part of a list stands for: `*`, `3`, `3-5`, `3/10`, `*/10`, `3-30/10`. A range whose end is before its
    /// beginning goes around, but for years.
    fn add(&self, text: &str, values: &mut Values) -> Result<(), Invalid> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => {
                let step = Some(step).filter(|step| step.bytes().all(|b| b.is_ascii_digit()));
                let step = step.and_then(|step| step.parse::<u16>().ok());
                (range, Some(step.filter(|step| (1..=self.last).contains(step)).ok_or_else(|| self.wrong(text))?))
            }
            None => (text, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (self.first, self.last),
            Some((from, to)) => (self.value(from)?, self.value(to)?),
            None => {
                let value = self.value(range)?;
                (value, if step.is_some() { self.last } else { value })
            }
        };
        let step = usize::from(step.unwrap_or(1));
        if from <= to {
            values.extend((from..=to).step_by(step));
        } else if self.first == YEAR.first {
            return Err(self.wrong(text));
        } else {
            values.extend((from..=self.last).chain(self.first..=to).step_by(step));
        }
        Ok(())
    }

    fn list(&self, text: &str) -> Result<Values, Invalid> {
        let mut values = Values::new();
        for part in text.split(',') {
            self.add(part, &mut values)?;
        }
        Ok(values)
    }
}

fn days_of_month(text: &str) -> Result<Days, Invalid> {
    let (mut days, mut nearest_weekdays, mut last, mut last_weekday) = (Values::new(), Values::new(), false, false);
    for part in text.split(',') {
        match part {
            "L" => last = true,
            "LW" => last_weekday = true,
            _ => match part.strip_suffix('W') {
                Some(day) => drop(nearest_weekdays.insert(DAY.value(day)?)),
                None => DAY.add(part, &mut days)?,
            },
        }
    }
    Ok(Days::OfMonth { days, last, last_weekday, nearest_weekdays })
}

fn days_of_week(text: &str) -> Result<Days, Invalid> {
    if let Some((day, n)) = text.split_once('#') {
        let n = n.parse::<u16>().ok().filter(|n| (1..=5).contains(n)).ok_or_else(|| WEEKDAY.wrong(text))?;
        return Ok(Days::OfWeek { days: Values::new(), last: Values::new(), nth: Some((WEEKDAY.value(day)?, n)) });
    }
    let (mut days, mut last) = (Values::new(), Values::new());
    for part in text.split(',') {
        match part.strip_suffix('L') {
            // The last day of the week.
            Some("") => drop(days.insert(WEEKDAY.last)),
            Some(day) => drop(last.insert(WEEKDAY.value(day)?)),
            None => WEEKDAY.add(part, &mut days)?,
        }
    }
    Ok(Days::OfWeek { days, last, nth: None })
}

impl Cron {
    /// Reads the six fields.
    pub(super) fn parse(text: &str) -> Result<Self, Invalid> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, day, months, weekday, years] = fields[..] else {
            return Err(invalid(format!(
                "cron needs six fields (minutes, hours, day of month, month, day of week, year), not {}",
                fields.len()
            )));
        };
        let days = match (day, weekday) {
            ("?", "?") => return Err(invalid("one of the fields day of month and day of week must not be '?'")),
            (day, "?") => days_of_month(day)?,
            ("?", weekday) => days_of_week(weekday)?,
            _ => return Err(invalid("one of the fields day of month and day of week must be '?'")),
        };
        Ok(Self {
            minutes: MINUTE.list(minutes)?,
            hours: HOUR.list(hours)?,
            days,
            months: MONTH.list(months)?,
            years: YEAR.list(years)?,
        })
    }

    /// The first minute that it is for and that begins after `after`, milliseconds since the epoch.
    pub(super) fn next_after(&self, after: i64) -> Option<i64> {
        let minute = after.div_euclid(MINUTE_MS).checked_add(1)?;
        let start = minute.checked_mul(MINUTE_MS / 1000).and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok());
        let start = match start {
            Some(start) => start,
            // Before all years that a calendar has: they begin after it.
            None if after < 0 => OffsetDateTime::UNIX_EPOCH,
            None => return None,
        };
        let first_year = u16::try_from(start.year().max(0)).ok()?;
        for &year in self.years.range(first_year..) {
            let is_this_year = i32::from(year) == start.year();
            let first_month = if is_this_year { u16::from(u8::from(start.month())) } else { 1 };
            for &month in self.months.range(first_month..) {
                let is_this_month = is_this_year && month == u16::from(u8::from(start.month()));
                let first_day = if is_this_month { start.day() } else { 1 };
                for date in self.days.in_month(year, month).into_iter().filter(|date| date.day() >= first_day) {
                    let is_today = is_this_month && date.day() == start.day();
                    if let Some(time) =
                        self.first_of_day(date, if is_today { (start.hour(), start.minute()) } else { (0, 0) })
                    {
                        return Some(time);
                    }
                }
            }
        }
        None
    }

    /// The first minute of a day, from an hour and minute on.
    fn first_of_day(&self, date: Date, (from_hour, from_minute): (u8, u8)) -> Option<i64> {
        for &hour in self.hours.range(u16::from(from_hour)..) {
            let from = if hour == u16::from(from_hour) { u16::from(from_minute) } else { 0 };
            if let Some(&minute) = self.minutes.range(from..).next() {
                let time = date.with_hms(u8::try_from(hour).ok()?, u8::try_from(minute).ok()?, 0).ok()?;
                return time.assume_utc().unix_timestamp().checked_mul(1000);
            }
        }
        None
    }
}

/// Sunday is 1.
fn number_of(weekday: Weekday) -> u16 {
    u16::from(weekday.number_days_from_sunday()) + 1
}

fn is_weekday(date: &Date) -> bool {
    !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

impl Days {
    /// The days of a month, in order.
    fn in_month(&self, year: u16, month: u16) -> Vec<Date> {
        let month = u8::try_from(month).ok().and_then(|month| Month::try_from(month).ok());
        let Some(month) = month else { return Vec::new() };
        let year = i32::from(year);
        let all: Vec<Date> =
            (1..=month.length(year)).filter_map(|day| Date::from_calendar_date(year, month, day).ok()).collect();
        match self {
            Self::OfMonth { days, last, last_weekday, nearest_weekdays } => {
                let mut found: BTreeSet<Date> =
                    all.iter().filter(|date| days.contains(&u16::from(date.day()))).copied().collect();
                found.extend(all.last().filter(|_| *last));
                found.extend(all.iter().rev().find(|date| is_weekday(date)).filter(|_| *last_weekday));
                found.extend(nearest_weekdays.iter().filter_map(|day| nearest(&all, *day)));
                found.into_iter().collect()
            }
            Self::OfWeek { days, last, nth } => {
                let is_meant = |date: &&Date| {
                    let weekday = number_of(date.weekday());
                    let is_last = usize::from(date.day()) + 7 > all.len();
                    days.contains(&weekday)
                        || (is_last && last.contains(&weekday))
                        || *nth == Some((weekday, u16::from((date.day() - 1) / 7 + 1)))
                };
                all.iter().filter(is_meant).copied().collect()
            }
        }
    }
}

/// The day from Monday to Friday that is nearest to a day of a month, in that month.
fn nearest(month: &[Date], day: u16) -> Option<Date> {
    let at = usize::from(day).checked_sub(1)?;
    let date = month.get(at)?;
    let (first, second) = match date.weekday() {
        Weekday::Saturday => (at.checked_sub(1), at + 2),
        Weekday::Sunday => (Some(at + 1), at.saturating_sub(2)),
        _ => return Some(*date),
    };
    first.and_then(|at| month.get(at)).or_else(|| month.get(second)).copied()
}

#[cfg(test)]
mod tests {
    use time::{format_description::well_known::Rfc3339, macros::datetime};

    use super::*;

    /// The next times from a time on.
    fn next(fields: &str, from: OffsetDateTime, count: usize) -> Vec<String> {
        let cron = Cron::parse(fields).unwrap();
        let mut at = from.unix_timestamp() * 1000;
        let times = std::iter::from_fn(|| {
            at = cron.next_after(at)?;
            Some(OffsetDateTime::from_unix_timestamp(at / 1000).unwrap().format(&Rfc3339).unwrap())
        });
        times.take(count).collect()
    }

    #[test]
    fn the_examples_of_the_documentation() {
        // A Friday.
        let from = datetime!(2026-11-27 07:30:30 UTC);
        for (fields, expected) in [
            ("0 10 * * ? *", vec!["2026-11-27T10:00:00Z", "2026-11-28T10:00:00Z"]),
            ("15 12 * * ? *", vec!["2026-11-27T12:15:00Z", "2026-11-28T12:15:00Z"]),
            ("0 18 ? * MON-FRI *", vec!["2026-11-27T18:00:00Z", "2026-11-30T18:00:00Z"]),
            ("0 8 1 * ? *", vec!["2026-12-01T08:00:00Z", "2027-01-01T08:00:00Z"]),
            ("0/15 * * * ? *", vec!["2026-11-27T07:45:00Z", "2026-11-27T08:00:00Z"]),
            ("0/10 * ? * MON-FRI *", vec!["2026-11-27T07:40:00Z", "2026-11-27T07:50:00Z"]),
            ("0/5 8-17 ? * MON-FRI *", vec!["2026-11-27T08:00:00Z", "2026-11-27T08:05:00Z"]),
            ("0 9 ? * 2#1 *", vec!["2026-12-07T09:00:00Z", "2027-01-04T09:00:00Z"]),
            ("15 10 ? * 6L 2026-2027", vec!["2026-11-27T10:15:00Z", "2026-12-25T10:15:00Z"]),
            ("0 0 L * ? *", vec!["2026-11-30T00:00:00Z", "2026-12-31T00:00:00Z"]),
            ("0 0 LW * ? *", vec!["2026-11-30T00:00:00Z", "2026-12-31T00:00:00Z", "2027-01-29T00:00:00Z"]),
            // The 3rd is a Sunday in January, the 1st a Saturday in May: not in the month before.
            ("0 0 3W 1 ? *", vec!["2027-01-04T00:00:00Z"]),
            ("0 0 1W 5 ? 2027", vec!["2027-05-03T00:00:00Z"]),
            ("0 0 31W 1 ? 2027", vec!["2027-01-29T00:00:00Z"]),
            ("0 0 ? * L *", vec!["2026-11-28T00:00:00Z", "2026-12-05T00:00:00Z"]),
            ("0 0 ? * SUN,wed *", vec!["2026-11-29T00:00:00Z", "2026-12-02T00:00:00Z"]),
            ("59 23 31 dec ? 2026", vec!["2026-12-31T23:59:00Z"]),
            ("0 0 29 2 ? *", vec!["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
            ("0 22-2/2 * * ? *", vec!["2026-11-27T22:00:00Z", "2026-11-28T00:00:00Z", "2026-11-28T02:00:00Z"]),
            ("31 7 27 11 ? 2026", vec!["2026-11-27T07:31:00Z"]),
        ] {
            assert_eq!(next(fields, from, expected.len()), expected, "{fields}");
        }
        // The minute that has begun is over.
        assert_eq!(next("30 7 27 11 ? *", from, 1), ["2027-11-27T07:30:00Z"]);
        for never in ["0 0 31 2 ? *", "0 0 1 1 ? 2026", "0 0 30W 2 ? *", "0 0 ? 2 1#5 2027-2030"] {
            assert_eq!(next(never, from, 1), Vec::<String>::new(), "{never}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for fields in [
            "",
            "* * * * *",
            "* * * * * *",
            "* * ? * ? *",
            "* * 1 * 1 *",
            "* * * * ? * *",
            "60 * * * ? *",
            "* 24 * * ? *",
            "* * 0 * ? *",
            "* * 32 * ? *",
            "* * * 0 ? *",
            "* * * 13 ? *",
            "* * ? * 0 *",
            "* * ? * 8 *",
            "* * * * ? 1969",
            "* * * * ? 2200",
            "1-2-3 * * * ? *",
            "*/0 * * * ? *",
            "*/60 * * * ? *",
            "a * * * ? *",
            "1, * * * ? *",
            "? * * * ? *",
            "* * * JANU ? *",
            "* * ? * 2#6 *",
            "* * ? * 2#0 *",
            "* * ? * 2#1,3#1 *",
            "* * W * ? *",
            "* * ? * 2W *",
            "* L * * ? *",
            "* * * * ? 2030-2020",
            "-1 * * * ? *",
            "+1 * * * ? *",
            "٣ * * * ? *",
        ] {
            assert!(Cron::parse(fields).is_err(), "{fields}");
        }
    }

    /// Compared with trying each minute of weeks.
    #[test]
    fn no_minute_is_left_out() {
        let begin = datetime!(2028-02-20 00:00 UTC);
        for fields in ["*/7 3-5 */3 * ? *", "5,17 */6 ? * MON,6L,3 *", "0 0 L,1W,15 2,3 ? 2028"] {
            let cron = Cron::parse(fields).unwrap();
            let mut expected = Vec::new();
            for minute in 0..21 * 24 * 60 {
                let time = begin + time::Duration::minutes(minute);
                let is_day = cron.days.in_month(2028, u16::from(u8::from(time.month()))).contains(&time.date());
                let is_time =
                    cron.hours.contains(&u16::from(time.hour())) && cron.minutes.contains(&u16::from(time.minute()));
                if is_day && is_time && cron.months.contains(&u16::from(u8::from(time.month()))) {
                    expected.push(time.unix_timestamp() * 1000);
                }
            }
            let (mut at, mut found) = (begin.unix_timestamp() * 1000 - 1, Vec::new());
            while let Some(time) = cron.next_after(at).filter(|_| found.len() < expected.len()) {
                found.push(time);
                at = time;
            }
            assert!(!expected.is_empty());
            assert_eq!(found, expected, "{fields}");
        }
    }
}
