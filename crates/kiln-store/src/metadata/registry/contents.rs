//! Bytes that repositories have, and which blobs they are.

use rusqlite::{Row, params};

use crate::{
    StoreError,
    metadata::{
        projects::limit_column,
        registry::records::{ContentRecord, PieceRecord, RepositoryContentRecord},
        rowsum::RowSum,
        view::{Tx, View},
    },
};

const COLUMNS: &str = "id, digest, sealed_with, size, sum";
const PIECE_COLUMNS: &str = "content, number, blob, size, digest, sum";
const LINK_COLUMNS: &str = "repository, digest, content, touched_ms, sum";

fn content_sum(c: &ContentRecord) -> RowSum {
    RowSum::of("contents").text(&c.id).text(&c.digest).text(&c.sealed_with).int(c.size)
}

fn map_content(row: &Row<'_>) -> rusqlite::Result<(ContentRecord, i64)> {
    let content = ContentRecord { id: row.get(0)?, digest: row.get(1)?, sealed_with: row.get(2)?, size: row.get(3)? };
    Ok((content, row.get(4)?))
}

fn content_name(id: &str) -> String {
    format!("content {id}")
}

fn piece_sum(p: &PieceRecord) -> RowSum {
    RowSum::of("content_pieces").text(&p.content).int(p.number).text(&p.blob).int(p.size).text(&p.digest)
}

fn map_piece(row: &Row<'_>) -> rusqlite::Result<(PieceRecord, i64)> {
    let piece = PieceRecord {
        content: row.get(0)?,
        number: row.get(1)?,
        blob: row.get(2)?,
        size: row.get(3)?,
        digest: row.get(4)?,
    };
    Ok((piece, row.get(5)?))
}

fn piece_name(piece: &PieceRecord) -> String {
    format!("piece {} of content {}", piece.number, piece.content)
}

fn link_sum(l: &RepositoryContentRecord) -> RowSum {
    RowSum::of("repository_contents").text(&l.repository).text(&l.digest).text(&l.content).int(l.touched_ms)
}

fn map_link(row: &Row<'_>) -> rusqlite::Result<(RepositoryContentRecord, i64)> {
    let link = RepositoryContentRecord {
        repository: row.get(0)?,
        digest: row.get(1)?,
        content: row.get(2)?,
        touched_ms: row.get(3)?,
    };
    Ok((link, row.get(4)?))
}

fn link_name(link: &RepositoryContentRecord) -> String {
    format!("{} of repository {}", link.digest, link.repository)
}

impl View<'_> {
    /// A content by its id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn content(&self, id: &str) -> Result<Option<ContentRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM contents WHERE id = ?1");
        self.row(&sql, [id], map_content)?.map(|row| self.verified_content(row)).transpose()
    }

    /// Contents by id: at most `limit`, from behind the id `after`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn contents(&self, after: Option<&str>, limit: usize) -> Result<Vec<ContentRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM contents WHERE id > ?1 ORDER BY id LIMIT ?2");
        let rows = self.rows(&sql, params![after.unwrap_or_default(), limit_column(limit)], map_content)?;
        rows.into_iter().map(|row| self.verified_content(row)).collect()
    }

    /// The content with a digest that is sealed with a key.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn content_of(&self, digest: &str, sealed_with: &str) -> Result<Option<ContentRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM contents WHERE digest = ?1 AND sealed_with = ?2");
        self.row(&sql, [digest, sealed_with], map_content)?.map(|row| self.verified_content(row)).transpose()
    }

    fn verified_content(&self, (content, stored): (ContentRecord, i64)) -> Result<ContentRecord, StoreError> {
        self.verify(content_sum(&content), stored, || content_name(&content.id))?;
        Ok(content)
    }

    /// The pieces of a content, or of an upload, in order.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn pieces(&self, content: &str) -> Result<Vec<PieceRecord>, StoreError> {
        let sql = format!("SELECT {PIECE_COLUMNS} FROM content_pieces WHERE content = ?1 ORDER BY number");
        let rows = self.rows(&sql, [content], map_piece)?;
        let verified = |(piece, stored): (PieceRecord, i64)| {
            self.verify(piece_sum(&piece), stored, || piece_name(&piece))?;
            Ok(piece)
        };
        rows.into_iter().map(verified).collect()
    }

    /// Which content a repository has under a digest.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn repository_content(
        &self,
        repository: &str,
        digest: &str,
    ) -> Result<Option<RepositoryContentRecord>, StoreError> {
        let sql = format!("SELECT {LINK_COLUMNS} FROM repository_contents WHERE repository = ?1 AND digest = ?2");
        self.row(&sql, [repository, digest], map_link)?.map(|row| self.verified_link(row)).transpose()
    }

    /// Contents of repositories that no image of the repository needs, and that were last touched before a time: at most
    /// `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn contents_not_needed(
        &self,
        before_ms: i64,
        limit: usize,
    ) -> Result<Vec<RepositoryContentRecord>, StoreError> {
        let sql = format!(
            "SELECT {LINK_COLUMNS} FROM repository_contents c WHERE touched_ms < ?1 \
             AND NOT EXISTS (SELECT 1 FROM image_parts p WHERE p.repository = c.repository AND p.part = c.digest) \
             AND NOT EXISTS (SELECT 1 FROM images i WHERE i.repository = c.repository AND i.digest = c.digest) LIMIT ?2"
        );
        let rows = self.rows(&sql, params![before_ms, limit_column(limit)], map_link)?;
        rows.into_iter().map(|row| self.verified_link(row)).collect()
    }

    fn verified_link(
        &self,
        (link, stored): (RepositoryContentRecord, i64),
    ) -> Result<RepositoryContentRecord, StoreError> {
        self.verify(link_sum(&link), stored, || link_name(&link))?;
        Ok(link)
    }
}

impl Tx<'_> {
    pub(super) fn insert_piece(&mut self, piece: &PieceRecord) -> Result<(), StoreError> {
        let PieceRecord { content, number, blob, size, digest } = piece;
        self.insert(
            &format!("INSERT INTO content_pieces ({PIECE_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
            params![content, number, blob, size, digest, piece_sum(piece).finish()],
            || piece_name(piece),
        )
    }

    /// Deletes the pieces of an upload or a content; gives their blobs.
    pub(super) fn delete_pieces(&mut self, content: &str) -> Result<Vec<String>, StoreError> {
        let blobs = self.rows("SELECT blob FROM content_pieces WHERE content = ?1", [content], |row| row.get(0))?;
        self.change("DELETE FROM content_pieces WHERE content = ?1", [content])?;
        Ok(blobs)
    }

    /// Stores a content whose pieces are there.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when there are such bytes already, or when the database cannot be written.
    pub fn insert_content(&mut self, content: &ContentRecord) -> Result<(), StoreError> {
        let ContentRecord { id, digest, sealed_with, size } = content;
        self.insert(
            &format!("INSERT INTO contents ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5)"),
            params![id, digest, sealed_with, size, content_sum(content).finish()],
            || content_name(id),
        )
    }

    /// As [`Self::insert_content`], of a content that is one piece.
    ///
    /// # Errors
    /// As [`Self::insert_content`].
    pub fn insert_whole_content(&mut self, content: &ContentRecord, blob: &str) -> Result<(), StoreError> {
        self.insert_content(content)?;
        self.insert_piece(&PieceRecord {
            content: content.id.clone(),
            number: 1,
            blob: blob.to_owned(),
            size: content.size,
            digest: content.digest.clone(),
        })
    }

    /// Says which content a repository has under a digest, and when somebody last wanted it.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_repository_content(&mut self, link: &RepositoryContentRecord) -> Result<(), StoreError> {
        let RepositoryContentRecord { repository, digest, content, touched_ms } = link;
        self.change(
            &format!("INSERT OR REPLACE INTO repository_contents ({LINK_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5)"),
            params![repository, digest, content, touched_ms, link_sum(link).finish()],
        )
        .map(drop)
    }

    /// Takes a content from a repository; gives the blobs that nothing names any more.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_repository_content(&mut self, link: &RepositoryContentRecord) -> Result<Vec<String>, StoreError> {
        self.change(
            "DELETE FROM repository_contents WHERE repository = ?1 AND digest = ?2",
            [&link.repository, &link.digest],
        )?;
        self.give_up_content(&link.content)
    }

    /// Deletes a content that no repository has; gives its blobs.
    pub(super) fn give_up_content(&mut self, content: &str) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT 1 FROM repository_contents WHERE content = ?1 LIMIT 1";
        if self.row(sql, [content], |_| Ok(()))?.is_some() {
            return Ok(Vec::new());
        }
        self.change("DELETE FROM contents WHERE id = ?1", [content])?;
        self.delete_pieces(content)
    }
}

pub(super) fn check(view: &View<'_>, found: &mut Vec<String>) -> Result<(), StoreError> {
    let mut bad = |sum: RowSum, stored: i64, what: String| {
        if sum.finish() != stored {
            found.push(format!("{what} is not what was stored"));
        }
    };
    view.each(&format!("SELECT {COLUMNS} FROM contents"), |row| {
        let (content, stored) = map_content(row)?;
        bad(content_sum(&content), stored, content_name(&content.id));
        Ok(())
    })?;
    view.each(&format!("SELECT {PIECE_COLUMNS} FROM content_pieces"), |row| {
        let (piece, stored) = map_piece(row)?;
        bad(piece_sum(&piece), stored, piece_name(&piece));
        Ok(())
    })?;
    view.each(&format!("SELECT {LINK_COLUMNS} FROM repository_contents"), |row| {
        let (link, stored) = map_link(row)?;
        bad(link_sum(&link), stored, link_name(&link));
        Ok(())
    })?;
    for (sql, what) in [
        (
            "SELECT c.id FROM contents c LEFT JOIN content_pieces p ON p.content = c.id \
             GROUP BY c.id HAVING coalesce(sum(p.size), 0) <> c.size",
            "content",
        ),
        (
            "SELECT u.id FROM layer_uploads u LEFT JOIN content_pieces p ON p.content = u.id \
             GROUP BY u.id HAVING coalesce(sum(p.size), 0) <> u.size",
            "upload",
        ),
    ] {
        view.each(sql, |row| {
            found.push(format!("the pieces of {what} {} have another size than it", row.get::<_, String>(0)?));
            Ok(())
        })?;
    }
    for (sql, what) in [
        (
            "SELECT content FROM content_pieces WHERE content NOT IN (SELECT id FROM contents) \
             AND content NOT IN (SELECT id FROM layer_uploads)",
            "a piece is of nothing",
        ),
        (
            "SELECT id FROM contents WHERE id NOT IN (SELECT content FROM repository_contents)",
            "no repository has a content",
        ),
    ] {
        view.each(sql, |row| {
            found.push(format!("{what}: {}", row.get::<_, String>(0)?));
            Ok(())
        })?;
    }
    Ok(())
}
