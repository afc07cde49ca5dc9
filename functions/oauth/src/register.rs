//! `POST /oauth/register`: a client introduces itself (RFC 7591).
//!
//! Whoever asks gets a client, so a client by itself can do nothing: it has no rights until a person grants it some, and
//! its kind of relationship is chosen there. What a client asks for beyond what there is, it is not given; the reply says
//! what it was given (RFC 7591, 3.2.1). One that nobody uses is forgotten after a day.

use actingweb_actor::{Rate, Registered};
use actingweb_web::openapi::{Content, Operation};
use actingweb_web::{AppState, Incoming, Verb};
use axum::Router;
use axum::extract::State;
use axum::routing::any;
use http::{StatusCode, header};
use serde_json::{Map, Value, json};

use crate::documents::{AUTH_METHODS, SCOPE};
use crate::error::{OAuthError, OAuthReply, private};
use crate::limits;
use crate::metadata::ClientMetadata;

/// The largest request, in bytes.
const MAX_BYTES: usize = 32 * 1024;

/// The longest name of what a client runs on, in characters.
const MAX_AGENT_CHARS: usize = 200;

/// What it is kept under, among what clients say of themselves.
const USER_AGENT: &str = "user_agent";

/// The routes of this part.
pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/oauth/register", any(register)).route("/oauth/register/", any(register))
}

async fn register(State(state): State<AppState>, incoming: Incoming) -> OAuthReply {
    if incoming.verb != Verb::Post {
        return Err(OAuthError::method_not_allowed("POST, OPTIONS"));
    }
    limits::count(&state, &incoming, Rate::Register, "").await?;
    let mut metadata = ClientMetadata::read(&body(&incoming)?)?;
    // The client's own word, as is all of this.
    metadata.more.extend(user_agent(&incoming).map(|agent| (USER_AGENT.to_owned(), Value::String(agent))));
    let deadline = incoming.context.deadline;
    let Registered { client, secret } = state.actors.clients().register(metadata.into_new(), deadline).await?;
    let mut answer = json!({
        "client_id": client.id,
        "client_id_issued_at": client.created_at.as_secs(),
        "client_name": client.name,
        "redirect_uris": client.redirect_uris,
        "grant_types": client.grant_types,
        "response_types": ["code"],
        "token_endpoint_auth_method": client.auth.as_str(),
        "scope": SCOPE,
    });
    if let Some(members) = answer.as_object_mut() {
        if let Some(secret) = secret {
            members.insert("client_secret".to_owned(), json!(secret));
            // Required beside a secret (RFC 7591, 3.2.1); 0 means that it does not expire.
            members.insert("client_secret_expires_at".to_owned(), json!(0));
        }
        if let Some(Value::Object(mut more)) =
            client.metadata.as_deref().and_then(|text| serde_json::from_str(text).ok())
        {
            more.remove(USER_AGENT);
            members.extend(more);
        }
    }
    Ok(private(StatusCode::CREATED, &answer))
}

/// What the client runs on, as it says; nothing that could not be shown as it is.
fn user_agent(incoming: &Incoming) -> Option<String> {
    let agent = incoming.header(&header::USER_AGENT)?.trim();
    let shown: String = agent.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(MAX_AGENT_CHARS).collect();
    (!shown.is_empty()).then_some(shown)
}

fn body(incoming: &Incoming) -> Result<Map<String, Value>, OAuthError> {
    let wrong = |reason: String| OAuthError::bad("invalid_client_metadata", reason);
    if incoming.payload.bytes.len() > MAX_BYTES {
        return Err(wrong(format!("the body is larger than {MAX_BYTES} bytes")));
    }
    incoming.payload.object().map_err(|problem| wrong(problem.detail().to_owned()))
}

/// Describes this path.
pub(crate) fn describe(error: &Value) -> Operation {
    let text = || json!({ "type": "string" });
    let texts = || json!({ "type": "array", "items": { "type": "string" } });
    let metadata = json!({
        "type": "object",
        "required": ["redirect_uris"],
        "properties": {
            "client_name": { "type": "string", "minLength": 1, "maxLength": 100 },
            "redirect_uris": {
                "type": "array", "minItems": 1, "maxItems": 20, "items": { "type": "string", "format": "uri" },
                "description": "https, http to a loopback address, or a private-use scheme with a dotted name.",
            },
            "token_endpoint_auth_method": { "enum": AUTH_METHODS },
            "grant_types": texts(),
            "response_types": texts(),
            "client_uri": text(),
            "logo_uri": text(),
            "policy_uri": text(),
            "tos_uri": text(),
            "software_id": text(),
            "software_version": text(),
        },
    });
    let client = json!({
        "type": "object",
        "required": ["client_id", "client_id_issued_at", "redirect_uris", "grant_types", "token_endpoint_auth_method"],
        "properties": {
            "client_id": text(),
            "client_id_issued_at": { "type": "integer", "description": "Seconds since 1970." },
            "client_secret": text(),
            "client_secret_expires_at": { "const": 0 },
            "client_name": text(),
            "redirect_uris": texts(),
            "grant_types": texts(),
            "response_types": texts(),
            "token_endpoint_auth_method": { "enum": AUTH_METHODS },
            "scope": text(),
        },
    });
    let example = json!({
        "client_name": "My assistant", "redirect_uris": ["https://assistant.example/callback"],
        "token_endpoint_auth_method": "none", "grant_types": ["authorization_code", "refresh_token"],
    });
    Operation::post("register_client", "A client introduces itself (RFC 7591); any may")
        .about("It can do nothing until a person lets it, and is forgotten after a day if nobody does.")
        .body(true, "What the client says of itself.", [Content::json(metadata).example(example)])
        .reply(201, "The client as it was taken; its secret is shown this once.", [Content::json(client)])
        .with_headers(&["Cache-Control"])
        .reply(400, "A client that says this of itself is not taken.", [Content::json(error.clone())])
        .reply(429, "Too many registrations from this address in this minute.", [Content::json(error.clone())])
}
