//! `Idempotency-Key`: one execution, the first reply for all repeats, whatever dies or is lost in between.

mod failures;
mod strangers;
mod streams;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actingweb_hooks::prelude::*;
use actingweb_testkit::fakes::FakeClock;
use actingweb_tests::{Answer, Owner, Publisher, Site, secret_of};
use futures_util::future::join_all;
use reqwest::Method;

/// How long replies are kept.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How often a hook ran.
#[derive(Clone, Default)]
pub(crate) struct Runs(Arc<AtomicUsize>);

impl Runs {
    pub(crate) fn next(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Answers with what it was told, and how often it ran.
async fn pay(input: Option<Input<Value>>, State(runs): State<Runs>) -> Result<Value, HookError> {
    let run = runs.next();
    tokio::task::yield_now().await;
    Ok(json!({ "run": run, "told": input.map(|Input(told)| told) }))
}

fn app(runs: &Runs) -> App {
    App::new("urn:actingweb:example.com:idempotency")
        .state(runs.clone())
        .method("pay", pay)
        .action("pay", pay)
        .resource("pay", pay)
}

pub(crate) fn keyed(request: reqwest::RequestBuilder, key: &str) -> reqwest::RequestBuilder {
    request.header("idempotency-key", key)
}

pub(crate) async fn post(owner: &Owner, key: &str, path: &str, body: &Value) -> Answer {
    Answer::of(keyed(owner.request(Method::POST, path), key).json(body)).await
}

/// Asserts that a reply is another's, given again.
#[track_caller]
pub(crate) fn assert_replayed(first: &Answer, again: &Answer) {
    assert_eq!((first.status, &first.body), (again.status, &again.body), "{}", again.request);
    for name in ["content-type", "location", "cache-control"] {
        assert_eq!(first.header(name), again.header(name), "{}: {name}", again.request);
    }
    assert_eq!((first.header("idempotent-replayed"), again.header("idempotent-replayed")), ("", "true"));
    assert_ne!(first.header("x-request-id"), again.header("x-request-id"), "each request has an id of its own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_called_fifty_times_at_once_with_one_key_runs_once() {
    let runs = Runs::default();
    let site = Site::of(app(&runs)).await;
    let ann = site.actor("ann").await;
    for (round, path) in ["/actions/pay", "/methods/pay", "/methods"].into_iter().enumerate() {
        let body = json!({ "jsonrpc": "2.0", "method": "pay", "params": { "amount": 7 }, "id": 1 });
        let key = format!("order {round}");
        let answers = join_all((0..50).map(|_| post(&ann, &key, path, &body))).await;
        assert_eq!(runs.count(), round + 1, "{path}");
        let first =
            answers.iter().find(|answer| answer.header("idempotent-replayed").is_empty() && answer.status == 200);
        let first = first.expect("the reply of the one that ran");
        for answer in answers.iter().filter(|answer| !std::ptr::eq(*answer, first)) {
            match answer.status {
                409 => assert_eq!(answer.header("retry-after"), "1"),
                _ => assert_replayed(first, answer),
            }
        }
        for repeat in join_all((0..5).map(|_| post(&ann, &key, path, &body))).await {
            assert_replayed(first, &repeat);
        }
        assert_eq!(runs.count(), round + 1, "{path}");
    }
}

#[tokio::test]
async fn a_key_belongs_to_one_request_of_one_caller() {
    let runs = Runs::default();
    let site = Site::of(app(&runs)).await;
    let ann = Publisher::new(&site).await;
    let bob = ann.befriend("bob", "http://127.0.0.1:9/bob").await;
    let owner = &ann.owner;
    let first = post(owner, "k", "/actions/pay", &json!(1)).await.expect(200);
    post(owner, "k", "/actions/pay", &json!(2)).await.problem(422);
    post(owner, "k", "/methods/pay", &json!(1)).await.problem(422);
    post(owner, "k", "/actions/pay?fast=1", &json!(1)).await.problem(422);
    let text = keyed(owner.request(Method::POST, "/actions/pay"), "k").body("1");
    Answer::of(text).await.problem(422);
    let spaced = keyed(owner.request(Method::POST, "/actions/pay"), "k");
    Answer::of(spaced.header("content-type", "application/json").body(" 1")).await.problem(422);
    assert_eq!(runs.count(), 1);

    // Quotes are the header's, not the key's.
    assert_replayed(&first, &post(owner, "\"k\"", "/actions/pay", &json!(1)).await);
    post(owner, "K", "/actions/pay", &json!(1)).await.expect(200);
    assert_eq!(runs.count(), 2);

    // What a peer calls its own says nothing to anybody else, and is no obstacle.
    let peers = || keyed(owner.with_secret(&secret_of("bob"), Method::POST, "/actions/pay"), "k").json(&json!(1));
    let peers_first = Answer::of(peers()).await.expect(200);
    assert_eq!((peers_first.json()["run"].clone(), runs.count()), (json!(3), 3));
    assert_replayed(&peers_first, &Answer::of(peers()).await);
    assert_replayed(&first, &post(owner, "k", "/actions/pay", &json!(1)).await);
    // Nor to another actor.
    post(&site.actor("eve").await, "k", "/actions/pay", &json!(1)).await.expect(200);
    assert_eq!(runs.count(), 4);

    // Whoever lost its rights does not read what it was told when it had them.
    ann.change_trust(&bob, |trust| trust.approved = false).await;
    let refused = Answer::of(peers()).await;
    assert!(matches!(refused.status, 401 | 403), "{}", refused.status);
}

#[tokio::test]
async fn other_verbs_and_groups_know_no_key() {
    let runs = Runs::default();
    let site = Site::of(app(&runs)).await;
    let ann = site.actor("ann").await;
    for (method, path) in
        [(Method::PUT, "/actions/pay"), (Method::PUT, "/methods/pay"), (Method::POST, "/resources/pay")]
    {
        for _ in 0..2 {
            let before = runs.count();
            let answer = Answer::of(keyed(ann.request(method.clone(), path), "\"").json(&json!(1))).await;
            assert!(matches!(answer.status, 200 | 201) && runs.count() == before + 1, "{}", answer.request);
        }
    }
    let form = ann.request(Method::POST, "/actions/pay?_method=PUT");
    Answer::of(keyed(form, "\"").json(&json!(1))).await.expect(200);
    for odd in ["", "\"", "\"a\"b", &"k".repeat(256)] {
        post(&ann, odd, "/actions/pay", &json!(1)).await.problem(400);
    }
    let before = runs.count();
    post(&ann, &"k".repeat(255), "/actions/pay", &json!(1)).await.expect(200);
    // What cannot be read at all is nobody's first request.
    let broken = keyed(ann.request(Method::POST, "/methods/pay"), "b").header("content-type", "application/json");
    Answer::of(broken.body("{")).await.problem(400);
    assert_eq!(runs.count(), before + 1);
    // Whoever may not call learns nothing of keys.
    Answer::of(keyed(ann.anonymous(Method::POST, "/actions/pay"), "\"")).await.problem(401);
}

#[tokio::test]
async fn replies_are_kept_for_a_day_sealed_and_end_with_the_actor() {
    let (runs, clock) = (Runs::default(), FakeClock::new());
    let site = Site::with_clock(app(&runs), Arc::new(clock.clone())).await;
    let ann = site.actor("ann").await;
    let body = json!("a phrase that is easy to find");
    let first = post(&ann, "k", "/actions/pay", &body).await.expect(200);
    let of_request = |item: &Value| item["sk"].as_str().is_some_and(|sk| sk.starts_with("IDEM#"));
    let table = site.table().await;
    assert_eq!(table.iter().filter(|item| of_request(item)).count(), 1);
    for item in &table {
        assert!(!item.to_string().contains("easy to find"), "{item}");
    }
    clock.advance(DAY - Duration::from_secs(1));
    assert_replayed(&first, &post(&ann, "k", "/actions/pay", &body).await);
    clock.advance(Duration::from_secs(2));
    // Whether or not the engine has removed it.
    let second = post(&ann, "k", "/actions/pay", &json!(2)).await.expect(200);
    assert_eq!((second.json()["run"].clone(), runs.count()), (json!(2), 2));
    assert_replayed(&second, &post(&ann, "k", "/actions/pay", &json!(2)).await);

    ann.delete("").await.expect(204);
    post(&ann, "k", "/actions/pay", &json!(2)).await.problem(404);
    site.drain().await;
    assert!(!site.table().await.iter().any(of_request));
}

#[tokio::test]
async fn a_reply_that_is_too_large_is_given_once() {
    let runs = Runs::default();
    let site = Site::of(app(&runs)).await;
    let ann = site.actor("ann").await;
    let fits = json!("\u{e9}\n".repeat(60_000));
    let first = post(&ann, "fits", "/actions/pay", &fits).await.expect(200);
    assert!((230_000..=actingweb_web::MAX_KEPT_REPLY_BYTES).contains(&first.body.len()), "{}", first.body.len());
    assert_replayed(&first, &post(&ann, "fits", "/actions/pay", &fits).await);

    let large = json!("x".repeat(actingweb_web::MAX_KEPT_REPLY_BYTES));
    let first = post(&ann, "large", "/actions/pay", &large).await.expect(200);
    assert_eq!(first.json()["told"], large);
    let again = post(&ann, "large", "/actions/pay", &large).await.problem(410);
    assert!(again.detail().contains("status 200") && runs.count() == 2, "{}", again.detail());
}

#[tokio::test]
async fn a_key_costs_two_calls_and_no_key_none() {
    let site = Site::of(app(&Runs::default())).await;
    let ann = site.actor("ann").await;
    let body = json!(1);
    for path in ["/actions/pay", "/methods/pay"] {
        let (answer, calls) = site.meter().measure(ann.post(path, &body)).await;
        assert_eq!((answer.status, calls.operations()), (200, vec!["BatchGetItem"]));
        let (answer, calls) = site.meter().measure(post(&ann, path, path, &body)).await;
        assert_eq!((answer.status, calls.operations()), (200, vec!["BatchGetItem", "PutItem", "UpdateItem"]));
        let (answer, calls) = site.meter().measure(post(&ann, path, path, &body)).await;
        assert_eq!((answer.status, calls.operations()), (200, vec!["BatchGetItem", "PutItem"]));
        let (answer, calls) = site.meter().measure(post(&ann, path, path, &json!(2))).await;
        assert_eq!((answer.status, calls.operations()), (422, vec!["BatchGetItem", "PutItem"]));
    }
}

#[tokio::test]
async fn a_peer_that_asks_again_has_one_subscription() {
    let site = Site::of(app(&Runs::default())).await;
    let ann = Publisher::new(&site).await;
    ann.befriend("bob", "http://127.0.0.1:9/bob").await;
    let ask = |key: &'static str| {
        let request = ann.owner.with_secret(&secret_of("bob"), Method::POST, "/subscriptions/bob");
        Answer::of(keyed(request, key).json(&json!({ "target": "properties" })))
    };
    let first = ask("k").await.expect(201);
    assert!(first.header("location").ends_with(first.json()["subscriptionid"].as_str().unwrap()));
    assert_replayed(&first, &ask("k").await);
    let count = async || ann.owner.get("/subscriptions").await.json()["data"].as_array().unwrap().len();
    assert_eq!(count().await, 1);
    ask("another").await.expect(201);
    assert_eq!(count().await, 2);
}
