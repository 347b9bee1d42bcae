//! What the records of the service must say, and the logs and objects that they name: I1, I2, I5, I6, I9.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    io::{self, Read as _},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use kiln_core::{document::Document, lifecycle::State};
use kiln_model::BuildStatus;
use kiln_store::{
    Blobs, DataLock, Keys, LockError, Logs, Metadata, StoreError,
    metadata::{BuildRecord, BuildState, DATABASE, ListQuery, ObjectRecord, Order},
};
use sha2::{Digest, Sha256};

use crate::{Violation, journal};

/// A build that a client was told of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Accepted {
    /// Part of its id after the colon.
    pub uuid: String,
    /// Its project.
    pub project: String,
    /// Its number.
    pub number: i64,
}

/// How builds ended: what may never change (I2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends(BTreeMap<String, String>);

/// A data directory without a server.
struct Store {
    metadata: Metadata,
    blobs: Blobs,
    logs: Logs,
    // Let go of last.
    _lock: DataLock,
}

impl Store {
    /// `None`: there is no database.
    fn open(data: &Path) -> io::Result<Option<Self>> {
        if !data.join(DATABASE).exists() {
            return Ok(None);
        }
        let lock = DataLock::take(data).map_err(|e| match e {
            LockError::Taken { .. } => io::Error::new(io::ErrorKind::ResourceBusy, e),
            e => other(e),
        })?;
        let metadata = Metadata::open(data).map_err(other)?;
        let keys = Keys::open(&data.join("keys"), &metadata, now_ms()).map_err(other)?;
        let blobs = Blobs::open(&data.join("blobs"), keys).map_err(other)?;
        let logs = Logs::open(&data.join("logs")).map_err(other)?;
        Ok(Some(Self { metadata, blobs, logs, _lock: lock }))
    }

    fn builds(&self) -> io::Result<Vec<BuildRecord>> {
        let read = self.metadata.read(|view| {
            let keys = view.build_ids(Order::Ascending, None, usize::MAX)?;
            keys.iter().filter_map(|key| view.build(&key.uuid).transpose()).collect::<Result<Vec<_>, StoreError>>()
        });
        read.map_err(other)
    }
}

/// Checks a data directory that no server uses.
pub(crate) fn check(data: &Path) -> io::Result<Vec<Violation>> {
    let Some(store) = Store::open(data)? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    let damaged = store.metadata.check().map_err(other)?;
    found.extend(damaged.into_iter().map(|what| violation("I9", "", what)));
    if !found.is_empty() {
        return Ok(found);
    }
    let mut numbers = BTreeSet::new();
    for record in store.builds()? {
        if record.number < 1 || !numbers.insert((record.project.clone(), record.number)) {
            found.push(violation("I1", &record.uuid, format!("number {} of {}", record.number, record.project)));
        }
        match Document::parse(&record.uuid, &record.doc) {
            Ok(document) => build(&store, data, &record, &document, &mut found)?,
            Err(e) => found.push(violation("I9", &record.uuid, e)),
        }
    }
    objects(&store, &mut found)?;
    Ok(found)
}

/// Checks that every build that a client was told of is there, once, under its number, and over (I1).
///
/// # Errors
/// When the data directory cannot be read, or a server uses it.
pub fn check_accepted(data: &Path, accepted: &[Accepted]) -> io::Result<Vec<Violation>> {
    let store = Store::open(data)?.ok_or(io::ErrorKind::NotFound)?;
    let builds: BTreeMap<_, _> = store.builds()?.into_iter().map(|build| (build.uuid.clone(), build)).collect();
    let mut found = Vec::new();
    for wanted in accepted {
        match builds.get(&wanted.uuid) {
            None => found.push(violation("I1", &wanted.uuid, "was accepted, and no record is there")),
            Some(build) => {
                if (build.number, &build.project) != (wanted.number, &wanted.project) {
                    let text = format!("was accepted as number {} and is {}", wanted.number, build.number);
                    found.push(violation("I1", &wanted.uuid, text));
                }
                if build.state != BuildState::Ended {
                    found.push(violation("I1", &wanted.uuid, format!("is {:?}, not over", build.state)));
                }
            }
        }
    }
    Ok(found)
}

impl Ends {
    /// Those of all builds that are over.
    ///
    /// # Errors
    /// When the data directory cannot be read, or a server uses it.
    pub fn read(data: &Path) -> io::Result<Self> {
        let store = Store::open(data)?.ok_or(io::ErrorKind::NotFound)?;
        let over = store.builds()?.into_iter().filter(|build| build.state == BuildState::Ended);
        let ends = over.map(|build| {
            let stored = Document::parse(&build.uuid, &build.doc).map(|d| (d.stored, d.lifecycle, d.exported));
            let end = format!("{} {:?} {stored:?}", build.status, build.ended_ms);
            (build.uuid, end)
        });
        Ok(Self(ends.collect()))
    }

    /// What is not the same in a later reading (I2).
    #[must_use]
    pub fn changed_in(&self, later: &Self) -> Vec<Violation> {
        let changed = self.0.iter().filter(|(uuid, end)| later.0.get(*uuid).is_some_and(|now| now != *end));
        changed.map(|(uuid, end)| violation("I2", uuid, format!("was {end}, is {:?}", later.0.get(uuid)))).collect()
    }
}

fn build(
    store: &Store,
    data: &Path,
    record: &BuildRecord,
    document: &Document,
    found: &mut Vec<Violation>,
) -> io::Result<()> {
    let uuid = record.uuid.as_str();
    let life = &document.lifecycle;
    let over = record.state == BuildState::Ended;
    if over != life.status.is_terminal() || over != record.ended_ms.is_some() || over != (life.state == State::Ended) {
        found.push(violation(
            "I1",
            uuid,
            format!("is {:?} and {}, ended {:?}", record.state, life.status, record.ended_ms),
        ));
    }
    if record.status != life.status.as_str() || document.build.build_number != Some(record.number) {
        found.push(violation("I9", uuid, "its columns are not what its document says"));
    }
    let mut last = record.submitted_ms;
    for phase in &life.phases {
        if phase.start_ms < last || phase.end_ms.is_some_and(|end| end < phase.start_ms) {
            found.push(violation("I10", uuid, format!("phase {} goes back in time", phase.phase)));
        }
        last = phase.start_ms;
        if over && phase.end_ms.is_none() && phase.phase != kiln_model::PhaseType::Completed {
            found.push(violation("I1", uuid, format!("is over, and phase {} is not", phase.phase)));
        }
    }
    log(store, data, record, document, found)?;
    if over {
        artifacts(store, document, found)?;
    }
    Ok(())
}

/// The stored log is the journal: complete when the build is over, and from its beginning in any case.
fn log(
    store: &Store,
    data: &Path,
    record: &BuildRecord,
    document: &Document,
    found: &mut Vec<Violation>,
) -> io::Result<()> {
    let uuid = record.uuid.as_str();
    let directory = store.logs.directory(&document.log_group(), &document.log_stream());
    if !directory.exists() {
        if document.journal_bytes > 0 {
            found.push(violation("I5", uuid, "its log is not there"));
        }
        return Ok(());
    }
    let reader = match store.logs.reader(&document.log_group(), &document.log_stream()) {
        Ok(reader) => reader,
        // Its directory is made before its first segment.
        Err(_) if document.journal_bytes == 0 => return Ok(()),
        Err(e) => {
            found.push(violation("I5", uuid, e));
            return Ok(());
        }
    };
    let stats = reader.stats();
    let mut bytes = Vec::new();
    if let Err(e) = reader.journal_from(0).read_to_end(&mut bytes) {
        found.push(violation("I5", uuid, e));
        return Ok(());
    }
    if record.state == BuildState::Ended {
        if bytes.len() as u64 != document.journal_bytes {
            let text = format!("its log has {} bytes of {}", bytes.len(), document.journal_bytes);
            found.push(violation("I5", uuid, text));
        }
        if !stats.finished && document.journal_bytes > 0 {
            found.push(violation("I5", uuid, "is over, and its log is not"));
        }
    }
    // Of a build that runs, or whose file system is kept.
    if let Ok(journal) = std::fs::read(data.join("builds").join(uuid).join("journal"))
        && !journal.starts_with(&bytes)
    {
        found.push(violation("I5", uuid, "its log is not what its journal begins with"));
    }
    found.extend(journal::check_from(uuid, &mut bytes.as_slice())?);
    Ok(())
}

/// Every artifact of a successful build is there and whole.
fn artifacts(store: &Store, document: &Document, found: &mut Vec<Violation>) -> io::Result<()> {
    let uuid = document.uuid();
    for stored in document.stored.iter().filter(|stored| !stored.external) {
        if document.lifecycle.status != BuildStatus::Succeeded && stored.zip && stored.sha256.is_none() {
            continue;
        }
        let prefix = if stored.zip || stored.key.is_empty() { stored.key.clone() } else { format!("{}/", stored.key) };
        let limit = if stored.zip { 1 } else { usize::MAX };
        let objects = store.metadata.read(|view| view.objects(&stored.bucket, &prefix, None, limit)).map_err(other)?;
        // A later build of the project may have put its own artifact in the same place.
        let own = |object: &&ObjectRecord| object.doc.contains(&document.build.arn);
        if objects.is_empty() || (!stored.zip && (objects.len() as u64) < stored.files) {
            found.push(violation("I6", uuid, format!("{}/{} is not complete", stored.bucket, stored.key)));
        }
        for object in objects.iter().filter(own).filter(|_| stored.zip) {
            if stored.sha256.as_deref().is_some_and(|sha256| sha256 != hex::encode(&object.sha256)) {
                found.push(violation("I6", uuid, format!("{}/{} has another digest", stored.bucket, stored.key)));
            }
        }
    }
    Ok(())
}

/// Every version of every object can be read and is what its record says; no blob is without an object or upload.
fn objects(store: &Store, found: &mut Vec<Violation>) -> io::Result<()> {
    for bucket in store.metadata.read(|view| view.buckets()).map_err(other)? {
        let query = ListQuery { bucket: &bucket.name, prefix: "", delimiter: None, limit: usize::MAX };
        let versions = store.metadata.read(|view| view.list_versions(query, None, None)).map_err(other)?;
        for object in versions.items.into_iter().map(|version| version.object) {
            if let Err(e) = object_is_whole(store, &object) {
                found.push(violation("I6", "", format!("object {}/{}: {e}", object.bucket, object.key)));
            }
        }
    }
    let damaged = kiln_core::damaged_images(&store.metadata, &store.blobs).map_err(other)?;
    found.extend(damaged.into_iter().map(|what| violation("I6", "", what)));
    let mut blobs = Vec::new();
    store.blobs.each(|id| blobs.push(id.to_owned())).map_err(other)?;
    for id in blobs {
        if !store.metadata.read(|view| view.is_blob_used(&id)).map_err(other)? {
            found.push(violation("I4", "", format!("blob {id} belongs to no object or image")));
        }
    }
    Ok(())
}

fn object_is_whole(store: &Store, object: &ObjectRecord) -> io::Result<()> {
    if object.is_delete_marker() {
        return Ok(());
    }
    let mut stream = kiln_core::objects::open_object(&store.metadata, &store.blobs, object)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut size = 0i64;
    loop {
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        size += i64::try_from(n).unwrap_or(i64::MAX);
        digest.update(buffer.get(..n).unwrap_or_default());
    }
    // One in parts has no digest of the whole; each of its parts is sealed.
    let same = object.upload.is_some() || digest.finalize().as_slice() == object.sha256;
    if size != object.size || !same {
        return Err(io::Error::other("its bytes are not what its record says"));
    }
    Ok(())
}

fn violation(invariant: &'static str, build: &str, what: impl Display) -> Violation {
    Violation { invariant, build: build.to_owned(), what: what.to_string() }
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::other(error)
}

/// Only for the date of a key, should there be none yet.
#[expect(clippy::disallowed_methods, reason = "a checker has no clock to inject")]
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use kiln_core::lifecycle::{Event, Lifecycle};
    use kiln_model::codebuild::{Build, ProjectArtifacts};

    use super::*;

    const UUID: &str = "5eed5eed-1111-4222-8333-444455556666";

    /// A build that ended, as the service would record it.
    fn ended() -> (BuildRecord, Document) {
        let (lifecycle, _) = Lifecycle::accepted(1000).step(&Event::Stop { at: 2000 }).unwrap();
        let build =
            Build { id: format!("p:{UUID}"), project_name: "p".to_owned(), build_number: Some(1), ..Build::default() };
        let document = Document {
            version: kiln_core::document::VERSION,
            build,
            artifacts: ProjectArtifacts::default(),
            secondary_artifacts: Vec::new(),
            cache: String::new(),
            auto_retry_limit: 0,
            auto_retry_number: 0,
            previous_try: None,
            next_try: None,
            lifecycle,
            traced: None,
            accepted: None,
            public_alias: None,
            stored: Vec::new(),
            exported: Vec::new(),
            kept_bytes: None,
            journal_bytes: 0,
            triggered: None,
            superseded_by: None,
        };
        let record = BuildRecord {
            uuid: UUID.to_owned(),
            project: "p".to_owned(),
            number: 1,
            state: BuildState::Ended,
            status: "STOPPED".to_owned(),
            submitted_ms: 1000,
            started_ms: None,
            ended_ms: Some(2000),
            version: 1,
            doc: document.to_json(),
        };
        (record, document)
    }

    /// What the checker says of a directory with this build.
    fn said(record: &BuildRecord) -> Vec<&'static str> {
        let data = tempfile::tempdir().unwrap();
        let metadata = Metadata::open(data.path()).unwrap();
        let stored = record.clone();
        metadata.write_blocking(move |tx| tx.insert_build(&stored).map(drop)).unwrap();
        drop(metadata);
        check(data.path()).unwrap().into_iter().map(|v| v.invariant).collect()
    }

    #[test]
    fn records_that_cannot_be_are_violations() {
        let (record, document) = ended();
        assert_eq!(said(&record), [""; 0]);
        assert_eq!(said(&BuildRecord { state: BuildState::Running, ..record.clone() }), ["I1"], "over, and running");
        assert_eq!(said(&BuildRecord { status: "FAILED".to_owned(), ..record.clone() }), ["I9"], "two statuses");
        assert_eq!(said(&BuildRecord { doc: "{}".to_owned(), ..record.clone() }), ["I9"], "no document");
        let lost = Document { journal_bytes: 100, ..document.clone() };
        assert_eq!(said(&BuildRecord { doc: lost.to_json(), ..record.clone() }), ["I5"], "a log that is not there");
        let mut back = document;
        back.lifecycle.phases[0].start_ms = 10;
        assert_eq!(said(&BuildRecord { doc: back.to_json(), ..record }), ["I10"], "before it was accepted");
    }

    #[test]
    fn what_was_accepted_must_be_there_and_over_and_stay_as_it_ended() {
        let data = tempfile::tempdir().unwrap();
        let (record, _) = ended();
        let metadata = Metadata::open(data.path()).unwrap();
        let stored = record.clone();
        metadata.write_blocking(move |tx| tx.insert_build(&stored).map(drop)).unwrap();
        drop(metadata);
        let good = Accepted { uuid: UUID.to_owned(), project: "p".to_owned(), number: 1 };
        let renumbered = Accepted { number: 2, ..good.clone() };
        let lost = Accepted { uuid: "6eed5eed-1111-4222-8333-444455556666".to_owned(), ..good.clone() };
        assert_eq!(check_accepted(data.path(), &[good]).unwrap(), []);
        assert_eq!(check_accepted(data.path(), &[renumbered, lost]).unwrap().len(), 2);

        let before = Ends::read(data.path()).unwrap();
        assert_eq!(before.changed_in(&Ends::read(data.path()).unwrap()), []);
        let metadata = Metadata::open(data.path()).unwrap();
        let changed = BuildRecord { status: "SUCCEEDED".to_owned(), ..record };
        metadata.write_blocking(move |tx| tx.update_build(&changed).map(drop)).unwrap();
        drop(metadata);
        let violations = before.changed_in(&Ends::read(data.path()).unwrap());
        assert_eq!(violations.iter().map(|v| v.invariant).collect::<Vec<_>>(), ["I2"]);
    }

    #[test]
    fn a_directory_that_a_server_uses_is_left_alone() {
        let data = tempfile::tempdir().unwrap();
        drop(Metadata::open(data.path()).unwrap());
        let _lock = DataLock::take(data.path()).unwrap();
        assert_eq!(check(data.path()).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
    }
}
