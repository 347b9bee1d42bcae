//! Condition keys that a call of CodeBuild, or of the Kiln API, gives values (`api.md` 7.2).

use std::collections::BTreeMap;

use serde_json::Value;

/// The condition keys that the action has, as far as the input gives them values: `codebuild:` and the path of the
/// member. Structures are there or not; what is in lists has several values, and one more key for each named item.
#[must_use]
pub fn input_keys(operation: &str, input: &Value, known: &[&'static str]) -> Vec<(String, String)> {
    let mut found = BTreeMap::<String, Vec<String>>::new();
    let mut add = |name: String, value: String| found.entry(name).or_default().push(value);
    if let Some(tags) = input["tags"].as_array() {
        for tag in tags {
            let (Some(key), value) = (tag["key"].as_str(), tag["value"].as_str().unwrap_or_default()) else { continue };
            add(format!("aws:RequestTag/{key}"), value.to_owned());
            add("aws:TagKeys".to_owned(), key.to_owned());
        }
    }
    let is_start = matches!(operation, "StartBuild" | "StartBuildBatch");
    for (member, value) in input.as_object().into_iter().flatten() {
        let path = if is_start { overridden(member) } else { member.clone() };
        walk(&path, value, &mut add);
    }
    let is_known = |name: &str| {
        known.iter().any(|form| match form.split_once("${") {
            None => form.eq_ignore_ascii_case(name),
            Some((before, rest)) => {
                let after = rest.split_once('}').map_or("", |(_, after)| after);
                name.len() > before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
            }
        })
    };
    found.retain(|name, _| is_known(name));
    found.into_iter().flat_map(|(name, values)| values.into_iter().map(move |value| (name.clone(), value))).collect()
}

/// Where a member of `StartBuild` stands in the project.
fn overridden(member: &str) -> String {
    let plain = member.strip_suffix("Override").unwrap_or(member);
    match plain {
        "buildspec" | "insecureSsl" => format!("source.{plain}"),
        "sourceType" => "source.type".to_owned(),
        "sourceLocation" => "source.location".to_owned(),
        "sourceAuth" => "source.auth".to_owned(),
        "buildStatusConfig" => "source.buildStatusConfig".to_owned(),
        "image"
        | "computeType"
        | "certificate"
        | "privilegedMode"
        | "registryCredential"
        | "imagePullCredentialsType"
        | "environmentVariables"
        | "fleet" => format!("environment.{plain}"),
        "environmentType" => "environment.type".to_owned(),
        other => other.to_owned(),
    }
}

fn walk(path: &str, value: &Value, add: &mut impl FnMut(String, String)) {
    let name = format!("codebuild:{path}");
    match value {
        Value::Null => {}
        // Whether there is one is asked, never what is in it.
        Value::String(_) if path.ends_with("buildspec") => add(name, "true".to_owned()),
        Value::String(text) => add(name, text.clone()),
        Value::Bool(value) => add(name, value.to_string()),
        Value::Number(number) => add(name, number.to_string()),
        Value::Object(members) => {
            add(name, "true".to_owned());
            for (member, value) in members {
                walk(&format!("{path}.{member}"), value, add);
            }
        }
        Value::Array(items) => {
            if items.iter().any(Value::is_object) {
                add(name, "true".to_owned());
            }
            for item in items {
                in_list(path, item, add);
            }
        }
    }
}

/// An item of a list: its members have a value in the list's keys, and keys of their own under the item's name.
fn in_list(path: &str, item: &Value, add: &mut impl FnMut(String, String)) {
    let Some(members) = item.as_object() else {
        return walk(path, item, add);
    };
    let identifiers = ["sourceIdentifier", "artifactIdentifier", "identifier", "name"];
    let identifier = identifiers.iter().find_map(|member| members.get(*member).and_then(Value::as_str));
    for (member, value) in members {
        walk(&format!("{path}.{member}"), value, add);
        if let Some(identifier) = identifier {
            walk(&format!("{path}/{identifier}.{member}"), value, add);
        }
    }
}
