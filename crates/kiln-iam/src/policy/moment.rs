//! Dates as conditions write them: ISO 8601 in several precisions, or seconds since 1970.

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

/// Reads a date: `2026`, `2026-11`, `2026-11-26`, `2026-11-26T10:20Z`, `2026-11-26T10:20:30.5+01:00`, `1795645200`. Four
/// digits are a year. Without an offset the time is UTC.
pub(super) fn parse(text: &str) -> Option<OffsetDateTime> {
    if !text.is_ascii() {
        return None;
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.len() != 4 && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return OffsetDateTime::from_unix_timestamp(text.parse().ok()?).ok();
    }
    let (date, time) = text.split_once(['T', 't']).map_or((text, None), |(date, time)| (date, Some(time)));
    let mut parts = date.split('-');
    let year = number(parts.next()?, 4)?;
    let month = parts.next().map_or(Some(1), |month| number(month, 2))?;
    let has_day = date.len() == 10;
    let day = parts.next().map_or(Some(1), |day| number(day, 2))?;
    if parts.next().is_some() {
        return None;
    }
    let date = Date::from_calendar_date(
        i32::try_from(year).ok()?,
        Month::try_from(u8::try_from(month).ok()?).ok()?,
        u8::try_from(day).ok()?,
    )
    .ok()?;
    let Some(time) = time else {
        return Some(PrimitiveDateTime::new(date, Time::MIDNIGHT).assume_utc());
    };
    if !has_day {
        return None;
    }
    let (time, offset) = offset(time)?;
    let clock = clock(time)?;
    // What lies outside of the years that there are is no date.
    let moment = PrimitiveDateTime::new(date, clock);
    moment.assume_utc().checked_sub(time::Duration::seconds(i64::from(offset.whole_seconds())))
}

/// Splits a zone off: `Z`, `+01:00`, `-0130`, `+01`, or nothing.
fn offset(text: &str) -> Option<(&str, UtcOffset)> {
    if let Some(time) = text.strip_suffix(['Z', 'z']) {
        return Some((time, UtcOffset::UTC));
    }
    let Some(at) = text.find(['+', '-']) else { return Some((text, UtcOffset::UTC)) };
    let (time, zone) = (text.get(..at)?, text.get(at + 1..)?);
    let (hours, minutes) = match zone.len() {
        2 => (zone, "00"),
        4 => (zone.get(..2)?, zone.get(2..)?),
        _ => zone.split_once(':')?,
    };
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = i32::try_from(hours * 3_600 + minutes * 60).ok()?;
    let sign = if text.as_bytes().get(at) == Some(&b'-') { -1 } else { 1 };
    Some((time, UtcOffset::from_whole_seconds(sign * seconds).ok()?))
}

/// `hh:mm`, `hh:mm:ss`, `hh:mm:ss.fraction`.
fn clock(text: &str) -> Option<Time> {
    let mut parts = text.split(':');
    let hour = number(parts.next()?, 2)?;
    let minute = number(parts.next()?, 2)?;
    let (second, fraction) = match parts.next() {
        None => ("00", ""),
        Some(second) => match second.split_once('.') {
            None => (second, ""),
            Some((_, "")) => return None,
            Some(parts) => parts,
        },
    };
    if parts.next().is_some() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanosecond = format!("{fraction:0<9}").parse().ok()?;
    let part = |value: u32| u8::try_from(value).ok();
    Time::from_hms_nano(part(hour)?, part(minute)?, part(number(second, 2)?)?, nanosecond).ok()
}

/// Exactly so many digits.
fn number(text: &str, digits: usize) -> Option<u32> {
    (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_in_every_precision() {
        let seconds = |text: &str| parse(text).map(OffsetDateTime::unix_timestamp);
        for (text, expected) in [
            ("1970", 0),
            ("1970-01", 0),
            ("1970-01-02", 86_400),
            ("1970-01-02T00:01Z", 86_460),
            ("1970-01-02T00:01:01", 86_461),
            ("1970-01-02T01:00:00+01:00", 86_400),
            ("1970-01-01T23:00:00-0100", 86_400),
            ("1970-01-02T00:00:00.999Z", 86_400),
            ("86400", 86_400),
            ("-1", -1),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for wrong in [
            "",
            "-",
            "19700101T000000Z",
            "1970-13-01",
            "1970-02-30",
            "1970-1-1",
            "1970-01T10:00Z",
            "1970-01-01T25:00Z",
            "1970-01-01T10Z",
            "1970-01-01T10:00:00.Z",
            "99999999999999999999",
            "1970-01-01 10:00",
            "tomorrow",
            "+5",
            "9999-12-31T23:59:59-23:59",
        ] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
        assert!(parse("2026-01-01T00:00:00.5Z") > parse("2026-01-01T00:00:00Z"));
    }
}
