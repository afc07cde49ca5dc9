//! `/trust` and `/permissions` on the wire: shapes, statuses, and who may do what.

use actingweb_tests::{Answer, Owner, Site};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{FORM, in_process};

const SECRET: &str = "0123456789abcdef0123456789abcdef01234567";

/// A peer that nobody can reach asks for a relationship.
async fn request(owner: &Owner, id: &str, secret: &str) -> Answer {
    let body = json!({ "baseuri": format!("http://127.0.0.1:9/{id}"), "id": id, "type": "urn:x", "secret": secret });
    Answer::of(owner.anonymous(Method::POST, "/trust/friend").json(&body)).await
}

async fn as_peer(owner: &Owner, secret: &str, method: Method, path: &str, body: &Value) -> Answer {
    Answer::of(owner.with_secret(secret, method, path).json(body)).await
}

#[tokio::test]
async fn a_request_waits_for_the_owner_who_decides() {
    let site = Site::start().await;
    let ann = site.actor("ann").await;
    ann.put("/properties/color", &json!("blue")).await.expect(204);
    let received = request(&ann, "peer", SECRET).await.expect(202);
    assert_eq!(received.header("location"), format!("{}/trust/friend/peer", ann.url));
    assert_eq!(received.header("cache-control"), "no-store");
    let row = received.json();
    for (key, value) in [
        ("id", json!(ann.id)),
        ("peerid", json!("peer")),
        ("baseuri", json!("http://127.0.0.1:9/peer")),
        ("type", json!("urn:x")),
        ("relationship", json!("friend")),
        ("secret", json!(SECRET)),
        ("approved", json!(false)),
        ("peer_approved", json!(true)),
        ("verified", json!(false)),
    ] {
        assert_eq!(row[key], value, "{key}");
    }
    let none = json!({});
    as_peer(&ann, SECRET, Method::GET, "/properties/color", &none).await.problem(403);
    as_peer(&ann, SECRET, Method::GET, "/trust/friend/peer", &none).await.expect(202);
    ann.get("/trust/friend/peer").await.expect(202);

    // By a form, as a page has it.
    let form = Method::POST;
    ann.send(form, "/trust/friend/peer?_method=PUT", FORM, "approved=true").await.expect(204);
    assert_eq!(as_peer(&ann, SECRET, Method::GET, "/properties/color", &none).await.expect(200).body, "blue");
    as_peer(&ann, SECRET, Method::GET, "/trust/friend/peer", &none).await.expect(200);
    let rights = as_peer(&ann, SECRET, Method::GET, "/permissions/peer", &none).await.expect(200).json();
    assert_eq!((&rights["source"], &rights["trust_type"]), (&json!("trust_type_default"), &json!("friend")));
    assert_eq!(rights["permissions"].as_object().map(serde_json::Map::len), Some(6));

    let shared = as_peer(&ann, SECRET, Method::GET, "/trust/friend/peer/shared_properties", &none).await;
    let shared = shared.expect(200).json();
    let names: Vec<_> =
        shared["shared_properties"].as_array().into_iter().flatten().map(|entry| &entry["name"]).collect();
    assert!(names.contains(&&json!("color")), "{shared}");

    as_peer(&ann, SECRET, Method::DELETE, "/trust/friend/peer", &none).await.expect(204);
    as_peer(&ann, SECRET, Method::GET, "/trust/friend/peer", &none).await.problem(403);
    ann.get("/trust/friend/peer").await.problem(404);
    assert_eq!(ann.get("/trust").await.expect(200).json(), json!([]));
}

#[tokio::test]
async fn strangers_are_sent_away_before_anything_is_told() {
    let site = Site::start().await;
    let ann = site.actor("ann").await;
    request(&ann, "peer", SECRET).await.expect(202);
    for path in ["/trust", "/trust/friend", "/trust/friend/peer", "/trust/friend/nobody", "/permissions/peer"] {
        let anonymous = Answer::of(ann.anonymous(Method::GET, path)).await.problem(401);
        assert!(anonymous.header("www-authenticate").starts_with("Basic"), "{path}");
        as_peer(&ann, "wrong", Method::GET, path, &json!({})).await.problem(403);
    }
    Answer::of(ann.anonymous(Method::PUT, "/trust/trustee").json(&json!({ "trustee_root": "https://x.example/" })))
        .await
        .problem(401);
    Answer::of(ann.anonymous(Method::DELETE, "/trust/trustee")).await.problem(401);
    as_peer(&ann, SECRET, Method::PUT, "/trust/trustee", &json!({})).await.problem(403);
    request(&ann, "peer", &format!("x{SECRET}")).await.problem(403);
    let unknown = site.url(&format!("/{}/trust/friend", "0".repeat(32)));
    Answer::of(site.http.post(unknown).json(&json!({ "baseuri": "http://127.0.0.1:9/p", "id": "p" })))
        .await
        .problem(404);
}

#[tokio::test]
async fn each_path_says_which_verbs_it_has() {
    let site = Site::start().await;
    let ann = site.actor("ann").await;
    for (path, allow) in [
        ("/trust", "GET, POST"),
        ("/trust/trustee", "PUT, DELETE"),
        ("/trust/friend", "GET, POST"),
        ("/trust/friend/desc", "GET"),
        ("/trust/friend/peer/permissions", "GET, PUT, DELETE"),
        ("/trust/friend/peer/shared_properties", "GET"),
        ("/trust/friend/peer/secret", "POST"),
        ("/permissions/peer", "GET"),
    ] {
        let answer = Answer::of(ann.request(Method::PATCH, path)).await.problem(405);
        assert_eq!(answer.header("allow"), allow, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_actors_of_one_site_become_friends() {
    let site = Site::start().await;
    if !in_process(&site, "each side calls the other before it answers, which takes three of one function at once") {
        return;
    }
    let (ann, bob) = (site.actor("ann").await, site.actor("bob").await);
    let asked = ann.post("/trust", &json!({ "url": bob.url, "relationship": "friend" })).await.expect(201);
    assert_eq!(asked.header("location"), format!("{}/trust/friend/{}", ann.url, bob.id));
    let secret = asked.json()["secret"].as_str().unwrap_or_default().to_owned();
    let row = bob.get(&format!("/trust/friend/{}", ann.id)).await.expect(202).json();
    assert_eq!((&row["verified"], &row["baseuri"]), (&json!(true), &json!(ann.url)));
    bob.put(&format!("/trust/friend/{}", ann.id), &json!({ "approved": true })).await.expect(204);
    as_peer(&bob, &secret, Method::GET, "/properties", &json!({})).await.expect(200);
    ann.post("/trust", &json!({ "url": ann.url })).await.problem(400);
    ann.post("/trust", &json!({ "url": "http://127.0.0.1:9/nobody" })).await.problem(408);
}
