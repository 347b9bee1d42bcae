//! Numbers of any length, compared exactly.

use std::cmp::Ordering;

/// A decimal number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    is_negative: bool,
    /// Without leading zeros.
    whole: String,
    /// Without trailing zeros.
    fraction: String,
}

impl Decimal {
    /// Reads digits with an optional sign and fraction.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let is_number = !whole.is_empty()
            && (!fraction.is_empty() || !unsigned.contains('.'))
            && [whole, fraction].iter().all(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let is_zero = whole.is_empty() && fraction.is_empty();
        is_number.then(|| Self {
            is_negative: text.starts_with('-') && !is_zero,
            whole: whole.to_owned(),
            fraction: fraction.to_owned(),
        })
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let size = |number: &Self| (number.whole.len(), number.whole.clone(), number.fraction.clone());
        match (self.is_negative, other.is_negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => size(self).cmp(&size(other)),
            (true, true) => size(other).cmp(&size(self)),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers() {
        let sorted =
            ["-10.5", "-10.25", "-2", "-0.1", "0", "0.09", "0.1", "9", "10", "10.01", "10.1", "123456789012345678901"];
        for (at, left) in sorted.iter().enumerate() {
            for (other, right) in sorted.iter().enumerate() {
                let (left, right) = (Decimal::parse(left).unwrap(), Decimal::parse(right).unwrap());
                assert_eq!(left.cmp(&right), at.cmp(&other));
            }
        }
        assert_eq!(Decimal::parse("+010.50"), Decimal::parse("10.5"));
        assert_eq!(Decimal::parse("-0"), Decimal::parse("0.0"));
        for wrong in ["", "-", ".", "1.", ".5", "1e3", "0x1", "1 ", "NaN", "--1", "+-1", "1.2.3", "١"] {
            assert_eq!(Decimal::parse(wrong), None, "{wrong}");
        }
    }
}
