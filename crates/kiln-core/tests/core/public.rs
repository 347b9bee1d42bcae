//! What anybody may see of public builds, and what nobody may.

use kiln_core::{Core, iam::default_service_role};
use kiln_model::{
    ErrorCode,
    arn::Home,
    codebuild::{
        DeleteProjectInput, EnvironmentVariable, EnvironmentVariableType, ProjectVisibilityType,
        UpdateProjectVisibilityInput,
    },
    iam::{Owner, Request},
    kiln::{
        GetPublicBuildArtifactInput, GetPublicBuildInput, GetPublicBuildLogInput, GetPublicBuildOutput,
        ListPublicBuildsInput,
    },
    service::{CodeBuild as _, Iam as _, PublicBuilds as _},
};
use kiln_runner::job::Job;

use crate::{
    fake::FakeRunners,
    place::{Place, context},
};

type Server = Core<FakeRunners>;

const READER: &str = "arn:aws:iam::000000000000:role/reader";

/// A role that CodeBuild may assume, and that may read the logs of builds.
async fn reader(core: &Server) {
    let trust = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"codebuild.amazonaws.com"},"Action":"sts:AssumeRole"}}"#;
    let role = Request::CreateRole {
        name: "reader".to_owned(),
        path: None,
        trust: trust.to_owned(),
        description: None,
        max_session_seconds: None,
        boundary: None,
        tags: Vec::new(),
    };
    core.iam(&context(), role).await.unwrap();
    let policy =
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"logs:GetLogEvents","Resource":"*"}}"#;
    let policy = Request::PutInlinePolicy {
        owner: Owner::Role("reader".to_owned()),
        name: "logs".to_owned(),
        document: policy.to_owned(),
    };
    core.iam(&context(), policy).await.unwrap();
}

async fn set(core: &Server, project: &str, visibility: ProjectVisibilityType, role: Option<&str>) -> String {
    let input = UpdateProjectVisibilityInput {
        project_arn: format!("arn:aws:codebuild:us-east-1:000000000000:project/{project}"),
        project_visibility: visibility,
        resource_access_role: role.map(str::to_owned),
    };
    core.update_project_visibility(&context(), input).await.unwrap().public_project_alias.unwrap()
}

async fn list(core: &Server, alias: &str) -> Result<Vec<String>, ErrorCode> {
    let input = ListPublicBuildsInput { alias: alias.to_owned(), next_token: None };
    let found = core.list_public_builds(input).await.map_err(|e| e.code)?;
    Ok(found.builds.into_iter().map(|build| build.uuid).collect())
}

async fn show(core: &Server, alias: &str, uuid: &str) -> Result<GetPublicBuildOutput, ErrorCode> {
    let input = GetPublicBuildInput { alias: alias.to_owned(), uuid: uuid.to_owned() };
    core.get_public_build(input).await.map_err(|e| e.code)
}

async fn log(core: &Server, alias: &str, uuid: &str) -> Result<Vec<String>, ErrorCode> {
    let input = GetPublicBuildLogInput { alias: alias.to_owned(), uuid: uuid.to_owned(), ..Default::default() };
    let found = core.get_public_build_log(input).await.map_err(|e| e.code)?;
    Ok(found.lines.into_iter().map(|line| line.text).collect())
}

#[tokio::test]
async fn builds_of_a_public_project_are_shown_and_nothing_else() {
    let place = Place::new();
    let core = place.serve();
    reader(&core).await;
    let mut input = Place::input("demo", "lines 3");
    input.environment.environment_variables = vec![
        EnvironmentVariable { name: "PLAIN".to_owned(), value: "plain-value".to_owned(), r#type: None },
        EnvironmentVariable {
            name: "SECRET".to_owned(),
            value: "/secret/name".to_owned(),
            r#type: Some(EnvironmentVariableType::ParameterStore),
        },
    ];
    // One of them is asked for by the runner, which the fake one does not do.
    core.create_project(&context(), input).await.unwrap();
    place.project(&core, "other", "ok").await;
    let before = place.start(&core, "demo").await;
    let foreign = place.start(&core, "other").await;
    place.end(&core, &before.id).await;
    place.end(&core, &foreign.id).await;
    let uuid = |id: &str| id.rsplit_once(':').unwrap().1.to_owned();
    let (before, foreign) = (uuid(&before.id), uuid(&foreign.id));

    for nothing in ["", "demo", "arn:aws:codebuild:us-east-1:000000000000:project/demo", "badge/x"] {
        assert_eq!(list(&core, nothing).await, Err(ErrorCode::ResourceNotFound), "{nothing}");
    }
    let alias = set(&core, "demo", ProjectVisibilityType::PublicRead, Some(READER)).await;
    assert!(alias.len() >= 32 && !alias.contains("demo"), "{alias}");
    let after = place.start(&core, "demo").await;
    let ended = place.end(&core, &after.id).await;
    let after = uuid(&ended.id);
    // Earlier builds, too (`api.md` 2.4).
    assert_eq!(list(&core, &alias).await, Ok(vec![after.clone(), before.clone()]));
    let shown = show(&core, &alias, &after).await.unwrap();
    assert!(shown.log_is_public);
    assert_eq!((shown.project_name.as_str(), shown.total_lines), ("demo", 3));
    assert_eq!(log(&core, &alias, &after).await.unwrap(), ["line 0", "line 1", "line 2"]);

    // Names of variables, no values; nothing that tells of the account, its roles or its people.
    let names: Vec<_> = shown.variables.iter().map(|v| v.name.as_str()).collect();
    assert_eq!(names, ["PLAIN", "SECRET"]);
    let text = serde_json::to_string(&shown).unwrap();
    for hidden in ["plain-value", "/secret/name", "000000000000", "arn:", "role", "root", "initiator"] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }

    // A build of another project is none of this one's, by whatever name.
    for wrong in [foreign.as_str(), "", "nothing", &format!("other:{foreign}"), &format!("demo:{after}")] {
        assert_eq!(show(&core, &alias, wrong).await.unwrap_err(), ErrorCode::ResourceNotFound, "{wrong}");
        assert_eq!(log(&core, &alias, wrong).await.unwrap_err(), ErrorCode::ResourceNotFound, "{wrong}");
    }
    let artifact = GetPublicBuildArtifactInput { alias: alias.clone(), uuid: after.clone(), artifact_identifier: None };
    let none = core.get_public_build_artifact(artifact).await.map(|found| found.file_name);
    assert_eq!(none.unwrap_err().code, ErrorCode::ResourceNotFound, "there is none");

    // Private again: at once, as if it had never been. The alias is kept for another time.
    assert_eq!(set(&core, "demo", ProjectVisibilityType::Private, None).await, alias);
    assert_eq!(list(&core, &alias).await, Err(ErrorCode::ResourceNotFound));
    assert_eq!(show(&core, &alias, &after).await.unwrap_err(), ErrorCode::ResourceNotFound);
    assert_eq!(log(&core, &alias, &after).await.unwrap_err(), ErrorCode::ResourceNotFound);
    assert_eq!(set(&core, "demo", ProjectVisibilityType::PublicRead, None).await, alias);
    assert_eq!(list(&core, &alias).await.unwrap().len(), 2);

    // A project of the same name is another one: its builds have another alias, and the old one's stay with the old one.
    core.delete_project(&context(), DeleteProjectInput { name: "demo".to_owned() }).await.unwrap();
    assert_eq!(list(&core, &alias).await, Err(ErrorCode::ResourceNotFound));
    place.advance(std::time::Duration::from_secs(1));
    place.project(&core, "demo", "ok").await;
    assert_eq!(list(&core, &alias).await, Err(ErrorCode::ResourceNotFound));
    let second = set(&core, "demo", ProjectVisibilityType::PublicRead, Some(READER)).await;
    assert_ne!(second, alias);
    assert_eq!(list(&core, &second).await, Ok(vec![]));
    assert_eq!(show(&core, &second, &after).await.unwrap_err(), ErrorCode::ResourceNotFound);
    place.checked(core);
}

#[tokio::test]
async fn logs_are_read_as_the_role_that_the_project_names() {
    let place = Place::new();
    let core = place.serve();
    reader(&core).await;
    place.project(&core, "demo", "lines 1").await;
    let build = place.start(&core, "demo").await;
    place.end(&core, &build.id).await;
    let uuid = build.id.rsplit_once(':').unwrap().1;
    // Without a role, with one that is not there, with one that does not let anybody read: the result is public, no line is.
    let alias = set(&core, "demo", ProjectVisibilityType::PublicRead, None).await;
    let home = Home { region: "us-east-1".to_owned(), account: "000000000000".to_owned() };
    let writes = default_service_role(&home);
    for role in ["arn:aws:iam::000000000000:role/nobody", writes.as_str()] {
        assert!(!show(&core, &alias, uuid).await.unwrap().log_is_public, "before {role}");
        assert_eq!(log(&core, &alias, uuid).await.unwrap_err(), ErrorCode::AccessDenied, "before {role}");
        set(&core, "demo", ProjectVisibilityType::PublicRead, Some(role)).await;
    }
    let policy = Request::DeleteInlinePolicy {
        owner: Owner::Role("kiln-default-build-role".to_owned()),
        name: "builds".to_owned(),
    };
    core.iam(&context(), policy).await.unwrap();
    let shown = show(&core, &alias, uuid).await.unwrap();
    assert_eq!((shown.log_is_public, shown.total_lines, shown.commands.len()), (false, 0, 0));
    assert_eq!(log(&core, &alias, uuid).await.unwrap_err(), ErrorCode::AccessDenied);
    set(&core, "demo", ProjectVisibilityType::PublicRead, Some(READER)).await;
    assert_eq!(log(&core, &alias, uuid).await.unwrap(), ["line 0"]);
    place.checked(core);
}

#[tokio::test]
async fn builds_of_public_projects_know_their_address() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "demo", "wait").await;
    let address = async || {
        let build = place.start(&core, "demo").await;
        place.begun(&core, &build.id).await;
        let uuid = build.id.rsplit_once(':').unwrap().1.to_owned();
        let job = Job::read(&place.data().join("builds").join(&uuid)).unwrap();
        let variables = job.service.unwrap().variables;
        let found = variables.into_iter().find(|(name, _)| name == "CODEBUILD_PUBLIC_BUILD_URL");
        place.world.tell(&uuid, kiln_runner::job::Control::Stop);
        place.end(&core, &build.id).await;
        (uuid, found.and_then(|(_, value)| value))
    };
    assert_eq!(address().await.1, None);
    let alias = set(&core, "demo", ProjectVisibilityType::PublicRead, None).await;
    let (uuid, url) = address().await;
    assert_eq!(url, Some(format!("http://127.0.0.1:5456/-/public/{alias}/builds/{uuid}")));
    set(&core, "demo", ProjectVisibilityType::Private, None).await;
    assert_eq!(address().await.1, None);
    place.checked(core);
}
