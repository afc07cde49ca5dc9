//! Changes on their way, pushed and polled.

use actingweb_tests::{Granularity, Resident, diffs, eventually};
use reqwest::Method;
use serde_json::{Map, Value, json};

pub(crate) async fn high_changes_arrive_in_order(first: &Resident, second: &Resident) {
    second.owner.put("/properties/name", &json!("before")).await.expect(204);
    first.befriend(second).await;
    let id = first.subscribe(second, Granularity::High).await;
    assert_listed(first, second, &id, "high").await;
    mirrors(first, second, json!({ "name": "before" })).await;

    write(second, "color", json!("blue")).await;
    write(second, "cfg", json!({ "x": 1, "deep": { "y": "two" } })).await;
    write(second, "name", json!("after")).await;
    write(second, "count", json!(4)).await;
    second.owner.delete("/properties/color").await.expect(204);

    mirrors(first, second, json!({ "name": "after", "cfg": { "x": 1, "deep": { "y": "two" } }, "count": 4 })).await;
    agrees(first, second, &id, 5).await;
    if let Some(applied) = first.applied(second).await {
        assert_eq!(applied, [1, 2, 3, 4, 5], "each once, in order");
    }
    assert_eq!(first.callbacks(second, &id).await.unwrap_or(5), 5);
}

pub(crate) async fn low_changes_are_fetched_and_cleared(first: &Resident, second: &Resident) {
    first.befriend(second).await;
    let id = first.subscribe(second, Granularity::Low).await;
    assert_listed(first, second, &id, "low").await;

    for n in 1..=3 {
        write(second, "cfg", json!({ "n": n })).await;
    }
    mirrors(first, second, json!({ "cfg": { "n": 3 } })).await;
    agrees(first, second, &id, 3).await;
    eventually("what was fetched is cleared", async || match second.kept(first, &id).await {
        kept if kept.is_empty() => Ok(()),
        kept => Err(format!("{kept:?}")),
    })
    .await;
    if let Some(applied) = first.applied(second).await {
        assert_eq!(applied, [1, 2, 3], "each once, in order");
    }
}

pub(crate) async fn changes_are_polled_and_cleared(first: &Resident, second: &Resident) {
    let secret = first.befriend(second).await;
    let id = first.subscribe(second, Granularity::None).await;
    assert_listed(first, second, &id, "none").await;
    let path = format!("/subscriptions/{}/{id}", first.id());
    let poll = async || second.as_peer(&secret, Method::GET, &path, None).await.expect(200).json();

    for n in 1..=3 {
        write(second, "cfg", json!({ "n": n })).await;
    }
    let polled = poll().await;
    assert_eq!(polled["sequence"], 3, "{polled}");
    assert_eq!((&polled["target"], &polled["subscriptionid"]), (&json!("properties"), &json!(id)));
    let wanted: Vec<_> = (1..=3).map(|n| (n, json!({ "cfg": { "n": n } }))).collect();
    assert_eq!(diffs(&polled), wanted);
    assert_eq!(diffs(&poll().await), wanted, "polling takes nothing away");
    assert_eq!(second.kept(first, &id).await, wanted, "the creator sees the same");

    second.as_peer(&secret, Method::PUT, &path, Some(&json!({ "sequence": 2 }))).await.expect(204);
    let polled = poll().await;
    assert_eq!(diffs(&polled), wanted[2..], "the rest");
    assert_eq!(polled["sequence"], 3, "clearing gives no number back");
    second.as_peer(&secret, Method::PUT, &path, Some(&json!({ "sequence": 3 }))).await.expect(204);
    assert_eq!(diffs(&poll().await), []);
    second.as_peer(&secret, Method::GET, &format!("{path}x"), None).await.expect(404);

    write(second, "cfg", json!({ "n": 4 })).await;
    assert_eq!(diffs(&poll().await), [(4, json!({ "cfg": { "n": 4 } }))]);
    assert_eq!(first.callbacks(second, &id).await.unwrap_or(0), 0, "nothing was pushed");
    if first.pull(second, &id).await {
        mirrors(first, second, json!({ "cfg": { "n": 4 } })).await;
        assert_eq!(diffs(&poll().await), [], "what was pulled is cleared");
    }
}

pub(crate) async fn both_subscribe_to_each_other(first: &Resident, second: &Resident) {
    first.befriend(second).await;
    let there = first.subscribe(second, Granularity::High).await;
    let back = second.subscribe(first, Granularity::High).await;
    write(first, "who", json!("first")).await;
    write(second, "who", json!("second")).await;
    mirrors(first, second, json!({ "who": "second" })).await;
    mirrors(second, first, json!({ "who": "first" })).await;
    agrees(first, second, &there, 1).await;
    agrees(second, first, &back, 1).await;
    assert_eq!(first.subscriptions(second).await.len(), 2, "one each way");
    assert_eq!(second.subscriptions(first).await.len(), 2, "one each way");
}

pub(crate) async fn a_suspended_publisher_has_its_subscriber_start_afresh(first: &Resident, second: &Resident) {
    first.befriend(second).await;
    let id = first.subscribe(second, Granularity::High).await;
    write(second, "kept", json!("old")).await;
    write(second, "gone", json!("soon")).await;
    mirrors(first, second, json!({ "kept": "old", "gone": "soon" })).await;

    second.suspend().await;
    write(second, "kept", json!("new")).await;
    second.owner.delete("/properties/gone").await.expect(204);
    assert_eq!(second.subscription(first, &id).await.map(|seen| seen.sequence), Some(2), "no number while suspended");
    second.resume().await;
    // The library overwrites what it is told of and keeps the rest.
    let afresh = if first.is_python() { json!({ "kept": "new", "gone": "soon" }) } else { json!({ "kept": "new" }) };
    mirrors(first, second, afresh).await;
    agrees(first, second, &id, 3).await;

    write(second, "kept", json!("newer")).await;
    agrees(first, second, &id, 4).await;
}

/// Writes a property.
async fn write(actor: &Resident, name: &str, value: Value) {
    actor.owner.put(&format!("/properties/{name}"), &value).await.expect(204);
}

/// Waits until the subscriber has exactly these properties of the publisher.
pub(crate) async fn mirrors(subscriber: &Resident, publisher: &Resident, wanted: Value) {
    let wanted = wanted.as_object().unwrap().clone();
    eventually(&format!("the subscriber has {wanted:?}"), async || {
        let mirror: Map<String, Value> = subscriber.mirror(publisher).await.into_iter().collect();
        if mirror == wanted { Ok(()) } else { Err(format!("{mirror:?}")) }
    })
    .await;
}

/// Waits until both sides have come to this number.
pub(crate) async fn agrees(subscriber: &Resident, publisher: &Resident, id: &str, sequence: u64) {
    for (side, other) in [(publisher, subscriber), (subscriber, publisher)] {
        eventually(&format!("subscription {id} is at {sequence}"), async || match side.subscription(other, id).await {
            Some(seen) if seen.sequence == sequence => Ok(()),
            seen => Err(format!("{seen:?}")),
        })
        .await;
    }
}

/// Both sides list the subscription, each from its own end.
async fn assert_listed(subscriber: &Resident, publisher: &Resident, id: &str, granularity: &str) {
    for (side, other, is_outbound) in [(subscriber, publisher, true), (publisher, subscriber, false)] {
        let listed = side.subscription(other, id).await.expect("a subscription");
        assert_eq!((listed.is_outbound, listed.granularity.as_str()), (is_outbound, granularity), "{listed:?}");
    }
}
