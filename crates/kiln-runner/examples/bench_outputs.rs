//! Measures artifact archives against Debian's `zip`, and the cache store (DESIGN section 8; issue 2, item 5).
//!
//! ```text
//! cargo run --release -p kiln-runner --example bench_outputs -- [zip|cache] [--tree DIR] [--work DIR] [--rounds N]
//! ```
//!
//! `--tree` is archived together with random bytes of a quarter of its size, as packed files are in real artifacts
//! (default: `/usr/include`). Each figure is the best of the rounds, which are interleaved. Timings have no place in tests,
//! so this is a program of its own.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark stops at anything unexpected")]

use std::{
    fs,
    io::{self, Read},
    num::NonZeroUsize,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use kiln_runner::{
    cache::{Base, CacheStore, Hit, Identity, Listing, Outcome, Plan, SaveRequest},
    entry::{Entry, EntryKind, OutputLimits},
    zip::{ZipOptions, ZipWriter},
};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (mut what, mut tree, mut work, mut rounds) =
        (String::new(), PathBuf::from("/usr/include"), std::env::temp_dir(), 3);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--tree" => tree = arguments.next().unwrap().into(),
            "--work" => work = arguments.next().unwrap().into(),
            "--rounds" => rounds = arguments.next().unwrap().parse().unwrap(),
            other => other.clone_into(&mut what),
        }
    }
    let work = tempfile::tempdir_in(work).unwrap();
    if what != "cache" {
        zip(&tree, work.path(), rounds);
    }
    if what != "zip" {
        cache(work.path(), rounds);
    }
}

/// A file of a tree.
struct File {
    path: PathBuf,
    name: Vec<u8>,
    metadata: fs::Metadata,
}

impl File {
    fn entry(&self) -> Entry<'_> {
        Entry {
            path: &self.name,
            kind: EntryKind::File,
            mode: self.metadata.mode(),
            size: self.metadata.size(),
            mtime_ns: self.metadata.mtime() * 1_000_000_000 + self.metadata.mtime_nsec(),
        }
    }

    fn ctime_ns(&self) -> i64 {
        self.metadata.ctime() * 1_000_000_000 + self.metadata.ctime_nsec()
    }
}

/// Regular files beneath a directory, sorted as an agent sends them.
fn walk(root: &Path) -> Vec<File> {
    let mut files = Vec::new();
    let mut todo = vec![root.to_owned()];
    while let Some(directory) = todo.pop() {
        for item in fs::read_dir(directory).unwrap() {
            let item = item.unwrap();
            let metadata = item.metadata().unwrap();
            if metadata.is_dir() {
                todo.push(item.path());
            } else if metadata.is_file() {
                let name = item.path().strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
                files.push(File { path: item.path(), name, metadata });
            }
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let done = work();
    (start.elapsed().as_secs_f64(), done)
}

/// Random bytes, in one file.
fn noise(path: &Path, size: u64) {
    let mut urandom = fs::File::open("/dev/urandom").unwrap().take(size);
    io::copy(&mut urandom, &mut fs::File::create(path).unwrap()).unwrap();
}

fn zip(tree: &Path, work: &Path, rounds: usize) {
    let copy = work.join("tree");
    fs::create_dir(&copy).unwrap();
    assert!(Command::new("cp").arg("-r").arg(tree).arg(copy.join("t")).status().unwrap().success());
    let text: u64 = walk(&copy).iter().map(|f| f.metadata.size()).sum();
    noise(&copy.join("random"), text / 4);
    let files = walk(&copy);
    let bytes: u64 = files.iter().map(|f| f.metadata.size()).sum();
    println!("ZIP of {} files, {} MB, a fifth of it random", files.len(), bytes / 1_000_000);
    let (ours, theirs) = (work.join("ours.zip"), work.join("theirs.zip"));
    let (mut best_ours, mut best_theirs) = (f64::MAX, f64::MAX);
    for _ in 0..rounds {
        let (seconds, ()) = timed(|| {
            let mut zip = ZipWriter::create(&ours, ZipOptions::default()).unwrap();
            for file in &files {
                zip.entry(&file.entry(), &mut fs::File::open(&file.path).unwrap()).unwrap();
            }
            zip.finish().unwrap();
        });
        best_ours = best_ours.min(seconds);
        fs::remove_file(&theirs).ok();
        let (seconds, done) =
            timed(|| Command::new("zip").args(["-rqy"]).arg(&theirs).arg(".").current_dir(&copy).status());
        assert!(done.unwrap().success());
        best_theirs = best_theirs.min(seconds);
    }
    let size = |path| fs::metadata(path).unwrap().len() as f64 / 1e6;
    println!("  kiln (synced, MD5 and SHA-256 included): {best_ours:.2} s, {:.1} MB", size(&ours));
    println!("  zip -r: {best_theirs:.2} s, {:.1} MB", size(&theirs));
    println!("  ratio: {:.2}", best_theirs / best_ours);
}

fn cache(work: &Path, rounds: usize) {
    let big = work.join("big");
    fs::create_dir(&big).unwrap();
    // Half of it compresses well, half not at all.
    let text: Vec<u8> = (0u64..).flat_map(|n| format!("{n:x} of a cache\n").into_bytes()).take(512 << 20).collect();
    noise(&big.join("file"), 512 << 20);
    let mut file = fs::OpenOptions::new().append(true).open(big.join("file")).unwrap();
    io::Write::write_all(&mut file, &text).unwrap();
    one_cache("1 GiB in one file", &big, work, rounds);
    fs::remove_dir_all(&big).unwrap();

    let small = work.join("small");
    let mut random = fastrand::Rng::with_seed(1);
    for n in 0..50_000usize {
        let directory = small.join(format!("m{}/lib{}", n / 500, n / 25 % 20));
        fs::create_dir_all(&directory).unwrap();
        let from = random.usize(..text.len() - 50_000);
        fs::write(directory.join(format!("f{n}.js")), text.get(from..from + random.usize(500..42_000)).unwrap())
            .unwrap();
    }
    one_cache("1 GB in 50,000 files", &small, work, rounds);
}

fn one_cache(what: &str, tree: &Path, work: &Path, rounds: usize) {
    println!("cache: {what}");
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let identity = Identity { namespace: "bench".to_owned(), paths: vec!["**/*".to_owned()] };
    let mut best = [f64::MAX; 5];
    let mut note = |n: usize, seconds: f64| {
        if let Some(slot) = best.get_mut(n) {
            *slot = slot.min(seconds);
        }
    };
    let mut written = 0;
    for _ in 0..rounds {
        let root = work.join("store");
        let store = CacheStore::open(&root).unwrap();
        let files = walk(tree);
        let save = |base: Option<&Hit>| {
            let mut listing = Listing::new(OutputLimits::default());
            for file in &files {
                listing.add(&file.entry(), file.ctime_ns()).unwrap();
            }
            let base = base.map(|hit| Base { hit, unchanged_before_ns: i64::MAX });
            let limits = OutputLimits::default();
            match store
                .begin_save(SaveRequest { identity: &identity, key: None, listing, base, limits, threads })
                .unwrap()
            {
                Plan::Save(mut session) => {
                    for (from, to) in session.needed_ranges() {
                        for index in from..to {
                            let file = files.get(index as usize).unwrap();
                            session.put(index, &mut fs::File::open(&file.path).unwrap()).unwrap();
                        }
                    }
                    session.commit(1).unwrap()
                }
                Plan::Unchanged => Outcome::Unchanged,
                Plan::KeyExists => Outcome::KeyExists,
            }
        };
        let (seconds, outcome) = timed(|| save(None));
        note(0, seconds);
        if let Outcome::Saved(stats) = outcome {
            written = stats.written;
        }
        let (seconds, hit) = timed(|| store.lookup(&identity, None, &[], 2).unwrap().hit.unwrap());
        note(1, seconds);
        let (seconds, ()) = timed(|| drop(hit.restore(threads).unwrap()));
        note(2, seconds);
        let (seconds, restored) = timed(|| {
            let mut restore = hit.restore(threads).unwrap();
            let mut bytes = 0;
            while let Some(mut entry) = restore.next_entry() {
                bytes += io::copy(&mut entry, &mut io::sink()).unwrap();
            }
            bytes
        });
        assert_eq!(restored, hit.manifest().bytes());
        note(3, seconds);
        let (seconds, outcome) = timed(|| save(Some(&hit)));
        assert_eq!(outcome, Outcome::Unchanged);
        note(4, seconds);
        fs::remove_dir_all(&root).unwrap();
    }
    for (what, seconds) in
        ["full save, synced", "look up", "check before restoring", "restore", "save, unchanged"].iter().zip(best)
    {
        println!("  {what}: {seconds:.3} s");
    }
    println!("  stored: {:.0} MB", written as f64 / 1e6);
}
