//! What this group answers.

use actingweb_web::openapi::Document;

/// Describes `/{actor}/callbacks`.
pub fn describe(document: &mut Document) {
    document.group("callbacks", "What an actor's peers tell it.");
}
