//! `/{actor}/methods`: calls of the application's methods, also as JSON-RPC 2.0 and as streams.

mod json_rpc;
pub mod openapi;

use actingweb_protocol::permission::{Category, Operation};
use actingweb_web::calls::{Callable, call_by_path, input, list, operation};
use actingweb_web::events::{Wish, as_events, in_pieces, stream_by_path};
use actingweb_web::{AppState, Incoming, Problem, Reply, Verb, serve, subtree};
use axum::Router;
use axum::extract::State;
use serde_json::json;

/// The routes of this group.
pub fn routes() -> Router<AppState> {
    subtree("methods", methods)
}

/// The service of this group.
pub fn router(state: AppState) -> Router {
    serve(routes(), state.for_group("methods"))
}

/// The same service, under the name of the function that streams.
pub fn stream_router(state: AppState) -> Router {
    serve(routes(), state.for_group("methods-stream"))
}

async fn methods(State(state): State<AppState>, incoming: Incoming) -> Reply {
    let name = incoming.hook_name()?;
    if name.is_none() && !matches!(incoming.verb, Verb::Get | Verb::Post) {
        return Err(Problem::method_not_allowed("GET, POST"));
    }
    operation(&incoming)?;
    let admission = incoming.admit(&state, &[]).await?;
    if incoming.verb == Verb::Post {
        let data = input(&incoming)?;
        if json_rpc::is_request(&data) {
            json_rpc::authorize(&admission, name.as_ref(), &data)?;
            let call = json_rpc::call(&state, &incoming, &admission, name.as_ref(), data);
            return incoming.once(&state, Some(&admission), call).await;
        }
    }
    match name {
        Some(name) => {
            let wish = if incoming.verb == Verb::Post { Wish::of(&incoming) } else { Wish::Json };
            let streams = state.hooks.streams(name.as_str());
            if wish != Wish::Json && streams {
                return stream_by_path(&state, &incoming, &admission, name.as_str()).await;
            }
            let call = async {
                let response = call_by_path(&state, &incoming, &admission, Callable::Method, name.as_str()).await?;
                Ok(if streams { in_pieces(response) } else { response })
            };
            let response = incoming.once(&state, Some(&admission), call).await?;
            if wish == Wish::EventsOnly { as_events(response).await } else { Ok(response) }
        }
        None if incoming.verb == Verb::Post => Err(Problem::bad_request(
            "POST to /methods itself takes a JSON-RPC 2.0 request; other calls name the method in the path",
        )),
        None => list(&incoming, "GET, POST", || {
            let allowed = |name: &str| admission.access.check(Category::Methods, name, Operation::Call).is_ok();
            json!({ "methods": state.hooks.methods().into_iter().filter(|hook| allowed(&hook.name)).collect::<Vec<_>>() })
        }),
    }
}
