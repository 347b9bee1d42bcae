//! Who asks, and whom a policy names.

use super::{
    error::{PolicyError, quoted},
    json::Json,
};

/// Who sends a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Nobody signed it.
    Anonymous,
    /// The account itself.
    Root {
        /// Twelve digits.
        account: String,
    },
    /// A user.
    User {
        /// Twelve digits.
        account: String,
        /// `arn:aws:iam::<account>:user/<path><name>`.
        arn: String,
    },
    /// A session of a role.
    Session {
        /// Twelve digits.
        account: String,
        /// `arn:aws:sts::<account>:assumed-role/<role>/<session>`.
        arn: String,
        /// `arn:aws:iam::<account>:role/<path><role>`.
        role: String,
    },
    /// A user's federated session.
    FederatedUser {
        /// Twelve digits.
        account: String,
        /// `arn:aws:sts::<account>:federated-user/<name>`.
        arn: String,
        /// ARN of the user who made it.
        user: String,
    },
    /// Somebody whom an identity provider vouches for, before they have a session.
    WebIdentity {
        /// ARN or name of the provider.
        provider: String,
    },
    /// A service, on its own behalf.
    Service {
        /// E.g. `codebuild.amazonaws.com`.
        name: String,
    },
}

impl Principal {
    /// The account that it is of.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Root { account }
            | Self::User { account, .. }
            | Self::Session { account, .. }
            | Self::FederatedUser { account, .. } => Some(account),
            Self::Anonymous | Self::WebIdentity { .. } | Self::Service { .. } => None,
        }
    }

    /// Its own ARN and that of what stands behind it.
    fn arns(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::User { arn, .. } => (Some(arn), None),
            Self::Session { arn, role, .. } => (Some(arn), Some(role)),
            Self::FederatedUser { arn, user, .. } => (Some(arn), Some(user)),
            Self::Anonymous | Self::Root { .. } | Self::WebIdentity { .. } | Self::Service { .. } => (None, None),
        }
    }
}

/// How a policy names a principal. What it grants may depend on it (`security.md` 2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Through its account.
    Account,
    /// Through the role or user behind the session.
    Behind,
    /// By its own name.
    Own,
    /// Among everybody.
    Everyone,
}

/// Whom a policy names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// `*`.
    Everyone,
    /// An account: its number, or the ARN of its root.
    Account(String),
    /// A user, a role or a session.
    Arn(String),
    /// A service.
    Service(String),
    /// An identity provider.
    Federated(String),
    /// An account, as S3 numbers them.
    Canonical(String),
}

impl Entry {
    fn standing(&self, principal: &Principal) -> Option<Standing> {
        let is_same = match (self, principal) {
            (Self::Everyone, _) => return Some(Standing::Everyone),
            (Self::Account(account), principal) => {
                return (principal.account() == Some(account)).then_some(Standing::Account);
            }
            (Self::Arn(named), principal) => {
                let (own, behind) = principal.arns();
                if behind == Some(named) {
                    return Some(Standing::Behind);
                }
                own == Some(named)
            }
            (Self::Service(named), Principal::Service { name }) => named == name,
            (Self::Federated(named), Principal::WebIdentity { provider }) => named == provider,
            (Self::Service(_) | Self::Federated(_) | Self::Canonical(_), _) => false,
        };
        is_same.then_some(Standing::Own)
    }
}

/// `Principal` or `NotPrincipal` of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PrincipalMatch {
    pub(super) entries: Vec<Entry>,
    pub(super) is_negated: bool,
}

impl PrincipalMatch {
    /// Every way in which the statement names the principal.
    pub(super) fn standings(&self, principal: &Principal, is_bounded: bool) -> impl Iterator<Item = Standing> {
        // Only statements that deny are negated, for which the way does not matter. As AWS has it, they spare nobody who
        // has a permissions boundary.
        let is_spared = self.is_negated && self.excepts(principal) && !is_bounded;
        let of_negated = (self.is_negated && !is_spared).then_some(Standing::Own);
        let entries: &[Entry] = if self.is_negated { &[] } else { &self.entries };
        entries.iter().filter_map(|entry| entry.standing(principal)).chain(of_negated)
    }

    /// Whether a negated list leaves the principal out: only if it names all that the principal is, account, role and
    /// session.
    fn excepts(&self, principal: &Principal) -> bool {
        let names = |entry: Entry| self.entries.contains(&entry);
        if names(Entry::Everyone) {
            return true;
        }
        let arn = |arn: Option<&str>| arn.is_none_or(|arn| names(Entry::Arn(arn.to_owned())));
        match principal {
            Principal::Anonymous => false,
            Principal::Service { name } => names(Entry::Service(name.clone())),
            Principal::WebIdentity { provider } => names(Entry::Federated(provider.clone())),
            other => {
                let (own, behind) = other.arns();
                other.account().is_some_and(|account| names(Entry::Account(account.to_owned())))
                    && arn(own)
                    && arn(behind)
            }
        }
    }
}

/// Reads the value of `Principal` or `NotPrincipal`.
pub(super) fn parse(value: &Json, place: &str) -> Result<Vec<Entry>, PolicyError> {
    let members = match value {
        Json::Text(text) if text == "*" => return Ok(vec![Entry::Everyone]),
        Json::Object(members) if !members.is_empty() => members,
        other => {
            return Err(PolicyError::new(
                "Invalid principal in policy.",
                place,
                format!("expected \"*\" or an object such as {{\"AWS\": \"…\"}}, not {}", other.kind()),
            ));
        }
    };
    let mut entries = Vec::new();
    for (kind, values) in members {
        let place = format!("{place}.{kind}");
        let items = values.items();
        if items.is_empty() {
            return Err(PolicyError::new("Invalid principal in policy.", place, "the list is empty"));
        }
        for item in items {
            entries.push(entry(kind, item, &place)?);
        }
    }
    Ok(entries)
}

fn entry(kind: &str, value: &Json, place: &str) -> Result<Entry, PolicyError> {
    let Json::Text(text) = value else {
        return Err(PolicyError::new(
            "Invalid principal in policy.",
            place,
            format!("expected a text, not {}", value.kind()),
        ));
    };
    let refused = |problem: &str| {
        Err(PolicyError::new(
            format!("Invalid principal in policy: \"{}\":\"{}\"", quoted(kind), quoted(text)),
            place,
            problem,
        ))
    };
    if text.len() > 2_048 || text.is_empty() || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return refused("it is empty, too long, or has blanks");
    }
    if text != "*" && text.contains(['*', '?']) {
        return refused("wildcards have no meaning here, but \"*\" alone");
    }
    match kind {
        "AWS" if text == "*" => Ok(Entry::Everyone),
        "AWS" => match aws_entry(text) {
            Some(entry) => Ok(entry),
            None => refused("expected an account, or the ARN of a user, of a role or of a session"),
        },
        _ if text == "*" => refused("everybody is {\"AWS\": \"*\"}"),
        "Service" if text.contains('.') => Ok(Entry::Service(text.clone())),
        "Service" => refused("expected a service, e.g. codebuild.amazonaws.com"),
        "Federated" => Ok(Entry::Federated(text.clone())),
        "CanonicalUser" => Ok(Entry::Canonical(text.clone())),
        _ => refused("the kinds of principals are AWS, Service, Federated and CanonicalUser"),
    }
}

/// An account's number, or an ARN of IAM or STS.
fn aws_entry(text: &str) -> Option<Entry> {
    let is_account = |text: &str| text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit());
    if is_account(text) {
        return Some(Entry::Account(text.to_owned()));
    }
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, service, "", account, resource] = parts.as_slice() else { return None };
    if !partition.starts_with("aws") || !is_account(account) {
        return None;
    }
    if (*service, *resource) == ("iam", "root") {
        return Some(Entry::Account((*account).to_owned()));
    }
    let (kind, name) = resource.split_once('/')?;
    let is_named = match (*service, kind) {
        ("iam", "user" | "role") | ("sts", "federated-user") => !name.is_empty(),
        ("sts", "assumed-role") => {
            name.split_once('/').is_some_and(|(role, session)| !role.is_empty() && !session.is_empty())
        }
        _ => false,
    };
    is_named.then(|| Entry::Arn(text.to_owned()))
}
