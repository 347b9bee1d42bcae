//! Rules, targets, deliveries.

use tempfile::TempDir;

use crate::{
    Metadata,
    metadata::{EventDeliveryRecord, EventRuleRecord, EventTargetRecord},
};

fn rule(name: &str, due_ms: Option<i64>, has_pattern: bool) -> EventRuleRecord {
    EventRuleRecord { name: name.to_owned(), due_ms, has_pattern, doc: format!("doc of {name}") }
}

fn target(rule: &str, id: &str, arn: &str) -> EventTargetRecord {
    EventTargetRecord { rule: rule.to_owned(), id: id.to_owned(), arn: arn.to_owned(), doc: "{}".to_owned() }
}

fn delivery(id: &str, due_ms: i64) -> EventDeliveryRecord {
    EventDeliveryRecord { id: id.to_owned(), rule: "a".to_owned(), due_ms, doc: "{}".to_owned() }
}

fn names(rules: &[EventRuleRecord]) -> Vec<&str> {
    rules.iter().map(|rule| rule.name.as_str()).collect()
}

#[test]
fn rules_are_found_by_name_by_schedule_and_by_pattern() {
    let dir = TempDir::new().unwrap();
    let store = Metadata::open(dir.path()).unwrap();
    let all = [rule("ab", Some(5), false), rule("a", Some(9), true), rule("b", None, true), rule("c", None, false)];
    store.write_blocking(move |tx| all.iter().try_for_each(|rule| tx.put_event_rule(rule))).unwrap();
    assert_eq!(store.read(|v| v.event_rule("a")).unwrap(), Some(rule("a", Some(9), true)));
    assert_eq!(names(&store.read(|v| v.event_rules("", None, 2)).unwrap()), ["a", "ab"]);
    assert_eq!(names(&store.read(|v| v.event_rules("a", Some("a"), 9)).unwrap()), ["ab"]);
    assert_eq!(names(&store.read(|v| v.scheduled_event_rules()).unwrap()), ["ab", "a"]);
    assert_eq!(store.read(|v| v.next_scheduled_event()).unwrap(), Some(5));
    assert_eq!(names(&store.read(|v| v.event_rules_with_pattern()).unwrap()), ["a", "b"]);
    assert_eq!(store.read(|v| v.event_rule_count()).unwrap(), 4);
    store.write_blocking(|tx| tx.put_event_rule(&rule("ab", None, true))).unwrap();
    assert_eq!(store.read(|v| v.next_scheduled_event()).unwrap(), Some(9));
    assert!(store.write_blocking(|tx| tx.delete_event_rule("a")).unwrap());
    assert!(!store.write_blocking(|tx| tx.delete_event_rule("a")).unwrap());
    assert_eq!(store.read(|v| v.next_scheduled_event()).unwrap(), None);
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn targets_belong_to_a_rule() {
    let dir = TempDir::new().unwrap();
    let store = Metadata::open(dir.path()).unwrap();
    assert!(store.write_blocking(|tx| tx.put_event_target(&target("none", "1", "x"))).is_err());
    let put = |tx: &mut crate::Tx<'_>| {
        for name in ["a", "b"] {
            tx.put_event_rule(&rule(name, None, true))?;
            tx.put_event_target(&target(name, "1", "x"))?;
            tx.put_event_target(&target(name, "2", "x"))?;
        }
        tx.put_event_target(&target("b", "2", "y"))
    };
    store.write_blocking(put).unwrap();
    assert_eq!(store.read(|v| v.event_targets("b", Some("1"), 9)).unwrap(), [target("b", "2", "y")]);
    assert_eq!(store.read(|v| v.event_rules_of_target("x", None, 9)).unwrap(), ["a", "b"]);
    assert_eq!(store.read(|v| v.event_rules_of_target("x", Some("a"), 9)).unwrap(), ["b"]);
    assert!(store.write_blocking(|tx| tx.delete_event_rule("b")).is_err(), "it has targets");
    assert!(store.write_blocking(|tx| tx.delete_event_target("b", "1")).unwrap());
    assert!(!store.write_blocking(|tx| tx.delete_event_target("b", "1")).unwrap());
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn deliveries_are_in_the_order_in_which_they_are_due() {
    let dir = TempDir::new().unwrap();
    let store = Metadata::open(dir.path()).unwrap();
    let all = [delivery("x", 3), delivery("y", 1), delivery("z", 2), delivery("y", 9)];
    store.write_blocking(move |tx| all.iter().try_for_each(|one| tx.put_event_delivery(one))).unwrap();
    let ids: Vec<_> = store.read(|v| v.event_deliveries(9)).unwrap().into_iter().map(|d| d.id).collect();
    assert_eq!(ids, ["z", "x", "y"]);
    assert_eq!(store.read(|v| v.event_delivery("y")).unwrap(), Some(delivery("y", 9)));
    assert_eq!(store.read(|v| v.event_delivery_count("a")).unwrap(), 3);
    assert!(store.write_blocking(|tx| tx.delete_event_delivery("y")).unwrap());
    assert!(!store.write_blocking(|tx| tx.delete_event_delivery("y")).unwrap());
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn rows_that_were_changed_are_not_served() {
    let dir = TempDir::new().unwrap();
    let store = Metadata::open(dir.path()).unwrap();
    let put = |tx: &mut crate::Tx<'_>| {
        tx.put_event_rule(&rule("a", None, true))?;
        tx.put_event_target(&target("a", "1", "x"))?;
        tx.put_event_delivery(&delivery("d", 1))
    };
    store.write_blocking(put).unwrap();
    let db = rusqlite::Connection::open(dir.path().join(crate::metadata::DATABASE)).unwrap();
    for table in ["event_rules", "event_targets", "event_deliveries"] {
        assert_eq!(db.execute(&format!("UPDATE {table} SET doc = doc || ' '"), []).unwrap(), 1);
    }
    drop(db);
    assert!(store.read(|v| v.event_rule("a")).is_err());
    assert!(store.read(|v| v.event_targets("a", None, 9)).is_err());
    assert!(store.read(|v| v.event_delivery("d")).is_err());
    assert_eq!(store.check().unwrap().len(), 3);
}
