//! The build's part in its cache: restored in DOWNLOAD_SOURCE, saved at the end of POST_BUILD (`buildspec.md` section 10).
//!
//! Nothing that goes wrong here fails a build: it is a line in the log.

use std::{io::Read as _, num::NonZeroUsize, thread};

use kiln_buildspec::CacheAction as Action;
use kiln_model::build_cache::{BuildCache, BuildCacheAnswer};
use kiln_wire::{
    agent::{self, FromAgent, Links, List},
    event::{CacheAction, Event},
};

use crate::{
    build::Build,
    cache::{Base, CacheStore, DEFAULT_BUDGET, Hit, Identity, Listing, Lookup, Outcome, Plan, SaveRequest},
    entry::{Entry, EntryKind, OutputLimits},
    session::Halt,
    upload::MAX_ENTRIES,
};

/// Contents travel in pieces of this size.
const PIECE: usize = 256 * 1024;
/// `fallback-keys` beyond this many are ignored (`buildspec.md` 1.4).
const MAX_FALLBACK_KEYS: usize = 5;

/// What is remembered between restore and save.
#[derive(Debug, Default)]
pub(crate) struct CacheStep {
    /// `None`: no cache in this build.
    state: Option<State>,
}

#[derive(Debug)]
struct State {
    store: CacheStore,
    identity: Identity,
    /// The paths after expansion: what is listed when the cache is saved.
    paths: Vec<String>,
    key: Option<String>,
    action: Action,
    restored: Option<(Hit, i64)>,
}

fn threads() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

impl Build<'_> {
    pub(crate) fn restore_cache(&mut self) -> Result<(), Halt> {
        let Some(cache) = self.buildspec.cache.clone().filter(|c| !c.paths.is_empty()) else {
            self.session.journal.line("Cache is not defined in the buildspec")?;
            self.session.journal.line("Skip cache due to: no paths specified to be cached")?;
            return Ok(());
        };
        let Some(dir) = &self.job.cache else {
            self.session.journal.line("Skip cache due to: no cache is configured for this build")?;
            return Ok(());
        };
        let store = match CacheStore::open(dir) {
            Ok(store) => store,
            Err(e) => return self.cache_problem("Unable to initialize cache download", &e.to_string()),
        };
        let mut texts = cache.paths.clone();
        texts.extend(cache.key.iter().cloned());
        texts.extend(cache.fallback_keys.iter().take(MAX_FALLBACK_KEYS).cloned());
        let mut expanded = match self.expand(&texts) {
            Ok(expanded) => expanded,
            Err(Halt::Sink(message)) => return self.cache_problem("Unable to initialize cache download", &message),
            Err(halt) => return Err(halt),
        };
        let mut keys = expanded.split_off(cache.paths.len().min(expanded.len()));
        for path in &expanded {
            self.session.journal.line(&format!("Expanded cache path {path}"))?;
        }
        let fallback = keys.split_off(usize::from(cache.key.is_some()).min(keys.len()));
        let key = keys.pop();
        // Of `kiln run`, whose builds belong to no project, every source directory has a cache of its own (DESIGN 5).
        let namespace = match &self.job.service {
            None => self.job.source.dir.display().to_string(),
            Some(service) => service.cache_namespace.clone(),
        };
        let identity = Identity { namespace, paths: cache.paths.clone() };
        let mut state = State { store, identity, paths: expanded, key, action: cache.action, restored: None };
        if state.action != Action::Save {
            state.restored = self.find_and_restore(&state, &fallback)?;
        }
        self.cache.state = Some(state);
        Ok(())
    }

    /// Looks the cache up in the host's store: of one in a bucket, what the server has put there.
    fn look_up(&mut self, state: &State, fallback: &[String]) -> Result<Result<Lookup, String>, Halt> {
        let found = if self.is_cache_in_bucket() {
            let asked = BuildCache::Find {
                paths: state.identity.paths.clone(),
                key: state.key.clone(),
                fallback_keys: fallback.to_vec(),
            };
            match self.ask_for_cache(&asked)? {
                Ok(BuildCacheAnswer::Found { key, exact }) => {
                    state.store.open_key(&state.identity, key.as_deref(), exact, self.wall_ns())
                }
                Ok(BuildCacheAnswer::Missing) => Ok(Lookup { hit: None, notes: Vec::new() }),
                Ok(other) => return Ok(Err(unexpected(other))),
                Err(why) => return Ok(Err(why)),
            }
        } else {
            state.store.lookup(&state.identity, state.key.as_deref(), fallback, self.wall_ns())
        };
        Ok(found.map_err(|e| e.to_string()))
    }

    fn is_cache_in_bucket(&self) -> bool {
        self.job.service.as_ref().is_some_and(|service| service.cache_in_bucket)
    }

    /// Asks the server, while everything else is watched.
    fn ask_for_cache(&mut self, asked: &BuildCache) -> Result<Result<BuildCacheAnswer, String>, Halt> {
        let job = self.job;
        let Some(server) = job.service.as_ref().and_then(|service| service.server.as_ref()) else {
            return Ok(Err("the build does not know its server".to_owned()));
        };
        let mut halt = None;
        let mut go_on = || match self.session.check() {
            Ok(()) => true,
            Err(why) => {
                halt = Some(why);
                false
            }
        };
        let answer = server.cache(job.id.uuid(), asked, &mut go_on);
        match halt {
            Some(halt) => Err(halt),
            None => Ok(answer.map_err(|e| e.to_string())),
        }
    }

    /// Has the server keep in the bucket what was saved on the host. False: it has one of that key already.
    fn keep_in_bucket(&mut self, state: &State) -> Result<Result<bool, String>, Halt> {
        let asked = BuildCache::Keep { paths: state.identity.paths.clone(), key: state.key.clone() };
        Ok(match self.ask_for_cache(&asked)? {
            Ok(BuildCacheAnswer::Kept) => Ok(true),
            Ok(BuildCacheAnswer::KeyExists) => Ok(false),
            Ok(other) => Err(unexpected(other)),
            Err(why) => Err(why),
        })
    }

    /// Looks the cache up and puts its files into the container. The time is when that was done.
    fn find_and_restore(&mut self, state: &State, fallback: &[String]) -> Result<Option<(Hit, i64)>, Halt> {
        let found = match self.look_up(state, fallback)? {
            Ok(found) => found,
            Err(why) => {
                self.cache_problem("Unable to download cache", &why)?;
                return Ok(None);
            }
        };
        for note in &found.notes {
            self.session.journal.line(&format!("Unable to download cache: {note}"))?;
        }
        let Some(hit) = found.hit else {
            let what = state.key.as_ref().map_or_else(|| "none saved yet".to_owned(), |key| format!("no key '{key}'"));
            self.session.journal.line(&format!("Unable to download cache: {what}"))?;
            self.cache_event(CacheAction::Missed, 0, 0, 0, what)?;
            return Ok(None);
        };
        self.session.journal.line("Downloading cache...")?;
        let mut restore = match hit.restore(threads()) {
            Ok(restore) => restore,
            Err(e) => {
                self.cache_problem("Unable to download cache", &e.to_string())?;
                return Ok(None);
            }
        };
        self.session.journal.line("Unarchiving cache...")?;
        let source_dir = self.layout.source_dir().to_owned();
        let mut sink = self.session.receive_files()?;
        let mut buffer = vec![0; PIECE];
        while let Some(mut stored) = restore.next_entry() {
            sink.entry(&inside(&stored.entry(), &source_dir))?;
            if matches!(stored.entry().kind, EntryKind::File) {
                loop {
                    match stored.read(&mut buffer) {
                        Ok(0) => break,
                        Ok(n) => sink.content(buffer.get(..n).unwrap_or_default())?,
                        // Some files hold only a part now: the build must not go on with them.
                        Err(e) => return Err(Halt::Sink(format!("restoring the cache: {e}"))),
                    }
                }
            }
            sink.end_of_file()?;
        }
        drop(restore);
        match sink.finish()? {
            FromAgent::Received { files, problems, failed, .. } => {
                for problem in problems.iter().take(20) {
                    self.session.journal.line(&format!("Skipping cache entry: {problem}"))?;
                }
                let detail = match hit.manifest().key() {
                    Some(key) if hit.is_exact() => format!("key '{key}'"),
                    Some(key) => format!("fallback key '{key}'"),
                    None => String::new(),
                };
                self.cache_event(CacheAction::Restored, files, hit.manifest().bytes(), 0, detail)?;
                let complete = self.session.clock.coarse_wall_ns();
                // What was not written back is not "unchanged": then everything is read again at the save.
                Ok((failed == 0).then_some((hit, complete)))
            }
            FromAgent::Failed { message, .. } => {
                self.cache_problem("Unable to download cache", &message)?;
                Ok(None)
            }
            other => Err(Halt::Protocol(format!("{other:?} in answer to Receive"))),
        }
    }

    pub(crate) fn save_cache(&mut self) -> Result<(), Halt> {
        let Some(state) = self.cache.state.take() else { return Ok(()) };
        if state.action == Action::Restore {
            return Ok(());
        }
        let list = List {
            id: 0,
            root: self.layout.source_dir().into(),
            base: ".".to_owned(),
            patterns: state.paths.clone(),
            exclude: Vec::new(),
            discard_paths: false,
            links: Links::Keep,
            directories: true,
            max_entries: MAX_ENTRIES,
            budget_ms: None,
        };
        let found = match self.list(list)? {
            Ok(found) => found,
            Err(message) => return self.cache_problem("Unable to upload cache", &message),
        };
        if found.entries.is_empty() {
            return self
                .session
                .journal
                .line("Skip cache upload due to: no files match the cache paths")
                .map_err(Into::into);
        }
        let limits = OutputLimits::default();
        let mut listing = Listing::new(limits);
        let source_dir = self.layout.source_dir().to_owned();
        for entry in &found.entries {
            let named = Entry { path: stored_name(&entry.absolute.0, &source_dir), ..Entry::from(entry) };
            if let Err(e) = listing.add(&named, entry.ctime_ns) {
                return self.cache_problem("Unable to upload cache", &e.to_string());
            }
        }
        let base = state
            .restored
            .as_ref()
            .map(|(hit, unchanged_before_ns)| Base { hit, unchanged_before_ns: *unchanged_before_ns });
        let request = SaveRequest {
            identity: &state.identity,
            key: state.key.as_deref(),
            listing,
            base,
            limits,
            threads: threads(),
        };
        let is_file = |entry: &&agent::Entry| !matches!(entry.kind, agent::EntryKind::Directory);
        let files = found.entries.iter().filter(is_file).count() as u64;
        match state.store.begin_save(request) {
            Ok(Plan::Unchanged) => self.cache_event(CacheAction::Unchanged, files, 0, 0, "nothing changed".to_owned()),
            Ok(Plan::KeyExists) => {
                let detail = format!("key '{}' is saved already", state.key.as_deref().unwrap_or_default());
                self.session.journal.line(&format!("Skip cache upload due to: {detail}"))?;
                self.cache_event(CacheAction::Unchanged, files, 0, 0, detail)
            }
            Ok(Plan::Save(session)) => self.write_cache(&state, session, files),
            Err(e) => self.cache_problem("Unable to upload cache", &e.to_string()),
        }
    }

    fn write_cache(
        &mut self,
        state: &State,
        mut save: Box<crate::cache::SaveSession<'_>>,
        files: u64,
    ) -> Result<(), Halt> {
        self.session.journal.line("Uploading cache...")?;
        let ranges = save.needed_ranges();
        let needed: Vec<u32> = ranges.iter().flat_map(|&(from, to)| from..to).collect();
        let mut notes = Vec::new();
        let mut problem = None;
        if !needed.is_empty() {
            let mut stream = self.session.send_files(ranges)?;
            let mut wanted = needed.into_iter();
            while stream.next_file()?.is_some() {
                let Some(index) = wanted.next() else {
                    return Err(Halt::Protocol("a file was sent that was not asked for".to_owned()));
                };
                if problem.is_none()
                    && let Err(e) = save.put(index, &mut stream)
                {
                    match e {
                        crate::cache::CacheError::Content { .. } => notes.push(e.to_string()),
                        e => problem = Some(e.to_string()),
                    }
                }
                if let Some(halt) = stream.take_halt() {
                    return Err(halt);
                }
            }
        }
        for note in notes.iter().take(20) {
            self.session.journal.line(note)?;
        }
        if let Some(message) = problem {
            return self.cache_problem("Unable to upload cache", &message);
        }
        let now = self.wall_ns();
        match save.commit(now) {
            Ok(Outcome::Saved(stats)) => {
                let kept = if self.is_cache_in_bucket() { self.keep_in_bucket(state)? } else { Ok(true) };
                if let Err(e) = state.store.prune(DEFAULT_BUDGET, now) {
                    self.session.journal.line(&format!("The cache store was not pruned: {e}"))?;
                }
                match kept {
                    Ok(true) => {
                        let saved = files.saturating_sub(notes.len() as u64);
                        self.cache_event(CacheAction::Saved, saved, stats.bytes, stats.written, String::new())
                    }
                    Ok(false) => self.key_exists(files),
                    Err(why) => self.cache_problem("Unable to upload cache", &why),
                }
            }
            Ok(Outcome::Unchanged) => {
                self.cache_event(CacheAction::Unchanged, files, 0, 0, "nothing changed".to_owned())
            }
            Ok(Outcome::KeyExists) => self.key_exists(files),
            Err(e) => self.cache_problem("Unable to upload cache", &e.to_string()),
        }
    }

    fn key_exists(&mut self, files: u64) -> Result<(), Halt> {
        self.cache_event(CacheAction::Unchanged, files, 0, 0, "another build saved this key meanwhile".to_owned())
    }

    fn cache_problem(&mut self, what: &str, why: &str) -> Result<(), Halt> {
        self.session.journal.line(&format!("{what}: {why}"))?;
        self.cache_event(CacheAction::Problem, 0, 0, 0, why.to_owned())
    }

    fn cache_event(
        &mut self,
        action: CacheAction,
        files: u64,
        bytes: u64,
        new_bytes: u64,
        detail: String,
    ) -> Result<(), Halt> {
        let detail = self.session.journal.masker().text(&detail);
        self.session.journal.event(&Event::Cache { action, files, bytes, new_bytes, detail })?;
        Ok(())
    }

    fn wall_ns(&self) -> i64 {
        i64::try_from(self.session.clock.wall_ns()).unwrap_or(i64::MAX)
    }
}

/// Why an answer is none to what was asked.
fn unexpected(answer: BuildCacheAnswer) -> String {
    match answer {
        BuildCacheAnswer::Problem { message } => message,
        other => format!("the server answered {other:?}"),
    }
}

/// The name under which a file is stored: relative when it lies in the source directory, so that a cache fits wherever
/// that is.
fn stored_name<'a>(absolute: &'a [u8], source_dir: &str) -> &'a [u8] {
    match absolute.strip_prefix(source_dir.as_bytes()).and_then(|rest| rest.strip_prefix(b"/")) {
        Some(relative) if !relative.is_empty() => relative,
        _ => absolute,
    }
}

/// The entry with its absolute path in the container.
fn inside(entry: &Entry<'_>, source_dir: &str) -> agent::Entry {
    let absolute = if entry.path.starts_with(b"/") {
        entry.path.to_vec()
    } else {
        [source_dir.as_bytes(), b"/", entry.path].concat()
    };
    entry.at(absolute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_source_directory_are_relative_and_come_back() {
        let source = "/codebuild/output/src1/src";
        for (absolute, stored) in [
            ("/codebuild/output/src1/src/node_modules/a", "node_modules/a"),
            ("/root/.m2/a", "/root/.m2/a"),
            ("/codebuild/output/src1/src", "/codebuild/output/src1/src"),
            ("/codebuild/output/src1/srcx/a", "/codebuild/output/src1/srcx/a"),
        ] {
            assert_eq!(stored_name(absolute.as_bytes(), source), stored.as_bytes());
            let entry = Entry { path: stored.as_bytes(), kind: EntryKind::File, mode: 0o644, size: 1, mtime_ns: 5 };
            assert_eq!(inside(&entry, source).absolute.0, absolute.as_bytes());
        }
    }
}
