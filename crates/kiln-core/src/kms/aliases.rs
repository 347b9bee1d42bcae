//! Aliases: names for keys.

use kiln_iam::policy::ResourceRule;
use kiln_model::{
    ApiError, ErrorCode, Timestamp,
    kms::{
        AliasListEntry, CreateAliasRequest, DeleteAliasRequest, Empty, ListAliasesRequest, ListAliasesResponse,
        UpdateAliasRequest,
    },
    service::Context,
};
use kiln_store::{Tx, metadata::KmsAliasRecord};

use super::{
    access::{Use, permit, permit_key},
    list::{Page, page},
    resolve::{ALIAS, Names, check_stays, error, find, no_key},
};
use crate::{
    core::Inner,
    iam::{Asked, KeyValue, surroundings},
    records::Refused,
    runners::Runners,
};

/// Aliases of a key (AWS's quota).
const MOST_ALIASES: usize = 50;
/// Aliases that the service itself makes.
const RESERVED: &str = "alias/aws/";

fn check_name(name: &str) -> Result<(), ApiError> {
    let rest = name
        .strip_prefix(ALIAS)
        .ok_or_else(|| error(ErrorCode::InvalidAliasName, "Alias must start with the prefix \"alias/\"."))?;
    if rest.is_empty() || rest.contains(':') {
        return Err(error(ErrorCode::InvalidAliasName, format!("{name} is not a name for an alias")));
    }
    if name.starts_with(RESERVED) {
        return Err(error(ErrorCode::NotAuthorized, format!("names that begin with {RESERVED} are the service's own")));
    }
    Ok(())
}

/// Points an alias to a key; `made` tells the record of the alias from what is there.
async fn point<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    operation: &'static str,
    name: String,
    target: String,
    made: impl FnOnce(&Tx<'_>, &str, String) -> Result<KmsAliasRecord, Refused> + Send + 'static,
) -> Result<Empty, ApiError> {
    permit_alias(inner, context, operation, &name)?;
    let key = permit(inner, context, &target, Names::Keys, Use::of(operation))?;
    let home = inner.config.home.clone();
    let work = inner.transact(move |tx| {
        // Again: it may have changed, or be gone, by now.
        let key = tx.kms_key(&key.id)?.ok_or_else(|| no_key(&home, &key.id))?;
        check_stays(&home, &key)?;
        let alias = made(tx, &name, key.id)?;
        let aliases = tx.kms_aliases(Some(&alias.key), None, MOST_ALIASES)?;
        if aliases.len() == MOST_ALIASES && aliases.iter().all(|a| a.name != alias.name) {
            let message = format!("{} has {MOST_ALIASES} aliases already", home.key_arn(&alias.key));
            return Err(error(ErrorCode::LimitExceeded, message).into());
        }
        tx.put_kms_alias(&alias)?;
        Ok(Empty {})
    });
    work.await
}

/// Whether the caller may do it to the alias: the policies of callers alone decide, as an alias has none.
fn permit_alias<R: Runners>(inner: &Inner<R>, context: &Context, operation: &str, name: &str) -> Result<(), ApiError> {
    let home = &inner.config.home;
    let (action, arn) = (format!("kms:{operation}"), home.alias_arn(name));
    let mut keys: Vec<KeyValue> = surroundings(context).collect();
    keys.push(KeyValue::one("kms:CallerAccount", context.caller.account.clone()));
    let asked = Asked {
        action: &action,
        resource: Some(&arn),
        account: &home.account,
        keys: &keys,
        resource_policy: None,
        rule: ResourceRule::Sufficient,
        bound: None,
        stands_in: None,
    };
    inner.decide(Some(&context.caller), &asked, &context.rulings)
}

/// Whether the caller may do it to the key that an alias names, if it names one.
fn permit_target<R: Runners>(inner: &Inner<R>, context: &Context, operation: &str, name: &str) -> Result<(), ApiError> {
    let found = inner.look(|view| {
        let Some(alias) = view.kms_alias(name)? else { return Ok(None) };
        Ok(view.kms_key(&alias.key)?)
    })?;
    found.map_or(Ok(()), |key| permit_key(inner, context, &key, Use::of(operation)))
}

pub(super) async fn create<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: CreateAliasRequest,
) -> Result<Empty, ApiError> {
    check_name(&input.alias_name)?;
    let (now, home) = (inner.now(), inner.config.home.clone());
    point(inner, context, "CreateAlias", input.alias_name, input.target_key_id, move |tx, name, key| {
        if tx.kms_alias(name)?.is_some() {
            let message = format!("An alias with the name {} already exists", home.alias_arn(name));
            return Err(error(ErrorCode::AlreadyExists, message).into());
        }
        Ok(KmsAliasRecord { name: name.to_owned(), key, created_ms: now, updated_ms: now })
    })
    .await
}

pub(super) async fn update<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: UpdateAliasRequest,
) -> Result<Empty, ApiError> {
    check_name(&input.alias_name)?;
    permit_target(inner, context, "UpdateAlias", &input.alias_name)?;
    let (now, home) = (inner.now(), inner.config.home.clone());
    point(inner, context, "UpdateAlias", input.alias_name, input.target_key_id, move |tx, name, key| {
        let found = tx.kms_alias(name)?.ok_or_else(|| missing(&home.alias_arn(name)))?;
        Ok(KmsAliasRecord { key, updated_ms: now, ..found })
    })
    .await
}

pub(super) async fn delete<R: Runners>(
    inner: &Inner<R>,
    context: &Context,
    input: DeleteAliasRequest,
) -> Result<Empty, ApiError> {
    check_name(&input.alias_name)?;
    permit_alias(inner, context, "DeleteAlias", &input.alias_name)?;
    permit_target(inner, context, "DeleteAlias", &input.alias_name)?;
    let arn = inner.config.home.alias_arn(&input.alias_name);
    let work =
        inner.transact(
            move |tx| {
                if tx.delete_kms_alias(&input.alias_name)? { Ok(Empty {}) } else { Err(missing(&arn).into()) }
            },
        );
    work.await
}

fn missing(arn: &str) -> ApiError {
    error(ErrorCode::NotFound, format!("Alias {arn} is not found."))
}

pub(super) fn list<R: Runners>(inner: &Inner<R>, input: &ListAliasesRequest) -> Result<ListAliasesResponse, ApiError> {
    let home = &inner.config.home;
    let key = match &input.key_id {
        None => None,
        Some(text) => Some(inner.look(|view| find(view, home, text, Names::Keys))?.id),
    };
    let list = format!("aliases {}", key.as_deref().unwrap_or_default());
    let read = |after: Option<&str>, limit| inner.look(|view| Ok(view.kms_aliases(key.as_deref(), after, limit)?));
    let page = page(&list, input.limit, input.marker.as_deref(), 50, read, |alias| &alias.name)?;
    let Page { items, truncated, next_marker } = page;
    let entry = |alias: KmsAliasRecord| AliasListEntry {
        alias_arn: Some(home.alias_arn(&alias.name)),
        alias_name: Some(alias.name),
        target_key_id: Some(alias.key),
        creation_date: Some(Timestamp::from_millis(alias.created_ms)),
        last_updated_date: Some(Timestamp::from_millis(alias.updated_ms)),
    };
    Ok(ListAliasesResponse { aliases: items.into_iter().map(entry).collect(), truncated, next_marker })
}
