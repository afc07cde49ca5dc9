//! Methods that answer piece by piece, over HTTP: a real table, a stand-in for Bedrock that the test holds back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actingweb_hooks::prelude::*;
use actingweb_testkit::bedrock_standin::{Ending, Fault, Gate, Script};
use actingweb_testkit::log::Log;
use actingweb_tests::{Answer, Event, Events, Owner, Site};
use futures_util::stream;
use reqwest::Method;
use tokio::sync::{Notify, Semaphore};

use crate::trust::{as_peer, ask};

/// What a test sees of the streams in its site.
#[derive(Default)]
struct Seen {
    made: AtomicUsize,
    calls: AtomicUsize,
    ended: Notify,
}

/// Tells that a stream was dropped.
struct Ends(Arc<Seen>);
impl Drop for Ends {
    fn drop(&mut self) {
        self.0.ended.notify_one();
    }
}

/// The state that hooks share: one `Arc`, which streams can take along.
struct Shared(Arc<Seen>);

async fn draft(Input(topic): Input<String>, bedrock: Bedrock) -> Result<Streamed<String>, HookError> {
    Ok(bedrock.converse_stream(topic).await?.into())
}

/// One item, then nothing for ever.
async fn stalls(State(shared): State<Shared>) -> Result<Streamed<u8>, HookError> {
    let ends = Ends(Arc::clone(&shared.0));
    Ok(Streamed::produce(|outlet| async move {
        let _ends = ends;
        outlet.send(1).await?;
        std::future::pending().await
    }))
}

async fn panics() -> Result<Streamed<u8>, HookError> {
    let broken = |n| if n == 1 { Ok(n) } else { panic!("postgres://admin:hunter2@db") };
    Ok(Streamed::new(stream::iter([1, 2].into_iter().map(broken))))
}

/// A thousand items of 100 KB each.
async fn pages(State(shared): State<Shared>) -> Result<Streamed<String>, HookError> {
    let seen = Arc::clone(&shared.0);
    let page = move |n: usize| {
        seen.made.fetch_add(1, Ordering::SeqCst);
        Ok(format!("{n} {}", "x".repeat(100_000)))
    };
    Ok(Streamed::new(stream::iter((0..1000).map(page))))
}

fn counted(State(shared): State<Shared>) -> Result<Streamed<usize>, HookError> {
    let call = shared.0.calls.fetch_add(1, Ordering::SeqCst);
    Ok(Streamed::new(stream::iter([Ok(call)])))
}

fn add(Input((a, b)): Input<(i64, i64)>) -> Result<i64, HookError> {
    Ok(a + b)
}

fn nothing() -> Result<(), HookError> {
    Ok(())
}

async fn site() -> (Site, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let app = App::new("urn:actingweb:example.com:streams")
        .state(Shared(Arc::clone(&seen)))
        .method("draft", draft)
        .method("stalls", stalls)
        .method("stalls_briefly", stalls)
        .deadline(Duration::from_millis(200))
        .method("panics", panics)
        .method("pages", pages)
        .method("counted", counted)
        .method("add", add)
        .method("nothing", nothing);
    (Site::of(app).await, seen)
}

fn call(owner: &Owner, method: &str, accept: &str) -> reqwest::RequestBuilder {
    owner.request(Method::POST, &format!("/methods/{method}")).header("accept", accept).json(&json!("two words"))
}

fn message(data: Value) -> Event {
    Event { name: "message".to_owned(), data: data.to_string() }
}

#[tokio::test]
async fn the_first_event_is_there_before_the_model_wrote_the_second_word() {
    let (site, _) = site().await;
    let ann = site.actor("ann").await;
    let gate = Gate::new();
    site.services().bedrock.set_script(Script::new().reply("one two three").gate(&gate));
    let (log, _guard) = Log::capture();

    gate.let_through(1);
    let mut events = ann.stream("/methods/draft", &json!("two words")).await;
    for (name, value) in [("cache-control", "no-store"), ("x-accel-buffering", "no")] {
        assert_eq!(events.headers[name], value);
    }
    assert!(events.headers.contains_key("x-request-id"));
    assert_eq!(events.next().await, Some(message(json!("one "))));
    // Nothing but this test can make the model go on, so that what was read came while it wrote.
    gate.let_through(1);
    assert_eq!(events.next().await, Some(message(json!("two "))));
    assert!(log.with("message=request").iter().all(|line| !line.contains("method:draft")), "it is not over");
    gate.open();
    let rest = events.rest().await;
    assert_eq!(rest[..1], [message(json!("three"))]);
    assert_eq!((rest.len(), rest[1].name.as_str()), (2, "done"));
    let usage = json!({ "input_tokens": 2, "output_tokens": 3 });
    assert_eq!(rest[1].json(), json!({ "stop_reason": "end_turn", "usage": usage }));

    let lines = log.with("message=request");
    let line = lines.iter().find(|line| line.contains("method:draft")).expect("a line of the request");
    for part in ["status=200", "events=3", "stream=\"done\""] {
        assert!(line.contains(part), "`{part}` in {line}");
    }
}

#[tokio::test]
async fn who_takes_no_events_gets_the_whole() {
    let (site, _) = site().await;
    let ann = site.actor("ann").await;
    site.services().bedrock.set_script(Script::new().reply("one two three"));
    for accept in ["*/*", "application/json", "application/json, text/event-stream;q=0.5"] {
        let answer = Answer::of(call(&ann, "draft", accept)).await.expect(200);
        assert_eq!(
            (answer.header("content-type"), answer.json()),
            ("application/json", json!("one two three")),
            "{accept}"
        );
    }
    assert_eq!(Answer::of(call(&ann, "counted", "*/*")).await.expect(200).json(), json!([0]));
    // Other verbs, and JSON-RPC, know no events.
    let get = ann.request(Method::GET, "/methods/counted").header("accept", "text/event-stream");
    assert_eq!(Answer::of(get).await.expect(200).json(), json!([1]));
    let rpc = json!({ "jsonrpc": "2.0", "method": "counted", "id": 7 });
    let rpc = ann.request(Method::POST, "/methods").header("accept", "text/event-stream").json(&rpc);
    assert_eq!(Answer::of(rpc).await.expect(200).json()["result"], json!([2]));
    // Who takes both gets events where there are any.
    for accept in ["application/json, text/event-stream", "text/event-stream, */*"] {
        let answer = Answer::of(call(&ann, "counted", accept)).await.expect(200);
        assert_eq!(answer.header("content-type"), "text/event-stream", "{accept}");
        let call = if accept.starts_with('a') { 3 } else { 4 };
        assert_eq!(answer.body, format!("data: {call}\n\nevent: done\ndata: {{}}\n\n"));
    }
}

#[tokio::test]
async fn a_method_that_does_not_stream_gives_one_event_to_those_who_take_nothing_else() {
    let (site, _) = site().await;
    let ann = site.actor("ann").await;
    let add = |accept| ann.request(Method::POST, "/methods/add").header("accept", accept).json(&json!([1, 2]));
    let answer = Answer::of(add("text/event-stream")).await.expect(200);
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert_eq!(answer.body, "data: 3\n\nevent: done\ndata: {}\n\n");
    let answer = Answer::of(add("text/event-stream, application/json;q=0.1")).await.expect(200);
    assert_eq!((answer.header("content-type"), answer.json()), ("application/json", json!(3)));
    Answer::of(call(&ann, "nothing", "text/event-stream")).await.expect(204);
    Answer::of(call(&ann, "add", "text/event-stream")).await.problem(400);
    Answer::of(call(&ann, "no_such_method", "text/event-stream")).await.problem(400);
}

#[tokio::test]
async fn what_goes_wrong_before_the_first_item_is_a_reply_and_after_it_an_event() {
    let (site, _) = site().await;
    let ann = site.actor("ann").await;
    let script = |script: Script| site.services().bedrock.set_script(script.reply("one two three"));
    script(Script::new().always(Fault::Throttled { retry_after: Some(Duration::from_secs(40)) }));
    let refused = Answer::of(call(&ann, "draft", "text/event-stream")).await.problem(503);
    assert_eq!(refused.header("retry-after"), "40");

    for ending in [
        Ending::Exception { after: 2, fault: Fault::throttled() },
        Ending::HangUp { after: 2 },
        Ending::Short { after: 2 },
    ] {
        script(Script::new().ending(ending.clone()));
        let events = ann.stream("/methods/draft", &json!("two words")).await.rest().await;
        assert_eq!(events[..2], [message(json!("one ")), message(json!("two "))], "{ending:?}");
        let error = &events[2];
        assert_eq!((events.len(), error.name.as_str()), (3, "error"), "{ending:?}");
        let problem = error.json();
        assert_eq!((&problem["status"], problem["retry_after"].is_u64()), (&json!(503), true), "{problem}");
        assert!(problem["request_id"].is_string(), "{problem}");
        // The same, to those who take no events.
        Answer::of(call(&ann, "draft", "*/*")).await.problem(503);
    }
}

#[tokio::test]
async fn a_panic_and_the_deadline_end_a_stream_and_nothing_else() {
    let (site, seen) = site().await;
    let ann = site.actor("ann").await;
    let (log, _guard) = Log::capture();
    for (method, status) in [("panics", 500), ("stalls_briefly", 504)] {
        let events = ann.stream(&format!("/methods/{method}"), &json!({})).await.rest().await;
        assert_eq!(events[0], message(json!(1)));
        assert_eq!((events.len(), events[1].name.as_str()), (2, "error"));
        let problem = events[1].json();
        assert_eq!(problem["status"], status, "{problem}");
        assert!(!problem.to_string().contains("hunter2"));
        let lines = log.with(&format!("method:{method}"));
        let line = lines.iter().find(|line| line.contains("message=request")).unwrap();
        assert!(line.contains("events=1") && line.contains("stream=\"failed\""), "{line}");
    }
    seen.ended.notified().await;
    assert_eq!(Answer::of(call(&ann, "counted", "*/*")).await.expect(200).json(), json!([0]));
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_stream() {
    let (site, seen) = site().await;
    let ann = site.actor("ann").await;
    let (log, _guard) = Log::capture();
    let mut events = ann.stream("/methods/stalls", &json!({})).await;
    assert_eq!(events.next().await, Some(message(json!(1))));
    drop(events);
    // Long before the deadline, which is 25 s.
    tokio::time::timeout(Duration::from_secs(10), seen.ended.notified()).await.expect("the end of the stream");
    assert_eq!(Answer::of(call(&ann, "counted", "*/*")).await.expect(200).json(), json!([0]));
    let lines = log.with("method:stalls");
    assert!(lines.iter().any(|line| line.contains("hook was cancelled")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("stream=\"abandoned\"")), "{lines:?}");
}

#[tokio::test]
async fn a_thousand_items_are_made_as_they_are_read() {
    let (site, seen) = site().await;
    let ann = site.actor("ann").await;
    let mut events = ann.stream("/methods/pages", &json!({})).await;
    let mut furthest = 0;
    for read in 0..1000 {
        let event = events.next().await.expect("an item");
        assert!(event.data.starts_with(&format!("\"{read} ")), "{read}");
        furthest = furthest.max(seen.made.load(Ordering::SeqCst) - read);
    }
    assert_eq!(events.rest().await.len(), 1);
    // What two sockets and the client hold, in items of 100 KB: some megabytes of the hundred.
    assert!(furthest < 200, "{furthest} items were made and not read");
    // Whole, that is more than anybody carries.
    let refused = Answer::of(call(&ann, "pages", "*/*")).await.problem(413);
    assert!(refused.detail().contains("text/event-stream"), "{}", refused.detail());
    assert!(seen.made.load(Ordering::SeqCst) < 1100, "it is given up once that is clear");
}

#[tokio::test]
async fn streams_are_refused_to_whom_methods_are() {
    let (site, seen) = site().await;
    let (ann, bob) = (site.actor("ann").await, site.actor("bob").await);
    let nobody = ann.anonymous(Method::POST, "/methods/counted").header("accept", "text/event-stream").json(&json!({}));
    Answer::of(nobody).await.problem(401);
    let secret = ask(&bob, &ann.url, "friend").await["secret"].as_str().unwrap().to_owned();
    let peer = || as_peer(&ann, &secret, Method::POST, "/methods/counted").json(&json!({}));
    let refused = Answer::of(peer().header("accept", "text/event-stream")).await;
    assert!(matches!(refused.status, 401 | 403), "{}", refused.body);
    assert_eq!(seen.calls.load(Ordering::SeqCst), 0);
    ann.put(&format!("/trust/friend/{}", bob.id), &json!({ "approved": true })).await.expect(204);
    assert_eq!(Events::of(peer()).await.next().await, Some(message(json!(0))));
    let place = format!("/trust/friend/{}/permissions", bob.id);
    ann.put(&place, &json!({ "methods": { "denied": ["counted"] } })).await.expect(201);
    Answer::of(peer().header("accept", "text/event-stream")).await.problem(403);
    assert_eq!(seen.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_hundred_streams_at_once_stay_apart() {
    let (site, _) = site().await;
    let ann = site.actor("ann").await;
    let begun = Semaphore::new(0);
    let reading = (0..100).map(|n| {
        let (ann, begun) = (&ann, &begun);
        async move {
            // A prompt of n words and one more; its words are counted in the answer.
            let prompt = format!("[wait:all]{}", " word".repeat(n));
            let mut events = ann.stream("/methods/draft", &json!(prompt)).await;
            let first = events.next().await.expect("a word");
            begun.add_permits(1);
            let rest = events.rest().await;
            (first.json(), rest[0].json(), rest.len())
        }
    });
    let all_begun = async {
        // Every one of them has its first word before any has its second.
        let _ = begun.acquire_many(100).await.expect("all");
        ann.stream("/methods/draft", &json!("[go:all]")).await.rest().await;
    };
    let (read, ()) = tokio::join!(futures_util::future::join_all(reading), all_begun);
    for (n, read) in read.into_iter().enumerate() {
        assert_eq!(read, (json!("Summary: "), json!(format!("{} ", n + 1)), 6));
    }
    assert!(site.services().bedrock.max_concurrent() >= 100);
}
