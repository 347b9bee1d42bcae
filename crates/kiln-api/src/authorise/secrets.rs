//! What calls of Secrets Manager and Parameter Store ask for: on which secrets and parameters, with which condition keys.

use kiln_iam::policy::table::{Permission, table};
use kiln_model::arn::Home;
use serde_json::Value;

use super::asked::{Needed, readable};

/// The permissions that a call of Secrets Manager needs. Where a secret is named by its name, question marks stand for the
/// characters at the end of its ARN, which is for the service to find: by name only, as it finds it for the call.
pub(crate) fn of_secrets(operation: &str, input: &Value, home: &Home) -> Vec<Needed> {
    let arn = |name: &str| match name.starts_with("arn:") {
        true => name.to_owned(),
        false => home.arn("secretsmanager", &format!("secret:{name}-??????")),
    };
    let resource = match operation {
        "CreateSecret" => input["Name"].as_str().map(arn),
        _ => input["SecretId"].as_str().map(arn),
    };
    needed("secretsmanager", operation, input, vec![resource])
}

/// The permissions that a call of Parameter Store needs: one for each parameter that it names.
pub(crate) fn of_parameters(operation: &str, input: &Value, home: &Home) -> Vec<Needed> {
    let head = home.arn("ssm", "parameter/");
    let arn = |text: &str| {
        let (begin, name) = match text.strip_prefix(&head) {
            Some(name) => (head.as_str(), name),
            None if text.starts_with("arn:") => return text.to_owned(),
            None => (head.as_str(), text.strip_prefix('/').unwrap_or(text)),
        };
        // The version or label behind it is no part of it.
        format!("{begin}{}", name.split(':').next().unwrap_or_default())
    };
    let member = match operation {
        "GetParameters" | "DeleteParameters" => &input["Names"],
        "GetParametersByPath" => &input["Path"],
        "AddTagsToResource" | "RemoveTagsFromResource" | "ListTagsForResource" => &input["ResourceId"],
        _ => &input["Name"],
    };
    let texts = match member {
        Value::Array(texts) => texts.iter().map(Value::as_str).collect(),
        text => vec![text.as_str()],
    };
    needed("ssm", operation, input, texts.into_iter().map(|text| text.map(arn)).collect())
}

fn needed(service: &str, operation: &str, input: &Value, resources: Vec<Option<String>>) -> Vec<Needed> {
    let Some(row) = table().operation(service, operation) else { return Vec::new() };
    let has_tags = input["Tags"].as_array().is_some_and(|tags| !tags.is_empty());
    let mut all = Vec::new();
    for when in [None, has_tags.then_some("tags")] {
        let Some(permission) = row.when(when).filter(|permission| permission.when == when) else { continue };
        let keys = keys(service, input, permission);
        let resources: Vec<Option<String>> = match permission.resources.is_empty() || resources.is_empty() {
            true => vec![None],
            false => resources.clone(),
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

/// The condition keys that the permission has, as far as the input gives them values.
fn keys(service: &str, input: &Value, permission: &Permission) -> Vec<(String, String)> {
    let mut keys = Vec::new();
    let names = permission.keys.iter().filter_map(|key| Some((key, key.strip_prefix(service)?.strip_prefix(':')?)));
    for (key, member) in names {
        let value = match &input[member] {
            Value::String(text) => text.clone(),
            Value::Bool(value) => value.to_string(),
            Value::Number(number) => number.to_string(),
            _ => continue,
        };
        keys.push(((*key).to_owned(), value));
    }
    if permission.keys.contains(&"aws:TagKeys") {
        for tag in input["Tags"].as_array().into_iter().flatten() {
            let (Some(key), value) = (tag["Key"].as_str(), tag["Value"].as_str().unwrap_or_default()) else { continue };
            keys.push((format!("aws:RequestTag/{key}"), value.to_owned()));
            keys.push(("aws:TagKeys".to_owned(), key.to_owned()));
        }
        let removed = input["TagKeys"].as_array().into_iter().flatten().filter_map(Value::as_str);
        keys.extend(removed.map(|key| ("aws:TagKeys".to_owned(), key.to_owned())));
    }
    keys
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn home() -> Home {
        Home { region: "us-east-1".to_owned(), account: "000000000000".to_owned() }
    }

    fn pairs(needed: &Needed) -> Vec<(&str, &str)> {
        needed.keys.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    #[test]
    fn secrets_are_named_by_their_arns() {
        let head = "arn:aws:secretsmanager:us-east-1:000000000000:secret:";
        let get = of_secrets("GetSecretValue", &json!({ "SecretId": "a/b", "VersionStage": "mine" }), &home());
        assert_eq!(get[0].resource, Some(format!("{head}a/b-??????")));
        assert_eq!(pairs(&get[0]), [("secretsmanager:SecretId", "a/b"), ("secretsmanager:VersionStage", "mine")]);
        let arn = format!("{head}a-AbCdEf");
        assert_eq!(of_secrets("DescribeSecret", &json!({ "SecretId": arn }), &home())[0].resource, Some(arn));
        let tags = json!({ "Name": "n", "SecretString": "hunter2", "Tags": [{ "Key": "k", "Value": "v" }] });
        let create = of_secrets("CreateSecret", &tags, &home());
        assert_eq!(create[0].resource, Some(format!("{head}n-??????")));
        assert!(pairs(&create[0]).contains(&("aws:RequestTag/k", "v")));
        assert_eq!((create.len(), create[1].action.as_str()), (2, "secretsmanager:TagResource"));
        assert!(!format!("{create:?}").contains("hunter2"));
        assert_eq!(of_secrets("ListSecrets", &json!({}), &home())[0].resource, None);
        for wrong in [json!({}), json!({ "SecretId": 1 }), json!({ "SecretId": "arn:aws" }), json!([])] {
            let all = of_secrets("GetSecretValue", &wrong, &home());
            assert_eq!((all.len(), all[0].resource.as_deref()), (1, None), "{wrong}");
        }
    }

    #[test]
    fn parameters_are_named_by_their_arns() {
        let head = "arn:aws:ssm:us-east-1:000000000000:parameter/";
        let resources = |operation: &str, input: Value| {
            of_parameters(operation, &input, &home()).into_iter().map(|one| one.resource).collect::<Vec<_>>()
        };
        assert_eq!(
            resources("GetParameters", json!({ "Names": ["/a/b:3", "c", format!("{head}d:label")] })),
            [Some(format!("{head}a/b")), Some(format!("{head}c")), Some(format!("{head}d"))]
        );
        assert_eq!(resources("GetParametersByPath", json!({ "Path": "/a/" })), [Some(format!("{head}a/"))]);
        assert_eq!(resources("AddTagsToResource", json!({ "ResourceId": "/a" })), [Some(format!("{head}a"))]);
        assert_eq!(resources("DescribeParameters", json!({})), [None]);
        let put =
            json!({ "Name": "/a", "Value": "hunter2", "Overwrite": true, "Tags": [{ "Key": "k", "Value": "v" }] });
        let put = of_parameters("PutParameter", &put, &home());
        assert!(pairs(&put[0]).contains(&("ssm:Overwrite", "true")));
        assert_eq!(put[1].action, "ssm:AddTagsToResource");
        assert!(!format!("{put:?}").contains("hunter2"));
        for wrong in [json!({}), json!({ "Names": [] }), json!({ "Names": [5] }), json!({ "Names": "arn:x" })] {
            assert_eq!(resources("GetParameters", wrong.clone()), [None], "{wrong}");
        }
    }
}
