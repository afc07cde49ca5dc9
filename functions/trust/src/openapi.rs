//! What this group answers.

use actingweb_web::openapi::Document;

/// Describes `/{actor}/trust` and `/{actor}/permissions`.
pub fn describe(document: &mut Document) {
    document.group("trust", "Relationships between actors, and what they permit.");
}
