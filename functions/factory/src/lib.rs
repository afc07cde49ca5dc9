//! `/`, `/login`, `/bot` and `/{actor}`: creating, reading and deleting actors; what tests of applications need.

mod actor;
mod bot;
mod create;
mod devtest;
pub mod openapi;
mod page;
mod proxy;
mod views;

use actingweb_web::{AppState, serve, subtree};
use axum::Router;
use axum::routing::any;

/// The routes of this group.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/", any(create::factory))
        .route("/login", any(create::login))
        .route("/login/", any(create::login))
        .route("/bot", any(bot::bot))
        .route("/bot/", any(bot::bot))
        .route("/openapi.json", any(openapi::openapi))
        .route("/{actor}", any(actor::actor))
        .route("/{actor}/", any(actor::actor))
        .merge(subtree("devtest", devtest::devtest))
}

/// The service of this group.
pub fn router(state: AppState) -> Router {
    serve(routes(), state.for_group("factory"))
}
