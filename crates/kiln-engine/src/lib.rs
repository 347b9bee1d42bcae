//! Environments: image store and container engines.
