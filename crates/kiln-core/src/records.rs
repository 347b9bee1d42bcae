//! Records of the store and documents of builds, one into the other.

use kiln_model::{ApiError, kiln::ResourceSample};
use kiln_runner::clock::BootTime;
use kiln_store::{
    StoreError, Tx, View,
    keys::KeyError,
    metadata::{BuildRecord, BuildState},
};

use crate::{
    cloudwatch,
    document::Document,
    events,
    lifecycle::{Effect, Event, State},
    providers::statuses,
};

/// What a client is told when the store refuses. Details go to the server's log, for its operator.
pub(crate) fn refuse(error: &StoreError) -> ApiError {
    match error {
        // Clients try again, and do not give up as at a status of 500 (`integrations.md` 1.7).
        StoreError::DiskFull { .. } | StoreError::Overloaded => {
            ApiError::new(kiln_model::ErrorCode::Throttling, error.to_string())
        }
        StoreError::ReadOnly { .. } => ApiError::unavailable(error.to_string()),
        error => {
            tracing::error!(error = %error, "the store refused an operation");
            ApiError::internal("Kiln's store failed; its log says why")
        }
    }
}

/// What a client is told when a key of Kiln's own cannot be used.
pub(crate) fn keys_failed(error: &KeyError) -> ApiError {
    tracing::error!(error = %error, "a key cannot be used");
    ApiError::internal("Kiln's keys cannot be used; its log says why")
}

/// An error of a transaction: the client's, or the store's.
#[derive(Debug)]
pub(crate) enum Refused {
    Api(ApiError),
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<KeyError> for Refused {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Store(error) => Self::Store(error),
            error => Self::Api(keys_failed(&error)),
        }
    }
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Api(error) => error,
            Refused::Store(error) => refuse(&error),
        }
    }
}

/// The document of a record.
pub(crate) fn document(record: &BuildRecord) -> Result<Document, StoreError> {
    Document::parse(&record.uuid, &record.doc).map_err(|e| StoreError::Invalid(e.to_string()))
}

/// A build with its document.
pub(crate) fn find(view: &View<'_>, uuid: &str) -> Result<Option<(BuildRecord, Document)>, StoreError> {
    let Some(record) = view.build(uuid)? else { return Ok(None) };
    let document = document(&record)?;
    Ok(Some((record, document)))
}

/// The record of a new build.
pub(crate) fn record(document: &Document, number: i64) -> BuildRecord {
    let mut record = BuildRecord {
        uuid: document.uuid().to_owned(),
        project: document.build.project_name.clone(),
        number,
        state: BuildState::Queued,
        status: String::new(),
        submitted_ms: document.lifecycle.submitted_ms,
        started_ms: None,
        ended_ms: None,
        version: 1,
        doc: String::new(),
    };
    fill(&mut record, document);
    record
}

/// Brings the columns of a record up to its document.
pub(crate) fn fill(record: &mut BuildRecord, document: &Document) {
    let life = &document.lifecycle;
    record.state = match life.state {
        State::Queued => BuildState::Queued,
        State::Running => BuildState::Running,
        State::Ended => BuildState::Ended,
    };
    record.status = life.status.as_str().to_owned();
    let provisioning = life.phases.iter().find(|p| p.phase == kiln_model::PhaseType::Provisioning);
    record.started_ms = provisioning.map(|p| p.start_ms);
    record.ended_ms = life.ended_ms;
    record.doc = document.to_json();
}

/// Stores what became of a build; with its end, its metrics, its event and what its commit is told. `memory_bytes`: what the
/// machine has for builds.
pub(crate) fn store_end(
    tx: &mut Tx<'_>,
    record: &mut BuildRecord,
    document: &Document,
    samples: &[ResourceSample],
    memory_bytes: u64,
) -> Result<(), StoreError> {
    // Counted once, however often its end is stored.
    if document.lifecycle.state == State::Ended && record.state != BuildState::Ended {
        cloudwatch::record_end(tx, document, samples, memory_bytes)?;
        events::state_changed(tx, document)?;
        statuses::changed(tx, document)?;
    }
    fill(record, document);
    tx.update_build(record).map(drop)
}

/// Applies an event to a stored build. `None`: there is no such build, or the event cannot happen to it any more.
pub(crate) fn step(tx: &mut Tx<'_>, uuid: &str, event: &Event) -> Result<Option<(Document, Vec<Effect>)>, StoreError> {
    let Some((mut record, mut document)) = find(tx, uuid)? else { return Ok(None) };
    let Ok((lifecycle, effects)) = document.lifecycle.step(event) else { return Ok(None) };
    if lifecycle != document.lifecycle {
        document.lifecycle = lifecycle;
        // Without a runner there is nothing that it could have used.
        store_end(tx, &mut record, &document, &[], u64::MAX)?;
    }
    Ok(Some((document, effects)))
}

/// Stores a new build, which is accepted `now`, with its project's next number and its event; returns its document.
pub(crate) fn insert(tx: &mut Tx<'_>, mut document: Document, now: Option<BootTime>) -> Result<Document, StoreError> {
    document.accepted = now;
    let number = tx.next_build_number(&document.build.project_name)?;
    document.build.build_number = Some(number);
    tx.insert_build(&record(&document, number))?;
    events::state_changed(tx, &document)?;
    statuses::changed(tx, &document)?;
    Ok(document)
}
