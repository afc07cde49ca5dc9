//! What `/{actor}/services` answers.

use actingweb_web::openapi::{Content, Group, Operation};
use serde_json::{Value, json};

/// Describes the services of an actor, and where browsers come back to.
pub(crate) fn describe(group: &mut Group<'_>) {
    let service = group.schema("Service", service());
    let listing = json!({
        "type": "object", "required": ["services"],
        "properties": { "services": { "type": "array", "items": service } },
    });
    group
        .path(
            "/{actor}/services",
            [Operation::get("get_services", "The services at which the actor can have accounts").authorized().reply(
                200,
                "Services, in the order of their names.",
                [Content::json(listing)],
            )],
        )
        .path(
            "/{actor}/services/{service}",
            [
                Operation::get("get_service", "How the actor stands with a service").authorized().reply(
                    200,
                    "The service.",
                    [Content::json(service.clone())],
                ),
                begin(),
                end(),
            ],
        )
        .path("/{actor}/services/{service}/callback", [come_back("finish_actor_service")])
        .path("/oauth/services/callback", [come_back("finish_service")]);
}

fn begin() -> Operation {
    let begun = json!({
        "type": "object",
        "required": ["service", "authorization_url", "expires_in"],
        "properties": {
            "service": { "type": "string" },
            "authorization_url": { "type": "string", "format": "uri", "description": "Where the browser is to go." },
            "expires_in": { "type": "integer", "description": "How long it has to come back, in seconds." },
        },
    });
    Operation::post("connect_service", "Begins to connect an account at a service")
        .authorized()
        .reply(200, "Where the owner's browser is to go, with a cookie that it is known by.", [Content::json(begun)])
        .with_headers(&["Cache-Control"])
        .problems(&[409])
}

fn end() -> Operation {
    let ended = json!({
        "type": "object",
        "required": ["service", "state", "revoked_at_service"],
        "properties": {
            "service": { "type": "string" },
            "state": { "const": "disconnected" },
            "revoked_at_service": {
                "type": "boolean",
                "description": "Whether the service confirmed it; otherwise look there if you want to be sure.",
            },
        },
    });
    Operation::delete("disconnect_service", "Gives an account up: its tokens are forgotten, and the service is told")
        .authorized()
        .reply(200, "It is gone.", [Content::json(ended)])
}

fn come_back(id: &str) -> Operation {
    let text = || json!({ "type": "string" });
    let ended = json!({
        "type": "object",
        "required": ["success", "message", "service"],
        "properties": {
            "success": { "type": "boolean" }, "message": text(), "service": { "type": ["string", "null"] },
        },
    });
    let content = || [Content::html(), Content::json(ended.clone())];
    Operation::get(id, "A browser comes back from a service")
        .query("state", "What it was sent away with.", text())
        .query("code", "What the service gave.", text())
        .query("error", "Why it gave none.", text())
        .reply(200, "The account is connected.", content())
        .reply(
            400,
            "Nothing was begun, it has ended, or it began in another browser.",
            content().into_iter().chain([Content::problem()]),
        )
        .reply(403, "The owner did not allow it.", content())
        .reply(502, "The service failed, or did not accept the code.", content())
}

fn service() -> Value {
    let text = || json!({ "type": "string" });
    let time = || json!({ "type": ["string", "null"], "format": "date-time" });
    json!({
        "type": "object",
        "required": ["service", "display_name", "state", "scope", "connected_at", "renewed_at"],
        "properties": {
            "service": text(),
            "display_name": text(),
            "state": { "enum": ["connected", "reconnect_needed", "disconnected", "not_configured"] },
            "scope": { "type": "string", "description": "What was granted, or is asked for." },
            "connected_at": time(),
            "renewed_at": time(),
        },
    })
}
