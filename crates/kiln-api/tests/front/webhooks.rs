//! Deliveries of providers, which no AWS key signs.

use kiln_api::Rates;

use crate::{
    client::{Message, Reply},
    world::World,
};

fn delivery(token: &str, what: &str, body: &str) -> Message {
    let mut message = Message::get(&format!("/-/webhooks/{token}")).with("X-Test", what);
    message.method = "POST";
    message.body = body.as_bytes().to_vec();
    message.with("Content-Length", &body.len().to_string())
}

fn json(reply: &Reply) -> serde_json::Value {
    serde_json::from_str(&reply.text()).unwrap()
}

#[tokio::test]
async fn deliveries_are_taken_and_strangers_told_nothing() {
    let world = World::start().await;
    let reply = world.send(&delivery("TOKEN", "right", "{}")).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"));
    assert_eq!(json(&reply)["message"], "2 bytes");
    let again = world.send(&delivery("TOKEN", "right", "{}").with("X-Again", "1")).await;
    assert_eq!(json(&again)["message"], "This was delivered before: nothing is done");
    let wrong = world.send(&delivery("TOKEN", "stranger", "{}")).await;
    for other in [
        world.send(&delivery("nobody", "right", "{}")).await,
        world.send(&delivery("", "right", "{}")).await,
        world.send(&delivery(&"TOKEN".repeat(60), "right", "{}")).await,
        world.send(&delivery("TO%4bEN", "right", "{}")).await,
    ] {
        assert_eq!((other.status, other.text()), (403, wrong.text()));
    }
    assert_eq!(world.send(&delivery("TOKEN", "malformed", "{}")).await.status, 400);
    let later = world.send(&delivery("TOKEN", "later", "{}")).await;
    assert_eq!((later.status, later.header("retry-after")), (503, "30"));
    assert_eq!(world.send(&Message::get("/-/webhooks/TOKEN")).await.status, 405);
    let large = "x".repeat((25 << 20) + 1);
    assert_eq!(world.send(&delivery("TOKEN", "right", &large)).await.status, 413);
    assert_eq!(
        json(&world.send(&delivery("TOKEN", "right", large.split_at(25 << 20).0)).await)["message"],
        "26214400 bytes"
    );
    assert_eq!(world.service.calls(), ["Deliver"; 3]);
}

#[tokio::test]
async fn each_webhook_has_its_own_rate() {
    let world = World::limited(|limits| {
        limits.rates = Rates { deliveries: 1, strangers: 1, ..Rates::default() };
    })
    .await;
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..20 {
        *counts.entry(world.send(&delivery("TOKEN", "right", "{}")).await.status).or_insert(0) += 1;
    }
    assert!(counts[&200] >= 5 && counts[&429] >= 10, "{counts:?}");
    assert_eq!(world.send(&delivery("TOKEN-2", "right", "{}")).await.status, 200, "another's is its own");
    let mut strangers = std::collections::BTreeMap::new();
    for _ in 0..20 {
        *strangers.entry(world.send(&delivery("nobody", "right", "{}")).await.status).or_insert(0) += 1;
    }
    assert!(strangers[&403] >= 5 && strangers[&429] >= 10, "{strangers:?}");
    world.is_well().await;
}
