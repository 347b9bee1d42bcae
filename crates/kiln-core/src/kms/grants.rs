//! Grants: who may use a key beside its policy. What they let somebody do is decided in [`super::access`].

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use kiln_model::{
    ApiError, ErrorCode, Timestamp,
    audit::Ruling,
    kms::{
        CreateGrantRequest, CreateGrantResponse, Empty, GrantConstraints, GrantListEntry, GrantOperation,
        ListGrantsRequest, ListGrantsResponse, ListRetirableGrantsRequest, RetireGrantRequest, RevokeGrantRequest,
    },
    service::Context,
};
use kiln_store::{
    StoreError, View,
    keys::Keys,
    metadata::{KmsGrantRecord, KmsKeyRecord},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    access::{Use, is_grantee, permit, permit_key},
    list::{Page, page},
    resolve::{Names, check_usable, error, find, no_key},
};
use crate::{
    core::Inner,
    iam::KeyValue,
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
pub(super) struct Stored {
    version: u32,
    name: Option<String>,
    pub(super) grantee: Option<String>,
    /// The id of the user or role that the grantee's ARN meant when the grant was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) grantee_id: Option<String>,
    grantee_service: Option<String>,
    retiring: Option<String>,
    retiring_service: Option<String>,
    pub(super) operations: Vec<GrantOperation>,
    pub(super) constraints: Option<GrantConstraints>,
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
    let grantee_id = match &input.grantee_principal {
        Some(arn) => inner.identity_id(arn)?,
        None => None,
    };
    let stored = Stored {
        version: 1,
        name: input.name,
        grantee: input.grantee_principal,
        grantee_id,
        grantee_service: input.grantee_service_principal,
        retiring: input.retiring_principal,
        retiring_service: input.retiring_service_principal,
        operations,
        constraints: input.constraints,
    };
    let (now, home) = (inner.now(), inner.config.home.clone());
    let dry_run = input.dry_run == Some(true);
    let tokens = input.grant_tokens;
    let keys = conditions(&stored);
    let using = Use { keys: &keys, ..Use::of("CreateGrant") };
    let key = permit(inner, context, &input.key_id, Names::Keys, using)?;
    check_handed_on(inner, context, &key, &stored)?;
    let work = inner.transact(move |tx| {
        check_tokens(tx, tokens.as_deref())?;
        // Again: it may have changed, or be gone, by now.
        let key = tx.kms_key(&key.id)?.ok_or_else(|| no_key(&home, &key.id))?;
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

/// What conditions may look at.
fn conditions(stored: &Stored) -> Vec<KeyValue> {
    let one = |name: &str, value: &Option<String>| value.as_ref().map(|value| KeyValue::one(name, value.clone()));
    let operations = stored.operations.iter().map(|operation| operation.as_str().to_owned()).collect();
    let kind = stored.constraints.as_ref().and_then(|constraints| {
        let of = |is_there: bool, kind: &str| is_there.then(|| kind.to_owned());
        of(constraints.encryption_context_equals.is_some(), "EncryptionContextEquals")
            .or_else(|| of(constraints.encryption_context_subset.is_some(), "EncryptionContextSubset"))
    });
    let mut keys = vec![KeyValue::many("kms:GrantOperations", operations)];
    keys.extend(one("kms:GranteePrincipal", &stored.grantee));
    keys.extend(one("kms:RetiringPrincipal", &stored.retiring));
    keys.extend(one("kms:GrantConstraintType", &kind));
    keys
}

/// Whoever may make grants by a grant alone hands on what that gives, and not more.
fn check_handed_on<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    key: &KmsKeyRecord,
    new: &Stored,
) -> Result<(), ApiError> {
    let Some(Ruling { policy_type: Some(kind), policy: Some(id), .. }) = context.rulings.last() else { return Ok(()) };
    if kind != "grant" {
        return Ok(());
    }
    let own = inner.look(|view| Ok(view.kms_grant(&id)?.map(|record| stored(&record)).transpose()?))?;
    let is_within = own.is_some_and(|own| {
        new.operations.iter().all(|operation| own.operations.contains(operation))
            && (own.constraints.is_none() || own.constraints == new.constraints)
    });
    if is_within {
        return Ok(());
    }
    Err(ApiError::access_denied(format!(
        "User: {} is not authorized to perform: kms:CreateGrant on resource: {} because the grant that allows it does not \
         give what is to be granted",
        context.caller.arn,
        inner.config.home.key_arn(&key.id)
    )))
}

pub(super) fn stored(record: &KmsGrantRecord) -> Result<Stored, StoreError> {
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
    let key = permit(inner, context, &input.key_id, Names::Keys, Use::of("RevokeGrant"))?.id;
    delete(inner, input.grant_id, input.dry_run, move |_| Ok(Some(key))).await
}

pub(super) async fn retire<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: RetireGrantRequest,
) -> Result<Empty, ApiError> {
    let home = &inner.config.home;
    let (id, key) = match (input.grant_token, input.grant_id, input.key_id) {
        (Some(token), None, None) => {
            let unknown = || error(ErrorCode::InvalidGrantToken, "there is no grant with that token");
            (id_of(&token).ok_or_else(unknown)?, None)
        }
        (None, Some(id), Some(key)) => {
            let key = inner.look(|view| find(view, home, &key, Names::Keys))?;
            (id, Some(key.id))
        }
        _ => return Err(error(ErrorCode::Validation, "give either GrantToken, or KeyId and GrantId")),
    };
    let found = inner.look(|view| {
        let Some(grant) = view.kms_grant(&id)? else { return Ok(None) };
        Ok(view.kms_key(&grant.key)?.map(|key| (grant, key)))
    })?;
    // One that is not there is missing, whoever asks.
    if let Some((grant, of)) = found {
        permit_retiring(inner, context, &grant, &of)?;
    }
    delete(inner, id, input.dry_run, move |_| Ok(key)).await
}

/// Whether the caller may give a grant up: whom it names for that, its grantee if it says so, and whom policies let.
fn permit_retiring<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    grant: &KmsGrantRecord,
    key: &KmsKeyRecord,
) -> Result<(), ApiError> {
    let stored = stored(grant).map_err(Refused::from)?;
    let caller = &context.caller;
    let is_retiring = stored.retiring.as_ref().is_some_and(|arn| {
        // The role of a session as well.
        *arn == caller.arn || (caller.session.is_some() && inner.is_of_role(caller, arn))
    });
    let is_own = stored.operations.contains(&GrantOperation::RetireGrant) && is_grantee(&stored, caller);
    if is_retiring || is_own {
        context.rulings.add(Ruling {
            action: "kms:RetireGrant".to_owned(),
            resource: Some(inner.config.home.key_arn(&key.id)),
            allowed: true,
            reason: "allowed".to_owned(),
            policy_type: Some("grant".to_owned()),
            policy: Some(grant.id.clone()),
            statement: None,
        });
        return Ok(());
    }
    permit_key(inner, context, key, Use::of("RetireGrant"))
}
