//! The program is killed while changes are written and delivered: what was acknowledged reaches every subscriber, in
//! order, and no number ever says two things. What is given up is listed and redriven.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actingweb_testkit::engine::Engine;
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::program::{Owner, Program, answer, call_engine, client, folder, run};

const TABLE: &str = "actingweb";
const PEERS: usize = 3;
const WRITERS: usize = 3;

/// What peers were called back with, by the path of the callback: number and data, as they came.
type Arrived = Arc<Mutex<BTreeMap<String, Vec<(u64, Value)>>>>;

/// Peers that outlive the program, as those of others do.
struct Peers {
    url: String,
    arrived: Arrived,
    status: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

impl Peers {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (arrived, status) = (Arrived::default(), Arc::new(AtomicUsize::new(204)));
        let (shared, answered) = (Arc::clone(&arrived), Arc::clone(&status));
        let router = Router::new().fallback(move |request: Request| {
            let (shared, answered) = (Arc::clone(&shared), Arc::clone(&answered));
            async move {
                let path = request.uri().path().to_owned();
                let bytes = axum::body::to_bytes(request.into_body(), 1 << 22).await.unwrap_or_default();
                let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
                let status = answered.load(Ordering::SeqCst);
                if let (Some(sequence), true) = (body["sequence"].as_u64(), status == 204) {
                    let said = (sequence, body["data"].clone());
                    shared.lock().unwrap().entry(path).or_default().push(said);
                }
                StatusCode::from_u16(u16::try_from(status).unwrap()).unwrap()
            }
        });
        let mut server = JoinSet::new();
        server.spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self { url, arrived, status, _server: server }
    }

    fn arrived(&self) -> BTreeMap<String, Vec<(u64, Value)>> {
        self.arrived.lock().unwrap().clone()
    }
}

/// Subscribes a peer to all properties; the id of the subscription.
async fn subscribe(program: &Program, http: &Client, owner: &Owner, peers: &Peers, peer: &str) -> String {
    let root = format!("{}/{}", program.url, owner.id);
    let secret = format!("the-secret-of-{peer}");
    let asked = json!({
        "baseuri": format!("{}/{peer}", peers.url), "id": peer, "secret": secret,
        "type": "urn:actingweb:example.com:test", "desc": "",
    });
    let (status, body) = answer(http.post(format!("{root}/trust/friend")).json(&asked)).await.unwrap();
    assert_eq!(status, 202, "{body}");
    let path = format!("/trust/friend/{peer}");
    let approved = json!({ "approved": true });
    let (status, body) = owner.call(&program.url, Method::PUT, &path, Some(&approved)).await.unwrap();
    assert_eq!(status, 204, "{body}");
    let wanted = json!({ "id": peer, "target": "properties", "granularity": "high" });
    let request = http.post(format!("{root}/subscriptions/{peer}")).bearer_auth(&secret).json(&wanted);
    let (status, body) = answer(request).await.unwrap();
    assert_eq!(status, 201, "{body}");
    body["subscriptionid"].as_str().unwrap().to_owned()
}

/// Counts a property up until the program is gone; gives the last number that was acknowledged.
async fn write(program: String, owner: Owner, name: String, from: usize, count: Arc<AtomicUsize>) -> (String, usize) {
    let mut last = from;
    let path = format!("/properties/{name}");
    while let Some((status, body)) = owner.call(&program, Method::PUT, &path, Some(&json!(last + 1))).await {
        assert_eq!(status, 204, "{body}");
        last += 1;
        count.fetch_add(1, Ordering::SeqCst);
    }
    (name, last)
}

/// Lets time pass until nobody is taken for holding anything: a minute and a half, without waiting for it. Gives how many
/// were held when the program was killed.
async fn end_leases(place: &TempDir, http: &Client) -> usize {
    let mut held = 0;
    let engine = Engine::file(place.path().join("data/engine.db")).unwrap();
    let mut scan = json!({ "TableName": TABLE, "FilterExpression": "attribute_exists(leased_until)" });
    loop {
        let page = call_engine(engine.url(), http, "Scan", &scan).await;
        for item in page["Items"].as_array().unwrap() {
            let update = json!({
                "TableName": TABLE, "Key": { "pk": item["pk"], "sk": item["sk"] },
                "UpdateExpression": "REMOVE leased_until",
            });
            call_engine(engine.url(), http, "UpdateItem", &update).await;
            held += 1;
        }
        match page.get("LastEvaluatedKey") {
            Some(key) => scan["ExclusiveStartKey"] = key.clone(),
            None => break,
        }
    }
    engine.stop().await;
    held
}

/// The numbers of the diffs that are kept of a subscription, as the engine has them.
async fn diffs(program: &Program, http: &Client, owner: &Owner, subscription: &str) -> Vec<u64> {
    let mut query = json!({
        "TableName": TABLE, "ConsistentRead": true,
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :diffs)",
        "ExpressionAttributeValues": {
            ":pk": { "S": format!("A#{}", owner.id) }, ":diffs": { "S": format!("DIFF#{subscription}#") },
        },
    });
    let mut numbers = Vec::new();
    loop {
        let page = program.engine(http, "Query", &query).await;
        let keys = page["Items"].as_array().unwrap().iter().map(|item| item["sk"]["S"].as_str().unwrap());
        numbers.extend(keys.map(|key| key.rsplit('#').next().unwrap().parse::<u64>().unwrap()));
        match page.get("LastEvaluatedKey") {
            Some(key) => query["ExclusiveStartKey"] = key.clone(),
            None => return numbers,
        }
    }
}

/// Kills the program that often, each time at another moment of writing and delivering.
async fn kills(rounds: usize) {
    let (place, http, peers) = (folder(), client(), Peers::start().await);
    let program = Program::start(place.path()).await;
    let owner = program.actor(&http, "ann").await;
    let mut subscriptions = Vec::new();
    for number in 0..PEERS {
        let peer = format!("peer{number}");
        subscriptions.push((subscribe(&program, &http, &owner, &peers, &peer).await, peer));
    }
    program.kill().await;

    let mut written: BTreeMap<String, usize> = (0..WRITERS).map(|writer| (format!("w{writer}"), 0)).collect();
    let mut cut_off = 0;
    for round in 0..rounds {
        let program = Program::start(place.path()).await;
        let count = Arc::new(AtomicUsize::new(0));
        let mut writers = JoinSet::new();
        for (name, last) in &written {
            writers.spawn(write(program.url.clone(), owner.clone(), name.clone(), *last, Arc::clone(&count)));
        }
        // A different moment in each round: of writing, and some way into delivering.
        while count.load(Ordering::SeqCst) < 3 + round * 7 % 23 {
            assert!(writers.try_join_next().is_none(), "a writer gave up before the kill");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_micros(u64::try_from(round * 1_709 % 20_000).unwrap())).await;
        program.kill().await;
        for (name, last) in writers.join_all().await {
            // One more may have been carried out than was acknowledged: it is written again.
            written.insert(name, last);
        }
        cut_off += end_leases(&place, &http).await;
    }
    assert!(cut_off > rounds / 4, "of {rounds} kills only {cut_off} met a delivery");

    let program = Program::start(place.path()).await;
    let everything = async {
        loop {
            let arrived = peers.arrived();
            let is_complete = |said: &Vec<(u64, Value)>| {
                written.iter().all(|(name, last)| said.iter().any(|(_, data)| data[name] == json!(last)))
            };
            if arrived.len() == PEERS && arrived.values().all(is_complete) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), everything).await.expect("everything arrives");

    for (subscription, peer) in &subscriptions {
        let path = format!("/{peer}/callbacks/subscriptions/{}/{subscription}", owner.id);
        let arrived = peers.arrived();
        let mut said: BTreeMap<u64, Value> = BTreeMap::new();
        for (sequence, data) in arrived.get(&path).unwrap_or_else(|| panic!("nothing at {path}: {:?}", arrived.keys()))
        {
            if let Some(earlier) = said.get(sequence) {
                assert_eq!(earlier, data, "{peer}: the number {sequence} says two things");
                continue;
            }
            let next = said.last_key_value().map_or(1, |(last, _)| last + 1);
            assert_eq!(*sequence, next, "{peer}: out of order");
            said.insert(*sequence, data.clone());
        }
        for (name, last) in &written {
            let numbers: Vec<u64> = said.values().filter_map(|data| data[name].as_u64()).collect();
            for number in 1..=u64::try_from(*last).unwrap() {
                assert!(numbers.contains(&number), "{peer}: {name} = {number} was acknowledged");
            }
            assert!(numbers.is_sorted(), "{peer}: {name} went back");
        }
        let kept = diffs(&program, &http, &owner, subscription).await;
        let expected: Vec<u64> = (1..=*said.last_key_value().unwrap().0).collect();
        assert!(kept.starts_with(&expected), "{peer}: diffs are missing");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_while_changes_are_delivered_lose_nothing() {
    kills(20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: .ci/long runs it"]
async fn two_hundred_kills_while_changes_are_delivered_lose_nothing() {
    kills(200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_given_up_is_listed_and_redriven() {
    const LIST: [&str; 3] = ["--data", "data", "--dead-letters"];
    let said = |output: std::process::Output| {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let (place, http, peers) = (folder(), client(), Peers::start().await);
    let program = Program::start(place.path()).await;
    assert_eq!(said(run(place.path(), &LIST).await).trim(), "nothing was given up");
    let owner = program.actor(&http, "ann").await;
    let subscription = subscribe(&program, &http, &owner, &peers, "peer").await;
    peers.status.store(500, Ordering::SeqCst);
    let put = owner.call(&program.url, Method::PUT, "/properties/color", Some(&json!("blue"))).await.unwrap();
    assert_eq!(put.0, 204, "{}", put.1);

    // Three days go by: the row says when it began to fail, and that now is the time to try again.
    let key = json!({ "pk": { "S": format!("A#{}", owner.id) }, "sk": { "S": format!("SUB#peer#{subscription}") } });
    let until_held = async {
        loop {
            let update = json!({
                "TableName": TABLE, "Key": key,
                "UpdateExpression": "SET failing_since = :past, retry_at = :past",
                "ConditionExpression": "attribute_exists(failing_since)",
                "ExpressionAttributeValues": { ":past": { "N": "1" } },
            });
            let get = json!({ "TableName": TABLE, "Key": key, "ConsistentRead": true });
            let row = program.engine(&http, "GetItem", &get).await;
            if row["Item"]["dead"].is_object() {
                return;
            }
            if row["Item"]["failing_since"].is_object() {
                program.engine(&http, "UpdateItem", &update).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), until_held).await.expect("it is given up");
    peers.status.store(204, Ordering::SeqCst);

    let listed = said(run(place.path(), &LIST).await);
    let id = listed.split_whitespace().next().unwrap();
    for part in [&owner.id, &subscription, "peer answered 500", "from change 1 on"] {
        assert!(listed.contains(part), "{part}: {listed}");
    }
    let unknown = run(place.path(), &["--data", "data", "--redrive", "nonsense"]).await;
    let stderr = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(!unknown.status.success() && stderr.contains("nonsense"), "{stderr}");
    // Beside the running program, which delivers it.
    let redriven = said(run(place.path(), &["--data", "data", "--redrive", id]).await);
    assert!(redriven.contains("is delivered again"), "{redriven}");
    let arrival = async {
        while peers.arrived().is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), arrival).await.expect("it arrives");
    assert_eq!(said(run(place.path(), &["--data", "data", "--redrive", "all"]).await).trim(), "nothing was given up");
}
