//! JSON-RPC 2.0 over POST to `/{actor}/methods` and `/{actor}/methods/{name}`.

use actingweb_tests::{Answer, Owner, Site};
use reqwest::Method;
use serde_json::{Value, json};

async fn call(owner: &Owner, path: &str, body: Value) -> Value {
    let answer = owner.post(&format!("/methods{path}"), &body).await.expect(200);
    assert_eq!(answer.header("content-type"), "application/json");
    answer.json()
}

#[tokio::test]
async fn a_request_gets_a_result_under_its_id() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    for id in [json!(1), json!("a"), json!(0), json!(1.5), Value::Null] {
        for path in ["", "/", "/add_numbers"] {
            let request =
                json!({ "jsonrpc": "2.0", "method": "add_numbers", "params": { "a": 1, "b": 2.5 }, "id": id });
            let expected = json!({ "jsonrpc": "2.0", "result": { "result": 3.5 }, "id": id });
            assert_eq!(call(&owner, path, request).await, expected);
        }
    }
}

#[tokio::test]
async fn an_error_has_the_code_of_the_protocol() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let cases = [
        ("", json!({ "jsonrpc": "2.0", "id": 1 }), -32600),
        ("", json!({ "jsonrpc": "2.0", "method": 5, "id": 1 }), -32600),
        ("/echo", json!({ "jsonrpc": "2.0", "params": {}, "id": 1 }), -32600),
        ("/echo", json!({ "jsonrpc": "2.0", "method": "greet", "id": 1 }), -32600),
        ("", json!({ "jsonrpc": "2.0", "method": "none", "id": 1 }), -32601),
        ("/none", json!({ "jsonrpc": "2.0", "method": "none", "id": 1 }), -32601),
        ("", json!({ "jsonrpc": "2.0", "method": "log_message", "id": 1 }), -32601),
        ("", json!({ "jsonrpc": "2.0", "method": "", "id": 1 }), -32601),
        ("", json!({ "jsonrpc": "2.0", "method": "add_numbers", "params": { "a": 1 }, "id": 1 }), -32602),
        ("", json!({ "jsonrpc": "2.0", "method": "add_numbers", "params": { "a": "1", "b": 1 }, "id": 1 }), -32602),
        ("", json!({ "jsonrpc": "2.0", "method": "add_numbers", "id": 1 }), -32602),
        (
            "/calculate",
            json!({ "jsonrpc": "2.0", "method": "calculate", "params": { "operation": "divide", "a": 1, "b": 0 }, "id": 1 }),
            -32602,
        ),
    ];
    for (path, request, code) in cases {
        let reply = call(&owner, path, request.clone()).await;
        assert_eq!(reply["error"]["code"], code, "{request}: {reply}");
        assert!(reply["error"]["message"].is_string() && reply.get("result").is_none(), "{request}: {reply}");
        assert_eq!((&reply["jsonrpc"], &reply["id"]), (&json!("2.0"), &json!(1)));
    }
}

#[tokio::test]
async fn a_notification_gets_no_body() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    for request in [
        json!({ "jsonrpc": "2.0", "method": "echo", "params": 1 }),
        json!({ "jsonrpc": "2.0", "method": "none" }),
        json!({ "jsonrpc": "2.0", "method": "add_numbers", "params": {} }),
        json!({ "jsonrpc": "2.0" }),
    ] {
        assert_eq!(owner.post("/methods", &request).await.expect(204).body, "", "{request}");
    }
}

#[tokio::test]
async fn parameters_may_be_left_out_where_the_method_needs_none() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let reply = call(&owner, "", json!({ "jsonrpc": "2.0", "method": "greet", "id": 7 })).await;
    assert_eq!(reply, json!({ "jsonrpc": "2.0", "result": { "message": "Hello, ann@example.org!" }, "id": 7 }));
    let reply = call(&owner, "", json!({ "jsonrpc": "2.0", "method": "get_status", "id": 8 })).await;
    assert_eq!(reply["result"]["actor_id"], owner.id);
    let reply = call(&owner, "", json!({ "jsonrpc": "2.0", "method": "echo", "params": [1, null], "id": 9 })).await;
    assert_eq!(reply["result"], json!([1, null]));
    let reply = call(&owner, "", json!({ "jsonrpc": "2.0", "method": "echo", "params": null, "id": 10 })).await;
    assert_eq!(reply, json!({ "jsonrpc": "2.0", "result": null, "id": 10 }));
}

#[tokio::test]
async fn what_is_no_request_of_version_2_is_refused() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let one = json!({ "jsonrpc": "2.0", "method": "echo", "id": 1 });
    for body in
        [json!([one]), json!([]), json!({}), json!({ "jsonrpc": "1.0", "method": "echo", "id": 1 }), json!("2.0")]
    {
        owner.post("/methods", &body).await.problem(400);
    }
    owner.send(Method::POST, "/methods", "application/json", "{").await.problem(400);
    owner.send(Method::POST, "/methods", "application/json", "").await.problem(400);
    // Below a name it is input like any other.
    let echoed = owner.post("/methods/echo", &json!([one])).await.expect(200).json();
    assert_eq!(echoed, json!([one]));
}

#[tokio::test]
async fn only_the_creator_may_call() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let request = json!({ "jsonrpc": "2.0", "method": "echo", "params": {}, "id": 1 });
    Answer::of(owner.anonymous(Method::POST, "/methods").json(&request)).await.problem(401);
    let wrong = owner.anonymous(Method::POST, "/methods").basic_auth("ann@example.org", Some("wrong"));
    Answer::of(wrong.json(&request)).await.problem(403);
}
