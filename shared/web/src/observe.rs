//! Around every handler: the request's id and deadline, panics, problem documents, the log line.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use actingweb_protocol::{ActorId, Deadline, random_hex};
use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::handler::Handler;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::{AppState, Problem};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
/// How long browsers come back over TLS alone: a year. Other hosts of the domain are not ours to speak for.
const TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// What a request carries from its arrival to its log line. Cheap to clone; all clones share what was noted.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// Its id: the caller's `X-Request-ID` when that is 1 to 128 of `A-Z a-z 0-9 . _ -`, else a new one.
    pub id: Arc<str>,
    /// When the reply must have left.
    pub deadline: Deadline,
    /// The client's address, where whoever received the request knows it.
    pub address: Option<IpAddr>,
    notes: Arc<Mutex<Notes>>,
}

/// The client's address, as an extension of a request: put there by what received it.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

#[derive(Debug, Default)]
struct Notes {
    verb: Option<&'static str>,
    actor: Option<String>,
    caller: Option<&'static str>,
    hook: Option<String>,
    hook_ms: f64,
    events: Option<(u64, &'static str)>,
}

impl RequestContext {
    /// The context of a request with the id its caller gave it, if usable, and the deadline its invocation has.
    #[must_use]
    pub fn new(state: &AppState, id: Option<&HeaderValue>, deadline: Option<Deadline>) -> Self {
        let harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let usable = |id: &&str| (1..=128).contains(&id.len()) && id.bytes().all(harmless);
        let given = id.and_then(|id| id.to_str().ok()).filter(usable);
        let id = given.map_or_else(|| random_hex(&*state.entropy, 16), str::to_owned).into();
        let limit = Deadline::after(Instant::now().into_std(), state.time_limit);
        let deadline = deadline.map_or(limit, |deadline| deadline.earlier(limit));
        Self { id, deadline, address: None, notes: Arc::default() }
    }

    /// The context of no request: for tests of what only passes it on.
    #[cfg(test)]
    pub(crate) fn unknown() -> Self {
        let deadline = Deadline::at(Instant::now().into_std());
        Self { id: "request-1".into(), deadline, address: None, notes: Arc::default() }
    }

    pub(crate) fn note_verb(&self, verb: &'static str) {
        self.with_notes(|notes| notes.verb = Some(verb));
    }

    /// Notes for the log line whom the request is about, and who calls.
    pub fn note_caller(&self, actor: &ActorId, kind: &'static str) {
        self.with_notes(|notes| {
            notes.actor = Some(actor.to_string());
            notes.caller = Some(kind);
        });
    }

    /// Runs hooks, and notes them and the time they took for the log line.
    pub async fn in_hook<T>(&self, kind: &str, name: &str, hooks: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let output = hooks.await;
        let spent = started.elapsed().as_secs_f64() * 1000.0;
        self.with_notes(|notes| {
            notes.hook_ms += spent;
            notes.hook.get_or_insert_with(|| format!("{kind}:{name}"));
        });
        output
    }

    /// Notes how far a stream of events has come.
    pub(crate) fn note_events(&self, sent: u64, end: &'static str) {
        self.with_notes(|notes| notes.events = Some((sent, end)));
    }

    fn with_notes<T>(&self, act: impl FnOnce(&mut Notes) -> T) -> T {
        act(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Binds a handler to `/{actor}/{group}` and everything below it, for any verb.
pub fn subtree<H, T>(group: &str, handler: H) -> Router<AppState>
where
    H: Handler<T, AppState> + Clone,
    T: 'static,
{
    let routes = any(handler);
    Router::new()
        .route(&format!("/{{actor}}/{group}"), routes.clone())
        .route(&format!("/{{actor}}/{group}/"), routes.clone())
        .route(&format!("/{{actor}}/{group}/{{*path}}"), routes)
}

/// Makes a service of routes: what the Lambda function, the local stack and tests all run.
pub fn serve(routes: Router<AppState>, state: AppState) -> Router {
    let nothing = || std::future::ready(Problem::not_found("there is nothing at this path"));
    routes
        .fallback(nothing)
        .layer(from_fn_with_state(state.clone(), crate::apps::share))
        .layer(from_fn_with_state(state.clone(), observe))
        .with_state(state)
}

async fn observe(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let deadline = request.extensions().get::<Deadline>().copied();
    let mut context = RequestContext::new(&state, request.headers().get(REQUEST_ID), deadline);
    context.address = request.extensions().get::<ClientAddress>().map(|client| client.0);
    let trace_id = request.headers().get(TRACE_PARENT).and_then(trace_id).map(str::to_owned);
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    request.extensions_mut().insert(context.clone());

    let span = tracing::info_span!("request", request_id = %context.id, trace_id);
    let handled = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone()).await;
    let mut response = handled.unwrap_or_else(|panic| {
        let _entered = span.enter();
        tracing::error!(group = state.group, route, panic = panic_message(&*panic), "handler panicked");
        Problem::internal().into_response()
    });
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = problem.render(&context.id);
    }
    if method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    if let Ok(id) = HeaderValue::from_str(&context.id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    guard(&state, response.headers_mut());
    let is_stream = response.extensions_mut().remove::<EventStream>().is_some();
    let cold = state.take_cold();
    let line = Line { group: state.group, context, method, route, status: response.status(), started, cold, span };
    if is_stream { response.map(|body| line.after(body)) } else { response }
}

/// What every reply tells browsers: take it for what it says it is, and come back over TLS where there is TLS.
fn guard(state: &AppState, headers: &mut HeaderMap) {
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if state.base_url.starts_with("https://") {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, TRANSPORT);
    }
}

/// The trace that a caller says this request belongs to (W3C Trace Context, 3.2), for the log. Strangers write it, so what
/// is not exactly that is left out.
fn trace_id(value: &HeaderValue) -> Option<&str> {
    let is_id = |text: &str, length: usize| {
        let hex = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
        text.len() == length && hex && text.bytes().any(|byte| byte != b'0')
    };
    let mut parts = value.to_str().ok()?.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    // Later versions may say more behind these four.
    let ends = version != "00" || parts.next().is_none();
    let is_known = version == "00" || (is_id(version, 2) && version != "ff");
    let has_flags = flags == "00" || is_id(flags, 2);
    (is_known && ends && is_id(trace, 32) && is_id(span, 16) && has_flags).then_some(trace)
}

/// Marks a reply whose body is written as it comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EventStream;

/// The request line of docs/logging.md, written when it is dropped: once the reply is there, or its stream over.
struct Line {
    group: &'static str,
    context: RequestContext,
    method: Method,
    route: String,
    status: StatusCode,
    started: Instant,
    cold: bool,
    span: tracing::Span,
}

impl Line {
    /// The same body, which writes this line at its end, or where it is given up.
    fn after(self, body: Body) -> Body {
        let data = stream::unfold((body.into_data_stream(), Some(self)), |(mut data, mut line)| async move {
            let next = data.next().await;
            if next.is_none() {
                // Before the end is told: Lambda may stop the process there.
                drop(line.take());
            }
            Some((next?, (data, line)))
        });
        Body::from_stream(data)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let _entered = self.span.enter();
        let notes = self.context.with_notes(std::mem::take);
        let tenths = |millis: f64| (millis * 10.0).round() / 10.0;
        tracing::info!(
            group = self.group,
            method = notes.verb.unwrap_or(self.method.as_str()),
            route = self.route,
            actor = notes.actor,
            status = self.status.as_u16(),
            duration_ms = tenths(self.started.elapsed().as_secs_f64() * 1000.0),
            caller = notes.caller.unwrap_or("anonymous"),
            hook_ms = notes.hook.is_some().then(|| tenths(notes.hook_ms)),
            hook = notes.hook,
            events = notes.events.map(|(sent, _)| sent),
            stream = notes.events.map(|(_, end)| end),
            cold = self.cold,
            "request"
        );
    }
}

/// The message of a panic, cut at 200 characters.
fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("not a text").chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_what_the_standard_says_and_nothing_else() {
        let read = |text: &str| HeaderValue::from_str(text).ok().as_ref().and_then(trace_id).map(str::to_owned);
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        for good in
            [format!("00-{trace}-{span}-01"), format!("00-{trace}-{span}-00"), format!("01-{trace}-{span}-01-x")]
        {
            assert_eq!(read(&good).as_deref(), Some(trace), "{good}");
        }
        for bad in [
            String::new(),
            trace.to_owned(),
            format!("00-{trace}-{span}"),
            format!("00-{trace}-{span}-01-x"),
            format!("ff-{trace}-{span}-01"),
            format!("00-{}-{span}-01", "0".repeat(32)),
            format!("00-{trace}-{}-01", "0".repeat(16)),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-{trace}0-{span}-01"),
            format!("00-{trace}-{span}-1"),
            format!("00-{}{{-{span}-01", &trace[..31]),
            format!("00-{}\t-{span}-01", &trace[..31]),
        ] {
            assert_eq!(read(&bad), None, "{bad}");
        }
    }
}
