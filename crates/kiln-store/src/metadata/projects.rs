//! Projects, and the numbers of their builds.

use rusqlite::{Row, params};

use super::{
    records::{Order, ProjectKey, ProjectRecord, ProjectSort},
    rowsum::RowSum,
    view::{Tx, View},
};
use crate::StoreError;

const COLUMNS: &str = "name, created_ms, modified_ms, version, doc, sum";

fn sum(p: &ProjectRecord) -> RowSum {
    RowSum::of("projects").text(&p.name).int(p.created_ms).int(p.modified_ms).int(p.version).text(&p.doc)
}

fn map(row: &Row<'_>) -> rusqlite::Result<(ProjectRecord, i64)> {
    let project = ProjectRecord {
        name: row.get(0)?,
        created_ms: row.get(1)?,
        modified_ms: row.get(2)?,
        version: row.get(3)?,
        doc: row.get(4)?,
    };
    Ok((project, row.get(5)?))
}

fn name_of(name: &str) -> String {
    format!("project {name}")
}

fn number_sum(project: &str, last: i64) -> RowSum {
    RowSum::of("build_numbers").text(project).int(last)
}

impl View<'_> {
    /// A project by its name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn project(&self, name: &str) -> Result<Option<ProjectRecord>, StoreError> {
        let found = self.row(&format!("SELECT {COLUMNS} FROM projects WHERE name = ?1"), [name], map)?;
        found.map(|row| self.verified_project(row)).transpose()
    }

    fn verified_project(&self, (project, stored): (ProjectRecord, i64)) -> Result<ProjectRecord, StoreError> {
        self.verify(sum(&project), stored, || name_of(&project.name))?;
        Ok(project)
    }

    /// A page of projects: at most `limit`, from behind `after` in the given order. The last one is the next page's
    /// `after`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn project_names(
        &self,
        sort: ProjectSort,
        order: Order,
        after: Option<&ProjectKey>,
        limit: usize,
    ) -> Result<Vec<ProjectKey>, StoreError> {
        let (column, index) = match sort {
            ProjectSort::Name => ("0", "sqlite_autoindex_projects_1"),
            ProjectSort::Created => ("created_ms", "projects_created"),
            ProjectSort::Modified => ("modified_ms", "projects_modified"),
        };
        let (than, direction) = match order {
            Order::Ascending => (">", "ASC"),
            Order::Descending => ("<", "DESC"),
        };
        let sorted = match sort {
            ProjectSort::Name => format!("name {direction}"),
            ProjectSort::Created | ProjectSort::Modified => format!("{column} {direction}, name {direction}"),
        };
        let from = match (after, sort) {
            (None, _) => "?1 = ?1 AND ?2 = ?2".to_owned(),
            (Some(_), ProjectSort::Name) => format!("?1 = ?1 AND name {than} ?2"),
            (Some(_), ProjectSort::Created | ProjectSort::Modified) => format!("({column}, name) {than} (?1, ?2)"),
        };
        let sql =
            format!("SELECT {column}, name FROM projects INDEXED BY {index} WHERE {from} ORDER BY {sorted} LIMIT ?3");
        let (time_ms, name) = after.map_or((0, ""), |key| (key.time_ms, key.name.as_str()));
        self.rows(&sql, params![time_ms, name, limit_column(limit)], |row| {
            Ok(ProjectKey { time_ms: row.get(0)?, name: row.get(1)? })
        })
    }

    /// How many projects there are (a quota; they are few).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn project_count(&self) -> Result<u64, StoreError> {
        let count: i64 = self.row("SELECT count(*) FROM projects", [], |row| row.get(0))?.unwrap_or_default();
        Ok(count.unsigned_abs())
    }
}

impl Tx<'_> {
    /// Stores a new project, with version 1.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when its name is taken.
    pub fn insert_project(&mut self, project: &ProjectRecord) -> Result<(), StoreError> {
        let project = ProjectRecord { version: 1, ..project.clone() };
        self.insert(
            &format!("INSERT INTO projects ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
            params![
                project.name,
                project.created_ms,
                project.modified_ms,
                project.version,
                project.doc,
                sum(&project).finish()
            ],
            || name_of(&project.name),
        )
    }

    /// Replaces a project whose version still is `project.version`; returns its new version.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it has another version, [`StoreError::NotFound`] when it is not there.
    pub fn update_project(&mut self, project: &ProjectRecord) -> Result<i64, StoreError> {
        let new = ProjectRecord { version: project.version + 1, ..project.clone() };
        let changed = self.change(
            "UPDATE projects SET created_ms = ?2, modified_ms = ?3, version = ?4, doc = ?5, sum = ?6 \
             WHERE name = ?1 AND version = ?7",
            params![
                new.name,
                new.created_ms,
                new.modified_ms,
                new.version,
                new.doc,
                sum(&new).finish(),
                project.version
            ],
        )?;
        if changed == 1 {
            return Ok(new.version);
        }
        Err(match self.project(&project.name)? {
            Some(_) => StoreError::Conflict(name_of(&project.name)),
            None => StoreError::NotFound(name_of(&project.name)),
        })
    }

    /// Deletes a project; whether it was there. Its builds stay, and the number of its next build too.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_project(&mut self, name: &str) -> Result<bool, StoreError> {
        Ok(self.change("DELETE FROM projects WHERE name = ?1", [name])? == 1)
    }

    /// Gives out the next build number of a project: 1, 2, …. Never the same again, also when the project is deleted
    /// and made anew; a transaction that rolls back gives its number back.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn next_build_number(&mut self, project: &str) -> Result<i64, StoreError> {
        let last = self.last_build_number(project)?;
        let next = last + 1;
        self.set_last_build_number(project, next)?;
        Ok(next)
    }

    /// Lets the numbers of a project's builds go on after `last`, if they have not got there yet.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn raise_build_number(&mut self, project: &str, last: i64) -> Result<(), StoreError> {
        if self.last_build_number(project)? < last {
            self.set_last_build_number(project, last)?;
        }
        Ok(())
    }

    fn last_build_number(&self, project: &str) -> Result<i64, StoreError> {
        let found = self.row("SELECT last, sum FROM build_numbers WHERE project = ?1", [project], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        let Some((last, stored)) = found else { return Ok(0) };
        self.verify(number_sum(project, last), stored, || format!("the build number of project {project}"))?;
        Ok(last)
    }

    fn set_last_build_number(&self, project: &str, last: i64) -> Result<(), StoreError> {
        self.change(
            "INSERT INTO build_numbers (project, last, sum) VALUES (?1, ?2, ?3) \
             ON CONFLICT (project) DO UPDATE SET last = excluded.last, sum = excluded.sum",
            params![project, last, number_sum(project, last).finish()],
        )
        .map(drop)
    }
}

/// A limit as the database takes it.
pub(super) fn limit_column(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Checks every row; used by the whole check of a database.
pub(super) fn check(view: &View<'_>, found: &mut Vec<String>) -> Result<(), StoreError> {
    let mut bad = |sum: RowSum, stored: i64, what: String| {
        if sum.finish() != stored {
            found.push(format!("{what} is not what was stored"));
        }
    };
    view.each(&format!("SELECT {COLUMNS} FROM projects"), |row| {
        let (project, stored) = map(row)?;
        bad(sum(&project), stored, name_of(&project.name));
        Ok(())
    })?;
    view.each("SELECT project, last, sum FROM build_numbers", |row| {
        let project: String = row.get(0)?;
        bad(number_sum(&project, row.get(1)?), row.get(2)?, format!("the build number of project {project}"));
        Ok(())
    })
}
