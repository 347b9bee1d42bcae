//! Pulls an image: manifest, configuration, then the layers that are not here yet.

mod download;

use std::fs::File;
use std::time::Duration;

use super::assemble::{LayerSource, LayerSpec, Work};
use super::credentials::Credentials;
use super::digest::Digest;
use super::error::ImageError;
use super::limits::Budget;
use super::manifest::{Descriptor, Document, MAX_DOCUMENT, Manifest, ParsedConfig, Platform, select};
use super::operation::{Cancel, LayerInfo, LayerState, Operation, Progress};
use super::reference::Reference;
use super::registry::{Failure, Registry, read_failure};
use super::store::{Image, ImageStore, Origin, Record};

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
        pull.run(&registry)
    }
}

struct Pull<'a> {
    reference: &'a Reference,
    options: &'a PullOptions,
    work: &'a Work<'a>,
}

impl Pull<'_> {
    fn run(&self, registry: &Registry) -> Result<Image, ImageError> {
        let store = self.work.store;
        let (document, manifest) = self.manifest(registry)?;
        let config_bytes = self.config(registry, &manifest.config)?;
        let name = self.reference.familiar();
        let config = ParsedConfig::parse(&format!("configuration of `{name}`"), &config_bytes)?;
        if config.diff_ids.len() != manifest.layers.len() {
            return Err(ImageError::document(
                format!("manifest of `{name}`"),
                format!("it has {} layers, its configuration {}", manifest.layers.len(), config.diff_ids.len()),
            ));
        }
        self.check_platform(&config)?;
        let infos: Vec<LayerInfo> =
            manifest.layers.iter().map(|layer| LayerInfo { digest: layer.digest, size: layer.size }).collect();
        for info in &infos {
            if info.size > self.work.budget.limits.blob {
                return Err(ImageError::Limit {
                    what: format!("layer {} of `{name}`", info.digest),
                    problem: format!("it has {} bytes", info.size),
                    limit: format!("{} bytes", self.work.budget.limits.blob),
                });
            }
        }
        (self.work.operation.progress)(Progress::Layers(&infos));
        let specs: Vec<LayerSpec> = infos
            .iter()
            .zip(config.chain.iter().zip(&config.diff_ids))
            .map(|(info, (chain, diff_id))| LayerSpec {
                what: format!("layer {} of `{name}`", info.digest.short()),
                chain: *chain,
                diff_id: *diff_id,
            })
            .collect();
        let fetch = |index: usize| -> Result<LayerSource, ImageError> {
            let descriptor = manifest.layers.get(index).ok_or(ImageError::Cancelled)?;
            let file: File = self.download(registry, index, descriptor)?;
            self.work.report(index, LayerState::Unpacking(0));
            Ok(LayerSource { reader: Box::new(file), check: None })
        };
        let facts = self.work.layers(&specs, &fetch)?;
        self.work.report_notes(&facts);
        // The unpacked layers are what builds use; a later pull needs only their names. So the compressed ones go.
        for info in &infos {
            match std::fs::remove_file(store.blob_path(&info.digest)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(ImageError::io("remove", store.blob_path(&info.digest))(e));
                }
                _ => {}
            }
        }
        let digest = store.put_document(&document)?;
        let id = store.put_document(&config_bytes)?;
        let bytes = facts.iter().fold(0u64, |sum, facts| sum.saturating_add(facts.bytes));
        store.put_record(Record::new(
            self.reference,
            digest,
            id,
            &config,
            bytes,
            Origin::Pulled,
            self.work.operation.now,
        )?)?;
        store
            .resolve(&self.reference.to_string())?
            .ok_or_else(|| ImageError::NotFound { reference: self.reference.familiar() })
    }

    /// The manifest for the platform, through at most two indexes.
    fn manifest(&self, registry: &Registry) -> Result<(Vec<u8>, Manifest), ImageError> {
        let name = self.reference.familiar();
        let platform = self.options.platform.clone().unwrap_or_else(Platform::host);
        let mut key = self.reference.manifest_key();
        for _ in 0..3 {
            let document = self.retrying(registry.host(), "get the manifest", || registry.manifest(&key))?;
            match Document::parse(&format!("manifest of `{name}`"), &document)? {
                Document::Manifest(manifest) => return Ok((document, manifest)),
                Document::Index(index) => key = select(&name, &index, &platform)?.digest.to_string(),
            }
        }
        Err(ImageError::document(format!("index of `{name}`"), "it leads to further indexes, more than two deep"))
    }

    fn config(&self, registry: &Registry, descriptor: &Descriptor) -> Result<Vec<u8>, ImageError> {
        use std::io::Read as _;
        let what = format!("configuration of `{}`", self.reference.familiar());
        if descriptor.size > MAX_DOCUMENT {
            return Err(ImageError::Limit {
                what,
                problem: format!("it has {} bytes", descriptor.size),
                limit: format!("{MAX_DOCUMENT} bytes"),
            });
        }
        // Unchanged images are pulled again and again: then it is here already.
        if let Ok(bytes) = self.work.store.document(&descriptor.digest) {
            return Ok(bytes);
        }
        let action = "get the configuration";
        let bytes = self.retrying(registry.host(), action, || {
            let (_, mut body) = registry.blob(&descriptor.digest, 0)?;
            let mut bytes = Vec::new();
            let mut reader = body.as_reader().take(descriptor.size.saturating_add(1));
            reader.read_to_end(&mut bytes).map_err(|e| read_failure(&e))?;
            Ok(bytes)
        })?;
        let actual = Digest::of(&bytes);
        if actual == descriptor.digest {
            Ok(bytes)
        } else {
            Err(ImageError::Digest { what, expected: descriptor.digest, actual })
        }
    }

    /// An image without an index says in its configuration what it is for. Running another machine's programs may work
    /// (with emulation), so this is only worth a note.
    fn check_platform(&self, config: &ParsedConfig) -> Result<(), ImageError> {
        let wanted = self.options.platform.clone().unwrap_or_else(Platform::host);
        let architecture = &config.config.architecture;
        if !architecture.is_empty() && *architecture != wanted.architecture {
            (self.work.operation.progress)(Progress::Note(&format!(
                "this image is for {}, this machine is {}: its programs may not run",
                architecture.escape_debug(),
                wanted.architecture
            )));
        }
        Ok(())
    }

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
