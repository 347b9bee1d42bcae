//! Actions, resources and variables (`security.md` 2.2).

use serde_json::{Value, json};

use super::{
    super::{Kind, Policy},
    world::{Asked, PROJECT, policy, statement},
};

fn allows(statement: Value) -> bool {
    Asked::under(statement).is_allowed()
}

#[test]
fn actions_match_without_regard_to_case() {
    for action in [
        "*",
        "codebuild:*",
        "codebuild:StartBuild",
        "CODEBUILD:startbuild",
        "codebuild:Start*",
        "codebuild:?tart*ld",
        "codebuild:**",
    ] {
        assert!(allows(statement("Allow", action, "*")), "{action}");
    }
    for action in ["codebuild:", "codebuild:StartBuil", "codebuild:StartBuild?", "s3:*", "codebuild:Start"] {
        assert!(!allows(statement("Allow", action, "*")), "{action}");
    }
    assert!(allows(json!({ "Effect": "Allow", "NotAction": ["s3:*", "codebuild:Stop*"], "Resource": "*" })));
    assert!(!allows(json!({ "Effect": "Allow", "NotAction": ["s3:*", "codebuild:start*"], "Resource": "*" })));
}

#[test]
fn resources_match_part_by_part() {
    for resource in [
        "*",
        PROJECT,
        "arn:aws:codebuild:us-east-1:000000000000:project/*",
        "arn:aws:codebuild:*:*:project/d?mo",
        "arn:*:codebuild:us-*-1:0000000000??:*",
        "arn:aws:codebuild:us-east-1:000000000000:p*",
    ] {
        assert!(allows(statement("Allow", "*", resource)), "{resource}");
    }
    for resource in [
        "arn:aws:codebuild:us-east-1:000000000000:project/Demo",
        "arn:aws:codebuild:us-east-1:000000000000:project/demo2",
        "arn:aws:codebuild:us-east-1:000000000000:build/*",
        "arn:aws:codebuild:us-east-1::project/demo",
        "arn:aws:codebuild:eu-*:000000000000:project/demo",
        // No star crosses a colon before the last part, and none stands for the type of a resource.
        "arn:aws:code*:000000000000:x:project/demo",
        "arn:aws:codebuild:us-east-1:000000000000:*/demo",
        "arn:aws:codebuild:us-east-1:000000000000:pro*ct/demo",
    ] {
        assert!(!allows(statement("Allow", "*", resource)), "{resource}");
    }
    assert!(allows(json!({ "Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::b" })));
    assert!(!allows(json!({ "Effect": "Allow", "Action": "*", "NotResource": ["arn:aws:s3:::b", PROJECT] })));
}

#[test]
fn a_wildcard_for_the_type_of_a_resource_denies_all_the_same() {
    let doubtful = "arn:aws:codebuild:us-east-1:000000000000:*/demo";
    assert!(!allows(json!([statement("Allow", "*", "*"), statement("Deny", "*", doubtful)])));
    assert!(!allows(json!({ "Effect": "Allow", "Action": "*", "NotResource": doubtful })));
    // Buckets have no type: their names stand there.
    let mut asked = Asked::under(statement("Allow", "s3:*", "arn:aws:s3:::st*/demo"));
    (asked.action, asked.resource) = ("s3:GetObject".to_owned(), "arn:aws:s3:::store/demo".to_owned());
    assert!(asked.is_allowed());
}

#[test]
fn what_is_about_nothing_needs_a_star() {
    let list = |statement: Value| {
        let (action, resource) = ("codebuild:ListBuilds".to_owned(), "*".to_owned());
        Asked { action, resource, ..Asked::under(statement) }.is_allowed()
    };
    assert!(list(statement("Allow", "codebuild:List*", "*")));
    assert!(!list(statement("Allow", "codebuild:List*", PROJECT)));
    assert!(!list(statement("Allow", "codebuild:List*", "arn:*:*:*:*:*")));
    assert!(list(json!({ "Effect": "Allow", "Action": "*", "NotResource": PROJECT })));
    assert!(!list(json!({ "Effect": "Allow", "Action": "*", "NotResource": "*" })));
}

#[test]
fn variables_in_resources() {
    let resource = "arn:aws:codebuild:us-east-1:000000000000:project/${aws:PrincipalTag/team}";
    let with = |value: &str| Asked::under(statement("Allow", "*", resource)).with("aws:principaltag/TEAM", value);
    assert!(with("demo").is_allowed());
    for value in ["*", "d*", "????", "", "Demo"] {
        assert!(!with(value).is_allowed(), "{value}");
    }
    assert!(!Asked::under(statement("Allow", "*", resource)).is_allowed());
    let default = "arn:aws:codebuild:us-east-1:000000000000:project/${aws:PrincipalTag/team, 'demo'}";
    assert!(allows(statement("Allow", "*", default)));
    assert!(!Asked::under(statement("Allow", "*", default)).with("aws:PrincipalTag/team", "x").is_allowed());
    let several = "arn:aws:codebuild:us-east-1:000000000000:project/${aws:TagKeys}";
    assert!(!Asked::under(statement("Allow", "*", several)).with_many("aws:TagKeys", &["demo"]).is_allowed());
    // All but nobody knows what is not allowed.
    assert!(!allows(json!({ "Effect": "Allow", "Action": "*", "NotResource": resource })));
    assert!(!allows(
        json!([statement("Allow", "*", "*"), { "Effect": "Deny", "Action": "*", "NotResource": resource }])
    ));
}

#[test]
fn the_old_language_knows_no_variables() {
    let text = |version: Value, resource: &str| {
        let mut document = json!({ "Statement": statement("Allow", "*", resource) });
        if !version.is_null() {
            document["Version"] = version;
        }
        Policy::parse(Kind::Managed, &document.to_string()).unwrap()
    };
    let resource = "arn:aws:codebuild:us-east-1:000000000000:project/${aws:PrincipalTag/team}";
    for version in [json!("2008-10-17"), Value::Null] {
        let asked = |name: &str| {
            let mut asked = Asked::under(json!([statement("Deny", "s3:*", "*")])).with("aws:PrincipalTag/team", "demo");
            asked.identity = vec![text(version.clone(), resource)];
            asked.resource = format!("arn:aws:codebuild:us-east-1:000000000000:project/{name}");
            asked.is_allowed()
        };
        assert!(!asked("demo") && asked("${aws:PrincipalTag/team}"));
    }
}

#[test]
fn one_value_is_a_list_of_one() {
    let single = policy(Kind::Managed, statement("Allow", "codebuild:*", PROJECT));
    let list = policy(Kind::Managed, json!([{ "Effect": "Allow", "Action": ["codebuild:*"], "Resource": [PROJECT] }]));
    assert_eq!(single, list);
}
