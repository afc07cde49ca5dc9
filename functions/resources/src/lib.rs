//! `/{actor}/resources`: what the application serves by its own rules.

pub mod openapi;

use actingweb_web::calls::{Callable, call_by_path};
use actingweb_web::{AppState, Incoming, Problem, Reply, serve, subtree};
use axum::Router;
use axum::extract::State;

/// The routes of this group.
pub fn routes() -> Router<AppState> {
    subtree("resources", resources)
}

/// The service of this group.
pub fn router(state: AppState) -> Router {
    serve(routes(), state.for_group("resources"))
}

async fn resources(State(state): State<AppState>, incoming: Incoming) -> Reply {
    let name = incoming.hook_name()?;
    if incoming.verb.op().is_none() {
        return Err(Problem::method_not_allowed("GET, PUT, POST, DELETE"));
    }
    let admission = incoming.admit(&state, &[]).await?;
    match name {
        Some(name) => call_by_path(&state, &incoming, &admission, Callable::Resource, name.as_str()).await,
        None => Err(Problem::not_found("resources have no list: name one")),
    }
}
