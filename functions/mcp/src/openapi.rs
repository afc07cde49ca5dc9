//! What this group answers.

use actingweb_web::openapi::{Content, Document, Operation};
use serde_json::{Value, json};

/// Describes `/mcp`.
pub fn describe(document: &mut Document) {
    let mut group = document.group("mcp", "The application's tools, prompts and resources for AI clients.");
    let rpc_error = group.schema("McpError", message());
    let message = group.schema("McpMessage", message());
    group.path(
        "/mcp",
        [Operation::post("call_mcp", "One message of the Model Context Protocol")
            .about(
                "Takes a token for this resource (see `/.well-known/oauth-protected-resource/mcp`). The revisions \
                 2024-11-05 to 2026-07-28 are served, without sessions. `Accept` names `application/json` and \
                 `text/event-stream`.",
            )
            .body(
                true,
                "A request or a notification; there are no batches.",
                [Content::json(message.clone())
                    .example(json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {} }))],
            )
            .reply(200, "The result of a request, or its error.", [Content::json(message)])
            .reply(202, "A notification was taken.", [])
            .reply(400, "This is no message of the protocol.", [Content::json(rpc_error)])
            .problems(&[401, 403, 404, 406, 413, 415])],
    );
}

fn message() -> Value {
    json!({
        "type": "object",
        "required": ["jsonrpc"],
        "properties": {
            "jsonrpc": { "const": "2.0" },
            "id": { "type": ["string", "number", "null"] },
            "method": { "type": "string" },
            "params": { "type": "object" },
            "result": true,
            "error": true,
        },
    })
}
