//! `/{actor}/subscriptions`: what peers are subscribed to at an actor, and what it is subscribed to at them.
//!
//! ```text
//! GET POST        /subscriptions                          all, in both directions; subscribe to a peer
//! GET POST        /subscriptions/{peer}                   those with one peer; the peer subscribes
//! GET PUT DELETE  /subscriptions/{peer}/{id}              poll; clear what was read; end
//! GET             /subscriptions/{peer}/{id}/{sequence}   one diff
//! ```
//!
//! The path rules decide first who may come in at all, before anything tells whether a subscription exists; they bind a
//! peer to its own id.

mod all;
mod end;
mod initiated;
mod new;
pub mod openapi;
mod poll;
mod view;

use actingweb_actor::Caller;
use actingweb_hooks::Invocation;
use actingweb_protocol::PeerId;
use actingweb_web::{Admission, AppState, Incoming, Problem, Reply, Verb, serve, subtree};
use axum::Router;
use axum::extract::State;

/// The routes of this group.
pub fn routes() -> Router<AppState> {
    subtree("subscriptions", subscriptions)
}

/// The service of this group.
pub fn router(state: AppState) -> Router {
    serve(routes(), state.for_group("subscriptions"))
}

/// A request about the subscriptions of one peer.
struct Request<'a> {
    state: &'a AppState,
    incoming: &'a Incoming,
    admission: Admission,
    peer: PeerId,
}

impl Request<'_> {
    /// Whether the caller is the peer itself.
    fn is_peer(&self) -> bool {
        matches!(self.admission.access.caller(), Caller::Peer { id, .. } if id == self.peer.as_str())
    }

    fn invocation(&self) -> Invocation {
        self.incoming.invocation(&self.admission)
    }
}

async fn subscriptions(State(state): State<AppState>, incoming: Incoming) -> Reply {
    let segments = incoming.below_group().to_vec();
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    let (allow, verbs): (_, &[Verb]) = match path.as_slice() {
        [] | [_] => ("GET, POST", &[Verb::Get, Verb::Post]),
        [_, _] => ("GET, PUT, DELETE", &[Verb::Get, Verb::Put, Verb::Delete]),
        [_, _, _] => ("GET", &[Verb::Get]),
        _ => return Err(nothing()),
    };
    if !verbs.contains(&incoming.verb) {
        return Err(Problem::method_not_allowed(allow));
    }
    let peer = path.first().map(|peer| PeerId::parse(peer));
    let Some(peer) = peer else {
        return match incoming.verb {
            Verb::Post => Box::pin(initiated::subscribe_to_peer(&state, &incoming)).await,
            _ => Box::pin(all::get_subscriptions(&state, &incoming)).await,
        };
    };
    let admission = incoming.admit_about(&state, peer.as_ref().ok()).await?;
    let peer = peer.map_err(|_| nothing())?;
    // The same characters as in a peer's id; what has others names nothing, and is not looked up.
    if path.get(1).is_some_and(|id| PeerId::parse(id).is_err()) {
        return Err(no_subscription());
    }
    let request = Request { state: &state, incoming: &incoming, admission, peer };
    match (path.as_slice(), incoming.verb) {
        ([_], Verb::Post) => incoming.once(&state, Some(&request.admission), request.subscribe()).await,
        ([_], _) => request.list().await,
        ([_, id], Verb::Get) => request.poll(id).await,
        ([_, id], Verb::Put) => request.clear(id).await,
        ([_, id], _) => request.end(id).await,
        ([_, id, sequence], _) => request.diff(id, sequence).await,
        _ => Err(nothing()),
    }
}

fn nothing() -> Problem {
    Problem::not_found("there is nothing at this path")
}

fn no_subscription() -> Problem {
    Problem::not_found("there is no such subscription, or no longer")
}
