#![allow(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

use super::*;

const ID: &str = "0f0e0d0c-1111-4222-8333-444455556666";

struct World {
    dir: tempfile::TempDir,
    repos: Repos,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let repos = Repos::new(&dir.path().join("repos"));
        repos.create(ID).unwrap();
        Self { dir, repos }
    }

    fn person() -> Person {
        Person { name: "A B".to_owned(), email: "a@b".to_owned(), date: "1700000000 +0100".to_owned() }
    }

    /// A commit that has these files.
    fn commit(&self, parent: Option<&ObjectId>, files: &[(&str, &str)]) -> ObjectId {
        let changes: Vec<_> = files
            .iter()
            .map(|(path, text)| FileChange {
                path: (*path).to_owned(),
                to: Some((EntryKind::File, self.repos.put_blob(ID, text.as_bytes()).unwrap())),
            })
            .collect();
        let tree = self.repos.put_tree(ID, parent, &changes).unwrap();
        let parents: Vec<_> = parent.cloned().into_iter().collect();
        let person = Self::person();
        self.repos.put_commit(ID, &tree, &parents, &CommitText { person: &person, message: "one\n\ntwo\n" }).unwrap()
    }

    fn point(&self, name: &str, old: Option<&ObjectId>, new: Option<&ObjectId>) -> Result<(), GitError> {
        let update = RefUpdate { name: name.to_owned(), old: old.cloned(), new: new.cloned() };
        self.repos.update(ID, &[update])
    }

    fn git(&self, args: &[&str]) -> bool {
        let git = Command::new("git").current_dir(self.dir.path()).args(args).output().unwrap();
        git.status.success()
    }
}

#[test]
fn commits_are_what_was_written() {
    let world = World::new();
    let first = world.commit(None, &[("a", "1"), ("d/b", "2")]);
    world.point("refs/heads/main", None, Some(&first)).unwrap();
    let second = world.commit(Some(&first), &[("a", "3")]);
    assert!(matches!(world.point("refs/heads/main", None, Some(&second)), Err(GitError::Moved)));
    assert!(matches!(world.point("refs/heads/main", Some(&second), Some(&second)), Err(GitError::Moved)));
    world.point("refs/heads/main", Some(&first), Some(&second)).unwrap();
    assert_eq!(world.repos.references(ID).unwrap(), [("refs/heads/main".to_owned(), second.clone())]);
    let read = world.repos.commit(ID, &second).unwrap();
    assert_eq!(
        (read.parents, read.author, read.message.as_str()),
        (vec![first.clone()], World::person(), "one\n\ntwo\n")
    );
    let names: Vec<_> = world.repos.folder(ID, &read.tree).unwrap().into_iter().map(|e| (e.name, e.kind)).collect();
    assert_eq!(names, [("a".to_owned(), EntryKind::File), ("d".to_owned(), EntryKind::Folder)]);
    let (blob, kind, size) = world.repos.look_up(ID, "refs/heads/main:a").unwrap().unwrap();
    assert_eq!((kind, size), (ObjectKind::Blob, 1));
    assert_eq!(world.repos.bytes(ID, kind, &blob, 1).unwrap(), b"3");
    assert!(matches!(world.repos.bytes(ID, kind, &blob, 0), Err(GitError::Large { .. })));
    for nothing in ["refs/heads/other", "refs/heads/main:x", "", "a\nrefs/heads/main", "--help"] {
        assert_eq!(world.repos.look_up(ID, nothing).unwrap(), None, "{nothing}");
    }
    let all = world.repos.differences(ID, None, &second, &[]).unwrap();
    assert_eq!(all.iter().map(|d| d.path.as_str()).collect::<Vec<_>>(), ["a", "d/b"]);
    let changed = world.repos.differences(ID, Some(&first), &second, &[]).unwrap();
    assert!(changed.len() == 1 && changed[0].before.is_some() && changed[0].after.is_some());
    assert!(world.repos.differences(ID, None, &second, &["*"]).unwrap().is_empty(), "a path is no pattern");
    world.point("refs/heads/main", Some(&second), None).unwrap();
    assert!(world.repos.references(ID).unwrap().is_empty());
}

#[test]
fn copies_are_whole_and_start_where_the_original_does() {
    let world = World::new();
    let copy = world.dir.path().join("copy.git");
    Repos::copy(&world.repos.path(ID), &copy).unwrap();
    fs::remove_dir_all(&copy).unwrap();
    let first = world.commit(None, &[("a", "1")]);
    world.point("refs/heads/trunk", None, Some(&first)).unwrap();
    world.point("refs/tags/v1", None, Some(&first)).unwrap();
    world.repos.set_head(ID, "trunk").unwrap();
    Repos::copy(&world.repos.path(ID), &copy).unwrap();
    assert!(world.git(&["--git-dir", "copy.git", "fsck", "--strict"]));
    assert_eq!(fs::read_to_string(copy.join("HEAD")).unwrap(), "ref: refs/heads/trunk\n");
    assert!(world.git(&["--git-dir", "copy.git", "rev-parse", "refs/tags/v1"]));
}

#[test]
fn what_a_killed_git_left_goes() {
    let world = World::new();
    let path = world.repos.path(ID);
    let first = world.commit(None, &[("a", "1")]);
    fs::create_dir_all(path.join("refs/heads/x")).unwrap();
    fs::write(path.join("refs/heads/x/y.lock"), "").unwrap();
    fs::write(path.join("packed-refs.lock"), "").unwrap();
    fs::create_dir_all(path.join("objects/tmp_objdir-incoming-1/pack")).unwrap();
    fs::write(path.join(CALLS).join("1-1"), "").unwrap();
    assert!(world.point("refs/heads/x/y", None, Some(&first)).is_err());
    world.repos.settle(ID).unwrap();
    world.point("refs/heads/x/y", None, Some(&first)).unwrap();
    assert!(!path.join("objects/tmp_objdir-incoming-1").exists());
    assert_eq!(fs::read_dir(path.join(CALLS)).unwrap().count(), 0);
}

#[test]
fn directories_without_a_record_go() {
    let world = World::new();
    world.repos.create("other").unwrap();
    fs::create_dir(world.dir.path().join("repos/third.new")).unwrap();
    world.repos.sweep(|id| id == ID).unwrap();
    let left: Vec<_> = fs::read_dir(world.dir.path().join("repos")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, [format!("{ID}.git").as_str()]);
    world.repos.remove(ID).unwrap();
    world.repos.remove(ID).unwrap();
    assert!(!world.repos.path(ID).exists());
}

#[tokio::test]
async fn git_serves_and_ends_when_nobody_wants_it() {
    let world = World::new();
    let mut process = world.repos.serve(ID, Service::AdvertiseUpload, 2).await.unwrap();
    drop(process.take_input());
    let mut answer = Vec::new();
    while let Some(piece) = process.next().await {
        answer.extend(piece);
    }
    process.ended().await.unwrap();
    assert!(answer.starts_with(b"000eversion 2\n"), "{}", String::from_utf8_lossy(&answer));
    // One that waits for its input for ever.
    let waiting = world.repos.serve(ID, Service::Receive, 0).await.unwrap();
    let calls = world.repos.path(ID).join(CALLS);
    assert_eq!(fs::read_dir(&calls).unwrap().count(), 1);
    drop(waiting);
    let end = Instant::now() + Duration::from_secs(20);
    while fs::read_dir(&calls).unwrap().count() > 0 {
        assert!(Instant::now() < end, "git does not end");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut broken = world.repos.serve(ID, Service::Receive, 0).await.unwrap();
    let input = broken.take_input().unwrap();
    input.send(b"garbage".to_vec()).await.unwrap();
    drop(input);
    while broken.next().await.is_some() {}
    assert!(matches!(broken.ended().await, Err(GitError::Failed { .. })));
}
