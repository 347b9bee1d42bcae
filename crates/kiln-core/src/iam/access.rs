//! Who may do what: the policies of a caller, and the decision with them.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, LazyLock},
};

use kiln_iam::policy::{
    self, Decision, Kind, Layer, Policies, Policy, Principal, Reason, ResourceRule, evaluate, table::table,
};
use kiln_model::{
    ApiError,
    audit::{Ruling, Rulings},
    service::{Caller, Context},
};
use kiln_store::{StoreError, View, metadata::IamKind};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    find,
    rights::{Rights, entity_id},
    tags,
};
use crate::{
    codecommit,
    core::{Core, Inner},
    ecr, events, logs, objects,
    records::refuse,
    runners::Runners,
    secretsmanager, ssm,
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

    /// Keys of pairs of names and values, of which one of several values stands several times.
    pub fn grouped<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Self> {
        let mut all = BTreeMap::<&str, Vec<String>>::new();
        for (name, value) in pairs {
            all.entry(name).or_default().push(value.to_owned());
        }
        let is_list = |name: &str| table().type_of(name).is_some_and(|kind| kind.starts_with("Array"));
        all.into_iter()
            .map(|(name, values)| match values.len() {
                // Of a key that has one value nobody knows which of two is meant: as a list it allows nothing.
                1 if !is_list(name) => Self { name: name.to_owned(), values, is_list: false },
                _ => Self::many(name, values),
            })
            .collect()
    }
}

/// The condition keys of a request's connection and head.
pub(crate) fn surroundings(context: &Context) -> impl Iterator<Item = KeyValue> {
    context.surroundings.iter().map(|(name, value)| KeyValue::one(*name, value.clone()))
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
    /// The id of a grant that stands in for what the caller's policies and the resource's do not allow. What denies, a
    /// boundary and the policies of a session count all the same.
    pub stands_in: Option<&'a str>,
}

/// What was decided.
pub(crate) struct Decided {
    pub(crate) decision: Decision,
    ruling: Ruling,
    /// What the caller is told who may not.
    denial: String,
}

impl Decided {
    /// Keeps it for the audit log, and refuses who may not.
    pub(crate) fn settle(self, rulings: &Rulings) -> Result<(), ApiError> {
        rulings.add(self.ruling);
        if self.decision.is_allowed() { Ok(()) } else { Err(ApiError::access_denied(self.denial)) }
    }
}

/// What the names of condition keys begin with that say which tags an object has.
const EXISTING: &str = "s3:ExistingObjectTag/";

/// What a grant stands for.
const EVERYTHING: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;

impl<R: Runners> Inner<R> {
    /// The keys that every request has, and those that this one brings: nobody else says who somebody is.
    fn context(&self, caller: Option<&Caller>, rights: &Rights, asked: &Asked<'_>) -> policy::Context {
        let mut context = policy::Context::new();
        for key in asked.keys {
            match key.values.as_slice() {
                [value] if !key.is_list => context.set(&key.name, value),
                values => context.set_many(&key.name, values.iter().map(String::as_str)),
            }
        }
        self.general_keys(&mut context);
        match caller {
            Some(caller) => self.caller_keys(&mut context, caller, rights),
            None => context.set("aws:PrincipalType", "Anonymous"),
        }
        context
    }

    /// The keys of time and place.
    pub(super) fn general_keys(&self, context: &mut policy::Context) {
        let now = self.now();
        context.set("aws:CurrentTime", text_of(now));
        context.set("aws:EpochTime", (now / 1000).to_string());
        context.set("aws:RequestedRegion", self.config.home.region.clone());
    }

    /// The keys that say who the caller is.
    pub(super) fn caller_keys(&self, context: &mut policy::Context, caller: &Caller, rights: &Rights) {
        context.set("aws:PrincipalAccount", caller.account.clone());
        context.set("aws:userid", caller.user_id.clone());
        let (arn, kind) = match &rights.principal {
            Principal::Session { role, .. } => (role.clone(), "AssumedRole"),
            Principal::Root { .. } => (caller.arn.clone(), "Account"),
            _ => (caller.arn.clone(), "User"),
        };
        context.set("aws:PrincipalArn", arn);
        context.set("aws:PrincipalType", kind);
        if rights.granted.kind == Some(IamKind::User) {
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
        for tag in &rights.granted.tags {
            context.set(&format!("aws:PrincipalTag/{}", tag.key), tag.value.clone());
        }
    }

    /// Lets the caller do it, or says why not. What was decided is added to `rulings`.
    pub(crate) fn decide(&self, caller: Option<&Caller>, asked: &Asked<'_>, rulings: &Rulings) -> Result<(), ApiError> {
        let failed = |_: &ApiError| rulings.add(ruling(asked, asked.resource, false, "failed"));
        self.decision(caller, asked).inspect_err(failed)?.settle(rulings)
    }

    /// Decides. An error: nothing could be decided, which denies as well.
    pub(crate) fn decision(&self, caller: Option<&Caller>, asked: &Asked<'_>) -> Result<Decided, ApiError> {
        let (decision, arn, policy) = self.weighed(caller, asked, |request, policies, rights| {
            let decision = evaluate(request, policies);
            let cited = decision.statement.as_ref().and_then(|cited| policy_name(rights, cited.layer, cited.policy));
            (decision, request.resource.to_owned(), cited)
        })?;
        let mut ruling = ruling(asked, Some(&arn), decision.is_allowed(), reason_of(&decision));
        ruling.policy_type = layer_of(&decision).map(|layer| layer.name().to_owned());
        ruling.policy = policy;
        ruling.statement = decision
            .statement
            .as_ref()
            .map(|cited| cited.sid.clone().unwrap_or_else(|| (cited.statement + 1).to_string()));
        if let Some(grant) = asked.stands_in.filter(|_| decision.is_allowed()) {
            (ruling.policy_type, ruling.policy, ruling.statement) =
                (Some("grant".to_owned()), Some(grant.to_owned()), None);
        }
        if decision.reason == Reason::Unreadable {
            tracing::error!(action = asked.action, resource = arn, "a permission was asked for in a form that is none");
        }
        let denial = match caller {
            Some(caller) => decision.denial(&caller.arn, asked.action, Some(&arn)),
            None => "Access Denied".to_owned(),
        };
        Ok(Decided { decision, ruling, denial })
    }

    /// Brings together everything that a decision depends on: what is asked for, and the policies that count.
    pub(super) fn weighed<T>(
        &self,
        caller: Option<&Caller>,
        asked: &Asked<'_>,
        weigh: impl FnOnce(&policy::Request<'_>, &Policies<'_>, &Rights) -> T,
    ) -> Result<T, ApiError> {
        let given = asked.resource_policy.map(|(kind, text)| self.known.policy(kind, text)).transpose();
        // A policy that cannot be read could have denied anything.
        let given = given.map_err(|error| {
            ApiError::access_denied(format!(
                "the policy of the resource cannot be read, so nobody may use it; the account's root may put another: {error}"
            ))
        })?;
        // Before the snapshot is taken, so that it is not newer than that.
        let generation = self.metadata.identities();
        let weighed = self.metadata.read(|view| {
            let rights = self.rights(view, generation, caller)?;
            let mut context = self.context(caller, &rights, asked);
            let found = self.resource(view, asked.resource.unwrap_or("*"))?;
            for tag in &found.tags {
                context.set(&format!("aws:ResourceTag/{}", tag.0), tag.1.clone());
                if let Some(own) = found.own_tags {
                    context.set(&format!("{own}/{}", tag.0), tag.1.clone());
                }
            }
            for tag in tags_of_object(view, asked)? {
                context.set(&format!("{EXISTING}{}", tag.key), tag.value);
            }
            // Or nobody could repair a secret or repository whose policy denies everybody.
            let is_repair = matches!(rights.principal, Principal::Root { .. })
                && (asked.action.starts_with("secretsmanager:") && asked.action.ends_with("ResourcePolicy")
                    || asked.action.starts_with("ecr:") && asked.action.ends_with("RepositoryPolicy"));
            let stored = found.policy.filter(|_| !is_repair);
            let stored = stored.map(|(kind, text)| self.known.policy(kind, &text)).transpose()?;
            let is_meant = |arn: &str| match (asked.bound, caller) {
                (Some(bound), Some(caller)) => bound.get(arn).is_none_or(|meant| meant == entity_id(caller)),
                _ => true,
            };
            let resource_policy = match given.clone().or(stored) {
                Some(policy) if asked.bound.is_some() => Some(Arc::new(policy.naming_only(is_meant))),
                other => other,
            };
            let everything = asked.stands_in.map(|_| self.known.policy(Kind::Managed, EVERYTHING)).transpose()?;
            let mut identity: Vec<&Policy> =
                rights.granted.identity.iter().map(|named| named.policy.as_ref()).collect();
            identity.extend(everything.as_deref());
            let session: Option<Vec<&Policy>> =
                rights.session.as_ref().map(|all| all.iter().map(AsRef::as_ref).collect());
            let request = policy::Request {
                principal: &rights.principal,
                action: asked.action,
                resource: &found.arn,
                account: asked.account,
                context: &context,
            };
            let policies = Policies {
                identity: &identity,
                boundary: rights.granted.boundary.as_ref().map(|named| named.policy.as_ref()),
                session: session.as_deref(),
                resource: resource_policy.as_deref(),
                rule: if everything.is_some() { ResourceRule::Sufficient } else { asked.rule },
            };
            Ok(weigh(&request, &policies, &rights))
        });
        weighed.map_err(|error| refuse(&error))
    }

    /// A resource as policies name it, with what is stored of it.
    pub(super) fn resource(&self, view: &View<'_>, text: &str) -> Result<Resource, StoreError> {
        let home = &self.config.home;
        let mut found = Resource { arn: text.to_owned(), tags: Vec::new(), own_tags: None, policy: None };
        if let Some(secret) = text.strip_prefix(&home.arn("secretsmanager", "secret:")) {
            return secretsmanager::resource(view, home, secret, found);
        }
        if let Some(parameter) = text.strip_prefix(&home.arn("ssm", "parameter/")) {
            return ssm::resource(view, parameter, found);
        }
        if let Some(repository) = text.strip_prefix(&home.arn("ecr", "repository/")) {
            return ecr::resource(view, repository, found);
        }
        if let Some(rule) = text.strip_prefix(&home.arn("events", "rule/")) {
            return events::resource(view, rule, found);
        }
        if let Some(repository) = text.strip_prefix(&home.arn("codecommit", "")) {
            return codecommit::resource(view, repository, found);
        }
        if let Some(group) = text.strip_prefix(&home.arn("logs", "log-group:")) {
            return logs::resource(view, group, found);
        }
        if let Some(project) = home.local("project", text) {
            found.policy = view.resource_policy(text)?.map(|policy| (Kind::Project, policy));
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

/// The tags that an object has, for the actions whose conditions may look at them.
fn tags_of_object(view: &View<'_>, asked: &Asked<'_>) -> Result<Vec<kiln_model::s3::Tag>, StoreError> {
    static ACTIONS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
        let permissions = table().operations().flat_map(|(_, _, operation)| &operation.permissions);
        let looks = permissions.filter(|permission| permission.keys.iter().any(|key| key.starts_with(EXISTING)));
        looks.map(|permission| permission.action).collect()
    });
    let object = asked.resource.and_then(|arn| arn.splitn(6, ':').nth(5)?.split_once('/'));
    let Some((bucket, key)) = object.filter(|_| ACTIONS.contains(asked.action)) else { return Ok(Vec::new()) };
    let version = asked.keys.iter().find(|key| key.name == "s3:VersionId").and_then(|key| key.values.first());
    objects::existing_tags(view, bucket, key, version.map(String::as_str))
}

fn ruling(asked: &Asked<'_>, resource: Option<&str>, allowed: bool, reason: &str) -> Ruling {
    Ruling {
        action: asked.action.to_owned(),
        resource: resource.filter(|arn| *arn != "*").map(str::to_owned),
        allowed,
        reason: reason.to_owned(),
        ..Ruling::default()
    }
}

fn reason_of(decision: &Decision) -> &'static str {
    match decision.reason {
        Reason::Allowed => "allowed",
        Reason::Root => "root",
        Reason::Denied(_) => "explicitDeny",
        Reason::Missing(_) | Reason::Unreadable => "implicitDeny",
    }
}

/// The kind of policy that a decision is about.
fn layer_of(decision: &Decision) -> Option<Layer> {
    match decision.reason {
        Reason::Denied(layer) | Reason::Missing(layer) => Some(layer),
        Reason::Allowed | Reason::Root | Reason::Unreadable => decision.statement.as_ref().map(|cited| cited.layer),
    }
}

/// What a policy of the caller is called; those of sessions and resources have no name.
pub(super) fn policy_name(rights: &Rights, layer: Layer, at: usize) -> Option<String> {
    let named = match layer {
        Layer::Identity => rights.granted.identity.get(at),
        Layer::Boundary => rights.granted.boundary.as_ref(),
        Layer::Resource | Layer::Session | Layer::Trust => None,
    };
    named.map(|named| named.name.to_string())
}

/// What is known of a resource.
pub(crate) struct Resource {
    pub(crate) arn: String,
    pub(crate) tags: Vec<(String, String)>,
    /// The condition key under which the resource's service has its tags too.
    pub(crate) own_tags: Option<&'static str>,
    pub(crate) policy: Option<(Kind, String)>,
}

fn text_of(ms: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(ms.div_euclid(1000)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Rfc3339).unwrap_or_default()
}

impl<R: Runners> Core<R> {
    /// Lets the caller do what is asked, or says why not; `None` is nobody: the request is not signed. What was decided is
    /// added to `rulings`.
    ///
    /// # Errors
    /// `AccessDeniedException`, in AWS's words; a failure of the store, which denies as well.
    pub fn authorise(&self, caller: Option<&Caller>, asked: &Asked<'_>, rulings: &Rulings) -> Result<(), ApiError> {
        self.inner.decide(caller, asked, rulings)
    }
}
