//! Calls over real sockets to peers that behave well, badly, and maliciously.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests may panic as tests do"
)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actingweb_peer::{
    AddressKind, Guard, HttpSettings, Limits, Outcome, PeerAddress, PeerClient, PeerError, Refusal, Retry, Secret,
    fan_out, http_client,
};
use actingweb_protocol::{Deadline, Entropy};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get};
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A server on loopback, stopped when dropped.
struct Peer {
    address: SocketAddr,
    _task: JoinSet<()>,
}

impl Peer {
    async fn start(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, service).await.unwrap() });
        Self { address, _task: task }
    }

    /// A peer that sends these bytes to whoever connects, and hangs up.
    async fn raw(bytes: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let _ = socket.write_all(bytes).await;
            }
        });
        Self { address, _task: task }
    }

    fn address(&self) -> PeerAddress {
        PeerAddress::new(&format!("http://{}", self.address)).unwrap()
    }
}

fn client(guard: Guard) -> PeerClient {
    PeerClient::new(&HttpSettings::default(), guard, Limits::default()).unwrap()
}

fn local() -> PeerClient {
    client(Guard::Loopback)
}

fn within(millis: u64) -> Deadline {
    Deadline::after(std::time::Instant::now(), Duration::from_millis(millis))
}

/// A handler that counts how often it was reached.
fn counter() -> (Arc<AtomicUsize>, MethodRouter) {
    let hits = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&hits);
    let count = move || async move {
        seen.fetch_add(1, Ordering::SeqCst);
    };
    (hits, any(count))
}

/// Answers with what it saw of the request.
async fn mirror(request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let header = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let seen = json!({
        "method": parts.method.as_str(),
        "uri": parts.uri.to_string(),
        "authorization": header("authorization"),
        "request_id": header("x-request-id"),
        "parent_request_id": header("x-parent-request-id"),
        "content_type": header("content-type"),
        "accept": header("accept"),
        "body": serde_json::from_slice::<Value>(&body).unwrap_or(Value::Null),
    });
    (StatusCode::CREATED, [("location", "/made/here")], seen.to_string()).into_response()
}

#[tokio::test]
async fn a_call_carries_the_secret_the_request_id_and_json_both_ways() {
    let peer = Peer::start(Router::new().fallback(any(mirror))).await;
    let address = PeerAddress::new(&format!("http://{}/actor/", peer.address)).unwrap();
    let address = address.with_secret(Secret::new("s3cret"));
    let client = local().with_request_id("req-1");
    let body = json!({"a": [1, 2]});

    let reply = client.post(&address, "/trust/friend?x=1").json(&body).send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::CREATED);
    assert_eq!(reply.location(), Some("/made/here"));
    let expected = json!({
        "method": "POST",
        "uri": "/actor/trust/friend?x=1",
        "authorization": "Bearer s3cret",
        "request_id": "req-1",
        "parent_request_id": null,
        "content_type": "application/json",
        "accept": "application/json",
        "body": {"a": [1, 2]},
    });
    assert_eq!(reply.json::<Value>().unwrap(), expected);

    let call = client.clone().with_request_ids("call-1", "req-1");
    let seen: Value = call.get(&address, "").send().await.unwrap().json().unwrap();
    assert_eq!((&seen["request_id"], &seen["parent_request_id"]), (&json!("call-1"), &json!("req-1")));

    for (request, method) in [
        (client.get(&address, ""), "GET"),
        (client.put(&address, "x").json("v"), "PUT"),
        (client.delete(&address, "x"), "DELETE"),
    ] {
        assert_eq!(request.send().await.unwrap().json::<Value>().unwrap()["method"], method);
    }
}

#[tokio::test]
async fn without_a_secret_or_a_usable_request_id_none_is_sent() {
    let peer = Peer::start(Router::new().fallback(any(mirror))).await;
    let client = local().with_request_id("two\nlines");
    let seen: Value = client.get(&peer.address(), "").send().await.unwrap().json().unwrap();
    assert_eq!(seen["authorization"], Value::Null);
    assert_eq!(seen["request_id"], Value::Null);
    assert_eq!(seen["content_type"], Value::Null);
}

#[tokio::test]
async fn a_path_outside_the_base_sends_nothing() {
    let (hits, count) = counter();
    let peer = Peer::start(Router::new().fallback(count)).await;
    let address = PeerAddress::new(&format!("http://{}/actor", peer.address)).unwrap();
    let address = address.with_secret(Secret::new("s3cret"));
    let elsewhere = format!("http://{}/other", peer.address);
    for path in ["../other", elsewhere.as_str(), "http://127.0.0.1:1/actor"] {
        let error = local().get(&address, path).send().await.unwrap_err();
        assert_eq!(error, PeerError::Refused { reason: Refusal::OutsideBase }, "{path}");
    }
    assert_eq!(hits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_redirect_is_an_answer_not_a_way() {
    let (hits, count) = counter();
    let router =
        Router::new().route("/from", get(|| async { (StatusCode::FOUND, [("location", "/to")]) })).route("/to", count);
    let peer = Peer::start(router).await;
    let error = local().get(&peer.address(), "from").send().await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::FOUND));
    assert!(!error.is_retryable());
    assert_eq!(hits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_reply_of_100_megabytes_is_cut_off_early() {
    const CHUNK: usize = 64 * 1024;
    let produced = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&produced);
    let endless = move || {
        let chunks = stream::iter(0..100 * 1024 * 1024 / CHUNK).map(move |_| {
            counter.fetch_add(CHUNK, Ordering::SeqCst);
            Ok::<_, Infallible>(Bytes::from(vec![b'x'; CHUNK]))
        });
        async move { Body::from_stream(chunks) }
    };
    let peer = Peer::start(Router::new().route("/", get(endless))).await;
    let error = local().get(&peer.address(), "").send().await.unwrap_err();
    assert_eq!(error, PeerError::TooLarge { limit: 1024 * 1024 });
    // What was not held here must not even have been produced there, but for what the sockets hold.
    let produced = produced.load(Ordering::SeqCst);
    assert!(produced < 32 * 1024 * 1024, "the peer got rid of {produced} bytes");
}

#[tokio::test]
async fn the_limit_counts_what_a_small_compressed_reply_unfolds_to() {
    const ZEROS: &[u8] = include_bytes!("fixtures/two-mebibytes-of-zeros.gz");
    const { assert!(ZEROS.len() < 4096) };
    let reply = || async { ([("content-encoding", "gzip")], Bytes::from_static(ZEROS)) };
    let peer = Peer::start(Router::new().route("/", get(reply))).await;
    let error = local().get(&peer.address(), "").send().await.unwrap_err();
    assert_eq!(error, PeerError::TooLarge { limit: 1024 * 1024 });

    let roomy = Limits { reply_bytes: 2 * 1024 * 1024, ..Limits::default() };
    let roomy = PeerClient::new(&HttpSettings::default(), Guard::Loopback, roomy).unwrap();
    assert_eq!(roomy.get(&peer.address(), "").send().await.unwrap().body().len(), 2 * 1024 * 1024);
}

#[tokio::test]
async fn a_peer_that_never_answers_costs_no_more_than_the_deadline() {
    let stalled = || async {
        let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"{"))]);
        Body::from_stream(first.chain(stream::pending()))
    };
    let router = Router::new()
        .route("/silent", get(std::future::pending::<Response>))
        .route("/stalled", get(stalled))
        .route("/stalled-error", get(move || async move { (StatusCode::BAD_GATEWAY, stalled().await) }));
    let peer = Peer::start(router).await;
    let address = peer.address();
    for path in ["silent", "stalled", "stalled-error"] {
        let error = local().get(&address, path).deadline(within(50)).send().await.unwrap_err();
        assert_eq!(error, PeerError::TimedOut, "{path}");
        let client = local().with_deadline(within(50)).with_deadline(within(60_000));
        assert_eq!(client.get(&address, path).send().await.unwrap_err(), PeerError::TimedOut, "{path}");
    }
    let hasty = Limits { timeout: Duration::from_millis(50), ..Limits::default() };
    let hasty = PeerClient::new(&HttpSettings::default(), Guard::Loopback, hasty).unwrap();
    let error = hasty.get(&address, "silent").deadline(within(60_000)).send().await.unwrap_err();
    assert_eq!(error, PeerError::TimedOut);
}

#[tokio::test]
async fn after_the_deadline_nothing_is_sent() {
    let (hits, count) = counter();
    let peer = Peer::start(Router::new().fallback(count)).await;
    let late = local().with_deadline(within(0));
    assert_eq!(late.get(&peer.address(), "").send().await.unwrap_err(), PeerError::TimedOut);
    assert_eq!(hits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn garbage_is_told_apart() {
    let peer = Peer::raw(b"\x00\x01 this is not HTTP\r\n\r\n").await;
    let error = local().get(&peer.address(), "").send().await.unwrap_err();
    assert!(matches!(error, PeerError::Interrupted { .. }), "{error:?}");

    let peer = Peer::raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"half\":").await;
    let error = local().get(&peer.address(), "").send().await.unwrap_err();
    assert!(matches!(error, PeerError::Interrupted { .. }), "{error:?}");

    let peer = Peer::start(Router::new().route("/", get(|| async { "<html>" }))).await;
    let error = local().get(&peer.address(), "").send().await.unwrap().json::<Value>().unwrap_err();
    assert!(matches!(error, PeerError::NotJson { .. }), "{error:?}");
}

#[tokio::test]
async fn a_peer_that_is_not_there_is_unreachable() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let address = PeerAddress::new(&format!("http://{closed}/hidden-path")).unwrap();
    let error = local().get(&address, "").send().await.unwrap_err();
    assert!(matches!(error, PeerError::Unreachable { .. }), "{error:?}");
    assert!(error.is_retryable());
    assert!(!error.to_string().contains("hidden-path"), "{error}");

    // Something listens there, but it does not speak TLS.
    let plain = Peer::start(Router::new()).await;
    let address = PeerAddress::new(&format!("https://{}", plain.address)).unwrap();
    let error = local().get(&address, "").send().await.unwrap_err();
    assert!(matches!(error, PeerError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn strict_refuses_what_is_inside_by_address_and_by_name() {
    let plain = Peer::start(Router::new()).await;
    let port = plain.address.port();
    let loopback = PeerError::Refused { reason: Refusal::Address { kind: AddressKind::Loopback } };
    for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost", "LOCALHOST"] {
        let address = PeerAddress::new(&format!("https://{host}:{port}")).unwrap();
        let error = client(Guard::Strict).get(&address, "").send().await.unwrap_err();
        assert_eq!(error, loopback, "{host}");
        assert!(!error.is_retryable());
    }
    let error = client(Guard::Strict).get(&plain.address(), "").send().await.unwrap_err();
    assert_eq!(error, PeerError::Refused { reason: Refusal::Scheme { guard: Guard::Strict } });
}

#[tokio::test]
async fn loopback_reaches_this_machine_by_name() {
    let peer = Peer::start(Router::new().fallback(any(mirror))).await;
    let address = PeerAddress::new(&format!("http://localhost:{}", peer.address.port())).unwrap();
    assert!(local().get(&address, "").send().await.is_ok());
    let metadata = PeerAddress::new("http://169.254.169.254/latest/meta-data").unwrap();
    let error = local().get(&metadata, "").send().await.unwrap_err();
    assert_eq!(error, PeerError::Refused { reason: Refusal::Address { kind: AddressKind::LinkLocal } });
}

#[tokio::test]
async fn an_error_status_keeps_the_wait_and_not_the_secret() {
    let busy = |headers: HeaderMap| async move {
        let echo = headers["authorization"].to_str().unwrap().to_owned();
        (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "7")], format!("busy; you sent\n{echo}"))
    };
    let peer = Peer::start(Router::new().route("/", get(busy))).await;
    let address = peer.address().with_secret(Secret::new("s3cret"));
    let error = local().get(&address, "").send().await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert!(error.is_retryable());
    let PeerError::Status { body_excerpt, .. } = &error else { panic!("{error:?}") };
    assert_eq!(body_excerpt, "busy; you sent Bearer [secret]");
    assert!(!format!("{error} {error:?}").contains("s3cret"));
}

#[tokio::test]
async fn a_secret_that_fits_no_header_is_an_error_without_it() {
    let peer = Peer::start(Router::new()).await;
    let address = peer.address().with_secret(Secret::new("s3\ncret"));
    let error = local().get(&address, "").send().await.unwrap_err();
    assert!(matches!(error, PeerError::Unsendable { .. }));
    assert!(!format!("{error:?}").contains("cret\""), "{error:?}");
}

#[tokio::test]
async fn connections_are_reused() {
    let port = |ConnectInfo(from): ConnectInfo<SocketAddr>| async move { from.port().to_string() };
    let peer = Peer::start(Router::new().route("/", get(port))).await;
    let client = local();
    let first: u16 = client.get(&peer.address(), "").send().await.unwrap().json().unwrap();
    for _ in 0..5 {
        let next: u16 = client.clone().get(&peer.address(), "").send().await.unwrap().json().unwrap();
        assert_eq!(next, first);
    }
}

#[tokio::test]
async fn the_plain_client_follows_the_author() {
    let router = Router::new()
        .route("/from", get(|| async { (StatusCode::FOUND, [("location", "/to")]) }))
        .route("/to", get(|| async { "here" }));
    let peer = Peer::start(router).await;
    let http = http_client(&HttpSettings::default()).unwrap();
    let reply = http.get(format!("http://{}/from", peer.address)).send().await.unwrap();
    assert_eq!(reply.text().await.unwrap(), "here");
}

#[tokio::test]
async fn calls_to_many_peers_overlap_and_keep_every_outcome() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        "1"
    };
    let router = Router::new()
        .route("/good", get(slow))
        .route("/bad", get(|| async { StatusCode::NOT_FOUND }))
        .route("/silent", get(std::future::pending::<Response>));
    let peer = Peer::start(router).await;
    let (client, address) = (local(), peer.address());
    let paths = ["good", "bad", "silent", "good", "good"];
    let calls = fan_out(paths, 5, within(1000), |path| {
        let (client, address) = (&client, &address);
        async move { client.get(address, path).send().await?.json::<u8>() }
    });
    let outcomes = assert_send(calls).await;
    let [Outcome::Ok { value: 1 }, bad, Outcome::TimedOut, Outcome::Ok { value: 1 }, Outcome::Ok { value: 1 }] =
        &outcomes[..]
    else {
        panic!("{outcomes:?}")
    };
    let Outcome::Error { error } = bad else { panic!("{bad:?}") };
    assert_eq!(error.status(), Some(StatusCode::NOT_FOUND));
}

/// Randomness that draws the shortest wait, which is none.
#[derive(Debug)]
struct NoWait;

impl Entropy for NoWait {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// A client that tries three times, and a peer that fails this often, with this status and wait, before it answers.
async fn failing(times: usize, status: u16, retry_after: Option<u64>) -> (Peer, Arc<AtomicUsize>, PeerClient) {
    let hits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&hits);
    let handler = any(move || async move {
        if counted.fetch_add(1, Ordering::SeqCst) >= times {
            return StatusCode::OK.into_response();
        }
        let mut response = StatusCode::from_u16(status).unwrap().into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert("retry-after", seconds.into());
        }
        response
    });
    let peer = Peer::start(Router::new().fallback_service(handler)).await;
    (peer, hits, local().with_retry(Retry::default(), Arc::new(NoWait)))
}

#[tokio::test]
async fn what_may_happen_twice_is_tried_again() {
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
        let (peer, hits, client) = failing(2, 503, None).await;
        client.request(method.clone(), &peer.address(), "x").send().await.unwrap();
        assert_eq!(hits.load(Ordering::SeqCst), 3, "{method}");
    }
    let (peer, hits, client) = failing(3, 503, None).await;
    let error = client.get(&peer.address(), "x").send().await.unwrap_err();
    assert_eq!((error.status(), hits.load(Ordering::SeqCst)), (Some(StatusCode::SERVICE_UNAVAILABLE), 3));
}

#[tokio::test]
async fn a_post_is_tried_again_only_when_it_has_a_name() {
    for method in [Method::POST, Method::PATCH] {
        let (peer, hits, client) = failing(1, 503, None).await;
        client.request(method.clone(), &peer.address(), "x").send().await.unwrap_err();
        assert_eq!(hits.load(Ordering::SeqCst), 1, "{method}");
    }
    let (peer, hits, client) = failing(2, 503, None).await;
    client.post(&peer.address(), "x").json(&json!({})).idempotency_key("order-17").send().await.unwrap();
    assert_eq!(hits.load(Ordering::SeqCst), 3);

    let error = client.post(&peer.address(), "x").idempotency_key("a\nb").json(&json!({})).send().await.unwrap_err();
    assert!(matches!(error, PeerError::Unsendable { .. }), "{error:?}");
    assert_eq!(hits.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn what_cannot_pass_and_what_is_switched_off_is_tried_once() {
    for status in [400, 401, 403, 404, 409, 501] {
        let (peer, hits, client) = failing(1, status, None).await;
        client.get(&peer.address(), "x").send().await.unwrap_err();
        assert_eq!(hits.load(Ordering::SeqCst), 1, "{status}");
    }
    let (peer, hits, client) = failing(2, 503, None).await;
    client.get(&peer.address(), "x").retry(Retry::OFF).send().await.unwrap_err();
    local().get(&peer.address(), "x").send().await.unwrap_err();
    assert_eq!(hits.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_wait_that_would_pass_the_deadline_is_not_begun() {
    let (peer, hits, client) = failing(1, 429, Some(3600)).await;
    let error = client.get(&peer.address(), "x").send().await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    assert_eq!(hits.load(Ordering::SeqCst), 1);

    // Retry-After wins over the backoff, and a deadline of the call's own over the client's.
    let (peer, hits, client) = failing(1, 429, Some(1)).await;
    client.get(&peer.address(), "x").deadline(within(900)).send().await.unwrap_err();
    assert_eq!(hits.load(Ordering::SeqCst), 1);
    client.get(&peer.address(), "x").send().await.unwrap();
    assert_eq!(hits.load(Ordering::SeqCst), 2);
}
