//! The Lambda loop.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actingweb_hooks::App;
use actingweb_protocol::{ActorId, Clock, Deadline};
use actingweb_web::AppState;
use axum::Router;
use axum::response::Response;
use lambda_runtime::{Context, Diagnostic, LambdaEvent, Runtime, service_fn};
use serde_json::Value;
use tokio::time::Instant;
use tower::ServiceExt as _;

use crate::event::{EventError, GatewayEvent, GatewayReply, streamed};
use crate::stream::Batch;
use crate::wake::Wake;
use crate::{Config, Environment, StartError, SystemClock, build, prime, telemetry};

/// What the platform sets for every function.
const LAMBDA_VARIABLES: [&str; 4] = [
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
];

/// The longest that a function may be given.
const LONGEST_INVOCATION: Duration = Duration::from_secs(15 * 60);

/// Why a function's process ended.
pub type Error = lambda_runtime::Error;

/// Runs a function of one group: all of its `main`.
///
/// Reads the configuration, builds the clients and the application, makes one priming read, then serves events of API
/// Gateway until the platform stops the process; several at once where the platform allows it.
///
/// # Errors
/// When the configuration or the application is wrong, or the runtime API is gone. The log has the reason.
pub async fn run<R: FnOnce(AppState) -> Router>(app: App, router: R) -> Result<(), Error> {
    let router = router(Box::pin(start(app, group_of::<R>())).await?);
    let serve = move |LambdaEvent { payload, context }: LambdaEvent<GatewayEvent>| {
        let router = router.clone();
        async move { answer(router, payload, deadline(&context)).await.map_err(Error::from) }
    };
    Runtime::new(service_fn(serve)).run_concurrent().await
}

/// Runs the function of a group behind a function URL that streams (`InvokeMode: RESPONSE_STREAM`): as [`run`], but what
/// a reply's body brings goes out as it comes, and a request has as long as the function has.
///
/// When not to use it: behind an HTTP API, which takes replies whole.
///
/// # Errors
/// As [`run`].
pub async fn run_streaming<R: FnOnce(AppState) -> Router>(app: App, router: R) -> Result<(), Error> {
    let mut state = Box::pin(start(app, group_of::<R>())).await?;
    state.time_limit = LONGEST_INVOCATION;
    let router = router(state);
    let serve = move |LambdaEvent { payload, context }: LambdaEvent<GatewayEvent>| {
        let router = router.clone();
        async move { respond(router, payload, deadline(&context)).await.map(streamed).map_err(Error::from) }
    };
    Runtime::new(service_fn(serve)).run_concurrent().await
}

/// Runs the worker's function: `work` does the work that an event tells of, and gives the ids of messages to be sent
/// again.
///
/// # Errors
/// As [`run`]. An error of `work` fails its invocation: the platform sends all of its messages again.
pub async fn run_worker<W, F, E>(app: App, work: W) -> Result<(), Error>
where
    W: Fn(AppState, Wake, Deadline) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Vec<String>, E>> + Send + 'static,
    E: fmt::Display + Send + 'static,
{
    let state = Box::pin(start(app, "worker")).await?.for_group("worker");
    let work = move |LambdaEvent { payload, context }: LambdaEvent<Value>| {
        let done = work(state.clone(), Wake::read(payload), limit(&state, &context));
        async move { done.await.map(|failed| Wake::answer(&failed)).map_err(|error| failed_work(&error)) }
    };
    Runtime::new(service_fn(work)).run_concurrent().await
}

/// Runs the function that the table's stream wakes: `deliver` does all the work of one actor, for each actor whose own
/// partition a batch has rows of, several actors at once. It is given a deadline and is cut off there.
///
/// # Errors
/// As [`run`]. An error of `deliver` is logged, and its actor's records are sent again; those of other actors may be.
pub async fn run_deliver<D, F, T, E>(app: App, deliver: D) -> Result<(), Error>
where
    D: Fn(AppState, ActorId, Deadline) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
    T: Send + 'static,
    E: fmt::Display + Send + 'static,
{
    let state = Box::pin(start(app, "deliver")).await?.for_group("deliver");
    let work = move |LambdaEvent { payload, context }: LambdaEvent<Batch>| {
        let (state, deliver) = (state.clone(), deliver.clone());
        async move {
            let limit = limit(&state, &context);
            let answer = payload.answer(limit, |actor, deadline| deliver(state.clone(), actor, deadline)).await;
            Ok::<_, Diagnostic>(answer)
        }
    };
    Runtime::new(service_fn(work)).run_concurrent().await
}

/// Answers one event of API Gateway (payload format 2.0) as the function does, for tests: JSON in, JSON out.
///
/// # Errors
/// [`EventError`] for what no gateway sends.
pub async fn handle_event(router: Router, event: Value, deadline: Option<Deadline>) -> Result<Value, EventError> {
    let reply = answer(router, serde_json::from_value(event)?, deadline).await?;
    Ok(serde_json::to_value(reply)?)
}

async fn answer(router: Router, event: GatewayEvent, deadline: Option<Deadline>) -> Result<GatewayReply, EventError> {
    let response = respond(router, event, deadline).await?;
    GatewayReply::from_response(response).await.map(GatewayReply::within_limits)
}

async fn respond(router: Router, event: GatewayEvent, deadline: Option<Deadline>) -> Result<Response, EventError> {
    let mut request = event.into_request()?;
    if let Some(deadline) = deadline {
        request.extensions_mut().insert(deadline);
    }
    let Ok(response) = router.oneshot(request).await.map_err(|never: Infallible| never);
    Ok(response)
}

/// Everything before the first event of a function of `group`.
async fn start(app: App, group: &str) -> Result<AppState, StartError> {
    let started = Instant::now();
    let environment = Environment::of_process();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    telemetry::log_to_stdout(Config::log(&environment).unwrap_or_default(), clock);
    let state = build_from(&environment, app).await;
    match &state {
        Ok(state) => {
            if let Err(error) = prime(state).await {
                // The table may be back before the first request needs it.
                tracing::warn!(%error, "priming read failed");
            }
            log_started(group, started);
        }
        Err(StartError::Config(error)) => {
            tracing::error!(variable = error.variable, reason = error.reason, "configuration refused");
        }
        Err(error) => tracing::error!(%error, "start failed"),
    }
    state
}

async fn build_from(environment: &Environment, app: App) -> Result<AppState, StartError> {
    // The runtime itself panics without them.
    if !LAMBDA_VARIABLES.iter().all(|name| environment.get(name).is_some()) {
        return Err(StartError::NotOnLambda);
    }
    build(&Config::read(environment)?, app).await
}

fn log_started(group: &str, started: Instant) {
    let init_ms = (started.elapsed().as_secs_f64() * 10_000.0).round() / 10.0;
    tracing::info!(group, version = env!("CARGO_PKG_VERSION"), init_ms, "started");
}

/// The group whose router a function is: `meta` of `actingweb_meta::router`. For the log alone.
fn group_of<R>() -> &'static str {
    let path = std::any::type_name::<R>();
    let crate_name = path.split("::").next().unwrap_or(path);
    crate_name.strip_prefix("actingweb_").unwrap_or(crate_name)
}

/// When an invocation ends: told in wall-clock time, kept as an instant. One that is over is no deadline: AWS starts no
/// invocation that has no time left, and `cargo lambda watch` tells every one that it ends in 1970.
fn deadline(context: &Context) -> Option<Deadline> {
    let ends = i64::try_from(context.deadline).ok()?;
    let left = u64::try_from(ends.saturating_sub(SystemClock.now().as_millis())).ok().filter(|left| *left > 0)?;
    Some(Deadline::after(now(), Duration::from_millis(left)))
}

/// When an event's work must have ended.
fn limit(state: &AppState, context: &Context) -> Deadline {
    deadline(context).unwrap_or_else(|| Deadline::after(now(), state.time_limit))
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// Fails an invocation of the worker.
fn failed_work(error: &impl fmt::Display) -> Diagnostic {
    Diagnostic { error_type: "DueWork".to_owned(), error_message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(_: AppState) -> Router {
        Router::new()
    }

    #[test]
    fn the_group_is_told_by_the_crate_of_its_router() {
        fn of<R>(_: R) -> &'static str {
            group_of::<R>()
        }
        assert_eq!(of(router), "runtime");
    }

    #[tokio::test]
    async fn a_function_started_by_hand_says_so() {
        let app = App::new("urn:actingweb:example.com:test");
        let refused = build_from(&Environment::default(), app).await.unwrap_err();
        assert!(refused.to_string().contains("cargo run"), "{refused}");
    }

    #[test]
    fn a_deadline_is_what_the_invocation_has_left() {
        let mut context = Context::default();
        assert!(deadline(&context).is_none());
        context.deadline = u64::try_from(SystemClock.now().as_millis()).unwrap() + 10_000;
        let left = deadline(&context).unwrap().remaining(now());
        assert!(left <= Duration::from_secs(10) && left > Duration::from_secs(5), "{left:?}");
        context.deadline = 600_000;
        assert!(deadline(&context).is_none());
    }
}
