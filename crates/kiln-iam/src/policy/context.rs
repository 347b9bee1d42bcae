//! The condition keys of a request.

use std::collections::HashMap;

/// What is known of a request beside who sent it and what it asks for: `aws:SourceIp`, `codebuild:serviceRole`, …
///
/// Names are compared without regard to case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    keys: HashMap<String, Values>,
}

/// What a key has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Values {
    One(String),
    /// Of a key that may have several, however many it has.
    Many(Vec<String>),
}

impl Context {
    /// No keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key that has one value.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.keys.insert(folded(name), Values::One(value.into()));
    }

    /// Sets a key that may have several values. Without any it is as if it was not set.
    pub fn set_many(&mut self, name: &str, values: impl IntoIterator<Item = impl Into<String>>) {
        let values: Vec<String> = values.into_iter().map(Into::into).collect();
        if !values.is_empty() {
            self.keys.insert(folded(name), Values::Many(values));
        }
    }

    /// Whether the key is set.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.keys.contains_key(&folded(name))
    }

    /// The values of a key whose name is [`folded`].
    pub(super) fn get(&self, name: &str) -> Option<&Values> {
        self.keys.get(name)
    }

    /// The value of a key as variables take it: a single one that is not empty. The name is [`folded`].
    pub(super) fn single(&self, name: &str) -> Option<&str> {
        match self.keys.get(name) {
            Some(Values::One(value)) if !value.is_empty() => Some(value),
            _ => None,
        }
    }
}

/// A key's name in the form in which names are compared.
pub(super) fn folded(name: &str) -> String {
    name.to_lowercase()
}
