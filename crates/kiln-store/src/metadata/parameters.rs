//! Parameters of Parameter Store and their versions.

#[cfg(test)]
mod tests;

use rusqlite::{Row, params};

use super::{
    projects::limit_column,
    records::{ParameterRecord, ParameterVersionRecord},
    rowsum::RowSum,
    view::{Tx, View},
};
use crate::StoreError;

const COLUMNS: &str = "name, newest, doc, sum";
const VERSION_COLUMNS: &str = "name, version, created_ms, sealed, doc, sum";

fn parameter_sum(p: &ParameterRecord) -> RowSum {
    RowSum::of("parameters").text(&p.name).int(p.newest).text(&p.doc)
}

fn map_parameter(row: &Row<'_>) -> rusqlite::Result<(ParameterRecord, i64)> {
    Ok((ParameterRecord { name: row.get(0)?, newest: row.get(1)?, doc: row.get(2)? }, row.get(3)?))
}

fn parameter_name(name: &str) -> String {
    format!("parameter {name}")
}

fn version_sum(v: &ParameterVersionRecord) -> RowSum {
    RowSum::of("parameter_versions").text(&v.name).int(v.version).int(v.created_ms).bytes(&v.sealed).text(&v.doc)
}

fn map_version(row: &Row<'_>) -> rusqlite::Result<(ParameterVersionRecord, i64)> {
    let version = ParameterVersionRecord {
        name: row.get(0)?,
        version: row.get(1)?,
        created_ms: row.get(2)?,
        sealed: row.get(3)?,
        doc: row.get(4)?,
    };
    Ok((version, row.get(5)?))
}

fn version_name(version: &ParameterVersionRecord) -> String {
    format!("version {} of parameter {}", version.version, version.name)
}

impl View<'_> {
    /// A parameter by its name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn parameter(&self, name: &str) -> Result<Option<ParameterRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM parameters WHERE name = ?1");
        self.row(&sql, [name], map_parameter)?.map(|row| self.verified_parameter(row)).transpose()
    }

    /// A page of the parameters whose names begin with `prefix`, by name: at most `limit`, from behind the name `after`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn parameters(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ParameterRecord>, StoreError> {
        // Names are ASCII: what begins with a text lies between it and it with the highest of all characters behind.
        let sql = format!(
            "SELECT {COLUMNS} FROM parameters WHERE name > ?1 AND name >= ?2 AND name < ?2 || ?4 ORDER BY name LIMIT ?3"
        );
        let with = params![after.unwrap_or_default(), prefix, limit_column(limit), "\u{10ffff}"];
        let rows = self.rows(&sql, with, map_parameter)?;
        rows.into_iter().map(|row| self.verified_parameter(row)).collect()
    }

    /// How many parameters there are (a quota).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn parameter_count(&self) -> Result<i64, StoreError> {
        Ok(self.row("SELECT count(*) FROM parameters", [], |row| row.get(0))?.unwrap_or_default())
    }

    fn verified_parameter(&self, (parameter, stored): (ParameterRecord, i64)) -> Result<ParameterRecord, StoreError> {
        self.verify(parameter_sum(&parameter), stored, || parameter_name(&parameter.name))?;
        Ok(parameter)
    }

    /// A version of a parameter.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn parameter_version(&self, name: &str, version: i64) -> Result<Option<ParameterVersionRecord>, StoreError> {
        let sql = format!("SELECT {VERSION_COLUMNS} FROM parameter_versions WHERE name = ?1 AND version = ?2");
        self.row(&sql, params![name, version], map_version)?.map(|row| self.verified_parameter_version(row)).transpose()
    }

    /// A page of the versions of a parameter, oldest first: at most `limit`, from behind the version `after`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn parameter_versions(
        &self,
        name: &str,
        after: i64,
        limit: usize,
    ) -> Result<Vec<ParameterVersionRecord>, StoreError> {
        let sql = format!(
            "SELECT {VERSION_COLUMNS} FROM parameter_versions WHERE name = ?1 AND version > ?2 ORDER BY version LIMIT ?3"
        );
        let rows = self.rows(&sql, params![name, after, limit_column(limit)], map_version)?;
        rows.into_iter().map(|row| self.verified_parameter_version(row)).collect()
    }

    fn verified_parameter_version(
        &self,
        (version, stored): (ParameterVersionRecord, i64),
    ) -> Result<ParameterVersionRecord, StoreError> {
        self.verify(version_sum(&version), stored, || version_name(&version))?;
        Ok(version)
    }
}

impl Tx<'_> {
    /// Stores a parameter, in place of the one with the same name, whose versions stay.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_parameter(&mut self, parameter: &ParameterRecord) -> Result<(), StoreError> {
        let ParameterRecord { name, newest, doc } = parameter;
        self.change(
            &format!(
                "INSERT INTO parameters ({COLUMNS}) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (name) DO UPDATE SET newest = excluded.newest, doc = excluded.doc, sum = excluded.sum"
            ),
            params![name, newest, doc, parameter_sum(parameter).finish()],
        )
        .map(drop)
    }

    /// Deletes a parameter with its versions; whether it was there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_parameter(&mut self, name: &str) -> Result<bool, StoreError> {
        self.change("DELETE FROM parameter_versions WHERE name = ?1", [name])?;
        Ok(self.change("DELETE FROM parameters WHERE name = ?1", [name])? == 1)
    }

    /// Stores a version of a parameter that is not there yet. The parameter must exist.
    ///
    /// # Errors
    /// [`StoreError::Exists`], or when the database cannot be written.
    pub fn insert_parameter_version(&mut self, version: &ParameterVersionRecord) -> Result<(), StoreError> {
        let ParameterVersionRecord { name, version: number, created_ms, sealed, doc } = version;
        self.insert(
            &format!("INSERT INTO parameter_versions ({VERSION_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
            params![name, number, created_ms, sealed, doc, version_sum(version).finish()],
            || version_name(version),
        )
    }

    /// Deletes a version of a parameter; whether it was there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_parameter_version(&mut self, name: &str, version: i64) -> Result<bool, StoreError> {
        let sql = "DELETE FROM parameter_versions WHERE name = ?1 AND version = ?2";
        Ok(self.change(sql, params![name, version])? == 1)
    }
}

/// Checks every row; used by the whole check of a database.
pub(super) fn check(view: &View<'_>, found: &mut Vec<String>) -> Result<(), StoreError> {
    let mut bad = |sum: RowSum, stored: i64, what: String| {
        if sum.finish() != stored {
            found.push(format!("{what} is not what was stored"));
        }
    };
    view.each(&format!("SELECT {COLUMNS} FROM parameters"), |row| {
        let (parameter, stored) = map_parameter(row)?;
        bad(parameter_sum(&parameter), stored, parameter_name(&parameter.name));
        Ok(())
    })?;
    view.each(&format!("SELECT {VERSION_COLUMNS} FROM parameter_versions"), |row| {
        let (version, stored) = map_version(row)?;
        bad(version_sum(&version), stored, version_name(&version));
        Ok(())
    })?;
    // The newest version of a parameter is there.
    view.each(
        "SELECT parameters.name FROM parameters LEFT JOIN parameter_versions \
         ON parameter_versions.name = parameters.name AND parameter_versions.version = parameters.newest \
         WHERE parameter_versions.version IS NULL",
        |row| {
            found.push(format!("{} has no value", parameter_name(&row.get::<_, String>(0)?)));
            Ok(())
        },
    )
}
