//! Streams that are carried out once.

use std::sync::Arc;
use std::time::Duration;

use actingweb_hooks::prelude::*;
use actingweb_tests::{Answer, Event, Events, Owner, Site, eventually};
use futures_util::stream;
use reqwest::Method;
use tokio::sync::Semaphore;

use super::{Runs, keyed};

/// What a test and the hooks of its site share.
struct Shared {
    runs: Runs,
    /// One permit for each item.
    go: Semaphore,
    /// One permit for each stream that ended or was dropped.
    ended: Semaphore,
}

/// Tells that a stream ended or was dropped.
struct Ends(Arc<Shared>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.ended.add_permits(1);
    }
}

/// Counts to three, each number when the test says so; the numbers of the first run are 10, 11, 12, those of the second
/// 20, 21, 22.
async fn count(State(shared): State<Arc<Shared>>) -> Result<Streamed<usize>, HookError> {
    let first = shared.runs.next() * 10;
    let ends = Ends(Arc::clone(&shared));
    Ok(Streamed::produce(|outlet| async move {
        let _ends = ends;
        for n in first..first + 3 {
            shared.go.acquire().await.map_err(HookError::terminal)?.forget();
            outlet.send(n).await?;
        }
        Ok(())
    }))
}

/// One item, then an error the first time.
async fn fail(
    Input(how): Input<String>,
    State(shared): State<Arc<Shared>>,
) -> Result<Streamed<&'static str>, HookError> {
    let end = match how.as_str() {
        _ if shared.runs.next().is_multiple_of(2) => Ok("the end"),
        "invalid" => Err(HookError::invalid("too much")),
        _ => Err(HookError::retryable("the ledger is being closed")),
    };
    Ok(Streamed::new(stream::iter([Ok("once "), end])))
}

/// 300 KB, which are more than are kept.
fn long(State(shared): State<Arc<Shared>>) -> Result<Streamed<String>, HookError> {
    shared.runs.next();
    Ok(Streamed::new(stream::iter((0..3).map(|n| Ok(n.to_string().repeat(100_000))))))
}

fn empty(State(shared): State<Arc<Shared>>) -> Result<Streamed<String>, HookError> {
    shared.runs.next();
    Ok(Streamed::new(stream::empty()))
}

fn list(State(shared): State<Arc<Shared>>) -> Result<Vec<usize>, HookError> {
    Ok(vec![shared.runs.next()])
}

async fn site() -> (Site, Owner, Arc<Shared>) {
    let shared = Arc::new(Shared { runs: Runs::default(), go: Semaphore::new(0), ended: Semaphore::new(0) });
    let app = App::new("urn:actingweb:example.com:idempotency")
        .state(Arc::clone(&shared))
        .method("count", count)
        .method("fail", fail)
        .method("long", long)
        .method("empty", empty)
        .method("list", list)
        .path_rule("", "methods/count", "POST", "a");
    let site = Site::of(app).await;
    let ann = site.actor("ann").await;
    (site, ann, shared)
}

fn call(owner: &Owner, method: &str, input: &Value) -> reqwest::RequestBuilder {
    keyed(owner.request(Method::POST, &format!("/methods/{method}")), "k1").json(input)
}

async fn streamed(owner: &Owner, method: &str, input: &Value) -> Answer {
    Answer::of(call(owner, method, input).header("accept", "text/event-stream")).await
}

fn message(data: Value) -> Event {
    Event { name: "message".to_owned(), data: data.to_string() }
}

const COUNTED: &str = "data: 10\n\ndata: 11\n\ndata: 12\n\nevent: done\ndata: {}\n\n";

#[tokio::test]
async fn who_asks_again_is_told_the_same_items() {
    let (_site, ann, shared) = site().await;
    shared.go.add_permits(1);
    let mut events = Events::of(call(&ann, "count", &json!({}))).await;
    assert_eq!(events.next().await, Some(message(json!(10))), "as it comes: there is no permit for the next");
    for accept in ["text/event-stream", "*/*"] {
        let busy = Answer::of(call(&ann, "count", &json!({})).header("accept", accept)).await.problem(409);
        assert_eq!(busy.header("retry-after"), "1", "{accept}");
    }
    streamed(&ann, "count", &json!({ "another": "request" })).await.problem(422);
    shared.go.add_permits(2);
    assert_eq!(events.rest().await.len(), 3);

    // Its end was told, so it is kept.
    let again = streamed(&ann, "count", &json!({})).await.expect(200);
    assert_eq!((again.header("content-type"), again.header("idempotent-replayed")), ("text/event-stream", "true"));
    assert_eq!(again.body, COUNTED);
    let whole = Answer::of(call(&ann, "count", &json!({}))).await.expect(200);
    assert_eq!((whole.json(), whole.header("idempotent-replayed")), (json!([10, 11, 12]), "true"));
    assert_eq!(shared.runs.count(), 1);
}

#[tokio::test]
async fn a_stream_whose_caller_goes_away_is_carried_out() {
    let (_site, ann, shared) = site().await;
    shared.go.add_permits(1);
    let mut events = Events::of(call(&ann, "count", &json!({}))).await;
    assert_eq!(events.next().await, Some(message(json!(10))));
    drop(events);
    streamed(&ann, "count", &json!({})).await.problem(409);
    shared.go.add_permits(2);
    let again = eventually("a stream that nobody reads is over", || async {
        let again = streamed(&ann, "count", &json!({})).await;
        if again.status == 409 { Err(again.body) } else { Ok(again) }
    })
    .await;
    assert_eq!(again.expect(200).body, COUNTED);
    assert_eq!(shared.runs.count(), 1);
}

#[tokio::test]
async fn a_stream_whose_caller_goes_away_before_it_begins_is_carried_out() {
    let (_site, ann, shared) = site().await;
    let waits = call(&ann, "count", &json!({})).header("accept", "text/event-stream").send();
    let begun = eventually("its hook runs", || async {
        if shared.runs.count() == 0 { Err("not yet".to_owned()) } else { Ok(()) }
    });
    // Whichever is there first; the other is dropped, and its connection with it.
    tokio::select! {
        reply = waits => panic!("there is no item yet: {reply:?}"),
        () = begun => {}
    }
    shared.go.add_permits(3);
    let again = eventually("a stream that nobody waits for is over", || async {
        let again = streamed(&ann, "count", &json!({})).await;
        if again.status == 409 { Err(again.body) } else { Ok(again) }
    })
    .await;
    assert_eq!((again.expect(200).body, shared.runs.count()), (COUNTED.to_owned(), 1));
}

#[tokio::test]
async fn a_stream_of_a_stranger_ends_with_its_connection() {
    let (_site, ann, shared) = site().await;
    shared.go.add_permits(1);
    let request = || ann.anonymous(Method::POST, "/methods/count").json(&json!({}));
    let mut events = Events::of(keyed(request(), "a-key-that-is-hard-to-guess")).await;
    assert_eq!(events.next().await, Some(message(json!(10))));
    drop(events);
    // Long before the deadline, which is 25 s.
    let ended = tokio::time::timeout(Duration::from_secs(10), shared.ended.acquire()).await;
    ended.expect("the end of the stream").unwrap().forget();
    // One that is read to its end is kept like any other.
    shared.go.add_permits(3);
    for replayed in ["", "true"] {
        let answer =
            Answer::of(keyed(request(), "another-that-is-hard-to-guess").header("accept", "text/event-stream"));
        let answer = answer.await.expect(200);
        assert!(answer.body.ends_with("data: 22\n\nevent: done\ndata: {}\n\n"), "{}", answer.body);
        assert_eq!(answer.header("idempotent-replayed"), replayed);
    }
}

#[tokio::test]
async fn an_empty_stream_is_empty_again() {
    let (_site, ann, shared) = site().await;
    for replayed in ["", "true"] {
        let answer = streamed(&ann, "empty", &json!({})).await.expect(200);
        assert_eq!(
            (answer.body.as_str(), answer.header("idempotent-replayed")),
            ("event: done\ndata: {}\n\n", replayed)
        );
    }
    assert_eq!(Answer::of(call(&ann, "empty", &json!({}))).await.expect(200).json(), json!(""));
    assert_eq!(shared.runs.count(), 1);
}

#[tokio::test]
async fn a_stream_that_broke_off_is_carried_out_again_unless_that_is_its_result() {
    let (_site, ann, shared) = site().await;
    let broken = streamed(&ann, "fail", &json!("retryable")).await.expect(200);
    assert!(broken.body.starts_with("data: \"once \"\n\nevent: error\n"), "{}", broken.body);
    let whole = streamed(&ann, "fail", &json!("retryable")).await.expect(200);
    assert_eq!(whole.header("idempotent-replayed"), "");
    assert_eq!(whole.body, "data: \"once \"\n\ndata: \"the end\"\n\nevent: done\ndata: {}\n\n");
    // Of texts the whole is one text.
    let again = streamed(&ann, "fail", &json!("retryable")).await.expect(200);
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.body, "data: \"once the end\"\n\nevent: done\ndata: {}\n\n");

    let invalid = || keyed(ann.request(Method::POST, "/methods/fail"), "k2").json(&json!("invalid"));
    let broken = Answer::of(invalid().header("accept", "text/event-stream")).await.expect(200);
    assert!(broken.body.contains("\"status\":400"), "{}", broken.body);
    let again = Answer::of(invalid().header("accept", "text/event-stream")).await.problem(400);
    assert_eq!((again.detail(), again.header("idempotent-replayed")), ("too much".to_owned(), "true"));
    assert_eq!(shared.runs.count(), 3);
}

#[tokio::test]
async fn a_stream_that_is_too_large_to_keep_is_whole_once() {
    let (_site, ann, shared) = site().await;
    let first = streamed(&ann, "long", &json!({})).await.expect(200);
    assert!(first.body.len() > 300_000 && first.body.ends_with("event: done\ndata: {}\n\n"));
    streamed(&ann, "long", &json!({})).await.problem(410);
    Answer::of(call(&ann, "long", &json!({}))).await.problem(410);
    assert_eq!(shared.runs.count(), 1);
}

#[tokio::test]
async fn what_was_asked_for_whole_can_be_had_in_pieces() {
    let (_site, ann, shared) = site().await;
    shared.go.add_permits(3);
    let whole = Answer::of(call(&ann, "count", &json!({}))).await.expect(200);
    assert_eq!(whole.json(), json!([10, 11, 12]));
    assert_eq!(streamed(&ann, "count", &json!({})).await.expect(200).body, COUNTED);
    // An array that is no stream stays one, whatever form it goes out in.
    for replayed in ["", "true"] {
        let list = || keyed(ann.request(Method::POST, "/methods/list"), "k2").json(&json!({}));
        let answer = Answer::of(list().header("accept", "text/event-stream")).await.expect(200);
        assert_eq!(answer.body, "data: [2]\n\nevent: done\ndata: {}\n\n");
        assert_eq!(answer.header("idempotent-replayed"), replayed);
    }
}

#[tokio::test]
async fn what_a_model_says_of_its_answer_is_kept_with_it() {
    async fn draft(bedrock: Bedrock) -> Result<Streamed<String>, HookError> {
        Ok(bedrock.converse_stream("two words").await?.into())
    }
    let site = Site::of(App::new("urn:actingweb:example.com:idempotency").method("draft", draft)).await;
    let ann = site.actor("ann").await;
    site.services().bedrock.set_script(actingweb_testkit::bedrock_standin::Script::new().reply("one two three"));
    let first = streamed(&ann, "draft", &json!({})).await.expect(200);
    let (_, done) = first.body.split_once("event: done\n").expect("an end");
    assert!(done.contains("\"stop_reason\":\"end_turn\""), "{done}");
    let again = streamed(&ann, "draft", &json!({})).await.expect(200);
    assert_eq!(again.body, format!("data: \"one two three\"\n\nevent: done\n{done}"));
}
