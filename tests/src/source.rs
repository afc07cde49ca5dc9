//! A peer that an actor is subscribed to: it has properties and diffs, as a publisher has them, and fails when told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::Asked;

/// The id of the one subscription it gives.
pub const SUBSCRIPTION: &str = "5ub5cr1pt10n";

/// A server that pretends to be an actor with properties.
pub struct Source {
    /// The actor's id.
    pub id: String,
    /// The actor's URL.
    pub url: String,
    inner: Arc<Mutex<Inner>>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Inner {
    properties: Map<String, Value>,
    sequence: u64,
    diffs: BTreeMap<u64, Value>,
    /// What it answers instead of anything, to paths that begin like this.
    instead: Vec<(String, StatusCode, String)>,
    delay: Duration,
    asked: Vec<Asked>,
    /// Diffs made while properties are being read.
    meanwhile: Vec<(String, Value)>,
}

impl Source {
    /// One that has nothing.
    pub async fn start(id: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/{id}", listener.local_addr().expect("an address"));
        let inner = Arc::new(Mutex::new(Inner::default()));
        let (shared, prefix) = (Arc::clone(&inner), format!("/{id}/"));
        let router =
            axum::Router::new().fallback(move |request: Request| answer(Arc::clone(&shared), prefix.clone(), request));
        #[expect(clippy::disallowed_methods, reason = "a server outlives the call that starts it; dropping ends it")]
        let server = tokio::task::spawn(async move {
            axum::serve(listener, router).await.expect("a server");
        });
        Self { id: id.to_owned(), url, inner, server }
    }

    /// Changes a property and numbers the change; gives the body of its callback. `""` deletes.
    pub fn change(&self, name: &str, value: Value) -> Value {
        let mut inner = self.lock();
        inner.change(name, value);
        let sequence = inner.sequence;
        inner.callback(sequence)
    }

    /// Changes a property without a trace, as if the peer had lost its diffs.
    pub fn change_silently(&self, name: &str, value: Value) {
        self.lock().properties.insert(name.to_owned(), value);
    }

    /// Appends to a list and numbers the change; gives the body of its callback.
    pub fn append(&self, name: &str, item: Value) -> Value {
        let mut inner = self.lock();
        let list = inner.properties.entry(name).or_insert_with(|| json!([])).as_array_mut().expect("a list");
        list.push(item.clone());
        let diff = json!({ name: { "list": name, "operation": "append", "length": list.len(), "item": item } });
        inner.number(diff);
        let sequence = inner.sequence;
        inner.callback(sequence)
    }

    /// The body of the callback of low granularity that tells of a diff.
    pub fn low(&self, sequence: u64, url: &str) -> Value {
        let mut callback = self.lock().callback(sequence);
        let members = callback.as_object_mut().expect("an object");
        members.remove("data");
        members.insert("granularity".into(), json!("low"));
        members.insert("url".into(), json!(url));
        callback
    }

    /// Uses up a number and gives the body of the callback that asks to read everything anew.
    pub fn resync(&self) -> Value {
        let mut inner = self.lock();
        inner.sequence += 1;
        json!({
            "subscriptionid": SUBSCRIPTION, "target": "properties", "sequence": inner.sequence,
            "type": "resync", "url": "http://127.0.0.1:1/elsewhere",
        })
    }

    /// Forgets a diff.
    pub fn forget(&self, sequence: u64) {
        self.lock().diffs.remove(&sequence);
    }

    /// A change that happens right when properties are read next.
    pub fn change_meanwhile(&self, name: &str, value: Value) {
        self.lock().meanwhile.push((name.to_owned(), value));
    }

    /// Answers this instead, to paths that begin like this; the text of a redirect is where it leads.
    pub fn answers(&self, path: &str, status: u16, text: &str) {
        let status = StatusCode::from_u16(status).expect("a status");
        self.lock().instead.push((path.to_owned(), status, text.to_owned()));
    }

    /// Answers as it should again.
    pub fn heal(&self) {
        self.lock().instead.clear();
    }

    /// Takes this long for every answer.
    pub fn delay(&self, delay: Duration) {
        self.lock().delay = delay;
    }

    /// The number of its last diff.
    pub fn sequence(&self) -> u64 {
        self.lock().sequence
    }

    /// The numbers of the diffs it still has.
    pub fn diffs(&self) -> Vec<u64> {
        self.lock().diffs.keys().copied().collect()
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.lock().asked.clone()
    }

    /// How often it was asked this, for paths that begin so.
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.asked().iter().filter(|asked| asked.method == method && asked.path.starts_with(path)).count()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Inner {
    fn change(&mut self, name: &str, value: Value) {
        match value.as_str() {
            Some("") => self.properties.remove(name),
            _ => self.properties.insert(name.to_owned(), value.clone()),
        };
        self.number(json!({ name: value }));
    }

    fn number(&mut self, diff: Value) {
        self.sequence += 1;
        self.diffs.insert(self.sequence, diff);
    }

    fn callback(&self, sequence: u64) -> Value {
        json!({
            "subscriptionid": SUBSCRIPTION, "target": "properties", "sequence": sequence,
            "timestamp": "2026-01-01 00:00:00.000000", "granularity": "high",
            "data": self.diffs.get(&sequence).cloned().unwrap_or_default(),
        })
    }

    fn answer(&mut self, asked: &Asked) -> Response {
        let instead = self.instead.iter().rev().find(|(path, ..)| asked.path.starts_with(path.as_str()));
        if let Some((_, status, text)) = instead {
            return (*status, [(header::LOCATION, text.clone())], text.clone()).into_response();
        }
        let path: Vec<&str> = asked.path.split('/').collect();
        match (asked.method.as_str(), path.as_slice()) {
            ("POST", ["subscriptions", _]) => {
                let made = json!({ "subscriptionid": SUBSCRIPTION, "sequence": self.sequence });
                (StatusCode::CREATED, axum::Json(made)).into_response()
            }
            ("GET", ["subscriptions", _, _]) => {
                let diffs: Vec<Value> =
                    self.diffs.iter().map(|(sequence, data)| json!({ "sequence": sequence, "data": data })).collect();
                axum::Json(json!({ "sequence": self.sequence, "data": diffs })).into_response()
            }
            ("GET", ["subscriptions", _, _, sequence]) => {
                let sequence = sequence.parse().expect("a number");
                match self.diffs.get(&sequence) {
                    Some(data) => axum::Json(json!({ "sequence": sequence, "data": data })).into_response(),
                    None => StatusCode::NOT_FOUND.into_response(),
                }
            }
            ("PUT", ["subscriptions", _, _]) => {
                let upto = asked.body["sequence"].as_u64().expect("a number");
                self.diffs.retain(|&sequence, _| sequence > upto);
                StatusCode::NO_CONTENT.into_response()
            }
            ("DELETE", ["subscriptions", _, _]) => StatusCode::NO_CONTENT.into_response(),
            ("GET", ["properties"]) => {
                let shown = |(name, value): (&String, &Value)| match value.as_array() {
                    Some(items) => (name.clone(), json!({ "_list": true, "count": items.len() })),
                    None => (name.clone(), value.clone()),
                };
                let all: Map<_, _> = self.properties.iter().map(shown).collect();
                for (name, value) in std::mem::take(&mut self.meanwhile) {
                    self.change(&name, value);
                }
                axum::Json(all).into_response()
            }
            ("GET", ["properties", name, below @ ..]) => {
                let found = self.properties.get(*name);
                match below.iter().try_fold(found, |found, key| Some(found?.get(key))).flatten() {
                    Some(value) => axum::Json(value).into_response(),
                    None => StatusCode::NOT_FOUND.into_response(),
                }
            }
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    }
}

async fn answer(inner: Arc<Mutex<Inner>>, prefix: String, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, 10_000_000).await.expect("a body");
    let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let asked = Asked {
        method: parts.method.to_string(),
        path: parts.uri.path().strip_prefix(&prefix).unwrap_or(parts.uri.path()).to_owned(),
        secret: header.strip_prefix("Bearer ").unwrap_or_default().to_owned(),
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
    };
    let delay = lock(&inner).delay;
    lock(&inner).asked.push(asked.clone());
    tokio::time::sleep(delay).await;
    lock(&inner).answer(&asked)
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}
