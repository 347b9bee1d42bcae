//! Reading the values of a metric by periods.

use std::collections::BTreeMap;

use kiln_model::{ApiError, cloudwatch::StandardUnit};
use kiln_store::{StoreError, View, metadata::MetricKey};

use super::{
    invalid,
    level::{LEVELS, read},
    points::Points,
};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Periods of a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Periods {
    /// Begin of the first one, seconds.
    pub(super) start: i64,
    /// End, which is not part of it, seconds.
    pub(super) end: i64,
    /// Length, seconds.
    pub(super) period: i64,
}

/// Checks a period.
///
/// # Errors
/// `InvalidParameterValueException`.
pub(super) fn check_period(name: &str, period: i64) -> Result<(), ApiError> {
    let is_known = matches!(period, 1 | 5 | 10 | 20 | 30) || (period > 0 && period % 60 == 0);
    match is_known && period <= 86_400 * 455 {
        true => Ok(()),
        false => Err(invalid(format!(
            "The parameter {name} must be a value in the set [ 1, 5, 10, 20, 30 ] or a multiple of 60."
        ))),
    }
}

/// Where a stretch begins that is asked for: rounded down, the coarser the older it is (`GetMetricStatistics`).
pub(super) fn rounded_start(start_ms: i64, period: i64, now_ms: i64) -> i64 {
    let age = now_ms.saturating_sub(start_ms);
    let grid = match () {
        () if age > 63 * DAY_MS => 3600,
        () if age > 15 * DAY_MS => 300,
        () if period < 60 => period,
        () => 60,
    };
    let seconds = start_ms.div_euclid(1000);
    seconds - seconds.rem_euclid(grid)
}

/// Points by the begin of their period, seconds.
pub(super) type ByPeriod = BTreeMap<i64, Points>;

/// The values of a metric, apart by their units. Values that are kept only at a coarser resolution than the period are
/// not there.
pub(super) fn by_unit(
    view: &View<'_>,
    key: &MetricKey,
    unit: Option<StandardUnit>,
    periods: Periods,
) -> Result<BTreeMap<String, ByPeriod>, StoreError> {
    let mut found: BTreeMap<String, ByPeriod> = BTreeMap::new();
    let Some(metric) = view.metric(key)? else { return Ok(found) };
    let Periods { start, end, period } = periods;
    for level in LEVELS.iter().filter(|level| period % level.resolution == 0) {
        let (first, _) = level.place(start);
        for block in view.metric_blocks(metric.id, level.resolution, first, end)? {
            if unit.is_some_and(|unit| unit.as_str() != block.unit) {
                continue;
            }
            let mut series = found.remove(&block.unit).unwrap_or_default();
            for (slot, points) in read(&block)? {
                let time = block.start_s + i64::from(slot) * level.resolution;
                if (start..end).contains(&time) {
                    let begin = start + (time - start) / period * period;
                    series.entry(begin).and_modify(|known: &mut Points| known.merge(&points)).or_insert(points);
                }
            }
            found.insert(block.unit, series);
        }
    }
    found.retain(|_, series| !series.is_empty());
    Ok(found)
}

/// The same, of all units together.
pub(super) fn all(
    view: &View<'_>,
    key: &MetricKey,
    unit: Option<StandardUnit>,
    periods: Periods,
) -> Result<ByPeriod, StoreError> {
    let mut series = by_unit(view, key, unit, periods)?.into_values();
    let mut all = series.next().unwrap_or_default();
    for (begin, points) in series.flatten() {
        all.entry(begin).and_modify(|known| known.merge(&points)).or_insert(points);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_those_of_cloudwatch() {
        for period in [1, 5, 10, 20, 30, 60, 120, 86_400] {
            assert!(check_period("Period", period).is_ok(), "{period}");
        }
        for period in [0, -60, 2, 15, 45, 61, 90, i64::MAX, i64::MIN] {
            assert!(check_period("Period", period).is_err(), "{period}");
        }
    }

    #[test]
    fn old_starts_are_rounded_further() {
        let now = 1_795_000_000_000;
        let start = |age_days: i64, period| rounded_start(now - age_days * DAY_MS - 7_000, period, now);
        assert_eq!((start(0, 60) % 60, start(0, 10) % 10, start(0, 1)), (0, 0, now / 1000 - 7));
        assert_eq!((start(16, 60) % 300, start(70, 60) % 3600), (0, 0));
        assert!(start(0, 10) % 60 != 0, "a minute would leave values out");
    }
}
