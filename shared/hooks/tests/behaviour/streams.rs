//! Answers that come piece by piece.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actingweb_hooks::prelude::*;
use actingweb_hooks::{Hooks, MethodReply, StreamPart, Streaming};
use futures_util::stream::{self, StreamExt};
use tokio::sync::Semaphore;

use crate::common::{Log, answer, app, build, build_with, failure, invocation, post};

fn counting() -> Result<Streamed<u32>, HookError> {
    Ok(Streamed::new(stream::iter([1, 2, 3].map(Ok))))
}

async fn words() -> Result<Streamed<String>, HookError> {
    Ok(Streamed::new(stream::iter(["one ", "two ", "three"].map(|word| Ok(word.to_owned())))))
}

async fn stream(hooks: &Hooks, method: &str) -> MethodReply {
    hooks.stream_method(&invocation(), method, Op::Post, Value::Null).await
}

async fn streaming(hooks: &Hooks, method: &str) -> Streaming {
    match stream(hooks, method).await {
        MethodReply::Streaming(streaming) => streaming,
        MethodReply::Whole(outcome) => panic!("expected a stream, got {outcome:?}"),
    }
}

async fn parts(hooks: &Hooks, method: &str) -> Vec<StreamPart> {
    streaming(hooks, method).await.collect().await
}

fn items<const N: usize>(items: [Value; N]) -> Vec<StreamPart> {
    items.into_iter().map(StreamPart::Item).collect()
}

/// What came before it broke off, and the failure.
fn broken(mut parts: Vec<StreamPart>) -> (Vec<StreamPart>, actingweb_hooks::HookFailure) {
    match parts.pop() {
        Some(StreamPart::Failed(failure)) => (parts, failure),
        other => panic!("expected a failure, got {other:?} after {parts:?}"),
    }
}

#[tokio::test]
async fn items_come_in_order_whatever_the_hook_is() {
    let app = app().method("plain", counting).method("async", words).method("pool", blocking(counting));
    let hooks = build(app).await;
    for name in ["plain", "pool"] {
        let mut expected = items([json!(1), json!(2), json!(3)]);
        expected.push(StreamPart::Done(json!({})));
        assert_eq!(parts(&hooks, name).await, expected, "{name}");
        assert_eq!(answer(post(&hooks, name, Value::Null).await), json!([1, 2, 3]), "{name}");
    }
    assert_eq!(parts(&hooks, "async").await[..3], items([json!("one "), json!("two "), json!("three")]));
    assert_eq!(answer(post(&hooks, "async", Value::Null).await), "one two three");
}

#[tokio::test]
async fn a_stream_without_items_is_an_answer_and_one_that_is_none_is_not() {
    fn none() -> Result<Streamed<u8>, HookError> {
        Ok(Streamed::new(stream::empty()))
    }
    fn silent() -> Result<Streamed<String>, HookError> {
        Ok(Streamed::new(stream::empty()))
    }
    let app = app().method("none", none).method("silent", silent).method("whole", || Ok::<_, HookError>(1));
    // The first hook leaves it to the second.
    let app = app.method("second", || Ok::<(), HookError>(())).method("second", counting);
    let hooks = build(app).await;
    assert_eq!(parts(&hooks, "none").await, [StreamPart::Done(json!({}))]);
    assert_eq!(answer(post(&hooks, "none", Value::Null).await), json!([]));
    assert_eq!(answer(post(&hooks, "silent", Value::Null).await), "");
    assert_eq!(parts(&hooks, "second").await[..1], items([json!(1)]));
    for (name, streams) in [("none", true), ("second", true), ("whole", false), ("nobody", false)] {
        assert_eq!(hooks.streams(name), streams, "{name}");
    }
    let MethodReply::Whole(whole) = stream(&hooks, "whole").await else { panic!("it does not stream") };
    assert_eq!(answer(whole), 1);
}

#[tokio::test]
async fn the_schema_is_that_of_the_whole_and_the_listing_says_that_it_streams() {
    let hooks =
        build(app().method("items", counting).method("text", words).method("whole", || Ok::<_, HookError>(1))).await;
    let listed = hooks.methods();
    let [items, text, whole] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!(items.output_schema.as_ref().unwrap()["items"]["type"], "integer");
    assert_eq!(text.output_schema.as_ref().unwrap()["type"], "string");
    let streams = |info| serde_json::to_value(info).unwrap().get("streams").cloned();
    assert_eq!((streams(items), streams(text), streams(whole)), (Some(json!(true)), Some(json!(true)), None));
}

#[tokio::test]
async fn what_is_pushed_comes_in_order_and_before_the_error() {
    async fn pushes() -> Result<Streamed<u32>, HookError> {
        Ok(Streamed::produce(|outlet| async move {
            for n in 0..100 {
                outlet.send(n).await?;
            }
            Err(HookError::not_found("more"))
        }))
    }
    let hooks = build(app().method("pushes", pushes)).await;
    let (before, failure) = broken(parts(&hooks, "pushes").await);
    assert_eq!(before, (0..100).map(|n| StreamPart::Item(json!(n))).collect::<Vec<_>>());
    assert_eq!((failure.status, failure.detail.as_str()), (404, "more"));
    assert_eq!(self::failure(post(&hooks, "pushes", Value::Null).await).status, 404);
}

#[tokio::test]
async fn a_hook_can_be_tested_as_the_function_it_is() {
    let said: Vec<String> = words().await.unwrap().map(Result::unwrap).collect().await;
    assert_eq!(said.concat(), "one two three");
}

/// Fails before, between or after items: 0, 1, 2.
fn fails(at: usize, panics: bool) -> Result<Streamed<usize>, HookError> {
    Ok(Streamed::new(stream::iter(0..=at).map(move |n| match (n < at, panics) {
        (true, _) => Ok(n),
        (false, true) => panic!("postgres://admin:hunter2@db"),
        (false, false) => Err(HookError::rejected("not today")),
    })))
}

#[tokio::test]
async fn what_fails_first_is_a_reply_and_what_fails_later_the_last_event() {
    let app = app()
        .method("error_at_once", || fails(0, false))
        .method("panic_at_once", || fails(0, true))
        .method("error_later", || fails(2, false))
        .method("panic_later", || fails(2, true))
        .method("never_begins", || Err::<Streamed<u8>, _>(HookError::rejected("not today")));
    let hooks = build(app).await;
    let (log, _guard) = Log::capture();
    for (name, status) in [("error", 403), ("panic", 500)] {
        let MethodReply::Whole(whole) = stream(&hooks, &format!("{name}_at_once")).await else { panic!("{name}") };
        assert_eq!(failure(whole).status, status);
        let (before, failed) = broken(parts(&hooks, &format!("{name}_later")).await);
        assert_eq!((before.len(), failed.status), (2, status), "{name}");
        assert!(!failed.detail.contains("hunter2"), "{failed}");
        assert_eq!(failure(post(&hooks, &format!("{name}_later"), Value::Null).await).status, status);
    }
    assert_eq!(log.with("hook panicked").len(), 3);
    let MethodReply::Whole(whole) = stream(&hooks, "never_begins").await else { panic!("it never began") };
    assert_eq!(failure(whole).status, 403);
}

/// One item a second, for ever.
async fn ticks() -> Result<Streamed<u64>, HookError> {
    Ok(Streamed::new(stream::unfold(0, |n| async move {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((Ok(n), n + 1))
    })))
}

#[tokio::test(start_paused = true)]
async fn the_deadline_covers_the_stream() {
    let hooks = build(app().method("ticks", ticks).deadline(Duration::from_millis(3500))).await;
    let begun = tokio::time::Instant::now();
    let (before, failed) = broken(parts(&hooks, "ticks").await);
    assert_eq!((before.len(), failed.status), (3, 504), "{failed}");
    assert_eq!(failed.unfinished, ["ticks"]);
    assert_eq!(begun.elapsed().as_millis(), 3500);
    assert_eq!(failure(post(&hooks, "ticks", Value::Null).await).status, 504);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_holds_also_while_nobody_reads() {
    let app = app().method("ticks", ticks).deadline(Duration::from_millis(3500)).method("words", words);
    let hooks = build_with(app, |limits| limits.concurrent_hooks = 1).await;
    let unread = streaming(&hooks, "ticks").await;
    // The only place is taken for the first 3.5 s, and free after that, though nobody read on.
    let waiting = tokio::time::Instant::now();
    assert_eq!(answer(post(&hooks, "words", Value::Null).await), "one two three");
    assert_eq!(waiting.elapsed().as_millis(), 2500);
    let (before, failed) = broken(unread.collect().await);
    assert_eq!((before.len(), failed.status), (2, 504), "those that were taken out of its hands, and no more");
}

/// Counts what it makes, and tells when it is dropped.
struct Made(Arc<AtomicUsize>, Arc<Semaphore>);
impl Drop for Made {
    fn drop(&mut self) {
        self.1.add_permits(1);
    }
}

#[derive(Clone, Default)]
struct Watched {
    made: Arc<AtomicUsize>,
    dropped: Option<Arc<Semaphore>>,
}

async fn endless(State(watched): State<Watched>) -> Result<Streamed<usize>, HookError> {
    let made = Made(Arc::clone(&watched.made), watched.dropped.clone().unwrap());
    Ok(Streamed::new(stream::repeat_with(move || Ok(made.0.fetch_add(1, Ordering::SeqCst)))))
}

fn watched() -> (App, Watched) {
    let watched = Watched { dropped: Some(Arc::new(Semaphore::new(0))), ..Watched::default() };
    (app().state(watched.clone()).method("endless", endless).method("words", words), watched)
}

#[tokio::test]
async fn nothing_is_made_for_a_reader_who_does_not_read() {
    let (app, watched) = watched();
    let hooks = build(app).await;
    let mut reader = streaming(&hooks, "endless").await;
    for read in 0..1000 {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        // One in the reader's hand, one waiting, one in the hook's hand.
        assert!(watched.made.load(Ordering::SeqCst) <= read + 3, "{read}");
        assert_eq!(reader.next().await, Some(StreamPart::Item(json!(read))));
    }
}

#[tokio::test]
async fn a_reader_who_leaves_ends_the_stream_and_frees_its_place() {
    let (app, watched) = watched();
    let hooks = build_with(app, |limits| limits.concurrent_hooks = 1).await;
    let (log, _guard) = Log::capture();
    let reader = streaming(&hooks, "endless").await;
    drop(reader);
    watched.dropped.unwrap().acquire().await.unwrap().forget();
    assert_eq!(answer(post(&hooks, "words", Value::Null).await), "one two three");
    assert_eq!(log.with("hook was cancelled").len(), 1, "{:?}", log.lines());
}

#[tokio::test]
async fn a_stream_that_blocks_is_logged_with_the_fix() {
    fn sleepy() -> Result<Streamed<u8>, HookError> {
        Ok(Streamed::new(stream::iter([1, 2]).map(|n| {
            std::thread::sleep(Duration::from_millis(5));
            Ok(n)
        })))
    }
    let hooks =
        build_with(app().method("sleepy", sleepy), |limits| limits.watchdog = Some(Duration::from_millis(1))).await;
    let (log, _guard) = Log::capture();
    assert_eq!(parts(&hooks, "sleepy").await.len(), 3);
    let lines = log.with("blocked the runtime");
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(line.contains("hook=\"method:sleepy\"") && line.contains("async API"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn tasks_of_a_stream_are_joined_at_its_end() {
    async fn noting(ctx: Context, State(done): State<AtomicUsize>) -> Result<Streamed<u32>, HookError> {
        ctx.tasks().spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            done.fetch_add(1, Ordering::SeqCst);
            Ok(())
        });
        counting()
    }
    async fn failing(ctx: Context) -> Result<Streamed<u32>, HookError> {
        ctx.tasks().spawn(async { Err(HookError::rejected("not noted")) });
        counting()
    }
    async fn count(State(done): State<AtomicUsize>) -> Result<usize, HookError> {
        Ok(done.load(Ordering::SeqCst))
    }
    let app =
        app().state(AtomicUsize::new(0)).method("noting", noting).method("failing", failing).method("count", count);
    let hooks = build(app).await;
    assert_eq!(parts(&hooks, "noting").await.len(), 4);
    assert_eq!(answer(post(&hooks, "count", Value::Null).await), 1);
    let (before, failed) = broken(parts(&hooks, "failing").await);
    assert_eq!((before.len(), failed.detail.as_str()), (3, "not noted"));
    // Who leaves takes the task along.
    drop(streaming(&hooks, "noting").await);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(answer(post(&hooks, "count", Value::Null).await), 1);
}

#[tokio::test]
async fn an_answer_is_collected_up_to_a_limit_and_streamed_beyond() {
    fn long() -> Result<Streamed<String>, HookError> {
        Ok(Streamed::new(stream::iter(0..7).map(|_| Ok("x".repeat(1_000_000)))))
    }
    let hooks = build(app().method("long", long)).await;
    let refused = failure(post(&hooks, "long", Value::Null).await);
    assert_eq!(refused.status, 413);
    assert!(refused.detail.contains("6000000 bytes") && refused.detail.contains("text/event-stream"), "{refused}");
    assert_eq!(parts(&hooks, "long").await.len(), 8);
}
