//! `/{actor}/actions`: calls of the application's actions, their tasks, and when they are run by themselves.

pub mod openapi;
mod schedules;
mod tasks;

use actingweb_protocol::Name;
use actingweb_protocol::permission::{Category, Operation};
use actingweb_web::calls::{Callable, call_by_path, list, operation};
use actingweb_web::{AppState, Incoming, Problem, Reply, Verb, serve, subtree};
use axum::Router;
use axum::extract::State;
use serde_json::json;

/// The routes of this group.
pub fn routes() -> Router<AppState> {
    subtree("actions", actions)
}

/// The service of this group.
pub fn router(state: AppState) -> Router {
    serve(routes(), state.for_group("actions"))
}

async fn actions(State(state): State<AppState>, incoming: Incoming) -> Reply {
    // Below an action are its tasks and its schedules.
    let (name, rest) = match incoming.below_group() {
        [] => (None, &[][..]),
        [name, rest @ ..] => (Some(Name::parse(name)?), rest),
    };
    let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
    match (&name, rest.as_slice()) {
        (None, _) if incoming.verb != Verb::Get => return Err(Problem::method_not_allowed("GET")),
        (_, ["tasks"]) if incoming.verb == Verb::Other => return Err(Problem::method_not_allowed("GET")),
        (_, ["schedules"]) if incoming.verb == Verb::Other => return Err(Problem::method_not_allowed("GET, POST")),
        (_, ["tasks" | "schedules", _]) if incoming.verb == Verb::Other => {
            return Err(Problem::method_not_allowed("GET, DELETE"));
        }
        (_, [] | ["tasks" | "schedules"] | ["tasks" | "schedules", _]) => {}
        _ => return Err(Problem::not_found("there is nothing below this name")),
    }
    operation(&incoming)?;
    let admission = incoming.admit(&state, &[]).await?;
    let Some(name) = name else {
        return list(&incoming, "GET", || {
            let allowed = |name: &str| admission.access.check(Category::Actions, name, Operation::Execute).is_ok();
            json!({ "actions": state.hooks.actions().into_iter().filter(|hook| allowed(&hook.name)).collect::<Vec<_>>() })
        });
    };
    let is_task = state.hooks.task_rules(name.as_str()).is_some();
    let schedules = schedules::Request { state: &state, incoming: &incoming, admission: &admission, action: &name };
    match rest.as_slice() {
        ["schedules"] => Box::pin(schedules.answer(None)).await,
        ["schedules", id] => Box::pin(schedules.answer(Some(id))).await,
        // Schedules make tasks of any action.
        ["tasks", id @ ..] if state.hooks.has_action(name.as_str()) => {
            tasks::serve(&state, &incoming, &admission, (&name, id.first().copied())).await
        }
        ["tasks", ..] => Err(Problem::not_found(format!("there is no action `{name}`"))),
        _ if is_task => {
            let call = tasks::ask(&state, &incoming, &admission, &name);
            incoming.once(&state, Some(&admission), call).await
        }
        _ => {
            let call = call_by_path(&state, &incoming, &admission, Callable::Action, name.as_str());
            incoming.once(&state, Some(&admission), call).await
        }
    }
}
