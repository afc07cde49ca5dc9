//! What this group answers.

use actingweb_web::openapi::{Content, Document, Operation};
use serde_json::{Value, json};

const PEER: &str = "9d2e8b1c4f5a5e0b8c7d6e5f4a3b2c1d";
const SUBSCRIPTION: &str = "4b1f0d7c2a3e5f6091827364a5b6c7d8";

/// Describes `/{actor}/callbacks`.
pub fn describe(document: &mut Document) {
    let mut group = document.group("callbacks", "What an actor's peers tell it.");
    let change = group.schema("PeerChange", change_schema());
    group
        .path(
            "/{actor}/callbacks/subscriptions/{peer}/{subscription}",
            [tell(Operation::post("tell_change", "A peer tells of a change"), &change), put(&change), end()],
        )
        .path("/{actor}/callbacks/permissions/{grantor}", [grant()]);
    group.callable("callback");
}

fn change_schema() -> Value {
    json!({
        "type": "object",
        "required": ["sequence"],
        "properties": {
            "id": { "type": "string", "description": "The peer's id." },
            "subscriptionid": { "type": "string" },
            "target": { "type": "string" },
            "subtarget": { "type": "string" },
            "resource": { "type": "string" },
            "sequence": { "type": "integer", "minimum": 1 },
            "timestamp": { "type": "string" },
            "granularity": { "type": "string", "enum": ["high", "low"] },
            "type": { "type": "string", "enum": ["diff", "resync"], "description": "`resync`: everything is to be read anew." },
            "data": {
                "description": "What changed: values by name, `\"\"` for what was deleted, an operation for a list.",
            },
            "url": {
                "type": "string",
                "description": "In place of data: the change is to be fetched. It is fetched at the peer's own URL root, \
                                whatever stands here.",
            },
        },
    })
}

fn put(change: &Value) -> Operation {
    tell(Operation::put("tell_change_by_put", "The same"), change)
}

fn tell(operation: Operation, change: &Value) -> Operation {
    let example = json!({
        "id": PEER, "subscriptionid": SUBSCRIPTION, "target": "properties", "sequence": 6,
        "timestamp": "2026-01-01T00:00:00.000Z", "granularity": "high", "data": { "color": "blue", "size": "" },
    });
    operation
        .about(
            "For the peer itself. Changes are applied in the order of their numbers, each once. One that comes too \
             early waits (at most 100 do, and 128 KB) for those before it, which are fetched after five seconds. Bodies \
             may be compressed by gzip.",
        )
        .authorized()
        .body(true, "The change.", [Content::json(change.clone()).example(example)])
        .reply(204, "Taken: applied, applied before, or waiting.", [])
        .problems(&[400, 404, 413, 415, 429])
}

fn end() -> Operation {
    Operation::delete("end_subscription_by_peer", "A peer ends a subscription")
        .about("For the peer itself. Also when there is no such subscription, or no longer.")
        .authorized()
        .reply(204, "It has ended.", [])
}

fn grant() -> Operation {
    let schema = json!({
        "type": "object",
        "required": ["data"],
        "properties": {
            "id": { "type": "string" },
            "target": { "type": "string", "const": "permissions" },
            "type": { "type": "string", "const": "permission" },
            "timestamp": { "type": "string" },
            "data": { "type": "object", "description": "The effective rights by category; null says nothing." },
        },
    });
    let example = json!({
        "id": PEER, "target": "permissions", "type": "permission", "timestamp": "2026-01-01T00:00:00.000Z",
        "data": { "properties": { "patterns": ["public/*"], "operations": ["read"] }, "methods": null },
    });
    Operation::post("tell_permissions", "A peer tells what the actor may do there")
        .about(
            "For the peer itself. What the peer said earlier counts no more, whatever arrives last. Kept data that may \
             be read no more is forgotten.",
        )
        .authorized()
        .body(true, "The rights.", [Content::json(schema).example(example)])
        .reply(204, "Stored, or older than what is.", [])
        .problems(&[400])
}
