//! Headers that every reply has: `X-Request-ID`, and what HEAD leaves.

use std::collections::HashSet;

use actingweb_tests::{Answer, Site};
use reqwest::Method;

/// Requests of every outcome, with their statuses.
fn requests(id: &str) -> Vec<(Method, String, u16)> {
    vec![
        (Method::GET, "/".to_owned(), 200),
        (Method::GET, format!("/{id}/meta"), 200),
        (Method::GET, format!("/{id}"), 401),
        (Method::GET, format!("/{id}/nothing"), 404),
        (Method::GET, "/no/such/path/at/all".to_owned(), 404),
        (Method::PATCH, format!("/{id}/meta"), 405),
        (Method::GET, format!("/{id}/properties/a%2Fb"), 400),
    ]
}

#[tokio::test]
async fn a_request_id_is_answered_with() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let longest = "aZ9.-_".repeat(22)[..128].to_owned();
    for given in ["1", "req-1.2_3", "0f3c6f0a-6d0e-4f8e-9f7e-0d9b7a4e1c55", &longest] {
        for (method, path, status) in requests(&owner.id) {
            let answer = Answer::of(site.request(method, &path).header("x-request-id", given)).await.expect(status);
            assert_eq!(answer.header("x-request-id"), given, "{path}");
            if status >= 400 {
                answer.problem(status);
            }
        }
    }
    let deletion = owner.request(Method::DELETE, "/properties/x").header("x-request-id", "gone");
    assert_eq!(Answer::of(deletion).await.expect(204).header("x-request-id"), "gone");
}

#[tokio::test]
async fn an_unusable_request_id_is_replaced() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let long = "a".repeat(129);
    for given in ["", " ", "a b", "a\tb", "a,b", "a\"b", "{a}", "a/b", "a=b", "<script>", &long] {
        let answer = Answer::of(owner.request(Method::GET, "/none").header("x-request-id", given)).await.problem(404);
        let id = answer.header("x-request-id");
        assert!(id != given && id.len() == 32, "{given:?} became {id:?}");
    }
}

#[tokio::test]
async fn every_reply_has_a_request_id_of_its_own() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let mut seen = HashSet::new();
    for (method, path, status) in requests(&owner.id) {
        let answer = site.send(method, &path).await.expect(status);
        let id = answer.header("x-request-id").to_owned();
        assert!(!id.is_empty() && seen.insert(id), "{path}");
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    for path in
        ["", "/meta", "/meta/id", "/properties", "/properties/created_at", "/methods", "/actions", "/methods/greet"]
    {
        let (get, head) = (owner.get(path).await.expect(200), Answer::of(owner.request(Method::HEAD, path)).await);
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
    }
    for (path, status) in [("/nothing", 404), ("/properties/none", 404), ("/methods/none", 404), ("/resources", 404)] {
        let head = Answer::of(owner.request(Method::HEAD, path)).await.expect(status);
        assert_eq!(head.body, "", "{path}");
    }
}

#[tokio::test]
async fn content_types_say_what_the_body_is() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    for (path, expected) in [
        ("", "application/json"),
        ("/meta", "application/json"),
        ("/meta/desc", "text/plain; charset=utf-8"),
        ("/properties", "application/json"),
        ("/properties/created_at", "text/plain; charset=utf-8"),
        ("/methods", "application/json"),
        ("/methods/greet", "application/json"),
        ("/resources/report", "application/json"),
    ] {
        assert_eq!(owner.get(path).await.expect(200).header("content-type"), expected, "{path}");
    }
    let deleted = owner.delete("/properties/none").await.expect(204);
    assert_eq!((deleted.header("content-type"), deleted.body.as_str()), ("", ""));
}
