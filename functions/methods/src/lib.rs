//! `/{actor}/methods`: calls of the application's methods, also as JSON-RPC 2.0.

mod json_rpc;

use actingweb_web::calls::{Callable, call_by_path, input, list, operation};
use actingweb_web::{AppState, Incoming, Problem, Reply, Verb, serve, subtree};
use axum::Router;
use axum::extract::State;
use serde_json::json;

/// The routes of this group.
pub fn routes() -> Router<AppState> {
    subtree("methods", methods)
}

/// The service of this group.
pub fn router(state: AppState) -> Router {
    serve(routes(), state.for_group("methods"))
}

async fn methods(State(state): State<AppState>, incoming: Incoming) -> Reply {
    let name = incoming.hook_name()?;
    if name.is_none() && !matches!(incoming.verb, Verb::Get | Verb::Post) {
        return Err(Problem::method_not_allowed("GET, POST"));
    }
    operation(&incoming)?;
    let visit = incoming.visit_as_owner(&state, &[]).await?;
    if incoming.verb == Verb::Post {
        let data = input(&incoming)?;
        if json_rpc::is_request(&data) {
            return json_rpc::call(&state, &incoming, &visit, name.as_ref(), data).await;
        }
    }
    match name {
        Some(name) => call_by_path(&state, &incoming, &visit, Callable::Method, name.as_str()).await,
        None if incoming.verb == Verb::Post => Err(Problem::bad_request(
            "POST to /methods itself takes a JSON-RPC 2.0 request; other calls name the method in the path",
        )),
        None => list(&incoming, "GET, POST", || json!({ "methods": state.hooks.methods() })),
    }
}
