//! Passphrases that are guessed.

use std::sync::Arc;
use std::time::Duration;

use actingweb_testkit::fakes::FakeClock;
use actingweb_tests::{Answer, Owner, Site};
use serde_json::json;

use super::app;

#[tokio::test]
async fn guessing_is_slowed_down_and_locks_nobody_else_out() {
    let clock = FakeClock::new();
    let site = Site::with_clock(app(), Arc::new(clock.clone())).await;
    let ann = site.actor("ann").await;
    let bob = site.actor("bob").await;
    let guess = |owner: &Owner, address: &str, password: &str| {
        let request = site.http.get(&owner.url).basic_auth(&owner.creator, Some(password));
        Answer::of(request.header("x-test-address", address))
    };
    for _ in 0..20 {
        guess(&ann, "192.0.2.1", "wrong").await.problem(403);
    }
    let refused = guess(&ann, "192.0.2.1", "wrong").await.problem(429);
    assert!((1..=60).contains(&refused.header("retry-after").parse::<u32>().unwrap()));
    guess(&ann, "192.0.2.1", &ann.passphrase).await.problem(429);
    guess(&ann, "192.0.2.2", &ann.passphrase).await.expect(200);
    guess(&bob, "192.0.2.1", &bob.passphrase).await.expect(200);
    Answer::of(site.http.get(format!("{}/meta", ann.url)).basic_auth("ann", Some("wrong"))).await.expect(200);
    clock.advance(Duration::from_secs(60));
    guess(&ann, "192.0.2.1", &ann.passphrase).await.expect(200);
}

#[tokio::test]
async fn asking_for_an_actor_again_is_guessing_too() {
    let site = Site::of(app().unique_creator(true)).await;
    let body = |passphrase: &str| json!({ "creator": "ann", "passphrase": passphrase });
    let create = |passphrase: &str| Answer::of(site.http.post(site.url("/")).json(&body(passphrase)));
    create("the right one").await.expect(201);
    for _ in 0..20 {
        create("a wrong one").await.problem(409);
    }
    create("the right one").await.problem(429);
}
