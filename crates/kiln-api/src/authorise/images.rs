//! What calls of Elastic Container Registry ask for: on which repositories, with which condition keys.

use kiln_iam::policy::table::table;
use kiln_model::{arn::Home, operations::OperationInfo};
use serde_json::Value;

use super::asked::{Needed, readable};

/// The permissions that a call needs: one for each repository that it names. To describe all is to describe any.
pub(crate) fn of_images(info: &OperationInfo, input: &Value, home: &Home) -> Vec<Needed> {
    let arn = |name: &str| home.arn("ecr", &format!("repository/{name}"));
    let named: Vec<&str> =
        input["repositoryNames"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let resources: Vec<Option<String>> = match (input["resourceArn"].as_str(), input["repositoryName"].as_str()) {
        _ if info.name == "DescribeRepositories" && named.is_empty() => vec![Some(arn("*"))],
        _ if info.name == "DescribeRepositories" => named.into_iter().map(|name| Some(arn(name))).collect(),
        (Some(text), _) => vec![Some(text.to_owned())],
        (None, Some(name)) => vec![Some(arn(name))],
        (None, None) => vec![None],
    };
    let tags = input["tags"].as_array().into_iter().flatten();
    let mut keys = Vec::new();
    for tag in tags {
        let (Some(key), value) = (tag["Key"].as_str(), tag["Value"].as_str().unwrap_or_default()) else { continue };
        keys.push((format!("aws:RequestTag/{key}"), value.to_owned()));
        keys.push(("aws:TagKeys".to_owned(), key.to_owned()));
    }
    let removed = input["tagKeys"].as_array().into_iter().flatten().filter_map(Value::as_str);
    keys.extend(removed.map(|key| ("aws:TagKeys".to_owned(), key.to_owned())));
    let Some(row) = table().operation("ecr", info.name) else { return Vec::new() };
    let has_tags = !keys.is_empty();
    let wanted = row.permissions.iter().filter(|permission| permission.when.is_none() || has_tags);
    let of = |action: &str, on_any: bool| {
        let resources = if on_any { vec![None] } else { resources.clone() };
        let keys = keys.clone();
        let action = action.to_owned();
        resources.into_iter().map(move |resource| Needed {
            action: action.clone(),
            resource: readable(resource),
            keys: keys.clone(),
        })
    };
    wanted.flat_map(|permission| of(permission.action, permission.resources.is_empty())).collect()
}

#[cfg(test)]
mod tests {
    use kiln_model::operations::ecr_operation;
    use serde_json::json;

    use super::*;

    fn needed(operation: &str, input: &Value) -> Vec<(String, Option<String>)> {
        let home = Home { region: "us-east-1".to_owned(), account: "000000000000".to_owned() };
        let needed = of_images(ecr_operation(operation).unwrap(), input, &home);
        needed.into_iter().map(|needed| (needed.action, needed.resource)).collect()
    }

    #[test]
    fn repositories_are_named_by_their_arns() {
        let arn = |name: &str| Some(format!("arn:aws:ecr:us-east-1:000000000000:repository/{name}"));
        let one = |action: &str, resource: Option<String>| vec![(format!("ecr:{action}"), resource)];
        assert_eq!(needed("PutImage", &json!({ "repositoryName": "a/b" })), one("PutImage", arn("a/b")));
        assert_eq!(needed("GetAuthorizationToken", &json!({})), one("GetAuthorizationToken", None));
        assert_eq!(needed("DescribeRepositories", &json!({})), one("DescribeRepositories", arn("*")));
        let two = needed("DescribeRepositories", &json!({ "repositoryNames": ["a", "b"] }));
        assert_eq!(two.into_iter().map(|(_, resource)| resource).collect::<Vec<_>>(), [arn("a"), arn("b")]);
        let create =
            needed("CreateRepository", &json!({ "repositoryName": "a", "tags": [{ "Key": "k", "Value": "v" }] }));
        assert_eq!(create, [("ecr:CreateRepository".to_owned(), arn("a")), ("ecr:TagResource".to_owned(), arn("a"))]);
        assert_eq!(needed("CreateRepository", &json!({ "repositoryName": "a" })).len(), 1);
        assert_eq!(needed("TagResource", &json!({ "resourceArn": arn("a") })), one("TagResource", arn("a")));
        for wrong in [json!({}), json!([]), json!({ "repositoryName": 1 })] {
            assert_eq!(needed("ListImages", &wrong), one("ListImages", None), "{wrong}");
        }
    }
}
