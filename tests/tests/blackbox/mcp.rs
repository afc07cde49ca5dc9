//! AI clients from outside: a client finds the authorization server, registers, is let act by a person in a browser,
//! calls a tool, renews its tokens and is shut out.

use actingweb_tests::assistant::Assistant;
use actingweb_tests::{Answer, OauthClient, Site, Tokens};
use reqwest::Method;
use serde_json::json;

#[tokio::test]
async fn a_client_connects_calls_a_tool_and_is_shut_out() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.com").await;

    // It knows the address only. The refusal says where to go.
    let refused = Answer::of(site.request(Method::POST, "/mcp").json(&json!({}))).await.problem(401);
    let challenge = refused.header("www-authenticate").to_owned();
    let about = challenge.split('"').nth(1).expect("a URL").to_owned();
    let about = Answer::of(site.http.get(&about)).await.expect(200).json();
    assert_eq!(about["resource"], site.url("/mcp"));

    let client = OauthClient::register(&site).await;
    let tokens = client.connect(&site, &owner).await;
    let assistant = Assistant::with_token(&site, tokens.access.clone(), client.id.clone());
    let found = assistant.result("server/discover", json!({})).await;
    assert!(found["capabilities"]["tools"].is_object(), "{found}");
    assert_eq!(assistant.names("tools/list", "tools").await, ["get_status"]);
    assert_eq!(assistant.call("get_status", json!({})).await["structuredContent"]["logged"], 0);
    let status = assistant.result("resources/read", json!({ "uri": "usage://status" })).await;
    assert!(status["contents"][0]["text"].as_str().is_some_and(|text| text.contains("logged")), "{status}");
    // The demo's other tool, and its prompt, need more than clients have by default.
    assert_eq!(assistant.names("prompts/list", "prompts").await, Vec::<String>::new());
    let path = format!("/trust/mcp_client/oauth2_client:{}/permissions", client.id);
    let only = |names: &[&str]| json!({ "allowed": names });
    let more = json!({
        "tools": only(&["notify_peers"]), "actions": only(&["notify_peers"]), "prompts": only(&["get_summary_prompt"]),
    });
    assert!(owner.put(&path, &more).await.status < 300);
    assert_eq!(assistant.names("tools/list", "tools").await, ["notify_peers"]);
    let result = assistant.call("notify_peers", json!({ "message": "hello" })).await;
    assert!(result["content"].is_array(), "{result}");
    let ask = json!({ "name": "get_summary_prompt", "arguments": { "topic": "tides" } });
    assert_eq!(assistant.result("prompts/get", ask).await["messages"][0]["role"], "user");
    // Earlier revisions reach the same.
    let begin =
        json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    assert_eq!(assistant.result_in("2025-06-18", "initialize", begin).await["protocolVersion"], "2025-06-18");

    let renewed = Tokens::of(&client.refresh(&tokens.refresh).await);
    let assistant = Assistant::with_token(&site, renewed.access.clone(), client.id.clone());
    assistant.ask("tools/list", json!({})).await.expect(200);
    client.revoke(&renewed.refresh).await.expect(200);
    assistant.ask("tools/list", json!({})).await.problem(401);
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    let site = Site::start().await;
    let owner = site.actor("ann@example.com").await;
    let client = OauthClient::register(&site).await;
    let assistant = Assistant::with_token(&site, client.connect(&site, &owner).await.access, client.id.clone());
    for (body, code) in [("{", -32700), ("[]", -32600), ("{}", -32600)] {
        let answer = Answer::of(assistant.post(body)).await.expect(400).json();
        assert_eq!(answer["error"]["code"], code, "{body}");
    }
    let notification = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(Answer::of(assistant.post(notification.to_string())).await.expect(202).body, "");
    for method in [Method::GET, Method::DELETE] {
        let answer = site.send(method, "/mcp").await.problem(405);
        assert_eq!(answer.header("allow"), "POST");
    }
}
