//! Compute types of Linux containers (`buildspec.md` section 14).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A compute type and what it grants. Figures: `buildspec.md` section 14.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ComputeType {
    /// 2 vCPU, 4 GiB, 64 GB of disk.
    #[serde(rename = "BUILD_GENERAL1_SMALL")]
    Small,
    /// 4 vCPU, 8 GiB, 128 GB of disk.
    #[serde(rename = "BUILD_GENERAL1_MEDIUM")]
    Medium,
    /// 8 vCPU, 16 GiB, 128 GB of disk.
    #[serde(rename = "BUILD_GENERAL1_LARGE")]
    Large,
    /// 36 vCPU, 72 GiB, 256 GB of disk.
    #[serde(rename = "BUILD_GENERAL1_XLARGE")]
    XLarge,
    /// 72 vCPU, 144 GiB, 824 GB of disk.
    #[serde(rename = "BUILD_GENERAL1_2XLARGE")]
    XXLarge,
}

impl ComputeType {
    /// Every compute type, smallest first.
    pub const ALL: [Self; 5] = [Self::Small, Self::Medium, Self::Large, Self::XLarge, Self::XXLarge];

    /// AWS's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Small => "BUILD_GENERAL1_SMALL",
            Self::Medium => "BUILD_GENERAL1_MEDIUM",
            Self::Large => "BUILD_GENERAL1_LARGE",
            Self::XLarge => "BUILD_GENERAL1_XLARGE",
            Self::XXLarge => "BUILD_GENERAL1_2XLARGE",
        }
    }

    /// Virtual CPUs; a weight, never a reservation (DESIGN decision 15).
    #[must_use]
    pub fn vcpus(self) -> u32 {
        match self {
            Self::Small => 2,
            Self::Medium => 4,
            Self::Large => 8,
            Self::XLarge => 36,
            Self::XXLarge => 72,
        }
    }

    /// Memory limit in bytes.
    #[must_use]
    pub fn memory_bytes(self) -> u64 {
        let gib: u64 = match self {
            Self::Small => 4,
            Self::Medium => 8,
            Self::Large => 16,
            Self::XLarge => 72,
            Self::XXLarge => 144,
        };
        gib << 30
    }

    /// Disk limit in bytes (the reference's GB, 10⁹).
    #[must_use]
    pub fn disk_bytes(self) -> u64 {
        let gb: u64 = match self {
            Self::Small => 64,
            Self::Medium | Self::Large => 128,
            Self::XLarge => 256,
            Self::XXLarge => 824,
        };
        gb * 1_000_000_000
    }
}

impl fmt::Display for ComputeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text names no compute type that runs Linux containers here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown compute type '{0}': use BUILD_GENERAL1_SMALL, _MEDIUM, _LARGE, _XLARGE or _2XLARGE (or small, medium, large, xlarge, 2xlarge)"
)]
pub struct UnknownComputeType(String);

impl FromStr for ComputeType {
    type Err = UnknownComputeType;

    /// Takes AWS's name or its last word, in any case: `BUILD_GENERAL1_SMALL`, `small`.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let upper = s.to_ascii_uppercase();
        let short = upper.strip_prefix("BUILD_GENERAL1_").unwrap_or(&upper);
        Self::ALL
            .into_iter()
            .find(|c| c.as_str().strip_prefix("BUILD_GENERAL1_") == Some(short))
            .ok_or_else(|| UnknownComputeType(s.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_in_both_forms() {
        for c in ComputeType::ALL {
            assert_eq!(c.as_str().parse::<ComputeType>().unwrap(), c);
            assert_eq!(serde_json::to_string(&c).unwrap(), format!("\"{c}\""));
        }
        assert_eq!("2xlarge".parse::<ComputeType>().unwrap(), ComputeType::XXLarge);
        assert!("BUILD_LAMBDA_1GB".parse::<ComputeType>().is_err());
    }
}
