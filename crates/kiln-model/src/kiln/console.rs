//! Signing in to the console with a link.

use serde::{Deserialize, Serialize};

use crate::{Secret, Timestamp};

/// A link to make.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateConsoleLinkInput {
    /// How long whoever opens it stays signed in, 900 to 43200 seconds; the longest that the caller may when absent: the
    /// root an hour, as AWS has it, everybody else twelve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<i64>,
}

/// What the link is made of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CreateConsoleLinkOutput {
    /// Goes into the fragment of the console's address (`/-/#link=…`), which browsers send to nobody. The console hands
    /// it in, once, for the session.
    pub secret: Secret,
    /// Until when it may be handed in.
    pub expiration: Timestamp,
    /// Until when the session lasts.
    pub session_expiration: Timestamp,
}

/// A session for the console: temporary credentials of whoever made the link.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsoleSession {
    /// `ASIA…`.
    pub access_key_id: String,
    /// Its secret half.
    pub secret_access_key: Secret,
    /// Without it the key is worth nothing.
    pub session_token: Secret,
    /// Region that requests are signed for.
    pub region: String,
    /// When the session ends.
    pub expiration: Timestamp,
}
