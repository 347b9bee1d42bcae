//! Where logs go.

use serde::{Deserialize, Serialize};

use super::BucketOwnerAccess;
use crate::enumeration::enumeration;

enumeration! {
    /// On or off.
    #[derive(Default)]
    LogsConfigStatusType {
        /// On.
        Enabled = "ENABLED",
        /// Off.
        #[default]
        Disabled = "DISABLED",
    }
}

/// Logs in a log stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CloudWatchLogsConfig {
    /// On or off.
    pub status: LogsConfigStatusType,
    /// Log group; `/aws/codebuild/<project>` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_name: Option<String>,
    /// First part of the stream's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_name: Option<String>,
}

/// Logs in a bucket.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct S3LogsConfig {
    /// On or off.
    pub status: LogsConfigStatusType,
    /// `bucket[/prefix]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Whether the object is not encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_disabled: Option<bool>,
    /// Rights of the bucket's owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket_owner_access: Option<BucketOwnerAccess>,
}

/// Where a project's logs go.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogsConfig {
    /// Log stream; on when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_watch_logs: Option<CloudWatchLogsConfig>,
    /// Bucket; off when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3_logs: Option<S3LogsConfig>,
}

/// Where a build's log is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogsLocation {
    /// Log group; absent before PROVISIONING.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_name: Option<String>,
    /// Log stream; absent before PROVISIONING.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_name: Option<String>,
    /// Page that shows the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deep_link: Option<String>,
    /// Page that shows the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3_deep_link: Option<String>,
    /// ARN of the log stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_watch_logs_arn: Option<String>,
    /// ARN of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3_logs_arn: Option<String>,
    /// The effective configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_watch_logs: Option<CloudWatchLogsConfig>,
    /// The effective configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3_logs: Option<S3LogsConfig>,
}
