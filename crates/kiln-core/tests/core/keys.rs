//! The Key Management Service's rules, and what keys do to what they have sealed.

use std::{collections::BTreeMap, time::Duration};

use kiln_core::Core;
use kiln_model::{ApiError, ErrorCode, kms::*, service::Kms as _};

use crate::{
    fake::FakeRunners,
    place::{Place, context},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const POLICY: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"000000000000"},"Action":"kms:*","Resource":"*"}}"#;
const HOME: &str = "arn:aws:kms:us-east-1:000000000000:";

async fn key(core: &Core<FakeRunners>) -> String {
    let made = core.create_key(&context(), CreateKeyRequest::default()).await.unwrap();
    made.key_metadata.unwrap().key_id
}

async fn encrypt(core: &Core<FakeRunners>, key: &str, pairs: &[(&str, &str)]) -> Result<Blob, ApiError> {
    let input = EncryptRequest {
        key_id: key.to_owned(),
        plaintext: Blob(b"plain".to_vec()),
        encryption_context: pairs_of(pairs),
        ..Default::default()
    };
    core.encrypt(&context(), input).await.map(|output| output.ciphertext_blob.unwrap())
}

async fn decrypt(core: &Core<FakeRunners>, sealed: &Blob, pairs: &[(&str, &str)]) -> Result<DecryptResponse, ApiError> {
    let input = DecryptRequest {
        ciphertext_blob: Some(sealed.clone()),
        encryption_context: pairs_of(pairs),
        ..Default::default()
    };
    core.decrypt(&context(), input).await
}

fn pairs_of(pairs: &[(&str, &str)]) -> Option<BTreeMap<String, String>> {
    let pairs: BTreeMap<_, _> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    (!pairs.is_empty()).then_some(pairs)
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, ApiError>, code: ErrorCode, text: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code, code, "{error}");
    assert!(error.message.contains(text), "{error}");
}

async fn describe(core: &Core<FakeRunners>, key: &str) -> Result<KeyMetadata, ApiError> {
    let input = DescribeKeyRequest { key_id: key.to_owned(), grant_tokens: None };
    core.describe_key(&context(), input).await.map(|output| output.key_metadata.unwrap())
}

async fn disable(core: &Core<FakeRunners>, key: &str) -> Result<Empty, ApiError> {
    core.disable_key(&context(), DisableKeyRequest { key_id: key.to_owned() }).await
}

async fn enable(core: &Core<FakeRunners>, key: &str) -> Result<Empty, ApiError> {
    core.enable_key(&context(), EnableKeyRequest { key_id: key.to_owned() }).await
}

#[tokio::test]
async fn a_key_has_four_names_where_it_is_used_and_two_where_it_is_managed() {
    let place = Place::new();
    let core = place.serve();
    let id = key(&core).await;
    let alias = CreateAliasRequest { alias_name: "alias/demo".to_owned(), target_key_id: id.clone() };
    core.create_alias(&context(), alias.clone()).await.unwrap();
    refused(core.create_alias(&context(), alias).await, ErrorCode::AlreadyExists, "alias/demo");
    let names = [id.clone(), format!("{HOME}key/{id}"), "alias/demo".to_owned(), format!("{HOME}alias/demo")];
    for name in &names {
        assert_eq!(describe(&core, name).await.unwrap().key_id, id);
        let sealed = encrypt(&core, name, &[]).await.unwrap();
        assert_eq!(decrypt(&core, &sealed, &[]).await.unwrap().key_id.unwrap(), format!("{HOME}key/{id}"));
    }
    for name in &names[..2] {
        disable(&core, name).await.unwrap();
    }
    for name in &names[2..] {
        refused(disable(&core, name).await, ErrorCode::NotFound, "Invalid keyId");
    }
    for (name, code) in [
        ("nonsense", ErrorCode::NotFound),
        ("alias/other", ErrorCode::NotFound),
        ("0f0e0d0c-1111-4222-8333-444455556666", ErrorCode::NotFound),
        ("key/0f0e0d0c-1111-4222-8333-444455556666", ErrorCode::NotFound),
        ("arn:aws:kms:eu-west-1:000000000000:alias/demo", ErrorCode::NotFound),
        ("arn:aws:kms:us-east-1:111122223333:alias/demo", ErrorCode::NotFound),
        ("arn:aws:s3:us-east-1:000000000000:alias/demo", ErrorCode::InvalidArn),
        ("arn:aws:kms:us-east-1:000000000000:demo", ErrorCode::InvalidArn),
        ("arn:", ErrorCode::InvalidArn),
    ] {
        refused(describe(&core, name).await, code, "");
    }
    for (name, code) in [
        ("demo", ErrorCode::InvalidAliasName),
        ("alias/", ErrorCode::InvalidAliasName),
        ("alias/a:b", ErrorCode::InvalidAliasName),
        ("alias/aws/mine", ErrorCode::NotAuthorized),
    ] {
        let alias = CreateAliasRequest { alias_name: name.to_owned(), target_key_id: id.clone() };
        refused(core.create_alias(&context(), alias).await, code, "");
    }
    place.checked(core);
}

#[tokio::test]
async fn ciphertexts_open_with_their_own_key_and_context_only() {
    let place = Place::new();
    let core = place.serve();
    let (one, two) = (key(&core).await, key(&core).await);
    let sealed = encrypt(&core, &one, &[("a", "b"), ("c", "d")]).await.unwrap();
    assert_eq!(decrypt(&core, &sealed, &[("c", "d"), ("a", "b")]).await.unwrap().plaintext.unwrap().0, b"plain");
    for pairs in [&[][..], &[("a", "b")], &[("a", "b"), ("c", "D")], &[("a", "b"), ("c", "d"), ("e", "f")]] {
        refused(decrypt(&core, &sealed, pairs).await, ErrorCode::InvalidCiphertext, "");
    }
    let other = DecryptRequest {
        ciphertext_blob: Some(sealed.clone()),
        encryption_context: pairs_of(&[("a", "b"), ("c", "d")]),
        key_id: Some(two.clone()),
        ..Default::default()
    };
    refused(core.decrypt(&context(), other).await, ErrorCode::IncorrectKey, "");
    for at in 0..sealed.0.len() {
        let mut changed = sealed.clone();
        changed.0[at] ^= 1;
        refused(decrypt(&core, &changed, &[("a", "b"), ("c", "d")]).await, ErrorCode::InvalidCiphertext, "");
    }
    // A ciphertext that names a key of Kiln's own is none.
    let mut forged = sealed.0.clone();
    forged[1] = 12;
    forged.splice(2..38, *b"kiln/secrets");
    refused(decrypt(&core, &Blob(forged), &[]).await, ErrorCode::InvalidCiphertext, "");
    let again = ReEncryptRequest {
        ciphertext_blob: Some(sealed),
        source_encryption_context: pairs_of(&[("a", "b"), ("c", "d")]),
        destination_key_id: two.clone(),
        ..Default::default()
    };
    let moved = core.re_encrypt(&context(), again).await.unwrap();
    assert_eq!(moved.source_key_id.unwrap(), format!("{HOME}key/{one}"));
    assert_eq!(decrypt(&core, &moved.ciphertext_blob.unwrap(), &[]).await.unwrap().plaintext.unwrap().0, b"plain");
    place.checked(core);
}

#[tokio::test]
async fn a_disabled_key_does_nothing_until_it_is_enabled_again() {
    let place = Place::new();
    let core = place.serve();
    let id = key(&core).await;
    let sealed = encrypt(&core, &id, &[]).await.unwrap();
    disable(&core, &id).await.unwrap();
    disable(&core, &id).await.unwrap();
    let text = format!("{HOME}key/{id} is disabled.");
    refused(encrypt(&core, &id, &[]).await, ErrorCode::Disabled, &text);
    refused(decrypt(&core, &sealed, &[]).await, ErrorCode::Disabled, &text);
    let rotate = RotateKeyOnDemandRequest { key_id: id.clone() };
    refused(core.rotate_key_on_demand(&context(), rotate).await, ErrorCode::Disabled, &text);
    core.stop();
    drop(core);
    // Also after a restart.
    let core = place.serve();
    refused(decrypt(&core, &sealed, &[]).await, ErrorCode::Disabled, &text);
    enable(&core, &id).await.unwrap();
    decrypt(&core, &sealed, &[]).await.unwrap();
    place.checked(core);
}

#[tokio::test]
async fn a_rotated_key_opens_what_it_sealed_before() {
    let place = Place::new();
    let core = place.serve();
    let id = key(&core).await;
    let old = encrypt(&core, &id, &[]).await.unwrap();
    core.rotate_key_on_demand(&context(), RotateKeyOnDemandRequest { key_id: id.clone() }).await.unwrap();
    let enable = EnableKeyRotationRequest { key_id: id.clone(), rotation_period_in_days: Some(90) };
    core.enable_key_rotation(&context(), enable).await.unwrap();
    let status = async || {
        let input = GetKeyRotationStatusRequest { key_id: id.clone() };
        core.get_key_rotation_status(&context(), input).await.unwrap()
    };
    let before = status().await;
    assert_eq!((before.key_rotation_enabled, before.rotation_period_in_days), (true, Some(90)));
    place.advance(DAY * 89);
    core.look_after_keys();
    place.advance(DAY * 2);
    core.look_after_keys();
    core.look_after_keys();
    assert!(status().await.next_rotation_date > before.next_rotation_date);
    let list = async |kind| {
        let input = ListKeyRotationsRequest { key_id: id.clone(), include_key_material: kind, ..Default::default() };
        core.list_key_rotations(&context(), input).await
    };
    let rotations = list(None).await.unwrap().rotations;
    let kinds: Vec<_> = rotations.iter().map(|r| (r.rotation_type.unwrap(), r.key_material_state.unwrap())).collect();
    assert_eq!(
        kinds,
        [(RotationType::OnDemand, KeyMaterialState::NonCurrent), (RotationType::Automatic, KeyMaterialState::Current)]
    );
    assert_eq!(list(Some(IncludeKeyMaterial::AllKeyMaterial)).await.unwrap().rotations.len(), 3);
    let new = encrypt(&core, &id, &[]).await.unwrap();
    let (old, new) = (decrypt(&core, &old, &[]).await.unwrap(), decrypt(&core, &new, &[]).await.unwrap());
    assert_ne!(old.key_material_id, new.key_material_id);
    assert_eq!(new.key_material_id, describe(&core, &id).await.unwrap().current_key_material_id);
    place.checked(core);
}

#[tokio::test]
async fn a_deleted_key_is_gone_after_its_waiting_time_and_not_before() {
    let place = Place::new();
    let core = place.serve();
    let (id, kept) = (key(&core).await, key(&core).await);
    let sealed = encrypt(&core, &id, &[]).await.unwrap();
    let alias = CreateAliasRequest { alias_name: "alias/gone".to_owned(), target_key_id: id.clone() };
    core.create_alias(&context(), alias).await.unwrap();
    let schedule = async |key: &str, days| {
        let input = ScheduleKeyDeletionRequest { key_id: key.to_owned(), pending_window_in_days: Some(days) };
        core.schedule_key_deletion(&context(), input).await
    };
    for days in [6, 31] {
        let input = ScheduleKeyDeletionRequest { key_id: id.clone(), pending_window_in_days: Some(days) };
        refused(core.schedule_key_deletion(&context(), input).await, ErrorCode::Validation, "between 7 and 30");
    }
    let answer = schedule(&id, 7).await.unwrap();
    assert_eq!(answer.deletion_date, describe(&core, &id).await.unwrap().deletion_date);
    schedule(&kept, 7).await.unwrap();
    refused(schedule(&id, 8).await, ErrorCode::KmsInvalidState, "is pending deletion.");
    refused(encrypt(&core, &id, &[]).await, ErrorCode::KmsInvalidState, "is pending deletion.");
    refused(decrypt(&core, &sealed, &[]).await, ErrorCode::KmsInvalidState, "is pending deletion.");
    refused(enable(&core, &id).await, ErrorCode::KmsInvalidState, "");
    place.advance(DAY * 7 - Duration::from_secs(1));
    core.look_after_keys();
    describe(&core, &id).await.unwrap();
    let cancel = CancelKeyDeletionRequest { key_id: kept.clone() };
    core.cancel_key_deletion(&context(), cancel.clone()).await.unwrap();
    refused(core.cancel_key_deletion(&context(), cancel).await, ErrorCode::KmsInvalidState, "is not pending deletion.");
    place.advance(Duration::from_secs(1));
    core.look_after_keys();
    refused(describe(&core, &id).await, ErrorCode::NotFound, "does not exist");
    refused(describe(&core, "alias/gone").await, ErrorCode::NotFound, "alias/gone is not found");
    refused(decrypt(&core, &sealed, &[]).await, ErrorCode::NotFound, "does not exist");
    assert_eq!(describe(&core, &kept).await.unwrap().key_state, Some(KeyState::Disabled));
    enable(&core, &kept).await.unwrap();
    encrypt(&core, &kept, &[]).await.unwrap();
    core.stop();
    drop(core);
    let core = place.serve();
    refused(decrypt(&core, &sealed, &[]).await, ErrorCode::NotFound, "does not exist");
    place.checked(core);
}

#[tokio::test]
async fn the_key_of_s3_is_the_services_own() {
    let place = Place::new();
    let core = place.serve();
    let found = describe(&core, "alias/aws/s3").await.unwrap();
    assert_eq!(found.key_manager, Some(KeyManagerType::Aws));
    let id = found.key_id;
    refused(
        disable(&core, &id).await,
        ErrorCode::AccessDenied,
        "not authorized to perform: kms:DisableKey on resource",
    );
    let schedule = ScheduleKeyDeletionRequest { key_id: id.clone(), pending_window_in_days: None };
    refused(core.schedule_key_deletion(&context(), schedule).await, ErrorCode::AccessDenied, "");
    let policy = PutKeyPolicyRequest { key_id: id.clone(), policy: POLICY.to_owned(), ..Default::default() };
    refused(core.put_key_policy(&context(), policy).await, ErrorCode::AccessDenied, "");
    refused(encrypt(&core, "alias/aws/s3", &[]).await, ErrorCode::AccessDenied, "kms:Encrypt");
    let listed = core.list_aliases(&context(), ListAliasesRequest::default()).await.unwrap();
    assert_eq!(listed.aliases[0].target_key_id, Some(id.clone()));
    core.stop();
    drop(core);
    let core = place.serve();
    assert_eq!(describe(&core, "alias/aws/s3").await.unwrap().key_id, id, "made once");
    place.checked(core);
}

#[tokio::test]
async fn lists_come_in_pages_and_markers_belong_to_one_list() {
    let place = Place::new();
    let core = place.serve();
    for _ in 0..4 {
        key(&core).await;
    }
    let (mut seen, mut marker, mut pages) = (Vec::new(), None, 0);
    loop {
        let input = ListKeysRequest { limit: Some(2), marker: marker.clone(), resource_owners: None };
        let page = core.list_keys(&context(), input).await.unwrap();
        assert_eq!(page.truncated, page.next_marker.is_some());
        seen.extend(page.keys.into_iter().map(|key| key.key_id.unwrap()));
        pages += 1;
        marker = page.next_marker.or_else(|| marker.filter(|_| page.truncated));
        if !page.truncated {
            break;
        }
        let wrong = ListAliasesRequest { marker: marker.clone(), ..Default::default() };
        refused(core.list_aliases(&context(), wrong).await, ErrorCode::InvalidMarker, "");
    }
    assert_eq!((seen.len(), pages), (5, 3));
    assert!(seen.is_sorted());
    place.checked(core);
}

#[tokio::test]
async fn what_keys_cannot_be_here_is_said() {
    let place = Place::new();
    let core = place.serve();
    for input in [
        CreateKeyRequest { key_spec: Some(KeySpec::Rsa2048), ..Default::default() },
        CreateKeyRequest { customer_master_key_spec: Some(CustomerMasterKeySpec::Hmac256), ..Default::default() },
        CreateKeyRequest { key_usage: Some(KeyUsageType::SignVerify), ..Default::default() },
        CreateKeyRequest { origin: Some(OriginType::External), ..Default::default() },
        CreateKeyRequest { multi_region: Some(true), ..Default::default() },
    ] {
        refused(core.create_key(&context(), input).await, ErrorCode::UnsupportedOperation, "");
    }
    for policy in ["", "[]", "{}", r#"{"Statement":[]}"#, r#"{"Statement":[1]}"#, r#"{"Statement":"x"}"#] {
        let input = CreateKeyRequest { policy: Some(policy.to_owned()), ..Default::default() };
        refused(core.create_key(&context(), input).await, ErrorCode::MalformedPolicyDocument, "");
    }
    let long = POLICY.replace("000000000000", &"0".repeat(32 << 10));
    let input = CreateKeyRequest { policy: Some(long), ..Default::default() };
    refused(core.create_key(&context(), input).await, ErrorCode::LimitExceeded, "");
    let tag = |name: &str| Tag { tag_key: name.to_owned(), tag_value: String::new() };
    for tags in [vec![tag("aws:x")], vec![tag("a"), tag("a")], (0..51).map(|n| tag(&format!("t{n}"))).collect()] {
        let input = CreateKeyRequest { tags: Some(tags), ..Default::default() };
        refused(core.create_key(&context(), input).await, ErrorCode::Tag, "");
    }
    let long = EncryptRequest {
        key_id: key(&core).await,
        plaintext: Blob(vec![1]),
        encryption_context: pairs_of(&[("a", &"b".repeat(8192))]),
        ..Default::default()
    };
    refused(core.encrypt(&context(), long).await, ErrorCode::Validation, "8192");
    let keys = core.list_keys(&context(), ListKeysRequest::default()).await.unwrap().keys;
    assert_eq!(keys.len(), 2, "nothing was made that was refused");
    place.checked(core);
}

#[tokio::test]
async fn grants_are_kept_until_they_are_taken_back() {
    let place = Place::new();
    let core = place.serve();
    let id = key(&core).await;
    let who = "arn:aws:iam::000000000000:role/build";
    let input = |name: Option<&str>| CreateGrantRequest {
        key_id: id.clone(),
        grantee_principal: Some(who.to_owned()),
        retiring_principal: Some(who.to_owned()),
        operations: vec![GrantOperation::Decrypt, GrantOperation::Encrypt, GrantOperation::Decrypt],
        name: name.map(str::to_owned),
        ..Default::default()
    };
    let named = core.create_grant(&context(), input(Some("x"))).await.unwrap();
    let again = core.create_grant(&context(), input(Some("x"))).await.unwrap();
    assert_eq!(named.grant_id, again.grant_id, "the same grant twice is one");
    let other = core.create_grant(&context(), input(None)).await.unwrap();
    let list = async || {
        let input = ListGrantsRequest { key_id: id.clone(), ..Default::default() };
        core.list_grants(&context(), input).await.unwrap().grants
    };
    let grants = list().await;
    assert_eq!(grants.len(), 2);
    assert_eq!(grants[0].operations.as_ref().unwrap(), &[GrantOperation::Decrypt, GrantOperation::Encrypt]);
    let with_token = |token: &str| EncryptRequest {
        key_id: id.clone(),
        plaintext: Blob(vec![1]),
        grant_tokens: Some(vec![token.to_owned()]),
        ..Default::default()
    };
    let token = other.grant_token.unwrap();
    core.encrypt(&context(), with_token(&token)).await.unwrap();
    let retirable = ListRetirableGrantsRequest { retiring_principal: Some(who.to_owned()), ..Default::default() };
    assert_eq!(core.list_retirable_grants(&context(), retirable).await.unwrap().grants.len(), 2);
    let retire = RetireGrantRequest { grant_token: Some(token.clone()), ..Default::default() };
    core.retire_grant(&context(), retire).await.unwrap();
    refused(core.encrypt(&context(), with_token(&token)).await, ErrorCode::InvalidGrantToken, "");
    refused(core.encrypt(&context(), with_token("x")).await, ErrorCode::InvalidGrantToken, "");
    let elsewhere =
        RevokeGrantRequest { key_id: key(&core).await, grant_id: named.grant_id.clone().unwrap(), dry_run: None };
    refused(core.revoke_grant(&context(), elsewhere).await, ErrorCode::NotFound, "");
    let revoke = RevokeGrantRequest { key_id: id.clone(), grant_id: named.grant_id.unwrap(), dry_run: None };
    core.revoke_grant(&context(), revoke).await.unwrap();
    assert!(list().await.is_empty());
    place.checked(core);
}

#[tokio::test]
async fn data_keys_and_dry_runs() {
    let place = Place::new();
    let core = place.serve();
    let id = key(&core).await;
    let input = |spec, bytes| GenerateDataKeyRequest {
        key_id: id.clone(),
        key_spec: spec,
        number_of_bytes: bytes,
        ..Default::default()
    };
    for (spec, bytes, length) in
        [(Some(DataKeySpec::Aes256), None, 32), (Some(DataKeySpec::Aes128), None, 16), (None, Some(7), 7)]
    {
        let made = core.generate_data_key(&context(), input(spec, bytes)).await.unwrap();
        let opened = decrypt(&core, &made.ciphertext_blob.unwrap(), &[]).await.unwrap();
        assert_eq!(opened.plaintext, made.plaintext);
        assert_eq!(opened.plaintext.unwrap().0.len(), length);
    }
    for (spec, bytes) in [(None, None), (Some(DataKeySpec::Aes256), Some(32))] {
        refused(core.generate_data_key(&context(), input(spec, bytes)).await, ErrorCode::Validation, "");
    }
    let dry = GenerateDataKeyRequest { dry_run: Some(true), ..input(Some(DataKeySpec::Aes256), None) };
    refused(core.generate_data_key(&context(), dry).await, ErrorCode::DryRunOperation, "would have succeeded");
    let rsa = EncryptRequest {
        key_id: id.clone(),
        plaintext: Blob(vec![1]),
        encryption_algorithm: Some(EncryptionAlgorithmSpec::RsaesOaepSha1),
        ..Default::default()
    };
    refused(core.encrypt(&context(), rsa).await, ErrorCode::InvalidKeyUsage, "");
    place.checked(core);
}
