//! Webhooks, deliveries and statuses, and what damage does to them.

use rusqlite::Connection;

use super::{
    super::{DATABASE, Metadata},
    CommitStatusRecord, DeliveryRecord, WebhookRecord,
};
use crate::StoreError;

fn hook(project: &str, token: &str) -> WebhookRecord {
    WebhookRecord { project: project.to_owned(), token: token.to_owned(), sealed: vec![1, 2], doc: "{}".to_owned() }
}

fn delivery(uuid: &str, id: &str, received_ms: i64, due_ms: Option<i64>) -> DeliveryRecord {
    DeliveryRecord {
        id: 0,
        uuid: uuid.to_owned(),
        hook: "t".to_owned(),
        delivery: id.to_owned(),
        project: "demo".to_owned(),
        received_ms,
        due_ms,
        payload: vec![3],
        doc: "{}".to_owned(),
    }
}

#[test]
fn a_project_has_one_webhook_and_a_token_is_of_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = Metadata::open(dir.path()).unwrap();
    store.write_blocking(|tx| tx.insert_webhook(&hook("demo", "t"))).unwrap();
    for taken in [hook("demo", "u"), hook("other", "t")] {
        let refused = store.write_blocking(move |tx| tx.insert_webhook(&taken)).unwrap_err();
        assert!(matches!(refused, StoreError::Exists(_)), "{refused}");
    }
    let changed = WebhookRecord { sealed: vec![9], ..hook("demo", "t") };
    let update = changed.clone();
    store.write_blocking(move |tx| tx.update_webhook(&update)).unwrap();
    assert_eq!(store.read(|view| view.webhook_of_token("t")).unwrap(), Some(changed.clone()));
    assert_eq!(store.read(|view| view.webhook("demo")).unwrap(), Some(changed));
    let gone = store.write_blocking(|tx| Ok((tx.delete_webhook("demo")?, tx.delete_webhook("demo")?))).unwrap();
    assert_eq!(gone, (true, false));
    let refused = store.write_blocking(|tx| tx.update_webhook(&hook("demo", "t"))).unwrap_err();
    assert!(matches!(refused, StoreError::NotFound(_)), "{refused}");
}

#[test]
fn a_delivery_is_stored_once_found_by_both_ids_and_forgotten_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = Metadata::open(dir.path()).unwrap();
    let insert = |record: DeliveryRecord| store.write_blocking(move |tx| tx.insert_delivery(&record));
    insert(delivery("a", "1", 10, None)).unwrap();
    insert(delivery("b", "2", 20, Some(500))).unwrap();
    insert(delivery("c", "3", 30, Some(400))).unwrap();
    assert!(matches!(insert(delivery("d", "2", 40, None)), Err(StoreError::Exists(_))));
    let ids = |list: Vec<DeliveryRecord>| list.into_iter().map(|d| d.uuid).collect::<Vec<_>>();
    let page = store.read(|view| view.deliveries("demo", None, 2)).unwrap();
    let before = page.last().map(|d| d.id);
    assert_eq!(ids(page), ["c", "b"]);
    assert_eq!(ids(store.read(|view| view.deliveries("demo", before, 2)).unwrap()), ["a"]);
    assert_eq!(store.read(|view| view.delivery_of("t", "2")).unwrap().unwrap().uuid, "b");
    assert_eq!(store.read(|view| view.delivery_of("u", "2")).unwrap(), None);
    assert_eq!(store.read(|view| view.deliveries_due(450, 9)).unwrap(), ["c"]);
    assert_eq!(store.read(|view| view.next_webhook_work()).unwrap(), Some(400));
    store
        .write_blocking(|tx| {
            let mut decided = tx.delivery("c")?.unwrap();
            decided.due_ms = None;
            decided.doc = "{\"x\":1}".to_owned();
            tx.update_delivery(&decided)?;
            tx.put_webhook_ref("t", "refs/heads/main", 25, "{}")?;
            tx.put_webhook_ref("t", "refs/heads/main", 35, "{\"y\":2}")
        })
        .unwrap();
    assert_eq!(store.read(|view| view.webhook_ref("t", "refs/heads/main")).unwrap().as_deref(), Some("{\"y\":2}"));
    assert_eq!(store.read(|view| view.next_webhook_work()).unwrap(), Some(500));
    assert_eq!(store.write_blocking(|tx| tx.purge_deliveries(25, 100)).unwrap(), 2);
    assert_eq!(ids(store.read(|view| view.deliveries("demo", None, 9)).unwrap()), ["c"]);
    assert_eq!(store.write_blocking(|tx| tx.purge_deliveries(36, 100)).unwrap(), 2, "the ref as well");
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn the_newest_status_of_a_subject_is_the_one_that_is_sent() {
    let dir = tempfile::tempdir().unwrap();
    let store = Metadata::open(dir.path()).unwrap();
    let put = |doc: &'static str| store.write_blocking(move |tx| tx.put_commit_status("s", 5, doc)).unwrap();
    let due = |now| store.read(|view| view.statuses_due(now, 9)).unwrap();
    put("pending");
    let first = due(5).remove(0);
    put("success");
    // Whoever was sending the first one comes back.
    let late = CommitStatusRecord { due_ms: 900, ..first.clone() };
    store
        .write_blocking(move |tx| {
            tx.postpone_commit_status(&late)?;
            tx.delete_commit_status("s", first.number)
        })
        .unwrap();
    let second = due(5).remove(0);
    assert_eq!((second.doc.as_str(), second.number), ("success", 2));
    let later = CommitStatusRecord { due_ms: 900, ..second.clone() };
    store.write_blocking(move |tx| tx.postpone_commit_status(&later)).unwrap();
    assert!(due(899).is_empty());
    assert_eq!(due(900).len(), 1);
    store.write_blocking(move |tx| tx.delete_commit_status("s", second.number)).unwrap();
    assert!(due(i64::MAX).is_empty());
}

#[test]
fn damage_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let store = Metadata::open(dir.path()).unwrap();
    store
        .write_blocking(|tx| {
            tx.insert_webhook(&hook("demo", "t"))?;
            tx.insert_delivery(&delivery("a", "1", 10, None))?;
            tx.put_webhook_ref("t", "refs/heads/main", 1, "{}")?;
            tx.put_commit_status("s", 5, "{}")
        })
        .unwrap();
    let db = Connection::open(dir.path().join(DATABASE)).unwrap();
    for table in ["webhooks", "webhook_deliveries", "webhook_refs", "commit_statuses"] {
        db.execute(&format!("UPDATE {table} SET doc = '{{ }}'"), []).unwrap();
    }
    drop(db);
    assert!(matches!(store.read(|view| view.webhook("demo")), Err(StoreError::Damaged { .. })));
    assert!(matches!(store.read(|view| view.delivery("a")), Err(StoreError::Damaged { .. })));
    assert!(matches!(store.read(|view| view.webhook_ref("t", "refs/heads/main")), Err(StoreError::Damaged { .. })));
    assert!(matches!(store.read(|view| view.statuses_due(9, 9)), Err(StoreError::Damaged { .. })));
    assert_eq!(store.check().unwrap().len(), 4);
}
