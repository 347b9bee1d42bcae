use std::path::Path;

use rusqlite::Connection;

use super::*;
use crate::{Metadata, metadata::DATABASE};

fn repository(id: &str, name: &str) -> GitRepositoryRecord {
    GitRepositoryRecord {
        id: id.to_owned(),
        name: name.to_owned(),
        created_ms: 5,
        modified_ms: 6,
        doc: "{}".to_owned(),
    }
}

fn store(dir: &Path) -> Metadata {
    Metadata::open(dir).unwrap()
}

#[test]
fn repositories_and_their_references() {
    let dir = tempfile::tempdir().unwrap();
    let metadata = store(dir.path());
    metadata
        .write_blocking(|tx| {
            tx.insert_git_repository(&repository("1", "b"))?;
            tx.insert_git_repository(&repository("2", "a"))?;
            assert!(matches!(tx.insert_git_repository(&repository("3", "a")), Err(StoreError::Exists(_))));
            for (name, target) in [("refs/heads/main", "1"), ("refs/heads/x", "2"), ("refs/tags/v1", "3")] {
                tx.put_git_reference("1", name, Some(target))?;
            }
            tx.put_git_reference("2", "refs/heads/main", Some("9"))?;
            tx.put_git_reference("1", "refs/heads/main", Some("4"))?;
            let renamed = GitRepositoryRecord { name: "c".to_owned(), modified_ms: 7, ..repository("1", "b") };
            tx.update_git_repository(&renamed)?;
            let other = GitRepositoryRecord { created_ms: 4, ..renamed };
            assert!(matches!(tx.update_git_repository(&other), Err(StoreError::NotFound(_))));
            Ok(())
        })
        .unwrap();
    metadata
        .read(|view| {
            let names: Vec<_> = view.git_repositories()?.into_iter().map(|found| found.name).collect();
            assert_eq!(names, ["a", "c"]);
            assert_eq!((view.git_repository_count()?, view.git_repository("b")?), (2, None));
            assert_eq!(view.git_repository("c")?.map(|found| (found.id, found.modified_ms)), Some(("1".to_owned(), 7)));
            assert_eq!(view.git_repository_by_id("2")?.unwrap().name, "a");
            let branches = view.git_references("1", "refs/heads/", None, 9)?;
            let pair = |name: &str, target: &str| (name.to_owned(), target.to_owned());
            assert_eq!(branches, [pair("refs/heads/main", "4"), pair("refs/heads/x", "2")]);
            assert_eq!(view.git_references("1", "", Some("refs/heads/main"), 1)?, [pair("refs/heads/x", "2")]);
            assert_eq!(view.git_reference("1", "refs/tags/v1")?.as_deref(), Some("3"));
            Ok(())
        })
        .unwrap();
    metadata
        .write_blocking(|tx| {
            tx.put_git_reference("1", "refs/tags/v1", None)?;
            assert_eq!(tx.git_reference("1", "refs/tags/v1")?, None);
            tx.delete_git_repository("1")?;
            assert!(tx.git_references("1", "", None, 9)?.is_empty());
            assert_eq!(tx.git_reference("2", "refs/heads/main")?.as_deref(), Some("9"));
            Ok(())
        })
        .unwrap();
    assert!(metadata.check().unwrap().is_empty());
}

#[test]
fn changed_rows_are_found() {
    for change in ["UPDATE git_repositories SET doc = '[]'", "UPDATE git_references SET target = '8'"] {
        let dir = tempfile::tempdir().unwrap();
        let metadata = store(dir.path());
        metadata
            .write_blocking(|tx| {
                tx.insert_git_repository(&repository("1", "a"))?;
                tx.put_git_reference("1", "refs/heads/main", Some("7"))
            })
            .unwrap();
        Connection::open(dir.path().join(DATABASE)).unwrap().execute(change, []).unwrap();
        assert_eq!(metadata.check().unwrap().len(), 1, "{change}");
        let read = metadata.read(|view| {
            view.git_repository("a")?;
            view.git_reference("1", "refs/heads/main")
        });
        assert!(matches!(read, Err(StoreError::Damaged { .. })), "{change}");
    }
}
