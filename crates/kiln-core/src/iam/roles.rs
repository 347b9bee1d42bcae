//! Roles.

use std::collections::BTreeMap;

use kiln_iam::policy::{Entry, Kind, Policy};
use kiln_model::{
    Timestamp,
    arn::Home,
    iam::{Answer, IamCode, IamError, Page, Role, Tag, check_description, check_name, check_path, check_tags},
};
use kiln_store::{
    StoreError, View,
    metadata::{IamKind, IamRecord},
};

use super::{
    Refused, attachments,
    document::{self, Identity},
    find, inline, paged, users,
};
use crate::{core::Inner, runners::Runners};

/// Roles of an account (AWS's quota).
pub(super) const MOST: usize = 1_000;
/// Longest session if nothing is said.
pub(super) const AN_HOUR: i64 = 3_600;

/// A role to make.
pub(super) struct New {
    pub(super) name: String,
    pub(super) path: Option<String>,
    pub(super) trust: String,
    pub(super) description: Option<String>,
    pub(super) max_session_seconds: Option<i64>,
    pub(super) boundary: Option<String>,
    pub(super) tags: Vec<Tag>,
}

fn show(view: &View<'_>, home: &Home, record: &IamRecord) -> Result<Role, StoreError> {
    let document = Identity::parse(record)?;
    let Some(role) = document.role else {
        return Err(StoreError::Invalid(format!("the record of role {} is that of no role", record.name)));
    };
    Ok(Role {
        path: record.path.clone(),
        name: record.name.clone(),
        id: record.id.clone(),
        arn: find::arn(home, record),
        created: Timestamp::from_millis(record.created_ms),
        trust: role.trust,
        description: role.description,
        max_session_seconds: role.max_session_seconds,
        boundary: attachments::boundary(view, record)?,
        tags: document.tags,
    })
}

fn check_session(seconds: Option<i64>) -> Result<(), IamError> {
    match seconds {
        Some(seconds) if !(AN_HOUR..=43_200).contains(&seconds) => {
            Err(IamError::validation("maxSessionDuration", "Member must have value between 3600 and 43200"))
        }
        _ => Ok(()),
    }
}

/// Checks a trust policy; its users and roles of this account must be there, and are remembered by their ids.
fn bind(view: &View<'_>, home: &Home, text: &str) -> Result<BTreeMap<String, String>, Refused> {
    let policy = Policy::parse(Kind::Trust, text).map_err(|error| inline::malformed(&error))?;
    let mut bound = BTreeMap::new();
    for entry in policy.principals() {
        let Entry::Arn(arn) = entry else { continue };
        let own = format!("arn:{}:iam::{}:", home.partition(), home.account);
        let Some(resource) = arn.strip_prefix(&own) else { continue };
        let kind = if resource.starts_with("user/") { IamKind::User } else { IamKind::Role };
        match find::by_arn(view, home, kind, arn)? {
            Some(record) => bound.insert(arn.clone(), record.id),
            None => {
                let message = format!("Invalid principal in policy: \"AWS\":\"{arn}\"");
                return Err(IamError::new(IamCode::MalformedPolicyDocument, message).into());
            }
        };
    }
    Ok(bound)
}

pub(super) async fn create<R: Runners>(inner: &Inner<R>, new: New) -> Result<Answer, IamError> {
    let New { name, path, trust, description, max_session_seconds, boundary, tags } = new;
    check_name("roleName", &name, 64)?;
    path.as_deref().map(check_path).transpose()?;
    description.as_deref().map(check_description).transpose()?;
    check_session(max_session_seconds)?;
    check_tags(&tags)?;
    let (home, now) = (inner.config.home.clone(), inner.now());
    inner
        .change(move |tx| {
            let mut document = Identity::new(tags);
            document.role = Some(document::Role {
                bound: bind(tx, &home, &trust)?,
                trust,
                description,
                max_session_seconds: max_session_seconds.unwrap_or(AN_HOUR),
            });
            let record = users::insert(tx, (IamKind::Role, "AROA", MOST), name, path, now, &document)?;
            if let Some(arn) = boundary {
                attachments::set_boundary(tx, &home, &record, &arn)?;
            }
            Ok(Answer::Role(show(tx, &home, &record)?))
        })
        .await
}

pub(super) fn get<R: Runners>(inner: &Inner<R>, name: &str) -> Result<Answer, IamError> {
    let home = &inner.config.home;
    inner.read(|view| Ok(Answer::Role(show(view, home, &find::entity(view, IamKind::Role, name)?)?)))
}

pub(super) fn list<R: Runners>(inner: &Inner<R>, path_prefix: &str, page: &Page) -> Result<Answer, IamError> {
    let home = &inner.config.home;
    let roles =
        inner.read(|view| Ok(users::below(view, IamKind::Role, path_prefix, |record| show(view, home, record))?))?;
    Ok(Answer::Roles(paged(roles, page, |role| &role.name)?))
}

/// Changes what only roles have.
async fn edit<R: Runners>(
    inner: &Inner<R>,
    name: String,
    change: impl FnOnce(&View<'_>, &Home, &mut document::Role) -> Result<(), Refused> + Send + 'static,
) -> Result<Role, IamError> {
    let home = inner.config.home.clone();
    inner
        .change(move |tx| {
            let mut record = find::entity(tx, IamKind::Role, &name)?;
            let mut document = Identity::parse(&record)?;
            if let Some(role) = &mut document.role {
                change(tx, &home, role)?;
            }
            document::fill(&mut record, &document)?;
            tx.update_iam_entity(&record)?;
            Ok(show(tx, &home, &record)?)
        })
        .await
}

pub(super) async fn update<R: Runners>(
    inner: &Inner<R>,
    name: String,
    description: Option<String>,
    max_session_seconds: Option<i64>,
) -> Result<Answer, IamError> {
    description.as_deref().map(check_description).transpose()?;
    check_session(max_session_seconds)?;
    let change = move |_: &View<'_>, _: &Home, role: &mut document::Role| {
        if let Some(description) = description {
            role.description = (!description.is_empty()).then_some(description);
        }
        role.max_session_seconds = max_session_seconds.unwrap_or(role.max_session_seconds);
        Ok(())
    };
    edit(inner, name, change).await.map(|_| Answer::Done)
}

pub(super) async fn describe<R: Runners>(
    inner: &Inner<R>,
    name: String,
    description: String,
) -> Result<Answer, IamError> {
    check_description(&description)?;
    let change = move |_: &View<'_>, _: &Home, role: &mut document::Role| {
        role.description = (!description.is_empty()).then_some(description);
        Ok(())
    };
    edit(inner, name, change).await.map(Answer::Role)
}

pub(super) async fn trust<R: Runners>(inner: &Inner<R>, name: String, trust: String) -> Result<Answer, IamError> {
    let change = move |view: &View<'_>, home: &Home, role: &mut document::Role| {
        role.bound = bind(view, home, &trust)?;
        role.trust = trust;
        Ok(())
    };
    edit(inner, name, change).await.map(|_| Answer::Done)
}

pub(super) async fn delete<R: Runners>(inner: &Inner<R>, name: String) -> Result<Answer, IamError> {
    inner
        .change(move |tx| {
            let record = find::entity(tx, IamKind::Role, &name)?;
            users::check_bare(tx, &record)?;
            tx.delete_iam_entity(&record.id)?;
            Ok(Answer::Done)
        })
        .await
}

/// There are none: machines of others are no business of Kiln's. Terraform asks before it deletes a role.
pub(super) fn instance_profiles<R: Runners>(inner: &Inner<R>, name: &str) -> Result<Answer, IamError> {
    inner.read(|view| find::entity(view, IamKind::Role, name).map(|_| Answer::NoInstanceProfiles))
}
