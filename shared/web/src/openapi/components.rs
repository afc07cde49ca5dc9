//! What several operations share.

use actingweb_protocol::MAX_NAME_BYTES;
use serde_json::{Map, Value, json};

use super::operation::component_name;
use crate::paging::MAX_LIMIT;

/// Every problem that an operation may answer, with what it means.
const PROBLEMS: [(u16, &str); 18] = [
    (400, "The request is malformed: its body, a name or a parameter."),
    (401, "No credentials, or a header that is not one."),
    (403, "Credentials that are wrong, or right and not enough; also a hook that refuses."),
    (404, "There is no such actor, or no such thing."),
    (405, "What is at this path does not take this verb."),
    (408, "The peer that is needed is out of reach, or refuses."),
    (406, "The client accepts none of the forms that the reply comes in."),
    (409, "The request is fine, and the state is against it: for one, it is being carried out under this key."),
    (410, "It was carried out before, under this `Idempotency-Key`, and the reply was too large to keep."),
    (412, "It is not the version that the request names."),
    (413, "Larger than a limit."),
    (415, "The body is in a form, or compressed in a way, that is not read here."),
    (422, "This `Idempotency-Key` came with another request before."),
    (429, "Too many: failed attempts to sign in, or requests that wait for an answer."),
    (500, "The request failed; the log knows more under its id."),
    (502, "A service that is needed answered wrongly, or not at all."),
    (503, "Busy; may be repeated."),
    (504, "A hook ran out of time."),
];

/// The parameters of a path template, in its order.
pub(super) fn path_parameters(path: &str) -> Vec<Value> {
    path.split('/').filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}')).map(parameter).collect()
}

pub(super) fn parameter(name: &str) -> Value {
    json!({ "$ref": format!("#/components/parameters/{name}") })
}

pub(super) fn response(name: &str) -> Value {
    json!({ "$ref": format!("#/components/responses/{name}") })
}

pub(super) fn problem(status: u16) -> Value {
    response(&component_name(status))
}

pub(super) fn header_refs(names: &[&str]) -> Map<String, Value> {
    let header = |name: &&str| ((*name).to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }));
    names.iter().map(header).collect()
}

pub(super) fn security_schemes() -> Value {
    json!({
        "basic": {
            "type": "http",
            "scheme": "basic",
            "description": "The actor's creator with its passphrase. A password that is wrong is 403, not 401.",
        },
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "A token, or the secret of a trust relationship.",
        },
    })
}

pub(super) fn parameters() -> Value {
    json!({
        "provider": {
            "name": "provider",
            "in": "path",
            "required": true,
            "description": "An identity provider, by its name in `/oauth/config`.",
            "schema": { "type": "string" },
        },
        "word": {
            "name": "word",
            "in": "path",
            "required": true,
            "description": "What the browser was led back with, as `session`.",
            "schema": { "type": "string" },
        },
        "actor": {
            "name": "actor",
            "in": "path",
            "required": true,
            "description": "The actor's id: 32 lower-case hexadecimal digits.",
            "schema": { "type": "string", "pattern": "^[0-9a-f]{32}$" },
            "example": "0f3c6f0a6d0e5f8e9f7e0d9b7a4e1c55",
        },
        "name": {
            "name": "name",
            "in": "path",
            "required": true,
            "description": "A name: 1 to 256 bytes of UTF-8, without `/ ? # %` and control characters.",
            "schema": { "$ref": "#/components/schemas/Name" },
            "example": "notes",
        },
        "path": {
            "name": "path",
            "in": "path",
            "required": true,
            "description": "Below a property with a value: a key, or up to 32 of them with slashes between, each \
                            encoded on its own. Below a list: the position of an item, from 0, and keys inside it.",
            "schema": { "$ref": "#/components/schemas/Name" },
            "example": "0",
        },
        "relationship": {
            "name": "relationship",
            "in": "path",
            "required": true,
            "description": "The kind of a relationship: the name of a trust type, or one that peers agreed upon.",
            "schema": { "type": "string", "pattern": "^[A-Za-z0-9_.:-]{1,64}$" },
            "example": "friend",
        },
        "peer": {
            "name": "peer",
            "in": "path",
            "required": true,
            "description": "A peer's id: 1 to 128 printable ASCII characters without `/ ? # % \\` and quotes.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 128 },
            "example": "9d2e8b1c4f5a5e0b8c7d6e5f4a3b2c1d",
        },
        "client": {
            "name": "client",
            "in": "path",
            "required": true,
            "description": "A client's id.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 64 },
            "example": "mcp_0f3c6f0a6d0e5f8e9f7e0d9b7a4e1c55",
        },
        "grant": {
            "name": "grant",
            "in": "path",
            "required": true,
            "description": "A grant's id, as the listing of grants says it.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 100 },
            "example": "mcp_0f3c6f0a6d0e5f8e9f7e0d9b7a4e1c55.9d2e8b1c4f5a5e0b",
        },
        "identity": {
            "name": "identity",
            "in": "path",
            "required": true,
            "description": "An identity's id, as the listing of identities says it.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 100 },
            "example": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        },
        "grantor": {
            "name": "grantor",
            "in": "path",
            "required": true,
            "description": "The id of the peer that grants the rights.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 128 },
            "example": "9d2e8b1c4f5a5e0b8c7d6e5f4a3b2c1d",
        },
        "subscription": {
            "name": "subscription",
            "in": "path",
            "required": true,
            "description": "A subscription's id, as the publisher chose it.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 128 },
            "example": "6f9c496966d35b3b9d3fa2c9efc2934a",
        },
        "sequence": {
            "name": "sequence",
            "in": "path",
            "required": true,
            "description": "The number of a diff within its subscription, from 1.",
            "schema": { "type": "integer", "minimum": 1 },
            "example": 1,
        },
        "task": {
            "name": "task",
            "in": "path",
            "required": true,
            "description": "A task's id: 32 lower-case hexadecimal digits.",
            "schema": { "type": "string" },
            "example": "019ab2c3d4f000112233445566778899",
        },
        "schedule": {
            "name": "schedule",
            "in": "path",
            "required": true,
            "description": "A schedule's id: 32 lower-case hexadecimal digits.",
            "schema": { "type": "string" },
            "example": "019ab2c3d4e56f7a8b9c0d1e2f3a4b5c",
        },
        "service": {
            "name": "service",
            "in": "path",
            "required": true,
            "description": "A service's name, as `GET /{actor}/services` lists it.",
            "schema": { "type": "string" },
            "example": "github",
        },
        "limit": {
            "name": "limit",
            "in": "query",
            "description": "How many entries at most; the reply's `Link` leads to the rest.",
            "schema": { "type": "integer", "minimum": 1, "maximum": MAX_LIMIT },
        },
        "cursor": {
            "name": "cursor",
            "in": "query",
            "description": "Where the part before ended, as its reply said.",
            "schema": { "type": "string" },
        },
        "idempotency_key": {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "What the client calls this request: repeats of it get the first reply and change nothing \
                            (draft-ietf-httpapi-idempotency-key-header). 1 to 255 printable ASCII characters, quoted or \
                            not; without credentials at least 16 that are hard to guess.",
            "schema": { "type": "string" },
            "example": "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"",
        },
        "if_match": {
            "name": "If-Match",
            "in": "header",
            "description": "Only if it still is one of these versions; `*` for any that exists (RFC 9110, 13.1.1).",
            "schema": { "type": "string" },
        },
        "if_none_match": {
            "name": "If-None-Match",
            "in": "header",
            "description": "Only if it is none of these versions; `*` for any that exists (RFC 9110, 13.1.2).",
            "schema": { "type": "string" },
        },
    })
}

pub(super) fn headers() -> Value {
    let text = |about: &str| json!({ "description": about, "schema": { "type": "string" } });
    json!({
        "Allow": text("The verbs that this path has."),
        "Cache-Control": text("`no-store`: the reply holds a secret."),
        "ETag": text("Its version."),
        "Idempotent-Replayed": text("`true`: the reply to the first request with this `Idempotency-Key`, given again."),
        "Link": text("`<…>; rel=\"next\"`: the next part, if there is one (RFC 8288)."),
        "Location": text("The absolute URL of what this is about."),
        "Retry-After": {
            "description": "When to try again, in whole seconds.",
            "schema": { "type": "integer", "minimum": 1 },
        },
        "WWW-Authenticate": text("How to sign in."),
        "X-Next-Cursor": text("The `cursor` of the next part, if there is one."),
        "X-Request-ID": {
            "description": "The request's id: the caller's own, or a new one. Quote it when you report a problem.",
            "required": true,
            "schema": { "type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$" },
        },
    })
}

pub(super) fn responses() -> Value {
    let mut responses = Map::new();
    let headers = header_refs(&["X-Request-ID", "ETag"]);
    responses.insert(
        "NotModified".to_owned(),
        json!({ "description": "It is the version that the client has already.", "headers": headers }),
    );
    for (status, about) in PROBLEMS {
        let own: &[&str] = match status {
            401 => &["X-Request-ID", "WWW-Authenticate"],
            405 => &["X-Request-ID", "Allow"],
            429 | 503 => &["X-Request-ID", "Retry-After"],
            _ => &["X-Request-ID"],
        };
        responses.insert(
            component_name(status),
            json!({
                "description": about,
                "headers": header_refs(own),
                "content": { "application/problem+json": { "schema": super::schema_ref("Problem") } },
            }),
        );
    }
    Value::Object(responses)
}

pub(super) fn schemas() -> Map<String, Value> {
    let name = json!({
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_NAME_BYTES,
        "pattern": "^[^/?#%\\u0000-\\u001f\\u007f-\\u009f]+$",
        "not": { "enum": [".", ".."] },
    });
    let problem = json!({
        "type": "object",
        "description": "Why a request was not carried out (RFC 9457).",
        "required": ["type", "title", "status", "detail", "request_id"],
        "properties": {
            "type": {
                "type": "string",
                "format": "uri-reference",
                "description": "What kind of problem, for programs; `about:blank` when the status says it all.",
            },
            "title": { "type": "string", "description": "The same in words." },
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "detail": {
                "type": "string",
                "description": "What was wrong here, where, and what to do; for people, and may change.",
            },
            "request_id": { "type": "string" },
            "unfinished": {
                "type": "array",
                "items": { "type": "string" },
                "description": "The hooks that did not finish in time; only where there are any.",
            },
        },
        "examples": [{
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "detail": "there is no property `notes`",
            "request_id": "6ff05bb3c6c0a2cbe7f5ad2ac8b4df40",
        }],
    });
    Map::from_iter([("Name".to_owned(), name), ("Problem".to_owned(), problem)])
}
