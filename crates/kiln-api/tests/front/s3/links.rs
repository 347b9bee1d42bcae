//! Presigned links.

use super::{put, refused, s3, sign::link, world};
use crate::client::{Message, NOW};
use std::sync::atomic::Ordering;

#[tokio::test]
async fn links_work_for_each_method_until_they_end() {
    let world = world().await;
    assert_eq!(world.send(&link(&put("/bucket/a%20b", "linked"), 60)).await.status, 200);
    let get = link(&s3("GET", "/bucket/a%20b"), 60);
    assert_eq!(world.send(&get).await.text(), "linked");
    let mut connection = world.connect().await;
    connection.send(&link(&s3("HEAD", "/bucket/a%20b"), 60).bytes()).await;
    let head = connection.head().await.unwrap();
    assert_eq!((head.status, head.header("content-length")), (200, "6"));

    world.now.store(NOW + 60, Ordering::Relaxed);
    assert_eq!(world.send(&get).await.status, 200);
    world.now.store(NOW + 61, Ordering::Relaxed);
    let late = world.send(&get).await;
    refused(&late, 403, "AccessDenied");
    assert!(late.text().contains("Request has expired"));
}

#[tokio::test]
async fn a_link_is_good_for_what_it_names_only() {
    let world = world().await;
    world.ask(put("/bucket/a", "a")).await;
    let good = link(&s3("GET", "/bucket/a"), 60);
    for (from, to) in [("/bucket/a", "/bucket/b"), ("Expires=60", "Expires=61"), ("AKIDROOT", "AKIDALICE")] {
        let mut other = good.clone();
        other.target = other.target.replacen(from, to, 1);
        refused(&world.send(&other).await, 403, "SignatureDoesNotMatch");
    }
    let mut other = good.clone();
    other.method = "DELETE";
    refused(&world.send(&other).await, 403, "SignatureDoesNotMatch");
    for target in ["X-Amz-Expires=60&X-Amz-Expires=600", "%58-Amz-Expires=60", "x-amz-expires=60"] {
        let mut other = good.clone();
        other.target = other.target.replace("X-Amz-Expires=60", target);
        refused(&world.send(&other).await, 400, "AuthorizationQueryParametersError");
    }
    for expires in [0, 604_801] {
        let message = link(&s3("GET", "/bucket/a"), expires);
        refused(&world.send(&message).await, 400, "AuthorizationQueryParametersError");
    }
    // A header that decides something must be signed.
    refused(&world.send(&good.clone().with("x-amz-meta-a", "b")).await, 403, "AccessDenied");
}

#[tokio::test]
async fn a_link_chooses_headers_of_its_answer() {
    let world = world().await;
    world.ask(put("/bucket/a", "a")).await;
    let query =
        "response-content-disposition=attachment%3B%20filename%3D%22b.txt%22&response-content-type=text%2Fplain";
    let message = link(&s3("GET", &format!("/bucket/a?{query}")), 60);
    let reply = world.send(&message).await;
    assert_eq!(reply.header("content-type"), "text/plain");
    assert_eq!(reply.header("content-disposition"), "attachment; filename=\"b.txt\"");
    super::every_answer(&reply);
}

#[tokio::test]
async fn headers_in_a_link_count() {
    let world = world().await;
    let message = link(&put("/bucket/a?x-amz-meta-from=link&x-amz-storage-class=STANDARD", "a"), 60);
    assert_eq!(world.send(&message).await.status, 200);
    let object = world.service.shelf.lock().unwrap().object.clone().unwrap();
    assert_eq!(object.metadata.get("from").map(String::as_str), Some("link"));
    assert_eq!(object.storage_class.as_deref(), Some("STANDARD"));
}

#[tokio::test]
async fn one_form_of_authentication_is_enough() {
    let world = world().await;
    let mut both = link(&s3("GET", "/bucket/a"), 60);
    both.set("Authorization", "AWS4-HMAC-SHA256 x");
    refused(&world.send(&both).await, 400, "AuthorizationQueryParametersError");
}

#[tokio::test]
async fn the_second_version_of_signatures_is_refused() {
    let world = world().await;
    let link = Message::get("/bucket/a?AWSAccessKeyId=AKIDROOT&Signature=x%3D&Expires=1795694460");
    let header = Message::get("/bucket/a").with("Authorization", "AWS AKIDROOT:c2lnbmF0dXJl");
    for message in [link, header] {
        let reply = world.send(&message).await;
        refused(&reply, 400, "InvalidRequest");
        assert!(reply.text().contains("AWS4-HMAC-SHA256"), "{}", reply.text());
    }
}
