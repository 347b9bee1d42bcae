//! Rules of EventBridge, their targets, and what they are about to start.

pub(super) mod records;
#[cfg(test)]
mod tests;

use rusqlite::{Row, params};

use self::records::{EventDeliveryRecord, EventRuleRecord, EventTargetRecord};
use super::{
    projects::limit_column,
    rowsum::RowSum,
    view::{Tx, View},
};
use crate::StoreError;

const RULE_COLUMNS: &str = "name, due_ms, pattern, doc, sum";
const TARGET_COLUMNS: &str = "rule, id, arn, doc, sum";
const DELIVERY_COLUMNS: &str = "id, rule, due_ms, doc, sum";

fn rule_sum(r: &EventRuleRecord) -> RowSum {
    RowSum::of("event_rules").text(&r.name).maybe(r.due_ms).int(i64::from(r.has_pattern)).text(&r.doc)
}

fn map_rule(row: &Row<'_>) -> rusqlite::Result<(EventRuleRecord, i64)> {
    let rule = EventRuleRecord {
        name: row.get(0)?,
        due_ms: row.get(1)?,
        has_pattern: row.get::<_, i64>(2)? != 0,
        doc: row.get(3)?,
    };
    Ok((rule, row.get(4)?))
}

fn rule_name(name: &str) -> String {
    format!("rule {name}")
}

fn target_sum(t: &EventTargetRecord) -> RowSum {
    RowSum::of("event_targets").text(&t.rule).text(&t.id).text(&t.arn).text(&t.doc)
}

fn map_target(row: &Row<'_>) -> rusqlite::Result<(EventTargetRecord, i64)> {
    let target = EventTargetRecord { rule: row.get(0)?, id: row.get(1)?, arn: row.get(2)?, doc: row.get(3)? };
    Ok((target, row.get(4)?))
}

fn target_name(target: &EventTargetRecord) -> String {
    format!("target {} of rule {}", target.id, target.rule)
}

fn delivery_sum(d: &EventDeliveryRecord) -> RowSum {
    RowSum::of("event_deliveries").text(&d.id).text(&d.rule).int(d.due_ms).text(&d.doc)
}

fn map_delivery(row: &Row<'_>) -> rusqlite::Result<(EventDeliveryRecord, i64)> {
    let delivery = EventDeliveryRecord { id: row.get(0)?, rule: row.get(1)?, due_ms: row.get(2)?, doc: row.get(3)? };
    Ok((delivery, row.get(4)?))
}

fn delivery_name(delivery: &EventDeliveryRecord) -> String {
    format!("delivery {} of rule {}", delivery.id, delivery.rule)
}

impl View<'_> {
    /// A rule by its name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn event_rule(&self, name: &str) -> Result<Option<EventRuleRecord>, StoreError> {
        let sql = format!("SELECT {RULE_COLUMNS} FROM event_rules WHERE name = ?1");
        self.row(&sql, [name], map_rule)?.map(|row| self.verified_event_rule(row)).transpose()
    }

    /// A page of the rules whose names begin with `prefix`, by name: at most `limit`, from behind the name `after`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn event_rules(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<EventRuleRecord>, StoreError> {
        // Names are ASCII: what begins with a text lies between it and it with the highest of all characters behind.
        let sql = format!(
            "SELECT {RULE_COLUMNS} FROM event_rules WHERE name > ?1 AND name >= ?2 AND name < ?2 || ?4 \
             ORDER BY name LIMIT ?3"
        );
        let with = params![after.unwrap_or_default(), prefix, limit_column(limit), "\u{10ffff}"];
        self.rows(&sql, with, map_rule)?.into_iter().map(|row| self.verified_event_rule(row)).collect()
    }

    /// How many rules there are (a quota).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn event_rule_count(&self) -> Result<i64, StoreError> {
        Ok(self.row("SELECT count(*) FROM event_rules", [], |row| row.get(0))?.unwrap_or_default())
    }

    /// The enabled rules that have a schedule, those that are due first before the others.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn scheduled_event_rules(&self) -> Result<Vec<EventRuleRecord>, StoreError> {
        let sql = format!("SELECT {RULE_COLUMNS} FROM event_rules WHERE due_ms IS NOT NULL ORDER BY due_ms");
        self.rows(&sql, [], map_rule)?.into_iter().map(|row| self.verified_event_rule(row)).collect()
    }

    /// When the first of all schedules is due; `None`: there are none.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn next_scheduled_event(&self) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT min(due_ms) FROM event_rules WHERE due_ms IS NOT NULL";
        Ok(self.row(sql, [], |row| row.get::<_, Option<i64>>(0))?.flatten())
    }

    /// The enabled rules that are for events, by name.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn event_rules_with_pattern(&self) -> Result<Vec<EventRuleRecord>, StoreError> {
        let sql = format!("SELECT {RULE_COLUMNS} FROM event_rules WHERE pattern = 1 ORDER BY name");
        self.rows(&sql, [], map_rule)?.into_iter().map(|row| self.verified_event_rule(row)).collect()
    }

    fn verified_event_rule(&self, (rule, stored): (EventRuleRecord, i64)) -> Result<EventRuleRecord, StoreError> {
        self.verify(rule_sum(&rule), stored, || rule_name(&rule.name))?;
        Ok(rule)
    }

    /// A page of a rule's targets, by id: at most `limit`, from behind the id `after`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn event_targets(
        &self,
        rule: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<EventTargetRecord>, StoreError> {
        let sql =
            format!("SELECT {TARGET_COLUMNS} FROM event_targets WHERE rule = ?1 AND id > ?2 ORDER BY id LIMIT ?3");
        let with = params![rule, after.unwrap_or_default(), limit_column(limit)];
        let verified = |(target, stored): (EventTargetRecord, i64)| {
            self.verify(target_sum(&target), stored, || target_name(&target))?;
            Ok(target)
        };
        self.rows(&sql, with, map_target)?.into_iter().map(verified).collect()
    }

    /// A page of the names of rules that start something, in order: at most `limit`, from behind the name `after`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn event_rules_of_target(
        &self,
        arn: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT DISTINCT rule FROM event_targets WHERE arn = ?1 AND rule > ?2 ORDER BY rule LIMIT ?3";
        self.rows(sql, params![arn, after.unwrap_or_default(), limit_column(limit)], |row| row.get(0))
    }

    /// What is to be started and was not yet, by its id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn event_delivery(&self, id: &str) -> Result<Option<EventDeliveryRecord>, StoreError> {
        let sql = format!("SELECT {DELIVERY_COLUMNS} FROM event_deliveries WHERE id = ?1");
        self.row(&sql, [id], map_delivery)?.map(|row| self.verified_event_delivery(row)).transpose()
    }

    /// What is to be started, what is due first before the rest: at most `limit`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn event_deliveries(&self, limit: usize) -> Result<Vec<EventDeliveryRecord>, StoreError> {
        let sql = format!("SELECT {DELIVERY_COLUMNS} FROM event_deliveries ORDER BY due_ms, id LIMIT ?1");
        let rows = self.rows(&sql, [limit_column(limit)], map_delivery)?;
        rows.into_iter().map(|row| self.verified_event_delivery(row)).collect()
    }

    /// How many deliveries of a rule wait.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn event_delivery_count(&self, rule: &str) -> Result<i64, StoreError> {
        let sql = "SELECT count(*) FROM event_deliveries WHERE rule = ?1";
        Ok(self.row(sql, [rule], |row| row.get(0))?.unwrap_or_default())
    }

    fn verified_event_delivery(
        &self,
        (delivery, stored): (EventDeliveryRecord, i64),
    ) -> Result<EventDeliveryRecord, StoreError> {
        self.verify(delivery_sum(&delivery), stored, || delivery_name(&delivery))?;
        Ok(delivery)
    }
}

impl Tx<'_> {
    /// Stores a rule, in place of the one with the same name, whose targets stay.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_event_rule(&mut self, rule: &EventRuleRecord) -> Result<(), StoreError> {
        let EventRuleRecord { name, due_ms, has_pattern, doc } = rule;
        self.change(
            &format!(
                "INSERT INTO event_rules ({RULE_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (name) DO UPDATE \
                 SET due_ms = excluded.due_ms, pattern = excluded.pattern, doc = excluded.doc, sum = excluded.sum"
            ),
            params![name, due_ms, i64::from(*has_pattern), doc, rule_sum(rule).finish()],
        )
        .map(drop)
    }

    /// Deletes a rule, which has no targets any more; whether it was there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_event_rule(&mut self, name: &str) -> Result<bool, StoreError> {
        Ok(self.change("DELETE FROM event_rules WHERE name = ?1", [name])? == 1)
    }

    /// Stores a target of a rule, in place of the one with the same id. The rule must exist.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_event_target(&mut self, target: &EventTargetRecord) -> Result<(), StoreError> {
        let EventTargetRecord { rule, id, arn, doc } = target;
        self.change(
            &format!(
                "INSERT INTO event_targets ({TARGET_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (rule, id) DO UPDATE SET arn = excluded.arn, doc = excluded.doc, sum = excluded.sum"
            ),
            params![rule, id, arn, doc, target_sum(target).finish()],
        )
        .map(drop)
    }

    /// Removes a target of a rule; whether it was there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_event_target(&mut self, rule: &str, id: &str) -> Result<bool, StoreError> {
        Ok(self.change("DELETE FROM event_targets WHERE rule = ?1 AND id = ?2", [rule, id])? == 1)
    }

    /// Stores what is to be started, in place of what has the same id.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_event_delivery(&mut self, delivery: &EventDeliveryRecord) -> Result<(), StoreError> {
        let EventDeliveryRecord { id, rule, due_ms, doc } = delivery;
        self.change(
            &format!(
                "INSERT INTO event_deliveries ({DELIVERY_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (id) \
                 DO UPDATE SET rule = excluded.rule, due_ms = excluded.due_ms, doc = excluded.doc, sum = excluded.sum"
            ),
            params![id, rule, due_ms, doc, delivery_sum(delivery).finish()],
        )
        .map(drop)
    }

    /// Removes what was to be started; whether it was there.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn delete_event_delivery(&mut self, id: &str) -> Result<bool, StoreError> {
        Ok(self.change("DELETE FROM event_deliveries WHERE id = ?1", [id])? == 1)
    }
}

/// Checks every row; used by the whole check of a database.
pub(super) fn check(view: &View<'_>, found: &mut Vec<String>) -> Result<(), StoreError> {
    let mut bad = |sum: RowSum, stored: i64, what: String| {
        if sum.finish() != stored {
            found.push(format!("{what} is not what was stored"));
        }
    };
    view.each(&format!("SELECT {RULE_COLUMNS} FROM event_rules"), |row| {
        let (rule, stored) = map_rule(row)?;
        bad(rule_sum(&rule), stored, rule_name(&rule.name));
        Ok(())
    })?;
    view.each(&format!("SELECT {TARGET_COLUMNS} FROM event_targets"), |row| {
        let (target, stored) = map_target(row)?;
        bad(target_sum(&target), stored, target_name(&target));
        Ok(())
    })?;
    view.each(&format!("SELECT {DELIVERY_COLUMNS} FROM event_deliveries"), |row| {
        let (delivery, stored) = map_delivery(row)?;
        bad(delivery_sum(&delivery), stored, delivery_name(&delivery));
        Ok(())
    })
}
