//! Another secret for a relationship that exists.

use actingweb_hooks::prelude::*;
use actingweb_tests::{Answer, StrangePeer};
use reqwest::Method;

use crate::trust::{as_peer, ask, befriend, carry, site};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_ours_agree_on_a_new_secret() {
    let (here, there) = (site().await, site().await);
    let (ann, bob) = (here.actor("ann").await, there.actor("bob").await);
    let old = befriend(&here, &ann, &there, &bob).await;
    let (at_ann, at_bob) = (format!("/trust/friend/{}", bob.id), format!("/trust/friend/{}", ann.id));
    for (owner, path) in [(&ann, &at_ann), (&bob, &at_bob)] {
        let rotated = owner.post(&format!("{path}/secret"), &json!({})).await.expect(200).json();
        let new = rotated["secret"].as_str().unwrap();
        assert_ne!(new, old);
        assert_eq!(ann.get(&at_ann).await.expect(200).json()["secret"], json!(new));
        assert_eq!(bob.get(&at_bob).await.expect(200).json()["secret"], json!(new));
        for at in [&ann, &bob] {
            Answer::of(as_peer(at, new, Method::GET, "/properties")).await.expect(200);
            Answer::of(as_peer(at, &old, Method::GET, "/properties")).await.problem(403);
        }
    }
    ann.post("/trust/friend/nobody/secret", &json!({})).await.problem(404);
    bob.put(&at_bob, &json!({ "approved": false })).await.expect(204);
    bob.post(&format!("{at_bob}/secret"), &json!({})).await.problem(409);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_does_not_consent_keeps_the_old_one() {
    let site = site().await;
    let ann = site.actor("ann").await;
    let peer = StrangePeer::start("strange").await;
    peer.answers("POST", "trust/", 201, json!({}));
    let row = ask(&ann, &peer.url, "friend").await;
    let secret = row["secret"].as_str().unwrap();
    let own = format!("trust/friend/{}", ann.id);
    let rotate = || async { ann.post("/trust/friend/strange/secret", &json!({})).await };
    let proposed = || peer.asked_for("POST", &own).last().unwrap().body["secret"].as_str().unwrap().to_owned();
    let good = |secret: String| {
        let request = as_peer(&ann, &secret, Method::GET, "/trust/friend/strange");
        async move { Answer::of(request).await.status == 200 }
    };
    // The Python library answers 204 to what it does not know; others refuse.
    for (status, body) in [(204, json!({})), (200, json!({})), (200, json!({ "rotated": false })), (403, json!({}))] {
        peer.answers("POST", &own, status, body);
        rotate().await.problem(409);
        assert!(good(secret.to_owned()).await && !good(proposed()).await, "{status}");
        assert_eq!(ann.get("/trust/friend/strange").await.expect(200).json()["secret"], json!(secret));
    }

    // Nobody knows whether it took it: both are good until it is asked again.
    peer.answers("POST", &own, 503, json!({}));
    rotate().await.problem(502);
    let new = proposed();
    assert!(good(secret.to_owned()).await && good(new.clone()).await);
    let narrower = json!({ "properties": { "excluded_patterns": ["diary"] } });
    ann.put("/trust/friend/strange/permissions", &narrower).await.expect(201);
    peer.answers("GET", &own, 403, json!({}));
    peer.answers("POST", &own, 200, json!({ "rotated": true }));
    let rotated = rotate().await.expect(200).json();
    assert_eq!((rotated["secret"].as_str().unwrap(), proposed()), (new.as_str(), new.clone()));
    assert!(good(new.clone()).await && !good(secret.to_owned()).await);
    // What it was owed before is signed with what it knows now.
    carry(&site, &ann).await;
    let told = peer.asked_for("POST", &format!("callbacks/permissions/{}", ann.id));
    assert_eq!(told.iter().map(|told| told.secret.as_str()).collect::<Vec<_>>(), [new.as_str()]);

    // It took it, and only its answer was lost.
    peer.answers("POST", &own, 503, json!({}));
    rotate().await.problem(502);
    let newer = proposed();
    peer.answers("GET", &own, 200, json!({}));
    assert_eq!(rotate().await.expect(200).json()["secret"], json!(newer));
    assert_eq!(peer.asked_for("GET", &own).last().unwrap().secret, newer);
    assert!(good(newer).await && !good(new).await);
}
