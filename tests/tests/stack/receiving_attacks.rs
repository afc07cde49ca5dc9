//! Callbacks that are forged, malformed or meant to harm.

use std::io::Write as _;
use std::time::Duration;

use actingweb_hooks::{App, HookError, Op};
use actingweb_tests::{Answer, Follower, SUBSCRIPTION, Site, Source, StrangePeer};
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

fn app() -> App {
    App::new("urn:actingweb:example.com:attacked").callback("ping", |op: Op| Ok::<_, HookError>(json!({ "op": op })))
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn only_the_peer_itself_is_heard_and_nobody_else_learns_what_there_is() {
    let site = Site::of(app()).await;
    let ann = Follower::subscribed(&site, "peer").await;
    let mallory = ann.me.befriend("mallory", "http://127.0.0.1:9/mallory").await;
    let pending = ann.me.befriend("pending", "http://127.0.0.1:9/pending").await;
    ann.me.change_trust(&pending, |trust| trust.approved = false).await;
    let owner = &ann.me.owner;
    type Sign<'a> = (&'a str, Box<dyn Fn(RequestBuilder) -> RequestBuilder + 'a>, u16);
    let callers: [Sign<'_>; 6] = [
        ("nobody", Box::new(|request| request), 401),
        ("a wrong secret", Box::new(|request| request.bearer_auth("wrong")), 403),
        ("another peer", Box::new(|request| request.bearer_auth("secret-of-mallory")), 403),
        ("an unapproved peer", Box::new(|request| request.bearer_auth("secret-of-pending")), 403),
        ("the creator", Box::new(|request| request.basic_auth(&owner.creator, Some(&owner.passphrase))), 403),
        ("the peer's own passphrase", Box::new(|request| request.basic_auth("peer", Some("secret-of-peer"))), 403),
    ];
    let body = json!({ "sequence": 1, "data": { "forged": true } });
    let rights = json!({ "data": { "properties": { "patterns": ["*"], "operations": ["read"] } } });
    for (caller, sign, status) in &callers {
        for path in
            [ann.path(), "/callbacks/subscriptions/peer/unknown".into(), "/callbacks/subscriptions/stranger/x".into()]
        {
            for method in [Method::POST, Method::PUT, Method::DELETE] {
                let request = sign(owner.anonymous(method.clone(), &path)).json(&body);
                let answer = Answer::of(request).await;
                assert_eq!(answer.status, *status, "{caller}: {method} {path}: {}", answer.body);
            }
        }
        for path in ["/callbacks/permissions/peer", "/callbacks/permissions/stranger"] {
            let answer = Answer::of(sign(owner.anonymous(Method::POST, path)).json(&rights)).await;
            assert_eq!(answer.status, *status, "{caller}: {path}: {}", answer.body);
        }
    }
    for path in ["/callbacks/subscriptions/pending/x", "/callbacks/permissions/pending"] {
        Answer::of(owner.anonymous(Method::POST, path).bearer_auth("secret-of-pending").json(&body)).await.problem(403);
    }
    assert_eq!(ann.kept().await, json!({}));
    assert!(ann.feed().await.is_some());
    assert!(ann.me.store().grant(&ann.me.id, &ann.peer).await.unwrap().is_none());
    assert!(ann.me.store().grant(&ann.me.id, &mallory).await.unwrap().is_none());
    ann.call(&json!({ "sequence": 1, "data": { "true": true } })).await.expect(204);
    assert_eq!(ann.kept().await, json!({ "true": true }));
}

#[tokio::test]
async fn a_secret_goes_to_its_own_peer_only() {
    let site = Site::of(app()).await;
    let ann = Follower::subscribed(&site, "peer").await;
    let thief = StrangePeer::start("thief").await;
    thief.answers("GET", "", 200, json!({ "sequence": 1, "data": { "stolen": 1 } }));
    ann.source.change("n", json!(1));
    for url in [
        format!("{}/subscriptions/x/y/1", thief.url),
        thief.url.replace("http://", "http://peer@"),
        format!("{}/../../thief", ann.source.url),
        "file:///etc/passwd".to_owned(),
        "http://169.254.169.254/latest".to_owned(),
    ] {
        ann.call(&ann.source.low(1, &url)).await.expect(204);
    }
    assert_eq!(ann.kept().await, json!({ "n": 1 }), "from the peer itself");

    ann.source.change("n", json!(2));
    ann.source.answers("subscriptions", 302, &thief.url);
    ann.call(&ann.source.low(2, &thief.url)).await.problem(503);
    ann.source.heal();
    ann.source.answers("properties", 307, &thief.url);
    ann.call(&ann.source.resync()).await.expect(204);
    assert_eq!(ann.kept().await, json!({ "n": 1 }));
    assert!(thief.asked().is_empty(), "{:?}", thief.asked());
    assert!(ann.source.asked().iter().all(|asked| asked.secret == "secret-of-peer"));
}

#[tokio::test]
async fn a_peer_that_answers_garbage_or_too_much_costs_little_and_changes_nothing() {
    let site = Site::of(app()).await;
    let ann = Follower::subscribed(&site, "peer").await;
    ann.source.change("n", json!(1));
    let huge = json!({ "sequence": 1, "data": "x".repeat(9_000_000) }).to_string();
    for text in ["", "<html>", "[]", "{}", r#"{"sequence": 2, "data": {"n": 2}}"#, r#"{"sequence": 1}"#, huge.as_str()]
    {
        ann.source.answers("subscriptions", 200, text);
        ann.call(&ann.source.low(1, "")).await.problem(503);
        assert_eq!(ann.feed().await.unwrap().queue.last(), 0);
    }
    ann.source.heal();
    ann.call(&ann.source.low(1, "")).await.expect(204);
    assert_eq!(ann.kept().await, json!({ "n": 1 }));
}

#[tokio::test]
async fn malformed_callbacks_are_refused_with_a_reason() {
    let site = Site::of(app()).await;
    let ann = Follower::subscribed(&site, "peer").await;
    for body in [
        json!([1, 2]),
        json!("text"),
        json!({}),
        json!({ "sequence": "x", "data": {} }),
        json!({ "sequence": -1, "data": {} }),
        json!({ "sequence": 1 }),
        json!({ "sequence": 1, "data": {}, "id": "somebody else" }),
    ] {
        ann.call(&body).await.problem(400);
    }
    let send = |body: &'static [u8]| Answer::of(ann.as_peer(Method::POST, &ann.path()).body(body));
    for body in [&b""[..], b"{", b"\xff", b"{\"sequence\": NaN}"] {
        send(body).await.problem(400);
    }
    for (method, path, status) in [
        (Method::GET, ann.path(), 405),
        (Method::POST, "/callbacks/subscriptions".to_owned(), 403),
        (Method::POST, "/callbacks/subscriptions/peer".to_owned(), 404),
        (Method::POST, format!("{}/more", ann.path()), 404),
        (Method::GET, "/callbacks/permissions/peer".to_owned(), 405),
        (Method::POST, "/callbacks/permissions".to_owned(), 403),
        (Method::POST, "/callbacks".to_owned(), 403),
    ] {
        let answer = Answer::of(ann.as_peer(method.clone(), &path).json(&json!({ "sequence": 1, "data": 1 }))).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
    }
    for body in [
        json!({}),
        json!({ "data": [] }),
        json!({ "data": { "properties": 1 } }),
        json!({ "data": {}, "timestamp": "soon" }),
    ] {
        Answer::of(ann.as_peer(Method::POST, "/callbacks/permissions/peer").json(&body)).await.problem(400);
    }
    assert_eq!(ann.feed().await.unwrap().queue.last(), 0);
    // Half of a surrogate pair is what Python may send; the other fields are lenient, too.
    send(br#"{"sequence": "1", "timestamp": "2026-01-01 00:00:00", "data": {"odd": "\ud83d"}}"#).await.expect(204);
    assert_eq!(ann.kept().await, json!({ "odd": "\u{fffd}" }));
}

#[tokio::test]
async fn compressed_bodies_are_taken_and_bombs_are_not() {
    let site = Site::of(app()).await;
    let ann = Follower::subscribed(&site, "peer").await;
    let send = |encoding: &'static str, body: Vec<u8>| {
        let request = ann.as_peer(Method::POST, &ann.path()).header("content-encoding", encoding);
        Answer::of(request.header("content-type", "application/json").body(body))
    };
    let callback = ann.source.change("n", json!("x".repeat(3_000))).to_string();
    send("gzip", callback.clone().into_bytes()).await.problem(400);
    send("br", gzip(callback.as_bytes())).await.problem(415);
    send("gzip, gzip", gzip(callback.as_bytes())).await.problem(415);
    let bomb = gzip(&vec![b' '; 60_000_000]);
    assert!(bomb.len() < 100_000);
    send("gzip", bomb).await.problem(413);
    assert_eq!(ann.feed().await.unwrap().queue.last(), 0);
    send("gzip", gzip(callback.as_bytes())).await.expect(204);
    assert_eq!(ann.kept().await["n"].as_str().map(str::len), Some(3_000));
    send("identity", ann.source.change("n", json!(1)).to_string().into_bytes()).await.expect(204);

    let huge = ann.source.change("n", json!("x".repeat(4_100_000)));
    ann.call(&huge).await.problem(413);
    Answer::of(ann.me.owner.anonymous(Method::POST, &ann.path()).header("content-encoding", "gzip").body(gzip(b"{}")))
        .await
        .problem(401);
}

#[tokio::test]
async fn callbacks_of_the_applications_own_are_for_whom_it_lets_in() {
    let site = Site::of(app().path_rule("friend", "callbacks/ping", "POST", "a")).await;
    let ann = Follower::new(&site, "peer").await;
    let owner = &ann.me.owner;
    Answer::of(owner.anonymous(Method::POST, "/callbacks/ping").json(&json!({}))).await.problem(401);
    Answer::of(owner.anonymous(Method::POST, "/callbacks/nothing").json(&json!({}))).await.problem(401);
    Answer::of(owner.anonymous(Method::GET, "/callbacks/ping")).await.problem(401);
    let ping = Answer::of(ann.as_peer(Method::POST, "/callbacks/ping").json(&json!({}))).await.expect(200);
    assert_eq!(ping.json(), json!({ "op": "POST" }));
    Answer::of(ann.as_peer(Method::GET, "/callbacks/ping")).await.problem(403);
    Answer::of(ann.as_peer(Method::POST, "/callbacks/nothing").json(&json!({}))).await.problem(403);
    assert_eq!(owner.get("/callbacks/ping").await.expect(200).json(), json!({ "op": "GET" }));
    owner.post("/callbacks/nothing", &json!({})).await.problem(403);
}

#[tokio::test]
async fn a_peer_that_is_slow_holds_up_nobody_for_long() {
    let site = Site::limited(app(), Duration::from_secs(9)).await;
    let ann = Follower::subscribed(&site, "peer").await;
    ann.source.change("n", json!(1));
    ann.source.delay(Duration::from_secs(600));
    let low = ann.source.low(1, "");
    let began = tokio::time::Instant::now();
    ann.call(&low).await.problem(503);
    let slow = began.elapsed();
    ann.source.delay(Duration::ZERO);
    ann.call(&low).await.expect(204);
    assert!(slow < Duration::from_secs(9), "before the request's own end: {slow:?}");
}

#[tokio::test]
async fn a_peer_gives_subscriptions_of_its_own_only() {
    let site = Site::of(app()).await;
    let ann = Follower::subscribed(&site, "peer").await;
    // The other gives its subscription the same id: they are two.
    let other = Source::start("other").await;
    let peer = ann.me.befriend("other", &other.url).await;
    let wanted = actingweb_actor::feeds::SubscribeTo {
        peer: peer.clone(),
        scope: actingweb_protocol::subscription::Scope::target("properties"),
        granularity: actingweb_protocol::subscription::Granularity::High,
    };
    ann.feeds().subscribe(&ann.actor().await, wanted.clone()).await.unwrap();
    let path = format!("/callbacks/subscriptions/other/{SUBSCRIPTION}");
    let forged = ann.me.owner.anonymous(Method::POST, &path).bearer_auth("secret-of-peer");
    Answer::of(forged.json(&json!({ "sequence": 1, "data": { "n": 1 } }))).await.problem(403);
    ann.call(&ann.source.change("n", json!(1))).await.expect(204);
    let actor = ann.actor().await;
    assert!(actor.remote(&peer).properties().await.unwrap().is_empty());
    // A second one of the same id from the same peer is refused.
    ann.feeds().subscribe(&actor, wanted).await.unwrap_err();
    for odd in ["", "a/b", "..", "a?b"] {
        other.answers("subscriptions", 201, &json!({ "subscriptionid": odd }).to_string());
        let wanted = actingweb_actor::feeds::SubscribeTo {
            peer: peer.clone(),
            scope: actingweb_protocol::subscription::Scope::target("other"),
            granularity: actingweb_protocol::subscription::Granularity::None,
        };
        ann.feeds().subscribe(&actor, wanted).await.unwrap_err();
    }
    let _: Vec<Value> = site.table().await;
}
