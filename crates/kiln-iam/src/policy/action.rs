//! Actions: `s3:GetObject`, `s3:Get*`, `*`.

use super::{
    error::{PolicyError, quoted},
    pattern::{Glob, atoms},
};

/// The action of a request, as patterns are compared with it: without regard to case.
#[derive(Debug, Clone)]
pub(super) struct ActionName {
    service: String,
    name: String,
}

impl ActionName {
    /// `None`: the text is not `service:Name`.
    pub(super) fn new(text: &str) -> Option<Self> {
        let (service, name) = text.split_once(':')?;
        let is_whole = !service.is_empty() && !name.is_empty();
        is_whole.then(|| Self { service: service.to_ascii_lowercase(), name: name.to_ascii_lowercase() })
    }

    /// In lower case.
    pub(super) fn service(&self) -> &str {
        &self.service
    }
}

/// Actions that a statement names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ActionPattern {
    /// `*`.
    All,
    /// Those of one service whose names match.
    Of { service: String, name: Glob },
}

impl ActionPattern {
    pub(super) fn parse(text: &str, place: &str) -> Result<Self, PolicyError> {
        if text == "*" {
            return Ok(Self::All);
        }
        let Some((service, name)) = text.split_once(':') else {
            return Err(PolicyError::new(
                "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.",
                place,
                format!(
                    "'{}' is no action: expected <service>:<Action>, e.g. codebuild:StartBuild, or *",
                    quoted(text)
                ),
            ));
        };
        if name.contains(':') {
            return Err(PolicyError::new(
                "Actions/Condition can contain only one colon.",
                place,
                format!("'{}' has more than one", quoted(text)),
            ));
        }
        if service.is_empty() || !service.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(PolicyError::new(
                format!("Vendor {} is not valid", quoted(service)),
                place,
                "a service's name has letters, digits and '-', and no wildcards",
            ));
        }
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_*?".contains(&b)) {
            return Err(PolicyError::syntax(
                place,
                format!("'{}' is no action: a name has letters and digits, '*' and '?'", quoted(text)),
            ));
        }
        Ok(Self::Of { service: service.to_ascii_lowercase(), name: Glob::new(atoms(&name.to_ascii_lowercase())) })
    }

    pub(super) fn matches(&self, action: &ActionName) -> bool {
        match self {
            Self::All => true,
            Self::Of { service, name } => *service == action.service && name.matches(&action.name),
        }
    }

    /// The service whose actions it names; `None` for all.
    pub(super) fn service(&self) -> Option<&str> {
        match self {
            Self::All => None,
            Self::Of { service, .. } => Some(service),
        }
    }
}
