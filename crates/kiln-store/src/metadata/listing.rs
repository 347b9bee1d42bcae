//! Lists of objects, versions and uploads whose keys are summed up at a delimiter.
//!
//! What is summed up is skipped, not read: once one key of a common prefix was seen, the list goes on behind all that
//! begin with it. A list of a bucket's root costs the same with ten keys in a folder and with a million.

use rusqlite::{Params, params};

use super::{
    objects::{OBJECT_COLUMNS, end_of_prefix, map_object},
    records::{ListedVersionRecord, Listing, ObjectRecord, UploadRecord},
    uploads::{UPLOAD_COLUMNS, map_upload},
    view::View,
};
use crate::StoreError;

/// What a list is of.
#[derive(Debug, Clone, Copy)]
pub struct ListQuery<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// Keys begin with this.
    pub prefix: &'a str,
    /// Keys are summed up at this; not empty.
    pub delimiter: Option<&'a str>,
    /// Items and common prefixes together, at most.
    pub limit: usize,
}

impl ListQuery<'_> {
    /// What a key is summed up to: itself up to and with the first delimiter behind the prefix.
    fn common_prefix<'k>(&self, key: &'k str) -> Option<&'k str> {
        let delimiter = self.delimiter.filter(|d| !d.is_empty())?;
        let at = key.get(self.prefix.len()..)?.find(delimiter)?;
        key.get(..self.prefix.len() + at + delimiter.len())
    }

    /// Where a list begins that goes on behind `after`: a key, or a common prefix, all of which is over then.
    fn start(&self, after: Option<&str>) -> Start {
        match after.filter(|after| *after >= self.prefix) {
            None => Start::At(self.prefix.to_owned()),
            Some(after) if self.common_prefix(after) == Some(after) => Start::At(end_of_prefix(after)),
            Some(after) => Start::Behind(after.to_owned()),
        }
    }
}

/// Where reading begins.
enum Start {
    /// With this key.
    At(String),
    /// With the next one.
    Behind(String),
}

/// The rows that a list is made of.
struct Rows {
    /// Columns, table and conditions; the bucket is `?1`.
    select: String,
    /// Their order.
    order: &'static str,
}

/// Whether reading goes on.
enum Next {
    /// With the next row.
    Row,
    /// At another key.
    From(String),
    /// No more is wanted.
    End,
}

/// A page that is being filled.
struct Page<'q, T> {
    query: ListQuery<'q>,
    listing: Listing<T>,
}

impl<'q, T> Page<'q, T> {
    fn new(query: ListQuery<'q>) -> Self {
        Self { query, listing: Listing { items: Vec::new(), prefixes: Vec::new(), truncated: false } }
    }

    /// Takes the next of the list, or its common prefix.
    fn take(&mut self, key: &str, item: impl FnOnce() -> T) -> Next {
        if self.listing.items.len() + self.listing.prefixes.len() >= self.query.limit {
            self.listing.truncated = self.query.limit > 0;
            return Next::End;
        }
        match self.query.common_prefix(key) {
            Some(common) => {
                self.listing.prefixes.push(common.to_owned());
                Next::From(end_of_prefix(common))
            }
            None => {
                self.listing.items.push(item());
                Next::Row
            }
        }
    }
}

impl View<'_> {
    /// Reads rows from `start` on, as `see` says.
    fn walk<R>(
        &self,
        rows: &Rows,
        start: Start,
        map: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<R>,
        query: &ListQuery<'_>,
        mut see: impl FnMut(R) -> Result<Next, StoreError>,
    ) -> Result<(), StoreError> {
        let end = end_of_prefix(query.prefix);
        let (mut from, mut with) = match start {
            Start::At(key) => (key, true),
            Start::Behind(key) => (key, false),
        };
        loop {
            let above = if with { ">=" } else { ">" };
            let sql = format!("SELECT {} AND key {above} ?2 AND key < ?3 ORDER BY {}", rows.select, rows.order);
            match self.walk_rows(&sql, params![query.bucket, from, end], &map, &mut see)? {
                Some(next) => (from, with) = (next, true),
                None => return Ok(()),
            }
        }
    }

    /// Reads the rows of one statement; where to go on, if it is not over.
    fn walk_rows<R>(
        &self,
        sql: &str,
        values: impl Params,
        map: &impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<R>,
        see: &mut impl FnMut(R) -> Result<Next, StoreError>,
    ) -> Result<Option<String>, StoreError> {
        let mut statement = self.prepare(sql)?;
        let mut rows = statement.query(values).map_err(|e| self.fail(&e))?;
        while let Some(row) = rows.next().map_err(|e| self.fail(&e))? {
            match see(map(row).map_err(|e| self.fail(&e))?)? {
                Next::Row => {}
                Next::From(key) => return Ok(Some(key)),
                Next::End => return Ok(None),
            }
        }
        Ok(None)
    }

    /// A page of the objects of a bucket, delete markers left out, from behind the key or common prefix `after`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_objects(&self, query: ListQuery<'_>, after: Option<&str>) -> Result<Listing<ObjectRecord>, StoreError> {
        let rows = Rows {
            select: format!(
                "{OBJECT_COLUMNS} FROM objects o INDEXED BY objects_newest WHERE bucket = ?1 \
                 AND id = (SELECT max(n.id) FROM objects n WHERE n.bucket = o.bucket AND n.key = o.key) \
                 AND (blob IS NOT NULL OR upload IS NOT NULL)"
            ),
            order: "key",
        };
        let mut page = Page::new(query);
        self.walk(&rows, query.start(after), map_object, &query, |row| {
            let object = self.verified_object(row)?;
            let key = object.key.clone();
            Ok(page.take(&key, || object))
        })?;
        Ok(page.listing)
    }

    /// A page of the versions of a bucket's objects, delete markers too: by key, newest first; from behind the key or
    /// common prefix `after`, or from behind that version of it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_versions(
        &self,
        query: ListQuery<'_>,
        after: Option<&str>,
        version: Option<&str>,
    ) -> Result<Listing<ListedVersionRecord>, StoreError> {
        let rows = Rows {
            select: format!("{OBJECT_COLUMNS} FROM objects INDEXED BY objects_newest WHERE bucket = ?1"),
            order: "key, id DESC",
        };
        let mut page = Page::new(query);
        // Of a key in whose middle the page begins nothing is the newest.
        let mut last = after.filter(|_| version.is_some()).map(str::to_owned);
        let mut see = |row: (ObjectRecord, i64)| {
            let object = self.verified_object(row)?;
            let newest = last.as_deref() != Some(&object.key);
            let key = object.key.clone();
            last = Some(key.clone());
            Ok(page.take(&key, || ListedVersionRecord { object, newest }))
        };
        if let (Some(key), Some(version)) = (after, version)
            && key.starts_with(query.prefix)
        {
            let sql = format!(
                "SELECT {} AND key = ?2 AND id < \
                 (SELECT id FROM objects WHERE bucket = ?1 AND key = ?2 AND version = ?3) ORDER BY id DESC",
                rows.select
            );
            self.walk_rows(&sql, params![query.bucket, key, version], &map_object, &mut see)?;
        }
        self.walk(&rows, query.start(after), map_object, &query, &mut see)?;
        Ok(page.listing)
    }

    /// A page of the uploads of a bucket that are not completed: by key and then as they were begun; from behind the key
    /// or common prefix `after`, or from behind that upload of it.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_uploads(
        &self,
        query: ListQuery<'_>,
        after: Option<&str>,
        upload: Option<&str>,
    ) -> Result<Listing<UploadRecord>, StoreError> {
        let rows = Rows {
            select: format!("{UPLOAD_COLUMNS} FROM uploads INDEXED BY uploads_by_key WHERE bucket = ?1"),
            order: "key, seq",
        };
        let mut page = Page::new(query);
        let mut see = |row: (UploadRecord, i64)| {
            let upload = self.verified_upload(row)?;
            let key = upload.key.clone();
            Ok(page.take(&key, || upload))
        };
        if let (Some(key), Some(upload)) = (after, upload)
            && key.starts_with(query.prefix)
        {
            let sql = format!(
                "SELECT {} AND key = ?2 AND seq > (SELECT seq FROM uploads WHERE id = ?3) ORDER BY seq",
                rows.select
            );
            self.walk_rows(&sql, params![query.bucket, key, upload], &map_upload, &mut see)?;
        }
        self.walk(&rows, query.start(after), map_upload, &query, &mut see)?;
        Ok(page.listing)
    }
}
