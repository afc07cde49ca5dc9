//! Who may: the creator, and for the rest 401, 403 and 404.

use actingweb_tests::{Answer, Site};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::json;

use crate::can_carry;

/// What only the creator may do. Nothing here changes anything, even if it were let through.
fn protected() -> Vec<(Method, &'static str)> {
    let mut routes = vec![
        (Method::GET, ""),
        (Method::GET, "/"),
        (Method::HEAD, ""),
        (Method::POST, "/properties"),
        (Method::POST, "/methods"),
        (Method::DELETE, "/properties/none"),
        (Method::PUT, "/properties/kept"),
        (Method::PUT, "/properties/kept/below"),
    ];
    let read = ["/properties", "/properties/kept", "/properties/none", "/methods", "/actions", "/resources"];
    routes.extend(read.map(|path| (Method::GET, path)));
    for path in ["/methods/echo", "/methods/none", "/actions/log_message", "/actions/none", "/resources/report"] {
        routes.extend([Method::GET, Method::POST, Method::PUT].map(|method| (method, path)));
    }
    routes
}

/// Header values of `Authorization` that say nothing that could be right or wrong.
fn malformed() -> Vec<HeaderValue> {
    let basic = |text: &[u8]| format!("Basic {}", STANDARD.encode(text));
    let texts = [
        String::new(),
        "Basic".to_owned(),
        "Basic ".to_owned(),
        "Basic !!!!".to_owned(),
        "Basic YTpi=".to_owned(),
        basic(b"no colon"),
        basic(b"\xff\xfe:x"),
        "basic a b".to_owned(),
        "Bearer".to_owned(),
        "Bearer  ".to_owned(),
        "Bearer two tokens".to_owned(),
        "x".to_owned(),
    ];
    let mut values: Vec<_> = texts.iter().map(|text| HeaderValue::from_str(text).expect("a header")).collect();
    values.push(HeaderValue::from_bytes(b"Basic \xe9\xe8").expect("a header"));
    values
}

/// Credentials that are wrong for an actor of `ann@example.org`.
fn wrong(passphrase: &str, others: (&str, &str)) -> Vec<String> {
    let basic = |user: &str, password: &str| format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
    vec![
        basic("ann@example.org", "wrong"),
        basic("ann@example.org", ""),
        basic("ann@example.org", &format!("{passphrase} ")),
        basic("ann@example.org", &passphrase.to_uppercase()),
        basic("somebody", passphrase),
        basic("", passphrase),
        basic(others.0, others.1),
        format!("Bearer {passphrase}"),
        "bearer aw_0123456789".to_owned(),
        "Digest username=\"ann@example.org\"".to_owned(),
        "ApiKey 1234".to_owned(),
    ]
}

#[tokio::test]
async fn nothing_presented_is_401_with_a_challenge() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    owner.put("/properties/kept", &json!(1)).await.expect(204);
    for (method, path) in protected() {
        let answer = Answer::of(owner.anonymous(method.clone(), path)).await.expect(401);
        let challenge = answer.header("www-authenticate");
        assert!(challenge.starts_with("Basic realm=\""), "{method} {path}: {challenge}");
        if !site.is_elsewhere() {
            assert!(challenge.contains(&format!("realm=\"{}\"", site.host())), "{challenge}");
        }
        if method != Method::HEAD {
            answer.problem(401);
        }
    }
    assert_eq!(owner.get("/properties/kept").await.expect(200).json(), 1);
}

#[tokio::test]
async fn a_header_that_cannot_be_read_is_nothing_presented() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    for value in malformed().into_iter().filter(|value| can_carry(&site, value.as_bytes())) {
        for path in ["", "/properties", "/methods/echo"] {
            let request = owner.anonymous(Method::GET, path).header("authorization", value.clone());
            let answer = Answer::of(request).await;
            assert_eq!(answer.status, 401, "{value:?}: {}", answer.body);
            assert!(answer.header("www-authenticate").starts_with("Basic "), "{value:?}");
            answer.problem(401);
        }
    }
}

#[tokio::test]
async fn wrong_credentials_are_403_without_a_challenge() {
    let site = Site::start().await;
    let other = site.actor("bob@example.org").await;
    // A new actor for each few attempts: too many at one are answered with 429.
    for (method, path) in [(Method::GET, ""), (Method::GET, "/properties/kept"), (Method::POST, "/methods/echo")] {
        let owner = site.actor("ann@example.org").await;
        for value in wrong(&owner.passphrase, (&other.creator, &other.passphrase)) {
            let answer = Answer::of(owner.anonymous(method.clone(), path).header("authorization", &value)).await;
            assert_eq!(answer.status, 403, "{value}: {}", answer.body);
            assert_eq!(answer.header("www-authenticate"), "", "{value}");
            answer.problem(403);
        }
    }
    for (method, path) in protected() {
        let owner = site.actor("ann@example.org").await;
        owner.put("/properties/kept", &json!(1)).await.expect(204);
        let signed = owner.anonymous(method.clone(), path).basic_auth(&other.creator, Some(&other.passphrase));
        let answer = Answer::of(signed).await.expect(403);
        if method != Method::HEAD {
            answer.problem(403);
        }
        assert_eq!(owner.get("/properties/kept").await.expect(200).json(), 1);
    }
}

#[tokio::test]
async fn a_refusal_does_not_say_what_was_wrong_or_what_is_there() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    owner.put("/properties/kept", &json!(1)).await.expect(204);
    let ask = async |path: &'static str, user: &'static str, password: &'static str| {
        let answer = Answer::of(owner.anonymous(Method::GET, path).basic_auth(user, Some(password))).await;
        answer.problem(403).detail()
    };
    let name_right = ask("/properties/kept", "ann@example.org", "wrong").await;
    assert_eq!(name_right, ask("/properties/kept", "somebody", "wrong").await);
    assert_eq!(name_right, ask("/properties/none", "ann@example.org", "wrong").await);
}

#[tokio::test]
async fn the_creator_is_recognised_however_the_header_is_written() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let encoded = STANDARD.encode(format!("Ann@Example.ORG:{}", owner.passphrase));
    for value in [format!("Basic {encoded}"), format!("basic {encoded}"), format!("BASIC  {encoded} ")] {
        Answer::of(owner.anonymous(Method::GET, "").header("authorization", value)).await.expect(200);
    }
}

#[tokio::test]
async fn an_unknown_actor_is_404_whoever_asks() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let ids = [
        "0123456789abcdef0123456789abcdef",
        "unknown",
        // Where other servers keep what is the system's own.
        "_actingweb_system",
        "_actingweb_oauth2",
        &owner.id.to_uppercase(),
        &owner.id[1..],
    ];
    for id in ids {
        for path in ["", "/meta", "/meta/id", "/properties", "/properties/x", "/methods", "/actions/x", "/resources/x"]
        {
            let path = format!("/{id}{path}");
            site.send(Method::GET, &path).await.problem(404);
            let signed = site.request(Method::GET, &path).basic_auth(&owner.creator, Some(&owner.passphrase));
            Answer::of(signed).await.problem(404);
            Answer::of(site.request(Method::GET, &path).header("authorization", "Basic !")).await.problem(404);
        }
        site.send(Method::DELETE, &format!("/{id}")).await.problem(404);
        site.send(Method::POST, &format!("/{id}/properties")).await.problem(404);
    }
}

#[tokio::test]
async fn meta_looks_at_no_credentials() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let wrong = HeaderValue::from_static("Basic d3Jvbmc6d3Jvbmc=");
    for value in malformed().into_iter().chain([wrong]).filter(|value| can_carry(&site, value.as_bytes())) {
        Answer::of(owner.anonymous(Method::GET, "/meta").header("authorization", value)).await.expect(200);
    }
}
