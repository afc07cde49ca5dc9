//! What happens to an actor, told to every hook at once.

use actingweb_hooks::prelude::*;

use crate::common::{Log, app, build, change, invocation, millis};

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

#[tokio::test(start_paused = true)]
async fn a_hook_of_an_event_that_hangs_keeps_none_of_the_others_and_is_named_in_the_log() {
    async fn hangs() -> Result<(), HookError> {
        std::future::pending().await
    }
    async fn fine() -> Result<(), HookError> {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(())
    }
    let hooks = build(app().on(TrustDeleted, hangs).deadline(Duration::from_secs(3)).on(TrustDeleted, fine)).await;
    let (log, _guard) = Log::capture();
    let runs = hooks.fire(&invocation(), Event::new(TrustDeleted)).await;
    assert_eq!(runs[0].result.as_ref().unwrap_err().status, 504);
    assert_eq!(runs[1].result, Ok(()));
    let lines = log.with("hook ran out of time");
    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(line.contains("lifecycle:trust_deleted") && line.contains("::hangs"), "{line}");
    assert!(!line.contains("::fine"), "{line}");
}

#[tokio::test(start_paused = true)]
async fn hooks_of_one_change_at_a_peer_run_at_the_same_time() {
    async fn slow(_: PeerChange) -> Result<(), HookError> {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(())
    }
    let app = app().subscription("properties", slow).subscription("properties", slow).subscription("*", slow);
    let hooks = build(app).await;
    let took = millis(async {
        let runs = hooks.tell_change(&invocation(), change("properties")).await;
        assert_eq!(runs.iter().filter(|run| run.result.is_ok()).count(), 3);
    })
    .await;
    assert_eq!(took, 100);
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
