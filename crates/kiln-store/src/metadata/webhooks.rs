//! Webhooks, what they delivered, and the statuses of commits that wait to be told.

#[cfg(test)]
mod tests;

use rusqlite::{Row, params};

use super::{
    projects::limit_column,
    rowsum::RowSum,
    view::{Tx, View},
};
use crate::StoreError;

/// A project's webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRecord {
    /// Project.
    pub project: String,
    /// Hash of the last part of its address.
    pub token: String,
    /// Its secret, sealed.
    pub sealed: Vec<u8>,
    /// Its owner's document.
    pub doc: String,
}

/// Something that was delivered to a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// Order of arrival; the store gives it.
    pub id: i64,
    /// Kiln's id.
    pub uuid: String,
    /// [`WebhookRecord::token`] of the webhook.
    pub hook: String,
    /// The provider's id.
    pub delivery: String,
    /// Project.
    pub project: String,
    /// When it came, milliseconds since the epoch.
    pub received_ms: i64,
    /// When it is to be decided; `None`: it is.
    pub due_ms: Option<i64>,
    /// The body, as its owner keeps it.
    pub payload: Vec<u8>,
    /// Its owner's document.
    pub doc: String,
}

/// A status of a commit that its provider has not taken yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitStatusRecord {
    /// What it is of; of each there is the newest.
    pub subject: String,
    /// Tells it from those before it.
    pub number: i64,
    /// When it is to be sent, milliseconds since the epoch.
    pub due_ms: i64,
    /// Its owner's document.
    pub doc: String,
}

const WEBHOOK: &str = "project, token, sealed, doc, sum";
const DELIVERY: &str = "id, uuid, hook, delivery, project, received_ms, due_ms, payload, doc, sum";
const STATUS: &str = "subject, number, due_ms, doc, sum";

fn webhook_sum(w: &WebhookRecord) -> RowSum {
    RowSum::of("webhooks").text(&w.project).text(&w.token).bytes(&w.sealed).text(&w.doc)
}

fn webhook(row: &Row<'_>) -> rusqlite::Result<(WebhookRecord, i64)> {
    let webhook = WebhookRecord { project: row.get(0)?, token: row.get(1)?, sealed: row.get(2)?, doc: row.get(3)? };
    Ok((webhook, row.get(4)?))
}

fn webhook_name(webhook: &WebhookRecord) -> String {
    format!("the webhook of project {}", webhook.project)
}

fn delivery_sum(d: &DeliveryRecord) -> RowSum {
    RowSum::of("webhook_deliveries")
        .text(&d.uuid)
        .text(&d.hook)
        .text(&d.delivery)
        .text(&d.project)
        .int(d.received_ms)
        .maybe(d.due_ms)
        .bytes(&d.payload)
        .text(&d.doc)
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<(DeliveryRecord, i64)> {
    let delivery = DeliveryRecord {
        id: row.get(0)?,
        uuid: row.get(1)?,
        hook: row.get(2)?,
        delivery: row.get(3)?,
        project: row.get(4)?,
        received_ms: row.get(5)?,
        due_ms: row.get(6)?,
        payload: row.get(7)?,
        doc: row.get(8)?,
    };
    Ok((delivery, row.get(9)?))
}

fn delivery_name(delivery: &DeliveryRecord) -> String {
    format!("delivery {}", delivery.uuid)
}

fn ref_sum(hook: &str, name: &str, touched_ms: i64, doc: &str) -> RowSum {
    RowSum::of("webhook_refs").text(hook).text(name).int(touched_ms).text(doc)
}

fn status_sum(s: &CommitStatusRecord) -> RowSum {
    RowSum::of("commit_statuses").text(&s.subject).int(s.number).int(s.due_ms).text(&s.doc)
}

fn status(row: &Row<'_>) -> rusqlite::Result<(CommitStatusRecord, i64)> {
    let status =
        CommitStatusRecord { subject: row.get(0)?, number: row.get(1)?, due_ms: row.get(2)?, doc: row.get(3)? };
    Ok((status, row.get(4)?))
}

fn status_name(status: &CommitStatusRecord) -> String {
    format!("the status of {}", status.subject)
}

impl View<'_> {
    /// A project's webhook.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn webhook(&self, project: &str) -> Result<Option<WebhookRecord>, StoreError> {
        let found = self.row(&format!("SELECT {WEBHOOK} FROM webhooks WHERE project = ?1"), [project], webhook)?;
        found.map(|row| self.verified_webhook(row)).transpose()
    }

    /// The webhook whose token has this hash.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn webhook_of_token(&self, token: &str) -> Result<Option<WebhookRecord>, StoreError> {
        let found = self.row(&format!("SELECT {WEBHOOK} FROM webhooks WHERE token = ?1"), [token], webhook)?;
        found.map(|row| self.verified_webhook(row)).transpose()
    }

    fn verified_webhook(&self, (webhook, stored): (WebhookRecord, i64)) -> Result<WebhookRecord, StoreError> {
        self.verify(webhook_sum(&webhook), stored, || webhook_name(&webhook))?;
        Ok(webhook)
    }

    /// A delivery by Kiln's id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn delivery(&self, uuid: &str) -> Result<Option<DeliveryRecord>, StoreError> {
        let found =
            self.row(&format!("SELECT {DELIVERY} FROM webhook_deliveries WHERE uuid = ?1"), [uuid], delivery)?;
        found.map(|row| self.verified_delivery(row)).transpose()
    }

    /// The delivery to which the provider gave an id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn delivery_of(&self, hook: &str, id: &str) -> Result<Option<DeliveryRecord>, StoreError> {
        let sql = format!("SELECT {DELIVERY} FROM webhook_deliveries WHERE hook = ?1 AND delivery = ?2");
        self.row(&sql, [hook, id], delivery)?.map(|row| self.verified_delivery(row)).transpose()
    }

    /// A project's deliveries, the newest first: at most `limit`, from before `before` on.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn deliveries(
        &self,
        project: &str,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<DeliveryRecord>, StoreError> {
        let sql = format!(
            "SELECT {DELIVERY} FROM webhook_deliveries INDEXED BY webhook_deliveries_by_project \
             WHERE project = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"
        );
        let before = before.unwrap_or(i64::MAX);
        let rows = self.rows(&sql, params![project, before, limit_column(limit)], delivery)?;
        rows.into_iter().map(|row| self.verified_delivery(row)).collect()
    }

    /// Deliveries that are to be decided by now, at most `limit`: Kiln's ids.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn deliveries_due(&self, now_ms: i64, limit: usize) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT uuid FROM webhook_deliveries INDEXED BY webhook_deliveries_due \
                   WHERE due_ms <= ?1 ORDER BY due_ms, id LIMIT ?2";
        self.rows(sql, params![now_ms, limit_column(limit)], |row| row.get(0))
    }

    /// When the next delivery is to be decided, or the next status to be sent.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn next_webhook_work(&self) -> Result<Option<i64>, StoreError> {
        let deliveries = "SELECT due_ms FROM webhook_deliveries INDEXED BY webhook_deliveries_due \
                          WHERE due_ms IS NOT NULL ORDER BY due_ms LIMIT 1";
        let statuses = "SELECT due_ms FROM commit_statuses ORDER BY due_ms LIMIT 1";
        let first: [Option<i64>; 2] =
            [self.row(deliveries, [], |row| row.get(0))?, self.row(statuses, [], |row| row.get(0))?];
        Ok(first.into_iter().flatten().min())
    }

    fn verified_delivery(&self, (delivery, stored): (DeliveryRecord, i64)) -> Result<DeliveryRecord, StoreError> {
        self.verify(delivery_sum(&delivery), stored, || delivery_name(&delivery))?;
        Ok(delivery)
    }

    /// What a hook has heard of a branch, a tag or a pull request: its owner's document.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn webhook_ref(&self, hook: &str, name: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT touched_ms, doc, sum FROM webhook_refs WHERE hook = ?1 AND name = ?2";
        let found: Option<(i64, String, i64)> =
            self.row(sql, [hook, name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let Some((touched_ms, doc, stored)) = found else { return Ok(None) };
        self.verify(ref_sum(hook, name, touched_ms, &doc), stored, || format!("what is known of {name}"))?;
        Ok(Some(doc))
    }

    /// Statuses that are to be sent by now, at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn statuses_due(&self, now_ms: i64, limit: usize) -> Result<Vec<CommitStatusRecord>, StoreError> {
        let sql = format!("SELECT {STATUS} FROM commit_statuses WHERE due_ms <= ?1 ORDER BY due_ms, subject LIMIT ?2");
        let rows = self.rows(&sql, params![now_ms, limit_column(limit)], status)?;
        rows.into_iter()
            .map(|(record, stored)| {
                self.verify(status_sum(&record), stored, || status_name(&record))?;
                Ok(record)
            })
            .collect()
    }
}

impl Tx<'_> {
    /// Stores a new webhook.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when its project has one.
    pub fn insert_webhook(&mut self, record: &WebhookRecord) -> Result<(), StoreError> {
        let WebhookRecord { project, token, sealed, doc } = record;
        self.insert(
            &format!("INSERT INTO webhooks ({WEBHOOK}) VALUES (?1, ?2, ?3, ?4, ?5)"),
            params![project, token, sealed, doc, webhook_sum(record).finish()],
            || webhook_name(record),
        )
    }

    /// Changes a webhook's secret and document; its token stays.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the project has none with that token.
    pub fn update_webhook(&mut self, record: &WebhookRecord) -> Result<(), StoreError> {
        let WebhookRecord { project, token, sealed, doc } = record;
        let changed = self.change(
            "UPDATE webhooks SET sealed = ?3, doc = ?4, sum = ?5 WHERE project = ?1 AND token = ?2",
            params![project, token, sealed, doc, webhook_sum(record).finish()],
        )?;
        if changed == 1 { Ok(()) } else { Err(StoreError::NotFound(webhook_name(record))) }
    }

    /// Deletes a project's webhook; whether there was one. What it delivered stays until its time is over.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_webhook(&mut self, project: &str) -> Result<bool, StoreError> {
        Ok(self.change("DELETE FROM webhooks WHERE project = ?1", [project])? == 1)
    }

    /// Stores a delivery; its number is given.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when the hook has one with the provider's id.
    pub fn insert_delivery(&mut self, record: &DeliveryRecord) -> Result<(), StoreError> {
        let DeliveryRecord { uuid, hook, delivery, project, received_ms, due_ms, payload, doc, .. } = record;
        self.insert(
            "INSERT INTO webhook_deliveries (uuid, hook, delivery, project, received_ms, due_ms, payload, doc, sum) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![uuid, hook, delivery, project, received_ms, due_ms, payload, doc, delivery_sum(record).finish()],
            || delivery_name(record),
        )
    }

    /// Changes what became of a delivery, and when it is looked at again.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when it is not there any more.
    pub fn update_delivery(&mut self, record: &DeliveryRecord) -> Result<(), StoreError> {
        let changed = self.change(
            "UPDATE webhook_deliveries SET due_ms = ?2, doc = ?3, sum = ?4 WHERE uuid = ?1",
            params![record.uuid, record.due_ms, record.doc, delivery_sum(record).finish()],
        )?;
        if changed == 1 { Ok(()) } else { Err(StoreError::NotFound(delivery_name(record))) }
    }

    /// Deletes deliveries that came before, and what is known of refs that nothing was heard of since: at most `limit` of
    /// each; how many there were.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn purge_deliveries(&mut self, before_ms: i64, limit: usize) -> Result<usize, StoreError> {
        let limit = limit_column(limit);
        let deliveries = self.change(
            "DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM webhook_deliveries \
             INDEXED BY webhook_deliveries_by_time WHERE received_ms < ?1 LIMIT ?2)",
            params![before_ms, limit],
        )?;
        let refs = self.change(
            "DELETE FROM webhook_refs WHERE (hook, name) IN (SELECT hook, name FROM webhook_refs \
             INDEXED BY webhook_refs_by_time WHERE touched_ms < ?1 LIMIT ?2)",
            params![before_ms, limit],
        )?;
        Ok(deliveries + refs)
    }

    /// Notes what a hook has heard of a branch, a tag or a pull request.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_webhook_ref(&mut self, hook: &str, name: &str, touched_ms: i64, doc: &str) -> Result<(), StoreError> {
        self.change(
            "INSERT INTO webhook_refs (hook, name, touched_ms, doc, sum) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (hook, name) DO UPDATE SET touched_ms = excluded.touched_ms, doc = excluded.doc, \
             sum = excluded.sum",
            params![hook, name, touched_ms, doc, ref_sum(hook, name, touched_ms, doc).finish()],
        )
        .map(drop)
    }

    /// Stores a status to be sent in place of the one of the same subject that was not sent yet.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_commit_status(&mut self, subject: &str, due_ms: i64, doc: &str) -> Result<(), StoreError> {
        let before: Option<i64> =
            self.row("SELECT number FROM commit_statuses WHERE subject = ?1", [subject], |row| row.get(0))?;
        let number = before.unwrap_or(0) + 1;
        let record = CommitStatusRecord { subject: subject.to_owned(), number, due_ms, doc: doc.to_owned() };
        self.store_status(&record)
    }

    /// Sets when a status is to be sent again, unless a newer one is in its place.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn postpone_commit_status(&mut self, record: &CommitStatusRecord) -> Result<(), StoreError> {
        let sql = "SELECT number FROM commit_statuses WHERE subject = ?1";
        let stored: Option<i64> = self.row(sql, [&record.subject], |row| row.get(0))?;
        if stored == Some(record.number) { self.store_status(record) } else { Ok(()) }
    }

    fn store_status(&self, record: &CommitStatusRecord) -> Result<(), StoreError> {
        let CommitStatusRecord { subject, number, due_ms, doc } = record;
        self.change(
            &format!("INSERT OR REPLACE INTO commit_statuses ({STATUS}) VALUES (?1, ?2, ?3, ?4, ?5)"),
            params![subject, number, due_ms, doc, status_sum(record).finish()],
        )
        .map(drop)
    }

    /// Removes a status that was sent, or is given up, unless a newer one is in its place.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_commit_status(&mut self, subject: &str, number: i64) -> Result<(), StoreError> {
        self.change("DELETE FROM commit_statuses WHERE subject = ?1 AND number = ?2", params![subject, number])
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
    view.each(&format!("SELECT {WEBHOOK} FROM webhooks"), |row| {
        let (record, stored) = webhook(row)?;
        bad(webhook_sum(&record), stored, webhook_name(&record));
        Ok(())
    })?;
    view.each(&format!("SELECT {DELIVERY} FROM webhook_deliveries"), |row| {
        let (record, stored) = delivery(row)?;
        bad(delivery_sum(&record), stored, delivery_name(&record));
        Ok(())
    })?;
    view.each("SELECT hook, name, touched_ms, doc, sum FROM webhook_refs", |row| {
        let (hook, name, doc): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(3)?);
        bad(ref_sum(&hook, &name, row.get(2)?, &doc), row.get(4)?, format!("what is known of {name}"));
        Ok(())
    })?;
    view.each(&format!("SELECT {STATUS} FROM commit_statuses"), |row| {
        let (record, stored) = status(row)?;
        bad(status_sum(&record), stored, status_name(&record));
        Ok(())
    })
}
