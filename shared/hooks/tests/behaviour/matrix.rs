//! Every kind of hook, every way to run it, every way it can end.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use actingweb_hooks::prelude::*;
use actingweb_hooks::{BotToken, CallOutcome, EventKind, Filtered, HookFailure, Hooks};
use tokio::sync::Notify;

use crate::common::{Log, app, build, change, invocation};

const SECRET: &str = "postgres://admin:hunter2@db";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Method,
    Action,
    Resource,
    Property,
    Callback,
    Subscription,
    Bot,
    On(EventKind),
}

const KINDS: [Kind; 16] = [
    Kind::Method,
    Kind::Action,
    Kind::Resource,
    Kind::Property,
    Kind::Callback,
    Kind::Subscription,
    Kind::Bot,
    Kind::On(ActorCreated),
    Kind::On(ActorDeleted),
    Kind::On(ActorDeletedComplete),
    Kind::On(TrustInitiated),
    Kind::On(TrustRequestReceived),
    Kind::On(TrustFullyApprovedLocal),
    Kind::On(TrustFullyApprovedRemote),
    Kind::On(TrustDeleted),
    Kind::On(SubscriptionDeleted),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Plain,
    Async,
    Blocking,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Fine,
    Refused,
    Broken,
    Panic,
    Hang,
}

/// How the hook of a test ends, and the line to one that hangs on a thread.
struct Script {
    end: End,
    hanging: Notify,
    release: Mutex<Receiver<()>>,
}

impl Script {
    fn new(end: End) -> (Self, Sender<()>) {
        let (release, released) = channel();
        (Self { end, hanging: Notify::new(), release: Mutex::new(released) }, release)
    }

    fn play<T: Fine>(&self) -> Result<T, HookError> {
        match self.end {
            End::Fine => Ok(T::fine()),
            End::Refused => Err(HookError::rejected("not today")),
            End::Broken => Err(HookError::terminal(SECRET)),
            End::Panic => panic!("{SECRET}"),
            End::Hang => {
                self.hanging.notify_one();
                // Ends when the test drops the other side.
                let _ = self.release.lock().unwrap().recv();
                Ok(T::fine())
            }
        }
    }
}

/// What a hook of some kind answers when all is well.
trait Fine {
    fn fine() -> Self;
}
impl Fine for Value {
    fn fine() -> Self {
        json!("fine")
    }
}
impl Fine for Verdict {
    fn fine() -> Self {
        Self::Replace(json!("fine"))
    }
}
impl Fine for () {
    fn fine() -> Self {}
}
impl Fine for bool {
    fn fine() -> Self {
        true
    }
}

fn plain<T: Fine>(State(script): State<Script>) -> Result<T, HookError> {
    script.play()
}

async fn later<T: Fine>(State(script): State<Script>) -> Result<T, HookError> {
    tokio::task::yield_now().await;
    if script.end == End::Hang {
        script.hanging.notify_one();
        return std::future::pending().await;
    }
    script.play()
}

fn register(kind: Kind, way: Way) -> App {
    let app = app();
    match (kind, way) {
        (Kind::Method, Way::Plain) => app.method("h", plain::<Value>),
        (Kind::Method, Way::Async) => app.method("h", later::<Value>),
        (Kind::Method, Way::Blocking) => app.method("h", blocking(plain::<Value>)),
        (Kind::Action, Way::Plain) => app.action("h", plain::<Value>),
        (Kind::Action, Way::Async) => app.action("h", later::<Value>),
        (Kind::Action, Way::Blocking) => app.action("h", blocking(plain::<Value>)),
        (Kind::Resource, Way::Plain) => app.resource("h", plain::<Value>),
        (Kind::Resource, Way::Async) => app.resource("h", later::<Value>),
        (Kind::Resource, Way::Blocking) => app.resource("h", blocking(plain::<Value>)),
        (Kind::Property, Way::Plain) => app.property("h", plain::<Verdict>),
        (Kind::Property, Way::Async) => app.property("h", later::<Verdict>),
        (Kind::Property, Way::Blocking) => app.property("h", blocking(plain::<Verdict>)),
        (Kind::Callback, Way::Plain) => app.callback("h", plain::<Value>),
        (Kind::Callback, Way::Async) => app.callback("h", later::<Value>),
        (Kind::Callback, Way::Blocking) => app.callback("h", blocking(plain::<Value>)),
        (Kind::Subscription, Way::Plain) => app.subscription("h", plain::<()>),
        (Kind::Subscription, Way::Async) => app.subscription("h", later::<()>),
        (Kind::Subscription, Way::Blocking) => app.subscription("h", blocking(plain::<()>)),
        (Kind::Bot, Way::Plain) => app.bot(plain::<bool>),
        (Kind::Bot, Way::Async) => app.bot(later::<bool>),
        (Kind::Bot, Way::Blocking) => app.bot(blocking(plain::<bool>)),
        (Kind::On(event), Way::Plain) => app.on(event, plain::<()>),
        (Kind::On(event), Way::Async) => app.on(event, later::<()>),
        (Kind::On(event), Way::Blocking) => app.on(event, blocking(plain::<()>)),
    }
}

async fn call(hooks: &Hooks, kind: Kind) -> Result<(), HookFailure> {
    let from = |outcome| match outcome {
        CallOutcome::Answer(value) => {
            assert_eq!(value, "fine");
            Ok(())
        }
        CallOutcome::Failed(failure) => Err(failure),
        other => panic!("{other:?}"),
    };
    let invocation = invocation();
    match kind {
        Kind::Method => from(hooks.call_method(&invocation, "h", Op::Post, Value::Null).await),
        Kind::Action => from(hooks.call_action(&invocation, "h", Op::Post, Value::Null).await),
        Kind::Resource => from(hooks.call_resource(&invocation, "h", Op::Post, Value::Null).await),
        Kind::Property => {
            let filtered = hooks.filter_property(&invocation, Op::Get, "h", json!("stored"), &[]).await?;
            assert_eq!(filtered, Filtered::Value(json!("fine")));
            Ok(())
        }
        Kind::Callback => from(hooks.call_callback(&invocation, "h", Op::Post, Value::Null).await),
        Kind::Subscription => {
            let runs = hooks.tell_change(&invocation, change("h")).await;
            assert_eq!(runs.len(), 1);
            runs.into_iter().try_for_each(|run| run.result)
        }
        Kind::Bot => {
            let message = BotMessage::new(BotToken::new("token"), Default::default(), b"{}");
            assert!(hooks.call_bot(&invocation, message).await?);
            Ok(())
        }
        Kind::On(event) => {
            let runs = hooks.fire(&invocation, Event::new(event)).await;
            assert_eq!(runs.len(), 1);
            runs.into_iter().try_for_each(|run| run.result)
        }
    }
}

async fn each(end: End, ways: &[Way], check: impl Fn(Result<(), HookFailure>, &Log, &str)) {
    for kind in KINDS {
        for way in ways {
            let (script, release) = Script::new(end);
            let hooks = build(register(kind, *way).state(script)).await;
            let (log, _guard) = Log::capture();
            let result = call(&hooks, kind).await;
            drop(release);
            check(result, &log, &format!("{kind:?} {way:?}"));
        }
    }
}

const EVERY_WAY: [Way; 3] = [Way::Plain, Way::Async, Way::Blocking];

#[tokio::test(start_paused = true)]
async fn what_a_hook_returns_arrives() {
    each(End::Fine, &EVERY_WAY, |result, _, case| assert_eq!(result, Ok(()), "{case}")).await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_reaches_the_caller_with_its_reason() {
    each(End::Refused, &EVERY_WAY, |result, log, case| {
        let failure = result.unwrap_err();
        assert_eq!((failure.status, failure.detail.as_str()), (403, "not today"), "{case}");
        assert!(failure.unfinished.is_empty(), "{case}");
        // Strangers can have a call refused as often as they like: that must not fill the log.
        assert!(log.lines().iter().all(|line| line.starts_with("DEBUG") && !line.contains("not today")), "{case}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_error_is_logged_and_not_shown() {
    each(End::Broken, &EVERY_WAY, |result, log, case| hidden_and_logged(&result.unwrap_err(), log, "WARN", case)).await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_call_is_logged_and_not_shown() {
    each(End::Panic, &EVERY_WAY, |result, log, case| hidden_and_logged(&result.unwrap_err(), log, "ERROR", case)).await;
}

fn hidden_and_logged(failure: &HookFailure, log: &Log, level: &str, case: &str) {
    assert_eq!(failure.status, 500, "{case}");
    assert!(!format!("{failure:?} {failure}").contains(SECRET), "{case}: {failure:?}");
    let lines = log.with(SECRET);
    let [line] = lines.as_slice() else { panic!("{case}: expected one line, got {lines:?}") };
    assert!(line.starts_with(level) && line.contains("request-1") && line.contains("matrix::"), "{case}: {line}");
}

#[tokio::test(start_paused = true)]
async fn an_async_hook_that_hangs_is_dropped_at_its_deadline() {
    each(End::Hang, &[Way::Async], |result, log, case| {
        let failure = result.unwrap_err();
        assert_eq!(failure.status, 504, "{case}");
        assert_eq!(failure.unfinished, [failure.hook], "{case}");
        assert_eq!(log.with("hook ran out of time").len(), 1, "{case}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_blocking_hook_that_hangs_is_answered_at_its_deadline() {
    for kind in KINDS {
        let (script, release) = Script::new(End::Hang);
        let script = std::sync::Arc::new(script);
        let hanging = std::sync::Arc::clone(&script);
        let hooks = build(with_shared(kind).state(script)).await;
        // Paused time stands still while a thread is busy, so it is moved by hand.
        let pass_time = async {
            hanging.hanging.notified().await;
            tokio::time::advance(Duration::from_secs(40)).await;
        };
        let (result, ()) = tokio::join!(call(&hooks, kind), pass_time);
        let failure = result.unwrap_err();
        assert_eq!(failure.status, 504, "{kind:?}");
        assert_eq!(failure.unfinished, [failure.hook], "{kind:?}");
        drop(release);
    }
}

type SharedScript = std::sync::Arc<Script>;

fn with_shared(kind: Kind) -> App {
    fn hook<T: Fine>(State(script): State<SharedScript>) -> Result<T, HookError> {
        script.play()
    }
    match kind {
        Kind::Method => app().method("h", blocking(hook::<Value>)),
        Kind::Action => app().action("h", blocking(hook::<Value>)),
        Kind::Resource => app().resource("h", blocking(hook::<Value>)),
        Kind::Property => app().property("h", blocking(hook::<Verdict>)),
        Kind::Callback => app().callback("h", blocking(hook::<Value>)),
        Kind::Subscription => app().subscription("h", blocking(hook::<()>)),
        Kind::Bot => app().bot(blocking(hook::<bool>)),
        Kind::On(event) => app().on(event, blocking(hook::<()>)),
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_hook_leaves_the_others_unharmed() {
    fn fine() -> Result<&'static str, HookError> {
        Ok("fine")
    }
    for end in [End::Broken, End::Panic, End::Hang] {
        for way in [Way::Plain, Way::Async, Way::Blocking] {
            if end == End::Hang && way != Way::Async {
                continue;
            }
            let (script, _release) = Script::new(end);
            let hooks = build(register(Kind::Method, way).state(script).action("h", fine)).await;
            let (bad, good) = tokio::join!(call(&hooks, Kind::Method), call(&hooks, Kind::Action));
            assert!(bad.is_err());
            assert_eq!(good, Ok(()));
            assert_eq!(call(&hooks, Kind::Action).await, Ok(()), "after {way:?} {end:?}");
        }
    }
}

#[tokio::test]
async fn a_change_is_told_to_the_hooks_of_its_target_and_to_those_of_any() {
    use std::sync::Arc;

    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let hook = |name: &'static str| {
        let told = Arc::clone(&told);
        move |change: PeerChange| {
            told.lock().unwrap().push(format!("{name} {}", change.target));
            Ok::<(), HookError>(())
        }
    };
    let app = app().subscription("properties", hook("own")).subscription("*", hook("any"));
    let hooks = build(app).await;
    assert!(hooks.has_subscription_hooks("properties") && hooks.has_subscription_hooks("resources"));
    assert_eq!(hooks.tell_change(&invocation(), change("properties")).await.len(), 2);
    assert_eq!(hooks.tell_change(&invocation(), change("resources")).await.len(), 1);
    let mut told = told.lock().unwrap().clone();
    told.sort();
    assert_eq!(told, ["any properties", "any resources", "own properties"]);
}
