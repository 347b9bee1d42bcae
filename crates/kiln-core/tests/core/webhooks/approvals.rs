//! Pull requests that wait for somebody to approve them.

use kiln_model::{
    codebuild::{CreateWebhookInput, ServerType},
    kiln::DeliveryStatus,
    service::CodeBuild as _,
};
use serde_json::{Value, json};

use super::{Hook, Provider, at, builds_of, decided, hash, life, project, request};
use crate::place::{Place, context};

fn comment(text: String, by: u64) -> Value {
    json!({
        "action": "created",
        "issue": { "number": 7, "pull_request": { "url": "x" } },
        "comment": { "body": text, "user": { "id": by, "login": format!("user{by}") } },
        "repository": { "id": 7, "name": "hello", "full_name": "octocat/hello", "owner": { "id": 1, "login": "octocat" } },
        "sender": { "id": by, "login": format!("user{by}") },
    })
}

fn approves(commit: u64) -> String {
    format!("Fine.\r\n/codebuild_run({})\r\n", hash(commit))
}

/// A webhook with the policy that new ones have.
async fn usual(core: &kiln_core::Core<crate::fake::FakeRunners>) -> Hook {
    core.create_project(&context(), project("demo", "ok")).await.unwrap();
    let input =
        CreateWebhookInput { project_name: "demo".to_owned(), manual_creation: Some(true), ..Default::default() };
    Hook::of(core, &core.create_webhook(&context(), input).await.unwrap().webhook.unwrap())
}

#[tokio::test]
async fn strangers_wait_for_somebody_who_may_write() {
    let provider = Provider::new();
    let place = at(&provider);
    let core = place.serve();
    life::import(&core, ServerType::Github).await;
    let hook = usual(&core).await;
    let role =
        |user: u64| format!("GET https://api.github.com/repos/octocat/hello/collaborators/user{user}/permission");
    provider.answers(&role(2), [(200, json!({ "permission": "write", "role_name": "write" }))]);
    provider.answers(&role(3), [(200, json!({ "permission": "read", "role_name": "triage" }))]);
    provider.answers("POST https://api.github.com/repos/octocat/hello/statuses", [(201, json!({}))]);
    let send = async |event: &str, id: &str, body: Value| {
        let delivery = hook.deliver(event, id, &body).await.delivery;
        decided(&core, "demo", &delivery.id).await.delivery
    };
    // user9 is nobody there.
    let opened = send("pull_request", "1", request("opened", 2, 9)).await;
    assert_eq!(opened.status, DeliveryStatus::AwaitingApproval, "{opened:?}");
    assert!(
        opened.message.contains("user9 has none of the roles GITHUB_ADMIN, GITHUB_MAINTAIN, GITHUB_WRITE"),
        "{}",
        opened.message
    );
    let told = provider.until(&format!("statuses/{}", hash(2)), 1).await;
    assert_eq!(told[0].body["state"], "failure");
    assert_eq!(told[0].body["description"], "Pull request approval required for starting a build");
    for (id, text, by, why) in [
        ("2", approves(2), 3, "user3 has none of the roles"),
        ("3", approves(2), 9, "user9 has none of the roles"),
        ("4", approves(3), 2, "no build of this commit waits"),
        ("5", format!("/codebuild_run({})", &hash(2)[..12]), 2, "approves no build"),
        ("6", format!("> /codebuild_run({})", hash(2)), 2, "approves no build"),
    ] {
        let told = send("issue_comment", id, comment(text, by)).await;
        assert_eq!(told.status, DeliveryStatus::Ignored, "{told:?}");
        assert!(told.message.contains(why), "{}", told.message);
    }
    assert!(builds_of(&core, "demo").await.is_empty());
    let approved = send("issue_comment", "7", comment(approves(2), 2)).await;
    assert_eq!(approved.status, DeliveryStatus::Started, "{approved:?}");
    let build = place.end(&core, &approved.build_ids[0]).await;
    assert_eq!(build.source_version.as_deref(), Some("pr/7"));
    let twice = send("issue_comment", "8", comment(approves(2), 2)).await;
    assert_eq!(twice.status, DeliveryStatus::Ignored, "{twice:?}");
    // What is pushed after an approval waits again; an approval of what is not the head any more is none.
    assert_eq!(send("pull_request", "9", request("synchronize", 3, 9)).await.status, DeliveryStatus::AwaitingApproval);
    assert_eq!(send("pull_request", "10", request("synchronize", 4, 9)).await.status, DeliveryStatus::AwaitingApproval);
    assert_eq!(send("issue_comment", "11", comment(approves(3), 2)).await.status, DeliveryStatus::Ignored);
    assert_eq!(send("issue_comment", "12", comment(approves(4), 1)).await.status, DeliveryStatus::Started, "the owner");
    // Those of who may write, and of the owner, build at once.
    assert_eq!(send("pull_request", "13", request("reopened", 5, 2)).await.status, DeliveryStatus::Started);
    assert_eq!(send("pull_request", "14", request("synchronize", 6, 1)).await.status, DeliveryStatus::Started);
    for id in builds_of(&core, "demo").await {
        place.end(&core, &id).await;
    }
    drop(hook);
    place.checked(core);
}

#[tokio::test]
async fn without_a_token_nobodys_role_is_known() {
    let place = Place::new();
    let core = place.serve();
    let hook = usual(&core).await;
    let opened = hook.deliver("pull_request", "1", &request("opened", 2, 9)).await.delivery;
    let opened = decided(&core, "demo", &opened.id).await.delivery;
    assert_eq!(opened.status, DeliveryStatus::AwaitingApproval);
    assert!(opened.message.contains("could not be found out"), "{}", opened.message);
    drop(hook);
    place.checked(core);
}
