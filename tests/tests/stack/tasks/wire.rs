//! What callers see.

use actingweb_tests::{Answer, Publisher, secret_of};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use super::{as_peer, ask, look, order, rows, scene, waiting};

#[tokio::test]
async fn a_post_is_answered_with_a_task_that_is_done_later() {
    let (_, site, stage) = scene().await;
    let ann = site.actor("ann").await;
    let answer = ann.post("/actions/work", &order("hello")).await.expect(202);
    let task = answer.json();
    let path = format!("/actions/work/tasks/{}", task["id"].as_str().unwrap());
    assert_eq!(answer.header("location"), site.url(&format!("/{}{path}", ann.id)));
    assert_eq!(answer.header("retry-after"), "2");
    assert_eq!((&task["action"], &task["status"], &task["attempts"]), (&json!("work"), &json!("queued"), &json!(0)));
    assert_eq!(look(&ann, &path).await, task);
    assert_eq!(stage.all_runs(), 0, "nothing runs before its caller was answered");

    assert_eq!(site.run_tasks().await, 1);
    let done = ann.get(&path).await.expect(200);
    assert_eq!(done.header("retry-after"), "");
    let done = done.json();
    assert_eq!((&done["status"], &done["attempts"]), (&json!("completed"), &json!(1)));
    assert_eq!(done["result"], json!({ "said": "hello", "attempt": 1 }));
    assert_eq!(done["expires_at"], "2026-01-08T00:00:00.000Z");
    assert_eq!(ann.get("/properties/said").await.expect(200).body, "hello");
    assert_eq!(site.run_tasks().await, 0);
    assert_eq!((stage.all_runs(), rows(&site).await.1), (1, 0));
}

#[tokio::test]
async fn every_form_of_hook_runs_and_nothing_is_a_result_too() {
    let (_, site, _) = scene().await;
    let ann = site.actor("ann").await;
    for action in ["plain", "pooled"] {
        let task = ask(&ann, action, &json!("text")).await;
        site.run_tasks().await;
        assert_eq!(look(&ann, &task).await["result"], json!(["text", 1]), "{action}");
    }
    let put = ann.put("/actions/plain", &json!("put")).await.expect(202).json();
    let nothing = ask(&ann, "work", &super::failing("x", &["nothing"])).await;
    site.run_tasks().await;
    let put = look(&ann, &format!("/actions/plain/tasks/{}", put["id"].as_str().unwrap())).await;
    assert_eq!(put["result"], json!(["put", 1]));
    let nothing = look(&ann, &nothing).await;
    assert_eq!((&nothing["status"], nothing.get("result")), (&json!("completed"), None));
    // What is answered at once is none.
    assert_eq!(ann.post("/actions/at_once", &json!(1)).await.expect(200).body, r#""now""#);
    assert_eq!(ann.get("/actions/at_once/tasks").await.expect(200).json(), json!({ "tasks": [] }));
}

#[tokio::test]
async fn what_the_action_would_not_take_is_refused_before_anything_is_stored() {
    let (_, site, stage) = scene().await;
    let ann = site.actor("ann").await;
    let misfit = ann.post("/actions/work", &json!({ "say": 7 })).await.problem(400);
    assert!(misfit.detail().contains("`say`"), "{}", misfit.detail());
    ann.send(Method::POST, "/actions/work", "application/json", "{").await.problem(400);
    ann.post("/actions/work", &order(&"x".repeat(256_000))).await.problem(413);
    let wrong = ann.get("/actions/work").await.problem(405);
    assert_eq!(wrong.header("allow"), "PUT, POST");
    ann.delete("/actions/work").await.problem(405);
    ann.post("/actions/none", &json!(1)).await.problem(400);
    assert_eq!(rows(&site).await, (Vec::new(), 0));
    assert_eq!(stage.all_runs(), 0);
}

#[tokio::test]
async fn a_task_is_seen_by_the_creator_and_by_whoever_asked_for_it() {
    let (_, site, _) = scene().await;
    let publisher = Publisher::new(&site).await;
    publisher.befriend("bob", "http://127.0.0.1:9/bob").await;
    publisher.befriend("eve", "http://127.0.0.1:9/eve").await;
    let ann = &publisher.owner;
    let own = ask(ann, "work", &order("own")).await;
    let asked = ann.with_secret(&secret_of("bob"), Method::POST, "/actions/work").json(&order("bob's"));
    let bobs = Answer::of(asked).await.expect(202).json();
    let bobs = format!("/actions/work/tasks/{}", bobs["id"].as_str().unwrap());

    as_peer(ann, "bob", Method::GET, &bobs).await.expect(200);
    ann.get(&bobs).await.expect(200);
    for (peer, task) in [("eve", &bobs), ("eve", &own), ("bob", &own)] {
        as_peer(ann, peer, Method::GET, task).await.problem(404);
        as_peer(ann, peer, Method::DELETE, task).await.problem(404);
    }
    Answer::of(ann.anonymous(Method::GET, &bobs)).await.problem(401);
    let listed = |answer: Answer| answer.expect(200).json()["tasks"].as_array().unwrap().len();
    assert_eq!(listed(ann.get("/actions/work/tasks").await), 2);
    assert_eq!(listed(as_peer(ann, "bob", Method::GET, "/actions/work/tasks").await), 1);
    assert_eq!(listed(as_peer(ann, "eve", Method::GET, "/actions/work/tasks").await), 0);
    site.run_tasks().await;
    let done = as_peer(ann, "bob", Method::GET, &bobs).await.expect(200).json();
    assert_eq!(done["result"]["said"], "bob's");
    // Another action has no such task.
    ann.get(&bobs.replace("work", "plain")).await.problem(404);
    for odd in ["/actions/work/tasks/none", "/actions/work/tasks/x/y", "/actions/nothing/tasks"] {
        ann.get(odd).await.problem(404);
    }
    ann.post("/actions/work/tasks", &json!(1)).await.problem(405);
    ann.put(&bobs, &json!(1)).await.problem(405);
}

#[tokio::test]
async fn tasks_are_listed_newest_first_in_parts() {
    let (clock, site, _) = scene().await;
    let ann = site.actor("ann").await;
    let mut asked = Vec::new();
    for number in 0..7 {
        asked.push(ask(&ann, "work", &order(&number.to_string())).await);
        clock.advance(std::time::Duration::from_secs(1));
    }
    asked.reverse();
    let path = |task: &Value| format!("/actions/work/tasks/{}", task["id"].as_str().unwrap());
    let paths =
        |answer: &Answer| -> Vec<String> { answer.json()["tasks"].as_array().unwrap().iter().map(path).collect() };
    assert_eq!(paths(&ann.get("/actions/work/tasks").await), asked);
    let (mut found, mut next) = (Vec::new(), "/actions/work/tasks?limit=3".to_owned());
    for size in [3, 3, 1] {
        let part = ann.get(&next).await.expect(200);
        assert_eq!(part.json()["tasks"].as_array().unwrap().len(), size);
        found.extend(paths(&part));
        next = format!("/actions/work/tasks?limit=3&cursor={}", part.header("x-next-cursor"));
        assert_eq!(part.header("link").is_empty(), size == 1);
    }
    assert_eq!(found, asked);
    ann.get("/actions/work/tasks?cursor=x").await.problem(400);
    ann.get("/actions/work/tasks?limit=0").await.problem(400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_with_an_idempotency_key_is_the_same_task() {
    let (_, site, stage) = scene().await;
    let ann = site.actor("ann").await;
    let post = || {
        let request = ann.request(Method::POST, "/actions/work").header("idempotency-key", "k").json(&order("once"));
        Answer::of(request)
    };
    let first = post().await.expect(202);
    let again = post().await.expect(202);
    assert_eq!((&first.body, first.header("location")), (&again.body, again.header("location")));
    join_all((0..10).map(|_| post())).await;
    site.run_tasks().await;
    assert_eq!(stage.runs("once"), 1);
}

#[tokio::test]
async fn progress_is_seen_while_it_runs() {
    let (_, site, stage) = scene().await;
    let ann = site.actor("ann").await;
    let task = ask(&ann, "progressing", &json!(null)).await;
    let watch = async {
        stage.begun().await;
        loop {
            let now = look(&ann, &task).await;
            assert_eq!(now["status"], "running");
            if now.get("progress").is_some() {
                stage.let_go(1);
                return now["progress"].clone();
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let (ran, progress) = tokio::join!(site.run_tasks(), watch);
    assert_eq!((ran, progress), (1, json!({ "fraction": 0.25, "text": "a quarter" })));
}

#[tokio::test]
async fn tasks_keep_their_budgets() {
    let (_, site, _) = scene().await;
    let ann = site.actor("ann").await;
    let task = ask(&ann, "work", &waiting("x")).await;
    let spent = |calls: actingweb_tests::Calls| (calls.count(), calls.longest_chain());
    let (_, calls) = site.meter().measure(ann.post("/actions/work", &order("y"))).await;
    assert_eq!(spent(calls), (2, 2), "ask");
    let (_, calls) = site.meter().measure(ann.get(&task)).await;
    assert_eq!(spent(calls), (2, 2), "look");
    let (_, calls) = site.meter().measure(ann.get("/actions/work/tasks")).await;
    assert_eq!(spent(calls), (2, 2), "list");
    let (answer, calls) = site.meter().measure(ann.delete(&task)).await;
    assert_eq!((answer.status, spent(calls)), (204, (3, 3)), "cancel");
}
