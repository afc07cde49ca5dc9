//! Which verbs each path has, `_method`, and paths that do not exist.

use actingweb_tests::{Answer, Site};
use reqwest::Method;
use serde_json::json;

use crate::FORM;

const VERBS: [Method; 7] =
    [Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE, Method::OPTIONS, Method::PATCH];

/// Each kind of path below an actor, with what its `Allow` says.
const PATHS: [(&str, &str); 16] = [
    ("", "GET, DELETE"),
    ("/", "GET, DELETE"),
    ("/meta", "GET"),
    ("/meta/", "GET"),
    ("/meta/id", "GET"),
    ("/meta/actingweb/version", "GET"),
    ("/properties", "GET, POST, DELETE"),
    ("/properties/", "GET, POST, DELETE"),
    ("/properties/x", "GET, PUT, POST, DELETE"),
    ("/properties/x/y/z", "GET, PUT, DELETE"),
    ("/methods", "GET, POST"),
    ("/methods/echo", "GET, PUT, POST, DELETE"),
    ("/actions", "GET"),
    ("/actions/log_message", "GET, PUT, POST, DELETE"),
    ("/resources", "GET, PUT, POST, DELETE"),
    ("/resources/report", "GET, PUT, POST, DELETE"),
];

/// Asserts that a path has exactly the verbs of `allow`, HEAD with GET.
async fn assert_verbs(site: &Site, path: &str, allow: &str) {
    for method in VERBS {
        let name = if method == Method::HEAD { "GET" } else { method.as_str() };
        let allowed = allow.split(", ").any(|allowed| allowed == name);
        // Without credentials nothing changes, and a verb that a path does not have is refused all the same.
        let answer = site.send(method.clone(), path).await;
        if allowed {
            assert_ne!(answer.status, 405, "{method} {path}");
        } else {
            assert_eq!(answer.header("allow"), allow, "{method} {path}: {}", answer.body);
            answer.problem(405);
        }
    }
}

#[tokio::test]
async fn a_verb_that_a_path_does_not_have_is_405() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    for (path, allow) in PATHS {
        assert_verbs(&site, &format!("/{}{path}", owner.id), allow).await;
    }
    assert_verbs(&site, "/login", "GET").await;
    assert_verbs(&site, "/openapi.json", "GET").await;
    for method in [Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH] {
        let answer = site.send(method, "/").await.problem(405);
        assert_eq!(answer.header("allow"), "GET, POST");
    }
}

#[tokio::test]
async fn only_a_list_takes_a_post() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    owner.put("/properties/x", &json!({ "y": 1 })).await.expect(204);
    for path in ["/properties/x", "/properties/x/y", "/properties/none"] {
        let answer = owner.post(path, &json!({ "z": 2 })).await.problem(405);
        assert_eq!(answer.header("allow"), "GET, PUT, DELETE", "{path}");
    }
    assert_eq!(owner.get("/properties/x").await.expect(200).json(), json!({ "y": 1 }));
}

#[tokio::test]
async fn method_in_the_query_counts_on_post_alone() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    owner.post("/properties/x?_method=PUT", &json!({ "a": 1 })).await.expect(204);
    assert_eq!(owner.get("/properties/x").await.expect(200).json(), json!({ "a": 1 }));
    owner.get("/properties/x?_method=DELETE").await.expect(200);
    owner.put("/properties/x?_method=DELETE", &json!({ "a": 2 })).await.expect(204);
    assert_eq!(owner.get("/properties/x?_method=PUT").await.expect(200).json(), json!({ "a": 2 }));
    owner.post("/properties/x/b?_method=put", &json!(3)).await.expect(204);
    assert_eq!(owner.get("/properties/x").await.expect(200).json(), json!({ "a": 2, "b": 3 }));
    owner.post("/properties/x/b?_method=DELETE", &json!({})).await.expect(204);
    owner.get("/properties/x/b").await.problem(404);
    owner.post("/properties/x?_method=DELETE&_method=PUT", &json!(5)).await.expect(204);
    owner.get("/properties/x").await.problem(404);
}

#[tokio::test]
async fn a_post_is_checked_as_the_verb_it_names() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let refused = owner.post("/properties?_method=PUT", &json!({ "x": 1 })).await.problem(405);
    assert_eq!(refused.header("allow"), "GET, POST, DELETE");
    owner.post("?_method=PUT", &json!({})).await.problem(405);
    owner.post("/meta?_method=DELETE", &json!({})).await.problem(405);
    for value in ["PATCH", "GET", "", "DELETE%20"] {
        owner.post(&format!("/properties?_method={value}"), &json!({ "x": 1 })).await.problem(400);
        owner.send(Method::POST, "/properties", FORM, format!("_method={value}&x=1")).await.problem(400);
    }
    owner.get("/properties/x").await.problem(404);
    // A member of a JSON body is data.
    owner.post("/properties", &json!({ "_method": "DELETE" })).await.expect(201);
    assert_eq!(owner.get("/properties/_method").await.expect(200).body, "DELETE");
}

#[tokio::test]
async fn a_form_may_put_and_delete() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    owner.send(Method::POST, "/properties/x", FORM, "_method=PUT&value=f%C3%B8rste+verdi").await.expect(204);
    assert_eq!(owner.get("/properties/x").await.expect(200).body, "første verdi");
    owner.send(Method::POST, "/properties/x?_method=PUT", FORM, "value=123").await.expect(204);
    assert_eq!(owner.get("/properties/x").await.expect(200).body, "123");
    owner.send(Method::POST, "/properties/x", FORM, "_method=PUT&other=1").await.problem(400);
    assert_eq!(owner.get("/properties/x").await.expect(200).body, "123");
    owner.send(Method::POST, "/properties/x", FORM, "_method=DELETE").await.expect(204);
    owner.get("/properties/x").await.problem(404);

    let greeted =
        owner.send(Method::POST, "/methods/greet", FORM, "_method=PUT&name=Bob&language=no").await.expect(200);
    assert_eq!(greeted.json(), json!({ "message": "Hei, Bob!" }));
    owner.post("/actions/log_message", &json!({ "message": "kept" })).await.expect(200);
    let report = owner.send(Method::POST, "/resources/report", FORM, "_method=DELETE").await.expect(200);
    assert_eq!(report.json()["latest"][0]["message"], "kept");
}

#[tokio::test]
async fn an_overriding_header_is_not_known() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let request = owner.request(Method::POST, "").header("x-http-method-override", "DELETE");
    Answer::of(request).await.problem(405);
    owner.get("").await.expect(200);
}

#[tokio::test]
async fn what_does_not_exist_is_404() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    for path in ["/nothing", "/www", "/callbacks", "/sessions", "/oauth", "/x/y"] {
        for method in VERBS {
            let answer = Answer::of(owner.request(method.clone(), path)).await.expect(404);
            if method != Method::HEAD {
                answer.problem(404);
            }
        }
    }
    // The demo takes no messages; the path takes them alone.
    site.send(Method::POST, "/bot").await.problem(404);
    site.send(Method::GET, "/bot").await.problem(405);
    for path in ["/oauth", "/oauth/nothing", "/oauth/meta", "/.well-known", "/.well-known/nothing"] {
        for method in [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::PATCH] {
            site.send(method, path).await.problem(404);
        }
        site.send(Method::POST, &format!("{path}?_method=DELETE")).await.problem(404);
    }
}
