//! Storage that is throttled, in conflict, or whose replies are lost.

use std::time::Duration;

use actingweb_tests::{Answer, Faults};
use reqwest::Method;
use serde_json::json;

use super::{failing, look, rows, scene};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_done_once_whatever_storage_does() {
    let (clock, site, stage) = scene().await;
    let ann = site.actor("ann").await;
    for seed in 0..8 {
        site.meter().inject(Faults {
            throttle: 0.1,
            transaction_conflict: 0.1,
            server_error: 0.05,
            drop_reply_after_apply: 0.15,
            unprocessed_keys: 0.1,
            seed,
            ..Faults::default()
        });
        let mut tasks = Vec::new();
        for number in 0..5 {
            let say = format!("{seed} {number}");
            let body = failing(&say, if number == 0 { &["retryable"] } else { &[] });
            let request = ann.request(Method::POST, "/actions/work").header("idempotency-key", &say).json(&body);
            let asked = Answer::of(request).await.expect(202).json();
            tasks.push((say, format!("/actions/work/tasks/{}", asked["id"].as_str().unwrap())));
        }
        for _ in 0..3 {
            site.run_tasks().await;
            clock.advance(Duration::from_secs(61));
        }
        site.meter().heal();
        for (number, (say, task)) in tasks.iter().enumerate() {
            let done = look(&ann, task).await;
            assert_eq!(done["status"], "completed", "{done}");
            let attempts = if number == 0 { 2 } else { 1 };
            assert_eq!(
                (&done["result"]["said"], &done["result"]["attempt"]),
                (&json!(say), &json!(attempts)),
                "{done}"
            );
            assert_eq!(stage.runs(say), attempts, "{say}");
        }
        assert_eq!(rows(&site).await.1, 0);
    }
}
