//! `/oauth/introspect`.

use actingweb_web::AppState;
use axum::Router;

/// The routes of this part.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
}
