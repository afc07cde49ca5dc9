//! Workers: many at once, and such as die or are taken for dead.

use std::time::Duration;

use actingweb_protocol::Deadline;
use actingweb_runtime::{InsertedJob, Wake};
use actingweb_store::TaskJob;
use actingweb_worker::tasks::run_task;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{ask, look, order, rows, scene, waiting};

fn in_a_minute() -> Deadline {
    Deadline::after(tokio::time::Instant::now().into_std(), Duration::from_secs(60))
}

/// More than a lease.
const LEASE: Duration = Duration::from_secs(61);

/// The keys of the jobs there are.
async fn jobs(site: &actingweb_tests::Site) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let table = site.table().await;
    let rows = table.iter().map(|row| (text(&row["pk"]), text(&row["sk"])));
    rows.filter(|(pk, _)| pk.starts_with("RUN#")).collect()
}

#[tokio::test]
async fn a_task_whose_worker_is_killed_half_way_is_run_again_and_completes_once() {
    let (clock, site, stage) = scene().await;
    let ann = site.actor("ann").await;
    let task = ask(&ann, "work", &waiting("x")).await;
    let mut worker = JoinSet::new();
    let state = site.state().clone();
    worker.spawn(async move { actingweb_worker::tasks::run_due(&state, in_a_minute()).await });
    stage.begun().await;
    worker.shutdown().await;
    assert_eq!(stage.dropped(), 1);

    // Nobody knows yet that it died.
    assert_eq!(look(&ann, &task).await["status"], "running");
    assert_eq!(site.run_tasks().await, 0);
    clock.advance(LEASE);
    stage.let_go(1);
    assert_eq!(site.run_tasks().await, 1);
    let done = look(&ann, &task).await;
    assert_eq!((&done["status"], &done["attempts"]), (&json!("completed"), &json!(2)));
    assert_eq!(done["result"], json!({ "said": "x", "attempt": 2 }));
    assert_eq!((stage.runs("x"), rows(&site).await.1), (2, 0));
}

#[tokio::test]
async fn a_worker_that_was_taken_for_dead_changes_nothing() {
    let (clock, site, stage) = scene().await;
    let ann = site.actor("ann").await;
    let task = ask(&ann, "work", &waiting("x")).await;
    let mut zombie = JoinSet::new();
    let state = site.state().clone();
    zombie.spawn(async move { actingweb_worker::tasks::run_due(&state, in_a_minute()).await });
    stage.begun().await;
    clock.advance(LEASE);
    let mut second = JoinSet::new();
    let state = site.state().clone();
    second.spawn(async move { actingweb_worker::tasks::run_due(&state, in_a_minute()).await });
    stage.begun().await;
    // The first hook that waits is the zombie's.
    stage.let_go(1);
    assert_eq!(zombie.join_next().await.unwrap().unwrap().unwrap(), 0);
    assert_eq!(look(&ann, &task).await["status"], "running");
    stage.let_go(1);
    assert_eq!(second.join_next().await.unwrap().unwrap().unwrap(), 1);
    let done = look(&ann, &task).await;
    assert_eq!((&done["status"], &done["result"]["attempt"]), (&json!("completed"), &json!(2)));
}

#[tokio::test]
async fn a_task_that_kills_its_workers_is_given_up() {
    let (clock, site, stage) = scene().await;
    let ann = site.actor("ann").await;
    let task = ask(&ann, "work", &waiting("x")).await;
    for _ in 0..5 {
        let mut worker = JoinSet::new();
        let state = site.state().clone();
        worker.spawn(async move { actingweb_worker::tasks::run_due(&state, in_a_minute()).await });
        stage.begun().await;
        worker.shutdown().await;
        clock.advance(LEASE);
    }
    site.run_tasks().await;
    let failed = look(&ann, &task).await;
    assert_eq!((&failed["status"], &failed["attempts"]), (&json!("failed"), &json!(5)));
    assert!(failed["error"]["detail"].as_str().unwrap().contains("worker"), "{failed}");
    assert_eq!(stage.runs("x"), 5);
    assert_eq!(site.state().actors.store().dead_letters().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_workers_one_runs_each_of_fifty_tasks() {
    let (_, site, stage) = scene().await;
    let ann = site.actor("ann").await;
    let mut tasks = Vec::new();
    for number in 0..50 {
        tasks.push(ask(&ann, "work", &order(&number.to_string())).await);
    }
    let (one, two, three) = tokio::join!(site.run_tasks(), site.run_tasks(), site.run_tasks());
    assert_eq!(one + two + three, 50);
    for (number, task) in tasks.iter().enumerate() {
        assert_eq!(stage.runs(&number.to_string()), 1);
        assert_eq!(look(&ann, task).await["result"]["said"], number.to_string());
    }
    assert_eq!(rows(&site).await.1, 0);
}

#[tokio::test]
async fn no_actor_keeps_the_others_waiting() {
    let (_, site, stage) = scene().await;
    let (ann, bob) = (site.actor("ann").await, site.actor("bob").await);
    for number in 0..70 {
        ask(&ann, "work", &waiting(&number.to_string())).await;
    }
    let task = ask(&bob, "work", &order("bob's")).await;
    let watch = async {
        actingweb_tests::eventually("bob's task is done", async || {
            let now = look(&bob, &task).await;
            if now["status"] == "completed" { Ok(()) } else { Err(now.to_string()) }
        })
        .await;
        let begun = stage.all_runs();
        assert!(begun < 70, "{begun} of ann's tasks ran before");
        stage.let_go(70);
    };
    tokio::join!(site.run_tasks(), watch);
    assert_eq!(stage.all_runs(), 71);
}

#[tokio::test]
async fn a_message_of_the_queue_runs_its_task_and_may_come_twice() {
    let (clock, site, stage) = scene().await;
    let ann = site.actor("ann").await;
    let task = ask(&ann, "work", &super::failing("x", &["retryable"])).await;
    let message =
        |(partition, sort_key): (String, String)| InsertedJob { message: "m".to_owned(), partition, sort_key };
    let wake = || async { Wake::Jobs(jobs(&site).await.into_iter().map(message).collect()) };
    let first = wake().await;
    let work = |wake: Wake| actingweb_worker::work(site.state(), wake, in_a_minute());
    assert_eq!(work(first.clone()).await.unwrap(), Vec::<String>::new());
    assert_eq!(look(&ann, &task).await["attempts"], 1);
    // The old message once more, and that of the job for later: neither is due.
    assert_eq!(work(first).await.unwrap(), Vec::<String>::new());
    assert_eq!(work(wake().await).await.unwrap(), Vec::<String>::new());
    assert_eq!(stage.runs("x"), 1);
    clock.advance(Duration::from_secs(11));
    work(Wake::Sweep).await.unwrap();
    assert_eq!(look(&ann, &task).await["status"], "completed");
    assert_eq!((stage.runs("x"), jobs(&site).await.len()), (2, 0));

    // What storage keeps from being run is to be sent again.
    ask(&ann, "work", &order("y")).await;
    let (partition, sort_key) = jobs(&site).await.remove(0);
    assert!(TaskJob::from_key(&partition, &sort_key).is_some());
    site.meter().inject(actingweb_tests::Faults::always_throttle());
    let soon = Deadline::after(tokio::time::Instant::now().into_std(), Duration::from_millis(5_200));
    let wake = Wake::Jobs(vec![message((partition.clone(), sort_key.clone()))]);
    assert_eq!(actingweb_worker::work(site.state(), wake, soon).await.unwrap(), ["m"]);
    site.meter().heal();
    let job = TaskJob::from_key(&partition, &sort_key).unwrap();
    assert!(run_task(site.state(), &job, in_a_minute()).await.unwrap().is_some());
    assert!(run_task(site.state(), &job, in_a_minute()).await.unwrap().is_none());
}
