//! Peers that record what they are called back with, and behave as badly as a test wants.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How a peer answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Behaviour {
    /// It takes what it is sent.
    Take,
    /// It takes its time first.
    TakeAfter(Duration),
    /// This status.
    Answer(u16),
    /// This status, with `Retry-After` in seconds.
    Ask(u16, u64),
    /// A redirect to itself.
    Redirect,
    /// A connection that breaks in the middle of the reply.
    Break,
    /// No answer at all.
    Silence,
    /// 100 MB.
    Flood,
}

/// A callback or a notice that a peer was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Who was called.
    pub peer: String,
    /// The method and the path below it.
    pub what: String,
    /// The body, decompressed; null when there was none.
    pub body: Value,
    /// The headers.
    pub headers: HeaderMap,
    /// How many bytes of body came.
    pub bytes: usize,
    /// Whether the peer took it.
    pub taken: bool,
}

impl Sent {
    /// The number of a callback.
    pub fn sequence(&self) -> u64 {
        self.body["sequence"].as_u64().expect("a number")
    }

    /// A header; empty when there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Any number of peers behind one address.
pub struct Subscribers {
    address: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    inner: Mutex<Inner>,
    flooded: AtomicUsize,
    asked_for_options: AtomicUsize,
}

#[derive(Default)]
struct Inner {
    sent: Vec<Sent>,
    /// What each does next.
    script: HashMap<String, VecDeque<Behaviour>>,
    /// What each does when its script is over.
    lasting: HashMap<String, Behaviour>,
    options: String,
    at_once: HashMap<String, usize>,
    overlapping: HashSet<String>,
}

impl Subscribers {
    /// Starts them; they take everything.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::<Shared>::default();
        let state = Arc::clone(&shared);
        let router = axum::Router::new().fallback(move |request: Request| answer(Arc::clone(&state), request));
        #[expect(clippy::disallowed_methods, reason = "a server outlives the call that starts it; dropping ends it")]
        let server = tokio::task::spawn(async move {
            axum::serve(listener, router).await.expect("a server");
        });
        Self { address, shared, server }
    }

    /// The URL root of a peer.
    pub fn url(&self, peer: &str) -> String {
        format!("{}/{peer}", self.address)
    }

    /// What a peer does from now on.
    pub fn behave(&self, peer: &str, behaviour: Behaviour) {
        self.lock().lasting.insert(peer.to_owned(), behaviour);
    }

    /// What a peer does next, one after the other.
    pub fn script(&self, peer: &str, behaviours: impl IntoIterator<Item = Behaviour>) {
        self.lock().script.insert(peer.to_owned(), behaviours.into_iter().collect());
    }

    /// What they say that they understand.
    pub fn understand(&self, options: &str) {
        options.clone_into(&mut self.lock().options);
    }

    /// How often they were asked what they understand.
    pub fn asked_for_options(&self) -> usize {
        self.shared.asked_for_options.load(Ordering::SeqCst)
    }

    /// All that was sent, in the order it came.
    pub fn sent(&self) -> Vec<Sent> {
        self.lock().sent.clone()
    }

    /// What was sent to one of them.
    pub fn sent_to(&self, peer: &str) -> Vec<Sent> {
        self.lock().sent.iter().filter(|sent| sent.peer == peer).cloned().collect()
    }

    /// The numbers that a peer took, in the order it did, of all its subscriptions.
    pub fn taken(&self, peer: &str) -> Vec<u64> {
        self.sent_to(peer).iter().filter(|sent| sent.taken).map(Sent::sequence).collect()
    }

    /// Whether two callbacks of one subscription were ever under way at the same time.
    pub fn overlapped(&self) -> bool {
        !self.lock().overlapping.is_empty()
    }

    /// How many bytes of floods were taken.
    pub fn flooded(&self) -> usize {
        self.shared.flooded.load(Ordering::SeqCst)
    }

    /// Forgets what was sent.
    pub fn forget(&self) {
        self.lock().sent.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Subscribers {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(shared: Arc<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().trim_start_matches('/');
    let (peer, below) = path.split_once('/').unwrap_or((path, ""));
    let lock = || shared.inner.lock().unwrap_or_else(PoisonError::into_inner);
    if below == "meta/actingweb/supported" {
        shared.asked_for_options.fetch_add(1, Ordering::SeqCst);
        return lock().options.clone().into_response();
    }
    let bytes = to_bytes(body, 1 << 22).await.unwrap_or_default();
    let behaviour = {
        let mut inner = lock();
        let under_way = inner.at_once.entry(path.to_owned()).or_default();
        *under_way += 1;
        if *under_way > 1 {
            inner.overlapping.insert(path.to_owned());
        }
        let scripted = inner.script.get_mut(peer).and_then(VecDeque::pop_front);
        scripted.or_else(|| inner.lasting.get(peer).cloned()).unwrap_or(Behaviour::Take)
    };
    let sent = Sent {
        peer: peer.to_owned(),
        what: format!("{} {below}", parts.method),
        body: serde_json::from_slice(&plain(&parts.headers, &bytes)).unwrap_or_default(),
        headers: parts.headers,
        bytes: bytes.len(),
        taken: matches!(behaviour, Behaviour::Take | Behaviour::TakeAfter(_)),
    };
    lock().sent.push(sent);
    let response = respond(&shared, &behaviour, parts.uri.path()).await;
    if let Some(under_way) = lock().at_once.get_mut(path) {
        *under_way -= 1;
    }
    response
}

async fn respond(shared: &Arc<Shared>, behaviour: &Behaviour, path: &str) -> Response {
    let status = |code: u16| StatusCode::from_u16(code).expect("a status");
    match behaviour {
        Behaviour::Take => StatusCode::NO_CONTENT.into_response(),
        Behaviour::TakeAfter(span) => {
            tokio::time::sleep(*span).await;
            StatusCode::NO_CONTENT.into_response()
        }
        Behaviour::Answer(code) => (status(*code), "a reason").into_response(),
        Behaviour::Ask(code, seconds) => {
            (status(*code), [(header::RETRY_AFTER, seconds.to_string())], "later").into_response()
        }
        Behaviour::Redirect => (StatusCode::FOUND, [(header::LOCATION, path.to_owned())]).into_response(),
        Behaviour::Break => {
            let broken = stream::iter([Ok(Bytes::from_static(b"half a")), Err(std::io::Error::other("broken"))]);
            Body::from_stream(broken).into_response()
        }
        Behaviour::Silence => std::future::pending().await,
        Behaviour::Flood => {
            let shared = Arc::clone(shared);
            let chunks = stream::iter(0..1600).map_chunk(move || {
                shared.flooded.fetch_add(65_536, Ordering::SeqCst);
                Bytes::from(vec![b'x'; 65_536])
            });
            Body::from_stream(chunks).into_response()
        }
    }
}

/// Chunks that are made when they are asked for.
trait MapChunk: futures_util::Stream + Sized {
    fn map_chunk(self, make: impl Fn() -> Bytes) -> impl futures_util::Stream<Item = std::io::Result<Bytes>>;
}

impl<S: futures_util::Stream> MapChunk for S {
    fn map_chunk(self, make: impl Fn() -> Bytes) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> {
        futures_util::StreamExt::map(self, move |_| Ok(make()))
    }
}

fn plain(headers: &HeaderMap, bytes: &Bytes) -> Vec<u8> {
    if headers.get(header::CONTENT_ENCODING).is_none_or(|encoding| encoding != "gzip") {
        return bytes.to_vec();
    }
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&**bytes).read_to_end(&mut plain).expect("gzip");
    plain
}
