//! Hooks that block the runtime are found by name.

use actingweb_hooks::prelude::*;

use crate::common::{Log, answer, app, build, build_with, post};

fn plain() -> Result<u8, HookError> {
    std::thread::sleep(Duration::from_millis(5));
    Ok(1)
}

async fn sleeps_on_the_thread() -> Result<u8, HookError> {
    tokio::task::yield_now().await;
    plain()?;
    tokio::task::yield_now().await;
    plain()
}

async fn awaits() -> Result<u8, HookError> {
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(1)
}

fn all() -> App {
    app()
        .method("plain", plain)
        .method("async", sleeps_on_the_thread)
        .method("pool", blocking(plain))
        .method("awaits", awaits)
}

#[tokio::test]
async fn a_hook_that_blocks_is_logged_with_the_fix() {
    let hooks = build_with(all(), |limits| limits.watchdog = Some(Duration::from_millis(1))).await;
    let (log, _guard) = Log::capture();
    post(&hooks, "plain", Value::Null).await;
    post(&hooks, "async", Value::Null).await;
    let lines = log.with("blocked the runtime");
    let [plain, later] = lines.as_slice() else { panic!("{lines:?}") };
    for (line, hook, function) in [
        (plain, "hook=\"method:plain\"", "watchdog::plain"),
        (later, "hook=\"method:async\"", "watchdog::sleeps_on_the_thread"),
    ] {
        for part in ["WARN", hook, function, "blocked_ms=", "threshold_ms=1", "blocking(..)"] {
            assert!(line.contains(part), "`{part}` in {line}");
        }
        let blocked = line.split("blocked_ms=").nth(1).unwrap().split(' ').next().unwrap();
        assert!(blocked.parse::<u64>().unwrap() >= 5, "{line}");
    }
}

// Paused time does not pass while a poll runs, so a busy machine cannot make this one bark.
#[tokio::test(start_paused = true)]
async fn awaiting_is_not_blocking() {
    let hooks = build_with(all(), |limits| limits.watchdog = Some(Duration::from_nanos(1))).await;
    let (log, _guard) = Log::capture();
    post(&hooks, "awaits", Value::Null).await;
    assert_eq!(log.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn the_pool_may_block_and_the_watchdog_can_sleep() {
    let (log, _guard) = Log::capture();
    let hooks = build_with(all(), |limits| limits.watchdog = None).await;
    post(&hooks, "plain", Value::Null).await;
    post(&hooks, "async", Value::Null).await;
    post(&build(all()).await, "pool", Value::Null).await;
    assert_eq!(log.with("blocked the runtime"), Vec::<String>::new());
}

#[tokio::test]
async fn a_plain_hook_past_its_deadline_is_answered_all_the_same() {
    // What it did is done: its answer is worth more than a timeout.
    fn overdue(ctx: Context) -> Result<bool, HookError> {
        std::thread::sleep(ctx.remaining());
        Ok(ctx.remaining().is_zero())
    }
    let hooks = build(app().method("overdue", overdue).deadline(Duration::from_millis(200))).await;
    assert_eq!(answer(post(&hooks, "overdue", Value::Null).await), true);
}
