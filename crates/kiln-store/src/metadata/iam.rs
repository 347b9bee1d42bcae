//! Users, groups, roles, managed policies, and who has which.

#[cfg(test)]
mod tests;

use rusqlite::{Row, params};

use super::{
    projects::limit_column,
    records::{IamKind, IamLink, IamRecord},
    rowsum::RowSum,
    view::{Tx, View},
};
use crate::StoreError;

const COLUMNS: &str = "id, kind, name, path, created_ms, doc, sum";

fn entity_sum(e: &IamRecord) -> RowSum {
    RowSum::of("iam_entities")
        .text(&e.id)
        .int(e.kind.column())
        .text(&e.name)
        .text(&e.path)
        .int(e.created_ms)
        .text(&e.doc)
}

fn map_entity(row: &Row<'_>) -> rusqlite::Result<(IamRecord, i64)> {
    let kind = row.get(1)?;
    let entity = IamRecord {
        id: row.get(0)?,
        kind: IamKind::from_column(kind).ok_or(rusqlite::Error::IntegralValueOutOfRange(1, kind))?,
        name: row.get(2)?,
        path: row.get(3)?,
        created_ms: row.get(4)?,
        doc: row.get(5)?,
    };
    Ok((entity, row.get(6)?))
}

fn entity_name(entity: &IamRecord) -> String {
    format!("{} {}", entity.kind.name(), entity.name)
}

fn link_sum(kind: IamLink, source: &str, target: &str) -> RowSum {
    RowSum::of("iam_links").int(kind.column()).text(source).text(target)
}

fn folded(name: &str) -> String {
    name.to_lowercase()
}

impl View<'_> {
    /// An entity by its name, in whatever letters.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn iam_entity(&self, kind: IamKind, name: &str) -> Result<Option<IamRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM iam_entities WHERE kind = ?1 AND folded = ?2");
        self.row(&sql, params![kind.column(), folded(name)], map_entity)?
            .map(|row| self.verified_entity(row))
            .transpose()
    }

    /// An entity by its id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn iam_entity_by_id(&self, id: &str) -> Result<Option<IamRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM iam_entities WHERE id = ?1");
        self.row(&sql, [id], map_entity)?.map(|row| self.verified_entity(row)).transpose()
    }

    /// A page of entities by name: at most `limit`, from behind the name `after`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn iam_entities(&self, kind: IamKind, after: Option<&str>, limit: usize) -> Result<Vec<IamRecord>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM iam_entities WHERE kind = ?1 AND folded > ?2 ORDER BY folded LIMIT ?3");
        let after = folded(after.unwrap_or_default());
        let rows = self.rows(&sql, params![kind.column(), after, limit_column(limit)], map_entity)?;
        rows.into_iter().map(|row| self.verified_entity(row)).collect()
    }

    fn verified_entity(&self, (entity, stored): (IamRecord, i64)) -> Result<IamRecord, StoreError> {
        self.verify(entity_sum(&entity), stored, || entity_name(&entity))?;
        Ok(entity)
    }

    /// What an entity has, in order: ARNs of policies, or ids of groups.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn iam_links_of(&self, kind: IamLink, source: &str) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT target, sum FROM iam_links WHERE kind = ?1 AND source = ?2 ORDER BY target";
        let rows = self
            .rows(sql, params![kind.column(), source], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
        rows.into_iter()
            .map(|(target, stored)| {
                self.verify(link_sum(kind, source, &target), stored, || format!("a link of {source}"))?;
                Ok(target)
            })
            .collect()
    }

    /// Ids of who has a policy or is in a group, in order.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn iam_links_to(&self, kind: IamLink, target: &str) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT source, sum FROM iam_links WHERE kind = ?1 AND target = ?2 ORDER BY source";
        let rows = self
            .rows(sql, params![kind.column(), target], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
        rows.into_iter()
            .map(|(source, stored)| {
                self.verify(link_sum(kind, &source, target), stored, || format!("a link of {source}"))?;
                Ok(source)
            })
            .collect()
    }
}

impl Tx<'_> {
    /// Stores a new entity.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when there is one of that kind and name, in whatever letters.
    pub fn insert_iam_entity(&mut self, entity: &IamRecord) -> Result<(), StoreError> {
        let IamRecord { id, kind, name, path, created_ms, doc } = entity;
        self.insert(
            "INSERT INTO iam_entities (id, kind, name, folded, path, created_ms, doc, sum) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![id, kind.column(), name, folded(name), path, created_ms, doc, entity_sum(entity).finish()],
            || entity_name(entity),
        )
    }

    /// Changes an entity, its name included.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none with its id; [`StoreError::Exists`] as for a new one.
    pub fn update_iam_entity(&mut self, entity: &IamRecord) -> Result<(), StoreError> {
        let IamRecord { id, kind: _, name, path, created_ms, doc } = entity;
        if self.iam_entity_by_id(id)?.is_none() {
            return Err(StoreError::NotFound(entity_name(entity)));
        }
        self.insert(
            "UPDATE iam_entities SET name = ?2, folded = ?3, path = ?4, created_ms = ?5, doc = ?6, sum = ?7 WHERE id = ?1",
            params![id, name, folded(name), path, created_ms, doc, entity_sum(entity).finish()],
            || entity_name(entity),
        )
    }

    /// Deletes an entity with everything that it has; whether it was there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_iam_entity(&mut self, id: &str) -> Result<bool, StoreError> {
        self.change("DELETE FROM iam_links WHERE source = ?1", [id])?;
        Ok(self.change("DELETE FROM iam_entities WHERE id = ?1", [id])? == 1)
    }

    /// Gives an entity something; it may have it already.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_iam_link(&mut self, kind: IamLink, source: &str, target: &str) -> Result<(), StoreError> {
        self.change(
            "INSERT OR REPLACE INTO iam_links (kind, source, target, sum) VALUES (?1, ?2, ?3, ?4)",
            params![kind.column(), source, target, link_sum(kind, source, target).finish()],
        )
        .map(drop)
    }

    /// Takes it away; whether it had it.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_iam_link(&mut self, kind: IamLink, source: &str, target: &str) -> Result<bool, StoreError> {
        let sql = "DELETE FROM iam_links WHERE kind = ?1 AND source = ?2 AND target = ?3";
        Ok(self.change(sql, params![kind.column(), source, target])? == 1)
    }
}

/// Checks every row; used by the whole check of a database.
pub(super) fn check(view: &View<'_>, found: &mut Vec<String>) -> Result<(), StoreError> {
    let mut bad = |sum: RowSum, stored: i64, what: String| {
        if sum.finish() != stored {
            found.push(format!("{what} is not what was stored"));
        }
    };
    view.each(&format!("SELECT {COLUMNS} FROM iam_entities"), |row| {
        let (entity, stored) = map_entity(row)?;
        bad(entity_sum(&entity), stored, entity_name(&entity));
        Ok(())
    })?;
    view.each("SELECT kind, source, target, sum FROM iam_links", |row| {
        let (kind, source, target) = (row.get(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?);
        let kind = IamLink::from_column(kind).ok_or(rusqlite::Error::IntegralValueOutOfRange(0, kind))?;
        bad(link_sum(kind, &source, &target), row.get(3)?, format!("a link of {source}"));
        Ok(())
    })
}
