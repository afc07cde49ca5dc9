//! What is tried across actors, peers and the two sides of a relationship; beside it stand `trust_attacks`,
//! `receiving_attacks` and `authorization`. docs/security.md says which test keeps which hole closed.

use actingweb_hooks::prelude::*;
use actingweb_protocol::subscription::Scope;
use actingweb_testkit::fakes::FakeClock;
use actingweb_tests::grants::session_of;
use actingweb_tests::{Answer, Owner, Publisher, Site, StrangePeer, secret_of};
use reqwest::Method;

use crate::trust::{app, as_peer, ask, befriend, site};

const SECRET: &str = "0123456789abcdef0123456789abcdef01234567";

/// A stranger's request for a relationship.
async fn request(owner: &Owner, id: &str, base_uri: &str, secret: &str) -> Answer {
    let body = json!({ "baseuri": base_uri, "id": id, "type": "urn:x", "secret": secret });
    Answer::of(owner.anonymous(Method::POST, "/trust/friend").json(&body)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_claims_the_id_of_another_peer_does_not_take_its_place() {
    let (here, there) = (site().await, site().await);
    let (ann, bob) = (here.actor("ann").await, there.actor("bob").await);
    let secret = befriend(&there, &bob, &here, &ann).await;
    let place = format!("/trust/friend/{}", bob.id);
    let wish = json!({ "target": "properties", "granularity": "high" });
    let subscribe = as_peer(&ann, &secret, Method::POST, &format!("/subscriptions/{}", bob.id)).json(&wish);
    Answer::of(subscribe).await.expect(201);
    let before = ann.get(&place).await.expect(200).json();

    // Its owner is talked into asking a server that says it is bob, for whatever relationship.
    let thief = StrangePeer::start(&bob.id).await;
    for relationship in ["friend", "associate"] {
        let wish = json!({ "url": thief.url, "relationship": relationship });
        let refused = ann.post("/trust", &wish).await.problem(409);
        assert!(refused.detail().contains(&bob.url), "{}", refused.body);
    }
    assert_eq!(ann.get(&place).await.expect(200).json(), before);
    assert!(thief.asked_for("POST", "trust/friend").is_empty(), "it was told no secret: {:?}", thief.asked());
    Answer::of(as_peer(&ann, &secret, Method::GET, "/properties")).await.expect(200);

    // Nor does one that asked first keep the place from the one that is meant: it is for the owner to say.
    let cid = there.actor("cid").await;
    let squatter = StrangePeer::start(&cid.id).await;
    request(&ann, &cid.id, &squatter.url, SECRET).await.expect(202);
    ann.post("/trust", &json!({ "url": cid.url, "relationship": "friend" })).await.problem(409);
    ann.delete(&format!("/trust/friend/{}?peer=true", cid.id)).await.expect(204);
    ask(&ann, &cid.url, "friend").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_strangers_that_come_at_once_are_as_few() {
    let site = site().await;
    let ann = site.actor("ann").await;
    let asking = (0..150).map(|number| {
        let ann = ann.clone();
        let (id, secret) = (format!("p{number}"), format!("{number:03}{SECRET}"));
        async move { request(&ann, &id, "http://127.0.0.1:9/p", &secret).await.status }
    });
    let statuses = futures_util::future::join_all(asking).await;
    assert!(statuses.iter().all(|status| matches!(status, 202 | 429 | 503)), "{statuses:?}");
    let rows = ann.get("/trust").await.expect(200).json();
    let (taken, kept) = (statuses.iter().filter(|status| **status == 202).count(), rows.as_array().unwrap().len());
    assert!(kept <= 100, "{kept}");
    assert_eq!(taken, kept, "what was not kept was refused");
    for (number, status) in statuses.into_iter().enumerate() {
        let secret = format!("{number:03}{SECRET}");
        let seen = Answer::of(as_peer(&ann, &secret, Method::GET, &format!("/trust/friend/p{number}"))).await.status;
        assert_eq!(seen == 202, status == 202, "p{number}: {seen}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_repeats_what_it_was_told_shows_no_secret() {
    let site = site().await;
    let ann = site.actor("ann").await;
    let mirror = StrangePeer::start("mirror").await;
    for status in [400, 403, 422, 500] {
        mirror.repeats("POST", "trust/", status);
        let refused = ann.post("/trust", &json!({ "url": mirror.url, "relationship": "friend" })).await.problem(408);
        let told = mirror.asked_for("POST", "trust/friend").last().unwrap().body.clone();
        for name in ["secret", "verify"] {
            let secret = told[name].as_str().unwrap();
            assert!(secret.len() == 40 && !refused.body.contains(&secret[..20]), "{name}: {}", refused.body);
        }
    }
    mirror.answers("POST", "trust/", 201, json!({}));
    ask(&ann, &mirror.url, "friend").await;
    for (status, answered) in [(400, 409), (503, 502)] {
        mirror.repeats("POST", "trust/", status);
        let refused = ann.post("/trust/friend/mirror/secret", &json!({})).await.problem(answered);
        let told = mirror.asked_for("POST", &format!("trust/friend/{}", ann.id)).last().unwrap().body.clone();
        let secret = told["secret"].as_str().unwrap();
        assert!(!refused.body.contains(&secret[..20]), "{}", refused.body);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_good_at_one_actor_alone() {
    let site = site().await;
    let (ann, bob, cid) = (site.actor("ann").await, site.actor("bob").await, site.actor("cid").await);
    let secret = ask(&bob, &ann.url, "admin").await["secret"].as_str().unwrap().to_owned();
    ann.put(&format!("/trust/admin/{}", bob.id), &json!({ "approved": true })).await.expect(204);
    Answer::of(as_peer(&ann, &secret, Method::GET, "/properties")).await.expect(200);
    let token = session_of(&site, &ann).await;
    let token = token.as_str();
    Answer::of(as_peer(&ann, token, Method::GET, "/properties")).await.expect(200);
    for path in [
        String::new(),
        "/properties".to_owned(),
        "/properties/x".to_owned(),
        "/methods".to_owned(),
        "/actions".to_owned(),
        "/trust".to_owned(),
        format!("/trust/admin/{}", bob.id),
        format!("/permissions/{}", bob.id),
        "/subscriptions".to_owned(),
        format!("/subscriptions/{}", bob.id),
        format!("/subscriptions/{}/x", bob.id),
    ] {
        for method in [Method::GET, Method::PUT, Method::POST, Method::DELETE] {
            for bearer in [secret.as_str(), token] {
                let answer = Answer::of(as_peer(&cid, bearer, method.clone(), &path).json(&json!({ "a": 1 }))).await;
                let refused = if bearer == token { 401 } else { 403 };
                assert!(
                    answer.status == refused || answer.status == 405,
                    "{method} {path}: {} {}",
                    answer.status,
                    answer.body
                );
                let nowhere = format!("{}/{}{path}", site.url(""), "0".repeat(32));
                let nobody = Answer::of(site.http.request(method.clone(), nowhere).bearer_auth(bearer)).await;
                assert!(matches!(nobody.status, 404 | 405), "{method} {path}: {} {}", nobody.status, nobody.body);
            }
        }
    }
    // The address of an actor with a session is no way to another's data either.
    cid.get("/properties/a").await.problem(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passphrases_and_tokens_are_stored_as_hashes() {
    let site = site().await;
    let ann = site.actor("ann").await;
    let token = session_of(&site, &ann).await;
    let token = token.rsplit('.').next().unwrap();
    let peer = StrangePeer::start("peer").await;
    request(&ann, "peer", &peer.url, SECRET).await.expect(202);
    let stored = format!("{:?}", site.table().await);
    assert!(stored.contains(&ann.id) && stored.contains("AUTH#") && stored.contains("CRED#"), "{stored}");
    for secret in [&ann.passphrase, token, SECRET] {
        assert!(!stored.contains(secret), "{stored}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_an_id_looks_like_it_is_no_fault_of_ours() {
    let site = site().await;
    let ann = Publisher::new(&site).await;
    let poller = ann.poller("bob", "properties", "none").await;
    let long = "a".repeat(3000);
    // Dot segments are for `raw`: this client would resolve them.
    let odd =
        [long.as_str(), "%00", "%ff", "%2f", "%25", "%23", "..%2f..", "%e2%80%ae", "*", "SUB%23", "a%20b", "%22", ";x"];
    for id in odd {
        for path in [
            format!("/subscriptions/bob/{id}"),
            format!("/subscriptions/bob/{id}/1"),
            format!("/subscriptions/bob/{}/{id}", poller.id),
            format!("/subscriptions/{id}/x"),
            format!("/callbacks/subscriptions/bob/{id}"),
            format!("/callbacks/subscriptions/{id}/x"),
            format!("/callbacks/permissions/{id}"),
            format!("/trust/friend/{id}"),
            format!("/trust/{id}/bob"),
            format!("/trust/{id}"),
            format!("/permissions/{id}"),
        ] {
            for method in [Method::GET, Method::PUT, Method::POST, Method::DELETE] {
                let body = json!({ "sequence": 1, "data": {}, "approved": true });
                for signed in [
                    ann.owner.with_secret(&secret_of("bob"), method.clone(), &path),
                    ann.owner.request(method.clone(), &path),
                ] {
                    let answer = Answer::of(signed.json(&body)).await;
                    assert!(answer.status < 500, "{method} {path}: {} {}", answer.status, answer.body);
                }
            }
        }
    }
    assert_eq!(poller.poll().await["sequence"], 0);
    let peer = actingweb_protocol::PeerId::parse("bob").unwrap();
    assert!(ann.trust(&peer).await.approved, "nothing of it was anything");
    ann.subscribe(&peer, Scope::target("properties")).await;
}

#[tokio::test]
async fn guessing_a_trustees_bearer_is_slowed_down_too() {
    let clock = FakeClock::new();
    let site = Site::with_clock(app().0, std::sync::Arc::new(clock.clone())).await;
    let ann = site.actor("ann").await;
    let trustee = json!({ "creator": "trustee", "trustee_root": "https://trustee.example/" });
    ann.put("/trust/trustee", &trustee).await.expect(204);
    let from = |address: &str, bearer: &str| {
        Answer::of(as_peer(&ann, bearer, Method::GET, "").header("x-test-address", address))
    };
    for _ in 0..20 {
        from("192.0.2.1", "a-guess-of-its-passphrase").await.problem(403);
    }
    from("192.0.2.1", "a-guess-of-its-passphrase").await.problem(429);
    from("192.0.2.1", &ann.passphrase).await.problem(429);
    from("192.0.2.2", &ann.passphrase).await.expect(200);
    clock.advance(std::time::Duration::from_secs(60));
    from("192.0.2.1", &ann.passphrase).await.expect(200);
}
