//! Which key an object is sealed with: the request's, else the bucket's, else S3's own (`security.md` 3.1).

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use kiln_model::{
    s3::{BucketSettings, Encryption, EncryptionRequest, S3Error},
    service::Context as RequestContext,
};
use kiln_store::{Sealing, keys::Context};

use super::{document::Sealed, error};
use crate::{
    core::Inner,
    kms::{self, UsableKey, Use},
    runners::Runners,
};

/// Pairs of an encryption context that a client may give, and their bytes in all.
const MOST_PAIRS: usize = 50;
const MOST_CONTEXT_BYTES: usize = 8192;

/// The KMS key that a text names, if it may be used now.
pub(super) fn usable<R: Runners>(inner: &Inner<R>, text: &str) -> Result<UsableKey, S3Error> {
    kms::usable(inner, text).map_err(|e| error::of_kms(&e))
}

/// What a request of S3 does with the key of an object: KMS has to let its caller do that too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyUse {
    /// Writes it.
    Generate,
    /// Reads it.
    Decrypt,
}

/// Lets the caller of a request use the key that an object is sealed with, if it is one of KMS: S3 asks for them.
///
/// # Errors
/// `AccessDenied`, in KMS's words.
pub(super) fn permit<R: Runners>(
    inner: &Inner<R>,
    context: &RequestContext,
    key_use: KeyUse,
    sealed: &Sealed,
    (bucket, key): (&str, &str),
) -> Result<(), S3Error> {
    let Encryption::Kms { key_arn, .. } = &sealed.encryption else { return Ok(()) };
    let mut pairs = sealed.context.clone();
    pairs.insert("aws:s3:arn".to_owned(), format!("arn:aws:s3:::{bucket}/{key}"));
    let operation = match key_use {
        KeyUse::Generate => "GenerateDataKey",
        KeyUse::Decrypt => "Decrypt",
    };
    let using = Use { pairs: Some(&pairs), via: Some("s3"), ..Use::of(operation) };
    kms::permit_arn(inner, context, key_arn, using).map_err(|e| error::of_kms(&e))
}

/// What new bytes are sealed with.
pub(super) fn choose<R: Runners>(
    inner: &Inner<R>,
    settings: &BucketSettings,
    request: EncryptionRequest,
) -> Result<Sealed, S3Error> {
    let own = || inner.config.home.default_key_arn();
    let kms = |key: Option<String>, context, bucket_key| {
        let UsableKey { material, arn } = usable(inner, &key.unwrap_or_else(own))?;
        Ok(Sealed { encryption: Encryption::Kms { key_arn: arn, bucket_key }, key: Some(material), context })
    };
    match (request, &settings.encryption) {
        (EncryptionRequest::CustomerKey, _) => {
            Err(S3Error::not_implemented("Server-side encryption with keys of the client's own (SSE-C)"))
        }
        (EncryptionRequest::Kms { key, context, bucket_key }, _) => {
            let context = context.as_deref().map_or_else(|| Ok(BTreeMap::new()), parse_context)?;
            kms(key, context, bucket_key)
        }
        (EncryptionRequest::Default, Some(default)) if default.kms => {
            kms(default.key.clone(), BTreeMap::new(), default.bucket_key)
        }
        (EncryptionRequest::Default | EncryptionRequest::Aes256, _) => Ok(Sealed::default()),
    }
}

/// `x-amz-server-side-encryption-context`: base64 of a JSON object of texts.
fn parse_context(text: &str) -> Result<BTreeMap<String, String>, S3Error> {
    let parsed = STANDARD.decode(text).ok().and_then(|json| serde_json::from_slice::<BTreeMap<_, _>>(&json).ok());
    match parsed {
        Some(pairs) if text.len() <= MOST_CONTEXT_BYTES && pairs.len() <= MOST_PAIRS => Ok(pairs),
        _ => Err(S3Error::invalid(format!(
            "The header x-amz-server-side-encryption-context must be base64 of a JSON object of at most {MOST_PAIRS} \
             texts and {MOST_CONTEXT_BYTES} bytes"
        ))),
    }
}

impl Sealed {
    /// With a KMS key.
    pub(crate) fn with(key: UsableKey) -> Self {
        let encryption = Encryption::Kms { key_arn: key.arn, bucket_key: false };
        Self { encryption, key: Some(key.material), context: BTreeMap::new() }
    }

    /// For the bytes of builds whose project says that they are not to be encrypted.
    pub(crate) fn plain() -> Self {
        Self { encryption: Encryption::None, key: None, context: BTreeMap::new() }
    }

    pub(super) fn sealing(&self) -> Sealing<'_> {
        self.key.as_deref().map_or(Sealing::Plain, Sealing::Key)
    }

    /// What a blob is sealed for: it opens as this object only.
    pub(super) fn object_context(&self, bucket: &str, key: &str) -> Context {
        let own = self.context.iter().fold(Context::new(), |context, (name, value)| context.with(name, value));
        own.with("aws:s3:arn", format!("arn:aws:s3:::{bucket}/{key}"))
    }

    /// What a part is sealed for: it opens in its place in this object only.
    pub(super) fn part_context(&self, bucket: &str, key: &str, upload: &str, number: i64) -> Context {
        self.object_context(bucket, key).with("kiln:upload", upload).with("kiln:part", number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_small_objects_of_texts() {
        let parse = |json: &str| parse_context(&STANDARD.encode(json));
        assert_eq!(parse(r#"{"team":"a"}"#).unwrap().get("team").map(String::as_str), Some("a"));
        for bad in ["[]", r#"{"a":1}"#, "", &format!(r#"{{"a":"{}"}}"#, "x".repeat(MOST_CONTEXT_BYTES))] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse_context("no base64").is_err());
    }
}
