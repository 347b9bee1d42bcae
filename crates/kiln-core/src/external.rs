//! Buckets of another S3 (`[[external_s3]]`, DESIGN decision 10), which builds fetch from and store to directly.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use kiln_store::remote::{self, RemoteBucket, RemoteEncryption, RemoteError, RemoteSettings};

/// Buckets that are reached in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalS3 {
    /// Names of the buckets; `*` stands for any characters.
    pub buckets: Vec<String>,
    /// How they are reached; the name of the bucket is put in.
    pub settings: RemoteSettings,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct External {
    tables: Vec<ExternalS3>,
    notes: PathBuf,
    /// Those that were asked for: each has connections of its own.
    known: Mutex<BTreeMap<String, RemoteBucket>>,
}

impl External {
    /// In the directory `notes` stands which uploads are not over.
    pub(crate) fn new(tables: Vec<ExternalS3>, notes: PathBuf) -> Self {
        Self { tables, notes, known: Mutex::default() }
    }

    /// The bucket of that name, if it is another S3's: the first table that fits counts.
    pub(crate) fn bucket(&self, name: &str) -> Option<Result<RemoteBucket, RemoteError>> {
        let table = self.tables.iter().find(|table| table.buckets.iter().any(|pattern| fits(pattern, name)))?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = known.get(name) {
            return Some(Ok(bucket.clone()));
        }
        let settings = RemoteSettings { bucket: name.to_owned(), ..table.settings.clone() };
        Some(RemoteBucket::new(settings, self.notes.clone()).inspect(|bucket| {
            known.insert(name.to_owned(), bucket.clone());
        }))
    }

    /// The same, with what is stored encrypted with a key of that server's KMS, if one is named.
    pub(crate) fn bucket_with_key(&self, name: &str, key: Option<&str>) -> Option<Result<RemoteBucket, RemoteError>> {
        let bucket = self.bucket(name)?;
        Some(match key {
            None => bucket,
            Some(key) => bucket.and_then(|bucket| bucket.with_encryption(RemoteEncryption::Kms(key.to_owned()))),
        })
    }

    /// Uploads that are not over, with their buckets: before anything is uploaded, those that a crash cut off.
    pub(crate) fn unfinished(&self) -> Vec<(String, PathBuf)> {
        remote::noted(&self.notes).unwrap_or_else(|e| {
            tracing::warn!(path = %self.notes.display(), error = %e, "notes of uploads cannot be read");
            Vec::new()
        })
    }

    /// Gives back what arrived of them.
    pub(crate) fn abort(&self, unfinished: Vec<(String, PathBuf)>) {
        for (name, note) in unfinished {
            match self.bucket(&name) {
                Some(Ok(bucket)) => bucket.abort_unfinished(&note),
                Some(Err(e)) => tracing::warn!(error = %e, "an upload that a crash cut off cannot be given back"),
                None => tracing::warn!(
                    bucket = name,
                    "an upload that a crash cut off cannot be given back: no [[external_s3]] fits its bucket any more"
                ),
            }
        }
    }
}

/// Whether a name fits a pattern with `*`.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn patterns() {
        for (pattern, name) in
            [("a", "a"), ("*", "a"), ("*", ""), ("a*", "a"), ("a*c", "abc"), ("a*b*c", "axxbyyc"), ("*-x", "y-x-x")]
        {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("a", "ab"), ("a", ""), ("a*", "ba"), ("a*c", "ab"), ("a*ab", "ab"), ("*b*b", "b")] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
