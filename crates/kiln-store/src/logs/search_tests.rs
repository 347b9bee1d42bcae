use kiln_wire::journal::{Encoder, file_header};
use proptest::prelude::*;

use super::{LINE_BYTES, Line, LogReader, LogWriter, Query, Scope};

const ALL: Scope = Scope { first: 0, last: u64::MAX, unfinished: true };

/// A log whose records have these texts, with a segment's end behind those that say so.
fn log(dir: &std::path::Path, records: &[(Vec<u8>, bool)]) -> LogReader {
    let mut encoder = Encoder::new();
    let mut writer = LogWriter::open(dir).unwrap();
    writer.append(&file_header()).unwrap();
    for (i, (text, flush)) in records.iter().enumerate() {
        let mut bytes = Vec::new();
        encoder.output(i as u64 + 1, 1, text, &mut bytes).unwrap();
        writer.append(&bytes).unwrap();
        if *flush {
            writer.flush().unwrap();
        }
    }
    writer.finish().unwrap();
    LogReader::open(dir).unwrap()
}

/// Everything that a search finds, page by page.
fn all(reader: &LogReader, query: &Query, scope: Scope, backward: bool, max: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut rest = scope;
    loop {
        let found = reader.search(query, rest, backward, max).unwrap();
        assert!(found.lines.len() <= max);
        lines.extend(found.lines);
        match found.next {
            Some(next) if backward => {
                assert!(next < rest.last, "the search goes on");
                rest.last = next;
            }
            Some(next) => {
                assert!(next > rest.first, "the search goes on");
                rest.first = next;
            }
            None => return lines,
        }
    }
}

/// How many lines are found, call by call; each goes on behind the one before.
fn count(reader: &LogReader, query: &Query) -> u64 {
    let (mut rest, mut matched) = (ALL, 0);
    loop {
        let counted = reader.count(query, rest).unwrap();
        matched += counted.matched;
        match counted.next {
            Some(next) => {
                assert!(next > rest.first, "the search goes on");
                rest.first = next;
            }
            None => return matched,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// However lines are split over records and segments, a search finds what a look at each line does.
    #[test]
    fn a_search_finds_what_a_look_at_each_line_does(
        records in prop::collection::vec((prop::collection::vec(prop_oneof![
            Just(b'\n'), Just(b'a'), Just(b'a'), Just(b'B'), Just(0xc3), Just(0x1b), Just(b'['), Just(b'm'),
        ], 0..12), any::<bool>()), 0..20),
        needle in "[abm]{1,3}",
        (ignore_case, pattern, backward, unfinished) in any::<(bool, bool, bool, bool)>(),
        (first, last) in (0u64..12, prop_oneof![0u64..30, Just(u64::MAX)]),
        max in 1usize..5,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let reader = log(dir.path(), &records);
        let query = if pattern { Query::pattern(&format!("^{needle}"), ignore_case) } else { Query::text(&needle, ignore_case) };
        let query = query.unwrap();
        let scope = Scope { first, last, unfinished };
        let lines = reader.lines(0, 1000).unwrap();
        let looked_at = |line: &&Line| (first..=last).contains(&line.number) && (line.complete || unfinished);
        let mut expected: Vec<Line> =
            lines.iter().filter(looked_at).filter(|line| query.finds(&line.bytes)).cloned().collect();
        let count = reader.count(&query, scope).unwrap();
        prop_assert_eq!((count.matched, count.next), (expected.len() as u64, None));
        prop_assert_eq!(count.total, lines.iter().filter(looked_at).count() as u64);
        if backward {
            expected.reverse();
        }
        prop_assert_eq!(all(&reader, &query, scope, backward, max), expected);
        prop_assert_eq!(reader.open_line(), lines.last().is_some_and(|line| !line.complete));
    }
}

#[test]
fn a_long_line_is_searched_as_far_as_it_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let filler = vec![b'x'; LINE_BYTES - 6];
    let long = vec![b'y'; 300 << 10];
    let records: Vec<(Vec<u8>, bool)> = [
        b"first\n".to_vec(),
        filler.clone(),
        b"needle".to_vec(),
        b"needle\n".to_vec(),
        // A line without end for several segments, within one record, and at the end.
        [&filler, b"tail".as_slice(), b"hidden\n"].concat(),
        [b"start".as_slice(), &long].concat(),
        long.clone(),
        long.clone(),
        b"hidden\nlast start".to_vec(),
    ]
    .into_iter()
    .map(|text| (text, false))
    .collect();
    let reader = log(dir.path(), &records);
    assert!(reader.stats().segments > 1);
    for backward in [false, true] {
        let numbers = |text: &str| {
            let query = Query::text(text, false).unwrap();
            let lines = all(&reader, &query, ALL, backward, 10);
            for line in &lines {
                assert!(line.bytes.len() <= LINE_BYTES);
                assert_eq!(reader.lines(line.number, 1).unwrap(), std::slice::from_ref(line));
            }
            let mut numbers: Vec<u64> = lines.iter().map(|line| line.number).collect();
            if backward {
                numbers.reverse();
            }
            assert_eq!(count(&reader, &query), numbers.len() as u64);
            numbers
        };
        assert_eq!(numbers("needle"), [1]);
        assert!(numbers("hidden").is_empty());
        assert_eq!(numbers("tail"), [2]);
        assert_eq!(numbers("start"), [3, 4]);
        assert_eq!(numbers("x"), [1, 2]);
    }
}

#[test]
fn a_line_that_is_longer_than_one_search_is_passed() {
    let dir = tempfile::tempdir().unwrap();
    let mut records = vec![(b"one needle\nlong ".to_vec(), false)];
    // Several times what one search looks at.
    records.extend(std::iter::repeat_n((vec![b'x'; 256 << 10], false), 24));
    records.push((b"\ntwo needle\n".to_vec(), false));
    let reader = log(dir.path(), &records);
    for (text, expected) in [("needle", vec![0, 2]), ("long", vec![1]), ("absent", vec![])] {
        let query = Query::text(text, false).unwrap();
        assert_eq!(count(&reader, &query), expected.len() as u64, "{text}");
        for backward in [false, true] {
            let mut numbers: Vec<u64> = all(&reader, &query, ALL, backward, 10).iter().map(|l| l.number).collect();
            numbers.sort_unstable();
            assert_eq!(numbers, expected, "{text}, backward: {backward}");
        }
    }
}

#[test]
fn a_page_ends_with_a_megabyte() {
    let dir = tempfile::tempdir().unwrap();
    let line = [vec![b'a'; 100 << 10], b"\n".to_vec()].concat();
    let reader = log(dir.path(), &vec![(line, false); 40]);
    let query = Query::text("a", false).unwrap();
    let found = reader.search(&query, ALL, false, 1000).unwrap();
    assert_eq!((found.lines.len(), found.next), (11, Some(11)));
    assert_eq!(all(&reader, &query, ALL, true, 1000).len(), 40);
}

#[test]
fn damage_is_an_error_of_a_search() {
    let dir = tempfile::tempdir().unwrap();
    log(dir.path(), &[(b"some text\n".repeat(100), true), (b"more text\n".repeat(100), true)]);
    let path = dir.path().join("segments");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 100;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let reader = LogReader::open(dir.path()).unwrap();
    let error = reader.search(&Query::text("absent", false).unwrap(), ALL, false, 1).unwrap_err();
    assert!(error.to_string().contains("kiln restore"), "{error}");
}

/// A reader holds the file: it ends with its data, and whoever comes later is told.
#[test]
fn a_log_that_is_removed_is_read_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let logs = super::Logs::open(dir.path()).unwrap();
    let mut reader = log(&logs.directory("g", "s"), &vec![(b"text\n".to_vec(), true); 10]);
    let bytes = logs.remove("g", "s").unwrap().unwrap();
    assert!(bytes > reader.stats().stored);
    assert_eq!(logs.remove("g", "s").unwrap(), None);
    assert_eq!(reader.lines(0, 100).unwrap().len(), 10);
    assert_eq!(all(&reader, &Query::text("text", false).unwrap(), ALL, true, 3).len(), 10);
    assert!(matches!(reader.refresh(), Err(super::LogError::NotFound { .. })));
}
