//! Bytes on their way to a client.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt as _,
};

use kiln_model::service::ByteSource;
use kiln_runner::job::JOURNAL_FILE;
use kiln_store::logs::{JournalReader, LogError};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::{core::Core, document::Document, live::Progress, runners::Runners};

/// Bytes of one piece.
const PIECE: usize = 256 << 10;

/// See the module.
#[derive(Debug)]
pub enum Bytes {
    /// A build's journal.
    Journal(Journal),
    /// Something that is read from its beginning to its end.
    Content(Content),
}

impl ByteSource for Bytes {
    async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        match self {
            Self::Journal(journal) => journal.next().await,
            Self::Content(content) => content.next().await,
        }
    }
}

/// Something that is read in the background, at most one piece ahead of the client. A client that does not take its
/// pieces holds no thread.
#[derive(Debug)]
pub struct Content(Pieces);

#[derive(Debug)]
enum Pieces {
    /// The next one is being read, or is there.
    Reading(JoinHandle<Piece>),
    /// Somebody else sends them.
    Sent(mpsc::Receiver<io::Result<Vec<u8>>>),
    Over,
}

/// What was read, and what reads on.
struct Piece(Option<io::Result<Vec<u8>>>, Box<dyn Read + Send>);

impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Piece").finish_non_exhaustive()
    }
}

/// Reads one piece on a thread for blocking work.
fn read_piece(mut source: Box<dyn Read + Send>) -> JoinHandle<Piece> {
    tokio::task::spawn_blocking(move || {
        let mut piece = vec![0; PIECE];
        let mut length = 0;
        while let Some(rest) = piece.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match source.read(rest) {
                Ok(0) => break,
                Ok(n) => length += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Piece(Some(Err(e)), source),
            }
        }
        piece.truncate(length);
        Piece((length > 0).then_some(Ok(piece)), source)
    })
}

impl Content {
    /// Reads `source` from now on.
    pub(crate) fn new(source: impl Read + Send + 'static) -> Self {
        Self(Pieces::Reading(read_piece(Box::new(source))))
    }

    /// Pieces that somebody else sends.
    pub(crate) fn of(pieces: mpsc::Receiver<io::Result<Vec<u8>>>) -> Self {
        Self(Pieces::Sent(pieces))
    }

    async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        match &mut self.0 {
            Pieces::Sent(pieces) => pieces.recv().await,
            Pieces::Over => None,
            Pieces::Reading(reading) => {
                let read = reading.await;
                self.0 = Pieces::Over;
                match read {
                    Ok(Piece(Some(Ok(piece)), source)) => {
                        self.0 = Pieces::Reading(read_piece(source));
                        Some(Ok(piece))
                    }
                    Ok(Piece(ended, _)) => ended,
                    Err(e) => Some(Err(io::Error::other(e))),
                }
            }
        }
    }
}

/// A build's journal from an offset on: its file while it runs, which this holds open and so is there although the build
/// ends meanwhile; the stored log otherwise.
#[derive(Debug)]
pub struct Journal {
    offset: u64,
    follow: bool,
    from: From,
}

#[derive(Debug)]
enum From {
    Running { path: std::path::PathBuf, file: Option<File>, progress: watch::Receiver<Progress> },
    Stored(Box<JournalReader>),
    Failed(Option<io::Error>),
}

impl Journal {
    pub(crate) fn new<R: Runners>(core: &Core<R>, document: &Document, offset: u64, follow: bool) -> Self {
        let stored = || match core.inner.logs.reader(&document.log_group(), &document.log_stream()) {
            Ok(reader) => From::Stored(Box::new(reader.journal_from(offset))),
            Err(LogError::NotFound { .. }) => From::Failed(None),
            Err(e) => From::Failed(Some(io::Error::other(e.to_string()))),
        };
        let from = match core.inner.live.get(document.uuid()) {
            Some(live) => {
                let path = core.inner.runners.dir(document.uuid()).join(JOURNAL_FILE);
                From::Running { file: File::open(&path).ok(), path, progress: live.follow() }
            }
            None => stored(),
        };
        Self { offset, follow, from }
    }

    async fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        match &mut self.from {
            From::Failed(error) => error.take().map(Err),
            From::Stored(reader) => {
                let mut piece = vec![0; PIECE];
                match reader.read(&mut piece) {
                    Ok(0) => None,
                    Ok(n) => {
                        piece.truncate(n);
                        Some(Ok(piece))
                    }
                    Err(e) => Some(Err(e)),
                }
            }
            From::Running { path, file, progress } => loop {
                let now = *progress.borrow_and_update();
                if self.offset < now.bytes {
                    if file.is_none() {
                        *file = Some(match File::open(&*path) {
                            Ok(file) => file,
                            Err(e) => return Some(Err(e)),
                        });
                    }
                    let left = usize::try_from(now.bytes - self.offset).unwrap_or(PIECE).min(PIECE);
                    let mut piece = vec![0; left];
                    let n = match file.as_ref().map_or(Ok(0), |file| file.read_at(&mut piece, self.offset)) {
                        Ok(n) => n,
                        Err(e) => return Some(Err(e)),
                    };
                    if n == 0 {
                        return Some(Err(io::Error::from(io::ErrorKind::UnexpectedEof)));
                    }
                    piece.truncate(n);
                    self.offset += n as u64;
                    return Some(Ok(piece));
                }
                if now.over || !self.follow {
                    return None;
                }
                // The sender goes with the server; a client comes back with its offset then.
                progress.changed().await.ok()?;
            },
        }
    }
}
