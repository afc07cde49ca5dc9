//! What strangers, pending peers and peers must not be able to do to relationships. Each test fails if its hole opens.

use std::sync::Arc;
use std::time::Duration;

use actingweb_hooks::prelude::*;
use actingweb_testkit::fakes::FakeClock;
use actingweb_tests::{Answer, Owner, Site, StrangePeer};
use reqwest::Method;

use crate::trust::{app, as_peer, ask, befriend, site};

const SECRET: &str = "0123456789abcdef0123456789abcdef01234567";

/// A stranger's request for a relationship.
async fn request(owner: &Owner, relationship: &str, body: &Value) -> Answer {
    Answer::of(owner.anonymous(Method::POST, &format!("/trust/{relationship}")).json(body)).await
}

fn body(peer: &StrangePeer, secret: &str) -> Value {
    json!({
        "baseuri": peer.url, "id": peer.id, "type": "urn:x", "secret": secret, "desc": "", "verify": "the-token",
    })
}

/// A peer whose own row confirms its request.
async fn confirming(id: &str) -> StrangePeer {
    let peer = StrangePeer::start(id).await;
    peer.answers("GET", "trust/", 200, json!({ "verification_token": "the-token" }));
    peer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_overwrites_no_relationship() {
    let (here, there) = (site().await, site().await);
    let (ann, bob) = (here.actor("ann").await, there.actor("bob").await);
    let secret = befriend(&here, &ann, &there, &bob).await;
    let row = format!("/trust/friend/{}", ann.id);
    let before = bob.get(&row).await.expect(200).json();

    let thief = confirming(&ann.id).await;
    for relationship in ["friend", "admin", "associate"] {
        // From elsewhere, even though elsewhere confirms it.
        request(&bob, relationship, &body(&thief, SECRET)).await.problem(403);
        // From the right place, which knows nothing of it.
        let mut forged = body(&thief, SECRET);
        forged["baseuri"] = json!(ann.url);
        request(&bob, relationship, &forged).await.problem(403);
        forged["baseuri"] = json!(format!("{}/", ann.url));
        request(&bob, relationship, &forged).await.problem(403);
        forged.as_object_mut().unwrap().remove("secret");
        request(&bob, relationship, &forged).await.problem(403);
    }
    assert!(thief.asked().is_empty(), "nobody is called for a request that is refused anyway");
    assert_eq!(bob.get(&row).await.expect(200).json(), before);
    assert_eq!(bob.get("/trust").await.expect(200).json().as_array().unwrap().len(), 1);
    Answer::of(as_peer(&bob, SECRET, Method::GET, "/properties")).await.problem(403);
    Answer::of(as_peer(&bob, &secret, Method::GET, "/properties")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_peer_itself_may_begin_anew_and_is_unapproved_then() {
    let (here, there) = (site().await, site().await);
    let (ann, bob) = (here.actor("ann").await, there.actor("bob").await);
    let old = befriend(&here, &ann, &there, &bob).await;
    let path = format!("/trust/friend/{}", ann.id);
    let limits = json!({ "properties": { "excluded_patterns": ["diary"] } });
    bob.put(&format!("{path}/permissions"), &limits).await.expect(201);
    bob.put("/properties/diary", &json!("dear diary")).await.expect(204);

    // It ended on one side alone, whose notice was lost.
    ann.delete(&format!("/trust/friend/{}?peer=true", bob.id)).await.expect(204);
    let new = ask(&ann, &bob.url, "friend").await["secret"].as_str().unwrap().to_owned();
    assert_ne!(old, new);
    Answer::of(as_peer(&bob, &old, Method::GET, &path)).await.problem(403);
    Answer::of(as_peer(&bob, &new, Method::GET, "/properties")).await.problem(403);
    bob.put(&path, &json!({ "approved": true })).await.expect(204);
    Answer::of(as_peer(&bob, &new, Method::GET, "/properties")).await.expect(200);
    Answer::of(as_peer(&bob, &new, Method::GET, "/properties/diary")).await.problem(403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_verified_peer_is_accepted_automatically() {
    let site = Site::of(app().0.auto_accept(true)).await;
    let ann = site.actor("ann").await;
    ann.put("/properties/public", &json!({ "motto": "hello" })).await.expect(204);
    let can_read = |secret: String| {
        let request = as_peer(&ann, &secret, Method::GET, "/properties/public/motto");
        async move { Answer::of(request).await.status }
    };
    let cases = [
        ("no-row", 404, json!({})),
        ("wrong-token", 200, json!({ "verification_token": "another" })),
        ("no-object", 200, json!(["the-token"])),
        ("server-error", 500, json!({ "verification_token": "the-token" })),
        ("pending", 403, json!({ "verificationToken": "the-token" })),
        ("elsewhere", 302, json!({ "verification_token": "the-token", "location": "http://127.0.0.1:9/" })),
    ];
    for (index, (id, status, reply)) in cases.into_iter().enumerate() {
        let peer = StrangePeer::start(id).await;
        peer.answers("GET", "trust/", status, reply);
        let secret = format!("{index}{SECRET}");
        let row = request(&ann, "associate", &body(&peer, &secret)).await.expect(202).json();
        assert_eq!((&row["verified"], &row["approved"]), (&json!(false), &json!(false)), "{id}");
        assert_eq!(can_read(secret.clone()).await, 403, "{id}");
        assert_eq!(peer.asked_for("GET", &format!("trust/associate/{}", ann.id))[0].secret, secret);
    }
    // Without what to verify by, there is nothing to verify.
    let peer = confirming("silent").await;
    let mut silent = body(&peer, &format!("s{SECRET}"));
    silent["verify"] = json!("");
    request(&ann, "associate", &silent).await.expect(202);
    // Another relationship than the default one is for people to decide, verified or not.
    let peer = confirming("eager").await;
    let row = request(&ann, "admin", &body(&peer, &format!("e{SECRET}"))).await.expect(202).json();
    assert_eq!((&row["verified"], &row["approved"]), (&json!(true), &json!(false)));

    for (id, key) in [("python", "verification_token"), ("spec", "verificationToken")] {
        let peer = StrangePeer::start(id).await;
        peer.answers("GET", "trust/", 200, json!({ key: "the-token" }));
        let secret = format!("{id}{SECRET}");
        let row = request(&ann, "associate", &body(&peer, &secret)).await.expect(201).json();
        assert_eq!((&row["verified"], &row["approved"]), (&json!(true), &json!(true)), "{id}");
        assert_eq!(can_read(secret).await, 200, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pending_peer_is_nobody_but_in_its_own_handshake() {
    let site = site().await;
    let ann = site.actor("ann").await;
    ann.put("/properties/color", &json!("blue")).await.expect(204);
    let (peer, other) = (confirming("pending").await, confirming("other").await);
    request(&ann, "admin", &body(&peer, SECRET)).await.expect(202);
    request(&ann, "admin", &body(&other, &format!("o{SECRET}"))).await.expect(202);
    let own = "/trust/admin/pending";
    for (method, path) in [
        (Method::GET, ""),
        (Method::GET, "/properties/color"),
        (Method::GET, "/trust"),
        (Method::GET, "/trust/admin"),
        (Method::GET, "/trust/admin/other"),
        (Method::POST, "/trust/admin/other"),
        (Method::DELETE, "/trust/admin/other"),
        (Method::PUT, own),
        (Method::GET, "/trust/admin/pending/permissions"),
        (Method::PUT, "/trust/admin/pending/permissions"),
        (Method::GET, "/trust/admin/pending/shared_properties"),
        (Method::POST, "/trust/admin/pending/secret"),
        (Method::GET, "/permissions/pending"),
        (Method::PUT, "/trust/trustee"),
    ] {
        let name = format!("{method} {path}");
        let request = as_peer(&ann, SECRET, method, path).json(&json!({ "approved": true }));
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, 403, "{name}: {}", answer.body);
    }
    let row = Answer::of(as_peer(&ann, SECRET, Method::GET, own)).await.expect(202).json();
    assert_eq!((&row["approved"], &row["secret"]), (&json!(false), &json!(SECRET)));
    // What it says of itself promotes it nowhere.
    Answer::of(as_peer(&ann, SECRET, Method::POST, own).json(&json!({ "approved": true }))).await.expect(204);
    let proposal = json!({ "secret": format!("x{SECRET}") });
    Answer::of(as_peer(&ann, SECRET, Method::POST, own).json(&proposal)).await.problem(403);
    Answer::of(as_peer(&ann, SECRET, Method::GET, own)).await.expect(202);
    Answer::of(as_peer(&ann, SECRET, Method::DELETE, own)).await.expect(204);
    ann.get(own).await.problem(404);
    assert_eq!(ann.get("/trust").await.expect(200).json().as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pending_requests_are_few_and_end() {
    let clock = FakeClock::new();
    let site = Site::with_clock(app().0, Arc::new(clock.clone())).await;
    let ann = site.actor("ann").await;
    let stranger = StrangePeer::start("p0").await;
    let as_number = |number: usize| {
        let mut body = body(&stranger, &format!("{number:03}{SECRET}"));
        body["id"] = json!(format!("p{number}"));
        body["verify"] = json!("");
        body
    };
    for number in 0..100 {
        request(&ann, "friend", &as_number(number)).await.expect(202);
    }
    let full = request(&ann, "friend", &as_number(100)).await.problem(429);
    let wait: u64 = full.header("retry-after").parse().unwrap();
    assert!((1..=3600).contains(&wait), "{wait}");
    // An answer makes room, whichever it is; so does an end.
    ann.put("/trust/friend/p1", &json!({ "approved": true })).await.expect(204);
    request(&ann, "friend", &as_number(100)).await.expect(202);
    request(&ann, "friend", &as_number(101)).await.problem(429);
    ann.put("/trust/friend/p2", &json!({ "approved": false })).await.expect(204);
    request(&ann, "friend", &as_number(101)).await.expect(202);
    ann.delete("/trust/friend/p3").await.expect(204);
    request(&ann, "friend", &as_number(102)).await.expect(202);
    // The owner's own requests are not counted.
    ask(&ann, &site.actor("bob").await.url, "friend").await;

    clock.advance(Duration::from_secs(7 * 24 * 3600 + 1));
    ann.get("/trust/friend/p0").await.problem(404);
    ann.put("/trust/friend/p0", &json!({ "approved": true })).await.problem(404);
    Answer::of(as_peer(&ann, &format!("000{SECRET}"), Method::GET, "/trust/friend/p0")).await.problem(403);
    let left = ann.get("/trust/friend").await.expect(200).json();
    assert_eq!(left.as_array().unwrap().len(), 3, "what was decided about, and what the owner asked for: {left}");
    request(&ann, "friend", &as_number(0)).await.expect(202);
    ann.put("/trust/friend/p0", &json!({ "approved": true })).await.expect(204);
    clock.advance(Duration::from_secs(30 * 24 * 3600));
    ann.get("/trust/friend/p0").await.expect(200);
    Answer::of(as_peer(&ann, &format!("000{SECRET}"), Method::GET, "/properties")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_learns_whether_a_relationship_exists() {
    let site = site().await;
    let (ann, bob) = (site.actor("ann").await, site.actor("bob").await);
    ask(&ann, &bob.url, "friend").await;
    let missing = "0".repeat(32);
    for below in ["", "/permissions", "/shared_properties", "/secret", "/other"] {
        for method in [Method::GET, Method::PUT, Method::POST, Method::DELETE] {
            let path = |peer: &str| format!("/trust/friend/{peer}{below}");
            let asked = |path: &str, secret: Option<&str>| {
                let request = ann.anonymous(method.clone(), path).json(&json!({ "approved": true }));
                let request = match secret {
                    Some(secret) => request.bearer_auth(secret),
                    None => request,
                };
                async { Answer::of(request).await }
            };
            for secret in [None, Some(SECRET)] {
                let there = asked(&path(&bob.id), secret).await;
                let absent = asked(&path(&missing), secret).await;
                let own = asked(&path(&ann.id), secret).await;
                let expected = if secret.is_some() { 403 } else { 401 };
                assert!(matches!(there.status, 405) || there.status == expected, "{}: {}", there.request, there.body);
                assert_eq!(there.status, absent.status, "{}", there.request);
                assert_eq!(own.status, absent.status, "{}", own.request);
                assert_eq!(there.json()["detail"], absent.json()["detail"], "{}", there.request);
            }
        }
    }
    let read = |peer: &str| Answer::of(ann.anonymous(Method::GET, &format!("/permissions/{peer}")));
    read(&bob.id).await.problem(401);
    read(&missing).await.problem(401);
    ann.delete(&format!("/trust/friend/{}", ann.id)).await.problem(400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_are_bound_to_their_own_place() {
    let site = site().await;
    let (ann, bob, cid) = (site.actor("ann").await, site.actor("bob").await, site.actor("cid").await);
    let mut secrets = Vec::new();
    for peer in [&bob, &cid] {
        secrets.push(ask(peer, &ann.url, "friend").await["secret"].as_str().unwrap().to_owned());
        ann.put(&format!("/trust/friend/{}", peer.id), &json!({ "approved": true })).await.expect(204);
    }
    let others = format!("/trust/friend/{}", cid.id);
    let as_bob = |method: Method, path: &str| as_peer(&ann, &secrets[0], method, path);
    for (method, path) in [
        (Method::GET, others.clone()),
        (Method::POST, others.clone()),
        (Method::PUT, others.clone()),
        (Method::DELETE, others.clone()),
        (Method::GET, format!("{others}/permissions")),
        (Method::GET, format!("{others}/shared_properties")),
        (Method::GET, format!("/permissions/{}", cid.id)),
        (Method::PUT, format!("/trust/friend/{}", bob.id)),
        (Method::PUT, format!("/trust/friend/{}/permissions", bob.id)),
        (Method::DELETE, format!("/trust/friend/{}/permissions", bob.id)),
        (Method::POST, format!("/trust/friend/{}/secret", bob.id)),
        (Method::GET, "/trust".into()),
        (Method::POST, "/trust".into()),
        (Method::GET, "/trust/friend".into()),
    ] {
        let body = json!({ "approved": false, "url": "https://example.com/x", "methods": null });
        let answer = Answer::of(as_bob(method.clone(), &path).json(&body)).await;
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.body);
    }
    let row = ann.get(&others).await.expect(200).json();
    assert_eq!((&row["approved"], &row["peer_approved"]), (&json!(true), &json!(true)));
    // Not even the owner speaks for a peer.
    ann.post(&others, &json!({ "approved": false })).await.problem(403);
    // A change hidden in a read is none.
    let hidden = format!("/trust/friend/{}?_method=DELETE", bob.id);
    Answer::of(as_bob(Method::GET, &hidden)).await.expect(200);
    ann.get("/trust/friend?_method=DELETE").await.expect(200);
    ann.get(&format!("/trust/friend/{}?_method=PUT&approved=false", bob.id)).await.expect(200);
    Answer::of(as_bob(Method::POST, &hidden)).await.expect(204);
    ann.get(&format!("/trust/friend/{}", bob.id)).await.problem(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_that_is_a_peer_takes_over_nobody() {
    let site = site().await;
    let (ann, boss, cid) = (site.actor("ann").await, site.actor("boss").await, site.actor("cid").await);
    let secret = ask(&boss, &ann.url, "admin").await["secret"].as_str().unwrap().to_owned();
    ann.put(&format!("/trust/admin/{}", boss.id), &json!({ "approved": true })).await.expect(204);
    let others = ask(&cid, &ann.url, "friend").await["secret"].as_str().unwrap().to_owned();
    let place = format!("/trust/friend/{}", cid.id);
    let as_boss = |method: Method, path: &str, body: Value| {
        let request = as_peer(&ann, &secret, method, path).json(&body);
        async { Answer::of(request).await }
    };
    for path in ["/trust", "/trust/friend", &place] {
        let shown = as_boss(Method::GET, path, json!({})).await;
        assert!(matches!(shown.status, 200 | 202), "{path}: {}", shown.status);
        assert!(!shown.body.contains(&others) && !shown.body.contains("verification"), "{path}: {}", shown.body);
    }
    as_boss(Method::PUT, &place, json!({ "baseuri": boss.url })).await.problem(403);
    as_boss(Method::PUT, "/trust/trustee", json!({ "creator": "boss" })).await.problem(403);
    as_boss(Method::POST, &place, json!({ "approved": true })).await.problem(403);
    as_boss(Method::GET, &format!("{place}/shared_properties"), json!({})).await.problem(403);
    as_boss(Method::GET, &format!("/permissions/{}", cid.id), json!({})).await.problem(403);
    as_boss(Method::PUT, &place, json!({ "approved": true, "baseuri": cid.url })).await.expect(204);
    let own = as_boss(Method::GET, &format!("/trust/admin/{}", boss.id), json!({})).await.expect(200).json();
    assert_eq!(own["secret"], json!(secret));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_makes_us_call_where_we_must_not() {
    let site = site().await;
    let ann = site.actor("ann").await;
    let id = "f".repeat(32);
    for url in [
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/x",
        "http://192.168.1.1/x",
        "http://[fd00::1]/x",
        "http://0.0.0.0/x",
        "http://100.64.0.1/x",
        "http://2852039166/x",
        "ftp://example.com/x",
        "file:///etc/passwd",
        "gopher://example.com/",
        "http://user:pass@127.0.0.1/x",
        "//example.com/x",
        "x",
    ] {
        ann.post("/trust", &json!({ "url": url })).await.problem(400);
        let stranger = json!({ "baseuri": url, "id": id, "secret": SECRET, "verify": "t" });
        request(&ann, "friend", &stranger).await.problem(400);
    }
    assert_eq!(ann.get("/trust").await.expect(200).json(), json!([]));

    // A redirect is no answer, and no secret follows it.
    let (moved, trap) = (StrangePeer::start("moved").await, confirming("trap").await);
    let to = |path: &str| json!({ "location": format!("{}{path}", trap.url) });
    moved.answers("GET", "meta", 302, to("/meta"));
    moved.answers("GET", "trust/", 307, to("/trust/friend/x"));
    ann.post("/trust", &json!({ "url": moved.url })).await.problem(408);
    let row = request(&ann, "friend", &body(&moved, SECRET)).await.expect(202).json();
    assert_eq!(row["verified"], false);
    assert!(trap.asked().is_empty(), "{:?}", trap.asked());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_requests_are_refused_with_a_reason() {
    let site = site().await;
    let ann = site.actor("ann").await;
    let peer = confirming("peer").await;
    let good = body(&peer, SECRET);
    let with = |key: &str, value: Value| {
        let mut body = good.clone();
        body[key] = value;
        body
    };
    let long = |n: usize| json!("x".repeat(n));
    for odd in [
        json!({}),
        json!([]),
        json!("x"),
        with("baseuri", json!("")),
        with("baseuri", json!(7)),
        with("baseuri", json!(format!("{}/{}", peer.url, "x".repeat(1100)))),
        with("id", json!("")),
        with("id", json!("a/b")),
        with("id", json!("a b")),
        with("id", json!("..")),
        with("id", json!("desc")),
        with("id", long(129)),
        with("id", json!(ann.id)),
        with("id", json!({})),
        with("secret", json!("short")),
        with("secret", json!("0123456789abcdef\r\nX: y")),
        with("secret", json!("blanks are no part of it")),
        with("secret", json!(format!("actw_{SECRET}"))),
        with("secret", long(257)),
        with("secret", json!([SECRET])),
        with("type", long(1025)),
        with("desc", json!("a\nb")),
        with("verify", long(1025)),
    ] {
        request(&ann, "friend", &odd).await.problem(400);
    }
    request(&ann, "friend", &with("desc", long(300 * 1024))).await.problem(413);
    for relationship in ["any", "creator", "owner", "handshake", "a b", "caf\u{e9}", &"x".repeat(65)] {
        request(&ann, relationship, &good).await.problem(400);
    }
    request(&ann, "trustee", &good).await.problem(405);
    assert_eq!(ann.get("/trust").await.expect(200).json(), json!([]));
    assert!(peer.asked().is_empty());

    request(&ann, "lover", &good).await.expect(202);
    // The same secret for another peer would make one of them pass for the other.
    request(&ann, "friend", &with("id", json!("another"))).await.problem(403);
    let strict = Site::of(app().0.strict_relationships(true)).await;
    let bob = strict.actor("bob").await;
    request(&bob, "lover", &good).await.problem(403);
    request(&bob, "friend", &good).await.expect(202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_requests_at_the_same_time_one_stands() {
    let site = site().await;
    let ann = site.actor("ann").await;
    let peer = confirming("peer").await;
    let racing = (0..12).map(|number| {
        let (ann, body) = (ann.clone(), body(&peer, &format!("{number:02}{SECRET}")));
        async move { request(&ann, "friend", &body).await.status }
    });
    let statuses = futures_util::future::join_all(racing).await;
    assert!(statuses.iter().all(|status| matches!(status, 202 | 409 | 503)), "{statuses:?}");
    let rows = ann.get("/trust").await.expect(200).json();
    assert_eq!(rows.as_array().unwrap().len(), 1);
    let mut good = 0;
    for number in 0..12 {
        let secret = format!("{number:02}{SECRET}");
        let seen = Answer::of(as_peer(&ann, &secret, Method::GET, "/trust/friend/peer")).await;
        good += usize::from(seen.status == 202);
        assert!(
            seen.status != 202 || rows[0]["secret"] == json!(secret),
            "the secret in the row is the one that is good"
        );
    }
    assert_eq!(good, 1, "one secret is good, those it replaced are not");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_stored_sealed_and_end_with_the_relationship() {
    let site = site().await;
    let (ann, bob) = (site.actor("ann").await, site.actor("bob").await);
    let secret = ask(&ann, &bob.url, "friend").await["secret"].as_str().unwrap().to_owned();
    bob.put(&format!("/trust/friend/{}", ann.id), &json!({ "approved": true })).await.expect(204);
    let stored = format!("{:?}", site.table().await);
    assert!(stored.contains("TRUST#") && stored.contains("OUT#"), "{stored}");
    assert!(!stored.contains(&secret), "{stored}");
    bob.delete(&format!("/trust/friend/{}", ann.id)).await.expect(204);
    ann.delete(&format!("/trust/friend/{}", bob.id)).await.expect(204);
    site.drain().await;
    let left: Vec<_> = site.table().await;
    let left: Vec<_> = left.iter().filter_map(|item| item["sk"].as_str()).collect();
    let of_trust = |sk: &&&str| ["TRUST#", "CRED#", "PEND#", "SUB#"].iter().any(|prefix| sk.starts_with(prefix));
    assert_eq!(left.iter().filter(of_trust).count(), 0, "{left:?}");
}
