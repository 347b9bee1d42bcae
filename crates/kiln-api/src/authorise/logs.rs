//! What calls of CloudWatch Logs ask for: on which log groups and streams, with which condition keys (`api.md` 6).
//!
//! Permissions are about `log-group:NAME:log-stream:STREAM`, the latter empty where the group is meant: so policies for
//! `log-group:NAME:*` let callers do both. Tags alone are of `log-group:NAME`, as their calls name it.

use kiln_iam::policy::table::table;
use kiln_model::{arn::Home, operations::OperationInfo};
use serde_json::Value;

use super::asked::{Needed, readable};

/// The permissions that a call of CloudWatch Logs needs.
pub(crate) fn of_logs(info: &OperationInfo, input: &Value, home: &Home) -> Vec<Needed> {
    let Some(row) = table().operation("logs", info.name) else { return Vec::new() };
    let head = home.arn("logs", "log-group:");
    let texts = |member: &str| -> Vec<String> {
        match &input[member] {
            Value::String(text) => vec![text.clone()],
            Value::Array(texts) => texts.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    };
    let of_group = |identifier: &str| {
        // What is in another account or region is asked for as it is.
        let group = match identifier.strip_prefix(&head) {
            Some(name) => name,
            None if identifier.starts_with("arn:") => return identifier.to_owned(),
            None => identifier,
        };
        let group = group.strip_suffix(":*").unwrap_or(group);
        home.log_stream_arn(group, input["logStreamName"].as_str().unwrap_or_default())
    };
    let resources: Vec<String> = match info.name {
        "TagResource" | "UntagResource" | "ListTagsForResource" => texts("resourceArn"),
        // A list of all.
        "DescribeLogGroups" => vec![home.log_stream_arn("", "")],
        _ => ["logGroupName", "logGroupIdentifier", "logGroupIdentifiers"]
            .into_iter()
            .flat_map(texts)
            .map(|text| of_group(&text))
            .collect(),
    };
    let has_tags = info.name == "CreateLogGroup" && input["tags"].as_object().is_some_and(|tags| !tags.is_empty());
    let mut all = Vec::new();
    for when in [None, has_tags.then_some("tags")] {
        let Some(permission) = row.when(when).filter(|permission| permission.when == when) else { continue };
        let keys = if permission.keys.contains(&"aws:TagKeys") { keys(input) } else { Vec::new() };
        let resources: Vec<Option<String>> = match permission.resources.is_empty() || resources.is_empty() {
            // The input is wrong, or names nothing: whoever may do it on anything is told what is wrong.
            true => vec![None],
            false => resources.iter().cloned().map(Some).collect(),
        };
        all.extend(resources.into_iter().map(|resource| Needed {
            action: permission.action.to_owned(),
            resource: readable(resource),
            keys: keys.clone(),
        }));
        if !has_tags {
            break;
        }
    }
    all
}

/// The condition keys that tags give values: a map of tags, or names of those to remove.
fn keys(input: &Value) -> Vec<(String, String)> {
    let mut keys = Vec::new();
    for (key, value) in input["tags"].as_object().into_iter().flatten() {
        keys.push((format!("aws:RequestTag/{key}"), value.as_str().unwrap_or_default().to_owned()));
        keys.push(("aws:TagKeys".to_owned(), key.clone()));
    }
    let removed = [&input["tags"], &input["tagKeys"]].into_iter().filter_map(Value::as_array).flatten();
    keys.extend(removed.filter_map(Value::as_str).map(|key| ("aws:TagKeys".to_owned(), key.to_owned())));
    keys
}

#[cfg(test)]
mod tests {
    use kiln_model::operations::logs_operation;
    use serde_json::json;

    use super::*;

    fn needed(operation: &str, input: Value) -> Vec<Needed> {
        let home = Home { region: "us-east-1".to_owned(), account: "000000000000".to_owned() };
        of_logs(logs_operation(operation).unwrap(), &input, &home)
    }

    #[test]
    fn groups_and_streams_are_named_by_their_arns() {
        let head = "arn:aws:logs:us-east-1:000000000000:log-group:";
        let resource = |operation: &str, input: Value| needed(operation, input)[0].resource.clone().unwrap_or_default();
        let get = json!({ "logGroupName": "/a/b", "logStreamName": "s/1" });
        assert_eq!(resource("GetLogEvents", get), format!("{head}/a/b:log-stream:s/1"));
        for group in ["/a/b".to_owned(), format!("{head}/a/b"), format!("{head}/a/b:*")] {
            let input = json!({ "logGroupIdentifier": group });
            assert_eq!(resource("FilterLogEvents", input), format!("{head}/a/b:log-stream:"));
        }
        assert_eq!(resource("DescribeLogGroups", json!({ "logGroupNamePrefix": "/a" })), format!("{head}:log-stream:"));
        let tail = needed("StartLiveTail", json!({ "logGroupIdentifiers": ["a", format!("{head}b:*")] }));
        let tail: Vec<_> = tail.into_iter().filter_map(|one| one.resource).collect();
        assert_eq!(tail, [format!("{head}a:log-stream:"), format!("{head}b:log-stream:")]);
        let elsewhere = "arn:aws:logs:us-east-1:111122223333:log-group:b";
        assert_eq!(resource("FilterLogEvents", json!({ "logGroupIdentifier": elsewhere })), elsewhere);
        assert_eq!(resource("ListTagsForResource", json!({ "resourceArn": format!("{head}a") })), format!("{head}a"));
        for wrong in [json!({}), json!({ "logGroupName": 5 }), json!([]), json!({ "logGroupIdentifiers": {} })] {
            assert_eq!(needed("GetLogEvents", wrong)[0].resource, None);
        }
        assert_eq!(needed("PutMetricFilter", json!({ "logGroupName": "a" }))[0].resource, None, "not offered");
    }

    #[test]
    fn tags_are_condition_keys() {
        let create = needed("CreateLogGroup", json!({ "logGroupName": "a", "tags": { "k": "v" } }));
        let actions: Vec<_> = create.iter().map(|one| one.action.as_str()).collect();
        assert_eq!(actions, ["logs:CreateLogGroup", "logs:TagResource"]);
        for one in &create {
            assert!(one.keys.contains(&("aws:RequestTag/k".to_owned(), "v".to_owned())), "{one:?}");
        }
        assert_eq!(needed("CreateLogGroup", json!({ "logGroupName": "a", "tags": {} })).len(), 1);
        for (operation, input) in
            [("UntagResource", json!({ "tagKeys": ["k"] })), ("UntagLogGroup", json!({ "tags": ["k"] }))]
        {
            assert_eq!(needed(operation, input)[0].keys, [("aws:TagKeys".to_owned(), "k".to_owned())]);
        }
        let put = json!({ "logGroupName": "a", "logStreamName": "s", "logEvents": [{ "message": "hunter2" }] });
        assert!(!format!("{:?}", needed("PutLogEvents", put)).contains("hunter2"));
    }
}
