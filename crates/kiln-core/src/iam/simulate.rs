//! What would be decided, as IAM's policy simulator says it (`SimulatePrincipalPolicy`, `SimulateCustomPolicy`).

use std::{collections::BTreeSet, sync::Arc};

use kiln_iam::policy::{
    self, Effect, Kind, Layer, Place, Policies, Policy, Principal, Reason, ResourceRule, evaluate, explain, is_arn,
    places,
};
use kiln_model::iam::{
    Answer, ContextEntry, Evaluation, IamCode, IamError, Listed, MatchedStatement, Page, Simulation,
};
use kiln_model::service::Caller;
use kiln_store::metadata::IamKind;

use super::{
    Refused, find,
    rights::{Granted, Named, Rights},
};
use crate::{core::Inner, runners::Runners};

/// Actions times resources of a simulation.
const MOST: usize = 1_000;

/// A policy with its text, for the places of its statements.
struct Source {
    name: String,
    kind: &'static str,
    policy: Arc<Policy>,
    text: Arc<str>,
}

impl Source {
    /// A policy that came with the request.
    fn given(kind: Kind, name: String, shown: &'static str, text: &str) -> Result<Self, IamError> {
        let policy = Policy::parse(kind, text).map_err(|error| invalid(format!("Invalid Input {name}: {error}")))?;
        Ok(Self { name, kind: shown, policy: Arc::new(policy), text: Arc::from(text) })
    }

    /// A policy that somebody has, under the name and the kind by which the simulator calls it.
    fn stored(named: &Named) -> Self {
        let kind = match named.policy.kind() {
            Kind::UserInline => "user",
            Kind::GroupInline => "group",
            Kind::RoleInline => "role",
            _ if named.name.split(':').nth(4) == Some("aws") => "aws-managed",
            _ => "user-managed",
        };
        let name = named.name.rsplit('/').next().unwrap_or_default().to_owned();
        Self { name, kind, policy: Arc::clone(&named.policy), text: Arc::clone(&named.text) }
    }
}

/// What a simulation falls under.
struct Set {
    principal: Principal,
    identity: Vec<Source>,
    boundary: Option<Source>,
    resource: Option<Source>,
    context: policy::Context,
    /// The account of resources whose ARNs do not say one.
    owner: String,
}

fn invalid(message: impl Into<String>) -> IamError {
    IamError::new(IamCode::InvalidInput, message)
}

impl<R: Runners> Inner<R> {
    /// The user, group or role with that ARN: its kind, its id, and what it has.
    fn source(&self, arn: &str) -> Result<(IamKind, String, Granted), IamError> {
        let missing = || {
            let message = format!("{arn} is not the ARN of a user, group or role of this account");
            Refused::from(IamError::new(IamCode::NoSuchEntity, message))
        };
        let kind = match local(arn).split('/').next() {
            Some("user") => IamKind::User,
            Some("group") => IamKind::Group,
            Some("role") => IamKind::Role,
            _ => return Err(missing().into()),
        };
        self.read(|view| {
            let record = find::by_arn(view, &self.config.home, kind, arn)?.ok_or_else(missing)?;
            Ok((kind, record.id.clone(), self.read_granted(view, &record.id)?))
        })
    }

    fn set(&self, simulation: &Simulation) -> Result<Set, IamError> {
        let home = &self.config.home;
        let (mut identity, mut boundary) = (Vec::new(), None);
        let mut caller = simulation.caller.as_deref().map(|arn| self.given_caller(arn)).transpose()?;
        if let Some(arn) = &simulation.source {
            let (kind, id, has) = self.source(arn)?;
            identity.extend(has.identity.iter().map(Source::stored));
            boundary = has.boundary.as_ref().map(Source::stored);
            if caller.is_none() && kind != IamKind::Group {
                caller = Some((self.simulated_caller(arn, &home.account, id), has));
            }
        }
        if simulation.resource_policy.is_some() && caller.is_none() {
            return Err(invalid("CallerArn: a ResourcePolicy needs a user or role that calls"));
        }
        for (text, number) in simulation.policies.iter().zip(1..) {
            // The longest that an identity may have in one text.
            identity.push(Source::given(Kind::RoleInline, format!("PolicyInputList.{number}"), "none", text)?);
        }
        if let Some(text) = &simulation.boundary {
            let name = "PermissionsBoundaryPolicyInputList.1".to_owned();
            boundary = Some(Source::given(Kind::Managed, name, "none", text)?);
        }
        let resource = simulation.resource_policy.as_deref();
        let resource =
            resource.map(|text| Source::given(Kind::Key, "ResourcePolicy".to_owned(), "resource", text)).transpose()?;
        let mut context = policy::Context::new();
        self.general_keys(&mut context);
        let principal = match caller {
            Some((caller, granted)) => {
                let (account, arn) = (caller.account.clone(), caller.arn.clone());
                let principal = match granted.kind {
                    Some(IamKind::Role) => Principal::Session { account, arn, role: granted.arn.clone() },
                    _ => Principal::User { account, arn },
                };
                let rights = Rights { principal, granted: Arc::new(granted), session: None };
                self.caller_keys(&mut context, &caller, &rights);
                rights.principal
            }
            None => {
                let account = home.account.clone();
                Principal::User { arn: format!("arn:{}:iam::{account}:user/simulated", home.partition()), account }
            }
        };
        for ContextEntry { name, values, is_list } in &simulation.context {
            match values.as_slice() {
                [value] if !is_list => context.set(name, value.clone()),
                values => context.set_many(name, values.iter().map(String::as_str)),
            }
        }
        let owner = match &simulation.owner {
            Some(owner) => {
                account_of(owner).or_else(|| Some(owner.as_str()).filter(|text| is_account(text))).ok_or_else(|| {
                    invalid(format!("Invalid Input ResourceOwner {owner} must be an account, or its ARN"))
                })?
            }
            None => principal.account().unwrap_or(&home.account),
        };
        let owner = owner.to_owned();
        Ok(Set { principal, identity, boundary, resource, context, owner })
    }

    /// Who is said to call, a user or role of this account or another, and what is known of them.
    fn given_caller(&self, arn: &str) -> Result<(Caller, Granted), IamError> {
        let kind = match local(arn).split('/').next() {
            Some("user") => Some(IamKind::User),
            Some("role") => Some(IamKind::Role),
            _ => None,
        };
        let Some(account) = account_of(arn).filter(|_| kind.is_some() && arn.contains(":iam:")) else {
            return Err(invalid(format!("Invalid Input CallerArn {arn} must be the ARN of a user or role")));
        };
        let (id, granted) = if account == self.config.home.account {
            let (_, id, granted) = self.source(arn)?;
            (id, granted)
        } else {
            (String::new(), Granted { kind, arn: arn.to_owned(), ..Granted::default() })
        };
        Ok((self.simulated_caller(arn, account, id), granted))
    }
}

/// The part of an ARN that names the resource.
fn local(arn: &str) -> &str {
    arn.splitn(6, ':').nth(5).unwrap_or_default()
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The account that an ARN says, if it says one.
fn account_of(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|text| is_account(text))
}

impl Set {
    fn source(&self, layer: Layer, at: usize) -> Option<&Source> {
        match layer {
            Layer::Identity => self.identity.get(at),
            Layer::Boundary => self.boundary.as_ref(),
            Layer::Resource => self.resource.as_ref(),
            Layer::Session | Layer::Trust => None,
        }
    }

    /// The keys that the policies look at and that nobody has given.
    fn missing(&self) -> Vec<String> {
        let all = self.identity.iter().chain(&self.boundary).chain(&self.resource);
        let keys: BTreeSet<String> = all.flat_map(|source| source.policy.context_keys()).collect();
        keys.into_iter().filter(|key| !self.context.has(key)).collect()
    }

    fn evaluated(&self, action: &str, resource: Option<&str>) -> Result<Evaluation, IamError> {
        let named = resource.unwrap_or("*");
        let request = policy::Request {
            principal: &self.principal,
            action,
            resource: named,
            account: account_of(named).unwrap_or(&self.owner),
            context: &self.context,
        };
        let identity: Vec<&Policy> = self.identity.iter().map(|source| source.policy.as_ref()).collect();
        let resource_policy = self.resource.as_ref().map(|source| source.policy.as_ref());
        let is_keys = resource_policy.is_some() && named.split(':').nth(2) == Some("kms");
        let policies = Policies {
            identity: &identity,
            boundary: self.boundary.as_ref().map(|source| source.policy.as_ref()),
            session: None,
            resource: resource_policy,
            rule: if is_keys { ResourceRule::Key } else { ResourceRule::Sufficient },
        };
        let decision = evaluate(&request, &policies);
        if decision.reason == Reason::Unreadable {
            return Err(invalid(format!(
                "Invalid Input ActionNames: {action} is no action: expected e.g. s3:GetObject"
            )));
        }
        let explained = explain(&request, &policies);
        let applies = explained.iter().filter(|one| one.why_not.is_none());
        let is_denied = matches!(decision.reason, Reason::Denied(_));
        // Those that decide: all that deny, or else all that allow, unless that is not enough.
        let decides = |one: &&policy::Explained| match one.effect {
            Effect::Deny => true,
            Effect::Allow => !is_denied && decision.is_allowed() && one.layer != Layer::Boundary,
        };
        let matched = applies.clone().filter(decides).filter_map(|one| {
            let source = self.source(one.layer, one.policy)?;
            let (start, end) = places(&source.text).get(one.statement).copied()?;
            let at = |place: Place| (place.line, place.column);
            Some(MatchedStatement { policy: source.name.clone(), kind: source.kind, start: at(start), end: at(end) })
        });
        let matched = matched.collect();
        let allowed_by_boundary = self.boundary.is_some().then(|| {
            let mut own = applies.filter(|one| one.layer == Layer::Boundary).map(|one| one.effect).peekable();
            own.peek().is_some() && own.all(|effect| effect == Effect::Allow)
        });
        Ok(Evaluation {
            action: action.to_owned(),
            resource: named.to_owned(),
            is_specific: resource.is_some(),
            decision: decided(decision.reason),
            matched,
            missing: self.missing(),
            allowed_by_boundary,
        })
    }
}

/// `SimulatePrincipalPolicy` and `SimulateCustomPolicy`.
pub(super) fn simulate<R: Runners>(inner: &Inner<R>, simulation: &Simulation, page: &Page) -> Result<Answer, IamError> {
    if let Some(resource) = simulation.resources.iter().find(|resource| *resource != "*" && !is_arn(resource)) {
        let message = format!("Invalid Input Resource {resource} must be in ARN format or \"*\".");
        return Err(invalid(message));
    }
    let resources: Vec<Option<&str>> = match simulation.resources.as_slice() {
        [] => vec![None],
        some => some.iter().map(|resource| Some(resource.as_str())).collect(),
    };
    let count = simulation.actions.len().saturating_mul(resources.len());
    if !(1..=MOST).contains(&count) {
        let constraint = format!("Member must have 1 to {MOST} combinations with resourceArns");
        return Err(IamError::validation("actionNames", &constraint));
    }
    let most = page.max_items.unwrap_or(100);
    if !(1..=1000).contains(&most) {
        return Err(IamError::validation("maxItems", "Member must have value between 1 and 1000"));
    }
    let begin = page.marker.as_deref().map_or(Ok(0), str::parse::<usize>);
    let begin = begin.map_err(|_| invalid("Invalid Marker: expected the one of the page before"))?;
    let set = inner.set(simulation)?;
    let pairs = simulation.actions.iter().flat_map(|action| resources.iter().map(move |resource| (action, *resource)));
    let items = pairs.skip(begin).take(most).map(|(action, resource)| set.evaluated(action, resource));
    let items = items.collect::<Result<Vec<_>, _>>()?;
    let end = begin.saturating_add(items.len());
    Ok(Answer::Evaluations(Listed { items, marker: (end < count).then(|| end.to_string()) }))
}

/// `GetContextKeysForPrincipalPolicy` and `GetContextKeysForCustomPolicy`.
pub(super) fn context_keys<R: Runners>(inner: &Inner<R>, simulation: &Simulation) -> Result<Answer, IamError> {
    let set = inner.set(simulation)?;
    // Those of a boundary are not among them.
    let keys: BTreeSet<String> = set.identity.iter().flat_map(|source| source.policy.context_keys()).collect();
    Ok(Answer::ContextKeys(keys.into_iter().collect()))
}

/// As the simulator says what is decided.
pub(super) fn decided(reason: Reason) -> &'static str {
    match reason {
        Reason::Allowed | Reason::Root => "allowed",
        Reason::Denied(_) => "explicitDeny",
        Reason::Missing(_) | Reason::Unreadable => "implicitDeny",
    }
}
