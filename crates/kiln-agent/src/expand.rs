//! Evaluating texts as the shell would inside double quotes.
//!
//! A text becomes the body of a here-document: `$NAME`, `$(…)` and backslashes work as between double quotes, quotes
//! stand for themselves, and no file name is matched. Each text is a shell of its own, so that an error in one is told
//! with its text; a text with nothing to evaluate needs none.

use std::{
    collections::VecDeque,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    time::{Duration, Instant},
};

use kiln_wire::{
    PathBytes,
    agent::{AGENT_PATH, STATE_DIR},
};
use rustix::{
    io::Errno,
    pipe::PipeFlags,
    process::{Pid, Signal},
};

use crate::{
    command::prologue,
    setup::Build,
    state::{Place, write_new},
    sys::{self, Credentials, Reaped, Spawn, WaitStatus},
};

/// Longest result of one text.
const MAX_RESULT: usize = 64 << 10;
/// What is kept of the messages of a shell.
const MAX_MESSAGES: usize = 8 << 10;
/// Time for all texts of a request.
const BUDGET: Duration = Duration::from_secs(60);

/// The argument by which the agent's binary copies its input to its output (an image may have no `cat`).
pub(crate) const COPY: &str = "copy";

/// An `Expand` at work.
#[derive(Debug)]
pub(crate) struct Expansion {
    /// Request id.
    pub(crate) id: u32,
    shell: PathBuf,
    credentials: Option<Credentials>,
    waiting: VecDeque<String>,
    done: Vec<PathBytes>,
    current: Option<Evaluation>,
    /// When it is given up.
    pub(crate) deadline: Instant,
    /// What the shells printed as messages, beside results.
    pub(crate) messages: Vec<u8>,
}

#[derive(Debug)]
struct Evaluation {
    text: String,
    shell: Pid,
    output: OwnedFd,
    messages: OwnedFd,
    result: Vec<u8>,
    said: Vec<u8>,
    ended: Option<WaitStatus>,
}

impl Expansion {
    /// Begins.
    pub(crate) fn new(
        id: u32,
        texts: Vec<String>,
        shell: PathBuf,
        credentials: Option<Credentials>,
        now: Instant,
    ) -> Self {
        Self {
            id,
            shell,
            credentials,
            waiting: texts.into(),
            done: Vec::new(),
            current: None,
            deadline: now + BUDGET,
            messages: Vec::new(),
        }
    }

    /// The next text waits for [`Expansion::step`] alone.
    pub(crate) fn can_go_on(&self) -> bool {
        self.current.is_none()
    }

    /// What to wait for.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = &OwnedFd> {
        self.current.iter().flat_map(|evaluation| [&evaluation.output, &evaluation.messages])
    }

    /// Takes note of an ended process.
    pub(crate) fn reaped(&mut self, reaped: Reaped) {
        if let Some(evaluation) = self.current.as_mut().filter(|evaluation| evaluation.shell == reaped.pid) {
            evaluation.ended = Some(reaped.status);
        }
    }

    /// Goes on; the results when all are there.
    ///
    /// # Errors
    /// A text for the log.
    pub(crate) fn step(&mut self, build: &Build, now: Instant) -> Result<Option<Vec<PathBytes>>, String> {
        loop {
            let Some(mut evaluation) = self.current.take() else {
                let Some(text) = self.waiting.pop_front() else { return Ok(Some(std::mem::take(&mut self.done))) };
                if text.contains(['$', '`', '\\']) {
                    self.current = Some(self.start(text, build)?);
                } else {
                    self.done.push(PathBytes(text.into_bytes()));
                }
                continue;
            };
            // The end is seen before the pipes are read, so that nothing the shell wrote is missed.
            let ended = evaluation.ended;
            drain(&evaluation.output, &mut evaluation.result, MAX_RESULT);
            drain(&evaluation.messages, &mut evaluation.said, MAX_MESSAGES);
            let shown = evaluation.shown();
            if evaluation.result.len() > MAX_RESULT {
                evaluation.kill();
                return Err(format!("'{shown}' cannot be evaluated: it prints more than {} KiB", MAX_RESULT >> 10));
            }
            match ended {
                Some(WaitStatus::Exited(0)) => {
                    if evaluation.result.last() == Some(&b'\n') {
                        evaluation.result.pop(); // the here-document's own
                    }
                    self.done.push(PathBytes(evaluation.result));
                    self.messages.extend_from_slice(&evaluation.said);
                }
                Some(status) => {
                    let said = String::from_utf8_lossy(&evaluation.said).trim().to_owned();
                    let why = match status {
                        _ if !said.is_empty() => said,
                        WaitStatus::Exited(code) => format!("the shell ended with status {code}"),
                        WaitStatus::Signaled(signal) => format!("the shell was ended by signal {signal}"),
                    };
                    return Err(format!("'{shown}' cannot be evaluated: {why}"));
                }
                None if now >= self.deadline => {
                    evaluation.kill();
                    return Err(format!("'{shown}' cannot be evaluated: it takes more than {} s", BUDGET.as_secs()));
                }
                None => {
                    self.current = Some(evaluation);
                    return Ok(None);
                }
            }
        }
    }

    fn start(&self, text: String, build: &Build) -> Result<Evaluation, String> {
        let failed = |error: &dyn std::fmt::Display| format!("'{text}' cannot be evaluated: {error}");
        let owner = self.credentials.as_ref();
        build.state.write(&Place::current(), owner).map_err(|error| failed(&error))?;
        let path = PathBuf::from(STATE_DIR).join("expand.sh");
        let mut script = prologue(build.state.directory());
        script.extend_from_slice(document(&text).as_bytes());
        write_new(&path, &script, 0o644, None).map_err(|error| failed(&error))?;
        let pipe = || -> Result<(OwnedFd, OwnedFd), Errno> {
            let (reader, writer) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
            rustix::io::ioctl_fionbio(&reader, true)?;
            Ok((reader, writer))
        };
        let (output, stdout) = pipe().map_err(|error| failed(&error))?;
        let (messages, stderr) = pipe().map_err(|error| failed(&error))?;
        let environment = build.state.process_environment();
        let shell = sys::spawn(Spawn {
            program: &self.shell,
            arguments: &[&path],
            environment: &environment,
            directories: vec![build.state.directory().to_path_buf(), build.source_dir.clone()],
            terminal: None,
            stdout,
            stderr,
            credentials: owner,
        })
        .map_err(|error| failed(&error))?;
        Ok(Evaluation { text, shell, output, messages, result: Vec::new(), said: Vec::new(), ended: None })
    }
}

impl Evaluation {
    /// The text, short enough for a message.
    fn shown(&self) -> String {
        let cut: String = self.text.chars().take(200).collect();
        if cut.len() < self.text.len() { cut + "…" } else { cut }
    }

    fn kill(&self) {
        // It leads a session and so a group; what has left that is ended with the container.
        rustix::process::kill_process_group(self.shell, Signal::KILL).unwrap_or_default();
    }
}

/// The command that prints a text, evaluated.
fn document(text: &str) -> String {
    let end = (0..).map(|n| format!("KILN_END_{n}")).find(|end| !text.contains(end.as_str())).unwrap_or_default();
    // A backslash at the very end would join the line that ends the document.
    let odd = text.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1;
    format!("{AGENT_PATH} {COPY} <<{end}\n{text}{}\n{end}\n", if odd { "\\" } else { "" })
}

/// Reads what is there. One byte more than the limit is kept at most; the rest is read too, or the writer would wait
/// for ever.
fn drain(pipe: &OwnedFd, into: &mut Vec<u8>, limit: usize) {
    let mut buffer = [0; 4096];
    for _ in 0..256 {
        let Ok(read @ 1..) = rustix::io::read(pipe.as_fd(), &mut buffer) else { break };
        let room = (limit + 1).saturating_sub(into.len());
        into.extend_from_slice(buffer.get(..read.min(room)).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_ends_where_it_should() {
        assert_eq!(document("a"), format!("{AGENT_PATH} copy <<KILN_END_0\na\nKILN_END_0\n"));
        assert!(document("a\nKILN_END_0\nb").ends_with("\nKILN_END_1\n"));
        assert!(document("a\\").contains("\na\\\\\n"));
        assert!(document("a\\\\").contains("\na\\\\\n"));
    }
}
