//! Layers that are being uploaded.

use rusqlite::{Row, params};

use crate::{
    StoreError,
    metadata::{
        projects::limit_column,
        registry::records::{LayerUploadRecord, PieceRecord},
        rowsum::RowSum,
        view::{Tx, View},
    },
};

const COLUMNS: &str = "id, repository, touched_ms, size, pieces, sealed_with, sum";

fn upload_sum(u: &LayerUploadRecord) -> RowSum {
    RowSum::of("layer_uploads")
        .text(&u.id)
        .text(&u.repository)
        .int(u.touched_ms)
        .int(u.size)
        .int(u.pieces)
        .text(&u.sealed_with)
}

fn map_upload(row: &Row<'_>) -> rusqlite::Result<(LayerUploadRecord, i64)> {
    let upload = LayerUploadRecord {
        id: row.get(0)?,
        repository: row.get(1)?,
        touched_ms: row.get(2)?,
        size: row.get(3)?,
        pieces: row.get(4)?,
        sealed_with: row.get(5)?,
    };
    Ok((upload, row.get(6)?))
}

fn upload_name(id: &str) -> String {
    format!("upload {id} of a layer")
}

impl View<'_> {
    /// An upload of a layer that is not completed.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn layer_upload(&self, id: &str) -> Result<Option<LayerUploadRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM layer_uploads WHERE id = ?1");
        self.row(&sql, [id], map_upload)?.map(|row| self.verified_layer_upload(row)).transpose()
    }

    /// Uploads of layers that nobody has touched since a time; at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn layer_uploads_before(&self, before_ms: i64, limit: usize) -> Result<Vec<LayerUploadRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM layer_uploads WHERE touched_ms < ?1 ORDER BY touched_ms, id LIMIT ?2");
        let rows = self.rows(&sql, params![before_ms, limit_column(limit)], map_upload)?;
        rows.into_iter().map(|row| self.verified_layer_upload(row)).collect()
    }

    /// How many uploads of layers a repository has (a quota).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn layer_upload_count(&self, repository: &str) -> Result<i64, StoreError> {
        let sql = "SELECT count(*) FROM layer_uploads WHERE repository = ?1";
        Ok(self.row(sql, [repository], |row| row.get(0))?.unwrap_or_default())
    }

    fn verified_layer_upload(
        &self,
        (upload, stored): (LayerUploadRecord, i64),
    ) -> Result<LayerUploadRecord, StoreError> {
        self.verify(upload_sum(&upload), stored, || upload_name(&upload.id))?;
        Ok(upload)
    }
}

impl Tx<'_> {
    /// Begins an upload.
    ///
    /// # Errors
    /// [`StoreError::Exists`], or when the database cannot be written.
    pub fn insert_layer_upload(&mut self, upload: &LayerUploadRecord) -> Result<(), StoreError> {
        let LayerUploadRecord { id, repository, touched_ms, size, pieces, sealed_with } = upload;
        self.insert(
            &format!("INSERT INTO layer_uploads ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"),
            params![id, repository, touched_ms, size, pieces, sealed_with, upload_sum(upload).finish()],
            || upload_name(id),
        )
    }

    /// Adds a piece behind what an upload has, and stores the upload as it is then.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the upload is not there, or when the database cannot be written.
    pub fn append_piece(&mut self, upload: &LayerUploadRecord, piece: &PieceRecord) -> Result<(), StoreError> {
        let LayerUploadRecord { id, touched_ms, size, pieces, .. } = upload;
        let changed = self.change(
            "UPDATE layer_uploads SET touched_ms = ?2, size = ?3, pieces = ?4, sum = ?5 WHERE id = ?1",
            params![id, touched_ms, size, pieces, upload_sum(upload).finish()],
        )?;
        if changed != 1 {
            return Err(StoreError::NotFound(upload_name(id)));
        }
        self.insert_piece(piece)
    }

    /// Gives an upload up; gives its blobs, which nothing names any more.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_layer_upload(&mut self, id: &str) -> Result<Vec<String>, StoreError> {
        if self.change("DELETE FROM layer_uploads WHERE id = ?1", [id])? == 0 {
            return Ok(Vec::new());
        }
        self.delete_pieces(id)
    }

    /// Takes an upload for completed: its pieces are a content of its own then.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn end_layer_upload(&mut self, id: &str) -> Result<(), StoreError> {
        self.change("DELETE FROM layer_uploads WHERE id = ?1", [id]).map(drop)
    }
}

pub(super) fn check(view: &View<'_>, found: &mut Vec<String>) -> Result<(), StoreError> {
    view.each(&format!("SELECT {COLUMNS} FROM layer_uploads"), |row| {
        let (upload, stored) = map_upload(row)?;
        if upload_sum(&upload).finish() != stored {
            found.push(format!("{} is not what was stored", upload_name(&upload.id)));
        }
        Ok(())
    })
}
