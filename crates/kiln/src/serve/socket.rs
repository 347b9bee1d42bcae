//! The socket in the data directory on which the runners of builds reach the service.

use std::{
    fs, io,
    os::{fd::OwnedFd, unix::net::UnixListener as StdListener},
    path::Path,
};

use anyhow::Context as _;
use kiln_wire::server::SOCKET;
use rustix::{
    fs::{CWD, Mode, chmodat},
    net::{AddressFamily, SocketFlags, SocketType},
};
use tokio::net::UnixListener;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 256;

/// Listens there; only our own user may connect. What an earlier server left is replaced: we hold the lock of the data
/// directory. Must be called in the runtime.
///
/// # Errors
/// When the socket cannot be made, with its path.
pub(crate) fn listen(data: &Path) -> anyhow::Result<UnixListener> {
    let path = data.join(SOCKET);
    bind(&path).with_context(|| format!("cannot listen on {} for the runners of builds", path.display()))
}

fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket: OwnedFd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    kiln_runner::server::with_address(path, |address| rustix::net::bind(&socket, address))?;
    // Nobody can connect before it listens.
    chmodat(CWD, path, Mode::RUSR | Mode::WUSR, rustix::fs::AtFlags::empty())?;
    rustix::net::listen(&socket, BACKLOG)?;
    UnixListener::from_std(StdListener::from(socket))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn a_socket_is_private_and_replaces_the_one_before_also_below_a_long_path() {
        let data = tempfile::tempdir().unwrap();
        let deep = data.path().join("d".repeat(100)).join("e".repeat(100));
        fs::create_dir_all(&deep).unwrap();
        for directory in [data.path(), &deep] {
            drop(listen(directory).unwrap());
            let listener = listen(directory).unwrap();
            let path = directory.join(SOCKET);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            let connected = kiln_runner::server::connect(&path).unwrap();
            listener.accept().await.unwrap();
            drop(connected);
        }
    }
}
