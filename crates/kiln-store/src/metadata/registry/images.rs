//! Images and their tags.

use rusqlite::{Row, params};

use crate::{
    StoreError,
    metadata::{
        projects::limit_column,
        registry::records::{ImageRecord, ImageTagRecord},
        rowsum::RowSum,
        view::{Tx, View},
    },
};

const COLUMNS: &str = "repository, digest, subject, size, pushed_ms, pulled_ms, doc, sum";
const TAG_COLUMNS: &str = "repository, tag, digest, sum";
const PART_COLUMNS: &str = "repository, part, image, sum";

fn image_sum(i: &ImageRecord) -> RowSum {
    RowSum::of("images")
        .text(&i.repository)
        .text(&i.digest)
        .text(i.subject.as_deref().unwrap_or_default())
        .int(i.size)
        .int(i.pushed_ms)
        .maybe(i.pulled_ms)
        .text(&i.doc)
}

fn map_image(row: &Row<'_>) -> rusqlite::Result<(ImageRecord, i64)> {
    let image = ImageRecord {
        repository: row.get(0)?,
        digest: row.get(1)?,
        subject: row.get(2)?,
        size: row.get(3)?,
        pushed_ms: row.get(4)?,
        pulled_ms: row.get(5)?,
        doc: row.get(6)?,
    };
    Ok((image, row.get(7)?))
}

fn image_name(image: &ImageRecord) -> String {
    format!("image {} of repository {}", image.digest, image.repository)
}

fn tag_sum(t: &ImageTagRecord) -> RowSum {
    RowSum::of("image_tags").text(&t.repository).text(&t.tag).text(&t.digest)
}

fn map_tag(row: &Row<'_>) -> rusqlite::Result<(ImageTagRecord, i64)> {
    Ok((ImageTagRecord { repository: row.get(0)?, tag: row.get(1)?, digest: row.get(2)? }, row.get(3)?))
}

fn tag_name(tag: &ImageTagRecord) -> String {
    format!("tag {} of repository {}", tag.tag, tag.repository)
}

fn part_sum(repository: &str, part: &str, image: &str) -> RowSum {
    RowSum::of("image_parts").text(repository).text(part).text(image)
}

impl View<'_> {
    /// An image.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn image(&self, repository: &str, digest: &str) -> Result<Option<ImageRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM images WHERE repository = ?1 AND digest = ?2");
        self.row(&sql, [repository, digest], map_image)?.map(|row| self.verified_image(row)).transpose()
    }

    /// Images of a repository by digest: at most `limit`, from behind the digest `after`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn images(&self, repository: &str, after: Option<&str>, limit: usize) -> Result<Vec<ImageRecord>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM images WHERE repository = ?1 AND digest > ?2 ORDER BY digest LIMIT ?3");
        let values = params![repository, after.unwrap_or_default(), limit_column(limit)];
        let rows = self.rows(&sql, values, map_image)?;
        rows.into_iter().map(|row| self.verified_image(row)).collect()
    }

    /// Images that are about another, by digest: at most `limit`, from behind the digest `after`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn referrers(
        &self,
        repository: &str,
        subject: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ImageRecord>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM images WHERE repository = ?1 AND subject = ?2 AND digest > ?3 ORDER BY digest LIMIT ?4"
        );
        let values = params![repository, subject, after.unwrap_or_default(), limit_column(limit)];
        let rows = self.rows(&sql, values, map_image)?;
        rows.into_iter().map(|row| self.verified_image(row)).collect()
    }

    fn verified_image(&self, (image, stored): (ImageRecord, i64)) -> Result<ImageRecord, StoreError> {
        self.verify(image_sum(&image), stored, || image_name(&image))?;
        Ok(image)
    }

    /// How many images a repository has, with or without tags.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn image_count(&self, repository: &str) -> Result<i64, StoreError> {
        let sql = "SELECT count(*) FROM images WHERE repository = ?1";
        Ok(self.row(sql, [repository], |row| row.get(0))?.unwrap_or_default())
    }

    /// The image that a tag is on.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn image_tag(&self, repository: &str, tag: &str) -> Result<Option<ImageTagRecord>, StoreError> {
        let sql = format!("SELECT {TAG_COLUMNS} FROM image_tags WHERE repository = ?1 AND tag = ?2");
        self.row(&sql, [repository, tag], map_tag)?.map(|row| self.verified_tag(row)).transpose()
    }

    /// Tags of a repository in order: at most `limit`, from behind the tag `after`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn image_tags(
        &self,
        repository: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ImageTagRecord>, StoreError> {
        let sql =
            format!("SELECT {TAG_COLUMNS} FROM image_tags WHERE repository = ?1 AND tag > ?2 ORDER BY tag LIMIT ?3");
        let values = params![repository, after.unwrap_or_default(), limit_column(limit)];
        let rows = self.rows(&sql, values, map_tag)?;
        rows.into_iter().map(|row| self.verified_tag(row)).collect()
    }

    /// Tags of an image, in order.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn tags_of_image(&self, repository: &str, digest: &str) -> Result<Vec<String>, StoreError> {
        let sql = format!("SELECT {TAG_COLUMNS} FROM image_tags WHERE repository = ?1 AND digest = ?2 ORDER BY tag");
        let rows = self.rows(&sql, [repository, digest], map_tag)?;
        rows.into_iter().map(|row| self.verified_tag(row).map(|tag| tag.tag)).collect()
    }

    fn verified_tag(&self, (tag, stored): (ImageTagRecord, i64)) -> Result<ImageTagRecord, StoreError> {
        self.verify(tag_sum(&tag), stored, || tag_name(&tag))?;
        Ok(tag)
    }

    /// Whether an image of a repository needs a layer, or another image.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn is_part_of_image(&self, repository: &str, part: &str) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM image_parts WHERE repository = ?1 AND part = ?2 LIMIT 1";
        Ok(self.row(sql, [repository, part], |_| Ok(()))?.is_some())
    }
}

impl Tx<'_> {
    /// Stores an image that is not there yet, with what it needs.
    ///
    /// # Errors
    /// [`StoreError::Exists`], or when the database cannot be written.
    pub fn insert_image(&mut self, image: &ImageRecord, parts: &[String]) -> Result<(), StoreError> {
        let ImageRecord { repository, digest, subject, size, pushed_ms, pulled_ms, doc } = image;
        self.insert(
            &format!("INSERT INTO images ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"),
            params![repository, digest, subject, size, pushed_ms, pulled_ms, doc, image_sum(image).finish()],
            || image_name(image),
        )?;
        for part in parts {
            self.change(
                &format!("INSERT OR IGNORE INTO image_parts ({PART_COLUMNS}) VALUES (?1, ?2, ?3, ?4)"),
                params![repository, part, digest, part_sum(repository, part, digest).finish()],
            )?;
        }
        Ok(())
    }

    /// Says when an image was last pulled; whether it is there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn note_pull(&mut self, image: &ImageRecord) -> Result<bool, StoreError> {
        let sum = image_sum(image).finish();
        let sql = "UPDATE images SET pulled_ms = ?3, sum = ?4 WHERE repository = ?1 AND digest = ?2 AND pushed_ms = ?5";
        let values = params![image.repository, image.digest, image.pulled_ms, sum, image.pushed_ms];
        Ok(self.change(sql, values)? == 1)
    }

    /// Deletes an image with its tags; its bytes stay until they are collected.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_image(&mut self, repository: &str, digest: &str) -> Result<bool, StoreError> {
        self.change("DELETE FROM image_tags WHERE repository = ?1 AND digest = ?2", [repository, digest])?;
        self.change("DELETE FROM image_parts WHERE repository = ?1 AND image = ?2", [repository, digest])?;
        Ok(self.change("DELETE FROM images WHERE repository = ?1 AND digest = ?2", [repository, digest])? == 1)
    }

    /// Puts a tag on an image, and takes it from the one that had it.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_image_tag(&mut self, tag: &ImageTagRecord) -> Result<(), StoreError> {
        let ImageTagRecord { repository, tag: name, digest } = tag;
        self.change(
            &format!("INSERT OR REPLACE INTO image_tags ({TAG_COLUMNS}) VALUES (?1, ?2, ?3, ?4)"),
            params![repository, name, digest, tag_sum(tag).finish()],
        )
        .map(drop)
    }

    /// Removes a tag; whether it was there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_image_tag(&mut self, repository: &str, tag: &str) -> Result<bool, StoreError> {
        Ok(self.change("DELETE FROM image_tags WHERE repository = ?1 AND tag = ?2", [repository, tag])? == 1)
    }

    /// Makes what an image needs stay for as long as what was just wanted: to be called before the image is deleted.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn touch_parts_of_image(&mut self, repository: &str, digest: &str, now_ms: i64) -> Result<(), StoreError> {
        let parts: Vec<String> = self.rows(
            "SELECT part FROM image_parts WHERE repository = ?1 AND image = ?2",
            [repository, digest],
            |row| row.get(0),
        )?;
        for part in parts.into_iter().chain([digest.to_owned()]) {
            if let Some(mut link) = self.repository_content(repository, &part)? {
                link.touched_ms = link.touched_ms.max(now_ms);
                self.put_repository_content(&link)?;
            }
        }
        Ok(())
    }
}

pub(super) fn check(view: &View<'_>, found: &mut Vec<String>) -> Result<(), StoreError> {
    let mut bad = |sum: RowSum, stored: i64, what: String| {
        if sum.finish() != stored {
            found.push(format!("{what} is not what was stored"));
        }
    };
    view.each(&format!("SELECT {COLUMNS} FROM images"), |row| {
        let (image, stored) = map_image(row)?;
        bad(image_sum(&image), stored, image_name(&image));
        Ok(())
    })?;
    view.each(&format!("SELECT {TAG_COLUMNS} FROM image_tags"), |row| {
        let (tag, stored) = map_tag(row)?;
        bad(tag_sum(&tag), stored, tag_name(&tag));
        Ok(())
    })?;
    view.each(&format!("SELECT {PART_COLUMNS} FROM image_parts"), |row| {
        let (repository, part, image): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let name = format!("part {part} of image {image} of repository {repository}");
        bad(part_sum(&repository, &part, &image), row.get(3)?, name);
        Ok(())
    })?;
    for (sql, what) in [
        (
            "SELECT p.repository || ' ' || p.part FROM image_parts p WHERE NOT EXISTS \
             (SELECT 1 FROM repository_contents c WHERE c.repository = p.repository AND c.digest = p.part)",
            "what an image needs is not there",
        ),
        (
            "SELECT i.repository || ' ' || i.digest FROM images i WHERE NOT EXISTS \
             (SELECT 1 FROM repository_contents c WHERE c.repository = i.repository AND c.digest = i.digest)",
            "the manifest of an image is not there",
        ),
        (
            "SELECT t.repository || ' ' || t.tag FROM image_tags t WHERE NOT EXISTS \
             (SELECT 1 FROM images i WHERE i.repository = t.repository AND i.digest = t.digest)",
            "a tag is on no image",
        ),
    ] {
        view.each(sql, |row| {
            found.push(format!("{what}: {}", row.get::<_, String>(0)?));
            Ok(())
        })?;
    }
    Ok(())
}
