//! What commits are told of their builds.

use std::time::Duration;

use kiln_model::{
    codebuild::{
        BuildStatusConfig, CreateProjectInput, EnvironmentVariable, RetryBuildInput, ServerType, SourceType,
        StartBuildInput,
    },
    service::CodeBuild as _,
};
use serde_json::{Value, json};

use super::{Hook, Provider, at, hash, life, project, push, pushes};
use crate::place::{Place, context};

const STATUSES: &str = "POST https://api.github.com/repos/octocat/hello/statuses";

fn states(provider: &Provider, commit: u64) -> Vec<Value> {
    provider.made_of(&format!("statuses/{}", hash(commit))).into_iter().map(|made| made.body["state"].clone()).collect()
}

async fn until_last(place: &Place, provider: &Provider, commit: u64, state: &str) {
    for _ in 0..2000 {
        if states(provider, commit).last().is_some_and(|last| last == state) {
            return;
        }
        place.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{state} is not told: {:?}", provider.made());
}

#[tokio::test]
async fn a_webhooks_build_tells_its_commit_how_it_stands() {
    let provider = Provider::new();
    let place = at(&provider);
    let core = place.serve();
    life::import(&core, ServerType::Github).await;
    core.create_project(&context(), project("demo", "wait\nfail")).await.unwrap();
    let hook = Hook::make(&core, "demo", Some(pushes())).await;
    provider.answers(STATUSES, [(201, json!({}))]);
    let id = hook.deliver("push", "1", &push("main", Some(1), Some(2), Some(1))).await.delivery.build_ids.remove(0);
    let made = provider.until(&format!("statuses/{}", hash(2)), 1).await;
    assert_eq!(
        made[0].body,
        json!({
            "state": "pending",
            "context": "AWS CodeBuild us-east-1 (demo)",
            "target_url": format!("https://kiln.example/-/builds/{id}"),
            "description": format!("Build {id} has started"),
        })
    );
    assert_eq!(made[0].authorization.as_deref(), Some("Bearer t0ken"));
    place.begun(&core, &id).await;
    // The provider is away when it ends, longer than one server lives.
    provider.is_away(STATUSES);
    place.world.tell(id.split_once(':').unwrap().1, kiln_runner::job::Control::Stop);
    place.end(&core, &id).await;
    provider.until(&format!("statuses/{}", hash(2)), 2).await;
    core.stop();
    drop((core, hook));
    provider.answers(STATUSES, [(429, json!({})), (503, json!({})), (201, json!({}))]);
    let before = states(&provider, 2).len();
    let core = place.serve();
    for _ in 0..2000 {
        place.advance(Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(5)).await;
        if states(&provider, 2).len() >= before + 3 {
            break;
        }
    }
    assert_eq!(states(&provider, 2)[before..], ["error", "error", "error"], "stopped, until it is taken");
    tokio::time::sleep(Duration::from_millis(100)).await;
    place.advance(Duration::from_secs(3600));
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(states(&provider, 2).len(), before + 3, "and not once more");
    place.checked(core);
}

#[tokio::test]
async fn others_tell_it_where_the_project_says_so() {
    let provider = Provider::new();
    let place = at(&provider);
    let core = place.serve();
    life::import(&core, ServerType::Github).await;
    provider.answers(STATUSES, [(201, json!({}))]);
    let start = async |project: &str, commit: u64| {
        let input = StartBuildInput {
            project_name: project.to_owned(),
            source_version: Some(hash(commit)),
            ..Default::default()
        };
        let build = core.start_build(&context(), input).await.unwrap().build;
        place.end(&core, &build.id).await
    };
    core.create_project(&context(), project("quiet", "ok")).await.unwrap();
    start("quiet", 2).await;
    let mut input = project("loud", "ok");
    input.source.report_build_status = Some(true);
    input.source.build_status_config = Some(BuildStatusConfig {
        context: Some("ci/$STAGE #$CODEBUILD_BUILD_NUMBER".to_owned()),
        target_url: Some("https://ci.example/${CODEBUILD_SOURCE_VERSION}".to_owned()),
    });
    let stage = EnvironmentVariable { name: "STAGE".to_owned(), value: "dev".to_owned(), r#type: None };
    input.environment.environment_variables = vec![stage];
    core.create_project(&context(), input).await.unwrap();
    let build = start("loud", 3).await;
    until_last(&place, &provider, 3, "success").await;
    let made = provider.made_of("statuses").pop().unwrap().body;
    assert_eq!(made["context"], "ci/dev #1");
    assert_eq!(made["target_url"], format!("https://ci.example/{}", hash(3)));
    let retry = RetryBuildInput { id: Some(build.id), ..Default::default() };
    let again = core.retry_build(&context(), retry).await.unwrap().build;
    place.end(&core, &again.id).await;
    for _ in 0..2000 {
        let last = provider.made_of("statuses").pop().unwrap().body;
        if last["context"] == "ci/dev #2" && last["state"] == "success" {
            break;
        }
        place.advance(Duration::from_secs(1));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(provider.made_of("statuses").pop().unwrap().body["context"], "ci/dev #2");
    assert!(states(&provider, 2).is_empty(), "quiet");
    // Refused once and for all, a status is given up; the build is as it is.
    provider.answers(STATUSES, [(422, json!({}))]);
    start("loud", 4).await;
    let refused = provider.until(&format!("statuses/{}", hash(4)), 1).await.len();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(refused <= 2);
    place.checked(core);
}

#[tokio::test]
async fn a_webhooks_build_that_is_tried_again_says_how_it_ends() {
    let provider = Provider::new();
    let place = at(&provider);
    let core = place.serve();
    life::import(&core, ServerType::Github).await;
    provider.answers(STATUSES, [(201, json!({}))]);
    let input = CreateProjectInput { auto_retry_limit: Some(1), ..project("demo", "fail") };
    core.create_project(&context(), input).await.unwrap();
    let hook = Hook::make(&core, "demo", Some(pushes())).await;
    let id = hook.deliver("push", "1", &push("main", Some(1), Some(2), Some(1))).await.delivery.build_ids.remove(0);
    place.end(&core, &id).await;
    until_last(&place, &provider, 2, "failure").await;
    let last = provider.made_of("statuses").pop().unwrap().body;
    assert!(!last["description"].as_str().unwrap().contains(&id), "the second try's: {last}");
    // By hand it is not told again: the project does not say so.
    let told = provider.made().len();
    let retry = RetryBuildInput { id: Some(id), ..Default::default() };
    let again = core.retry_build(&context(), retry).await.unwrap().build;
    place.end(&core, &again.id).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(provider.made().len(), told);
    for id in super::builds_of(&core, "demo").await {
        place.end(&core, &id).await;
    }
    drop(hook);
    place.checked(core);
}

#[tokio::test]
async fn gitlab_may_have_heard_it_already() {
    let provider = Provider::new();
    let place = at(&provider);
    let core = place.serve();
    life::import(&core, ServerType::Gitlab).await;
    let mut input = project("demo", "ok");
    input.source.r#type = SourceType::Gitlab;
    input.source.location = Some("https://gitlab.com/group/hello".to_owned());
    input.source.report_build_status = Some(true);
    core.create_project(&context(), input).await.unwrap();
    let path = format!("POST https://gitlab.com/api/v4/projects/group%2Fhello/statuses/{}", hash(2));
    provider.answers(&path, [(400, json!({ "message": "Cannot transition status via :run from :running" }))]);
    let start =
        StartBuildInput { project_name: "demo".to_owned(), source_version: Some(hash(2)), ..Default::default() };
    let build = core.start_build(&context(), start).await.unwrap().build;
    place.end(&core, &build.id).await;
    until_last(&place, &provider, 2, "success").await;
    let count = provider.made().len();
    place.advance(Duration::from_secs(60));
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(provider.made().len(), count, "taken for told");
    assert_eq!(provider.made().pop().unwrap().body["name"], "AWS CodeBuild us-east-1 (demo)");
    place.checked(core);
}
