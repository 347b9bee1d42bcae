//! Who has which managed policy, as a permission or as a boundary.

use kiln_model::{
    arn::Home,
    iam::{Answer, Attached, IamCode, IamError, Owner, Page},
};
use kiln_store::{
    StoreError, Tx, View,
    metadata::{IamLink, IamRecord},
};

use super::{Refused, find, managed, paged};
use crate::{core::Inner, runners::Runners};

/// Managed policies of a user, group or role (AWS's quota).
const MOST: usize = 10;

/// The permissions boundary that somebody has.
pub(super) fn boundary(view: &View<'_>, record: &IamRecord) -> Result<Option<String>, StoreError> {
    Ok(view.iam_links_of(IamLink::Boundary, &record.id)?.pop())
}

/// Refuses what is no policy.
fn check_exists(view: &View<'_>, home: &Home, arn: &str) -> Result<(), Refused> {
    if managed::by_arn(arn).is_some() || find::by_arn(view, home, kiln_store::metadata::IamKind::Policy, arn)?.is_some()
    {
        return Ok(());
    }
    let message = format!("Policy {arn} does not exist or is not attachable.");
    Err(IamError::new(IamCode::NoSuchEntity, message).into())
}

pub(super) fn set_boundary(tx: &mut Tx<'_>, home: &Home, record: &IamRecord, arn: &str) -> Result<(), Refused> {
    check_exists(tx, home, arn)?;
    if let Some(before) = boundary(tx, record)? {
        tx.delete_iam_link(IamLink::Boundary, &record.id, &before)?;
    }
    Ok(tx.put_iam_link(IamLink::Boundary, &record.id, arn)?)
}

pub(super) async fn attach<R: Runners>(inner: &Inner<R>, owner: Owner, arn: String) -> Result<Answer, IamError> {
    let home = inner.config.home.clone();
    inner
        .change(move |tx| {
            let record = find::owner(tx, &owner)?;
            check_exists(tx, &home, &arn)?;
            let attached = tx.iam_links_of(IamLink::Policy, &record.id)?;
            if attached.len() >= MOST && !attached.contains(&arn) {
                let message = format!("Cannot exceed quota for PoliciesPer{}: {MOST}", quota_name(&owner));
                return Err(IamError::new(IamCode::LimitExceeded, message).into());
            }
            tx.put_iam_link(IamLink::Policy, &record.id, &arn)?;
            Ok(Answer::Done)
        })
        .await
}

fn quota_name(owner: &Owner) -> &'static str {
    match owner {
        Owner::User(_) => "User",
        Owner::Group(_) => "Group",
        Owner::Role(_) => "Role",
    }
}

pub(super) async fn detach<R: Runners>(inner: &Inner<R>, owner: Owner, arn: String) -> Result<Answer, IamError> {
    inner
        .change(move |tx| {
            let record = find::owner(tx, &owner)?;
            if !tx.delete_iam_link(IamLink::Policy, &record.id, &arn)? {
                return Err(find::no_policy(&arn).into());
            }
            Ok(Answer::Done)
        })
        .await
}

pub(super) fn list<R: Runners>(inner: &Inner<R>, owner: &Owner, page: &Page) -> Result<Answer, IamError> {
    let arns = inner.read(|view| Ok(view.iam_links_of(IamLink::Policy, &find::owner(view, owner)?.id)?))?;
    let named = |arn: String| Attached { name: arn.rsplit('/').next().unwrap_or_default().to_owned(), arn };
    let mut attached: Vec<Attached> = arns.into_iter().map(named).collect();
    attached.sort_by_key(|policy| policy.arn.to_lowercase());
    Ok(Answer::AttachedPolicies(paged(attached, page, |policy| &policy.arn)?))
}

pub(super) async fn put_boundary<R: Runners>(inner: &Inner<R>, owner: Owner, arn: String) -> Result<Answer, IamError> {
    let home = inner.config.home.clone();
    inner
        .change(move |tx| {
            let record = find::owner(tx, &owner)?;
            set_boundary(tx, &home, &record, &arn)?;
            Ok(Answer::Done)
        })
        .await
}

pub(super) async fn delete_boundary<R: Runners>(inner: &Inner<R>, owner: Owner) -> Result<Answer, IamError> {
    inner
        .change(move |tx| {
            let record = find::owner(tx, &owner)?;
            let Some(arn) = boundary(tx, &record)? else {
                let message = format!("{} {} has no permissions boundary.", record.kind.name(), record.name);
                return Err(IamError::new(IamCode::NoSuchEntity, message).into());
            };
            tx.delete_iam_link(IamLink::Boundary, &record.id, &arn)?;
            Ok(Answer::Done)
        })
        .await
}
