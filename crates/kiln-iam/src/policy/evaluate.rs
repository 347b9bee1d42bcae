//! The decision (`security.md` 2.1).

use super::{
    action::ActionName,
    context::Context,
    document::Policy,
    principal::{Principal, Standing},
    resource::Target,
    statement::Question,
};

/// What a statement does, and what is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The request may be fulfilled.
    Allow,
    /// It may not.
    Deny,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Who asks.
    pub principal: &'a Principal,
    /// E.g. `codebuild:StartBuild`.
    pub action: &'a str,
    /// The resource's ARN; `*` for actions that are about nothing in particular.
    pub resource: &'a str,
    /// The account that the resource is of.
    pub account: &'a str,
    /// Condition keys.
    pub context: &'a Context,
}

/// Whether an identity's policy is enough within the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResourceRule {
    /// It is.
    #[default]
    Sufficient,
    /// The resource's policy must allow as well: policies of keys.
    Key,
    /// The same for who may assume a role.
    Trust,
}

/// The policies that a request falls under.
#[derive(Debug, Clone, Copy, Default)]
pub struct Policies<'a> {
    /// Of the user and the user's groups, or of the role. The account's root has none.
    pub identity: &'a [&'a Policy],
    /// The permissions boundary of user or role.
    pub boundary: Option<&'a Policy>,
    /// Those that the session was made with; `None` if it was made without.
    pub session: Option<&'a [&'a Policy]>,
    /// The policy of the resource.
    pub resource: Option<&'a Policy>,
    /// What that policy means within the account.
    pub rule: ResourceRule,
}

/// The kinds of policies, as denials name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layer {
    /// Of a user, group or role.
    Identity,
    /// Of a resource.
    Resource,
    /// Permissions boundary.
    Boundary,
    /// Of a session.
    Session,
    /// A role's, that says who may assume it.
    Trust,
}

/// Why something was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Every policy that has to allows.
    Allowed,
    /// The caller is the account's root, whom no identity's policy limits.
    Root,
    /// A statement denies.
    Denied(Layer),
    /// Nothing of that kind allows.
    Missing(Layer),
    /// The request cannot be judged: its action or resource is none.
    Unreadable,
}

/// The statement that decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cited {
    /// Kind of its policy.
    pub layer: Layer,
    /// Which of the policies of that kind, from 0.
    pub policy: usize,
    /// Which of its statements, from 0.
    pub statement: usize,
    /// The statement's `Sid`.
    pub sid: Option<String>,
}

/// What is decided, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What.
    pub effect: Effect,
    /// Why.
    pub reason: Reason,
    /// The statement that denied, or the first that allowed.
    pub statement: Option<Cited>,
}

impl Decision {
    /// Whether the request may be fulfilled.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        self.effect == Effect::Allow
    }

    fn deny(reason: Reason, statement: Option<Cited>) -> Self {
        Self { effect: Effect::Deny, reason, statement }
    }
}

/// Decides. Everything is denied that is not allowed, and a statement that denies wins, wherever it stands.
#[must_use]
pub fn evaluate(request: &Request<'_>, policies: &Policies<'_>) -> Decision {
    let (Some(action), Some(target)) = (ActionName::new(request.action), Target::new(request.resource)) else {
        return Decision::deny(Reason::Unreadable, None);
    };
    let question = Question {
        principal: request.principal,
        is_bounded: policies.boundary.is_some(),
        action,
        target,
        context: request.context,
    };
    let layers = Layers { policies, question: &question };
    if let Some(cited) = layers.denial() {
        return Decision::deny(Reason::Denied(cited.layer), Some(cited));
    }
    layers.decide(request)
}

struct Layers<'a> {
    policies: &'a Policies<'a>,
    question: &'a Question<'a>,
}

impl<'a> Layers<'a> {
    /// All policies with their kinds, those of one kind numbered.
    fn all(&self) -> impl Iterator<Item = (Layer, usize, &'a Policy)> {
        let Policies { identity, boundary, session, resource, .. } = *self.policies;
        let numbered = |layer, policies: &'a [&'a Policy]| {
            policies.iter().enumerate().map(move |(at, policy)| (layer, at, *policy))
        };
        numbered(Layer::Identity, identity)
            .chain(resource.map(|policy| (self.resource_layer(), 0, policy)))
            .chain(boundary.map(|policy| (Layer::Boundary, 0, policy)))
            .chain(numbered(Layer::Session, session.unwrap_or_default()))
    }

    fn resource_layer(&self) -> Layer {
        if self.policies.rule == ResourceRule::Trust { Layer::Trust } else { Layer::Resource }
    }

    fn cite(layer: Layer, at: usize, policy: &Policy, statement: usize) -> Cited {
        Cited { layer, policy: at, statement, sid: policy.sid(statement).map(str::to_owned) }
    }

    /// The first statement that denies.
    fn denial(&self) -> Option<Cited> {
        self.all().find_map(|(layer, at, policy)| {
            let (statement, _) = policy.matching(Effect::Deny, self.question).next()?;
            Some(Self::cite(layer, at, policy, statement))
        })
    }

    /// The first statement of a kind that allows.
    fn allowance(&self, wanted: Layer) -> Option<Cited> {
        self.all().filter(|(layer, ..)| *layer == wanted).find_map(|(layer, at, policy)| {
            let (statement, _) = policy.matching(Effect::Allow, self.question).next()?;
            Some(Self::cite(layer, at, policy, statement))
        })
    }

    /// The first statement of the resource's policy that allows and names the caller in one of these ways.
    fn grant(&self, ways: &[Standing]) -> Option<Cited> {
        let policy = self.policies.resource?;
        let (statement, _) =
            policy.matching(Effect::Allow, self.question).find(|(_, standing)| ways.contains(standing))?;
        Some(Self::cite(self.resource_layer(), 0, policy, statement))
    }

    /// Nothing denies: does everything allow that has to?
    fn decide(&self, request: &Request<'_>) -> Decision {
        let allow = |reason, statement| Decision { effect: Effect::Allow, reason, statement };
        let missing = |layer| Decision::deny(Reason::Missing(layer), None);
        let resource = self.resource_layer();
        let any = self.grant(&[Standing::Own, Standing::Behind, Standing::Everyone, Standing::Account]);
        let Some(account) = request.principal.account() else {
            // Nobody, a service, or somebody without a session: only the resource can speak for them.
            return any.map_or_else(|| missing(resource), |cited| allow(Reason::Allowed, Some(cited)));
        };
        let is_own_account = account == request.account;
        if matches!(request.principal, Principal::Root { .. }) {
            return match any {
                Some(cited) => allow(Reason::Root, Some(cited)),
                None if is_own_account && self.policies.rule == ResourceRule::Sufficient => allow(Reason::Root, None),
                None => missing(resource),
            };
        }
        let identity = self.allowance(Layer::Identity);
        let fails_boundary = self.policies.boundary.is_some() && self.allowance(Layer::Boundary).is_none();
        // A federated session has what its session policies name, and without them nothing.
        let needs_session =
            self.policies.session.is_some() || matches!(request.principal, Principal::FederatedUser { .. });
        let fails_session = needs_session && self.allowance(Layer::Session).is_none();
        if is_own_account {
            // Named by itself the caller is past its boundary, but not past its session's policies: the documentation
            // says past both.
            if let Some(cited) = self.grant(&[Standing::Own, Standing::Everyone])
                && !fails_session
            {
                return allow(Reason::Allowed, Some(cited));
            }
            if let Some(cited) = self.grant(&[Standing::Behind])
                && !fails_session
                && !fails_boundary
            {
                return allow(Reason::Allowed, Some(cited));
            }
        }
        let needs_resource = !is_own_account || self.policies.rule != ResourceRule::Sufficient;
        if needs_resource && any.is_none() && is_own_account {
            return missing(resource);
        }
        match identity {
            None => missing(Layer::Identity),
            Some(_) if fails_boundary => missing(Layer::Boundary),
            Some(_) if fails_session => missing(Layer::Session),
            Some(_) if needs_resource && any.is_none() => missing(resource),
            Some(cited) => allow(Reason::Allowed, Some(cited)),
        }
    }
}
