//! Reading objects: commits, folders, files, and what differs.

use kiln_model::git::ObjectId;

use super::{GitError, Repos};

/// Kinds of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// A commit.
    Commit,
    /// A folder.
    Tree,
    /// The bytes of a file.
    Blob,
    /// A tag with a message.
    Tag,
}

/// Who did something, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// Name.
    pub name: String,
    /// Address.
    pub email: String,
    /// Seconds since 1970 and the offset of the time zone, e.g. `1700000000 +0000`.
    pub date: String,
}

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The folder at its root.
    pub tree: ObjectId,
    /// The commits that it follows.
    pub parents: Vec<ObjectId>,
    /// Who wrote it.
    pub author: Person,
    /// Who committed it.
    pub committer: Person,
    /// Its message.
    pub message: String,
    /// Its other headers.
    pub others: String,
}

/// What an entry of a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A folder.
    Folder,
    /// A file.
    File,
    /// A file that may be executed.
    Executable,
    /// A symbolic link.
    Link,
    /// A commit of another repository.
    Submodule,
}

impl EntryKind {
    /// By its mode as git writes it.
    fn of_mode(mode: &str) -> Option<Self> {
        Some(match mode {
            "040000" => Self::Folder,
            "100644" | "100664" => Self::File,
            "100755" => Self::Executable,
            "120000" => Self::Link,
            "160000" => Self::Submodule,
            _ => return None,
        })
    }
}

/// An entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, without the folder's; what of it is no UTF-8 is replaced.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// Its object.
    pub id: ObjectId,
}

/// A path that differs between two folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawDifference {
    /// Path from the root.
    pub path: String,
    /// Mode and object before.
    pub before: Option<(String, ObjectId)>,
    /// Mode and object after.
    pub after: Option<(String, ObjectId)>,
}

/// The folder that has nothing.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

impl Repos {
    /// Which object some text names, and its size; `None`: none, or more than one. The text may be an id, its beginning, or
    /// the full name of a reference; behind it `^{commit}`, or `:` and a path. The caller has seen to its being nothing else.
    ///
    /// # Errors
    /// When git or the disk fails.
    pub fn look_up(&self, id: &str, text: &str) -> Result<Option<(ObjectId, ObjectKind, u64)>, GitError> {
        if text.contains(['\n', '\0']) {
            return Ok(None);
        }
        let line = self.git(id).args(["cat-file", "--batch-check"]).run(format!("{text}\n").as_bytes())?;
        let line = String::from_utf8_lossy(&line);
        let mut parts = line.trim_end().split(' ');
        let (Some(Ok(object)), Some(kind), Some(Ok(size)), None) =
            (parts.next().map(str::parse), parts.next(), parts.next().map(str::parse), parts.next())
        else {
            return Ok(None);
        };
        let kind = match kind {
            "commit" => ObjectKind::Commit,
            "tree" => ObjectKind::Tree,
            "blob" => ObjectKind::Blob,
            "tag" => ObjectKind::Tag,
            _ => return Ok(None),
        };
        Ok(Some((object, kind, size)))
    }

    /// The bytes of an object that is there, if there are at most so many.
    ///
    /// # Errors
    /// [`GitError::Large`], or when git or the disk fails.
    pub fn bytes(&self, id: &str, kind: ObjectKind, object: &ObjectId, most: usize) -> Result<Vec<u8>, GitError> {
        let kind = match kind {
            ObjectKind::Commit => "commit",
            ObjectKind::Tree => "tree",
            ObjectKind::Blob => "blob",
            ObjectKind::Tag => "tag",
        };
        self.git(id).args(["cat-file", kind, object.as_str()]).most(most).run(b"")
    }

    /// A commit that is there.
    ///
    /// # Errors
    /// When git or the disk fails.
    pub fn commit(&self, id: &str, commit: &ObjectId) -> Result<Commit, GitError> {
        const MOST: usize = 16 << 20;
        let bytes = self.bytes(id, ObjectKind::Commit, commit, MOST)?;
        parse_commit(&String::from_utf8_lossy(&bytes)).ok_or_else(|| GitError::unreadable("cat-file"))
    }

    /// What is in a folder.
    ///
    /// # Errors
    /// When git or the disk fails.
    pub fn folder(&self, id: &str, tree: &ObjectId) -> Result<Vec<Entry>, GitError> {
        let bytes = self.git(id).args(["ls-tree", "-z", "--full-tree", tree.as_str()]).run(b"")?;
        let text = String::from_utf8_lossy(&bytes);
        let entries = text.split_terminator('\0').map(|line| {
            let (head, name) = line.split_once('\t')?;
            let mut parts = head.split(' ');
            let (mode, _, object) = (parts.next()?, parts.next()?, parts.next()?);
            Some(Entry { name: name.to_owned(), kind: EntryKind::of_mode(mode)?, id: object.parse().ok()? })
        });
        entries.map(|entry| entry.ok_or_else(|| GitError::unreadable("ls-tree"))).collect()
    }

    /// What differs between two commits or folders, by path; only at and below some paths, if any are given. Without the
    /// first, everything was added.
    ///
    /// # Errors
    /// When git or the disk fails.
    pub fn differences(
        &self,
        id: &str,
        before: Option<&ObjectId>,
        after: &ObjectId,
        paths: &[&str],
    ) -> Result<Vec<RawDifference>, GitError> {
        let before = before.map_or(EMPTY_TREE, ObjectId::as_str);
        let mut git =
            self.git(id).args(["diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--end-of-options"]);
        git = git.args([before, after.as_str(), "--"]);
        for path in paths {
            git = git.arg(path.as_ref());
        }
        let bytes = git.run(b"")?;
        let text = String::from_utf8_lossy(&bytes);
        let mut fields = text.split_terminator('\0');
        let mut found = Vec::new();
        while let Some(head) = fields.next() {
            let read = || {
                let mut parts = head.strip_prefix(':')?.split(' ');
                let modes = (parts.next()?, parts.next()?);
                let objects: (ObjectId, ObjectId) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
                let side = |mode: &str, id| (mode != "000000").then(|| (mode.to_owned(), id));
                Some((side(modes.0, objects.0), side(modes.1, objects.1)))
            };
            let (Some((before, after)), Some(path)) = (read(), fields.next()) else {
                return Err(GitError::unreadable("diff-tree"));
            };
            found.push(RawDifference { path: path.to_owned(), before, after });
        }
        Ok(found)
    }
}

fn parse_commit(text: &str) -> Option<Commit> {
    let (head, message) = text.split_once("\n\n").unwrap_or((text, ""));
    let (mut tree, mut parents, mut others) = (None, Vec::new(), String::new());
    let (mut author, mut committer) = (Person::default(), Person::default());
    for line in head.lines() {
        match line.split_once(' ') {
            Some(("tree", id)) => tree = Some(id.parse().ok()?),
            Some(("parent", id)) => parents.push(id.parse().ok()?),
            Some(("author", person)) => author = parse_person(person),
            Some(("committer", person)) => committer = parse_person(person),
            _ => {
                others.push_str(line);
                others.push('\n');
            }
        }
    }
    Some(Commit { tree: tree?, parents, author, committer, message: message.to_owned(), others })
}

/// `Name <address> seconds zone`. Hostile ones have what can be found of it.
fn parse_person(text: &str) -> Person {
    let (who, date) = text.rsplit_once('>').unwrap_or((text, ""));
    let (name, email) = who.split_once('<').unwrap_or((who, ""));
    Person { name: name.trim().to_owned(), email: email.trim().to_owned(), date: date.trim().to_owned() }
}
