//! What a denied caller is told (`security.md` 1.5).

use super::evaluate::{Decision, Layer, Reason};

impl Decision {
    /// The text that tools and people match on. `caller` is the caller's ARN, `resource` is left out when the action is
    /// about nothing in particular.
    #[must_use]
    pub fn denial(&self, caller: &str, action: &str, resource: Option<&str>) -> String {
        let resource = resource.filter(|resource| *resource != "*");
        let resource = resource.map(|resource| format!(" on resource: {resource}")).unwrap_or_default();
        let why = match self.reason {
            Reason::Denied(layer) => format!(" with an explicit deny in {}", with_article(layer)),
            Reason::Missing(layer) => format!(" because no {} allows the {action} action", layer.name()),
            Reason::Unreadable => " because the request names no action or no resource".to_owned(),
            Reason::Allowed | Reason::Root => String::new(),
        };
        format!("User: {caller} is not authorized to perform: {action}{resource}{why}")
    }
}

impl Layer {
    /// As denials name it: `identity-based policy`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity-based policy",
            Self::Resource => "resource-based policy",
            Self::Boundary => "permissions boundary",
            Self::Session => "session policy",
            Self::Trust => "role trust policy",
        }
    }
}

fn with_article(layer: Layer) -> &'static str {
    match layer {
        Layer::Identity => "an identity-based policy",
        Layer::Resource => "a resource-based policy",
        Layer::Boundary => "a permissions boundary",
        Layer::Session => "a session policy",
        Layer::Trust => "the role trust policy",
    }
}
