//! Groups of users.

use kiln_model::{
    Timestamp,
    arn::Home,
    iam::{Answer, Group, IamCode, IamError, Page, check_name, check_path},
};
use kiln_store::metadata::{IamKind, IamLink, IamRecord};

use super::{document::Identity, find, paged, users};
use crate::{core::Inner, runners::Runners};

/// Groups of an account, and of a user (AWS's quotas).
const MOST: usize = 300;
const MOST_OF_USER: usize = 10;

fn show(home: &Home, record: &IamRecord) -> Group {
    Group {
        path: record.path.clone(),
        name: record.name.clone(),
        id: record.id.clone(),
        arn: find::arn(home, record),
        created: Timestamp::from_millis(record.created_ms),
    }
}

pub(super) async fn create<R: Runners>(
    inner: &Inner<R>,
    name: String,
    path: Option<String>,
) -> Result<Answer, IamError> {
    check_name("groupName", &name, 128)?;
    path.as_deref().map(check_path).transpose()?;
    let (home, now) = (inner.config.home.clone(), inner.now());
    inner
        .change(move |tx| {
            let group = (IamKind::Group, "AGPA", MOST);
            let record = users::insert(tx, group, name, path, now, &Identity::new(Vec::new()))?;
            Ok(Answer::Group(show(&home, &record)))
        })
        .await
}

pub(super) fn get<R: Runners>(inner: &Inner<R>, name: &str, page: &Page) -> Result<Answer, IamError> {
    let home = &inner.config.home;
    let (group, members) = inner.read(|view| {
        let record = find::entity(view, IamKind::Group, name)?;
        let mut members = Vec::new();
        for id in view.iam_links_to(IamLink::Group, &record.id)? {
            if let Some(user) = view.iam_entity_by_id(&id)? {
                members.push(users::show(view, home, &user)?);
            }
        }
        members.sort_by_key(|user| user.name.to_lowercase());
        Ok((show(home, &record), members))
    })?;
    Ok(Answer::GroupWithUsers(group, paged(members, page, |user| &user.name)?))
}

pub(super) fn list<R: Runners>(inner: &Inner<R>, path_prefix: &str, page: &Page) -> Result<Answer, IamError> {
    let home = &inner.config.home;
    let groups =
        inner.read(|view| Ok(users::below(view, IamKind::Group, path_prefix, |record| Ok(show(home, record)))?))?;
    Ok(Answer::Groups(paged(groups, page, |group| &group.name)?))
}

pub(super) async fn update<R: Runners>(
    inner: &Inner<R>,
    name: String,
    new_name: Option<String>,
    new_path: Option<String>,
) -> Result<Answer, IamError> {
    new_name.as_deref().map(|name| check_name("newGroupName", name, 128)).transpose()?;
    new_path.as_deref().map(check_path).transpose()?;
    inner
        .change(move |tx| {
            let mut record = find::entity(tx, IamKind::Group, &name)?;
            users::rename(tx, &mut record, new_name, new_path)?;
            Ok(Answer::Done)
        })
        .await
}

pub(super) async fn delete<R: Runners>(inner: &Inner<R>, name: String) -> Result<Answer, IamError> {
    inner
        .change(move |tx| {
            let record = find::entity(tx, IamKind::Group, &name)?;
            if !tx.iam_links_to(IamLink::Group, &record.id)?.is_empty() {
                return Err(users::conflict("remove users from group"));
            }
            users::check_bare(tx, &record)?;
            tx.delete_iam_entity(&record.id)?;
            Ok(Answer::Done)
        })
        .await
}

pub(super) async fn add<R: Runners>(inner: &Inner<R>, group: String, user: String) -> Result<Answer, IamError> {
    inner
        .change(move |tx| {
            let group = find::entity(tx, IamKind::Group, &group)?;
            let user = find::entity(tx, IamKind::User, &user)?;
            let groups = tx.iam_links_of(IamLink::Group, &user.id)?;
            if groups.len() >= MOST_OF_USER && !groups.contains(&group.id) {
                let message = format!("Cannot exceed quota for GroupsPerUser: {MOST_OF_USER}");
                return Err(IamError::new(IamCode::LimitExceeded, message).into());
            }
            tx.put_iam_link(IamLink::Group, &user.id, &group.id)?;
            Ok(Answer::Done)
        })
        .await
}

pub(super) async fn remove<R: Runners>(inner: &Inner<R>, group: String, user: String) -> Result<Answer, IamError> {
    inner
        .change(move |tx| {
            let group = find::entity(tx, IamKind::Group, &group)?;
            let user = find::entity(tx, IamKind::User, &user)?;
            if !tx.delete_iam_link(IamLink::Group, &user.id, &group.id)? {
                let message = format!("User {} is not in group {}.", user.name, group.name);
                return Err(IamError::new(IamCode::NoSuchEntity, message).into());
            }
            Ok(Answer::Done)
        })
        .await
}

pub(super) fn of_user<R: Runners>(inner: &Inner<R>, user: &str, page: &Page) -> Result<Answer, IamError> {
    let home = &inner.config.home;
    let mut groups = inner.read(|view| {
        let user = find::entity(view, IamKind::User, user)?;
        let mut groups = Vec::new();
        for id in view.iam_links_of(IamLink::Group, &user.id)? {
            groups.extend(view.iam_entity_by_id(&id)?.map(|group| show(home, &group)));
        }
        Ok(groups)
    })?;
    groups.sort_by_key(|group| group.name.to_lowercase());
    Ok(Answer::Groups(paged(groups, page, |group| &group.name)?))
}
