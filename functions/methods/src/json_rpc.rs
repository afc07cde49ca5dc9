//! JSON-RPC 2.0 over `POST /{actor}/methods[/{name}]`.

use actingweb_hooks::{CallOutcome, HookFailure, Op};
use actingweb_protocol::Name;
use actingweb_protocol::permission::{Category, Operation};
use actingweb_web::calls::{self, Callable};
use actingweb_web::{Admission, AppState, Incoming, Problem, Reply, json, no_content, passing};
use http::StatusCode;
use serde_json::{Value, json};

const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;
const INTERNAL_ERROR: i32 = -32603;

/// Whether a body is meant as JSON-RPC.
pub(crate) fn is_request(body: &Value) -> bool {
    body.get("jsonrpc").is_some_and(|version| version == "2.0")
}

/// Asks whether the caller may call the method that the request names: the path may name none, so that nobody asked yet.
pub(crate) fn authorize(admission: &Admission, in_path: Option<&Name>, request: &Value) -> Result<(), Problem> {
    match request.get("method").and_then(Value::as_str) {
        Some(method) if in_path.is_none_or(|name| name.as_str() == method) => {
            Ok(admission.access.check(Category::Methods, method, Operation::Call)?)
        }
        _ => Ok(()),
    }
}

/// Carries out one request that is [authorized](authorize): 200 with `result` or `error`, 204 for a notification (one without an `id`).
pub(crate) async fn call(
    state: &AppState,
    incoming: &Incoming,
    admission: &Admission,
    in_path: Option<&Name>,
    mut request: Value,
) -> Reply {
    let params = request.get_mut("params").map(Value::take).unwrap_or_default();
    let id = request.get("id").cloned();
    let mut may_pass = false;
    let reply = match request.get("method").and_then(Value::as_str) {
        None => Err((INVALID_REQUEST, "Invalid Request", Some("Missing method".to_owned()))),
        Some(method) if in_path.is_some_and(|name| name.as_str() != method) => {
            Err((INVALID_REQUEST, "Invalid Request", Some("Method name mismatch".to_owned())))
        }
        Some(method) => {
            match calls::call(state, incoming, admission, (Callable::Method, method), Op::Post, params).await {
                CallOutcome::Answer(value) => Ok(value),
                CallOutcome::Nothing => Ok(Value::Null),
                CallOutcome::Unknown => Err((METHOD_NOT_FOUND, "Method not found", None)),
                CallOutcome::Failed(failure) => {
                    may_pass = failure.status >= 500;
                    Err(error(failure))
                }
            }
        }
    };
    let marked = |response| if may_pass { passing(response) } else { response };
    let Some(id) = id else {
        return Ok(marked(no_content()));
    };
    let body = match reply {
        Ok(result) => json!({ "jsonrpc": "2.0", "result": result, "id": id }),
        Err((code, message, None)) => {
            json!({ "jsonrpc": "2.0", "error": { "code": code, "message": message }, "id": id })
        }
        Err((code, message, Some(data))) => {
            json!({ "jsonrpc": "2.0", "error": { "code": code, "message": message, "data": data }, "id": id })
        }
    };
    Ok(marked(json(StatusCode::OK, &body)))
}

fn error(failure: HookFailure) -> (i32, &'static str, Option<String>) {
    match failure.status {
        400 => (INVALID_PARAMS, "Invalid params", Some(failure.detail)),
        _ => (INTERNAL_ERROR, "Internal error", Some(failure.detail)),
    }
}
