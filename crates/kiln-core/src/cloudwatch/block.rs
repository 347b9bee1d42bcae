//! The points of a stretch of time as bytes.
//!
//! ```text
//! version 1 · for each slot that has points: slot (2 bytes) · kind (1 byte) · [sums] · [values]
//! sums:   count · sum · minimum · maximum          (8 bytes each; left out where they follow from the values)
//! values: how many (2 bytes) · value (8) · [count (8)] …  (counts are left out where all are 1)
//! ```

use std::collections::BTreeMap;

use super::points::{Points, Values};

const VERSION: u8 = 1;
const SUMS: u8 = 1;
const VALUES: u8 = 2;
const COUNTS: u8 = 4;
const ROUNDED: u8 = 8;

/// Points by their place in the block.
pub(super) type Slots = BTreeMap<u16, Points>;

/// Bytes that are no block of this version.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a block of points is malformed at byte {0}")]
pub(super) struct Malformed(usize);

pub(super) fn encode(slots: &Slots) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    let put = |bytes: &mut Vec<u8>, value: f64| bytes.extend(value.to_le_bytes());
    for (slot, points) in slots {
        bytes.extend(slot.to_le_bytes());
        let (values, rounded) = match &points.values {
            Values::Exact(values) => (Some(values), 0),
            Values::Rounded(values) => (Some(values), ROUNDED),
            Values::Unknown => (None, 0),
        };
        let follows = values.is_some_and(|values| {
            rounded == 0
                && Points::of(values.iter().copied()).is_some_and(|of| of.count == points.count && of.sum == points.sum)
        });
        let has_counts = values.is_some_and(|values| values.iter().any(|(_, count)| *count != 1.0));
        let mut kind = rounded;
        kind |= if follows { 0 } else { SUMS };
        kind |= if values.is_some() { VALUES } else { 0 };
        kind |= if has_counts { COUNTS } else { 0 };
        bytes.push(kind);
        if !follows {
            [points.count, points.sum, points.minimum, points.maximum].into_iter().for_each(|v| put(&mut bytes, v));
        }
        let Some(values) = values else { continue };
        bytes.extend(u16::try_from(values.len()).unwrap_or(u16::MAX).to_le_bytes());
        for (value, count) in values {
            put(&mut bytes, *value);
            if has_counts {
                put(&mut bytes, *count);
            }
        }
    }
    bytes
}

pub(super) fn decode(bytes: &[u8]) -> Result<Slots, Malformed> {
    let mut reader = Reader { bytes, at: 0 };
    let mut slots = Slots::new();
    if reader.byte()? != VERSION {
        return Err(Malformed(0));
    }
    while reader.at < bytes.len() {
        let begin = reader.at;
        let slot = reader.short()?;
        let kind = reader.byte()?;
        let sums = match kind & SUMS {
            0 => None,
            _ => Some([reader.number()?, reader.number()?, reader.number()?, reader.number()?]),
        };
        let mut values = None;
        if kind & VALUES != 0 {
            let count = reader.short()?;
            let mut read = Vec::with_capacity(usize::from(count).min(1024));
            for _ in 0..count {
                let value = reader.number()?;
                read.push((value, if kind & COUNTS == 0 { 1.0 } else { reader.number()? }));
            }
            values = Some(read);
        }
        let points = match (sums, values) {
            (None, Some(values)) => Points::of(values),
            (Some([count, sum, minimum, maximum]), values) => {
                let values = match values {
                    Some(values) if kind & ROUNDED != 0 => Values::Rounded(values),
                    Some(values) => Values::Exact(values),
                    None => Values::Unknown,
                };
                Some(Points { count, sum, minimum, maximum, values })
            }
            (None, None) => None,
        };
        slots.insert(slot, points.ok_or(Malformed(begin))?);
    }
    Ok(slots)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let found = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>()).ok_or(Malformed(self.at))?;
        self.at += N;
        Ok(*found)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn short(&mut self) -> Result<u16, Malformed> {
        self.take().map(u16::from_le_bytes)
    }

    fn number(&mut self) -> Result<f64, Malformed> {
        self.take().map(f64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn points() -> impl Strategy<Value = Points> {
        let value = prop_oneof![-1e9..1e9f64, (0..5i32).prop_map(f64::from)];
        let count = prop_oneof![Just(1.0), 0.5..100.0f64];
        prop_oneof![
            prop::collection::vec((value.clone(), count), 1..8).prop_map(|values| Points::of(values).unwrap()),
            (value.clone(), value).prop_map(|(a, b)| Points::of_set(3.0, a + 2.0 * b, a.min(b), a.max(b))),
            prop::collection::vec(1.0..1e6f64, 600..700)
                .prop_map(|values| Points::of(values.into_iter().map(|value| (value, 1.0))).unwrap()),
        ]
    }

    proptest! {
        #[test]
        fn blocks_come_back(slots in prop::collection::btree_map(0..3600u16, points(), 0..6)) {
            prop_assert_eq!(decode(&encode(&slots)), Ok(slots));
        }

        #[test]
        fn hostile_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(decode(&bytes));
            let mut versioned = vec![VERSION];
            versioned.extend(bytes);
            drop(decode(&versioned));
        }
    }

    #[test]
    fn one_value_takes_thirteen_bytes() {
        let slots = Slots::from([(7, Points::of([(42.0, 1.0)]).unwrap())]);
        assert_eq!(encode(&slots).len(), 1 + 13);
        for cut in 1..13 {
            assert!(decode(&encode(&slots)[..cut + 1]).is_err(), "{cut}");
        }
    }
}
