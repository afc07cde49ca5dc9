//! Actions that run as tasks: what is refused at start, what is checked before, what a run ends in.

use std::time::Duration;

use actingweb_hooks::prelude::*;
use actingweb_hooks::{CallOutcome, Task, TaskHandle, TaskRules};
use actingweb_protocol::Timestamp;
use actingweb_protocol::task::{TaskId, TaskProgress};

use crate::common::*;

#[derive(Deserialize, JsonSchema)]
struct Order {
    say: String,
}

async fn work(Input(order): Input<Order>, task: Task) -> Result<Value, HookError> {
    task.progress(0.5, "half");
    Ok(json!([order.say, task.id(), task.attempt()]))
}

fn handle() -> TaskHandle {
    let id = TaskId::planned(Timestamp::from_millis(1), "a test");
    TaskHandle::new(id, 3)
}

#[tokio::test]
async fn mistakes_are_found_at_start() {
    let problem = async |app: App| try_build(app).await.unwrap_err().to_string();
    let missing = problem(App::new(URN).action("work", work)).await;
    assert!(missing.contains("`work` takes `Task`") && missing.contains(".as_task()"), "{missing}");
    let method = problem(App::new(URN).method("m", || Ok::<_, HookError>(1)).as_task()).await;
    assert!(method.contains("the method hook `m` is no task"), "{method}");
    let attempts = problem(App::new(URN).action("a", || Ok::<_, HookError>(1)).attempts(2)).await;
    assert!(attempts.contains("`.attempts(..)` after `.as_task()`"), "{attempts}");
}

#[tokio::test]
async fn input_is_checked_without_running_the_hook() {
    let app = App::new(URN).action("work", work).as_task().attempts(0).action("at_once", || Ok::<_, HookError>(1));
    let hooks = build(app).await;
    assert_eq!(hooks.task_rules("work"), Some(TaskRules { attempts: 1 }));
    assert_eq!(hooks.task_rules("at_once"), None);
    hooks.check_input("work", &json!({ "say": "x" })).unwrap();
    let misfit = hooks.check_input("work", &json!({ "say": 1 })).unwrap_err();
    assert_eq!(misfit.status, 400);
    assert!(misfit.detail.contains("`say`"), "{}", misfit.detail);
    hooks.check_input("at_once", &json!(1)).unwrap();
    hooks.check_input("none", &json!(1)).unwrap();
}

#[tokio::test]
async fn a_run_knows_its_task_and_tells_of_it() {
    let hooks = build(App::new(URN).action("work", work).as_task()).await;
    let handle = handle();
    let outcome = hooks.run_task(&invocation(), "work", Op::Post, json!({ "say": "x" }), &handle).await;
    let id = TaskId::planned(Timestamp::from_millis(1), "a test");
    assert_eq!(outcome, CallOutcome::Answer(json!(["x", id.as_str(), 3])));
    assert_eq!(*handle.progress().borrow(), Some(TaskProgress::new(0.5, "half")));
    // Called directly, as tests do.
    let direct = hooks.call_action(&invocation(), "work", Op::Post, json!({ "say": "y" })).await;
    assert_eq!(direct, CallOutcome::Answer(json!(["y", "", 1])));
    assert_eq!(hooks.run_task(&invocation(), "none", Op::Post, Value::Null, &handle).await, CallOutcome::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_task_has_the_invocations_time_or_its_own() {
    async fn slow() -> Result<(), HookError> {
        tokio::time::sleep(Duration::from_secs(300)).await;
        Ok(())
    }
    let app =
        App::new(URN).action("long", slow).as_task().action("short", slow).as_task().deadline(Duration::from_secs(30));
    let hooks = build(app).await;
    let (invocation, handle) = (within(Duration::from_secs(900)), handle());
    let run = |name| hooks.run_task(&invocation, name, Op::Post, Value::Null, &handle);
    assert_eq!(run("long").await, CallOutcome::Nothing, "25 s are for those whose callers wait");
    let CallOutcome::Failed(failure) = run("short").await else { panic!("it has thirty seconds") };
    assert_eq!((failure.status, failure.may_pass), (504, true));
}

#[tokio::test]
async fn a_cancelled_task_learns_it() {
    async fn polite(task: Task) -> Result<String, HookError> {
        task.cancelled().await;
        Ok(format!("cancelled: {}", task.is_cancelled()))
    }
    let hooks = build(App::new(URN).action("polite", polite).as_task()).await;
    let handle = handle();
    let invocation = invocation();
    let cancel = async { handle.cancel() };
    let (outcome, ()) = tokio::join!(hooks.run_task(&invocation, "polite", Op::Post, Value::Null, &handle), cancel);
    assert_eq!(outcome, CallOutcome::Answer(json!("cancelled: true")));
}

#[tokio::test]
async fn failures_say_whether_they_may_pass() {
    let fails = |error: fn() -> HookError| App::new(URN).action("fails", move || Err::<(), _>(error()));
    for (error, may_pass) in [
        ((|| HookError::retryable("busy")) as fn() -> HookError, true),
        (|| HookError::exhausted("used up", Duration::from_secs(1)), true),
        (|| HookError::terminal("bug"), false),
        (|| HookError::invalid("no"), false),
        (|| HookError::rejected("no"), false),
        (|| panic!("boom"), true),
    ] {
        let hooks = build(fails(error)).await;
        let CallOutcome::Failed(failure) = hooks.call_action(&invocation(), "fails", Op::Post, Value::Null).await
        else {
            panic!("it fails")
        };
        assert_eq!(failure.may_pass, may_pass, "{failure}");
    }
}
