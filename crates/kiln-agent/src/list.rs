//! Finding files: what [`kiln_wire::agent::List`] asks for.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    rc::Rc,
    time::{Duration, Instant},
};

use kiln_wire::{
    PathBytes,
    agent::{Entry, EntryKind, FromAgent, List, kind},
};
use rustix::{
    fs::{AtFlags, CWD, FileType, OFlags, Stat},
    io::Errno,
};

use crate::{
    glob::{Anchor, Pattern},
    outbox::Outbox,
    walk::{Match, Notes, Options, Walk, join, open_at},
};

/// Directories that `base-directory` may match.
const MAX_BASES: usize = 1000;
/// Patterns of one request, excludes included.
const MAX_PATTERNS: usize = 1000;
/// All paths of a list together, in bytes.
const MAX_PATHS: usize = 512 << 20;
/// Entries sent in one step.
const STEP: usize = 256;

/// The files of the last `List`, in the order in which they were sent. Kept small: a build may have a million.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    items: Vec<Item>,
    /// All absolute paths, one after the other.
    paths: Vec<u8>,
    targets: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, Copy)]
struct Item {
    start: usize,
    length: u32,
    /// Where in the path the name to store it under begins.
    stored: u32,
    what: What,
    mode: u32,
    size: u64,
    mtime_ns: i64,
    ctime_ns: i64,
    inode: u64,
}

#[derive(Debug, Clone, Copy)]
enum What {
    File,
    Directory,
    /// With the index of its target.
    Symlink(usize),
}

fn nanoseconds(seconds: i64, nanoseconds: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

impl Listing {
    /// How many files there are.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// A file, as it is told to the runner.
    pub(crate) fn entry(&self, index: usize) -> Option<Entry> {
        let item = self.items.get(index)?;
        Some(Entry {
            path: PathBytes(self.stored(item).to_vec()),
            absolute: PathBytes(self.absolute(item).to_vec()),
            kind: match item.what {
                What::File => EntryKind::File,
                What::Directory => EntryKind::Directory,
                What::Symlink(target) => {
                    EntryKind::Symlink { target: PathBytes(self.targets.get(target).cloned().unwrap_or_default()) }
                }
            },
            mode: item.mode,
            size: item.size,
            mtime_ns: item.mtime_ns,
            ctime_ns: item.ctime_ns,
            inode: item.inode,
        })
    }

    fn absolute(&self, item: &Item) -> &[u8] {
        self.paths.get(item.start..item.start + item.length as usize).unwrap_or_default()
    }

    fn stored(&self, item: &Item) -> &[u8] {
        self.absolute(item).get(item.stored as usize..).unwrap_or_default()
    }

    fn push(&mut self, path: &[u8], stored: usize, stat: &Stat, target: Option<Vec<u8>>) -> Result<(), String> {
        let (Ok(length), Ok(stored)) = (u32::try_from(path.len()), u32::try_from(stored)) else { return Ok(()) };
        if self.paths.len().saturating_add(path.len()) > MAX_PATHS {
            return Err(format!("the names of the files found take more than {} MiB", MAX_PATHS >> 20));
        }
        let what = match target {
            Some(target) => {
                self.targets.push(target);
                What::Symlink(self.targets.len() - 1)
            }
            None if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => What::Directory,
            None => What::File,
        };
        let start = self.paths.len();
        self.paths.extend_from_slice(path);
        self.items.push(Item {
            start,
            length,
            stored,
            what,
            mode: stat.st_mode & 0o7777,
            size: if matches!(what, What::Directory) { 0 } else { u64::try_from(stat.st_size).unwrap_or(0) },
            mtime_ns: nanoseconds(stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0)),
            ctime_ns: nanoseconds(stat.st_ctime, i64::try_from(stat.st_ctime_nsec).unwrap_or(0)),
            inode: stat.st_ino,
        });
        Ok(())
    }

    /// Sorts by stored name, takes out what was found twice, and of files that would be stored under one name all but
    /// the last (`buildspec.md` 1.10).
    fn tidy(&mut self, notes: &mut Notes) {
        let mut items = std::mem::take(&mut self.items);
        items.sort_unstable_by(|a, b| {
            self.stored(a).cmp(self.stored(b)).then_with(|| self.absolute(a).cmp(self.absolute(b)))
        });
        let mut kept: Vec<Item> = Vec::with_capacity(items.len());
        for item in items {
            match kept.last_mut() {
                Some(last) if self.stored(last) == self.stored(&item) => {
                    if self.absolute(last) != self.absolute(&item) {
                        let reason = format!(
                            "replaced by {}, which is stored under the same name",
                            String::from_utf8_lossy(self.absolute(&item))
                        );
                        notes.add(self.absolute(last), &reason);
                    }
                    *last = item;
                }
                _ => kept.push(item),
            }
        }
        self.items = kept;
    }
}

/// A base that files are stored relative to.
#[derive(Debug)]
struct Base {
    /// Absolute, without a slash at its end.
    path: Vec<u8>,
    /// As it is told to the runner.
    name: PathBytes,
}

/// A walk that is to be done: some of the patterns, in one base.
#[derive(Debug)]
struct Plan {
    base: usize,
    root: Vec<u8>,
    /// Bytes of an absolute path that are not stored, of a file outside the base.
    strip: usize,
    /// Indexes of the patterns.
    patterns: Vec<usize>,
}

#[derive(Debug)]
enum Phase {
    Bases(Walk),
    Files(Option<(Walk, Plan)>),
    Sending(usize),
}

/// A `List` at work.
#[derive(Debug)]
pub(crate) struct ListTask {
    request: List,
    root: Vec<u8>,
    patterns: Vec<Rc<Pattern>>,
    exclude: Vec<Pattern>,
    deadline: Option<Instant>,
    phase: Phase,
    bases: Vec<Base>,
    plans: VecDeque<Plan>,
    /// Where the walks outside of the bases began, and whether that directory is passed through by a wildcard.
    outside: HashMap<Vec<u8>, bool>,
    listing: Listing,
    /// Look for duplicates when there are this many.
    tidy_at: usize,
    matches: Vec<u32>,
    notes: Notes,
    incomplete: bool,
}

/// How far a `List` is.
#[derive(Debug)]
pub(crate) enum Step {
    /// More is to be done.
    Goes,
    /// The entries were sent; this is what follows.
    Done(FromAgent, Listing),
}

/// `~` and `~/…` are below HOME.
fn with_home(text: &str, home: &str) -> String {
    match text.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => format!("{}{rest}", home.trim_end_matches('/')),
        _ => text.to_owned(),
    }
}

fn trimmed(path: &[u8]) -> Vec<u8> {
    let end = path.iter().rposition(|b| *b != b'/').map_or(0, |last| last + 1);
    path.get(..end).unwrap_or_default().to_vec()
}

/// The directory that is `ups` above another, and never above the root.
fn above(path: &[u8], ups: usize) -> &[u8] {
    let mut path = path;
    for _ in 0..ups {
        path = path.iter().rposition(|b| *b == b'/').and_then(|cut| path.get(..cut)).unwrap_or_default();
    }
    path
}

/// Whether a path lies below a directory.
fn is_below(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.first() == Some(&b'/'))
}

impl ListTask {
    /// Begins.
    ///
    /// # Errors
    /// A text for the log.
    pub(crate) fn new(request: List, home: &str, now: Instant) -> Result<Self, String> {
        let root = trimmed(&request.root.0);
        if request.root.0.first() != Some(&b'/') {
            return Err("the directory to search in is not an absolute path".into());
        }
        if request.patterns.len() + request.exclude.len() > MAX_PATTERNS {
            return Err(format!("more than {MAX_PATTERNS} patterns"));
        }
        let compile = |text: &String| {
            Pattern::new(&with_home(text, home)).map_err(|error| format!("pattern '{text}' cannot be used: {error}"))
        };
        let patterns: Vec<Rc<Pattern>> =
            request.patterns.iter().map(compile).map(|p| p.map(Rc::new)).collect::<Result<_, _>>()?;
        let exclude = request.exclude.iter().map(compile).collect::<Result<_, _>>()?;
        let matches = vec![0; patterns.len()];
        let deadline = request.budget_ms.map(|budget| now + Duration::from_millis(budget.into()));
        let tidy_at = usize::try_from(request.max_entries).unwrap_or(usize::MAX);
        let mut task = Self {
            root,
            patterns,
            exclude,
            deadline,
            phase: Phase::Files(None),
            bases: Vec::new(),
            plans: VecDeque::new(),
            outside: HashMap::new(),
            listing: Listing::default(),
            tidy_at,
            matches,
            notes: Notes::default(),
            incomplete: false,
            request,
        };
        task.find_bases(home)?;
        Ok(task)
    }

    /// Request id.
    pub(crate) fn id(&self) -> u32 {
        self.request.id
    }

    /// One base that is there, or a walk that finds them.
    fn find_bases(&mut self, home: &str) -> Result<(), String> {
        let text = with_home(&self.request.base, home);
        let text = if text.is_empty() { "." } else { &text };
        let pattern = Pattern::new(text).map_err(|error| format!("base-directory '{text}' cannot be used: {error}"))?;
        // A directory whose name has a bracket is found by its name.
        let literal =
            lexical(&if text.starts_with('/') { text.as_bytes().to_vec() } else { join(&self.root, text.as_bytes()) });
        let absolute: &[u8] = if literal.is_empty() { b"/" } else { &literal };
        if open_at(CWD, absolute, OFlags::PATH | OFlags::DIRECTORY).is_ok() {
            self.add_base(&literal);
            self.plan();
            return Ok(());
        }
        if pattern.names_one {
            return Ok(()); // not there: no bases
        }
        let (root, _) = walk_root(&pattern, &self.root);
        let options = Options {
            links: kiln_wire::agent::Links::Follow,
            base: self.root.clone(),
            directories: false,
            only_directories: true,
        };
        match Walk::new(root, vec![Rc::new(pattern)], options) {
            Ok(walk) => self.phase = Phase::Bases(walk),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => self.notes.add(text.as_bytes(), &format!("cannot be searched: {error}")),
        }
        Ok(())
    }

    fn add_base(&mut self, path: &[u8]) {
        let name: &[u8] = match path.strip_prefix(self.root.as_slice()) {
            Some([]) => b".",
            Some([b'/', name @ ..]) => name,
            _ => path,
        };
        self.bases.push(Base { path: path.to_vec(), name: PathBytes(name.to_vec()) });
    }

    /// Plans the walks: patterns that start at one directory share one.
    fn plan(&mut self) {
        self.bases.sort_by(|a, b| a.path.cmp(&b.path));
        for (index, base) in self.bases.iter().enumerate() {
            let first = self.plans.len();
            for (number, pattern) in self.patterns.iter().enumerate() {
                let (root, strip) = walk_root(pattern, &base.path);
                match self.plans.iter_mut().skip(first).find(|plan| plan.root == root && plan.strip == strip) {
                    Some(plan) => plan.patterns.push(number),
                    None => self.plans.push_back(Plan { base: index, root, strip, patterns: vec![number] }),
                }
            }
        }
        self.phase = Phase::Files(None);
    }

    /// Searches to the end, in one go.
    ///
    /// # Errors
    /// As [`ListTask::step`].
    pub(crate) fn finish(mut self) -> Result<(Listing, Vec<String>), String> {
        while !matches!(self.phase, Phase::Sending(_)) {
            self.search_on()?;
        }
        Ok((self.listing, self.notes.0))
    }

    /// Goes on for a little while.
    ///
    /// # Errors
    /// A text for the log: too much was found.
    pub(crate) fn step(&mut self, outbox: &mut Outbox) -> Result<Step, String> {
        let Phase::Sending(next) = &mut self.phase else {
            self.search_on()?;
            return Ok(Step::Goes);
        };
        for _ in 0..STEP {
            let Some(entry) = self.listing.entry(*next) else { return Ok(self.done()) };
            *next += 1;
            outbox.message(kind::ENTRY, &entry).map_err(|error| error.to_string())?;
        }
        Ok(Step::Goes)
    }

    fn search_on(&mut self) -> Result<(), String> {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            self.incomplete = true;
            if matches!(self.phase, Phase::Bases(_)) {
                self.plan();
                self.plans.clear();
            }
            self.finish_search()?;
        }
        match &mut self.phase {
            Phase::Bases(walk) => {
                let mut found = Vec::new();
                let goes = walk.step(&mut self.notes, &mut |item| found.push(item.path.to_vec()));
                for path in found {
                    self.add_base(&path);
                }
                if self.bases.len() > MAX_BASES {
                    return Err(format!("base-directory matches more than {MAX_BASES} directories"));
                }
                if !goes {
                    self.plan();
                }
            }
            Phase::Files(current) => match current.take() {
                Some((walk, plan)) => self.search(walk, plan)?,
                None => match self.plans.pop_front() {
                    Some(plan) => self.start(plan),
                    None => self.finish_search()?,
                },
            },
            Phase::Sending(_) => {}
        }
        Ok(())
    }

    fn start(&mut self, plan: Plan) {
        let base = self.bases.get(plan.base).map(|base| base.path.as_slice()).unwrap_or_default();
        if plan.root != base && !is_below(&plan.root, base) {
            let wild = |index: &usize| self.patterns.get(*index).is_some_and(|pattern| !pattern.names_one);
            let wild = plan.patterns.iter().any(wild);
            *self.outside.entry(plan.root.clone()).or_default() |= wild;
        }
        let patterns = plan.patterns.iter().filter_map(|index| self.patterns.get(*index).cloned()).collect();
        let options = Options {
            links: self.request.links,
            base: self.bases.get(plan.base).map(|base| base.path.clone()).unwrap_or_default(),
            directories: self.request.directories,
            only_directories: false,
        };
        match Walk::new(plan.root.clone(), patterns, options) {
            Ok(walk) => self.phase = Phase::Files(Some((walk, plan))),
            Err(Errno::NOENT | Errno::NOTDIR) => {} // nothing there: nothing matches
            Err(error) => self.notes.add(&plan.root, &format!("cannot be read: {error}")),
        }
    }

    fn search(&mut self, mut walk: Walk, plan: Plan) -> Result<(), String> {
        let mut problem = None;
        let (base, exclude) = (self.bases.get(plan.base), &self.exclude);
        let (listing, matches, discard) = (&mut self.listing, &mut self.matches, self.request.discard_paths);
        let goes = walk.step(&mut self.notes, &mut |item: Match<'_>| {
            let Some(base) = base else { return };
            for (_, number) in item.by.iter().zip(&plan.patterns).filter(|(matched, _)| **matched) {
                if let Some(count) = matches.get_mut(*number) {
                    *count = count.saturating_add(1);
                }
            }
            let inside = is_below(item.path, &base.path);
            let stored = if inside { base.path.len() + 1 } else { plan.strip };
            let name = item.path.get(stored..).unwrap_or_default();
            if exclude.iter().any(|pattern| is_excluded(pattern, name, item.path, inside)) {
                return;
            }
            let last = item.path.iter().rposition(|b| *b == b'/').map_or(0, |cut| cut + 1);
            let is_directory =
                FileType::from_raw_mode(item.stat.st_mode) == FileType::Directory && item.target.is_none();
            if discard && is_directory {
                return;
            }
            let stored = if discard { last } else { stored };
            if let Err(text) = listing.push(item.path, stored, item.stat, item.target) {
                problem = Some(text);
            }
        });
        if let Some(problem) = problem {
            return Err(problem);
        }
        if self.listing.len() > self.tidy_at {
            // What several patterns select counts once.
            self.listing.tidy(&mut Notes::default());
            self.check_number()?;
            self.tidy_at = self.tidy_at.max(self.listing.len().saturating_mul(2));
        }
        if goes {
            self.phase = Phase::Files(Some((walk, plan)));
        } else {
            self.phase = Phase::Files(None);
        }
        Ok(())
    }

    fn check_number(&self) -> Result<(), String> {
        let most = self.request.max_entries;
        if u32::try_from(self.listing.len()).is_ok_and(|found| found <= most) {
            return Ok(());
        }
        Err(format!("more than {most} files match; name fewer, or exclude some"))
    }

    fn finish_search(&mut self) -> Result<(), String> {
        if self.request.directories {
            self.add_passed_directories()?;
        }
        self.listing.tidy(&mut self.notes);
        self.check_number()?;
        self.phase = Phase::Sending(0);
        Ok(())
    }

    /// The directories between a base (outside of it: the place where a pattern's wildcards begin) and what was found.
    fn add_passed_directories(&mut self) -> Result<(), String> {
        let mut passed: HashSet<(Vec<u8>, usize)> = HashSet::new();
        for item in &self.listing.items {
            let path = self.listing.absolute(item);
            let stored = item.stored as usize;
            for cut in (stored..path.len()).rev().filter(|at| path.get(*at) == Some(&b'/')) {
                let directory = path.get(..cut).unwrap_or_default();
                let outermost = self.outside.get(directory);
                if outermost == Some(&false) || !passed.insert((directory.to_vec(), stored)) || outermost.is_some() {
                    break;
                }
            }
        }
        for (path, stored) in passed {
            let stat = open_at(CWD, &path, OFlags::PATH | OFlags::NOFOLLOW)
                .and_then(|fd| rustix::fs::statat(&fd, "", AtFlags::EMPTY_PATH));
            if let Ok(stat) = stat
                && FileType::from_raw_mode(stat.st_mode) == FileType::Directory
            {
                self.listing.push(&path, stored, &stat, None)?;
            }
        }
        Ok(())
    }

    fn done(&mut self) -> Step {
        let listing = std::mem::take(&mut self.listing);
        let message = FromAgent::Listed {
            id: self.request.id,
            entries: u32::try_from(listing.len()).unwrap_or(u32::MAX),
            bases: self.bases.iter().map(|base| base.name.clone()).collect(),
            matches: std::mem::take(&mut self.matches),
            incomplete: self.incomplete,
            skipped: std::mem::take(&mut self.notes.0),
        };
        Step::Done(message, listing)
    }
}

/// Takes `.` and `..` out of an absolute path.
fn lexical(path: &[u8]) -> Vec<u8> {
    let mut components: Vec<&[u8]> = Vec::new();
    for component in path.split(|b| *b == b'/') {
        match component {
            b"" | b"." => {}
            b".." => drop(components.pop()),
            _ => components.push(component),
        }
    }
    components.iter().flat_map(|component| [b"/", *component]).flatten().copied().collect()
}

/// Where a pattern's walk begins, and how much of a path is not stored when it is outside the base.
fn walk_root(pattern: &Pattern, base: &[u8]) -> (Vec<u8>, usize) {
    let start = match pattern.anchor {
        Anchor::Root => &[],
        Anchor::Base(ups) => above(base, ups),
    };
    let mut root = start.to_vec();
    for component in &pattern.prefix {
        root.push(b'/');
        root.extend_from_slice(component.as_bytes());
    }
    (root, start.len() + 1)
}

/// Whether an exclude pattern takes out a file, or names a directory that it is in.
fn is_excluded(pattern: &Pattern, name: &[u8], absolute: &[u8], inside: bool) -> bool {
    let path = match pattern.anchor {
        Anchor::Root => absolute.get(1..).unwrap_or_default(),
        Anchor::Base(0) if inside => name,
        Anchor::Base(_) => return false,
    };
    let directories = path.iter().enumerate().filter(|(_, b)| **b == b'/').filter_map(|(at, _)| path.get(..at));
    (!pattern.only_directory && pattern.matches(path))
        || (pattern.names_one && directories.into_iter().any(|directory| pattern.matches(directory)))
}
