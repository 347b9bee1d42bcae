//! Sources of the service's builds: archives, unpacked inside the container.

use std::path::Path;

use kiln_wire::agent::FromAgent;

use crate::{
    archive::{ArchiveError, ArchiveLimits, Piece, SourceArchive, Unpack},
    build::{Build, Failure},
    job::ServiceSource,
    session::Halt,
    upload::MAX_ENTRIES,
};

impl Build<'_> {
    /// Puts every source of a build of the service at its place. Returns the primary archive, in which the buildspec is,
    /// if there is one; the inner error fails the phase.
    pub(crate) fn unpack_sources(&mut self) -> Result<Result<Option<SourceArchive>, Failure>, Halt> {
        let Some(service) = &self.job.service else { return Ok(Ok(None)) };
        let mut primary = None;
        if let ServiceSource::Zip { path } = &service.source {
            let source_dir = self.layout.source_dir().to_owned();
            match self.unpack(path, &source_dir)? {
                Ok(archive) => primary = Some(archive),
                Err(message) => return Ok(Err(Failure::new("CLIENT_ERROR", message))),
            }
        }
        let directories = self.layout.secondary_dirs().to_vec();
        for ((identifier, _), directory) in self.job.source.secondary.iter().zip(directories) {
            let source = service.secondary_sources.iter().find(|(id, _)| id == identifier);
            if let Some((_, ServiceSource::Zip { path })) = source
                && let Err(message) = self.unpack(path, &directory)?
            {
                let message = format!("secondary source {identifier}: {message}");
                return Ok(Err(Failure::new("CLIENT_ERROR", message)));
            }
        }
        Ok(Ok(primary))
    }

    /// Unpacks an archive into a directory of the container. The inner error says what is wrong with the archive, or why
    /// the container could not take it.
    fn unpack(&mut self, path: &Path, directory: &str) -> Result<Result<SourceArchive, String>, Halt> {
        let limits = ArchiveLimits { entries: u64::from(MAX_ENTRIES), bytes: self.job.compute.disk_bytes() };
        let mut archive = match SourceArchive::open(path, limits) {
            Ok(archive) => archive,
            Err(e) => return Ok(Err(e.to_string())),
        };
        let mut sink = self.session.receive_files()?;
        let mut open = false;
        let unpacked = archive.unpack(|piece| match piece {
            Piece::Entry(entry) => {
                open = true;
                sink.entry(&entry.at([directory.as_bytes(), b"/", entry.path].concat()))
            }
            Piece::Content(bytes) => sink.content(bytes),
            Piece::End => {
                open = false;
                sink.end_of_file()
            }
        });
        let problem: Option<ArchiveError> = match unpacked {
            Ok(()) => None,
            Err(Unpack::Archive(e)) => {
                if open {
                    sink.broken_file(&e.to_string())?;
                }
                Some(e)
            }
            Err(Unpack::Taker(halt)) => return Err(halt),
        };
        let answer = sink.finish()?;
        if let Some(e) = problem {
            return Ok(Err(e.to_string()));
        }
        match answer {
            FromAgent::Received { failed: 0, .. } => Ok(Ok(archive)),
            FromAgent::Received { problems, failed, .. } => {
                let first = problems.first().map(String::as_str).unwrap_or_default();
                Ok(Err(format!("{failed} files of the source archive could not be unpacked, the first one {first}")))
            }
            FromAgent::Failed { message, .. } => {
                Ok(Err(format!("the source archive could not be unpacked: {message}")))
            }
            other => Err(Halt::Protocol(format!("{other:?} in answer to Receive"))),
        }
    }
}

/// A path in the source as an archive names it: without `.` and doubled slashes. `None`: it leads out.
pub(crate) fn archive_name(path: &str) -> Option<String> {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => return None,
            part => parts.push(part),
        }
    }
    (!path.starts_with('/') && !parts.is_empty()).then(|| parts.join("/"))
}
