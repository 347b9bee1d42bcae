//! Copies trees.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use super::{BackupError, failed, make_directory};

/// Blobs that are being written have no place in a backup.
const LEFT_OUT: &str = "partial";
/// Deepest directory: `logs/<group>/<stream>`.
const DEPTH: usize = 3;

/// What was copied.
#[derive(Debug, Default)]
pub(super) struct Copied {
    pub(super) files: u64,
    pub(super) bytes: u64,
}

/// Copies the files of `from` that `to` does not have with the same length (blobs never change, logs only grow). Files
/// that disappear meanwhile are left out. A tree that is not there is an empty one.
pub(super) fn copy_tree(from: &Path, to: &Path, copied: &mut Copied) -> Result<(), BackupError> {
    copy_level(from, to, copied, DEPTH)
}

fn copy_level(from: &Path, to: &Path, copied: &mut Copied, depth: usize) -> Result<(), BackupError> {
    let entries = match fs::read_dir(from) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed("read", from, e)),
    };
    make_directory(to)?;
    for entry in entries {
        let entry = entry.map_err(|e| failed("read", from, e))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(|e| failed("read", &source, e))?;
        if kind.is_dir() && depth > 0 && entry.file_name() != LEFT_OUT {
            copy_level(&source, &target, copied, depth - 1)?;
        } else if kind.is_file() {
            copy_file(&source, &target, copied)?;
        }
    }
    Ok(())
}

/// Copies a git repository that nothing uses.
pub(super) fn copy_repository(from: &Path, to: &Path, copied: &mut Copied) -> Result<(), BackupError> {
    /// Parts of the name of a reference, at most, and some.
    const DEPTH: usize = 600;
    copy_level(from, to, copied, DEPTH)
}

/// Counts the files of a tree that something else has copied.
pub(super) fn count(tree: &Path, copied: &mut Copied) -> Result<(), BackupError> {
    for entry in fs::read_dir(tree).map_err(|e| failed("read", tree, e))? {
        let entry = entry.map_err(|e| failed("read", tree, e))?;
        let metadata = entry.metadata().map_err(|e| failed("read", &entry.path(), e))?;
        if metadata.is_dir() {
            count(&entry.path(), copied)?;
        } else {
            copied.files += 1;
            copied.bytes += metadata.len();
        }
    }
    Ok(())
}

/// Copies a file, unless `target` has it with the same length; one that is not there is left out.
pub(super) fn copy_file(source: &Path, target: &Path, copied: &mut Copied) -> Result<(), BackupError> {
    let length = |path: &Path| path.symlink_metadata().map(|m| m.len());
    let copied_now = match length(source) {
        Ok(n) if length(target).is_ok_and(|there| there == n) => return Ok(()),
        Ok(_) => fs::copy(source, target),
        Err(e) => Err(e),
    };
    match copied_now {
        Ok(bytes) => {
            copied.files += 1;
            copied.bytes += bytes;
            Ok(())
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound && source.symlink_metadata().is_err() => Ok(()),
        Err(e) => Err(failed("copy", source, e)),
    }
}

/// Syncs everything in the file system of `directory`: one call instead of one a file.
pub(super) fn sync_file_system(directory: &Path) -> Result<(), BackupError> {
    let opened = File::open(directory).map_err(|e| failed("open", directory, e))?;
    rustix::fs::syncfs(&opened).map_err(|e| failed("sync", directory, e.into()))
}

/// Syncs the directory that holds `path`'s name.
pub(super) fn sync_parent(path: &Path) -> Result<(), BackupError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent).and_then(|d| d.sync_all()).map_err(|e| failed("sync", parent, e))
}
