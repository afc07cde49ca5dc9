//! Tasks that are wanted no more, whose callers lost their rights, or whose actors are gone.

use actingweb_tests::{Answer, Publisher, secret_of};
use reqwest::Method;
use serde_json::json;

use super::{as_peer, ask, look, order, rows, scene, waiting};

#[tokio::test]
async fn what_has_not_begun_is_cancelled_at_once() {
    let (_, site, stage) = scene().await;
    let ann = site.actor("ann").await;
    let task = ask(&ann, "work", &order("x")).await;
    ann.delete(&task).await.expect(204);
    ann.delete(&task).await.expect(204);
    let cancelled = look(&ann, &task).await;
    assert_eq!((&cancelled["status"], &cancelled["attempts"]), (&json!("cancelled"), &json!(0)));
    assert_eq!(site.run_tasks().await, 0);
    assert_eq!((stage.all_runs(), rows(&site).await.1), (0, 0));

    let done = ask(&ann, "work", &order("y")).await;
    site.run_tasks().await;
    ann.delete(&done).await.problem(409);
    assert_eq!(look(&ann, &done).await["status"], "completed");
}

#[tokio::test]
async fn what_runs_is_told_to_end_and_its_hook_is_dropped() {
    let (_, site, stage) = scene().await;
    let ann = site.actor("ann").await;
    let task = ask(&ann, "work", &waiting("x")).await;
    let cancel = async {
        stage.begun().await;
        let asked = ann.delete(&task).await.expect(202);
        assert_eq!(asked.json()["cancel_requested"], true);
        ann.delete(&task).await.expect(202);
        assert_eq!(look(&ann, &task).await["cancel_requested"], true);
    };
    let (ran, ()) = tokio::join!(site.run_tasks(), cancel);
    assert_eq!((ran, stage.dropped()), (1, 1));
    let cancelled = look(&ann, &task).await;
    assert_eq!((&cancelled["status"], cancelled.get("cancel_requested")), (&json!("cancelled"), None));
    assert_eq!(rows(&site).await.1, 0);
}

#[tokio::test]
async fn rights_count_when_it_runs() {
    let (_, site, stage) = scene().await;
    let publisher = Publisher::new(&site).await;
    let ann = &publisher.owner;
    let mut tasks = Vec::new();
    for peer in ["bob", "eve", "joe"] {
        publisher.befriend(peer, &format!("http://127.0.0.1:9/{peer}")).await;
        let asked = ann.with_secret(&secret_of(peer), Method::POST, "/actions/work").json(&order(peer));
        let asked = Answer::of(asked).await.expect(202).json();
        tasks.push(format!("/actions/work/tasks/{}", asked["id"].as_str().unwrap()));
    }
    let bob = actingweb_protocol::PeerId::parse("bob").unwrap();
    publisher.change_trust(&bob, |trust| trust.approved = false).await;
    let eve = actingweb_protocol::PeerId::parse("eve").unwrap();
    let denied = json!({ "actions": { "denied": ["work"] } });
    publisher.change_trust(&eve, |trust| trust.permissions = Some(denied.to_string())).await;
    site.run_tasks().await;
    for revoked in &tasks[..2] {
        let failed = look(ann, revoked).await;
        assert_eq!((&failed["status"], &failed["error"]["status"]), (&json!("failed"), &json!(403)), "{failed}");
        assert!(failed["error"]["detail"].as_str().unwrap().contains("withdrawn"), "{failed}");
    }
    assert_eq!((stage.runs("bob"), stage.runs("eve"), stage.runs("joe")), (0, 0, 1));
    // Who may not run the action any more may not look at what it asked for either.
    assert!(as_peer(ann, "eve", Method::GET, &tasks[1]).await.status >= 400);
    assert!(site.state().actors.store().dead_letters().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_end_of_an_actor_is_the_end_of_its_tasks() {
    let (clock, site, stage) = scene().await;
    let ann = site.actor("ann").await;
    let bob = site.actor("bob").await;
    ask(&ann, "work", &order("queued")).await;
    ask(&bob, "work", &waiting("running")).await;
    ann.delete("").await.expect(204);
    let end = async {
        stage.begun().await;
        bob.delete("").await.expect(204);
        site.drain().await;
        // What a deleted actor's hook does comes to nothing.
        stage.let_go(1);
    };
    tokio::join!(site.run_tasks(), end);
    assert_eq!(stage.runs("queued"), 0);
    // The last look finds what was just being written.
    clock.advance(std::time::Duration::from_secs(16 * 60));
    site.drain().await;
    assert_eq!(site.run_tasks().await, 0);
    assert_eq!(rows(&site).await, (Vec::new(), 0));
    let left = site.table().await.into_iter().filter(|row| row["sk"].as_str().unwrap().starts_with("PROP#"));
    assert_eq!(left.count(), 0);
}
