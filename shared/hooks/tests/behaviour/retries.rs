//! What is tried again, how often and until when.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actingweb_bedrock::BedrockError;
use actingweb_hooks::prelude::*;
use actingweb_hooks::{BedrockBudget, Retry};
use actingweb_peer::PeerError;
use tokio::time::Instant;

use crate::common::{answer, app, build, failure, post, try_build};

/// Calls a hook that fails this often before it answers, through `Context::retry`. Gives its tries, and its outcome as a
/// status.
async fn tries(retry: Retry, failures: usize, error: fn() -> HookError) -> (usize, u16) {
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let hook = move |ctx: Context| {
        let counted = Arc::clone(&counted);
        async move {
            ctx.retry(retry, || async {
                match counted.fetch_add(1, Ordering::SeqCst) < failures {
                    true => Err(error()),
                    false => Ok::<_, HookError>("done"),
                }
            })
            .await
        }
    };
    let hooks = build(app().method("m", hook)).await;
    let status = match post(&hooks, "m", Value::Null).await {
        actingweb_hooks::CallOutcome::Answer(_) => 200,
        outcome => failure(outcome).status,
    };
    (tries.load(Ordering::SeqCst), status)
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_as_often_as_is_said() {
    let busy = || HookError::retryable("busy");
    assert_eq!(tries(Retry::default(), 2, busy).await, (3, 200));
    assert_eq!(tries(Retry::default(), 3, busy).await, (3, 503));
    assert_eq!(tries(Retry::times(5), 4, busy).await, (5, 200));
    assert_eq!(tries(Retry::OFF, 1, busy).await, (1, 503));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_pass_or_was_tried_already_is_not_tried_again() {
    type Case = (fn() -> HookError, u16);
    let cases: [Case; 7] = [
        (|| HookError::invalid("no"), 400),
        (|| HookError::rejected("no"), 403),
        (|| HookError::terminal("no"), 500),
        (|| HookError::exhausted("no", Duration::from_millis(1)), 429),
        (|| BedrockError::TimedOut.into(), 503),
        (|| PeerError::TimedOut.into(), 503),
        (|| actingweb_actor::ActorError::Busy { retry_after: Duration::from_millis(1) }.into(), 503),
    ];
    for (error, status) in cases {
        assert_eq!(tries(Retry::default(), 1, error).await, (1, status), "{:?}", error());
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_asked_for_is_kept_unless_the_deadline_comes_first() {
    let begun = Instant::now();
    assert_eq!(
        tries(Retry::default(), 1, || HookError::retryable("busy").after(Duration::from_secs(10))).await,
        (2, 200)
    );
    assert_eq!(begun.elapsed().as_secs(), 10);
    // A hook has 25 s.
    let begun = Instant::now();
    assert_eq!(
        tries(Retry::default(), 1, || HookError::retryable("busy").after(Duration::from_secs(26))).await,
        (1, 503)
    );
    assert_eq!(begun.elapsed().as_secs(), 0);
}

#[tokio::test]
async fn without_an_actor_nothing_is_counted() {
    async fn left(bedrock: Bedrock) -> Result<usize, HookError> {
        Ok(bedrock.budget().await?.len())
    }
    let hooks = build(app().method("left", left).bedrock_budget(BedrockBudget::new().calls(Per::Hour, 1))).await;
    assert_eq!(answer(post(&hooks, "left", Value::Null).await), 0);
}

#[tokio::test]
async fn a_budget_without_room_for_one_answer_is_found_at_start() {
    let small = || BedrockBudget::new().tokens(Per::Day, 1000);
    let error = try_build(app().bedrock_budget(small())).await.unwrap_err().to_string();
    assert!(error.contains("the Bedrock budget of 1000 tokens per day has no room for one answer of 2048"), "{error}");
    try_build(app().bedrock_budget(small().answer_tokens(1000))).await.unwrap();
}
