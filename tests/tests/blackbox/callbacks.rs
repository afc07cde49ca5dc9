//! `/{actor}/callbacks`, as those see it whom nobody trusts.

use actingweb_tests::{Answer, Site};
use reqwest::Method;
use serde_json::json;

const PATHS: [&str; 6] = [
    "/callbacks/subscriptions/peer/subscription",
    "/callbacks/permissions/peer",
    "/callbacks/nothing",
    "/callbacks/subscriptions",
    "/callbacks/subscriptions/peer",
    "/callbacks",
];

#[tokio::test]
async fn strangers_are_asked_who_they_are_and_learn_nothing() {
    let site = Site::start().await;
    let ann = site.actor("ann").await;
    let body = json!({ "id": "peer", "sequence": 1, "data": { "forged": true } });
    for path in PATHS {
        let anonymous = Answer::of(ann.anonymous(Method::POST, path).json(&body)).await.problem(401);
        assert!(anonymous.header("www-authenticate").starts_with("Basic realm="), "{path}");
        Answer::of(ann.anonymous(Method::POST, path).bearer_auth("0123456789abcdef").json(&body)).await.problem(403);
        Answer::of(ann.anonymous(Method::POST, path).basic_auth(&ann.creator, Some("wrong")).json(&body))
            .await
            .problem(403);
    }
    let nobody = format!("/{}/callbacks/subscriptions/peer/x", "0".repeat(32));
    Answer::of(site.request(Method::POST, &nobody).json(&body)).await.problem(404);
}

#[tokio::test]
async fn even_the_creator_cannot_speak_for_a_peer() {
    let site = Site::start().await;
    let ann = site.actor("ann").await;
    let body = json!({ "sequence": 1, "data": { "forged": true } });
    ann.post("/callbacks/subscriptions/peer/subscription", &body).await.problem(403);
    ann.put("/callbacks/subscriptions/peer/subscription", &body).await.problem(403);
    ann.delete("/callbacks/subscriptions/peer/subscription").await.problem(403);
    ann.post("/callbacks/permissions/peer", &json!({ "data": {} })).await.problem(403);
    ann.post("/callbacks/subscriptions/pe%20er/subscription", &body).await.problem(403);
}

#[tokio::test]
async fn what_is_not_there_is_said_to_the_creator() {
    let site = Site::start().await;
    let ann = site.actor("ann").await;
    ann.post("/callbacks/nothing", &json!({})).await.problem(403);
    ann.get("/callbacks/nothing").await.problem(403);
    for path in ["/callbacks", "/callbacks/subscriptions", "/callbacks/subscriptions/peer", "/callbacks/permissions"] {
        ann.post(path, &json!({})).await.problem(404);
    }
    ann.post("/callbacks/a/b/c/d", &json!({})).await.problem(404);
    ann.get("/callbacks/subscriptions/peer/subscription").await.problem(405);
    ann.put("/callbacks/permissions/peer", &json!({})).await.problem(405);
}

#[tokio::test]
async fn subscribing_needs_a_relationship() {
    let site = Site::start().await;
    let ann = site.actor("ann").await;
    let wanted = json!({ "peerid": "peer", "target": "properties", "granularity": "high" });
    ann.post("/subscriptions", &wanted).await.problem(408);
    for odd in [
        json!({ "target": "properties" }),
        json!({ "peerid": "peer" }),
        json!({ "peerid": "peer", "target": "" }),
        json!({ "peerid": "peer", "target": "properties", "granularity": "all" }),
        json!({ "peerid": "peer", "target": "properties", "resource": "without a subtarget" }),
    ] {
        ann.post("/subscriptions", &odd).await.problem(400);
    }
}
