//! A hook that posts to a callback of every peer.

use std::time::{Duration, Instant};

use actingweb_hooks::Op;
use actingweb_hooks::prelude::*;

use crate::world::{World, peer};

#[derive(Deserialize, JsonSchema)]
struct Message {
    message: String,
}

#[derive(Serialize, JsonSchema)]
struct Notified {
    notified: usize,
    /// The peers that were not, and why.
    missed: Vec<String>,
}

async fn notify_peers(Input(news): Input<Message>, peers: Peers) -> Result<Notified, HookError> {
    let told = peers.all().await?.post("callbacks/notification", &json!({ "message": news.message })).await;
    let missed = told.iter().filter_map(|told| match &told.outcome {
        Outcome::Ok { .. } => None,
        Outcome::Error { error } => Some(format!("{}: {error}", told.peer)),
        Outcome::TimedOut => Some(format!("{}: no answer in time", told.peer)),
    });
    let missed: Vec<_> = missed.collect();
    Ok(Notified { notified: told.len() - missed.len(), missed })
}

/// The other side: what peers send here.
async fn on_notification(Input(news): Input<Message>, actor: Actor, ctx: Context) -> Result<(), HookError> {
    let from = match ctx.caller() {
        Caller::Peer { id, .. } => id,
        _ => "the creator",
    };
    let note = json!({ "from": from, "message": news.message });
    actor.attribute_list("inbox", "notifications")?.append(note).await?;
    Ok(())
}

fn app() -> App {
    App::new("urn:actingweb:example.com:notices")
        .action("notify_peers", notify_peers)
        .callback("notification", on_notification)
        .path_rule("friend", "callbacks/notification", "POST", "a")
}

#[tokio::test]
async fn every_peer_is_told_and_those_that_were_missed_are_named() {
    let world = World::of(app(), &[]).await;
    let inbox = format!("{}/inbox", world.services.url());
    for peer in ["ann", "bea"] {
        world.knows(peer, &format!("{inbox}/{peer}"), |_| {}).await;
    }
    world.knows("gone", "http://127.0.0.1:1/gone", |_| {}).await;

    let notified = world.action("notify_peers", json!({ "message": "Party!" })).await;
    assert_eq!(notified["notified"], 2);
    let missed = notified["missed"].as_array().unwrap();
    assert!(missed.len() == 1 && missed[0].as_str().unwrap().starts_with("gone: "), "{notified}");
    let mut received = world.services.received();
    received.sort_by(|a, b| a.path.cmp(&b.path));
    let paths: Vec<_> = received.iter().map(|received| received.path.as_str()).collect();
    assert_eq!(paths, ["/inbox/ann/callbacks/notification", "/inbox/bea/callbacks/notification"]);
    assert_eq!(received[0].body, json!({ "message": "Party!" }));
}

#[tokio::test]
async fn many_peers_take_as_long_as_one() {
    let world = World::of(app(), &[]).await;
    let inbox = format!("{}/inbox", world.services.url());
    let notify = async || {
        let begun = Instant::now();
        let notified = world.action("notify_peers", json!({ "message": "Party!" })).await;
        (begun.elapsed(), notified["notified"].clone())
    };
    world.knows("peer-0", &inbox, |_| {}).await;
    notify().await; // connects
    world.services.set_delay(Duration::from_millis(400));
    let (one, told) = notify().await;
    assert_eq!(told, 1);
    for n in 1..12 {
        world.knows(&format!("peer-{n}"), &inbox, |_| {}).await;
    }
    let (twelve, told) = notify().await;
    assert_eq!((told, world.services.max_concurrent()), (json!(12), 12));
    assert!(twelve < one.mul_f64(1.8), "{twelve:?} for twelve peers, {one:?} for one");
}

#[tokio::test]
async fn what_a_peer_sends_is_noted_with_its_name() {
    let world = World::of(app(), &[]).await;
    let told = |caller| async {
        let invocation = world.invocation(caller);
        world.hooks.call_callback(&invocation, "notification", Op::Post, json!({ "message": "Party!" })).await
    };
    told(peer()).await;
    told(Caller::Creator).await;
    let notes = world.actor.attribute_list("inbox", "notifications").unwrap().items().await.unwrap();
    let from: Vec<_> = notes.iter().map(|note| note["from"].as_str().unwrap()).collect();
    assert_eq!(from, ["4f2a", "the creator"]);
}
