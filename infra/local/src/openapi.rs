//! The OpenAPI document of all groups together.

use actingweb_hooks::App;
use actingweb_web::openapi::Document;
use serde_json::Value;

/// Describes every path of every group, and the methods and actions of an application.
#[must_use]
pub fn openapi(app: &App) -> Value {
    let mut document = Document::new();
    actingweb_factory::openapi::describe(&mut document);
    actingweb_meta::openapi::describe(&mut document);
    actingweb_properties::openapi::describe(&mut document);
    actingweb_resources::openapi::describe(&mut document);
    actingweb_methods::openapi::describe(&mut document, &app.methods());
    actingweb_actions::openapi::describe(&mut document, &app.actions());
    actingweb_trust::openapi::describe(&mut document);
    actingweb_subscriptions::openapi::describe(&mut document);
    actingweb_callbacks::openapi::describe(&mut document);
    actingweb_mcp::openapi::describe(&mut document);
    actingweb_oauth::openapi::describe(&mut document);
    document.finish()
}
