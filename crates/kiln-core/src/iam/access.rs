//! Who may do what: the policies of a caller, and the decision with them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use kiln_iam::policy::{self, Kind, Policies, Policy, Principal, Reason, ResourceRule, evaluate};
use kiln_model::{ApiError, service::Caller};
use kiln_store::{
    StoreError, View,
    metadata::{IamKind, IamLink, IamRecord},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    document::{Identity, Managed},
    find, managed, tags,
};
use crate::{
    core::{Core, Inner},
    records::refuse,
    runners::Runners,
};

/// The value of a condition key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    /// E.g. `aws:SourceIp`.
    pub name: String,
    /// One, or several for keys that may have several.
    pub values: Vec<String>,
    /// Whether the key may have several.
    pub is_list: bool,
}

impl KeyValue {
    /// A key that has one value.
    #[must_use]
    pub fn one(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), values: vec![value.into()], is_list: false }
    }

    /// A key that may have several.
    #[must_use]
    pub fn many(name: impl Into<String>, values: Vec<String>) -> Self {
        Self { name: name.into(), values, is_list: true }
    }
}

/// What somebody wants to do.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// E.g. `codebuild:StartBuild`.
    pub action: &'a str,
    /// ARN of what it is done to; `None` for nothing in particular.
    pub resource: Option<&'a str>,
    /// The account that the resource is of.
    pub account: &'a str,
    /// Condition keys that the request brings along.
    pub keys: &'a [KeyValue],
    /// The policy of the resource.
    pub resource_policy: Option<(Kind, &'a str)>,
    /// What it means within the account.
    pub rule: ResourceRule,
    /// Whom the policy means by its ARNs, by their ids; `None`: whoever has them.
    pub bound: Option<&'a BTreeMap<String, String>>,
}

/// Policies that were read before, by kind and text: reading one takes longer than asking it.
#[derive(Debug, Default)]
pub(crate) struct Parsed(Mutex<HashMap<(Kind, String), Arc<Policy>>>);

/// Policies that are kept read.
const KEPT: usize = 2_000;

impl Parsed {
    pub(super) fn policy(&self, kind: Kind, text: &str) -> Result<Arc<Policy>, StoreError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (kind, text.to_owned());
        if let Some(policy) = known.get(&key) {
            return Ok(Arc::clone(policy));
        }
        // It was checked when it was written: what cannot be read now denies everything.
        let policy = Policy::parse(kind, text)
            .map_err(|error| StoreError::Invalid(format!("a stored policy cannot be read: {error}")))?;
        if known.len() >= KEPT {
            known.clear();
        }
        let policy = Arc::new(policy);
        known.insert(key, Arc::clone(&policy));
        Ok(policy)
    }
}

/// What a caller has.
struct Rights {
    principal: Principal,
    identity: Vec<Arc<Policy>>,
    boundary: Option<Arc<Policy>>,
    session: Option<Vec<Arc<Policy>>>,
    /// `aws:PrincipalTag/…`
    tags: Vec<kiln_model::iam::Tag>,
    is_user: bool,
}

impl<R: Runners> Inner<R> {
    /// The text of a managed policy, AWS's or the account's.
    fn managed(&self, view: &View<'_>, arn: &str) -> Result<Arc<Policy>, StoreError> {
        if let Some(policy) = managed::by_arn(arn) {
            return self.policies.policy(Kind::Managed, policy.document);
        }
        let record = find::by_arn(view, &self.config.home, IamKind::Policy, arn)?;
        let document = record.as_ref().map(Managed::parse).transpose()?;
        match document.as_ref().and_then(Managed::text) {
            Some(text) => self.policies.policy(Kind::Managed, text),
            None => Err(StoreError::Invalid(format!("the policy {arn}, which is attached, is not there"))),
        }
    }

    /// Adds the policies that a user, group or role has by itself.
    fn collect(
        &self,
        view: &View<'_>,
        record: &IamRecord,
        document: &Identity,
        all: &mut Vec<Arc<Policy>>,
    ) -> Result<(), StoreError> {
        let kind = match record.kind {
            IamKind::Group => Kind::GroupInline,
            IamKind::Role => Kind::RoleInline,
            IamKind::User | IamKind::Policy => Kind::UserInline,
        };
        for text in document.inline.values() {
            all.push(self.policies.policy(kind, text)?);
        }
        for arn in view.iam_links_of(IamLink::Policy, &record.id)? {
            all.push(self.managed(view, &arn)?);
        }
        Ok(())
    }

    fn rights(&self, view: &View<'_>, caller: Option<&Caller>) -> Result<Rights, StoreError> {
        let nothing = |principal| Rights {
            principal,
            identity: Vec::new(),
            boundary: None,
            session: None,
            tags: Vec::new(),
            is_user: false,
        };
        let Some(caller) = caller else { return Ok(nothing(Principal::Anonymous)) };
        let account = caller.account.clone();
        if caller.arn.ends_with(&format!(":iam::{account}:root")) {
            return Ok(nothing(Principal::Root { account }));
        }
        // By id: another one with the same name is another one.
        let id = caller.user_id.split(':').next().unwrap_or_default();
        let record = view.iam_entity_by_id(id)?;
        let arn = caller.arn.clone();
        let principal = match &record {
            Some(role) if role.kind == IamKind::Role => {
                Principal::Session { account, arn, role: find::arn(&self.config.home, role) }
            }
            Some(_) => Principal::User { account, arn },
            // The role or user is gone: its sessions are still somebody, without rights.
            None => Principal::User { account, arn },
        };
        let mut rights = nothing(principal);
        if let Some(session) = &caller.session {
            let read = |text: &String| self.policies.policy(Kind::RoleInline, text);
            rights.session = session.policies.as_ref().map(|all| all.iter().map(read).collect()).transpose()?;
        }
        let Some(record) = record else { return Ok(rights) };
        let document = Identity::parse(&record)?;
        self.collect(view, &record, &document, &mut rights.identity)?;
        for group in view.iam_links_of(IamLink::Group, &record.id)? {
            if let Some(group) = view.iam_entity_by_id(&group)? {
                self.collect(view, &group, &Identity::parse(&group)?, &mut rights.identity)?;
            }
        }
        for arn in view.iam_links_of(IamLink::Boundary, &record.id)? {
            rights.boundary = Some(self.managed(view, &arn)?);
        }
        rights.is_user = record.kind == IamKind::User;
        rights.tags = document.tags;
        Ok(rights)
    }

    /// The keys that every request has, and those that this one brings.
    fn context(&self, caller: Option<&Caller>, rights: &Rights, asked: &Asked<'_>) -> policy::Context {
        let mut context = policy::Context::new();
        for key in asked.keys {
            match key.values.as_slice() {
                [value] if !key.is_list => context.set(&key.name, value),
                values => context.set_many(&key.name, values.iter().map(String::as_str)),
            }
        }
        // Last: nobody else says who somebody is.
        let now = self.now();
        context.set("aws:CurrentTime", text_of(now));
        context.set("aws:EpochTime", (now / 1000).to_string());
        context.set("aws:RequestedRegion", self.config.home.region.clone());
        let Some(caller) = caller else {
            context.set("aws:PrincipalType", "Anonymous");
            return context;
        };
        context.set("aws:PrincipalAccount", caller.account.clone());
        context.set("aws:userid", caller.user_id.clone());
        let (arn, kind) = match &rights.principal {
            Principal::Session { role, .. } => (role.clone(), "AssumedRole"),
            Principal::Root { .. } => (caller.arn.clone(), "Account"),
            _ => (caller.arn.clone(), "User"),
        };
        context.set("aws:PrincipalArn", arn);
        context.set("aws:PrincipalType", kind);
        if rights.is_user {
            context.set("aws:username", caller.name.clone());
        }
        if let Some(session) = &caller.session {
            context.set("aws:TokenIssueTime", text_of(session.issued.millis()));
            if let Some(build) = &session.build {
                let home = &self.config.home;
                context.set("codebuild:buildArn", home.build_arn(build));
                context.set("codebuild:projectArn", home.project_arn(build.project()));
            }
        }
        for tag in &rights.tags {
            context.set(&format!("aws:PrincipalTag/{}", tag.key), tag.value.clone());
        }
        context
    }

    /// Lets the caller do it, or says why not.
    pub(crate) fn decide(&self, caller: Option<&Caller>, asked: &Asked<'_>) -> Result<(), ApiError> {
        let given = asked.resource_policy.map(|(kind, text)| self.policies.policy(kind, text)).transpose();
        // A policy that cannot be read could have denied anything.
        let given = given.map_err(|error| {
            ApiError::access_denied(format!(
                "the policy of the resource cannot be read, so nobody may use it; the account's root may put another: {error}"
            ))
        })?;
        let decided = self.metadata.read(|view| {
            let rights = self.rights(view, caller)?;
            let mut context = self.context(caller, &rights, asked);
            let found = self.resource(view, asked.resource.unwrap_or("*"))?;
            for tag in &found.tags {
                context.set(&format!("aws:ResourceTag/{}", tag.0), tag.1.clone());
            }
            let stored = found.policy.map(|text| self.policies.policy(Kind::Project, &text)).transpose()?;
            let is_meant = |arn: &str| match (asked.bound, caller) {
                (Some(bound), Some(caller)) => {
                    let id = caller.user_id.split(':').next();
                    bound.get(arn).is_none_or(|meant| Some(meant.as_str()) == id)
                }
                _ => true,
            };
            let resource_policy = match given.clone().or(stored) {
                Some(policy) if asked.bound.is_some() => Some(Arc::new(policy.naming_only(is_meant))),
                other => other,
            };
            let identity: Vec<&Policy> = rights.identity.iter().map(AsRef::as_ref).collect();
            let session: Option<Vec<&Policy>> =
                rights.session.as_ref().map(|all| all.iter().map(AsRef::as_ref).collect());
            let decision = evaluate(
                &policy::Request {
                    principal: &rights.principal,
                    action: asked.action,
                    resource: &found.arn,
                    account: asked.account,
                    context: &context,
                },
                &Policies {
                    identity: &identity,
                    boundary: rights.boundary.as_deref(),
                    session: session.as_deref(),
                    resource: resource_policy.as_deref(),
                    rule: asked.rule,
                },
            );
            Ok((decision, found.arn))
        });
        let (decision, arn) = decided.map_err(|error| refuse(&error))?;
        if decision.is_allowed() {
            return Ok(());
        }
        if decision.reason == Reason::Unreadable {
            tracing::error!(action = asked.action, resource = arn, "a permission was asked for in a form that is none");
        }
        match caller {
            Some(caller) => Err(ApiError::access_denied(decision.denial(&caller.arn, asked.action, Some(&arn)))),
            None => Err(ApiError::access_denied("Access Denied")),
        }
    }

    /// A resource as policies name it, with what is stored of it.
    fn resource(&self, view: &View<'_>, text: &str) -> Result<Resource, StoreError> {
        let home = &self.config.home;
        let mut found = Resource { arn: text.to_owned(), tags: Vec::new(), policy: None };
        if let Some(project) = home.local("project", text) {
            found.policy = view.resource_policy(text)?;
            found.tags = crate::service::projects::tags(view, project)?;
            return Ok(found);
        }
        for kind in [IamKind::User, IamKind::Group, IamKind::Role, IamKind::Policy] {
            let head = format!("arn:{}:iam::{}:{}/", home.partition(), home.account, kind.name());
            let Some(name) = text.strip_prefix(&head) else { continue };
            let name = name.rsplit('/').next().unwrap_or_default();
            // Callers say names; what they mean has a path as well.
            if let Some(record) = view.iam_entity(kind, name)? {
                found.arn = find::arn(home, &record);
                found.tags = tags::of(&record)?.into_iter().map(|tag| (tag.key, tag.value)).collect();
            }
        }
        Ok(found)
    }
}

/// What is known of a resource.
struct Resource {
    arn: String,
    tags: Vec<(String, String)>,
    policy: Option<String>,
}

fn text_of(ms: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Rfc3339).unwrap_or_default()
}

impl<R: Runners> Core<R> {
    /// Lets the caller do what is asked, or says why not; `None` is nobody: the request is not signed.
    ///
    /// # Errors
    /// `AccessDeniedException`, in AWS's words; a failure of the store, which denies as well.
    pub fn authorise(&self, caller: Option<&Caller>, asked: &Asked<'_>) -> Result<(), ApiError> {
        self.inner.decide(caller, asked)
    }
}
