//! Actions that run as tasks: asked for over HTTP, run by workers that may die, answered later.

mod ends;
mod failures;
mod faults;
mod wire;
mod workers;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actingweb_hooks::Task;
use actingweb_hooks::prelude::*;
use actingweb_testkit::fakes::FakeClock;
use actingweb_tests::{Answer, Owner, Site};
use reqwest::Method;
use tokio::sync::Semaphore;

/// What a hook is told to do.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
pub(crate) struct Order {
    /// What it answers.
    pub(crate) say: String,
    /// How it fails, attempt by attempt; after that it does not.
    #[serde(default)]
    pub(crate) fails: Vec<String>,
    /// Whether it waits to be let go.
    #[serde(default)]
    pub(crate) waits: bool,
}

/// What the tests see of hooks, and how they hold them.
#[derive(Clone)]
pub(crate) struct Stage(Arc<Inner>);

struct Inner {
    begun: Semaphore,
    go: Semaphore,
    runs: Mutex<HashMap<String, u32>>,
    dropped: Mutex<u32>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let (begun, go) = (Semaphore::new(0), Semaphore::new(0));
        Self(Arc::new(Inner { begun, go, runs: Mutex::default(), dropped: Mutex::default() }))
    }

    /// How often a hook was begun for this order.
    pub(crate) fn runs(&self, say: &str) -> u32 {
        self.0.runs.lock().unwrap().get(say).copied().unwrap_or_default()
    }

    /// How often for any.
    pub(crate) fn all_runs(&self) -> u32 {
        self.0.runs.lock().unwrap().values().sum()
    }

    /// How many hooks were dropped before their end.
    pub(crate) fn dropped(&self) -> u32 {
        *self.0.dropped.lock().unwrap()
    }

    /// Waits until a hook waits.
    pub(crate) async fn begun(&self) {
        self.0.begun.acquire().await.unwrap().forget();
    }

    /// Lets hooks that wait go on.
    pub(crate) fn let_go(&self, hooks: usize) {
        self.0.go.add_permits(hooks);
    }
}

struct Noticed(Stage, bool);

impl Drop for Noticed {
    fn drop(&mut self) {
        if !self.1 {
            *self.0.0.dropped.lock().unwrap() += 1;
        }
    }
}

async fn work(
    Input(order): Input<Order>,
    State(stage): State<Stage>,
    actor: Actor,
    task: Task,
) -> Result<Value, HookError> {
    let mut noticed = Noticed(stage.as_ref().clone(), false);
    *stage.0.runs.lock().unwrap().entry(order.say.clone()).or_default() += 1;
    if order.waits {
        stage.0.begun.add_permits(1);
        stage.0.go.acquire().await.unwrap().forget();
    }
    noticed.1 = true;
    let attempt = task.attempt();
    match order.fails.get(attempt as usize - 1).map(String::as_str) {
        Some("retryable") => return Err(HookError::retryable("the printer is busy")),
        Some("exhausted") => return Err(HookError::exhausted("no paper", Duration::from_secs(7200))),
        Some("terminal") => return Err(HookError::terminal("the secret cause")),
        Some("invalid") => return Err(HookError::invalid("no such paper")),
        Some("panic") => panic!("the printer exploded"),
        Some("hang") => std::future::pending().await,
        Some("huge") => return Ok(json!("x".repeat(256_001))),
        Some("nothing") => return Ok(Value::Null),
        _ => {}
    }
    actor.set_property("said", json!(order.say)).await?;
    Ok(json!({ "said": order.say, "attempt": attempt }))
}

async fn progressing(State(stage): State<Stage>, task: Task) -> Result<(), HookError> {
    task.progress(0.25, "a quarter");
    stage.0.begun.add_permits(1);
    stage.0.go.acquire().await.unwrap().forget();
    Ok(())
}

fn slow(Input(text): Input<String>, task: Task) -> Result<Value, HookError> {
    Ok(json!([text, task.attempt()]))
}

pub(crate) fn app(stage: &Stage) -> App {
    App::new("urn:actingweb:example.com:tasks")
        .state(stage.clone())
        .action("work", work)
        .as_task()
        .action("brief", work)
        .as_task()
        .attempts(2)
        .deadline(Duration::from_millis(50))
        .action("progressing", progressing)
        .as_task()
        .action("plain", slow)
        .as_task()
        .action("pooled", blocking(slow))
        .as_task()
        .action("at_once", || Ok::<_, HookError>(json!("now")))
}

pub(crate) async fn scene() -> (FakeClock, Site, Stage) {
    let (clock, stage) = (FakeClock::new(), Stage::new());
    let site = Site::with_clock(app(&stage), Arc::new(clock.clone())).await;
    (clock, site, stage)
}

pub(crate) fn order(say: &str) -> Value {
    json!({ "say": say })
}

pub(crate) fn failing(say: &str, fails: &[&str]) -> Value {
    json!({ "say": say, "fails": fails })
}

pub(crate) fn waiting(say: &str) -> Value {
    json!({ "say": say, "waits": true })
}

/// Asks for a task; gives its path below the actor.
pub(crate) async fn ask(owner: &Owner, action: &str, input: &Value) -> String {
    let asked = owner.post(&format!("/actions/{action}"), input).await.expect(202).json();
    format!("/actions/{action}/tasks/{}", asked["id"].as_str().unwrap())
}

/// How a task stands.
pub(crate) async fn look(owner: &Owner, task: &str) -> Value {
    owner.get(task).await.expect(200).json()
}

/// What a peer gets.
pub(crate) async fn as_peer(owner: &Owner, peer: &str, method: Method, path: &str) -> Answer {
    Answer::of(owner.with_secret(&actingweb_tests::secret_of(peer), method, path)).await
}

/// The sort keys of what is stored of tasks, and how many jobs there are.
pub(crate) async fn rows(site: &Site) -> (Vec<String>, usize) {
    let table = site.table().await;
    let of = |name: &str, row: &Value| row[name].as_str().unwrap().to_owned();
    let tasks = table.iter().map(|row| of("sk", row)).filter(|sk| sk.starts_with("TASK")).collect();
    (tasks, table.iter().filter(|row| of("pk", row).starts_with("RUN#")).count())
}
