//! What a build asks of the caches in its bucket, and what it is told (`buildspec.md` 10.2, 10.3). The runner asks, the service
//! answers on behalf of the build's role.

use serde::{Deserialize, Serialize};

/// What a build wants done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildCache {
    /// Find the cache to restore, and put it into the host's store of caches.
    Find {
        /// `cache/paths` as the buildspec says them: part of what a cache is known by.
        paths: Vec<String>,
        /// `cache/key`, expanded; `None`: the cache of all builds without one.
        key: Option<String>,
        /// Beginnings of other keys, tried in this order.
        fallback_keys: Vec<String>,
    },
    /// Store in the bucket what the build has saved in the host's store.
    Keep {
        /// As above.
        paths: Vec<String>,
        /// As above.
        key: Option<String>,
    },
}

/// The answer to a [`BuildCache`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildCacheAnswer {
    /// It is in the host's store.
    Found {
        /// Its key.
        key: Option<String>,
        /// It is the one of the key that was asked for (or of none), and not of a fallback key.
        exact: bool,
    },
    /// There is none.
    Missing,
    /// It is in the bucket.
    Kept,
    /// The bucket has one of that key already, which stays.
    KeyExists,
    /// It cannot be had or kept. No build fails for it.
    Problem {
        /// Why, for the build's log.
        message: String,
    },
}
