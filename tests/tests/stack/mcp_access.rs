//! Who may use what over MCP: no more than over REST, in lists and calls alike, and closed where nothing is said.

use actingweb_hooks::{App, Category, HookError, Operation, Rules, TrustDefinition};
use actingweb_tests::assistant::Assistant;
use actingweb_tests::{Owner, Site};
use serde_json::{Value, json};

fn app() -> App {
    let answer = || Ok::<_, HookError>(json!("done"));
    let all = || Rules::allow(&["*"]);
    let read = |patterns: &[&str]| Rules::patterns(patterns, &[Operation::Read]);
    App::new("urn:actingweb:example.com:access")
        .trust_type(
            TrustDefinition::new("mcp_only", "MCP only", "May use tools, but calls nothing over REST")
                .grants(Category::Tools, all())
                .grants(Category::Prompts, all())
                .grants(Category::Resources, read(&["*"]))
                .grants(Category::Methods, Rules::nothing())
                .grants(Category::Actions, Rules::nothing()),
        )
        .trust_type(
            TrustDefinition::new("rest_only", "REST only", "Calls anything over REST, but uses no tools")
                .grants(Category::Methods, all())
                .grants(Category::Actions, all())
                .grants(Category::Tools, Rules::nothing()),
        )
        .trust_type(
            TrustDefinition::new("some", "Some", "May use some")
                .grants(Category::Tools, all().deny(&["admin_*"]))
                .grants(Category::Prompts, Rules::allow(&["greet"]))
                .grants(Category::Resources, read(&["notes://public/*", "notes://public/{id}"]))
                .grants(Category::Methods, all())
                .grants(Category::Actions, all().deny(&["delete_*"])),
        )
        .action("admin_reset", answer)
        .tool("Resets")
        .action("delete_note", answer)
        .tool("Deletes")
        .action("search", answer)
        .tool("Searches")
        .method("greet", answer)
        .prompt("Greets")
        .method("insult", answer)
        .prompt("Insults")
        .method("public_note", answer)
        .mcp_resource("notes://public/{id}", "A public note")
        .method("private_note", answer)
        .mcp_resource("notes://private/{id}", "A private note")
        .action("no_tool", answer)
}

async fn site() -> (Site, Owner) {
    let site = Site::of(app()).await;
    let owner = site.actor("ann@example.com").await;
    (site, owner)
}

/// Every call that there is, with whether it may be made.
async fn reach(assistant: &Assistant) -> Vec<&'static str> {
    const CALLS: [(&str, &str, &str); 8] = [
        ("tools/call", "name", "admin_reset"),
        ("tools/call", "name", "delete_note"),
        ("tools/call", "name", "search"),
        ("tools/call", "name", "no_tool"),
        ("prompts/get", "name", "greet"),
        ("prompts/get", "name", "insult"),
        ("resources/read", "uri", "notes://public/1"),
        ("resources/read", "uri", "notes://private/1"),
    ];
    let mut reached = Vec::new();
    for (method, key, target) in CALLS {
        let mut params = json!({});
        params[key] = json!(target);
        let answer = assistant.ask(method, params).await.json();
        match answer.get("error") {
            None => reached.push(target),
            Some(error) => {
                // As if it were not there.
                let mut nothing = json!({});
                let stranger = if key == "uri" { "notes://nothing/1" } else { "nothing" };
                nothing[key] = json!(stranger);
                let missing = assistant.ask(method, nothing).await.json()["error"].clone();
                let said = error.to_string().replace(target, "*");
                assert_eq!(said, missing.to_string().replace(stranger, "*"), "{target}");
            }
        }
    }
    reached
}

async fn lists(assistant: &Assistant) -> [Vec<String>; 3] {
    [
        assistant.names("tools/list", "tools").await,
        assistant.names("prompts/list", "prompts").await,
        assistant.names("resources/templates/list", "resourceTemplates").await,
    ]
}

#[tokio::test]
async fn a_list_shows_what_may_be_called_and_nothing_else() {
    let (site, owner) = site().await;
    let assistant = Assistant::connect(&site, &owner, "some").await;
    assert_eq!(
        lists(&assistant).await,
        [vec!["search".to_owned()], vec!["greet".to_owned()], vec!["public_note".to_owned()]]
    );
    assert_eq!(reach(&assistant).await, ["search", "greet", "notes://public/1"]);
}

#[tokio::test]
async fn the_stricter_of_mcp_and_rest_counts() {
    let (site, owner) = site().await;
    for trust_type in ["mcp_only", "rest_only"] {
        let assistant = Assistant::connect(&site, &owner, trust_type).await;
        assert_eq!(reach(&assistant).await, Vec::<&str>::new(), "{trust_type}");
        assert_eq!(lists(&assistant).await.concat(), Vec::<String>::new(), "{trust_type}");
    }
}

#[tokio::test]
async fn built_in_types_reach_what_they_reach_over_rest() {
    let (site, owner) = site().await;
    for (trust_type, expected) in [
        ("associate", &[] as &[&str]),
        ("viewer", &[]),
        ("mcp_client", &["search"]),
        ("friend", &["search", "notes://public/1", "notes://private/1"]),
        ("admin", &["admin_reset", "delete_note", "search", "notes://public/1", "notes://private/1"]),
    ] {
        let assistant = Assistant::connect(&site, &owner, trust_type).await;
        assert_eq!(reach(&assistant).await, expected, "{trust_type}");
    }
}

/// Relationships that nobody defined have no rules, and what has no rules is closed.
#[tokio::test]
async fn an_unregistered_type_reaches_nothing() {
    let (site, owner) = site().await;
    let assistant = Assistant::connect(&site, &owner, "invented").await;
    assert_eq!(reach(&assistant).await, Vec::<&str>::new());
    assert_eq!(lists(&assistant).await.concat(), Vec::<String>::new());
}

#[tokio::test]
async fn a_change_of_rights_counts_from_the_next_request_on() {
    let (site, owner) = site().await;
    let assistant = Assistant::connect(&site, &owner, "some").await;
    assert_eq!(assistant.names("tools/list", "tools").await, ["search"]);
    let path = format!("/trust/some/oauth2_client:{}/permissions", assistant.client_id);
    let put = async |rules: Value| {
        let answer = owner.put(&path, &rules).await;
        assert!(answer.status < 300, "{}", answer.body);
    };
    put(json!({ "tools": { "denied": ["search"] } })).await;
    assert_eq!(assistant.names("tools/list", "tools").await, Vec::<String>::new());
    assert!(!reach(&assistant).await.contains(&"search"));
    put(json!({ "tools": null, "actions": { "denied": ["search"] } })).await;
    assert_eq!(assistant.names("tools/list", "tools").await, Vec::<String>::new(), "what REST denies, MCP denies");
}

/// `%65` is an `e`, and `%2F` a slash: hooks get what was meant, so rights are judged by it, too.
#[tokio::test]
async fn what_is_excluded_is_so_however_it_is_written() {
    let (site, owner) = site().await;
    let assistant = Assistant::connect(&site, &owner, "some").await;
    let path = format!("/trust/some/oauth2_client:{}/permissions", assistant.client_id);
    let rules = json!({ "resources": { "excluded_patterns": ["notes://public/secret*"] } });
    let answer = owner.put(&path, &rules).await;
    assert!(answer.status < 300, "{}", answer.body);
    let reaches = async |uri: &str| {
        let answer = assistant.ask("resources/read", json!({ "uri": uri })).await.json();
        answer.get("error").is_none()
    };
    assert!(reaches("notes://public/1").await);
    for uri in ["notes://public/secret1", "notes://public/s%65cret1", "notes://public/%73%65%63%72%65%74"] {
        assert!(!reaches(uri).await, "{uri}");
    }
}

#[tokio::test]
async fn a_token_is_about_its_own_actor_only() {
    let (site, ann) = site().await;
    let bob = site.actor("bob@example.com").await;
    let assistant = Assistant::connect(&site, &ann, "some").await;
    let other = Assistant::with_token(&site, assistant.token.replace(&ann.id, &bob.id), assistant.client_id.clone());
    other.ask("tools/list", json!({})).await.problem(401);
    assistant.ask("tools/list", json!({})).await.expect(200);
}

/// Nobody becomes an administrator by registering (what the Python library allowed).
#[tokio::test]
async fn a_client_that_registered_has_no_access_by_that() {
    let (site, owner) = site().await;
    let assistant = Assistant::connect(&site, &owner, "some").await;
    let registration = json!({
        "client_name": "x", "redirect_uris": ["http://127.0.0.1/callback"], "trust_type": "admin",
        "grant_types": ["client_credentials"],
    });
    let answer = site.request(reqwest::Method::POST, "/oauth/register").json(&registration);
    let answer = actingweb_tests::Answer::of(answer).await;
    let (id, secret) = match answer.status {
        201 => {
            let client = answer.json();
            let text = |name: &str| client[name].as_str().unwrap_or_default().to_owned();
            (text("client_id"), text("client_secret"))
        }
        _ => (assistant.client_id.clone(), String::new()),
    };
    let form = format!("grant_type=client_credentials&scope=mcp&client_id={id}&client_secret={secret}");
    let request = site.request(reqwest::Method::POST, "/oauth/token").body(form);
    let answer = actingweb_tests::Answer::of(request.header("content-type", "application/x-www-form-urlencoded")).await;
    assert!(matches!(answer.status, 400 | 401), "{}: {}", answer.status, answer.body);
}
