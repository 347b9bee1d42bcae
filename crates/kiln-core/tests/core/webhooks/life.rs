//! Making, changing and removing webhooks.

use kiln_model::{
    ErrorCode,
    codebuild::{
        AuthType, BatchGetProjectsInput, CreateWebhookInput, DeleteProjectInput, DeleteWebhookInput,
        ImportSourceCredentialsInput, Project, PullRequestBuildCommentApproval, Sensitive, ServerType, SourceType,
        UpdateWebhookInput, WebhookBuildType, WebhookFilterType, WebhookStatus,
    },
    service::{CodeBuild as _, DeliveryRefusal},
};
use serde_json::json;

use super::{Hook, Provider, at, filter, project, push, pushes};
use crate::{
    fake::FakeRunners,
    place::{Place, context},
};

type Core = kiln_core::Core<FakeRunners>;

pub(super) async fn import(core: &Core, server_type: ServerType) {
    let input = ImportSourceCredentialsInput {
        username: (server_type == ServerType::Bitbucket).then(|| "me".to_owned()),
        token: Sensitive::new("t0ken"),
        server_type,
        auth_type: if server_type == ServerType::Bitbucket {
            AuthType::BasicAuth
        } else {
            AuthType::PersonalAccessToken
        },
        should_overwrite: None,
    };
    core.import_source_credentials(&context(), input).await.unwrap();
}

async fn shown(core: &Core, name: &str) -> Project {
    let names = vec![name.to_owned()];
    core.batch_get_projects(&context(), BatchGetProjectsInput { names }).await.unwrap().projects.remove(0)
}

#[tokio::test]
async fn a_webhook_that_is_entered_by_hand() {
    let place = Place::new();
    let core = place.serve();
    core.create_project(&context(), project("demo", "ok")).await.unwrap();
    let create = CreateWebhookInput {
        project_name: "demo".to_owned(),
        filter_groups: Some(vec![vec![
            filter(WebhookFilterType::Event, "PUSH"),
            filter(WebhookFilterType::ActorAccountId, "583231"),
        ]]),
        build_type: Some(WebhookBuildType::BuildBatch),
        manual_creation: Some(true),
        ..Default::default()
    };
    let made = core.create_webhook(&context(), create.clone()).await.unwrap().webhook.unwrap();
    assert!(made.payload_url.as_ref().unwrap().starts_with("https://kiln.example/-/webhooks/"));
    assert!(made.secret.as_ref().unwrap().expose().len() >= 20 && made.url.is_none());
    assert!(!format!("{made:?}").contains(made.secret.as_ref().unwrap().expose()));
    let policy = made.pull_request_build_policy.as_ref().unwrap();
    assert_eq!(policy.requires_comment_approval, PullRequestBuildCommentApproval::AllPullRequests);
    assert_eq!(policy.approver_roles.as_ref().unwrap().len(), 3);
    let hook = shown(&core, "demo").await.webhook.unwrap();
    assert_eq!((hook.secret, &hook.payload_url, hook.status), (None, &made.payload_url, Some(WebhookStatus::Active)));
    assert_eq!((hook.build_type, hook.manual_creation), (Some(WebhookBuildType::BuildBatch), Some(true)));
    // Each member of each filter is shown, and what is risky said.
    assert!(hook.filter_groups.unwrap()[0].iter().all(|filter| filter.exclude_matched_pattern == Some(false)));
    assert!(hook.status_message.unwrap().contains("ACTOR_ACCOUNT_ID pattern '583231' matches anywhere"));
    let again = core.create_webhook(&context(), create).await.unwrap_err();
    assert_eq!(again.code, ErrorCode::ResourceAlreadyExists);

    let update = UpdateWebhookInput { project_name: "demo".to_owned(), ..Default::default() };
    let branch = UpdateWebhookInput { branch_filter: Some("^main$".to_owned()), ..update.clone() };
    let changed = core.update_webhook(&context(), branch).await.unwrap().webhook.unwrap();
    assert_eq!((changed.branch_filter.as_deref(), changed.filter_groups), (Some("^main$"), None));
    assert_eq!((changed.secret, changed.build_type), (None, Some(WebhookBuildType::BuildBatch)));
    let rotate = UpdateWebhookInput { rotate_secret: Some(true), ..update.clone() };
    let old = Hook::of(&core, &made);
    let rotated = core.update_webhook(&context(), rotate).await.unwrap().webhook.unwrap();
    assert_eq!(rotated.payload_url, made.payload_url);
    let body = push("main", None, Some(1), Some(1));
    assert_eq!(old.send("push", "1", &body).await, Err(DeliveryRefusal::Stranger));
    Hook::of(&core, &rotated).deliver("ping", "1", &json!({ "zen": "x" })).await;

    let refused = async |input: UpdateWebhookInput| core.update_webhook(&context(), input).await.unwrap_err();
    for (input, told) in [
        (UpdateWebhookInput { branch_filter: Some(String::new()), ..update.clone() }, "branchFilter must not be empty"),
        (
            UpdateWebhookInput { filter_groups: Some(vec![vec![]]), ..update.clone() },
            "exactly one filter of the type EVENT",
        ),
        (
            UpdateWebhookInput { build_type: Some(WebhookBuildType::RunnerBuildkiteBuild), ..update.clone() },
            "RUNNER_BUILDKITE_BUILD is not available",
        ),
    ] {
        let error = refused(input).await;
        assert_eq!(error.code, ErrorCode::InvalidInput);
        assert!(error.message.contains(told), "{error:?}");
    }
    let remove = DeleteWebhookInput { project_name: "demo".to_owned() };
    core.delete_webhook(&context(), remove.clone()).await.unwrap();
    assert!(shown(&core, "demo").await.webhook.is_none());
    assert_eq!(core.delete_webhook(&context(), remove).await.unwrap_err().code, ErrorCode::ResourceNotFound);
    assert_eq!(refused(update).await.code, ErrorCode::ResourceNotFound);
    assert_eq!(Hook::of(&core, &rotated).send("ping", "2", &json!({})).await, Err(DeliveryRefusal::Stranger));
    place.checked(core);
}

#[tokio::test]
async fn a_webhook_that_is_made_at_the_provider() {
    let provider = Provider::new();
    let place = at(&provider);
    let core = place.serve();
    core.create_project(&context(), project("demo", "ok")).await.unwrap();
    let create =
        CreateWebhookInput { project_name: "demo".to_owned(), filter_groups: Some(pushes()), ..Default::default() };
    let failed = async || {
        let error = core.create_webhook(&context(), create.clone()).await.unwrap_err();
        (error.code, error.message)
    };
    let (code, message) = failed().await;
    assert_eq!(code, ErrorCode::ResourceNotFound);
    assert_eq!(message, "Could not find access token for server type github");
    assert!(provider.made().is_empty());

    import(&core, ServerType::Github).await;
    let (code, message) = failed().await;
    assert_eq!(code, ErrorCode::OAuthProvider);
    assert_eq!(
        message,
        "Failed to create webhook. Repository not found or permission denied. Please make sure the source credentials \
         associated with your project have the permission to create webhook."
    );
    let hooks = "https://api.github.com/repos/octocat/hello/hooks";
    provider.answers(&format!("POST {hooks}"), [(429, json!({}))]);
    assert_eq!(failed().await.1, "Failed to create webhook. GitHub API limit reached. Please try again later.");
    provider.is_away(&format!("POST {hooks}"));
    assert_eq!(failed().await.1, "Failed to create webhook. no answer within 15 s");
    provider.answers(&format!("POST {hooks}"), [(201, json!({ "id": "x/../../y" }))]);
    assert!(failed().await.1.contains("does not say which webhook was made"));

    provider.answers(&format!("POST {hooks}"), [(201, json!({ "id": 12 }))]);
    let made = core.create_webhook(&context(), create.clone()).await.unwrap().webhook.unwrap();
    let call = provider.made_of("POST").pop().unwrap();
    assert_eq!(call.authorization.as_deref(), Some("Bearer t0ken"));
    assert_eq!(call.body["config"]["url"].as_str(), made.payload_url.as_deref());
    assert_eq!(call.body["config"]["secret"].as_str(), made.secret.as_ref().map(|secret| secret.expose()));
    assert_eq!(call.body["config"]["content_type"], "json");
    assert!(call.body["events"].as_array().unwrap().contains(&json!("pull_request")));
    assert_eq!(made.url.as_deref(), Some(format!("{hooks}/12").as_str()));

    // While the provider does not take the new secret, the old one holds.
    let rotate =
        UpdateWebhookInput { project_name: "demo".to_owned(), rotate_secret: Some(true), ..Default::default() };
    let old = Hook::of(&core, &made);
    provider.answers(&format!("PATCH {hooks}/12"), [(500, json!({})), (200, json!({}))]);
    assert_eq!(core.update_webhook(&context(), rotate.clone()).await.unwrap_err().code, ErrorCode::OAuthProvider);
    old.deliver("ping", "1", &json!({})).await;
    let new = core.update_webhook(&context(), rotate).await.unwrap().webhook.unwrap();
    assert_eq!(old.send("ping", "2", &json!({})).await, Err(DeliveryRefusal::Stranger));
    Hook::of(&core, &new).deliver("ping", "2", &json!({})).await;
    assert_eq!(
        provider.made_of("PATCH").pop().unwrap().body["config"]["secret"].as_str(),
        new.secret.as_ref().map(|secret| secret.expose())
    );

    provider.answers(&format!("DELETE {hooks}/12"), [(502, json!({})), (404, json!({}))]);
    let remove = DeleteWebhookInput { project_name: "demo".to_owned() };
    assert_eq!(core.delete_webhook(&context(), remove.clone()).await.unwrap_err().code, ErrorCode::OAuthProvider);
    core.delete_webhook(&context(), remove).await.unwrap();

    // A project takes its webhook along.
    core.create_webhook(&context(), create).await.unwrap();
    provider.answers(&format!("DELETE {hooks}/12"), [(204, json!({}))]);
    core.delete_project(&context(), DeleteProjectInput { name: "demo".to_owned() }).await.unwrap();
    provider.until("DELETE", 3).await;
    core.create_project(&context(), project("demo", "ok")).await.unwrap();
    assert!(shown(&core, "demo").await.webhook.is_none());
    place.checked(core);
}

#[tokio::test]
async fn each_provider_has_its_own_calls() {
    let provider = Provider::new();
    let place = at(&provider);
    let core = place.serve();
    for (name, kind, server, location, call, authorization) in [
        (
            "gitlab",
            SourceType::Gitlab,
            ServerType::Gitlab,
            "https://gitlab.com/group/sub/hello.git",
            "POST https://gitlab.com/api/v4/projects/group%2Fsub%2Fhello/hooks",
            "Bearer t0ken",
        ),
        (
            "bitbucket",
            SourceType::Bitbucket,
            ServerType::Bitbucket,
            "https://bitbucket.org/team/hello",
            "POST https://api.bitbucket.org/2.0/repositories/team/hello/hooks",
            "Basic bWU6dDBrZW4=",
        ),
        (
            "enterprise",
            SourceType::GithubEnterprise,
            ServerType::GithubEnterprise,
            "https://ghe.example/octocat/hello.git",
            "POST https://ghe.example/api/v3/repos/octocat/hello/hooks",
            "Bearer t0ken",
        ),
        (
            "gitea",
            SourceType::GithubEnterprise,
            ServerType::GithubEnterprise,
            "https://gitea.example:3000/octocat/hello.git",
            "POST https://gitea.example:3000/api/v1/repos/octocat/hello/hooks",
            "token t0ken",
        ),
    ] {
        provider.answers("GET https://gitea.example:3000/api/v1/version", [(200, json!({ "version": "1.22" }))]);
        provider.answers(call, [(201, json!({ "id": 5, "uuid": "{5}" }))]);
        import(&core, server).await;
        let mut input = project(name, "ok");
        input.source.r#type = kind;
        input.source.location = Some(location.to_owned());
        core.create_project(&context(), input).await.unwrap();
        let input = CreateWebhookInput { project_name: name.to_owned(), ..Default::default() };
        let made = core.create_webhook(&context(), input).await.unwrap().webhook.unwrap();
        let id = if name == "bitbucket" { "%7B5%7D" } else { "5" };
        assert_eq!(made.url.unwrap(), format!("{}/{id}", call.strip_prefix("POST ").unwrap()));
        let asked = provider.made_of(call).pop().unwrap();
        assert_eq!(asked.authorization.as_deref(), Some(authorization));
        assert!(asked.body.to_string().contains(made.secret.unwrap().expose()), "{name}");
    }
    place.checked(core);
}

#[tokio::test]
async fn what_has_no_provider_has_no_webhook() {
    let place = Place::new();
    let core = place.serve();
    place.project(&core, "none", "ok").await;
    let create = |name: &str| CreateWebhookInput {
        project_name: name.to_owned(),
        manual_creation: Some(true),
        ..Default::default()
    };
    let refused = core.create_webhook(&context(), create("none")).await.unwrap_err();
    assert_eq!((refused.code, refused.message.contains("NO_SOURCE has no webhooks")), (ErrorCode::InvalidInput, true));
    assert_eq!(core.create_webhook(&context(), create("missing")).await.unwrap_err().code, ErrorCode::ResourceNotFound);
    place.checked(core);
}
