//! What was said of the keys: in the file, in variables, by flags. The later wins; each knows where it was said.

use std::{collections::BTreeMap, ffi::OsString, fmt, path::PathBuf};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Problem,
    keys::{self, KEYS},
};

/// Where something was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// In the file, at a line from 1; 0: the file as a whole.
    File(PathBuf, usize),
    /// In a variable.
    Variable(String),
    /// By a flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, 0) => write!(f, "{}", path.display()),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A value, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// One.
    Text(String),
    /// A list.
    List(Vec<String>),
    /// Something else of the file's: its type.
    Other(&'static str),
}

impl Value {
    pub(super) fn text(&self) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::List(_) => Err("is a list, where one value is wanted".to_owned()),
            Self::Other(kind) => Err(format!("is a {kind}, where one value is wanted")),
        }
    }

    pub(super) fn list(&self) -> Result<&[String], String> {
        match self {
            Self::List(items) => Ok(items),
            Self::Text(text) => Err(format!("'{text}' is no list: write [\"{text}\"]")),
            Self::Other(kind) => Err(format!("is a {kind}, where a list of texts is wanted")),
        }
    }
}

/// A value with its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// All that was said.
#[derive(Debug, Default)]
pub(crate) struct Raw {
    given: BTreeMap<&'static str, Given>,
    external: Vec<(Origin, Self)>,
    problems: Vec<Problem>,
}

impl Raw {
    /// Takes what a file says.
    pub(crate) fn file(mut self, path: &std::path::Path, text: &str) -> Self {
        let line = |at: usize| 1 + text.get(..at).unwrap_or(text).matches('\n').count();
        let origin = |at: usize| Origin::File(path.to_owned(), line(at));
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            self.problems.push(Problem { origin: origin(at), text: error.message().to_owned() });
        }
        self.table("", table.get_ref(), &origin);
        self
    }

    fn table(&mut self, prefix: &str, table: &DeTable<'_>, origin: &dyn Fn(usize) -> Origin) {
        // In the order of the file, not of the alphabet.
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in entries {
            let path =
                if prefix.is_empty() { name.get_ref().to_string() } else { format!("{prefix}.{}", name.get_ref()) };
            let at = name.span().start;
            if let Some(key) = KEYS.iter().find(|key| key.path == path) {
                self.given.insert(key.path, Given { value: value_of(value.get_ref()), origin: origin(at) });
                continue;
            }
            if path == keys::EXTERNAL
                && let DeValue::Array(tables) = value.get_ref()
            {
                self.external(tables, origin);
                continue;
            }
            let inner = format!("{path}.");
            match value.get_ref() {
                DeValue::Table(table) if KEYS.iter().any(|key| key.path.starts_with(&inner)) => {
                    self.table(&path, table, origin);
                }
                _ => self.problems.push(Problem { origin: origin(at), text: unknown(&path) }),
            }
        }
    }

    fn external(&mut self, tables: &[Spanned<DeValue<'_>>], origin: &dyn Fn(usize) -> Origin) {
        for table in tables {
            let at = origin(table.span().start);
            let DeValue::Table(table) = table.get_ref() else {
                let text = format!("{} is a list of tables: write [[{}]]", keys::EXTERNAL, keys::EXTERNAL);
                self.problems.push(Problem { origin: at, text });
                continue;
            };
            let mut inner = Self::default();
            for (name, value) in table {
                let origin = origin(name.span().start);
                let path = format!("{}.{}", keys::EXTERNAL, name.get_ref());
                match keys::EXTERNAL_KEYS.iter().find(|key| key.path == path) {
                    Some(key) => drop(inner.given.insert(key.path, Given { value: value_of(value.get_ref()), origin })),
                    None => self.problems.push(Problem { origin, text: unknown(&path) }),
                }
            }
            self.external.push((at, inner));
        }
    }

    /// Takes what variables say. Those that are empty count as not set.
    pub(crate) fn variables(mut self, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let mut said: Vec<(String, OsString)> = variables
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| name.starts_with("KILN_") && !keys::is_for_others(name))
            .collect();
        said.sort();
        for (name, value) in said {
            let origin = Origin::Variable(name.clone());
            let Some(key) = KEYS.iter().find(|key| key.variable() == name) else {
                self.problems.push(Problem { origin, text: "no such variable; see docs/configuration.md".to_owned() });
                continue;
            };
            let Ok(text) = value.into_string() else {
                self.problems.push(Problem { origin, text: "is not UTF-8".to_owned() });
                continue;
            };
            let value = if key.list {
                Value::List(
                    text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect(),
                )
            } else {
                Value::Text(text)
            };
            self.given.insert(key.path, Given { value, origin });
        }
        self
    }

    /// Takes what a flag says.
    pub(crate) fn flag(mut self, flag: &'static str, key: &'static str, text: Option<&str>) -> Self {
        if let Some(text) = text {
            self.given.insert(key, Given { value: Value::Text(text.to_owned()), origin: Origin::Flag(flag) });
        }
        self
    }

    pub(super) fn take(&mut self, key: &str) -> Option<Given> {
        self.given.remove(key)
    }

    pub(super) fn origin(&self, key: &str) -> Option<Origin> {
        self.given.get(key).map(|given| given.origin.clone())
    }

    /// The tables `[[external_s3]]`, each with the place where it stands.
    pub(super) fn take_external(&mut self) -> Vec<(Origin, Self)> {
        std::mem::take(&mut self.external)
    }

    /// What was wrong so far.
    pub(super) fn problems(&mut self) -> Vec<Problem> {
        std::mem::take(&mut self.problems)
    }
}

fn value_of(value: &DeValue<'_>) -> Value {
    let scalar = |value: &DeValue<'_>| match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().replace('_', "")),
        DeValue::Float(number) => Some(number.as_str().replace('_', "")),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        _ => None,
    };
    let text = |item: &Spanned<DeValue<'_>>| item.get_ref().as_str().map(ToOwned::to_owned);
    match value {
        DeValue::Array(items) => match items.iter().map(text).collect() {
            Some(items) => Value::List(items),
            None => Value::Other("list of other things than texts"),
        },
        value => scalar(value).map_or_else(|| Value::Other(value.type_str()), Value::Text),
    }
}

fn unknown(path: &str) -> String {
    match keys::nearest(path) {
        Some(near) => format!("there is no key '{path}'; did you mean '{near}'?"),
        None => format!("there is no key '{path}'; docs/configuration.md has them all"),
    }
}
