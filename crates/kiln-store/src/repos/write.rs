//! Writing commits without a working tree.

use std::fs;

use kiln_model::git::ObjectId;

use super::{EntryKind, GitError, Person, Repos, remove};

/// A change of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// Path from the root.
    pub path: String,
    /// What it is from then on, and its blob; `None`: it is deleted.
    pub to: Option<(EntryKind, ObjectId)>,
}

/// What a commit says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitText<'a> {
    /// Who wrote it, and committed it.
    pub person: &'a Person,
    /// Message.
    pub message: &'a str,
}

impl Repos {
    /// Stores the bytes of a file; its id.
    ///
    /// # Errors
    /// When git or the disk fails.
    pub fn put_blob(&self, id: &str, bytes: &[u8]) -> Result<ObjectId, GitError> {
        let line = self.git(id).args(["hash-object", "-w", "--stdin", "--no-filters"]).run(bytes)?;
        id_of(&line, "hash-object")
    }

    /// Stores a folder: that of a commit, if any, with some changes.
    ///
    /// # Errors
    /// When git or the disk fails.
    pub fn put_tree(&self, id: &str, base: Option<&ObjectId>, changes: &[FileChange]) -> Result<ObjectId, GitError> {
        let place = self.path(id).join(super::CALLS).join(format!("index-{}", number()));
        let index = place.as_os_str();
        let written = (|| {
            let git = || self.git(id).env("GIT_INDEX_FILE", index);
            match base {
                Some(base) => git().args(["read-tree", base.as_str()]).run(b"")?,
                None => git().args(["read-tree", "--empty"]).run(b"")?,
            };
            let mut input = String::new();
            for FileChange { path, to } in changes {
                let line = match to {
                    None => format!("0 0000000000000000000000000000000000000000\t{path}\0"),
                    Some((kind, blob)) => {
                        let mode = match kind {
                            EntryKind::Executable => "100755",
                            EntryKind::Link => "120000",
                            EntryKind::Submodule => "160000",
                            EntryKind::File | EntryKind::Folder => "100644",
                        };
                        format!("{mode} {blob}\t{path}\0")
                    }
                };
                input.push_str(&line);
            }
            git().args(["update-index", "-z", "--index-info"]).run(input.as_bytes())?;
            git().args(["write-tree"]).run(b"")
        })();
        remove(&place)?;
        fs::remove_file(place.with_extension("lock")).ok();
        id_of(&written?, "write-tree")
    }

    /// Stores a commit; no reference names it yet.
    ///
    /// # Errors
    /// When git or the disk fails.
    pub fn put_commit(
        &self,
        id: &str,
        tree: &ObjectId,
        parents: &[ObjectId],
        text: &CommitText<'_>,
    ) -> Result<ObjectId, GitError> {
        let person = text.person;
        let mut git = self.git(id).args(["commit-tree", tree.as_str(), "-F", "-"]);
        for parent in parents {
            git = git.args(["-p", parent.as_str()]);
        }
        for role in ["AUTHOR", "COMMITTER"] {
            git = git.env(&format!("GIT_{role}_NAME"), &person.name);
            git = git.env(&format!("GIT_{role}_EMAIL"), &person.email);
            git = git.env(&format!("GIT_{role}_DATE"), format!("@{}", person.date));
        }
        id_of(&git.run(text.message.as_bytes())?, "commit-tree")
    }
}

/// Of a file that no other call has.
fn number() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

fn id_of(line: &[u8], command: &'static str) -> Result<ObjectId, GitError> {
    let text = String::from_utf8_lossy(line);
    text.trim_end().parse().map_err(|_| GitError::unreadable(command))
}
