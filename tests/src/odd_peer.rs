//! Peers of every kind of behaviour at one address: quick, slow, refusing, redirecting, garbled, without an end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How large a reply without an end would be if it were read to it, in bytes.
pub const ENDLESS: usize = 100 << 20;

/// A server whose actors behave as their ids say. Each takes a request for a relationship at once (201).
///
/// | id begins with | answers |
/// |---|---|
/// | `mirror` | 200, with what it was asked: `method`, `uri`, `authorization`, `request_id`, `parent`, `key`, `body` |
/// | `delayed` | the same, after as long as [`OddPeers::set_delay`] says |
/// | `failing` | 503, noted as `mirror` does |
/// | `hanging` | never |
/// | `refusing` | 403 |
/// | `busy` | 503, `Retry-After: 7` |
/// | `redirecting` | 302 to `mirror` |
/// | `garbled` | 200, no JSON |
/// | `endless` | 200, 100 MB |
pub struct OddPeers {
    root: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    delay: Mutex<Duration>,
    asked: Mutex<Vec<Value>>,
    sent: AtomicUsize,
}

impl OddPeers {
    /// Starts it on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let root = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::new(Shared::default());
        let state = Arc::clone(&shared);
        let router = axum::Router::new().fallback(move |request: Request| answer(Arc::clone(&state), request));
        #[expect(clippy::disallowed_methods, reason = "a server outlives the call that starts it; dropping ends it")]
        let server = tokio::task::spawn(async move {
            axum::serve(listener, router).await.expect("a server");
        });
        Self { root, shared, server }
    }

    /// The URL of an actor.
    pub fn url(&self, id: &str) -> String {
        format!("{}/{id}", self.root)
    }

    /// From now on `delayed` actors wait this long.
    pub fn set_delay(&self, delay: Duration) {
        *self.shared.delay.lock().unwrap_or_else(PoisonError::into_inner) = delay;
    }

    /// What `mirror`, `delayed` and `failing` actors were asked, without handshakes.
    pub fn asked(&self) -> Vec<Value> {
        self.shared.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many bytes of replies without an end were taken.
    pub fn sent(&self) -> usize {
        self.shared.sent.load(Ordering::SeqCst)
    }
}

impl Drop for OddPeers {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(shared: Arc<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().trim_start_matches('/').to_owned();
    let (id, below) = path.split_once('/').unwrap_or((&path, ""));
    match (&parts.method, below) {
        (&Method::GET, "meta") => {
            return axum::Json(json!({ "id": id, "type": "urn:actingweb:example.com:odd" })).into_response();
        }
        (&Method::POST, below) if below.starts_with("trust/") => {
            return (StatusCode::CREATED, axum::Json(json!({}))).into_response();
        }
        _ => {}
    }
    let kind = id.split('-').next().unwrap_or_default();
    match kind {
        "mirror" | "delayed" | "failing" => {
            let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
            let asked = asked(&parts.method, &parts.uri.to_string(), &parts.headers, &bytes);
            shared.asked.lock().unwrap_or_else(PoisonError::into_inner).push(asked.clone());
            let delay = *shared.delay.lock().unwrap_or_else(PoisonError::into_inner);
            if kind == "delayed" {
                tokio::time::sleep(delay).await;
            }
            match kind {
                "failing" => StatusCode::SERVICE_UNAVAILABLE.into_response(),
                _ => axum::Json(asked).into_response(),
            }
        }
        "hanging" => std::future::pending().await,
        "refusing" => (StatusCode::FORBIDDEN, "not you").into_response(),
        "busy" => (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "7")]).into_response(),
        "redirecting" => (StatusCode::FOUND, [(header::LOCATION, "/mirror/redirected")]).into_response(),
        "garbled" => "<html>no JSON</html>".into_response(),
        "endless" => endless(shared),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

fn asked(method: &Method, uri: &str, headers: &HeaderMap, body: &Bytes) -> Value {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    json!({
        "method": method.as_str(),
        "uri": uri,
        "authorization": header("authorization"),
        "request_id": header("x-request-id"),
        "parent": header("x-parent-request-id"),
        "key": header("idempotency-key"),
        "body": serde_json::from_slice::<Value>(body).unwrap_or_default(),
    })
}

fn endless(shared: Arc<Shared>) -> Response {
    const CHUNK: usize = 64 << 10;
    let chunks = futures_util::stream::iter(0..ENDLESS / CHUNK).map(move |_| {
        shared.sent.fetch_add(CHUNK, Ordering::SeqCst);
        Ok::<_, std::convert::Infallible>(Bytes::from(vec![b' '; CHUNK]))
    });
    Body::from_stream(chunks).into_response()
}
