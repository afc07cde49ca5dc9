//! What this group answers.

use actingweb_hooks::HookInfo;
use actingweb_web::openapi::{Content, Document, Operation};
use serde_json::{Value, json};

/// Describes `/{actor}/methods`, and the methods of an application.
pub fn describe(document: &mut Document, methods: &[HookInfo]) {
    let mut group = document.group("methods", "What an actor computes.");
    let listing = group.hook_listing("method");
    let request = group.schema("JsonRpcRequest", request());
    let reply = group.schema("JsonRpcReply", reply());
    group
        .path(
            "/{actor}/methods",
            [
                Operation::get("get_methods", "The methods that the caller may call").authorized().reply(
                    200,
                    "The methods.",
                    [Content::json(listing)],
                ),
                Operation::post("call_json_rpc", "Calls a method by JSON-RPC 2.0")
                    .about("Also at `/{actor}/methods/{name}`. Errors of the call are 200, as JSON-RPC wants it.")
                    .body(
                        true,
                        "The request.",
                        [Content::json(request).example(
                            json!({ "jsonrpc": "2.0", "method": "add_numbers", "params": { "a": 1, "b": 2 }, "id": 1 }),
                        )],
                    )
                    .reply(
                        200,
                        "The result, or an error.",
                        [Content::json(reply)
                            .example(json!({ "jsonrpc": "2.0", "result": { "result": 3.0 }, "id": 1 }))],
                    )
                    .reply(204, "It was a notification: a request without `id`.", [])
                    .authorized()
                    .runs_hooks()
                    .once(),
            ],
        )
        .callable("method")
        .hooks("method", methods);
}

fn request() -> Value {
    json!({
        "type": "object",
        "required": ["jsonrpc", "method"],
        "properties": {
            "jsonrpc": { "const": "2.0" },
            "method": { "type": "string" },
            "params": true,
            "id": { "type": ["string", "number", "null"] },
        },
    })
}

fn reply() -> Value {
    json!({
        "type": "object",
        "required": ["jsonrpc", "id"],
        "properties": {
            "jsonrpc": { "const": "2.0" },
            "result": true,
            "error": {
                "type": "object",
                "required": ["code", "message"],
                "properties": { "code": { "type": "integer" }, "message": { "type": "string" }, "data": true },
            },
            "id": true,
        },
        "oneOf": [{ "required": ["result"] }, { "required": ["error"] }],
    })
}
