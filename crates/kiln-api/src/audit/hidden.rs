//! What of a request's parameters is kept: not what is secret, and not more than a reader can use.
//!
//! Hidden is what AWS's models call sensitive, by name; what is written into logs; values of environment variables, which people use for secrets
//! whatever their type is, as are what events say and what rules start builds with; and what is as good as a credential while it lasts.

use serde_json::{Map, Value};

/// What stands in the place of a value that is not kept; AWS's own word for it.
const HIDDEN: &str = "HIDDEN_DUE_TO_SECURITY_REASONS";

/// Members whose values are never kept, in any service, in lower case.
const NAMES: [&str; 32] = [
    "authorization",
    "clientsecret",
    "detail",
    "filecontent",
    "granttoken",
    "granttokens",
    "graphqloperation",
    "input",
    "inputtemplate",
    "layerpartblob",
    "logeventmessages",
    "logevents",
    "newpassword",
    "oldpassword",
    "password",
    "plaintext",
    "privatekey",
    "samlassertion",
    "secret",
    "secretaccesskey",
    "secretbinary",
    "secretkey",
    "secretstring",
    "servicepassword",
    "sessiontoken",
    "sql",
    "sqls",
    "token",
    "tokencode",
    "webhooksecret",
    "webidentitytoken",
    "x-amz-security-token",
];

/// Members that hold environment variables.
const VARIABLES: [&str; 2] = ["environmentvariables", "environmentvariablesoverride"];

/// Services whose parameters have their secret in `Value`.
const VALUES: [&str; 1] = ["ssm"];

/// Longest text that is kept, and most items of a list.
const LONGEST: usize = 1024;
const MOST: usize = 100;
/// Texts and members of all, at most: what is beyond is left out.
const ALL: usize = 16 * 1024;

/// What is kept of an input.
pub(super) fn shown(service: &str, value: Value) -> Value {
    let mut shown = Shown { has_secret_values: VALUES.contains(&service), left: ALL };
    shown.value(value, false)
}

/// The same of the parameters of a form.
pub(super) fn shown_form(pairs: Vec<(String, String)>) -> Value {
    let mut shown = Shown { has_secret_values: false, left: ALL };
    let mut members = Map::new();
    for (name, value) in pairs {
        if matches!(name.as_str(), "Action" | "Version") {
            continue;
        }
        // `Tags.member.1.Value`: the last part is the member's name.
        let last = name.rsplit('.').next().unwrap_or_default();
        let value = if shown.is_hidden(last, false) { Value::from(HIDDEN) } else { shown.text(&value) };
        if !shown.has_room(name.len()) {
            break;
        }
        members.insert(name, value);
    }
    Value::Object(members)
}

struct Shown {
    has_secret_values: bool,
    /// Bytes that may still be kept.
    left: usize,
}

impl Shown {
    fn is_hidden(&self, name: &str, in_variables: bool) -> bool {
        let name = name.to_ascii_lowercase();
        NAMES.contains(&name.as_str()) || (name == "value" && (in_variables || self.has_secret_values))
    }

    fn has_room(&mut self, bytes: usize) -> bool {
        let left = self.left.checked_sub(bytes + 8);
        self.left = left.unwrap_or_default();
        left.is_some()
    }

    fn text(&mut self, text: &str) -> Value {
        let longest = LONGEST.min(self.left);
        let kept = match text.char_indices().find(|(at, letter)| at + letter.len_utf8() > longest) {
            None => text.to_owned(),
            Some((end, _)) => format!("{}… ({} bytes)", text.get(..end).unwrap_or_default(), text.len()),
        };
        self.left = self.left.saturating_sub(kept.len());
        Value::from(kept)
    }

    fn value(&mut self, value: Value, in_variables: bool) -> Value {
        match value {
            Value::String(text) => self.text(&text),
            Value::Array(items) => {
                let count = items.len();
                let mut kept: Vec<Value> = Vec::new();
                for item in items.into_iter().take(MOST) {
                    if !self.has_room(0) {
                        break;
                    }
                    kept.push(self.value(item, in_variables));
                }
                if kept.len() < count {
                    kept.push(Value::from(format!("… ({count} items)")));
                }
                Value::Array(kept)
            }
            Value::Object(members) => {
                let mut kept = Map::new();
                for (name, value) in members {
                    if !self.has_room(name.len()) {
                        kept.insert("…".to_owned(), Value::from("more"));
                        break;
                    }
                    let value = if value.is_null() || !self.is_hidden(&name, in_variables) {
                        let holds = VARIABLES.contains(&name.to_ascii_lowercase().as_str());
                        self.value(value, in_variables || holds)
                    } else {
                        Value::from(HIDDEN)
                    };
                    kept.insert(name, value);
                }
                Value::Object(kept)
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_stand() {
        for (service, input) in [
            ("secretsmanager", json!({ "Name": "n", "SecretString": "canary" })),
            ("secretsmanager", json!({ "Name": "n", "SecretBinary": "canary", "Description": "d" })),
            ("logs", json!({ "logGroupName": "n", "logEvents": [{ "timestamp": 1, "message": "canary" }] })),
            ("ssm", json!({ "Name": "n", "Value": "canary", "Type": "SecureString" })),
            ("events", json!({ "Rule": "n", "Targets": [{ "Id": "1", "Input": "canary" }] })),
            ("events", json!({ "Entries": [{ "Source": "n", "Detail": "canary" }] })),
            ("kms", json!({ "KeyId": "n", "Plaintext": "canary", "GrantTokens": ["canary"] })),
            ("codebuild", json!({ "token": "canary", "serverType": "n", "username": "u" })),
            ("codebuild", json!({ "environmentVariablesOverride": [{ "name": "n", "value": "canary" }] })),
            (
                "codebuild",
                json!({ "environment": { "environmentVariables": [{ "name": "n", "value": "canary", "type": "PLAINTEXT" }] } }),
            ),
        ] {
            let shown = shown(service, input).to_string();
            assert!(!shown.contains("canary") && shown.contains(HIDDEN) && shown.contains("\"n\""), "{shown}");
        }
        let form =
            [("Action", "X"), ("UserName", "n"), ("Password", "canary"), ("A.member.1.SecretAccessKey", "canary")];
        let shown = shown_form(form.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec());
        assert_eq!(shown, json!({ "UserName": "n", "Password": HIDDEN, "A.member.1.SecretAccessKey": HIDDEN }));
    }

    #[test]
    fn what_is_no_secret_stays() {
        let input =
            json!({ "projectName": "demo", "idempotencyToken": "t", "tags": [{ "key": "k", "value": "v" }], "n": 7 });
        assert_eq!(shown("codebuild", input.clone()), input);
        assert_eq!(shown("codebuild", json!({ "token": null })), json!({ "token": null }));
        assert_eq!(shown("codebuild", Value::Null), Value::Null);
    }

    #[test]
    fn a_record_has_an_end() {
        let long = shown("codebuild", json!({ "buildspec": "ä".repeat(5000) }));
        assert!(long["buildspec"].as_str().unwrap().ends_with("… (10000 bytes)"));
        let many: Vec<String> = (0..5000).map(|n| format!("demo:{n}")).collect();
        let kept = shown("codebuild", json!({ "ids": many }));
        assert_eq!(kept["ids"].as_array().unwrap().len(), MOST + 1);
        assert_eq!(kept["ids"][MOST], "… (5000 items)");
        let wide: Map<String, Value> = (0..50_000).map(|n| (format!("member-{n}"), json!("x".repeat(900)))).collect();
        assert!(shown("codebuild", Value::Object(wide)).to_string().len() < 2 * ALL);
        let form = (0..2000).map(|n| (format!("A.member.{n}"), "x".repeat(2000))).collect();
        assert!(shown_form(form).to_string().len() < 2 * ALL);
    }
}
