//! Small web services on loopback, for hooks that call some: weather, news, prices, a slow key-value store and an
//! inbox. For tests, and for a demo that works offline. The same question always gets the same answer.
//!
//! | request | answer |
//! |---|---|
//! | `GET /weather?city=Oslo` | `{"city", "temperature_c", "condition"}` |
//! | `GET /news?topic=rust` | `{"topic", "headlines": [3 texts]}` |
//! | `GET /quotes?symbol=ACME` | `{"symbol", "price", "currency"}` |
//! | `GET /slow-store/{key}` | `{"key", "value"}` |
//! | `GET /delay/{ms}` | `{"delayed_ms"}`, after so many milliseconds more |
//! | any method `/status/{code}` | that status, `{"status"}` |
//! | `POST /inbox`, `POST /inbox/{any path}` | 202; what came is kept for [`ServiceStandin::received`] |

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use serde_json::{Value, json};

use crate::background::Background;
use crate::load::Load;

/// How many of the latest messages the inbox keeps.
const KEPT: usize = 1000;
/// The longest `/delay/{ms}` waits.
const LONGEST_DELAY_MS: u64 = 60_000;

/// A message the inbox was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// The path, `/inbox` or below.
    pub path: String,
    /// The `X-Request-ID` that came along.
    pub request_id: Option<String>,
    /// The body; a string when it was no JSON.
    pub body: Value,
}

/// The running services, on a thread of their own. Dropping the value stops them.
#[derive(Debug)]
pub struct ServiceStandin {
    url: String,
    shared: Arc<Shared>,
    _server: Background,
}

#[derive(Debug, Default)]
struct Shared {
    delay_micros: AtomicU64,
    load: Arc<Load>,
    inbox: Mutex<VecDeque<Received>>,
}

impl ServiceStandin {
    /// Starts them on a free port of 127.0.0.1, answering at once.
    ///
    /// # Errors
    /// What the system says when it has no port or no thread to give.
    pub fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let router = router(&shared);
        let (url, server) = Background::serve("service-standin", router)?;
        Ok(Self { url, shared, _server: server })
    }

    /// Their address, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// From now on every answer waits this long.
    pub fn set_delay(&self, delay: Duration) {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.shared.delay_micros.store(micros, Ordering::SeqCst);
    }

    /// How many requests there have been.
    #[must_use]
    pub fn call_count(&self) -> usize {
        self.shared.load.calls()
    }

    /// How many requests there have been at once, at most.
    #[must_use]
    pub fn max_concurrent(&self) -> usize {
        self.shared.load.most()
    }

    /// The latest messages of the inbox (up to 1000), oldest first.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.shared.inbox.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

fn router(shared: &Arc<Shared>) -> Router {
    Router::new()
        .route("/weather", get(weather))
        .route("/news", get(news))
        .route("/quotes", get(quotes))
        .route("/slow-store/{key}", get(stored))
        .route("/delay/{ms}", get(delayed))
        .route("/status/{code}", any(status))
        .route("/inbox", post(receive))
        .route("/inbox/{*rest}", post(receive))
        .fallback(|| async { failure(StatusCode::NOT_FOUND, "there is no such service") })
        .layer(from_fn_with_state(Arc::clone(shared), measure))
        .with_state(Arc::clone(shared))
}

async fn measure(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let _entered = shared.load.enter();
    tokio::time::sleep(Duration::from_micros(shared.delay_micros.load(Ordering::SeqCst))).await;
    next.run(request).await
}

async fn weather(uri: Uri) -> Response {
    let Some(city) = parameter(&uri, "city") else { return missing("city") };
    let seed = seed(&city);
    let condition = pick(&["sunny", "cloudy", "rainy", "snowy", "windy"], seed);
    let temperature = i64::try_from(seed % 45).unwrap_or_default() - 10;
    answer(&json!({"city": city, "temperature_c": temperature, "condition": condition}))
}

async fn news(uri: Uri) -> Response {
    let Some(topic) = parameter(&uri, "topic") else { return missing("topic") };
    let headlines =
        [format!("{topic}: what changed this week"), format!("Five people on {topic}"), format!("Why {topic} matters")];
    answer(&json!({"topic": topic, "headlines": headlines}))
}

async fn quotes(uri: Uri) -> Response {
    let Some(symbol) = parameter(&uri, "symbol") else { return missing("symbol") };
    let cents = u32::try_from(seed(&symbol) % 50_000).unwrap_or_default() + 100;
    answer(&json!({"symbol": symbol, "price": f64::from(cents) / 100.0, "currency": "USD"}))
}

async fn stored(Path(key): Path<String>) -> Response {
    let value = format!("value of {key}");
    answer(&json!({"key": key, "value": value}))
}

async fn delayed(Path(ms): Path<u64>) -> Response {
    let ms = ms.min(LONGEST_DELAY_MS);
    tokio::time::sleep(Duration::from_millis(ms)).await;
    answer(&json!({"delayed_ms": ms}))
}

async fn status(Path(code): Path<u16>) -> Response {
    // Below 200 a status is not an answer yet.
    match StatusCode::from_u16(code) {
        Ok(status) if code >= 200 => json_response(status, &json!({"status": code})),
        _ => failure(StatusCode::BAD_REQUEST, "the status must be between 200 and 999"),
    }
}

async fn receive(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let text = || Value::String(String::from_utf8_lossy(&body).into_owned());
    let received = Received {
        path: uri.path().to_owned(),
        request_id: headers.get("x-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned),
        body: serde_json::from_slice(&body).unwrap_or_else(|_| text()),
    };
    let mut inbox = shared.inbox.lock().unwrap_or_else(PoisonError::into_inner);
    if inbox.len() == KEPT {
        inbox.pop_front();
    }
    inbox.push_back(received);
    json_response(StatusCode::ACCEPTED, &json!({"received": true}))
}

fn parameter(uri: &Uri, name: &str) -> Option<String> {
    url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .find(|(key, value)| key == name && !value.is_empty())
        .map(|(_, value)| value.into_owned())
}

/// A number that belongs to a text: FNV-1a, the same on every machine and in every version.
fn seed(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn pick<'a>(choices: &[&'a str], seed: u64) -> &'a str {
    let index = usize::try_from(seed % choices.len().max(1) as u64).unwrap_or_default();
    choices.get(index).copied().unwrap_or_default()
}

fn answer(body: &Value) -> Response {
    json_response(StatusCode::OK, body)
}

fn missing(parameter: &str) -> Response {
    failure(StatusCode::BAD_REQUEST, &format!("give the query parameter `{parameter}`"))
}

fn failure(status: StatusCode, reason: &str) -> Response {
    json_response(status, &json!({"error": reason}))
}

fn json_response(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
