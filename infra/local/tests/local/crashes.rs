//! The program is killed at the worst moment and started again: what it acknowledged is there, what it owed is done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actingweb_testkit::engine::Engine;
use reqwest::{Client, Method};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;

use crate::program::{Owner, Program, call_engine, client, folder};

const ROUNDS: usize = 5;
const WRITERS: usize = 6;

/// What a writer was told is stored.
#[derive(Default)]
struct Acknowledged {
    properties: BTreeMap<String, Value>,
    actors: Vec<Owner>,
    /// The last value of the property that is written again and again.
    counter: usize,
}

/// Whether a write was acknowledged with this status; `None` when the program is gone.
async fn acknowledged(write: impl Future<Output = Option<(u16, Value)>>, status: u16) -> Option<()> {
    let (given, body) = write.await?;
    assert_eq!(given, status, "{body}");
    Some(())
}

/// Writes until the program is gone.
async fn write(program: String, owner: Owner, prefix: String, count: Arc<AtomicUsize>) -> Acknowledged {
    let mut known = Acknowledged::default();
    for number in 1.. {
        let name = format!("{prefix}n{number}");
        let (path, value) = (format!("/properties/{name}"), json!({ "text": "x".repeat(number % 7 * 100) }));
        let put = owner.call(&program, Method::PUT, &path, Some(&value));
        let Some(()) = acknowledged(put, 204).await else { break };
        known.properties.insert(name.clone(), value);

        let both: Map<_, _> = ["a", "b"].map(|end| (format!("{name}{end}"), json!(number))).into_iter().collect();
        let body = Value::Object(both.clone());
        let post = owner.call(&program, Method::POST, "/properties", Some(&body));
        let Some(()) = acknowledged(post, 201).await else { break };
        known.properties.extend(both);

        let (path, value) = (format!("/properties/{prefix}counter"), json!(number));
        let Some(()) = acknowledged(owner.call(&program, Method::PUT, &path, Some(&value)), 204).await else { break };
        known.counter = number;
        count.fetch_add(1, Ordering::SeqCst);
    }
    known
}

/// Creates actors until the program is gone.
async fn create(url: String, http: Client) -> Acknowledged {
    let mut acknowledged = Acknowledged::default();
    while let Some(owner) = Owner::create(&url, &http, "bob").await {
        acknowledged.actors.push(owner);
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_loses_no_acknowledged_write() {
    let (place, http) = (folder(), client());
    let program = Program::start(place.path()).await;
    let owner = program.actor(&http, "ann").await;
    program.kill().await;

    let (mut expected, mut counters, mut actors) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for round in 0..ROUNDS {
        let program = Program::start(place.path()).await;
        let count = Arc::new(AtomicUsize::new(0));
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let work = write(program.url.clone(), owner.clone(), format!("r{round}w{writer}"), Arc::clone(&count));
            writers.spawn(async move { (Some(writer), work.await) });
        }
        let creation = create(program.url.clone(), http.clone());
        writers.spawn(async move { (None, creation.await) });
        // A different moment in each round, with every writer in the middle of something.
        while count.load(Ordering::SeqCst) < 20 + 7 * round {
            assert!(writers.try_join_next().is_none(), "a writer gave up before the kill");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        program.kill().await;
        for (writer, acknowledged) in writers.join_all().await {
            expected.extend(acknowledged.properties);
            actors.extend(acknowledged.actors);
            if let Some(writer) = writer {
                counters.insert(format!("r{round}w{writer}counter"), acknowledged.counter);
            }
        }
    }

    let program = Program::start(place.path()).await;
    let (status, stored) = owner.get(&program, "/properties").await;
    assert_eq!(status, 200, "{stored}");
    assert!(expected.len() > 100 && actors.len() > ROUNDS, "{} and {}", expected.len(), actors.len());
    for (name, value) in &expected {
        assert_eq!(stored.get(name), Some(value), "{name} was acknowledged");
    }
    for (name, last) in &counters {
        // One more write may have been carried out than was acknowledged.
        let found = stored[name].as_u64().unwrap_or_default();
        assert!((*last as u64..=*last as u64 + 1).contains(&found), "{name}: {found}, not {last}");
    }
    // What belongs together came together.
    for (name, _) in stored.as_object().unwrap().iter().filter(|(name, _)| name.ends_with('a')) {
        assert!(stored.get(name.replace('a', "b")).is_some(), "{name} came alone");
    }
    for actor in &actors {
        assert_eq!(actor.get(&program, "").await.0, 200, "{} was acknowledged", actor.id);
    }
}

const TABLE: &str = "actingweb";

/// The keys of everything in an actor's partition.
async fn rows(engine: &str, http: &Client, owner: &Owner) -> Vec<String> {
    let (mut keys, mut start) = (Vec::new(), Value::Null);
    loop {
        let mut query = json!({
            "TableName": TABLE, "ConsistentRead": true,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": { ":pk": { "S": format!("A#{}", owner.id) } },
        });
        if !start.is_null() {
            query["ExclusiveStartKey"] = start;
        }
        let page = call_engine(engine, http, "Query", &query).await;
        keys.extend(page["Items"].as_array().unwrap().iter().map(|item| item["sk"]["S"].as_str().unwrap().to_owned()));
        start = page["LastEvaluatedKey"].clone();
        if start.is_null() {
            return keys;
        }
    }
}

/// The work that is due, whenever.
async fn jobs(engine: &str, http: &Client) -> Vec<Value> {
    let query = json!({
        "TableName": TABLE, "ConsistentRead": true,
        "FilterExpression": "begins_with(pk, :due)",
        "ExpressionAttributeValues": { ":due": { "S": "DUE#" } },
    });
    call_engine(engine, http, "Scan", &query).await["Items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_is_resumed_after_a_kill() {
    let (place, http) = (folder(), client());
    let program = Program::start(place.path()).await;
    let owner = program.actor(&http, "ann").await;
    for batch in 0..20 {
        let batch: Map<_, _> = (0..60).map(|n| (format!("b{batch}n{n}"), json!("x".repeat(500)))).collect();
        let posted = owner.call(&program.url, Method::POST, "/properties", Some(&Value::Object(batch))).await.unwrap();
        assert_eq!(posted.0, 201, "{}", posted.1);
    }
    let before = rows(&program.dynamodb, &http, &owner).await.len();
    let deleted = owner.call(&program.url, Method::DELETE, "", None).await.unwrap();
    assert_eq!(deleted.0, 204, "{}", deleted.1);
    // Killed as soon as the work has begun.
    while rows(&program.dynamodb, &http, &owner).await.len() == before {
        assert!(!jobs(&program.dynamodb, &http).await.is_empty(), "the work is done already");
    }
    program.kill().await;

    // Two minutes later, when nobody takes the work for being done by the one that was killed.
    let engine = Engine::file(place.path().join("data/engine.db")).unwrap();
    let left = rows(engine.url(), &http, &owner).await.len();
    assert!(left > 1 && left < before, "{left} of {before} are left");
    let jobs_left = jobs(engine.url(), &http).await;
    assert_eq!(jobs_left.len(), 1, "{jobs_left:?}");
    let update = json!({
        "TableName": TABLE, "Key": { "pk": jobs_left[0]["pk"], "sk": jobs_left[0]["sk"] },
        "UpdateExpression": "SET leased_until = :past",
        "ConditionExpression": "attribute_exists(leased_until)",
        "ExpressionAttributeValues": { ":past": { "N": "1" } },
    });
    call_engine(engine.url(), &http, "UpdateItem", &update).await;
    engine.stop().await;

    let program = Program::start(place.path()).await;
    let swept = async {
        while rows(&program.dynamodb, &http, &owner).await != ["ACTOR"] {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), swept).await.expect("only the tombstone is left");
    assert_eq!(owner.get(&program, "").await.0, 404);
}
