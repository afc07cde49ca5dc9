//! What this group answers.

use actingweb_web::openapi::Document;

/// Describes `/{actor}/resources/{name}`.
pub fn describe(document: &mut Document) {
    document.group("resources", "What the application serves by its own rules.").callable("resource");
}
