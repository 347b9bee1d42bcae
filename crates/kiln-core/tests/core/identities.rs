//! Users, groups, roles, policies, sessions, and what they may.

use kiln_core::{
    Core,
    iam::{Asked, KeyValue},
};
use kiln_iam::policy::ResourceRule;
use kiln_model::{
    Timestamp,
    audit::Rulings,
    iam::{Answer, AssumeRole, Credentials, IamError, Owner, Page, PolicyScope, Request, SessionRequest, Tag, Tagged},
    service::{Caller, CodeBuild as _, Context, Iam as _},
};
use serde_json::{Value, json};

use crate::{
    fake::FakeRunners,
    place::{Place, context},
};

type Server = Core<FakeRunners>;

const PROJECT: &str = "arn:aws:codebuild:us-east-1:000000000000:project/demo";

async fn ask(core: &Server, request: Request) -> Result<Answer, IamError> {
    core.iam(&context(), request).await
}

#[track_caller]
fn code(result: Result<Answer, IamError>) -> (&'static str, String) {
    match result.expect_err("it is refused") {
        IamError::Refused { code, message } => (code.as_str(), message),
        IamError::Api(error) => (error.code.as_str(), error.message),
    }
}

fn user(name: &str) -> Request {
    Request::CreateUser { name: name.to_owned(), path: None, boundary: None, tags: Vec::new() }
}

fn role(name: &str, trusted: &Value) -> Request {
    let statement = json!({ "Effect": "Allow", "Principal": trusted, "Action": "sts:AssumeRole" });
    Request::CreateRole {
        name: name.to_owned(),
        path: None,
        trust: json!({ "Version": "2012-10-17", "Statement": statement }).to_string(),
        description: None,
        max_session_seconds: None,
        boundary: None,
        tags: Vec::new(),
    }
}

fn document(effect: &str, action: &str, resource: &str) -> String {
    let statement = json!({ "Effect": effect, "Action": action, "Resource": resource });
    json!({ "Version": "2012-10-17", "Statement": statement }).to_string()
}

fn inline(owner: Owner, document: String) -> Request {
    Request::PutInlinePolicy { owner, name: "p".to_owned(), document }
}

fn alice() -> Owner {
    Owner::User("alice".to_owned())
}

/// A new user with a key, and who it says its owner is.
pub(crate) async fn user_with_key(core: &Server, name: &str) -> Caller {
    ask(core, user(name)).await.unwrap();
    key_of(core, name).await.1
}

/// Deletes a key of a user.
pub(crate) async fn delete_key(core: &Server, user: &str, id: &str) {
    ask(core, Request::DeleteAccessKey { user: Some(user.to_owned()), id: id.to_owned() }).await.unwrap();
}

/// A key of a user, and who it says its owner is.
async fn key_of(core: &Server, user: &str) -> (String, Caller) {
    let made = ask(core, Request::CreateAccessKey { user: Some(user.to_owned()) }).await.unwrap();
    let Answer::NewAccessKey(new) = made else { panic!("{made:?}") };
    let found = core.credential(&new.key.id, None).unwrap().unwrap();
    assert_eq!(found.secret, new.secret);
    (new.key.id, found.caller)
}

fn may(core: &Server, caller: &Caller, action: &str, resource: Option<&str>) -> Result<(), String> {
    may_with(core, caller, action, resource, &[])
}

/// What is decided when somebody asks with these condition keys.
pub(crate) fn may_with(
    core: &Server,
    caller: &Caller,
    action: &str,
    resource: Option<&str>,
    keys: &[KeyValue],
) -> Result<(), String> {
    let asked = Asked {
        action,
        resource,
        account: "000000000000",
        keys,
        resource_policy: None,
        rule: ResourceRule::Sufficient,
        bound: None,
        stands_in: None,
    };
    core.authorise(Some(caller), &asked, &Rulings::default()).map_err(|error| error.message)
}

async fn assume(core: &Server, caller: &Caller, request: AssumeRole) -> Result<Credentials, IamError> {
    let context = Context { caller: caller.clone(), ..context() };
    core.session(&context, SessionRequest::AssumeRole(request)).await
}

fn session_of(role: &str) -> AssumeRole {
    AssumeRole {
        role_arn: format!("arn:aws:iam::000000000000:role/{role}"),
        session_name: "s1".to_owned(),
        ..AssumeRole::default()
    }
}

fn caller_of(core: &Server, made: &Credentials) -> Caller {
    core.credential(&made.access_key_id, Some(made.session_token.expose())).unwrap().unwrap().caller
}

#[tokio::test]
async fn users_come_and_go() {
    let place = Place::new();
    let core = place.serve();
    let tags = vec![Tag { key: "team".to_owned(), value: "a".to_owned() }];
    let path = Some("/x/".to_owned());
    let made = ask(&core, Request::CreateUser { name: "Alice".to_owned(), path, boundary: None, tags }).await.unwrap();
    let Answer::User(made) = made else { panic!("{made:?}") };
    assert_eq!(made.arn, "arn:aws:iam::000000000000:user/x/Alice");
    assert!(made.id.starts_with("AIDA") && made.id.len() == 21);
    let twice = code(ask(&core, user("aLICE")).await);
    assert_eq!(twice, ("EntityAlreadyExists", "User with name aLICE already exists.".to_owned()));
    assert_eq!(code(ask(&core, user("a b")).await).0, "ValidationError");
    for name in ["bob", "carol"] {
        ask(&core, user(name)).await.unwrap();
    }
    let list = |marker: Option<&str>, most| {
        let page = Page { marker: marker.map(str::to_owned), max_items: Some(most) };
        ask(&core, Request::ListUsers { path_prefix: "/".to_owned(), page })
    };
    let Answer::Users(first) = list(None, 2).await.unwrap() else { panic!() };
    assert_eq!(first.items.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(), ["Alice", "bob"]);
    let Answer::Users(second) = list(first.marker.as_deref(), 2).await.unwrap() else { panic!() };
    assert_eq!((second.items[0].name.as_str(), second.marker), ("carol", None));
    assert_eq!(code(list(None, 0).await).0, "ValidationError");

    // A key follows a new name, and keeps its owner from being deleted.
    let (id, _) = key_of(&core, "alice").await;
    let new_name = Some("ann".to_owned());
    ask(&core, Request::UpdateUser { name: "Alice".to_owned(), new_name, new_path: None }).await.unwrap();
    let caller = core.credential(&id, None).unwrap().unwrap().caller;
    assert_eq!((caller.arn.as_str(), caller.user_id), ("arn:aws:iam::000000000000:user/x/ann", made.id));
    let deleted = ask(&core, Request::DeleteUser { name: "ann".to_owned() }).await;
    assert_eq!(code(deleted), ("DeleteConflict", "Cannot delete entity, must delete access keys first.".to_owned()));
    ask(&core, Request::DeleteAccessKey { user: Some("ann".to_owned()), id: id.clone() }).await.unwrap();
    ask(&core, Request::DeleteUser { name: "ann".to_owned() }).await.unwrap();
    assert!(core.credential(&id, None).unwrap().is_none());
    let gone = code(ask(&core, Request::GetUser { name: Some("ann".to_owned()) }).await);
    assert_eq!(gone, ("NoSuchEntity", "The user with name ann cannot be found.".to_owned()));
}

#[tokio::test]
async fn what_somebody_has_keeps_them_from_being_deleted() {
    let place = Place::new();
    let core = place.serve();
    ask(&core, user("alice")).await.unwrap();
    let group = "builders".to_owned();
    ask(&core, Request::CreateGroup { name: group.clone(), path: None }).await.unwrap();
    let member = |add: bool| {
        let (group, user) = (group.clone(), "alice".to_owned());
        if add { Request::AddUserToGroup { group, user } } else { Request::RemoveUserFromGroup { group, user } }
    };
    ask(&core, member(true)).await.unwrap();
    let delete = || ask(&core, Request::DeleteUser { name: "alice".to_owned() });
    assert_eq!(code(delete().await).1, "Cannot delete entity, must remove users from group first.");
    assert_eq!(code(ask(&core, Request::DeleteGroup { name: group.clone() }).await).0, "DeleteConflict");
    ask(&core, member(false)).await.unwrap();
    assert_eq!(code(ask(&core, member(false)).await).0, "NoSuchEntity");
    let arn = "arn:aws:iam::aws:policy/AdministratorAccess".to_owned();
    ask(&core, Request::AttachPolicy { owner: alice(), arn: arn.clone() }).await.unwrap();
    assert_eq!(code(delete().await).1, "Cannot delete entity, must detach all policies first.");
    ask(&core, Request::DetachPolicy { owner: alice(), arn: arn.clone() }).await.unwrap();
    assert_eq!(code(ask(&core, Request::DetachPolicy { owner: alice(), arn }).await).0, "NoSuchEntity");
    ask(&core, inline(alice(), document("Allow", "*", "*"))).await.unwrap();
    assert_eq!(code(delete().await).1, "Cannot delete entity, must delete policies first.");
    let name = "p".to_owned();
    ask(&core, Request::DeleteInlinePolicy { owner: alice(), name: name.clone() }).await.unwrap();
    let missing = code(ask(&core, Request::GetInlinePolicy { owner: alice(), name }).await);
    assert_eq!(missing, ("NoSuchEntity", "The user policy with name p cannot be found.".to_owned()));
    delete().await.unwrap();
}

#[tokio::test]
async fn managed_policies_have_five_versions() {
    let place = Place::new();
    let core = place.serve();
    let create = |name: &str, document: String| Request::CreatePolicy {
        name: name.to_owned(),
        path: Some("/team/".to_owned()),
        document,
        description: Some("d".to_owned()),
        tags: Vec::new(),
    };
    let Answer::Policy(made) = ask(&core, create("read", document("Allow", "s3:Get*", "*"))).await.unwrap() else {
        panic!()
    };
    assert_eq!(
        (made.arn.as_str(), made.default_version.as_str()),
        ("arn:aws:iam::000000000000:policy/team/read", "v1")
    );
    assert_eq!(code(ask(&core, create("READ", document("Allow", "*", "*"))).await).0, "EntityAlreadyExists");
    let wrong = code(ask(&core, create("x", document("Allow", "StartBuild", "*"))).await);
    assert_eq!(wrong.0, "MalformedPolicyDocument");
    assert!(wrong.1.contains("Statement.Action: 'StartBuild' is no action"), "{}", wrong.1);
    let long = document("Allow", "s3:Get*", &format!("arn:aws:s3:::{}", "x".repeat(2_000)));
    let long = long.replace("\"Resource\"", &format!("\"Sid\":\"{}\",\"Resource\"", "y".repeat(6_000)));
    assert_eq!(
        code(ask(&core, create("x", long)).await),
        ("LimitExceeded", "Cannot exceed quota for PolicySize: 6144".to_owned())
    );

    let arn = made.arn.clone();
    let version = |set_as_default| Request::CreatePolicyVersion {
        arn: arn.clone(),
        document: document("Allow", "s3:*", "*"),
        set_as_default,
    };
    for number in 2..=5 {
        let Answer::PolicyVersion(made) = ask(&core, version(number == 3)).await.unwrap() else { panic!() };
        assert_eq!((made.id, made.is_default), (format!("v{number}"), number == 3));
    }
    assert_eq!(code(ask(&core, version(true)).await).0, "LimitExceeded");
    let delete = |version: &str| Request::DeletePolicyVersion { arn: arn.clone(), version: version.to_owned() };
    assert_eq!(code(ask(&core, delete("v3")).await).0, "DeleteConflict");
    assert_eq!(code(ask(&core, delete("v9")).await).0, "NoSuchEntity");
    ask(&core, delete("v1")).await.unwrap();
    let Answer::PolicyVersion(made) = ask(&core, version(false)).await.unwrap() else { panic!() };
    assert_eq!(made.id, "v6", "no number is given twice");

    ask(&core, user("alice")).await.unwrap();
    ask(&core, Request::AttachPolicy { owner: alice(), arn: arn.clone() }).await.unwrap();
    let delete_policy = || ask(&core, Request::DeletePolicy { arn: arn.clone() });
    assert_eq!(code(delete_policy().await).1, "Cannot delete a policy attached to entities.");
    let Answer::Entities(_, entities) =
        ask(&core, Request::ListEntitiesForPolicy { arn: arn.clone(), page: Page::default() }).await.unwrap()
    else {
        panic!()
    };
    assert_eq!(entities.users[0].0, "alice");
    let local = Request::ListPolicies {
        scope: PolicyScope::Local,
        only_attached: true,
        path_prefix: "/team/".to_owned(),
        page: Page::default(),
    };
    let Answer::Policies(listed) = ask(&core, local).await.unwrap() else { panic!() };
    assert_eq!((listed.items.len(), listed.items[0].attachments), (1, 1));
    ask(&core, Request::DetachPolicy { owner: alice(), arn: arn.clone() }).await.unwrap();
    assert!(code(delete_policy().await).1.starts_with("This policy has more than one version."));
    for number in [2, 4, 5, 6] {
        ask(&core, delete(&format!("v{number}"))).await.unwrap();
    }
    delete_policy().await.unwrap();
    let aws = "arn:aws:iam::aws:policy/AdministratorAccess".to_owned();
    assert_eq!(code(ask(&core, Request::DeletePolicy { arn: aws }).await).0, "UnmodifiableEntity");
}

#[tokio::test]
async fn a_user_may_what_policies_of_user_and_group_allow() {
    let place = Place::new();
    let core = place.serve();
    ask(&core, user("alice")).await.unwrap();
    let (_, caller) = key_of(&core, "alice").await;
    let start = || may(&core, &caller, "codebuild:StartBuild", Some(PROJECT));
    assert_eq!(
        start().unwrap_err(),
        format!(
            "User: arn:aws:iam::000000000000:user/alice is not authorized to perform: codebuild:StartBuild on resource: \
             {PROJECT} because no identity-based policy allows the codebuild:StartBuild action"
        )
    );
    let group = Owner::Group("builders".to_owned());
    ask(&core, Request::CreateGroup { name: "builders".to_owned(), path: None }).await.unwrap();
    let named = "arn:aws:codebuild:us-east-1:000000000000:project/${aws:PrincipalTag/project}";
    ask(&core, inline(group, document("Allow", "codebuild:StartBuild", named))).await.unwrap();
    ask(&core, Request::AddUserToGroup { group: "builders".to_owned(), user: "alice".to_owned() }).await.unwrap();
    assert!(start().is_err());
    let tag = Tag { key: "Project".to_owned(), value: "demo".to_owned() };
    ask(&core, Request::Tag { what: Tagged::User("alice".to_owned()), tags: vec![tag] }).await.unwrap();
    start().unwrap();
    assert!(may(&core, &caller, "codebuild:StopBuild", Some(PROJECT)).is_err());

    // A boundary limits, and an explicit deny wins.
    let boundary = |arn: &str| Request::PutBoundary { owner: alice(), arn: format!("arn:aws:iam::aws:policy/{arn}") };
    ask(&core, boundary("AmazonS3FullAccess")).await.unwrap();
    assert!(start().unwrap_err().contains("because no permissions boundary allows"));
    ask(&core, boundary("PowerUserAccess")).await.unwrap();
    start().unwrap();
    ask(&core, inline(alice(), document("Deny", "codebuild:*", "*"))).await.unwrap();
    assert!(start().unwrap_err().ends_with("with an explicit deny in an identity-based policy"));
    ask(&core, Request::DeleteInlinePolicy { owner: alice(), name: "p".to_owned() }).await.unwrap();
    start().unwrap();

    // The project has a policy of its own, and tags.
    let mut input = Place::input("demo", "true");
    input.tags = Some(vec![kiln_model::codebuild::Tag { key: Some("Env".to_owned()), value: Some("prod".to_owned()) }]);
    core.create_project(&context(), input).await.unwrap();
    let deny = json!({ "Version": "2012-10-17", "Statement": {
        "Effect": "Deny", "Principal": { "AWS": "arn:aws:iam::000000000000:user/alice" },
        "Action": "codebuild:StartBuild", "Resource": PROJECT,
        "Condition": { "StringEquals": { "aws:ResourceTag/Env": "prod" } },
    } });
    let put =
        kiln_model::codebuild::PutResourcePolicyInput { policy: deny.to_string(), resource_arn: PROJECT.to_owned() };
    core.put_resource_policy(&context(), put).await.unwrap();
    assert!(start().unwrap_err().ends_with("with an explicit deny in a resource-based policy"));
}

#[tokio::test]
async fn a_key_that_is_inactive_or_of_another_user_is_worth_nothing() {
    let place = Place::new();
    let core = place.serve();
    for name in ["alice", "bob"] {
        ask(&core, user(name)).await.unwrap();
    }
    let (id, _) = key_of(&core, "alice").await;
    let update = |user: &str, is_active| {
        ask(&core, Request::UpdateAccessKey { user: Some(user.to_owned()), id: id.clone(), is_active })
    };
    assert_eq!(code(update("bob", false).await).0, "NoSuchEntity");
    update("alice", false).await.unwrap();
    assert!(core.credential(&id, None).unwrap().is_none());
    update("alice", true).await.unwrap();
    assert!(core.credential(&id, None).unwrap().is_some());
    key_of(&core, "alice").await;
    let third = ask(&core, Request::CreateAccessKey { user: Some("alice".to_owned()) }).await;
    assert_eq!(code(third), ("LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2".to_owned()));
}

#[tokio::test]
async fn a_role_is_assumed_by_whom_it_trusts() {
    let place = Place::new();
    let core = place.serve();
    for name in ["alice", "bob"] {
        ask(&core, user(name)).await.unwrap();
    }
    let ((_, alice), (_, bob)) = (key_of(&core, "alice").await, key_of(&core, "bob").await);
    ask(&core, role("build", &json!({ "AWS": "arn:aws:iam::000000000000:user/alice" }))).await.unwrap();
    ask(&core, role("any", &json!({ "AWS": "000000000000" }))).await.unwrap();
    let unknown = role("x", &json!({ "AWS": "arn:aws:iam::000000000000:user/nobody" }));
    let refused = code(ask(&core, unknown).await);
    assert_eq!(refused.0, "MalformedPolicyDocument");
    assert!(refused.1.contains("\"AWS\":\"arn:aws:iam::000000000000:user/nobody\""), "{}", refused.1);

    let made = assume(&core, &alice, session_of("build")).await.unwrap();
    let (arn, id) = made.assumed.clone().unwrap();
    assert_eq!(arn, "arn:aws:sts::000000000000:assumed-role/build/s1");
    let session = caller_of(&core, &made);
    assert_eq!((session.arn.as_str(), session.user_id.as_str()), (arn.as_str(), id.as_str()));
    // Who is not trusted, or trusted through the account alone, may not.
    let denied = assume(&core, &bob, session_of("build")).await.unwrap_err().to_string();
    assert!(denied.contains("is not authorized to perform: sts:AssumeRole on resource"), "{denied}");
    assert!(assume(&core, &bob, session_of("any")).await.is_err());
    let allow = document("Allow", "sts:AssumeRole", "*");
    ask(&core, inline(Owner::User("bob".to_owned()), allow)).await.unwrap();
    assume(&core, &bob, session_of("any")).await.unwrap();
    assert!(assume(&core, &bob, session_of("build")).await.is_err());
    assert!(assume(&core, &bob, session_of("nothing")).await.is_err());
    assert!(assume(&core, &context().caller, session_of("any")).await.is_err(), "the root may not");

    // What the session may is what the role may.
    assert!(may(&core, &session, "codebuild:StartBuild", Some(PROJECT)).is_err());
    let owner = Owner::Role("build".to_owned());
    ask(&core, inline(owner, document("Allow", "codebuild:*", "*"))).await.unwrap();
    may(&core, &session, "codebuild:StartBuild", Some(PROJECT)).unwrap();
    // A session policy limits it.
    let policy = Some(document("Allow", "codebuild:BatchGet*", "*"));
    let limited = assume(&core, &alice, AssumeRole { policy, ..session_of("build") }).await.unwrap();
    assert!(limited.packed_percent.is_some_and(|percent| percent > 0));
    let limited = caller_of(&core, &limited);
    may(&core, &limited, "codebuild:BatchGetBuilds", Some(PROJECT)).unwrap();
    let why = may(&core, &limited, "codebuild:StartBuild", Some(PROJECT)).unwrap_err();
    assert!(why.contains("because no session policy allows"), "{why}");

    // Another user of the same name is not the one that the role trusts.
    let Answer::AccessKeys(keys) =
        ask(&core, Request::ListAccessKeys { user: Some("alice".to_owned()), page: Page::default() }).await.unwrap()
    else {
        panic!()
    };
    for key in keys.items {
        ask(&core, Request::DeleteAccessKey { user: Some("alice".to_owned()), id: key.id }).await.unwrap();
    }
    ask(&core, Request::DeleteUser { name: "alice".to_owned() }).await.unwrap();
    ask(&core, user("alice")).await.unwrap();
    let (_, another) = key_of(&core, "alice").await;
    assert!(assume(&core, &another, session_of("build")).await.is_err());
    // A session of a role that is gone may nothing.
    let name = "p".to_owned();
    ask(&core, Request::DeleteInlinePolicy { owner: Owner::Role("build".to_owned()), name }).await.unwrap();
    ask(&core, Request::DeleteRole { name: "build".to_owned() }).await.unwrap();
    assert!(may(&core, &session, "codebuild:StartBuild", Some(PROJECT)).is_err());
}

#[tokio::test]
async fn tokens_belong_to_their_keys() {
    let place = Place::new();
    let core = place.serve();
    ask(&core, user("alice")).await.unwrap();
    let (_, alice) = key_of(&core, "alice").await;
    let context = Context { caller: alice, ..context() };
    let session = |seconds| core.session(&context, SessionRequest::GetSessionToken { seconds });
    let (one, two) = (session(Some(900)).await.unwrap(), session(None).await.unwrap());
    let found = core.credential(&one.access_key_id, Some(one.session_token.expose())).unwrap().unwrap();
    assert_eq!(found.secret, one.secret);
    assert_eq!(found.caller.arn, "arn:aws:iam::000000000000:user/alice");
    let (_, ends) = found.session.unwrap();
    assert_eq!((ends, two.expires.seconds_since(one.expires)), (one.expires, 43_200 - 900));
    assert!(core.credential(&one.access_key_id, Some(two.session_token.expose())).unwrap().is_none());
    assert!(core.credential(&one.access_key_id, None).unwrap().is_none());
    let mut changed = one.session_token.expose().to_owned().into_bytes();
    changed[40] = if changed[40] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    assert!(core.credential(&one.access_key_id, Some(&changed)).unwrap().is_none());
    assert!(session(Some(899)).await.is_err() && session(Some(129_601)).await.is_err());
    let temporary = Context { caller: found.caller, ..context };
    assert!(core.session(&temporary, SessionRequest::GetSessionToken { seconds: None }).await.is_err());
    // They outlive the server.
    drop(core);
    let core = place.serve();
    assert!(core.credential(&one.access_key_id, Some(one.session_token.expose())).unwrap().is_some());
}

#[tokio::test]
async fn a_clock_that_is_set_back_prolongs_no_session() {
    let place = Place::new();
    let core = place.serve();
    ask(&core, user("alice")).await.unwrap();
    let (_, alice) = key_of(&core, "alice").await;
    ask(&core, role("build", &json!({ "AWS": alice.arn }))).await.unwrap();
    let made = assume(&core, &alice, session_of("build")).await.unwrap();
    let end = |core: &Server| {
        let found = core.credential(&made.access_key_id, Some(made.session_token.expose())).unwrap().unwrap();
        found.session.unwrap().1
    };
    assert_eq!(end(&core), made.expires);
    let begun = 1_800_000_000_000_000_000;
    // A correction of minutes is none; a day is refused: the session would begin in the future.
    place.set_clock(begun - 60_000_000_000);
    assert_eq!(end(&core), made.expires);
    place.set_clock(begun - 86_400_000_000_000);
    assert!(end(&core).millis() <= 1_800_000_000_000 - 86_400_000);
    // The hour has passed, whatever the clock says.
    place.set_clock(begun);
    assert_eq!(end(&core), made.expires);
    place.advance(std::time::Duration::from_secs(3_601));
    place.set_clock(begun);
    assert!(end(&core) <= Timestamp::from_millis(1_800_000_000_000));
}

#[tokio::test]
async fn conditions_see_what_the_request_brings() {
    let place = Place::new();
    let core = place.serve();
    ask(&core, user("alice")).await.unwrap();
    let (_, caller) = key_of(&core, "alice").await;
    let statement = json!({
        "Effect": "Allow", "Action": "codebuild:StartBuild", "Resource": "*",
        "Condition": {
            "StringEquals": { "aws:username": "alice", "aws:PrincipalArn": "arn:aws:iam::000000000000:user/alice" },
            "IpAddress": { "aws:SourceIp": "127.0.0.0/8" },
            "ForAllValues:StringEquals": { "aws:TagKeys": ["a", "b"] },
            "DateGreaterThan": { "aws:CurrentTime": "2020-01-01T00:00:00Z" },
            "Null": { "aws:TokenIssueTime": "true" },
        },
    });
    ask(&core, inline(alice(), json!({ "Version": "2012-10-17", "Statement": statement }).to_string())).await.unwrap();
    let start = |keys: &[KeyValue]| may_with(&core, &caller, "codebuild:StartBuild", Some(PROJECT), keys);
    let ip = |ip: &str| KeyValue::one("aws:SourceIp", ip);
    start(&[ip("127.0.0.1")]).unwrap();
    start(&[ip("127.0.0.1"), KeyValue::many("aws:TagKeys", vec!["b".to_owned()])]).unwrap();
    assert!(start(&[ip("10.0.0.1")]).is_err() && start(&[]).is_err());
    assert!(start(&[ip("127.0.0.1"), KeyValue::many("aws:TagKeys", vec!["c".to_owned()])]).is_err());
    // What the server knows better nobody can bring along.
    let forged = KeyValue::one("aws:username", "bob");
    start(&[ip("127.0.0.1"), forged]).unwrap();
}
