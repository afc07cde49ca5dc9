//! What a relationship permits: overrides, their effect at once, and what the peer is told.

use actingweb_hooks::prelude::*;
use actingweb_hooks::{Category, Operation, Rules, TrustDefinition};
use actingweb_protocol::ActorId;
use actingweb_tests::{Answer, Owner, Site};
use reqwest::Method;

use crate::trust::{app, as_peer, ask, site};

/// Ann, bob who is her friend, and bob's secret at ann.
async fn friends(site: &Site) -> (Owner, Owner, String) {
    let (ann, bob) = (site.actor("ann").await, site.actor("bob").await);
    let secret = ask(&bob, &ann.url, "friend").await["secret"].as_str().unwrap().to_owned();
    ann.put(&format!("/trust/friend/{}", bob.id), &json!({ "approved": true })).await.expect(204);
    ann.put("/properties/diary", &json!("dear diary")).await.expect(204);
    ann.put("/properties/color", &json!("blue")).await.expect(204);
    told(site, &ann).await;
    (ann, bob, secret)
}

/// What an actor owes its peers, taken off the list: kind of change, path and body.
async fn told(site: &Site, owner: &Owner) -> Vec<(String, Value)> {
    let (store, id) = (site.state().actors.store(), ActorId::parse(&owner.id).unwrap());
    let mut told = Vec::new();
    for notice in store.notices(&id).await.unwrap() {
        let body = notice.body.as_deref().map(|body| serde_json::from_str(body).unwrap()).unwrap_or_default();
        told.push((format!("{} {}", notice.method, notice.path), body));
        store.finish_notice(&id, &notice).await.unwrap();
    }
    told
}

async fn status(owner: &Owner, secret: &str, path: &str) -> u16 {
    Answer::of(as_peer(owner, secret, Method::GET, path)).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_change_at_once_and_the_peer_is_told_each_time() {
    let site = site().await;
    let (ann, bob, secret) = friends(&site).await;
    let place = format!("/trust/friend/{}/permissions", bob.id);
    let callback = format!("POST callbacks/permissions/{}", ann.id);

    let shown = ann.get(&place).await.expect(200).json();
    assert_eq!((&shown["is_custom"], &shown["source"]), (&json!(false), &json!("trust_type_default")));
    assert_eq!(shown["properties"]["patterns"], json!(["*"]));
    assert_eq!((&shown["prompts"], &shown["trust_type"]), (&json!({}), &json!("friend")));
    assert_eq!(shown["notes"], "Default permissions for Friend");

    assert_eq!(status(&ann, &secret, "/properties/diary").await, 200);
    let narrower = json!({ "properties": { "excluded_patterns": ["diary"] }, "notes": "no diaries" });
    let created = ann.put(&place, &narrower).await.expect(201);
    assert_eq!(created.body, "");
    assert_eq!(status(&ann, &secret, "/properties/diary").await, 403);
    assert_eq!(status(&ann, &secret, "/properties/color").await, 200);
    let heard = told(&site, &ann).await;
    assert_eq!(heard.len(), 1);
    let (path, body) = &heard[0];
    assert_eq!(path, &callback);
    assert_eq!(
        (&body["id"], &body["target"], &body["type"]),
        (&json!(ann.id), &json!("permissions"), &json!("permission"))
    );
    assert!(body["timestamp"].as_str().unwrap().ends_with('Z'));
    // The whole set in effect, not the difference.
    assert_eq!(body["data"]["properties"]["patterns"], json!(["*"]));
    assert!(body["data"]["properties"]["excluded_patterns"].as_array().unwrap().contains(&json!("diary")));
    assert!(body["data"]["methods"]["denied"].is_array());

    let shown = ann.get(&place).await.expect(200).json();
    assert_eq!((&shown["is_custom"], &shown["source"]), (&json!(true), &json!("custom_override")));
    assert_eq!(shown["properties"], json!({ "excluded_patterns": ["diary"] }));
    assert_eq!((&shown["methods"], &shown["notes"]), (&Value::Null, &json!("no diaries")));
    assert_eq!(shown["permissions"]["properties"]["patterns"], json!(["*"]));
    assert_eq!((&shown["actor_id"], &shown["peer_id"]), (&json!(ann.id), &json!(bob.id)));
    // What was read can be sent back, and ids in it move nothing.
    let mut back = json!({ "properties": shown["properties"], "actor_id": "x", "peer_id": "y", "trust_type": "admin" });
    ann.put(&place, &back).await.expect(200);
    assert_eq!(ann.get(&place).await.expect(200).json()["trust_type"], "friend");
    back["properties"] = json!(["public/*"]);
    ann.put(&place, &back).await.expect(200);
    let shown = ann.get(&place).await.expect(200).json();
    assert_eq!(shown["properties"], json!({ "patterns": ["public/*"], "operations": ["read"] }));
    assert_eq!(told(&site, &ann).await.len(), 2);

    ann.delete(&place).await.expect(204);
    assert_eq!(status(&ann, &secret, "/properties/diary").await, 200);
    let heard = told(&site, &ann).await;
    assert_eq!(heard[0].0, callback);
    assert!(!heard[0].1["data"]["properties"]["excluded_patterns"].as_array().unwrap().contains(&json!("diary")));
    ann.delete(&place).await.expect(204);
    assert!(told(&site, &ann).await.is_empty(), "nothing changed");
    ann.post(&place, &narrower).await.problem(405);
    ann.put("/trust/friend/nobody/permissions", &narrower).await.problem(404);
    ann.get("/trust/friend/nobody/permissions").await.problem(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relationship_may_become_another() {
    let site = site().await;
    let (ann, bob, secret) = friends(&site).await;
    let place = format!("/trust/friend/{}", bob.id);
    ann.put(&place, &json!({ "relationship": "viewer" })).await.expect(204);
    assert_eq!(status(&ann, &secret, "/properties/color").await, 403);
    let heard = told(&site, &ann).await;
    assert_eq!(heard[0].0, format!("POST callbacks/permissions/{}", ann.id));
    assert_eq!(heard[0].1["data"]["properties"]["patterns"], json!(["public/*", "shared/*"]));
    ann.get(&place).await.problem(404);
    let place = format!("/trust/viewer/{}", bob.id);
    ann.get(&place).await.expect(200);
    // The peer still knows it by what was agreed upon.
    assert_eq!(status(&ann, &secret, &format!("/trust/friend/{}", bob.id)).await, 200);
    ann.put(&place, &json!({ "relationship": "trustee" })).await.problem(400);
    ann.put(&place, &json!({ "approved": false })).await.expect(204);
    let heard = told(&site, &ann).await;
    assert_eq!(heard, [(format!("POST trust/friend/{}", ann.id), json!({ "approved": false }))]);
    // Who has no rights is told of none.
    ann.put(&format!("{place}/permissions"), &json!({ "methods": ["x"] })).await.expect(201);
    assert!(told(&site, &ann).await.is_empty());
    ann.put(&place, &json!({ "approved": true })).await.expect(204);
    assert_eq!(told(&site, &ann).await.len(), 2, "the approval, and rights that are not the type's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_may_bring_an_override_along() {
    let site = site().await;
    let (ann, bob) = (site.actor("ann").await, site.actor("bob").await);
    let secret = ask(&bob, &ann.url, "friend").await["secret"].as_str().unwrap().to_owned();
    ann.put("/properties/diary", &json!("dear diary")).await.expect(204);
    let place = format!("/trust/friend/{}", bob.id);
    let odd = json!({ "approved": true, "permissions": { "properties": { "patterms": [] } } });
    let refused = ann.put(&place, &odd).await.problem(400);
    assert!(refused.detail().contains("properties.patterms"), "{}", refused.body);
    ann.get(&place).await.expect(202);
    let decision = json!({ "approved": true, "permissions": { "properties": { "excluded_patterns": ["diary"] } } });
    ann.put(&place, &decision).await.expect(204);
    assert_eq!(status(&ann, &secret, "/properties/diary").await, 403);
    let shown = ann.get(&format!("{place}?permissions=true")).await.expect(200).json();
    assert_eq!(shown["permissions"]["properties"], json!({ "excluded_patterns": ["diary"] }));
    let mine = ask(&ann, &site.actor("cid").await.url, "friend").await;
    let shown = ann.get(&format!("/trust/friend/{}?permissions=true", mine["peerid"].as_str().unwrap())).await;
    assert_eq!(shown.expect(200).json()["permissions"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_reads_its_own_rights_and_shares() {
    let site = Site::of(app().0.property("hidden", |access: PropertyAccess| {
        Ok::<_, HookError>(if access.op() == Op::Get { Verdict::Hide } else { Verdict::Keep })
    }))
    .await;
    let (ann, bob, secret) = friends(&site).await;
    for (name, value) in
        [("hidden", json!(1)), ("private", json!({ "key": 1 })), ("address", json!({ "city": "Oslo" }))]
    {
        ann.put(&format!("/properties/{name}"), &value).await.expect(204);
    }
    ann.post("/properties", &json!({ "shopping_list": { "_type": "list" } })).await.expect(201);
    ann.post("/properties/shopping_list", &json!("milk")).await.expect(201);
    let narrower = json!({ "properties": { "excluded_patterns": ["diary"] } });
    ann.put(&format!("/trust/friend/{}/permissions", bob.id), &narrower).await.expect(201);

    let granted = |secret: &str| Answer::of(as_peer(&ann, secret, Method::GET, &format!("/permissions/{}", bob.id)));
    let rights = granted(&secret).await.expect(200).json();
    assert_eq!((&rights["source"], &rights["trust_type"]), (&json!("custom_override"), &json!("friend")));
    assert!(rights["permissions"]["properties"]["excluded_patterns"].as_array().unwrap().contains(&json!("diary")));
    assert_eq!(ann.get(&format!("/permissions/{}", bob.id)).await.expect(200).json(), rights);
    ann.get("/permissions/nobody").await.problem(404);
    ann.get("/permissions").await.problem(404);
    ann.put(&format!("/permissions/{}", bob.id), &json!({})).await.problem(405);

    let place = format!("/trust/friend/{}/shared_properties", bob.id);
    let shared = Answer::of(as_peer(&ann, &secret, Method::GET, &place)).await.expect(200);
    for secret in ["diary", "private", "hidden"] {
        assert!(!shared.body.contains(secret), "{}", shared.body);
    }
    let shared = shared.json();
    let entries = shared["shared_properties"].as_array().unwrap();
    let names: Vec<_> = entries.iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["address", "color", "shopping_list"]);
    assert_eq!(entries[2]["display_name"], "Shopping List");
    assert_eq!(entries[2]["item_count"], 1);
    assert!(entries[0].get("item_count").is_none());
    assert_eq!(shared["excluded_properties"], json!([]));
    ann.get(&place).await.problem(403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applications_say_what_relationships_there_are() {
    let neighbour = TrustDefinition::new("neighbour", "Neighbour", "Lives next door")
        .grants(Category::Properties, Rules::patterns(&["hedge"], &[Operation::Read]));
    let site = Site::of(app().0.trust_type(neighbour).default_relationship("neighbour")).await;
    let (ann, bob) = (site.actor("ann").await, site.actor("bob").await);
    let types = ann.get("/meta/trusttypes").await.expect(200).json();
    assert_eq!(types["trust_types"]["neighbour"]["display_name"], "Neighbour");
    assert_eq!(types["default_trust_type"], "neighbour");
    let asked = bob.post("/trust", &json!({ "url": ann.url })).await.expect(201).json();
    assert_eq!(asked["relationship"], "neighbour");
    ann.put(&format!("/trust/neighbour/{}", bob.id), &json!({ "approved": true })).await.expect(204);
    ann.put("/properties/hedge", &json!("high")).await.expect(204);
    ann.put("/properties/color", &json!("blue")).await.expect(204);
    let secret = asked["secret"].as_str().unwrap();
    assert_eq!(status(&ann, secret, "/properties/hedge").await, 200);
    assert_eq!(status(&ann, secret, "/properties/color").await, 403);
    // What nobody registered permits nothing.
    let cid = site.actor("cid").await;
    let secret = ask(&cid, &ann.url, "lover").await["secret"].as_str().unwrap().to_owned();
    ann.put(&format!("/trust/lover/{}", cid.id), &json!({ "approved": true })).await.expect(204);
    assert_eq!(status(&ann, &secret, "/properties/hedge").await, 403);
    let granted = ann.get(&format!("/permissions/{}", cid.id)).await.expect(200).json();
    assert_eq!(granted["permissions"]["properties"], json!({}));
}
