//! What this group answers.

use actingweb_actor::MAX_SUBSCRIPTIONS;
use actingweb_web::openapi::{Content, Document, Operation};
use serde_json::{Value, json};

const ID: &str = "0f3c6f0a6d0e5f8e9f7e0d9b7a4e1c55";
const PEER: &str = "9d2e8b1c4f5a5e0b8c7d6e5f4a3b2c1d";
const SUBSCRIPTION: &str = "6f9c496966d35b3b9d3fa2c9efc2934a";

/// Describes `/{actor}/subscriptions`.
pub fn describe(document: &mut Document) {
    let mut group = document.group("subscriptions", "What actors want to be told of each other.");
    let subscription = group.schema("Subscription", subscription());
    let diff = group.schema("Diff", diff());
    group
        .path(
            "/{actor}/subscriptions",
            [
                listing("get_subscriptions", "All subscriptions, in both directions", &subscription).query(
                    "peerid",
                    "Only those with this peer.",
                    json!({ "type": "string" }),
                ),
                subscribe_to_peer(),
            ],
        )
        .path(
            "/{actor}/subscriptions/{peer}",
            [
                listing(
                    "get_subscriptions_of_peer",
                    "The subscriptions with one peer, in both directions",
                    &subscription,
                ),
                subscribe(),
            ],
        )
        .path("/{actor}/subscriptions/{peer}/{subscription}", [poll(&diff), clear(), end()])
        .path("/{actor}/subscriptions/{peer}/{subscription}/{sequence}", [one(&diff)]);
}

fn listing(id: &str, summary: &str, subscription: &Value) -> Operation {
    let text = || json!({ "type": "string" });
    let schema = json!({
        "type": "object",
        "required": ["id", "data"],
        "properties": {
            "id": { "type": "string" },
            "peerid": { "type": "string" },
            "data": { "type": "array", "items": subscription },
        },
    });
    Operation::get(id, summary)
        .authorized()
        .query("target", "Only those to this target.", text())
        .query("subtarget", "Only those to this subtarget.", text())
        .query("resource", "Only those to this resource.", text())
        .reply(200, "Subscriptions; `data` is `[]` when there are none.", [Content::json(schema)])
}

fn scope_fields() -> Value {
    json!({
        "target": { "type": "string", "minLength": 1, "maxLength": 128, "description": "`properties`, `resources`, or what the application tells of." },
        "subtarget": { "type": ["string", "null"], "description": "A part of it, such as a property." },
        "resource": { "type": ["string", "null"], "description": "A part of that; a path, for properties." },
        "granularity": {
            "type": ["string", "null"], "enum": ["high", "low", "none", null], "default": "none",
            "description": "Callbacks with the data, with an address, or none.",
        },
    })
}

fn subscribe_to_peer() -> Operation {
    let mut fields = scope_fields();
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("peerid".to_owned(), json!({ "type": "string", "description": "A peer that trusts the actor." }));
    }
    let fields = json!({ "type": "object", "required": ["peerid", "target"], "properties": fields });
    Operation::post("subscribe_to_peer", "Makes the actor subscribe to a peer")
        .authorized()
        .body(
            true,
            "To whom and to what.",
            [
                Content::json(fields.clone())
                    .example(json!({ "peerid": PEER, "target": "properties", "granularity": "high" })),
                Content::form(fields),
            ],
        )
        .reply(204, "Subscribed; `Location` is the subscription at the peer.", [])
        .with_location(204)
        .once()
        .problems(&[408])
}

fn subscribe() -> Operation {
    let fields = json!({ "type": "object", "required": ["target"], "properties": scope_fields() });
    let mut reply = scope_fields();
    if let Some(reply) = reply.as_object_mut() {
        reply.insert("subscriptionid".to_owned(), json!({ "type": "string" }));
        reply.insert("sequence".to_owned(), json!({ "const": 0 }));
    }
    Operation::post("subscribe", "The peer subscribes")
        .about(format!(
            "For the peer itself alone, at most {MAX_SUBSCRIPTIONS} times. It may subscribe to what it may not read; \
             what it is told is decided with each change."
        ))
        .authorized()
        .body(
            true,
            "To what.",
            [Content::json(fields)
                .example(json!({ "target": "properties", "subtarget": "notes", "granularity": "high" }))],
        )
        .reply(201, "The subscription.", [Content::json(json!({ "type": "object", "properties": reply }))])
        .with_location(201)
        .once()
}

fn poll(diff: &Value) -> Operation {
    let mut fields = identity();
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("sequence".to_owned(), json!({ "type": "integer", "description": "The last number given." }));
        fields.insert("data".to_owned(), json!({ "type": "array", "items": diff }));
    }
    Operation::get("poll_subscription", "The diffs that were not cleared")
        .about("The same again until they are cleared. What does not fit a reply is behind its `Link`.")
        .authorized()
        .paged()
        .reply(200, "The diffs, by number.", [Content::json(json!({ "type": "object", "properties": fields }))])
        .runs_hooks()
}

fn clear() -> Operation {
    let fields = json!({
        "type": "object",
        "required": ["sequence"],
        "properties": { "sequence": { "type": ["integer", "string"], "description": "The last number that was read." } },
    });
    Operation::put("clear_diffs", "Clears the diffs up to a number")
        .about("0 clears nothing. What is cleared is not delivered any more.")
        .authorized()
        .query("sequence", "The same, without a body.", json!({ "type": "integer" }))
        .body(false, "Up to which.", [Content::json(fields).example(json!({ "sequence": 6 }))])
        .reply(204, "They are gone.", [])
}

fn end() -> Operation {
    Operation::delete("end_subscription", "Ends a subscription")
        .about("The other side is told.")
        .authorized()
        .reply(204, "It is gone, or was.", [])
        .runs_hooks()
}

fn one(diff: &Value) -> Operation {
    let schema = json!({ "allOf": [{ "type": "object", "properties": identity() }, diff] });
    Operation::get("get_diff", "One diff")
        .about("The same again until it is cleared.")
        .authorized()
        .reply(200, "The diff.", [Content::json(schema)])
        .runs_hooks()
}

fn identity() -> Value {
    json!({
        "id": { "type": "string", "description": "The actor." },
        "peerid": { "type": "string" },
        "subscriptionid": { "type": "string" },
        "target": { "type": "string" },
        "subtarget": { "type": "string", "description": "Empty for the whole target." },
        "resource": { "type": "string", "description": "Empty for the whole subtarget." },
    })
}

fn subscription() -> Value {
    let mut fields = identity();
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("granularity".to_owned(), json!({ "enum": ["high", "low", "none"] }));
        fields.insert("sequence".to_owned(), json!({ "type": "integer" }));
        fields.insert(
            "callback".to_owned(),
            json!({ "type": "boolean", "description": "Whether the actor is the subscriber." }),
        );
    }
    json!({
        "type": "object",
        "properties": fields,
        "examples": [{
            "id": ID, "peerid": PEER, "subscriptionid": SUBSCRIPTION, "target": "properties", "subtarget": "notes",
            "resource": "", "granularity": "high", "sequence": 6, "callback": false,
        }],
    })
}

fn diff() -> Value {
    json!({
        "type": "object",
        "required": ["sequence", "timestamp", "data"],
        "properties": {
            "sequence": { "type": "integer", "minimum": 1 },
            "timestamp": { "type": "string", "format": "date-time" },
            "data": {
                "description": "What changed, relative to what is subscribed to; `\"\"` for what was deleted. Only what \
                                the peer may read now.",
            },
            "type": { "const": "resync", "description": "Everything is to be read again, at `url`." },
            "url": { "type": "string", "format": "uri" },
        },
    })
}
