//! Mistakes are found at start.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actingweb_hooks::prelude::*;
use actingweb_hooks::{BuildError, Problem};

use crate::common::{answer, app, build, millis, post, try_build};

fn nothing() -> Result<(), HookError> {
    Ok(())
}

struct Pool(&'static str);

fn uses_pool(State(pool): State<Pool>) -> Result<&'static str, HookError> {
    Ok(pool.0)
}

async fn refused(app: App) -> BuildError {
    try_build(app).await.unwrap_err()
}

#[tokio::test]
async fn every_mistake_is_reported_at_once() {
    let error = refused(
        app()
            .describe("of nothing")
            .method("a/b", nothing)
            .resource("", nothing)
            .tool("no")
            .indexed("e/mail")
            .indexed("*")
            .indexed("email")
            .peer_profile(["nickname", "pic/ture"])
            .method("pooled", uses_pool)
            .action("pooled", blocking(uses_pool))
            .state(1_u8)
            .state(2_u8),
    )
    .await;
    let expected = "the application cannot start, for 10 reasons:
  - `.describe(..)` must follow the hook it speaks of; no hook was registered before it
  - the resource hook `` cannot be a tool: `.tool(..)` goes after `.method(..)` or `.action(..)`
  - the method hook `behaviour::build::nothing` is registered as `a/b`: a name must not contain `/`
  - the resource hook `behaviour::build::nothing` is registered as ``: a name must not be empty
  - `e/mail` is indexed, which is no name of a property: a name must not contain `/`
  - `.indexed(\"*\")` would index every property: name those that actors are found by, one by one
  - `pic/ture` is part of the profile of peers, which is no name of a property: a name must not contain `/`
  - two states of type `u8` are registered: wrap each in a type of its own
  - the method hook `pooled` takes `State<behaviour::build::Pool>`, which nobody registered: add `.state(..)` or `.state_from(..)`
  - the action hook `pooled` takes `State<behaviour::build::Pool>`, which nobody registered: add `.state(..)` or `.state_from(..)`";
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn the_names_of_the_tools_for_tasks_are_taken_where_a_tool_is_a_task() {
    let own = || app().method("get_task", nothing).tool("Mine").action("cancel_task", nothing).tool("Mine, too");
    let error = refused(own().action("later", nothing).as_task().tool("Later")).await;
    let reason = |kind: &str, name: &str| {
        format!(
            "\n  - the {kind} `{name}` cannot be a tool: AI clients that know no tasks look after those of the tool `later` \
             by a built-in tool of that name, so give yours another"
        )
    };
    let reasons = reason("action", "cancel_task") + &reason("method", "get_task");
    assert_eq!(error.to_string(), format!("the application cannot start, for 2 reasons:{reasons}"));

    // What AI clients are not offered concerns none.
    try_build(own().action("later", nothing).as_task()).await.unwrap();
    let later = || app().action("later", nothing).as_task().tool("Later");
    try_build(later().method("get_task", nothing).action("cancel_task", nothing)).await.unwrap();
    // A task of that name is one of those, too.
    let error = refused(app().action("get_task", nothing).as_task().tool("Itself")).await;
    assert!(matches!(error.problems(), [Problem::TaskToolName { .. }]), "{error}");
}

#[tokio::test]
async fn clients_are_granted_trust_types_that_there_are() {
    let error = refused(app().oauth_trust_types(["viewer", "clerk"])).await;
    let expected = "the application cannot start: clients may be granted `clerk`, which is no trust type: register it \
                    with `.trust_type(..)`, or name a built-in one";
    assert_eq!(error.to_string(), expected);
    let none = refused(app().oauth_trust_types(Vec::<String>::new())).await;
    assert!(matches!(none.problems(), [Problem::NoClientTrustType]), "{none}");
}

#[tokio::test]
async fn property_and_lifecycle_hooks_need_their_states_too() {
    fn property(_: State<Pool>) -> Result<Verdict, HookError> {
        Ok(Verdict::Keep)
    }
    async fn event(_: State<Pool>) -> Result<(), HookError> {
        Ok(())
    }
    let error = refused(app().property("p", property).on(ActorCreated, event)).await;
    assert!(matches!(
        error.problems(),
        [Problem::MissingState { kind: "property", .. }, Problem::MissingState { kind: "lifecycle", .. }]
    ));
}

#[tokio::test(start_paused = true)]
async fn states_are_made_once_at_the_same_time_before_the_first_call() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    struct Other;
    async fn slow<T>(value: T) -> Result<T, std::io::Error> {
        tokio::time::sleep(Duration::from_millis(100)).await;
        MADE.fetch_add(1, Ordering::SeqCst);
        Ok(value)
    }
    let took = millis(async {
        let app = app()
            .state_from(|init: Init| async move {
                assert_eq!(init.services.url("weather").unwrap().path(), "/v1");
                slow(Pool("pooled")).await
            })
            .state_from(|_| slow(Other))
            .method("pooled", uses_pool);
        let hooks = build(app).await;
        for _ in 0..3 {
            assert_eq!(answer(post(&hooks, "pooled", Value::Null).await), "pooled");
        }
    })
    .await;
    assert_eq!(took, 100);
    assert_eq!(MADE.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_state_that_cannot_be_made_stops_the_start_and_is_not_called_missing() {
    let app = app().state_from(|_| async { Err::<Pool, _>("no route to db") }).method("pooled", uses_pool);
    let error = refused(app).await;
    assert_eq!(
        error.to_string(),
        "the application cannot start: the state `behaviour::build::Pool` could not be made: no route to db"
    );
}

#[tokio::test]
async fn every_invocation_shares_the_same_state() {
    fn count(State(counter): State<Arc<AtomicUsize>>) -> Result<usize, HookError> {
        Ok(counter.fetch_add(1, Ordering::SeqCst))
    }
    let hooks = build(app().state(Arc::new(AtomicUsize::new(0))).method("count", count)).await;
    for expected in 0..3 {
        assert_eq!(answer(post(&hooks, "count", Value::Null).await), expected);
    }
}

#[tokio::test]
async fn the_application_says_what_it_is() {
    let app = app().describe_app("A test").version("2.1").info_url("https://example.com/").unique_creator(true);
    let hooks = build(app).await;
    let info = hooks.app();
    assert_eq!(
        (info.actor_type.as_str(), info.description.as_str(), info.version.as_str(), info.info_url.as_str()),
        (crate::common::URN, "A test", "2.1", "https://example.com/")
    );
    assert!(info.unique_creator);
    assert!(!build(crate::common::app()).await.app().unique_creator);
}

#[test]
fn building_and_calling_may_move_between_threads() {
    fn assert_send(_: &impl Send) {}
    assert_send(&app().build(crate::common::resources()));
}

#[tokio::test]
async fn the_default_relationship_must_be_one() {
    let error = refused(app().default_relationship("lover")).await;
    assert!(matches!(error.problems(), [Problem::DefaultRelationship(name)] if name == "lover"), "{error}");
    assert!(error.to_string().contains("`lover` is no trust type"), "{error}");
    let hooks = build(app().default_relationship("friend").auto_accept(true).strict_relationships(true)).await;
    let info = hooks.app();
    assert_eq!(
        (info.default_relationship.as_str(), info.auto_accept, info.strict_relationships),
        ("friend", true, true)
    );
    let hooks = build(crate::common::app()).await;
    let info = hooks.app();
    assert_eq!(
        (info.default_relationship.as_str(), info.auto_accept, info.strict_relationships),
        ("associate", false, false)
    );
}
