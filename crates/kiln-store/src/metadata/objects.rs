//! Buckets and objects. An object's bytes are a blob; here is what is known about them.

use rusqlite::{Row, params};

use super::{
    error,
    projects::limit_column,
    records::{BucketRecord, ObjectRecord},
    rowsum::RowSum,
    view::{Tx, View},
};
use crate::StoreError;

const BUCKET_COLUMNS: &str = "name, created_ms, doc, sum";
pub(super) const OBJECT_COLUMNS: &str = "bucket, key, version, blob, size, etag, sha256, created_ms, doc, sum, upload";

fn bucket_sum(b: &BucketRecord) -> RowSum {
    RowSum::of("buckets").text(&b.name).int(b.created_ms).text(&b.doc)
}

fn map_bucket(row: &Row<'_>) -> rusqlite::Result<(BucketRecord, i64)> {
    Ok((BucketRecord { name: row.get(0)?, created_ms: row.get(1)?, doc: row.get(2)? }, row.get(3)?))
}

fn object_sum(o: &ObjectRecord) -> RowSum {
    let sum = RowSum::of("objects")
        .text(&o.bucket)
        .text(&o.key)
        .text(&o.version)
        .int(i64::from(o.blob.is_some()))
        .text(o.blob.as_deref().unwrap_or_default())
        .int(o.size)
        .text(&o.etag)
        .bytes(&o.sha256)
        .int(o.created_ms)
        .text(&o.doc);
    // Rows of version 1 of the tables have none, and keep their sums.
    match &o.upload {
        Some(upload) => sum.text(upload),
        None => sum,
    }
}

pub(super) fn map_object(row: &Row<'_>) -> rusqlite::Result<(ObjectRecord, i64)> {
    let object = ObjectRecord {
        bucket: row.get(0)?,
        key: row.get(1)?,
        version: row.get(2)?,
        blob: row.get(3)?,
        upload: row.get(10)?,
        size: row.get(4)?,
        etag: row.get(5)?,
        sha256: row.get(6)?,
        created_ms: row.get(7)?,
        doc: row.get(8)?,
    };
    Ok((object, row.get(9)?))
}

pub(super) fn bucket_name(name: &str) -> String {
    format!("bucket {name}")
}

fn object_name(object: &ObjectRecord) -> String {
    format!("object {}/{} version {}", object.bucket, object.key, object.version)
}

impl View<'_> {
    /// A bucket by its name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn bucket(&self, name: &str) -> Result<Option<BucketRecord>, StoreError> {
        let sql = format!("SELECT {BUCKET_COLUMNS} FROM buckets WHERE name = ?1");
        self.row(&sql, [name], map_bucket)?.map(|row| self.verified_bucket(row)).transpose()
    }

    /// All buckets, by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn buckets(&self) -> Result<Vec<BucketRecord>, StoreError> {
        let sql = format!("SELECT {BUCKET_COLUMNS} FROM buckets ORDER BY name");
        self.rows(&sql, [], map_bucket)?.into_iter().map(|row| self.verified_bucket(row)).collect()
    }

    fn verified_bucket(&self, (bucket, stored): (BucketRecord, i64)) -> Result<BucketRecord, StoreError> {
        self.verify(bucket_sum(&bucket), stored, || bucket_name(&bucket.name))?;
        Ok(bucket)
    }

    /// The newest version of an object, which may be a delete marker.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn object(&self, bucket: &str, key: &str) -> Result<Option<ObjectRecord>, StoreError> {
        let sql = format!(
            "SELECT {OBJECT_COLUMNS} FROM objects INDEXED BY objects_newest \
             WHERE bucket = ?1 AND key = ?2 ORDER BY id DESC LIMIT 1"
        );
        self.row(&sql, [bucket, key], map_object)?.map(|row| self.verified_object(row)).transpose()
    }

    /// One version of an object.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn object_version(&self, bucket: &str, key: &str, version: &str) -> Result<Option<ObjectRecord>, StoreError> {
        let sql = format!("SELECT {OBJECT_COLUMNS} FROM objects WHERE bucket = ?1 AND key = ?2 AND version = ?3");
        self.row(&sql, [bucket, key, version], map_object)?.map(|row| self.verified_object(row)).transpose()
    }

    /// A page of the newest versions of the objects whose key begins with `prefix`, by key: at most `limit`, from behind
    /// the key `after`. Delete markers are in it too.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn objects(
        &self,
        bucket: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ObjectRecord>, StoreError> {
        let after = after.filter(|after| *after >= prefix);
        // The first object of a page is at the prefix itself, or behind the last of the page before.
        let from = if after.is_some() { "o.key > ?2" } else { "o.key >= ?2" };
        let sql = format!(
            "SELECT {OBJECT_COLUMNS} FROM objects o INDEXED BY objects_newest \
             WHERE bucket = ?1 AND {from} AND o.key < ?3 \
             AND id = (SELECT max(n.id) FROM objects n WHERE n.bucket = o.bucket AND n.key = o.key) \
             ORDER BY key LIMIT ?4"
        );
        let rows = self.rows(
            &sql,
            params![bucket, after.unwrap_or(prefix), end_of_prefix(prefix), limit_column(limit)],
            map_object,
        )?;
        rows.into_iter().map(|row| self.verified_object(row)).collect()
    }

    pub(super) fn verified_object(&self, (object, stored): (ObjectRecord, i64)) -> Result<ObjectRecord, StoreError> {
        self.verify(object_sum(&object), stored, || object_name(&object))?;
        Ok(object)
    }
}

/// A text above every key that begins with `prefix`, and below every other that is above those: keys have up to 1,024
/// bytes.
pub(super) fn end_of_prefix(prefix: &str) -> String {
    format!("{prefix}{}", "\u{10ffff}".repeat(257))
}

impl Tx<'_> {
    /// Stores a new bucket.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when its name is taken.
    pub fn insert_bucket(&mut self, bucket: &BucketRecord) -> Result<(), StoreError> {
        self.insert(
            &format!("INSERT INTO buckets ({BUCKET_COLUMNS}) VALUES (?1, ?2, ?3, ?4)"),
            params![bucket.name, bucket.created_ms, bucket.doc, bucket_sum(bucket).finish()],
            || bucket_name(&bucket.name),
        )
    }

    /// Replaces what is known about a bucket.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when it is not there.
    pub fn update_bucket(&mut self, bucket: &BucketRecord) -> Result<(), StoreError> {
        let changed = self.change(
            "UPDATE buckets SET created_ms = ?2, doc = ?3, sum = ?4 WHERE name = ?1",
            params![bucket.name, bucket.created_ms, bucket.doc, bucket_sum(bucket).finish()],
        )?;
        if changed == 1 { Ok(()) } else { Err(StoreError::NotFound(bucket_name(&bucket.name))) }
    }

    /// Deletes an empty bucket; whether it was there.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it has objects.
    pub fn delete_bucket(&mut self, name: &str) -> Result<bool, StoreError> {
        match self.prepare("DELETE FROM buckets WHERE name = ?1")?.execute([name]) {
            Ok(changed) => Ok(changed == 1),
            Err(e) if error::is_reference(&e) => Err(StoreError::Conflict(bucket_name(name))),
            Err(e) => Err(self.fail(&e)),
        }
    }

    /// Stores a version of an object, as the newest of its key, in place of the same version id. Returns the version
    /// that it replaced; its blob or parts are the caller's to give up.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the bucket is not there.
    pub fn put_object(&mut self, object: &ObjectRecord) -> Result<Option<ObjectRecord>, StoreError> {
        let before = self.delete_object(&object.bucket, &object.key, &object.version)?;
        let sql =
            format!("INSERT INTO objects ({OBJECT_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)");
        let inserted = self.prepare(&sql)?.execute(params![
            object.bucket,
            object.key,
            object.version,
            object.blob,
            object.size,
            object.etag,
            object.sha256,
            object.created_ms,
            object.doc,
            object_sum(object).finish(),
            object.upload
        ]);
        match inserted {
            Ok(_) => Ok(before),
            Err(e) if error::is_reference(&e) => Err(StoreError::NotFound(bucket_name(&object.bucket))),
            Err(e) => Err(self.fail(&e)),
        }
    }

    /// Changes what is known about a version of an object; bytes and place among the versions stay.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when it is not there.
    pub fn update_object(&mut self, object: &ObjectRecord) -> Result<(), StoreError> {
        let changed = self.change(
            "UPDATE objects SET size = ?4, etag = ?5, created_ms = ?6, doc = ?7, sum = ?8 \
             WHERE bucket = ?1 AND key = ?2 AND version = ?3 AND blob IS ?9 AND upload IS ?10 AND sha256 = ?11",
            params![
                object.bucket,
                object.key,
                object.version,
                object.size,
                object.etag,
                object.created_ms,
                object.doc,
                object_sum(object).finish(),
                object.blob,
                object.upload,
                object.sha256
            ],
        )?;
        if changed == 1 { Ok(()) } else { Err(StoreError::NotFound(object_name(object))) }
    }

    /// Deletes a version of an object; returns what it was.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_object(
        &mut self,
        bucket: &str,
        key: &str,
        version: &str,
    ) -> Result<Option<ObjectRecord>, StoreError> {
        let Some(object) = self.object_version(bucket, key, version)? else { return Ok(None) };
        self.change("DELETE FROM objects WHERE bucket = ?1 AND key = ?2 AND version = ?3", [bucket, key, version])?;
        Ok(Some(object))
    }
}

/// Checks every row; used by the whole check of a database.
pub(super) fn check(view: &View<'_>, found: &mut Vec<String>) -> Result<(), StoreError> {
    let mut bad = |sum: RowSum, stored: i64, what: String| {
        if sum.finish() != stored {
            found.push(format!("{what} is not what was stored"));
        }
    };
    view.each(&format!("SELECT {BUCKET_COLUMNS} FROM buckets"), |row| {
        let (bucket, stored) = map_bucket(row)?;
        bad(bucket_sum(&bucket), stored, bucket_name(&bucket.name));
        Ok(())
    })?;
    view.each(&format!("SELECT {OBJECT_COLUMNS} FROM objects"), |row| {
        let (object, stored) = map_object(row)?;
        bad(object_sum(&object), stored, object_name(&object));
        Ok(())
    })
}
