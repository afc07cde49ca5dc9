//! Peers that are left alone.

use std::time::Duration;

use actingweb_deliver::rules::{BREAKER_FAILURES, COOLDOWN};
use actingweb_protocol::Clock as _;
use actingweb_protocol::subscription::Scope;
use actingweb_tests::Behaviour;
use serde_json::json;

use super::{publisher, scene};

#[tokio::test]
async fn a_peer_that_fails_is_left_alone_probed_once_and_caught_up_with() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    let peer = publisher.befriend("p0", &subscribers.url("p0")).await;
    let names: Vec<String> = (0..8).map(|number| format!("n{number}")).collect();
    for name in &names {
        publisher.subscribe(&peer, Scope::subtarget("properties", name)).await;
    }
    let well = publisher.befriend("p1", &subscribers.url("p1")).await;
    publisher.subscribe(&well, Scope::target("properties")).await;

    subscribers.behave("p0", Behaviour::Answer(500));
    for (written, name) in (1..).zip(&names) {
        publisher.change(name, &json!(1)).await;
        publisher.deliver().await;
        assert_eq!(subscribers.taken("p1").len(), written, "the other peer is told");
    }
    let calls = subscribers.sent_to("p0").len();
    assert_eq!(calls, BREAKER_FAILURES as usize, "nothing is sent after the breaker opened");
    assert!(publisher.trust(&peer).await.breaker.open_until.is_some());

    // Not a moment too soon; then one call, which fails.
    clock.advance(COOLDOWN - Duration::from_secs(1));
    publisher.deliver().await;
    assert_eq!(subscribers.sent_to("p0").len(), calls);
    clock.advance(Duration::from_secs(30));
    publisher.deliver().await;
    assert_eq!(subscribers.sent_to("p0").len(), calls + 1, "one probe");
    // Twice as long now.
    clock.advance(COOLDOWN + Duration::from_secs(20));
    publisher.deliver().await;
    assert_eq!(subscribers.sent_to("p0").len(), calls + 1);

    subscribers.behave("p0", Behaviour::Take);
    publisher.settle(&clock).await;
    assert_eq!(subscribers.taken("p0"), [1; 8], "each of its subscriptions has its first diff");
    let breaker = publisher.trust(&peer).await.breaker;
    assert_eq!((breaker.failures, breaker.open_until), (0, None));
}

#[tokio::test]
async fn answers_that_refuse_do_not_count_as_being_away() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    let peer = publisher.befriend("p0", &subscribers.url("p0")).await;
    for number in 0..8 {
        publisher.subscribe(&peer, Scope::subtarget("properties", format!("n{number}"))).await;
        publisher.change(&format!("n{number}"), &json!(1)).await;
    }
    subscribers.behave("p0", Behaviour::Answer(400));
    publisher.deliver().await;
    assert_eq!(subscribers.sent_to("p0").len(), 8);
    assert_eq!(publisher.trust(&peer).await.breaker.failures, 0);
}

#[tokio::test]
async fn a_peer_that_is_away_and_says_until_when_is_left_alone_until_then() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    let peer = publisher.befriend("p0", &subscribers.url("p0")).await;
    for name in ["a", "b"] {
        publisher.subscribe(&peer, Scope::subtarget("properties", name)).await;
    }
    subscribers.script("p0", [Behaviour::Ask(503, 600)]);
    publisher.change("a", &json!(1)).await;
    publisher.deliver().await;
    publisher.change("b", &json!(1)).await;
    clock.advance(Duration::from_secs(590));
    publisher.deliver().await;
    assert_eq!(subscribers.sent_to("p0").len(), 1, "a 503 holds all of the peer");
    publisher.settle(&clock).await;
    assert_eq!(subscribers.taken("p0"), [1, 1]);
}

#[tokio::test]
async fn calls_that_fail_at_the_same_time_are_one_fault() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    let peer = publisher.befriend("p0", &subscribers.url("p0")).await;
    for number in 0..30 {
        publisher.subscribe(&peer, Scope::subtarget("properties", format!("n{number}"))).await;
        publisher.change(&format!("n{number}"), &json!(1)).await;
    }
    subscribers.behave("p0", Behaviour::Answer(503));
    publisher.deliver().await;
    let breaker = publisher.trust(&peer).await.breaker;
    assert_eq!(breaker.failures, BREAKER_FAILURES);
    assert_eq!(breaker.open_until, Some(clock.now().plus(COOLDOWN)), "no longer than after five one after the other");
    subscribers.behave("p0", Behaviour::Take);
    publisher.settle(&clock).await;
    assert_eq!(subscribers.taken("p0"), [1; 30]);
}
