//! How much runs at once, and for how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actingweb_hooks::prelude::*;
use tokio::sync::Semaphore;

use crate::common::{answer, app, build, build_with, failure, invocation, millis, post, within};

async fn sleep_100() -> Result<u8, HookError> {
    tokio::time::sleep(Duration::from_millis(100)).await;
    Ok(1)
}

#[tokio::test(start_paused = true)]
async fn async_hooks_overlap() {
    let hooks = build(app().method("sleep", sleep_100)).await;
    let call = || async { assert_eq!(answer(post(&hooks, "sleep", Value::Null).await), 1) };
    let took = millis(async {
        tokio::join!(call(), call(), call());
    })
    .await;
    assert_eq!(took, 100);
}

#[tokio::test(start_paused = true)]
async fn a_hook_awaits_several_things_at_once() {
    async fn three() -> Result<u8, HookError> {
        let (a, b, c) = tokio::try_join!(sleep_100(), sleep_100(), sleep_100())?;
        Ok(a + b + c)
    }
    let hooks = build(app().method("three", three)).await;
    let took = millis(async { assert_eq!(answer(post(&hooks, "three", Value::Null).await), 3) }).await;
    assert_eq!(took, 100);
}

#[tokio::test(start_paused = true)]
async fn no_more_async_hooks_run_than_there_is_room_for() {
    let hooks = build_with(app().method("sleep", sleep_100), |limits| limits.concurrent_hooks = 2).await;
    let calls = (0..6).map(|_| post(&hooks, "sleep", Value::Null));
    let took = millis(async { drop(futures_util::future::join_all(calls).await) }).await;
    assert_eq!(took, 300);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_room_counts_against_the_deadline() {
    async fn long() -> Result<(), HookError> {
        tokio::time::sleep(Duration::from_secs(20)).await;
        Ok(())
    }
    let hooks = build_with(app().method("long", long), |limits| limits.concurrent_hooks = 1).await;
    let (first, second) = tokio::join!(post(&hooks, "long", Value::Null), async {
        let short = within(Duration::from_secs(10));
        failure(hooks.call_method(&short, "long", Op::Post, Value::Null).await)
    });
    assert_eq!(first, actingweb_hooks::CallOutcome::Nothing);
    // It was never started, so trying again is safe, and the status says so.
    assert_eq!((second.status, second.retry_after), (503, Some(Duration::from_secs(1))));
    assert_eq!(second.unfinished, ["long"]);
}

/// Counts hooks on the pool; each stays until the test lets it go.
struct Threads {
    running: AtomicUsize,
    most: AtomicUsize,
    entered: Semaphore,
    leave: Semaphore,
}

fn occupy(State(threads): State<Arc<Threads>>, wait: Wait) -> Result<&'static str, HookError> {
    let running = threads.running.fetch_add(1, Ordering::SeqCst) + 1;
    threads.most.fetch_max(running, Ordering::SeqCst);
    threads.entered.add_permits(1);
    wait.on(threads.leave.acquire())?.map_err(HookError::terminal)?.forget();
    threads.running.fetch_sub(1, Ordering::SeqCst);
    Ok("left")
}

#[tokio::test]
async fn blocking_hooks_use_no_more_threads_than_allowed_and_let_others_through() {
    let threads = Arc::new(Threads {
        running: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
        entered: Semaphore::new(0),
        leave: Semaphore::new(0),
    });
    let app = app().state(Arc::clone(&threads)).method("occupy", blocking(occupy)).method("quick", sleep_100);
    let hooks = build_with(app, |limits| limits.blocking_threads = 3).await;
    let calls = futures_util::future::join_all((0..9).map(|_| post(&hooks, "occupy", Value::Null)));
    let drive = async {
        let _all_three = threads.entered.acquire_many(3).await.unwrap();
        // The pool is full; what needs no thread goes on.
        assert_eq!(answer(post(&hooks, "quick", Value::Null).await), 1);
        assert_eq!(threads.running.load(Ordering::SeqCst), 3);
        threads.leave.add_permits(9);
    };
    let (outcomes, ()) = tokio::join!(calls, drive);
    assert!(outcomes.into_iter().map(answer).all(|value| value == "left"));
    assert_eq!(threads.most.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_thread_past_its_deadline_keeps_its_place_until_it_is_free() {
    let threads = Arc::new(Threads {
        running: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
        entered: Semaphore::new(0),
        leave: Semaphore::new(0),
    });
    // Waits without `Wait`, so the deadline does not end it.
    fn stubborn(State(threads): State<Arc<Threads>>) -> Result<(), HookError> {
        threads.entered.add_permits(1);
        while threads.leave.available_permits() == 0 {
            std::thread::yield_now();
        }
        Ok(())
    }
    // Lets the threads go also when an assertion fails: the runtime would wait for them for ever.
    struct Release(Arc<Threads>);
    impl Drop for Release {
        fn drop(&mut self) {
            self.0.leave.add_permits(1);
        }
    }
    let release = Release(Arc::clone(&threads));
    let app = app().state(Arc::clone(&threads)).method("stubborn", blocking(stubborn));
    let hooks = build_with(app, |limits| limits.blocking_threads = 1).await;
    let expire = async {
        threads.entered.acquire().await.unwrap().forget();
        tokio::time::advance(Duration::from_secs(40)).await;
    };
    let (first, ()) = tokio::join!(post(&hooks, "stubborn", Value::Null), expire);
    assert_eq!(failure(first).status, 504);
    // No thread is free for the second one until the first returns.
    let expire = tokio::time::advance(Duration::from_secs(40));
    let (second, ()) = tokio::join!(biased; post(&hooks, "stubborn", Value::Null), expire);
    assert_eq!(failure(second).status, 503);
    drop(release);
    assert_eq!(post(&hooks, "stubborn", Value::Null).await, actingweb_hooks::CallOutcome::Nothing);
}

#[tokio::test(start_paused = true)]
async fn the_earliest_deadline_counts() {
    async fn remaining(ctx: Context) -> Result<u128, HookError> {
        Ok(ctx.remaining().as_millis())
    }
    let app = app()
        .method("default", remaining)
        .method("own", remaining)
        .deadline(Duration::from_secs(5))
        .method("generous", remaining)
        .deadline(Duration::from_secs(300));
    let hooks = build_with(app, |limits| {
        limits.hook_deadline = Duration::from_secs(20);
        limits.reserve = Duration::from_secs(2);
    })
    .await;
    for (hook, left, expected) in [
        ("default", 30, 20_000),
        ("default", 10, 8_000),
        ("own", 30, 5_000),
        ("own", 4, 2_000),
        ("generous", 30, 28_000),
        // What the gateway leaves of a function's 29 s.
        ("generous", 29, 27_000),
    ] {
        let invocation = within(Duration::from_secs(left));
        let outcome = hooks.call_method(&invocation, hook, Op::Post, Value::Null).await;
        assert_eq!(answer(outcome), expected, "{hook} with {left} s left");
    }
}

#[tokio::test(start_paused = true)]
async fn with_no_time_left_a_hook_is_not_started() {
    static STARTED: AtomicUsize = AtomicUsize::new(0);
    fn count() -> Result<usize, HookError> {
        Ok(STARTED.fetch_add(1, Ordering::SeqCst))
    }
    let hooks = build(app().method("count", count)).await;
    let late = within(Duration::from_millis(100));
    assert_eq!(failure(hooks.call_method(&late, "count", Op::Post, Value::Null).await).status, 503);
    assert_eq!(STARTED.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_runs_out_of_time_is_dropped_there() {
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    async fn hang(State(dropped): State<Arc<AtomicUsize>>) -> Result<(), HookError> {
        let _mark = Dropped(Arc::clone(&dropped));
        std::future::pending().await
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let app = app().state(Arc::clone(&dropped)).method("hang", hang).deadline(Duration::from_secs(3));
    let hooks = build(app).await;
    let took = millis(async {
        let failure = failure(hooks.call_method(&invocation(), "hang", Op::Post, Value::Null).await);
        assert_eq!((failure.status, failure.hook.as_str()), (504, "hang"));
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
    })
    .await;
    assert_eq!(took, 3000);
}
