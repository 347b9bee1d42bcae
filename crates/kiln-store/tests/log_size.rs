//! A large log: complete, in order, without memory growing with it. 1 GB with `KILN_SOAK`, 48 MB otherwise.

#![allow(clippy::unwrap_used, reason = "a helper that cannot go on fails its test")]

use std::{fs, io::Read};

use kiln_store::{LogReader, LogWriter};
use kiln_wire::journal::{Body, Decoder, Encoder, file_header};

/// Most memory that this process has had, KiB.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_large_log_is_complete_and_memory_stays_flat() {
    let goal: u64 = if std::env::var_os("KILN_SOAK").is_some() { 1 << 30 } else { 48 << 20 };
    let dir = tempfile::tempdir().unwrap();
    let before = peak_kib();
    let mut writer = LogWriter::open(dir.path()).unwrap();
    writer.append(&file_header()).unwrap();
    let mut encoder = Encoder::new();
    let (mut journal, mut text) = (Vec::new(), Vec::new());
    let mut lines = 0u64;
    while writer.position().text < goal {
        text.clear();
        for _ in 0..8000 {
            lines += 1;
            text.extend_from_slice(format!("{lines}\n").as_bytes());
        }
        journal.clear();
        encoder.output(lines, 1, &text, &mut journal).unwrap();
        writer.append(&journal).unwrap();
    }
    writer.finish().unwrap();
    let reader = LogReader::open(dir.path()).unwrap();
    let stats = reader.stats();
    assert_eq!(stats.lines, lines);
    assert!(stats.finished && stats.stored < stats.journal);

    // Whole and in order.
    let mut decoder = Decoder::new();
    let mut stream = reader.journal_from(0);
    let mut buffer = vec![0; 64 << 10];
    let mut expected = 1u64;
    loop {
        let n = stream.read(&mut buffer).unwrap();
        if n == 0 {
            break;
        }
        decoder.push(&buffer[..n]);
        while let Some(record) = decoder.next_record().unwrap() {
            let Body::Output { bytes, .. } = record.body else { panic!("only output was written") };
            for line in bytes.split_inclusive(|b| *b == b'\n') {
                assert_eq!(line, format!("{expected}\n").as_bytes());
                expected += 1;
            }
        }
    }
    assert_eq!(expected - 1, lines);

    // Anywhere, without reading what is before.
    for number in [0, lines / 3, lines - 2] {
        let page = reader.lines(number, 2).unwrap();
        assert_eq!(page[0].bytes, (number + 1).to_string().as_bytes());
        assert_eq!(page[0].number, number);
    }
    let tail = reader.tail(3).unwrap();
    assert_eq!(tail.last().unwrap().bytes, lines.to_string().as_bytes());
    assert_eq!(reader.at_time(lines).unwrap(), Some(lines - 8000));

    let grown = peak_kib() - before;
    assert!(grown < 32 << 10, "memory grew by {grown} KiB");
}
