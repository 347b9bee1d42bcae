//! Which policies must allow (`security.md` 2.1).

use serde_json::json;

use super::{
    super::{Kind, Layer, Policy, Principal, Reason, ResourceRule},
    world::{ACCOUNT, Asked, OTHER, alice, allow, allow_for, policy, root, session, statement, user},
};

fn nothing() -> Policy {
    allow("s3:Nothing")
}

#[test]
fn everything_is_denied_that_is_not_allowed() {
    let mut asked = Asked::by(alice());
    assert_eq!(asked.decision().reason, Reason::Missing(Layer::Identity));
    asked.identity.push(allow("codebuild:StopBuild"));
    assert!(!asked.is_allowed());
    asked.identity.push(allow("codebuild:StartBuild"));
    let decision = asked.decision();
    assert_eq!(decision.reason, Reason::Allowed);
    let cited = decision.statement.unwrap();
    assert_eq!((cited.layer, cited.policy, cited.statement), (Layer::Identity, 1, 0));
}

#[test]
fn a_deny_in_any_policy_wins() {
    let deny = || policy(Kind::Managed, json!([statement("Deny", "codebuild:*", "*"), statement("Allow", "*", "*")]));
    let all = || Asked {
        identity: vec![allow("*")],
        boundary: Some(allow("*")),
        session: Some(allow("*")),
        resource_policy: Some(allow_for(&json!("*"))),
        ..Asked::by(session(ACCOUNT))
    };
    assert!(all().is_allowed());
    let denied = [
        (Layer::Identity, Asked { identity: vec![allow("*"), deny()], ..all() }),
        (Layer::Boundary, Asked { boundary: Some(deny()), ..all() }),
        (Layer::Session, Asked { session: Some(deny()), ..all() }),
    ];
    for (layer, asked) in denied {
        assert_eq!(asked.decision().reason, Reason::Denied(layer));
    }
    let resource = json!([
        { "Effect": "Allow", "Principal": "*", "Action": "codebuild:*", "Resource": "*" },
        { "Sid": "No", "Effect": "Deny", "Principal": { "AWS": ACCOUNT }, "Action": "codebuild:StartBuild", "Resource": "*" },
    ]);
    let asked = Asked { resource_policy: Some(policy(Kind::Project, resource)), ..all() };
    let decision = asked.decision();
    assert_eq!(decision.reason, Reason::Denied(Layer::Resource));
    assert_eq!(decision.statement.unwrap().sid.as_deref(), Some("No"));
}

#[test]
fn boundary_and_session_limit_what_the_identity_has() {
    let with = |boundary: Option<Policy>, session_policy: Option<Policy>| Asked {
        identity: vec![allow("*")],
        boundary,
        session: session_policy,
        ..Asked::by(session(ACCOUNT))
    };
    assert!(with(None, None).is_allowed());
    assert!(with(Some(allow("codebuild:*")), Some(allow("*"))).is_allowed());
    assert_eq!(with(Some(nothing()), Some(allow("*"))).decision().reason, Reason::Missing(Layer::Boundary));
    assert_eq!(with(Some(allow("*")), Some(nothing())).decision().reason, Reason::Missing(Layer::Session));
    // Neither of them grants anything.
    let alone = Asked { boundary: Some(allow("*")), session: Some(allow("*")), ..Asked::by(session(ACCOUNT)) };
    assert_eq!(alone.decision().reason, Reason::Missing(Layer::Identity));
}

/// The table of `security.md` 2.1: who is named, whether that is enough alone, past a boundary, past a session policy.
#[test]
fn what_a_resources_policy_overrides() {
    let user_arn = json!({ "AWS": format!("arn:aws:iam::{ACCOUNT}:user/alice") });
    let session_arn = json!({ "AWS": format!("arn:aws:sts::{ACCOUNT}:assumed-role/deploy/s1") });
    let role_arn = json!({ "AWS": format!("arn:aws:iam::{ACCOUNT}:role/deploy") });
    let account = json!({ "AWS": format!("arn:aws:iam::{ACCOUNT}:root") });
    let number = json!({ "AWS": ACCOUNT });
    for (principal, named, alone, past_boundary, past_session) in [
        (alice(), &user_arn, true, true, false),
        (session(ACCOUNT), &session_arn, true, true, false),
        (session(ACCOUNT), &role_arn, true, false, false),
        (session(ACCOUNT), &account, false, false, false),
        (alice(), &number, false, false, false),
        (alice(), &json!("*"), true, true, false),
        (session(ACCOUNT), &json!({ "AWS": "*" }), true, true, false),
        (alice(), &role_arn, false, false, false),
    ] {
        let asked = |boundary: Option<Policy>, session_policy: Option<Policy>| {
            let resource_policy = Some(allow_for(named));
            Asked { boundary, session: session_policy, resource_policy, ..Asked::by(principal.clone()) }.is_allowed()
        };
        assert_eq!(asked(None, None), alone, "{named} for {principal:?}");
        assert_eq!(asked(Some(nothing()), None), past_boundary, "boundary, {named} for {principal:?}");
        assert_eq!(asked(None, Some(nothing())), past_session, "session, {named} for {principal:?}");
    }
}

#[test]
fn across_accounts_both_sides_must_allow() {
    let granted = || Some(allow_for(&json!({ "AWS": OTHER })));
    for principal in [user(OTHER), session(OTHER)] {
        let asked = |identity: Vec<Policy>, resource_policy: Option<Policy>| Asked {
            identity,
            resource_policy,
            ..Asked::by(principal.clone())
        };
        assert!(asked(vec![allow("*")], granted()).is_allowed());
        assert_eq!(asked(vec![allow("*")], None).decision().reason, Reason::Missing(Layer::Resource));
        assert_eq!(asked(vec![], granted()).decision().reason, Reason::Missing(Layer::Identity));
        // Not even naming the caller is enough for its own account.
        assert!(!asked(vec![], Some(allow_for(&json!("*")))).is_allowed());
        assert!(!Asked { boundary: Some(nothing()), ..asked(vec![allow("*")], granted()) }.is_allowed());
        assert!(!Asked { session: Some(nothing()), ..asked(vec![allow("*")], granted()) }.is_allowed());
    }
    assert!(Asked { resource_policy: granted(), ..Asked::by(root(OTHER)) }.is_allowed());
    assert!(!Asked::by(root(OTHER)).is_allowed());
}

#[test]
fn root_needs_no_policy_but_obeys_a_deny() {
    assert_eq!(Asked::by(root(ACCOUNT)).decision().reason, Reason::Root);
    let deny = json!({ "Effect": "Deny", "Principal": "*", "Action": "codebuild:*", "Resource": "*" });
    let asked = Asked { resource_policy: Some(policy(Kind::Project, deny)), ..Asked::by(root(ACCOUNT)) };
    assert_eq!(asked.decision().reason, Reason::Denied(Layer::Resource));
}

#[test]
fn nobody_has_what_the_resource_gives_to_everybody() {
    let anonymous = |named| Asked { resource_policy: Some(allow_for(&named)), ..Asked::by(Principal::Anonymous) };
    assert!(anonymous(json!("*")).is_allowed() && anonymous(json!({ "AWS": "*" })).is_allowed());
    for named in [json!({ "AWS": ACCOUNT }), json!({ "Service": "codebuild.amazonaws.com" })] {
        assert_eq!(anonymous(named).decision().reason, Reason::Missing(Layer::Resource));
    }
    assert!(!Asked::by(Principal::Anonymous).is_allowed());
    let service = Principal::Service { name: "codebuild.amazonaws.com".to_owned() };
    let asked = Asked {
        resource_policy: Some(allow_for(&json!({ "Service": "codebuild.amazonaws.com" }))),
        ..Asked::by(service)
    };
    assert!(asked.is_allowed());
}

#[test]
fn a_key_and_a_role_must_allow_by_themselves() {
    for rule in [ResourceRule::Key, ResourceRule::Trust] {
        let layer = if rule == ResourceRule::Trust { Layer::Trust } else { Layer::Resource };
        let asked = |principal: Principal, identity: Vec<Policy>, resource_policy: Option<Policy>| {
            Asked { identity, resource_policy, rule, ..Asked::by(principal) }.decision().reason
        };
        let account = || Some(allow_for(&json!({ "AWS": ACCOUNT })));
        let own = || Some(allow_for(&json!({ "AWS": format!("arn:aws:iam::{ACCOUNT}:user/alice") })));
        assert_eq!(asked(alice(), vec![allow("*")], None), Reason::Missing(layer));
        assert_eq!(asked(alice(), vec![], account()), Reason::Missing(Layer::Identity));
        assert_eq!(asked(alice(), vec![allow("*")], account()), Reason::Allowed);
        assert_eq!(asked(alice(), vec![], own()), Reason::Allowed);
        assert_eq!(asked(root(ACCOUNT), vec![], None), Reason::Missing(layer));
        assert_eq!(asked(root(ACCOUNT), vec![], account()), Reason::Root);
    }
}

#[test]
fn a_federated_session_has_what_its_policy_names() {
    let federated = || Principal::FederatedUser {
        account: ACCOUNT.to_owned(),
        arn: format!("arn:aws:sts::{ACCOUNT}:federated-user/bob"),
        user: format!("arn:aws:iam::{ACCOUNT}:user/alice"),
    };
    let with = |session_policy: Option<Policy>| Asked {
        identity: vec![allow("*")],
        session: session_policy,
        ..Asked::by(federated())
    };
    assert_eq!(with(None).decision().reason, Reason::Missing(Layer::Session));
    assert!(with(Some(allow("codebuild:*"))).is_allowed());
}

#[test]
fn not_principal_spares_only_who_is_named_in_full() {
    let denied = |named: serde_json::Value, principal: Principal, boundary: Option<Policy>| {
        let deny = json!({ "Effect": "Deny", "NotPrincipal": { "AWS": named }, "Action": "*", "Resource": "*" });
        let resource_policy = Some(policy(Kind::Key, deny));
        !Asked { identity: vec![allow("*")], boundary, resource_policy, ..Asked::by(principal) }.is_allowed()
    };
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    let user = format!("arn:aws:iam::{ACCOUNT}:user/alice");
    let role = format!("arn:aws:iam::{ACCOUNT}:role/deploy");
    let role_session = format!("arn:aws:sts::{ACCOUNT}:assumed-role/deploy/s1");
    assert!(!denied(json!([user, root]), alice(), None));
    assert!(denied(json!([user]), alice(), None) && denied(json!([root]), alice(), None));
    assert!(!denied(json!([role_session, role, root]), session(ACCOUNT), None));
    assert!(denied(json!([role, root]), session(ACCOUNT), None));
    assert!(denied(json!([user, root]), alice(), Some(allow("*"))), "who has a boundary is never spared");
    assert!(denied(json!([user, root]), Principal::Anonymous, None));
}

#[test]
fn what_is_no_request_is_denied() {
    for (action, resource) in
        [("StartBuild", "*"), ("codebuild:", "*"), (":x", "*"), ("codebuild:StartBuild", "project/demo")]
    {
        let (action, resource) = (action.to_owned(), resource.to_owned());
        let asked = Asked { action, resource, identity: vec![allow("*")], ..Asked::by(root(ACCOUNT)) };
        assert_eq!(asked.decision().reason, Reason::Unreadable);
    }
}
