//! The stand-in services, called with the HTTP client that hooks use.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests may panic as tests do"
)]

use std::time::{Duration, Instant};

use actingweb_testkit::service_standin::ServiceStandin;
use serde_json::{Value, json};

#[expect(clippy::disallowed_methods, reason = "a test's own client")]
fn client() -> reqwest::Client {
    // Plain HTTP: no TLS provider is installed in this process, and none is needed.
    let tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap()
}

async fn fetch(services: &ServiceStandin, path: &str) -> (u16, Value) {
    let reply = client().get(format!("{}{path}", services.url())).send().await.unwrap();
    (reply.status().as_u16(), reply.json().await.unwrap())
}

#[tokio::test]
async fn the_same_question_gets_the_same_answer_from_every_instance() {
    let (one, other) = (ServiceStandin::start().unwrap(), ServiceStandin::start().unwrap());
    for path in ["/weather?city=Oslo", "/news?topic=rust", "/quotes?symbol=ACME", "/slow-store/a%20b"] {
        let answer = fetch(&one, path).await;
        assert_eq!(answer.0, 200, "{path}");
        assert_eq!(answer, fetch(&other, path).await, "{path}");
    }
    assert_ne!(fetch(&one, "/weather?city=Oslo").await, fetch(&one, "/weather?city=Bergen").await);
    assert_eq!(fetch(&one, "/slow-store/a%20b").await.1, json!({"key": "a b", "value": "value of a b"}));
    let price = fetch(&one, "/quotes?symbol=ACME").await.1["price"].as_f64().unwrap();
    assert!((1.0..=501.0).contains(&price));
}

#[tokio::test]
async fn a_question_that_is_wrong_is_told_so() {
    let services = ServiceStandin::start().unwrap();
    for (path, status) in [
        ("/weather", 400),
        ("/weather?city=", 400),
        ("/news?city=Oslo", 400),
        ("/nothing", 404),
        ("/status/503", 503),
        ("/status/100", 400),
    ] {
        assert_eq!(fetch(&services, path).await.0, status, "{path}");
    }
}

#[tokio::test]
async fn the_inbox_keeps_what_came() {
    let services = ServiceStandin::start().unwrap();
    let post = |path: &str, body: &'static str| {
        let request = client().post(format!("{}{path}", services.url()));
        request.header("x-request-id", "r1").body(body).send()
    };
    assert_eq!(post("/inbox", r#"{"n": 1}"#).await.unwrap().status(), 202);
    assert_eq!(post("/inbox/alice", "plain").await.unwrap().status(), 202);
    let received = services.received();
    assert_eq!(received.len(), 2);
    assert_eq!((received[0].path.as_str(), &received[0].body), ("/inbox", &json!({"n": 1})));
    assert_eq!((received[1].path.as_str(), &received[1].body), ("/inbox/alice", &json!("plain")));
    assert_eq!(received[0].request_id.as_deref(), Some("r1"));
}

#[tokio::test]
async fn delays_apply_and_requests_overlap() {
    let services = ServiceStandin::start().unwrap();
    let delay = Duration::from_millis(200);
    services.set_delay(delay);
    let begun = Instant::now();
    let all = futures_util::future::join_all((0..8).map(|_| fetch(&services, "/weather?city=Oslo"))).await;
    assert!(all.iter().all(|(status, _)| *status == 200));
    assert!(begun.elapsed() >= delay);
    assert_eq!(services.call_count(), 8);
    assert_eq!(services.max_concurrent(), 8);

    services.set_delay(Duration::ZERO);
    assert_eq!(fetch(&services, "/delay/1").await.1, json!({"delayed_ms": 1}));
    assert_eq!(services.call_count(), 9);
}
