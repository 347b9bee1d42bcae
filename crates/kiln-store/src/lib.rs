//! What the service keeps on disk: metadata in SQLite, sealed blobs, log segments; their backup.
//!
//! | file | holds | module |
//! | --- | --- | --- |
//! | `kiln.db`, `kiln.seq` | records of projects, builds, keys, …; how far they must reach | [`metadata`] |
//! | `keys/` | the root key | [`keys`] |
//! | `blobs/` | sealed bytes of objects | [`blobs`] |
//! | `logs/` | compressed journals of builds | [`logs`] |
//! | `repos/` | git repositories, through git | [`repos`] |
//! | `audit/` | who called what, each record proving those before it | [`audit`] |
//! | another directory | all of these, as they were at one moment | [`backup`] |
//! | – | buckets of another S3 | [`remote`] |
//! | `lock` | held by the one server of a data directory | [`lock`] |
//!
//! Knows nothing of HTTP and of what the records mean: documents are opaque text here. Facts: `DESIGN.md` decisions 9
//! and 10, `security.md` 3.2 and 3.3, `reliability.md` principles 1 and 6.

mod atomic;
pub mod audit;
pub mod backup;
pub mod blobs;
mod chunked;
pub mod crash;
mod error;
pub mod keys;
pub mod lock;
pub mod logs;
pub mod metadata;
pub mod remote;
pub mod repos;

pub use audit::{AuditError, AuditLog};
pub use blobs::{BlobError, BlobInfo, BlobReader, BlobWriter, Blobs, Sealing};
pub use error::StoreError;
pub use keys::{Context, KeyError, Keys};
pub use lock::{DataLock, LockError};
pub use logs::{LogError, LogReader, LogWriter, Logs};
pub use metadata::{Metadata, OpenError, Tx, View};
pub use remote::{RemoteBucket, RemoteError};
