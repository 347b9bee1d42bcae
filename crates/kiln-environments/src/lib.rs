//! Curated images: what goes into them, and where it comes from (`buildspec.md` 13, `integrations.md` 5).
//!
//! An *environment* is a directory of `environments/`: a [recipe], which a person writes, and a [lock], which
//! names every package file with its hash. [Clients](clients) of the registries fetch the files, a [cache](packages) keeps
//! them by their hash, and [`stage`] lays out the source directory of the build that makes the image's layer of them. That
//! build is an ordinary build without network; running it is not this crate's business.

pub mod clients;
pub mod error;
pub mod lock;
pub mod packages;
pub mod recipe;
pub mod recipes;
pub mod sbom;
pub mod stage;

mod runtimes_file;

pub use error::Error;
pub use lock::{Kind, Lock, Package};
pub use packages::PackageCache;
pub use recipe::{Language, Recipe, Registry, Unpack};
pub use recipes::{Environment, Recipes};
