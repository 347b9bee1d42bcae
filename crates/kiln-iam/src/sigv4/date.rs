//! The two date forms that signatures use.

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset, macros::format_description};

/// What `X-Amz-Date` looks like, for error texts.
pub const DATE_FORMAT_EXAMPLE: &str = "20150830T123600Z";

/// A time as signatures write it: `20150830T123600Z`.
#[must_use]
pub fn amz_date(time: OffsetDateTime) -> String {
    let time = time.to_offset(UtcOffset::UTC);
    let (hour, minute, second) = time.to_hms();
    format!("{}T{hour:02}{minute:02}{second:02}Z", day(time))
}

/// The day of a scope: `20150830`.
pub(super) fn day(time: OffsetDateTime) -> String {
    let time = time.to_offset(UtcOffset::UTC);
    format!("{:04}{:02}{:02}", time.year(), u8::from(time.month()), time.day())
}

/// Reads `20150830T123600Z` and nothing else: no separators, no fraction, no offset.
pub(super) fn parse_amz_date(text: &str) -> Option<OffsetDateTime> {
    let bytes = text.as_bytes();
    if bytes.len() != DATE_FORMAT_EXAMPLE.len() || bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let number = |range: std::ops::Range<usize>| -> Option<u16> {
        let digits = &bytes[range];
        digits
            .iter()
            .all(u8::is_ascii_digit)
            .then(|| digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')))
    };
    let part = |range| number(range).and_then(|value| u8::try_from(value).ok());
    let date =
        Date::from_calendar_date(i32::from(number(0..4)?), Month::try_from(part(4..6)?).ok()?, part(6..8)?).ok()?;
    let time = Time::from_hms(part(9..11)?, part(11..13)?, part(13..15)?).ok()?;
    Some(PrimitiveDateTime::new(date, time).assume_utc())
}

/// Reads the value of a `Date` header: HTTP's form, or the one of `X-Amz-Date`, which some clients send there.
pub(super) fn parse_date_header(text: &str) -> Option<OffsetDateTime> {
    let http =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    parse_amz_date(text).or_else(|| PrimitiveDateTime::parse(text, http).ok().map(PrimitiveDateTime::assume_utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let time = parse_amz_date("20150830T123600Z").unwrap();
        assert_eq!(amz_date(time), "20150830T123600Z");
        assert_eq!(day(time), "20150830");
        assert_eq!(time.unix_timestamp(), 1_440_938_160);
        assert_eq!(parse_date_header("Sun, 30 Aug 2015 12:36:00 GMT"), Some(time));
        assert_eq!(parse_date_header("20150830T123600Z"), Some(time));
    }

    #[test]
    fn refuses_other_forms() {
        for text in [
            "",
            "20150830",
            "2015-08-30T12:36:00Z",
            "20150830T123600",
            "20150830t123600Z",
            "20150830T123600z",
            "20150830T123600.0Z",
            "20151330T123600Z",
            "20150230T123600Z",
            "20150830T243600Z",
            "20150830T126000Z",
            "+0150830T123600Z",
            "2015083\u{661}T12360Z",
        ] {
            assert_eq!(parse_amz_date(text), None, "{text}");
        }
    }
}
