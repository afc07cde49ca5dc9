//! Hooks that end before they finish: where, with what, and what tells of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actingweb_hooks::Outcome;
use actingweb_hooks::prelude::*;

use crate::common::{Log, answer, app, build, failure, invocation, millis, post};

type Steps = Arc<AtomicUsize>;

/// Takes a step each second, for ever.
async fn steps(State(steps): State<Steps>) -> Result<(), HookError> {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        steps.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_takes_no_step_after_its_deadline_and_the_next_call_works() {
    fn count(State(steps): State<Steps>) -> Result<usize, HookError> {
        Ok(steps.load(Ordering::SeqCst))
    }
    let taken = Steps::default();
    let app = app().state(taken).method("steps", steps).deadline(Duration::from_millis(2500)).method("count", count);
    let hooks = build(app).await;
    let late = failure(post(&hooks, "steps", Value::Null).await);
    assert_eq!((late.status, late.unfinished), (504, vec!["steps".to_owned()]));
    assert!(late.detail.contains("`steps`"), "{}", late.detail);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(answer(post(&hooks, "count", Value::Null).await), 2);
}

#[tokio::test(start_paused = true)]
async fn a_hook_whose_caller_goes_away_is_named_in_the_log() {
    let hooks = build(app().state(Steps::default()).method("steps", steps)).await;
    let (log, _guard) = Log::capture();
    let gone = tokio::time::timeout(Duration::from_secs(3), post(&hooks, "steps", Value::Null)).await;
    assert!(gone.is_err());
    let lines = log.with("hook was cancelled");
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    for part in ["INFO", "hook=\"method:steps\"", "request-1", "elapsed_ms=3000"] {
        assert!(line.contains(part), "`{part}` in {line}");
    }
    assert_eq!(log.lines().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_ends_by_itself_was_not_cancelled() {
    async fn fails() -> Result<(), HookError> {
        Err(HookError::invalid("no"))
    }
    let hooks = build(app().state(Steps::default()).method("steps", steps).method("fails", fails)).await;
    let (log, _guard) = Log::capture();
    post(&hooks, "steps", Value::Null).await;
    post(&hooks, "fails", Value::Null).await;
    assert_eq!(log.with("hook was cancelled"), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn hooks_asked_after_one_that_ran_out_of_time_are_not_run() {
    fn never() -> Result<u8, HookError> {
        panic!("asked all the same")
    }
    let app = app().state(Steps::default()).method("m", steps).deadline(Duration::from_secs(1)).method("m", never);
    assert_eq!(failure(post(&build(app).await, "m", Value::Null).await).unfinished, ["m"]);
}

#[tokio::test(start_paused = true)]
async fn join_all_waits_for_the_slowest_and_keeps_every_outcome_in_order() {
    async fn joins(ctx: Context) -> Result<Vec<String>, HookError> {
        let after = |millis: u64| async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            if millis == 20 { Err("refused") } else { Ok(millis) }
        };
        let outcomes = ctx.join_all([300, 20, 100, 600_000].map(after)).await;
        assert!(!ctx.remaining().is_zero());
        let said = |outcome: Outcome<u64, &str>| match outcome {
            Outcome::Ok { value } => format!("{value}"),
            Outcome::Error { error } => error.to_owned(),
            Outcome::TimedOut => "timed out".to_owned(),
        };
        Ok(outcomes.into_iter().map(said).collect())
    }
    let hooks = build(app().method("joins", joins).deadline(Duration::from_secs(10))).await;
    let took = millis(async {
        let said = answer(post(&hooks, "joins", Value::Null).await);
        assert_eq!(said, json!(["300", "refused", "100", "timed out"]));
    })
    .await;
    // A quarter of a second is left to report in.
    assert_eq!(took, 9750);
}

#[tokio::test(start_paused = true)]
async fn join_all_has_no_more_than_64_under_way() {
    async fn joins(ctx: Context) -> Result<usize, HookError> {
        let running = AtomicUsize::new(0);
        let most = AtomicUsize::new(0);
        let one = async || {
            most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(10)).await;
            running.fetch_sub(1, Ordering::SeqCst);
            Ok::<(), ()>(())
        };
        let outcomes = ctx.join_all((0..200).map(|_| one())).await;
        assert!(outcomes.iter().all(Outcome::is_ok));
        Ok(most.into_inner())
    }
    assert_eq!(answer(post(&build(app().method("joins", joins)).await, "joins", Value::Null).await), 64);
}

#[tokio::test(start_paused = true)]
async fn property_hooks_of_several_properties_run_at_the_same_time() {
    async fn slow() -> Result<Verdict, HookError> {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(Verdict::Keep)
    }
    let hooks = build(app().property("*", slow)).await;
    let invocation = invocation();
    let took = millis(async {
        let names = ["a", "b", "c", "d"];
        let all = names.map(|name| hooks.filter_property(&invocation, Op::Get, name, json!(name), &[]));
        for filtered in futures_util::future::join_all(all).await {
            filtered.unwrap();
        }
    })
    .await;
    assert_eq!(took, 100);
}
