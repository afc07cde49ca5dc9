//! Every route answers alike over HTTP and from events of API Gateway (payload format 2.0).
//!
//! The same requests go to four actors: over HTTP, and as events in the three forms that occur. What comes back must be
//! the same but for the actors' ids.

use actingweb_runtime::handle_event;
use actingweb_tests::{Answer, Owner, Site};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Map, Value, json};

use crate::{FORM, in_process};

const JSON: &str = "application/json";

/// Headers that clients act upon.
const COMPARED: [&str; 8] = [
    "content-type",
    "location",
    "www-authenticate",
    "allow",
    "retry-after",
    "cache-control",
    "content-security-policy",
    "x-request-id",
];

/// Who writes the event.
#[derive(Clone, Copy, Debug)]
enum Sender {
    /// API Gateway: the path decoded, forms in base64, no member `body` when there is none.
    Gateway,
    /// API Gateway with a named stage, which stands in front of the path.
    Stage,
    /// `cargo lambda watch` and function URLs: the path as the client wrote it.
    Watch,
}

/// One request below an actor's URL; `{root}` in front means the site's root instead.
struct Case {
    method: Method,
    path: &'static str,
    query: &'static str,
    signed: bool,
    headers: Vec<(&'static str, &'static str)>,
    content_type: &'static str,
    body: Option<&'static str>,
}

fn case(method: Method, path: &'static str) -> Case {
    let headers = vec![("x-request-id", "same-id"), ("accept", "*/*")];
    Case { method, path, query: "", signed: true, headers, content_type: "", body: None }
}

impl Case {
    fn body(mut self, content_type: &'static str, body: &'static str) -> Self {
        (self.content_type, self.body) = (content_type, Some(body));
        self
    }

    const fn query(mut self, query: &'static str) -> Self {
        self.query = query;
        self
    }

    const fn unsigned(mut self) -> Self {
        self.signed = false;
        self
    }

    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.retain(|(given, _)| *given != name);
        self.headers.push((name, value));
        self
    }

    /// The path as the client writes it.
    fn path_for(&self, owner: &Owner) -> String {
        self.path.strip_prefix("{root}").map_or_else(|| format!("/{}{}", owner.id, self.path), str::to_owned)
    }

    fn all_headers(&self, owner: &Owner) -> Vec<(&'static str, String)> {
        let mut headers: Vec<_> = self.headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        if self.signed {
            let credentials = STANDARD.encode(format!("{}:{}", owner.creator, owner.passphrase));
            headers.push(("authorization", format!("Basic {credentials}")));
        }
        if !self.content_type.is_empty() {
            headers.push(("content-type", self.content_type.to_owned()));
        }
        headers
    }

    async fn over_http(&self, site: &Site, owner: &Owner) -> Answer {
        let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query) };
        let mut request = site.request(self.method.clone(), &format!("{}{query}", self.path_for(owner)));
        for (name, value) in self.all_headers(owner) {
            request = request.header(name, value);
        }
        Answer::of(request.body(self.body.unwrap_or_default())).await
    }

    fn event(&self, owner: &Owner, sender: Sender) -> Value {
        let path = self.path_for(owner);
        let decoded = || percent_decode_str(&path).decode_utf8_lossy().into_owned();
        let (path, stage) = match sender {
            Sender::Gateway => (decoded(), "$default"),
            Sender::Stage => (format!("/prod{}", decoded()), "prod"),
            Sender::Watch => (path, "$default"),
        };
        let mut headers = Map::new();
        let mut cookies = Vec::new();
        for (name, value) in self.all_headers(owner) {
            match name {
                "cookie" => cookies = value.split("; ").map(str::to_owned).collect(),
                _ => drop(headers.insert(name.to_owned(), json!(value))),
            }
        }
        let mut event = fixture("no_body");
        event["rawPath"] = json!(path);
        event["rawQueryString"] = json!(self.query);
        event["headers"].as_object_mut().expect("headers").extend(headers);
        event["requestContext"]["http"]["method"] = json!(self.method.as_str());
        event["requestContext"]["http"]["path"] = json!(path);
        event["requestContext"]["stage"] = json!(stage);
        if !cookies.is_empty() {
            event["cookies"] = json!(cookies);
        }
        match self.body {
            Some(body) if self.content_type == FORM => {
                event["body"] = json!(STANDARD.encode(body));
                event["isBase64Encoded"] = json!(true);
            }
            Some(body) => event["body"] = json!(body),
            None if matches!(sender, Sender::Watch) => event["body"] = Value::Null,
            None => {}
        }
        event
    }
}

fn fixture(name: &str) -> Value {
    let path = format!("{}/fixtures/events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What the function makes of an event.
async fn over_event(site: &Site, event: Value) -> Answer {
    let request = format!("event {} {}", event["requestContext"]["http"]["method"], event["rawPath"]);
    let router = actingweb_local::router(site.state().clone());
    let reply = handle_event(router, event, None).await.unwrap_or_else(|error| panic!("{request}: {error}"));
    let mut headers = HeaderMap::new();
    for (name, value) in reply["headers"].as_object().expect("headers") {
        let value = value.as_str().and_then(|value| value.parse().ok()).expect("a header");
        headers.insert(name.parse::<reqwest::header::HeaderName>().expect("a name"), value);
    }
    let body = reply["body"].as_str().expect("a body").to_owned();
    assert_eq!(reply["isBase64Encoded"], false, "{request}: every reply is text");
    let status = reply["statusCode"].as_u64().and_then(|status| status.try_into().ok()).expect("a status");
    Answer { request, status, headers, body }
}

/// A reply as text, without what differs between two actors.
fn comparable(answer: &Answer, owner: &Owner) -> String {
    let created = answer.header("location").rsplit('/').next().filter(|id| id.len() == 32).unwrap_or(&owner.id);
    let headers = COMPARED.map(|name| format!("{name}: {}\n", answer.header(name))).concat();
    let text = format!("{}\n{headers}\n{}", answer.status, answer.body);
    text.replace(created, "{id}").replace(&owner.id, "{id}")
}

/// In an order in which each actor goes through the same states.
fn cases() -> Vec<Case> {
    use Method as M;
    let mut cases = vec![
        case(M::GET, "{root}/").unsigned(),
        case(M::GET, "{root}/login").unsigned(),
        case(M::GET, "{root}/login/").unsigned(),
        case(M::GET, "{root}/nothing").unsigned(),
        case(M::GET, "{root}/mcp").unsigned(),
        case(M::GET, "{root}/no/such/path").unsigned(),
        case(M::PUT, "{root}/").unsigned(),
        case(M::POST, "{root}/").unsigned().body(JSON, r#"{"creator":"Bo@x.no","passphrase":"s:ésame"}"#),
        case(M::POST, "{root}/").unsigned().body(FORM, "creator=B%C3%B8&passphrase=s%C3%A9same+x"),
        case(M::POST, "{root}/").unsigned().body(FORM, "passphrase=long+enough").header("accept", JSON),
        case(M::POST, "{root}/").unsigned().body(JSON, "{"),
        case(M::POST, "{root}/").unsigned().body(JSON, "[]"),
        case(M::GET, ""),
        case(M::GET, "/"),
        case(M::HEAD, ""),
        case(M::GET, "").unsigned(),
        case(M::GET, "").unsigned().header("accept", "text/html"),
        case(M::GET, "").unsigned().header("authorization", "Basic d3Jvbmc6d3Jvbmc="),
        case(M::GET, "").unsigned().header("authorization", "Bearer x"),
        case(M::GET, "").unsigned().header("authorization", "Basic !"),
        case(M::GET, "").header("cookie", "oauth_token=abc; theme=dark"),
        case(M::PATCH, ""),
        case(M::OPTIONS, ""),
        case(M::POST, "").query("_method=PUT"),
        case(M::DELETE, "/properties"),
        case(M::GET, "/properties"),
        case(M::POST, "/properties").body(JSON, r#"{"a":"1","b":{"c":[1,2]},"ü":true}"#),
        case(M::POST, "/properties").body(FORM, "a=x+y&n%C3%B8=%C3%A6"),
        case(M::POST, "/properties/").body(JSON, r#"{"e":null}"#),
        case(M::GET, "/properties/"),
        case(M::GET, "/properties/a"),
        case(M::GET, "/properties/a").header("accept", JSON),
        case(M::GET, "/properties/%C3%BC"),
        case(M::GET, "/properties/n%C3%B8"),
        case(M::PUT, "/properties/first%20name").body("text/plain; charset=utf-8", "Åse"),
        case(M::GET, "/properties/first%20name"),
        case(M::GET, "/properties/first+name"),
        case(M::PUT, "/properties/%F0%9F%92%A1/k%20%5B1%5D").body(JSON, r#"{"x":1.0}"#),
        case(M::GET, "/properties/%F0%9F%92%A1/k%20%5B1%5D/x"),
        case(M::PUT, "/properties/b/c/0").body(JSON, "1"),
        case(M::POST, "/properties/b/d").query("_method=PUT").body(JSON, "2"),
        case(M::POST, "/properties/b/e").body(FORM, "_method=PUT&value=3"),
        case(M::GET, "/properties/b"),
        case(M::DELETE, "/properties/b/c"),
        case(M::DELETE, "/properties/b/c"),
        case(M::PUT, "/properties/b"),
        case(M::GET, "/properties/b"),
        case(M::PUT, "/properties/email").body(JSON, r#""Ann@Example.org""#),
        case(M::PUT, "/properties/email").body(JSON, r#""nobody""#),
        case(M::GET, "/properties/email").query("_method=DELETE&x=%C3%BC+%26"),
        case(M::GET, "/properties/a%23b"),
        case(M::GET, "/properties/100%25"),
        case(M::PUT, "/properties/a%0Ab").body(JSON, "1"),
        case(M::GET, "/properties//a"),
        case(M::GET, "/properties/a/"),
        case(M::GET, "/properties"),
        case(M::POST, "/methods")
            .body(JSON, r#"{"jsonrpc":"2.0","method":"add_numbers","params":{"a":1,"b":2},"id":1}"#),
        case(M::POST, "/methods").body(JSON, r#"{"jsonrpc":"2.0","method":"echo"}"#),
        case(M::POST, "/methods/echo").body(JSON, r#"{"ü":[1,null]}"#),
        case(M::POST, "/methods/echo").body(FORM, "a=%C3%BC+x"),
        case(M::POST, "/methods/echo"),
        case(M::GET, "/methods/greet"),
        case(M::PUT, "/methods/calculate").body(JSON, r#"{"operation":"divide","a":1,"b":0}"#),
        case(M::POST, "/methods/none").body(JSON, "{}"),
        case(M::GET, "/methods/none"),
        case(M::POST, "/actions/send_notification").body(JSON, r#"{"message":"ü","recipient":"Bo"}"#),
        case(M::POST, "/actions/log_message").body(JSON, r#"{"message":""}"#),
        case(M::POST, "/actions/none").body(JSON, "{}"),
        case(M::GET, "/resources/report"),
        case(M::POST, "/resources/report").body(FORM, "_method=DELETE"),
        case(M::POST, "/resources/report").body(JSON, "{}"),
        case(M::GET, "/resources"),
    ];
    for path in ["/meta", "/methods", "/actions"] {
        cases.extend([case(M::GET, path), case(M::HEAD, path), case(M::DELETE, path)]);
    }
    let meta = [
        "/meta/id",
        "/meta/type",
        "/meta/version",
        "/meta/desc",
        "/meta/info",
        "/meta/trustee_root",
        "/meta/actingweb/version",
        "/meta/actingweb/trust_types",
        "/meta/x",
    ];
    cases.extend(meta.map(|path| case(M::GET, path).unsigned()));
    cases.extend([case(M::GET, "/nothing"), case(M::GET, "/www/x"), case(M::POST, "/trust").body(JSON, "{}")]);
    // At the end nothing is left.
    cases.extend([case(M::DELETE, "/").unsigned(), case(M::DELETE, "/"), case(M::DELETE, ""), case(M::GET, "/meta")]);
    cases
}

#[tokio::test]
async fn every_route_answers_events_as_it_answers_http() {
    let site = Site::start().await;
    if !in_process(&site, "it hands events to the router") {
        return;
    }
    let over_http = site.actor("ann@example.org").await;
    let mut by_events = Vec::new();
    for sender in [Sender::Gateway, Sender::Stage, Sender::Watch] {
        by_events.push((sender, site.actor("ann@example.org").await));
    }
    for case in cases() {
        let expected = case.over_http(&site, &over_http).await;
        assert!(expected.status < 500, "{}: {}", expected.request, expected.body);
        for (sender, owner) in &by_events {
            let answer = over_event(&site, case.event(owner, *sender)).await;
            let what = format!("{sender:?} {} {:?}", expected.request, case.body);
            assert_eq!(comparable(&answer, owner), comparable(&expected, &over_http), "{what}");
        }
    }
}

#[tokio::test]
async fn names_that_only_an_encoded_path_can_carry_are_refused() {
    let site = Site::start().await;
    if !in_process(&site, "it hands events to the router") {
        return;
    }
    let owner = site.actor("ann@example.org").await;
    for path in ["/properties/a%2Fb", "/properties/a%3Fb", "/methods/a%2525b", "/properties/%FF"] {
        let case = case(Method::GET, path);
        let expected = case.over_http(&site, &owner).await.problem(400);
        let answer = over_event(&site, case.event(&owner, Sender::Watch)).await.problem(400);
        assert_eq!(comparable(&answer, &owner), comparable(&expected, &owner));
    }
}

#[tokio::test]
async fn every_recorded_event_is_answered() {
    let site = Site::start().await;
    if !in_process(&site, "it hands events to the router") {
        return;
    }
    let owner = site.actor("ann@example.org").await;
    let expected = [
        ("base64_binary", 401),
        ("base64_form", 201),
        ("cookies", 404),
        ("credentials", 403),
        ("decoded_path", 400),
        ("dots_and_slashes", 400),
        ("encoded_path", 400),
        ("encoded_slash", 400),
        ("head", 200),
        ("json_body", 201),
        ("named_stage", 200),
        ("named_stage_root", 201),
        ("no_body", 401),
        ("odd_host", 200),
        ("trailing_slash", 200),
        ("watch", 401),
    ];
    let folder = std::fs::read_dir(format!("{}/fixtures/events", env!("CARGO_MANIFEST_DIR"))).expect("the fixtures");
    assert_eq!(folder.count(), expected.len(), "each fixture has a row here");
    for (name, status) in expected {
        let mut event = fixture(name);
        let path = event["rawPath"].as_str().expect("a path").replace("4f2a", &owner.id);
        event["rawPath"] = json!(path);
        let answer = over_event(&site, event).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.body);
        if status >= 400 {
            answer.problem(status);
        }
    }
}
