//! What an actor's peers tell it: in order, once, complete in the end, whatever comes how.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actingweb_actor::feeds::RemoteValue;
use actingweb_hooks::EventKind::SubscriptionDeleted;
use actingweb_hooks::{Actor, App, Event, HookError, PeerChange, SubscriptionEvent};
use actingweb_protocol::PeerId;
use actingweb_protocol::subscription::Scope;
use actingweb_testkit::fakes::FakeClock;
use actingweb_tests::{Answer, Follower, SUBSCRIPTION, Site};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

const AFTER_A_GAP: Duration = Duration::from_secs(6);

fn app() -> App {
    App::new("urn:actingweb:example.com:receiving")
}

async fn site() -> (Site, FakeClock) {
    let clock = FakeClock::new();
    (Site::with_clock(app(), Arc::new(clock.clone())).await, clock)
}

#[tokio::test]
async fn what_is_there_is_read_and_what_changes_follows() {
    let (site, _) = site().await;
    let ann = Follower::new(&site, "peer").await;
    ann.source.change_silently("color", json!("blue"));
    ann.source.change_silently("notes", json!(["a", "b"]));
    let made = ann.subscribe(Scope::target("properties")).await.unwrap();
    assert_eq!(made.location, format!("{}/subscriptions/{}/{SUBSCRIPTION}", ann.source.url, ann.me.id));
    assert_eq!(ann.kept().await, json!({ "color": "blue", "notes": ["a", "b"] }));

    ann.call(&ann.source.change("color", json!("red"))).await.expect(204);
    ann.call(&ann.source.append("notes", json!("c"))).await.expect(204);
    ann.call(&ann.source.change("size", json!({ "w": 1 }))).await.expect(204);
    assert_eq!(ann.kept().await, json!({ "color": "red", "notes": ["a", "b", "c"], "size": { "w": 1 } }));
    ann.call(&ann.source.change("size", json!(""))).await.expect(204);
    assert_eq!(ann.kept().await, json!({ "color": "red", "notes": ["a", "b", "c"] }));

    let (actor, peer) = (ann.actor().await, &ann.peer);
    assert_eq!(actor.remote(peer).property("color").await.unwrap(), Some(RemoteValue::Here(json!("red"))));
    assert_eq!(actor.remote(peer).property("size").await.unwrap(), None);
    assert_eq!(actor.remote(peer).list("notes").await.unwrap().map(|items| items.len()), Some(3));
    assert_eq!(actor.remote(peer).list("color").await.unwrap(), None);
    let stranger = PeerId::parse("stranger").unwrap();
    assert_eq!(actor.remote(&stranger).property("color").await.unwrap(), None);
}

#[tokio::test]
async fn a_callback_costs_three_calls_at_most_and_two_for_plain_values() {
    let (site, _) = site().await;
    let ann = Follower::subscribed(&site, "peer").await;
    for (callback, most) in [
        (ann.source.change("color", json!("red")), 2),
        (ann.source.append("notes", json!(1)), 3),
        (ann.source.change("size", json!({ "w": 1 })), 3),
    ] {
        let (answer, calls) = site.meter().measure(ann.call(&callback)).await;
        answer.expect(204);
        assert!(calls.count() <= most, "{callback}: {:?}", calls.operations());
    }
    let (answer, calls) = site.meter().measure(ann.call(&json!({ "sequence": 1, "data": {} }))).await;
    answer.expect(204);
    assert_eq!(calls.count(), 1, "a duplicate: {:?}", calls.operations());
}

#[tokio::test]
async fn what_comes_twice_counts_once_and_what_comes_early_waits() {
    let (site, _) = site().await;
    let ann = Follower::subscribed(&site, "peer").await;
    let callbacks: Vec<Value> = (0..4).map(|n| ann.source.append("notes", json!(n))).collect();
    for (which, kept) in [(2, json!({})), (3, json!({})), (2, json!({}))] {
        ann.call(&callbacks[which]).await.expect(204);
        assert_eq!(ann.kept().await, kept);
    }
    ann.call(&callbacks[0]).await.expect(204);
    ann.call(&callbacks[0]).await.expect(204);
    assert_eq!(ann.kept().await, json!({ "notes": [0] }));
    ann.call(&callbacks[1]).await.expect(204);
    assert_eq!(ann.kept().await, json!({ "notes": [0, 1, 2, 3] }));
    for callback in &callbacks {
        ann.call(callback).await.expect(204);
    }
    assert_eq!(ann.kept().await, json!({ "notes": [0, 1, 2, 3] }));
    assert!(ann.feed().await.unwrap().gap_since.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_order_at_the_same_time_ends_in_the_order_of_the_numbers() {
    let told: Arc<Mutex<Vec<u64>>> = Arc::default();
    let seen = Arc::clone(&told);
    let app = app().subscription("properties", move |change: PeerChange| {
        seen.lock().unwrap().push(change.sequence);
        Ok::<(), HookError>(())
    });
    let site = Site::of(app).await;
    let ann = Follower::subscribed(&site, "peer").await;
    let callbacks: Vec<Value> = (0..30).map(|n| ann.source.append("notes", json!(n))).collect();
    let all = callbacks.iter().rev().chain(&callbacks).map(|callback| ann.call(callback));
    for answer in join_all(all).await {
        answer.expect(204);
    }
    assert_eq!(ann.kept().await, json!({ "notes": (0..30).collect::<Vec<_>>() }));
    let mut told = told.lock().unwrap().clone();
    told.sort_unstable();
    told.dedup();
    assert_eq!(told, (1..=30).collect::<Vec<_>>(), "at least once each");
}

#[tokio::test]
async fn a_missing_diff_is_fetched_after_five_seconds() {
    let (site, clock) = site().await;
    let ann = Follower::subscribed(&site, "peer").await;
    site.drain().await;
    ann.source.append("notes", json!(1));
    ann.call(&ann.source.append("notes", json!(2))).await.expect(204);
    let before = ann.source.asked().len();
    site.drain().await;
    assert_eq!(ann.source.asked().len(), before, "not yet");

    clock.advance(AFTER_A_GAP);
    assert_eq!(site.drain().await.failed, 0);
    assert_eq!(ann.kept().await, json!({ "notes": [1, 2] }));
    assert_eq!(ann.source.count("GET", "properties"), 1, "only when the subscription was made");
    assert!(ann.source.diffs().is_empty(), "and acknowledged");
    let feed = ann.feed().await.unwrap();
    assert_eq!((feed.gap_since, feed.queue.has_gap()), (None, false));
}

#[tokio::test]
async fn what_the_peer_has_forgotten_is_read_anew() {
    let (site, clock) = site().await;
    let ann = Follower::subscribed(&site, "peer").await;
    ann.call(&ann.source.change("old", json!(1))).await.expect(204);
    ann.source.change("lost", json!("here"));
    ann.source.forget(2);
    ann.source.change("old", json!(""));
    ann.source.forget(3);
    ann.call(&ann.source.change("new", json!(2))).await.expect(204);
    assert_eq!(ann.kept().await, json!({ "old": 1 }));
    clock.advance(AFTER_A_GAP);
    site.drain().await;
    assert_eq!(ann.kept().await, json!({ "lost": "here", "new": 2 }));
    ann.call(&ann.source.change("new", json!(3))).await.expect(204);
    assert_eq!(ann.kept().await, json!({ "lost": "here", "new": 3 }));
}

#[tokio::test]
async fn a_peer_that_cannot_be_asked_is_asked_again_ever_more_seldom() {
    let (site, clock) = site().await;
    let ann = Follower::subscribed(&site, "peer").await;
    clock.advance(Duration::from_secs(31));
    site.drain().await;
    ann.source.change("a", json!(1));
    ann.call(&ann.source.change("b", json!(2))).await.expect(204);
    ann.source.answers("", 500, "");
    let mut asked = Vec::new();
    for seconds in [6, 31, 31, 31, 31, 31] {
        clock.advance(Duration::from_secs(seconds));
        assert_eq!(site.drain().await.failed, 0, "a peer's failure is not ours");
        asked.push(ann.source.count("GET", "subscriptions"));
    }
    let asked: Vec<usize> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(asked, [1, 0, 1, 0, 0], "after 30 s, and 60 s more");
    ann.source.heal();
    clock.advance(Duration::from_secs(200));
    site.drain().await;
    assert_eq!(ann.kept().await, json!({ "a": 1, "b": 2 }));
    assert_eq!(ann.feed().await.unwrap().failures, 0);
}

#[tokio::test]
async fn what_waits_is_bounded_and_the_rest_is_refused_until_there_is_room() {
    let (site, clock) = site().await;
    let ann = Follower::subscribed(&site, "peer").await;
    let first = ann.source.change("n", json!(1));
    for n in 2..=101 {
        ann.call(&ann.source.change("n", json!(n))).await.expect(204);
    }
    let refused = ann.source.change("n", json!(102));
    let answer = ann.call(&refused).await.problem(429);
    assert!(answer.header("retry-after").parse::<u32>().unwrap() >= 1);
    ann.call(&first).await.expect(204);
    assert_eq!(ann.kept().await, json!({ "n": 101 }));
    ann.call(&refused).await.expect(204);
    assert_eq!(ann.kept().await, json!({ "n": 102 }));

    // One alone may be too large to wait: what is missing is fetched all the same.
    let small = ann.source.change("small", json!(1));
    let large = ann.source.change("large", json!("x".repeat(200_000)));
    ann.call(&large).await.problem(429);
    clock.advance(AFTER_A_GAP);
    site.drain().await;
    assert_eq!(ann.kept().await["large"].as_str().map(str::len), Some(200_000));
    ann.call(&small).await.expect(204);
    ann.call(&large).await.expect(204);
}

#[tokio::test]
async fn what_is_told_by_address_is_fetched_from_the_peer_and_counts_when_it_was() {
    let (site, _) = site().await;
    let ann = Follower::subscribed(&site, "peer").await;
    ann.source.change("color", json!("red"));
    let low = ann.source.low(1, &format!("{}/subscriptions/{}/{SUBSCRIPTION}/1", ann.source.url, ann.me.id));
    ann.source.answers("subscriptions", 500, "");
    for _ in 0..2 {
        let answer = ann.call(&low).await.problem(503);
        assert!(!answer.header("retry-after").is_empty());
        assert_eq!(ann.feed().await.unwrap().queue.last(), 0);
    }
    ann.source.heal();
    ann.call(&low).await.expect(204);
    assert_eq!(ann.kept().await, json!({ "color": "red" }));
    let fetched = ann.source.asked().pop().unwrap();
    assert_eq!(fetched.path, format!("subscriptions/{}/{SUBSCRIPTION}/1", ann.me.id));

    ann.source.change("color", json!("green"));
    ann.source.forget(2);
    ann.call(&ann.source.low(2, "")).await.expect(204);
    assert_eq!(ann.kept().await, json!({ "color": "green" }), "read anew, as the diff is gone");
    ann.call(&low).await.expect(204);
    assert_eq!(ann.kept().await, json!({ "color": "green" }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_all_of_the_old_data_or_all_of_the_new() {
    let (site, clock) = site().await;
    let ann = Follower::new(&site, "peer").await;
    // Several pages' worth.
    let fill = |n: u64| {
        for name in 0..200 {
            ann.source.change_silently(&format!("p{name}"), json!(format!("{n}{}", " ".repeat(8_000))));
        }
    };
    fill(0);
    ann.subscribe(Scope::target("properties")).await.unwrap();
    let actor = ann.actor().await;
    let states = async {
        let mut seen = Vec::new();
        while seen.last() != Some(&"3".to_owned()) {
            let all = actor.remote(&ann.peer).properties().await.unwrap();
            let mut values: Vec<String> = all
                .into_values()
                .map(|value| value.here().unwrap().as_str().unwrap().trim().to_owned())
                .collect();
            assert_eq!(values.len(), 200);
            values.dedup();
            assert_eq!(values.len(), 1, "a mix of {values:?}");
            seen.append(&mut values);
        }
        seen
    };
    let changes = async {
        for n in 1..=3 {
            fill(n);
            ann.call(&ann.source.resync()).await.expect(204);
            site.drain().await;
        }
    };
    let (seen, ()) = tokio::join!(states, changes);
    assert!(seen.is_sorted(), "{seen:?}");
    let rows = |items: Vec<Value>| items.iter().filter(|row| row["pk"].as_str().unwrap().contains("#R#")).count();
    clock.advance(Duration::from_secs(20 * 60));
    site.drain().await;
    assert_eq!(rows(site.table().await), 200, "what was replaced is removed");
}

#[tokio::test]
async fn a_resync_rebuilds_what_there_is_and_drops_what_is_no_more() {
    let (site, clock) = site().await;
    let ann = Follower::subscribed(&site, "peer").await;
    ann.call(&ann.source.change("gone", json!(1))).await.expect(204);
    ann.call(&ann.source.change("stays", json!(1))).await.expect(204);
    ann.source.change("gone", json!(""));
    ann.source.append("notes", json!(1));
    let resync = ann.source.resync();
    ann.call(&resync).await.expect(204);
    assert_eq!(ann.kept().await, json!({ "notes": [1], "stays": 1 }));
    ann.call(&resync).await.expect(204);
    assert_eq!(ann.source.count("GET", "properties"), 3, "subscribed; all and a list; nothing for a duplicate");

    // While it cannot be read, what is told waits, and nothing is lost.
    ann.source.answers("properties", 503, "");
    ann.call(&ann.source.resync()).await.expect(204);
    ann.call(&ann.source.append("notes", json!(2))).await.expect(204);
    assert_eq!(ann.kept().await, json!({ "notes": [1], "stays": 1 }));
    ann.source.heal();
    clock.advance(AFTER_A_GAP);
    site.drain().await;
    assert_eq!(ann.kept().await, json!({ "notes": [1, 2], "stays": 1 }));
    ann.call(&ann.source.append("notes", json!(3))).await.expect(204);
    assert_eq!(ann.kept().await, json!({ "notes": [1, 2, 3], "stays": 1 }));
}

#[tokio::test]
async fn what_changes_while_all_is_read_is_neither_lost_nor_counted_twice() {
    let (site, _) = site().await;
    let ann = Follower::new(&site, "peer").await;
    ann.source.change_silently("notes", json!(["a"]));
    ann.source.change_meanwhile("late", json!(1));
    ann.subscribe(Scope::target("properties")).await.unwrap();
    assert_eq!(ann.kept().await, json!({ "late": 1, "notes": ["a"] }), "read again, as its number had moved");
    ann.call(&json!({ "sequence": 1, "data": { "late": 0 } })).await.expect(204);
    assert_eq!(ann.kept().await["late"], 1);
    ann.call(&ann.source.append("notes", json!("b"))).await.expect(204);
    assert_eq!(ann.kept().await["notes"], json!(["a", "b"]));
}

#[tokio::test]
async fn what_can_be_read_two_ways_is_asked_for() {
    let (site, clock) = site().await;
    let ann = Follower::subscribed(&site, "peer").await;
    ann.call(&ann.source.change("cfg", json!({ "x": 1, "y": 2 }))).await.expect(204);
    ann.call(&ann.source.change("cfg", json!({ "x": 3 }))).await.expect(204);
    assert_eq!(ann.kept().await, json!({ "cfg": { "x": 3, "y": 2 } }), "it may have been a part of it");
    clock.advance(AFTER_A_GAP);
    site.drain().await;
    assert_eq!(ann.kept().await, json!({ "cfg": { "x": 3 } }));
    assert!(ann.feed().await.unwrap().doubtful.is_empty());
    assert_eq!(ann.source.count("GET", "properties/"), 1, "that one and no other");
}

#[tokio::test]
async fn diffs_are_acknowledged_together() {
    let (site, clock) = site().await;
    let ann = Follower::subscribed(&site, "peer").await;
    for n in 0..20 {
        ann.call(&ann.source.change("n", json!(n))).await.expect(204);
    }
    assert_eq!(ann.source.diffs().len(), 20);
    clock.advance(Duration::from_secs(11));
    site.drain().await;
    let acknowledged: Vec<Value> =
        ann.source.asked().into_iter().filter(|asked| asked.method == "PUT").map(|asked| asked.body).collect();
    assert_eq!(acknowledged, [json!({ "sequence": 20 })]);
    assert!(ann.source.diffs().is_empty());

    // A peer that does not take it is told with the next ones.
    ann.source.answers("subscriptions", 500, "");
    ann.call(&ann.source.change("n", json!(21))).await.expect(204);
    clock.advance(Duration::from_secs(11));
    assert_eq!(site.drain().await.failed, 0);
    ann.source.heal();
    ann.call(&ann.source.change("n", json!(22))).await.expect(204);
    clock.advance(Duration::from_secs(11));
    site.drain().await;
    assert!(ann.source.diffs().is_empty());
}

#[tokio::test]
async fn a_pull_asks_once_when_there_is_nothing_new_and_ends_nothing() {
    let (site, _) = site().await;
    let ann = Follower::subscribed(&site, "peer").await;
    ann.call(&ann.source.change("n", json!(1))).await.expect(204);
    let pull = async || ann.feeds().sync(&ann.actor().await, ann.feed().await.unwrap()).await;
    pull().await.unwrap();
    let before = ann.source.asked().len();
    let synced = pull().await.unwrap();
    assert_eq!((synced.applied.len(), synced.rebuilt), (0, false));
    assert_eq!(ann.source.asked().len(), before + 1);

    ann.source.change("n", json!(2));
    ann.source.append("notes", json!(1));
    let synced = pull().await.unwrap();
    assert_eq!((synced.applied.len(), synced.rebuilt), (2, false));
    assert_eq!(ann.kept().await, json!({ "n": 2, "notes": [1] }));
    assert_eq!(ann.source.asked().pop().unwrap().body, json!({ "sequence": 3 }));

    ann.source.answers("subscriptions", 404, "");
    pull().await.unwrap_err();
    assert!(ann.feed().await.is_some());
    ann.me.trust(&ann.peer).await;
    assert_eq!(ann.kept().await["n"], 2);
}

#[tokio::test]
async fn a_part_is_kept_at_its_place_beside_the_whole() {
    let (site, _) = site().await;
    let ann = Follower::new(&site, "peer").await;
    ann.source.change_silently("cfg", json!({ "x": { "y": 1 }, "z": 2 }));
    let scope = Scope { target: "properties".into(), subtarget: Some("cfg".into()), resource: Some("x".into()) };
    ann.subscribe(scope).await.unwrap();
    assert_eq!(ann.kept().await, json!({ "cfg": { "x": { "y": 1 } } }));
    ann.call(&json!({ "sequence": 1, "subtarget": "cfg", "resource": "x", "data": { "y": 5 } })).await.expect(204);
    assert_eq!(ann.kept().await, json!({ "cfg": { "x": { "y": 5 } } }));
    ann.call(&json!({ "sequence": 2, "data": "" })).await.expect(204);
    assert_eq!(ann.kept().await, json!({}));
}

#[tokio::test]
async fn what_is_large_or_much_is_taken_or_marked() {
    let (site, _) = site().await;
    let ann = Follower::subscribed(&site, "peer").await;
    ann.call(&ann.source.change("large", json!("x".repeat(400_000)))).await.expect(204);
    let actor = ann.actor().await;
    assert_eq!(actor.remote(&ann.peer).property("large").await.unwrap(), Some(RemoteValue::TooLarge));
    ann.call(&ann.source.change("large", json!("small"))).await.expect(204);
    assert_eq!(ann.kept().await, json!({ "large": "small" }));

    let many: serde_json::Map<String, Value> = (0..250).map(|n| (format!("p{n:03}"), json!(n))).collect();
    ann.call(&json!({ "sequence": 3, "data": many })).await.expect(204);
    assert_eq!(ann.kept().await.as_object().unwrap().len(), 251);
    ann.call(&json!({ "sequence": 4, "data": "" })).await.expect(204);
    assert_eq!(ann.kept().await, json!({}), "all of it was deleted");
    let unkeepable = json!({ "sequence": 5, "data": { "n".repeat(2_000): 1, "kept": 1 } });
    ann.call(&unkeepable).await.expect(204);
    assert_eq!(ann.kept().await, json!({ "kept": 1 }));
}

#[tokio::test]
async fn hooks_are_told_in_order_after_it_was_stored_and_their_failures_change_nothing() {
    let told: Arc<Mutex<Vec<(u64, Option<Value>, Value)>>> = Arc::default();
    let seen = Arc::clone(&told);
    let app = app()
        .subscription("properties", move |change: PeerChange, actor: Actor| {
            let seen = Arc::clone(&seen);
            async move {
                let peer = PeerId::parse(&change.peer).map_err(HookError::terminal)?;
                let n = actor.remote(&peer).property("n").await?.and_then(RemoteValue::here);
                seen.lock().unwrap().push((change.sequence, change.data, n.unwrap_or_default()));
                Ok::<(), HookError>(())
            }
        })
        .subscription("*", |_: PeerChange| Err::<(), _>(HookError::terminal("broken")))
        .subscription("resources", |_: PeerChange| -> Result<(), HookError> { panic!("of another target") });
    let site = Site::of(app).await;
    let ann = Follower::subscribed(&site, "peer").await;
    let first = ann.source.change("n", json!(1));
    ann.call(&ann.source.change("n", json!(2))).await.expect(204);
    assert!(told.lock().unwrap().is_empty());
    ann.call(&first).await.expect(204);
    ann.call(&ann.source.resync()).await.expect(204);
    let expected = [
        (1, Some(json!({ "n": 1 })), json!(2)),
        (2, Some(json!({ "n": 2 })), json!(2)),
        (3, None, json!(2)),
    ];
    assert_eq!(*told.lock().unwrap(), expected);
    ann.call(&first).await.expect(204);
    assert_eq!(told.lock().unwrap().len(), 3, "not again");
}

#[tokio::test]
async fn a_hook_that_was_not_told_is_told_when_the_callback_comes_again() {
    let told: Arc<Mutex<Vec<u64>>> = Arc::default();
    let seen = Arc::clone(&told);
    let app = app().subscription("*", move |change: PeerChange| {
        seen.lock().unwrap().push(change.sequence);
        Ok::<(), HookError>(())
    });
    let site = Site::of(app).await;
    let ann = Follower::subscribed(&site, "peer").await;
    let callback = ann.source.change("n", json!(1));
    // Applied by a process that died before it told anybody.
    let store = ann.me.store();
    store.receive(&ann.me.id, ann.feed().await.unwrap(), 1, &callback["data"]).await.unwrap();
    ann.call(&callback).await.expect(204);
    ann.call(&callback).await.expect(204);
    assert_eq!(*told.lock().unwrap(), [1]);
}

#[tokio::test]
async fn a_callback_before_the_answer_to_the_subscription_is_to_come_again() {
    let (site, clock) = site().await;
    let ann = Follower::new(&site, "peer").await;
    let store = ann.me.store();
    let early = json!({ "sequence": 1, "data": { "n": 1 } });
    ann.call(&early).await.problem(404);
    store.expect_feed(&ann.me.id, &ann.peer).await.unwrap();
    let answer = ann.call(&early).await.problem(503);
    assert!(!answer.header("retry-after").is_empty());
    store.unexpect_feed(&ann.me.id, &ann.peer).await.unwrap();
    ann.call(&early).await.problem(404);
    store.expect_feed(&ann.me.id, &ann.peer).await.unwrap();
    clock.advance(Duration::from_secs(31));
    ann.call(&early).await.problem(404);

    // What it told of is in what is read then.
    ann.source.change("n", json!(1));
    ann.subscribe(Scope::target("properties")).await.unwrap();
    assert_eq!(ann.kept().await, json!({ "n": 1 }));
    ann.call(&early).await.expect(204);
    assert_eq!(ann.feed().await.unwrap().queue.last(), 1);
    ann.call(&ann.source.change("n", json!(2))).await.expect(204);
    assert_eq!(ann.kept().await, json!({ "n": 2 }));
}

#[tokio::test]
async fn a_subscription_that_could_not_be_read_is_read_later() {
    let (site, clock) = site().await;
    let ann = Follower::new(&site, "peer").await;
    ann.source.change_silently("n", json!(1));
    ann.source.answers("properties", 503, "");
    ann.subscribe(Scope::target("properties")).await.unwrap();
    ann.call(&ann.source.change("n", json!(2))).await.expect(204);
    assert_eq!(ann.kept().await, json!({}));
    ann.source.heal();
    clock.advance(Duration::from_secs(31));
    site.drain().await;
    assert_eq!(ann.kept().await, json!({ "n": 2 }));

    let bob = Follower::new(&site, "other").await;
    bob.source.answers("subscriptions", 403, "");
    bob.subscribe(Scope::target("properties")).await.unwrap_err();
    assert!(bob.feed().await.is_none());
    bob.call(&json!({ "sequence": 1, "data": {} })).await.problem(404);
    bob.source.heal();
    bob.source.answers("nothing", 404, "");
    bob.subscribe(Scope::target("nothing")).await.expect("a subscription to what is not there yet");
}

#[tokio::test]
async fn subscriptions_end_from_either_side_and_leave_nothing() {
    let ended: Arc<Mutex<Vec<SubscriptionEvent>>> = Arc::default();
    let seen = Arc::clone(&ended);
    let clock = FakeClock::new();
    let app = app().on(SubscriptionDeleted, move |event: Event| {
        seen.lock().unwrap().push(event.data::<SubscriptionEvent>()?);
        Ok::<(), HookError>(())
    });
    let site = Site::with_clock(app, Arc::new(clock.clone())).await;
    let ann = Follower::subscribed(&site, "peer").await;
    ann.call(&ann.source.change("n", json!(1))).await.expect(204);
    let end = || Answer::of(ann.as_peer(Method::DELETE, &ann.path()));
    end().await.expect(204);
    end().await.expect(204);
    ann.call(&ann.source.change("n", json!(2))).await.problem(404);
    assert_eq!(ann.kept().await, json!({}));
    let ended = ended.lock().unwrap().clone();
    assert_eq!(ended.len(), 1);
    assert!(ended[0].initiated_by_peer && ended[0].to_peer && ended[0].subscription == SUBSCRIPTION);

    // From this side: the peer is told.
    ann.subscribe(Scope::target("properties")).await.unwrap();
    ann.feeds().unsubscribe(&ann.actor().await, &ann.feed().await.unwrap()).await.unwrap();
    let owed = ann.me.store().notices(&ann.me.id).await.unwrap();
    let path = format!("subscriptions/{}/{SUBSCRIPTION}", ann.me.id);
    assert!(owed.iter().any(|notice| notice.method == "DELETE" && notice.path == path), "{owed:?}");

    // And with the relationship.
    ann.subscribe(Scope::target("properties")).await.unwrap();
    ann.call(&ann.source.change("n", json!(3))).await.expect(204);
    clock.advance(Duration::from_secs(1));
    let trust = ann.me.trust(&ann.peer).await;
    assert!(ann.me.store().delete_trust(&ann.me.id, &trust, &[]).await.unwrap());
    clock.advance(Duration::from_secs(20 * 60));
    site.drain().await;
    let table = site.table().await;
    let left = |what: &str| table.iter().filter(|row| row["sk"].as_str().unwrap().contains(what)).count();
    assert_eq!((left("FEED#"), left("NAME#")), (0, 0));
}

#[tokio::test]
async fn a_deleted_actor_leaves_nothing_of_its_peers() {
    let (site, clock) = site().await;
    let ann = Follower::subscribed(&site, "peer").await;
    ann.call(&ann.source.change("n", json!(1))).await.expect(204);
    ann.me.owner.delete("").await.expect(204);
    ann.call(&ann.source.change("n", json!(2))).await.problem(404);
    for _ in 0..4 {
        clock.advance(Duration::from_secs(20 * 60));
        site.drain().await;
    }
    let table = site.table().await;
    assert!(!table.iter().any(|row| row["pk"].as_str().unwrap().contains("#R#")), "{table:?}");
    assert!(!table.iter().any(|row| row["pk"].as_str().unwrap().starts_with("DUE#")), "{table:?}");
}

#[tokio::test]
async fn granted_rights_are_kept_in_the_order_the_peer_gave_them_and_revoked_data_is_forgotten() {
    let told: Arc<Mutex<Vec<Value>>> = Arc::default();
    let seen = Arc::clone(&told);
    let app = app().callback("permissions", move |actingweb_hooks::Input(changes): actingweb_hooks::Input<Value>| {
        seen.lock().unwrap().push(changes);
        Ok::<_, HookError>(Value::Null)
    });
    let clock = FakeClock::new();
    let site = Site::with_clock(app, Arc::new(clock.clone())).await;
    let ann = Follower::subscribed(&site, "peer").await;
    for (name, value) in [("public", json!({ "a": 1 })), ("private", json!("x")), ("notes", json!([1]))] {
        ann.call(&ann.source.change(name, value)).await.expect(204);
    }
    let grant = |at: &str, patterns: Value| {
        let rules = json!({ "patterns": patterns, "operations": ["read"] });
        let data = json!({ "properties": rules, "methods": null });
        let body = json!({ "id": "peer", "target": "permissions", "type": "permission", "timestamp": at, "data": data });
        Answer::of(ann.as_peer(Method::POST, "/callbacks/permissions/peer").json(&body))
    };
    clock.advance(Duration::from_secs(3600));
    grant("2026-01-01T00:10:00Z", json!(["*"])).await.expect(204);
    assert_eq!(ann.kept().await.as_object().unwrap().len(), 3);
    grant("2026-01-01 00:20:00.000000", json!(["public/*"])).await.expect(204);
    assert_eq!(ann.kept().await, json!({ "public": { "a": 1 } }));
    grant("2026-01-01T00:15:00Z", json!(["*"])).await.expect(204);
    let stored = ann.me.store().grant(&ann.me.id, &ann.peer).await.unwrap().unwrap();
    assert!(stored.permissions.contains("public/*"), "what is older counts no more");
    let told = told.lock().unwrap().clone();
    assert_eq!(told.len(), 2);
    assert_eq!(told[1]["granting_actor_id"], "peer");

    // Granted again, it is read again.
    grant("2026-01-01T00:30:00Z", json!(["*"])).await.expect(204);
    clock.advance(AFTER_A_GAP);
    site.drain().await;
    assert_eq!(ann.kept().await, json!({ "notes": [1], "private": "x", "public": { "a": 1 } }));
}
