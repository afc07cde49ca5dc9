//! `/mcp`: the application's tools, prompts and resources, for AI clients (Model Context Protocol).
//!
//! ```text
//! POST /mcp ── where from? 403 ── whose token? 401, 403 ── one message of JSON-RPC? 400, 413 ── rmcp: revisions, headers
//!                                                            406, 415, 400, 404 ── server: rights, hooks, results
//! ```
//!
//! Stateless: every request stands for itself, whatever revision it speaks, so that any instance of the function answers
//! it. Tools are methods and actions, prompts and resources are methods; what a caller may not use does not exist for it.
//! Actions that run as tasks are started here, and run elsewhere.

mod answers;
mod arguments;
mod caller;
mod catalog;
mod door;
pub mod openapi;
mod paging;
mod questions;
mod revision;
mod schema;
mod server;
mod tasks;

use std::sync::{Arc, OnceLock};

use actingweb_web::{AppState, Problem, RequestContext, serve};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header, request};
use http_body_util::{BodyExt as _, Full};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::Value;

use crate::catalog::Catalog;
use crate::door::{Origins, rpc_error};
use crate::server::Server;

const INVALID_REQUEST: i32 = -32600;

/// The routes of this group.
pub fn routes() -> Router<AppState> {
    let catalog: Arc<OnceLock<Arc<Catalog>>> = Arc::default();
    let handler = async move |State(state): State<AppState>, request: Request| {
        let catalog = Arc::clone(catalog.get_or_init(|| Arc::new(Catalog::of(&state.hooks))));
        mcp(state, catalog, request).await
    };
    let nothing = async |request: Request| {
        let _unused = door::read(request.into_body()).await;
        Problem::not_found("there is nothing below /mcp")
    };
    Router::new().route("/mcp", any(handler.clone())).route("/mcp/", any(handler)).route("/mcp/{*path}", any(nothing))
}

/// The service of this group.
pub fn router(state: AppState) -> Router {
    serve(routes(), state.for_group("mcp"))
}

async fn mcp(state: AppState, catalog: Arc<Catalog>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    // Before anything is refused: what is left unread ends the connection, on which clients go on at once.
    let bytes = door::read(body).await;
    if catalog.is_empty() {
        return Problem::not_found("this application offers nothing to AI clients").into_response();
    }
    if let Err(problem) = Origins::of(&state).check_origin(&parts.headers) {
        return problem.into_response();
    }
    let origin = parts.headers.get(header::ORIGIN).cloned();
    let response = match parts.method {
        Method::POST => post(state, catalog, parts, bytes).await,
        // A browser asks before a page may; anybody else has nothing to ask.
        Method::OPTIONS if origin.is_some() => door::preflight(),
        _ => Problem::method_not_allowed("POST").into_response(),
    };
    door::readable(response, origin)
}

async fn post(
    state: AppState,
    catalog: Arc<Catalog>,
    mut parts: request::Parts,
    bytes: Result<Bytes, Problem>,
) -> Response {
    if let Err(problem) = Origins::of(&state).check_host(&parts.headers) {
        return problem.into_response();
    }
    let context = parts.extensions.get::<RequestContext>().cloned();
    let context = context.unwrap_or_else(|| RequestContext::new(&state, None, None));
    let visitor = match caller::admit(&state, &parts.headers, &context).await {
        Ok(visitor) => visitor,
        Err(refusal) => return refusal.into_response(),
    };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(problem) => return problem.into_response(),
    };
    let is_json = door::is_json(&parts.headers);
    if is_json && let Err(refusal) = door::check_message(&parts, &bytes) {
        return *refusal;
    }
    // The transport asks for the header; it was checked, and gateways may leave it out.
    parts.headers.entry(header::HOST).or_insert(HeaderValue::from_static("localhost"));
    let server = Server::new(state, catalog, visitor);
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_sse_keep_alive(None)
        .disable_allowed_hosts()
        .disable_allowed_origins();
    let service =
        StreamableHttpService::new(move || Ok(server.clone()), Arc::new(NeverSessionManager::default()), config);
    let response = service.handle(Request::from_parts(parts, Full::new(bytes))).await;
    finish(response.map(Body::new), is_json).await
}

/// Puts what the transport says in plain text into the form of all other replies.
async fn finish(response: Response, was_json: bool) -> Response {
    let status = response.status();
    let declared = response.headers().get(header::CONTENT_TYPE);
    let is_json = declared.is_some_and(|declared| declared == "application/json");
    if status.is_success() || is_json {
        return response;
    }
    let text = match response.into_body().collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(_) => String::new(),
    };
    match status {
        // It calls a message of an unknown shape an unknown media type.
        StatusCode::UNSUPPORTED_MEDIA_TYPE if was_json => {
            rpc_error(StatusCode::BAD_REQUEST, Value::Null, INVALID_REQUEST, "this is no message of the protocol", None)
        }
        StatusCode::BAD_REQUEST => rpc_error(status, Value::Null, INVALID_REQUEST, &text, None),
        status if status.is_server_error() => {
            tracing::error!(error = text, "request failed");
            Problem::internal().into_response()
        }
        status => Problem::new(status, text).into_response(),
    }
}
