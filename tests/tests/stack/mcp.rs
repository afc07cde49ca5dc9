//! What AI clients get: tools, prompts, resources, questions.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actingweb_hooks::prelude::*;
use actingweb_hooks::{Category, Operation};
use actingweb_hooks::{McpClient, PromptMessages, Reply, ResourceContent, Rules, ToolContent, TrustDefinition};
use actingweb_tests::assistant::Assistant;
use actingweb_tests::{Owner, Site};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

#[derive(Deserialize, JsonSchema)]
struct Add {
    /// The first one.
    a: f64,
    b: f64,
}

#[derive(Serialize, JsonSchema)]
struct Sum {
    sum: f64,
}

fn add(Input(q): Input<Add>) -> Result<Sum, HookError> {
    Ok(Sum { sum: q.a + q.b })
}

fn length(Input(text): Input<String>) -> Result<usize, HookError> {
    Ok(text.len())
}

fn picture() -> Result<ToolContent, HookError> {
    Ok(ToolContent::text("here").and_image(b"PNG", "image/png").and_link("notes://1", "the note"))
}

fn who(client: Option<McpClient>, ctx: Context) -> Result<Value, HookError> {
    let client = client
        .map(|client| json!({ "name": client.name, "id": client.client_id, "revision": client.protocol_version }));
    Ok(json!({ "client": client, "caller": ctx.caller().to_string() }))
}

fn fail(Input(kind): Input<Kind>) -> Result<Value, HookError> {
    Err(match kind.kind.as_str() {
        "rejected" => HookError::rejected("not on Sundays"),
        "invalid" => HookError::invalid("`kind` is odd"),
        "retryable" => HookError::retryable("the mill is busy").after(Duration::from_secs(3)),
        "panic" => panic!("secret"),
        _ => HookError::terminal("secret"),
    })
}

#[derive(Deserialize, JsonSchema)]
struct Kind {
    kind: String,
}

#[derive(Deserialize, JsonSchema)]
struct Confirm {
    really: bool,
}

#[derive(Deserialize, JsonSchema)]
struct Name {
    name: String,
}

fn empty(ask: Ask) -> Result<String, HookError> {
    let Reply::Given(Name { name }) = ask.form("name", "Who are you?")? else { return Ok("nobody".to_owned()) };
    match ask.form("sure", format!("Really, {name}?"))? {
        Reply::Given(Confirm { really: true }) => Ok(format!("emptied by {name}")),
        _ => Ok(format!("kept by {name}")),
    }
}

#[derive(Deserialize, JsonSchema)]
struct Topic {
    /// What to write about.
    topic: String,
    words: Option<u32>,
}

fn essay(Input(q): Input<Topic>) -> Result<PromptMessages, HookError> {
    let words = q.words.unwrap_or(100);
    Ok(PromptMessages::user(format!("Write {words} words on {}", q.topic)).and_assistant("With pleasure."))
}

#[derive(Deserialize, JsonSchema)]
struct Note {
    id: u32,
}

fn note(Input(note): Input<Note>) -> Result<ResourceContent, HookError> {
    match note.id {
        1 => Ok(ResourceContent::text("# One", "text/markdown")),
        2 => Ok(ResourceContent::bytes(&[0, 1, 2], "application/octet-stream")),
        id => Err(HookError::not_found(format!("note {id}"))),
    }
}

/// Who may use all of it.
fn everything() -> TrustDefinition {
    TrustDefinition::new("everything", "Everything", "May use everything")
        .grants(Category::Tools, Rules::allow(&["*"]))
        .grants(Category::Prompts, Rules::allow(&["*"]))
        .grants(Category::Resources, Rules::patterns(&["*"], &[Operation::Read]))
        .grants(Category::Methods, Rules::allow(&["*"]))
        .grants(Category::Actions, Rules::allow(&["*"]))
}

fn app() -> App {
    App::new("urn:actingweb:example.com:notes")
        .trust_type(everything())
        .method("add", add)
        .tool("Adds two numbers")
        .title("Add")
        .icon("https://example.com/add.svg", Some("image/svg+xml"))
        .annotate(Annotations::read_only().idempotent())
        .describe_for(AiClient::Claude, "Adds, for Claude")
        .method("length", length)
        .tool("Counts the letters of a text")
        .method("picture", picture)
        .tool("Draws")
        .method("who", who)
        .tool("Tells who asks")
        .method("fail", fail)
        .tool("Fails")
        .method("empty", empty)
        .tool("Empties the archive")
        .action("nothing", || Ok::<_, HookError>(()))
        .tool("Does nothing")
        .action("for_claude", || Ok::<_, HookError>(1))
        .tool("For Claude alone")
        .visible_to([AiClient::Claude])
        .action("hidden", || Ok::<_, HookError>(1))
        .method("essay", essay)
        .prompt("Begins an essay")
        .method("hello", || Ok::<_, HookError>("Say hello.".to_owned()))
        .prompt("Greets")
        .method("note", note)
        .mcp_resource("notes://{id}", "A note")
        .mime_type("text/markdown")
        .title("Note")
        .method("all_notes", || Ok::<_, HookError>(json!([1, 2])))
        .mcp_resource("notes://all", "Every note")
}

async fn connected() -> (Site, Owner, Assistant) {
    let site = Site::of(app()).await;
    let owner = site.actor("ann@example.com").await;
    let assistant = Assistant::connect(&site, &owner, "everything").await;
    (site, owner, assistant)
}

#[tokio::test]
async fn tools_say_what_they_take_and_give() {
    let (_site, _, assistant) = connected().await;
    let listed = assistant.result("tools/list", json!({})).await;
    let tools = listed["tools"].as_array().unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["add", "empty", "fail", "length", "nothing", "picture", "who"], "in the order of names");
    assert!(tools.iter().all(|tool| tool["inputSchema"]["type"] == "object"), "{listed}");
    let add = &tools[0];
    assert_eq!(add["title"], "Add");
    assert_eq!(add["description"], "Adds two numbers");
    assert_eq!(add["inputSchema"]["required"], json!(["a", "b"]));
    assert_eq!(add["inputSchema"]["properties"]["a"]["description"], "The first one.");
    assert_eq!(add["outputSchema"]["properties"]["sum"]["type"], "number");
    assert_eq!(add["annotations"], json!({ "readOnlyHint": true, "idempotentHint": true }));
    assert_eq!(add["icons"], json!([{ "src": "https://example.com/add.svg", "mimeType": "image/svg+xml" }]));
    // Only the user's own client may keep the list.
    assert_eq!((&listed["cacheScope"], &listed["resultType"]), (&json!("private"), &json!("complete")));
    assert!(listed["ttlMs"].as_u64().is_some_and(|ttl| ttl > 0));
}

#[tokio::test]
async fn a_tool_answers_models_and_programs() {
    let (_site, _, assistant) = connected().await;
    let result = assistant.call("add", json!({ "a": 1, "b": 2 })).await;
    assert_eq!(result["content"], json!([{ "type": "text", "text": "{\"sum\":3.0}" }]));
    assert_eq!(result["structuredContent"], json!({ "sum": 3.0 }));
    assert_eq!(result["isError"], false);
    assert_eq!(assistant.call("nothing", json!({})).await["content"], json!([]));
    let drawn = assistant.call("picture", json!({})).await;
    let kinds: Vec<_> = drawn["content"].as_array().unwrap().iter().map(|block| block["type"].clone()).collect();
    assert_eq!(kinds, ["text", "image", "resource_link"]);
    assert_eq!(drawn["content"][1]["data"], STANDARD.encode("PNG"));
}

#[tokio::test]
async fn what_is_no_object_travels_in_one() {
    let (_site, _, assistant) = connected().await;
    let listed = assistant.result("tools/list", json!({})).await;
    let length = listed["tools"].as_array().unwrap().iter().find(|tool| tool["name"] == "length").unwrap();
    assert_eq!(length["inputSchema"]["properties"]["input"]["type"], "string");
    let result = assistant.call("length", json!({ "input": "four" })).await;
    // The current revision takes any value there, the earlier ones objects only.
    assert_eq!((&result["content"][0]["text"], &result["structuredContent"]), (&json!("4"), &json!(4)));
    let params = json!({ "name": "length", "arguments": { "input": "four" } });
    let legacy = assistant.result_in("2025-11-25", "tools/call", params).await;
    assert!(legacy.get("structuredContent").is_none(), "{legacy}");
}

#[tokio::test]
async fn structured_content_is_for_revisions_that_know_it() {
    let (_site, _, assistant) = connected().await;
    let params = json!({ "name": "add", "arguments": { "a": 1, "b": 2 } });
    for (revision, expected) in [("2025-03-26", false), ("2025-06-18", true), ("2025-11-25", true)] {
        let result = assistant.result_in(revision, "tools/call", params.clone()).await;
        assert_eq!(result.get("structuredContent").is_some(), expected, "{revision}: {result}");
        let listed = assistant.result_in(revision, "tools/list", json!({})).await;
        assert_eq!(listed["tools"][0].get("outputSchema").is_some(), expected, "{revision}");
    }
}

#[tokio::test]
async fn arguments_that_do_not_fit_say_where() {
    let (_site, _, assistant) = connected().await;
    for (arguments, said) in [(json!({ "a": 1 }), "`b`"), (json!({ "a": "x", "b": 2 }), "`a`"), (json!({}), "`a`")] {
        let result = assistant.call("add", arguments.clone()).await;
        assert_eq!(result["isError"], true, "{arguments}");
        let text = result["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(said), "{arguments}: {text}");
        let params = json!({ "name": "add", "arguments": arguments });
        let error = assistant.ask_in("2025-06-18", "tools/call", params.clone()).await.expect(200).json();
        assert_eq!(error["error"]["code"], -32602, "an error of the protocol, before it became a result");
        assert_eq!(assistant.result_in("2025-11-25", "tools/call", params).await["isError"], true);
    }
    // What is no object at all is no call.
    let answer = assistant.ask("tools/call", json!({ "name": "add", "arguments": [1, 2] })).await;
    assert_eq!(answer.json()["error"]["code"], -32602, "{}", answer.body);
}

#[tokio::test]
async fn failures_are_results_with_the_public_text_only() {
    let (_site, _, assistant) = connected().await;
    for (kind, text) in [
        ("rejected", "not on Sundays"),
        ("invalid", "`kind` is odd"),
        ("retryable", "the mill is busy (try again in 3 s)"),
        ("terminal", "the hook failed; the log says why, under this request's id"),
        ("panic", "the hook failed; the log says why, under this request's id"),
    ] {
        let result = assistant.call("fail", json!({ "kind": kind })).await;
        assert_eq!(result["isError"], true, "{kind}");
        assert_eq!(result["content"], json!([{ "type": "text", "text": text }]), "{kind}");
    }
}

#[tokio::test]
async fn hooks_learn_which_client_asks() {
    let (site, owner, assistant) = connected().await;
    let who = assistant.call("who", json!({})).await["structuredContent"].clone();
    assert_eq!(who["client"], json!({ "name": "test", "id": assistant.client_id, "revision": "2026-07-28" }));
    assert_eq!(who["caller"], "a peer (everything)");
    // Earlier revisions name the client once, at the beginning, of which nothing is remembered: it is who it registered as.
    let params = json!({ "name": "who", "arguments": {} });
    let who = assistant.result_in("2025-11-25", "tools/call", params).await["structuredContent"].clone();
    assert_eq!(who["client"]["name"], "Test client");
    assert_eq!(owner.post("/methods/who", &json!({})).await.expect(200).json()["client"], Value::Null);
    drop(site);
}

#[tokio::test]
async fn clients_of_a_kind_have_tools_and_descriptions_of_their_own() {
    let (site, owner, assistant) = connected().await;
    let claude = Assistant::named(&site, &owner, "everything", "Claude Desktop").await;
    assert!(claude.names("tools/list", "tools").await.contains(&"for_claude".to_owned()));
    let listed = claude.result("tools/list", json!({})).await;
    assert_eq!(listed["tools"][0]["description"], "Adds, for Claude");
    assert_eq!(claude.call("for_claude", json!({})).await["structuredContent"], 1);
    // To all others it is not there, in calls as in lists.
    let answer = assistant.ask("tools/call", json!({ "name": "for_claude", "arguments": {} })).await;
    assert_eq!(answer.json()["error"]["code"], -32602);
}

#[tokio::test]
async fn prompts_give_messages() {
    let (_site, _, assistant) = connected().await;
    let listed = assistant.result("prompts/list", json!({})).await;
    let prompts = listed["prompts"].as_array().unwrap();
    assert_eq!(prompts.len(), 2);
    assert_eq!(
        prompts[0]["arguments"],
        json!([
            { "name": "topic", "description": "What to write about.", "required": true },
            { "name": "words", "required": false },
        ])
    );
    assert!(prompts[1].get("arguments").is_none());
    // Arguments are texts on the wire.
    let params = json!({ "name": "essay", "arguments": { "topic": "bees", "words": "20" } });
    let essay = assistant.result("prompts/get", params).await;
    assert_eq!(essay["description"], "Begins an essay");
    assert_eq!(
        essay["messages"],
        json!([
            { "role": "user", "content": { "type": "text", "text": "Write 20 words on bees" } },
            { "role": "assistant", "content": { "type": "text", "text": "With pleasure." } },
        ])
    );
    let hello = assistant.result("prompts/get", json!({ "name": "hello" })).await;
    assert_eq!(hello["messages"], json!([{ "role": "user", "content": { "type": "text", "text": "Say hello." } }]));
    for params in [
        json!({ "name": "essay", "arguments": {} }),
        json!({ "name": "essay", "arguments": { "topic": "x", "words": "many" } }),
        json!({ "name": "no_such" }),
        json!({ "name": "add" }),
    ] {
        let answer = assistant.ask("prompts/get", params.clone()).await;
        assert_eq!(answer.json()["error"]["code"], -32602, "{params}: {}", answer.body);
    }
}

#[tokio::test]
async fn resources_are_read_by_their_uri() {
    let (_site, _, assistant) = connected().await;
    let listed = assistant.result("resources/list", json!({})).await;
    assert_eq!(
        listed["resources"],
        json!([{ "uri": "notes://all", "name": "all_notes", "description": "Every note" }])
    );
    let families = assistant.result("resources/templates/list", json!({})).await;
    assert_eq!(
        families["resourceTemplates"],
        json!([{
            "uriTemplate": "notes://{id}", "name": "note", "title": "Note", "description": "A note",
            "mimeType": "text/markdown",
        }])
    );
    let read = async |uri: &str| assistant.result("resources/read", json!({ "uri": uri })).await["contents"].clone();
    assert_eq!(read("notes://1").await, json!([{ "uri": "notes://1", "mimeType": "text/markdown", "text": "# One" }]));
    let blob = STANDARD.encode([0, 1, 2]);
    assert_eq!(
        read("notes://2").await,
        json!([{ "uri": "notes://2", "mimeType": "application/octet-stream", "blob": blob }])
    );
    assert_eq!(
        read("notes://all").await,
        json!([{ "uri": "notes://all", "mimeType": "application/json", "text": "[1,2]" }])
    );
    for uri in ["notes://3", "notes://", "notes://1/x", "other://1", "file:///etc/passwd"] {
        let answer = assistant.ask("resources/read", json!({ "uri": uri })).await;
        assert_eq!(answer.json()["error"]["code"], -32602, "{uri}: {}", answer.body);
        let legacy = assistant.ask_in("2025-11-25", "resources/read", json!({ "uri": uri })).await.json();
        assert_eq!(legacy["error"]["code"], -32002, "{uri}: {legacy}");
    }
}

#[tokio::test]
async fn a_hook_asks_the_user_and_goes_on_with_the_answers() {
    let (_site, _, assistant) = connected().await;
    let assistant = assistant.with_forms();
    let first = assistant.call("empty", json!({})).await;
    assert_eq!(first["resultType"], "input_required", "{first}");
    let question = &first["inputRequests"]["name"];
    assert_eq!(question["method"], "elicitation/create");
    assert_eq!(question["params"]["message"], "Who are you?");
    assert_eq!(question["params"]["requestedSchema"]["properties"]["name"]["type"], "string");

    let again = |answers: Value, state: &Value| {
        let mut params = json!({ "name": "empty", "arguments": {}, "inputResponses": answers });
        if state.is_string() {
            params["requestState"] = state.clone();
        }
        params
    };
    let given = json!({ "name": { "action": "accept", "content": { "name": "Ann" } } });
    let second = assistant.result("tools/call", again(given, &first["requestState"])).await;
    assert_eq!(second["inputRequests"]["sure"]["params"]["message"], "Really, Ann?", "{second}");
    for (answer, said) in [
        (json!({ "action": "accept", "content": { "really": true } }), "emptied by Ann"),
        (json!({ "action": "decline" }), "kept by Ann"),
        (json!({ "action": "cancel" }), "kept by Ann"),
    ] {
        let last = assistant.result("tools/call", again(json!({ "sure": answer }), &second["requestState"])).await;
        assert_eq!(last["structuredContent"], said);
    }
    // An answer in another shape is asked for again.
    let odd = json!({ "sure": { "action": "accept", "content": { "really": "perhaps" } } });
    let third = assistant.result("tools/call", again(odd, &second["requestState"])).await;
    assert_eq!(third["inputRequests"]["sure"]["params"]["message"], "Really, Ann?");
    // Nor can it be forged, or carried to another tool.
    let state = second["requestState"].as_str().unwrap();
    for odd in ["not ours", "k1:AAAA", &format!("{state}x"), &state.replace("k1:", "k1:A")] {
        let forged = assistant.ask("tools/call", again(json!({}), &json!(odd))).await;
        assert_eq!(forged.json()["error"]["code"], -32602, "{odd}");
    }
    let elsewhere = json!({ "name": "nothing", "arguments": {}, "requestState": state });
    assert_eq!(assistant.ask("tools/call", elsewhere).await.json()["error"]["code"], -32602);
}

#[tokio::test]
async fn who_cannot_be_asked_learns_that() {
    let (_site, owner, assistant) = connected().await;
    let answer = assistant.ask("tools/call", json!({ "name": "empty", "arguments": {} })).await.expect(400).json();
    assert_eq!(answer["error"]["code"], -32021);
    assert!(answer["error"]["data"]["requiredCapabilities"]["elicitation"].is_object(), "{answer}");
    let legacy = assistant.result_in("2025-11-25", "tools/call", json!({ "name": "empty", "arguments": {} })).await;
    assert_eq!(legacy["isError"], true);
    assert!(legacy["content"][0]["text"].as_str().unwrap().ends_with("Who are you?"), "{legacy}");
    assert!(owner.post("/methods/empty", &json!({})).await.problem(400).detail().ends_with("Who are you?"));
}

#[tokio::test]
async fn lists_come_in_pages_that_hold() {
    let mut app = App::new("urn:actingweb:example.com:many").trust_type(everything());
    for n in 0..250 {
        app = app.action(format!("tool_{n:03}"), || Ok::<_, HookError>(1)).tool("One of many");
    }
    let site = Site::of(app).await;
    let owner = site.actor("ann@example.com").await;
    let assistant = Assistant::connect(&site, &owner, "everything").await;
    let (mut names, mut params, mut pages) = (String::new(), json!({}), 0);
    loop {
        let page = assistant.result("tools/list", params).await;
        for tool in page["tools"].as_array().unwrap() {
            write!(names, "{} ", tool["name"].as_str().unwrap()).unwrap();
        }
        pages += 1;
        let Some(cursor) = page.get("nextCursor") else { break };
        params = json!({ "cursor": cursor });
    }
    let all: Vec<_> = (0..250).map(|n| format!("tool_{n:03} ")).collect();
    assert_eq!((names, pages), (all.concat(), 3));
    let answer = assistant.ask("tools/list", json!({ "cursor": "!" })).await;
    assert_eq!(answer.json()["error"]["code"], -32602);
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_tool() {
    let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    struct Ends(Arc<AtomicUsize>);
    impl Drop for Ends {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let (began, ends) = (Arc::clone(&begun), Arc::clone(&ended));
    let wait = move || {
        began.fetch_add(1, Ordering::SeqCst);
        let guard = Ends(Arc::clone(&ends));
        async move {
            let _guard = guard;
            std::future::pending::<()>().await;
            Ok::<_, HookError>(1)
        }
    };
    let app = App::new("urn:actingweb:example.com:slow").trust_type(everything()).action("wait", wait).tool("Waits");
    let site = Site::of(app).await;
    let owner = site.actor("ann@example.com").await;
    let assistant = Assistant::connect(&site, &owner, "everything").await;
    let request = assistant.modern("tools/call", json!({ "name": "wait", "arguments": {} }));
    {
        let mut sending = Box::pin(request.send());
        while begun.load(Ordering::SeqCst) == 0 {
            tokio::select! {
                _ = &mut sending => panic!("it answered"),
                () = tokio::task::yield_now() => {}
            }
        }
    }
    actingweb_tests::eventually("the hook was dropped", || {
        let dropped = ended.load(Ordering::SeqCst);
        std::future::ready(if dropped == 1 { Ok(()) } else { Err(format!("{dropped} were")) })
    })
    .await;
}
