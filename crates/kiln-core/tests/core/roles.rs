//! Builds as their roles: their credentials, which end with them, and roles that were made for what there was before.

use std::time::Duration;

use kiln_core::{Core, iam::default_service_role};
use kiln_model::{
    ApiError, BuildId, BuildStatus, ErrorCode, PhaseType,
    arn::Home,
    codebuild::{CreateProjectInput, StartBuildInput},
    iam::{Answer, Owner, Request},
    service::{CodeBuild as _, CredentialsRequest, Iam as _, RoleCredentials, RunningBuilds as _},
};
use kiln_runner::job::{Control, Job, ServerAccess};
use kiln_store::Metadata;

use crate::{
    fake::FakeRunners,
    place::{Place, context},
};

type Server = Core<FakeRunners>;

const MINUTE: Duration = Duration::from_secs(60);

fn home() -> Home {
    Home { region: "us-east-1".to_owned(), account: "000000000000".to_owned() }
}

/// A build that runs until it is told otherwise, and what its runner was given.
async fn running(place: &Place, core: &Server, minutes: i32) -> (BuildId, ServerAccess) {
    let input = StartBuildInput {
        project_name: "demo".to_owned(),
        timeout_in_minutes_override: Some(minutes),
        ..Default::default()
    };
    let build = core.start_build(&context(), input).await.unwrap().build;
    place.begun(core, &build.id).await;
    let id: BuildId = build.id.parse().unwrap();
    let job = Job::read(&place.data().join("builds").join(id.uuid())).unwrap();
    (id, job.service.unwrap().server.unwrap())
}

async fn ask(core: &Server, build: &BuildId, path: &str) -> Result<RoleCredentials, ApiError> {
    core.role_credentials(build, CredentialsRequest { path, authorization: None, is_shared: false }).await
}

/// When the server takes these credentials to end, in seconds.
fn ends(core: &Server, made: &RoleCredentials) -> i64 {
    let found = core.credential(&made.access_key_id, Some(made.token.expose())).unwrap().unwrap();
    found.session.unwrap().1.millis() / 1000
}

#[tokio::test]
async fn credentials_are_for_the_runner_with_the_token_and_end_with_the_build() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "wait").await;
    let (build, access) = running(&place, &core, 480).await;
    let (other, others) = running(&place, &core, 480).await;
    assert_eq!(core.running_build(build.uuid(), &access.token.0), Some(build.clone()));
    for wrong in ["", &others.token.0, &access.token.0[1..], &access.authorization.0] {
        assert_eq!(core.running_build(build.uuid(), wrong), None, "{wrong}");
    }
    assert_eq!(core.running_build("11111111-2222-3333-4444-555555555555", &access.token.0), None);

    let made = ask(&core, &build, &access.credentials_path).await.unwrap();
    assert_eq!(made.role_arn, default_service_role(&home()));
    let caller = core.credential(&made.access_key_id, Some(made.token.expose())).unwrap().unwrap().caller;
    let session = format!("AWSCodeBuild-{}", build.uuid());
    assert_eq!(caller.arn, format!("arn:aws:sts::000000000000:assumed-role/kiln-default-build-role/{session}"));
    assert_eq!(caller.name, format!("kiln-default-build-role/{session}"));
    // The path of another build, and of none.
    for path in [others.credentials_path.as_str(), "/", "", "/v2/credentials/"] {
        assert_eq!(ask(&core, &build, path).await.unwrap_err().code, ErrorCode::AccessDenied, "{path}");
    }
    let shared = |authorization| CredentialsRequest { path: &access.credentials_path, authorization, is_shared: true };
    core.role_credentials(&build, shared(Some(&access.authorization.0))).await.unwrap();
    for wrong in [None, Some(""), Some(others.authorization.0.as_str())] {
        assert!(core.role_credentials(&build, shared(wrong)).await.is_err(), "{wrong:?}");
    }

    // A server that is started anew knows them as the old one did.
    core.stop();
    drop(core);
    let core = place.serve();
    assert_eq!(core.running_build(build.uuid(), &access.token.0), Some(build.clone()));
    let again = ask(&core, &build, &access.credentials_path).await.unwrap();
    assert_ne!(again.access_key_id, made.access_key_id);
    assert!(ends(&core, &made) > 0 && ends(&core, &again) > 0);

    place.world.tell(build.uuid(), Control::Kill);
    place.end(&core, &build.to_string()).await;
    assert_eq!(core.running_build(build.uuid(), &access.token.0), None);
    assert_eq!(ask(&core, &build, &access.credentials_path).await.unwrap_err().code, ErrorCode::ExpiredToken);
    assert_eq!((ends(&core, &made), ends(&core, &again)), (0, 0));
    assert!(ends(&core, &ask(&core, &other, &others.credentials_path).await.unwrap()) > 0, "the other one goes on");
    place.world.tell(other.uuid(), Control::Kill);
    place.end(&core, &other.to_string()).await;
    core.stop();
    drop(core);
    let core = place.serve();
    assert_eq!((ends(&core, &made), ends(&core, &again)), (0, 0), "also for a server that never saw them run");
    // Nor does it help to set the clock back.
    place.set_clock(1_000_000_000);
    assert_eq!(ends(&core, &made), 0);
    place.checked(core);
}

#[tokio::test]
async fn credentials_end_within_the_hour_and_soon_after_the_time_limit() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "wait").await;
    let (build, access) = running(&place, &core, 90).await;
    let left = async || {
        let made = ask(&core, &build, &access.credentials_path).await.unwrap();
        assert_eq!(made.expires.millis() / 1000, ends(&core, &made));
        ends(&core, &made) - 1_800_000_000
    };
    assert_eq!(left().await, 60 * 60);
    place.advance(20 * MINUTE);
    assert_eq!(left().await, 80 * 60, "another hour");
    place.advance(50 * MINUTE);
    assert_eq!(left().await, 95 * 60, "as long as the build may take, and five minutes");
    place.world.tell(build.uuid(), Control::Kill);
    place.end(&core, &build.to_string()).await;
    place.checked(core);
}

#[tokio::test]
async fn a_role_that_is_gone_gives_no_credentials_and_starts_no_build() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "wait").await;
    let (build, access) = running(&place, &core, 60).await;
    let name = "kiln-default-build-role".to_owned();
    let policy = Request::DeleteInlinePolicy { owner: Owner::Role(name.clone()), name: "builds".to_owned() };
    core.iam(&context(), policy).await.unwrap();
    core.iam(&context(), Request::DeleteRole { name }).await.unwrap();
    let message =
        format!("CodeBuild is not authorized to perform: sts:AssumeRole on {}", default_service_role(&home()));
    let refused = ask(&core, &build, &access.credentials_path).await.unwrap_err();
    assert_eq!((refused.code, &refused.message), (ErrorCode::InvalidInput, &message));
    let made = core.create_project(&context(), Place::input("new", "ok")).await.unwrap_err();
    assert_eq!((made.code, &made.message), (ErrorCode::InvalidInput, &message));
    let next = place.start(&core, "demo").await;
    let next = place.end(&core, &next.id).await;
    assert_eq!(next.build_status, Some(BuildStatus::Failed));
    let phases: Vec<_> = next.phases.iter().map(|phase| phase.phase_type.unwrap()).collect();
    assert_eq!(phases, [PhaseType::Submitted, PhaseType::Queued, PhaseType::Completed]);
    let context = &next.phases[1].contexts.as_ref().unwrap()[0];
    assert_eq!((context.status_code.as_str(), context.message.as_str()), ("ACCESS_DENIED", message.as_str()));
    place.world.tell(build.uuid(), Control::Kill);
    place.end(&core, &build.to_string()).await;
    // The operator's wish is kept: it is not made again.
    core.stop();
    drop(core);
    let core = place.serve();
    assert!(core.create_project(&super::place::context(), Place::input("new", "ok")).await.is_err());
    place.checked(core);
}

#[tokio::test]
async fn projects_of_an_older_kiln_go_on_with_the_roles_that_they_name() {
    let place = Place::new();
    let core = place.serve();
    let ask = async |core: &Server, request: Request| core.iam(&context(), request).await;
    let trust = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"codebuild.amazonaws.com"},"Action":"sts:AssumeRole"}}"#;
    for (name, path) in [("old", "/service-role/"), ("plain", "/"), ("kept", "/")] {
        let role = Request::CreateRole {
            name: name.to_owned(),
            path: Some(path.to_owned()),
            trust: trust.to_owned(),
            description: None,
            max_session_seconds: None,
            boundary: None,
            tags: Vec::new(),
        };
        ask(&core, role).await.unwrap();
        let role =
            if name == "plain" { name.to_owned() } else { format!("arn:aws:iam::000000000000:role{path}{name}") };
        let input = CreateProjectInput { service_role: role, ..Place::input(name, "ok") };
        core.create_project(&context(), input).await.unwrap();
    }
    // As if they had never been needed.
    for name in ["old", "plain"] {
        ask(&core, Request::DeleteRole { name: name.to_owned() }).await.unwrap();
    }
    core.stop();
    drop(core);
    let metadata = Metadata::open(&place.data()).unwrap();
    metadata.write_blocking(|tx| tx.delete_setting("service_roles").map(drop)).unwrap();
    drop(metadata);

    let core = place.serve();
    for name in ["old", "plain"] {
        let build = place.start(&core, name).await;
        let ended = place.end(&core, &build.id).await;
        assert_eq!(ended.build_status, Some(BuildStatus::Succeeded), "{name}: {ended:?}");
    }
    // One that was there keeps what it had, which is nothing.
    let Answer::InlinePolicies(policies) = ask(
        &core,
        Request::ListInlinePolicies { owner: Owner::Role("kept".to_owned()), page: kiln_model::iam::Page::default() },
    )
    .await
    .unwrap() else {
        panic!("no list")
    };
    assert!(policies.items.is_empty());
    let build = place.start(&core, "kept").await;
    assert_eq!(place.end(&core, &build.id).await.build_status, Some(BuildStatus::Failed));
    place.checked(core);
}
