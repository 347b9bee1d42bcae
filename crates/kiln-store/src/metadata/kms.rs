//! Keys of the Key Management Service as their users see them, their aliases and grants. The bytes of keys are in
//! `key_versions`.

#[cfg(test)]
mod tests;

use rusqlite::{Row, params};

use super::{
    projects::limit_column,
    records::{KmsAliasRecord, KmsGrantRecord, KmsKeyRecord, KmsKeyState},
    rowsum::RowSum,
    view::{Tx, View},
};
use crate::StoreError;

const KEY_COLUMNS: &str = "id, material, state, created_ms, delete_ms, rotate_ms, doc, sum";
const ALIAS_COLUMNS: &str = "name, key, created_ms, updated_ms, sum";
const GRANT_COLUMNS: &str = "id, key, retiring, created_ms, doc, sum";

fn key_sum(k: &KmsKeyRecord) -> RowSum {
    RowSum::of("kms_keys")
        .text(&k.id)
        .text(&k.material)
        .int(k.state.column())
        .int(k.created_ms)
        .maybe(k.delete_ms)
        .maybe(k.rotate_ms)
        .text(&k.doc)
}

fn map_key(row: &Row<'_>) -> rusqlite::Result<(KmsKeyRecord, i64)> {
    let state = row.get(2)?;
    let key = KmsKeyRecord {
        id: row.get(0)?,
        material: row.get(1)?,
        state: KmsKeyState::from_column(state).ok_or(rusqlite::Error::IntegralValueOutOfRange(2, state))?,
        created_ms: row.get(3)?,
        delete_ms: row.get(4)?,
        rotate_ms: row.get(5)?,
        doc: row.get(6)?,
    };
    Ok((key, row.get(7)?))
}

fn key_name(id: &str) -> String {
    format!("key {id}")
}

fn alias_sum(a: &KmsAliasRecord) -> RowSum {
    RowSum::of("kms_aliases").text(&a.name).text(&a.key).int(a.created_ms).int(a.updated_ms)
}

fn map_alias(row: &Row<'_>) -> rusqlite::Result<(KmsAliasRecord, i64)> {
    let alias =
        KmsAliasRecord { name: row.get(0)?, key: row.get(1)?, created_ms: row.get(2)?, updated_ms: row.get(3)? };
    Ok((alias, row.get(4)?))
}

fn grant_sum(g: &KmsGrantRecord) -> RowSum {
    RowSum::of("kms_grants")
        .text(&g.id)
        .text(&g.key)
        .int(i64::from(g.retiring.is_some()))
        .text(g.retiring.as_deref().unwrap_or_default())
        .int(g.created_ms)
        .text(&g.doc)
}

fn map_grant(row: &Row<'_>) -> rusqlite::Result<(KmsGrantRecord, i64)> {
    let grant = KmsGrantRecord {
        id: row.get(0)?,
        key: row.get(1)?,
        retiring: row.get(2)?,
        created_ms: row.get(3)?,
        doc: row.get(4)?,
    };
    Ok((grant, row.get(5)?))
}

impl View<'_> {
    /// A key by its id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn kms_key(&self, id: &str) -> Result<Option<KmsKeyRecord>, StoreError> {
        let sql = format!("SELECT {KEY_COLUMNS} FROM kms_keys WHERE id = ?1");
        self.row(&sql, [id], map_key)?.map(|row| self.verified_kms_key(row)).transpose()
    }

    /// The key whose versions have that name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn kms_key_of_material(&self, material: &str) -> Result<Option<KmsKeyRecord>, StoreError> {
        let sql = format!("SELECT {KEY_COLUMNS} FROM kms_keys WHERE material = ?1");
        self.row(&sql, [material], map_key)?.map(|row| self.verified_kms_key(row)).transpose()
    }

    /// A page of keys, by id: at most `limit`, from behind the id `after`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn kms_keys(&self, after: Option<&str>, limit: usize) -> Result<Vec<KmsKeyRecord>, StoreError> {
        let sql = format!("SELECT {KEY_COLUMNS} FROM kms_keys WHERE id > ?1 ORDER BY id LIMIT ?2");
        let rows = self.rows(&sql, params![after.unwrap_or_default(), limit_column(limit)], map_key)?;
        rows.into_iter().map(|row| self.verified_kms_key(row)).collect()
    }

    /// How many keys there are (a quota).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn kms_key_count(&self) -> Result<i64, StoreError> {
        Ok(self.row("SELECT count(*) FROM kms_keys", [], |row| row.get(0))?.unwrap_or_default())
    }

    /// Keys whose time of deletion has come.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn kms_keys_to_delete(&self, now_ms: i64) -> Result<Vec<KmsKeyRecord>, StoreError> {
        let sql = format!("SELECT {KEY_COLUMNS} FROM kms_keys WHERE delete_ms <= ?1 ORDER BY delete_ms, id");
        self.rows(&sql, [now_ms], map_key)?.into_iter().map(|row| self.verified_kms_key(row)).collect()
    }

    /// Keys whose time of rotation has come and that can be used.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn kms_keys_to_rotate(&self, now_ms: i64) -> Result<Vec<KmsKeyRecord>, StoreError> {
        let sql =
            format!("SELECT {KEY_COLUMNS} FROM kms_keys WHERE rotate_ms <= ?1 AND state = 0 ORDER BY rotate_ms, id");
        self.rows(&sql, [now_ms], map_key)?.into_iter().map(|row| self.verified_kms_key(row)).collect()
    }

    fn verified_kms_key(&self, (key, stored): (KmsKeyRecord, i64)) -> Result<KmsKeyRecord, StoreError> {
        self.verify(key_sum(&key), stored, || key_name(&key.id))?;
        Ok(key)
    }

    /// An alias by its name, `alias/…`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn kms_alias(&self, name: &str) -> Result<Option<KmsAliasRecord>, StoreError> {
        let sql = format!("SELECT {ALIAS_COLUMNS} FROM kms_aliases WHERE name = ?1");
        self.row(&sql, [name], map_alias)?.map(|row| self.verified_kms_alias(row)).transpose()
    }

    /// A page of aliases, by name: those of a key, or all; at most `limit`, from behind the name `after`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn kms_aliases(
        &self,
        key: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<KmsAliasRecord>, StoreError> {
        let (after, limit) = (after.unwrap_or_default(), limit_column(limit));
        let rows = match key {
            None => {
                let sql = format!("SELECT {ALIAS_COLUMNS} FROM kms_aliases WHERE name > ?1 ORDER BY name LIMIT ?2");
                self.rows(&sql, params![after, limit], map_alias)?
            }
            Some(key) => {
                let sql = format!(
                    "SELECT {ALIAS_COLUMNS} FROM kms_aliases WHERE key = ?3 AND name > ?1 ORDER BY name LIMIT ?2"
                );
                self.rows(&sql, params![after, limit, key], map_alias)?
            }
        };
        rows.into_iter().map(|row| self.verified_kms_alias(row)).collect()
    }

    fn verified_kms_alias(&self, (alias, stored): (KmsAliasRecord, i64)) -> Result<KmsAliasRecord, StoreError> {
        self.verify(alias_sum(&alias), stored, || alias.name.clone())?;
        Ok(alias)
    }

    /// A grant by its id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn kms_grant(&self, id: &str) -> Result<Option<KmsGrantRecord>, StoreError> {
        let sql = format!("SELECT {GRANT_COLUMNS} FROM kms_grants WHERE id = ?1");
        self.row(&sql, [id], map_grant)?.map(|row| self.verified_kms_grant(row)).transpose()
    }

    /// A page of the grants of a key, by id: at most `limit`, from behind the id `after`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn kms_grants(&self, key: &str, after: Option<&str>, limit: usize) -> Result<Vec<KmsGrantRecord>, StoreError> {
        let sql = format!("SELECT {GRANT_COLUMNS} FROM kms_grants WHERE key = ?1 AND id > ?2 ORDER BY id LIMIT ?3");
        let rows = self.rows(&sql, params![key, after.unwrap_or_default(), limit_column(limit)], map_grant)?;
        rows.into_iter().map(|row| self.verified_kms_grant(row)).collect()
    }

    /// A page of the grants that somebody may retire, by id, as [`Self::kms_grants`].
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn kms_grants_retired_by(
        &self,
        principal: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<KmsGrantRecord>, StoreError> {
        let sql =
            format!("SELECT {GRANT_COLUMNS} FROM kms_grants WHERE retiring = ?1 AND id > ?2 ORDER BY id LIMIT ?3");
        let rows = self.rows(&sql, params![principal, after.unwrap_or_default(), limit_column(limit)], map_grant)?;
        rows.into_iter().map(|row| self.verified_kms_grant(row)).collect()
    }

    /// How many grants a key has (a quota).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn kms_grant_count(&self, key: &str) -> Result<i64, StoreError> {
        let count = self.row("SELECT count(*) FROM kms_grants WHERE key = ?1", [key], |row| row.get(0))?;
        Ok(count.unwrap_or_default())
    }

    fn verified_kms_grant(&self, (grant, stored): (KmsGrantRecord, i64)) -> Result<KmsGrantRecord, StoreError> {
        self.verify(grant_sum(&grant), stored, || format!("grant {}", grant.id))?;
        Ok(grant)
    }
}

impl Tx<'_> {
    /// Stores a key that is not there yet.
    ///
    /// # Errors
    /// [`StoreError::Exists`], or when the database cannot be written.
    pub fn insert_kms_key(&mut self, key: &KmsKeyRecord) -> Result<(), StoreError> {
        self.insert(
            &format!("INSERT INTO kms_keys ({KEY_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"),
            params![
                key.id,
                key.material,
                key.state.column(),
                key.created_ms,
                key.delete_ms,
                key.rotate_ms,
                key.doc,
                key_sum(key).finish()
            ],
            || key_name(&key.id),
        )
    }

    /// Changes a key that is there; its id, its material and its time of creation stay.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or when the database cannot be written.
    pub fn update_kms_key(&mut self, key: &KmsKeyRecord) -> Result<(), StoreError> {
        let changed = self.change(
            "UPDATE kms_keys SET state = ?4, delete_ms = ?5, rotate_ms = ?6, doc = ?7, sum = ?8 \
             WHERE id = ?1 AND material = ?2 AND created_ms = ?3",
            params![
                key.id,
                key.material,
                key.created_ms,
                key.state.column(),
                key.delete_ms,
                key.rotate_ms,
                key.doc,
                key_sum(key).finish()
            ],
        )?;
        if changed == 1 { Ok(()) } else { Err(StoreError::NotFound(key_name(&key.id))) }
    }

    /// Deletes a key with its aliases and grants; whether it was there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_kms_key(&mut self, id: &str) -> Result<bool, StoreError> {
        self.change("DELETE FROM kms_aliases WHERE key = ?1", [id])?;
        self.change("DELETE FROM kms_grants WHERE key = ?1", [id])?;
        Ok(self.change("DELETE FROM kms_keys WHERE id = ?1", [id])? == 1)
    }

    /// Stores an alias, in place of the one with the same name. Its key must exist.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_kms_alias(&mut self, alias: &KmsAliasRecord) -> Result<(), StoreError> {
        self.change(
            &format!("INSERT OR REPLACE INTO kms_aliases ({ALIAS_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5)"),
            params![alias.name, alias.key, alias.created_ms, alias.updated_ms, alias_sum(alias).finish()],
        )
        .map(drop)
    }

    /// Deletes an alias; whether it was there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_kms_alias(&mut self, name: &str) -> Result<bool, StoreError> {
        Ok(self.change("DELETE FROM kms_aliases WHERE name = ?1", [name])? == 1)
    }

    /// Stores a grant that is not there yet. Its key must exist.
    ///
    /// # Errors
    /// [`StoreError::Exists`], or when the database cannot be written.
    pub fn insert_kms_grant(&mut self, grant: &KmsGrantRecord) -> Result<(), StoreError> {
        self.insert(
            &format!("INSERT INTO kms_grants ({GRANT_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
            params![grant.id, grant.key, grant.retiring, grant.created_ms, grant.doc, grant_sum(grant).finish()],
            || format!("grant {}", grant.id),
        )
    }

    /// Deletes a grant; whether it was there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_kms_grant(&mut self, id: &str) -> Result<bool, StoreError> {
        Ok(self.change("DELETE FROM kms_grants WHERE id = ?1", [id])? == 1)
    }
}

/// Checks every row; used by the whole check of a database.
pub(super) fn check(view: &View<'_>, found: &mut Vec<String>) -> Result<(), StoreError> {
    let mut bad = |sum: RowSum, stored: i64, what: String| {
        if sum.finish() != stored {
            found.push(format!("{what} is not what was stored"));
        }
    };
    view.each(&format!("SELECT {KEY_COLUMNS} FROM kms_keys"), |row| {
        let (key, stored) = map_key(row)?;
        bad(key_sum(&key), stored, key_name(&key.id));
        Ok(())
    })?;
    view.each(&format!("SELECT {ALIAS_COLUMNS} FROM kms_aliases"), |row| {
        let (alias, stored) = map_alias(row)?;
        bad(alias_sum(&alias), stored, alias.name);
        Ok(())
    })?;
    view.each(&format!("SELECT {GRANT_COLUMNS} FROM kms_grants"), |row| {
        let (grant, stored) = map_grant(row)?;
        bad(grant_sum(&grant), stored, format!("grant {}", grant.id));
        Ok(())
    })?;
    // Whatever a key is, its bytes are there, in the state that it has.
    view.each(
        "SELECT kms_keys.id, kms_keys.state, key_versions.state FROM kms_keys \
         LEFT JOIN key_versions ON key_versions.key = kms_keys.material",
        |row| {
            let (id, key, version): (String, i64, Option<i64>) = (row.get(0)?, row.get(1)?, row.get(2)?);
            match version {
                None => found.push(format!("{} has no material", key_name(&id))),
                Some(version) if version != i64::from(key != KmsKeyState::Enabled.column()) => {
                    found.push(format!("{} and its material differ in whether they are enabled", key_name(&id)));
                }
                Some(_) => {}
            }
            Ok(())
        },
    )
}
