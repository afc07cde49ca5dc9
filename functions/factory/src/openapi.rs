//! What this group answers, and the description of all groups.

use actingweb_actor::limits::{MAX_PASSPHRASE_BYTES, MAX_TRUSTEE_ROOT_BYTES};
use actingweb_web::openapi::{Content, Document, Operation};
use actingweb_web::{Incoming, Problem, Reply, Verb};
use axum::response::IntoResponse as _;
use http::header;
use serde_json::{Value, json};

/// Written by `cargo run -p actingweb-local --example openapi`; a test compares it with the code.
const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

const ID: &str = "0f3c6f0a6d0e5f8e9f7e0d9b7a4e1c55";

/// `GET /openapi.json`: the description of every group.
pub(crate) async fn openapi(incoming: Incoming) -> Reply {
    match incoming.verb {
        Verb::Get => Ok(([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()),
        _ => Err(Problem::method_not_allowed("GET")),
    }
}

/// Describes `/`, `/login`, `/bot`, `/openapi.json` and `/{actor}`.
pub fn describe(document: &mut Document) {
    let mut group = document.group("factory", "Creating, reading and deleting actors.");
    let actor = group.schema("Actor", actor_schema(false));
    let created = group.schema("CreatedActor", actor_schema(true));
    group
        .path("/", [page(), create(created)])
        .path("/login", [login()])
        .path("/bot", [bot()])
        .path(
            "/openapi.json",
            [Operation::get("get_openapi", "This document").reply(
                200,
                "An OpenAPI 3.1 document.",
                [Content::json(json!({ "type": "object" }))],
            )],
        )
        .path(
            "/{actor}",
            [
                Operation::get("get_actor", "The actor")
                    .authorized()
                    .reply(
                        200,
                        "The actor, without its passphrase.",
                        [Content::json(actor).example(json!({ "id": ID, "creator": "ann@example.com" }))],
                    )
                    .reply(302, "A browser without credentials is led to the page where it can sign in.", [])
                    .with_location(302),
                Operation::delete("delete_actor", "Deletes the actor and all it owns")
                    .about("The actor is gone with the reply; what it owned is removed soon after.")
                    .authorized()
                    .reply(204, "It is gone.", []),
            ],
        );
}

fn bot() -> Operation {
    Operation::post("send_to_bot", "A message to the application")
        .about(
            "What a service sends that serves the application as a whole. The application checks who sent it, by the \
             token of the deployment or by the sender's signature. 404 where it takes no messages, and for one that it \
             did not take.",
        )
        .body(false, "What the service sends.", [Content::json(json!({}))])
        .reply(204, "It was taken.", [])
        .problems(&[404, 413, 504])
}

fn page() -> Operation {
    Operation::get("get_factory", "The page with the form that creates an actor").reply(
        200,
        "The page.",
        [Content::html()],
    )
}

fn login() -> Operation {
    Operation::get("get_login", "Leads to the page where people sign in")
        .reply(303, "To `/oauth/login`.", [])
        .with_location(303)
}

fn create(created: Value) -> Operation {
    let fields = json!({
        "type": "object",
        "properties": {
            "creator": {
                "type": "string",
                "maxLength": 256,
                "description": "Who may use it, without a colon; `creator` when left out. Lower-cased if it has an `@`.",
            },
            "passphrase": {
                "type": "string",
                "maxLength": MAX_PASSPHRASE_BYTES,
                "description": "At most 256 bytes; a random one when left out or empty.",
            },
            "trustee_root": {
                "type": "string",
                "maxLength": MAX_TRUSTEE_ROOT_BYTES,
                "description": "The URL of the service that manages the actor.",
            },
        },
    });
    let answer = json!({ "id": ID, "creator": "ann@example.com", "passphrase": "correct horse battery" });
    Operation::post("create_actor", "Creates an actor")
        .body(
            false,
            "Its creator and passphrase.",
            [
                Content::json(fields.clone())
                    .example(json!({ "creator": "ann@example.com", "passphrase": "correct horse battery" })),
                Content::form(fields),
            ],
        )
        .reply(
            201,
            "The actor: the only reply that ever holds its passphrase. A form that does not ask for JSON gets a page.",
            [Content::json(created).example(answer), Content::html()],
        )
        .with_headers(&["Cache-Control"])
        .with_location(201)
        .once()
}

fn actor_schema(shows_passphrase: bool) -> Value {
    let mut schema = json!({
        "type": "object",
        "required": ["id", "creator"],
        "properties": {
            "id": { "type": "string", "pattern": "^[0-9a-f]{32}$" },
            "creator": { "type": "string" },
            "trustee_root": { "type": "string", "description": "Only if it has one." },
        },
    });
    if let (true, Some(members)) = (shows_passphrase, schema.as_object_mut()) {
        members.insert("required".to_owned(), json!(["id", "creator", "passphrase"]));
        if let Some(properties) = members.get_mut("properties").and_then(Value::as_object_mut) {
            properties.insert("passphrase".to_owned(), json!({ "type": "string" }));
        }
    }
    schema
}
