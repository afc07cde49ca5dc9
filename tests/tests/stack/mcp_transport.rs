//! `/mcp` as HTTP: verbs, origins, tokens, bodies that are no messages, revisions.

use actingweb_hooks::{App, HookError};
use actingweb_protocol::oauth::Audience;
use actingweb_tests::assistant::{Assistant, MODERN};
use actingweb_tests::{Answer, Owner, Site};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;

fn app() -> App {
    App::new("urn:actingweb:example.com:notes")
        .version("1.2.3")
        .mcp_instructions("Ask before you write.")
        .mcp_origin("https://chat.example.com")
        .action("search", || Ok::<_, HookError>(json!({ "found": 1 })))
        .tool("Searches")
}

async fn connected() -> (Site, Owner, Assistant) {
    let site = Site::of(app()).await;
    let owner = site.actor("ann@example.com").await;
    let assistant = Assistant::connect(&site, &owner, "mcp_client").await;
    (site, owner, assistant)
}

fn list() -> String {
    json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {} }).to_string()
}

#[tokio::test]
async fn only_post_is_served_and_nothing_is_below() {
    let (site, ..) = connected().await;
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        for path in ["/mcp", "/mcp/"] {
            let answer = site.send(method.clone(), path).await.problem(405);
            assert_eq!(answer.header("allow"), "POST", "{method} {path}");
        }
    }
    assert_eq!(site.send(Method::HEAD, "/mcp").await.status, 405);
    for path in ["/mcp/info", "/mcp/meta", "/mcp/x/y"] {
        site.send(Method::GET, path).await.problem(404);
    }
}

#[tokio::test]
async fn an_application_without_tools_has_no_mcp() {
    let site =
        Site::of(App::new("urn:actingweb:example.com:plain").method("m", || Ok::<_, HookError>(json!({})))).await;
    for method in [Method::GET, Method::POST] {
        site.send(method, "/mcp").await.problem(404);
    }
}

#[tokio::test]
async fn without_a_token_the_challenge_says_where_to_get_one() {
    let (site, _, assistant) = connected().await;
    let about = format!("resource_metadata=\"{}\"", site.url("/.well-known/oauth-protected-resource/mcp"));
    let answer = Answer::of(assistant.unsigned(list())).await.problem(401);
    assert_eq!(answer.header("www-authenticate"), format!("Bearer {about}, scope=\"mcp\""));
    // Also of what needed no token in other servers.
    for method in ["initialize", "ping", "notifications/initialized", "server/discover"] {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": {} });
        Answer::of(assistant.unsigned(body.to_string())).await.problem(401);
    }
    for token in [
        "x",
        "actw_a",
        "actw_a.b.c.d.e.f",
        &format!("{}x", assistant.token),
        &assistant.token.replace("actw_a", "actw_r"),
    ] {
        let answer = Answer::of(assistant.unsigned(list()).bearer_auth(token)).await.problem(401);
        let challenge = answer.header("www-authenticate");
        assert!(
            challenge.starts_with(&format!("Bearer {about}, scope=\"mcp\", error=\"invalid_token\"")),
            "{challenge}"
        );
    }
    Answer::of(assistant.unsigned(list()).basic_auth("ann@example.com", Some("x"))).await.problem(401);
    Answer::of(assistant.post(list()).header("authorization", "Bearer x")).await.problem(400);
}

#[tokio::test]
async fn tokens_are_good_for_one_resource_and_one_scope() {
    let (site, owner, assistant) = connected().await;
    let for_rest = Assistant::scoped(&site, &owner, ("mcp_client", "rest"), (Audience::Rest, "mcp")).await;
    let refused = for_rest.ask("tools/list", json!({})).await.problem(401);
    assert!(refused.header("www-authenticate").contains("error=\"invalid_token\""));
    // And the other way round.
    let answer = Answer::of(owner.anonymous(Method::GET, "/methods").bearer_auth(&assistant.token)).await;
    assert_eq!(answer.status, 401, "{}", answer.body);
    let other_scope = Assistant::scoped(&site, &owner, ("mcp_client", "other"), (Audience::Mcp, "other")).await;
    let refused = other_scope.ask("tools/list", json!({})).await.problem(403);
    assert!(refused.header("www-authenticate").contains("error=\"insufficient_scope\""));
    // A user's own session is for REST.
    let session = actingweb_tests::grants::session_of(&site, &owner).await;
    Assistant::with_token(&site, session, String::new()).ask("tools/list", json!({})).await.problem(401);
}

#[tokio::test]
async fn whatever_is_revoked_is_refused_at_once() {
    let (site, owner, first) = connected().await;
    let second = Assistant::named(&site, &owner, "mcp_client", "second").await;
    let trusts = owner.get("/trust").await.expect(200).json();
    let first_peer = format!("oauth2_client:{}", first.client_id);
    assert!(trusts.to_string().contains(&first_peer), "{trusts}");
    let path = format!("/trust/mcp_client/{first_peer}");
    assert!(owner.delete(&path).await.status < 300);
    first.ask("tools/list", json!({})).await.problem(401);
    second.ask("tools/list", json!({})).await.expect(200);
    owner.delete("").await.expect(204);
    second.ask("tools/list", json!({})).await.problem(401);
}

#[tokio::test]
async fn pages_of_other_origins_may_not() {
    let (site, _, assistant) = connected().await;
    let from = |origin: &str| assistant.post(list()).header("origin", origin);
    let host = site.host().to_owned();
    for origin in [
        "https://evil.example.com",
        "null",
        "not an origin",
        "https://chat.example.com.evil.example",
        "http://chat.example.com",
    ] {
        Answer::of(from(origin)).await.problem(403);
    }
    for origin in ["https://chat.example.com", &format!("http://{host}"), "http://localhost:6274"] {
        let answer = Answer::of(from(origin)).await.expect(200);
        assert_eq!(answer.header("access-control-allow-origin"), origin);
        assert_eq!(answer.header("vary"), "Origin");
        // The page may read why it is refused, too.
        let refused = Answer::of(assistant.unsigned(list()).header("origin", origin)).await.problem(401);
        assert_eq!(refused.header("access-control-allow-origin"), origin);
        assert!(refused.header("access-control-expose-headers").contains("WWW-Authenticate"));
    }
    let ask = |origin: &'static str| {
        site.request(Method::OPTIONS, "/mcp").header("origin", origin).header("access-control-request-method", "POST")
    };
    let answer = Answer::of(ask("https://chat.example.com")).await.expect(204);
    assert!(answer.header("access-control-allow-headers").contains("authorization"));
    Answer::of(ask("https://evil.example.com")).await.problem(403);
}

#[tokio::test]
async fn a_refusal_does_not_end_the_connection() {
    let (site, ..) = connected().await;
    let plain =
        Site::of(App::new("urn:actingweb:example.com:plain").method("m", || Ok::<_, HookError>(json!({})))).await;
    // More than servers read ahead by themselves.
    let body = "x".repeat(2_000_000);
    for (site, line, header, status) in [
        (&site, "POST /mcp", "origin: https://evil.example.com", "403"),
        (&site, "POST /mcp", "host: evil.example.com", "403"),
        (&site, "POST /mcp", "x-y: z", "401"),
        (&site, "PUT /mcp", "x-y: z", "405"),
        (&site, "POST /mcp/info", "x-y: z", "404"),
        (&plain, "POST /mcp", "x-y: z", "404"),
    ] {
        let what = format!("{line} with {header}");
        let host = if header.starts_with("host") { String::new() } else { format!("host: {}\r\n", site.host()) };
        let request = format!("{line} HTTP/1.1\r\n{host}{header}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let mut connection = BufStream::new(TcpStream::connect(site.host()).await.unwrap());
        // The second one is answered only if the first left the connection as it was.
        for _ in 0..2 {
            let sent = async {
                connection.write_all(request.as_bytes()).await?;
                connection.flush().await?;
                reply(&mut connection).await
            };
            let reply = sent.await.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(reply.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {reply}");
        }
    }
}

/// The status line of a reply; the rest of it is read, too.
async fn reply(connection: &mut BufStream<TcpStream>) -> std::io::Result<String> {
    let (mut first, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if connection.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
        if first.is_empty() {
            first = line;
        } else if line == "\r\n" {
            connection.read_exact(&mut vec![0; length]).await?;
            return Ok(first);
        }
    }
}

#[tokio::test]
async fn other_names_for_this_machine_may_not() {
    let (_site, _, assistant) = connected().await;
    for host in ["evil.example.com", "evil.example.com:3000", "127.0.0.1.evil.example"] {
        Answer::of(assistant.post(list()).header("host", host)).await.problem(403);
    }
    Answer::of(assistant.post(list()).header("host", "localhost:3000")).await.expect(200);
}

#[tokio::test]
async fn what_is_no_message_is_refused_with_the_code_for_it() {
    let (_site, _, assistant) = connected().await;
    let code = async |body: &str| {
        let answer = Answer::of(assistant.post(body.to_owned())).await.expect(400).json();
        (answer["error"]["code"].as_i64().unwrap(), answer["id"].clone())
    };
    for body in ["", "{", "nonsense", "{\"jsonrpc\":"] {
        assert_eq!(code(body).await, (-32700, Value::Null), "{body}");
    }
    let batch = format!("[{}]", list());
    for body in [
        batch.as_str(),
        "[]",
        "1",
        "\"x\"",
        "null",
        "{}",
        "{\"jsonrpc\":\"1.0\",\"method\":\"ping\"}",
        "{\"jsonrpc\":\"2.0\"}",
    ] {
        assert_eq!(code(body).await.0, -32600, "{body}");
    }
    assert_eq!(code("{\"jsonrpc\":\"1.0\",\"id\":3,\"method\":\"ping\"}").await.1, 3);
    let large = format!("{{\"jsonrpc\":\"2.0\",\"x\":\"{}\"}}", "x".repeat(4_000_000));
    Answer::of(assistant.post(large)).await.problem(413);
}

#[tokio::test]
async fn the_forms_of_request_and_reply_are_negotiated() {
    let (_site, _, assistant) = connected().await;
    for accept in ["application/json", "text/event-stream", "text/html", "application/json;q=0, text/event-stream"] {
        let request = assistant.post(list());
        let (client, request) = request.build_split();
        let mut request = request.unwrap();
        request.headers_mut().insert("accept", accept.parse().unwrap());
        assert_eq!(client.execute(request).await.unwrap().status(), 406, "{accept}");
    }
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let (client, request) = assistant.post(list()).build_split();
        let mut request = request.unwrap();
        request.headers_mut().insert("content-type", content_type.parse().unwrap());
        assert_eq!(client.execute(request).await.unwrap().status(), 415, "{content_type}");
    }
}

#[tokio::test]
async fn notifications_are_taken_without_a_word() {
    let (_site, _, assistant) = connected().await;
    for method in
        ["notifications/initialized", "notifications/cancelled", "notifications/roots/list_changed", "notifications/x"]
    {
        let body = json!({ "jsonrpc": "2.0", "method": method, "params": { "requestId": 1 } });
        let answer = Answer::of(assistant.post(body.to_string())).await.expect(202);
        assert_eq!(answer.body, "", "{method}");
    }
}

#[tokio::test]
async fn every_legacy_revision_is_negotiated() {
    let (_site, _, assistant) = connected().await;
    let begin = |revision: &str| {
        let params = json!({
            "protocolVersion": revision,
            "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        });
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params }).to_string()
    };
    for revision in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let result = Answer::of(assistant.post(begin(revision))).await.expect(200).json()["result"].clone();
        assert_eq!(result["protocolVersion"], revision);
        assert_eq!(result["serverInfo"]["name"], "notes");
        assert_eq!(result["serverInfo"]["version"], "1.2.3");
        assert_eq!(result["instructions"], "Ask before you write.");
        assert_eq!(result["capabilities"], json!({ "tools": {} }), "what is registered, and no notifications");
        // Nothing is remembered, so nothing must be begun.
        assert_eq!(assistant.result_in(revision, "ping", json!({})).await, json!({}));
        let listed = assistant.result_in(revision, "tools/list", json!({})).await;
        assert_eq!(listed["tools"][0]["name"], "search", "{revision}");
        assert!(listed.get("resultType").is_none(), "{revision}");
    }
    // A revision nobody knows is answered with the newest that begins so.
    let newest = Answer::of(assistant.post(begin("2099-01-01"))).await.expect(200).json();
    assert_eq!(newest["result"]["protocolVersion"], "2025-11-25");
    let malformed = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": { "clientInfo": {} } });
    let answer = Answer::of(assistant.post(malformed.to_string())).await.expect(200).json();
    assert_eq!(answer["error"]["code"], -32602);
}

#[tokio::test]
async fn no_revision_means_the_first_with_this_transport() {
    let (_site, _, assistant) = connected().await;
    let answer = Answer::of(assistant.post(list())).await.expect(200).json();
    assert!(answer["result"]["tools"][0].get("outputSchema").is_none(), "{answer}");
    assert_eq!(answer["id"], 7);
}

#[tokio::test]
async fn an_unknown_revision_is_refused_with_those_that_are_known() {
    let (_site, _, assistant) = connected().await;
    let answer = assistant.ask_in("2019-01-01", "tools/list", json!({})).await.expect(400).json();
    assert_eq!(answer["error"]["code"], -32022);
    assert_eq!(answer["error"]["data"]["requested"], "2019-01-01");
    assert_eq!(answer["error"]["data"]["supported"].as_array().unwrap().len(), 5);
    // The same where the body names it.
    let request = assistant.modern("tools/list", json!({}));
    let (client, request) = request.build_split();
    let request = request.unwrap();
    let body = String::from_utf8(request.body().unwrap().as_bytes().unwrap().to_vec()).unwrap();
    let request = assistant.post(body.replace(MODERN, "2099-01-01")).header("mcp-protocol-version", "2099-01-01");
    let answer = Answer::of(request.header("mcp-method", "tools/list")).await.expect(400).json();
    drop(client);
    assert_eq!(answer["error"]["code"], -32022, "{answer}");
}

#[tokio::test]
async fn the_current_revision_discovers_and_mirrors_its_headers() {
    let (_site, _, assistant) = connected().await;
    let found = assistant.result("server/discover", json!({})).await;
    assert_eq!(found["supportedVersions"].as_array().unwrap().last().unwrap(), MODERN);
    assert_eq!(found["instructions"], "Ask before you write.");
    assert_eq!(found["resultType"], "complete");
    assert_eq!(found["cacheScope"], "private");
    // There is no ping any more, and an unknown method is an unknown place.
    for method in [
        "ping",
        "nothing/at/all",
        "logging/setLevel",
        "resources/subscribe",
        "completion/complete",
        "subscriptions/listen",
    ] {
        let answer = assistant.ask(method, json!({ "uri": "x://y", "level": "info" })).await;
        assert_eq!(answer.status, 404, "{method}: {}", answer.body);
        assert_eq!(answer.json()["error"]["code"], -32601, "{method}");
    }
    // Gateways route by the headers: they must say what the body says.
    let (_, request) = assistant.modern("tools/list", json!({})).build_split();
    let body = request.unwrap().body().unwrap().as_bytes().unwrap().to_vec();
    let with = |version: Option<&str>, method: Option<&str>| {
        let request = assistant.post(body.clone());
        let request =
            version.into_iter().fold(request, |request, version| request.header("mcp-protocol-version", version));
        method.into_iter().fold(request, |request, method| request.header("mcp-method", method))
    };
    for (version, method) in [
        (Some(MODERN), None),
        (Some(MODERN), Some("tools/call")),
        (None, Some("tools/list")),
        (Some("2025-11-25"), Some("tools/list")),
    ] {
        let answer = Answer::of(with(version, method)).await.expect(400).json();
        assert_eq!(answer["error"]["code"], -32020, "{version:?} {method:?}: {answer}");
    }
    Answer::of(with(Some(MODERN), Some("tools/list"))).await.expect(200);
}

#[tokio::test]
async fn unknown_methods_of_legacy_revisions_are_errors_of_the_protocol() {
    let (_site, _, assistant) = connected().await;
    let answer = assistant.ask_in("2025-06-18", "nothing/at/all", json!({})).await.expect(200).json();
    assert_eq!(answer["error"]["code"], -32601);
    for method in ["tools/call", "prompts/get", "resources/read"] {
        let answer = assistant.ask_in("2025-06-18", method, json!({})).await.expect(200).json();
        assert_eq!(answer["error"]["code"], -32602, "{method}: {answer}");
    }
}

#[tokio::test]
async fn a_session_that_a_client_makes_up_means_nothing() {
    let (_site, _, assistant) = connected().await;
    let answer = Answer::of(assistant.post(list()).header("mcp-session-id", "made-up")).await.expect(200);
    assert_eq!(answer.header("mcp-session-id"), "");
}

#[tokio::test]
async fn a_tool_costs_one_call_to_storage() {
    let (site, _, assistant) = connected().await;
    for (what, request) in [
        ("tools/list", assistant.modern("tools/list", json!({}))),
        ("tools/call", assistant.modern("tools/call", json!({ "name": "search", "arguments": {} }))),
    ] {
        let (answer, calls) = site.meter().measure(Answer::of(request)).await;
        answer.expect(200);
        assert_eq!((calls.count(), calls.longest_chain()), (1, 1), "{what}: {:?}", calls.operations());
    }
    let (answer, calls) = site.meter().measure(Answer::of(assistant.unsigned(list()))).await;
    answer.expect(401);
    assert_eq!(calls.count(), 0, "nobody is looked up for nobody");
}
