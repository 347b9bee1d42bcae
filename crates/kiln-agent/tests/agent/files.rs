//! Finding files, sending them, and putting them back.

use std::{collections::BTreeMap, io::Read};

use kiln_wire::{
    PathBytes,
    agent::{Entry, EntryKind, FileEnd, FromAgent, Links, List, ToAgent, decode, kind},
    frame::{Frame, FrameBuffer},
};

use crate::container::{Container, SOURCE};

/// A request with what most tests do not care about.
fn list(patterns: &[&str]) -> List {
    List {
        id: 0,
        root: SOURCE.into(),
        base: ".".into(),
        patterns: patterns.iter().map(|p| (*p).to_owned()).collect(),
        exclude: Vec::new(),
        discard_paths: false,
        links: Links::Follow,
        directories: false,
        max_entries: 1_000_000,
        budget_ms: None,
    }
}

struct Found {
    entries: Vec<Entry>,
    bases: Vec<String>,
    matches: Vec<u32>,
    skipped: Vec<String>,
    incomplete: bool,
}

impl Found {
    /// Stored names; links with where they point, directories with a slash.
    fn names(&self) -> Vec<String> {
        let name = |entry: &Entry| {
            let name = String::from_utf8_lossy(&entry.path.0).into_owned();
            match &entry.kind {
                EntryKind::File => name,
                EntryKind::Directory => name + "/",
                EntryKind::Symlink { target } => format!("{name} -> {}", String::from_utf8_lossy(&target.0)),
            }
        };
        self.entries.iter().map(name).collect()
    }
}

fn find(c: &mut Container, request: List) -> Result<Found, String> {
    let id = c.id();
    c.send(&ToAgent::List(List { id, ..request }));
    let (found, answer) = c.listing();
    match answer {
        FromAgent::Listed { id: answered, entries, bases, matches, incomplete, skipped } => {
            assert_eq!((answered, entries as usize), (id, found.len()));
            assert!(found.is_sorted_by(|a, b| a.path < b.path), "sorted, without doubles");
            let bases = bases.iter().map(|base| String::from_utf8_lossy(&base.0).into_owned()).collect();
            Ok(Found { entries: found, bases, matches, skipped, incomplete })
        }
        FromAgent::Failed { id: answered, message } => {
            assert_eq!(answered, id);
            Err(message)
        }
        other => panic!("{other:?}"),
    }
}

fn names(c: &mut Container, request: List) -> Vec<String> {
    find(c, request).unwrap().names()
}

#[test]
fn the_worked_examples_of_the_reference() {
    let Some(mut c) = Container::start() else { return };
    c.sh("mkdir -p my-build-1 my-build-2/my-subdirectory build/libs; echo 1 > my-build-1/my-file-1.txt; echo 2 > my-build-2/my-file-2.txt; echo 3 > my-build-2/my-subdirectory/my-file-3.txt; echo jar > build/libs/app.jar");
    let one_two = ["my-build-1/my-file-1.txt", "my-build-2/my-file-2.txt"];
    assert_eq!(names(&mut c, list(&["my-build*/my-file*.txt"])), one_two);
    for base in ["my-build*", "my-build-2", "./my-build-2/", "/codebuild/output/src1/src/my-build-2", "my-build-[2]"] {
        let request = List { base: base.into(), ..list(&["*/my-file-3.txt"]) };
        assert_eq!(names(&mut c, request), ["my-subdirectory/my-file-3.txt"], "{base}");
    }
    let found = find(&mut c, List { base: "my-build*".into(), discard_paths: true, ..list(&["**/*"]) }).unwrap();
    assert_eq!(found.names(), ["my-file-1.txt", "my-file-2.txt", "my-file-3.txt"]);
    assert_eq!((found.bases, found.matches), (vec!["my-build-1".into(), "my-build-2".into()], vec![3]));
    assert_eq!(names(&mut c, List { base: "build/libs".into(), ..list(&["app.jar"]) }), ["app.jar"]);
    assert_eq!(names(&mut c, list(&["build/libs/app.jar"])), ["build/libs/app.jar"]);
    assert_eq!(names(&mut c, List { discard_paths: true, ..list(&["build/libs/app.jar"]) }), ["app.jar"]);
    // Where a pattern may start.
    for pattern in [
        "./build/libs/*",
        "build//libs/*.jar",
        "/codebuild/output/src1/src/build/**/*",
        "build/**",
        "**/*.jar",
        "b*/{libs,x}/*",
    ] {
        assert_eq!(names(&mut c, list(&[pattern])), ["build/libs/app.jar"], "{pattern}");
    }
    // What a pattern selects twice is stored once, and counted for each.
    let found = find(&mut c, list(&["**/*.jar", "build/libs/*", "none", "my-build-1/*"])).unwrap();
    assert_eq!(found.names(), ["build/libs/app.jar", "my-build-1/my-file-1.txt"]);
    assert_eq!(found.matches, [1, 1, 0, 1]);
    assert_eq!(found.bases, ["."]);
    // A base that is not there.
    for base in ["none", "none*", "build/libs/app.jar"] {
        let found = find(&mut c, List { base: base.into(), ..list(&["**/*"]) }).unwrap();
        assert!(found.bases.is_empty() && found.entries.is_empty(), "{base}");
    }
    // The shell's directory does not matter; a bare directory is not expanded.
    c.sh("cd /tmp");
    assert_eq!(names(&mut c, list(&["build/libs", "build/"])), [""; 0]);
}

#[test]
fn excludes_hidden_files_and_collisions() {
    let Some(mut c) = Container::start() else { return };
    c.sh("mkdir -p .git/objects a/.cache b node_modules/x; for f in .git/config .git/objects/1 a/.cache/x a/.hidden a/f b/f node_modules/x/y '[id].js'; do echo \"$f\" > \"$f\"; done");
    let all = [".git/config", ".git/objects/1", "[id].js", "a/.cache/x", "a/.hidden", "a/f", "b/f", "node_modules/x/y"];
    assert_eq!(names(&mut c, list(&["**/*"])), all);
    let without = |c: &mut Container, exclude: &[&str]| {
        let exclude = exclude.iter().map(|e| (*e).to_owned()).collect();
        names(c, List { exclude, ..list(&["**/*"]) })
    };
    assert_eq!(without(&mut c, &["**/.*/**/*", "**/.*"]), ["[id].js", "a/f", "b/f", "node_modules/x/y"]);
    // Only hidden files themselves.
    assert_eq!(without(&mut c, &["**/.*"]).len(), 7);
    // Naming a directory means what is in it.
    assert_eq!(without(&mut c, &["./.git", "node_modules"]), ["[id].js", "a/.cache/x", "a/.hidden", "a/f", "b/f"]);
    assert_eq!(
        without(&mut c, &["/codebuild/output/src1/src/.git/**", "**/f", "node_modules/*", "a/.*/*"]),
        ["[id].js", "a/.hidden", "node_modules/x/y"]
    );
    assert_eq!(names(&mut c, list(&["\\[id\\].js"])), ["[id].js"]);
    // The same name twice: the last wins, and that is said.
    let found = find(&mut c, List { discard_paths: true, ..list(&["?/f"]) }).unwrap();
    assert_eq!(found.names(), ["f"]);
    assert!(found.entries[0].absolute.0.ends_with(b"/b/f"));
    assert!(found.skipped.len() == 1 && found.skipped[0].contains("a/f: replaced by"), "{:?}", found.skipped);
    // Outside of the base: below the place that the pattern climbs to.
    c.sh("mkdir -p ../other; echo > ../other/x; echo > /tmp/report.xml");
    assert_eq!(names(&mut c, list(&["../other/*", "/tmp/*.xml"])), ["other/x", "tmp/report.xml"]);
    assert_eq!(names(&mut c, List { base: "a".into(), ..list(&["../b/*"]) }), ["b/f"]);
    // `~` is HOME.
    c.sh("mkdir -p /root/.m2/repo; echo > /root/.m2/repo/x; HOME=/root");
    let found = find(&mut c, list(&["~/.m2/**/*"])).unwrap();
    assert_eq!(found.names(), ["root/.m2/repo/x"]);
    assert_eq!(found.entries[0].absolute, PathBytes::from("/root/.m2/repo/x"));
}

#[test]
fn caches_take_directories_and_links() {
    let Some(mut c) = Container::start() else { return };
    c.sh("mkdir -p node_modules/.bin node_modules/p/empty other; echo > node_modules/p/i.js; ln -s ../p/i.js node_modules/.bin/i; chmod 750 node_modules/p; echo > other/f; ln -s node_modules link");
    let cache = |patterns: &[&str]| List { links: Links::Keep, directories: true, ..list(patterns) };
    let all = [
        "node_modules/",
        "node_modules/.bin/",
        "node_modules/.bin/i -> ../p/i.js",
        "node_modules/p/",
        "node_modules/p/empty/",
        "node_modules/p/i.js",
    ];
    for pattern in
        ["node_modules", "node_modules/", "./node_modules", "node_modules/**/*", "node_modules/**", "{node_modules,x}"]
    {
        let found = find(&mut c, cache(&[pattern])).unwrap();
        let expected: &[&str] = if pattern.starts_with('{') { &all[..1] } else { &all };
        assert_eq!(found.names(), expected, "{pattern}");
    }
    let found = find(&mut c, cache(&["**/node_modules"])).unwrap();
    assert_eq!(found.names(), all);
    assert_eq!(found.entries.iter().find(|e| e.path.0.ends_with(b"/p")).unwrap().mode, 0o750);
    // A name that is not there, a link that is named, a directory that is passed through.
    assert_eq!(find(&mut c, cache(&["vendor"])).unwrap().matches, [0]);
    assert_eq!(names(&mut c, cache(&["link"])), ["link -> node_modules"]);
    assert_eq!(names(&mut c, cache(&["other/f"])), ["other/", "other/f"]);
    c.sh("mkdir -p /root/.m2/r; echo > /root/.m2/r/x");
    assert_eq!(names(&mut c, cache(&["/root/.m2/**/*"])), ["root/.m2/", "root/.m2/r/", "root/.m2/r/x"]);
    assert_eq!(names(&mut c, cache(&["/root/.m2"])), ["root/.m2/", "root/.m2/r/", "root/.m2/r/x"]);
}

#[test]
fn links_are_taken_as_asked() {
    let Some(mut c) = Container::start() else { return };
    c.sh("mkdir -p d/sub ../outside; echo 12345 > d/f; echo out > ../outside/o; ln -s d/f file; ln -s d dir; ln -s nowhere dangling; ln -s self self; ln -s .. d/up; ln -s ../../outside/o d/out; ln -s ../outside outdir; ln -s /etc/passwd passwd");
    let found = find(&mut c, list(&["**/*"])).unwrap();
    assert_eq!(found.names(), ["d/f", "d/out", "dir/f", "dir/out", "file", "outdir/o", "passwd"]);
    assert_eq!(found.entries.iter().find(|e| e.path.0 == b"file").unwrap().size, 6);
    let notes = found.skipped.join("\n");
    assert!(
        notes.contains("dangling: a symbolic link that leads nowhere")
            && notes.contains("up: a symbolic link leads back"),
        "{notes}"
    );
    let found = find(&mut c, List { links: Links::KeepInside, ..list(&["**/*"]) }).unwrap();
    assert_eq!(
        found.names(),
        [
            "d/f",
            "d/out",
            "d/up -> ..",
            "dangling -> nowhere",
            "dir -> d",
            "file -> d/f",
            "outdir/o",
            "passwd",
            "self -> self"
        ]
    );
    let found = find(&mut c, List { links: Links::Keep, ..list(&["**/*"]) }).unwrap();
    assert_eq!(found.entries.len(), 9);
    assert!(found.entries.iter().all(|e| e.path.0 == b"d/f" || matches!(e.kind, EntryKind::Symlink { .. })));
    // Links that multiply each other, without a circle: 2^30 paths.
    c.sh("mkdir m; cd m; for i in $(seq 30); do mkdir $i; ln -s ../$((i+1)) $i/a; ln -s ../$((i+1)) $i/b; done; cd ..");
    let found = find(&mut c, List { base: "m".into(), ..list(&["**/*.x"]) }).unwrap();
    assert!(
        found.skipped.iter().any(|note| note.contains("too many directories behind symbolic links")),
        "{:?}",
        found.skipped
    );
}

#[test]
fn hostile_trees_are_survived() {
    let Some(mut c) = Container::start() else { return };
    c.sh("mkdir t; cd t; mkfifo fifo; mknod null c 1 3; echo x > plain; perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => \"socket\", Listen => 1)' || true; truncate -s 1T sparse; ln fifo hard");
    c.sh("perl -e 'for my $b (1..255) { next if $b == 47; open(my $f, \">\", \"n\" . chr($b)) or die }' 2>/dev/null || for b in 001 012 377; do : > \"$(printf \"n\\\\$b.\")\"; done");
    let found = find(&mut c, List { base: "t".into(), ..list(&["*"]) }).unwrap();
    let names = found.names();
    assert!(names.contains(&"plain".to_owned()) && names.contains(&"sparse".to_owned()));
    assert!(!names.iter().any(|name| name == "fifo" || name == "null" || name == "socket"), "{names:?}");
    assert!(
        found.skipped.iter().any(|note| note.contains("a FIFO"))
            && found.skipped.iter().any(|note| note.contains("a device"))
    );
    assert_eq!(found.entries.iter().find(|e| e.path.0 == b"sparse").unwrap().size, 1 << 40);
    let odd = found.entries.iter().filter(|e| e.path.0.len() == 2 && e.path.0[0] == b'n').count();
    assert!(odd == 254 || odd == 0, "{odd}");
    assert!(found.entries.iter().any(|e| e.path.0.contains(&0xff)));
    // Deep: paths far beyond 4,096 bytes are found and sent; what is deeper than can be stored is told.
    c.sh("cd /codebuild/output/src1/src; mkdir deep; perl -e 'chdir \"deep\"; my $d = \"d\" x 200; for (1..400) { mkdir $d; chdir $d; if ($_ == 100) { open(F, \">\", \"bottom\"); print F \"reached\"; close F } } open(F, \">\", \"bottom\")'");
    let found = find(&mut c, list(&["deep/**/bottom"])).unwrap();
    assert_eq!(found.entries.len(), 1);
    assert!(found.entries[0].path.0.len() > 20_000);
    assert!(found.skipped.iter().any(|note| note.contains("too deep")), "{:?}", found.skipped);
    let sent = send(&mut c, vec![(0, 1)]);
    assert_eq!(sent[0].1, b"reached");
    c.sh("rm -rf deep 2>/dev/null; perl -MFile::Path -e 'exit 0'");
    // /proc and /sys are not searched from above.
    let found = find(&mut c, list(&["/**/status"])).unwrap();
    assert!(!found.names().iter().any(|name| name.starts_with("proc/")), "{:?}", found.names());
    assert!(found.skipped.iter().any(|note| note.contains("/proc: left out")), "{:?}", found.skipped);
}

#[test]
fn too_much_is_refused_and_time_is_kept() {
    let Some(mut c) = Container::start() else { return };
    c.sh("mkdir many; cd many; seq 1 30000 | xargs touch");
    let error = find(&mut c, List { max_entries: 29_999, ..list(&["many/*"]) }).err().unwrap();
    assert!(error.contains("more than 29999 files"), "{error}");
    assert_eq!(
        find(&mut c, List { max_entries: 30_000, ..list(&["many/*", "**/*", "many/**"]) }).unwrap().entries.len(),
        30_000
    );
    let found = find(&mut c, List { budget_ms: Some(0), ..list(&["**/*"]) }).unwrap();
    assert!(found.incomplete && found.entries.len() < 30_000);
    assert!(!find(&mut c, List { budget_ms: Some(600_000), ..list(&["**/*"]) }).unwrap().incomplete);
    for wrong in ["", &"x".repeat(10_000)] {
        assert!(find(&mut c, list(&[wrong])).is_err());
    }
    // A tree that changes meanwhile: whatever is found, it ends, and nothing but the tree is in it.
    let id = c.begin(
        "(while :; do mkdir -p a/b/c; touch a/b/c/f; mv a z; ln -s /etc a; rm -rf z a; done) >/dev/null 2>&1 & echo on",
    );
    c.finish(id);
    for _ in 0..50 {
        let found = find(&mut c, List { links: Links::Keep, ..list(&["many/{a,z}/**/*"]) }).unwrap();
        assert!(found.names().iter().all(|name| name.ends_with("/f")), "{:?}", found.names());
    }
}

/// Reads a transfer: entries, contents, ends.
fn read_transfer(c: &mut Container) -> Vec<(Entry, Vec<u8>, FileEnd)> {
    let mut inbox = FrameBuffer::new();
    let mut files = Vec::new();
    let mut current: Option<(Entry, Vec<u8>)> = None;
    loop {
        while let Some(frame) = inbox.next_frame().unwrap() {
            let frame: Frame<'_> = frame;
            match frame.kind {
                kind::ENTRY => assert!(current.replace((decode(&frame).unwrap(), Vec::new())).is_none()),
                kind::CONTENT => current.as_mut().unwrap().1.extend_from_slice(frame.payload),
                kind::FILE_END => {
                    let (entry, bytes) = current.take().unwrap();
                    files.push((entry, bytes, decode(&frame).unwrap()));
                }
                kind::TRANSFER_END => return files,
                other => panic!("frame of kind {other}"),
            }
        }
        let read = c.data.read(inbox.space(1 << 20)).unwrap();
        assert!(read > 0);
        inbox.commit(read);
    }
}

fn send(c: &mut Container, ranges: Vec<(u32, u32)>) -> Vec<(Entry, Vec<u8>, FileEnd)> {
    let id = c.id();
    c.send(&ToAgent::Send { id, ranges });
    let files = read_transfer(c);
    assert_eq!(c.message(), FromAgent::Done { id });
    files
}

fn json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let mut frame = Vec::new();
    kiln_wire::agent::encode(0, value, &mut frame).unwrap();
    frame.split_off(kiln_wire::frame::HEADER)
}

#[test]
fn files_are_sent_and_put_back_as_they_were() {
    let Some(mut c) = Container::start() else { return };
    c.sh("mkdir -p t/sub/empty; printf 'small' > t/a; : > t/zero; seq 1 700000 > t/big; chmod 755 t/big; chmod 4711 t/a; ln -s ../a t/sub/l; printf x > \"t/$(printf 'n\\377')\"; touch -d @1000000000.123456789 t/a t/sub/empty t/sub; touch -h -d @1500000000 t/sub/l; chmod 1770 t/sub/empty");
    let found =
        find(&mut c, List { base: "t".into(), links: Links::Keep, directories: true, ..list(&["**/*"]) }).unwrap();
    let count = u32::try_from(found.entries.len()).unwrap();
    let sent = send(&mut c, vec![(0, count)]);
    assert_eq!(sent.iter().map(|s| &s.0).collect::<Vec<_>>(), found.entries.iter().collect::<Vec<_>>());
    assert!(sent.iter().all(|s| s.2 == FileEnd { error: None }));
    let before = c.sh("cd t; find . -printf '%p %y %m %T@ %l %s\\n' | grep -v '^\\. ' | LC_ALL=C sort; cat big | md5sum; cat a; cd ..");
    c.sh("rm -rf t; mkdir -p t/sub/l; mkdir t/keep; ln -s /etc/passwd t/a");
    // The place of the link is taken by a directory: told, and left alone. Everything else is written.
    let id = c.id();
    c.send(&ToAgent::Receive { id });
    let put = |c: &mut Container, sent: &[(Entry, Vec<u8>, FileEnd)]| {
        for (entry, bytes, end) in sent {
            let entry = Entry { path: entry.absolute.clone(), ..entry.clone() };
            c.send_data(kind::ENTRY, &json(&entry));
            for part in bytes.chunks(300_000) {
                c.send_data(kind::CONTENT, part);
            }
            c.send_data(kind::FILE_END, &json(end));
        }
        c.send_data(kind::TRANSFER_END, &[]);
    };
    put(&mut c, &sent);
    match c.message() {
        FromAgent::Received { id: answered, files, problems, failed } => {
            let all = sent.iter().filter(|(entry, ..)| !matches!(entry.kind, EntryKind::Directory)).count() as u64;
            assert_eq!((answered, files, failed), (id, all - 1, 1), "{problems:?}");
            assert!(problems[0].contains("t/sub/l"), "{problems:?}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(c.sh("ls -A t t/sub | grep -c part || true"), "0\n");
    c.sh("rmdir t/sub/l t/keep; head -c 5 /etc/passwd | grep -q root");
    let id = c.id();
    c.send(&ToAgent::Receive { id });
    put(&mut c, &sent);
    assert!(matches!(c.message(), FromAgent::Received { failed: 0, .. }));
    assert_eq!(c.sh("cd t; find . -printf '%p %y %m %T@ %l %s\\n' | grep -v '^\\. ' | LC_ALL=C sort; cat big | md5sum; cat a; cd .."), before);
    // Parts of a list, in order; what is out of order or beyond it is refused.
    let names: Vec<_> = send(&mut c, vec![(1, 2), (3, 3), (4, 5)]).into_iter().map(|s| s.0).collect();
    assert_eq!(names, [found.entries[1].clone(), found.entries[4].clone()]);
    for ranges in [vec![(2, 3), (1, 2)], vec![(3, 2)], vec![(0, count + 1)], vec![(u32::MAX, u32::MAX)]] {
        let id = c.id();
        assert!(matches!(c.request(&ToAgent::Send { id, ranges }), FromAgent::Failed { .. }));
    }
}

#[test]
fn files_that_change_or_cannot_be_written_are_told() {
    let Some(mut c) = Container::start() else { return };
    c.sh("mkdir t; for f in gone fifo link short long same; do seq 1 1000 > t/$f; done");
    let found = find(&mut c, list(&["t/*"])).unwrap();
    c.sh("rm t/gone t/fifo t/link; mkfifo t/fifo; ln -s /dev/zero t/link; : > t/short; seq 1 2000 > t/long");
    let count = u32::try_from(found.entries.len()).unwrap();
    let errors: BTreeMap<String, Option<String>> = send(&mut c, vec![(0, count)])
        .into_iter()
        .map(|(entry, _, end)| (String::from_utf8(entry.path.0).unwrap(), end.error))
        .collect();
    assert!(errors["t/gone"].is_some() && errors["t/fifo"].is_some() && errors["t/link"].is_some(), "{errors:?}");
    assert!(errors["t/same"].is_none() && errors["t/long"].is_none(), "{errors:?}");
    // Receiving: bad places are told, the rest is written; a file given up by the sender does not appear.
    let file = |path: &str| Entry {
        path: path.into(),
        absolute: path.into(),
        kind: EntryKind::File,
        mode: 0o644,
        size: 1,
        mtime_ns: -1,
        ctime_ns: 0,
        inode: 0,
    };
    let id = c.id();
    c.send(&ToAgent::Receive { id });
    for (path, error) in [
        ("relative", None),
        ("/", None),
        ("/etc/passwd/x", None),
        ("/tmp/full", None),
        ("/tmp/broken", Some("gone".to_owned())),
        ("/tmp/new/dir/good", None),
    ] {
        c.send_data(kind::ENTRY, &json(&file(path)));
        c.send_data(kind::CONTENT, b"x");
        c.send_data(kind::FILE_END, &json(&FileEnd { error }));
    }
    c.send_data(kind::TRANSFER_END, &[]);
    match c.message() {
        FromAgent::Received { files: 2, problems, failed: 4, .. } => assert_eq!(problems.len(), 4, "{problems:?}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(c.sh("cat /tmp/new/dir/good; stat -c ' %a %Y' /tmp/new/dir/good; ls -A /tmp"), "x 644 -1\nfull\nnew\n");
}

#[test]
fn output_arrives_while_files_are_moved() {
    let Some(mut c) = Container::start() else { return };
    c.sh("mkdir t; cd t; head -c 30000000 /dev/zero > zeros; seq 1 20000 | xargs touch; cd ..");
    let background = c.begin(
        "mkfifo /tmp/go; (read x < /tmp/go; for i in $(seq 200); do echo line $i; done; echo finished) & echo on",
    );
    c.finish(background);
    c.sh("echo > /tmp/go");
    let found = find_with_output(&mut c, list(&["t/*"]));
    assert_eq!(found, 20_001);
    let sent = send(&mut c, vec![(0, 20_001)]);
    assert_eq!(sent.iter().map(|s| s.1.len()).sum::<usize>(), 30_000_000);
    c.wait_for_output(background, "line 200\nfinished\n");
}

/// Lists while output comes in between; the number of entries.
fn find_with_output(c: &mut Container, request: List) -> usize {
    let id = c.id();
    c.send(&ToAgent::List(List { id, ..request }));
    let mut entries = 0;
    loop {
        let (kind, payload) = c.frame().expect("the agent ended");
        match kind {
            kind::ENTRY => entries += 1,
            kind::OUTPUT => {
                let (id, bytes) = kiln_wire::agent::decode_output(&Frame { kind, payload: &payload }).unwrap();
                c.late.entry(id).or_default().extend_from_slice(bytes);
            }
            _ => return entries,
        }
    }
}

#[test]
fn helper_commands_work() {
    let Some(mut c) = Container::start() else { return };
    c.sh("mkdir -p a b; printf 1 > a/package-lock.json; printf 2 > b/package-lock.json");
    let one = c.sh("codebuild-hash-files a/package-lock.json");
    assert_eq!(one, c.sh("printf 1 | sha256sum | cut -d ' ' -f 1 | xxd -r -p | sha256sum | cut -d ' ' -f 1"));
    let both = c.sh("codebuild-hash-files '**/package-lock.json'");
    assert_eq!(both, c.sh("codebuild-hash-files b/package-lock.json a/package-lock.json '**/*lock*'"));
    assert_ne!(both, one);
    c.sh("printf 3 > b/package-lock.json");
    assert_ne!(both, c.sh("codebuild-hash-files '**/package-lock.json'"));
    let ran = c.run("codebuild-hash-files none '*.x'");
    assert_eq!(
        (ran.exit, ran.text()),
        (kiln_wire::agent::CommandExit::Code(1), "codebuild-hash-files: no file matches none *.x\n".into())
    );
    assert_eq!(c.run("codebuild-hash-files").exit, kiln_wire::agent::CommandExit::Code(2));
    assert_eq!(
        c.sh("cd a; codebuild-glob-search '*' '../b/*'; cd .."),
        "/codebuild/output/src1/src/b/package-lock.json\npackage-lock.json\n"
    );
    assert_eq!(c.sh("codebuild-breakpoint; codebuild-resume && echo on"), "on\n");
    c.sh("mkdir tests; touch tests/1.py tests/2.py 'tests/3 x.py'");
    let search = "--files-search \"codebuild-glob-search 'tests/*.py'\"";
    assert_eq!(
        c.sh(&format!("codebuild-tests-run --test-command 'printf %s\\\\n' {search}")),
        "Shard 1 of 1: 3 of 3 test files\ntests/1.py\ntests/2.py\ntests/3 x.py\n"
    );
    let sharded = c.sh(&format!("CODEBUILD_TOTAL_SHARDS=3 CODEBUILD_CURRENT_SHARD=1 codebuild-tests-run --test-command 'echo \"<$CODEBUILD_CURRENT_SHARD_FILES>\"' {search}; echo ${{CODEBUILD_CURRENT_SHARD_FILES-unset}}"));
    assert_eq!(sharded, "Shard 2 of 3: 1 of 3 test files\n<tests/2.py>\nunset\n");
    assert_eq!(
        c.run(&format!("codebuild-tests-run --test-command 'exit 9; #' {search}")).exit,
        kiln_wire::agent::CommandExit::Code(9)
    );
}
