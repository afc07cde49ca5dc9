//! `POST /oauth/token`: a client gets tokens for a code, for a refresh token, or for itself (RFC 6749, 3.2).

use actingweb_actor::grants::{CodeExchange, GrantError, Issued};
use actingweb_protocol::oauth::{Audience, check_verifier};
use actingweb_web::openapi::{Content, Operation};
use actingweb_web::{AppState, Incoming};
use axum::Router;
use axum::extract::State;
use axum::routing::any;
use http::StatusCode;
use serde_json::{Value, json};

use crate::client_auth::ClientRequest;
use crate::documents::SCOPE;
use crate::error::{OAuthError, OAuthReply, private};

/// The routes of this part.
pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/oauth/token", any(token)).route("/oauth/token/", any(token))
}

async fn token(State(state): State<AppState>, incoming: Incoming) -> OAuthReply {
    let request = ClientRequest::read(&state, &incoming, "POST, OPTIONS")?;
    let audience = audience(&state, &request)?;
    let deadline = incoming.context.deadline;
    let grants = state.actors.grants();
    let client = request.client();
    let issued = match request.required("grant_type")? {
        "authorization_code" => {
            let verifier = request.required("code_verifier")?;
            check_verifier(verifier).map_err(|error| OAuthError::invalid_request(error.to_string()))?;
            let redirect_uri = request.required("redirect_uri")?;
            let exchange = CodeExchange { code: request.required("code")?, redirect_uri, verifier, audience };
            grants.exchange(&client, &exchange, deadline).await
        }
        "refresh_token" => {
            let refresh_token = request.required("refresh_token")?;
            grants.refresh(&client, refresh_token, (request.get("scope")?, audience), deadline).await
        }
        "client_credentials" => match request.get("scope")? {
            Some(scope) if !scope.split_ascii_whitespace().all(|word| word == SCOPE) => Err(GrantError::InvalidScope),
            _ => grants.client_credentials(&client, (SCOPE, audience.unwrap_or(Audience::Mcp)), deadline).await,
        },
        _ => {
            let known = "`grant_type` must be authorization_code, refresh_token or client_credentials";
            return Err(OAuthError::bad("unsupported_grant_type", known));
        }
    };
    match issued {
        Ok(issued) => Ok(private(StatusCode::OK, &shown(&issued))),
        Err(error) => Err(request.refused(error).await),
    }
}

/// What the tokens are to be good for, if the request names it (RFC 8707, 2.2).
fn audience(state: &AppState, request: &ClientRequest<'_>) -> Result<Option<Audience>, OAuthError> {
    let resource = request.get("resource").map_err(|error| OAuthError::bad("invalid_target", error.description()))?;
    let audience = resource.map(|resource| Audience::parse(&state.base_url, resource)).transpose();
    audience.map_err(|error| OAuthError::bad("invalid_target", error.to_string()))
}

fn shown(issued: &Issued) -> Value {
    let mut shown = json!({
        "access_token": issued.access_token,
        "token_type": "Bearer",
        "expires_in": issued.expires_in.as_secs(),
        "scope": issued.scope,
        "actor_id": issued.actor,
    });
    if let Some(members) = shown.as_object_mut() {
        members.extend(issued.refresh_token.iter().map(|token| ("refresh_token".to_owned(), json!(token))));
        members.extend(issued.trust_type.iter().map(|kind| ("trust_type".to_owned(), json!(kind))));
    }
    shown
}

/// Describes this path.
pub(crate) fn describe(tokens: &Value, error: &Value) -> Operation {
    let text = || json!({ "type": "string" });
    let form = json!({
        "type": "object",
        "required": ["grant_type"],
        "properties": {
            "grant_type": { "enum": ["authorization_code", "refresh_token", "client_credentials"] },
            "client_id": text(),
            "client_secret": text(),
            "code": text(),
            "redirect_uri": { "type": "string", "format": "uri" },
            "code_verifier": { "type": "string", "minLength": 43, "maxLength": 128 },
            "refresh_token": text(),
            "scope": text(),
            "resource": { "type": "string", "format": "uri" },
        },
    });
    Operation::post("issue_tokens", "Tokens for a code, a refresh token, or a client's own secret (RFC 6749)")
        .about(
            "A code is good once, for two minutes. Each refresh gives another refresh token; the one before gives the \
             same tokens again for a minute, and ends the grant after that.",
        )
        .body(
            true,
            "What is asked for. A client may prove itself in the Authorization header (Basic).",
            [Content::form(form)],
        )
        .reply(200, "The tokens.", [Content::json(tokens.clone())])
        .with_headers(&["Cache-Control"])
        .reply(400, "What is asked for cannot be had.", [Content::json(error.clone())])
        .reply(401, "The client is unknown, or did not prove itself.", [Content::json(error.clone())])
        .reply(429, "Too many failed requests from this address.", [Content::json(error.clone())])
}

/// The schema of tokens.
pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "required": ["access_token", "token_type", "expires_in", "scope", "actor_id"],
        "properties": {
            "access_token": { "type": "string" },
            "token_type": { "const": "Bearer" },
            "expires_in": { "type": "integer", "description": "Seconds." },
            "refresh_token": { "type": "string" },
            "scope": { "type": "string" },
            "actor_id": { "type": "string", "description": "The actor that the tokens give access to." },
            "trust_type": { "type": "string", "description": "What the client may do there." },
        },
    })
}
