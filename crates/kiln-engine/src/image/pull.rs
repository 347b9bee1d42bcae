//! Pulls an image from a registry.

mod download;

use std::time::Duration;

use super::assemble::{LayerSource, Work};
use super::bring::{self, Bring, Source};
use super::credentials::Credentials;
use super::digest::Digest;
use super::error::ImageError;
use super::limits::Budget;
use super::manifest::{Descriptor, Platform};
use super::operation::{Cancel, LayerInfo, LayerState, Operation, Progress};
use super::reference::Reference;
use super::registry::{Failure, Registry, read_failure};
use super::store::{Image, ImageStore};

/// How to reach a registry.
#[derive(Clone, Debug, Default)]
pub struct PullOptions {
    /// What to log in with, if the registry asks.
    pub credentials: Option<Credentials>,
    /// For which machine; `None`: this one.
    pub platform: Option<Platform>,
    /// Accept plain HTTP and certificates that cannot be verified. Registries on this machine's loopback addresses may
    /// speak plain HTTP without it.
    pub insecure: bool,
    /// What to do when the network fails.
    pub retries: Retries,
}

/// When and how often to try again.
#[derive(Clone, Copy, Debug)]
pub struct Retries {
    /// Tries in a row that bring nothing, before giving up.
    pub attempts: u32,
    /// The first pause; each further one may be twice as long. The actual pause is random between zero and that.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self { attempts: 6, first_pause: Duration::from_millis(500), longest_pause: Duration::from_secs(20) }
    }
}

impl ImageStore {
    /// Pulls `reference` and unpacks it. Layers that are here already are not fetched again; downloads that were
    /// interrupted go on where they stopped.
    ///
    /// # Errors
    /// Of the registry, of the content, or of the store; [`ImageError::Cancelled`] if told to stop.
    pub fn pull(
        &self,
        reference: &Reference,
        options: &PullOptions,
        operation: &Operation<'_>,
    ) -> Result<Image, ImageError> {
        let _activity = self.begin()?;
        let cancel = Cancel::new(operation.cancel);
        let budget = Budget::new(operation.limits);
        let work = Work { store: self, operation, cancel: &cancel, budget: &budget };
        let mut registry = Registry::new(reference, options.credentials.clone(), options.insecure)?;
        let pull = Pull { reference, options, work: &work };
        let host = registry.host().to_owned();
        pull.retrying(&host, "connect", || registry.connect())?;
        let source = Remote { pull: &pull, registry: &registry };
        let platform = options.platform.clone().unwrap_or_else(Platform::host);
        let (document, manifest) = bring::manifest(&source, reference, &platform)?;
        Bring { reference, platform, work: &work }.run(&source, &document, &manifest)
    }
}

struct Pull<'a> {
    reference: &'a Reference,
    options: &'a PullOptions,
    work: &'a Work<'a>,
}

/// A pull and the registry that it is from.
struct Remote<'a> {
    pull: &'a Pull<'a>,
    registry: &'a Registry,
}

impl Source for Remote<'_> {
    fn manifest(&self, digest: Option<&Digest>) -> Result<Vec<u8>, ImageError> {
        let key = digest.map_or_else(|| self.pull.reference.manifest_key(), Digest::to_string);
        self.pull.retrying(self.registry.host(), "get the manifest", || self.registry.manifest(&key))
    }

    fn config(&self, descriptor: &Descriptor) -> Result<Vec<u8>, ImageError> {
        use std::io::Read as _;
        self.pull.retrying(self.registry.host(), "get the configuration", || {
            let (_, mut body) = self.registry.blob(&descriptor.digest, 0)?;
            let mut bytes = Vec::new();
            let mut reader = body.as_reader().take(descriptor.size.saturating_add(1));
            reader.read_to_end(&mut bytes).map_err(|e| read_failure(&e))?;
            Ok(bytes)
        })
    }

    fn layer(&self, index: usize, descriptor: &Descriptor) -> Result<LayerSource, ImageError> {
        let file = self.pull.download(self.registry, index, descriptor)?;
        self.pull.work.report(index, LayerState::Unpacking(0));
        Ok(LayerSource { reader: Box::new(file), check: None })
    }

    /// The unpacked layers are what builds use; a later pull needs only their names. So the compressed ones go.
    fn unpacked(&self, layers: &[LayerInfo]) -> Result<(), ImageError> {
        for layer in layers {
            let path = self.pull.work.store.blob_path(&layer.digest);
            match std::fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(ImageError::io("remove", path)(e)),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Pull<'_> {
    /// Tries `request` until it succeeds, fails for good, or has failed often enough.
    fn retrying<T>(
        &self,
        host: &str,
        action: &str,
        mut request: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T, ImageError> {
        let mut failed = 0;
        loop {
            match request() {
                Ok(value) => return Ok(value),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Transient { problem, retry_after }) => {
                    failed += 1;
                    if failed < self.options.retries.attempts {
                        let note = format!("registry {host}: cannot {action}: {problem}; trying again");
                        (self.work.operation.progress)(Progress::Note(&note));
                    }
                    self.pause(host, action, failed, &problem, retry_after)?;
                }
            }
        }
    }

    /// Waits before the next try, or gives up.
    fn pause(
        &self,
        host: &str,
        action: &str,
        failed: u32,
        problem: &str,
        retry_after: Option<Duration>,
    ) -> Result<(), ImageError> {
        let Retries { attempts, first_pause, longest_pause } = self.options.retries;
        if failed >= attempts {
            return Err(ImageError::Registry {
                registry: host.to_owned(),
                action: action.to_owned(),
                problem: format!("{problem} (tried {failed} times)"),
            });
        }
        let doubled = first_pause.saturating_mul(1u32.checked_shl(failed.saturating_sub(1)).unwrap_or(u32::MAX));
        // Full jitter: clients that failed together do not come back together.
        let pause = doubled.min(longest_pause).mul_f64(fastrand::f64());
        let mut left = pause.max(retry_after.unwrap_or_default().min(longest_pause.saturating_mul(3)));
        while !left.is_zero() {
            if self.work.cancel.is_set() {
                return Err(ImageError::Cancelled);
            }
            let step = left.min(Duration::from_millis(100));
            std::thread::sleep(step);
            left = left.saturating_sub(step);
        }
        if self.work.cancel.is_set() { Err(ImageError::Cancelled) } else { Ok(()) }
    }
}
