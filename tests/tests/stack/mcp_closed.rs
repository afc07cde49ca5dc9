//! What AI clients must not get by: rights that cannot be read, each other's names, hooks that are passed over, and doors that
//! cost something before anybody is known.

use actingweb_hooks::{App, HookError, Input, blocking};
use actingweb_tests::assistant::Assistant;
use actingweb_tests::{Answer, Site};
use reqwest::Method;
use serde_json::{Value, json};

fn app() -> App {
    let odd = |Input(value): Input<Value>| Ok::<_, HookError>(json!({ "said": value, "none": null, "yes": true }));
    App::new("urn:actingweb:example.com:closed")
        .oauth_trust_types(["mcp_client", "friend"])
        .action("search", || Ok::<_, HookError>(json!("found")))
        .tool("Searches")
        .action("plain", odd)
        .tool("Says it again")
        .action("awaited", async |Input(value): Input<Value>| {
            tokio::task::yield_now().await;
            Ok::<_, HookError>(json!({ "said": value, "none": null, "yes": true }))
        })
        .tool("Says it again")
        .action("blocked", blocking(odd))
        .tool("Says it again")
        .method("note_plain", odd)
        .mcp_resource("notes://plain/{id}", "A note")
        .method("note_awaited", async |Input(value): Input<Value>| {
            Ok::<_, HookError>(json!({ "said": value, "none": null, "yes": true }))
        })
        .mcp_resource("notes://awaited/{id}", "A note")
}

/// Writes other permissions of the relationships that have some, behind the program's back.
async fn rewrite_permissions(site: &Site, permissions: &str) {
    let rows = site.table().await;
    let mut written = 0;
    for row in rows.iter().filter(|row| row["permissions"].is_string()) {
        let typed = |(name, value): (&String, &Value)| {
            let value = if name == "permissions" { json!(permissions) } else { value.clone() };
            let kind = match &value {
                Value::Bool(_) => "BOOL",
                // Numbers travel as text.
                Value::String(text) if name != "permissions" && text.parse::<i64>().is_ok() => "N",
                _ => "S",
            };
            (name.clone(), json!({ kind: value }))
        };
        let item: serde_json::Map<String, Value> = row.as_object().unwrap().iter().map(typed).collect();
        site.put_item(&item.into()).await;
        written += 1;
    }
    assert!(written > 0, "{rows:?}");
}

#[tokio::test]
async fn rights_that_cannot_be_read_let_nobody_do_anything() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let assistant = Assistant::connect(&site, &ann, "friend").await;
    assert!(assistant.names("tools/list", "tools").await.contains(&"search".to_owned()));
    let denied = json!({ "actions": { "denied": ["plain"] } });
    let path = format!("/trust/friend/oauth2_client:{}/permissions", assistant.client_id);
    assert!(ann.put(&path, &denied).await.status < 300);
    // What can be read counts, so that it is the text that matters in what follows.
    rewrite_permissions(&site, &json!({ "actions": { "denied": ["blocked"] } }).to_string()).await;
    let tools = assistant.names("tools/list", "tools").await;
    assert!(tools.contains(&"plain".to_owned()) && !tools.contains(&"blocked".to_owned()), "{tools:?}");
    rewrite_permissions(&site, "{\"oops\": 1}").await;
    for (method, params) in [
        ("tools/list", json!({})),
        ("tools/call", json!({ "name": "search", "arguments": {} })),
        ("resources/templates/list", json!({})),
        ("resources/read", json!({ "uri": "notes://plain/1" })),
    ] {
        let answer = assistant.ask(method, params).await;
        let shown = answer.status == 200
            && answer
                .json()
                .get("result")
                .is_some_and(|result| result["isError"] != true && !result.to_string().contains("\"tools\":[]"));
        assert!(!shown, "{method}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_client_is_called_what_it_registered_as_whoever_came_before() {
    let site = Site::of(app()).await;
    let (ann, bob) = (site.actor("ann").await, site.actor("bob").await);
    let initialize = async |assistant: &Assistant, name: &str| {
        let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {},
                             "clientInfo": { "name": name, "version": "9" } });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params });
        // All of them say that they are the same program.
        Answer::of(assistant.post(body.to_string()).header("user-agent", "Agent/1")).await.expect(200)
    };
    let first = Assistant::named(&site, &ann, "friend", "First").await;
    initialize(&first, "Pretender of Ann's").await;
    let second = Assistant::named(&site, &bob, "friend", "Second").await;
    initialize(&second, "Pretender of Bob's").await;
    let third = Assistant::named(&site, &ann, "mcp_client", "Third").await;
    futures_util::join!(initialize(&first, "x"), initialize(&second, "y"), initialize(&third, "z"));
    for (owner, names) in [(&ann, vec!["First", "Third"]), (&bob, vec!["Second"])] {
        let trusts = owner.get("/trust").await.expect(200).json();
        let mut called: Vec<_> =
            trusts.as_array().unwrap().iter().map(|trust| trust["client_name"].as_str().unwrap()).collect();
        called.sort_unstable();
        assert_eq!(called, names);
        let all = trusts.to_string() + &owner.get("/grants").await.expect(200).body;
        assert!(!all.contains("Pretender") && !all.contains("Agent/1"), "{all}");
    }
    let table = json!(site.table().await).to_string();
    assert!(!table.contains("Pretender") && !table.contains("Agent/1"), "nothing is kept of what a session said");
}

#[tokio::test]
async fn plain_awaited_and_blocking_hooks_answer_alike_and_in_json() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let assistant = Assistant::connect(&site, &ann, "friend").await;
    let said = json!({ "it's": [true, null, 1.5, "\"quoted\" \u{e9}"] });
    let expected = json!({ "said": said, "none": null, "yes": true });
    for name in ["plain", "awaited", "blocked"] {
        let over_rest = ann.post(&format!("/actions/{name}"), &said).await.expect(200).json();
        let over_mcp = assistant.call(name, said.clone()).await;
        let text = over_mcp["content"][0]["text"].as_str().unwrap();
        let read: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}: {text}"));
        assert_eq!((&over_rest, &read, &over_mcp["structuredContent"]), (&expected, &expected, &expected), "{name}");
    }
    for name in ["plain", "awaited"] {
        let read = assistant.result("resources/read", json!({ "uri": format!("notes://{name}/7") })).await;
        let text = read["contents"][0]["text"].as_str().unwrap();
        let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}: {text}"));
        assert_eq!((&value["none"], &value["yes"]), (&Value::Null, &json!(true)), "{name}: {text}");
        assert!(value["said"].to_string().contains('7'), "{name}: {text}");
    }
}

#[tokio::test]
async fn what_says_hello_again_and_again_costs_and_leaves_nothing() {
    let site = Site::of(app()).await;
    let ann = site.actor("ann").await;
    let assistant = Assistant::connect(&site, &ann, "friend").await;
    let before = site.table().await.len();
    let hello =
        json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "x", "version": "1" } });
    for method in ["ping", "initialize"] {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": hello }).to_string();
        for _ in 0..20 {
            let (answer, calls) = site.meter().measure(Answer::of(assistant.unsigned(body.clone()))).await;
            answer.problem(401);
            assert_eq!(calls.count(), 0, "{method} of nobody: {:?}", calls.operations());
        }
        let (answer, calls) = site.meter().measure(Answer::of(assistant.post(body.clone()))).await;
        answer.expect(200);
        assert_eq!(calls.operations(), ["BatchGetItem"], "{method}");
        let guess = assistant.token.replace("actw_a", "actw_r");
        let (answer, calls) = site.meter().measure(Answer::of(assistant.unsigned(body).bearer_auth(guess))).await;
        answer.problem(401);
        assert!(calls.count() <= 1 && calls.count_of("PutItem") == 0, "{method}: {:?}", calls.operations());
    }
    Answer::of(site.request(Method::GET, "/mcp")).await.expect(405);
    assert_eq!(site.table().await.len(), before, "nothing is kept");
}
