//! Tasks beside a hook: joined, or loud.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actingweb_hooks::prelude::*;
use actingweb_hooks::{CallOutcome, Tasks};
use tokio::sync::Notify;

use crate::common::{Log, answer, app, build, failure, millis, post};

type Done = Arc<AtomicUsize>;

async fn later(done: Done) -> Result<(), HookError> {
    tokio::time::sleep(Duration::from_millis(100)).await;
    done.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

/// Adds one when it goes away: how a test sees that a task was dropped.
struct Ends(Done);
impl Drop for Ends {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

async fn until_the_end_of_time(mark: Ends) -> Result<(), HookError> {
    let _mark = mark;
    std::future::pending().await
}

#[tokio::test(start_paused = true)]
async fn tasks_are_joined_before_the_reply_whatever_runs_the_hook() {
    fn plain(State(done): State<Done>, ctx: Context) -> Result<&'static str, HookError> {
        for _ in 0..3 {
            ctx.tasks().spawn(later(Arc::clone(&done)));
        }
        Ok("spawned")
    }
    async fn a_task_of_a_task(done: State<Done>, ctx: Context) -> Result<&'static str, HookError> {
        let (tasks, inner) = (ctx.tasks(), Arc::clone(&done.0));
        tasks.clone().spawn(async move {
            tasks.spawn(later(Arc::clone(&inner)));
            tasks.spawn(later(Arc::clone(&inner)));
            later(Arc::clone(&inner)).await
        });
        Ok("spawned")
    }
    let done = Done::default();
    let app = app()
        .state(Arc::clone(&done))
        .method("plain", plain)
        .method("pool", blocking(plain))
        .method("async", a_task_of_a_task);
    let hooks = build(app).await;
    for (n, hook) in ["plain", "pool", "async"].into_iter().enumerate() {
        let took = millis(async { assert_eq!(answer(post(&hooks, hook, Value::Null).await), "spawned") }).await;
        assert_eq!(done.load(Ordering::SeqCst), (n + 1) * 3, "{hook}");
        assert_eq!(took, 100, "{hook}: they run at the same time");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_fails_or_panics_fails_the_call() {
    fn refuses(ctx: Context) -> Result<(), HookError> {
        ctx.tasks().spawn(async { Err(HookError::rejected("not today")) });
        Ok(())
    }
    fn panics(ctx: Context) -> Result<(), HookError> {
        ctx.tasks().spawn(async { panic!("hunter2") });
        Ok(())
    }
    let hooks = build(app().method("refuses", refuses).method("panics", panics)).await;
    let refused = failure(post(&hooks, "refuses", Value::Null).await);
    assert_eq!((refused.status, refused.detail.as_str()), (403, "not today"));
    let (log, _guard) = Log::capture();
    let panicked = failure(post(&hooks, "panics", Value::Null).await);
    assert_eq!(panicked.status, 500);
    assert!(!format!("{panicked:?}").contains("hunter2"));
    assert_eq!(log.with("hunter2").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_hangs_is_aborted_and_the_call_fails_loudly() {
    fn hangs(State(ended): State<Done>, ctx: Context) -> Result<&'static str, HookError> {
        ctx.tasks().spawn(until_the_end_of_time(Ends(Arc::clone(&ended))));
        Ok("spawned")
    }
    let ended = Done::default();
    let hooks = build(app().state(Arc::clone(&ended)).method("hangs", hangs).deadline(Duration::from_secs(2))).await;
    let (log, _guard) = Log::capture();
    let failure = failure(post(&hooks, "hangs", Value::Null).await);
    assert_eq!(failure.status, 504);
    assert!(failure.detail.contains("a task"), "{}", failure.detail);
    assert_eq!(log.with("hook ran out of time").len(), 1);
    // Aborted tasks are dropped by the runtime, on its next turn.
    tokio::task::yield_now().await;
    assert_eq!(ended.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_takes_its_tasks_with_it() {
    async fn fails(State(ended): State<Done>, ctx: Context) -> Result<(), HookError> {
        // The task holds the context it came from; that must not keep it alive.
        let (mark, own) = (Ends(Arc::clone(&ended)), ctx.clone());
        ctx.tasks().spawn(async move {
            let _own = own;
            until_the_end_of_time(mark).await
        });
        tokio::task::yield_now().await;
        Err(HookError::invalid("no"))
    }
    let ended = Done::default();
    let hooks = build(app().state(Arc::clone(&ended)).method("fails", fails)).await;
    assert_eq!(failure(post(&hooks, "fails", Value::Null).await).status, 400);
    tokio::task::yield_now().await;
    assert_eq!(ended.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_takes_its_tasks_with_it() {
    async fn hangs(State(ended): State<Done>, ctx: Context) -> Result<(), HookError> {
        ctx.tasks().spawn(until_the_end_of_time(Ends(Arc::clone(&ended))));
        std::future::pending().await
    }
    let ended = Done::default();
    let hooks = build(app().state(Arc::clone(&ended)).method("hangs", hangs)).await;
    let gone = tokio::time::timeout(Duration::from_secs(1), post(&hooks, "hangs", Value::Null)).await;
    assert!(gone.is_err());
    tokio::task::yield_now().await;
    assert_eq!(ended.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_task_spawned_after_the_call_is_not_run() {
    struct Kept(std::sync::Mutex<Option<Tasks>>, Notify);
    fn keeps(State(kept): State<Kept>, ctx: Context) -> Result<(), HookError> {
        *kept.0.lock().unwrap() = Some(ctx.tasks());
        kept.1.notify_one();
        Ok(())
    }
    fn spawns(State(kept): State<Kept>, State(done): State<Done>) -> Result<(), HookError> {
        let tasks = kept.0.lock().unwrap().take();
        if let Some(tasks) = tasks {
            tasks.spawn(later(Arc::clone(&done)));
        }
        Ok(())
    }
    let done = Done::default();
    let app = app()
        .state(Arc::clone(&done))
        .state(Kept(std::sync::Mutex::new(None), Notify::new()))
        .method("keeps", keeps)
        .method("spawns", spawns);
    let hooks = build(app).await;
    let (log, _guard) = Log::capture();
    assert_eq!(post(&hooks, "keeps", Value::Null).await, CallOutcome::Nothing);
    assert_eq!(post(&hooks, "spawns", Value::Null).await, CallOutcome::Nothing);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(done.load(Ordering::SeqCst), 0);
    assert!(log.with("task spawned after its hook was answered")[0].contains("hook=\"keeps\""));
}
