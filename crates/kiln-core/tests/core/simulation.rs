//! What would be decided, and that it is what is decided.

use kiln_core::{Core, iam::KeyValue};
use kiln_model::{
    iam::{Answer, ContextEntry, Evaluation, IamError, Owner, Page, Request, Simulation, Tag},
    kiln::{ExplainAccessInput, ExplainAccessOutput, KeyValues},
    service::{Caller, CodeBuild as _, Iam as _, KilnService as _},
};
use serde_json::{Value, json};

use crate::{
    fake::FakeRunners,
    identities::may_with,
    place::{Place, context},
};

type Server = Core<FakeRunners>;

const ALICE: &str = "arn:aws:iam::000000000000:user/team/alice";
const OWN: &str = "arn:aws:codebuild:us-east-1:000000000000:project/alice";
const OTHER: &str = "arn:aws:codebuild:us-east-1:000000000000:project/other";
const OBJECT: &str = "arn:aws:s3:::bucket/key";

async fn ask(core: &Server, request: Request) -> Answer {
    core.iam(&context(), request).await.unwrap()
}

/// A policy whose statements begin in the third line.
fn policy(statements: &Value) -> String {
    format!("{{\n\"Version\": \"2012-10-17\",\n\"Statement\": {statements}\n}}")
}

/// Alice has her project, with an address and a tag; and a group whose policy denies. Who she is when she calls.
async fn alice(core: &Server) -> Caller {
    let tags = vec![Tag { key: "team".to_owned(), value: "blue".to_owned() }];
    let path = Some("/team/".to_owned());
    ask(core, Request::CreateUser { name: "alice".to_owned(), path, boundary: None, tags }).await;
    let own = json!([
        { "Sid": "Own", "Effect": "Allow", "Action": "codebuild:*",
          "Resource": "arn:aws:codebuild:*:*:project/${aws:username}" },
        { "Sid": "Near", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*",
          "Condition": { "IpAddress": { "aws:SourceIp": "10.0.0.0/8" } } },
        { "Sid": "Blue", "Effect": "Allow", "Action": "s3:PutObject", "Resource": "*",
          "Condition": { "StringEquals": { "aws:PrincipalTag/team": "blue" } } },
    ]);
    let owner = Owner::User("alice".to_owned());
    ask(core, Request::PutInlinePolicy { owner, name: "own".to_owned(), document: policy(&own) }).await;
    ask(core, Request::CreateGroup { name: "all".to_owned(), path: None }).await;
    ask(core, Request::AddUserToGroup { group: "all".to_owned(), user: "alice".to_owned() }).await;
    let never = json!({ "Effect": "Deny", "Action": "codebuild:Delete*", "Resource": "*" });
    let owner = Owner::Group("all".to_owned());
    ask(core, Request::PutInlinePolicy { owner, name: "never".to_owned(), document: policy(&never) }).await;
    let made = ask(core, Request::CreateAccessKey { user: Some("alice".to_owned()) }).await;
    let Answer::NewAccessKey(new) = made else { panic!("{made:?}") };
    core.credential(&new.key.id, None).unwrap().unwrap().caller
}

fn of_alice(actions: &[&str], resources: &[&str]) -> Simulation {
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
    Simulation {
        source: Some(ALICE.to_owned()),
        actions: texts(actions),
        resources: texts(resources),
        ..Simulation::default()
    }
}

fn near() -> ContextEntry {
    ContextEntry { name: "aws:SourceIp".to_owned(), values: vec!["10.1.1.1".to_owned()], is_list: false }
}

async fn simulate(core: &Server, simulation: Simulation) -> Result<Vec<Evaluation>, String> {
    let request = Request::Simulate { simulation: Box::new(simulation), page: Page::default() };
    match core.iam(&context(), request).await {
        Ok(Answer::Evaluations(list)) => Ok(list.items),
        Err(IamError::Refused { code, message }) => Err(format!("{}: {message}", code.as_str())),
        other => panic!("{other:?}"),
    }
}

async fn one(core: &Server, simulation: Simulation) -> Evaluation {
    simulate(core, simulation).await.unwrap().remove(0)
}

async fn explain(core: &Server, action: &str, resource: Option<&str>, keys: &[KeyValues]) -> ExplainAccessOutput {
    let input = ExplainAccessInput {
        principal: ALICE.to_owned(),
        action: action.to_owned(),
        resource: resource.map(str::to_owned),
        context: keys.to_vec(),
    };
    core.explain_access(&context(), input).await.unwrap()
}

#[tokio::test]
async fn what_is_simulated_is_what_is_decided() {
    let place = Place::new();
    let core = place.serve();
    let caller = alice(&core).await;
    let boundary = |arn: Option<&str>| {
        let owner = Owner::User("alice".to_owned());
        match arn {
            Some(name) => Request::PutBoundary { owner, arn: format!("arn:aws:iam::aws:policy/{name}") },
            None => Request::DeleteBoundary { owner },
        }
    };
    let mut seen = Vec::new();
    for bounded in [Some("AmazonS3FullAccess"), None] {
        ask(&core, boundary(bounded)).await;
        for (action, resource) in [
            ("codebuild:StartBuild", Some(OWN)),
            ("codebuild:StartBuild", Some(OTHER)),
            ("codebuild:StartBuild", None),
            ("codebuild:DeleteProject", Some(OWN)),
            ("codebuild:ListBuilds", None),
            ("s3:GetObject", Some(OBJECT)),
            ("s3:PutObject", Some(OBJECT)),
            ("s3:DeleteObject", Some(OBJECT)),
            ("iam:GetUser", Some(ALICE)),
        ] {
            for address in [None, Some("10.1.1.1"), Some("11.1.1.1")] {
                let keys: Vec<KeyValue> =
                    address.map(|value| KeyValue::one("aws:SourceIp", value)).into_iter().collect();
                let decided = may_with(&core, &caller, action, resource, &keys);

                let mut simulation = of_alice(&[action], resource.as_slice());
                let entry = |value: &str| ContextEntry { values: vec![value.to_owned()], ..near() };
                simulation.context = address.map(entry).into_iter().collect();
                let simulated = one(&core, simulation).await;
                let case = format!("{action} {resource:?} {address:?} {bounded:?}: {decided:?}");
                assert_eq!(simulated.decision == "allowed", decided.is_ok(), "{case}: {simulated:?}");
                let is_explicit = decided.as_ref().is_err_and(|message| message.contains("with an explicit deny"));
                assert_eq!(simulated.decision == "explicitDeny", is_explicit, "{case}: {simulated:?}");

                let given = |value: &str| KeyValues { key: "aws:SourceIp".to_owned(), values: vec![value.to_owned()] };
                let keys: Vec<KeyValues> = address.map(given).into_iter().collect();
                let explained = explain(&core, action, resource, &keys).await;
                assert_eq!(
                    (explained.decision.as_str(), explained.message),
                    (simulated.decision, decided.err()),
                    "{case}"
                );
                seen.push(simulated.decision);
            }
        }
    }
    for decision in ["allowed", "implicitDeny", "explicitDeny"] {
        assert!(seen.contains(&decision), "{decision} never happened");
    }
}

#[tokio::test]
async fn a_simulation_names_statements_places_and_what_is_missing() {
    let place = Place::new();
    let core = place.serve();
    alice(&core).await;
    let allowed = one(&core, of_alice(&["codebuild:StartBuild"], &[OWN])).await;
    assert_eq!((allowed.decision, allowed.allowed_by_boundary, allowed.is_specific), ("allowed", None, true));
    let [matched] = allowed.matched.as_slice() else { panic!("{allowed:?}") };
    assert_eq!((matched.policy.as_str(), matched.kind), ("own", "user"));
    assert_eq!((matched.start, matched.end), ((3, 15), (3, 127)), "{allowed:?}");
    assert_eq!(allowed.missing, ["aws:sourceip"], "she has a name and a tag, but no address");

    let denied = one(&core, of_alice(&["codebuild:DeleteProject"], &[OWN])).await;
    assert_eq!(denied.decision, "explicitDeny");
    let [matched] = denied.matched.as_slice() else { panic!("{denied:?}") };
    assert_eq!((matched.policy.as_str(), matched.kind), ("never", "group"), "nothing of what allows");
    assert_eq!(matched.start, (3, 14));

    let far = one(&core, of_alice(&["s3:GetObject"], &[])).await;
    assert_eq!(
        (far.decision, far.matched.len(), far.resource.as_str(), far.is_specific),
        ("implicitDeny", 0, "*", false)
    );
    let close = Simulation { context: vec![near()], ..of_alice(&["s3:GetObject"], &[]) };
    let close = one(&core, close).await;
    assert_eq!((close.decision, close.missing.len()), ("allowed", 0));

    // A boundary of the request takes the place of hers; a policy of the request is added.
    let bounded = Simulation {
        boundary: Some(policy(&json!({ "Effect": "Allow", "Action": "s3:*", "Resource": "*" }))),
        policies: vec![policy(&json!({ "Effect": "Allow", "Action": "s3:DeleteObject", "Resource": "*" }))],
        ..of_alice(&["codebuild:StartBuild", "s3:DeleteObject"], &[])
    };
    let bounded = simulate(&core, bounded).await.unwrap();
    assert_eq!((bounded[0].decision, bounded[0].allowed_by_boundary), ("implicitDeny", Some(false)));
    assert_eq!((bounded[1].decision, bounded[1].allowed_by_boundary), ("allowed", Some(true)));
    let [matched] = bounded[1].matched.as_slice() else { panic!("{bounded:?}") };
    assert_eq!((matched.policy.as_str(), matched.kind), ("PolicyInputList.1", "none"));

    // Of a group: its policies, and nobody's name.
    let group = Some("arn:aws:iam::000000000000:group/all".to_owned());
    let of_group =
        Simulation { source: group, ..of_alice(&["codebuild:DeleteProject", "codebuild:StartBuild"], &[OWN]) };
    let of_group: Vec<_> = simulate(&core, of_group).await.unwrap().into_iter().map(|one| one.decision).collect();
    assert_eq!(of_group, ["explicitDeny", "implicitDeny"]);
}

#[tokio::test]
async fn pairs_are_answered_page_by_page() {
    let place = Place::new();
    let core = place.serve();
    alice(&core).await;
    let (mut marker, mut pairs, mut pages) = (None, Vec::new(), 0);
    loop {
        let simulation = Box::new(of_alice(&["codebuild:StartBuild", "codebuild:StopBuild"], &[OWN, OTHER, "*"]));
        let page = Page { marker, max_items: Some(4) };
        let Answer::Evaluations(list) = ask(&core, Request::Simulate { simulation, page }).await else { panic!() };
        pairs.extend(list.items.into_iter().map(|one| (one.action, one.resource, one.decision)));
        pages += 1;
        marker = list.marker;
        if marker.is_none() {
            break;
        }
    }
    assert_eq!((pages, pairs.len()), (2, 6));
    let allowed: Vec<_> = pairs.iter().filter(|(_, _, decision)| *decision == "allowed").collect();
    assert!(allowed.iter().all(|(_, resource, _)| resource == OWN) && allowed.len() == 2, "{pairs:?}");
}

#[tokio::test]
async fn policies_are_simulated_that_nobody_has() {
    let place = Place::new();
    let core = place.serve();
    alice(&core).await;
    let all = policy(&json!({ "Effect": "Allow", "Action": "s3:*", "Resource": "*" }));
    let custom = |policies: &[&String]| Simulation {
        source: None,
        policies: policies.iter().map(|policy| (*policy).clone()).collect(),
        ..of_alice(&["s3:GetObject"], &[OBJECT])
    };
    assert_eq!(one(&core, custom(&[&all])).await.decision, "allowed");
    let deny = policy(&json!({ "Effect": "Deny", "Action": "s3:Get*", "Resource": "*",
        "Condition": { "StringLike": { "aws:PrincipalTag/${aws:username}": "a" } } }));
    let keys = Request::ContextKeys { simulation: Box::new(custom(&[&all, &deny])) };
    let Answer::ContextKeys(keys) = ask(&core, keys).await else { panic!() };
    assert_eq!(keys, ["aws:principaltag/${aws:username}"]);
    let keys = Request::ContextKeys { simulation: Box::new(of_alice(&[], &[])) };
    let Answer::ContextKeys(keys) = ask(&core, keys).await else { panic!() };
    assert_eq!(keys, ["aws:principaltag/team", "aws:sourceip", "aws:username"]);

    // The policy of the resource: it is enough within the account, and needed from another.
    let statement =
        json!({ "Effect": "Allow", "Principal": { "AWS": ALICE }, "Action": "s3:GetObject", "Resource": "*" });
    let nothing = policy(&json!({ "Effect": "Allow", "Action": "sqs:*", "Resource": "*" }));
    let with = |caller: Option<&str>, owner: Option<&str>, mine: &String| Simulation {
        resource_policy: Some(policy(&statement)),
        caller: caller.map(str::to_owned),
        owner: owner.map(str::to_owned),
        ..custom(&[mine])
    };
    let allowed = one(&core, with(Some(ALICE), None, &nothing)).await;
    assert_eq!((allowed.decision, allowed.matched[0].kind), ("allowed", "resource"));
    let abroad = Some("arn:aws:iam::111122223333:root");
    assert_eq!(one(&core, with(Some(ALICE), abroad, &nothing)).await.decision, "implicitDeny");
    assert_eq!(one(&core, with(Some(ALICE), abroad, &all)).await.decision, "allowed");
    let bob = "arn:aws:iam::111122223333:user/bob";
    assert_eq!(one(&core, with(Some(bob), Some("000000000000"), &all)).await.decision, "implicitDeny");

    // Who calls has their own name and tags with those policies.
    let blue =
        policy(&json!({ "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::${aws:username}/*",
        "Condition": { "StringEquals": { "aws:PrincipalTag/team": "blue" } } }));
    ask(&core, Request::CreateUser { name: "bob".to_owned(), path: None, boundary: None, tags: Vec::new() }).await;
    for (caller, expected) in [(ALICE, "allowed"), ("arn:aws:iam::000000000000:user/bob", "implicitDeny")] {
        let calls = Simulation { caller: Some(caller.to_owned()), ..custom(&[&blue]) };
        let calls = Simulation { resources: vec!["arn:aws:s3:::alice/x".to_owned()], ..calls };
        assert_eq!(one(&core, calls).await.decision, expected, "{caller}");
    }

    for (wrong, expected) in [
        (with(None, None, &all), "InvalidInput: CallerArn: a ResourcePolicy needs"),
        (with(Some("arn:aws:iam::000000000000:group/all"), None, &all), "InvalidInput: Invalid Input CallerArn"),
        (with(Some("arn:aws:iam::000000000000:role/gone"), None, &all), "NoSuchEntity: "),
        (with(Some("arn:aws:iam::000000000000:user/gone"), None, &all), "NoSuchEntity: "),
        (with(Some(ALICE), Some("me"), &all), "InvalidInput: Invalid Input ResourceOwner"),
        (custom(&[&"{}".to_owned()]), "InvalidInput: Invalid Input PolicyInputList.1"),
        (of_alice(&["StartBuild"], &[]), "InvalidInput: Invalid Input ActionNames: StartBuild"),
        (of_alice(&["s3:GetObject"], &["bucket"]), "InvalidInput: Invalid Input Resource bucket must be in ARN format"),
        (of_alice(&[], &[]), "ValidationError: "),
        (of_alice(&["a:b"; 101], &["*"; 10]), "ValidationError: "),
        (
            Simulation { source: Some("arn:aws:iam::000000000000:user/gone".to_owned()), ..of_alice(&["a:b"], &[]) },
            "NoSuchEntity: ",
        ),
    ] {
        let error = simulate(&core, wrong).await.unwrap_err();
        assert!(error.starts_with(expected), "{expected}: {error}");
    }
}

#[tokio::test]
async fn each_statement_says_why_it_does_not_apply() {
    let place = Place::new();
    let core = place.serve();
    let caller = alice(&core).await;
    let explained = explain(&core, "s3:GetObject", Some(OBJECT), &[]).await;
    let reasons = |output: &ExplainAccessOutput| -> Vec<(String, String)> {
        let why = |one: &kiln_model::kiln::ExplainedStatement| one.why_not.clone().unwrap_or_default();
        output.statements.iter().map(|one| (one.statement.clone(), why(one))).collect()
    };
    let texts = |all: &[(&str, &str)]| -> Vec<(String, String)> {
        all.iter().map(|(sid, why)| ((*sid).to_owned(), (*why).to_owned())).collect()
    };
    let missing = "IpAddress aws:sourceip: the call does not have it";
    let others = "other actions";
    assert_eq!(reasons(&explained), texts(&[("Own", others), ("Near", missing), ("Blue", others), ("1", others)]));

    // The project's own policy and tags count, as they do for a call.
    let mut input = Place::input("alice", "true");
    input.tags = Some(vec![kiln_model::codebuild::Tag { key: Some("Env".to_owned()), value: Some("prod".to_owned()) }]);
    core.create_project(&context(), input).await.unwrap();
    let statement = json!({ "Effect": "Deny", "Principal": { "AWS": ALICE }, "Action": "codebuild:StartBuild",
        "Resource": OWN, "Condition": { "StringEquals": { "aws:ResourceTag/Env": "prod" } } });
    let put = kiln_model::codebuild::PutResourcePolicyInput {
        policy: policy(&json!([statement])),
        resource_arn: OWN.to_owned(),
    };
    core.put_resource_policy(&context(), put).await.unwrap();
    let explained = explain(&core, "codebuild:StartBuild", Some(OWN), &[]).await;
    assert_eq!(explained.decision, "explicitDeny");
    assert_eq!(explained.message, may_with(&core, &caller, "codebuild:StartBuild", Some(OWN), &[]).err());
    let own: Vec<_> = explained.statements.iter().filter(|one| one.policy_type == "resource-based policy").collect();
    assert!(own.len() == 1 && own[0].applies && own[0].effect == "Deny", "{explained:?}");

    for (principal, action, resource, expected) in [
        ("arn:aws:iam::000000000000:user/gone", "s3:GetObject", None, "principal: "),
        (ALICE, "GetObject", None, "action: GetObject is none"),
        (ALICE, "s3:GetObject", Some("key"), "resource: key is no ARN"),
        (ALICE, "kms:Decrypt", None, "action: kms:Decrypt: the policies and grants of keys"),
        (ALICE, "sts:AssumeRole", None, "action: sts:AssumeRole: "),
    ] {
        let input = ExplainAccessInput {
            principal: principal.to_owned(),
            action: action.to_owned(),
            resource: resource.map(str::to_owned),
            context: Vec::new(),
        };
        let error = core.explain_access(&context(), input).await.unwrap_err();
        assert!(error.message.starts_with(expected), "{expected}: {error}");
    }
}
