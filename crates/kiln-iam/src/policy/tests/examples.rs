//! Whole policies, as people write them for builds (`api.md` 7.4).

use serde_json::{Value, json};

use super::{
    super::Kind,
    world::{ACCOUNT, Asked, PROJECT, policy, session, statement},
};

const ALLOW: &str = "Allow";

fn on(statements: Value, action: &str, resource: &str) -> Asked {
    Asked { action: action.to_owned(), resource: resource.to_owned(), ..Asked::under(statements) }
}

#[test]
fn projects_by_name() {
    let mine = statement(ALLOW, "codebuild:BatchGetProjects", "arn:aws:codebuild:us-east-1:000000000000:project/my*");
    let project = |name: &str| format!("arn:aws:codebuild:us-east-1:000000000000:project/{name}");
    assert!(on(mine.clone(), "codebuild:BatchGetProjects", &project("my-app")).is_allowed());
    assert!(!on(mine, "codebuild:BatchGetProjects", &project("other")).is_allowed());
}

#[test]
fn no_buildspec_of_the_callers_own() {
    let statements = json!([
        statement(ALLOW, "codebuild:StartBuild", "*"),
        { "Effect": "Deny", "Action": "codebuild:StartBuild", "Resource": "*",
          "Condition": { "Null": { "codebuild:source.buildspec": "false" } } },
    ]);
    let start = on(statements, "codebuild:StartBuild", PROJECT);
    assert!(start.is_allowed());
    assert!(!start.with("codebuild:source.buildspec", "true").is_allowed());
}

#[test]
fn only_known_networks_and_machines() {
    let condition = json!({
        "ForAnyValue:StringEquals": {
            "codebuild:vpcConfig.vpcId": ["vpc-1"],
            "codebuild:vpcConfig.subnets": ["subnet-1", "subnet-2"],
        },
        "StringEquals": { "codebuild:computeConfiguration.instanceType": ["c5.large", "m5.large"] },
    });
    let allowed =
        json!({ "Effect": ALLOW, "Action": "codebuild:CreateFleet", "Resource": "*", "Condition": condition });
    let fleet = |vpc: &str, kind: &str| {
        on(allowed.clone(), "codebuild:CreateFleet", "arn:aws:codebuild:us-east-1:000000000000:fleet/f:1")
            .with("codebuild:vpcConfig.vpcId", vpc)
            .with_many("codebuild:vpcConfig.subnets", &["subnet-2"])
            .with("codebuild:computeConfiguration.instanceType", kind)
            .is_allowed()
    };
    assert!(fleet("vpc-1", "m5.large"));
    assert!(!fleet("vpc-2", "m5.large") && !fleet("vpc-1", "m5.24xlarge"));
}

#[test]
fn projects_by_tag() {
    let statements = json!([
        statement(ALLOW, "codebuild:*", "*"),
        { "Effect": "Deny", "Action": "codebuild:CreateProject", "Resource": "*",
          "Condition": { "StringEquals": { "aws:RequestTag/Environment": "Production" } } },
        { "Effect": "Deny", "Action": "codebuild:UpdateProject", "Resource": "*",
          "Condition": { "ForAnyValue:StringEquals": { "aws:TagKeys": "Environment" } } },
        { "Effect": "Deny", "Action": "codebuild:BatchGetProjects", "Resource": "*",
          "Condition": { "StringEquals": { "aws:ResourceTag/Environment": "Production" } } },
    ]);
    let ask = |action: &str| on(statements.clone(), action, PROJECT);
    assert!(!ask("codebuild:CreateProject").with("aws:RequestTag/Environment", "Production").is_allowed());
    assert!(ask("codebuild:CreateProject").with("aws:RequestTag/Environment", "Test").is_allowed());
    assert!(!ask("codebuild:UpdateProject").with_many("aws:TagKeys", &["Team", "Environment"]).is_allowed());
    assert!(ask("codebuild:UpdateProject").with_many("aws:TagKeys", &["Team"]).is_allowed());
    assert!(!ask("codebuild:BatchGetProjects").with("aws:ResourceTag/Environment", "Production").is_allowed());
    assert!(ask("codebuild:BatchGetProjects").is_allowed());
}

#[test]
fn one_role_to_pass() {
    let role = "arn:aws:iam::000000000000:role/build";
    let condition = json!({ "StringEquals": { "iam:PassedToService": "codebuild.amazonaws.com" } });
    let statement = json!({ "Effect": ALLOW, "Action": "iam:PassRole", "Resource": role, "Condition": condition });
    let pass =
        |role: &str, to: &str| on(statement.clone(), "iam:PassRole", role).with("iam:PassedToService", to).is_allowed();
    assert!(pass(role, "codebuild.amazonaws.com"));
    assert!(!pass(role, "ec2.amazonaws.com"));
    assert!(!pass("arn:aws:iam::000000000000:role/admin", "codebuild.amazonaws.com"));
}

#[test]
fn a_build_writes_below_its_own_project() {
    let statements = statement(ALLOW, "s3:PutObject", "arn:aws:s3:::store/${codebuild:projectArn}/*");
    let put = |key: &str| Asked {
        identity: vec![policy(Kind::RoleInline, statements.clone())],
        ..on(json!([statement(ALLOW, "s3:Nothing", "*")]), "s3:PutObject", &format!("arn:aws:s3:::store/{key}"))
    };
    let build = |key: &str| {
        let mut asked = put(key).with("codebuild:projectArn", PROJECT);
        asked.principal = session(ACCOUNT);
        asked.is_allowed()
    };
    assert!(build(&format!("{PROJECT}/out.zip")));
    assert!(!build("arn:aws:codebuild:us-east-1:000000000000:project/other/out.zip") && !build("out.zip"));
}

#[test]
fn variables_of_a_build() {
    let key = "codebuild:environment.environmentVariables/STAGE.value";
    let statements = json!([
        statement(ALLOW, "codebuild:StartBuild", "*"),
        { "Effect": "Deny", "Action": "codebuild:StartBuild", "Resource": "*",
          "Condition": { "StringNotEqualsIfExists": { key: "dev" } } },
    ]);
    let start = |stage: &str| on(statements.clone(), "codebuild:StartBuild", PROJECT).with(key, stage).is_allowed();
    assert!(start("dev"));
    assert!(!start("prod"));
    // As the reference says of IfExists on a key that is missing: the statement applies.
    assert!(!on(statements.clone(), "codebuild:StartBuild", PROJECT).is_allowed());
}

#[test]
fn developers_run_builds_and_change_no_project() {
    let actions = ["StartBuild", "StopBuild", "RetryBuild", "BatchGet*", "List*", "Describe*", "GetResourcePolicy"];
    let actions: Vec<String> = actions.iter().map(|action| format!("codebuild:{action}")).collect();
    let developer = json!({ "Effect": ALLOW, "Action": actions, "Resource": "*" });
    for (action, expected) in [
        ("StartBuild", true),
        ("BatchGetBuilds", true),
        ("CreateProject", false),
        ("DeleteProject", false),
        ("UpdateProject", false),
        ("StartBuildBatch", false),
    ] {
        assert_eq!(on(developer.clone(), &format!("codebuild:{action}"), PROJECT).is_allowed(), expected, "{action}");
    }
}
