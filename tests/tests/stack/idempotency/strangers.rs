//! Where nobody signs: creating actors, and asking for relationships. Replies hold secrets there, and only whoever knows
//! the key and the whole request gets one again.

use actingweb_hooks::prelude::*;
use actingweb_tests::{Answer, Site, StrangePeer};
use reqwest::Method;

use super::{Runs, app, assert_replayed, keyed, post};

const KEY: &str = "8e03978e-40d5-43dd-bc93-6894a57f9324";

fn create(site: &Site, key: &str, creator: &str) -> reqwest::RequestBuilder {
    keyed(site.http.post(site.url("/")), key).json(&json!({ "creator": creator }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_is_created_once() {
    let site = Site::of(app(&Runs::default())).await;
    let first = Answer::of(create(&site, KEY, "ann")).await.expect(201);
    let passphrase = first.json()["passphrase"].as_str().unwrap().to_owned();
    // From wherever: addresses change between attempts, and strangers share them.
    let elsewhere = create(&site, KEY, "ann").header("x-test-address", "203.0.113.9");
    assert_replayed(&first, &Answer::of(elsewhere).await);
    assert_eq!(first.header("cache-control"), "no-store");

    let table = site.table().await;
    assert_eq!(table.iter().filter(|item| item["sk"] == "ACTOR").count(), 1);
    for item in &table {
        let item = item.to_string();
        assert!(!item.contains(&passphrase) && !item.contains(KEY), "{item}");
    }
    let request = table.iter().find(|item| item["sk"].as_str().unwrap().starts_with("IDEM#")).unwrap();
    assert!(!request["pk"].as_str().unwrap().starts_with("A#"), "no actor's partition: {request}");

    // A stranger that knows the key and not the request, or the request and not the key.
    let other = Answer::of(create(&site, KEY, "bob")).await.problem(422);
    assert!(!other.body.contains(&passphrase));
    let guess = Answer::of(create(&site, &KEY.replace('8', "9"), "ann")).await.expect(201);
    assert_ne!(guess.json()["passphrase"], json!(passphrase));
    // What could be guessed is no key.
    Answer::of(create(&site, "order-1", "ann")).await.problem(400);
}

#[tokio::test]
async fn a_form_gets_its_page_again() {
    let site = Site::of(app(&Runs::default())).await;
    let send = || {
        let request = keyed(site.http.post(site.url("/")), KEY);
        Answer::of(request.header("content-type", "application/x-www-form-urlencoded").body("creator=ann"))
    };
    let first = send().await.expect(201);
    assert!(first.header("content-type").starts_with("text/html"), "{}", first.header("content-type"));
    let again = send().await;
    assert_replayed(&first, &again);
    assert_eq!(first.header("content-security-policy"), again.header("content-security-policy"));
}

#[tokio::test]
async fn a_refusal_to_a_stranger_is_not_kept() {
    let site = Site::of(app(&Runs::default()).unique_creator(true)).await;
    let ann = site.actor("ann").await;
    let (answer, calls) = site.meter().measure(Answer::of(create(&site, KEY, "ann"))).await;
    answer.problem(409);
    assert_eq!(calls.operations().last(), Some(&"DeleteItem"));
    assert!(!site.table().await.iter().any(|item| item["sk"].as_str().unwrap().starts_with("IDEM#")));
    ann.delete("").await.expect(204);
    Answer::of(create(&site, KEY, "ann")).await.expect(201);
}

#[tokio::test]
async fn creating_costs_two_calls_more() {
    let site = Site::of(app(&Runs::default())).await;
    let (_, calls) = site.meter().measure(Answer::of(create(&site, KEY, "ann"))).await;
    assert_eq!(calls.operations(), ["PutItem", "TransactWriteItems", "UpdateItem"]);
    let (_, calls) = site.meter().measure(Answer::of(create(&site, KEY, "ann"))).await;
    assert_eq!(calls.operations(), ["PutItem"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relationship_is_asked_for_once() {
    let site = Site::of(app(&Runs::default())).await;
    let ann = site.actor("ann").await;
    let peer = StrangePeer::start("bob").await;
    let body = json!({ "url": peer.url, "relationship": "friend" });
    let first = post(&ann, "k", "/trust", &body).await.expect(201);
    let secret = first.json()["secret"].as_str().unwrap().to_owned();
    assert_replayed(&first, &post(&ann, "k", "/trust", &body).await);
    assert_eq!(peer.asked_for("POST", "trust/friend").len(), 1);
    for item in site.table().await {
        assert!(!item.to_string().contains(&secret), "{item}");
    }
    // A peer that is away may be back: 408 is not kept.
    peer.answers("POST", "trust/", 503, json!({}));
    let body = json!({ "url": peer.url, "relationship": "friend", "desc": "again" });
    post(&ann, "l", "/trust", &body).await.problem(408);
    peer.answers("POST", "trust/", 202, json!({}));
    post(&ann, "l", "/trust", &body).await.expect(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_asks_again_is_heard_once() {
    let site = Site::of(app(&Runs::default())).await;
    let ann = site.actor("ann").await;
    let peer = StrangePeer::start("bob").await;
    let body = |desc: &str| json!({ "baseuri": peer.url, "id": peer.id, "type": "urn:x", "desc": desc });
    let ask = |key: &'static str, body: Value| {
        Answer::of(keyed(ann.anonymous(Method::POST, "/trust/friend"), key).json(&body))
    };
    // The secret was made for the peer: the reply is all it has of it.
    let first = ask(KEY, body("")).await.expect(202);
    let secret = first.json()["secret"].as_str().unwrap().to_owned();
    let row = async || site.table().await.into_iter().find(|item| item["sk"] == "TRUST#bob").expect("a relationship");
    let before = row().await;
    assert_replayed(&first, &ask(KEY, body("")).await);
    assert_eq!(row().await, before, "a request that is heard writes it anew");
    let other = ask(KEY, body("another")).await.problem(422);
    assert!(!other.body.contains(&secret));
    ask("too short", body("")).await.problem(400);
    // To whom nothing was promised it may be said again.
    let mut forged = body("");
    forged["baseuri"] = json!("http://127.0.0.1:9/bob");
    ask("0123456789abcdef", forged.clone()).await.problem(403);
    let requests = site.table().await.into_iter().filter(|item| item["sk"].as_str().unwrap().starts_with("IDEM#"));
    assert_eq!(requests.count(), 1);
}
