//! Credentials that users have for one service.

#[cfg(test)]
mod tests;

use rusqlite::{Row, params};

use super::{
    records::ServiceCredentialRecord,
    rowsum::RowSum,
    view::{Tx, View},
};
use crate::StoreError;

const COLUMNS: &str = "id, user_id, service, user_name, verifier, created_ms, doc, sum";

fn sum(c: &ServiceCredentialRecord) -> RowSum {
    RowSum::of("service_credentials")
        .text(&c.id)
        .text(&c.user_id)
        .text(&c.service)
        .text(&c.user_name)
        .bytes(&c.verifier)
        .int(c.created_ms)
        .text(&c.doc)
}

fn map(row: &Row<'_>) -> rusqlite::Result<(ServiceCredentialRecord, i64)> {
    let credential = ServiceCredentialRecord {
        id: row.get(0)?,
        user_id: row.get(1)?,
        service: row.get(2)?,
        user_name: row.get(3)?,
        verifier: row.get(4)?,
        created_ms: row.get(5)?,
        doc: row.get(6)?,
    };
    Ok((credential, row.get(7)?))
}

fn name(credential: &ServiceCredentialRecord) -> String {
    format!("service credential {}", credential.id)
}

impl View<'_> {
    /// A credential by its id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn service_credential(&self, id: &str) -> Result<Option<ServiceCredentialRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM service_credentials WHERE id = ?1");
        self.row(&sql, [id], map)?.map(|row| self.verified_service_credential(row)).transpose()
    }

    /// The credential with which somebody signs in as `user_name` at a service.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn service_credential_named(
        &self,
        service: &str,
        user_name: &str,
    ) -> Result<Option<ServiceCredentialRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM service_credentials WHERE service = ?1 AND user_name = ?2");
        self.row(&sql, [service, user_name], map)?.map(|row| self.verified_service_credential(row)).transpose()
    }

    /// The credentials of the user with that id (a few), or of all users, by id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn service_credentials(&self, user_id: Option<&str>) -> Result<Vec<ServiceCredentialRecord>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM service_credentials WHERE ?1 IS NULL OR user_id = ?1 ORDER BY user_id, id");
        self.rows(&sql, [user_id], map)?.into_iter().map(|row| self.verified_service_credential(row)).collect()
    }

    fn verified_service_credential(
        &self,
        (credential, stored): (ServiceCredentialRecord, i64),
    ) -> Result<ServiceCredentialRecord, StoreError> {
        self.verify(sum(&credential), stored, || name(&credential))?;
        Ok(credential)
    }
}

impl Tx<'_> {
    /// Stores a new credential.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when the service has somebody of that name already.
    pub fn insert_service_credential(&mut self, credential: &ServiceCredentialRecord) -> Result<(), StoreError> {
        let ServiceCredentialRecord { id, user_id, service, user_name, verifier, created_ms, doc } = credential;
        self.insert(
            &format!("INSERT INTO service_credentials ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"),
            params![id, user_id, service, user_name, verifier, created_ms, doc, sum(credential).finish()],
            || name(credential),
        )
    }

    /// Changes what checks a credential's password, and its document.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none with its id.
    pub fn update_service_credential(&mut self, credential: &ServiceCredentialRecord) -> Result<(), StoreError> {
        let ServiceCredentialRecord { id, verifier, doc, .. } = credential;
        let changed = self.change(
            "UPDATE service_credentials SET verifier = ?2, doc = ?3, sum = ?4 WHERE id = ?1",
            params![id, verifier, doc, sum(credential).finish()],
        )?;
        if changed == 1 { Ok(()) } else { Err(StoreError::NotFound(name(credential))) }
    }

    /// Deletes a credential; whether it was there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_service_credential(&mut self, id: &str) -> Result<bool, StoreError> {
        Ok(self.change("DELETE FROM service_credentials WHERE id = ?1", [id])? == 1)
    }
}

/// Checks every row; used by the whole check of a database.
pub(super) fn check(view: &View<'_>, found: &mut Vec<String>) -> Result<(), StoreError> {
    view.each(&format!("SELECT {COLUMNS} FROM service_credentials"), |row| {
        let (credential, stored) = map(row)?;
        if sum(&credential).finish() != stored {
            found.push(format!("{} is not what was stored", name(&credential)));
        }
        Ok(())
    })
}
