//! Resolutions, and how long values are kept at each (as CloudWatch keeps them): values of a second for 3 hours, of a
//! minute for 15 days, of 5 minutes for 63 days, of an hour for 455 days.

use std::collections::BTreeMap;

use kiln_store::{
    StoreError, Tx,
    metadata::{MetricBlockRecord, MetricKey},
};

use super::{
    block::{self, Slots},
    points::Points,
};
use crate::{core::Inner, runners::Runners};

/// A resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    /// Seconds that a point stands for.
    pub(super) resolution: i64,
    /// Seconds that a block spans.
    pub(super) span: i64,
    /// Seconds after which values go into the next level.
    keep: i64,
}

const DAY: i64 = 24 * 60 * 60;

/// All of them, the finest first. A block is written anew with each value that comes into it: those that are written to, the
/// first two, are short.
pub(super) const LEVELS: [Level; 4] = [
    Level { resolution: 1, span: 60, keep: 3 * 60 * 60 },
    Level { resolution: 60, span: 300, keep: 15 * DAY },
    Level { resolution: 300, span: DAY / 4, keep: 63 * DAY },
    Level { resolution: 3600, span: 10 * DAY, keep: 455 * DAY },
];

/// Blocks that move in one transaction.
const BATCH: usize = 100;
/// Metrics without values go after two weeks, when no list shows them any more.
const EMPTY_MS: i64 = 14 * DAY * 1000;

impl Level {
    /// The one that values are put with.
    pub(super) fn of_storage(is_high: bool) -> Self {
        if is_high { LEVELS[0] } else { LEVELS[1] }
    }

    /// Where the block begins that has a time, in seconds, and its slot there.
    pub(super) fn place(self, seconds: i64) -> (i64, u16) {
        let start = seconds - seconds.rem_euclid(self.span);
        (start, u16::try_from((seconds - start) / self.resolution).unwrap_or(u16::MAX))
    }
}

/// Adds points to a block of a metric.
pub(super) fn add(
    tx: &mut Tx<'_>,
    metric: i64,
    level: Level,
    start_s: i64,
    unit: &str,
    more: &Slots,
) -> Result<(), StoreError> {
    let stored = tx.metric_block(metric, level.resolution, start_s, unit)?;
    let mut slots = stored.map(|block| read(&block)).transpose()?.unwrap_or_default();
    for (slot, points) in more {
        merge(&mut slots, *slot, points);
    }
    let data = block::encode(&slots);
    tx.put_metric_block(&MetricBlockRecord {
        metric,
        resolution: level.resolution,
        start_s,
        unit: unit.to_owned(),
        data,
    })
}

/// The points of a stored block.
pub(super) fn read(block: &MetricBlockRecord) -> Result<Slots, StoreError> {
    block::decode(&block.data).map_err(|e| StoreError::Invalid(format!("metric {}: {e}", block.metric)))
}

pub(super) fn merge(slots: &mut Slots, slot: u16, points: &Points) {
    slots.entry(slot).and_modify(|known| known.merge(points)).or_insert_with(|| points.clone());
}

/// Adds points of metrics, each with its time in milliseconds.
pub(super) fn store(
    tx: &mut Tx<'_>,
    key: &MetricKey,
    unit: &str,
    is_high: bool,
    values: &[(i64, Points)],
    now_ms: i64,
) -> Result<(), StoreError> {
    // A row that is written for each value would cost more than the value.
    const ROUGH_MS: i64 = 5 * 60 * 1000;
    let Some(newest) = values.iter().map(|(time, _)| (*time).min(now_ms)).max() else { return Ok(()) };
    let newest = newest - newest.rem_euclid(ROUGH_MS);
    let metric = match tx.metric(key)? {
        Some(mut known) => {
            if known.newest_ms < newest {
                known.newest_ms = newest;
                tx.update_metric(&known)?;
            }
            known
        }
        None => tx.insert_metric(key, newest)?,
    };
    let level = Level::of_storage(is_high);
    let mut blocks: BTreeMap<i64, Slots> = BTreeMap::new();
    for (time, points) in values {
        let (start, slot) = level.place(time.div_euclid(1000));
        merge(blocks.entry(start).or_default(), slot, points);
    }
    blocks.iter().try_for_each(|(start, slots)| add(tx, metric.id, level, *start, unit, slots))
}

/// Moves values whose time at a level is over into the next one, and removes those whose time is over; how many blocks.
pub(crate) fn roll_up<R: Runners>(inner: &Inner<R>) -> Result<usize, StoreError> {
    let now_s = inner.now().div_euclid(1000);
    let mut count = 0;
    for (at, level) in LEVELS.into_iter().enumerate() {
        let next = LEVELS.get(at + 1).copied();
        // Blocks that end later are not over.
        let before = now_s - level.keep - level.span;
        while !inner.is_stopping() {
            let moved = inner.metadata.write_blocking(move |tx| {
                let old = tx.metric_blocks_before(level.resolution, before, BATCH)?;
                for block in &old {
                    if let Some(next) = next {
                        coarsen(tx, block, next)?;
                    }
                    tx.delete_metric_block(block)?;
                }
                Ok(old.len())
            })?;
            count += moved;
            if moved < BATCH {
                break;
            }
        }
    }
    let empty = inner.now() - EMPTY_MS;
    while !inner.is_stopping()
        && inner.metadata.write_blocking(move |tx| tx.delete_empty_metrics(empty, BATCH))? == BATCH
    {}
    Ok(count)
}

/// Adds what a block has to the blocks of a coarser level.
fn coarsen(tx: &mut Tx<'_>, block: &MetricBlockRecord, into: Level) -> Result<(), StoreError> {
    let mut blocks: BTreeMap<i64, Slots> = BTreeMap::new();
    for (slot, points) in read(block)? {
        let (start, slot) = into.place(block.start_s + i64::from(slot) * block.resolution);
        merge(blocks.entry(start).or_default(), slot, &points);
    }
    blocks.iter().try_for_each(|(start, slots)| add(tx, block.metric, into, *start, &block.unit, slots))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_fit_into_each_other() {
        for pair in LEVELS.windows(2) {
            assert_eq!(pair[1].resolution % pair[0].resolution, 0);
            assert!(pair[1].keep > pair[0].keep + pair[0].span);
        }
        for level in LEVELS {
            assert_eq!(level.span % level.resolution, 0);
            assert!(level.span / level.resolution <= 3600);
            for seconds in [0, 1, -1, 1_795_000_123, level.span - 1] {
                let (start, slot) = level.place(seconds);
                let time = start + i64::from(slot) * level.resolution;
                assert!(start % level.span == 0 && time <= seconds && seconds < time + level.resolution);
            }
        }
    }

    #[test]
    fn no_value_is_lost_or_doubled_on_its_way_to_an_hour() {
        let dir = tempfile::tempdir().unwrap();
        let store = kiln_store::Metadata::open(dir.path()).unwrap();
        let key = MetricKey { namespace: "n".to_owned(), name: "m".to_owned(), dimensions: "[]".to_owned() };
        let values: Vec<_> = (0..2000).map(|n| (n * 7_300, Points::of([(n as f64, 1.0)]).unwrap())).collect();
        let all = values.clone();
        store.write_blocking(move |tx| super::store(tx, &key, "Count", true, &all, 1 << 50)).unwrap();
        for pair in LEVELS.windows(2) {
            let (level, next) = (pair[0], pair[1]);
            store
                .write_blocking(move |tx| {
                    for block in tx.metric_blocks_before(level.resolution, i64::MAX, 1000)? {
                        coarsen(tx, &block, next)?;
                        tx.delete_metric_block(&block)?;
                    }
                    Ok(())
                })
                .unwrap();
        }
        let blocks = store.read(|v| v.metric_blocks(1, 3600, 0, i64::MAX)).unwrap();
        let slots = read(&blocks[0]).unwrap();
        let mut sum = 0.0;
        for (slot, points) in &slots {
            let hour = i64::from(*slot);
            let expected: Vec<f64> =
                values.iter().filter(|(ms, _)| ms / 3_600_000 == hour).map(|(_, points)| points.sum).collect();
            assert_eq!((points.count, points.sum), (expected.len() as f64, expected.iter().sum::<f64>()));
            sum += points.count;
        }
        assert_eq!((blocks.len(), slots.len(), sum), (1, 5, 2000.0));
    }
}
