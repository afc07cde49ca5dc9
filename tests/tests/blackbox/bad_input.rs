//! Bad input: each a 4xx with a reason, and nothing stored.

use actingweb_tests::{Answer, Owner, Site};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{FORM, can_carry, in_process};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

/// Bodies that are no JSON that can be kept, whatever they are declared as.
fn unusable_json() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"a":"#,
        r#"{"a":1,}"#,
        r#"{a:1}"#,
        r#"{"a":1} x"#,
        r#"{"a":1}{"b":2}"#,
        r#"{"a":NaN}"#,
        r#"{"a":Infinity}"#,
        r#"{"a":-Infinity}"#,
        r#"{"a":1e400}"#,
        r#"{"a":01}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\udc00\ud800"}"#,
        r#"{"a":"\x41"}"#,
        "{\"a\":\"line\nbreak\"}",
        r#"{"a":18446744073709551616}"#,
        r#"{"a":-9223372036854775809}"#,
        r#"{"a":[123456789012345678901234567890]}"#,
        r#"{"a":'x'}"#,
        r#"["a""#,
        r#""open"#,
    ];
    let mut bodies: Vec<_> = texts.map(|text| text.as_bytes().to_vec()).into();
    bodies.push(b"{\"a\":\"\xff\xfe\"}".to_vec());
    bodies.push(format!(r#"{{"a":{}1{}}}"#, "[".repeat(200), "]".repeat(200)).into_bytes());
    bodies.push(format!("{}1{}", r#"{"a":"#.repeat(65), "}".repeat(65)).into_bytes());
    bodies.push("[".repeat(100_000).into_bytes());
    bodies
}

/// One bad request below an actor's URL.
struct Bad {
    method: Method,
    path: String,
    content_type: &'static str,
    body: Vec<u8>,
    status: u16,
}

fn bad(
    method: Method,
    path: impl Into<String>,
    content_type: &'static str,
    body: impl Into<Vec<u8>>,
    status: u16,
) -> Bad {
    Bad { method, path: path.into(), content_type, body: body.into(), status }
}

fn bad_bodies() -> Vec<Bad> {
    let mut table = Vec::new();
    for body in unusable_json() {
        table.push(bad(Method::POST, "/properties", JSON, body.clone(), 400));
        table.push(bad(Method::POST, "/properties", TEXT, body.clone(), 400));
        table.push(bad(Method::PUT, "/properties/x", JSON, body.clone(), 400));
        table.push(bad(Method::PUT, "/properties/x", TEXT, body.clone(), 400));
        table.push(bad(Method::PUT, "/properties/x/y", JSON, body.clone(), 400));
        for path in ["/methods", "/methods/echo", "/actions/log_message", "/resources/report"] {
            table.push(bad(Method::POST, path, JSON, body.clone(), 400));
        }
    }
    for body in ["NaN", "Infinity", "nul", "text", "01"] {
        table.push(bad(Method::PUT, "/properties/x", JSON, body, 400));
        table.push(bad(Method::PUT, "/properties/x", "application/merge-patch+json; charset=utf-8", body, 400));
    }
    for body in ["[]", r#"["a"]"#, "\"s\"", "null", "1", "true", "", "{}", "a=b", r#"{"a":null}"#] {
        table.push(bad(Method::POST, "/properties", JSON, body, 400));
    }
    table.push(bad(Method::POST, "/properties", FORM, "", 400));
    table.push(bad(Method::POST, "/properties", FORM, "=x", 400));
    table.push(bad(Method::POST, "/properties", FORM, "a%2Fb=x", 400));
    table.push(bad(Method::PUT, "/properties/x", JSON, "null", 400));
    table.push(bad(Method::PUT, "/properties/x/y", JSON, "null", 400));
    table.push(bad(Method::PUT, "/properties/x", TEXT, b"\xff\xfe".to_vec(), 400));
    let multipart = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--b--\r\n";
    for path in ["/properties", "/methods/echo", "/actions/log_message"] {
        table.push(bad(Method::POST, path, "multipart/form-data; boundary=b", multipart, 400));
    }
    table.push(bad(Method::PUT, "/properties/x", "multipart/form-data; boundary=b", multipart, 400));
    table
}

fn bad_names() -> Vec<Bad> {
    let long = "n".repeat(257);
    let mut table = Vec::new();
    let names =
        ["a%2Fb", "a%3Fb", "a%23b", "a%25b", "a%2525", "%00", "a%0A", "a%7F", "a%C2%85", "%FF", "a%ED%A0%80", &long];
    for name in names {
        for path in [format!("/properties/{name}"), format!("/properties/x/{name}"), format!("/properties/{name}/y")] {
            table.push(bad(Method::GET, &path, JSON, "", 400));
            table.push(bad(Method::PUT, &path, JSON, "1", 400));
            table.push(bad(Method::DELETE, &path, JSON, "", 400));
        }
        for group in ["methods", "actions", "resources"] {
            table.push(bad(Method::GET, format!("/{group}/{name}"), JSON, "", 400));
            table.push(bad(Method::POST, format!("/{group}/{name}"), JSON, "{}", 400));
        }
        if name != long {
            table.push(bad(Method::GET, format!("/meta/{name}"), JSON, "", 400));
        }
    }
    for name in ["", "a/b", "a?b", "a#b", "a%b", "\u{0}", "a\nb", "a\u{7f}", "a\u{85}b", ".", "..", &long] {
        table.push(bad(Method::POST, "/properties", JSON, json!({ "good": 1, name: 1 }).to_string(), 400));
    }
    table
}

fn too_large() -> Vec<Bad> {
    let value = |size: usize| Value::String("x".repeat(size)).to_string();
    let text = "x".repeat(500_000);
    let many: Value =
        (0..8).map(|n| (format!("p{n}"), json!("x".repeat(480_000)))).collect::<serde_json::Map<_, _>>().into();
    vec![
        bad(Method::PUT, "/properties/x", JSON, value(500_000), 413),
        bad(Method::PUT, "/properties/x", TEXT, text, 413),
        bad(Method::PUT, "/properties/x/y", JSON, value(500_000), 413),
        bad(Method::POST, "/properties", JSON, format!(r#"{{"good":1,"x":{}}}"#, value(500_000)), 413),
        bad(Method::POST, "/properties", JSON, many.to_string(), 413),
        bad(Method::PUT, "/properties/x", JSON, value(4_100_000), 413),
        bad(Method::POST, "/properties", JSON, value(4_100_000), 413),
        bad(Method::POST, "/methods/echo", JSON, value(1_048_577), 413),
        bad(Method::POST, "/actions/log_message", JSON, value(1_048_577), 413),
        bad(Method::POST, "/resources/report", JSON, value(1_048_577), 413),
        bad(Method::POST, "/methods", JSON, value(1_048_577), 413),
    ]
}

/// What the actor holds, as far as its creator can see.
async fn state_of(owner: &Owner) -> (Value, Value, Value) {
    let read = async |path: &str| owner.get(path).await.expect(200).json();
    (read("").await, read("/properties").await, read("/resources/report").await)
}

/// Sends each request and asserts its status and reason, and that nothing was changed.
async fn assert_refused(table: Vec<Bad>) {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    owner.put("/properties/x", &json!({ "y": { "z": 1 } })).await.expect(204);
    let before = state_of(&owner).await;
    for Bad { method, path, content_type, body, status } in table {
        if !can_carry(&site, &body) {
            continue;
        }
        let what = format!(
            "{method} {path} {content_type} {:?}",
            body.iter().take(60).map(|b| char::from(*b)).collect::<String>()
        );
        let answer = owner.send(method, &path, content_type, body).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.body);
        answer.problem(status);
    }
    assert_eq!(state_of(&owner).await, before);
}

#[tokio::test]
async fn bad_bodies_are_refused() {
    assert_refused(bad_bodies()).await;
}

#[tokio::test]
async fn bad_names_are_refused() {
    assert_refused(bad_names()).await;
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    assert_refused(too_large()).await;
}

#[tokio::test]
async fn a_bad_creation_leaves_no_actor() {
    let site = Site::start().await;
    if !site.is_elsewhere() {
        site.meter().reset();
    }
    let mut bodies: Vec<(&str, Vec<u8>)> = unusable_json().into_iter().map(|body| (JSON, body)).collect();
    let long = "c".repeat(257);
    let long_url = format!("https://x/{}", "a".repeat(1024));
    let fields = [
        json!([]),
        json!(null),
        json!("ann@example.org"),
        json!(1),
        json!({ "creator": 1 }),
        json!({ "creator": null }),
        json!({ "creator": ["ann@example.org"] }),
        json!({ "creator": "a:b" }),
        json!({ "creator": "a\u{0}b" }),
        json!({ "creator": "a\nb" }),
        json!({ "creator": long }),
        json!({ "passphrase": 12_345_678 }),
        json!({ "passphrase": "line\nbreak" }),
        json!({ "passphrase": long }),
        json!({ "trustee_root": "no url" }),
        json!({ "trustee_root": "ftp://x" }),
        json!({ "trustee_root": long_url }),
        json!({ "trustee_root": 5 }),
    ];
    bodies.extend(fields.iter().map(|fields| (JSON, fields.to_string().into_bytes())));
    bodies.push((TEXT, b"text".to_vec()));
    bodies.push((FORM, b"creator=a%3Ab".to_vec()));
    bodies.push((FORM, b"creator=a&passphrase=a%0Ab".to_vec()));
    bodies.push((FORM, b"_method=PATCH&creator=a".to_vec()));
    bodies.push(("multipart/form-data; boundary=b", b"--b--\r\n".to_vec()));
    for (content_type, body) in bodies.into_iter().filter(|(_, body)| can_carry(&site, body)) {
        let what = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let answer = Answer::of(site.request(Method::POST, "/").header("content-type", content_type).body(body)).await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.body);
        assert_eq!(answer.header("location"), "", "{what}");
        answer.problem(400);
    }
    let huge = format!(r#"{{"creator":"{}"}}"#, "x".repeat(4_100_000));
    Answer::of(site.request(Method::POST, "/").body(huge)).await.problem(413);
    if in_process(&site, "it looks at the calls to storage") {
        assert_eq!(site.meter().calls().operations(), Vec::<&str>::new());
    }
}

#[tokio::test]
async fn deep_and_large_is_refused_at_the_limit_and_not_before() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    owner.send(Method::PUT, "/properties/x", JSON, nested(64)).await.expect(204);
    owner.send(Method::PUT, "/properties/x", JSON, nested(65)).await.problem(400);
    assert_eq!(owner.get("/properties/x").await.expect(200).body, nested(64));
    let text = "x".repeat(1_000_000);
    let echoed = owner.post("/methods/echo", &json!(text)).await.expect(200);
    assert_eq!(echoed.json(), json!(text));
}

#[tokio::test]
async fn a_reason_says_what_is_wrong() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let cases = [
        (Method::POST, "/properties", "[]", "an array"),
        (Method::POST, "/properties", "{\"a\":}", "column 6"),
        (Method::POST, "/properties", "{\"a/b\":1}", "`/`"),
        (Method::POST, "/properties", "{\"here\":null}", "`here`"),
        (Method::PUT, "/properties/x", "18446744073709551616", "18446744073709551616"),
        (Method::PUT, "/properties/%0A", "1", "\\n"),
        (Method::PUT, "/properties/x", "null", "delete"),
    ];
    for (method, path, body, reason) in cases {
        let detail = owner.send(method, path, JSON, body).await.problem(400).detail();
        assert!(detail.contains(reason), "{path} {body}: {detail}");
    }
}

#[tokio::test]
async fn a_problem_has_the_members_of_the_rfc() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let problem = owner.get("/properties/none").await.problem(404).json();
    let expected = json!({
        "type": "about:blank", "title": "Not Found", "status": 404,
        "detail": "there is no property `none`", "request_id": problem["request_id"],
    });
    assert_eq!(problem, expected);
}
