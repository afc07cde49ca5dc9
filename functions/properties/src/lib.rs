//! `/{actor}/properties`: values of any JSON type, whole or at a path of object keys.

mod all;
mod hooks;
mod one;

use actingweb_web::{AppState, Incoming, Problem, Reply, Verb, serve, subtree};
use axum::Router;
use axum::extract::State;

/// The routes of this group.
pub fn routes() -> Router<AppState> {
    subtree("properties", properties)
}

/// The service of this group.
pub fn router(state: AppState) -> Router {
    serve(routes(), state.for_group("properties"))
}

async fn properties(State(state): State<AppState>, incoming: Incoming) -> Reply {
    match (incoming.property_path()?, incoming.verb) {
        (None, Verb::Get) => all::get_properties(&state, &incoming).await,
        (None, Verb::Post) => all::post_properties(&state, &incoming).await,
        (None, Verb::Delete) => all::delete_properties(&state, &incoming).await,
        (None, _) => Err(Problem::method_not_allowed("GET, POST, DELETE")),
        (Some(path), Verb::Get) => one::get_property(&state, &incoming, &path).await,
        (Some(path), Verb::Put) => one::put_property(&state, &incoming, path).await,
        (Some(path), Verb::Delete) => one::delete_property(&state, &incoming, path).await,
        (Some(_), _) => Err(Problem::method_not_allowed("GET, PUT, DELETE")),
    }
}
