//! Policies that are written into a user, a group or a role.

use kiln_iam::policy::{Kind, Policy, PolicyError, significant_length};
use kiln_model::iam::{Answer, IamCode, IamError, Owner, Page, check_policy_name};
use kiln_store::metadata::IamRecord;

use super::{
    Refused,
    document::{self, Identity},
    find, paged,
};
use crate::{core::Inner, runners::Runners};

/// What is wrong with a policy, with IAM's codes.
pub(super) fn malformed(error: &PolicyError) -> IamError {
    let code = match error {
        PolicyError::TooLong { .. } => IamCode::LimitExceeded,
        PolicyError::Malformed { .. } => IamCode::MalformedPolicyDocument,
    };
    IamError::new(code, error.to_string())
}

/// Where a policy is written into.
pub(super) fn kind(owner: &Owner) -> Kind {
    match owner {
        Owner::User(_) => Kind::UserInline,
        Owner::Group(_) => Kind::GroupInline,
        Owner::Role(_) => Kind::RoleInline,
    }
}

fn missing(record: &IamRecord, name: &str) -> Refused {
    let message = format!("The {} policy with name {name} cannot be found.", record.kind.name());
    IamError::new(IamCode::NoSuchEntity, message).into()
}

pub(super) async fn put<R: Runners>(
    inner: &Inner<R>,
    owner: Owner,
    name: String,
    text: String,
) -> Result<Answer, IamError> {
    check_policy_name(&name)?;
    let kind = kind(&owner);
    Policy::parse(kind, &text).map_err(|error| malformed(&error))?;
    inner
        .change(move |tx| {
            let mut record = find::owner(tx, &owner)?;
            let mut document = Identity::parse(&record)?;
            document.inline.insert(name, text);
            // The limit is that of all of them together.
            if document.inline.values().map(|text| significant_length(text)).sum::<usize>() > kind.limit() {
                let message = format!(
                    "Maximum policy size of {} bytes exceeded for {} {}",
                    kind.limit(),
                    record.kind.name(),
                    record.name
                );
                return Err(IamError::new(IamCode::LimitExceeded, message).into());
            }
            document::fill(&mut record, &document)?;
            tx.update_iam_entity(&record)?;
            Ok(Answer::Done)
        })
        .await
}

pub(super) fn get<R: Runners>(inner: &Inner<R>, owner: &Owner, name: &str) -> Result<Answer, IamError> {
    inner.read(|view| {
        let record = find::owner(view, owner)?;
        let document = Identity::parse(&record)?.inline.remove(name).ok_or_else(|| missing(&record, name))?;
        Ok(Answer::InlinePolicy { owner: record.name, name: name.to_owned(), document })
    })
}

pub(super) async fn delete<R: Runners>(inner: &Inner<R>, owner: Owner, name: String) -> Result<Answer, IamError> {
    inner
        .change(move |tx| {
            let mut record = find::owner(tx, &owner)?;
            let mut document = Identity::parse(&record)?;
            document.inline.remove(&name).ok_or_else(|| missing(&record, &name))?;
            document::fill(&mut record, &document)?;
            tx.update_iam_entity(&record)?;
            Ok(Answer::Done)
        })
        .await
}

pub(super) fn list<R: Runners>(inner: &Inner<R>, owner: &Owner, page: &Page) -> Result<Answer, IamError> {
    let names = inner.read(|view| Ok(Identity::parse(&find::owner(view, owner)?)?.inline.into_keys().collect()))?;
    let mut names: Vec<String> = names;
    names.sort_by_key(|name| name.to_lowercase());
    Ok(Answer::InlinePolicies(paged(names, page, |name| name)?))
}
