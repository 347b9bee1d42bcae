//! The log of a build, with what its runner wrote a moment ago.

use std::{fs::File, io, sync::Arc};

use kiln_runner::job::JOURNAL_FILE;
use kiln_store::logs::{LogError, LogReader};

use crate::{core::Inner, document::Document, runners::Runners};

impl<R: Runners> Inner<R> {
    /// The log of a build as it is now, by line, time and byte: of a running build every record that its supervisor has
    /// seen, whether or not it is in a segment yet. `None` before there is any. Whoever waits for more follows
    /// [`crate::live::Live::follow`] and asks again.
    pub(crate) fn build_log(&self, document: &Document) -> Result<Option<LogReader>, LogError> {
        let (group, stream) = (document.log_group(), document.log_stream());
        if let Some(live) = self.live.get(document.uuid()) {
            // Opened first: it stays readable although the build ends and its directory goes meanwhile. Where it is gone, or
            // not there yet, the segments have everything that there is.
            let path = self.runners.dir(document.uuid()).join(JOURNAL_FILE);
            match File::open(&path) {
                Ok(journal) => {
                    let end = live.follow().borrow().bytes;
                    return LogReader::open_live(&self.logs.directory(&group, &stream), &journal, end).map(Some);
                }
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(LogError::Io { doing: "open", path, source: Arc::new(e) }),
            }
        }
        match self.logs.reader(&group, &stream) {
            Ok(reader) => Ok(Some(reader)),
            Err(LogError::NotFound { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }
}
