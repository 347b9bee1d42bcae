//! What holds for any policies and requests.

use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use super::{
    super::{Kind, Policy, Principal},
    world::{ACCOUNT, Asked, OTHER, alice, policy, root, session, user},
};

fn any_statement() -> impl Strategy<Value = Value> {
    let action = select(vec!["*", "codebuild:*", "codebuild:Start*", "codebuild:StopBuild", "s3:*"]);
    let resource = select(vec![
        "*",
        "arn:aws:codebuild:us-east-1:000000000000:project/*",
        "arn:aws:codebuild:us-east-1:000000000000:*/demo",
        "arn:aws:codebuild:us-east-1:000000000000:project/${aws:PrincipalTag/t}",
        "arn:aws:s3:::b",
    ]);
    let operator = select(vec![
        "StringEquals",
        "StringNotEquals",
        "StringLike",
        "StringNotLikeIfExists",
        "ForAllValues:StringEquals",
        "ForAnyValue:StringNotEquals",
        "ForAnyValue:StringEqualsIfExists",
    ]);
    let condition =
        (operator, select(vec!["aws:a", "aws:b", "aws:m"]), select(vec!["x", "y", "*", "${aws:a}", "${aws:none}"]));
    let negated = (any::<bool>(), any::<bool>());
    (prop::bool::weighted(0.6), action, resource, negated, prop::option::weighted(0.5, condition)).prop_map(
        |(allows, action, resource, (not_action, not_resource), condition)| {
            let mut statement = json!({
                "Effect": if allows { "Allow" } else { "Deny" },
                if not_action { "NotAction" } else { "Action" }: action,
                if not_resource { "NotResource" } else { "Resource" }: resource,
            });
            if let Some((operator, key, value)) = condition {
                statement["Condition"] = json!({ operator: { key: value } });
            }
            statement
        },
    )
}

fn statements() -> impl Strategy<Value = Vec<Value>> {
    prop::collection::vec(any_statement(), 1..5)
}

fn any_principal() -> impl Strategy<Value = Principal> {
    select(vec![
        alice(),
        session(ACCOUNT),
        user(OTHER),
        session(OTHER),
        root(ACCOUNT),
        root(OTHER),
        Principal::Anonymous,
    ])
}

fn named(statements: &[Value], principal: &str) -> Value {
    let with = |statement: &Value| {
        let mut statement = statement.clone();
        statement["Principal"] = json!({ "AWS": principal });
        statement
    };
    statements.iter().map(with).collect()
}

prop_compose! {
    fn any_request()(
        principal in any_principal(),
        context in prop::collection::vec((select(vec!["aws:a", "aws:b", "aws:PrincipalTag/t"]), select(vec!["x", "demo", "*", ""])), 0..3),
        many in prop::collection::vec(select(vec!["x", "y", "*"]), 0..3),
        identity in prop::collection::vec(statements(), 0..3),
        boundary in prop::option::weighted(0.3, statements()),
        in_session in prop::option::weighted(0.3, statements()),
        resource in prop::option::weighted(0.5, (statements(), select(vec!["*", "000000000000", "111122223333", "arn:aws:iam::000000000000:role/deploy"]))),
    ) -> Asked {
        let read = |statements: Vec<Value>| policy(Kind::Managed, Value::Array(statements));
        let mut asked = Asked {
            identity: identity.into_iter().map(read).collect(),
            boundary: boundary.map(read),
            session: in_session.map(read),
            resource_policy: resource.map(|(statements, principal)| policy(Kind::Key, named(&statements, principal))),
            ..Asked::by(principal)
        };
        for (key, value) in context {
            asked.context.set(key, value);
        }
        asked.context.set_many("aws:m", many);
        asked
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_matching_deny_always_wins(asked in any_request(), at: usize) {
        let mut asked = asked;
        let deny = policy(Kind::Managed, json!({ "Effect": "Deny", "Action": "codebuild:*", "Resource": "*" }));
        let at = at % (asked.identity.len() + 1);
        asked.identity.insert(at, deny);
        prop_assert!(!asked.is_allowed());
    }

    #[test]
    fn adding_a_deny_never_allows(asked in any_request(), statement in any_statement()) {
        let mut asked = asked;
        let before = asked.is_allowed();
        let mut statement = statement;
        statement["Effect"] = json!("Deny");
        asked.identity.push(policy(Kind::Managed, statement));
        prop_assert!(before || !asked.is_allowed());
    }

    #[test]
    fn adding_an_allow_never_takes_away(asked in any_request(), statement in any_statement()) {
        let mut asked = asked;
        let before = asked.is_allowed();
        let mut statement = statement;
        statement["Effect"] = json!("Allow");
        asked.identity.push(policy(Kind::Managed, statement));
        prop_assert!(!before || asked.is_allowed());
    }

    #[test]
    fn limits_never_allow(asked in any_request(), limit in statements()) {
        let mut asked = asked;
        (asked.boundary, asked.session) = (None, None);
        let before = asked.is_allowed();
        asked.boundary = Some(policy(Kind::Managed, Value::Array(limit.clone())));
        prop_assert!(before || !asked.is_allowed());
        asked.session = Some(policy(Kind::Session, Value::Array(limit)));
        prop_assert!(before || !asked.is_allowed());
    }

    #[test]
    fn order_does_not_matter(all in prop::collection::vec(statements(), 1..4), seed: u64, value in select(vec!["x", "*", "demo"])) {
        let ask = |all: &[Vec<Value>]| {
            let identity = all.iter().map(|statements| policy(Kind::Managed, json!(statements))).collect();
            Asked { identity, ..Asked::by(alice()) }.with("aws:a", value).is_allowed()
        };
        let before = ask(&all);
        let mut random = fastrand::Rng::with_seed(seed);
        let mut all = all;
        random.shuffle(&mut all);
        all.iter_mut().for_each(|statements| random.shuffle(statements));
        prop_assert_eq!(before, ask(&all));
        // Nor does it matter how statements are spread over policies.
        let together: Vec<Value> = all.into_iter().flatten().collect();
        prop_assert_eq!(before, ask(&[together]));
    }

    #[test]
    fn either_an_action_is_listed_or_it_is_not(statement in any_statement(), value in select(vec!["x", "*", "demo"])) {
        let action = statement.get("Action").or_else(|| statement.get("NotAction")).unwrap().clone();
        let ask = |element: &str| Asked::under(json!({ "Effect": "Allow", element: action, "Resource": "*" })).with("aws:a", value).is_allowed();
        prop_assert!(ask("Action") != ask("NotAction"));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        for kind in [Kind::Managed, Kind::Trust, Kind::Bucket] {
            if let Ok(policy) = Policy::parse(kind, &text) {
                prop_assert_eq!(policy.kind(), kind);
            }
        }
    }

    #[test]
    fn any_json_is_read_or_refused(
        effect in "[A-Za-z]{0,6}", action in "\\PC{0,20}", resource in "(arn:aws:[a-z0-9:]{0,12}|\\PC{0,20})(\\$\\{[ -~]{0,9})?",
        operator in "(ForA(ny|ll)Values?:)?[A-Z][A-Za-z]{0,12}", key in "[ -~]{0,12}", value in "\\PC{0,20}",
    ) {
        let statement = json!({ "Effect": effect, "Action": action, "Resource": resource, "Condition": { operator: { key: value } } });
        let text = json!({ "Version": "2012-10-17", "Statement": statement }).to_string();
        if let Ok(policy) = Policy::parse(Kind::Managed, &text) {
            let asked = Asked { identity: vec![policy], ..Asked::by(alice()) };
            prop_assert_eq!(asked.decision(), asked.decision());
        }
    }
}
