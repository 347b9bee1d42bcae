//! The package files that this machine has, by their hash: `<data>/packages/sha256/<hex>`. Registries drop old versions;
//! what is here stays.

use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

use crate::{error::Error, lock::Package};

/// See the module.
#[derive(Debug, Clone)]
pub struct PackageCache {
    dir: PathBuf,
}

impl PackageCache {
    /// The cache in `dir` (`<data>/packages`), made if it is not there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, Error> {
        let cache = Self { dir: dir.into() };
        for name in ["sha256", "clients", "scratch"] {
            private_dir(&cache.dir.join(name))?;
        }
        Ok(cache)
    }

    /// Where clients keep what they need between calls.
    #[must_use]
    pub fn clients_dir(&self) -> PathBuf {
        self.dir.join("clients")
    }

    /// A new directory beside the files, so that files can be renamed from and linked to it; whoever made it removes it.
    /// Those of processes that were killed go first.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn scratch(&self, name: &str) -> Result<Scratch, Error> {
        let parent = self.dir.join("scratch");
        for entry in fs::read_dir(&parent).map_err(Error::io("list", &parent))? {
            let path = entry.map_err(Error::io("list", &parent))?.path();
            let pid =
                path.file_name().and_then(|name| name.to_str()).and_then(|name| name.rsplit('-').next()?.parse().ok());
            if pid.is_none_or(|pid: u32| pid == std::process::id() || !Path::new(&format!("/proc/{pid}")).exists()) {
                fs::remove_dir_all(&path).map_err(Error::io("remove", &path))?;
            }
        }
        let path = parent.join(format!("{name}-{}", std::process::id()));
        private_dir(&path)?;
        Ok(Scratch { path })
    }

    /// The file of a package, if it is here with the size that the lock names, or with any where it names none.
    #[must_use]
    pub fn get(&self, package: &Package) -> Option<PathBuf> {
        let path = self.place(&package.sha256);
        let found = fs::symlink_metadata(&path).ok()?;
        (found.is_file() && (package.size == 0 || found.len() == package.size)).then_some(path)
    }

    /// Takes a file over whose hash must be the lock's.
    ///
    /// # Errors
    /// [`Error::Hash`] if it is another file; if it cannot be read or moved.
    pub fn add(&self, package: &Package, file: &Path) -> Result<(), Error> {
        let (actual, _) = hash(file)?;
        if actual != package.sha256 {
            return Err(Error::Hash { file: package.file.clone(), expected: package.sha256.clone(), actual });
        }
        self.keep(file, &actual)
    }

    /// Where the file of this hash is, or would be.
    #[must_use]
    pub fn place(&self, sha256: &str) -> PathBuf {
        self.dir.join("sha256").join(sha256)
    }

    /// Takes a file over that the next lock will name. Returns its hash and size.
    ///
    /// # Errors
    /// If it cannot be read or moved.
    pub fn take(&self, file: &Path) -> Result<(String, u64), Error> {
        let (actual, size) = hash(file)?;
        self.keep(file, &actual)?;
        Ok((actual, size))
    }

    fn keep(&self, file: &Path, hash: &str) -> Result<(), Error> {
        let to = self.place(hash);
        File::open(file).and_then(|file| file.sync_all()).map_err(Error::io("write to disk", file))?;
        fs::rename(file, &to).map_err(Error::io("move a package to", &to))
    }
}

/// A directory that is removed when it is dropped.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is removed before the next use of its name.
        fs::remove_dir_all(&self.path).ok();
    }
}

pub(crate) fn private_dir(path: &Path) -> Result<(), Error> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::io("create", path))
}

/// SHA-256 in hex, and size.
fn hash(path: &Path) -> Result<(String, u64), Error> {
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    let (mut hasher, mut size) = (Sha256::new(), 0);
    let mut chunk = vec![0; 256 * 1024];
    loop {
        let n = file.read(&mut chunk).map_err(Error::io("read", path))?;
        if n == 0 {
            return Ok((hex::encode(hasher.finalize()), size));
        }
        hasher.update(chunk.get(..n).unwrap_or_default());
        size += n as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Kind;

    #[test]
    fn only_the_file_that_the_lock_names_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let cache = PackageCache::open(dir.path().join("packages")).unwrap();
        let file = dir.path().join("a.deb");
        let mut package = Package {
            kind: Kind::Debian,
            name: "a".to_owned(),
            version: "1".to_owned(),
            file: "a.deb".to_owned(),
            size: 5,
            sha256: hex::encode(Sha256::digest(b"right")),
        };
        fs::write(&file, "wrong").unwrap();
        let error = cache.add(&package, &file).unwrap_err();
        assert!(matches!(&error, Error::Hash { file, .. } if file == "a.deb"), "{error}");
        assert_eq!(cache.get(&package), None);
        fs::write(&file, "right").unwrap();
        cache.add(&package, &file).unwrap();
        assert_eq!(fs::read(cache.get(&package).unwrap()).unwrap(), b"right");
        // A file that was cut is not there.
        package.size = 6;
        assert_eq!(cache.get(&package), None);
        package.size = 0;
        assert!(cache.get(&package).is_some());
        let scratch = cache.scratch("test").unwrap();
        fs::write(scratch.path().join("x"), "y").unwrap();
        let path = scratch.path().to_owned();
        drop(scratch);
        assert!(!path.exists());
    }
}
