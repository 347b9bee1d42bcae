//! Source credentials, resource policies, access keys, settings, versions of encryption keys.

use rusqlite::{Row, params};

use super::{
    records::{AccessKeyRecord, KeyVersionRecord, KeyVersionState, SourceCredentialRecord},
    rowsum::RowSum,
    view::{Tx, View},
};
use crate::StoreError;

const CREDENTIAL_COLUMNS: &str = "arn, server_type, auth_type, sealed, created_ms, doc, sum";
const ACCESS_KEY_COLUMNS: &str = "id, sealed, user_arn, name, created_ms, doc, sum";
const KEY_VERSION_COLUMNS: &str = "key, version, wrapped, state, created_ms, sum";

fn credential_sum(c: &SourceCredentialRecord) -> RowSum {
    RowSum::of("source_credentials")
        .text(&c.arn)
        .text(&c.server_type)
        .text(&c.auth_type)
        .bytes(&c.sealed)
        .int(c.created_ms)
        .text(&c.doc)
}

fn map_credential(row: &Row<'_>) -> rusqlite::Result<(SourceCredentialRecord, i64)> {
    let credential = SourceCredentialRecord {
        arn: row.get(0)?,
        server_type: row.get(1)?,
        auth_type: row.get(2)?,
        sealed: row.get(3)?,
        created_ms: row.get(4)?,
        doc: row.get(5)?,
    };
    Ok((credential, row.get(6)?))
}

fn access_key_sum(k: &AccessKeyRecord) -> RowSum {
    RowSum::of("access_keys")
        .text(&k.id)
        .bytes(&k.sealed)
        .text(&k.user_arn)
        .text(&k.name)
        .int(k.created_ms)
        .text(&k.doc)
}

fn map_access_key(row: &Row<'_>) -> rusqlite::Result<(AccessKeyRecord, i64)> {
    let key = AccessKeyRecord {
        id: row.get(0)?,
        sealed: row.get(1)?,
        user_arn: row.get(2)?,
        name: row.get(3)?,
        created_ms: row.get(4)?,
        doc: row.get(5)?,
    };
    Ok((key, row.get(6)?))
}

fn key_version_sum(k: &KeyVersionRecord) -> RowSum {
    RowSum::of("key_versions").text(&k.key).int(k.version).bytes(&k.wrapped).int(k.state.column()).int(k.created_ms)
}

fn map_key_version(row: &Row<'_>) -> rusqlite::Result<(KeyVersionRecord, i64)> {
    let state = row.get(3)?;
    let version = KeyVersionRecord {
        key: row.get(0)?,
        version: row.get(1)?,
        wrapped: row.get(2)?,
        state: KeyVersionState::from_column(state).ok_or(rusqlite::Error::IntegralValueOutOfRange(3, state))?,
        created_ms: row.get(4)?,
    };
    Ok((version, row.get(5)?))
}

fn policy_sum(arn: &str, policy: &str) -> RowSum {
    RowSum::of("resource_policies").text(arn).text(policy)
}

fn setting_sum(key: &str, value: &str) -> RowSum {
    RowSum::of("settings").text(key).text(value)
}

impl View<'_> {
    /// Source credentials by their ARN.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn source_credential(&self, arn: &str) -> Result<Option<SourceCredentialRecord>, StoreError> {
        let sql = format!("SELECT {CREDENTIAL_COLUMNS} FROM source_credentials WHERE arn = ?1");
        self.row(&sql, [arn], map_credential)?.map(|row| self.verified_credential(row)).transpose()
    }

    /// All source credentials (a few), by ARN.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn source_credentials(&self) -> Result<Vec<SourceCredentialRecord>, StoreError> {
        let sql = format!("SELECT {CREDENTIAL_COLUMNS} FROM source_credentials ORDER BY arn");
        self.rows(&sql, [], map_credential)?.into_iter().map(|row| self.verified_credential(row)).collect()
    }

    fn verified_credential(
        &self,
        (credential, stored): (SourceCredentialRecord, i64),
    ) -> Result<SourceCredentialRecord, StoreError> {
        self.verify(credential_sum(&credential), stored, || credential.arn.clone())?;
        Ok(credential)
    }

    /// The policy of a resource.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn resource_policy(&self, arn: &str) -> Result<Option<String>, StoreError> {
        let found: Option<(String, i64)> =
            self.row("SELECT policy, sum FROM resource_policies WHERE arn = ?1", [arn], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let Some((policy, stored)) = found else { return Ok(None) };
        self.verify(policy_sum(arn, &policy), stored, || format!("the policy of {arn}"))?;
        Ok(Some(policy))
    }

    /// An access key by its id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn access_key(&self, id: &str) -> Result<Option<AccessKeyRecord>, StoreError> {
        let sql = format!("SELECT {ACCESS_KEY_COLUMNS} FROM access_keys WHERE id = ?1");
        self.row(&sql, [id], map_access_key)?.map(|row| self.verified_access_key(row)).transpose()
    }

    /// The access keys of a user, by id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn access_keys_of(&self, user_arn: &str) -> Result<Vec<AccessKeyRecord>, StoreError> {
        let sql = format!("SELECT {ACCESS_KEY_COLUMNS} FROM access_keys WHERE user_arn = ?1 ORDER BY id");
        self.rows(&sql, [user_arn], map_access_key)?.into_iter().map(|row| self.verified_access_key(row)).collect()
    }

    /// All access keys, by id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn access_keys(&self) -> Result<Vec<AccessKeyRecord>, StoreError> {
        let sql = format!("SELECT {ACCESS_KEY_COLUMNS} FROM access_keys ORDER BY id");
        self.rows(&sql, [], map_access_key)?.into_iter().map(|row| self.verified_access_key(row)).collect()
    }

    fn verified_access_key(&self, (key, stored): (AccessKeyRecord, i64)) -> Result<AccessKeyRecord, StoreError> {
        self.verify(access_key_sum(&key), stored, || format!("access key {}", key.id))?;
        Ok(key)
    }

    /// The value of a setting.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn setting(&self, key: &str) -> Result<Option<String>, StoreError> {
        let found: Option<(String, i64)> =
            self.row("SELECT value, sum FROM settings WHERE key = ?1", [key], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let Some((value, stored)) = found else { return Ok(None) };
        self.verify(setting_sum(key, &value), stored, || format!("setting {key}"))?;
        Ok(Some(value))
    }

    /// All versions of a key, oldest first; none for a key that does not exist.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn key_versions(&self, key: &str) -> Result<Vec<KeyVersionRecord>, StoreError> {
        let sql = format!("SELECT {KEY_VERSION_COLUMNS} FROM key_versions WHERE key = ?1 ORDER BY version");
        self.rows(&sql, [key], map_key_version)?.into_iter().map(|row| self.verified_key_version(row)).collect()
    }

    /// All versions of all keys.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn all_key_versions(&self) -> Result<Vec<KeyVersionRecord>, StoreError> {
        let sql = format!("SELECT {KEY_VERSION_COLUMNS} FROM key_versions ORDER BY key, version");
        self.rows(&sql, [], map_key_version)?.into_iter().map(|row| self.verified_key_version(row)).collect()
    }

    fn verified_key_version(&self, (version, stored): (KeyVersionRecord, i64)) -> Result<KeyVersionRecord, StoreError> {
        self.verify(key_version_sum(&version), stored, || {
            format!("version {} of key {}", version.version, version.key)
        })?;
        Ok(version)
    }
}

impl Tx<'_> {
    /// Stores source credentials, in place of those with the same ARN.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_source_credential(&mut self, credential: &SourceCredentialRecord) -> Result<(), StoreError> {
        self.change(
            &format!(
                "INSERT OR REPLACE INTO source_credentials ({CREDENTIAL_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
            ),
            params![
                credential.arn,
                credential.server_type,
                credential.auth_type,
                credential.sealed,
                credential.created_ms,
                credential.doc,
                credential_sum(credential).finish()
            ],
        )
        .map(drop)
    }

    /// Deletes source credentials; whether they were there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_source_credential(&mut self, arn: &str) -> Result<bool, StoreError> {
        Ok(self.change("DELETE FROM source_credentials WHERE arn = ?1", [arn])? == 1)
    }

    /// Stores the policy of a resource, in place of the one before.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_resource_policy(&mut self, arn: &str, policy: &str) -> Result<(), StoreError> {
        self.change(
            "INSERT OR REPLACE INTO resource_policies (arn, policy, sum) VALUES (?1, ?2, ?3)",
            params![arn, policy, policy_sum(arn, policy).finish()],
        )
        .map(drop)
    }

    /// Deletes the policy of a resource; whether it was there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_resource_policy(&mut self, arn: &str) -> Result<bool, StoreError> {
        Ok(self.change("DELETE FROM resource_policies WHERE arn = ?1", [arn])? == 1)
    }

    /// Stores an access key, in place of the one with the same id.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_access_key(&mut self, key: &AccessKeyRecord) -> Result<(), StoreError> {
        self.change(
            &format!("INSERT OR REPLACE INTO access_keys ({ACCESS_KEY_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"),
            params![key.id, key.sealed, key.user_arn, key.name, key.created_ms, key.doc, access_key_sum(key).finish()],
        )
        .map(drop)
    }

    /// Deletes an access key; whether it was there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_access_key(&mut self, id: &str) -> Result<bool, StoreError> {
        Ok(self.change("DELETE FROM access_keys WHERE id = ?1", [id])? == 1)
    }

    /// Sets a setting.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_setting(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        self.change(
            "INSERT OR REPLACE INTO settings (key, value, sum) VALUES (?1, ?2, ?3)",
            params![key, value, setting_sum(key, value).finish()],
        )
        .map(drop)
    }

    /// Removes a setting; whether it was there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_setting(&mut self, key: &str) -> Result<bool, StoreError> {
        Ok(self.change("DELETE FROM settings WHERE key = ?1", [key])? == 1)
    }

    /// Stores a version of a key, in place of the same version.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_key_version(&mut self, version: &KeyVersionRecord) -> Result<(), StoreError> {
        self.change(
            &format!("INSERT OR REPLACE INTO key_versions ({KEY_VERSION_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
            params![
                version.key,
                version.version,
                version.wrapped,
                version.state.column(),
                version.created_ms,
                key_version_sum(version).finish()
            ],
        )
        .map(drop)
    }
}

/// Checks every row; used by the whole check of a database.
pub(super) fn check(view: &View<'_>, found: &mut Vec<String>) -> Result<(), StoreError> {
    let mut bad = |sum: RowSum, stored: i64, what: String| {
        if sum.finish() != stored {
            found.push(format!("{what} is not what was stored"));
        }
    };
    view.each(&format!("SELECT {CREDENTIAL_COLUMNS} FROM source_credentials"), |row| {
        let (credential, stored) = map_credential(row)?;
        bad(credential_sum(&credential), stored, credential.arn);
        Ok(())
    })?;
    view.each("SELECT arn, policy, sum FROM resource_policies", |row| {
        let (arn, policy): (String, String) = (row.get(0)?, row.get(1)?);
        bad(policy_sum(&arn, &policy), row.get(2)?, format!("the policy of {arn}"));
        Ok(())
    })?;
    view.each(&format!("SELECT {ACCESS_KEY_COLUMNS} FROM access_keys"), |row| {
        let (key, stored) = map_access_key(row)?;
        bad(access_key_sum(&key), stored, format!("access key {}", key.id));
        Ok(())
    })?;
    view.each("SELECT key, value, sum FROM settings", |row| {
        let (key, value): (String, String) = (row.get(0)?, row.get(1)?);
        bad(setting_sum(&key, &value), row.get(2)?, format!("setting {key}"));
        Ok(())
    })?;
    view.each(&format!("SELECT {KEY_VERSION_COLUMNS} FROM key_versions"), |row| {
        let (version, stored) = map_key_version(row)?;
        bad(key_version_sum(&version), stored, format!("version {} of key {}", version.version, version.key));
        Ok(())
    })
}
