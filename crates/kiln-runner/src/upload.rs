//! UPLOAD_ARTIFACTS: artifacts, reports, report auto-discovery (`buildspec.md` sections 5.2, 9 and 11).

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use kiln_buildspec::ArtifactSet;
use kiln_wire::{
    agent::{Entry, FromAgent, Links, List, ToAgent},
    event::{Artifact, Event},
};

use crate::{
    build::{Build, Failure, PhaseResult},
    directory::{DirectoryError, DirectoryWriter},
    entry::OutputLimits,
    job::{ArtifactSettings, PRIMARY_ARTIFACT, Packaging, SECONDARY_ARTIFACTS},
    session::{FileStream, Halt, Transfer},
    zip::{ZIP_EPOCH, ZipError, ZipOptions, ZipTimes, ZipWriter},
};

/// Files that one artifact, report or cache may list.
pub(crate) const MAX_ENTRIES: u32 = 2_000_000;

/// Longest name of an artifact, in bytes: the longest key of an object.
const MAX_NAME: usize = 1024;

/// What a search found.
#[derive(Debug)]
pub(crate) struct Found {
    /// Entries in the order in which they can be sent.
    pub(crate) entries: Vec<Entry>,
    /// Directories that the base matched.
    pub(crate) bases: usize,
    /// For each pattern, how many files it selected.
    pub(crate) matches: Vec<u32>,
}

/// Collects the entries of a listing.
struct Collect {
    entries: Vec<Entry>,
}

impl Transfer for Collect {
    fn entry(&mut self, entry: Entry) -> Result<(), Halt> {
        if self.entries.len() >= MAX_ENTRIES as usize {
            return Err(Halt::Protocol(format!("a listing of more than {MAX_ENTRIES} entries")));
        }
        self.entries.push(entry);
        Ok(())
    }
}

/// What a phase comes to whose artifact is not stored: failed, or at its end where that is the host's fault.
fn not_stored(halt: Halt) -> PhaseResult {
    match halt {
        Halt::Sink(message) => Ok(Some(Failure::new("CLIENT_ERROR", message))),
        halt => Err(halt),
    }
}

impl Build<'_> {
    pub(crate) fn upload(&mut self) -> PhaseResult {
        let artifacts = self.artifacts()?;
        let reports = self.reports()?;
        self.discover_reports()?;
        self.stop_docker()?;
        Ok(artifacts.or(reports))
    }

    fn artifacts(&mut self) -> PhaseResult {
        let Some(artifacts) = self.buildspec.artifacts.clone() else { return Ok(None) };
        // With only secondary artifacts, `files` of the primary may be empty.
        let primary = !artifacts.primary.files.is_empty() || artifacts.secondary.is_empty();
        if primary
            && let Some(settings) = self.settings(None)
            && let Some(failure) = self.artifact(None, &artifacts.primary, settings)?
        {
            return Ok(Some(failure));
        }
        for (identifier, set) in &artifacts.secondary {
            let Some(settings) = self.settings(Some(identifier)) else {
                let text =
                    format!("Skipping secondary artifacts {identifier}: the project has none of this identifier");
                self.session.journal.line(&text)?;
                continue;
            };
            self.session.journal.line(&format!("Preparing to copy secondary artifacts {identifier}"))?;
            if let Some(failure) = self.artifact(Some(identifier), set, settings)? {
                return Ok(Some(failure));
            }
        }
        Ok(None)
    }

    /// How an artifact of the buildspec is packed and named; `None`: the project does not want it. The buildspec names
    /// every artifact of a local run.
    fn settings(&self, identifier: Option<&str>) -> Option<ArtifactSettings> {
        match (&self.job.service, identifier) {
            (None, _) => Some(ArtifactSettings { packaging: self.job.packaging, override_name: true }),
            (Some(service), None) => service.artifact,
            (Some(service), Some(identifier)) => {
                service.secondary_artifacts.iter().find(|(id, _)| id == identifier).map(|(_, settings)| *settings)
            }
        }
    }

    fn artifact(&mut self, identifier: Option<&str>, set: &ArtifactSet, settings: ArtifactSettings) -> PhaseResult {
        let ArtifactSettings { packaging, override_name } = settings;
        let links = if set.enable_symlinks && packaging == Packaging::Zip { Links::KeepInside } else { Links::Follow };
        let search = Search {
            base: set.base_directory.as_deref(),
            patterns: &set.files,
            exclude: &set.exclude_paths,
            discard_paths: set.discard_paths,
            links,
        };
        let found = match self.search(&search)? {
            Ok(found) => found,
            Err(failure) => return Ok(Some(failure)),
        };
        if found.entries.is_empty() {
            return Ok(Some(Failure::new("CLIENT_ERROR", "no matching artifact paths found")));
        }
        let name = match &set.name {
            Some(name) if override_name => {
                self.expand(std::slice::from_ref(name))?.pop().filter(|name| !name.is_empty())
            }
            _ => None,
        };
        let Some(target) = self.artifact_path(identifier, packaging, name.as_deref()) else {
            let name = name.or(identifier.map(str::to_owned)).unwrap_or_default();
            let message = format!("artifact name '{name}' leads out of the artifact directory");
            return Ok(Some(Failure::new("CLIENT_ERROR", message)));
        };
        // Where the name says nothing about the place, the service makes an object's key of it.
        let name = name.filter(|_| self.job.service.is_some());
        if name.as_ref().is_some_and(|name| name.len() > MAX_NAME) {
            let message = format!("the artifact's name has more than {MAX_NAME} bytes");
            return Ok(Some(Failure::new("CLIENT_ERROR", message)));
        }
        if let Some(parent) = target.parent()
            && let Err(e) = fs::create_dir_all(parent)
        {
            return not_stored(Halt::unstored(format!("cannot make {}: {e}", parent.display()), Some(&e)));
        }
        let prefix = match &set.s3_prefix {
            Some(prefix) if self.job.service.is_some() => self.expand(std::slice::from_ref(prefix))?.pop(),
            _ => None,
        };
        if prefix.as_ref().is_some_and(|prefix| prefix.len() > MAX_NAME) {
            let message = format!("the artifact's s3-prefix has more than {MAX_NAME} bytes");
            return Ok(Some(Failure::new("CLIENT_ERROR", message)));
        }
        let place = Place { identifier, name, prefix, target: &target };
        match packaging {
            Packaging::Zip => self.write_zip(place, &found),
            Packaging::None => self.write_directory(place, &found),
        }
    }

    /// Where an artifact goes; `None`: its name leads elsewhere.
    fn artifact_path(&self, identifier: Option<&str>, packaging: Packaging, name: Option<&str>) -> Option<PathBuf> {
        let root = &self.job.artifacts;
        match (&self.job.service, identifier, name) {
            (Some(_), None, _) => target_path(root, PRIMARY_ARTIFACT),
            (Some(_), Some(identifier), _) if identifier.contains('/') => None,
            (Some(_), Some(identifier), _) => target_path(&root.join(SECONDARY_ARTIFACTS), identifier),
            (None, _, Some(name)) => target_path(root, name),
            (None, identifier, None) => {
                let name =
                    identifier.unwrap_or(if packaging == Packaging::Zip { "artifacts.zip" } else { "artifacts" });
                let zip = identifier.is_some() && packaging == Packaging::Zip;
                target_path(root, &if zip { format!("{name}.zip") } else { name.to_owned() })
            }
        }
    }

    fn write_zip(&mut self, place: Place<'_>, found: &Found) -> PhaseResult {
        let times = match self.job.source_date_epoch {
            Some(seconds) => ZipTimes::Fixed(i64::try_from(seconds).unwrap_or(ZIP_EPOCH)),
            None => ZipTimes::Files,
        };
        let options = ZipOptions { times, ..ZipOptions::default() };
        let written = ZipWriter::create(place.target, options).map_err(Halt::from).and_then(|mut zip| {
            let mut problem = None;
            self.receive(found, |entry, stream| match zip.entry(&entry.into(), stream) {
                Ok(()) => Ok(true),
                Err(e @ ZipError::Content { .. }) => {
                    problem = Some(e.to_string());
                    Ok(false)
                }
                Err(e) => Err(e.into()),
            })?;
            Ok((zip, problem))
        });
        let (zip, problem) = match written {
            Ok(written) => written,
            Err(halt) => return not_stored(halt),
        };
        if let Some(message) = problem {
            return Ok(Some(Failure::new("CLIENT_ERROR", message)));
        }
        match zip.finish() {
            Ok(summary) => {
                for note in &summary.notes {
                    self.session.journal.line(note)?;
                }
                self.session.journal.event(&Event::Artifact(Artifact {
                    identifier: place.identifier.map(str::to_owned),
                    name: place.name,
                    prefix: place.prefix,
                    path: place.target.display().to_string(),
                    packaging: "ZIP".to_owned(),
                    files: summary.entries,
                    bytes: summary.size,
                    sha256: Some(hex::encode(summary.sha256)),
                    md5: Some(hex::encode(summary.md5)),
                }))?;
                Ok(None)
            }
            Err(e) => not_stored(e.into()),
        }
    }

    fn write_directory(&mut self, place: Place<'_>, found: &Found) -> PhaseResult {
        let mut writer = match DirectoryWriter::create(place.target, OutputLimits::default()) {
            Ok(writer) => writer,
            Err(e) => return not_stored(e.into()),
        };
        let mut problem = None;
        let received = self.receive(found, |entry, stream| match writer.entry(&entry.into(), stream) {
            Ok(()) => Ok(true),
            Err(e @ DirectoryError::Content { .. }) => {
                problem = Some(e.to_string());
                Ok(false)
            }
            Err(e) => Err(e.into()),
        });
        if let Err(halt) = received {
            return not_stored(halt);
        }
        if let Some(message) = problem {
            return Ok(Some(Failure::new("CLIENT_ERROR", message)));
        }
        match writer.finish() {
            Ok(summary) => {
                for note in &summary.notes {
                    self.session.journal.line(note)?;
                }
                self.session.journal.event(&Event::Artifact(Artifact {
                    identifier: place.identifier.map(str::to_owned),
                    name: place.name,
                    prefix: place.prefix,
                    path: place.target.display().to_string(),
                    packaging: "NONE".to_owned(),
                    files: summary.entries,
                    bytes: summary.bytes,
                    sha256: None,
                    md5: None,
                }))?;
                Ok(None)
            }
            Err(e) => not_stored(e.into()),
        }
    }

    /// Has every entry of a search sent, one after the other, to `each`: true to go on, false to skip the rest of the
    /// files, an error to fail.
    pub(crate) fn receive(
        &mut self,
        found: &Found,
        mut each: impl FnMut(&Entry, &mut FileStream<'_>) -> Result<bool, Halt>,
    ) -> Result<(), Halt> {
        let count = u32::try_from(found.entries.len()).unwrap_or(u32::MAX);
        let mut stream = self.session.send_files(vec![(0, count)])?;
        let mut listed = found.entries.iter();
        let (mut wanted, mut problem) = (true, None);
        while let Some(entry) = stream.next_file()? {
            // The names were listed, logged and counted; what is sent may not differ from it.
            if listed.next().is_none_or(|l| l.path != entry.path) {
                return Err(Halt::Protocol("a file was sent that was not listed".to_owned()));
            }
            if wanted && problem.is_none() {
                match each(&entry, &mut stream) {
                    Ok(go_on) => wanted = go_on,
                    Err(halt) => problem = Some(halt),
                }
                if let Some(halt) = stream.take_halt() {
                    return Err(halt);
                }
            }
        }
        if listed.next().is_some() && wanted && problem.is_none() {
            return Err(Halt::Protocol("files of the list were not sent".to_owned()));
        }
        problem.map_or(Ok(()), Err)
    }

    /// Expands texts in the state that the last command left.
    pub(crate) fn expand(&mut self, texts: &[String]) -> Result<Vec<String>, Halt> {
        if texts.iter().all(|t| !t.contains(['$', '`', '\\'])) {
            return Ok(texts.to_vec());
        }
        let shell = self.buildspec.env.shell.clone().unwrap_or_else(|| "sh".to_owned());
        let run_as = self.buildspec.run_as.clone();
        let request = texts.to_vec();
        match self.session.request(|id| ToAgent::Expand { id, texts: request, shell, run_as })? {
            FromAgent::Expanded { texts: expanded, .. } if expanded.len() == texts.len() => {
                Ok(expanded.into_iter().map(|t| String::from_utf8_lossy(&t.0).into_owned()).collect())
            }
            FromAgent::Failed { message, .. } => Err(Halt::Sink(message)),
            other => Err(Halt::Protocol(format!("{other:?} in answer to Expand"))),
        }
    }

    /// Searches files and logs the search as the service does (`buildspec.md` 5.2). The inner error fails the phase.
    pub(crate) fn search(&mut self, search: &Search<'_>) -> Result<Result<Found, Failure>, Halt> {
        let base = search.base.unwrap_or(".");
        let mut texts = vec![base.to_owned()];
        texts.extend(search.patterns.iter().cloned());
        texts.extend(search.exclude.iter().cloned());
        let mut expanded = match self.expand(&texts) {
            Ok(expanded) => expanded.into_iter(),
            Err(Halt::Sink(message)) => return Ok(Err(Failure::new("CLIENT_ERROR", message))),
            Err(halt) => return Err(halt),
        };
        let base = expanded.next().filter(|b| !b.is_empty()).unwrap_or_else(|| ".".to_owned());
        let patterns: Vec<String> = expanded.by_ref().take(search.patterns.len()).collect();
        let exclude: Vec<String> = expanded.collect();

        for line in
            [&format!("Expanding base directory path: {base}"), "Assembling file list", &format!("Expanding {base}")]
        {
            self.session.journal.line(line)?;
        }
        let list = List {
            id: 0,
            root: self.layout.source_dir().into(),
            base: base.clone(),
            patterns: patterns.clone(),
            exclude,
            discard_paths: search.discard_paths,
            links: search.links,
            directories: false,
            max_entries: MAX_ENTRIES,
            budget_ms: None,
        };
        let found = match self.list(list)? {
            Ok(found) => found,
            Err(message) => return Ok(Err(Failure::new("CLIENT_ERROR", message))),
        };
        if found.bases == 0 {
            let message = format!("no matching base directory path found for {base}");
            return Ok(Err(Failure::new("CLIENT_ERROR", message)));
        }
        self.session.journal.line(&format!("Expanding file paths for base directory {base}"))?;
        self.session.journal.line("Assembling file list")?;
        for (pattern, matches) in patterns.iter().zip(&found.matches) {
            self.session.journal.line(&format!("Expanding {pattern}"))?;
            if *matches == 0 {
                self.session.journal.line(&format!("Skipping invalid file path {pattern}"))?;
            }
        }
        if !found.entries.is_empty() {
            self.session.journal.line(&format!("Found {} file(s)", found.entries.len()))?;
        }
        Ok(Ok(found))
    }

    /// Has the agent find files. The inner error is a message for the log.
    pub(crate) fn list(&mut self, list: List) -> Result<Result<Found, String>, Halt> {
        let patterns = list.patterns.len();
        let mut collect = Collect { entries: Vec::new() };
        match self.session.request_with(|id| ToAgent::List(List { id, ..list }), &mut collect)? {
            FromAgent::Listed { entries, bases, matches, skipped, .. } => {
                if entries as usize != collect.entries.len() || matches.len() != patterns {
                    return Err(Halt::Protocol("a listing that does not add up".to_owned()));
                }
                for text in skipped.iter().take(20) {
                    self.session.journal.line(text)?;
                }
                Ok(Ok(Found { entries: collect.entries, bases: bases.len(), matches }))
            }
            FromAgent::Failed { message, .. } => Ok(Err(message)),
            other => Err(Halt::Protocol(format!("{other:?} in answer to List"))),
        }
    }
}

/// Where an artifact goes.
#[derive(Debug)]
struct Place<'a> {
    identifier: Option<&'a str>,
    /// For the artifact's event.
    name: Option<String>,
    prefix: Option<String>,
    target: &'a Path,
}

/// What [`Build::search`] looks for.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    pub(crate) base: Option<&'a str>,
    pub(crate) patterns: &'a [String],
    pub(crate) exclude: &'a [String],
    pub(crate) discard_paths: bool,
    pub(crate) links: Links,
}

/// Where an artifact of that name goes: below `root`, whatever the build made of the name.
fn target_path(root: &Path, name: &str) -> Option<PathBuf> {
    let mut target = root.to_owned();
    let mut parts = 0;
    for component in Path::new(name).components() {
        match component {
            Component::Normal(part) => {
                target.push(part);
                parts += 1;
            }
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (parts > 0 && !name.contains('\0')).then_some(target)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_full_or_failing_disk_of_the_host_is_no_failure_of_the_build() {
        let target = || PathBuf::from("/out/a.zip");
        let zip =
            |code| not_stored(ZipError::Write { target: target(), source: io::Error::from_raw_os_error(code) }.into());
        let tree = |code| {
            not_stored(DirectoryError::Write { target: target(), source: io::Error::from_raw_os_error(code) }.into())
        };
        // ENOSPC, EDQUOT, EROFS, EIO
        for code in [28, 122, 30, 5] {
            for result in [zip(code), tree(code)] {
                let Err(Halt::Host(message)) = result else { panic!("{code}: {result:?}") };
                assert!(message.contains("/out/a.zip") && message.contains("os error"), "{message}");
            }
        }
        // ENAMETOOLONG, EACCES: of the names and places that the user chose.
        for code in [36, 13] {
            for result in [zip(code), tree(code)] {
                let failure = result.unwrap().unwrap();
                assert_eq!(failure.context.status_code, "CLIENT_ERROR");
            }
        }
        let limit = not_stored(ZipError::Limit { limit: 1, what: "entries" }.into()).unwrap();
        assert!(limit.unwrap().context.message.contains("larger than allowed"));
    }

    #[test]
    fn artifact_names_stay_below_their_directory() {
        let root = Path::new("/out");
        assert_eq!(target_path(root, "builds/7/app.zip").unwrap(), Path::new("/out/builds/7/app.zip"));
        assert_eq!(target_path(root, "./app").unwrap(), Path::new("/out/app"));
        for bad in ["", "/", ".", "../x", "/etc/passwd", "a/../../b", "a\0b"] {
            assert!(target_path(root, bad).is_none(), "{bad}");
        }
    }
}
