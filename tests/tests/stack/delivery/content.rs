//! What is sent, and to whom.

use actingweb_protocol::subscription::{Granularity, Scope};
use actingweb_tests::{Behaviour, secret_of};
use serde_json::json;

use super::{publisher, scene};

#[tokio::test]
async fn a_callback_has_the_shape_of_the_specification() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    let peer = publisher.befriend("p0", &subscribers.url("p0")).await;
    let high = publisher.subscribe(&peer, Scope::subtarget("properties", "cfg")).await;
    let low = publisher.subscribe_with(&peer, Scope::subtarget("properties", "big"), Granularity::Low).await;
    let none = publisher.subscribe_with(&peer, Scope::target("properties"), Granularity::None).await;
    publisher.change("cfg", &json!({ "x": 1 })).await;
    publisher.change("big", &json!({ "y": 2 })).await;
    assert_eq!(publisher.deliver().await.callbacks, 2);

    let sent = subscribers.sent_to("p0");
    let of = |id: &str| {
        let what = format!("POST callbacks/subscriptions/{}/{id}", publisher.owner.id);
        sent.iter().find(|sent| sent.what == what).unwrap()
    };
    let (first, second) = (of(&high.id), of(&low.id));
    assert_eq!(
        first.body,
        json!({
            "id": publisher.owner.id, "subscriptionid": high.id, "target": "properties", "subtarget": "cfg",
            "sequence": 1, "timestamp": "2026-01-01T00:00:02.000Z", "granularity": "high", "data": { "x": 1 },
        })
    );
    let url = format!("{}/subscriptions/p0/{}/1", publisher.owner.url, low.id);
    assert_eq!((&second.body["url"], second.body.get("data")), (&json!(url), None));
    for sent in [first, second] {
        assert_eq!(sent.header("authorization"), format!("Bearer {}", secret_of("p0")));
        assert_eq!(sent.header("content-type"), "application/json");
        assert_eq!(sent.header("x-request-id").len(), 32);
    }
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
    assert_eq!(first.header("x-parent-request-id"), second.header("x-parent-request-id"));
    assert_eq!(publisher.subscription(&none).await.sequence, 2, "what is polled is numbered, too");
}

#[tokio::test]
async fn large_callbacks_are_compressed_for_peers_that_say_that_they_understand() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    publisher.subscribed(&subscribers, 1).await;
    let deliver = async |text: &str| {
        publisher.change("text", &json!(text)).await;
        assert_eq!(publisher.deliver().await.callbacks, 1);
        let sent = subscribers.sent().pop().unwrap();
        assert_eq!(sent.body["data"]["text"], text);
        (sent.header("content-encoding").to_owned(), sent.bytes)
    };
    let long = "to be compressed ".repeat(200);
    subscribers.understand("www,callbacks");
    assert_eq!(deliver("short").await.0, "");
    assert_eq!(subscribers.asked_for_options(), 0, "nobody is asked for the sake of what is short");
    assert_eq!(deliver(&long).await.0, "", "nothing is known of the peer yet");
    assert_eq!(deliver(&long).await.0, "", "it does not understand");
    assert_eq!(subscribers.asked_for_options(), 1, "what it said is kept");

    clock.advance(std::time::Duration::from_secs(25 * 3600));
    subscribers.understand("www,callbackcompression,callbacks");
    assert_eq!(deliver(&long).await.0, "", "what it said a day ago");
    let (encoding, bytes) = deliver(&long).await;
    assert!(encoding == "gzip" && bytes < 500, "{encoding}: {bytes} bytes");
    assert_eq!(deliver("short").await.0, "");
    assert_eq!(subscribers.asked_for_options(), 2);
}

#[tokio::test]
async fn what_is_too_large_for_a_peer_is_told_by_its_address() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    publisher.subscribed(&subscribers, 1).await;
    subscribers.script("p0", [Behaviour::Answer(413)]);
    publisher.change("text", &json!("x".repeat(2_000))).await;
    assert_eq!(publisher.deliver().await.callbacks, 1);
    let sent = subscribers.sent_to("p0");
    assert_eq!((sent.len(), sent[1].sequence()), (2, 1));
    assert!(sent[1].body["url"].is_string() && sent[1].body.get("data").is_none(), "{}", sent[1].body);
    assert_eq!(sent[1].header("x-actingweb-original-size"), sent[0].bytes.to_string());
}

#[tokio::test]
async fn nobody_is_told_what_it_may_not_read() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    publisher.subscribed(&subscribers, 1).await;
    publisher.change("private", &json!({ "diary": "none of your business" })).await;
    assert_eq!(publisher.deliver().await.callbacks, 0);
    let both = json!({ "private": { "diary": 1 }, "open": { "a": 2 } });
    actingweb_tests::Answer::of(publisher.owner.request(http::Method::POST, "/properties").json(&both))
        .await
        .expect(201);
    assert_eq!(publisher.deliver().await.callbacks, 1);
    let sent = subscribers.sent_to("p0");
    assert_eq!((sent[0].sequence(), &sent[0].body["data"]), (1, &json!({ "open": { "a": 2 } })));
}

#[tokio::test]
async fn rights_that_are_taken_away_before_the_delivery_count() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    let peer = publisher.befriend("p0", &subscribers.url("p0")).await;
    publisher.subscribe(&peer, Scope::target("properties")).await;
    subscribers.script("p0", [Behaviour::Answer(500)]);
    publisher.change("plan", &json!({ "secret": 1 })).await;
    publisher.change("color", &json!("blue")).await;
    publisher.deliver().await;
    publisher
        .change_trust(&peer, |trust| {
            trust.permissions = Some(json!({ "properties": { "excluded_patterns": ["plan", "plan/*"] } }).to_string());
        })
        .await;
    subscribers.forget();
    publisher.settle(&clock).await;
    let told: Vec<_> =
        subscribers.sent_to("p0").iter().map(|sent| (sent.sequence(), sent.body["data"].clone())).collect();
    assert_eq!(told, [(1, json!({})), (2, json!({ "color": "blue" }))], "a number that was given is never left out");
}

#[tokio::test]
async fn nothing_is_delivered_without_an_approved_relationship() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    let mut peers = Vec::new();
    for name in ["p0", "p1"] {
        let peer = publisher.befriend(name, &subscribers.url(name)).await;
        let subscription = publisher.subscribe(&peer, Scope::target("properties")).await;
        peers.push((peer, subscription));
    }
    // Numbered while it was approved, then not delivered.
    subscribers.behave("p0", Behaviour::Answer(429));
    publisher.change("color", &json!("blue")).await;
    publisher.deliver().await;
    assert_eq!(subscribers.taken("p1"), [1]);
    for (peer, _) in &peers {
        publisher.change_trust(peer, |trust| trust.approved = false).await;
    }
    subscribers.behave("p0", Behaviour::Take);
    subscribers.forget();
    publisher.change("color", &json!("green")).await;
    for (_, subscription) in &peers {
        publisher.store().revive_subscription(&publisher.id, subscription).await.unwrap();
    }
    assert_eq!(publisher.deliver().await, actingweb_deliver::Delivered::default());

    // Approved again: what was numbered is delivered. What happened in between was not for it.
    publisher.change_trust(&peers[0].0, |trust| trust.approved = true).await;
    publisher.change("color", &json!("red")).await;
    publisher.deliver().await;
    let colors: Vec<_> = subscribers.sent_to("p0").iter().map(|sent| sent.body["data"]["color"].clone()).collect();
    assert_eq!(colors.first(), Some(&json!("blue")));
    assert_eq!(colors.last(), Some(&json!("red")));

    // Ended: its subscription is still there until the worker comes by, and is told nothing.
    let (peer, _) = &peers[1];
    let trust = publisher.trust(peer).await;
    assert!(publisher.store().delete_trust(&publisher.id, &trust, &[]).await.unwrap());
    publisher.change("color", &json!("pink")).await;
    publisher.deliver().await;
    assert!(subscribers.sent_to("p1").is_empty());
}

#[tokio::test]
async fn what_a_peer_cleared_is_not_sent_any_more() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    let peer = publisher.befriend("p0", &subscribers.url("p0")).await;
    let subscription = publisher.subscribe(&peer, Scope::target("properties")).await;
    subscribers.script("p0", [Behaviour::Answer(429)]);
    for number in 1..=4 {
        publisher.change("color", &json!(number)).await;
    }
    publisher.deliver().await;
    publisher.store().clear_diffs(&publisher.id, &subscription.id, 3).await.unwrap();
    subscribers.forget();
    publisher.settle(&clock).await;
    assert_eq!(subscribers.taken("p0"), [4]);
}

#[tokio::test]
async fn subscribers_are_asked_to_read_again_after_a_suspension() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    publisher.subscribed(&subscribers, 1).await;
    let loaded = publisher.store().load(&publisher.id, actingweb_store::Wanted::default()).await.unwrap();
    let actor = actingweb_actor::Actor::new(loaded.actor.unwrap(), publisher.store().clone());
    actor.suspend("properties", None).await.unwrap();
    publisher.change("color", &json!("unseen")).await;
    assert_eq!(publisher.deliver().await.callbacks, 0);
    actor.resume("properties", None).await.unwrap();
    publisher.change("color", &json!("seen")).await;
    subscribers.script("p0", [Behaviour::Answer(500)]);
    publisher.deliver().await;
    publisher.settle(&clock).await;
    let sent: Vec<_> = subscribers.sent_to("p0").into_iter().filter(|sent| sent.taken).collect();
    let [again, change] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!((again.sequence(), &again.body["type"]), (1, &json!("resync")));
    assert_eq!(again.body["url"], json!(format!("{}/properties", publisher.owner.url)));
    assert_eq!((change.sequence(), &change.body["data"]), (2, &json!({ "color": "seen" })));
}
