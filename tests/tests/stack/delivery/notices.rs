//! Notices: approvals, ends, changed rights.

use actingweb_store::NoticeKind;
use actingweb_tests::{Behaviour, secret_of};
use serde_json::json;

use super::{publisher, scene};

#[tokio::test]
async fn notices_are_sent_once_signed_and_whatever_befalls_other_peers() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    for name in ["p0", "p1"] {
        let peer = publisher.befriend(name, &subscribers.url(name)).await;
        publisher.owe(&peer, NoticeKind::Approved, ("POST", "trust/friend/me"), Some(r#"{"approved":true}"#)).await;
    }
    subscribers.script("p0", [Behaviour::Answer(503)]);
    let delivered = publisher.deliver().await;
    assert_eq!((delivered.notices, delivered.held), (1, 1));
    let sent = &subscribers.sent_to("p1")[0];
    assert_eq!((sent.what.as_str(), &sent.body), ("POST trust/friend/me", &json!({ "approved": true })));
    assert_eq!(sent.header("authorization"), format!("Bearer {}", secret_of("p1")));
    publisher.settle(&clock).await;
    assert_eq!(subscribers.sent_to("p0").iter().filter(|sent| sent.taken).count(), 1);
    assert_eq!(subscribers.sent_to("p1").len(), 1);
}

#[tokio::test]
async fn what_is_no_longer_true_is_not_sent() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    let peer = publisher.befriend("p0", &subscribers.url("p0")).await;
    subscribers.script("p0", [Behaviour::Answer(503)]);
    publisher.owe(&peer, NoticeKind::Approved, ("POST", "trust/friend/me"), Some(r#"{"approved":true}"#)).await;
    publisher.deliver().await;
    clock.advance(std::time::Duration::from_secs(1));
    publisher.owe(&peer, NoticeKind::Refused, ("POST", "trust/friend/me"), Some(r#"{"approved":false}"#)).await;
    publisher.settle(&clock).await;
    let taken: Vec<_> = subscribers.sent_to("p0").into_iter().filter(|sent| sent.taken).collect();
    assert_eq!((taken.len(), &taken[0].body), (1, &json!({ "approved": false })));
}

#[tokio::test]
async fn the_end_of_what_a_peer_does_not_know_needs_no_second_attempt() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    for (name, status) in [("p0", 404), ("p1", 410), ("p2", 403)] {
        let peer = publisher.befriend(name, &subscribers.url(name)).await;
        subscribers.behave(name, Behaviour::Answer(status));
        publisher.owe(&peer, NoticeKind::Deleted, ("DELETE", "trust/friend/me"), None).await;
    }
    assert_eq!(publisher.deliver().await.notices, 3);
    assert!(publisher.store().notices(&publisher.id).await.unwrap().is_empty());
    assert_eq!(subscribers.sent().len(), 3);
}
