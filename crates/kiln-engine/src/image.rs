//! The image store: container images, fetched from registries or imported from archives, kept unpacked and ready to be
//! mounted as the lower layers of a build's root file system.
//!
//! Reading order: [`mod@reference`] and `manifest` (what images are called and made of), `store` (what lies on disk),
//! `tar`, `decompress` and `unpack` (how a layer becomes a directory), `assemble` (all layers of an image at
//! once), `bring` (an image, wherever from), `registry` and `pull`, `take`, `import`, `compose`.
//!
//! Everything that comes from outside is hostile: layers never write outside their directory, sizes and counts are
//! bounded ([`Limits`]), content is checked against its digest before it is used.

mod assemble;
mod bring;
mod compose;
mod credentials;
mod decompress;
mod digest;
mod error;
mod import;
mod layers;
mod limits;
mod lock;
mod manifest;
mod operation;
mod pull;
mod reference;
mod registry;
mod store;
mod take;
mod tar;
mod tree;
mod unpack;

pub use compose::Composition;
pub use credentials::{Credentials, DockerConfig};
pub use digest::{Digest, chain_ids};
pub use error::ImageError;
pub use import::{ImportFormat, ImportOptions, ImportSource};
pub use layers::LayerForm;
pub use limits::Limits;
pub use manifest::{ImageConfig, Platform};
pub use operation::{LayerInfo, LayerState, Operation, Progress};
pub use pull::{PullOptions, Retries};
pub use reference::Reference;
pub use store::{Image, ImageStore, ImageSummary, Lease, PruneScope, Pruned, Removed, Usage};
pub use take::Contents;

use std::io::Read;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// Unpacks one layer (tar, perhaps with gzip or zstd) over the `lower` ones (bottom first) into the empty directory
/// `target`, as the store does. Returns the layer's diff id. For tests and fuzzing.
///
/// # Errors
/// As pulling or importing an image with this layer.
pub fn unpack_layer(
    source: impl Read + Send,
    target: &Path,
    lower: &[&Path],
    form: LayerForm,
    limits: Limits,
    cancel: &AtomicBool,
) -> Result<Digest, ImageError> {
    let mut roots = Vec::with_capacity(lower.len());
    for layer in lower {
        roots.push(tree::open_root(layer).map_err(ImageError::sys("open", layer))?);
    }
    let count = roots.len();
    let (stack, cancel, budget) =
        (layers::Stack::of(roots), operation::Cancel::new(cancel), limits::Budget::new(limits));
    let lower = layers::Lower { stack: &stack, count, cancel: &cancel };
    let options = decompress::StreamOptions {
        what: "layer",
        budget: &budget,
        cancel: &cancel,
        blob_digest: false,
        progress: &|_| {},
    };
    assemble::unpack_stream(source, &options, target, form, &lower).map(|(_, stream)| stream.diff_id)
}
