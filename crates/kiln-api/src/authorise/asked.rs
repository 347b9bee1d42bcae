//! What a call of a JSON or query service asks for: on which resources, with which condition keys (`api.md` 7.1, 7.2).

use kiln_iam::policy::{
    input_keys, is_arn,
    table::{Operation as Row, table},
};
use kiln_model::{
    BuildId,
    arn::Home,
    operations::{OperationInfo, ResourceKind},
    service::Caller,
};
use serde_json::Value;

use crate::query::Form;

/// A permission that a call needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Needed {
    /// E.g. `codebuild:StartBuild`.
    pub(crate) action: String,
    /// ARN; `None` for nothing in particular.
    pub(crate) resource: Option<String>,
    /// Condition keys: several values under one name for a key that may have several.
    pub(crate) keys: Vec<(String, String)>,
}

/// The permissions that a call of CodeBuild or of the Kiln API needs.
pub(crate) fn of_json(service: &str, operation: &str, input: &Value, home: &Home) -> Vec<Needed> {
    let Some(row) = table().operation(service, operation) else { return Vec::new() };
    let Some(own) = row.when(None) else { return Vec::new() };
    let keys = input_keys(operation, input, &own.keys);
    let resources = if own.resources.is_empty() { Vec::new() } else { resources(operation, input, home) };
    let needed = |resource| Needed { action: own.action.to_owned(), resource: readable(resource), keys: keys.clone() };
    let mut all: Vec<Needed> = match resources.is_empty() {
        // The input is wrong, or names nothing: whoever may do it on anything is told what is wrong.
        true => vec![needed(None)],
        false => resources.into_iter().map(|resource| needed(Some(resource))).collect(),
    };
    all.extend(passed(row, input, home));
    all
}

/// The permissions that a call of IAM needs. What it is about has its name here; its path, which permissions are written
/// with, is for the service to find.
pub(crate) fn of_iam(operation: &str, form: &Form, caller: &Caller, home: &Home) -> Vec<Needed> {
    let Some(own) = table().operation("iam", operation).and_then(|row| row.when(None)) else { return Vec::new() };
    let arn = |kind: &str, name: &str| format!("arn:{}:iam::{}:{kind}/{name}", home.partition(), home.account);
    let named = |kind: &str, parameter: &str| {
        let path = form.get("Path").unwrap_or("/").trim_start_matches('/');
        form.get(parameter).map(|name| arn(kind, &format!("{path}{name}")))
    };
    let resource = match own.resources.first().copied() {
        // These alone have it: in the form of another operation it must not say what that is about.
        Some(_) if matches!(operation, "SimulatePrincipalPolicy" | "GetContextKeysForPrincipalPolicy") => {
            form.get("PolicySourceArn").map(str::to_owned)
        }
        // Whoever may ask for all users' may not do so because they may ask for their own.
        Some("iam-user") if operation == "ListServiceSpecificCredentials" && form.get("AllUsers") == Some("true") => {
            None
        }
        // Who names nobody means themselves.
        Some("iam-user") => {
            named("user", "UserName").or_else(|| caller.arn.contains(":user/").then(|| caller.arn.clone()))
        }
        Some("iam-group") => named("group", "GroupName"),
        Some("iam-role") => named("role", "RoleName"),
        Some("iam-policy") => form.get("PolicyArn").map(str::to_owned).or_else(|| named("policy", "PolicyName")),
        _ => None,
    };
    let mut keys = Vec::new();
    for (parameter, key) in [("PolicyArn", "iam:PolicyARN"), ("PermissionsBoundary", "iam:PermissionsBoundary")] {
        if let Some(value) = form.get(parameter).filter(|_| own.keys.contains(&key)) {
            keys.push((key.to_owned(), value.to_owned()));
        }
    }
    for tag in form.tags().unwrap_or_default() {
        keys.push((format!("aws:RequestTag/{}", tag.key), tag.value));
        keys.push(("aws:TagKeys".to_owned(), tag.key));
    }
    keys.extend(form.list("TagKeys", "").into_iter().map(|key| ("aws:TagKeys".to_owned(), key)));
    vec![Needed { action: own.action.to_owned(), resource: readable(resource), keys }]
}

/// The permissions that a call of KMS needs. What is about a key the service decides: the key may have to be found in a
/// ciphertext, and its own policy has to allow as well. What is not offered needs the permission on anything.
pub(crate) fn of_kms(info: &OperationInfo, input: &Value) -> Vec<Needed> {
    if info.resource == ResourceKind::Key && info.implemented {
        return Vec::new();
    }
    let mut keys = Vec::new();
    for tag in input["Tags"].as_array().into_iter().flatten() {
        let (Some(key), value) = (tag["TagKey"].as_str(), tag["TagValue"].as_str().unwrap_or_default()) else {
            continue;
        };
        keys.push((format!("aws:RequestTag/{key}"), value.to_owned()));
        keys.push(("aws:TagKeys".to_owned(), key.to_owned()));
    }
    vec![Needed { action: info.action.to_owned(), resource: None, keys }]
}

/// The permission that a call of CloudWatch needs: on nothing in particular, but for a namespace (`api.md` 7.1).
pub(crate) fn of_metrics(info: &OperationInfo, input: &Value) -> Vec<Needed> {
    let namespace = input["Namespace"].as_str().filter(|_| info.name == "PutMetricData");
    let keys = namespace.map(|namespace| ("cloudwatch:namespace".to_owned(), namespace.to_owned()));
    vec![Needed { action: info.action.to_owned(), resource: None, keys: keys.into_iter().collect() }]
}

/// A text that is no ARN names nothing: whoever may do it on anything is told what is wrong with it.
pub(super) fn readable(resource: Option<String>) -> Option<String> {
    resource.filter(|text| is_arn(text))
}

/// Roles that a call hands over to builds.
fn passed(row: &Row, input: &Value, home: &Home) -> Vec<Needed> {
    let Some(pass) = row.when(Some("pass")) else { return Vec::new() };
    let members = [
        &input["serviceRole"],
        &input["serviceRoleOverride"],
        &input["buildBatchConfig"]["serviceRole"],
        &input["buildBatchConfigOverride"]["serviceRole"],
        &input["resourceAccessRole"],
        &input["fleetServiceRole"],
    ];
    let roles = members.into_iter().filter_map(Value::as_str).filter(|role| !role.is_empty());
    let keys = vec![("iam:PassedToService".to_owned(), "codebuild.amazonaws.com".to_owned())];
    roles
        .map(|role| Needed {
            action: pass.action.to_owned(),
            resource: readable(Some(home.role_arn(role))),
            keys: keys.clone(),
        })
        .collect()
}

/// ARNs of what the input names: builds stand for their projects.
fn resources(operation: &str, input: &Value, home: &Home) -> Vec<String> {
    let texts = |member: &str| -> Vec<String> {
        match &input[member] {
            Value::String(text) => vec![text.clone()],
            Value::Array(texts) => texts.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    };
    let project = |text: String| if text.starts_with("arn:") { text } else { home.project_arn(&text) };
    let of_build = |text: &String| {
        let id = home.local("build", text).unwrap_or(text);
        id.parse::<BuildId>().ok().map(|id| home.project_arn(id.project()))
    };
    match operation {
        "BatchGetProjects" => texts("names").into_iter().map(project).collect(),
        "CreateProject" | "UpdateProject" | "DeleteProject" => texts("name").into_iter().map(project).collect(),
        "UpdateProjectVisibility" => texts("projectArn"),
        "PutResourcePolicy" | "GetResourcePolicy" | "DeleteResourcePolicy" => texts("resourceArn"),
        "BatchGetBuilds" | "BatchDeleteBuilds" => {
            let mut projects: Vec<String> = texts("ids").iter().filter_map(of_build).collect();
            projects.sort_unstable();
            projects.dedup();
            projects
        }
        "StopBuild" | "RetryBuild" | "DescribeBuild" | "GetBuildLog" | "SearchBuildLog" | "CountBuildLog"
        | "GetBuildJournal" | "GetBuildArtifact" | "DebugBuild" => texts("id").iter().filter_map(of_build).collect(),
        "DescribeRule" => texts("name").into_iter().map(|name| home.arn("events", &format!("rule/{name}"))).collect(),
        _ => texts("projectName").into_iter().map(project).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn home() -> Home {
        Home { region: "us-east-1".to_owned(), account: "000000000000".to_owned() }
    }

    fn needed(operation: &str, input: Value) -> Vec<Needed> {
        of_json("codebuild", operation, &input, &home())
    }

    fn values<'a>(needed: &'a Needed, key: &str) -> Vec<&'a str> {
        needed.keys.iter().filter(|(name, _)| name == key).map(|(_, value)| value.as_str()).collect()
    }

    #[test]
    fn builds_stand_for_their_projects() {
        let uuid = "11111111-2222-3333-4444-555555555555";
        let ids = json!({ "ids": [format!("a:{uuid}"), format!("arn:aws:codebuild:us-east-1:000000000000:build/b:{uuid}"), format!("a:{uuid}")] });
        let resources: Vec<_> = needed("BatchGetBuilds", ids).into_iter().filter_map(|one| one.resource).collect();
        assert_eq!(resources, [home().project_arn("a"), home().project_arn("b")]);
        let stop = needed("StopBuild", json!({ "id": format!("a:{uuid}") }));
        assert_eq!(stop[0].resource, Some(home().project_arn("a")));
        for wrong in [json!({}), json!({ "ids": ["x"] }), json!({ "ids": 5 }), json!([])] {
            assert_eq!(needed("BatchGetBuilds", wrong)[0].resource, None);
        }
        let projects = needed("BatchGetProjects", json!({ "names": ["a", home().project_arn("b")] }));
        assert_eq!(projects.len(), 2);
        for wrong in ["a", "arn:aws:codebuild", ""] {
            let visibility = json!({ "projectArn": wrong, "resourceAccessRole": "arn:x" });
            let all = needed("UpdateProjectVisibility", visibility);
            assert!(all.iter().all(|one| one.resource.is_none()), "{all:?}");
            assert_eq!(all[1].action, "iam:PassRole", "asked for all the same");
        }
        assert_eq!(needed("ListBuilds", json!({}))[0].resource, None);
        assert_eq!(of_json("kiln", "DescribeQueue", &json!({ "id": "x" }), &home())[0].resource, None);
    }

    #[test]
    fn calls_of_iam_name_what_they_are_about() {
        let caller = Caller {
            account: "000000000000".to_owned(),
            arn: "arn:aws:iam::000000000000:user/x/alice".to_owned(),
            name: "alice".to_owned(),
            access_key_id: String::new(),
            user_id: "AIDA".to_owned(),
            session: None,
        };
        let one = |operation: &str, form: &str| {
            let form = Form::parse(form).unwrap();
            of_iam(operation, &form, &caller, &home()).remove(0)
        };
        let resource = |operation: &str, form: &str| one(operation, form).resource.unwrap_or_default();
        assert_eq!(resource("CreateRole", "RoleName=r&Path=/a/"), "arn:aws:iam::000000000000:role/a/r");
        assert_eq!(resource("GetRole", "RoleName=r"), "arn:aws:iam::000000000000:role/r");
        assert_eq!(resource("CreateAccessKey", ""), caller.arn);
        assert_eq!(resource("GetPolicy", "PolicyArn=arn:p"), "");
        assert_eq!(resource("ListRoles", ""), "");
        let arn = "arn:aws:iam::000000000000:group/x/g";
        for operation in ["SimulatePrincipalPolicy", "GetContextKeysForPrincipalPolicy"] {
            assert_eq!(resource(operation, &format!("PolicySourceArn={arn}&UserName=bob")), arn);
            assert_eq!(resource(operation, "UserName=bob"), "", "nobody in particular");
        }
        let bob = "arn:aws:iam::000000000000:user/bob";
        assert_eq!(resource("DeleteUser", &format!("PolicySourceArn={arn}&UserName=bob")), bob);
        let attach = one("AttachRolePolicy", "RoleName=r&PolicyArn=arn:p");
        assert_eq!(attach.resource.as_deref(), Some("arn:aws:iam::000000000000:role/r"));
        assert_eq!(values(&attach, "iam:PolicyARN"), ["arn:p"]);
        let tags = one("TagRole", "RoleName=r&Tags.member.1.Key=k&Tags.member.1.Value=v");
        assert_eq!((values(&tags, "aws:RequestTag/k"), values(&tags, "aws:TagKeys")), (vec!["v"], vec!["k"]));
    }

    #[test]
    fn overrides_are_the_members_of_the_project() {
        let all = needed(
            "StartBuild",
            json!({
                "projectName": "demo",
                "buildspecOverride": "version: 0.2",
                "computeTypeOverride": "BUILD_GENERAL1_LARGE",
                "privilegedModeOverride": true,
                "serviceRoleOverride": "arn:aws:iam::000000000000:role/other",
                "environmentVariablesOverride": [{ "name": "STAGE", "value": "dev" }, { "name": "B", "value": "2" }],
            }),
        );
        let start = &all[0];
        assert_eq!(start.resource, Some(home().project_arn("demo")));
        assert_eq!(values(start, "codebuild:source.buildspec"), ["true"]);
        assert_eq!(values(start, "codebuild:environment.computeType"), ["BUILD_GENERAL1_LARGE"]);
        assert_eq!(values(start, "codebuild:environment.privilegedMode"), ["true"]);
        assert_eq!(values(start, "codebuild:environment.environmentVariables.name"), ["STAGE", "B"]);
        assert_eq!(values(start, "codebuild:environment.environmentVariables/STAGE.value"), ["dev"]);
        assert!(values(start, "codebuild:projectName").is_empty());
        let pass = &all[1];
        assert_eq!(
            (pass.action.as_str(), pass.resource.as_deref()),
            ("iam:PassRole", Some("arn:aws:iam::000000000000:role/other"))
        );
        assert_eq!(values(pass, "iam:PassedToService"), ["codebuild.amazonaws.com"]);
        assert_eq!(needed("StartBuild", json!({ "projectName": "demo" })).len(), 1);
    }

    #[test]
    fn projects_have_their_members_and_tags() {
        let all = needed(
            "CreateProject",
            json!({
                "name": "demo",
                "serviceRole": "build",
                "source": { "type": "GITHUB", "location": "https://x/y", "buildspec": "b" },
                "secondarySources": [{ "sourceIdentifier": "s1", "location": "https://x/z", "type": "GITHUB" }],
                "vpcConfig": { "vpcId": "vpc-1", "subnets": ["s-1", "s-2"] },
                "tags": [{ "key": "Env", "value": "prod" }, { "key": "Team", "value": "a" }],
            }),
        );
        let create = &all[0];
        assert_eq!(values(create, "codebuild:source"), ["true"]);
        assert_eq!(values(create, "codebuild:source.location"), ["https://x/y"]);
        assert_eq!(values(create, "codebuild:secondarySources/s1.location"), ["https://x/z"]);
        assert_eq!(values(create, "codebuild:vpcConfig.subnets"), ["s-1", "s-2"]);
        assert_eq!(values(create, "aws:RequestTag/Env"), ["prod"]);
        assert_eq!(values(create, "aws:TagKeys"), ["Env", "Team"]);
        assert_eq!(all[1].resource.as_deref(), Some("arn:aws:iam::000000000000:role/build"));
    }
}
