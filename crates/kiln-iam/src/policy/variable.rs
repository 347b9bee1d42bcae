//! Texts with policy variables: `${aws:username}`, `${aws:username, 'nobody'}`, `${*}`.

use std::borrow::Cow;

use super::{
    context::{Context, KeyName},
    pattern::{Atom, Glob, atoms, atoms_of, matches_all},
};

/// The names of the variables in a text, in lower case.
pub(super) fn variables_in(text: &str) -> Vec<String> {
    Template::parse(text, true).map(|template| template.keys()).unwrap_or_default()
}

/// A text of a policy. What a variable stands for is always literal: its `*` matches a star.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// As it stands, with its `*` and `?`.
    Text(String),
    /// A character that has no meaning: `${*}`, `${?}`, `${$}`.
    Escaped(&'static str),
    /// The value of a key.
    Variable { key: KeyName, default: Option<String> },
}

impl Template {
    /// Reads a text. `has_variables` is false in policies of the version 2008-10-17, where `${` is text like any other.
    ///
    /// # Errors
    /// What is wrong with a variable.
    pub(super) fn parse(text: &str, has_variables: bool) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = if has_variables { rest.split_once("${") } else { None } {
            let Some((inside, after)) = after.split_once('}') else {
                return Err("a variable that begins with '${' has no '}'".to_owned());
            };
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(variable(inside)?);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { parts })
    }

    /// Whether it depends on the request.
    pub(super) fn has_variables(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Variable { .. }))
    }

    /// The names of its variables, in lower case.
    pub(super) fn keys(&self) -> Vec<String> {
        let name = |part: &Part| match part {
            Part::Variable { key, .. } => Some(key.text().to_owned()),
            Part::Text(_) | Part::Escaped(_) => None,
        };
        self.parts.iter().filter_map(name).collect()
    }

    /// The text in which nothing is a wildcard; `None` when a variable has no value.
    pub(super) fn text(&self, context: &Context) -> Option<Cow<'_, str>> {
        match self.parts.as_slice() {
            [] => Some(Cow::Borrowed("")),
            [Part::Text(text)] => Some(Cow::Borrowed(text)),
            parts => {
                let mut all = String::new();
                for part in parts {
                    all.push_str(part.value(context)?);
                }
                Some(Cow::Owned(all))
            }
        }
    }

    /// The text as a pattern; `None` when a variable has no value.
    pub(super) fn atoms<'a>(&'a self, context: &'a Context) -> Option<impl Iterator<Item = Atom> + Clone + 'a> {
        let has_value = |part: &Part| part.value(context).is_some();
        self.parts.iter().all(has_value).then(|| {
            let value = |part: &'a Part| (part.value(context).unwrap_or_default(), !matches!(part, Part::Text(_)));
            self.parts.iter().map(value).flat_map(|(text, is_literal)| atoms_of(text, is_literal))
        })
    }

    /// Cuts an ARN behind its fifth colon: the patterns of its first five parts, and what follows. `None`: a variable
    /// stands before, or there are fewer colons.
    pub(super) fn cut(&self) -> Option<([Glob; 5], Self)> {
        let (first, others) = self.parts.split_first()?;
        let Part::Text(text) = first else { return None };
        let mut parts = text.splitn(6, ':');
        let mut part = || parts.next().map(|part| Glob::new(atoms(part)));
        let heads = [part()?, part()?, part()?, part()?, part()?];
        let local = parts.next()?;
        let local = (!local.is_empty()).then(|| Part::Text(local.to_owned()));
        Some((heads, Self { parts: local.into_iter().chain(others.iter().cloned()).collect() }))
    }

    /// The longest text before the first variable.
    pub(super) fn head(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }
}

impl Part {
    fn value<'a>(&'a self, context: &'a Context) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Escaped(character) => Some(character),
            Self::Variable { key, default } => context.single(key).or(default.as_deref()),
        }
    }
}

fn variable(inside: &str) -> Result<Part, String> {
    for escaped in ["*", "?", "$"] {
        if inside == escaped {
            return Ok(Part::Escaped(escaped));
        }
    }
    let (key, default) = match inside.split_once(", '") {
        Some((key, default)) => match default.strip_suffix('\'') {
            Some(default) => (key, Some(default.to_owned())),
            None => return Err(format!("the default in '${{{inside}}}' has no closing quote")),
        },
        None => (inside, None),
    };
    // A name has a service's prefix; what follows a slash is the name of a tag or of an item, which may have blanks.
    let name = key.split_once('/').map_or(key, |(name, _)| name);
    let is_name =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b));
    match name.split_once(':') {
        Some((service, rest)) if is_name(service) && is_name(rest) && !key.contains('\'') => {
            Ok(Part::Variable { key: KeyName::new(key), default })
        }
        _ => {
            Err(format!("'${{{inside}}}' is not a variable: expected ${{service:Key}} or ${{service:Key, 'default'}}"))
        }
    }
}

/// A pattern that may have variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    /// It has none.
    Fixed(Glob),
    /// It has some.
    Open(Template),
}

impl Pattern {
    /// The names of its variables, in lower case.
    pub(super) fn keys(&self) -> Vec<String> {
        match self {
            Self::Fixed(_) => Vec::new(),
            Self::Open(template) => template.keys(),
        }
    }

    pub(super) fn new(template: Template) -> Self {
        if template.has_variables() {
            return Self::Open(template);
        }
        // Without variables nothing depends on the context.
        match template.atoms(&Context::new()).map(Glob::new) {
            Some(glob) => Self::Fixed(glob),
            None => Self::Open(template),
        }
    }

    /// `None`: a variable has no value.
    pub(super) fn matches(&self, context: &Context, text: &str) -> Option<bool> {
        match self {
            Self::Fixed(glob) => Some(glob.matches(text)),
            Self::Open(template) => Some(matches_all(template.atoms(context)?, text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(template: &str, context: &Context) -> Option<String> {
        Template::parse(template, true).unwrap().text(context).map(Cow::into_owned)
    }

    #[test]
    fn variables_are_their_keys_values() {
        let mut context = Context::new();
        context.set("aws:UserName", "alice");
        context.set("aws:PrincipalTag/Cost Centre", "4*2");
        context.set("aws:empty", "");
        context.set_many("aws:TagKeys", ["a"]);
        assert_eq!(text("x/${aws:username}/y", &context).unwrap(), "x/alice/y");
        assert_eq!(text("${aws:principaltag/cost centre}", &context).unwrap(), "4*2");
        assert_eq!(text("${aws:nothing, 'no one'}", &context).unwrap(), "no one");
        assert_eq!(text("${aws:empty, 'no one'}", &context).unwrap(), "no one");
        assert_eq!(text("${*}${?}${$}{", &context).unwrap(), "*?${");
        for without in ["${aws:nothing}", "a${aws:empty}", "${aws:TagKeys}"] {
            assert_eq!(text(without, &context), None, "{without}");
        }
        assert_eq!(Template::parse("${aws:username", false).unwrap().text(&context).unwrap(), "${aws:username");
    }

    #[test]
    fn values_are_no_wildcards() {
        let mut context = Context::new();
        context.set("aws:username", "*");
        let matches = |pattern: &str, text: &str| {
            Pattern::new(Template::parse(pattern, true).unwrap()).matches(&context, text) == Some(true)
        };
        assert!(matches("a/${aws:username}", "a/*") && !matches("a/${aws:username}", "a/b"));
        assert!(matches("${aws:username}*", "*b") && !matches("${aws:username}*", "b"));
        assert!(matches("${*}", "*") && !matches("${*}", "b"));
        assert!(!matches("${aws:nothing, '*'}", "b") && !matches("${aws:nothing}", ""));
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        for wrong in [
            "${",
            "a${aws:username",
            "${}",
            "${Bucket}",
            "${aws:}",
            "${:x}",
            "${aws:username,'x'}",
            "${aws:username, 'x}",
            "${a b:c}",
        ] {
            assert!(Template::parse(wrong, true).is_err(), "{wrong}");
        }
    }
}
