//! Which hook a name calls.

use actingweb_hooks::CallOutcome;
use actingweb_hooks::prelude::*;

use crate::common::{answer, app, build, failure, invocation, post};

fn says(text: &'static str) -> impl Fn() -> Result<&'static str, HookError> + Send + Sync + 'static {
    move || Ok(text)
}

fn nothing() -> Result<Option<Value>, HookError> {
    Ok(None)
}

fn which(ctx: Context) -> Result<String, HookError> {
    Ok(format!("{} for {}", ctx.hook(), ctx.name()))
}

#[tokio::test]
async fn the_first_hook_that_answers_wins() {
    let hooks =
        build(app().method("m", nothing).method("m", says("first")).method("m", says("second")).method("m", nothing))
            .await;
    assert_eq!(answer(post(&hooks, "m", Value::Null).await), "first");
}

#[tokio::test]
async fn zero_false_and_empty_are_answers() {
    for value in [json!(0), json!(false), json!(""), json!({}), json!([])] {
        let given = value.clone();
        let hooks =
            build(app().method("m", move || Ok::<_, HookError>(given.clone())).method("m", says("later"))).await;
        assert_eq!(answer(post(&hooks, "m", Value::Null).await), value);
    }
}

#[tokio::test]
async fn a_wildcard_serves_names_without_a_hook_and_only_those() {
    let hooks = build(app().method("*", which).method("mine", says("mine")).method("quiet", nothing)).await;
    assert_eq!(answer(post(&hooks, "mine", Value::Null).await), "mine");
    assert_eq!(answer(post(&hooks, "other", Value::Null).await), "* for other");
    assert_eq!(post(&hooks, "quiet", Value::Null).await, CallOutcome::Nothing);
}

#[tokio::test]
async fn unknown_nothing_and_failed_are_told_apart() {
    fn fails() -> Result<Value, HookError> {
        Err(HookError::not_found("invoice 17"))
    }
    let hooks = build(app().method("quiet", nothing).method("fails", fails).method("fails", says("unreached"))).await;
    assert_eq!(post(&hooks, "absent", Value::Null).await, CallOutcome::Unknown);
    assert_eq!(post(&hooks, "quiet", Value::Null).await, CallOutcome::Nothing);
    let failure = failure(post(&hooks, "fails", Value::Null).await);
    assert_eq!((failure.status, failure.hook.as_str(), failure.detail.as_str()), (404, "fails", "invoice 17"));
}

#[tokio::test]
async fn kinds_do_not_mix() {
    let hooks =
        build(app().method("m", says("method")).action("a", says("action")).resource("r", says("resource"))).await;
    let invocation = invocation();
    assert_eq!(hooks.call_action(&invocation, "m", Op::Post, Value::Null).await, CallOutcome::Unknown);
    assert_eq!(hooks.call_method(&invocation, "r", Op::Get, Value::Null).await, CallOutcome::Unknown);
    assert_eq!(answer(hooks.call_action(&invocation, "a", Op::Post, Value::Null).await), "action");
    assert_eq!(answer(hooks.call_resource(&invocation, "r", Op::Get, Value::Null).await), "resource");
}
