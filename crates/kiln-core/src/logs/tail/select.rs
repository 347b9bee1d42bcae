//! Which streams a session follows.

/// Groups, and streams of them.
#[derive(Debug)]
pub(super) struct Selection {
    /// Names, and what the client calls them.
    groups: Vec<(String, String)>,
    names: Vec<String>,
    prefixes: Vec<String>,
}

impl Selection {
    /// All streams of these groups where there are neither names nor prefixes.
    pub(super) fn new(groups: Vec<(String, String)>, names: Vec<String>, prefixes: Vec<String>) -> Self {
        Self { groups, names, prefixes }
    }

    /// What the client calls the group of a stream that it follows.
    pub(super) fn find(&self, group: &str, stream: &str) -> Option<&str> {
        let (_, identifier) = self.groups.iter().find(|(name, _)| name == group)?;
        let is_all = self.names.is_empty() && self.prefixes.is_empty();
        let is_wanted = is_all
            || self.names.iter().any(|name| name == stream)
            || self.prefixes.iter().any(|prefix| stream.starts_with(prefix.as_str()));
        is_wanted.then_some(identifier.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_chosen_by_group_name_and_prefix() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let groups = || vec![("a".to_owned(), "arn:a".to_owned()), ("b".to_owned(), "b".to_owned())];
        let all = Selection::new(groups(), vec![], vec![]);
        assert_eq!(all.find("a", "s"), Some("arn:a"));
        assert_eq!(all.find("b", ""), Some("b"));
        assert_eq!(all.find("ab", "s"), None);
        let named = Selection::new(groups(), texts(&["s", "t"]), vec![]);
        assert_eq!((named.find("a", "t"), named.find("a", "tt")), (Some("arn:a"), None));
        let begun = Selection::new(groups(), vec![], texts(&["x/", "y"]));
        assert_eq!((begun.find("a", "x/1"), begun.find("a", "ax/1")), (Some("arn:a"), None));
    }
}
