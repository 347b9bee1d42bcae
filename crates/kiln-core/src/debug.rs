//! A shell in the kept file system of a failed build, for a client of the server (`kiln debug BUILD`). What the two say to
//! each other: [`kiln_wire::shell`].

use std::{io, sync::Arc};

use kiln_model::{
    ApiError,
    service::{ByteSink, DebugConnection},
};
use kiln_wire::{
    frame::FrameBuffer,
    shell::{FromShell, ToShell},
};
use tokio::sync::mpsc;

use crate::{
    bytes::{Bytes, Content},
    core::Inner,
    keep,
    runners::{Runners, Shell},
};

/// Bytes of the terminal that are sent at once.
const PIECE: usize = 16 << 10;

/// What a client says to a shell. Dropping it ends the shell: nobody is there any more.
pub struct ShellInput {
    shell: Arc<dyn Shell>,
    frames: FrameBuffer,
}

impl std::fmt::Debug for ShellInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShellInput").finish_non_exhaustive()
    }
}

impl ByteSink for ShellInput {
    async fn send(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.frames.push(&bytes);
        loop {
            let said = match self.frames.next_frame().map_err(io::Error::other)? {
                None => return Ok(()),
                Some(frame) => match ToShell::decode(&frame) {
                    Some(ToShell::Window { rows, columns }) => {
                        self.shell.resize(rows, columns);
                        continue;
                    }
                    Some(ToShell::Input(bytes)) => Some(bytes.to_vec()),
                    Some(ToShell::End) => None,
                    None => return Err(io::Error::other("the client does not speak the protocol of kiln debug")),
                },
            };
            // A terminal that takes no input makes its writer wait.
            let shell = Arc::clone(&self.shell);
            let write = move || match said {
                Some(bytes) => shell.write(&bytes),
                None => shell.end_input(),
            };
            tokio::task::spawn_blocking(write).await.map_err(io::Error::other)??;
        }
    }
}

impl Drop for ShellInput {
    fn drop(&mut self) {
        self.shell.kill();
    }
}

/// Opens a shell.
pub(crate) fn open<R: Runners>(
    inner: &Arc<Inner<R>>,
    uuid: &str,
) -> Result<DebugConnection<Bytes, ShellInput>, ApiError> {
    let shell = inner.runners.shell(uuid).map_err(|e| ApiError::invalid_input(e.message))?;
    let (sender, pieces) = mpsc::channel(1);
    let input = ShellInput { shell: Arc::clone(&shell), frames: FrameBuffer::new() };
    let (with, uuid) = (Arc::clone(inner), uuid.to_owned());
    inner.spawn("kiln-shell", move || {
        relay(&with, shell.as_ref(), &sender);
        // Whoever was inside may have filled or emptied it.
        keep::measure(&with, &uuid);
    });
    Ok(DebugConnection { output: Bytes::Content(Content::of(pieces)), input })
}

/// Passes the terminal's output on, and at last how the shell ended.
fn relay<R: Runners>(inner: &Inner<R>, shell: &dyn Shell, to: &mpsc::Sender<io::Result<Vec<u8>>>) {
    let mut buffer = vec![0; PIECE];
    let frame = |word: FromShell<'_>| {
        let mut out = Vec::new();
        word.encode(&mut out);
        out
    };
    while !inner.is_stopping() {
        let n = match shell.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(n) => n,
        };
        if to.blocking_send(Ok(frame(FromShell::Output(buffer.get(..n).unwrap_or_default())))).is_err() {
            break;
        }
    }
    if inner.is_stopping() || to.is_closed() {
        shell.kill();
    }
    let last = match shell.wait() {
        Ok(status) => frame(FromShell::Exit(status)),
        Err(why) => frame(FromShell::Failed(&why)),
    };
    to.blocking_send(Ok(last)).ok(); // the client may be gone
}
