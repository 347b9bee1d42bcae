//! Tags of users, roles and managed policies.

use kiln_model::{
    arn::Home,
    iam::{Answer, IamError, Page, Tag, Tagged, check_tags},
};
use kiln_store::{
    StoreError, View,
    metadata::{IamKind, IamRecord},
};

use super::{
    Refused,
    document::{self, Identity, Managed},
    find, paged,
};
use crate::{core::Inner, runners::Runners};

fn find_tagged(view: &View<'_>, home: &Home, what: &Tagged) -> Result<IamRecord, Refused> {
    match what {
        Tagged::User(name) => find::entity(view, IamKind::User, name),
        Tagged::Role(name) => find::entity(view, IamKind::Role, name),
        Tagged::Policy(arn) => find::policy(view, home, arn),
    }
}

/// The tags of a record.
pub(super) fn of(record: &IamRecord) -> Result<Vec<Tag>, StoreError> {
    match record.kind {
        IamKind::Policy => Ok(Managed::parse(record)?.tags),
        _ => Ok(Identity::parse(record)?.tags),
    }
}

async fn edit<R: Runners>(
    inner: &Inner<R>,
    what: Tagged,
    change: impl FnOnce(&mut Vec<Tag>) -> Result<(), IamError> + Send + 'static,
) -> Result<Answer, IamError> {
    let home = inner.config.home.clone();
    inner
        .change(move |tx| {
            let mut record = find_tagged(tx, &home, &what)?;
            if record.kind == IamKind::Policy {
                let mut document = Managed::parse(&record)?;
                change(&mut document.tags)?;
                document::fill(&mut record, &document)?;
            } else {
                let mut document = Identity::parse(&record)?;
                change(&mut document.tags)?;
                document::fill(&mut record, &document)?;
            }
            tx.update_iam_entity(&record)?;
            Ok(Answer::Done)
        })
        .await
}

fn is_same(tag: &Tag, key: &str) -> bool {
    tag.key.to_lowercase() == key.to_lowercase()
}

pub(super) async fn add<R: Runners>(inner: &Inner<R>, what: Tagged, tags: Vec<Tag>) -> Result<Answer, IamError> {
    check_tags(&tags)?;
    edit(inner, what, move |all| {
        all.retain(|tag| !tags.iter().any(|new| is_same(tag, &new.key)));
        all.extend(tags);
        check_tags(all)
    })
    .await
}

pub(super) async fn remove<R: Runners>(inner: &Inner<R>, what: Tagged, keys: Vec<String>) -> Result<Answer, IamError> {
    edit(inner, what, move |all| {
        all.retain(|tag| !keys.iter().any(|key| is_same(tag, key)));
        Ok(())
    })
    .await
}

pub(super) fn list<R: Runners>(inner: &Inner<R>, what: &Tagged, page: &Page) -> Result<Answer, IamError> {
    let home = &inner.config.home;
    let mut tags = inner.read(|view| Ok(of(&find_tagged(view, home, what)?)?))?;
    tags.sort_by_key(|tag| tag.key.to_lowercase());
    Ok(Answer::Tags(paged(tags, page, |tag| &tag.key)?))
}
