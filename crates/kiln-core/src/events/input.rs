//! What a target is given: a constant, a part of the event, or a text made of parts of the event. Pure functions.

use std::collections::BTreeMap;

use kiln_model::events::InputTransformer;
use serde_json::Value;

/// A path into an event: `$.detail.build-id`, `$.resources[0]`, `$.detail['a.b']`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    Item(usize),
}

impl Path {
    /// `None`: that is no path.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix('$')?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(behind) = rest.strip_prefix('.') {
                let end = behind.find(['.', '[']).unwrap_or(behind.len());
                let (name, behind) = behind.split_at_checked(end)?;
                if name.is_empty() || name.contains(['*', ']', '\'', '"']) {
                    return None;
                }
                steps.push(Step::Member(name.to_owned()));
                rest = behind;
            } else {
                let behind = rest.strip_prefix('[')?;
                let quote = behind.chars().next().filter(|letter| ['\'', '"'].contains(letter));
                if let Some(quote) = quote {
                    let (name, behind) = behind.strip_prefix(quote)?.split_once(quote)?;
                    steps.push(Step::Member(name.to_owned()));
                    rest = behind.strip_prefix(']')?;
                } else {
                    let (number, behind) = behind.split_once(']')?;
                    steps.push(Step::Item(number.parse().ok().filter(|_| !number.starts_with('+'))?));
                    rest = behind;
                }
            }
        }
        Some(Self(steps))
    }

    /// What is there.
    pub(super) fn of<'a>(&self, event: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(event, |value, step| match step {
            Step::Member(name) => value.get(name),
            Step::Item(at) => value.get(at),
        })
    }
}

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// A name between `<` and `>`, inside of a text of JSON or not.
    Name {
        name: String,
        in_text: bool,
    },
}

/// What the names of a template mean beside those of the transformer.
const RESERVED: [&str; 5] = [
    "aws.events.rule-arn",
    "aws.events.rule-name",
    "aws.events.event.ingestion-time",
    "aws.events.event",
    "aws.events.event.json",
];

/// An input transformer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template {
    paths: BTreeMap<String, Path>,
    pieces: Vec<Piece>,
}

/// What of the rule a template may name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) rule_arn: &'a str,
    pub(super) rule_name: &'a str,
    /// When the event came: RFC 3339.
    pub(super) ingested: &'a str,
}

impl Template {
    /// Reads a transformer.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(transformer: &InputTransformer) -> Result<Self, String> {
        let mut paths = BTreeMap::new();
        for (name, path) in transformer.input_paths_map.iter().flatten() {
            if name.to_ascii_lowercase().starts_with("aws") {
                return Err(format!("InputPathsMap may not name {name}: names that begin with AWS are reserved"));
            }
            let path = Path::parse(path).ok_or_else(|| format!("InputPathsMap: '{path}' is no path of JSON"))?;
            paths.insert(name.clone(), path);
        }
        let pieces = pieces(&transformer.input_template);
        for piece in &pieces {
            if let Piece::Name { name, .. } = piece
                && !paths.contains_key(name)
                && !RESERVED.contains(&name.as_str())
            {
                return Err(format!("InputTemplate: <{name}> is in no InputPathsMap"));
            }
        }
        let template = Self { paths, pieces };
        // With something at each place it is JSON, whatever the events are.
        let tried = template.fill(|_| Some(Value::from(0)));
        if serde_json::from_str::<Value>(&tried).is_err() {
            return Err("InputTemplate is not JSON".to_owned());
        }
        Ok(template)
    }

    /// The text for an event. What a path does not lead to is `null`, and nothing inside of a text.
    pub(super) fn apply(&self, event: &Value, around: Surroundings<'_>) -> String {
        self.fill(|name| match (self.paths.get(name), name) {
            (Some(path), _) => path.of(event).cloned(),
            (None, "aws.events.rule-arn") => Some(around.rule_arn.into()),
            (None, "aws.events.rule-name") => Some(around.rule_name.into()),
            (None, "aws.events.event.ingestion-time") => Some(around.ingested.into()),
            (None, "aws.events.event") => {
                let mut event = event.clone();
                event.as_object_mut().map(|members| members.remove("detail"));
                Some(event)
            }
            (None, _) => Some(event.clone()),
        })
    }

    fn fill(&self, value: impl Fn(&str) -> Option<Value>) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Name { name, in_text: false } => {
                    text.push_str(&value(name).unwrap_or(Value::Null).to_string());
                }
                Piece::Name { name, in_text: true } => {
                    let inside = match value(name) {
                        Some(Value::String(text)) => text,
                        Some(other) => other.to_string(),
                        None => String::new(),
                    };
                    let quoted = Value::from(inside).to_string();
                    text.push_str(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default());
                }
            }
        }
        text
    }
}

/// Takes a template apart. A `<` that no name and `>` follow is a letter.
fn pieces(template: &str) -> Vec<Piece> {
    let (mut pieces, mut text, mut rest, mut in_text) = (Vec::new(), String::new(), template, false);
    let is_name = |name: &&str| {
        !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-.".contains(letter))
    };
    while let Some(letter) = rest.chars().next() {
        let behind = rest.get(letter.len_utf8()..).unwrap_or_default();
        if letter == '<'
            && let Some((name, after)) = behind.split_once('>').filter(|(name, _)| is_name(name))
        {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
            pieces.push(Piece::Name { name: name.to_owned(), in_text });
            rest = after;
            continue;
        }
        text.push(letter);
        rest = behind;
        match letter {
            '\\' if in_text => {
                if let Some(escaped) = rest.chars().next() {
                    text.push(escaped);
                    rest = rest.get(escaped.len_utf8()..).unwrap_or_default();
                }
            }
            '"' => in_text = !in_text,
            _ => {}
        }
    }
    pieces.push(Piece::Text(text));
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const AROUND: Surroundings<'_> = Surroundings {
        rule_arn: "arn:aws:events:us-east-1:000000000000:rule/r",
        rule_name: "r",
        ingested: "2026-11-27T07:30:00Z",
    };

    fn transformer(paths: &[(&str, &str)], template: &str) -> InputTransformer {
        let paths = paths.iter().map(|(name, path)| ((*name).to_owned(), (*path).to_owned())).collect();
        InputTransformer { input_paths_map: Some(paths), input_template: template.to_owned() }
    }

    fn event() -> Value {
        json!({
            "id": "1", "resources": ["a", "b"],
            "detail": { "commitId": "c0ffee", "n": 5, "quoted": "say \"hi\"\\", "list": [1, "x"], "a.b": { "c": true } },
        })
    }

    #[test]
    fn paths_lead_into_events() {
        let event = event();
        for (path, expected) in [
            ("$", Some(event.clone())),
            ("$.detail.commitId", Some(json!("c0ffee"))),
            ("$.resources[1]", Some(json!("b"))),
            ("$.detail['a.b'].c", Some(json!(true))),
            ("$[\"detail\"][\"n\"]", Some(json!(5))),
            ("$.resources[2]", None),
            ("$.nothing.there", None),
            ("$.id.x", None),
        ] {
            assert_eq!(Path::parse(path).unwrap().of(&event).cloned(), expected, "{path}");
        }
        for wrong in [
            "", "detail", "$detail", "$.", "$..x", "$.a[", "$.a[x]", "$.a[-1]", "$.a[+1]", "$.a['x]", "$.*", "$.a['x'",
            "$.a]",
        ] {
            assert_eq!(Path::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn templates_are_filled() {
        let paths = [
            ("commit", "$.detail.commitId"),
            ("n", "$.detail.n"),
            ("q", "$.detail.quoted"),
            ("list", "$.detail.list"),
            ("none", "$.detail.none"),
        ];
        for (template, expected) in [
            (r#"{"sourceVersion": <commit>}"#, r#"{"sourceVersion": "c0ffee"}"#),
            (r#"{"sourceVersion": "<commit>"}"#, r#"{"sourceVersion": "c0ffee"}"#),
            (r#"{"a": "v<n>-<commit>", "b": <n>, "c": <list>}"#, r#"{"a": "v5-c0ffee", "b": 5, "c": [1,"x"]}"#),
            (r#"{"a": "<q>", "b": <q>}"#, r#"{"a": "say \"hi\"\\", "b": "say \"hi\"\\"}"#),
            (r#"{"a": "<list>"}"#, r#"{"a": "[1,\"x\"]"}"#),
            (r#"{"a": <none>, "b": "<none>"}"#, r#"{"a": null, "b": ""}"#),
            (r#"{"a": "\"<n>\"", "b": "1 < 2 <> <a b>"}"#, r#"{"a": "\"5\"", "b": "1 < 2 <> <a b>"}"#),
            (
                r#"{"r": "<aws.events.rule-name>", "t": <aws.events.event.ingestion-time>}"#,
                r#"{"r": "r", "t": "2026-11-27T07:30:00Z"}"#,
            ),
            (r#""commit <commit>""#, r#""commit c0ffee""#),
        ] {
            let filled = Template::parse(&transformer(&paths, template)).unwrap().apply(&event(), AROUND);
            assert_eq!(filled, expected);
            serde_json::from_str::<Value>(&filled).unwrap();
        }
        let whole = Template::parse(&transformer(
            &[],
            r#"{"w": <aws.events.event.json>, "e": <aws.events.event>, "a": <aws.events.rule-arn>}"#,
        ));
        let filled: Value = serde_json::from_str(&whole.unwrap().apply(&event(), AROUND)).unwrap();
        assert_eq!((&filled["w"], &filled["e"]), (&event(), &json!({ "id": "1", "resources": ["a", "b"] })));
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for (paths, template, why) in [
            (vec![("a", "detail")], "<a>", "no path"),
            (vec![("awsx", "$.a")], "<awsx>", "reserved"),
            (vec![], "<a>", "<a> is in no InputPathsMap"),
            (vec![("a", "$.a")], "{\"x\": <a>", "not JSON"),
            (vec![("a", "$.a")], "plain <a>", "not JSON"),
        ] {
            let error = Template::parse(&transformer(&paths, template)).unwrap_err();
            assert!(error.contains(why), "{template}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_an_event_holds_stays_inside_of_its_text(text in any::<String>()) {
            let template = Template::parse(&transformer(&[("x", "$.x")], r#"{"a": "<x>", "b": <x>, "c": "- <x> -"}"#)).unwrap();
            let filled: Value = serde_json::from_str(&template.apply(&json!({ "x": text }), AROUND)).unwrap();
            prop_assert_eq!(filled, json!({ "a": text, "b": text, "c": format!("- {text} -") }));
        }

        #[test]
        fn nothing_panics(path in "\\$[.\\[\\]'\"a0-9*]{0,12}", template in "[<>\"{}:a.\\\\,é]{0,16}") {
            if let Some(path) = Path::parse(&path) {
                path.of(&event());
            }
            if let Ok(template) = Template::parse(&transformer(&[("a", "$.a")], &template)) {
                template.apply(&event(), AROUND);
            }
        }
    }
}
