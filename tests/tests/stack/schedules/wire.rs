//! What is said about schedules, and what is refused.

use super::*;

#[tokio::test]
async fn a_schedule_tells_what_it_is() {
    let scene = Scene::new().await;
    let body = json!({
        "cron": "0 8 * * mon-fri", "time_zone": "europe/oslo", "input": { "a": [1, null] }, "name": "Morning",
        "description": "What is new", "until": "2026-06-01T00:00:00+02:00",
    });
    let made = scene.ann.post("/actions/digest/schedules", &body).await.expect(201);
    let shown = made.json();
    let url = format!("{}{}", scene.ann.url, path(&shown));
    assert_eq!(made.header("location"), url);
    assert_eq!(
        shown,
        json!({
            "id": shown["id"], "action": "digest", "status": "active", "next_at": "2026-01-01T07:00:00.000Z",
            "cron": "0 8 * * mon-fri", "time_zone": "Europe/Oslo", "until": "2026-05-31T22:00:00.000Z",
            "input": { "a": [1, null] }, "name": "Morning", "description": "What is new",
            "created_at": "2026-01-01T00:00:00.000Z", "runs": 0, "missed": 0,
        })
    );
    let mut seen = scene.see(&shown).await;
    assert_eq!(seen.as_object_mut().unwrap().remove("history"), Some(json!([])));
    assert_eq!(seen, shown);
    // It is stored sealed.
    assert!(!Value::from(scene.site.table().await).to_string().contains("null]"));
}

#[tokio::test]
async fn what_is_wrong_is_said_and_nothing_is_stored() {
    let scene = Scene::new().await;
    let before = scene.rows().await;
    for (body, parts) in [
        (json!({}), ["`at`", "`cron`"]),
        (json!({ "at": "2025-12-31T00:00:00Z" }), ["`at`", "passed"]),
        (json!({ "at": "tomorrow" }), ["`at`", "`tomorrow`"]),
        (json!({ "every": "PT5S" }), ["`every`", "minute"]),
        (json!({ "every": "PT1H", "cron": "* * * * *" }), ["one of", "several"]),
        (json!({ "cron": "61 * * * *" }), ["`cron`", "minute"]),
        (json!({ "cron": "0 8 * * *", "time_zone": "Mars/Olympus" }), ["`time_zone`", "`Mars/Olympus`"]),
        (json!({ "every": "PT1H", "inputs": 1 }), ["`inputs`", "input"]),
        (json!([]), ["object", "array"]),
    ] {
        let detail = scene.ann.post("/actions/digest/schedules", &body).await.problem(400).detail();
        assert!(parts.iter().all(|part| detail.contains(part)), "{detail}");
    }
    for (method, path, allow) in [
        (Method::PUT, "/actions/digest/schedules", "GET, POST"),
        (Method::DELETE, "/actions/digest/schedules", "GET, POST"),
        (Method::POST, "/actions/digest/schedules/x", "GET, DELETE"),
    ] {
        let refused = Answer::of(scene.ann.request(method, path).json(&json!({ "every": "PT1H" }))).await.problem(405);
        assert_eq!(refused.header("allow"), allow);
    }
    for path in ["/actions/digest/schedules/x", "/actions/digest/schedules/a/b", "/actions/digest/other"] {
        scene.ann.get(path).await.problem(404);
    }
    scene.ann.delete(&format!("/actions/digest/schedules/{}", "a".repeat(32))).await.problem(404);
    assert_eq!(scene.rows().await, before);
}

#[tokio::test]
async fn lists_come_in_parts_the_latest_first() {
    let scene = Scene::new().await;
    let mut made = Vec::new();
    for n in 1..=7 {
        scene.clock.advance(Duration::from_millis(1));
        made.insert(0, scene.make(json!({ "every": "PT1H", "name": format!("s{n}") })).await);
    }
    scene.ann.post("/actions/plain/schedules", &json!({ "every": "PT1H" })).await.expect(201);
    let mut path = "/actions/digest/schedules?limit=3".to_owned();
    let mut found = Vec::new();
    loop {
        let part = scene.ann.get(&path).await.expect(200);
        let schedules = part.json()["schedules"].as_array().unwrap().clone();
        assert!(schedules.len() <= 3);
        found.extend(schedules);
        match part.header("x-next-cursor") {
            "" => break,
            cursor => path = format!("/actions/digest/schedules?limit=3&cursor={cursor}"),
        }
    }
    assert_eq!(found, made);
    scene.ann.get("/actions/digest/schedules?limit=0").await.problem(400);
    scene.ann.get("/actions/digest/schedules?cursor=PROP").await.problem(400);
}

#[tokio::test]
async fn there_may_be_a_hundred_at_once() {
    let scene = Scene::new().await;
    let once = json!({ "at": "2026-01-01T00:01:00Z" });
    let first = scene.make(once.clone()).await;
    for _ in 1..100 {
        scene.make(once.clone()).await;
    }
    let refused = scene.ann.post("/actions/plain/schedules", &once).await.problem(409);
    assert!(refused.detail().contains("100"), "{}", refused.detail());
    scene.ann.delete(&path(&first)).await.expect(204);
    scene.make(once).await;
    // Those that have ended count no more.
    scene.pass(MINUTE).await;
    assert_eq!(scene.runs.all().len(), 100);
    for _ in 0..100 {
        scene.make(json!({ "every": "PT1H" })).await;
    }
    scene.ann.post("/actions/digest/schedules", &json!({ "every": "PT1H" })).await.problem(409);
}

#[tokio::test]
async fn a_repeated_request_makes_one_schedule() {
    let scene = Scene::new().await;
    let post = || {
        let request = scene.ann.request(Method::POST, "/actions/digest/schedules").header("idempotency-key", "k");
        Answer::of(request.json(&json!({ "every": "PT1H" })))
    };
    let first = post().await.expect(201);
    let again = post().await.expect(201);
    assert_eq!((first.json(), again.header("idempotent-replayed")), (again.json(), "true"));
    assert_eq!(scene.rows().await.get("SCHED"), Some(&1));
}
