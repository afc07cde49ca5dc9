//! Tasks whose hooks fail.

use std::time::Duration;

use actingweb_store::{Letter, Redriven};
use serde_json::json;

use super::{ask, failing, look, order, rows, scene};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn what_may_pass_is_tried_again_later() {
    let (clock, site, stage) = scene().await;
    let ann = site.actor("ann").await;
    let task = ask(&ann, "work", &failing("x", &["retryable", "panic", "exhausted"])).await;
    site.run_tasks().await;
    let waits = look(&ann, &task).await;
    assert_eq!((&waits["status"], &waits["attempts"]), (&json!("queued"), &json!(1)));
    assert_eq!(waits["last_error"]["status"], 503);
    assert_eq!(waits["last_error"]["detail"], "the printer is busy");
    let retry_at = waits["retry_at"].as_str().unwrap();
    assert!(("2026-01-01T00:00:00.000Z".."2026-01-01T00:00:10.001Z").contains(&retry_at), "{retry_at}");

    clock.advance(Duration::from_secs(11));
    assert_eq!(site.run_tasks().await, 1);
    assert_eq!(look(&ann, &task).await["last_error"]["status"], 500);
    clock.advance(Duration::from_secs(21));
    site.run_tasks().await;
    assert_eq!(look(&ann, &task).await["last_error"]["detail"], "no paper");
    // Not before what it asked for.
    clock.advance(HOUR);
    assert_eq!(site.run_tasks().await, 0);
    clock.advance(2 * HOUR);
    site.run_tasks().await;
    let done = look(&ann, &task).await;
    assert_eq!((&done["status"], &done["attempts"]), (&json!("completed"), &json!(4)));
    assert!(done.get("last_error").is_none() && done.get("error").is_none(), "{done}");
    assert_eq!(stage.runs("x"), 4);
}

#[tokio::test]
async fn after_the_last_attempt_it_is_a_dead_letter_that_can_be_run_again() {
    let (clock, site, stage) = scene().await;
    let ann = site.actor("ann").await;
    let task = ask(&ann, "work", &failing("x", &["retryable"; 5])).await;
    for _ in 0..5 {
        assert_eq!(site.run_tasks().await, 1);
        clock.advance(HOUR);
    }
    assert_eq!(site.run_tasks().await, 0);
    let failed = look(&ann, &task).await;
    assert_eq!((&failed["status"], &failed["attempts"]), (&json!("failed"), &json!(5)));
    assert_eq!(failed["error"]["detail"], "the printer is busy");

    let store = site.state().actors.store();
    let letters = store.dead_letters().await.unwrap();
    let [letter] = letters.as_slice() else { panic!("{letters:?}") };
    assert!(matches!(&letter.letter, Letter::Task(key) if task.ends_with(key.id.as_str())), "{letter:?}");
    assert!(letter.reason.contains("the printer is busy"), "{}", letter.reason);
    assert_eq!(store.redrive(letter).await.unwrap(), Redriven::Again);
    assert!(store.dead_letters().await.unwrap().is_empty());
    // Its attempts begin anew, and fail anew.
    for _ in 0..5 {
        assert_eq!(site.run_tasks().await, 1);
        clock.advance(HOUR);
    }
    assert_eq!(stage.runs("x"), 10);
    let letters = store.dead_letters().await.unwrap();
    ann.delete("").await.expect(204);
    site.drain().await;
    assert_eq!(store.redrive(&letters[0]).await.unwrap(), Redriven::Ended);
    assert_eq!(rows(&site).await, (Vec::new(), 0));
}

/// How long a dead letter, its task and what that is given are kept.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

#[tokio::test]
async fn what_is_run_again_on_its_last_day_keeps_what_it_is_given() {
    let (clock, site, stage) = scene().await;
    let ann = site.actor("ann").await;
    let task = ask(&ann, "work", &failing("x", &["terminal"])).await;
    site.run_tasks().await;
    let store = site.state().actors.store();
    let letters = store.dead_letters().await.unwrap();
    clock.advance(KEPT - Duration::from_secs(2));
    assert_eq!(store.redrive(&letters[0]).await.unwrap(), Redriven::Again);
    let expires = site.table().await.into_iter().filter(|row| row["sk"].as_str().unwrap().starts_with("TASK"));
    assert!(expires.clone().count() == 2 && expires.clone().all(|row| row.get("expires").is_none()));
    // It is begun when what it was given would have been gone.
    clock.advance(HOUR);
    site.run_tasks().await;
    assert_eq!(stage.runs("x"), 2, "{}", look(&ann, &task).await);
    assert_eq!(look(&ann, &task).await["error"]["status"], 500);
    // Given up once more, it is kept as long again, and after that it is gone, whatever TTL removed by then.
    let letters = store.dead_letters().await.unwrap();
    clock.advance(KEPT + Duration::from_secs(1));
    assert_eq!(store.redrive(&letters[0]).await.unwrap(), Redriven::Ended);
    assert_eq!(site.run_tasks().await, 0);
}

#[tokio::test]
async fn input_that_is_gone_when_its_task_fails_stays_gone() {
    let (_, site, stage) = scene().await;
    let ann = site.actor("ann").await;
    let store = site.state().actors.store();
    let inputs = || async {
        let table = site.table().await.into_iter();
        table.filter(|row| row["sk"].as_str().unwrap().starts_with("TASKIN#")).collect::<Vec<_>>()
    };
    // Whether somebody wants its end decides as ever.
    for (is_cancelled, status, dead) in [(false, "failed", 1), (true, "cancelled", 1)] {
        let task = ask(&ann, "work", &json!({ "say": status, "waits": true, "fails": ["terminal"] })).await;
        let removed = async {
            stage.begun().await;
            for row in inputs().await {
                site.delete_item(row["pk"].as_str().unwrap(), row["sk"].as_str().unwrap()).await;
            }
            if is_cancelled {
                ann.delete(&task).await.expect(202);
            }
            stage.let_go(1);
        };
        let (ran, ()) = tokio::join!(site.run_tasks(), removed);
        assert_eq!((ran, &look(&ann, &task).await["status"]), (1, &json!(status)));
        assert_eq!(inputs().await, Vec::<serde_json::Value>::new(), "{status}");
        assert_eq!(store.dead_letters().await.unwrap().len(), dead, "{status}");
    }
    // There is nothing to run it with any more.
    let letters = store.dead_letters().await.unwrap();
    assert_eq!(store.redrive(&letters[0]).await.unwrap(), Redriven::Ended);
}

#[tokio::test]
async fn what_will_not_pass_fails_at_once() {
    let (_, site, stage) = scene().await;
    let ann = site.actor("ann").await;
    let store = site.state().actors.store();
    for (fails, status, dead) in [("invalid", 400, 0), ("huge", 500, 0), ("terminal", 500, 1)] {
        let task = ask(&ann, "work", &failing(fails, &[fails])).await;
        site.run_tasks().await;
        let failed = look(&ann, &task).await;
        assert_eq!((&failed["status"], &failed["error"]["status"]), (&json!("failed"), &json!(status)), "{fails}");
        assert!(!failed.to_string().contains("secret cause"), "{failed}");
        assert_eq!(stage.runs(fails), 1);
        assert_eq!(store.dead_letters().await.unwrap().len(), dead, "{fails}");
    }
}

#[tokio::test]
async fn a_hooks_own_deadline_and_attempts_count() {
    let (clock, site, stage) = scene().await;
    let ann = site.actor("ann").await;
    let task = ask(&ann, "brief", &failing("x", &["hang", "hang"])).await;
    site.run_tasks().await;
    assert_eq!(look(&ann, &task).await["last_error"]["status"], 504);
    clock.advance(HOUR);
    site.run_tasks().await;
    let failed = look(&ann, &task).await;
    assert_eq!((&failed["status"], &failed["error"]["status"]), (&json!("failed"), &json!(504)));
    assert_eq!(stage.runs("x"), 2);
}

#[tokio::test]
async fn a_task_whose_action_is_gone_waits_for_an_administrator() {
    let (_, site, stage) = scene().await;
    let ann = site.actor("ann").await;
    let task = ask(&ann, "work", &order("x")).await;
    let mut other = site.state().clone();
    let without = actingweb_tests::Site::of(actingweb_hooks::App::new("urn:actingweb:example.com:tasks")).await;
    other.hooks = without.state().hooks.clone();
    let deadline = actingweb_protocol::Deadline::after(std::time::Instant::now(), Duration::from_secs(60));
    actingweb_worker::tasks::run_due(&other, deadline).await.unwrap();
    assert_eq!(look(&ann, &task).await["error"]["status"], 404);
    let store = site.state().actors.store();
    let letters = store.dead_letters().await.unwrap();
    store.redrive(&letters[0]).await.unwrap();
    site.run_tasks().await;
    assert_eq!((look(&ann, &task).await["status"].clone(), stage.runs("x")), (json!("completed"), 1));
}
