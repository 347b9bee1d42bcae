//! Entities and links, and what damage does to them.

use rusqlite::Connection;

use super::super::{DATABASE, IamKind, IamLink, IamRecord, Metadata};
use crate::StoreError;

fn entity(id: &str, kind: IamKind, name: &str) -> IamRecord {
    IamRecord {
        id: id.to_owned(),
        kind,
        name: name.to_owned(),
        path: "/".to_owned(),
        created_ms: 1,
        doc: "{}".to_owned(),
    }
}

#[test]
fn entities_are_found_by_name_in_any_letters() {
    let dir = tempfile::tempdir().unwrap();
    let store = Metadata::open(dir.path()).unwrap();
    store
        .write_blocking(|tx| {
            tx.insert_iam_entity(&entity("AIDA1", IamKind::User, "Alice"))?;
            tx.insert_iam_entity(&entity("AIDA2", IamKind::User, "bob"))?;
            tx.insert_iam_entity(&entity("AROA1", IamKind::Role, "alice"))
        })
        .unwrap();
    let found = store.read(|v| v.iam_entity(IamKind::User, "aLICE")).unwrap().unwrap();
    assert_eq!((found.id.as_str(), found.name.as_str()), ("AIDA1", "Alice"));
    let twice = store.write_blocking(|tx| tx.insert_iam_entity(&entity("AIDA3", IamKind::User, "ALICE")));
    assert!(matches!(twice, Err(StoreError::Exists(_))), "{twice:?}");
    let renamed = store.write_blocking(|tx| tx.update_iam_entity(&entity("AIDA2", IamKind::User, "alice")));
    assert!(matches!(renamed, Err(StoreError::Exists(_))), "{renamed:?}");
    store.write_blocking(|tx| tx.update_iam_entity(&entity("AIDA2", IamKind::User, "Bert"))).unwrap();
    let names = |after: Option<&str>, limit| -> Vec<String> {
        let users = store.read(|v| v.iam_entities(IamKind::User, after, limit)).unwrap();
        users.into_iter().map(|user| user.name).collect()
    };
    assert_eq!(names(None, 10), ["Alice", "Bert"]);
    assert_eq!((names(None, 1), names(Some("ALICE"), 10)), (vec!["Alice".to_owned()], vec!["Bert".to_owned()]));
}

#[test]
fn links_go_with_who_has_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = Metadata::open(dir.path()).unwrap();
    store
        .write_blocking(|tx| {
            tx.insert_iam_entity(&entity("AIDA1", IamKind::User, "a"))?;
            tx.insert_iam_entity(&entity("AIDA2", IamKind::User, "b"))?;
            for id in ["AIDA1", "AIDA2"] {
                tx.put_iam_link(IamLink::Policy, id, "arn:p")?;
                tx.put_iam_link(IamLink::Policy, id, "arn:p")?;
            }
            tx.put_iam_link(IamLink::Boundary, "AIDA1", "arn:p")
        })
        .unwrap();
    let to = |kind| store.read(|v| v.iam_links_to(kind, "arn:p")).unwrap();
    assert_eq!(to(IamLink::Policy), ["AIDA1", "AIDA2"]);
    assert_eq!(to(IamLink::Boundary), ["AIDA1"]);
    assert!(store.write_blocking(|tx| tx.delete_iam_link(IamLink::Policy, "AIDA2", "arn:p")).unwrap());
    assert!(store.write_blocking(|tx| tx.delete_iam_entity("AIDA1")).unwrap());
    assert!(to(IamLink::Policy).is_empty() && to(IamLink::Boundary).is_empty());
    assert!(store.write_blocking(|tx| tx.put_iam_link(IamLink::Group, "AIDA1", "g")).is_err(), "nobody has it");
}

#[test]
fn damage_is_not_served() {
    let dir = tempfile::tempdir().unwrap();
    let store = Metadata::open(dir.path()).unwrap();
    store
        .write_blocking(|tx| {
            tx.insert_iam_entity(&entity("AIDA1", IamKind::User, "a"))?;
            tx.put_iam_link(IamLink::Policy, "AIDA1", "arn:read")
        })
        .unwrap();
    let db = Connection::open(dir.path().join(DATABASE)).unwrap();
    db.execute_batch("UPDATE iam_entities SET doc = '{\"x\":1}'; UPDATE iam_links SET target = 'arn:everything'")
        .unwrap();
    assert!(matches!(store.read(|v| v.iam_entity(IamKind::User, "a")), Err(StoreError::Damaged { .. })));
    assert!(matches!(store.read(|v| v.iam_links_of(IamLink::Policy, "AIDA1")), Err(StoreError::Damaged { .. })));
    assert_eq!(store.check().unwrap().len(), 2);
}
