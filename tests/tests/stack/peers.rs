//! Calls to one's own peers: whom they reach, with what, and what comes of each.

use std::time::Duration;

use actingweb_actor::peers::{NoPeer, PeerCallError};
use actingweb_actor::{Actor, Credentials, Presented};
use actingweb_hooks::prelude::*;
use actingweb_hooks::{Caller, Invocation, PeerError, PeerReply, Retry};
use actingweb_protocol::{ActorId, Deadline};
use actingweb_testkit::fakes::FakeClock;
use actingweb_tests::{OddPeers, Owner, Site};
use http::Method;
use tokio::time::Instant;

use crate::trust::{ask, befriend, carry};

fn app() -> App {
    App::new("urn:actingweb:example.com:peers")
        .method("echo", |Input(input): Input<Value>| Ok::<_, HookError>(input))
        .action("shout", |Input(input): Input<Value>| Ok::<_, HookError>(json!({ "shouted": input })))
        .method("tell_all", async |Input(path): Input<String>, peers: Peers| {
            let told = peers.all().await?.post(&path, &json!({ "hello": true })).await;
            let told = told.into_iter().map(|told| json!([told.peer, told.outcome.is_ok()]));
            Ok::<_, HookError>(Value::from_iter(told))
        })
        .method("hurry", async |Input(path): Input<String>, peers: Peers| {
            let told = peers.all().await?.get(&path).await;
            let told = told.into_iter().map(|told| json!([told.peer, word(&told.outcome)]));
            Ok::<_, HookError>(Value::from_iter(told))
        })
        .deadline(Duration::from_secs(3))
        .property("guarded", |access: PropertyAccess| {
            Ok::<_, HookError>(if access.is_write() { Verdict::Keep } else { Verdict::Replace(json!("guarded")) })
        })
}

/// An outcome in one word.
fn word(outcome: &Outcome<PeerReply, PeerCallError>) -> String {
    match outcome {
        Outcome::Ok { value } => value.status().as_u16().to_string(),
        Outcome::TimedOut => "late".to_owned(),
        Outcome::Error { error: PeerCallError::NoPeer(_) } => "nobody".to_owned(),
        Outcome::Error { error: PeerCallError::Actor(_) } => "storage".to_owned(),
        Outcome::Error { error: PeerCallError::Call(error) } => match error {
            PeerError::Status { status, .. } => status.as_u16().to_string(),
            PeerError::Unreachable { .. } => "away".to_owned(),
            PeerError::TooLarge { .. } => "too large".to_owned(),
            PeerError::TimedOut => "late".to_owned(),
            other => other.to_string(),
        },
    }
}

/// The peers of an actor, as a hook of a request `request-1` gets them.
async fn peers(site: &Site, owner: &Owner) -> Peers {
    let deadline = Deadline::after(Instant::now().into_std(), Duration::from_secs(60));
    let actor = actor(site, owner, deadline).await;
    let invocation = Invocation {
        actor: Some(actor.clone()),
        caller: Caller::Creator,
        request_id: "request-1".to_owned(),
        deadline,
        mcp: None,
    };
    site.state().hooks.peers(&invocation, &actor).unwrap()
}

async fn actor(site: &Site, owner: &Owner, deadline: Deadline) -> Actor {
    let nobody = Presented { credentials: &Credentials::None, address: None };
    let id = ActorId::parse(&owner.id).unwrap();
    site.state().actors.visit(&id, &nobody, &[], deadline).await.unwrap().expect("an actor").actor
}

/// An actor with relationships to odd peers of these ids, which approve at once.
async fn among(odd: &OddPeers, ids: &[&str]) -> (Site, Owner) {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    for id in ids {
        let row = ask(&ann, &odd.url(id), "friend").await;
        assert_eq!(row["peer_approved"], true, "{row}");
    }
    (site, ann)
}

#[tokio::test]
async fn a_peer_is_read_written_and_called_by_what_it_permits() {
    let (here, there) = (Site::of(app()).await, Site::of(app()).await);
    let (ann, bob) = (here.actor("ann").await, there.actor("bob").await);
    befriend(&here, &ann, &there, &bob).await;
    let bob_seen = peers(&here, &ann).await.find(&bob.id).await.unwrap();
    assert_eq!((bob_seen.relationship(), bob_seen.base_uri(), bob_seen.approves()), ("friend", &*bob.url, true));
    assert_eq!(bob_seen.kind(), "urn:actingweb:example.com:peers");

    assert_eq!(bob_seen.put("properties/mood", &json!({ "today": "good" })).await.unwrap().status(), 204);
    assert_eq!(bob_seen.get("properties/mood/today").await.unwrap().json::<String>().unwrap(), "good");
    let made = bob_seen.post("properties", &json!({ "color": "blue" })).await.unwrap();
    assert!(made.status().is_success());
    assert_eq!(bob_seen.get("/properties").await.unwrap().json::<Value>().unwrap()["color"], "blue");
    let input = json!({ "n": [1, 2] });
    assert_eq!(bob_seen.call_method("echo", &input).await.unwrap().json::<Value>().unwrap(), input);
    let shouted = bob_seen.call_action("shout", &input).await.unwrap().json::<Value>().unwrap();
    assert_eq!(shouted, json!({ "shouted": input }));

    // What friends may not do, and what there is not, are errors; nothing is read out of their bodies.
    for (error, status) in [
        (bob_seen.delete("properties/mood").await, 403),
        (bob_seen.get("properties/private/x").await, 403),
        (bob_seen.get("properties/none").await, 404),
        (bob_seen.call_method("none", &input).await, 400),
        (bob_seen.call_method("delete_all", &input).await, 403),
        (bob_seen.get("trust").await, 403),
    ] {
        assert_eq!(word(&error.into()), status.to_string());
    }
    assert_eq!(bob.get("/properties/mood").await.expect(200).json(), json!({ "today": "good" }));

    // The other way round, with the same secret.
    let ann_seen = peers(&there, &bob).await.find(&ann.id).await.unwrap();
    assert_eq!(ann_seen.call_method("echo", &input).await.unwrap().json::<Value>().unwrap(), input);
}

#[tokio::test]
async fn only_approved_relationships_are_called() {
    let (here, there) = (Site::of(app()).await, Site::of(app()).await);
    let (ann, bob) = (here.actor("ann").await, there.actor("bob").await);
    ask(&bob, &ann.url, "friend").await;
    let mine = peers(&here, &ann).await;
    let refused = mine.find(&bob.id).await.unwrap_err();
    assert!(matches!(&refused, PeerCallError::NoPeer(NoPeer::NotApproved(id)) if *id == bob.id), "{refused}");
    let named = mine.named([&*bob.id, "nobody"]).await.unwrap().get("properties").await;
    assert!(named.iter().all(|told| word(&told.outcome) == "nobody"), "{named:?}");
    assert!(mine.all().await.unwrap().is_empty());

    ann.put(&format!("/trust/friend/{}", bob.id), &json!({ "approved": true })).await.expect(204);
    assert_eq!(mine.find(&bob.id).await.unwrap().get("properties").await.unwrap().status(), 200);
    assert_eq!(mine.all().await.unwrap().len(), 1);
    assert_eq!(mine.related("friend").await.unwrap().len(), 1);
    assert_eq!(mine.related("partner").await.unwrap().len(), 0);

    // Taken back, and ended: both count at once.
    ann.put(&format!("/trust/friend/{}", bob.id), &json!({ "approved": false })).await.expect(204);
    assert!(mine.find(&bob.id).await.is_err());
    ann.delete(&format!("/trust/friend/{}", bob.id)).await.expect(204);
    assert!(matches!(mine.find(&bob.id).await.unwrap_err(), PeerCallError::NoPeer(NoPeer::Unknown(_))));
}

#[tokio::test]
async fn a_group_costs_one_look_and_its_slowest_member() {
    const PEERS: usize = 40;
    let odd = OddPeers::start().await;
    let ids: Vec<_> = (0..PEERS).map(|n| format!("delayed-{n:02}")).collect();
    let (site, ann) = among(&odd, &ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mine = peers(&site, &ann).await;
    let (group, calls) = site.meter().measure(mine.all()).await;
    let group = group.unwrap().at_once(PEERS);
    assert_eq!((group.len(), calls.operations()), (PEERS, vec!["Query"]));
    let (named, calls) = site.meter().measure(mine.named(&ids)).await;
    assert_eq!((named.unwrap().len(), calls.operations()), (PEERS, vec!["BatchGetItem"]));
    let (one, calls) = site.meter().measure(mine.find("delayed-07")).await;
    assert_eq!(calls.operations(), ["BatchGetItem"]);
    let one = one.unwrap();

    // Once without a delay, which opens the connections.
    group.get("x").await;
    odd.set_delay(Duration::from_millis(500));
    let begun = Instant::now();
    one.get("x").await.unwrap();
    let alone = begun.elapsed();
    let begun = Instant::now();
    let told = group.get("x").await;
    let all = begun.elapsed();
    assert_eq!(told.iter().map(|told| told.peer.as_str()).collect::<Vec<_>>(), ids);
    assert!(told.iter().all(|told| told.outcome.is_ok()));
    assert!(all < alone * 3, "{all:?} for {PEERS} peers, {alone:?} for one");

    // Four at a time take as many rounds as there are fours.
    let begun = Instant::now();
    mine.named(&ids[..12]).await.unwrap().at_once(4).get("x").await;
    assert!(begun.elapsed() > alone * 2, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn every_member_has_an_outcome_of_its_own() {
    let odd = OddPeers::start().await;
    let gone = OddPeers::start().await;
    let ids = ["busy", "endless", "garbled", "hanging", "mirror", "redirecting", "refusing"];
    let (site, ann) = among(&odd, &ids).await;
    ask(&ann, &gone.url("unreachable"), "friend").await;
    drop(gone);

    // The hook has three seconds, and answers all the same.
    let told = ann.post("/methods/hurry", &json!("x")).await.expect(200).json();
    let expected = json!([
        ["busy", "503"],
        ["endless", "too large"],
        ["garbled", "200"],
        ["hanging", "late"],
        ["mirror", "200"],
        ["redirecting", "302"],
        ["refusing", "403"],
        ["unreachable", "away"],
    ]);
    assert_eq!(told, expected);
    assert!(odd.sent() < actingweb_tests::ENDLESS / 4, "{} bytes were taken", odd.sent());
    assert_eq!(odd.asked().len(), 1, "nobody followed the redirect: {:?}", odd.asked());

    // In the order they are named, each once, with those that there are not.
    let mine = peers(&site, &ann).await;
    let group = mine.named(["refusing", "stranger", "mirror", "refusing", "", "busy"]).await.unwrap();
    let told = group.with_retry(Retry::OFF).get("x").await;
    let told: Vec<_> = told.iter().map(|told| (told.peer.as_str(), word(&told.outcome))).collect();
    let expected = [("refusing", "403"), ("stranger", "nobody"), ("mirror", "200"), ("", "nobody"), ("busy", "503")];
    assert_eq!(told, expected.map(|(id, word)| (id, word.to_owned())));

    let error = mine.find("busy").await.unwrap().with_retry(Retry::OFF).get("x").await.unwrap_err();
    let PeerCallError::Call(error) = error else { panic!("{error}") };
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    let error = mine.find("garbled").await.unwrap().get("x").await.unwrap().json::<Value>().unwrap_err();
    assert!(matches!(error, PeerError::NotJson { .. }), "{error}");
}

#[tokio::test]
async fn what_may_happen_twice_is_tried_three_times_unless_the_hook_says_otherwise() {
    let odd = OddPeers::start().await;
    let (site, ann) = among(&odd, &["failing"]).await;
    let peer = peers(&site, &ann).await.find("failing").await.unwrap();
    let body = json!({});
    let tries = async |reply: Result<PeerReply, PeerCallError>, before: usize| {
        assert_eq!(answered(reply).0, "503");
        odd.asked().len() - before
    };
    let asked = || odd.asked().len();
    let before = asked();
    assert_eq!(tries(peer.get("x").await, before).await, 3);
    let before = asked();
    assert_eq!(tries(peer.put("x", &body).await, before).await, 3);
    let before = asked();
    assert_eq!(tries(peer.delete("x").await, before).await, 3);
    let before = asked();
    assert_eq!(tries(peer.call_action("shout", &body).await, before).await, 1);
    let before = asked();
    assert_eq!(tries(peer.clone().with_retry(Retry::OFF).get("x").await, before).await, 1);
    let before = asked();
    let named = peer.clone().with_retry(Retry::times(2)).idempotently("order-17");
    assert_eq!(tries(named.call_action("shout", &body).await, before).await, 2);

    // One call, whatever it takes: one id and one key.
    let asked = odd.asked();
    let [.., first, second] = &asked[..] else { panic!("two tries") };
    assert_eq!(first, second);
    assert_eq!(second["key"], "order-17");
}

#[tokio::test]
async fn a_secret_goes_to_its_own_peer_and_each_call_has_an_id() {
    let odd = OddPeers::start().await;
    let other = OddPeers::start().await;
    let (site, ann) = among(&odd, &["mirror", "mirror-2", "redirecting"]).await;
    let secret_of = async |id: &str| {
        let row = ann.get(&format!("/trust/friend/{id}")).await.expect(200).json();
        format!("Bearer {}", row["secret"].as_str().expect("a secret"))
    };
    let request = ann.request(Method::POST, "/methods/tell_all").header("x-request-id", "party-7");
    let answer = actingweb_tests::Answer::of(request.json(&json!("a/b?c=d"))).await.expect(200);
    assert_eq!(answer.json(), json!([["mirror", true], ["mirror-2", true], ["redirecting", false]]));
    let asked = odd.asked();
    assert_eq!(asked.len(), 2);
    for asked in &asked {
        let id = asked["uri"].as_str().unwrap().trim_start_matches('/').split('/').next().unwrap();
        assert_eq!(asked["authorization"], secret_of(id).await);
        assert_eq!(asked["uri"], format!("/{id}/a/b?c=d"));
        assert_eq!((&asked["method"], &asked["body"]), (&json!("POST"), &json!({ "hello": true })));
        assert_eq!(asked["parent"], "party-7");
        assert_ne!(asked["request_id"], "party-7");
    }
    assert_ne!(asked[0]["request_id"], asked[1]["request_id"]);
    assert_ne!(asked[0]["authorization"], asked[1]["authorization"]);

    let mirror = peers(&site, &ann).await.find("mirror").await.unwrap();
    for path in [&*other.url("mirror"), &odd.url("mirror-2"), "../mirror-2/x", "//evil.example/x\\"] {
        let refused = mirror.get(path).await;
        assert!(matches!(refused, Err(PeerCallError::Call(PeerError::Refused { .. }))), "{path}: {refused:?}");
    }
    assert_eq!((odd.asked().len(), other.asked().len()), (2, 0));
    assert_eq!(mirror.get(&odd.url("mirror/below")).await.unwrap().status(), 200);
    assert!(!format!("{mirror:?}").contains(secret_of("mirror").await.trim_start_matches("Bearer ")));
}

#[tokio::test]
async fn what_is_known_of_a_peer_ages_and_is_renewed() {
    let clock = FakeClock::new();
    let here = Site::with_clock(app(), std::sync::Arc::new(clock.clone())).await;
    let there = Site::of(app().describe_app("B")).await;
    let (ann, bob) = (here.actor("ann").await, there.actor("bob").await);
    bob.put("/properties/displayname", &json!("Bob")).await.expect(204);
    bob.put("/properties/description", &json!({ "long": true })).await.expect(204);
    befriend(&here, &ann, &there, &bob).await;
    clock.advance(Duration::from_secs(1));
    let find = async || peers(&here, &ann).await.find(&bob.id).await.unwrap();
    let known = async || here.table().await.iter().filter(|item| sort_key(item).starts_with("KNOWN#")).count();

    let about = find().await.about().await.unwrap();
    let profile = about.profile.unwrap();
    assert_eq!(json!(profile.value), json!({ "displayname": "Bob", "description": { "long": true } }));
    let capabilities = about.capabilities.unwrap().value;
    assert_eq!(
        capabilities.methods.iter().map(|method| &*method.name).collect::<Vec<_>>(),
        ["echo", "tell_all", "hurry"]
    );
    assert_eq!(capabilities.actions[0].name, "shout");
    assert!(capabilities.methods[1].input_schema.as_ref().is_some_and(|schema| schema["type"] == "string"));
    assert!(about.options.unwrap().value.has("methods"));
    assert!(about.permissions.unwrap().value.contains_key("properties"));
    assert_eq!(known().await, 3);

    // A copy is good for an hour, unless somebody insists.
    bob.put("/properties/displayname", &json!("Robert")).await.expect(204);
    clock.advance(Duration::from_secs(3540));
    let (about, calls) = here.meter().measure(async { find().await.about().await.unwrap() }).await;
    let copy = about.profile.unwrap();
    assert_eq!((&copy.value["displayname"], copy.age), (&json!("Bob"), Duration::from_secs(3540)));
    assert!(calls.operations().iter().all(|name| *name == "BatchGetItem"), "{:?}", calls.operations());
    let renewed = find().await.fresh().profile().await.unwrap();
    assert_eq!((&renewed.value["displayname"], renewed.age), (&json!("Robert"), Duration::ZERO));
    bob.put("/properties/displayname", &json!("Bob")).await.expect(204);
    assert_eq!(find().await.profile().await.unwrap().value["displayname"], "Robert");
    clock.advance(Duration::from_secs(3601));
    assert_eq!(find().await.profile().await.unwrap().value["displayname"], "Bob");
    assert_eq!(known().await, 3);

    // Other rights: what they let be seen is looked at again at once.
    clock.advance(Duration::from_secs(1));
    let rights = json!({ "properties": { "patterns": ["*"], "operations": ["read"], "excluded_patterns": ["displayname"] },
        "methods": { "allowed": [], "denied": ["tell_*"] } });
    bob.put(&format!("/trust/friend/{}/permissions", ann.id), &rights).await;
    assert!(carry(&there, &bob).await.iter().any(|path| path.contains("callbacks/permissions")));
    let about = find().await.about().await.unwrap();
    assert_eq!(json!(about.profile.unwrap().value), json!({ "description": { "long": true } }));
    assert!(about.capabilities.unwrap().value.methods.iter().all(|method| method.name != "tell_all"));
    let granted = about.permissions.unwrap().value;
    assert!(granted["methods"]["denied"].as_array().unwrap().contains(&json!("tell_*")), "{granted:?}");

    // A peer that is away leaves what is known, and how old that is.
    drop(there);
    clock.advance(Duration::from_secs(7200));
    let copy = find().await.profile().await.unwrap();
    assert_eq!((copy.value.len(), copy.age), (1, Duration::from_secs(7200)));
    assert!(matches!(copy.not_renewed, Some(PeerError::Unreachable { .. })), "{:?}", copy.not_renewed);
    assert_eq!(find().await.options().await.unwrap().not_renewed, None, "a day is not over");
    assert!(find().await.fresh().permissions().await.unwrap().not_renewed.is_some());

    // What was known of a peer goes with the relationship.
    ann.delete(&format!("/trust/friend/{}", bob.id)).await.expect(204);
    here.drain().await;
    assert_eq!(known().await, 0);
    assert!(here.table().await.iter().all(|item| !sort_key(item).starts_with("GRANT#")));
}

fn sort_key(item: &Value) -> &str {
    item["sk"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_neighbour_is_read_by_the_same_rules_with_and_without_http() {
    const PATHS: [&str; 23] = [
        "properties",
        "properties/",
        "properties/mood",
        "properties/mood/",
        "properties/mood/today",
        "properties/mood/tomorrow",
        "properties/mood/items",
        "properties/mood/metadata",
        "properties/text",
        "properties/empty",
        "properties/zero",
        "properties/public",
        "properties/public/x",
        "properties/private",
        "properties/private/diary",
        "properties/security/code",
        "properties/spaced name",
        "properties/spaced%20name",
        "properties/guarded",
        "properties/notes",
        "properties/none",
        "properties/none/at/all",
        "properties/mood?x=1",
    ];
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let mut seen = std::collections::BTreeSet::new();
    for relationship in ["friend", "associate", "viewer", "partner", "admin", "lover"] {
        let bob = site.actor("bob").await;
        for (name, value) in [
            ("mood", json!({ "today": "good", "items": 1, "hidden": { "a": 1 } })),
            ("text", json!("123")),
            ("empty", json!("")),
            ("zero", json!(0)),
            ("public", json!({ "x": { "y": 1 }, "z": [1] })),
            ("private", json!({ "diary": "..." })),
            ("security", json!({ "code": 1 })),
            ("spaced name", json!(true)),
            ("guarded", json!("raw")),
        ] {
            bob.put(&format!("/properties/{name}"), &value).await.expect(204);
        }
        bob.post("/properties/notes", &json!("first")).await;
        ask(&ann, &bob.url, relationship).await;
        let at_bob = format!("/trust/{relationship}/{}", ann.id);
        let peer = peers(&site, &ann).await.find(&bob.id).await.unwrap();
        let rights = json!({ "properties": {
            "patterns": ["mood", "mood/*"], "operations": ["read"], "excluded_patterns": ["mood/hidden", "text"] } });
        for step in ["pending", "approved", "changed", "revoked", "ended", "deleted"] {
            match step {
                "approved" => bob.put(&at_bob, &json!({ "approved": true })).await.expect(204),
                "changed" => bob.put(&format!("{at_bob}/permissions"), &rights).await,
                "revoked" => bob.put(&at_bob, &json!({ "approved": false })).await.expect(204),
                "ended" => bob.delete(&at_bob).await.expect(204),
                "deleted" => bob.delete("").await.expect(204),
                _ => bob.get("").await,
            };
            for path in PATHS {
                let (near, far) = (peer.get(path).await, peer.request(Method::GET, path, None).await);
                let (near, far) = (answered(near), answered(far));
                assert_eq!(near, far, "{relationship}, {step}: {path}");
                seen.insert(near.0);
            }
        }
    }
    // The table has all there is: what may be read, what may not, what is not there.
    assert!(["200", "403", "404"].iter().all(|status| seen.contains(*status)), "{seen:?}");
}

/// The status, and the body of a success.
fn answered(reply: Result<PeerReply, PeerCallError>) -> (String, Value) {
    let body = reply.as_ref().ok().map(|reply| reply.json::<Value>().unwrap());
    (word(&reply.into()), body.unwrap_or_default())
}

#[tokio::test]
async fn the_creator_reaches_peers_through_the_proxy() {
    let there = Site::of(app()).await;
    let here = Site::with_devtest(app()).await;
    let (ann, bob) = (here.actor("ann").await, there.actor("bob").await);
    let secret = befriend(&here, &ann, &there, &bob).await;
    let proxy = format!("/devtest/proxy/{}", bob.id);
    ann.put(&format!("{proxy}/properties/mood"), &json!({ "today": "good" })).await.expect(204);
    assert_eq!(ann.get(&format!("{proxy}/properties/mood/today")).await.expect(200).json(), "good");
    assert_eq!(bob.get("/properties/mood").await.expect(200).json(), json!({ "today": "good" }));
    ann.post(&format!("{proxy}/properties"), &json!({ "color": "blue" })).await;
    assert_eq!(ann.get(&format!("{proxy}/properties")).await.expect(200).json()["color"], "blue");
    let filtered = ann.get(&format!("{proxy}/properties?limit=1")).await.expect(200).json();
    assert_ne!(filtered, ann.get(&format!("{proxy}/properties")).await.expect(200).json(), "the query goes along");
    let echoed = ann.post(&format!("{proxy}/methods/echo"), &json!({ "n": 1 })).await.expect(200);
    assert_eq!(echoed.json(), json!({ "n": 1 }));
    // What the peer answers is passed on; friends may not delete.
    ann.delete(&format!("{proxy}/properties/mood")).await.expect(403);
    ann.get(&format!("{proxy}/properties/none")).await.expect(404);
    ann.get("/devtest/proxy/stranger/properties").await.problem(404);
    ann.get("/devtest/proxy").await.problem(404);
    // Nobody but the creator, and only where devtest is on.
    for request in [
        ann.anonymous(Method::GET, &format!("{proxy}/properties")),
        ann.with_secret(&secret, Method::GET, &format!("{proxy}/properties")),
    ] {
        let status = actingweb_tests::Answer::of(request).await.status;
        assert!(matches!(status, 401 | 403), "{status}");
    }
    bob.get(&format!("/devtest/proxy/{}/properties", ann.id)).await.problem(404);
    drop(there);
    ann.get(&format!("{proxy}/properties")).await.problem(502);
}
