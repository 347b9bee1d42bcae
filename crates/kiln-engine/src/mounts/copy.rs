//! Copies a source directory whose file system cannot be id-mapped (9p, NFS, some FUSE file systems).

use std::{
    fs::File,
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Gid, Timespec, Timestamps, Uid},
    time::Secs,
};

use super::set_owner;
use crate::{
    error::{Context as _, EngineError},
    ids::IDS,
};

/// Copies what is below `from` into the directory `to`: files, directories and symbolic links with their modes and
/// times. `owner`: whose files become root's; others keep their ids where they have a place in the sandbox's range,
/// which begins at `base`.
pub(super) fn tree(from: &Path, to: &Path, owner: (u32, u32), base: u32) -> Result<(), EngineError> {
    let place = |id: u32, root: u32| match id {
        id if id == root => base,
        0 if root < IDS => base + root,
        id if id < IDS => base + id,
        _ => base,
    };
    // Directories last, and deepest first: their times and modes change while they are filled.
    let mut directories = vec![PathBuf::new()];
    let mut todo = vec![PathBuf::new()];
    while let Some(relative) = todo.pop() {
        let dir = from.join(&relative);
        for entry in std::fs::read_dir(&dir).context(|| format!("read {}", dir.display()))? {
            let entry = entry.context(|| format!("read {}", dir.display()))?;
            let name = relative.join(entry.file_name());
            let (source, target) = (from.join(&name), to.join(&name));
            let describe = || format!("copy {}", source.display());
            let meta = entry.metadata().context(describe)?;
            let kind = meta.file_type();
            if kind.is_dir() {
                std::fs::create_dir(&target).context(describe)?;
                directories.push(name.clone());
                todo.push(name);
                continue;
            }
            if kind.is_symlink() {
                let link = std::fs::read_link(&source).context(describe)?;
                std::os::unix::fs::symlink(link, &target).context(describe)?;
            } else if kind.is_file() {
                let mut input = File::open(&source).context(describe)?;
                let mut output = File::create_new(&target).context(describe)?;
                io::copy(&mut input, &mut output).context(describe)?;
            } else {
                // Sockets, pipes and devices are of no use without what is behind them.
                continue;
            }
            finish(&target, &meta, (place(meta.uid(), owner.0), place(meta.gid(), owner.1))).context(describe)?;
        }
    }
    for name in directories.iter().rev() {
        let (source, target) = (from.join(name), to.join(name));
        let describe = || format!("copy {}", source.display());
        let meta = std::fs::symlink_metadata(&source).context(describe)?;
        finish(&target, &meta, (place(meta.uid(), owner.0), place(meta.gid(), owner.1))).context(describe)?;
    }
    Ok(())
}

/// Owner, mode and time of a copied file.
fn finish(path: &Path, meta: &std::fs::Metadata, owner: (u32, u32)) -> io::Result<()> {
    set_owner(path, Uid::from_raw(owner.0), Gid::from_raw(owner.1))?;
    if !meta.file_type().is_symlink() {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(meta.mode() & 0o7777))?;
    }
    let time = |seconds: i64, nanoseconds: i64| Timespec { tv_sec: seconds as Secs, tv_nsec: nanoseconds as _ };
    let times = Timestamps {
        last_access: time(meta.atime(), meta.atime_nsec()),
        last_modification: time(meta.mtime(), meta.mtime_nsec()),
    };
    Ok(rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_copy_has_modes_times_and_places_for_owners() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: giving files away needs root");
            return;
        }
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir(from.path().join("d")).unwrap();
        std::fs::write(from.path().join("d/f"), "text").unwrap();
        std::fs::write(from.path().join("root"), "").unwrap();
        symlink("d/f", from.path().join("link")).unwrap();
        std::fs::set_permissions(from.path().join("d/f"), std::fs::Permissions::from_mode(0o4751)).unwrap();
        std::fs::set_permissions(from.path().join("d"), std::fs::Permissions::from_mode(0o500)).unwrap();
        std::os::unix::fs::chown(from.path().join("d/f"), Some(1000), Some(70_000)).unwrap();
        rustix::fs::mknodat(CWD, from.path().join("pipe"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
            .unwrap();
        tree(from.path(), to.path(), (1000, 70_000), 500_000).unwrap();
        let meta = |name: &str| std::fs::symlink_metadata(to.path().join(name)).unwrap();
        let source = std::fs::symlink_metadata(from.path().join("d/f")).unwrap();
        assert_eq!((meta("d/f").uid(), meta("d/f").gid()), (500_000, 500_000));
        assert_eq!((meta("root").uid(), meta("root").gid()), (501_000, 500_000));
        assert_eq!(meta("d/f").mode(), source.mode());
        assert_eq!((meta("d/f").mtime(), meta("d/f").mtime_nsec()), (source.mtime(), source.mtime_nsec()));
        assert_eq!(meta("d").mode() & 0o7777, 0o500);
        assert_eq!(std::fs::read_link(to.path().join("link")).unwrap(), Path::new("d/f"));
        assert!(!to.path().join("pipe").exists());
    }
}
