//! What an actor's peers tell it and what it then has to ask for: missing diffs, and everything anew.

use std::time::Duration;

use actingweb_protocol::subscription::Scope;
use actingweb_tests::{Faults, Follower};
use serde_json::{Value, json};

use crate::receiving::{AFTER_A_GAP, site};

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
            let mut values: Vec<String> =
                all.into_values().map(|value| value.here().unwrap().as_str().unwrap().trim().to_owned()).collect();
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
async fn storage_that_fails_and_loses_replies_makes_nothing_count_twice_or_not_at_all() {
    let (site, clock) = site().await;
    let ann = Follower::subscribed(&site, "peer").await;
    let faults = Faults {
        throttle: 0.1,
        transaction_conflict: 0.2,
        drop_reply_after_apply: 0.2,
        unprocessed_keys: 0.2,
        seed: 7,
        ..Faults::default()
    };
    site.meter().inject(faults);
    for n in 0..30 {
        let callback = ann.source.append("notes", json!(n));
        // Some are lost on the way; what is refused is sent again.
        while n % 7 != 3 && ann.call(&callback).await.status == 503 {}
    }
    assert!(site.meter().calls().faulted() > 10);
    clock.advance(AFTER_A_GAP);
    site.drain().await;
    site.meter().heal();
    clock.advance(Duration::from_secs(121));
    site.drain().await;
    assert_eq!(ann.kept().await, json!({ "notes": (0..30).collect::<Vec<_>>() }));
    assert_eq!(ann.feed().await.unwrap().queue.last(), 30);
}

#[tokio::test]
async fn the_end_of_a_subscription_that_is_read_anew_meanwhile_leaves_nothing_of_the_peers() {
    let (site, clock) = site().await;
    let ann = Follower::subscribed(&site, "peer").await;
    ann.call(&ann.source.change("color", json!("blue"))).await.expect(204);
    let seen = ann.feed().await.unwrap();
    ann.call(&ann.source.resync()).await.expect(204);
    assert!(ann.me.store().end_feed(&ann.me.id, &seen, None).await.unwrap());
    assert!(!ann.me.store().end_feed(&ann.me.id, &seen, None).await.unwrap(), "it has ended");
    clock.advance(Duration::from_secs(3600));
    site.drain().await;
    let left: Vec<Value> = site.table().await;
    let of_peer = |row: &&Value| row["pk"].as_str().is_some_and(|pk| pk.contains("#R#"));
    assert_eq!(left.iter().filter(of_peer).count(), 0, "{left:?}");
}
