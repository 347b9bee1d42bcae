//! Credentials of users for git.

use kiln_core::{Core, iam::CODECOMMIT};
use kiln_model::{
    iam::{Answer, IamError, NewServiceCredential, Page, Request, Secret, ServiceCredential},
    service::{Caller, Context, Iam as _},
};

use crate::{
    fake::FakeRunners,
    place::{Place, context},
};

type Server = Core<FakeRunners>;

async fn ask(core: &Server, request: Request) -> Result<Answer, IamError> {
    core.iam(&context(), request).await
}

#[track_caller]
fn refused(result: Result<Answer, IamError>) -> (&'static str, String) {
    match result.expect_err("it is refused") {
        IamError::Refused { code, message } => (code.as_str(), message),
        IamError::Api(error) => (error.code.as_str(), error.message),
    }
}

async fn user(core: &Server, name: &str) {
    let request = Request::CreateUser { name: name.to_owned(), path: None, boundary: None, tags: Vec::new() };
    ask(core, request).await.unwrap();
}

fn create(user: &str, service: &str) -> Request {
    Request::CreateServiceSpecificCredential { user: user.to_owned(), service: service.to_owned(), days: None }
}

async fn made(core: &Server, user: &str) -> NewServiceCredential {
    match ask(core, create(user, CODECOMMIT)).await.unwrap() {
        Answer::NewServiceCredential(new) => new,
        other => panic!("{other:?}"),
    }
}

async fn listed(core: &Server, user: Option<&str>, of_all_users: bool) -> Vec<ServiceCredential> {
    let (user, service) = (user.map(str::to_owned), Some(CODECOMMIT.to_owned()));
    let request = Request::ListServiceSpecificCredentials { user, service, of_all_users, page: Page::default() };
    match ask(core, request).await.unwrap() {
        Answer::ServiceCredentials(list) => list.items,
        other => panic!("{other:?}"),
    }
}

fn some(user: &str) -> Option<String> {
    Some(user.to_owned())
}

/// Who signs in so.
fn signs_in(core: &Server, name: &str, password: &Secret) -> Option<Caller> {
    core.service_user(CODECOMMIT, name, password).unwrap()
}

#[tokio::test]
async fn a_user_signs_in_with_the_password_that_was_shown_once() {
    let place = Place::new();
    let core = place.serve();
    user(&core, "alice").await;
    let NewServiceCredential { credential, password } = made(&core, "alice").await;
    assert_eq!(credential.user_name, "alice-at-000000000000");
    assert_eq!(
        (credential.user.as_str(), credential.service.as_str(), credential.is_active),
        ("alice", CODECOMMIT, true)
    );
    assert!(credential.id.starts_with("ACCA") && credential.id.len() == 21, "{}", credential.id);
    assert!(password.expose().len() == 44 && password.expose().ends_with('='));

    let caller = signs_in(&core, "alice-at-000000000000", &password).unwrap();
    assert_eq!((caller.arn.as_str(), caller.name.as_str()), ("arn:aws:iam::000000000000:user/alice", "alice"));
    assert_eq!(caller.access_key_id, credential.id);
    assert!(caller.user_id.starts_with("AIDA") && caller.session.is_none());

    let with = |change: fn(&str) -> String| Secret::new(change(password.expose()));
    for wrong in [
        with(|_| String::new()),
        with(|text| text.to_lowercase()),
        with(|text| text.trim_end_matches('=').to_owned()),
        with(|text| format!("{text} ")),
        with(|text| text.repeat(1_000)),
    ] {
        assert_eq!(signs_in(&core, "alice-at-000000000000", &wrong), None);
    }
    for name in ["alice", "Alice-at-000000000000", "alice-at-111111111111", "bob-at-000000000000", ""] {
        assert_eq!(signs_in(&core, name, &password), None, "{name}");
        assert_eq!(signs_in(&core, name, &Secret::default()), None, "{name}");
    }
    assert_eq!(core.service_user("cassandra.amazonaws.com", "alice-at-000000000000", &password).unwrap(), None);

    // Nothing shows it again, and it is not in the store.
    let shown = format!("{:?}", listed(&core, Some("alice"), false).await);
    assert!(shown.contains(&credential.id) && !shown.contains(password.expose()));
    drop(core);
    let files = std::fs::read_dir(place.data()).unwrap();
    for file in files.map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
        let bytes = std::fs::read(&file).unwrap();
        let is_there = bytes.windows(password.expose().len()).any(|window| window == password.expose().as_bytes());
        assert!(!is_there, "the password is in {}", file.display());
    }
    // Also after a restart.
    let core = place.serve();
    assert!(signs_in(&core, "alice-at-000000000000", &password).is_some());
}

#[tokio::test]
async fn what_is_inactive_reset_or_deleted_lets_nobody_in() {
    let place = Place::new();
    let core = place.serve();
    user(&core, "alice").await;
    let first = made(&core, "alice").await;
    let name = first.credential.user_name.clone();
    let id = first.credential.id.clone();
    let update = |is_active| {
        let request = Request::UpdateServiceSpecificCredential { user: some("alice"), id: id.clone(), is_active };
        ask(&core, request)
    };
    update(false).await.unwrap();
    assert_eq!(signs_in(&core, &name, &first.password), None);
    assert!(!listed(&core, Some("alice"), false).await[0].is_active);
    update(true).await.unwrap();
    assert!(signs_in(&core, &name, &first.password).is_some());

    let reset = Request::ResetServiceSpecificCredential { user: some("alice"), id: id.clone() };
    let Answer::NewServiceCredential(second) = ask(&core, reset).await.unwrap() else { panic!() };
    assert_eq!(second.credential, first.credential);
    assert_eq!(signs_in(&core, &name, &first.password), None);
    assert!(signs_in(&core, &name, &second.password).is_some());

    // It stays a renamed user's, whose old name somebody else may get.
    let rename = Request::UpdateUser { name: "alice".to_owned(), new_name: Some("ann".to_owned()), new_path: None };
    ask(&core, rename).await.unwrap();
    user(&core, "alice").await;
    let other = made(&core, "alice").await;
    assert_eq!(other.credential.user_name, "alice+1-at-000000000000");
    assert_eq!(signs_in(&core, &name, &second.password).unwrap().name, "ann");
    assert_eq!(signs_in(&core, &name, &other.password), None);
    assert_eq!(listed(&core, None, true).await.len(), 2);

    // Somebody else's is not found; a user who has one stays.
    let delete = |user: &str| Request::DeleteServiceSpecificCredential { user: some(user), id: id.clone() };
    let not_found = ("NoSuchEntity", format!("No such credential {id} exists"));
    assert_eq!(refused(ask(&core, delete("alice")).await), not_found);
    let gone = || ask(&core, Request::DeleteUser { name: "ann".to_owned() });
    assert_eq!(
        refused(gone().await),
        ("DeleteConflict", "Cannot delete entity, must delete service specific credentials first.".to_owned())
    );
    ask(&core, delete("ann")).await.unwrap();
    assert_eq!(signs_in(&core, &name, &second.password), None);
    assert_eq!(refused(ask(&core, delete("ann")).await), not_found);
    gone().await.unwrap();
}

#[tokio::test]
async fn credentials_have_their_limits() {
    let place = Place::new();
    let core = place.serve();
    user(&core, "alice").await;
    assert_eq!(made(&core, "alice").await.credential.user_name, "alice-at-000000000000");
    assert_eq!(made(&core, "alice").await.credential.user_name, "alice+1-at-000000000000");
    assert_eq!(
        refused(ask(&core, create("alice", CODECOMMIT)).await),
        ("LimitExceeded", "Cannot exceed quota for ServiceSpecificCredentialsPerUser: 2".to_owned())
    );
    assert_eq!(
        refused(ask(&core, create("nobody", CODECOMMIT)).await),
        ("NoSuchEntity", "The user with name nobody cannot be found.".to_owned())
    );
    for service in ["cassandra.amazonaws.com", "bedrock.amazonaws.com"] {
        assert_eq!(refused(ask(&core, create("alice", service)).await).0, "NotSupportedService", "{service}");
    }
    let unknown = refused(ask(&core, create("alice", "example.com")).await);
    let message = "No such service example.com is supported for service specific credentials";
    assert_eq!(unknown, ("NoSuchEntity", message.to_owned()));
    let days = Request::CreateServiceSpecificCredential {
        user: "alice".to_owned(),
        service: CODECOMMIT.to_owned(),
        days: Some(7),
    };
    assert_eq!(refused(ask(&core, days).await).0, "InvalidInput");
    for id in ["short", "", &"A".repeat(129), "ACCA0000000000000000/"] {
        let request = Request::DeleteServiceSpecificCredential { user: some("alice"), id: id.to_owned() };
        assert_eq!(refused(ask(&core, request).await).0, "ValidationError", "{id}");
    }
    let both = Request::ListServiceSpecificCredentials {
        user: some("alice"),
        service: None,
        of_all_users: true,
        page: Page::default(),
    };
    assert_eq!(refused(ask(&core, both).await).0, "InvalidInput");

    // Users do for themselves what they name nobody for; the root is no user.
    let id = listed(&core, Some("alice"), false).await[0].id.clone();
    let delete = Request::DeleteServiceSpecificCredential { user: None, id };
    assert_eq!(refused(ask(&core, delete.clone()).await).0, "ValidationError");
    let caller =
        Caller { arn: "arn:aws:iam::000000000000:user/alice".to_owned(), name: "alice".to_owned(), ..context().caller };
    core.iam(&Context { caller, ..context() }, delete).await.unwrap();
    assert_eq!(listed(&core, Some("alice"), false).await.len(), 1);
}
