//! Lifecycle policies as they are written.

use std::collections::BTreeSet;

use serde::Deserialize;

/// Rules of a policy (ECR's quota).
const MOST_RULES: usize = 50;
/// Prefixes or patterns of a rule, and wildcards of a pattern.
const MOST_TAGS: usize = 100;
const MOST_WILDCARDS: usize = 4;

/// The rules of a policy, by priority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rules(pub(super) Vec<Rule>);

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) priority: u32,
    pub(super) tags: Tags,
    pub(super) count: Count,
}

/// Which images a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tags {
    /// All.
    Any,
    /// Those without tags.
    Untagged,
    /// Those that have, for each of these, a tag that begins so.
    Prefixes(Vec<String>),
    /// Those that have, for each of these, a tag that is like it.
    Patterns(Vec<String>),
}

/// Which of them go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Count {
    /// The oldest, so that as many stay.
    MoreThan(usize),
    /// Those that were pushed longer ago, days.
    SincePushed(u32),
    /// Those that were pulled, or else pushed, longer ago, days.
    SincePulled(u32),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Written {
    rules: Vec<WrittenRule>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenRule {
    rule_priority: u32,
    #[serde(default)]
    #[expect(dead_code, reason = "for people")]
    description: Option<String>,
    selection: Selection,
    action: Action,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Selection {
    tag_status: String,
    tag_prefix_list: Option<Vec<String>>,
    tag_pattern_list: Option<Vec<String>>,
    count_type: String,
    count_unit: Option<String>,
    count_number: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Action {
    r#type: String,
}

/// Whether a tag is like a pattern, in which `*` stands for any characters.
pub(in super::super) fn is_like(tag: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| tag.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

impl Tags {
    /// Whether a rule is about an image with these tags.
    pub(super) fn matches(&self, tags: &[String]) -> bool {
        match self {
            Self::Any => true,
            Self::Untagged => tags.is_empty(),
            Self::Prefixes(all) => all.iter().all(|prefix| tags.iter().any(|tag| tag.starts_with(prefix))),
            Self::Patterns(all) => all.iter().all(|pattern| tags.iter().any(|tag| is_like(tag, pattern))),
        }
    }
}

impl Rules {
    /// Reads a policy.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let written: Written = serde_json::from_str(text).map_err(|e| format!("the policy cannot be read: {e}"))?;
        if written.rules.is_empty() || written.rules.len() > MOST_RULES {
            return Err(format!("a policy has 1 to {MOST_RULES} rules; it has {}", written.rules.len()));
        }
        let mut rules = written.rules.into_iter().map(Rule::read).collect::<Result<Vec<_>, _>>()?;
        rules.sort_by_key(|rule| rule.priority);
        let priorities: BTreeSet<u32> = rules.iter().map(|rule| rule.priority).collect();
        if priorities.len() < rules.len() {
            return Err("rulePriority must be another one in each rule".to_owned());
        }
        let untagged = rules.iter().filter(|rule| rule.tags == Tags::Untagged).count();
        if untagged > 1 {
            return Err("only one rule can select images whose tagStatus is untagged".to_owned());
        }
        if rules.iter().rev().skip(1).any(|rule| rule.tags == Tags::Any) {
            return Err(
                "a rule whose tagStatus is any must have the highest rulePriority, and be the only one".to_owned()
            );
        }
        Ok(Self(rules))
    }
}

impl Rule {
    fn read(written: WrittenRule) -> Result<Self, String> {
        let WrittenRule { rule_priority: priority, selection, action, .. } = written;
        let at = |problem: String| format!("rule {priority}: {problem}");
        if priority == 0 {
            return Err(at("rulePriority is at least 1".to_owned()));
        }
        if action.r#type != "expire" {
            return Err(at(format!("the action '{}' is not available: use expire", shown(&action.r#type))));
        }
        let tags = match (selection.tag_status.as_str(), selection.tag_prefix_list, selection.tag_pattern_list) {
            ("any", None, None) => Tags::Any,
            ("untagged", None, None) => Tags::Untagged,
            ("tagged", Some(prefixes), None) => Tags::Prefixes(checked(prefixes).map_err(at)?),
            ("tagged", None, Some(patterns)) => {
                if patterns.iter().any(|pattern| pattern.matches('*').count() > MOST_WILDCARDS) {
                    return Err(at(format!("a pattern has at most {MOST_WILDCARDS} wildcards")));
                }
                Tags::Patterns(checked(patterns).map_err(at)?)
            }
            ("tagged", ..) => {
                return Err(at(
                    "with tagStatus tagged exactly one of tagPrefixList and tagPatternList is needed".to_owned()
                ));
            }
            ("any" | "untagged", ..) => {
                return Err(at("tagPrefixList and tagPatternList are for tagStatus tagged".to_owned()));
            }
            (other, ..) => return Err(at(format!("'{}' is no tagStatus: tagged, untagged or any", shown(other)))),
        };
        if selection.count_number == 0 {
            return Err(at("countNumber is at least 1".to_owned()));
        }
        let days = selection.count_number;
        let count = match (selection.count_type.as_str(), selection.count_unit.as_deref()) {
            ("imageCountMoreThan", None) => Count::MoreThan(usize::try_from(days).unwrap_or(usize::MAX)),
            ("imageCountMoreThan", Some(_)) => {
                return Err(at("countUnit is for countType sinceImagePushed and sinceImagePulled".to_owned()));
            }
            ("sinceImagePushed", Some("days")) => Count::SincePushed(days),
            ("sinceImagePulled", Some("days")) => Count::SincePulled(days),
            ("sinceImagePushed" | "sinceImagePulled", _) => return Err(at("countUnit must be days".to_owned())),
            (other, _) => {
                return Err(at(format!(
                    "'{}' is no countType that is available: imageCountMoreThan, sinceImagePushed or sinceImagePulled",
                    shown(other)
                )));
            }
        };
        Ok(Self { priority, tags, count })
    }
}

fn checked(tags: Vec<String>) -> Result<Vec<String>, String> {
    if tags.is_empty() || tags.len() > MOST_TAGS || tags.iter().any(String::is_empty) {
        return Err(format!("tagPrefixList and tagPatternList have 1 to {MOST_TAGS} texts that are not empty"));
    }
    Ok(tags)
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn policy(selection: &Value) -> String {
        json!({ "rules": [{ "rulePriority": 1, "selection": selection, "action": { "type": "expire" } }] }).to_string()
    }

    #[test]
    fn rules_are_read_in_the_order_of_their_priority() {
        let rules = json!({ "rules": [
            { "rulePriority": 20, "selection": { "tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 3 },
              "action": { "type": "expire" } },
            { "rulePriority": 10, "description": "d", "selection": { "tagStatus": "tagged", "tagPatternList": ["v*"],
              "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 14 }, "action": { "type": "expire" } },
        ]});
        let rules = Rules::parse(&rules.to_string()).unwrap().0;
        assert_eq!(
            rules,
            [
                Rule { priority: 10, tags: Tags::Patterns(vec!["v*".to_owned()]), count: Count::SincePushed(14) },
                Rule { priority: 20, tags: Tags::Any, count: Count::MoreThan(3) },
            ]
        );
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        let good = json!({ "tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 1 });
        assert!(Rules::parse(&policy(&good)).is_ok());
        for (member, value, expected) in [
            ("tagStatus", json!("some"), "no tagStatus"),
            ("tagStatus", json!("tagged"), "exactly one"),
            ("tagPrefixList", json!(["a"]), "for tagStatus tagged"),
            ("countType", json!("sinceImagePushed"), "days"),
            ("countType", json!("ever"), "no countType"),
            ("countUnit", json!("days"), "countUnit is for"),
            ("countNumber", json!(0), "at least 1"),
            ("countNumber", json!(-1), "cannot be read"),
            ("more", json!(1), "cannot be read"),
        ] {
            let mut bad = good.clone();
            bad[member] = value;
            let error = Rules::parse(&policy(&bad)).unwrap_err();
            assert!(error.contains(expected), "{member}: {error}");
        }
        let two = |a: u32, b: u32, status: &str| {
            let rule = |priority: u32| {
                json!({ "rulePriority": priority, "action": { "type": "expire" }, "selection":
                { "tagStatus": status, "countType": "imageCountMoreThan", "countNumber": 1 } })
            };
            Rules::parse(&json!({ "rules": [rule(a), rule(b)] }).to_string()).unwrap_err()
        };
        assert!(two(1, 1, "any").contains("another one"));
        assert!(two(1, 2, "untagged").contains("only one"));
        assert!(two(1, 2, "any").contains("highest"));
        for text in ["", "{}", "[]", r#"{"rules":[]}"#] {
            assert!(Rules::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn patterns_have_stars() {
        for (tag, pattern) in
            [("v1.2", "v*"), ("v1.2", "*.2"), ("v1.2", "v*.*"), ("v", "v*"), ("abc", "abc"), ("aXbXc", "a*b*c")]
        {
            assert!(is_like(tag, pattern), "{tag} {pattern}");
        }
        for (tag, pattern) in [("v1", "w*"), ("v1", "v"), ("ab", "a*b*b"), ("", "a*"), ("xv", "v*")] {
            assert!(!is_like(tag, pattern), "{tag} {pattern}");
        }
    }
}
