//! Writers, readers and subscribers at the same time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actingweb_hooks::Actor;
use actingweb_protocol::PeerId;
use actingweb_protocol::permission::{Category, Operation, Rules, TrustDefinition};
use actingweb_protocol::subscription::{Granularity, Scope};
use actingweb_store::Wanted;
use actingweb_testkit::fakes::FakeClock;
use actingweb_tests::{Answer, Faults, Poller, Publisher, Site};
use futures_util::future::{join, join_all};
use reqwest::Method;
use serde_json::{Value, json};

use super::app;

#[tokio::test]
async fn fifty_writers_give_every_subscriber_every_change_once() {
    let conflicts = Faults { transaction_conflict: 0.3, seed: 7, ..Faults::none() };
    let lost_replies = Faults { drop_reply_after_apply: 0.2, throttle: 0.1, seed: 9, ..Faults::none() };
    for faults in [Faults::none(), conflicts, lost_replies] {
        let site = Site::of(app()).await;
        let ann = Publisher::new(&site).await;
        let mut followers = Vec::new();
        for n in 0..5 {
            followers.push(ann.poller(&format!("p{n}"), "properties", "none").await);
        }
        site.meter().inject(faults);
        let writes = (0..50).map(|n| {
            let owner = &ann.owner;
            async move { (n, owner.put(&format!("/properties/p{n}"), &json!(n)).await) }
        });
        // Polls at the same time number what is there.
        let polls = join_all(followers.iter().map(Poller::poll));
        let (answers, _) = join(join_all(writes), polls).await;
        site.meter().heal();
        let mut acknowledged = Vec::new();
        for (n, answer) in answers {
            match answer.status {
                204 => acknowledged.push(n),
                503 => assert!(!answer.header("retry-after").is_empty()),
                other => panic!("{other}: {}", answer.body),
            }
        }
        assert!(acknowledged.len() > 25, "{} of 50 were written", acknowledged.len());
        let diffs = join_all(followers.iter().map(Poller::diffs)).await;
        let told: BTreeMap<u64, Value> = diffs[0].clone();
        assert_eq!(told.keys().copied().collect::<Vec<_>>(), (1..=told.len() as u64).collect::<Vec<_>>());
        let mut values: Vec<i64> =
            told.values().map(|data| data.as_object().unwrap().values().next().unwrap().as_i64().unwrap()).collect();
        values.sort_unstable();
        let is_told = |n: &i32| values.binary_search(&i64::from(*n)).is_ok();
        assert!(acknowledged.iter().all(is_told), "a change was lost: {values:?}");
        values.dedup();
        assert_eq!(values.len(), told.len(), "a change was told twice");
        assert!(diffs.iter().all(|diffs| *diffs == told), "all are told the same");
    }
}

#[tokio::test]
async fn writers_of_one_property_are_told_in_the_order_of_their_writes() {
    let site = Site::of(app()).await;
    let ann = Publisher::new(&site).await;
    let bob = ann.poller("bob", "properties/n", "none").await;
    let writes = (0..30).map(|n| {
        let owner = &ann.owner;
        async move { owner.put("/properties/n", &json!(n)).await.expect(204) }
    });
    join_all(writes).await;
    let now = Answer::of(ann.owner.request(Method::GET, "/properties/n").header("accept", "application/json")).await;
    let told = bob.told().await;
    assert_eq!(told.len(), 30);
    assert_eq!(told.last(), Some(&now.expect(200).json()));
}

#[tokio::test]
async fn a_subscription_that_races_with_writes_misses_none_that_came_after_it() {
    for first_ever in [true, false] {
        let site = Site::of(app()).await;
        let ann = Publisher::new(&site).await;
        if !first_ever {
            ann.poller("other", "properties", "none").await;
        }
        let writing = async {
            // From before there is any relationship until long after the subscription.
            let mut n = 0;
            let mut after = 0;
            while after < 20 {
                n += 1;
                ann.change("n", &json!(n)).await;
                after += usize::from(
                    ann.store().subscriptions(&ann.id, None).await.unwrap().iter().any(|s| s.peer.as_str() == "bob"),
                );
            }
            n
        };
        let subscribing = async {
            let bob = ann.poller("bob", "properties/n", "none").await;
            // What is read after the answer, and what is told, is everything.
            let read = Answer::of(ann.owner.request(Method::GET, "/properties/n").header("accept", "application/json"));
            (bob, read.await.expect(200).json().as_u64().unwrap())
        };
        let (last, (bob, read)) = join(writing, subscribing).await;
        let told: Vec<u64> = bob.told().await.iter().map(|data| data.as_u64().unwrap()).collect();
        let missed: Vec<u64> = (read + 1..=last).filter(|n| !told.contains(n)).collect();
        assert!(missed.is_empty(), "read {read}, last {last}, told {told:?}");
        assert!(told.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{told:?}");
    }
}

#[tokio::test]
async fn changes_are_numbered_in_chunks_by_many_at_once() {
    let site = Site::of(app()).await;
    let ann = Publisher::new(&site).await;
    let mut pollers = Vec::new();
    for n in 0..3 {
        pollers.push(ann.poller(&format!("p{n}"), "properties", "high").await);
    }
    let silent = ann.poller("silent", "properties/nothing", "none").await;
    // More than a page of changes, and more than a transaction of diffs.
    let text = "x".repeat(8_000);
    for n in 0..150 {
        let values = json!({ "n": n, "text": text });
        ann.owner.post("/properties", &values).await.expect(201);
    }
    let publishing = site.state().publishing();
    let record = ann.store().load(&ann.id, Wanted::default()).await.unwrap().actor.unwrap();
    let actor = actingweb_actor::Actor::new(record, ann.store().clone());
    let deliveries = join_all((0..4).map(|_| actor.number_changes(publishing, true)));
    let polls = join_all(pollers.iter().chain([&silent]).map(Poller::poll));
    let (outstanding, _) = join(deliveries, polls).await;
    let leased: Vec<_> = outstanding
        .into_iter()
        .flat_map(Result::unwrap)
        .filter(|outstanding| outstanding.leased)
        .map(|outstanding| outstanding.subscription)
        .collect();
    assert_eq!(leased.len(), 3, "each subscription is taken by one: {leased:?}");
    for subscription in leased {
        assert_eq!(ann.subscription(&subscription).await.leased_until, subscription.leased_until);
    }
    for poller in &pollers {
        let diffs = poller.diffs().await;
        assert_eq!(diffs.keys().copied().collect::<Vec<_>>(), (1..=150).collect::<Vec<_>>());
        assert!((0..150).eq(diffs.values().map(|data| data["n"].as_i64().unwrap())));
    }
    // Somebody whom nothing concerns is not behind for ever.
    assert_eq!(silent.poll().await["sequence"], 0);
    let silent = ann.store().subscriptions(&ann.id, Some(&PeerId::parse("silent").unwrap())).await.unwrap();
    assert!(silent[0].looked > 100, "{silent:?}");
}

#[tokio::test]
async fn the_deletion_of_everything_is_told_whatever_happens_meanwhile() {
    for round in 0..10 {
        let site = Site::of(app()).await;
        let ann = Publisher::new(&site).await;
        let bob = ann.poller("bob", "properties", "none").await;
        ann.owner.post("/properties", &json!({ "a": 1, "b": 2 })).await.expect(201);
        let write = async {
            if round > 0 {
                ann.change("c", &json!(round)).await;
            }
        };
        let (deleted, ()) = join(ann.owner.delete("/properties"), write).await;
        deleted.expect(204);
        let now = ann.owner.get("/properties").await.expect(200).json();
        // Whoever applies what is told, and reads where it is to, has what is there.
        let mut mirror = json!({});
        for data in bob.told().await {
            match data {
                Value::String(word) if word == "resync" => mirror = now.clone(),
                Value::String(_) => mirror = json!({}),
                Value::Object(changed) => mirror.as_object_mut().unwrap().extend(changed),
                other => panic!("{other}"),
            }
        }
        assert_eq!(mirror, now, "{:?}", bob.told().await);
    }
}

/// A handle that lives as long as a request, and remembers what it saw of the log.
async fn handle(ann: &Publisher<'_>) -> Actor {
    let found = ann.store().load(&ann.id, Wanted::default()).await.unwrap();
    Actor::new(found.actor.unwrap(), ann.store().clone())
}

#[tokio::test]
async fn what_is_announced_is_told_to_whoever_subscribed_since_the_log_was_seen() {
    let reader = TrustDefinition::new("friend", "Friend", "Reads reports")
        .grants(Category::Resources, Rules::patterns(&["report/*"], &[Operation::Read]))
        .path_rule("subscriptions/<id>", "", "a");
    let site = Site::of(app().trust_type(reader)).await;
    let ann = Publisher::new(&site).await;
    ann.befriend("somebody", "http://127.0.0.1:9/somebody").await;
    let actor = handle(&ann).await;
    let report = |title: &str| {
        let (actor, title) = (actor.clone(), title.to_owned());
        async move { actor.announce("resources", Some("report"), Some("1"), json!(title)).await.unwrap() }
    };
    report("nobody listens").await;
    let peer = ann.poller("reader", "resources", "none").await;
    report("first").await;
    assert_eq!(peer.told().await, [json!({ "report": { "1": "first" } })]);

    // The same with a suspension that ends meanwhile.
    actor.suspend("resources", None).await.unwrap();
    report("unheard").await;
    handle(&ann).await.resume("resources", None).await.unwrap();
    report("second").await;
    assert_eq!(peer.told().await.last(), Some(&json!({ "report": { "1": "second" } })));
}

#[tokio::test]
async fn a_write_that_saw_no_log_and_took_long_is_told_to_whoever_subscribed_before_its_end() {
    let clock = FakeClock::new();
    let site = Site::with_clock(app(), Arc::new(clock.clone())).await;
    let ann = Publisher::new(&site).await;
    let actor = handle(&ann).await;
    actor.set_property("color", json!("red")).await.unwrap();
    // The handle counts on there being no log; its next write is on its way for as long as a subscriber waits.
    let peer = ann.befriend("reader", "http://127.0.0.1:9/reader").await;
    clock.advance(Duration::from_secs(2));
    ann.subscribe_with(&peer, Scope::target("properties"), Granularity::None).await;
    site.meter().inject(Faults::latency(Duration::from_millis(800)));
    actor.set_property("color", json!("blue")).await.unwrap();
    site.meter().heal();
    let told = ann.store().changes(&ann.id, 0, 100).await.unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].entry.scope().covers(&Scope::subtarget("properties", "color")), "{told:?}");
}
