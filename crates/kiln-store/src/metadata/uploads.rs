//! Uploads in parts, and which blobs are in use.

use rusqlite::{Row, params};

use super::{
    error,
    objects::bucket_name,
    projects::limit_column,
    records::{BucketUsage, ObjectRecord, PartRecord, UploadRecord},
    rowsum::RowSum,
    view::{Tx, View},
};
use crate::StoreError;

pub(super) const UPLOAD_COLUMNS: &str = "id, bucket, key, created_ms, doc, sum";
const PART_COLUMNS: &str = "upload, number, blob, size, etag, created_ms, doc, sum";

fn upload_sum(u: &UploadRecord) -> RowSum {
    RowSum::of("uploads").text(&u.id).text(&u.bucket).text(&u.key).int(u.created_ms).text(&u.doc)
}

pub(super) fn map_upload(row: &Row<'_>) -> rusqlite::Result<(UploadRecord, i64)> {
    let upload = UploadRecord {
        id: row.get(0)?,
        bucket: row.get(1)?,
        key: row.get(2)?,
        created_ms: row.get(3)?,
        doc: row.get(4)?,
    };
    Ok((upload, row.get(5)?))
}

fn part_sum(p: &PartRecord) -> RowSum {
    RowSum::of("parts")
        .text(&p.upload)
        .int(p.number)
        .text(&p.blob)
        .int(p.size)
        .text(&p.etag)
        .int(p.created_ms)
        .text(&p.doc)
}

fn map_part(row: &Row<'_>) -> rusqlite::Result<(PartRecord, i64)> {
    let part = PartRecord {
        upload: row.get(0)?,
        number: row.get(1)?,
        blob: row.get(2)?,
        size: row.get(3)?,
        etag: row.get(4)?,
        created_ms: row.get(5)?,
        doc: row.get(6)?,
    };
    Ok((part, row.get(7)?))
}

fn upload_name(id: &str) -> String {
    format!("upload {id}")
}

fn part_name(part: &PartRecord) -> String {
    format!("part {} of upload {}", part.number, part.upload)
}

impl View<'_> {
    /// An upload that is neither completed nor given up.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn upload(&self, id: &str) -> Result<Option<UploadRecord>, StoreError> {
        let sql = format!("SELECT {UPLOAD_COLUMNS} FROM uploads WHERE id = ?1");
        self.row(&sql, [id], map_upload)?.map(|row| self.verified_upload(row)).transpose()
    }

    pub(super) fn verified_upload(&self, (upload, stored): (UploadRecord, i64)) -> Result<UploadRecord, StoreError> {
        self.verify(upload_sum(&upload), stored, || upload_name(&upload.id))?;
        Ok(upload)
    }

    /// Uploads of a bucket that were begun before a time, oldest first, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn uploads_before(&self, bucket: &str, before_ms: i64, limit: usize) -> Result<Vec<UploadRecord>, StoreError> {
        let sql =
            format!("SELECT {UPLOAD_COLUMNS} FROM uploads WHERE bucket = ?1 AND created_ms < ?2 ORDER BY seq LIMIT ?3");
        let rows = self.rows(&sql, params![bucket, before_ms, limit_column(limit)], map_upload)?;
        rows.into_iter().map(|row| self.verified_upload(row)).collect()
    }

    /// Parts of an upload, or of the object that was one: by number, from behind `after`, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn parts(&self, upload: &str, after: i64, limit: usize) -> Result<Vec<PartRecord>, StoreError> {
        let sql =
            format!("SELECT {PART_COLUMNS} FROM parts WHERE upload = ?1 AND number > ?2 ORDER BY number LIMIT ?3");
        let rows = self.rows(&sql, params![upload, after, limit_column(limit)], map_part)?;
        rows.into_iter().map(|row| self.verified_part(row)).collect()
    }

    fn verified_part(&self, (part, stored): (PartRecord, i64)) -> Result<PartRecord, StoreError> {
        self.verify(part_sum(&part), stored, || part_name(&part))?;
        Ok(part)
    }

    /// Whether an object, a part or an image has this blob.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn is_blob_used(&self, blob: &str) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM objects WHERE blob = ?1 UNION ALL SELECT 1 FROM parts WHERE blob = ?1 \
             UNION ALL SELECT 1 FROM content_pieces WHERE blob = ?1 LIMIT 1";
        Ok(self.row(sql, [blob], |_| Ok(()))?.is_some())
    }

    /// Calls `see` with every blob that an object, a part or an image has; one that several have comes several times.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn each_blob(&self, mut see: impl FnMut(&str)) -> Result<(), StoreError> {
        for sql in [
            "SELECT blob FROM objects INDEXED BY objects_by_blob WHERE blob IS NOT NULL",
            "SELECT blob FROM parts INDEXED BY parts_by_blob",
            "SELECT blob FROM content_pieces INDEXED BY content_pieces_by_blob",
        ] {
            self.each(sql, |row| {
                see(&row.get::<_, String>(0)?);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// What each bucket holds, by name. Reads every row: for people who ask, not for requests.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn bucket_usage(&self) -> Result<Vec<BucketUsage>, StoreError> {
        let sql = "SELECT b.name, \
             (SELECT count(*) FROM objects o WHERE o.bucket = b.name AND (blob IS NOT NULL OR upload IS NOT NULL)), \
             (SELECT coalesce(sum(size), 0) FROM objects o WHERE o.bucket = b.name), \
             (SELECT count(*) FROM uploads u WHERE u.bucket = b.name), \
             (SELECT coalesce(sum(p.size), 0) FROM parts p JOIN uploads u ON p.upload = u.id WHERE u.bucket = b.name) \
             FROM buckets b ORDER BY b.name";
        self.rows(sql, [], |row| {
            let count = |n| row.get::<_, i64>(n).map(i64::unsigned_abs);
            Ok(BucketUsage {
                name: row.get(0)?,
                objects: count(1)?,
                bytes: count(2)?,
                uploads: count(3)?,
                upload_bytes: count(4)?,
            })
        })
    }
}

impl Tx<'_> {
    /// Stores a new upload.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when its bucket is not there, [`StoreError::Exists`] when its id is taken.
    pub fn insert_upload(&mut self, upload: &UploadRecord) -> Result<(), StoreError> {
        let sql = format!("INSERT INTO uploads ({UPLOAD_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
        let sum = upload_sum(upload).finish();
        let values = params![upload.id, upload.bucket, upload.key, upload.created_ms, upload.doc, sum];
        match self.prepare(&sql)?.execute(values) {
            Ok(_) => Ok(()),
            Err(e) if error::is_duplicate(&e) => Err(StoreError::Exists(upload_name(&upload.id))),
            Err(e) if error::is_reference(&e) => Err(StoreError::NotFound(bucket_name(&upload.bucket))),
            Err(e) => Err(self.fail(&e)),
        }
    }

    /// Deletes an upload, not its parts: an object has them now, or [`Self::delete_parts`] follows. Whether it was there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_upload(&mut self, id: &str) -> Result<bool, StoreError> {
        Ok(self.change("DELETE FROM uploads WHERE id = ?1", [id])? == 1)
    }

    /// Stores a part, in place of what has its number; returns the blob that this had.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the upload is not there (any more).
    pub fn put_part(&mut self, part: &PartRecord) -> Result<Option<String>, StoreError> {
        if self.upload(&part.upload)?.is_none() {
            return Err(StoreError::NotFound(upload_name(&part.upload)));
        }
        let before = self.delete_part(&part.upload, part.number)?;
        let sql = format!("INSERT INTO parts ({PART_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
        self.change(
            &sql,
            params![
                part.upload,
                part.number,
                part.blob,
                part.size,
                part.etag,
                part.created_ms,
                part.doc,
                part_sum(part).finish()
            ],
        )?;
        Ok(before)
    }

    /// Deletes a part; returns its blob.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_part(&mut self, upload: &str, number: i64) -> Result<Option<String>, StoreError> {
        self.row("DELETE FROM parts WHERE upload = ?1 AND number = ?2 RETURNING blob", params![upload, number], |row| {
            row.get(0)
        })
    }

    /// Deletes all parts of an upload; returns their blobs.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_parts(&mut self, upload: &str) -> Result<Vec<String>, StoreError> {
        self.rows("DELETE FROM parts WHERE upload = ?1 RETURNING blob", [upload], |row| row.get(0))
    }

    /// What holds the bytes of an object that was deleted or replaced: its parts are deleted, and their blobs or its own
    /// are returned.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn give_up_bytes(&mut self, object: ObjectRecord) -> Result<Vec<String>, StoreError> {
        match object.upload {
            Some(upload) => self.delete_parts(&upload),
            None => Ok(object.blob.into_iter().collect()),
        }
    }
}

/// Checks every row, and that each part belongs to something; used by the whole check of a database.
pub(super) fn check(view: &View<'_>, found: &mut Vec<String>) -> Result<(), StoreError> {
    view.each(&format!("SELECT {UPLOAD_COLUMNS} FROM uploads"), |row| {
        let (upload, stored) = map_upload(row)?;
        if upload_sum(&upload).finish() != stored {
            found.push(format!("{} is not what was stored", upload_name(&upload.id)));
        }
        Ok(())
    })?;
    view.each(&format!("SELECT {PART_COLUMNS} FROM parts"), |row| {
        let (part, stored) = map_part(row)?;
        if part_sum(&part).finish() != stored {
            found.push(format!("{} is not what was stored", part_name(&part)));
        }
        Ok(())
    })?;
    let lost = "SELECT DISTINCT upload FROM parts p WHERE \
        NOT EXISTS (SELECT 1 FROM uploads u WHERE u.id = p.upload) AND \
        NOT EXISTS (SELECT 1 FROM objects o WHERE o.upload = p.upload)";
    view.each(lost, |row| {
        found.push(format!("parts of {} belong to no object", upload_name(&row.get::<_, String>(0)?)));
        Ok(())
    })?;
    let empty = "SELECT bucket, key, version, size FROM objects o WHERE upload IS NOT NULL AND \
        size <> (SELECT coalesce(sum(p.size), -1) FROM parts p WHERE p.upload = o.upload)";
    view.each(empty, |row| {
        let (bucket, key, version): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        found.push(format!("object {bucket}/{key} version {version} has other parts than it had"));
        Ok(())
    })
}
