//! What is answered about tasks.

use actingweb_protocol::task::MAX_RESULT_BYTES;
use actingweb_web::openapi::{Content, Group, Operation};
use serde_json::{Value, json};

/// Describes the tasks of an action.
pub(super) fn describe(group: &mut Group<'_>) {
    let task = group.schema("Task", task());
    let listing = json!({
        "type": "object",
        "required": ["tasks"],
        "properties": { "tasks": { "type": "array", "items": task } },
    });
    let asked = json!({
        "type": "object",
        "required": ["id", "action", "status", "cancel_requested"],
        "properties": {
            "id": { "type": "string" },
            "action": { "type": "string" },
            "status": { "const": "running" },
            "cancel_requested": { "const": true },
        },
    });
    group
        .path(
            "/{actor}/actions/{name}/tasks",
            [Operation::get("get_tasks", "The tasks of an action")
                .about("The latest first, without their results. The creator sees all of them, others their own.")
                .authorized()
                .reply(200, "The tasks: 100 of them when no limit is given.", [Content::json(listing)])
                .paged()],
        )
        .path(
            "/{actor}/actions/{name}/tasks/{task}",
            [
                Operation::get("get_task", "How a task stands, and its result")
                    .about("Until it is over, the reply says with `Retry-After` when to ask again.")
                    .authorized()
                    .reply(200, "The task.", [Content::json(task)])
                    .with_headers(&["Retry-After"]),
                Operation::delete("cancel_task", "Cancels a task")
                    .authorized()
                    .reply(202, "It runs, and whoever runs it is told to end.", [Content::json(asked)])
                    .with_headers(&["Retry-After"])
                    .reply(204, "It had not begun and will not, or was cancelled before.", [])
                    .problems(&[409]),
            ],
        );
}

fn task() -> Value {
    let problem = json!({ "type": "object", "description": "A problem document (RFC 9457)." });
    json!({
        "type": "object",
        "required": ["id", "action", "status", "attempts", "created_at", "updated_at"],
        "properties": {
            "id": { "type": "string" },
            "action": { "type": "string" },
            "status": { "enum": ["queued", "running", "completed", "failed", "cancelled"] },
            "progress": {
                "type": "object",
                "required": ["fraction", "text"],
                "properties": {
                    "fraction": { "type": "number", "minimum": 0, "maximum": 1 },
                    "text": { "type": "string", "maxLength": 500 },
                },
            },
            "result": { "description": format!("What the action returned, of {MAX_RESULT_BYTES} bytes at most.") },
            "error": problem,
            "last_error": problem,
            "attempts": { "type": "integer", "minimum": 0, "description": "How often it was begun." },
            "retry_at": { "type": "string", "format": "date-time", "description": "When it is tried again." },
            "cancel_requested": { "const": true, "description": "It runs, and somebody wants it no more." },
            "schedule": { "type": "string", "description": "The schedule that made it." },
            "created_at": { "type": "string", "format": "date-time" },
            "updated_at": { "type": "string", "format": "date-time" },
            "expires_at": { "type": "string", "format": "date-time", "description": "Until when it can be read." },
        },
        "examples": [{
            "id": "019ab2c3d4f000112233445566778899", "action": "report", "status": "running",
            "progress": { "fraction": 0.4, "text": "page 4" }, "attempts": 1,
            "created_at": "2026-11-30T20:15:02.120Z", "updated_at": "2026-11-30T20:15:02.310Z",
        }],
    })
}
