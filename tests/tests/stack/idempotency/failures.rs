//! What fails, hangs, dies or is lost.

use std::sync::Arc;
use std::time::Duration;

use actingweb_hooks::prelude::*;
use actingweb_testkit::fakes::FakeClock;
use actingweb_tests::{Answer, Faults, Owner, Site, eventually};

use super::{Runs, app, assert_replayed, post};

/// How long a request of these tests has, and how much longer it counts as being carried out.
const TIME_LIMIT: Duration = Duration::from_secs(29);
const MARGIN: Duration = Duration::from_secs(5);

/// A method that ends as its input says, the first time it runs; later it says how often it ran.
fn failing(runs: &Runs) -> App {
    let runs = runs.clone();
    let fail = move |Input(how): Input<String>| {
        let run = runs.next();
        match how.as_str() {
            _ if run.is_multiple_of(2) => Ok(json!({ "run": run })),
            "rejected" => Err(HookError::rejected("not on a Sunday")),
            "invalid" => Err(HookError::invalid("too much")),
            "retryable" => Err(HookError::retryable("the ledger is being closed")),
            "terminal" => Err(HookError::terminal(std::fmt::Error)),
            _ => panic!("as it was told"),
        }
    };
    App::new("urn:actingweb:example.com:idempotency").method("fail", fail.clone()).action("fail", fail)
}

#[tokio::test]
async fn failures_that_may_pass_are_carried_out_again_and_others_stand() {
    let runs = Runs::default();
    let site = Site::of(failing(&runs)).await;
    let ann = site.actor("ann").await;
    for (how, status) in [("retryable", 503), ("terminal", 500), ("panic", 500)] {
        for path in ["/methods/fail", "/actions/fail"] {
            let key = format!("{path} {how}");
            post(&ann, &key, path, &json!(how)).await.problem(status);
            let second = post(&ann, &key, path, &json!(how)).await.expect(200);
            assert_eq!(second.header("idempotent-replayed"), "", "{key}");
            assert_replayed(&second, &post(&ann, &key, path, &json!(how)).await);
        }
    }
    for (how, status) in [("rejected", 403), ("invalid", 400)] {
        let before = runs.count();
        let first = post(&ann, how, "/actions/fail", &json!(how)).await.problem(status);
        let again = post(&ann, how, "/actions/fail", &json!(how)).await.problem(status);
        assert_eq!((first.detail(), runs.count()), (again.detail(), before + 1));
        assert_eq!(first.json()["title"], again.json()["title"]);
        assert_eq!(again.header("idempotent-replayed"), "true");
        ann.post("/actions/fail", &json!(how)).await.expect(200);
    }
}

/// JSON-RPC says 200 to failures, too.
#[tokio::test]
async fn failures_of_json_rpc_are_told_apart_as_well() {
    let runs = Runs::default();
    let site = Site::of(failing(&runs)).await;
    let ann = site.actor("ann").await;
    let call = |how: &str, id: Option<u32>| {
        let mut body = json!({ "jsonrpc": "2.0", "method": "fail", "params": how });
        body.as_object_mut().unwrap().extend(id.map(|id| ("id".to_owned(), json!(id))));
        body
    };
    for path in ["/methods", "/methods/fail"] {
        let key = format!("passing {path}");
        let first = post(&ann, &key, path, &call("retryable", Some(1))).await.expect(200);
        assert_eq!(first.json()["error"]["code"], -32603);
        let second = post(&ann, &key, path, &call("retryable", Some(1))).await.expect(200);
        assert!(second.json()["result"].is_object(), "{}", second.body);
        assert_replayed(&second, &post(&ann, &key, path, &call("retryable", Some(1))).await);

        let before = runs.count();
        let notified = post(&ann, &format!("notification {path}"), path, &call("terminal", None)).await.expect(204);
        post(&ann, &format!("notification {path}"), path, &call("terminal", None)).await.expect(204);
        assert_eq!((notified.body.as_str(), runs.count()), ("", before + 2));
        post(&ann, &format!("notification {path}"), path, &call("terminal", None)).await.expect(204);
        assert_eq!(runs.count(), before + 2, "the second went well");

        let invalid = post(&ann, &format!("final {path}"), path, &call("invalid", Some(1))).await.expect(200);
        assert_eq!(invalid.json()["error"]["code"], -32602);
        assert_replayed(&invalid, &post(&ann, &format!("final {path}"), path, &call("invalid", Some(1))).await);
        ann.post("/methods/fail", &json!("invalid")).await.expect(200);
    }
}

/// A method that hangs the first time.
fn hanging(runs: &Runs) -> App {
    let runs = runs.clone();
    App::new("urn:actingweb:example.com:idempotency").action("hang", move |Input(_): Input<Value>| {
        let run = runs.next();
        async move {
            if run == 1 {
                std::future::pending::<()>().await;
            }
            Ok::<_, HookError>(json!({ "run": run }))
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_execution_that_died_is_retriable_after_its_deadline() {
    let (runs, clock) = (Runs::default(), FakeClock::new());
    let site = Site::with_clock(hanging(&runs), Arc::new(clock.clone())).await;
    let ann = site.actor("ann").await;
    let again = || post(&ann, "k", "/actions/hang", &Value::Null);
    {
        // The connection ends while the hook runs, and with it the execution: what was to be stored never is.
        let first = Box::pin(again());
        let begun = Box::pin(eventually("the hook runs", async || match runs.count() {
            1 => Ok(()),
            runs => Err(format!("{runs} runs")),
        }));
        let ended = futures_util::future::select(first, begun).await;
        assert!(matches!(ended, futures_util::future::Either::Right(_)), "the first never answers");
    }
    assert_eq!(again().await.problem(409).header("retry-after"), "1");
    clock.advance(TIME_LIMIT);
    again().await.problem(409);
    clock.advance(MARGIN);
    post(&ann, "k", "/actions/hang", &json!(2)).await.problem(422);
    let (first, second) = tokio::join!(again(), again());
    assert_eq!(runs.count(), 2, "one of those that come again runs");
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert!(matches!(statuses, [200, 200 | 409]), "{statuses:?}");
    assert_eq!(again().await.expect(200).json(), json!({ "run": 2 }));
    assert_eq!(runs.count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_that_ran_out_of_time_is_carried_out_again() {
    let runs = Runs::default();
    let app = hanging(&runs).deadline(Duration::from_millis(100));
    let site = Site::of(app).await;
    let ann = site.actor("ann").await;
    post(&ann, "k", "/actions/hang", &Value::Null).await.problem(504);
    post(&ann, "k", "/actions/hang", &Value::Null).await.expect(200);
    assert_eq!(runs.count(), 2);
}

async fn with_faults(site: &Site, ann: &Owner, key: &str, faults: Faults) -> Answer {
    site.meter().inject(faults);
    let answer = post(ann, key, "/actions/pay", &json!(1)).await;
    assert!(site.meter().calls().faulted() > 0);
    site.meter().heal();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_replies_of_storage_change_nothing() {
    let runs = Runs::default();
    let site = Site::of(app(&runs)).await;
    let ann = site.actor("ann").await;
    for (round, operation) in ["PutItem", "UpdateItem"].into_iter().enumerate() {
        // The first attempt claims or completes, and nobody hears of it; the second meets what the first wrote.
        let lost = Faults { drop_reply_after_apply: 1.0, seed: 1, ..Faults::default() }.on([operation]).at_most(2);
        let first = with_faults(&site, &ann, operation, lost).await.expect(200);
        assert_eq!(runs.count(), round + 1, "{operation}");
        assert_replayed(&first, &post(&ann, operation, "/actions/pay", &json!(1)).await);
    }
    let mixed = Faults { throttle: 0.2, server_error: 0.1, drop_reply_after_apply: 0.2, seed: 7, ..Faults::default() };
    let before = runs.count();
    for round in 0..20 {
        let key = format!("mixed {round}");
        let first = with_faults_maybe(&site, &ann, &key, mixed.clone()).await.expect(200);
        assert_replayed(&first, &post(&ann, &key, "/actions/pay", &json!(1)).await);
    }
    assert_eq!(runs.count(), before + 20);
}

async fn with_faults_maybe(site: &Site, ann: &Owner, key: &str, faults: Faults) -> Answer {
    site.meter().inject(faults);
    let answer = post(ann, key, "/actions/pay", &json!(1)).await;
    site.meter().heal();
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_whose_reply_was_lost_is_one() {
    let runs = Runs::default();
    let site = Site::of(failing(&runs)).await;
    let ann = site.actor("ann").await;
    site.meter().inject(Faults { drop_reply_after_apply: 1.0, ..Faults::default() }.on(["DeleteItem"]).at_most(1));
    post(&ann, "k", "/methods/fail", &json!("retryable")).await.problem(503);
    assert_eq!(site.meter().calls().faulted(), 1);
    site.meter().heal();
    post(&ann, "k", "/methods/fail", &json!("retryable")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storage_that_is_busy_before_means_that_nothing_was_done() {
    let runs = Runs::default();
    // The store gives up 5 s before the deadline.
    let site = Site::limited(app(&runs), Duration::from_millis(5_600)).await;
    let ann = site.actor("ann").await;
    let busy = Faults::always_throttle().on(["PutItem"]);
    with_faults(&site, &ann, "k", busy).await.problem(503);
    assert_eq!(runs.count(), 0);
    post(&ann, "k", "/actions/pay", &json!(1)).await.expect(200);

    // And after: the reply stands, and repeats wait for the deadline.
    let busy = Faults::always_throttle().on(["UpdateItem"]);
    with_faults(&site, &ann, "l", busy).await.expect(200);
    assert_eq!(runs.count(), 2);
    post(&ann, "l", "/actions/pay", &json!(1)).await.problem(409);
    assert_eq!(runs.count(), 2);
}

#[tokio::test]
async fn what_a_dead_execution_does_later_is_not_what_repeats_get() {
    let (runs, clock) = (Runs::default(), FakeClock::new());
    let site = Site::with_clock(app(&runs), Arc::new(clock.clone())).await;
    let ann = site.actor("ann").await;
    let actor = actingweb_protocol::ActorId::parse(&ann.id).unwrap();
    let request = actingweb_actor::NamedRequest {
        actor: Some(&actor),
        caller: &actingweb_actor::Caller::Creator,
        key: "k",
        content: "what it asks for",
    };
    let deadline = || actingweb_protocol::Deadline::after(tokio::time::Instant::now().into_std(), TIME_LIMIT);
    let begin = || site.state().actors.begin(&request, deadline());
    let Ok(actingweb_actor::Named::First(late)) = begin().await else { panic!("it is new") };
    clock.advance(TIME_LIMIT + MARGIN + Duration::from_millis(1));
    let Ok(actingweb_actor::Named::First(second)) = begin().await else { panic!("the first is dead") };
    assert!(!late.settle("late").await.unwrap());
    late.release().await.unwrap();
    assert!(matches!(begin().await, Ok(actingweb_actor::Named::UnderWay)));
    assert!(second.settle("second").await.unwrap());
    second.release().await.unwrap();
    assert!(matches!(begin().await, Ok(actingweb_actor::Named::Done(reply)) if reply == "second"));
}
