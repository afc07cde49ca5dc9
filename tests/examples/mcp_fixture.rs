//! A server for the conformance suite of MCP: the tools, prompts and resources that its scenarios name, behind the whole
//! flow of OAuth.
//!
//! ```text
//! cargo run -p actingweb-tests --example mcp_fixture -- 127.0.0.1:8090
//! ```
//!
//! A client registers, a browser signs in and consents, and the token that comes of it is put onto every request to that
//! address, since the suite brings none of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "it is a test's program")]

use actingweb_hooks::prelude::*;
use actingweb_hooks::{
    Category, Operation, PromptMessages, Reply, ResourceContent, Rules, Schema, ToolContent, TrustDefinition,
};
use actingweb_protocol::Deadline;
use actingweb_tests::{OauthClient, Site};
use actingweb_web::AppState;
use actingweb_worker::tasks::Round;
use axum::extract::Request;
use http::{HeaderValue, header};
use tokio::time::Instant;

/// A PNG of one pixel, and a WAV of none.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82";
const WAV: &[u8] = b"RIFF$\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0@\x1f\0\0@\x1f\0\0\x01\0\x08\0data\0\0\0\0";

#[derive(Deserialize, JsonSchema)]
struct Two {
    /// First test argument
    arg1: String,
    /// Second test argument
    arg2: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Embedded {
    /// URI of the resource to embed
    resource_uri: String,
}

#[derive(Deserialize, JsonSchema)]
struct Id {
    id: String,
}

#[derive(Deserialize, JsonSchema)]
struct Name {
    name: String,
}

#[derive(Deserialize, JsonSchema)]
struct Slow {
    seconds: u64,
}

#[derive(Deserialize, JsonSchema)]
struct Color {
    color: String,
}

#[derive(Deserialize, JsonSchema)]
struct Ok_ {
    ok: bool,
}

#[derive(Deserialize, JsonSchema)]
struct Additional {
    context: String,
}

/// An input whose schema says more than types can.
#[derive(Deserialize)]
struct Contact(#[allow(dead_code, reason = "the schema is what is tested")] Value);

impl JsonSchema for Contact {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Contact".into()
    }

    fn json_schema(_: &mut actingweb_hooks::schemars::SchemaGenerator) -> actingweb_hooks::schemars::Schema {
        let schema: Schema = json!({
            "type": "object",
            "$defs": {
                "address": {
                    "$anchor": "addressDef",
                    "type": "object",
                    "properties": { "street": { "type": "string" }, "city": { "type": "string" } },
                },
            },
            "properties": {
                "name": { "type": "string" },
                "address": { "$ref": "#/$defs/address" },
                "contactMethod": { "type": "string", "enum": ["phone", "email"] },
                "phone": { "type": "string" },
                "email": { "type": "string" },
            },
            "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
            "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
            "then": { "required": ["phone"] },
            "else": { "required": ["email"] },
            "additionalProperties": false,
        });
        schema.try_into().expect("a schema")
    }
}

/// An input that gateways see in a header.
#[derive(Deserialize, JsonSchema)]
struct Region {
    #[schemars(extend("x-mcp-header" = "Region"))]
    region: String,
}

type Answer<T> = Result<T, HookError>;

fn ask_name(ask: Ask) -> Answer<ToolContent> {
    match ask.form("user_name", "What is your name?")? {
        Reply::Given(Name { name }) => Ok(ToolContent::text(format!("Hello, {name}!"))),
        _ => Ok(ToolContent::text("Hello!")),
    }
}

fn ask_twice(ask: Ask) -> Answer<ToolContent> {
    let Reply::Given(Name { name }) = ask.form("step1", "Step 1: What is your name?")? else {
        return Ok(ToolContent::text("Nobody"));
    };
    match ask.form("step2", "Step 2: What is your favorite color?")? {
        Reply::Given(Color { color }) => Ok(ToolContent::text(format!("{name} likes {color}"))),
        _ => Ok(ToolContent::text(format!("{name} likes no color"))),
    }
}

fn confirm(ask: Ask) -> Answer<ToolContent> {
    match ask.form("confirm", "Please confirm")? {
        Reply::Given(Ok_ { ok: true }) => Ok(ToolContent::text("state-ok")),
        _ => Ok(ToolContent::text("state-ok, declined")),
    }
}

fn ask_in_prompt(ask: Ask) -> Answer<PromptMessages> {
    match ask.form("user_context", "What context should the prompt use?")? {
        Reply::Given(Additional { context }) => Ok(PromptMessages::user(format!("Use this: {context}"))),
        _ => Ok(PromptMessages::user("Use nothing")),
    }
}

fn everything() -> TrustDefinition {
    TrustDefinition::new("conformance", "Conformance", "May use everything")
        .grants(Category::Tools, Rules::allow(&["*"]))
        .grants(Category::Prompts, Rules::allow(&["*"]))
        .grants(Category::Resources, Rules::patterns(&["*"], &[Operation::Read]))
        .grants(Category::Methods, Rules::allow(&["*"]))
        .grants(Category::Actions, Rules::allow(&["*"]))
}

fn app() -> App {
    let app =
        App::new("urn:actingweb:example.com:conformance").trust_type(everything()).oauth_trust_types(["conformance"]);
    resources(prompts(questions(tasks(tools(app)))))
}

fn tools(app: App) -> App {
    app.action("test_simple_text", || Answer::Ok(ToolContent::text("This is a simple text response for testing.")))
        .tool("Answers with a text")
        .action("test_image_content", || Answer::Ok(ToolContent::new().and_image(PNG, "image/png")))
        .tool("Answers with a picture")
        .action("test_audio_content", || Answer::Ok(ToolContent::new().and_audio(WAV, "audio/wav")))
        .tool("Answers with sound")
        .action("test_embedded_resource", || {
            let text = "This is an embedded resource content.";
            Answer::Ok(ToolContent::new().and_resource("test://embedded-resource", "text/plain", text))
        })
        .tool("Answers with a resource")
        .action("test_multiple_content_types", || {
            let text = json!({ "test": "data", "value": 123 }).to_string();
            Answer::Ok(ToolContent::text("Multiple content types test:").and_image(PNG, "image/png").and_resource(
                "test://mixed-content-resource",
                "application/json",
                text,
            ))
        })
        .tool("Answers with several")
        .action("test_error_handling", || {
            Err::<(), _>(HookError::rejected("This tool intentionally returns an error for testing"))
        })
        .tool("Fails")
        .action("json_schema_2020_12_tool", |Input(_): Input<Contact>| Answer::Ok(json!({})))
        .tool("Tool with JSON Schema 2020-12 features")
        .action("test_custom_headers", |Input(Region { region }): Input<Region>| Answer::Ok(ToolContent::text(region)))
        .tool("Shows a part of its input to gateways")
        .action("test_logging_tool", || Answer::Ok(ToolContent::text("This tool logs nothing to clients.")))
        .tool("Writes to the log of the deployment")
}

fn tasks(app: App) -> App {
    app.action("greet", |Input(Name { name }): Input<Name>| Answer::Ok(ToolContent::text(format!("Hello, {name}!"))))
        .tool("Greets at once")
        .action("slow_compute", async |Input(Slow { seconds }): Input<Slow>| {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Answer::Ok(ToolContent::text("computed"))
        })
        .as_task()
        .tool("Computes as long as is said")
        .action("failing_job", || Err::<(), _>(HookError::rejected("This job fails on purpose")))
        .as_task()
        .tool("Fails, and says so")
        .action("protocol_error_job", || Err::<(), _>(HookError::terminal("on purpose")))
        .as_task()
        .tool("Fails, and says nothing")
}

fn questions(app: App) -> App {
    app.action("test_input_required_result_elicitation", ask_name)
        .tool("Asks for a name")
        .action("test_streaming_elicitation", ask_name)
        .tool("Asks for a name, in a reply that is not streamed")
        .action("test_missing_capability", ask_name)
        .tool("Asks, whoever calls")
        .action("test_input_required_result_multi_round", ask_twice)
        .tool("Asks twice")
        .action("test_input_required_result_request_state", confirm)
        .tool("Asks, with a state")
        .action("test_input_required_result_tampered_state", confirm)
        .tool("Asks, with a state that holds")
        .method("test_input_required_result_prompt", ask_in_prompt)
        .prompt("Asks in a prompt")
}

fn prompts(app: App) -> App {
    app.method("test_simple_prompt", || Answer::Ok("This is a simple prompt for testing.".to_owned()))
        .prompt("A prompt")
        .method("test_prompt_with_arguments", |Input(Two { arg1, arg2 }): Input<Two>| {
            Answer::Ok(format!("Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"))
        })
        .prompt("A prompt with arguments")
        .method("test_prompt_with_embedded_resource", |Input(Embedded { resource_uri }): Input<Embedded>| {
            Answer::Ok(
                PromptMessages::default()
                    .and_resource(&resource_uri, "text/plain", "Embedded resource content for testing.")
                    .and_user("Please process the embedded resource above."),
            )
        })
        .prompt("A prompt with a resource")
        .method("test_prompt_with_image", || {
            Answer::Ok(
                PromptMessages::default().and_image(PNG, "image/png").and_user("Please analyze the image above."),
            )
        })
        .prompt("A prompt with a picture")
}

fn resources(app: App) -> App {
    app.method("static_text", || Answer::Ok("This is the content of the static text resource.".to_owned()))
        .mcp_resource("test://static-text", "A text")
        .mime_type("text/plain")
        .method("static_binary", || Answer::Ok(ResourceContent::bytes(PNG, "image/png")))
        .mcp_resource("test://static-binary", "A picture")
        .mime_type("image/png")
        .method("template_data", |Input(Id { id }): Input<Id>| {
            Answer::Ok(json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") }))
        })
        .mcp_resource("test://template/{id}/data", "Data by its id")
        .mime_type("application/json")
}

/// Runs tasks as they are asked for, which the worker does on AWS.
async fn work(state: AppState) {
    let mut round = Round::new(state);
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            Some(_) = round.next() => {}
        }
        let deadline = Deadline::after(Instant::now().into_std(), Duration::from_secs(900));
        round.fill(deadline).await.expect("the tasks that are due");
    }
}

#[tokio::main]
async fn main() {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8090".to_owned());
    let site = Site::of(app()).await;
    let owner = site.actor("ann@example.com").await;
    let client = OauthClient::register(&site).await;
    let token = client.connect(&site, &owner).await.access;
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).expect("a header");
    let signed = axum::middleware::map_request(move |mut request: Request| {
        request.headers_mut().entry(header::AUTHORIZATION).or_insert(bearer.clone());
        std::future::ready(request)
    });
    let router = actingweb_local::router(site.state().clone()).layer(signed);
    let listener = tokio::net::TcpListener::bind(&address).await.expect("a free port");
    println!("http://{address}/mcp");
    let served = axum::serve(listener, router);
    tokio::select! {
        ended = served.into_future() => ended.expect("a server"),
        () = work(site.state().clone()) => {}
    }
}
