//! Checksums that clients send along, and that objects keep.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::enumeration::enumeration;

enumeration! {
    /// How a checksum is computed.
    ChecksumAlgorithm {
        /// CRC-32.
        Crc32 = "CRC32",
        /// CRC-32C (Castagnoli).
        Crc32c = "CRC32C",
        /// CRC-64/NVME.
        Crc64Nvme = "CRC64NVME",
        /// SHA-1.
        Sha1 = "SHA1",
        /// SHA-256.
        Sha256 = "SHA256",
    }
}

enumeration! {
    /// What a checksum of a multipart upload is of.
    ChecksumKind {
        /// Of all bytes, as if they had come at once.
        FullObject = "FULL_OBJECT",
        /// Of the checksums of the parts; written with `-N` behind it.
        Composite = "COMPOSITE",
    }
}

impl ChecksumAlgorithm {
    /// Bytes that a checksum has.
    #[must_use]
    pub fn length(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// Whether the checksum of the whole follows from those of its parts.
    #[must_use]
    pub fn is_crc(self) -> bool {
        matches!(self, Self::Crc32 | Self::Crc32c | Self::Crc64Nvme)
    }
}

/// A checksum of an object or a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    /// How it is computed.
    pub algorithm: ChecksumAlgorithm,
    /// What it is of.
    pub kind: ChecksumKind,
    /// Base64, big-endian; a composite one with `-N`.
    pub value: String,
}

/// Gives the value of a checksum that comes behind the bytes, once these have ended; `None`: it did not come.
#[derive(Clone)]
pub struct TrailingChecksum(Arc<dyn Fn() -> Option<String> + Send + Sync>);

impl TrailingChecksum {
    /// `read` is called after the last byte.
    #[must_use]
    pub fn new(read: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The value, in base64.
    #[must_use]
    pub fn value(&self) -> Option<String> {
        (self.0)()
    }
}

impl fmt::Debug for TrailingChecksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrailingChecksum").finish_non_exhaustive()
    }
}

/// The checksum that a client sends with bytes.
#[derive(Debug, Clone)]
pub enum ExpectedChecksum {
    /// In the head (`x-amz-checksum-crc32: …`): base64.
    Value(ChecksumAlgorithm, String),
    /// Behind the bytes (`x-amz-trailer: x-amz-checksum-crc32`).
    Trailing(ChecksumAlgorithm, TrailingChecksum),
    /// None; it is computed and kept (`x-amz-sdk-checksum-algorithm` alone).
    Computed(ChecksumAlgorithm),
}

impl ExpectedChecksum {
    /// How it is computed.
    #[must_use]
    pub fn algorithm(&self) -> ChecksumAlgorithm {
        match self {
            Self::Value(algorithm, _) | Self::Trailing(algorithm, _) | Self::Computed(algorithm) => *algorithm,
        }
    }
}
