//! Finding the end of a log after whatever happened.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Seek as _, SeekFrom},
    os::unix::fs::DirBuilderExt as _,
    path::Path,
};

use super::{
    Opened, Options,
    chain::{Chain, ChainKey},
    error::{AuditError, io as io_error},
    head::{self, Found, Head, HeadFile, Place},
    segment::{self, Segment},
    writer::State,
};

/// Opens the log in `directory` to be appended to. `is_new`: there was none.
pub(super) fn open(directory: &Path, key: &ChainKey, is_new: bool, options: &Options) -> Result<State, AuditError> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|e| io_error("make", directory, e))?;
    let found = head::read(directory, key)?;
    let mut segments = segment::list(directory)?;
    clear(directory, &segments)?;
    if let Found::Head(head) = &found {
        // Their time was over.
        let over = segments.partition_point(|segment| segment.first <= head.begin.sequence);
        segments.drain(..over).try_for_each(|segment| remove(&segment.path))?;
    }
    let (mut head, damage) = match (&found, segments.last()) {
        (Found::Head(head), _) => (*head, None),
        // A first start that was killed may have left an empty file.
        (Found::Nothing, _) if is_new => (Head::new(Place::START), None),
        (Found::Nothing, None) => {
            (lost(Place { sequence: 0, chain: key.head(b"lost") }), Some("it was removed".to_owned()))
        }
        (Found::Nothing | Found::Damaged, last) => {
            let what = if found == Found::Nothing { "its head is missing" } else { "its head was changed" };
            // Behind everything that could be there.
            let end = match last {
                Some(last) => last_place(last, key)?,
                None => Place { sequence: 0, chain: key.head(b"lost") },
            };
            (lost(end), Some(what.to_owned()))
        }
    };
    let opened = |damage: Option<String>| Opened {
        is_new,
        was_closed: matches!(&found, Found::Head(head) if head.is_closed),
        damage,
    };
    let end = match (&damage, segments.last()) {
        (None, Some(last)) if !last.is_compressed => continued(last, key, &head)?,
        _ if is_new && found == Found::Nothing => End::New,
        // After a rotation that the machine did not survive, or when somebody removed files.
        (None, _) => missing(&segments, &head),
        (Some(damage), _) => End::Damaged(damage.clone()),
    };
    let now = (options.now)();
    let (segment, file, chain, length, damage) = match end {
        End::Open(segment, file, place, chain, length) => {
            head.end = place;
            (segment, file, chain, length, None)
        }
        End::New | End::Damaged(_) => {
            // One that was being begun: its header is not whole.
            let torn = segments.iter().filter(|old| matches!(end, End::New) && old.first > head.end.sequence);
            torn.clone().try_for_each(|old| remove(&old.path))?;
            let (segment, file, header) = Segment::create(directory, &head.end, now)?;
            let length = header.len() as u64 + 1;
            let damage = if let End::Damaged(what) = end { Some(what) } else { None };
            (segment, file, key.begin(&header), length, damage)
        }
    };
    head.is_closed = false;
    let mut head_file = HeadFile::open(directory, &head)?;
    head_file.write_synced(&head, key)?;
    File::open(directory).and_then(|d| d.sync_all()).map_err(|e| io_error("sync", directory, e))?;
    let uncompressed = segments.into_iter().filter(|old| !old.is_compressed && *old != segment).collect();
    Ok(State {
        directory: directory.to_owned(),
        key: key.clone(),
        head,
        head_file,
        segment,
        file,
        chain,
        length,
        opened: opened(damage),
        uncompressed,
    })
}

/// The head of a log that has lost its own: checking it will find that the files do not fit.
fn lost(end: Place) -> Head {
    Head { end, ..Head::new(Place::START) }
}

/// How the log ends.
enum End {
    /// Its last file is to be continued: the place, the chain there, and the file's length.
    Open(Segment, File, Place, Chain, u64),
    /// A new file follows.
    New,
    /// A new file follows, as what is there cannot be continued.
    Damaged(String),
}

/// No plain file is the last one.
fn missing(segments: &[Segment], head: &Head) -> End {
    let Some(last) = segments.last() else {
        return if head.end == head.begin { End::New } else { End::Damaged("its files are missing".to_owned()) };
    };
    let next = head.end.sequence + 1;
    if last.first >= next {
        return End::Damaged(format!("the file {} is none of its own", last.path.display()));
    }
    // Compressed files are whole. Whether this one has the last record, checking the log will say.
    End::New
}

/// Reads the last file up to its last good record.
fn continued(last: &Segment, key: &ChainKey, head: &Head) -> Result<End, AuditError> {
    let bytes = last.read()?;
    let mut lines = segment::lines(&bytes);
    let Some(header) = lines.next() else {
        // It was being made.
        return Ok(if last.first == head.end.sequence + 1 { End::New } else { cut(head, 0) });
    };
    let Some(mut at) = segment::header(header).filter(|place| place.sequence + 1 == last.first) else {
        return Ok(End::Damaged(format!("the first line of {} was changed", last.path.display())));
    };
    let mut chain = key.begin(header);
    let mut length = header.len() as u64 + 1;
    let mut passed = at == head.end;
    for line in lines {
        let next = segment::record(line).map(|(said, record)| (said, key.next(&chain, at.sequence + 1, record)));
        let Some((_, good)) = next.filter(|(said, good)| said == good) else { break };
        chain = good;
        at = Place { sequence: at.sequence + 1, chain };
        passed |= at == head.end;
        length += line.len() as u64 + 1;
    }
    if !passed {
        return Ok(cut(head, at.sequence));
    }
    let open = || {
        let mut file = OpenOptions::new().write(true).open(&last.path)?;
        // What is behind the last good record was being written and was never answered.
        file.set_len(length)?;
        file.seek(SeekFrom::Start(length))?;
        file.sync_all()?;
        Ok(file)
    };
    let file = open().map_err(|e| io_error("open", &last.path, e))?;
    Ok(End::Open(last.clone(), file, at, chain, length))
}

fn cut(head: &Head, last: u64) -> End {
    let what = if last < head.end.sequence {
        format!("records {} to {} are missing at its end", last + 1, head.end.sequence)
    } else {
        "it does not end as its head says".to_owned()
    };
    End::Damaged(what)
}

/// Behind the last line of a file whose head is lost.
fn last_place(last: &Segment, key: &ChainKey) -> Result<Place, AuditError> {
    let bytes = last.read()?;
    let count = segment::lines(&bytes).count().saturating_sub(1) as u64;
    // With a chain that nothing has: checking the log shall find that something was lost here.
    Ok(Place { sequence: last.first + count.max(1) - 1, chain: key.head(b"lost") })
}

/// Removes what an interrupted compression left.
fn clear(directory: &Path, segments: &[Segment]) -> Result<(), AuditError> {
    for segment in segments.iter().filter(|segment| segment.is_compressed) {
        remove(&segment.path.with_extension(""))?;
    }
    for entry in fs::read_dir(directory).map_err(|e| io_error("read", directory, e))? {
        let path = entry.map_err(|e| io_error("read", directory, e))?.path();
        if path.extension().is_some_and(|extension| extension == "partial") {
            remove(&path)?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), AuditError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(io_error("remove", path, e)),
        _ => Ok(()),
    }
}
