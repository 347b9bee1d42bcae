//! Files on their way out of the container and into it, while everything else is watched.

use std::io;

use kiln_wire::{
    agent::{self, Entry, FileEnd, FromAgent, ToAgent, kind},
    frame::{self, Frame},
};

use super::{Halt, NoTransfer, Session};

impl Session {
    /// Asks for files of the last listing; they arrive on the returned stream.
    ///
    /// # Errors
    /// [`Halt`].
    pub(crate) fn send_files(&mut self, ranges: Vec<(u32, u32)>) -> Result<FileStream<'_>, Halt> {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1).max(1);
        self.send(&ToAgent::Send { id, ranges })?;
        Ok(FileStream {
            session: self,
            id,
            answered: false,
            ended: false,
            chunk: Vec::new(),
            at: 0,
            state: State::Between,
        })
    }

    /// Begins to put files into the container.
    ///
    /// # Errors
    /// [`Halt`].
    pub(crate) fn receive_files(&mut self) -> Result<FileSink<'_>, Halt> {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1).max(1);
        self.send(&ToAgent::Receive { id })?;
        Ok(FileSink { session: self, id, out: Vec::new(), answer: None })
    }
}

/// Files that arrive from the container, one after the other. Call [`Self::next_file`], read the content with
/// [`io::Read`], repeat; a content that is not read to its end is skipped.
#[derive(Debug)]
pub(crate) struct FileStream<'s> {
    session: &'s mut Session,
    id: u32,
    answered: bool,
    ended: bool,
    chunk: Vec<u8>,
    at: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    Between,
    InFile,
    Broken(Option<Halt>),
}

impl FileStream<'_> {
    /// The next file, link or directory; `None` when all have arrived.
    ///
    /// # Errors
    /// [`Halt`].
    pub(crate) fn next_file(&mut self) -> Result<Option<Entry>, Halt> {
        // The rest of a file that nobody wanted; its end may be an error of the file, which does not matter then.
        let mut skipped = [0u8; 8192];
        while matches!(self.state, State::InFile) {
            if matches!(io::Read::read(self, &mut skipped), Ok(0) | Err(_)) {
                break;
            }
        }
        if let State::Broken(halt) = &mut self.state {
            return Err(halt.take().unwrap_or(Halt::Protocol("the file stream broke off".to_owned())));
        }
        if self.ended {
            return Ok(None);
        }
        match self.session.next_data(self.id, &mut self.answered, &mut self.chunk)? {
            kind::ENTRY => {
                let entry = agent::decode(&Frame { kind: kind::ENTRY, payload: &self.chunk })
                    .map_err(|e| Halt::Protocol(e.to_string()))?;
                self.chunk.clear();
                self.at = 0;
                self.state = State::InFile;
                Ok(Some(entry))
            }
            kind::TRANSFER_END => {
                self.ended = true;
                if !self.answered {
                    match self.session.wait_for(Some(self.id), &mut NoTransfer)? {
                        FromAgent::Done { .. } => self.answered = true,
                        other => return Err(Halt::Protocol(format!("{other:?} after the end of a transfer"))),
                    }
                }
                Ok(None)
            }
            other => Err(Halt::Protocol(format!("data frame of kind {other} between files"))),
        }
    }

    /// What ended the build while a content was read, when that is why reading failed.
    pub(crate) fn take_halt(&mut self) -> Option<Halt> {
        match &mut self.state {
            State::Broken(halt) => halt.take(),
            _ => None,
        }
    }
}

impl io::Read for FileStream<'_> {
    /// Reads the content of the current file. An error of that file alone (it vanished, it is not readable) is an
    /// error too; the stream goes on with the next file.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if !matches!(self.state, State::InFile) || out.is_empty() {
            return Ok(0);
        }
        while self.at == self.chunk.len() {
            self.at = 0;
            match self.session.next_data(self.id, &mut self.answered, &mut self.chunk) {
                Ok(kind::CONTENT) => {}
                Ok(kind::FILE_END) => {
                    let end: Result<FileEnd, _> = agent::decode(&Frame { kind: kind::FILE_END, payload: &self.chunk });
                    self.chunk.clear();
                    self.state = State::Between;
                    return match end {
                        Ok(FileEnd { error: None }) => Ok(0),
                        Ok(FileEnd { error: Some(message) }) => Err(io::Error::other(message)),
                        Err(e) => {
                            self.state = State::Broken(Some(Halt::Protocol(e.to_string())));
                            Err(io::Error::other("the agent broke the protocol"))
                        }
                    };
                }
                Ok(other) => {
                    self.state = State::Broken(Some(Halt::Protocol(format!("data frame of kind {other} in a file"))));
                    return Err(io::Error::other("the agent broke the protocol"));
                }
                Err(halt) => {
                    let message = halt.to_string();
                    self.state = State::Broken(Some(halt));
                    return Err(io::Error::other(message));
                }
            }
        }
        let n = out.len().min(self.chunk.len() - self.at);
        out[..n].copy_from_slice(&self.chunk[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

/// Files on their way into the container: [`Self::entry`], contents, [`Self::end_of_file`], repeat, [`Self::finish`].
#[derive(Debug)]
pub(crate) struct FileSink<'s> {
    session: &'s mut Session,
    id: u32,
    out: Vec<u8>,
    answer: Option<FromAgent>,
}

impl FileSink<'_> {
    /// What is buffered before the socket is asked to take it.
    const BUFFER: usize = 512 * 1024;

    /// The next file, link or directory, with its absolute path.
    ///
    /// # Errors
    /// [`Halt`].
    pub(crate) fn entry(&mut self, entry: &Entry) -> Result<(), Halt> {
        agent::encode(kind::ENTRY, entry, &mut self.out).map_err(|e| Halt::Sink(e.to_string()))?;
        self.drain(Self::BUFFER)
    }

    /// The next bytes of the file.
    ///
    /// # Errors
    /// [`Halt`].
    pub(crate) fn content(&mut self, bytes: &[u8]) -> Result<(), Halt> {
        for piece in bytes.chunks(1 << 20) {
            frame::encode(kind::CONTENT, piece, &mut self.out);
            self.drain(Self::BUFFER)?;
        }
        Ok(())
    }

    /// The file is complete.
    ///
    /// # Errors
    /// [`Halt`].
    pub(crate) fn end_of_file(&mut self) -> Result<(), Halt> {
        agent::encode(kind::FILE_END, &FileEnd { error: None }, &mut self.out)
            .map_err(|e| Halt::Sink(e.to_string()))?;
        self.drain(Self::BUFFER)
    }

    /// The file will not become complete; the agent throws away what it has of it.
    ///
    /// # Errors
    /// [`Halt`].
    pub(crate) fn broken_file(&mut self, why: &str) -> Result<(), Halt> {
        agent::encode(kind::FILE_END, &FileEnd { error: Some(why.to_owned()) }, &mut self.out)
            .map_err(|e| Halt::Sink(e.to_string()))?;
        self.drain(Self::BUFFER)
    }

    /// That was the last one; returns the agent's answer.
    ///
    /// # Errors
    /// [`Halt`].
    pub(crate) fn finish(mut self) -> Result<FromAgent, Halt> {
        frame::encode(kind::TRANSFER_END, &[], &mut self.out);
        self.drain(0)?;
        match self.answer.take() {
            Some(answer) => Ok(answer),
            None => self.session.wait_for(Some(self.id), &mut NoTransfer),
        }
    }

    /// Sends until at most `left` bytes are buffered. Once the agent has answered it reads no more.
    fn drain(&mut self, left: usize) -> Result<(), Halt> {
        let mut sent = 0;
        while self.out.len() - sent > left && self.answer.is_none() {
            if let Some((halt, _)) = self.session.ending.take() {
                return Err(halt);
            }
            self.answer = self.session.take_frames(Some(self.id), &mut NoTransfer)?;
            if self.answer.is_none() {
                sent += self.session.poll_once(self.out.get(sent..).unwrap_or_default())?;
            }
        }
        if self.answer.is_some() {
            self.out.clear();
        } else {
            self.out.drain(..sent);
        }
        Ok(())
    }
}
