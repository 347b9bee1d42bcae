//! Buckets of another S3, asked from threads that may wait: where blobs are kept (`storage.blobs = "s3://…"`, DESIGN
//! decision 10), and where builds fetch from and store to (`[[external_s3]]`).
//!
//! Requests are tried again with growing, random pauses, within bounds; a large file goes in parts, each tried again on its
//! own. What was received is compared with what was announced, and each request carries the SHA-256 of what it sends, so
//! that a server that stores something else says so itself.

mod error;
mod object;
mod upload;

use std::{fmt, future::Future, path::PathBuf, sync::mpsc, time::Duration};

use object_store::{
    BackoffConfig, ClientOptions, ObjectStore as _, ObjectStoreExt as _, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, Checksum},
    path::Path,
};
use tokio::runtime::{self, Runtime};
use zeroize::Zeroizing;

pub(crate) use self::upload::is_note;
pub use self::{
    error::RemoteError,
    object::{RemoteObject, RemoteStream},
    upload::{Attributes, Stored, noted},
};

/// How much is borne of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// Attempts of a request after the first.
    pub retries: usize,
    /// One attempt may take so long; it is for 8 MiB at the most.
    pub attempt: Duration,
    /// No attempt begins so long after the first one.
    pub request: Duration,
    /// Longest pause before an attempt.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            retries: 8,
            attempt: Duration::from_secs(60),
            request: Duration::from_secs(90),
            pause: Duration::from_secs(10),
        }
    }
}

/// A connection may take so long.
const CONNECT: Duration = Duration::from_secs(5);

/// Where a bucket is, and who asks for it.
#[derive(Clone, PartialEq, Eq)]
pub struct RemoteSettings {
    /// Name of the bucket.
    pub bucket: String,
    /// In front of each key, without a slash at its end; may be empty.
    pub prefix: String,
    /// E.g. `https://s3.example:9000`; `None`: AWS's of the region.
    pub endpoint: Option<String>,
    /// Region that requests are signed for.
    pub region: String,
    /// Access key and its secret; `None`: what the machine has been given (web identity, container, instance).
    pub credentials: Option<(String, Zeroizing<String>)>,
    /// Whether the bucket stands in the path and not in the host's name.
    pub path_style: bool,
    /// How the bucket's server encrypts what is stored.
    pub encryption: RemoteEncryption,
    /// How much is borne of its server.
    pub patience: Patience,
}

impl fmt::Debug for RemoteSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteSettings")
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// How an S3 server encrypts what it stores (`x-amz-server-side-encryption`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RemoteEncryption {
    /// As the bucket says.
    #[default]
    Bucket,
    /// With keys of S3's own.
    Aes256,
    /// With a key of KMS: id, ARN or alias.
    Kms(String),
}

/// An object of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key, without the bucket's prefix.
    pub key: String,
    /// Its length in bytes.
    pub size: u64,
    /// When it was stored, milliseconds since the epoch by the server's clock.
    pub modified_ms: i64,
}

/// A bucket. Cheap to clone. Its methods wait for the network: they are for threads that may.
#[derive(Debug, Clone)]
pub struct RemoteBucket {
    settings: RemoteSettings,
    store: AmazonS3,
    /// Directory in which uploads in parts are noted while they are not over.
    notes: PathBuf,
}

impl RemoteBucket {
    /// A bucket; nothing is asked yet. In the directory `notes` stands which uploads are not over, for
    /// [`Self::abort_unfinished`] after a crash.
    ///
    /// # Errors
    /// When the settings make no sense, or the machine's certificates cannot be read.
    pub fn new(settings: RemoteSettings, notes: PathBuf) -> Result<Self, RemoteError> {
        let Patience { retries, attempt, request, pause } = settings.patience;
        let first = Duration::from_millis(100).min(pause);
        let retry = RetryConfig {
            backoff: BackoffConfig { init_backoff: first, max_backoff: pause, base: 2.0 },
            max_retries: retries,
            retry_timeout: request,
        };
        let options = ClientOptions::new().with_timeout(attempt).with_connect_timeout(CONNECT).with_allow_http(true);
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&settings.bucket)
            .with_region(&settings.region)
            .with_virtual_hosted_style_request(!settings.path_style)
            .with_checksum_algorithm(Checksum::SHA256)
            .with_client_options(options)
            .with_retry(retry);
        if let Some(endpoint) = &settings.endpoint {
            builder = builder.with_endpoint(bucket_endpoint(endpoint, &settings));
        }
        if let Some((id, secret)) = &settings.credentials {
            builder = builder.with_access_key_id(id).with_secret_access_key(secret.as_str());
        }
        builder = match &settings.encryption {
            RemoteEncryption::Bucket => builder,
            RemoteEncryption::Aes256 => {
                // The one option without a method of its own.
                let key = "aws_server_side_encryption".parse::<AmazonS3ConfigKey>();
                builder.with_config(key.map_err(|e| error::of("use", place(&settings, ""), e))?, "AES256")
            }
            RemoteEncryption::Kms(key) => builder.with_sse_kms_encryption(key),
        };
        let store = builder.build().map_err(|e| error::of("use", place(&settings, ""), e))?;
        Ok(Self { settings, store, notes })
    }

    /// The same bucket, with what is stored encrypted otherwise.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_encryption(&self, encryption: RemoteEncryption) -> Result<Self, RemoteError> {
        Self::new(RemoteSettings { encryption, ..self.settings.clone() }, self.notes.clone())
    }

    /// The same bucket, with more or less borne of its server.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_patience(&self, patience: Patience) -> Result<Self, RemoteError> {
        Self::new(RemoteSettings { patience, ..self.settings.clone() }, self.notes.clone())
    }

    /// Removes an object; that it is not there is no error.
    ///
    /// # Errors
    /// When the server cannot be asked or refuses.
    pub fn remove(&self, key: &str) -> Result<(), RemoteError> {
        let (store, path) = (self.store.clone(), self.path(key)?);
        match wait(async move { store.delete(&path).await })? {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(error::of("remove", self.place(key), e)),
        }
    }

    /// Calls `see` with every object below `folder`, which ends with a slash or is empty; not with those whose key ends
    /// with one.
    ///
    /// # Errors
    /// When the server cannot be asked or refuses.
    pub fn each(&self, folder: &str, mut see: impl FnMut(Listed)) -> Result<(), RemoteError> {
        use futures_util::TryStreamExt as _;
        use object_store::Error;
        let below = match (self.settings.prefix.is_empty(), folder.trim_end_matches('/')) {
            (true, "") => None,
            _ => Some(self.path(folder.trim_end_matches('/'))?),
        };
        let (sender, pages) = mpsc::sync_channel(1);
        let store = self.store.clone();
        let listing = async move {
            let mut page = Vec::new();
            let mut objects = store.list(below.as_ref());
            while let Some(object) = objects.try_next().await? {
                // What some clients make for a folder, `a/b/`, is listed by the library as `a/b`: there is no such object.
                if object.size == 0 && matches!(store.head(&object.location).await, Err(Error::NotFound { .. })) {
                    continue;
                }
                page.push(object);
                if page.len() == 1000 && sender.send(std::mem::take(&mut page)).is_err() {
                    return Ok(());
                }
            }
            sender.send(page).ok(); // only the receiver's end makes this fail
            Ok(())
        };
        let listed = start(listing)?;
        let prefix = if self.settings.prefix.is_empty() { String::new() } else { format!("{}/", self.settings.prefix) };
        for object in pages.into_iter().flatten() {
            if let Some(key) = object.location.as_ref().strip_prefix(&prefix) {
                let modified_ms = object.last_modified.timestamp_millis();
                see(Listed { key: key.to_owned(), size: object.size, modified_ms });
            }
        }
        listed.recv().map_err(|_| RemoteError::Interrupted)?.map_err(|e| error::of("list", self.place(folder), e))
    }

    /// Where an object is, for messages: `s3://bucket/key at https://…`.
    #[must_use]
    pub fn place(&self, key: &str) -> String {
        place(&self.settings, key)
    }

    fn path(&self, key: &str) -> Result<Path, RemoteError> {
        let full = match (self.settings.prefix.as_str(), key) {
            ("", key) => key.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, key) => format!("{prefix}/{key}"),
        };
        match Path::parse(&full) {
            // It would name another object.
            Ok(path) if path.as_ref() != full => Err(RemoteError::Key { place: self.place(key) }),
            Ok(path) => Ok(path),
            Err(_) => Err(RemoteError::Key { place: self.place(key) }),
        }
    }
}

/// The client of the library wants the bucket in the host's name there, where it is to be there.
fn bucket_endpoint(endpoint: &str, settings: &RemoteSettings) -> String {
    match endpoint.trim_end_matches('/').split_once("://") {
        Some((scheme, host)) if !settings.path_style => format!("{scheme}://{}.{host}", settings.bucket),
        _ => endpoint.trim_end_matches('/').to_owned(),
    }
}

fn place(settings: &RemoteSettings, key: &str) -> String {
    let separator = if settings.prefix.is_empty() || key.is_empty() { "" } else { "/" };
    let at = settings.endpoint.as_deref().map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
    format!("s3://{}/{}{separator}{key}{at}", settings.bucket, settings.prefix)
}

/// Begins something on the thread that speaks with other servers. The receiver gets its result.
fn start<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<mpsc::Receiver<T>, RemoteError> {
    let (sender, result) = mpsc::sync_channel(1);
    runtime()?.spawn(async move {
        sender.send(work.await).ok(); // whoever began it may have gone
    });
    Ok(result)
}

/// Waits for something that is done there. Unlike `block_on`, also from a thread of another runtime.
fn wait<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, RemoteError> {
    start(work)?.recv().map_err(|_| RemoteError::Interrupted)
}

/// One thread for all buckets, begun with the first request: most servers never make any.
fn runtime() -> Result<&'static Runtime, RemoteError> {
    static RUNTIME: std::sync::OnceLock<Result<Runtime, RemoteError>> = std::sync::OnceLock::new();
    let begin = || {
        let built =
            runtime::Builder::new_multi_thread().worker_threads(1).thread_name("kiln-remote").enable_all().build();
        built.map_err(|e| RemoteError::Thread(e.into()))
    };
    RUNTIME.get_or_init(begin).as_ref().map_err(Clone::clone)
}
