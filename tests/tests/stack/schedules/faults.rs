//! Workers that die or meet each other, storage that loses replies: each planned time is met once.

use actingweb_protocol::Deadline;
use actingweb_tests::Faults;
use futures_util::future::join_all;

use super::*;

async fn drain_several(scene: &Scene, workers: usize) {
    let deadline = Deadline::after(std::time::Instant::now(), MINUTE);
    for drained in join_all((0..workers).map(|_| actingweb_worker::drain(scene.site.state(), deadline))).await {
        drained.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_meet_fire_once() {
    let scene = Scene::new().await;
    let mut made = Vec::new();
    for n in 0..10 {
        made.push(scene.make(json!({ "every": "PT1M", "input": n })).await);
    }
    for round in 1..=5 {
        scene.clock.advance(MINUTE);
        drain_several(&scene, 4).await;
        scene.site.run_tasks().await;
        assert_eq!(scene.runs.all().len(), 10 * round);
    }
    for schedule in &made {
        let seen = scene.see(schedule).await;
        assert_eq!((&seen["runs"], &seen["missed"]), (&json!(5), &json!(0)));
    }
    assert_eq!(scene.rows().await["DUE"], 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conflicts_and_lost_replies_fire_neither_twice_nor_never() {
    let scene = Scene::new().await;
    let faults = Faults {
        throttle: 0.1,
        transaction_conflict: 0.2,
        server_error: 0.1,
        drop_reply_after_apply: 0.2,
        ..Faults::none()
    };
    scene.site.meter().inject(Faults { seed: 7, ..faults.clone() });
    let mut made = Vec::new();
    for n in 0..5 {
        made.push(scene.make(json!({ "every": "PT1M", "input": n })).await);
    }
    for round in 1..=10 {
        scene.clock.advance(MINUTE);
        scene.site.meter().inject(Faults { seed: round, ..faults.clone() });
        drain_several(&scene, 2).await;
        scene.site.meter().heal();
        // Whatever was left leased.
        scene.site.run_tasks().await;
    }
    scene.clock.advance(Duration::from_secs(125));
    scene.work().await;
    let mut tasks = 0;
    for schedule in &made {
        let seen = scene.see(schedule).await;
        let planned: Vec<_> = seen["history"].as_array().unwrap().iter().map(|run| run["planned_at"].clone()).collect();
        let mut distinct = planned.clone();
        distinct.dedup();
        assert_eq!((planned.len() as u64, &distinct), (seen["runs"].as_u64().unwrap(), &planned));
        assert_eq!(seen["runs"].as_u64().unwrap() + seen["missed"].as_u64().unwrap(), 12, "{seen}");
        tasks += planned.len();
        scene.ann.delete(&path(schedule)).await.expect(204);
    }
    assert_eq!(scene.runs.all().len(), tasks);
    let rows = scene.rows().await;
    assert_eq!((rows.get("DUE"), rows.get("SCHED")), (None, None));
    assert_eq!(live(&scene).await, 0);
}

/// How many schedules of the creator count.
async fn live(scene: &Scene) -> i64 {
    let table = scene.site.table().await;
    let head = table.iter().find(|item| item["sk"].as_str().is_some_and(|sk| sk.starts_with("SCHEDULES#"))).unwrap();
    head["live_count"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_worker_that_died_with_a_job_is_replaced() {
    let scene = Scene::new().await;
    scene.make(json!({ "at": "2026-01-01T00:01:00Z" })).await;
    scene.clock.advance(MINUTE);
    // It takes the job, and gets no further.
    scene.site.meter().inject(Faults::always_throttle().on(["BatchGetItem", "TransactWriteItems"]));
    let deadline = Deadline::after(std::time::Instant::now(), Duration::from_millis(5_200));
    let drained = actingweb_worker::drain(scene.site.state(), deadline).await.unwrap();
    assert_eq!((drained.done, drained.failed), (0, 1));
    scene.site.meter().heal();
    scene.work().await;
    assert!(scene.runs.all().is_empty(), "it is leased");
    scene.pass(Duration::from_secs(121)).await;
    assert_eq!(scene.runs.all().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_while_it_fires_ends_it_either_way() {
    for order in 0..2 {
        let scene = Scene::new().await;
        let made = scene.make(json!({ "every": "PT1M" })).await;
        scene.clock.advance(MINUTE);
        // Both have seen the schedule as it was; one of them comes first.
        let held = scene.site.meter().hold_calls("TransactWriteItems", 1);
        let url = path(&made);
        let (first, second) = tokio::join!(
            async {
                if order == 0 {
                    scene.site.drain().await;
                } else {
                    scene.ann.delete(&url).await.expect(204);
                }
            },
            async {
                held.arrived().await;
                if order == 0 {
                    scene.ann.delete(&url).await.expect(204);
                } else {
                    scene.site.drain().await;
                }
                held.release();
            }
        );
        let ((), ()) = (first, second);
        scene.pass(MINUTE * 3).await;
        assert_eq!(scene.runs.all().len(), order, "a run that came first stands, and there is no other");
        let rows = scene.rows().await;
        assert_eq!((rows.get("DUE"), rows.get("SCHED"), live(&scene).await), (None, None, 0), "{rows:?}");
    }
}

#[tokio::test]
async fn calls_are_as_few_as_said() {
    let scene = Scene::new().await;
    let meter = scene.site.meter();
    let (made, calls) = meter.measure(scene.make(json!({ "every": "PT1H" }))).await;
    assert_eq!((calls.operations().len(), calls.longest_chain()), (2, 2), "{:?}", calls.operations());
    let (_, calls) = meter.measure(scene.ann.get("/actions/digest/schedules")).await;
    assert_eq!((calls.operations().len(), calls.longest_chain()), (2, 2), "{:?}", calls.operations());
    scene.pass(MINUTE * 60).await;
    let (_, calls) = meter.measure(scene.see(&made)).await;
    assert_eq!((calls.operations().len(), calls.longest_chain()), (3, 3), "{:?}", calls.operations());
    let (_, calls) = meter.measure(scene.ann.delete(&path(&made))).await;
    assert_eq!((calls.operations().len(), calls.longest_chain()), (3, 3), "{:?}", calls.operations());
}
