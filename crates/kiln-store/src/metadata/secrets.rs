//! Secrets of Secrets Manager and their versions.

#[cfg(test)]
mod tests;

use rusqlite::{Row, params};

use super::{
    projects::limit_column,
    records::{SecretRecord, SecretVersionRecord},
    rowsum::RowSum,
    view::{Tx, View},
};
use crate::StoreError;

const SECRET_COLUMNS: &str = "id, name, created_ms, delete_ms, doc, sum";
const VERSION_COLUMNS: &str = "secret, version, created_ms, sealed, doc, sum";

fn secret_sum(s: &SecretRecord) -> RowSum {
    RowSum::of("secrets").text(&s.id).text(&s.name).int(s.created_ms).maybe(s.delete_ms).text(&s.doc)
}

fn map_secret(row: &Row<'_>) -> rusqlite::Result<(SecretRecord, i64)> {
    let secret = SecretRecord {
        id: row.get(0)?,
        name: row.get(1)?,
        created_ms: row.get(2)?,
        delete_ms: row.get(3)?,
        doc: row.get(4)?,
    };
    Ok((secret, row.get(5)?))
}

fn secret_name(name: &str) -> String {
    format!("secret {name}")
}

fn version_sum(v: &SecretVersionRecord) -> RowSum {
    RowSum::of("secret_versions").text(&v.secret).text(&v.version).int(v.created_ms).bytes(&v.sealed).text(&v.doc)
}

fn map_version(row: &Row<'_>) -> rusqlite::Result<(SecretVersionRecord, i64)> {
    let version = SecretVersionRecord {
        secret: row.get(0)?,
        version: row.get(1)?,
        created_ms: row.get(2)?,
        sealed: row.get(3)?,
        doc: row.get(4)?,
    };
    Ok((version, row.get(5)?))
}

fn version_name(version: &SecretVersionRecord) -> String {
    format!("version {} of secret {}", version.version, version.secret)
}

impl View<'_> {
    /// A secret by its name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn secret(&self, name: &str) -> Result<Option<SecretRecord>, StoreError> {
        let sql = format!("SELECT {SECRET_COLUMNS} FROM secrets WHERE name = ?1");
        self.row(&sql, [name], map_secret)?.map(|row| self.verified_secret(row)).transpose()
    }

    /// A secret by its id: the name with the characters behind it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn secret_by_id(&self, id: &str) -> Result<Option<SecretRecord>, StoreError> {
        let sql = format!("SELECT {SECRET_COLUMNS} FROM secrets WHERE id = ?1");
        self.row(&sql, [id], map_secret)?.map(|row| self.verified_secret(row)).transpose()
    }

    /// A page of secrets, by name: at most `limit`, from behind the name `after`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn secrets(&self, after: Option<&str>, limit: usize) -> Result<Vec<SecretRecord>, StoreError> {
        let sql = format!("SELECT {SECRET_COLUMNS} FROM secrets WHERE name > ?1 ORDER BY name LIMIT ?2");
        let rows = self.rows(&sql, params![after.unwrap_or_default(), limit_column(limit)], map_secret)?;
        rows.into_iter().map(|row| self.verified_secret(row)).collect()
    }

    /// How many secrets there are (a quota).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn secret_count(&self) -> Result<i64, StoreError> {
        Ok(self.row("SELECT count(*) FROM secrets", [], |row| row.get(0))?.unwrap_or_default())
    }

    /// Secrets whose time of deletion has come; at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn secrets_to_delete(&self, now_ms: i64, limit: usize) -> Result<Vec<SecretRecord>, StoreError> {
        let sql = format!("SELECT {SECRET_COLUMNS} FROM secrets WHERE delete_ms <= ?1 ORDER BY delete_ms, id LIMIT ?2");
        let rows = self.rows(&sql, params![now_ms, limit_column(limit)], map_secret)?;
        rows.into_iter().map(|row| self.verified_secret(row)).collect()
    }

    fn verified_secret(&self, (secret, stored): (SecretRecord, i64)) -> Result<SecretRecord, StoreError> {
        self.verify(secret_sum(&secret), stored, || secret_name(&secret.name))?;
        Ok(secret)
    }

    /// A version of a secret, by the secret's id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn secret_version(&self, secret: &str, version: &str) -> Result<Option<SecretVersionRecord>, StoreError> {
        let sql = format!("SELECT {VERSION_COLUMNS} FROM secret_versions WHERE secret = ?1 AND version = ?2");
        self.row(&sql, [secret, version], map_version)?.map(|row| self.verified_version(row)).transpose()
    }

    /// All versions of a secret, oldest first, by the secret's id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn secret_versions(&self, secret: &str) -> Result<Vec<SecretVersionRecord>, StoreError> {
        let sql =
            format!("SELECT {VERSION_COLUMNS} FROM secret_versions WHERE secret = ?1 ORDER BY created_ms, version");
        let rows = self.rows(&sql, [secret], map_version)?;
        rows.into_iter().map(|row| self.verified_version(row)).collect()
    }

    fn verified_version(
        &self,
        (version, stored): (SecretVersionRecord, i64),
    ) -> Result<SecretVersionRecord, StoreError> {
        self.verify(version_sum(&version), stored, || version_name(&version))?;
        Ok(version)
    }
}

impl Tx<'_> {
    /// Stores a secret that is not there yet.
    ///
    /// # Errors
    /// [`StoreError::Exists`], or when the database cannot be written.
    pub fn insert_secret(&mut self, secret: &SecretRecord) -> Result<(), StoreError> {
        let SecretRecord { id, name, created_ms, delete_ms, doc } = secret;
        self.insert(
            &format!("INSERT INTO secrets ({SECRET_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
            params![id, name, created_ms, delete_ms, doc, secret_sum(secret).finish()],
            || secret_name(name),
        )
    }

    /// Changes a secret that is there; its id, its name and its time of creation stay.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or when the database cannot be written.
    pub fn update_secret(&mut self, secret: &SecretRecord) -> Result<(), StoreError> {
        let SecretRecord { id, name, created_ms, delete_ms, doc } = secret;
        let changed = self.change(
            "UPDATE secrets SET delete_ms = ?4, doc = ?5, sum = ?6 WHERE id = ?1 AND name = ?2 AND created_ms = ?3",
            params![id, name, created_ms, delete_ms, doc, secret_sum(secret).finish()],
        )?;
        if changed == 1 { Ok(()) } else { Err(StoreError::NotFound(secret_name(name))) }
    }

    /// Deletes a secret with its versions; whether it was there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_secret(&mut self, id: &str) -> Result<bool, StoreError> {
        self.change("DELETE FROM secret_versions WHERE secret = ?1", [id])?;
        Ok(self.change("DELETE FROM secrets WHERE id = ?1", [id])? == 1)
    }

    /// Stores a version of a secret, in place of the one with the same id.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_secret_version(&mut self, version: &SecretVersionRecord) -> Result<(), StoreError> {
        let SecretVersionRecord { secret, version: id, created_ms, sealed, doc } = version;
        self.change(
            &format!("INSERT OR REPLACE INTO secret_versions ({VERSION_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
            params![secret, id, created_ms, sealed, doc, version_sum(version).finish()],
        )
        .map(drop)
    }

    /// Deletes a version of a secret; whether it was there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_secret_version(&mut self, secret: &str, version: &str) -> Result<bool, StoreError> {
        Ok(self.change("DELETE FROM secret_versions WHERE secret = ?1 AND version = ?2", [secret, version])? == 1)
    }
}

/// Checks every row; used by the whole check of a database.
pub(super) fn check(view: &View<'_>, found: &mut Vec<String>) -> Result<(), StoreError> {
    let mut bad = |sum: RowSum, stored: i64, what: String| {
        if sum.finish() != stored {
            found.push(format!("{what} is not what was stored"));
        }
    };
    view.each(&format!("SELECT {SECRET_COLUMNS} FROM secrets"), |row| {
        let (secret, stored) = map_secret(row)?;
        bad(secret_sum(&secret), stored, secret_name(&secret.name));
        Ok(())
    })?;
    view.each(&format!("SELECT {VERSION_COLUMNS} FROM secret_versions"), |row| {
        let (version, stored) = map_version(row)?;
        bad(version_sum(&version), stored, version_name(&version));
        Ok(())
    })
}
