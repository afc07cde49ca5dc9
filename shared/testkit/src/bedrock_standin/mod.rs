//! Bedrock Runtime on loopback: Converse, ConverseStream and InvokeModel as the real SDK speaks them, answered from a
//! [`Script`]. For tests, and for a local stack that works offline.
//!
//! ```
//! use std::time::Duration;
//! use actingweb_testkit::bedrock_standin::{BedrockStandin, Fault, Script};
//!
//! # fn main() -> std::io::Result<()> {
//! let bedrock = BedrockStandin::start(Script::new().delay(Duration::from_millis(500)).fault(Fault::throttled()))?;
//! // Set AWS_ENDPOINT_URL_BEDROCK_RUNTIME, or the SDK's endpoint_url, to this; any credentials do.
//! println!("{}", bedrock.url());
//! # Ok(()) }
//! ```
//!
//! Streamed answers come a word at a time. A [`Gate`] holds them back; so does a prompt with `[wait:NAME]` after the first
//! word, until a call has a prompt with `[go:NAME]`: for tests, and people, on the other side of a network.

mod frames;
mod gate;
mod script;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::background::Background;
use crate::load::Load;

pub use gate::Gate;
pub use script::{Ending, Fault, Script};

/// How many of the latest calls are remembered word for word.
const REMEMBERED: usize = 1000;
/// Bedrock's own limit for a request body is 20 MB.
const BODY_BYTES: usize = 20 * 1024 * 1024;
const INPUT_TOKENS: HeaderName = HeaderName::from_static("x-amzn-bedrock-input-token-count");
const OUTPUT_TOKENS: HeaderName = HeaderName::from_static("x-amzn-bedrock-output-token-count");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// A call the stand-in was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// `converse`, `converse-stream` or `invoke`.
    pub operation: &'static str,
    /// The model id, decoded.
    pub model: String,
    /// The request body; null when it was no JSON.
    pub body: Value,
}

/// A running stand-in for Bedrock, on a thread of its own. Dropping it stops it.
#[derive(Debug)]
pub struct BedrockStandin {
    url: String,
    shared: Arc<Shared>,
    _server: Background,
}

#[derive(Debug)]
struct Shared {
    script: Mutex<Script>,
    calls: Mutex<VecDeque<Call>>,
    load: Arc<Load>,
    gates: gate::Gates,
}

impl BedrockStandin {
    /// Starts one on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// What the system says when it has no port or no thread to give.
    pub fn start(script: Script) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            script: Mutex::new(script),
            calls: Mutex::new(VecDeque::new()),
            load: Arc::new(Load::default()),
            gates: gate::Gates::default(),
        });
        let router = router(Arc::clone(&shared));
        let (url, server) = Background::serve("bedrock-standin", router)?;
        Ok(Self { url, shared, _server: server })
    }

    /// Its address, for `AWS_ENDPOINT_URL_BEDROCK_RUNTIME`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Goes on with another script. Calls already begun keep the one they began with.
    pub fn set_script(&self, script: Script) {
        *lock(&self.shared.script) = script;
    }

    /// How many calls it has had, the SDK's own retries included.
    #[must_use]
    pub fn call_count(&self) -> usize {
        self.shared.load.calls()
    }

    /// How many calls it has had at once, at most. A streamed call lasts until its stream ends.
    #[must_use]
    pub fn max_concurrent(&self) -> usize {
        self.shared.load.most()
    }

    /// The latest calls (up to 1000), oldest first.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.shared.calls).iter().cloned().collect()
    }
}

/// A panic elsewhere leaves these values whole: each is written in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Notes the call and takes its turn of the script.
    fn take(&self, operation: &'static str, model: String, body: &Bytes) -> (Call, Script, Option<Fault>) {
        let call = Call { operation, model, body: serde_json::from_slice(body).unwrap_or_default() };
        let mut calls = lock(&self.calls);
        if calls.len() == REMEMBERED {
            calls.pop_front();
        }
        calls.push_back(call.clone());
        let mut script = lock(&self.script);
        let fault = script.next_fault();
        (call, script.clone(), fault)
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/model/{model}/converse", post(converse))
        .route("/model/{model}/converse-stream", post(converse_stream))
        .route("/model/{model}/invoke", post(invoke))
        .fallback(|| async { failure(&Fault::Unknown) })
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES))
        .with_state(shared)
}

async fn converse(State(shared): State<Arc<Shared>>, Path(model): Path<String>, body: Bytes) -> Response {
    let _entered = shared.load.enter();
    let (call, script, fault) = shared.take("converse", model, &body);
    shared.gates.of(&call.body);
    tokio::time::sleep(script.delay).await;
    if let Some(fault) = fault {
        return failure(&fault);
    }
    let text = script.text_for(&call.body);
    let usage = script::usage(&call.body, &text);
    let reply = json!({
        "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
        "stopReason": "end_turn",
        "usage": usage,
        "metrics": {"latencyMs": script.delay_ms()},
    });
    json_response(StatusCode::OK, &reply)
}

async fn converse_stream(State(shared): State<Arc<Shared>>, Path(model): Path<String>, body: Bytes) -> Response {
    let entered = shared.load.enter();
    let (call, script, fault) = shared.take("converse-stream", model, &body);
    let named_gate = shared.gates.of(&call.body);
    tokio::time::sleep(script.delay).await;
    if let Some(fault) = fault {
        return failure(&fault);
    }
    let text = script.text_for(&call.body);
    let usage = script::usage(&call.body, &text);
    let mut frames = frames::answer(&text, &usage, &script);
    if named_gate.is_some() {
        frames::release_first(&mut frames);
    }
    let gate = named_gate.or(script.gate);
    let stream = frames::paced(frames, script.pace, gate).map(move |frame| {
        // Held by the stream, so that the call counts as running until its last frame.
        let _running = &entered;
        frame
    });
    let content_type = [(header::CONTENT_TYPE, "application/vnd.amazon.eventstream")];
    (content_type, Body::from_stream(stream)).into_response()
}

async fn invoke(State(shared): State<Arc<Shared>>, Path(model): Path<String>, body: Bytes) -> Response {
    let _entered = shared.load.enter();
    let (call, script, fault) = shared.take("invoke", model, &body);
    tokio::time::sleep(script.delay).await;
    match fault {
        Some(fault) => failure(&fault),
        None => {
            let answer = script.answer_invocation(&call);
            // The API reports tokens in headers only here.
            let counts = script::invocation_usage(&call.body, &answer);
            let mut response = json_response(StatusCode::OK, &answer);
            let headers = [INPUT_TOKENS, OUTPUT_TOKENS].into_iter().zip(counts);
            response.headers_mut().extend(headers.map(|(name, count)| (name, count.into())));
            response
        }
    }
}

fn failure(fault: &Fault) -> Response {
    let (status, code, message) = fault.answer();
    let mut response = json_response(status, &json!({"message": message}));
    response.headers_mut().insert(ERROR_TYPE, axum::http::HeaderValue::from_static(code));
    if let Some(seconds) = fault.retry_after_seconds() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
