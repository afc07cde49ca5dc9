//! `/{actor}/properties`: values of any JSON type, whole or at a path of object keys, and lists of such values.

mod all;
mod hooks;
mod items;
mod list;
pub mod openapi;
mod post;
mod value;

use actingweb_actor::Stored;
use actingweb_protocol::PropertyPath;
use actingweb_web::{Admission, AppState, Incoming, Problem, Reply, Verb, serve, subtree};
use axum::Router;
use axum::extract::State;

/// The routes of this group.
pub fn routes() -> Router<AppState> {
    subtree("properties", properties)
}

/// The service of this group.
pub fn router(state: AppState) -> Router {
    serve(routes(), state.for_group("properties"))
}

/// A request about one property, and what was read for it.
struct Request<'a> {
    state: &'a AppState,
    incoming: &'a Incoming,
    admission: Admission,
    path: PropertyPath,
}

async fn properties(State(state): State<AppState>, incoming: Incoming) -> Reply {
    let Some(path) = incoming.property_path()? else {
        return match incoming.verb {
            Verb::Get => all::get_properties(&state, &incoming).await,
            Verb::Post => post::post_properties(&state, &incoming).await,
            Verb::Delete => all::delete_properties(&state, &incoming).await,
            _ => Err(Problem::method_not_allowed("GET, POST, DELETE")),
        };
    };
    // POST is for lists and their `items`.
    let posts = matches!(path.below.as_slice(), [] | [_]) && path.below.iter().all(|below| below == "items");
    if incoming.verb == Verb::Other || (incoming.verb == Verb::Post && !posts) {
        return Err(Problem::method_not_allowed(if posts { "GET, PUT, POST, DELETE" } else { "GET, PUT, DELETE" }));
    }
    let mut admission = incoming.admit(&state, &[&path.name]).await?;
    let stored = admission.properties.remove(&path.name);
    let request = Request { state: &state, incoming: &incoming, admission, path };
    match stored {
        Some(Stored::List(list)) => list::list(request, list).await,
        stored => value::value(request, stored).await,
    }
}
