//! Brings a backup back.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    Backup, BackupError, FORMAT, MANIFEST, TREES,
    copy::{Copied, copy_repository, copy_tree, sync_file_system},
    failed, make_directory, remove_tree, repository_ids, verify,
};
use crate::{
    DataLock, crash,
    metadata::{self, RESTORING},
    repos::{self, Repos},
};

/// What was brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The backup.
    pub backup: Backup,
    /// Where what was in the data directory before is now; nothing is deleted.
    pub replaced: Option<PathBuf>,
}

/// Puts the backup in `from` into the data directory `data`, which no server may use. What is there is moved into a
/// directory beside it. Interrupted at any moment, it can be called again; until it has succeeded, the data directory is
/// refused by [`crate::Metadata::open`].
///
/// # Errors
/// [`BackupError`]; the data directory is only touched when the backup was found complete and undamaged.
pub fn restore(from: &Path, data: &Path) -> Result<Restored, BackupError> {
    let backup = read_manifest(from)?;
    make_directory(data)?;
    let _lock = DataLock::take(data)?;
    let restoring = data.join(RESTORING);
    remove_tree(&restoring)?;
    make_directory(&restoring)?;
    let mut copied = Copied::default();
    for file in metadata::FILES {
        copy_one(&from.join(file), &restoring.join(file))?;
    }
    for tree in TREES {
        copy_tree(&from.join(tree), &restoring.join(tree), &mut copied)?;
    }
    for id in repository_ids(&restoring)? {
        let path = |root: &Path| Repos::new(&root.join(repos::DIRECTORY)).path(&id);
        if !path(from).join("HEAD").is_file() {
            let what = format!("git repository {id} is missing");
            return Err(BackupError::Incomplete { path: from.to_owned(), what });
        }
        make_directory(&restoring.join(repos::DIRECTORY))?;
        copy_repository(&path(from), &path(&restoring), &mut copied)?;
    }
    if let Some(blob) = verify(&restoring)? {
        return Err(BackupError::Incomplete { path: from.to_owned(), what: format!("blob {blob} is missing") });
    }
    sync_file_system(&restoring)?;
    crash::point("restore_copied");
    let replaced = move_aside(data)?;
    crash::point("restore_moved");
    for name in metadata::FILES.into_iter().chain(TREES).chain([repos::DIRECTORY]) {
        let (new, place) = (restoring.join(name), data.join(name));
        if new.symlink_metadata().is_ok() {
            fs::rename(&new, &place).map_err(|e| failed("move", &new, e))?;
        }
    }
    sync_file_system(data)?;
    crash::point("restore_placed");
    remove_tree(&restoring)?;
    sync_file_system(data)?;
    Ok(Restored { backup, replaced })
}

fn read_manifest(from: &Path) -> Result<Backup, BackupError> {
    let incomplete = |what: String| BackupError::Incomplete { path: from.to_owned(), what };
    let json = fs::read(from.join(MANIFEST)).map_err(|e| incomplete(format!("{MANIFEST}: {e}")))?;
    let backup: Backup = serde_json::from_slice(&json).map_err(|e| incomplete(format!("{MANIFEST}: {e}")))?;
    if backup.format != FORMAT {
        return Err(incomplete(format!("it has form {}, this Kiln knows form {FORMAT}", backup.format)));
    }
    Ok(backup)
}

fn copy_one(from: &Path, to: &Path) -> Result<(), BackupError> {
    fs::copy(from, to).map(drop).map_err(|e| failed("copy", from, e))
}

/// Moves what a backup brings out of the way.
fn move_aside(data: &Path) -> Result<Option<PathBuf>, BackupError> {
    let there: Vec<&str> = metadata::FILES
        .into_iter()
        .chain(metadata::LOG_FILES)
        .chain(TREES)
        .chain([repos::DIRECTORY])
        .filter(|name| data.join(name).symlink_metadata().is_ok())
        .collect();
    if there.is_empty() {
        return Ok(None);
    }
    let mut number = 1;
    let aside = loop {
        let aside = data.join(format!("replaced-{number}"));
        if aside.symlink_metadata().is_err() {
            break aside;
        }
        number += 1;
    };
    make_directory(&aside)?;
    for name in there {
        let path = data.join(name);
        fs::rename(&path, aside.join(name)).map_err(|e| failed("move", &path, e))?;
    }
    Ok(Some(aside))
}
