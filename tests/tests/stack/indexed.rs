//! Indexed properties: whatever happens to a value, its look-up row fits it, and only living actors are found by it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actingweb_actor::{Credentials, Presented};
use actingweb_hooks::{Actor, App, Directory, HookError, Input};
use actingweb_protocol::{ActorId, Deadline, Name, sha256_hex};
use actingweb_store::Wanted;
use actingweb_testkit::fakes::FakeClock;
use actingweb_tests::{Faults, Owner, Site};
use futures_util::future::{join, join_all};
use reqwest::Method;
use serde_json::{Value, json};

fn app() -> App {
    App::new("urn:actingweb:example.com:indexed")
        .indexed("email")
        .indexed("phone")
        .method("find", find)
        .method("rename", async |Input(email): Input<String>, actor: Actor| {
            actor.set_property("email", email).await?;
            Ok::<_, HookError>(json!({}))
        })
        .method("forget", async |actor: Actor| {
            actor.delete_property("email").await?;
            Ok::<_, HookError>(json!({}))
        })
}

async fn find(Input(asked): Input<[String; 2]>, directory: Directory) -> Result<Value, HookError> {
    let [property, value] = asked;
    let (mut ids, mut parts, mut next) = (Vec::new(), 0, None);
    loop {
        let found = match &next {
            None => directory.find(&property, &value).await?,
            Some(last) => directory.find_after(&property, &value, last).await?,
        };
        parts += 1;
        ids.extend(found.actors.iter().map(|actor| actor.id().to_string()));
        next = found.next;
        if next.is_none() {
            return Ok(json!({ "ids": ids, "parts": parts }));
        }
    }
}

/// The ids of the actors that a hook of `asker` finds, in its order.
async fn found(asker: &Owner, property: &str, value: &str) -> Vec<String> {
    let answer = asker.post("/methods/find", &json!([property, value])).await.expect(200).json();
    serde_json::from_value(answer["ids"].clone()).unwrap()
}

/// Asserts that there is a look-up row for each value that is found, and no other; gives the number of them.
async fn check_lookups(site: &Site) -> usize {
    let table = site.table().await;
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let rows: BTreeSet<(String, String)> = table
        .iter()
        .filter(|row| text(row, "pk").starts_with("L#prop#"))
        .map(|row| (text(row, "pk"), text(row, "sk")))
        .collect();
    let values: BTreeSet<(String, String)> = table
        .iter()
        .filter_map(|row| {
            let key = text(row, "sk");
            let name =
                key.strip_prefix("PROP#")?.rsplit('#').next().filter(|name| matches!(*name, "email" | "phone"))?;
            let value = match serde_json::from_str(row["value"].as_str()?).unwrap() {
                Value::String(text) => text,
                Value::Number(number) => number.to_string(),
                _ => return None,
            };
            let actor = text(row, "pk").strip_prefix("A#")?.to_owned();
            Some((format!("L#prop#{name}#{}", sha256_hex(&value)), actor))
        })
        .collect();
    assert_eq!(rows, values, "look-up rows on the left, values on the right");
    rows.len()
}

async fn handle(site: &Site, owner: &Owner) -> Actor {
    let id = ActorId::parse(&owner.id).unwrap();
    let credentials = Credentials::default();
    let from = Presented { credentials: &credentials, address: None };
    let deadline = Deadline::after(std::time::Instant::now(), Duration::from_secs(20));
    site.state().actors.visit(&id, &from, &[], deadline).await.unwrap().unwrap().actor
}

#[tokio::test]
async fn an_actor_is_found_by_what_its_property_is_now() {
    let site = Site::of(app()).await;
    let (ann, bob) = (site.actor("ann").await, site.actor("bob").await);
    let nobody: [String; 0] = [];

    assert_eq!(found(&bob, "email", "ann@example.org").await, nobody);
    ann.put("/properties/email", &json!("ann@example.org")).await.expect(204);
    assert_eq!(found(&bob, "email", "ann@example.org").await, [ann.id.as_str()]);
    assert_eq!(found(&bob, "email", "Ann@example.org").await, nobody, "as it was written");
    assert_eq!(found(&bob, "phone", "ann@example.org").await, nobody, "another property");
    check_lookups(&site).await;

    ann.put("/properties/email", &json!("ann@example.org")).await.expect(204);
    assert_eq!(found(&bob, "email", "ann@example.org").await, [ann.id.as_str()], "written again");
    ann.put("/properties/email", &json!("new@example.org")).await.expect(204);
    assert_eq!(found(&bob, "email", "ann@example.org").await, nobody);
    assert_eq!(found(&bob, "email", "new@example.org").await, [ann.id.as_str()]);
    assert_eq!(check_lookups(&site).await, 1);

    // Neither an object nor what merges into one is found; a number is found by its text.
    ann.put("/properties/email", &json!({ "home": "new@example.org" })).await.expect(204);
    assert_eq!(check_lookups(&site).await, 0);
    ann.put("/properties/email/work", &json!("new@example.org")).await.expect(204);
    assert_eq!(found(&bob, "email", "new@example.org").await, nobody);
    ann.put("/properties/phone", &json!(4712)).await.expect(204);
    assert_eq!(found(&bob, "phone", "4712").await, [ann.id.as_str()]);
    ann.put("/properties/email", &json!("ann@example.org")).await.expect(204);
    assert_eq!(check_lookups(&site).await, 2);

    ann.delete("/properties/email").await.expect(204);
    assert_eq!(found(&bob, "email", "ann@example.org").await, nobody);
    assert_eq!(check_lookups(&site).await, 1);

    // A hook's own writes, which read nothing before.
    for email in ["one", "two", "two", "three"] {
        ann.post("/methods/rename", &json!(email)).await.expect(200);
        assert_eq!(found(&bob, "email", email).await, [ann.id.as_str()]);
        assert_eq!(check_lookups(&site).await, 2);
    }
    for _ in 0..2 {
        ann.post("/methods/forget", &json!({})).await.expect(200);
        assert_eq!(check_lookups(&site).await, 1);
    }
    let refused = bob.post("/methods/find", &json!(["color", "blue"])).await.problem(500);
    assert!(!refused.body.contains("indexed"), "how to mend it is for the log: {}", refused.body);
}

#[tokio::test]
async fn writes_of_many_properties_take_their_look_up_rows_along() {
    let site = Site::of(app()).await;
    let (ann, bob) = (site.actor("ann").await, site.actor("bob").await);
    ann.post("/properties", &json!({ "email": "a", "phone": "1", "color": "blue" })).await.expect(201);
    assert_eq!(check_lookups(&site).await, 2);
    ann.post("/properties", &json!({ "email": "b", "phone": { "home": "1" }, "color": "red" })).await.expect(201);
    assert_eq!(check_lookups(&site).await, 1);
    assert_eq!(found(&bob, "email", "b").await, [ann.id.as_str()]);

    // As many as a transaction holds beside the change log, look-up rows included; one more is refused as a whole, with the reason.
    let many = |count: usize| {
        let others = (0..count).map(|n| (format!("p{n}"), json!(n)));
        let indexed = [("email".to_owned(), json!("c")), ("phone".to_owned(), json!("2"))];
        Value::Object(others.chain(indexed).collect())
    };
    let refused = ann.post("/properties", &many(94)).await.problem(400);
    assert!(refused.detail().contains("99 items"), "{}", refused.detail());
    assert_eq!(found(&bob, "email", "b").await, [ann.id.as_str()]);
    ann.post("/properties", &many(93)).await.expect(201);
    assert_eq!(check_lookups(&site).await, 2);

    ann.post("/properties", &json!({ "notes": { "_type": "list" } })).await.expect(201);
    ann.delete("/properties").await.expect(204);
    assert_eq!(ann.get("/properties").await.expect(200).json(), json!({}));
    assert_eq!(check_lookups(&site).await, 0);

    // Under the same name, a list.
    ann.put("/properties/email", &json!("d")).await.expect(204);
    ann.post("/properties", &json!({ "email": { "_type": "list" } })).await.problem(409);
    ann.delete("/properties/email").await.expect(204);
    ann.post("/properties", &json!({ "email": { "_type": "list" } })).await.expect(201);
    ann.post("/properties/email", &json!("d")).await.expect(201);
    assert_eq!(found(&bob, "email", "d").await, [""; 0]);
    ann.post("/methods/rename", &json!("e")).await.problem(400);
    ann.delete("/properties").await.expect(204);
    assert_eq!(check_lookups(&site).await, 0);
}

#[tokio::test]
async fn a_deleted_actor_is_not_found_and_leaves_no_look_up_row() {
    let clock = FakeClock::new();
    let site = Site::with_clock(app(), Arc::new(clock.clone())).await;
    let (ann, bob) = (site.actor("ann").await, site.actor("bob").await);
    ann.post("/properties", &json!({ "email": "ann", "phone": "1", "color": "blue" })).await.expect(201);
    let late = handle(&site, &ann).await;

    // What is on its way to storage all the while comes too late.
    let held = site.meter().hold_calls("TransactWriteItems", 1);
    let write = late.set_property("email", "ann");
    let ending = async {
        held.arrived().await;
        ann.delete("").await.expect(204);
        assert_eq!(found(&bob, "email", "ann").await, [""; 0], "from the tombstone on");
        assert_eq!(check_lookups(&site).await, 2, "nothing was removed yet");

        // The worker dies at the first thing it would remove; the next one goes on.
        site.meter().inject(Faults::always_throttle().on(["TransactWriteItems", "BatchWriteItem"]));
        let deadline = Deadline::after(std::time::Instant::now(), Duration::from_millis(5_100));
        assert_eq!(actingweb_worker::drain(site.state(), deadline).await.unwrap().failed, 1);
        site.meter().heal();
        clock.advance(Duration::from_secs(121));
        site.drain().await;
        assert_eq!(check_lookups(&site).await, 0);
        held.release();
    };
    // Acknowledged or not, by how long that took.
    let _ = tokio::join!(write, ending);
    assert_eq!(found(&bob, "email", "ann").await, [""; 0]);
    assert_eq!(check_lookups(&site).await, 1);
    clock.advance(Duration::from_secs(16 * 60));
    site.drain().await;
    assert_eq!(check_lookups(&site).await, 0);
    let left = site.table().await;
    assert_eq!(left.iter().filter(|row| row["pk"] == format!("A#{}", ann.id)).count(), 1, "only the tombstone");
}

#[tokio::test]
async fn a_property_that_is_no_longer_indexed_takes_its_look_up_row_along() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let id = ActorId::parse(&ann.id).unwrap();
    let before = site.state().actors.store();
    let after = before.indexing([]);
    let furnish = || async { ann.post("/properties", &json!({ "email": "ann", "phone": 1 })).await.expect(201) };

    furnish().await;
    let record = before.load(&id, Wanted::default()).await.unwrap().actor.unwrap();
    let unindexed = Actor::new(record, after);
    unindexed.set_property("email", "other").await.unwrap();
    unindexed.delete_property("phone").await.unwrap();
    let rows = || async { site.table().await.iter().filter(|row| row["pk"].to_string().contains("L#prop")).count() };
    assert_eq!(rows().await, 0);
    furnish().await;
    assert_eq!(check_lookups(&site).await, 2, "indexed again, found again");
    unindexed.delete_properties().await.unwrap();
    assert_eq!(rows().await, 0);
}

#[tokio::test]
async fn actors_that_say_the_same_are_all_found_part_by_part() {
    let site = Site::of(app()).await;
    let mut ids = Vec::new();
    for n in 0..60 {
        let actor = site.actor(&format!("creator{n}")).await;
        actor.put("/properties/phone", &json!("4711")).await.expect(204);
        ids.push((actor.id.clone(), actor));
    }
    ids.sort_by(|a, b| a.0.cmp(&b.0));
    // One says something else, one is deleted.
    ids.remove(7).1.put("/properties/phone", &json!("4712")).await.expect(204);
    ids.remove(31).1.delete("").await.expect(204);
    let asker = &ids[0].1;
    let answer = asker.post("/methods/find", &json!(["phone", "4711"])).await.expect(200).json();
    let expected: Vec<&String> = ids.iter().map(|(id, _)| id).collect();
    assert_eq!(answer, json!({ "ids": expected, "parts": 2 }));

    let directory = Directory::new(site.state().actors.store().clone());
    let only = |value: &'static str| {
        let directory = directory.clone();
        async move { directory.find("phone", value).await.unwrap().only().is_some() }
    };
    assert!(only("4712").await);
    assert!(!only("4711").await && !only("4713").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_writers_leave_one_look_up_row_that_fits() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let write = |n: usize| {
        let (ann, email) = (&ann, format!("writer{n}"));
        async move {
            match n % 4 {
                0 => ann.put("/properties/email", &json!(email)).await.expect(204),
                1 => ann.post("/properties", &json!({ "email": email, "color": n })).await.expect(201),
                2 => ann.post("/methods/rename", &json!(email)).await.expect(200),
                _ => ann.delete("/properties/email").await.expect(204),
            };
        }
    };
    for _ in 0..3 {
        join_all((0..20).map(write)).await;
        assert!(check_lookups(&site).await <= 1);
    }
    // Writers, and somebody who deletes everything.
    for _ in 0..3 {
        join(join_all((0..20).map(write)), join_all((0..4).map(|_| ann.delete("/properties")))).await;
        assert!(check_lookups(&site).await <= 1);
    }
    ann.put("/properties/email", &json!("last")).await.expect(204);
    assert_eq!(check_lookups(&site).await, 1);
    assert_eq!(found(&ann, "email", "last").await, [ann.id.as_str()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_storage_part_no_value_from_its_look_up_row() {
    let faults = [
        Faults { transaction_conflict: 0.4, seed: 1, ..Faults::default() },
        Faults { drop_reply_after_apply: 0.3, server_error: 0.1, seed: 2, ..Faults::default() },
        Faults { throttle: 0.3, unprocessed_keys: 0.3, seed: 3, ..Faults::default() },
    ];
    for faults in faults {
        let site = Site::limited(app(), Duration::from_millis(5_600)).await;
        let actors = join_all((0..4).map(|n| site.actor(["a", "b", "c", "d"][n]))).await;
        site.meter().inject(faults);
        join_all(actors.iter().map(|actor| async move {
            for round in 0..6 {
                actor.put("/properties/email", &json!(format!("e{}", round % 2))).await;
                actor.post("/properties", &json!({ "email": round, "phone": "same" })).await;
                actor.delete("/properties/phone").await;
                actor.post("/methods/rename", &json!("renamed")).await;
                if round == 3 {
                    actor.delete("/properties").await;
                }
            }
        }))
        .await;
        let faulted = site.meter().calls().faulted();
        site.meter().heal();
        assert!(faulted > 10, "only {faulted} calls met a fault");
        check_lookups(&site).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_changes_during_the_search_is_not_found() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    ann.put("/properties/email", &json!("before")).await.expect(204);
    let actor = handle(&site, &ann).await;
    let directory = Directory::new(site.state().actors.store().clone());

    // With a change log, whose place the handle knows, a write is one call.
    actor.suspend("nothing", None).await.unwrap();
    actor.set_property("color", "blue").await.unwrap();

    // The search learns its candidates late: meanwhile they have changed.
    let name = Name::parse("email").unwrap();
    let seen = actor.stored(&name).await.unwrap();
    site.meter().reset();
    site.meter().inject(Faults::latency(Duration::from_millis(300)));
    let change = async {
        while site.meter().calls().count_of("Query") == 0 {
            tokio::task::yield_now().await;
        }
        actor.write_property(&name, &json!("after"), seen.as_ref()).await.unwrap();
    };
    let (found, ()) = join(Box::pin(directory.find("email", "before")), change).await;
    site.meter().heal();
    assert_eq!(found.unwrap().actors.len(), 0);
}

#[tokio::test]
async fn what_an_indexed_property_costs() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let cost = |method: Method, path: &'static str, body: Value, operations: &'static [&'static str]| {
        let (site, ann) = (&site, &ann);
        async move {
            let request = ann.request(method.clone(), path).json(&body);
            let (answer, calls) = site.meter().measure(actingweb_tests::Answer::of(request)).await;
            assert!(answer.status < 300, "{}: {}", answer.request, answer.body);
            assert_eq!(calls.operations(), operations, "{method} {path} {body}");
        }
    };
    let (put, post, delete) = (Method::PUT, Method::POST, Method::DELETE);
    let together = &["BatchGetItem", "TransactWriteItems"];
    cost(put.clone(), "/properties/email", json!("a"), together).await;
    cost(put.clone(), "/properties/email", json!("b"), together).await;
    cost(put.clone(), "/properties/email", json!("b"), &["BatchGetItem", "PutItem"]).await;
    cost(put.clone(), "/properties/email", json!({ "home": "b" }), together).await;
    cost(put.clone(), "/properties/email/work", json!("b"), &["BatchGetItem", "PutItem"]).await;
    cost(put.clone(), "/properties/email", json!("c"), together).await;
    cost(post.clone(), "/properties", json!({ "email": "d", "color": 1 }), together).await;
    cost(delete.clone(), "/properties/email", Value::Null, together).await;
    // A hook that has read nothing: one call where nothing was, two where the old value must be learnt.
    cost(post.clone(), "/methods/rename", json!("e"), together).await;
    let learnt = &["BatchGetItem", "TransactWriteItems", "TransactWriteItems"];
    cost(post.clone(), "/methods/rename", json!("f"), learnt).await;
    cost(post.clone(), "/methods/find", json!(["email", "f"]), &["BatchGetItem", "Query", "BatchGetItem"]).await;
    cost(post.clone(), "/methods/find", json!(["email", "g"]), &["BatchGetItem", "Query"]).await;
    // Everything else costs what it cost.
    cost(put.clone(), "/properties/color", json!("a"), &["BatchGetItem", "PutItem"]).await;
    cost(put, "/properties/color", json!("b"), &["BatchGetItem", "PutItem"]).await;
    cost(delete, "/properties/color", Value::Null, &["BatchGetItem", "DeleteItem"]).await;
}
