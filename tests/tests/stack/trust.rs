//! Relationships from the first request to the end, between two sites of our own.

use std::sync::{Arc, Mutex, PoisonError};

use actingweb_hooks::prelude::*;
use actingweb_hooks::{EventKind, TrustEvent};
use actingweb_protocol::ActorId;
use actingweb_testkit::fakes::FakeClock;
use actingweb_tests::{Answer, Owner, Site, StrangePeer};
use reqwest::Method;

/// What hooks heard: the event, the peer, and whether the peer brought it about.
pub(crate) type Heard = Arc<Mutex<Vec<(EventKind, TrustEvent)>>>;

pub(crate) fn app() -> (App, Heard) {
    let heard = Heard::default();
    let events =
        [TrustInitiated, TrustRequestReceived, TrustFullyApprovedLocal, TrustFullyApprovedRemote, TrustDeleted];
    let app = App::new("urn:actingweb:example.com:trust");
    let app = events.into_iter().fold(app, |app, kind| {
        let heard = Arc::clone(&heard);
        app.on(kind, move |event: Event| {
            let told = event.data::<TrustEvent>()?;
            heard.lock().unwrap_or_else(PoisonError::into_inner).push((event.kind(), told));
            Ok::<_, HookError>(())
        })
    });
    (app, heard)
}

pub(crate) async fn site() -> Site {
    Site::of(app().0).await
}

fn kinds(heard: &Heard) -> Vec<EventKind> {
    heard.lock().unwrap_or_else(PoisonError::into_inner).drain(..).map(|(kind, _)| kind).collect()
}

/// Sends what an actor owes its peers, as delivery does, and gives the paths.
pub(crate) async fn carry(site: &Site, owner: &Owner) -> Vec<String> {
    let (state, id) = (site.state(), ActorId::parse(&owner.id).unwrap());
    let store = state.actors.store();
    let mut carried = Vec::new();
    for notice in store.notices(&id).await.unwrap() {
        assert!(store.claim_notice(&id, &notice).await.unwrap(), "nobody else sends it");
        let secret = state.trusts.open(&id, &notice.peer, &notice.secret).unwrap();
        let url = format!("{}/{}", notice.base_uri, notice.path);
        let request = site.http.request(notice.method.parse().unwrap(), url).bearer_auth(secret.expose());
        let request = request.header("content-type", "application/json");
        Answer::of(request.body(notice.body.clone().unwrap_or_default())).await;
        store.finish_notice(&id, &notice).await.unwrap();
        carried.push(format!("{} {}", notice.method, notice.path));
    }
    carried
}

/// Asks for a relationship and gives the row of the one who asked.
pub(crate) async fn ask(from: &Owner, to: &str, relationship: &str) -> Value {
    from.post("/trust", &json!({ "url": to, "relationship": relationship })).await.expect(201).json()
}

/// Two friends, and their secret.
pub(crate) async fn befriend(here: &Site, from: &Owner, there: &Site, to: &Owner) -> String {
    let asked = ask(from, &to.url, "friend").await;
    to.put(&format!("/trust/friend/{}", from.id), &json!({ "approved": true })).await.expect(204);
    carry(there, to).await;
    let row = from.get(&format!("/trust/friend/{}", to.id)).await.expect(200).json();
    assert_eq!(row["peer_approved"], true, "{row}");
    assert!(carry(here, from).await.is_empty());
    asked["secret"].as_str().unwrap().to_owned()
}

pub(crate) fn as_peer(owner: &Owner, secret: &str, method: Method, path: &str) -> reqwest::RequestBuilder {
    owner.with_secret(secret, method, path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relationship_is_asked_for_verified_approved_used_and_ended() {
    let ((app_a, heard_a), (app_b, heard_b)) = (app(), app());
    let (site_a, site_b) = (Site::of(app_a).await, Site::of(app_b).await);
    let (ann, bob) = (site_a.actor("ann").await, site_b.actor("bob").await);
    ann.put("/properties/color", &json!("blue")).await.expect(204);
    bob.put("/properties/color", &json!("red")).await.expect(204);
    let (at_ann, at_bob) = (format!("/trust/friend/{}", bob.id), format!("/trust/friend/{}", ann.id));

    let body = json!({ "url": format!("{}/", bob.url), "relationship": "friend", "desc": "old friends" });
    let asked = ann.post("/trust", &body).await.expect(201);
    assert_eq!(asked.header("location"), format!("{}{at_ann}", ann.url));
    assert_eq!(asked.header("cache-control"), "no-store");
    let row = asked.json();
    let secret = row["secret"].as_str().unwrap().to_owned();
    assert!(secret.len() == 40 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()), "{secret}");
    assert_eq!(row["verification_token"], row["verificationToken"]);
    for (key, value) in [
        ("id", json!(ann.id)),
        ("peerid", json!(bob.id)),
        ("baseuri", json!(bob.url)),
        ("type", json!("urn:actingweb:example.com:trust")),
        ("relationship", json!("friend")),
        ("desc", json!("old friends")),
        ("approved", json!(true)),
        ("peer_approved", json!(false)),
        ("verified", json!(true)),
        ("established_via", json!("trust")),
    ] {
        assert_eq!(row[key], value, "{key}");
    }
    let received = bob.get(&at_bob).await.expect(202).json();
    for (key, value) in [
        ("baseuri", json!(ann.url)),
        ("secret", json!(secret)),
        ("desc", json!("old friends")),
        ("approved", json!(false)),
        ("peer_approved", json!(true)),
        ("verified", json!(true)),
    ] {
        assert_eq!(received[key], value, "{key}");
    }
    assert_eq!(kinds(&heard_a), [TrustInitiated]);
    let heard: Vec<_> = std::mem::take(&mut *heard_b.lock().unwrap());
    let event = TrustEvent { peer: ann.id.clone(), relationship: "friend".into(), initiated_by_peer: true };
    assert_eq!(heard, [(TrustRequestReceived, event)]);

    // Before the approval: the one asked may already use the other, not the reverse.
    Answer::of(as_peer(&bob, &secret, Method::GET, "/properties/color")).await.problem(403);
    Answer::of(as_peer(&ann, &secret, Method::GET, "/properties/color")).await.expect(200);
    Answer::of(as_peer(&bob, &secret, Method::GET, &at_bob)).await.expect(202);

    bob.put(&at_bob, &json!({ "approved": true })).await.expect(204);
    assert_eq!(kinds(&heard_b), [TrustFullyApprovedLocal]);
    assert_eq!(carry(&site_b, &bob).await, [format!("POST trust/friend/{}", bob.id)]);
    assert_eq!(kinds(&heard_a), [TrustFullyApprovedRemote]);
    bob.put(&at_bob, &json!({ "approved": true })).await.expect(204);
    assert!(carry(&site_b, &bob).await.is_empty() && kinds(&heard_b).is_empty(), "approving again changes nothing");
    assert_eq!(Answer::of(as_peer(&bob, &secret, Method::GET, "/properties/color")).await.expect(200).body, "red");
    assert_eq!(ann.get(&at_ann).await.expect(200).json()["peer_approved"], true);

    // The end begins on the side that was asked.
    bob.delete(&at_bob).await.expect(204);
    Answer::of(as_peer(&bob, &secret, Method::GET, "/properties/color")).await.problem(403);
    assert_eq!(carry(&site_b, &bob).await, [format!("DELETE trust/friend/{}", bob.id)]);
    ann.get(&at_ann).await.problem(404);
    Answer::of(as_peer(&ann, &secret, Method::GET, "/properties/color")).await.problem(403);
    let heard: Vec<_> = std::mem::take(&mut *heard_a.lock().unwrap());
    let event = |peer: &Owner, by_peer| TrustEvent {
        peer: peer.id.clone(),
        relationship: "friend".into(),
        initiated_by_peer: by_peer,
    };
    assert_eq!(heard, [(TrustDeleted, event(&bob, true))]);
    let heard: Vec<_> = std::mem::take(&mut *heard_b.lock().unwrap());
    assert_eq!(heard, [(TrustDeleted, event(&ann, false))]);
    assert!(carry(&site_a, &ann).await.is_empty(), "whoever is told does not tell back");
    assert_eq!(site_a.drain().await.failed + site_b.drain().await.failed, 0);
    bob.delete(&at_bob).await.problem(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_may_refuse_and_take_an_approval_back() {
    let site = site().await;
    let (ann, bob) = (site.actor("ann").await, site.actor("bob").await);
    let secret = ask(&ann, &bob.url, "friend").await["secret"].as_str().unwrap().to_owned();
    let at_bob = format!("/trust/friend/{}", ann.id);

    bob.put(&at_bob, &json!({ "approved": false })).await.expect(204);
    let notices = site.state().actors.store().notices(&ActorId::parse(&bob.id).unwrap()).await.unwrap();
    assert_eq!(notices[0].body.as_deref(), Some(r#"{"approved":false}"#));
    carry(&site, &bob).await;
    bob.put(&at_bob, &json!({ "approved": "true" })).await.expect(204);
    carry(&site, &bob).await;
    let row = ann.get(&format!("/trust/friend/{}", bob.id)).await.expect(200).json();
    assert_eq!(row["peer_approved"], true);

    bob.put(&at_bob, &json!({ "approved": false })).await.expect(204);
    Answer::of(as_peer(&bob, &secret, Method::GET, "/properties")).await.problem(403);
    carry(&site, &bob).await;
    let row = ann.get(&format!("/trust/friend/{}", bob.id)).await.expect(200).json();
    assert_eq!(row["peer_approved"], false);
    for odd in [json!({ "approved": null }), json!({ "approved": "perhaps" }), json!({ "approved": 1 })] {
        bob.put(&at_bob, &odd).await.problem(400);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relationships_are_listed_filtered_and_described() {
    let site = site().await;
    let (ann, bob, cid) = (site.actor("ann").await, site.actor("bob").await, site.actor("cid").await);
    assert_eq!(ann.get("/trust").await.expect(200).json(), json!([]));
    ask(&ann, &bob.url, "friend").await;
    let by_default = ann.post("/trust", &json!({ "url": cid.url })).await.expect(201).json();
    assert_eq!(by_default["relationship"], "associate");
    let peers = |answer: Answer| {
        let list = answer.expect(200).json();
        let mut peers: Vec<_> =
            list.as_array().unwrap().iter().map(|row| row["peerid"].as_str().unwrap().to_owned()).collect();
        peers.sort();
        peers
    };
    let mut both = vec![bob.id.clone(), cid.id.clone()];
    both.sort();
    assert_eq!(peers(ann.get("/trust").await), both);
    assert_eq!(peers(ann.get("/trust?type=urn:actingweb:example.com:trust").await), both);
    for path in ["/trust?relationship=friend".to_owned(), "/trust/friend".into(), format!("/trust?peerid={}", bob.id)] {
        assert_eq!(peers(ann.get(&path).await), [bob.id.as_str()], "{path}");
    }
    for path in ["/trust/lover", "/trust?type=x", "/trust/friend?relationship=associate"] {
        assert_eq!(peers(ann.get(path).await), Vec::<String>::new(), "{path}");
    }
    let described = ann.get("/trust/friend/desc").await.expect(200).json();
    assert_eq!((&described["name"], &described["display_name"]), (&json!("friend"), &json!("Friend")));
    assert!(described["permissions"]["methods"]["denied"].is_array());
    ann.get("/trust/lover/desc").await.problem(404);
    ann.get(&format!("/trust/lover/{}", bob.id)).await.problem(404);
    ann.get(&format!("/trust/friend/{}/what", bob.id)).await.problem(404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_the_peer_does_not_take_leaves_nothing_behind() {
    let site = site().await;
    let ann = site.actor("ann").await;
    let peer = StrangePeer::start("strange").await;
    let ask = |url: String| {
        let ann = ann.clone();
        async move { ann.post("/trust", &json!({ "url": url, "relationship": "friend" })).await }
    };

    peer.answers("POST", "trust/", 403, json!({ "detail": "go away" }));
    let refused = ask(peer.url.clone()).await.problem(408);
    assert!(refused.detail().contains("403"), "{}", refused.body);
    ann.get("/trust/friend/strange").await.problem(404);
    for status in [200, 204, 302, 404, 500] {
        peer.answers("POST", "trust/", status, json!({}));
        ask(peer.url.clone()).await.problem(408);
    }
    for meta in [json!({}), json!([]), json!({ "id": "a/b", "type": "t" }), json!({ "id": "strange" })] {
        peer.answers("GET", "meta", 200, meta);
        ask(peer.url.clone()).await.problem(408);
    }
    peer.answers("GET", "meta", 200, json!({ "id": ann.id, "type": "t" }));
    ask(peer.url.clone()).await.problem(400);
    ask("http://127.0.0.1:9/nobody".to_owned()).await.problem(408);
    ann.post("/trust", &json!({})).await.problem(400);
    ann.post("/trust", &json!({ "url": 5 })).await.problem(400);
    ask("no url".to_owned()).await.problem(400);
    assert_eq!(ann.get("/trust").await.expect(200).json(), json!([]));

    // What stood before stands again.
    peer.answers("GET", "meta", 200, json!({ "id": "strange", "type": "t" }));
    peer.answers("POST", "trust/", 201, json!({}));
    let first = ask(peer.url.clone()).await.expect(201).json();
    assert_eq!(first["peer_approved"], true);
    peer.answers("POST", "trust/", 500, json!({}));
    ask(peer.url.clone()).await.problem(408);
    let now = ann.get("/trust/friend/strange").await.expect(200).json();
    assert_eq!((&now["secret"], &now["peer_approved"]), (&first["secret"], &json!(true)));
    let secret = first["secret"].as_str().unwrap();
    Answer::of(as_peer(&ann, secret, Method::GET, "/trust/friend/strange")).await.expect(200);
    // Asking again makes a new secret, and the old one ends.
    peer.answers("POST", "trust/", 202, json!({}));
    let second = ask(peer.url.clone()).await.expect(201).json();
    assert_eq!(second["peer_approved"], false);
    Answer::of(as_peer(&ann, secret, Method::GET, "/trust/friend/strange")).await.problem(403);
    let shown = peer.asked_for("POST", "trust/friend");
    let last = &shown.last().unwrap().body;
    assert_eq!(last["secret"], second["secret"]);
    assert_eq!(last["verify"], second["verification_token"]);
    assert_eq!((&last["baseuri"], &last["id"]), (&json!(ann.url), &json!(ann.id)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trustees_come_and_go() {
    let site = site().await;
    let ann = site.actor("ann").await;
    ann.put("/trust/trustee", &json!({ "trustee_root": "https://trustee.example/" })).await.expect(204);
    assert_eq!(ann.get("").await.expect(200).json()["trustee_root"], "https://trustee.example/");
    ann.put("/trust/trustee", &json!({ "trustee_root": "no url" })).await.problem(400);
    ann.put("/trust/trustee", &json!({ "trustee_root": 5 })).await.problem(400);
    ann.put("/trust/trustee", &json!({ "creator": "a:b" })).await.problem(400);
    ann.put("/trust/trustee", &json!({ "creator": "trustee" })).await.expect(204);
    ann.get("").await.problem(403);
    let trustee = site.http.get(&ann.url).bearer_auth(&ann.passphrase);
    assert_eq!(Answer::of(trustee).await.expect(200).json()["creator"], "trustee");
    let mut ann = ann;
    ann.creator = "trustee".to_owned();
    ann.delete("/trust/trustee").await.expect(204);
    assert!(ann.get("").await.expect(200).json().get("trustee_root").is_none());
    let trustee = site.http.get(&ann.url).bearer_auth(&ann.passphrase);
    Answer::of(trustee).await.problem(403);
    ann.post("/trust/trustee", &json!({})).await.problem(405);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deciding_costs_two_calls() {
    let site = site().await;
    let (ann, bob) = (site.actor("ann").await, site.actor("bob").await);
    let secret = ask(&ann, &bob.url, "friend").await["secret"].as_str().unwrap().to_owned();
    let at_bob = format!("/trust/friend/{}", ann.id);
    let meter = site.meter();
    let measured = |answer: Answer, calls: actingweb_tests::Calls, status: u16, most: (usize, usize)| {
        let answer = answer.expect(status);
        let spent = (calls.count(), calls.longest_chain());
        assert!(spent.0 <= most.0 && spent.1 <= most.1, "{}: {spent:?}: {:?}", answer.request, calls.operations());
    };
    let approved = json!({ "approved": true });
    let (answer, calls) = meter.measure(bob.put(&at_bob, &approved)).await;
    measured(answer, calls, 204, (2, 2));
    let (answer, calls) = meter.measure(bob.get(&at_bob)).await;
    measured(answer, calls, 200, (1, 1));
    let own = format!("/trust/friend/{}", bob.id);
    let (answer, calls) = meter.measure(Answer::of(as_peer(&ann, &secret, Method::GET, &own))).await;
    measured(answer, calls, 200, (1, 1));
    let told = as_peer(&ann, &secret, Method::POST, &own).json(&approved);
    let (answer, calls) = meter.measure(Answer::of(told)).await;
    measured(answer, calls, 204, (2, 2));
    let narrower = json!({ "properties": { "excluded_patterns": ["diary"] } });
    let (answer, calls) = meter.measure(bob.put(&format!("{at_bob}/permissions"), &narrower)).await;
    measured(answer, calls, 201, (2, 2));
    let granted = format!("/permissions/{}", ann.id);
    let (answer, calls) = meter.measure(Answer::of(as_peer(&bob, &secret, Method::GET, &granted))).await;
    measured(answer, calls, 200, (1, 1));
    let (answer, calls) = meter.measure(bob.delete(&at_bob)).await;
    measured(answer, calls, 204, (2, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_actor_takes_leave_of_its_peers() {
    let clock = FakeClock::new();
    let here = Site::with_clock(app().0, Arc::new(clock.clone())).await;
    let there = site().await;
    let (ann, bob) = (here.actor("ann").await, there.actor("bob").await);
    befriend(&here, &ann, &there, &bob).await;
    let (near, far) = (StrangePeer::start("near").await, StrangePeer::start("far").await);
    for peer in [&near, &far] {
        peer.answers("POST", "trust/", 201, json!({}));
        ask(&ann, &peer.url, "friend").await;
    }
    near.answers("DELETE", "trust/", 204, json!({}));
    far.answers("DELETE", "trust/", 503, json!({}));
    ann.delete("").await.expect(204);
    assert_eq!(here.drain().await.failed, 0);
    let path = format!("trust/friend/{}", ann.id);
    bob.get(&format!("/{path}")).await.problem(404);
    assert_eq!(near.asked_for("DELETE", &path).len(), 1);
    let tried = far.asked_for("DELETE", &path).len();
    assert!(tried > 0, "one that is away keeps nobody waiting");

    // It is told when it is back; and nothing is left of the actor in the end.
    far.answers("DELETE", "trust/", 204, json!({}));
    clock.advance(Duration::from_secs(60));
    assert_eq!(here.drain().await.failed, 0);
    assert!(far.asked_for("DELETE", &path).len() > tried);
    clock.advance(Duration::from_secs(15 * 60));
    here.drain().await;
    let left: Vec<_> = here.table().await;
    let of_ann = |item: &&Value| item["pk"].as_str().is_some_and(|pk| pk.starts_with(&format!("A#{}", ann.id)));
    let left: Vec<_> = left.iter().filter(of_ann).map(|item| item["sk"].clone()).collect();
    assert_eq!(left, [json!("ACTOR")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_ask_each_other_at_once_agree_on_one_secret() {
    let (here, there) = (site().await, site().await);
    for round in 0..20 {
        let (ann, bob) = (here.actor(&format!("ann{round}")).await, there.actor(&format!("bob{round}")).await);
        both_ask(&ann, &bob, round).await;
    }
}

async fn both_ask(ann: &Owner, bob: &Owner, round: usize) {
    let to = |peer: &Owner| json!({ "url": peer.url, "relationship": "friend" });
    let (to_bob, to_ann) = (to(bob), to(ann));
    let (one, other) = (ann.post("/trust", &to_bob), bob.post("/trust", &to_ann));
    let (one, other) = match round % 2 {
        0 => futures_util::future::join(one, other).await,
        // The one who was asked asks, too, instead of approving.
        _ => (one.await, other.await),
    };
    one.expect(201);
    other.expect(201);
    let (at_ann, at_bob) = (format!("/trust/friend/{}", bob.id), format!("/trust/friend/{}", ann.id));
    let (at_ann, at_bob) = (ann.get(&at_ann).await.expect(200).json(), bob.get(&at_bob).await.expect(200).json());
    for row in [&at_ann, &at_bob] {
        assert_eq!((&row["approved"], &row["peer_approved"]), (&json!(true), &json!(true)), "round {round}: {row}");
    }
    assert_eq!(at_ann["secret"], at_bob["secret"], "round {round}");
    let secret = at_ann["secret"].as_str().unwrap();
    for owner in [ann, bob] {
        owner.put("/properties/color", &json!("blue")).await.expect(204);
        Answer::of(as_peer(owner, secret, Method::GET, "/properties/color")).await.expect(200);
    }
}
