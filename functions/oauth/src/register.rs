//! `POST /oauth/register`: a client introduces itself (RFC 7591).
//!
//! Whoever asks gets a client, so a client by itself can do nothing: it has no rights until a person grants it some, and
//! its kind of relationship is chosen there. What a client asks for beyond what there is, it is not given; the reply says
//! what it was given (RFC 7591, 3.2.1). One that nobody uses is forgotten after a day.

use actingweb_actor::{Rate, Registered};
use actingweb_web::{AppState, Incoming, Verb};
use axum::Router;
use axum::extract::State;
use axum::routing::any;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::documents::SCOPE;
use crate::error::{OAuthError, OAuthReply, private};
use crate::limits;
use crate::metadata::ClientMetadata;

/// The largest request, in bytes.
const MAX_BYTES: usize = 32 * 1024;

/// The routes of this part.
pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/oauth/register", any(register)).route("/oauth/register/", any(register))
}

async fn register(State(state): State<AppState>, incoming: Incoming) -> OAuthReply {
    if incoming.verb != Verb::Post {
        return Err(OAuthError::method_not_allowed("POST, OPTIONS"));
    }
    limits::count(&state, &incoming, Rate::Register, "").await?;
    let metadata = ClientMetadata::read(&body(&incoming)?)?;
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
        if let Some(Value::Object(more)) = client.metadata.as_deref().and_then(|text| serde_json::from_str(text).ok()) {
            members.extend(more);
        }
    }
    Ok(private(StatusCode::CREATED, &answer))
}

fn body(incoming: &Incoming) -> Result<Map<String, Value>, OAuthError> {
    let wrong = |reason: String| OAuthError::bad("invalid_client_metadata", reason);
    if incoming.payload.bytes.len() > MAX_BYTES {
        return Err(wrong(format!("the body is larger than {MAX_BYTES} bytes")));
    }
    incoming.payload.object().map_err(|problem| wrong(problem.detail().to_owned()))
}
