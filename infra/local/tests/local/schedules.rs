//! Schedules of a program that is killed: what was due meanwhile is run when it is back, once.

use std::time::{Duration, SystemTime};

use actingweb_protocol::Timestamp;
use actingweb_testkit::engine::Engine;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::program::{Owner, Program, call_engine, client, folder};

const SCHEDULES: &str = "/actions/log_message/schedules";

fn now() -> Timestamp {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

async fn schedule(program: &Program, owner: &Owner, at: Timestamp, message: &str) -> String {
    let body = json!({ "at": at.to_string(), "input": { "message": message } });
    let (status, made) = owner.call(&program.url, Method::POST, SCHEDULES, Some(&body)).await.unwrap();
    assert_eq!(status, 201, "{made}");
    format!("{SCHEDULES}/{}", made["id"].as_str().unwrap())
}

/// Asks until the answer is as wanted.
async fn until<F: Future<Output = Option<T>>, T>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let asking = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asking).await.unwrap_or_else(|_| panic!("{what}"))
}

/// The schedule, once its task has come to its end.
async fn ran(program: &Program, owner: &Owner, path: &str) -> Value {
    until("the schedule was not run", || async {
        let (status, seen) = owner.get(program, path).await;
        assert_eq!(status, 200, "{seen}");
        (seen["history"][0]["status"] == "completed").then_some(seen)
    })
    .await
}

/// What was written to the actor's log, the oldest first.
async fn messages(program: &Program, owner: &Owner) -> Vec<String> {
    let (status, report) = owner.get(program, "/resources/report").await;
    assert_eq!(status, 200, "{report}");
    let latest = report["latest"].as_array().unwrap().iter().rev();
    latest.map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_that_was_due_while_nobody_was_there_fires_once() {
    let (place, http) = (folder(), client());
    let program = Program::start(place.path()).await;
    let owner = program.actor(&http, "ann").await;
    let at = now().plus(Duration::from_secs(2));
    let path = schedule(&program, &owner, at, "once").await;
    let (_, made) = owner.get(&program, &path).await;
    assert_eq!((&made["status"], &made["runs"]), (&json!("active"), &json!(0)), "{made}");
    program.kill().await;
    until("time does not pass", || async { (now() > at).then_some(()) }).await;

    let program = Program::start(place.path()).await;
    let seen = ran(&program, &owner, &path).await;
    assert_eq!((&seen["status"], &seen["runs"]), (&json!("ended"), &json!(1)), "{seen}");
    assert_eq!(seen["history"][0]["planned_at"], at.to_string());
    program.kill().await;

    let program = Program::start(place.path()).await;
    let marker = schedule(&program, &owner, now().plus(Duration::from_secs(1)), "marker").await;
    ran(&program, &owner, &marker).await;
    let (_, seen) = owner.get(&program, &path).await;
    assert_eq!(
        (seen["history"].as_array().unwrap().len(), messages(&program, &owner).await),
        (1, vec!["once".to_owned(), "marker".to_owned()])
    );
}

/// Ends the leases of jobs whose holder was killed, as time would.
async fn end_leases(engine: &str, http: &Client) {
    let scan = json!({ "TableName": "actingweb", "FilterExpression": "begins_with(pk, :due) AND attribute_exists(leased_until)",
        "ExpressionAttributeValues": { ":due": { "S": "DUE#" } } });
    for job in call_engine(engine, http, "Scan", &scan).await["Items"].as_array().unwrap() {
        let update = json!({
            "TableName": "actingweb", "Key": { "pk": job["pk"], "sk": job["sk"] },
            "UpdateExpression": "SET leased_until = :past",
            "ExpressionAttributeValues": { ":past": { "N": "1" } },
        });
        call_engine(engine, http, "UpdateItem", &update).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_while_schedules_fire_leaves_out_none_and_doubles_none() {
    let (place, http) = (folder(), client());
    let program = Program::start(place.path()).await;
    let owner = program.actor(&http, "ann").await;
    let at = now().plus(Duration::from_secs(3));
    let mut paths = Vec::new();
    for n in 0..40 {
        paths.push(schedule(&program, &owner, at, &format!("m{n}")).await);
    }
    // Killed as soon as the first has fired.
    until("nothing fires", || async {
        let (_, tasks) = owner.get(&program, "/actions/log_message/tasks").await;
        (!tasks["tasks"].as_array().unwrap().is_empty()).then_some(())
    })
    .await;
    program.kill().await;

    let engine = Engine::file(place.path().join("data/engine.db")).unwrap();
    end_leases(engine.url(), &http).await;
    engine.stop().await;
    let program = Program::start(place.path()).await;
    for path in &paths {
        let seen = until("a schedule was left out", || async {
            let (_, seen) = owner.get(&program, path).await;
            (seen["status"] == "ended").then_some(seen)
        })
        .await;
        assert_eq!((&seen["runs"], seen["history"].as_array().unwrap().len()), (&json!(1), 1), "{seen}");
    }
    let (_, tasks) = owner.get(&program, "/actions/log_message/tasks").await;
    let mut made: Vec<_> = tasks["tasks"].as_array().unwrap().iter().map(|task| task["schedule"].to_string()).collect();
    made.sort();
    made.dedup();
    assert_eq!((made.len(), tasks["tasks"].as_array().unwrap().len()), (40, 40));
}
