//! What calls of CodeCommit ask for: on which repositories, with which condition keys.

use kiln_iam::policy::table::table;
use kiln_model::{arn::Home, operations::OperationInfo};
use serde_json::Value;

use super::asked::{Needed, readable};

/// The permissions that a call needs: one for each repository that it names, and for each project that a trigger builds the
/// one to start its builds.
pub(crate) fn of_git(info: &OperationInfo, input: &Value, home: &Home) -> Vec<Needed> {
    let arn = |name: &str| home.arn("codecommit", name);
    let resources: Vec<Option<String>> = match info.name {
        "BatchGetRepositories" => {
            let names: Vec<&str> =
                input["repositoryNames"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            if names.is_empty() { vec![None] } else { names.into_iter().map(|name| Some(arn(name))).collect() }
        }
        "UpdateRepositoryName" => {
            let names = [input["oldName"].as_str(), input["newName"].as_str()];
            names.into_iter().map(|name| name.map(arn)).collect()
        }
        _ => {
            vec![input["resourceArn"].as_str().map(str::to_owned).or_else(|| input["repositoryName"].as_str().map(arn))]
        }
    };
    let Some(row) = table().operation("codecommit", info.name) else { return Vec::new() };
    let mut keys = Vec::new();
    for (key, value) in input["tags"].as_object().into_iter().flatten() {
        keys.push((format!("aws:RequestTag/{key}"), value.as_str().unwrap_or_default().to_owned()));
        keys.push(("aws:TagKeys".to_owned(), key.clone()));
    }
    let removed = input["tagKeys"].as_array().into_iter().flatten().filter_map(Value::as_str);
    keys.extend(removed.map(|key| ("aws:TagKeys".to_owned(), key.to_owned())));
    let has_tags = !keys.is_empty();
    let mut all = Vec::new();
    for permission in row.permissions.iter().filter(|permission| permission.when.is_none() || has_tags) {
        let mut keys = keys.clone();
        if permission.keys.contains(&"codecommit:References")
            && let Some(branch) = input["branchName"].as_str()
        {
            keys.push(("codecommit:References".to_owned(), format!("refs/heads/{branch}")));
        }
        let resources = if permission.resources.is_empty() { vec![None] } else { resources.clone() };
        all.extend(resources.into_iter().map(|resource| Needed {
            action: permission.action.to_owned(),
            resource: readable(resource),
            keys: keys.clone(),
        }));
    }
    if matches!(info.name, "PutRepositoryTriggers" | "TestRepositoryTriggers") {
        let destinations =
            input["triggers"].as_array().into_iter().flatten().filter_map(|trigger| trigger["destinationArn"].as_str());
        let projects = destinations.filter(|destination| destination.starts_with(&home.arn("codebuild", "project/")));
        all.extend(projects.map(|project| Needed {
            action: "codebuild:StartBuild".to_owned(),
            resource: readable(Some(project.to_owned())),
            keys: Vec::new(),
        }));
    }
    all
}

#[cfg(test)]
mod tests {
    use kiln_model::operations::codecommit_operation;
    use serde_json::json;

    use super::*;

    fn needed(operation: &str, input: &Value) -> Vec<(String, Option<String>)> {
        let home = Home { region: "us-east-1".to_owned(), account: "000000000000".to_owned() };
        let needed = of_git(codecommit_operation(operation).unwrap(), input, &home);
        needed.into_iter().map(|needed| (needed.action, needed.resource)).collect()
    }

    #[test]
    fn repositories_are_named_by_their_arns() {
        let arn = |name: &str| Some(format!("arn:aws:codecommit:us-east-1:000000000000:{name}"));
        let one = |action: &str, resource: Option<String>| (format!("codecommit:{action}"), resource);
        assert_eq!(needed("GetFile", &json!({ "repositoryName": "a" })), [one("GetFile", arn("a"))]);
        assert_eq!(needed("ListRepositories", &json!({})), [one("ListRepositories", None)]);
        assert_eq!(needed("MergePullRequestByFastForward", &json!({})), [one("MergePullRequestByFastForward", None)]);
        let two = [one("BatchGetRepositories", arn("a")), one("BatchGetRepositories", arn("b"))];
        assert_eq!(needed("BatchGetRepositories", &json!({ "repositoryNames": ["a", "b"] })), two);
        let names = [one("UpdateRepositoryName", arn("a")), one("UpdateRepositoryName", arn("b"))];
        assert_eq!(needed("UpdateRepositoryName", &json!({ "oldName": "a", "newName": "b" })), names);
        let tagged = needed("CreateRepository", &json!({ "repositoryName": "a", "tags": { "k": "v" } }));
        assert_eq!(tagged, [one("CreateRepository", arn("a")), one("TagResource", arn("a"))]);
        assert_eq!(needed("CreateRepository", &json!({ "repositoryName": "a" })).len(), 1);
        assert_eq!(needed("TagResource", &json!({ "resourceArn": arn("a") })), [one("TagResource", arn("a"))]);
        for wrong in [json!({}), json!([]), json!({ "repositoryName": 1 })] {
            assert_eq!(needed("GetFile", &wrong), [one("GetFile", None)], "{wrong}");
        }
    }

    #[test]
    fn changes_are_of_a_branch_and_triggers_start_builds() {
        let home = Home { region: "us-east-1".to_owned(), account: "000000000000".to_owned() };
        let put = codecommit_operation("PutFile").unwrap();
        let needed = of_git(put, &json!({ "repositoryName": "a", "branchName": "main" }), &home);
        let expected = [("codecommit:References".to_owned(), "refs/heads/main".to_owned())];
        assert_eq!(needed.first().unwrap().keys, expected);
        let project = "arn:aws:codebuild:us-east-1:000000000000:project/demo";
        let triggers = json!({ "repositoryName": "a", "triggers": [{ "destinationArn": project }, { "name": 1 }] });
        let needed = of_git(codecommit_operation("PutRepositoryTriggers").unwrap(), &triggers, &home);
        let last = needed.last().unwrap();
        assert_eq!((last.action.as_str(), last.resource.as_deref()), ("codebuild:StartBuild", Some(project)));
    }
}
