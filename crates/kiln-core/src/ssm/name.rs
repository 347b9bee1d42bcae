//! Names of parameters: their form, ARNs in their place, and the version or label behind them.

use kiln_model::{ApiError, ErrorCode, arn::Home};
use kiln_store::{StoreError, View, metadata::ParameterRecord};

use super::{document::Document, error, invalid};
use crate::{iam::Resource, records::Refused};

/// Levels of a name (AWS's quota).
const MOST_LEVELS: usize = 15;
/// Characters of a name (AWS's limit for what stands behind the ARN's head).
const LONGEST: usize = 1011;

const RULES: &str = "If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be \
                     formed as a mix of letters, numbers and the following 3 symbols .-_";

/// ARN of a parameter.
pub(super) fn arn(home: &Home, name: &str) -> String {
    home.arn("ssm", &format!("parameter/{}", name.trim_start_matches('/')))
}

/// Refuses what cannot be the name of a new parameter.
pub(super) fn check(name: &str) -> Result<(), ApiError> {
    let plain = name.strip_prefix('/').unwrap_or(name);
    let lower = plain.to_ascii_lowercase();
    let is_path = name.starts_with('/') && plain.contains('/');
    if lower.starts_with("aws") && is_path {
        return Err(ApiError::access_denied(format!("No access to reserved parameter name: {name}.")));
    }
    if lower.starts_with("aws") || lower.starts_with("ssm") {
        let reserved = if is_path { "\"ssm\"" } else { "\"aws\" or \"ssm\"" };
        return Err(invalid(format!("Parameter name: can't be prefixed with {reserved} (case-insensitive). {RULES}")));
    }
    let is_well_formed = plain
        .split('/')
        .all(|part| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c)));
    if !is_well_formed || name.len() > LONGEST {
        return Err(invalid(format!("Parameter name: can't be prefixed with \"ssm\" (case-insensitive). {RULES}")));
    }
    if plain.contains('/') && !name.starts_with('/') {
        return Err(invalid("Parameter name must be a fully qualified name."));
    }
    if plain.split('/').count() > MOST_LEVELS {
        let message = format!("A hierarchy can have a maximum of {MOST_LEVELS} levels.");
        return Err(error(ErrorCode::HierarchyLevelLimitExceeded, message));
    }
    Ok(())
}

/// What a text asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// Names that may be meant, the likelier first: an ARN does not say whether a name begins with a slash.
    names: Vec<String>,
    /// Version or label behind the name, without the colon.
    pub(super) selector: Option<String>,
}

impl Asked {
    /// Reads a name or an ARN, with or without a version or label.
    pub(super) fn parse(home: &Home, text: &str) -> Self {
        let head = home.arn("ssm", "parameter/");
        let (rest, is_arn) = match text.strip_prefix(&head) {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        // Whatever else is called an ARN names no parameter here.
        let is_foreign = !is_arn && text.starts_with("arn:");
        let (name, selector) = match rest.split_once(':').filter(|_| !is_foreign) {
            Some((name, selector)) => (name, Some(selector.to_owned())),
            None => (rest, None),
        };
        let names = match (is_arn, name.contains('/')) {
            (true, true) => vec![format!("/{name}")],
            (true, false) => vec![name.to_owned(), format!("/{name}")],
            (false, _) => vec![name.to_owned()],
        };
        Self { names, selector }
    }

    /// The ARN of what is asked for, whether or not it is there.
    pub(super) fn arn(&self, home: &Home) -> String {
        self.names.first().map(|name| arn(home, name)).unwrap_or_default()
    }

    /// The parameter, if there is one.
    pub(super) fn find(&self, view: &View<'_>) -> Result<Option<ParameterRecord>, StoreError> {
        for name in &self.names {
            if let Some(found) = view.parameter(name)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

pub(super) fn not_found(text: &str) -> ApiError {
    error(ErrorCode::ParameterNotFound, format!("Parameter {text} not found."))
}

/// The parameter that a text names.
pub(super) fn find(view: &View<'_>, home: &Home, text: &str) -> Result<(ParameterRecord, Document), Refused> {
    let asked = Asked::parse(home, text);
    let record = match asked.selector {
        None => asked.find(view)?,
        Some(_) => None,
    };
    let record = record.ok_or_else(|| not_found(text))?;
    let document = Document::of(&record)?;
    Ok((record, document))
}

/// A parameter as policies name it; `text` is the part of the ARN behind `parameter/`.
pub(crate) fn resource(view: &View<'_>, text: &str, mut found: Resource) -> Result<Resource, StoreError> {
    let names = if text.contains('/') { vec![format!("/{text}")] } else { vec![text.to_owned(), format!("/{text}")] };
    if let Some(record) = (Asked { names, selector: None }).find(view)? {
        found.tags = Document::of(&record)?.tags.into_iter().collect();
        found.own_tags = Some("ssm:resourceTag");
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> Home {
        Home { region: "us-east-1".to_owned(), account: "000000000000".to_owned() }
    }

    #[test]
    fn names_are_checked() {
        for name in ["a", "/a", "/a/b.c-d_E/9", "awa", "/x/aws", &format!("/{}", ["a"; 15].join("/"))] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for (name, code) in [
            ("a/b", ErrorCode::Validation),
            ("", ErrorCode::Validation),
            ("/", ErrorCode::Validation),
            ("/a/", ErrorCode::Validation),
            ("//a", ErrorCode::Validation),
            ("/a//b", ErrorCode::Validation),
            ("/a b", ErrorCode::Validation),
            ("/a:1", ErrorCode::Validation),
            ("ä", ErrorCode::Validation),
            ("AWSx", ErrorCode::Validation),
            ("/ssmx", ErrorCode::Validation),
            ("ssm", ErrorCode::Validation),
            ("/aws/x", ErrorCode::AccessDenied),
            ("/Aws-x/y", ErrorCode::AccessDenied),
            (&format!("/{}", ["a"; 16].join("/")), ErrorCode::HierarchyLevelLimitExceeded),
            (&"a".repeat(1012), ErrorCode::Validation),
        ] {
            assert_eq!(check(name).unwrap_err().code, code, "{name}");
        }
    }

    #[test]
    fn selectors_and_arns_are_read() {
        let head = "arn:aws:ssm:us-east-1:000000000000:parameter/";
        for (text, names, selector) in [
            ("/a/b", &["/a/b"][..], None),
            ("/a/b:3", &["/a/b"], Some("3")),
            ("a:prod", &["a"], Some("prod")),
            (&format!("{head}a/b"), &["/a/b"], None),
            (&format!("{head}a:2"), &["a", "/a"], Some("2")),
            (
                "arn:aws:ssm:eu-west-1:000000000000:parameter/a",
                &["arn:aws:ssm:eu-west-1:000000000000:parameter/a"],
                None,
            ),
        ] {
            let asked = Asked::parse(&home(), text);
            assert_eq!(
                (asked.names.as_slice(), asked.selector.as_deref()),
                (&names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()[..], selector),
                "{text}"
            );
        }
        assert_eq!(arn(&home(), "/a/b"), format!("{head}a/b"));
        assert_eq!(arn(&home(), "a"), format!("{head}a"));
    }
}
