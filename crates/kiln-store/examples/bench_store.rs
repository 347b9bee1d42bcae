//! Prints how fast the store is on this machine: `cargo run --release -p kiln-store --example bench_store [DIRECTORY]`; with a
//! text as well (`bench/buildlog.py` writes one like a build's) how fast a gigabyte of it is stored and searched.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on fails")]

use std::{
    io::Read,
    path::Path,
    time::{Duration, Instant},
};

use kiln_store::{
    Blobs, Context, Keys, LogReader, LogWriter, Metadata, Sealing,
    keys::DEFAULT_KEY,
    logs::{Query, Scope},
    metadata::{BuildRecord, BuildState},
};
use kiln_wire::journal::{Encoder, file_header};

fn build(n: i64) -> BuildRecord {
    BuildRecord {
        uuid: format!("{n:032x}"),
        project: "bench".to_owned(),
        number: n,
        state: BuildState::Ended,
        status: "SUCCEEDED".to_owned(),
        submitted_ms: n,
        started_ms: Some(n),
        ended_ms: Some(n),
        version: 1,
        doc: "x".repeat(3000),
    }
}

fn rate(what: &str, count: f64, unit: &str, took: Duration) {
    println!("{what:<44} {:>12.0} {unit}/s", count / took.as_secs_f64());
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn main() {
    let base = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let dir = tempfile::tempdir_in(base).unwrap();
    let before = resident_kib();
    if let Some(text) = std::env::args().nth(2) {
        searches(&dir.path().join("log"), &std::fs::read(text).unwrap());
        return;
    }
    let begun = Instant::now();
    let metadata = Metadata::open(dir.path()).unwrap();
    println!("{:<44} {:>12.1} ms", "first opening", begun.elapsed().as_secs_f64() * 1000.0);
    writes(&metadata);
    reads(&metadata);
    println!("{:<44} {:>12} KiB", "memory, metadata in use", resident_kib() - before);
    drop(metadata);
    let begun = Instant::now();
    let metadata = Metadata::open(dir.path()).unwrap();
    println!("{:<44} {:>12.1} ms", "opening again", begun.elapsed().as_secs_f64() * 1000.0);
    blobs(dir.path(), &metadata);
    logs(&dir.path().join("log"));
}

fn writes(metadata: &Metadata) {
    let mut times: Vec<Duration> = (0..300)
        .map(|n| {
            let begun = Instant::now();
            metadata.write_blocking(move |tx| tx.insert_build(&build(n)).map(drop)).unwrap();
            begun.elapsed()
        })
        .collect();
    times.sort();
    for (name, at) in [("median", times.len() / 2), ("99th of 100", times.len() * 99 / 100)] {
        println!("{:<44} {:>12.2} ms", format!("one write, {name}"), times[at].as_secs_f64() * 1000.0);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let mut next = 1_000_000;
    for at_once in [16, 256, 2000] {
        let begun = Instant::now();
        let mut done = 0;
        while begun.elapsed() < Duration::from_secs(1) {
            runtime.block_on(async {
                let waiting: Vec<_> = (0..at_once)
                    .map(|_| {
                        next += 1;
                        let n = next;
                        metadata.write(move |tx| tx.insert_build(&build(n)).map(drop))
                    })
                    .collect();
                for write in waiting {
                    write.await.unwrap();
                    done += 1;
                }
            });
        }
        rate(&format!("writes, {at_once} at once"), f64::from(done), "builds", begun.elapsed());
    }
}

fn reads(metadata: &Metadata) {
    let begun = Instant::now();
    let mut count = 0;
    while begun.elapsed() < Duration::from_secs(1) {
        let n = i64::from(count % 300);
        assert!(metadata.read(|view| view.build(&format!("{n:032x}"))).unwrap().is_some());
        count += 1;
    }
    rate("reads of a build", f64::from(count), "builds", begun.elapsed());
}

fn blobs(dir: &Path, metadata: &Metadata) {
    const MIB: usize = 512;
    let keys = Keys::open(&dir.join("keys"), metadata, 1).unwrap();
    let blobs = Blobs::open(&dir.join("blobs"), keys).unwrap();
    let context = Context::new().with("object", "x");
    for (name, sealing) in [("sealed", Sealing::Key(DEFAULT_KEY)), ("plain", Sealing::Plain)] {
        let piece = vec![7; 1 << 20];
        let begun = Instant::now();
        let mut writer = blobs.create(sealing, &context).unwrap();
        for _ in 0..MIB {
            writer.append(&piece).unwrap();
        }
        let info = writer.finish().unwrap();
        rate(&format!("blob, {name}, written and synced"), 512.0, "MiB", begun.elapsed());
        let begun = Instant::now();
        let mut stream = blobs.reader(&info.id, &context).unwrap().stream();
        let mut buffer = vec![0; 256 << 10];
        while stream.read(&mut buffer).unwrap() > 0 {}
        rate(&format!("blob, {name}, read"), 512.0, "MiB", begun.elapsed());
        blobs.remove(&info.id).unwrap();
    }
}

fn logs(dir: &Path) {
    let mut journal = file_header().to_vec();
    let mut encoder = Encoder::new();
    let mut lines = 0u32;
    while lines < 10_000_000 {
        let text: String = (0..8000).map(|n| format!("{}\n", lines + n)).collect();
        lines += 8000;
        encoder.output(1, 1, text.as_bytes(), &mut journal).unwrap();
    }
    let begun = Instant::now();
    let mut writer = LogWriter::open(dir).unwrap();
    for piece in journal.chunks(256 << 10) {
        // A record that a piece cuts is taken with the next one.
        let end = piece.as_ptr_range().end as usize - journal.as_ptr() as usize;
        let from = usize::try_from(writer.position().offset).unwrap();
        writer.append(&journal[from..end]).unwrap();
    }
    writer.finish().unwrap();
    rate("log, appended and synced", f64::from(lines), "lines", begun.elapsed());
    let begun = Instant::now();
    let reader = LogReader::open(dir).unwrap();
    std::io::copy(&mut reader.journal_from(0), &mut std::io::sink()).unwrap();
    rate("log, read as a journal", f64::from(lines), "lines", begun.elapsed());
    let begun = Instant::now();
    assert_eq!(reader.lines(9_000_000, 100).unwrap().len(), 100);
    println!("{:<44} {:>12.2} ms", "100 lines from the 9,000,000th", begun.elapsed().as_secs_f64() * 1000.0);
}

/// A gigabyte of a text: stored, opened, searched.
fn searches(dir: &Path, text: &[u8]) {
    const ALL: Scope = Scope { first: 0, last: u64::MAX, unfinished: true };
    let mut writer = LogWriter::open(dir).unwrap();
    let mut encoder = Encoder::new();
    writer.append(&file_header()).unwrap();
    let begun = Instant::now();
    let mut record = Vec::new();
    while writer.position().text < 1 << 30 {
        for piece in text.chunks(64 << 10) {
            record.clear();
            encoder.output(writer.position().text, 1, piece, &mut record).unwrap();
            writer.append(&record).unwrap();
        }
    }
    record.clear();
    encoder.output(u64::MAX, 1, b"the needle at the end\n", &mut record).unwrap();
    writer.append(&record).unwrap();
    writer.finish().unwrap();
    let stats = LogReader::open(dir).unwrap().stats();
    rate("log like a build's, appended and synced", stats.text as f64 / 1e6, "MB", begun.elapsed());
    println!("{:<44} {:>12.3}", "bytes on disk for one of the log", stats.stored as f64 / stats.text as f64);
    println!("{:<44} {:>12} lines, {} bytes", "it has", stats.lines, stats.text);
    let timed = |what: &str, work: &mut dyn FnMut() -> u64| {
        let mut best = Duration::MAX;
        let mut said = 0;
        for _ in 0..5 {
            let begun = Instant::now();
            said = work();
            best = best.min(begun.elapsed());
        }
        println!("{what:<44} {:>12.2} ms ({said})", best.as_secs_f64() * 1e3);
    };
    timed("opened", &mut || LogReader::open(dir).unwrap().stats().lines);
    let reader = LogReader::open(dir).unwrap();
    timed("1000 lines from its middle", &mut || reader.lines(stats.lines / 2, 1000).unwrap().len() as u64);
    timed("the line that holds its middle byte", &mut || reader.at_byte(stats.text / 2).unwrap().unwrap());
    timed("the line of a time in its middle", &mut || reader.at_time(stats.text / 2).unwrap().unwrap());
    for (text, ignore_case) in
        [("needle", false), ("Needle", true), ("absent words", false), ("e", false), ("warning: unused", true)]
    {
        let query = Query::text(text, ignore_case).unwrap();
        let what = format!("'{text}'{}", if ignore_case { ", any case" } else { "" });
        timed(&format!("first 100 lines with {what}"), &mut || {
            reader.search(&query, ALL, false, 100).unwrap().lines.len() as u64
        });
        timed(&format!("last 100 lines with {what}"), &mut || {
            reader.search(&query, ALL, true, 100).unwrap().lines.len() as u64
        });
        timed(&format!("all lines with {what} counted"), &mut || reader.count(&query, ALL).unwrap().matched);
    }
    for pattern in [r"needle at the \w+$", r"took_ms.:[78]\d\d", r"^\[Container\] .*make"] {
        let query = Query::pattern(pattern, false).unwrap();
        timed(&format!("lines like {pattern} counted"), &mut || reader.count(&query, ALL).unwrap().matched);
    }
}
