//! What calls of EventBridge ask for: on which rules and event buses, with which condition keys.

use kiln_iam::policy::table::table;
use kiln_model::{
    arn::Home,
    operations::{OperationInfo, ResourceKind},
};
use serde_json::Value;

use super::asked::{Needed, readable};

/// The permissions that a call needs; for the roles of rules and targets, those to hand them over as well.
pub(crate) fn of_events(info: &OperationInfo, input: &Value, home: &Home) -> Vec<Needed> {
    let Some(row) = table().operation("events", info.name) else { return Vec::new() };
    let resource = match info.resource {
        ResourceKind::Rule => {
            let name = ["Name", "Rule"].into_iter().find_map(|member| input[member].as_str());
            let named = name.map(|name| rule_arn(name, input["EventBusName"].as_str(), home));
            input["ResourceARN"].as_str().map(str::to_owned).or(named)
        }
        ResourceKind::EventBus if info.name == "DescribeEventBus" => Some(bus_arn(input["Name"].as_str(), home)),
        _ => None,
    };
    let mut all = Vec::new();
    for permission in &row.permissions {
        let needed = |resource: Option<String>, keys: Vec<(String, String)>| Needed {
            action: permission.action.to_owned(),
            resource: readable(resource),
            keys,
        };
        match permission.when {
            Some("pass") => all.extend(roles(input).into_iter().map(|role| {
                let keys = vec![("iam:PassedToService".to_owned(), "events.amazonaws.com".to_owned())];
                needed(Some(home.role_arn(role)), keys)
            })),
            Some("tags") if tags(input).is_empty() => {}
            // Each event is on a bus of its own.
            _ if info.name == "PutEvents" => {
                let entries = input["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
                all.extend(entries.iter().map(|entry| {
                    let keys = [("events:source", &entry["Source"]), ("events:detail-type", &entry["DetailType"])];
                    let keys =
                        keys.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value.as_str()?.to_owned())));
                    needed(Some(bus_arn(entry["EventBusName"].as_str(), home)), keys.collect())
                }));
                if entries.is_empty() {
                    all.push(needed(None, Vec::new()));
                }
            }
            _ => all.push(needed(resource.clone(), keys(input, &permission.keys))),
        }
    }
    all
}

fn bus_arn(bus: Option<&str>, home: &Home) -> String {
    match bus {
        Some(arn) if arn.starts_with("arn:") => arn.to_owned(),
        name => home.arn("events", &format!("event-bus/{}", name.unwrap_or("default"))),
    }
}

/// Rules of the event bus `default` have it not in their ARNs.
fn rule_arn(name: &str, bus: Option<&str>, home: &Home) -> String {
    let bus = bus.map(|bus| bus.rsplit_once(":event-bus/").map_or(bus, |(_, name)| name));
    match bus {
        None | Some("default") => home.arn("events", &format!("rule/{name}")),
        Some(bus) => home.arn("events", &format!("rule/{bus}/{name}")),
    }
}

fn roles(input: &Value) -> Vec<&str> {
    let of_targets = input["Targets"].as_array().into_iter().flatten().map(|target| &target["RoleArn"]);
    let roles = std::iter::once(&input["RoleArn"]).chain(of_targets).filter_map(Value::as_str);
    roles.filter(|role| !role.is_empty()).collect()
}

fn tags(input: &Value) -> &[Value] {
    input["Tags"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The condition keys that a permission has, as far as the input gives them values.
fn keys(input: &Value, known: &[&str]) -> Vec<(String, String)> {
    let mut keys = Vec::new();
    if known.contains(&"aws:TagKeys") {
        for tag in tags(input) {
            let (Some(key), value) = (tag["Key"].as_str(), tag["Value"].as_str().unwrap_or_default()) else { continue };
            keys.push((format!("aws:RequestTag/{key}"), value.to_owned()));
            keys.push(("aws:TagKeys".to_owned(), key.to_owned()));
        }
        let removed = input["TagKeys"].as_array().into_iter().flatten().filter_map(Value::as_str);
        keys.extend(removed.map(|key| ("aws:TagKeys".to_owned(), key.to_owned())));
    }
    if known.contains(&"events:TargetArn") {
        let arns = input["Targets"].as_array().into_iter().flatten().filter_map(|target| target["Arn"].as_str());
        keys.extend(arns.map(|arn| ("events:TargetArn".to_owned(), arn.to_owned())));
    }
    keys
}

#[cfg(test)]
mod tests {
    use kiln_model::operations::events_operation;
    use serde_json::json;

    use super::*;

    fn needed(operation: &str, input: &Value) -> Vec<Needed> {
        let home = Home { region: "us-east-1".to_owned(), account: "000000000000".to_owned() };
        of_events(events_operation(operation).unwrap(), input, &home)
    }

    fn plain(operation: &str, input: &Value) -> Vec<(String, Option<String>)> {
        needed(operation, input).into_iter().map(|needed| (needed.action, needed.resource)).collect()
    }

    #[test]
    fn rules_and_buses_are_named_by_their_arns() {
        let arn = |resource: &str| Some(format!("arn:aws:events:us-east-1:000000000000:{resource}"));
        let one = |action: &str, resource: Option<String>| vec![(format!("events:{action}"), resource)];
        assert_eq!(plain("DescribeRule", &json!({ "Name": "r" })), one("DescribeRule", arn("rule/r")));
        assert_eq!(
            plain("DeleteRule", &json!({ "Name": "r", "EventBusName": "b" })),
            one("DeleteRule", arn("rule/b/r"))
        );
        let bus = arn("event-bus/default").unwrap();
        assert_eq!(plain("EnableRule", &json!({ "Name": "r", "EventBusName": bus })), one("EnableRule", arn("rule/r")));
        assert_eq!(plain("ListTargetsByRule", &json!({ "Rule": "r" })), one("ListTargetsByRule", arn("rule/r")));
        assert_eq!(plain("TagResource", &json!({ "ResourceARN": arn("rule/r") })), one("TagResource", arn("rule/r")));
        assert_eq!(plain("DescribeEventBus", &json!({})), one("DescribeEventBus", arn("event-bus/default")));
        assert_eq!(plain("ListRules", &json!({})), one("ListRules", None));
        assert_eq!(plain("PutEvents", &json!({})), one("PutEvents", None));
        for wrong in [json!({}), json!([]), json!({ "Name": 1 })] {
            assert_eq!(plain("DescribeRule", &wrong), one("DescribeRule", None), "{wrong}");
        }
    }

    #[test]
    fn roles_are_handed_over() {
        let role = |name: &str| format!("arn:aws:iam::000000000000:role/{name}");
        let input = json!({ "Rule": "r", "Targets": [
            { "Id": "1", "Arn": "arn:aws:codebuild:us-east-1:000000000000:project/a", "RoleArn": role("x") },
            { "Id": "2", "Arn": "arn:aws:codebuild:us-east-1:000000000000:project/b", "RoleArn": role("y") },
        ] });
        let all = needed("PutTargets", &input);
        let actions: Vec<_> = all.iter().map(|one| one.action.as_str()).collect();
        assert_eq!(actions, ["events:PutTargets", "iam:PassRole", "iam:PassRole"]);
        assert_eq!(all[0].keys.len(), 2, "{all:?}");
        assert_eq!((all[2].resource.clone(), all[2].keys[0].1.as_str()), (Some(role("y")), "events.amazonaws.com"));
        let rule =
            needed("PutRule", &json!({ "Name": "r", "RoleArn": role("x"), "Tags": [{ "Key": "k", "Value": "v" }] }));
        let actions: Vec<_> = rule.iter().map(|one| one.action.as_str()).collect();
        assert_eq!(actions, ["events:PutRule", "events:TagResource", "iam:PassRole"]);
        assert_eq!(rule[0].keys[0], ("aws:RequestTag/k".to_owned(), "v".to_owned()));
        assert_eq!(needed("PutRule", &json!({ "Name": "r" })).len(), 1);
    }

    #[test]
    fn each_event_is_asked_for() {
        let entries =
            json!({ "Entries": [{ "Source": "a", "DetailType": "b", "Detail": "{}" }, { "EventBusName": "c" }] });
        let all = needed("PutEvents", &entries);
        assert_eq!(
            all[0].keys,
            [("events:source", "a"), ("events:detail-type", "b")].map(|(k, v)| (k.to_owned(), v.to_owned()))
        );
        assert!(all[1].resource.as_deref().unwrap().ends_with("event-bus/c"), "{all:?}");
    }
}
