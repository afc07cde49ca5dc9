//! A task whose process is killed half-way: another one runs it again, and it completes once.

use std::time::Duration;

use actingweb_testkit::engine::Engine;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::program::{Program, call_engine, client, folder};

const TABLE: &str = "actingweb";

/// How long to wait for what a running program does by itself.
const PATIENCE: Duration = Duration::from_secs(60);

/// Lets everything look as if the lease of whoever had a task had ended: what happens by itself a minute after a kill.
async fn end_leases(engine: &str, http: &Client) {
    let scan = json!({ "TableName": TABLE, "ConsistentRead": true });
    let table = call_engine(engine, http, "Scan", &scan).await;
    for row in table["Items"].as_array().unwrap() {
        for lease in ["leased_until", "lease_until"] {
            let is_task = [&row["pk"], &row["sk"]]
                .iter()
                .any(|key| key["S"].as_str().is_some_and(|key| key.starts_with("RUN#") || key.starts_with("TASK#")));
            if is_task && row.get(lease).is_some() {
                let update = json!({
                    "TableName": TABLE, "Key": { "pk": row["pk"], "sk": row["sk"] },
                    "UpdateExpression": format!("SET {lease} = :past"),
                    "ExpressionAttributeValues": { ":past": { "N": "1" } },
                });
                call_engine(engine, http, "UpdateItem", &update).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_run_again_after_a_kill_and_completes_once() {
    let (place, http) = (folder(), client());
    let program = Program::start(place.path()).await;
    let owner = program.actor(&http, "ann").await;
    let items: Vec<String> = (0..1_000).map(|number| format!("key {number}")).collect();
    let input = json!({ "items": items });
    let asked = owner.call(&program.url, Method::POST, "/actions/collect_entries", Some(&input)).await;
    let (status, task) = asked.unwrap();
    assert_eq!(status, 202, "{task}");
    let path = format!("/actions/collect_entries/tasks/{}", task["id"].as_str().unwrap());
    // Killed as soon as its hook is at work.
    let begun = async {
        loop {
            let (_, task) = owner.get(&program, &path).await;
            match task["status"].as_str() {
                Some("queued") => sleep(Duration::from_millis(1)).await,
                Some("running") => return,
                _ => panic!("it was done too soon to be killed: {task}"),
            }
        }
    };
    timeout(PATIENCE, begun).await.expect("the task is begun");
    program.kill().await;

    let engine = Engine::file(place.path().join("data/engine.db")).unwrap();
    end_leases(engine.url(), &http).await;
    engine.stop().await;

    let program = Program::start(place.path()).await;
    let done = async {
        loop {
            let (status, task): (u16, Value) = owner.get(&program, &path).await;
            assert_eq!(status, 200, "{task}");
            match task["status"].as_str() {
                Some("queued" | "running") => sleep(Duration::from_millis(20)).await,
                _ => return task,
            }
        }
    };
    let task = timeout(PATIENCE, done).await.expect("the task is run again");
    assert_eq!((&task["status"], &task["attempts"]), (&json!("completed"), &json!(2)), "{task}");
    assert_eq!(task["result"]["entries"].as_array().unwrap().len(), 1_000);
    assert_eq!(owner.get(&program, "/properties/collected").await.1, json!(1_000));
    let (_, listed) = owner.get(&program, "/actions/collect_entries/tasks").await;
    assert_eq!(listed["tasks"].as_array().unwrap().len(), 1);
}
