//! Schedules: actions that are run by themselves, once for each planned time, whoever dies in between.

mod faults;
mod rights;
mod wire;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actingweb_hooks::prelude::*;
use actingweb_hooks::{EventKind, NewSchedule, Schedules, Timing};
use actingweb_testkit::fakes::FakeClock;
use actingweb_tests::{Answer, Owner, Site};
use reqwest::Method;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// What the hooks were called with, by name.
#[derive(Clone, Default)]
pub(crate) struct Runs(Arc<Mutex<Vec<Value>>>);

impl Runs {
    pub(crate) fn all(&self) -> Vec<Value> {
        self.0.lock().unwrap().clone()
    }
}

fn digest(input: Option<Input<Value>>, State(runs): State<Runs>) -> Result<Value, HookError> {
    let input = input.map_or(Value::Null, |Input(input)| input);
    runs.0.lock().unwrap().push(input.clone());
    Ok(json!({ "told": input }))
}

#[derive(Deserialize, JsonSchema)]
struct Page {
    number: u32,
}

fn typed(Input(page): Input<Page>, State(runs): State<Runs>) -> Result<u32, HookError> {
    runs.0.lock().unwrap().push(json!(page.number));
    Ok(page.number)
}

pub(crate) fn app(runs: &Runs) -> App {
    App::new("urn:actingweb:example.com:schedules")
        .state(runs.clone())
        .action("digest", digest)
        .as_task()
        .action("plain", digest)
        .action("typed", typed)
        .as_task()
}

/// A site with a clock, and an actor.
pub(crate) struct Scene {
    pub(crate) site: Site,
    pub(crate) clock: FakeClock,
    pub(crate) runs: Runs,
    pub(crate) ann: Owner,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let runs = Runs::default();
        Self::of(app(&runs), runs).await
    }

    async fn of(app: App, runs: Runs) -> Self {
        let clock = FakeClock::new();
        let site = Site::with_clock(app, Arc::new(clock.clone())).await;
        let ann = site.actor("ann").await;
        Self { site, clock, runs, ann }
    }

    /// Makes a schedule of the action `digest`.
    pub(crate) async fn make(&self, body: Value) -> Value {
        self.ann.post("/actions/digest/schedules", &body).await.expect(201).json()
    }

    /// What is due is done, and the tasks that it made are run.
    pub(crate) async fn work(&self) {
        self.site.drain().await;
        self.site.run_tasks().await;
    }

    pub(crate) async fn pass(&self, span: Duration) {
        self.clock.advance(span);
        self.work().await;
    }

    pub(crate) async fn see(&self, schedule: &Value) -> Value {
        self.ann.get(&path(schedule)).await.expect(200).json()
    }

    /// How many items of the table there are of each kind, by the beginnings of their keys.
    pub(crate) async fn rows(&self) -> HashMap<String, usize> {
        let mut rows = HashMap::new();
        for item in self.site.table().await {
            let key =
                if item["pk"].as_str().is_some_and(|pk| pk.starts_with("A#")) { &item["sk"] } else { &item["pk"] };
            let kind = key.as_str().unwrap_or_default().split('#').next().unwrap_or_default().to_owned();
            *rows.entry(kind).or_default() += 1;
        }
        rows
    }
}

pub(crate) fn path(schedule: &Value) -> String {
    format!("/actions/{}/schedules/{}", schedule["action"].as_str().unwrap(), schedule["id"].as_str().unwrap())
}

fn statuses(seen: &Value) -> Vec<&str> {
    seen["history"].as_array().unwrap().iter().map(|run| run["status"].as_str().unwrap_or("-")).collect()
}

#[tokio::test]
async fn at_fires_once() {
    let scene = Scene::new().await;
    let made = scene.make(json!({ "at": "2026-01-01T09:00:00+01:00", "input": { "n": 1 } })).await;
    assert_eq!(made["next_at"], "2026-01-01T08:00:00.000Z");
    scene.pass(Duration::from_secs(8 * 3600 - 1)).await;
    assert!(scene.runs.all().is_empty(), "it is not due yet");
    scene.pass(Duration::from_secs(1)).await;
    assert_eq!(scene.runs.all(), [json!({ "n": 1 })]);
    for _ in 0..3 {
        scene.pass(DAY).await;
    }
    assert_eq!(scene.runs.all().len(), 1);

    let seen = scene.see(&made).await;
    assert_eq!((seen["status"].clone(), seen.get("next_at"), seen["runs"].clone()), (json!("ended"), None, json!(1)));
    let run = &seen["history"][0];
    assert_eq!((&run["planned_at"], &run["status"]), (&json!("2026-01-01T08:00:00.000Z"), &json!("completed")));
    let task = run["url"].as_str().unwrap().strip_prefix(&scene.ann.url).unwrap().to_owned();
    let task = scene.ann.get(&task).await.expect(200).json();
    assert_eq!(task["result"], json!({ "told": { "n": 1 } }));
    assert_eq!((&task["schedule"], &task["status"]), (&made["id"], &json!("completed")));

    // What has ended is forgotten in time, its tasks before.
    scene.pass(DAY * 8).await;
    assert_eq!(statuses(&scene.see(&made).await), ["-"]);
    scene.pass(DAY * 30).await;
    scene.ann.get(&path(&made)).await.problem(404);
    let list = scene.ann.get("/actions/digest/schedules").await.expect(200).json();
    assert_eq!(list, json!({ "schedules": [] }));
}

#[tokio::test]
async fn every_fires_as_the_clock_goes_until_its_end() {
    let scene = Scene::new().await;
    let made = scene.make(json!({ "every": "PT15M", "until": "2026-01-01T02:00:00Z", "input": [1] })).await;
    for minute in 1..=180 {
        scene.pass(MINUTE).await;
        assert_eq!(scene.runs.all().len(), minute.min(120) / 15, "after {minute} minutes");
    }
    let seen = scene.see(&made).await;
    assert_eq!((&seen["status"], &seen["runs"], &seen["missed"]), (&json!("ended"), &json!(8), &json!(0)));
    assert_eq!(statuses(&seen), ["completed"; 8]);
    assert_eq!(seen["history"][0]["planned_at"], "2026-01-01T02:00:00.000Z", "the latest comes first");
}

#[tokio::test]
async fn cron_goes_by_the_clock_of_the_place() {
    let scene = Scene::new().await;
    let made = scene.make(json!({ "cron": "30 2 * * *", "time_zone": "Europe/Oslo" })).await;
    let mut planned = Vec::new();
    // To the end of October, over both changes of the clock.
    for _ in 0..302 {
        planned.push(scene.see(&made).await["next_at"].as_str().unwrap().to_owned());
        scene.pass(DAY).await;
    }
    assert_eq!(scene.runs.all().len(), 302, "once a day");
    for (day, time) in [
        ("2026-03-28", "01:30"),
        ("2026-03-29", "01:00"),
        ("2026-03-30", "00:30"),
        ("2026-10-24", "00:30"),
        ("2026-10-25", "00:30"),
        ("2026-10-26", "01:30"),
    ] {
        assert!(planned.contains(&format!("{day}T{time}:00.000Z")), "{day}");
    }
    assert_eq!(statuses(&scene.see(&made).await).len(), 20, "the last twenty are remembered");
}

#[tokio::test]
async fn what_was_missed_is_made_up_for_once() {
    let scene = Scene::new().await;
    let made = scene.make(json!({ "every": "PT1H" })).await;
    scene.pass(Duration::from_secs(10 * 3600 + 1800)).await;
    assert_eq!(scene.runs.all().len(), 1);
    let seen = scene.see(&made).await;
    assert_eq!((&seen["missed"], &seen["next_at"]), (&json!(9), &json!("2026-01-01T11:00:00.000Z")));
    let run = &seen["history"][0];
    assert_eq!(
        (&run["planned_at"], &run["fired_at"], &run["missed"]),
        (&json!("2026-01-01T01:00:00.000Z"), &json!("2026-01-01T10:30:00.000Z"), &json!(9))
    );
    // A round that comes a little late misses nothing.
    scene.pass(Duration::from_secs(1800 + 119)).await;
    assert_eq!((scene.see(&made).await["missed"].clone(), scene.runs.all().len()), (json!(9), 2));
}

#[tokio::test]
async fn any_action_may_be_scheduled_and_input_is_checked_at_once() {
    let scene = Scene::new().await;
    let body = |action: &str, input: Value| {
        let path = format!("/actions/{action}/schedules");
        (path, json!({ "every": "PT5M", "input": input }))
    };
    let (plain, plan) = body("plain", json!("by hand"));
    let made = scene.ann.post(&plain, &plan).await.expect(201).json();
    let (typed, plan) = body("typed", json!({ "number": "one" }));
    scene.ann.post(&typed, &plan).await.problem(400);
    let (nothing, plan) = body("nothing", json!(1));
    assert!(scene.ann.post(&nothing, &plan).await.problem(400).detail().contains("`nothing`"));
    scene.pass(MINUTE * 5).await;
    assert_eq!(scene.runs.all(), [json!("by hand")]);
    assert_eq!(statuses(&scene.see(&made).await), ["completed"]);
    // It still answers its callers at once.
    assert_eq!(scene.ann.post("/actions/plain", &json!(1)).await.expect(200).json(), json!({ "told": 1 }));
}

#[tokio::test]
async fn hooks_make_list_and_cancel_schedules() {
    async fn plan(schedules: Schedules) -> Result<(), HookError> {
        let mornings =
            NewSchedule::new(Timing::cron("0 8 * * *", "Europe/Oslo")?).named("Morning").input(json!("hook"));
        schedules.create("digest", mornings).await?;
        Ok(())
    }
    async fn stop(schedules: Schedules) -> Result<Value, HookError> {
        let all = schedules.list("digest").await?;
        for schedule in &all {
            assert!(schedules.get("digest", &schedule.id).await?.is_some());
            assert!(schedules.cancel("digest", &schedule.id).await?);
            assert!(!schedules.cancel("digest", &schedule.id).await?);
        }
        Ok(json!(all.len()))
    }
    async fn wrong(schedules: Schedules) -> Result<(), HookError> {
        schedules.create("nothing", NewSchedule::new(Timing::every(MINUTE)?)).await?;
        Ok(())
    }
    let runs = Runs::default();
    let app = app(&runs).on(EventKind::ActorCreated, plan).method("stop", stop).method("wrong", wrong);
    let scene = Scene::of(app, runs).await;
    scene.pass(DAY).await;
    assert_eq!(scene.runs.all(), [json!("hook")]);
    let list = scene.ann.get("/actions/digest/schedules").await.expect(200).json();
    assert_eq!((&list["schedules"][0]["name"], &list["schedules"][0]["runs"]), (&json!("Morning"), &json!(1)));
    let refused = scene.ann.post("/methods/wrong", &json!({})).await.problem(400);
    assert!(refused.detail().contains("`nothing`"), "{}", refused.detail());
    scene.make(json!({ "every": "PT1H" })).await;
    assert_eq!(scene.ann.post("/methods/stop", &json!({})).await.expect(200).json(), 2);
    scene.pass(DAY).await;
    assert_eq!(scene.runs.all().len(), 1);
    assert_eq!(scene.rows().await.get("DUE"), None);
}

#[tokio::test]
async fn a_cancelled_schedule_is_gone() {
    let scene = Scene::new().await;
    let made = scene.make(json!({ "every": "PT1M" })).await;
    scene.pass(MINUTE).await;
    scene.ann.delete(&path(&made)).await.expect(204);
    scene.ann.delete(&path(&made)).await.problem(404);
    scene.ann.get(&path(&made)).await.problem(404);
    scene.pass(MINUTE * 10).await;
    assert_eq!(scene.runs.all().len(), 1);
    let rows = scene.rows().await;
    assert_eq!((rows.get("DUE"), rows.get("SCHED")), (None, None), "{rows:?}");
    // The task of the run stays.
    let tasks = scene.ann.get("/actions/digest/tasks").await.expect(200).json();
    assert_eq!(tasks["tasks"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn schedules_end_with_their_actor() {
    let scene = Scene::new().await;
    for n in 1..=3 {
        scene.make(json!({ "every": format!("PT{n}M") })).await;
    }
    scene.pass(MINUTE * 2).await;
    let runs = scene.runs.all().len();
    scene.ann.delete("").await.expect(204);
    scene.work().await;
    scene.pass(MINUTE * 20).await;
    assert_eq!(scene.runs.all().len(), runs);
    let rows = scene.rows().await;
    let left: Vec<_> = rows.keys().filter(|kind| !matches!(kind.as_str(), "ACTOR")).collect();
    assert!(left.is_empty(), "{rows:?}");
}
