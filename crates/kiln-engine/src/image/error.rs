//! What can go wrong with images, worded for the person who asked for one.

use std::io;
use std::path::{Path, PathBuf};

use super::digest::Digest;

/// An error of the image store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The text is not an image reference.
    #[error("`{text}` is not an image reference: {problem}")]
    Reference {
        /// What was given.
        text: String,
        /// Which rule it breaks.
        problem: &'static str,
    },
    /// The store has no image of this name.
    #[error("no image `{reference}` here; get it with `kiln image pull {reference}` or `kiln image import`")]
    NotFound {
        /// The name looked for.
        reference: String,
    },
    /// The image is known, but its layers are not unpacked in the form that this process can use.
    #[error("the layers of `{reference}` are not unpacked for {form}; pull or import it again as this user")]
    NotUnpacked {
        /// The image.
        reference: String,
        /// The form of layers wanted, in words.
        form: &'static str,
    },
    /// A system call on the store (or on a file to import) failed.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// What was tried ("create", "rename", …).
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The directory belongs to another version of the store, or is no store at all.
    #[error("{path} {problem}", path = path.display())]
    Store {
        /// The file at fault.
        path: PathBuf,
        /// What is wrong with it and what to do.
        problem: String,
    },
    /// A layer or archive breaks the rules of its format, or tries to write outside its root.
    #[error("{archive}: {problem}")]
    Archive {
        /// Layer digest or file name.
        archive: String,
        /// What is wrong, naming the entry.
        problem: String,
    },
    /// A size or count is over its limit.
    #[error("{what}: {problem}; the limit is {limit}")]
    Limit {
        /// Layer digest or file name.
        what: String,
        /// What is too large.
        problem: String,
        /// The limit, with its unit.
        limit: String,
    },
    /// Content does not have the digest that names it.
    #[error("{what} is damaged or was tampered with: its digest should be {expected} and is {actual}")]
    Digest {
        /// What was being read.
        what: String,
        /// The digest that names it.
        expected: Digest,
        /// The digest that it has.
        actual: Digest,
    },
    /// A manifest, index or configuration is not what it should be.
    #[error("{what}: {problem}")]
    Document {
        /// Which document.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The image exists, but not for this kind of machine.
    #[error("`{reference}` has no image for {wanted}; it has: {available}")]
    Platform {
        /// The image.
        reference: String,
        /// This machine, as `os/architecture`.
        wanted: String,
        /// What there is.
        available: String,
    },
    /// The registry could not be reached or answered with an error.
    #[error("registry {registry}: cannot {action}: {problem}")]
    Registry {
        /// Host and port.
        registry: String,
        /// What was asked of it.
        action: String,
        /// What happened.
        problem: String,
    },
    /// The registry refuses to serve this image to us.
    #[error(
        "registry {registry} refuses access to `{repository}` ({problem}); check the name, and log in with \
         `docker login {registry}` or give --username and --password-stdin"
    )]
    Denied {
        /// Host and port.
        registry: String,
        /// The repository asked for.
        repository: String,
        /// The registry's own words.
        problem: String,
    },
    /// Credentials could not be had.
    #[error("credentials for {registry}: {problem}")]
    Credentials {
        /// Host and port.
        registry: String,
        /// What is wrong and where.
        problem: String,
    },
    /// An imported archive does not say what its image is called.
    #[error("{archive} does not name its image; give it a name with --name")]
    Unnamed {
        /// The archive.
        archive: String,
    },
    /// Builds are using the image.
    #[error("`{reference}` is in use by a running build")]
    InUse {
        /// The image.
        reference: String,
    },
    /// The image cannot be used as a root file system.
    #[error("`{reference}` cannot be run: {problem}")]
    Unusable {
        /// The image.
        reference: String,
        /// Why.
        problem: String,
    },
    /// The caller asked to stop.
    #[error("interrupted")]
    Cancelled,
}

impl ImageError {
    /// Wraps a failed system call on `path`. "No space left" says so in words a user can act on.
    pub(crate) fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| {
            if source.raw_os_error() == Some(rustix::io::Errno::NOSPC.raw_os_error()) {
                return Self::Store {
                    path,
                    problem: format!(
                        "cannot be written: its disk is full ({source}); free space, or remove images with `kiln image prune`"
                    ),
                };
            }
            Self::Io { action, path, source }
        }
    }

    /// Wraps a failed system call made through `rustix`.
    pub(crate) fn sys(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(rustix::io::Errno) -> Self {
        let wrap = Self::io(action, path);
        move |errno| wrap(errno.into())
    }

    pub(crate) fn archive(archive: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Archive { archive: archive.into(), problem: problem.into() }
    }

    pub(crate) fn document(what: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Document { what: what.into(), problem: problem.into() }
    }
}
