//! What happens to an actor, told to every hook at once.

use actingweb_hooks::prelude::*;

use crate::common::{Log, app, build, invocation, millis};

#[tokio::test(start_paused = true)]
async fn hooks_of_one_event_run_at_the_same_time_and_every_outcome_comes_back() {
    async fn slow() -> Result<(), HookError> {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(())
    }
    fn fails() -> Result<(), HookError> {
        Err(HookError::terminal("no"))
    }
    let hooks = build(app().on(ActorCreated, slow).on(ActorCreated, fails).on(ActorCreated, slow)).await;
    let (log, _guard) = Log::capture();
    let took = millis(async {
        let runs = hooks.fire(&invocation(), Event::new(ActorCreated)).await;
        let fine: Vec<bool> = runs.iter().map(|run| run.result.is_ok()).collect();
        assert_eq!(fine, [true, false, true]);
        assert!(runs[1].function.ends_with("fails"), "{}", runs[1].function);
    })
    .await;
    assert_eq!(took, 100);
    assert!(log.with("hook failed")[0].contains("hook=\"lifecycle:actor_created\""));
}

#[tokio::test]
async fn an_event_reaches_its_own_hooks_with_its_data() {
    fn check(event: Event, ctx: Context) -> Result<(), HookError> {
        assert_eq!((event.kind(), ctx.name(), ctx.op()), (ActorDeleted, "actor_deleted", None));
        assert_eq!(event.data::<Vec<u8>>()?, [1, 2]);
        Ok(())
    }
    let hooks = build(app().on(ActorDeleted, check)).await;
    assert!(hooks.has_lifecycle_hooks(ActorDeleted));
    assert!(!hooks.has_lifecycle_hooks(ActorCreated));
    assert!(hooks.fire(&invocation(), Event::new(ActorCreated)).await.is_empty());
    let runs = hooks.fire(&invocation(), Event::with_data(ActorDeleted, json!([1, 2]))).await;
    assert_eq!(runs[0].result, Ok(()));
}
