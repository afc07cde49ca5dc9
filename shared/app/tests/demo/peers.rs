//! Hooks that call the actor's peers, and how they find them.

use std::time::Duration;

use actingweb_actor::ActorError;
use actingweb_hooks::{Actor, NoPeer, Op, PeerCallError, PeerError};
use actingweb_local::testing::TestActor;
use actingweb_protocol::Clock as _;
use serde_json::{Value, json};

use crate::world::{BASE_URL, World, failure};

/// Long enough for everything that runs at once to have begun.
const A_WHILE: Duration = Duration::from_millis(300);

/// An actor whose peers are told of a party; their ids, and what becomes of each.
async fn party() -> (World, [(&'static str, &'static str, &'static str); 7]) {
    let world = World::start().await;
    let services = world.services.url().to_owned();
    let inbox = format!("{services}/inbox");
    world.knows("bob", &inbox, |_| {}).await;
    world.knows("carol", &format!("{inbox}/carol/"), |_| {}).await;
    world.knows("inside", "http://10.0.0.1/actor", |_| {}).await;
    world.knows("lost", &format!("{services}/nowhere"), |_| {}).await;
    world.knows("gone", "http://127.0.0.1:1/gone", |_| {}).await;
    world.knows("asking", &inbox, |trust| trust.approved = false).await;
    let expected = [
        ("bob", "ok", ""),
        ("inside", "error", "must not be called"),
        ("stranger", "error", "no relationship with a peer `stranger`"),
        ("lost", "error", "status 404"),
        ("gone", "error", "does not answer"),
        ("asking", "error", "not approved"),
        ("carol", "ok", ""),
    ];
    (world, expected)
}

#[tokio::test]
async fn named_peers_are_told_and_each_has_its_outcome() {
    let (world, expected) = party().await;
    world.services.set_delay(A_WHILE);
    let ids = expected.map(|(id, ..)| id);
    let announced = world.action("notify_peers", json!({ "message": "Party!", "peers": ids })).await;

    let told = announced["peers"].as_array().unwrap();
    assert_eq!(told.iter().map(|told| told["peer"].as_str().unwrap()).collect::<Vec<_>>(), ids);
    for (told, (id, outcome, reason)) in told.iter().zip(expected) {
        assert_eq!(told["outcome"], outcome, "{id}: {told}");
        assert!(told["error"].as_str().unwrap_or_default().contains(reason), "{id}: {told}");
    }
    assert_eq!((&announced["told"], &told[0]["value"]), (&json!(2), &json!(202)));
    assert!(!announced.to_string().contains("10.0.0.1"), "{announced}");

    assert_eq!(world.services.max_concurrent(), 3);
    let mut received = world.services.received();
    received.sort_by(|a, b| a.path.cmp(&b.path));
    let paths: Vec<_> = received.iter().map(|received| received.path.as_str()).collect();
    assert_eq!(paths, ["/inbox/actions/log_message", "/inbox/carol/actions/log_message"]);
    assert_eq!(received[0].body, json!({"message": "Party!", "level": "info"}));
    assert_ne!(received[0].request_id, received[1].request_id, "each call has an id of its own");
}

#[tokio::test]
async fn all_peers_are_those_with_which_both_sides_approve() {
    let (world, _) = party().await;
    let inbox = format!("{}/inbox", world.services.url());
    world.knows("undecided", &inbox, |trust| trust.peer_approved = false).await;
    world.knows("oauth2:dave", &inbox, |trust| trust.established_via = "oauth2".into()).await;
    world.knows("zoe", &inbox, |trust| trust.relationship = "partner".into()).await;
    let ids = |announced: &Value| -> Vec<String> {
        let told = announced["peers"].as_array().unwrap().iter();
        told.map(|told| told["peer"].as_str().unwrap().to_owned()).collect()
    };
    let all = world.action("notify_peers", json!({ "message": "All" })).await;
    assert_eq!(ids(&all), ["bob", "carol", "gone", "inside", "lost", "zoe"]);
    let partners = world.action("notify_peers", json!({ "message": "Partners", "relationship": "partner" })).await;
    assert_eq!((ids(&partners), &partners["told"]), (vec!["zoe".to_owned()], &json!(1)));
    let nobody = world.action("notify_peers", json!({ "message": "Nobody", "relationship": "lover" })).await;
    assert_eq!(nobody, json!({ "told": 0, "peers": [] }));

    let invocation = world.invocation(actingweb_hooks::Caller::Creator);
    let many: Vec<_> = (0..101).map(|n| n.to_string()).collect();
    for input in [
        json!({ "message": "x", "peers": [] }),
        json!({ "message": "x", "peers": many }),
        json!({ "message": "x", "peers": ["bob"], "relationship": "friend" }),
        json!({ "message": "x", "peers": [""] }),
    ] {
        let refused = failure(world.hooks.call_action(&invocation, "notify_peers", Op::Post, input).await);
        assert_eq!(refused.status, 400, "{refused}");
    }
}

#[tokio::test]
async fn a_peer_that_is_left_alone_may_be_called_all_the_same() {
    let world = World::start().await;
    let until = world.clock.now().plus(Duration::from_secs(60));
    let inbox = format!("{}/inbox", world.services.url());
    world.knows("bob", &inbox, |_| {}).await;
    world.knows("held", &inbox, |trust| trust.breaker.open_until = Some(until)).await;
    let held = world.peers().find("held").await.unwrap();
    assert_eq!(held.held_until(), Some(until));
    assert_eq!(held.call_action("x", &json!({})).await.unwrap().status(), 202);

    let group = world.peers().all().await.unwrap().without_held();
    let outcomes = group.call_action("x", &json!({})).await;
    let held: Vec<_> =
        outcomes.into_iter().map(|told| told.outcome.into_result(|| PeerError::TimedOut.into())).collect();
    assert!(held[0].is_ok());
    let error = held[1].as_ref().unwrap_err();
    assert!(matches!(error, PeerCallError::NoPeer(NoPeer::Held { .. })), "{error}");
    assert!(error.to_string().contains("left alone until 2026-01-01T00:01:00"), "{error}");

    world.clock.advance(Duration::from_secs(61));
    assert_eq!(world.peers().find("held").await.unwrap().held_until(), None);
}

#[tokio::test]
async fn names_of_methods_and_paths_cannot_lead_elsewhere() {
    let (world, _) = party().await;
    let bob = world.peers().find("bob").await.unwrap();
    for name in ["", "a/b", "..", "x?y", "x#y", "%2e%2e"] {
        let error = bob.call_method(name, &json!({})).await.unwrap_err();
        assert!(matches!(error, PeerCallError::Call(PeerError::Unsendable { .. })), "{name}: {error}");
    }
    for path in ["../weather", "http://127.0.0.1:1/inbox", "..%2fweather"] {
        let error = bob.get(path).await.unwrap_err();
        assert!(matches!(error, PeerCallError::Call(PeerError::Refused { .. })), "{path}: {error}");
    }
    assert_eq!(world.services.call_count(), 0);
    for id in ["", "a\nb", "stranger", &"x".repeat(5000)] {
        assert!(matches!(world.peers().find(id).await.unwrap_err(), PeerCallError::NoPeer(NoPeer::Unknown(_))), "{id}");
    }
    let many = (0..1001).map(|n| n.to_string());
    assert!(matches!(world.peers().named(many).await.unwrap_err(), PeerCallError::Actor(ActorError::Invalid(_))));
}

/// Another actor of the deployment, and the two trust each other.
async fn neighbour(world: &World) -> Actor {
    let bob = world.app.actor("bob@example.org").await;
    let (ann, url) = (&world.ann, |actor: &TestActor| format!("{BASE_URL}/{}", actor.id));
    ann.knows(&bob.id, &url(&bob), |_| {}).await;
    // Both sides have the same secret.
    let mine = world.state.actors.store().trusts(world.actor.id()).await.unwrap().remove(0);
    bob.knows(&ann.id, &url(ann), |trust| trust.secret_hash = mine.secret_hash).await;
    bob.actor()
}

#[tokio::test]
async fn properties_of_a_neighbour_are_read_without_http() {
    let world = World::elsewhere().await;
    let bob = neighbour(&world).await;
    bob.set_property("mood", json!({ "today": "good" })).await.unwrap();
    bob.set_property("private", json!({ "diary": "..." })).await.unwrap();
    let peer = world.peers().find(bob.id().as_str()).await.unwrap();
    // Nobody serves the deployment: what is answered was never asked over HTTP.
    assert_eq!(peer.get("properties/mood/today").await.unwrap().json::<String>().unwrap(), "good");
    for (path, status) in
        [("properties/none", 404), ("properties/mood/tomorrow", 404), ("properties/private/diary", 403)]
    {
        match peer.get(path).await {
            Err(PeerCallError::Call(PeerError::Status { status: found, .. })) => assert_eq!(found, status, "{path}"),
            other => panic!("{path}: {other:?}"),
        }
    }
    // Whatever a handler would do goes over HTTP: hooks, lists, listings, methods.
    for path in ["properties/email", "properties", "properties/mood?x=1", "methods/greet"] {
        let error = peer.get(path).await.unwrap_err();
        let away = matches!(error, PeerCallError::Call(PeerError::Unreachable { .. } | PeerError::Refused { .. }));
        assert!(away, "{path}: {error}");
    }
}
