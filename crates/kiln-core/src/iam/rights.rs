//! What a caller has: the policies of a user and its groups, or of a role; its boundary; the policies of its session.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use kiln_iam::policy::{Kind, Policy, Principal};
use kiln_model::{ApiError, iam::Tag, service::Caller};
use kiln_store::{
    StoreError, View,
    metadata::{IamKind, IamLink, IamRecord},
};

use super::{
    document::{Identity, Managed},
    find, managed,
};
use crate::{core::Inner, records::refuse, runners::Runners};

/// A policy, and what it is called: the ARN of a managed one, the name of an inline one.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) name: Arc<str>,
    pub(super) policy: Arc<Policy>,
    /// As it was written.
    pub(super) text: Arc<str>,
}

/// What a user or role has, however many requests ask for it.
#[derive(Debug, Default)]
pub(super) struct Granted {
    /// The kind of the entity; `None`: it is gone.
    pub(super) kind: Option<IamKind>,
    /// Its ARN.
    pub(super) arn: String,
    pub(super) identity: Vec<Named>,
    pub(super) boundary: Option<Named>,
    /// `aws:PrincipalTag/…`
    pub(super) tags: Vec<Tag>,
}

/// What a caller has.
pub(super) struct Rights {
    pub(super) principal: Principal,
    pub(super) granted: Arc<Granted>,
    pub(super) session: Option<Vec<Arc<Policy>>>,
}

/// Policies and rights that were read before: reading them takes longer than asking them.
#[derive(Debug, Default)]
pub(crate) struct Known {
    policies: Mutex<HashMap<Kind, HashMap<String, Arc<Policy>>>>,
    granted: Mutex<Grants>,
}

/// By the ids of users and roles, for as long as nothing of IAM changes.
#[derive(Debug, Default)]
struct Grants {
    generation: u64,
    by_id: HashMap<String, Arc<Granted>>,
}

/// Policies of a kind that are kept read.
const POLICIES: usize = 2_000;
/// Users and roles whose rights are kept.
const CALLERS: usize = 1_000;

impl Known {
    /// A policy from its text.
    pub(super) fn policy(&self, kind: Kind, text: &str) -> Result<Arc<Policy>, StoreError> {
        let mut known = self.policies.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.entry(kind).or_default();
        if let Some(policy) = known.get(text) {
            return Ok(Arc::clone(policy));
        }
        // It was checked when it was written: what cannot be read now denies everything.
        let policy = Policy::parse(kind, text)
            .map_err(|error| StoreError::Invalid(format!("a stored policy cannot be read: {error}")))?;
        if known.len() >= POLICIES {
            known.clear();
        }
        let policy = Arc::new(policy);
        known.insert(text.to_owned(), Arc::clone(&policy));
        Ok(policy)
    }

    fn granted(&self, generation: u64, id: &str) -> Option<Arc<Granted>> {
        let known = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        if known.generation == generation { known.by_id.get(id).cloned() } else { None }
    }

    /// Keeps what was read after `generation` was taken.
    fn keep(&self, generation: u64, id: &str, granted: &Arc<Granted>) {
        let mut known = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        if known.generation < generation || known.by_id.len() >= CALLERS {
            *known = Grants { generation, by_id: HashMap::new() };
        }
        // What somebody else has read meanwhile may be newer.
        if known.generation == generation {
            known.by_id.insert(id.to_owned(), Arc::clone(granted));
        }
    }
}

/// The id of the user or role behind a caller: another one with the same name is another one.
pub(crate) fn entity_id(caller: &Caller) -> &str {
    caller.user_id.split(':').next().unwrap_or_default()
}

impl<R: Runners> Inner<R> {
    /// A managed policy, AWS's or the account's.
    pub(super) fn managed(&self, view: &View<'_>, arn: &str) -> Result<Named, StoreError> {
        let name = Arc::from(arn);
        if let Some(policy) = managed::by_arn(arn) {
            let text = Arc::from(policy.document);
            return Ok(Named { name, policy: self.known.policy(Kind::Managed, policy.document)?, text });
        }
        let record = find::by_arn(view, &self.config.home, IamKind::Policy, arn)?;
        let document = record.as_ref().map(Managed::parse).transpose()?;
        match document.as_ref().and_then(Managed::text) {
            Some(text) => Ok(Named { name, policy: self.known.policy(Kind::Managed, text)?, text: Arc::from(text) }),
            None => Err(StoreError::Invalid(format!("the policy {arn}, which is attached, is not there"))),
        }
    }

    /// Adds the policies that a user, group or role has by itself.
    fn collect(
        &self,
        view: &View<'_>,
        record: &IamRecord,
        document: &Identity,
        all: &mut Vec<Named>,
    ) -> Result<(), StoreError> {
        let kind = match record.kind {
            IamKind::Group => Kind::GroupInline,
            IamKind::Role => Kind::RoleInline,
            IamKind::User | IamKind::Policy => Kind::UserInline,
        };
        for (name, text) in &document.inline {
            let policy = self.known.policy(kind, text)?;
            all.push(Named { name: Arc::from(name.as_str()), policy, text: Arc::from(text.as_str()) });
        }
        for arn in view.iam_links_of(IamLink::Policy, &record.id)? {
            all.push(self.managed(view, &arn)?);
        }
        Ok(())
    }

    /// What the user or role with that id has, as it is stored.
    pub(super) fn read_granted(&self, view: &View<'_>, id: &str) -> Result<Granted, StoreError> {
        let Some(record) = view.iam_entity_by_id(id)? else { return Ok(Granted::default()) };
        let document = Identity::parse(&record)?;
        let mut identity = Vec::new();
        self.collect(view, &record, &document, &mut identity)?;
        for group in view.iam_links_of(IamLink::Group, &record.id)? {
            if let Some(group) = view.iam_entity_by_id(&group)? {
                self.collect(view, &group, &Identity::parse(&group)?, &mut identity)?;
            }
        }
        let mut boundary = None;
        for arn in view.iam_links_of(IamLink::Boundary, &record.id)? {
            boundary = Some(self.managed(view, &arn)?);
        }
        Ok(Granted {
            kind: Some(record.kind),
            arn: find::arn(&self.config.home, &record),
            identity,
            boundary,
            tags: document.tags,
        })
    }

    /// The same; `generation` was taken before `view` was.
    pub(super) fn granted(&self, view: &View<'_>, generation: u64, id: &str) -> Result<Arc<Granted>, StoreError> {
        if let Some(known) = self.known.granted(generation, id) {
            return Ok(known);
        }
        let granted = Arc::new(self.read_granted(view, id)?);
        self.known.keep(generation, id, &granted);
        Ok(granted)
    }

    /// The id of the user or role of the account that an ARN names; `None`: there is none, or it is another thing's.
    pub(crate) fn identity_id(&self, arn: &str) -> Result<Option<String>, ApiError> {
        let kind = match arn.splitn(6, ':').nth(5).and_then(|local| local.split('/').next()) {
            Some("user") => IamKind::User,
            Some("role") => IamKind::Role,
            _ => return Ok(None),
        };
        let found = self.metadata.read(|view| find::by_arn(view, &self.config.home, kind, arn));
        Ok(found.map_err(|error| refuse(&error))?.map(|record| record.id))
    }

    /// Whether a caller is a session of the role with that ARN.
    pub(crate) fn is_of_role(&self, caller: &Caller, arn: &str) -> bool {
        self.identity_id(arn).ok().flatten().is_some_and(|id| id == entity_id(caller))
    }

    /// What a caller has; `None` is nobody.
    pub(super) fn rights(
        &self,
        view: &View<'_>,
        generation: u64,
        caller: Option<&Caller>,
    ) -> Result<Rights, StoreError> {
        let nothing = |principal| Rights { principal, granted: Arc::default(), session: None };
        let Some(caller) = caller else { return Ok(nothing(Principal::Anonymous)) };
        let account = caller.account.clone();
        if caller.arn.ends_with(&format!(":iam::{account}:root")) {
            return Ok(nothing(Principal::Root { account }));
        }
        let granted = self.granted(view, generation, entity_id(caller))?;
        let arn = caller.arn.clone();
        let principal = match granted.kind {
            Some(IamKind::Role) => Principal::Session { account, arn, role: granted.arn.clone() },
            // Also of a role or user that is gone: its sessions are still somebody, without rights.
            _ => Principal::User { account, arn },
        };
        let policies = caller.session.as_ref().and_then(|session| session.policies.as_ref());
        let read = |text: &String| self.known.policy(Kind::RoleInline, text);
        let session = policies.map(|all| all.iter().map(read).collect()).transpose()?;
        Ok(Rights { principal, granted, session })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_a_change_is_not_kept_behind_it() {
        let known = Known::default();
        let granted = Arc::new(Granted { arn: "old".to_owned(), ..Granted::default() });
        known.keep(1, "a", &granted);
        assert!(known.granted(1, "a").is_some());
        assert!(known.granted(2, "a").is_none(), "something changed");
        known.keep(2, "b", &granted);
        known.keep(1, "a", &granted);
        assert!(known.granted(2, "a").is_none(), "read before the change, kept after it");
        assert!(known.granted(2, "b").is_some());
    }
}
