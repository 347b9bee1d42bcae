use std::io::Read;

use kiln_wire::{
    event::Event,
    journal::{Encoder, file_header},
};
use proptest::prelude::*;

use super::*;

/// A journal whose records have these texts (`None`: an event), a second apart.
fn journal(texts: &[Option<Vec<u8>>]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    let mut bytes = file_header().to_vec();
    for (i, text) in texts.iter().enumerate() {
        let time = (i as u64 + 1) * 1_000_000_000;
        match text {
            Some(text) if i % 2 == 0 => encoder.output(time, 3, text, &mut bytes),
            Some(text) => encoder.service(time, text, &mut bytes),
            None => encoder.event(time, &Event::Notice { text: "x".to_owned() }, &mut bytes),
        }
        .unwrap();
    }
    bytes
}

fn journal_of(reader: &LogReader, from: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    reader.journal_from(from).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Lines as they should be: number, time, text, whether complete.
fn model(texts: &[Option<Vec<u8>>]) -> Vec<(u64, u64, Vec<u8>, bool)> {
    let mut lines = Vec::new();
    let mut line = Vec::new();
    let mut last = 0;
    for (i, text) in texts.iter().enumerate() {
        let time = (i as u64 + 1) * 1_000_000_000;
        for byte in text.iter().flatten() {
            last = time;
            if *byte == b'\n' {
                lines.push((lines.len() as u64, time, std::mem::take(&mut line), true));
            } else {
                line.push(*byte);
            }
        }
    }
    if !line.is_empty() {
        lines.push((lines.len() as u64, last, line, false));
    }
    lines
}

fn seen(lines: Vec<Line>) -> Vec<(u64, u64, Vec<u8>, bool)> {
    lines.into_iter().map(|l| (l.number, l.time_ns, l.bytes, l.complete)).collect()
}

fn texts() -> impl Strategy<Value = Vec<Option<Vec<u8>>>> {
    let byte = prop_oneof![Just(b'\n'), Just(b'a'), any::<u8>()];
    prop::collection::vec(prop::option::weighted(0.8, prop::collection::vec(byte, 0..60)), 0..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the pieces in which it arrives, wherever it is flushed, and however often the writer starts again: the log
    /// is the journal, and its lines are the journal's lines.
    #[test]
    fn the_log_is_the_journal(
        texts in texts(),
        pieces in prop::collection::vec((1usize..300, any::<bool>(), any::<bool>()), 1..40),
        from in any::<prop::sample::Index>(),
        max in 1usize..10,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let logs = Logs::open(dir.path()).unwrap();
        let bytes = journal(&texts);
        let mut writer = logs.writer("g", "s").unwrap();
        let mut pieces = pieces.iter().cycle();
        let mut available = 0usize;
        while writer.position().offset < bytes.len() as u64 {
            let (n, flush, restart) = pieces.next().unwrap();
            available = (available + n).min(bytes.len());
            let at = usize::try_from(writer.position().offset).unwrap();
            writer.append(&bytes[at..available.max(at)]).unwrap();
            if *flush || available == bytes.len() {
                writer.flush().unwrap();
            }
            if *restart {
                drop(writer);
                writer = logs.writer("g", "s").unwrap();
                // What waited is gone with the writer, and is asked for again.
            }
        }
        writer.finish().unwrap();
        writer.finish().unwrap();
        let reader = logs.reader("g", "s").unwrap();
        prop_assert_eq!(journal_of(&reader, 0), bytes.clone());
        let offset = from.index(bytes.len() + 1);
        prop_assert_eq!(journal_of(&reader, offset as u64), &bytes[offset..]);

        let model = model(&texts);
        let mut lines = Vec::new();
        while let page = reader.lines(lines.len() as u64, max).unwrap() && !page.is_empty() {
            prop_assert!(page.len() <= max);
            lines.extend(page);
        }
        let text = texts.iter().flatten().flatten().copied().collect::<Vec<u8>>();
        for line in &lines {
            let start = usize::try_from(line.start).unwrap();
            prop_assert_eq!(&text[start..start + line.bytes.len()], &line.bytes);
            for at in line.start..line.start + line.length + u64::from(line.complete) {
                prop_assert_eq!(reader.at_byte(at).unwrap(), Some(line.number));
            }
        }
        prop_assert_eq!(reader.at_byte(text.len() as u64).unwrap(), None);
        prop_assert_eq!(seen(lines), &model[..]);
        let stats = reader.stats();
        prop_assert!(stats.finished);
        prop_assert_eq!(stats.journal, bytes.len() as u64);
        prop_assert_eq!(stats.records, texts.len() as u64);
        prop_assert_eq!(stats.lines, model.iter().filter(|l| l.3).count() as u64);
        prop_assert_eq!(stats.text, texts.iter().flatten().map(Vec::len).sum::<usize>() as u64);
        for n in 0..=model.len() + 1 {
            let tail = reader.tail(n).unwrap();
            prop_assert_eq!(seen(tail), &model[model.len().saturating_sub(n)..]);
        }
        for second in 0..=texts.len() as u64 + 1 {
            let time = second * 1_000_000_000;
            let expected = model.iter().find(|l| l.3 && l.1 >= time).map(|l| l.0);
            prop_assert_eq!(reader.at_time(time).unwrap(), expected);
        }
    }

    /// Wherever the segments end, and however far the journal may be read: a log that is still written has each whole record.
    #[test]
    fn a_live_log_has_what_no_segment_has_yet(
        texts in texts(),
        flushed in any::<prop::sample::Index>(),
        end in any::<prop::sample::Index>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let bytes = journal(&texts);
        let path = dir.path().join("journal");
        fs::write(&path, &bytes).unwrap();
        let (flushed, end) = (flushed.index(bytes.len() + 1), end.index(bytes.len() + 1));
        let directory = dir.path().join("log");
        if flushed > 0 {
            let mut writer = LogWriter::open(&directory).unwrap();
            writer.append(&bytes[..flushed]).unwrap();
            writer.flush().unwrap();
        }
        let live = LogReader::open_live(&directory, &fs::File::open(&path).unwrap(), end as u64).unwrap();
        let mut decoder = kiln_wire::journal::Decoder::new();
        decoder.push(&bytes[..flushed.max(end)]);
        let mut known = Vec::new();
        while let Some(record) = decoder.next_raw().unwrap() {
            known.push(Some(record.text.to_vec()));
        }
        let whole = usize::try_from(decoder.offset()).unwrap();
        let journal = journal_of(&live, 0);
        // Records count, not the header of the file, which may be there without any.
        prop_assert!(journal == bytes[..whole] || known.is_empty());
        prop_assert_eq!(seen(live.lines(0, 1000).unwrap()), model(&known));
        let stats = live.stats();
        prop_assert_eq!(stats.records, known.len() as u64);
        prop_assert!(!stats.finished);
    }

    #[test]
    fn hostile_headers_are_refused_or_bounded(bytes in any::<[u8; 32]>(), at in 0usize..80) {
        let mut header = segment::Header {
            kind: segment::Kind::Zstd, raw: 100, stored: 50, records: 1, lines: 1, text: 10, content_crc: 0,
            offset: 0, seq: 0, lines_before: 0, text_before: 0, first_ns: 0, last_ns: 0,
        }.encode();
        let n = bytes.len().min(80 - at);
        header[at..at + n].copy_from_slice(&bytes[..n]);
        let crc = crc32fast::hash(&header[..80]);
        header[80..].copy_from_slice(&crc.to_le_bytes());
        if let Some(h) = segment::Header::decode(&header) {
            prop_assert!(h.raw as usize <= segment::MAX_RAW && h.stored <= h.raw);
        }
    }

    #[test]
    fn any_bytes_are_no_log_or_a_bounded_one(segments in prop::collection::vec(any::<u8>(), 0..400), index in prop::collection::vec(any::<u8>(), 0..400)) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("segments"), &segments).unwrap();
        std::fs::write(dir.path().join("index"), &index).unwrap();
        let reader = LogReader::open(dir.path()).unwrap();
        prop_assert_eq!(reader.stats().segments, 0);
        prop_assert_eq!(reader.lines(0, 10).unwrap(), vec![]);
        prop_assert_eq!(LogWriter::open(dir.path()).unwrap().position(), LogPosition::default());
    }
}

/// A log of several segments, and its journal.
fn several(dir: &Path) -> Vec<u8> {
    let texts: Vec<_> = (0..12).map(|i| Some(format!("line {i}\n").into_bytes())).collect();
    let bytes = journal(&texts);
    let mut writer = LogWriter::open(dir).unwrap();
    while writer.position().offset < bytes.len() as u64 {
        let at = usize::try_from(writer.position().offset).unwrap();
        writer.append(&bytes[at..(at + 120).min(bytes.len())]).unwrap();
        writer.flush().unwrap();
    }
    writer.finish().unwrap();
    bytes
}

#[test]
fn a_torn_end_is_cut_at_every_byte() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = several(dir.path());
    let segments = fs::read(dir.path().join("segments")).unwrap();
    for torn in 0..segments.len() {
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join("segments"), &segments[..torn]).unwrap();
        // The index may have got further than the segments.
        fs::copy(dir.path().join("index"), other.path().join("index")).unwrap();
        let before = journal_of(&LogReader::open(other.path()).unwrap(), 0);
        assert_eq!(before, bytes[..before.len()], "torn at {torn}");
        let mut writer = LogWriter::open(other.path()).unwrap();
        assert!(!writer.is_finished());
        assert_eq!(writer.position().offset, before.len() as u64, "torn at {torn}");
        writer.append(&bytes[before.len()..]).unwrap();
        writer.flush().unwrap();
        assert_eq!(journal_of(&LogReader::open(other.path()).unwrap(), 0), bytes, "torn at {torn}");
    }
}

#[test]
fn a_flipped_bit_is_found_or_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = several(dir.path());
    for file in ["segments", "index"] {
        let whole = fs::read(dir.path().join(file)).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1 << (at % 8);
            fs::write(dir.path().join(file), &changed).unwrap();
            let reader = LogReader::open(dir.path()).unwrap();
            let mut read = Vec::new();
            let ended = reader.journal_from(0).read_to_end(&mut read);
            assert_eq!(read, bytes[..read.len()], "{file} byte {at}");
            // A short log is seen as such: it has no end mark.
            assert!(ended.is_err() || read.len() == bytes.len() || !reader.stats().finished, "{file} byte {at}");
        }
        fs::write(dir.path().join(file), &whole).unwrap();
    }
}

#[test]
fn what_is_not_the_next_record_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = journal(&[Some(b"a\n".to_vec()), Some(b"b\n".to_vec())]);
    let mut writer = LogWriter::open(dir.path()).unwrap();
    assert!(matches!(writer.append(&bytes[8..]), Err(LogError::Journal(_))));
    assert_eq!(writer.position().offset, 0);
    writer.append(&bytes[..40]).unwrap();
    let at = writer.position().offset;
    assert!(matches!(writer.append(&bytes[8..]), Err(LogError::Journal(_))));
    assert_eq!(writer.position().offset, at);
    writer.append(&bytes[usize::try_from(at).unwrap()..]).unwrap();
    writer.finish().unwrap();
    assert!(matches!(writer.append(&[]), Err(LogError::Finished { .. })));
    assert_eq!(journal_of(&LogReader::open(dir.path()).unwrap(), 0), bytes);
}

#[test]
fn long_lines_are_cut_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let long = vec![b'x'; 3 << 20];
    let bytes = journal(&[Some(long), Some(b"\nshort\n".to_vec())]);
    let mut writer = LogWriter::open(dir.path()).unwrap();
    writer.append(&bytes).unwrap();
    writer.finish().unwrap();
    let lines = LogReader::open(dir.path()).unwrap().lines(0, 10).unwrap();
    assert_eq!(lines.len(), 2);
    assert_eq!((lines[0].bytes.len(), lines[0].length), (LINE_BYTES, 3 << 20));
    assert_eq!(lines[1].bytes, b"short");
}

#[test]
fn any_text_is_a_name() {
    let dir = tempfile::tempdir().unwrap();
    let logs = Logs::open(dir.path()).unwrap();
    let long = "x".repeat(600);
    let names = ["/aws/codebuild/demo", "..", ".", "", "a/../b", "a%2Fb", "a/b", &long, &long[..599], "ä"];
    for name in names {
        assert!(matches!(logs.reader(name, name), Err(LogError::NotFound { .. })));
        logs.writer(name, name).unwrap().finish().unwrap();
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), names.len());
    for name in names {
        assert!(logs.reader(name, name).unwrap().stats().finished);
        assert!(logs.remove(name, name).unwrap().unwrap() > 0);
        assert_eq!(logs.remove(name, name).unwrap(), None);
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn names_are_found_again_in_directories() {
    let dir = tempfile::tempdir().unwrap();
    let logs = Logs::open(dir.path()).unwrap();
    let long = "x".repeat(300);
    for (group, stream) in
        [("/aws/codebuild/demo", "a/b"), (".g%2F", "%"), ("ä", "s"), ("/aws/codebuild/demo", "..."), (&long, "s")]
    {
        logs.writer(group, stream).unwrap();
    }
    std::fs::create_dir(dir.path().join("%zz")).unwrap();
    std::fs::create_dir(dir.path().join("%zz").join("not ours")).unwrap();
    let mut found: Vec<_> = logs.stored().unwrap().into_iter().map(|stored| stored.names).collect();
    found.sort();
    let name = |group: &str, stream: &str| Some((group.to_owned(), stream.to_owned()));
    let expected = [
        None,
        None,
        name(".g%2F", "%"),
        name("/aws/codebuild/demo", "..."),
        name("/aws/codebuild/demo", "a/b"),
        name("ä", "s"),
    ];
    assert_eq!(found, expected);
}

proptest! {
    #[test]
    fn directory_names_say_what_they_are_made_from(text in "\\PC{0,80}") {
        let directory = directory_name(&text);
        let cut = directory.contains("%%");
        prop_assert_eq!(original_name(&directory), (!cut).then_some(text));
    }
}
