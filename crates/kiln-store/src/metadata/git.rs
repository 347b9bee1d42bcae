//! Git repositories, and what of their references is recorded.

#[cfg(test)]
mod tests;

use rusqlite::{Row, params};

use super::{
    projects::limit_column,
    rowsum::RowSum,
    view::{Tx, View},
};
use crate::StoreError;

/// A git repository. Times are milliseconds since the epoch; the document is the caller's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitRepositoryRecord {
    /// Its id, a UUID, which it keeps under another name.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Creation.
    pub created_ms: i64,
    /// Last change of its settings or its references.
    pub modified_ms: i64,
    /// Everything else.
    pub doc: String,
}

const COLUMNS: &str = "id, name, created_ms, modified_ms, doc, sum";
const REFERENCE_COLUMNS: &str = "repository, name, target, sum";

fn repository_sum(r: &GitRepositoryRecord) -> RowSum {
    RowSum::of("git_repositories").text(&r.id).text(&r.name).int(r.created_ms).int(r.modified_ms).text(&r.doc)
}

fn map_repository(row: &Row<'_>) -> rusqlite::Result<(GitRepositoryRecord, i64)> {
    let repository = GitRepositoryRecord {
        id: row.get(0)?,
        name: row.get(1)?,
        created_ms: row.get(2)?,
        modified_ms: row.get(3)?,
        doc: row.get(4)?,
    };
    Ok((repository, row.get(5)?))
}

fn repository_name(name: &str) -> String {
    format!("git repository {name}")
}

fn reference_sum(repository: &str, name: &str, target: &str) -> RowSum {
    RowSum::of("git_references").text(repository).text(name).text(target)
}

fn reference_name(repository: &str, name: &str) -> String {
    format!("reference {name} of git repository {repository}")
}

type Reference = (String, String, String, i64);

fn map_reference(row: &Row<'_>) -> rusqlite::Result<Reference> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
}

impl View<'_> {
    /// A git repository by its name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn git_repository(&self, name: &str) -> Result<Option<GitRepositoryRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM git_repositories WHERE name = ?1");
        self.row(&sql, [name], map_repository)?.map(|row| self.verified_git_repository(row)).transpose()
    }

    /// A git repository by its id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn git_repository_by_id(&self, id: &str) -> Result<Option<GitRepositoryRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM git_repositories WHERE id = ?1");
        self.row(&sql, [id], map_repository)?.map(|row| self.verified_git_repository(row)).transpose()
    }

    /// All git repositories, by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn git_repositories(&self) -> Result<Vec<GitRepositoryRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM git_repositories ORDER BY name");
        self.rows(&sql, [], map_repository)?.into_iter().map(|row| self.verified_git_repository(row)).collect()
    }

    /// How many git repositories there are (a quota).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn git_repository_count(&self) -> Result<i64, StoreError> {
        Ok(self.row("SELECT count(*) FROM git_repositories", [], |row| row.get(0))?.unwrap_or_default())
    }

    /// What is recorded of a reference: the object that it names.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn git_reference(&self, repository: &str, name: &str) -> Result<Option<String>, StoreError> {
        let sql = format!("SELECT {REFERENCE_COLUMNS} FROM git_references WHERE repository = ?1 AND name = ?2");
        let found = self.row(&sql, [repository, name], map_reference)?;
        found.map(|row| self.verified_git_reference(row).map(|(_, target)| target)).transpose()
    }

    /// References with what they name, by name: at most `limit` whose names begin with `prefix`, from behind the name
    /// `after`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn git_references(
        &self,
        repository: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let sql = format!(
            "SELECT {REFERENCE_COLUMNS} FROM git_references WHERE repository = ?1 AND name > ?2 \
             AND substr(name, 1, length(?3)) = ?3 ORDER BY name LIMIT ?4"
        );
        let after = after.unwrap_or_default();
        let rows = self.rows(&sql, params![repository, after, prefix, limit_column(limit)], map_reference)?;
        rows.into_iter().map(|row| self.verified_git_reference(row)).collect()
    }

    fn verified_git_repository(
        &self,
        (repository, stored): (GitRepositoryRecord, i64),
    ) -> Result<GitRepositoryRecord, StoreError> {
        self.verify(repository_sum(&repository), stored, || repository_name(&repository.name))?;
        Ok(repository)
    }

    fn verified_git_reference(
        &self,
        (repository, name, target, stored): Reference,
    ) -> Result<(String, String), StoreError> {
        self.verify(reference_sum(&repository, &name, &target), stored, || reference_name(&repository, &name))?;
        Ok((name, target))
    }
}

impl Tx<'_> {
    /// Stores a git repository whose name is free.
    ///
    /// # Errors
    /// [`StoreError::Exists`], or when the database cannot be written.
    pub fn insert_git_repository(&mut self, repository: &GitRepositoryRecord) -> Result<(), StoreError> {
        let GitRepositoryRecord { id, name, created_ms, modified_ms, doc } = repository;
        self.insert(
            &format!("INSERT INTO git_repositories ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
            params![id, name, created_ms, modified_ms, doc, repository_sum(repository).finish()],
            || repository_name(name),
        )
    }

    /// Changes name, time of change and document of a git repository that is there. The name must be free.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], or when the database cannot be written.
    pub fn update_git_repository(&mut self, repository: &GitRepositoryRecord) -> Result<(), StoreError> {
        let GitRepositoryRecord { id, name, created_ms, modified_ms, doc } = repository;
        let changed = self.change(
            "UPDATE git_repositories SET name = ?2, modified_ms = ?4, doc = ?5, sum = ?6 WHERE id = ?1 AND created_ms = ?3",
            params![id, name, created_ms, modified_ms, doc, repository_sum(repository).finish()],
        )?;
        if changed == 1 { Ok(()) } else { Err(StoreError::NotFound(repository_name(name))) }
    }

    /// Deletes a git repository with what is recorded of its references.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_git_repository(&mut self, id: &str) -> Result<(), StoreError> {
        self.change("DELETE FROM git_references WHERE repository = ?1", [id])?;
        self.change("DELETE FROM git_repositories WHERE id = ?1", [id]).map(drop)
    }

    /// Records what a reference names; `None`: it is not there any more.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_git_reference(&mut self, repository: &str, name: &str, target: Option<&str>) -> Result<(), StoreError> {
        match target {
            Some(target) => self.change(
                &format!("INSERT OR REPLACE INTO git_references ({REFERENCE_COLUMNS}) VALUES (?1, ?2, ?3, ?4)"),
                params![repository, name, target, reference_sum(repository, name, target).finish()],
            ),
            None => self.change("DELETE FROM git_references WHERE repository = ?1 AND name = ?2", [repository, name]),
        }
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
    view.each(&format!("SELECT {COLUMNS} FROM git_repositories"), |row| {
        let (repository, stored) = map_repository(row)?;
        bad(repository_sum(&repository), stored, repository_name(&repository.name));
        Ok(())
    })?;
    view.each(&format!("SELECT {REFERENCE_COLUMNS} FROM git_references"), |row| {
        let (repository, name, target, stored) = map_reference(row)?;
        bad(reference_sum(&repository, &name, &target), stored, reference_name(&repository, &name));
        Ok(())
    })
}
