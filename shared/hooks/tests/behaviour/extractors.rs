//! What hooks can ask for.

use std::sync::Arc;

use crate::common::{NOW, answer, app, build, failure, invocation, post};
use actingweb_hooks::prelude::*;
use actingweb_hooks::{BlockOnError, Call, FromCall, Kind, Signature, block_on};
use tokio::sync::Notify;

#[tokio::test(start_paused = true)]
async fn a_hook_takes_up_to_eight_arguments_in_any_order() {
    #[expect(clippy::too_many_arguments, reason = "as many as there can be")]
    async fn all(
        actor: Option<Actor>,
        _: Http,
        guarded: GuardedHttp,
        bedrock: Bedrock,
        services: Services,
        ctx: Context,
        Now(now): Now,
        Input(n): Input<u8>,
    ) -> Result<Value, HookError> {
        assert_eq!(guarded.guard(), actingweb_peer::Guard::Strict);
        assert!(!bedrock.is_configured());
        Ok(json!({
            "actor": actor.is_some(),
            "weather": services.join("weather", "oslo?units=c")?,
            "request": ctx.request_id(),
            "caller": ctx.caller().kind(),
            "name": ctx.name(),
            "op": ctx.op(),
            "now": now,
            "n": n,
        }))
    }
    let hooks = build(app().method("all", all)).await;
    let mut invocation = invocation();
    invocation.caller = Caller::Creator;
    let outcome = hooks.call_method(&invocation, "all", Op::Put, json!(7)).await;
    assert_eq!(
        answer(outcome),
        json!({
            "actor": false,
            "weather": "http://127.0.0.1:9/v1/oslo?units=c",
            "request": "request-1",
            "caller": "creator",
            "name": "all",
            "op": "PUT",
            "now": NOW,
            "n": 7,
        })
    );
}

#[tokio::test]
async fn a_call_without_an_actor_suits_hooks_that_do_without() {
    fn needs(actor: Actor) -> Result<String, HookError> {
        Ok(actor.creator().to_owned())
    }
    fn may(actor: Option<Actor>) -> Result<bool, HookError> {
        Ok(actor.is_some())
    }
    let hooks = build(app().method("needs", needs).method("may", may)).await;
    assert_eq!(failure(post(&hooks, "needs", Value::Null).await).status, 500);
    assert_eq!(answer(post(&hooks, "may", Value::Null).await), false);
}

#[tokio::test]
async fn get_and_delete_bring_no_data() {
    fn show(op: Op, typed: Option<Input<u8>>, Input(raw): Input<Value>) -> Result<Value, HookError> {
        Ok(json!([op, typed.map(|Input(n)| n), raw]))
    }
    let hooks = build(app().action("show", show)).await;
    for (op, expected) in [
        (Op::Get, json!(["GET", null, {"method": "GET"}])),
        (Op::Delete, json!(["DELETE", null, {"method": "DELETE"}])),
        (Op::Post, json!(["POST", 7, 7])),
        (Op::Put, json!(["PUT", 7, 7])),
    ] {
        assert_eq!(answer(hooks.call_action(&invocation(), "show", op, json!(7)).await), expected);
    }
}

#[tokio::test]
async fn an_unknown_service_is_our_fault_and_the_log_lists_the_known() {
    fn find(services: Services) -> Result<String, HookError> {
        Ok(services.url("wether")?.to_string())
    }
    let hooks = build(app().method("find", find)).await;
    let (log, _guard) = crate::common::Log::capture();
    assert_eq!(failure(post(&hooks, "find", Value::Null).await).status, 500);
    assert_eq!(log.with("`wether` (configured: weather)").len(), 1);
}

#[tokio::test]
async fn an_extractor_of_the_applications_own_serves_every_kind() {
    struct Greeting(String);
    struct Greeter(Arc<Greeting>);
    impl<K: Kind> FromCall<K> for Greeter {
        fn from_call(call: &Call<K>) -> Result<Self, HookError> {
            let State(greeting) = State::from_call(call)?;
            Ok(Self(greeting))
        }
        fn describe(signature: &mut Signature) {
            <State<Greeting> as FromCall<K>>::describe(signature);
        }
    }
    fn greet(Greeter(greeting): Greeter) -> Result<String, HookError> {
        Ok(greeting.0.clone())
    }
    fn watch(_: Greeter) -> Result<Verdict, HookError> {
        Ok(Verdict::Keep)
    }
    let all = || app().method("greet", greet).method("pool", blocking(greet)).property("p", watch);
    let hooks = build(all().state(Greeting("hello".into()))).await;
    assert_eq!(answer(post(&hooks, "greet", Value::Null).await), "hello");
    assert_eq!(answer(post(&hooks, "pool", Value::Null).await), "hello");
    // What it needs is checked at start, as if the hook had asked for it itself.
    assert_eq!(crate::common::try_build(all()).await.unwrap_err().problems().len(), 3);
}

#[tokio::test]
async fn a_blocking_hook_waits_on_its_thread() {
    fn waits(wait: Wait) -> Result<&'static str, HookError> {
        wait.on(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            "done"
        })
    }
    let hooks = build(app().method("waits", blocking(waits))).await;
    assert_eq!(answer(post(&hooks, "waits", Value::Null).await), "done");
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_at_the_deadline() {
    struct Line {
        started: Notify,
        ended: Notify,
    }
    fn waits(wait: Wait, State(line): State<Arc<Line>>) -> Result<(), HookError> {
        line.started.notify_one();
        let waited = wait.on(std::future::pending::<()>());
        line.ended.notify_one();
        waited
    }
    let line = Arc::new(Line { started: Notify::new(), ended: Notify::new() });
    let app = app().state(Arc::clone(&line)).method("waits", blocking(waits)).deadline(Duration::from_secs(5));
    let hooks = build(app).await;
    let pass_time = async {
        line.started.notified().await;
        tokio::time::advance(Duration::from_secs(6)).await;
    };
    let (outcome, ()) = tokio::join!(post(&hooks, "waits", Value::Null), pass_time);
    // Whether the hook's own error or the engine's comes first is a matter of threads.
    assert!(matches!(failure(outcome).status, 503 | 504));
    line.ended.notified().await;
}

#[test]
fn block_on_runs_a_future_where_there_is_no_runtime() {
    assert_eq!(block_on(async { 42 }).unwrap(), 42);
}

#[tokio::test]
async fn block_on_errs_inside_a_runtime_and_names_the_fix() {
    let error = block_on(async {}).unwrap_err();
    assert!(matches!(error, BlockOnError::InsideRuntime));
    assert!(error.to_string().contains(".await") && error.to_string().contains("wait.on(future)"));
    // A thread of the pool belongs to the runtime, too.
    fn tries() -> Result<bool, HookError> {
        Ok(block_on(async {}).is_err())
    }
    let hooks = build(app().method("tries", blocking(tries))).await;
    assert_eq!(answer(post(&hooks, "tries", Value::Null).await), true);
}

#[tokio::test(start_paused = true)]
async fn fan_out_keeps_every_outcome_and_leaves_time_to_report() {
    async fn fan(ctx: Context) -> Result<Vec<Value>, HookError> {
        let outcomes = ctx
            .fan_out([100, 60_000, 0], 3, async |millis: u64| {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                if millis == 0 { Err("refused") } else { Ok(millis) }
            })
            .await;
        assert!(!ctx.remaining().is_zero());
        Ok(outcomes.iter().map(|outcome| serde_json::to_value(outcome).unwrap()).collect())
    }
    let hooks = build(app().method("fan", fan)).await;
    assert_eq!(
        answer(post(&hooks, "fan", Value::Null).await),
        json!([{"outcome": "ok", "value": 100}, {"outcome": "timed_out"}, {"outcome": "error", "error": "refused"}])
    );
}
