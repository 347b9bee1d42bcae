//! Projects.

use kiln_model::{
    ErrorCode,
    codebuild::{
        BatchGetProjectsInput, DeleteProjectInput, ListProjectsInput, ProjectVisibilityType, StartBuildInput,
        UpdateProjectInput, UpdateProjectVisibilityInput, VpcConfig,
    },
    service::CodeBuild as _,
};

use crate::place::{Place, context};

#[tokio::test]
async fn projects_are_made_read_changed_and_deleted() {
    let place = Place::new();
    let core = place.serve();
    let made = core.create_project(&context(), Place::input("demo", "ok")).await.unwrap().project;
    assert_eq!(made.arn, "arn:aws:codebuild:us-east-1:000000000000:project/demo");
    let twice = core.create_project(&context(), Place::input("demo", "ok")).await.unwrap_err();
    assert_eq!(
        (twice.code, twice.message),
        (ErrorCode::ResourceAlreadyExists, format!("Project already exists: {}", made.arn))
    );
    let names = vec!["demo".to_owned(), made.arn.clone(), "other".to_owned()];
    let got = core.batch_get_projects(&context(), BatchGetProjectsInput { names }).await.unwrap();
    assert_eq!(got.projects, [made.clone(), made.clone()]);
    assert_eq!(got.projects_not_found, ["other"]);
    let update =
        UpdateProjectInput { name: "demo".to_owned(), description: Some("d".to_owned()), ..Default::default() };
    let changed = core.update_project(&context(), update).await.unwrap().project;
    assert_eq!(changed.description.as_deref(), Some("d"));
    let visible = UpdateProjectVisibilityInput {
        project_arn: made.arn.clone(),
        project_visibility: ProjectVisibilityType::PublicRead,
        resource_access_role: None,
    };
    assert!(core.update_project_visibility(&context(), visible).await.unwrap().public_project_alias.is_some());
    assert_eq!(core.list_projects(&context(), ListProjectsInput::default()).await.unwrap().projects, ["demo"]);
    for name in [made.arn.clone(), made.arn, "demo".to_owned()] {
        core.delete_project(&context(), DeleteProjectInput { name }).await.unwrap();
    }
    let start = StartBuildInput { project_name: "demo".to_owned(), ..Default::default() };
    let gone = core.start_build(&context(), start).await.unwrap_err();
    assert_eq!(gone.code, ErrorCode::ResourceNotFound);
    place.checked(core);
}

#[tokio::test]
async fn what_cannot_be_honoured_is_named() {
    let place = Place::new();
    let core = place.serve();
    let mut input = Place::input("demo", "ok");
    input.vpc_config = Some(VpcConfig {
        vpc_id: Some("vpc-1".to_owned()),
        subnets: Some(vec!["subnet-1".to_owned()]),
        security_group_ids: Some(vec!["sg-1".to_owned()]),
    });
    // It is kept and shown …
    let made = core.create_project(&context(), input).await.unwrap().project;
    assert!(made.vpc_config.is_some());
    // … and a build says what it cannot do.
    let start = StartBuildInput { project_name: "demo".to_owned(), ..Default::default() };
    let refused = core.start_build(&context(), start).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidInput);
    assert!(refused.message.contains("vpcConfig"), "{}", refused.message);
    place.checked(core);
}
