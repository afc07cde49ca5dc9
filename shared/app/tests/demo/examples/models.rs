//! Hooks that models call: a tool and a prompt.

use actingweb_hooks::PromptMessages;
use actingweb_hooks::prelude::*;
use actingweb_local::testing::TestApp;

#[derive(Deserialize, JsonSchema)]
struct Search {
    /// What to look for.
    query: String,
}

async fn search_data(Input(q): Input<Search>, http: Http, services: Services) -> Result<Value, HookError> {
    let ask = http.get(services.join("search", "news")?).query(&[("topic", q.query)]);
    Ok(ask.send().await?.error_for_status()?.json().await?)
}

async fn summarize_notes(actor: Actor) -> Result<PromptMessages, HookError> {
    let notes = actor.list_items("notes").await?.unwrap_or_default();
    let titles: Vec<_> = notes.iter().filter_map(|note| note["title"].as_str()).collect();
    Ok(PromptMessages::user(format!("Summarize my {} notes: {}", titles.len(), titles.join(", "))))
}

fn app() -> App {
    App::new("urn:actingweb:example.com:demo")
        .action("search_data", search_data)
        .annotate(Annotations::read_only().open_world())
        .tool("Searches the archive for a text. Use it before you answer from memory.")
        .method("summarize_notes", summarize_notes)
        .prompt("Summarizes the notes")
}

#[tokio::test]
async fn a_tool_and_a_prompt_are_hooks_like_any_other() {
    let app = TestApp::setup(app()).service("search").start().await;
    let ann = app.actor("ann@example.org").await;
    let found = ann.action("search_data", json!({ "query": "tides" })).await.answer();
    assert!(found.to_string().contains("tides"), "{found}");
    let refused = ann.action("search_data", json!({ "text": "tides" })).await.failure();
    assert_eq!(refused.status, 400);

    ann.actor().create_list("notes", None, None).await.unwrap();
    for title in ["milk", "bread"] {
        ann.actor().append("notes", json!({ "title": title })).await.unwrap();
    }
    let prompt = ann.method("summarize_notes", json!({})).await.answer();
    assert!(prompt.to_string().contains("Summarize my 2 notes: milk, bread"), "{prompt}");
}
