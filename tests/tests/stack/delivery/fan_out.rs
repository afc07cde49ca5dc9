//! Many subscribers.

use std::time::Duration;

use actingweb_protocol::subscription::Scope;
use actingweb_tests::{Behaviour, Publisher, Site, Subscribers};
use serde_json::json;
use tokio::time::Instant;

use super::{app, publisher, scene};

/// Two changes reach this many subscribers, each of them once and in order.
async fn reaches(count: usize) {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    publisher.subscribed(&subscribers, count).await;
    for number in 1..=2 {
        publisher.change("color", &json!(number)).await;
        assert_eq!(publisher.deliver().await.callbacks, count);
    }
    for number in 0..count {
        let sent = subscribers.sent_to(&format!("p{number}"));
        let bodies: Vec<_> = sent.iter().map(|sent| (sent.sequence(), sent.body["data"].clone())).collect();
        assert_eq!(bodies, [(1, json!({ "color": 1 })), (2, json!({ "color": 2 }))], "p{number}");
    }
    assert_eq!(publisher.deliver().await, actingweb_deliver::Delivered::default());
}

#[tokio::test]
async fn one_subscriber_is_told_once_and_in_order() {
    reaches(1).await;
}

#[tokio::test]
async fn ten_subscribers_are_told_once_and_in_order() {
    reaches(10).await;
}

#[tokio::test]
async fn a_hundred_subscribers_are_told_once_and_in_order() {
    reaches(100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_subscribers_are_told_once_and_in_order() {
    reaches(1_000).await;
}

#[tokio::test]
async fn a_large_change_reaches_forty_subscribers_whole_up_to_256_kb_and_above_by_its_address() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    publisher.subscribed(&subscribers, 40).await;
    let (whole, above) = ("x".repeat(250_000), "y".repeat(290_000));
    publisher.change("blob", &json!(whole)).await;
    publisher.change("blob", &json!(above)).await;
    assert_eq!(publisher.deliver().await.callbacks, 80);
    for number in 0..40 {
        let sent = subscribers.sent_to(&format!("p{number}"));
        let [first, second] = sent.as_slice() else { panic!("{} callbacks", sent.len()) };
        assert_eq!((first.sequence(), first.body["data"]["blob"].as_str()), (1, Some(&*whole)));
        assert_eq!(first.header("x-actingweb-granularity-downgraded"), "");
        assert_eq!((second.sequence(), &second.body["granularity"]), (2, &json!("low")));
        assert!(second.body.get("data").is_none() && second.bytes < 1_000, "{} bytes", second.bytes);
        assert_eq!(second.header("x-actingweb-granularity-downgraded"), "true");
        let original: usize = second.header("x-actingweb-original-size").parse().unwrap();
        assert!((290_000..291_000).contains(&original), "{original}");
        let own = format!("{}/subscriptions/p{number}/", publisher.owner.url);
        assert!(second.body["url"].as_str().unwrap().starts_with(&own), "{}", second.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_slow_peers_take_less_than_three_times_as_long_as_one() {
    let (clock, site, subscribers) = scene().await;
    let mut spans = Vec::new();
    for count in [1, 100] {
        let publisher = publisher(&site, &clock).await;
        publisher.subscribed(&subscribers, count).await;
        for number in 0..count {
            subscribers.behave(&format!("p{number}"), Behaviour::TakeAfter(Duration::from_millis(500)));
        }
        publisher.change("color", &json!("blue")).await;
        let begun = Instant::now();
        assert_eq!(publisher.deliver().await.callbacks, count);
        spans.push(begun.elapsed());
    }
    assert!(spans[1] < spans[0] * 3, "{spans:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_does_not_wait_for_subscribers() {
    let (site, subscribers) = (Site::of(app()).await, Subscribers::start().await);
    let (alone, followed) = (Publisher::new(&site).await, Publisher::new(&site).await);
    followed.subscribed(&subscribers, 100).await;
    // By turns, so that what slows the machine down slows both.
    let mut spans = [Vec::new(), Vec::new()];
    for number in 0..40 {
        for (publisher, spans) in [&alone, &followed].into_iter().zip(&mut spans) {
            let begun = Instant::now();
            publisher.change("color", &json!(number)).await;
            spans.push(begun.elapsed());
        }
    }
    let [without, with] = spans.map(|mut spans| {
        spans.sort();
        spans[spans.len() / 2]
    });
    assert!(with < without * 3, "{with:?} with subscribers, {without:?} without");
    assert_eq!(followed.deliver().await.callbacks, 4_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_deliveries_at_once_send_everything_once_and_in_order() {
    let (clock, site, subscribers) = scene().await;
    let publisher = publisher(&site, &clock).await;
    let mut peers = Vec::new();
    for name in ["p0", "p1", "p2"] {
        let peer = publisher.befriend(name, &subscribers.url(name)).await;
        publisher.subscribe(&peer, Scope::target("properties")).await;
        peers.push(name);
    }
    let publisher = &publisher;
    let deliveries = async {
        for _ in 0..12 {
            publisher.deliver().await;
        }
    };
    let writes = async {
        for number in 1..=30 {
            publisher.change("color", &json!(number)).await;
        }
    };
    tokio::join!(writes, deliveries, async {
        for _ in 0..12 {
            publisher.deliver().await;
        }
    });
    publisher.deliver().await;
    for peer in peers {
        assert_eq!(subscribers.taken(peer), (1..=30).collect::<Vec<_>>(), "{peer}");
    }
    assert!(!subscribers.overlapped());
}
