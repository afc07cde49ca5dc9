//! Events of API Gateway reach a router as the requests that clients sent, and its replies reach the gateway.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may panic as tests do")]

use std::path::Path;

use actingweb_runtime::{EventError, handle_event};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

fn event(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/events").join(name);
    serde_json::from_slice(&std::fs::read(path.with_extension("json")).unwrap()).unwrap()
}

/// Answers with what it was asked.
async fn echo(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let headers: serde_json::Map<_, _> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let seen = json!({
        "method": parts.method.as_str(), "uri": parts.uri.to_string(), "headers": headers,
        "body": String::from_utf8_lossy(&body), "length": body.len(),
    });
    seen.to_string().into_response()
}

async fn reply(router: Router, event: Value) -> Value {
    handle_event(router, event, None).await.unwrap()
}

/// What a router sees of an event.
async fn seen(name: &str) -> Value {
    let reply = reply(Router::new().fallback(echo), event(name)).await;
    assert_eq!(reply["statusCode"], 200, "{reply}");
    serde_json::from_str(reply["body"].as_str().unwrap()).unwrap()
}

#[tokio::test]
async fn bodies_arrive_as_sent() {
    let text = seen("json_body").await;
    assert_eq!((&text["method"], &text["uri"]), (&json!("POST"), &json!("/")));
    assert_eq!(text["body"], r#"{"creator":"ann@example.com"}"#);
    assert_eq!(seen("base64_form").await["body"], "creator=ann%40example.com&passphrase=s%C3%A9same");
    assert_eq!(seen("base64_binary").await["length"], 4);
    assert_eq!(seen("no_body").await["length"], 0);
}

#[tokio::test]
async fn cookies_become_one_header() {
    assert_eq!(seen("cookies").await["headers"]["cookie"], "session=abc; theme=dark; level");
}

#[tokio::test]
async fn decoded_and_encoded_paths_are_one() {
    let expected = "/4f2a/properties/first%20name/k%C3%A4se/a%23b/100%25?metadata=true&q=%20+";
    assert_eq!(seen("decoded_path").await["uri"], expected);
    assert_eq!(seen("encoded_path").await["uri"], expected);
    assert_eq!(seen("encoded_slash").await["uri"], "/4f2a/properties/a%2Fb%3Fc");
}

#[tokio::test]
async fn the_watch_command_s_events_are_read() {
    assert_eq!(seen("watch").await["uri"], "/4f2a/properties/first%20name/k%C3%A4se/?a=b%20c");
}

#[tokio::test]
async fn dots_and_slashes_stay() {
    assert_eq!(seen("dots_and_slashes").await["uri"], "/4f2a/properties/../meta//id/./");
    assert_eq!(seen("trailing_slash").await["uri"], "/4f2a/meta/");
}

#[tokio::test]
async fn a_named_stage_is_no_part_of_the_path() {
    assert_eq!(seen("named_stage").await["uri"], "/4f2a/meta/actingweb/version");
    assert_eq!(seen("named_stage_root").await["uri"], "/");
}

#[tokio::test]
async fn odd_headers_fail_nothing() {
    let seen = seen("odd_host").await;
    assert_eq!(seen["uri"], "/4f2a/meta");
    assert_eq!(seen["headers"]["x-umlaut"], "ü");
    assert_eq!((&seen["headers"]["x-bad name"], &seen["headers"]["x-control"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn the_caller_s_headers_arrive() {
    let seen = seen("credentials").await;
    assert_eq!(seen["headers"]["x-request-id"], "client-chosen-1");
    assert_eq!(seen["headers"]["authorization"], "Basic Y3JlYXRvcjpzZWNyZXQ=");
}

#[tokio::test]
async fn replies_keep_cookies_repeated_headers_and_bytes() {
    let headers = [("set-cookie", "a=1, 2"), ("set-cookie", "b=2"), ("vary", "accept"), ("vary", "origin")];
    let answer = |body: &'static [u8]| {
        Router::new().fallback(move || async move {
            let mut response = Response::new(Body::from(body));
            for (name, value) in headers {
                response.headers_mut().append(name, value.parse().unwrap());
            }
            response
        })
    };
    let text = reply(answer("grüezi".as_bytes()), event("trailing_slash")).await;
    let expected = json!({
        "statusCode": 200, "headers": { "content-length": "7", "vary": "accept, origin" }, "cookies": ["a=1, 2", "b=2"],
        "body": "grüezi", "isBase64Encoded": false,
    });
    assert_eq!(text, expected);
    let binary = reply(answer(&[0xff, 0x00]), event("trailing_slash")).await;
    assert_eq!((&binary["body"], &binary["isBase64Encoded"]), (&json!("/wA="), &json!(true)));
}

#[tokio::test]
async fn head_has_no_body() {
    let reply = reply(Router::new().fallback(|| async { "text" }), event("head")).await;
    assert_eq!((&reply["body"], &reply["headers"]["content-length"]), (&json!(""), &json!("4")));
}

#[tokio::test]
async fn the_deadline_of_the_invocation_goes_along() {
    use actingweb_protocol::Deadline;
    let deadline = Deadline::at(tokio::time::Instant::now().into_std());
    let router = Router::new()
        .fallback(|request: Request| async move { format!("{:?}", request.extensions().get::<Deadline>()) });
    let reply = handle_event(router, event("trailing_slash"), Some(deadline)).await.unwrap();
    assert_eq!(reply["body"], format!("{:?}", Some(deadline)));
}

#[tokio::test]
async fn what_no_gateway_sends_is_an_error() {
    let router = || Router::new().fallback(echo);
    let refused = |event| handle_event(router(), event, None);
    assert!(matches!(refused(json!({ "Records": [] })).await, Err(EventError::Format(_))));
    let mut broken = event("base64_form");
    broken["body"] = json!("%%%");
    assert!(matches!(refused(broken).await, Err(EventError::Body(_))));
    let mut broken = event("no_body");
    broken["requestContext"]["http"]["method"] = json!("DEL ETE");
    assert!(matches!(refused(broken).await, Err(EventError::Method)));
}

#[tokio::test]
async fn a_reply_that_lambda_could_not_carry_is_a_413_that_says_so() {
    // Each quote takes two bytes of the reply's JSON.
    let router = |size: usize| Router::new().fallback(move || async move { "\"".repeat(size) });
    let carried = reply(router(2_900_000), event("json_body")).await;
    assert_eq!(carried["statusCode"], 200);
    let refused = reply(router(3_100_000), event("json_body")).await;
    assert_eq!(refused["statusCode"], 413);
    assert_eq!(refused["headers"]["content-type"], "application/problem+json");
    assert!(refused["body"].as_str().unwrap().len() < 500);
}
