//! `/{actor}/actions/{name}` of an action that runs as a task, and `…/tasks` below it.

use std::time::Duration;

use actingweb_actor::{AskTask, Caller};
use actingweb_protocol::Name;
use actingweb_protocol::task::{TaskId, TaskStatus};
use actingweb_store::{Cancel, TaskKey, TaskRecord};
use actingweb_web::calls::input;
use actingweb_web::paging::Page;
use actingweb_web::{Admission, AppState, Incoming, Problem, Reply, Verb, json, no_content};
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json as value};

/// What a task that is queued or runs says about when to look again.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// How many tasks a listing has that asks for no number.
const LISTED: usize = 100;

/// Writes a call down as a task, and answers with it.
///
/// # Errors
/// 400 for a body that the action would not take, 405 for verbs that call nothing, 413 for one that is too large.
pub(crate) async fn ask(state: &AppState, incoming: &Incoming, admission: &Admission, action: &Name) -> Reply {
    let op = match incoming.verb {
        Verb::Put => "PUT",
        Verb::Post => "POST",
        _ => return Err(Problem::method_not_allowed("PUT, POST")),
    };
    let data = input(incoming)?;
    state.hooks.check_input(action.as_str(), &data)?;
    let ask = AskTask { actor: &admission.actor, action, caller: admission.access.caller(), op, input: &data };
    let record = state.actors.ask_task(&ask, incoming.context.deadline).await?;
    let mut response = json(StatusCode::ACCEPTED, &view(&record, None));
    let location =
        format!("{}/{}/actions/{}/tasks/{}", state.base_url, record.key.actor, encode(action), record.key.id);
    response.headers_mut().extend(HeaderValue::from_str(&location).ok().map(|url| (header::LOCATION, url)));
    Ok(look_again(response))
}

/// Answers for `/{actor}/actions/{name}/tasks` and below.
///
/// # Errors
/// 404 for what is not there, or belongs to another caller.
pub(crate) async fn serve(
    state: &AppState,
    incoming: &Incoming,
    admission: &Admission,
    (action, id): (&Name, Option<&str>),
) -> Reply {
    match id {
        None => match incoming.verb {
            Verb::Get => list(state, incoming, admission, action).await,
            _ => Err(Problem::method_not_allowed("GET")),
        },
        Some(id) => {
            let id = TaskId::parse(id).map_err(|_| unknown())?;
            let key = TaskKey { actor: admission.actor.id().clone(), action: action.clone(), id };
            let caller = admission.access.caller();
            match incoming.verb {
                Verb::Get => show(state, incoming, caller, &key).await,
                Verb::Delete => cancel(state, incoming, caller, &key).await,
                _ => Err(Problem::method_not_allowed("GET, DELETE")),
            }
        }
    }
}

async fn list(state: &AppState, incoming: &Incoming, admission: &Admission, action: &Name) -> Reply {
    let page = Page::of(incoming)?.unwrap_or(Page { limit: LISTED, cursor: None });
    let before = page.cursor.as_deref().map(TaskId::parse).transpose();
    let before = before.map_err(|_| Problem::bad_request("cursor must be one of a former reply"))?;
    let of = (admission.actor.id(), action);
    let deadline = incoming.context.deadline;
    let part = (before.as_ref(), page.limit);
    let (tasks, has_more) = state.actors.tasks(of, admission.access.caller(), part, deadline).await?;
    let next = tasks.last().filter(|_| has_more).map(|task| task.key.id.to_string());
    let views: Vec<_> = tasks.iter().map(|task| view(task, None)).collect();
    let response = json(StatusCode::OK, &value!({ "tasks": views }));
    Ok(page.link(state, incoming, next.as_deref(), response))
}

async fn show(state: &AppState, incoming: &Incoming, caller: &Caller, key: &TaskKey) -> Reply {
    let found = state.actors.task(key, caller, incoming.context.deadline).await?;
    let (record, result) = found.ok_or_else(unknown)?;
    let response = json(StatusCode::OK, &view(&record, result));
    Ok(if record.status.is_over() { response } else { look_again(response) })
}

async fn cancel(state: &AppState, incoming: &Incoming, caller: &Caller, key: &TaskKey) -> Reply {
    match state.actors.cancel_task(key, caller, incoming.context.deadline).await? {
        // What is cancelled already need not be cancelled again.
        Cancel::Done | Cancel::Over(TaskStatus::Cancelled) => Ok(no_content()),
        Cancel::Asked => {
            let note = value!({ "id": key.id, "action": key.action, "status": "running", "cancel_requested": true });
            Ok(look_again(json(StatusCode::ACCEPTED, &note)))
        }
        Cancel::Over(status) => Err(Problem::conflict(format!("the task is {status} already"))),
        Cancel::Gone => Err(unknown()),
    }
}

/// A task on the wire.
fn view(record: &TaskRecord, result: Option<Value>) -> Value {
    let TaskRecord { key, status, progress, problem, attempts, created_at, updated_at, .. } = record;
    let mut view = Map::new();
    let mut put = |name: &str, value: Value| view.insert(name.to_owned(), value);
    put("id", value!(key.id));
    put("action", value!(key.action));
    put("status", value!(status));
    if let Some(progress) = progress {
        put("progress", value!(progress));
    }
    if let Some(result) = result {
        put("result", result);
    }
    if let Some(problem) = problem.as_deref().and_then(|text| serde_json::from_str(text).ok()) {
        // While it is tried again, this is what the last attempt met.
        put(if *status == TaskStatus::Failed { "error" } else { "last_error" }, problem);
    }
    put("attempts", value!(attempts));
    if *status == TaskStatus::Queued && *attempts > 0 {
        put("retry_at", value!(record.due_at.to_string()));
    }
    if record.cancel_at.is_some() && !status.is_over() {
        put("cancel_requested", Value::Bool(true));
    }
    if let Some(schedule) = &record.schedule {
        put("schedule", value!(schedule));
    }
    put("created_at", value!(created_at.to_string()));
    put("updated_at", value!(updated_at.to_string()));
    if let Some(expires) = record.expires {
        put("expires_at", value!(expires.to_string()));
    }
    Value::Object(view)
}

fn look_again(mut response: Response) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(LOOK_AGAIN.as_secs()));
    response
}

fn unknown() -> Problem {
    Problem::not_found("there is no such task of this action")
}

/// A name as a segment of a path.
fn encode(name: &Name) -> String {
    percent_encoding::utf8_percent_encode(name.as_str(), percent_encoding::NON_ALPHANUMERIC).to_string()
}
