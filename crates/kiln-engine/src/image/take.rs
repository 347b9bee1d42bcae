//! Takes an image from somewhere in this process.

use std::io::{self, Read};

use super::assemble::{LayerSource, Work};
use super::bring::{self, Bring, Source};
use super::digest::Digest;
use super::error::ImageError;
use super::limits::Budget;
use super::manifest::{Descriptor, MAX_DOCUMENT, Platform};
use super::operation::{Cancel, Operation};
use super::reference::Reference;
use super::store::{Image, ImageStore};

/// The contents of a registry that is no further away than this process.
pub trait Contents: Sync {
    /// The bytes that have a digest; without one those of the manifest or index that is to be taken. Called from several
    /// threads; what is read is checked against its digest.
    ///
    /// # Errors
    /// When they are not there or cannot be read.
    fn open(&self, digest: Option<&Digest>) -> io::Result<Box<dyn Read + Send>>;
}

impl ImageStore {
    /// Makes `reference` the name of what `contents` has for this machine, and unpacks the layers that are not here yet.
    /// Nothing is changed if that is so already.
    ///
    /// # Errors
    /// Of the content, or of the store; [`ImageError::Cancelled`] if told to stop.
    pub fn take(
        &self,
        reference: &Reference,
        contents: &dyn Contents,
        operation: &Operation<'_>,
    ) -> Result<Image, ImageError> {
        let platform = Platform::host();
        let source = Taken { reference, contents };
        let (document, manifest) = bring::manifest(&source, reference, &platform)?;
        let digest = Digest::of(&document);
        match self.resolve(&reference.to_string()) {
            Ok(Some(image)) if image.digest == digest => return Ok(image),
            // It may be here for another user only, or damaged: it is brought in again.
            _ => {}
        }
        let _activity = self.begin()?;
        let cancel = Cancel::new(operation.cancel);
        let budget = Budget::new(operation.limits);
        let work = Work { store: self, operation, cancel: &cancel, budget: &budget };
        Bring { reference, platform, work: &work }.run(&source, &document, &manifest)
    }
}

struct Taken<'a> {
    reference: &'a Reference,
    contents: &'a dyn Contents,
}

impl Taken<'_> {
    fn open(&self, digest: Option<&Digest>) -> Result<Box<dyn Read + Send>, ImageError> {
        self.contents.open(digest).map_err(|e| self.failed(digest, &e))
    }

    fn failed(&self, digest: Option<&Digest>, error: &io::Error) -> ImageError {
        ImageError::Registry {
            registry: self.reference.domain().to_owned(),
            action: format!("read {}", digest.map_or_else(|| "the manifest".to_owned(), Digest::to_string)),
            problem: error.to_string(),
        }
    }

    /// At most so many bytes, and one more where there are more.
    fn read(&self, digest: Option<&Digest>, most: u64) -> Result<Vec<u8>, ImageError> {
        let mut bytes = Vec::new();
        let read = self.open(digest)?.take(most.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|e| self.failed(digest, &e))?;
        Ok(bytes)
    }
}

impl Source for Taken<'_> {
    fn manifest(&self, digest: Option<&Digest>) -> Result<Vec<u8>, ImageError> {
        let document = self.read(digest, MAX_DOCUMENT)?;
        let actual = Digest::of(&document);
        match digest.or(self.reference.digest().as_ref()) {
            Some(expected) if *expected != actual => {
                let what = format!("manifest of `{}`", self.reference.familiar());
                Err(ImageError::Digest { what, expected: *expected, actual })
            }
            _ => Ok(document),
        }
    }

    fn config(&self, descriptor: &Descriptor) -> Result<Vec<u8>, ImageError> {
        self.read(Some(&descriptor.digest), descriptor.size)
    }

    fn layer(&self, _: usize, descriptor: &Descriptor) -> Result<LayerSource, ImageError> {
        let reader = self.open(Some(&descriptor.digest))?;
        Ok(LayerSource { reader, check: Some((descriptor.digest, descriptor.size)) })
    }
}
