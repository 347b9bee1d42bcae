//! Checksums of rows: SQLite does not notice a flipped bit inside a value, Kiln must not serve it.

use crc32fast::Hasher;

/// Collects the columns of a row, in their order in the table.
#[derive(Debug)]
pub(super) struct RowSum(Hasher);

impl RowSum {
    /// For a row of `table`; the name keeps rows of different tables apart.
    pub(super) fn of(table: &str) -> Self {
        Self(Hasher::new()).text(table)
    }

    /// A text.
    pub(super) fn text(self, value: &str) -> Self {
        self.bytes(value.as_bytes())
    }

    /// Bytes; their length goes in too, so that values cannot run into each other.
    pub(super) fn bytes(mut self, value: &[u8]) -> Self {
        self.0.update(&(value.len() as u64).to_le_bytes());
        self.0.update(value);
        self
    }

    /// A number.
    pub(super) fn int(mut self, value: i64) -> Self {
        self.0.update(&value.to_le_bytes());
        self
    }

    /// A number that may be missing.
    pub(super) fn maybe(self, value: Option<i64>) -> Self {
        match value {
            Some(value) => self.int(1).int(value),
            None => self.int(0),
        }
    }

    /// What the column `sum` holds.
    pub(super) fn finish(self) -> i64 {
        i64::from(self.0.finalize())
    }
}
