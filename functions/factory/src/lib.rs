//! `/`, `/login` and `/{actor}`: creating, reading and deleting actors.

mod actor;
mod create;
pub mod openapi;
mod page;

use actingweb_web::{AppState, serve};
use axum::Router;
use axum::routing::any;

/// The routes of this group.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/", any(create::factory))
        .route("/login", any(create::login))
        .route("/login/", any(create::login))
        .route("/openapi.json", any(openapi::openapi))
        .route("/{actor}", any(actor::actor))
        .route("/{actor}/", any(actor::actor))
}

/// The service of this group.
pub fn router(state: AppState) -> Router {
    serve(routes(), state.for_group("factory"))
}
