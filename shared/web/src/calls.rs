//! Calling hooks that answer by name: what methods, actions and resources have in common.

use actingweb_hooks::{CallOutcome, Op};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use crate::{Admission, AppState, Incoming, Problem, Reply, Verb, json, no_content};

/// The largest body of a call, in bytes.
pub const MAX_INPUT_BYTES: usize = 1 << 20;

/// Which kind of hook is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callable {
    /// A method: computes and answers.
    Method,
    /// An action: makes something happen.
    Action,
    /// A resource: served by the application's own rules.
    Resource,
    /// A callback: what others send unasked.
    Callback,
}

impl Callable {
    const fn noun(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Action => "action",
            Self::Resource => "resource",
            Self::Callback => "callback",
        }
    }

    /// What an unknown name answers. Deployed clients take 400 for a call that could not be made.
    const fn unknown(self, op: Op) -> StatusCode {
        match (self, op) {
            (Self::Callback, _) => StatusCode::FORBIDDEN,
            (Self::Resource, _) | (_, Op::Get | Op::Delete) => StatusCode::NOT_FOUND,
            (_, Op::Put | Op::Post) => StatusCode::BAD_REQUEST,
        }
    }

    /// What a hook that returned nothing answers.
    const fn nothing(self, op: Op) -> StatusCode {
        match (self, op) {
            (Self::Resource, _) | (Self::Method | Self::Action, Op::Get) => StatusCode::NOT_FOUND,
            _ => StatusCode::NO_CONTENT,
        }
    }
}

/// Calls the hooks of this name.
pub async fn call(
    state: &AppState,
    incoming: &Incoming,
    admission: &Admission,
    (kind, name): (Callable, &str),
    op: Op,
    data: Value,
) -> CallOutcome {
    let invocation = incoming.invocation(admission);
    let outcome = async {
        match kind {
            Callable::Method => state.hooks.call_method(&invocation, name, op, data).await,
            Callable::Action => state.hooks.call_action(&invocation, name, op, data).await,
            Callable::Resource => state.hooks.call_resource(&invocation, name, op, data).await,
            Callable::Callback => state.hooks.call_callback(&invocation, name, op, data).await,
        }
    };
    incoming.context.in_hook(kind.noun(), name, outcome).await
}

/// Calls the hooks named in the path with the request's body, and answers with what they said.
///
/// # Errors
/// 400 for a body that is not JSON, 405, the statuses of hook failures, and of unknown names.
pub async fn call_by_path(
    state: &AppState,
    incoming: &Incoming,
    admission: &Admission,
    kind: Callable,
    name: &str,
) -> Reply {
    let op = operation(incoming)?;
    let data = if op.has_data() { input(incoming)? } else { Value::Null };
    answer(call(state, incoming, admission, (kind, name), op, data).await, kind, name, op)
}

/// The operation of a request for one hook.
///
/// # Errors
/// 405 for a verb that hooks do not know.
pub fn operation(incoming: &Incoming) -> Result<Op, Problem> {
    incoming.verb.op().ok_or_else(|| Problem::method_not_allowed("GET, PUT, POST, DELETE"))
}

/// The input of a call: the body as JSON, or as an object of a form's fields; nothing for an empty one.
///
/// # Errors
/// 400 for what is neither, 413 above [`MAX_INPUT_BYTES`].
pub fn input(incoming: &Incoming) -> Result<Value, Problem> {
    if incoming.payload.bytes.len() > MAX_INPUT_BYTES {
        return Err(Problem::too_large(format!("the body is larger than {MAX_INPUT_BYTES} bytes")));
    }
    if let Some(fields) = incoming.form() {
        return Ok(Value::Object(fields.into_iter().map(|(name, value)| (name, Value::String(value))).collect()));
    }
    if incoming.payload.bytes.is_empty() {
        return Ok(Value::Null);
    }
    incoming.payload.json()
}

pub(crate) fn answer(outcome: CallOutcome, kind: Callable, name: &str, op: Op) -> Reply {
    let noun = kind.noun();
    match outcome {
        CallOutcome::Answer(_) if op == Op::Delete && matches!(kind, Callable::Method | Callable::Action) => {
            Ok(no_content())
        }
        CallOutcome::Answer(value) => Ok(json(success(kind, op), &value)),
        CallOutcome::Nothing => match kind.nothing(op) {
            StatusCode::NO_CONTENT => Ok(no_content()),
            status => Err(Problem::new(status, format!("{noun} `{name}` has nothing to show"))),
        },
        CallOutcome::Unknown => Err(Problem::new(kind.unknown(op), format!("there is no {noun} `{name}`"))),
        CallOutcome::Failed(failure) => Err(failure.into()),
    }
}

const fn success(kind: Callable, op: Op) -> StatusCode {
    match (kind, op) {
        (Callable::Resource, Op::Post) => StatusCode::CREATED,
        _ => StatusCode::OK,
    }
}

/// Answers `GET /{actor}/{group}` with `list`; any other verb on the group itself is 405.
///
/// # Errors
/// 405.
pub fn list(incoming: &Incoming, allow: &str, list: impl FnOnce() -> Value) -> Result<Response, Problem> {
    match incoming.verb {
        Verb::Get => Ok(json(StatusCode::OK, &list())),
        _ => Err(Problem::method_not_allowed(allow)),
    }
}
