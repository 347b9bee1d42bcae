//! What keys are used for.

use std::collections::BTreeMap;

use kiln_model::{
    ApiError, ErrorCode,
    kms::{
        Blob, DataKeySpec, DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, EncryptionAlgorithmSpec,
        GenerateDataKeyRequest, GenerateDataKeyResponse, GenerateDataKeyWithoutPlaintextRequest,
        GenerateDataKeyWithoutPlaintextResponse, GenerateRandomRequest, GenerateRandomResponse, ReEncryptRequest,
        ReEncryptResponse,
    },
    service::Context,
};
use kiln_store::{
    keys::{Context as Sealing, KeyError, Keys, Sealed},
    metadata::KmsKeyRecord,
};
use zeroize::Zeroizing;

use super::{
    access::{Use, permit, permit_key},
    grants::check_tokens,
    resolve::{Names, check_usable, error, find, no_key},
};
use crate::{
    core::Inner,
    records::{Refused, keys_failed},
    runners::Runners,
};

/// Characters of all names and values of a context (AWS's quota).
const LONGEST_CONTEXT: usize = 8192;

type Pairs = Option<BTreeMap<String, String>>;

/// What the store binds a ciphertext to.
fn sealing(pairs: &Pairs) -> Result<Sealing, ApiError> {
    let pairs = pairs.iter().flatten();
    let length: usize = pairs.clone().map(|(name, value)| name.chars().count() + value.chars().count()).sum();
    if length > LONGEST_CONTEXT {
        let message = format!("the encryption context has {length} characters; at most {LONGEST_CONTEXT} are taken");
        return Err(error(ErrorCode::Validation, message));
    }
    Ok(pairs.fold(Sealing::new(), |context, (name, value)| context.with(name, value)))
}

fn check_algorithm(algorithm: Option<EncryptionAlgorithmSpec>) -> Result<(), ApiError> {
    match algorithm {
        None | Some(EncryptionAlgorithmSpec::SymmetricDefault) => Ok(()),
        Some(other) => Err(error(
            ErrorCode::InvalidKeyUsage,
            format!("the algorithm {other} does not go with keys of the kind SYMMETRIC_DEFAULT"),
        )),
    }
}

fn check_dry_run(dry_run: Option<bool>) -> Result<(), ApiError> {
    if dry_run == Some(true) {
        let message = "The request would have succeeded, but the DryRun option is set.";
        return Err(error(ErrorCode::DryRunOperation, message));
    }
    Ok(())
}

/// Answers for an enclave would have to be encrypted for it alone.
fn check_recipient(is_there: bool) -> Result<(), ApiError> {
    if is_there {
        return Err(error(ErrorCode::UnsupportedOperation, "there are no enclaves here; leave Recipient out"));
    }
    Ok(())
}

fn invalid_ciphertext() -> ApiError {
    let message =
        "the ciphertext was not made by a key that is here, was changed, or belongs to another encryption context";
    error(ErrorCode::InvalidCiphertext, message)
}

/// The key that a caller may use, enabled.
fn used<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    using: Use<'_>,
    text: &str,
    tokens: Option<&[String]>,
) -> Result<KmsKeyRecord, ApiError> {
    inner.look(|view| check_tokens(view, tokens))?;
    let record = permit(inner, context, text, Names::Aliases, using)?;
    check_usable(&inner.config.home, &record)?;
    Ok(record)
}

/// Encrypts with a key that was found; returns the version too.
fn seal<R: Runners>(
    inner: &Inner<R>,
    record: &KmsKeyRecord,
    sealing: &Sealing,
    plain: &[u8],
) -> Result<(Vec<u8>, i64), ApiError> {
    inner.keys.encrypt(&record.material, sealing, plain).map_err(|e| failed(inner, &e))
}

/// A key that changed between being found and being used, or a failure of Kiln's own.
fn failed<R: Runners>(inner: &Inner<R>, error: &KeyError) -> ApiError {
    super::refusal(inner, error).unwrap_or_else(|| keys_failed(error))
}

pub(super) fn encrypt<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: EncryptRequest,
) -> Result<EncryptResponse, ApiError> {
    check_algorithm(input.encryption_algorithm)?;
    let sealing = sealing(&input.encryption_context)?;
    let using = Use { pairs: input.encryption_context.as_ref(), ..Use::of("Encrypt") };
    let record = used(inner, context, using, &input.key_id, input.grant_tokens.as_deref())?;
    check_dry_run(input.dry_run)?;
    let plain = Zeroizing::new(input.plaintext.0);
    let (sealed, _) = seal(inner, &record, &sealing, &plain)?;
    Ok(EncryptResponse {
        ciphertext_blob: Some(Blob(sealed)),
        key_id: Some(inner.config.home.key_arn(&record.id)),
        encryption_algorithm: Some(EncryptionAlgorithmSpec::SymmetricDefault),
    })
}

/// What a ciphertext opened to.
struct Opened {
    key: KmsKeyRecord,
    version: i64,
    plain: Zeroizing<Vec<u8>>,
}

/// Opens a ciphertext. The key that the caller says it is of, if they say one, must be its own.
fn open<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    using: Use<'_>,
    ciphertext: Option<Blob>,
    said: Option<&str>,
    (sealing, tokens): (&Sealing, Option<&[String]>),
) -> Result<Opened, ApiError> {
    let home = &inner.config.home;
    let missing = || error(ErrorCode::Validation, "CiphertextBlob is missing");
    let ciphertext = ciphertext.ok_or_else(missing)?.0;
    let sealed = Sealed::parse(&ciphertext).ok_or_else(invalid_ciphertext)?;
    let key = inner.look(|view| {
        check_tokens(view, tokens)?;
        let said = said.map(|text| find(view, home, text, Names::Aliases)).transpose()?;
        let Some(key) = view.kms_key_of_material(sealed.key)? else { return Ok(None) };
        if said.is_some_and(|said| said.id != key.id) {
            let message = "The key ID in the request does not identify a CMK that can perform this operation.";
            return Err(error(ErrorCode::IncorrectKey, message).into());
        }
        Ok::<_, Refused>(Some(key))
    })?;
    if let Some(key) = &key {
        permit_key(inner, context, key, using)?;
        check_usable(home, key)?;
    }
    match (inner.keys.decrypt(sealed, sealing), key) {
        (Ok(plain), Some(key)) => Ok(Opened { version: sealed.version, key, plain }),
        // Its key was deleted.
        (Err(KeyError::Destroyed { key, .. }), None) => Err(no_key(home, &key)),
        (Err(e @ (KeyError::Disabled { .. } | KeyError::Destroyed { .. })), Some(_)) => Err(failed(inner, &e)),
        (Err(KeyError::Refused(_) | KeyError::NotFound(_)) | Ok(_), _) | (Err(_), None) => Err(invalid_ciphertext()),
        (Err(e), Some(_)) => Err(keys_failed(&e)),
    }
}

pub(super) fn decrypt<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: DecryptRequest,
) -> Result<DecryptResponse, ApiError> {
    check_algorithm(input.encryption_algorithm)?;
    check_recipient(input.recipient.is_some())?;
    let sealing = sealing(&input.encryption_context)?;
    let with = (&sealing, input.grant_tokens.as_deref());
    let using = Use { pairs: input.encryption_context.as_ref(), ..Use::of("Decrypt") };
    let opened = open(inner, context, using, input.ciphertext_blob, input.key_id.as_deref(), with)?;
    check_dry_run(input.dry_run)?;
    Ok(DecryptResponse {
        key_id: Some(inner.config.home.key_arn(&opened.key.id)),
        plaintext: Some(Blob(opened.plain.to_vec())),
        encryption_algorithm: Some(EncryptionAlgorithmSpec::SymmetricDefault),
        key_material_id: Some(Keys::material_id(&opened.key.material, opened.version)),
    })
}

pub(super) fn re_encrypt<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: ReEncryptRequest,
) -> Result<ReEncryptResponse, ApiError> {
    check_algorithm(input.source_encryption_algorithm)?;
    check_algorithm(input.destination_encryption_algorithm)?;
    let home = &inner.config.home;
    let before = sealing(&input.source_encryption_context)?;
    let after = sealing(&input.destination_encryption_context)?;
    let tokens = input.grant_tokens.as_deref();
    let with = (&before, tokens);
    let from = Use { pairs: input.source_encryption_context.as_ref(), ..Use::of("ReEncryptFrom") };
    let to = Use { pairs: input.destination_encryption_context.as_ref(), ..Use::of("ReEncryptTo") };
    let opened = open(inner, context, from, input.ciphertext_blob, input.source_key_id.as_deref(), with)?;
    let record = used(inner, context, to, &input.destination_key_id, tokens)?;
    check_dry_run(input.dry_run)?;
    let (sealed, version) = seal(inner, &record, &after, &opened.plain)?;
    Ok(ReEncryptResponse {
        ciphertext_blob: Some(Blob(sealed)),
        source_key_id: Some(home.key_arn(&opened.key.id)),
        key_id: Some(home.key_arn(&record.id)),
        source_encryption_algorithm: Some(EncryptionAlgorithmSpec::SymmetricDefault),
        destination_encryption_algorithm: Some(EncryptionAlgorithmSpec::SymmetricDefault),
        source_key_material_id: Some(Keys::material_id(&opened.key.material, opened.version)),
        destination_key_material_id: Some(Keys::material_id(&record.material, version)),
    })
}

/// How many bytes a data key has.
fn length(spec: Option<DataKeySpec>, bytes: Option<i32>) -> Result<usize, ApiError> {
    match (spec, bytes) {
        (Some(DataKeySpec::Aes256), None) => Ok(32),
        (Some(DataKeySpec::Aes128), None) => Ok(16),
        (None, Some(bytes)) => usize::try_from(bytes).map_err(|e| error(ErrorCode::Validation, e.to_string())),
        _ => Err(error(ErrorCode::Validation, "Please specify either number of bytes or key spec.")),
    }
}

pub(super) fn generate_data_key<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: GenerateDataKeyRequest,
) -> Result<GenerateDataKeyResponse, ApiError> {
    check_recipient(input.recipient.is_some())?;
    let length = length(input.key_spec, input.number_of_bytes)?;
    let sealing = sealing(&input.encryption_context)?;
    let using = Use { pairs: input.encryption_context.as_ref(), ..Use::of("GenerateDataKey") };
    let record = used(inner, context, using, &input.key_id, input.grant_tokens.as_deref())?;
    check_dry_run(input.dry_run)?;
    let plain = Keys::random(length).map_err(|e| keys_failed(&e))?;
    let (sealed, version) = seal(inner, &record, &sealing, &plain)?;
    Ok(GenerateDataKeyResponse {
        ciphertext_blob: Some(Blob(sealed)),
        plaintext: Some(Blob(plain.to_vec())),
        key_id: Some(inner.config.home.key_arn(&record.id)),
        key_material_id: Some(Keys::material_id(&record.material, version)),
    })
}

pub(super) fn generate_data_key_without_plaintext<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: GenerateDataKeyWithoutPlaintextRequest,
) -> Result<GenerateDataKeyWithoutPlaintextResponse, ApiError> {
    let length = length(input.key_spec, input.number_of_bytes)?;
    let sealing = sealing(&input.encryption_context)?;
    let using = Use { pairs: input.encryption_context.as_ref(), ..Use::of("GenerateDataKeyWithoutPlaintext") };
    let record = used(inner, context, using, &input.key_id, input.grant_tokens.as_deref())?;
    check_dry_run(input.dry_run)?;
    let plain = Keys::random(length).map_err(|e| keys_failed(&e))?;
    let (sealed, version) = seal(inner, &record, &sealing, &plain)?;
    Ok(GenerateDataKeyWithoutPlaintextResponse {
        ciphertext_blob: Some(Blob(sealed)),
        key_id: Some(inner.config.home.key_arn(&record.id)),
        key_material_id: Some(Keys::material_id(&record.material, version)),
    })
}

pub(super) fn generate_random(input: &GenerateRandomRequest) -> Result<GenerateRandomResponse, ApiError> {
    check_recipient(input.recipient.is_some())?;
    if input.custom_key_store_id.is_some() {
        return Err(error(ErrorCode::UnsupportedOperation, "there are no custom key stores here"));
    }
    let bytes = input.number_of_bytes.and_then(|bytes| usize::try_from(bytes).ok());
    let bytes = bytes.ok_or_else(|| error(ErrorCode::Validation, "NumberOfBytes is missing"))?;
    let random = Keys::random(bytes).map_err(|e| keys_failed(&e))?;
    Ok(GenerateRandomResponse { plaintext: Some(Blob(random.to_vec())) })
}
