//! `POST /oauth/introspect`: what a token means, for the client that holds it (RFC 7662).

use actingweb_actor::grants::Introspection;
use actingweb_web::openapi::{Content, Operation};
use actingweb_web::{AppState, Incoming};
use axum::Router;
use axum::extract::State;
use axum::routing::any;
use http::StatusCode;
use serde_json::{Value, json};

use crate::client_auth::{ClientRequest, token_form};
use crate::error::{OAuthReply, private};

/// The routes of this part.
pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/oauth/introspect", any(introspect)).route("/oauth/introspect/", any(introspect))
}

async fn introspect(State(state): State<AppState>, incoming: Incoming) -> OAuthReply {
    let request = ClientRequest::read(&state, &incoming, "POST")?;
    let token = request.required("token")?;
    match state.actors.grants().introspect(&request.client(), token, incoming.context.deadline).await {
        Ok(Some(found)) => Ok(private(StatusCode::OK, &shown(&state.base_url, &found))),
        // Why it is not good is nobody's business (RFC 7662, 2.2).
        Ok(None) => Ok(private(StatusCode::OK, &json!({ "active": false }))),
        Err(error) => Err(request.refused(error).await),
    }
}

fn shown(base_url: &str, found: &Introspection) -> Value {
    let mut shown = json!({
        "active": true,
        "iss": base_url,
        "client_id": found.client_id,
        "scope": found.scope,
        "aud": found.audience.uri(base_url),
        "sub": found.actor,
        "iat": found.issued_at.as_secs(),
        "exp": found.expires.as_secs(),
    });
    if let Some(members) = shown.as_object_mut() {
        if !found.is_refresh {
            members.insert("token_type".to_owned(), json!("Bearer"));
        }
        members.extend(found.trust_type.iter().map(|kind| ("trust_type".to_owned(), json!(kind))));
    }
    shown
}

/// Describes this path.
pub(crate) fn describe(error: &Value) -> Operation {
    let meaning = json!({
        "type": "object",
        "required": ["active"],
        "properties": {
            "active": { "type": "boolean" },
            "iss": { "type": "string" },
            "client_id": { "type": "string" },
            "scope": { "type": "string" },
            "token_type": { "type": "string" },
            "aud": { "type": "string", "description": "What it is good for." },
            "sub": { "type": "string", "description": "The actor that it gives access to." },
            "trust_type": { "type": "string", "description": "What the client may do there." },
            "iat": { "type": "integer" },
            "exp": { "type": "integer" },
        },
    });
    Operation::post("introspect_token", "What a token of the asking client means (RFC 7662)")
        .body(true, "The token. The client has to prove itself with its secret.", [Content::form(token_form())])
        .reply(
            200,
            "What it means; `active` alone for any that is not good, or another client's.",
            [Content::json(meaning)],
        )
        .with_headers(&["Cache-Control"])
        .reply(400, "A parameter is missing.", [Content::json(error.clone())])
        .reply(401, "The client is unknown, or did not prove itself with a secret.", [Content::json(error.clone())])
        .reply(429, "Too many failed requests from this address.", [Content::json(error.clone())])
}
