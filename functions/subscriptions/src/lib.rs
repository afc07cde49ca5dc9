//! `/{actor}/subscriptions`: the paths of subscriptions, and of the changes that they are owed.
//!
//! Nothing is served there: every request is 404.

pub mod openapi;

use actingweb_web::{AppState, Problem, serve, subtree};
use axum::Router;

/// The routes of this group.
pub fn routes() -> Router<AppState> {
    subtree("subscriptions", nothing)
}

/// The service of this group.
pub fn router(state: AppState) -> Router {
    serve(routes(), state.for_group("subscriptions"))
}

async fn nothing() -> Problem {
    Problem::not_found("there is nothing at this path")
}
