//! What peers subscribe to, and how they read and clear what they are told.

use std::sync::{Arc, Mutex};

use actingweb_hooks::{App, Event, EventKind, HookError, PropertyAccess, SubscriptionEvent, Verdict};
use actingweb_protocol::subscription::Scope;
use actingweb_store::PENDING_FOR;
use actingweb_tests::{Answer, Publisher, Site, secret_of};
use reqwest::Method;
use serde_json::{Value, json};

fn app() -> App {
    App::new("urn:actingweb:example.com:subscriptions")
}

#[tokio::test]
async fn a_subscription_is_made_listed_and_ended_by_the_peer() {
    let site = Site::of(app()).await;
    let ann = Publisher::new(&site).await;
    ann.befriend("bob", "http://127.0.0.1:9/bob").await;
    let answer =
        ann.ask_to_subscribe("bob", &json!({ "target": "properties", "subtarget": "notes" })).await.expect(201);
    let id = answer.json()["subscriptionid"].as_str().unwrap().to_owned();
    assert_eq!(id.len(), 32);
    assert_eq!(
        answer.json(),
        json!({
            "subscriptionid": id, "target": "properties", "subtarget": "notes", "resource": null,
            "granularity": "none", "sequence": 0,
        })
    );
    let entry = json!({
        "id": ann.owner.id, "peerid": "bob", "subscriptionid": id, "target": "properties", "subtarget": "notes",
        "resource": "", "granularity": "none", "sequence": 0, "callback": false,
    });
    let all = ann.owner.get("/subscriptions").await.expect(200).json();
    assert_eq!(all, json!({ "id": ann.owner.id, "data": [entry] }));
    for (query, count) in
        [("?peerid=bob", 1), ("?peerid=eve", 0), ("?target=properties&subtarget=notes", 1), ("?target=x", 0)]
    {
        let found = ann.owner.get(&format!("/subscriptions{query}")).await.expect(200).json();
        assert_eq!(found["data"].as_array().unwrap().len(), count, "{query}");
    }
    let secret = secret_of("bob");
    let own = ann.owner.with_secret(&secret, Method::GET, "/subscriptions/bob");
    assert_eq!(
        Answer::of(own).await.expect(200).json(),
        json!({ "id": ann.owner.id, "peerid": "bob", "data": [entry] })
    );
    let path = format!("/subscriptions/bob/{id}");
    for _ in 0..2 {
        Answer::of(ann.owner.with_secret(&secret, Method::DELETE, &path)).await.expect(204);
    }
    Answer::of(ann.owner.with_secret(&secret, Method::GET, &path)).await.problem(404);
    assert_eq!(ann.owner.get("/subscriptions").await.expect(200).json()["data"], json!([]));
    assert_eq!(ann.store().notices(&ann.id).await.unwrap(), [], "the peer knows");
}

#[tokio::test]
async fn what_is_no_subscription_is_refused() {
    let site = Site::of(app()).await;
    let ann = Publisher::new(&site).await;
    ann.befriend("bob", "http://127.0.0.1:9/bob").await;
    for (body, reason) in [
        (json!({}), "`target` is missing"),
        (json!({ "target": "" }), "`target` is missing"),
        (json!({ "target": 1 }), "`target` must be a text"),
        (json!({ "target": "a/b" }), "`target`"),
        (json!({ "target": "properties", "resource": "x" }), "subtarget"),
        (json!({ "target": "properties", "subtarget": "a#b" }), "a#b"),
        (json!({ "target": "properties", "granularity": "bogus" }), "high, low or none"),
        (json!([]), "object"),
    ] {
        let problem = ann.ask_to_subscribe("bob", &body).await.problem(400).json();
        assert!(problem["detail"].as_str().unwrap().contains(reason), "{body}: {problem}");
    }
    let wish = json!({ "target": "properties" });
    ann.owner.post("/subscriptions/bob", &wish).await.problem(403);
    ann.befriend("eve", "http://127.0.0.1:9/eve").await;
    let foreign = ann.owner.with_secret(&secret_of("eve"), Method::POST, "/subscriptions/bob").json(&wish);
    Answer::of(foreign).await.problem(403);
    for (method, path, allow) in [
        (Method::DELETE, "/subscriptions", "GET, POST"),
        (Method::PUT, "/subscriptions/bob", "GET, POST"),
        (Method::POST, "/subscriptions/bob/1", "GET, PUT, DELETE"),
        (Method::PUT, "/subscriptions/bob/1/1", "GET"),
    ] {
        let answer = Answer::of(ann.owner.request(method.clone(), path).json(&wish)).await;
        assert_eq!((answer.status, answer.header("allow")), (405, allow), "{method} {path}");
    }
    for path in
        ["/subscriptions/bob/none", "/subscriptions/bob/none/1", "/subscriptions/a%22b", "/subscriptions/a/b/c/d"]
    {
        ann.owner.get(path).await.problem(404);
    }
}

#[tokio::test]
async fn a_peer_has_a_hundred_subscriptions_at_most_also_when_it_asks_for_all_at_once() {
    let site = Site::of(app()).await;
    let ann = Publisher::new(&site).await;
    let peer = ann.befriend("bob", "http://127.0.0.1:9/bob").await;
    for number in 0..95 {
        ann.subscribe(&peer, Scope::subtarget("properties", format!("p{number}"))).await;
    }
    let wish = json!({ "target": "properties" });
    let asked = (0..10).map(|_| ann.ask_to_subscribe("bob", &wish));
    let mut statuses: Vec<u16> =
        futures_util::future::join_all(asked).await.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [[201; 5], [409; 5]].concat());
    assert_eq!(ann.store().log_head(&ann.id).await.unwrap().unwrap().subscribers, 100);
}

#[tokio::test]
async fn polls_repeat_themselves_until_what_was_read_is_cleared() {
    let site = Site::of(app()).await;
    let ann = Publisher::new(&site).await;
    let bob = ann.poller("bob", "properties", "none").await;
    for n in 1..=4 {
        ann.change("n", &json!(n)).await;
    }
    let first = bob.poll().await;
    assert_eq!(first["sequence"], 4);
    assert_eq!(bob.poll().await, first);
    let entry = &first["data"][1];
    assert_eq!((&entry["sequence"], &entry["data"]), (&json!(2), &json!({ "n": 2 })));
    assert!(entry["timestamp"].as_str().unwrap().ends_with('Z'), "{entry}");
    let one = bob.send(Method::GET, "/2").await.expect(200).json();
    assert_eq!(bob.send(Method::GET, "/2").await.expect(200).json(), one);
    assert_eq!(
        one,
        json!({
            "id": ann.owner.id, "peerid": "bob", "subscriptionid": bob.id, "target": "properties", "subtarget": "",
            "resource": "", "sequence": 2, "timestamp": entry["timestamp"], "data": { "n": 2 },
        })
    );

    bob.clear(0).await;
    assert_eq!(bob.diffs().await.len(), 4, "there is no diff 0");
    bob.clear(2).await;
    bob.clear(2).await;
    assert_eq!(bob.diffs().await.into_keys().collect::<Vec<_>>(), [3, 4]);
    assert_eq!(bob.poll().await["sequence"], 4, "clearing changes no number");
    for below in ["/2", "/5", "/0", "/x", "/-1"] {
        bob.send(Method::GET, below).await.problem(404);
    }
    Answer::of(bob.request(Method::PUT, "").json(&json!({ "sequence": "3" }))).await.expect(204);
    assert_eq!(bob.diffs().await.into_keys().collect::<Vec<_>>(), [4]);
    bob.send(Method::PUT, "?sequence=4").await.expect(204);
    assert_eq!(bob.told().await, [Value::Null; 0]);
    for body in [json!({}), json!({ "sequence": -1 }), json!({ "sequence": "many" }), json!({ "sequence": 1.5 })] {
        Answer::of(bob.request(Method::PUT, "").json(&body)).await.problem(400);
    }
    bob.send(Method::PUT, "").await.problem(400);

    ann.change("n", &json!(5)).await;
    bob.clear(u64::MAX).await;
    assert_eq!(bob.diffs().await, [(5, json!({ "n": 5 }))].into(), "what nobody could have read stays");
}

#[tokio::test]
async fn long_polls_come_in_parts() {
    let site = Site::of(app()).await;
    let ann = Publisher::new(&site).await;
    let bob = ann.poller("bob", "properties", "none").await;
    let large = "x".repeat(300_000);
    for n in 0..20 {
        ann.change("large", &json!(format!("{n}{large}"))).await;
    }
    let mut read = Vec::new();
    let mut next = Some(String::new());
    let mut parts = 0;
    while let Some(query) = next.take() {
        let answer = bob.send(Method::GET, &query).await.expect(200);
        assert!(answer.body.len() < 5_500_000, "{} bytes", answer.body.len());
        let body = answer.json();
        assert_eq!(body["sequence"], 20);
        read.extend(body["data"].as_array().unwrap().iter().map(|diff| diff["sequence"].as_u64().unwrap()));
        let cursor = answer.header("x-next-cursor");
        next = (!cursor.is_empty()).then(|| format!("?cursor={cursor}"));
        parts += 1;
    }
    assert_eq!(read, (1..=20).collect::<Vec<_>>());
    assert_eq!(parts, 2);
    let few = bob.send(Method::GET, "?limit=3&cursor=5").await.expect(200);
    let numbers: Vec<_> = few.json()["data"].as_array().unwrap().iter().map(|diff| diff["sequence"].clone()).collect();
    assert_eq!(numbers, [6, 7, 8]);
    assert_eq!(few.header("x-next-cursor"), "8");
    bob.send(Method::GET, "?cursor=x").await.problem(400);
}

#[tokio::test]
async fn a_peer_reads_its_own_subscriptions_alone() {
    let site = Site::of(app()).await;
    let ann = Publisher::new(&site).await;
    let bob = ann.poller("bob", "properties", "none").await;
    let eve = ann.poller("eve", "properties", "none").await;
    ann.change("n", &json!(1)).await;
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let foreign = ann.owner.with_secret(&secret_of("eve"), method.clone(), &bob.path);
        Answer::of(foreign.json(&json!({ "sequence": 1 }))).await.problem(403);
        // Below its own id there is nothing of another's.
        let mixed = ann.owner.with_secret(&secret_of("eve"), method.clone(), &format!("/subscriptions/eve/{}", bob.id));
        let status = if method == Method::DELETE { 204 } else { 404 };
        assert_eq!(Answer::of(mixed.json(&json!({ "sequence": 1 }))).await.status, status);
    }
    assert_eq!(bob.told().await, [json!({ "n": 1 })]);
    assert_eq!(eve.told().await, [json!({ "n": 1 })]);
    assert_eq!(ann.owner.get(&bob.path).await.expect(200).json(), bob.poll().await, "the creator sees the same");
}

#[tokio::test]
async fn whoever_did_not_end_a_subscription_is_told() {
    let ended = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&ended);
    let app = app().on(EventKind::SubscriptionDeleted, move |event: Event| {
        seen.lock().unwrap().push(event.data::<SubscriptionEvent>()?);
        Ok::<_, HookError>(())
    });
    let site = Site::of(app).await;
    let ann = Publisher::new(&site).await;
    let bob = ann.poller("bob", "properties/notes", "high").await;
    let again = ann.also_polled("bob", "properties/notes", "high").await;
    ann.owner.delete(&bob.path).await.expect(204);
    ann.owner.delete(&bob.path).await.expect(204);
    let notices = ann.store().notices(&ann.id).await.unwrap();
    let told: Vec<_> = notices.iter().map(|notice| (notice.method.as_str(), notice.path.clone())).collect();
    assert_eq!(told, [("DELETE", format!("callbacks/subscriptions/{}/{}", ann.owner.id, bob.id))]);
    again.send(Method::DELETE, "").await.expect(204);
    assert_eq!(ann.store().notices(&ann.id).await.unwrap().len(), 1);
    let ended = ended.lock().unwrap();
    let by: Vec<_> = ended.iter().map(|event| (event.subscription.clone(), event.initiated_by_peer)).collect();
    assert_eq!(by, [(bob.id, false), (again.id, true)]);
    assert_eq!((ended[0].peer.as_str(), ended[0].subtarget.as_deref()), ("bob", Some("notes")));
}

#[tokio::test]
async fn what_a_peer_may_not_read_takes_no_number_and_what_it_may_not_read_any_more_is_empty() {
    let site = Site::of(app()).await;
    let ann = Publisher::new(&site).await;
    let bob = ann.poller("bob", "properties", "none").await;
    let secret = ann.also_polled("bob", "properties/private", "none").await;
    ann.change("color", &json!("blue")).await;
    ann.change("private", &json!({ "key": 1 })).await;
    ann.owner.post("/properties", &json!({ "private": { "key": 2 }, "size": 3 })).await.expect(201);
    ann.change("color", &json!("red")).await;
    let told = [json!({ "color": "blue" }), json!({ "size": 3 }), json!({ "color": "red" })];
    assert_eq!(bob.told().await, told);
    assert_eq!(secret.poll().await["sequence"], 0);

    let peer = actingweb_protocol::PeerId::parse("bob").unwrap();
    let exclude =
        json!({ "properties": { "patterns": ["*"], "operations": ["read"], "excluded_patterns": ["color"] } });
    ann.change_trust(&peer, |trust| trust.permissions = Some(exclude.to_string())).await;
    ann.change("color", &json!("green")).await;
    ann.change("size", &json!(4)).await;
    let told = [json!({}), json!({ "size": 3 }), json!({}), json!({ "size": 4 })];
    assert_eq!(bob.diffs().await, (1..).zip(told).collect(), "no gap, and nothing of what was taken away");
    assert_eq!(bob.send(Method::GET, "/1").await.expect(200).json()["data"], json!({}));

    // Given back, it counts from now on.
    let paint = ann.also_polled("bob", "properties/color", "none").await;
    ann.change("color", &json!("white")).await;
    assert_eq!(paint.poll().await["sequence"], 0);
    ann.change_trust(&peer, |trust| trust.permissions = None).await;
    ann.change("color", &json!("black")).await;
    assert_eq!(paint.told().await, [json!("black")], "what was withheld stays so");
    assert_eq!(bob.told().await[4], json!({ "color": "black" }));

    ann.change_trust(&peer, |trust| trust.approved = false).await;
    bob.send(Method::GET, "").await.problem(403);
    ann.change("size", &json!(5)).await;
    ann.change_trust(&peer, |trust| trust.approved = true).await;
    assert_eq!(bob.poll().await["sequence"], 6, "nobody looked while it was not approved");
}

#[tokio::test]
async fn what_hooks_hide_or_redact_is_hidden_and_redacted_in_diffs() {
    let app = app().property("secret", |_: PropertyAccess| Ok::<_, HookError>(Verdict::Hide)).property(
        "card",
        |access: PropertyAccess| {
            if access.is_write() {
                return Ok(Verdict::Keep);
            }
            let mut card: serde_json::Map<String, Value> = access.read()?;
            card.extend(card.contains_key("number").then(|| ("number".to_owned(), json!("****"))));
            Ok::<_, HookError>(Verdict::Replace(card.into()))
        },
    );
    let site = Site::of(app).await;
    let ann = Publisher::new(&site).await;
    let bob = ann.poller("bob", "properties", "none").await;
    let card = ann.also_polled("bob", "properties/card", "none").await;
    ann.change("card", &json!({ "number": "1234", "until": 2030 })).await;
    ann.owner.put("/properties/card/until", &json!(2031)).await.expect(204);
    ann.owner.put("/properties/card/number", &json!("5678")).await.expect(204);
    ann.owner.post("/properties", &json!({ "card": { "number": "9" }, "size": 1 })).await.expect(201);
    ann.owner.delete("/properties/card").await.expect(204);
    let told = [
        json!({ "number": "****", "until": 2030 }),
        json!({ "until": 2031 }),
        json!({ "number": "****" }),
        json!({ "number": "****" }),
        // The hook cannot tell what the end of a card is: the peer reads for itself.
        json!("resync"),
    ];
    assert_eq!(card.told().await, told);
    assert_eq!(bob.told().await[3], json!({ "card": { "number": "****" }, "size": 1 }));
    let all = bob.poll().await.to_string() + &card.poll().await.to_string();
    for hidden in ["1234", "5678"] {
        assert!(!all.contains(hidden), "{all}");
    }
    assert!(card.poll().await["data"][4]["url"].as_str().unwrap().ends_with("/properties/card"));
}

#[tokio::test]
async fn what_peers_ask_keeps_its_budget() {
    let site = Site::of(app()).await;
    let ann = Publisher::new(&site).await;
    let bob = ann.poller("bob", "properties", "none").await;
    for n in 0..20 {
        ann.change("n", &json!(n)).await;
    }
    let secret = secret_of("bob");
    let wish = json!({ "target": "properties" });
    let upto = json!({ "sequence": 20 });
    let subscribe = ann.owner.with_secret(&secret, Method::POST, "/subscriptions/bob").json(&wish);
    for (what, request, at_most) in [
        ("subscribe", subscribe, (4, 4)),
        ("poll what is to be numbered", bob.request(Method::GET, ""), (8, 7)),
        ("poll again", bob.request(Method::GET, ""), (5, 4)),
        ("read one", bob.request(Method::GET, "/7"), (4, 4)),
        ("list", ann.owner.with_secret(&secret, Method::GET, "/subscriptions/bob"), (3, 2)),
        ("clear", bob.request(Method::PUT, "").json(&upto), (5, 5)),
        ("end", bob.request(Method::DELETE, ""), (3, 3)),
    ] {
        let (answer, calls) = site.meter().measure(Answer::of(request)).await;
        assert!(answer.status < 300, "{what}: {}", answer.body);
        let spent = (calls.count(), calls.longest_chain());
        assert!(spent.0 <= at_most.0 && spent.1 <= at_most.1, "{what}: {spent:?}: {:?}", calls.operations());
    }
}

#[tokio::test]
async fn a_relationship_that_begins_anew_begins_without_subscriptions() {
    let site = Site::start().await;
    let ann = Publisher::new(&site).await;
    let peer = ann.befriend("reader", "http://127.0.0.1:9/reader").await;
    ann.subscribe(&peer, Scope::target("properties")).await;
    ann.change_trust(&peer, |trust| trust.desc = "still the same".to_owned()).await;
    site.drain().await;
    assert_eq!(ann.store().subscriptions(&ann.id, None).await.unwrap().len(), 1);

    // The peer asked again: nothing is approved, and if it never is, nothing of the old relationship may be left.
    let expires = ann.store().now().plus(PENDING_FOR);
    ann.change_trust(&peer, |trust| (trust.approved, trust.expires) = (false, Some(expires))).await;
    site.drain().await;
    assert_eq!(ann.store().subscriptions(&ann.id, None).await.unwrap(), []);
    assert_eq!(ann.store().log_head(&ann.id).await.unwrap().unwrap().subscribers, 0);
}
