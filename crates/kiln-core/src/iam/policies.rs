//! Managed policies and their versions.

use kiln_iam::policy::{Kind, Policy as Checked};
use kiln_model::{
    Timestamp,
    arn::Home,
    iam::{
        Answer, Entities, IamCode, IamError, Listed, Page, Policy, PolicyScope, PolicyVersion, Tag, check_description,
        check_path, check_policy_name, check_tags,
    },
};
use kiln_store::{
    StoreError, View,
    metadata::{IamKind, IamLink, IamRecord},
};

use super::{
    Refused,
    document::{self, Managed, Version},
    find, inline,
    managed::{self, AwsPolicy},
    paged, users,
};
use crate::{core::Inner, runners::Runners};

/// Policies of an account, and versions of a policy (AWS's quotas).
const MOST: usize = 1_500;
const MOST_VERSIONS: usize = 5;

/// A policy to make.
pub(super) struct New {
    pub(super) name: String,
    pub(super) path: Option<String>,
    pub(super) document: String,
    pub(super) description: Option<String>,
    pub(super) tags: Vec<Tag>,
}

fn show(view: &View<'_>, home: &Home, record: &IamRecord) -> Result<Policy, StoreError> {
    let (document, arn) = (Managed::parse(record)?, find::arn(home, record));
    Ok(Policy {
        path: record.path.clone(),
        name: record.name.clone(),
        id: record.id.clone(),
        default_version: version_id(document.default),
        attachments: view.iam_links_to(IamLink::Policy, &arn)?.len(),
        boundary_uses: view.iam_links_to(IamLink::Boundary, &arn)?.len(),
        arn,
        created: Timestamp::from_millis(record.created_ms),
        updated: Timestamp::from_millis(document.updated_ms),
        description: document.description,
        tags: document.tags,
    })
}

fn show_aws(view: &View<'_>, policy: &AwsPolicy) -> Result<Policy, StoreError> {
    Ok(Policy {
        path: policy.path().to_owned(),
        name: policy.name().to_owned(),
        id: policy.id.to_owned(),
        arn: policy.arn.to_owned(),
        default_version: version_id(1),
        attachments: view.iam_links_to(IamLink::Policy, policy.arn)?.len(),
        boundary_uses: view.iam_links_to(IamLink::Boundary, policy.arn)?.len(),
        created: Timestamp::from_millis(managed::CREATED_MS),
        updated: Timestamp::from_millis(managed::CREATED_MS),
        description: Some(policy.description.to_owned()),
        tags: Vec::new(),
    })
}

fn version_id(number: u32) -> String {
    format!("v{number}")
}

fn version_number(text: &str) -> Option<u32> {
    text.strip_prefix('v')?.parse().ok()
}

fn no_version(arn: &str, version: &str) -> IamError {
    IamError::new(IamCode::NoSuchEntity, format!("Policy {arn} version {version} does not exist or is not attachable."))
}

fn show_version(document: &Managed, number: u32, version: &Version, with_text: bool) -> PolicyVersion {
    PolicyVersion {
        id: version_id(number),
        is_default: number == document.default,
        created: Timestamp::from_millis(version.created_ms),
        document: with_text.then(|| version.document.clone()),
    }
}

/// The document of a policy of AWS, as if it was the account's.
fn of_aws(policy: &AwsPolicy) -> Managed {
    Managed::new(policy.document.to_owned(), None, Vec::new(), managed::CREATED_MS)
}

fn document_of(view: &View<'_>, home: &Home, arn: &str) -> Result<Managed, Refused> {
    match managed::by_arn(arn) {
        Some(policy) => Ok(of_aws(policy)),
        None => Ok(Managed::parse(&find::policy(view, home, arn)?)?),
    }
}

pub(super) async fn create<R: Runners>(inner: &Inner<R>, new: New) -> Result<Answer, IamError> {
    let New { name, path, document, description, tags } = new;
    check_policy_name(&name)?;
    path.as_deref().map(check_path).transpose()?;
    description.as_deref().map(check_description).transpose()?;
    check_tags(&tags)?;
    Checked::parse(Kind::Managed, &document).map_err(|error| inline::malformed(&error))?;
    let (home, now) = (inner.config.home.clone(), inner.now());
    inner
        .change(move |tx| {
            let document = Managed::new(document, description, tags, now);
            let record = users::insert(tx, (IamKind::Policy, "ANPA", MOST), name, path, now, &document)?;
            Ok(Answer::Policy(show(tx, &home, &record)?))
        })
        .await
}

pub(super) fn get<R: Runners>(inner: &Inner<R>, arn: &str) -> Result<Answer, IamError> {
    let home = &inner.config.home;
    inner.read(|view| match managed::by_arn(arn) {
        Some(policy) => Ok(Answer::Policy(show_aws(view, policy)?)),
        None => Ok(Answer::Policy(show(view, home, &find::policy(view, home, arn)?)?)),
    })
}

pub(super) fn list<R: Runners>(
    inner: &Inner<R>,
    scope: PolicyScope,
    only_attached: bool,
    path_prefix: &str,
    page: &Page,
) -> Result<Answer, IamError> {
    let home = &inner.config.home;
    let mut policies = inner.read(|view| {
        let mut policies = Vec::new();
        if scope != PolicyScope::Local {
            let shown = managed::ALL.iter().filter(|policy| policy.path().starts_with(path_prefix));
            policies.extend(shown.map(|policy| show_aws(view, policy)).collect::<Result<Vec<_>, _>>()?);
        }
        if scope != PolicyScope::Aws {
            policies.extend(users::below(view, IamKind::Policy, path_prefix, |record| show(view, home, record))?);
        }
        Ok(policies)
    })?;
    policies.retain(|policy| !only_attached || policy.attachments > 0);
    // Not by name: one of AWS's and one of the account's may have the same.
    policies.sort_by_key(|policy| policy.arn.to_lowercase());
    Ok(Answer::Policies(paged(policies, page, |policy| &policy.arn)?))
}

pub(super) async fn delete<R: Runners>(inner: &Inner<R>, arn: String) -> Result<Answer, IamError> {
    let home = inner.config.home.clone();
    inner
        .change(move |tx| {
            let record = find::policy(tx, &home, &arn)?;
            let conflict = |message: &str| Refused::from(IamError::new(IamCode::DeleteConflict, message));
            let is_used = [IamLink::Policy, IamLink::Boundary]
                .into_iter()
                .map(|kind| Ok(!tx.iam_links_to(kind, &arn)?.is_empty()))
                .collect::<Result<Vec<bool>, StoreError>>()?;
            if is_used.contains(&true) {
                return Err(conflict("Cannot delete a policy attached to entities."));
            }
            if Managed::parse(&record)?.versions.len() > 1 {
                return Err(conflict(
                    "This policy has more than one version. Before you delete a policy, you must delete the policy's \
                     versions. The default version is deleted with the policy.",
                ));
            }
            tx.delete_iam_entity(&record.id)?;
            Ok(Answer::Done)
        })
        .await
}

/// Changes the versions of a policy of the account.
async fn edit<R: Runners, T: Send + 'static>(
    inner: &Inner<R>,
    arn: String,
    change: impl FnOnce(&str, &mut Managed) -> Result<T, Refused> + Send + 'static,
) -> Result<T, IamError> {
    let home = inner.config.home.clone();
    inner
        .change(move |tx| {
            let mut record = find::policy(tx, &home, &arn)?;
            let mut document = Managed::parse(&record)?;
            let result = change(&arn, &mut document)?;
            document::fill(&mut record, &document)?;
            tx.update_iam_entity(&record)?;
            Ok(result)
        })
        .await
}

pub(super) async fn add_version<R: Runners>(
    inner: &Inner<R>,
    arn: String,
    text: String,
    set_as_default: bool,
) -> Result<Answer, IamError> {
    Checked::parse(Kind::Managed, &text).map_err(|error| inline::malformed(&error))?;
    let now = inner.now();
    let change = move |_: &str, document: &mut Managed| {
        if document.versions.len() >= MOST_VERSIONS {
            let message = format!(
                "A managed policy can have up to {MOST_VERSIONS} versions. Before you create a new version, you must \
                 delete an existing version."
            );
            return Err(IamError::new(IamCode::LimitExceeded, message).into());
        }
        document.last += 1;
        document.updated_ms = now;
        let (number, version) = (document.last, Version { created_ms: now, document: text });
        if set_as_default {
            document.default = number;
        }
        let shown = show_version(document, number, &version, false);
        document.versions.insert(number, version);
        Ok(Answer::PolicyVersion(shown))
    };
    edit(inner, arn, change).await
}

pub(super) fn version<R: Runners>(inner: &Inner<R>, arn: &str, id: &str) -> Result<Answer, IamError> {
    let home = &inner.config.home;
    inner.read(|view| {
        let document = document_of(view, home, arn)?;
        let number = version_number(id).ok_or_else(|| no_version(arn, id))?;
        let version = document.versions.get(&number).ok_or_else(|| no_version(arn, id))?;
        Ok(Answer::PolicyVersion(show_version(&document, number, version, true)))
    })
}

pub(super) fn versions<R: Runners>(inner: &Inner<R>, arn: &str, page: &Page) -> Result<Answer, IamError> {
    let home = &inner.config.home;
    let document = inner.read(|view| document_of(view, home, arn))?;
    let newest_first = document.versions.iter().rev();
    let shown: Vec<PolicyVersion> =
        newest_first.map(|(number, version)| show_version(&document, *number, version, false)).collect();
    // There are five at most: they are one page, whatever was asked for.
    paged(Vec::<String>::new(), page, |name| name)?;
    Ok(Answer::PolicyVersions(Listed { items: shown, marker: None }))
}

pub(super) async fn delete_version<R: Runners>(inner: &Inner<R>, arn: String, id: String) -> Result<Answer, IamError> {
    let change = move |arn: &str, document: &mut Managed| {
        let number = version_number(&id).ok_or_else(|| no_version(arn, &id))?;
        if number == document.default {
            let message = "Cannot delete the default version of a policy.";
            return Err(IamError::new(IamCode::DeleteConflict, message).into());
        }
        document.versions.remove(&number).ok_or_else(|| no_version(arn, &id))?;
        Ok(Answer::Done)
    };
    edit(inner, arn, change).await
}

pub(super) async fn set_default<R: Runners>(inner: &Inner<R>, arn: String, id: String) -> Result<Answer, IamError> {
    let change = move |arn: &str, document: &mut Managed| {
        let number = version_number(&id).filter(|number| document.versions.contains_key(number));
        document.default = number.ok_or_else(|| no_version(arn, &id))?;
        Ok(Answer::Done)
    };
    edit(inner, arn, change).await
}

pub(super) fn entities<R: Runners>(inner: &Inner<R>, arn: &str, page: &Page) -> Result<Answer, IamError> {
    let home = &inner.config.home;
    let all = inner.read(|view| {
        document_of(view, home, arn)?;
        let mut all = Vec::new();
        for id in view.iam_links_to(IamLink::Policy, arn)? {
            all.extend(view.iam_entity_by_id(&id)?);
        }
        Ok(all)
    })?;
    let listed = paged(all, page, |record| &record.id)?;
    let mut entities = Entities::default();
    for record in listed.items {
        let entry = (record.name, record.id);
        match record.kind {
            IamKind::User => entities.users.push(entry),
            IamKind::Group => entities.groups.push(entry),
            IamKind::Role => entities.roles.push(entry),
            IamKind::Policy => {}
        }
    }
    Ok(Answer::Entities(Listed { items: Vec::new(), marker: listed.marker }, entities))
}
