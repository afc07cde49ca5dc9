//! How subscriptions and relationships end, on both ends.

use actingweb_tests::{Granularity, Resident, eventually};
use reqwest::Method;
use serde_json::json;

use crate::subscriptions::mirrors;

pub(crate) async fn the_subscriber_unsubscribes(first: &Resident, second: &Resident) {
    let id = subscribed(first, second).await;
    first.end_subscription(second, &id).await;
    is_over(first, second, &id).await;
}

pub(crate) async fn the_publisher_ends_a_subscription(first: &Resident, second: &Resident) {
    let id = subscribed(first, second).await;
    second.end_subscription(first, &id).await;
    is_over(first, second, &id).await;
}

pub(crate) async fn whoever_asked_ends_the_trust(first: &Resident, second: &Resident) {
    let secret = befriended(first, second).await;
    first.end_trust(second).await;
    are_strangers(first, second, &secret).await;
}

pub(crate) async fn whoever_approved_ends_the_trust(first: &Resident, second: &Resident) {
    let secret = befriended(first, second).await;
    second.end_trust(first).await;
    are_strangers(first, second, &secret).await;
}

/// A subscription that works.
async fn subscribed(first: &Resident, second: &Resident) -> String {
    first.befriend(second).await;
    let id = first.subscribe(second, Granularity::High).await;
    second.owner.put("/properties/color", &json!("blue")).await.expect(204);
    mirrors(first, second, json!({ "color": "blue" })).await;
    id
}

async fn is_over(first: &Resident, second: &Resident, id: &str) {
    have_no_subscriptions(first, second).await;
    let before = first.callbacks(second, id).await;
    second.owner.put("/properties/color", &json!("red")).await.expect(204);
    assert_eq!(first.callbacks(second, id).await, before, "nothing is sent any more");
    assert_ne!(first.mirror(second).await.get("color"), Some(&json!("red")));
    // The relationship goes on: a new subscription starts at the beginning.
    let again = first.subscribe(second, Granularity::High).await;
    assert_ne!(again, id);
    second.owner.put("/properties/color", &json!("green")).await.expect(204);
    mirrors(first, second, json!({ "color": "green" })).await;
    assert_eq!(second.subscription(first, &again).await.map(|seen| seen.sequence), Some(1));
}

/// Friends who subscribe to each other.
async fn befriended(first: &Resident, second: &Resident) -> String {
    let secret = first.befriend(second).await;
    for (subscriber, publisher) in [(first, second), (second, first)] {
        subscriber.subscribe(publisher, Granularity::High).await;
        publisher.owner.put("/properties/color", &json!("blue")).await.expect(204);
        mirrors(subscriber, publisher, json!({ "color": "blue" })).await;
    }
    secret
}

async fn are_strangers(first: &Resident, second: &Resident, secret: &str) {
    for (side, other) in [(first, second), (second, first)] {
        eventually("the trust is gone", async || match side.trust(other).await {
            None => Ok(()),
            trust => Err(format!("{trust:?}")),
        })
        .await;
        side.as_peer(secret, Method::GET, "/properties/color", None).await.expect(403);
        mirrors(side, other, json!({})).await;
    }
    have_no_subscriptions(first, second).await;
    // Nothing stands in the way of another beginning.
    first.befriend(second).await;
}

async fn have_no_subscriptions(first: &Resident, second: &Resident) {
    for (side, other) in [(first, second), (second, first)] {
        eventually("no subscription is left", async || match side.subscriptions(other).await {
            none if none.is_empty() => Ok(()),
            left => Err(format!("{left:?}")),
        })
        .await;
    }
}
