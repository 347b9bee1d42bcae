//! Grants: who may use a key beside its policy. They are kept and answered; who may do what is decided elsewhere.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use kiln_model::{
    ApiError, ErrorCode, Timestamp,
    kms::{
        CreateGrantRequest, CreateGrantResponse, Empty, GrantConstraints, GrantListEntry, GrantOperation,
        ListGrantsRequest, ListGrantsResponse, ListRetirableGrantsRequest, RetireGrantRequest, RevokeGrantRequest,
    },
    service::Context,
};
use kiln_store::{StoreError, View, keys::Keys, metadata::KmsGrantRecord};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    edit::customers,
    list::{Page, page},
    resolve::{Names, check_usable, error, find},
};
use crate::{
    core::Inner,
    objects::hex,
    records::{Refused, keys_failed},
    runners::Runners,
};

/// Grants of a key (AWS's quota).
const MOST_GRANTS: i64 = 50_000;
/// What tokens begin with, before they are made opaque.
const TOKEN: &str = "kiln grant 1 ";

/// What is stored of a grant beside its columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Stored {
    version: u32,
    name: Option<String>,
    grantee: Option<String>,
    grantee_service: Option<String>,
    retiring: Option<String>,
    retiring_service: Option<String>,
    operations: Vec<GrantOperation>,
    constraints: Option<GrantConstraints>,
}

fn token(id: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{TOKEN}{id}"))
}

fn id_of(token: &str) -> Option<String> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    text.strip_prefix(TOKEN).map(str::to_owned)
}

/// Refuses tokens of grants that are not there.
pub(super) fn check_tokens(view: &View<'_>, tokens: Option<&[String]>) -> Result<(), Refused> {
    for token in tokens.unwrap_or_default() {
        if id_of(token).map(|id| view.kms_grant(&id)).transpose()?.flatten().is_none() {
            return Err(error(ErrorCode::InvalidGrantToken, "there is no grant with that token").into());
        }
    }
    Ok(())
}

/// Grants with the same name and the same content are one.
fn id_for(key: &str, stored: &Stored) -> Result<String, ApiError> {
    if stored.name.is_none() {
        return Ok(hex(&Keys::random(32).map_err(|e| keys_failed(&e))?));
    }
    let json = serde_json::to_vec(&(key, stored)).map_err(|e| ApiError::internal(e.to_string()))?;
    Ok(hex(&Sha256::digest(json)))
}

pub(super) async fn create<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: CreateGrantRequest,
) -> Result<CreateGrantResponse, ApiError> {
    if input.grantee_principal.is_some() == input.grantee_service_principal.is_some() {
        return Err(error(ErrorCode::Validation, "give either GranteePrincipal or GranteeServicePrincipal"));
    }
    if input.retiring_principal.is_some() && input.retiring_service_principal.is_some() {
        return Err(error(ErrorCode::Validation, "give either RetiringPrincipal or RetiringServicePrincipal"));
    }
    let mut operations = input.operations;
    operations.sort_unstable();
    operations.dedup();
    let only = [
        GrantOperation::Decrypt,
        GrantOperation::Encrypt,
        GrantOperation::GenerateDataKey,
        GrantOperation::GenerateDataKeyWithoutPlaintext,
        GrantOperation::ReEncryptFrom,
        GrantOperation::ReEncryptTo,
        GrantOperation::CreateGrant,
        GrantOperation::RetireGrant,
        GrantOperation::DescribeKey,
    ];
    if let Some(other) = operations.iter().find(|operation| !only.contains(operation)) {
        let message = format!("{other} is nothing that a key for encryption can do");
        return Err(error(ErrorCode::Validation, message));
    }
    let stored = Stored {
        version: 1,
        name: input.name,
        grantee: input.grantee_principal,
        grantee_service: input.grantee_service_principal,
        retiring: input.retiring_principal,
        retiring_service: input.retiring_service_principal,
        operations,
        constraints: input.constraints,
    };
    let (now, home, context) = (inner.now(), inner.config.home.clone(), context.clone());
    let dry_run = input.dry_run == Some(true);
    let (text, tokens) = (input.key_id, input.grant_tokens);
    let work = inner.transact(move |tx| {
        check_tokens(tx, tokens.as_deref())?;
        let key = customers(tx, &context, &home, "CreateGrant", &text)?;
        check_usable(&home, &key)?;
        if dry_run {
            let message = "The request would have succeeded, but the DryRun option is set.";
            return Err(error(ErrorCode::DryRunOperation, message).into());
        }
        let id = id_for(&key.id, &stored)?;
        if tx.kms_grant(&id)?.is_none() {
            if tx.kms_grant_count(&key.id)? >= MOST_GRANTS {
                return Err(error(ErrorCode::LimitExceeded, format!("the key has {MOST_GRANTS} grants already")).into());
            }
            tx.insert_kms_grant(&KmsGrantRecord {
                id: id.clone(),
                key: key.id,
                retiring: stored.retiring.clone().or_else(|| stored.retiring_service.clone()),
                created_ms: now,
                doc: serde_json::to_string(&stored).map_err(|e| StoreError::Invalid(e.to_string()))?,
            })?;
        }
        Ok(CreateGrantResponse { grant_token: Some(token(&id)), grant_id: Some(id) })
    });
    work.await
}

fn stored(record: &KmsGrantRecord) -> Result<Stored, StoreError> {
    serde_json::from_str(&record.doc)
        .map_err(|e| StoreError::Invalid(format!("grant {} cannot be read: {e}", record.id)))
}

fn entry<R: Runners>(inner: &Inner<R>, record: KmsGrantRecord) -> Result<GrantListEntry, ApiError> {
    let stored = stored(&record).map_err(Refused::from)?;
    let home = &inner.config.home;
    Ok(GrantListEntry {
        key_id: Some(home.key_arn(&record.key)),
        grant_id: Some(record.id),
        // AWS answers an empty name where there is none.
        name: Some(stored.name.unwrap_or_default()),
        creation_date: Some(Timestamp::from_millis(record.created_ms)),
        grantee_principal: stored.grantee,
        retiring_principal: stored.retiring,
        issuing_account: Some(format!("arn:{}:iam::{}:root", home.partition(), home.account)),
        operations: Some(stored.operations),
        constraints: stored.constraints,
        grantee_service_principal: stored.grantee_service,
        retiring_service_principal: stored.retiring_service,
    })
}

fn answer<R: Runners>(inner: &Inner<R>, page: Page<KmsGrantRecord>) -> Result<ListGrantsResponse, ApiError> {
    let Page { items, truncated, next_marker } = page;
    let grants = items.into_iter().map(|record| entry(inner, record)).collect::<Result<_, _>>()?;
    Ok(ListGrantsResponse { grants, truncated, next_marker })
}

pub(super) fn list<R: Runners>(inner: &Inner<R>, input: &ListGrantsRequest) -> Result<ListGrantsResponse, ApiError> {
    let home = &inner.config.home;
    let key = inner.look(|view| find(view, home, &input.key_id, Names::Keys))?;
    let wanted = |record: &KmsGrantRecord| -> Result<bool, StoreError> {
        let stored = stored(record)?;
        let is = |wanted: &Option<String>, has: Option<&String>| wanted.as_ref().is_none_or(|w| Some(w) == has);
        Ok(is(&input.grant_id, Some(&record.id))
            && is(&input.grantee_principal, stored.grantee.as_ref())
            && is(&input.grantee_service_principal, stored.grantee_service.as_ref()))
    };
    let read = |after: Option<&str>, limit: usize| {
        inner.look(|view| {
            let (mut found, mut after) = (Vec::new(), after.map(str::to_owned));
            loop {
                let batch = view.kms_grants(&key.id, after.as_deref(), 1000)?;
                let Some(last) = batch.last() else { return Ok(found) };
                after = Some(last.id.clone());
                for record in batch {
                    if wanted(&record)? {
                        found.push(record);
                    }
                    if found.len() == limit {
                        return Ok(found);
                    }
                }
            }
        })
    };
    let list = format!("grants {}", key.id);
    answer(inner, page(&list, input.limit, input.marker.as_deref(), 50, read, |grant| &grant.id)?)
}

pub(super) fn list_retirable<R: Runners>(
    inner: &Inner<R>,
    input: &ListRetirableGrantsRequest,
) -> Result<ListGrantsResponse, ApiError> {
    let principal = input.retiring_principal.as_deref().or(input.retiring_service_principal.as_deref());
    let principal = principal.ok_or_else(|| error(ErrorCode::Validation, "RetiringPrincipal is missing"))?;
    let read = |after: Option<&str>, limit| inner.look(|view| Ok(view.kms_grants_retired_by(principal, after, limit)?));
    let list = format!("retirable {principal}");
    answer(inner, page(&list, input.limit, input.marker.as_deref(), 50, read, |grant| &grant.id)?)
}

/// Deletes a grant of a key.
async fn delete<R: Runners>(
    inner: &Inner<R>,
    grant: String,
    dry_run: Option<bool>,
    key: impl FnOnce(&View<'_>) -> Result<Option<String>, Refused> + Send + 'static,
) -> Result<Empty, ApiError> {
    let work = inner.transact(move |tx| {
        let key = key(tx)?;
        let found = tx.kms_grant(&grant)?.filter(|found| key.as_ref().is_none_or(|key| *key == found.key));
        if found.is_none() {
            return Err(error(ErrorCode::NotFound, format!("Grant ID {grant} not found")).into());
        }
        if dry_run == Some(true) {
            let message = "The request would have succeeded, but the DryRun option is set.";
            return Err(error(ErrorCode::DryRunOperation, message).into());
        }
        tx.delete_kms_grant(&grant)?;
        Ok(Empty {})
    });
    work.await
}

pub(super) async fn revoke<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: RevokeGrantRequest,
) -> Result<Empty, ApiError> {
    let (home, context) = (inner.config.home.clone(), context.clone());
    delete(inner, input.grant_id, input.dry_run, move |view| {
        Ok(Some(customers(view, &context, &home, "RevokeGrant", &input.key_id)?.id))
    })
    .await
}

pub(super) async fn retire<R: Runners>(inner: &Inner<R>, input: RetireGrantRequest) -> Result<Empty, ApiError> {
    let home = inner.config.home.clone();
    match (input.grant_token, input.grant_id, input.key_id) {
        (Some(token), None, None) => {
            let unknown = || error(ErrorCode::InvalidGrantToken, "there is no grant with that token");
            let id = id_of(&token).ok_or_else(unknown)?;
            delete(inner, id, input.dry_run, |_| Ok(None)).await
        }
        (None, Some(id), Some(key)) => {
            delete(inner, id, input.dry_run, move |view| Ok(Some(find(view, &home, &key, Names::Keys)?.id))).await
        }
        _ => Err(error(ErrorCode::Validation, "give either GrantToken, or KeyId and GrantId")),
    }
}
