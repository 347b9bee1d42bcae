//! What a server leaves in its data directory for Kiln's own commands: where it listens, and the account's root key.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use kiln_iam::sigv4::{Credentials, SecretKey};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::data;

/// Version of both files.
const VERSION: u32 = 1;
/// Longest file that is read.
const MAX_BYTES: u64 = 64 * 1024;

/// Where the service of a data directory is: `server.json`. Written each time it is ready; it stays when the service
/// ends, which comes back at the same place most likely.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Server {
    version: u32,
    /// `http://127.0.0.1:5456`.
    pub(crate) url: String,
    pub(crate) region: String,
    pub(crate) account: String,
}

impl Server {
    pub(crate) fn new(url: String, region: String, account: String) -> Self {
        Self { version: VERSION, url, region, account }
    }

    fn path(data: &Path) -> PathBuf {
        data.join("server.json")
    }

    pub(crate) fn write(&self, data: &Path) -> anyhow::Result<()> {
        write(&Self::path(data), 0o644, self)
    }

    /// `None`: no service was ever started there.
    pub(crate) fn read(data: &Path) -> anyhow::Result<Option<Self>> {
        let server: Option<Self> = read(&Self::path(data))?;
        check(server, |server| server.version, &Self::path(data))
    }
}

/// The access key of the account's root: `keys/root-access-key`, for its owner only.
#[derive(Serialize, Deserialize)]
struct RootKeyFile {
    version: u32,
    access_key_id: String,
    secret_access_key: String,
}

/// Where the root's access key is.
pub(crate) fn root_key_path(data: &Path) -> PathBuf {
    data.join("keys").join("root-access-key")
}

/// Stores the root's access key.
pub(crate) fn write_root_key(data: &Path, id: &str, secret: &SecretKey) -> anyhow::Result<()> {
    let path = root_key_path(data);
    let keys = data.join("keys");
    data::ensure(&keys, 0o700).with_context(|| format!("cannot create {}", keys.display()))?;
    let file =
        RootKeyFile { version: VERSION, access_key_id: id.to_owned(), secret_access_key: secret.expose().to_owned() };
    write(&path, 0o600, &file)
}

/// The root's access key; `None` when there is none.
///
/// # Errors
/// When the file is there and may not be read, or is malformed.
pub(crate) fn read_root_key(data: &Path) -> anyhow::Result<Option<Credentials>> {
    let path = root_key_path(data);
    let file: Option<RootKeyFile> = read(&path)?;
    let file = check(file, |file| file.version, &path)?;
    Ok(file.map(|file| Credentials {
        access_key_id: file.access_key_id,
        secret: SecretKey::new(file.secret_access_key),
        session_token: None,
    }))
}

fn check<T>(file: Option<T>, version: impl Fn(&T) -> u32, path: &Path) -> anyhow::Result<Option<T>> {
    match file {
        Some(file) if version(&file) != VERSION => {
            anyhow::bail!("{} was written by a newer version of Kiln", path.display())
        }
        file => Ok(file),
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Option<T>> {
    let read = || -> io::Result<Option<Vec<u8>>> {
        match fs::File::open(path) {
            Ok(file) => {
                let mut bytes = Vec::new();
                io::Read::read_to_end(&mut io::Read::take(file, MAX_BYTES), &mut bytes)?;
                Ok(Some(bytes))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    };
    let Some(bytes) = read().with_context(|| format!("cannot read {}", path.display()))? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).with_context(|| format!("{} is malformed", path.display()))
}

/// Writes a file so that it is there whole, synced, and with this mode, or not at all.
pub(crate) fn write_whole(path: &Path, mode: u32, bytes: &[u8]) -> anyhow::Result<()> {
    let write = || -> io::Result<()> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = path.with_file_name(name);
        match fs::remove_file(&new) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {} // of a process that was killed
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        path.parent().map_or(Ok(()), |dir| fs::File::open(dir)?.sync_all())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

fn write(path: &Path, mode: u32, value: &impl Serialize) -> anyhow::Result<()> {
    let mut json = serde_json::to_vec_pretty(value)?;
    json.push(b'\n');
    write_whole(path, mode, &json)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_root_key_comes_back_and_is_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read_root_key(dir.path()).unwrap().is_none());
        for secret in ["one", "two"] {
            write_root_key(dir.path(), "AKIAX", &SecretKey::new(secret.to_owned())).unwrap();
            let key = read_root_key(dir.path()).unwrap().unwrap();
            assert_eq!((key.access_key_id.as_str(), key.secret.expose()), ("AKIAX", secret));
        }
        let path = root_key_path(dir.path());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(&path, r#"{"version":2,"access_key_id":"a","secret_access_key":"b"}"#).unwrap();
        assert!(read_root_key(dir.path()).err().unwrap().to_string().contains("newer version"));
    }
}
