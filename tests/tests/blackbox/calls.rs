//! `/{actor}/methods`, `/{actor}/actions`, `/{actor}/resources`: every hook of the demo.

use actingweb_tests::{Answer, Owner, Site};
use reqwest::Method;
use serde_json::{Value, json};

use crate::FORM;

async fn call(owner: &Owner, path: &str, input: Value) -> Value {
    let answer = owner.post(path, &input).await.expect(200);
    assert_eq!(answer.header("content-type"), "application/json");
    answer.json()
}

#[tokio::test]
async fn methods_and_actions_are_listed_with_their_schemas() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let methods = [
        "add_numbers",
        "aggregate_data",
        "calculate",
        "draft",
        "echo",
        "fetch_weather",
        "fingerprint",
        "gather_sources",
        "get_status",
        "get_summary_prompt",
        "greet",
        "process_batch",
        "summarize",
    ];
    for (group, expected) in [
        ("methods", &methods[..]),
        ("actions", &["collect_entries", "log_message", "notify_peers", "send_notification"]),
    ] {
        let list = owner.get(&format!("/{group}")).await.expect(200).json();
        assert_eq!(list, owner.get(&format!("/{group}/")).await.expect(200).json());
        assert_eq!(list.as_object().map(serde_json::Map::len), Some(1), "{list}");
        let hooks = list[group].as_array().expect("an array");
        let mut names: Vec<_> = hooks.iter().filter_map(|hook| hook["name"].as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, expected);
        for hook in hooks {
            let mut members: Vec<_> = hook.as_object().expect("an object").keys().map(String::as_str).collect();
            members.sort_unstable();
            members.retain(|member| !["streams", "task"].contains(member));
            assert_eq!(members, ["annotations", "description", "input_schema", "name", "output_schema"]);
            assert_eq!(hook.get("streams").is_some(), hook["name"] == "draft", "{hook}");
            assert_eq!(hook.get("task").is_some(), hook["name"] == "collect_entries", "{hook}");
            assert!(hook["description"].as_str().is_some_and(|text| text.len() > 5), "{hook}");
            assert!(hook["annotations"]["readOnlyHint"].is_boolean(), "{hook}");
        }
    }
    let hooks = owner.get("/methods").await.expect(200).json();
    let add = hooks["methods"].as_array().and_then(|all| all.iter().find(|hook| hook["name"] == "add_numbers"));
    let add = add.expect("add_numbers");
    assert_eq!(add["input_schema"]["type"], "object");
    assert_eq!(add["input_schema"]["properties"]["a"]["type"], "number");
    assert_eq!(add["input_schema"]["required"], json!(["a", "b"]));
    assert_eq!(add["output_schema"]["properties"]["result"]["type"], "number");
    assert_eq!(add["annotations"], json!({ "readOnlyHint": true, "idempotentHint": true, "openWorldHint": false }));
}

#[tokio::test]
async fn arithmetic() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    assert_eq!(call(&owner, "/methods/add_numbers", json!({ "a": 2, "b": 0.5 })).await, json!({ "result": 2.5 }));
    for (operation, result) in [("add", 8.0), ("subtract", 4.0), ("multiply", 12.0), ("divide", 3.0)] {
        let input = json!({ "operation": operation, "a": 6, "b": 2 });
        assert_eq!(call(&owner, "/methods/calculate", input.clone()).await, json!({ "result": result }));
        assert_eq!(owner.put("/methods/calculate", &input).await.expect(200).json(), json!({ "result": result }));
    }
    let by_zero = json!({ "operation": "divide", "a": 6, "b": 0 });
    assert!(owner.post("/methods/calculate", &by_zero).await.problem(400).detail().contains("`b`"));
    for (input, place) in [
        (json!({ "a": 1 }), "`b`"),
        (json!({ "a": "1", "b": 2 }), "`a`"),
        (json!([1]), "length"),
        (json!("x"), "object|struct"),
        (json!(null), "null"),
    ] {
        let detail = owner.post("/methods/add_numbers", &input).await.problem(400).detail();
        assert!(place.split('|').any(|place| detail.contains(place)), "{input}: {detail}");
    }
}

#[tokio::test]
async fn echo_takes_anything() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    for input in [json!({}), json!(0), json!(false), json!(""), json!([]), json!({ "a": [null, "ü"] }), json!("text")]
    {
        assert_eq!(call(&owner, "/methods/echo", input.clone()).await, input);
    }
    // Without a type, and as a form.
    let untyped = Answer::of(owner.request(Method::POST, "/methods/echo").body(r#"{"a":1}"#)).await.expect(200);
    assert_eq!(untyped.json(), json!({ "a": 1 }));
    let form = owner.send(Method::POST, "/methods/echo?b=2", FORM, "a=1&a2=%C3%BC+").await.expect(200);
    assert_eq!(form.json(), json!({ "a": "1", "a2": "ü " }));
    // Nothing in, nothing out.
    assert_eq!(owner.send(Method::POST, "/methods/echo", "application/json", "").await.expect(204).body, "");
    assert_eq!(owner.post("/methods/echo", &Value::Null).await.expect(204).body, "");
}

#[tokio::test]
async fn greet_needs_no_input() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let by_default = json!({ "message": "Hello, ann@example.org!" });
    assert_eq!(owner.get("/methods/greet").await.expect(200).json(), by_default);
    assert_eq!(call(&owner, "/methods/greet", json!({})).await, by_default);
    let empty = owner.send(Method::POST, "/methods/greet", "application/json", "").await.expect(200);
    assert_eq!(empty.json(), by_default);
    let hallo = json!({ "message": "Hallo, Bo!" });
    assert_eq!(call(&owner, "/methods/greet", json!({ "name": " Bo ", "language": "de" })).await, hallo);
    owner.post("/methods/greet", &json!({ "language": "xx" })).await.problem(400);
    owner.post("/methods/greet", &json!({ "name": "" })).await.problem(400);
}

#[tokio::test]
async fn get_status_reads_the_actor() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    owner.put("/properties/x", &json!(1)).await.expect(204);
    owner.post("/actions/log_message", &json!({ "message": "one" })).await.expect(200);
    let status = owner.get("/methods/get_status").await.expect(200).json();
    assert_eq!(status["actor_id"], owner.id);
    assert_eq!((&status["properties"], &status["logged"]), (&json!(2), &json!(1)), "{status}");
    assert!(status["created_at"].as_str() <= status["now"].as_str(), "{status}");
}

#[tokio::test]
async fn services_are_asked() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let weather = call(&owner, "/methods/fetch_weather", json!({ "city": "Oslo" })).await;
    assert!(weather["city"] == "Oslo" && weather["temperature_c"].is_number(), "{weather}");
    owner.post("/methods/fetch_weather", &json!({ "city": "" })).await.problem(400);
    owner.get("/methods/fetch_weather").await.problem(400);

    let interests = json!({ "city": "Oslo", "topic": "rust", "symbol": "ACME" });
    let digest = call(&owner, "/methods/aggregate_data", interests).await;
    assert_eq!(digest["complete"], true, "{digest}");
    assert_eq!(digest["weather"], json!({ "outcome": "ok", "value": weather }));
    assert_eq!(digest["news"]["value"]["headlines"].as_array().map(Vec::len), Some(3));
    assert_eq!(digest["quote"]["value"]["symbol"], "ACME");

    let gathered = call(&owner, "/methods/gather_sources", json!({ "key": "a/b ü" })).await;
    assert_eq!(gathered["entry"], json!({ "key": "a/b ü", "value": "value of a/b ü" }));
    assert!(gathered["notes"].as_array().is_some_and(|lines| !lines.is_empty()), "{gathered}");
}

#[tokio::test]
async fn a_batch_has_an_outcome_for_each_item() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let items: Vec<_> = (0..20).map(|n| format!("k{n}")).collect();
    let done = call(&owner, "/methods/process_batch", json!({ "items": items })).await;
    assert_eq!((&done["succeeded"], &done["failed"]), (&json!(20), &json!(0)), "{done}");
    let keys: Vec<_> = done["results"].as_array().expect("an array").iter().map(|r| &r["value"]["key"]).collect();
    assert_eq!(keys, items.iter().collect::<Vec<_>>());
    owner.post("/methods/process_batch", &json!({ "items": [] })).await.problem(400);
    owner.post("/methods/process_batch", &json!({ "items": vec!["k"; 101] })).await.problem(400);
    let detail = owner.post("/methods/process_batch", &json!({ "items": ["k", ""] })).await.problem(400).detail();
    assert!(detail.contains("items[1]"), "{detail}");
}

#[tokio::test]
async fn a_model_summarises() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    owner.put("/properties/hobby", &json!("sailing")).await.expect(204);
    let summary = call(&owner, "/methods/summarize", json!({ "topic": "sailing" })).await;
    assert!(summary["summary"].as_str().is_some_and(|text| !text.is_empty()), "{summary}");
    assert!(summary["tokens"].is_u64(), "{summary}");
    assert_eq!(summary["news"]["value"]["topic"], "sailing", "{summary}");
}

#[tokio::test]
async fn a_fingerprint_is_computed() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    // FIPS 180-2, appendix B.1; and the same applied twice.
    for (rounds, sha256) in [
        (1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (2, "4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358"),
    ] {
        let print = call(&owner, "/methods/fingerprint", json!({ "text": "abc", "rounds": rounds })).await;
        assert_eq!(print, json!({ "sha256": sha256 }));
    }
    owner.post("/methods/fingerprint", &json!({ "text": "abc", "rounds": 0 })).await.problem(400);
}

#[tokio::test]
async fn an_action_logs_and_a_resource_reports() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let empty = json!({ "counts": {}, "latest": [] });
    assert_eq!(owner.get("/resources/report").await.expect(200).json(), empty);
    let first = call(&owner, "/actions/log_message", json!({ "message": "Tea is ready" })).await;
    assert_eq!((&first["level"], &first["message"]), (&json!("info"), &json!("Tea is ready")));
    let second = owner.put("/actions/log_message", &json!({ "message": "Fire", "level": "error" })).await.expect(200);
    let report = owner.get("/resources/report").await.expect(200).json();
    assert_eq!(report["counts"], json!({ "error": 1, "info": 1 }));
    let mut latest = report["latest"].as_array().expect("an array").clone();
    latest.sort_by_key(|entry| entry["level"].to_string());
    assert_eq!(latest, [second.json(), first]);

    for method in [Method::PUT, Method::POST] {
        owner.send(method, "/resources/report", "application/json", "{}").await.problem(400);
    }
    assert_eq!(owner.delete("/resources/report").await.expect(200).json(), report);
    assert_eq!(owner.get("/resources/report").await.expect(200).json(), empty);
}

#[tokio::test]
async fn a_notification_goes_out() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let sent = call(&owner, "/actions/send_notification", json!({ "message": "Tea is ready" })).await;
    assert_eq!(sent, json!({ "recipient": "ann@example.org" }));
    let request = owner.request(Method::POST, "/actions/send_notification").header("x-request-id", "tea-2");
    let input = json!({ "recipient": "Bo", "message": "Now" });
    assert_eq!(Answer::of(request.json(&input)).await.expect(200).json(), json!({ "recipient": "Bo" }));
    if !site.is_elsewhere() {
        let received = site.services().http.received();
        assert_eq!(received.len(), 2);
        assert_eq!(
            received[0].body,
            json!({ "recipient": "ann@example.org", "message": "Tea is ready", "sender": owner.id })
        );
        assert_eq!(received[1].request_id.as_deref(), Some("tea-2"));
    }
}

#[tokio::test]
async fn peers_are_told_with_an_outcome_for_each() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    let (friend, other) = (site.actor("bob@example.org").await, site.actor("carol@example.org").await);
    for peer in [&friend, &other] {
        owner.post("/trust", &json!({ "url": peer.url, "relationship": "friend" })).await.expect(201);
    }
    friend.put(&format!("/trust/friend/{}", owner.id), &json!({ "approved": true })).await.expect(204);
    let peers = json!([friend.id, other.id, "stranger"]);
    let told = call(&owner, "/actions/notify_peers", json!({ "message": "Hi", "peers": peers })).await;
    let outcomes = told["peers"].as_array().expect("an array");
    assert_eq!(
        outcomes.iter().map(|told| &told["peer"]).collect::<Vec<_>>(),
        peers.as_array().expect("an array").iter().collect::<Vec<_>>()
    );
    assert_eq!((&outcomes[0]["outcome"], &outcomes[0]["value"]), (&json!("ok"), &json!(200)), "{told}");
    // One did not approve, so it has no reason to let anybody write; with the last there is no relationship at all.
    assert_eq!(outcomes[1]["error"], "the peer refused with status 403", "{told}");
    assert!(outcomes[2]["error"].as_str().is_some_and(|error| error.contains("no relationship")), "{told}");
    assert_eq!(told["told"], 1);
    assert_eq!(friend.get("/resources/report").await.expect(200).json()["latest"][0]["message"], "Hi");
    assert_eq!(other.get("/resources/report").await.expect(200).json()["latest"], json!([]));
    owner.post("/actions/notify_peers", &json!({ "message": "Hi", "peers": [] })).await.problem(400);
}

#[tokio::test]
async fn unknown_names_answer_by_verb() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    for (group, called) in [("methods", 400), ("actions", 400), ("resources", 404)] {
        let path = format!("/{group}/none");
        owner.get(&path).await.problem(404);
        owner.delete(&path).await.problem(404);
        for method in [Method::POST, Method::PUT] {
            let detail = owner.send(method, &path, "application/json", "{}").await.problem(called).detail();
            assert!(detail.contains("none"), "{detail}");
        }
    }
    // A method is no action, and the other way round.
    owner.post("/actions/echo", &json!({})).await.problem(400);
    owner.get("/methods/log_message").await.problem(404);
    owner.get("/resources").await.problem(404);
    for path in ["/methods/echo/x", "/actions/log_message/x/y", "/resources/report/x"] {
        owner.get(path).await.problem(404);
    }
}

#[tokio::test]
async fn a_delete_of_a_method_or_action_has_no_body() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.org").await;
    for path in ["/methods/greet", "/methods/echo", "/methods/get_status"] {
        assert_eq!(owner.delete(path).await.expect(204).body, "", "{path}");
    }
    owner.delete("/actions/log_message").await.problem(400);
}
