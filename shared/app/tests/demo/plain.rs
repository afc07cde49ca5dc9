//! Hooks that compute, and refuse what cannot be computed.

use actingweb_hooks::{Caller, Op};
use serde_json::json;

use crate::world::{CREATED_AT, World, answer};

#[tokio::test]
async fn numbers_are_added_and_calculated_with() {
    let world = World::start().await;
    assert_eq!(world.method("add_numbers", json!({"a": 2, "b": 3.5})).await, json!({"result": 5.5}));
    for (operation, result) in [("add", 8.0), ("subtract", 4.0), ("multiply", 12.0), ("divide", 3.0)] {
        let given = json!({"operation": operation, "a": 6, "b": 2});
        assert_eq!(world.method("calculate", given).await, json!({"result": result}), "{operation}");
    }
}

#[tokio::test]
async fn what_cannot_be_calculated_is_the_callers_mistake_and_says_why() {
    let world = World::start().await;
    for (method, given, reason) in [
        ("calculate", json!({"operation": "divide", "a": 1, "b": 0}), "must not be 0"),
        ("calculate", json!({"operation": "divide", "a": 1, "b": -0.0}), "must not be 0"),
        ("calculate", json!({"operation": "multiply", "a": 1e308, "b": 10}), "too large"),
        ("calculate", json!({"operation": "power", "a": 1, "b": 2}), "`operation`"),
        ("calculate", json!({"operation": "add", "a": "1", "b": 2}), "`a`"),
        ("calculate", json!({"a": 1, "b": 2}), "operation"),
        ("add_numbers", json!({"a": 1e308, "b": 1e308}), "too large"),
        ("add_numbers", json!({"a": 1}), "`b`"),
        ("add_numbers", json!([]), "a"),
        ("fingerprint", json!({"text": "a", "rounds": 0}), "1 to 1000000"),
        ("fingerprint", json!({"text": "a", "rounds": 1_000_001}), "1 to 1000000"),
        ("fetch_weather", json!({"city": "  "}), "`city`: must not be empty"),
        ("process_batch", json!({"items": []}), "1 to 100"),
        ("process_batch", json!({"items": vec!["x"; 101]}), "not 101"),
        ("process_batch", json!({"items": ["x", ""]}), "`items[1]`"),
    ] {
        let refusal = world.refusal(method, given.clone()).await;
        assert_eq!(refusal.status, 400, "{method} {given}: {refusal}");
        assert!(refusal.detail.contains(reason), "{method} {given}: {refusal}");
    }
    assert_eq!(world.services.call_count(), 0);
}

#[tokio::test]
async fn text_is_echoed_and_people_are_greeted() {
    let world = World::start().await;
    let anything = json!({"list": [1, null, {"deep": true}]});
    assert_eq!(world.method("echo", anything.clone()).await, anything);
    assert_eq!(world.method("greet", json!({"name": "Bo", "language": "no"})).await, json!({"message": "Hei, Bo!"}));
    let got = world.hooks.call_method(&world.invocation(Caller::Creator), "greet", Op::Get, json!(null)).await;
    assert_eq!(answer(got), json!({"message": "Hello, ann@example.org!"}));
}

#[tokio::test]
async fn a_conversation_begins_with_a_message_of_the_user() {
    let world = World::start().await;
    let prompt = world.method("get_summary_prompt", json!({"topic": "tides"})).await;
    let text = "See how my actor is doing, then sum up what you know about tides.";
    assert_eq!(prompt, json!(text));
}

#[tokio::test]
async fn a_fingerprint_is_sha_256_as_often_as_asked() {
    let world = World::start().await;
    let once = world.method("fingerprint", json!({"text": "abc", "rounds": 1})).await;
    assert_eq!(once["sha256"], "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let twice = world.method("fingerprint", json!({"text": "abc", "rounds": 2})).await;
    assert_eq!(twice["sha256"], "4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358");
}

#[tokio::test]
async fn the_status_counts_what_the_actor_holds() {
    let world = World::start().await;
    world.actor.delete_property("created_at").await.unwrap();
    let fresh = world.method("get_status", json!({})).await;
    assert_eq!((&fresh["properties"], &fresh["logged"], fresh.get("created_at")), (&json!(0), &json!(0), None));

    world.actor.set_property("created_at", CREATED_AT).await.unwrap();
    world.actor.set_property("city", "Oslo").await.unwrap();
    world.action("log_message", json!({"message": "hello"})).await;
    let status = world.method("get_status", json!({})).await;
    assert_eq!(status["actor_id"], world.actor.id().as_str());
    assert_eq!(status["created_at"], CREATED_AT);
    assert_eq!((&status["properties"], &status["logged"]), (&json!(2), &json!(1)));
}

#[tokio::test]
async fn every_method_and_action_says_what_it_is() {
    let world = World::start().await;
    let hooks = world.hooks.methods().into_iter().chain(world.hooks.actions());
    for hook in hooks {
        assert!(!hook.description.is_empty(), "{}", hook.name);
        assert!(hook.annotations.is_some(), "{}", hook.name);
        assert!(hook.input_schema.is_some() || matches!(&*hook.name, "echo" | "get_status"), "{}", hook.name);
        assert!(hook.output_schema.is_some() || hook.name == "echo", "{}", hook.name);
    }
    let tools: Vec<_> = world.hooks.tools().into_iter().map(|tool| (tool.name, tool.description)).collect();
    let status = "Tells how the user's actor is doing: since when it is there, and how much it holds";
    assert_eq!(
        tools,
        [("get_status", status), ("notify_peers", "Tell every friend")].map(|(a, b)| (a.into(), b.into()))
    );
}

#[tokio::test]
async fn schemas_say_what_the_code_checks() {
    let world = World::start().await;
    let batch = world.hooks.methods().into_iter().find(|method| method.name == "process_batch").unwrap();
    let items = &batch.input_schema.unwrap()["properties"]["items"];
    assert_eq!((&items["minItems"], &items["maxItems"]), (&json!(1), &json!(100)));
    assert_eq!((&items["items"]["minLength"], &items["items"]["maxLength"]), (&json!(1), &json!(200)));
}
