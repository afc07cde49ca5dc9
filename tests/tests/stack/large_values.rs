//! Large values: whatever happens to a property, its text and the note of it come and go with it, and nobody reads one
//! write's property with another's text.

use std::collections::BTreeMap;
use std::time::Duration;

use actingweb_hooks::{Actor, App, HookError, Input};
use actingweb_tests::{Answer, Faults, Owner, Site};
use futures_util::future::{join, join_all};
use reqwest::Method;
use serde_json::{Value, json};

use crate::list_model::Dice;

fn app() -> App {
    App::new("urn:actingweb:example.com:large")
        .indexed("b")
        .method("set", async |Input((name, value)): Input<(String, Value)>, actor: Actor| {
            actor.set_property(&name, value).await?;
            Ok::<_, HookError>(json!({}))
        })
        .method("forget", async |Input(name): Input<String>, actor: Actor| {
            actor.delete_property(&name).await?;
            Ok::<_, HookError>(json!({}))
        })
        .method("read", async |Input(name): Input<String>, actor: Actor| {
            Ok::<_, HookError>(actor.property(&name).await?)
        })
}

/// A text of so many bytes that names its writer.
fn long(writer: usize, bytes: usize) -> Value {
    json!(format!("{writer}:{}", char::from(b'a' + u8::try_from(writer % 26).unwrap()).to_string().repeat(bytes)))
}

/// A text as the reply to a GET shows it: without quotes.
fn shown(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.request);
    json!(answer.body)
}

/// Asserts that every large value has its text and its note, and that there are no others; gives how many there are.
async fn check_rows(site: &Site) -> usize {
    let (mut stubs, mut notes, mut texts) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for row in site.table().await {
        let (pk, sk) = (row["pk"].as_str().unwrap(), row["sk"].as_str().unwrap());
        let key = |prefix: &str| sk.strip_prefix(prefix).map(|suffix| (pk.to_owned(), suffix.to_owned()));
        let bytes = || row["text_bytes"].as_str().unwrap().parse::<usize>().unwrap();
        if let Some(key) = key("PROP#") {
            if row.get("text_bytes").is_some() {
                assert!(row.get("value").is_none(), "{row}");
                stubs.insert(key, (row["version"].clone(), bytes()));
            } else if row.get("generation").is_none() {
                assert!(row["value"].as_str().unwrap().len() < 11_000);
            }
        } else if let Some(key) = key("PROP!") {
            notes.insert(key, bytes());
        } else if let Some(key) = key("PROP$") {
            let size: usize =
                row.as_object().unwrap().iter().map(|(name, value)| name.len() + value.as_str().unwrap().len()).sum();
            // The digit of `v` counts for two bytes.
            texts.insert(key, (row["version"].clone(), size + 1));
        }
    }
    assert_eq!(texts, stubs, "texts on the left, properties on the right");
    assert_eq!(notes, stubs.iter().map(|(key, (_, bytes))| (key.clone(), *bytes)).collect(), "notes on the left");
    stubs.len()
}

#[tokio::test]
async fn a_value_grows_and_shrinks_and_takes_its_rows_along() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let paths = [("small", 10), ("large", 11_000), ("larger", 349_000), ("as large", 349_000), ("edge", 10_990)];
    for (n, (what, bytes)) in paths.into_iter().chain(paths).enumerate() {
        let value = long(n, bytes);
        ann.put("/properties/a", &value).await.expect(204);
        assert!(shown(&ann.get("/properties/a").await) == value, "{what}");
        assert_eq!(check_rows(&site).await, usize::from(bytes >= 11_000), "{what}");
        assert!(ann.get("/properties").await.expect(200).json() == json!({ "a": value }), "{what}");
        assert!(ann.post("/methods/read", &json!("a")).await.expect(200).json() == value, "{what}");
    }
    // Within an object.
    ann.put("/properties/a", &json!({ "x": long(1, 30_000), "y": 1 })).await.expect(204);
    ann.put("/properties/a/z", &long(2, 30_000)).await.expect(204);
    assert!(shown(&ann.get("/properties/a/z").await) == long(2, 30_000));
    assert_eq!(ann.get("/properties/a/y").await.expect(200).json(), json!(1));
    assert_eq!(check_rows(&site).await, 1);
    ann.delete("/properties/a/x").await.expect(204);
    assert_eq!(check_rows(&site).await, 1);
    ann.delete("/properties/a/z").await.expect(204);
    assert_eq!(ann.get("/properties/a").await.expect(200).json(), json!({ "y": 1 }));
    assert_eq!(check_rows(&site).await, 0);

    // A hook that has read nothing; and a list where a large value was.
    for bytes in [20_000, 30_000, 10, 20_000] {
        ann.post("/methods/set", &json!(["a", long(3, bytes)])).await.expect(200);
        assert_eq!(check_rows(&site).await, usize::from(bytes > 10));
    }
    ann.post("/methods/forget", &json!("a")).await.expect(200);
    assert_eq!(check_rows(&site).await, 0);
    ann.put("/properties/a", &long(4, 20_000)).await.expect(204);
    ann.post("/properties", &json!({ "a": { "_type": "list" } })).await.problem(409);
    ann.delete("/properties/a").await.expect(204);
    ann.post("/properties", &json!({ "a": { "_type": "list" } })).await.expect(201);
    assert_eq!(check_rows(&site).await, 0);

    // Indexed: a text so long has a look-up row like any other.
    ann.put("/properties/b", &long(5, 20_000)).await.expect(204);
    ann.put("/properties/b", &json!("short")).await.expect(204);
    ann.put("/properties/b", &long(6, 20_000)).await.expect(204);
    assert_eq!(check_rows(&site).await, 1);
    ann.delete("/properties").await.expect(204);
    assert_eq!(check_rows(&site).await, 0);
    ann.put("/properties/b", &long(6, 20_000)).await.expect(204);
    ann.delete("").await.expect(204);
    site.drain().await;
    assert_eq!(check_rows(&site).await, 0);
}

#[tokio::test]
async fn versions_are_as_good_for_large_values() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    ann.put("/properties/a", &long(1, 20_000)).await.expect(204);
    let tag = ann.get("/properties/a").await.expect(200).header("etag").to_owned();
    let put = |tag: &str, value: Value| {
        Answer::of(ann.request(Method::PUT, "/properties/a").header("if-match", tag).json(&value))
    };
    put(&tag, long(2, 30_000)).await.expect(204);
    put(&tag, long(3, 10)).await.problem(412);
    put(&tag, long(3, 40_000)).await.problem(412);
    let read = ann.get("/properties/a").await.expect(200);
    assert!(shown(&read) == long(2, 30_000));
    put(read.header("etag"), long(3, 10)).await.expect(204);
    assert_eq!(check_rows(&site).await, 0);
}

/// Each large value takes three items of a transaction, also to be replaced by a small one.
#[tokio::test]
async fn as_many_large_values_are_written_at_once_as_a_transaction_holds() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let many = |large: usize, small: usize| {
        let large = (0..large).map(|n| (format!("l{n}"), long(n, 12_000)));
        Value::Object(large.chain((0..small).map(|n| (format!("s{n}"), json!(n)))).collect())
    };
    let refused = ann.post("/properties", &many(32, 3)).await.problem(400);
    assert!(refused.detail().contains("99 items"), "{}", refused.detail());
    assert_eq!(ann.get("/properties").await.expect(200).json(), json!({}));
    ann.post("/properties", &many(32, 2)).await.expect(201);
    assert!(ann.get("/properties").await.expect(200).json() == many(32, 2));
    assert_eq!(check_rows(&site).await, 32);
    let shrunk = |count: usize| Value::Object((0..count).map(|n| (format!("l{n}"), json!(n))).collect());
    ann.post("/properties", &shrunk(32)).await.expect(201);
    assert_eq!(check_rows(&site).await, 0);
    ann.post("/properties", &many(32, 2)).await.expect(201);
    // More names than one batch asks for with their texts.
    let others = (0..60).map(|n| (format!("s{n}"), json!(n)));
    let (answer, calls) = {
        let body = Value::Object(others.chain([("l1".to_owned(), json!("small"))]).collect());
        site.meter().measure(ann.post("/properties", &body)).await
    };
    answer.expect(201);
    assert_eq!(calls.operations(), ["BatchGetItem", "BatchGetItem", "TransactWriteItems"]);
    assert_eq!(check_rows(&site).await, 31);
}

#[tokio::test]
async fn what_a_large_value_costs() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let cost = |method: Method, path: &'static str, body: Value, operations: &'static [&'static str]| {
        let (site, ann) = (&site, &ann);
        async move {
            let request = ann.request(method.clone(), path).json(&body);
            let (answer, calls) = site.meter().measure(Answer::of(request)).await;
            assert!(answer.status < 300, "{}: {}", answer.request, answer.body);
            assert_eq!(calls.operations(), operations, "{method} {path}");
        }
    };
    let (get, put, post) = (Method::GET, Method::PUT, Method::POST);
    let together = &["BatchGetItem", "TransactWriteItems"];
    cost(put.clone(), "/properties/a", long(1, 20_000), together).await;
    cost(get.clone(), "/properties/a", Value::Null, &["BatchGetItem"]).await;
    cost(put.clone(), "/properties/a", long(2, 30_000), together).await;
    cost(post.clone(), "/properties", json!({ "a": long(3, 40_000), "c": 1 }), together).await;
    cost(get.clone(), "/properties?limit=10", Value::Null, &["BatchGetItem", "Query", "BatchGetItem"]).await;
    cost(put.clone(), "/properties/a", json!(1), together).await;
    cost(put.clone(), "/properties/a", json!(2), &["BatchGetItem", "PutItem"]).await;
    cost(get, "/properties?limit=10", Value::Null, &["BatchGetItem", "Query"]).await;
    cost(put, "/properties/a", long(4, 20_000), together).await;
    cost(Method::DELETE, "/properties/a", Value::Null, together).await;
    // A hook that has read nothing.
    cost(post, "/methods/set", json!(["a", long(5, 20_000)]), together).await;
    let set = json!(["a", long(6, 30_000)]);
    let (answer, calls) = site.meter().measure(ann.post("/methods/set", &set)).await;
    answer.expect(200);
    assert_eq!(calls.count_of("TransactWriteItems"), 2, "the first learns what is there");
}

/// Each goes in a transaction of its own; those are under way together, eight of them.
#[tokio::test]
async fn all_are_deleted_several_at_a_time() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    for n in 0..20 {
        ann.put(&format!("/properties/p{n}"), &long(n, 20_000)).await.expect(204);
    }
    for n in 0..4 {
        ann.post("/properties", &json!({ format!("l{n}"): { "_type": "list" } })).await.expect(201);
    }
    // None of the first eight is answered before all of them have come.
    let held = site.meter().hold_calls("TransactWriteItems", 8);
    let deletion = site.meter().measure(ann.delete("/properties"));
    let together = async {
        for _ in 0..8 {
            held.arrived().await;
        }
        held.release();
    };
    let ((deleted, calls), ()) = tokio::join!(deletion, together);
    deleted.expect(204);
    assert_eq!(calls.count_of("TransactWriteItems"), 24);
    assert_eq!(ann.get("/properties").await.expect(200).json(), json!({}));
    assert_eq!(check_rows(&site).await, 0);
}

/// A part holds what a reply can hold, and names nothing twice.
#[tokio::test]
async fn parts_hold_large_values_too() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let mut written = serde_json::Map::new();
    for n in 0..40 {
        let value = long(n, if n % 2 == 0 { 10 } else { 340_000 });
        ann.put(&format!("/properties/p{n}"), &value).await.expect(204);
        written.insert(format!("p{n}"), value);
    }
    ann.get("/properties").await.problem(413);
    for limit in [1, 7, 1_000] {
        let (mut whole, mut cursor) = (serde_json::Map::new(), String::new());
        loop {
            let part = ann.get(&format!("/properties?limit={limit}{cursor}")).await.expect(200);
            whole.extend(part.json().as_object().unwrap().clone());
            match part.header("x-next-cursor") {
                "" => break,
                next => cursor = format!("&cursor={next}"),
            }
        }
        assert!(whole == written, "{limit}");
    }
}

async fn one_step(ann: &Owner, dice: &mut Dice, model: &mut BTreeMap<String, Value>, step: usize) {
    let name = ["a", "b", "c", "d", "e"][dice.below(5)].to_owned();
    let value = long(step, [5, 10_800, 11_000, 20_000, 200_000][dice.below(5)]);
    let path = format!("/properties/{name}");
    match dice.below(8) {
        0..=2 => drop(ann.put(&path, &value).await.expect(204)),
        3 => {
            let other = ["a", "b", "c", "d", "e"][dice.below(5)];
            ann.post("/properties", &json!({ other: step, &name: value })).await.expect(201);
            model.insert(other.to_owned(), json!(step));
        }
        4 => drop(ann.post("/methods/set", &json!([name, value])).await.expect(200)),
        5 if step.is_multiple_of(7) => {
            ann.delete("/properties").await.expect(204);
            return model.clear();
        }
        _ => {
            if model.remove(&name).is_some() {
                ann.delete(&path).await.expect(204);
            }
            return;
        }
    }
    model.insert(name, value);
}

#[tokio::test]
async fn properties_of_all_sizes_behave_like_a_map() {
    for seed in 0..3 {
        let site = Site::of(app()).await;
        let ann = site.actor("ann").await;
        let (mut dice, mut model) = (Dice(seed), BTreeMap::new());
        for step in 0..60 {
            one_step(&ann, &mut dice, &mut model, step).await;
            let large = model.values().filter(|value| value.to_string().len() >= 11_000).count();
            assert_eq!(check_rows(&site).await, large, "seed {seed}, step {step}");
            assert!(ann.get("/properties").await.expect(200).json() == json!(model), "seed {seed}, step {step}");
        }
    }
}

/// Whether a text is one that [`long`] gives: not the beginning of one and the end of another.
fn is_whole(value: &Value) -> bool {
    value.as_str().is_some_and(|text| {
        let (writer, rest) = text.split_once(':').unwrap();
        long(writer.parse().unwrap(), rest.len()) == *value
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_and_writers_at_once_see_whole_values() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let write = |n: usize| {
        let (ann, value) = (&ann, long(n, [5, 12_000, 30_000][n % 3]));
        async move {
            match n % 5 {
                0 | 1 => ann.put("/properties/a", &value).await.expect(204),
                2 => ann.post("/properties", &json!({ "a": value, "b": value })).await.expect(201),
                3 => ann.post("/methods/set", &json!(["a", value])).await.expect(200),
                _ => ann.delete("/properties/a").await,
            };
        }
    };
    let read = || async {
        for _ in 0..10 {
            let one = ann.get("/properties/a").await;
            assert!(one.status == 404 || is_whole(&shown(&one)));
            for query in ["", "?limit=5"] {
                let all = ann.get(&format!("/properties{query}")).await.expect(200).json();
                assert!(all.as_object().unwrap().values().all(is_whole));
            }
        }
    };
    for _ in 0..3 {
        join(join_all((0..20).map(write)), join_all((0..3).map(|_| read()))).await;
        assert!(check_rows(&site).await <= 2);
    }
    for _ in 0..3 {
        join(join_all((0..20).map(write)), join_all((0..4).map(|_| ann.delete("/properties")))).await;
        assert!(check_rows(&site).await <= 2);
    }
}

/// A property that becomes large while all are being deleted, after its row was seen to be small.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_grows_while_all_are_deleted_leaves_nothing() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    ann.put("/properties/a", &json!(1)).await.expect(204);
    let held = site.meter().hold_calls("BatchWriteItem", 1);
    let deletion = ann.delete("/properties");
    let growth = async {
        held.arrived().await;
        ann.put("/properties/a", &long(1, 20_000)).await.expect(204);
        held.release();
    };
    let (deleted, ()) = join(deletion, growth).await;
    deleted.expect(204);
    ann.get("/properties/a").await.problem(404);
    assert_eq!(check_rows(&site).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_storage_part_no_value_from_its_text() {
    let faults = [
        Faults { transaction_conflict: 0.4, seed: 1, ..Faults::default() },
        Faults { drop_reply_after_apply: 0.3, server_error: 0.1, seed: 2, ..Faults::default() },
        Faults { throttle: 0.3, unprocessed_keys: 0.3, seed: 3, ..Faults::default() },
    ];
    for faults in faults {
        let site = Site::limited(app(), Duration::from_millis(5_600)).await;
        let actors = join_all((0..3).map(|n| site.actor(["a", "b", "c"][n]))).await;
        site.meter().inject(faults);
        join_all(actors.iter().map(|actor| async move {
            for round in 0..5 {
                actor.put("/properties/a", &long(round, 20_000)).await;
                let all = actor.get("/properties").await;
                assert!(all.status == 503 || all.json().as_object().unwrap().values().all(is_whole), "{}", all.body);
                actor.post("/properties", &json!({ "a": long(round, 5), "b": long(round, 30_000) })).await;
                actor.post("/methods/set", &json!(["a", long(round, 15_000 + round)])).await;
                actor.delete("/properties/b").await;
                if round == 3 {
                    actor.delete("/properties").await;
                }
            }
        }))
        .await;
        let faulted = site.meter().calls().faulted();
        site.meter().heal();
        assert!(faulted > 10, "only {faulted} calls met a fault");
        check_rows(&site).await;
    }
}
