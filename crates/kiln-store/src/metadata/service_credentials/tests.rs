//! Credentials of users for services, and what damage does to them.

use rusqlite::Connection;

use super::super::{DATABASE, IamKind, IamRecord, Metadata, ServiceCredentialRecord};
use crate::StoreError;

fn store(dir: &std::path::Path) -> Metadata {
    let store = Metadata::open(dir).unwrap();
    let user = |id: &str, name: &str| IamRecord {
        id: id.to_owned(),
        kind: IamKind::User,
        name: name.to_owned(),
        path: "/".to_owned(),
        created_ms: 1,
        doc: "{}".to_owned(),
    };
    store
        .write_blocking(move |tx| {
            tx.insert_iam_entity(&user("AIDA1", "alice"))?;
            tx.insert_iam_entity(&user("AIDA2", "bob"))
        })
        .unwrap();
    store
}

fn credential(id: &str, user: &str, name: &str) -> ServiceCredentialRecord {
    ServiceCredentialRecord {
        id: id.to_owned(),
        user_id: user.to_owned(),
        service: "codecommit.amazonaws.com".to_owned(),
        user_name: name.to_owned(),
        verifier: vec![1, 2, 3],
        created_ms: 7,
        doc: "{}".to_owned(),
    }
}

#[test]
fn a_name_is_somebodys_once_at_a_service() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    let first = credential("ACCA1", "AIDA1", "alice-at-0");
    let elsewhere =
        ServiceCredentialRecord { service: "cassandra".to_owned(), ..credential("ACCA2", "AIDA1", "alice-at-0") };
    store
        .write_blocking({
            let (first, elsewhere) = (first.clone(), elsewhere.clone());
            move |tx| {
                tx.insert_service_credential(&first)?;
                tx.insert_service_credential(&elsewhere)?;
                tx.insert_service_credential(&credential("ACCA3", "AIDA2", "bob-at-0"))
            }
        })
        .unwrap();
    let twice = store.write_blocking(|tx| tx.insert_service_credential(&credential("ACCA4", "AIDA2", "alice-at-0")));
    assert!(matches!(twice, Err(StoreError::Exists(_))), "{twice:?}");
    let found = store.read(|v| v.service_credential_named("codecommit.amazonaws.com", "alice-at-0")).unwrap();
    assert_eq!(found, Some(first.clone()));
    assert_eq!(store.read(|v| v.service_credential_named("codecommit.amazonaws.com", "Alice-at-0")).unwrap(), None);
    assert_eq!(store.read(|v| v.service_credentials(Some("AIDA1"))).unwrap(), [first.clone(), elsewhere]);
    assert_eq!(store.read(|v| v.service_credentials(None)).unwrap().len(), 3);

    let changed = ServiceCredentialRecord { verifier: vec![9], ..first };
    store
        .write_blocking({
            let changed = changed.clone();
            move |tx| tx.update_service_credential(&changed)
        })
        .unwrap();
    assert_eq!(store.read(|v| v.service_credential("ACCA1")).unwrap(), Some(changed.clone()));
    assert!(store.write_blocking(|tx| tx.delete_service_credential("ACCA1")).unwrap());
    assert!(!store.write_blocking(|tx| tx.delete_service_credential("ACCA1")).unwrap());
    let gone = store.write_blocking(move |tx| tx.update_service_credential(&changed));
    assert!(matches!(gone, Err(StoreError::NotFound(_))), "{gone:?}");
}

#[test]
fn a_credential_that_was_changed_behind_the_back_is_no_credential() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path());
    store.write_blocking(|tx| tx.insert_service_credential(&credential("ACCA1", "AIDA1", "alice-at-0"))).unwrap();
    let db = Connection::open(dir.path().join(DATABASE)).unwrap();
    db.execute("UPDATE service_credentials SET user_id = 'AIDA2'", []).unwrap();
    assert!(matches!(store.read(|v| v.service_credential("ACCA1")), Err(StoreError::Damaged { .. })));
    assert_eq!(store.check().unwrap(), ["service credential ACCA1 is not what was stored"]);
}
