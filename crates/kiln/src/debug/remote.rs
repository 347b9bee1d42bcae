//! `kiln debug PROJECT:UUID`: the same shell, on the service. Frames ([`kiln_wire::shell`]) over an upgraded connection.

use std::{io::Read as _, process::ExitCode};

use anyhow::Context as _;
use kiln_model::kiln::DebugBuildInput;
use kiln_wire::{
    frame::FrameBuffer,
    shell::{FromShell, ToShell},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    stdio::{stdin, stdout},
    termios::tcgetwinsize,
};

use super::RawMode;
use crate::{
    app::App,
    client::{Client, Operation},
    exit, signals,
    terminal::output::write_all,
};

/// Input that is read at a time: less than a frame holds.
const PIECE: usize = 16 * 1024;

/// Opens a shell in the kept file system of a build; the exit status is the shell's.
pub(super) fn run(id: &str, app: &App) -> anyhow::Result<ExitCode> {
    let client = Client::new(app)?;
    let window = signals::window_change().context("cannot watch for signals")?;
    let terminate = signals::terminate().context("cannot watch for signals")?;
    let mut line = client.upgrade(Operation::Kiln("DebugBuild"), &DebugBuildInput { id: id.to_owned() })?;
    eprintln!(
        "kiln: a shell in the file system of build {id}, with its variables and directory.\nkiln: what you change stays. \
         `exit` leaves."
    );
    let raw = RawMode::enter();
    send_size(&mut line)?;
    let mut frames = FrameBuffer::new();
    let mut buffer = vec![0; PIECE];
    let mut input_open = true;
    loop {
        let (from_service, from_us);
        {
            let input = stdin();
            let mut fds = vec![
                PollFd::new(&line, PollFlags::IN),
                PollFd::new(window.fd(), PollFlags::IN),
                PollFd::new(terminate.fd(), PollFlags::IN),
            ];
            if input_open {
                fds.push(PollFd::new(&input, PollFlags::IN));
            }
            match poll(&mut fds, None::<&Timespec>) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(e) => return Err(e).context("cannot wait for the shell"),
            }
            let ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
            (from_service, from_us) = (ready(0), ready(3));
        }
        if terminate.take() > 0 {
            // The service ends a shell whose client is gone.
            drop(raw);
            return Ok(ExitCode::from(exit::STOPPED));
        }
        if window.take() > 0 {
            send_size(&mut line)?;
        }
        if from_us {
            match rustix::io::read(stdin(), &mut buffer) {
                Ok(0) => {
                    input_open = false;
                    send(&mut line, ToShell::End)?;
                }
                Ok(n) => send(&mut line, ToShell::Input(buffer.get(..n).unwrap_or_default()))?,
                Err(Errno::INTR) => {}
                Err(_) => input_open = false,
            }
        }
        if !from_service {
            continue;
        }
        let n = line.read(&mut buffer).context("the connection to the service broke off")?;
        if n == 0 {
            drop(raw);
            anyhow::bail!("the service ended the connection; the shell is gone, its file system is kept");
        }
        frames.push(buffer.get(..n).unwrap_or_default());
        while let Some(frame) = frames.next_frame().context("the service sends something else than a shell")? {
            match FromShell::decode(&frame) {
                Some(FromShell::Output(bytes)) => {
                    if write_all(stdout(), bytes).is_err() {
                        return Ok(ExitCode::from(exit::STOPPED));
                    }
                }
                Some(FromShell::Exit(status)) => return Ok(ExitCode::from(status)),
                Some(FromShell::Failed(why)) => {
                    drop(raw);
                    anyhow::bail!("the shell could not be started, or ended with its container: {why}");
                }
                None => anyhow::bail!("the service sends something else than a shell"),
            }
        }
    }
}

fn send(line: &mut impl std::io::Write, word: ToShell<'_>) -> anyhow::Result<()> {
    let mut frame = Vec::new();
    word.encode(&mut frame);
    line.write_all(&frame).context("the connection to the service broke off")
}

/// Tells the size of our terminal, if it is one.
fn send_size(line: &mut impl std::io::Write) -> anyhow::Result<()> {
    match tcgetwinsize(stdin()) {
        Ok(size) => send(line, ToShell::Window { rows: size.ws_row, columns: size.ws_col }),
        Err(_) => Ok(()),
    }
}
