//! Deliveries that come twice, at once, late and in another order; newer ones that stop older builds.

use std::{collections::HashSet, sync::Arc};

use kiln_core::webhook::SUPERSEDED;
use kiln_model::{
    BuildStatus,
    codebuild::{BatchGetBuildsInput, CreateProjectInput, WebhookFilterType},
    kiln::{DeliveryStatus, ListWebhookDeliveriesInput, RedeliverWebhookDeliveryInput},
    service::{CodeBuild as _, DeliveryRefusal, KilnService as _},
};
use kiln_runner::job::Job;
use serde_json::json;

use super::{Hook, Provider, at, builds_of, decided, filter, hash, life, look, project, push, pushes, request, tag};
use crate::place::{Place, context};

#[tokio::test]
async fn a_delivery_starts_its_build_once() {
    let place = Place::new();
    let core = place.serve();
    core.create_project(&context(), project("demo", "wait")).await.unwrap();
    let hook = Hook::make(&core, "demo", Some(pushes())).await;
    let body = push("main", Some(1), Some(2), Some(1));
    // Fifty times at once.
    let sends = (0..50).map(|_| {
        let (hook, body) = (hook.clone(), body.clone());
        tokio::spawn(async move { hook.deliver("push", "delivery-1", &body).await })
    });
    let mut fresh = 0;
    let mut ids = HashSet::new();
    for send in sends.collect::<Vec<_>>() {
        let delivered = send.await.unwrap();
        fresh += usize::from(!delivered.is_repeated);
        assert_eq!(delivered.delivery.status, DeliveryStatus::Started, "{delivered:?}");
        ids.insert(delivered.delivery.build_ids[0].clone());
    }
    assert_eq!((fresh, ids.len(), builds_of(&core, "demo").await.len()), (1, 1, 1));
    let id = ids.into_iter().next().unwrap();
    let build = place.begun(&core, &id).await;
    assert_eq!(build.initiator.as_deref(), Some("GitHub-Hookshot/044aadd"));
    assert_eq!(build.source_version, Some(hash(2)));
    let uuid = id.split_once(':').unwrap().1;
    let job = Job::read(&place.data().join("builds").join(uuid)).unwrap();
    let variables = job.service.unwrap().variables;
    for (name, value) in [
        ("CODEBUILD_WEBHOOK_EVENT", "PUSH"),
        ("CODEBUILD_WEBHOOK_TRIGGER", "branch/main"),
        ("CODEBUILD_WEBHOOK_HEAD_REF", "refs/heads/main"),
        ("CODEBUILD_WEBHOOK_ACTOR_ACCOUNT_ID", "583231"),
        ("CODEBUILD_WEBHOOK_PREV_COMMIT", &hash(1)),
        ("CODEBUILD_SOURCE_VERSION", &hash(2)),
    ] {
        assert!(variables.contains(&(name.to_owned(), Some(value.to_owned()))), "{name}: {variables:?}");
    }
    // Another id, another body under the old signature, another server.
    let other = hook.deliver("push", "delivery-2", &body).await.delivery;
    assert_eq!((other.status, other.build_ids.len()), (DeliveryStatus::Duplicate, 0));
    let mut forged = hook.signed("push", "delivery-3", &body);
    forged.body = push("main", Some(2), Some(3), Some(2)).to_string().into_bytes();
    assert_eq!(core.deliver(forged).await, Err(DeliveryRefusal::Stranger));
    let mut elsewhere = hook.signed("push", "delivery-3", &body);
    elsewhere.token = kiln_model::Secret::new("A".repeat(52));
    assert_eq!(core.deliver(elsewhere).await, Err(DeliveryRefusal::Stranger));
    core.stop();
    drop(core);
    let hook = hook.beside(|| place.serve());
    let core = hook.core.clone();
    assert!(hook.deliver("push", "delivery-1", &body).await.is_repeated);
    assert_eq!(builds_of(&core, "demo").await.len(), 1);
    let listed = core
        .list_webhook_deliveries(
            &context(),
            ListWebhookDeliveriesInput { project_name: "demo".to_owned(), ..Default::default() },
        )
        .await
        .unwrap()
        .deliveries;
    assert_eq!(listed.iter().map(|one| one.delivery_id.as_str()).collect::<Vec<_>>(), ["delivery-2", "delivery-1"]);
    let detail = look(&core, "demo", &listed[1].id).await;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&detail.payload.unwrap()).unwrap(), body);
    assert_eq!(detail.decisions[0].groups[0].filters[0].value.as_deref(), Some("PUSH"));
    // Whoever asks for it has it built again.
    let again = RedeliverWebhookDeliveryInput { project_name: "demo".to_owned(), id: listed[1].id.clone() };
    let again = core.redeliver_webhook_delivery(&context(), again).await.unwrap().delivery;
    assert_eq!((again.status, again.redelivery_of.as_deref()), (DeliveryStatus::Started, Some(listed[1].id.as_str())));
    assert!(look(&core, "demo", &again.id).await.payload.is_some());
    for id in builds_of(&core, "demo").await {
        place.begun(&core, &id).await;
        place.world.tell(id.split_once(':').unwrap().1, kiln_runner::job::Control::Stop);
        place.end(&core, &id).await;
    }
    drop(hook);
    place.checked(core);
}

#[tokio::test]
async fn a_removed_branch_is_not_built_and_neither_is_what_comes_late() {
    let place = Place::new();
    let core = place.serve();
    core.create_project(&context(), project("demo", "ok")).await.unwrap();
    let hook = Hook::make(&core, "demo", Some(pushes())).await;
    let status = async |id: &str, body| hook.deliver("push", id, &body).await.delivery.status;
    // The removal overtakes the push.
    assert_eq!(status("1", push("old", Some(2), None, Some(20))).await, DeliveryStatus::Ignored);
    assert_eq!(status("2", push("old", Some(1), Some(2), Some(10))).await, DeliveryStatus::Ignored);
    assert_eq!(status("3", push("old", None, Some(3), Some(30))).await, DeliveryStatus::Started);
    // Without the setting what is late is built as well.
    assert_eq!(status("4", push("main", Some(2), Some(3), Some(3))).await, DeliveryStatus::Started);
    assert_eq!(status("5", push("main", Some(1), Some(2), Some(2))).await, DeliveryStatus::Started);
    let other = hook.deliver("push", "6", &json!({ "ref": "refs/heads/x" })).await.delivery;
    assert_eq!((other.status, other.message.as_str()), (DeliveryStatus::Ignored, "push is about no repository"));
    assert!(matches!(hook.send("push", "7", &json!("x")).await, Err(DeliveryRefusal::Malformed(_))));
    for id in builds_of(&core, "demo").await {
        place.end(&core, &id).await;
    }
    drop(hook);
    place.checked(core);
}

#[tokio::test]
async fn newer_pushes_stop_older_builds_where_the_project_says_so() {
    let place = Place::with_builds(1);
    let core = place.serve();
    let input = project("demo", "wait");
    core.create_project(&context(), CreateProjectInput { tags: Some(vec![tag(SUPERSEDED, "stop")]), ..input })
        .await
        .unwrap();
    let hook = Hook::make(&core, "demo", None).await;
    let started = async |id: &str, body| {
        let delivered = hook.deliver("push", id, &body).await.delivery;
        assert_eq!(delivered.status, DeliveryStatus::Started, "{delivered:?}");
        (delivered.id, delivered.build_ids[0].clone())
    };
    let (_, first) = started("1", push("main", Some(1), Some(2), Some(1))).await;
    place.begun(&core, &first).await;
    let (_, other) = started("2", push("other", Some(1), Some(2), Some(1))).await;
    let (_, second) = started("3", push("main", Some(2), Some(3), Some(2))).await;
    let stopped = place.end(&core, &first).await;
    assert_eq!(stopped.build_status, Some(BuildStatus::Stopped));
    let contexts: Vec<_> = stopped.phases.iter().flat_map(|phase| phase.contexts.clone().unwrap_or_default()).collect();
    let context_of = contexts.iter().find(|context| context.status_code == "SUPERSEDED").unwrap();
    assert!(context_of.message.contains(&second), "{context_of:?}");
    // One that waits is stopped at once.
    let (delivery, third) = started("4", push("main", Some(3), Some(4), Some(4))).await;
    let decisions = look(&core, "demo", &delivery).await.decisions;
    assert_eq!(decisions[0].superseded_build_ids, std::slice::from_ref(&second));
    assert_eq!(place.end(&core, &second).await.build_status, Some(BuildStatus::Stopped));
    // What is older stops nothing and is not built.
    let late = hook.deliver("push", "5", &push("main", Some(8), Some(9), Some(3))).await.delivery;
    assert_eq!(late.status, DeliveryStatus::Ignored);
    assert!(late.message.contains("something newer"), "{}", late.message);
    for id in [&other, &third] {
        place.world.tell(id.split_once(':').unwrap().1, kiln_runner::job::Control::Stop);
    }
    for id in [&other, &third] {
        let ids = vec![id.clone()];
        place.end(&core, id).await;
        let build = core.batch_get_builds(&context(), BatchGetBuildsInput { ids }).await.unwrap().builds.remove(0);
        assert!(
            build
                .phases
                .iter()
                .flat_map(|p| p.contexts.clone().unwrap_or_default())
                .all(|c| c.status_code != "SUPERSEDED")
        );
    }
    drop(hook);
    place.checked(core);
}

#[tokio::test]
async fn what_a_delivery_does_not_say_is_asked_of_the_provider() {
    let provider = Provider::new();
    let place = at(&provider);
    let core = place.serve();
    life::import(&core, kiln_model::codebuild::ServerType::Github).await;
    core.create_project(&context(), project("demo", "ok")).await.unwrap();
    let groups = vec![vec![
        filter(WebhookFilterType::Event, "PULL_REQUEST_CREATED, PULL_REQUEST_UPDATED"),
        filter(WebhookFilterType::FilePath, "^docs/"),
        filter(WebhookFilterType::CommitMessage, "^Write"),
    ]];
    let hook = Hook::make(&core, "demo", Some(groups)).await;
    let files = "GET https://api.github.com/repos/octocat/hello/pulls/7/files";
    let commit = |n: u64| format!("GET https://api.github.com/repos/octocat/hello/commits/{}", hash(n));
    provider.answers(
        &format!("{files}?per_page=100&limit=100&page=1"),
        [
            (500, json!({})),
            (200, json!([{ "filename": "src/a.rs" }])),
            (200, json!([{ "filename": "docs/b.md", "previous_filename": "b.md" }])),
        ],
    );
    provider.answers(&format!("{files}?per_page=100&limit=100&page=2"), [(200, json!([]))]);
    provider.answers(&commit(2), [(200, json!({ "commit": { "message": "Write it" } }))]);
    provider.answers(&commit(3), [(200, json!({ "commit": { "message": "Write it" } }))]);
    let first = hook.deliver("pull_request", "1", &request("opened", 2, 5)).await.delivery;
    assert_eq!(first.status, DeliveryStatus::Pending);
    provider.until("/files", 1).await;
    // It is asked again, after a while by the clock.
    while provider.made_of("/files?per_page=100&limit=100&page=2").is_empty() {
        place.advance(std::time::Duration::from_secs(2));
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let first = decided(&core, "demo", &first.id).await;
    assert_eq!(first.delivery.status, DeliveryStatus::Ignored, "{first:?}");
    let second = hook.deliver("pull_request", "2", &request("synchronize", 3, 5)).await.delivery;
    let second = decided(&core, "demo", &second.id).await;
    assert_eq!(second.delivery.status, DeliveryStatus::Started, "{second:?}");
    assert_eq!(second.decisions[0].groups[0].filters[1].value.as_deref(), Some("docs/b.md"));
    // What cannot be found out lets nothing pass, and says why.
    provider.answers(&commit(4), [(404, json!({}))]);
    let third = hook.deliver("pull_request", "3", &request("synchronize", 4, 5)).await.delivery;
    let third = decided(&core, "demo", &third.id).await;
    assert_eq!(third.delivery.status, DeliveryStatus::Failed, "{third:?}");
    assert!(third.delivery.message.contains("answered 404"), "{}", third.delivery.message);
    place.end(&core, &second.delivery.build_ids[0]).await;
    drop(hook);
    place.checked(core);
}

/// A burst in which each push comes several times, with a server that ends in the middle of it.
#[tokio::test]
async fn of_a_burst_each_commit_is_built_once() {
    const COMMITS: u64 = 100;
    let place = Place::new();
    let core = place.serve();
    core.create_project(&context(), project("demo", "ok")).await.unwrap();
    let hook = Hook::make(&core, "demo", Some(pushes())).await;
    let body = |n: u64| push("main", n.checked_sub(1), Some(n), Some(n));
    let mut order: Vec<(u64, u64)> = (1..=COMMITS).flat_map(|n| [(n, 0), (n, 0), (n, 1)]).collect();
    // Not as they happened, but always the same way.
    order.sort_by_key(|(n, copy)| (n * 7919 + copy * 104_729) % 1009);
    let (early, late) = order.split_at(order.len() / 2);
    let send = async |hook: &Hook, (n, copy): (u64, u64)| hook.send("push", &format!("{n}-{copy}"), &body(n)).await;
    for one in early {
        send(&hook, *one).await.unwrap();
    }
    core.stop();
    // What a server that ends does not take is sent again.
    assert!(matches!(send(&hook, late[0]).await, Err(DeliveryRefusal::Later(_))));
    drop(core);
    let hook = Arc::new(hook.beside(|| place.serve()));
    let core = hook.core.clone();
    let sends: Vec<_> = late
        .iter()
        .chain(early)
        .map(|(n, copy)| {
            let (hook, body, id) = (Arc::clone(&hook), body(*n), format!("{n}-{copy}"));
            tokio::spawn(async move { hook.deliver("push", &id, &body).await })
        })
        .collect();
    for send in sends {
        send.await.unwrap();
    }
    let builds = builds_of(&core, "demo").await;
    let mut commits = Vec::new();
    for id in &builds {
        commits.push(place.end(&core, id).await.source_version.unwrap());
    }
    commits.sort();
    assert_eq!(commits, (1..=COMMITS).map(hash).collect::<Vec<_>>());
    drop(hook);
    place.checked(core);
}
