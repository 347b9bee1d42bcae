//! A working tree as the source of a build: packed as a ZIP archive, with modes and links.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Read as _, Seek as _},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use kiln_iam::sigv4::PayloadHasher;
use time::{OffsetDateTime, PrimitiveDateTime};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use crate::exit::usage;

/// What is never sent unless it was asked for: a build of CodeBuild from S3 has none either, and it is large.
const GIT: &str = ".git";

/// An archive that was made.
#[derive(Debug)]
pub(super) struct Packed {
    /// At its start. It has no name; it goes when it is closed.
    pub(super) file: File,
    pub(super) bytes: u64,
    pub(super) sha256: [u8; 32],
    /// What no archive can hold: sockets, pipes, devices.
    pub(super) skipped: Vec<String>,
}

/// Packs everything in `dir`, in the order of names, so that the same tree gives the same archive.
pub(super) fn pack(dir: &Path, with_git: bool) -> anyhow::Result<Packed> {
    if !dir.is_dir() {
        usage!("--source {}: not a directory", dir.display());
    }
    let file = unnamed().context("cannot make a file for the archive in the directory for temporary files")?;
    let mut packer = Packer { zip: ZipWriter::new(BufWriter::new(file)), skipped: Vec::new() };
    packer.directory(dir, "", with_git)?;
    let Packer { zip, skipped } = packer;
    let file = zip.finish().context("cannot write the archive")?;
    let mut file = file.into_inner().map_err(io::IntoInnerError::into_error).context("cannot write the archive")?;
    let (bytes, sha256) = hash(&mut file).context("cannot read the archive again")?;
    Ok(Packed { file, bytes, sha256, skipped })
}

fn unnamed() -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, open};
    let dir = std::env::temp_dir();
    Ok(open(dir, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)?.into())
}

fn hash(file: &mut File) -> io::Result<(u64, [u8; 32])> {
    file.rewind()?;
    let mut hasher = PayloadHasher::new();
    let (mut bytes, mut buffer) = (0u64, vec![0; 256 << 10]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => {
                hasher.update(buffer.get(..n).unwrap_or_default());
                bytes += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    file.rewind()?;
    Ok((bytes, hasher.finish()))
}

struct Packer {
    zip: ZipWriter<BufWriter<File>>,
    skipped: Vec<String>,
}

impl Packer {
    fn directory(&mut self, dir: &Path, prefix: &str, with_git: bool) -> anyhow::Result<()> {
        let read = || format!("cannot read {}", dir.display());
        let mut paths: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(dir).with_context(read)? {
            paths.push(entry.with_context(read)?.path());
        }
        paths.sort();
        for path in paths {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                anyhow::bail!("{}: its name is not UTF-8, which a ZIP archive cannot hold", path.display());
            };
            if prefix.is_empty() && name == GIT && !with_git {
                continue;
            }
            self.entry(&path, &format!("{prefix}{name}")).with_context(|| format!("cannot pack {}", path.display()))?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &Path, name: &str) -> anyhow::Result<()> {
        let meta = fs::symlink_metadata(path)?;
        let mut options =
            SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).compression_level(Some(1));
        options = options.unix_permissions(meta.mode() & 0o7777);
        let modified = OffsetDateTime::from_unix_timestamp(meta.mtime()).ok();
        let modified = modified.map(|time| PrimitiveDateTime::new(time.date(), time.time()));
        if let Some(modified) = modified.and_then(|time| time.try_into().ok()) {
            options = options.last_modified_time(modified);
        }
        let kind = meta.file_type();
        if kind.is_dir() {
            self.zip.add_directory(name, options)?;
            self.directory(path, &format!("{name}/"), true)?;
        } else if kind.is_symlink() {
            let target = fs::read_link(path)?;
            let Some(target) = target.to_str() else { anyhow::bail!("the link's target is not UTF-8") };
            self.zip.add_symlink(name, target, options)?;
        } else if kind.is_file() {
            self.zip.start_file(name, options.large_file(meta.len() >= u64::from(u32::MAX)))?;
            io::copy(&mut File::open(path)?, &mut self.zip)?;
        } else {
            let what = match kind {
                kind if kind.is_socket() => "socket",
                kind if kind.is_fifo() => "pipe",
                _ => "device",
            };
            self.skipped.push(format!("{name} (a {what})"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn modes_links_and_empty_directories_are_kept_and_git_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir_all(path(".git/objects")).unwrap();
        fs::create_dir_all(path("sub/.git")).unwrap();
        fs::write(path("run.sh"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(path("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink("run.sh", path("link")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        let packed = pack(dir.path(), false).unwrap();
        assert_eq!(packed.skipped, ["socket (a socket)"]);
        assert_eq!(packed.sha256, pack(dir.path(), false).unwrap().sha256, "the same tree, the same archive");
        let mut archive = zip::ZipArchive::new(packed.file).unwrap();
        let names: Vec<_> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
        assert_eq!(names, ["link", "run.sh", "sub/", "sub/.git/"]);
        assert_eq!(archive.by_name("run.sh").unwrap().unix_mode().unwrap() & 0o777, 0o755);
        let link = archive.by_name("link").unwrap();
        assert!(link.is_symlink());
        assert_eq!(io::read_to_string(link).unwrap(), "run.sh");
        let with = pack(dir.path(), true).unwrap();
        assert!(zip::ZipArchive::new(with.file).unwrap().file_names().any(|name| name.unwrap() == ".git/objects/"));
        assert!(pack(&path("run.sh"), false).unwrap_err().to_string().contains("not a directory"));
    }
}
