//! Hooks with nothing behind them: no network, no table, a clock that stands still.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actingweb_hooks::{
    App, BuildError, CallOutcome, Caller, HookFailure, Hooks, Invocation, Limits, Op, PeerChange, Resources,
};
use actingweb_peer::{Guard, HttpSettings, PeerClient, http_client};
use actingweb_protocol::{Clock, Deadline, Entropy, Timestamp};
pub(crate) use actingweb_testkit::log::Log;
use serde_json::{Value, json};
use tokio::time::Instant;

pub(crate) const URN: &str = "urn:actingweb:example.com:test";
/// The test clock's only moment.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_358_402_120);

#[derive(Debug)]
pub(crate) struct StillClock;
impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// Randomness that is none.
#[derive(Debug)]
pub(crate) struct Zeros;
impl Entropy for Zeros {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

pub(crate) fn app() -> App {
    App::new(URN)
}

pub(crate) fn resources() -> Resources {
    let settings = HttpSettings::default();
    Resources {
        http: http_client(&settings).unwrap(),
        peers: PeerClient::new(&settings, Guard::Strict, actingweb_peer::Limits::default()).unwrap(),
        actors: None,
        bedrock: actingweb_hooks::Bedrock::new(None, None, Arc::new(Zeros)),
        directory: actingweb_hooks::Directory::default(),
        services: [("weather".to_owned(), "http://127.0.0.1:9/v1".parse().unwrap())].into(),
        clock: Arc::new(StillClock),
        entropy: Arc::new(Zeros),
        limits: Limits::default(),
    }
}

pub(crate) async fn try_build(app: App) -> Result<Hooks, BuildError> {
    app.build(resources()).await
}

pub(crate) async fn build(app: App) -> Hooks {
    try_build(app).await.unwrap()
}

pub(crate) async fn build_with(app: App, change: impl FnOnce(&mut Limits)) -> Hooks {
    let mut resources = resources();
    change(&mut resources.limits);
    app.build(resources).await.unwrap()
}

/// Of nobody, for no actor, with 30 s to go.
pub(crate) fn invocation() -> Invocation {
    within(Duration::from_secs(30))
}

pub(crate) fn within(span: Duration) -> Invocation {
    Invocation {
        actor: None,
        caller: Caller::Anonymous,
        request_id: "request-1".to_owned(),
        deadline: Deadline::after(Instant::now().into_std(), span),
        mcp: None,
    }
}

/// A change of a peer, under this target.
pub(crate) fn change(target: &str) -> PeerChange {
    PeerChange {
        peer: "peer".to_owned(),
        subscription: "subscription".to_owned(),
        target: target.to_owned(),
        subtarget: None,
        resource: None,
        sequence: 1,
        data: Some(json!({ "n": 1 })),
    }
}

pub(crate) async fn post(hooks: &Hooks, method: &str, data: Value) -> CallOutcome {
    hooks.call_method(&invocation(), method, Op::Post, data).await
}

pub(crate) fn answer(outcome: CallOutcome) -> Value {
    match outcome {
        CallOutcome::Answer(value) => value,
        other => panic!("expected an answer, got {other:?}"),
    }
}

pub(crate) fn failure(outcome: CallOutcome) -> HookFailure {
    match outcome {
        CallOutcome::Failed(failure) => failure,
        other => panic!("expected a failure, got {other:?}"),
    }
}

/// How long `work` took, in milliseconds; exact where time is paused.
pub(crate) async fn millis(work: impl Future<Output = ()>) -> u128 {
    let begun = Instant::now();
    work.await;
    begun.elapsed().as_millis()
}
