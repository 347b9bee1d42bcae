//! Builds in images of the registry.

use std::sync::atomic::{AtomicU32, Ordering};

use kiln_model::{
    BuildStatus, PhaseType,
    codebuild::{Build, ImagePullCredentialsType, StopBuildInput},
    iam::{Owner, Request},
    service::{CodeBuild as _, Iam as _},
};

use super::*;

const ROLE: &str = "kiln-default-build-role";

async fn project(place: &Place, core: &Server, image: &str, credentials: ImagePullCredentialsType) -> Build {
    static PROJECTS: AtomicU32 = AtomicU32::new(0);
    let name = format!("p{}", PROJECTS.fetch_add(1, Ordering::Relaxed));
    let mut input = Place::input(&name, "ok");
    input.environment.image = image.to_owned();
    input.environment.image_pull_credentials_type = Some(credentials);
    core.create_project(&context(), input).await.unwrap();
    place.start(core, &name).await
}

async fn by_role(place: &Place, core: &Server, image: &str) -> Build {
    let build = project(place, core, image, ImagePullCredentialsType::ServiceRole).await;
    place.end(core, &build.id).await
}

async fn by_codebuild(place: &Place, core: &Server, image: &str) -> Build {
    let build = project(place, core, image, ImagePullCredentialsType::CodeBuild).await;
    place.end(core, &build.id).await
}

/// Why a build's image could not be had, behind what Docker says every time.
#[track_caller]
fn not_pulled(build: &Build) -> &str {
    assert_eq!(build.build_status, Some(BuildStatus::Failed));
    let phases: Vec<_> = build.phases.iter().map(|phase| phase.phase_type.unwrap()).collect();
    use PhaseType::{Completed, Provisioning, Queued, Submitted};
    assert_eq!(phases, [Submitted, Queued, Provisioning, Completed]);
    let context = &build.phases[2].contexts.as_ref().unwrap()[0];
    assert_eq!(context.status_code, "BUILD_CONTAINER_UNABLE_TO_PULL_IMAGE");
    context.message.strip_prefix("Unable to pull customer's container image. CannotPullContainerError: ").unwrap()
}

async fn let_codebuild_pull(core: &Server, repository: &str) {
    let policy = json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow",
        "Principal": { "Service": "codebuild.amazonaws.com" },
        "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        "Condition": { "ArnLike": { "aws:SourceArn": "arn:aws:codebuild:us-east-1:000000000000:project/p*" } } } });
    let input = SetRepositoryPolicyRequest {
        repository_name: repository.to_owned(),
        policy_text: policy.to_string(),
        ..Default::default()
    };
    core.set_repository_policy(&context(), input).await.unwrap();
}

#[tokio::test]
async fn a_pushed_image_is_a_builds_environment() {
    let place = Place::new();
    let core = place.serve();
    create(&core, named("team/app")).await.unwrap();
    let digest = push(&core, "team/app", "v1", b"layer").await;
    let moved = push(&core, "team/app", "latest", b"another").await;
    for (name, expected) in [
        ("127.0.0.1:5456/team/app:v1".to_owned(), &digest),
        ("127.0.0.1:5456/team/app".to_owned(), &moved),
        (format!("127.0.0.1:5456/team/app@{digest}"), &digest),
        (format!("127.0.0.1:5456/team/app:latest@{digest}"), &digest),
    ] {
        let build = by_role(&place, &core, &name).await;
        assert_eq!(build.build_status, Some(BuildStatus::Succeeded), "{name}");
        let (reference, manifest) = place.world.images.lock().unwrap().pop().unwrap();
        assert_eq!((reference, digest_of(&manifest).as_str()), (name, expected.as_str()));
    }
    // Those of others are none of the registry's.
    by_role(&place, &core, "127.0.0.1:5000/team/app:v1").await;
    assert!(place.world.images.lock().unwrap().is_empty());
    let input = DescribeImagesRequest { repository_name: "team/app".to_owned(), ..Default::default() };
    let described = core.describe_images(&context(), input).await.unwrap().image_details.unwrap();
    assert!(described.iter().all(|image| image.last_recorded_pull_time.is_some()));
    place.checked(core);
}

#[tokio::test]
async fn why_an_image_could_not_be_pulled_is_said_as_docker_does() {
    let place = Place::new();
    let core = place.serve();
    create(&core, named("app")).await.unwrap();
    for (image, expected) in [
        (
            "127.0.0.1:5456/app:v1",
            "Error response from daemon: manifest for 127.0.0.1:5456/app:v1 not found: manifest unknown: Requested image not \
             found",
        ),
        (
            "127.0.0.1:5456/other:v1",
            "Error response from daemon: repository 127.0.0.1:5456/other not found: name unknown: The repository with name \
             'other' does not exist in the registry with id '000000000000'",
        ),
        ("127.0.0.1:5456/app:v1@sha256:1", "Error response from daemon: invalid reference format"),
    ] {
        assert_eq!(not_pulled(&by_role(&place, &core, image).await), expected);
    }
    assert!(place.world.started.lock().unwrap().is_empty());
    place.checked(core);
}

#[tokio::test]
async fn an_image_is_pulled_by_who_the_project_says() {
    let place = Place::new();
    let core = place.serve();
    create(&core, named("app")).await.unwrap();
    push(&core, "app", "v1", b"layer").await;
    let image = "127.0.0.1:5456/app:v1";
    let denied = |user: &str, action: &str, why: &str| {
        format!(
            "Error response from daemon: pull access denied for 127.0.0.1:5456/app, repository does not exist or may require \
             'docker login': denied: User: {user} is not authorized to perform: {action}{why} allows the {action} action"
        )
    };
    let arn = "arn:aws:ecr:us-east-1:000000000000:repository/app";
    // CodeBuild itself by nothing but the repository's policy.
    let build = by_codebuild(&place, &core, image).await;
    let why = format!(" on resource: {arn} because no resource-based policy");
    assert_eq!(not_pulled(&build), denied("codebuild.amazonaws.com", "ecr:BatchGetImage", &why));
    let_codebuild_pull(&core, "app").await;
    assert_eq!(by_codebuild(&place, &core, image).await.build_status, Some(BuildStatus::Succeeded));
    // What is not there for whoever may not read it is not said to be so.
    let build = by_codebuild(&place, &core, "127.0.0.1:5456/none:v1").await;
    assert!(not_pulled(&build).contains("pull access denied"), "{build:?}");
    // The role by its own policies.
    let policy = Request::DeleteInlinePolicy { owner: Owner::Role(ROLE.to_owned()), name: "builds".to_owned() };
    core.iam(&context(), policy).await.unwrap();
    let allow = |actions: Value| Request::PutInlinePolicy {
        owner: Owner::Role(ROLE.to_owned()),
        name: "p".to_owned(),
        document:
            json!({ "Version": "2012-10-17", "Statement": { "Effect": "Allow", "Action": actions, "Resource": "*" } })
                .to_string(),
    };
    let logs = "logs:*";
    for (given, missing) in [
        (json!([logs]), Some("ecr:GetAuthorizationToken")),
        (json!([logs, "ecr:GetAuthorizationToken"]), Some("ecr:BatchGetImage")),
        (json!([logs, "ecr:GetAuthorizationToken", "ecr:BatchGetImage"]), Some("ecr:GetDownloadUrlForLayer")),
        (json!([logs, "ecr:*"]), None),
    ] {
        core.iam(&context(), allow(given)).await.unwrap();
        let build = by_role(&place, &core, image).await;
        match missing {
            Some(action) => {
                assert!(not_pulled(&build).contains(&format!("not authorized to perform: {action} ")), "{build:?}");
            }
            None => assert_eq!(build.build_status, Some(BuildStatus::Succeeded)),
        }
    }
    place.checked(core);
}

#[tokio::test]
async fn a_build_is_stopped_while_its_image_is_unpacked() {
    let place = Place::new();
    let core = place.serve();
    create(&core, named("app")).await.unwrap();
    push(&core, "app", "slow", b"layer").await;
    let image = "127.0.0.1:5456/app:slow";
    let build = project(&place, &core, image, ImagePullCredentialsType::ServiceRole).await;
    place.world.taking().await;
    core.stop_build(&context(), StopBuildInput { id: build.id.clone() }).await.unwrap();
    let stopped = place.end(&core, &build.id).await;
    assert_eq!(stopped.build_status, Some(BuildStatus::Stopped));
    assert!(place.world.started.lock().unwrap().is_empty());
    place.checked(core);
}

#[tokio::test]
async fn a_server_that_stops_meanwhile_leaves_the_build_to_the_next_one() {
    let place = Place::new();
    let core = place.serve();
    create(&core, named("app")).await.unwrap();
    push(&core, "app", "slow", b"layer").await;
    let image = "127.0.0.1:5456/app:slow";
    let build = project(&place, &core, image, ImagePullCredentialsType::ServiceRole).await;
    place.world.taking().await;
    core.stop();
    drop(core);
    place.world.is_fast.store(true, Ordering::SeqCst);
    let core = place.serve();
    let ended = place.end(&core, &build.id).await;
    assert_eq!(ended.build_status, Some(BuildStatus::Succeeded), "{ended:?}");
    assert_eq!(place.world.started.lock().unwrap().len(), 1);
    place.checked(core);
}
