//! From a name to a repository.

use kiln_iam::policy::Kind;
use kiln_model::{ApiError, arn::Home, registry::is_path};
use kiln_store::{StoreError, Tx, View, metadata::RepositoryRecord};

use super::{
    document::Repository,
    error::{invalid, no_repository},
};
use crate::{core::Inner, iam::Resource, records::Refused, runners::Runners};

/// What the ARNs of repositories begin with.
const KIND: &str = "repository/";

/// ARN of a repository.
pub(super) fn arn(home: &Home, name: &str) -> String {
    home.arn("ecr", &format!("{KIND}{name}"))
}

/// The name in an ARN of a repository of this registry.
///
/// # Errors
/// `InvalidParameterException` for other texts.
pub(super) fn name_in<'a>(home: &Home, text: &'a str) -> Result<&'a str, ApiError> {
    let name = text.strip_prefix(&arn(home, ""));
    name.filter(|name| is_path(name)).ok_or_else(|| invalid("resourceArn", "Invalid ARN"))
}

/// The repository that a caller names; `registry` is the account that they name with it, if any.
pub(super) fn find(
    view: &View<'_>,
    home: &Home,
    registry: Option<&str>,
    name: &str,
) -> Result<(RepositoryRecord, Repository), Refused> {
    let account = registry.unwrap_or(&home.account);
    let record = if account == home.account { view.repository(name)? } else { None };
    let record = record.ok_or_else(|| no_repository(name, account))?;
    let document = Repository::of(&record)?;
    Ok((record, document))
}

/// Changes a repository in one transaction; returns what `edit` returns.
pub(super) async fn edit<R, T, F>(
    inner: &Inner<R>,
    registry: Option<String>,
    name: String,
    edit: F,
) -> Result<T, ApiError>
where
    R: Runners,
    T: Send + 'static,
    F: FnOnce(&mut Tx<'_>, &mut Repository) -> Result<T, Refused> + Send + 'static,
{
    let home = inner.config.home.clone();
    inner
        .transact(move |tx| {
            let (mut record, mut document) = find(tx, &home, registry.as_deref(), &name)?;
            let value = edit(tx, &mut document)?;
            record.doc = document.to_json()?;
            tx.update_repository(&record)?;
            Ok(value)
        })
        .await
}

/// A repository as policies name it.
pub(crate) fn resource(view: &View<'_>, name: &str, mut found: Resource) -> Result<Resource, StoreError> {
    let Some(record) = view.repository(name)? else { return Ok(found) };
    let document = Repository::of(&record)?;
    found.tags = document.tags.into_iter().collect();
    found.own_tags = Some("ecr:ResourceTag");
    found.policy = document.policy.map(|policy| (Kind::Repository, policy));
    Ok(found)
}
