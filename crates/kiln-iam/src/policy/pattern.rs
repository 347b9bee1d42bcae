//! Texts with `*` and `?`.

/// A unit of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Atom {
    /// Exactly this character.
    Char(char),
    /// `?`: any one character.
    One,
    /// `*`: any characters, also none.
    Many,
}

/// The atoms of a text in which `*` and `?` have their meaning.
pub(super) fn atoms(text: &str) -> impl Iterator<Item = Atom> + Clone + '_ {
    atoms_of(text, false)
}

/// The atoms of a text in which `*` and `?` have their meaning, or none if it is literal.
pub(super) fn atoms_of(text: &str, is_literal: bool) -> impl Iterator<Item = Atom> + Clone + '_ {
    text.chars().map(move |c| match c {
        '*' if !is_literal => Atom::Many,
        '?' if !is_literal => Atom::One,
        other => Atom::Char(other),
    })
}

/// A pattern that texts are matched with, as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob {
    /// What every match begins with: most patterns that do not match fail here, at once.
    prefix: Box<str>,
    rest: Box<[Atom]>,
}

impl Glob {
    pub(super) fn new(atoms: impl IntoIterator<Item = Atom>) -> Self {
        let mut atoms = atoms.into_iter().peekable();
        let mut prefix = String::new();
        while let Some(Atom::Char(c)) = atoms.next_if(|atom| matches!(atom, Atom::Char(_))) {
            prefix.push(c);
        }
        // Two stars in a row say what one says.
        let mut rest: Vec<Atom> = atoms.collect();
        rest.dedup_by(|a, b| *a == Atom::Many && *b == Atom::Many);
        Self { prefix: prefix.into(), rest: rest.into() }
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        text.strip_prefix(&*self.prefix).is_some_and(|rest| match &*self.rest {
            [] => rest.is_empty(),
            [Atom::Many] => true,
            atoms => matches_all(atoms.iter().copied(), rest),
        })
    }
}

/// Goes through both from the left. After a mismatch only the last star takes one character more, since whatever an
/// earlier one could take the last one can take as well: time is at most the product of the lengths.
pub(super) fn matches_all(mut atoms: impl Iterator<Item = Atom> + Clone, text: &str) -> bool {
    let mut here = text.chars();
    let mut retry = None;
    loop {
        let (mut after, mut next) = (atoms.clone(), here.clone());
        match (after.next(), next.next()) {
            (Some(Atom::Many), _) => {
                if after.clone().next().is_none() {
                    return true;
                }
                retry = Some((after.clone(), here.clone()));
                atoms = after;
                continue;
            }
            (None, None) => return true,
            (Some(Atom::Char(wanted)), Some(c)) if wanted == c => {}
            (Some(Atom::One), Some(_)) => {}
            // The text is at its end: a star that takes more leaves still less of it.
            (Some(_), None) => return false,
            (_, Some(_)) => {
                let Some((resume, from)) = &mut retry else { return false };
                from.next();
                (after, next) = (resume.clone(), from.clone());
            }
        }
        (atoms, here) = (after, next);
    }
}

/// A pattern for ARNs: compared part by part, so that no star crosses a border (`security.md` 2.2). The last part is
/// everything after the fifth colon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ArnGlob([Glob; 6]);

impl ArnGlob {
    /// `None`: there are fewer than five colons.
    pub(super) fn new(atoms: impl IntoIterator<Item = Atom>) -> Option<Self> {
        let atoms: Vec<Atom> = atoms.into_iter().collect();
        let mut parts = atoms.splitn(6, |atom| *atom == Atom::Char(':'));
        let mut part = || parts.next().map(|part| Glob::new(part.iter().copied()));
        Some(Self([part()?, part()?, part()?, part()?, part()?, part()?]))
    }

    pub(super) fn matches(&self, arn: &ArnText<'_>) -> bool {
        self.0.iter().zip(&arn.0).all(|(glob, part)| glob.matches(part))
    }
}

/// An ARN in its six parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct ArnText<'a>([&'a str; 6]);

impl<'a> ArnText<'a> {
    /// `None`: the text is not an ARN.
    pub(super) fn new(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let mut part = || parts.next();
        let arn = Self([part()?, part()?, part()?, part()?, part()?, part()?]);
        (arn.0[0] == "arn").then_some(arn)
    }

    pub(super) fn service(&self) -> &'a str {
        self.0[2]
    }

    /// What is left of it behind the fifth colon, where the first five parts match.
    pub(super) fn local(&self, heads: &[Glob; 5]) -> Option<&'a str> {
        let [before @ .., local] = &self.0;
        heads.iter().zip(before).all(|(glob, part)| glob.matches(part)).then_some(*local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Glob::new(atoms(pattern)).matches(text)
    }

    #[test]
    fn stars_and_question_marks() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a/b:c", true),
            ("?", "ä", true),
            ("?", "", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "axxbyybzzc", true),
            ("a*b*c", "axxbyybzz", false),
            ("*ab", "aab", true),
            ("*a?", "aaab", true),
            ("**a", "ba", true),
            ("a?", "a", false),
            ("*?", "", false),
            ("*?*", "x", true),
            ("abc", "ab", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let pattern = "a*".repeat(1_000) + "b";
        assert!(!matches(&pattern, &"a".repeat(10_000)));
    }

    #[test]
    fn stars_stay_within_their_part_of_an_arn() {
        let arn =
            |pattern: &str, text: &str| ArnGlob::new(atoms(pattern)).unwrap().matches(&ArnText::new(text).unwrap());
        assert!(arn("arn:aws:s3:::b/*", "arn:aws:s3:::b/x:y/z"));
        assert!(arn("arn:*:s3:*:*:b", "arn:aws:s3:::b"));
        assert!(!arn("arn:aws:iam::*:role/a", "arn:aws:iam::1:2:role/a"));
        assert!(ArnGlob::new(atoms("arn:aws:s3:*:b")).is_none());
        assert!(ArnText::new("urn:aws:s3:::b").is_none() && ArnText::new("arn:aws:s3").is_none());
    }
}
