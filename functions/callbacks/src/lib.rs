//! `/{actor}/callbacks`: the paths at which peers tell an actor of their changes.
//!
//! Nothing is served there: every request is 404.

pub mod openapi;

use actingweb_web::{AppState, Problem, serve, subtree};
use axum::Router;

/// The routes of this group.
pub fn routes() -> Router<AppState> {
    subtree("callbacks", nothing)
}

/// The service of this group.
pub fn router(state: AppState) -> Router {
    serve(routes(), state.for_group("callbacks"))
}

async fn nothing() -> Problem {
    Problem::not_found("there is nothing at this path")
}
