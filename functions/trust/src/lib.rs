//! `/{actor}/trust` and `/{actor}/permissions`: relationships with other actors, and what they permit.
//!
//! ```text
//! GET POST            /trust                                   all; ask a peer for one
//! PUT DELETE          /trust/trustee                           who manages the actor
//! GET POST            /trust/{relationship}                    those of one kind; a peer asks (anybody may)
//! GET                 /trust/{relationship}/desc               what the relationship is
//! GET PUT POST DELETE /trust/{relationship}/{peer}             one: PUT decides here, POST says what the peer decided
//! GET PUT DELETE      /trust/{relationship}/{peer}/permissions how its rights differ from its type's
//! GET                 /trust/{relationship}/{peer}/shared_properties   for the peer itself
//! POST                /trust/{relationship}/{peer}/secret      a new secret, with the peer's consent
//! GET                 /permissions/{peer}                      for the peer itself and the creator
//! ```
//!
//! The path rules decide first who may come in at all, before anything tells whether a relationship exists; they bind a
//! peer to its own id, and an unapproved one to its own handshake.

mod all;
mod events;
mod fields;
mod one;
pub mod openapi;
mod permissions;
mod receive;
mod shared;
mod trustee;
mod view;

use actingweb_actor::{Actor, Caller, TrustRecord, Trusts};
use actingweb_protocol::PeerId;
use actingweb_web::{Admission, AppState, Incoming, Problem, Reply, Verb, serve, subtree};
use axum::Router;
use axum::extract::State;

/// The routes of this group.
pub fn routes() -> Router<AppState> {
    subtree("trust", trust).merge(subtree("permissions", peer_permissions))
}

/// The service of this group.
pub fn router(state: AppState) -> Router {
    serve(routes(), state.for_group("trust"))
}

/// A request about one relationship.
struct Request<'a> {
    state: &'a AppState,
    incoming: &'a Incoming,
    trusts: Trusts,
    admission: Admission,
}

async fn trust(State(state): State<AppState>, incoming: Incoming) -> Reply {
    let segments = incoming.below_group().to_vec();
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    let allow = match path.as_slice() {
        [] => "GET, POST",
        ["trustee"] => "PUT, DELETE",
        [_] => "GET, POST",
        [_, "desc"] | [_, _, "shared_properties"] => "GET",
        [_, _] => "GET, PUT, POST, DELETE",
        [_, _, "permissions"] => "GET, PUT, DELETE",
        [_, _, "secret"] => "POST",
        // Who may come in at all is asked first.
        _ => "GET, PUT, POST, DELETE",
    };
    let name = incoming.verb.op().map_or("", actingweb_hooks::Op::as_str);
    if !allow.split(", ").any(|verb| verb == name) {
        return Err(Problem::method_not_allowed(allow));
    }
    if let ([relationship], Verb::Post) = (path.as_slice(), incoming.verb) {
        return receive::receive(&state, &incoming, relationship).await;
    }
    let peer = path.get(1).and_then(|peer| PeerId::parse(peer).ok());
    let admission = incoming.admit_about(&state, peer.as_ref()).await?;
    let trusts = state.trusts.for_request(&incoming.context.id, incoming.context.deadline);
    let request = Request { state: &state, incoming: &incoming, trusts, admission };
    match path.as_slice() {
        [] if incoming.verb == Verb::Post => incoming.once(&state, Some(&request.admission), request.ask()).await,
        [] => request.list(None).await,
        ["trustee"] => request.trustee().await,
        [relationship] => request.list(Some(relationship)).await,
        [relationship, "desc"] => request.describe(relationship),
        [relationship, peer] => request.one(relationship, peer).await,
        [relationship, _, "permissions"] => request.permissions(relationship).await,
        [_, peer, "shared_properties"] => request.shared_properties(peer).await,
        [relationship, _, "secret"] => request.rotate(relationship).await,
        _ => Err(Problem::not_found("there is nothing at this path of /trust")),
    }
}

async fn peer_permissions(State(state): State<AppState>, incoming: Incoming) -> Reply {
    if incoming.verb != Verb::Get {
        return Err(Problem::method_not_allowed("GET"));
    }
    let peer = incoming.below_group().first().and_then(|peer| PeerId::parse(peer).ok());
    let admission = incoming.admit_about(&state, peer.as_ref()).await?;
    let trusts = state.trusts.for_request(&incoming.context.id, incoming.context.deadline);
    let request = Request { state: &state, incoming: &incoming, trusts, admission };
    match incoming.below_group() {
        [_] => request.granted(),
        _ => Err(Problem::not_found("there is nothing at this path of /permissions")),
    }
}

impl Request<'_> {
    const fn actor(&self) -> &Actor {
        &self.admission.actor
    }

    const fn caller(&self) -> &Caller {
        self.admission.access.caller()
    }

    /// Whether the caller is this peer, approved or not.
    fn is_peer(&self, peer: &str) -> bool {
        matches!(self.caller(), Caller::Peer { id, .. } | Caller::Unapproved { id } if id == peer)
    }

    /// The relationship in the path. The peer knows it by what was agreed upon, whatever became of it since.
    fn found(&self, relationship: &str) -> Result<TrustRecord, Problem> {
        let trust = self.admission.trust.clone().filter(|trust| {
            let agreed = self.is_peer(trust.peer.as_str()) && trust.agreed == relationship;
            trust.relationship == relationship || agreed
        });
        trust.ok_or_else(|| Problem::not_found("there is no such relationship"))
    }
}
