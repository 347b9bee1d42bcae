//! What denied callers are told (`security.md` 1.5).

use serde_json::json;

use super::{
    super::{Kind, ResourceRule},
    world::{ACCOUNT, Asked, OTHER, PROJECT, alice, allow, policy, session, statement, user},
};

fn told(asked: &Asked) -> String {
    asked.decision().denial("CALLER", &asked.action, Some(&asked.resource))
}

#[test]
fn denials_name_the_kind_of_policy() {
    let nothing = || allow("s3:Nothing");
    let head = format!("User: CALLER is not authorized to perform: codebuild:StartBuild on resource: {PROJECT} ");
    let missing = |kind: &str| format!("{head}because no {kind} allows the codebuild:StartBuild action");
    assert_eq!(told(&Asked::by(alice())), missing("identity-based policy"));
    let limited = |asked: Asked| Asked { identity: vec![allow("*")], ..asked };
    let bounded = limited(Asked { boundary: Some(nothing()), ..Asked::by(alice()) });
    assert_eq!(told(&bounded), missing("permissions boundary"));
    let in_session = limited(Asked { session: Some(nothing()), ..Asked::by(session(ACCOUNT)) });
    assert_eq!(told(&in_session), missing("session policy"));
    assert_eq!(told(&limited(Asked::by(user(OTHER)))), missing("resource-based policy"));
    assert_eq!(told(&limited(Asked { rule: ResourceRule::Trust, ..Asked::by(alice()) })), missing("role trust policy"));

    let deny = || policy(Kind::Managed, statement("Deny", "*", "*"));
    let explicit = |kind: &str| format!("{head}with an explicit deny in {kind}");
    assert_eq!(told(&Asked { identity: vec![deny()], ..Asked::by(alice()) }), explicit("an identity-based policy"));
    assert_eq!(
        told(&limited(Asked { boundary: Some(deny()), ..Asked::by(alice()) })),
        explicit("a permissions boundary")
    );
    assert_eq!(told(&limited(Asked { session: Some(deny()), ..Asked::by(alice()) })), explicit("a session policy"));
    let denied = json!({ "Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*" });
    let by_resource =
        |rule| limited(Asked { resource_policy: Some(policy(Kind::Key, denied.clone())), rule, ..Asked::by(alice()) });
    assert_eq!(told(&by_resource(ResourceRule::Key)), explicit("a resource-based policy"));
    assert_eq!(told(&by_resource(ResourceRule::Trust)), explicit("the role trust policy"));
}

#[test]
fn what_is_about_nothing_names_no_resource() {
    let asked = Asked { action: "codebuild:ListBuilds".to_owned(), resource: "*".to_owned(), ..Asked::by(alice()) };
    assert_eq!(
        told(&asked),
        "User: CALLER is not authorized to perform: codebuild:ListBuilds because no identity-based policy allows the \
         codebuild:ListBuilds action"
    );
}
