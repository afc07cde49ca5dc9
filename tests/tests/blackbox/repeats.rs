//! `Idempotency-Key`: a POST that is sent again, as a client sees it.

use actingweb_tests::{Answer, Site};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_message_that_is_sent_many_times_is_logged_once() {
    let site = Site::start().await;
    let ann = site.actor("ann@example.org").await;
    let send = |key: &str, body: Value| {
        let request = ann.request(Method::POST, "/actions/log_message").header("idempotency-key", key);
        Answer::of(request.json(&body))
    };
    let body = json!({ "message": "hello", "level": "warning" });
    let at_once = join_all((0..10).map(|_| send("\"greeting 1\"", body.clone()))).await;
    assert!(at_once.iter().all(|answer| matches!(answer.status, 200 | 409)), "{at_once:?}");
    let first = at_once.iter().find(|answer| answer.status == 200).expect("one that was carried out");
    let again = send("greeting 1", body.clone()).await.expect(200);
    assert_eq!((again.header("idempotent-replayed"), &again.body), ("true", &first.body));
    let report = ann.get("/resources/report").await.expect(200).json();
    assert_eq!(report["counts"]["warning"], 1, "{report}");

    send("greeting 1", json!({ "message": "another" })).await.problem(422);
    send("", body.clone()).await.problem(400);
    send("greeting 2", body).await.expect(200);
    let report = ann.get("/resources/report").await.expect(200).json();
    assert_eq!(report["counts"]["warning"], 2, "{report}");
}

#[tokio::test]
async fn an_actor_that_is_asked_for_again_is_the_same() {
    let site = Site::start().await;
    let create = |key: String| {
        let request = site.request(Method::POST, "/").header("idempotency-key", key);
        Answer::of(request.json(&json!({ "creator": "ann@example.org" })))
    };
    // The site may have been there before this test.
    let key = site.actor("bob@example.org").await.id;
    let first = create(key.clone()).await.expect(201);
    let again = create(key).await.expect(201);
    assert_eq!(again.json(), first.json());
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(again.header("cache-control"), "no-store");
    create("easy to guess".to_owned()).await.problem(400);
}
