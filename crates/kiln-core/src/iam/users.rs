//! Users.

use kiln_model::{
    Timestamp,
    arn::Home,
    iam::{Answer, IamCode, IamError, Page, Tag, User, check_name, check_path, check_tags},
    service::Context,
};
use kiln_store::{
    StoreError, Tx, View,
    metadata::{IamKind, IamLink, IamRecord},
};

use super::{
    ID_LETTERS, Refused, attachments,
    document::{self, Identity},
    find, paged, random_text,
};
use crate::{core::Inner, runners::Runners};

/// Users of an account (AWS's quota).
const MOST: usize = 5_000;

pub(super) fn show(view: &View<'_>, home: &Home, record: &IamRecord) -> Result<User, StoreError> {
    Ok(User {
        path: record.path.clone(),
        name: record.name.clone(),
        id: record.id.clone(),
        arn: find::arn(home, record),
        created: Timestamp::from_millis(record.created_ms),
        boundary: attachments::boundary(view, record)?,
        tags: Identity::parse(record)?.tags,
    })
}

/// A new entity's record, if the account may have one more.
pub(super) fn insert(
    tx: &mut Tx<'_>,
    (kind, prefix, most): (IamKind, &str, usize),
    name: String,
    path: Option<String>,
    now_ms: i64,
    document: &impl serde::Serialize,
) -> Result<IamRecord, Refused> {
    if tx.iam_entities(kind, None, most)?.len() == most {
        let kind = kind.name();
        let message = format!("Cannot exceed quota for {kind}s per account: {most}");
        return Err(IamError::new(IamCode::LimitExceeded, message).into());
    }
    let mut record = IamRecord {
        id: random_text(prefix, ID_LETTERS, 17),
        kind,
        name,
        path: path.unwrap_or_else(|| "/".to_owned()),
        created_ms: now_ms,
        doc: String::new(),
    };
    document::fill(&mut record, document)?;
    match tx.insert_iam_entity(&record) {
        Err(StoreError::Exists(_)) => Err(exists(kind, &record.name).into()),
        result => Ok(result.map(|()| record)?),
    }
}

pub(super) fn exists(kind: IamKind, name: &str) -> IamError {
    let kind = match kind {
        IamKind::User => "User",
        IamKind::Group => "Group",
        IamKind::Role => "Role",
        IamKind::Policy => "Policy",
    };
    IamError::exists(kind, name)
}

pub(super) async fn create<R: Runners>(
    inner: &Inner<R>,
    name: String,
    path: Option<String>,
    boundary: Option<String>,
    tags: Vec<Tag>,
) -> Result<Answer, IamError> {
    check_name("userName", &name, 64)?;
    path.as_deref().map(check_path).transpose()?;
    check_tags(&tags)?;
    let (home, now) = (inner.config.home.clone(), inner.now());
    inner
        .change(move |tx| {
            let record = insert(tx, (IamKind::User, "AIDA", MOST), name, path, now, &Identity::new(tags))?;
            if let Some(arn) = boundary {
                attachments::set_boundary(tx, &home, &record, &arn)?;
            }
            Ok(Answer::User(show(tx, &home, &record)?))
        })
        .await
}

/// The user's name, or the caller's own.
pub(super) fn named(context: &Context, name: Option<String>) -> Result<String, IamError> {
    match name {
        Some(name) => Ok(name),
        None if context.caller.arn.contains(":user/") => Ok(context.caller.name.clone()),
        None => {
            Err(IamError::new(IamCode::ValidationError, "Must specify userName when calling with non-User credentials"))
        }
    }
}

pub(super) fn get<R: Runners>(inner: &Inner<R>, context: &Context, name: Option<String>) -> Result<Answer, IamError> {
    let home = &inner.config.home;
    if name.is_none() && context.caller.arn.ends_with(":root") {
        return Ok(Answer::User(User {
            path: "/".to_owned(),
            name: "root".to_owned(),
            id: home.account.clone(),
            arn: context.caller.arn.clone(),
            created: Timestamp::from_millis(0),
            boundary: None,
            tags: Vec::new(),
        }));
    }
    let name = named(context, name)?;
    inner.read(|view| Ok(Answer::User(show(view, home, &find::entity(view, IamKind::User, &name)?)?)))
}

/// All entities of a kind below a path, as the caller sees them.
pub(super) fn below<T>(
    view: &View<'_>,
    kind: IamKind,
    path_prefix: &str,
    mut show: impl FnMut(&IamRecord) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let all = view.iam_entities(kind, None, usize::MAX)?;
    all.iter().filter(|record| record.path.starts_with(path_prefix)).map(&mut show).collect()
}

pub(super) fn list<R: Runners>(inner: &Inner<R>, path_prefix: &str, page: &Page) -> Result<Answer, IamError> {
    let home = &inner.config.home;
    let users = inner.read(|view| Ok(below(view, IamKind::User, path_prefix, |record| show(view, home, record))?))?;
    Ok(Answer::Users(paged(users, page, |user| &user.name)?))
}

pub(super) async fn update<R: Runners>(
    inner: &Inner<R>,
    name: String,
    new_name: Option<String>,
    new_path: Option<String>,
) -> Result<Answer, IamError> {
    new_name.as_deref().map(|name| check_name("newUserName", name, 64)).transpose()?;
    new_path.as_deref().map(check_path).transpose()?;
    let home = inner.config.home.clone();
    inner
        .change(move |tx| {
            let mut record = find::entity(tx, IamKind::User, &name)?;
            let before = find::arn(&home, &record);
            rename(tx, &mut record, new_name, new_path)?;
            // Keys say whose they are.
            let arn = find::arn(&home, &record);
            for mut key in tx.access_keys_of(&before)? {
                (key.user_arn, key.name) = (arn.clone(), record.name.clone());
                tx.put_access_key(&key)?;
            }
            Ok(Answer::Done)
        })
        .await
}

/// Gives an entity another name or path.
pub(super) fn rename(
    tx: &mut Tx<'_>,
    record: &mut IamRecord,
    name: Option<String>,
    path: Option<String>,
) -> Result<(), Refused> {
    if let Some(name) = name {
        record.name = name;
    }
    if let Some(path) = path {
        record.path = path;
    }
    match tx.update_iam_entity(record) {
        Err(StoreError::Exists(_)) => Err(exists(record.kind, &record.name).into()),
        result => Ok(result?),
    }
}

/// Refuses to delete what still has something.
pub(super) fn conflict(what: &str) -> Refused {
    IamError::new(IamCode::DeleteConflict, format!("Cannot delete entity, must {what} first.")).into()
}

/// Refuses to delete who has policies.
pub(super) fn check_bare(view: &View<'_>, record: &IamRecord) -> Result<(), Refused> {
    if !view.iam_links_of(IamLink::Policy, &record.id)?.is_empty() {
        return Err(conflict("detach all policies"));
    }
    if !Identity::parse(record)?.inline.is_empty() {
        return Err(conflict("delete policies"));
    }
    Ok(())
}

pub(super) async fn delete<R: Runners>(inner: &Inner<R>, name: String) -> Result<Answer, IamError> {
    let home = inner.config.home.clone();
    inner
        .change(move |tx| {
            let record = find::entity(tx, IamKind::User, &name)?;
            if !tx.access_keys_of(&find::arn(&home, &record))?.is_empty() {
                return Err(conflict("delete access keys"));
            }
            if !tx.service_credentials(Some(&record.id))?.is_empty() {
                return Err(conflict("delete service specific credentials"));
            }
            if !tx.iam_links_of(IamLink::Group, &record.id)?.is_empty() {
                return Err(conflict("remove users from group"));
            }
            check_bare(tx, &record)?;
            tx.delete_iam_entity(&record.id)?;
            Ok(Answer::Done)
        })
        .await
}
