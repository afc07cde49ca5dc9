//! The end of an actor: at once for everybody, complete in the end, resumable in between.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actingweb_hooks::EventKind::{ActorDeleted, ActorDeletedComplete};
use actingweb_hooks::{Actor, App, HookError};
use actingweb_protocol::Clock as _;
use actingweb_protocol::subscription::{Granularity, Scope};
use actingweb_store::{Fact, FactRecord, NoticeKind};
use actingweb_testkit::fakes::FakeClock;
use actingweb_tests::{Answer, Faults, Follower, Owner, Site};
use reqwest::Method;
use serde_json::{Value, json};

#[derive(Clone, Debug, Default)]
struct Told(Arc<Mutex<Vec<String>>>, Arc<AtomicUsize>);

fn app(told: &Told) -> App {
    let (before, after) = (told.clone(), told.clone());
    App::new("urn:actingweb:example.com:deletion")
        .method("remember", async |actor: Actor| {
            actor.set_attribute("bucket", "name", json!(1), None).await?;
            Ok::<_, HookError>(json!({}))
        })
        .on(ActorDeleted, move |actor: Actor| {
            let told = before.clone();
            async move {
                let color = actor.property("color").await?;
                told.0.lock().unwrap().push(format!("{} still has {color:?}", actor.creator()));
                Ok::<(), HookError>(())
            }
        })
        .on(ActorDeletedComplete, move || {
            after.1.fetch_add(1, Ordering::SeqCst);
            Ok::<(), HookError>(())
        })
}

async fn furnish(site: &Site, properties: usize) -> Owner {
    let ann = site.actor("ann").await;
    let names: Vec<usize> = (0..properties).collect();
    for chunk in names.chunks(97) {
        let values: serde_json::Map<_, _> = chunk.iter().map(|n| (format!("p{n}"), json!(n))).collect();
        ann.post("/properties", &values.into()).await.expect(201);
    }
    ann.put("/properties/color", &json!("blue")).await.expect(204);
    ann.post("/methods/remember", &json!({})).await.expect(200);
    ann
}

/// Every item of the table, read behind the program's back.
async fn items(site: &Site) -> Vec<Value> {
    site.table().await
}

#[tokio::test]
async fn a_deleted_actor_is_gone_at_once_and_leaves_only_its_tombstone() {
    let (told, clock) = (Told::default(), FakeClock::new());
    let site = Site::with_clock(app(&told), Arc::new(clock.clone())).await;
    let (ann, bob) = (furnish(&site, 300).await, site.actor("bob").await);
    bob.put("/properties/color", &json!("red")).await.expect(204);

    ann.delete("").await.expect(204);
    for path in ["", "/properties", "/properties/color", "/methods", "/meta"] {
        ann.get(path).await.problem(404);
    }
    ann.put("/properties/color", &json!("late")).await.problem(404);
    ann.delete("").await.problem(404);

    assert_eq!(site.drain().await.done, 1);
    assert_eq!(*told.0.lock().unwrap(), ["ann still has Some(String(\"blue\"))"]);
    assert_eq!(told.1.load(Ordering::SeqCst), 1);
    let of_ann = |items: &[Value]| items.iter().filter(|item| item["pk"] == format!("A#{}", ann.id)).count();
    assert_eq!(of_ann(&items(&site).await), 1);

    assert_eq!(site.drain().await.done, 0, "the last look is not due yet");
    clock.advance(Duration::from_secs(16 * 60));
    assert_eq!(site.drain().await.done, 1);
    let rest = items(&site).await;
    assert_eq!(of_ann(&rest), 1);
    assert!(!rest.iter().any(|item| item["pk"].as_str().is_some_and(|pk| pk.starts_with("DUE#"))), "{rest:?}");
    let text = Value::from(rest).to_string();
    assert!(!text.contains("ann"), "the tombstone knows no more than the id");
    assert_eq!(bob.get("/properties/color").await.expect(200).body, "red");
    assert_eq!(told.1.load(Ordering::SeqCst), 1, "told once");
}

#[tokio::test]
async fn a_deletion_that_died_half_way_is_resumed() {
    let (told, clock) = (Told::default(), FakeClock::new());
    let site = Site::with_clock(app(&told), Arc::new(clock.clone())).await;
    let ann = furnish(&site, 200).await;
    ann.delete("").await.expect(204);

    // The engine goes away after a few deletions; the job stays due, leased by the worker that died.
    site.meter().inject(Faults::always_throttle().on(["BatchWriteItem"]));
    let deadline = actingweb_protocol::Deadline::after(std::time::Instant::now(), Duration::from_millis(5_200));
    let drained = actingweb_worker::drain(site.state(), deadline).await.unwrap();
    assert_eq!((drained.done, drained.failed), (0, 1));
    site.meter().heal();

    assert_eq!(site.drain().await.done, 0, "it is leased");
    clock.advance(Duration::from_secs(121));
    assert_eq!(site.drain().await.done, 1);
    assert_eq!(told.0.lock().unwrap().len(), 1, "the hooks are told once");
    let left = items(&site).await;
    assert_eq!(left.iter().filter(|item| item["pk"] == format!("A#{}", ann.id)).count(), 1);
}

#[tokio::test]
async fn what_a_request_under_way_wrote_too_late_goes_at_the_last_look() {
    let (told, clock) = (Told::default(), FakeClock::new());
    let site = Site::with_clock(app(&told), Arc::new(clock.clone())).await;
    let ann = furnish(&site, 1).await;
    let id = actingweb_protocol::ActorId::parse(&ann.id).unwrap();
    let credentials = actingweb_actor::Credentials::default();
    let from = actingweb_actor::Presented { credentials: &credentials, address: None };
    let deadline = actingweb_protocol::Deadline::after(std::time::Instant::now(), Duration::from_secs(20));
    let visit = site.state().actors.visit(&id, &from, &[], deadline).await.unwrap().unwrap();

    let held = site.meter().hold_calls("PutItem", 1);
    let late = visit.actor.set_property("late", json!("write"));
    let ending = async {
        held.arrived().await;
        ann.delete("").await.expect(204);
        site.drain().await;
        held.release();
    };
    // Acknowledged or not, by how long that took.
    let _ = tokio::join!(late, ending);
    Answer::of(ann.request(Method::GET, "/properties/late")).await.problem(404);
    clock.advance(Duration::from_secs(16 * 60));
    assert_eq!(site.drain().await.done, 1);
    let left = items(&site).await;
    assert_eq!(left.iter().filter(|item| item["pk"] == format!("A#{}", ann.id)).count(), 1);
}

#[tokio::test]
async fn an_actor_with_much_leaves_no_more_than_one_with_little() {
    leaves_only_its_tombstone(1_000).await;
}

#[tokio::test]
#[ignore = "takes minutes: .ci/long runs it"]
async fn an_actor_with_very_much_leaves_no_more_either() {
    leaves_only_its_tombstone(10_000).await;
}

/// Deletes an actor with so many properties and a list of so many items, by workers that die.
async fn leaves_only_its_tombstone(size: usize) {
    let (told, clock) = (Told::default(), FakeClock::new());
    let site = Site::with_clock(app(&told), Arc::new(clock.clone())).await;
    let ann = site.actor("ann").await;
    crate::budgets::fill(&ann, size).await;
    crate::budgets::fill_list(&ann, size).await;
    ann.delete("").await.expect(204);

    // Storage fails again and again, each worker dies somewhere else, and another goes on.
    let mut rounds = 0;
    loop {
        let faults = Faults { throttle: 0.6, seed: rounds, ..Faults::default() };
        site.meter().inject(faults.on(["Query", "BatchWriteItem", "TransactWriteItems"]));
        let deadline = actingweb_protocol::Deadline::after(std::time::Instant::now(), Duration::from_millis(5_100));
        let drained = actingweb_worker::drain(site.state(), deadline).await;
        site.meter().heal();
        if drained.is_ok_and(|drained| drained.done == 1) || rounds == 3 {
            break;
        }
        clock.advance(Duration::from_secs(121));
        rounds += 1;
    }
    clock.advance(Duration::from_secs(121));
    site.drain().await;
    clock.advance(Duration::from_secs(16 * 60));
    site.drain().await;
    let left = items(&site).await;
    assert_eq!(left.len(), 1, "only the tombstone: {:?}", left.first());
    assert!(rounds > 0, "no worker died");
}

#[tokio::test]
async fn an_actor_that_knew_many_leaves_only_its_tombstone() {
    let clock = FakeClock::new();
    let app = App::new("urn:actingweb:example.com:deletion").indexed("email");
    let site = Site::with_clock(app, Arc::new(clock.clone())).await;
    let ann = Follower::new(&site, "source").await;
    clock.advance(Duration::from_secs(2));
    ann.subscribe(Scope::target("properties")).await.unwrap();
    ann.call(&ann.source.change("color", json!("blue"))).await.expect(204);
    ann.source.change("missed", json!(1));
    ann.call(&ann.source.change("early", json!(2))).await.expect(204);
    let grant =
        json!({ "id": "source", "target": "permissions", "type": "permission", "data": { "properties": null } });
    Answer::of(ann.as_peer(Method::POST, "/callbacks/permissions/source").json(&grant)).await.expect(204);
    // Peers that follow it: one that polls, one that nobody can reach, one that waits for an answer.
    let me = &ann.me;
    let away = me.befriend("away", "http://127.0.0.1:9/away").await;
    me.subscribe(&away, Scope::target("properties")).await;
    me.subscribe_with(&ann.peer, Scope::target("properties"), Granularity::None).await;
    let waiting = me.befriend("waiting", "http://127.0.0.1:9/waiting").await;
    let tomorrow = clock.now().plus(Duration::from_secs(24 * 3600));
    me.change_trust(&waiting, |trust| (trust.approved, trust.expires) = (false, Some(tomorrow))).await;
    me.owe(&away, NoticeKind::Permissions, ("POST", "callbacks/permissions/ann"), Some("{}")).await;
    let known = FactRecord { fact: Fact::Profile, value: json!({}), fetched_at: clock.now(), trust_since: clock.now() };
    me.store().put_fact(&me.id, &away, &known).await.unwrap();
    // What it has of its own.
    me.change("email", &json!("ann@example.org")).await;
    me.owner.post("/properties", &json!({ "notes": { "_type": "list" } })).await.expect(201);
    me.owner.post("/properties/notes", &json!("one")).await.expect(201);
    let actor = ann.actor().await;
    actor.set_attribute("bucket", "name", json!(1), None).await.unwrap();
    Answer::of(me.owner.anonymous(Method::GET, "/properties").basic_auth("ann", Some("wrong"))).await.problem(403);
    me.deliver().await;

    let kinds = |rows: &[Value]| -> BTreeSet<String> {
        let own = rows.iter().filter(|row| row.to_string().contains(&me.owner.id));
        let kind = |row: &Value| {
            let (pk, sk) = (row["pk"].as_str().unwrap(), row["sk"].as_str().unwrap());
            let of = if pk == format!("A#{}", me.id) { sk } else { pk };
            of.replace(me.id.as_str(), "*")
                .split('#')
                .take(if of.starts_with("A#") { 3 } else { 1 })
                .collect::<Vec<_>>()
                .join("#")
        };
        own.map(kind).collect()
    };
    let before = kinds(&items(&site).await);
    for kind in [
        "ACTOR",
        "PROP",
        "ATTR",
        "TRUST",
        "CRED",
        "PEND",
        "OUT",
        "FEED",
        "SUBSCRIBING",
        "GRANT",
        "KNOWN",
        "LOG",
        "CHG",
        "SUB",
        "DIFF",
        "FAIL",
        "L",
        "DUE",
        "A#*#L",
        "A#*#R",
    ] {
        assert!(before.contains(kind), "no {kind} in {before:?}");
    }
    me.owner.delete("").await.expect(204);
    for minutes in [0, 3, 16, 60, 24 * 60] {
        clock.advance(Duration::from_secs(minutes * 60));
        assert_eq!(site.drain().await.failed, 0);
    }
    let rest = items(&site).await;
    assert_eq!(kinds(&rest), BTreeSet::from(["ACTOR".to_owned()]), "{rest:?}");
}
