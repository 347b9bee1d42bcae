//! Conditions on requests, and parts of objects.

use crate::Timestamp;

/// What `If-Match` and `If-None-Match` name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EtagCondition {
    /// `*`: whatever is there.
    Any,
    /// An ETag, without quotes.
    Etag(String),
}

impl EtagCondition {
    fn matches(&self, etag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Etag(wanted) => wanted == etag,
        }
    }
}

/// Conditions of a reader.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadConditions {
    /// `If-Match`.
    pub if_match: Option<EtagCondition>,
    /// `If-None-Match`.
    pub if_none_match: Option<EtagCondition>,
    /// `If-Modified-Since`.
    pub if_modified_since: Option<Timestamp>,
    /// `If-Unmodified-Since`.
    pub if_unmodified_since: Option<Timestamp>,
}

/// Which way a condition was not met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotMet {
    /// The reader has it already: `304`.
    NotModified,
    /// `412`; the name is that of the header.
    Failed(&'static str),
}

impl ReadConditions {
    /// Whether an object fulfils them, in the order of RFC 9110 13.2.2. HTTP's times are whole seconds.
    ///
    /// # Errors
    /// [`NotMet`].
    pub fn check(&self, etag: &str, modified: Timestamp) -> Result<(), NotMet> {
        let seconds = |time: Timestamp| time.millis().div_euclid(1000);
        match (&self.if_match, self.if_unmodified_since) {
            (Some(condition), _) if !condition.matches(etag) => return Err(NotMet::Failed("If-Match")),
            (None, Some(since)) if seconds(modified) > seconds(since) => {
                return Err(NotMet::Failed("If-Unmodified-Since"));
            }
            _ => {}
        }
        match (&self.if_none_match, self.if_modified_since) {
            (Some(condition), _) if condition.matches(etag) => Err(NotMet::NotModified),
            (None, Some(since)) if seconds(modified) <= seconds(since) => Err(NotMet::NotModified),
            _ => Ok(()),
        }
    }
}

/// Conditions of a writer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteConditions {
    /// `If-Match`: there must be an object with this ETag.
    pub if_match: Option<EtagCondition>,
    /// `If-None-Match`: `*` is that there must be none.
    pub if_none_match: Option<EtagCondition>,
}

impl WriteConditions {
    /// Whether there are any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.if_match.is_none() && self.if_none_match.is_none()
    }

    /// Whether they are fulfilled by what is there now: the ETag of the newest version, `None` for no object (or a delete
    /// marker). The name is that of the header that is not.
    ///
    /// # Errors
    /// The header's name.
    pub fn check(&self, etag: Option<&str>) -> Result<(), &'static str> {
        if let Some(condition) = &self.if_match
            && !etag.is_some_and(|etag| condition.matches(etag))
        {
            return Err("If-Match");
        }
        if let Some(condition) = &self.if_none_match
            && etag.is_some_and(|etag| condition.matches(etag))
        {
            return Err("If-None-Match");
        }
        Ok(())
    }
}

/// A part of an object, as `Range` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// `bytes=first-last`, both included; without a last one to the end.
    From {
        /// First byte.
        first: u64,
        /// Last byte.
        last: Option<u64>,
    },
    /// `bytes=-n`: the last bytes.
    Suffix(u64),
}

impl ByteRange {
    /// Of an object of `size` bytes: the first byte and the one behind the last. `None`: the object has nothing of it.
    #[must_use]
    pub fn of(self, size: u64) -> Option<(u64, u64)> {
        match self {
            Self::From { first, last } => {
                let end = last.map_or(size, |last| last.saturating_add(1)).min(size);
                (first < end).then_some((first, end))
            }
            Self::Suffix(length) => (length > 0 && size > 0).then(|| (size.saturating_sub(length), size)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_at_the_end() {
        let from = |first, last| ByteRange::From { first, last };
        assert_eq!(from(0, Some(3)).of(10), Some((0, 4)));
        assert_eq!(from(8, Some(u64::MAX)).of(10), Some((8, 10)));
        assert_eq!(from(9, None).of(10), Some((9, 10)));
        assert_eq!(from(10, None).of(10), None);
        assert_eq!(from(5, Some(4)).of(10), None);
        assert_eq!(from(0, None).of(0), None);
        assert_eq!(ByteRange::Suffix(3).of(10), Some((7, 10)));
        assert_eq!(ByteRange::Suffix(30).of(10), Some((0, 10)));
        assert_eq!(ByteRange::Suffix(0).of(10), None);
    }

    #[test]
    fn readers_conditions_go_in_order() {
        let time = Timestamp::from_millis;
        let etag = |text: &str| Some(EtagCondition::Etag(text.to_owned()));
        let check = |c: ReadConditions| c.check("e", time(5_500));
        let none = ReadConditions::default();
        assert_eq!(check(none.clone()), Ok(()));
        assert_eq!(check(ReadConditions { if_match: etag("x"), ..none.clone() }), Err(NotMet::Failed("If-Match")));
        assert_eq!(check(ReadConditions { if_none_match: etag("e"), ..none.clone() }), Err(NotMet::NotModified));
        assert_eq!(
            check(ReadConditions { if_none_match: Some(EtagCondition::Any), ..none.clone() }),
            Err(NotMet::NotModified)
        );
        // The same second is not later.
        let since = |ms| ReadConditions { if_modified_since: Some(time(ms)), ..none.clone() };
        assert_eq!(check(since(5_000)), Err(NotMet::NotModified));
        assert_eq!(check(since(4_999)), Ok(()));
        // A matching ETag overrules the time.
        let both = ReadConditions { if_match: etag("e"), if_unmodified_since: Some(time(0)), ..none.clone() };
        assert_eq!(check(both), Ok(()));
        assert_eq!(
            check(ReadConditions { if_unmodified_since: Some(time(0)), ..none }),
            Err(NotMet::Failed("If-Unmodified-Since"))
        );
    }

    #[test]
    fn writers_may_ask_for_nothing_being_there() {
        let none = WriteConditions::default();
        let absent = WriteConditions { if_none_match: Some(EtagCondition::Any), ..none.clone() };
        assert_eq!(absent.check(None), Ok(()));
        assert_eq!(absent.check(Some("e")), Err("If-None-Match"));
        let same = WriteConditions { if_match: Some(EtagCondition::Etag("e".to_owned())), ..none };
        assert_eq!(same.check(Some("e")), Ok(()));
        assert_eq!(same.check(Some("f")), Err("If-Match"));
        assert_eq!(same.check(None), Err("If-Match"));
    }
}
