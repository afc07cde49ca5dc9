//! Actions that leave something behind, and the resource that shows it.

use std::time::Duration;

use actingweb_hooks::{Caller, Op};
use serde_json::{Value, json};

use crate::world::{CREATED_AT, CREATOR, World, answer, failure};

async fn report(world: &World, op: Op) -> Value {
    answer(world.hooks.call_resource(&world.invocation(Caller::Creator), "report", op, Value::Null).await)
}

#[tokio::test]
async fn a_message_is_logged_and_reported() {
    let world = World::start().await;
    let logged = world.action("log_message", json!({"message": " first ", "level": "warning"})).await;
    assert_eq!(logged, json!({"at": CREATED_AT, "level": "warning", "message": "first"}));
    world.clock.advance(Duration::from_millis(1));
    for n in 0..25 {
        world.action("log_message", json!({"message": format!("message {n}")})).await;
        world.clock.advance(Duration::from_millis(1));
    }
    let report = report(&world, Op::Get).await;
    assert_eq!(report["counts"], json!({"info": 25, "warning": 1}));
    let latest = report["latest"].as_array().unwrap();
    assert_eq!(
        (latest.len(), &latest[0]["message"], &latest[19]["message"]),
        (20, &json!("message 24"), &json!("message 5"))
    );
}

#[tokio::test]
async fn messages_of_one_millisecond_are_all_kept() {
    let world = World::start().await;
    for _ in 0..5 {
        world.action("log_message", json!({"message": "again"})).await;
    }
    assert_eq!(report(&world, Op::Get).await["counts"]["info"], 5);
}

#[tokio::test]
async fn a_log_is_cleared_but_never_written_through_its_report() {
    let world = World::start().await;
    for n in 0..12 {
        world.action("log_message", json!({"message": format!("message {n}")})).await;
    }
    assert_eq!(report(&world, Op::Delete).await["counts"]["info"], 12);
    assert_eq!(report(&world, Op::Get).await, json!({"counts": {}, "latest": []}));
    let invocation = world.invocation(Caller::Creator);
    for op in [Op::Put, Op::Post] {
        let written = world.hooks.call_resource(&invocation, "report", op, json!({})).await;
        assert_eq!(failure(written).status, 400);
    }
}

#[tokio::test]
async fn a_notification_is_sent_with_the_requests_id() {
    let world = World::start().await;
    let sent = world.action("send_notification", json!({"message": "Hello"})).await;
    assert_eq!(sent, json!({"recipient": CREATOR}));
    let received = world.services.received();
    assert_eq!(received[0].path, "/inbox");
    assert_eq!(received[0].request_id.as_deref(), Some("request-1"));
    assert_eq!(
        received[0].body,
        json!({"recipient": CREATOR, "message": "Hello", "sender": world.actor.id().as_str()})
    );
}

#[tokio::test]
async fn a_notification_nobody_takes_is_a_503() {
    let world = World::without(&["notifications"]).await;
    let invocation = world.invocation(Caller::Creator);
    let sent = world.hooks.call_action(&invocation, "send_notification", Op::Post, json!({"message": "Hello"})).await;
    assert_eq!(failure(sent).status, 503);
}
