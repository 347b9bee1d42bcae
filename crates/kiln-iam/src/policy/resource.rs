//! Resources: ARNs with wildcards and variables, and `*`.

use super::{
    context::Context,
    error::{PolicyError, quoted},
    pattern::{ArnGlob, ArnText, Glob, matches_all},
    variable::Template,
};

/// What a request is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target<'a> {
    /// Nothing in particular.
    Nothing,
    /// A resource.
    Arn(ArnText<'a>),
}

impl<'a> Target<'a> {
    /// `None`: the text is neither `*` nor an ARN.
    pub(super) fn new(text: &'a str) -> Option<Self> {
        if text == "*" { Some(Self::Nothing) } else { ArnText::new(text).map(Self::Arn) }
    }
}

/// An ARN with wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ArnPattern {
    /// Without variables.
    Fixed(Box<ArnGlob>),
    /// With some behind the fifth colon: patterns of the parts before it, and what stands behind it.
    Local(Box<[Glob; 5]>, Template),
    /// With some before it.
    Open(Template),
}

impl ArnPattern {
    /// `None`: without variables, and no ARN.
    pub(super) fn new(template: Template) -> Option<Self> {
        if template.has_variables() {
            return Some(match template.cut() {
                Some((heads, local)) => Self::Local(Box::new(heads), local),
                None => Self::Open(template),
            });
        }
        Some(Self::Fixed(Box::new(ArnGlob::new(template.atoms(&Context::new())?)?)))
    }

    /// The names of its variables, in lower case.
    pub(super) fn keys(&self) -> Vec<String> {
        match self {
            Self::Fixed(_) => Vec::new(),
            Self::Local(_, template) | Self::Open(template) => template.keys(),
        }
    }

    /// `None`: what the variables stand for makes it no ARN, or they stand for nothing.
    pub(super) fn matches(&self, context: &Context, arn: &ArnText<'_>) -> Option<bool> {
        match self {
            Self::Fixed(glob) => Some(glob.matches(arn)),
            Self::Local(heads, local) => {
                let atoms = local.atoms(context)?;
                Some(arn.local(heads).is_some_and(|text| matches_all(atoms, text)))
            }
            Self::Open(template) => Some(ArnGlob::new(template.atoms(context)?)?.matches(arn)),
        }
    }
}

/// Resources that a statement names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResourcePattern {
    /// As the policy has it.
    pub(super) text: String,
    /// `None`: every resource.
    pattern: Option<ArnPattern>,
    /// There is a wildcard in what says of which type the resource is, as in `arn:aws:codebuild:*:*:*/demo`. AWS's
    /// documentation says that there may be none.
    has_open_type: bool,
}

/// Longest pattern: AWS's limit for an ARN.
const LONGEST: usize = 2_048;

impl ResourcePattern {
    pub(super) fn parse(text: &str, has_variables: bool, place: &str) -> Result<Self, PolicyError> {
        if text == "*" {
            return Ok(Self { text: text.to_owned(), pattern: None, has_open_type: false });
        }
        let refused = |problem: &str| {
            Err(PolicyError::new(format!("Resource {} must be in ARN format or \"*\".", quoted(text)), place, problem))
        };
        if text.len() > LONGEST {
            return refused("it is longer than 2048 bytes");
        }
        let mut parts = text.splitn(6, ':');
        let (first, partition) = (parts.next(), parts.next());
        if first != Some("arn") || parts.count() != 4 {
            return refused("expected arn:<partition>:<service>:<region>:<account>:<resource>");
        }
        let partition = partition.unwrap_or_default();
        if !["aws", "aws-cn", "aws-us-gov"].contains(&partition) && !partition.contains(['*', '?']) {
            return Err(PolicyError::new(
                format!("Partition \"{}\" is not valid for resource \"{}\".", quoted(partition), quoted(text)),
                place,
                "expected aws, aws-cn or aws-us-gov",
            ));
        }
        let template = Template::parse(text, has_variables)
            .map_err(|problem| PolicyError::new(super::error::LEGACY, place, problem))?;
        if template.has_variables() && template.head().bytes().filter(|b| *b == b':').count() < 5 {
            return refused("variables may stand after the fifth colon only");
        }
        let resource = text.splitn(6, ':').nth(5).unwrap_or_default();
        let has_open_type = has_open_type(resource);
        match ArnPattern::new(template) {
            Some(pattern) => Ok(Self { text: text.to_owned(), pattern: Some(pattern), has_open_type }),
            None => refused("expected arn:<partition>:<service>:<region>:<account>:<resource>"),
        }
    }

    /// What is about nothing in particular needs `*` itself.
    pub(super) fn matches(&self, context: &Context, target: &Target<'_>, use_of: Use) -> bool {
        match (&self.pattern, target) {
            (None, _) => true,
            (Some(_), Target::Nothing) => false,
            (Some(pattern), Target::Arn(arn)) => {
                // Buckets have names and no type.
                let is_doubtful = self.has_open_type && arn.service() != "s3";
                match pattern.matches(context, arn) {
                    Some(is_match) => is_match && !(is_doubtful && use_of.is_favour()),
                    // Without a value it matches nothing; but it must not allow everything either.
                    None => use_of == Use::AllowAllBut,
                }
            }
        }
    }
}

/// What a match means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// `Resource` with `Allow`.
    Allow,
    /// `NotResource` with `Allow`.
    AllowAllBut,
    /// `Resource` with `Deny`.
    Deny,
    /// `NotResource` with `Deny`.
    DenyAllBut,
}

impl Use {
    /// Whether a match helps the caller: then a doubtful pattern matches nothing.
    fn is_favour(self) -> bool {
        matches!(self, Self::Allow | Self::DenyAllBut)
    }
}

/// Whether a wildcard or a variable stands before the first separator.
fn has_open_type(resource: &str) -> bool {
    let separator = resource.find(['/', ':']);
    resource.find(['*', '?', '$']).is_some_and(|wildcard| separator.is_some_and(|separator| wildcard < separator))
}
