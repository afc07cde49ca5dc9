//! Hooks that wait for several things at once, and say what became of each.

use std::time::{Duration, Instant};

use actingweb_hooks::Op;
use actingweb_testkit::bedrock_standin::{Fault, Script};
use serde_json::{Value, json};

use crate::world::{World, failure, peer};

/// Long enough for everything that runs at once to have begun.
const A_WHILE: Duration = Duration::from_millis(300);

fn interests() -> Value {
    json!({"city": "Oslo", "topic": "rust", "symbol": "ACME"})
}

#[tokio::test]
async fn one_service_is_asked() {
    let world = World::start().await;
    let weather = world.method("fetch_weather", json!({"city": "Ålesund & Molde"})).await;
    assert_eq!(weather["city"], "Ålesund & Molde");
    assert!(weather["temperature_c"].is_number() && weather["condition"].is_string(), "{weather}");
}

#[tokio::test]
async fn a_service_that_is_away_is_a_503_without_its_address() {
    let world = World::without(&["weather"]).await;
    let refusal = world.refusal("fetch_weather", json!({"city": "Oslo"})).await;
    assert_eq!(refusal.status, 503);
    assert!(!refusal.detail.contains("127.0.0.1"), "{refusal}");
}

#[tokio::test]
async fn three_services_are_asked_at_once() {
    let world = World::start().await;
    world.services.set_delay(A_WHILE);
    let digest = world.method("aggregate_data", interests()).await;
    assert_eq!(digest["complete"], true);
    assert_eq!(digest["weather"]["value"]["city"], "Oslo");
    assert_eq!(digest["news"]["value"]["topic"], "rust");
    assert_eq!(digest["quote"]["value"]["symbol"], "ACME");
    assert_eq!(world.services.max_concurrent(), 3);
}

#[tokio::test]
async fn a_service_that_is_away_is_data() {
    let world = World::without(&["news"]).await;
    let digest = world.method("aggregate_data", interests()).await;
    assert_eq!(digest["complete"], false);
    assert_eq!(digest["news"]["outcome"], "error");
    assert_eq!((&digest["weather"]["outcome"], &digest["quote"]["outcome"]), (&json!("ok"), &json!("ok")));
    assert!(!digest.to_string().contains("127.0.0.1"), "{digest}");
}

#[tokio::test]
async fn without_any_service_there_is_no_digest() {
    let world = World::without(&["weather", "news", "quotes"]).await;
    assert_eq!(world.refusal("aggregate_data", interests()).await.status, 503);
}

#[tokio::test]
async fn a_batch_is_looked_up_a_few_at_a_time_in_order() {
    let world = World::start().await;
    world.services.set_delay(A_WHILE / 10);
    let items: Vec<_> = (0..30).map(|n| format!("key {n}/?#")).collect();
    let processed = world.method("process_batch", json!({ "items": items })).await;
    assert_eq!((&processed["succeeded"], &processed["failed"]), (&json!(30), &json!(0)));
    let keys: Vec<_> = processed["results"].as_array().unwrap().iter().map(|result| &result["value"]["key"]).collect();
    assert_eq!(keys, items.iter().collect::<Vec<_>>());
    assert_eq!(world.services.max_concurrent(), 8);
    assert_eq!(world.services.call_count(), 30);
}

#[tokio::test]
async fn items_that_fail_leave_the_others_alone() {
    let world = World::start().await;
    // Dots are no segment of a path, so the store is asked for something it does not have.
    let processed = world.method("process_batch", json!({"items": ["a", "..", "b"]})).await;
    let outcomes: Vec<_> =
        processed["results"].as_array().unwrap().iter().map(|result| result["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["ok", "error", "ok"]);
    assert_eq!((&processed["succeeded"], &processed["failed"]), (&json!(2), &json!(1)));
}

#[tokio::test]
async fn a_file_and_the_store_are_both_needed() {
    let world = World::start().await;
    let gathered = world.method("gather_sources", json!({"key": "k"})).await;
    assert_eq!(gathered["entry"], json!({"key": "k", "value": "value of k"}));
    assert!(gathered["notes"][0].as_str().unwrap().starts_with("An actor is"), "{gathered}");

    let world = World::without(&["store"]).await;
    assert_eq!(world.refusal("gather_sources", json!({"key": "k"})).await.status, 503);
}

#[tokio::test]
async fn a_model_summarises_the_actors_own_properties() {
    let world = World::start().await;
    world.actor.set_property("diary", "It rained in Oslo.").await.unwrap();
    world.bedrock.set_script(Script::new().reply("Rain."));
    let summary = world.method("summarize", json!({"topic": "weather"})).await;
    assert_eq!(summary["summary"], "Rain.");
    assert_eq!(summary["news"]["value"]["topic"], "weather");
    assert!(summary["tokens"].as_u64().unwrap() > 0);

    let calls = world.bedrock.calls();
    let prompt = calls[0].body["messages"][0]["content"][0]["text"].as_str().unwrap();
    assert!(prompt.contains("It rained in Oslo.") && prompt.contains("weather"), "{prompt}");
}

#[tokio::test]
async fn model_and_service_are_asked_at_the_same_time() {
    let world = World::start().await;
    let summarize = async || {
        let begun = Instant::now();
        world.method("summarize", json!({"topic": "weather"})).await;
        begun.elapsed()
    };
    // Connections first, so that neither measurement pays for them.
    summarize().await;
    world.bedrock.set_script(Script::new().delay(A_WHILE));
    let model_alone = summarize().await;
    world.services.set_delay(A_WHILE);
    let both = summarize().await;
    assert!(both < model_alone.mul_f64(1.6), "{both:?} for both, {model_alone:?} for the model alone");
}

#[tokio::test]
async fn a_summary_needs_the_model_but_not_the_news() {
    let world = World::without(&["news"]).await;
    let summary = world.method("summarize", json!({"topic": "weather"})).await;
    assert_eq!(summary["news"]["outcome"], "error");

    world.bedrock.set_script(Script::new().always(Fault::throttled()));
    assert_eq!(world.refusal("summarize", json!({"topic": "weather"})).await.status, 503);
}

#[tokio::test]
async fn nobody_but_the_creator_has_an_actor_summarised() {
    let world = World::start().await;
    let invocation = world.invocation(peer());
    let asked = world.hooks.call_method(&invocation, "summarize", Op::Post, json!({"topic": "all"})).await;
    assert_eq!(failure(asked).status, 403);
    assert_eq!(world.bedrock.call_count(), 0);
}
