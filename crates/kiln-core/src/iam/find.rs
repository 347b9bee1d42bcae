//! Names, ARNs and records, one into the other.

use kiln_model::{
    arn::Home,
    iam::{IamCode, IamError, Owner},
};
use kiln_store::{
    View,
    metadata::{IamKind, IamRecord},
};

use super::{Refused, managed, owner_name};

/// The ARN of an entity of the account.
pub(super) fn arn(home: &Home, record: &IamRecord) -> String {
    let IamRecord { kind, path, name, .. } = record;
    format!("arn:{}:iam::{}:{}{path}{name}", home.partition(), home.account, kind.name())
}

/// The entity with that name.
pub(super) fn entity(view: &View<'_>, kind: IamKind, name: &str) -> Result<IamRecord, Refused> {
    Ok(view.iam_entity(kind, name)?.ok_or_else(|| IamError::missing(kind.name(), name))?)
}

/// The user, group or role.
pub(super) fn owner(view: &View<'_>, owner: &Owner) -> Result<IamRecord, Refused> {
    entity(view, kind_of(owner), owner_name(owner))
}

pub(super) fn kind_of(owner: &Owner) -> IamKind {
    match owner {
        Owner::User(_) => IamKind::User,
        Owner::Group(_) => IamKind::Group,
        Owner::Role(_) => IamKind::Role,
    }
}

/// The entity that an ARN of the account names, if it names one of that kind: path and all must be right.
pub(super) fn by_arn(
    view: &View<'_>,
    home: &Home,
    kind: IamKind,
    text: &str,
) -> Result<Option<IamRecord>, kiln_store::StoreError> {
    let Some((_, name)) = text.rsplit_once('/') else { return Ok(None) };
    let found = view.iam_entity(kind, name)?;
    Ok(found.filter(|record| arn(home, record) == text))
}

/// The account's managed policy with that ARN.
pub(super) fn policy(view: &View<'_>, home: &Home, text: &str) -> Result<IamRecord, Refused> {
    if managed::by_arn(text).is_some() {
        let message = "Policies that come with Kiln cannot be changed.";
        return Err(IamError::new(IamCode::UnmodifiableEntity, message).into());
    }
    by_arn(view, home, IamKind::Policy, text)?.ok_or_else(|| no_policy(text).into())
}

/// AWS's words for a policy that is not there.
pub(super) fn no_policy(arn: &str) -> IamError {
    IamError::new(IamCode::NoSuchEntity, format!("Policy {arn} was not found."))
}
