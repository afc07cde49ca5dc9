//! What this group answers.

use actingweb_web::openapi::Document;

/// Describes `/{actor}/subscriptions`.
pub fn describe(document: &mut Document) {
    document.group("subscriptions", "What an actor's peers want to be told of.");
}
