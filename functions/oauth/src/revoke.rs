//! `POST /oauth/revoke`: a token ends, and with it all that came of the same grant (RFC 7009).

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
    Router::new().route("/oauth/revoke", any(revoke)).route("/oauth/revoke/", any(revoke))
}

async fn revoke(State(state): State<AppState>, incoming: Incoming) -> OAuthReply {
    let request = ClientRequest::read(&state, &incoming, "POST, OPTIONS")?;
    // A hint about the kind of token is not needed: tokens say it themselves.
    let token = request.required("token")?;
    match state.actors.grants().revoke(&request.client(), token, incoming.context.deadline).await {
        // The same for what was no token: the client is where it wanted to be.
        Ok(()) => Ok(private(StatusCode::OK, &json!({}))),
        Err(error) => Err(request.refused(error).await),
    }
}

/// Describes this path.
pub(crate) fn describe(error: &Value) -> Operation {
    Operation::post("revoke_token", "Ends a token and all that came of the same grant (RFC 7009)")
        .body(true, "The token: an access token, a refresh token or a code.", [Content::form(token_form())])
        .reply(200, "It is good for nothing, if it ever was.", [Content::json(json!({ "type": "object" }))])
        .with_headers(&["Cache-Control"])
        .reply(400, "A parameter is missing, or the token is another client's.", [Content::json(error.clone())])
        .reply(401, "The client is unknown, or did not prove itself.", [Content::json(error.clone())])
        .reply(429, "Too many failed requests from this address.", [Content::json(error.clone())])
}
