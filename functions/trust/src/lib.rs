//! `/{actor}/trust` and `/{actor}/permissions`: the paths of trust relationships, and of what they permit.
//!
//! Nothing is served there: every request is 404.

pub mod openapi;

use actingweb_web::{AppState, Problem, serve, subtree};
use axum::Router;

/// The routes of this group.
pub fn routes() -> Router<AppState> {
    subtree("trust", nothing).merge(subtree("permissions", nothing))
}

/// The service of this group.
pub fn router(state: AppState) -> Router {
    serve(routes(), state.for_group("trust"))
}

async fn nothing() -> Problem {
    Problem::not_found("there is nothing at this path")
}
