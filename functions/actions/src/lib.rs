//! `/{actor}/actions`: calls of the application's actions.

pub mod openapi;

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
    let name = incoming.hook_name()?;
    if name.is_none() && incoming.verb != Verb::Get {
        return Err(Problem::method_not_allowed("GET"));
    }
    operation(&incoming)?;
    let admission = incoming.admit(&state, &[]).await?;
    match name {
        Some(name) => {
            let call = call_by_path(&state, &incoming, &admission, Callable::Action, name.as_str());
            incoming.once(&state, Some(&admission), call).await
        }
        None => list(&incoming, "GET", || {
            let allowed = |name: &str| admission.access.check(Category::Actions, name, Operation::Execute).is_ok();
            json!({ "actions": state.hooks.actions().into_iter().filter(|hook| allowed(&hook.name)).collect::<Vec<_>>() })
        }),
    }
}
