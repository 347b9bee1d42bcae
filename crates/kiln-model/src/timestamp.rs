//! Points in time as the API writes them (`api.md` 1.2).

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Milliseconds since 1970-01-01T00:00:00Z. In JSON a number of seconds with a fraction, e.g. `1556839783.274`: never a
/// string, at which the SDK for Go gives up (`api.md` 1.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The time so many milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(milliseconds: i64) -> Self {
        Self(milliseconds)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds from `earlier` to here, rounded down, 0 when `earlier` is later: `durationInSeconds` of a phase
    /// (`buildspec.md` 4.1).
    #[must_use]
    pub fn seconds_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0).max(0) / 1000
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Milliseconds of any year up to 10,000 are below 2^53: the quotient is the double nearest to the decimal
        // fraction, and its shortest form has at most three decimals.
        #[expect(clippy::cast_precision_loss, reason = "exact for every time that a build can have")]
        let seconds = self.0 as f64 / 1000.0;
        serializer.serialize_f64(seconds)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Timestamp;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number of seconds since 1970")
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Timestamp, E> {
                seconds.checked_mul(1000).map(Timestamp).ok_or_else(|| E::custom("a time out of range"))
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Timestamp, E> {
                i64::try_from(seconds).map_err(|_| E::custom("a time out of range")).and_then(|s| self.visit_i64(s))
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Timestamp, E> {
                let milliseconds = (seconds * 1000.0).round();
                // Beyond 2^53 a double no longer counts milliseconds.
                if !milliseconds.is_finite() || milliseconds.abs() > 9_007_199_254_740_992.0 {
                    return Err(E::custom("a time out of range"));
                }
                #[expect(clippy::cast_possible_truncation, reason = "an integer within ±2^53")]
                Ok(Timestamp(milliseconds as i64))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_a_number_of_seconds() {
        for (milliseconds, text) in
            [(1_556_839_783_274, "1556839783.274"), (1_760_000_074_800, "1760000074.8"), (0, "0.0"), (1, "0.001")]
        {
            let time = Timestamp::from_millis(milliseconds);
            assert_eq!(serde_json::to_string(&time).unwrap(), text);
            assert_eq!(serde_json::from_str::<Timestamp>(text).unwrap(), time);
        }
        assert_eq!(serde_json::from_str::<Timestamp>("1556839783").unwrap().millis(), 1_556_839_783_000);
        for bad in ["\"2019-05-02\"", "1e300", "null", "18446744073709551615"] {
            assert!(serde_json::from_str::<Timestamp>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_millisecond_survives() {
        for n in 0..100_000_i64 {
            let time = Timestamp::from_millis(1_795_000_000_000 + n * 7919);
            let text = serde_json::to_string(&time).unwrap();
            assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), time, "{text}");
        }
    }

    #[test]
    fn durations_are_floors() {
        let time = Timestamp::from_millis;
        assert_eq!(time(34_999).seconds_since(time(0)), 34);
        assert_eq!(time(0).seconds_since(time(5)), 0);
    }
}
