//! Which images a lifecycle policy is done with, as AWS describes it: all rules look at all images, the one with the lowest
//! number first; an image that a rule is about by its tags is left alone by all rules behind it; what an index names stays
//! as long as the index.

use std::collections::BTreeSet;

use super::rules::{Count, Rules};
use crate::lifecycle::Millis;

const DAY: Millis = 24 * 60 * 60 * 1000;

/// An image, as rules look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) digest: String,
    pub(super) tags: Vec<String>,
    pub(super) pushed_ms: Millis,
    pub(super) pulled_ms: Option<Millis>,
    /// An index names it.
    pub(super) is_needed: bool,
}

/// An image that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expired {
    pub(super) digest: String,
    /// The rule that says so.
    pub(super) priority: u32,
}

/// The images that go, by digest.
pub(super) fn evaluate(rules: &Rules, images: &[Candidate], now: Millis) -> Vec<Expired> {
    let mut claimed = BTreeSet::new();
    let mut expired = Vec::new();
    for rule in &rules.0 {
        let mut about: Vec<&Candidate> = images.iter().filter(|image| rule.tags.matches(&image.tags)).collect();
        about.sort_by(|a, b| (b.pushed_ms, &b.digest).cmp(&(a.pushed_ms, &a.digest)));
        let is_older = |since: Millis, days: u32| now.saturating_sub(since) > Millis::from(days).saturating_mul(DAY);
        for (n, image) in about.iter().enumerate() {
            let goes = match rule.count {
                Count::MoreThan(most) => n >= most,
                Count::SincePushed(days) => is_older(image.pushed_ms, days),
                Count::SincePulled(days) => is_older(image.pulled_ms.unwrap_or(image.pushed_ms), days),
            };
            if goes && !image.is_needed && !claimed.contains(image.digest.as_str()) {
                expired.push(Expired { digest: image.digest.clone(), priority: rule.priority });
            }
        }
        claimed.extend(about.iter().map(|image| image.digest.as_str()));
    }
    expired.sort_by(|a, b| a.digest.cmp(&b.digest));
    expired
}

#[cfg(test)]
mod tests {
    use super::{
        super::rules::{Rule, Tags},
        *,
    };

    fn image(digest: &str, tags: &[&str], days_ago: i64) -> Candidate {
        Candidate {
            digest: digest.to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            pushed_ms: -days_ago * DAY,
            pulled_ms: None,
            is_needed: false,
        }
    }

    fn gone(rules: &[(u32, Tags, Count)], images: &[Candidate]) -> Vec<(String, u32)> {
        let rules =
            rules.iter().map(|(priority, tags, count)| Rule { priority: *priority, tags: tags.clone(), count: *count });
        evaluate(&Rules(rules.collect()), images, 0).into_iter().map(|gone| (gone.digest, gone.priority)).collect()
    }

    fn prefixes(all: &[&str]) -> Tags {
        Tags::Prefixes(all.iter().map(|text| (*text).to_owned()).collect())
    }

    #[test]
    fn the_oldest_go_and_as_many_stay() {
        let images = [image("a", &["x"], 3), image("b", &[], 1), image("c", &["y"], 2)];
        assert_eq!(gone(&[(1, Tags::Any, Count::MoreThan(2))], &images), [("a".to_owned(), 1)]);
        assert_eq!(gone(&[(1, Tags::Any, Count::MoreThan(3))], &images), []);
        assert_eq!(gone(&[(1, Tags::Untagged, Count::MoreThan(1))], &images), []);
    }

    #[test]
    fn an_image_is_as_old_as_its_push() {
        let mut images = [image("a", &[], 14), image("b", &[], 15), image("c", &["x"], 99)];
        images[0].pushed_ms += 1;
        assert_eq!(gone(&[(1, Tags::Untagged, Count::SincePushed(14))], &images), [("b".to_owned(), 1)]);
        images[0].pushed_ms -= 2;
        let both = [("a".to_owned(), 1), ("b".to_owned(), 1)];
        assert_eq!(gone(&[(1, Tags::Untagged, Count::SincePushed(14))], &images), both);
        images[1].pulled_ms = Some(-DAY);
        assert_eq!(gone(&[(1, Tags::Untagged, Count::SincePulled(14))], &images), [("a".to_owned(), 1)]);
    }

    #[test]
    fn what_a_rule_before_is_about_others_leave_alone() {
        let images = [image("a", &["prod-1"], 30), image("b", &["prod-2"], 20), image("c", &["x"], 10)];
        let rules = [(1, prefixes(&["prod-"]), Count::MoreThan(5)), (2, Tags::Any, Count::SincePushed(5))];
        assert_eq!(gone(&rules, &images), [("c".to_owned(), 2)]);
        // Counted by the later rule all the same, as if they had not expired.
        let rules = [(1, prefixes(&["prod-"]), Count::SincePushed(25)), (2, Tags::Any, Count::MoreThan(1))];
        assert_eq!(gone(&rules, &images), [("a".to_owned(), 1)]);
        let rules = [(1, prefixes(&["prod-", "other-"]), Count::MoreThan(1)), (2, Tags::Any, Count::MoreThan(2))];
        assert_eq!(gone(&rules, &images), [("a".to_owned(), 2)], "not about it: it needs tags with all prefixes");
    }

    #[test]
    fn what_an_index_names_stays() {
        let mut images = [image("a", &[], 30), image("b", &[], 30)];
        images[0].is_needed = true;
        assert_eq!(gone(&[(1, Tags::Any, Count::SincePushed(1))], &images), [("b".to_owned(), 1)]);
    }
}
