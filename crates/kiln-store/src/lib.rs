//! Metadata (SQLite), sealed blobs, log segments.
