//! All groups as one service.

use actingweb_web::{AppState, serve};
use axum::Router;

/// Every group's routes behind one port: what API Gateway and the functions are together.
pub fn router(state: AppState) -> Router {
    let routes = [
        actingweb_factory::routes(),
        actingweb_meta::routes(),
        actingweb_properties::routes(),
        actingweb_resources::routes(),
        actingweb_methods::routes(),
        actingweb_actions::routes(),
    ];
    serve(routes.into_iter().fold(Router::new(), Router::merge), state)
}
