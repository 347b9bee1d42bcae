//! The documents in the records of buckets, objects, uploads and parts.

use std::collections::BTreeMap;

use kiln_model::s3::{BucketSettings, Checksum, ChecksumAlgorithm, ChecksumKind, ContentHeaders, Encryption, Tag};
use kiln_store::{StoreError, metadata::BucketRecord};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Version of all of them; 1 had metadata only.
const VERSION: u32 = 2;

/// A bucket.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct BucketDoc {
    #[serde(default)]
    version: u32,
    #[serde(default)]
    pub(super) settings: BucketSettings,
}

/// How bytes are sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sealed {
    /// What clients are told.
    pub(crate) encryption: Encryption,
    /// Key that new bytes are sealed with; none: they are not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) key: Option<String>,
    /// What the client binds the bytes to, beside what they are.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub(crate) context: BTreeMap<String, String>,
}

impl Default for Sealed {
    fn default() -> Self {
        Self {
            encryption: Encryption::Aes256,
            key: Some(kiln_store::keys::DEFAULT_KEY.to_owned()),
            context: BTreeMap::new(),
        }
    }
}

/// A version of an object.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct ObjectDoc {
    #[serde(default)]
    pub(super) version: u32,
    /// Values may be missing in documents of version 1.
    #[serde(default)]
    pub(super) metadata: BTreeMap<String, Option<String>>,
    #[serde(default)]
    pub(crate) headers: ContentHeaders,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<Tag>,
    #[serde(default)]
    pub(crate) sealed: Sealed,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) checksum: Option<Checksum>,
    /// How many parts it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parts: Option<u32>,
}

impl ObjectDoc {
    pub(crate) fn metadata(&self) -> BTreeMap<String, String> {
        self.metadata.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?))).collect()
    }

    pub(crate) fn set_metadata(&mut self, metadata: BTreeMap<String, String>) {
        self.metadata = metadata.into_iter().map(|(name, value)| (name, Some(value))).collect();
    }
}

/// An upload.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct UploadDoc {
    pub(super) version: u32,
    /// What the object will be.
    pub(super) object: ObjectDoc,
    /// Checksum that the client named.
    pub(super) checksum: Option<(ChecksumAlgorithm, ChecksumKind)>,
}

/// A part.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct PartDoc {
    pub(super) version: u32,
    /// Checksums of its bytes.
    pub(super) checksums: Vec<Checksum>,
}

impl PartDoc {
    pub(super) fn checksum(&self, algorithm: ChecksumAlgorithm) -> Option<&Checksum> {
        self.checksums.iter().find(|c| c.algorithm == algorithm)
    }
}

/// The document of a record; `what` names it to the operator.
pub(crate) fn parse<T: DeserializeOwned>(json: &str, what: impl FnOnce() -> String) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|e| StoreError::Invalid(format!("the document of {} is not one: {e}", what())))
}

/// A document for a record.
pub(crate) trait Document: Serialize {
    fn set_version(&mut self, version: u32);

    fn into_json(mut self) -> String
    where
        Self: Sized,
    {
        self.set_version(VERSION);
        // Maps with texts as keys, and no number that JSON lacks: this does not fail.
        serde_json::to_string(&self).unwrap_or_default()
    }
}

macro_rules! documents {
    ($($name:ident)+) => {
        $(impl Document for $name {
            fn set_version(&mut self, version: u32) {
                self.version = version;
            }
        })+
    };
}
documents!(BucketDoc ObjectDoc UploadDoc PartDoc);

pub(super) fn settings(bucket: &BucketRecord) -> Result<BucketSettings, StoreError> {
    Ok(parse::<BucketDoc>(&bucket.doc, || format!("bucket {}", bucket.name))?.settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_of_version_1_are_understood() {
        let text = r#"{"version":1,"metadata":{"codebuild-buildarn":"arn","codebuild-content-md5":null}}"#;
        let doc: ObjectDoc = parse(text, String::new).unwrap();
        assert_eq!(doc.metadata(), BTreeMap::from([("codebuild-buildarn".to_owned(), "arn".to_owned())]));
        assert_eq!(doc.sealed, Sealed::default());
        let bucket: BucketDoc = parse(r#"{"version":1}"#, String::new).unwrap();
        assert_eq!(bucket.settings, BucketSettings::default());
        let again: ObjectDoc = parse(&doc.into_json(), String::new).unwrap();
        assert_eq!(again.version, VERSION);
    }
}
