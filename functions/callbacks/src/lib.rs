//! `/{actor}/callbacks`: what an actor's peers tell it, and callbacks of the application's own.
//!
//! ```text
//! POST PUT DELETE     /callbacks/subscriptions/{peer}/{subscription}   a change at a peer; the end of a subscription
//! POST                /callbacks/permissions/{grantor}                 what the actor may do at a peer
//! GET PUT POST DELETE /callbacks/{name}                                callback hooks
//! ```
//!
//! A peer is heard about itself alone, with its own bearer, once its relationship is approved; who it is is asked before
//! anything tells what there is.

mod named;
pub mod openapi;
mod permissions;
mod subscriptions;

use actingweb_actor::{Caller, TrustRecord};
use actingweb_protocol::feed::lenient;
use actingweb_web::{Admission, AppState, Incoming, Problem, Reply, Verb, not_allowed, serve, subtree};
use axum::Router;
use axum::extract::State;
use serde_json::{Map, Value};

/// The routes of this group.
pub fn routes() -> Router<AppState> {
    subtree("callbacks", callbacks)
}

/// The service of this group.
pub fn router(state: AppState) -> Router {
    serve(routes(), state.for_group("callbacks"))
}

async fn callbacks(State(state): State<AppState>, incoming: Incoming) -> Reply {
    let segments = incoming.below_group().to_vec();
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["subscriptions", peer, subscription] => subscriptions::callback(&state, incoming, peer, subscription).await,
        ["permissions", grantor] => permissions::callback(&state, incoming, grantor).await,
        [name] if !matches!(*name, "subscriptions" | "permissions") => named::callback(&state, &incoming, name).await,
        _ => {
            incoming.admit(&state, &[]).await?;
            Err(Problem::not_found("there is nothing at this path of /callbacks"))
        }
    }
}

/// The relationship with the peer that a request names, if the request is that peer's own.
fn own_trust(admission: &mut Admission, peer: &str) -> Result<TrustRecord, Problem> {
    let is_peer = matches!(admission.access.caller(), Caller::Peer { id, .. } if id == peer);
    admission.trust.take().filter(|_| is_peer).ok_or_else(not_allowed)
}

/// The body, which may be compressed and may hold half of a surrogate pair.
fn body(incoming: &mut Incoming) -> Result<Map<String, Value>, Problem> {
    incoming.decompress()?;
    match lenient::parse(&incoming.payload.bytes)? {
        Value::Object(members) => Ok(members),
        _ => Err(Problem::bad_request("the body must be a JSON object")),
    }
}

fn allow(incoming: &Incoming, verbs: &[Verb], named: &str) -> Result<(), Problem> {
    if verbs.contains(&incoming.verb) { Ok(()) } else { Err(Problem::method_not_allowed(named)) }
}
