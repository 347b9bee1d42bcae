//! Repositories, images and their contents.

mod contents;
mod images;
pub(super) mod records;
mod uploads;

#[cfg(test)]
mod tests;

use rusqlite::{Row, params};

use self::records::RepositoryRecord;
use super::{
    projects::limit_column,
    rowsum::RowSum,
    view::{Tx, View},
};
use crate::StoreError;

const COLUMNS: &str = "name, created_ms, doc, sum";

fn repository_sum(r: &RepositoryRecord) -> RowSum {
    RowSum::of("repositories").text(&r.name).int(r.created_ms).text(&r.doc)
}

fn map_repository(row: &Row<'_>) -> rusqlite::Result<(RepositoryRecord, i64)> {
    let repository = RepositoryRecord { name: row.get(0)?, created_ms: row.get(1)?, doc: row.get(2)? };
    Ok((repository, row.get(3)?))
}

fn repository_name(name: &str) -> String {
    format!("repository {name}")
}

impl View<'_> {
    /// A repository.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn repository(&self, name: &str) -> Result<Option<RepositoryRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM repositories WHERE name = ?1");
        self.row(&sql, [name], map_repository)?.map(|row| self.verified_repository(row)).transpose()
    }

    /// Repositories by name: at most `limit`, from behind the name `after`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn repositories(&self, after: Option<&str>, limit: usize) -> Result<Vec<RepositoryRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM repositories WHERE name > ?1 ORDER BY name LIMIT ?2");
        let rows = self.rows(&sql, params![after.unwrap_or_default(), limit_column(limit)], map_repository)?;
        rows.into_iter().map(|row| self.verified_repository(row)).collect()
    }

    /// How many repositories there are (a quota).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn repository_count(&self) -> Result<i64, StoreError> {
        Ok(self.row("SELECT count(*) FROM repositories", [], |row| row.get(0))?.unwrap_or_default())
    }

    fn verified_repository(
        &self,
        (repository, stored): (RepositoryRecord, i64),
    ) -> Result<RepositoryRecord, StoreError> {
        self.verify(repository_sum(&repository), stored, || repository_name(&repository.name))?;
        Ok(repository)
    }
}

impl Tx<'_> {
    /// Stores a repository that is not there yet.
    ///
    /// # Errors
    /// [`StoreError::Exists`], or when the database cannot be written.
    pub fn insert_repository(&mut self, repository: &RepositoryRecord) -> Result<(), StoreError> {
        let RepositoryRecord { name, created_ms, doc } = repository;
        self.insert(
            &format!("INSERT INTO repositories ({COLUMNS}) VALUES (?1, ?2, ?3, ?4)"),
            params![name, created_ms, doc, repository_sum(repository).finish()],
            || repository_name(name),
        )
    }

    /// Changes the document of a repository that is there.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or when the database cannot be written.
    pub fn update_repository(&mut self, repository: &RepositoryRecord) -> Result<(), StoreError> {
        let RepositoryRecord { name, created_ms, doc } = repository;
        let changed = self.change(
            "UPDATE repositories SET doc = ?3, sum = ?4 WHERE name = ?1 AND created_ms = ?2",
            params![name, created_ms, doc, repository_sum(repository).finish()],
        )?;
        if changed == 1 { Ok(()) } else { Err(StoreError::NotFound(repository_name(name))) }
    }

    /// Deletes a repository with everything in it; gives the blobs that nothing names any more.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_repository(&mut self, name: &str) -> Result<Vec<String>, StoreError> {
        for table in ["image_tags", "image_parts", "images"] {
            self.change(&format!("DELETE FROM {table} WHERE repository = ?1"), [name])?;
        }
        let mut blobs = Vec::new();
        let uploads: Vec<String> =
            self.rows("SELECT id FROM layer_uploads WHERE repository = ?1", [name], |row| row.get(0))?;
        for upload in uploads {
            blobs.extend(self.delete_layer_upload(&upload)?);
        }
        let contents: Vec<String> =
            self.rows("SELECT content FROM repository_contents WHERE repository = ?1", [name], |row| row.get(0))?;
        self.change("DELETE FROM repository_contents WHERE repository = ?1", [name])?;
        for content in contents {
            blobs.extend(self.give_up_content(&content)?);
        }
        self.change("DELETE FROM repositories WHERE name = ?1", [name])?;
        Ok(blobs)
    }
}

/// Checks every row; used by the whole check of a database.
pub(super) fn check(view: &View<'_>, found: &mut Vec<String>) -> Result<(), StoreError> {
    view.each(&format!("SELECT {COLUMNS} FROM repositories"), |row| {
        let (repository, stored) = map_repository(row)?;
        if repository_sum(&repository).finish() != stored {
            found.push(format!("{} is not what was stored", repository_name(&repository.name)));
        }
        Ok(())
    })?;
    uploads::check(view, found)?;
    contents::check(view, found)?;
    images::check(view, found)
}
