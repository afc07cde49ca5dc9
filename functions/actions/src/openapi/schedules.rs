//! What is answered about schedules.

use actingweb_actor::schedules::{MAX_OF_A_PEER, MAX_SCHEDULES};
use actingweb_protocol::schedule::{MAX_DESCRIPTION_BYTES, MAX_INPUT_BYTES, MAX_NAME_BYTES};
use actingweb_web::openapi::{Content, Group, Operation};
use serde_json::{Value, json};

const ID: &str = "019ab2c3d4e56f7a8b9c0d1e2f3a4b5c";
const TASK: &str = "019ab2c3d4f000112233445566778899";

/// Describes the schedules of an action.
pub(super) fn describe(group: &mut Group<'_>) {
    let schedule = group.schema("Schedule", schedule());
    let listing = json!({
        "type": "object",
        "required": ["schedules"],
        "properties": { "schedules": { "type": "array", "items": schedule } },
    });
    let with_history = json!({ "allOf": [
        schedule,
        {
            "type": "object",
            "required": ["history"],
            "properties": { "history": { "type": "array", "items": run(), "description": "The last 20 runs, the latest first." } },
        },
    ] });
    group
        .path(
            "/{actor}/actions/{name}/schedules",
            [
                Operation::get("get_schedules", "When an action is run by itself")
                    .about("The latest first. The creator sees all of them, others their own.")
                    .authorized()
                    .paged()
                    .reply(200, "The schedules, without their histories.", [Content::json(listing)])
                    .with_headers(&["Link", "X-Next-Cursor"]),
                create(&schedule),
            ],
        )
        .path(
            "/{actor}/actions/{name}/schedules/{schedule}",
            [
                Operation::get("get_schedule", "One schedule, with its latest runs").authorized().reply(
                    200,
                    "The schedule.",
                    [Content::json(with_history)],
                ),
                Operation::delete("cancel_schedule", "Cancels a schedule, and forgets it")
                    .about("A task that it made already goes on.")
                    .authorized()
                    .reply(204, "It is gone.", []),
            ],
        );
}

fn create(schedule: &Value) -> Operation {
    let about = format!(
        "For whoever may call the action. Each run is a task of the action, called with POST, with its retries and its \
         result; whether whoever made the schedule may still call the action is decided for each run. Times are met to the \
         minute. If nobody was there to run it, the first missed time is made up for, once. At most {MAX_SCHEDULES} \
         schedules of the creator and the application go on, and {MAX_OF_A_PEER} of each peer; one more is 409."
    );
    Operation::post("create_schedule", "Has an action run by itself")
        .about(about)
        .authorized()
        .body(
            true,
            "When, and what with: one of `at`, `every` and `cron`.",
            [Content::json(asked())
                .example(json!({ "cron": "0 8 * * MON-FRI", "time_zone": "Europe/Oslo", "name": "Morning digest" }))],
        )
        .reply(201, "The schedule.", [Content::json(schedule.clone())])
        .with_location(201)
        .once()
}

/// What says when.
fn plan() -> Value {
    json!({
        "at": { "type": "string", "format": "date-time", "description": "Once, at this moment." },
        "every": { "type": "string", "description": "Again and again: an ISO 8601 duration of a minute at least and 366 days at most, `PT15M`. A day is 24 hours." },
        "cron": { "type": "string", "maxLength": 200, "description": "By the clock of a place: minute, hour, day of month, month, day of week." },
        "time_zone": { "type": "string", "description": "Of `cron`, by its IANA name; `UTC` if it is not said." },
        "until": { "type": "string", "format": "date-time", "description": "The last moment at which it may be due." },
        "name": { "type": "string", "maxLength": MAX_NAME_BYTES, "description": "What people call it." },
        "description": { "type": "string", "maxLength": MAX_DESCRIPTION_BYTES, "description": "What it is for." },
        "input": { "description": format!("What the action is called with, of {MAX_INPUT_BYTES} bytes at most.") },
    })
}

fn asked() -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": plan() })
}

fn schedule() -> Value {
    let mut fields = plan();
    if let (Some(fields), Value::Object(more)) = (
        fields.as_object_mut(),
        json!({
            "id": { "type": "string" },
            "action": { "type": "string" },
            "status": { "enum": ["active", "ended", "suspended"] },
            "reason": { "type": "string", "description": "Why it was suspended." },
            "next_at": { "type": "string", "format": "date-time", "description": "When it is due next, while it is active." },
            "created_at": { "type": "string", "format": "date-time" },
            "runs": { "type": "integer", "minimum": 0, "description": "How many runs there were." },
            "missed": { "type": "integer", "minimum": 0, "description": "How many planned times passed without a run, because nobody was there." },
        }),
    ) {
        fields.extend(more);
    }
    json!({
        "type": "object",
        "required": ["id", "action", "status", "created_at", "runs", "missed"],
        "properties": fields,
        "examples": [{
            "id": ID, "action": "digest", "status": "active", "next_at": "2026-12-01T07:00:00.000Z",
            "cron": "0 8 * * MON-FRI", "time_zone": "Europe/Oslo", "name": "Morning digest",
            "created_at": "2026-11-30T20:15:02.120Z", "runs": 0, "missed": 0,
        }],
    })
}

fn run() -> Value {
    json!({
        "type": "object",
        "required": ["planned_at", "fired_at", "task", "url"],
        "properties": {
            "planned_at": { "type": "string", "format": "date-time" },
            "fired_at": { "type": "string", "format": "date-time", "description": "When its task was made." },
            "task": { "type": "string", "description": "Its task's id." },
            "url": { "type": "string", "format": "uri", "description": "Its task." },
            "status": { "enum": ["queued", "running", "completed", "failed", "cancelled"], "description": "Of its task; left out when that is no longer kept." },
            "missed": { "type": "integer", "minimum": 1, "description": "How many planned times between the two were left out." },
        },
        "examples": [{
            "planned_at": "2026-12-01T07:00:00.000Z", "fired_at": "2026-12-01T07:00:21.480Z", "task": TASK,
            "url": format!("https://example.com/0f3c6f0a6d0e5f8e9f7e0d9b7a4e1c55/actions/digest/tasks/{TASK}"),
            "status": "completed",
        }],
    })
}
