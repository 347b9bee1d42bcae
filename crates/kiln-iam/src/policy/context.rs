//! The condition keys of a request.

/// What is known of a request beside who sent it and what it asks for: `aws:SourceIp`, `codebuild:serviceRole`, …
///
/// Names are compared without regard to case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// In order.
    keys: Vec<(KeyName, Values)>,
}

/// The name of a key: folded, so that letters' case does not count. Policies ask for thousands of names, most of which a
/// request does not have: they are compared by a number that was made of them when the policy was read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct KeyName {
    number: u64,
    text: Box<str>,
}

impl KeyName {
    pub(super) fn new(name: &str) -> Self {
        let text = name.to_lowercase();
        // FNV-1a. Names with the same number, which a caller could choose for tags, are still told apart by their text.
        let number = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |number, byte| {
            (number ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self { number, text: text.into() }
    }

    /// In lower case.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
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
        self.put(KeyName::new(name), Values::One(value.into()));
    }

    fn put(&mut self, name: KeyName, values: Values) {
        match self.keys.binary_search_by(|(known, _)| known.cmp(&name)) {
            Ok(at) => {
                if let Some((_, known)) = self.keys.get_mut(at) {
                    *known = values;
                }
            }
            Err(at) => self.keys.insert(at, (name, values)),
        }
    }

    /// Sets a key that may have several values. Without any it is as if it was not set.
    pub fn set_many(&mut self, name: &str, values: impl IntoIterator<Item = impl Into<String>>) {
        let values: Vec<String> = values.into_iter().map(Into::into).collect();
        if !values.is_empty() {
            self.put(KeyName::new(name), Values::Many(values));
        }
    }

    /// Whether the key is set.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(&KeyName::new(name)).is_some()
    }

    /// The values of a key.
    pub(super) fn get(&self, name: &KeyName) -> Option<&Values> {
        let at = self.keys.binary_search_by(|(known, _)| known.cmp(name)).ok()?;
        self.keys.get(at).map(|(_, values)| values)
    }

    /// The value of a key as variables take it: a single one that is not empty.
    pub(super) fn single(&self, name: &KeyName) -> Option<&str> {
        match self.get(name) {
            Some(Values::One(value)) if !value.is_empty() => Some(value),
            _ => None,
        }
    }
}
