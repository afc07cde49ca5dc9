//! What DynamoDB does to its callers: conflicts, throttling, unprocessed keys, lost replies.

use std::time::Duration;

use actingweb_hooks::{App, HookError, Input};
use actingweb_tests::{Answer, Faults, Owner, Site};
use futures_util::future::join_all;
use serde_json::{Value, json};

/// The store gives up 5 s before the deadline, which these tests put close.
const TIME_LIMIT: Duration = Duration::from_millis(5_600);

fn app() -> App {
    App::new("urn:actingweb:example.com:faults").method(
        "keep",
        async |Input(value): Input<Value>, actor: actingweb_hooks::Actor| {
            actor.set_attribute("kept", "value", value, None).await?;
            Ok::<_, HookError>(json!({ "kept": actor.attribute("kept", "value").await? }))
        },
    )
}

/// A mixed load by several clients. Gives what was acknowledged, by property name; every other reply must be a 503
/// that says when to come back.
async fn load(owner: &Owner, client: usize, rounds: usize) -> Vec<(String, Option<Value>)> {
    let mut acknowledged = Vec::new();
    for round in 0..rounds {
        let (name, other) = (format!("c{client}r{round}"), format!("c{client}r{round}x"));
        let value = json!({ "round": round });
        let put = owner.put(&format!("/properties/{name}"), &value).await;
        let posted = owner.post("/properties", &json!({ &other: round, format!("{other}y"): round })).await;
        let nested = owner.put(&format!("/properties/shared/{name}"), &json!(round)).await;
        let called = owner.post("/methods/keep", &json!(round)).await;
        let read = owner.get("/properties").await;
        if put.status == 204 {
            acknowledged.push((name.clone(), Some(value)));
        }
        if posted.status == 201 {
            acknowledged.push((other.clone(), Some(json!(round))));
            acknowledged.push((format!("{other}y"), Some(json!(round))));
            if round % 2 == 0 && owner.delete(&format!("/properties/{other}")).await.status == 204 {
                acknowledged.push((other, None));
            }
        }
        if nested.status == 204 {
            acknowledged.push((format!("shared/{name}"), Some(json!(round))));
        }
        for answer in [put, posted, nested, called, read] {
            assert!(answer.status < 300 || is_busy(&answer), "{}: {} {}", answer.request, answer.status, answer.body);
        }
    }
    acknowledged
}

fn is_busy(answer: &Answer) -> bool {
    answer.status == 503 && answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds >= 1)
}

async fn loses_nothing(faults: Faults) {
    let site = Site::limited(app(), TIME_LIMIT).await;
    let owner = site.actor("ann").await;
    site.meter().inject(faults);
    let acknowledged = join_all((0..4).map(|client| load(&owner, client, 6))).await.concat();
    let faulted = site.meter().calls().faulted();
    site.meter().heal();
    assert!(faulted > 10, "only {faulted} calls met a fault");
    assert!(acknowledged.len() > 20, "only {} writes were acknowledged", acknowledged.len());

    let last: std::collections::BTreeMap<_, _> = acknowledged.into_iter().collect();
    for (name, value) in last {
        let answer = owner.get(&format!("/properties/{name}")).await;
        match value {
            Some(value) => assert_eq!(answer.expect(200).json(), value, "{name}"),
            None => drop(answer.expect(404)),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transaction_conflicts_lose_nothing() {
    loses_nothing(Faults { transaction_conflict: 0.4, seed: 1, ..Faults::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throttling_loses_nothing() {
    loses_nothing(Faults { throttle: 0.3, seed: 2, ..Faults::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unprocessed_keys_are_never_taken_for_absent() {
    loses_nothing(Faults { unprocessed_keys: 0.5, seed: 3, ..Faults::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_replies_and_server_errors_lose_nothing() {
    loses_nothing(Faults { drop_reply_after_apply: 0.2, server_error: 0.1, seed: 4, ..Faults::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storage_that_stays_busy_is_a_503_for_every_route() {
    let site = Site::limited(app(), TIME_LIMIT).await;
    let owner = site.actor("ann").await;
    owner.put("/properties/color", &json!("blue")).await.expect(204);
    site.meter().inject(Faults::always_throttle());
    let (red, one) = (json!("red"), json!(1));
    let create = Answer::of(site.http.post(site.url("/")).json(&json!({ "creator": "bob" })));
    let answers = futures_util::join!(
        create,
        owner.get(""),
        owner.get("/meta/id"),
        owner.get("/properties"),
        owner.get("/properties/color"),
        owner.put("/properties/color", &red),
        owner.post("/methods/keep", &one),
        owner.delete(""),
    );
    let answers: [Answer; 8] = answers.into();
    for answer in answers {
        assert!(is_busy(&answer), "{}: {} {}", answer.request, answer.status, answer.body);
        answer.problem(503);
    }
    site.meter().heal();
    assert_eq!(owner.get("/properties/color").await.expect(200).body, "blue");
}

#[tokio::test]
async fn a_creation_whose_reply_was_lost_creates_one_actor() {
    let site = Site::of(app().unique_creator(true)).await;
    site.meter().inject(Faults { drop_reply_after_apply: 1.0, ..Faults::default() }.at_most(1));
    let created = site.actor("ann").await;
    assert_eq!(site.meter().calls().faulted(), 1);
    site.meter().heal();
    created.get("").await.expect(200);
}
