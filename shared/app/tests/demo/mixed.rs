//! Plain, async and blocking hooks in one application, and how long they keep each other.

use std::time::{Duration, Instant};

use actingweb_hooks::prelude::*;
use futures_util::future::join_all;
use serde_json::json;

use crate::world::World;

/// Long enough for everything that runs at once to have begun.
const A_WHILE: Duration = Duration::from_millis(400);

#[tokio::test]
async fn three_services_take_as_long_as_one() {
    let world = World::start().await;
    let timed = async |method: &str, input: Value| {
        let begun = Instant::now();
        world.method(method, input).await;
        begun.elapsed()
    };
    let interests = json!({"city": "Oslo", "topic": "rust", "symbol": "ACME"});
    // Connections first, so that neither measurement pays for them.
    timed("aggregate_data", interests.clone()).await;
    world.services.set_delay(A_WHILE);
    let one = timed("fetch_weather", json!({"city": "Oslo"})).await;
    let three = timed("aggregate_data", interests).await;
    assert!(three < one.mul_f64(1.8), "{three:?} for three services, {one:?} for one");
}

#[tokio::test]
async fn many_calls_of_one_method_take_as_long_as_one() {
    let world = World::start().await;
    let call = || world.method("fetch_weather", json!({"city": "Oslo"}));
    join_all((0..20).map(|_| call())).await;
    world.services.set_delay(A_WHILE);
    let begun = Instant::now();
    call().await;
    let one = begun.elapsed();
    let begun = Instant::now();
    join_all((0..20).map(|_| call())).await;
    let twenty = begun.elapsed();
    assert!(twenty < one.mul_f64(2.0), "{twenty:?} for twenty calls, {one:?} for one");
    assert_eq!(world.services.max_concurrent(), 20);
}

#[tokio::test]
async fn a_plain_hook_does_not_wait_for_async_and_blocking_ones() {
    // One thread for everything but `blocking`: whatever held it up would hold up the plain hook.
    let world = World::start().await;
    world.services.set_delay(A_WHILE);
    let mut slow = Box::pin(async {
        tokio::join!(
            world.method("fetch_weather", json!({"city": "Oslo"})),
            world.method("fingerprint", json!({"text": "abc", "rounds": 1_000_000})),
        )
    });
    // Both are under way...
    assert!(futures_util::poll!(slow.as_mut()).is_pending());
    // ... when the sum is asked for, and it comes first.
    let plain = world.method("add_numbers", json!({"a": 2, "b": 3}));
    tokio::select! {
        biased;
        _ = slow.as_mut() => panic!("the slow ones came first"),
        sum = plain => assert_eq!(sum, json!({"result": 5.0})),
    }
    let (weather, print) = slow.await;
    assert_eq!(weather["city"], "Oslo");
    assert_eq!(print["sha256"].as_str().map(str::len), Some(64));
}
