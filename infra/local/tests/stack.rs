//! The local stack in this process; `local` has it as a program.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "helpers of tests may panic as tests do, and call beside the test"
)]

use actingweb_local::{Options, start_app};
use actingweb_peer::{HttpSettings, http_client};
use actingweb_runtime::Environment;
use serde_json::{Value, json};

const CREATOR: (&str, &str) = ("ann@example.com", "open sesame");

/// Makes an actor, and gives its URL below `url`.
async fn create(http: &reqwest::Client, url: &str) -> String {
    let body = json!({ "creator": CREATOR.0, "passphrase": CREATOR.1 });
    let reply = http.post(format!("{url}/")).json(&body).send().await.unwrap();
    assert_eq!(reply.status(), 201);
    let created: Value = reply.json().await.unwrap();
    format!("{url}/{}", created["id"].as_str().unwrap())
}

#[tokio::test]
async fn requests_under_way_finish_before_it_stops() {
    let stack = start_app(Options::in_memory(), Environment::default(), actingweb_app::app()).await.unwrap();
    let http = http_client(&HttpSettings::default()).unwrap();
    let actor = create(&http, &stack.url).await;
    let services = stack.services().unwrap();
    services.set_delay(std::time::Duration::from_millis(300));
    let call = http.post(format!("{actor}/methods/fetch_weather")).basic_auth(CREATOR.0, Some(CREATOR.1));
    let call = tokio::spawn(call.json(&json!({ "city": "Oslo" })).send());
    while services.call_count() == 0 {
        tokio::task::yield_now().await;
    }
    let url = stack.url.clone();
    // Stopping takes the stand-in along only after the request has its answer.
    stack.stop().await;
    let reply = call.await.unwrap().unwrap();
    assert_eq!(reply.status(), 200);
    assert!(http.get(url).send().await.is_err());
}

#[tokio::test]
async fn the_worker_removes_what_a_deleted_actor_owned() {
    let stack = start_app(Options::in_memory(), Environment::default(), actingweb_app::app()).await.unwrap();
    let http = http_client(&HttpSettings::default()).unwrap();
    let actor = create(&http, &stack.url).await;
    let deleted = http.delete(&actor).basic_auth(CREATOR.0, Some(CREATOR.1)).send().await.unwrap();
    assert_eq!(deleted.status(), 204);
    // The job is replaced by a last look, which is due later: then nothing is due any more.
    while !stack.state.actors.store().due_jobs().await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    stack.stop().await;
}
