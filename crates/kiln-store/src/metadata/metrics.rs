//! Metrics of CloudWatch, and blocks of their points. What is in a block only its owner knows.

#[cfg(test)]
mod tests;

use rusqlite::{Row, params};

use super::{
    projects::limit_column,
    records::{MetricBlockRecord, MetricKey, MetricRecord},
    rowsum::RowSum,
    view::{Tx, View},
};
use crate::StoreError;

const COLUMNS: &str = "id, namespace, name, dimensions, newest_ms, sum";
const BLOCK_COLUMNS: &str = "metric, resolution, start_s, unit, data, sum";

fn metric_sum(m: &MetricRecord) -> RowSum {
    RowSum::of("metrics").int(m.id).text(&m.key.namespace).text(&m.key.name).text(&m.key.dimensions).int(m.newest_ms)
}

fn map_metric(row: &Row<'_>) -> rusqlite::Result<(MetricRecord, i64)> {
    let key = MetricKey { namespace: row.get(1)?, name: row.get(2)?, dimensions: row.get(3)? };
    Ok((MetricRecord { id: row.get(0)?, key, newest_ms: row.get(4)? }, row.get(5)?))
}

fn metric_name(metric: &MetricRecord) -> String {
    format!("metric {} {} {}", metric.key.namespace, metric.key.name, metric.key.dimensions)
}

fn block_sum(b: &MetricBlockRecord) -> RowSum {
    RowSum::of("metric_blocks").int(b.metric).int(b.resolution).int(b.start_s).text(&b.unit).bytes(&b.data)
}

fn map_block(row: &Row<'_>) -> rusqlite::Result<(MetricBlockRecord, i64)> {
    let block = MetricBlockRecord {
        metric: row.get(0)?,
        resolution: row.get(1)?,
        start_s: row.get(2)?,
        unit: row.get(3)?,
        data: row.get(4)?,
    };
    Ok((block, row.get(5)?))
}

fn block_name(block: &MetricBlockRecord) -> String {
    format!("the points of metric {} from {} on, one in {} s", block.metric, block.start_s, block.resolution)
}

impl View<'_> {
    /// A metric.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn metric(&self, key: &MetricKey) -> Result<Option<MetricRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM metrics WHERE namespace = ?1 AND name = ?2 AND dimensions = ?3");
        let with = params![key.namespace, key.name, key.dimensions];
        self.row(&sql, with, map_metric)?.map(|row| self.verified_metric(row)).transpose()
    }

    /// A page of the metrics of a namespace and of a name, or of all, in the order of their keys: at most `limit`, from
    /// behind `after`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn metrics(
        &self,
        namespace: Option<&str>,
        name: Option<&str>,
        after: Option<&MetricKey>,
        limit: usize,
    ) -> Result<Vec<MetricRecord>, StoreError> {
        let nothing = MetricKey::default();
        let after = after.unwrap_or(&nothing);
        // Within a namespace the list begins there: it is not read from the first namespace on.
        let from = namespace.map_or(after.namespace.as_str(), |namespace| namespace.max(&after.namespace));
        let sql = format!(
            "SELECT {COLUMNS} FROM metrics WHERE (namespace, name, dimensions) > (?1, ?2, ?3) AND namespace >= ?4 \
             AND (?5 IS NULL OR namespace <= ?5) AND (?6 IS NULL OR name = ?6) ORDER BY namespace, name, dimensions LIMIT ?7"
        );
        let with = params![after.namespace, after.name, after.dimensions, from, namespace, name, limit_column(limit)];
        let rows = self.rows(&sql, with, map_metric)?;
        rows.into_iter().map(|row| self.verified_metric(row)).collect()
    }

    /// How many metrics there are (a limit).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn metric_count(&self) -> Result<i64, StoreError> {
        Ok(self.row("SELECT count(*) FROM metrics", [], |row| row.get(0))?.unwrap_or_default())
    }

    fn verified_metric(&self, (metric, stored): (MetricRecord, i64)) -> Result<MetricRecord, StoreError> {
        self.verify(metric_sum(&metric), stored, || metric_name(&metric))?;
        Ok(metric)
    }

    /// The blocks of a metric at a resolution that begin at `from_s` or later and before `to_s`, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn metric_blocks(
        &self,
        metric: i64,
        resolution: i64,
        from_s: i64,
        to_s: i64,
    ) -> Result<Vec<MetricBlockRecord>, StoreError> {
        let sql = format!(
            "SELECT {BLOCK_COLUMNS} FROM metric_blocks WHERE metric = ?1 AND resolution = ?2 AND start_s >= ?3 \
             AND start_s < ?4 ORDER BY start_s, unit"
        );
        let rows = self.rows(&sql, params![metric, resolution, from_s, to_s], map_block)?;
        rows.into_iter().map(|row| self.verified_block(row)).collect()
    }

    /// One block.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn metric_block(
        &self,
        metric: i64,
        resolution: i64,
        start_s: i64,
        unit: &str,
    ) -> Result<Option<MetricBlockRecord>, StoreError> {
        let sql = format!(
            "SELECT {BLOCK_COLUMNS} FROM metric_blocks WHERE metric = ?1 AND resolution = ?2 AND start_s = ?3 AND unit = ?4"
        );
        let found = self.row(&sql, params![metric, resolution, start_s, unit], map_block)?;
        found.map(|row| self.verified_block(row)).transpose()
    }

    /// Blocks of a resolution, of any metric, that begin before that time: at most `limit`, oldest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn metric_blocks_before(
        &self,
        resolution: i64,
        before_s: i64,
        limit: usize,
    ) -> Result<Vec<MetricBlockRecord>, StoreError> {
        let sql = format!(
            "SELECT {BLOCK_COLUMNS} FROM metric_blocks WHERE resolution = ?1 AND start_s < ?2 ORDER BY start_s LIMIT ?3"
        );
        let rows = self.rows(&sql, params![resolution, before_s, limit_column(limit)], map_block)?;
        rows.into_iter().map(|row| self.verified_block(row)).collect()
    }

    fn verified_block(&self, (block, stored): (MetricBlockRecord, i64)) -> Result<MetricBlockRecord, StoreError> {
        self.verify(block_sum(&block), stored, || block_name(&block))?;
        Ok(block)
    }
}

impl Tx<'_> {
    /// Makes a metric, which is not there yet; its record.
    ///
    /// # Errors
    /// [`StoreError::Exists`], or when the database cannot be written.
    pub fn insert_metric(&mut self, key: &MetricKey, newest_ms: i64) -> Result<MetricRecord, StoreError> {
        let MetricKey { namespace, name, dimensions } = key;
        self.insert(
            "INSERT INTO metrics (namespace, name, dimensions, newest_ms, sum) VALUES (?1, ?2, ?3, ?4, 0)",
            params![namespace, name, dimensions, newest_ms],
            || format!("metric {namespace} {name} {dimensions}"),
        )?;
        let metric = MetricRecord { id: self.db.last_insert_rowid(), key: key.clone(), newest_ms };
        self.update_metric(&metric)?;
        Ok(metric)
    }

    /// Stores when a metric had a point last.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn update_metric(&mut self, metric: &MetricRecord) -> Result<(), StoreError> {
        let sql = "UPDATE metrics SET newest_ms = ?2, sum = ?3 WHERE id = ?1";
        self.change(sql, params![metric.id, metric.newest_ms, metric_sum(metric).finish()]).map(drop)
    }

    /// Stores a block, in place of the one of the same metric, resolution, begin and unit.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_metric_block(&mut self, block: &MetricBlockRecord) -> Result<(), StoreError> {
        let MetricBlockRecord { metric, resolution, start_s, unit, data } = block;
        self.change(
            &format!(
                "INSERT INTO metric_blocks ({BLOCK_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
                 ON CONFLICT (metric, resolution, start_s, unit) DO UPDATE SET data = excluded.data, sum = excluded.sum"
            ),
            params![metric, resolution, start_s, unit, data, block_sum(block).finish()],
        )
        .map(drop)
    }

    /// Deletes a block; whether it was there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_metric_block(&mut self, block: &MetricBlockRecord) -> Result<bool, StoreError> {
        let sql = "DELETE FROM metric_blocks WHERE metric = ?1 AND resolution = ?2 AND start_s = ?3 AND unit = ?4";
        Ok(self.change(sql, params![block.metric, block.resolution, block.start_s, block.unit])? == 1)
    }

    /// Deletes at most `limit` metrics that have no point left and had none since `before_ms`; how many.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_empty_metrics(&mut self, before_ms: i64, limit: usize) -> Result<usize, StoreError> {
        self.change(
            "DELETE FROM metrics WHERE id IN (SELECT id FROM metrics WHERE newest_ms < ?1 AND NOT EXISTS \
             (SELECT 1 FROM metric_blocks WHERE metric = metrics.id) ORDER BY newest_ms LIMIT ?2)",
            params![before_ms, limit_column(limit)],
        )
    }
}

/// Checks every row; used by the whole check of a database.
pub(super) fn check(view: &View<'_>, found: &mut Vec<String>) -> Result<(), StoreError> {
    let mut bad = |sum: RowSum, stored: i64, what: String| {
        if sum.finish() != stored {
            found.push(format!("{what} is not what was stored"));
        }
    };
    view.each(&format!("SELECT {COLUMNS} FROM metrics"), |row| {
        let (metric, stored) = map_metric(row)?;
        bad(metric_sum(&metric), stored, metric_name(&metric));
        Ok(())
    })?;
    view.each(&format!("SELECT {BLOCK_COLUMNS} FROM metric_blocks"), |row| {
        let (block, stored) = map_block(row)?;
        bad(block_sum(&block), stored, block_name(&block));
        Ok(())
    })
}
