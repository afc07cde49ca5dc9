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

/// What a hook was told: number and data, and what it then read.
type Told = (u64, Option<Value>, Value);

pub(crate) const AFTER_A_GAP: Duration = Duration::from_secs(6);

pub(crate) fn app() -> App {
    App::new("urn:actingweb:example.com:receiving")
}

pub(crate) async fn site() -> (Site, FakeClock) {
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
async fn a_peer_that_tells_too_much_is_kept_up_to_a_bound_and_its_rights_still_count() {
    let (site, _) = site().await;
    let ann = Follower::subscribed(&site, "peer").await;
    let value = |letter: &str| json!(letter.repeat(340_000));
    // What changes often is no more than it is: more bytes in all than are kept.
    for _ in 0..50 {
        ann.call(&ann.source.change("p00", value("a"))).await.expect(204);
    }
    assert_eq!(ann.kept().await.as_object().unwrap().len(), 1);
    assert!(!ann.feed().await.unwrap().truncated);

    for n in 0..60 {
        ann.call(&ann.source.change(&format!("p{n:02}"), value("b"))).await.expect(204);
    }
    let feed = ann.feed().await.unwrap();
    assert!(feed.truncated && feed.queue.last() == 110, "{:?}", feed.queue.last());
    let kept = ann.kept().await;
    let names: Vec<&String> = kept.as_object().unwrap().keys().collect();
    assert!(kept.to_string().len() < 16_000_000 && names.len() > 40, "{}", names.len());
    let actor = ann.actor().await;
    let property = async |name: &str| actor.remote(&ann.peer).property(name).await.unwrap();
    assert_eq!(property("p59").await, Some(RemoteValue::TooLarge), "it is there, to be read at the peer");
    assert_eq!(property("p01").await, Some(RemoteValue::Here(value("b"))));

    // What goes makes room.
    ann.call(&ann.source.change("p01", json!(""))).await.expect(204);
    ann.call(&ann.source.change("p59", value("c"))).await.expect(204);
    assert_eq!(property("p59").await, Some(RemoteValue::Here(value("c"))));

    let rights = json!({ "data": { "properties": { "patterns": ["p59"], "operations": ["read"] } } });
    Answer::of(ann.as_peer(Method::POST, "/callbacks/permissions/peer").json(&rights)).await.expect(204);
    assert_eq!(ann.kept().await.as_object().unwrap().keys().collect::<Vec<_>>(), ["p59"]);
}

#[tokio::test]
async fn all_that_is_kept_can_be_forgotten_at_once_and_is_read_anew() {
    let (site, _) = site().await;
    let ann = Follower::subscribed(&site, "peer").await;
    ann.call(&ann.source.change("color", json!("red"))).await.expect(204);
    let actor = ann.actor().await;
    let seen = ann.feed().await.unwrap();
    ann.me.store().forget_remote(&ann.me.id, &seen).await.unwrap();
    assert_eq!(ann.kept().await, json!({}));
    assert_eq!(actor.remote(&ann.peer).property("color").await.unwrap(), None);
    let left = ann.me.store().remote(&ann.me.id, &seen).await.unwrap();
    assert_eq!(left.len(), 1, "the rows themselves go to the worker");
    assert_eq!(site.drain().await.failed, 0);
    assert!(ann.me.store().remote(&ann.me.id, &seen).await.unwrap().is_empty());
    assert_eq!(ann.kept().await, json!({ "color": "red" }));
}

#[tokio::test]
async fn rights_that_go_take_everything_along_when_it_is_too_much_to_look_at() {
    let (site, _) = site().await;
    let ann = Follower::subscribed(&site, "peer").await;
    for name in ["color", "secret"] {
        ann.call(&ann.source.change(name, json!("red"))).await.expect(204);
    }
    let table = site.table().await;
    let row = table.iter().find(|row| row["name"] == "secret" && row["value"] == "\"red\"").unwrap();
    let large = json!("x".repeat(390_000)).to_string();
    for n in 0..55 {
        let name = format!("p{n:02}");
        let sort_key = row["sk"].as_str().unwrap().replace("secret", &name);
        let mut item = json!({ "pk": { "S": row["pk"] }, "sk": { "S": sort_key }, "v": { "N": row["v"] } });
        for (key, value) in [("name", name.as_str()), ("kind", "value"), ("value", large.as_str())] {
            item[key] = json!({ "S": value });
        }
        site.put_item(&item).await;
    }
    let actor = ann.actor().await;
    assert!(actor.remote(&ann.peer).properties().await.is_err(), "more than can be read at once");

    let rights = json!({ "data": { "properties": { "patterns": ["color"], "operations": ["read"] } } });
    Answer::of(ann.as_peer(Method::POST, "/callbacks/permissions/peer").json(&rights)).await.expect(204);
    assert_eq!(actor.remote(&ann.peer).property("secret").await.unwrap(), None, "forgotten");
    ann.source.change_silently("secret", json!(""));
    assert_eq!(site.drain().await.failed, 0);
    assert_eq!(ann.kept().await["color"], "red", "and what may be read was read anew");
}

#[tokio::test]
async fn hooks_are_told_in_order_after_it_was_stored_and_their_failures_change_nothing() {
    let told: Arc<Mutex<Vec<Told>>> = Arc::default();
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
    let expected =
        [(1, Some(json!({ "n": 1 })), json!(2)), (2, Some(json!({ "n": 2 })), json!(2)), (3, None, json!(2))];
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
        let body =
            json!({ "id": "peer", "target": "permissions", "type": "permission", "timestamp": at, "data": data });
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

#[tokio::test]
async fn tests_written_for_the_python_library_find_what_they_look_for() {
    let site = Site::with_devtest(app()).await;
    let ann = Follower::subscribed(&site, "peer").await;
    let owner = &ann.me.owner;
    let state = "/devtest/attributes/_callback_state";
    let first = ann.source.change("color", json!("red"));
    ann.call(&ann.source.change("cfg", json!({ "x": 1 }))).await.expect(204);
    let pending = format!("{state}/pending:peer:{SUBSCRIPTION}");
    let waits = owner.get(&pending).await.expect(200).json();
    assert_eq!(waits["data"]["callbacks"][0]["sequence"], 2);
    ann.call(&first).await.expect(204);
    owner.get(&pending).await.problem(404);
    let progress = owner.get(&format!("{state}/state:peer:{SUBSCRIPTION}")).await.expect(200).json();
    assert_eq!(progress["data"], json!({ "last_seq": 2, "resync_pending": false }));
    let color = owner.get("/devtest/attribute/remote:peer/color").await.expect(200).json();
    assert_eq!(color, json!({ "data": { "value": "red" } }));
    let all = owner.get("/devtest/attributes/remote:peer").await.expect(200).json();
    assert_eq!(all, json!({ "cfg": { "data": { "x": 1 } }, "color": { "data": { "value": "red" } } }));
    owner.get("/devtest/attribute/remote:nobody").await.problem(404);
}
