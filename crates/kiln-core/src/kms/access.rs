//! Who may use a key: its policy, the caller's policies where it lets them decide, and grants (`security.md` 2.1).

use std::collections::BTreeMap;

use kiln_iam::policy::{Kind, Layer, Reason, ResourceRule};
use kiln_model::{
    ApiError,
    kms::{GrantConstraints, GrantOperation},
    service::{Caller, Context},
};
use kiln_store::{StoreError, View, metadata::KmsKeyRecord};

use super::{
    document::Document,
    grants::{self, Stored},
    resolve::{Names, find},
};
use crate::{
    core::Inner,
    iam::{Asked, KeyValue, entity_id, surroundings},
    runners::Runners,
};

/// What is asked for, beside the key.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Use<'a> {
    /// Operation of KMS: `Decrypt`.
    pub(crate) operation: &'a str,
    /// The encryption context.
    pub(crate) pairs: Option<&'a BTreeMap<String, String>>,
    /// Further condition keys.
    pub(crate) keys: &'a [KeyValue],
    /// The service that asks for the caller: `s3`.
    pub(crate) via: Option<&'a str>,
}

impl<'a> Use<'a> {
    /// An operation about the key itself.
    pub(crate) fn of(operation: &'a str) -> Self {
        Self { operation, ..Self::default() }
    }
}

/// Aliases of a key that conditions may look at.
const ALIASES: usize = 100;
/// Grants that are read at a time.
const BATCH: usize = 1000;

/// Lets a caller use the key that a text names.
///
/// # Errors
/// KMS's for a text that names none; `AccessDeniedException` in AWS's words.
pub(super) fn permit<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    text: &str,
    names: Names,
    using: Use<'_>,
) -> Result<KmsKeyRecord, ApiError> {
    let home = &inner.config.home;
    let record = inner.look(|view| find(view, home, text, names))?;
    let alias = text.rsplit_once(":alias/").map_or(text, |(_, name)| name);
    let by_alias = text.contains("alias/").then(|| {
        let name = alias.strip_prefix("alias/").unwrap_or(alias);
        KeyValue::one("kms:RequestAlias", format!("alias/{name}"))
    });
    let keys: Vec<KeyValue> = using.keys.iter().cloned().chain(by_alias).collect();
    permit_key(inner, context, &record, Use { keys: &keys, ..using })?;
    Ok(record)
}

/// Lets a caller use a key that was found.
///
/// # Errors
/// `AccessDeniedException` in AWS's words.
pub(super) fn permit_key<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    record: &KmsKeyRecord,
    using: Use<'_>,
) -> Result<(), ApiError> {
    let home = &inner.config.home;
    let (document, aliases) = inner.look(|view| {
        let aliases = view.kms_aliases(Some(&record.id), None, ALIASES)?;
        Ok((Document::of(record)?, aliases))
    })?;
    let mut keys: Vec<KeyValue> = surroundings(context).chain(using.keys.iter().cloned()).collect();
    keys.push(KeyValue::one("kms:CallerAccount", context.caller.account.clone()));
    if !aliases.is_empty() {
        keys.push(KeyValue::many("kms:ResourceAliases", aliases.into_iter().map(|alias| alias.name).collect()));
    }
    if let Some(service) = using.via {
        keys.push(KeyValue::one("kms:ViaService", format!("{service}.{}.amazonaws.com", home.region)));
    }
    if let Some(pairs) = using.pairs.filter(|pairs| !pairs.is_empty()) {
        keys.push(KeyValue::many("kms:EncryptionContextKeys", pairs.keys().cloned().collect()));
        let each = |(name, value): (&String, &String)| KeyValue::one(format!("kms:EncryptionContext:{name}"), value);
        keys.extend(pairs.iter().map(each));
    }
    for (name, value) in &document.tags {
        keys.push(KeyValue::one(format!("aws:ResourceTag/{name}"), value));
    }
    let (action, arn) = (format!("kms:{}", using.operation), home.key_arn(&record.id));
    let asked = Asked {
        action: &action,
        resource: Some(&arn),
        account: &home.account,
        keys: &keys,
        resource_policy: Some((Kind::Key, &document.policy)),
        rule: ResourceRule::Key,
        bound: None,
        stands_in: None,
    };
    let decided = inner.decision(Some(&context.caller), &asked)?;
    // A grant stands in for the policies that do not allow, never against one that denies.
    let may_be_granted = matches!(decided.decision.reason, Reason::Missing(Layer::Identity | Layer::Resource));
    let grant = match operation(using.operation).filter(|_| may_be_granted) {
        Some(operation) => inner.look(|view| Ok(granted(view, record, &context.caller, operation, using.pairs)?))?,
        None => None,
    };
    let decided = match &grant {
        Some(grant) => inner.decision(Some(&context.caller), &Asked { stands_in: Some(grant), ..asked })?,
        None => decided,
    };
    decided.settle(&context.rulings)
}

/// Lets a caller use the key with that ARN, which an object is sealed with. One that is gone cannot be used anyway, and
/// says so when it is.
///
/// # Errors
/// `AccessDeniedException` in AWS's words.
pub(crate) fn permit_arn<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    arn: &str,
    using: Use<'_>,
) -> Result<(), ApiError> {
    let id = arn.rsplit('/').next().unwrap_or_default();
    match inner.look(|view| Ok(view.kms_key(id)?))? {
        Some(record) => permit_key(inner, context, &record, using),
        None => Ok(()),
    }
}

/// Whether a caller could do it with a key that has this policy: nobody shall lock themselves out.
pub(super) fn would_be_allowed<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    policy: &str,
    operation: &str,
    key: &str,
) -> Result<bool, ApiError> {
    let home = &inner.config.home;
    let (action, arn) = (format!("kms:{operation}"), home.key_arn(key));
    let mut keys: Vec<KeyValue> = surroundings(context).collect();
    keys.push(KeyValue::one("kms:CallerAccount", context.caller.account.clone()));
    let asked = Asked {
        action: &action,
        resource: Some(&arn),
        account: &home.account,
        keys: &keys,
        resource_policy: Some((Kind::Key, policy)),
        rule: ResourceRule::Key,
        bound: None,
        stands_in: None,
    };
    Ok(inner.decision(Some(&context.caller), &asked)?.decision.is_allowed())
}

/// The operation as grants name it; `None` for what no grant gives.
fn operation(name: &str) -> Option<GrantOperation> {
    GrantOperation::ALL.iter().copied().find(|operation| operation.as_str() == name)
}

/// Whether an operation takes an encryption context: what a grant says of that does not bind the others.
fn has_context(operation: GrantOperation) -> bool {
    !matches!(operation, GrantOperation::CreateGrant | GrantOperation::RetireGrant | GrantOperation::DescribeKey)
}

/// The id of a grant that lets the caller do it.
fn granted(
    view: &View<'_>,
    key: &KmsKeyRecord,
    caller: &Caller,
    operation: GrantOperation,
    pairs: Option<&BTreeMap<String, String>>,
) -> Result<Option<String>, StoreError> {
    let mut after = None;
    loop {
        let batch = view.kms_grants(&key.id, after.as_deref(), BATCH)?;
        let Some(last) = batch.last() else { return Ok(None) };
        after = Some(last.id.clone());
        for record in batch {
            let stored = grants::stored(&record)?;
            if stored.operations.contains(&operation)
                && is_grantee(&stored, caller)
                && (!has_context(operation) || fulfils(stored.constraints.as_ref(), pairs))
            {
                return Ok(Some(record.id));
            }
        }
    }
}

/// Whether a grant is a caller's: it names the user, the role or the session.
pub(super) fn is_grantee(stored: &Stored, caller: &Caller) -> bool {
    let Some(grantee) = &stored.grantee else { return false };
    match &stored.grantee_id {
        // By id: another one with the same name is another one.
        Some(id) => id == entity_id(caller),
        None => *grantee == caller.arn,
    }
}

/// Whether the encryption context is one that a grant is for.
pub(super) fn fulfils(constraints: Option<&GrantConstraints>, pairs: Option<&BTreeMap<String, String>>) -> bool {
    let Some(constraints) = constraints else { return true };
    let (empty, mut holds) = (BTreeMap::new(), true);
    let pairs = pairs.unwrap_or(&empty);
    if let Some(equals) = &constraints.encryption_context_equals {
        holds &= equals == pairs;
    }
    if let Some(subset) = &constraints.encryption_context_subset {
        holds &= subset.iter().all(|(name, value)| pairs.get(name) == Some(value));
    }
    holds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_for_its_encryption_contexts() {
        let pairs = |all: &[(&str, &str)]| -> BTreeMap<String, String> {
            all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let (one, both) = (pairs(&[("a", "1")]), pairs(&[("a", "1"), ("b", "2")]));
        let equals = GrantConstraints { encryption_context_equals: Some(one.clone()), ..GrantConstraints::default() };
        let subset = GrantConstraints { encryption_context_subset: Some(one.clone()), ..GrantConstraints::default() };
        assert!(fulfils(None, None) && fulfils(None, Some(&both)));
        assert!(fulfils(Some(&equals), Some(&one)) && !fulfils(Some(&equals), Some(&both)));
        assert!(fulfils(Some(&subset), Some(&one)) && fulfils(Some(&subset), Some(&both)));
        assert!(!fulfils(Some(&subset), Some(&pairs(&[("a", "2")]))));
        assert!(!fulfils(Some(&equals), None) && !fulfils(Some(&subset), None));
    }
}
