//! `secrets-manager` references (`buildspec.md` 1.6).

use std::{fmt, str::FromStr};

use kiln_model::build_secret::BuildSecret;
use serde::{Deserialize, Serialize};

/// `secret-id[:json-key[:version-stage[:version-id]]]`. Empty parts count as absent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SecretReference {
    /// Name or full ARN of the secret.
    pub secret_id: String,
    /// Key in the secret's JSON object; `None`: the whole text.
    pub json_key: Option<String>,
    /// Staging label; `AWSCURRENT` when neither this nor the version is given.
    pub version_stage: Option<String>,
    /// Version.
    pub version_id: Option<String>,
}

/// Why a text is no reference to a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretReferenceError {
    /// Nothing before the first colon.
    #[error("no secret is named: write secret-id:json-key:version-stage:version-id")]
    NoSecretId,
    /// More than four parts.
    #[error("too many parts: write secret-id:json-key:version-stage:version-id (only an ARN has colons of its own)")]
    TooManyParts,
}

/// Fields of a secret's ARN: `arn:partition:secretsmanager:region:account:secret:name`.
const ARN_FIELDS: usize = 7;

impl FromStr for SecretReference {
    type Err = SecretReferenceError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let id_fields = if s.starts_with("arn:") { ARN_FIELDS } else { 1 };
        let id_end = s.match_indices(':').nth(id_fields - 1).map_or(s.len(), |(at, _)| at);
        let (secret_id, rest) = s.split_at(id_end);
        if secret_id.trim().is_empty() {
            return Err(SecretReferenceError::NoSecretId);
        }
        let mut parts = rest.strip_prefix(':').into_iter().flat_map(|rest| rest.split(':'));
        let mut part = || parts.next().filter(|p| !p.is_empty()).map(str::to_owned);
        let (json_key, version_stage, version_id) = (part(), part(), part());
        if parts.next().is_some() {
            return Err(SecretReferenceError::TooManyParts);
        }
        Ok(Self { secret_id: secret_id.to_owned(), json_key, version_stage, version_id })
    }
}

impl fmt::Display for SecretReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.secret_id)?;
        let parts = [&self.json_key, &self.version_stage, &self.version_id];
        let used = parts.iter().rposition(|p| p.is_some()).map_or(0, |last| last + 1);
        for part in parts.into_iter().take(used) {
            write!(f, ":{}", part.as_deref().unwrap_or_default())?;
        }
        Ok(())
    }
}

impl TryFrom<String> for SecretReference {
    type Error = SecretReferenceError;

    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<SecretReference> for String {
    fn from(reference: SecretReference) -> Self {
        reference.to_string()
    }
}

impl From<SecretReference> for BuildSecret {
    fn from(reference: SecretReference) -> Self {
        let SecretReference { secret_id, json_key, version_stage, version_id } = reference;
        Self::Secret { id: secret_id, json_key, version_stage, version_id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_split_after_the_arn() {
        let arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/db-AbCdEf";
        for (text, id, key, stage, version) in [
            ("db", "db", None, None, None),
            ("db:password", "db", Some("password"), None, None),
            ("db:::", "db", None, None, None),
            ("db:password:AWSPREVIOUS", "db", Some("password"), Some("AWSPREVIOUS"), None),
            ("db:password::v1", "db", Some("password"), None, Some("v1")),
            ("$STAGE/db:k", "$STAGE/db", Some("k"), None, None),
            (arn, arn, None, None, None),
            (&format!("{arn}:password:AWSCURRENT"), arn, Some("password"), Some("AWSCURRENT"), None),
            ("arn:aws:secretsmanager", "arn:aws:secretsmanager", None, None, None),
        ] {
            let parsed: SecretReference = text.parse().unwrap();
            assert_eq!(
                (
                    parsed.secret_id.as_str(),
                    parsed.json_key.as_deref(),
                    parsed.version_stage.as_deref(),
                    parsed.version_id.as_deref()
                ),
                (id, key, stage, version),
                "{text}"
            );
            assert_eq!(parsed.to_string().parse::<SecretReference>().unwrap(), parsed);
        }
        assert_eq!("".parse::<SecretReference>(), Err(SecretReferenceError::NoSecretId));
        assert_eq!(":k".parse::<SecretReference>(), Err(SecretReferenceError::NoSecretId));
        assert_eq!("a:b:c:d:e".parse::<SecretReference>(), Err(SecretReferenceError::TooManyParts));
    }
}
