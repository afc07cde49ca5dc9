//! What tests of an application start with, used as they use it.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::time::Duration;

use actingweb_hooks::prelude::*;
use actingweb_hooks::{BotToken, Filtered};
use actingweb_local::testing::{Answer, Faults, Log, NoticeKind, Owed, Script, TestApp};
use actingweb_protocol::PeerId;
use reqwest::Method;

const URN: &str = "urn:actingweb:example.com:tested";

async fn remember(Input(text): Input<String>, actor: Actor, ctx: Context) -> Result<u64, HookError> {
    if !ctx.caller().is_creator() {
        return Err(HookError::rejected("only the creator's words are kept"));
    }
    Ok(actor.attribute_list("notes", "all")?.append(text).await? + 1)
}

async fn welcome(actor: Actor, Now(now): Now) -> Result<(), HookError> {
    Ok(actor.set_property("created_at", now.to_string()).await?)
}

fn lower_case(access: PropertyAccess) -> Result<Verdict, HookError> {
    Ok(access.text().map_or(Verdict::Keep, |text| Verdict::Replace(text.to_lowercase().into())))
}

fn takes(message: BotMessage) -> Result<bool, HookError> {
    Ok(message.bears_token())
}

async fn tell(
    Input(text): Input<String>,
    bedrock: Bedrock,
    http: Http,
    services: Services,
) -> Result<Value, HookError> {
    let reply = bedrock.converse(&text).await?;
    let price = http.get(services.join("crm", "quotes")?).query(&[("symbol", "A")]).send().await?;
    Ok(json!({ "said": reply.text, "price": price.status().as_u16() }))
}

fn app() -> App {
    App::new(URN)
        .on(ActorCreated, welcome)
        .method("remember", remember)
        .method("tell", tell)
        .property("email", lower_case)
        .bot(takes)
}

#[tokio::test]
async fn hooks_are_called_directly_or_over_http() {
    let app = TestApp::start(app()).await;
    let ann = app.actor("ann@example.org").await;
    assert_eq!(ann.method("remember", json!("one")).await.answer(), 1);
    assert_eq!(ann.post("/methods/remember", &json!("two")).await.expect(200).json(), 2);
    let bob = ann.called_by_peer("bob", "friend");
    assert_eq!(bob.method("remember", json!("three")).await.failure().status, 403);
    Answer::of(ann.anonymous(Method::POST, "/methods/remember")).await.problem(401);

    let filtered = ann.property_hooks(Op::Put, "email", json!("A@B.C")).await.unwrap();
    assert_eq!(filtered, Filtered::Value(json!("a@b.c")));
    assert_eq!(ann.actor().property("email").await.unwrap(), None, "calling the hook stores nothing");
    ann.put("/properties/email", &json!("A@B.C")).await.expect(204);
    assert_eq!(ann.actor().property("email").await.unwrap(), Some(json!("a@b.c")));
    assert_eq!(ann.actor().property("created_at").await.unwrap(), Some(json!("2026-01-01T00:00:00.000Z")));
}

#[tokio::test]
async fn time_and_ids_are_the_tests() {
    let (one, two) = (TestApp::start(app()).await, TestApp::start(app()).await);
    let other = TestApp::setup(app()).seed(8).start().await;
    let (ann, again, else_) = (one.actor("ann").await, two.actor("ann").await, other.actor("ann").await);
    assert_eq!(ann.passphrase, again.passphrase);
    assert_ne!(ann.passphrase, else_.passphrase);

    one.clock.advance(Duration::from_secs(3600));
    ann.fire(Event::new(ActorCreated)).await[0].result.clone().unwrap();
    assert_eq!(ann.actor().property("created_at").await.unwrap(), Some(json!("2026-01-01T01:00:00.000Z")));
}

#[tokio::test]
async fn bedrock_services_and_storage_are_scripted_and_counted() {
    // What is throttled is tried again until 5 s before the end.
    let app = TestApp::setup(app()).service("crm").time_limit(Duration::from_millis(5_300)).start().await;
    let ann = app.actor("ann").await;
    app.bedrock.set_script(Script::new().reply("Rain."));
    assert_eq!(ann.method("tell", json!("weather?")).await.answer(), json!({ "said": "Rain.", "price": 200 }));
    assert_eq!((app.bedrock.call_count(), app.services.call_count()), (1, 1));

    let (answer, calls) = app.dynamodb.measure(ann.method("remember", json!("x"))).await;
    assert_eq!((answer.answer(), calls.longest_chain()), (json!(1), 2), "{:?}", calls.operations());
    app.dynamodb.inject(Faults::always_throttle());
    let (log, _listening) = Log::capture();
    assert_eq!(ann.method("remember", json!("y")).await.failure().status, 503);
    assert_eq!(log.with("hook failed").len(), 1);

    let app = TestApp::setup(self::app()).without_service("crm").start().await;
    let ann = app.actor("ann").await;
    assert_eq!(ann.method("tell", json!("weather?")).await.failure().status, 503);
}

#[tokio::test]
async fn messages_to_the_application_reach_it() {
    let app = TestApp::setup(app()).bot_token("token").start().await;
    let message = |token| BotMessage::new(BotToken::new(token), Default::default(), b"{}");
    assert_eq!(app.bot(message("token")).await, Ok(false), "it bears none");
    let request = app.request(Method::POST, "/bot");
    Answer::of(request.bearer_auth("token")).await.expect(204);
}

#[tokio::test]
async fn two_actors_are_friends_and_what_is_owed_is_delivered_when_the_test_says_so() {
    let app = TestApp::start(app()).await;
    let (ann, bob) = (app.actor("ann").await, app.actor("bob").await);
    ann.befriend(&bob, "friend").await;
    let greeting = ann.peers().find(&bob.id).await.unwrap().get("properties/email").await;
    let reason = greeting.unwrap_err().to_string();
    assert!(reason.contains("404"), "bob has none yet, and would show it: {reason}");

    let subscription = json!({ "peerid": bob.id, "target": "properties", "granularity": "high" });
    ann.post("/subscriptions", &subscription).await.expect(204);
    bob.put("/properties/email", &json!("Bob@Example.org")).await.expect(204);
    let owed = bob.outbox().await;
    assert!(
        matches!(&owed[..], [Owed::Change { peer, sequence: 1, data, .. }]
            if peer.as_str() == ann.id && *data == json!({ "email": "bob@example.org" })),
        "{owed:?}"
    );
    app.settle().await;
    assert_eq!(bob.outbox().await, [], "all of it was sent");
    let told = ann.actor().remote(&PeerId::parse(&bob.id).unwrap()).property("email").await.unwrap();
    assert_eq!(format!("{told:?}").matches("bob@example.org").count(), 1, "{told:?}");

    ann.delete(&format!("/trust/friend/{}", bob.id)).await.expect(204);
    let owed = ann.outbox().await;
    assert!(
        matches!(&owed[..], [Owed::Notice { peer, kind: NoticeKind::Deleted, method, .. }]
            if peer.as_str() == bob.id && method == "DELETE"),
        "{owed:?}"
    );
}
