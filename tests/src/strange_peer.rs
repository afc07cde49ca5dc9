//! A peer that does what a test tells it to, and remembers what it was asked.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Stands for the body of the request.
const ECHO: &str = "\u{0}echo";

/// A server that pretends to be an actor.
pub struct StrangePeer {
    /// The actor's id.
    pub id: String,
    /// The actor's URL.
    pub url: String,
    inner: Arc<Mutex<Inner>>,
    server: JoinHandle<()>,
}

/// A request that reached it.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// The path below the actor.
    pub path: String,
    /// What stood behind `Bearer`; empty when there was nothing.
    pub secret: String,
    /// The body as JSON, null when it was none.
    pub body: Value,
}

#[derive(Default)]
struct Inner {
    answers: Vec<(String, String, StatusCode, Value)>,
    asked: Vec<Asked>,
}

impl StrangePeer {
    /// One that says who it is, takes requests for relationships as pending (202), and knows nothing else.
    pub async fn start(id: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/{id}", listener.local_addr().expect("an address"));
        let inner = Arc::new(Mutex::new(Inner::default()));
        let (shared, prefix) = (Arc::clone(&inner), format!("/{id}/"));
        let router = axum::Router::new().fallback(move |request: Request| answer(Arc::clone(&shared), prefix, request));
        #[expect(clippy::disallowed_methods, reason = "a server outlives the call that starts it; dropping ends it")]
        let server = tokio::task::spawn(async move {
            axum::serve(listener, router).await.expect("a server");
        });
        let peer = Self { id: id.to_owned(), url, inner, server };
        peer.answers("GET", "meta", 200, json!({ "id": id, "type": "urn:actingweb:example.com:strange" }));
        peer.answers("POST", "trust/", 202, json!({}));
        peer
    }

    /// What it answers from here on, to paths that begin like this. A `location` in the body is a header, too.
    pub fn answers(&self, method: &str, path: &str, status: u16, body: Value) {
        let status = StatusCode::from_u16(status).expect("a status");
        self.lock().answers.push((method.to_owned(), path.to_owned(), status, body));
    }

    /// From here on, to paths that begin like this, it answers with what it was told.
    pub fn repeats(&self, method: &str, path: &str, status: u16) {
        self.answers(method, path, status, json!(ECHO));
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.lock().asked.clone()
    }

    /// What it was asked at this path, with this method.
    pub fn asked_for(&self, method: &str, path: &str) -> Vec<Asked> {
        self.asked().into_iter().filter(|asked| asked.method == method && asked.path == path).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for StrangePeer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(inner: Arc<Mutex<Inner>>, prefix: String, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes: Bytes = to_bytes(body, 1 << 20).await.unwrap_or_default();
    let secret =
        parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let asked = Asked {
        method: parts.method.to_string(),
        path: parts.uri.path().strip_prefix(&prefix).unwrap_or_default().to_owned(),
        secret: secret.unwrap_or_default().to_owned(),
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
    };
    let mut inner = inner.lock().unwrap_or_else(PoisonError::into_inner);
    inner.asked.push(asked.clone());
    let fits = |(method, path, ..): &&(String, String, StatusCode, Value)| {
        parts.method == Method::from_bytes(method.as_bytes()).unwrap_or_default()
            && asked.path.starts_with(path.as_str())
    };
    let Some((_, _, status, body)) = inner.answers.iter().rev().find(fits) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let body = if body == ECHO { &asked.body } else { body };
    let mut response = (*status, axum::Json(body.clone())).into_response();
    if let Some(location) = body["location"].as_str().and_then(|location| location.parse().ok()) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
