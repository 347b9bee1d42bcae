//! Metadata: the records of everything but log lines and object bytes, in SQLite (`DESIGN.md` decision 9).
//!
//! **Durable before answered.** [`Metadata::write`] resolves when its change is on the disk, in the database *and* in
//! `kiln.seq` (module `sequence`). One thread writes: it takes all transactions that wait, runs each in a savepoint of its
//! own, and commits them together, so that many callers share one sync. Transactions run one after another in the order
//! of the calls of `write`; each sees what those before it did.
//!
//! **Reading** is [`Metadata::read`]: a snapshot of what was committed, on the caller's thread; it neither waits for the
//! writer nor delays it. A change is visible to readers from its commit on, which is before `write` resolves.
//!
//! **When the disk fails.** No space: [`StoreError::DiskFull`], nothing of that commit is kept, and the next one may
//! succeed. Any other failure while committing leaves unknown what is on the disk (after a failed sync the kernel forgets
//! what it could not write), so the store writes no more: [`StoreError::Stopped`] for every change, from then on.
//! The process must end; [`Metadata::open`] then finds out what is there.
//!
//! **What is found damaged is never served**: rows carry checksums, and a database that has lost acknowledged changes
//! is refused.

mod access;
mod builds;
mod check;
mod error;
mod events;
mod git;
mod iam;
mod kms;
mod listing;
mod log_groups;
mod metrics;
mod objects;
mod open;
mod parameters;
mod projects;
mod readers;
mod records;
mod registry;
mod rowsum;
mod schema;
mod secrets;
mod sequence;
mod service_credentials;
mod snapshot;
mod uploads;
mod view;
mod webhooks;
mod writer;

#[cfg(test)]
mod migration_tests;
#[cfg(test)]
mod tests;

use std::{future::Future, path::Path, sync::Arc};

pub use self::events::records::{EventDeliveryRecord, EventRuleRecord, EventTargetRecord};
pub use self::registry::records::{
    ContentRecord, ImageRecord, ImageTagRecord, LayerUploadRecord, PieceRecord, RepositoryContentRecord,
    RepositoryRecord,
};
pub use self::{
    error::OpenError,
    git::GitRepositoryRecord,
    listing::ListQuery,
    records::{
        AccessKeyRecord, ActiveBuilds, BucketRecord, BucketUsage, BuildKey, BuildRecord, BuildState, IamKind, IamLink,
        IamRecord, KeyVersionRecord, KeyVersionState, KmsAliasRecord, KmsGrantRecord, KmsKeyRecord, KmsKeyState,
        ListedVersionRecord, Listing, LogGroupRecord, LogStreamRecord, LogStreamSort, MetricBlockRecord, MetricKey,
        MetricRecord, ObjectRecord, Order, ParameterRecord, ParameterVersionRecord, PartRecord, ProjectKey,
        ProjectRecord, ProjectSort, SecretRecord, SecretVersionRecord, ServiceCredentialRecord, SourceCredentialRecord,
        TokenRecord, UploadRecord,
    },
    view::{Tx, View},
    webhooks::{CommitStatusRecord, DeliveryRecord, WebhookRecord},
};
use self::{readers::Readers, writer::Writer};
pub(crate) use self::{snapshot::snapshot, writer::wait};
use crate::StoreError;

/// Name of the database in the data directory.
pub const DATABASE: &str = "kiln.db";

/// The files of the metadata, which a backup has.
pub(crate) const FILES: [&str; 2] = [DATABASE, sequence::NAME];
/// What SQLite keeps beside the database while it is open, or after a crash.
pub(crate) const LOG_FILES: [&str; 2] = ["kiln.db-wal", "kiln.db-shm"];
/// Directory that is there while a backup is being brought back.
pub(crate) const RESTORING: &str = "restoring";

/// The metadata of one data directory. Cheap to clone; the last clone that is dropped waits for the queued changes.
#[derive(Debug, Clone)]
pub struct Metadata {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    // Before the readers, so that the writer's end is waited for first.
    writer: Writer,
    readers: Readers,
    checked: bool,
}

impl Metadata {
    /// Opens the metadata of a data directory, makes it when there is none, and brings an older one to this program's
    /// version. The caller holds the directory's [`crate::DataLock`].
    ///
    /// This is recovery too: whatever a process left that was killed at any moment, all that was acknowledged is there
    /// afterwards, synced, or the directory is refused.
    ///
    /// # Errors
    /// [`OpenError`], whose text tells an operator what to do. Nothing was changed then, except that a new directory may
    /// have been begun.
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        let opened = open::open(directory)?;
        let (path, checked) = (opened.path.clone(), opened.checked);
        let writer = Writer::start(opened)?;
        Ok(Self { shared: Arc::new(Shared { writer, readers: Readers::new(path), checked }) })
    }

    /// Gives up what is missing: makes `kiln.seq` agree with the database of a directory that [`Metadata::open`]
    /// refuses as [`OpenError::Behind`] or [`OpenError::Sequence`]. Only for an operator who has no backup and says so.
    /// Returns the sequence number that the database has.
    ///
    /// # Errors
    /// As [`Metadata::open`].
    pub fn accept_loss(directory: &Path) -> Result<u64, OpenError> {
        open::accept_loss(directory)
    }

    /// What each bucket of a data directory holds, whether or not a server uses it. Nothing for a directory without a
    /// database of this program's version.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn bucket_usage(directory: &Path) -> Result<Vec<BucketUsage>, StoreError> {
        let path = directory.join(DATABASE);
        if !path.exists() {
            return Ok(Vec::new());
        }
        let failed = |e: rusqlite::Error| error::store_error(&path, &e);
        let db = open::reader(&path).map_err(failed)?;
        if schema::version(&db).map_err(failed)? != schema::NEWEST {
            return Ok(Vec::new());
        }
        view::View::new(&db, &path).bucket_usage()
    }

    /// Runs `work` in a transaction. When the returned future gives `Ok`, all that `work` did is durable; when it gives
    /// an error, nothing of it was done (but see [`StoreError::Stopped`]), and other transactions are not concerned.
    ///
    /// The transaction is queued by this call itself, not by polling, and dropping the future does not take it back.
    /// `work` runs on the writer's thread, so it must be short, must not wait for other calls of this store, and must not
    /// panic. Callers that keep state in memory change it after the future resolved.
    pub fn write<T, F>(&self, work: F) -> impl Future<Output = Result<T, StoreError>> + Send + use<T, F>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.shared.writer.submit(work)
    }

    /// As [`Metadata::write`], with an error type of the caller's: an error of the domain rolls back too.
    pub fn transact<T, E, F>(&self, work: F) -> impl Future<Output = Result<T, E>> + Send + use<T, E, F>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.shared.writer.submit(work)
    }

    /// As [`Metadata::write`], for callers without an executor: waits on this thread.
    ///
    /// # Errors
    /// Those of `work`, and of the commit.
    pub fn write_blocking<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        writer::wait(self.write(work))
    }

    /// Runs `work` on a snapshot, on this thread. It sees everything whose `write` resolved before this call.
    ///
    /// # Errors
    /// Those of `work`, and of the database.
    pub fn read<T>(&self, work: impl FnOnce(&View<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.shared.readers.read(work)
    }

    /// A number that every commit raises that changed users, groups, roles, policies, or who has which; before it is
    /// acknowledged. What was read after the number was taken is as it is now for as long as the number is the same.
    #[must_use]
    pub fn identities(&self) -> u64 {
        self.shared.writer.identities()
    }

    /// Resolves when the store has stopped writing because its disk failed; the process should then end. Never resolves
    /// otherwise.
    pub fn failed(&self) -> impl Future<Output = StoreError> + Send + use<> {
        self.shared.writer.failed()
    }

    /// The number of the last acknowledged transaction.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn sequence(&self) -> Result<u64, StoreError> {
        self.read(|view| view.sequence())
    }

    /// Whether opening has read everything, as it does with a small database. Of a large one [`Metadata::check_while`]
    /// is still to be called.
    #[must_use]
    pub fn was_checked(&self) -> bool {
        self.shared.checked
    }

    /// Reads everything and tells what is damaged, one line each; empty when all is well. Takes seconds for a large
    /// database, beside other work; at opening only small databases are checked whole.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn check(&self) -> Result<Vec<String>, StoreError> {
        self.read(check::check)
    }

    /// As [`Metadata::check`], on a connection of its own, until `go_on` says no; `None` then.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn check_while(&self, go_on: impl Fn() -> bool + Send + 'static) -> Result<Option<Vec<String>>, StoreError> {
        self.shared.readers.read_while(go_on, check::check)
    }
}
