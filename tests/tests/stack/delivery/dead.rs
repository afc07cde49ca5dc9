//! What is given up, and tried again when somebody says so.

use std::time::Duration;

use actingweb_deliver::rules::GONE_ATTEMPTS;
use actingweb_protocol::subscription::Scope;
use actingweb_store::{Letter, NoticeKind, Redriven};
use actingweb_tests::Behaviour;
use serde_json::json;

use super::{publisher, scene};

#[tokio::test]
async fn after_three_days_callbacks_are_given_up_and_can_be_redriven() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    let peer = publisher.befriend("p0", &subscribers.url("p0")).await;
    let subscription = publisher.subscribe(&peer, Scope::target("properties")).await;
    publisher.change("color", &json!(1)).await;
    publisher.deliver().await;
    subscribers.behave("p0", Behaviour::Answer(500));
    publisher.change("color", &json!(2)).await;
    publisher.deliver().await;
    for hour in 0..24 * 3 {
        assert!(publisher.is_live(&subscription).await, "given up after {hour} hours");
        clock.advance(Duration::from_secs(3600));
        site.drain().await;
    }
    for _ in 0..3 {
        clock.advance(Duration::from_secs(3600));
        site.drain().await;
    }
    assert!(!publisher.is_live(&subscription).await);
    let letters = publisher.store().dead_letters().await.unwrap();
    let [letter] = letters.as_slice() else { panic!("{letters:?}") };
    assert_eq!(letter.actor, publisher.id);
    assert_eq!(letter.letter, Letter::Subscription { peer, id: subscription.id.clone(), sequence: 2 });
    assert_eq!(letter.reason, "the peer answered 500 Internal Server Error");

    // Nothing more is tried, though the peer is well again; what it missed can be polled.
    subscribers.behave("p0", Behaviour::Take);
    subscribers.forget();
    publisher.change("color", &json!(3)).await;
    publisher.deliver().await;
    assert!(subscribers.sent().is_empty());
    assert_eq!(publisher.store().diffs(&publisher.id, &subscription.id, 1, 10).await.unwrap().len(), 2);

    assert_eq!(publisher.store().redrive(letter).await.unwrap(), Redriven::Again);
    assert!(publisher.store().dead_letters().await.unwrap().is_empty());
    publisher.settle(&clock).await;
    assert_eq!(subscribers.taken("p0"), [2, 3]);
}

#[tokio::test]
async fn a_peer_that_knows_of_no_subscription_is_believed_when_it_insists() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    let peer = publisher.befriend("p0", &subscribers.url("p0")).await;
    let subscription = publisher.subscribe(&peer, Scope::target("properties")).await;
    subscribers.behave("p0", Behaviour::Answer(404));
    publisher.change("color", &json!(1)).await;
    publisher.deliver().await;
    for attempt in 1..GONE_ATTEMPTS {
        assert!(publisher.is_live(&subscription).await, "given up after {attempt} attempts");
        clock.advance(Duration::from_secs(3600));
        site.drain().await;
    }
    assert!(!publisher.is_live(&subscription).await);
    assert_eq!(subscribers.sent_to("p0").len(), GONE_ATTEMPTS as usize);
    // An outage in between begins the count anew: see the field `gone`.
    let letters = publisher.store().dead_letters().await.unwrap();
    assert_eq!(letters.len(), 1);

    // It has ended meanwhile: there is nothing to redrive.
    publisher.store().unsubscribe(&publisher.id, &publisher.subscription(&subscription).await, None).await.unwrap();
    assert_eq!(publisher.store().redrive(&letters[0]).await.unwrap(), Redriven::Ended);
    assert!(publisher.store().dead_letters().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_notice_that_is_given_up_can_be_redriven() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    let peer = publisher.befriend("p0", &subscribers.url("p0")).await;
    subscribers.behave("p0", Behaviour::Answer(500));
    publisher.owe(&peer, NoticeKind::Approved, ("POST", "trust/friend/me"), Some(r#"{"approved":true}"#)).await;
    publisher.deliver().await;
    for _ in 0..24 * 3 + 3 {
        clock.advance(Duration::from_secs(3600));
        site.drain().await;
    }
    assert!(publisher.store().notices(&publisher.id).await.unwrap().is_empty());
    let letters = publisher.store().dead_letters().await.unwrap();
    assert!(matches!(&letters[0].letter, Letter::Notice(notice) if notice.kind == NoticeKind::Approved));

    subscribers.behave("p0", Behaviour::Take);
    subscribers.forget();
    assert_eq!(publisher.store().redrive(&letters[0]).await.unwrap(), Redriven::Again);
    publisher.settle(&clock).await;
    let sent = subscribers.sent_to("p0");
    assert_eq!((sent.len(), &sent[0].body), (1, &json!({ "approved": true })));
}
